//! Queries that go past the wrapper, counted from sqlx's own events.

use std::fmt;
use std::time::Duration;

use obs_core::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::sql::PoolMetrics;
use crate::sql::labels::{PoolName, QueryOutcome};
use crate::sql::operation::Operation;
use crate::sql::span::{NAME, TARGET};

/// A layer for `tracing-subscriber` that counts queries on raw connections, from the events in which sqlx reports them.
///
/// It is for code that cannot use a [`Pool`](crate::Pool): functions that take a `&mut PgConnection`, `migrate!`, generic
/// code over `Acquire`. Queries of a `Pool` are known by a span around them and are not counted again.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(obs_db::QueryLayer::new("orders"));
/// ```
///
/// What an event does not say cannot be known:
///
/// - The outcome is `unknown`, errors and cancelled queries are not told apart, and `db_query_errors_total` stands still.
/// - All that passes has the one name given here; an event does not say which pool it belongs to.
/// - Only `db_query_duration_seconds` and `db_queries_total` move: no waits, no transactions. Of the statements by which a
///   driver begins and ends a transaction, none is reported.
/// - A query that sqlx's own settings or a filter keep quiet is not seen. sqlx reports at `DEBUG` with the target
///   `sqlx::query`, and slow queries at `WARN`.
#[derive(Debug)]
pub struct QueryLayer {
    metrics: PoolMetrics,
}

impl QueryLayer {
    /// Counts under a name, which is the label `pool`. It may be that of a [`Pool`](crate::Pool).
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Value<PoolName>>) -> Self {
        Self {
            metrics: PoolMetrics::new(name),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for QueryLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut spans = context.event_scope(event).into_iter().flatten();
        if spans.any(|span| span.metadata().name() == NAME && span.metadata().target() == TARGET) {
            return;
        }
        let mut query = Query::default();
        event.record(&mut query);
        let Some(elapsed) = query.elapsed else {
            return;
        };
        let operation = query.operation.unwrap_or(Operation::Other);
        self.metrics.duration[operation].record(elapsed);
        self.metrics.queries[operation][QueryOutcome::Unknown].increment(1);
    }
}

/// What an event says.
#[derive(Default)]
struct Query {
    operation: Option<Operation>,
    elapsed: Option<Duration>,
}

impl Visit for Query {
    fn record_str(&mut self, field: &Field, value: &str) {
        // The summary is the first four words. Where the statement has more, the whole of it follows.
        let is_statement = field.name() == "db.statement" && !value.is_empty();
        if is_statement || field.name() == "summary" {
            self.operation = Some(Operation::of(value));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).ok();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
