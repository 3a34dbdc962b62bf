//! The series there are: those of the catalogue, those of Prometheus and Alertmanager, and those that rules record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obs_core::{Kind, Unit};

use super::{Quantity, Series, Shape, Yield, check, nearest};
use crate::{Catalog, Family};

/// Labels that stand on every series after a scrape: the exporter's global ones, and the scraper's.
pub(super) const GLOBAL_LABELS: [&str; 5] = ["service", "environment", "mode", "job", "instance"];

/// The values of the global label `mode`.
pub(super) const MODES: [&str; 3] = ["backtest", "paper", "live"];

/// What Prometheus makes itself, for every target or alert.
const PROMETHEUS: [(&str, Unit, &[&str]); 7] = [
    ("up", Unit::Switch, &[]),
    ("scrape_duration_seconds", Unit::Seconds, &[]),
    ("scrape_samples_scraped", Unit::Count, &[]),
    ("scrape_samples_post_metric_relabeling", Unit::Count, &[]),
    ("scrape_series_added", Unit::Count, &[]),
    (
        "ALERTS",
        Unit::Info,
        &["alertname", "alertstate", "severity"],
    ),
    (
        "ALERTS_FOR_STATE",
        Unit::Timestamp,
        &["alertname", "severity"],
    ),
];

/// What Prometheus and Alertmanager say of themselves, as far as alerts on a silent watcher need it.
const WATCHERS: [(&str, Shape, Unit, &[&str]); 6] = [
    (
        "prometheus_notifications_dropped_total",
        Shape::Counter,
        Unit::Count,
        &[],
    ),
    (
        "prometheus_notifications_alertmanagers_discovered",
        Shape::Gauge,
        Unit::Count,
        &[],
    ),
    (
        "prometheus_rule_evaluation_failures_total",
        Shape::Counter,
        Unit::Count,
        &["rule_group"],
    ),
    (
        "prometheus_config_last_reload_successful",
        Shape::Gauge,
        Unit::Switch,
        &[],
    ),
    (
        "alertmanager_notifications_failed_total",
        Shape::Counter,
        Unit::Count,
        &["integration"],
    ),
    (
        "alertmanager_config_last_reload_successful",
        Shape::Gauge,
        Unit::Switch,
        &[],
    ),
];

/// What a recorded series is measured in by its name, `level:metric:operation`, where the query does not tell: an error budget that is
/// left is 1 less a quotient, and a cost in basis points a quotient times 10,000.
fn said_by(name: &str) -> Quantity {
    let operation = name.rsplit(':').next().unwrap_or_default();
    let mut words = operation.split('_');
    if words.clone().any(|word| word == "ratio") {
        Quantity::Of(Unit::Ratio)
    } else if words.any(|word| word == "bps") {
        Quantity::Of(Unit::BasisPoints)
    } else {
        Quantity::Unknown
    }
}

/// Every series that a query may name.
#[derive(Debug)]
pub struct Vocabulary {
    series: BTreeMap<String, Series>,
    families: BTreeMap<String, Arc<Family>>,
}

impl Vocabulary {
    /// The series of a catalogue, and those of Prometheus and Alertmanager.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let mut series = BTreeMap::new();
        let made = PROMETHEUS.map(|(name, unit, labels)| (name, Shape::Gauge, unit, labels));
        for (name, shape, unit, labels) in made.into_iter().chain(WATCHERS) {
            let labels = GLOBAL_LABELS
                .iter()
                .chain(labels)
                .map(ToString::to_string)
                .collect();
            let known = Series {
                labels,
                shape,
                quantity: Quantity::Of(unit),
                family: None,
            };
            series.insert(name.to_owned(), known);
        }
        for family in &catalog.families {
            series.extend(of_family(family));
        }
        let named = |family: &Arc<Family>| (family.name.clone(), Arc::clone(family));
        let families = catalog.families.iter().map(named).collect();
        Self { series, families }
    }

    /// Adds what rules record. A rule may build on another, in whatever order they come; those that do not check are left
    /// out, and told where they stand.
    pub fn record<'a>(&mut self, rules: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut open: Vec<_> = rules.into_iter().collect();
        loop {
            let before = open.len();
            open.retain(|(name, expr)| {
                let (Some(Yield::Vector(mut series)), _) = check(expr, self) else {
                    return true;
                };
                series.family = None;
                if series.quantity == Quantity::Unknown {
                    series.quantity = said_by(name);
                }
                self.series.insert((*name).to_owned(), series);
                false
            });
            if open.is_empty() || open.len() == before {
                return;
            }
        }
    }

    pub(crate) fn series(&self, name: &str) -> Option<&Series> {
        self.series.get(name)
    }

    /// The name of a series that is nearest to a wrong one, if one is near.
    pub(crate) fn nearest(&self, wrong: &str) -> Option<&str> {
        nearest(wrong, self.names())
    }

    /// The names of all series.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// The family of that name, whose series carry suffixes where it is a histogram.
    pub(super) fn family(&self, name: &str) -> Option<&Arc<Family>> {
        self.families.get(name)
    }
}

/// The series of one family, by their names.
fn of_family(family: &Arc<Family>) -> Vec<(String, Series)> {
    let unit = family.unit.map_or(Quantity::Unknown, Quantity::Of);
    let count = Quantity::Of(Unit::Count);
    let sum = if family.bounds().0 < 0.0 {
        Shape::SignedSum
    } else {
        Shape::Counter
    };
    let parts: &[(&str, Shape, Quantity, Option<&str>)] = match family.kind {
        Kind::Counter => &[("", Shape::Counter, unit, None)],
        Kind::Gauge => &[("", Shape::Gauge, unit, None)],
        Kind::Histogram => &[
            ("_bucket", Shape::Buckets, unit, Some("le")),
            ("_sum", sum, unit, None),
            ("_count", Shape::Counter, count, None),
        ],
        Kind::Summary => &[
            ("", Shape::Gauge, unit, Some("quantile")),
            ("_sum", sum, unit, None),
            ("_count", Shape::Counter, count, None),
        ],
    };
    let labels: BTreeSet<String> = family
        .labels
        .iter()
        .map(|label| label.key.as_str())
        .chain(GLOBAL_LABELS)
        .map(str::to_owned)
        .collect();
    parts
        .iter()
        .map(|(suffix, shape, quantity, label)| {
            let mut labels = labels.clone();
            labels.extend(label.map(str::to_owned));
            let series = Series {
                labels,
                shape: *shape,
                quantity: *quantity,
                family: Some(Arc::clone(family)),
            };
            (format!("{}{suffix}", family.name), series)
        })
        .collect()
}
