//! Event streams and `WebSocket`s: open now, how long, how they ended.

use std::sync::Arc;
use std::time::Instant;

use obs_core::{By, Counter, Gauge, Histogram, Outcome, PanicWatch};

use crate::labels::Endpoint;
use crate::metrics::{API, Route};

obs_core::label! {
    /// What a stream is made of.
    pub enum StreamProtocol as "protocol" {
        /// A response of the type `text/event-stream`.
        EventStream = "sse",
        /// A WebSocket.
        WebSocket = "websocket",
    }
}

obs_core::label! {
    /// How a stream ended.
    pub enum StreamEnd as "reason" {
        /// The server ended it: the body, or the handler of a WebSocket, came to its end.
        Ended = "ended" is good,
        /// It was dropped: the client went away, or the task of a WebSocket was cancelled.
        Aborted = "aborted",
        /// The body failed.
        Failed = "failed",
        /// It panicked.
        Panicked = "panicked",
    }
}

/// From seconds to days: what a stream lasts is not what a request lasts.
const LASTING: &[f64] = &[
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0,
];

obs_core::families! {
    group API;

    /// Streams of one endpoint.
    pub(crate) struct StreamMetrics(endpoint: Endpoint, protocol: StreamProtocol) {
        /// Streams that are open.
        pub(crate) open: Gauge = "http_streams_open" { across: obs_core::Across::Sum },
        /// How long streams were open.
        pub(crate) duration: Histogram = "http_stream_duration_seconds" { buckets: LASTING },
        /// Streams that have ended, by how they ended.
        pub(crate) closed: By<StreamEnd, Counter> = "http_streams_closed_total",
    }
}

/// A stream that is open, and closed as it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream {
    metrics: Arc<StreamMetrics>,
    started: Instant,
    panics: PanicWatch,
    closed: bool,
}

impl OpenStream {
    pub(crate) fn new(metrics: Arc<StreamMetrics>) -> Self {
        metrics.open.increment(1);
        Self {
            metrics,
            started: Instant::now(),
            panics: PanicWatch::start(),
            closed: false,
        }
    }

    pub(crate) fn close(mut self, how: StreamEnd) {
        self.record(how);
    }

    fn record(&mut self, how: StreamEnd) {
        self.closed = true;
        self.metrics.duration.record(self.started.elapsed());
        self.metrics.closed[how].increment(1);
        self.metrics.open.decrement(1);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if !self.closed {
            self.record(match self.panics.outcome() {
                Outcome::Panicked => StreamEnd::Panicked,
                _ => StreamEnd::Aborted,
            });
        }
    }
}

/// Measures a WebSocket, which leaves the layer's sight with its `101`. The layer puts it into the extensions of requests that ask
/// for one; with the feature `axum` it is an argument of the handler.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use http::Request;
/// use obs_http::WebSocketMetrics;
///
/// async fn quotes(metrics: WebSocketMetrics, request: Request<axum::body::Body>) {
///     // With axum's feature `ws`: upgrade.on_upgrade(|socket| metrics.run(serve(socket)))
/// #   drop((metrics, request));
/// }
/// # let _: axum::Router = axum::Router::new().route("/quotes", axum::routing::any(quotes));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WebSocketMetrics(Option<Arc<Route>>);

impl WebSocketMetrics {
    pub(crate) fn of(route: Arc<Route>) -> Self {
        Self(Some(route))
    }

    /// Counts a WebSocket as open for as long as `socket` runs, what the handler does with it. Dropped before its end it is
    /// `aborted`.
    pub async fn run<F: Future>(self, socket: F) -> F::Output {
        let route = self.0.as_ref();
        let stream = route.and_then(|route| route.stream(StreamProtocol::WebSocket));
        let output = socket.await;
        if let Some(stream) = stream {
            stream.close(StreamEnd::Ended);
        }
        output
    }
}

/// Without the layer nothing is counted.
#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for WebSocketMetrics {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        let found = parts.extensions.get::<Self>();
        Ok(found.cloned().unwrap_or(Self(None)))
    }
}
