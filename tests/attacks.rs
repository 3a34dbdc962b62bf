//! Labels from people who mean harm: a million paths, symbols, error types, commands and functions, through the recorder and the
//! exporter as programs have them. Series stay inside their budgets, totals are exact, and a reader of the text reads what was
//! sent: our own parser, promtool, Python's client in both formats, and a Prometheus that scrapes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use axum::routing::get;
use fastrand::Rng;
use metrics::Recorder;
use obs_core::{
    Catalogue, ErrorMetrics, FunctionCalls, MAX_VALUE_BYTES, OTHER, OTHER_TOTAL, Severity, Timed,
    UNDECLARED_FAMILIES, with_recorder,
};
use obs_db::Redis;
use obs_exporter::{Config, Exporter, Format};
use obs_exposition::{Exposition, Sample};
use obs_tests::{Process, PythonParser, Verdict, ask, check_metrics, tools};
use obs_trading::{Decision, Fill, OrderType, Side, Signal, Strategy, Ticket, Venue};
use redis::{Cmd, ConnectionLike, RedisResult, Value};
use tower::{Layer, Service, service_fn};

/// How many texts each of five attacks brings: together a million.
const EVENTS: u32 = 200_000;
/// Every so many texts one is a mebibyte long.
const HUGE_EVERY: u32 = 10_000;
const HUGE: usize = 1024 * 1024;

/// Texts that no label should be. Most are different from all others, some come again and again.
struct Hostile {
    random: Rng,
    made: u32,
}

impl Hostile {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            made: 0,
        }
    }

    fn text(&mut self) -> String {
        self.made += 1;
        if self.made % HUGE_EVERY == 1 {
            return "\"\\\n\0".repeat(HUGE / 4);
        }
        let n = self.random.u32(..);
        match self.random.u8(..16) {
            0 => format!("\"{n}\""),
            1 => format!("{n}\n# TYPE forged counter\nforged 1\n# EOF"),
            2 => format!("\0{n}\0"),
            3 => format!("🦀{n}👩‍👩‍👧é"),
            // Escapes that neither format has, and one that is not finished.
            4 => format!("\\x{n}\\u0000\\"),
            5 => format!("{n}\",le=\"+Inf\"}} 1e9 # {{trace_id=\"0\"}} 1"),
            // Half of a surrogate pair, as it arrives from bytes that somebody took for text.
            6 => String::from_utf8_lossy(&[b"\xed\xa0\x80", n.to_string().as_bytes()].concat())
                .into_owned(),
            7 => format!("{n}\u{202e}\u{feff}\r\t\u{7f}\u{85}\u{2028}\u{10ffff}"),
            8 => "é".repeat(usize::try_from(n % 140).unwrap_or(0)),
            9 => "x".repeat(MAX_VALUE_BYTES + usize::try_from(n % 2).unwrap_or(0)),
            10 => String::new(),
            11 => OTHER.to_owned(),
            12 => format!("/orders/{n}?key=%00%ff&secret=../../{n}"),
            13 => ["NaN", "1e999", "+Inf", "unmatched", "__name__", " ", "{}"]
                [self.random.usize(..7)]
            .to_owned(),
            14 => (0..self.random.usize(1..20))
                .map(|_| self.random.char(..))
                .collect(),
            _ => format!("AAPL{}", n % 50),
        }
    }
}

/// What has to come of the values of one label of one family.
struct Model {
    family: &'static str,
    label: &'static str,
    held: Held,
    /// What was recorded, by the value it is shown under.
    shown: BTreeMap<String, u64>,
    folded: u64,
}

/// What holds the values of a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// An open label looks each up, and gives so many of them series of their own.
    Looked(usize),
    /// The recorder takes so many values of a scope. A value has so many series, each of which is folded by itself; one that can
    /// be no label was folded before the recorder saw it, for all of its series at once.
    Scope(usize, u64),
    /// The recorder takes so many series of a family that nobody declared, `other` and the one without a label among them.
    Undeclared(usize),
}

impl Model {
    fn new(family: &'static str, label: &'static str, held: Held) -> Self {
        Self {
            family,
            label,
            held,
            shown: BTreeMap::new(),
            folded: 0,
        }
    }

    /// Takes a text for which 1 is recorded.
    fn take(&mut self, text: &str) {
        let others = usize::from(self.shown.contains_key(OTHER));
        let is_full = match self.held {
            Held::Looked(limit) | Held::Scope(limit, _) => self.shown.len() - others >= limit,
            Held::Undeclared(limit) => self.shown.len() >= limit,
        };
        let may_be_empty = matches!(self.held, Held::Undeclared(_));
        let is_nameable = text.len() <= MAX_VALUE_BYTES && (may_be_empty || !text.is_empty());
        let is_own = is_nameable && (!is_full || self.shown.contains_key(text));
        if !is_own && text != OTHER {
            self.folded += match self.held {
                Held::Looked(_) | Held::Undeclared(_) => 1,
                Held::Scope(_, series) => {
                    if is_nameable {
                        series
                    } else {
                        1
                    }
                }
            };
        }
        let shown = if is_own { text } else { OTHER };
        *self.shown.entry(shown.to_owned()).or_default() += 1;
    }

    /// Holds the family as it was read against what it has to be.
    fn check(&self, read: &Samples) {
        let family = self.family;
        let mut shown: BTreeMap<String, f64> = BTreeMap::new();
        for ((_, labels), value) in read.iter().filter(|((name, _), _)| name == family) {
            let text = labels.get(self.label).cloned().unwrap_or_default();
            *shown.entry(text).or_default() += value;
        }
        // What is there from the start and was never used is no fault.
        shown.retain(|_, value| *value > 0.0);
        let expected = self.shown.iter();
        let expected: BTreeMap<String, f64> = expected
            .map(|(text, count)| (text.clone(), *count as f64))
            .collect();
        assert_eq!(shown, expected, "{family} by {}", self.label);
        let folded = sum(read, "obs_series_overflow_total", &[("metric", family)]);
        assert_eq!(folded, Some(self.folded as f64), "{family}");
    }
}

/// A name and labels.
type Series = (String, BTreeMap<String, String>);
/// Values by series.
type Samples = BTreeMap<Series, f64>;

/// The sum of a metric's series that carry these labels; nothing where there are none.
fn sum(read: &Samples, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
    let carries = |labels: &BTreeMap<String, String>| {
        let carried =
            |(key, value): &(&str, &str)| labels.get(*key).is_some_and(|found| found == value);
        wanted.iter().all(carried)
    };
    let found = read
        .iter()
        .filter(|((found, labels), _)| found == name && carries(labels));
    found
        .map(|(_, value)| *value)
        .reduce(|sum, value| sum + value)
}

/// An exporter of its own, and the recorder behind it.
fn exporter(catalogue: Catalogue) -> (Arc<dyn Recorder + Send + Sync>, Exporter) {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.catalogue(catalogue).build().unwrap();
    (Arc::new(recorder), exporter)
}

/// Has the text read by everybody, who have to read the same, and returns that.
fn read(exporter: &Exporter) -> Samples {
    let classic = exporter.render();
    let ours = obs_exposition::parse(&classic).unwrap_or_else(|error| panic!("{error}"));
    let ours = samples(ours);
    let verdict = check_metrics(&classic).unwrap();
    assert!(!matches!(verdict, Verdict::Refused(_)), "{verdict:?}");
    let mut python = PythonParser::start().unwrap();
    for text in [classic, exporter.render_as(Format::OpenMetrics)] {
        let theirs = python.parse(&text).unwrap().unwrap();
        let theirs = theirs.into_iter().flat_map(|family| family.samples);
        let theirs = theirs.map(|sample| ((sample.name, sample.labels), sample.value));
        let theirs = theirs.map(|((name, labels), value)| {
            // Python's parser adds to a counter's name what it misses there.
            let short = name.strip_suffix("_total").unwrap_or(&name).to_owned();
            let is_added = !ours.contains_key(&(name.clone(), labels.clone()));
            ((if is_added { short } else { name }, labels), value)
        });
        assert_eq!(comparable(&ours), comparable(&theirs.collect()));
    }
    ours
}

fn samples(exposition: Exposition) -> Samples {
    let samples = exposition
        .families
        .into_iter()
        .flat_map(|family| family.samples);
    let series = |sample: Sample| {
        (
            (sample.name, sample.labels.into_iter().collect()),
            sample.value,
        )
    };
    samples.map(series).collect()
}

/// What has to be the same for every reader, at any time: without what a process and a scrape say of themselves, without what only one
/// format tells, and with bounds as numbers.
fn comparable(samples: &Samples) -> BTreeMap<(&str, BTreeMap<&str, String>), u64> {
    let changes = ["process_", "obs_scrape_", "app_uptime"];
    let stays = |name: &str| {
        !changes.iter().any(|change| name.starts_with(change)) && !name.contains("_created")
    };
    let number = |key: &str, value: &str| match (key, value.parse::<f64>()) {
        ("le" | "quantile", Ok(number)) => number.to_string(),
        _ => value.to_owned(),
    };
    let staying = samples.iter().filter(|((name, _), _)| stays(name));
    let series = staying.map(|((name, labels), value)| {
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| (key.as_str(), number(key, value)));
        ((name.as_str(), labels.collect()), value.to_bits())
    });
    series.collect()
}

/// What an attack left behind, and what has to be there.
struct Attacked {
    exporter: Exporter,
    models: Vec<Model>,
}

impl Attacked {
    /// Has everybody read it, and holds it against the models.
    fn check(&self) -> Samples {
        let read = read(&self.exporter);
        for model in &self.models {
            model.check(&read);
        }
        read
    }
}

/// Requests to an application whose endpoints are named, out of carelessness, by what its clients send.
async fn named_paths(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(obs_http::catalogue());
    let layer = with_recorder(&recorder, obs_http::layer).endpoint_by(endpoint);
    let answer = async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new()));
    let mut service = layer.layer(service_fn(answer));
    let mut model = Model::new("http_requests_total", "endpoint", Held::Looked(200));
    let mut hostile = Hostile::new(1);
    for _ in 0..texts {
        let text = hostile.text();
        model.take(&text);
        let mut request = Request::new(String::new());
        request.extensions_mut().insert(Text(text));
        service.call(request).await.unwrap();
    }
    Attacked {
        exporter,
        models: vec![model],
    }
}

/// Requests of a scanner to an application that knows one path.
async fn paths(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(obs_http::catalogue());
    let layer = with_recorder(&recorder, obs_http::layer);
    let mut app = Router::new()
        .route("/orders/{id}", get(async || ""))
        .layer(layer)
        .into_service::<Body>();
    let mut models = ["endpoint", "method", "status_code"]
        .map(|label| Model::new("http_requests_total", label, Held::Looked(3)));
    let mut hostile = Hostile::new(2);
    for number in 0..texts {
        let (known, method) = (number % 5 == 0, number % 3 == 0);
        let path = escaped(&hostile.text());
        let (prefix, method) = (
            if known { "/orders" } else { "" },
            if method { "GET" } else { "STEAL" },
        );
        let request = Request::builder()
            .method(method)
            .uri(format!("{prefix}/{path}"));
        let response = app
            .call(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        // axum names a known route, also where it takes no such method; it takes no empty part.
        let is_route = known && !path.is_empty();
        models[0].take(if is_route {
            "/orders/{id}"
        } else {
            "unmatched"
        });
        models[1].take(if method == "GET" { "GET" } else { OTHER });
        models[2].take(status.as_str());
    }
    Attacked {
        exporter,
        models: models.into(),
    }
}

/// What a request carries for its endpoint's name.
#[derive(Clone)]
struct Text(String);

fn endpoint(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<Text>().map(|text| text.0.as_str())
}

/// As a part of a path: what may not stand there as itself in `%` and two digits. No URI is longer than 65,534 bytes.
fn escaped(text: &str) -> String {
    let bytes = text.bytes().take(20_000);
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    bytes.map(escape).collect()
}

/// Symbols from a feed that nobody checks.
fn symbols(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(obs_trading::catalogue());
    let (strategy, venue) = with_recorder(&recorder, || {
        (Strategy::new("crossover"), Venue::new("paper"))
    });
    let mut model = Model::new("trading_trades_total", "symbol", Held::Looked(500));
    let mut hostile = Hostile::new(3);
    for _ in 0..texts {
        let symbol = hostile.text();
        model.take(&symbol);
        let ticket = Ticket::new(&symbol, Side::Buy, OrderType::Market, 1.0, 100.0);
        let idea = strategy.signal(Signal::Buy, 0.5);
        let mut order = idea.decide(Decision::Enter).submit(&venue, &ticket);
        order.fill(Fill::new(1.0, 100.0));
        order.close_filled();
    }
    Attacked {
        exporter,
        models: vec![model],
    }
}

/// Errors whose type is their message.
fn error_types(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    let errors = with_recorder(&recorder, || ErrorMetrics::new("gateway"));
    let mut model = Model::new("errors_total", "error_type", Held::Looked(100));
    let mut hostile = Hostile::new(4);
    for _ in 0..texts {
        let message = hostile.text();
        model.take(&message);
        errors.count_as(&message, Severity::Error);
    }
    Attacked {
        exporter,
        models: vec![model],
    }
}

/// Commands that no server knows, in bytes that are no text.
fn commands(texts: u32) -> Attacked {
    /// A server that takes everything.
    struct Anything;
    impl ConnectionLike for Anything {
        fn req_packed_command(&mut self, _: &[u8]) -> RedisResult<Value> {
            Ok(Value::Okay)
        }
        fn req_packed_commands(
            &mut self,
            _: &[u8],
            _: usize,
            count: usize,
        ) -> RedisResult<Vec<Value>> {
            Ok(vec![Value::Okay; count])
        }
        fn get_db(&self) -> i64 {
            0
        }
        fn check_connection(&mut self) -> bool {
            true
        }
        fn is_open(&self) -> bool {
            true
        }
    }
    let (recorder, exporter) = exporter(obs_db::catalogue());
    let mut redis = with_recorder(&recorder, || Redis::new(Anything, "cache"));
    let mut model = Model::new("redis_client_commands_total", "command", Held::Looked(2));
    let mut hostile = Hostile::new(5);
    for number in 0..texts {
        let is_known = number % 10 == 0;
        model.take(if is_known { "get" } else { OTHER });
        let mut command = Cmd::new();
        match number % 3 {
            _ if is_known => command.arg("GeT"),
            // Half of a surrogate pair, as bytes.
            0 => command.arg([b"\xed\xa0\x80", hostile.text().as_bytes()].concat()),
            _ => command.arg(format!("x{}", hostile.text())),
        };
        redis.req_command(command.arg(hostile.text())).unwrap();
    }
    Attacked {
        exporter,
        models: vec![model],
    }
}

/// Functions named while the program runs: by code of other people, and by ours for one in ten.
fn functions(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    let mut theirs = Model::new("worker_calls_total", "function", Held::Undeclared(10_000));
    let mut ours = Model::new("function_calls_total", "function", Held::Scope(500, 4));
    let mut hostile = Hostile::new(7);
    with_recorder(&recorder, || {
        for number in 0..texts {
            let function = hostile.text();
            if number % 10 == 0 {
                ours.take(&function);
                FunctionCalls::new(&function).time(|| ());
            } else {
                theirs.take(&function);
                metrics::counter!("worker_calls_total", "function" => function).increment(1);
            }
        }
    });
    Attacked {
        exporter,
        models: vec![theirs, ours],
    }
}

#[tokio::test]
async fn random_paths_are_unmatched_or_other() {
    named_paths(EVENTS / 2).await.check();
    paths(EVENTS / 2).await.check();
}

#[test]
fn random_symbols_are_other() {
    symbols(EVENTS).check();
}

#[test]
fn random_error_types_are_other() {
    error_types(EVENTS).check();
}

#[test]
fn random_commands_are_other() {
    commands(EVENTS).check();
}

#[test]
fn random_functions_are_other() {
    functions(EVENTS).check();
}

/// Metrics, labels and help texts of other people's code whose names nobody may have.
fn names(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    let mut hostile = Hostile::new(8);
    with_recorder(&recorder, || {
        for _ in 0..texts {
            let (mut name, key, value) = (hostile.text(), hostile.text(), hostile.text());
            if name == OTHER {
                // Python's parser takes it for `other_total`, which is what names beyond the thousandth are counted under.
                name.push('s');
            }
            metrics::describe_counter!(name.clone(), hostile.text());
            metrics::counter!(name, key => value).increment(1);
        }
    });
    Attacked {
        exporter,
        models: Vec::new(),
    }
}

/// Metrics that are named by what is sent, each recorded as three kinds.
fn made_names(texts: u32) -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    with_recorder(&recorder, || {
        for number in 0..texts {
            // Some are too long.
            let name = format!("made_{number}").repeat(1 + usize::from(number % 10 == 0) * 40);
            metrics::counter!(format!("{name}_total")).increment(1);
            metrics::gauge!(format!("{name}_level")).set(1);
            metrics::histogram!(format!("{name}_seconds")).record(1.0);
        }
    });
    Attacked {
        exporter,
        models: Vec::new(),
    }
}

/// The sum of what is recorded here, whatever it is called.
fn sum_of_all(read: &Samples) -> Option<f64> {
    let own = ["app_", "obs_", "process_"];
    let is_own = |name: &str| own.iter().any(|own| name.starts_with(own));
    let theirs = read.iter().filter(|((name, _), _)| !is_own(name));
    theirs
        .map(|(_, value)| *value)
        .reduce(|sum, value| sum + value)
}

#[test]
fn names_and_label_names_that_nobody_may_have() {
    const TEXTS: u32 = 2_000;
    let read = names(TEXTS).check();
    // Of names that are the same once they are escaped the first is kept; each lookup of another is said.
    let lost: f64 = sum_by_metric(&read, "obs_name_conflicts_total")
        .values()
        .sum();
    assert!(lost > 0.0);
    assert_eq!(
        sum_of_all(&read).map(|kept| kept + lost),
        Some(f64::from(TEXTS))
    );
}

#[test]
fn metrics_named_by_what_is_sent_are_a_thousand_and_one() {
    const TEXTS: u32 = 100_000;
    let read = made_names(TEXTS).check();
    let ends = ["_total", "_level", "_seconds_count"];
    let is_made =
        |name: &str| name.starts_with("made_") && ends.iter().any(|end| name.ends_with(end));
    let made = read.keys().filter(|(name, _)| is_made(name));
    assert_eq!(made.count(), UNDECLARED_FAMILIES);
    let shown = sum(&read, "obs_undeclared_families", &[]).unwrap();
    assert_eq!(shown.to_bits(), (UNDECLARED_FAMILIES as f64).to_bits());
    let is_count = |name: &str| name.starts_with("made_") && name.ends_with("_total");
    let counts = read.iter().filter(|((name, _), _)| is_count(name));
    let kept: f64 = counts.map(|(_, value)| value).sum();
    let other = sum(&read, OTHER_TOTAL, &[]).unwrap();
    assert_eq!((kept + other).to_bits(), f64::from(TEXTS).to_bits());
    // Each recorded something of three kinds, and none came twice.
    let beyond = 3.0 * f64::from(TEXTS) - UNDECLARED_FAMILIES as f64;
    let folded = sum_by_metric(&read, "obs_series_overflow_total");
    assert_eq!(folded[OTHER].to_bits(), beyond.to_bits());
    assert!(
        read.keys()
            .all(|(name, _)| name.len() <= MAX_VALUE_BYTES + "_bucket".len())
    );
}

/// What a family of the pipeline says of each metric.
fn sum_by_metric<'a>(read: &'a Samples, family: &str) -> BTreeMap<&'a str, f64> {
    let said = read.iter().filter(|((name, _), _)| name == family);
    said.map(|((_, labels), value)| (labels["metric"].as_str(), *value))
        .collect()
}

#[test]
fn labels_that_mean_one_thing_add_up_and_names_do_not() {
    let (recorder, exporter) = exporter(Catalogue::default());
    with_recorder(&recorder, || {
        for name in [
            "jobs.done_total",
            "jobs done_total",
            "jobs_done_total",
            "jobs\0done_total",
        ] {
            metrics::counter!(name, "queue-name" => "q").increment(1);
            metrics::counter!(name, "queue.name" => "p", "queue name" => "q").increment(1);
        }
        for key in [
            "le",
            "quantile",
            "__name__",
            "service",
            "exported_le",
            "\u{1f980}",
        ] {
            metrics::counter!("reserved_total", key => "1").increment(1);
        }
        let labels: Vec<_> = (0..1_000).map(|n| (format!("l{n}"), "v")).collect();
        metrics::counter!("wide_total", &labels).increment(1);
        metrics::counter!("wide_total", &labels).increment(1);
    });
    let read = read(&exporter);
    assert_eq!(
        sum(&read, "jobs_done_total", &[("queue_name", "q")]),
        Some(2.0)
    );
    // Three other spellings were each looked up twice.
    let conflicts = sum(
        &read,
        "obs_name_conflicts_total",
        &[("metric", "jobs_done_total")],
    );
    assert_eq!(conflicts, Some(6.0));
    assert_eq!(
        sum(&read, "reserved_total", &[("exported_le", "1")]),
        Some(2.0)
    );
    assert_eq!(sum(&read, "reserved_total", &[("service", "1")]), Some(1.0));
    assert_eq!(sum(&read, "reserved_total", &[]), Some(6.0));
    assert_eq!(
        sum(&read, "wide_total", &[("l0", "v"), ("l999", "v")]),
        Some(2.0)
    );
}

/// Names that the series of another metric have, and values that are no numbers.
fn clashes() -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    with_recorder(&recorder, || {
        metrics::histogram!("clash_seconds").record(1.0);
        metrics::counter!("clash_seconds_count").increment(3);
        metrics::gauge!("clash_seconds_bucket", "le" => "1").set(3);
        metrics::counter!("clash_seconds_created").increment(3);
        metrics::histogram!("words").record(1.0);
        metrics::counter!("words_sum").increment(3);
        metrics::counter!("both_total").increment(1);
        metrics::gauge!("both").set(1);
        metrics::gauge!("both_total").set(1);
        metrics::histogram!("both_total").record(f64::NAN);
        metrics::gauge!("odd_level").set(f64::NEG_INFINITY);
        metrics::gauge!("odder_level").set(f64::NAN);
        metrics::histogram!("negative_words").record(-1.0);
        metrics::histogram!("negative_seconds").record(-1.0);
        for value in [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, f64::MAX, -0.0] {
            metrics::histogram!("odd_seconds").record(value);
            metrics::histogram!("odd_words").record(value);
        }
        metrics::counter!("most_total").increment(u64::MAX);
    });
    Attacked {
        exporter,
        models: Vec::new(),
    }
}

/// Names as long as no line is, which are folded.
fn huge_names() -> Attacked {
    let (recorder, exporter) = exporter(Catalogue::default());
    with_recorder(&recorder, || {
        let huge = "é\"\n\0".repeat(HUGE / 5);
        metrics::counter!(huge.clone()).increment(1);
        metrics::counter!("sane_total", huge.clone() => "x").increment(2);
        metrics::counter!("sane_total", huge.clone() => huge).increment(4);
    });
    Attacked {
        exporter,
        models: Vec::new(),
    }
}

#[test]
fn names_that_clash_hide_nothing_else() {
    let read = clashes().check();
    assert_eq!(sum(&read, "clash_seconds_count", &[]), Some(1.0));
    assert_eq!(sum(&read, "both_total", &[]), Some(1.0));
    assert_eq!(sum(&read, "odd_seconds_count", &[]), Some(4.0));
    assert_eq!(sum(&read, "negative_seconds_sum", &[]), Some(-1.0));
    for metric in ["odd_seconds", "odd_words"] {
        let rejected = sum(&read, "obs_samples_rejected_total", &[("metric", metric)]);
        assert_eq!(rejected, Some(2.0), "{metric}");
    }
}

#[test]
fn names_of_a_mebibyte_are_folded() {
    let read = huge_names().check();
    assert_eq!(sum(&read, OTHER_TOTAL, &[]), Some(1.0));
    assert_eq!(sum(&read, "sane_total", &[(OTHER, OTHER)]), Some(6.0));
    for (metric, count) in [(OTHER, 1.0), ("sane_total", 2.0)] {
        let folded = sum(&read, "obs_series_overflow_total", &[("metric", metric)]);
        assert_eq!(folded, Some(count), "{metric}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_every_attack_left() {
    const TEXTS: u32 = 3_000;
    let attacks = [
        ("named_paths", named_paths(TEXTS).await),
        ("paths", paths(TEXTS).await),
        ("symbols", symbols(TEXTS)),
        ("error_types", error_types(TEXTS)),
        ("commands", commands(TEXTS)),
        ("functions", functions(TEXTS)),
        ("names", names(TEXTS)),
        ("clashes", clashes()),
        ("huge_names", huge_names()),
        ("made_names", made_names(TEXTS)),
    ];
    let mut servers = Vec::new();
    let mut config =
        "global: {scrape_interval: 4s, scrape_timeout: 4s}\nscrape_configs:\n".to_owned();
    for (name, attacked) in &attacks {
        let server = attacked.exporter.serve().await.unwrap();
        let target = server.local_addr();
        let _ = write!(
            config,
            "- job_name: {name}\n  static_configs: [targets: ['{target}']]\n"
        );
        servers.push(server);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let _prometheus = Process::start(Command::new(tools::prometheus().unwrap()).args([
        format!("--config.file={}", file.display()),
        format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ),
        format!("--web.listen-address={listen}"),
        "--log.level=error".to_owned(),
    ]))
    .unwrap();
    let url = format!("http://{listen}");
    let compare = move || {
        // There is no event to wait for in another program: it is asked until it has scraped all.
        let all = format!("count(max_over_time(up[5m]) == 1) == {}", attacks.len());
        let scraped = || ask(&url, &all).is_ok_and(|answer| !answer.is_empty());
        let pause = || {
            std::thread::sleep(Duration::from_millis(100));
            false
        };
        let is_scraped = (0..300).any(|_| scraped() || pause());
        assert!(is_scraped, "in 30 seconds only {:?}", ask(&url, "up"));
        for (name, attacked) in &attacks {
            // The last it has read, though on a busy machine a later scrape may have been too slow for it.
            let last = format!("last_over_time({{job=\"{name}\"}}[5m])");
            let theirs = ask(&url, &last).unwrap();
            let theirs = theirs.iter().filter_map(of_prometheus).collect();
            let text = attacked.exporter.render();
            let ours = samples(obs_exposition::parse(&text).unwrap());
            assert_eq!(comparable(&ours), comparable(&theirs), "{name}");
        }
    };
    tokio::task::spawn_blocking(compare).await.unwrap();
    for server in servers {
        server.shutdown().await;
    }
}

/// A series of Prometheus' answer without the labels that the scrape adds; nothing for those that it adds itself.
fn of_prometheus(series: &serde_json::Value) -> Option<(Series, f64)> {
    let mut labels: BTreeMap<String, String> =
        serde_json::from_value(series["metric"].clone()).ok()?;
    let name = labels.remove("__name__")?;
    labels.remove("job");
    labels.remove("instance");
    let value = series["value"][1].as_str()?.parse().ok()?;
    let is_ours = name != "up" && !name.starts_with("scrape_");
    is_ours.then_some(((name, labels), value))
}
