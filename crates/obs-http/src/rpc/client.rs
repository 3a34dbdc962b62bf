//! The layer for clients.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use super::call::Call;
use super::metrics::Rpc;
use crate::body::ResponseBody;
use crate::exchange::Exchange;
use crate::future::ResponseFuture;

/// Measures the calls of a gRPC client; made by [`rpc_client_layer`](crate::rpc_client_layer).
#[derive(Clone, Debug)]
pub struct RpcClientLayer(Arc<Rpc>);

/// A measured client.
#[derive(Clone, Debug)]
pub struct RpcClientService<S> {
    inner: S,
    rpc: Arc<Rpc>,
}

impl RpcClientLayer {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Rpc::client()))
    }
}

impl<S> Layer<S> for RpcClientLayer {
    type Service = RpcClientService<S>;

    fn layer(&self, inner: S) -> RpcClientService<S> {
        RpcClientService {
            inner,
            rpc: Arc::clone(&self.0),
        }
    }
}

impl<S, B, R> Service<Request<B>> for RpcClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::start(&self.rpc, request.uri().path(), request.headers(), None);
        ResponseFuture::of(Exchange::Rpc(Box::new(call)), || self.inner.call(request))
    }
}
