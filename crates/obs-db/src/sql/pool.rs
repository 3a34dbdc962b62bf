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
use sqlx::pool::{MaybePoolConnection, PoolConnection, PoolOptions};
use sqlx::{
    Acquire, Database, Describe, Error, Execute, Executor, SqlSafeStr, SqlStr, Transaction,
};

use crate::sql::PoolMetrics;
use crate::sql::connection::PoolConn;
use crate::sql::labels::{ConnectionState, PoolName};
use crate::sql::metrics::Acquisition;
use crate::sql::operation::{Operation, OperationCell};
use crate::sql::query::{Answer, Step, fetch_optional};
use crate::sql::span::Marked;
use crate::sql::transaction::Tx;

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
    metrics: Arc<PoolMetrics>,
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
            metrics: Arc::new(PoolMetrics::new(name)),
        };
        pool.observe();
        pool
    }

    /// Reads how many connections the pool has: `db_pool_connections` and `db_pool_connections_max`. To be called before
    /// each scrape, for which exporters have a hook; it takes no lock and does not wait.
    pub fn observe(&self) {
        let idle = self.raw.num_idle();
        let open = self.raw.size() as usize;
        let connections = &self.metrics.connections;
        connections[ConnectionState::Idle].set(idle as f64);
        // The two are read one after the other, so idle ones may have been closed in between.
        connections[ConnectionState::InUse].set(open.saturating_sub(idle) as f64);
        let max = self.raw.options().get_max_connections();
        self.metrics.connections_max.set(max);
    }

    /// The pool of sqlx itself, for what needs one. What goes through it is not measured, other than by the tracing layer.
    #[must_use]
    pub fn raw(&self) -> &sqlx::Pool<DB> {
        &self.raw
    }

    /// Takes a connection, waiting for one if it must.
    pub async fn acquire(&self) -> Result<PoolConn<DB>, Error> {
        let (raw, _) = self.take().await?;
        Ok(PoolConn::new(raw, Arc::clone(&self.metrics)))
    }

    /// Takes a connection if one is idle. Nothing is waited for, so nothing is recorded.
    #[must_use]
    pub fn try_acquire(&self) -> Option<PoolConn<DB>> {
        let raw = self.raw.try_acquire()?;
        Some(PoolConn::new(raw, Arc::clone(&self.metrics)))
    }

    /// Takes a connection and begins a transaction on it.
    pub async fn begin(&self) -> Result<Tx<'static, DB>, Error> {
        let (raw, _) = self.take().await?;
        self.begin_on(raw, None).await
    }

    /// The same by a statement of your own, such as `BEGIN IMMEDIATE`.
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<Tx<'static, DB>, Error> {
        let (raw, _) = self.take().await?;
        self.begin_on(raw, Some(statement.into_sql_str())).await
    }

    /// Begins a transaction if a connection is idle.
    pub async fn try_begin(&self) -> Result<Option<Tx<'static, DB>>, Error> {
        match self.raw.try_acquire() {
            Some(raw) => self.begin_on(raw, None).await.map(Some),
            None => Ok(None),
        }
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
            let before = self.raw.size();
            let polled = acquire.as_mut().poll(cx);
            // The pool grows in the step in which it begins to connect, and connecting is never done at once. Another task
            // may make it grow in this very moment; that is rare, for a pool seldom grows.
            if polled.is_pending() && self.raw.size() > before {
                acquisition.connecting();
            }
            polled
        })
        .await;
        acquisition.finish(result)
    }

    async fn begin_on(
        &self,
        raw: PoolConnection<DB>,
        statement: Option<SqlStr>,
    ) -> Result<Tx<'static, DB>, Error> {
        // `sqlx::Pool::begin` would do both, but then the wait could not be told from the query.
        let begin = Transaction::begin(MaybePoolConnection::PoolConnection(raw), statement);
        let begin = self.metrics.time(Operation::Begin, Marked::new(|| begin));
        Ok(Tx::new(begin.await?, Arc::clone(&self.metrics), true))
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
            let (mut raw, got) = match pool.take().await {
                Ok(taken) => taken,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            let operation = OperationCell::new();
            let mut answer = Answer::<DB>::new(&mut raw, &operation, &pool.metrics, got, query);
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
            let (mut raw, got) = pool.take().await?;
            let operation = OperationCell::new();
            fetch_optional::<DB, E>(&mut raw, &operation, &pool.metrics, got, query).await
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
