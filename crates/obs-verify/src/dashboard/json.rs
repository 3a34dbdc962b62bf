//! A dashboard as Grafana 11 to 13 import and provision it, without asking anything.

use std::collections::BTreeSet;
use std::fmt::Write;

use obs_core::Unit;
use serde_json::{Value, json};

use super::{Dashboard, Kind, Panel, Row, Scope, Thresholds};
use crate::Catalog;
use crate::promql::{Quantity, Vocabulary, Yield, check};
use crate::queries::{families_in, substituted};

/// The version of the format. Grafana brings older ones up to date by itself.
const SCHEMA_VERSION: u32 = 39;
/// The grid is this wide.
const COLUMNS: usize = 24;

/// The whole dashboard.
#[must_use]
pub fn json(dashboard: &Dashboard, catalog: &Catalog, vocabulary: &Vocabulary) -> Value {
    let uses_strategy = panels_of(dashboard).any(|panel| {
        panel
            .queries
            .iter()
            .any(|query| query.text.contains("$strategy"))
    });
    let mut panels = Vec::new();
    let mut y = 0;
    for row in &dashboard.rows {
        panels.push(heading(row, panels.len() + 1, y));
        y += 1;
        let (width, height) = (COLUMNS / row.panels.len(), height(row));
        for (i, panel) in row.panels.iter().enumerate() {
            let mut drawn = draw(panel, catalog, vocabulary);
            drawn["id"] = json!(panels.len() + 1);
            drawn["gridPos"] = json!({ "h": height, "w": width, "x": i * width, "y": y });
            panels.push(drawn);
        }
        y += height;
    }
    json!({
        "uid": format!("{}-{}", dashboard.scope.tag, dashboard.name),
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [dashboard.scope.tag],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": { "from": "now-1h", "to": "now" },
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "links": [{
            "type": "dashboards", "title": "Dashboards", "tags": [dashboard.scope.tag], "asDropdown": true, "keepTime": true,
            "includeVars": true, "icon": "external link", "targetBlank": false, "tooltip": "", "url": "",
        }],
        "annotations": { "list": annotations(&dashboard.scope) },
        "templating": { "list": variables(&dashboard.scope, uses_strategy) },
        "panels": panels,
    })
}

fn panels_of(dashboard: &Dashboard) -> impl Iterator<Item = &Panel> {
    dashboard.rows.iter().flat_map(|row| &row.panels)
}

fn heading(row: &Row, id: usize, y: usize) -> Value {
    json!({
        "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
        "gridPos": { "h": 1, "w": COLUMNS, "x": 0, "y": y },
    })
}

fn height(row: &Row) -> usize {
    if row.panels.iter().all(|panel| panel.kind == Kind::Stat) {
        4
    } else {
        8
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn draw(panel: &Panel, catalog: &Catalog, vocabulary: &Vocabulary) -> Value {
    let over_time = matches!(panel.kind, Kind::Lines | Kind::Heatmap | Kind::Switches);
    let targets: Vec<_> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|(query, id)| {
            json!({
                "refId": id.to_string(),
                "datasource": source(),
                "editorMode": "code",
                "expr": query.text,
                "legendFormat": query.legend,
                "format": match panel.kind { Kind::Heatmap => "heatmap", Kind::Table => "table", _ => "time_series" },
                "instant": !over_time,
                "range": over_time,
            })
        })
        .collect();
    let mut drawn = json!({
        "type": match panel.kind {
            Kind::Stat => "stat",
            Kind::Lines => "timeseries",
            Kind::Heatmap => "heatmap",
            Kind::Bars => "bargauge",
            Kind::Table => "table",
            Kind::Switches => "state-timeline",
        },
        "title": panel.title,
        "description": described(panel, catalog),
        "datasource": source(),
        "targets": targets,
        "fieldConfig": { "defaults": defaults(panel, vocabulary), "overrides": [] },
        "options": options(panel, vocabulary),
    });
    if panel.kind == Kind::Table {
        // One row for each series: its labels, and a column for each query.
        drawn["transformations"] = json!([
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": { "Time": true }, "renameByName": renamed(panel), "indexByName": {} } },
        ]);
        drawn["fieldConfig"]["overrides"] = overrides(panel, vocabulary);
    }
    drawn
}

/// What the definition says, and what the metrics in it are.
fn described(panel: &Panel, catalog: &Catalog) -> String {
    let families: BTreeSet<_> = panel
        .queries
        .iter()
        .flat_map(|query| families_in(&query.text, catalog))
        .collect();
    let mut text = panel.description.clone();
    for name in families {
        if let Some(family) = catalog.family(name) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n\n`{name}`: {}", family.help);
        }
    }
    if !panel.act.is_empty() {
        let _ = write!(
            text,
            "\n\nWhen it is red, see docs/ALERTS.md: {}",
            panel.act
        );
    }
    text
}

/// What a query yields, or nothing known if it is wrong, which `verify-metrics` tells with its place.
fn quantity(text: &str, vocabulary: &Vocabulary) -> Quantity {
    match check(&substituted(text), vocabulary).0 {
        Some(Yield::Vector(series)) => series.quantity,
        Some(Yield::Scalar(quantity)) => quantity,
        _ => Quantity::Unknown,
    }
}

fn unit_of(panel: &Panel, vocabulary: &Vocabulary) -> &'static str {
    panel.queries.first().map_or("short", |query| {
        grafana_unit(quantity(&query.text, vocabulary))
    })
}

/// The unit of an axis, by Grafana's name.
#[must_use]
pub fn grafana_unit(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Of(Unit::Seconds) => "s",
        Quantity::Of(Unit::Bytes) => "bytes",
        Quantity::Of(Unit::Ratio) | Quantity::PerSecond(Unit::Seconds) => "percentunit",
        Quantity::Of(Unit::BasisPoints) => "suffix: bps",
        // Which currency, the series say.
        Quantity::Of(Unit::Currency) => "locale",
        Quantity::PerSecond(Unit::Bytes) => "Bps",
        Quantity::PerSecond(Unit::Count) => "cps",
        _ => "short",
    }
}

fn defaults(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let mut defaults = json!({
        "unit": unit_of(panel, vocabulary),
        "thresholds": thresholds(panel),
        "color": { "mode": if panel.kind == Kind::Lines { "palette-classic" } else { "thresholds" } },
    });
    match panel.kind {
        Kind::Lines => {
            let marks = if panel.thresholds == Thresholds::None {
                "off"
            } else {
                "dashed"
            };
            defaults["custom"] = json!({ "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false, "thresholdsStyle": { "mode": marks } });
        }
        Kind::Switches => {
            let word = |text: &str, color: &str, index: u8| json!({ "text": text, "color": color, "index": index });
            defaults["mappings"] = json!([{ "type": "value", "options": { "0": word("off", "red", 0), "1": word("on", "green", 1) } }]);
            defaults["custom"] = json!({ "fillOpacity": 70, "lineWidth": 0 });
        }
        Kind::Stat => defaults["noValue"] = json!("no data"),
        Kind::Heatmap | Kind::Bars | Kind::Table => {}
    }
    defaults
}

fn thresholds(panel: &Panel) -> Value {
    let step = |color: &str, value: Option<f64>| json!({ "color": color, "value": value });
    let steps = match panel.thresholds {
        Thresholds::None => vec![step("green", None)],
        Thresholds::Above(look, bad) => vec![
            step("green", None),
            step("orange", Some(look)),
            step("red", Some(bad)),
        ],
        Thresholds::Below(look, bad) => vec![
            step("red", None),
            step("orange", Some(bad)),
            step("green", Some(look)),
        ],
    };
    json!({ "mode": "absolute", "steps": steps })
}

fn options(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let reduced = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    match panel.kind {
        Kind::Stat => json!({
            "reduceOptions": reduced, "colorMode": "background", "graphMode": "none", "textMode": "auto",
            "justifyMode": "auto", "orientation": "auto", "wideLayout": true, "showPercentChange": false,
            "percentChangeColorMode": "standard",
        }),
        // The highest first: where there are a hundred, nobody reads the rest.
        Kind::Lines => json!({
            "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"], "sortBy": "Max", "sortDesc": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
        Kind::Heatmap => json!({
            "calculate": false,
            "cellGap": 1,
            "yAxis": { "unit": unit_of(panel, vocabulary) },
            "color": { "mode": "scheme", "scheme": "Spectral", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false },
            "tooltip": { "mode": "single", "yHistogram": false, "showColorScale": true },
            "legend": { "show": true },
            "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "showValue": "never",
        }),
        Kind::Bars => json!({
            "reduceOptions": reduced, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": true, "valueMode": "color",
            "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300, "namePlacement": "auto", "sizing": "auto",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
        }),
        Kind::Table => json!({ "frameIndex": 0, "showHeader": true, "cellHeight": "sm" }),
        Kind::Switches => json!({
            "showValue": "never", "mergeValues": true, "alignValue": "left", "rowHeight": 0.9,
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
            "tooltip": { "mode": "single", "sort": "none" },
        }),
    }
}

/// The columns of a table: Grafana calls them after the query when there are several.
fn columns(panel: &Panel) -> impl Iterator<Item = (String, &super::Query)> {
    let several = panel.queries.len() > 1;
    panel.queries.iter().zip('A'..='Z').map(move |(query, id)| {
        let name = if several {
            format!("Value #{id}")
        } else {
            "Value".to_owned()
        };
        (name, query)
    })
}

fn renamed(panel: &Panel) -> Value {
    columns(panel)
        .map(|(column, query)| (column, json!(query.legend)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Each column of a table has its own unit.
fn overrides(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let of_column = |(_, query): (String, &super::Query)| {
        json!({
            "matcher": { "id": "byName", "options": query.legend },
            "properties": [{ "id": "unit", "value": grafana_unit(quantity(&query.text, vocabulary)) }],
        })
    };
    columns(panel).map(of_column).collect()
}

fn annotations(scope: &Scope) -> Value {
    let asked = |text: &str| json!({ "refId": "Anno", "expr": text, "interval": "60s" });
    let widest = scope.up_to(usize::from(!scope.labels.is_empty()));
    let firing = if widest.is_empty() {
        r#"ALERTS{alertstate="firing"}"#.to_owned()
    } else {
        format!(r#"ALERTS{{alertstate="firing", {widest}}}"#)
    };
    let mut list = vec![json!({
        "name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": source(),
        "target": asked(&firing),
        "titleFormat": "{{alertname}}", "textFormat": "{{severity}} {{strategy}} {{venue}} {{provider}}",
    })];
    if scope.from == "app_info" {
        list.push(json!({
            "name": "Deploys and restarts", "enable": true, "hide": false, "iconColor": "blue", "datasource": source(),
            "target": asked(&format!("process_start_time_seconds{{{}}} * 1000 * on (service, environment, mode, job, instance) group_left (version, git_commit) app_info", scope.matchers())),
            "titleFormat": "{{instance}} started", "textFormat": "version {{version}} {{git_commit}}",
            "useValueForTime": true,
        }));
    }
    list.into()
}

fn variables(scope: &Scope, uses_strategy: bool) -> Value {
    let mut list = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
        "includeAll": false, "multi": false, "options": [], "regex": "", "skipUrlSync": false,
    })];
    // Each is asked among what the ones before leave.
    let mut queries: Vec<_> = scope
        .labels
        .iter()
        .enumerate()
        .map(|(i, (key, title))| {
            let before = scope.up_to(i);
            let before = if before.is_empty() {
                String::new()
            } else {
                format!("{{{before}}}")
            };
            let query = format!("label_values({}{before}, {key})", scope.from);
            (key.as_str(), title.as_str(), query)
        })
        .collect();
    if uses_strategy {
        queries.push((
            "strategy",
            "Strategy",
            format!(
                "label_values(trading_strategy_active{{{}}}, strategy)",
                scope.matchers()
            ),
        ));
    }
    for (name, label, query) in queries {
        list.push(json!({
            "name": name, "label": label, "type": "query", "datasource": source(),
            "definition": query, "query": { "query": query, "refId": "variable" },
            // Every value, and none: a service need not be told its environment.
            "includeAll": true, "allValue": ".*", "multi": true,
            "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
            // Asked again when the time range changes, so that a strategy that is gone can still be looked at.
            "refresh": 2, "sort": 1, "hide": 0, "options": [], "regex": "", "skipUrlSync": false,
        }));
    }
    list.into()
}
