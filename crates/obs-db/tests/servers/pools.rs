//! Pools of deadpool and bb8: by a manager of the test's own, and on a real Redis.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use obs_core::TestRecorder;
use obs_db::deadpool::managed::{Metrics, Pool as RawDeadpool, PoolError, RecycleResult, Timeouts};
use obs_db::{Bb8, Deadpool, RedisMetrics, bb8, deadpool};
use redis::AsyncCommands;

const POOL: (&str, &str) = ("pool", "sessions");

/// Opens numbers, as long as its server is up.
#[derive(Clone)]
struct Sessions {
    is_down: Arc<AtomicBool>,
}

impl Sessions {
    fn new() -> Self {
        let is_down = Arc::default();
        Self { is_down }
    }

    fn open(&self) -> io::Result<u32> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(7)
    }
}

impl deadpool::managed::Manager for Sessions {
    type Type = u32;
    type Error = io::Error;

    async fn create(&self) -> io::Result<u32> {
        self.open()
    }

    async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<io::Error> {
        Ok(())
    }
}

impl bb8::ManageConnection for Sessions {
    type Connection = u32;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<u32> {
        self.open()
    }

    async fn is_valid(&self, _: &mut u32) -> io::Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u32) -> bool {
        false
    }
}

/// What a pool has recorded.
struct Recorded(TestRecorder);

impl Recorded {
    fn ended(&self, outcome: &str) -> u64 {
        let labels = [POOL, ("outcome", outcome)];
        self.0
            .counter("db_pool_acquisitions_total", &labels)
            .unwrap()
    }

    fn failed(&self, stage: &str, kind: &str) -> u64 {
        let labels = [POOL, ("stage", stage), ("error_type", kind)];
        let errors = "db_pool_acquire_errors_total";
        self.0.counter(errors, &labels).unwrap()
    }

    fn timeouts(&self) -> u64 {
        self.0.counter("db_pool_timeouts_total", &[POOL]).unwrap()
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        self.0.gauge(name, &[POOL])
    }

    /// Idle, in use, and the most there may be.
    fn connections(&self) -> [Option<f64>; 3] {
        let of = |state| {
            let labels = [POOL, ("state", state)];
            self.0.gauge("db_pool_connections", &labels)
        };
        [
            of("idle"),
            of("in_use"),
            self.gauge("db_pool_connections_max"),
        ]
    }

    fn times(&self, name: &str) -> usize {
        self.0.samples(name, &[POOL]).map_or(0, |times| times.len())
    }

    /// Every request has ended, and each that was served was given back.
    fn check(&self) {
        let all = self.0.counter_sum("db_pool_acquisitions_total", &[POOL]);
        let waits = self.times("db_pool_acquire_duration_seconds");
        assert_eq!(waits as u64, all);
        let errors = self.0.counter_sum("db_pool_acquire_errors_total", &[POOL]);
        assert_eq!(errors, self.ended("error"));
        let held = self.times("db_pool_held_duration_seconds");
        assert_eq!(held as u64, self.ended("ok"));
        assert_eq!(self.gauge("db_pool_waiting"), Some(0.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadpool_says_who_waits_and_why_there_is_no_connection() {
    let test = TestRecorder::new();
    let sessions = Sessions::new();
    let raw: RawDeadpool<Sessions> = RawDeadpool::builder(sessions.clone())
        .max_size(1)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_secs(5)))
        .build()
        .unwrap();
    let pool = test.run(|| Deadpool::new(raw, "sessions"));
    let recorded = Recorded(test);
    assert_eq!(recorded.connections(), [0.0, 0.0, 1.0].map(Some));

    let session = pool.get().await.unwrap();
    assert_eq!(*session, 7);
    pool.observe();
    assert_eq!(recorded.connections(), [0.0, 1.0, 1.0].map(Some));

    let mut waiting = Box::pin(pool.get());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(recorded.gauge("db_pool_waiting"), Some(1.0));
    drop(waiting);
    assert_eq!(recorded.ended("cancelled"), 1);

    // The paused clock goes forward by itself.
    let late = pool.get().await.unwrap_err();
    assert!(matches!(late, PoolError::Timeout(_)), "{late}");
    assert_eq!(recorded.failed("wait", "timeout"), 1);
    let at_once = Timeouts {
        wait: Some(Duration::ZERO),
        ..pool.raw().timeouts()
    };
    pool.timeout_get(&at_once).await.unwrap_err();
    assert_eq!(recorded.timeouts(), 2);

    drop(session);
    pool.observe();
    assert_eq!(recorded.connections(), [1.0, 0.0, 1.0].map(Some));
    let taken = pool.get().await.unwrap().into_raw();
    assert_eq!(deadpool::managed::Object::take(taken), 7);

    sessions.is_down.store(true, Ordering::Relaxed);
    pool.get().await.unwrap_err();
    assert_eq!(recorded.failed("connect", "io"), 1);
    pool.close();
    pool.get().await.unwrap_err();
    assert_eq!(recorded.failed("wait", "pool_closed"), 1);
    recorded.check();
}

#[tokio::test(start_paused = true)]
async fn a_bb8_says_who_waits_and_why_there_is_no_connection() {
    let test = TestRecorder::new();
    let sessions = Sessions::new();
    let raw = bb8::Pool::builder()
        .max_size(1)
        .connection_timeout(Duration::from_secs(5))
        .build(sessions.clone())
        .await
        .unwrap();
    let pool = test.run(|| Bb8::new(raw, "sessions"));
    let recorded = Recorded(test);

    let session = pool.get().await.unwrap();
    assert_eq!(*session, 7);
    pool.observe();
    assert_eq!(recorded.connections(), [0.0, 1.0, 1.0].map(Some));

    let mut waiting = Box::pin(pool.get());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(recorded.gauge("db_pool_waiting"), Some(1.0));
    drop(waiting);
    assert_eq!(recorded.ended("cancelled"), 1);

    pool.get().await.unwrap_err();
    assert_eq!(recorded.failed("wait", "timeout"), 1);
    drop(session);
    drop(pool.get_owned().await.unwrap());
    pool.observe();
    assert_eq!(recorded.connections(), [1.0, 0.0, 1.0].map(Some));
    recorded.check();

    // A server that is down shows as a timeout of a pool that has room.
    sessions.is_down.store(true, Ordering::Relaxed);
    let down = bb8::Pool::builder()
        .connection_timeout(Duration::from_secs(5))
        .build_unchecked(sessions);
    let down = recorded.0.run(|| Bb8::new(down, "sessions"));
    down.get().await.unwrap_err();
    assert_eq!(recorded.failed("connect", "timeout"), 1);
    assert_eq!(recorded.timeouts(), 2);
    recorded.check();
}

/// What users write, with the pool and the commands both measured.
#[tokio::test]
async fn pools_of_redis_are_measured_and_so_are_their_commands() {
    let mut server = crate::common::Redis::start();
    let test = TestRecorder::new();
    let metrics = test.run(|| RedisMetrics::new("prices"));
    let commands = |command| {
        let labels = [("client", "prices"), ("command", command)];
        test.counter_sum("redis_client_commands_total", &labels)
    };

    let manager = deadpool_redis::Manager::new(server.url()).unwrap();
    let raw = deadpool_redis::Pool::builder(manager).build().unwrap();
    let pool = test.run(|| Deadpool::new(raw, "sessions"));
    let mut conn = pool.get().await.unwrap();
    let _: () = metrics.on(&mut conn).set("AAPL", 7).await.unwrap();
    // As it was written before.
    let price: i64 = conn.get("AAPL").await.unwrap();
    assert_eq!(price, 7);
    let price: i64 = redis::cmd("GET")
        .arg("AAPL")
        .query_async(&mut conn)
        .await
        .unwrap();
    assert_eq!(price, 7);
    drop(conn);

    let manager = bb8_redis::RedisConnectionManager::new(server.url()).unwrap();
    let raw = bb8::Pool::builder().build(manager).await.unwrap();
    let other = test.run(|| Bb8::new(raw, "sessions"));
    let mut conn = other.get().await.unwrap();
    let price: i64 = metrics.on(&mut *conn).get("AAPL").await.unwrap();
    assert_eq!(price, 7);
    let price: i64 = conn.get("AAPL").await.unwrap();
    assert_eq!(price, 7);
    drop(conn);
    assert_eq!((commands("set"), commands("get")), (1, 1));

    server.crash();
    pool.get().await.unwrap_err();
    let recorded = Recorded(test);
    assert_eq!(recorded.failed("connect", "io"), 1);
    recorded.check();
}
