//! The layer for clients.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::call::{Call, Fault};
use super::metrics::Rpc;
use crate::labels::ErrorType;

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
    type Response = Response<RpcBody<R>>;
    type Error = S::Error;
    type Future = RpcClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::start(&self.rpc, request.uri().path(), request.headers(), None);
        RpcClientFuture {
            inner: self.inner.call(request),
            call: Some(call),
        }
    }
}

pin_project! {
    /// The response future of a measured client. Dropped before its end, the call was `CANCELLED`, or `DEADLINE_EXCEEDED` where
    /// its deadline had passed.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct RpcClientFuture<F> {
        #[pin]
        inner: F,
        // Nothing once the response has it.
        call: Option<Call>,
    }
}

impl<F, B, E> Future for RpcClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<RpcBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let mut call = this.call.take();
        if let Some(call) = &mut call {
            match &result {
                Ok(response) => {
                    let has_ended = response.body().is_end_stream();
                    call.reply(response.status(), response.headers(), has_ended);
                }
                Err(error) => call.end(Some(match ErrorType::of_failure(error) {
                    ErrorType::Timeout => Fault::TimedOut,
                    _ => Fault::Failed,
                })),
            }
        }
        Poll::Ready(result.map(|response| response.map(|inner| RpcBody { inner, call })))
    }
}

pin_project! {
    /// The body of a response to a measured client. The call ends with its trailers.
    #[derive(Debug)]
    pub struct RpcBody<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
    }
}

impl<B: Body> Body for RpcBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        if let (Poll::Ready(next), Some(call)) = (&polled, this.call) {
            match next {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        call.sent(data);
                    } else if let Some(trailers) = frame.trailers_ref() {
                        call.trailers(trailers);
                        call.end(None);
                    }
                }
                Some(Err(_)) => call.end(Some(Fault::Failed)),
                None => call.end(None),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
