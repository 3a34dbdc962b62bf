//! The libraries that are compared, each behind one face.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};

use measured::MetricGroup;
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use obs_core::{Catalogue, Each};
use obs_recorder::{Engine, Format};
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use prometheus_client::encoding::EncodeLabelSet;

use crate::contest::{Contender, FLOOR, OURS};
use crate::newer;

/// Eleven bounds, as the Prometheus clients have by default.
pub(crate) const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const METADATA: Metadata<'static> = Metadata::new("bench", Level::INFO, None);

obs_core::label! {
    /// Where orders go.
    pub open Venue as "venue" up to 8
}
obs_core::label! {
    /// What is traded.
    pub open Symbol as "symbol" up to 2_000_000
}
obs_core::label! {
    /// What is traded, of a few.
    pub open Few as "symbol" up to 64
}
obs_core::label! {
    /// Buy or sell, known at run time only.
    pub open Side as "side" up to 4
}

obs_core::families! {
    /// What is recorded to.
    pub(crate) struct Bench {
        /// Orders by what is known at run time only.
        pub(crate) orders: Each<Venue, Each<Few, Each<Side, obs_core::Counter>>> = "bench_orders_total",
        /// Times by what is known at run time only.
        pub(crate) times: Each<Venue, Each<Few, Each<Side, obs_core::Histogram>>> = "bench_order_seconds" { buckets: &BOUNDS },
    }
}

obs_core::families! {
    /// Families whose series are made by key, as many as it takes.
    pub(crate) struct Many {
        /// A counter each.
        pub(crate) count: Each<Venue, Each<Symbol, Each<Side, obs_core::Counter>>> = "bench_count_total" { budget: 2_000_000 },
        /// A histogram each.
        pub(crate) time: Each<Venue, Each<Symbol, Each<Side, obs_core::Histogram>>> = "bench_time_seconds" { buckets: &BOUNDS, budget: 2_000_000 },
    }
}

obs_core::families! {
    /// What is resolved from the engine that is installed.
    struct Kept {
        /// A counter.
        count: obs_core::Counter = "bench_kept_total",
        /// A gauge.
        level: obs_core::Gauge = "bench_kept",
        /// A histogram.
        time: obs_core::Histogram = "bench_kept_seconds" { buckets: &BOUNDS },
    }
}

/// Handles as a program has them: of an engine that is installed, as one is in a process.
fn kept() -> Kept {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| obs_core::install(engine()).expect("the first of this process"));
    Kept::new()
}

/// Labels as a program meets them: text that is known at run time only.
pub(crate) struct Labels {
    values: Vec<[String; 3]>,
}

impl Labels {
    pub(crate) fn few() -> Self {
        let values = (0..64).map(|n| Self::of(n * 7).map(|(_, value)| value));
        Self {
            values: values.collect(),
        }
    }

    /// The labels of the series of that number.
    pub(crate) fn of(number: usize) -> [(&'static str, String); 3] {
        [
            ("venue", format!("venue-{}", number % 8)),
            ("symbol", format!("symbol-{}", number % 48)),
            ("side", ["buy", "sell"][number % 2].to_owned()),
        ]
    }

    /// The same, with a symbol of its own for each number.
    pub(crate) fn of_many(number: usize) -> [(&'static str, String); 3] {
        let [venue, _, side] = Self::of(number);
        [venue, ("symbol", format!("symbol-{number}")), side]
    }

    #[inline]
    pub(crate) fn at(&self, n: u64) -> [&str; 3] {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the mask keeps the low bits"
        )]
        let [venue, symbol, side] = &self.values[n as usize & 63];
        black_box([venue, symbol, side])
    }
}

/// A sample that falls into one bucket or another.
#[inline]
pub(crate) fn sample(n: u64) -> f64 {
    const SAMPLES: [f64; 8] = [0.003, 0.02, 0.04, 0.3, 0.7, 1.5, 4.0, 20.0];
    black_box(SAMPLES[slot_of(n)])
}

/// Which of eight samples is the next.
#[inline]
pub(crate) fn slot_of(n: u64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the mask keeps the low bits"
    )]
    let slot = n as usize & 7;
    slot
}

fn key(name: &'static str, labels: [(&'static str, String); 3]) -> Key {
    let labels = labels.map(|(key, value)| Label::new(key, value));
    Key::from_parts(name, labels.to_vec())
}

/// A library with series of one kind in it, of which a scrape is asked and to which more are added.
pub(crate) trait Filled: Sync {
    fn name(&self) -> &'static str;
    /// Makes the series of that number and records to it once.
    fn add(&self, number: usize);
    /// Renders everything.
    fn scrape(&self, out: &mut String);
}

pub(crate) fn repeat(n: u64, work: impl FnMut(u64)) {
    (0..n).for_each(work);
}

pub(crate) fn engine() -> Engine {
    let catalogue = Catalogue::of(&[Bench::FAMILIES, Many::FAMILIES]);
    Engine::builder()
        .catalogue(catalogue)
        .build()
        .expect("the catalogue is sound")
}

pub(crate) fn stock() -> PrometheusRecorder {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BOUNDS);
    builder.expect("there are buckets").build_recorder()
}

/// The stock recorder piles samples up until it is scraped or does upkeep; without, a benchmark would run out of memory.
fn with_upkeep(recorder: &PrometheusRecorder, n: u64, mut work: impl FnMut(u64)) {
    let handle = recorder.handle();
    for start in (0..n).step_by(1 << 16) {
        (start..n.min(start + (1 << 16))).for_each(&mut work);
        handle.run_upkeep();
    }
}

pub(crate) fn counters<'a>() -> Vec<Contender<'a>> {
    let floor = AtomicU64::new(0);
    let ours = kept().count;
    let stock = stock().register_counter(&Key::from_name("bench_total"), &METADATA);
    let prometheus = prometheus::IntCounter::new("bench_total", "x").expect("a name");
    let client = prometheus_client::metrics::counter::Counter::<u64>::default();
    let measured = measured::Counter::new();
    let (provider, meter) = otel();
    let otel = meter.u64_counter("bench_total").build().bind(&[]);
    let mut contenders = vec![
        Contender::new(FLOOR, move |n| {
            repeat(n, |_| _ = floor.fetch_add(black_box(1), Relaxed));
        }),
        Contender::new(OURS, move |n| repeat(n, |_| ours.increment(black_box(1)))),
        Contender::new("stock recorder", move |n| {
            repeat(n, |_| stock.increment(black_box(1)));
        }),
        Contender::new("prometheus", move |n| {
            repeat(n, |_| prometheus.inc_by(black_box(1)));
        }),
        Contender::new("prometheus-client", move |n| {
            repeat(n, |_| _ = client.inc_by(black_box(1)));
        }),
        Contender::new("measured", move |n| {
            repeat(n, |_| measured.get_metric().inc_by(black_box(1)));
        }),
        Contender::new("opentelemetry", move |n| {
            let _kept = &provider;
            repeat(n, |_| otel.add(black_box(1)));
        }),
    ];
    contenders.extend(newer::counters());
    contenders
}

/// Counters that one thread adds to, beside a load, an addition and a store of it.
pub(crate) fn local_counters<'a>() -> Vec<Contender<'a>> {
    let (floor, ours) = (AtomicU64::new(0), kept().count);
    let prometheus = prometheus::IntCounter::new("bench_total", "x").expect("a name");
    vec![
        Contender::new(FLOOR, move |n| {
            repeat(n, |_| {
                // What is added is there before the word is read, as the argument of a function is. The other way round the processor
                // is given a load and a store in place of one addition to memory, between which some forward the word for nothing.
                let by = black_box(1);
                floor.store(floor.load(Relaxed) + by, Relaxed);
            });
        }),
        Contender::new(OURS, move |n| {
            let ours = ours.local();
            repeat(n, |_| ours.increment(black_box(1)));
        }),
        // A scrape sees nothing of it until it is flushed, here once in each batch.
        Contender::new("prometheus::local", move |n| {
            let local = prometheus.local();
            repeat(n, |_| local.inc_by(black_box(1)));
            local.flush();
        }),
    ]
}

pub(crate) fn gauges<'a>() -> Vec<Contender<'a>> {
    let floor = AtomicU64::new(0);
    let ours = kept().level;
    let stock = stock().register_gauge(&Key::from_name("bench"), &METADATA);
    let prometheus = prometheus::Gauge::new("bench", "x").expect("a name");
    let client = prometheus_client::metrics::gauge::Gauge::<f64, AtomicU64>::default();
    let measured = measured::FloatGauge::new();
    let mut contenders = vec![
        Contender::new(FLOOR, move |n| {
            repeat(n, |n| floor.store(sample(n).to_bits(), Relaxed));
        }),
        Contender::new(OURS, move |n| repeat(n, |n| ours.set(sample(n)))),
        Contender::new("stock recorder", move |n| {
            repeat(n, |n| stock.set(sample(n)));
        }),
        Contender::new("prometheus", move |n| {
            repeat(n, |n| prometheus.set(sample(n)));
        }),
        Contender::new("prometheus-client", move |n| {
            repeat(n, |n| _ = client.set(sample(n)));
        }),
        Contender::new("measured", move |n| {
            repeat(n, |n| measured.get_metric().set(sample(n)));
        }),
    ];
    contenders.extend(newer::gauges());
    contenders
}

pub(crate) fn histograms<'a>() -> Vec<Contender<'a>> {
    let floor: (Vec<AtomicU64>, AtomicU64) = (
        (0..12).map(|_| AtomicU64::new(0)).collect(),
        AtomicU64::new(0),
    );
    let ours = kept().time;
    let recorder = stock();
    let stock = recorder.register_histogram(&Key::from_name("bench_seconds"), &METADATA);
    let options = prometheus::HistogramOpts::new("bench_seconds", "x").buckets(BOUNDS.to_vec());
    let prometheus = prometheus::Histogram::with_opts(options).expect("sound options");
    let client = prometheus_client::metrics::histogram::Histogram::new(BOUNDS);
    let measured = measured::Histogram::with_metadata(
        measured::metric::histogram::Thresholds::with_buckets(BOUNDS),
    );
    let (provider, meter) = otel();
    let otel = meter
        .f64_histogram("bench_seconds")
        .with_boundaries(BOUNDS.to_vec())
        .build()
        .bind(&[]);
    let by_hand = move |value: f64| {
        let bucket = BOUNDS
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(BOUNDS.len());
        floor.0[bucket].fetch_add(1, Relaxed);
        let _ = floor.1.fetch_update(Relaxed, Relaxed, |sum| {
            Some((f64::from_bits(sum) + value).to_bits())
        });
    };
    let mut contenders = vec![
        Contender::new(FLOOR, move |n| repeat(n, |n| by_hand(sample(n)))),
        Contender::new(OURS, move |n| repeat(n, |n| ours.record(sample(n)))),
        Contender::new("stock recorder", move |n| {
            with_upkeep(&recorder, n, |n| stock.record(sample(n)));
        }),
        Contender::new("prometheus", move |n| {
            repeat(n, |n| prometheus.observe(sample(n)));
        }),
        Contender::new("prometheus-client", move |n| {
            repeat(n, |n| client.observe(sample(n)));
        }),
        Contender::new("measured", move |n| {
            repeat(n, |n| measured.get_metric().observe(sample(n)));
        }),
        Contender::new("opentelemetry", move |n| {
            let _kept = &provider;
            repeat(n, |n| otel.record(sample(n)));
        }),
    ];
    contenders.extend(newer::histograms());
    contenders
}

fn otel() -> (SdkMeterProvider, opentelemetry::metrics::Meter) {
    let provider = SdkMeterProvider::builder()
        .with_reader(ManualReader::builder().build())
        .build();
    let meter = provider.meter("bench");
    (provider, meter)
}

fn attributes([venue, symbol, side]: [&str; 3]) -> [KeyValue; 3] {
    [
        KeyValue::new("venue", venue.to_owned()),
        KeyValue::new("symbol", symbol.to_owned()),
        KeyValue::new("side", side.to_owned()),
    ]
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientLabels {
    venue: String,
    symbol: String,
    side: String,
}

impl ClientLabels {
    fn of([venue, symbol, side]: [&str; 3]) -> Self {
        Self {
            venue: venue.to_owned(),
            symbol: symbol.to_owned(),
            side: side.to_owned(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, measured::LabelGroup)]
#[label(set = MeasuredSet)]
struct MeasuredLabels<'a> {
    #[label(dynamic_with = measured::lasso::ThreadedRodeo, default)]
    venue: &'a str,
    #[label(dynamic_with = measured::lasso::ThreadedRodeo, default)]
    symbol: &'a str,
    #[label(dynamic_with = measured::lasso::ThreadedRodeo, default)]
    side: &'a str,
}

impl<'a> MeasuredLabels<'a> {
    fn of([venue, symbol, side]: [&'a str; 3]) -> Self {
        Self {
            venue,
            symbol,
            side,
        }
    }
}

const NAMES: [&str; 3] = ["venue", "symbol", "side"];

/// Handles found by labels at each call.
pub(crate) fn labelled_counters(labels: &Labels) -> Vec<Contender<'_>> {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(engine());
    let ours = obs_core::with_recorder(&engine, Bench::new).orders;
    let stock = stock();
    let options = prometheus::Opts::new("bench_total", "x");
    let prometheus = prometheus::IntCounterVec::new(options, &NAMES).expect("sound options");
    let client = prometheus_client::metrics::family::Family::<
        ClientLabels,
        prometheus_client::metrics::counter::Counter,
    >::default();
    let measured = measured::CounterVec::<MeasuredSet>::default();
    let (provider, meter) = otel();
    let otel = meter.u64_counter("bench_total").build();
    vec![
        Contender::new(OURS, move |n| {
            repeat(n, |n| {
                let [venue, symbol, side] = labels.at(n);
                ours.of(venue).of(symbol).of(side).increment(1);
            });
        }),
        Contender::new("stock recorder", move |n| {
            metrics::with_local_recorder(&stock, || repeat(n, |n| count(labels.at(n))));
        }),
        Contender::new("prometheus", move |n| {
            repeat(n, |n| prometheus.with_label_values(&labels.at(n)).inc());
        }),
        Contender::new("prometheus-client", move |n| {
            repeat(n, |n| {
                _ = client.get_or_create(&ClientLabels::of(labels.at(n))).inc();
            });
        }),
        Contender::new("measured", move |n| {
            repeat(n, |n| measured.inc(MeasuredLabels::of(labels.at(n))));
        }),
        Contender::new("opentelemetry", move |n| {
            let _kept = &provider;
            repeat(n, |n| otel.add(1, &attributes(labels.at(n))));
        }),
    ]
}

/// The same for histograms.
pub(crate) fn labelled_histograms(labels: &Labels) -> Vec<Contender<'_>> {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(engine());
    let ours = obs_core::with_recorder(&engine, Bench::new).times;
    let stock = stock();
    let options = prometheus::HistogramOpts::new("bench_seconds", "x").buckets(BOUNDS.to_vec());
    let prometheus = prometheus::HistogramVec::new(options, &NAMES).expect("sound options");
    let client = client_histograms();
    let measured = measured_histograms();
    let (provider, meter) = otel();
    let otel = meter
        .f64_histogram("bench_seconds")
        .with_boundaries(BOUNDS.to_vec())
        .build();
    vec![
        Contender::new(OURS, move |n| {
            repeat(n, |n| {
                let [venue, symbol, side] = labels.at(n);
                ours.of(venue).of(symbol).of(side).record(sample(n));
            });
        }),
        Contender::new("stock recorder", move |n| {
            metrics::with_local_recorder(&stock, || {
                with_upkeep(&stock, n, |n| observe(labels.at(n), n));
            });
        }),
        Contender::new("prometheus", move |n| {
            repeat(n, |n| {
                prometheus
                    .with_label_values(&labels.at(n))
                    .observe(sample(n));
            });
        }),
        Contender::new("prometheus-client", move |n| {
            repeat(n, |n| {
                client
                    .get_or_create(&ClientLabels::of(labels.at(n)))
                    .observe(sample(n));
            });
        }),
        Contender::new("measured", move |n| {
            repeat(n, |n| {
                measured.observe(MeasuredLabels::of(labels.at(n)), sample(n));
            });
        }),
        Contender::new("opentelemetry", move |n| {
            let _kept = &provider;
            repeat(n, |n| otel.record(sample(n), &attributes(labels.at(n))));
        }),
    ]
}

/// As third-party code records: through the facade's macro, with labels that are known at run time only.
pub(crate) fn count([venue, symbol, side]: [&str; 3]) {
    metrics::counter!("raw_total", "venue" => venue.to_owned(), "symbol" => symbol.to_owned(), "side" => side.to_owned())
        .increment(1);
}

/// The same for a histogram.
pub(crate) fn observe([venue, symbol, side]: [&str; 3], n: u64) {
    metrics::histogram!("raw_seconds", "venue" => venue.to_owned(), "symbol" => symbol.to_owned(), "side" => side.to_owned())
        .record(sample(n));
}

/// The facade's macros into either recorder.
pub(crate) fn raw_macros<'a>(
    labels: &'a Labels,
    engine: &'a Engine,
    stock: &'a PrometheusRecorder,
) -> [Vec<Contender<'a>>; 2] {
    [
        vec![
            Contender::new(OURS, move |n| {
                metrics::with_local_recorder(engine, || repeat(n, |n| count(labels.at(n))));
            }),
            Contender::new("stock recorder", move |n| {
                metrics::with_local_recorder(stock, || repeat(n, |n| count(labels.at(n))));
            }),
        ],
        vec![
            Contender::new(OURS, move |n| {
                metrics::with_local_recorder(engine, || repeat(n, |n| observe(labels.at(n), n)));
            }),
            Contender::new("stock recorder", move |n| {
                metrics::with_local_recorder(stock, || {
                    with_upkeep(stock, n, |n| observe(labels.at(n), n));
                });
            }),
        ],
    ]
}

type ClientFamily = prometheus_client::metrics::family::Family<
    ClientLabels,
    prometheus_client::metrics::histogram::Histogram,
    fn() -> prometheus_client::metrics::histogram::Histogram,
>;

fn client_histograms() -> ClientFamily {
    ClientFamily::new_with_constructor(|| {
        prometheus_client::metrics::histogram::Histogram::new(BOUNDS)
    })
}

fn measured_histograms() -> measured::HistogramVec<MeasuredSet, 11> {
    let thresholds = measured::metric::histogram::Thresholds::with_buckets(BOUNDS);
    measured::HistogramVec::with_label_set_and_metadata(MeasuredSet::default(), thresholds)
}

/// Which kind of series a [`Filled`] library has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Counters,
    Histograms,
}

/// Every library that can be scraped, still empty.
pub(crate) fn empty(of: Of) -> Vec<Box<dyn Filled>> {
    vec![
        Box::new(Ours {
            engine: engine(),
            of,
        }),
        Box::new(Stock {
            recorder: stock(),
            of,
        }),
        Box::new(Prometheus::new(of)),
        Box::new(Client::new(of)),
        Box::new(Measured::new(of)),
    ]
}

/// What is recorded to each series.
const TIME: f64 = 0.3;

pub(crate) struct Ours {
    pub(crate) engine: Engine,
    pub(crate) of: Of,
}

impl Filled for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn add(&self, number: usize) {
        add_to(&self.engine, self.of, number);
    }

    fn scrape(&self, out: &mut String) {
        self.engine.render_into(out, Format::Classic);
    }
}

/// The counter of that number.
pub(crate) fn counter_of(recorder: &impl Recorder, number: usize) -> metrics::Counter {
    let labels = Labels::of_many(number);
    recorder.register_counter(&key("bench_count_total", labels), &METADATA)
}

fn add_to(recorder: &impl Recorder, of: Of, number: usize) {
    let labels = Labels::of_many(number);
    match of {
        Of::Counters => recorder
            .register_counter(&key("bench_count_total", labels), &METADATA)
            .increment(1),
        Of::Histograms => recorder
            .register_histogram(&key("bench_time_seconds", labels), &METADATA)
            .record(TIME),
    }
}

struct Stock {
    recorder: PrometheusRecorder,
    of: Of,
}

impl Filled for Stock {
    fn name(&self) -> &'static str {
        "stock recorder"
    }

    fn add(&self, number: usize) {
        add_to(&self.recorder, self.of, number);
    }

    fn scrape(&self, out: &mut String) {
        out.push_str(&self.recorder.handle().render());
    }
}

struct Prometheus {
    registry: prometheus::Registry,
    counters: prometheus::IntCounterVec,
    histograms: prometheus::HistogramVec,
    of: Of,
}

impl Prometheus {
    fn new(of: Of) -> Self {
        let registry = prometheus::Registry::new();
        let options = prometheus::Opts::new("bench_count_total", "A counter each.");
        let counters = prometheus::IntCounterVec::new(options, &NAMES).expect("sound options");
        let options = prometheus::HistogramOpts::new("bench_time_seconds", "A histogram each.");
        let histograms = prometheus::HistogramVec::new(options.buckets(BOUNDS.to_vec()), &NAMES)
            .expect("sound options");
        registry
            .register(Box::new(counters.clone()))
            .expect("a new name");
        registry
            .register(Box::new(histograms.clone()))
            .expect("a new name");
        Self {
            registry,
            counters,
            histograms,
            of,
        }
    }
}

impl Filled for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn add(&self, number: usize) {
        let values = Labels::of_many(number).map(|(_, value)| value);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        match self.of {
            Of::Counters => self.counters.with_label_values(&values).inc(),
            Of::Histograms => self.histograms.with_label_values(&values).observe(TIME),
        }
    }

    fn scrape(&self, out: &mut String) {
        let encoder = prometheus::TextEncoder::new();
        encoder
            .encode_utf8(&self.registry.gather(), out)
            .expect("sound metrics");
    }
}

struct Client {
    registry: prometheus_client::registry::Registry,
    counters: prometheus_client::metrics::family::Family<
        ClientLabels,
        prometheus_client::metrics::counter::Counter,
    >,
    histograms: ClientFamily,
    of: Of,
}

impl Client {
    fn new(of: Of) -> Self {
        let mut registry = prometheus_client::registry::Registry::default();
        let counters = prometheus_client::metrics::family::Family::default();
        let histograms = client_histograms();
        registry.register("bench_count", "A counter each", counters.clone());
        registry.register("bench_time_seconds", "A histogram each", histograms.clone());
        Self {
            registry,
            counters,
            histograms,
            of,
        }
    }
}

impl Filled for Client {
    fn name(&self) -> &'static str {
        "prometheus-client"
    }

    fn add(&self, number: usize) {
        let [venue, symbol, side] = Labels::of_many(number).map(|(_, value)| value);
        let labels = ClientLabels {
            venue,
            symbol,
            side,
        };
        match self.of {
            Of::Counters => _ = self.counters.get_or_create(&labels).inc(),
            Of::Histograms => self.histograms.get_or_create(&labels).observe(TIME),
        }
    }

    fn scrape(&self, out: &mut String) {
        prometheus_client::encoding::text::encode(out, &self.registry).expect("sound metrics");
    }
}

#[derive(MetricGroup)]
struct MeasuredGroup {
    bench_count_total: measured::CounterVec<MeasuredSet>,
    #[metric(metadata = measured::metric::histogram::Thresholds::with_buckets(BOUNDS))]
    bench_time_seconds: measured::HistogramVec<MeasuredSet, 11>,
}

struct Measured {
    group: MeasuredGroup,
    of: Of,
}

impl Measured {
    fn new(of: Of) -> Self {
        let group = MeasuredGroup {
            bench_count_total: measured::CounterVec::default(),
            bench_time_seconds: measured_histograms(),
        };
        Self { group, of }
    }
}

impl Filled for Measured {
    fn name(&self) -> &'static str {
        "measured"
    }

    fn add(&self, number: usize) {
        let values = Labels::of_many(number).map(|(_, value)| value);
        let labels = MeasuredLabels::of([&values[0], &values[1], &values[2]]);
        match self.of {
            Of::Counters => self.group.bench_count_total.inc(labels),
            Of::Histograms => self.group.bench_time_seconds.observe(labels, TIME),
        }
    }

    fn scrape(&self, out: &mut String) {
        let mut encoder = measured::text::BufferedTextEncoder::new();
        let Ok(()) = self.group.collect_group_into(&mut encoder);
        out.push_str(std::str::from_utf8(&encoder.finish()).expect("text"));
    }
}

/// Lines that are rendered but for the number at their end, which is read from an atomic.
pub(crate) struct Prerendered(Vec<(String, AtomicU64)>);

impl Prerendered {
    pub(crate) fn new(of: Of, series: usize) -> Self {
        let mut lines = Vec::new();
        for number in 0..series {
            let mut labels = String::new();
            for (key, value) in Labels::of_many(number) {
                let _ = write!(labels, ",{key}=\"{value}\"");
            }
            let labels = &labels[1..];
            if of == Of::Counters {
                lines.push(format!("bench_count_total{{{labels}}} "));
                continue;
            }
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            lines.extend(
                bounds
                    .map(|bound| format!("bench_time_seconds_bucket{{{labels},le=\"{bound}\"}} ")),
            );
            lines.push(format!("bench_time_seconds_sum{{{labels}}} "));
            lines.push(format!("bench_time_seconds_count{{{labels}}} "));
        }
        Self(
            lines
                .into_iter()
                .map(|line| (line, AtomicU64::new(1)))
                .collect(),
        )
    }
}

impl Filled for Prerendered {
    fn name(&self) -> &'static str {
        FLOOR
    }

    fn add(&self, _: usize) {}

    fn scrape(&self, out: &mut String) {
        for (line, value) in &self.0 {
            out.push_str(line);
            out.push_str(itoa::Buffer::new().format(value.load(Relaxed)));
            out.push('\n');
        }
    }
}
