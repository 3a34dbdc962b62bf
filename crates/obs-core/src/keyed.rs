//! A budgeted map from text to whatever is built for it, such as a struct of families.

use std::fmt;
use std::marker::PhantomData;

use crate::recorder::{self, Target};
use crate::site::Root;
use crate::table::Bounded;
use crate::{Counter, Family, Label, Metric, Open, PipelineMetrics, Value};

/// A map from the values of an open label to what is built for each, held by the label's budget: the first
/// [`Open::LIMIT`] values have entries of their own, all others share the one of `other`.
///
/// [`Each`](crate::Each) is an axis of one family; this is for several families that share a label and are looked up
/// together, once. What is built resolves from the recorder under which the map was made, whatever thread looks it up.
///
/// ```
/// use obs_core::{Counter, Histogram, Keyed, buckets};
///
/// obs_core::label! {
///     /// Where a quote comes from; the first 20 keep series of their own.
///     pub open Source as "source" up to 20
/// }
/// obs_core::families! {
///     /// Quotes of one source.
///     pub struct QuoteMetrics(source: Source) {
///         /// Quotes received.
///         pub quotes: Counter = "desk_quotes_total",
///         /// How old quotes are when they arrive.
///         pub age: Histogram = "desk_quote_age_seconds" { buckets: buckets::LATENCY },
///     }
/// }
///
/// let test = obs_core::TestRecorder::new();
/// let sources = test.run(|| Keyed::<Source, QuoteMetrics>::new(QuoteMetrics::FAMILIES));
/// sources.of("NYSE", QuoteMetrics::new).quotes.increment(1);
/// assert_eq!(test.counter("desk_quotes_total", &[("source", "NYSE")]), Some(1));
/// ```
pub struct Keyed<L, T> {
    known: Bounded<T>,
    /// One for each family that is folded together.
    overflow: Box<[Counter]>,
    target: Target,
    label: PhantomData<fn(L)>,
}

impl<L: Open, T> Keyed<L, T> {
    /// An empty map. The families are those that what it holds records to: a folded lookup is counted in
    /// `obs_series_overflow_total` for each of them.
    #[must_use]
    pub fn new(families: &'static [Family]) -> Self {
        Self {
            known: Bounded::new(L::LIMIT),
            overflow: families.iter().map(overflow).collect(),
            target: Target::current(),
            label: PhantomData,
        }
    }

    /// What belongs to the value, made by `build` if it is new. A known value is found without a lock and without
    /// allocating.
    ///
    /// A value beyond the budget, an empty one and one longer than [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES) gives
    /// what belongs to `other`; each such lookup is counted. `build` may run in vain when two threads bring the same
    /// value at once.
    pub fn of(&self, value: &str, build: impl Fn(Value<L>) -> T) -> &T {
        if let Some(known) = self.known.get(value) {
            return known;
        }
        self.known.get_unknown(
            value,
            || self.resolve(|| build(Value::from(value))),
            || self.resolve(|| build(Value::folded())),
            || self.overflow.iter().for_each(|count| count.increment(1)),
        )
    }

    /// What belongs to the value, if it has an entry of its own already. Nothing is made and nothing is counted.
    pub fn get(&self, value: &str) -> Option<&T> {
        self.known.get(value)
    }

    /// Runs `build` with the recorder under which the map was made: for entries that resolve some of their series later.
    pub fn resolve<R>(&self, build: impl FnOnce() -> R) -> R {
        match &self.target {
            Target::Facade => build(),
            Target::Kept(shared) => recorder::with_recorder(shared, build),
        }
    }

    /// How many values have entries of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no value has an entry of its own yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<L: Label, T> fmt::Debug for Keyed<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("label", &L::DECL.key)
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

/// The counter of the lookups of this family that are folded into `other`.
fn overflow(family: &Family) -> Counter {
    let metric = Value::<Metric>::from_static(family.name).into_label();
    Root::new(vec![metric]).resolve(PipelineMetrics::overflow)
}
