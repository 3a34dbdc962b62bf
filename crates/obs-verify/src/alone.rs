//! An exposition by itself, for services that have no catalogue: what it breaks of the format and of Prometheus' conventions, and
//! the catalogue that can be made out in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use obs_core::{Kind, Unit};
use obs_exposition::{Kind as ScrapedKind, Sample};

use crate::declared::conventions;
use crate::exposition::Scraped;
use crate::{Catalog, Family, Fault, Finding, Label, live};

/// With more series than this, one metric of one process is a burden to any Prometheus.
const MANY_SERIES: usize = 10_000;

/// Everything that can be said of an exposition without knowing what was meant.
///
/// What breaks the format is an error, what breaks a convention a warning: the names may be other people's.
#[must_use]
pub fn check(scraped: &Scraped) -> Vec<Finding> {
    let mut findings = vec![Finding::new(
        Fault::NoCatalogue,
        "the service has no catalogue; it is judged by its exposition alone",
        "nothing, or serve /catalog.json by obs-exporter",
    )];
    findings.extend(live::broken(scraped));
    for family in &scraped.exposition.families {
        findings.extend(undefined(family));
        findings.extend(many(family));
        if !scraped.is_federated {
            findings.extend(unconventional(family));
        }
    }
    findings
}

fn unconventional(family: &obs_exposition::Family) -> Vec<Finding> {
    let warning = |problem: String, repair: String| {
        Finding::new(Fault::Convention, problem, repair).about(&family.name)
    };
    let kind = kind_of(family.kind);
    let told = kind.map_or_else(Vec::new, |kind| conventions(&family.name, kind));
    let mut findings: Vec<_> = told
        .into_iter()
        .map(|(problem, repair)| warning(problem, repair))
        .collect();
    if family.kind == ScrapedKind::Untyped && !family.samples.is_empty() {
        let problem = "has no type";
        findings.push(warning(problem.into(), "write a # TYPE line".into()));
    }
    if family.help.as_deref().unwrap_or_default().is_empty() && !family.samples.is_empty() {
        let problem = "has no help text";
        findings.push(warning(problem.into(), "write a # HELP line".into()));
    }
    findings
}

/// A count that is no number: everything that is computed from it is none either.
fn undefined(family: &obs_exposition::Family) -> Option<Finding> {
    let counts = |sample: &&Sample| match family.kind {
        ScrapedKind::Counter => true,
        ScrapedKind::Histogram | ScrapedKind::Summary => {
            sample.name.ends_with("_sum") || sample.name.ends_with("_count")
        }
        ScrapedKind::Gauge | ScrapedKind::Untyped => false,
    };
    let wrong = |sample: &&Sample| !sample.value.is_finite();
    let sample = family.samples.iter().filter(counts).find(wrong)?;
    let problem = format!("has the value {} where it counts", sample.value);
    let repair = "count no value that is not a finite number";
    Some(Finding::new(Fault::Undefined, problem, repair).about(&family.name))
}

fn many(family: &obs_exposition::Family) -> Option<Finding> {
    let is_part = |key: &str| ["le", "quantile"].contains(&key);
    let series: BTreeSet<Vec<_>> = family
        .samples
        .iter()
        .map(|s| s.labels.iter().filter(|(key, _)| !is_part(key)).collect())
        .collect();
    if series.len() <= MANY_SERIES {
        return None;
    }
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in series.iter().flatten() {
        values.entry(key).or_default().insert(value);
    }
    let (key, most) = values.into_iter().max_by_key(|(_, values)| values.len())?;
    let problem = format!(
        "has {} series; its label `{key}` has {} values",
        series.len(),
        most.len()
    );
    let repair = "label with fewer values, or put a limit on them";
    let finding = Finding::new(Fault::Convention, problem, repair);
    Some(finding.about(&family.name))
}

fn kind_of(kind: ScrapedKind) -> Option<Kind> {
    match kind {
        ScrapedKind::Counter => Some(Kind::Counter),
        ScrapedKind::Gauge => Some(Kind::Gauge),
        ScrapedKind::Histogram => Some(Kind::Histogram),
        ScrapedKind::Summary => Some(Kind::Summary),
        ScrapedKind::Untyped => None,
    }
}

/// The catalogue that can be made out in an exposition: names, kinds, labels and buckets. What values a label may have, and which
/// families have no series yet, it cannot know; queries can be checked against it all the same.
#[must_use]
pub fn catalog(scraped: &Scraped) -> Catalog {
    let families = scraped.exposition.families.iter();
    families
        .filter(|family| !family.samples.is_empty())
        .map(|family| Arc::new(observed(family)))
        .collect()
}

fn observed(family: &obs_exposition::Family) -> Family {
    let is_part = |key: &str| ["le", "quantile"].contains(&key);
    let keys: BTreeSet<&str> = family
        .samples
        .iter()
        .flat_map(|sample| &sample.labels)
        .map(|(key, _)| key.as_str())
        .filter(|key| !is_part(key))
        .collect();
    let label = |key: &str| Label {
        key: key.to_owned(),
        help: String::new(),
        values: None,
        limit: None,
    };
    let numbers = |key: &str| {
        let mut numbers: Vec<f64> = family
            .samples
            .iter()
            .filter_map(|sample| sample.label(key)?.parse().ok())
            .filter(|number: &f64| number.is_finite())
            .collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    };
    let prefix = family
        .name
        .split(['_', ':', '.'])
        .next()
        .unwrap_or_default();
    Family {
        name: family.name.clone(),
        package: prefix.to_owned(),
        group: prefix.to_owned(),
        kind: kind_of(family.kind).unwrap_or(Kind::Gauge),
        unit: unit_of_name(&family.name, family.kind),
        help: family.help.clone().unwrap_or_default(),
        labels: keys.into_iter().map(label).collect(),
        buckets: numbers("le"),
        quantiles: numbers("quantile"),
        range: None,
        budget: None,
        exemplars: false,
        objective: None,
        doc: None,
        scope: None,
        declared_at: None,
    }
}

/// The unit that a name says.
fn unit_of_name(name: &str, kind: ScrapedKind) -> Option<Unit> {
    let base = name.strip_suffix("_total").unwrap_or(name);
    let suffixes = [
        ("_timestamp_seconds", Unit::Timestamp),
        ("_start_time_seconds", Unit::Timestamp),
        ("_seconds", Unit::Seconds),
        ("_bytes", Unit::Bytes),
        ("_ratio", Unit::Ratio),
        ("_info", Unit::Info),
    ];
    let known = suffixes
        .into_iter()
        .find(|(suffix, _)| base.ends_with(suffix));
    match (known, kind) {
        (Some((_, unit)), _) => Some(unit),
        (None, ScrapedKind::Counter) => Some(Unit::Count),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    fn problems(text: &str) -> Vec<(Severity, String)> {
        let findings = check(&Scraped::read(text));
        let told = findings.into_iter().skip(1);
        told.map(|f| (f.severity, f.problem)).collect()
    }

    #[test]
    fn what_is_conventional_has_one_note() {
        let text = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
        let findings = check(&Scraped::read(text));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].fault, Fault::NoCatalogue);
    }

    #[test]
    fn conventions_are_warnings_and_what_is_no_number_is_an_error() {
        for (text, severity, problem) in [
            (
                "# HELP a A.\n# TYPE a counter\na 1\n",
                Severity::Warning,
                "is a counter, and its name does not end in `_total`",
            ),
            (
                "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n",
                Severity::Warning,
                "is named after `_ms`, which is no base unit",
            ),
            (
                "# TYPE a gauge\na 1\n",
                Severity::Warning,
                "has no help text",
            ),
            ("# HELP a A.\na 1\n", Severity::Warning, "has no type"),
            (
                "# HELP a_total A.\n# TYPE a_total counter\na_total +Inf\n",
                Severity::Error,
                "has the value inf where it counts",
            ),
        ] {
            assert_eq!(problems(text), [(severity, problem.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_federation_says_no_kinds_and_is_not_asked_for_them() {
        assert_eq!(
            problems("a_total{job=\"x\"} 1 1700000000000\nup{job=\"x\"} 1\n"),
            []
        );
    }

    #[test]
    fn queries_can_be_checked_by_what_is_seen() {
        let text = "# TYPE a_seconds histogram\na_seconds_bucket{x=\"1\",le=\"0.5\"} 1\na_seconds_bucket{x=\"1\",le=\"+Inf\"} 1\n\
            a_seconds_sum{x=\"1\"} 1\na_seconds_count{x=\"1\"} 1\n";
        let catalog = catalog(&Scraped::read(text));
        let family = catalog.family("a_seconds").unwrap();
        assert_eq!(
            (&family.buckets[..], family.unit),
            (&[0.5][..], Some(Unit::Seconds))
        );
        let vocabulary = crate::promql::Vocabulary::new(&catalog);
        let check = |query| crate::promql::check(query, &vocabulary).1.len();
        assert_eq!(check("sum by (x) (rate(a_seconds_count[5m]))"), 0);
        assert_eq!(check("sum by (y) (rate(a_seconds_count[5m]))"), 1);
    }
}
