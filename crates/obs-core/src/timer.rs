//! Timing: a guard, a closure and a future, each of which knows how the work ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::{
    By, Closed, Counter, Histogram, InFlight, Late, Outcome, PanicWatch, Series, Summary,
    TimeCounter,
};

/// Something that can be timed: it learns when work ends, how, and how long it took.
///
/// Implemented for a [`Histogram`], a [`Summary`] and a [`TimeCounter`], which take the time and do not ask for the
/// outcome; for [`By<Outcome, …>`](By) and [`Late<Outcome, …>`](Late) of those, which do; for [`By<Outcome, Counter>`],
/// which counts; and for pairs, so that one guard can move several metrics:
///
/// ```
/// use obs_core::{By, Counter, Histogram, Outcome, Timed, buckets};
///
/// obs_core::families! {
///     /// Quotes.
///     pub struct QuoteMetrics {
///         /// Quotes asked for.
///         pub quotes: By<Outcome, Counter> = "desk_quotes_total",
///         /// How long a quote takes.
///         pub time: Histogram = "desk_quote_duration_seconds" { buckets: buckets::LATENCY },
///     }
/// }
///
/// let test = obs_core::TestRecorder::new();
/// let metrics = test.run(|| QuoteMetrics::new());
/// let price: Result<f64, String> = (&metrics.quotes, &metrics.time).time_result(|| Err("no quote".into()));
///
/// assert_eq!(test.counter("desk_quotes_total", &[("outcome", "error")]), Some(1));
/// assert_eq!(test.samples("desk_quote_duration_seconds", &[]).map(|samples| samples.len()), Some(1));
/// ```
pub trait Timed {
    /// Work begins.
    fn started(&self) {}

    /// Work has ended.
    fn ended(&self, outcome: Outcome, elapsed: Duration);

    /// Starts a guard that is to be told the outcome by [`finish`](Timer::finish) or [`result`](Timer::result). Dropped
    /// without, it records `cancelled`, or `panicked` where a panic drops it.
    fn start(&self) -> Timer<&Self> {
        Timer::new(self, Outcome::Cancelled)
    }

    /// Starts a guard for a scope whose end is a success: dropped, it records `ok`, or `panicked` where a panic drops it.
    /// Not for a scope with `.await` in it: a cancelled one would count as `ok`.
    fn scope(&self) -> Timer<&Self> {
        Timer::new(self, Outcome::Ok)
    }

    /// Times a closure: `ok`, or `panicked`.
    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let timer = self.start();
        let value = work();
        timer.finish(Outcome::Ok);
        value
    }

    /// Times a closure that may fail: `ok`, `error` or `panicked`.
    fn time_result<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let timer = self.start();
        timer.result(work())
    }

    /// Times a future from its first poll: `ok`, `cancelled` when it is dropped before its end, or `panicked`.
    fn time_future<F: Future>(self, future: F) -> TimedFuture<F, Self>
    where
        Self: Sized,
    {
        TimedFuture::new(future, self, |_| Outcome::Ok)
    }

    /// Times a future that may fail, from its first poll: `ok`, `error`, `cancelled` or `panicked`.
    fn time_result_future<F, T, E>(self, future: F) -> TimedFuture<F, Self>
    where
        Self: Sized,
        F: Future<Output = Result<T, E>>,
    {
        TimedFuture::new(future, self, Outcome::of)
    }
}

/// Times work until its outcome is given or it is dropped.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once times nothing"]
pub struct Timer<T: Timed> {
    timed: T,
    start: Instant,
    /// What being dropped means; nothing once the end was recorded.
    on_drop: Option<Outcome>,
    panics: PanicWatch,
}

impl<T: Timed> Timer<T> {
    /// Starts timing; `on_drop` is the outcome when nobody tells another and nothing panics.
    pub fn new(timed: T, on_drop: Outcome) -> Self {
        timed.started();
        Self {
            timed,
            start: Instant::now(),
            on_drop: Some(on_drop),
            panics: PanicWatch::start(),
        }
    }

    /// The time so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends with this outcome, and returns the time that was recorded.
    pub fn finish(mut self, outcome: Outcome) -> Duration {
        self.on_drop = None;
        let elapsed = self.elapsed();
        self.timed.ended(outcome, elapsed);
        elapsed
    }

    /// Ends with `ok` or `error`, as the result is, and hands it on.
    pub fn result<V, E>(self, result: Result<V, E>) -> Result<V, E> {
        self.finish(Outcome::of(&result));
        result
    }
}

impl<T: Timed> Drop for Timer<T> {
    fn drop(&mut self) {
        if let Some(outcome) = self.on_drop.take() {
            let panicked = self.panics.has_panicked();
            let outcome = if panicked { Outcome::Panicked } else { outcome };
            self.timed.ended(outcome, self.start.elapsed());
        }
    }
}

pin_project! {
    /// A future whose time is recorded, from its first poll to its end.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct TimedFuture<F: Future, T: Timed> {
        #[pin]
        future: F,
        state: State<T>,
        judge: fn(&F::Output) -> Outcome,
    }
}

#[derive(Debug)]
enum State<T: Timed> {
    NotStarted(T),
    Running(Timer<T>),
    Ended,
}

impl<F: Future, T: Timed> TimedFuture<F, T> {
    /// Times a future, judging its output.
    pub fn new(future: F, timed: T, judge: fn(&F::Output) -> Outcome) -> Self {
        Self {
            future,
            state: State::NotStarted(timed),
            judge,
        }
    }
}

impl<F: Future, T: Timed> Future for TimedFuture<F, T> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Who catches a panic around `poll` may drop the future afterwards, when nothing unwinds any more: so the timer is
        // out here while the future runs, where a panic drops it.
        let timer = match std::mem::replace(this.state, State::Ended) {
            State::NotStarted(timed) => Some(Timer::new(timed, Outcome::Cancelled)),
            State::Running(timer) => Some(timer),
            State::Ended => None,
        };
        let polled = this.future.poll(cx);
        match (&polled, timer) {
            (Poll::Ready(output), Some(timer)) => {
                timer.finish((this.judge)(output));
            }
            (Poll::Pending, Some(timer)) => *this.state = State::Running(timer),
            (_, None) => {}
        }
        polled
    }
}

impl<T: Timed + ?Sized> Timed for &T {
    fn started(&self) {
        (**self).started();
    }

    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        (**self).ended(outcome, elapsed);
    }
}

impl<T: Timed + ?Sized> Timed for Arc<T> {
    fn started(&self) {
        (**self).started();
    }

    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        (**self).ended(outcome, elapsed);
    }
}

impl<A: Timed, B: Timed> Timed for (A, B) {
    fn started(&self) {
        self.0.started();
        self.1.started();
    }

    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self.0.ended(outcome, elapsed);
        self.1.ended(outcome, elapsed);
    }
}

impl Timed for Histogram {
    fn ended(&self, _: Outcome, elapsed: Duration) {
        self.record(elapsed);
    }
}

impl Timed for Summary {
    fn ended(&self, _: Outcome, elapsed: Duration) {
        self.record(elapsed);
    }
}

impl Timed for TimeCounter {
    fn ended(&self, _: Outcome, elapsed: Duration) {
        self.add(elapsed);
    }
}

/// Counts one, whatever the outcome; inside a [`By<Outcome, _>`](By) it counts by outcome.
impl Timed for Counter {
    fn ended(&self, _: Outcome, _: Duration) {
        self.increment(1);
    }
}

/// Work under way ends with the timer; the gauge goes down by the guard itself.
impl Timed for InFlight {
    fn ended(&self, _: Outcome, _: Duration) {}
}

impl<T: Timed> Timed for By<Outcome, T> {
    fn started(&self) {}

    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self[outcome].ended(outcome, elapsed);
    }
}

impl<T: Timed + Series> Timed for Late<Outcome, T>
where
    Outcome: Closed,
{
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self[outcome].ended(outcome, elapsed);
    }
}
