//! An engine whose numbers are in a mapped file, as another process reads them.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use metrics::{counter, gauge, histogram, with_local_recorder};
use obs_memory::{Options, Reader, Reading, Value};
use obs_recorder::{Builder, Engine, EngineError, Format, SeriesValue};
use proptest::prelude::*;
use tempfile::TempDir;

fn mapped(folder: &TempDir, builder: Builder) -> (Engine, PathBuf) {
    let path = folder.path().join("desk.obs");
    // The folder may be on a disk.
    let options = Options::default().any_file_system(true);
    let engine = builder.memory(&path, options).build().unwrap();
    (engine, path)
}

fn read(path: &std::path::Path) -> Reading {
    Reader::open(path).unwrap().read().unwrap()
}

type Labels = Vec<(String, String)>;

/// What a scrape shows, but for quantiles, which are computed.
fn shown(engine: &Engine) -> BTreeMap<(String, Labels), Value> {
    let mut shown = BTreeMap::new();
    for family in engine.snapshot().unwrap() {
        for series in family.series {
            let labels: BTreeMap<_, _> = series.labels.into_iter().collect();
            let value = match series.value {
                SeriesValue::Counter { number, decimals } => Value::Counter { number, decimals },
                SeriesValue::Gauge(value) => Value::Gauge(value),
                SeriesValue::Histogram { buckets, sum, .. } => Value::Histogram { buckets, sum },
                SeriesValue::Summary { count, sum, .. } => Value::Summary { count, sum },
                other => panic!("{other:?}"),
            };
            shown.insert((family.name.clone(), labels.into_iter().collect()), value);
        }
    }
    shown
}

/// The same of what a reader finds.
fn filed(reading: &Reading) -> BTreeMap<(String, Labels), Value> {
    let mut shown = BTreeMap::new();
    for family in &reading.families {
        for series in &family.series {
            let mut labels = reading.globals.clone();
            labels.extend(series.labels.iter().cloned());
            let labels = labels.into_iter().collect();
            shown.insert((family.name.clone(), labels), series.value.clone());
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
    assert_eq!(filed[&(buys.0.to_owned(), labels.to_vec())], ten);
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
        Step::Observe(of, value) => histogram!("fill", "of" => label(of)).record(f64::from(*value)),
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
    ) {
        let folder = TempDir::new().unwrap();
        let builder = Engine::builder().buckets("fill", &[10.0, 100.0]);
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
