//! What is wrong with a dashboard as it is in its file, beyond what its queries ask.
//!
//! Each check stands for a fault that a look at drawn dashboards has found: a Sharpe ratio added up over desks, a panel that shows the
//! backtest whatever mode is chosen, red for what is undefined. They read the JSON, so that they hold what is written by hand as well.

use std::collections::BTreeSet;

use obs_core::Unit;
use promql_parser::parser::{AggregateExpr, Expr, token};
use serde_json::Value;

use super::json::{GREY, grafana_unit, is_recorded, is_unit_of, quantity};
use super::{INSTANCE, PROCESS};
use crate::Family;
use crate::lint::{selector, unwrapped, walk};
use crate::promql::{Quantity, Series, Shape, Vocabulary, Yield, check, parse, yields};
use crate::queries::substituted;

/// The grid is this wide.
const COLUMNS: u64 = 24;
/// So many letters of a title fit into a column of the grid on a screen of 1600 pixels, beside the marks of the panel.
const LETTERS: u64 = 8;
/// Kinds of panels that have one value of each series, as it is now.
const INSTANT: [&str; 3] = ["stat", "bargauge", "table"];

/// What is wrong with a dashboard, a sentence each, with the panel it is about. `alerts` are the alerts there are, which links lead to.
#[must_use]
pub fn faults(
    dashboard: &Value,
    vocabulary: &Vocabulary,
    alerts: &BTreeSet<String>,
) -> Vec<String> {
    let board = Board {
        variables: variables(dashboard),
        vocabulary,
        alerts,
    };
    let mut faults = board.of_whole(dashboard);
    for panel in panels(dashboard) {
        let title = text(&panel["title"]);
        let of_panel = board.of_panel(panel);
        faults.extend(
            of_panel
                .into_iter()
                .map(|fault| format!("{title}: {fault}")),
        );
    }
    faults
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All panels, those in folded rows among them, and no rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let outer = list(&dashboard["panels"]).iter();
    let all = outer.flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])));
    all.filter(|panel| panel["type"] != "row")
}

/// The variables that choose series.
fn variables(dashboard: &Value) -> BTreeSet<String> {
    let all = list(&dashboard["templating"]["list"]).iter();
    let chosen = all.filter(|variable| variable["type"] == "query");
    chosen
        .map(|variable| text(&variable["name"]).to_owned())
        .collect()
}

struct Board<'a> {
    variables: BTreeSet<String>,
    vocabulary: &'a Vocabulary,
    alerts: &'a BTreeSet<String>,
}

impl Board<'_> {
    fn of_whole(&self, dashboard: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        for variable in list(&dashboard["templating"]["list"]) {
            let chosen = text(&variable["current"]["value"][0]);
            if variable["name"] == "mode" && chosen != "live" {
                faults.push(format!("the mode is `{chosen}` at first, and not live"));
            }
        }
        if !self.variables.contains(INSTANCE) {
            faults.push("no instance can be chosen".to_owned());
        }
        for variable in &self.variables {
            let is_used = |panel: &Value| {
                let queries = list(&panel["targets"]).iter();
                let sign = format!("${variable}");
                queries
                    .map(|query| text(&query["expr"]))
                    .any(|query| query.contains(&sign))
            };
            if !panels(dashboard).any(is_used) {
                faults.push(format!("no panel asks for the variable `{variable}`"));
            }
        }
        let leads_on = |link: &Value| link["includeVars"] == true && link["keepTime"] == true;
        if !list(&dashboard["links"]).iter().any(leads_on) {
            faults.push("no link leads to the other dashboards with the same choices".to_owned());
        }
        faults.extend(repeated(
            panels(dashboard).map(|panel| text(&panel["title"])),
            "title",
        ));
        let outer = list(&dashboard["panels"]).iter();
        let ids = outer
            .clone()
            .chain(panels(dashboard).filter(|p| outer.clone().all(|o| o != *p)));
        let ids: Vec<String> = ids.map(|panel| panel["id"].to_string()).collect();
        faults.extend(repeated(ids.iter().map(String::as_str), "id"));
        faults.extend(rows(dashboard));
        faults
    }

    fn of_panel(&self, panel: &Value) -> Vec<String> {
        let mut faults = shape(panel);
        faults.extend(self.links(panel));
        faults.extend(thresholds(panel));
        faults.extend(legend(panel));
        faults.extend(table(panel));
        for target in list(&panel["targets"]) {
            let query = text(&target["expr"]);
            faults.extend(self.of_query(panel, target, query));
        }
        faults
    }

    /// From what can turn red a way leads to what is to be done.
    fn links(&self, panel: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let links = list(&panel["links"]).iter();
        for link in links.clone() {
            let url = text(&link["url"]);
            let alert = url.split_once("search=").map(|(_, alert)| alert);
            if let Some(alert) = alert
                && !self.alerts.contains(alert)
            {
                faults.push(format!(
                    "a link leads to the alert {alert}, which there is not"
                ));
            }
        }
        let says_what = text(&panel["description"]).contains("When it is red");
        if steps(panel).len() > 1 && !says_what {
            faults.push("it turns red, and does not say what to do then".to_owned());
        }
        let named = text(&panel["description"]).rsplit("When it is red").next();
        for alert in super::alerts_in(named.unwrap_or_default()) {
            let is_linked = |link: &Value| text(&link["url"]).ends_with(&format!("={alert}"));
            if self.alerts.contains(alert) && !links.clone().any(is_linked) {
                faults.push(format!("it names {alert}, and no link leads there"));
            }
        }
        faults
    }

    fn of_query(&self, panel: &Value, target: &Value, query: &str) -> Vec<String> {
        let mut faults = self.unchosen(query);
        let filled = substituted(query);
        let Ok(expr) = parse(&filled) else {
            faults.push(format!("`{query}` is no PromQL"));
            return faults;
        };
        walk(&expr, &mut |part| {
            if let Expr::Aggregate(aggregate) = part {
                faults.extend(self.added_up(aggregate, &filled));
            }
        });
        faults.extend(partly_absent(&expr));
        if has_open_age(&expr) {
            faults.push(
                "an age or a time until then can be negative: wrap it in clamp_min".to_owned(),
            );
        }
        if counts_over_range(query) && steps(panel).len() > 1 {
            faults.push("a fixed threshold on a count over whatever time is shown".to_owned());
        }
        if let (Some(Yield::Vector(series)), _) = check(&filled, self.vocabulary) {
            faults.extend(of_legend(panel, target, &series));
            faults.extend(self.of_money(panel, target, &expr, &series));
        }
        faults.extend(self.unit(panel, target, query));
        faults
    }

    /// Every series is of what is chosen, as far as it has the labels.
    fn unchosen(&self, query: &str) -> Vec<String> {
        let text = query
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1h");
        let Ok(expr) = parse(&text) else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        walk(&expr, &mut |part| {
            let Some(selector) = selector(part) else {
                return;
            };
            let name = selector.name.clone().unwrap_or_default();
            let labels = match check(&name, self.vocabulary).0 {
                Some(Yield::Vector(series)) => series.labels,
                // A counter is not asked for by itself; what it has is known by its rate.
                _ => match check(&format!("rate({name}[5m])"), self.vocabulary).0 {
                    Some(Yield::Vector(series)) => series.labels,
                    _ => BTreeSet::new(),
                },
            };
            for variable in &self.variables {
                let is_of_service = is_recorded(&name) && variable == INSTANCE;
                let chosen = selector.matchers.matchers.iter().any(|matcher| {
                    let value = matcher.value.strip_prefix('$').unwrap_or_default();
                    matcher.name == *variable && value.split('|').next() == Some(variable)
                });
                if labels.contains(variable) && !is_of_service && !chosen {
                    faults.push(format!("`{name}` does not heed the variable `{variable}`"));
                }
            }
        });
        faults
    }

    /// A statistic of two desks is no statistic, and their money is no one's.
    fn added_up(&self, aggregate: &AggregateExpr, query: &str) -> Option<String> {
        let op = aggregate.op.id();
        if ![token::T_SUM, token::T_AVG].contains(&op) || is_flow(&aggregate.expr) {
            return None;
        }
        let Some(Yield::Vector(series)) = yields(&aggregate.expr, query, self.vocabulary) else {
            return None;
        };
        // What was added to buckets within a time that a rule recorded adds up as well.
        if matches!(series.shape, Shape::Buckets | Shape::BucketRates) {
            return None;
        }
        let Quantity::Of(unit) = series.quantity else {
            return None;
        };
        let is_whole = matches!(unit, Unit::Count | Unit::Bytes | Unit::Switch | Unit::Info);
        let kept = aggregate
            .modifier
            .as_ref()
            .map(|by| by.labels().labels.clone());
        let is_by_process = kept.is_some_and(|kept| {
            PROCESS
                .split(", ")
                .all(|key| kept.contains(&key.to_owned()))
        });
        let is_of_one = series.family.as_deref().is_some_and(is_statistic);
        // Within one process amounts add up, as do plain numbers such as lots of several symbols.
        let within_one = matches!(unit, Unit::Currency | Unit::Number) && is_by_process;
        let may_add = (is_whole || within_one) && !is_of_one;
        (!may_add).then(|| {
            format!("adds up or averages {}, which belongs to one process: take `max` or `min` by {PROCESS}", named(&aggregate.expr))
        })
    }

    /// An amount of money says of what currency it is, and has no thousandths.
    fn of_money(&self, panel: &Value, target: &Value, expr: &Expr, series: &Series) -> Vec<String> {
        let mut faults = Vec::new();
        // A heat map has counts, of amounts in each trade's own currency.
        if series.quantity != Quantity::Of(Unit::Currency) || panel["type"] == "heatmap" {
            return faults;
        }
        let is_table = panel["type"] == "table";
        let has_currency = series.labels.contains("currency")
            && (is_table || text(&target["legendFormat"]).contains("{{currency}}"));
        if self.has_currencies(expr) && !has_currency {
            faults.push("an amount of money without its currency".to_owned());
        }
        let of_column = list(&panel["fieldConfig"]["overrides"])
            .iter()
            .filter(|o| o["matcher"]["options"] == target["legendFormat"])
            .flat_map(|o| list(&o["properties"]));
        let mut decimals = of_column
            .filter(|property| property["id"] == "decimals")
            .map(|property| &property["value"]);
        let decimals = if is_table {
            decimals.next()
        } else {
            Some(&panel["fieldConfig"]["defaults"]["decimals"])
        };
        if decimals
            .and_then(Value::as_u64)
            .is_none_or(|decimals| decimals > 2)
        {
            faults.push("an amount of money with thousandths".to_owned());
        }
        faults
    }

    /// Whether amounts of several currencies are asked for: a service that has one only need not say which.
    fn has_currencies(&self, expr: &Expr) -> bool {
        let mut has_currencies = false;
        walk(expr, &mut |part| {
            let name = selector(part).and_then(|selector| selector.name.as_deref());
            let series = name.and_then(|name| self.vocabulary.series(name));
            has_currencies |= series.is_some_and(|series| series.labels.contains("currency"));
        });
        has_currencies
    }

    fn unit(&self, panel: &Value, target: &Value, query: &str) -> Option<String> {
        let yields = quantity(query, self.vocabulary);
        let of_column = list(&panel["fieldConfig"]["overrides"])
            .iter()
            .find(|o| o["matcher"]["options"] == target["legendFormat"]);
        let unit = match of_column {
            Some(column) => list(&column["properties"])
                .iter()
                .find(|property| property["id"] == "unit")
                .map_or("", |property| text(&property["value"])),
            None if panel["type"] == "table" => "",
            None => text(&panel["fieldConfig"]["defaults"]["unit"]),
        };
        // The axis has the unit of the first; others may be a plain number of the same size.
        let is_first = list(&panel["targets"]).first() == Some(target) || of_column.is_some();
        let is_right = is_unit_of(unit, yields, query);
        (!is_right && (is_first || panel["type"] == "table")).then(|| {
            let right = grafana_unit(yields);
            format!("yields `{right}`, and is shown as `{unit}`")
        })
    }
}

/// Whether a gauge counts something that means something of one process only: a streak.
pub(crate) fn is_statistic(family: &Family) -> bool {
    family.name.contains("streak")
}

/// Events and what flows add up over all processes that count them.
fn is_flow(expr: &Expr) -> bool {
    let mut is_flow = false;
    walk(expr, &mut |part| {
        if let Expr::Call(call) = part {
            is_flow |=
                ["rate", "irate", "increase", "histogram_quantile"].contains(&call.func.name);
        }
    });
    is_flow
}

fn named(expr: &Expr) -> String {
    let mut name = None;
    walk(expr, &mut |part| {
        if let Some(found) = selector(part) {
            name = name.take().or_else(|| found.name.clone());
        }
    });
    format!("`{}`", name.unwrap_or_default())
}

/// What is added to something else is nothing where that is absent.
fn partly_absent(expr: &Expr) -> Option<String> {
    let Expr::Binary(binary) = unwrapped(expr) else {
        return None;
    };
    let is_sum = binary.op.id() == token::T_ADD;
    let other = |side: &Expr| matches!(unwrapped(side), Expr::Aggregate(_));
    (is_sum && other(&binary.lhs) && other(&binary.rhs)).then(|| {
        "a sum that is empty where one of its families is absent: join them by `or`".to_owned()
    })
}

/// Whether a time is compared with now, and the result may be below 0: clocks differ, and times pass.
fn has_open_age(expr: &Expr) -> bool {
    let is_now =
        |side: &Expr| matches!(unwrapped(side), Expr::Call(call) if call.func.name == "time");
    let (mut ages, mut bounded) = (0, 0);
    let count = |within: &Expr| {
        let mut count = 0;
        walk(within, &mut |part| {
            if let Expr::Binary(binary) = part {
                let is_age =
                    binary.op.id() == token::T_SUB && (is_now(&binary.lhs) || is_now(&binary.rhs));
                count += usize::from(is_age);
            }
        });
        count
    };
    ages += count(expr);
    walk(expr, &mut |part| {
        if let Expr::Call(call) = part
            && call.func.name == "clamp_min"
        {
            bounded += call.args.args.first().map_or(0, |inner| count(inner));
        }
    });
    ages > bounded
}

/// Whether it is a number of events within the time shown, rather than a share of them.
fn counts_over_range(query: &str) -> bool {
    query.contains("increase(") && query.contains("[$__range]") && !query.contains(" / ")
}

/// Labels in a legend that no series has are blanks, and several series without any are called the same.
fn of_legend(panel: &Value, target: &Value, series: &Series) -> Vec<String> {
    let mut faults = Vec::new();
    let legend = text(&target["legendFormat"]);
    if panel["type"] == "table" {
        return faults;
    }
    for key in legend
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
    {
        if !series.labels.contains(key.0) {
            faults.push(format!("its legend names `{}`, which no series has", key.0));
        }
    }
    if !series.labels.is_empty() && !legend.contains("{{") && panel["type"] != "heatmap" {
        faults.push(format!("several series are called `{legend}`"));
    }
    faults
}

/// What each panel has, whatever it asks.
fn shape(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let (kind, title) = (text(&panel["type"]), text(&panel["title"]));
    let width = panel["gridPos"]["w"].as_u64().unwrap_or_default();
    let letters = u64::try_from(title.chars().count()).unwrap_or(u64::MAX);
    if title.is_empty() || letters > width * LETTERS {
        faults.push(format!(
            "its title has {letters} letters, and there is room for {}",
            width * LETTERS
        ));
    }
    if text(&panel["description"]).is_empty() {
        faults.push("it does not say what it shows".to_owned());
    }
    if list(&panel["targets"]).is_empty() {
        faults.push("it asks nothing".to_owned());
    }
    let is_instant = INSTANT.contains(&kind);
    for target in list(&panel["targets"]) {
        if target["datasource"]["uid"] != "${datasource}" {
            faults.push("a query does not go to the data source that is chosen".to_owned());
        }
        if target["instant"] != is_instant || target["range"] == is_instant {
            faults.push(
                "asks over time what is shown as it is now, or the other way round".to_owned(),
            );
        }
    }
    if kind == "stat" && panel["fieldConfig"]["defaults"]["noValue"].is_null() {
        faults.push("nothing says that there is nothing".to_owned());
    }
    faults
}

fn steps(panel: &Value) -> &[Value] {
    list(&panel["fieldConfig"]["defaults"]["thresholds"]["steps"])
}

/// Where it turns red, and that what is undefined does not.
fn thresholds(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let steps = steps(panel);
    let bounds: Vec<_> = steps.iter().map(|step| step["value"].as_f64()).collect();
    let further = bounds.get(1..).unwrap_or_default();
    let ascend = further.windows(2).all(|pair| pair[0] <= pair[1]);
    if bounds.first() != Some(&None) || further.contains(&None) || !ascend {
        faults.push("its thresholds do not ascend from no bound at all".to_owned());
    }
    if steps.len() > 1 {
        let red = steps.iter().filter(|step| step["color"] == "red").count();
        let ends = [steps.first(), steps.last()].into_iter().flatten();
        if red != 1 || !ends.clone().any(|step| step["color"] == "red") {
            faults.push("its thresholds have no end that is red".to_owned());
        }
    }
    let is_coloured = panel["fieldConfig"]["defaults"]["color"]["mode"] == "thresholds";
    let is_grey = |mapping: &Value| {
        mapping["options"]["match"] == "null+nan" && mapping["options"]["result"]["color"] == GREY
    };
    let mappings = list(&panel["fieldConfig"]["defaults"]["mappings"]);
    if is_coloured && panel["type"] != "heatmap" && !mappings.iter().any(is_grey) {
        faults.push("what is undefined is not grey".to_owned());
    }
    if panel["type"] == "stat"
        && (panel["options"]["colorMode"] == "background") != (steps.len() > 1)
    {
        faults.push(
            "it has a colour though nothing of it is good or bad, or none though it is".to_owned(),
        );
    }
    faults
}

/// The worst is on top.
fn legend(panel: &Value) -> Vec<String> {
    if panel["type"] != "timeseries" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let legend = &panel["options"]["legend"];
    let is_low_bad = steps(panel).len() > 1 && steps(panel)[0]["color"] == "red";
    let (column, calc) = if is_low_bad {
        ("Min", "min")
    } else {
        ("Max", "max")
    };
    if legend["sortBy"] != column
        || legend["sortDesc"] == is_low_bad
        || !list(&legend["calcs"]).iter().any(|c| c == calc)
    {
        faults.push(format!(
            "its legend is not in order of the worst, by {column}"
        ));
    }
    if legend["displayMode"] != "table" || legend["showLegend"] != true {
        faults.push("its legend shows no values".to_owned());
    }
    faults
}

/// Rows are in order, and columns are what is asked.
fn table(panel: &Value) -> Vec<String> {
    if panel["type"] != "table" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let asked: Vec<&str> = list(&panel["targets"])
        .iter()
        .map(|target| text(&target["legendFormat"]))
        .collect();
    let query = list(&panel["targets"])
        .first()
        .map_or("", |target| text(&target["expr"]));
    let order = &panel["options"]["sortBy"][0]["displayName"];
    if order.is_null() || !asked.contains(&text(order)) && !query.contains(text(order)) {
        faults.push("its rows are in no order, or in that of a column it has not".to_owned());
    }
    let organized = list(&panel["transformations"])
        .iter()
        .find(|t| t["id"] == "organize");
    let organized = organized.map_or(&Value::Null, |t| &t["options"]);
    if organized["excludeByName"]["Time"] != true {
        faults.push("it has a column of the time it was asked".to_owned());
    }
    let renamed = organized["renameByName"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    if renamed != asked.len() {
        faults.push("a column is called as Grafana numbers it".to_owned());
    }
    if organized["indexByName"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        faults.push("its columns are in no order".to_owned());
    }
    faults
}

fn repeated<'a>(all: impl Iterator<Item = &'a str>, what: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    all.filter(|one| !seen.insert(one.to_owned()))
        .map(|one| format!("the {what} `{one}` is there twice"))
        .collect()
}

/// The rows from top to bottom: the first is open and answers whether all is right, each fills the width, none lies over another.
fn rows(dashboard: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let outer = list(&dashboard["panels"]);
    let mut open: Option<(&Value, Vec<&Value>)> = None;
    let mut all = Vec::new();
    for panel in outer {
        if panel["type"] == "row" {
            all.extend(open.take());
            open = Some((panel, list(&panel["panels"]).iter().collect()));
        } else if let Some((_, panels)) = &mut open {
            panels.push(panel);
        } else {
            faults.push("a panel is above the first row".to_owned());
        }
    }
    all.extend(open);
    if all.first().is_none_or(|(row, _)| row["collapsed"] != false) {
        faults.push("the first row is folded".to_owned());
    }
    let mut below = 0;
    for (row, panels) in &all {
        let title = text(&row["title"]);
        let is_folded = row["collapsed"] == true;
        if is_folded == list(&row["panels"]).is_empty() {
            faults.push(format!(
                "{title}: a folded row holds its panels, and no other does"
            ));
        }
        let place =
            |panel: &Value, key: &str| panel["gridPos"][key].as_u64().unwrap_or(u64::MAX / 4);
        let y = place(row, "y");
        if y != below {
            faults.push(format!("{title}: the row lies at {y} and not at {below}"));
        }
        let mut x = 0;
        for panel in panels {
            if place(panel, "x") != x || place(panel, "y") != y + 1 {
                faults.push(format!(
                    "{title}: {} does not follow the panel before it",
                    text(&panel["title"])
                ));
            }
            x = place(panel, "x") + place(panel, "w");
        }
        if x != COLUMNS {
            faults.push(format!(
                "{title}: its panels are {x} of {COLUMNS} columns wide"
            ));
        }
        let height = panels
            .iter()
            .map(|panel| place(panel, "h"))
            .max()
            .unwrap_or(0);
        below = y + 1 + if is_folded { 0 } else { height };
    }
    faults
}
