//! Connections whose queries are measured.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use sqlx::pool::PoolConnection;
use sqlx::{
    Acquire, Connection, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr,
    Transaction,
};

use crate::sql::PoolMetrics;
use crate::sql::operation::{Operation, OperationCell};
use crate::sql::query::{Answer, Step, fetch_optional};
use crate::sql::span::Marked;
use crate::sql::transaction::Tx;

/// A connection whose queries are measured. `&mut` of it is an [`Executor`], as `&mut PgConnection` is.
///
/// It is what [`PoolConn`] and [`Tx`] are dereferenced to: `&mut *conn`, `&mut *tx`. `C` is what holds the connection.
pub struct Conn<DB: Database, C: DerefMut<Target = DB::Connection>> {
    raw: C,
    /// Of the query that runs; a connection runs one at a time.
    operation: OperationCell,
    metrics: Arc<PoolMetrics>,
    database: PhantomData<fn() -> DB>,
}

/// A connection that was taken from a [`Pool`](crate::Pool), and goes back to it when it is dropped.
#[derive(Debug)]
pub struct PoolConn<DB: Database>(Conn<DB, PoolConnection<DB>>);

impl<DB: Database, C: DerefMut<Target = DB::Connection>> Conn<DB, C> {
    pub(crate) fn new(raw: C, metrics: Arc<PoolMetrics>) -> Self {
        Self {
            raw,
            operation: OperationCell::new(),
            metrics,
            database: PhantomData,
        }
    }

    /// The driver's own connection, for what needs one. Queries on it are not measured, other than by the tracing layer.
    pub fn raw(&mut self) -> &mut DB::Connection {
        &mut self.raw
    }

    /// Begins a transaction, or a savepoint within one.
    pub async fn begin(&mut self) -> Result<Tx<'_, DB>, Error> {
        self.begin_by(None).await
    }

    /// Begins a transaction by a statement of your own, such as `BEGIN IMMEDIATE`.
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<Tx<'_, DB>, Error> {
        self.begin_by(Some(statement.into_sql_str())).await
    }

    async fn begin_by(&mut self, statement: Option<SqlStr>) -> Result<Tx<'_, DB>, Error> {
        let is_outermost = !self.raw.is_in_transaction();
        let metrics = Arc::clone(&self.metrics);
        let begin = Transaction::begin(&mut *self.raw, statement);
        let transaction = metrics
            .time(Operation::Begin, Marked::new(|| begin))
            .await?;
        Ok(Tx::new(transaction, metrics, is_outermost))
    }

    /// Asks the server whether the connection still works. This is not a query, and is not measured.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.raw.ping().await
    }

    pub(crate) fn into_parts(self) -> (C, Arc<PoolMetrics>) {
        (self.raw, self.metrics)
    }
}

impl<DB: Database> PoolConn<DB> {
    pub(crate) fn new(raw: PoolConnection<DB>, metrics: Arc<PoolMetrics>) -> Self {
        Self(Conn::new(raw, metrics))
    }

    /// Closes the connection instead of giving it back.
    pub async fn close(self) -> Result<(), Error> {
        self.into_raw().close().await
    }

    /// The pool's own connection. Queries on it are not measured, other than by the tracing layer.
    #[must_use]
    pub fn into_raw(self) -> PoolConnection<DB> {
        self.0.into_parts().0
    }
}

impl<'t, DB, C> Executor<'t> for &'t mut Conn<DB, C>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    C: DerefMut<Target = DB::Connection> + Send,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let now = Instant::now();
        Answer::<DB>::new(&mut self.raw, &self.operation, &self.metrics, now, query).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, DB>,
    {
        Box::pin(async move {
            let Conn {
                raw,
                operation,
                metrics,
                ..
            } = self;
            fetch_optional::<DB, E>(raw, operation, metrics, Instant::now(), query).await
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        't: 'e,
    {
        let prepare = Marked::new(|| self.raw.prepare_with(sql, parameters));
        Box::pin(self.metrics.time(Operation::Prepare, prepare))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        't: 'e,
    {
        let describe = Marked::new(|| self.raw.describe(sql));
        Box::pin(self.metrics.time(Operation::Prepare, describe))
    }
}

/// What generic code acquires is the driver's own connection, and what it begins sqlx's own transaction: the trait leaves
/// no room for others. They are not measured, other than by the tracing layer; [`begin`](Conn::begin) is.
impl<'t, DB, C> Acquire<'t> for &'t mut Conn<DB, C>
where
    DB: Database,
    C: DerefMut<Target = DB::Connection> + Send,
{
    type Database = DB;
    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Box::pin(std::future::ready(Ok(self.raw())))
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Transaction::begin(self.raw(), None)
    }
}

impl<DB: Database, C: DerefMut<Target = DB::Connection>> AsMut<DB::Connection> for Conn<DB, C> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self.raw()
    }
}

impl<DB: Database, C: DerefMut<Target = DB::Connection>> fmt::Debug for Conn<DB, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").finish_non_exhaustive()
    }
}

impl<DB: Database> Deref for PoolConn<DB> {
    type Target = Conn<DB, PoolConnection<DB>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<DB: Database> DerefMut for PoolConn<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
