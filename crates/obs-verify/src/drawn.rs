//! A dashboard for each group of any catalogue, by the kind and unit of its families.

use std::collections::BTreeSet;

use obs_core::{Kind, Unit};

use crate::dashboard::is_statistic;
use crate::dashboard::{
    Dashboard, Panel, Row, Scope, Thresholds, bars, heatmap, lines, row, stat, switches, table,
};
use crate::figure::{Alarm, Figure, Reading, Shows};
use crate::queries::{Query, Role, families_in};
use crate::{Catalog, Family, Group, Label};

/// So many panels are side by side.
const ACROSS: usize = 3;
/// What is left of an error budget is beside how fast it is being spent.
const PAIR: usize = 2;
/// After so many rows what follows is folded: it is asked when somebody opens it.
const OPEN: usize = 6;
/// So many letters of titles fit side by side.
const LETTERS: usize = 192;
/// So many series are drawn of a family at most: nobody reads more.
const MOST: usize = 10;
/// So many figures are in the first row.
const FIGURES: usize = 6;

/// The label of amounts of money.
const CURRENCY: &str = "currency";
/// So many processes are in a figure at most, the worst of them.
const PROCESSES: usize = 4;
/// What to do where a panel turns red that no alert watches.
const BELOW: &str = "see which label values stand out in the panels below.";

/// A dashboard for each group that has families. Panels lead to the alerts among `rules` that ask for what they show.
#[must_use]
pub fn dashboards(catalog: &Catalog, rules: &[Query], scope: &Scope) -> Vec<Dashboard> {
    let pen = Pen {
        catalog,
        rules,
        scope,
    };
    let groups = catalog.groups.iter();
    groups.filter_map(|group| drawn(&pen, group)).collect()
}

fn drawn(pen: &Pen, group: &Group) -> Option<Dashboard> {
    let (catalog, scope) = (pen.catalog, pen.scope);
    let families: Vec<&Family> = catalog
        .families
        .iter()
        .filter(|family| family.group == group.id)
        .map(AsRef::as_ref)
        .collect();
    if families.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    let figures: Vec<Panel> = group
        .figures
        .iter()
        .filter_map(|figure| pen.figure(figure))
        .take(FIGURES)
        .collect();
    rows.extend(abreast("At a glance", figures, FIGURES));
    let promised = families.iter().filter(|family| family.objective.is_some());
    let objectives: Vec<Panel> = promised.flat_map(|family| pen.objective(family)).collect();
    rows.extend(abreast("Objectives", objectives, PAIR));
    for (title, is_of) in [
        ("Events", Kind::Counter),
        ("Levels", Kind::Gauge),
        ("Distributions", Kind::Histogram),
        ("Quantiles", Kind::Summary),
    ] {
        let of_kind = families.iter().filter(|family| family.kind == is_of);
        let panels: Vec<Panel> = of_kind.flat_map(|family| pen.family(family)).collect();
        let is_far_down = rows.len() >= OPEN;
        rows.extend(folded_if(is_far_down, abreast(title, panels, ACROSS)));
    }
    let budgets = pen.budgets(&families).into_iter().collect();
    let is_far_down = rows.len() >= OPEN;
    rows.extend(folded_if(is_far_down, abreast("Budgets", budgets, ACROSS)));
    Some(Dashboard {
        name: group.id.clone(),
        title: group.title.clone(),
        description: format!(
            "What {} measures, drawn from its declarations.",
            group.title
        ),
        rows,
        scope: scope.clone(),
    })
}

fn folded_if(is_far_down: bool, mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        row.is_folded = is_far_down;
    }
    rows
}

/// Whether a time is one that is still to come, which its name alone says: of its age nothing is to be seen.
fn is_ahead(name: &str) -> bool {
    const AHEAD: [&str; 7] = [
        "deadline", "end", "expires", "expiry", "next", "reset", "until",
    ];
    let mut words = name.split('_');
    words.any(|word| AHEAD.contains(&word)) && !name.split('_').any(|word| word == "last")
}

/// Panels in rows of so many, and of fewer where titles are long or where so many would not divide the width; none of the rows is
/// much shorter than the others.
pub(crate) fn abreast(title: &str, mut panels: Vec<Panel>, across: usize) -> Vec<Row> {
    let longest = panels.iter().map(|panel| panel.title.chars().count()).max();
    let across = across.min(LETTERS / longest.unwrap_or(1).max(1)).max(1);
    let mut rows = Vec::new();
    while !panels.is_empty() {
        let rest = panels.split_off(beside(panels.len(), across));
        let title = if rows.is_empty() {
            title.to_owned()
        } else {
            format!("{title}, continued {}", rows.len())
        };
        rows.push(row(&title, std::mem::replace(&mut panels, rest)));
    }
    rows
}

/// How many of so many panels are in the first row, if at most this number are beside each other.
fn beside(panels: usize, across: usize) -> usize {
    let fits = |count: &usize| 24 % count == 0;
    let most = (1..=across.min(panels)).rev().find(fits).unwrap_or(1);
    // As many rows as there have to be, each of about as many.
    let even = panels.div_ceil(panels.div_ceil(most));
    (even..=most).find(fits).unwrap_or(most)
}

struct Pen<'a> {
    catalog: &'a Catalog,
    rules: &'a [Query],
    scope: &'a Scope,
}

impl Pen<'_> {
    fn selector(&self, name: &str, more: &str) -> String {
        let scope = self.scope.matchers();
        let matchers: Vec<_> = [scope.as_str(), more]
            .into_iter()
            .filter(|m| !m.is_empty())
            .collect();
        format!("{name}{{{}}}", matchers.join(", "))
    }

    /// The labels that a panel tells series apart by, and what a series is called by them.
    ///
    /// Events and things that are counted are added up over processes, and over all but three labels. Nothing else is added up over
    /// anything.
    fn by(&self, family: &Family) -> (String, String) {
        let keys: Vec<&str> = family
            .labels
            .iter()
            .map(|label| label.key.as_str())
            .collect();
        let service = self.scope.labels.first().map(|(key, _)| key.as_str());
        let (kept, named): (Vec<&str>, Vec<&str>) = match family.kind {
            Kind::Summary => (vec!["quantile"], vec!["quantile"]),
            Kind::Gauge if !is_counted(family) => {
                let kept = keys.iter().copied().chain(self.processes()).collect();
                (kept, keys.into_iter().chain(["instance"]).collect())
            }
            _ if keys.is_empty() => (service.into_iter().collect(), service.into_iter().collect()),
            _ => {
                let kept: Vec<&str> = keys.into_iter().take(3).collect();
                (kept.clone(), kept)
            }
        };
        let legend: Vec<String> = named.iter().map(|key| format!("{{{{{key}}}}}")).collect();
        (kept.join(", "), legend.join(" "))
    }

    fn family(&self, family: &Family) -> Vec<Panel> {
        let name = &family.name;
        let all = self.selector(name, "");
        let (by, legend) = self.by(family);
        let clause = if by.is_empty() {
            String::new()
        } else {
            format!(" by ({by})")
        };
        let (draw, title, text): (fn(&str, &str) -> Panel, _, _) = match (family.kind, family.unit)
        {
            (Kind::Histogram, _) => return self.histogram(family),
            (Kind::Counter, _) => {
                let rate = format!("sum{clause} (rate({all}[$__rate_interval]))");
                (lines, name.clone(), top(family, &rate))
            }
            (Kind::Gauge, Some(Unit::Switch)) => {
                (switches, name.clone(), format!("max{clause} ({all})"))
            }
            (Kind::Gauge, Some(Unit::Info)) => {
                let text = format!("max{clause} ({all})");
                let panel = table(name, &family.help).ask(&text, "is there");
                return vec![panel.hide("is there").least(first_label(family))];
            }
            (Kind::Gauge, Some(Unit::Timestamp)) if is_ahead(name) => {
                let left = format!("clamp_min(min{clause} ({all}) - time(), 0)");
                (lines, format!("{name}, left"), top(family, &left))
            }
            (Kind::Gauge, Some(Unit::Timestamp)) => {
                let age = format!("clamp_min(time() - max{clause} ({all}), 0)");
                (lines, format!("{name}, ago"), top(family, &age))
            }
            (Kind::Gauge, _) => {
                let aggregate = if is_counted(family) { "sum" } else { "max" };
                let text = format!("{aggregate}{clause} ({all})");
                (lines, name.clone(), top(family, &text))
            }
            (Kind::Summary, _) => (lines, name.clone(), format!("max{clause} ({all})")),
        };
        // Whether something is wrong with a switch that is off, its declaration does not say.
        let panel = draw(&title, &described(family))
            .ask(&text, &legend)
            .quiet("off", "on");
        vec![self.watched(panel, family)]
    }

    /// With links to the alerts that ask for the family.
    fn watched(&self, panel: Panel, family: &Family) -> Panel {
        let act = self.act(|rule| self.asks(rule, &family.name));
        if act == BELOW { panel } else { panel.act(&act) }
    }

    fn histogram(&self, family: &Family) -> Vec<Panel> {
        let name = &family.name;
        let buckets = self.selector(&format!("{name}_bucket"), "");
        let mut quantiles = lines(&format!("{name}, quantiles"), &described(family));
        // Amounts of different currencies have no quantile in common.
        let (by, named) = if has_currency(family) {
            ("le, currency", " {{currency}}")
        } else {
            ("le", "")
        };
        for (level, word) in [(0.5, "median"), (0.95, "95 %"), (0.99, "99 %")] {
            let text = format!(
                "histogram_quantile({level}, sum by ({by}) (rate({buckets}[$__rate_interval])))"
            );
            quantiles = quantiles.ask(&text, &format!("{word}{named}"));
        }
        let heat = heatmap(
            &format!("{name}, heat"),
            "How observations spread over the buckets.",
        )
        .spread(&self.selector(name, ""));
        let count = self.selector(&format!("{name}_count"), "");
        let often = lines(
            &format!("{name}, observations"),
            "How often it is observed.",
        )
        .ask(&format!("sum(rate({count}[$__rate_interval]))"), "a second");
        vec![self.watched(quantiles, family), heat, often]
    }

    /// What is left of an error budget, and how fast it is being spent.
    fn objective(&self, family: &Family) -> Vec<Panel> {
        let Some(objective) = &family.objective else {
            return Vec::new();
        };
        let name = &family.name;
        let all = match objective.under {
            Some(_) => self.selector(&format!("{name}_count"), ""),
            None => self.selector(name, ""),
        };
        let good = if let Some(bound) = objective.under {
            self.selector(&format!("{name}_bucket"), &format!("le=\"{bound}\""))
        } else {
            let label = objective.label.as_deref().unwrap_or_default();
            self.selector(name, &format!("{label}=~\"{}\"", objective.good.join("|")))
        };
        let budget = ((100.0 - objective.percent) * 1e9).round() / 1e11;
        let failed =
            |range: &str| format!("(1 - sum(rate({good}[{range}])) / sum(rate({all}[{range}])))");
        let days = format!("{}d", objective.days);
        let left = stat(
            &format!("{name}, budget left"),
            &format!(
                "What is left of the error budget of {budget} over {} days.",
                objective.days
            ),
        )
        .ask(&format!("1 - {} / {budget}", failed(&days)), "")
        .share()
        .below(0.25, 0.0);
        let burn = lines(
            &format!("{name}, burn rate"),
            "How many times faster than allowed the error budget is being spent.",
        )
        .ask(&format!("{} / {budget}", failed("1h")), "an hour")
        .ask(&format!("{} / {budget}", failed("6h")), "six hours")
        .above(1.0, 14.4);
        let act = self.act(|rule| rule.text.contains(&format!(":{name}:")));
        vec![left.act(&act), burn.act(&act)]
    }

    /// How near open families are to their budgets of series.
    fn budgets(&self, families: &[&Family]) -> Option<Panel> {
        self.catalog.family("obs_series")?;
        // The pipeline does not count its own series.
        let bounded = families
            .iter()
            .filter(|family| !family.name.starts_with("obs_"))
            .filter(|family| family.labels.iter().any(Label::is_open));
        let bounded: Vec<_> = bounded
            .filter_map(|f| Some((&f.name, f.budget?)))
            .take(26)
            .collect();
        if bounded.is_empty() {
            return None;
        }
        let panel = bars(
            "Series against budgets",
            "The share of its budget of series that each family has used up; beyond it, label values fold into `other`.",
        );
        let ask = |panel: Panel, (name, budget): (&String, usize)| {
            let series = self.selector("obs_series", &format!("metric=\"{name}\""));
            panel.ask(&format!("max({series}) / {budget}"), name)
        };
        let panel = bounded.into_iter().fold(panel.share(), ask).above(0.8, 1.0);
        let alert = self.act(|rule| families_in(&rule.text, self.catalog).contains("obs_series"));
        Some(panel.act(&if alert == BELOW {
            "raise the budget, or label with fewer values.".to_owned()
        } else {
            alert
        }))
    }

    /// What the service itself shows first. It knows one process, and here there may be many: what does not add up over them is shown of
    /// those that are worst off.
    fn figure(&self, figure: &Figure) -> Option<Panel> {
        let (text, read) = match &figure.shows {
            Shows::Value { value } => {
                let keys = self.keys(&[value])?;
                (self.reading(value, &keys)?, vec![value])
            }
            Shows::Ratio { value, of } | Shows::Bar { value, limit: of } => {
                let keys = self.keys(&[value, of])?;
                let parts = (self.reading(value, &keys)?, self.reading(of, &keys)?);
                (format!("{} / {}", parts.0, parts.1), vec![value, of])
            }
            Shows::Quantiles { family, .. } => (self.quantile(family, 0.99), Vec::new()),
            _ => return None,
        };
        let keys = self.keys(&read)?;
        let (text, legend) = if keys.is_empty() {
            (text, String::new())
        } else {
            let is_low_worse = figure.worse.as_deref() == Some("down");
            let most = if is_low_worse { "bottomk" } else { "topk" };
            let currency = keys.iter().any(|key| key == CURRENCY);
            let legend = if currency {
                "{{instance}} {{currency}}"
            } else {
                "{{instance}}"
            };
            (format!("{most}({PROCESSES}, {text})"), legend.to_owned())
        };
        let panel = stat(&figure.title, "As the service shows it first.").ask(&text, &legend);
        Some(self.alarmed(panel, figure))
    }

    /// From where on the service itself calls a figure bad. A number of events within whatever time is shown has no such bound.
    fn alarmed(&self, mut panel: Panel, figure: &Figure) -> Panel {
        let (Some(alarm), Shows::Value { value }) = (figure.alarms.first(), &figure.shows) else {
            return panel;
        };
        let Some(family) = self.read(value) else {
            return panel;
        };
        let is_count = family.kind == Kind::Counter && value.read == "sum";
        if alarm.value == *value && !is_count && family.unit != Some(Unit::Timestamp) {
            panel.thresholds = thresholds(alarm);
            panel.act = self.act(|rule| self.asks(rule, &family.name));
        }
        panel
    }

    /// The family that a reading is of: the first that there is.
    fn read(&self, reading: &Reading) -> Option<&Family> {
        let mut named = reading.families.iter();
        named
            .find_map(|name| self.catalog.family(name))
            .map(AsRef::as_ref)
    }

    /// By which labels readings are kept apart: by none where all of them add up, else by process, and by currency where they are amounts.
    /// None at all where they cannot be divided by each other.
    fn keys(&self, readings: &[&Reading]) -> Option<Vec<String>> {
        let families = readings
            .iter()
            .filter_map(|reading| Some((reading, self.read(reading)?)));
        let families: Vec<_> = families.collect();
        let adds_up = |(reading, family): &(&&Reading, &Family)| {
            ["rate", "series", "quantile"].contains(&reading.read.as_str())
                || family.kind == Kind::Counter
                || is_counted(family)
                || readings.len() == 1
                    && matches!(family.unit, Some(Unit::Switch | Unit::Timestamp))
        };
        if families.iter().all(adds_up) {
            return Some(Vec::new());
        }
        let has_currency = |(_, family): &(&&Reading, &Family)| has_currency(family);
        let mut keys: Vec<String> = self.processes().map(str::to_owned).collect();
        if families.iter().all(has_currency) {
            keys.push(CURRENCY.to_owned());
        } else if families.iter().any(has_currency) {
            return None;
        }
        Some(keys)
    }

    /// The labels by which processes are told apart.
    fn processes(&self) -> impl Iterator<Item = &str> {
        self.scope.labels.iter().map(|(key, _)| key.as_str())
    }

    fn reading(&self, reading: &Reading, keys: &[String]) -> Option<String> {
        if reading.read == "constant" {
            return reading.number.map(|number| number.to_string());
        }
        let family = self.read(reading)?;
        let name = &family.name;
        let labels: Vec<_> = reading
            .labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let series = self.selector(name, &labels.join(", "));
        let clause = if keys.is_empty() {
            String::new()
        } else {
            format!(" by ({}) ", keys.join(", "))
        };
        if family.unit == Some(Unit::Timestamp) {
            return Some(format!("clamp_min(time() - max{clause}({series}), 0)"));
        }
        let now = if family.kind == Kind::Counter {
            format!("increase({series}[$__range])")
        } else {
            series.clone()
        };
        let may_add = family.kind == Kind::Counter
            || is_counted(family)
            || matches!(
                family.unit,
                Some(Unit::Currency | Unit::Number | Unit::Switch)
            );
        Some(match reading.read.as_str() {
            "sum" if may_add => format!("sum{clause}({now})"),
            "sum" | "most" => format!("max{clause}({now})"),
            "least" => format!("min{clause}({now})"),
            "rate" => format!("sum{clause}(rate({series}[$__rate_interval]))"),
            "series" => format!("count{clause}({series})"),
            "quantile" => self.quantile(name, reading.level?),
            _ => return None,
        })
    }

    /// The alerts whose runbooks say what to do, or a sentence where there are none.
    fn act(&self, is_one: impl Fn(&Query) -> bool) -> String {
        let names: BTreeSet<&str> = self
            .rules
            .iter()
            .filter_map(|rule| match &rule.role {
                Role::Alert(alert) if is_one(rule) => Some(alert.name.as_str()),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            BELOW.to_owned()
        } else {
            names.into_iter().collect::<Vec<_>>().join(", ")
        }
    }

    /// Whether a rule asks for a family, or for what was recorded of its objective.
    fn asks(&self, rule: &Query, family: &str) -> bool {
        families_in(&rule.text, self.catalog).contains(family)
            || rule.text.contains(&format!(":{family}:"))
    }

    fn quantile(&self, name: &str, level: f64) -> String {
        let buckets = self.selector(&format!("{name}_bucket"), "");
        format!("histogram_quantile({level}, sum by (le) (rate({buckets}[$__rate_interval])))")
    }
}

fn thresholds(alarm: &Alarm) -> Thresholds {
    match (alarm.is.as_str(), alarm.than) {
        ("above" | "at_least", Some(than)) => Thresholds::Above(than, than),
        ("below" | "at_most", Some(than)) => Thresholds::Below(than, than),
        _ => Thresholds::None,
    }
}

/// Whether it is a number of things, or a size: such add up over processes, and shares, spans, amounts and statistics do not.
fn is_counted(family: &Family) -> bool {
    matches!(family.unit, Some(Unit::Count | Unit::Bytes)) && !is_statistic(family)
}

fn has_currency(family: &Family) -> bool {
    family.labels.iter().any(|label| label.key == CURRENCY)
}

/// What a family means; an amount without a currency in its labels is of the only one that the service has.
fn described(family: &Family) -> String {
    if family.unit == Some(Unit::Currency) && !has_currency(family) {
        "An amount of money, in the one currency that the service has.".to_owned()
    } else {
        family.help.clone()
    }
}

/// The label by which the rows of a table are in order.
fn first_label(family: &Family) -> &str {
    family
        .labels
        .first()
        .map_or("instance", |label| label.key.as_str())
}

/// The most series that anybody reads, where there may be more.
fn top(family: &Family, text: &str) -> String {
    let count = |label: &Label| match (&label.values, label.limit) {
        (Some(values), _) => values.len(),
        (None, limit) => limit.unwrap_or(usize::MAX),
    };
    let series = family.labels.iter().take(3).map(count);
    let is_by_process = family.kind == Kind::Gauge && !is_counted(family);
    if is_by_process || series.fold(1, usize::saturating_mul) > MOST {
        format!("topk({MOST}, {text})")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come_are_known_by_their_names() {
        let ahead = [
            "obs_certificate_expiry_timestamp_seconds",
            "market_next_open_timestamp_seconds",
        ];
        assert!(ahead.into_iter().all(is_ahead));
        let past = [
            "process_start_time_seconds",
            "ledger_last_reset_timestamp_seconds",
            "vendor_timestamp_seconds",
        ];
        assert!(!past.into_iter().any(is_ahead));
    }

    #[test]
    fn rows_are_about_as_long_as_each_other() {
        let rows = |mut panels: usize, across| {
            let mut rows = Vec::new();
            while panels > 0 {
                rows.push(beside(panels, across));
                panels -= rows[rows.len() - 1];
            }
            rows
        };
        assert_eq!(rows(5, 6), [3, 2]);
        assert_eq!(rows(6, 6), [6]);
        assert_eq!(rows(7, 6), [4, 3]);
        assert_eq!(rows(7, 3), [3, 2, 2]);
        assert_eq!(rows(9, 3), [3, 3, 3]);
        assert_eq!(rows(1, 3), [1]);
        assert_eq!(rows(5, 5), [3, 2]);
        assert_eq!(rows(0, 3), [0; 0]);
    }
}
