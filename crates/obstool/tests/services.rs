//! `obstool page`: what it learns of services, and of a Prometheus, and what it gives away.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{quoter, served, write};
use obs_tests::{Process, tools};
use serde_json::Value;

/// The program, and the address of its page.
fn page(arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
    command
        .args(["page", "--listen", "127.0.0.1:0"])
        .args(arguments);
    let mut process = Process::start(&mut command).unwrap();
    let address = process
        .wait_for("where its page is", |line| {
            Some(
                line.strip_prefix("http://")?
                    .trim_end_matches('/')
                    .to_owned(),
            )
        })
        .unwrap();
    (process, address)
}

/// What the page reads, once it is as wanted.
fn services(address: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let text = obs_tests::scrape(&format!("http://{address}/services.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        if is_wanted(&json) {
            return json;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{json}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A port at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A Prometheus with one rule that fires for every service that answers.
fn prometheus(folder: &std::path::Path, target: &str) -> (Process, String) {
    let rules = write(
        folder,
        "rules.yml",
        "groups: [{ name: all, rules: [{ alert: QuoterAnswers, expr: up == 1, labels: { severity: warning } },\n\
         { record: 'quoter:quotes:rate1m', expr: 'rate(quoter_quotes_total[1m])' },\n\
         { alert: QuotesMissing, expr: 'quoter:quotes:rate1m < 0.001', for: 5m, labels: { severity: page } }] }]\n",
    );
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{rules}']\n\
         scrape_configs: [{{ job_name: quoter, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
    );
    let config = write(folder, "prometheus.yml", &config);
    let address = nobody();
    let mut command = Command::new(tools::prometheus().unwrap());
    command
        .arg(format!("--config.file={config}"))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    (Process::start(&mut command).unwrap(), address)
}

#[test]
fn a_row_has_the_state_of_a_service_its_figures_and_what_fires() {
    let folder = tempfile::tempdir().unwrap();
    let (address, dead) = (quoter().0.as_str(), nobody());
    let (_prometheus, prometheus) = prometheus(folder.path(), address);
    let (_page, page) = page(&[address, &dead, "--prometheus", &prometheus]);
    let known = services(&page, |json| {
        let fires = json["services"][0]["alerts"].as_array();
        fires.is_some_and(|fires| !fires.is_empty()) && json["services"][0]["isUp"] == true
    });
    let [alive, dead] = &known["services"].as_array().unwrap()[..] else {
        panic!("{known}");
    };
    assert_eq!(alive["alerts"][0]["name"], "QuoterAnswers");
    assert_eq!(alive["alerts"][0]["severity"], "warning");
    assert!(
        alive["state"].as_str().unwrap().starts_with("up "),
        "{alive}"
    );
    let titles: Vec<_> = alive["figures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|figure| figure["title"].as_str().unwrap())
        .collect();
    assert!(titles.contains(&"Quotes"), "{titles:?}");
    assert_eq!(dead["isUp"], false);
    assert!(
        dead["state"].as_str().unwrap().contains("unreachable"),
        "{dead}"
    );
    assert_eq!(dead["alerts"], serde_json::json!([]));

    // What it reads, also by way of what is recorded; nothing of a service that said nothing of itself.
    let rules = |index: usize| -> Value {
        let text = obs_tests::scrape(&format!("http://{page}/rules/{index}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let wanted = serde_json::json!([{
        "name": "QuotesMissing", "query": "quoter:quotes:rate1m < 0.001", "for": "5 min", "severity": "page",
        "state": "inactive", "reads": ["quoter_quotes_total"],
    }]);
    let mut found = rules(0);
    // Whether it waits already depends on how long the Prometheus has looked.
    found[0]["state"] = "inactive".into();
    assert_eq!(found, wanted);
    assert_eq!(rules(1), serde_json::json!([]));
    assert!(obs_tests::scrape(&format!("http://{page}/rules/2.json")).is_err());
}

#[test]
fn credentials_stay_in_the_program_and_other_names_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let token = write(folder.path(), "token", "hush-hush");
    let metrics = "# TYPE x_total counter\nx_total 1\n".to_owned();
    let service = served(vec![("/metrics", metrics)], Some("hush-hush"));
    let (_page, page) = page(&[&service, "--bearer-token-file", &token]);
    services(&page, |json| json["services"][0]["isUp"] == true);
    for path in ["/", "/page.js", "/page.css", "/services.json", "/nothing"] {
        let mut stream = TcpStream::connect(&page).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {page}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.contains("content-security-policy: default-src 'none'"),
            "{answer}"
        );
        assert!(!answer.contains("hush"), "{answer}");
    }
    // A page elsewhere whose name was made to lead here.
    let mut stream = TcpStream::connect(&page).unwrap();
    stream
        .write_all(b"GET /services.json HTTP/1.1\r\nhost: evil.example\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 421") && !answer.contains("isUp"),
        "{answer}"
    );
}
