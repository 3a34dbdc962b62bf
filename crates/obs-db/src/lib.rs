//! Measures sqlx pools and Redis connections: wrap them once, change nothing else.
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
//! Install a recorder first (`obs-exporter` does): handles that are made before it stay without effect. Then put the crate's
//! [`catalogue`] into the exporter's, and have it look at the pool before each scrape:
//!
//! ```text
//! let exporter = Exporter::builder(app_info!()).catalogue(obs_db::catalogue()).install()?;
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
//! | `db_pool_connections` | gauge | `pool`, `state` |
//! | `db_pool_connections_max` | gauge | `pool` |
//! | `db_pool_acquisitions_total` | counter | `pool`, `outcome` |
//! | `db_pool_acquire_duration_seconds` | histogram | `pool` |
//! | `db_pool_connect_duration_seconds` | histogram | `pool` |
//! | `db_pool_timeouts_total` | counter | `pool` |
//! | `db_transactions_total` | counter | `pool`, `outcome` |
//!
//! **A query lasts** from being handed to the driver, on a connection that was got, to the end of its answer. A stream lasts
//! until it has ended or is dropped, with the time its reader takes; dropped before its end it is `cancelled`, though every
//! row may have been read that its reader wanted. That there is no row is an answer, `ok`, also where `fetch_one` makes an
//! error of it. What happens to a row once it was read, decoding it among others, is the reader's own.
//!
//! **`operation`** is told by the statement's first keyword, or the main verb behind a `WITH`, and nothing else of its text is
//! kept. Begin, commit and rollback are queries too; so are those of savepoints.
//!
//! **A transaction** is counted when it ends: `commit`, `rollback`, `rollback_by_drop`, or `failed` where a commit or rollback
//! failed or was cancelled, so that nobody knows. Savepoints, and transactions by a statement of your own, are not counted.
//!
//! **Waiting and connecting.** `db_pool_acquire_duration_seconds` is the time for which a connection was waited for, and
//! `db_pool_connect_duration_seconds` that for which a new one was opened because of it; together they are how long the
//! request took. That a connection is being opened is told by the pool growing. So a connection that is found broken and
//! replaced counts as waiting, and at the very moment at which another task makes the pool grow, a wait may pass for an
//! opening.
//!
//! **What is not measured:** what is done on a connection of sqlx itself. That is what [`Pool::raw`] and [`Conn::raw`] give,
//! and, because sqlx's trait leaves no room for another, what generic code gets from `Acquire`; `migrate!` does. A function
//! that takes a `&mut PgConnection` does not take a [`Conn`]: that it would not be measured is to be seen in the code. The
//! feature `tracing` has a layer for all of these, `QueryLayer`.
//!
//! # Redis
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `redis_client_command_duration_seconds` | histogram | `client`, `command` |
//! | `redis_client_commands_total` | counter | `client`, `command`, `outcome` |
//! | `redis_client_errors_total` | counter | `client`, `error_type` |
//! | `redis_client_lookups_total` | counter | `client`, `result` |
//! | `redis_client_messages_total` | counter | `client`, `subscription` |
//! | `redis_server_keyspace_hits_total` | counter | `client` |
//! | `redis_server_keyspace_misses_total` | counter | `client` |
//!
//! `Redis::new(connection, "prices")` measures any connection, async or blocking, to a server or a cluster.
//!
//! **`command`** is the command's name if it is a known one, else `other`. A pipeline is timed as one, as `pipeline`, and a
//! transaction as `transaction`; their commands are counted each by its own name and reply. So a command's count may be
//! higher than that of its times. A transaction that was not run, because a key it watches has changed, has `cancelled`
//! commands.
//!
//! **`result`**: keys and fields that were looked up by `GET`, `GETEX`, `GETDEL`, `GETSET`, `MGET`, the same of hashes and of
//! JSON, and `HGETALL`, whose miss is an empty answer. They are counted here; what the server counts, over all its clients,
//! `Redis::observe_server` asks for.
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
//! `SQLite`'s driver has a thread of its own, and a query changes threads two to six times. How often it does varies by more
//! than the wrapper's work, so that the sum can come out below nought. In a pool of one connection each query waits besides
//! until sqlx has taken back the connection of the one before. There a profile finds 0.2 µs in this crate and the recorder;
//! the rest of what is added stands in the kernel, where threads that used to meet in a short lock go to sleep instead.

#[cfg(feature = "redis")]
mod client;
#[cfg(feature = "sqlx")]
mod sql;

#[cfg(feature = "redis")]
pub use redis;
#[cfg(feature = "sqlx")]
pub use sqlx;

#[cfg(feature = "redis")]
pub use crate::client::{
    ClientName, Command, CommandError, Lookup, Messages, Redis, RedisMetrics, Subscription,
};

#[cfg(feature = "tracing")]
pub use crate::sql::QueryLayer;
#[cfg(feature = "sqlx")]
pub use crate::sql::{
    Conn, ConnectionState, Operation, Pool, PoolConn, PoolName, QueryError, QueryOutcome,
    TransactionOutcome, Tx,
};

use obs_core::Catalogue;

/// The families of this crate, as far as its features are turned on.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        #[cfg(feature = "sqlx")]
        sql::PoolMetrics::FAMILIES,
        #[cfg(feature = "redis")]
        client::ClientMetrics::FAMILIES,
    ])
}

/// The examples need these two features.
#[cfg(all(doctest, feature = "sqlite", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
