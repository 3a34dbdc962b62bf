//! Services that have never heard of this workspace: what Python's client library serves, and Prometheus itself; another team's
//! service with an `xtask` of its own; and a Prometheus that is asked what a team's files ask.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use common::{Said, obstool, quoter, write};
use obs_tests::{Process, Quoter, foreign_xtask, grafana_says, perses_says, python_says, tools};
use obs_verify::queries::{self, Role};
use obs_verify::{Catalog, dashboard, queried};
use serde_json::Value;

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

/// A Prometheus that scrapes a service every second, and where it is.
fn prometheus(folder: &std::path::Path, address: &str) -> (Process, String) {
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs: [{{ job_name: quoter, static_configs: [{{ targets: ['{address}'] }}] }}]\n"
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

/// What `cargo xtask` in the other team's workspace says.
fn xtask(arguments: &[&str]) -> Said {
    Said::from(foreign_xtask(arguments).unwrap())
}

/// The files of a folder, by name.
fn files(folder: &std::path::Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    };
    entries.map(file).collect()
}

#[test]
fn another_teams_xtask_verifies_and_watches_its_service() {
    let service = Quoter::start(&[]).unwrap();
    let offline = xtask(&["verify-metrics"]);
    assert_eq!(offline.status, 0, "{}{}", offline.out, offline.err);
    let live = xtask(&["verify-metrics", service.url()]);
    assert_eq!(live.status, 0, "{}{}", live.out, live.err);
    assert!(
        live.out
            .contains("code, catalogue and scrape agree: 0 errors"),
        "{}",
        live.out
    );
    let top = xtask(&["top", "--once", service.url()]);
    assert_eq!(top.status, 0, "{}{}", top.out, top.err);
    assert!(top.out.contains("vega_quotes_total{"), "{}", top.out);

    // The code has nothing of what this one records besides.
    let wrong = Quoter::start(&["wrong"]).unwrap();
    let said = xtask(&["verify-metrics", wrong.url()]);
    assert_eq!(said.status, 1, "{}{}", said.out, said.err);
    assert!(
        said.out
            .contains("error[differs]: vega_queue_depth: is gone"),
        "{}",
        said.out
    );
}

#[test]
fn what_is_generated_from_code_is_what_is_generated_from_the_service() {
    let service = Quoter::start(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path).display().to_string();
    let generated = |from: &[&str], out: &str| {
        for (what, out) in [
            ("dashboards", at(out)),
            ("rules", at(&format!("{out}/rules.yml"))),
        ] {
            let arguments = [&["gen", what], from, &["--out", &out, "--job", "quoter"]].concat();
            let said = xtask(&arguments);
            assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        }
        files(&folder.path().join(out))
    };
    let of_code = generated(&[], "code");
    let of_service = generated(&[service.url()], "service");
    // Without a catalogue the service knows its families by name only, in that order, and the code in that of its declarations.
    let sorted = |text: &String| {
        let mut lines: Vec<_> = text
            .lines()
            .map(|line| line.trim_end_matches(','))
            .collect();
        lines.retain(|line| !line.contains("\"id\":"));
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(
        of_code.keys().collect::<Vec<_>>(),
        of_service.keys().collect::<Vec<_>>()
    );
    for (name, text) in &of_code {
        assert_eq!(sorted(text), sorted(&of_service[name]), "{name}");
    }
    assert!(of_code["quoting.json"].contains("\"Tick to quote\""));
    assert!(of_code["rules.yml"].contains("VegaQuoteReactionSecondsBurnFast"));

    // Both are sound by the same rules as what people write.
    let boards: Vec<_> = of_code
        .keys()
        .filter(|name| !name.contains(".yml"))
        .collect();
    let boards: Vec<_> = boards
        .iter()
        .map(|name| at(&format!("code/{name}")))
        .collect();
    let boards = boards.iter().map(String::as_str);
    let rules = at("code/rules.yml");
    let arguments = ["verify-metrics", "--rules", &rules, "--dashboards"];
    let said = xtask(&arguments.into_iter().chain(boards).collect::<Vec<_>>());
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    let mut promtool = Command::new(tools::promtool().unwrap());
    let tested = promtool.args(["test", "rules", &at("code/rules.test.yml")]);
    let tested = Said::from(tested.output().unwrap());
    assert_eq!(tested.status, 0, "{}{}", tested.out, tested.err);
    // Only the code has what is written for its readers.
    let docs = xtask(&["gen", "docs"]);
    assert!(
        docs.out
            .contains("This paragraph is for readers of the source only."),
        "{}",
        docs.out
    );
}

/// Another team's service goes to its cluster: what is written is what Kubernetes and the operator know, and its own.
#[test]
fn another_team_gets_manifests_and_a_chart() {
    let service = Quoter::start(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path).display().to_string();
    let settings = "job: quoter\ndesks: [{ service: quoter, environment: production, mode: live }]\nthresholds: { host_cpu: 0.5 }\n";
    let settings = write(folder.path(), "settings.yml", settings);
    let values = "image: registry.example.com/quoter:1.2.0\nstorage: { enabled: false }\n";
    let values = write(folder.path(), "values.yaml", values);
    let generate = |what: &str, more: &[&str]| {
        let out = at(what);
        let common = [
            "gen",
            what,
            service.url(),
            "--settings",
            &settings,
            "--out",
            &out,
        ];
        obstool(&[&common, more].concat())
    };
    let said = generate("manifests", &["--values", &values]);
    assert_eq!(said.status, 0, "{}", said.err);
    let written = files(&folder.path().join("manifests"));
    let manifests: Vec<serde_json::Value> = written
        .values()
        .flat_map(|text| serde_saphyr::from_multiple::<serde_json::Value>(text).unwrap())
        .collect();
    let script = include_str!("../../../tests/harness/manifest.py");
    let verdicts = python_says(script, &serde_json::to_string(&manifests).unwrap());
    let verdicts: Vec<Option<String>> = serde_json::from_str(&verdicts.unwrap().unwrap()).unwrap();
    assert_eq!(verdicts, vec![None; manifests.len()]);
    let desk = &written["desk.yaml"];
    assert!(
        desk.contains("\"registry.example.com/quoter:1.2.0\""),
        "{desk}"
    );
    assert!(!desk.contains("PersistentVolumeClaim"), "{desk}");
    assert!(written["dashboards.yaml"].contains("quoter-dashboard-quoting"));
    assert!(written["rules.yaml"].contains("VegaQuoteReactionSecondsBurnFast"));
    // It measures nothing of trading.
    assert!(!written["rules.yaml"].contains("quoter-trading"));

    let said = generate("chart", &[]);
    assert_eq!(said.status, 0, "{}", said.err);
    let chart = folder.path().join("chart");
    let read = |name: &str| std::fs::read_to_string(chart.join(name)).unwrap();
    assert!(read("values.yaml").contains("\n    host_cpu: 0.5\n"));
    assert!(read("Chart.yaml").contains("name: quoter"));
    assert!(chart.join("files/dashboards/quoting.json").exists());
    // With what is there, it is not written again.
    assert_eq!(generate("chart", &["--check"]).status, 0);

    let slip = write(folder.path(), "slip.yaml", "image\n");
    let said = generate("manifests", &["--values", &slip]);
    assert!(
        said.status != 0 && said.err.contains("slip.yaml"),
        "{}",
        said.err
    );
}

/// What a service's dashboards are called, and what is in them, once a Prometheus has answered all of their queries.
fn answered(service: &str, prometheus: &str, folder: &std::path::Path) -> Vec<(String, String)> {
    let out = folder.join("boards");
    let said = obstool(&[
        "gen",
        "dashboards",
        service,
        "--out",
        &out.display().to_string(),
    ]);
    assert_eq!(said.status, 0, "{}", said.err);
    let rules = folder.join("rules.yml").display().to_string();
    assert_eq!(
        obstool(&["gen", "rules", service, "--out", &rules]).status,
        0
    );
    let paths: Vec<_> = files(&out)
        .into_keys()
        .map(|name| out.join(name).display().to_string())
        .collect();
    let asked = [
        "verify",
        service,
        "--prometheus",
        prometheus,
        "--dashboards",
    ];
    let asked = asked.into_iter().chain(paths.iter().map(String::as_str));
    let said = obstool(&asked.collect::<Vec<_>>());
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    files(&out)
        .into_iter()
        .map(|(name, text)| (name.trim_end_matches(".json").to_owned(), text))
        .collect()
}

#[test]
fn every_query_of_what_is_generated_is_answered_by_a_prometheus() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = &quoter().0;
    let (_process, asked) = prometheus(folder.path(), address);
    let service = Quoter::start(&[]).unwrap();
    let vega = service.url().trim_start_matches("http://");
    let (_other, of_vega) = prometheus(other_folder.path(), vega);
    // A rate takes two scrapes.
    wait_for(&asked, "count_over_time(quoter_connected[1m]) > 2");
    wait_for(&of_vega, "count_over_time(vega_quoting_active[1m]) > 2");
    let mut drawn = answered(address, &asked, folder.path());
    drawn.extend(answered(vega, &of_vega, other_folder.path()));
    // What Prometheus itself does not take is found, and what returns nothing.
    let wrong = write(
        folder.path(),
        "wrong.yml",
        "groups: [{ name: g, rules: [{ record: 'a:b', expr: 'quoter_connected == 7' }] }]",
    );
    let said = obstool(&["verify", address, "--prometheus", &asked, "--rules", &wrong]);
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
    let (_process, prometheus) = prometheus(folder.path(), &quoter().0);
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

/// Generated dashboards of a team that has never seen this repository are held to the same checks as those of its crates.
#[test]
fn a_strangers_dashboards_are_as_sound_as_our_own() {
    let service = Quoter::start(&[]).unwrap();
    let url = service.url();
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path).display().to_string();
    let (boards, of_crates, rules) = (at("boards"), at("of-crates"), at("rules.yml"));
    let in_perses = [at("perses"), at("perses-of-crates")];
    let runbooks = "https://runbooks.vega.example/";
    let own = ["--rules", &rules, "--runbooks", runbooks];
    for arguments in [
        &["gen", "rules", url, "--out", &rules, "--job", "quoter"][..],
        &[
            &["gen", "dashboards", url, "--out", &boards, "--mode", "live"],
            &own[..],
        ]
        .concat(),
        &["gen", "boards", url, "--out", &of_crates, "--mode", "live"],
        &[
            "gen",
            "dashboards",
            url,
            "--out",
            &in_perses[0],
            "--perses=vega",
        ],
        &["gen", "boards", url, "--out", &in_perses[1], "--perses"],
    ] {
        let said = obstool(arguments);
        assert_eq!(said.status, 0, "{}", said.err);
    }

    let catalog = served(url);
    let queries = queries::of_files(&[rules.into()]).unwrap();
    let alerts = queries.iter().filter_map(|query| match &query.role {
        Role::Alert(alert) => Some(alert.name.clone()),
        _ => None,
    });
    let alerts = alerts.collect();
    let vocabulary = queried::vocabulary(&catalog, &queries);
    let read = |folder: &str| {
        let files = files(std::path::Path::new(folder)).into_iter();
        let read = |(name, text): (String, String)| (name, serde_json::from_str(&text).unwrap());
        files.map(read).collect::<BTreeMap<String, Value>>()
    };
    let (drawn, of_crates) = (read(&boards), read(&of_crates));
    for (name, board) in drawn.iter().chain(&of_crates) {
        let faults = dashboard::faults(board, &vocabulary, &alerts);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
    // The same is there for Perses, by its own types.
    for (folder, project, of_grafana) in [
        (&in_perses[0], "vega", &drawn),
        (&in_perses[1], "obs", &of_crates),
    ] {
        let resources = read(folder);
        assert!(resources.keys().eq(of_grafana.keys()));
        let mut files = Vec::new();
        for (name, resource) in resources {
            assert_eq!(resource["metadata"]["project"], project, "{name}");
            let name = name.trim_end_matches(".json").to_owned();
            files.push((name, resource.to_string()));
        }
        let complaints = perses_says(&files).unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
    // What every exporter measures of itself has its dashboards, and nothing is there of trading.
    let names: Vec<_> = of_crates.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "error.json",
            "fleet.json",
            "main.json",
            "system-health.json"
        ]
    );

    // From a panel a way leads to its alert, and on to the team's own runbook.
    let links = drawn["quoting.json"]
        .pointer("/panels")
        .unwrap()
        .as_array()
        .unwrap();
    let links: Vec<_> = links
        .iter()
        .flat_map(|panel| panel["links"].as_array().into_iter().flatten())
        .map(|link| link["url"].as_str().unwrap())
        .collect();
    assert!(
        links.contains(&"/alerting/list?search=VegaQuotesBurnFast"),
        "{links:?}"
    );
    let runbook = "https://runbooks.vega.example/vegaquotesburnfast";
    assert!(links.contains(&runbook), "{links:?}");
}

/// What a service says of its metrics.
fn served(url: &str) -> Catalog {
    let text = obs_tests::scrape(&format!("{url}/catalog.json")).unwrap();
    Catalog::read(url, &text).unwrap()
}
