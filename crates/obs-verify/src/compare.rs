//! Two catalogues, or two expositions: what differs, and what of that breaks those who use it.

use std::collections::BTreeSet;

use crate::exposition::Scraped;
use crate::{Catalog, Family, Fault, Finding, Label, Severity};

/// What has changed from one catalogue to another.
///
/// What breaks a query that was right before is an error: a family or label that is gone, another kind, unit or set of buckets, a
/// value that no longer occurs. What was added, or is said in other words, is a note.
#[must_use]
pub fn changes(old: &Catalog, new: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for family in &old.families {
        match new.family(&family.name) {
            Some(now) => findings.extend(changed(family, now)),
            None => findings.push(breaking(family, "is gone")),
        }
    }
    let added = new
        .families
        .iter()
        .filter(|f| old.family(&f.name).is_none());
    findings.extend(added.map(|family| {
        let what = format!(
            "is new: a {} in {}",
            family.kind.as_str(),
            family.unit_word()
        );
        note(family, what)
    }));
    findings
}

/// Everything in which two services differ that should be the same: their catalogues, and the forms of what both export. Values
/// differ, and which families have been seen.
#[must_use]
pub fn differences(
    (a, one): (Option<&Catalog>, &Scraped),
    (b, other): (Option<&Catalog>, &Scraped),
) -> Vec<Finding> {
    let mut findings = match (a, b) {
        (Some(a), Some(b)) => {
            let mut findings = changes(a, b);
            for finding in &mut findings {
                finding.severity = Severity::Error;
            }
            findings
        }
        (None, None) => Vec::new(),
        _ => vec![differs(
            "one of them has a catalogue, and the other has none",
        )],
    };
    for family in &one.exposition.families {
        let Some(its) = other.exposition.family(&family.name) else {
            continue;
        };
        let mut add = |what: String| findings.push(differs(&what).about(&family.name));
        if family.kind != its.kind {
            add(format!(
                "is a {} here and a {} there",
                family.kind, its.kind
            ));
        }
        if family.help != its.help {
            add("has another help text in each".to_owned());
        }
        for key in ["le", "quantile"] {
            let (here, there) = (values(family, key), values(its, key));
            if here != there {
                add(format!("has {key} {here:?} here and {there:?} there"));
            }
        }
        let (here, there) = (keys(family), keys(its));
        if !here.is_empty() && !there.is_empty() && here != there {
            add(format!(
                "has series labelled {here:?} here and {there:?} there"
            ));
        }
    }
    findings.extend(unseen(one, other, "first"));
    findings.extend(unseen(other, one, "second"));
    findings
}

/// Families that only one of them exports.
fn unseen(one: &Scraped, other: &Scraped, which: &str) -> Option<Finding> {
    let only = one.exposition.families.iter();
    let only: Vec<_> = only
        .filter(|family| !family.samples.is_empty())
        .filter(|family| {
            other
                .exposition
                .family(&family.name)
                .is_none_or(|f| f.samples.is_empty())
        })
        .map(|family| family.name.as_str())
        .collect();
    let problem = format!("only the {which} has series of {}", only.join(", "));
    let repair = "nothing, unless both have done the same";
    (!only.is_empty()).then(|| Finding::new(Fault::NotSeen, problem, repair))
}

fn values<'a>(family: &'a obs_exposition::Family, key: &str) -> BTreeSet<&'a str> {
    family.samples.iter().filter_map(|s| s.label(key)).collect()
}

fn keys(family: &obs_exposition::Family) -> BTreeSet<BTreeSet<&str>> {
    family
        .samples
        .iter()
        .map(|sample| sample.labels.iter().map(|(key, _)| key.as_str()).collect())
        .collect()
}

fn changed(old: &Family, new: &Family) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut breaks = |is: bool, what: String| {
        if is {
            findings.push(breaking(new, what));
        }
    };
    let (was, is) = (old.kind.as_str(), new.kind.as_str());
    breaks(was != is, format!("was a {was}, and is a {is}"));
    let (was, is) = (old.unit_word(), new.unit_word());
    breaks(was != is, format!("was in {was}, and is in {is}"));
    let (was, is) = (&old.buckets, &new.buckets);
    breaks(
        was != is,
        format!("had buckets up to {was:?}, and has {is:?}"),
    );
    let (was, is) = (&old.quantiles, &new.quantiles);
    breaks(was != is, format!("had quantiles {was:?}, and has {is:?}"));
    for label in &old.labels {
        match new.label(&label.key) {
            None => breaks(true, format!("has lost the label `{}`", label.key)),
            Some(now) => {
                let gone = lost(label, now);
                let gone_words = gone.join(", ");
                let what = format!("its label `{}` is never {gone_words} any more", label.key);
                breaks(!gone.is_empty(), what);
                let closes = label.is_open() != now.is_open();
                let how = if now.is_open() { "open" } else { "closed" };
                breaks(closes, format!("its label `{}` is now {how}", label.key));
            }
        }
    }
    for label in &new.labels {
        let is_new = old.label(&label.key).is_none();
        breaks(
            is_new,
            format!(
                "has a new label `{}`, by which sums without `by` double",
                label.key
            ),
        );
    }
    findings.extend(reworded(old, new));
    findings
}

/// What nobody's query depends on.
fn reworded(old: &Family, new: &Family) -> Vec<Finding> {
    let mut notes = Vec::new();
    let mut says = |is: bool, what: String| {
        if is {
            notes.push(note(new, what));
        }
    };
    says(
        old.help != new.help,
        format!("its help was {:?}, and is {:?}", old.help, new.help),
    );
    if let (Some(was), Some(is)) = (old.budget, new.budget) {
        says(
            was != is,
            format!("had a budget of {was} series, and has {is}"),
        );
    }
    says(old.range != new.range, "takes other values".to_owned());
    for label in &new.labels {
        let Some(before) = old.label(&label.key) else {
            continue;
        };
        let added = lost(label, before);
        let what = format!("its label `{}` may be {} too", label.key, added.join(", "));
        says(!added.is_empty(), what);
        if let (Some(was), Some(is)) = (before.limit, label.limit) {
            let what = format!(
                "its label `{}` took {was} values, and takes {is}",
                label.key
            );
            says(was != is, what);
        }
    }
    notes
}

/// The values of a closed label that another declaration of it does not have.
fn lost<'a>(label: &'a Label, now: &Label) -> Vec<&'a str> {
    let (Some(values), Some(others)) = (&label.values, &now.values) else {
        return Vec::new();
    };
    let gone = values.iter().filter(|value| !others.contains(value));
    gone.map(String::as_str).collect()
}

fn breaking(family: &Family, what: impl Into<String>) -> Finding {
    let repair = "keep it, or change the dashboards and alerts that ask for it first";
    Finding::of(family, Fault::Differs, what, repair)
}

fn note(family: &Family, what: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Note,
        ..Finding::of(family, Fault::Differs, what, "nothing breaks by it")
    }
}

fn differs(what: &str) -> Finding {
    Finding::new(
        Fault::Differs,
        what,
        "run the same version with the same settings",
    )
}

#[cfg(test)]
mod tests {
    use obs_core::{By, Catalogue, Each, Gauge, Histogram, Outcome};

    use super::*;

    obs_core::label! {
        /// What is traded.
        open Symbol as "symbol" up to 10
    }
    obs_core::families! {
        struct Desk {
            /// Orders, by how they ended.
            orders: By<Outcome, Each<Symbol, Gauge>> = "desk_orders",
            /// Time to a fill.
            fill: Histogram = "desk_fill_seconds" { buckets: &[0.5, 1.0] },
        }
    }

    fn catalog() -> Catalog {
        Catalog::from(&Catalogue::of(&[Desk::FAMILIES]))
    }

    /// What is said when a catalogue's JSON is changed.
    fn told(from: &str, to: &str) -> Vec<(Severity, String)> {
        let json = serde_json::to_string(&catalog()).unwrap();
        assert!(json.contains(from), "{json} has no {from}");
        let new = Catalog::read("new", &json.replacen(from, to, 1)).unwrap();
        let findings = changes(&catalog(), &new);
        findings
            .into_iter()
            .map(|f| (f.severity, f.problem))
            .collect()
    }

    #[test]
    fn what_stays_has_no_changes() {
        assert_eq!(changes(&catalog(), &catalog()), []);
    }

    #[test]
    fn what_breaks_a_query_is_an_error_and_the_rest_a_note() {
        use Severity::{Error, Note};
        for (from, to, expected) in [
            (
                "\"gauge\"",
                "\"counter\"",
                vec![(Error, "was a gauge, and is a counter")],
            ),
            (
                "\"unit\":\"seconds\"",
                "\"unit\":\"bytes\"",
                vec![(Error, "was in seconds, and is in bytes")],
            ),
            (
                "[0.5,1.0]",
                "[0.5,2.0]",
                vec![(Error, "had buckets up to [0.5, 1.0], and has [0.5, 2.0]")],
            ),
            (
                "\"ok\",",
                "",
                vec![(Error, "its label `outcome` is never ok any more")],
            ),
            (
                "\"ok\",",
                "\"ok\",\"late\",",
                vec![(Note, "its label `outcome` may be late too")],
            ),
            (
                "\"key\":\"symbol\"",
                "\"key\":\"ticker\"",
                vec![
                    (Error, "has lost the label `symbol`"),
                    (
                        Error,
                        "has a new label `ticker`, by which sums without `by` double",
                    ),
                ],
            ),
            (
                "\"limit\":10",
                "\"limit\":20",
                vec![(Note, "its label `symbol` took 10 values, and takes 20")],
            ),
            (
                "Time to a fill.",
                "Time to fill.",
                vec![(
                    Note,
                    "its help was \"Time to a fill.\", and is \"Time to fill.\"",
                )],
            ),
            (
                "desk_fill_seconds",
                "desk_fills_seconds",
                vec![(Error, "is gone"), (Note, "is new: a histogram in seconds")],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(s, p)| (s, p.to_owned()))
                .collect();
            assert_eq!(told(from, to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn services_that_should_be_the_same_differ_in_form_and_not_in_value() {
        let one = Scraped::read("# HELP a A.\n# TYPE a gauge\na{x=\"1\"} 1\nb 1\n");
        let same = Scraped::read("# HELP a A.\n# TYPE a gauge\na{x=\"2\"} 7\nb 9\n");
        assert_eq!(differences((None, &one), (None, &same)), []);
        let other = Scraped::read("# HELP a A.\n# TYPE a counter\na{y=\"2\"} 7\n");
        let findings = differences((None, &one), (None, &other));
        let told: Vec<_> = findings.iter().map(|f| f.problem.as_str()).collect();
        assert_eq!(
            told,
            [
                "is a gauge here and a counter there",
                "has series labelled {{\"x\"}} here and {{\"y\"}} there",
                "only the first has series of b",
            ]
        );
        assert_eq!(findings[2].severity, Severity::Note);
    }
}
