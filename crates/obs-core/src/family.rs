//! A family: everything that is known of a metric before the program runs.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::leaf::{MONEY_DECIMALS, TIME_DECIMALS};
use crate::message::Message;
use crate::{Group, LabelNode, Labels, MAX_SECONDS, Objective, Values, rules};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Only goes up, until the process restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, so that quantiles can be computed over any set of series.
    Histogram,
    /// Computes quantiles in the process, over a sliding window. They cannot be added up over series.
    Summary,
}

impl Kind {
    /// The word of the exposition's `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// What a family's values are measured in. Base units only; taken from the name's suffix where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Seconds (`_seconds`).
    Seconds,
    /// A point in time, in seconds since 1970-01-01 UTC (`_timestamp_seconds`).
    Timestamp,
    /// Bytes (`_bytes`).
    Bytes,
    /// A share of one (`_ratio`).
    Ratio,
    /// Hundredths of a percent (`_bps`).
    BasisPoints,
    /// Money, in the currency its `currency` label names.
    Currency,
    /// Nothing: the value is always 1 and the labels carry the information (`_info`).
    Info,
    /// A switch: 0 or 1.
    Switch,
    /// A number without a unit, such as a sentiment score.
    Number,
}

impl Unit {
    /// A word for it in documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Timestamp => "timestamp",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
            Self::BasisPoints => "basis points",
            Self::Currency => "currency",
            Self::Info => "info",
            Self::Switch => "0 or 1",
            Self::Number => "number",
        }
    }

    /// The same as the facade knows it, where it does.
    #[must_use]
    pub const fn facade(self) -> Option<metrics::Unit> {
        match self {
            Self::Count => Some(metrics::Unit::Count),
            Self::Seconds => Some(metrics::Unit::Seconds),
            Self::Bytes => Some(metrics::Unit::Bytes),
            _ => None,
        }
    }
}

/// What the gauges of several processes of one service make together, where a reader of their mapped files shows them as one. Counters,
/// histograms and summaries add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Across {
    /// The one of the process that began last: what each says of the same thing, such as a price or a version.
    #[default]
    Last,
    /// Their sum: what each has a part of, such as open connections.
    Sum,
    /// The greatest: the worst of ages and delays.
    Max,
    /// The least: switches that are 0 where anything is wrong, and what is left of an allowance.
    Min,
}

/// The most series a family may have when its declaration names no budget of its own.
pub(crate) const DEFAULT_BUDGET: usize = 10_000;

/// One metric: its name, kind, help, labels and bounds. Made by [`families!`](crate::families!), whose options in
/// braces are the methods of this type.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: Option<&'static LabelNode>,
    pub(crate) scope_labels: usize,
    pub(crate) unit: Option<Unit>,
    pub(crate) buckets: Option<&'static [f64]>,
    pub(crate) quantiles: Option<&'static [f64]>,
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) budget: Option<usize>,
    pub(crate) decimals: u8,
    pub(crate) idle: Option<Duration>,
    pub(crate) exemplars: bool,
    pub(crate) across: Across,
    pub(crate) objective: Option<Objective>,
    pub(crate) group: Option<fn() -> &'static Group>,
    pub(crate) source: Source,
}

/// A struct of families, as [`families!`](crate::families!) declares it.
///
/// ```
/// obs_core::families! {
///     /// What the quote feed does.
///     pub struct FeedMetrics {
///         /// Quotes received.
///         pub quotes: obs_core::Counter = "desk_quotes_total",
///     }
/// }
/// fn names<F: obs_core::Families>() -> Vec<&'static str> {
///     F::FAMILIES.iter().map(|family| family.name()).collect()
/// }
/// assert_eq!(names::<FeedMetrics>(), ["desk_quotes_total"]);
/// ```
pub trait Families {
    /// Its families, in the order of declaration.
    const FAMILIES: &'static [Family];
}

/// Where a family is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    package: &'static str,
    file: &'static str,
    line: u32,
}

/// The quantiles of a summary whose declaration names none.
const DEFAULT_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

impl Family {
    /// A family of the given shape, as [`families!`](crate::families!) makes it.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        name: &'static str,
        doc: &'static str,
        kind: Kind,
        decimals: u8,
        labels: Option<&'static LabelNode>,
        scope_labels: usize,
    ) -> Self {
        Self {
            name,
            doc,
            kind,
            labels,
            scope_labels,
            unit: None,
            buckets: None,
            quantiles: None,
            range: None,
            budget: None,
            decimals,
            idle: None,
            exemplars: false,
            across: Across::Last,
            objective: None,
            group: None,
            source: Source {
                package: "",
                file: "",
                line: 0,
            },
        }
    }

    /// Says where the family is declared.
    #[doc(hidden)]
    #[must_use]
    pub const fn declared(mut self, package: &'static str, file: &'static str, line: u32) -> Self {
        self.source = Source {
            package,
            file,
            line,
        };
        self
    }

    /// A family that another crate declares, or nobody: for figures, which name families that they cannot reach. Its labels are
    /// not checked.
    ///
    /// ```
    /// use obs_core::{Family, Figure, Kind};
    ///
    /// const PANICS: &Family = &Family::elsewhere("panics_total", Kind::Counter);
    /// const FIGURE: Figure = Figure::rate("Panics", PANICS);
    /// ```
    #[must_use]
    pub const fn elsewhere(name: &'static str, kind: Kind) -> Self {
        Self::new(name, "", kind, 0, None, 0)
    }

    /// Clause `group`: what it is shown with.
    #[doc(hidden)]
    #[must_use]
    pub const fn grouped(mut self, group: Option<fn() -> &'static Group>) -> Self {
        self.group = group;
        self
    }

    /// Option `unit`: what the values are measured in, for names whose suffix does not say. A unit that contradicts the
    /// suffix does not compile.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Option `buckets`: the upper bounds of a histogram's buckets, rising and finite; `+Inf` is added. Every histogram
    /// needs them; [`buckets::NATIVE`](crate::buckets::NATIVE) says that native buckets are enough.
    #[must_use]
    pub const fn buckets(mut self, bounds: &'static [f64]) -> Self {
        self.buckets = Some(bounds);
        self
    }

    /// Option `quantiles`: which quantiles a summary computes, each in `0..=1`; the median, 90 % and 99 % by default.
    #[must_use]
    pub const fn quantiles(mut self, quantiles: &'static [f64]) -> Self {
        self.quantiles = Some(quantiles);
        self
    }

    /// Option `range`: the values a histogram or summary takes. Others are dropped and counted in
    /// `obs_samples_rejected_total`. By default, seconds lie in `0..=`[`MAX_SECONDS`] and bytes are not
    /// negative.
    #[must_use]
    pub const fn range(mut self, range: RangeInclusive<f64>) -> Self {
        self.range = Some((*range.start(), *range.end()));
        self
    }

    /// Option `budget`: the most series of this family in one process. By default it is what the labels can make, and
    /// no more than 10,000. The [`Budgeted`](crate::Budgeted) recorder holds the family to it.
    #[must_use]
    pub const fn budget(mut self, series: usize) -> Self {
        self.budget = Some(series);
        self
    }

    /// Option `idle`: how long a series is shown after something was last recorded to it. By default it stays for good, which
    /// is right for what happens seldom; this is for labels that come and go, such as connections. A handle that is used again
    /// brings its series back, from 0.
    #[must_use]
    pub const fn idle(mut self, after: Duration) -> Self {
        self.idle = Some(after);
        self
    }

    /// Option `objective`: how much of what it counts or observes has to be good, as [`objective!`](crate::objective!) says it.
    #[must_use]
    pub const fn objective(mut self, objective: Objective) -> Self {
        self.objective = Some(objective);
        self
    }

    /// Option `exemplars`: whether a histogram keeps, for each bucket, its latest observation with the trace it was made in.
    /// They are served to scrapers that ask for `OpenMetrics`. Other kinds have none.
    #[must_use]
    pub const fn exemplars(mut self, kept: bool) -> Self {
        self.exemplars = kept;
        self
    }

    /// Option `across`: what gauges of several processes of one service make together, where a reader of their mapped files shows them as
    /// one; the one of the process that began last by default. Other kinds add up, and have none.
    #[must_use]
    pub const fn across(mut self, across: Across) -> Self {
        self.across = across;
        self
    }

    /// The metric's name, whole.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The doc comment of the declaration.
    #[must_use]
    pub const fn doc(&self) -> &'static str {
        self.doc
    }

    /// The help text: the doc comment's first paragraph on one line.
    #[must_use]
    pub fn help(&self) -> String {
        rules::first_paragraph(self.doc)
    }

    /// Counter, gauge, histogram or summary.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its labels: those of the scope first, then those of the axes from the outside in.
    #[must_use]
    pub const fn labels(&self) -> Labels {
        Labels(self.labels)
    }

    /// The labels that are fixed by the scope the family is declared in; each value of them is a value of the struct.
    pub fn scope(&self) -> impl Iterator<Item = crate::LabelDecl> {
        self.labels().take(self.scope_labels)
    }

    /// What the values are measured in.
    #[must_use]
    pub const fn measured_in(&self) -> Unit {
        match (self.unit, rules::unit_of_suffix(self.name)) {
            (Some(unit), _) | (None, Some(unit)) => unit,
            (None, None) if self.decimals == MONEY_DECIMALS => Unit::Currency,
            (None, None) => match self.kind {
                Kind::Counter | Kind::Gauge => Unit::Count,
                Kind::Histogram | Kind::Summary => Unit::Number,
            },
        }
    }

    /// The upper bounds of its buckets; empty unless it is a histogram, and for one with native buckets alone.
    #[must_use]
    pub const fn bucket_bounds(&self) -> &'static [f64] {
        match self.buckets {
            Some(bounds) => bounds,
            None => &[],
        }
    }

    /// The quantiles it computes; empty unless it is a summary.
    #[must_use]
    pub const fn quantile_levels(&self) -> &'static [f64] {
        match (self.kind, self.quantiles) {
            (Kind::Summary, Some(levels)) => levels,
            (Kind::Summary, None) => DEFAULT_QUANTILES,
            _ => &[],
        }
    }

    /// The lowest and the highest value a histogram or summary takes.
    #[must_use]
    pub const fn bounds(&self) -> (f64, f64) {
        match (self.range, self.measured_in()) {
            (Some(bounds), _) => bounds,
            (None, Unit::Seconds) => (0.0, MAX_SECONDS),
            (None, Unit::Bytes) => (0.0, f64::MAX),
            (None, _) => (f64::MIN, f64::MAX),
        }
    }

    /// The most series its labels can make: the product of their counts.
    #[must_use]
    pub const fn possible_series(&self) -> usize {
        let mut product: usize = 1;
        let mut node = self.labels;
        while let Some(at) = node {
            product = product.saturating_mul(at.label.values.count());
            node = at.next;
        }
        product
    }

    /// The most series it may have in one process.
    #[must_use]
    pub const fn series_budget(&self) -> usize {
        match self.budget {
            Some(budget) => budget,
            None if self.possible_series() < DEFAULT_BUDGET => self.possible_series(),
            None => DEFAULT_BUDGET,
        }
    }

    /// Lines an exposition needs for one series: a histogram has one for each bucket, `+Inf`, sum and count.
    #[must_use]
    pub const fn lines_per_series(&self) -> usize {
        match self.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram => self.bucket_bounds().len() + 3,
            Kind::Summary => self.quantile_levels().len() + 2,
        }
    }

    /// How many decimal places the facade's whole number keeps: 9 for a [`TimeCounter`](crate::TimeCounter), 6 for a
    /// [`MoneyCounter`](crate::MoneyCounter), else 0. The facade's counters hold whole numbers only, and seconds and money must
    /// not lose what lies behind the point; the exposition shows it.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// Whether the facade's whole number counts nanoseconds, which the exposition shows as seconds.
    #[must_use]
    pub const fn is_in_nanoseconds(&self) -> bool {
        self.decimals == TIME_DECIMALS
    }

    /// How long a series is shown after something was last recorded to it; for good where there is no limit.
    #[must_use]
    pub const fn idle_after(&self) -> Option<Duration> {
        self.idle
    }

    /// How much of what it counts or observes has to be good, where its declaration says.
    #[must_use]
    pub const fn objective_of(&self) -> Option<Objective> {
        self.objective
    }

    /// What its gauges make together with those of other processes.
    #[must_use]
    pub const fn across_processes(&self) -> Across {
        self.across
    }

    /// Whether its buckets keep exemplars.
    #[must_use]
    pub const fn has_exemplars(&self) -> bool {
        self.exemplars && matches!(self.kind, Kind::Histogram)
    }

    /// What it is shown with, where its declaration says: the title of a group and its figures.
    #[must_use]
    pub fn group(&self) -> Option<&'static Group> {
        self.group.map(|group| group())
    }

    /// Whether its declaration is not at hand.
    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.source.package.is_empty()
    }

    pub(crate) const fn label_list(&self) -> Option<&'static LabelNode> {
        self.labels
    }

    /// The package that declares it.
    #[must_use]
    pub const fn package(&self) -> &'static str {
        self.source.package
    }

    /// The file and line of the declaration.
    #[must_use]
    pub const fn declared_at(&self) -> (&'static str, u32) {
        (self.source.file, self.source.line)
    }

    /// The package, file and line of the declaration, for a message.
    pub(crate) fn place(&self) -> String {
        let (file, line) = self.declared_at();
        format!("{} ({file}:{line})", self.package())
    }

    /// Whether another declaration of the name says the same of everything that decides which numbers are shown.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let keys = |family: &Self| family.labels().map(|label| label.key).collect::<Vec<_>>();
        std::ptr::eq(self, other)
            || (self.kind == other.kind
                && self.decimals == other.decimals
                && self.measured_in() == other.measured_in()
                && self.bucket_bounds() == other.bucket_bounds()
                && self.quantile_levels() == other.quantile_levels()
                && keys(self) == keys(other))
    }

    /// Whether a recorder keeps something else for it than for a name of its kind that nobody declares.
    pub(crate) const fn needs_to_be_known_first(&self) -> bool {
        self.decimals > 0 || matches!(self.kind, Kind::Histogram | Kind::Summary)
    }

    /// Whether any of its labels takes values that are not known beforehand.
    #[must_use]
    pub fn has_open_labels(&self) -> bool {
        self.labels()
            .any(|label| matches!(label.values, Values::Open(_)))
    }

    /// What is wrong with the declaration; empty when nothing is.
    #[doc(hidden)]
    #[must_use]
    pub const fn fault(&self) -> Message {
        rules::family_fault(self)
    }
}
