//! A scrape in protobuf: the messages of `io.prometheus.client`, each behind its length.

use std::collections::BTreeMap;

use obs_exposition::{Exposition, Family, Kind, Sample};
use prost::Message;

use super::buckets::Buckets;

type Labels = BTreeMap<String, String>;

/// A text as protobuf. `native` is asked for the native buckets of each series of a histogram, by family and labels.
pub(super) fn write(
    exposition: &Exposition,
    native: impl Fn(&str, &Labels) -> Option<Buckets>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for family in &exposition.families {
        let message = MetricFamily {
            name: family.name.clone(),
            help: family.help.clone(),
            kind: MetricType::of(family.kind).into(),
            metrics: metrics(family, &native),
        };
        out.extend(message.encode_length_delimited_to_vec());
    }
    out
}

/// The series of a family.
fn metrics(family: &Family, native: &impl Fn(&str, &Labels) -> Option<Buckets>) -> Vec<Metric> {
    let added = match family.kind {
        Kind::Histogram => Some("le"),
        Kind::Summary => Some("quantile"),
        Kind::Counter | Kind::Gauge | Kind::Untyped => None,
    };
    // The lines of one series stand together.
    let labels = |sample: &Sample| -> Labels {
        let labels = sample.labels.iter().cloned();
        labels
            .filter(|(key, _)| Some(key.as_str()) != added)
            .collect()
    };
    let series = family
        .samples
        .chunk_by(|a, b| added.is_some() && labels(a) == labels(b));
    series
        .map(|samples| {
            let labels = labels(&samples[0]);
            let value = Some(Value {
                value: samples[0].value,
            });
            let mut metric = Metric::default();
            match family.kind {
                Kind::Counter => metric.counter = value,
                Kind::Gauge => metric.gauge = value,
                Kind::Untyped => metric.untyped = value,
                Kind::Summary => metric.summary = Some(Summary::of(samples)),
                Kind::Histogram => {
                    let mut histogram = Histogram::of(samples);
                    if let Some(buckets) = native(&family.name, &labels) {
                        histogram.add_native(&buckets);
                    }
                    metric.histogram = Some(histogram);
                }
            }
            let pair = |(name, value)| LabelPair { name, value };
            metric.labels = labels.into_iter().map(pair).collect();
            metric
        })
        .collect()
}

/// The bound or level of a line, and its value.
fn steps<'a>(samples: &'a [Sample], key: &'a str) -> impl Iterator<Item = (f64, f64)> + 'a {
    let step = move |sample: &Sample| {
        let at = sample.label(key)?;
        // The text writes infinity as Go does, which Rust reads.
        Some((at.parse().ok()?, sample.value))
    };
    samples.iter().filter_map(step)
}

fn with_suffix(samples: &[Sample], suffix: &str) -> f64 {
    let mut found = samples
        .iter()
        .filter(|sample| sample.name.ends_with(suffix));
    found.next().map_or(0.0, |sample| sample.value)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and not negative"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(enumeration = "MetricType", required, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Summary = 2,
    Untyped = 3,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Value>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Value>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

/// A counter, a gauge, or what has no kind.
#[derive(Clone, Copy, PartialEq, Message)]
struct Value {
    #[prost(double, required, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, required, tag = "1")]
    count: u64,
    #[prost(double, required, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantiles: Vec<Quantile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Quantile {
    #[prost(double, required, tag = "1")]
    level: f64,
    #[prost(double, required, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, required, tag = "1")]
    count: u64,
    #[prost(double, required, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    buckets: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zeroes: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_deltas: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_deltas: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Bucket {
    /// Cumulated.
    #[prost(uint64, required, tag = "1")]
    count: u64,
    #[prost(double, required, tag = "2")]
    bound: f64,
}

/// Buckets side by side.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Span {
    /// How many indices lie between the end of the span before and this one; of the first, its index.
    #[prost(sint32, required, tag = "1")]
    offset: i32,
    #[prost(uint32, required, tag = "2")]
    length: u32,
}

impl MetricType {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::Summary => Self::Summary,
            Kind::Untyped => Self::Untyped,
            Kind::Histogram => Self::Histogram,
        }
    }
}

impl Summary {
    fn of(samples: &[Sample]) -> Self {
        let quantiles = steps(samples, "quantile");
        Self {
            count: whole(with_suffix(samples, "_count")),
            sum: with_suffix(samples, "_sum"),
            quantiles: quantiles
                .map(|(level, value)| Quantile { level, value })
                .collect(),
        }
    }
}

impl Histogram {
    fn of(samples: &[Sample]) -> Self {
        let buckets = steps(samples, "le").map(|(bound, count)| Bucket {
            bound,
            count: whole(count),
        });
        Self {
            count: whole(with_suffix(samples, "_count")),
            sum: with_suffix(samples, "_sum"),
            buckets: buckets.collect(),
            ..Self::default()
        }
    }

    /// Adds the native buckets, whose count and sum are those of their own moment.
    fn add_native(&mut self, native: &Buckets) {
        self.count = native.count();
        self.sum = native.sum;
        self.schema = Some(native.schema);
        self.zero_threshold = Some(Buckets::ZERO_THRESHOLD);
        self.zeroes = Some(native.zeroes);
        (self.negative_spans, self.negative_deltas) = spans(&native.negative);
        (self.positive_spans, self.positive_deltas) = spans(&native.positive);
    }
}

/// Buckets in spans, and of each how much more is in it than in the one before.
fn spans(side: &BTreeMap<i32, u64>) -> (Vec<Span>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<Span>::new(), Vec::new());
    let (mut next, mut before) = (0, 0_i64);
    for (index, count) in side {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(Span {
                offset: index - next,
                length: 1,
            }),
        }
        let count = count.cast_signed();
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_side_by_side_are_one_span() {
        let side = BTreeMap::from([(-3, 5), (-2, 7), (4, 1), (5, 1), (6, 0)]);
        let (spans, deltas) = spans(&side);
        let span = |offset, length| Span { offset, length };
        assert_eq!(spans, [span(-3, 2), span(5, 3)]);
        assert_eq!(deltas, [5, 2, -6, 0, -1]);
    }

    #[test]
    fn every_kind_is_written_with_its_labels_and_lines() {
        let text = "\
# HELP a_total What \\\\ is counted.
# TYPE a_total counter
a_total{x=\"1\",y=\"\\\"\"} 2
a_total{x=\"2\",y=\"\\n\"} 5
# TYPE b summary
b{quantile=\"0.5\"} NaN
b_sum 7
b_count 3
# TYPE c histogram
c_bucket{x=\"1\",le=\"0.5\"} 1
c_bucket{x=\"1\",le=\"+Inf\"} 3
c_sum{x=\"1\"} 9.5
c_count{x=\"1\"} 3
c_bucket{x=\"2\",le=\"0.5\"} 0
c_bucket{x=\"2\",le=\"+Inf\"} 0
c_sum{x=\"2\"} 0
c_count{x=\"2\"} 0
";
        let exposition = obs_exposition::parse(text).unwrap();
        let bytes = write(&exposition, |family, labels| {
            assert_eq!(family, "c");
            let mut buckets = Buckets::default();
            buckets.add(2.0, 3);
            (labels["x"] == "1").then_some(buckets)
        });
        let mut bytes = bytes.as_slice();
        let mut read = || MetricFamily::decode_length_delimited(&mut bytes).unwrap();
        let (counter, summary, histogram) = (read(), read(), read());
        assert!(bytes.is_empty());

        assert_eq!((counter.name.as_str(), counter.kind), ("a_total", 0));
        assert_eq!(counter.help.as_deref(), Some("What \\ is counted."));
        let values = counter.metrics.iter().map(|metric| {
            let labels = metric.labels.iter().map(|label| label.value.as_str());
            let value = metric.counter.unwrap().value;
            (labels.collect::<Vec<_>>().join(" "), value.to_string())
        });
        assert_eq!(
            values.collect::<Vec<_>>(),
            [("1 \"".into(), "2".into()), ("2 \n".into(), "5".into())]
        );
        let [summary] = &summary.metrics[..] else {
            panic!("one series");
        };
        let summary = summary.summary.as_ref().unwrap();
        assert_eq!((summary.count, summary.sum.to_string()), (3, "7".into()));
        assert!(summary.quantiles[0].value.is_nan());

        let [native, classic] = &histogram.metrics[..] else {
            panic!("two series");
        };
        let (native, classic) = (
            native.histogram.as_ref().unwrap(),
            classic.histogram.as_ref().unwrap(),
        );
        assert_eq!((native.schema, native.zeroes), (Some(3), Some(0)));
        assert_eq!(
            (native.count, native.positive_deltas.as_slice()),
            (3, &[3][..])
        );
        assert_eq!(native.buckets.len(), 2);
        assert!(native.buckets[1].bound.is_infinite());
        assert_eq!((classic.schema, classic.buckets.len()), (None, 2));
    }
}
