//! What was recorded as requests of OTLP, and what of it the interval has added.

use std::collections::HashMap;

use hyper::body::Bytes;
use obs_core::Kind;
use obs_recorder::{FamilySnapshot, SeriesSnapshot, SeriesValue};
use prost::Message;

use super::message::{
    Data, Exemplar, ExponentialBuckets, ExponentialHistogram, ExponentialHistogramPoint, Gauge,
    Histogram, HistogramPoint, KeyValue, Metric, Number, NumberPoint, Quantile, Request, Resource,
    ResourceMetrics, Scope, ScopeMetrics, Sum, Summary, SummaryPoint,
};
use super::{Begin, Program, Temporality};

/// The most series in one request: some 2 MiB of histograms, which is below what receivers take.
const MOST_SERIES: usize = 5_000;
const NANOSECONDS: u64 = 1_000_000;

/// Writes everything as requests, one interval after another.
pub(super) struct Encoder {
    resource: Vec<KeyValue>,
    temporality: Temporality,
    program: Program,
    /// Whether what the next interval shows may have been sent before by others, so that with delta temporality it is no part of it.
    is_unknown: bool,
    /// With delta temporality: what each series that is shown had when it was last sent.
    sent: HashMap<(String, Labels), Sent>,
    /// When everything was last collected, in milliseconds.
    collected: u64,
}

type Labels = Vec<(String, String)>;

/// A series as it was last sent.
struct Sent {
    began: u64,
    /// When, in nanoseconds: where its next interval starts.
    at: u64,
    value: SeriesValue,
}

/// A value, and since when it has been added up, in nanoseconds.
type Since = (u64, SeriesValue);

impl Encoder {
    pub(super) fn new(resource: Vec<KeyValue>, temporality: Temporality, program: Program) -> Self {
        Self {
            resource,
            temporality,
            program,
            is_unknown: false,
            sent: HashMap::new(),
            collected: 0,
        }
    }

    /// Goes on where another ended. Returns the requests that it left.
    pub(super) fn begin(&mut self, begin: Begin) -> Vec<Bytes> {
        match begin {
            Begin::Anew => Vec::new(),
            Begin::Unknown => {
                self.is_unknown = true;
                Vec::new()
            }
            Begin::Resumed {
                families,
                collected,
                waiting,
            } => {
                self.collected = collected / NANOSECONDS;
                for family in families {
                    for series in family.series {
                        let sent = Sent {
                            began: series.began,
                            at: collected,
                            value: series.value,
                        };
                        self.sent.insert((family.name.clone(), series.labels), sent);
                    }
                }
                waiting
            }
        }
    }

    /// The requests that carry all families as they are at a time, in nanoseconds since 1970.
    pub(super) fn requests(&mut self, families: &[FamilySnapshot], time: u64) -> Vec<Vec<u8>> {
        let mut before = std::mem::take(&mut self.sent);
        let mut requests = Vec::new();
        let (mut metrics, mut room) = (Vec::new(), MOST_SERIES);
        for family in families {
            let mut rest = &family.series[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(room));
                metrics.extend(self.metric(family, now, &mut before, time));
                (rest, room) = (later, room - now.len());
                if room == 0 {
                    requests.push(self.request(std::mem::take(&mut metrics)));
                    room = MOST_SERIES;
                }
            }
        }
        if !metrics.is_empty() {
            requests.push(self.request(metrics));
        }
        self.collected = time / NANOSECONDS;
        self.is_unknown = false;
        requests
    }

    fn request(&self, metrics: Vec<Metric>) -> Vec<u8> {
        let scope = Scope {
            name: self.program.name.to_owned(),
            version: self.program.version.to_owned(),
        };
        let resource = ResourceMetrics {
            resource: Some(Resource {
                attributes: self.resource.clone(),
            }),
            scopes: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
            }],
        };
        Request {
            resources: vec![resource],
        }
        .encode_to_vec()
    }

    /// Some series of a family; none where none of them has anything to say.
    fn metric(
        &mut self,
        family: &FamilySnapshot,
        series: &[SeriesSnapshot],
        before: &mut HashMap<(String, Labels), Sent>,
        time: u64,
    ) -> Option<Metric> {
        let mut points = Points::default();
        for series in series {
            let Some(since) = self.since(family, series, before, time) else {
                continue;
            };
            points.add(family, &series.labels, since, time, self.collected);
        }
        let temporality = match self.temporality {
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        };
        Some(Metric {
            name: family.name.clone(),
            description: family.help.clone(),
            unit: unit(&family.name).to_owned(),
            data: Some(points.into_data(family.kind, temporality)?),
        })
    }

    /// What a series shows, and since when; none where the interval has added nothing.
    fn since(
        &mut self,
        family: &FamilySnapshot,
        series: &SeriesSnapshot,
        before: &mut HashMap<(String, Labels), Sent>,
        time: u64,
    ) -> Option<Since> {
        let born = series.began.saturating_mul(NANOSECONDS).min(time);
        let adds_up = matches!(family.kind, Kind::Counter | Kind::Histogram);
        if self.temporality == Temporality::Cumulative || !adds_up {
            return Some((born, series.value.clone()));
        }
        let key = (family.name.clone(), series.labels.clone());
        let last = before
            .remove(&key)
            .filter(|last| last.began == series.began);
        let since = match &last {
            Some(last) => (last.at.min(time), added(&last.value, &series.value)),
            // The first is sent even where it is 0: receivers are to know the series.
            None if self.is_unknown => (time, added(&series.value, &series.value)),
            None => (born, series.value.clone()),
        };
        let is_still = last.is_some() && is_zero(&since.1);
        let sent = Sent {
            began: series.began,
            at: if is_still { since.0 } else { time },
            value: series.value.clone(),
        };
        self.sent.insert(key, sent);
        (!is_still).then_some(since)
    }
}

/// The points of a family, of which it has one kind.
#[derive(Default)]
struct Points {
    numbers: Vec<NumberPoint>,
    histograms: Vec<HistogramPoint>,
    /// Of histograms with native buckets alone.
    exponential: Vec<ExponentialHistogramPoint>,
    summaries: Vec<SummaryPoint>,
}

impl Points {
    fn add(
        &mut self,
        family: &FamilySnapshot,
        labels: &[(String, String)],
        (start, value): Since,
        time: u64,
        collected: u64,
    ) {
        let attribute = |(key, value): &(String, String)| KeyValue::new(key, value);
        let attributes = labels.iter().map(attribute).collect();
        match value {
            SeriesValue::Counter { number, decimals } => self.numbers.push(NumberPoint {
                attributes,
                start,
                time,
                value: Some(total(number, decimals)),
            }),
            SeriesValue::Gauge(value) => self.numbers.push(NumberPoint {
                attributes,
                // A gauge is what it is at a time.
                start: 0,
                time,
                value: Some(Number::Double(value)),
            }),
            SeriesValue::Histogram {
                buckets,
                sum,
                exemplars,
                native,
            } => {
                let is_new = |at: u64| at >= collected;
                let exemplars = exemplars.iter().filter(|exemplar| is_new(exemplar.at));
                let exemplars = exemplars.map(|exemplar| Exemplar {
                    time: exemplar.at.saturating_mul(NANOSECONDS),
                    value: Some(exemplar.value),
                    trace: exemplar.trace.to_vec(),
                });
                let exemplars = exemplars.collect();
                let count = buckets.iter().copied().fold(0, u64::wrapping_add);
                // Also where observations are below 0. OTLP advises against that, but a receiver that keeps a sum in any case,
                // as Prometheus does, would otherwise keep a wrong one.
                let sum = Some(sum);
                // What declares bounds is read by them.
                if let Some(native) = native.filter(|_| family.bounds.is_empty()) {
                    self.exponential.push(ExponentialHistogramPoint {
                        attributes,
                        start,
                        time,
                        count,
                        sum,
                        scale: native.schema,
                        zero_count: native.zero_count,
                        positive: side_by_side(&native.positive),
                        negative: side_by_side(&native.negative),
                        exemplars,
                        zero_threshold: native.zero_threshold,
                    });
                } else {
                    self.histograms.push(HistogramPoint {
                        attributes,
                        start,
                        time,
                        count,
                        sum,
                        buckets,
                        bounds: family.bounds.to_vec(),
                        exemplars,
                    });
                }
            }
            SeriesValue::Summary {
                quantiles,
                count,
                sum,
            } => self.summaries.push(SummaryPoint {
                attributes,
                start,
                time,
                count,
                sum,
                quantiles: family
                    .levels
                    .iter()
                    .zip(quantiles)
                    .map(|(level, value)| Quantile {
                        level: *level,
                        value,
                    })
                    .collect(),
            }),
            // Values of a later edition of the recorder.
            _ => {}
        }
    }

    fn into_data(self, kind: Kind, temporality: i32) -> Option<Data> {
        let Self {
            numbers,
            histograms,
            exponential,
            summaries,
        } = self;
        let buckets = histograms.len() + exponential.len();
        if numbers.is_empty() && buckets == 0 && summaries.is_empty() {
            return None;
        }
        Some(match kind {
            Kind::Counter => Data::Sum(Sum {
                points: numbers,
                temporality,
                is_monotonic: true,
            }),
            Kind::Gauge => Data::Gauge(Gauge { points: numbers }),
            Kind::Histogram if !exponential.is_empty() => {
                Data::ExponentialHistogram(ExponentialHistogram {
                    points: exponential,
                    temporality,
                })
            }
            Kind::Histogram => Data::Histogram(Histogram {
                points: histograms,
                temporality,
            }),
            Kind::Summary => Data::Summary(Summary { points: summaries }),
        })
    }
}

/// Native buckets as OTLP has them, where a bucket has the index of its lower bound and empty ones stand between.
fn side_by_side(buckets: &[(i32, u64)]) -> Option<ExponentialBuckets> {
    let ((first, _), (last, _)) = (buckets.first()?, buckets.last()?);
    let mut counts = vec![0; usize::try_from(last - first).ok()? + 1];
    for (index, count) in buckets {
        counts[usize::try_from(index - first).ok()?] = *count;
    }
    let offset = first - 1;
    Some(ExponentialBuckets { offset, counts })
}

/// What has been added to native buckets.
fn added_to(before: &[(i32, u64)], now: &[(i32, u64)]) -> Vec<(i32, u64)> {
    let count_before = |index| {
        let found = before.binary_search_by_key(&index, |(index, _)| *index);
        found.map_or(0, |at| before[at].1)
    };
    now.iter()
        .map(|(index, count)| (*index, count.saturating_sub(count_before(*index))))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The total of a counter: whole where it can be.
fn total(number: u64, decimals: u8) -> Number {
    match i64::try_from(number) {
        Ok(whole) if decimals == 0 => Number::Whole(whole),
        _ => Number::Double(number as f64 / 10_f64.powi(i32::from(decimals))),
    }
}

/// What has been added to a counter or histogram since it had another value.
fn added(before: &SeriesValue, now: &SeriesValue) -> SeriesValue {
    use SeriesValue::{Counter, Histogram};
    match (before, now) {
        (
            Counter { number: before, .. },
            Counter {
                number: now,
                decimals,
            },
        ) => Counter {
            number: now.saturating_sub(*before),
            decimals: *decimals,
        },
        (
            Histogram {
                buckets: before,
                sum: sum_before,
                native: native_before,
                ..
            },
            Histogram {
                buckets: now,
                sum,
                exemplars,
                native,
            },
        ) => Histogram {
            buckets: now
                .iter()
                .zip(before)
                .map(|(now, before)| now.saturating_sub(*before))
                .collect(),
            sum: sum - sum_before,
            exemplars: exemplars.clone(),
            native: native.clone().map(|mut native| {
                if let Some(before) = native_before {
                    native.zero_count = native.zero_count.saturating_sub(before.zero_count);
                    native.positive = added_to(&before.positive, &native.positive);
                    native.negative = added_to(&before.negative, &native.negative);
                }
                native
            }),
        },
        _ => now.clone(),
    }
}

fn is_zero(value: &SeriesValue) -> bool {
    match value {
        SeriesValue::Counter { number, .. } => *number == 0,
        SeriesValue::Histogram { buckets, .. } => buckets.iter().all(|count| *count == 0),
        _ => false,
    }
}

/// The unit as UCUM has it, where the name tells one in our words. Prometheus adds the word of a unit to a name that lacks it, so that
/// any other unit would rename a family.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let units = [("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1")];
    let found = units.iter().find(|(word, _)| name.ends_with(word));
    found.map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use obs_recorder::Engine;

    use super::*;

    const BEGINNING: u64 = 2_000_000_000_000_000_000;

    const PROGRAM: Program = Program {
        name: "desk",
        version: "1.0.0",
    };

    fn encoder(temporality: Temporality) -> Encoder {
        let resource = vec![KeyValue::new("service.name", "desk")];
        Encoder::new(resource, temporality, PROGRAM)
    }

    /// What the requests of an interval say of a metric's counters: their values and intervals.
    fn numbers(requests: &[Vec<u8>], name: &str) -> Vec<(Number, u64, u64)> {
        let metrics = requests.iter().flat_map(|request| {
            let request = Request::decode(&request[..]).unwrap();
            request.resources[0].scopes[0].metrics.clone()
        });
        let points = metrics
            .filter(|metric| metric.name == name)
            .flat_map(|metric| match metric.data.unwrap() {
                Data::Sum(sum) => sum.points,
                data => panic!("{data:?}"),
            });
        points
            .map(|point| (point.value.unwrap(), point.start, point.time))
            .collect()
    }

    #[test]
    fn deltas_add_up_and_their_intervals_meet() {
        let engine = Engine::builder().build().unwrap();
        let jobs = metrics::with_local_recorder(&engine, || metrics::counter!("jobs_total"));
        let mut encoder = encoder(Temporality::Delta);
        let mut interval = |engine: &Engine, at: u64| {
            let families = engine.snapshot().unwrap();
            let requests = encoder.requests(&families, BEGINNING + at);
            numbers(&requests, "jobs_total")
        };
        // A series that is 0 is made known, and then not spoken of until it moves.
        let first = interval(&engine, 10);
        assert!(matches!(first[..], [(Number::Whole(0), _, time)] if time == BEGINNING + 10));
        jobs.increment(2);
        let expected = [(Number::Whole(2), BEGINNING + 10, BEGINNING + 20)];
        assert_eq!(interval(&engine, 20), expected);
        assert_eq!(interval(&engine, 30), []);
        jobs.increment(3);
        let expected = [(Number::Whole(3), BEGINNING + 20, BEGINNING + 40)];
        assert_eq!(interval(&engine, 40), expected);
        // A clock that was set back makes no interval that ends before it starts.
        jobs.increment(1);
        let expected = [(Number::Whole(1), BEGINNING + 35, BEGINNING + 35)];
        assert_eq!(interval(&engine, 35), expected);
        // What was removed begins anew.
        engine.remove("jobs_total", |_| true);
        assert_eq!(interval(&engine, 50), []);
        std::thread::yield_now();
        jobs.increment(7);
        let again = interval(&engine, 60);
        assert!(matches!(again[..], [(Number::Whole(7), _, _)]), "{again:?}");
    }

    #[test]
    fn what_others_may_have_sent_is_in_no_difference() {
        let engine = Engine::builder().build().unwrap();
        let jobs = metrics::with_local_recorder(&engine, || metrics::counter!("jobs_total"));
        jobs.increment(5);
        let intervals = |temporality| {
            let mut encoder = Encoder::new(Vec::new(), temporality, PROGRAM);
            assert!(encoder.begin(Begin::Unknown).is_empty());
            let mut interval = |at: u64| {
                let families = engine.snapshot().unwrap();
                let requests = encoder.requests(&families, BEGINNING + at);
                numbers(&requests, "jobs_total")
            };
            let first = interval(10);
            jobs.increment(2);
            [first, interval(20)]
        };
        // It is made known, and then only what is added is sent.
        let expected = [
            [(Number::Whole(0), BEGINNING + 10, BEGINNING + 10)],
            [(Number::Whole(2), BEGINNING + 10, BEGINNING + 20)],
        ];
        assert_eq!(intervals(Temporality::Delta), expected);
        // What is whole says since when.
        let [first, second] = intervals(Temporality::Cumulative);
        assert_eq!(
            (first[0].0, second[0].0),
            (Number::Whole(7), Number::Whole(9))
        );
        assert_eq!(first[0].1, second[0].1);
        assert!(first[0].1 < BEGINNING);
    }

    #[test]
    fn another_goes_on_where_one_ended() {
        let engine = Engine::builder().build().unwrap();
        let jobs = metrics::with_local_recorder(&engine, || metrics::counter!("jobs_total"));
        jobs.increment(5);
        let sent = engine.snapshot().unwrap();
        jobs.increment(2);
        let late = metrics::with_local_recorder(&engine, || metrics::counter!("late_total"));
        late.increment(3);
        let mut encoder = encoder(Temporality::Delta);
        let left = Bytes::from_static(b"left");
        let waiting = encoder.begin(Begin::Resumed {
            families: sent,
            collected: BEGINNING + 10,
            waiting: vec![left.clone()],
        });
        assert_eq!(waiting, [left]);
        let requests = encoder.requests(&engine.snapshot().unwrap(), BEGINNING + 20);
        let expected = [(Number::Whole(2), BEGINNING + 10, BEGINNING + 20)];
        assert_eq!(numbers(&requests, "jobs_total"), expected);
        // What came since is all new.
        let late = numbers(&requests, "late_total");
        assert!(matches!(late[..], [(Number::Whole(3), _, _)]), "{late:?}");
    }

    /// The histogram of a request that has one family.
    fn exponential(request: &[u8]) -> ExponentialHistogramPoint {
        let request = Request::decode(request).unwrap();
        let metric = request.resources[0].scopes[0].metrics[0].clone();
        match metric.data.unwrap() {
            Data::ExponentialHistogram(histogram) => histogram.points[0].clone(),
            data => panic!("{data:?}"),
        }
    }

    #[test]
    fn native_buckets_alone_are_exponential_ones() {
        obs_core::families! {
            /// A histogram without declared buckets.
            struct Native {
                /// Time to fill.
                fill: obs_core::Histogram = "native_fill_seconds" { buckets: obs_core::buckets::NATIVE },
            }
        }
        let builder = Engine::builder().native_histograms(true);
        let engine = builder.build().unwrap();
        let native = metrics::with_local_recorder(&engine, Native::new);
        let mut encoder = encoder(Temporality::Delta);
        let mut interval = |at: u64| {
            let families = engine.snapshot().unwrap();
            encoder.requests(&families, BEGINNING + at)
        };
        // 2^(-16/8), which belongs to the bucket below it, 2^(-15.5/8), and what is next to 1.
        for value in [0.25, 0.26, 0.99, 0.0] {
            native.fill.record(value);
        }
        let first = exponential(&interval(10)[0]);
        assert_eq!((first.scale, first.count, first.zero_count), (3, 4, 1));
        assert_eq!(first.sum, Some(1.5));
        let positive = first.positive.unwrap();
        assert_eq!(positive.offset, -17);
        let expected = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(positive.counts, expected);
        assert_eq!(first.negative, None);
        assert!(first.zero_threshold > 0.0);
        assert_eq!(interval(20), Vec::<Vec<u8>>::new());
        native.fill.record(0.26);
        let second = exponential(&interval(30)[0]);
        assert_eq!((second.count, second.zero_count), (1, 0));
        let added = second.positive.unwrap();
        assert_eq!((added.offset, added.counts), (-16, vec![1]));
    }

    #[test]
    fn many_series_are_several_requests_and_none_is_left_out() {
        let engine = Engine::builder().build().unwrap();
        metrics::with_local_recorder(&engine, || {
            for n in 0..MOST_SERIES + 10 {
                metrics::counter!("jobs_total", "n" => n.to_string()).increment(1);
            }
        });
        let families = engine.snapshot().unwrap();
        let requests = encoder(Temporality::Cumulative).requests(&families, BEGINNING);
        assert_eq!(requests.len(), 2);
        let all = numbers(&requests, "jobs_total");
        assert_eq!(all.len(), MOST_SERIES + 10);
        assert!(all.iter().all(|(value, _, _)| *value == Number::Whole(1)));
        let first = numbers(&requests[..1], "jobs_total");
        assert!(first.len() <= MOST_SERIES);
        // Without anything recorded there is nothing to send.
        assert_eq!(
            encoder(Temporality::Delta).requests(&[], BEGINNING),
            Vec::<Vec<u8>>::new()
        );
    }

    #[test]
    fn totals_are_whole_as_long_as_they_can_be() {
        assert_eq!(total(3, 0), Number::Whole(3));
        assert_eq!(total(1_500_000_001, 9), Number::Double(1.500_000_001));
        assert_eq!(total(u64::MAX, 0), Number::Double(u64::MAX as f64));
    }

    #[test]
    fn a_unit_adds_no_word_to_a_name() {
        for (name, expected) in [
            ("fill_seconds", "s"),
            ("busy_seconds_total", "s"),
            ("size_bytes", "By"),
            ("used_ratio", "1"),
            ("orders_total", ""),
            ("seconds", ""),
        ] {
            assert_eq!(unit(name), expected, "{name}");
        }
    }
}
