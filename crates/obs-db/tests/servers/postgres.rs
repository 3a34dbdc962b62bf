//! A `PostgreSQL` pool on a real server, and what happens when that goes wrong.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::common::{Postgres, deadlock, nobody_listens, times_out_while_connecting};
use futures_util::TryStreamExt;
use obs_core::{TestRecorder, TestValue};
use obs_db::{Conn, PgListener, Pool};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgExecutor, SqlSafeStr};

const POOL: (&str, &str) = ("pool", "orders");

struct Database {
    // Closed before the server is stopped.
    pool: Pool<sqlx::Postgres>,
    test: TestRecorder,
    server: Postgres,
}

impl Database {
    async fn start(connections: u32) -> Self {
        Self::start_with(PgPoolOptions::new().max_connections(connections)).await
    }

    async fn start_with(options: PgPoolOptions) -> Self {
        let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let raw = options.connect_with(server.options()).await.unwrap();
        let test = TestRecorder::new();
        let pool = test.run(|| Pool::new(raw, "orders"));
        pool.raw()
            .execute("CREATE TABLE orders (id int PRIMARY KEY, size int CHECK (size > 0))")
            .await
            .unwrap();
        pool.raw()
            .execute("INSERT INTO orders VALUES (1, 1), (2, 1)")
            .await
            .unwrap();
        Self { pool, test, server }
    }

    fn queries(&self, operation: &str, outcome: &str) -> u64 {
        let labels = [POOL, ("operation", operation), ("outcome", outcome)];
        self.test.counter("db_queries_total", &labels).unwrap()
    }

    fn errors(&self, kind: &str) -> u64 {
        let labels = [POOL, ("error_type", kind)];
        self.test.counter("db_query_errors_total", &labels).unwrap()
    }

    fn transactions(&self, outcome: &str) -> u64 {
        let labels = [POOL, ("outcome", outcome)];
        self.test.counter("db_transactions_total", &labels).unwrap()
    }

    fn refusals(&self, stage: &str, kind: &str) -> u64 {
        let labels = [POOL, ("stage", stage), ("error_type", kind)];
        self.test
            .counter("db_pool_acquire_errors_total", &labels)
            .unwrap()
    }

    /// Another pool of the same server under the same name.
    fn pool(&self, options: PgPoolOptions, connect: PgConnectOptions) -> Pool<sqlx::Postgres> {
        let options = options.acquire_timeout(Duration::from_millis(100));
        let raw = options.connect_lazy_with(connect);
        self.test.run(|| Pool::new(raw, "orders"))
    }

    async fn sizes(&self) -> Vec<i32> {
        sqlx::query_scalar("SELECT size FROM orders ORDER BY id")
            .fetch_all(self.pool.raw())
            .await
            .unwrap()
    }

    fn timeouts(&self) -> u64 {
        self.test
            .counter("db_pool_timeouts_total", &[POOL])
            .unwrap()
    }

    /// Everything there is of a counter.
    fn all(&self, name: &str) -> u64 {
        self.test.counter_sum(name, &[])
    }

    /// Waits until some more of it were counted. No counter falls meanwhile.
    async fn more(&self, count: &(dyn Fn() -> u64 + Sync), by: u64) {
        let (goal, mut last) = (count() + by, counters(&self.test));
        while count() < goal {
            let now = counters(&self.test);
            assert_eq!(now.len(), last.len());
            for (series, value) in &now {
                assert!(*value >= last[series], "{series} fell to {value}");
            }
            last = now;
            tokio::task::yield_now().await;
        }
    }

    /// Every query is counted once, and every error by its type.
    fn check_sums(&self, issued: u64) {
        let sum = |labels: &[(&str, &str)]| self.test.counter_sum("db_queries_total", labels);
        assert_eq!(sum(&[]), issued);
        let errors = self.test.counter_sum("db_query_errors_total", &[]);
        assert_eq!(sum(&[("outcome", "error")]), errors);
    }

    /// Nothing is in use when nothing is held.
    async fn check_rest(&self) {
        // What was given back may still be on its way: closing waits for it.
        self.pool.close().await;
        self.pool.observe();
        for state in ["idle", "in_use"] {
            let gauge = self
                .test
                .gauge("db_pool_connections", &[POOL, ("state", state)]);
            assert_eq!(gauge, Some(0.0), "{state}");
        }
    }
}

/// Every counter by its name and labels.
fn counters(test: &TestRecorder) -> BTreeMap<String, u64> {
    let counters = test.snapshot().into_iter();
    let counters = counters.filter_map(|recorded| match recorded.value {
        TestValue::Counter(value) => {
            Some((format!("{} {:?}", recorded.name, recorded.labels), value))
        }
        _ => None,
    });
    counters.collect()
}

async fn resize(executor: impl PgExecutor<'_>, id: i32) -> sqlx::Result<()> {
    sqlx::query("UPDATE orders SET size = size + 1 WHERE id = $1")
        .bind(id)
        .execute(executor)
        .await?;
    Ok(())
}

#[tokio::test]
async fn what_users_write_is_unchanged_and_counted() {
    let db = Database::start(2).await;
    let pool = &db.pool;

    resize(pool, 1).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    resize(&mut *savepoint, 1).await.unwrap();
    drop(savepoint);
    tx.commit().await.unwrap();
    let size: i32 = sqlx::query_scalar("SELECT size FROM orders WHERE id = 1")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(size, 3);
    let rows: Vec<(i32,)> = sqlx::query_as::<_, (i32,)>("SELECT id FROM orders")
        .fetch(pool)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    sqlx::raw_sql("SELECT 1; SELECT 2")
        .execute_many(pool)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    pool.describe("SELECT 1".into_sql_str())
        .await
        .map(drop)
        .unwrap();

    assert_eq!(db.queries("update", "ok"), 3);
    assert_eq!(db.queries("select", "ok"), 3);
    assert_eq!(db.queries("begin", "ok"), 2);
    assert_eq!(db.queries("commit", "ok"), 1);
    assert_eq!(db.queries("prepare", "ok"), 1);
    assert_eq!(db.transactions("commit"), 1);
    db.check_sums(10);
    db.check_rest().await;
}

#[tokio::test]
async fn faults_of_queries_are_told_apart() {
    let db = Database::start(3).await;
    let pool = &db.pool;

    pool.execute("INSERT INTO orders VALUES (1, 1)")
        .await
        .unwrap_err();
    pool.execute("INSERT INTO orders VALUES (3, -1)")
        .await
        .unwrap_err();
    assert_eq!(db.errors("constraint"), 2);

    pool.execute("SELECT nothing").await.unwrap_err();
    assert_eq!(db.errors("statement"), 1);

    let mut conn = pool.acquire().await.unwrap();
    conn.execute("SET statement_timeout = 20").await.unwrap();
    conn.execute("SELECT pg_sleep(60)").await.unwrap_err();
    assert_eq!(db.errors("timeout"), 1);
    drop(conn.detach());

    deadlock(pool, resize_on).await;
    assert_eq!(db.errors("deadlock"), 1);
    assert_eq!(db.transactions("rollback"), 2);

    let mut holder = pool.begin().await.unwrap();
    resize(&mut *holder, 1).await.unwrap();
    pool.execute("SELECT * FROM orders FOR UPDATE NOWAIT")
        .await
        .unwrap_err();
    assert_eq!(db.errors("lock"), 1);
    drop(holder);

    let (mut one, mut two) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    for tx in [&mut one, &mut two] {
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .unwrap();
        tx.execute("SELECT * FROM orders").await.unwrap();
    }
    resize(&mut *one, 1).await.unwrap();
    one.commit().await.unwrap();
    resize(&mut *two, 1).await.unwrap_err();
    drop(two);
    assert_eq!(db.errors("serialization"), 1);
    assert_eq!(db.transactions("rollback_by_drop"), 2);

    db.check_sums(5 + 8 + 3 + 9);
    db.check_rest().await;
}

#[tokio::test]
async fn a_cancelled_query_is_no_error() {
    let db = Database::start(1).await;
    let sleeps = db.pool.execute("SELECT pg_sleep(60)");
    assert!(
        tokio::time::timeout(Duration::from_millis(50), sleeps)
            .await
            .is_err()
    );
    assert_eq!(db.queries("select", "cancelled"), 1);
    db.check_sums(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_and_comes_back() {
    let db = Database::start(4).await;
    let pool = &db.pool;

    // Mid-query, mid-transaction, and cut off by an administrator.
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let mut cut = pool.acquire().await.unwrap();
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *cut)
        .await
        .unwrap();
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(pool)
        .await
        .unwrap();
    cut.execute("SELECT 1").await.unwrap_err();
    assert_eq!(db.errors("connection"), 1);

    let mut sleeper = pool.acquire().await.unwrap();
    let asleep = async {
        // Seen from another connection, which is the event to wait for.
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(pool.raw())
            .await
            .unwrap()
            == 0
        {}
        tokio::task::block_in_place(|| db.server.crash());
    };
    let (broken, ()) = tokio::join!(sleeper.execute("SELECT pg_sleep(60)"), asleep);
    broken.unwrap_err();
    tx.commit().await.unwrap_err();
    assert_eq!(db.errors("connection"), 3);
    assert_eq!(db.transactions("failed"), 1);
    drop((sleeper, cut));

    tokio::task::block_in_place(|| db.server.resume());
    let size: i32 = sqlx::query_scalar("SELECT size FROM orders WHERE id = 1")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(size, 1);
    db.check_sums(8);
    db.check_rest().await;
}

/// Killed and restarted twice while eight tasks send queries: each failure has its kind, nothing hangs, and everything recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_revived_under_load() {
    let options = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let db = Arc::new(Database::start_with(options.max_connections(4)).await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (db, stop) = (Arc::clone(&db), Arc::clone(&stop));
        tasks.spawn(async move {
            let (mut asked, mut failed) = (0_u64, 0_u64);
            while !stop.load(Ordering::Relaxed) {
                asked += 1;
                failed += u64::from(ask(&db.pool, task).await.is_err());
            }
            (asked, failed)
        });
    }
    let served = || db.queries("select", "ok") + db.transactions("commit");
    let refused = || db.errors("connection") + db.timeouts();
    for _ in 0..2 {
        db.more(&served, 200).await;
        tokio::task::block_in_place(|| db.server.kill());
        db.more(&refused, 16).await;
        tokio::task::block_in_place(|| db.server.resume());
    }
    db.more(&served, 200).await;
    stop.store(true, Ordering::Relaxed);
    let (mut asked, mut failed) = (0, 0);
    for (more, lost) in tasks.join_all().await {
        (asked, failed) = (asked + more, failed + lost);
    }

    // Whatever failed did so for the server's sake, in a query or in waiting for a connection.
    assert_eq!(db.all("db_query_errors_total"), db.errors("connection"));
    let acquisitions = |outcome| {
        let labels = [POOL, ("outcome", outcome)];
        db.test
            .counter("db_pool_acquisitions_total", &labels)
            .unwrap()
    };
    assert!(acquisitions("error") >= db.timeouts());
    let ended = db.all("db_transactions_total");
    println!(
        "{asked} pieces of work while PostgreSQL was killed and revived twice: {failed} failed, by {} broken connections, {} \
         timeouts of the pool and {} other failures to connect; {ended} transactions ended",
        db.errors("connection"),
        db.timeouts(),
        acquisitions("error") - db.timeouts(),
    );
    db.check_sums(db.all("db_queries_total"));
    db.check_rest().await;
}

/// A query, or a transaction with one in it.
async fn ask(pool: &Pool<sqlx::Postgres>, task: i32) -> sqlx::Result<()> {
    if task % 2 == 0 {
        pool.execute("SELECT 1").await?;
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    resize(&mut *tx, 1 + task % 4 / 2).await?;
    tx.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_ten_connections_add_up() {
    let db = Database::start(10).await;
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            let pool = db.pool.clone();
            tokio::spawn(async move {
                match n % 4 {
                    0 => resize(&pool, 1).await,
                    1 => sqlx::query("SELECT 1")
                        .fetch(&pool)
                        .try_collect::<Vec<_>>()
                        .await
                        .map(drop),
                    2 => pool.execute("SELECT 1 / 0").await.map(drop),
                    _ => pool.begin().await?.commit().await,
                }
            })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        failed += u64::from(task.await.unwrap().is_err());
    }

    assert_eq!(failed, 250);
    assert_eq!(db.queries("update", "ok"), 250);
    assert_eq!(db.queries("select", "ok"), 250);
    assert_eq!(db.queries("select", "error"), 250);
    assert_eq!(db.transactions("commit"), 250);
    db.check_sums(1250);
    let waits = db
        .test
        .samples("db_pool_acquire_duration_seconds", &[POOL])
        .unwrap();
    assert_eq!(waits.len(), 1000);
    // No more than the pool may have, less the one that was there.
    let connects = db
        .test
        .samples("db_pool_connect_duration_seconds", &[POOL])
        .unwrap();
    assert!(!connects.is_empty());
    db.check_rest().await;
}

/// A refusal of the server has its reason, and does not count as a pool without a free connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_refused_says_why() {
    let db = Database::start(1).await;
    for role in [
        "banned",
        "guarded PASSWORD 'right'",
        "limited CONNECTION LIMIT 0",
    ] {
        let create = AssertSqlSafe(format!("CREATE ROLE {role}"));
        db.pool.raw().execute(create).await.unwrap();
        let login = AssertSqlSafe(format!(
            "ALTER ROLE {} LOGIN",
            role.split(' ').next().unwrap()
        ));
        db.pool.raw().execute(login).await.unwrap();
    }
    let as_role = |role| db.server.options().username(role);
    for (connect, kind) in [
        (db.server.options().database("nothing"), "database"),
        (as_role("unknown"), "rejected"),
        (as_role("banned"), "rejected"),
        (as_role("guarded").password("wrong"), "rejected"),
        // sqlx tries again until the pool's timeout.
        (as_role("limited"), "timeout"),
    ] {
        let before = db.refusals("connect", kind);
        let patience = Duration::from_millis(if kind == "timeout" { 100 } else { 30_000 });
        let options = PgPoolOptions::new().acquire_timeout(patience);
        let raw = options.connect_lazy_with(connect);
        let refused = db.test.run(|| Pool::new(raw, "orders"));
        refused.execute("SELECT 1").await.unwrap_err();
        assert_eq!(db.refusals("connect", kind), before + 1, "{kind}");
    }
    let class = |class| {
        let labels = [POOL, ("sqlstate_class", class)];
        db.test.counter("db_sqlstate_errors_total", &labels)
    };
    assert_eq!(class("3D"), Some(1));
    assert_eq!(class("28"), Some(3));

    // Every connection is held: that is the pool's doing.
    let full = db.pool(PgPoolOptions::new().max_connections(1), db.server.options());
    let held = full.acquire().await.unwrap();
    full.execute("SELECT 1").await.unwrap_err();
    drop(held);
    full.close().await;
    full.execute("SELECT 1").await.unwrap_err();
    assert_eq!(db.refusals("wait", "timeout"), 1);
    assert_eq!(db.refusals("wait", "pool_closed"), 1);

    // The server is down, for a pool that has an idle connection, which breaks, and for one that has none.
    let (warm, cold) = (
        db.pool(PgPoolOptions::new(), db.server.options()),
        db.pool(PgPoolOptions::new(), db.server.options()),
    );
    warm.execute("SELECT 1").await.unwrap();
    tokio::task::block_in_place(|| db.server.crash());
    let refused = || db.refusals("connect", "timeout") + db.refusals("connect", "io");
    let before = refused();
    warm.execute("SELECT 1").await.unwrap_err();
    cold.execute("SELECT 1").await.unwrap_err();
    assert_eq!(refused(), before + 2);
    assert_eq!(db.refusals("wait", "timeout"), 1);

    // No query was sent but those that were answered.
    db.check_sums(1);
    let failed = [POOL, ("outcome", "error")];
    let failed = db.test.counter("db_pool_acquisitions_total", &failed);
    assert_eq!(failed, Some(9));
    assert_eq!(db.test.gauge("db_pool_waiting", &[POOL]), Some(0.0));
}

/// sqlx#744, sqlx#3929: while nothing listens at the server's address, sqlx goes on trying until the pool's timeout, and then says
/// that the pool had no connection.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_no_full_pool() {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(nobody_listens());
    times_out_while_connecting(PgPoolOptions::new().connect_lazy_with(options)).await;
}

/// sqlx#3132: requests time out although the pool is not full, because their timeout strikes while they connect; each opens a
/// connection and drops it.
#[tokio::test(start_paused = true)]
async fn a_pool_that_times_out_without_being_full_was_connecting() {
    // It accepts connections and never answers on them.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(mute.local_addr().unwrap().port());
    let raw = PgPoolOptions::new()
        .max_connections(20)
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy_with(options);
    let test = TestRecorder::new();
    let pool = test.run(|| Pool::new(raw, "orders"));

    let requests = (0..10).map(|_| pool.acquire());
    let results = futures_util::future::join_all(requests).await;
    for result in results {
        let error = result.map(drop).unwrap_err();
        assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    }
    pool.observe();
    let timed_out = |stage| {
        let labels = [POOL, ("stage", stage), ("error_type", "timeout")];
        test.counter("db_pool_acquire_errors_total", &labels)
    };
    assert_eq!(timed_out("connect"), Some(10));
    assert_eq!(timed_out("wait"), Some(0));
    let opened = test.samples("db_pool_connect_duration_seconds", &[POOL]);
    assert_eq!(opened.unwrap().len(), 10);
    assert_eq!(test.gauge("db_pool_connections_max", &[POOL]), Some(20.0));
    drop(mute);
}

/// What a commit says is held to what is in the table.
#[tokio::test]
async fn a_transaction_that_the_server_rolled_back_is_no_commit() {
    let db = Database::start(1).await;
    let pool = &db.pool;

    // The error of a statement is ignored: PostgreSQL answers COMMIT by a rollback, and sqlx does not tell.
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    tx.execute("SELECT nothing").await.unwrap_err();
    tx.execute("SELECT 1").await.unwrap_err();
    assert_eq!(db.errors("failed_transaction"), 1);
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [1, 1]);
    assert_eq!(db.transactions("failed"), 1);

    // The same within a savepoint that is rolled back: by a call, by being dropped, and by a statement.
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    savepoint.execute("SELECT nothing").await.unwrap_err();
    savepoint.rollback().await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    savepoint.execute("SELECT nothing").await.unwrap_err();
    drop(savepoint);
    tx.execute("SAVEPOINT own").await.unwrap();
    tx.execute("SELECT nothing").await.unwrap_err();
    tx.execute("ROLLBACK TO own").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [2, 1]);
    assert_eq!(db.transactions("commit"), 1);

    // A savepoint that is released after an error takes the transaction with it.
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    savepoint.execute("SELECT nothing").await.unwrap_err();
    savepoint.commit().await.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [3, 1]);
    assert_eq!(db.transactions("commit"), 2);

    // An error of the client's own leaves it as it is.
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    sqlx::query_scalar::<_, String>("SELECT 1")
        .fetch_one(&mut *tx)
        .await
        .unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [4, 1]);
    assert_eq!(db.transactions("commit"), 3);
    assert_eq!(db.transactions("failed"), 1);
    db.check_rest().await;
}

/// rust-postgres#1342: a query fails behind the rows that were read of it, and nobody reads the error before the commit.
#[tokio::test]
async fn a_commit_behind_an_error_that_nobody_read_is_no_commit() {
    let db = Database::start(1).await;
    let mut tx = db.pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let late = "SELECT 10 / (20000 - i) FROM generate_series(1, 30000) AS i";
    let first = sqlx::query(late).fetch(&mut *tx).try_next().await.unwrap();
    assert!(first.is_some());
    tx.commit().await.unwrap_err();
    assert_eq!(db.sizes().await, [1, 1]);
    assert_eq!(db.transactions("failed"), 1);
    assert_eq!(db.transactions("commit"), 0);
    db.check_rest().await;
}

/// sqlx#4385: what is cancelled between a statement and its answer.
#[tokio::test]
async fn a_begin_that_is_cancelled_is_seen() {
    let db = Database::start(1).await;

    let mut conn = db.pool.acquire().await.unwrap();
    let backend = backend(&mut *conn).await;
    cancel_unanswered(conn.begin(), backend).await;
    drop(conn);
    assert_eq!(db.transactions("begin_cancelled"), 1);
    assert_eq!(db.queries("begin", "cancelled"), 1);
    let held = db.test.samples("db_pool_held_duration_seconds", &[POOL]);
    assert_eq!(held.unwrap().len(), 1);
}

/// sqlx rolls back the whole transaction then, and the commit that follows does nothing and says `Ok`.
#[tokio::test]
async fn a_savepoint_whose_begin_is_cancelled_spoils_the_commit() {
    let db = Database::start(1).await;

    let mut tx = db.pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let backend = backend(&mut *tx).await;
    cancel_unanswered(tx.begin(), backend).await;
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [1, 1]);
    assert_eq!(db.transactions("failed"), 1);
    assert_eq!(db.all("db_transactions_total"), 1);
}

/// Drops a call when its statement is sent and the server, which stands still meanwhile, has not answered.
async fn cancel_unanswered(call: impl Future, backend: i32) {
    let mut call = Box::pin(call);
    signal(backend, "STOP");
    let is_pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
    signal(backend, "CONT");
    assert!(is_pending);
}

/// The process that serves a connection.
async fn backend(executor: impl PgExecutor<'_>) -> i32 {
    let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(executor);
    pid.await.unwrap()
}

fn signal(process: i32, signal: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{signal}")).arg(process.to_string());
    assert!(kill.status().unwrap().success());
}

/// sqlx#447: a listener connects again by itself, and what was notified in between is lost without a word.
#[tokio::test]
async fn a_listener_that_lost_its_connection_leaves_a_trace() {
    let db = Database::start(3).await;
    let event = |event| {
        let labels = [POOL, ("event", event)];
        db.test.counter("db_listener_events_total", &labels)
    };
    assert_eq!(event("reconnected"), None);
    let mut listener = PgListener::connect_with(&db.pool).await.unwrap();
    assert_eq!(event("reconnected"), Some(0));
    listener.listen("fills").await.unwrap();
    let notify = async |what: &str| {
        sqlx::query("SELECT pg_notify('fills', $1)")
            .bind(what)
            .execute(&db.pool)
            .await
            .unwrap();
    };
    notify("one").await;
    assert_eq!(listener.recv().await.unwrap().payload(), "one");

    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    db.pool.execute(cut).await.unwrap();
    // The server's farewell is an error, or the connection merely ends.
    while let Err(error) = listener.try_recv().await {
        assert!(matches!(error, sqlx::Error::Database(_)), "{error}");
    }
    assert_eq!(event("reconnected"), Some(1));
    notify("two").await;
    assert_eq!(listener.recv().await.unwrap().payload(), "two");
    assert_eq!(event("notification"), Some(2));
}

/// A function for a connection takes whatever has one.
async fn resize_on(conn: &mut Conn<sqlx::Postgres>, id: i32) -> sqlx::Result<()> {
    resize(&mut *conn, id).await
}

#[tokio::test]
async fn one_type_for_the_connection_of_a_pool_a_transaction_and_its_own() {
    let db = Database::start(2).await;
    let mut conn = db.pool.acquire().await.unwrap();
    resize_on(&mut conn, 1).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    resize_on(&mut tx, 1).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    resize_on(&mut savepoint, 1).await.unwrap();
    savepoint.commit().await.unwrap();
    tx.commit().await.unwrap();
    let mut own = conn.detach();
    resize_on(&mut own, 1).await.unwrap();
    own.close().await.unwrap();
    let alone = PgConnection::connect_with(&db.server.options())
        .await
        .unwrap();
    let mut alone = db.pool.measure(alone);
    resize_on(&mut alone, 1).await.unwrap();

    assert_eq!(db.sizes().await, [6, 1]);
    assert_eq!(db.queries("update", "ok"), 5);
    let held = db.test.samples("db_pool_held_duration_seconds", &[POOL]);
    assert_eq!(held.unwrap().len(), 1);
    db.check_rest().await;
}

#[tokio::test]
async fn bulk_data_goes_in_and_out() {
    let db = Database::start(1).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let mut copy = conn.copy_in_raw("COPY orders FROM STDIN").await.unwrap();
    copy.send("3\t7\n".as_bytes()).await.unwrap();
    copy.finish().await.unwrap();
    let rows = conn.copy_out_raw("COPY orders TO STDOUT").await.unwrap();
    let rows: Vec<_> = rows.try_collect().await.unwrap();
    assert_eq!(rows.concat(), b"1\t1\n2\t1\n3\t7\n");
    conn.copy_in_raw("COPY nothing FROM STDIN")
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(db.queries("other", "ok"), 2);
    assert_eq!(db.queries("other", "error"), 1);
    assert_eq!(db.errors("statement"), 1);
}
