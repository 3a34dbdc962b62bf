//! The response, until its head is there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::ResponseBody;
use crate::exchange::{Exchange, watched};
use crate::labels::ErrorType;

pin_project! {
    /// The response future of a measured service. Dropped before its end, the request was `aborted`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
    }
}

impl<F> ResponseFuture<F> {
    /// Calls the service, and waits for its response.
    pub(crate) fn of(exchange: Exchange, call: impl FnOnce() -> F) -> Self {
        let mut exchange = Some(exchange);
        let inner = watched(&mut exchange, call);
        Self { inner, exchange }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(watched(this.exchange, || this.inner.poll(cx)));
        let exchange = this.exchange.take();
        Poll::Ready(match (result, exchange) {
            (Ok(response), Some(exchange)) => Ok(exchange.reply(response)),
            (Err(error), Some(exchange)) => {
                exchange.end(Some(ErrorType::of_failure(&error)));
                Err(error)
            }
            // Polled again after its end.
            (result, None) => result.map(|r| r.map(|body| ResponseBody::new(body, None))),
        })
    }
}
