//! One request and its response, from the call of the service to the end of the body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body::Body;
use obs_core::Closed;

use crate::labels::{ErrorType, Method, StatusClass};
use crate::metrics::Route;

/// A request under way. It is in flight until it ends, told how by [`end`](Self::end) or dropped, and records everything
/// else then. Who holds it ends it in place and may keep it: it ends once.
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
    pub(crate) fn reply<B: Body>(&mut self, response: &Response<B>) {
        let (status, body) = (response.status(), response.body());
        // A body of the service's own may panic when it is asked how it is.
        let watch = Watch::over(Some(self));
        let declared = declared_size(response.headers(), body);
        let has_ended = body.is_end_stream();
        watch.passed();
        self.reply = Some(Reply {
            status,
            declared,
            sent: 0,
        });
        if has_ended || has_no_body(self.route.method, status) {
            self.end(None);
        }
    }

    /// Some of the response's body was handed to the connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some(reply) = &mut self.reply {
            reply.sent += bytes as u64;
        }
    }

    /// Ends the exchange, well or by a fault, unless it has ended.
    pub(crate) fn end(&mut self, fault: Option<ErrorType>) {
        if !self.ended {
            self.ended = true;
            self.record(fault);
        }
    }

    fn record(&self, fault: Option<ErrorType>) {
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
        let fault = (!self.is_all_sent()).then_some(ErrorType::Aborted);
        self.end(fault);
    }
}

/// Watches over a piece of the service while it runs. A panic in it drops this, which ends the exchange here and now: who
/// catches the panic may drop what is left when nothing unwinds any more.
pub(crate) struct Watch<'a>(Option<&'a mut Exchange>);

impl<'a> Watch<'a> {
    pub(crate) fn over(exchange: Option<&'a mut Exchange>) -> Self {
        Self(exchange)
    }

    /// There was no panic.
    pub(crate) fn passed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(exchange) = &mut self.0 {
            exchange.end(Some(ErrorType::Panic));
        }
    }
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
