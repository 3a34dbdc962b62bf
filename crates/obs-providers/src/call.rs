//! One call, from its start to the end of its body. What the middleware and the layer share.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use obs_core::InFlight;
use reqwest::Response;

use crate::ErrorType;
use crate::body;
use crate::failure::examine;
use crate::provider::{Endpoint, Inner};

tokio::task_local! {
    /// What the attempts of the call around have come to.
    static ATTEMPTS: Attempts;
    /// Takes a call over from its body, so that it ends with what the body turns out to be.
    static DECODING: RefCell<Option<Call>>;
}

/// The attempts of a call, where they are measured apart.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    count: u32,
    /// What went wrong with the last.
    error: Option<ErrorType>,
}

type Attempts = Cell<Made>;

/// A call under way. It records when it ends: told how by [`end`](Self::end), or dropped.
#[derive(Debug)]
pub(crate) struct Call {
    provider: Arc<Inner>,
    endpoint: Arc<Endpoint>,
    started: Instant,
    head: Option<Head>,
    /// Whether somebody has begun to read the body.
    reading: bool,
    /// Whether attempts are measured apart, and have already told of limits and failures.
    attempted: bool,
    was_panicking: bool,
    /// Nothing once the call has ended.
    in_flight: Option<InFlight>,
}

/// What was known when the headers had come.
#[derive(Debug)]
struct Head {
    error: Option<ErrorType>,
    after: Duration,
}

impl Call {
    pub(crate) fn start(provider: Arc<Inner>, endpoint: Arc<Endpoint>) -> Self {
        Self {
            in_flight: Some(provider.metrics.in_flight.in_flight()),
            provider,
            endpoint,
            started: Instant::now(),
            head: None,
            reading: false,
            attempted: false,
            was_panicking: std::thread::panicking(),
        }
    }

    /// Waits for the response, and goes on into its body.
    pub(crate) async fn run<E: 'static>(
        mut self,
        send: impl Future<Output = Result<Response, E>>,
    ) -> Result<Response, E> {
        let send = async {
            let result = send.await;
            (result, ATTEMPTS.with(Cell::get))
        };
        let (result, attempts) = ATTEMPTS.scope(Attempts::default(), send).await;
        self.attempted = attempts.count > 0;
        match result {
            Ok(response) => Ok(self.answered(response)),
            Err(mut error) => {
                let kind = match examine(&mut error, self.provider.shown) {
                    // What retries may hide what went wrong, but not from the attempt itself.
                    ErrorType::Middleware => attempts.error.unwrap_or(ErrorType::Middleware),
                    known => known,
                };
                self.end(Some(kind));
                Err(error)
            }
        }
    }

    fn answered(mut self, response: Response) -> Response {
        let after = self.started.elapsed();
        self.endpoint.metrics.headers.record(after);
        let error = self.provider.error_of(&response);
        if !self.attempted {
            self.provider.read_limits(&response, error);
        }
        self.head = Some(Head { error, after });
        let (limit, shown) = (self.provider.max_body, self.provider.shown);
        body::watch(response, self, limit, shown)
    }

    /// Somebody reads the body.
    pub(crate) fn reads(&mut self) {
        self.reading = true;
    }

    /// The body has come to its end. Where it is being decoded the call goes on until that is done.
    pub(crate) fn body_ended(self) {
        let mut call = Some(self);
        let _ = DECODING.try_with(|waiting| *waiting.borrow_mut() = call.take());
        if let Some(call) = call {
            call.end(None);
        }
    }

    /// Ends the call: well, or by a fault.
    pub(crate) fn end(mut self, fault: Option<ErrorType>) {
        self.record(fault);
    }

    fn record(&mut self, fault: Option<ErrorType>) {
        let now = Instant::now();
        let of_status = self.head.as_ref().and_then(|head| head.error);
        let error = of_status.or(fault);
        let metrics = &self.provider.metrics;
        self.endpoint.metrics.duration.record(self.duration(now));
        self.endpoint.requests[ErrorType::outcome(error)].increment(1);
        if let Some(error) = error {
            metrics.errors[error].increment(1);
        }
        if let Some(answered) = ErrorType::answered(error)
            && (answered || self.speaks_of_failure())
        {
            self.provider.availability.heard(answered, now);
        }
        // Last, so that who sees nothing in flight sees everything recorded.
        self.in_flight = None;
    }

    /// Attempts that failed have said so themselves; what goes wrong after the head only the call sees.
    fn speaks_of_failure(&self) -> bool {
        let good_head = self.head.as_ref().is_some_and(|head| head.error.is_none());
        !self.attempted || good_head
    }

    fn duration(&self, now: Instant) -> Duration {
        match &self.head {
            // How long somebody kept a response that nobody read says nothing of the provider.
            Some(head) if !self.reading => head.after,
            _ => now.saturating_duration_since(self.started),
        }
    }
}

/// Nobody waited for the end. A response whose body nobody began to read has served its purpose, though.
impl Drop for Call {
    fn drop(&mut self) {
        if self.in_flight.is_none() {
            return;
        }
        let panicked = std::thread::panicking() && !self.was_panicking;
        let fault = match &self.head {
            _ if panicked => Some(ErrorType::Panic),
            Some(_) if !self.reading => None,
            _ => Some(ErrorType::Cancelled),
        };
        self.record(fault);
    }
}

/// Runs one attempt of the call around, or of none.
pub(crate) async fn attempt<E: 'static>(
    provider: &Arc<Inner>,
    send: impl Future<Output = Result<Response, E>>,
) -> Result<Response, E> {
    let earlier = made().count;
    if earlier > 0 {
        provider.metrics.retries.increment(1);
    }
    let attempt = Attempt::start(provider);
    let mut result = send.await;
    let error = match &mut result {
        Ok(response) => {
            let error = provider.error_of(response);
            provider.read_limits(response, error);
            error
        }
        Err(error) => Some(examine(error, provider.shown)),
    };
    attempt.end(error);
    let count = earlier + 1;
    // An attempt without a call around has nobody to tell.
    let _ = ATTEMPTS.try_with(|attempts| attempts.set(Made { count, error }));
    result
}

/// Makes an attempt ready to run. A panic in that is one of the attempt.
pub(crate) fn prepared<T>(provider: &Inner, prepare: impl FnOnce() -> T) -> T {
    let mut attempt = Attempt::start(provider);
    let ready = prepare();
    attempt.ended = true;
    ready
}

fn made() -> Made {
    ATTEMPTS.try_with(Cell::get).unwrap_or_default()
}

struct Attempt<'a> {
    provider: &'a Inner,
    was_panicking: bool,
    ended: bool,
}

impl<'a> Attempt<'a> {
    fn start(provider: &'a Inner) -> Self {
        Self {
            provider,
            was_panicking: std::thread::panicking(),
            ended: false,
        }
    }

    fn end(mut self, error: Option<ErrorType>) {
        self.record(error);
    }

    fn record(&mut self, error: Option<ErrorType>) {
        self.ended = true;
        let outcome = ErrorType::outcome(error);
        self.provider.metrics.attempts[outcome].increment(1);
        // That the provider answered well is for the call to say, when the body has come too.
        if ErrorType::answered(error) == Some(false) {
            self.provider.availability.heard(false, Instant::now());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let panicked = std::thread::panicking() && !self.was_panicking;
            let error = if panicked {
                ErrorType::Panic
            } else {
                ErrorType::Cancelled
            };
            self.record(Some(error));
        }
    }
}

/// Runs what reads and decodes a body. The call ends with it: well, or by a body that is not what it should be.
pub(crate) async fn decoding<T, E>(read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let read = async {
        let result = read.await;
        (result, DECODING.with(RefCell::take))
    };
    let (result, call) = DECODING.scope(RefCell::new(None), read).await;
    if let Some(call) = call {
        call.end(result.is_err().then_some(ErrorType::Decode));
    }
    result
}
