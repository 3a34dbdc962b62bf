//! What a series takes of the heap, with everything that is kept for it by a recorder that one thread records to and that is scraped.
//! The counting allocator counts bytes that are asked for: they do not depend on the machine. This file holds one test.

use allocation_counter::measure;
use metrics::{Key, Label, Level, Metadata, Recorder};
use obs_recorder::{Engine, Format};

const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const METADATA: Metadata<'static> = Metadata::new("heap", Level::INFO, None);

obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 8
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 20_001
}

obs_core::families! {
    /// What there are many series of.
    struct Many {
        /// A counter each.
        count: obs_core::Each<Venue, obs_core::Each<Symbol, obs_core::Counter>> = "heap_total" { budget: 20_001 },
        /// A histogram each.
        time: obs_core::Each<Venue, obs_core::Each<Symbol, obs_core::Histogram>> = "heap_seconds" { buckets: &BOUNDS, budget: 20_001 },
    }
}

/// Series are not few: what there is for the first is not counted.
const SERIES: usize = 20_000;

fn key(name: &'static str, number: usize) -> Key {
    let labels = vec![
        Label::new("venue", format!("venue-{}", number % 8)),
        Label::new("symbol", format!("symbol-{number}")),
        Label::new("side", ["buy", "sell"][number % 2]),
    ];
    Key::from_parts(name, labels)
}

/// How many bytes each of some series takes that `add` makes.
fn bytes(native_histograms: bool, add: impl Fn(&Engine, usize)) -> f64 {
    let builder = Engine::builder()
        .catalogue(obs_core::Catalogue::of(&[Many::FAMILIES]))
        .native_histograms(native_histograms)
        .slots(8);
    let engine = builder.build().expect("a sound catalogue");
    add(&engine, 0);
    let mut text = String::with_capacity(64 << 20);
    let kept = measure(|| {
        (1..=SERIES).for_each(|number| add(&engine, number));
        engine.render_into(&mut text, Format::Classic);
    });
    kept.bytes_current as f64 / SERIES as f64
}

#[test]
fn a_series_takes_few_bytes() {
    let counter = |engine: &Engine, number| {
        let counter = engine.register_counter(&key("heap_total", number), &METADATA);
        counter.increment(1);
    };
    let histogram = |engine: &Engine, number| {
        let histogram = engine.register_histogram(&key("heap_seconds", number), &METADATA);
        // Three octaves.
        for value in [0.3, 0.7, 1.5] {
            histogram.record(value);
        }
    };
    let [counter, classic, native] = [
        bytes(false, counter),
        bytes(false, histogram),
        bytes(true, histogram),
    ];
    println!("counter {counter:.1}, histogram {classic:.1}, with native buckets {native:.1}");
    assert!(counter <= 170.0, "{counter} bytes a counter");
    assert!(classic <= 330.0, "{classic} bytes a histogram");
}
