//! The families of a pool, and the guards that record to them.

use std::time::Instant;

use obs_core::{By, Counter, Gauge, Group, Histogram, Outcome, buckets};
use sqlx::Error;

use crate::sql::labels::{ConnectionState, PoolName, QueryError, QueryOutcome, TransactionOutcome};
use crate::sql::operation::{Operation, OperationCell};

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
        /// Requests for a connection that ended by the pool's timeout.
        pub(crate) timeouts: Counter = "db_pool_timeouts_total",
        /// Transactions that ended, by how they ended. Savepoints are not among them.
        pub(crate) transactions: By<TransactionOutcome, Counter> = "db_transactions_total",
    }
}

impl PoolMetrics {
    /// Goes on with the time of a query from its `start`. Its operation may become known later.
    pub(crate) fn query<'a>(
        &'a self,
        operation: &'a OperationCell,
        start: Instant,
    ) -> QueryTimer<'a> {
        QueryTimer {
            metrics: self,
            operation,
            start,
            was_panicking: std::thread::panicking(),
            ended: false,
        }
    }

    /// Times what the wrapper itself asks of the database.
    pub(crate) async fn time<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let cell = OperationCell::new();
        cell.set(operation);
        let timer = self.query(&cell, Instant::now());
        let result = work.await;
        timer.finish(result.as_ref().err());
        result
    }
}

/// The time of one query: ends by being told so, or by being dropped.
///
/// Not `obs_core`'s timer, which reads the clock for its start: a query on a connection of the pool begins at the reading by
/// which the wait for the connection ended.
#[derive(Debug)]
pub(crate) struct QueryTimer<'a> {
    metrics: &'a PoolMetrics,
    operation: &'a OperationCell,
    start: Instant,
    /// Within a destructor that runs while a panic unwinds, that panic is not the query's.
    was_panicking: bool,
    ended: bool,
}

impl QueryTimer<'_> {
    pub(crate) fn finish(mut self, error: Option<&Error>) {
        match error {
            None => self.record(QueryOutcome::Ok),
            Some(error) => {
                self.metrics.errors[QueryError::of(error)].increment(1);
                self.record(QueryOutcome::Error);
            }
        }
    }

    fn record(&mut self, outcome: QueryOutcome) {
        self.ended = true;
        let operation = self.operation.get();
        self.metrics.duration[operation].record(self.start.elapsed());
        self.metrics.queries[operation][outcome].increment(1);
    }
}

impl Drop for QueryTimer<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let panicked = std::thread::panicking() && !self.was_panicking;
            self.record(if panicked {
                QueryOutcome::Panicked
            } else {
                QueryOutcome::Cancelled
            });
        }
    }
}

/// A request for a connection under way: waiting first, and then, if it must, connecting.
#[derive(Debug)]
pub(crate) struct Acquisition<'a> {
    metrics: &'a PoolMetrics,
    started: Instant,
    connecting: Option<Instant>,
    /// What being dropped means: a cancellation, unless the end has been recorded.
    ended: bool,
}

impl<'a> Acquisition<'a> {
    pub(crate) fn start(metrics: &'a PoolMetrics) -> Self {
        Self {
            metrics,
            started: Instant::now(),
            connecting: None,
            ended: false,
        }
    }

    /// A new connection is being opened from here on.
    pub(crate) fn connecting(&mut self) {
        self.connecting.get_or_insert_with(Instant::now);
    }

    /// Hands the result on, with the moment at which it was there.
    pub(crate) fn finish<T>(mut self, result: Result<T, Error>) -> Result<(T, Instant), Error> {
        if matches!(result, Err(Error::PoolTimedOut)) {
            self.metrics.timeouts.increment(1);
        }
        let now = self.record(Outcome::of(&result));
        Ok((result?, now))
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
        now
    }
}

impl Drop for Acquisition<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record(Outcome::of_drop());
        }
    }
}
