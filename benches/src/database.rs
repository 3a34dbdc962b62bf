//! What the wrapper adds to a query that `SQLite` answers.

use std::sync::{Arc, Mutex, PoisonError};

use allocation_counter::measure;
use metrics::Recorder;
use obs_db::Pool;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, Sqlite, SqlitePool};
use tokio::runtime::{Builder, Runtime};

use crate::contest::{Contender, Effort, FLOOR, Figure, OURS, Row, nanoseconds};
use crate::http::added;
use crate::library;

async fn select<'e>(executor: impl Executor<'e, Database = Sqlite>) {
    let one: i64 = sqlx::query_scalar("SELECT 1")
        .fetch_one(executor)
        .await
        .expect("a row");
    std::hint::black_box(one);
}

async fn open(connections: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .connect("sqlite::memory:")
        .await
        .expect("a database in memory")
}

pub(crate) fn lines(effort: Effort) -> Vec<Row> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    // A connection that is dropped goes back by a task of its own.
    let _inside = runtime.enter();
    let mut rows = pooled(&runtime, effort, 4);
    rows.extend(pooled(&runtime, effort, 1));
    rows.extend(held(&runtime, effort));
    rows
}

fn measured(pool: &SqlitePool) -> Pool<Sqlite> {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(library::engine());
    obs_core::with_recorder(&engine, || Pool::new(pool.clone(), "bench"))
}

fn pooled(runtime: &Runtime, effort: Effort, connections: u32) -> Vec<Row> {
    let bare = runtime.block_on(open(connections));
    let ours = measured(&bare);
    let contenders = [
        Contender::new(FLOOR, |n| {
            runtime.block_on(async {
                for _ in 0..n {
                    select(&bare).await;
                }
            });
        }),
        Contender::new(OURS, |n| {
            runtime.block_on(async {
                for _ in 0..n {
                    select(&ours).await;
                }
            });
        }),
    ];
    rows(
        &format!("through an SQLite pool of {connections}"),
        &contenders,
        effort,
    )
}

fn held(runtime: &Runtime, effort: Effort) -> Vec<Row> {
    let pool = runtime.block_on(open(1));
    let ours = measured(&pool);
    let conn = runtime.block_on(ours.acquire()).expect("a connection");
    let conn = Mutex::new(conn);
    let contenders = [
        Contender::new(FLOOR, |n| {
            let mut conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
            runtime.block_on(async {
                for _ in 0..n {
                    select(conn.raw()).await;
                }
            });
        }),
        Contender::new(OURS, |n| {
            let mut conn = conn.lock().unwrap_or_else(PoisonError::into_inner);
            runtime.block_on(async {
                for _ in 0..n {
                    select(&mut **conn).await;
                }
            });
        }),
    ];
    rows("on a connection that is held", &contenders, effort)
}

fn rows(how: &str, contenders: &[Contender<'_>], effort: Effort) -> Vec<Row> {
    // A query takes part of the time on the driver's own thread, whose allocations are not counted here; they are the same for both.
    let allocations = |contender: &Contender<'_>| {
        (contender.work)(10);
        let n = 200;
        let counted = measure(|| (contender.work)(n)).count_total as f64;
        Figure::exact(contender.name, (counted / n as f64).round())
    };
    let allocations: Vec<_> = contenders.iter().map(allocations).collect();
    // Two threads meet in each query, so most rounds are disturbed; what is added is the difference of two medians of many.
    let short = Effort {
        rounds: effort.rounds * 8,
        batch: effort.batch / 2,
        ..effort
    };
    let times = nanoseconds(contenders, 1, short);
    let row = |line: String, unit, limit, figures| {
        Row::new("", unit, 0.0, added(figures)).against(line, limit, 1.0)
    };
    vec![
        row(
            format!("`SELECT 1` {how}, on top of sqlx's own time, against 450 ns"),
            "ns",
            450.0,
            times,
        ),
        row(
            format!("`SELECT 1` {how}, on top of sqlx's own allocations, against 2"),
            "allocations",
            2.0,
            allocations,
        ),
    ]
}
