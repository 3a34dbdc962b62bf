//! Histograms put together again from their series, and quantiles estimated from their buckets.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::exposition::series;
use crate::line::float;
use crate::{Family, Kind, Sample};

/// One histogram of a family: the buckets, sum and count that share their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The labels without `le`, in their order.
    pub labels: Vec<(String, String)>,
    /// Upper bounds (inclusive) and the number of observations up to each. Bounds increase and the
    /// last is infinite; counts never go down.
    pub buckets: Vec<(f64, f64)>,
    /// The sum of all observations, `NaN` when one of them was.
    pub sum: f64,
    /// The number of observations.
    pub count: f64,
}

impl Histogram {
    /// The `q`-quantile (0 to 1) estimated as `histogram_quantile` of Prometheus does.
    ///
    /// The rank is `q` times the number of observations, and the estimate lies in the first bucket whose
    /// cumulative count reaches it: observations are taken to be spread evenly between the bucket's
    /// bounds. The first bucket starts at 0 if its upper bound is positive; if it is not, that bound
    /// itself is the estimate. In the `+Inf` bucket the estimate is the highest finite bound.
    ///
    /// `None` where Prometheus returns `NaN` or an infinity: `q` is not within 0 to 1, nothing was
    /// observed, there is no finite bucket, or `q` is 0 and the first bucket (of a positive bound) empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (&(_, observations), finite) = self.buckets.split_last()?;
        if !(0.0..=1.0).contains(&q) || observations == 0.0 {
            return None;
        }
        let rank = q * observations;
        let Some(reached) = finite
            .iter()
            .position(|&(_, cumulative)| cumulative >= rank)
        else {
            return finite.last().map(|&(highest, _)| highest);
        };
        let (upper, cumulative) = finite[reached];
        let (lower, below) = match reached {
            0 if upper <= 0.0 => return Some(upper),
            0 => (0.0, 0.0),
            _ => finite[reached - 1],
        };
        let estimate = lower + (upper - lower) * ((rank - below) / (cumulative - below));
        (!estimate.is_nan()).then_some(estimate)
    }
}

impl Family {
    /// The histograms of the family, one for each set of labels, in order of appearance.
    ///
    /// Empty for every other kind. What [`crate::parse_all`] read of a faulty exposition may hold
    /// histograms without a sum, a count or any bucket: these are left out.
    #[must_use]
    pub fn histograms(&self) -> Vec<Histogram> {
        if self.kind != Kind::Histogram {
            return Vec::new();
        }
        let mut parts: Vec<Parts> = Vec::new();
        let mut positions = HashMap::new();
        for sample in &self.samples {
            let position = match positions.entry(series("", &sample.labels, Some("le"))) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    parts.push(Parts::new(&sample.labels));
                    *new.insert(parts.len() - 1)
                }
            };
            parts[position].add(&self.name, sample);
        }
        parts.into_iter().filter_map(Parts::whole).collect()
    }
}

/// A histogram that may still lack a part.
struct Parts {
    labels: Vec<(String, String)>,
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

impl Parts {
    fn new(labels: &[(String, String)]) -> Self {
        let labels = labels
            .iter()
            .filter(|(name, _)| name != "le")
            .cloned()
            .collect();
        Self {
            labels,
            buckets: Vec::new(),
            sum: None,
            count: None,
        }
    }

    fn add(&mut self, family: &str, sample: &Sample) {
        match sample.name.strip_prefix(family) {
            Some("_bucket") => {
                if let Some(bound) = sample.label("le").and_then(float) {
                    self.buckets.push((bound, sample.value));
                }
            }
            Some("_sum") => self.sum = Some(sample.value),
            Some("_count") => self.count = Some(sample.value),
            _ => {}
        }
    }

    fn whole(self) -> Option<Histogram> {
        let (sum, count) = self.sum.zip(self.count)?;
        let Self {
            labels, buckets, ..
        } = self;
        (!buckets.is_empty()).then_some(Histogram {
            labels,
            buckets,
            sum,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, parse_all};

    fn histogram(buckets: &[(f64, f64)]) -> Histogram {
        let count = buckets.last().map_or(0.0, |&(_, count)| count);
        Histogram {
            labels: Vec::new(),
            buckets: buckets.to_vec(),
            sum: 0.0,
            count,
        }
    }

    #[test]
    fn series_that_share_their_labels_make_one_histogram() {
        let text = "\
# TYPE x histogram
x_bucket{side=\"buy\",le=\"1\"} 1
x_bucket{le=\"+Inf\",side=\"buy\"} 3
x_bucket{side=\"sell\",le=\"+Inf\"} 0
x_sum{side=\"buy\"} 9.5
x_count{side=\"buy\"} 3
x_sum{side=\"sell\"} 0
x_count{side=\"sell\"} 0
# TYPE y gauge
y 1
";
        let exposition = parse(text).unwrap();
        let side = |value: &str| vec![("side".to_owned(), value.to_owned())];
        assert_eq!(
            exposition.families[0].histograms(),
            [
                Histogram {
                    labels: side("buy"),
                    buckets: vec![(1.0, 1.0), (f64::INFINITY, 3.0)],
                    sum: 9.5,
                    count: 3.0
                },
                Histogram {
                    labels: side("sell"),
                    buckets: vec![(f64::INFINITY, 0.0)],
                    sum: 0.0,
                    count: 0.0
                },
            ]
        );
        assert_eq!(exposition.families[1].histograms(), []);
    }

    #[test]
    fn a_histogram_that_lacks_a_part_is_left_out() {
        let (exposition, errors) = parse_all(
            "# TYPE x histogram\nx_bucket{le=\"+Inf\"} 1\nx_sum 1\nx_sum{a=\"b\"} 1\nx_count{a=\"b\"} 1\n",
        );
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert_eq!(exposition.families[0].samples.len(), 4);
        assert_eq!(exposition.families[0].histograms(), []);
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        let inf = f64::INFINITY;
        let even = histogram(&[(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (inf, 40.0)]);
        let signed = histogram(&[(-1.0, 4.0), (1.0, 8.0), (inf, 8.0)]);
        let overflowing = histogram(&[(1.0, 1.0), (5.0, 1.0), (inf, 10.0)]);
        let late = histogram(&[(1.0, 0.0), (2.0, 10.0), (inf, 10.0)]);
        let cases = [
            ("start of the first bucket", &even, 0.0, Some(0.0)),
            ("within the first bucket", &even, 0.125, Some(0.5)),
            ("at a bound", &even, 0.25, Some(1.0)),
            ("within a bucket", &even, 0.5, Some(1.5)),
            ("within a wider bucket", &even, 0.875, Some(3.0)),
            ("at the end", &even, 1.0, Some(4.0)),
            ("first bound not positive", &signed, 0.25, Some(-1.0)),
            ("from a negative bound", &signed, 0.75, Some(0.0)),
            ("in the infinite bucket", &overflowing, 0.9, Some(5.0)),
            ("past an empty bucket", &late, 0.5, Some(1.5)),
            ("0 with an empty first bucket", &late, 0.0, None),
            ("below the range", &even, -0.1, None),
            ("above the range", &even, 1.1, None),
            ("not a number", &even, f64::NAN, None),
        ];
        for (case, histogram, q, expected) in cases {
            assert_eq!(histogram.quantile(q), expected, "{case}");
        }
        assert_eq!(
            histogram(&[(1.0, 0.0), (inf, 0.0)]).quantile(0.5),
            None,
            "nothing observed"
        );
        assert_eq!(
            histogram(&[(inf, 3.0)]).quantile(0.5),
            None,
            "no finite bucket"
        );
        assert_eq!(histogram(&[]).quantile(0.5), None, "no bucket");
    }
}
