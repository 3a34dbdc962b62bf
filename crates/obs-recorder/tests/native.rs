//! Native histograms: the same observations as the declared buckets, in Prometheus' own.

mod messages;

use std::collections::BTreeMap;

use messages::{BucketSpan, Histogram, MetricFamily, read};
use obs_core::buckets;
use obs_recorder::{Engine, Format, Names, SeriesValue};
use proptest::prelude::*;

obs_core::families! {
    /// Families with bounds of several sorts.
    struct Sample {
        /// Time to fill.
        fill: obs_core::Histogram = "sample_fill_seconds" { buckets: buckets::ORDER_TIME },
        /// What slipped.
        slip: obs_core::Histogram = "sample_slippage_bps" { buckets: buckets::SIGNED_BPS },
        /// A share, with the bucket of 0.
        share: obs_core::Histogram = "sample_share_ratio" { buckets: buckets::SHARE },
    }
}

fn engine(native_histograms: bool, slots: usize) -> (Engine, Sample) {
    let engine = Engine::builder()
        .native_histograms(native_histograms)
        .slots(slots)
        .build()
        .unwrap();
    let sample = metrics::with_local_recorder(&engine, Sample::new);
    (engine, sample)
}

impl Sample {
    fn all(&self) -> [&obs_core::Histogram; 3] {
        [&self.fill, &self.slip, &self.share]
    }
}

fn families(engine: &Engine) -> Vec<MetricFamily> {
    let mut bytes = Vec::new();
    let names = Names::default();
    engine.render_protobuf_into(&mut bytes, names).unwrap();
    read(&bytes)
}

/// The histogram of a family of one series.
fn histogram(engine: &Engine, name: &str) -> Histogram {
    let families = families(engine);
    let family = families.iter().find(|family| family.name == name).unwrap();
    family.metric[0].histogram.clone().unwrap()
}

/// What spans and deltas say, by index; buckets that hold nothing are left out.
fn side(spans: &[BucketSpan], deltas: &[i64]) -> BTreeMap<i32, u64> {
    let (mut held, mut deltas) = (BTreeMap::new(), deltas.iter());
    let (mut index, mut count) = (0, 0);
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            if count != 0 {
                held.insert(index, u64::try_from(count).unwrap());
            }
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None);
    held
}

/// The index of a value that is a power of two or no bound, by its logarithm.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a finite number's logarithm is within 1100"
)]
fn index(value: f64) -> i32 {
    (value.abs().log2() * 8.0).ceil() as i32
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-30.0_f64..25.0).prop_map(f64::exp2),
        4 => -2000.0..2000.0,
        1 => -1.0..1.0,
        1 => Just(0.0),
        1 => proptest::sample::select(buckets::SIGNED_BPS),
        1 => proptest::sample::select(buckets::ORDER_TIME),
        1 => Just(1e300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// With and without native buckets, one thread's and everybody's cells show the same text; and the native ones hold each value.
    #[test]
    fn both_views_have_every_observation(
        values in proptest::collection::vec((value(), 1_usize..4), 0..80),
        removed_at in 0_usize..100,
        slots in prop_oneof![Just(0), Just(8)],
    ) {
        let ((native, of_native), (classic, of_classic)) = (engine(true, slots), engine(false, slots));
        let (mut positive, mut negative) = (BTreeMap::new(), BTreeMap::new());
        let (mut zeroes, mut count) = (0, 0);
        for (number, (value, times)) in values.iter().enumerate() {
            if number == removed_at {
                for engine in [&native, &classic] {
                    prop_assert_eq!(engine.remove("sample_slippage_bps", |_| true), 1);
                }
                (positive, negative, zeroes, count) = (BTreeMap::new(), BTreeMap::new(), 0, 0);
            }
            for histogram in of_native.all().into_iter().chain(of_classic.all()) {
                for _ in 0..*times {
                    histogram.record(*value);
                }
            }
            count += *times as u64;
            match value {
                0.0 => zeroes += *times as u64,
                _ if *value > 0.0 => *positive.entry(index(*value)).or_default() += *times as u64,
                _ => *negative.entry(index(*value)).or_default() += *times as u64,
            }
        }
        for format in [Format::Classic, Format::OpenMetrics] {
            let without_sums = |text: String| -> Vec<String> {
                // Floats that are added in another order differ by their last digit.
                text.lines().filter(|line| !line.contains("_sum")).map(str::to_owned).collect()
            };
            prop_assert_eq!(without_sums(native.render(format)), without_sums(classic.render(format)));
        }
        if count == 0 {
            return Ok(());
        }
        let found = histogram(&native, "sample_slippage_bps");
        prop_assert_eq!(found.schema, Some(3));
        prop_assert_eq!(found.zero_threshold, Some(2_f64.powi(-128)));
        prop_assert_eq!(found.sample_count, count);
        prop_assert_eq!(found.zero_count, Some(zeroes));
        prop_assert_eq!(side(&found.positive_span, &found.positive_delta), positive);
        prop_assert_eq!(side(&found.negative_span, &found.negative_delta), negative);
        let last = found.bucket.last().unwrap();
        prop_assert_eq!((last.cumulative_count, last.upper_bound), (count, f64::INFINITY));
    }
}

#[test]
fn sums_are_those_of_the_observations() {
    let (native, sample) = engine(true, 8);
    let values = [0.5, 0.25, -1.0, 1e-9, 3e6, 0.0, 0.125];
    for value in values {
        sample.slip.record(value);
    }
    let found = histogram(&native, "sample_slippage_bps");
    let sum: f64 = values.iter().sum();
    assert!(
        (found.sample_sum - sum).abs() < 1e-6,
        "{}",
        found.sample_sum
    );
}

#[test]
fn without_them_there_are_none_and_a_new_series_has_empty_ones() {
    let (native, _sample) = engine(true, 8);
    let empty = histogram(&native, "sample_fill_seconds");
    assert_eq!((empty.schema, empty.sample_count), (Some(3), 0));
    // By this Prometheus knows one that holds nothing yet.
    assert!(empty.zero_threshold.unwrap() > 0.0);
    let (classic, _sample) = engine(false, 8);
    let without = histogram(&classic, "sample_fill_seconds");
    assert_eq!((without.schema, without.zero_threshold), (None, None));
}

#[test]
fn what_is_no_number_is_in_no_bucket() {
    let (native, sample) = engine(true, 8);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        sample.slip.record(value);
    }
    sample.slip.record(f64::MAX);
    sample.slip.record(-f64::MAX);
    sample.slip.record(5e-324);
    let found = histogram(&native, "sample_slippage_bps");
    assert_eq!((found.sample_count, found.zero_count), (3, Some(1)));
    let greatest = BTreeMap::from([(8192, 1)]);
    assert_eq!(side(&found.positive_span, &found.positive_delta), greatest);
    assert_eq!(side(&found.negative_span, &found.negative_delta), greatest);
}

#[test]
fn a_histogram_that_is_dropped_gives_its_cells_back_clean() {
    let engine = Engine::builder().native_histograms(true).build().unwrap();
    let record = |venue: &str, value: f64| {
        metrics::with_local_recorder(&engine, || {
            metrics::histogram!("open_seconds", "venue" => venue.to_owned()).record(value);
        });
    };
    for round in 0..20 {
        let venue = round.to_string();
        record(&venue, 1.5);
        record(&venue, -7.0);
        let found = histogram(&engine, "open_seconds");
        assert_eq!(found.sample_count, 2, "{round}");
        assert_eq!(engine.remove("open_seconds", |_| true), 1);
    }
}

/// With reserved cells, recording in the declared range takes no memory, whatever its bounds are; both views are as without.
#[test]
fn reserved_cells_are_there_before_the_first_value() {
    let build = |reserved| {
        let builder = Engine::builder().native_histograms(true);
        let builder = builder.reserve_native_cells(reserved);
        let engine = builder.build().unwrap();
        let sample = metrics::with_local_recorder(&engine, Sample::new);
        (engine, sample)
    };
    let record = |sample: &Sample| {
        for [least, most] in [[1e-7, 2_592_000.0], [0.05, 1.0], [1.0, 1_000.0]] {
            let mut value: f64 = least;
            while value <= most {
                sample.fill.record(value.clamp(1e-7, 2_592_000.0));
                sample.share.record(value.clamp(0.05, 1.0));
                sample.slip.record(value.clamp(1.0, 1_000.0));
                sample.slip.record(-value.clamp(1.0, 1_000.0));
                value *= 1.05;
            }
        }
        sample.share.record(0.0);
        sample.slip.record(0.0);
    };
    let (engine, sample) = build(true);
    let taken = allocation_counter::measure(|| record(&sample));
    assert_eq!(taken.count_total, 0);
    let (plain, other) = build(false);
    let taken = allocation_counter::measure(|| record(&other));
    assert!(taken.count_total > 0, "the range is wider than a chunk");
    for name in [
        "sample_fill_seconds",
        "sample_share_ratio",
        "sample_slippage_bps",
    ] {
        let (reserved, late) = (histogram(&engine, name), histogram(&plain, name));
        let views = |found: &Histogram| {
            let positive = side(&found.positive_span, &found.positive_delta);
            let negative = side(&found.negative_span, &found.negative_delta);
            let buckets = found.bucket.iter().map(|bucket| bucket.cumulative_count);
            (
                positive,
                negative,
                found.zero_count,
                buckets.collect::<Vec<_>>(),
            )
        };
        assert_eq!(views(&reserved), views(&late), "{name}");
    }
}

/// Threads that begin at once find one chunk, whichever of them makes it, and no addition is lost.
#[test]
fn threads_share_chunks_that_are_made_under_way() {
    for slots in [0, 1, 16] {
        let (native, sample) = engine(true, slots);
        std::thread::scope(|scope| {
            for thread in [1, 3, 7, 9] {
                let sample = &sample;
                scope.spawn(move || {
                    for number in 0..4000 {
                        // All octaves, in an order that differs from thread to thread.
                        let octave = (number * thread) % 40 - 20;
                        sample.fill.record(2_f64.powi(octave) * 1.01);
                        sample.slip.record(-2_f64.powi(octave) * 1.01);
                    }
                });
            }
            for _ in 0..20 {
                let found = histogram(&native, "sample_fill_seconds");
                let in_buckets: u64 = side(&found.positive_span, &found.positive_delta)
                    .values()
                    .sum();
                assert_eq!(in_buckets, found.sample_count);
                assert_eq!(
                    found.bucket.last().unwrap().cumulative_count,
                    found.sample_count
                );
            }
        });
        let found = histogram(&native, "sample_fill_seconds");
        let held = side(&found.positive_span, &found.positive_delta);
        assert_eq!(held.len(), 40, "{slots} slots");
        assert!(held.values().all(|count| *count == 400), "{held:?}");
        let found = histogram(&native, "sample_slippage_bps");
        let held = side(&found.negative_span, &found.negative_delta);
        assert!(held.values().all(|count| *count == 400), "{held:?}");
    }
}

#[test]
fn a_family_is_read_by_its_name() {
    let (engine, sample) = engine(true, 2);
    sample.fill.record(0.3);
    let mut found = Vec::new();
    engine.each_of("sample_fill_seconds", |labels, value| {
        found.push((labels.to_owned(), value.clone()));
    });
    let families = engine.snapshot().unwrap();
    let mut families = families.iter();
    let family = families.find(|family| family.name == "sample_fill_seconds");
    let shown = family.unwrap().series[0].value.clone();
    assert_eq!(found, [(String::new(), shown.clone())]);
    let SeriesValue::Histogram { native, .. } = shown else {
        panic!("{shown:?}");
    };
    // 0.3 lies between 2^(-14/8) and 2^(-13/8).
    assert_eq!(native.unwrap().positive, [(-13, 1)]);
}
