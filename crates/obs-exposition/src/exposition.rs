//! What an exposition says: families, their samples, and the ways to ask for a value.

use std::fmt;

/// Everything one scrape returned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposition {
    /// The families in the order of their first line, those that have no samples included.
    pub families: Vec<Family>,
}

impl Exposition {
    /// The family called `name`, which for a histogram or summary is the name without a suffix.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The samples whose full name is `name` (for a histogram `x` this is `x_bucket`, `x_sum` or
    /// `x_count`), in their order.
    pub fn samples(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.families
            .iter()
            .filter(move |family| family.owns(name))
            .flat_map(|family| &family.samples)
            .filter(move |sample| sample.name == name)
    }

    /// The value of the one series with this full name and exactly these labels, in any order.
    ///
    /// `None` when there is no such series. As in Prometheus, an empty value and an absent label are
    /// the same.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples(name)
            .find(|sample| sample.has_exactly(labels))
            .map(|sample| sample.value)
    }

    /// The sum over all series with this full name that carry at least these labels.
    ///
    /// `None` when there is no such series: a sum of nothing is unknown, not 0.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples(name)
            .filter(|sample| sample.has_all(labels))
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value)
    }
}

/// All that is said about one metric name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name, for a histogram or summary without the suffix of its series.
    pub name: String,
    /// The text of the `HELP` line with its escapes decoded; empty when the line ends after the name.
    pub help: Option<String>,
    /// The kind from the `TYPE` line; [`Kind::Untyped`] without one.
    pub kind: Kind,
    /// The samples in their order.
    pub samples: Vec<Sample>,
    /// The first line that names the family, counted from 1.
    pub line: usize,
}

impl Family {
    /// Whether samples called `name` belong to this family.
    fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.name.as_str())
            .is_some_and(|suffix| suffix.is_empty() || self.kind.suffixes().contains(&suffix))
    }
}

/// What a family measures, as its `TYPE` line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A count that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Observations counted in cumulative buckets.
    Histogram,
    /// Observations with quantiles computed where they were made.
    Summary,
    /// Anything, or nothing declared.
    #[default]
    Untyped,
}

impl Kind {
    /// The kind that a `TYPE` line means by `word`.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [
            Self::Counter,
            Self::Gauge,
            Self::Histogram,
            Self::Summary,
            Self::Untyped,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }

    /// What a family of this kind appends to its name for the series beside those of the bare name.
    pub(crate) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Histogram => &["_bucket", "_sum", "_count"],
            Self::Summary => &["_sum", "_count"],
            Self::Counter | Self::Gauge | Self::Untyped => &[],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// The word of the `TYPE` line.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The full name, with the suffix of a histogram's or summary's series.
    pub name: String,
    /// Label names and values in their order, the values' escapes decoded.
    pub labels: Vec<(String, String)>,
    /// The value, which may be infinite or `NaN`.
    pub value: f64,
    /// Milliseconds since the Unix epoch, which most targets leave for Prometheus to fill in.
    pub timestamp: Option<i64>,
    /// The line it stands on, counted from 1.
    pub line: usize,
}

impl Sample {
    /// The value of the label called `name`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(label, _)| label == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the sample carries all of these labels, where an empty value asks for an absent label.
    #[must_use]
    pub fn has_all(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name).unwrap_or_default() == *value)
    }

    /// Whether the sample carries these labels and no others, in any order.
    #[must_use]
    pub fn has_exactly(&self, labels: &[(&str, &str)]) -> bool {
        let asked_for = |name: &str, value: &str| labels.contains(&(name, value));
        self.has_all(labels)
            && self
                .labels
                .iter()
                .all(|(name, value)| value.is_empty() || asked_for(name, value))
    }
}

/// The sample as a line of an exposition, with its labels sorted and without its timestamp.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&series(&self.name, &self.labels, None))?;
        if self.value.is_infinite() {
            f.write_str(if self.value > 0.0 { " +Inf" } else { " -Inf" })
        } else {
            write!(f, " {}", self.value)
        }
    }
}

/// The identity of a series, as it is written: `name{a="1",b="2"}` with the labels sorted and without
/// those that are empty or called `except`.
pub(crate) fn series(name: &str, labels: &[(String, String)], except: Option<&str>) -> String {
    let mut kept: Vec<_> = labels
        .iter()
        .filter(|(label, value)| !value.is_empty() && Some(label.as_str()) != except)
        .collect();
    kept.sort_unstable();

    let mut series = String::from(name);
    for (position, (label, value)) in kept.iter().enumerate() {
        series.push(if position == 0 { '{' } else { ',' });
        series.push_str(label);
        series.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => series.push_str("\\\\"),
                '"' => series.push_str("\\\""),
                '\n' => series.push_str("\\n"),
                c => series.push(c),
            }
        }
        series.push('"');
    }
    if !kept.is_empty() {
        series.push('}');
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const SCRAPE: &str = "\
# TYPE orders_total counter
orders_total{venue=\"a\",side=\"buy\"} 1
orders_total{venue=\"a\",side=\"sell\"} 2
orders_total{venue=\"b\",side=\"buy\"} 4
# TYPE wait_seconds summary
wait_seconds{quantile=\"0.5\"} 0.1
wait_seconds_sum 7
wait_seconds_count 3
wait_seconds_created{zone=\"\"} -Inf
";

    #[test]
    fn a_value_is_found_by_its_exact_labels_in_any_order() {
        let exposition = parse(SCRAPE).unwrap();
        let value = |name, labels: &[_]| exposition.value(name, labels);

        assert_eq!(
            value("orders_total", &[("side", "buy"), ("venue", "a")]),
            Some(1.0)
        );
        assert_eq!(
            value("orders_total", &[("venue", "a"), ("side", "sell")]),
            Some(2.0)
        );
        assert_eq!(value("orders_total", &[("venue", "a")]), None);
        assert_eq!(
            value("orders_total", &[("venue", "a"), ("venue", "a")]),
            None
        );
        assert_eq!(
            value(
                "orders_total",
                &[("side", "buy"), ("venue", "a"), ("zone", "")]
            ),
            Some(1.0)
        );
        assert_eq!(value("orders_total", &[]), None);
        assert_eq!(value("wait_seconds_sum", &[]), Some(7.0));
        assert_eq!(value("wait_seconds", &[("quantile", "0.5")]), Some(0.1));
        assert_eq!(value("wait_seconds_created", &[]), Some(f64::NEG_INFINITY));
        assert_eq!(value("nothing", &[]), None);
    }

    #[test]
    fn a_sum_takes_every_series_that_carries_the_labels() {
        let exposition = parse(SCRAPE).unwrap();

        assert_eq!(exposition.sum("orders_total", &[]), Some(7.0));
        assert_eq!(
            exposition.sum("orders_total", &[("side", "buy")]),
            Some(5.0)
        );
        assert_eq!(exposition.sum("orders_total", &[("side", "hold")]), None);
        assert_eq!(exposition.sum("orders_total", &[("zone", "")]), Some(7.0));
        assert_eq!(exposition.sum("nothing", &[]), None);
    }

    #[test]
    fn a_family_is_found_by_its_own_name_only() {
        let exposition = parse(SCRAPE).unwrap();

        assert_eq!(exposition.family("wait_seconds").unwrap().samples.len(), 3);
        assert!(exposition.family("wait_seconds_sum").is_none());
        let names: Vec<_> = exposition
            .families
            .iter()
            .map(|family| family.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["orders_total", "wait_seconds", "wait_seconds_created"]
        );
    }

    #[test]
    fn a_sample_is_displayed_as_its_line() {
        let mut sample = Sample {
            name: "x".into(),
            labels: vec![("b".into(), "\\\"\n".into()), ("a".into(), "1".into())],
            value: 0.5,
            timestamp: None,
            line: 1,
        };
        assert_eq!(sample.to_string(), r#"x{a="1",b="\\\"\n"} 0.5"#);
        sample.labels.clear();
        sample.value = f64::NEG_INFINITY;
        assert_eq!(sample.to_string(), "x -Inf");
        assert_eq!(format!("{:>9}", Kind::Counter), "  counter");
    }
}
