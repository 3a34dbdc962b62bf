//! The series there are: those of the catalogue, those that Prometheus makes itself, and those that rules record.

use std::collections::{BTreeMap, BTreeSet};

use obs_core::{Catalogue, Family, Kind, Unit};

use super::{Quantity, Series, Shape, Yield, check};

/// Labels that stand on every series after a scrape: the exporter's global ones, and the scraper's.
pub(crate) const GLOBAL_LABELS: [&str; 5] = ["service", "environment", "mode", "job", "instance"];

/// The values of the global label `mode`.
pub(crate) const MODES: [&str; 3] = ["backtest", "paper", "live"];

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

/// Every series that a query may name.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    series: BTreeMap<String, Series>,
    families: BTreeMap<&'static str, &'static Family>,
}

impl Vocabulary {
    /// The series of a catalogue, and those of Prometheus.
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        let mut series = BTreeMap::new();
        for (name, unit, labels) in PROMETHEUS {
            let labels = GLOBAL_LABELS
                .iter()
                .chain(labels)
                .map(ToString::to_string)
                .collect();
            let known = Series {
                labels,
                shape: Shape::Gauge,
                quantity: Quantity::Of(unit),
                family: None,
            };
            series.insert(name.to_owned(), known);
        }
        for family in catalogue.families() {
            series.extend(of_family(family));
        }
        let families = catalogue
            .families()
            .map(|family| (family.name(), family))
            .collect();
        Self { series, families }
    }

    /// Adds what rules record. A rule may build on another, in whatever order they come; those that do not check are left
    /// out, and told where they stand.
    pub(crate) fn record<'a>(&mut self, rules: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut open: Vec<_> = rules.into_iter().collect();
        loop {
            let before = open.len();
            open.retain(|(name, expr)| {
                let (Some(Yield::Vector(mut series)), _) = check(expr, self) else {
                    return true;
                };
                series.family = None;
                self.series.insert((*name).to_owned(), series);
                false
            });
            if open.is_empty() || open.len() == before {
                return;
            }
        }
    }

    pub(super) fn series(&self, name: &str) -> Option<&Series> {
        self.series.get(name)
    }

    /// The names of all series.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// The family of that name, whose series carry suffixes where it is a histogram.
    pub(super) fn family(&self, name: &str) -> Option<&'static Family> {
        self.families.get(name).copied()
    }
}

/// The series of one family, by their names.
fn of_family(family: &'static Family) -> Vec<(String, Series)> {
    let unit = Quantity::Of(family.measured_in());
    let count = Quantity::Of(Unit::Count);
    let sum = if family.bounds().0 < 0.0 {
        Shape::SignedSum
    } else {
        Shape::Counter
    };
    let parts: &[(&str, Shape, Quantity, Option<&str>)] = match family.kind() {
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
        .labels()
        .map(|label| label.key)
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
                family: Some(family),
            };
            (format!("{}{suffix}", family.name()), series)
        })
        .collect()
}
