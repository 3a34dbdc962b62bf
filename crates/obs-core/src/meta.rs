//! The families by which the pipeline watches itself.

use crate::{Catalogue, Counter, ErrorMetrics, FunctionCalls, FunctionDuration, Gauge, Group};

crate::label! {
    /// The metric that is spoken of.
    pub open Metric as "metric" up to 2_000
}

/// The metrics about the metrics.
const METRICS: Group = Group::new("Metrics").rank(Group::PIPELINE);

crate::families! {
    group METRICS;

    /// What declaring, folding and refusing leaves to be seen, for each metric.
    pub struct PipelineMetrics(metric: Metric) {
        /// Lookups that were folded into `other` because a label's budget was used up.
        ///
        /// A kept handle is looked up once, however often it records.
        pub overflow: Counter = "obs_series_overflow_total",
        /// Samples that were dropped: not a number, infinite, or outside the metric's range.
        pub rejected: Counter = "obs_samples_rejected_total",
        /// Series the metric has.
        pub series: Gauge = "obs_series",
        /// Lookups of the metric as another kind than it has; what is recorded to them is lost.
        pub kind_conflicts: Counter = "obs_kind_conflicts_total",
        /// Lookups of a metric that is called the same as another one where names are escaped, such as `a.b` and `a_b`.
        ///
        /// Without `OBS_UTF8_NAMES`, the one that came first is kept, and what is recorded to the other is lost. With it both are
        /// kept, and a scraper that needs names escaped is shown one of them.
        pub name_conflicts: Counter = "obs_name_conflicts_total",
    }
}

impl PipelineMetrics {
    /// Whether a name is that of a family that watches others. Nobody watches the watchers: there are as many of their series as
    /// there are families.
    #[must_use]
    pub fn has(name: &str) -> bool {
        Self::FAMILIES.iter().any(|family| family.name() == name)
    }
}

/// The families of this crate: the pipeline's own, those of the function attributes, and errors.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        PipelineMetrics::FAMILIES,
        FunctionCalls::FAMILIES,
        FunctionDuration::FAMILIES,
        ErrorMetrics::FAMILIES,
    ])
}
