//! Connections whose queries are measured.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use obs_core::Value;
use sqlx::database::HasStatementCache;
use sqlx::pool::PoolConnection;
use sqlx::{
    Acquire, Connection, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr,
    Transaction,
};

use crate::pool::{Held, PoolName};
use crate::sql::SqlMetrics;
use crate::sql::operation::Operation;
use crate::sql::query::{Answer, Step, fetch_optional};
use crate::sql::span::Marked;
use crate::sql::timer::{Session, time};
use crate::sql::transaction::{Holder, Tx};

/// A connection whose queries are measured. `&mut` of it is an [`Executor`], as `&mut PgConnection` is.
///
/// [`PoolConn`] and [`Tx`] dereference to it, so a function that takes a `&mut Conn<Postgres>` takes `&mut conn` from a pool,
/// `&mut tx` of a transaction or of a savepoint, and a connection of its own.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqlx::Error> {
/// use obs_db::Conn;
/// use sqlx::Sqlite;
///
/// async fn one(conn: &mut Conn<Sqlite>) -> Result<i64, sqlx::Error> {
///     sqlx::query_scalar("SELECT 1").fetch_one(&mut *conn).await
/// }
///
/// let pool = obs_db::Pool::new(sqlx::SqlitePool::connect("sqlite::memory:").await?, "orders");
/// let mut conn = pool.acquire().await?;
/// one(&mut conn).await?;
/// let mut tx = conn.begin().await?;
/// one(&mut tx).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
pub struct Conn<DB: Database> {
    raw: Raw<DB>,
    session: Session,
    held: Held<SqlMetrics>,
}

/// Where a connection comes from.
enum Raw<DB: Database> {
    Pooled(PoolConnection<DB>),
    Own(DB::Connection),
}

/// A connection that was taken from a [`Pool`](crate::Pool), and goes back to it when it is dropped.
#[derive(Debug)]
pub struct PoolConn<DB: Database>(Conn<DB>);

impl<DB: Database> Conn<DB> {
    /// Measures a connection that belongs to no pool, under a name, which is the label `pool`.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(connection: DB::Connection, name: impl Into<Value<PoolName>>) -> Self {
        Self::own(connection, Arc::new(SqlMetrics::new(name)))
    }

    pub(crate) fn own(connection: DB::Connection, metrics: Arc<SqlMetrics>) -> Self {
        Self {
            raw: Raw::Own(connection),
            session: Session::new(),
            held: Held::outside(metrics),
        }
    }

    pub(crate) fn pooled(
        raw: PoolConnection<DB>,
        metrics: Arc<SqlMetrics>,
        since: Instant,
    ) -> Self {
        Self {
            raw: Raw::Pooled(raw),
            session: Session::new(),
            held: Held::since(since, metrics),
        }
    }

    /// The driver's own connection, for what needs one. Queries on it are not measured, other than by the tracing layer; nor are
    /// their errors seen, so a transaction that one of them has spoilt counts as committed when it is committed.
    pub fn raw(&mut self) -> &mut DB::Connection {
        &mut self.raw
    }

    /// The driver's own connection. One that was taken from a pool leaves it.
    #[must_use]
    pub fn into_raw(self) -> DB::Connection {
        match self.raw {
            Raw::Pooled(raw) => raw.detach(),
            Raw::Own(raw) => raw,
        }
    }

    /// Begins a transaction, or a savepoint within one.
    pub async fn begin(&mut self) -> Result<Tx<'_, DB>, Error> {
        Tx::start(Holder::Lent(self), None).await
    }

    /// Begins a transaction by a statement of your own, such as `BEGIN IMMEDIATE`.
    pub async fn begin_with(&mut self, statement: impl SqlSafeStr) -> Result<Tx<'_, DB>, Error> {
        Tx::start(Holder::Lent(self), Some(statement.into_sql_str())).await
    }

    /// Runs `work` in a transaction: commits it where that returns `Ok`, and rolls it back where it returns an error.
    pub async fn transaction<R, E>(
        &mut self,
        work: impl for<'t> FnOnce(&'t mut Tx<'_, DB>) -> BoxFuture<'t, Result<R, E>>,
    ) -> Result<R, E>
    where
        E: From<Error>,
    {
        let mut tx = self.begin().await?;
        match work(&mut tx).await {
            Ok(done) => {
                tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// Whether a transaction is open, as sqlx counts: one begun by a statement of your own is not known to it.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.raw.is_in_transaction()
    }

    /// Asks the server whether the connection still works. This is not a query, and is not measured.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.raw.ping().await
    }

    /// Says goodbye to the server and closes the connection. Its pool may open another.
    pub async fn close(self) -> Result<(), Error> {
        match self.raw {
            Raw::Pooled(raw) => raw.close().await,
            Raw::Own(raw) => raw.close().await,
        }
    }

    /// How many prepared statements the connection keeps.
    #[must_use]
    pub fn cached_statements_size(&self) -> usize
    where
        DB: HasStatementCache,
    {
        self.raw.cached_statements_size()
    }

    /// Forgets the prepared statements, here and in the server.
    pub async fn clear_cached_statements(&mut self) -> Result<(), Error>
    where
        DB: HasStatementCache,
    {
        self.raw.clear_cached_statements().await
    }

    /// Gives back memory that large answers have left in the connection's buffers.
    pub fn shrink_buffers(&mut self) {
        self.raw.shrink_buffers();
    }

    pub(crate) fn metrics(&self) -> &SqlMetrics {
        self.held.metrics()
    }

    pub(crate) fn driver(&self) -> &DB::Connection {
        &self.raw
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Times what the wrapper itself asks of the database.
    pub(crate) async fn time<'s, T, F>(
        &'s mut self,
        operation: Operation,
        work: impl FnOnce(&'s mut DB::Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Self { raw, session, held } = self;
        let work = Marked::new(|| Box::pin(work(raw)));
        time(held.metrics(), session, operation, work).await
    }

    /// Sends a query whose time runs from the `start`.
    pub(crate) fn answer<'e, 'q: 'e, E>(&'e mut self, start: Instant, query: E) -> Answer<'e, DB>
    where
        &'e mut DB::Connection: Executor<'e, Database = DB>,
        E: 'q + Execute<'q, DB>,
    {
        let Self { raw, session, held } = self;
        Answer::<DB>::new(raw, session, held.metrics(), start, query)
    }

    /// Sends a query for at most one row.
    pub(crate) async fn optional<'q, E>(
        &mut self,
        start: Instant,
        query: E,
    ) -> Result<Option<DB::Row>, Error>
    where
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        E: 'q + Execute<'q, DB>,
    {
        let Self { raw, session, held } = self;
        fetch_optional::<DB, E>(raw, session, held.metrics(), start, query).await
    }
}

impl<DB: Database> PoolConn<DB> {
    pub(crate) fn new(conn: Conn<DB>) -> Self {
        Self(conn)
    }

    /// Begins a transaction, or a savepoint within one.
    // Here and not only behind the dereference: there `Acquire::begin` would be found first, which is not measured.
    pub async fn begin(&mut self) -> Result<Tx<'_, DB>, Error> {
        self.0.begin().await
    }

    /// Closes the connection instead of giving it back.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await
    }

    /// Closes the connection when it is dropped, instead of giving it back.
    pub fn close_on_drop(&mut self) {
        if let Raw::Pooled(raw) = &mut self.0.raw {
            raw.close_on_drop();
        }
    }

    /// Takes the connection out of its pool, which may open another in its place. Its queries go on being measured.
    #[must_use = "a connection that is detached and dropped is closed"]
    pub fn detach(self) -> Conn<DB> {
        self.out_of_the_pool(PoolConnection::detach)
    }

    /// Takes the connection out of its pool for good: the pool has room for one less from then on.
    #[must_use = "a connection that is leaked and dropped is closed, and its place in the pool is lost"]
    pub fn leak(self) -> Conn<DB> {
        self.out_of_the_pool(PoolConnection::leak)
    }

    fn out_of_the_pool(self, how: impl FnOnce(PoolConnection<DB>) -> DB::Connection) -> Conn<DB> {
        let Conn { raw, session, held } = self.0;
        let raw = match raw {
            Raw::Pooled(raw) => how(raw),
            Raw::Own(raw) => raw,
        };
        Conn {
            raw: Raw::Own(raw),
            session,
            held: held.end(),
        }
    }
}

impl<'t, DB> Executor<'t> for &'t mut Conn<DB>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.answer(Instant::now(), query).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, DB>,
    {
        Box::pin(async move { self.optional(Instant::now(), query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        't: 'e,
    {
        Box::pin(self.time(Operation::Prepare, move |raw| {
            raw.prepare_with(sql, parameters)
        }))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        't: 'e,
    {
        Box::pin(self.time(Operation::Prepare, move |raw| raw.describe(sql)))
    }
}

/// What generic code acquires is the driver's own connection, and what it begins sqlx's own transaction: the trait leaves
/// no room for others. They are not measured, other than by the tracing layer; [`begin`](Conn::begin) is.
impl<'t, DB: Database> Acquire<'t> for &'t mut Conn<DB> {
    type Database = DB;
    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Box::pin(std::future::ready(Ok(self.raw())))
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Transaction::begin(self.raw(), None)
    }
}

/// As that of [`Conn`].
impl<'t, DB: Database> Acquire<'t> for &'t mut PoolConn<DB> {
    type Database = DB;
    type Connection = &'t mut DB::Connection;

    fn acquire(self) -> BoxFuture<'t, Result<Self::Connection, Error>> {
        Acquire::acquire(&mut self.0)
    }

    fn begin(self) -> BoxFuture<'t, Result<Transaction<'t, DB>, Error>> {
        Acquire::begin(&mut self.0)
    }
}

impl<DB: Database> AsMut<DB::Connection> for Conn<DB> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self.raw()
    }
}

impl<DB: Database> AsMut<DB::Connection> for PoolConn<DB> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self.raw()
    }
}

impl<DB: Database> fmt::Debug for Conn<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").finish_non_exhaustive()
    }
}

impl<DB: Database> Deref for Raw<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Pooled(raw) => raw,
            Self::Own(raw) => raw,
        }
    }
}

impl<DB: Database> DerefMut for Raw<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Pooled(raw) => raw,
            Self::Own(raw) => raw,
        }
    }
}

impl<DB: Database> Deref for PoolConn<DB> {
    type Target = Conn<DB>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<DB: Database> DerefMut for PoolConn<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
