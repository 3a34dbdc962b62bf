//! Which value belongs to which series: an exposition taken apart into series and a list of numbers.

use std::collections::HashMap;
use std::sync::OnceLock;

use obs_exposition::{Exposition, Family, Kind, Sample};

/// Label names and values.
pub(super) type Labels = Vec<(String, String)>;

/// The families of an exposition. Expositions with the same series share one, which is why values are kept apart.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) families: Vec<Measured>,
    /// Labels that every series has with the same value, such as `service`: they tell nothing apart.
    pub(super) constant: Labels,
    places: HashMap<String, usize>,
    /// For each family its series by their labels, made when first asked for.
    by_labels: Vec<OnceLock<HashMap<Labels, usize>>>,
}

/// A family and its series.
#[derive(Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) series: Vec<Series>,
}

/// What is measured under one set of labels.
#[derive(Debug, PartialEq)]
pub(super) struct Series {
    /// Sorted, without `le` and `quantile`.
    pub(super) labels: Labels,
    /// The upper bounds of a histogram's buckets, or the levels of a summary's quantiles.
    pub(super) bounds: Vec<f64>,
    /// Where its numbers begin: one for each bound, and then the count; or one alone.
    pub(super) first: usize,
}

impl Series {
    /// Where its count is, or the one number it has.
    pub(super) fn count(&self) -> usize {
        self.first + self.bounds.len()
    }

    /// The places of all its numbers.
    fn parts(&self) -> std::ops::RangeInclusive<usize> {
        self.first..=self.count()
    }

    /// The places of the numbers that only rise.
    pub(super) fn rising(&self, kind: Kind) -> std::ops::RangeInclusive<usize> {
        match kind {
            Kind::Counter | Kind::Histogram => self.parts(),
            Kind::Summary => self.count()..=self.count(),
            Kind::Gauge | Kind::Untyped => std::ops::RangeInclusive::new(1, 0),
        }
    }
}

impl Layout {
    /// The layout of an exposition, and its numbers.
    pub(super) fn of(exposition: &Exposition) -> (Self, Vec<f64>) {
        let mut values = Vec::new();
        let families = exposition.families.iter();
        let families: Vec<_> = families
            .map(|family| Measured::of(family, &mut values))
            .filter(|family| !family.series.is_empty())
            .collect();
        let places = families.iter().enumerate();
        let layout = Self {
            places: places
                .map(|(at, family)| (family.name.clone(), at))
                .collect(),
            by_labels: families.iter().map(|_| OnceLock::new()).collect(),
            constant: shared(families.iter().flat_map(|family| &family.series)),
            families,
        };
        (layout, values)
    }

    /// Whether it has the same series at the same places.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.families == other.families
    }

    /// Where a family is.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The series of a family of another layout in this one.
    pub(super) fn find(&self, other: &Self, family: usize, series: usize) -> Option<&Series> {
        let wanted = &other.families[family];
        let place = self.place(&wanted.name)?;
        let found = &self.families[place];
        let by_labels = self.by_labels[place].get_or_init(|| {
            let series = found.series.iter().enumerate();
            series
                .map(|(at, series)| (series.labels.clone(), at))
                .collect()
        });
        let wanted = &wanted.series[series];
        let series = &found.series[*by_labels.get(&wanted.labels)?];
        (series.bounds == wanted.bounds).then_some(series)
    }

    /// How many series there are, a histogram counted as one.
    pub(super) fn series_count(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

impl Measured {
    fn of(family: &Family, values: &mut Vec<f64>) -> Self {
        let series = match family.kind {
            Kind::Histogram => histograms(family, values),
            Kind::Summary => summaries(family, values),
            _ => family
                .samples
                .iter()
                .map(|sample| single(sample, values))
                .collect(),
        };
        Self {
            name: family.name.clone(),
            help: family.help.clone().unwrap_or_default(),
            kind: family.kind,
            series,
        }
    }
}

fn single(sample: &Sample, values: &mut Vec<f64>) -> Series {
    let first = values.len();
    values.push(sample.value);
    Series {
        labels: sorted(sample.labels.clone()),
        bounds: Vec::new(),
        first,
    }
}

fn histograms(family: &Family, values: &mut Vec<f64>) -> Vec<Series> {
    let histograms = family.histograms().into_iter();
    histograms
        .map(|histogram| {
            let first = values.len();
            values.extend(histogram.buckets.iter().map(|(_, count)| count));
            values.push(histogram.count);
            let bounds = histogram.buckets.iter().map(|(bound, _)| *bound);
            Series {
                labels: sorted(histogram.labels),
                bounds: bounds.collect(),
                first,
            }
        })
        .collect()
}

/// One that may still lack a part.
struct Summary {
    labels: Labels,
    /// By level.
    quantiles: Vec<(f64, f64)>,
    count: f64,
}

fn summaries(family: &Family, values: &mut Vec<f64>) -> Vec<Series> {
    let mut found: Vec<Summary> = Vec::new();
    let mut places: HashMap<Labels, usize> = HashMap::new();
    for sample in &family.samples {
        let labels = sample.labels.iter().filter(|(key, _)| key != "quantile");
        let labels = sorted(labels.cloned().collect());
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            found.push(Summary {
                labels,
                quantiles: Vec::new(),
                count: f64::NAN,
            });
            found.len() - 1
        });
        let level = sample
            .label("quantile")
            .and_then(|level| level.parse().ok());
        match level {
            Some(level) => found[place].quantiles.push((level, sample.value)),
            None if sample.name.ends_with("_count") => found[place].count = sample.value,
            None => {}
        }
    }
    let series = found.into_iter().map(|summary| {
        let first = values.len();
        values.extend(summary.quantiles.iter().map(|(_, value)| value));
        values.push(summary.count);
        let bounds = summary.quantiles.iter().map(|(level, _)| *level).collect();
        Series {
            labels: summary.labels,
            bounds,
            first,
        }
    });
    series.collect()
}

fn sorted(mut labels: Labels) -> Labels {
    labels.retain(|(_, value)| !value.is_empty());
    labels.sort_unstable();
    labels
}

/// The labels that all series have.
pub(super) fn shared<'a>(mut series: impl Iterator<Item = &'a Series>) -> Labels {
    let Some(first) = series.next() else {
        return Labels::new();
    };
    let mut shared = first.labels.clone();
    for series in series {
        if shared.is_empty() {
            break;
        }
        shared.retain(|label| series.labels.binary_search(label).is_ok());
    }
    shared
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE orders_total counter
orders_total{service=\"desk\",venue=\"b\",side=\"buy\"} 4
orders_total{service=\"desk\",side=\"sell\",venue=\"b\"} 5
# TYPE fill_seconds histogram
fill_seconds_bucket{service=\"desk\",le=\"1\"} 6
fill_seconds_bucket{service=\"desk\",le=\"+Inf\"} 7
fill_seconds_sum{service=\"desk\"} 8
fill_seconds_count{service=\"desk\"} 7
# TYPE wait_seconds summary
wait_seconds{service=\"desk\",quantile=\"0.5\"} 9
wait_seconds_sum{service=\"desk\"} 10
wait_seconds_count{service=\"desk\"} 11
";

    #[test]
    fn numbers_are_found_again() {
        let (layout, values) = Layout::of(&obs_exposition::parse(TEXT).unwrap());
        assert_eq!(values, [4.0, 5.0, 6.0, 7.0, 7.0, 9.0, 11.0]);
        assert_eq!(layout.series_count(), 4);
        assert_eq!(layout.constant, [("service".to_owned(), "desk".to_owned())]);
        let wait = &layout.families[layout.place("wait_seconds").unwrap()];
        assert_eq!(
            (wait.series[0].bounds[0], values[wait.series[0].count()]),
            (0.5, 11.0)
        );
    }

    #[test]
    fn series_are_the_same_in_whatever_order_they_and_their_labels_come() {
        let (before, _) = Layout::of(&obs_exposition::parse(TEXT).unwrap());
        let later = "\
# TYPE orders_total counter
orders_total{venue=\"b\",side=\"sell\",service=\"desk\"} 6
";
        let (after, values) = Layout::of(&obs_exposition::parse(later).unwrap());
        assert!(!after.is_like(&before));
        assert_eq!(values[after.find(&before, 0, 1).unwrap().first], 6.0);
        assert!(after.find(&before, 0, 0).is_none());
        assert!(after.find(&before, 1, 0).is_none());
        assert_eq!(
            before.find(&after, 0, 0).unwrap(),
            &before.families[0].series[1]
        );
    }
}
