//! Counters that add to the engine's cells by themselves, and those that cannot because something stands in between: the same totals.
//!
//! A process installs one recorder, so each case is a process of its own: this program again, with the case in a variable.

use std::cell::RefCell;
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
use obs_recorder::{Engine, Format, MemoryOptions};

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
    }
}

const CASES: [(&str, fn()); 10] = [
    ("installed", installed),
    ("installed, with its cells in a file", in_a_file),
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
        }
    };
    for _ in 0..2 {
        let threads: Vec<_> = (0..THREADS / 2).map(|_| thread::spawn(work)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
    counted.things.absolute(7);
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
}

fn engine() -> Engine {
    Engine::builder().build().unwrap()
}

fn installed() {
    let engine = engine();
    install(engine.clone()).unwrap();
    let counted = count();
    assert!(cells::is_direct(&counted.things));
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
    assert!(
        engine
            .render(Format::Classic)
            .contains("\ndirect_things_total 3\n")
    );
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
    check_engine(&engine, "");
    let reading = Reader::open(&path).unwrap().read().unwrap();
    assert!(reading.is_complete);
    let mut families = reading.families.iter();
    let things = families.find(|family| family.name == "direct_things_total");
    let number = THREADS * (3 * ROUNDS + 2);
    let value = Value::Counter {
        number,
        decimals: 0,
    };
    assert_eq!(things.unwrap().series[0].value, value);
}

fn switched_off() {
    let engine = engine();
    install(engine.clone()).unwrap();
    assert!(!cells::is_direct(&count().things));
    check_engine(&engine, "");
}

fn fanout() {
    let (one, other) = (engine(), engine());
    let both = FanoutBuilder::default();
    let both = both.add_recorder(one.clone()).add_recorder(other.clone());
    // `Fanout` is not `Send`, and so nothing that `install` takes.
    metrics::set_global_recorder(both.build()).unwrap();
    assert!(!cells::is_direct(&count().things));
    check_engine(&one, "");
    check_engine(&other, "");
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
}

fn local() {
    let (global, local) = (engine(), engine());
    install(global.clone()).unwrap();
    assert!(!cells::is_direct(
        &metrics::with_local_recorder(&local, count).things
    ));
    let scrape = obs_exposition::parse(&local.render(Format::Classic)).unwrap();
    assert_eq!(scrape.value("direct_usd_total", &[]), Some(1_500.0));
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
            let total = recorder.counter(&format!("direct_{name}"), labels);
            total.map(|total| total as f64)
        },
        1.0,
    );
    assert!(!global.render(Format::Classic).contains("direct_things"));
}

fn stock() {
    let stock = PrometheusBuilder::new().build_recorder();
    let handle = stock.handle();
    install(stock).unwrap();
    assert!(!cells::is_direct(&count().things));
    let scrape = obs_exposition::parse(&handle.render()).unwrap();
    check(
        |name, labels| scrape.value(&format!("direct_{name}"), labels),
        1.0,
    );
}
