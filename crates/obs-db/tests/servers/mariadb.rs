//! A `MariaDB` pool on a real server: `MySQL`'s protocol, its numbers, and its transactions.

use std::time::Duration;

use crate::common::{MariaDb, deadlock, nobody_listens, times_out_while_connecting};
use obs_core::TestRecorder;
use obs_db::{MySqlConnection, MySqlPool, Pool};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{Executor, MySqlExecutor};

const POOL: (&str, &str) = ("pool", "orders");

struct Database {
    // Closed before the server is stopped.
    pool: MySqlPool,
    test: TestRecorder,
    server: MariaDb,
}

impl Database {
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(MariaDb::start).await.unwrap();
        let raw = MySqlPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(server.options())
            .await
            .unwrap();
        for statement in [
            "CREATE DATABASE desk",
            "CREATE TABLE desk.orders (id int PRIMARY KEY, size int CHECK (size > 0)) ENGINE = InnoDB",
            "INSERT INTO desk.orders VALUES (1, 1), (2, 1)",
        ] {
            raw.execute(statement).await.unwrap();
        }
        let test = TestRecorder::new();
        let pool = test.run(|| Pool::new(raw, "orders"));
        Self { pool, test, server }
    }

    fn count(&self, family: &str, labels: &[(&str, &str)]) -> u64 {
        let labels = [&[POOL], labels].concat();
        self.test.counter(family, &labels).unwrap()
    }

    fn errors(&self, kind: &str) -> u64 {
        self.count("db_query_errors_total", &[("error_type", kind)])
    }

    fn transactions(&self, outcome: &str) -> u64 {
        self.count("db_transactions_total", &[("outcome", outcome)])
    }

    async fn sizes(&self) -> Vec<i32> {
        sqlx::query_scalar("SELECT size FROM desk.orders ORDER BY id")
            .fetch_all(self.pool.raw())
            .await
            .unwrap()
    }
}

async fn resize(executor: impl MySqlExecutor<'_>, id: i32) -> sqlx::Result<()> {
    sqlx::query("UPDATE desk.orders SET size = size + 1 WHERE id = ?")
        .bind(id)
        .execute(executor)
        .await?;
    Ok(())
}

async fn resize_on(conn: &mut MySqlConnection, id: i32) -> sqlx::Result<()> {
    resize(conn, id).await
}

#[tokio::test]
async fn what_users_write_is_counted() {
    let db = Database::start().await;
    let pool = &db.pool;
    resize(pool, 1).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    resize(&mut *savepoint, 1).await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [3, 1]);

    let queries = |operation| {
        let labels = [("operation", operation), ("outcome", "ok")];
        db.count("db_queries_total", &labels)
    };
    assert_eq!(queries("update"), 3);
    assert_eq!(queries("begin"), 2);
    assert_eq!(queries("commit"), 1);
    assert_eq!(queries("rollback"), 1);
    assert_eq!(db.transactions("commit"), 1);
}

#[tokio::test]
async fn faults_are_told_by_the_servers_numbers() {
    let db = Database::start().await;
    let pool = &db.pool;
    for (statement, kind) in [
        ("INSERT INTO desk.orders VALUES (1, 1)", "constraint"),
        ("INSERT INTO desk.orders VALUES (3, -1)", "constraint"),
        ("SELECT nothing", "statement"),
        ("SELECT * FROM desk.nothing", "statement"),
        ("SELEC 1", "statement"),
        (
            "SET STATEMENT max_statement_time = 0.05 FOR SELECT SLEEP(60)",
            "timeout",
        ),
    ] {
        let before = db.errors(kind);
        pool.execute(statement).await.unwrap_err();
        assert_eq!(db.errors(kind), before + 1, "{statement}");
    }

    let mut read = pool
        .begin_with("START TRANSACTION READ ONLY")
        .await
        .unwrap();
    resize(&mut *read, 1).await.unwrap_err();
    drop(read);
    assert_eq!(db.errors("read_only"), 1);

    let mut holder = pool.begin().await.unwrap();
    resize(&mut *holder, 1).await.unwrap();
    let mut waiter = pool.acquire().await.unwrap();
    waiter
        .execute("SET innodb_lock_wait_timeout = 1")
        .await
        .unwrap();
    resize(&mut *waiter, 1).await.unwrap_err();
    assert_eq!(db.errors("lock"), 1);
    drop((holder, waiter));

    deadlock(pool, resize_on).await;
    assert_eq!(db.errors("deadlock"), 1);
    assert_eq!(db.errors("serialization"), 0);
    assert_eq!(db.errors("other"), 0);
}

/// Unlike `PostgreSQL`, it undoes the statement that failed and keeps the transaction.
#[tokio::test]
async fn a_transaction_outlives_the_error_of_a_statement() {
    let db = Database::start().await;
    let mut tx = db.pool.begin().await.unwrap();
    resize(&mut *tx, 1).await.unwrap();
    tx.execute("SELECT nothing").await.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(db.sizes().await, [2, 1]);
    assert_eq!(db.transactions("commit"), 1);
    assert_eq!(db.transactions("failed"), 0);
}

#[tokio::test]
async fn a_connection_that_is_refused_says_why() {
    let mut db = Database::start().await;
    let pool = |options| {
        let raw = MySqlPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy_with(options);
        db.test.run(|| Pool::new(raw, "orders"))
    };
    let refusals = |db: &Database, kind| {
        let labels = [("stage", "connect"), ("error_type", kind)];
        db.count("db_pool_acquire_errors_total", &labels)
    };
    let nowhere = pool(db.server.options().database("nothing"));
    let nobody = pool(db.server.options().username("nobody").password("wrong"));
    nowhere.execute("SELECT 1").await.unwrap_err();
    nobody.execute("SELECT 1").await.unwrap_err();
    assert_eq!(refusals(&db, "database"), 1);
    assert_eq!(refusals(&db, "rejected"), 1);

    let down = pool(db.server.options());
    db.server.crash();
    down.execute("SELECT 1").await.unwrap_err();
    assert_eq!(refusals(&db, "timeout") + refusals(&db, "io"), 1);
}

/// sqlx#3808: a server that is down comes out as `PoolTimedOut`, as if the pool were full.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_no_full_pool() {
    let options = MySqlConnectOptions::new()
        .host("127.0.0.1")
        .port(nobody_listens());
    let patient = MySqlPoolOptions::new().acquire_timeout(Duration::from_secs(10));
    times_out_while_connecting(patient.connect_lazy_with(options)).await;
}
