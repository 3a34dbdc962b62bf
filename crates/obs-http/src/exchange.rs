//! One request and its response, from the call of the service to the end of the body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Buf;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use obs_core::Closed;

use crate::labels::{ErrorType, Method, StatusClass};
use crate::metrics::Route;
use crate::rpc::{Call, Fault};
use crate::streams::{OpenStream, StreamEnd, StreamProtocol};

/// A request under way. It is in flight until it ends, told how by [`end`](Self::end) or dropped, and records everything
/// else then. Who holds it ends it in place and may keep it: it ends once.
#[derive(Debug)]
pub(crate) enum Exchange {
    Http(HttpExchange),
    /// A call of gRPC, which has families of its own.
    Rpc(Box<Call>),
    /// One that a layer further out measures.
    Measured,
}

/// A request that is none of gRPC.
#[derive(Debug)]
pub(crate) struct HttpExchange {
    route: Arc<Route>,
    started: Instant,
    request_size: RequestSize,
    reply: Option<Reply>,
    ended: bool,
    /// The exchange has ended and its response goes on as a stream.
    stream: Option<OpenStream>,
}

/// How the size of a request is known.
#[derive(Debug)]
pub(crate) enum RequestSize {
    /// The request says it.
    Declared(u64),
    /// It is counted while the service reads the body.
    Counted(Arc<Read>),
    /// It does not say, and nobody counts.
    Unknown,
}

/// What was read of a request's body.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) bytes: AtomicU64,
    /// Messages of gRPC that have begun.
    pub(crate) messages: AtomicU64,
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
    /// Where it is recorded, if it is none of gRPC and measured here.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Http(exchange) => Some(&exchange.route),
            Self::Rpc(_) | Self::Measured => None,
        }
    }

    pub(crate) fn start(route: Arc<Route>, request_size: RequestSize) -> Self {
        route.in_flight.increment(1);
        Self::Http(HttpExchange {
            route,
            started: Instant::now(),
            request_size,
            reply: None,
            ended: false,
            stream: None,
        })
    }

    /// Goes on into the body of the response, unless there is none to wait for.
    pub(crate) fn reply<B: Body>(&mut self, response: &Response<B>) {
        let (status, headers, body) = (response.status(), response.headers(), response.body());
        // A body of the service's own may panic when it is asked how it is.
        let watch = Watch::over(Some(self));
        let declared = body.size_hint().exact().or_else(|| header_size(headers));
        let has_ended = body.is_end_stream();
        watch.passed();
        match self {
            Self::Http(exchange) => exchange.reply(status, headers, declared, has_ended),
            Self::Rpc(call) => call.reply(status, headers, has_ended),
            Self::Measured => {}
        }
    }

    /// Some of the response's body was handed to the connection.
    pub(crate) fn sent<D: Buf>(&mut self, frame: &Frame<D>) {
        match self {
            Self::Http(exchange) => {
                if let (Some(reply), Some(data)) = (&mut exchange.reply, frame.data_ref()) {
                    reply.sent += data.remaining() as u64;
                }
            }
            Self::Rpc(call) => {
                if let Some(data) = frame.data_ref() {
                    call.sent(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    call.trailers(trailers);
                }
            }
            Self::Measured => {}
        }
    }

    /// Ends the exchange, well or by a fault, unless it has ended.
    pub(crate) fn end(&mut self, fault: Option<ErrorType>) {
        match self {
            Self::Http(exchange) => exchange.end(fault),
            Self::Rpc(call) => call.end(fault.map(|fault| match fault {
                ErrorType::Aborted => Fault::Dropped,
                ErrorType::Timeout => Fault::TimedOut,
                ErrorType::Panic => Fault::Panicked,
                ErrorType::ClientError | ErrorType::ServerError => Fault::Failed,
            })),
            Self::Measured => {}
        }
    }
}

impl HttpExchange {
    fn reply(
        &mut self,
        status: http::StatusCode,
        headers: &HeaderMap,
        declared: Option<u64>,
        has_ended: bool,
    ) {
        self.reply = Some(Reply {
            status,
            declared,
            sent: 0,
        });
        if has_ended || has_no_body(self.route.method, status) {
            self.end(None);
        } else if is_event_stream(headers) {
            // It lasts as long as somebody listens, which says nothing about how fast the server is.
            self.end(None);
            self.stream = self.route.stream(StreamProtocol::EventStream);
        }
    }

    fn end(&mut self, fault: Option<ErrorType>) {
        if !self.ended {
            self.ended = true;
            self.record(fault);
        } else if let Some(stream) = self.stream.take() {
            stream.close(match fault {
                None => StreamEnd::Ended,
                Some(ErrorType::Aborted) => StreamEnd::Aborted,
                Some(ErrorType::Panic) => StreamEnd::Panicked,
                Some(_) => StreamEnd::Failed,
            });
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
            RequestSize::Counted(read) => {
                let read = read.bytes.load(Ordering::Relaxed);
                metrics.request_size.record(read as f64);
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
impl Drop for HttpExchange {
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

/// How much a request may declare and be believed. What declares more is counted: anybody may declare anything, hang up, and
/// leave a sum that no honest request moves any more.
const BELIEVED: u64 = 64 * 1024;

/// The size that a request declares, by its body or by its header, if it is to be believed.
pub(crate) fn declared_size(headers: &HeaderMap, body: &impl Body) -> Option<u64> {
    let size = body.size_hint().exact().or_else(|| header_size(headers))?;
    (size <= BELIEVED).then_some(size)
}

fn header_size(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    media_type.is_some_and(|media_type| media_type.starts_with(b"text/event-stream"))
}

/// Whether HTTP sends no body with such a response, whatever the service made; a server drops it unread.
fn has_no_body(method: Method, status: http::StatusCode) -> bool {
    use http::StatusCode as Code;
    method == Method::Head
        || (method == Method::Connect && status.is_success())
        || status.is_informational()
        || matches!(status, Code::NO_CONTENT | Code::NOT_MODIFIED)
}
