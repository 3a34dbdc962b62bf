//! The families of queries and transactions.

use obs_core::{By, Counter, Histogram, buckets};
#[cfg(feature = "sqlx")]
use obs_core::{Each, Late, Value};

#[cfg(feature = "sqlx")]
use crate::pool::PoolMetrics;
use crate::pool::{DATABASE, PoolName};
use crate::sql::labels::QueryOutcome;
#[cfg(feature = "sqlx")]
use crate::sql::labels::{ListenerEvent, QueryError, SqlStateClass, TransactionOutcome};
use crate::sql::operation::Operation;

obs_core::families! {
    group DATABASE;

    /// The queries of one pool.
    pub(crate) struct QueryMetrics(pool: PoolName) {
        /// Time from sending a query to the end of its answer, without the wait for a connection.
        ///
        /// A stream lasts until it has ended or is dropped, with the time its reader takes.
        pub(crate) duration: By<Operation, Histogram> = "db_query_duration_seconds" { buckets: buckets::LATENCY },
        /// Queries that ended, by how they ended.
        pub(crate) queries: By<Operation, By<QueryOutcome, Counter>> = "db_queries_total",
    }
}

#[cfg(feature = "sqlx")]
obs_core::families! {
    group DATABASE;

    /// What only the wrapper sees of one pool, and no event tells.
    pub(crate) struct WrapperMetrics(pool: PoolName) {
        /// Queries that ended with an error, by what went wrong.
        pub(crate) errors: By<QueryError, Counter> = "db_query_errors_total",
        /// Errors the database answered with, by the class of their SQLSTATE.
        ///
        /// The class is its first two characters. `SQLite` has no SQLSTATE.
        pub(crate) sqlstates: Each<SqlStateClass, Counter> = "db_sqlstate_errors_total",
        /// Time a request for a connection spent on opening a new one, whether that succeeded or not.
        pub(crate) connect: Histogram = "db_pool_connect_duration_seconds" { buckets: buckets::LATENCY },
        /// Transactions that ended, by how they ended. Savepoints are not among them.
        pub(crate) transactions: By<TransactionOutcome, Counter> = "db_transactions_total",
        /// What listeners for notifications have received, and how often they have lost their connection.
        ///
        /// `PostgreSQL` keeps no notification for a listener that is not connected.
        pub(crate) listener: Late<ListenerEvent, Counter> = "db_listener_events_total",
    }
}

/// What one sqlx pool records to.
#[cfg(feature = "sqlx")]
#[derive(Debug)]
pub(crate) struct SqlMetrics {
    pub(crate) pool: PoolMetrics,
    pub(crate) queries: QueryMetrics,
    pub(crate) wrapper: WrapperMetrics,
}

#[cfg(feature = "sqlx")]
impl SqlMetrics {
    #[track_caller]
    pub(crate) fn new(name: impl Into<Value<PoolName>>) -> Self {
        let name = name.into();
        Self {
            pool: PoolMetrics::new(name.clone()),
            queries: QueryMetrics::new(name.clone()),
            wrapper: WrapperMetrics::new(name),
        }
    }
}

#[cfg(feature = "sqlx")]
impl AsRef<PoolMetrics> for SqlMetrics {
    fn as_ref(&self) -> &PoolMetrics {
        &self.pool
    }
}
