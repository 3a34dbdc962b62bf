//! A connection of a pool: the request for it, and how long it is held.

use std::sync::Arc;
use std::time::Instant;

use obs_core::{Outcome, PanicWatch};

use crate::pool::PoolMetrics;
use crate::pool::labels::{AcquireError, AcquireStage};

/// A request for a connection under way. Dropped before [`finish`](Self::finish) it was cancelled.
#[derive(Debug)]
pub(crate) struct Acquisition<'a> {
    metrics: &'a PoolMetrics,
    started: Instant,
    waited_until: Option<Instant>,
    panics: PanicWatch,
    ended: bool,
}

impl<'a> Acquisition<'a> {
    pub(crate) fn start(metrics: &'a PoolMetrics) -> Self {
        metrics.waiting.increment(1);
        Self {
            metrics,
            started: Instant::now(),
            waited_until: None,
            panics: PanicWatch::start(),
            ended: false,
        }
    }

    /// The wait has ended; what follows is not part of it.
    #[cfg(feature = "sqlx")]
    pub(crate) fn waited_until(&mut self, moment: Instant) {
        self.waited_until = Some(moment);
    }

    pub(crate) fn failed(&self, stage: AcquireStage, kind: AcquireError) {
        if kind == AcquireError::Timeout {
            self.metrics.timeouts.increment(1);
        }
        self.metrics.acquire_errors[stage][kind].increment(1);
    }

    /// Ends it, and returns the moment at which it ended.
    pub(crate) fn finish(mut self, outcome: Outcome) -> Instant {
        self.record(outcome)
    }

    fn record(&mut self, outcome: Outcome) -> Instant {
        self.ended = true;
        let now = Instant::now();
        let waited_until = self.waited_until.unwrap_or(now);
        self.metrics.acquire.record(waited_until - self.started);
        self.metrics.acquisitions[outcome].increment(1);
        self.metrics.waiting.decrement(1);
        now
    }
}

impl Drop for Acquisition<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record(self.panics.outcome());
        }
    }
}

/// The time for which a connection of the pool is held, recorded when this is dropped; and the metrics of the pool.
#[derive(Debug)]
pub(crate) struct Held<M: AsRef<PoolMetrics>> {
    /// Nothing for a connection of no pool.
    since: Option<Instant>,
    metrics: Arc<M>,
}

impl<M: AsRef<PoolMetrics>> Held<M> {
    pub(crate) fn since(since: Instant, metrics: Arc<M>) -> Self {
        Self {
            since: Some(since),
            metrics,
        }
    }
}

#[cfg(feature = "sqlx")]
impl<M: AsRef<PoolMetrics>> Held<M> {
    pub(crate) fn outside(metrics: Arc<M>) -> Self {
        Self {
            since: None,
            metrics,
        }
    }

    pub(crate) fn metrics(&self) -> &M {
        &self.metrics
    }

    /// The connection leaves the pool, which ends the time.
    pub(crate) fn end(self) -> Self {
        Self::outside(Arc::clone(&self.metrics))
    }
}

impl<M: AsRef<PoolMetrics>> Drop for Held<M> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            (*self.metrics).as_ref().held.record(since.elapsed());
        }
    }
}
