//! The families of a pool, and the guards that record to them.

use std::time::{Duration, Instant};

use obs_core::{By, Counter, Gauge, Histogram, Outcome, Timed, Timer, buckets};
use sqlx::Error;

use crate::sql::labels::{ConnectionState, PoolName, QueryError, QueryOutcome, TransactionOutcome};
use crate::sql::operation::{Operation, OperationCell};

obs_core::families! {
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
    /// Starts the time of a query, whose operation may become known later.
    pub(crate) fn start<'a>(&'a self, operation: &'a OperationCell) -> QueryTimer<'a> {
        let running = Running {
            metrics: self,
            operation,
        };
        QueryTimer {
            metrics: self,
            timer: Timer::new(running, Outcome::Cancelled),
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
        let timer = self.start(&cell);
        let result = work.await;
        timer.finish(result.as_ref().err());
        result
    }
}

/// The time of one query: ends by being told so, or by being dropped.
#[derive(Debug)]
pub(crate) struct QueryTimer<'a> {
    metrics: &'a PoolMetrics,
    timer: Timer<Running<'a>>,
}

impl QueryTimer<'_> {
    pub(crate) fn finish(self, error: Option<&Error>) {
        match error {
            None => self.timer.finish(Outcome::Ok),
            Some(error) => {
                self.metrics.errors[QueryError::of(error)].increment(1);
                self.timer.finish(Outcome::Error)
            }
        };
    }
}

/// A query under way.
#[derive(Debug)]
struct Running<'a> {
    metrics: &'a PoolMetrics,
    operation: &'a OperationCell,
}

impl Timed for Running<'_> {
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        let operation = self.operation.get();
        self.metrics.duration[operation].record(elapsed);
        self.metrics.queries[operation][outcome.into()].increment(1);
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

    pub(crate) fn finish<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        if matches!(result, Err(Error::PoolTimedOut)) {
            self.metrics.timeouts.increment(1);
        }
        self.record(Outcome::of(&result));
        result
    }

    fn record(&mut self, outcome: Outcome) {
        self.ended = true;
        let now = Instant::now();
        let waited_until = self.connecting.unwrap_or(now);
        self.metrics.acquire.record(waited_until - self.started);
        if let Some(connecting) = self.connecting {
            self.metrics.connect.record(now - connecting);
        }
        self.metrics.acquisitions[outcome].increment(1);
    }
}

impl Drop for Acquisition<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record(Outcome::of_drop());
        }
    }
}
