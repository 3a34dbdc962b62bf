//! The layer and the service it makes.

use std::any::TypeId;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::header::UPGRADE;
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{ResponseBody, count_in_place};
use crate::counting::CountingHttpLayer;
use crate::exchange::{Exchange, RequestSize, declared_size};
use crate::future::ResponseFuture;
use crate::labels::{ErrorType, UNMATCHED};
use crate::metrics::HttpMetrics;
use crate::rpc::{Call, is_rpc};
use crate::streams::WebSocketMetrics;

/// Measures the services it is put around. See the [crate] page for what counts as what.
#[derive(Clone)]
pub struct HttpLayer {
    metrics: HttpMetrics,
    /// By default it is axum's matched path.
    endpoint_by: Option<Arc<EndpointBy>>,
}

type EndpointBy = dyn for<'a> Fn(&'a Parts) -> Option<&'a str> + Send + Sync;

impl HttpLayer {
    /// A layer that records to these metrics.
    #[must_use]
    pub fn new(metrics: HttpMetrics) -> Self {
        Self {
            metrics,
            endpoint_by: None,
        }
    }

    /// Says what endpoint a request goes to, for servers other than axum; `None` is `unmatched`. It is asked before the
    /// service is called.
    ///
    /// Answer with a name or template of your own, never with the path: every new answer makes series, and beyond 200
    /// all are `other`. Where it panics, the request is counted as a `panic` of `unmatched`.
    ///
    /// ```
    /// use http::{Method, Request, Response};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// let layer = obs_http::layer().endpoint_by(|parts| match (&parts.method, parts.uri.path()) {
    ///     (&Method::GET, "/orders") => Some("/orders"),
    ///     (_, path) if path.starts_with("/orders/") => Some("/orders/{id}"),
    ///     _ => None,
    /// });
    /// let service = layer.layer(service_fn(async |_: Request<String>| {
    ///     Ok::<_, std::io::Error>(Response::new(String::new()))
    /// }));
    /// # drop(service.oneshot(Request::new(String::new())));
    /// ```
    #[must_use]
    pub fn endpoint_by(
        mut self,
        name: impl for<'a> Fn(&'a Parts) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        self.endpoint_by = Some(Arc::new(name));
        self
    }

    /// Makes the series of gRPC methods exist before their first call. What is not named here is known by its first call that a
    /// method has answered; calls before that, and all of methods that do not exist, count under `other`.
    ///
    /// ```
    /// let layer = obs_http::layer().rpc_methods("grpc.health.v1.Health", ["Check", "Watch"]);
    /// ```
    #[must_use]
    pub fn rpc_methods<'a>(
        self,
        service: &str,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        for method in methods {
            self.metrics.rpc().prepare(service, method);
        }
        self
    }

    /// Counts the bodies of requests that do not declare their size, of whatever type, by handing the service a
    /// [`RequestBody`](crate::RequestBody) around them. With axum there is no need: its bodies are counted without.
    #[must_use]
    pub fn count_request_bodies(self) -> CountingHttpLayer {
        CountingHttpLayer::new(self)
    }

    /// Starts measuring a request, unless a layer further out does already.
    pub(crate) fn start(&self, parts: &mut Parts, size: RequestSize) -> Exchange {
        if is_measured(&mut parts.extensions) {
            return Exchange::Measured;
        }
        if is_rpc(&parts.headers) {
            return self.call(parts.uri.path(), &parts.headers, size);
        }
        let exchange = self.start_http(parts, size);
        if asks_for_websocket(&parts.headers) {
            offer_streams(&exchange, &mut parts.extensions);
        }
        exchange
    }

    fn start_http(&self, parts: &Parts, size: RequestSize) -> Exchange {
        let endpoint = match &self.endpoint_by {
            Some(name) => catch_unwind(AssertUnwindSafe(|| name(parts))).unwrap_or_else(|panic| {
                self.start_at(&parts.method, None, RequestSize::Unknown)
                    .end(Some(ErrorType::Panic));
                resume_unwind(panic)
            }),
            None => matched_path(&parts.extensions),
        };
        self.start_at(&parts.method, endpoint, size)
    }

    fn call(&self, path: &str, headers: &HeaderMap, size: RequestSize) -> Exchange {
        let asked = match size {
            RequestSize::Counted(read) => Some(read),
            RequestSize::Declared(_) | RequestSize::Unknown => None,
        };
        Exchange::Rpc(Box::new(Call::start(
            self.metrics.rpc(),
            path,
            headers,
            asked,
        )))
    }

    /// Starts measuring a request whose endpoint is known, or unmatched.
    fn start_at(&self, method: &Method, endpoint: Option<&str>, size: RequestSize) -> Exchange {
        let endpoint = endpoint.unwrap_or(UNMATCHED);
        let route = self.metrics.route(method.into(), endpoint);
        Exchange::start(route, size)
    }
}

/// On a request that is measured.
#[derive(Clone, Copy)]
struct Measured;

/// Whether a layer further out measures the request, such as that of the router around a nested one. From now on one does.
fn is_measured(extensions: &mut Extensions) -> bool {
    // Routers nest; they leave traces in the extensions. Where there are none, a mark would cost an allocation for nothing.
    !extensions.is_empty() && extensions.insert(Measured).is_some()
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(http::HeaderValue::as_bytes);
    protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Gives the handler of a WebSocket what to measure it by.
fn offer_streams(exchange: &Exchange, to: &mut Extensions) {
    if let Some(route) = exchange.route() {
        to.insert(WebSocketMetrics::of(Arc::clone(route)));
    }
}

/// Says so where a request comes from a version of axum whose matched path this crate does not know: every request of it is
/// `unmatched`.
fn warn_of_other_axum<B: 'static>() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if is_other_axum::<B>() && !SAID.swap(true, Ordering::Relaxed) {
        obs_core::warn_unseen(
            "obs-http measures a router of another version of axum than 0.8 and cannot see its routes: every request counts as \
             `unmatched`; use axum 0.8, or name the routes with `HttpLayer::endpoint_by`",
        );
    }
}

fn is_other_axum<B: 'static>() -> bool {
    let is_ours = TypeId::of::<B>() == our_axum();
    !is_ours && std::any::type_name::<B>() == "axum_core::body::Body"
}

#[cfg(feature = "axum")]
fn our_axum() -> TypeId {
    TypeId::of::<axum::body::Body>()
}

/// None of them is known.
#[cfg(not(feature = "axum"))]
fn our_axum() -> TypeId {
    TypeId::of::<()>()
}

#[cfg(feature = "axum")]
fn matched_path(extensions: &Extensions) -> Option<&str> {
    let path = extensions.get::<axum::extract::MatchedPath>()?;
    Some(path.as_str())
}

#[cfg(not(feature = "axum"))]
fn matched_path(_: &Extensions) -> Option<&str> {
    None
}

impl fmt::Debug for HttpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer")
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A measured service.
#[derive(Clone, Debug)]
pub struct HttpService<S> {
    inner: S,
    layer: HttpLayer,
}

impl<S, B, R> Service<Request<B>> for HttpService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    B: Body + 'static,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if is_measured(request.extensions_mut()) {
            return ResponseFuture::of(Exchange::Measured, || self.inner.call(request));
        }
        let is_rpc = is_rpc(request.headers());
        let declared = declared_size(request.headers(), request.body()).filter(|_| !is_rpc);
        let size = declared.map_or_else(
            || {
                let read = count_in_place(request.body_mut(), is_rpc);
                read.map_or(RequestSize::Unknown, RequestSize::Counted)
            },
            RequestSize::Declared,
        );
        let exchange = if is_rpc {
            let path = request.uri().path();
            self.layer.call(path, request.headers(), size)
        } else if self.layer.endpoint_by.is_some() {
            // A request is large: it is taken apart only where its parts are asked for.
            let (parts, body) = request.into_parts();
            let exchange = self.layer.start_http(&parts, size);
            request = Request::from_parts(parts, body);
            exchange
        } else {
            let endpoint = matched_path(request.extensions());
            if endpoint.is_none() {
                warn_of_other_axum::<B>();
            }
            self.layer.start_at(request.method(), endpoint, size)
        };
        if asks_for_websocket(request.headers()) {
            offer_streams(&exchange, request.extensions_mut());
        }
        ResponseFuture::of(exchange, || self.inner.call(request))
    }
}
