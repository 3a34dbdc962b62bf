//! One call, from its start to its end, whatever carries it. What the middleware and the layers stand on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use obs_core::{InFlight, PanicWatch};

use crate::ErrorType;
use crate::provider::{Endpoint, Inner};
use crate::rate_limit::{Headers, Refusal};

/// A call under way, made by any client; begun by [`Provider::call`](crate::Provider::call).
///
/// It counts once, when it ends: by [`ok`](Self::ok), [`error`](Self::error), [`rate_limited`](Self::rate_limited) or
/// [`result`](Self::result). Dropped without, it was `cancelled`, or `panicked` where a panic drops it. No type of HTTP is part of
/// it, so it goes around a client of any version, an SDK's own, or no HTTP at all; it may be held over an `.await`.
///
/// ```
/// # struct Sdk;
/// # #[derive(Debug)] enum SdkError { Timeout, Http(u16) }
/// # impl Sdk { fn bars(&self) -> Result<Vec<f64>, SdkError> { Ok(vec![187.2]) } }
/// # let sdk = Sdk;
/// use obs_providers::{ErrorType, Provider, ProviderKind};
///
/// let provider = Provider::new("alpaca", ProviderKind::MarketData);
///
/// let call = provider.call("bars");
/// let bars = call.result(sdk.bars(), |error| match error {
///     SdkError::Timeout => ErrorType::Timeout,
///     SdkError::Http(status) => ErrorType::of_code(*status).unwrap_or(ErrorType::Unknown),
/// });
/// # assert_eq!(bars.unwrap(), [187.2]);
/// ```
#[derive(Debug)]
#[must_use = "a call that is dropped at once counts as cancelled"]
pub struct Call {
    provider: Arc<Inner>,
    endpoint: Arc<Endpoint>,
    started: Instant,
    head: Option<Head>,
    /// Whether the body matters: somebody has begun to read it, or the call goes on to its end by itself.
    reading: bool,
    /// Whether attempts are measured apart, and have already told of limits and failures.
    attempted: bool,
    panics: PanicWatch,
    /// Nothing once the call has ended.
    in_flight: Option<InFlight>,
}

/// What was known when the headers had come.
#[derive(Clone, Copy, Debug)]
struct Head {
    error: Option<ErrorType>,
    /// The bare number, where it was said.
    status: Option<u16>,
    after: Duration,
}

impl Call {
    pub(crate) fn start(provider: Arc<Inner>, endpoint: Arc<Endpoint>) -> Self {
        Self {
            in_flight: Some(provider.calls().in_flight.in_flight()),
            provider,
            endpoint,
            started: Instant::now(),
            head: None,
            reading: true,
            attempted: false,
            panics: PanicWatch::start(),
        }
    }

    /// The headers of the response have come, or whatever else begins an answer: the time so far is recorded.
    pub fn headers(&mut self) {
        if self.head.is_none() {
            self.set_head(None);
        }
    }

    /// The status of the response has come, as the bare number: what it says went wrong is what the call counts as, however it
    /// ends.
    pub fn status(&mut self, status: u16) {
        let error = self.provider.error_of_code(status);
        match &mut self.head {
            Some(head) => head.error = error,
            None => self.set_head(error),
        }
        self.head = self.head.map(|head| Head {
            status: Some(status),
            ..head
        });
    }

    /// Takes what the headers of the response say of limits; after [`status`](Self::status), which tells a refusal. `get` gives the
    /// text of the header of that name, in lower case, whatever version of `http` it comes from.
    ///
    /// ```
    /// # let provider = obs_providers::Provider::new("alpaca", obs_providers::ProviderKind::MarketData);
    /// # let response = http::Response::builder().status(429).header("retry-after", "3").body(()).unwrap();
    /// let mut call = provider.call("bars");
    /// call.status(response.status().as_u16());
    /// call.limits(|name| response.headers().get(name)?.to_str().ok());
    /// call.ok();  // It was refused, and counts as that.
    /// assert!(provider.retry_after().is_some());
    /// ```
    pub fn limits<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) {
        let refusal = self.refusal();
        self.read_limits(&get, refusal);
    }

    /// Ends the call: there is an answer, and it is no error unless its [`status`](Self::status) was one.
    pub fn ok(mut self) {
        self.record(None);
    }

    /// Ends the call by what went wrong.
    pub fn error(mut self, what: ErrorType) {
        self.record(Some(what));
    }

    /// Ends the call: the provider refused because too much was asked of it, wherever that stood, and how long it wants to be left
    /// alone.
    pub fn rate_limited(mut self, retry_after: Option<Duration>) {
        let (provider, under) = (&self.provider, &self.endpoint.under);
        provider
            .limits
            .refused(provider, under, retry_after, None, false);
        self.head = self.head.map(|head| Head {
            error: Some(ErrorType::RateLimited),
            ..head
        });
        self.record(Some(ErrorType::RateLimited));
    }

    /// Ends the call as the result is, and hands it on; `what` says what an error means.
    ///
    /// # Errors
    ///
    /// That of the result.
    pub fn result<T, E>(
        self,
        result: Result<T, E>,
        what: impl FnOnce(&E) -> ErrorType,
    ) -> Result<T, E> {
        match &result {
            Ok(_) => self.ok(),
            Err(error) => self.error(what(error)),
        }
        result
    }

    /// Waits for the result of the call, and ends it as that is. A future that is dropped before was cancelled.
    ///
    /// # Errors
    ///
    /// That of the future.
    pub async fn of<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
        what: impl FnOnce(&E) -> ErrorType,
    ) -> Result<T, E> {
        let result = call.await;
        self.result(result, what)
    }

    /// The provider, for what carries the call.
    pub(crate) fn provider(&self) -> &Arc<Inner> {
        &self.provider
    }

    /// Attempts are measured apart.
    pub(crate) fn has_attempts(&mut self, attempted: bool) {
        self.attempted = attempted;
    }

    /// The headers have come, with what their status says went wrong; whether anybody reads the body is to be seen.
    pub(crate) fn answered(&mut self, error: Option<ErrorType>) {
        self.set_head(error);
        self.reading = false;
    }

    /// Somebody reads the body.
    pub(crate) fn reads(&mut self) {
        self.reading = true;
    }

    /// Ends the call by what was found in its body; what the status said goes before it.
    pub(crate) fn judged(mut self, error: Option<ErrorType>) {
        self.record(error);
    }

    pub(crate) fn refusal(&self) -> Refusal {
        let error = self.head.and_then(|head| head.error);
        let status = self.head.and_then(|head| head.status);
        self.provider.refusal(error, status)
    }

    pub(crate) fn read_limits(&self, headers: Headers<'_, '_>, refusal: Refusal) {
        let (provider, under) = (&self.provider, &self.endpoint.under);
        provider.limits.read(provider, under, headers, refusal);
    }

    pub(crate) fn under(&self) -> &[usize] {
        &self.endpoint.under
    }

    pub(crate) fn is_attempted(&self) -> bool {
        self.attempted
    }

    fn set_head(&mut self, error: Option<ErrorType>) {
        let after = self.started.elapsed();
        self.endpoint.metrics.headers.record(after);
        self.head = Some(Head {
            error,
            status: None,
            after,
        });
    }

    fn record(&mut self, fault: Option<ErrorType>) {
        let now = Instant::now();
        let error = self.head.and_then(|head| head.error).or(fault);
        self.endpoint.metrics.duration.record(self.duration(now));
        self.endpoint.requests[ErrorType::outcome(error)].increment(1);
        if let Some(error) = error {
            self.provider.calls().errors[error].increment(1);
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
        let good_head = self.head.is_some_and(|head| head.error.is_none());
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
        let panicked = self.panics.has_panicked();
        let fault = match &self.head {
            _ if panicked => Some(ErrorType::Panic),
            Some(_) if !self.reading => None,
            _ => Some(ErrorType::Cancelled),
        };
        self.record(fault);
    }
}
