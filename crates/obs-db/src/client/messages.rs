//! Messages of subscriptions, counted as they come in.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::Stream;
use pin_project_lite::pin_project;
use redis::Msg;

use crate::client::metrics::RedisMetrics;

pin_project! {
    /// A stream of messages that counts them; made by [`RedisMetrics::messages`].
    #[derive(Debug)]
    pub struct Messages<S> {
        #[pin]
        stream: S,
        metrics: RedisMetrics,
        ended: bool,
    }
}

impl RedisMetrics {
    /// Counts the messages of a stream as they are read, such as that of `PubSub::on_message`.
    pub fn messages<S: Stream<Item = Msg>>(&self, stream: S) -> Messages<S> {
        Messages {
            stream,
            metrics: self.clone(),
            ended: false,
        }
    }
}

impl<S: Stream<Item = Msg>> Stream for Messages<S> {
    type Item = Msg;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Msg>> {
        let this = self.project();
        let polled = this.stream.poll_next(cx);
        match &polled {
            Poll::Ready(Some(message)) => this.metrics.message(message),
            // Such a stream ends with its connection. One that is dropped was given up by the program.
            Poll::Ready(None) if !*this.ended => {
                *this.ended = true;
                this.metrics.subscription_lost();
            }
            _ => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
