//! The layer and the service it makes.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Extensions, Method, Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{ResponseBody, count_in_place};
use crate::counting::CountingHttpLayer;
use crate::exchange::{Exchange, RequestSize, declared_size};
use crate::future::ResponseFuture;
use crate::labels::{ErrorType, UNMATCHED};
use crate::metrics::HttpMetrics;

/// Measures the services it is put around. See the [crate] page for what counts as what.
#[derive(Clone)]
pub struct HttpLayer {
    metrics: HttpMetrics,
    /// Unless told, axum's matched path.
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

    /// Counts the bodies of requests that do not declare their size, of whatever type, by handing the service a
    /// [`RequestBody`](crate::RequestBody) around them. With axum there is no need: its bodies are counted without.
    #[must_use]
    pub fn count_request_bodies(self) -> CountingHttpLayer {
        CountingHttpLayer::new(self)
    }

    /// Starts measuring a request.
    pub(crate) fn start(&self, parts: &Parts, size: RequestSize) -> Exchange {
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

    /// Starts measuring a request whose endpoint is known, or unmatched.
    fn start_at(&self, method: &Method, endpoint: Option<&str>, size: RequestSize) -> Exchange {
        let endpoint = endpoint.unwrap_or(UNMATCHED);
        let route = self.metrics.route(method.into(), endpoint);
        Exchange::start(route, size)
    }
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
        let size = match declared_size(request.headers(), request.body()) {
            Some(size) => RequestSize::Declared(size),
            None => count_in_place(request.body_mut()),
        };
        let exchange = if self.layer.endpoint_by.is_some() {
            // A request is large: it is taken apart only for who asks for its parts.
            let (parts, body) = request.into_parts();
            let exchange = self.layer.start(&parts, size);
            request = Request::from_parts(parts, body);
            exchange
        } else {
            let endpoint = matched_path(request.extensions());
            self.layer.start_at(request.method(), endpoint, size)
        };
        ResponseFuture::of(exchange, || self.inner.call(request))
    }
}
