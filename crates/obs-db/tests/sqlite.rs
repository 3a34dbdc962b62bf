//! An `SQLite` pool: what users write, and what comes out.

use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use obs_core::TestRecorder;
use obs_db::Pool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Executor, FromRow, SqlSafeStr, Sqlite};
use tempfile::TempDir;

const POOL: (&str, &str) = ("pool", "orders");

/// A database in a file, so that several connections see the same.
struct Database {
    test: TestRecorder,
    pool: Pool<Sqlite>,
    _folder: TempDir,
}

impl Database {
    async fn open(connections: u32) -> Self {
        Self::open_with(SqlitePoolOptions::new().max_connections(connections)).await
    }

    async fn open_with(options: SqlitePoolOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("db").display());
        let connect = SqliteConnectOptions::from_str(&url)
            .unwrap()
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let raw = options.connect_with(connect).await.unwrap();
        sqlx::migrate!("tests/migrations").run(&raw).await.unwrap();
        let test = TestRecorder::new();
        let pool = test.run(|| Pool::new(raw, "orders"));
        Self {
            test,
            pool,
            _folder: folder,
        }
    }

    fn queries(&self, operation: &str, outcome: &str) -> u64 {
        let labels = [POOL, ("operation", operation), ("outcome", outcome)];
        self.test.counter("db_queries_total", &labels).unwrap()
    }

    fn all_queries(&self) -> u64 {
        self.test.counter_sum("db_queries_total", &[])
    }

    fn durations(&self, operation: &str) -> usize {
        let labels = [POOL, ("operation", operation)];
        self.test
            .samples("db_query_duration_seconds", &labels)
            .map_or(0, |samples| samples.len())
    }

    fn samples(&self, name: &str) -> Vec<f64> {
        self.test.samples(name, &[POOL]).unwrap()
    }

    fn transactions(&self, outcome: &str) -> u64 {
        let labels = [POOL, ("outcome", outcome)];
        self.test.counter("db_transactions_total", &labels).unwrap()
    }

    fn acquisitions(&self, outcome: &str) -> u64 {
        let labels = [POOL, ("outcome", outcome)];
        self.test
            .counter("db_pool_acquisitions_total", &labels)
            .unwrap()
    }

    fn connections(&self, state: &str) -> f64 {
        self.pool.observe();
        self.test
            .gauge("db_pool_connections", &[POOL, ("state", state)])
            .unwrap()
    }
}

#[derive(Debug, FromRow, PartialEq)]
struct Order {
    id: i64,
    symbol: String,
}

/// As users write it: generic over what executes, and over the database.
async fn insert<'e, E: Executor<'e, Database = Sqlite>>(
    executor: E,
    symbol: &str,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO orders (symbol) VALUES (?)")
        .bind(symbol)
        .execute(executor)
        .await?;
    Ok(())
}

async fn one<'e, DB, E>(executor: E) -> sqlx::Result<i64>
where
    DB: sqlx::Database,
    DB::Arguments: sqlx::IntoArguments<DB>,
    E: Executor<'e, Database = DB>,
    for<'r> i64: sqlx::Decode<'r, DB> + sqlx::Type<DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
{
    sqlx::query_scalar("SELECT 1").fetch_one(executor).await
}

#[tokio::test]
async fn what_users_write_is_unchanged_and_counted() {
    let db = Database::open(3).await;
    let pool = db.pool.clone();

    insert(&pool, "AAPL").await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    insert(&mut *conn, "MSFT").await.unwrap();
    conn.execute("UPDATE orders SET symbol = 'GOOG' WHERE id = 2")
        .await
        .unwrap();
    let orders: Vec<Order> = sqlx::query_as("SELECT * FROM orders ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(
        orders
            .iter()
            .map(|order| order.symbol.as_str())
            .collect::<Vec<_>>(),
        ["AAPL", "GOOG"]
    );
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(count, 2);
    assert_eq!(
        one(&pool).await.unwrap() + one(&mut *conn).await.unwrap(),
        2
    );
    assert_eq!(
        (&pool)
            .fetch_optional("SELECT 1 WHERE false")
            .await
            .unwrap()
            .map(drop),
        None
    );
    sqlx::raw_sql("CREATE TABLE a (b); DROP TABLE a")
        .execute(&pool)
        .await
        .unwrap();
    let streamed: Vec<Order> = sqlx::query_as("SELECT * FROM orders")
        .fetch(&pool)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(streamed.len(), 2);
    let spawned = tokio::spawn(async move { one(&pool).await });
    assert_eq!(spawned.await.unwrap().unwrap(), 1);
    (&mut *conn)
        .prepare("SELECT 1".into_sql_str())
        .await
        .map(drop)
        .unwrap();
    conn.execute("PRAGMA user_version").await.unwrap();

    assert_eq!(db.queries("insert", "ok"), 2);
    assert_eq!(db.queries("update", "ok"), 1);
    assert_eq!(db.queries("select", "ok"), 7);
    assert_eq!(db.queries("ddl", "ok"), 1);
    assert_eq!(db.queries("prepare", "ok"), 1);
    assert_eq!(db.queries("other", "ok"), 1);
    assert_eq!(db.all_queries(), 13);
    assert_eq!(db.durations("select"), 7);
    assert_eq!(
        db.acquisitions("ok"),
        db.samples("db_pool_acquire_duration_seconds").len() as u64
    );
}

#[tokio::test]
async fn migrations_run_through_the_pool() {
    let db = Database::open(1).await;
    sqlx::migrate!("tests/migrations")
        .run(&db.pool)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    sqlx::migrate!("tests/migrations")
        .run(&mut *conn)
        .await
        .unwrap();
    assert_eq!(db.acquisitions("ok"), 2);
}

#[tokio::test]
async fn transactions_are_counted_by_how_they_end() {
    let db = Database::open(1).await;

    let mut tx = db.pool.begin().await.unwrap();
    insert(&mut *tx, "AAPL").await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    insert(&mut *savepoint, "MSFT").await.unwrap();
    savepoint.rollback().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint.commit().await.unwrap();
    tx.commit().await.unwrap();

    db.pool
        .begin_with("BEGIN IMMEDIATE")
        .await
        .unwrap()
        .rollback()
        .await
        .unwrap();

    let mut conn = db.pool.acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    insert(&mut *tx, "GOOG").await.unwrap();
    drop(tx);
    drop(conn);

    let left: Vec<String> = sqlx::query_scalar("SELECT symbol FROM orders")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    assert_eq!(left, ["AAPL"]);
    assert_eq!(db.transactions("commit"), 1);
    assert_eq!(db.transactions("rollback"), 1);
    assert_eq!(db.transactions("rollback_by_drop"), 1);
    assert_eq!(db.transactions("failed"), 0);
    // Those of savepoints are queries too.
    assert_eq!(db.queries("begin", "ok"), 5);
    assert_eq!(db.queries("commit", "ok"), 2);
    assert_eq!(db.queries("rollback", "ok"), 2);
}

#[tokio::test]
async fn a_commit_that_fails_is_no_commit() {
    let db = Database::open(1).await;
    let deferred =
        "CREATE TABLE parts (of INTEGER REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)";
    db.pool.execute(deferred).await.unwrap();

    let mut tx = db.pool.begin().await.unwrap();
    tx.execute("INSERT INTO parts VALUES (7)").await.unwrap();
    tx.commit().await.unwrap_err();

    assert_eq!(db.transactions("failed"), 1);
    assert_eq!(db.transactions("commit"), 0);
    assert_eq!(db.queries("commit", "error"), 1);
    let constraint = [POOL, ("error_type", "constraint")];
    assert_eq!(
        db.test.counter("db_query_errors_total", &constraint),
        Some(1)
    );
}

#[tokio::test]
async fn errors_are_counted_by_what_went_wrong() {
    let db = Database::open(1).await;
    insert(&db.pool, "AAPL").await.unwrap();
    insert(&db.pool, "AAPL").await.unwrap_err();
    db.pool
        .execute("SELECT nothing FROM nowhere")
        .await
        .unwrap_err();
    // That there is no row is an answer.
    let none = sqlx::query("SELECT 1 WHERE false")
        .fetch_one(&db.pool)
        .await;
    assert!(matches!(none, Err(sqlx::Error::RowNotFound)));

    assert_eq!(db.queries("insert", "error"), 1);
    assert_eq!(db.queries("select", "error"), 1);
    assert_eq!(db.queries("select", "ok"), 1);
    let errors = |kind| {
        db.test
            .counter("db_query_errors_total", &[POOL, ("error_type", kind)])
    };
    assert_eq!(errors("constraint"), Some(1));
    assert_eq!(errors("statement"), Some(1));
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_cancelled() {
    let db = Database::open(1).await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n";
    {
        let mut rows = sqlx::query(many).fetch(&db.pool);
        rows.next().await.unwrap().unwrap();
        assert_eq!(db.all_queries(), 0);
    }
    assert_eq!(db.queries("select", "cancelled"), 1);
    let rows = sqlx::query(many).fetch(&db.pool).count().await;
    assert_eq!(rows, 1000);
    assert_eq!(db.queries("select", "ok"), 1);
    assert_eq!(db.durations("select"), 2);
}

#[tokio::test]
async fn a_panic_while_rows_are_read_is_told_from_a_cancellation() {
    let db = Database::open(1).await;
    let pool = db.pool.clone();
    let reads = tokio::spawn(async move {
        let mut rows = sqlx::query("SELECT 1 UNION SELECT 2").fetch(&pool);
        let row = rows.next().await;
        panic!("a row: {}", row.is_some());
    });
    assert!(reads.await.unwrap_err().is_panic());
    assert_eq!(db.queries("select", "panicked"), 1);
    assert_eq!(db.all_queries(), 1);
}

/// A query of somebody else's, which panics when it is sent.
struct Theirs(&'static str);

impl sqlx::Execute<'_, Sqlite> for Theirs {
    fn sql(self) -> sqlx::SqlStr {
        self.0.into_sql_str()
    }

    fn statement(&self) -> Option<&sqlx::sqlite::SqliteStatement> {
        None
    }

    fn take_arguments(
        &mut self,
    ) -> Result<Option<sqlx::sqlite::SqliteArguments>, sqlx::error::BoxDynError> {
        std::panic::panic_any(7)
    }

    fn persistent(&self) -> bool {
        false
    }
}

/// Each time the only connection of the pool comes back, and the panic is what it was.
#[tokio::test]
async fn a_panic_in_a_query_or_a_transaction_costs_no_connection() {
    type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
    let db = Database::open(1).await;
    let works: [fn(Pool<Sqlite>) -> Work; 4] = [
        |pool| Box::pin(async move { drop(pool.execute(Theirs("SELECT 1")).await) }),
        |pool| Box::pin(async move { drop(pool.fetch_optional(Theirs("SELECT 1")).await) }),
        |pool| {
            Box::pin(async move {
                let read = sqlx::query("SELECT 1").try_map(|_| std::panic::panic_any(7));
                let _: i64 = read.fetch_one(&pool).await.unwrap();
            })
        },
        |pool| {
            Box::pin(async move {
                let mut tx = pool.begin().await.unwrap();
                insert(&mut *tx, "AAPL").await.unwrap();
                std::panic::panic_any(7);
            })
        },
    ];
    for work in works {
        let caught = tokio::spawn(work(db.pool.clone())).await;
        let caught = caught.expect_err("it panics").into_panic();
        assert_eq!(caught.downcast_ref(), Some(&7));
        assert_eq!(one(&db.pool).await.unwrap(), 1);
    }
    assert_eq!(
        db.queries("other", "panicked") + db.queries("select", "panicked"),
        2
    );
    assert_eq!(db.transactions("rollback_by_drop"), 1);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(rows, 0, "what panicked was rolled back");
    db.pool.close().await;
    assert_eq!(db.connections("in_use").to_bits(), 0);
}

#[tokio::test]
async fn an_exhausted_pool_counts_timeouts_and_no_queries() {
    let options = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(1));
    let db = Database::open_with(options).await;
    let held = db.pool.acquire().await.unwrap();
    assert_eq!(db.connections("in_use").to_bits(), 1_f64.to_bits());

    let refused = one(&db.pool).await;
    assert!(matches!(refused, Err(sqlx::Error::PoolTimedOut)));
    assert_eq!(db.test.counter("db_pool_timeouts_total", &[POOL]), Some(1));
    assert_eq!(db.acquisitions("error"), 1);
    assert_eq!(db.all_queries(), 0);
    let longest = db
        .samples("db_pool_acquire_duration_seconds")
        .into_iter()
        .fold(0.0, f64::max);
    assert!(longest >= 1.0, "{longest}");

    // Nobody waits for it any more.
    let waits = tokio::time::timeout(Duration::from_millis(1), db.pool.acquire()).await;
    assert!(waits.is_err());
    assert_eq!(db.acquisitions("cancelled"), 1);

    held.close().await.unwrap();
    assert_eq!(db.connections("in_use").to_bits(), 0_f64.to_bits());
    assert_eq!(db.connections("idle").to_bits(), 0_f64.to_bits());
    let max = db.test.gauge("db_pool_connections_max", &[POOL]);
    assert_eq!(max, Some(1.0));
}

/// sqlx#1860: timing `acquire` from outside mixes the wait for a permit with the time of connecting.
#[tokio::test]
async fn opening_a_connection_does_not_count_as_waiting_for_one() {
    let test = TestRecorder::new();
    let raw = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_lazy("sqlite::memory:")
        .unwrap();
    let pool = test.run(|| Pool::new(raw, "orders"));
    let count = |name| test.samples(name, &[POOL]).unwrap().len();

    let first = pool.acquire().await.unwrap();
    assert_eq!(count("db_pool_connect_duration_seconds"), 1);
    let (second, ()) = tokio::join!(pool.acquire(), async { drop(first) });
    second.unwrap();
    assert_eq!(count("db_pool_connect_duration_seconds"), 1);
    assert_eq!(count("db_pool_acquire_duration_seconds"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_ten_connections_add_up() {
    let db = Database::open(10).await;
    let tasks: Vec<_> = (0..1000)
        .map(|n| {
            let pool = db.pool.clone();
            tokio::spawn(async move {
                match n % 4 {
                    0 => one(&pool).await.map(drop),
                    1 => sqlx::query("SELECT 1")
                        .fetch(&pool)
                        .try_collect::<Vec<_>>()
                        .await
                        .map(drop),
                    2 => pool.execute("SELECT nothing").await.map(drop),
                    _ => pool.begin().await?.rollback().await,
                }
            })
        })
        .collect();
    let mut failed = 0;
    for task in tasks {
        failed += u64::from(task.await.unwrap().is_err());
    }

    assert_eq!(failed, 250);
    assert_eq!(db.queries("select", "ok"), 500);
    assert_eq!(db.queries("select", "error"), 250);
    assert_eq!(db.queries("begin", "ok"), 250);
    assert_eq!(db.queries("rollback", "ok"), 250);
    assert_eq!(db.all_queries(), 1250);
    assert_eq!(db.durations("select"), 750);
    assert_eq!(db.transactions("rollback"), 250);
    assert_eq!(db.acquisitions("ok"), 1000);
    assert_eq!(db.samples("db_pool_acquire_duration_seconds").len(), 1000);
    db.pool.close().await;
    assert_eq!(db.connections("in_use").to_bits(), 0_f64.to_bits());
}

#[tokio::test]
async fn what_a_statement_says_is_nowhere_to_be_seen() {
    let db = Database::open(1).await;
    db.pool.execute("SELECT 'hunter2'").await.unwrap();
    insert(&db.pool, "hunter2").await.unwrap();
    db.pool.execute("SELECT hunter2").await.unwrap_err();
    assert!(!format!("{:?}", db.test.snapshot()).contains("hunter2"));
}

#[test]
fn series_exist_before_the_first_query() {
    let test = TestRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let raw = SqlitePoolOptions::new()
        .connect_lazy("sqlite::memory:")
        .unwrap();
    let _pool = test.run(|| Pool::new(raw, "orders"));
    let labels = [POOL, ("operation", "delete"), ("outcome", "error")];
    assert_eq!(test.counter("db_queries_total", &labels), Some(0));
    assert_eq!(test.counter("db_pool_timeouts_total", &[POOL]), Some(0));
    assert_eq!(
        test.gauge("db_pool_connections", &[POOL, ("state", "idle")]),
        Some(0.0)
    );
    assert_eq!(test.gauge("db_pool_connections_max", &[POOL]), Some(10.0));
}
