//! The rules, dashboards and documents of this workspace, as they are and with every mistake somebody might make in them.

use std::time::{Duration, Instant};

use obs_core::Catalogue;
use obs_tests::{Manner, Stack, Watched, ask};
use obs_verify::promql::{self, Vocabulary};
use obs_verify::queried::of_query;
use obs_verify::queries::{self, Alert, Query, Role};

use super::*;

fn workspace_queries() -> Vec<Query> {
    deployed::queries().unwrap()
}

#[test]
fn every_query_of_the_workspace_is_sound_and_every_family_used() {
    let (everything, queries) = (everything().unwrap(), workspace_queries());
    let mut found = queried::check(&everything, &queries);
    found.extend(queried::unused(&everything, &queries, NOT_SHOWN));
    found.extend(linted(&everything, &queries).unwrap());
    let told: Vec<_> = found
        .iter()
        .map(|finding| {
            format!(
                "{:?} {:?} {}; {}",
                finding.file, finding.metric, finding.problem, finding.repair
            )
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn every_reason_is_about_a_family() {
    let catalogue = everything().unwrap();
    for (name, reason) in NOT_SHOWN.iter().chain(NOT_EXPORTED) {
        assert!(catalogue.family(name).is_some(), "{name}: {reason}");
    }
}

#[test]
fn a_finding_names_file_place_and_column_and_the_nearest_name() {
    let catalogue = everything().unwrap();
    let text = "groups:\n  - name: a\n    rules:\n      - alert: Down\n        expr: sum(rate(trading_order_total[5m])) > 1\n";
    let rules = queries::of_rules("rules/a.yml", text).unwrap();
    let found = of_query(&rules[0], &queried::vocabulary(&catalogue, &rules));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].file.as_deref(), found[0].line),
        (Some("rules/a.yml"), Some(5))
    );
    assert_eq!(
        found[0].problem,
        "alert `Down`, column 10: `trading_order_total` is neither declared nor recorded"
    );
    assert_eq!(found[0].repair, "did you mean `trading_orders_total`?");
}

/// What somebody might do to a rule or panel without noticing, and what has to be said of it.
const MUTATIONS: &[(&str, &str, &str)] = &[
    // A metric is renamed, or misspelled.
    (
        "http_requests_total",
        "http_request_total",
        "neither declared nor recorded",
    ),
    (
        "http_errors_total",
        "http_error_total",
        "neither declared nor recorded",
    ),
    (
        "trading_orders_total",
        "trading_orders",
        "neither declared nor recorded",
    ),
    (
        "trading_signals_total",
        "trading_signal_total",
        "neither declared nor recorded",
    ),
    (
        "provider_up",
        "providers_up",
        "neither declared nor recorded",
    ),
    (
        "db_queries_total",
        "db_query_total",
        "neither declared nor recorded",
    ),
    (
        "errors_total",
        "error_total",
        "neither declared nor recorded",
    ),
    (
        "panics_total",
        "panic_total",
        "neither declared nor recorded",
    ),
    (
        "risk_limit_headroom_ratio",
        "risk_limit_headroom",
        "neither declared nor recorded",
    ),
    (
        "sentiment_aggregations_total",
        "sentiment_aggregation_total",
        "neither declared nor recorded",
    ),
    (
        "venue:trading_slippage_bps:p50_1h",
        "venue:trading_slippage_bps:p50_2h",
        "neither declared nor recorded",
    ),
    (
        "process_open_fds",
        "process_open_fd",
        "neither declared nor recorded",
    ),
    // The suffix of a histogram's series is dropped or swapped.
    (
        "http_request_duration_seconds_bucket",
        "http_request_duration_seconds",
        "has no series of that name",
    ),
    (
        "trading_slippage_bps_bucket",
        "trading_slippage_bps",
        "has no series of that name",
    ),
    (
        "histogram_quantile(0.95, sum by (service, environment, mode, pool, le) (rate(db_query_duration_seconds_bucket",
        "histogram_quantile(0.95, sum by (service, environment, mode, pool) (rate(db_query_duration_seconds_count",
        "what are no buckets",
    ),
    (
        "trading_slippage_bps_count",
        "trading_slippage_bps_sum",
        "falls with every observation below 0",
    ),
    (
        "db_query_duration_seconds_bucket",
        "db_query_duration_seconds_sum",
        "has no label `le`",
    ),
    // A label is renamed or dropped.
    (
        "environment, mode, endpoint)",
        "environment, mode, route)",
        "has no label `route`",
    ),
    ("mode, venue)", "mode, exchange)", "has no label `exchange`"),
    (
        "mode, strategy)",
        "mode, strategies)",
        "has no label `strategies`",
    ),
    ("mode, provider)", "mode, vendor)", "has no label `vendor`"),
    ("mode, pool)", "mode, database)", "has no label `database`"),
    ("mode, client)", "mode, redis)", "has no label `redis`"),
    (
        "mode, component, severity)",
        "mode, component, level)",
        "has no label `level`",
    ),
    ("mode, pool, le)", "mode, pool)", "adds up buckets"),
    ("mode, venue, le)", "mode, venue)", "adds up buckets"),
    ("mode, endpoint, le)", "mode, endpoint)", "adds up buckets"),
    ("error_type=~", "error=~", "has no label `error`"),
    (
        "outcome=\"error\"",
        "result=\"error\"",
        "has no label `result`",
    ),
    (
        "limit=\"daily_loss\"",
        "limits=\"daily_loss\"",
        "has no label `limits`",
    ),
    (
        "kind=\"between_providers\"",
        "type=\"between_providers\"",
        "has no label `type`",
    ),
    // A value leaves its closed set.
    (
        "server_error|timeout|panic",
        "server_error|timeouts|panic",
        "is never \"timeouts\"",
    ),
    ("result=\"hit\"", "result=\"hits\"", "is never \"hits\""),
    ("state=\"in_use\"", "state=\"used\"", "is never \"used\""),
    (
        "outcome=\"error\"",
        "outcome=\"failed\"",
        "is never \"failed\"",
    ),
    (
        "mode!=\"backtest\"",
        "mode!=\"backtesting\"",
        "is never \"backtesting\"",
    ),
    (
        "severity=\"critical\"",
        "severity=\"fatal\"",
        "is never \"fatal\"",
    ),
    (
        "action=\"violated\"",
        "action=\"violation\"",
        "is never \"violation\"",
    ),
    (
        "unknown_order|invalid_fill",
        "unknown_order|invalid_fills",
        "is never \"invalid_fills\"",
    ),
    (
        "kind=\"between_providers\"",
        "kind=\"between\"",
        "is never \"between\"",
    ),
    // A kind is mistaken for another.
    (
        "increase(panics_total{mode!=\"backtest\"}[5m])",
        "increase(provider_up[5m])",
        "which is no counter",
    ),
    (
        "rate(trading_orders_total[15m])",
        "rate(trading_orders_open[15m])",
        "which is no counter",
    ),
    (
        "rate(errors_total[5m])",
        "avg_over_time(errors_total[5m])",
        "is used as it stands",
    ),
    (
        "sum by (service, environment, mode, component) (increase(errors_total[1h]))",
        "sum by (service, environment, mode, component) (errors_total)",
        "is used as it stands",
    ),
    (
        "predict_linear(system_disk_available_bytes{job=\"trading-desk\"}[6h], 86400)",
        "predict_linear(process_cpu_seconds_total[6h], 86400)",
        "is a counter and falls",
    ),
    (
        "min_over_time(market_session_open[1h])",
        "rate(market_session_open[1h])",
        "which is no counter",
    ),
    (
        "increase(obs_series_overflow_total[15m])",
        "delta(obs_series_overflow_total[15m])",
        "is a counter and falls",
    ),
    // Two sides that never meet.
    (
        "/ sum by (service, environment, mode, provider) (rate(provider_requests_total",
        "/ sum by (service, environment, mode) (rate(provider_requests_total",
        "only one has provider",
    ),
    (
        "process_open_fds{job=\"trading-desk\"} / process_max_fds",
        "process_open_fds / system_disk_total_bytes",
        "only one has mountpoint",
    ),
    (
        "on (service, environment, mode) service:market",
        "on (service, environment, mode, venue) service:market",
        "has no label `venue`",
    ),
    (
        "group_left ()",
        "group_left (venue)",
        "has no label `venue`",
    ),
    // Units that do not go together.
    (
        "process_resident_memory_bytes{job=\"trading-desk\"} / system_memory_total_bytes",
        "process_resident_memory_bytes > scrape_duration_seconds + process_resident_memory_bytes",
        "between seconds and bytes",
    ),
    (
        "process_open_fds{job=\"trading-desk\"} / process_max_fds",
        "process_resident_memory_bytes > process_start_time_seconds",
        "between bytes and",
    ),
    // No query at all.
    (
        "mode!=\"backtest\"} == 0",
        "mode!=\"backtest\"} == ",
        "is no PromQL",
    ),
];

#[test]
fn every_mutation_is_caught() {
    let catalogue = everything().unwrap();
    let sound = workspace_queries();
    let vocabulary = queried::vocabulary(&catalogue, &sound);
    assert!(MUTATIONS.len() >= 50);
    for (from, to, told) in MUTATIONS {
        let from_flat = |query: &Query| query.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mutated = sound
            .iter()
            .filter(|query| matches!(query.role, Role::Record(_) | Role::Alert(_)))
            .map(|query| (query, from_flat(query).replace("( sum", "(sum")))
            .find(|(_, text)| text.contains(from));
        let (query, text) = mutated.unwrap_or_else(|| panic!("no rule has {from}"));
        let mutant = Query {
            text: text.replace(from, to),
            ..query.clone()
        };
        let found = of_query(&mutant, &vocabulary);
        assert!(
            found.iter().any(|finding| finding.problem.contains(told)),
            "{from} -> {to} in {}: {found:#?}",
            mutant.text
        );
    }
}

#[test]
fn an_alert_whose_text_names_a_lost_label_and_an_axis_of_another_unit_are_found() {
    let catalogue = everything().unwrap();
    let vocabulary = Vocabulary::new(&catalogue);
    let query = |text: &str, role| Query {
        file: "a".into(),
        line: None,
        place: "it".into(),
        text: text.into(),
        role,
    };
    let alert = query(
        "sum by (mode) (up) > 0",
        Role::Alert(Alert {
            templates: ["job".to_owned()].into(),
            ..Alert::default()
        }),
    );
    assert!(
        of_query(&alert, &vocabulary)[0]
            .problem
            .contains("names the label `job`")
    );
    let panel = query("process_resident_memory_bytes", Role::Panel("s".to_owned()));
    assert!(
        of_query(&panel, &vocabulary)[0]
            .problem
            .contains("instead of `bytes`")
    );
}

#[test]
fn a_family_nobody_looks_at_is_found() {
    let catalogue = everything().unwrap();
    let found = queried::unused(&catalogue, &[], &[]);
    assert_eq!(found.len(), catalogue.families.len());
    assert!(found.iter().all(|finding| finding.fault == Fault::Unused));
}

/// With the desk trading and a real Prometheus watching it, every panel and every variable shows something, or is
/// rightly empty.
#[test]
fn every_panel_shows_something_of_a_running_desk() {
    let Watched { desk, agent, .. } = &Watched::start("20ms").unwrap();
    let stack = Stack::start_beside(agent.address(), desk.address(), Manner::Hurried).unwrap();
    let patience = Duration::from_mins(2);
    // A rate takes two scrapes, a quantile that an order was filled, a rule that builds on a rule two evaluations.
    stack
        .wait_for(
            patience,
            "count_over_time(up{service=\"trading-desk\"}[5m]) > 8",
        )
        .unwrap();
    stack
        .wait_for(
            patience,
            "increase(trading_orders_closed_total{outcome=\"filled\"}[5m]) > 1",
        )
        .unwrap();
    stack
        .wait_for(
            patience,
            "objective:api_error_budget:failed_ratio1h and objective:api_error_budget:failed_ratio3d \
             and on () objective:http_request_duration_seconds:failed_ratio3d \
             and on () objective:provider_requests_total:failed_ratio3d",
        )
        .unwrap();

    // The desk and its agent.
    let recorded = [
        trading_desk::metrics::catalogue().unwrap(),
        obstool::agent_catalogue(),
    ];
    let recorded = Catalog::from(&Catalogue::join(recorded).unwrap());
    let everything = everything().unwrap();
    let queries = deployed::queries().unwrap();
    let known = Known {
        everything: &everything,
        recorded: &recorded,
        excused: RIGHTLY_EMPTY,
    };
    let ask = |query: &str| {
        let series = ask(stack.prometheus(), query)?;
        Ok::<_, obs_tests::Error>(Answer::Series(series.len()))
    };
    let until = Instant::now() + patience;
    // A replay that begins anew holds no position, and has to be refused by quota before that is seen.
    let found = loop {
        let found = asked::check(stack.prometheus(), known, &queries, ask).unwrap();
        let is_empty = |finding: &&Finding| finding.fault == Fault::Empty;
        let empty: Vec<_> = found.iter().filter(is_empty).collect();
        if empty.is_empty() {
            break found;
        }
        assert!(Instant::now() < until, "{empty:#?}");
    };
    // The excuse is not one for everything.
    assert!(
        found.len() < queries.len() / 2,
        "{} of {} are empty",
        found.len(),
        queries.len()
    );
}

/// A query of the deployed rules and dashboards, changed in all ways.
#[test]
fn no_change_of_a_query_makes_the_checker_panic() {
    let vocabulary = Vocabulary::new(&everything().unwrap());
    obs_fuzz::run("promql", |data| {
        let query = String::from_utf8_lossy(data);
        let lines: Vec<_> = query.split('\n').collect();
        for problem in promql::check(&query, &vocabulary).1 {
            let length = lines[problem.line - 1].chars().count();
            assert!(
                (1..=length + 1).contains(&problem.column),
                "{problem:?} in {query:?}"
            );
        }
    });
}
