//! The families of a pool, of any library.

use obs_core::{By, Counter, Gauge, Histogram, Outcome, buckets};

use crate::pool::DATABASE;
use crate::pool::labels::{AcquireError, AcquireStage, ConnectionState, PoolName};

obs_core::families! {
    group DATABASE;

    /// One pool of connections to a database.
    pub(crate) struct PoolMetrics(pool: PoolName) {
        /// Connections of the pool, as they were at the scrape.
        pub(crate) connections: By<ConnectionState, Gauge> = "db_pool_connections" { across: obs_core::Across::Sum },
        /// The most connections the pool may have.
        pub(crate) connections_max: Gauge = "db_pool_connections_max" { across: obs_core::Across::Sum },
        /// Requests for a connection that ended, by how they ended.
        pub(crate) acquisitions: By<Outcome, Counter> = "db_pool_acquisitions_total",
        /// Time a request for a connection waited, until it got one, gave up, or began to open a new one.
        pub(crate) acquire: Histogram = "db_pool_acquire_duration_seconds" { buckets: buckets::LATENCY },
        /// Requests for a connection that failed, by what they were doing and why.
        pub(crate) acquire_errors: By<AcquireStage, By<AcquireError, Counter>> = "db_pool_acquire_errors_total",
        /// Requests for a connection that have not ended: they wait for one, or open one.
        pub(crate) waiting: Gauge = "db_pool_waiting" { across: obs_core::Across::Sum },
        /// Time for which a connection was held, from getting it to giving it back.
        pub(crate) held: Histogram = "db_pool_held_duration_seconds" { buckets: buckets::LATENCY },
        /// Requests for a connection that ended by the pool's timeout, while waiting or while connecting.
        pub(crate) timeouts: Counter = "db_pool_timeouts_total",
    }
}

impl PoolMetrics {
    /// Takes over how many connections a pool has.
    pub(crate) fn observe(&self, open: usize, idle: usize, max: usize) {
        self.connections[ConnectionState::Idle].set(idle as f64);
        // The two are read one after the other, so idle ones may have been closed in between.
        self.connections[ConnectionState::InUse].set(open.saturating_sub(idle) as f64);
        self.connections_max.set(max as f64);
    }
}

impl AsRef<PoolMetrics> for PoolMetrics {
    fn as_ref(&self) -> &PoolMetrics {
        self
    }
}
