//! A recorder that holds every family to its series budget.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};

use crate::family::DEFAULT_BUDGET;
use crate::{Catalogue, Family, MAX_VALUE_BYTES, Values, meta, site};

/// A recorder in front of another one that holds families to their budgets.
///
/// [`Each`](crate::Each) bounds the values of one axis; this bounds what is left: how many values of a scope are built
/// ("venue up to 20"), how many series a family has in all, and the families of third-party code, which know no budget.
/// A new series beyond a budget is folded: its open labels become `other`, so that its counts still arrive and totals
/// stay exact. Each folded registration is counted in `obs_series_overflow_total`, and the series of every family are
/// shown in `obs_series`. Families that no catalogue knows get 10,000 series and lose all their labels beyond that.
///
/// Only registration passes through here. Recording on a handle never does.
#[derive(Debug)]
pub struct Budgeted<R> {
    inner: R,
    declared: HashMap<&'static str, &'static Family>,
    seen: Mutex<HashMap<String, Seen>>,
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
            seen: Mutex::default(),
        }
    }

    /// The key as it may be registered: itself, or folded.
    fn admit(&self, key: &Key) -> Key {
        let family = self.declared.get(key.name()).copied();
        // What is behind this lock is a plain count: a thread that panicked left nothing half done.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(key.name()) {
            let first = self.first_seen(key.name());
            seen.insert(key.name().to_owned(), first);
        }
        let Some(seen) = seen.get_mut(key.name()) else {
            return key.clone();
        };
        if seen.keys.contains(key) {
            return key.clone();
        }
        let mut admitted = with_labels(key, |label| {
            let folds = label.value().len() > MAX_VALUE_BYTES
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
        admitted
    }

    fn first_seen(&self, name: &str) -> Seen {
        let key = |family: &'static Family| {
            Key::from_parts(family.name(), vec![Label::new("metric", name.to_owned())])
        };
        Seen {
            keys: HashSet::new(),
            scopes: HashMap::new(),
            series: self.inner.register_gauge(&key(&meta::SERIES), &METADATA),
            overflow: self
                .inner
                .register_counter(&key(&meta::SERIES_OVERFLOW), &METADATA),
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
        if values.contains(label.value()) || label.value() == crate::OTHER {
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
        self.inner.register_counter(&self.admit(key), metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.register_gauge(&self.admit(key), metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.inner.register_histogram(&self.admit(key), metadata)
    }
}
