//! Calls that reqwest carries: what the middleware and the layers share.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use obs_core::PanicWatch;
use reqwest::Response;

use crate::ErrorType;
use crate::body;
use crate::call::Call;
use crate::failure::examine;
use crate::provider::Inner;
use crate::rate_limit::Refusal;

tokio::task_local! {
    /// What the attempts of the call around have come to.
    static ATTEMPTS: Attempts;
    /// Takes a call over from its body, so that it ends with what the body turns out to be.
    static DECODING: RefCell<Decoding>;
}

/// A body that is being decoded.
#[derive(Debug, Default)]
struct Decoding {
    call: Option<Call>,
    /// What was found in it, where somebody has said so.
    verdict: Option<ErrorType>,
}

/// The attempts of a call, where they are measured apart.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    count: u32,
    /// What went wrong with the last.
    error: Option<ErrorType>,
}

type Attempts = Cell<Made>;

impl Call {
    /// Waits for the response, and goes on into its body; of a stream, to its head.
    pub(crate) async fn run<E: 'static>(
        mut self,
        send: impl Future<Output = Result<Response, E>>,
        is_stream: bool,
    ) -> Result<Response, E> {
        let (result, attempts) = if self.provider().has_attempts() {
            let send = async {
                let result = send.await;
                (result, ATTEMPTS.with(Cell::get))
            };
            ATTEMPTS.scope(Attempts::default(), send).await
        } else {
            (send.await, Made::default())
        };
        self.has_attempts(attempts.count > 0);
        match result {
            Ok(response) => Ok(self.came(response, is_stream)),
            Err(mut error) => {
                let kind = match examine(&mut error, self.provider().shown) {
                    // What retries may hide what went wrong, but not from the attempt itself.
                    ErrorType::Middleware => attempts.error.unwrap_or(ErrorType::Middleware),
                    known => known,
                };
                self.error(kind);
                Err(error)
            }
        }
    }

    fn came(mut self, response: Response, is_stream: bool) -> Response {
        let provider = Arc::clone(self.provider());
        let error = provider.error_of(&response);
        if !self.is_attempted() {
            provider.read_limits(&response, error, self.under());
        }
        self.answered(error);
        let (limit, shown) = (provider.max_body, provider.shown);
        if is_stream || streams(&response) {
            // It lasts as long as it is listened to: the call was to open it.
            self.ok();
            return body::shown(response, shown);
        }
        body::watch(response, self, limit, shown)
    }

    /// The body has come to its end. Where it is being decoded the call goes on until that is done.
    pub(crate) fn body_ended(self) {
        let mut call = Some(self);
        let _ = DECODING.try_with(|waiting| waiting.borrow_mut().call = call.take());
        if let Some(call) = call {
            call.ok();
        }
    }
}

/// Whether the response has no end by design: an event stream, or a connection that is no longer HTTP's.
fn streams(response: &Response) -> bool {
    let of_events = || {
        let kind = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        Some(kind.trim_start().starts_with("text/event-stream"))
    };
    response.status() == http::StatusCode::SWITCHING_PROTOCOLS || of_events() == Some(true)
}

impl Inner {
    /// What a response's status says went wrong.
    pub(crate) fn error_of(&self, response: &Response) -> Option<ErrorType> {
        self.error_of_code(response.status().as_u16())
    }

    /// Takes what a response says of limits.
    pub(crate) fn read_limits(
        &self,
        response: &Response,
        error: Option<ErrorType>,
        under: &[usize],
    ) {
        let headers = response.headers();
        let refusal = self.refusal(error, Some(response.status().as_u16()));
        if refusal == Refusal::None && !self.limits.may_speak(headers) {
            return self.limits.answered(self);
        }
        let get = |name: &str| headers.get(name)?.to_str().ok();
        self.limits.read(self, under, &get, refusal);
    }
}

/// Runs one attempt of the call around, or of none.
pub(crate) async fn attempt<E: 'static>(
    provider: &Arc<Inner>,
    under: &[usize],
    send: impl Future<Output = Result<Response, E>>,
) -> Result<Response, E> {
    let earlier = made().count;
    if earlier > 0 {
        provider.attempts().retries.increment(1);
    }
    let attempt = Attempt::start(provider);
    let mut result = send.await;
    let error = match &mut result {
        Ok(response) => {
            let error = provider.error_of(response);
            provider.read_limits(response, error, under);
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
    panics: PanicWatch,
    ended: bool,
}

impl<'a> Attempt<'a> {
    fn start(provider: &'a Inner) -> Self {
        Self {
            provider,
            panics: PanicWatch::start(),
            ended: false,
        }
    }

    fn end(mut self, error: Option<ErrorType>) {
        self.record(error);
    }

    fn record(&mut self, error: Option<ErrorType>) {
        self.ended = true;
        let outcome = ErrorType::outcome(error);
        self.provider.attempts().attempts[outcome].increment(1);
        // That the provider answered well is for the call to say, when the body has come too.
        if ErrorType::answered(error) == Some(false) {
            self.provider.availability.heard(false, Instant::now());
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let panicked = self.panics.has_panicked();
            let error = if panicked {
                ErrorType::Panic
            } else {
                ErrorType::Cancelled
            };
            self.record(Some(error));
        }
    }
}

/// What is found in a body while it is being decoded is what the call around counts as; elsewhere nothing happens.
pub(crate) fn found(verdict: ErrorType) {
    let _ = DECODING.try_with(|decoding| decoding.borrow_mut().verdict = Some(verdict));
}

/// Runs what reads and decodes a body. The call ends with it: well, or by a body that is not what it should be, or by what was
/// found in it.
pub(crate) async fn decoding<T, E>(
    read: impl Future<Output = Result<T, E>>,
    what: impl FnOnce(&E) -> ErrorType,
) -> Result<T, E> {
    let read = async {
        let result = read.await;
        (result, DECODING.with(RefCell::take))
    };
    let (result, Decoding { call, verdict }) = DECODING.scope(RefCell::default(), read).await;
    if let Some(call) = call {
        let of_result = || result.as_ref().err().map(what);
        call.judged(verdict.or_else(of_result));
    }
    result
}
