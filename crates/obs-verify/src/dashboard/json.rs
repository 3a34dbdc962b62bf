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
pub(super) const COLUMNS: usize = 24;
/// The colour of what is neither good nor bad: undefined, or closed.
pub(super) const GREY: &str = "#808080";

/// The whole dashboard.
#[must_use]
pub fn json(dashboard: &Dashboard, catalog: &Catalog, vocabulary: &Vocabulary) -> Value {
    let mut panels = Vec::new();
    let mut y = 0;
    let mut id = 1;
    for row in &dashboard.rows {
        let mut heading = heading(row, id, y);
        id += 1;
        y += 1;
        let (width, height) = (COLUMNS / row.panels.len(), height(row));
        let mut drawn = Vec::new();
        for (i, panel) in row.panels.iter().enumerate() {
            let mut panel = draw(panel, &dashboard.scope, catalog, vocabulary);
            panel["id"] = json!(id);
            id += 1;
            panel["gridPos"] = json!({ "h": height, "w": width, "x": i * width, "y": y });
            drawn.push(panel);
        }
        // What is folded is within its heading, and takes no place until it is opened.
        if row.is_folded {
            heading["panels"] = drawn.into();
            panels.push(heading);
        } else {
            panels.push(heading);
            panels.append(&mut drawn);
            y += height;
        }
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
        "templating": { "list": variables(dashboard) },
        "panels": panels,
    })
}

fn panels_of(dashboard: &Dashboard) -> impl Iterator<Item = &Panel> {
    dashboard.rows.iter().flat_map(|row| &row.panels)
}

fn heading(row: &Row, id: usize, y: usize) -> Value {
    json!({
        "id": id, "type": "row", "title": row.title, "collapsed": row.is_folded, "panels": [],
        "gridPos": { "h": 1, "w": COLUMNS, "x": 0, "y": y },
    })
}

/// How many lines of the grid the panels of a row are high.
pub(super) fn height(row: &Row) -> usize {
    if row.panels.iter().all(|panel| panel.kind == Kind::Stat) {
        4
    } else {
        8
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn draw(panel: &Panel, scope: &Scope, catalog: &Catalog, vocabulary: &Vocabulary) -> Value {
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
        "description": described(panel, scope, catalog),
        "datasource": source(),
        "targets": targets,
        "fieldConfig": { "defaults": defaults(panel, vocabulary), "overrides": [] },
        "options": options(panel, vocabulary),
        "links": links(panel, scope),
    });
    if panel.kind == Kind::Table {
        // One row for each series: its labels, and a column for each query.
        drawn["transformations"] = json!([
            { "id": "merge", "options": {} },
            { "id": "organize", "options": {
                "excludeByName": excluded(panel), "renameByName": renamed(panel), "indexByName": places(panel),
            } },
        ]);
        drawn["fieldConfig"]["overrides"] = overrides(panel, vocabulary);
    }
    drawn
}

/// What the definition says, and what the metrics in it are.
pub(super) fn described(panel: &Panel, scope: &Scope, catalog: &Catalog) -> String {
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
    if panel.queries.iter().any(|query| is_recorded(&query.text)) {
        text.push_str(
            "\n\nRecorded for the whole service: the choice of an instance makes no difference here.",
        );
    }
    let _ = match (panel.act.as_str(), panel.thresholds) {
        ("", _) => Ok(()),
        (alerts, Thresholds::None) => write!(text, "\n\nWatched by {alerts}."),
        (act, _) if scope.runbooks.is_empty() => write!(text, "\n\nWhen it is red: {act}"),
        // What is a URL is linked as well; a path is one of the repository, which Grafana cannot serve.
        (act, _) => {
            let runbooks = scope.runbooks.trim_end_matches('#');
            write!(text, "\n\nWhen it is red, see {runbooks}: {act}")
        }
    };
    text
}

/// Whether a query asks for what a rule recorded: only such names have colons.
pub(super) fn is_recorded(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
    words.any(|word| word.contains(':') && word.starts_with(char::is_alphabetic))
}

/// From a panel to the alerts that watch what it shows: each as Grafana lists it, with its state, its query and its runbook, and the
/// runbook itself where it has a URL.
fn links(panel: &Panel, scope: &Scope) -> Value {
    let link = |title: String, url: String| {
        json!({
            "title": title, "type": "link", "icon": "external link", "tooltip": "", "url": url, "tags": [],
            "asDropdown": false, "targetBlank": true, "includeVars": false, "keepTime": false,
        })
    };
    let of_alert = |alert: &str| {
        let listed = link(
            format!("Alert {alert}"),
            format!("/alerting/list?search={alert}"),
        );
        let runbook = runbook(alert, scope).map(|(title, url)| link(title, url));
        [Some(listed), runbook]
    };
    let alerts = super::alerts_in(&panel.act);
    alerts.flat_map(of_alert).flatten().collect()
}

/// What the link to an alert's runbook is called, and where it leads. A path is one within the repository, which no dashboard's server
/// has.
pub(super) fn runbook(alert: &str, scope: &Scope) -> Option<(String, String)> {
    let url = format!("{}{}", scope.runbooks, alert.to_lowercase());
    url.contains("://")
        .then(|| (format!("Runbook of {alert}"), url))
}

/// What a query yields, or nothing known if it is wrong, which `verify-metrics` tells with its place.
pub(super) fn quantity(text: &str, vocabulary: &Vocabulary) -> Quantity {
    match check(&substituted(text), vocabulary).0 {
        Some(Yield::Vector(series)) => series.quantity,
        Some(Yield::Scalar(quantity)) => quantity,
        _ => Quantity::Unknown,
    }
}

fn unit_of(panel: &Panel, vocabulary: &Vocabulary) -> &'static str {
    grafana_unit(first_quantity(panel, vocabulary))
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

/// Whether an axis has the unit of what a query yields. A count over a number that is written out may be a share of a whole, as the
/// panel says.
pub(crate) fn is_unit_of(unit: &str, yields: Quantity, query: &str) -> bool {
    let mut divisors = query.split(" / ").skip(1);
    let is_over_number = divisors.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let is_share = unit == grafana_unit(Quantity::Of(Unit::Ratio));
    unit == grafana_unit(yields) || is_share && is_over_number && yields == Quantity::Unknown
}

/// How many decimals of a value mean something: cents, and whole things where they are counted.
pub(super) fn decimals(kind: Kind, quantity: Quantity) -> Option<u8> {
    match quantity {
        Quantity::Of(Unit::Currency) => Some(2),
        Quantity::Of(Unit::Count) if kind != Kind::Lines => Some(0),
        _ => None,
    }
}

/// How far an axis reaches at least, from 0; none where values are far from it, or on both sides.
fn least_span(quantity: Quantity) -> Option<f64> {
    match quantity {
        Quantity::Of(Unit::Count) => Some(1.0),
        Quantity::Of(Unit::Ratio) | Quantity::PerSecond(Unit::Count) => Some(0.01),
        Quantity::Of(Unit::Seconds) => Some(0.001),
        _ => None,
    }
}

/// What is undefined is grey, whatever the thresholds, and called so.
fn undefined(text: &str) -> Value {
    json!({
        "type": "special",
        "options": { "match": "null+nan", "result": { "text": text, "color": GREY, "index": 0 } },
    })
}

/// What the first query of a panel yields, which is the axis of all.
pub(super) fn first_quantity(panel: &Panel, vocabulary: &Vocabulary) -> Quantity {
    let first = panel.queries.first();
    match first.map_or(Quantity::Unknown, |query| quantity(&query.text, vocabulary)) {
        Quantity::Unknown if panel.is_share => Quantity::Of(Unit::Ratio),
        quantity => quantity,
    }
}

fn defaults(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let mut defaults = json!({
        "unit": unit_of(panel, vocabulary),
        "thresholds": thresholds(panel),
        "color": { "mode": if panel.kind == Kind::Lines { "palette-classic" } else { "thresholds" } },
    });
    if panel.kind != Kind::Table
        && let Some(decimals) = decimals(panel.kind, first_quantity(panel, vocabulary))
    {
        defaults["decimals"] = json!(decimals);
    }
    match panel.kind {
        Kind::Lines => {
            let marks = if panel.thresholds == Thresholds::None {
                "off"
            } else {
                "dashed"
            };
            defaults["custom"] = json!({ "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false, "thresholdsStyle": { "mode": marks } });
            // Nothing at all is a line at the bottom, not one in an axis up to 10,000 %.
            if let Some(least) = least_span(first_quantity(panel, vocabulary)) {
                defaults["custom"]["axisSoftMin"] = json!(0);
                defaults["custom"]["axisSoftMax"] = json!(least);
            }
        }
        Kind::Switches => {
            let word = |text: &str, color: &str, index: u8| json!({ "text": text, "color": color, "index": index });
            let words = &panel.words;
            let off = if words.is_off_bad { "red" } else { GREY };
            defaults["mappings"] = json!([
                { "type": "value", "options": { "0": word(&words.off, off, 1), "1": word(&words.on, "green", 2) } },
                undefined("undefined"),
            ]);
            defaults["custom"] = json!({ "fillOpacity": 70, "lineWidth": 0 });
        }
        Kind::Stat => {
            defaults["noValue"] = json!("no data");
            defaults["mappings"] = json!([undefined("undefined")]);
        }
        Kind::Bars => {
            defaults["mappings"] = json!([undefined("–")]);
            // Otherwise the longest bar is full, though a tenth may be all there is of it.
            if first_quantity(panel, vocabulary) == Quantity::Of(Unit::Ratio) {
                defaults["min"] = json!(0);
                defaults["max"] = json!(1);
            }
        }
        Kind::Table => {
            defaults["mappings"] = json!([undefined("–")]);
            defaults["custom"] = json!({ "minWidth": width("") });
        }
        Kind::Heatmap => {}
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
            // Of several values, and of an amount of money, the name says whose and in what.
            // What is neither good nor bad has no colour.
            "reduceOptions": reduced, "graphMode": "none",
            "colorMode": if panel.thresholds == Thresholds::None { "none" } else { "background" },
            "textMode": if panel.queries.iter().all(|query| query.legend.is_empty()) { "value" } else { "value_and_name" },
            "justifyMode": "auto", "orientation": "auto", "wideLayout": true, "showPercentChange": false,
            "percentChangeColorMode": "standard",
        }),
        // The worst first: where there are a hundred, nobody reads the rest.
        Kind::Lines => {
            let is_low_bad = matches!(panel.thresholds, Thresholds::Below(..));
            let (worst, sorted) = if is_low_bad {
                ("min", "Min")
            } else {
                ("max", "Max")
            };
            json!({
                "legend": {
                    "displayMode": "table", "placement": "bottom", "showLegend": true,
                    "calcs": ["lastNotNull", worst], "sortBy": sorted, "sortDesc": !is_low_bad,
                },
                "tooltip": { "mode": "multi", "sort": if is_low_bad { "asc" } else { "desc" } },
            })
        }
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
            "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 32, "namePlacement": "auto", "sizing": "manual",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
        }),
        Kind::Table => {
            let (column, is_most_first) = order(panel);
            let order = json!({ "displayName": column, "desc": is_most_first });
            json!({ "frameIndex": 0, "showHeader": true, "cellHeight": "sm", "sortBy": [order] })
        }
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

/// The column by which rows are in order, and whether the highest comes first.
pub(super) fn order(panel: &Panel) -> (String, bool) {
    let first = || {
        let mut shown = panel.queries.iter().map(|query| &query.legend);
        let first = shown.find(|legend| !panel.hidden.contains(legend));
        (first.cloned().unwrap_or_default(), true)
    };
    panel.order.clone().unwrap_or_else(first)
}

/// The labels by which a query tells its series apart, in the order in which it names them.
pub(super) fn labels(query: &super::Query) -> impl Iterator<Item = &str> {
    let by = query.text.split_once("by (").map(|(_, rest)| rest);
    let by = by.and_then(|rest| rest.split_once(')'));
    let labels = by.map_or("", |(labels, _)| labels).split(',');
    labels.map(str::trim).filter(|label| !label.is_empty())
}

/// The labels that have no column: of those of a process, its mode and instance are enough to know it by.
pub(super) fn known_labels(panel: &Panel) -> &'static [&'static str] {
    let mut labels = panel.queries.iter().flat_map(labels);
    if labels.any(|label| label == super::INSTANCE) {
        &["service", "environment"]
    } else {
        &[]
    }
}

/// What is in no column.
fn excluded(panel: &Panel) -> Value {
    let hidden = columns(panel).filter(|(_, query)| panel.hidden.contains(&query.legend));
    let excluded = std::iter::once("Time").chain(known_labels(panel).iter().copied());
    excluded
        .map(str::to_owned)
        .chain(hidden.map(|(column, _)| column))
        .map(|column| (column, json!(true)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The labels of a table's rows: whose a row is comes first, then which process says so.
pub(super) fn row_labels(panel: &Panel) -> impl Iterator<Item = &str> {
    let of_process = |label: &&str| super::PROCESS.split(", ").any(|key| key == *label);
    let named = panel.queries.first().into_iter().flat_map(labels);
    let (process, own): (Vec<_>, Vec<_>) = named.partition(of_process);
    own.into_iter().chain(process)
}

/// Labels come first, then the values in the order in which they are asked.
fn places(panel: &Panel) -> Value {
    row_labels(panel)
        .map(str::to_owned)
        .chain(columns(panel).map(|(column, _)| column))
        .enumerate()
        .map(|(i, column)| (column, json!(i)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn renamed(panel: &Panel) -> Value {
    columns(panel)
        .map(|(column, query)| (column, json!(query.legend)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Each column of a table has its own unit, and is as wide as its heading at least.
fn overrides(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let property = |id: &str, value: Value| json!({ "id": id, "value": value });
    let of_field = |name: &str, properties: Vec<Value>| json!({ "matcher": { "id": "byName", "options": name }, "properties": properties });
    let (ordered, _) = order(panel);
    let of_column = |(_, query): (String, &super::Query)| {
        let quantity = quantity(&query.text, vocabulary);
        let mut properties = vec![property("unit", json!(grafana_unit(quantity)))];
        if let Some(decimals) = decimals(panel.kind, quantity) {
            properties.push(property("decimals", json!(decimals)));
        }
        // The heading of the order has an arrow.
        let arrow = if ordered == query.legend { 18 } else { 0 };
        let is_money = quantity == Quantity::Of(Unit::Currency);
        let wide = width(&query.legend).max(if is_money { 94 } else { 0 }) + arrow;
        properties.push(property("custom.minWidth", json!(wide)));
        of_field(&query.legend, properties)
    };
    let named = panel
        .queries
        .iter()
        .flat_map(labels)
        .collect::<BTreeSet<_>>();
    let of_label = |label| {
        of_field(
            label,
            vec![property("custom.minWidth", json!(label_width(label)))],
        )
    };
    let columns = columns(panel).map(of_column);
    columns.chain(named.into_iter().map(of_label)).collect()
}

/// How many pixels a column of values is wide at least: what its heading takes. Grafana's own are so wide that half of a table is out of
/// sight.
fn width(heading: &str) -> usize {
    const AROUND: usize = 18;
    (heading.chars().count() * 15 / 2 + AROUND).max(72)
}

/// The same of a column of a label's values: words, names or an address with its port.
fn label_width(key: &str) -> usize {
    let values = match key {
        "account" | "currency" | "mode" | "result" | "severity" | "side" | "venue" => 0,
        "alertname" | "calendar" => 190,
        "metric" => 340,
        _ => 128,
    };
    width(key).max(values)
}

fn annotations(scope: &Scope) -> Value {
    let asked = |text: &str| json!({ "refId": "Anno", "expr": text, "interval": "60s" });
    // An alert on the pipeline itself has none of the labels, and concerns everybody.
    let chosen = scope
        .labels
        .iter()
        .map(|(key, _)| format!("{key}=~\"${key}|\""));
    let chosen: Vec<_> = std::iter::once(r#"alertstate="firing""#.to_owned())
        .chain(chosen)
        .collect();
    let firing = format!("ALERTS{{{}}}", chosen.join(", "));
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

/// What can be chosen at the top of a dashboard.
pub(super) struct Choice<'a> {
    /// The label whose values are chosen, which is the variable's name as well.
    pub(super) label: &'a str,
    /// Its heading.
    pub(super) title: &'a str,
    /// The series that have the values: each is asked among what the choices before it leave.
    pub(super) among: String,
    /// What is chosen at first; everything where there is nothing.
    pub(super) chosen: Option<&'a str>,
}

/// What can be chosen, from the widest to the narrowest.
pub(super) fn choices(dashboard: &Dashboard) -> Vec<Choice<'_>> {
    let scope = &dashboard.scope;
    let mut choices: Vec<_> = scope
        .labels
        .iter()
        .enumerate()
        .map(|(i, (label, title))| {
            let before = Some(scope.up_to(i)).filter(|before| !before.is_empty());
            let before = before.map_or_else(String::new, |before| format!("{{{before}}}"));
            let among = format!("{}{before}", scope.from);
            let chosen = scope.chosen.iter().find(|(key, _)| key == label);
            Choice {
                label,
                title,
                among,
                chosen: chosen.map(|(_, value)| value.as_str()),
            }
        })
        .collect();
    let mut queries = panels_of(dashboard).flat_map(|panel| &panel.queries);
    if queries.any(|query| query.text.contains("$strategy")) {
        choices.push(Choice {
            label: "strategy",
            title: "Strategy",
            among: format!("trading_strategy_active{{{}}}", scope.matchers()),
            chosen: None,
        });
    }
    choices
}

fn variables(dashboard: &Dashboard) -> Value {
    let mut list = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0,
        "includeAll": false, "multi": false, "options": [], "regex": "", "skipUrlSync": false,
    })];
    for choice in choices(dashboard) {
        let query = format!("label_values({}, {})", choice.among, choice.label);
        let (text, value) = choice
            .chosen
            .map_or(("All", "$__all"), |value| (value, value));
        list.push(json!({
            "name": choice.label, "label": choice.title, "type": "query", "datasource": source(),
            "definition": query, "query": { "query": query, "refId": "variable" },
            // Every value, and none: a service need not be told its environment.
            "includeAll": true, "allValue": ".*", "multi": true,
            "current": { "selected": true, "text": [text], "value": [value] },
            // Asked again when the time range changes, so that a strategy that is gone can still be looked at.
            "refresh": 2, "sort": 1, "hide": 0, "options": [], "regex": "", "skipUrlSync": false,
        }));
    }
    list.into()
}
