//! A tower layer that measures a server of HTTP and gRPC: one line for axum and tonic, two for any other tower service.
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
//! Install a recorder first (`obs-exporter` does): handles built before it have no effect, for ever, and are counted in
//! `obs_dead_handles`. Routes added *after* the layer are not measured; that is the place for a `/healthz` that would drown everything
//! else.
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
//! | `http_streams_open` | gauge | `endpoint`, `protocol` |
//! | `http_stream_duration_seconds` | histogram | `endpoint`, `protocol` |
//! | `http_streams_closed_total` | counter | `endpoint`, `protocol`, `reason` |
//! | `rpc_server_requests_total`, `rpc_client_requests_total` | counter | `rpc_service`, `method`, `code` |
//! | `rpc_server_request_duration_seconds`, `rpc_client_request_duration_seconds` | histogram | `rpc_service`, `method`, `code_class` |
//! | `rpc_server_messages_total`, `rpc_client_messages_total` | counter | `rpc_service`, `method`, `direction` |
//! | `rpc_server_requests_in_flight`, `rpc_client_requests_in_flight` | gauge | `rpc_service` |
//!
//! **A request lasts** from the call of the service until the response *body* has ended: its last frame or its trailers were handed to
//! the connection, or it was dropped. Until then it is in flight; all other metrics are recorded at the end, once. Responses whose body
//! is never sent end when they are handed over: those to `HEAD` and to a successful `CONNECT`, and those of status 1xx, 204 and 304. A
//! websocket therefore counts as an exchange that ended with its `101`, and an event stream (`text/event-stream`) as one that ended
//! with its head; what follows is a stream.
//!
//! **Streams** are open from then on until they have ended. An event stream is seen by the layer. A WebSocket leaves its sight, so the
//! handler takes a [`WebSocketMetrics`] and runs the socket in it. Their time is not that of a request, and a client that goes away is
//! no error: it is the `reason` `aborted`.
//!
//! **gRPC** is recognised by `content-type: application/grpc` and counts in families of its own, not in those of HTTP, where every call that
//! is answered has succeeded. `code` is the `grpc-status` of the trailers or, where there is nothing else, of the headers. An answer of
//! plain HTTP has the code that clients make of it; a call that is dropped is `CANCELLED`, or `DEADLINE_EXCEEDED` where its
//! `grpc-timeout` has passed; one that panics is `INTERNAL`. Clients choose the words of a path: a method is known once one of its calls
//! has had an answer that only a method gives, or by [`HttpLayer::rpc_methods`], and `other` until then. Messages of responses are
//! counted, those of requests with axum's bodies and with [`HttpLayer::count_request_bodies`], which tonic's server takes too.
//! [`rpc_client_layer`] does the same for a client, whose own words are known; of the messages it counts those that it receives.
//! gRPC-Web counts as HTTP.
//!
//! **Layers around layers**: in a router, a request that the layer of an outer router measures is not measured again by that of a
//! nested one.
//!
//! **Other services**: [`WorkLayer`] measures any tower service, such as a consumer of a queue, by outcome and duration.
//!
//! **`endpoint`** is the template of the route, such as `/orders/{id}`: in axum 0.8 the [`MatchedPath`], nested routers included,
//! elsewhere the result of [`HttpLayer::endpoint_by`]. It is `unmatched` where no route matched, and never the requested path, so a
//! scanner that tries 100,000 paths creates one series. A path under axum's `nest_service` has no template and is `unmatched` too.
//!
//! **`method`** is one of the nine standard methods and `PATCH`, or `other`.
//!
//! **`status_code`** is the code that was sent. A request without a response counts too, with the error type in place of the code:
//! `aborted`, `panic`, `timeout` or `server_error`. So the sum over `status_code` equals the requests begun minus those in flight.
//! `status_class` is `2xx` and so on, or `none` without a response.
//!
//! **`error_type`** follows from the status if that is an error, and otherwise from how the request ended. A request counts at most once:
//!
//! | error type | status | or |
//! |---|---|---|
//! | `timeout` | 408, 504 | the service failed with [`tower::timeout::error::Elapsed`], bare or boxed |
//! | `client_error` | other 4xx | |
//! | `server_error` | other 5xx | the service failed with any other error, or the response body did |
//! | `aborted` | | the response future or body was dropped before its end: the client went away |
//! | `panic` | | the service or the response body panicked |
//!
//! Errors and panics pass through unchanged. Put the layer outermost: a timeout *around* it drops the request, which the layer cannot
//! tell from a client that disconnected, and counts as `aborted`; a response made by an outer layer is not seen at all. With
//! [`Router::layer`] outermost means added last.
//!
//! **Sizes** are those of bodies, without headers. The size of a request is what its body or `Content-Length` declares, up to 64 KiB. A body
//! that declares more, which may be a lie, or nothing, such as a chunked one, is counted as the service reads it: with axum 0.8 by default, elsewhere with
//! [`HttpLayer::count_request_bodies`], since that changes the type of the body. A request whose size can be neither known nor counted
//! is counted in `http_request_size_unknown_total`, so that none is lost silently. The size of a response is counted as it is handed to
//! the connection, and recorded for every response, complete or not.
//!
//! # What it costs
//!
//! The handles of a method and an endpoint are cached and found without a lock. On a known endpoint the layer itself allocates nothing,
//! except a counter where a request body has to be counted. axum boxes what any layer returns; including that, a request costs at most
//! five allocations, which a test checks.
//!
//! # Versions
//!
//! It works with every server on `http` 1 and `tower` 0.5: axum 0.8 and tonic by default, axum 0.7 with
//! [`endpoint_by`](HttpLayer::endpoint_by), without which it warns that all requests of axum 0.7 are `unmatched`. `axum`, `http`, `http_body` and `tower` are re-exported, since their types are part of this
//! crate's interface.
//!
//! # Features
//!
//! - `axum`, on by default: endpoints from axum 0.8's matched path, and its request bodies counted in place.
//! - `serde`: labels through serde.
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
mod rpc;
mod streams;
mod work;

#[cfg(feature = "axum")]
pub use axum;
pub use {http, http_body, tower};

pub use crate::body::{RequestBody, ResponseBody};
pub use crate::counting::{CountingHttpLayer, CountingHttpService};
pub use crate::future::ResponseFuture;
pub use crate::labels::{Endpoint, ErrorType, Method, StatusClass, StatusCode, UNMATCHED};
pub use crate::layer::{HttpLayer, HttpService};
pub use crate::metrics::{HttpMetrics, catalogue};
pub use crate::rpc::{
    CodeClass, Direction, RpcClientLayer, RpcClientService, RpcCode, RpcMethod, RpcService,
};
pub use crate::streams::{StreamEnd, StreamProtocol, WebSocketMetrics};
pub use crate::work::{WorkFuture, WorkLayer, WorkService};

/// A layer with metrics of its own, from the recorder that is installed: [`HttpMetrics::new`] and
/// [`layer`](HttpMetrics::layer) in one. Several routers of one process may each have one; their counts add up.
#[must_use]
#[track_caller]
pub fn layer() -> HttpLayer {
    HttpMetrics::new().layer()
}

/// A layer for a gRPC client, which measures its calls in `rpc_client_…`: around tonic's `Channel`, say.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
///
/// # let channel = service_fn(async |_: Request<String>| {
/// #     Ok::<_, std::io::Error>(Response::new(String::new()))
/// # });
/// let measured = ServiceBuilder::new()
///     .layer(obs_http::rpc_client_layer()) // once, at start-up
///     .service(channel);
/// # drop(measured);
/// ```
#[must_use]
#[track_caller]
pub fn rpc_client_layer() -> RpcClientLayer {
    RpcClientLayer::new()
}

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
