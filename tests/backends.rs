//! A real Prometheus scrapes both recorders after the same events, and answers the same questions alike.
//!
//! It asks ours for `OpenMetrics` and gets it; the stock recorder has the classic format only.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use metrics::Recorder;
use obs_core::Histogram;
use obs_exporter::{Config, Exporter, RecorderKind, Server};
use obs_tests::tools::{self, Generation};
use obs_tests::{Desk, Process, Pushgateway, ask, scrape};
use obs_trading::{
    Decision, Fill, OrderOutcome, OrderType, RejectReason, ReplayClock, Side, Signal, Strategy,
    Ticket, Venue,
};
use serde_json::Value;
use tempfile::TempDir;

/// Questions of every kind, with quantiles and label values that need escaping among them.
const QUESTIONS: [&str; 10] = [
    "trading_orders_total",
    "sum by (outcome) (trading_orders_closed_total)",
    "trading_orders_open",
    "histogram_quantile(0.95, sum by (le) (trading_slippage_bps_bucket))",
    "histogram_quantile(0.5, sum by (le, venue) (trading_order_fill_duration_seconds_bucket))",
    "trading_order_fill_duration_seconds_sum / trading_order_fill_duration_seconds_count",
    "sum(trading_trades_total)",
    r#"foreign_events_total{path=~"(?s).*\"quoted\".*"}"#,
    "foreign_size_bytes_bucket",
    "count by (__name__) ({__name__=~\"trading_.*\"})",
];

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_alike_for_both_recorders() {
    let (ours, stock) = (
        serve(RecorderKind::Obs).await,
        serve(RecorderKind::Stock).await,
    );
    let prometheus = Prometheus::of(&[("ours", &ours), ("stock", &stock)]);
    tokio::task::spawn_blocking(move || {
        let url = prometheus.url;
        until_scraped(&url, 2);
        for question in QUESTIONS {
            let answers = by_job(&ask(&url, &with_job(question)).unwrap());
            assert!(!answers["ours"].is_empty(), "{question} has an answer");
            assert_eq!(answers["ours"], answers["stock"], "{question}");
        }
        // A heat map of a dashboard has the declared buckets here.
        let heat = slippages(&url);
        for series in &heat {
            assert!(series["metric"]["le"].is_string(), "{series}");
            assert!(series["value"].is_array(), "{series}");
        }
        assert!(heat.len() > 5, "{heat:?}");
    })
    .await
    .unwrap();
    ours.shutdown().await;
    stock.shutdown().await;
}

/// What the heat map on the dashboard of executions is answered, with everything chosen, once something was scraped twice.
fn slippages(prometheus: &str) -> Vec<Value> {
    let boards = obs_verify::boards::all().into_iter();
    let panels = boards
        .flat_map(|board| board.rows)
        .flat_map(|row| row.panels);
    let mut queries = panels.flat_map(|panel| panel.queries);
    let is_heat = |text: &str| text.starts_with("sum(increase(trading_slippage_bps{");
    let text = queries.find(|query| is_heat(&query.text)).unwrap().text;
    let text = obs_verify::queries::substituted(&text);
    let answered = || ask(prometheus, &text).unwrap_or_default();
    let is_there = || !answered().is_empty() || pause();
    assert!((0..300).any(|_| is_there()), "{text} has no answer");
    answered()
}

/// Native histograms, asked for by a Prometheus that stores them.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_stores_native_histograms() {
    let config = Config {
        native_histograms: true,
        ..Config::default()
    };
    let server = serve_with(config).await;
    let prometheus = Prometheus::with_native_histograms(&[("ours", &server)]);
    tokio::task::spawn_blocking(move || {
        let url = prometheus.url;
        until_scraped(&url, 1);
        // A heat map of a dashboard has native buckets, which Grafana draws as they are.
        let heat = slippages(&url);
        let [heat] = &heat[..] else {
            panic!("{heat:?}");
        };
        assert!(
            heat["histogram"].is_array() && heat["value"].is_null(),
            "{heat}"
        );
        let value = |question: &str| {
            let answer = ask(&url, question).unwrap();
            let [series] = &answer[..] else {
                panic!("{question} is answered by {answer:?}");
            };
            series["value"][1].as_str().unwrap().to_owned()
        };
        let number = |question: &str| value(question).parse::<f64>().unwrap();
        // Where there are native buckets there are no series of classic ones.
        assert_eq!(ask(&url, "trading_slippage_bps_bucket").unwrap().len(), 0);
        let held = "trading_order_fill_duration_seconds";
        assert_eq!(value(&format!("sum(histogram_count({held}))")), "300");
        // Slippages of both signs: of 300 fills, those at 99 sold 100 to 94 bps too low, those at 101 bought as much too high.
        let slippage = "sum(trading_slippage_bps)";
        assert_eq!(value(&format!("histogram_count({slippage})")), "300");
        let mean = number(&format!(
            "histogram_sum({slippage}) / histogram_count({slippage})"
        ));
        assert!((95.0..105.0).contains(&mean), "{mean}");
        let median = number(&format!("histogram_quantile(0.5, {slippage})"));
        // A bucket is as wide as a tenth.
        assert!((mean / median - 1.0).abs() < 0.1, "{median} of {mean}");
        // What is not native is what it is in text: a counter of seconds, which the recorder has in nanoseconds, and a label that
        // needs escapes. A histogram that no catalogue declares has native buckets, too.
        let cpu = number("process_cpu_seconds_total");
        assert!((0.0..1000.0).contains(&cpu), "{cpu}");
        let quoted = r#"foreign_events_total{path=~"(?s).*\"quoted\" \\\\ path\nin two lines é"}"#;
        assert_eq!(value(quoted), "500");
        assert_eq!(value("histogram_count(foreign_size_bytes)"), "500");
    })
    .await
    .unwrap();
    server.shutdown().await;
}

obs_core::families! {
    /// The same observations, with declared buckets and without.
    struct Observed {
        /// With both sorts of buckets.
        both: Histogram = "observed_both_seconds" { buckets: obs_core::buckets::LATENCY },
        /// With native buckets alone.
        native: Histogram = "observed_native_seconds" { buckets: obs_core::buckets::NATIVE },
    }
}

/// Quantiles of native buckets are off by less than a bucket's width, wherever they lie; those of declared ones are between the
/// bounds around them.
#[tokio::test(flavor = "multi_thread")]
async fn quantiles_of_native_histograms_are_near_to_the_exact_ones() {
    const WIDTH: f64 = 0.090_6;
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        native_histograms: true,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    let observed = metrics::with_local_recorder(&recorder, Observed::new);
    // From a microsecond to a minute and a half, evenly over the octaves but for a hump.
    let exponent = |n: i32| f64::from(n * 7919 % 10_007) / 10_007.0;
    let values = (0..10_007).map(|n| 1e-6 * (13.0 * (exponent(n) + exponent(n).powi(2))).exp2());
    let mut values: Vec<f64> = values.collect();
    for value in &values {
        observed.both.record(*value);
        observed.native.record(*value);
    }
    values.sort_unstable_by(f64::total_cmp);
    let server = exporter.serve().await.unwrap();
    let native = Prometheus::with_native_histograms(&[("ours", &server)]);
    let classic = Prometheus::of(&[("ours", &server)]);
    tokio::task::spawn_blocking(move || {
        until_scraped(&native.url, 1);
        until_scraped(&classic.url, 1);
        let number = |prometheus: &Prometheus, question: &str| {
            let answer = ask(&prometheus.url, question).unwrap();
            let value = answer.first().unwrap_or_else(|| panic!("{question}"))["value"][1].clone();
            value.as_str().unwrap().parse::<f64>().unwrap()
        };
        let mut bounds = obs_core::buckets::LATENCY.to_vec();
        bounds.insert(0, 0.0);
        for per_mille in [1_u16, 10, 100, 250, 500, 750, 900, 990, 999] {
            let quantile = f64::from(per_mille) / 1000.0;
            let place = (values.len() * usize::from(per_mille)).div_ceil(1000);
            let exact = values[place - 1];
            for family in ["observed_both_seconds", "observed_native_seconds"] {
                let found = number(
                    &native,
                    &format!("histogram_quantile({quantile}, {family})"),
                );
                let error = (found / exact - 1.0).abs();
                assert!(
                    error <= WIDTH,
                    "{quantile} of {family}: {found} for {exact}"
                );
            }
            let found = number(
                &classic,
                &format!("histogram_quantile({quantile}, observed_both_seconds_bucket)"),
            );
            let above = bounds
                .partition_point(|bound| *bound < exact)
                .min(bounds.len() - 1);
            assert!(
                found <= bounds[above] && found >= bounds[above - 1],
                "{quantile}: {found} for {exact}"
            );
        }
        let sum: f64 = values.iter().sum();
        for family in ["observed_both_seconds", "observed_native_seconds"] {
            assert_eq!(
                number(&native, &format!("histogram_count({family})")).to_string(),
                "10007"
            );
            let found = number(&native, &format!("histogram_sum({family})"));
            assert!((found / sum - 1.0).abs() < 1e-9, "{found} for {sum}");
            // What needs no native histogram is the same for everybody.
            assert_eq!(
                number(&classic, &format!("{family}_count")).to_string(),
                "10007"
            );
        }
    })
    .await
    .unwrap();
    server.shutdown().await;
}

/// Prometheus asks for `OpenMetrics`, and stores every line that it reads: it is not to have more of them than the classic format.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_as_installed_stores_the_series_of_the_text_format() {
    let server = serve(RecorderKind::Obs).await;
    let prometheus = Prometheus::of(&[("ours", &server)]);
    tokio::task::spawn_blocking(move || {
        let url = prometheus.url;
        until_scraped(&url, 1);
        let text = scrape(&format!("http://{}/metrics", server.local_addr())).unwrap();
        let exposition = obs_exposition::parse(&text).unwrap();
        let samples: usize = exposition
            .families
            .iter()
            .map(|family| family.samples.len())
            .sum();
        // What a scrape says of itself is not of the service.
        let question = r#"count({job="ours", __name__!~"up|scrape_.*"})"#;
        let stored = ask(&url, question).unwrap()[0]["value"][1].clone();
        assert_eq!(stored, samples.to_string());
    })
    .await
    .unwrap();
}

/// The same of the sample desk, whose samples are thousands.
#[test]
fn prometheus_as_installed_stores_what_the_text_of_the_desk_has() {
    let folder = tempfile::tempdir().unwrap();
    let bars = folder.path().join("bars.csv");
    let all = fs::read_to_string(tools::workspace().join("examples/trading-desk/data/sp500.csv"));
    let all = all.unwrap();
    let some: Vec<&str> = all.lines().take(300).collect();
    fs::write(&bars, some.join("\n") + "\n").unwrap();
    let desk = Desk::replayed_from(&bars).unwrap();
    let prometheus = Prometheus::at(&[("ours", desk.address())], "", None);
    until_scraped(&prometheus.url, 1);
    let text = scrape(desk.metrics()).unwrap();
    let exposition = obs_exposition::parse(&text).unwrap();
    let total: usize = exposition
        .families
        .iter()
        .map(|family| family.samples.len())
        .sum();
    assert!(total > 3000, "{total}");
    // A series that is new since the scrape may be in the text, or the other way round: then the next one has it too.
    let count = r#"count({job="ours", __name__!~"up|scrape_.*"})"#;
    let stored = || -> usize {
        let answer = ask(&prometheus.url, count).unwrap();
        answer[0]["value"][1].as_str().unwrap().parse().unwrap()
    };
    assert!(
        (0..100).any(|_| stored() == total || pause()),
        "{} of {total}",
        stored()
    );
    let names = ask(&prometheus.url, r#"count by (__name__) ({job="ours"})"#).unwrap();
    let created = |answer: &Value| {
        answer["metric"]["__name__"]
            .as_str()
            .is_some_and(|name| name.ends_with("_created"))
    };
    assert!(!names.iter().any(created), "{names:?}");
}

/// Names of any characters are those names for a Prometheus that reads them, and escaped for one that does not.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_any_characters_are_read_by_those_who_ask_for_them() {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        utf8_names: true,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("http.requests", "http.method" => "GET").increment(3);
        metrics::histogram!("http.time_seconds").record(0.5);
        metrics::counter!("a.b").increment(1);
        metrics::counter!("a_b").increment(2);
    });
    assert_eq!(exporter.warnings().len(), 1, "{:?}", exporter.warnings());
    let server = exporter.serve().await.unwrap();
    let prometheus = Prometheus::of(&[("ours", &server)]);
    tokio::task::spawn_blocking(move || {
        let url = prometheus.url;
        until_scraped(&url, 1);
        let value = |question: &str| {
            let answer = ask(&url, question).unwrap();
            answer
                .first()
                .map(|series| series["value"][1].as_str().unwrap().to_owned())
        };
        let (reads, does_not) = match Generation::chosen() {
            Generation::Current => (
                [
                    (r#"{"http.requests", "http.method"="GET"}"#, "3"),
                    (r#"{"http.time_seconds_count"}"#, "1"),
                    (r#"{"a.b"}"#, "1"),
                    ("a_b", "2"),
                ],
                "http_requests",
            ),
            Generation::Debian => (
                [
                    (r#"http_requests{http_method="GET"}"#, "3"),
                    ("http_time_seconds_count", "1"),
                    ("a_b", "2"),
                    (r#"obs_name_conflicts_total{metric="a_b"}"#, "1"),
                ],
                "U__http_2e_requests",
            ),
        };
        for (question, expected) in reads {
            assert_eq!(value(question).as_deref(), Some(expected), "{question}");
        }
        assert_eq!(value(does_not), None);
    })
    .await
    .unwrap();
    server.shutdown().await;
}

obs_core::families! {
    /// A histogram that keeps exemplars.
    struct Traced {
        /// Time to fill.
        fill: Histogram = "traced_fill_seconds" { buckets: &[0.1, 1.0], exemplars: true },
    }
}

/// Exemplars are kept with a flag that both generations know, and only with it.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_keeps_exemplars_with_its_flag() {
    const TRACE: [u8; 16] = [0xab; 16];
    obs_exporter::set_trace_id_source(|| Some(TRACE));
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    metrics::with_local_recorder(&recorder, Traced::new)
        .fill
        .record(0.5);
    let server = exporter.serve().await.unwrap();
    let flag = "--enable-feature=exemplar-storage";
    for argument in [Some(flag), None] {
        let prometheus = Prometheus::configured(&[("ours", &server)], "", argument);
        tokio::task::spawn_blocking(move || {
            until_scraped(&prometheus.url, 1);
            let question =
                "/api/v1/query_exemplars?query=traced_fill_seconds_bucket&start=0&end=9999999999";
            let kept = scrape(&(prometheus.url.clone() + question)).unwrap();
            assert_eq!(
                kept.contains(&"ab".repeat(16)),
                argument.is_some(),
                "{kept}"
            );
        })
        .await
        .unwrap();
    }
    server.shutdown().await;
}

/// Which keys of a scrape config a generation knows; Prometheus refuses others, so that instructions are by version.
#[test]
fn keys_of_the_scrape_config_are_by_version() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let is_current = Generation::chosen() == Generation::Current;
    for (key, is_known) in [
        ("scrape_classic_histograms: true", false),
        ("always_scrape_classic_histograms: true", is_current),
        ("scrape_native_histograms: true", is_current),
        ("scrape_protocols: [PrometheusText0.0.4]", is_current),
        ("metric_name_validation_scheme: legacy", is_current),
        ("metric_name_escaping_scheme: underscores", is_current),
        ("honor_labels: true", true),
    ] {
        let job = format!("scrape_configs: [{{ job_name: desk, {key} }}]\n");
        fs::write(&config, job).unwrap();
        let mut promtool = Command::new(tools::promtool().unwrap());
        let said = promtool
            .args(["check", "config"])
            .arg(&config)
            .output()
            .unwrap();
        assert_eq!(said.status.success(), is_known, "{key}: {said:?}");
    }
}

/// A counter that is born at 1 after the first scrape has increased by 1, for a Prometheus that reads when series began.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_increase_is_seen_where_start_timestamps_are_read() {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        created: true,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    let (setting, seen) = match Generation::chosen() {
        // It knows no start timestamps in text: the first value is where the series begins, and the rest is a series.
        Generation::Debian => (None, ("0", 1)),
        Generation::Current => {
            let flag = "--enable-feature=created-timestamp-zero-ingestion";
            (Some(flag), ("1", 0))
        }
    };
    let prometheus = Prometheus::configured(&[("ours", &server)], "", setting);
    tokio::task::spawn_blocking(move || {
        let url = prometheus.url;
        until_scraped(&url, 1);
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("late_events_total").increment(1);
        });
        let first = |question: &str| Some(ask(&url, question).ok()?.first()?["value"][1].clone());
        let awaited = || first("count_over_time(late_events_total[1m]) >= 3").is_some();
        assert!((0..300).any(|_| awaited() || pause()), "it was not scraped");
        // The end of the range is the last sample, so that nothing is extrapolated.
        let increase =
            "last_over_time(late_events_total[1m]) - min_over_time(late_events_total[1m])";
        assert_eq!(first(increase).unwrap(), seen.0);
        let created = ask(&url, r#"{__name__=~"late_events_created"}"#).unwrap();
        assert_eq!(created.len(), seen.1);
    })
    .await
    .unwrap();
}

#[test]
fn the_stock_recorder_has_no_native_histograms() {
    let config = Config {
        native_histograms: true,
        ..stock_config()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let error = builder.build().map(|_| ()).unwrap_err().to_string();
    assert!(
        error.starts_with("OBS_NATIVE_HISTOGRAMS needs OBS_RECORDER=obs: the stock one has"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_recorders_push_while_they_serve_and_once_more_at_the_end() {
    let gateway = Pushgateway::start().unwrap();
    for recorder in [RecorderKind::Obs, RecorderKind::Stock] {
        let (instance, service) = (recorder.as_str(), "desk/1");
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            recorder,
            service: Some(service.to_owned()),
            push_url: Some(gateway.url().to_owned()),
            push_interval: Duration::from_millis(50),
            push_instance: Some(instance.to_owned()),
            ..Config::default()
        };
        let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
        let (recorder, exporter) = builder.build().unwrap();
        let events = metrics::with_local_recorder(
            &recorder,
            || metrics::counter!("pushed_events_total", "path" => "\\ \"é\""),
        );
        let server = exporter.serve().await.unwrap();
        let pushed = || {
            let text = scrape(&format!("{}/metrics", gateway.url())).unwrap();
            let labels = [
                ("job", service),
                ("instance", instance),
                ("path", "\\ \"é\""),
            ];
            let found = obs_exposition::parse(&text).unwrap();
            found.sum("pushed_events_total", &labels)
        };
        // As often as it takes: what is asked is another process.
        events.increment(1);
        while pushed() != Some(1.0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        events.increment(2);
        server.shutdown().await;
        assert_eq!(pushed(), Some(3.0), "{instance}");
    }
}

#[tokio::test]
async fn what_is_told_to_nobody_is_an_error() {
    let config = Config {
        push_instance: Some("desk-1".to_owned()),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let error = exporter.serve().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "OBS_PUSH_INSTANCE is set without OBS_PUSH_URL; set both or neither"
    );
}

/// A running Prometheus, with the files it needs.
struct Prometheus {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// One that scrapes these servers every second, each as a job.
    fn of(servers: &[(&str, &Server)]) -> Self {
        Self::configured(servers, "", None)
    }

    /// The same, storing native histograms.
    fn with_native_histograms(servers: &[(&str, &Server)]) -> Self {
        match Generation::chosen() {
            Generation::Debian => {
                let flag = "--enable-feature=native-histograms";
                Self::configured(servers, "", Some(flag))
            }
            Generation::Current => {
                Self::configured(servers, ", scrape_native_histograms: true", None)
            }
        }
    }

    fn configured(servers: &[(&str, &Server)], setting: &str, argument: Option<&str>) -> Self {
        let named = |(name, server): &(&str, &Server)| {
            ((*name).to_owned(), server.local_addr().to_string())
        };
        let servers: Vec<_> = servers.iter().map(named).collect();
        let servers: Vec<_> = servers.iter().map(|(name, at)| (&**name, &**at)).collect();
        Self::at(&servers, setting, argument)
    }

    /// One that scrapes these addresses.
    fn at(servers: &[(&str, &str)], setting: &str, argument: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let job = |(name, address): &(&str, &str)| {
            format!("- job_name: {name}\n  static_configs: [targets: ['{address}']]\n")
        };
        let jobs: String = servers.iter().map(job).collect();
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s{setting}}}\nscrape_configs:\n{jobs}"
            ),
        )
        .unwrap();
        let listen = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let data = folder.path().join("data");
        let mut command = Command::new(tools::prometheus().unwrap());
        command
            .args([
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={listen}"),
                "--log.level=error".to_owned(),
            ])
            .args(argument);
        Self {
            url: format!("http://{listen}"),
            _process: Process::start(&mut command).unwrap(),
            _folder: folder,
        }
    }
}

/// There is no event to wait for in another program: it is asked until it has scraped all.
fn until_scraped(prometheus: &str, servers: usize) {
    let question = format!("count(app_info) == {servers}");
    let scraped = || ask(prometheus, &question).is_ok_and(|answer| !answer.is_empty());
    assert!(
        (0..300).any(|_| scraped() || pause()),
        "Prometheus has not scraped them in 30 seconds"
    );
}

fn stock_config() -> Config {
    Config {
        recorder: RecorderKind::Stock,
        ..Config::default()
    }
}

async fn serve(recorder: RecorderKind) -> Server {
    serve_with(Config {
        recorder,
        ..Config::default()
    })
    .await
}

/// An exporter with this configuration, and the same events in it.
async fn serve_with(config: Config) -> Server {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..config
    };
    let (recorder, exporter) = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(obs_trading::catalogue())
        .build()
        .unwrap();
    let recorder: Arc<dyn Recorder + Send + Sync> = Arc::new(recorder);
    obs_core::with_recorder(&recorder, events);
    exporter.serve().await.unwrap()
}

fn events() {
    let clock = ReplayClock::new();
    let (strategy, venue) = (
        Strategy::with_clock("crossover", &clock),
        Venue::new("paper"),
    );
    for n in 0..500_u32 {
        let (side, price) = if n % 3 == 0 {
            (Side::Sell, 99.0)
        } else {
            (Side::Buy, 101.0)
        };
        let symbol = format!("S{}", n % 40);
        let ticket = Ticket::new(&symbol, side, OrderType::Limit, 10.0, 100.0);
        let idea = strategy.signal(Signal::Buy, f64::from(n % 10) / 10.0);
        let mut order = idea.decide(Decision::Enter).submit(&venue, &ticket);
        clock.advance_to(clock.now() + Duration::from_millis(u64::from(n * 7 % 5_000)));
        match n % 5 {
            0 => drop(order.close(OrderOutcome::Expired)),
            1 => drop(order.close_rejected(RejectReason::MarketClosed)),
            _ => {
                order.fill(Fill::new(10.0, price + f64::from(n % 7) / 100.0));
                order.close_filled();
            }
        }
        metrics::counter!("foreign_events_total", "path" => "a \"quoted\" \\ path\nin two lines é")
            .increment(1);
        metrics::histogram!("foreign_size_bytes").record(f64::from(n * 100));
    }
}

/// The question with its answer told apart by job: the labels of a grouping get it too.
fn with_job(question: &str) -> String {
    question
        .replace("sum by (", "sum by (job, ")
        .replace("count by (", "count by (job, ")
        .replace(
            "sum(trading_trades_total)",
            "sum by (job) (trading_trades_total)",
        )
}

/// The answers of each job: labels that the scrape does not add, and the value to nine digits, since sums of floats depend on
/// their order.
fn by_job(answer: &[Value]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut by_job: BTreeMap<String, BTreeMap<String, String>> = ["ours", "stock"]
        .map(|job| (job.to_owned(), BTreeMap::new()))
        .into();
    for series in answer {
        let mut labels: BTreeMap<String, String> =
            serde_json::from_value(series["metric"].clone()).unwrap();
        let job = labels.remove("job").unwrap();
        labels.remove("instance");
        // `OpenMetrics` writes a bound as `1024.0`, the classic format as `1024`; each is right in its own.
        if let Some(bound) = labels.get_mut("le") {
            let number: f64 = bound.parse().unwrap();
            *bound = number.to_string();
        }
        let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
        by_job
            .get_mut(&job)
            .unwrap()
            .insert(format!("{labels:?}"), format!("{value:.9e}"));
    }
    by_job
}

/// Waits a little; never what was waited for.
fn pause() -> bool {
    std::thread::sleep(Duration::from_millis(100));
    false
}
