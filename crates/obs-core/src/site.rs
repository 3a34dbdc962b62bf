//! Where a handle comes from: a family, the labels fixed so far, and the recorder to ask.

use std::panic::Location;
use std::sync::{Arc, OnceLock};

use metrics::{Key, Recorder, SharedString};

use crate::admission::folded_gauge;
use crate::cells::{CounterCell, GaugeCell, Offered};
use crate::channel::{self, METADATA};
use crate::label::{Fold, ScopeLabel, other};
use crate::recorder::{Target, offered_by};
use crate::warning::{found_dead, found_dead_at};
use crate::{Family, Kind, LabelNode, PipelineMetrics};

/// Something that can be resolved from a family: a leaf, or an axis over something resolvable. The type says the whole
/// shape of a family: `By<Side, Counter>` is a counter with a `side`.
pub trait Series: Sized {
    /// The kind of its leaf.
    const KIND: Kind;
    /// How many decimal places its leaf keeps in the facade's whole number; see [`Family::decimals`].
    const DECIMALS: u8;
    /// Its labels, from the outside in.
    const LABELS: Option<&'static LabelNode>;

    /// Registers the series whose labels are known and makes the rest ready.
    fn resolve(site: Site) -> Self;
}

/// A family with some of its labels fixed: all a [`Series`] needs to resolve itself.
#[derive(Clone)]
pub struct Site {
    family: &'static Family,
    labels: Vec<metrics::Label>,
    target: Target,
    /// Whether several values share what is resolved, since one of the labels stands for all that were folded.
    is_folded: bool,
    watch: Arc<Watch>,
}

/// The counters that say something of a family: looked up once for all that is resolved of it.
#[derive(Default)]
struct Watch {
    rejected: OnceLock<metrics::Counter>,
    overflow: OnceLock<metrics::Counter>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("metric", &self.family.name)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// The family that is resolved.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// The same with one more label fixed.
    #[must_use]
    pub fn with(&self, key: &'static str, value: impl Into<SharedString>) -> Self {
        let mut labels = Vec::with_capacity(self.labels.len() + 1);
        labels.extend_from_slice(&self.labels);
        labels.push(metrics::Label::new(key, value));
        Self {
            family: self.family,
            labels,
            target: self.target.clone(),
            is_folded: self.is_folded,
            watch: Arc::clone(&self.watch),
        }
    }

    /// The same with one more label, whose values are folded into [`OTHER`](crate::OTHER).
    pub(crate) fn with_other(&self, key: &'static str) -> Self {
        Self {
            is_folded: true,
            ..self.with(key, other())
        }
    }

    /// A counter, and its cell where its recorder offers one.
    pub(crate) fn counter(self) -> (metrics::Counter, CounterCell) {
        self.register(|recorder, key| {
            let counter = recorder.register_counter(key, &METADATA);
            let cell = match offered_by(recorder) {
                Some(Offered::Counter(cell)) => cell,
                _ => CounterCell::default(),
            };
            (counter, cell)
        })
    }

    /// A gauge, and its cell where its recorder offers one and nothing else is to be done.
    pub(crate) fn gauge(self) -> (metrics::Gauge, Option<GaugeCell>) {
        let is_folded = self.is_folded;
        self.register(|recorder, key| {
            let gauge = recorder.register_gauge(key, &METADATA);
            match offered_by(recorder) {
                _ if is_folded => (folded_gauge(gauge), None),
                Some(Offered::Gauge(cell)) => (gauge, Some(cell)),
                _ => (gauge, None),
            }
        })
    }

    /// A histogram or summary, and what its recorder offers.
    pub(crate) fn histogram(self) -> (metrics::Histogram, Option<Offered>) {
        self.register(|recorder, key| {
            let histogram = recorder.register_histogram(key, &METADATA);
            (histogram, offered_by(recorder))
        })
    }

    fn register<T>(self, register: impl FnOnce(&dyn Recorder, &Key) -> T) -> T {
        if self.target.is_dead() {
            found_dead(1);
        }
        self.ask(false, register)
    }

    fn ask<T>(self, is_quiet: bool, register: impl FnOnce(&dyn Recorder, &Key) -> T) -> T {
        let key = Key::from_parts(self.family.name, self.labels);
        channel::with(self.family, is_quiet, || {
            self.target.with(|recorder| register(recorder, &key))
        })
    }

    /// The counter of the samples that this family refuses.
    pub(crate) fn rejected(&self) -> metrics::Counter {
        self.of_the_pipeline(PipelineMetrics::rejected, &self.watch.rejected)
    }

    /// The counter of the lookups that this family folds into `other`.
    pub(crate) fn overflow(&self) -> metrics::Counter {
        self.of_the_pipeline(PipelineMetrics::overflow, &self.watch.overflow)
    }

    /// A counter that says something of this family. Where its labels are all closed that hardly ever happens, and is not shown
    /// until it does.
    fn of_the_pipeline(
        &self,
        says: &'static Family,
        known: &OnceLock<metrics::Counter>,
    ) -> metrics::Counter {
        // One that is dead is not kept: a recorder may be installed before the next is asked for.
        if self.target.is_dead() {
            metrics::Counter::noop()
        } else {
            known.get_or_init(|| self.look_up(says)).clone()
        }
    }

    fn look_up(&self, says: &'static Family) -> metrics::Counter {
        let metric = SharedString::const_str(self.family.name);
        let site = Self {
            family: says,
            labels: vec![metrics::Label::new("metric", metric)],
            target: self.target.clone(),
            is_folded: false,
            watch: Arc::default(),
        };
        let is_quiet = !self.family.has_open_labels();
        self.target.give(says);
        site.ask(is_quiet, |recorder, key| {
            recorder.register_counter(key, &METADATA)
        })
    }
}

/// The labels of a scope, fixed at construction, from which its families' sites are made.
#[doc(hidden)]
#[derive(Debug)]
pub struct Root {
    labels: Vec<metrics::Label>,
    fold: Fold,
    target: Target,
}

impl Root {
    /// Takes the scope's labels, and the recorder that is current on this thread.
    #[must_use]
    #[track_caller]
    pub fn new(labels: Vec<ScopeLabel>) -> Self {
        let target = Target::current();
        if target.is_dead() {
            found_dead_at(Location::caller());
        }
        let has = |fold| labels.iter().any(|label| label.fold == fold);
        let fold = if has(Fold::Uncounted) {
            Fold::Uncounted
        } else if has(Fold::Counted) {
            Fold::Counted
        } else {
            Fold::None
        };
        Self {
            fold,
            labels: labels.into_iter().map(|label| label.label).collect(),
            target,
        }
    }

    /// Resolves one family.
    #[must_use]
    pub fn resolve<S: Series>(&self, family: &'static Family) -> S {
        self.target.give(family);
        let site = Site {
            family,
            labels: self.labels.clone(),
            target: self.target.clone(),
            is_folded: self.fold != Fold::None,
            watch: Arc::default(),
        };
        if self.fold == Fold::Uncounted {
            site.overflow().increment(1);
        }
        S::resolve(site)
    }
}
