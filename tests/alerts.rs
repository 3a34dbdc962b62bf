//! What `obs-verify` writes for an installation: rules, their tests and routing, in the hands of Prometheus and Alertmanager.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use jiff::civil::{DateTime, date};
use jiff::{Timestamp, ToSpan};
use obs_calendar::Calendar;
use obs_tests::{python_says, tools};
use obs_verify::alerts::{self, Settings, closed, routing};
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
            "processes",
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
        assert!(text.contains("[alertname, site, service, environment, mode, instance, process]"));
        assert!(text.contains("equal: [site, service, environment, mode]\n"));
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
        said.contains("no threshold is called `cpu`; there are aggregations_least, "),
        "{said}"
    );
    let said = refused("windows: { feed: 1m }");
    assert!(
        said.contains("no window is called `feed`; there are feed_resync_window, "),
        "{said}"
    );
    let said = refused("windows: { held: 1 minute }");
    assert!(
        said.contains("of the window `held` stands `1 minute`: ") && said.contains("write `90s`"),
        "{said}"
    );
    let said = refused("for: { ApiErrorBudgetBurnFast: 1m }");
    assert!(
        said.contains("no alert is called `ApiErrorBudgetBurnFast`; there are ")
            && said.contains(", DeskDown, "),
        "{said}"
    );
    let said = refused("for: { DeskDown: soon }");
    assert!(
        said.contains("of the alert `DeskDown` stands `soon`: "),
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

#[test]
fn a_window_is_in_the_rule_and_in_its_text() {
    let text = "windows: { feed_stall_window: 20m, held: 1h }\nthresholds: { feed_stalls: 7, divergences: 0.25 }";
    let settings = Settings::read("a.yml", text).unwrap();
    let files = alerts::rules(&settings, None, "a test").unwrap();
    let file = |name: &str| &files.iter().find(|(it, _)| *it == name).unwrap().1;
    for (name, line) in [
        (
            "feeds.yml",
            "(increase(feed_stalls_total{mode!=\"backtest\"}[20m])) > 7\n",
        ),
        ("feeds.yml", "times within 20m.\""),
        (
            "risk.yml",
            "min_over_time(portfolio_drawdown_ratio{mode!=\"backtest\"}[1h])",
        ),
        (
            "sentiment.yml",
            "service:sentiment_divergences:ratio_rate30m > 0.25\n",
        ),
    ] {
        assert!(file(name).contains(line), "{line}\n{}", file(name));
    }
}

/// An alert that fires at once gets a `for`, one that waits another; its text and that of its tests say how long it was.
#[test]
fn how_long_an_alert_waits_is_in_the_rule_and_in_its_text() {
    let text =
        "for: { FeedDown: 90s, ApiRequestsPilingUp: 5m, DatabasePoolExhausted: 1m, DeskDown: 0s }";
    let settings = Settings::read("a.yml", text).unwrap();
    let folder = written(&settings);
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let rules: BTreeMap<String, serde_json::Value> = ["feeds", "api", "storage", "health"]
        .iter()
        .flat_map(|name| {
            let file: serde_json::Value =
                serde_saphyr::from_str(&read(&format!("rules/{name}.yml"))).unwrap();
            file["groups"].as_array().unwrap().clone()
        })
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule)))
        .collect();
    let held = |alert: &str| rules[alert]["for"].as_str();
    assert_eq!(held("FeedDown"), Some("90s"));
    assert_eq!(held("ApiRequestsPilingUp"), Some("5m"));
    assert_eq!(held("DatabasePoolExhausted"), Some("1m"));
    assert_eq!(held("DeskDown"), Some("0s"));
    assert_eq!(held("FeedSubscriptionMissing"), Some("2m"));
    let said = |alert: &str| rules[alert]["annotations"]["description"].as_str().unwrap();
    assert!(said("FeedDown").ends_with("has been mute or not connected for 90s."));
    assert!(said("ApiRequestsPilingUp").contains("have been under way for five minutes, "));
    assert!(said("FeedSubscriptionMissing").ends_with("confirmed for two minutes."));
    assert!(read("tests/api.yml").contains("have been under way for five minutes, 150 "));
    passes(&folder.path().join("tests/api.yml"));
}

/// Whatever an alert's text says of its own `for` follows the settings.
#[test]
fn no_text_spells_out_how_long_its_alert_waits() {
    let waits: Vec<String> = alerts::waits()
        .filter(|(_, held)| held.is_some())
        .map(|(alert, _)| format!("  {alert}: 17m"))
        .collect();
    let text = format!("for:\n{}", waits.join("\n"));
    let settings = Settings::read("a.yml", &text).unwrap();
    let changed = alerts::rules(&settings, None, "a test").unwrap();
    for ((file, usual), (_, changed)) in alerts::rules(&Settings::default(), None, "a test")
        .unwrap()
        .iter()
        .zip(&changed)
    {
        let mut held = "";
        for (usual, changed) in usual.lines().zip(changed.lines()) {
            if let Some(value) = usual.trim_start().strip_prefix("for: ") {
                held = value;
                assert_eq!(changed.trim_start(), "for: 17m", "{file}");
            } else if usual.trim_start().starts_with("- ") {
                held = "";
            }
            let words = match held {
                "1m" => "for a minute",
                "2m" => "for two minutes",
                "5m" => "for five minutes",
                "10m" => "for ten minutes",
                "15m" => "for a quarter of an hour",
                "30m" => "for half an hour",
                "1h" => "for an hour",
                _ => continue,
            };
            assert!(
                !changed.contains(words) || usual != changed,
                "{file}: {usual}"
            );
        }
    }
}

/// A number in a rule without a name that the settings know is not changed by anybody.
#[test]
fn every_parameter_is_asked_for_by_a_rule() {
    let templates = tools::workspace().join("crates/obs-verify/rules");
    let rules: String = fs::read_dir(templates)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let names = alerts::THRESHOLDS.map(|it| it.name);
    for name in names.iter().chain(&alerts::WINDOWS.map(|it| it.name)) {
        assert!(rules.contains(&format!("${{{name}}}")), "{name}");
    }
}

/// Pages of a stopped desk wait while its market is closed, and only then: at each open and close of two years and every half an hour
/// between them, by another calendar than ours. Half days, holidays on Mondays and both changes of the clocks are among them.
#[test]
fn mute_times_are_those_in_which_the_exchange_is_closed() {
    let interval = closed::interval("nyse_closed", &Calendar::nyse()).unwrap();
    let script = include_str!("harness/muted.py");
    let said = |intervals: &str| {
        let text = format!("time_intervals:\n{intervals}");
        python_says(script, &text).unwrap().unwrap()
    };
    let all = said(&interval);
    let asked: Vec<u32> = all
        .trim()
        .strip_prefix("asked,")
        .unwrap_or_else(|| panic!("{all}"))
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(asked[0] > 30_000 && asked[1] > 450, "{asked:?}");
    // It would notice: the half day after Thanksgiving is none, and Martin Luther King Day, a Monday, is a session.
    for (day, moment) in [
        (
            "months: ['11'], days_of_month: ['27']",
            "2026-11-27T18:00:00+00:00,not muted",
        ),
        (
            "months: ['1'], days_of_month: ['19']",
            "2026-01-19T17:00:00+00:00,not muted",
        ),
    ] {
        let without: String = interval
            .split_inclusive('\n')
            .filter(|line| !(line.contains("'2026'") && line.contains(day)))
            .collect();
        let said = said(&without);
        assert!(said.contains(moment), "{said}");
    }
}

/// The other ready calendars, which `calendars.rs` holds to libraries: each session, and every half an hour between them.
#[test]
fn mute_times_are_those_in_which_each_ready_market_is_closed() {
    let first = date(2025, 12, 29);
    for name in alerts::CALENDARS {
        let calendar = alerts::calendar(name).unwrap();
        let interval = closed::interval(&format!("{name}_closed"), &calendar).unwrap();
        let sessions: Vec<String> = first
            .series(1.day())
            .take_while(|day| *day < date(2027, 11, 3))
            .filter_map(|day| calendar.session(day))
            .map(|session| format!("- [{}, {}]", session.start, session.end))
            .collect();
        let sessions = sessions.join("\n");
        let asked = format!("time_intervals:\n{interval}sessions:\n{sessions}");
        let said = python_says(include_str!("harness/muted.py"), &asked)
            .unwrap()
            .unwrap();
        let differences: Vec<_> = said
            .lines()
            .filter(|line| !line.starts_with("asked,"))
            .collect();
        assert!(differences.is_empty(), "{name}: {differences:?}");
        assert!(said.starts_with("asked,3"), "{name}: {said}");
    }
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
