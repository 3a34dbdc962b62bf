//! A dashboard for each group of any catalogue, by the kind and unit of its families.

use std::fmt::Write;

use obs_core::{Kind, Unit};

use crate::dashboard::{
    Dashboard, Panel, Row, Scope, Thresholds, bars, heatmap, lines, row, stat, switches, table,
};
use crate::figure::{Alarm, Figure, Reading, Shows};
use crate::{Catalog, Family, Group, Label};

/// So many panels are side by side.
const ACROSS: usize = 3;
/// So many series are drawn of a family at most: nobody reads more.
const MOST: usize = 10;
/// So many figures are in the first row.
const FIGURES: usize = 6;

/// A dashboard for each group that has families.
#[must_use]
pub fn dashboards(catalog: &Catalog, scope: &Scope) -> Vec<Dashboard> {
    let groups = catalog.groups.iter();
    groups
        .filter_map(|group| drawn(catalog, group, scope))
        .collect()
}

fn drawn(catalog: &Catalog, group: &Group, scope: &Scope) -> Option<Dashboard> {
    let families: Vec<&Family> = catalog
        .families
        .iter()
        .filter(|family| family.group == group.id)
        .map(AsRef::as_ref)
        .collect();
    if families.is_empty() {
        return None;
    }
    let pen = Pen { catalog, scope };
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
    rows.extend(abreast("Objectives", objectives, ACROSS));
    for (title, is_of) in [
        ("Events", Kind::Counter),
        ("Levels", Kind::Gauge),
        ("Distributions", Kind::Histogram),
        ("Quantiles", Kind::Summary),
    ] {
        let of_kind = families.iter().filter(|family| family.kind == is_of);
        let panels: Vec<Panel> = of_kind.flat_map(|family| pen.family(family)).collect();
        rows.extend(abreast(title, panels, ACROSS));
    }
    rows.extend(abreast(
        "Budgets",
        pen.budgets(&families).into_iter().collect(),
        ACROSS,
    ));
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

/// Panels in rows of so many; the last row has a number that divides the width.
fn abreast(title: &str, panels: Vec<Panel>, across: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut panels = panels.into_iter().peekable();
    while panels.peek().is_some() {
        let mut abreast: Vec<Panel> = panels.by_ref().take(across).collect();
        let title = if rows.is_empty() {
            title.to_owned()
        } else {
            format!("{title}, continued {}", rows.len())
        };
        // Five or so do not divide the width.
        while 24 % abreast.len() != 0 {
            let rest = abreast.split_off(abreast.len() - 1);
            rows.push(row(&title, rest));
        }
        rows.push(row(&title, abreast));
    }
    rows
}

struct Pen<'a> {
    catalog: &'a Catalog,
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

    fn family(&self, family: &Family) -> Vec<Panel> {
        let (by, legend) = by(family);
        let name = &family.name;
        let all = self.selector(name, "");
        let top = |text: String| {
            if is_wide(family) {
                format!("topk({MOST}, {text})")
            } else {
                text
            }
        };
        let by_clause = |aggregate: &str| {
            if by.is_empty() {
                aggregate.to_owned()
            } else {
                format!("{aggregate} by ({by})")
            }
        };
        let panel = |draw: fn(&str, &str) -> Panel, title: &str, text: String| {
            draw(title, &family.help).ask(&text, &legend)
        };
        match (family.kind, family.unit) {
            (Kind::Counter, _) => {
                let rate = format!("{} (rate({all}[$__rate_interval]))", by_clause("sum"));
                vec![panel(lines, name, top(rate))]
            }
            (Kind::Gauge, Some(Unit::Switch)) => {
                vec![panel(
                    switches,
                    name,
                    format!("{} ({all})", by_clause("max")),
                )]
            }
            (Kind::Gauge, Some(Unit::Info)) => {
                vec![panel(table, name, format!("{} ({all})", by_clause("max")))]
            }
            (Kind::Gauge, Some(Unit::Timestamp)) => {
                let age = format!("time() - {} ({all})", by_clause("max"));
                vec![panel(lines, &format!("{name}, ago"), top(age))]
            }
            // Amounts and numbers of things add up over processes; shares and spans do not.
            (Kind::Gauge, Some(Unit::Count | Unit::Bytes | Unit::Currency)) => {
                vec![panel(
                    lines,
                    name,
                    top(format!("{} ({all})", by_clause("sum"))),
                )]
            }
            (Kind::Gauge, _) => vec![panel(
                lines,
                name,
                top(format!("{} ({all})", by_clause("max"))),
            )],
            (Kind::Histogram, _) => self.histogram(family),
            (Kind::Summary, _) => {
                let quantiles = format!("max by (quantile) ({all})");
                vec![lines(name, &family.help).ask(&quantiles, "{{quantile}}")]
            }
        }
    }

    fn histogram(&self, family: &Family) -> Vec<Panel> {
        let name = &family.name;
        let buckets = self.selector(&format!("{name}_bucket"), "");
        let mut quantiles = lines(&format!("{name}, quantiles"), &family.help);
        for (level, word) in [(0.5, "median"), (0.95, "95 %"), (0.99, "99 %")] {
            let text = format!(
                "histogram_quantile({level}, sum by (le) (rate({buckets}[$__rate_interval])))"
            );
            quantiles = quantiles.ask(&text, word);
        }
        let heat = heatmap(
            &format!("{name}, heat"),
            "How observations spread over the buckets.",
        )
        .ask(
            &format!("sum by (le) (increase({buckets}[$__rate_interval]))"),
            "{{le}}",
        );
        let count = self.selector(&format!("{name}_count"), "");
        let often = lines(
            &format!("{name}, observations"),
            "How often it is observed.",
        )
        .ask(&format!("sum(rate({count}[$__rate_interval]))"), "a second");
        vec![quantiles, heat, often]
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
        .below(0.25, 0.0)
        .act("See which label values fail in the panels below.");
        let burn = lines(
            &format!("{name}, burn rate"),
            "How many times faster than allowed the error budget is being spent.",
        )
        .ask(&format!("{} / {budget}", failed("1h")), "an hour")
        .ask(&format!("{} / {budget}", failed("6h")), "six hours")
        .above(1.0, 14.4)
        .act("See which label values fail in the panels below.");
        vec![left, burn]
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
        let panel = bounded.into_iter().fold(panel, ask);
        Some(
            panel
                .above(0.8, 1.0)
                .act("Raise the budget, or label with fewer values."),
        )
    }

    /// What the service itself shows first.
    fn figure(&self, figure: &Figure) -> Option<Panel> {
        let text = match &figure.shows {
            Shows::Value { value } => self.reading(value)?,
            Shows::Ratio { value, of } | Shows::Bar { value, limit: of } => {
                format!("{} / {}", self.reading(value)?, self.reading(of)?)
            }
            Shows::Quantiles { family, .. } => self.quantile(family, 0.99),
            _ => return None,
        };
        let mut panel = stat(&figure.title, "As the service shows it first.").ask(&text, "");
        if let Some(alarm) = figure.alarms.first()
            && let Shows::Value { value } = &figure.shows
            && alarm.value == *value
        {
            panel.thresholds = thresholds(alarm);
            "Look at the panels below.".clone_into(&mut panel.act);
        }
        Some(panel)
    }

    fn reading(&self, reading: &Reading) -> Option<String> {
        if reading.read == "constant" {
            return reading.number.map(|number| number.to_string());
        }
        let name = reading
            .families
            .iter()
            .find(|name| self.catalog.family(name).is_some())?;
        let labels: Vec<_> = reading
            .labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let series = self.selector(name, &labels.join(", "));
        let is_counter = self
            .catalog
            .family(name)
            .is_some_and(|family| family.kind == Kind::Counter);
        let now = if is_counter {
            format!("increase({series}[$__range])")
        } else {
            series.clone()
        };
        Some(match reading.read.as_str() {
            "sum" => format!("sum({now})"),
            "least" => format!("min({now})"),
            "most" => format!("max({now})"),
            "rate" => format!("sum(rate({series}[$__rate_interval]))"),
            "series" => format!("count({series})"),
            "quantile" => self.quantile(name, reading.level?),
            _ => return None,
        })
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

/// The labels that a panel tells series apart by, and what a series is called by them.
fn by(family: &Family) -> (String, String) {
    // Amounts of money are never added up over currencies, nor anything over more than three labels.
    let is_information = family.unit == Some(Unit::Info);
    let keys: Vec<&str> = family
        .labels
        .iter()
        .map(|label| label.key.as_str())
        .collect();
    let most = if is_information { keys.len() } else { 3 };
    let mut kept: Vec<&str> = keys.iter().copied().take(most).collect();
    if keys.contains(&"currency") && !kept.contains(&"currency") {
        kept.push("currency");
    }
    let legend = kept.iter().fold(String::new(), |mut legend, key| {
        let blank = if legend.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(legend, "{blank}{{{{{key}}}}}");
        legend
    });
    (kept.join(", "), legend)
}

/// Whether it may have more series than anybody reads.
fn is_wide(family: &Family) -> bool {
    let count = |label: &Label| match (&label.values, label.limit) {
        (Some(values), _) => values.len(),
        (None, limit) => limit.unwrap_or(usize::MAX),
    };
    let series = family.labels.iter().take(3).map(count);
    series.fold(1, usize::saturating_mul) > MOST
}
