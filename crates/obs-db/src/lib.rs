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
//! | `db_pool_connections` | gauge | `pool`, `state` |
//! | `db_pool_connections_max` | gauge | `pool` |
//! | `db_pool_acquisitions_total` | counter | `pool`, `outcome` |
//! | `db_pool_acquire_duration_seconds` | histogram | `pool` |
//! | `db_pool_connect_duration_seconds` | histogram | `pool` |
//! | `db_pool_timeouts_total` | counter | `pool` |
//! | `db_transactions_total` | counter | `pool`, `outcome` |
//!
//! **A query lasts** from being handed to the driver, on an acquired connection, to the end of its result. A stream lasts until it
//! ends or is dropped, including the time its consumer takes. Dropped before its end it is `cancelled`, even if the consumer has read
//! all the rows it wanted. No row is a result, `ok`, even where `fetch_one` turns it into an error. What happens to a row after it was
//! read, such as decoding, is not part of the query.
//!
//! **`operation`** is the statement's first keyword, or the main verb after a `WITH`; nothing else of the text is kept. Begin, commit
//! and rollback are queries too, and so are those of savepoints.
//!
//! **A transaction** is counted when it ends: `commit`, `rollback`, `rollback_by_drop`, or `failed` if a commit or rollback failed or
//! was cancelled and the outcome is unknown. Savepoints, and transactions begun by a statement of your own, are not counted.
//!
//! **Waiting and connecting.** `db_pool_acquire_duration_seconds` is the time spent waiting for a connection, and
//! `db_pool_connect_duration_seconds` the time spent opening a new one for the request; together they are how long the request took.
//! An opening is recognised by the growth of the pool. Replacing a broken connection therefore counts as waiting, and if another task
//! makes the pool grow at the same moment, a wait can be taken for an opening.
//!
//! **Not measured:** queries on a connection of sqlx itself. [`Pool::raw`] and [`Conn::raw`] return one, and generic code over
//! `Acquire`, such as `migrate!`, gets one, because sqlx's trait allows no other. A function that takes a `&mut PgConnection` does not
//! accept a [`Conn`], so code that is not measured is visible as such. The feature `tracing` has a layer for all of these, `QueryLayer`.
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
//! **`command`** is the name of the command if it is a known one, else `other`. A pipeline is timed as a whole, as `pipeline`, and a
//! transaction as `transaction`; each of their commands is counted by its own name and reply, so a command can have a higher count
//! than its duration histogram. The commands of a transaction that was not run, because a watched key changed, are `cancelled`.
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
//! Types of sqlx 0.9 and redis 1.8 are part of this crate's interface; they are re-exported as `obs_db::sqlx` and `obs_db::redis`.
//!
//! # Features
//!
//! - `sqlite`, `postgres`, `mysql`: a driver of sqlx; or `sqlx` alone, for a driver that the program enables itself.
//! - `redis`: Redis connections, blocking and async.
//! - `tracing`: `QueryLayer`.
//! - `serde`: labels through serde.

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
