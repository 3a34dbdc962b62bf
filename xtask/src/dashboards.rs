//! The dashboards, held to the declarations and rules of this workspace.

use std::collections::{BTreeMap, BTreeSet};

use obs_verify::boards::{all, of};
use obs_verify::dashboard::{Dashboard, Kind, Scope, Thresholds, faults, json};
use obs_verify::promql::Vocabulary;
use obs_verify::queried::vocabulary;
use obs_verify::queries::{Query, Role};
use obs_verify::{Catalog, drawn};
use serde_json::{Value, json};

use crate::catalogue::everything;
use crate::deployed;

/// What queries may ask for, and the alerts there are.
fn known() -> (Vocabulary, BTreeSet<String>) {
    let rules = deployed::rules().unwrap();
    let alerts = rules.iter().filter_map(|rule| match &rule.role {
        Role::Alert(alert) => Some(alert.name.clone()),
        _ => None,
    });
    let alerts = alerts.collect();
    (vocabulary(&everything().unwrap(), &rules), alerts)
}

#[test]
fn the_structure_of_every_dashboard_is_sound() {
    let (vocabulary, alerts) = known();
    let catalog = everything().unwrap();
    let of_one = |dashboard: &Dashboard| {
        let faults = faults(
            &json(dashboard, &catalog, &vocabulary),
            &vocabulary,
            &alerts,
        );
        faults
            .into_iter()
            .map(|fault| format!("{}, {fault}", dashboard.name))
            .collect::<Vec<_>>()
    };
    let faults: Vec<_> = all().iter().flat_map(of_one).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What is wrong with dashboards of a catalogue whose service is watched by these rules.
fn faults_of(boards: &[Dashboard], catalog: &Catalog, rules: &[Query]) -> Vec<String> {
    let vocabulary = vocabulary(catalog, rules);
    let alerts = rules.iter().filter_map(|rule| match &rule.role {
        Role::Alert(alert) => Some(alert.name.clone()),
        _ => None,
    });
    let alerts = alerts.collect();
    let of_one = |board: &Dashboard| {
        let faults = faults(&json(board, catalog, &vocabulary), &vocabulary, &alerts);
        let named = faults
            .into_iter()
            .map(|fault| format!("{}, {fault}", board.name));
        named.collect::<Vec<_>>()
    };
    boards.iter().flat_map(of_one).collect()
}

#[test]
fn what_is_drawn_of_any_declarations_is_as_sound() {
    let catalog = everything().unwrap();
    let rules = deployed::rules().unwrap();
    for rules in [&rules[..], &[]] {
        let boards = drawn::dashboards(&catalog, rules, &Scope::default());
        assert!(boards.len() > 10, "{}", boards.len());
        let faults = faults_of(&boards, &catalog, rules);
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_service_gets_the_dashboards_of_what_it_has() {
    let all_families = everything().unwrap();
    let rules = deployed::rules().unwrap();
    let titles = |boards: &[Dashboard]| {
        let panels = boards
            .iter()
            .flat_map(|board| &board.rows)
            .flat_map(|row| &row.panels);
        panels.map(|panel| panel.title.clone()).collect::<Vec<_>>()
    };
    assert_eq!(titles(&of(&all_families, &rules)), titles(&all()));

    // Another team's server of HTTP, with what every exporter measures of itself, and without any rules.
    let mut server = all_families.clone();
    let crates = ["obs-http", "obs-core", "obs-exporter", "obs-health"];
    server
        .families
        .retain(|family| crates.contains(&family.package.as_str()));
    let server = serde_json::to_string(&server).unwrap();
    let server = Catalog::read("catalog.json", &server).unwrap();
    let boards = of(&server, &[]);
    let names: Vec<_> = boards.iter().map(|board| board.name.as_str()).collect();
    assert_eq!(names, ["main", "api", "system-health", "fleet", "error"]);
    let faults = faults_of(&boards, &server, &[]);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What breaks a dashboard: its name, the panel it is done to (or none: the whole), where in it, what is put there, and what the
/// fault that has to be found says.
type Breakage = (
    &'static str,
    &'static str,
    &'static str,
    Value,
    &'static str,
);

#[expect(clippy::too_many_lines, reason = "a table, a line for each breakage")]
fn breakages() -> Vec<Breakage> {
    let all =
        r#"service=~"$service", environment=~"$environment", mode=~"$mode", instance=~"$instance""#;
    let asks = |text: &str| json!(text.replace('@', all));
    let expr = "/targets/0/expr";
    vec![
        // Statistics, and money, of several desks.
        (
            "risk",
            "Tightest limit",
            expr,
            asks("avg(risk_limit_headroom_ratio{@})"),
            "belongs to one process",
        ),
        (
            "risk",
            "Ratios",
            "/targets/2/expr",
            asks("sum by (account, currency) (portfolio_sharpe_ratio{@})"),
            "belongs to one process",
        ),
        (
            "strategy",
            "Performance",
            "/targets/5/expr",
            asks(
                r#"sum by (account, strategy, currency) (trading_win_ratio{@, strategy=~"$strategy"})"#,
            ),
            "belongs to one process",
        ),
        (
            "risk",
            "Streaks",
            expr,
            asks("sum by (account, currency, result) (portfolio_streak_trades{@})"),
            "belongs to one process",
        ),
        (
            "main",
            "Accounts",
            expr,
            asks("sum by (account, currency) (portfolio_value{@})"),
            "belongs to one process",
        ),
        // Variables.
        (
            "main",
            "Processes up",
            expr,
            json!(r#"avg(up{service=~"$service"})"#),
            "does not heed the variable `mode`",
        ),
        (
            "main",
            "Critical alerts",
            expr,
            json!(r#"count(ALERTS{alertstate="firing", severity="critical"})"#),
            "does not heed",
        ),
        (
            "trading",
            "Orders open",
            expr,
            json!(
                r#"sum(trading_orders_open{service=~"$service", environment=~"$environment", mode=~"$mode", instance=~"$mode"})"#
            ),
            "does not heed the variable `instance`",
        ),
        (
            "strategy",
            "Signals",
            expr,
            asks("sum by (signal) (rate(trading_signals_total{@}[$__rate_interval]))"),
            "does not heed the variable `strategy`",
        ),
        (
            "main",
            "",
            "/templating/list/3/current/value/0",
            json!("$__all"),
            "and not live",
        ),
        (
            "main",
            "",
            "/templating/list/4/name",
            json!("process"),
            "no instance can be chosen",
        ),
        (
            "main",
            "",
            "/links/0/includeVars",
            json!(false),
            "same choices",
        ),
        // Units and money.
        (
            "main",
            "Processes up",
            "/fieldConfig/defaults/unit",
            json!("short"),
            "yields `percentunit`",
        ),
        // A share of nothing that is written out.
        (
            "risk",
            "Tightest limit",
            expr,
            asks("3 * min(risk_limit_headroom_ratio{@})"),
            "yields `short`, and is shown as `percentunit`",
        ),
        (
            "risk",
            "Value",
            "/fieldConfig/defaults/decimals",
            json!(3),
            "thousandths",
        ),
        (
            "risk",
            "Value",
            "/targets/0/legendFormat",
            json!("{{account}}"),
            "without its currency",
        ),
        (
            "strategy",
            "Money",
            "/fieldConfig/overrides/0/properties/0/value",
            json!("short"),
            "yields `locale`",
        ),
        // Titles, places.
        (
            "main",
            "Warnings",
            "/title",
            json!("Warnings that want somebody within the day"),
            "there is room for",
        ),
        (
            "main",
            "Warnings",
            "/title",
            json!("Critical alerts"),
            "is there twice",
        ),
        (
            "main",
            "Failed requests",
            "/gridPos/w",
            json!(5),
            "columns wide",
        ),
        (
            "main",
            "Warnings",
            "/gridPos/x",
            json!(3),
            "does not follow",
        ),
        ("main", "Orders", "/gridPos/h", json!(9), "the row lies at"),
        (
            "main",
            "Orders",
            "/id",
            json!(1),
            "the id `1` is there twice",
        ),
        (
            "main",
            "",
            "/panels/0/collapsed",
            json!(true),
            "the first row is folded",
        ),
        // Thresholds.
        (
            "risk",
            "Rules broken, last hour",
            expr,
            asks(r#"sum(increase(risk_compliance_events_total{@, action="violated"}[$__range]))"#),
            "fixed threshold on a count",
        ),
        (
            "main",
            "Processes up",
            "/fieldConfig/defaults/thresholds/steps/1/value",
            json!(2),
            "do not ascend",
        ),
        (
            "main",
            "Processes up",
            "/fieldConfig/defaults/thresholds/steps/0/color",
            json!("green"),
            "no end that is red",
        ),
        (
            "main",
            "Processes up",
            "/fieldConfig/defaults/mappings",
            json!([]),
            "what is undefined is not grey",
        ),
        (
            "trading",
            "Orders",
            "/options/colorMode",
            json!("background"),
            "nothing of it is good or bad",
        ),
        (
            "main",
            "Processes up",
            "/fieldConfig/defaults/noValue",
            Value::Null,
            "nothing says that there is nothing",
        ),
        // Legends and tables.
        (
            "risk",
            "Headroom",
            "/options/legend/sortBy",
            json!("Max"),
            "not in order of the worst",
        ),
        (
            "risk",
            "Headroom",
            "/options/legend/sortDesc",
            json!(true),
            "not in order of the worst",
        ),
        (
            "main",
            "Errors",
            "/targets/0/legendFormat",
            json!("{{componant}}"),
            "which no series has",
        ),
        (
            "main",
            "Errors",
            "/targets/0/legendFormat",
            json!("errors"),
            "several series are called",
        ),
        (
            "main",
            "Versions",
            "/options/sortBy/0/displayName",
            json!("age"),
            "in no order",
        ),
        (
            "main",
            "Versions",
            "/transformations/1/options/excludeByName",
            json!({}),
            "the time it was asked",
        ),
        (
            "main",
            "Versions",
            "/transformations/1/options/renameByName",
            json!({}),
            "as Grafana numbers it",
        ),
        // Ages, sums, links, sources.
        (
            "data-providers",
            "Uptime",
            "/targets/3/expr",
            asks("time() - max by (provider) (provider_last_heard_timestamp_seconds{@})"),
            "can be negative",
        ),
        (
            "risk",
            "Rules broken, last hour",
            expr,
            asks(
                "sum(increase(risk_compliance_events_total{@}[1h])) + sum(increase(risk_pdt_events_total{@}[1h]))",
            ),
            "one of its families is absent",
        ),
        (
            "main",
            "Processes up",
            "/links/0/url",
            json!("/alerting/list?search=DeskDwon"),
            "which there is not",
        ),
        (
            "main",
            "Processes up",
            "/links",
            json!([]),
            "no link leads there",
        ),
        (
            "main",
            "Orders",
            "/targets/0/datasource/uid",
            json!("prometheus-1"),
            "does not go to the data source",
        ),
        (
            "main",
            "Orders",
            "/targets/0/instant",
            json!(true),
            "the other way round",
        ),
        (
            "main",
            "Orders",
            "/description",
            json!(""),
            "does not say what it shows",
        ),
    ]
}

/// The panel with a title, folded or not.
fn panel_of<'a>(dashboard: &'a mut Value, title: &str) -> Option<&'a mut Value> {
    let outer = dashboard["panels"].as_array_mut().unwrap();
    outer.iter_mut().find_map(|panel| {
        let is_it = panel["type"] != "row" && panel["title"] == title;
        if is_it {
            return Some(panel);
        }
        let inner = panel.get_mut("panels")?.as_array_mut()?;
        inner.iter_mut().find(|panel| panel["title"] == title)
    })
}

#[test]
fn every_breakage_of_a_dashboard_is_found() {
    let (vocabulary, alerts) = known();
    let catalog = everything().unwrap();
    let drawn = |dashboard: &Dashboard| {
        (
            dashboard.name.clone(),
            json(dashboard, &catalog, &vocabulary),
        )
    };
    let all: BTreeMap<_, _> = all().iter().map(drawn).collect();
    let breakages = breakages();
    assert!(breakages.len() >= 30, "{}", breakages.len());
    let mut missed = Vec::new();
    for (name, title, place, value, says) in breakages {
        let mut broken = all[name].clone();
        let part = if title.is_empty() {
            &mut broken
        } else {
            panel_of(&mut broken, title).unwrap_or_else(|| panic!("no panel `{title}`"))
        };
        let at = part.pointer_mut(place);
        let at = at.unwrap_or_else(|| panic!("{name}, {title}: no {place}"));
        assert_ne!(*at, value, "{name}, {title}: {place} is so already");
        *at = value;
        let faults = faults(&broken, &vocabulary, &alerts);
        if !faults.iter().any(|fault| fault.contains(says)) {
            missed.push(format!("{name}, {title}, {place}: {faults:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_dashboard_answers_first_whether_all_is_right() {
    for dashboard in all() {
        let first = &dashboard.rows[0];
        assert_eq!(first.title, "Are we all right?", "{}", dashboard.name);
        for panel in &first.panels {
            assert_eq!(panel.kind, Kind::Stat, "{}", panel.title);
        }
    }
}

#[test]
fn panels_fit_their_row_and_say_what_they_are() {
    for dashboard in all() {
        let mut titles = BTreeSet::new();
        for row in &dashboard.rows {
            assert!(
                24 % row.panels.len() == 0,
                "{}: {}",
                dashboard.name,
                row.title
            );
            for panel in &row.panels {
                assert!(
                    titles.insert(panel.title.as_str()),
                    "{}: {} twice",
                    dashboard.name,
                    panel.title
                );
                assert!(
                    !panel.description.is_empty() && !panel.queries.is_empty(),
                    "{}",
                    panel.title
                );
                assert_eq!(
                    panel.act.is_empty(),
                    panel.thresholds == Thresholds::None,
                    "{}: what turns red has to say what to do",
                    panel.title
                );
            }
        }
    }
}

#[test]
fn every_dashboard_has_its_picture_in_the_guide() {
    let guide = obs_verify::dashboard::guide(&all(), "a command", "images/boards");
    let docs = obs_tests::tools::workspace().join("docs");
    for dashboard in all() {
        let picture = format!("images/boards/{}.png", dashboard.name);
        assert!(guide.contains(&picture), "{picture}");
        assert!(docs.join(&picture).is_file(), "{picture}");
    }
}
