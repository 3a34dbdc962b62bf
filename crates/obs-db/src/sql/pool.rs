//! A pool whose connections, queries and transactions are measured.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use async_stream::stream;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use obs_core::Value;
use sqlx::pool::{CloseEvent, MaybePoolConnection, PoolConnection, PoolOptions};
use sqlx::{
    Acquire, Connection, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr,
    Transaction,
};

use crate::pool::PoolName;
use crate::sql::SqlMetrics;
use crate::sql::acquisition::Acquisition;
use crate::sql::connection::{Conn, PoolConn};
use crate::sql::query::Step;
use crate::sql::transaction::{Holder, Tx};

/// An sqlx pool that is measured. `&pool` is an [`Executor`], as that of sqlx is; clones share the pool and its metrics.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqlx::Error> {
/// let pool = sqlx::SqlitePool::connect("sqlite::memory:").await?;
/// let pool = obs_db::Pool::new(pool, "orders");
/// let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await?;
/// # assert_eq!(one, 1);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
pub struct Pool<DB: Database> {
    raw: sqlx::Pool<DB>,
    pub(crate) metrics: Arc<SqlMetrics>,
}

impl<DB: Database> Pool<DB> {
    /// Measures a pool under a name, which is the label `pool`. Two pools of one name share their counters, and each
    /// [`observe`](Self::observe) overwrites the other's gauges: give them names of their own.
    ///
    /// Install a recorder first: handles that are made before it stay without effect.
    #[must_use]
    #[track_caller]
    pub fn new(pool: sqlx::Pool<DB>, name: impl Into<Value<PoolName>>) -> Self {
        let pool = Self {
            raw: pool,
            metrics: Arc::new(SqlMetrics::new(name)),
        };
        pool.observe();
        pool
    }

    /// Reads how many connections the pool has: `db_pool_connections` and `db_pool_connections_max`. To be called before
    /// each scrape, for which exporters have a hook; it takes no lock and does not wait.
    pub fn observe(&self) {
        let open = self.raw.size() as usize;
        let max = self.raw.options().get_max_connections() as usize;
        self.metrics.pool.observe(open, self.raw.num_idle(), max);
    }

    /// The pool of sqlx itself, for what needs one. What goes through it is not measured, other than by the tracing layer.
    #[must_use]
    pub fn raw(&self) -> &sqlx::Pool<DB> {
        &self.raw
    }

    /// Measures a connection that was opened apart from the pool, under the pool's name.
    #[must_use]
    pub fn measure(&self, connection: DB::Connection) -> Conn<DB> {
        Conn::own(connection, Arc::clone(&self.metrics))
    }

    /// Takes a connection, waiting for one if it must.
    pub fn acquire(
        &self,
    ) -> impl Future<Output = Result<PoolConn<DB>, Error>> + Send + 'static + use<DB> {
        let pool = self.clone();
        async move { pool.conn().await.map(PoolConn::new) }
    }

    /// Takes a connection if one is idle. Nothing is waited for, so of the wait nothing is recorded.
    #[must_use]
    pub fn try_acquire(&self) -> Option<PoolConn<DB>> {
        self.try_conn().map(PoolConn::new)
    }

    /// Takes a connection and begins a transaction on it.
    pub async fn begin(&self) -> Result<Tx<'static, DB>, Error> {
        Tx::start(Holder::Own(self.conn().await?), None).await
    }

    /// The same by a statement of your own, such as `BEGIN IMMEDIATE`.
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<Tx<'static, DB>, Error> {
        let statement = statement.into_sql_str();
        Tx::start(Holder::Own(self.conn().await?), Some(statement)).await
    }

    /// Begins a transaction if a connection is idle.
    pub async fn try_begin(&self) -> Result<Option<Tx<'static, DB>>, Error> {
        self.try_begin_by(None).await
    }

    /// The same by a statement of your own.
    pub async fn try_begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<Option<Tx<'static, DB>>, Error> {
        self.try_begin_by(Some(statement.into_sql_str())).await
    }

    async fn try_begin_by(
        &self,
        statement: Option<SqlStr>,
    ) -> Result<Option<Tx<'static, DB>>, Error> {
        match self.try_conn() {
            Some(conn) => Tx::start(Holder::Own(conn), statement).await.map(Some),
            None => Ok(None),
        }
    }

    /// How new connections are made.
    #[must_use]
    pub fn connect_options(&self) -> Arc<<DB::Connection as Connection>::Options> {
        self.raw.connect_options()
    }

    /// Changes how new connections are made; those that are open stay as they are.
    pub fn set_connect_options(&self, options: <DB::Connection as Connection>::Options) {
        self.raw.set_connect_options(options);
    }

    /// A future that is ready when the pool is closed.
    #[must_use]
    pub fn close_event(&self) -> CloseEvent {
        self.raw.close_event()
    }

    /// Closes the pool: connections in use are closed when they come back.
    pub async fn close(&self) {
        self.raw.close().await;
    }

    /// Whether the pool was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// How many connections are open or being opened.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.raw.size()
    }

    /// How many of them are idle.
    #[must_use]
    pub fn num_idle(&self) -> usize {
        self.raw.num_idle()
    }

    /// What the pool was made with.
    #[must_use]
    pub fn options(&self) -> &PoolOptions<DB> {
        self.raw.options()
    }

    /// A connection, and the moment at which it was got.
    async fn take(&self) -> Result<(PoolConnection<DB>, Instant), Error> {
        let mut acquisition = Acquisition::start(&self.metrics);
        let mut acquire = pin!(self.raw.acquire());
        let result = poll_fn(|cx| {
            let (size, idle) = (self.raw.size(), self.raw.num_idle());
            let polled = acquire.as_mut().poll(cx);
            // The pool grows in the step in which it begins to connect, and loses an idle connection in that in which it
            // begins to test it; neither is done at once. Another task may do the same in this very moment; that is rare.
            if polled.is_pending() {
                if self.raw.size() > size {
                    acquisition.connecting();
                } else if self.raw.num_idle() < idle {
                    acquisition.testing();
                }
            }
            polled
        })
        .await;
        acquisition.finish(result)
    }

    async fn conn(&self) -> Result<Conn<DB>, Error> {
        let (raw, got) = self.take().await?;
        Ok(Conn::pooled(raw, Arc::clone(&self.metrics), got))
    }

    fn try_conn(&self) -> Option<Conn<DB>> {
        let raw = self.raw.try_acquire()?;
        Some(Conn::pooled(raw, Arc::clone(&self.metrics), Instant::now()))
    }
}

impl<'p, DB> Executor<'p> for &'_ Pool<DB>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        let steps = stream! {
            let (raw, got) = match pool.take().await {
                Ok(taken) => taken,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let mut conn = Conn::pooled(raw, pool.metrics, got);
            let mut answer = conn.answer(got, query);
            while let Some(step) = answer.next().await {
                yield step;
            }
        };
        steps.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let pool = self.clone();
        Box::pin(async move {
            let (raw, got) = pool.take().await?;
            let mut conn = Conn::pooled(raw, pool.metrics, got);
            conn.optional(got, query).await
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}

/// What generic code acquires, `migrate!` among it, is the pool's own connection, and what it begins sqlx's own transaction:
/// the trait leaves no room for others. The wait for them is measured, their queries are not, other than by the tracing
/// layer; those of [`acquire`](Pool::acquire) and [`begin`](Pool::begin) are.
impl<'a, DB: Database> Acquire<'a> for &'_ Pool<DB> {
    type Database = DB;
    type Connection = PoolConnection<DB>;

    fn acquire(self) -> BoxFuture<'a, Result<Self::Connection, Error>> {
        let pool = self.clone();
        Box::pin(async move { Ok(pool.take().await?.0) })
    }

    fn begin(self) -> BoxFuture<'a, Result<Transaction<'a, DB>, Error>> {
        let pool = self.clone();
        Box::pin(async move {
            let (raw, _) = pool.take().await?;
            Transaction::begin(MaybePoolConnection::PoolConnection(raw), None).await
        })
    }
}

// Not derived: the pool can be cloned whatever its database is.
impl<DB: Database> Clone for Pool<DB> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

impl<DB: Database> fmt::Debug for Pool<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
