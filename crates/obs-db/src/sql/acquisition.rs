//! A connection of a pool: the wait for it, its opening, and how long it is held.

use std::sync::Arc;
use std::time::Instant;

use obs_core::{Outcome, PanicWatch};
use sqlx::Error;

use crate::sql::PoolMetrics;
use crate::sql::errors::count_sqlstate;
use crate::sql::labels::{AcquireError, AcquireStage};

/// A request for a connection under way: waiting first, and then, if it must, connecting.
#[derive(Debug)]
pub(crate) struct Acquisition<'a> {
    metrics: &'a PoolMetrics,
    started: Instant,
    connecting: Option<Instant>,
    /// An idle connection was taken; if it turns out to be broken, a new one is opened in its place.
    testing: bool,
    panics: PanicWatch,
    /// What being dropped means: a cancellation, unless the end has been recorded.
    ended: bool,
}

impl<'a> Acquisition<'a> {
    pub(crate) fn start(metrics: &'a PoolMetrics) -> Self {
        metrics.waiting.increment(1);
        Self {
            metrics,
            started: Instant::now(),
            connecting: None,
            testing: false,
            panics: PanicWatch::start(),
            ended: false,
        }
    }

    /// A new connection is being opened from here on.
    pub(crate) fn connecting(&mut self) {
        self.connecting.get_or_insert_with(Instant::now);
    }

    /// An idle connection was taken and is being tested.
    pub(crate) fn testing(&mut self) {
        self.testing = true;
    }

    /// Hands the result on, with the moment at which it was there.
    pub(crate) fn finish<T>(mut self, result: Result<T, Error>) -> Result<(T, Instant), Error> {
        if let Err(error) = &result {
            self.failed(error);
        }
        let now = self.record(Outcome::of(&result));
        Ok((result?, now))
    }

    fn failed(&self, error: &Error) {
        let kind = AcquireError::of(error);
        if kind == AcquireError::Timeout {
            self.metrics.timeouts.increment(1);
        }
        count_sqlstate(self.metrics, error);
        self.metrics.acquire_errors[self.stage(kind)][kind].increment(1);
    }

    /// What the request was doing when it failed. The server can only refuse a connection that is being opened, while the
    /// pool's timeout ends either.
    fn stage(&self, kind: AcquireError) -> AcquireStage {
        match kind {
            AcquireError::PoolClosed => AcquireStage::Wait,
            AcquireError::Timeout if self.connecting.is_none() && !self.testing => {
                AcquireStage::Wait
            }
            _ => AcquireStage::Connect,
        }
    }

    fn record(&mut self, outcome: Outcome) -> Instant {
        self.ended = true;
        let now = Instant::now();
        let waited_until = self.connecting.unwrap_or(now);
        self.metrics.acquire.record(waited_until - self.started);
        if let Some(connecting) = self.connecting {
            self.metrics.connect.record(now - connecting);
        }
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
pub(crate) struct Held {
    /// Nothing for a connection of no pool.
    since: Option<Instant>,
    metrics: Arc<PoolMetrics>,
}

impl Held {
    pub(crate) fn since(since: Instant, metrics: Arc<PoolMetrics>) -> Self {
        Self {
            since: Some(since),
            metrics,
        }
    }

    pub(crate) fn outside(metrics: Arc<PoolMetrics>) -> Self {
        Self {
            since: None,
            metrics,
        }
    }

    pub(crate) fn metrics(&self) -> &PoolMetrics {
        &self.metrics
    }

    /// The connection leaves the pool, which ends the time.
    pub(crate) fn end(self) -> Self {
        Self::outside(Arc::clone(&self.metrics))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.metrics.held.record(since.elapsed());
        }
    }
}
