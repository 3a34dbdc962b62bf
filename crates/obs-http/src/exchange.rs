//! One request and its response, from the call of the service to the end of the body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body::Body;
use obs_core::Closed;

use crate::body::ResponseBody;
use crate::labels::{ErrorType, Method, StatusClass};
use crate::metrics::Route;

/// A request under way. It is in flight while this lives, and records everything else when it ends: told how by
/// [`end`](Self::end), or dropped.
#[derive(Debug)]
pub(crate) struct Exchange {
    route: Arc<Route>,
    started: Instant,
    request_size: RequestSize,
    reply: Option<Reply>,
    ended: bool,
}

/// How the size of a request is known.
#[derive(Debug)]
pub(crate) enum RequestSize {
    /// The request says it.
    Declared(u64),
    /// It is counted while the service reads the body.
    Counted(Arc<AtomicU64>),
    /// It does not say, and nobody counts.
    Unknown,
}

/// A response whose body is being sent.
#[derive(Debug)]
struct Reply {
    status: http::StatusCode,
    /// The size the response declares.
    declared: Option<u64>,
    sent: u64,
}

impl Exchange {
    pub(crate) fn start(route: Arc<Route>, request_size: RequestSize) -> Self {
        route.in_flight.increment(1);
        Self {
            route,
            started: Instant::now(),
            request_size,
            reply: None,
            ended: false,
        }
    }

    /// Goes on into the body of the response, unless there is none to wait for.
    pub(crate) fn reply<B: Body>(self, response: Response<B>) -> Response<ResponseBody<B>> {
        let (status, method) = (response.status(), self.route.method);
        let mut going_on = Some(self);
        // A body of the service's own may panic when it is asked how it is.
        let (declared, has_ended) = watched(&mut going_on, || {
            let body = response.body();
            (
                declared_size(response.headers(), body),
                body.is_end_stream(),
            )
        });
        if let Some(exchange) = &mut going_on {
            exchange.reply = Some(Reply {
                status,
                declared,
                sent: 0,
            });
        }
        if (has_ended || has_no_body(method, status))
            && let Some(exchange) = going_on.take()
        {
            exchange.end(None);
        }
        response.map(|body| ResponseBody::new(body, going_on))
    }

    /// Some of the response's body was handed to the connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some(reply) = &mut self.reply {
            reply.sent += bytes as u64;
        }
    }

    /// Ends the exchange: well, or by a fault.
    pub(crate) fn end(mut self, fault: Option<ErrorType>) {
        self.record(fault);
    }

    fn record(&mut self, fault: Option<ErrorType>) {
        self.ended = true;
        let metrics = &self.route.metrics;
        let error = self
            .reply
            .as_ref()
            .and_then(|r| ErrorType::of_status(r.status));
        let error = error.or(fault);
        let (code, class) = match (&self.reply, error) {
            (Some(reply), _) => (reply.status.as_str(), reply.status.into()),
            (None, error) => {
                let error = error.unwrap_or(ErrorType::Aborted);
                (error.as_str(), StatusClass::None)
            }
        };
        metrics.requests.of(code).increment(1);
        metrics.duration[class].record(self.started.elapsed());
        match &self.request_size {
            RequestSize::Declared(size) => metrics.request_size.record(*size as f64),
            RequestSize::Counted(size) => {
                metrics
                    .request_size
                    .record(size.load(Ordering::Relaxed) as f64);
            }
            RequestSize::Unknown => metrics.request_size_unknown.increment(1),
        }
        if let Some(reply) = &self.reply {
            metrics.response_size.record(reply.sent as f64);
        }
        if let Some(error) = error {
            metrics.errors[error].increment(1);
        }
        // Last, so that who sees nothing in flight sees everything recorded.
        self.route.in_flight.decrement(1);
    }

    /// Whether the body has given all that the response declared. The connection asks for no more then, and drops it.
    fn is_all_sent(&self) -> bool {
        let reply = self.reply.as_ref();
        reply.is_some_and(|reply| reply.declared.is_some_and(|size| reply.sent >= size))
    }
}

/// Nobody waited for the end: the client has gone, unless it had been given everything.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            let fault = (!self.is_all_sent()).then_some(ErrorType::Aborted);
            self.record(fault);
        }
    }
}

/// Runs a piece of the service. A panic in it ends the exchange here and now: who catches it may drop what is left when
/// nothing unwinds any more.
pub(crate) fn watched<T>(exchange: &mut Option<Exchange>, run: impl FnOnce() -> T) -> T {
    on_panic(
        exchange,
        |exchange| {
            if let Some(exchange) = exchange.take() {
                exchange.end(Some(ErrorType::Panic));
            }
        },
        run,
    )
}

/// Runs something, and where that panics does something else on the way out.
pub(crate) fn on_panic<S, T>(state: S, then: impl FnOnce(S), run: impl FnOnce() -> T) -> T {
    struct Watch<S, F: FnOnce(S)>(Option<(S, F)>);
    impl<S, F: FnOnce(S)> Drop for Watch<S, F> {
        fn drop(&mut self) {
            if let Some((state, then)) = self.0.take() {
                then(state);
            }
        }
    }
    let mut watch = Watch(Some((state, then)));
    let value = run();
    watch.0 = None;
    value
}

/// The size a message declares, by its body or by its header.
pub(crate) fn declared_size(headers: &HeaderMap, body: &impl Body) -> Option<u64> {
    let header = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    body.size_hint().exact().or_else(header)
}

/// Whether HTTP sends no body with such a response, whatever the service made; a server drops it unread.
fn has_no_body(method: Method, status: http::StatusCode) -> bool {
    use http::StatusCode as Code;
    method == Method::Head
        || (method == Method::Connect && status.is_success())
        || status.is_informational()
        || matches!(status, Code::NO_CONTENT | Code::NOT_MODIFIED)
}
