//! The forms in which sqlx and redis are used. Each is written as it is for them; where a file is to be measured, its `use` lines name this
//! crate. See the table on the front page.

use crate::common::{Postgres, Redis};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use obs_core::TestRecorder;
use obs_db::aio::{ConnectionManager, MultiplexedConnection};
use obs_db::{
    Bb8, Conn, Deadpool, PgConnection, PgListener, PgPool, PgTransaction, Pool, Redis as Measured,
    Transaction, bb8,
};
use redis::AsyncCommands;
use redis::aio::ConnectionLike;
use sqlx::postgres::{PgConnectOptions, PgPoolCopyExt, PgPoolOptions, PgRow};
use sqlx::{Acquire, Database, Executor, PgExecutor, Postgres as Pg};

async fn of_a_pool(pool: &PgPool) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(pool).await
}

async fn of_a_connection(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(&mut *conn).await
}

async fn of_a_transaction(tx: &mut Transaction<'_, Pg>) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(&mut **tx).await
}

async fn of_an_executor<'e, E: Executor<'e, Database = Pg>>(executor: E) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT 1").fetch_one(executor).await
}

async fn of_a_pg_executor(executor: impl PgExecutor<'_>) -> sqlx::Result<i32> {
    of_an_executor(executor).await
}

async fn of_what_can_be_copied<'e, E>(executor: E) -> sqlx::Result<i32>
where
    E: Executor<'e, Database = Pg> + Copy,
{
    Ok(of_an_executor(executor).await? + of_an_executor(executor).await?)
}

/// The trait gives sqlx's own connection: this one is not measured.
async fn of_what_can_be_acquired<'a, A>(acquire: A) -> sqlx::Result<()>
where
    A: Acquire<'a, Database = Pg> + Send,
{
    let mut conn = acquire.acquire().await?;
    sqlx::query("SELECT 1").execute(&mut *conn).await?;
    let mut tx = conn.begin().await?;
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    tx.commit().await
}

async fn by_the_begin_of_acquire<'a, A>(acquire: A) -> sqlx::Result<()>
where
    A: Acquire<'a, Database = Pg> + Send,
{
    let mut tx = acquire.begin().await?;
    sqlx::query("SELECT 1").execute(&mut *tx).await?;
    tx.commit().await
}

/// A repository of any database.
struct Repository<DB: Database> {
    pool: Pool<DB>,
}

impl<DB: Database> Repository<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    <DB as Database>::Arguments: sqlx::IntoArguments<DB>,
{
    async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }
}

/// A unit of work that keeps its transaction.
struct UnitOfWork {
    tx: Option<PgTransaction<'static>>,
}

trait Store: Send + Sync {
    fn get(&self) -> BoxFuture<'_, sqlx::Result<i32>>;
}

impl Store for PgPool {
    fn get(&self) -> BoxFuture<'_, sqlx::Result<i32>> {
        Box::pin(async move { sqlx::query_scalar("SELECT 1").fetch_one(self).await })
    }
}

fn rows(pool: &PgPool) -> BoxStream<'static, sqlx::Result<PgRow>> {
    sqlx::query("SELECT 1").fetch(pool)
}

async fn of_a_connection_manager(redis: &mut ConnectionManager) -> redis::RedisResult<i64> {
    redis.get("AAPL").await
}

async fn of_a_connection_like(
    redis: &mut (impl ConnectionLike + Send + Sync),
) -> redis::RedisResult<i64> {
    redis::cmd("GET").arg("AAPL").query_async(redis).await
}

async fn of_commands<C: AsyncCommands>(redis: &mut C) -> redis::RedisResult<i64> {
    redis.get("AAPL").await
}

/// A connection of its own.
async fn alone(options: &PgConnectOptions) -> sqlx::Result<sqlx::PgConnection> {
    // In here: beside `Acquire`, which has a `begin` too, neither could be called by its name.
    use sqlx::Connection;
    sqlx::PgConnection::connect_with(options).await
}

/// What a web framework asks of its state.
fn state<S: Clone + Send + Sync + 'static>(state: S) -> S {
    state
}

#[tokio::test]
async fn the_forms_of_redis_are_measured() {
    let server = Redis::start();
    let client = redis::Client::open(server.url()).unwrap();
    let test = TestRecorder::new();
    let raw = client.get_connection_manager().await.unwrap();
    let mut manager: ConnectionManager = test.run(|| Measured::new(raw, "prices"));
    let _: () = manager.set("AAPL", 7).await.unwrap();
    assert_eq!(of_a_connection_manager(&mut manager).await.unwrap(), 7);
    assert_eq!(of_a_connection_like(&mut manager).await.unwrap(), 7);
    assert_eq!(of_commands(&mut manager).await.unwrap(), 7);

    // Of a pool, for as long as it is borrowed.
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let mut borrowed = manager.metrics().on(&mut raw);
    assert_eq!(of_commands(&mut borrowed).await.unwrap(), 7);
    let mut own: MultiplexedConnection = Measured::with_metrics(raw, manager.metrics().clone());
    assert_eq!(of_commands(&mut own).await.unwrap(), 7);
    let manager = bb8_redis::RedisConnectionManager::new(server.url()).unwrap();
    let raw = bb8::Pool::builder().build(manager).await.unwrap();
    let pool = test.run(|| Bb8::new(raw, "sessions"));
    let mut conn = pool.get().await.unwrap();
    let mut borrowed = own.metrics().on(&mut *conn);
    assert_eq!(of_commands(&mut borrowed).await.unwrap(), 7);
    let manager = deadpool_redis::Manager::new(server.url()).unwrap();
    let raw = deadpool_redis::Pool::builder(manager).build().unwrap();
    let pool = test.run(|| Deadpool::new(raw, "sessions"));
    let mut conn = pool.get().await.unwrap();
    let mut borrowed = own.metrics().on(&mut conn);
    assert_eq!(of_commands(&mut borrowed).await.unwrap(), 7);
    let labels = [("client", "prices"), ("command", "get"), ("outcome", "ok")];
    assert_eq!(
        test.counter("redis_client_commands_total", &labels),
        Some(7)
    );
    let acquired = [("pool", "sessions"), ("outcome", "ok")];
    assert_eq!(
        test.counter("db_pool_acquisitions_total", &acquired),
        Some(2)
    );
}

/// Subscribes as redis is written for RESP3, and for a connection that does nothing else.
#[tokio::test]
async fn subscriptions_are_measured() {
    let server = Redis::start();
    let test = TestRecorder::new();
    let client = redis::Client::open(format!("{}?protocol=resp3", server.url())).unwrap();
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
    let raw = client.get_multiplexed_async_connection_with_config(&config);
    let raw = raw.await.unwrap();
    let mut redis: MultiplexedConnection = test.run(|| Measured::new(raw, "prices"));
    redis.subscribe("fills").await.unwrap();
    let mut alone = client.get_async_pubsub().await.unwrap();
    alone.subscribe("fills").await.unwrap();
    let mut messages = redis.metrics().messages(alone.on_message());

    let listeners: i64 = redis.publish("fills", 1).await.unwrap();
    assert_eq!(listeners, 2);
    assert!(messages.next().await.is_some());
    let received = || {
        let labels = [("client", "prices"), ("subscription", "channel")];
        test.counter("redis_client_messages_total", &labels)
    };
    while received() == Some(1) {
        redis.metrics().push(&pushed.recv().await.unwrap());
    }
    assert_eq!(received(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_compiles_and_those_that_can_are_measured() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let raw = PgPoolOptions::new()
        .max_connections(5)
        .connect_with(server.options())
        .await
        .unwrap();
    let test = TestRecorder::new();
    let pool: PgPool = state(test.run(|| Pool::new(raw, "orders")));
    let selects = || {
        let labels = [("pool", "orders"), ("operation", "select")];
        test.counter_sum("db_queries_total", &labels)
    };

    // Not measured.
    sqlx::migrate!("tests/migrations").run(&pool).await.unwrap();
    assert_eq!(selects(), 0);
    of_a_pool(&pool).await.unwrap();
    of_an_executor(&pool).await.unwrap();
    of_a_pg_executor(&pool).await.unwrap();
    of_what_can_be_copied(&pool).await.unwrap();
    pool.get().await.unwrap();
    let repository = Repository { pool: pool.clone() };
    repository.ping().await.unwrap();
    let read = rows(&pool).try_collect::<Vec<_>>();
    assert_eq!(tokio::spawn(read).await.unwrap().unwrap().len(), 1);
    assert_eq!(selects(), 8);

    let mut conn = tokio::spawn(pool.acquire()).await.unwrap().unwrap();
    of_a_connection(&mut conn).await.unwrap();
    of_an_executor(&mut *conn).await.unwrap();
    let work = conn.transaction(|tx| {
        Box::pin(async move { sqlx::query("SELECT 1").execute(&mut **tx).await.map(drop) })
    });
    work.await.unwrap();
    assert!(conn.cached_statements_size() > 0);
    conn.clear_cached_statements().await.unwrap();
    assert_eq!(selects(), 11);

    let mut tx = conn.begin().await.unwrap();
    of_a_connection(&mut tx).await.unwrap();
    of_a_transaction(&mut tx).await.unwrap();
    of_a_pg_executor(&mut *tx).await.unwrap();
    // Of a savepoint too, although `Acquire`, which has a `begin`, is in scope.
    let mut savepoint = tx.begin().await.unwrap();
    of_a_transaction(&mut savepoint).await.unwrap();
    savepoint.commit().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(selects(), 15);
    conn.close_on_drop();
    drop(conn);
    let own = pool.acquire().await.unwrap().detach();
    own.close().await.unwrap();
    let mut own = pool.measure(alone(&server.options()).await.unwrap());
    of_a_connection(&mut own).await.unwrap();
    assert_eq!(selects(), 16);
    let raw = own.into_raw();
    let mut own: PgConnection = test.run(|| Conn::new(raw, "orders"));
    of_a_connection(&mut own).await.unwrap();
    assert_eq!(selects(), 17);

    let kept = UnitOfWork {
        tx: pool.try_begin_with("BEGIN").await.unwrap(),
    };
    if let Some(tx) = kept.tx {
        tx.rollback().await.unwrap();
    }
    let listener = PgListener::connect_with(&pool).await.unwrap();
    let options = pool.connect_options();
    pool.set_connect_options((*options).clone());

    // These are not measured.
    let before = selects();
    of_what_can_be_acquired(&pool).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    of_what_can_be_acquired(&mut tx).await.unwrap();
    by_the_begin_of_acquire(&mut tx).await.unwrap();
    by_the_begin_of_acquire(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let unmeasured = of_what_can_be_acquired(&pool);
    let _: &(dyn Send + Sync) = &pool;
    unmeasured.await.unwrap();
    pool.copy_out_raw("COPY (SELECT 1) TO STDOUT")
        .await
        .unwrap()
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    assert_eq!(selects(), before);

    let closed = pool.close_event();
    drop(listener);
    pool.close().await;
    closed.await;
}
