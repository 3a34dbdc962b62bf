//! What the wrappers cost: the same query and the same command with them and without, in turns.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-db --example overhead -- redis://127.0.0.1:6379
//! ```
//!
//! The `SQLite` part needs nothing. That of Redis is run where its address is given.

use std::time::Instant;

use metrics_util::registry::{AtomicStorage, Registry};
use obs_db::{Pool, Redis};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, Sqlite};

const ROUNDS: usize = 200;
const RUNS_A_ROUND: u32 = 200;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    obs_core::install(Recorder(Registry::new(AtomicStorage)))?;
    let options = SqlitePoolOptions::new().max_connections(1);
    let raw = options.connect("sqlite::memory:").await?;
    let pool = Pool::new(raw.clone(), "bench");
    let (mut bare, mut measured) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        measured.time(async || select(&pool).await).await?;
        bare.time(async || select(&raw).await).await?;
    }
    report("SELECT 1 through an SQLite pool", &bare, &measured);

    let mut conn = pool.acquire().await?;
    let (mut bare, mut measured) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        measured.time(async || select(&mut *conn).await).await?;
        bare.time(async || select(conn.raw()).await).await?;
    }
    report("SELECT 1 on a connection of the pool", &bare, &measured);

    if let Some(url) = std::env::args().nth(1) {
        let client = redis::Client::open(url)?;
        let mut raw = client.get_multiplexed_async_connection().await?;
        let mut redis: Redis<MultiplexedConnection> = Redis::new(raw.clone(), "bench");
        let (mut bare, mut measured) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            bare.time(async || get(&mut raw).await).await?;
            measured.time(async || get(&mut redis).await).await?;
        }
        report("GET through a Redis connection", &bare, &measured);
    }
    Ok(())
}

async fn select<'e>(executor: impl Executor<'e, Database = Sqlite>) -> Result<(), Failure> {
    sqlx::query("SELECT 1").fetch_one(executor).await?;
    Ok(())
}

async fn get(connection: &mut impl ConnectionLike) -> Result<(), Failure> {
    let _: Option<i64> = redis::cmd("GET").arg("key").query_async(connection).await?;
    Ok(())
}

/// Nanoseconds a run, one for each round.
#[derive(Default)]
struct Samples(Vec<u64>);

impl Samples {
    async fn time(
        &mut self,
        mut run: impl AsyncFnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        for _ in 0..RUNS_A_ROUND {
            run().await?;
        }
        let run = start.elapsed() / RUNS_A_ROUND;
        self.0.push(u64::try_from(run.as_nanos())?);
        Ok(())
    }

    fn quantile(&self, share: f64) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a small length"
        )]
        let index = (share * (sorted.len() - 1) as f64) as usize;
        sorted[index]
    }
}

fn report(what: &str, bare: &Samples, measured: &Samples) {
    println!("{what}, ns a run, {ROUNDS} rounds of {RUNS_A_ROUND}:");
    println!("{:>10} {:>8} {:>9} {:>8}", "", "bare", "measured", "added");
    for (name, share) in [("least", 0.0), ("median", 0.5), ("90 %", 0.9)] {
        let (bare, measured) = (bare.quantile(share), measured.quantile(share));
        let added = i128::from(measured) - i128::from(bare);
        println!("{name:>10} {bare:>8} {measured:>9} {added:>8}");
    }
}

/// Counts in atomics, as an exporter does.
struct Recorder(Registry<metrics::Key, AtomicStorage>);

impl metrics::Recorder for Recorder {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        self.0
            .get_or_create_counter(key, |counter| counter.clone().into())
    }

    fn register_gauge(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        self.0
            .get_or_create_gauge(key, |gauge| gauge.clone().into())
    }

    fn register_histogram(
        &self,
        key: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        self.0
            .get_or_create_histogram(key, |histogram| histogram.clone().into())
    }
}
