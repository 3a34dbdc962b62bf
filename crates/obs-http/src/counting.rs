//! The layer for services whose request bodies cannot be counted in place.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use crate::body::{RequestBody, ResponseBody};
use crate::exchange::{RequestSize, declared_size};
use crate::future::ResponseFuture;
use crate::layer::HttpLayer;
use crate::rpc::is_rpc;

/// An [`HttpLayer`] that hands the service a [`RequestBody`] around the body it was given.
#[derive(Clone, Debug)]
pub struct CountingHttpLayer(HttpLayer);

impl CountingHttpLayer {
    pub(crate) fn new(layer: HttpLayer) -> Self {
        Self(layer)
    }
}

impl<S> Layer<S> for CountingHttpLayer {
    type Service = CountingHttpService<S>;

    fn layer(&self, inner: S) -> CountingHttpService<S> {
        CountingHttpService {
            inner,
            layer: self.0.clone(),
        }
    }
}

/// A measured service that takes a [`RequestBody`].
#[derive(Clone, Debug)]
pub struct CountingHttpService<S> {
    inner: S,
    layer: HttpLayer,
}

impl<S, B, R> Service<Request<B>> for CountingHttpService<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    S::Error: 'static,
    B: Body,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let is_rpc = is_rpc(&parts.headers);
        let declared = declared_size(&parts.headers, &body).filter(|_| !is_rpc);
        let (body, size) = if let Some(size) = declared {
            (RequestBody::declared(body), RequestSize::Declared(size))
        } else {
            let (body, read) = RequestBody::counted(body, is_rpc);
            (body, RequestSize::Counted(read))
        };
        let exchange = self.layer.start(&mut parts, size);
        let request = Request::from_parts(parts, body);
        ResponseFuture::of(exchange, || self.inner.call(request))
    }
}
