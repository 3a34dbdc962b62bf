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

/// The target of sqlx's own events. The mark of a measured query has the same one: what lets an event through a filter lets the mark
/// through.
pub(crate) const TARGET: &str = "sqlx::query";

/// The name of that mark.
pub(crate) const NAME: &str = "obs_db";

/// A layer for `tracing-subscriber` that counts queries from the events in which sqlx reports them: sqlx 0.8 and 0.9 alike.
///
/// It is the way that needs no wrapper, and for code that cannot use a `Pool` of this crate: functions that take a
/// `&mut sqlx::PgConnection`, `migrate!`, generic code over `Acquire`, libraries that own the pool. Queries of a `Pool` are known
/// by a span around them and are not counted again.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(obs_db::QueryLayer::new("orders"));
/// ```
///
/// What an event does not say cannot be known:
///
/// - sqlx does not say whether a query succeeded. One that affected rows did, and is `ok`; any other is `unknown`: errors,
///   cancelled queries and those without rows are not told apart, and `db_query_errors_total` stands still. Events of others at the
///   same target that carry a field `error` count as `error`.
/// - All that passes has the one name given here; an event does not say which pool it belongs to.
/// - Only `db_query_duration_seconds` and `db_queries_total` move: no waits, no transactions. Of the statements by which a
///   driver begins and ends a transaction, none is reported.
/// - A query that sqlx's own settings or a filter keep quiet is not seen. sqlx reports at `DEBUG` with the target
///   `sqlx::query`, and slow queries at `WARN`. [`QueryLayer::is_silenced`] tells whether a filter keeps them quiet; ask it at the
///   start. With a filter by target, add `sqlx::query=debug`, or give the filter to the other layers instead of the whole.
#[derive(Debug)]
pub struct QueryLayer {
    metrics: PoolMetrics,
}

impl QueryLayer {
    /// Counts under a name, which is the label `pool`. It may be that of a `Pool`.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Value<PoolName>>) -> Self {
        Self {
            metrics: PoolMetrics::new(name),
        }
    }

    /// Whether the subscriber that is current drops sqlx's events before a layer sees them, so that nothing is counted. To be
    /// asked after the subscriber was installed.
    ///
    /// ```
    /// use tracing_subscriber::{Layer, filter::LevelFilter, layer::SubscriberExt};
    /// # use tracing::subscriber::with_default;
    ///
    /// let quiet = tracing_subscriber::registry()
    ///     .with(obs_db::QueryLayer::new("orders"))
    ///     .with(LevelFilter::INFO);
    /// with_default(quiet, || assert!(obs_db::QueryLayer::is_silenced()));
    ///
    /// let heard = tracing_subscriber::registry()
    ///     .with(obs_db::QueryLayer::new("orders"))
    ///     .with(tracing_subscriber::layer::Identity::new().with_filter(LevelFilter::INFO));
    /// with_default(heard, || assert!(!obs_db::QueryLayer::is_silenced()));
    /// ```
    #[must_use]
    pub fn is_silenced() -> bool {
        !tracing::event_enabled!(target: TARGET, tracing::Level::DEBUG)
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
        let outcome = query.outcome.unwrap_or(QueryOutcome::Unknown);
        self.metrics.duration[operation].record(elapsed);
        self.metrics.queries[operation][outcome].increment(1);
    }
}

/// What an event says.
#[derive(Default)]
struct Query {
    operation: Option<Operation>,
    elapsed: Option<Duration>,
    outcome: Option<QueryOutcome>,
}

impl Visit for Query {
    fn record_str(&mut self, field: &Field, value: &str) {
        // The summary is the first four words. Where the statement has more, the whole of it follows.
        let is_statement = field.name() == "db.statement" && !value.is_empty();
        if is_statement || field.name() == "summary" {
            self.operation = Some(Operation::of(value));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).ok();
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // The server says how many rows at the end of a statement.
        if field.name() == "rows_affected" && value > 0 {
            self.outcome.get_or_insert(QueryOutcome::Ok);
        }
    }

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        if field.name() == "error" {
            self.outcome = Some(QueryOutcome::Error);
        }
    }
}
