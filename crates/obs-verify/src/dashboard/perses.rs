//! The same dashboards as resources of Perses 0.52 and later, which CNCF's open alternative to Grafana provisions from a folder.
//!
//! What its plugins do not have becomes what is nearest to it:
//!
//! - A bar for each series has no colours, since `BarChart` knows no thresholds; the description says from where on it is bad.
//! - A switch over time is a `StatusHistoryChart`.
//! - A heat map draws native histograms only. One of a histogram that Prometheus stores both ways asks for the native one; one of
//!   recorded buckets becomes lines of quantiles.
//! - A number is the last one within the time shown, because Perses asks for numbers over time as well.
//! - Axes have no soft bounds, and there are no marks of alerts and restarts.
//! - A panel links to the runbooks of its alerts where these have URLs. Perses has no list of alerts to link to.

use std::collections::BTreeSet;
use std::fmt::Write;

use obs_core::Unit;
use serde_json::{Map, Value, json};

use super::json::{
    COLUMNS, Choice, GREY, choices, decimals, described, first_quantity, height, known_labels,
    order, quantity, row_labels, runbook,
};
use super::{Dashboard, Kind, Panel, Query, Scope, Thresholds};
use crate::Catalog;
use crate::promql::{Quantity, Vocabulary};

/// Perses takes colours by number only. These are Grafana's.
const GREEN: &str = "#73bf69";
const ORANGE: &str = "#ff9830";
const RED: &str = "#f2495c";
/// Names of panels are no longer than this.
const LONGEST: usize = 64;
/// The quantiles that stand for a heat map of classic buckets.
const QUANTILES: [(&str, &str); 3] = [("0.5", "median"), ("0.95", "95 %"), ("0.99", "99 %")];

/// A dashboard as the resource `Dashboard` of a project, whose queries go to the data source that is Perses' default.
#[must_use]
pub fn dashboard(
    dashboard: &Dashboard,
    catalog: &Catalog,
    vocabulary: &Vocabulary,
    project: &str,
) -> Value {
    let scope = &dashboard.scope;
    let mut panels = Map::new();
    let mut layouts = Vec::new();
    for row in &dashboard.rows {
        let (width, height) = (COLUMNS / row.panels.len(), height(row));
        let mut items = Vec::new();
        for (i, panel) in row.panels.iter().enumerate() {
            let name = free_name(&panel.title, &panels);
            items.push(json!({
                "x": i * width, "y": 0, "width": width, "height": height,
                "content": { "$ref": format!("#/spec/panels/{name}") },
            }));
            panels.insert(name, draw(panel, scope, catalog, vocabulary));
        }
        layouts.push(json!({
            "kind": "Grid",
            "spec": {
                "display": { "title": row.title, "collapse": { "open": !row.is_folded } },
                "items": items,
            },
        }));
    }
    let variables: Vec<_> = choices(dashboard).iter().map(variable).collect();
    json!({
        "kind": "Dashboard",
        "metadata": { "name": format!("{}-{}", scope.tag, dashboard.name), "project": project },
        "spec": {
            "display": { "name": dashboard.title, "description": dashboard.description },
            "duration": "1h",
            "refreshInterval": "30s",
            "variables": variables,
            "panels": panels,
            "layouts": layouts,
        },
    })
}

/// The project that the dashboards belong to.
#[must_use]
pub fn project(name: &str) -> Value {
    json!({ "kind": "Project", "metadata": { "name": name }, "spec": { "display": { "name": name } } })
}

/// The Prometheus at this URL as the data source that dashboards of all projects ask unless they name another. Perses reaches it by
/// itself, so that browsers need not.
#[must_use]
pub fn datasource(url: &str) -> Value {
    json!({
        "kind": "GlobalDatasource",
        "metadata": { "name": "prometheus" },
        "spec": {
            "default": true,
            "plugin": {
                "kind": "PrometheusDatasource",
                // As long as between two scrapes, so that `$__rate_interval` always holds some.
                "spec": { "proxy": { "kind": "HTTPProxy", "spec": { "url": url } }, "scrapeInterval": "15s" },
            },
        },
    })
}

/// A name that no panel has yet: what its title says, in letters that references may have.
fn free_name(title: &str, taken: &Map<String, Value>) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            ' '
        }
    };
    let spaced: String = title.chars().map(letter).collect();
    let mut name = spaced.split_whitespace().collect::<Vec<_>>().join("-");
    name.truncate(LONGEST);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names
        .find(|name| !taken.contains_key(name))
        .unwrap_or_default()
}

fn variable(choice: &Choice<'_>) -> Value {
    let chosen = choice.chosen.unwrap_or("$__all");
    json!({
        "kind": "ListVariable",
        "spec": {
            "name": choice.label,
            "display": { "name": choice.title },
            "defaultValue": [chosen],
            // Every value, and none: a service may have no environment.
            "allowAllValue": true, "customAllValue": ".*", "allowMultiple": true,
            "sort": "alphabetical-asc",
            "plugin": {
                "kind": "PrometheusLabelValuesVariable",
                "spec": { "labelName": choice.label, "matchers": [choice.among] },
            },
        },
    })
}

fn draw(panel: &Panel, scope: &Scope, catalog: &Catalog, vocabulary: &Vocabulary) -> Value {
    let mut description = described(panel, scope, catalog);
    let drawn = Drawn::of(panel);
    if let Drawn::Bars = drawn {
        description.push_str(&bounds(panel.thresholds));
    }
    let queries: Vec<_> = drawn.queries(panel);
    let runbooks = super::alerts_in(&panel.act).filter_map(|alert| runbook(alert, scope));
    let links: Vec<_> = runbooks
        .map(|(name, url)| json!({ "name": name, "url": url, "targetBlank": true }))
        .collect();
    let mut spec = json!({
        "display": { "name": panel.title, "description": description },
        "plugin": drawn.plugin(panel, vocabulary),
        "queries": queries,
    });
    if !links.is_empty() {
        spec["links"] = links.into();
    }
    json!({ "kind": "Panel", "spec": spec })
}

/// Which plugin draws a panel.
#[derive(Clone, Copy)]
enum Drawn {
    Number,
    Lines,
    /// A heat map of native histograms: the query for them, which is the first of two.
    NativeHeat,
    /// A heat map of classic buckets, as quantiles.
    Quantiles,
    Bars,
    Table,
    Switches,
}

impl Drawn {
    fn of(panel: &Panel) -> Self {
        match panel.kind {
            Kind::Stat => Self::Number,
            Kind::Lines => Self::Lines,
            Kind::Heatmap if panel.queries.iter().all(|q| native(q).is_some()) => Self::NativeHeat,
            Kind::Heatmap => Self::Quantiles,
            Kind::Bars => Self::Bars,
            Kind::Table => Self::Table,
            Kind::Switches => Self::Switches,
        }
    }

    fn queries(self, panel: &Panel) -> Vec<Value> {
        let asked = panel.queries.iter();
        match self {
            Self::NativeHeat => asked
                .filter_map(native)
                .map(|text| query(text, ""))
                .collect(),
            Self::Quantiles => {
                let of_one = |(level, name): (&str, &str), asked: &Query| {
                    query(
                        &format!("histogram_quantile({level}, {})", asked.text),
                        name,
                    )
                };
                let quantiles = QUANTILES.into_iter();
                quantiles
                    .flat_map(|quantile| asked.clone().map(move |asked| of_one(quantile, asked)))
                    .collect()
            }
            _ => asked
                .map(|asked| query(&asked.text, &asked.legend))
                .collect(),
        }
    }

    fn plugin(self, panel: &Panel, vocabulary: &Vocabulary) -> Value {
        let format = || format(panel.kind, first_quantity(panel, vocabulary));
        let is_low_bad = matches!(panel.thresholds, Thresholds::Below(..));
        let (kind, mut spec) = match self {
            Self::Number => (
                "StatChart",
                json!({
                    "calculation": "last-number", "format": format(), "mappings": [undefined("undefined")],
                }),
            ),
            Self::Lines | Self::Quantiles => {
                let worst = if is_low_bad { "min" } else { "max" };
                let mut spec = json!({
                    "legend": { "position": "bottom", "mode": "table", "values": ["last-number", worst] },
                    "yAxis": { "show": true, "format": format() },
                    "visual": { "lineWidth": 1, "areaOpacity": 0.1, "connectNulls": false },
                });
                if first_quantity(panel, vocabulary) == Quantity::Of(Unit::BasisPoints) {
                    spec["yAxis"]["label"] = json!("bps");
                }
                ("TimeSeriesChart", spec)
            }
            Self::NativeHeat => (
                "HeatMapChart",
                json!({ "yAxisFormat": format(), "countFormat": format_of_counts(), "showVisualMap": true }),
            ),
            Self::Bars => {
                let sort = if is_low_bad { "asc" } else { "desc" };
                (
                    "BarChart",
                    json!({ "calculation": "last-number", "format": format(), "sort": sort, "mode": "value" }),
                )
            }
            Self::Table => ("Table", table(panel, vocabulary)),
            Self::Switches => ("StatusHistoryChart", switches(panel)),
        };
        if matches!(self, Self::Number | Self::Lines | Self::Quantiles) {
            // What is neither good nor bad has no colour.
            if let Some(thresholds) = thresholds(panel.thresholds) {
                spec["thresholds"] = thresholds;
            }
        }
        json!({ "kind": kind, "spec": spec })
    }
}

fn query(text: &str, legend: &str) -> Value {
    let mut spec = json!({ "query": text });
    // Without one Perses names a series by all of its labels.
    if !legend.is_empty() {
        spec["seriesNameFormat"] = json!(legend);
    }
    json!({
        "kind": "TimeSeriesQuery",
        "spec": { "plugin": { "kind": "PrometheusTimeSeriesQuery", "spec": spec } },
    })
}

/// The part of a heat map's query that asks for native histograms, as [`Panel::spread`] writes it.
fn native(query: &Query) -> Option<&str> {
    query
        .text
        .split_once(" or on () ")
        .map(|(native, _)| native)
}

/// The unit of a value, by Perses' name, and how many of its decimals mean something.
fn format(kind: Kind, quantity: Quantity) -> Value {
    let (unit, is_short) = match quantity {
        Quantity::Of(Unit::Seconds) => ("seconds", false),
        Quantity::Of(Unit::Bytes) => ("bytes", true),
        Quantity::Of(Unit::Ratio) | Quantity::PerSecond(Unit::Seconds) => {
            ("percent-decimal", false)
        }
        // Which currency, the series say.
        Quantity::Of(Unit::Currency) => ("decimal", false),
        Quantity::PerSecond(Unit::Bytes) => ("bytes/sec", true),
        Quantity::PerSecond(Unit::Count) => ("counts/sec", true),
        _ => ("decimal", true),
    };
    let mut format = json!({ "unit": unit });
    if is_short {
        format["shortValues"] = json!(true);
    }
    if let Some(decimals) = decimals(kind, quantity) {
        format["decimalPlaces"] = json!(decimals);
    }
    format
}

fn format_of_counts() -> Value {
    format(Kind::Heatmap, Quantity::Of(Unit::Number))
}

fn thresholds(thresholds: Thresholds) -> Option<Value> {
    let step = |color: &str, value: f64| json!({ "color": color, "value": value });
    let (lowest, steps) = match thresholds {
        Thresholds::None => return None,
        Thresholds::Above(look, bad) => (GREEN, [step(ORANGE, look), step(RED, bad)]),
        Thresholds::Below(look, bad) => (RED, [step(ORANGE, bad), step(GREEN, look)]),
    };
    Some(json!({ "mode": "absolute", "defaultColor": lowest, "steps": steps }))
}

/// From where on it is bad, in words.
fn bounds(thresholds: Thresholds) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match thresholds {
        Thresholds::None => Ok(()),
        Thresholds::Above(look, bad) => {
            write!(text, "\n\nWorth a look from {look}, bad from {bad}.")
        }
        Thresholds::Below(look, bad) => {
            write!(text, "\n\nWorth a look below {look}, bad below {bad}.")
        }
    };
    text
}

fn undefined(text: &str) -> Value {
    json!({ "kind": "Misc", "spec": { "value": "NaN", "result": { "value": text, "color": GREY } } })
}

fn switches(panel: &Panel) -> Value {
    let words = &panel.words;
    let off = if words.is_off_bad { RED } else { GREY };
    let mapping = |value: &str, word: &str, color: &str| json!({ "kind": "Value", "spec": { "value": value, "result": { "value": word, "color": color } } });
    json!({
        "legend": { "position": "bottom", "mode": "list" },
        "mappings": [
            mapping("0", &words.off, off), mapping("1", &words.on, GREEN), undefined("undefined"),
        ],
    })
}

/// A row for each series: its labels, and a column for each query.
fn table(panel: &Panel, vocabulary: &Vocabulary) -> Value {
    let (ordered, is_most_first) = order(panel);
    let mut columns = vec![json!({ "name": "timestamp", "hide": true })];
    let sorted = |mut column: Value, heading: &str| {
        if heading == ordered {
            column["sort"] = json!(if is_most_first { "desc" } else { "asc" });
        }
        column["enableSorting"] = json!(true);
        column
    };
    let known: BTreeSet<_> = known_labels(panel).iter().copied().collect();
    for label in row_labels(panel) {
        let column = if known.contains(label) {
            json!({ "name": label, "hide": true })
        } else {
            sorted(json!({ "name": label, "header": label }), label)
        };
        columns.push(column);
    }
    let is_one_of_many = panel.queries.len() > 1;
    for (i, query) in panel.queries.iter().enumerate() {
        let name = if is_one_of_many {
            format!("value #{}", i + 1)
        } else {
            "value".to_owned()
        };
        let heading = &query.legend;
        let column = if panel.hidden.contains(heading) {
            json!({ "name": name, "hide": true })
        } else {
            let format = format(panel.kind, quantity(&query.text, vocabulary));
            let column =
                json!({ "name": name, "header": heading, "format": format, "align": "right" });
            sorted(column, heading)
        };
        columns.push(column);
    }
    let mut spec = json!({
        "density": "compact",
        "columnSettings": columns,
        "cellSettings": [{ "condition": { "kind": "Misc", "spec": { "value": "NaN" } }, "text": "–" }],
    });
    if is_one_of_many {
        spec["transforms"] = json!([{ "kind": "MergeSeries", "spec": {} }]);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::super::{bars, heatmap, row, switches, table};
    use super::*;
    use crate::queries::Query as Asked;

    /// A dashboard of this panel alone, by the metrics of this crate's test catalogue: none.
    fn drawn(panel: Panel) -> Value {
        let catalog = Catalog::from(&obs_core::catalogue());
        let vocabulary = crate::queried::vocabulary(&catalog, &[] as &[Asked]);
        let title = panel.title.clone();
        let of_one = Dashboard {
            name: "one".to_owned(),
            title: "One".to_owned(),
            description: "Of one panel.".to_owned(),
            rows: vec![row("Row", [panel]).folded()],
            scope: Scope {
                runbooks: "https://runbooks.example/".to_owned(),
                ..Scope::default()
            },
        };
        let drawn = dashboard(&of_one, &catalog, &vocabulary, "desk");
        assert_eq!(
            drawn["metadata"],
            json!({ "name": "obs-one", "project": "desk" })
        );
        let grid = &drawn["spec"]["layouts"][0]["spec"];
        assert_eq!(grid["display"]["collapse"]["open"], false);
        let name = free_name(&title, &Map::new());
        assert_eq!(
            grid["items"][0]["content"]["$ref"],
            format!("#/spec/panels/{name}")
        );
        drawn["spec"]["panels"][&name]["spec"].clone()
    }

    #[test]
    fn panels_are_named_by_their_titles_and_never_alike() {
        let mut taken = Map::new();
        for (title, name) in [
            ("Win ratio, 90 %", "win-ratio-90"),
            ("win_ratio 90", "win-ratio-90-2"),
            ("– 90: win ratio", "90-win-ratio"),
            ("Win.ratio.90", "win-ratio-90-3"),
        ] {
            let found = free_name(title, &taken);
            assert_eq!(found, name);
            taken.insert(found, Value::Null);
        }
        assert!(free_name(&"long ".repeat(40), &taken).len() <= LONGEST);
    }

    #[test]
    fn a_heat_map_asks_for_what_its_plugin_draws() {
        let asked = |panel: &Value, i: usize| {
            panel["queries"][i]["spec"]["plugin"]["spec"]["query"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let both = drawn(heatmap("Both", "How it spreads.").spread("order_seconds{@}"));
        assert_eq!(both["plugin"]["kind"], "HeatMapChart");
        let native = asked(&both, 0);
        assert!(
            native.starts_with("sum(increase(order_seconds{"),
            "{native}"
        );
        assert!(!native.contains("_bucket"), "{native}");

        let recorded =
            heatmap("Recorded", "How it spreads.").ask("sum by (le) (a:b:rate5m{@})", "{{le}}");
        let recorded = drawn(recorded);
        assert_eq!(recorded["plugin"]["kind"], "TimeSeriesChart");
        let median = asked(&recorded, 0);
        assert!(
            median.starts_with("histogram_quantile(0.5, sum by (le) (a:b:rate5m{"),
            "{median}"
        );
        assert_eq!(recorded["queries"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn columns_of_a_table_are_those_that_are_asked() {
        let panel = table("Errors", "By kind.")
            .ask("max by (#, kind) (errors_total{@})", "errors")
            .ask("max by (#, kind) (a:b{@})", "hourly")
            .ask("max by (#, kind) (app_info{@})", "is there")
            .hide("is there")
            .least("kind");
        let spec = drawn(panel)["plugin"]["spec"].clone();
        let columns = spec["columnSettings"].as_array().unwrap();
        let shown = columns.iter().filter(|column| column["hide"] != true);
        let shown: Vec<_> = shown
            .map(|c| (c["name"].as_str().unwrap(), c["header"].as_str().unwrap()))
            .collect();
        assert_eq!(
            shown,
            [
                ("kind", "kind"),
                ("mode", "mode"),
                ("instance", "instance"),
                ("value #1", "errors"),
                ("value #2", "hourly"),
            ]
        );
        let mut sorted = columns.iter().filter(|column| !column["sort"].is_null());
        assert_eq!(
            sorted.next().map(|c| (&c["name"], &c["sort"])),
            Some((&json!("kind"), &json!("asc")))
        );
        assert_eq!(sorted.next(), None);
        assert_eq!(spec["transforms"][0]["kind"], "MergeSeries");
    }

    #[test]
    fn what_turns_red_says_from_where_on_and_what_to_do() {
        let limits = bars("Limits", "How near.")
            .ask("max(errors_total{@})", "")
            .below(0.25, 0.1);
        let limits = drawn(limits.act("RiskLimitNear"));
        let description = limits["display"]["description"].as_str().unwrap();
        assert!(
            description.ends_with("Worth a look below 0.25, bad below 0.1."),
            "{description}"
        );
        assert_eq!(limits["plugin"]["spec"]["sort"], "asc");
        assert_eq!(
            limits["links"][0]["url"],
            "https://runbooks.example/risklimitnear"
        );

        let session = switches("Session", "Open or not.")
            .ask("max(errors_total{@})", "")
            .quiet("closed", "open");
        let mappings = &drawn(session)["plugin"]["spec"]["mappings"];
        assert_eq!(
            mappings[0]["spec"]["result"],
            json!({ "value": "closed", "color": GREY })
        );
    }
}
