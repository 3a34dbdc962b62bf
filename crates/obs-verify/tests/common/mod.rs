//! A desk that is as it says: what it declares, what it exports, and what its team asks of it.

use std::fmt::Write;

use obs_core::{
    By, Catalogue, Counter, Each, Gauge, Histogram, Kind, Outcome, Summary, TimeCounter, Unit,
};
use obs_verify::exposition::Scraped;
use obs_verify::live::{self, Expect};
use obs_verify::queries::{self, Query};
use obs_verify::{Catalog, Family, Finding, Label, Severity, declared, lint, mentioned, queried};

obs_core::label! {
    /// Buy or sell.
    enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 3
}
obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 4
}
obs_core::families! {
    struct VenueMetrics(venue: Venue) {
        /// Orders handed to the venue.
        orders: Each<Symbol, By<Side, Counter>> = "desk_orders_total",
        /// Whether the connection is up.
        up: Gauge = "desk_venue_up" { unit: Unit::Switch },
        /// Time to the last fill.
        fill: By<Side, Histogram> = "desk_fill_seconds" { buckets: &[0.1, 0.5, 1.0], range: 0.0..=60.0 },
    }
}
obs_core::families! {
    struct DeskMetrics {
        /// Calls, by how they ended.
        calls: By<Outcome, Counter> = "desk_calls_total",
        /// Money held.
        money: Gauge = "desk_money" { unit: Unit::Currency },
        /// Orders that are open.
        open: Gauge = "desk_orders_open",
        /// What the desk was built from.
        built: Gauge = "desk_build_info",
        /// Confidence of signals.
        confidence: Histogram = "desk_confidence_ratio" { buckets: &[0.5, 0.9], range: 0.0..=1.0 },
        /// Time to a quote.
        quote: Summary = "desk_quote_seconds" { quantiles: &[0.5, 0.99], range: 0.0..=10.0 },
        /// Bytes that were read.
        read: Counter = "desk_read_bytes_total",
        /// Time spent waiting.
        waited: TimeCounter = "desk_waited_seconds_total",
        /// When a quote last came.
        last: Gauge = "desk_last_quote_timestamp_seconds",
        /// Age of the oldest quote.
        age: Gauge = "desk_quote_age_seconds",
    }
}

pub(crate) fn catalog() -> Catalog {
    let declared = Catalogue::of(&[VenueMetrics::FAMILIES, DeskMetrics::FAMILIES]);
    Catalog::from(&Catalogue::join([declared, obs_core::catalogue()]).unwrap())
}

/// An exposition of everything in a catalogue, as the exporter writes it: closed labels with all of their values, open ones with
/// two.
pub(crate) fn exposition(catalog: &Catalog) -> String {
    catalog
        .families
        .iter()
        .map(|family| written(family))
        .collect()
}

pub(crate) fn written(family: &Family) -> String {
    let (name, kind) = (&family.name, family.kind.as_str());
    let mut text = format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help);
    for labels in combinations(&family.labels) {
        let with = |more: &str| {
            let mut all = vec!["service=\"desk\"".to_owned(), "mode=\"paper\"".to_owned()];
            all.extend(labels.iter().cloned());
            all.extend((!more.is_empty()).then(|| more.to_owned()));
            all.join(",")
        };
        let mut line = |suffix: &str, more: &str, value: f64| {
            writeln!(text, "{name}{suffix}{{{}}} {value}", with(more)).unwrap();
        };
        let middle = family.bounds().1.min(0.6);
        match family.kind {
            Kind::Counter => line("", "", 3.0),
            // Nothing is folded and nothing refused.
            Kind::Gauge => line("", "", 1.0),
            Kind::Histogram => {
                for (i, bound) in family.buckets.iter().enumerate() {
                    line("_bucket", &format!("le=\"{bound}\""), 10.0 * (i + 1) as f64);
                }
                let all = 10.0 * (family.buckets.len() + 1) as f64;
                line("_bucket", "le=\"+Inf\"", all);
                line("_sum", "", all * middle);
                line("_count", "", all);
            }
            Kind::Summary => {
                for level in &family.quantiles {
                    line("", &format!("quantile=\"{level}\""), middle);
                }
                line("_sum", "", 10.0 * middle);
                line("_count", "", 10.0);
            }
        }
    }
    text
}

fn combinations(labels: &[Label]) -> Vec<Vec<String>> {
    let Some((first, rest)) = labels.split_first() else {
        return vec![Vec::new()];
    };
    let open = ["a", "b"].map(str::to_owned);
    let values = first.values.as_deref().unwrap_or(&open);
    let mut all = Vec::new();
    for value in values {
        for mut more in combinations(rest) {
            more.insert(0, format!("{}=\"{value}\"", first.key));
            all.push(more);
        }
    }
    all
}

pub(crate) const RULES: &str = r#"groups:
  - name: desk
    rules:
      - record: venue:orders:rate5m
        expr: sum by (service, environment, mode, venue) (rate(desk_orders_total[5m]))
      - record: desk:fill_seconds:p99
        expr: histogram_quantile(0.99, sum by (le, side) (rate(desk_fill_seconds_bucket[5m])))
      - alert: VenueDown
        expr: desk_venue_up{mode!="backtest"} == 0
        for: 1m
        labels: { severity: critical }
        annotations: { summary: "{{ $labels.venue }} is down" }
      - alert: CallsFail
        expr: >-
          sum by (service, environment, mode) (rate(desk_calls_total{outcome="error"}[5m]))
          / sum by (service, environment, mode) (rate(desk_calls_total[5m])) > 0.1
          and sum by (service, environment, mode) (increase(desk_calls_total[5m])) > 20
        labels: { severity: warning }
      - alert: QuotesOld
        expr: max by (service, environment, mode) (desk_quote_age_seconds) > 60
        for: 5m
        labels: { severity: warning }
      - alert: NoOrders
        expr: sum by (service, environment, mode) (venue:orders:rate5m) == 0
        for: 30m
        labels: { severity: warning }
"#;

pub(crate) const DASHBOARD: &str = r#"{
  "panels": [
    { "title": "Orders", "fieldConfig": { "defaults": { "unit": "cps" } },
      "targets": [{ "refId": "A", "expr": "sum by (venue) (rate(desk_orders_total{service=~\"$service\"}[$__rate_interval]))" }] },
    { "title": "Fills", "fieldConfig": { "defaults": { "unit": "s" } },
      "targets": [{ "refId": "A", "expr": "histogram_quantile(0.5, sum by (le) (rate(desk_fill_seconds_bucket{side=\"buy\"}[5m])))" }] },
    { "title": "Money", "fieldConfig": { "defaults": { "unit": "locale" } },
      "targets": [{ "refId": "A", "expr": "sum(desk_money)" }] }
  ],
  "templating": { "list": [{ "name": "venue", "query": { "query": "label_values(desk_venue_up, venue)" } }] },
  "annotations": { "list": [] }
}"#;

pub(crate) const DOCUMENT: &str = "\
# Desk

Orders are `desk_orders_total`; how long fills take is `desk_fill_seconds`.

```promql
sum by (side) (rate(desk_orders_total{side=\"buy\"}[5m]))
```
";

/// Everything a team has.
#[derive(Clone)]
pub(crate) struct Artefacts {
    pub(crate) catalog: String,
    pub(crate) exposition: String,
    pub(crate) rules: String,
    pub(crate) dashboard: String,
    pub(crate) document: String,
}

impl Artefacts {
    pub(crate) fn sound() -> Self {
        let catalog = catalog();
        // Nothing was folded and nothing refused, which these say of every metric.
        let pipeline = ["obs_series_overflow_total", "obs_samples_rejected_total"];
        let lines = exposition(&catalog);
        let lines = lines.lines().map(|line| {
            let of = |name: &&&str| line.starts_with(**name);
            match pipeline.iter().find(of) {
                Some(_) => line.replace("} 3", "} 0"),
                None => line.to_owned(),
            }
        });
        Self {
            exposition: lines.map(|line| line + "\n").collect(),
            catalog: serde_json::to_string_pretty(&catalog).unwrap(),
            rules: RULES.to_owned(),
            dashboard: DASHBOARD.to_owned(),
            document: DOCUMENT.to_owned(),
        }
    }

    /// Everything that is found in them.
    pub(crate) fn findings(&self, expect: Expect) -> Result<Vec<Finding>, obs_verify::Error> {
        let catalog = Catalog::read("catalog.json", &self.catalog)?;
        let scraped = Scraped::read(&self.exposition);
        let mut findings = declared::check(&catalog);
        findings.extend(live::check(&catalog, &scraped, expect));
        let mut all: Vec<Query> = queries::of_rules("rules.yml", &self.rules)?;
        all.extend(queries::of_dashboard("desk.json", &self.dashboard)?);
        all.extend(queries::of_document("desk.md", &self.document));
        findings.extend(queried::check(&catalog, &all));
        findings.extend(mentioned::check(&catalog, &all, "desk.md", &self.document));
        let linted = lint::check(&catalog, &all, Some(&scraped));
        findings.extend(lint::apart_from(&[], "known", linted));
        Ok(findings)
    }

    /// What of it has to be looked at.
    pub(crate) fn faults(&self) -> Vec<Finding> {
        let findings = self.findings(Expect::SoFar).unwrap();
        let matters = |finding: &Finding| finding.severity != Severity::Note;
        findings.into_iter().filter(matters).collect()
    }
}
