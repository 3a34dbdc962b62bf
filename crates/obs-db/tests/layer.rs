//! The tracing layer: it counts what goes past the wrapper, and nothing twice.
//!
//! `SQLite`'s driver reports on a thread of its own, which only a global subscriber sees; so there is one test in this file.

use futures_util::StreamExt;
use obs_core::TestRecorder;
use obs_db::{Pool, QueryLayer};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, Executor, SqliteConnection};
use tracing_subscriber::layer::SubscriberExt;

/// As it stands in code that knows nothing of the wrapper.
async fn legacy(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO orders (symbol) VALUES (?)")
        .bind("AAPL")
        .execute(&mut *connection)
        .await?;
    let long =
        "WITH new AS (SELECT 'MSFT' AS symbol) INSERT INTO orders (symbol) SELECT symbol FROM new";
    connection.execute(long).await?;
    Ok(())
}

#[tokio::test]
async fn raw_connections_are_counted_and_measured_ones_not_twice() {
    let test = TestRecorder::new();
    let subscriber = tracing_subscriber::registry().with(test.run(|| QueryLayer::new("past")));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let queries = |pool: &str| test.counter_sum("db_queries_total", &[("pool", pool)]);
    let passed = |operation: &str, outcome: &str| {
        let labels = [
            ("pool", "past"),
            ("operation", operation),
            ("outcome", outcome),
        ];
        test.counter("db_queries_total", &labels)
    };

    let raw = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let pool = test.run(|| Pool::new(raw, "orders"));

    // `migrate!` acquires a connection of its own.
    sqlx::migrate!("tests/migrations").run(&pool).await.unwrap();
    assert_eq!(queries("orders"), 0);
    let migrated = queries("past");
    assert!(migrated > 0);

    pool.execute("SELECT 1").await.unwrap();
    sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap();
    drop(
        sqlx::query("SELECT 1 UNION SELECT 2")
            .fetch(&pool)
            .next()
            .await,
    );
    let mut tx = pool.begin().await.unwrap();
    tx.execute("SELECT 1").await.unwrap();
    assert_eq!(queries("past"), migrated);
    assert_eq!(queries("orders"), 5);

    // A statement that affected rows has succeeded; of others sqlx does not say.
    let inserted = |outcome| passed("insert", outcome).unwrap();
    let (before, doubtful) = (inserted("ok"), inserted("unknown"));
    legacy(tx.raw()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(queries("past"), migrated + 2);
    assert_eq!(inserted("ok"), before + 2);
    assert_eq!(inserted("unknown"), doubtful);
    let labels = [("pool", "past"), ("operation", "insert")];
    let samples = test.samples("db_query_duration_seconds", &labels).unwrap();
    assert_eq!(samples.len() as u64, before + doubtful + 2);

    let mut own = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let selected = passed("select", "unknown").unwrap();
    own.execute("SELECT nothing").await.unwrap_err();
    own.execute("SELECT 1").await.unwrap();
    let now = passed("select", "unknown").unwrap();
    assert!(now > selected);
    assert_eq!(passed("select", "error"), Some(0));
}
