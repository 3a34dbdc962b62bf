//! What is under `deploy/`, in the hands of the programs it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use obs_tests::{
    Desk, Manner, Notification, Process, Stack, Target, grafana_says, perses_says, python_says,
    tools,
};
use serde::Deserialize;

/// How long an alert may take from the cause to the receiver, with a stack in a hurry.
const ALERTED: Duration = Duration::from_mins(1);
/// How long it may take until all desks have answered at once, on a machine that is busy.
const SCRAPED: Duration = Duration::from_mins(5);
/// How long the pager may take to hear that a live desk is dead, as deployed.
const PAGED: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<RuleTest>,
}

#[derive(Deserialize)]
struct RuleTest {
    input_series: Vec<serde_json::Value>,
    /// A test may be of recorded series alone.
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    exp_alerts: Vec<serde_json::Value>,
}

fn deploy(path: &str) -> PathBuf {
    tools::workspace().join("deploy").join(path)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(deploy(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn alerts() -> Vec<(String, Rule)> {
    let rules = files("prometheus/rules")
        .into_iter()
        .flat_map(|path| read::<RuleFile>(&path).groups)
        .flat_map(|group| group.rules);
    rules
        .filter_map(|mut rule| Some((rule.alert.take()?, rule)))
        .collect()
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

#[test]
fn prometheus_and_alertmanager_take_their_configuration() {
    succeeds(
        Command::new(tools::promtool().unwrap())
            .args(["check", "config"])
            .arg(deploy("prometheus/prometheus.yml")),
    );
    succeeds(
        Command::new(tools::promtool().unwrap())
            .args(["check", "rules"])
            .args(files("prometheus/rules")),
    );
    succeeds(
        Command::new(tools::amtool().unwrap())
            .arg("check-config")
            .arg(deploy("alertmanager/alertmanager.yml")),
    );
}

/// Side by side: some go through days of minutes.
#[test]
fn the_tests_of_the_rules_pass() {
    std::thread::scope(|scope| {
        for file in files("prometheus/tests") {
            scope.spawn(move || {
                succeeds(
                    Command::new(tools::promtool().unwrap())
                        .args(["test", "rules"])
                        .arg(file),
                );
            });
        }
    });
}

#[test]
fn every_alert_is_tested_both_ways() {
    let tests: Vec<RuleTest> = files("prometheus/tests")
        .iter()
        .flat_map(|path| read::<TestFile>(path).tests)
        .collect();
    let names = |fires: bool| -> BTreeSet<&str> {
        let series = tests.iter().filter(|test| !test.input_series.is_empty());
        // A test that fires elsewhere does not show what keeps quiet for good.
        let alike = series.filter(|test| {
            test.alert_rule_test
                .iter()
                .any(|case| !case.exp_alerts.is_empty())
                == fires
        });
        alike
            .flat_map(|test| &test.alert_rule_test)
            .map(|case| case.alertname.as_str())
            .collect()
    };
    let alerts = alerts();
    let all: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(all.len(), alerts.len(), "a name is used twice");
    assert!(all.len() >= 30);
    assert_eq!(names(true), all, "alerts with a case that makes them fire");
    // What watches the watcher is never quiet: that is what it is for.
    let mut quiet = all;
    assert!(quiet.remove("Watchdog"));
    assert_eq!(
        names(false),
        quiet,
        "alerts with a case that keeps them quiet"
    );
}

#[test]
fn every_alert_says_what_it_is_and_what_to_do() {
    let runbooks = fs::read_to_string(tools::workspace().join("docs/ALERTS.md")).unwrap();
    let sections: BTreeSet<&str> = runbooks
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let mut known = BTreeSet::new();
    for (name, rule) in alerts() {
        let severity = rule.labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning")) || name == "Watchdog",
            "{name}: {severity:?}"
        );
        for text in ["summary", "description"] {
            assert!(
                rule.annotations
                    .get(text)
                    .is_some_and(|text| text.len() > 10),
                "{name} has no {text}"
            );
        }
        let link = format!("docs/ALERTS.md#{}", name.to_lowercase());
        assert_eq!(rule.annotations.get("runbook_url"), Some(&link), "{name}");
        assert!(sections.contains(name.as_str()), "{name} has no runbook");
        known.insert(name);
    }
    for section in sections {
        assert!(
            known.contains(section),
            "the runbook of {section} is of no alert"
        );
    }
}

/// Why an alert wakes somebody, or what happens if it waits, and what to do.
#[test]
fn every_runbook_says_what_being_woken_is_worth() {
    let guide = fs::read_to_string(tools::workspace().join("docs/ALERTS.md")).unwrap();
    let sections: BTreeMap<&str, &str> = guide
        .split("\n### ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .collect();
    for (name, rule) in alerts() {
        let is_page = rule.labels["severity"] == "critical";
        let text = sections[name.as_str()];
        let (said, worth) = if is_page {
            ("*Critical.* ", "**Worth waking for:** ")
        } else {
            ("*Warning.* ", "**If it waits:** ")
        };
        assert!(
            text.contains(said) || name == "Watchdog",
            "{name} has no {said}"
        );
        let (_, worth) = text
            .split_once(worth)
            .unwrap_or_else(|| panic!("{name} has no {worth}"));
        let (worth, what_to_do) = worth.split_once("\n\n").unwrap();
        assert!(worth.split(' ').count() > 4, "{name}: {worth}");
        assert!(what_to_do.starts_with("1. "), "{name}: {what_to_do}");
    }
}

/// Fields that the schema of 11 leaves to the data source or writes itself, and that Grafana reads.
const OUTSIDE_THE_SCHEMA: [&str; 7] = [
    ".templating.list[].definition",
    ".annotations.list[].target.expr",
    ".annotations.list[].target.interval",
    ".annotations.list[].target.refId",
    ".annotations.list[].textFormat",
    ".annotations.list[].titleFormat",
    ".annotations.list[].useValueForTime",
];

/// Every dashboard for Grafana, by name.
fn dashboards() -> Vec<(String, String)> {
    dashboards_in("grafana/dashboards")
}

fn dashboards_in(folder: &str) -> Vec<(String, String)> {
    let dashboards = files(folder);
    assert_eq!(dashboards.len(), 15);
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    dashboards.into_iter().map(read).collect()
}

#[test]
fn dashboards_are_what_the_schema_of_grafana_11_knows() {
    for (name, text) in dashboards() {
        let lost = python_says(include_str!("harness/dashboards.py"), &text).unwrap();
        let lost = lost.unwrap_or_else(|error| panic!("{name}: {error}"));
        let unknown: Vec<_> = lost
            .lines()
            .filter(|field| !OUTSIDE_THE_SCHEMA.contains(field))
            .collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

/// A field that no schema has is reported: the check can fail.
#[test]
fn a_field_that_grafana_11_does_not_know_is_found() {
    let dashboard = r#"{"title": "a", "panels": [{"type": "stat", "title": "b", "titel": "c"}]}"#;
    let lost = python_says(include_str!("harness/dashboards.py"), dashboard).unwrap();
    assert_eq!(lost.unwrap(), ".panels[].titel");
}

/// What each of the newer versions has to complain of in our dashboards and in the broken ones. It is asked once for all tests:
/// the compiler takes seconds to read the types.
static COMPLAINTS: LazyLock<Vec<(&str, Vec<String>)>> = LazyLock::new(|| {
    let asked = &[dashboards(), broken()].concat();
    std::thread::scope(|scope| {
        let ask = |version| scope.spawn(move || (version, grafana_says(version, asked).unwrap()));
        let answers = tools::GRAFANA_VERSIONS.map(ask);
        answers.map(|answer| answer.join().unwrap()).into()
    })
});

#[test]
fn dashboards_are_what_the_types_of_newer_grafanas_know() {
    for (version, complaints) in COMPLAINTS.iter() {
        let mut ours = complaints.iter().filter(|line| !line.starts_with(BROKEN));
        assert_eq!(ours.next(), None, "Grafana {version}");
    }
}

/// What the broken dashboards are called, before a number.
const BROKEN: &str = "broken-";

/// What breaks a dashboard in one place: what is there, what is put there, and what the line has that is complained of.
const BREAKAGES: [(&str, &str, &str); 16] = [
    // A type: of the dashboard, of a panel, of a variable, of a plugin's options.
    (r#""editable": true"#, r#""editable": "yes""#, "editable"),
    (r#""h": 4"#, r#""h": "four""#, "four"),
    (r#""refresh": 2"#, r#""refresh": 5"#, "5"),
    (r#""cellGap": 1"#, r#""cellGap": "wide""#, "wide"),
    // A word that is not among those there are: of options, of `custom`, of colours, of plugins.
    (r#": "background""#, r#": "backdrop""#, "backdrop"),
    (r#": "never""#, r#": "seldom""#, "seldom"),
    (r#": "palette-classic""#, r#": "rainbow""#, "rainbow"),
    (r#""type": "bargauge""#, r#""type": "bargage""#, "bargage"),
    // A property that nobody has, in the same places, and one that only another plugin has.
    ("graphTooltip", "graphTooltips", "graphTooltips"),
    ("legendFormat", "legendFromat", "legendFromat"),
    ("noValue", "noValeu", "noValeu"),
    ("wideLayout", "wideLayuot", "wideLayuot"),
    ("lineWidth", "lineWitdh", "lineWitdh"),
    ("showUnfilled", "showHeader", "showHeader"),
    ("titleFormat", "titelFormat", "titelFormat"),
    // What a plugin has to be told.
    (r#""showPercentChange": false,"#, "", "options"),
];

/// A dashboard that is as small as it can be with a panel of each plugin.
fn one_panel_of_each_kind() -> String {
    let mut kinds = BTreeSet::new();
    let mut panels = Vec::new();
    let mut dashboard = serde_json::Value::Null;
    for (_, text) in dashboards() {
        dashboard = serde_json::from_str(&text).unwrap();
        let mut of_this = dashboard["panels"].as_array().unwrap().clone();
        // A row that is folded holds panels, which are a line of their own here.
        let folded = of_this.iter().filter_map(|row| row["panels"].as_array());
        let folded: Vec<_> = folded.flatten().cloned().collect();
        of_this.extend(folded);
        of_this.retain(|panel| kinds.insert(panel["type"].as_str().unwrap().to_owned()));
        panels.append(&mut of_this);
    }
    dashboard["panels"] = panels.into();
    format!("{dashboard:#}")
}

/// A dashboard for each breakage.
fn broken() -> Vec<(String, String)> {
    broken_by(&BREAKAGES, &one_panel_of_each_kind())
}

fn broken_by(breakages: &[(&str, &str, &str)], whole: &str) -> Vec<(String, String)> {
    let break_it = |(i, (right, wrong, _)): (usize, &(&str, &str, &str))| {
        assert!(whole.contains(right), "{right} is not in the dashboard");
        (format!("{BROKEN}{i}"), whole.replacen(right, wrong, 1))
    };
    breakages.iter().enumerate().map(break_it).collect()
}

/// Of breakages, those of which nobody complains in their place.
fn unnoticed<'a>(
    breakages: &'a [(&str, &str, &str)],
    broken: &[(String, String)],
    complaints: &[String],
) -> Vec<&'a str> {
    let is_noticed = |(name, text): &(String, String), told: &str| {
        let of_this = format!("{name}.ts(");
        let mut lines = complaints
            .iter()
            .filter_map(|complaint| complaint.strip_prefix(&of_this)?.split(',').next())
            .map(|line| {
                text.lines()
                    .nth(line.parse::<usize>().unwrap() - 1)
                    .unwrap()
            });
        lines.any(|line| line.contains(told))
    };
    let each = broken.iter().zip(breakages);
    let unnoticed = each.filter(|(file, (_, _, told))| !is_noticed(file, told));
    unnoticed.map(|(_, (_, wrong, _))| *wrong).collect()
}

#[test]
fn what_newer_grafanas_do_not_know_is_found() {
    let broken = broken();
    for (version, complaints) in COMPLAINTS.iter() {
        let unnoticed = unnoticed(&BREAKAGES, &broken, complaints);
        assert_eq!(unnoticed, [""; 0], "Grafana {version}");
    }
}

/// What breaks a dashboard of Perses, as above. What the types of its plugins take from packages that only draw is not known here.
const BREAKAGES_OF_PERSES: [(&str, &str, &str); 15] = [
    // A property that nobody has: of the whole, a layout, a variable, a query, and of the options of each plugin.
    ("refreshInterval", "refreshIntervall", "refreshIntervall"),
    (r#""collapse""#, r#""collapsed""#, "collapsed"),
    ("customAllValue", "costumAllValue", "costumAllValue"),
    ("seriesNameFormat", "seriesNamesFormat", "seriesNamesFormat"),
    ("showVisualMap", "showVisualMaps", "showVisualMaps"),
    ("connectNulls", "connectNull", "connectNull"),
    ("columnSettings", "columnsSettings", "columnsSettings"),
    ("cellSettings", "cellsSettings", "cellsSettings"),
    // A word that is not among those there are: of kinds, colours, units, calculations, durations.
    (
        r#""kind": "BarChart""#,
        r#""kind": "BarsChart""#,
        "BarsChart",
    ),
    (r#""kind": "Grid""#, r#""kind": "Grill""#, "Grill"),
    ("percent-decimal", "percent-decimals", "percent-decimals"),
    ("last-number", "newest", "newest"),
    (
        r#""duration": "1h""#,
        r#""duration": "an hour""#,
        "duration",
    ),
    // A type, and a reference that is none.
    (r#""lineWidth": 1"#, r#""lineWidth": "thin""#, "lineWidth"),
    ("#/spec/panels/", "#/spec/panel/", "$ref"),
];

/// The types of Perses and of its plugins know every field of every dashboard, and complain of each breakage.
#[test]
fn dashboards_for_perses_are_what_its_types_know() {
    let dashboards = dashboards_in("perses/dashboards");
    let mut whole: serde_json::Value = serde_json::from_str(&dashboards[0].1).unwrap();
    let mut panels = serde_json::Map::new();
    for (_, text) in &dashboards {
        let dashboard: serde_json::Value = serde_json::from_str(text).unwrap();
        let of_this = dashboard["spec"]["panels"].as_object().unwrap();
        for panel in of_this.values() {
            let kind = panel["spec"]["plugin"]["kind"].as_str().unwrap();
            panels.entry(kind).or_insert_with(|| panel.clone());
        }
    }
    assert_eq!(panels.len(), 6, "{:?}", panels.keys());
    whole["spec"]["panels"] = panels.into();
    let broken = broken_by(&BREAKAGES_OF_PERSES, &format!("{whole:#}"));
    let complaints = perses_says(&[&dashboards[..], &broken].concat()).unwrap();
    let mut ours = complaints.iter().filter(|line| !line.starts_with(BROKEN));
    assert_eq!(ours.next(), None);
    let unnoticed = unnoticed(&BREAKAGES_OF_PERSES, &broken, &complaints);
    assert_eq!(unnoticed, [""; 0]);
}

/// What Grafana asks for while it imports a dashboard, or cannot resolve once it is imported: inputs, a number of another
/// Grafana's, a data source by an uid of its own, a variable that the dashboard does not have.
fn asked_at_import(dashboard: &serde_json::Value) -> Vec<String> {
    let mut asked: Vec<String> = ["__inputs", "__requires", "__elements", "id"]
        .into_iter()
        .filter(|key| !dashboard[key].is_null())
        .map(str::to_owned)
        .collect();
    let variables: Vec<_> = dashboard["templating"]["list"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    walk(dashboard, &mut |key, value| {
        let source = &value["uid"];
        if key == "datasource" && source != "${datasource}" {
            asked.push(format!("data source {source}"));
        }
        for reference in references(value.as_str().unwrap_or_default()) {
            if !reference.starts_with("__") && !variables.contains(&reference) {
                asked.push(format!("variable {reference}"));
            }
        }
    });
    asked
}

/// Every value in a document, with its key; what is in a list has none.
fn walk(value: &serde_json::Value, visit: &mut impl FnMut(&str, &serde_json::Value)) {
    use serde_json::Value::{Array, Object};
    match value {
        Object(entries) => {
            for (key, value) in entries {
                visit(key, value);
                walk(value, visit);
            }
        }
        Array(values) => {
            for value in values {
                visit("", value);
                walk(value, visit);
            }
        }
        _ => {}
    }
}

/// The names of variables in a text: of `$name` and of `${name}`, with or without a format behind a colon.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        (!name.is_empty()).then_some(name)
    })
}

#[test]
fn what_would_be_asked_at_import_is_found() {
    let dashboard = serde_json::json!({
        "id": 7,
        "__inputs": [{ "name": "DS_PROMETHEUS" }],
        "templating": { "list": [{ "name": "datasource" }, { "name": "service" }] },
        "panels": [
            { "datasource": { "uid": "${DS_PROMETHEUS}" }, "targets": [{ "expr": "up{service=~\"$service\"}[$__range]" }] },
            { "datasource": { "uid": "PBFA97CFB590B2093" }, "targets": [{ "expr": "up{service=\"${sercive:raw}\"}" }] },
        ],
    });
    let asked = asked_at_import(&dashboard);
    assert_eq!(
        asked,
        [
            "__inputs",
            "id",
            "data source \"${DS_PROMETHEUS}\"",
            "variable DS_PROMETHEUS",
            "data source \"PBFA97CFB590B2093\"",
            "variable sercive",
        ]
    );
}

#[test]
fn dashboards_are_imported_and_provisioned_without_a_question() {
    let mut uids = BTreeSet::new();
    for (name, text) in dashboards() {
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(asked_at_import(&dashboard), Vec::<String>::new(), "{name}");
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()));
    }
}

#[test]
fn the_compose_file_is_what_its_specification_knows() {
    let script = include_str!("harness/compose.py");
    let text = fs::read_to_string(deploy("docker-compose.yml")).unwrap();
    python_says(script, &text)
        .unwrap()
        .unwrap_or_else(|error| panic!("{error}"));
    let wrong = text.replace("healthcheck:", "healthchek:");
    assert!(python_says(script, &wrong).unwrap().is_err());
}

#[test]
fn containers_are_pinned_confined_and_on_loopback_only() {
    let compose: serde_json::Value = read(&deploy("docker-compose.yml"));
    let template = fs::read_to_string(deploy("env.template")).unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        if let Some(image) = service["image"].as_str() {
            let version = image.rsplit_once(':').map(|(_, version)| version);
            assert!(
                version.is_some_and(
                    |version| version.starts_with(|c: char| c.is_ascii_digit() || c == 'v')
                ),
                "{name}: {image}"
            );
        }
        assert!(
            service["healthcheck"]["test"].is_array(),
            "{name} has no health check"
        );
        assert_ne!(
            service["user"].as_str().unwrap_or_default(),
            "",
            "{name} may run as root"
        );
        assert_eq!(service["read_only"], true, "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(
                port.as_str().unwrap().starts_with("127.0.0.1:"),
                "{name}: {port}"
            );
        }
    }
    // What is secret is a file that nobody has before somebody writes one; nothing can be read off the environment.
    for (name, service) in compose["services"].as_object().unwrap() {
        let environment = service["environment"].as_object();
        for variable in environment.into_iter().flatten().map(|(name, _)| name) {
            assert!(
                !variable.contains("PASSWORD") || variable.ends_with("_FILE"),
                "{name}: {variable}"
            );
        }
    }
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        let file = secret["file"].as_str().unwrap();
        assert_eq!(file, format!("./secrets/{name}"));
        assert!(!deploy(file).exists(), "{file} is in the repository");
    }
    assert!(!template.contains("PASSWORD="));
}

/// One container that runs away takes nothing from the others, and none starts before what it needs is healthy.
#[test]
fn containers_are_bounded_and_wait_for_what_they_need() {
    let compose: serde_json::Value = read(&deploy("docker-compose.yml"));
    for (name, service) in compose["services"].as_object().unwrap() {
        assert!(service["mem_limit"].is_string(), "{name}");
        assert!(service["cpus"].is_number(), "{name}");
        assert!(service["pids_limit"].is_number(), "{name}");
        let needed = service["depends_on"].as_object();
        for (other, how) in needed.into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name}: {other}");
        }
    }
}

/// The cache's settings are read from standard input, as the compose file writes them, and its password with them.
#[test]
fn the_cache_asks_for_the_password_of_its_file() {
    let compose: serde_json::Value = read(&deploy("docker-compose.yml"));
    let script = compose.pointer("/services/redis/command/2").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "a/b+c=\n").unwrap();
    let at = folder.path().display().to_string();
    // Compose takes two of them for one.
    let script = script.as_str().unwrap().replace("$$", "$");
    let script = script
        .replace("/run/secrets/redis_password", &format!("{at}/password"))
        .replace(
            "dir /data",
            &format!("dir {at}\nport 0\nunixsocket {at}/redis.sock"),
        );
    let mut server = Process::start(Command::new("sh").args(["-c", &script])).unwrap();
    let is_ready = |line: &str| line.contains("eady to accept connections").then_some(());
    server.wait_for("Redis", is_ready).unwrap();
    let asked = |password: &[u8]| {
        use std::io::{Read, Write};
        let mut socket =
            std::os::unix::net::UnixStream::connect(folder.path().join("redis.sock")).unwrap();
        socket
            .write_all(&[b"AUTH ", password, b"\r\nQUIT\r\n"].concat())
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(asked(b"a/b+c=").starts_with("+OK"));
    assert!(asked(b"nothing").starts_with("-WRONGPASS"));
}

/// Which receiver gets which alert, as Alertmanager itself reads its routes.
#[test]
fn a_page_is_of_a_desk_that_trades() {
    let receiver = |labels: &[&str]| {
        let file = deploy("alertmanager/alertmanager.yml");
        let mut amtool = Command::new(tools::amtool().unwrap());
        amtool
            .args(["config", "routes", "test"])
            .arg(format!("--config.file={}", file.display()))
            .args(labels);
        let said = amtool.output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().to_owned()
    };
    let critical = "severity=critical";
    assert_eq!(receiver(&[critical, "mode=live"]), "pager");
    // What does not say what it is may be what matters most.
    assert_eq!(receiver(&[critical]), "pager");
    assert_eq!(receiver(&[critical, "mode=paper"]), "tickets");
    assert_eq!(receiver(&[critical, "mode=backtest"]), "chat");
    assert_eq!(receiver(&["severity=warning", "mode=live"]), "tickets");
    assert_eq!(receiver(&["severity=warning", "mode=backtest"]), "chat");
    let watchdog = ["severity=none", "alertname=Watchdog"];
    assert_eq!(receiver(&watchdog), "watchdog");
}

/// What the compose file starts in place of a pager.
#[test]
fn the_receiver_says_that_nobody_is_told_and_prints_what_comes() {
    let mut python = Command::new("python3");
    python
        .arg(deploy("alertmanager/receiver.py"))
        .envs([("RECEIVER_HOST", "127.0.0.1"), ("RECEIVER_PORT", "0")]);
    let mut receiver = Process::start(&mut python).unwrap();
    let port = receiver.wait_for("that alerts reach nobody", |line| {
        let (_, rest) = line.split_once("to nobody else (port ")?;
        Some(rest.split_once(')')?.0.to_owned())
    });
    let url = format!("http://127.0.0.1:{}/pager", port.unwrap());
    let send = |body: &serde_json::Value| {
        let mut curl = Command::new("curl");
        succeeds(curl.args(["--silent", "--fail", "--data", &body.to_string(), &url]));
    };
    send(&serde_json::json!("nonsense"));
    send(&serde_json::json!({ "alerts": [{
        "status": "firing",
        "labels": { "alertname": "DeskDown", "environment": "production", "mode": "live", "instance": "desk-1:9464" },
        "annotations": { "summary": "desk is down" },
    }] }));
    let expected = "pager: firing DeskDown production live desk-1:9464: desk is down";
    let printed = |line: &str| (line == expected).then_some(());
    receiver.wait_for(expected, printed).unwrap();
}

/// Three desks of one service, each in an environment of its own.
const DESKS: [(&str, &str); 3] = [
    ("production", "live"),
    ("staging", "paper"),
    ("research", "backtest"),
];

#[test]
fn each_desk_that_is_killed_is_told_to_those_it_concerns() {
    let mut desks: Vec<_> = DESKS
        .iter()
        .map(|(environment, mode)| Desk::replayed_as(environment, mode).unwrap())
        .collect();
    let targets: Vec<_> = desks
        .iter()
        .zip(DESKS)
        .map(|(desk, (environment, mode))| Target {
            address: desk.address(),
            environment,
            mode,
        })
        .collect();
    let stack = Stack::start_for(&targets, Manner::Hurried).unwrap();
    stack
        .wait_for(SCRAPED, r#"count(up{job="trading-desk"} == 1) == 3"#)
        .unwrap();

    let mut all = Vec::new();
    let mut told = |receiver: &str, alert: &str, environment: &str| {
        let is_it = |message: &Notification| {
            message.path == receiver
                && message.fires(alert)
                && message.label("environment") == environment
        };
        let came = stack.receiver().until(ALERTED, is_it);
        let mut came = came.unwrap_or_else(|| panic!("{receiver} hears nothing of {environment}"));
        let it = came.last().cloned();
        all.append(&mut came);
        it.unwrap()
    };
    // The backtest first: that it wakes nobody is seen in all that comes after it.
    told("/watchdog", "Watchdog", "");
    desks.pop().unwrap().kill();
    told("/chat", "TargetDown", "research");
    desks.pop().unwrap().kill();
    told("/tickets", "DeskDown", "staging");
    // The one in staging is down, and hides nothing of production.
    let address = desks[0].address().to_owned();
    desks.pop().unwrap().kill();
    let page = told("/pager", "DeskDown", "production");

    assert_eq!(page.label("mode"), "live");
    assert_eq!(page.label("instance"), address);
    let annotations = &page.body["commonAnnotations"];
    assert_eq!(
        annotations["summary"],
        format!("trading-desk at {address} is down (production, live)")
    );
    assert_eq!(annotations["runbook_url"], "docs/ALERTS.md#deskdown");
    for message in &all {
        // A message is of one environment, and the pager hears of production alone.
        assert!(
            !message.label("environment").is_empty() || message.path == "/watchdog",
            "{message:?}"
        );
        let receiver = match message.label("environment") {
            "research" => "/chat",
            "production" if message.label("severity") == "critical" => "/pager",
            "staging" | "production" => "/tickets",
            _ => "/watchdog",
        };
        assert_eq!(message.path, receiver, "{message:?}");
    }
}

/// As deployed, without any hurry: what is promised to the person who carries the pager.
#[test]
fn a_live_desk_that_is_killed_is_paged_within_five_minutes() {
    let live = Desk::replayed_as("production", "live").unwrap();
    let others = [("staging", "paper"), ("research", "backtest")].map(|(environment, mode)| {
        (
            Desk::replayed_as(environment, mode).unwrap(),
            environment,
            mode,
        )
    });
    let mut targets = vec![Target {
        address: live.address(),
        environment: "production",
        mode: "live",
    }];
    for (desk, environment, mode) in &others {
        targets.push(Target {
            address: desk.address(),
            environment,
            mode,
        });
    }
    let stack = Stack::start_for(&targets, Manner::OnFreePorts).unwrap();
    stack
        .wait_for(SCRAPED, r#"count(up{job="trading-desk"} == 1) == 3"#)
        .unwrap();
    live.kill();
    let page = |message: &Notification| message.path == "/pager" && message.fires("DeskDown");
    let came = stack.receiver().until(PAGED, page);
    let came = came.expect("nobody was woken");
    assert_eq!(came.last().unwrap().label("environment"), "production");
}
