//! What `obs-verify` writes for an installation: rules, their tests and routing, in the hands of Prometheus and Alertmanager.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use jiff::civil::{DateTime, date};
use jiff::{Timestamp, ToSpan};
use obs_calendar::Calendar;
use obs_tests::tools;
use obs_verify::alerts::{self, Settings, routing};
use tempfile::TempDir;

/// Another house: its job, its runbooks, its desks and two sites.
const ELSEWHERE: &str = "
job: quants
runbooks: https://wiki.example.com/alerts/
external_labels: [site]
desks:
  - { service: book, environment: production, mode: live, instance: 'a:9464', calendar: nyse }
  - { service: book, environment: production, mode: live, instance: 'b:9464', calendar: cme_equity_index }
  - { service: book, environment: staging, mode: paper }
receivers:
  pager: { pagerduty_configs: [{ routing_key_file: /etc/alertmanager/pagerduty }] }
";

/// Rules in `rules`, and their tests in `tests`, for these settings.
fn written(settings: &Settings) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["rules", "tests"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (name, text) in alerts::rules(settings, None, "a test").unwrap() {
        fs::write(folder.path().join("rules").join(name), text).unwrap();
    }
    let templates = tools::workspace().join("crates/obs-verify/rules/tests");
    for entry in fs::read_dir(templates).unwrap() {
        let path = entry.unwrap().path();
        let text = settings.fill(&fs::read_to_string(&path).unwrap());
        let name = path.file_name().unwrap();
        fs::write(folder.path().join("tests").join(name), text).unwrap();
    }
    folder
}

/// Runs `promtool test rules`.
fn passes(file: &Path) {
    let output = Command::new(tools::promtool().unwrap())
        .args(["test", "rules"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
}

#[test]
fn templates_have_no_parameter_that_is_not_filled_in() {
    for (name, text) in alerts::rules(&Settings::default(), None, "a test").unwrap() {
        assert!(!text.contains("${"), "{name}: {text}");
    }
    let folder = written(&Settings::default());
    for entry in fs::read_dir(folder.path().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("${"), "{}: {text}", path.display());
    }
}

/// Another job, other runbooks, other desks and a label of a fleet: every test of the rules still passes. Those that go through days
/// are left out: they take minutes, and have no other rules.
#[test]
fn another_installation_changes_no_result() {
    let settings = Settings::read("elsewhere.yml", ELSEWHERE).unwrap();
    let folder = written(&settings);
    let rules = fs::read_to_string(folder.path().join("rules/health.yml")).unwrap();
    assert!(rules.contains("runbook_url: https://wiki.example.com/alerts/deskdown\n"));
    assert!(!rules.contains("trading-desk") && !rules.contains("docs/ALERTS.md#"));
    thread::scope(|scope| {
        for name in [
            "api",
            "databases",
            "errors",
            "feeds",
            "health",
            "risk",
            "storage",
        ] {
            let file = folder.path().join("tests").join(format!("{name}.yml"));
            scope.spawn(move || passes(&file));
        }
    });
}

#[test]
fn alertmanager_takes_what_is_written_for_another_installation() {
    let settings = Settings::read("elsewhere.yml", ELSEWHERE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for scale in [1, 60] {
        let file = folder.path().join("alertmanager.yml");
        let text = routing::configuration(&settings, scale, "a test");
        assert!(text.contains("[alertname, site, service, environment, mode, instance]"));
        assert!(text.contains("equal: [site, service, environment, mode, instance]"));
        fs::write(&file, text).unwrap();
        let output = Command::new(tools::amtool().unwrap())
            .arg("check-config")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn settings_that_name_nothing_are_refused_with_what_there_is() {
    let refused = |text: &str| Settings::read("a.yml", text).unwrap_err().to_string();
    let said = refused("thresholds: { cpu: 0.9 }");
    assert!(
        said.contains("no threshold is called `cpu`; there are api_in_flight, "),
        "{said}"
    );
    let desk = "desks: [{ service: a, environment: b, mode: live, calendar: lse }]";
    let said = refused(desk);
    assert!(
        said.contains("no calendar is called `lse`; there are nyse, "),
        "{said}"
    );
    assert!(refused("jobs: a").contains("jobs"));
}

#[test]
fn a_threshold_is_in_the_rule_and_in_its_text() {
    let settings = Settings::read("a.yml", "thresholds: { drawdown: 0.075 }").unwrap();
    let files = alerts::rules(&settings, None, "a test").unwrap();
    let (_, risk) = files.iter().find(|(name, _)| *name == "risk.yml").unwrap();
    assert!(
        risk.contains("(portfolio_drawdown_ratio{mode!=\"backtest\"}[15m]) < -0.075\n"),
        "{risk}"
    );
    assert!(risk.contains("lost more than 7.5 % since"), "{risk}");
}

/// Desks are stopped on a Friday at 20:00 in New York and not started again. They are missed at five minutes to the next open,
/// whether clocks change on Sunday or the Monday is a holiday. One that was listed by its instance is missed although its twin is back.
#[test]
fn a_desk_is_missed_at_the_open_after_a_change_of_clocks_and_after_a_holiday() {
    let listed = "
desks:
  - { service: desk, environment: production, mode: live, instance: 'a:9464' }
  - { service: desk, environment: production, mode: live, instance: 'b:9464' }
";
    let settings = Settings::read("a.yml", listed).unwrap();
    let folder = written(&settings);
    let evenings = [
        ("clocks go forward", date(2026, 3, 6).at(20, 0, 0, 0)),
        ("clocks go back", date(2026, 10, 30).at(20, 0, 0, 0)),
        ("Monday is a holiday", date(2026, 1, 16).at(20, 0, 0, 0)),
    ];
    let tests: String = evenings
        .iter()
        .map(|(name, evening)| weekend(name, *evening))
        .collect();
    let file = folder.path().join("tests/weekends.yml");
    let head = "rule_files: [../rules/health.yml]\nevaluation_interval: 1m\ntests:\n";
    fs::write(&file, format!("{head}{tests}")).unwrap();
    passes(&file);
}

/// A test of one weekend, in which time 0 is the evening.
fn weekend(name: &str, evening: DateTime) -> String {
    let calendar = Calendar::nyse();
    let evening = calendar.zone().to_timestamp(evening).unwrap();
    let open = calendar.next_open(evening).unwrap();
    // A fact of the calendar: nine thirty by the clock of that day.
    let local = calendar.zone().to_datetime(open);
    assert_eq!((local.hour(), local.minute()), (9, 30), "{name}");
    let minutes = |at: Timestamp| at.duration_since(evening).as_secs() / 60;
    let (open_at, deadline) = (
        open.duration_since(evening).as_secs(),
        minutes(open - 5.minutes()),
    );
    let series = |instance: &str, values: &str| {
        format!(
            "      - {{ series: 'market_next_open_timestamp_seconds{{job=\"trading-desk\", service=\"desk\", environment=\"production\", mode=\"live\", venue=\"NYSE\", instance=\"{instance}\"}}', values: '{values}' }}\n"
        )
    };
    let stopped = series("a:9464", &format!("{open_at}x10 stale"));
    let back = series("b:9464", &format!("{open_at}x{}", deadline + 30));
    let annotations = |runbook: &str| {
        format!(
            "{{ summary: 'desk in production is not there for the open of NYSE', description: 'NYSE opens in five minutes or has opened since, and desk in production (live) does not report.'{runbook} }}"
        )
    };
    let fires = format!(
        "[{{ exp_labels: {{ service: desk, environment: production, mode: live, instance: 'a:9464', venue: NYSE, severity: critical }}, exp_annotations: {} }}]",
        annotations("")
    );
    let at = |minutes: i64, alerts: &str| {
        format!(
            "      - {{ eval_time: {minutes}m, alertname: DeskMissingAtOpen, exp_alerts: {alerts} }}\n"
        )
    };
    format!(
        "  - name: '{name}'\n    interval: 1m\n    input_series:\n{stopped}{back}    alert_rule_test:\n{}{}{}",
        at(deadline - 1, "[]"),
        at(deadline, &fires),
        at(deadline + 25, &fires),
    )
}
