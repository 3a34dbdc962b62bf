//! Handles that record to the engine's cells by themselves, and those that cannot because something stands in between: the same values.
//!
//! A process installs one recorder, so each case is a process of its own: this program again, with the case in a variable.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::layers::{FanoutBuilder, FilterLayer, Layer, PrefixLayer};
use obs_core::{By, Each, LocalCounter, MoneyCounter, TestRecorder, TimeCounter, cells, install};
use obs_exposition::Exposition;
use obs_memory::{Reader, Value};
use obs_recorder::{Engine, Format, MemoryOptions, NativeBuckets, SeriesValue};

/// Which case this process is.
const CASE: &str = "DIRECT_CASE";

obs_core::label! {
    /// Buy or sell.
    enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 2
}

obs_core::families! {
    /// What is counted.
    struct Counted {
        /// Things.
        things: obs_core::Counter = "direct_things_total",
        /// Things by side.
        sides: By<Side, obs_core::Counter> = "direct_sides_total",
        /// Things by symbol.
        symbols: Each<Symbol, obs_core::Counter> = "direct_symbols_total",
        /// Time.
        time: TimeCounter = "direct_seconds_total",
        /// Money.
        money: MoneyCounter = "direct_usd_total",
        /// Durations by side.
        durations: By<Side, obs_core::Histogram> = "direct_duration_seconds" { buckets: &BOUNDS },
        /// Durations without declared buckets.
        spans: obs_core::Histogram = "direct_span_seconds" { buckets: obs_core::buckets::NATIVE },
        /// Durations of which the latest are kept.
        kept: obs_core::Histogram = "direct_kept_seconds" { buckets: &BOUNDS, exemplars: true },
        /// A level by symbol.
        levels: Each<Symbol, obs_core::Gauge> = "direct_level",
    }
}

const BOUNDS: [f64; 3] = [0.0, 0.5, 1.5];

const CASES: [(&str, fn()); 13] = [
    ("installed", installed),
    ("installed, with its cells in a file", in_a_file),
    ("installed, with native buckets", with_native_buckets),
    (
        "installed, with native buckets in a file",
        with_native_buckets_in_a_file,
    ),
    ("Fanout, with native buckets", fanout_with_native_buckets),
    ("installed, with handles switched off", switched_off),
    ("Fanout", fanout),
    ("Prefix", prefix),
    ("Filter", filter),
    ("a recorder that doubles", doubling),
    ("a local recorder", local),
    ("TestRecorder", test_recorder),
    ("the stock recorder", stock),
];

#[test]
fn totals_are_the_same_whatever_is_in_between() {
    if let Ok(case) = env::var(CASE) {
        let case = CASES.iter().find(|(name, _)| *name == case);
        return case.expect("a case of this name").1();
    }
    for (name, _) in CASES {
        let mut process = Command::new(env::current_exe().unwrap());
        process
            .args(["--exact", "totals_are_the_same_whatever_is_in_between"])
            .env(CASE, name)
            .env_remove("OBS_DIRECT_HANDLES");
        if name.contains("switched off") {
            process.env("OBS_DIRECT_HANDLES", "off");
        }
        let output = process.output().unwrap();
        assert!(
            output.status.success(),
            "{name}:\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

/// Adds when it is dropped, by the counter of the thread that ends.
struct Late(RefCell<Option<LocalCounter<'static>>>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.borrow().iter().for_each(|local| local.increment(1));
    }
}

thread_local! {
    static EARLIER: Late = const { Late(RefCell::new(None)) };
    static LATER: Late = const { Late(RefCell::new(None)) };
}

const THREADS: u64 = 6;
const ROUNDS: u64 = 1_000;

/// Counts on several threads at once, of which the later ones take the slots of the earlier, while those still end.
fn count() -> &'static Counted {
    let counted: &'static Counted = Box::leak(Box::new(Counted::new()));
    let work = || {
        EARLIER.with(|_| ());
        let local = counted.things.local();
        for late in [&EARLIER, &LATER] {
            late.with(|late| late.0.replace(Some(local)));
        }
        for round in 0..ROUNDS {
            counted.things.increment(1);
            local.increment(2);
            let side = if round % 4 == 0 {
                Side::Buy
            } else {
                Side::Sell
            };
            counted.sides[side].increment(1);
            // The third is folded.
            let symbol = ["SPY", "QQQ", "IWM"][usize::try_from(round % 3).unwrap()];
            counted.symbols.of(symbol).increment(1);
            counted.time.add(Duration::from_millis(1));
            counted.money.add(0.25);
            // Quarters, whose sum is exact in any order, and what is refused.
            counted.durations[side].record((round % 8) as f64 / 4.0);
            counted.durations[side].record(-1.0);
            counted.spans.record((round % 16) as f64 / 4.0);
            counted.levels.of("SPY").increment(0.5);
            counted.levels.of("SPY").decrement(0.25);
            counted.levels.of("SPY").increment(f64::NAN);
        }
    };
    for _ in 0..2 {
        let threads: Vec<_> = (0..THREADS / 2).map(|_| thread::spawn(work)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    counted.things.absolute(7);
    let _under_way = counted.levels.of("SPY").in_flight();
    // There is one of its own for each of two, and the third's shares that of `other`.
    counted.levels.of("QQQ").set(2.0);
    counted.levels.of("QQQ").set(f64::INFINITY);
    counted.levels.of("IWM").set(3.0);
    counted
}

/// What [`count`] counts, read by a family's name and labels. Each number is counted so many times.
fn check(value: impl Fn(&str, &[(&str, &str)]) -> Option<f64>, times: f64) {
    let rounds = (THREADS * ROUNDS) as f64 * times;
    let is = |name: &str, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(value(name, labels), Some(expected), "{name} {labels:?}");
    };
    is(
        "things_total",
        &[],
        3.0 * rounds + times * 2.0 * THREADS as f64,
    );
    is("sides_total", &[("side", "buy")], rounds / 4.0);
    is("sides_total", &[("side", "sell")], rounds * 0.75);
    is(
        "level",
        &[("symbol", "SPY")],
        (THREADS * ROUNDS) as f64 / 4.0,
    );
    is("level", &[("symbol", "QQQ")], 2.0);
    let folded = value("level", &[("symbol", "other")]);
    assert!(folded.is_some_and(f64::is_nan), "{folded:?}");
    let symbol = |symbol| value("symbols_total", &[("symbol", symbol)]).unwrap();
    let symbols = ["SPY", "QQQ", "other"].map(symbol);
    assert_eq!(Some(symbols.iter().sum()), Some(rounds));
    let folded = (THREADS * (ROUNDS / 3)) as f64 * times;
    assert_eq!(Some(symbols[2]), Some(folded));
}

/// The same of an engine, which shows time and money in their units.
fn check_engine(engine: &Engine, prefix: &str) {
    let text = engine.render(Format::Classic);
    let scrape: Exposition = obs_exposition::parse(&text).unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        scrape.value(&format!("{prefix}direct_{name}"), labels)
    };
    check(value, 1.0);
    let rounds = (THREADS * ROUNDS) as f64;
    assert_eq!(value("seconds_total", &[]), Some(rounds / 1_000.0));
    assert_eq!(value("usd_total", &[]), Some(rounds / 4.0));
    check_durations(|part, labels| value(&format!("duration_seconds_{part}"), labels));
    let spans = |part: &str| value(&format!("span_seconds_{part}"), &[]);
    assert_eq!(spans("count"), Some(rounds));
    assert_eq!(spans("sum"), Some(SPANS));
    let refused = value_of_refused(&scrape, prefix);
    assert_eq!(refused, Some(rounds));
}

/// The sum of the spans that [`count`] records: sixteen to a turn, of which the last is not whole.
const SPANS: f64 = {
    let (turns, rest) = (ROUNDS / 16, ROUNDS % 16);
    let quarters = turns * 120 + rest * (rest - 1) / 2;
    (THREADS * quarters) as f64 / 4.0
};

/// How many durations were refused.
fn value_of_refused(scrape: &Exposition, prefix: &str) -> Option<f64> {
    let labels = [("metric", "direct_duration_seconds")];
    scrape.value(&format!("{prefix}obs_samples_rejected_total"), &labels)
}

/// The durations that [`count`] records, by their buckets, count and sum.
fn check_durations(value: impl Fn(&str, &[(&str, &str)]) -> Option<f64>) {
    let eighths = (THREADS * ROUNDS / 8) as f64;
    // Buys are every fourth: 0 and 4 of the eight.
    for (side, cumulated, sum) in [
        ("buy", [1.0, 1.0, 2.0, 2.0], 1.0),
        ("sell", [0.0, 2.0, 5.0, 6.0], 6.0),
    ] {
        for (bound, held) in ["0", "0.5", "1.5", "+Inf"].into_iter().zip(cumulated) {
            let bucket = value("bucket", &[("side", side), ("le", bound)]);
            assert_eq!(bucket, Some(held * eighths), "{side} {bound}");
        }
        let labels = [("side", side)];
        assert_eq!(value("count", &labels), Some(cumulated[3] * eighths));
        assert_eq!(value("sum", &labels), Some(sum * eighths));
    }
}

fn engine() -> Engine {
    Engine::builder().build().unwrap()
}

fn installed() {
    let engine = engine();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(cells::is_direct(&counted.things));
    assert!(cells::is_direct(&counted.durations[Side::Buy]));
    assert!(cells::is_direct(counted.levels.of("SPY")));
    assert!(!cells::is_direct(counted.levels.of("IWM")), "it is folded");
    check_engine(&engine, "");
    // What is removed comes back with what is added since.
    assert_eq!(engine.remove("direct_things_total", |_| true), 1);
    assert!(
        !engine
            .render(Format::Classic)
            .contains("direct_things_total")
    );
    counted.things.increment(1);
    counted.things.local().increment(2);
    assert_eq!(engine.remove("direct_duration_seconds", |_| true), 2);
    counted.durations[Side::Buy].record(0.75);
    assert_eq!(engine.remove("direct_level", |_| true), 3);
    // Set to what a removed one begins with, which is something nevertheless.
    counted.levels.of("QQQ").set(0.0);
    counted.levels.of("IWM").increment(4.0);
    let text = engine.render(Format::Classic);
    assert!(text.contains("\ndirect_things_total 3\n"));
    assert!(text.contains("\ndirect_duration_seconds_sum{side=\"buy\"} 0.75\n"));
    assert!(!text.contains("direct_duration_seconds_sum{side=\"sell\"}"));
    assert!(text.contains("\ndirect_level{symbol=\"QQQ\"} 0\n"));
    assert!(text.contains("\ndirect_level{symbol=\"other\"} 4\n"));
    assert!(!text.contains("direct_level{symbol=\"SPY\"}"));
}

/// Files are mapped on Linux alone.
fn in_a_file() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("direct.obs");
    // The folder may be on a disk.
    let options = MemoryOptions::default().any_file_system(true);
    let engine = Engine::builder().memory(&path, options).build().unwrap();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(cells::is_direct(&counted.things));
    assert!(cells::is_direct(&counted.durations[Side::Buy]));
    check_engine(&engine, "");
    let reading = Reader::open(&path).unwrap().read().unwrap();
    assert!(reading.is_complete);
    let first_of = |name: &str| {
        let family = reading.families.iter().find(|family| family.name == name);
        family.unwrap().series[0].value.clone()
    };
    let things = Value::Counter {
        number: THREADS * (3 * ROUNDS + 2),
        decimals: 0,
    };
    assert_eq!(first_of("direct_things_total"), things);
    let eighths = THREADS * ROUNDS / 8;
    let buys = Value::Histogram {
        buckets: [1, 0, 1, 0].map(|held| held * eighths).to_vec(),
        sum: eighths as f64,
    };
    assert_eq!(first_of("direct_duration_seconds"), buys);
}

fn native_engine() -> Engine {
    Engine::builder().native_histograms(true).build().unwrap()
}

/// The native buckets of the only series of a family.
fn native_buckets(engine: &Engine, family: &str) -> NativeBuckets {
    let families = engine.snapshot().unwrap();
    let family = families.iter().find(|found| found.name == family);
    match &family.unwrap().series[0].value {
        SeriesValue::Histogram { native, .. } => native.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn with_native_buckets() {
    let engine = native_engine();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(cells::is_direct(&counted.durations[Side::Sell]));
    assert!(cells::is_direct(&counted.spans));
    assert!(!cells::is_direct(&counted.kept), "it keeps exemplars");
    check_engine(&engine, "");
    // Quarters up to 3.75, 0 among them: by the bucket that ends at or above each.
    let spans = native_buckets(&engine, "direct_span_seconds");
    let turns = |quarter: u64| ROUNDS / 16 + u64::from(quarter < ROUNDS % 16);
    let mut expected = BTreeMap::new();
    for quarter in 1..16 {
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm from -2 to 2")]
        let index = ((quarter as f64 / 4.0).log2() * 8.0).ceil() as i32;
        *expected.entry(index).or_default() += THREADS * turns(quarter);
    }
    assert_eq!(spans.zero_count, THREADS * turns(0));
    assert_eq!(
        spans.positive.into_iter().collect::<BTreeMap<_, _>>(),
        expected
    );
    // What is removed comes back with what is added since, also in octaves that it had.
    assert_eq!(engine.remove("direct_span_seconds", |_| true), 1);
    counted.spans.record(0.75);
    counted.spans.record(1e6);
    counted.spans.record(0.0);
    let spans = native_buckets(&engine, "direct_span_seconds");
    assert_eq!(spans.zero_count, 1);
    assert_eq!(spans.positive, [(-3, 1), (160, 1)]);
}

/// Files are mapped on Linux alone.
fn with_native_buckets_in_a_file() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("native.obs");
    let builder = Engine::builder().native_histograms(true);
    // The folder may be on a disk.
    let options = MemoryOptions::default().any_file_system(true);
    let engine = builder.memory(&path, options).build().unwrap();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(cells::is_direct(&counted.spans));
    check_engine(&engine, "");
    let reading = Reader::open(&path).unwrap().read().unwrap();
    assert!(reading.is_complete);
    let mut families = reading.families.iter();
    let spans = families.find(|family| family.name == "direct_span_seconds");
    let spans = spans.unwrap().series[0].native.as_ref().unwrap();
    let shown = native_buckets(&engine, "direct_span_seconds");
    assert_eq!(spans.zero_count, shown.zero_count);
    let positive: Vec<_> = spans
        .positive
        .iter()
        .map(|(at, held)| (*at, *held))
        .collect();
    assert_eq!(positive, shown.positive);
}

fn switched_off() {
    let engine = native_engine();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(!cells::is_direct(&counted.things));
    assert!(!cells::is_direct(&counted.spans));
    check_engine(&engine, "");
}

fn fanout() {
    fanout_of(&engine(), &engine());
}

fn fanout_with_native_buckets() {
    fanout_of(&native_engine(), &engine());
}

fn fanout_of(one: &Engine, other: &Engine) {
    let both = FanoutBuilder::default();
    let both = both.add_recorder(one.clone()).add_recorder(other.clone());
    // `Fanout` is not `Send`, and so nothing that `install` takes.
    metrics::set_global_recorder(both.build()).unwrap();
    let counted = count();
    assert!(!cells::is_direct(&counted.things));
    assert!(!cells::is_direct(&counted.spans));
    check_engine(one, "");
    check_engine(other, "");
}

fn prefix() {
    let engine = engine();
    install(PrefixLayer::new("desk").layer(engine.clone())).unwrap();
    assert!(!cells::is_direct(&count().things));
    check_engine(&engine, "desk_");
}

fn filter() {
    let engine = engine();
    install(FilterLayer::from_patterns(["direct_hidden"]).layer(engine.clone())).unwrap();
    assert!(!cells::is_direct(&count().things));
    check_engine(&engine, "");
}

/// A recorder that lies where its engine does, and adds everything twice.
struct Doubling(Engine);

struct Twice(Counter);

impl CounterFn for Twice {
    fn increment(&self, n: u64) {
        self.0.increment(2 * n);
    }

    fn absolute(&self, total: u64) {
        self.0.absolute(2 * total);
    }
}

impl Recorder for Doubling {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.0.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Twice(self.0.register_counter(key, metadata))))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

fn doubling() {
    let engine = engine();
    install(Doubling(engine.clone())).unwrap();
    count();
    let scrape = obs_exposition::parse(&engine.render(Format::Classic)).unwrap();
    check(
        |name, labels| scrape.value(&format!("direct_{name}"), labels),
        2.0,
    );
    let name = |part: &str| format!("direct_duration_seconds_{part}");
    check_durations(|part, labels| scrape.value(&name(part), labels));
}

fn local() {
    let (global, local) = (engine(), engine());
    install(global.clone()).unwrap();
    assert!(!cells::is_direct(
        &metrics::with_local_recorder(&local, count).things
    ));
    let scrape = obs_exposition::parse(&local.render(Format::Classic)).unwrap();
    assert_eq!(scrape.value("direct_usd_total", &[]), Some(1_500.0));
    let name = |part: &str| format!("direct_duration_seconds_{part}");
    check_durations(|part, labels| scrape.value(&name(part), labels));
    assert!(!global.render(Format::Classic).contains("direct_things"));
}

fn test_recorder() {
    let global = engine();
    install(global.clone()).unwrap();
    let recorder = TestRecorder::new();
    let counted = recorder.run(count);
    assert!(!cells::is_direct(&counted.things));
    check(
        |name, labels| {
            let name = format!("direct_{name}");
            let total = recorder.counter(&name, labels);
            let total = total.map(|total| total as f64);
            total.or_else(|| recorder.gauge(&name, labels))
        },
        1.0,
    );
    let sells = recorder.samples("direct_duration_seconds", &[("side", "sell")]);
    let sells = sells.unwrap();
    let expected = THREADS * ROUNDS / 8 * 6;
    assert_eq!(sells.len() as u64, expected);
    assert_eq!(Some(sells.iter().sum::<f64>()), Some(expected as f64));
    assert!(!global.render(Format::Classic).contains("direct_things"));
}

fn stock() {
    let stock = PrometheusBuilder::new().set_buckets(&BOUNDS).unwrap();
    let stock = stock.build_recorder();
    let handle = stock.handle();
    install(stock).unwrap();
    assert!(!cells::is_direct(&count().things));
    let scrape = obs_exposition::parse(&handle.render()).unwrap();
    check(
        |name, labels| scrape.value(&format!("direct_{name}"), labels),
        1.0,
    );
    let name = |part: &str| format!("direct_duration_seconds_{part}");
    check_durations(|part, labels| scrape.value(&name(part), labels));
}
