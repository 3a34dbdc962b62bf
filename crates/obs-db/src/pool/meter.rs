//! A pool of any library.

use std::sync::Arc;

use obs_core::{Outcome, Value};

use crate::pool::labels::{AcquireError, AcquireStage, PoolName};
use crate::pool::{Acquisition, Lent, PoolMetrics};

/// Measures a pool of any library, such as sqlx 0.8, mobc or one of your own, by the requests that go through it. Clones share their
/// metrics. [`Deadpool`](crate::Deadpool) and [`Bb8`](crate::Bb8) are made of it.
///
/// ```
/// use std::io;
///
/// use obs_db::{AcquireError, AcquireStage, PoolMeter};
///
/// # struct Connections;
/// # impl Connections {
/// #     async fn get(&self) -> io::Result<Box<u32>> { Ok(Box::new(7)) }
/// #     fn open(&self) -> usize { 1 }
/// #     fn idle(&self) -> usize { 0 }
/// # }
/// async fn ask(pool: &Connections, meter: &PoolMeter) -> io::Result<u32> {
///     let reason = |error: &io::Error| match error.kind() {
///         io::ErrorKind::TimedOut => (AcquireStage::Wait, AcquireError::Timeout),
///         _ => (AcquireStage::Connect, AcquireError::Io),
///     };
///     let connection = meter.acquire(pool.get(), reason).await?;
///     Ok(*connection)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # let pool = Connections;
/// let meter = PoolMeter::new("sessions"); // once, at start-up
/// ask(&pool, &meter).await?;
/// meter.observe(pool.open(), pool.idle(), 10); // before each scrape
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PoolMeter(Arc<PoolMetrics>);

impl PoolMeter {
    /// Measures under a name, which is the label `pool`. Meters of one name share their counters, and each
    /// [`observe`](Self::observe) overwrites the other's gauges.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Value<PoolName>>) -> Self {
        Self(Arc::new(PoolMetrics::new(name)))
    }

    /// Takes over how many connections are open, how many of them are idle, and how many there may be. To be called before each
    /// scrape, for which exporters have a hook.
    pub fn observe(&self, open: usize, idle: usize, max: usize) {
        self.0.observe(open, idle, max);
    }

    /// Waits for what a pool is asked for. Where that fails, `reason` says in which stage, and why. Dropped before its end, the
    /// request was cancelled.
    pub async fn acquire<C, E>(
        &self,
        get: impl Future<Output = Result<C, E>>,
        reason: impl FnOnce(&E) -> (AcquireStage, AcquireError),
    ) -> Result<Lent<C>, E> {
        let request = Acquisition::start(&self.0);
        let result = get.await;
        if let Err(error) = &result {
            let (stage, kind) = reason(error);
            request.failed(stage, kind);
        }
        let now = request.finish(Outcome::of(&result));
        Ok(Lent::new(result?, now, &self.0))
    }
}
