//! What a cache had, how old it was, and that no call is lost when the cache is.

use std::future::{Ready, ready};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_providers::{
    Cache, CacheResult, Entry, Provider, ProviderKind, RedisStore, Store, TradingCalendar,
};
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const LABELS: [(&str, &str); 1] = [("provider", "news")];
const HOUR: Duration = Duration::from_hours(1);
const FRESH: Duration = Duration::from_mins(1);

fn provider() -> (TestRecorder, Provider) {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("news", ProviderKind::Sentiment));
    (test, provider)
}

/// Hits, misses and stale lookups so far.
fn lookups(test: &TestRecorder) -> [u64; 3] {
    ["hit", "miss", "stale"].map(|result| {
        test.counter(
            "provider_cache_requests_total",
            &[("provider", "news"), ("result", result)],
        )
        .unwrap()
    })
}

fn ages(test: &TestRecorder) -> Vec<f64> {
    let labels = [("provider", "news"), ("dataset", "scores")];
    test.samples("provider_data_age_seconds", &labels).unwrap()
}

fn loads(test: &TestRecorder, outcome: &str) -> usize {
    let labels = [("provider", "news"), ("outcome", outcome)];
    test.samples("provider_cache_load_duration_seconds", &labels)
        .unwrap()
        .len()
}

fn cache_errors(test: &TestRecorder) -> Option<u64> {
    test.counter("provider_cache_errors_total", &LABELS)
}

/// An entry that was loaded so long ago.
fn loaded(value: u64, ago: i64) -> Entry<u64> {
    let loaded_at = Timestamp::now() - SignedDuration::from_secs(ago);
    Entry { value, loaded_at }
}

fn good(value: u64) -> Ready<Result<u64, &'static str>> {
    ready(Ok(value))
}

fn bad() -> Ready<Result<u64, &'static str>> {
    ready(Err("the provider is down"))
}

type Memory = moka::future::Cache<String, Entry<u64>>;

fn in_memory(test: &TestRecorder, provider: &Provider) -> (Memory, Cache<Memory>) {
    let memory = Memory::new(10);
    let scores = test.run(|| provider.dataset("scores"));
    (memory.clone(), Cache::new(scores, memory, FRESH))
}

#[tokio::test]
async fn what_is_fresh_is_served_and_what_is_not_there_is_loaded() {
    let (test, provider) = provider();
    let (_, cache) = in_memory(&test, &provider);
    let first = cache.get("AAPL", good(1)).await.unwrap();
    assert_eq!(
        (first.value, first.age, first.result),
        (1, Duration::ZERO, CacheResult::Miss)
    );
    // Not even looked at where there is something fresh.
    let second = cache.get("AAPL", bad()).await.unwrap();
    assert_eq!((second.value, second.result), (1, CacheResult::Hit));
    assert_eq!(cache.get("MSFT", bad()).await, Err("the provider is down"));
    assert_eq!(lookups(&test), [1, 2, 0]);
    assert_eq!((loads(&test, "ok"), loads(&test, "error")), (1, 1));
    assert_eq!(ages(&test), [second.age.as_secs_f64()]);
    let updated = test.gauge(
        "provider_data_updated_timestamp_seconds",
        &[("provider", "news"), ("dataset", "scores")],
    );
    assert!((updated.unwrap() - Timestamp::now().as_duration().as_secs_f64()).abs() < 60.0);
}

#[tokio::test]
async fn what_is_stale_is_loaded_anew_and_served_only_where_it_may_be() {
    let (test, provider) = provider();
    let (memory, cache) = in_memory(&test, &provider);
    let cache = cache.serve_stale_for(FRESH);
    Store::put(&memory, "AAPL", &loaded(1, 90)).await.unwrap();
    let served = cache.get("AAPL", bad()).await.unwrap();
    assert_eq!((served.value, served.result), (1, CacheResult::Stale));
    assert!(served.age >= Duration::from_secs(90));
    assert_eq!(ages(&test), [served.age.as_secs_f64()]);
    let newer = cache.get("AAPL", good(2)).await.unwrap();
    assert_eq!(
        (newer.value, newer.age, newer.result),
        (2, Duration::ZERO, CacheResult::Stale)
    );
    assert_eq!(
        cache.get("AAPL", bad()).await.unwrap().result,
        CacheResult::Hit
    );
    // Too old even for bad times.
    Store::put(&memory, "AAPL", &loaded(1, 150)).await.unwrap();
    assert!(cache.get("AAPL", bad()).await.is_err());
    assert_eq!(lookups(&test), [1, 0, 3]);
}

#[tokio::test]
async fn a_session_dataset_is_as_fresh_on_sunday_as_it_was_on_friday() {
    let (test, provider) = provider();
    let closed = TradingCalendar::closed("none", jiff::tz::TimeZone::UTC);
    let scores = test.run(|| provider.session_dataset("scores", closed));
    let memory = Memory::new(10);
    Store::put(&memory, "AAPL", &loaded(1, 172_800))
        .await
        .unwrap();
    let served = Cache::new(scores, memory, FRESH)
        .get("AAPL", bad())
        .await
        .unwrap();
    assert_eq!(served.result, CacheResult::Hit);
    // The age that is shown is that of the clock.
    assert!(served.age >= 2 * 24 * HOUR);
}

/// It would be served as fresh for an hour longer, whatever the market did.
#[tokio::test]
async fn an_entry_of_a_clock_that_was_set_back_is_none() {
    let (test, provider) = provider();
    let (memory, cache) = in_memory(&test, &provider);
    let cache = cache.serve_stale_for(HOUR);
    Store::put(&memory, "AAPL", &loaded(1, -3_600))
        .await
        .unwrap();
    assert!(cache.get("AAPL", bad()).await.is_err());
    let newer = cache.get("AAPL", good(2)).await.unwrap();
    assert_eq!((newer.value, newer.result), (2, CacheResult::Miss));
    assert_eq!(
        cache.get("AAPL", bad()).await.unwrap().result,
        CacheResult::Hit
    );
    // Clocks of two machines differ a little.
    Store::put(&memory, "MSFT", &loaded(3, -5)).await.unwrap();
    let served = cache.get("MSFT", bad()).await.unwrap();
    assert_eq!(
        (served.value, served.age, served.result),
        (3, Duration::ZERO, CacheResult::Hit)
    );
    assert_eq!(lookups(&test), [2, 2, 0]);
}

#[tokio::test]
async fn a_cache_of_ones_own_tells_what_it_had() {
    let (test, provider) = provider();
    let scores = test.run(|| provider.dataset("scores"));
    scores.lookup().hit(Duration::from_secs(3));
    assert_eq!(scores.lookup().miss().of(good(1)).await, Ok(1));
    assert!(scores.lookup().stale().result(Err::<(), _>("no")).is_err());
    // A load that was given up, and a lookup that never came to an answer.
    drop(scores.lookup().miss());
    drop(scores.lookup());
    assert_eq!(lookups(&test), [1, 2, 1]);
    assert_eq!(
        ["ok", "error", "cancelled"].map(|outcome| loads(&test, outcome)),
        [1, 1, 1]
    );
    assert_eq!(ages(&test), [3.0]);
}

/// A Redis of its own on a free port, that keeps its files in a folder of its own and goes away with the test.
struct Redis {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Redis {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Self::run(&folder, port).await;
        Self {
            child,
            port,
            folder,
        }
    }

    /// Starts it again, empty, after it was killed.
    async fn revive(&mut self) {
        self.child = Self::run(&self.folder, self.port).await;
    }

    async fn run(folder: &TempDir, port: u16) -> Child {
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("`redis-server` is not on the path; `cargo xtask test` installs it, or the package redis-server");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("redis-server has ended before it was ready");
            if line.contains("Ready to accept connections") {
                break;
            }
        }
        // Whatever it says from now on must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        child
    }

    /// After `STOP` its connections stay, and nobody answers on them until `CONT`.
    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| id.try_into().ok());
        let id = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(id, signal).unwrap();
    }

    async fn connect(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

#[tokio::test]
async fn redis_keeps_entries_for_others_and_forgets_them_in_time() {
    let redis = Redis::start().await;
    let mut connection = redis.connect().await;
    let (test, provider) = provider();
    let scores = test.run(|| provider.dataset("scores"));
    let store = RedisStore::new(connection.clone(), "news:", HOUR);
    let cache = Cache::new(scores.clone(), store, FRESH);
    assert_eq!(
        cache.get("AAPL", good(1)).await.unwrap().result,
        CacheResult::Miss
    );
    // Another process has a connection of its own.
    let other = RedisStore::new(redis.connect().await, "news:", HOUR);
    let other = Cache::new(scores, other, FRESH);
    let served = other.get("AAPL", bad()).await.unwrap();
    assert_eq!((served.value, served.result), (1, CacheResult::Hit));
    let left: i64 = connection.pttl("news:AAPL").await.unwrap();
    assert!(left > 0 && left <= 3_600_000, "{left}");
    // What somebody else has put there is no entry.
    let () = connection
        .set("news:AAPL", "{\"value\": \"s3cr3t\"}")
        .await
        .unwrap();
    assert_eq!(
        cache.get("AAPL", good(2)).await.unwrap().result,
        CacheResult::Miss
    );
    assert_eq!(cache.get("AAPL", bad()).await.unwrap().value, 2);
    assert_eq!(lookups(&test), [2, 2, 0]);
    assert_eq!(cache_errors(&test), Some(1));
}

#[tokio::test]
async fn when_redis_dies_hits_become_misses_and_no_call_is_lost() {
    let mut redis = Redis::start().await;
    let (test, provider) = provider();
    let scores = test.run(|| provider.dataset("scores"));
    let store = RedisStore::new(redis.connect().await, "news:", HOUR);
    let cache = Cache::new(scores, store, FRESH);
    let loaded = AtomicU64::new(0);
    let ask = async || {
        let load = async { Ok::<_, &str>(loaded.fetch_add(1, Ordering::Relaxed)) };
        cache.get("AAPL", load).await.unwrap().result
    };
    assert_eq!(ask().await, CacheResult::Miss);
    assert_eq!(ask().await, CacheResult::Hit);
    assert_eq!(cache_errors(&test), Some(0));
    redis.child.kill().await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask().await, CacheResult::Miss);
    }
    assert_eq!(loaded.load(Ordering::Relaxed), 4);
    assert_eq!(lookups(&test), [1, 4, 0]);
    // Neither reading nor writing worked.
    assert_eq!(cache_errors(&test), Some(6));
}

/// Killed, revived, frozen and thawed while ten tasks ask: every question is answered, by a load if need be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_hangs_and_comes_back_costs_no_call() {
    let mut redis = Redis::start().await;
    let (test, provider) = provider();
    let scores = test.run(|| provider.dataset("scores"));
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_response_timeout(Some(Duration::from_millis(100)));
    let manager = ConnectionManager::new_with_config(client, config)
        .await
        .unwrap();
    let cache = Cache::new(scores, RedisStore::new(manager, "news:", HOUR), FRESH);

    let stop = Arc::new(AtomicBool::new(false));
    let (asked, loaded) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..10 {
        let (cache, stop) = (cache.clone(), Arc::clone(&stop));
        let (asked, loaded) = (Arc::clone(&asked), Arc::clone(&loaded));
        tasks.spawn(async move {
            let key = format!("S{task}");
            while !stop.load(Ordering::Relaxed) {
                let load = async { Ok::<_, &str>(loaded.fetch_add(1, Ordering::Relaxed)) };
                cache.get(key.as_str(), load).await.unwrap();
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let hits = || lookups(&test)[0];
    let failures = || cache_errors(&test).unwrap();
    // Waits until some more of it have happened; what was counted before stays counted.
    let more = async |count: &dyn Fn() -> u64, by: u64| {
        let (goal, mut last) = (count() + by, 0);
        while last < goal {
            let now = count();
            assert!(now >= last);
            last = now;
            tokio::task::yield_now().await;
        }
    };
    more(&hits, 100).await;
    assert_eq!(failures(), 0);
    redis.child.kill().await.unwrap();
    more(&failures, 100).await;
    redis.revive().await;
    more(&hits, 100).await;
    redis.signal(Signal::STOP);
    more(&failures, 20).await;
    redis.signal(Signal::CONT);
    more(&hits, 100).await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;

    let [hits, misses, stale] = lookups(&test);
    let (asked, loaded) = (
        asked.load(Ordering::Relaxed),
        loaded.load(Ordering::Relaxed),
    );
    assert_eq!((hits + misses, misses, stale), (asked, loaded, 0));
    assert_eq!(loads(&test, "ok") as u64, loaded);
    println!(
        "{asked} lookups while Redis was killed, revived, frozen and thawed: {hits} hits, {loaded} loads, {} errors of the store, \
         no call lost",
        failures()
    );
}

#[tokio::test]
async fn neither_a_store_nor_its_errors_show_what_is_kept() {
    let redis = Redis::start().await;
    let mut connection = redis.connect().await;
    let store = RedisStore::new(connection.clone(), "news:", FRESH);
    let () = connection
        .set("news:AAPL", "{\"value\": \"s3cr3t\"}")
        .await
        .unwrap();
    let error = Store::<str, u64>::get(&store, "AAPL").await.unwrap_err();
    let seen = format!("{store:?} {error:?} {error}");
    assert!(!seen.contains("s3cr3t"), "{seen}");
}
