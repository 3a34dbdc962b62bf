//! One query on its way to the driver, and the answer that comes back.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::stream::{BoxStream, Stream};
use sqlx::error::BoxDynError;
use sqlx::{Database, Either, Error, Execute, Executor, SqlStr};

use crate::sql::SqlMetrics;
use crate::sql::operation::Operation;
use crate::sql::span::Marked;
use crate::sql::timer::{QueryTimer, Session};

/// A step of an answer: the end of a statement, or a row.
pub(crate) type Step<DB> = Either<<DB as Database>::QueryResult, <DB as Database>::Row>;

/// A query as the driver sees it. The driver takes the text out of it, once, and that is the moment to look at it.
struct Peek<'a, E> {
    query: E,
    session: &'a Session,
}

// The two lifetimes are apart because a peek borrows for less long than the query does.
impl<'q, DB: Database, E: Execute<'q, DB>> Execute<'_, DB> for Peek<'_, E> {
    fn sql(self) -> SqlStr {
        let sql = self.query.sql();
        self.session.begins(Operation::of(sql.as_str()));
        sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.query.persistent()
    }
}

/// Runs a query for at most one row. Its time runs from the `start`.
pub(crate) async fn fetch_optional<'q, DB, E>(
    connection: &mut DB::Connection,
    session: &Session,
    metrics: &SqlMetrics,
    start: Instant,
    query: E,
) -> Result<Option<DB::Row>, Error>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    E: 'q + Execute<'q, DB>,
{
    session.begins(Operation::Other);
    let timer = QueryTimer::start(metrics, session, start);
    let result = Marked::new(|| connection.fetch_optional(Peek { query, session })).await;
    timer.finish(result.as_ref().err());
    result
}

/// The answer to a query, as it streams in.
pub(crate) struct Answer<'e, DB: Database> {
    // Dropped before the timer: an answer ends when the driver is done with it.
    steps: Marked<BoxStream<'e, Result<Step<DB>, Error>>>,
    timer: Option<QueryTimer<'e>>,
}

impl<'e, DB: Database> Answer<'e, DB> {
    /// Sends a query. Its time runs from the `start`.
    pub(crate) fn new<'q, E>(
        connection: &'e mut DB::Connection,
        session: &'e Session,
        metrics: &'e SqlMetrics,
        start: Instant,
        query: E,
    ) -> Self
    where
        'q: 'e,
        &'e mut DB::Connection: Executor<'e, Database = DB>,
        E: 'q + Execute<'q, DB>,
    {
        session.begins(Operation::Other);
        let timer = QueryTimer::start(metrics, session, start);
        let steps = Marked::new(|| connection.fetch_many(Peek { query, session }));
        Self {
            steps,
            timer: Some(timer),
        }
    }
}

impl<DB: Database> Stream for Answer<'_, DB> {
    type Item = Result<Step<DB>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Who catches a panic around this may drop the stream afterwards, when nothing unwinds any more: so the timer is out
        // here while the driver runs, where a panic drops it.
        let timer = self.timer.take();
        let polled = Pin::new(&mut self.steps).poll_next(cx);
        match (&polled, timer) {
            (Poll::Ready(None), Some(timer)) => timer.finish(None),
            (Poll::Ready(Some(Err(error))), Some(timer)) => timer.finish(Some(error)),
            (_, timer) => self.timer = timer,
        }
        polled
    }
}
