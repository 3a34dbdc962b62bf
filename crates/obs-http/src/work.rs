//! A layer for services that are none of HTTP: a consumer of a queue, a runner of jobs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use obs_core::{FunctionCalls, FunctionDuration, FunctionName, Outcome, Timed, Timer, Value};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// Measures any tower service by outcome and duration, as `#[track_calls]` and `#[track_duration]` measure a function:
/// `function_calls_total`, `function_duration_seconds` and `function_calls_in_flight`.
///
/// ```
/// use obs_http::WorkLayer;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// let consumer = WorkLayer::new("consume_fills").layer(service_fn(async |message: String| {
///     message.parse::<u64>()
/// }));
/// # drop(consumer.oneshot(String::from("1")));
/// ```
///
/// Work lasts from the call of the service to the end of its future. Dropped before that it is `cancelled`.
#[derive(Clone, Debug)]
pub struct WorkLayer(Arc<Work>);

#[derive(Debug)]
struct Work {
    calls: FunctionCalls,
    duration: FunctionDuration,
}

impl WorkLayer {
    /// Measures under a name, which is the label `function`.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Value<FunctionName>>) -> Self {
        let name = name.into();
        Self(Arc::new(Work {
            calls: FunctionCalls::new(name.clone()),
            duration: FunctionDuration::new(name),
        }))
    }
}

impl<S> Layer<S> for WorkLayer {
    type Service = WorkService<S>;

    fn layer(&self, inner: S) -> WorkService<S> {
        WorkService {
            inner,
            work: Arc::clone(&self.0),
        }
    }
}

/// A measured service.
#[derive(Clone, Debug)]
pub struct WorkService<S> {
    inner: S,
    work: Arc<Work>,
}

impl<S: Service<R>, R> Service<R> for WorkService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = WorkFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let timer = Timer::new(Running(Arc::clone(&self.work)), Outcome::Cancelled);
        WorkFuture {
            inner: self.inner.call(request),
            timer: Some(timer),
        }
    }
}

/// A piece of work under way.
struct Running(Arc<Work>);

impl Timed for Running {
    fn started(&self) {
        self.0.calls.started();
    }

    fn ended(&self, outcome: Outcome, elapsed: std::time::Duration) {
        self.0.calls.ended(outcome, elapsed);
        self.0.duration.ended(outcome, elapsed);
    }
}

pin_project! {
    /// The future of a measured service.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct WorkFuture<F> {
        #[pin]
        inner: F,
        timer: Option<Timer<Running>>,
    }
}

impl<F: Future<Output = Result<T, E>>, T, E> Future for WorkFuture<F> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Out here while the service runs, so that a panic in it drops the timer at once.
        let timer = this.timer.take();
        let polled = this.inner.poll(cx);
        if polled.is_pending() {
            *this.timer = timer;
            return Poll::Pending;
        }
        let result = ready!(polled);
        if let Some(timer) = timer {
            timer.finish(Outcome::of(&result));
        }
        Poll::Ready(result)
    }
}
