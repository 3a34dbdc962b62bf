//! The rules that follow from objectives, in Prometheus' own `promtool`.

use std::fs;
use std::process::Command;
use std::thread;

use obs_core::{By, Catalogue, Counter, Each, Gauge, Histogram, Outcome, Unit, objective};
use obs_tests::tools;
use obs_verify::alerts::Settings;
use obs_verify::objectives::{self, Stated, Style};
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
        /// Requests to the API.
        requests: Each<Endpoint, Each<Method, Each<Status, Counter>>> = "desk_http_requests_total",
        /// Whether the market is open.
        open: Gauge = "market_session_open" { unit: Unit::Switch },
    }
}
obs_core::label! {
    /// What was asked for.
    open Endpoint as "endpoint" up to 3
}
obs_core::label! {
    /// How it was asked.
    open Method as "method" up to 3
}
obs_core::label! {
    /// How it was answered.
    open Status as "status_code" up to 3
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

/// What an operator promises of families whose declarations promise nothing, or something else.
const STATED: &str = r#"
objectives:
  - name: api_errors
    family: desk_http_requests_total
    only: 'endpoint!="/healthz"'
    bad: 'status_code=~"[45]..|timeout", method!="HEAD"'
    percent: 99.9
    windows: { slow: { severity: warning }, steady: { long: 1d, short: 2h, for: 30m } }
  - name: orders
    family: desk_http_requests_total
    good: 'status_code=~"2..", endpoint="/orders"'
    percent: 99
    days: 7
  - { name: failures, family: desk_http_requests_total, bad: 'desk_calls_total{outcome="error"}', percent: 99.5 }
  - { name: quotes_at_x, family: desk_quote_seconds, only: 'venue="x"', under: 1, percent: 99, while: market_session_open, fewest_failed: 2 }
"#;

fn stated() -> Vec<Stated> {
    Settings::read("a test", STATED)
        .unwrap()
        .objectives
        .unwrap()
}

/// Each objective by itself, declared or stated: promtool evaluates all rules of a file in each of its tests.
fn one_by_one() -> Vec<(Catalog, Vec<Stated>)> {
    let all = catalog();
    let without = |name: &str| {
        let mut catalog = all.clone();
        for family in &mut catalog.families {
            if family.name != name {
                std::sync::Arc::make_mut(family).objective = None;
            }
        }
        catalog
    };
    let declared = all.families.iter().filter(|it| it.objective.is_some());
    let mut one_by_one: Vec<_> = declared.map(|it| (without(&it.name), Vec::new())).collect();
    one_by_one.extend(stated().into_iter().map(|it| (without(""), vec![it])));
    one_by_one
}

#[test]
fn alerts_fire_on_an_outage_and_are_silent_on_one_failure_an_hour() {
    let styles = [
        Style::default(),
        Style {
            matchers: "job=\"desk\"".to_owned(),
            by: ["site", "service", "mode"].map(str::to_owned).to_vec(),
            runbooks: "docs/ALERTS.md#".to_owned(),
            labels: "team: desk".to_owned(),
            ..Style::default()
        },
    ];
    thread::scope(|scope| {
        for (number, (catalog, stated)) in one_by_one().into_iter().enumerate() {
            let style = &styles[number % styles.len()];
            scope.spawn(move || passes_and_can_fail(&catalog, &stated, style));
        }
    });
}

fn passes_and_can_fail(catalog: &Catalog, stated: &[Stated], style: &Style) {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put(
        "rules.yml",
        &objectives::rules(catalog, stated, style, "a test").unwrap(),
    );
    let tests = objectives::tests(catalog, stated, style, "rules.yml", "a test").unwrap();
    put("tests.yml", &tests);
    assert_eq!(tests.matches("an outage is noticed").count(), 1, "{tests}");
    let (passed, said) = promtool(&["check", "rules", "rules.yml"], folder.path());
    assert!(passed, "{said}");
    let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
    assert!(passed, "{said}\n{tests}");
    // They can fail: an outage that is not there is not noticed.
    let outage = tests
        .split("  - name: ")
        .take(2)
        .collect::<Vec<_>>()
        .join("  - name: ");
    put(
        "tests.yml",
        &outage
            .replace("'0+199x", "'0+0x")
            .replace("'0+1x", "'0+200x"),
    );
    let (passed, said) = promtool(&["test", "rules", "tests.yml"], folder.path());
    assert!(!passed, "{said}");
}

/// What the selectors of a stated objective find is what its rules count.
#[test]
fn a_stated_objective_counts_what_its_selectors_find() {
    let text = objectives::rules(&catalog(), &stated(), &Style::default(), "a test").unwrap();
    let by = "sum by (service, environment, mode)";
    for line in [
        // Those that failed are of all events that it is about.
        format!(
            "({by} (rate(desk_http_requests_total{{status_code=~\"[45]..|timeout\", method!=\"HEAD\", endpoint!=\"/healthz\"}}[1d])) or 0 * {by} (rate(desk_http_requests_total{{endpoint!=\"/healthz\"}}[1d])))"
        ),
        format!(
            "{by} (rate(desk_http_requests_total[5m])) - ({by} (rate(desk_http_requests_total{{status_code=~\"2..\", endpoint=\"/orders\"}}[5m])) or 0 * {by} (rate(desk_http_requests_total[5m])))"
        ),
        format!(
            "({by} (rate(desk_calls_total{{outcome=\"error\"}}[5m])) or 0 * {by} (rate(desk_http_requests_total[5m])))"
        ),
        // Prometheus 3 stores the bound 1 as 1.0.
        "(rate(desk_quote_seconds_bucket{venue=\"x\", le=~\"1([.]0)?\"}[5m]))".to_owned(),
        "objective:api_errors:failed_ratio1d{mode!=\"backtest\"} > 1 * 0.001".to_owned(),
        "labels: { severity: warning, objective: api_errors }".to_owned(),
        "objective:quotes_at_x:failed_rate1h * 3600 >= 2".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(
        !text.contains("objective:api_errors:failed_ratio3d"),
        "{text}"
    );
}

#[test]
fn an_objective_that_cannot_be_held_is_refused() {
    let refused = |text: &str| {
        let text = format!("objectives: [{{ name: a, percent: 99, {text} }}]");
        match Settings::read("a.yml", &text) {
            Err(error) => error.to_string(),
            Ok(settings) => {
                let stated = settings.objectives.unwrap();
                objectives::rules(&catalog(), &stated, &Style::default(), "a test")
                    .unwrap_err()
                    .to_string()
            }
        }
    };
    for (text, said) in [
        (
            "family: a_total",
            "the objective `a` needs one of `bad`, `good` and `under`",
        ),
        (
            "family: a_total, bad: 'x=1'",
            "the objective `a` has `x=1`: ",
        ),
        (
            "family: a_total, bad: 'x=\"1\"'",
            "is about `a_total`, which the catalogue does not have",
        ),
        (
            "family: desk_fill_seconds, bad: 'x=\"1\"'",
            "which is a histogram; it needs a counter",
        ),
        (
            "family: desk_fill_seconds, under: 0.3",
            "which is no bound of `desk_fill_seconds`; there are [0.1, 0.25, 1.0]",
        ),
        (
            "family: desk_fill_seconds, under: 1, windows: { fast: { long: 1x } }",
            "has the duration `1x`: ",
        ),
        (
            "family: desk_fill_seconds, under: 1, windows: { fast: { short: 2h } }",
            "has a short window of 2h beside a long one of 1h",
        ),
        (
            "family: desk_fill_seconds, under: 1, windows: { fast: { severity: page } }",
            "it is `critical` or `warning`",
        ),
        (
            "family: desk_fill_seconds, under: 1, days: 0",
            "holds over 0 days",
        ),
        (
            "family: desk_calls_total, bad: 'outcom=\"error\"'",
            "has no label `outcom`",
        ),
    ] {
        let answer = refused(text);
        assert!(answer.contains(said), "{text}: {answer}");
    }
    let twice = "objectives: [{ name: a, percent: 99, family: a, under: 1 }, { name: a, percent: 99, family: a, under: 1 }]";
    let said = Settings::read("a.yml", twice).unwrap_err().to_string();
    assert!(said.contains("the objective `a` is stated twice"), "{said}");
}

#[test]
fn nothing_is_spent_while_the_market_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    put(
        "rules.yml",
        objectives::rules(&catalog(), &[], &Style::default(), "a test").unwrap(),
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
    let text = objectives::rules(&catalog(), &stated(), &Style::default(), "a test").unwrap();
    let queries = queries::of_rules("rules.yml", &text).unwrap();
    let unsound = queried::check(&catalog(), &queries);
    assert!(unsound.is_empty(), "{unsound:#?}");
    let linted = lint::check(&catalog(), &queries, None);
    assert!(linted.is_empty(), "{linted:#?}");
}
