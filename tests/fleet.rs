//! More desks than one Prometheus is for: found by a list or by Kubernetes, scraped by agents that write to a storage elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Json, Router};
use obs_tests::tools::{self, Generation};
use obs_tests::{Agent, Desk, Keeper, Process, Scraper, Storage, ask, scrape};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long anything here may take on its way to the storage.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is counted: submitted orders, signals and fills, as families, and the outcome that makes an order a fill.
const TOTALS: [(&str, Option<&str>); 3] = [
    ("trading_orders_total", None),
    ("trading_signals_total", None),
    ("trading_orders_closed_total", Some("filled")),
];

/// A total of one desk, by its family and the desk's address.
type Totals = BTreeMap<(&'static str, String), f64>;

/// An agent beside the desks, and the storage it writes to.
struct Way {
    agent: Agent,
    storage: Storage,
}

impl Way {
    fn start(scraper: Scraper, keeper: Keeper, desks: &[Desk]) -> Self {
        let storage = Storage::start(keeper).unwrap();
        let agent = Agent::start(scraper, &storage.url(), &addresses(desks)).unwrap();
        Self { agent, storage }
    }

    fn ask(&self, query: &str) -> Vec<Value> {
        self.storage.ask(query).unwrap()
    }

    /// What the storage says of each desk.
    fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        for (family, outcome) in TOTALS {
            let query = format!("sum by (instance) ({})", selector(family, outcome));
            for series in self.ask(&query) {
                totals.insert((family, instance(&series)), number(&series));
            }
        }
        totals
    }

    /// What the storage says of all of them together.
    fn sum(&self, family: &str, outcome: Option<&str>) -> f64 {
        number(&self.ask(&format!("sum({})", selector(family, outcome)))[0])
    }

    /// The desks of which the storage has a successful scrape between these moments, in seconds since the Unix epoch.
    fn scraped_between(&self, from: f64, to: f64) -> BTreeSet<String> {
        let within = |sample: &Value| {
            let at = sample[0].as_f64().unwrap();
            from < at && at < to && sample[1] == "1"
        };
        let series = self.ask(r#"up{job="trading-desk"}[10m]"#);
        let within = series
            .iter()
            .filter(|series| series["values"].as_array().unwrap().iter().any(within));
        within.map(instance).collect()
    }

    /// Waits until the agent has scraped each of these desks once more.
    fn await_scrapes(&self, desks: &BTreeSet<String>) {
        let before = self.agent.scraped().unwrap();
        eventually(desks, || {
            let now = self.agent.scraped().unwrap().into_iter();
            let anew = now.filter(|(desk, at)| before.get(desk) != Some(at));
            anew.map(|(desk, _)| desk).collect()
        });
    }
}

/// Ten desks, of which the agents are told five only while the storages are away. What was scraped meanwhile is not lost, and
/// afterwards the storages say of each and of all what the desks themselves say.
#[test]
fn ten_desks_arrive_whole_through_a_restart_of_the_storage() {
    let desks = ten_desks();
    let early = &desks[..5];
    let mut ways = [
        Way::start(Scraper::Vmagent, Keeper::VictoriaMetrics, early),
        Way::start(Scraper::Prometheus, Keeper::Prometheus, early),
    ];
    for way in &ways {
        eventually(&direct(early), || way.totals());
    }

    for way in &mut ways {
        way.storage.end().unwrap();
    }
    let ended = now();
    let all: BTreeSet<String> = addresses(&desks).into_iter().map(Into::into).collect();
    for way in &ways {
        way.agent.list(&addresses(&desks)).unwrap();
    }
    for way in &ways {
        // The first scrape may have begun before, and the second been due then.
        for _ in 0..3 {
            way.await_scrapes(&all);
        }
    }
    let restarted = now();
    for way in &mut ways {
        way.storage.start_again().unwrap();
    }

    let totals = direct(&desks);
    for way in &ways {
        eventually(&totals, || way.totals());
        eventually(&all, || way.scraped_between(ended, restarted));
        for (family, outcome) in TOTALS {
            let of_family = totals.iter().filter(|((of, _), _)| *of == family);
            let sum: f64 = of_family.map(|(_, total)| total).sum();
            assert!(sum > 0.0, "nothing happened: {family}");
            // Whole numbers, which come out the same in whatever order they are added.
            assert_eq!(
                way.sum(family, outcome).to_bits(),
                sum.to_bits(),
                "{family}"
            );
        }
    }
}

/// The agent asks a Kubernetes that answers as one with `deploy/kubernetes/desk.yaml` in it, and somebody else's service beside it.
#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_tells_of_the_desk_and_what_it_is() {
    let desk = Desk::replayed_from(&history(&tempfile::tempdir().unwrap(), 300)).unwrap();
    let storage = Storage::start(Keeper::VictoriaMetrics).unwrap();
    let other = storage.url();
    let other = other.trim_start_matches("http://");
    let kubernetes = kubernetes(objects(desk.address(), other)).await;
    let agent = Agent::in_kubernetes(&kubernetes, &storage.url()).unwrap();

    let found = || -> BTreeSet<String> { agent.scraped().unwrap().into_keys().collect() };
    eventually(&BTreeSet::from([desk.address().to_owned()]), found);
    let labels = || {
        let mut series = storage.ask("up == 1").unwrap();
        series.pop().map(|series| series["metric"].clone())
    };
    let expected = json!({
        "__name__": "up",
        "job": "trading-desk",
        "instance": desk.address(),
        "service": "trading-desk",
        "environment": "demo",
        "mode": "backtest",
        "namespace": "desks",
        "pod": "trading-desk-0",
        // Where the agent is.
        "site": "main",
    });
    eventually(&Some(expected), labels);
    assert_eq!(storage.ask("up").unwrap().len(), 1);
}

/// What a Kubernetes lists, by path: a pod and the service of `deploy/kubernetes/desk.yaml` with the desk behind it, and a service
/// that is nothing to us. Behind every port that is not the desk's metrics there is something else that would answer a scrape.
fn objects(desk: &str, other: &str) -> BTreeMap<&'static str, Value> {
    let manifest = fs::read_to_string(tools::workspace().join("deploy/kubernetes/desk.yaml"));
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&manifest.unwrap()).unwrap();
    let of_kind = |kind| manifests.iter().find(|manifest| manifest["kind"] == kind);
    let in_namespace = |mut object: Value, name: &str| {
        object["metadata"]["name"] = name.into();
        object["metadata"]["namespace"] = "desks".into();
        object
    };
    let port = |address: &str| address.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let slice = |service: &str, ports: Value| {
        json!({
            "metadata": {
                "name": format!("{service}-abcde"),
                "namespace": "desks",
                "labels": { "kubernetes.io/service-name": service },
            },
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": ["127.0.0.1"],
                "conditions": { "ready": true },
                "targetRef": { "kind": "Pod", "name": format!("{service}-0"), "namespace": "desks" },
            }],
            "ports": ports,
        })
    };
    let mut pod = of_kind("StatefulSet").unwrap()["spec"]["template"].clone();
    pod["status"] = json!({ "phase": "Running", "podIP": "127.0.0.1", "hostIP": "127.0.0.1" });
    let service = of_kind("Service").unwrap().clone();
    let mut elsewhere = service.clone();
    elsewhere["metadata"]["labels"] = json!({ "app.kubernetes.io/name": "elsewhere" });
    let lists = [
        ("/api/v1/pods", vec![in_namespace(pod, "trading-desk-0")]),
        (
            "/api/v1/services",
            vec![
                in_namespace(service, "trading-desk"),
                in_namespace(elsewhere, "elsewhere"),
            ],
        ),
        (
            "/apis/discovery.k8s.io/v1/endpointslices",
            vec![
                slice(
                    "trading-desk",
                    json!([
                        { "name": "metrics", "port": port(desk), "protocol": "TCP" },
                        { "name": "api", "port": port(other), "protocol": "TCP" },
                    ]),
                ),
                slice(
                    "elsewhere",
                    json!([{ "name": "metrics", "port": port(other), "protocol": "TCP" }]),
                ),
            ],
        ),
    ];
    let list = |items| json!({ "metadata": { "resourceVersion": "1" }, "items": items });
    lists.map(|(path, items)| (path, list(items))).into()
}

/// Serves lists as the API of a Kubernetes does, in which nothing ever changes; its URL.
async fn kubernetes(lists: BTreeMap<&'static str, Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |uri: Uri| async move {
        if uri.query().unwrap_or_default().contains("watch=") {
            return std::future::pending().await;
        }
        match lists.get(uri.path()) {
            Some(list) => Json(list.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The commands of the guide as they stand there, but for addresses, folders and patience: what either agent scrapes arrives, and
/// is evaluated.
#[test]
fn the_commands_of_the_guide_work() {
    let guide = fs::read_to_string(tools::workspace().join("docs/DEPLOYMENT.md")).unwrap();
    let desk = Desk::start("1s").unwrap();
    scope(|scope| {
        for agent in ["vmagent", "prometheus"] {
            let (guide, desk) = (&guide, desk.address());
            scope.spawn(move || what_is_scraped_is_evaluated(guide, agent, desk));
        }
    });
}

fn what_is_scraped_is_evaluated(guide: &str, agent: &str, desk: &str) {
    let folder = tempfile::tempdir().unwrap();
    let storage = free_address();
    let mut changes = vec![
        ("/var/lib".to_owned(), folder.path().display().to_string()),
        (
            "deploy/fleet".to_owned(),
            folder.path().display().to_string(),
        ),
        (
            "deploy/prometheus".to_owned(),
            tools::workspace()
                .join("deploy/prometheus")
                .display()
                .to_string(),
        ),
        (
            r#"["desk-1:9464", "desk-2:9464"]"#.to_owned(),
            json!([desk]).to_string(),
        ),
        ("storage:8428".to_owned(), storage.clone()),
        ("127.0.0.1:8428".to_owned(), storage.clone()),
        // The guide has what the current generation calls it.
        (
            Generation::Current.agent_mode().to_owned(),
            Generation::chosen().agent_mode().to_owned(),
        ),
        ("=15s".to_owned(), "=1s".to_owned()),
        ("interval: 15s".to_owned(), "interval: 1s".to_owned()),
        ("timeout: 10s".to_owned(), "timeout: 1s".to_owned()),
    ];
    for port in ["8429", "8880", "9092", "9093"] {
        changes.push((format!("127.0.0.1:{port}"), free_address()));
    }
    let adapted = |text: &str| {
        let change = |text: String, (from, to): &(String, String)| text.replace(from, to);
        changes.iter().fold(text.to_owned(), change)
    };
    fs::create_dir(folder.path().join("targets")).unwrap();
    for file in ["vmagent.yml", "prometheus-agent.yml", "targets/desks.yml"] {
        let deployed = tools::workspace().join("deploy/fleet").join(file);
        let text = adapted(&fs::read_to_string(deployed).unwrap());
        fs::write(folder.path().join(file), text).unwrap();
    }

    let _running = ["victoria-metrics", agent, "vmalert"].map(|name| {
        let (program, quiet) = match name {
            "victoria-metrics" => (tools::victoria_metrics(), "-loggerLevel=ERROR"),
            "vmagent" => (tools::vmagent(), "-loggerLevel=FATAL"),
            "vmalert" => (tools::vmalert(), "-loggerLevel=FATAL"),
            _ => (tools::prometheus(), "--log.level=error"),
        };
        let mut command = Command::new(program.unwrap());
        command.args(arguments(guide, name).map(|argument| adapted(&argument)));
        if name == "victoria-metrics" {
            command.arg("-search.latencyOffset=0s");
        }
        Process::start(command.arg(quiet)).unwrap()
    });
    let url = format!("http://{storage}");
    let answered = |query| ask(&url, query).is_ok_and(|answer| answer.len() == 1);
    // With the label of its place, as the file of the agent has it.
    eventually(&true, || {
        answered(r#"up{job="trading-desk", site="main"} == 1"#)
    });
    eventually(&true, || answered("service:market_session_open:any >= 0"));
}

/// The arguments of a program in the guide, where it begins a line.
fn arguments<'a>(guide: &'a str, program: &str) -> impl Iterator<Item = String> + use<'a> {
    let call = format!("{program} -");
    let mut calls = guide.lines().filter(|line| line.starts_with(&call));
    let line = calls
        .next()
        .unwrap_or_else(|| panic!("no command {program}"));
    assert_eq!(calls.next(), None, "{program} is there twice");
    let words = line.split_whitespace().skip(1);
    words.map(|word| word.replace('\'', ""))
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Both agents take their files, and what evaluates rules for `VictoriaMetrics` takes ours.
#[test]
fn agents_take_their_files() {
    let deploy = tools::workspace().join("deploy");
    let vmagent = |file: &Path| {
        let mut vmagent = Command::new(tools::vmagent().unwrap());
        vmagent
            .arg("-promscrape.config.dryRun")
            .arg(format!("-promscrape.config={}", file.display()));
        vmagent
    };
    succeeds(&mut vmagent(&deploy.join("fleet/vmagent.yml")));
    succeeds(&mut vmagent(&deploy.join("fleet/kubernetes.yml")));
    succeeds(
        Command::new(tools::promtool().unwrap())
            .args(["check", "config", "--agent"])
            .arg(deploy.join("fleet/prometheus-agent.yml")),
    );
    succeeds(
        Command::new(tools::vmalert().unwrap())
            .arg("-dryRun")
            .arg(format!(
                "-rule={}",
                deploy.join("prometheus/rules/*.yml").display()
            )),
    );

    // Neither is content with anything.
    let text = fs::read_to_string(deploy.join("fleet/kubernetes.yml")).unwrap();
    let wrong = tempfile::NamedTempFile::new().unwrap();
    fs::write(&wrong, text.replace("relabel_configs", "relable_configs")).unwrap();
    assert!(!vmagent(wrong.path()).output().unwrap().status.success());
}

/// Ten desks with histories of different lengths, so that no two do the same; none has anything left to replay.
fn ten_desks() -> Vec<Desk> {
    let folder = tempfile::tempdir().unwrap();
    let start = &|desk: usize| Desk::replayed_from(&history(&folder, 300 + 50 * desk)).unwrap();
    scope(|scope| {
        let start = |desk| scope.spawn(move || start(desk));
        let starting: Vec<_> = (0..10).map(start).collect();
        let started = starting.into_iter().map(|desk| desk.join().unwrap());
        started.collect()
    })
}

/// A file of the first days of the prices that the desk has with it.
fn history(folder: &TempDir, days: usize) -> PathBuf {
    let prices = tools::workspace().join("examples/trading-desk/data/sp500.csv");
    let prices = fs::read_to_string(prices).unwrap();
    // One more line for the header.
    let lines: Vec<_> = prices.lines().take(1 + days).collect();
    let path = folder.path().join(format!("sp500-{days}.csv"));
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn addresses(desks: &[Desk]) -> Vec<&str> {
    desks.iter().map(Desk::address).collect()
}

/// What the desks themselves say.
fn direct(desks: &[Desk]) -> Totals {
    let mut totals = Totals::new();
    for desk in desks {
        let exposition = obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
        for (family, outcome) in TOTALS {
            let samples = exposition.family(family).unwrap().samples.iter();
            let counted =
                samples.filter(|sample| outcome.is_none() || sample.label("outcome") == outcome);
            let total = counted.map(|sample| sample.value).sum();
            totals.insert((family, desk.address().to_owned()), total);
        }
    }
    totals
}

fn selector(family: &str, outcome: Option<&str>) -> String {
    let outcome = outcome.map(|outcome| format!("{{outcome=\"{outcome}\"}}"));
    format!("{family}{}", outcome.unwrap_or_default())
}

fn instance(series: &Value) -> String {
    series["metric"]["instance"].as_str().unwrap().to_owned()
}

fn number(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

/// Seconds since the Unix epoch.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64()
}

/// Waits until something is as expected; shows what it is instead where it never is.
fn eventually<T: PartialEq + Debug>(expected: &T, get: impl Fn() -> T) {
    let end = Instant::now() + PATIENCE;
    while get() != *expected && Instant::now() < end {
        // There is no event to wait for in another program.
        sleep(Duration::from_millis(100));
    }
    assert_eq!(get(), *expected);
}

/// Runs a program to its success.
fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
}

/// What `cargo xtask fleet` does with two hundred desks for a quarter of an hour, with a few for half a minute: storages are killed
/// and agents restarted while desks come and go, and every storage has in the end what the desks said. What it says of time is for
/// the command.
#[test]
fn no_total_is_lost_while_storages_fail_and_desks_come_and_go() {
    let mut fleet = Process::start(small_fleet().arg("--json")).unwrap();
    let report: Value = fleet
        .wait_for("its figures", |line| serde_json::from_str(line).ok())
        .unwrap();
    let promises = report["promises"].as_array().unwrap();
    let is_of = |what: &str| {
        let is_it = |promise: &&Value| promise["promise"].as_str().unwrap().contains(what);
        promises.iter().find(is_it).unwrap()
    };
    for what in ["no total of a counter is lost", "while a storage was away"] {
        assert_eq!(is_of(what)["kept"], true, "{report:#}");
    }
    assert!(report["dead"].as_u64().unwrap() > 2, "{report:#}");
    assert_eq!(report["losses"].as_array().unwrap().len(), 3);
    // It compares hundreds of totals and asks every query of the dashboards both ways.
    assert!(
        report["totals"].as_u64().unwrap() > 500
            && report["queries"].as_array().unwrap().len() > 300
    );
}

/// Whatever ends a fleet, its servers end too; a signal that it can answer leaves nothing of what they kept.
#[test]
fn the_servers_of_a_fleet_end_with_it() {
    for signal in ["INT", "TERM", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let mut fleet = small_fleet();
        fleet.env("TMPDIR", folder.path()).stderr(Stdio::null());
        let mut fleet = Process::start(&mut fleet).unwrap();
        let all_there = |line: &str| {
            line.ends_with("all of them are in the storages")
                .then_some(())
        };
        fleet.wait_for("that all servers run", all_there).unwrap();
        // Two vmagents, two VictoriaMetrics, vmalert, two Prometheus agents, Prometheus, and the process of the desks.
        assert_eq!(running_in(folder.path()).len(), 9);

        let kill = Command::new("kill")
            .args(["-s", signal, &fleet.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        eventually(&Vec::new(), || running_in(folder.path()));
        if signal != "KILL" {
            eventually(&0, || folder.path().read_dir().unwrap().count());
        }
    }
}

/// A fleet of a few desks.
fn small_fleet() -> Command {
    let mut fleet = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let plan = "--days 300 --desks 6 --minutes 0.4 --interval 1 --churn 3 --patience 5";
    fleet.args(plan.split(' '));
    fleet
}

/// The commands of processes that name a folder, or write down there what they have to say.
fn running_in(folder: &Path) -> Vec<String> {
    let processes = Path::new("/proc").read_dir().unwrap().flatten();
    let running = processes.filter_map(|process| {
        // One that goes meanwhile has no files any more, and neither has one that has ended.
        let command = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let says = fs::read_link(process.path().join("fd/2")).ok()?;
        let is_there = says.starts_with(folder) || command.contains(folder.to_str()?);
        is_there.then_some(command)
    });
    running.collect()
}
