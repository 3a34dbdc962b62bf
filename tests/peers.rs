//! What other projects make of ours: an OpenTelemetry Collector, Sloth, Helm, Perses, and the language of Alloy's configuration. Compiled and
//! run by `cargo xtask test --peers` only, because building them takes minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use obs_recorder::{Engine, MemoryOptions};
use obs_tests::tools;
use obs_tests::{Collector, Desk, Keeper, Process, Storage, built, scrape};

/// How long samples may take on their way to the storage.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a client changes by asking: the connection counts.
const ASKED: [&str; 2] = ["process_open_fds", "tokio_alive_tasks"];

/// Values by series, which is its name and labels in order.
type Series = BTreeMap<String, f64>;

/// The series of a desk's exposition.
fn of_desk(desk: &Desk) -> Series {
    of_exposition(desk.metrics())
}

fn of_exposition(url: &str) -> Series {
    let exposition = obs_exposition::parse(&scrape(url).unwrap()).unwrap();
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
fn of_storage(storage: &Storage, query: &str) -> Series {
    let mut series = Series::new();
    for found in storage.ask(query).unwrap() {
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

/// A desk pushes to the Collector's receiver, and the storage behind it has the numbers of a scrape: the same series under the same
/// names, with the same values where they stand still.
#[test]
fn the_collector_carries_every_series_that_is_pushed() {
    let storage = Storage::start(Keeper::Prometheus).unwrap();
    let collector = Collector::start(&storage.url(), &[]).unwrap();
    let desk = Desk::replayed_to(collector.otlp()).unwrap();
    // Nobody says of what is pushed that it has ended, as the series of a position does in the replay: it is what came of late.
    same_as(
        &desk,
        &storage,
        "last_over_time({instance=\"desk-1\"}[10s])",
    );
}

/// An agent pushes to it what a process keeps in a mapped file, and the storage behind it has what the agent serves of that process.
#[test]
fn the_collector_carries_what_an_agent_pushes() {
    let folder = tempfile::tempdir().unwrap();
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder().buckets("fill_seconds", &[0.5, 1.0]);
    let engine = builder.memory(folder.path().join("desk.obs"), options);
    let engine = engine.build().unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("orders_total", "side" => "buy").increment(7);
        metrics::gauge!("depth").set(-2.5);
        for value in [0.25, 0.75, 2.0] {
            metrics::histogram!("fill_seconds").record(value);
        }
    });
    let storage = Storage::start(Keeper::Prometheus).unwrap();
    let collector = Collector::start(&storage.url(), &[]).unwrap();
    let mut command = Command::new(built("obstool").unwrap());
    command
        .args(["agent", "--listen", "127.0.0.1:0", "--otlp-interval", "0.2"])
        .args(["--otlp-url", collector.otlp()])
        .arg(folder.path());
    let mut agent = Process::start(&mut command).unwrap();
    let url = agent.wait_for("where it serves", |line| {
        line.starts_with("http://").then(|| line.trim().to_owned())
    });
    let mut expected = of_exposition(&url.unwrap());
    expected.retain(|name, _| name.contains("process=\"desk\""));
    assert!(expected.len() > 8, "{expected:?}");
    let end = Instant::now() + PATIENCE;
    loop {
        let stored = of_storage(&storage, "{process=\"desk\"}");
        if stored == expected {
            break;
        }
        assert!(Instant::now() < end, "{stored:#?} {expected:#?}");
        sleep(Duration::from_millis(200));
    }
}

/// Waits until the storage has all series of the desk and no others, and the same values where they stand still; names those that
/// differ.
fn same(desk: &Desk, storage: &Storage) {
    let query = format!("{{instance=\"{}\"}}", desk.address());
    same_as(desk, storage, &query);
}

/// The same of what the storage answers to this query.
fn same_as(desk: &Desk, storage: &Storage, query: &str) {
    let first = of_desk(desk);
    let differing = || {
        let before = of_desk(desk);
        let stored = of_storage(storage, query);
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
    // Once is enough: what is read off a clock differs in its last digit now and then.
    let (differing, standing) = loop {
        let (differing, standing) = differing();
        if differing.is_empty() || Instant::now() > end {
            break (differing, standing);
        }
        sleep(Duration::from_millis(200));
    };
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

/// Alloy's own language reads its configuration and evaluates it into the arguments that its components have, and refuses every
/// mistake that a hand makes in them.
#[test]
fn alloy_reads_its_file() {
    let deployed = tools::workspace().join("deploy/fleet/config.alloy");
    let read = |file: &Path| said(Command::new(tools::alloy_syntax().unwrap()).arg(file));
    let output = read(&deployed);
    assert!(output.0, "{}", output.1);
    let text = fs::read_to_string(&deployed).unwrap();
    for (from, to, reason) in [
        ("max_keepalive_time = \"8h\"\n  }", "", "}"),
        ("scrape_interval", "scrape_intervall", "scrape_intervall"),
        ("= true", "= \"yes\"", "should be bool, got string"),
        ("storage.receiver", "storage.reciever", "reciever"),
        ("desks.targets", "desk.targets", "desk"),
        (
            "url = \"http://storage:8428/api/v1/write\"",
            "",
            "missing required attribute \"url\"",
        ),
        ("\"8h\"", "\"8 hours\"", "8 hours"),
        ("discovery.file \"", "discovery.files \"", "discovery.files"),
    ] {
        assert!(text.contains(from), "{from}");
        let wrong = tempfile::NamedTempFile::new().unwrap();
        fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        let output = read(wrong.path());
        assert!(
            !output.0 && output.1.contains(reason),
            "{from} as {to}: {}",
            output.1
        );
    }
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

/// A chart is rendered with the values it is given, and one with a mistake is refused with its place.
#[test]
fn helm_renders_and_lints_a_chart() {
    let chart = tempfile::tempdir().unwrap();
    fs::create_dir(chart.path().join("templates")).unwrap();
    let write = |name: &str, text: &str| fs::write(chart.path().join(name), text).unwrap();
    let folder = chart.path().file_name().unwrap().to_str().unwrap();
    write(
        "Chart.yaml",
        &format!(
            "apiVersion: v2\nname: \"{folder}\"\nversion: 0.1.0\nicon: https://example.org/icon.png\n"
        ),
    );
    write("values.yaml", "port: 9464\n");
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: {{ .Release.Name }} }\nspec: { ports: [{ port: {{ .Values.port }} }] }\n";
    write("templates/service.yaml", service);
    let linted = tools::helm_lint(chart.path(), &[]).unwrap();
    assert!(linted.is_ok(), "{linted:?}");
    for (arguments, port) in [([].as_slice(), 9464), (&["--set", "port=1"], 1)] {
        let rendered = tools::helm_template(chart.path(), arguments)
            .unwrap()
            .unwrap();
        let manifest: serde_json::Value = serde_saphyr::from_str(&rendered).unwrap();
        assert_eq!(manifest["metadata"]["name"], "release");
        assert_eq!(manifest["spec"]["ports"][0]["port"], port, "{rendered}");
    }

    write(
        "templates/service.yaml",
        &service.replace(".Values.port", ".Values.prot.number"),
    );
    for wrong in [
        tools::helm_lint(chart.path(), &[]),
        tools::helm_template(chart.path(), &[]),
    ] {
        let reason = wrong.unwrap().unwrap_err();
        assert!(reason.contains("service.yaml"), "{reason}");
    }
}

/// Perses reads every resource that it is to provision, and the schemas of its plugins know all that the resources say of queries,
/// variables, numbers and lines. It refuses what a hand gets wrong in them.
#[test]
fn perses_takes_its_resources() {
    let (program, pins) = tools::perses_check().unwrap();
    let check = |files: &[PathBuf]| said(Command::new(&program).arg(&pins).args(files));
    let deployed = tools::workspace().join("deploy/perses");
    let in_folder = |folder: PathBuf| {
        let files = fs::read_dir(folder).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.is_file())
            .collect::<Vec<_>>()
    };
    let files = [
        in_folder(deployed.clone()),
        in_folder(deployed.join("dashboards")),
    ]
    .concat();
    assert_eq!(files.len(), 17);
    let (is_taken, counts) = check(&files);
    assert!(is_taken, "{counts}");
    let held = |kind: &str| {
        let mut lines = counts.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(name, _)| *name == kind);
        found
            .unwrap_or_else(|| panic!("{kind}: {counts}"))
            .1
            .parse::<usize>()
            .unwrap()
    };
    for (kind, least) in [
        ("PrometheusDatasource", 1),
        ("PrometheusLabelValuesVariable", 60),
        ("PrometheusTimeSeriesQuery", 300),
        ("StatChart", 60),
        ("TimeSeriesChart", 100),
    ] {
        assert!(held(kind) >= least, "{counts}");
    }

    let text = fs::read_to_string(deployed.join("dashboards/main.json")).unwrap();
    for (from, to, reason) in [
        ("#/spec/panels/", "#/spec/panels/no-", "no panel found"),
        (
            "\"kind\": \"ListVariable\"",
            "\"kind\": \"Variable\"",
            "Variable",
        ),
        (
            "\"name\": \"Critical alerts\"",
            "\"name\": \"\"",
            "cannot be empty",
        ),
        ("\"30s\"", "\"half a minute\"", "half a minute"),
        ("alphabetical-asc", "alphabetical", "alphabetical"),
        ("last-number", "newest", "newest"),
        ("\"areaOpacity\": 0.1", "\"areaOpacity\": 10", "areaOpacity"),
        ("\"percent-decimal\"", "\"share\"", "unit"),
        ("\"labelName\"", "\"label\"", "label"),
        ("\"seriesNameFormat\"", "\"legendFormat\"", "legendFormat"),
    ] {
        assert!(text.contains(from), "{from}");
        let wrong = tempfile::NamedTempFile::new().unwrap();
        fs::write(&wrong, text.replace(from, to)).unwrap();
        let (is_taken, fault) = check(&[wrong.path().to_owned()]);
        assert!(
            !is_taken && fault.contains(reason),
            "{from} as {to}: {fault}"
        );
    }
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
