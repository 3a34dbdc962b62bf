//! Measures pools of connections and Redis: wrap the pool once, and change the types in the signatures that it is handed to.
//!
//! ```
//! # #[cfg(not(feature = "sqlite"))] fn main() {}
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sqlx::Error> {
//! # let test = obs_core::TestRecorder::new();
//! let raw = sqlx::sqlite::SqlitePoolOptions::new()
//!     .max_connections(1) // of a database in memory, each connection has its own
//!     .connect("sqlite::memory:")
//!     .await?;
//! # /*
//! let pool = obs_db::Pool::new(raw, "orders"); // once, at start-up
//! # */
//! # let pool = test.run(|| obs_db::Pool::new(raw, "orders"));
//!
//! let mut tx = pool.begin().await?;
//! sqlx::query("CREATE TABLE orders (symbol TEXT)").execute(&mut *tx).await?;
//! sqlx::query("INSERT INTO orders VALUES (?)").bind("AAPL").execute(&mut *tx).await?;
//! tx.commit().await?;
//! let symbol: String = sqlx::query_scalar("SELECT symbol FROM orders").fetch_one(&pool).await?;
//! assert_eq!(symbol, "AAPL");
//! # let select = [("pool", "orders"), ("operation", "select"), ("outcome", "ok")];
//! # assert_eq!(test.counter("db_queries_total", &select), Some(1));
//! # let commit = [("pool", "orders"), ("outcome", "commit")];
//! # assert_eq!(test.counter("db_transactions_total", &commit), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! Install a recorder first (`obs-exporter` does): handles built before it have no effect, for ever, and are counted in
//! `obs_dead_handles`. Then have the exporter read the state of the pool before each scrape:
//!
//! ```text
//! let exporter = Exporter::builder(app_info!()).install()?;
//! let pool = obs_db::Pool::new(raw, "orders");
//! let observed = pool.clone();
//! exporter.on_scrape(move || observed.observe());
//! ```
//!
//! # Databases
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `db_query_duration_seconds` | histogram | `pool`, `operation` |
//! | `db_queries_total` | counter | `pool`, `operation`, `outcome` |
//! | `db_query_errors_total` | counter | `pool`, `error_type` |
//! | `db_sqlstate_errors_total` | counter | `pool`, `sqlstate_class` |
//! | `db_pool_connections` | gauge | `pool`, `state` |
//! | `db_pool_connections_max` | gauge | `pool` |
//! | `db_pool_waiting` | gauge | `pool` |
//! | `db_pool_acquisitions_total` | counter | `pool`, `outcome` |
//! | `db_pool_acquire_errors_total` | counter | `pool`, `stage`, `error_type` |
//! | `db_pool_acquire_duration_seconds` | histogram | `pool` |
//! | `db_pool_connect_duration_seconds` | histogram | `pool` |
//! | `db_pool_held_duration_seconds` | histogram | `pool` |
//! | `db_pool_timeouts_total` | counter | `pool` |
//! | `db_transactions_total` | counter | `pool`, `outcome` |
//! | `db_listener_events_total` | counter | `pool`, `event` |
//!
//! **A query lasts** from being handed to the driver, on an acquired connection, to the end of its result. A stream lasts until it
//! ends or is dropped, including the time its consumer takes. Dropped before its end it is `cancelled`, even if the consumer has read
//! all the rows it wanted. No row is a result, `ok`, even where `fetch_one` turns it into an error. What happens to a row after it was
//! read, such as decoding, is not part of the query. A query that got no connection was not sent: it is in
//! `db_pool_acquire_errors_total` alone.
//!
//! **`operation`** is the statement's first keyword, or the main verb after a `WITH`; nothing else of the text is kept. Begin, commit
//! and rollback are queries too, and so are those of savepoints.
//!
//! **A transaction** is counted when it ends: `commit`, `rollback`, `rollback_by_drop`, `failed` or `begin_cancelled`. `failed` means
//! that a commit or rollback failed or was cancelled and the outcome is unknown, or that `PostgreSQL` answered the commit by a
//! rollback: it does so when a statement of the transaction has failed and the program went on, and sqlx then returns `Ok`.
//! `begin_cancelled` means that the future of a `begin` was dropped between the statement and its answer. sqlx 0.9 may then give the
//! connection back within an open transaction, and what others write through it is lost (sqlx#4385): do not cancel a `begin`, or set
//! `idle_in_transaction_session_timeout`. Savepoints, and transactions begun by a statement of your own, are not counted.
//!
//! **Waiting and connecting.** `db_pool_acquire_duration_seconds` is the time spent waiting for a connection, and
//! `db_pool_connect_duration_seconds` the time spent opening a new one for the request; together they are how long the request took.
//! An opening is recognised by the growth of the pool. The time of replacing a broken connection therefore counts as waiting, and if
//! another task makes the pool grow at the same moment, a wait can be taken for an opening. `db_pool_waiting` counts the requests that
//! have not ended, and `db_pool_held_duration_seconds` records how long connections were held.
//!
//! **Why there was no connection.** `db_pool_acquire_errors_total` has the `stage` in which a request failed: `wait` is a pool with no
//! connection to give, `connect` a server that gives none. sqlx repeats a connection that is refused, or of which the server has too
//! many, until the pool's timeout, and does not say why: these are `timeout` while connecting. `db_pool_timeouts_total` counts the
//! timeouts of both stages.
//!
//! # The forms of sqlx code
//!
//! | you write | write instead | |
//! |---|---|---|
//! | `fetch_one(&pool)`, `fetch_one(&mut *tx)`, `pool.begin()`, `conn.transaction(…)` | | measured |
//! | `impl Executor<'_, Database = Postgres>`, `impl PgExecutor<'_>` | | measured |
//! | `fn f(pool: &sqlx::PgPool)` | `fn f(pool: &obs_db::PgPool)` | measured |
//! | `fn f(conn: &mut sqlx::PgConnection)` | `fn f(conn: &mut obs_db::PgConnection)`, which is [`Conn<Postgres>`](Conn) | measured |
//! | `fn f(tx: &mut sqlx::Transaction<'_, Postgres>)` | `fn f(tx: &mut obs_db::Transaction<'_, Postgres>)` | measured |
//! | `struct Repository<DB: Database> { pool: sqlx::Pool<DB> }` | the same with `obs_db::Pool<DB>` | measured |
//! | `struct Work { tx: sqlx::Transaction<'static, Postgres> }` | the same with `obs_db::Transaction` | measured |
//! | `sqlx::postgres::PgListener::connect_with(&pool)` | `obs_db::PgListener::connect_with(&pool)` | measured |
//! | `PgConnection::connect(…)`, for a connection of its own | the same in [`Conn::new`] or [`Pool::measure`] | measured |
//! | `impl Acquire<'_>`, `migrate!` | | compiles, not measured |
//! | `pool.copy_in_raw(…)` of `PgPoolCopyExt` | `conn.copy_in_raw(…)` | not measured, the statement is |
//! | a library that takes a `sqlx::PgPool` | [`pool.raw()`](Pool::raw) | not measured |
//! | a pool of sqlx 0.8, of diesel | `PoolMeter` around its requests | waits and sizes |
//! | `fn f(redis: &mut redis::aio::ConnectionManager)` | `fn f(redis: &mut obs_db::aio::ConnectionManager)` | measured |
//! | `fn f(redis: &mut impl AsyncCommands)`, `&mut impl ConnectionLike` | | measured |
//! | `redis.subscribe(…)` of RESP3, with a push sender | | measured, messages by [`RedisMetrics::push`] |
//! | `client.get_async_pubsub()` | [`RedisMetrics::messages`] around its stream | messages |
//! | a connection borrowed from a pool of bb8 or deadpool | `metrics.on(&mut *conn)`, of [`RedisMetrics`] | measured |
//! | `bb8::Pool`, `deadpool::managed::Pool` | `obs_db::Bb8`, `obs_db::Deadpool` around it | waits and sizes |
//!
//! With `use obs_db::{PgConnection, PgPool, PgTransaction, Transaction}` in place of sqlx's names the bodies of functions stay as they
//! are; for `MySQL` and `SQLite` likewise. What keeps sqlx's own types in its signatures does not compile with a measured pool. Three
//! forms compile unchanged and are not measured: `impl Acquire`, `migrate!`, and `copy_in_raw` of a pool. `tests/servers` compiles and
//! runs each row.
//!
//! **Not measured** are queries on a connection of sqlx itself: [`Pool::raw`] and [`Conn::raw`] return one, and generic code over
//! `Acquire` gets one, because sqlx's trait allows no other. A function that takes a `&mut sqlx::PgConnection` does not accept a
//! [`Conn`], so code that is not measured is visible as such. The feature `tracing` has a layer for all of these, `QueryLayer`. It
//! needs no wrapper, works with sqlx 0.8 as well, and warns where a filter keeps the events from it. There is no wrapper for sqlx 0.8.
//!
//! # Pools of other libraries
//!
//! With the feature `pools`, `Bb8` and `Deadpool` measure the pools of these libraries, of whatever they manage, and `PoolMeter` one of
//! any other library, such as sqlx 0.8: in the families `db_pool_…` above, but for `db_pool_connect_duration_seconds`, for they do not
//! say when they begin to connect.
//!
//! # Redis
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `redis_client_command_duration_seconds` | histogram | `client`, `command` |
//! | `redis_client_blocking_duration_seconds` | histogram | `client`, `command` |
//! | `redis_client_commands_total` | counter | `client`, `command`, `outcome` |
//! | `redis_client_errors_total` | counter | `client`, `error_type` |
//! | `redis_client_lookups_total` | counter | `client`, `result` |
//! | `redis_client_messages_total` | counter | `client`, `subscription` |
//! | `redis_client_subscriptions_lost_total` | counter | `client` |
//! | `redis_server_keyspace_hits_total` | counter | `client` |
//! | `redis_server_keyspace_misses_total` | counter | `client` |
//!
//! `Redis::new(connection, "prices")` measures any connection, async or blocking, to a server or a cluster.
//!
//! **`command`** is the name of the command if it is a known one, else `other`. A pipeline is timed as a whole, as `pipeline`, and a
//! transaction as `transaction`; each of their commands is counted by its own name and reply, so a command can have a higher count
//! than its duration histogram. The commands of a transaction that was not run, because a watched key changed, are `cancelled`.
//!
//! **Commands that wait in the server** are timed in `redis_client_blocking_duration_seconds`: `BLPOP` and its like, `XREAD` and
//! `XREADGROUP` with `BLOCK`, `WAIT`, and pipelines with one of them. The client's own timeout ends them too: `redis` waits 500 ms for
//! an answer unless `set_response_timeout` of `AsyncConnectionConfig` or `ConnectionManagerConfig` says otherwise, so give a consumer
//! a connection of its own with `None` or more than it waits.
//!
//! **Errors** are those of the server and of the connection. A reply that does not fit the Rust type it is read as is `ok`: the
//! conversion happens after the reply has gone through. An `EVALSHA` of a script that the server does not know yet is `cancelled` and
//! no error: `redis::Script` loads it then and asks again.
//!
//! **A connection of a pool**, such as bb8's or deadpool's, is measured for as long as it is borrowed: `metrics.on(&mut *conn)`. A
//! function that takes a `&mut ConnectionManager` keeps its body under `use obs_db::aio::ConnectionManager`.
//!
//! **Subscriptions**: [`RedisMetrics::messages`] counts those of a `PubSub` connection, [`RedisMetrics::push`] those of RESP3, and both
//! count in `redis_client_subscriptions_lost_total` that the connection has ended.
//!
//! **`result`**: keys and fields looked up by `GET`, `GETEX`, `GETDEL`, `GETSET`, `MGET`, their counterparts for hashes and JSON, and
//! `HGETALL`, whose miss is an empty reply. These are counted in the client; `Redis::observe_server` reads the server's own counts, over
//! all its clients.
//!
//! **Retries and redirects** happen inside the client: a command that was sent to three nodes counts once.
//!
//! # What it costs
//!
//! No lock, no lookup by text, and at most two allocations a query. `taskset -c 0 cargo run --release -p obs-db --example
//! overhead -- redis://…`, with `obs-recorder` behind, on two shared cores of a virtual machine, a server of Redis on the same
//! core, 23 November 2026; nanoseconds, the range of three runs:
//!
//! | | bare, least | added, least | added, median |
//! |---|---|---|---|
//! | `SELECT 1` on a connection that is held | 5,443 to 6,300 | -124 to 451 | -453 to -359 |
//! | `SELECT 1` through a pool of 4 | 17,175 to 17,381 | -56 to 419 | -60 to -15 |
//! | `SELECT 1` through a pool of 1 | 15,177 to 15,318 | 453 to 511 | 1,093 to 1,274 |
//! | `GET` from Redis | 19,888 to 20,081 | 187 to 291 | 282 to 328 |
//!
//! The driver of `SQLite` has a thread of its own, and a query switches threads two to six times. That number varies by more than the
//! wrapper costs, so the difference can be negative. In a pool of one connection each query also waits until sqlx has returned the
//! previous connection. There a profile finds 0.2 µs in this crate and the recorder; the rest is spent in the kernel, where threads that
//! used to meet in a short lock now sleep.
//!
//! # Versions
//!
//! Types of sqlx 0.9, redis 1, deadpool 0.13 and bb8 0.9 are part of this crate's interface; they are re-exported under their names.
//!
//! # Features
//!
//! - `sqlite`, `postgres`, `mysql`: a driver of sqlx; or `sqlx` alone, for a driver that the program enables itself.
//! - `redis`: Redis connections, blocking and async; `connection-manager`: subscriptions through a `ConnectionManager`.
//! - `pools`: `Bb8`, `Deadpool` and `PoolMeter`, with or without sqlx.
//! - `tracing`: `QueryLayer`, with or without sqlx.
//! - `serde`: labels through serde.

#[cfg(feature = "redis")]
mod client;
#[cfg(any(feature = "sqlx", feature = "tracing", feature = "pools"))]
mod pool;
#[cfg(any(feature = "sqlx", feature = "tracing"))]
mod sql;

#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "sqlx")]
pub use sqlx;
#[cfg(feature = "pools")]
pub use {bb8, deadpool};

#[cfg(feature = "redis")]
pub use crate::client::{
    Borrowed, ClientName, Command, CommandError, Lookup, Messages, Redis, RedisMetrics,
    Subscription,
};

#[cfg(any(feature = "sqlx", feature = "tracing", feature = "pools"))]
pub use crate::pool::{AcquireError, AcquireStage, ConnectionState, PoolName};
#[cfg(feature = "pools")]
pub use crate::pool::{Bb8, Deadpool, Lent, PoolMeter};

#[cfg(feature = "postgres")]
pub use crate::sql::PgListener;
#[cfg(feature = "tracing")]
pub use crate::sql::QueryLayer;
#[cfg(feature = "sqlx")]
pub use crate::sql::{Conn, Pool, PoolConn, Tx};
#[cfg(any(feature = "sqlx", feature = "tracing"))]
pub use crate::sql::{
    ListenerEvent, Operation, QueryError, QueryOutcome, SqlStateClass, TransactionOutcome,
};

/// The names that redis has for its connections, for measured ones: a file is measured by `use obs_db::aio::…` in place of
/// `use redis::aio::…`.
#[cfg(feature = "redis")]
pub mod aio {
    /// A [`redis::aio::MultiplexedConnection`] that is measured.
    pub type MultiplexedConnection = crate::Redis<redis::aio::MultiplexedConnection>;
    /// A [`redis::aio::ConnectionManager`] that is measured.
    #[cfg(feature = "connection-manager")]
    pub type ConnectionManager = crate::Redis<redis::aio::ConnectionManager>;
}

#[cfg(feature = "sqlx")]
mod names {
    //! The names that sqlx has for these, so that a file is measured by a change of its `use` lines.

    use crate::{PoolConn, Tx};

    /// A transaction, under sqlx's name.
    pub type Transaction<'c, DB> = Tx<'c, DB>;
    /// A connection of a pool, under sqlx's name.
    pub type PoolConnection<DB> = PoolConn<DB>;

    macro_rules! names {
        ($feature:literal, $DB:ident, $Pool:ident, $Connection:ident, $Transaction:ident) => {
            #[doc = concat!("A pool of `", stringify!($DB), "`, under sqlx's name.")]
            #[cfg(feature = $feature)]
            pub type $Pool = crate::Pool<sqlx::$DB>;
            #[doc = concat!("A connection of `", stringify!($DB), "`, under sqlx's name.")]
            #[cfg(feature = $feature)]
            pub type $Connection = crate::Conn<sqlx::$DB>;
            #[doc = concat!("A transaction of `", stringify!($DB), "`, under sqlx's name.")]
            #[cfg(feature = $feature)]
            pub type $Transaction<'c> = Tx<'c, sqlx::$DB>;
        };
    }

    names!("postgres", Postgres, PgPool, PgConnection, PgTransaction);
    names!("mysql", MySql, MySqlPool, MySqlConnection, MySqlTransaction);
    names!(
        "sqlite",
        Sqlite,
        SqlitePool,
        SqliteConnection,
        SqliteTransaction
    );
}
#[cfg(feature = "sqlx")]
pub use names::*;

use obs_core::Catalogue;

/// The families of this crate, as far as its features are turned on.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        #[cfg(any(feature = "sqlx", feature = "tracing"))]
        sql::QueryMetrics::FAMILIES,
        #[cfg(feature = "sqlx")]
        sql::WrapperMetrics::FAMILIES,
        #[cfg(any(feature = "sqlx", feature = "pools"))]
        pool::PoolMetrics::FAMILIES,
        #[cfg(feature = "redis")]
        client::ClientMetrics::FAMILIES,
    ])
}

/// The examples need these two features.
#[cfg(all(doctest, feature = "sqlite", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
