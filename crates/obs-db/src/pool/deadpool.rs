//! A pool of deadpool.

use std::fmt;

use deadpool::Status;
use deadpool::managed::{Manager, Object, Pool, PoolError, TimeoutType, Timeouts};
use obs_core::Value;

use crate::pool::labels::{AcquireError, AcquireStage, PoolName};
use crate::pool::{Lent, PoolMeter};

/// A pool of deadpool that is measured, of whatever it manages; clones share the pool and its metrics.
///
/// ```
/// # use std::convert::Infallible;
/// # use deadpool::managed::{Manager, Metrics, RecycleResult};
/// # struct Sessions;
/// # impl Manager for Sessions {
/// #     type Type = u32;
/// #     type Error = Infallible;
/// #     async fn create(&self) -> Result<u32, Infallible> { Ok(7) }
/// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<Infallible> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use deadpool::managed::Pool;
///
/// let pool: Pool<Sessions> = Pool::builder(Sessions).max_size(4).build()?;
/// let pool = obs_db::Deadpool::new(pool, "sessions"); // once, at start-up
/// let session = pool.get().await?;
/// assert_eq!(*session, 7);
/// # Ok(())
/// # }
/// ```
///
/// `db_pool_acquire_duration_seconds` includes the time in which a connection is opened or recycled, which deadpool does not tell
/// apart. What is done with a connection is not measured here; for Redis there is [`RedisMetrics::on`](crate::RedisMetrics::on).
pub struct Deadpool<M: Manager, W: From<Object<M>> = Object<M>> {
    raw: Pool<M, W>,
    meter: PoolMeter,
}

impl<M: Manager, W: From<Object<M>>> Deadpool<M, W> {
    /// Measures a pool under a name, which is the label `pool`. Pools of one name share their counters, and each
    /// [`observe`](Self::observe) overwrites the other's gauges.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(pool: Pool<M, W>, name: impl Into<Value<PoolName>>) -> Self {
        let pool = Self {
            raw: pool,
            meter: PoolMeter::new(name),
        };
        pool.observe();
        pool
    }

    /// Reads how many connections the pool has: `db_pool_connections` and `db_pool_connections_max`. To be called before
    /// each scrape, for which exporters have a hook. Takes deadpool's lock for a moment.
    pub fn observe(&self) {
        let Status {
            max_size,
            size,
            available,
            ..
        } = self.raw.status();
        self.meter.observe(size, available.min(size), max_size);
    }

    /// Takes a connection, waiting for one if it must.
    pub async fn get(&self) -> Result<Lent<W>, PoolError<M::Error>>
    where
        M::Error: 'static,
    {
        self.timeout_get(&self.raw.timeouts()).await
    }

    /// The same by other timeouts than the pool's.
    pub async fn timeout_get(&self, timeouts: &Timeouts) -> Result<Lent<W>, PoolError<M::Error>>
    where
        M::Error: 'static,
    {
        let get = self.raw.timeout_get(timeouts);
        self.meter.acquire(get, reason).await
    }

    /// The pool itself. Connections that are taken from it are not measured, but counted as in use.
    #[must_use]
    pub fn raw(&self) -> &Pool<M, W> {
        &self.raw
    }

    /// Closes the pool: who waits for a connection gets an error.
    pub fn close(&self) {
        self.raw.close();
    }
}

/// In what stage a request failed, and why.
fn reason<E: 'static>(error: &PoolError<E>) -> (AcquireStage, AcquireError) {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => (AcquireStage::Wait, AcquireError::Timeout),
        PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
            (AcquireStage::Connect, AcquireError::Timeout)
        }
        PoolError::Backend(error) => (AcquireStage::Connect, AcquireError::of_any(error)),
        PoolError::Closed => (AcquireStage::Wait, AcquireError::PoolClosed),
        PoolError::NoRuntimeSpecified => (AcquireStage::Wait, AcquireError::Other),
        PoolError::PostCreateHook(_) => (AcquireStage::Connect, AcquireError::Other),
    }
}

// Not derived: the pool can be cloned whatever it manages.
impl<M: Manager, W: From<Object<M>>> Clone for Deadpool<M, W> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            meter: self.meter.clone(),
        }
    }
}

impl<M: Manager, W: From<Object<M>>> fmt::Debug for Deadpool<M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadpool").finish_non_exhaustive()
    }
}
