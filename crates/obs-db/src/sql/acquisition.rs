//! A request for a connection of an sqlx pool: the wait, and the opening of a new connection where there is one.

use std::time::Instant;

use obs_core::{Histogram, Outcome};
use sqlx::Error;

use crate::pool::{self, AcquireError, AcquireStage};
use crate::sql::SqlMetrics;
use crate::sql::errors::count_sqlstate;

/// A request under way: waiting first, and then, if it must, connecting.
#[derive(Debug)]
pub(crate) struct Acquisition<'a> {
    metrics: &'a SqlMetrics,
    request: pool::Acquisition<'a>,
    opening: Option<Opening<'a>>,
    /// An idle connection was taken; if it turns out to be broken, a new one is opened in its place.
    testing: bool,
}

impl<'a> Acquisition<'a> {
    pub(crate) fn start(metrics: &'a SqlMetrics) -> Self {
        Self {
            metrics,
            request: pool::Acquisition::start(&metrics.pool),
            opening: None,
            testing: false,
        }
    }

    /// A new connection is being opened from here on.
    pub(crate) fn connecting(&mut self) {
        if self.opening.is_none() {
            let opening = Opening {
                since: Instant::now(),
                time: &self.metrics.wrapper.connect,
            };
            self.request.waited_until(opening.since);
            self.opening = Some(opening);
        }
    }

    /// An idle connection was taken and is being tested.
    pub(crate) fn testing(&mut self) {
        self.testing = true;
    }

    /// Hands the result on, with the moment at which it was there.
    pub(crate) fn finish<T>(self, result: Result<T, Error>) -> Result<(T, Instant), Error> {
        if let Err(error) = &result {
            count_sqlstate(self.metrics, error);
            let kind = AcquireError::of(error);
            self.request.failed(self.stage(kind), kind);
        }
        let now = self.request.finish(Outcome::of(&result));
        Ok((result?, now))
    }

    /// What the request was doing when it failed. The server can only refuse a connection that is being opened, while the
    /// pool's timeout ends either.
    fn stage(&self, kind: AcquireError) -> AcquireStage {
        match kind {
            AcquireError::PoolClosed => AcquireStage::Wait,
            AcquireError::Timeout if self.opening.is_none() && !self.testing => AcquireStage::Wait,
            _ => AcquireStage::Connect,
        }
    }
}

/// The opening of a connection, timed until this is dropped.
#[derive(Debug)]
struct Opening<'a> {
    since: Instant,
    time: &'a Histogram,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.time.record(self.since.elapsed());
    }
}
