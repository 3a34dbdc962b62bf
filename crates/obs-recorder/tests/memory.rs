//! An engine whose numbers are in a mapped file, as another process reads them.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use metrics::{counter, gauge, histogram, with_local_recorder};
use obs_memory::{Options, Reader, Reading, Value};
use obs_recorder::{Builder, Engine, EngineError, Format, NativeBuckets, SeriesValue};
use proptest::prelude::*;
use tempfile::TempDir;

fn mapped(folder: &TempDir, builder: Builder) -> (Engine, PathBuf) {
    let path = folder.path().join("desk.obs");
    // The folder may be on a disk.
    let options = Options::default().any_file_system(true);
    let engine = builder.memory(&path, options).build().unwrap();
    (engine, path)
}

fn read(path: &Path) -> Reading {
    Reader::open(path).unwrap().read().unwrap()
}

type Labels = Vec<(String, String)>;

/// How native buckets are made, how many are in the zero bucket, and those below and above it.
type Native = (i32, f64, u64, [BTreeMap<i32, u64>; 2]);

type Shown = BTreeMap<(String, Labels), (Value, Option<Native>)>;

/// What a scrape shows, but for quantiles, which are computed.
fn shown(engine: &Engine) -> Shown {
    let mut shown = BTreeMap::new();
    for family in engine.snapshot().unwrap() {
        for series in family.series {
            let labels: BTreeMap<_, _> = series.labels.into_iter().collect();
            let native = match &series.value {
                SeriesValue::Histogram { native, .. } => native.as_ref().map(|native| {
                    let sides = [&native.negative, &native.positive];
                    let sides = sides.map(|side| side.iter().copied().collect());
                    let NativeBuckets {
                        schema,
                        zero_threshold,
                        zero_count,
                        ..
                    } = *native;
                    (schema, zero_threshold, zero_count, sides)
                }),
                _ => None,
            };
            let value = match series.value {
                SeriesValue::Counter { number, decimals } => Value::Counter { number, decimals },
                SeriesValue::Gauge(value) => Value::Gauge(value),
                SeriesValue::Histogram { buckets, sum, .. } => Value::Histogram { buckets, sum },
                SeriesValue::Summary { count, sum, .. } => Value::Summary { count, sum },
                other => panic!("{other:?}"),
            };
            let key = (family.name.clone(), labels.into_iter().collect());
            shown.insert(key, (value, native));
        }
    }
    shown
}

/// The same of what a reader finds.
fn filed(reading: &Reading) -> Shown {
    let mut shown = BTreeMap::new();
    for family in &reading.families {
        for series in &family.series {
            let mut labels = reading.globals.clone();
            labels.extend(series.labels.iter().cloned());
            let labels = labels.into_iter().collect();
            let native = series.native.as_ref().map(|native| {
                let sides = [native.negative.clone(), native.positive.clone()];
                (
                    native.schema,
                    native.zero_threshold,
                    native.zero_count,
                    sides,
                )
            });
            let key = (family.name.clone(), labels);
            shown.insert(key, (series.value.clone(), native));
        }
    }
    shown
}

#[test]
fn a_reader_finds_what_a_scrape_shows() {
    let folder = TempDir::new().unwrap();
    let builder = Engine::builder().global_label("service", "desk");
    let (engine, path) = mapped(&folder, builder.buckets("fill", &[0.5, 1.0]));
    let record = |times: u64| {
        with_local_recorder(&engine, || {
            counter!("orders_total", "side" => "buy").increment(times);
            counter!("orders_total", "side" => "say \"hi\"\n").increment(1);
            gauge!("depth").set(-2.5);
            histogram!("fill").record_many(0.75, 3);
            histogram!("unbounded").record(4.0);
        });
    };
    std::thread::scope(|scope| {
        (1..=4).for_each(|times| {
            scope.spawn(move || record(times));
        });
    });
    let reading = read(&path);
    assert!(reading.is_alive && reading.is_complete);
    let (filed, shown) = (filed(&reading), shown(&engine));
    assert_eq!(filed, shown);
    let buys = ("orders_total", [("service", "desk"), ("side", "buy")]);
    let labels = buys
        .1
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ten = Value::Counter {
        number: 10,
        decimals: 0,
    };
    assert_eq!(filed[&(buys.0.to_owned(), labels.to_vec())].0, ten);
    assert_eq!(engine.memory_lost(), None);
}

#[test]
fn help_decimals_and_bounds_of_declarations_are_in_the_file() {
    obs_core::families! {
        /// Orders.
        struct Orders() {
            /// Orders that are open.
            open: obs_core::Gauge = "trading_open_orders",
            /// Time in the market.
            exposed: obs_core::TimeCounter = "trading_exposed_seconds_total",
        }
    }
    let folder = TempDir::new().unwrap();
    let (engine, path) = mapped(&folder, Engine::builder());
    with_local_recorder(&engine, || {
        let orders = Orders::new();
        orders.open.set(3.0);
        orders.exposed.add(std::time::Duration::from_millis(1500));
    });
    let reading = read(&path);
    assert_eq!(filed(&reading), shown(&engine));
    let exposed = &reading.families[0];
    assert_eq!(exposed.name, "trading_exposed_seconds_total");
    assert_eq!(exposed.help, "Time in the market.");
    let value = Value::Counter {
        number: 1_500_000_000,
        decimals: 9,
    };
    assert_eq!(exposed.series[0].value, value);
}

/// The octaves come with their first values, on whichever thread these are recorded.
#[test]
fn native_buckets_are_in_the_file() {
    let folder = TempDir::new().unwrap();
    let builder = Engine::builder().buckets("fill", &[-1.0, 0.5, 1.0]);
    let (engine, path) = mapped(&folder, builder.native_histograms(true));
    let mut reader = Reader::open(&path).unwrap();
    let values = [-3.0, -1.0, 0.0, 0.5, 0.75, 1e-9, 1e9];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                with_local_recorder(&engine, || {
                    let fill = histogram!("fill");
                    for value in values {
                        fill.record(value);
                    }
                });
            });
        }
    });
    let reading = reader.read().unwrap();
    assert_eq!(filed(&reading), shown(&engine));
    let fill = &reading.families[0].series[0];
    let Value::Histogram { buckets, sum } = &fill.value else {
        panic!("{:?}", fill.value);
    };
    assert_eq!(
        (&**buckets, *sum),
        (&[8, 12, 4, 4][..], 4.0 * values.iter().sum::<f64>())
    );
    let native = fill.native.as_ref().unwrap();
    // 2^(-8/8) is the upper bound of 0.5, and 2^(-3/8) that of 0.75.
    assert_eq!((native.positive[&-8], native.positive[&-3]), (4, 4));
    assert_eq!((native.zero_count, native.negative[&0]), (4, 4));
    assert_eq!(engine.memory_lost(), None);
}

#[test]
fn a_gauge_of_a_file_begins_undefined_unless_something_was_said_of_it() {
    obs_core::families! {
        /// Orders.
        struct Orders() {
            /// When the last one was sent.
            sent: obs_core::Gauge = "order_sent_timestamp_seconds",
            /// Orders that are open.
            open: obs_core::Gauge = "orders_open",
        }
    }
    let folder = TempDir::new().unwrap();
    let (engine, path) = mapped(&folder, Engine::builder());
    let shared: std::sync::Arc<dyn metrics::Recorder + Send + Sync> =
        std::sync::Arc::new(engine.clone());
    let orders = || obs_core::with_recorder(&shared, Orders::new);
    let value = |name: &str| match shown(&engine)[&(name.to_owned(), Labels::new())].0 {
        Value::Gauge(value) => value,
        ref other => panic!("{other:?}"),
    };
    let first = orders();
    assert_eq!(value("orders_open").to_bits(), 0_f64.to_bits());
    assert_eq!(filed(&read(&path)), shown(&engine));
    first.sent.begin_undefined();
    assert!(value("order_sent_timestamp_seconds").is_nan());
    first.sent.set(7);
    orders().sent.begin_undefined();
    assert_eq!(
        value("order_sent_timestamp_seconds").to_bits(),
        7_f64.to_bits()
    );
    assert_eq!(filed(&read(&path)), shown(&engine));
}

#[test]
fn a_second_engine_of_the_same_file_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let (_engine, path) = mapped(&folder, Engine::builder());
    let options = Options::default().any_file_system(true);
    let refused = Engine::builder()
        .memory(&path, options)
        .build()
        .unwrap_err();
    assert!(matches!(refused, EngineError::Memory { .. }));
    let text = refused.to_string();
    assert!(
        text.contains("desk.obs is recorded to by process"),
        "{text}"
    );
}

#[test]
fn beyond_its_memory_an_engine_loses_nothing_and_says_that_the_file_does() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("desk.obs");
    let options = Options::default().any_file_system(true).limit(1 << 20);
    let engine = Engine::builder().memory(&path, options).build().unwrap();
    with_local_recorder(&engine, || {
        for venue in 0..40 {
            for number in 0..900_u64 {
                let name = format!("venue{venue}_orders_total");
                counter!(name, "number" => number.to_string()).increment(number);
            }
        }
        gauge!("depth").set(7.0);
    });
    let lost = engine.memory_lost().unwrap();
    assert!(lost.contains("full") || lost.contains("limit"), "{lost}");
    let text = engine.render(Format::Classic);
    assert!(text.contains("\nvenue39_orders_total{number=\"899\"} 899\n"));
    assert!(text.contains("\ndepth 7\n"));
    assert!(!read(&path).is_complete);
}

/// The variable that makes this program a desk that records until it is killed, and how many threads it has.
const DESK: &str = "MEMORY_TEST_DESK";
const THREADS: u64 = 3;

/// A process that records until it is killed.
struct Desk(Child);

impl Desk {
    /// Returns when every thread has recorded something.
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_killed_desk_leaves_exact_counts",
                "--nocapture",
            ])
            .env(DESK, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "recording"));
        Self(child)
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Each thread counts an order, observes its fill and counts it as filled, over and over. Fills are of ever other sizes and on both
/// sides of 0, so that octaves and the pages of threads come until the end.
fn record_until_killed(path: &Path) -> ! {
    let options = Options::default().any_file_system(true);
    let builder = Engine::builder().buckets("fill", &[-1.0, 0.0, 1.0]);
    let builder = builder.memory(path, options).native_histograms(true);
    let engine = builder.build().unwrap();
    std::thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        for thread in 0..THREADS {
            let (ready, engine) = (ready.clone(), &engine);
            scope.spawn(move || {
                with_local_recorder(engine, || {
                    for number in 0_u64.. {
                        // 200 octaves of 64 series, in an order of its own for each thread.
                        let octave = i32::try_from((number * 7 + thread * 31) % 200).unwrap();
                        let sign = if number % 3 == 0 { -1.0 } else { 1.0 };
                        let of = ((number / 8) % 64).to_string();
                        counter!("orders_total").increment(1);
                        histogram!("fill", "of" => of).record(sign * 2_f64.powi(octave - 100));
                        counter!("filled_total").increment(1);
                        let _ = ready.send(());
                    }
                });
            });
        }
        (0..THREADS).for_each(|_| is_ready.recv().unwrap());
        drop(is_ready);
        println!("\nrecording");
        std::io::stdout().flush().unwrap();
    });
    std::process::exit(0)
}

/// Orders, fills by declared buckets, by native ones, and orders that were filled.
fn counts(reading: &Reading) -> [u64; 4] {
    let of = |name: &str| reading.families.iter().find(|family| family.name == name);
    let counter = |name: &str| match of(name).map(|family| &family.series[0].value) {
        Some(Value::Counter { number, .. }) => *number,
        other => panic!("{other:?}"),
    };
    let (mut declared, mut native) = (0, 0);
    for series in &of("fill").unwrap().series {
        let Value::Histogram { buckets, .. } = &series.value else {
            panic!("{series:?}");
        };
        declared += buckets.iter().sum::<u64>();
        let of = series.native.as_ref().unwrap();
        let sides = of.negative.values().chain(of.positive.values());
        native += of.zero_count + sides.sum::<u64>();
    }
    [
        counter("orders_total"),
        declared,
        native,
        counter("filled_total"),
    ]
}

#[test]
fn a_killed_desk_leaves_exact_counts() {
    if let Some(path) = std::env::var_os(DESK) {
        record_until_killed(Path::new(&path));
    }
    let rounds = std::env::var("OBS_KILL_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("desk.obs");
    for round in 0..rounds {
        let mut desk = Desk::start(&path);
        let mut reader = Reader::open(&path).unwrap();
        let before = counts(&reader.read().unwrap());
        desk.kill();
        let dead = reader.read().unwrap();
        assert!(!dead.is_alive && dead.is_complete);
        let [orders, declared, native, filled] = counts(&dead);
        assert_eq!(declared, native, "round {round}");
        // No thread is more than one fill behind its orders, so nothing is missing that was recorded before the kill.
        assert!(
            filled <= native && native <= orders && orders <= filled + THREADS,
            "{orders} {native} {filled}, round {round}"
        );
        assert!(before[0] <= orders && before[2] <= native && before[3] <= filled);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8, u8),
    Set(u8, i8),
    Observe(u8, u8),
    Sample(u8, u8),
    Remove(u8, u8),
    Upkeep,
}

fn step() -> impl Strategy<Value = Step> {
    let label = 0_u8..4;
    prop_oneof![
        (label.clone(), any::<u8>()).prop_map(|(label, by)| Step::Add(label, by)),
        (label.clone(), any::<i8>()).prop_map(|(label, to)| Step::Set(label, to)),
        (label.clone(), any::<u8>()).prop_map(|(label, value)| Step::Observe(label, value)),
        (label.clone(), any::<u8>()).prop_map(|(label, value)| Step::Sample(label, value)),
        (0_u8..4, label).prop_map(|(family, label)| Step::Remove(family, label)),
        Just(Step::Upkeep),
    ]
}

const FAMILIES: [&str; 4] = ["orders_total", "depth", "fill", "unbounded"];

/// Without handles that are kept, so that removed series give back their words, and others take these.
fn perform(engine: &Engine, step: &Step) {
    let label = |label: &u8| label.to_string();
    with_local_recorder(engine, || match step {
        Step::Add(of, by) => counter!("orders_total", "of" => label(of)).increment((*by).into()),
        Step::Set(of, to) => gauge!("depth", "of" => label(of)).set(f64::from(*to)),
        // On both sides of 0, so that native buckets have all that they can have.
        Step::Observe(of, value) => {
            histogram!("fill", "of" => label(of)).record(f64::from(*value) - 64.0);
        }
        Step::Sample(of, value) => {
            histogram!("unbounded", "of" => label(of)).record(f64::from(*value));
        }
        Step::Remove(family, of) => {
            let wanted = format!("of=\"{of}\"");
            engine.remove(FAMILIES[usize::from(*family)], |labels| labels == wanted);
        }
        Step::Upkeep => engine.upkeep(),
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Series come, are removed, come again and take one another's words; a reader that follows finds what scrapes show.
    #[test]
    fn what_is_filed_is_what_is_shown_after_any_steps(
        rounds in prop::collection::vec(prop::collection::vec(step(), 1..12), 1..6),
        native in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let builder = Engine::builder().buckets("fill", &[-3.0, 0.0, 10.0, 100.0]);
        let builder = builder.native_histograms(native);
        let (engine, path) = mapped(&folder, builder);
        let mut reader = Reader::open(&path).unwrap();
        for steps in rounds {
            for step in &steps {
                perform(&engine, step);
            }
            // A scrape or upkeep is what notices that a removed series was recorded to again.
            engine.upkeep();
            let shown = shown(&engine);
            prop_assert_eq!(filed(&reader.read().unwrap()), shown);
        }
    }
}
