//! An exposition against the declarations.

use std::collections::{BTreeMap, BTreeSet};

use obs_core::{Catalogue, Family, OTHER, Unit, Values};
use obs_exposition::{Exposition, ParseError, Sample};

use super::finding::{Fault, Finding};

/// Labels that the exporter sets on every series.
const GLOBAL_LABELS: [&str; 3] = ["service", "environment", "mode"];

/// From this share of observations in one bucket on, a histogram says little more than a counter.
const ONE_BUCKET: f64 = 0.95;
/// With fewer observations the share means nothing.
const FEWEST_OBSERVATIONS: f64 = 100.0;

/// Everything in which an exposition differs from the declarations.
pub(super) fn check(catalogue: &Catalogue, exposition: &Exposition) -> Vec<Finding> {
    let mut findings = Vec::new();
    for scraped in &exposition.families {
        if catalogue.family(&scraped.name).is_none() {
            findings.push(undeclared(&scraped.name));
        }
    }
    for family in catalogue.families() {
        match exposition.family(family.name()) {
            Some(scraped) if !scraped.samples.is_empty() => {
                findings.extend(Both { family, scraped }.check());
            }
            _ => findings.push(missing(family)),
        }
        findings.extend(folded(family, exposition));
        findings.extend(rejected(family, exposition));
    }
    findings
}

/// A line that breaks the format.
pub(super) fn malformed(error: &ParseError) -> Finding {
    Finding {
        fault: Fault::Malformed,
        metric: None,
        file: None,
        line: None,
        problem: format!("the exposition breaks its format: {error}"),
        repair: "repair what writes it; no scraper reads it in full".to_owned(),
    }
}

fn undeclared(name: &str) -> Finding {
    Finding {
        fault: Fault::Undeclared,
        metric: Some(name.to_owned()),
        file: None,
        line: None,
        problem: "is exported and declared nowhere".to_owned(),
        repair:
            "declare it with `obs_core::families!` and join its catalogue, or stop recording it"
                .to_owned(),
    }
}

fn missing(family: &Family) -> Finding {
    let problem = "is declared and not exported";
    let repair = "build its struct at start-up and record in it, or remove the declaration";
    Finding::of(family, Fault::Missing, problem, repair)
}

/// Something arrived beyond the budget.
fn folded(family: &Family, exposition: &Exposition) -> Option<Finding> {
    let times = pipeline_count("obs_series_overflow_total", family, exposition)?;
    let problem = format!(
        "{times} lookups were folded into `{OTHER}`: a label had more values than its budget"
    );
    let repair = "raise the limit of its open label or its `budget`, or label with fewer values";
    Some(Finding::of(family, Fault::Folded, problem, repair))
}

/// Samples were dropped.
fn rejected(family: &Family, exposition: &Exposition) -> Option<Finding> {
    let times = pipeline_count("obs_samples_rejected_total", family, exposition)?;
    let (low, high) = family.bounds();
    let problem =
        format!("{times} samples were dropped: not a number, infinite, or outside {low} to {high}");
    let repair = "find out who records them, or widen the `range`";
    Some(Finding::of(family, Fault::Rejected, problem, repair))
}

/// What one of the pipeline's own counters says of a family, unless it is 0.
fn pipeline_count(counter: &str, family: &Family, exposition: &Exposition) -> Option<f64> {
    exposition
        .sum(counter, &[("metric", family.name())])
        .filter(|count| *count > 0.0)
}

/// A family as declared and as scraped.
struct Both<'a> {
    family: &'static Family,
    scraped: &'a obs_exposition::Family,
}

impl Both<'_> {
    fn check(&self) -> Vec<Finding> {
        if self.scraped.kind.to_string() != self.family.kind().as_str() {
            // Everything else follows from the kind.
            return vec![self.kind()];
        }
        let mut findings = Vec::new();
        findings.extend(self.help());
        findings.extend(self.label_sets());
        findings.extend(self.label_values());
        findings.extend(self.budget());
        findings.extend(self.bounds());
        findings.extend(self.one_bucket());
        findings
    }

    fn kind(&self) -> Finding {
        let problem = format!(
            "is exported as a {}, and declared as a {}",
            self.scraped.kind,
            self.family.kind().as_str()
        );
        let repair = "install the exporter with the catalogue that declares it, and record through its handles only";
        Finding::of(self.family, Fault::Kind, problem, repair)
    }

    fn help(&self) -> Option<Finding> {
        let declared = self.family.help();
        let scraped = self.scraped.help.as_deref().unwrap_or_default();
        let problem = format!("its help is {scraped:?}, and declared as {declared:?}");
        let repair = "install the exporter with the catalogue that declares it, and describe it nowhere else";
        (scraped != declared).then(|| Finding::of(self.family, Fault::Help, problem, repair))
    }

    /// One finding for each wrong set of labels.
    fn label_sets(&self) -> Vec<Finding> {
        let declared: BTreeSet<&str> = self.family.labels().map(|label| label.key).collect();
        let scraped: BTreeSet<BTreeSet<&str>> =
            self.scraped.samples.iter().map(label_set).collect();
        let wrong = scraped.into_iter().filter(|set| *set != declared);
        wrong
            .map(|set| {
                let problem =
                    format!("has series labelled {set:?}, and is declared with {declared:?}");
                let repair = "record through its handles only, and declare every label there is";
                Finding::of(self.family, Fault::LabelSet, problem, repair)
            })
            .collect()
    }

    /// One finding for each value that is not in its label's set.
    fn label_values(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for label in self.family.labels() {
            let Values::Closed(values) = label.values else {
                continue;
            };
            let scraped: BTreeSet<_> = self.values_of(label.key).collect();
            for value in scraped.into_iter().filter(|value| !values.contains(value)) {
                let problem = format!(
                    "its label `{}` is {value:?}, which is none of {values:?}",
                    label.key
                );
                let repair = "add the value to the label's enum, or record one that is there";
                findings.push(Finding::of(self.family, Fault::LabelValue, problem, repair));
            }
        }
        findings
    }

    /// More series than the family's budget, or more values of a scope label than its limit. What was folded into `other`
    /// does not count: there has to be room for it.
    fn budget(&self) -> Option<Finding> {
        let (series, budget) = (self.series(), self.family.series_budget());
        if series > budget {
            let problem = format!("has {series} series, and a budget of {budget}");
            let repair = "install the exporter, whose recorder holds families to their budgets, or raise the `budget`";
            return Some(Finding::of(self.family, Fault::Budget, problem, repair));
        }
        for label in self.family.scope() {
            let Values::Open(limit) = label.values else {
                continue;
            };
            let values: BTreeSet<_> = self
                .values_of(label.key)
                .filter(|value| *value != OTHER)
                .collect();
            if values.len() > limit {
                let count = values.len();
                let problem = format!(
                    "its label `{}` has {count} values, and a limit of {limit}",
                    label.key
                );
                let repair = "install the exporter, whose recorder holds labels to their limits, or raise the limit";
                return Some(Finding::of(self.family, Fault::Budget, problem, repair));
            }
        }
        None
    }

    /// Series, a histogram or summary counted as one, without those that others were folded into.
    fn series(&self) -> usize {
        let is_open = |key: &str| {
            let mut labels = self.family.labels();
            labels.any(|label| label.key == key && matches!(label.values, Values::Open(_)))
        };
        let is_folded = |labels: &[(&str, &str)]| {
            let mut open = labels.iter().filter(|(key, _)| is_open(key)).peekable();
            open.peek().is_some() && open.all(|(_, value)| *value == OTHER)
        };
        let series: BTreeSet<Vec<_>> = self.scraped.samples.iter().map(own_labels).collect();
        series.iter().filter(|labels| !is_folded(labels)).count()
    }

    /// Buckets or quantiles that are not those declared.
    fn bounds(&self) -> Option<Finding> {
        let (key, mut declared) = match self.family.kind() {
            obs_core::Kind::Histogram => ("le", self.family.bucket_bounds().to_vec()),
            obs_core::Kind::Summary => ("quantile", self.family.quantile_levels().to_vec()),
            _ => return None,
        };
        if key == "le" {
            declared.push(f64::INFINITY);
        }
        // The strict parser has seen to it that they rise within each series.
        let mut scraped: Vec<f64> = self
            .values_of(key)
            .filter_map(|bound| bound.parse().ok())
            .collect();
        scraped.sort_by(f64::total_cmp);
        scraped.dedup();
        let problem = format!("has {key} {scraped:?}, and is declared with {declared:?}");
        let repair = "install the exporter with the catalogue that declares it";
        (scraped != declared).then(|| Finding::of(self.family, Fault::Bounds, problem, repair))
    }

    /// Buckets that tell nothing apart.
    fn one_bucket(&self) -> Option<Finding> {
        let (bounds, counts) = self.observations()?;
        let all: f64 = counts.iter().sum();
        let (fullest, most) = counts
            .iter()
            .copied()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        if all < FEWEST_OBSERVATIONS || most / all < ONE_BUCKET {
            return None;
        }
        let unit = match self.family.measured_in() {
            Unit::Number | Unit::Ratio | Unit::Count => String::new(),
            unit => format!(" {}", unit.as_str()),
        };
        let above = fullest
            .checked_sub(1)
            .map_or(String::new(), |below| format!("above {} ", bounds[below]));
        let share = (most / all * 100.0).floor();
        let problem = format!(
            "{share} % of {all} observations lie in the one bucket {above}up to {}{unit}",
            bounds[fullest]
        );
        let repair = "state bounds that divide what is observed";
        Some(Finding::of(self.family, Fault::OneBucket, problem, repair))
    }

    /// The bounds of a histogram's buckets and the observations in each, over all series.
    fn observations(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let histograms = self.scraped.histograms();
        let bounds: Vec<f64> = histograms
            .first()?
            .buckets
            .iter()
            .map(|(bound, _)| *bound)
            .collect();
        let mut counts = vec![0.0; bounds.len()];
        for histogram in &histograms {
            let mut below = 0.0;
            for (count, (_, cumulative)) in counts.iter_mut().zip(&histogram.buckets) {
                *count += cumulative - below;
                below = *cumulative;
            }
        }
        Some((bounds, counts))
    }

    fn values_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.scraped
            .samples
            .iter()
            .filter_map(move |sample| sample.label(key))
    }
}

/// The keys of the labels that the declaration answers for.
fn label_set(sample: &Sample) -> BTreeSet<&str> {
    own_labels(sample).into_iter().map(|(key, _)| key).collect()
}

/// The labels that the declaration answers for, sorted: neither the exporter's nor the format's.
fn own_labels(sample: &Sample) -> Vec<(&str, &str)> {
    let is_own = |(key, value): &(&str, &str)| {
        !GLOBAL_LABELS.contains(key) && !["le", "quantile"].contains(key) && !value.is_empty()
    };
    let labels: BTreeMap<&str, &str> = sample
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(is_own)
        .collect();
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use obs_core::{By, Counter, Each, Gauge, Histogram, Summary};

    use super::*;

    obs_core::label! {
        /// Buy or sell.
        enum Side as "side" { Buy = "buy", Sell = "sell" }
    }
    obs_core::label! {
        /// Where orders go.
        open Venue as "venue" up to 2
    }
    obs_core::label! {
        /// What is traded.
        open Symbol as "symbol" up to 3
    }
    obs_core::families! {
        struct Orders(venue: Venue) {
            /// Orders handed to the venue.
            ///
            /// Only the first paragraph is exported.
            orders: By<Side, Counter> = "desk_orders_total",
            /// Time to the last fill.
            fill: Histogram = "desk_fill_seconds" { buckets: &[0.5, 1.0] },
        }
    }
    obs_core::families! {
        struct Desk {
            /// Trades taken.
            trades: Each<Symbol, Counter> = "desk_trades_total" { budget: 2 },
            /// Money.
            money: Gauge = "desk_money",
            /// Time to a quote.
            quote: Summary = "desk_quote_seconds" { quantiles: &[0.5] },
        }
    }

    const AS_DECLARED: &str = r#"# HELP desk_orders_total Orders handed to the venue.
# TYPE desk_orders_total counter
desk_orders_total{service="desk",venue="alpaca",side="buy"} 1
desk_orders_total{service="desk",venue="alpaca",side="sell"} 0
# HELP desk_fill_seconds Time to the last fill.
# TYPE desk_fill_seconds histogram
desk_fill_seconds_bucket{venue="alpaca",le="0.5"} 40
desk_fill_seconds_bucket{venue="alpaca",le="1"} 134
desk_fill_seconds_bucket{venue="alpaca",le="+Inf"} 140
desk_fill_seconds_sum{venue="alpaca"} 130
desk_fill_seconds_count{venue="alpaca"} 140
# HELP desk_trades_total Trades taken.
# TYPE desk_trades_total counter
desk_trades_total{symbol="A"} 1
desk_trades_total{symbol="B"} 1
desk_trades_total{symbol="other"} 1
# HELP desk_money Money.
# TYPE desk_money gauge
desk_money NaN
# HELP desk_quote_seconds Time to a quote.
# TYPE desk_quote_seconds summary
desk_quote_seconds{quantile="0.5"} 1
desk_quote_seconds_sum 1
desk_quote_seconds_count 1
"#;

    fn findings(text: &str) -> Vec<Finding> {
        let catalogue = Catalogue::of(&[Orders::FAMILIES, Desk::FAMILIES]);
        check(&catalogue, &obs_exposition::parse(text).unwrap())
    }

    /// The only finding when `from` is replaced by `to`.
    fn finding(from: &str, to: &str) -> Finding {
        assert!(AS_DECLARED.contains(from), "{from}");
        let mut found = findings(&AS_DECLARED.replace(from, to));
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    fn assert_found(finding: &Finding, fault: Fault, metric: &str, problem: &str) {
        assert_eq!(
            (
                finding.fault,
                finding.metric.as_deref(),
                finding.problem.as_str()
            ),
            (fault, Some(metric), problem)
        );
        let place = finding.file.as_deref().unwrap_or_default();
        assert!(
            place.ends_with("live.rs") && finding.line > Some(1),
            "{finding:?}"
        );
    }

    #[test]
    fn what_is_as_declared_has_no_findings() {
        assert_eq!(findings(AS_DECLARED), []);
    }

    #[test]
    fn an_undeclared_family_is_found() {
        let found = findings(&format!("{AS_DECLARED}up 1\n"));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].fault, found[0].metric.as_deref()),
            (Fault::Undeclared, Some("up"))
        );
    }

    #[test]
    fn a_missing_family_is_found() {
        let missing = finding("desk_money NaN\n", "");
        assert_found(
            &missing,
            Fault::Missing,
            "desk_money",
            "is declared and not exported",
        );
    }

    #[test]
    fn another_kind_is_found() {
        let problem = "is exported as a gauge, and declared as a counter";
        let kind = finding("trades_total counter", "trades_total gauge");
        assert_found(&kind, Fault::Kind, "desk_trades_total", problem);
    }

    #[test]
    fn another_help_is_found() {
        let problem = r#"its help is "Gold.", and declared as "Money.""#;
        assert_found(
            &finding(" Money.", " Gold."),
            Fault::Help,
            "desk_money",
            problem,
        );
        let problem = r#"its help is "", and declared as "Money.""#;
        let none = finding("# HELP desk_money Money.\n", "");
        assert_found(&none, Fault::Help, "desk_money", problem);
    }

    #[test]
    fn another_label_set_is_found() {
        let more = finding("desk_money NaN", "desk_money{currency=\"USD\"} NaN");
        let problem = r#"has series labelled {"currency"}, and is declared with {}"#;
        assert_found(&more, Fault::LabelSet, "desk_money", problem);

        let fewer = finding(
            "service=\"desk\",venue=\"alpaca\",side=\"buy\"",
            "mode=\"paper\",venue=\"\",side=\"buy\"",
        );
        let problem = r#"has series labelled {"side"}, and is declared with {"side", "venue"}"#;
        assert_found(&fewer, Fault::LabelSet, "desk_orders_total", problem);
    }

    #[test]
    fn a_value_outside_a_closed_set_is_found() {
        let value = finding("side=\"buy\"", "side=\"hold\"");
        let problem = r#"its label `side` is "hold", which is none of ["buy", "sell"]"#;
        assert_found(&value, Fault::LabelValue, "desk_orders_total", problem);
    }

    #[test]
    fn series_and_scopes_over_their_budget_are_found() {
        let line = "desk_trades_total{symbol=\"B\"} 1\n";
        let series = finding(
            line,
            &format!("{line}desk_trades_total{{symbol=\"C\"}} 1\n"),
        );
        assert_found(
            &series,
            Fault::Budget,
            "desk_trades_total",
            "has 3 series, and a budget of 2",
        );

        let line = "desk_orders_total{service=\"desk\",venue=\"alpaca\",side=\"sell\"} 0\n";
        let venues = ["b", "c", "other"]
            .map(|venue| line.replace("alpaca", venue))
            .concat();
        let scope = finding(line, &format!("{line}{venues}"));
        let problem = "its label `venue` has 3 values, and a limit of 2";
        assert_found(&scope, Fault::Budget, "desk_orders_total", problem);
    }

    #[test]
    fn other_buckets_and_quantiles_are_found() {
        let buckets = finding("le=\"1\"", "le=\"2\"");
        let problem = "has le [0.5, 2.0, inf], and is declared with [0.5, 1.0, inf]";
        assert_found(&buckets, Fault::Bounds, "desk_fill_seconds", problem);

        let quantiles = finding("quantile=\"0.5\"", "quantile=\"0.9\"");
        let problem = "has quantile [0.9], and is declared with [0.5]";
        assert_found(&quantiles, Fault::Bounds, "desk_quote_seconds", problem);
    }

    #[test]
    fn buckets_that_tell_nothing_apart_are_found() {
        let one = finding("le=\"0.5\"} 40", "le=\"0.5\"} 1");
        let problem = "95 % of 140 observations lie in the one bucket above 0.5 up to 1 seconds";
        assert_found(&one, Fault::OneBucket, "desk_fill_seconds", problem);

        // The same share of fewer observations is none.
        let few = AS_DECLARED
            .replace("140", "70")
            .replace("134", "70")
            .replace("} 40", "} 0");
        assert_eq!(findings(&few), []);
    }

    #[test]
    fn what_the_pipeline_folded_or_refused_is_found() {
        for (counter, fault) in [
            ("obs_series_overflow_total", Fault::Folded),
            ("obs_samples_rejected_total", Fault::Rejected),
        ] {
            let counters = format!(
                "{counter}{{metric=\"desk_fill_seconds\"}} 3\n{counter}{{metric=\"desk_money\"}} 0\n"
            );
            let found = findings(&format!("{AS_DECLARED}{counters}"));
            let found: Vec<_> = found
                .iter()
                .filter(|finding| finding.fault != Fault::Undeclared)
                .collect();
            assert_eq!(found.len(), 1, "{found:#?}");
            assert_eq!(
                (found[0].fault, found[0].metric.as_deref()),
                (fault, Some("desk_fill_seconds"))
            );
            assert!(found[0].problem.starts_with("3 "), "{}", found[0].problem);
        }
    }

    #[test]
    fn a_broken_line_is_told_with_its_place() {
        let (_, errors) = obs_exposition::parse_all("x{ 1\n");
        let problem = malformed(&errors[0]).problem;
        assert!(
            problem.starts_with("the exposition breaks its format: line 1, column "),
            "{problem}"
        );
    }
}
