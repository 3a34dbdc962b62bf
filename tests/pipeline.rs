//! The whole pipeline: what happened, what was recorded, what is exported, and what somebody else's parser reads. It is run with
//! either recorder: `pipeline_stock` is the same tests with the stock one.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use obs_core::{Catalogue, Recorded, TestRecorder, TestValue, Timed};
use obs_exporter::{Config, Exporter, RecorderKind};
use obs_exposition::Exposition;
use obs_tests::{PythonFamily, PythonParser, Verdict, check_metrics};
use obs_trading::{Decision, Fill, OrderType, ReplayClock, Side, Signal, Strategy, Ticket, Venue};
use tower::ServiceExt;

/// The exporter of this process. A recorder is installed once, so that all tests here share it; each has names of its own
/// for what it records.
static EXPORTER: LazyLock<Exporter> = LazyLock::new(|| {
    let recorder = match env!("CARGO_CRATE_NAME") {
        "pipeline_stock" => RecorderKind::Stock,
        _ => RecorderKind::Obs,
    };
    Exporter::builder(obs_exporter::app_info!())
        .config(Config {
            recorder,
            ..Config::default()
        })
        .catalogue(Catalogue::of(&[Everything::FAMILIES]))
        .catalogue(obs_http::catalogue())
        .catalogue(obs_trading::catalogue())
        .install()
        .unwrap()
});

/// What is exported now.
fn scrape() -> Exposition {
    let text = EXPORTER.render();
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// The sum of a metric's series that carry these labels.
fn sum(scrape: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    scrape
        .sum(name, labels)
        .unwrap_or_else(|| panic!("no series {name} {labels:?}"))
}

obs_core::label! {
    /// The run that records.
    open Run as "run" up to 5
}
obs_core::label! {
    /// What is counted apart.
    open Thing as "thing" up to 3
}
obs_core::families! {
    /// A family of every shape.
    struct Everything(run: Run) {
        /// Things.
        count: obs_core::Each<Thing, obs_core::By<Side, obs_core::Counter>> = "test_things_total",
        /// Time spent.
        time: obs_core::TimeCounter = "test_busy_seconds_total",
        /// A level.
        level: obs_core::By<Side, obs_core::Gauge> = "test_level",
        /// Undefined.
        undefined: obs_core::Gauge = "test_undefined_ratio",
        /// Sizes.
        sizes: obs_core::Histogram = "test_size_bytes" { buckets: &[1.0, 10.0, 100.0] },
        /// Waits.
        waits: obs_core::By<obs_core::Outcome, obs_core::Summary> = "test_wait_seconds",
    }
}

/// Does the same in every recorder.
fn operate(run: &str) {
    let all = Everything::new(run);
    for (i, name) in ["a", "b\"\\\n", "ü", "a", "one more", "and one more"]
        .into_iter()
        .enumerate()
    {
        all.count.of(name)[Side::Buy].increment(1 + i as u64);
    }
    all.time.add(Duration::new(3, 141_592_653));
    all.time.add(Duration::from_nanos(1));
    all.level[Side::Buy].set(-1.25e-7);
    all.level[Side::Sell].increment(1e15);
    all.undefined.set_undefined();
    for size in [0.0, 1.0, 1.5, 10.0, 99.0, 100.0, 1e9, -1.0, f64::NAN] {
        all.sizes.record(size);
    }
    for milliseconds in 1..=100 {
        all.waits[obs_core::Outcome::Ok].record(Duration::from_millis(milliseconds));
    }
}

#[test]
fn python_reads_in_the_exposition_what_the_test_recorder_holds() {
    LazyLock::force(&EXPORTER);
    let test = TestRecorder::new();
    test.run(|| operate("python"));
    operate("python");

    let theirs = PythonParser::start()
        .unwrap()
        .parse(&EXPORTER.render())
        .unwrap()
        .unwrap();
    let ours: Vec<_> = test
        .snapshot()
        .into_iter()
        .filter(|series| series.name.starts_with("test_"))
        .collect();
    assert_eq!(ours.len(), 8 + 1 + 2 + 1 + 1 + 4, "{ours:#?}");
    for recorded in &ours {
        compare(recorded, &theirs);
    }
    // What one holds for another metric's sake is the same too.
    let refused = [("metric", "test_size_bytes")];
    assert_eq!(
        test.counter("obs_samples_rejected_total", &refused),
        Some(2)
    );
    assert_eq!(
        python(&theirs, "obs_samples_rejected_total", &owned(&refused)),
        Some(2.0)
    );
}

/// Holds one series of the test recorder against what Python has read.
fn compare(recorded: &Recorded, theirs: &[PythonFamily]) {
    let Recorded {
        name,
        labels,
        value,
    } = recorded;
    let read = |suffix: &str, more: Option<(&str, &str)>| {
        let mut labels = labels.clone();
        labels.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let name = format!("{name}{suffix}");
        python(theirs, &name, &labels)
            .unwrap_or_else(|| panic!("Python reads no {name} {labels:?}"))
    };
    match value {
        TestValue::Counter(count) if name.ends_with("_seconds_total") => {
            assert_near(read("", None), *count as f64 / 1e9, 1e-15);
        }
        TestValue::Counter(count) => {
            assert_near(read("", None), *count as f64, 0.0);
        }
        TestValue::Gauge(value) => {
            let read = read("", None);
            assert!(
                read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()),
                "{name}: {read}, {value}"
            );
        }
        TestValue::Samples(samples) => {
            assert_near(read("_count", None), samples.len() as f64, 0.0);
            assert_near(read("_sum", None), samples.iter().sum(), 1e-12);
            if name == "test_size_bytes" {
                for (le, bound) in [
                    ("1", 1.0),
                    ("10", 10.0),
                    ("100", 100.0),
                    ("+Inf", f64::INFINITY),
                ] {
                    let below = samples.iter().filter(|sample| **sample <= bound).count();
                    assert_near(read("_bucket", Some(("le", le))), below as f64, 0.0);
                }
            } else if !samples.is_empty() {
                // A summary's quantiles are estimates.
                assert_near(read("", Some(("quantile", "0.5"))), 0.050, 0.02);
                assert_near(read("", Some(("quantile", "0.99"))), 0.099, 0.02);
            }
        }
    }
}

/// The value of the series with these labels and the exporter's own.
fn python(families: &[PythonFamily], name: &str, labels: &[(String, String)]) -> Option<f64> {
    let mut wanted: std::collections::BTreeMap<_, _> = labels.iter().cloned().collect();
    wanted.insert("service".to_owned(), "obs-tests".to_owned());
    let mut samples = families.iter().flat_map(|family| &family.samples);
    samples
        .find(|sample| sample.name == name && sample.labels == wanted)
        .map(|sample| sample.value)
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Whether two numbers differ by no more than a share of the second.
fn assert_near(found: f64, expected: f64, share: f64) {
    assert!(
        (found - expected).abs() <= expected.abs() * share,
        "{found} is not {expected}"
    );
}

/// Whether a sum of measured times is true: no less than what was spent inside the measured work, no more than what was
/// spent around it, each give or take 1 ms and 1 %.
fn assert_between(measured: f64, inside: Duration, around: Duration) {
    let allowed = |time: f64| 0.001 + 0.01 * time;
    let (inside, around) = (inside.as_secs_f64(), around.as_secs_f64());
    assert!(
        inside - allowed(inside) <= measured && measured <= around + allowed(around),
        "{measured} s measured, {inside} s inside of it, {around} s around it"
    );
}

/// Work that takes a known time: how long it did take.
fn work(at_least: Duration) -> Duration {
    let start = Instant::now();
    while start.elapsed() < at_least {
        std::hint::spin_loop();
    }
    start.elapsed()
}

#[tokio::test]
async fn every_request_is_counted_and_its_time_is_true() {
    const GETS: u32 = 40;
    const POSTS: u32 = 7;
    LazyLock::force(&EXPORTER);
    let inside = std::sync::Arc::new(std::sync::Mutex::new(Duration::ZERO));
    let spent = inside.clone();
    let app = Router::new()
        .route(
            "/known/{id}",
            get(async move || {
                *spent.lock().unwrap() += work(Duration::from_millis(3));
                "done"
            }),
        )
        .route(
            "/known",
            post(async |body: String| (axum::http::StatusCode::CREATED, body)),
        )
        .layer(obs_http::layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/known", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let client = reqwest::Client::new();
    let mut around = Duration::ZERO;
    for i in 0..GETS {
        let start = Instant::now();
        let answer = client.get(format!("{url}/{i}")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "done");
        around += start.elapsed();
    }
    for _ in 0..POSTS {
        let answer = client
            .post(&url)
            .body("x".repeat(300))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
    }
    // The last body's end is measured once the connection is done with it, which may be after the client has read it.
    drop((client, stop));
    server.await.unwrap().unwrap();

    let scrape = scrape();
    let gets = [("method", "GET"), ("endpoint", "/known/{id}")];
    let posts = [("method", "POST"), ("endpoint", "/known")];
    let total = |labels: &[_]| sum(&scrape, "http_requests_total", labels);
    assert_near(total(&gets), f64::from(GETS), 0.0);
    assert_near(
        total(&[gets[0], gets[1], ("status_code", "200")]),
        f64::from(GETS),
        0.0,
    );
    assert_near(
        total(&[posts[0], posts[1], ("status_code", "201")]),
        f64::from(POSTS),
        0.0,
    );
    assert_near(
        sum(&scrape, "http_request_size_bytes_sum", &posts),
        f64::from(POSTS) * 300.0,
        0.0,
    );
    assert_near(
        sum(&scrape, "http_response_size_bytes_sum", &gets),
        f64::from(GETS) * 4.0,
        0.0,
    );
    assert_near(sum(&scrape, "http_errors_total", &gets), 0.0, 0.0);
    assert_near(
        sum(&scrape, "http_request_duration_seconds_count", &gets),
        f64::from(GETS),
        0.0,
    );
    let measured = sum(&scrape, "http_request_duration_seconds_sum", &gets);
    let inside = *inside.lock().unwrap();
    assert_between(measured, inside, around);
}

#[test]
fn every_signal_and_trade_is_counted_and_its_time_is_true() {
    const DAY: Duration = Duration::from_hours(24);
    LazyLock::force(&EXPORTER);
    let clock = ReplayClock::new();
    let strategy = Strategy::with_clock("known", &clock);
    let venue = Venue::new("known");
    let (mut inside, mut around) = (Duration::ZERO, Duration::ZERO);
    for i in 0..20_u32 {
        let start = Instant::now();
        let mut evaluation = strategy.evaluate();
        inside += work(Duration::from_millis(2));
        let idea = evaluation.signal(Signal::Buy, 0.5);
        drop(evaluation);
        around += start.elapsed();

        let decided = idea.decide(Decision::Enter);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 10.0, 100.0);
        let mut order = decided.submit(&venue, &ticket);
        // Ordered after the close, filled with the next day's open.
        clock.advance_to(DAY * (i + 1));
        assert!(order.fill(Fill::new(10.0, 100.5)));
        order.close_filled();
    }

    let scrape = scrape();
    let strategy = [("strategy", "known")];
    let venue = [("venue", "known")];
    let of_strategy = |name: &str| sum(&scrape, name, &strategy);
    let of_venue = |name: &str| sum(&scrape, name, &venue);
    for name in [
        "trading_signals_total",
        "trading_decisions_total",
        "trading_trades_total",
    ] {
        assert_near(of_strategy(name), 20.0, 0.0);
    }
    assert_near(of_venue("trading_orders_total"), 20.0, 0.0);
    assert_near(of_venue("trading_orders_closed_total"), 20.0, 0.0);
    assert_near(of_venue("trading_orders_open"), 0.0, 0.0);
    for name in [
        "trading_signal_generation_duration_seconds",
        "trading_strategy_duration_seconds",
    ] {
        assert_near(of_strategy(&format!("{name}_count")), 20.0, 0.0);
        assert_between(of_strategy(&format!("{name}_sum")), inside, around);
    }
    assert_between(
        of_strategy("trading_strategy_busy_seconds_total"),
        inside,
        around,
    );
    // By the replay's clock: exactly a day each.
    assert_near(
        of_venue("trading_order_fill_duration_seconds_sum"),
        20.0 * 86_400.0,
        0.0,
    );
    assert_near(
        of_strategy("trading_execution_duration_seconds_sum"),
        20.0 * 86_400.0,
        0.0,
    );
    assert_near(of_venue("trading_slippage_bps_sum"), 20.0 * 50.0, 1e-9);
}

/// A closure, a guard and a future of known time, as users time their own work.
#[tokio::test]
async fn timers_tell_the_time() {
    LazyLock::force(&EXPORTER);
    let waits = Everything::new("timers").waits;
    let start = Instant::now();
    let mut inside = waits.time(|| work(Duration::from_millis(5)));
    let guard = waits.scope();
    inside += work(Duration::from_millis(5));
    drop(guard);
    inside += (&waits)
        .time_future(async { work(Duration::from_millis(5)) })
        .await;
    let around = start.elapsed();

    let scrape = scrape();
    let labels = [("run", "timers"), ("outcome", "ok")];
    assert_near(sum(&scrape, "test_wait_seconds_count", &labels), 3.0, 0.0);
    assert_between(
        sum(&scrape, "test_wait_seconds_sum", &labels),
        inside,
        around,
    );
}

/// As many as a scanner tries, and no two of them alike.
const MANY: u32 = 100_000;

/// Text that looks random and is the same in every run.
fn scattered(i: u32) -> String {
    format!(
        "{:016x}",
        (u64::from(i) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

#[tokio::test]
async fn any_number_of_random_paths_makes_one_series() {
    LazyLock::force(&EXPORTER);
    let app = Router::<()>::new()
        .route("/orders/{id}", get(async || "an order"))
        .layer(obs_http::layer());
    for i in 0..MANY {
        let request = Request::put(format!("/{}", scattered(i)))
            .body(Body::empty())
            .unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 404);
    }
    let scrape = scrape();
    let series: Vec<_> = scrape
        .samples("http_requests_total")
        .filter(|sample| sample.label("method") == Some("PUT"))
        .collect();
    assert_eq!(series.len(), 1, "{series:?}");
    assert_eq!(series[0].label("endpoint"), Some("unmatched"));
    assert_near(series[0].value, f64::from(MANY), 0.0);
}

#[test]
fn any_number_of_random_symbols_stays_inside_the_budget_and_loses_none() {
    LazyLock::force(&EXPORTER);
    let strategy = Strategy::new("scattered");
    let venue = Venue::new("scattered");
    for i in 0..MANY {
        let symbol = scattered(i);
        let ticket = Ticket::new(&symbol, Side::Buy, OrderType::Market, 1.0, 1.0);
        let mut order = strategy.submit(&venue, &ticket);
        order.fill(Fill::new(1.0, 1.0));
        order.close_filled();
    }
    let scrape = scrape();
    let labels = [("strategy", "scattered"), ("side", "buy")];
    let series = scrape
        .samples("trading_trades_total")
        .filter(|sample| sample.has_all(&labels));
    assert_eq!(series.count(), 501);
    assert_near(
        sum(&scrape, "trading_trades_total", &labels),
        f64::from(MANY),
        0.0,
    );
    let folded = [labels[0], labels[1], ("symbol", "other")];
    assert_near(
        sum(&scrape, "trading_trades_total", &folded),
        f64::from(MANY - 500),
        0.0,
    );
    let overflow = [("metric", "trading_trades_total")];
    assert_near(
        sum(&scrape, "obs_series_overflow_total", &overflow),
        f64::from(MANY - 500),
        0.0,
    );
    assert!(sum(&scrape, "obs_series", &overflow) <= 10_000.0);
}

#[test]
fn promtool_has_no_complaint_about_any_family() {
    LazyLock::force(&EXPORTER);
    let _everything = Everything::new("promtool");
    let _metrics = obs_http::HttpMetrics::new().prepare(obs_http::Method::Get, "/promtool");
    let (_strategy, _venue) = (Strategy::new("promtool"), Venue::new("promtool"));
    assert_eq!(
        check_metrics(&EXPORTER.render()).unwrap(),
        Verdict::Accepted
    );
}
