//! `OpenMetrics` text, read by Python's `prometheus_client`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use obs_core::{By, Catalogue, Counter, Gauge, Histogram, Outcome, Summary, TimeCounter, buckets};
use obs_exposition::Exposition;
use obs_recorder::{Engine, Format, TraceId};
use obs_tests::{PythonFamily, PythonParser, PythonSample};

obs_core::label! {
    /// Where orders go.
    pub open Venue as "venue" up to 20
}

obs_core::families! {
    /// One family of each kind.
    pub struct Sample(venue: Venue) {
        /// Orders "by" outcome; a \ too.
        pub orders: By<Outcome, Counter> = "sample_orders_total",
        /// Time spent.
        pub busy: TimeCounter = "sample_busy_seconds_total",
        /// Orders that are open: a name that the counter would take.
        pub open: Gauge = "sample_requests",
        /// Requests.
        pub requests: Counter = "sample_requests_total",
        /// Money held.
        pub balance: Gauge = "sample_balance",
        /// Size of a message.
        pub size: Histogram = "sample_message_bytes" { buckets: buckets::BYTES },
        /// Time to fill.
        pub fill: Histogram = "sample_fill_seconds" { buckets: &[0.001, 0.1, 1.0, 10.0], exemplars: true },
        /// Slippage.
        pub slippage: Histogram = "sample_slippage_bps" { buckets: buckets::SIGNED_BPS },
        /// Time to decide.
        pub decision: Summary = "sample_decision_seconds" { quantiles: &[0.0, 0.5, 1.0] },
    }
}

thread_local!(static TRACE: Cell<Option<TraceId>> = const { Cell::new(None) });

fn sample() -> (Engine, Sample) {
    let catalogue = Catalogue::of(&[Sample::FAMILIES]);
    let builder = Engine::builder().catalogue(catalogue).created(true);
    let engine = builder
        .global_label("service", "te\\st \"one\"\n")
        .build()
        .unwrap();
    let sample = metrics::with_local_recorder(&engine, || Sample::new("alpaca"));
    sample.orders[Outcome::Ok].increment(3);
    sample.busy.add(Duration::from_nanos(1_500_000_001));
    sample.open.set(2);
    sample.requests.increment(1);
    sample.balance.set_undefined();
    sample.size.record(100.0);
    for value in [0.0005, 0.5, 0.5, 50.0] {
        sample.fill.record(value);
    }
    sample.slippage.record(-3.0);
    sample.slippage.record(1.0);
    sample.decision.record(0.25);
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("their.requests", "path" => "/é\"\\\n").increment(7);
        metrics::gauge!("their_unbounded").set(f64::INFINITY);
        metrics::histogram!("their_words").record(5.0);
    });
    (engine, sample)
}

fn read(engine: &Engine) -> Vec<PythonFamily> {
    let text = engine.render(Format::OpenMetrics);
    let read = PythonParser::start().unwrap().parse(&text).unwrap();
    read.unwrap_or_else(|reason| panic!("{reason}\n{text}"))
}

fn family<'a>(families: &'a [PythonFamily], name: &str) -> &'a PythonFamily {
    let mut found = families.iter().filter(|family| family.name == name);
    found
        .next()
        .unwrap_or_else(|| panic!("{name} is not among {families:?}"))
}

#[test]
fn kinds_units_and_help_are_told() {
    let (engine, _sample) = sample();
    let families = read(&engine);
    let kind_and_unit = |name: &str| {
        let family = family(&families, name);
        (family.kind.as_str(), family.unit.as_str())
    };
    assert_eq!(kind_and_unit("sample_orders"), ("counter", ""));
    assert_eq!(kind_and_unit("sample_busy_seconds"), ("counter", "seconds"));
    assert_eq!(kind_and_unit("sample_balance"), ("gauge", ""));
    assert_eq!(
        kind_and_unit("sample_message_bytes"),
        ("histogram", "bytes")
    );
    assert_eq!(
        kind_and_unit("sample_fill_seconds"),
        ("histogram", "seconds")
    );
    assert_eq!(
        kind_and_unit("sample_decision_seconds"),
        ("summary", "seconds")
    );
    // What the format has no word for keeps its names.
    assert_eq!(kind_and_unit("sample_requests"), ("gauge", ""));
    assert_eq!(kind_and_unit("sample_requests_total"), ("unknown", ""));
    assert_eq!(kind_and_unit("their_requests"), ("unknown", ""));
    assert_eq!(kind_and_unit("sample_slippage_bps_bucket"), ("unknown", ""));
    assert_eq!(kind_and_unit("sample_slippage_bps_sum"), ("unknown", ""));
    assert_eq!(
        family(&families, "sample_orders").help,
        "Orders \"by\" outcome; a \\ too."
    );
}

#[test]
fn every_series_of_the_classic_format_is_there_under_its_name() {
    type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;
    /// Bounds and quantiles are numbers, which each format writes in its own way.
    fn labels(labels: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
        let number = |(key, value): (String, String)| match key.as_str() {
            "le" | "quantile" => (key, value.parse::<f64>().unwrap().to_string()),
            _ => (key, value),
        };
        labels.into_iter().map(number).collect()
    }
    fn classic(exposition: &Exposition) -> Samples {
        let samples = exposition
            .families
            .iter()
            .flat_map(|family| &family.samples);
        samples
            .map(|sample| {
                (
                    (sample.name.clone(), labels(sample.labels.clone())),
                    sample.value,
                )
            })
            .collect()
    }
    fn open(families: &[PythonFamily]) -> Samples {
        let samples = families.iter().flat_map(|family| &family.samples);
        let shown = samples.filter(|sample| !sample.name.ends_with("_created"));
        shown
            .map(|sample| {
                (
                    (sample.name.clone(), labels(sample.labels.clone())),
                    sample.value,
                )
            })
            .collect()
    }
    let (engine, _sample) = sample();
    let open = open(&read(&engine));
    let classic = classic(&obs_exposition::parse(&engine.render(Format::Classic)).unwrap());
    assert_eq!(open.len(), classic.len());
    for (series, value) in &classic {
        let other = open
            .get(series)
            .unwrap_or_else(|| panic!("{series:?} is missing"));
        assert!(
            other.to_bits() == value.to_bits() || (other.is_nan() && value.is_nan()),
            "{series:?}"
        );
    }
}

#[test]
fn the_time_a_series_began_is_told() {
    let seconds = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let before = seconds();
    let (engine, sample) = sample();
    let created = |families: &[PythonFamily], family: &str| {
        let is_created = |sample: &&PythonSample| sample.name == format!("{family}_created");
        self::family(families, family)
            .samples
            .iter()
            .find(is_created)
            .unwrap()
            .value
    };
    let families = read(&engine);
    for name in [
        "sample_orders",
        "sample_fill_seconds",
        "sample_decision_seconds",
    ] {
        let at = created(&families, name);
        assert!(
            (before - 0.001..=seconds()).contains(&at),
            "{name}: {at} is not after {before}"
        );
    }
    // What was removed begins anew.
    engine.remove("sample_busy_seconds_total", |_| true);
    let removed = seconds();
    sample.busy.add(Duration::from_secs(1));
    let at = created(&read(&engine), "sample_busy_seconds");
    assert!(at >= removed - 0.001, "{at} is not after {removed}");
}

#[test]
fn exemplars_carry_the_trace_of_the_latest_observation_of_each_bucket() {
    let (engine, sample) = sample();
    let exemplars = |engine: &Engine| -> Vec<_> {
        let families = read(engine);
        let samples = &family(&families, "sample_fill_seconds").samples;
        samples
            .iter()
            .map(|sample| sample.exemplar.clone())
            .take(5)
            .collect()
    };
    assert_eq!(
        exemplars(&engine),
        [None, None, None, None, None],
        "nothing told of a trace yet"
    );

    obs_recorder::set_trace_id_source(|| TRACE.get());
    sample.fill.record(0.5);
    assert_eq!(
        exemplars(&engine),
        [None, None, None, None, None],
        "no trace is current"
    );
    for (trace, value) in [(1, 0.25), (2, 0.75), (3, 99.0), (0, 0.0)] {
        TRACE.set(Some(TraceId::from([trace; 16])));
        sample.fill.record(value);
        sample.size.record(value);
    }
    let found = exemplars(&engine);
    let of = |bucket: usize| {
        let exemplar = found[bucket].as_ref().unwrap();
        (exemplar.labels["trace_id"].as_str(), exemplar.value)
    };
    assert_eq!(of(2), ("02020202020202020202020202020202", 0.75));
    assert_eq!(of(4), ("03030303030303030303030303030303", 99.0));
    assert!(found[0].is_none() && found[1].is_none() && found[3].is_none());
    let families = read(&engine);
    let sizes = &family(&families, "sample_message_bytes").samples;
    assert!(
        sizes.iter().all(|sample| sample.exemplar.is_none()),
        "only families that ask for them"
    );
    assert!(!engine.render(Format::Classic).contains("trace_id"));
}
