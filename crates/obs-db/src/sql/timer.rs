//! The time of a query, and what is remembered of it until the next.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::time::Instant;

use obs_core::{Closed, Outcome, PanicWatch};
use sqlx::Error;

use crate::sql::SqlMetrics;
use crate::sql::errors::count_error;
use crate::sql::labels::QueryOutcome;
use crate::sql::operation::Operation;

/// What a connection remembers of its queries; it runs one at a time. Atomic only so that it can be shared with the driver.
#[derive(Debug)]
pub(crate) struct Session {
    /// Of the query that runs: it becomes known when the driver takes the text.
    operation: AtomicU8,
    /// The last statement that ended did so with an error of the server.
    last_failed: AtomicBool,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self {
            operation: AtomicU8::new(Operation::Other as u8),
            last_failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn begins(&self, operation: Operation) {
        // The order of declaration; there are far fewer than 256.
        self.operation.store(operation as u8, Relaxed);
    }

    fn operation(&self) -> Operation {
        let index = usize::from(self.operation.load(Relaxed));
        Operation::ALL
            .get(index)
            .copied()
            .unwrap_or(Operation::Other)
    }

    /// In a transaction that `PostgreSQL` has given up every statement fails, but for a commit and a rollback: so one that
    /// succeeds shows that the failed one before it was rolled back to a savepoint, by whatever means.
    pub(crate) fn last_failed(&self) -> bool {
        self.last_failed.load(Relaxed)
    }

    pub(crate) fn forget_failure(&self) {
        self.last_failed.store(false, Relaxed);
    }
}

/// The time of one query: ends by being told so, or by being dropped.
///
/// Not `obs_core`'s timer, which reads the clock for its start: a query on a connection of the pool begins at the reading by
/// which the wait for the connection ended.
#[derive(Debug)]
pub(crate) struct QueryTimer<'a> {
    metrics: &'a SqlMetrics,
    session: &'a Session,
    start: Instant,
    panics: PanicWatch,
    ended: bool,
}

impl<'a> QueryTimer<'a> {
    /// Goes on with the time of a query from its `start`. Its operation may become known later.
    pub(crate) fn start(metrics: &'a SqlMetrics, session: &'a Session, start: Instant) -> Self {
        Self {
            metrics,
            session,
            start,
            panics: PanicWatch::start(),
            ended: false,
        }
    }

    pub(crate) fn finish(mut self, error: Option<&Error>) {
        match error {
            None => {
                self.session.forget_failure();
                self.record(QueryOutcome::Ok);
            }
            Some(error) => {
                let by_the_server = matches!(error, Error::Database(_));
                self.session.last_failed.fetch_or(by_the_server, Relaxed);
                count_error(self.metrics, error);
                self.record(QueryOutcome::Error);
            }
        }
    }

    fn record(&mut self, outcome: QueryOutcome) {
        self.ended = true;
        let operation = self.session.operation();
        self.metrics.queries.duration[operation].record(self.start.elapsed());
        self.metrics.queries.queries[operation][outcome].increment(1);
    }
}

impl Drop for QueryTimer<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.record(match self.panics.outcome() {
                Outcome::Panicked => QueryOutcome::Panicked,
                _ => QueryOutcome::Cancelled,
            });
        }
    }
}

/// Times what the wrapper itself asks of the database.
pub(crate) async fn time<T>(
    metrics: &SqlMetrics,
    session: &Session,
    operation: Operation,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    session.begins(operation);
    let timer = QueryTimer::start(metrics, session, Instant::now());
    let result = work.await;
    timer.finish(result.as_ref().err());
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_gives_back_the_operation_that_began() {
        let session = Session::new();
        assert_eq!(session.operation(), Operation::Other);
        for operation in Operation::ALL {
            session.begins(*operation);
            assert_eq!(session.operation(), *operation);
        }
    }
}
