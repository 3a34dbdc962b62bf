//! Bodies that count what passes through them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::exchange::{Exchange, Read, Watch};
use crate::labels::ErrorType;
use crate::rpc::Messages;

pin_project! {
    /// The body of a measured response, of a server or of a gRPC client: the inner one, frame by frame. The request ends when it
    /// does; dropped before its end, the request was `aborted`, or the call `CANCELLED`.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        // Nothing where the future was polled again after its end.
        exchange: Option<Exchange>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, exchange: Option<Exchange>) -> Self {
        Self { inner, exchange }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let mut inner = this.inner;
        let watch = Watch::over(this.exchange.as_mut());
        let polled = inner.as_mut().poll_frame(cx);
        let has_frame = matches!(polled, Poll::Ready(Some(Ok(_))));
        let has_ended = has_frame && inner.is_end_stream();
        watch.passed();
        // By reference: moving a frame out and back in costs as much as recording it.
        if let (Poll::Ready(next), Some(exchange)) = (&polled, this.exchange) {
            match next {
                Some(Ok(frame)) => {
                    exchange.sent(frame);
                    // A server need not ask again after the last frame, and does not after trailers.
                    if frame.is_trailers() || has_ended {
                        exchange.end(None);
                    }
                }
                Some(Err(_)) => exchange.end(Some(ErrorType::ServerError)),
                None => exchange.end(None),
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

pin_project! {
    /// The body of a request, counted as it is read where its size was not declared or is not to be believed.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Option<Arc<Read>>,
        messages: Option<Messages>,
    }
}

impl<B> RequestBody<B> {
    /// A body whose size is declared and need not be counted.
    pub(crate) fn declared(inner: B) -> Self {
        Self {
            inner,
            read: None,
            messages: None,
        }
    }

    /// A body that is counted, of gRPC by its messages too.
    pub(crate) fn counted(inner: B, is_rpc: bool) -> (Self, Arc<Read>) {
        let read = Arc::new(Read::default());
        let counted = Self {
            inner,
            read: Some(Arc::clone(&read)),
            messages: is_rpc.then(Messages::default),
        };
        (counted, read)
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = ready!(this.inner.poll_frame(cx));
        if let (Some(read), Some(Ok(frame))) = (this.read, &polled)
            && let Some(data) = frame.data_ref()
        {
            let bytes = bytes::Buf::remaining(data) as u64;
            read.bytes.fetch_add(bytes, Ordering::Relaxed);
            if let Some(messages) = this.messages {
                messages.take(data);
                read.messages.store(messages.count(), Ordering::Relaxed);
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Counts a body without changing its type, where the type allows it: axum's can hold any other, so it is put into a
/// counted one.
#[cfg(feature = "axum")]
pub(crate) fn count_in_place<B: 'static>(body: &mut B, is_rpc: bool) -> Option<Arc<Read>> {
    let any: &mut dyn std::any::Any = body;
    let held = any.downcast_mut::<axum::body::Body>()?;
    let (counted, read) = RequestBody::counted(std::mem::take(held), is_rpc);
    *held = axum::body::Body::new(counted);
    Some(read)
}

/// Without axum there is no body that could be counted in place.
#[cfg(not(feature = "axum"))]
pub(crate) fn count_in_place<B: 'static>(_: &mut B, _: bool) -> Option<Arc<Read>> {
    None
}
