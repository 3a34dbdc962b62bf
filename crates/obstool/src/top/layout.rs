//! Which value belongs to which series: an exposition taken apart into series and a list of numbers.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use obs_exposition::{Exposition, Family, Kind, Sample};

/// Label names and values.
pub(super) type Labels = Vec<(String, String)>;

/// The families of an exposition. Values are kept apart, so that expositions with the same series share one layout, and those of which
/// some families have other series than before share the rest: many are remembered of a service whose series come and go.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) families: Vec<Arc<Measured>>,
    /// Labels that every series has with the same value, such as `service`: they tell nothing apart.
    pub(super) constant: Labels,
    /// Where the numbers of each family begin.
    starts: Vec<usize>,
    /// The places of the families, by name.
    by_name: Vec<usize>,
}

/// A family and its series.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) series: Vec<Series>,
    /// The places of its series by their labels, put in order when first asked for.
    by_labels: OnceLock<Vec<usize>>,
}

/// What is measured under one set of labels.
#[derive(Debug, PartialEq)]
pub(super) struct Series {
    /// Sorted, without `le` and `quantile`.
    pub(super) labels: Arc<Labels>,
    /// The upper bounds of a histogram's buckets, or the levels of a summary's quantiles.
    bounds: Arc<[f64]>,
    /// Where its numbers begin among those of its family.
    first: usize,
}

/// The numbers of a series: one for each bound, and then the count; or one alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numbers<'a> {
    /// The upper bounds of a histogram's buckets, or the levels of a summary's quantiles.
    pub(super) bounds: &'a [f64],
    /// Where they begin.
    pub(super) first: usize,
}

impl Numbers<'_> {
    /// Where its count is, or the one number it has.
    pub(super) fn count(self) -> usize {
        self.first + self.bounds.len()
    }

    /// The places of the numbers that only rise.
    pub(super) fn rising(self, kind: Kind) -> RangeInclusive<usize> {
        match kind {
            Kind::Counter | Kind::Histogram => self.first..=self.count(),
            Kind::Summary => self.count()..=self.count(),
            Kind::Gauge | Kind::Untyped => RangeInclusive::new(1, 0),
        }
    }
}

impl Layout {
    /// The layout of an exposition, and its numbers.
    pub(super) fn of(exposition: &Exposition) -> (Self, Vec<f64>) {
        let (mut values, mut starts, mut families) = (Vec::new(), Vec::new(), Vec::new());
        for family in &exposition.families {
            let start = values.len();
            let family = Measured::of(family, &mut values);
            if !family.series.is_empty() {
                starts.push(start);
                families.push(Arc::new(family));
            }
        }
        let mut by_name: Vec<_> = (0..families.len()).collect();
        by_name.sort_by_key(|at| &families[*at].name);
        let layout = Self {
            constant: shared(families.iter().flat_map(|family| &family.series)),
            families,
            starts,
            by_name,
        };
        (layout, values)
    }

    /// The same with what is as it was taken from the layout before: the whole, families, or labels and bounds of series.
    pub(super) fn sharing(mut self, before: &Arc<Self>) -> Arc<Self> {
        if self.families == before.families {
            return Arc::clone(before);
        }
        for family in &mut self.families {
            let Some(place) = before.place(&family.name) else {
                continue;
            };
            let known = &before.families[place];
            if known == family {
                *family = Arc::clone(known);
            } else if let Some(family) = Arc::get_mut(family) {
                family.share(known);
            }
        }
        Arc::new(self)
    }

    /// Where a family is.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        let at = |at: &usize| self.families[*at].name.as_str().cmp(name);
        let found = self.by_name.binary_search_by(at).ok()?;
        Some(self.by_name[found])
    }

    /// The numbers of a series.
    pub(super) fn numbers(&self, family: usize, series: usize) -> Numbers<'_> {
        let series = &self.families[family].series[series];
        Numbers {
            bounds: &series.bounds,
            first: self.starts[family] + series.first,
        }
    }

    /// The numbers that a series of another layout has in this one.
    pub(super) fn find(&self, other: &Self, family: usize, series: usize) -> Option<Numbers<'_>> {
        let wanted = &other.families[family];
        let place = self.place(&wanted.name)?;
        let found = &self.families[place];
        if Arc::ptr_eq(found, wanted) {
            return Some(self.numbers(place, series));
        }
        let wanted = &wanted.series[series];
        let series = found.find(&wanted.labels)?;
        (found.series[series].bounds == wanted.bounds).then(|| self.numbers(place, series))
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
            _ => singles(&family.samples, values),
        };
        Self {
            name: family.name.clone(),
            help: family.help.clone().unwrap_or_default(),
            kind: family.kind,
            series,
            by_labels: OnceLock::new(),
        }
    }

    /// Which of its series has these labels.
    fn find(&self, labels: &Labels) -> Option<usize> {
        let by_labels = self.by_labels.get_or_init(|| {
            let mut places: Vec<_> = (0..self.series.len()).collect();
            places.sort_by_key(|at| &self.series[*at].labels);
            places
        });
        let at = |at: &usize| (*self.series[*at].labels).cmp(labels);
        Some(by_labels[by_labels.binary_search_by(at).ok()?])
    }

    /// Takes labels and bounds from the same family as it was before, where it has the same.
    fn share(&mut self, before: &Self) {
        for series in &mut self.series {
            if let Some(known) = before.find(&series.labels) {
                let known = &before.series[known];
                series.labels = Arc::clone(&known.labels);
                if series.bounds == known.bounds {
                    series.bounds = Arc::clone(&known.bounds);
                }
            }
        }
    }
}

impl PartialEq for Measured {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.help == other.help
            && self.series == other.series
    }
}

fn singles(samples: &[Sample], values: &mut Vec<f64>) -> Vec<Series> {
    let bounds: Arc<[f64]> = Arc::default();
    values.extend(samples.iter().map(|sample| sample.value));
    let samples = samples.iter().enumerate();
    let series = samples.map(|(first, sample)| Series {
        labels: Arc::new(sorted(sample.labels.clone())),
        bounds: Arc::clone(&bounds),
        first,
    });
    series.collect()
}

fn histograms(family: &Family, values: &mut Vec<f64>) -> Vec<Series> {
    let start = values.len();
    let histograms = family.histograms().into_iter();
    let series = histograms.map(|histogram| {
        let first = values.len() - start;
        values.extend(histogram.buckets.iter().map(|(_, count)| count));
        values.push(histogram.count);
        let bounds = histogram.buckets.iter().map(|(bound, _)| *bound);
        Series {
            labels: Arc::new(sorted(histogram.labels)),
            bounds: bounds.collect(),
            first,
        }
    });
    series.collect()
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
    let start = values.len();
    let series = found.into_iter().map(|summary| {
        let first = values.len() - start;
        values.extend(summary.quantiles.iter().map(|(_, value)| value));
        values.push(summary.count);
        let bounds = summary.quantiles.iter().map(|(level, _)| *level).collect();
        Series {
            labels: Arc::new(summary.labels),
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
    let mut shared = Labels::clone(&first.labels);
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
        let wait = layout.numbers(layout.place("wait_seconds").unwrap(), 0);
        assert_eq!((wait.bounds[0], values[wait.count()]), (0.5, 11.0));
    }

    #[test]
    fn series_are_the_same_in_whatever_order_they_and_their_labels_come() {
        let (before, _) = Layout::of(&obs_exposition::parse(TEXT).unwrap());
        let later = "\
# TYPE orders_total counter
orders_total{venue=\"b\",side=\"sell\",service=\"desk\"} 6
";
        let (after, values) = Layout::of(&obs_exposition::parse(later).unwrap());
        assert_eq!(values[after.find(&before, 0, 1).unwrap().first], 6.0);
        assert!(after.find(&before, 0, 0).is_none());
        assert!(after.find(&before, 1, 0).is_none());
        assert_eq!(before.find(&after, 0, 0).unwrap(), before.numbers(0, 1));
    }

    #[test]
    fn what_is_as_it_was_is_kept_once() {
        let of = |text: &str| Layout::of(&obs_exposition::parse(text).unwrap()).0;
        let before = Arc::new(of(TEXT));
        assert!(Arc::ptr_eq(&of(TEXT).sharing(&before), &before));
        // One of the counters is gone, and another one there.
        let later = TEXT.replace("sell", "short");
        let after = of(&later).sharing(&before);
        let orders = [&before.families[0], &after.families[0]];
        assert!(!Arc::ptr_eq(orders[0], orders[1]));
        let labels = |of: &Measured, at: usize| Arc::clone(&of.series[at].labels);
        assert!(Arc::ptr_eq(&labels(orders[0], 0), &labels(orders[1], 0)));
        assert_ne!(labels(orders[0], 1), labels(orders[1], 1));
        for place in [1, 2] {
            assert!(Arc::ptr_eq(&before.families[place], &after.families[place]));
        }
        // Further to the front, and the same numbers nevertheless.
        let fewer = of(&later[later.find("# TYPE fill").unwrap()..]).sharing(&after);
        assert_eq!(fewer.find(&after, 1, 0).unwrap().first, 0);
        assert_eq!(after.find(&fewer, 0, 0).unwrap().first, 2);
    }
}
