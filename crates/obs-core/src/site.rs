//! Where a handle comes from: a family, the labels fixed so far, and the recorder to ask.

use metrics::{Key, Level, Metadata, SharedString};

use crate::label::ScopeLabel;
use crate::recorder::Target;
use crate::{Family, Kind, LabelNode, OTHER, PipelineMetrics};

/// Something that can be resolved from a family: a leaf, or an axis over something resolvable. The type says the whole
/// shape of a family: `By<Side, Counter>` is a counter with a `side`.
pub trait Series: Sized {
    /// The kind of its leaf.
    const KIND: Kind;
    /// Whether its leaf counts nanoseconds; see [`Family::is_in_nanoseconds`].
    const IN_NANOSECONDS: bool;
    /// Its labels, from the outside in.
    const LABELS: Option<&'static LabelNode>;

    /// Registers the series whose labels are known and makes the rest ready.
    fn resolve(site: &Site) -> Self;
}

/// A family with some of its labels fixed: all a [`Series`] needs to resolve itself.
#[derive(Clone)]
pub struct Site {
    family: &'static Family,
    labels: Vec<metrics::Label>,
    target: Target,
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
        }
    }

    pub(crate) fn counter(&self) -> metrics::Counter {
        self.target
            .with(|recorder| recorder.register_counter(&self.key(), &METADATA))
    }

    pub(crate) fn gauge(&self) -> metrics::Gauge {
        self.target
            .with(|recorder| recorder.register_gauge(&self.key(), &METADATA))
    }

    pub(crate) fn histogram(&self) -> metrics::Histogram {
        self.target
            .with(|recorder| recorder.register_histogram(&self.key(), &METADATA))
    }

    /// The counter of the samples that this family refuses.
    pub(crate) fn rejected(&self) -> metrics::Counter {
        self.of_the_pipeline(PipelineMetrics::rejected)
    }

    /// The counter of the lookups that this family folds into `other`.
    pub(crate) fn overflow(&self) -> metrics::Counter {
        self.of_the_pipeline(PipelineMetrics::overflow)
    }

    fn of_the_pipeline(&self, family: &'static Family) -> metrics::Counter {
        let metric = SharedString::const_str(self.family.name);
        let site = Self {
            family,
            labels: vec![metrics::Label::new("metric", metric)],
            target: self.target.clone(),
        };
        site.counter()
    }

    fn key(&self) -> Key {
        Key::from_parts(self.family.name, self.labels.clone())
    }
}

const METADATA: Metadata<'static> = Metadata::new("obs", Level::INFO, None);

/// The labels of a scope, fixed at construction, from which its families' sites are made.
#[doc(hidden)]
#[derive(Debug)]
pub struct Root {
    labels: Vec<metrics::Label>,
    /// Whether any of them stands for one that can name no series.
    is_folded: bool,
    target: Target,
}

impl Root {
    /// Takes the scope's labels, and the recorder that is current on this thread.
    #[must_use]
    pub fn new(labels: Vec<ScopeLabel>) -> Self {
        Self {
            is_folded: labels.iter().any(|label| label.is_folded),
            labels: labels.into_iter().map(|label| label.label).collect(),
            target: Target::current(),
        }
    }

    /// Resolves one family.
    #[must_use]
    pub fn resolve<S: Series>(&self, family: &'static Family) -> S {
        let site = Site {
            family,
            labels: self.labels.clone(),
            target: self.target.clone(),
        };
        if self.is_folded {
            site.overflow().increment(1);
        }
        S::resolve(&site)
    }
}

/// `other`, as a label value that costs nothing.
pub(crate) const fn other() -> SharedString {
    SharedString::const_str(OTHER)
}
