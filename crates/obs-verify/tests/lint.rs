//! The linter of alerts: each of its rules broken, and repaired as it says.

use obs_core::{By, Catalogue, Counter, Each, Gauge, Histogram, Outcome};
use obs_verify::exposition::Scraped;
use obs_verify::lint::{self, Lint};
use obs_verify::{Catalog, Fault, queried, queries};

obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 10
}
obs_core::families! {
    struct Desk {
        /// Orders, by how they ended.
        orders: By<Outcome, Counter> = "desk_orders_total",
        /// Rejections of a symbol.
        rejections: Each<Symbol, Counter> = "desk_rejections_total",
        /// Requests.
        requests: Counter = "desk_requests_total",
        /// Orders that are open.
        open: Gauge = "desk_orders_open",
        /// What is left of the limit.
        headroom: Gauge = "desk_headroom_ratio",
        /// How large orders are, by equity.
        size: Histogram = "desk_size_ratio" { buckets: &[0.1, 0.5] },
        /// Time since a quote; NaN before the first one.
        quote_age: Gauge = "desk_quote_age_seconds",
    }
}

obs_core::families! {
    struct Retries {
        /// Retries.
        retries: Counter = "desk_retries_total",
    }
}

fn catalog() -> Catalog {
    Catalog::from(&Catalogue::of(&[Desk::FAMILIES, Retries::FAMILIES]))
}

/// The rules that an alert breaks. Its query is sound: what cannot be answered is no matter of the linter.
fn broken(expr: &str, more: &str) -> Vec<Lint> {
    broken_of(&[expr], more, None)
}

fn broken_of(exprs: &[&str], more: &str, scraped: Option<&Scraped>) -> Vec<Lint> {
    let rule = |expr: &&str| format!("      - alert: A\n        expr: '{expr}'\n{more}");
    let rules: String = exprs.iter().map(rule).collect();
    let text = format!("groups:\n  - name: g\n    rules:\n{rules}");
    let queries = queries::of_rules("rules.yml", &text).unwrap();
    let unsound = queried::check(&catalog(), &queries);
    assert!(unsound.is_empty(), "{unsound:#?}");
    let linted = lint::check(&catalog(), &queries, scraped);
    for linted in &linted {
        assert_eq!(linted.finding.fault, Fault::Alert);
        assert!(linted.finding.line.is_some() && !linted.finding.repair.is_empty());
        assert!(linted.finding.problem.contains(linted.lint.word()));
    }
    linted.into_iter().map(|linted| linted.lint).collect()
}

const PAGE: &str = "        labels: { severity: critical }\n";
const PENDING: &str = "        for: 5m\n";

#[test]
fn each_rule_is_found_broken_and_its_repair_passes() {
    let cases = [
        (
            Lint::RatioAggregated,
            "avg by (mode) (desk_headroom_ratio) < 0.1",
            "min by (mode) (desk_headroom_ratio) < 0.1",
        ),
        (
            Lint::RatioAggregated,
            "sum(desk_headroom_ratio) < 0.1",
            "max(desk_headroom_ratio) < 0.1",
        ),
        (
            Lint::WindowNotFull,
            "avg_over_time(desk_orders_open[30m]) > 5",
            "avg_over_time(desk_orders_open[30m]) > 5 and count_over_time(desk_orders_open[30m]) > 50",
        ),
        (
            Lint::RatioWithoutFloor,
            r#"sum(rate(desk_orders_total{outcome="error"}[5m])) / sum(rate(desk_orders_total[5m])) > 0.1"#,
            r#"sum(rate(desk_orders_total{outcome="error"}[5m])) / sum(rate(desk_orders_total[5m])) > 0.1 and sum(increase(desk_orders_total[5m])) > 20"#,
        ),
        (Lint::UpWithoutJob, "up == 0", r#"up{job="desk"} == 0"#),
        (
            Lint::Undefined,
            "desk_headroom_ratio < 0.1",
            "desk_headroom_ratio < 0.1 or desk_headroom_ratio != desk_headroom_ratio",
        ),
        (
            Lint::Undefined,
            "desk_quote_age_seconds > 60",
            "desk_quote_age_seconds > 60 or desk_quote_age_seconds != desk_quote_age_seconds",
        ),
        (
            Lint::BornAboveZero,
            "increase(desk_rejections_total[5m]) > 0",
            "increase(desk_rejections_total[5m]) > 0 or (rate(desk_rejections_total[1h]) unless rate(desk_rejections_total[1h] offset 5m)) > 0",
        ),
        (
            Lint::SumOfAbsent,
            "sum(rate(desk_requests_total[5m])) + sum(rate(desk_retries_total[5m])) > 5",
            "(sum(rate(desk_requests_total[5m])) or vector(0)) + (sum(rate(desk_retries_total[5m])) or vector(0)) > 5",
        ),
    ];
    for (lint, wrong, right) in cases {
        assert_eq!(broken(wrong, ""), [lint], "{wrong}");
        assert_eq!(broken(right, ""), [], "{right}");
    }
}

#[test]
fn what_is_built_together_is_not_absent_alone() {
    let sum = "sum(rate(desk_requests_total[5m])) + sum(rate(desk_orders_total[5m])) > 5";
    assert_eq!(broken(sum, ""), [], "one struct has both");
    let open = sum.replace("desk_orders_total", "desk_rejections_total");
    assert_eq!(
        broken(&open, ""),
        [Lint::SumOfAbsent],
        "a symbol comes with its first rejection"
    );
}

#[test]
fn a_window_is_full_once_the_alert_was_pending() {
    let expr = "avg_over_time(desk_orders_open[30m]) > 5";
    assert_eq!(broken(expr, PENDING), []);
    assert_eq!(broken(expr, "        for: 0s\n"), [Lint::WindowNotFull]);
}

#[test]
fn a_page_says_where_and_leaves_backtests_out() {
    let lost = r#"sum by (service) (rate(desk_requests_total{mode!="backtest"}[5m])) > 5"#;
    assert_eq!(broken(lost, PAGE), [Lint::ScopeLost]);
    assert_eq!(broken(lost, ""), [], "nobody is woken by it");
    let kept = lost.replace("(service)", "(service, environment, mode)");
    assert_eq!(broken(&kept, PAGE), []);
    let picked = r#"max by (service, environment, mode) (desk_orders_open{mode="live"}) > 5"#;
    assert_eq!(broken(picked, PAGE), [Lint::ScopeLost], "which instance?");

    assert_eq!(
        broken("desk_orders_open > 5", PAGE),
        [Lint::PagesForBacktest]
    );
    for live in [
        r#"mode!="backtest""#,
        r#"mode=~"live|paper""#,
        r#"mode="live""#,
    ] {
        assert_eq!(
            broken(&format!("desk_orders_open{{{live}}} > 5"), PAGE),
            [],
            "{live}"
        );
    }
    // Targets have no mode.
    assert_eq!(broken(r#"up{job="desk"} == 0"#, PAGE), []);
}

#[test]
fn what_a_service_does_not_have_is_not_asked_for() {
    let scraped = Scraped::read("# TYPE desk_orders_open gauge\ndesk_orders_open 1\n");
    let expr = ["sum by (service) (rate(desk_requests_total[5m])) > 5"];
    assert_eq!(broken_of(&expr, PAGE, Some(&scraped)), []);
    let scraped = Scraped::read(
        "# TYPE desk_orders_open gauge\ndesk_orders_open{mode=\"live\",environment=\"test\"} NaN\n",
    );
    assert_eq!(
        broken_of(&expr, PAGE, Some(&scraped)),
        [Lint::ScopeLost, Lint::PagesForBacktest]
    );
    // What is undefined now may be so again.
    assert_eq!(
        broken_of(&["desk_orders_open > 5"], "", Some(&scraped)),
        [Lint::Undefined]
    );
}

#[test]
fn rules_are_followed_into_what_is_recorded() {
    let text = r#"
groups:
  - name: g
    rules:
      - record: desk:orders:failed_ratio
        expr: sum(rate(desk_orders_total{outcome="error", mode!="backtest"}[5m])) / sum(rate(desk_orders_total[5m]))
      - record: desk:orders:increase5m
        expr: sum(increase(desk_orders_total[5m]))
      - record: desk:rates:both
        expr: sum(rate(desk_requests_total[5m])) + sum(rate(desk_retries_total[5m]))
      - alert: Bare
        expr: desk:orders:failed_ratio > 0.1
      - alert: Floored
        expr: desk:orders:failed_ratio > 0.1 and desk:orders:increase5m > 20
"#;
    let queries = queries::of_rules("rules.yml", text).unwrap();
    let linted = lint::check(&catalog(), &queries, None);
    let found: Vec<_> = linted.iter().map(|l| (l.name.as_str(), l.lint)).collect();
    let expected = [
        ("desk:rates:both", Lint::SumOfAbsent),
        ("Bare", Lint::RatioWithoutFloor),
    ];
    assert_eq!(found, expected);
}

#[test]
fn routing_that_mixes_environments_is_found() {
    let text = "
route:
  receiver: tickets
  group_by: [alertname, service]
  routes:
    - receiver: pager
      group_by: [alertname, environment]
inhibit_rules:
  - source_matchers: [alertname=\"Down\"]
    target_matchers: [alertname!=\"Down\"]
    equal: [service]
  - source_matchers: [alertname=\"Disk\"]
    equal: [instance, mountpoint]
";
    assert!(lint::is_configuration(text));
    let linted = lint::of_alertmanager("alertmanager.yml", text).unwrap();
    let found: Vec<_> = linted
        .iter()
        .map(|l| (l.name.as_str(), l.finding.line))
        .collect();
    assert_eq!(
        found,
        [("tickets", Some(4)), ("alertname=\"Down\"", Some(11))]
    );
    assert!(
        linted
            .iter()
            .all(|linted| linted.lint == Lint::EnvironmentsMixed)
    );
}

#[test]
fn a_list_of_known_findings_can_only_become_shorter() {
    let text = "groups: [{ name: g, rules: [{ alert: Down, expr: up == 0 }] }]";
    let queries = queries::of_rules("rules.yml", text).unwrap();
    let linted = || lint::check(&catalog(), &queries, None);
    assert_eq!(lint::apart_from(&[], "known", linted()).len(), 1);
    assert_eq!(
        lint::apart_from(&["Down up-without-job"], "known", linted()),
        []
    );
    let stale = ["Down up-without-job", "Down undefined"];
    let found = lint::apart_from(&stale, "known", linted());
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].problem,
        "`Down undefined` is listed as known, and no longer found"
    );
}

#[test]
fn every_rule_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Lint::ALL.iter().map(|lint| lint.word()).collect();
    assert_eq!(words.len(), Lint::ALL.len());
}

/// What it advises for the first event of a series can be answered, also under a sum; a total as it stands still cannot.
#[test]
fn new_series_may_be_added_up() {
    let new = "sum by (symbol) ((desk_rejections_total unless desk_rejections_total offset 5m) or increase(desk_rejections_total[5m])) > 0";
    assert_eq!(broken(new, ""), []);
    for old in [
        "sum(desk_rejections_total unless desk_requests_total offset 5m) > 0",
        "sum(desk_rejections_total unless desk_rejections_total) > 0",
    ] {
        let text =
            format!("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: '{old}'\n");
        let queries = queries::of_rules("rules.yml", &text).unwrap();
        assert_ne!(queried::check(&catalog(), &queries).len(), 0, "{old}");
    }
}

/// How many observations of a ratio are in each bucket is no ratio.
#[test]
fn buckets_of_a_ratio_may_be_added_up() {
    let buckets = "sum by (le) (increase(desk_size_ratio_bucket[5m]))";
    let many = format!("histogram_quantile(0.9, {buckets}) > 0.4");
    assert!(!broken(&many, "").contains(&Lint::RatioAggregated));
    assert!(broken("sum(desk_headroom_ratio) < 0.1", "").contains(&Lint::RatioAggregated));
}

/// The programs that watch have neither environment nor mode to say, and may page for themselves.
#[test]
fn the_watchers_may_page() {
    let failing =
        r#"increase(alertmanager_notifications_failed_total{job="alertmanager"}[10m]) > 0"#;
    assert_eq!(broken(failing, PAGE), []);
    let alone = r#"prometheus_notifications_alertmanagers_discovered{job="prometheus"} < 1"#;
    assert_eq!(broken(alone, PAGE), []);
}
