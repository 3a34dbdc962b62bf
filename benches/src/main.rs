//! What recording, scraping, the layers of HTTP and gRPC and the wrapper of a database pool cost, beside the other libraries:
//! `cargo xtask bench`.
//!
//! All contenders run in one process, in turn, on pinned threads. What counts are ratios: times differ from machine to machine
//! and from minute to minute. A ratio is that of the least times,
//! or of the medians where threads meet in one place, whose least time is that of a round in which they did not.

mod contest;
mod database;
mod grpc;
mod http;
mod library;
mod newer;
mod parts;
mod report;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use metrics::{Key, Level, Metadata, Recorder};
use obs_recorder::{Engine, Format, Names};

use crate::contest::{Contender, Effort, Figure, OURS, Row, milliseconds, nanoseconds};
use crate::library::{Filled, Labels, Of, Ours, Prerendered, sample};

/// Measure recording, scraping and the HTTP layer beside other libraries
#[derive(Parser)]
struct Arguments {
    /// Print an array of JSON objects
    #[arg(long)]
    json: bool,
    /// Measure coarsely, in less than three minutes
    #[arg(long)]
    quick: bool,
    /// Write the result to this file, as Markdown
    #[arg(long)]
    write: Option<std::path::PathBuf>,
    /// Only lines with this in their name
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let effort = if arguments.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    if let Some(core) = contest::cores().first() {
        core_affinity::set_for_current(*core);
    }
    let mut rows = Vec::new();
    let wanted = |name: &str| name.contains(&arguments.only);
    for (name, lines) in LINES {
        if wanted(name) {
            eprintln!("measuring {name} …");
            rows.extend(lines(effort));
        }
    }
    let growth = if wanted("growth") {
        report::Growth::measure(effort)
    } else {
        report::Growth::default()
    };
    let parts = if wanted("parts") {
        parts::measure(effort)
    } else {
        Vec::new()
    };
    if arguments.json {
        match serde_json::to_string_pretty(&rows) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("error: {error}"),
        }
    } else {
        println!("{}", report::table(&rows));
        println!("{}\n\n{}", growth.table(), report::parts(&parts));
    }
    if let Some(path) = arguments.write
        && let Err(error) = write(
            &path,
            report::markdown(&rows, &growth, &parts, arguments.quick),
        )
    {
        eprintln!("error: cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Writes the page, but for the last section, which is that of `cargo xtask weight`.
fn write(path: &std::path::Path, mut page: String) -> std::io::Result<()> {
    const WEIGHT: &str = "\n## What depending on it costs\n";
    let before = std::fs::read_to_string(path).unwrap_or_default();
    if let Some((_, weight)) = before.split_once(WEIGHT) {
        page.push_str(WEIGHT);
        page.push_str(weight);
    }
    std::fs::write(path, page)
}

type Lines = fn(Effort) -> Vec<Row>;

const LINES: [(&str, Lines); 13] = [
    ("counter", counters),
    ("histogram", histograms),
    ("gauge", gauges),
    ("labels known at run time", labelled),
    ("raw macros", raw_macros),
    ("scrape", scrapes),
    ("gzip", packed),
    ("new series", new_series),
    ("memory", memory),
    ("unscraped", unscraped),
    ("http", http::lines),
    ("grpc", grpc::lines),
    ("database", database::lines),
];

fn counters(effort: Effort) -> Vec<Row> {
    let contenders = library::counters();
    let bound = nanoseconds(&library::local_counters(), 1, effort);
    let bound = Row::new("", "ns", 0.0, bound);
    let floor = bound.floor.unwrap_or(f64::NAN);
    vec![
        Row::new(
            "counter, kept handle, 1 thread",
            "ns",
            0.4,
            nanoseconds(&contenders, 1, effort),
        ),
        Row::of_medians(
            "counter, kept handle, 2 threads on one series",
            "ns",
            0.1,
            nanoseconds(&contenders, 2, effort),
        ),
        bound.against(
            "counter, bound to its thread, against a bare load, addition and store",
            floor,
            1.1,
        ),
    ]
}

fn histograms(effort: Effort) -> Vec<Row> {
    let contenders = library::histograms();
    vec![
        Row::new(
            "histogram of 11 buckets, kept handle, 1 thread",
            "ns",
            0.55,
            nanoseconds(&contenders, 1, effort),
        ),
        Row::of_medians(
            "histogram of 11 buckets, kept handle, 2 threads on one series",
            "ns",
            0.15,
            nanoseconds(&contenders, 2, effort),
        ),
    ]
}

fn gauges(effort: Effort) -> Vec<Row> {
    let row = Row::new("", "ns", 0.0, nanoseconds(&library::gauges(), 1, effort));
    let floor = row.floor.unwrap_or(f64::NAN);
    vec![
        row.clone()
            .against("gauge set, kept handle, against 3 ns", 3.0, 1.0),
        row.against(
            "gauge set, kept handle, against a bare atomic store",
            floor,
            3.0,
        ),
    ]
}

fn labelled(effort: Effort) -> Vec<Row> {
    let labels = Labels::few();
    let (counters, histograms) = (
        library::labelled_counters(&labels),
        library::labelled_histograms(&labels),
    );
    vec![
        Row::new(
            "counter, 3 labels known at run time, 1 thread",
            "ns",
            0.6,
            nanoseconds(&counters, 1, effort),
        ),
        Row::of_medians(
            "counter, 3 labels known at run time, 2 threads",
            "ns",
            0.5,
            nanoseconds(&counters, 2, effort),
        ),
        Row::new(
            "histogram, 3 labels known at run time, 1 thread",
            "ns",
            0.6,
            nanoseconds(&histograms, 1, effort),
        ),
        Row::of_medians(
            "histogram, 3 labels known at run time, 2 threads",
            "ns",
            0.5,
            nanoseconds(&histograms, 2, effort),
        ),
    ]
}

fn raw_macros(effort: Effort) -> Vec<Row> {
    let (labels, engine, stock) = (Labels::few(), library::engine(), library::stock());
    let [counters, histograms] = library::raw_macros(&labels, &engine, &stock);
    let allocations = |contenders: &[Contender<'_>]| {
        let count = |contender: &Contender<'_>| {
            (contender.work)(64);
            let each = measure(|| (contender.work)(64)).count_total as f64 / 64.0;
            Figure::exact(contender.name, each)
        };
        contenders.iter().map(count).collect::<Vec<_>>()
    };
    vec![
        Row::new(
            "`counter!` with 3 labels known at run time",
            "ns",
            0.6,
            nanoseconds(&counters, 1, effort),
        ),
        Row::new(
            "`histogram!` with 3 labels known at run time",
            "ns",
            0.6,
            nanoseconds(&histograms, 1, effort),
        ),
        Row::new(
            "`counter!` with 3 labels known at run time",
            "allocations",
            0.99,
            allocations(&counters),
        ),
    ]
}

fn scrapes(effort: Effort) -> Vec<Row> {
    let mut rows = Vec::new();
    for (of, series, what) in [
        (Of::Counters, 100_000, "counters"),
        (Of::Histograms, 10_000, "histograms"),
    ] {
        let series = series / effort.divisor;
        let mut libraries = library::empty(of);
        for library in &libraries {
            (0..series).for_each(|number| library.add(number));
        }
        libraries.push(Box::new(Prerendered::new(of, series)));
        let contenders: Vec<_> = libraries
            .iter()
            .map(|library| scrape_of(&**library))
            .collect();
        let line = format!("scrape of {series} {what}");
        let row = Row::new(&line, "ms", 0.3, milliseconds(&contenders, effort));
        let floor = row.floor.unwrap_or(f64::NAN);
        rows.push(row.clone());
        rows.push(row.against(
            format!("{line}, against writing rendered lines"),
            floor,
            2.0,
        ));
    }
    rows
}

/// Scrapes as Prometheus asks for them, before each of which some of the counters were added to.
fn packed(effort: Effort) -> Vec<Row> {
    let series = 100_000 / effort.divisor;
    let engine = library::engine();
    let ours = Ours {
        engine: engine.clone(),
        of: Of::Counters,
    };
    for number in 0..series {
        // Totals as counters have them: no two alike.
        library::counter_of(&engine, number).increment(number as u64 * 7_919 % 10_000_019);
    }
    let mut rows = Vec::new();
    for percent in [0, 1, 10, 100] {
        // Multiples of a prime that does not divide their number are in no order.
        let drawn = (0..series).map(|n| n * 7_919 % series);
        let changed: Vec<_> = drawn
            .take(series * percent / 100)
            .map(|number| library::counter_of(&engine, number))
            .collect();
        let change = || changed.iter().for_each(|counter| counter.increment(1));
        let scrape = Contender::new(OURS, |n| {
            let mut packed = Vec::new();
            for _ in 0..n {
                change();
                packed.clear();
                engine.render_gzip_into(&mut packed, Format::Classic, Names::default());
                std::hint::black_box(&packed);
            }
        });
        let plain = Contender::new("plain", |n| {
            let mut text = String::new();
            for _ in 0..n {
                change();
                text.clear();
                ours.scrape(&mut text);
                std::hint::black_box(&text);
            }
        });
        let alone = Contender::new("changes", |n| (0..n).for_each(|_| change()));
        // What changes the counters is no part of a scrape, and takes as long as one.
        let taken = milliseconds(&[scrape, plain, alone], effort);
        let [scrape, plain, alone] = taken.as_slice() else {
            continue;
        };
        let (scrape, plain) = (scrape.clone().without(alone), plain.clone().without(alone));
        let line =
            format!("gzip scrape of {series} counters, {percent} % changed, against the plain one");
        rows.push(Row::new("", "ms", 0.0, vec![scrape]).against(line, plain.min, 3.0));
    }
    rows.push(packed_bytes(&engine));
    rows.extend(beside_zstd(&engine, effort));
    rows
}

/// What a scrape of which every counter has changed costs, and how long it is, beside the same text rendered and packed by
/// zstd, which some clients ask for.
fn beside_zstd(engine: &Engine, effort: Effort) -> Vec<Row> {
    let series = 100_000 / effort.divisor;
    let counters: Vec<_> = (0..series)
        .map(|number| library::counter_of(engine, number))
        .collect();
    let change = || counters.iter().for_each(|counter| counter.increment(1));
    let ours = Contender::new(OURS, |n| {
        let mut packed = Vec::new();
        for _ in 0..n {
            change();
            packed.clear();
            engine.render_gzip_into(&mut packed, Format::Classic, Names::default());
            std::hint::black_box(&packed);
        }
    });
    let zstd = |name, level| {
        let change = &change;
        Contender::new(name, move |n| {
            let mut text = String::new();
            for _ in 0..n {
                change();
                text.clear();
                engine.render_into(&mut text, Format::Classic);
                let _ = std::hint::black_box(zstd::bulk::compress(text.as_bytes(), level));
            }
        })
    };
    let alone = Contender::new("changes", |n| (0..n).for_each(|_| change()));
    let (first, third) = (zstd("zstd, level 1", 1), zstd("zstd, level 3", 3));
    let mut times = milliseconds(&[ours, first, third, alone], effort);
    if let Some(alone) = times.pop() {
        times = times
            .into_iter()
            .map(|taken| taken.without(&alone))
            .collect();
    }
    let text = engine.render(Format::Classic);
    let length = |name, level| {
        let packed = zstd::bulk::compress(text.as_bytes(), level);
        Figure::exact(name, packed.map_or(f64::NAN, |packed| packed.len() as f64))
    };
    let mut ours = Vec::new();
    engine.render_gzip_into(&mut ours, Format::Classic, Names::default());
    let lengths = vec![
        Figure::exact(OURS, ours.len() as f64),
        length("zstd, level 1", 1),
        length("zstd, level 3", 3),
    ];
    let line = format!("gzip scrape of {series} counters, all changed, beside zstd");
    vec![
        Row::new(&line, "ms", 1.0, times),
        Row::new(
            "gzip scrape, its length, beside zstd",
            "bytes",
            1.5,
            lengths,
        ),
    ]
}

/// How long a packed scrape is, beside what level 1 makes of it.
fn packed_bytes(engine: &Engine) -> Row {
    let mut ours = Vec::new();
    engine.render_gzip_into(&mut ours, Format::Classic, Names::default());
    let text = engine.render(Format::Classic);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let searched = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish());
    let searched = searched.map_or(f64::NAN, |packed| packed.len() as f64);
    let figures = vec![
        Figure::exact(OURS, ours.len() as f64),
        Figure::exact("level 1", searched),
    ];
    Row::new("gzip scrape, its length", "bytes", 1.25, figures)
}

/// Scrapes into a text that is there already, as a server keeps it.
fn scrape_of(library: &dyn Filled) -> Contender<'_> {
    let text = std::sync::Mutex::new(String::new());
    Contender::new(library.name(), move |n| {
        let mut text = text
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for _ in 0..n {
            text.clear();
            library.scrape(&mut text);
            std::hint::black_box(&*text);
        }
    })
}

/// The slowest of a thousand new series while another thread scrapes back to back.
fn new_series(effort: Effort) -> Vec<Row> {
    const BEFORE: usize = 10_000;
    let added = 20_000 / effort.divisor.min(4);
    let cores = contest::cores();
    let mut taken: std::collections::BTreeMap<&'static str, Vec<f64>> =
        std::collections::BTreeMap::new();
    for _ in 0..(effort.rounds / 12).max(2) {
        for library in library::empty(Of::Counters) {
            (0..BEFORE).for_each(|number| library.add(number));
            let done = AtomicBool::new(false);
            let times = std::thread::scope(|scope| {
                scope.spawn(|| {
                    if let Some(core) = cores.last() {
                        core_affinity::set_for_current(*core);
                    }
                    let mut text = String::new();
                    while !done.load(Ordering::Acquire) {
                        text.clear();
                        library.scrape(&mut text);
                    }
                });
                let mut times: Vec<Duration> = (BEFORE..BEFORE + added)
                    .map(|number| {
                        // Time enough between them for a scrape to be anywhere.
                        std::thread::sleep(Duration::from_micros(20));
                        let start = Instant::now();
                        library.add(number);
                        start.elapsed()
                    })
                    .collect();
                done.store(true, Ordering::Release);
                times.sort_unstable();
                times
            });
            let slow = times[times.len() - 1 - times.len() / 1000];
            taken
                .entry(library.name())
                .or_default()
                .push(slow.as_secs_f64() * 1e6);
        }
    }
    let figures = taken
        .into_iter()
        .map(|(name, taken)| Figure::of(name, taken));
    vec![Row::new(
        "a new series while scrapes run back to back, p99.9",
        "µs",
        0.1,
        figures.collect(),
    )]
}

fn memory(effort: Effort) -> Vec<Row> {
    let series = 20_000 / effort.divisor.min(4);
    let bytes = |of: Of| {
        let kept = |library: Box<dyn Filled>| {
            let mut text = String::with_capacity(64 << 20);
            // What is there for the first series is not of the others.
            library.add(0);
            let fill = measure(|| {
                (1..=series).for_each(|number| library.add(number));
                // Until it is scraped, a library may keep samples instead of sums.
                library.scrape(&mut text);
            });
            Figure::exact(library.name(), fill.bytes_current as f64 / series as f64)
        };
        library::empty(of).into_iter().map(kept).collect::<Vec<_>>()
    };
    vec![
        Row::new("", "bytes", 0.0, bytes(Of::Counters)).against(
            "heap of a counter series, against 234 bytes",
            234.0,
            1.0,
        ),
        Row::new("", "bytes", 0.0, bytes(Of::Histograms)).against(
            "heap of a histogram series, against 720 bytes",
            720.0,
            1.0,
        ),
    ]
}

const METADATA: Metadata<'static> = Metadata::new("bench", Level::INFO, None);

fn unscraped(effort: Effort) -> Vec<Row> {
    let observations = 20_000_000 / effort.divisor as u64;
    let kept = |name, recorder: &dyn Recorder| {
        let histogram = recorder.register_histogram(&Key::from_name("bench_seconds"), &METADATA);
        histogram.record(1.0);
        let grown = measure(|| (0..observations).for_each(|n| histogram.record(sample(n))));
        Figure::exact(name, grown.bytes_current as f64)
    };
    let figures = vec![
        kept(OURS, &library::engine()),
        kept("stock recorder", &library::stock()),
    ];
    let line = format!(
        "memory kept of {} million observations that nobody scrapes",
        observations / 1_000_000
    );
    let mut row = Row::new(line, "bytes", 0.0, figures);
    row.floor = Some(0.0);
    vec![row]
}
