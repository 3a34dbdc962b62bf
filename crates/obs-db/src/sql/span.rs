//! The mark by which the tracing layer knows that a query is measured already.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::Stream;
#[cfg(feature = "tracing")]
use tracing::level_filters::LevelFilter;

#[cfg(feature = "tracing")]
use crate::sql::layer::{NAME, TARGET};

/// A span around one query. sqlx reports the query inside of it, on whatever thread: `SQLite`'s carries it to its own.
///
/// It is of the highest level, so that no filter drops it and keeps the event within. Where nobody listens there
/// is none: entering and leaving one that is disabled would still ask `log` each time. Without the `tracing` feature there is
/// not even the question.
#[derive(Debug)]
pub(crate) struct Mark {
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
}

impl Mark {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: (LevelFilter::current() != LevelFilter::OFF)
                .then(|| tracing::error_span!(target: TARGET, NAME)),
        }
    }

    #[cfg_attr(
        not(feature = "tracing"),
        expect(
            clippy::unused_self,
            reason = "without `tracing` there is no span to enter"
        )
    )]
    fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _inside = self.span.as_ref().map(tracing::Span::enter);
        work()
    }
}

/// A future or stream of the driver that is made, polled and dropped inside of its mark.
#[derive(Debug)]
pub(crate) struct Marked<T> {
    /// Gone once it was dropped.
    inner: Option<T>,
    mark: Mark,
}

impl<T> Marked<T> {
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        let mark = Mark::new();
        let inner = Some(mark.inside(make));
        Self { inner, mark }
    }
}

impl<T> Drop for Marked<T> {
    fn drop(&mut self) {
        let Self { inner, mark } = self;
        mark.inside(|| *inner = None);
    }
}

impl<T: Future + Unpin> Future for Marked<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let Self { inner, mark } = &mut *self;
        match inner {
            Some(future) => mark.inside(|| Pin::new(future).poll(cx)),
            None => Poll::Pending,
        }
    }
}

impl<T: Stream + Unpin> Stream for Marked<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T::Item>> {
        let Self { inner, mark } = &mut *self;
        match inner {
            Some(stream) => mark.inside(|| Pin::new(stream).poll_next(cx)),
            None => Poll::Ready(None),
        }
    }
}
