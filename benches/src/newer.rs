//! Libraries that are about recording alone: they have no labels that are known at run time only, or no scrape in a format of Prometheus.

use std::hint::black_box;

use crate::contest::Contender;
use crate::library::{BOUNDS, repeat, sample, slot_of};

thread_local! {
    /// As its documentation has it: an event belongs to a thread, and is a count and a sum.
    static COUNT: nm::Event = nm::Event::builder().name("bench_total").build();
    static TIME: nm::Event = nm::Event::builder().name("bench_microseconds").histogram(MICROSECONDS).build();
}

/// [`BOUNDS`], as whole numbers.
const MICROSECONDS: &[nm::Magnitude] = &[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];

/// What [`sample`] gives, as whole numbers.
const SAMPLES: [u32; 8] = [
    3_000, 20_000, 40_000, 300_000, 700_000, 1_500_000, 4_000_000, 20_000_000,
];

#[inline]
fn microseconds(n: u64) -> u32 {
    black_box(SAMPLES[slot_of(n)])
}

pub(crate) fn counters<'a>() -> Vec<Contender<'a>> {
    let (metrics_lib, sharded) = (
        metrics_lib::Counter::new(),
        metrics_lib::ShardedCounter::new(),
    );
    let metriken = metriken::Counter::new();
    let group = metriken::ShardedCounterGroup::new(1);
    vec![
        Contender::new("nm", |n| {
            COUNT.with(|count| {
                repeat(n, |_| {
                    black_box(1);
                    count.observe_once();
                });
            });
        }),
        Contender::new("metrics-lib", move |n| {
            repeat(n, |_| metrics_lib.add(black_box(1)));
        }),
        Contender::new("metrics-lib, sharded", move |n| {
            repeat(n, |_| sharded.add(black_box(1)));
        }),
        Contender::new("metriken", move |n| {
            repeat(n, |_| _ = metriken.add(black_box(1)));
        }),
        Contender::new("metriken, sharded", move |n| {
            repeat(n, |_| _ = group.add(0, black_box(1)));
        }),
    ]
}

pub(crate) fn gauges<'a>() -> Vec<Contender<'a>> {
    let metrics_lib = metrics_lib::Gauge::new();
    let metriken = metriken::Gauge::new();
    vec![
        Contender::new("metrics-lib", move |n| {
            repeat(n, |n| metrics_lib.set(sample(n)));
        }),
        // Whole numbers.
        Contender::new("metriken", move |n| {
            repeat(n, |n| _ = metriken.set(microseconds(n).into()));
        }),
    ]
}

pub(crate) fn histograms<'a>() -> Vec<Contender<'a>> {
    let metrics_lib = metrics_lib::Histogram::with_buckets(BOUNDS);
    // Eight buckets to an octave, as our native ones, and no sum.
    let metriken = metriken::AtomicCounterHistogram::new(3, 64);
    vec![
        Contender::new("nm", |n| {
            TIME.with(|time| repeat(n, |n| time.observe(microseconds(n))));
        }),
        Contender::new("metrics-lib", move |n| {
            repeat(n, |n| metrics_lib.observe(sample(n)));
        }),
        Contender::new("metriken", move |n| {
            repeat(n, |n| _ = metriken.increment(microseconds(n).into()));
        }),
    ]
}
