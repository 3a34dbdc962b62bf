//! What the wrappers cost: the same query and the same command with them and without, in turns.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-db --example db_overhead -- redis://127.0.0.1:6379
//! ```
//!
//! The `SQLite` part needs nothing. That of Redis is run where its address is given.
//!
//! `SQLite`'s driver works on a thread of its own, and most of a query's time is spent on changing threads. How often that
//! happens depends on the moment, not on the work, and each time costs more than the wrapper does. So, on Linux, the time for
//! which this thread itself was running is shown as well: that is the one in which the wrapper's work stands out. In a pool of
//! one connection, each query waits besides until sqlx has tested and taken back the connection of the one before.

use std::time::{Duration, Instant};

use obs_db::{Pool, Redis};
use obs_recorder::Engine;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, Sqlite};

const ROUNDS: usize = 1_000;
const RUNS_A_ROUND: u32 = 50;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    obs_core::install(Engine::builder().catalogue(obs_db::catalogue()).build()?)?;
    println!("ns a run, {ROUNDS} rounds of {RUNS_A_ROUND}:");

    through_a_pool_of(4).await?;
    let pool = through_a_pool_of(1).await?;
    let mut conn = pool.acquire().await?;
    let mut both = Both::default();
    for _ in 0..ROUNDS {
        both.bare.time(async || select(conn.raw()).await).await?;
        both.measured
            .time(async || select(&mut *conn).await)
            .await?;
    }
    both.report("SELECT 1 on a connection of the pool");

    if let Some(url) = std::env::args().nth(1) {
        let client = redis::Client::open(url)?;
        let mut raw = client.get_multiplexed_async_connection().await?;
        let mut redis: Redis<MultiplexedConnection> = Redis::new(raw.clone(), "bench");
        let mut both = Both::default();
        for _ in 0..ROUNDS {
            both.bare.time(async || get(&mut raw).await).await?;
            both.measured.time(async || get(&mut redis).await).await?;
        }
        both.report("GET through a Redis connection");
    }
    Ok(())
}

async fn through_a_pool_of(connections: u32) -> Result<Pool<Sqlite>, Failure> {
    let options = SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections);
    let raw = options.connect("sqlite::memory:").await?;
    let pool = Pool::new(raw.clone(), "bench");
    let mut both = Both::default();
    for _ in 0..ROUNDS {
        both.bare.time(async || select(&raw).await).await?;
        both.measured.time(async || select(&pool).await).await?;
    }
    both.report(&format!("SELECT 1 through an SQLite pool of {connections}"));
    Ok(pool)
}

async fn select<'e>(executor: impl Executor<'e, Database = Sqlite>) -> Result<(), Failure> {
    sqlx::query("SELECT 1").fetch_one(executor).await?;
    Ok(())
}

async fn get(connection: &mut impl ConnectionLike) -> Result<(), Failure> {
    let _: Option<i64> = redis::cmd("GET").arg("key").query_async(connection).await?;
    Ok(())
}

#[derive(Default)]
struct Both {
    bare: Samples,
    measured: Samples,
}

/// Nanoseconds a run, one for each round.
#[derive(Default)]
struct Samples {
    elapsed: Vec<u64>,
    /// For which this thread was running.
    running: Vec<u64>,
}

impl Samples {
    async fn time(
        &mut self,
        mut run: impl AsyncFnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (start, ran) = (Instant::now(), running());
        for _ in 0..RUNS_A_ROUND {
            run().await?;
        }
        let (elapsed, ran) = (start.elapsed(), running().saturating_sub(ran));
        self.elapsed.push(nanoseconds(elapsed / RUNS_A_ROUND)?);
        self.running.push(nanoseconds(ran / RUNS_A_ROUND)?);
        Ok(())
    }
}

impl Both {
    fn report(&mut self, what: &str) {
        println!("{what}");
        println!("{:>18} {:>8} {:>9} {:>8}", "", "bare", "measured", "added");
        let (bare, measured) = (&mut self.bare, &mut self.measured);
        lines("elapsed", &mut bare.elapsed, &mut measured.elapsed);
        lines("this thread", &mut bare.running, &mut measured.running);
    }
}

fn lines(what: &str, bare: &mut [u64], measured: &mut [u64]) {
    bare.sort_unstable();
    measured.sort_unstable();
    for (name, at) in [("least", 0), ("median", bare.len() / 2)] {
        let (bare, measured) = (bare[at], measured[at]);
        let added = i128::from(measured) - i128::from(bare);
        println!("{what:>11} {name:>6} {bare:>8} {measured:>9} {added:>8}");
    }
}

/// For how long this thread has been running on a core, where the system says so.
fn running() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = said.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn nanoseconds(time: Duration) -> Result<u64, std::num::TryFromIntError> {
    u64::try_from(time.as_nanos())
}
