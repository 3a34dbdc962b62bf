//! The rules that follow from objectives, in Prometheus' own `promtool`.

use std::fs;
use std::process::Command;

use obs_core::{By, Catalogue, Counter, Each, Gauge, Histogram, Outcome, Unit, objective};
use obs_tests::tools;
use obs_verify::objectives::{self, Style};
use obs_verify::{Catalog, lint, queried, queries};

obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 3
}
obs_core::label! {
    /// How a quote request ended.
    enum Answer as "answer" { Quoted = "quoted" is good, Late = "late" is good, Failed = "failed" }
}
obs_core::families! {
    struct Desk(venue: Venue) {
        /// Calls, by how they ended.
        calls: By<Outcome, Counter> = "desk_calls_total" { objective: objective!(99.9 % good over 30 d) },
        /// Requests for quotes.
        quotes: Each<Venues, By<Answer, Counter>> = "desk_quotes_total" { objective: objective!(99.5 % good over 28 d) },
        /// Probes of a counterparty that seldom answers.
        probes: By<Outcome, Counter> = "desk_probes_total" { objective: objective!(60 % good over 7 d) },
        /// Time to a fill.
        fill: Histogram = "desk_fill_seconds" { buckets: &[0.1, 0.25, 1.0], objective: objective!(99.9 % under 0.25) },
        /// Time to a quote, which only markets that are open owe.
        quote: Histogram = "desk_quote_seconds" {
            buckets: &[0.1, 0.25, 1.0], objective: objective!(99 % under 0.1 over 7 d while market_session_open)
        },
        /// Whether the market is open.
        open: Gauge = "market_session_open" { unit: Unit::Switch },
    }
}
obs_core::label! {
    /// Who asks.
    open Venues as "client" up to 3
}

fn catalog() -> Catalog {
    Catalog::from(
        &Catalogue::join([Catalogue::of(&[Desk::FAMILIES]), obs_core::catalogue()]).unwrap(),
    )
}

fn promtool(arguments: &[&str], folder: &std::path::Path) -> (bool, String) {
    let mut promtool = Command::new(tools::promtool().unwrap());
    let output = promtool
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn alerts_fire_on_an_outage_and_are_silent_on_one_failure_an_hour() {
    for style in [
        Style::default(),
        Style {
            matchers: "job=\"desk\"".to_owned(),
            runbooks: "docs/ALERTS.md#".to_owned(),
            labels: "team: desk".to_owned(),
            ..Style::default()
        },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        put("rules.yml", objectives::rules(&catalog(), &style, "a test"));
        let tests = objectives::tests(&catalog(), &style, "rules.yml", "a test");
        put("tests.yml", tests.clone());
        let (passed, said) = promtool(&["check", "rules", "rules.yml"], folder.path());
        assert!(passed, "{said}");
        let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
        assert!(passed, "{said}");
        // They can fail: an outage that is not there is not noticed.
        put(
            "tests.yml",
            tests
                .replace("0+199x500", "0+0x500")
                .replace("0+1x500", "0+200x500"),
        );
        let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
        assert!(!passed, "{said}");
    }
}

#[test]
fn nothing_is_spent_while_the_market_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    put(
        "rules.yml",
        objectives::rules(&catalog(), &Style::default(), "a test"),
    );
    let labels = r#"service="a", environment="b", mode="live""#;
    let series = |name: &str, values: &str| {
        format!("      - series: '{name}'\n        values: '{values}'\n")
    };
    let test = [
        "rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n  - interval: 10s\n    input_series:\n".to_owned(),
        series(&format!("desk_quote_seconds_count{{{labels}, venue=\"x\"}}"), "0+10x2000"),
        series(&format!("desk_quote_seconds_bucket{{{labels}, venue=\"x\", le=\"0.1\"}}"), "0+5x2000"),
        series(&format!("market_session_open{{{labels}, venue=\"x\"}}"), "0x2000"),
        "    alert_rule_test:\n      - eval_time: 1h\n        alertname: DeskQuoteSecondsBurnFast\n        exp_alerts: []\n".to_owned(),
    ];
    put("tests.yml", test.concat());
    let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
    assert!(passed, "{said}");
    // While it is open, the same is an outage.
    put("tests.yml", test.concat().replace("'0x2000'", "'1x2000'"));
    let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
    assert!(!passed, "{said}");
}

#[test]
fn what_is_generated_is_sound_and_the_linter_finds_nothing_in_it() {
    let text = objectives::rules(&catalog(), &Style::default(), "a test");
    let queries = queries::of_rules("rules.yml", &text).unwrap();
    let unsound = queried::check(&catalog(), &queries);
    assert!(unsound.is_empty(), "{unsound:#?}");
    let linted = lint::check(&catalog(), &queries, None);
    assert!(linted.is_empty(), "{linted:#?}");
}
