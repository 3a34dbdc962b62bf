//! What other projects make of ours: an OpenTelemetry Collector, Sloth, Helm, and the parser of Alloy's configuration; and a small
//! fleet of simulated desks. Compiled and run by `cargo xtask test --peers` only, because building and running them takes minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use obs_tests::tools;
use obs_tests::{Collector, Desk, Keeper, Process, Storage, scrape};
use serde_json::Value;

/// How long samples may take on their way to the storage.
const PATIENCE: Duration = Duration::from_mins(1);

/// What who asks changes by asking: the connection counts.
const ASKED: [&str; 2] = ["process_open_fds", "tokio_alive_tasks"];

/// Values by series, which is its name and labels in order.
type Series = BTreeMap<String, f64>;

/// The series of an exposition.
fn of_desk(desk: &Desk) -> Series {
    let exposition = obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
    let samples = exposition
        .families
        .iter()
        .flat_map(|family| &family.samples);
    let series = samples.map(|sample| {
        let labels = sample.labels.iter();
        let labels = labels.map(|(key, value)| (key.as_str(), value.as_str()));
        (name(&sample.name, labels.collect()), sample.value)
    });
    series.collect()
}

/// The same series as a storage has them, without what a scrape adds.
fn of_storage(storage: &Storage, desk: &Desk) -> Series {
    let query = format!("{{instance=\"{}\"}}", desk.address());
    let mut series = Series::new();
    for found in storage.ask(&query).unwrap() {
        let labels = found["metric"].as_object().unwrap();
        let family = labels["__name__"].as_str().unwrap();
        let added = ["__name__", "instance", "job"];
        let own = labels
            .iter()
            .filter(|(key, _)| !added.contains(&key.as_str()));
        let own = own.map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
        let value: f64 = found["value"][1].as_str().unwrap().parse().unwrap();
        if family != "up" && !family.starts_with("scrape_") {
            series.insert(name(family, own.collect()), value);
        }
    }
    series
}

fn name(family: &str, labels: BTreeMap<&str, &str>) -> String {
    let label = |(key, value): (&str, &str)| {
        // The Collector writes bounds as Go does, without the zeros of `1.0`.
        let bound = (key == "le").then(|| value.parse::<f64>().unwrap());
        let value = bound.map_or_else(|| value.to_owned(), |bound| bound.to_string());
        format!("{key}={value:?}")
    };
    let labels = labels.into_iter().map(label).collect::<Vec<_>>();
    format!("{family}{{{}}}", labels.join(","))
}

/// The Collector scrapes a desk by the list in `deploy/fleet`, and Prometheus has what the desk says: the same series with the
/// same values, also when the storage was away meanwhile.
#[test]
fn the_collector_carries_every_series_of_a_desk_through_a_restart_of_the_storage() {
    let desk = Desk::replayed().unwrap();
    let mut storage = Storage::start(Keeper::Prometheus).unwrap();
    let collector = Collector::start(&storage.url(), &[desk.address()]).unwrap();
    same(&desk, &storage);

    let up = |storage: &Storage, query: &str| storage.ask(query).unwrap();
    let scraped = "timestamp(up{job=\"trading-desk\"} == 1)";
    let before = up(&storage, scraped);
    storage.end().unwrap();
    // Two intervals of its own without anybody who takes what it scrapes.
    sleep(2 * Collector::INTERVAL);
    storage.start_again().unwrap();
    let end = Instant::now() + PATIENCE;
    while up(&storage, scraped) == before && Instant::now() < end {
        // There is no event to wait for in another program.
        sleep(Duration::from_millis(100));
    }
    assert_ne!(up(&storage, scraped), before);
    same(&desk, &storage);
    drop(collector);
}

/// Waits until the storage has all series of the desk and no others, and the same values where they stand still; names those that
/// differ.
fn same(desk: &Desk, storage: &Storage) {
    let first = of_desk(desk);
    let differing = || {
        let before = of_desk(desk);
        let stored = of_storage(storage, desk);
        let after = of_desk(desk);
        // Bits, because what is not a number is that in both.
        let bits = |series: &Series, name: &String| series.get(name).map(|value| value.to_bits());
        let is_number = |name: &String| first.get(name).is_some_and(|value| !value.is_nan());
        let stands = |name: &String| {
            let now = bits(&before, name);
            let is_moved_by_asking = ASKED.iter().any(|family| name.starts_with(family));
            let is_still = now == bits(&first, name) && now == bits(&after, name);
            is_number(name) && is_still && !is_moved_by_asking
        };
        let differs = |name: &String| {
            let is_series = first.contains_key(name) && stored.contains_key(name);
            !is_series || stands(name) && bits(&first, name) != bits(&stored, name)
        };
        let names: BTreeSet<&String> = first.keys().chain(stored.keys()).collect();
        let standing = names.iter().filter(|name| stands(name)).count();
        let names = names.into_iter().filter(|name| differs(name));
        let shown =
            |name: &String| format!("{name}: {:?}, {:?}", first.get(name), stored.get(name));
        (names.map(shown).collect::<Vec<_>>(), standing)
    };
    let end = Instant::now() + PATIENCE;
    while !differing().0.is_empty() && Instant::now() < end {
        sleep(Duration::from_millis(200));
    }
    let (differing, standing) = differing();
    let shown = differing.iter().take(10).collect::<Vec<_>>();
    assert!(
        differing.is_empty(),
        "{} differ: {shown:#?}",
        differing.len()
    );
    assert!(standing > 1_000, "{standing} series stand still");
}

/// Its configuration is taken as it is deployed, and one with a mistake is not.
#[test]
fn the_collector_takes_its_file() {
    let deployed = tools::workspace().join("deploy/fleet/collector.yml");
    let validate = |file: &Path| {
        let mut collector = Command::new(tools::collector().unwrap());
        said(collector.arg("validate").arg("--config").arg(file))
    };
    let output = validate(&deployed);
    assert!(output.0, "{}", output.1);
    let text = fs::read_to_string(&deployed).unwrap();
    let wrong = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        &wrong,
        text.replace("retry_on_failure", "retry_on_failures"),
    )
    .unwrap();
    let output = validate(wrong.path());
    assert!(
        !output.0 && output.1.contains("retry_on_failures"),
        "{}",
        output.1
    );
}

/// Alloy's own parser reads its configuration, and refuses one with a brace too few. It does not know components.
#[test]
fn alloy_reads_its_file() {
    let deployed = tools::workspace().join("deploy/fleet/config.alloy");
    let parse = |file: &Path| said(Command::new(tools::alloy_syntax().unwrap()).arg(file));
    let output = parse(&deployed);
    assert!(output.0, "{}", output.1);
    let text = fs::read_to_string(&deployed).unwrap();
    let wrong = tempfile::NamedTempFile::new().unwrap();
    fs::write(&wrong, text.trim_end().trim_end_matches('}')).unwrap();
    assert!(!parse(wrong.path()).0);
}

/// What Sloth makes of an objective of ours, beside the rules that we generate from the same: Prometheus takes both, both say the
/// same share of failures, and both raise their alarms on the same series and neither on a good one.
#[test]
fn sloth_says_of_an_objective_what_we_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("slo.yml", SLO);
    let mut sloth = Command::new(tools::sloth().unwrap());
    sloth.args(["generate", "--input", "slo.yml", "--out", "sloth.yml"]);
    let output = said(sloth.current_dir(folder.path()));
    assert!(output.0, "{}", output.1);
    let ours = tools::workspace().join("deploy/prometheus/rules/objectives.yml");
    fs::copy(ours, folder.path().join("objectives.yml")).unwrap();
    write("tests.yml", RULE_TESTS);
    for arguments in [
        ["check", "rules", "sloth.yml", "objectives.yml"].as_slice(),
        &["test", "rules", "tests.yml"],
    ] {
        let mut promtool = Command::new(tools::promtool().unwrap());
        let output = said(promtool.args(arguments).current_dir(folder.path()));
        assert!(output.0, "{}", output.1);
    }
    // The comparison compares something.
    write("tests.yml", &RULE_TESTS.replace("- 0.2", "- 0.3"));
    let mut promtool = Command::new(tools::promtool().unwrap());
    promtool.args(["test", "rules", "tests.yml"]);
    assert!(!said(promtool.current_dir(folder.path())).0);
}

/// The objective of `http_request_duration_seconds` as a specification for Sloth.
const SLO: &str = r#"
version: prometheus/v1
service: trading-desk
slos:
  - name: http-request-duration
    objective: 99
    description: 99 % under 0.5 s
    sli:
      events:
        error_query: >-
          sum by (service, environment, mode) (rate(http_request_duration_seconds_count[{{.window}}]))
          - sum by (service, environment, mode) (rate(http_request_duration_seconds_bucket{le="0.5"}[{{.window}}]))
        total_query: sum by (service, environment, mode) (rate(http_request_duration_seconds_count[{{.window}}]))
    alerting:
      name: SlothHttpRequestDuration
      page_alert: { labels: { severity: critical } }
      ticket_alert: { labels: { severity: warning } }
"#;

/// Two desks that answer 600 requests a minute: one in five too late, and one in a thousand.
const RULE_TESTS: &str = r#"
rule_files: [sloth.yml, objectives.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: http_request_duration_seconds_count{service="late", environment="production", mode="live", instance="a:1"}
        values: 0+1000x300
      - series: http_request_duration_seconds_bucket{service="late", environment="production", mode="live", instance="a:1", le="0.5"}
        values: 0+800x300
      - series: http_request_duration_seconds_count{service="prompt", environment="production", mode="live", instance="b:1"}
        values: 0+1000x300
      - series: http_request_duration_seconds_bucket{service="prompt", environment="production", mode="live", instance="b:1", le="0.5"}
        values: 0+999x300
    promql_expr_test:
      # Ours is what it is to be, and Sloth's is the same.
      - expr: round(objective:http_request_duration_seconds:failed_ratio5m{service="late"} - 0.2, 1e-9)
        eval_time: 2h
        exp_samples: [{ labels: '{service="late", environment="production", mode="live"}', value: 0 }]
      - expr: round(objective:http_request_duration_seconds:failed_ratio1h - on(service) max by (service) (label_replace(slo:sli_error:ratio_rate1h, "service", "$1", "service", "(.*)")), 1e-9)
        eval_time: 2h
        exp_samples:
          - { labels: '{service="late"}', value: 0 }
          - { labels: '{service="prompt"}', value: 0 }
      - expr: count by (service) (ALERTS{alertname="HttpRequestDurationSecondsBurnFast", alertstate="firing"})
        eval_time: 2h
        exp_samples: [{ labels: '{service="late"}', value: 1 }]
      - expr: count by (service) (ALERTS{alertname="SlothHttpRequestDuration", severity="critical", alertstate="firing"})
        eval_time: 2h
        exp_samples: [{ labels: '{service="late"}', value: 1 }]
"#;

/// Helm runs here, for a chart to be held against it.
#[test]
fn helm_is_the_release_that_is_pinned() {
    let pins = fs::read_to_string(tools::workspace().join("tests/servers/helm/go.mod")).unwrap();
    let line = pins.lines().find(|line| line.contains("helm.sh/helm/v4 "));
    let pinned = line
        .unwrap()
        .split_whitespace()
        .find(|word| word.starts_with("v4."));
    let minor = pinned.unwrap().rsplit_once('.').unwrap().0;
    let output = said(Command::new(tools::helm().unwrap()).args(["version", "--short"]));
    assert!(output.0 && output.1.starts_with(minor), "{}", output.1);
}

/// Runs a program: whether it succeeded, and what it said.
fn said(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    (
        status.success(),
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned(),
    )
}

/// What `cargo xtask fleet` does with two hundred desks for a quarter of an hour, with a few for less than a minute: storages are
/// killed and agents restarted while desks come and go, and every storage has in the end what the desks said. What it says of time is
/// for the command.
#[test]
fn no_total_is_lost_while_storages_fail_and_desks_come_and_go() {
    let mut fleet = Command::new(env!("CARGO_BIN_EXE_fleet"));
    fleet.args([
        "--json",
        "--desks",
        "8",
        "--minutes",
        "0.75",
        "--interval",
        "1",
        "--churn",
        "5",
    ]);
    let mut fleet = Process::start(&mut fleet).unwrap();
    let report: Value = fleet
        .wait_for("its figures", |line| serde_json::from_str(line).ok())
        .unwrap();
    let promises = report["promises"].as_array().unwrap();
    assert_eq!(promises.len(), 4, "{report:#}");
    for promise in promises {
        let is_of_time = promise["promise"]
            .as_str()
            .unwrap()
            .contains("within a second");
        assert!(is_of_time || promise["kept"] == true, "{promise:#}");
    }
    assert!(report["dead"].as_u64().unwrap() > 4, "{report:#}");
    assert_eq!(report["losses"].as_array().unwrap().len(), 3);
    // It compares hundreds of totals and asks every query of the dashboards both ways.
    assert!(
        report["totals"].as_u64().unwrap() > 500
            && report["queries"].as_array().unwrap().len() > 300
    );
}
