//! Bodies that count what passes through them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::exchange::{Exchange, RequestSize, Watch};
use crate::labels::ErrorType;

pin_project! {
    /// The body of a measured response: the inner one, frame by frame. The request ends when it does; dropped before its
    /// end, the request was `aborted`.
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
                    exchange.sent(length(frame));
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
    /// The body of a request, counted as it is read where its size was not declared.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        read: Option<Arc<AtomicU64>>,
    }
}

impl<B> RequestBody<B> {
    /// A body whose size is declared and need not be counted.
    pub(crate) fn declared(inner: B) -> Self {
        Self { inner, read: None }
    }

    /// A body that is counted.
    pub(crate) fn counted(inner: B) -> (Self, RequestSize) {
        let read = Arc::new(AtomicU64::new(0));
        let size = RequestSize::Counted(Arc::clone(&read));
        (
            Self {
                inner,
                read: Some(read),
            },
            size,
        )
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
        if let (Some(read), Some(Ok(frame))) = (this.read, &polled) {
            read.fetch_add(length(frame) as u64, Ordering::Relaxed);
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
pub(crate) fn count_in_place<B: 'static>(body: &mut B) -> RequestSize {
    let any: &mut dyn std::any::Any = body;
    let Some(held) = any.downcast_mut::<axum::body::Body>() else {
        return RequestSize::Unknown;
    };
    let (counted, size) = RequestBody::counted(std::mem::take(held));
    *held = axum::body::Body::new(counted);
    size
}

/// Without axum there is no body that could be counted in place.
#[cfg(not(feature = "axum"))]
pub(crate) fn count_in_place<B: 'static>(_: &mut B) -> RequestSize {
    RequestSize::Unknown
}

/// The bytes of a frame; trailers have none.
fn length<D: bytes::Buf>(frame: &Frame<D>) -> usize {
    frame.data_ref().map_or(0, bytes::Buf::remaining)
}
