//! A packed scrape is the text, whatever was recorded, came and went since what is kept of it was packed.

use std::io::Read as _;

use flate2::bufread::GzDecoder;
use metrics::{Key, Label, Level, Metadata, Recorder};
use obs_core::Catalogue;
use obs_recorder::{Engine, Format, Names};
use proptest::prelude::*;

obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 5_000
}

obs_core::families! {
    /// What is recorded to.
    struct Desk {
        /// Orders.
        orders: obs_core::Each<Symbol, obs_core::Counter> = "trading_orders_total" { budget: 5_000 },
        /// Time that is counted in nanoseconds.
        time: obs_core::Each<Symbol, obs_core::TimeCounter> = "trading_busy_seconds_total" { budget: 5_000 },
        /// Prices.
        price: obs_core::Each<Symbol, obs_core::Gauge> = "trading_price" { budget: 5_000 },
        /// Latencies.
        latency: obs_core::Each<Symbol, obs_core::Histogram> = "trading_latency_seconds" { buckets: &[0.01, 0.1, 1.0], budget: 5_000 },
    }
}

const METADATA: Metadata<'static> = Metadata::new("gzip", Level::INFO, None);

fn engine() -> obs_recorder::Builder {
    Engine::builder().catalogue(Catalogue::of(&[Desk::FAMILIES]))
}

fn key(name: &'static str, symbol: usize) -> Key {
    Key::from_parts(name, vec![Label::new("symbol", format!("S{symbol}"))])
}

/// The text of one member and nothing behind it.
fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = GzDecoder::new(packed);
    decoder.read_to_string(&mut text).unwrap();
    assert_eq!(decoder.into_inner(), b"", "one member");
    text
}

#[track_caller]
fn assert_same(engine: &Engine, format: Format, names: Names) {
    let mut packed = b"before".to_vec();
    let length = engine.render_gzip_into(&mut packed, format, names);
    let text = unpacked(packed.strip_prefix(b"before").unwrap());
    let expected = engine.render_named(format, names);
    // Not by `assert_eq`, which would print both.
    let lines = text.lines().zip(expected.lines());
    let differs = lines.enumerate().find(|(_, (a, b))| a != b);
    assert_eq!(differs, None);
    assert_eq!(
        (text.len(), length),
        (expected.len(), expected.len() as u64)
    );
}

/// What happens between two scrapes.
#[derive(Clone, Debug)]
enum Step {
    Orders(usize, u64),
    Busy(usize, u64),
    Price(usize, f64),
    Latency(usize, f64),
    Remove(char),
    Upkeep,
    Scrape(Format, Names),
}

fn step() -> impl Strategy<Value = Step> {
    let symbol = || 0_usize..400;
    let formats = prop_oneof![Just(Format::Classic), Just(Format::OpenMetrics)];
    let names =
        prop_oneof![4 => Just(Names::Underscores), 1 => Just(Names::Dots), 1 => Just(Names::Utf8)];
    prop_oneof![
        8 => (symbol(), 0..3_000_u64).prop_map(|(symbol, n)| Step::Orders(symbol, n)),
        4 => (symbol(), 0..3_000_000_000_u64).prop_map(|(symbol, n)| Step::Busy(symbol, n)),
        2 => (symbol(), -1e3..1e3).prop_map(|(symbol, value)| Step::Price(symbol, value)),
        4 => (symbol(), 0.0..5.0).prop_map(|(symbol, value)| Step::Latency(symbol, value)),
        1 => prop::char::range('0', '9').prop_map(Step::Remove),
        1 => Just(Step::Upkeep),
        6 => (formats, names).prop_map(|(format, names)| Step::Scrape(format, names)),
    ]
}

fn take(engine: &Engine, step: &Step) {
    match step {
        Step::Orders(symbol, n) => engine
            .register_counter(&key("trading_orders_total", *symbol), &METADATA)
            .increment(*n),
        Step::Busy(symbol, n) => engine
            .register_counter(&key("trading_busy_seconds_total", *symbol), &METADATA)
            .increment(*n),
        Step::Price(symbol, value) => engine
            .register_gauge(&key("trading_price", *symbol), &METADATA)
            .set(*value),
        Step::Latency(symbol, value) => engine
            .register_histogram(&key("trading_latency_seconds", *symbol), &METADATA)
            .record(*value),
        Step::Remove(digit) => {
            let of = format!("symbol=\"S{digit}\"");
            engine.remove("trading_orders_total", |labels| labels == of);
        }
        Step::Upkeep => engine.upkeep(),
        Step::Scrape(format, names) => assert_same(engine, *format, *names),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_packed_scrape_is_the_text(
        steps in prop::collection::vec(step(), 1..200),
        first in 0_usize..300,
        created: bool,
        label in prop::option::of("[a-zA-Z \"\\\\ä\n]{0,12}"),
    ) {
        let mut builder = engine().created(created);
        if let Some(label) = label {
            builder = builder.global_label("service", &label);
        }
        let engine = builder.build().unwrap();
        for symbol in 0..first {
            take(&engine, &Step::Orders(symbol, 1));
            take(&engine, &Step::Busy(symbol, 0));
            take(&engine, &Step::Latency(symbol, 0.5));
        }
        for step in &steps {
            take(&engine, step);
        }
        assert_same(&engine, Format::Classic, Names::Underscores);
        assert_same(&engine, Format::OpenMetrics, Names::Underscores);
    }
}

/// Every thread has cells of its own, and a sum that is kept is the sum of all.
#[test]
fn what_is_recorded_by_several_threads_is_seen() {
    let engine = engine().build().unwrap();
    for symbol in 0..200 {
        take(&engine, &Step::Orders(symbol, 7));
    }
    assert_same(&engine, Format::Classic, Names::Underscores);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| take(&engine, &Step::Orders(150, 11)));
            }
        });
        assert_same(&engine, Format::Classic, Names::Underscores);
    }
    let mut packed = Vec::new();
    engine.render_gzip_into(&mut packed, Format::Classic, Names::Underscores);
    let line = format!(
        "trading_orders_total{{symbol=\"S150\"}} {}\n",
        7 + 3 * 4 * 11
    );
    assert!(unpacked(&packed).contains(&line));
}

/// While others record, no packed total is below one that was packed before, and the last has everything.
#[test]
fn packed_totals_never_fall_and_lose_nothing() {
    const EACH: u64 = 20_000;
    let engine = engine().build().unwrap();
    let counters: Vec<_> = (0..500)
        .map(|symbol| engine.register_counter(&key("trading_orders_total", symbol), &METADATA))
        .collect();
    let total = || {
        let mut packed = Vec::new();
        engine.render_gzip_into(&mut packed, Format::Classic, Names::Underscores);
        let text = unpacked(&packed);
        let values = text.lines().filter_map(|line| {
            let value = line
                .strip_prefix("trading_orders_total")?
                .rsplit(' ')
                .next()?;
            value.parse::<u64>().ok()
        });
        values.collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let recording: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for n in 0..EACH {
                        counters[(n * 7 % 500) as usize].increment(1);
                    }
                })
            })
            .collect();
        let mut before = total();
        while !recording
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            let now = total();
            assert!(before.iter().zip(&now).all(|(before, now)| before <= now));
            before = now;
        }
    });
    assert_eq!(total().iter().sum::<u64>(), 2 * EACH);
}

/// What zlib makes of the text at its fastest level, which is what exporters send elsewhere.
#[test]
fn it_takes_hardly_more_bytes_than_zlib() {
    use std::io::Write as _;

    let engine = engine().build().unwrap();
    for symbol in 0..3_000 {
        take(
            &engine,
            &Step::Orders(symbol, symbol as u64 * 7919 % 10_007),
        );
        take(
            &engine,
            &Step::Busy(symbol, symbol as u64 * 7_919_000_123 % 10_007_000_000),
        );
    }
    let mut sizes = Vec::new();
    // The second has the table that is best for the first.
    for _ in 0..2 {
        sizes.clear();
        engine.render_gzip_into(&mut sizes, Format::Classic, Names::Underscores);
    }
    let mut zlib = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(engine.render(Format::Classic).as_bytes())
        .unwrap();
    let (ours, zlib) = (sizes.len() as f64, zlib.finish().unwrap().len() as f64);
    assert!(ours <= 1.25 * zlib, "{ours} {zlib}");
}
