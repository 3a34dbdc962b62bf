//! An exposition against the declarations.

use std::collections::{BTreeMap, BTreeSet};

use obs_core::{Kind, OTHER, Unit};
use obs_exposition::{Exposition, ParseError, Sample};

use crate::exposition::Scraped;
use crate::{Catalog, Family, Fault, Finding, Label};

/// Labels that the exporter or a scraper sets on every series, whatever is declared.
const TARGET_LABELS: [&str; 5] = ["service", "environment", "mode", "job", "instance"];

/// What runtimes and client libraries export of themselves, by the first word of a name.
const RUNTIMES: [&str; 8] = [
    "process", "go", "python", "jvm", "nodejs", "dotnet", "promhttp", "scrape",
];

/// From this share of observations in one bucket on, a histogram says little more than a counter.
const ONE_BUCKET: f64 = 0.95;
/// With fewer observations the share means nothing.
const FEWEST_OBSERVATIONS: f64 = 100.0;
/// Bounds of 1, 2.5, 5, 10 are as close as bounds usually are.
const CLOSE: f64 = 2.5;

/// How much of what is declared has to be exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// What has happened so far: a quiet market is no fault. What is not seen is a note, and so are families of somebody
    /// else's code.
    #[default]
    SoFar,
    /// Everything that is declared, and nothing else: for a run that does all there is to do.
    Everything,
}

/// Everything in which an exposition differs from the declarations.
#[must_use]
pub fn check(catalog: &Catalog, scraped: &Scraped, expect: Expect) -> Vec<Finding> {
    let exposition = &scraped.exposition;
    let scrape = Scrape::new(catalog, scraped);
    let mut findings = broken(scraped);
    let mut others = Vec::new();
    for name in scrape.families.keys() {
        if catalog.family(name).is_some() || is_time_of_creation(name, catalog) {
            continue;
        }
        if expect == Expect::Everything || is_ours(name, catalog) {
            findings.push(undeclared(name));
        } else {
            others.push(*name);
        }
    }
    findings.extend(third_party(&others));
    let mut unseen = Vec::new();
    for family in &catalog.families {
        match scrape.families.get(family.name.as_str()) {
            Some(parts) if parts.iter().any(|part| !part.samples.is_empty()) => {
                findings.extend(Both::new(family, parts, &scrape).check());
            }
            _ if expect == Expect::Everything => findings.push(missing(family)),
            _ => unseen.push(family.name.as_str()),
        }
        findings.extend(folded(family, exposition));
        findings.extend(rejected(family, exposition));
    }
    findings.extend(not_seen(&unseen));
    findings
}

/// Lines that break the format.
#[must_use]
pub fn broken(scraped: &Scraped) -> Vec<Finding> {
    let mut findings: Vec<_> = scraped.mistakes.iter().map(malformed).collect();
    if scraped.has_carriage_returns {
        findings.push(Finding::new(
            Fault::Malformed,
            "the exposition breaks its format: its lines end in CR LF",
            "end lines in LF alone; no scraper reads it otherwise",
        ));
    }
    findings
}

fn malformed(error: &ParseError) -> Finding {
    Finding::new(
        Fault::Malformed,
        format!("the exposition breaks its format: {error}"),
        "repair what writes it; no scraper reads it in full",
    )
}

/// Whether it says when the series of a declared family began, as `OpenMetrics` has it and a Prometheus hands it on.
fn is_time_of_creation(name: &str, catalog: &Catalog) -> bool {
    let of = name.strip_suffix("_created");
    of.is_some_and(|of| {
        catalog.family(of).is_some() || catalog.family(&format!("{of}_total")).is_some()
    })
}

/// A family that is not declared is ours if it begins as ours do, and somebody else's otherwise.
fn is_ours(name: &str, catalog: &Catalog) -> bool {
    fn first(name: &str) -> &str {
        name.split(['_', ':']).next().unwrap_or(name)
    }
    let word = first(name);
    let mut families = catalog.families.iter();
    // A colon is what rules put into the names they record.
    !name.contains(':')
        && !RUNTIMES.contains(&word)
        && families.any(|family| first(&family.name) == word)
}

fn undeclared(name: &str) -> Finding {
    let problem = "is exported and declared nowhere";
    let repair =
        "declare it with `obs_core::families!` and join its catalogue, or stop recording it";
    Finding::new(Fault::Undeclared, problem, repair).about(name)
}

/// One note for all of them.
fn third_party(names: &[&str]) -> Option<Finding> {
    let problem = format!(
        "not in the catalogue, and taken for somebody else's, for no declared family begins alike: {}",
        names.join(", ")
    );
    let repair = "declare what of it is yours";
    (!names.is_empty()).then(|| Finding::new(Fault::ThirdParty, problem, repair))
}

fn missing(family: &Family) -> Finding {
    let problem = "is declared and not exported";
    let repair = "build its struct at start-up and record in it, or remove the declaration";
    Finding::of(family, Fault::Missing, problem, repair)
}

/// One note for all of them: on a quiet morning there are many.
fn not_seen(names: &[&str]) -> Option<Finding> {
    if names.is_empty() {
        return None;
    }
    let problem = format!(
        "{} of the declared families {} not seen yet: {}",
        names.len(),
        if names.len() == 1 { "was" } else { "were" },
        names.join(", ")
    );
    let repair = "nothing, unless something has happened that they measure";
    Some(Finding::new(Fault::NotSeen, problem, repair))
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
        .sum(counter, &[("metric", &family.name)])
        .filter(|count| *count > 0.0)
}

/// An exposition as the catalogue sees it.
struct Scrape<'a> {
    /// By the name of the declared family, of which there are several parts where a federation took histograms to pieces.
    families: BTreeMap<&'a str, Vec<&'a obs_exposition::Family>>,
    /// Labels that somebody on the way added to every series.
    target_labels: BTreeSet<&'a str>,
    /// How it was written.
    scraped: &'a Scraped,
}

impl<'a> Scrape<'a> {
    fn new(catalog: &'a Catalog, scraped: &'a Scraped) -> Self {
        let exposition = &scraped.exposition;
        let mut families: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for family in &exposition.families {
            let name = whole(&family.name, catalog).unwrap_or(&family.name);
            families.entry(name).or_default().push(family);
        }
        Self {
            families,
            target_labels: on_all(catalog, exposition),
            scraped,
        }
    }

    /// Whether a label is none of the declaration's.
    fn is_targets(&self, key: &str) -> bool {
        TARGET_LABELS.contains(&key) || self.target_labels.contains(key)
    }
}

/// The declared histogram or summary that a family of this name is a part of.
fn whole<'a>(name: &str, catalog: &'a Catalog) -> Option<&'a str> {
    let observes = |name: &str| {
        let family = catalog.family(name)?;
        matches!(family.kind, Kind::Histogram | Kind::Summary).then_some(family.name.as_str())
    };
    let mut bases = ["_bucket", "_sum", "_count"]
        .into_iter()
        .filter_map(|suffix| name.strip_suffix(suffix));
    bases.find_map(observes)
}

/// The labels that every series has and no family declares: target labels, and those of a federation.
fn on_all<'a>(catalog: &Catalog, exposition: &'a Exposition) -> BTreeSet<&'a str> {
    let mut samples = exposition.families.iter().flat_map(|f| &f.samples);
    let keys = |sample: &'a Sample| sample.labels.iter().map(|(key, _)| key.as_str());
    let Some(first) = samples.next() else {
        return BTreeSet::new();
    };
    let mut common: BTreeSet<&str> = keys(first).collect();
    for sample in samples {
        common.retain(|key| sample.label(key).is_some());
    }
    let declares = |key: &str| {
        let mut families = catalog.families.iter();
        families.any(|family| family.label(key).is_some())
    };
    common.retain(|key| !declares(key));
    common
}

/// Whether bounds are close in a bucket and on both sides of it: if nearly all observations lie there, they are steady, and no fault
/// of the bounds. On a quicker machine all of them would lie in the bucket below.
fn is_amid_close_bounds(bounds: &[f64], bucket: usize) -> bool {
    let around = bucket
        .checked_sub(2)
        .and_then(|first| bounds.get(first..=bucket + 1));
    let is_close = |pair: &[f64]| pair[0] > 0.0 && pair[1] <= pair[0] * CLOSE * (1.0 + 1e-9);
    around.is_some_and(|around| around.windows(2).all(is_close))
}

/// A family as declared and as scraped.
struct Both<'a> {
    family: &'a Family,
    parts: &'a [&'a obs_exposition::Family],
    scrape: &'a Scrape<'a>,
}

impl<'a> Both<'a> {
    fn new(
        family: &'a Family,
        parts: &'a [&'a obs_exposition::Family],
        scrape: &'a Scrape<'a>,
    ) -> Self {
        Self {
            family,
            parts,
            scrape,
        }
    }

    fn check(&self) -> Vec<Finding> {
        if !self.scrape.scraped.is_federated
            && let Some(kind) = self.kind()
        {
            // Everything else follows from the kind.
            return vec![kind];
        }
        let mut findings = Vec::new();
        findings.extend(self.help());
        findings.extend(self.unit());
        findings.extend(self.label_sets());
        findings.extend(self.label_values());
        findings.extend(self.budget());
        findings.extend(self.limits());
        findings.extend(self.bounds());
        findings.extend(self.undefined());
        findings.extend(self.range());
        findings.extend(self.one_bucket());
        findings
    }

    fn samples(&self) -> impl Iterator<Item = &'a Sample> {
        self.parts.iter().flat_map(|part| &part.samples)
    }

    fn finding(&self, fault: Fault, problem: impl Into<String>, repair: &str) -> Finding {
        Finding::of(self.family, fault, problem, repair)
    }

    fn kind(&self) -> Option<Finding> {
        let declared = self.family.kind.as_str();
        let is_said = |part: &obs_exposition::Family| {
            !(self.scrape.scraped.is_open_metrics && part.kind == obs_exposition::Kind::Untyped)
        };
        let mut parts = self.parts.iter().filter(|part| is_said(part));
        let part = parts.find(|part| part.kind.to_string() != declared)?;
        let problem = format!(
            "is exported as a {}, and declared as a {declared}",
            part.kind
        );
        let repair = "install the exporter with the catalogue that declares it, and record through its handles only";
        Some(self.finding(Fault::Kind, problem, repair))
    }

    fn help(&self) -> Option<Finding> {
        if self.scrape.scraped.is_federated {
            return None;
        }
        let declared = self.family.help.as_str();
        let scraped = self.parts[0].help.as_deref().unwrap_or_default();
        let problem = format!("its help is {scraped:?}, and declared as {declared:?}");
        let repair = "install the exporter with the catalogue that declares it, and describe it nowhere else";
        (scraped != declared).then(|| self.finding(Fault::Help, problem, repair))
    }

    /// Another unit than declared. Only `OpenMetrics` says one.
    fn unit(&self) -> Option<Finding> {
        let said = self.scrape.scraped.units.get(&self.family.name)?;
        let declared = self.family.unit_word();
        let is_same = said == declared
            || said.is_empty()
            || matches!(self.family.unit, None | Some(Unit::Timestamp)) && said == "seconds";
        let problem = format!("is exported in {said}, and declared in {declared}");
        let repair = "install the exporter with the catalogue that declares it";
        (!is_same).then(|| self.finding(Fault::Unit, problem, repair))
    }

    /// One finding for each wrong set of labels.
    fn label_sets(&self) -> Vec<Finding> {
        let declared: BTreeSet<&str> = self.family.labels.iter().map(|l| l.key.as_str()).collect();
        let scraped: BTreeSet<BTreeSet<&str>> = self
            .samples()
            .map(|sample| self.own_labels(sample).into_keys().collect())
            .collect();
        let wrong = scraped.into_iter().filter(|set| *set != declared);
        wrong
            .map(|set| {
                let problem =
                    format!("has series labelled {set:?}, and is declared with {declared:?}");
                let repair = "record through its handles only, and declare every label there is";
                self.finding(Fault::LabelSet, problem, repair)
            })
            .collect()
    }

    /// One finding for each value that is not in its label's set.
    fn label_values(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for label in &self.family.labels {
            let Some(values) = &label.values else {
                continue;
            };
            let scraped: BTreeSet<_> = self.values_of(&label.key).collect();
            let is_known = |value: &str| values.iter().any(|known| known == value);
            for value in scraped.into_iter().filter(|value| !is_known(value)) {
                let problem = format!(
                    "its label `{}` is {value:?}, which is none of {values:?}",
                    label.key
                );
                let repair = "add the value to the label's enum, or record one that is there";
                findings.push(self.finding(Fault::LabelValue, problem, repair));
            }
        }
        findings
    }

    /// More series in one process than the family's budget.
    fn budget(&self) -> Option<Finding> {
        let (series, budget) = (self.most_series(), self.family.budget?);
        let problem = format!("has {series} series, and a budget of {budget}");
        let repair = "install the exporter, whose recorder holds families to their budgets, or raise the `budget`";
        (series > budget).then(|| self.finding(Fault::Budget, problem, repair))
    }

    /// More values of an open label than its limit. What was folded into `other` does not count: there has to be room for it.
    ///
    /// The limit of a scope's label holds for the process, that of an axis for each combination of the labels around it.
    fn limits(&self) -> Option<Finding> {
        let open = self.family.labels.iter().enumerate();
        let mut open = open.filter(|(_, label)| label.is_open());
        open.find_map(|(place, label)| {
            let (most, limit) = (self.most_values(place, label), label.limit?);
            let problem = format!(
                "its label `{}` has {most} values, and a limit of {limit}",
                label.key
            );
            let repair = "install the exporter, whose recorder holds labels to their limits, or raise the limit";
            (most > limit).then(|| self.finding(Fault::Budget, problem, repair))
        })
    }

    fn most_values(&self, place: usize, label: &Label) -> usize {
        let is_of_scope = self.family.scope.is_some_and(|scope| place < scope);
        let around: &[Label] = if is_of_scope {
            &[]
        } else {
            &self.family.labels[..place]
        };
        let mut values: BTreeMap<Vec<&str>, BTreeSet<&str>> = BTreeMap::new();
        for sample in self.samples() {
            let value = sample.label(&label.key).unwrap_or(OTHER);
            if value != OTHER {
                let mut at = self.target(sample);
                at.extend(
                    around
                        .iter()
                        .map(|l| sample.label(&l.key).unwrap_or_default()),
                );
                values.entry(at).or_default().insert(value);
            }
        }
        values.values().map(BTreeSet::len).max().unwrap_or(0)
    }

    /// The process that a sample is of, by its target labels.
    fn target(&self, sample: &'a Sample) -> Vec<&'a str> {
        let is_targets = |(key, _): &&(String, String)| self.scrape.is_targets(key);
        let mut labels: Vec<_> = sample.labels.iter().filter(is_targets).collect();
        labels.sort_unstable();
        labels
            .into_iter()
            .flat_map(|(key, value)| [key.as_str(), value.as_str()])
            .collect()
    }

    /// The series of the process that has the most, a histogram or summary counted as one, without those that others were
    /// folded into.
    fn most_series(&self) -> usize {
        let is_folded = |labels: &BTreeMap<&str, &str>| {
            let open = self.family.labels.iter().filter(|label| label.is_open());
            let mut values = open.map(|label| labels.get(label.key.as_str())).peekable();
            values.peek().is_some() && values.all(|value| value == Some(&OTHER))
        };
        let mut series: BTreeMap<Vec<&str>, BTreeSet<_>> = BTreeMap::new();
        for sample in self.samples() {
            let labels = self.own_labels(sample);
            if !is_folded(&labels) {
                let of = series.entry(self.target(sample)).or_default();
                of.insert(labels.into_iter().collect::<Vec<_>>());
            }
        }
        series.values().map(BTreeSet::len).max().unwrap_or(0)
    }

    /// Buckets or quantiles that are not those declared.
    fn bounds(&self) -> Option<Finding> {
        let (key, mut declared) = match self.family.kind {
            Kind::Histogram => ("le", self.family.buckets.clone()),
            Kind::Summary => ("quantile", self.family.quantiles.clone()),
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
        (scraped != declared).then(|| self.finding(Fault::Bounds, problem, repair))
    }

    /// A value that would poison every sum it enters. A gauge that is not defined is `NaN`; nothing else is.
    fn undefined(&self) -> Option<Finding> {
        let may_be_undefined = |sample: &Sample| match self.family.kind {
            Kind::Gauge => sample.value.is_nan(),
            // The quantiles of a window in which nothing was observed.
            Kind::Summary => sample.value.is_nan() && sample.label("quantile").is_some(),
            Kind::Counter | Kind::Histogram => false,
        };
        let wrong = |sample: &&Sample| !sample.value.is_finite() && !may_be_undefined(sample);
        let sample = self.samples().find(wrong)?;
        let problem = format!("has the value {} in `{}`", sample.value, shown(sample));
        let repair = "record no value that is not a finite number; an undefined gauge is NaN";
        Some(self.finding(Fault::Undefined, problem, repair))
    }

    /// A value outside of what the declaration says.
    fn range(&self) -> Option<Finding> {
        let wrong = |sample: &&Sample| match (self.family.kind, self.family.unit) {
            (Kind::Gauge, Some(Unit::Switch)) => ![0.0, 1.0].contains(&sample.value),
            // Exact: nothing is computed to get there.
            (Kind::Gauge, Some(Unit::Info)) => (sample.value - 1.0).abs() > f64::EPSILON,
            _ => false,
        };
        let one = self.samples().find(|s| !s.value.is_nan() && wrong(s));
        if let Some(sample) = one {
            let unit = self.family.unit_word();
            let problem = format!(
                "is {} in `{}`, and declared as {unit}",
                sample.value,
                shown(sample)
            );
            let repair = "record what the unit says, or declare another one";
            return Some(self.finding(Fault::Range, problem, repair));
        }
        let (low, high) = self.family.bounds();
        let observed = self.observed_outside(low, high)?;
        let problem = format!("has {observed}, and takes values from {low} to {high} only");
        let repair = "install the exporter, whose recorder drops others, or widen the `range`";
        Some(self.finding(Fault::Range, problem, repair))
    }

    /// What a histogram or summary says of observations outside of its range.
    fn observed_outside(&self, low: f64, high: f64) -> Option<String> {
        if !matches!(self.family.kind, Kind::Histogram | Kind::Summary) {
            return None;
        }
        // Means are rounded.
        let slack = 1e-9 * low.abs().max(high.abs()).min(f64::MAX / 1e12);
        let is_outside = |value: f64| value < low - slack || value > high + slack;
        let quantile = self
            .samples()
            .find(|s| s.label("quantile").is_some() && is_outside(s.value));
        if let Some(sample) = quantile {
            return Some(format!("the quantile {}", sample.value));
        }
        let of = |suffix: &str, of: &Sample| {
            let name = format!("{}{suffix}", self.family.name);
            let labels: Vec<_> = of
                .labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            let same = |sample: &&Sample| sample.name == name && sample.has_exactly(&labels);
            self.samples().find(same).map(|sample| sample.value)
        };
        let sum = format!("{}_sum", self.family.name);
        for sample in self.samples().filter(|sample| sample.name == sum) {
            let mean = sample.value / of("_count", sample).unwrap_or(f64::NAN);
            if is_outside(mean) {
                return Some(format!("observations of {mean} on average"));
            }
        }
        None
    }

    /// Buckets that tell nothing apart.
    fn one_bucket(&self) -> Option<Finding> {
        let (bounds, counts) = self.observations()?;
        // One with native buckets alone has no others.
        if bounds.len() < 2 {
            return None;
        }
        let all: f64 = counts.iter().sum();
        let (fullest, most) = counts
            .iter()
            .copied()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        if all < FEWEST_OBSERVATIONS
            || most / all < ONE_BUCKET
            || is_amid_close_bounds(&bounds, fullest)
        {
            return None;
        }
        let unit = match self.family.unit {
            None | Some(Unit::Number | Unit::Ratio | Unit::Count) => String::new(),
            Some(unit) => format!(" {}", unit.as_str()),
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
        Some(self.finding(Fault::OneBucket, problem, repair))
    }

    /// The bounds of a histogram's buckets and the observations in each, over all series.
    fn observations(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let histograms = self.parts[0].histograms();
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

    fn values_of<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        let parts = self.parts;
        let samples = parts.iter().flat_map(|part| &part.samples);
        samples.filter_map(move |sample| sample.label(key))
    }

    /// The labels that the declaration answers for, sorted: neither the exporter's, a scraper's nor the format's.
    fn own_labels(&self, sample: &'a Sample) -> BTreeMap<&'a str, &'a str> {
        let declares = |key: &str| self.family.label(key).is_some();
        let is_own = |(key, value): &(&str, &str)| {
            declares(key)
                || !self.scrape.is_targets(key)
                    && !["le", "quantile"].contains(key)
                    && !value.is_empty()
        };
        sample
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .filter(is_own)
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

/// A sample without its value.
fn shown(sample: &Sample) -> String {
    let line = sample.to_string();
    let end = line.rfind(' ').unwrap_or(line.len());
    line[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use obs_core::{By, Catalogue, Counter, Each, Gauge, Histogram, Summary};

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
        found(text, Expect::Everything)
    }

    fn found(text: &str, expect: Expect) -> Vec<Finding> {
        let catalog = Catalog::from(&Catalogue::of(&[Orders::FAMILIES, Desk::FAMILIES]));
        check(
            &catalog,
            &obs_exposition::parse(text).unwrap().into(),
            expect,
        )
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

        // Where bounds are close all around, it is the observations that are steady.
        let bounds = [0.000_5, 0.001, 0.002_5, 0.005, 0.05, f64::INFINITY];
        let steady = [0, 1, 2, 3, 4, 5].map(|bucket| is_amid_close_bounds(&bounds, bucket));
        assert_eq!(steady, [false, false, true, false, false, false]);

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
