//! What the wrapper allocates, on top of what sqlx does.

use obs_db::Pool;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Executor, Sqlite};

/// The allocations of this thread per query, over many, when all is warm.
async fn of<'e, E, F>(mut executor: F) -> u64
where
    E: Executor<'e, Database = Sqlite>,
    F: FnMut() -> E,
{
    let mut least = u64::MAX;
    for _ in 0..100 {
        let query = sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(executor());
        let mut query = Box::pin(query);
        let mut allocations = 0;
        let polled = std::future::poll_fn(|cx| {
            let mut polled = None;
            let info = allocation_counter::measure(|| polled = Some(query.as_mut().poll(cx)));
            allocations += info.count_total;
            polled.unwrap_or(std::task::Poll::Pending)
        });
        assert_eq!(polled.await.unwrap(), 1);
        least = least.min(allocations);
    }
    least
}

#[tokio::test]
async fn a_query_allocates_at_most_two_more_than_without() {
    let raw = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    // Without a recorder: the handles of a real one allocate nothing, while that for tests keeps every sample.
    let pool = Pool::new(raw.clone(), "orders");

    let bare = of(|| &raw).await;
    let measured = of(|| &pool).await;
    assert!(bare > 0);
    assert!(measured <= bare + 2, "{measured} instead of {bare}");
}
