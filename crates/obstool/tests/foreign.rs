//! Services that have never heard of this workspace: what Python's client library serves, and Prometheus itself; and a Prometheus
//! that is asked what a team's files ask.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{obstool, quoter, write};
use obs_tests::{Process, grafana_says, tools};

const PYTHON: &str = "
from prometheus_client import Counter, Gauge, Histogram, start_http_server
Counter('jobs', 'Jobs done.', ['queue']).labels('a').inc(3)
Gauge('depth', 'Jobs that wait.').set(7)
Histogram('job_seconds', 'Time of a job.', buckets=[0.1, 1]).observe(0.5)
server, thread = start_http_server(0, addr='127.0.0.1')
print('port', server.server_port, flush=True)
thread.join()
";

#[test]
fn a_service_of_pythons_client_library_is_judged_sensibly() {
    let mut python = Command::new(tools::python().unwrap());
    let mut service = Process::start(python.args(["-c", PYTHON])).unwrap();
    let port = |line: &str| line.strip_prefix("port ").map(str::to_owned);
    let address = format!("127.0.0.1:{}", service.wait_for("its port", port).unwrap());
    // Every path is an exposition there, and none a catalogue.
    for place in [
        address.clone(),
        format!("http://{address}/"),
        format!("http://{address}/metrics"),
    ] {
        let said = obstool(&["verify", &place]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        assert!(said.out.contains("note[no_catalogue]"), "{}", said.out);
        assert!(
            said.out.contains("scrape and conventions agree: 0 errors"),
            "{}",
            said.out
        );
    }
    // Rules are held to what is seen.
    let folder = tempfile::tempdir().unwrap();
    let rules = |expr: &str| {
        let text = format!("groups: [{{ name: g, rules: [{{ record: 'a:b', expr: '{expr}' }}] }}]");
        write(folder.path(), "rules.yml", &text)
    };
    let right = rules("sum by (queue) (rate(jobs_total[5m]))");
    assert_eq!(obstool(&["verify", &address, "--rules", &right]).status, 0);
    let wrong = rules("sum by (queue) (rate(job_total[5m]))");
    let said = obstool(&["verify", &address, "--rules", &wrong]);
    assert!(
        said.status == 1 && said.out.contains("did you mean `jobs_total`?"),
        "{}",
        said.out
    );
    let top = obstool(&["top", "--once", &address]);
    assert!(
        top.out.contains("jobs_total{queue=\"a\"}"),
        "{}{}",
        top.out,
        top.err
    );
}

/// A Prometheus that scrapes the quoter every second, and where it is.
fn prometheus(folder: &std::path::Path) -> (Process, String) {
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs: [{{ job_name: quoter, static_configs: [{{ targets: ['{}'] }}] }}]\n",
        quoter().0
    );
    let config = write(folder, "prometheus.yml", &config);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(tools::prometheus().unwrap());
    command
        .arg(format!("--config.file={config}"))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let process = Process::start(&mut command).unwrap();
    (process, format!("http://{address}"))
}

/// Asks again until a query returns something.
fn wait_for(prometheus: &str, query: &str) {
    let began = std::time::Instant::now();
    while obs_tests::ask(prometheus, query).map_or(true, |series| series.is_empty()) {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{query} returns nothing"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn every_query_of_what_is_generated_is_answered_by_a_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let (_process, prometheus) = prometheus(folder.path());
    let boards = folder.path().join("boards");
    let rules = folder.path().join("rules.yml").display().to_string();
    let address = &quoter().0;
    let out = boards.display().to_string();
    assert_eq!(
        obstool(&["gen", "dashboards", address, "--out", &out]).status,
        0
    );
    assert_eq!(
        obstool(&["gen", "rules", address, "--out", &rules]).status,
        0
    );
    // A rate takes two scrapes.
    wait_for(&prometheus, "count_over_time(quoter_connected[1m]) > 2");

    let mut drawn = Vec::new();
    let mut asked = vec![
        "verify".to_owned(),
        address.clone(),
        "--prometheus".to_owned(),
        prometheus.clone(),
        "--dashboards".to_owned(),
    ];
    for entry in std::fs::read_dir(&boards).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        drawn.push((name, std::fs::read_to_string(&path).unwrap()));
        asked.push(path.display().to_string());
    }
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let said = obstool(&asked);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    // What Prometheus itself does not take is found, and what returns nothing.
    let wrong = write(
        folder.path(),
        "wrong.yml",
        "groups: [{ name: g, rules: [{ record: 'a:b', expr: 'quoter_connected == 7' }] }]",
    );
    let said = obstool(&[
        "verify",
        address,
        "--prometheus",
        &prometheus,
        "--rules",
        &wrong,
    ]);
    assert!(
        said.status == 1 && said.out.contains("error[empty]"),
        "{}",
        said.out
    );

    // Grafana's own types know every field.
    for version in tools::GRAFANA_VERSIONS {
        let complaints = grafana_says(version, &drawn).unwrap();
        assert!(complaints.is_empty(), "{version}: {complaints:#?}");
    }
}

#[test]
fn prometheus_itself_and_what_it_hands_on_are_judged_sensibly() {
    let folder = tempfile::tempdir().unwrap();
    let (_process, prometheus) = prometheus(folder.path());
    wait_for(&prometheus, "quoter_connected");
    let said = obstool(&["verify", &prometheus]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("note[no_catalogue]"), "{}", said.out);
    // What people look at is no exposition.
    let said = obstool(&["verify", &format!("{prometheus}/graph")]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("its metrics are at"), "{}", said.out);

    // A federation says neither kinds nor help, and has the labels of targets.
    let catalog = write(
        folder.path(),
        "catalog.json",
        &common::of_quoter("/catalog.json"),
    );
    let federate = format!("{prometheus}/federate?match[]=%7Bjob=%22quoter%22%7D");
    let said = obstool(&["verify", &federate, "--catalogue", &catalog]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.out
            .contains("catalogue and scrape agree: 0 errors, 0 warnings"),
        "{}",
        said.out
    );
}
