//! What the regression gate counts; `cargo xtask gate` runs it under callgrind.
//!
//! Told nothing, it prints the names of its lines. Told a name, it sets that line up, goes through it once so that everything is
//! there already, and then again inside of [`measured`], where callgrind counts instructions; it prints how many operations that
//! were and how many allocations they took.
//!
//! The lines are such that what they execute depends on nothing but the code: one thread, a fixed number of slots, series that
//! are known. The C library chooses its `memcpy` by the processor; little text is copied here but by the scrape, and the limits
//! have room for it.

mod trading;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use metrics::Recorder;
use obs_core::{Catalogue, Counter, Each, Gauge, Histogram};
use obs_recorder::{Builder, Engine, Format, MemoryOptions, Names};
use tower::Service;

/// Something that is counted, set up already.
type Work = Box<dyn FnMut()>;

/// One line of the gate.
struct Line {
    name: &'static str,
    /// How many operations the work goes through.
    operations: u32,
    set_up: fn() -> Work,
}

const LINES: [Line; 26] = [
    Line {
        name: "counter, kept handle",
        operations: RECORDS,
        set_up: counter,
    },
    Line {
        name: "counter, kept handle, by a call of the facade",
        operations: RECORDS,
        set_up: called_counter,
    },
    Line {
        name: "counter, bound to its thread",
        operations: RECORDS,
        set_up: local_counter,
    },
    Line {
        name: "histogram of 11 buckets, kept handle",
        operations: RECORDS,
        set_up: histogram,
    },
    Line {
        name: "histogram of 11 buckets, kept handle, by a call of the facade",
        operations: RECORDS,
        set_up: called_histogram,
    },
    Line {
        name: "histogram of 11 buckets and native ones, kept handle",
        operations: RECORDS,
        set_up: native_histogram,
    },
    Line {
        name: "histogram of 11 buckets and native ones, kept handle, by a call of the facade",
        operations: RECORDS,
        set_up: called_native_histogram,
    },
    Line {
        name: "gauge set, kept handle",
        operations: RECORDS,
        set_up: gauge,
    },
    Line {
        name: "counter, kept handle, in a mapped file",
        operations: RECORDS,
        set_up: || in_a_file(|kept| increments(kept.count)),
    },
    Line {
        name: "histogram of 11 buckets, kept handle, in a mapped file",
        operations: RECORDS,
        set_up: || in_a_file(|kept| records(kept.time)),
    },
    Line {
        name: "gauge set, kept handle, in a mapped file",
        operations: RECORDS,
        set_up: || in_a_file(|kept| sets(kept.level)),
    },
    Line {
        name: "counter, 3 labels known at run time",
        operations: RECORDS,
        set_up: labelled_counter,
    },
    Line {
        name: "histogram, 3 labels known at run time",
        operations: RECORDS,
        set_up: labelled_histogram,
    },
    Line {
        name: "`counter!` with 3 labels known at run time",
        operations: RECORDS,
        set_up: raw_counter,
    },
    Line {
        name: "`histogram!` with 3 labels known at run time",
        operations: RECORDS,
        set_up: raw_histogram,
    },
    Line {
        name: "registering a counter of 3 labels",
        operations: REGISTERED,
        set_up: registering,
    },
    Line {
        name: "first scrape after a series came, a counter of 1,000",
        operations: 1_000,
        set_up: first_scrape,
    },
    Line {
        name: "removing a series and the first scrape after, a counter of 1,000",
        operations: 1_000,
        set_up: scrape_without_one,
    },
    Line {
        name: "scrape, a counter of 1,000",
        operations: 1_000,
        set_up: scrape_of_counters,
    },
    Line {
        name: "gzip scrape, a counter of 10,000, none changed",
        operations: PACKED,
        set_up: || packed_scrape(0),
    },
    Line {
        name: "gzip scrape, a counter of 10,000, 1 % changed",
        operations: PACKED,
        set_up: || packed_scrape(1),
    },
    Line {
        name: "gzip scrape, a counter of 10,000, 10 % changed",
        operations: PACKED,
        set_up: || packed_scrape(10),
    },
    Line {
        name: "gzip scrape, a counter of 10,000, all changed",
        operations: PACKED,
        set_up: || packed_scrape(100),
    },
    Line {
        name: "scrape, a histogram of 100",
        operations: 100,
        set_up: scrape_of_histograms,
    },
    Line {
        name: "scrape in protobuf, a native histogram of 100",
        operations: 100,
        set_up: scrape_of_native_histograms,
    },
    Line {
        name: "an HTTP request through axum and obs-http",
        operations: REQUESTS,
        set_up: request,
    },
];

const RECORDS: u32 = 1_024;
const REQUESTS: u32 = 64;
const REGISTERED: u32 = 512;
const PACKED: u32 = 10_000;

obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 8
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 2_000
}
obs_core::label! {
    /// Buy or sell, known at run time only.
    open Side as "side" up to 4
}
obs_core::label! {
    /// What is traded, anew each time.
    open New as "symbol" up to 2_000
}

/// Eleven bounds, as the Prometheus clients have by default.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

obs_core::families! {
    /// What is recorded to.
    struct Gated {
        /// A counter.
        count: Counter = "gate_total",
        /// A gauge.
        level: Gauge = "gate_level",
        /// A histogram.
        time: Histogram = "gate_seconds" { buckets: &BOUNDS },
        /// A counter for each of three labels.
        orders: Each<Venue, Each<Symbol, Each<Side, Counter>>> = "gate_orders_total",
        /// A histogram for each of three labels.
        times: Each<Venue, Each<Symbol, Each<Side, Histogram>>> = "gate_order_seconds" { buckets: &BOUNDS },
    }
}

obs_core::families! {
    /// In no catalogue, so that no scrape has one family more.
    struct Added {
        /// A counter for each of three labels, of types of its own: what is used in one place is compiled into it.
        news: Each<Venue, Each<New, Each<Side, Counter>>> = "gate_news_total",
    }
}

fn lines() -> impl Iterator<Item = &'static Line> {
    LINES.iter().chain(&trading::LINES)
}

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        for line in lines() {
            println!("{}", line.name);
        }
        return ExitCode::SUCCESS;
    };
    let Some(line) = lines().find(|line| line.name == wanted) else {
        eprintln!("error: there is no line `{wanted}`");
        return ExitCode::FAILURE;
    };
    let mut work = (line.set_up)();
    work();
    if let Some(rounds) = std::env::args()
        .nth(2)
        .and_then(|rounds| rounds.parse().ok())
    {
        println!(
            "{}",
            nanoseconds(&mut work, rounds) / f64::from(line.operations)
        );
        return ExitCode::SUCCESS;
    }
    let allocated = allocation_counter::measure(|| measured(&mut work));
    println!("{} {}", line.operations, allocated.count_total);
    ExitCode::SUCCESS
}

/// What is counted: callgrind knows this place by its name.
#[inline(never)]
fn measured(work: &mut Work) {
    work();
    // The call above is not the last thing that happens here, so that it returns to here.
    black_box(work);
}

/// The least time of so many rounds: what else the machine does is left out.
fn nanoseconds(work: &mut Work, rounds: u32) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9
    });
    times.fold(f64::INFINITY, f64::min)
}

fn engine() -> Engine {
    engine_with(false)
}

/// With native histograms or without.
fn engine_with(native_histograms: bool) -> Engine {
    let builder = builder().native_histograms(native_histograms);
    builder.build().expect("the catalogue is sound")
}

fn builder() -> Builder {
    Engine::builder()
        .catalogue(Catalogue::of(&[Gated::FAMILIES]))
        // A number of its own, where the default would be that of the machine.
        .slots(8)
}

fn shared() -> Arc<dyn Recorder + Send + Sync> {
    Arc::new(engine())
}

fn gated() -> Gated {
    obs_core::with_recorder(&shared(), Gated::new)
}

/// What is resolved from an engine that is installed. A process installs one, and goes through one line.
fn installed<T>(resolve: fn() -> T) -> T {
    installed_with(engine(), resolve)
}

fn installed_with<T>(engine: Engine, resolve: fn() -> T) -> T {
    obs_core::install(engine).expect("the first of this process");
    resolve()
}

/// A sample that falls into one bucket or another.
fn sample(n: u32) -> f64 {
    const SAMPLES: [f64; 8] = [0.003, 0.02, 0.04, 0.3, 0.7, 1.5, 4.0, 20.0];
    black_box(SAMPLES[n as usize % SAMPLES.len()])
}

/// Labels as a program meets them: text that is known at run time only.
fn labels(number: u32) -> [String; 3] {
    let side = ["buy", "sell"][number as usize % 2];
    [
        format!("venue-{}", number % 8),
        format!("symbol-{number}"),
        side.to_owned(),
    ]
}

/// Goes through the labels of 64 series, again and again.
fn for_each_labels(mut work: impl FnMut(u32, [&str; 3]) + 'static) -> Work {
    let values: Vec<_> = (0..64).map(labels).collect();
    Box::new(move || {
        for n in 0..RECORDS {
            let [venue, symbol, side] = &values[n as usize % values.len()];
            work(n, black_box([venue, symbol, side]));
        }
    })
}

/// As a program has it: the engine is what is installed.
fn counter() -> Work {
    increments(installed(Gated::new).count)
}

/// As behind a `Fanout`, and with direct handles switched off.
fn called_counter() -> Work {
    increments(gated().count)
}

fn increments(counter: Counter) -> Work {
    Box::new(move || (0..RECORDS).for_each(|_| counter.increment(black_box(1))))
}

fn local_counter() -> Work {
    let counter = installed(Gated::new).count;
    Box::new(move || {
        let counter = counter.local();
        (0..RECORDS).for_each(|_| counter.increment(black_box(1)));
    })
}

/// Each time as many new series, by a declared family's look-ups.
fn registering() -> Work {
    let news = installed(Added::new).news;
    let mut new: Vec<_> = (0..2 * REGISTERED).map(labels).collect();
    Box::new(move || {
        let rest = new.len().saturating_sub(REGISTERED as usize);
        for [venue, symbol, side] in &new[rest..] {
            black_box(news.of(venue).of(symbol).of(side));
        }
        new.truncate(rest);
    })
}

/// Each time with one series more than before.
fn first_scrape() -> Work {
    let engine = engine();
    let count = move |engine: &Engine, number| {
        metrics::with_local_recorder(engine, || {
            count(labels(number).each_ref().map(String::as_str));
        });
    };
    (0..1_000).for_each(|number| count(&engine, number));
    let (mut text, mut next) = (String::new(), 1_000);
    Box::new(move || {
        count(&engine, next);
        next += 1;
        text.clear();
        engine.render_into(&mut text, Format::Classic);
        black_box(&text);
    })
}

/// Each time with one series less than before, of which nobody holds a handle.
fn scrape_without_one() -> Work {
    let engine = engine();
    metrics::with_local_recorder(&engine, || {
        for number in 0..1_001 {
            count(labels(number).each_ref().map(String::as_str));
        }
    });
    let (mut text, mut next) = (String::new(), 0);
    engine.render_into(&mut text, Format::Classic);
    Box::new(move || {
        let symbol = format!("symbol=\"symbol-{next}\"");
        next += 1;
        let removed = engine.remove("gate_orders_total", |labels| labels.contains(&symbol));
        assert_eq!(removed, 1);
        text.clear();
        engine.render_into(&mut text, Format::Classic);
        black_box(&text);
    })
}

fn histogram() -> Work {
    records(installed(Gated::new).time)
}

fn called_histogram() -> Work {
    records(gated().time)
}

fn records(histogram: Histogram) -> Work {
    Box::new(move || (0..RECORDS).for_each(|n| histogram.record(sample(n))))
}

fn native_histogram() -> Work {
    records(installed_with(engine_with(true), Gated::new).time)
}

fn called_native_histogram() -> Work {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(engine_with(true));
    records(obs_core::with_recorder(&engine, Gated::new).time)
}

fn gauge() -> Work {
    sets(installed(Gated::new).level)
}

fn sets(gauge: Gauge) -> Work {
    Box::new(move || (0..RECORDS).for_each(|n| gauge.set(sample(n))))
}

/// As a program has it that keeps its numbers in a file.
fn in_a_file(work: fn(Gated) -> Work) -> Work {
    let folder = tempfile::tempdir().expect("a folder of the system's can be written to");
    // What is counted does not depend on where the file is.
    let options = MemoryOptions::default().any_file_system(true);
    let engine = builder()
        .memory(folder.path().join("gate.obs"), options)
        .build()
        .expect("the catalogue is sound, and the folder new");
    let mut work = work(installed_with(engine, Gated::new));
    Box::new(move || {
        work();
        // Removed with the work.
        black_box(&folder);
    })
}

fn labelled_counter() -> Work {
    let orders = installed(Gated::new).orders;
    for_each_labels(move |_, [venue, symbol, side]| {
        orders.of(venue).of(symbol).of(side).increment(1);
    })
}

fn labelled_histogram() -> Work {
    let times = installed(Gated::new).times;
    for_each_labels(move |n, [venue, symbol, side]| {
        times.of(venue).of(symbol).of(side).record(sample(n));
    })
}

/// The facade's macros take labels by value.
fn count([venue, symbol, side]: [&str; 3]) {
    let [venue, symbol, side] = [venue, symbol, side].map(str::to_owned);
    metrics::counter!("gate_orders_total", "venue" => venue, "symbol" => symbol, "side" => side)
        .increment(1);
}

fn observe([venue, symbol, side]: [&str; 3], value: f64) {
    let [venue, symbol, side] = [venue, symbol, side].map(str::to_owned);
    metrics::histogram!("gate_order_seconds", "venue" => venue, "symbol" => symbol, "side" => side)
        .record(value);
}

fn raw_counter() -> Work {
    let engine = engine();
    for_each_labels(move |_, labels| {
        metrics::with_local_recorder(&engine, || count(labels));
    })
}

fn raw_histogram() -> Work {
    let engine = engine();
    for_each_labels(move |n, labels| {
        metrics::with_local_recorder(&engine, || observe(labels, sample(n)));
    })
}

/// Scrapes into a text that is there already, as a server keeps it.
fn scrape_of(engine: Engine) -> Work {
    let mut text = String::new();
    Box::new(move || {
        text.clear();
        engine.render_into(&mut text, Format::Classic);
        black_box(&text);
    })
}

fn scrape_of_counters() -> Work {
    let engine = engine();
    metrics::with_local_recorder(&engine, || {
        for number in 0..1_000 {
            count(labels(number).each_ref().map(String::as_str));
        }
    });
    scrape_of(engine)
}

/// Scrapes as Prometheus asks for them, before each of which so many percent of the counters were added to.
fn packed_scrape(percent: u32) -> Work {
    let engine = engine();
    let counters: Vec<_> = (0..PACKED)
        .map(|number| {
            let number = number.to_string();
            metrics::with_local_recorder(
                &engine,
                || metrics::counter!("gate_packed_total", "venue" => "nyse", "number" => number),
            )
        })
        .collect();
    for counter in &counters {
        counter.increment(1_000);
    }
    // Multiples of a prime that does not divide their number go through all of them, in an order that is the same in each run.
    let drawn = (0..PACKED).map(|n| n * 7_919 % PACKED);
    let changed: Vec<_> = drawn
        .zip(counters)
        .filter(|(at, _)| at * 100 < percent * PACKED)
        .collect();
    let mut packed = Vec::new();
    let mut scrape = move || {
        for (_, counter) in &changed {
            counter.increment(1);
        }
        packed.clear();
        let length = engine.render_gzip_into(&mut packed, Format::Classic, Names::default());
        black_box(length);
    };
    // Lines are kept from the second scrape on.
    scrape();
    Box::new(scrape)
}

fn scrape_of_histograms() -> Work {
    let engine = engine();
    metrics::with_local_recorder(&engine, || {
        for number in 0..100 {
            observe(
                labels(number).each_ref().map(String::as_str),
                sample(number),
            );
        }
    });
    scrape_of(engine)
}

/// Series whose values lie in eight octaves, with their declared buckets.
fn scrape_of_native_histograms() -> Work {
    let engine = engine_with(true);
    metrics::with_local_recorder(&engine, || {
        for number in 0..100 {
            for n in 0..8 {
                observe(labels(number).each_ref().map(String::as_str), sample(n));
            }
        }
    });
    let mut messages = Vec::new();
    Box::new(move || {
        messages.clear();
        let rendered = engine.render_protobuf_into(&mut messages, Names::default());
        rendered.expect("this is no fork");
        black_box(&messages);
    })
}

/// One request after another, each to the end of its body.
fn request() -> Work {
    let layer = installed(obs_http::layer);
    let app = Router::new().route("/orders/{id}", get(async || "hello"));
    let mut app = app.layer(layer).with_state::<()>(());
    Box::new(move || {
        for _ in 0..REQUESTS {
            let request = Request::get("/orders/7").body(Body::empty());
            let request = request.expect("a sound request");
            let response = Service::<Request<Body>>::call(&mut app, request)
                .now_or_never()
                .expect("an answer at once");
            let Ok(response) = response;
            let body = response.into_body().collect().now_or_never();
            black_box(body.expect("a body at once").is_ok());
        }
    })
}
