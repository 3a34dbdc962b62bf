//! Queries that go past the wrapper, counted from sqlx's own events.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use obs_core::Value;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{Field, FieldSet, Visit};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::pool::PoolName;
use crate::sql::QueryMetrics;
use crate::sql::labels::QueryOutcome;
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
///   cancelled queries and those without rows cannot be distinguished, and `db_query_errors_total` stands still. Events of others at the
///   same target that carry a field `error` count as `error`.
/// - All that passes has the one name given here; an event does not say which pool it belongs to.
/// - Only `db_query_duration_seconds` and `db_queries_total` move: no waits, no transactions. Of the statements by which a
///   driver begins and ends a transaction, none is reported.
/// - A query that sqlx's own settings or a filter keep quiet is not seen. sqlx reports at `DEBUG` with the target
///   `sqlx::query`, and slow queries at `WARN`. With a filter by target, add `sqlx::query=debug`, or give the filter to the other
///   layers instead of the whole. A layer whose events a filter drops warns of that when its subscriber is installed: the exporter
///   logs the warning and shows it on its page. A filter that is changed later is not noticed; [`QueryLayer::is_silenced`] tells.
#[derive(Debug)]
pub struct QueryLayer {
    metrics: QueryMetrics,
    /// It was asked whether it takes the probe, so no filter stands before it.
    was_asked: AtomicBool,
}

impl QueryLayer {
    /// Counts under a name, which is the label `pool`. It may be that of a `Pool`.
    #[must_use]
    #[track_caller]
    pub fn new(name: impl Into<Value<PoolName>>) -> Self {
        Self {
            metrics: QueryMetrics::new(name),
            was_asked: AtomicBool::new(false),
        }
    }

    /// Whether sqlx's events get through all filters of a subscriber that this layer is part of.
    ///
    /// To be asked on a thread of its own: filters of single layers remember their last answer for each thread until an event
    /// uses it up, and there will be none.
    fn hears(&self, subscriber: &Dispatch) -> bool {
        let can_be = Level::DEBUG <= tracing::level_filters::STATIC_MAX_LEVEL;
        self.was_asked.store(false, Relaxed);
        can_be && subscriber.enabled(&PROBE) && self.was_asked.load(Relaxed)
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

/// Like the events of sqlx, and never sent.
static PROBE: Metadata<'static> = Metadata::new(
    "a query",
    TARGET,
    Level::DEBUG,
    None,
    None,
    None,
    FieldSet::new(&[], Identifier(&Probe)),
    Kind::EVENT,
);

struct Probe;

impl Callsite for Probe {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &PROBE
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for QueryLayer {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        let hears = thread::scope(|scope| scope.spawn(|| self.hears(subscriber)).join());
        if matches!(hears, Ok(false)) {
            obs_core::warn_unseen(
                "a filter drops the events of sqlx, so obs-db's QueryLayer counts no queries: let `sqlx::query=debug` through, or \
                 give the filter to the other layers instead of the whole subscriber",
            );
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        if std::ptr::eq(metadata, &raw const PROBE) {
            self.was_asked.store(true, Relaxed);
        }
        true
    }

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

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::{Identity, SubscriberExt};
    use tracing_subscriber::registry;

    use super::*;

    /// A layer that says what it would warn of, for it is part of the subscriber.
    struct Asked(QueryLayer, std::sync::mpsc::Sender<bool>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Asked {
        fn on_register_dispatch(&self, subscriber: &Dispatch) {
            let hears = thread::scope(|scope| scope.spawn(|| self.0.hears(subscriber)).join());
            self.1.send(hears.unwrap()).unwrap();
        }

        fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
            self.0.enabled(metadata, context)
        }
    }

    fn hears<S: Into<Dispatch>>(subscriber: impl FnOnce(Asked) -> S) -> bool {
        let (sender, said) = std::sync::mpsc::channel();
        let layer = obs_core::TestRecorder::new().run(|| QueryLayer::new("orders"));
        let _dispatch: Dispatch = subscriber(Asked(layer, sender)).into();
        said.recv().unwrap()
    }

    #[test]
    fn a_layer_knows_whether_filters_let_it_hear() {
        let info = LevelFilter::INFO;
        let by_target = || {
            Targets::new()
                .with_default(info)
                .with_target(TARGET, Level::DEBUG)
        };
        assert!(hears(|layer| registry().with(layer)));
        assert!(hears(|layer| registry()
            .with(layer)
            .with(LevelFilter::DEBUG)));
        assert!(hears(|layer| registry().with(layer).with(by_target())));
        assert!(hears(|layer| registry()
            .with(layer)
            .with(Identity::new().with_filter(info))));
        // Before it, after it, and its own; also where another layer hears.
        assert!(!hears(|layer| registry().with(layer).with(info)));
        assert!(!hears(|layer| registry().with(info).with(layer)));
        assert!(!hears(|layer| registry().with(layer.with_filter(info))));
        assert!(!hears(|layer| {
            let other = Identity::new().with_filter(LevelFilter::TRACE);
            registry().with(layer.with_filter(info)).with(other)
        }));
    }
}
