//! A pool of bb8.

use std::fmt;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use obs_core::Value;

use crate::pool::labels::{AcquireError, AcquireStage, PoolName};
use crate::pool::{Lent, PoolMeter};

/// A pool of bb8 that is measured, of whatever it manages; clones share the pool and its metrics.
///
/// ```
/// # use std::convert::Infallible;
/// # struct Sessions;
/// # impl bb8::ManageConnection for Sessions {
/// #     type Connection = u32;
/// #     type Error = Infallible;
/// #     async fn connect(&self) -> Result<u32, Infallible> { Ok(7) }
/// #     async fn is_valid(&self, _: &mut u32) -> Result<(), Infallible> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = bb8::Pool::builder().max_size(4).build(Sessions).await?;
/// let pool = obs_db::Bb8::new(pool, "sessions"); // once, at start-up
/// let session = pool.get().await?;
/// assert_eq!(*session, 7);
/// # Ok(())
/// # }
/// ```
///
/// bb8 opens connections in tasks of its own, so `db_pool_acquire_duration_seconds` includes the time in which one is opened, and a
/// server that refuses connections shows as a timeout. It was a timeout of the stage `wait` where the pool had all the connections
/// that it may have, and one of `connect` where it had not. What is done with a connection is not measured here; for Redis there
/// is [`RedisMetrics::on`](crate::RedisMetrics::on).
pub struct Bb8<M: ManageConnection> {
    raw: Pool<M>,
    meter: PoolMeter,
}

impl<M: ManageConnection> Bb8<M> {
    /// Measures a pool under a name, which is the label `pool`. Pools of one name share their counters, and each
    /// [`observe`](Self::observe) overwrites the other's gauges.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(pool: Pool<M>, name: impl Into<Value<PoolName>>) -> Self {
        let pool = Self {
            raw: pool,
            meter: PoolMeter::new(name),
        };
        pool.observe();
        pool
    }

    /// Reads how many connections the pool has: `db_pool_connections` and `db_pool_connections_max`. To be called before
    /// each scrape, for which exporters have a hook. Takes bb8's lock for a moment.
    pub fn observe(&self) {
        let (open, idle) = self.sizes();
        self.meter.observe(open, idle, self.max_size());
    }

    /// Takes a connection, waiting for one if it must.
    pub async fn get(&self) -> Result<Lent<PooledConnection<'_, M>>, RunError<M::Error>> {
        let get = self.raw.get();
        self.meter.acquire(get, |error| self.reason(error)).await
    }

    /// Takes a connection that borrows nothing of the pool.
    pub async fn get_owned(
        &self,
    ) -> Result<Lent<PooledConnection<'static, M>>, RunError<M::Error>> {
        let get = self.raw.get_owned();
        self.meter.acquire(get, |error| self.reason(error)).await
    }

    /// The pool itself. Connections that are taken from it are not measured, but counted as in use.
    #[must_use]
    pub fn raw(&self) -> &Pool<M> {
        &self.raw
    }

    fn reason(&self, error: &RunError<M::Error>) -> (AcquireStage, AcquireError) {
        match error {
            RunError::TimedOut => (self.stage(), AcquireError::Timeout),
            RunError::User(error) => (AcquireStage::Connect, AcquireError::of_any(error)),
        }
    }

    /// What a request was doing that timed out: it waited for others where the pool is full, and for the server otherwise.
    fn stage(&self) -> AcquireStage {
        if self.sizes().0 >= self.max_size() {
            AcquireStage::Wait
        } else {
            AcquireStage::Connect
        }
    }

    fn sizes(&self) -> (usize, usize) {
        let state = self.raw.state();
        (state.connections as usize, state.idle_connections as usize)
    }

    fn max_size(&self) -> usize {
        self.raw.config().max_size as usize
    }
}

// Not derived: the pool can be cloned whatever it manages.
impl<M: ManageConnection> Clone for Bb8<M> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            meter: self.meter.clone(),
        }
    }
}

impl<M: ManageConnection> fmt::Debug for Bb8<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bb8").finish_non_exhaustive()
    }
}
