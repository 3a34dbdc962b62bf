//! A tower layer that measures an HTTP server: one line for axum, two for anything else that is a tower service.
//!
//! ```
//! # use axum::{Router, routing::get};
//! # async fn show() {}
//! # let test = obs_core::TestRecorder::new();
//! # let app: Router = test.run(||
//! Router::new().route("/orders/{id}", get(show)).layer(obs_http::layer())
//! # );
//! # assert_eq!(test.gauge("http_requests_in_flight", &[("method", "GET")]), Some(0.0));
//! ```
//!
//! Install a recorder first (`obs-exporter` does): handles that are made before it stay without effect. Routes that are
//! added *after* the layer are not measured, which is where a `/healthz` belongs that would drown everything else.
//!
//! # What is measured
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `http_requests_total` | counter | `method`, `endpoint`, `status_code` |
//! | `http_request_duration_seconds` | histogram | `method`, `endpoint`, `status_class` |
//! | `http_request_size_bytes` | histogram | `method`, `endpoint` |
//! | `http_request_size_unknown_total` | counter | `method`, `endpoint` |
//! | `http_response_size_bytes` | histogram | `method`, `endpoint` |
//! | `http_errors_total` | counter | `method`, `endpoint`, `error_type` |
//! | `http_requests_in_flight` | gauge | `method` |
//!
//! **A request lasts** from the moment the service is called until the response *body* has ended: its last frame or its
//! trailers were handed to the connection, or it was dropped. Until then it is in flight; then, and only then, all the
//! other metrics move, once each. Two kinds of response end when they are handed over, because no body of theirs is ever
//! sent: those to `HEAD` and to a `CONNECT` that succeeded, and those of status 1xx, 204 and 304. So a websocket counts as
//! an exchange that ended with its `101`, not as one that lasts as long as the socket.
//!
//! **`endpoint`** is the route's template, such as `/orders/{id}`: in axum the [`MatchedPath`], nested routers included,
//! elsewhere what [`HttpLayer::endpoint_by`] says. Where nothing matched it is `unmatched`. It is never the path that was
//! asked for, so that a scanner that tries 100,000 paths makes one series. A path under axum's `nest_service` has no
//! template and is `unmatched` too.
//!
//! **`method`** is one of the nine standard methods and `PATCH`, or `other`.
//!
//! **`status_code`** is the code that was sent. Where no response was made, the request still counts, and the error type
//! stands in the code's place: `aborted`, `panic`, `timeout` or `server_error`. So the sum over `status_code` is the
//! requests that have begun less those in flight. `status_class` is `2xx` and so on, or `none` without a response.
//!
//! **`error_type`** is decided by the status if that is an error, and else by how the request ended. A request counts at most
//! once:
//!
//! | error type | status | or |
//! |---|---|---|
//! | `timeout` | 408, 504 | the service failed with [`tower::timeout::error::Elapsed`], bare or boxed |
//! | `client_error` | other 4xx | |
//! | `server_error` | other 5xx | the service failed with any other error, or the response body did |
//! | `aborted` | | the response future or body was dropped before its end: the client went away |
//! | `panic` | | the service or the response body panicked |
//!
//! Errors and panics pass through unchanged. Put the layer outermost: a timeout *around* it drops the request, which from
//! in here looks as if the client had gone, and is `aborted`; an outer layer that answers by itself is not seen at all.
//! With [`Router::layer`] that means adding it last.
//!
//! **Sizes** are those of bodies, without headers. The size of a request is what its body or `Content-Length` declares. One
//! that declares none, such as a chunked one, is counted as the service reads it: with axum by itself, elsewhere when
//! [`HttpLayer::count_request_bodies`] asks for it, for that changes the type of the body. Where it can be neither known
//! nor counted the request is counted in `http_request_size_unknown_total`, so that none is lost in silence. The size of
//! a response is counted as it is handed to the connection, and recorded for every response, cut short or not.
//!
//! # What it costs
//!
//! The handles of a method and an endpoint are kept, and found without a lock. The layer itself allocates nothing on a
//! known endpoint, but for a counter where a request body has to be counted. axum boxes what any layer makes; with that, a
//! request costs no more than five allocations on top, which a test holds it to.
//!
//! [`MatchedPath`]: https://docs.rs/axum/latest/axum/extract/struct.MatchedPath.html
//! [`Router::layer`]: https://docs.rs/axum/latest/axum/struct.Router.html#method.layer

mod body;
mod counting;
mod exchange;
mod future;
mod labels;
mod layer;
mod metrics;

#[cfg(feature = "axum")]
pub use axum;
pub use {http, http_body, tower};

pub use crate::body::{RequestBody, ResponseBody};
pub use crate::counting::{CountingHttpLayer, CountingHttpService};
pub use crate::future::ResponseFuture;
pub use crate::labels::{Endpoint, ErrorType, Method, StatusClass, StatusCode, UNMATCHED};
pub use crate::layer::{HttpLayer, HttpService};
pub use crate::metrics::{HttpMetrics, catalogue};

/// A layer with metrics of its own, from the recorder that is installed: [`HttpMetrics::new`] and
/// [`layer`](HttpMetrics::layer) in one. Several routers of one process may each have one; their counts add up.
#[must_use]
#[track_caller]
pub fn layer() -> HttpLayer {
    HttpMetrics::new().layer()
}

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
