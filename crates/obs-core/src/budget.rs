//! A recorder that holds every family to its series budget.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Label, Level, Metadata, Recorder,
    SharedString, Unit,
};

use crate::family::DEFAULT_BUDGET;
use crate::{Catalogue, Family, MAX_VALUE_BYTES, OTHER, PipelineMetrics, Values, site};

/// How many families recorders take that no catalogue knows, unless told.
pub const UNDECLARED_FAMILIES: usize = 1_000;

/// The counter in which recorders add up what is counted under names that they do not take: one too many, or one of more than
/// [`MAX_VALUE_BYTES`].
pub const OTHER_TOTAL: &str = "other_total";

/// A recorder in front of another one that holds families to their budgets.
///
/// [`Each`](crate::Each) bounds the values of one axis; this bounds what is left: how many values of a scope are built
/// ("venue up to 20"), how many series a family has in all, and the families of third-party code, which know no budget.
/// A new series beyond a budget is folded: its open labels become `other`, so that its counts still arrive and totals
/// stay exact. Each folded registration is counted in `obs_series_overflow_total`, and the series of every family are
/// shown in `obs_series`. Families that no catalogue knows get 10,000 series and lose all their labels beyond that.
///
/// Of these families there may be [`UNDECLARED_FAMILIES`], with names of up to [`MAX_VALUE_BYTES`]. What is counted under other
/// names is added up in [`OTHER_TOTAL`]; gauges and samples of theirs mean nothing together and are not kept. Their lookups
/// are counted as folded, for the metric `other`. Samples of such families that are no finite numbers are dropped and counted
/// in `obs_samples_rejected_total`, as declared families do by themselves.
///
/// Only registration passes through here. Recording on a handle never does.
#[derive(Debug)]
pub struct Budgeted<R> {
    inner: R,
    declared: HashMap<&'static str, &'static Family>,
    /// How many families there may be that are not declared.
    most_undeclared: usize,
    seen: Mutex<Families>,
}

/// What is known of the families.
#[derive(Debug, Default)]
struct Families {
    by_name: HashMap<String, Seen>,
    /// How many of them are not declared.
    undeclared: usize,
    /// Counts the lookups beyond them.
    beyond: Option<Counter>,
}

/// What is known of one family's series.
struct Seen {
    keys: HashSet<Key>,
    /// The values of each scope label, by its key.
    scopes: HashMap<&'static str, HashSet<String>>,
    series: Gauge,
    overflow: Counter,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("series", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl<R: Recorder> Budgeted<R> {
    /// Puts the budgets of the catalogue in front of a recorder.
    #[must_use]
    pub fn new(inner: R, catalogue: &Catalogue) -> Self {
        let declared = catalogue
            .families()
            .map(|family| (family.name(), family))
            .collect();
        Self {
            inner,
            declared,
            most_undeclared: UNDECLARED_FAMILIES,
            seen: Mutex::default(),
        }
    }

    /// Takes so many families that the catalogue does not know, in place of [`UNDECLARED_FAMILIES`].
    #[must_use]
    pub fn undeclared_families(mut self, most: usize) -> Self {
        self.most_undeclared = most;
        self
    }

    /// The key as it may be registered: itself, or folded. Nothing where its family may not be.
    fn admit(&self, key: &Key) -> Option<Key> {
        let family = self.declared.get(key.name()).copied();
        // What is behind this lock are plain counts: a thread that panicked left nothing half done.
        let mut families = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !families.by_name.contains_key(key.name()) {
            let is_too_long = key.name().len() > MAX_VALUE_BYTES;
            if family.is_none() && (is_too_long || families.undeclared >= self.most_undeclared) {
                let beyond = || self.pipeline_counter(PipelineMetrics::overflow, OTHER);
                families.beyond.get_or_insert_with(beyond).increment(1);
                return None;
            }
            let first = self.first_seen(key.name());
            families.by_name.insert(key.name().to_owned(), first);
            families.undeclared += usize::from(family.is_none());
        }
        let seen = families.by_name.get_mut(key.name())?;
        if seen.keys.contains(key) {
            return Some(key.clone());
        }
        let mut admitted = with_labels(key, |label| {
            let folds = label.value().len() > MAX_VALUE_BYTES
                || label.key().len() > MAX_VALUE_BYTES
                || family.is_some_and(|family| seen.scope_is_full(family, label));
            folds.then(site::other)
        });
        let budget = family.map_or(DEFAULT_BUDGET, Family::series_budget);
        if seen.keys.len() >= budget && !seen.keys.contains(&admitted) {
            admitted = with_labels(&admitted, |label| is_open(family, label).then(site::other));
        }
        if admitted != *key {
            seen.overflow.increment(1);
        }
        if seen.keys.insert(admitted.clone()) {
            seen.series.set(seen.keys.len() as f64);
        }
        Some(admitted)
    }

    fn first_seen(&self, name: &str) -> Seen {
        let series = said_of(PipelineMetrics::series, name);
        Seen {
            keys: HashSet::new(),
            scopes: HashMap::new(),
            series: self.inner.register_gauge(&series, &METADATA),
            overflow: self.pipeline_counter(PipelineMetrics::overflow, name),
        }
    }

    fn pipeline_counter(&self, family: &'static Family, metric: &str) -> Counter {
        self.inner
            .register_counter(&said_of(family, metric), &METADATA)
    }
}

/// The key by which the pipeline says something of a metric.
fn said_of(family: &'static Family, metric: &str) -> Key {
    Key::from_parts(family.name(), vec![Label::new("metric", metric.to_owned())])
}

/// A histogram or summary that takes finite numbers only: any other would leave a sum that is no number for ever.
struct Finite {
    inner: Histogram,
    rejected: Counter,
}

impl HistogramFn for Finite {
    fn record(&self, value: f64) {
        if value.is_finite() {
            self.inner.record(value);
        } else {
            self.rejected.increment(1);
        }
    }
}

const METADATA: Metadata<'static> = Metadata::new("obs", Level::INFO, None);

impl Seen {
    /// Whether the label is a scope's, open, and this a value beyond its limit. Values within it are remembered.
    fn scope_is_full(&mut self, family: &'static Family, label: &Label) -> bool {
        let scope = family.scope().find(|scope| scope.key == label.key());
        let Some((scope, Values::Open(limit))) = scope.map(|scope| (scope, scope.values)) else {
            return false;
        };
        let values = self.scopes.entry(scope.key).or_default();
        if values.contains(label.value()) || label.value() == OTHER {
            return false;
        }
        if values.len() >= limit {
            return true;
        }
        values.insert(label.value().to_owned());
        false
    }
}

/// Whether a label's value may be folded. Closed labels keep theirs: there are few, and they carry the meaning.
fn is_open(family: Option<&'static Family>, label: &Label) -> bool {
    let declared = family.and_then(|family| family.labels().find(|l| l.key == label.key()));
    declared.is_none_or(|label| matches!(label.values, Values::Open(_)))
}

fn with_labels(key: &Key, mut replace: impl FnMut(&Label) -> Option<SharedString>) -> Key {
    let labels: Vec<_> = key
        .labels()
        .map(|label| match replace(label) {
            Some(value) if label.key().len() > MAX_VALUE_BYTES => Label::new(OTHER, value),
            Some(value) => Label::new(label.key().to_owned(), value),
            None => label.clone(),
        })
        .collect();
    Key::from_parts(key.name().to_owned(), labels)
}

impl<R: Recorder> Recorder for Budgeted<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let admitted = self.admit(key);
        let key = admitted.unwrap_or_else(|| Key::from_static_name(OTHER_TOTAL));
        self.inner.register_counter(&key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        match self.admit(key) {
            Some(key) => self.inner.register_gauge(&key, metadata),
            None => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let Some(key) = self.admit(key) else {
            return Histogram::noop();
        };
        let inner = self.inner.register_histogram(&key, metadata);
        if self.declared.contains_key(key.name()) {
            return inner;
        }
        let rejected = self.pipeline_counter(PipelineMetrics::rejected, key.name());
        Histogram::from_arc(Arc::new(Finite { inner, rejected }))
    }
}
