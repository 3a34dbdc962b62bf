//! What `obstool agent` pushes of processes that open no socket and are killed, and what it does where a receiver is away or refuses.

#![cfg(target_os = "linux")]

mod agents;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agents::{agent, scrape};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use obs_recorder::{Engine, MemoryOptions};
use obs_tests::tools::Generation;
use obs_tests::{Keeper, Pushgateway, Storage};
use prost::Message;

/// How long what was pushed may take until queries see it.
const PATIENCE: Duration = Duration::from_mins(1);
/// The variable that makes this program a desk, and the test in which it is one.
const DESK: &str = "PUSH_TEST_DESK";
/// The file of a desk without native buckets.
const PLAIN: &str = "plain.obs";
const AS_DESK: &str = "a_pushgateway_has_the_totals_of_a_killed_process";

obs_core::families! {
    /// What the desk does.
    struct DeskMetrics {
        /// Orders sent.
        orders: obs_core::Counter = "desk_orders_total",
        /// Time to an order.
        time: obs_core::Histogram = "desk_order_seconds" { buckets: obs_core::buckets::NATIVE },
    }
}

/// Records until it is killed.
fn trade(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder().memory(path, options);
    let is_native = !path.ends_with(PLAIN);
    let engine = builder.native_histograms(is_native).build().unwrap();
    let desk = metrics::with_local_recorder(&engine, DeskMetrics::new);
    for number in 0_u64.. {
        desk.time.record(0.001 * (1 + number % 4096) as f64);
        desk.orders.increment(1);
        if number == 0 {
            println!("\nrecorded");
            std::io::stdout().flush().unwrap();
        }
    }
    std::process::exit(0)
}

/// A process that records to a file.
struct Desk {
    child: Child,
    path: PathBuf,
}

impl Desk {
    fn start(path: PathBuf) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", AS_DESK, "--nocapture"])
            .env(DESK, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "recorded"));
        Self { child, path }
    }

    /// Kills it. Says what it had counted to the last event, by its file.
    fn kill(mut self) -> f64 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let reading = obs_memory::Reader::open(&self.path)
            .unwrap()
            .read()
            .unwrap();
        assert!(!reading.is_alive && reading.is_complete);
        let mut families = reading.families.iter();
        let orders = families.find(|family| family.name == "desk_orders_total");
        match orders.unwrap().series[0].value {
            obs_memory::Value::Counter { number, .. } => number as f64,
            ref other => panic!("{other:?}"),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many pushes were not taken.
fn failures(url: &str, receiver: &str) -> Option<f64> {
    scrape(url).value("obs_agent_push_failures_total", &[("receiver", receiver)])
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        // There is no event to wait for in another program.
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_pushgateway_has_the_totals_of_a_killed_process() {
    if let Some(path) = std::env::var_os(DESK) {
        trade(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start().unwrap();
    let (agent, url) = agent(
        folder.path(),
        &[
            "--pushgateway",
            gateway.url(),
            "--service",
            "desks/east",
            "--push-instance",
            "host-1",
            "--push-label",
            "site=Zürich 50 %",
            "--push-interval",
            "0.1",
        ],
    );
    let desk = Desk::start(folder.path().join("desk.obs"));
    let group = [
        ("job", "desks/east"),
        ("instance", "host-1"),
        ("site", "Zürich 50 %"),
        ("process", "desk"),
    ];
    let kept = |name: &str| scrape(&format!("{}/metrics", gateway.url())).value(name, &group);
    until("it is up", || kept("obs_process_up") == Some(1.0));
    let orders = desk.kill();
    until("it is dead", || kept("obs_process_up") == Some(0.0));
    assert_eq!(kept("desk_orders_total"), Some(orders));
    assert_eq!(failures(&url, "pushgateway"), Some(0.0));
    assert_eq!(failures(&url, "otlp"), None);
    // What another one counted is pushed at the end at the latest.
    let orders = orders + Desk::start(folder.path().join("desk.obs")).kill();
    assert!(agent.interrupt().unwrap().success());
    assert_eq!(kept("desk_orders_total"), Some(orders));
}

#[test]
fn a_pushgateway_that_refuses_or_is_away_is_counted_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Pushgateway::start().unwrap();
    let elsewhere = format!("{}/elsewhere", gateway.url());
    // Held for a moment to find a port that is free, and let go of.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for receiver in [&elsewhere, &nobody] {
        let arguments = ["--pushgateway", receiver, "--push-interval", "0.05"];
        let (_agent, url) = agent(folder.path(), &arguments);
        until("it is counted", || {
            failures(&url, "pushgateway") >= Some(2.0)
        });
    }
}

/// What Prometheus has of a series now.
fn stored(storage: &Storage, query: &str) -> Option<f64> {
    let answers = storage.ask(query).unwrap_or_default();
    answers.first()?["value"][1].as_str()?.parse().ok()
}

/// A receiver of OTLP; none where it is Debian's, which refuses what is pushed.
fn receiver(keeper: Keeper, arguments: &[&str]) -> Option<Storage> {
    let is_current = Generation::chosen() == Generation::Current;
    let arguments = if is_current { arguments } else { &[] };
    let storage = Storage::start_with(keeper, arguments).unwrap();
    if is_current {
        return Some(storage);
    }
    let folder = tempfile::tempdir().unwrap();
    let (_agent, url) = agent(folder.path(), &["--otlp-url", &otlp(keeper, &storage)]);
    until("it is refused", || failures(&url, "otlp") > Some(0.0));
    None
}

fn otlp(keeper: Keeper, storage: &Storage) -> String {
    let path = match keeper {
        Keeper::Prometheus => "/api/v1/otlp/v1/metrics",
        Keeper::VictoriaMetrics => "/opentelemetry/v1/metrics",
    };
    storage.url() + path
}

#[test]
fn prometheus_has_exact_totals_over_kills_outages_and_a_restart_of_the_agent() {
    let native = "--enable-feature=native-histograms";
    exact_totals(
        Keeper::Prometheus,
        &["--web.enable-otlp-receiver", native],
        r#"job="obstool-agent",instance="agent",process="desk""#,
        "histogram_count(desk_order_seconds)",
    );
}

#[test]
fn victoria_metrics_has_exact_totals_over_kills_outages_and_a_restart_of_the_agent() {
    exact_totals(
        Keeper::VictoriaMetrics,
        &[],
        r#"process="desk""#,
        "desk_order_seconds_count",
    );
}

/// `observed` asks how many observations there are.
fn exact_totals(keeper: Keeper, arguments: &[&str], labels: &str, observed: &str) {
    let Some(mut storage) = receiver(keeper, arguments) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = otlp(keeper, &storage);
    let arguments = ["--otlp-url", &url, "--otlp-interval", "0.1"];
    let arguments = [&arguments[..], &["--otlp-instance", "agent", "--keep", "0"]].concat();
    let (first, metrics) = agent(folder.path(), &arguments);
    let start = |number: u32| Desk::start(folder.path().join(format!("desk@{number}.obs")));

    let mut orders = start(1).kill();
    let is_stored = |storage: &Storage, orders: f64| {
        let total = format!("desk_orders_total{{{labels}}}");
        let up = r#"obs_process_up{process="desk"}"#;
        stored(storage, &total) == Some(orders) && stored(storage, up) == Some(0.0)
    };
    until("one desk", || is_stored(&storage, orders));
    assert_eq!(failures(&metrics, "otlp"), Some(0.0));
    // Each observation was made before its order was counted.
    let observed = stored(&storage, observed).unwrap();
    assert!(orders <= observed && observed <= orders + 1.0, "{observed}");

    storage.end().unwrap();
    orders += start(2).kill();
    until("it is away", || failures(&metrics, "otlp") >= Some(2.0));
    storage.start_again().unwrap();
    until("it is back", || is_stored(&storage, orders));

    // Nobody looks while a third one lives.
    assert!(first.interrupt().unwrap().success());
    orders += start(3).kill();
    let (_second, _) = agent(folder.path(), &arguments);
    until("another agent", || is_stored(&storage, orders));
    assert_eq!(stored(&storage, "resets(desk_orders_total[5m])"), Some(0.0));
}

#[test]
fn prometheus_has_all_differences_once_over_kills_of_the_agent() {
    exact_differences(
        Keeper::Prometheus,
        &[
            "--web.enable-otlp-receiver",
            "--enable-feature=otlp-deltatocumulative",
        ],
        r#"desk_orders_total{process="desk"}"#,
    );
}

#[test]
fn victoria_metrics_has_all_differences_once_over_kills_of_the_agent() {
    // It stores differences as they are. What is sent twice is the same sample of the same time, which counts once.
    exact_differences(
        Keeper::VictoriaMetrics,
        &["-dedup.minScrapeInterval=1ms"],
        r#"sum_over_time(desk_orders_total{process="desk"}[1h])"#,
    );
}

/// An agent is killed, again and again, and processes record before, between and while none runs. `total` asks for the sum of all that was sent.
fn exact_differences(keeper: Keeper, arguments: &[&str], total: &str) {
    let Some(mut storage) = receiver(keeper, arguments) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = otlp(keeper, &storage);
    let delta = ["--otlp-temporality", "delta", "--otlp-interval", "0.05"];
    let to = [
        "--otlp-url",
        &url,
        "--otlp-instance",
        "agent",
        "--keep",
        "0",
    ];
    let arguments = [&delta[..], &to].concat();
    let desk = |number: u32| Desk::start(folder.path().join(format!("desk@{number}.obs")));
    let total = |storage: &Storage| stored(storage, total).unwrap_or(0.0);

    // What was there before the first agent is sent, too.
    let mut orders = desk(0).kill();
    for round in 1..=4 {
        let sent = total(&storage);
        let (agent, _) = agent(folder.path(), &arguments);
        let living = desk(2 * round);
        until("it pushes", || total(&storage) > sent);
        // It is killed in the midst of what it does.
        drop(agent);
        orders += living.kill();
        // No agent sees this one alive.
        orders += desk(2 * round + 1).kill();
    }
    // More than files stay of: those that were sent are removed as well as those that were not.
    for number in 100..140 {
        orders += desk(number).kill();
    }
    assert!(folder.path().join("desk@totals.obs").exists());
    let (last, metrics) = agent(folder.path(), &arguments);
    let has_all = |storage: &Storage, orders: f64| {
        let total = total(storage);
        assert!(
            total <= orders,
            "{total} of {orders}: something was sent twice"
        );
        total >= orders
    };
    until("all of it", || has_all(&storage, orders));
    if keeper == Keeper::Prometheus {
        // What it has added up of differences does not outlive it.
        return;
    }
    storage.end().unwrap();
    orders += desk(20).kill();
    until("it is away", || failures(&metrics, "otlp") >= Some(2.0));
    // What waits is sent by the next one, also where its file is gone by then. So is what was not collected yet.
    drop(last);
    std::fs::remove_file(folder.path().join("desk@139.obs")).unwrap();
    orders += desk(21).kill();
    let (_next, _) = agent(folder.path(), &arguments);
    storage.start_again().unwrap();
    until("it is back", || has_all(&storage, orders));
}

#[test]
fn differences_are_counted_on_by_another_agent() {
    let Some(storage) = receiver(
        Keeper::Prometheus,
        &[
            "--web.enable-otlp-receiver",
            "--enable-feature=otlp-deltatocumulative",
        ],
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = otlp(Keeper::Prometheus, &storage);
    let start = |instance: &str| {
        let temporality = ["--otlp-temporality", "delta", "--otlp-interval", "0.1"];
        let to = ["--otlp-url", &url, "--otlp-instance", instance];
        let started = agent(folder.path(), &[&temporality[..], &to].concat());
        let known = format!("obs_agent_refused_files{{instance=\"{instance}\"}}");
        until("it pushes", || stored(&storage, &known).is_some());
        started
    };
    let total = |instance: &str| {
        let query = format!("desk_orders_total{{instance=\"{instance}\",process=\"desk\"}}");
        stored(&storage, &query)
    };
    let (one, _) = start("one");
    let orders = Desk::start(folder.path().join("desk.obs")).kill();
    assert!(one.interrupt().unwrap().success());
    until("the first agent", || total("one") == Some(orders));
    let (two, _) = start("two");
    let more = Desk::start(folder.path().join("desk.obs")).kill();
    until("the second agent", || total("two") == Some(more));
    assert_eq!(total("one"), Some(orders));
    assert!(two.interrupt().unwrap().success());
    // Without what was kept, nobody knows what was sent.
    let state = folder.path().join("obstool-agent.state");
    std::fs::write(&state, "something else").unwrap();
    let (_three, _) = start("three");
    let again = Desk::start(folder.path().join("desk.obs")).kill();
    until("the third agent", || total("three") == Some(again));
}

/// What a receiver was sent: headers and bodies.
type Requests = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that gives these answers one after the other and then takes everything: its URL, and what it was sent.
async fn answering<const N: usize>(answers: [(u16, Vec<u8>); N]) -> (String, Requests) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let answer = move |headers: HeaderMap, body: Bytes| {
        seen.lock().unwrap().push((headers, body));
        let next = answers.lock().unwrap().pop_front();
        let (status, body) = next.unwrap_or((200, Vec::new()));
        std::future::ready((StatusCode::from_u16(status).unwrap(), body))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/metrics", post(answer));
    tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
    (url, requests)
}

/// Pushes to a receiver until so many requests have come, and this many were not taken.
fn push_to(receiver: &str, requests: &Requests, enough: usize, not_taken: f64) {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "Authorization=Bearer%20hush,X-Scope-OrgID=desk\n").unwrap();
    let headers = headers.to_str().unwrap();
    let to = ["--otlp-url", receiver, "--otlp-headers-file", headers];
    let arguments = [&to[..], &["--otlp-interval", "0.05"]].concat();
    let (agent, metrics) = agent(folder.path(), &arguments);
    until("they have come", || {
        requests.lock().unwrap().len() >= enough
    });
    assert_eq!(failures(&metrics, "otlp"), Some(not_taken));
    assert!(agent.interrupt().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_in_part_is_not_sent_again_and_what_waits_is() {
    // A partial success: 3 data points are rejected, because they are too old.
    let partial = b"\x0a\x0b\x08\x03\x12\x07too old".to_vec();
    let (url, requests) = answering([(200, partial), (503, Vec::new())]).await;
    let seen = Arc::clone(&requests);
    tokio::task::spawn_blocking(move || push_to(&url, &seen, 4, 2.0))
        .await
        .unwrap();
    let requests = requests.lock().unwrap();
    assert_ne!(requests[0].1, requests[1].1);
    assert_eq!(requests[1].1, requests[2].1);
    assert_ne!(requests[2].1, requests[3].1);
    for (headers, _) in requests.iter() {
        assert_eq!(headers["authorization"], "Bearer hush");
        assert_eq!(headers["x-scope-orgid"], "desk");
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(
            headers["user-agent"],
            concat!("obstool/", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn what_cannot_be_pushed_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
        command
            .args(["agent", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .arg(folder.path());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("hush"), "{text}");
        text
    };
    for url in [
        "http://desk:hush@collector",
        "collector:4318",
        "http://a/?b",
    ] {
        let text = refused(&["--otlp-url", url]);
        assert!(text.contains("the URL of OTLP's receiver is not"), "{text}");
    }
    let ca = [
        "--otlp-url",
        "https://collector",
        "--otlp-ca",
        "/nowhere/ca.pem",
    ];
    let text = refused(&ca);
    assert!(text.contains("cannot use /nowhere/ca.pem"), "{text}");
    let text = refused(&["--otlp-ca", "/nowhere/ca.pem"]);
    assert!(text.contains("--otlp-url <URL>"), "{text}");
    let text = refused(&["--pushgateway", "https://desk:hush@gateway"]);
    assert!(
        text.contains("to https://gateway: only http is spoken"),
        "{text}"
    );
    let gateway = ["--pushgateway", "http://gateway", "--push-label", "a-b=c"];
    let text = refused(&gateway);
    assert!(text.contains("a label of a push is `a-b`"), "{text}");
    let text = refused(&["--otlp-url", "http://collector", "--otlp-interval", "0"]);
    assert!(text.contains("from 0.001 to 86400"), "{text}");
}

/// Of `io.prometheus.client`, what this test reads.
#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    created: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(uint64, tag = "1")]
    seconds: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(sint64, repeated, tag = "13")]
    deltas: Vec<i64>,
}

/// A scrape in protobuf, as Prometheus asks for it.
fn messages(url: &str) -> Vec<MetricFamily> {
    let accepted = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.3";
    let request = ureq::get(url).header("accept", accepted);
    let mut answer = request.call().unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    );
    let mut rest = Bytes::from(answer.body_mut().read_to_vec().unwrap());
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

#[test]
fn native_buckets_that_only_some_processes_have_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (_agent, url) = agent(folder.path(), &[]);
    let times = || {
        let mut families = messages(&url).into_iter();
        let times = families.find(|family| family.name == "desk_order_seconds");
        let histograms = times.unwrap().metrics.into_iter();
        histograms.map(|metric| metric.histogram.unwrap())
    };
    Desk::start(folder.path().join("desk.obs")).kill();
    assert!(times().all(|histogram| !histogram.deltas.is_empty()));
    Desk::start(folder.path().join(PLAIN)).kill();
    let all: Vec<_> = times().collect();
    assert_eq!(all.len(), 2);
    for histogram in all {
        assert!(histogram.deltas.is_empty(), "{histogram:?}");
        assert!(histogram.count > 0);
    }
}

#[test]
fn messages_have_the_native_buckets_of_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let since = now();
    let orders: f64 = [1, 2]
        .map(|number| Desk::start(folder.path().join(format!("desk@{number}.obs"))).kill())
        .iter()
        .sum();
    let (_agent, url) = agent(folder.path(), &[]);
    let families = messages(&url);
    let metric = |name: &str| {
        let mut found = families.iter().filter(|family| family.name == name);
        let family = found.next().unwrap();
        assert!(found.next().is_none() && !family.help.is_empty(), "{name}");
        family.metrics[0].clone()
    };
    let counter = metric("desk_orders_total");
    let label = |label: &Label| (label.name.clone(), label.value.clone());
    let labels: Vec<_> = counter.labels.iter().map(label).collect();
    assert_eq!(labels, [("process".to_owned(), "desk".to_owned())]);
    let counter = counter.counter.unwrap();
    assert!(counter.value.total_cmp(&orders).is_eq(), "{counter:?}");
    // It began with the first of them.
    let created = counter.created.unwrap().seconds;
    assert!((since..=now()).contains(&created), "{created}");
    let histogram = metric("desk_order_seconds").histogram.unwrap();
    assert_eq!(histogram.schema, 3);
    let held = histogram.deltas.iter().scan(0, |held, delta| {
        *held += delta;
        Some(*held)
    });
    assert_eq!(held.sum::<i64>(), histogram.count.cast_signed());
    assert!(histogram.count as f64 >= orders);
}
