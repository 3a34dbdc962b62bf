//! A recorder that holds every family to its series budget.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Label, Metadata, Recorder, SharedString,
    Unit,
};

use crate::channel::METADATA;
use crate::{
    Admission, Bounds, Catalogue, Claim, Family, Kind, OTHER, PipelineMetrics, folded_gauge,
    resolving,
};

/// How many families recorders take that no catalogue knows, by default.
pub const UNDECLARED_FAMILIES: usize = 1_000;

/// The counter in which recorders add up what is counted under names that they do not take: one too many, or one of more than
/// [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES).
pub const OTHER_TOTAL: &str = "other_total";

/// A recorder in front of another one that holds families to their budgets.
///
/// [`Each`](crate::Each) bounds the values of one axis; this bounds what is left: how many values of a scope are built
/// ("venue up to 20"), how many series a family has in all, and the families of third-party code, which know no budget.
/// A new series beyond a budget is folded: its open labels become `other`, so that its counts still arrive and totals
/// stay exact. Each folded registration is counted in `obs_series_overflow_total`, and the series of every family are
/// shown in `obs_series`. Families that nobody declares get 10,000 series and lose all their labels beyond that. A gauge that was
/// folded is undefined once it is set: see [`folded_gauge`].
///
/// Of these families there may be [`UNDECLARED_FAMILIES`], with names of up to
/// [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES). What is counted under other names is added up in [`OTHER_TOTAL`]; gauges and samples of theirs mean nothing together and are not kept. Their lookups
/// are counted as folded, for the metric `other`. Samples of such families that are no finite numbers are dropped and counted
/// in `obs_samples_rejected_total`, as declared families do by themselves.
///
/// Declarations come from the catalogue and from the handles that are resolved. A name has one kind: what is recorded under it as
/// another is lost, counted in `obs_kind_conflicts_total` and kept as a [warning](Admission::warnings).
///
/// Only registration passes through here. Recording on a handle never does.
#[derive(Debug)]
pub struct Budgeted<R> {
    inner: R,
    admission: Arc<Admission>,
    seen: Mutex<Families>,
}

/// What is known of the families.
#[derive(Debug, Default)]
struct Families {
    by_name: HashMap<String, Seen>,
    /// Counts the lookups of families that are not taken.
    beyond: Option<Counter>,
}

/// What is known of one family's series.
struct Seen {
    keys: HashSet<Key>,
    bounds: Bounds,
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

/// A key as it may be registered.
struct Admitted {
    key: Key,
    family: Option<&'static Family>,
    /// Whether other keys were folded into it, too.
    is_folded: bool,
}

impl<R: Recorder> Budgeted<R> {
    /// Puts the budgets of the catalogue in front of a recorder.
    #[must_use]
    pub fn new(inner: R, catalogue: &Catalogue) -> Self {
        Self::with(
            inner,
            Arc::new(Admission::new(catalogue, UNDECLARED_FAMILIES)),
        )
    }

    /// Puts a policy in front of a recorder that others look at too.
    #[must_use]
    pub fn with(inner: R, admission: Arc<Admission>) -> Self {
        Self {
            inner,
            admission,
            seen: Mutex::default(),
        }
    }

    /// Counts a lookup of a name that is another's once both are escaped, in `obs_name_conflicts_total`: for what escapes names in
    /// front of this recorder, and [finds it out](Admission::is_respelled).
    pub fn count_name_conflict(&self, metric: &str) {
        self.count(PipelineMetrics::name_conflicts, metric);
    }

    /// The key as it may be registered: itself, or folded. Nothing where its family may not be.
    fn admit(&self, key: &Key, kind: Kind, metadata: &Metadata<'_>) -> Result<Admitted, Refused> {
        self.admission.look_at(key, metadata);
        let family = match self.admission.claim(key.name(), kind) {
            Claim::Granted(family) => family,
            Claim::OtherKind => {
                self.count(PipelineMetrics::kind_conflicts, key.name());
                return Err(Refused::OtherKind);
            }
            Claim::OneTooMany => {
                let beyond = || self.pipeline_counter(PipelineMetrics::overflow, OTHER);
                self.families()
                    .beyond
                    .get_or_insert_with(beyond)
                    .increment(1);
                return Err(Refused::OneTooMany);
            }
        };
        let mut families = self.families();
        if !families.by_name.contains_key(key.name()) {
            let first = self.first_seen(key.name(), family);
            families.by_name.insert(key.name().to_owned(), first);
        }
        let Some(seen) = families.by_name.get_mut(key.name()) else {
            return Err(Refused::OneTooMany);
        };
        let (keys, bounds) = (&mut seen.keys, &mut seen.bounds);
        if keys.contains(key) {
            return Ok(Admitted {
                key: key.clone(),
                family,
                is_folded: false,
            });
        }
        let folded = bounds.fold(key, keys.len(), |key| keys.contains(key));
        let is_folded = folded.is_some();
        if is_folded {
            seen.overflow.increment(1);
        }
        let key = folded.unwrap_or_else(|| key.clone());
        if keys.insert(key.clone()) {
            seen.series.set(keys.len() as f64);
        }
        Ok(Admitted {
            key,
            family,
            is_folded,
        })
    }

    /// What is behind this lock are plain counts: a thread that panicked left nothing half done.
    fn families(&self) -> MutexGuard<'_, Families> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A family without open labels has the series that its declaration says, and nothing of it is ever folded: what would watch it
    /// is left out.
    fn first_seen(&self, name: &str, family: Option<&'static Family>) -> Seen {
        let is_watched = family.is_none_or(Family::has_open_labels) && !PipelineMetrics::has(name);
        let (series, overflow) = if is_watched {
            let series = said_of(PipelineMetrics::series, name);
            (
                self.inner.register_gauge(&series, &METADATA),
                self.pipeline_counter(PipelineMetrics::overflow, name),
            )
        } else {
            (Gauge::noop(), Counter::noop())
        };
        Seen {
            keys: HashSet::new(),
            bounds: Bounds::new(family),
            series,
            overflow,
        }
    }

    fn count(&self, family: &'static Family, metric: &str) {
        self.pipeline_counter(family, metric).increment(1);
    }

    fn pipeline_counter(&self, family: &'static Family, metric: &str) -> Counter {
        self.inner
            .register_counter(&said_of(family, metric), &METADATA)
    }
}

/// Why a key may not be registered.
enum Refused {
    OtherKind,
    OneTooMany,
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

impl<R: Recorder> Recorder for Budgeted<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.declare(&key);
        self.inner.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.declare(&key);
        self.inner.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.declare(&key);
        self.inner.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let key = match self.admit(key, Kind::Counter, metadata) {
            Ok(admitted) => admitted.key,
            Err(Refused::OneTooMany) => Key::from_static_name(OTHER_TOTAL),
            Err(Refused::OtherKind) => return Counter::noop(),
        };
        self.inner.register_counter(&key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let Ok(admitted) = self.admit(key, Kind::Gauge, metadata) else {
            return Gauge::noop();
        };
        let gauge = self.inner.register_gauge(&admitted.key, metadata);
        if admitted.is_folded {
            folded_gauge(gauge)
        } else {
            gauge
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let Ok(admitted) = self.admit(key, Kind::Histogram, metadata) else {
            return Histogram::noop();
        };
        let inner = self.inner.register_histogram(&admitted.key, metadata);
        if admitted.family.is_some() {
            return inner;
        }
        let rejected = self.pipeline_counter(PipelineMetrics::rejected, key.name());
        Histogram::from_arc(Arc::new(Finite { inner, rejected }))
    }
}

impl<R> Budgeted<R> {
    /// Takes the declaration of what is described, if there is one behind it.
    fn declare(&self, name: &KeyName) {
        if let Some(resolving) = resolving() {
            self.admission.declare(name.as_str(), resolving.family());
        }
    }
}
