//! The response, until its head is there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::ResponseBody;
use crate::exchange::{Exchange, Watch};
use crate::labels::ErrorType;

pin_project! {
    /// The response future of a measured service, or of a gRPC client. Dropped before its end, the request was `aborted`, or the
    /// call `CANCELLED`; or `DEADLINE_EXCEEDED` where its deadline had passed.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Nothing once the response has it.
        exchange: Option<Exchange>,
    }
}

impl<F> ResponseFuture<F> {
    /// Calls the service, and waits for its response.
    #[inline]
    pub(crate) fn of(mut exchange: Exchange, call: impl FnOnce() -> F) -> Self {
        let watch = Watch::over(Some(&mut exchange));
        let inner = call();
        watch.passed();
        Self {
            inner,
            exchange: Some(exchange),
        }
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
        let watch = Watch::over(this.exchange.as_mut());
        let polled = this.inner.poll(cx);
        watch.passed();
        let result = ready!(polled);
        if let Some(exchange) = this.exchange {
            match &result {
                Ok(response) => exchange.reply(response),
                Err(error) => exchange.end(Some(ErrorType::of_failure(error))),
            }
        }
        Poll::Ready(result.map(|response| {
            let exchange = this.exchange.take();
            response.map(|body| ResponseBody::new(body, exchange))
        }))
    }
}
