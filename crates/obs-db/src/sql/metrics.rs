//! The families of a pool.

use obs_core::{By, Counter, Each, Gauge, Group, Histogram, Late, Outcome, buckets};

use crate::sql::labels::{
    AcquireError, AcquireStage, ConnectionState, ListenerEvent, PoolName, QueryError, QueryOutcome,
    SqlStateClass, TransactionOutcome,
};
use crate::sql::operation::Operation;

const DATABASE: Group = Group::new("Database").rank(Group::LIBRARY + 70);

obs_core::families! {
    group DATABASE;

    /// One pool of connections to a database.
    pub(crate) struct PoolMetrics(pool: PoolName) {
        /// Time from sending a query to the end of its answer, without the wait for a connection.
        ///
        /// A stream lasts until it has ended or is dropped, with the time its reader takes.
        pub(crate) duration: By<Operation, Histogram> = "db_query_duration_seconds" { buckets: buckets::LATENCY },
        /// Queries that ended, by how they ended.
        pub(crate) queries: By<Operation, By<QueryOutcome, Counter>> = "db_queries_total",
        /// Queries that ended with an error, by what went wrong.
        pub(crate) errors: By<QueryError, Counter> = "db_query_errors_total",
        /// Errors the database answered with, by the class of their SQLSTATE.
        ///
        /// The class is its first two characters. `SQLite` has no SQLSTATE.
        pub(crate) sqlstates: Each<SqlStateClass, Counter> = "db_sqlstate_errors_total",
        /// Connections of the pool, as they were at the scrape.
        pub(crate) connections: By<ConnectionState, Gauge> = "db_pool_connections",
        /// The most connections the pool may have.
        pub(crate) connections_max: Gauge = "db_pool_connections_max",
        /// Requests for a connection that ended, by how they ended.
        pub(crate) acquisitions: By<Outcome, Counter> = "db_pool_acquisitions_total",
        /// Time a request for a connection waited, until it got one, gave up, or began to open a new one.
        pub(crate) acquire: Histogram = "db_pool_acquire_duration_seconds" { buckets: buckets::LATENCY },
        /// Time a request for a connection spent on opening a new one, whether that succeeded or not.
        pub(crate) connect: Histogram = "db_pool_connect_duration_seconds" { buckets: buckets::LATENCY },
        /// Requests for a connection that failed, by what they were doing and why.
        pub(crate) acquire_errors: By<AcquireStage, By<AcquireError, Counter>> = "db_pool_acquire_errors_total",
        /// Requests for a connection that have not ended: they wait for one, or open one.
        pub(crate) waiting: Gauge = "db_pool_waiting",
        /// Time for which a connection was held, from getting it to giving it back.
        pub(crate) held: Histogram = "db_pool_held_duration_seconds" { buckets: buckets::LATENCY },
        /// Requests for a connection that ended by the pool's timeout, while waiting or while connecting.
        pub(crate) timeouts: Counter = "db_pool_timeouts_total",
        /// Transactions that ended, by how they ended. Savepoints are not among them.
        pub(crate) transactions: By<TransactionOutcome, Counter> = "db_transactions_total",
        /// What listeners for notifications have received, and how often they have lost their connection.
        ///
        /// `PostgreSQL` keeps no notification for a listener that is not connected.
        pub(crate) listener: Late<ListenerEvent, Counter> = "db_listener_events_total",
    }
}
