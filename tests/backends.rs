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
use obs_exporter::{Config, Exporter, RecorderKind, Server};
use obs_tests::{Process, Pushgateway, ask, scrape, tools};
use obs_trading::{
    Decision, OrderOutcome, OrderType, RejectReason, ReplayClock, Side, Signal, Strategy, Ticket,
    Venue,
};
use serde_json::Value;

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
    // When a series began is told by one format only.
    "count by (__name__) ({__name__=~\"trading_.*\", __name__!~\".*_created\"})",
];

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_alike_for_both_recorders() {
    let (ours, stock) = (
        serve(RecorderKind::Obs).await,
        serve(RecorderKind::Stock).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let job = |name: &str, server: &Server| {
        format!(
            "- job_name: {name}\n  static_configs: [targets: ['{}']]\n",
            server.local_addr()
        )
    };
    let jobs = job("ours", &ours) + &job("stock", &stock);
    fs::write(
        &config,
        format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}"),
    )
    .unwrap();
    let listen = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let _prometheus = Process::start(Command::new(tools::prometheus().unwrap()).args([
        format!("--config.file={}", config.display()),
        format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ),
        format!("--web.listen-address={listen}"),
        "--log.level=error".to_owned(),
    ]))
    .unwrap();
    let url = format!("http://{listen}");
    tokio::task::spawn_blocking(move || {
        // There is no event to wait for in another program: it is asked until it has scraped both.
        let scraped = || ask(&url, "count(app_info) == 2").is_ok_and(|answer| !answer.is_empty());
        assert!(
            (0..300).any(|_| scraped() || pause()),
            "Prometheus has not scraped both in 30 seconds"
        );
        for question in QUESTIONS {
            let answers = by_job(&ask(&url, &with_job(question)).unwrap());
            assert!(!answers["ours"].is_empty(), "{question} has an answer");
            assert_eq!(answers["ours"], answers["stock"], "{question}");
        }
    })
    .await
    .unwrap();
    ours.shutdown().await;
    stock.shutdown().await;
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

/// An exporter with this recorder, and the same events in it.
async fn serve(kind: RecorderKind) -> Server {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        recorder: kind,
        ..Config::default()
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
                order.fill(10.0, price + f64::from(n % 7) / 100.0);
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
