//! The declarations by themselves: what no compiler can see, because it takes all crates at once.
//!
//! Names, suffixes, units and reserved labels are checked where they are declared, while that compiles.

use std::collections::BTreeMap;

use obs_core::{Kind, Unit};

use crate::{Catalog, Family, Fault, Finding, Label};

/// The most lines an exposition may have when every family has used up its budget.
///
/// A line takes some 100 bytes, and about 2 µs to write. A million of them are 100 MB and a few seconds: what Prometheus
/// still takes within its default timeout of ten, and no more.
pub const MOST_LINES: usize = 1_000_000;

/// Suffixes that name a unit, longest first where one ends in another.
const UNITS: [(&str, Unit); 6] = [
    ("_timestamp_seconds", Unit::Timestamp),
    ("_seconds", Unit::Seconds),
    ("_bytes", Unit::Bytes),
    ("_ratio", Unit::Ratio),
    ("_bps", Unit::BasisPoints),
    ("_info", Unit::Info),
];

/// Suffixes that are no base unit, and what to write instead.
const WRONG_UNITS: [(&str, &str); 10] = [
    ("_ns", "_seconds"),
    ("_nanoseconds", "_seconds"),
    ("_us", "_seconds"),
    ("_microseconds", "_seconds"),
    ("_ms", "_seconds"),
    ("_milliseconds", "_seconds"),
    ("_minutes", "_seconds"),
    ("_kilobytes", "_bytes"),
    ("_megabytes", "_bytes"),
    ("_percent", "_ratio"),
];

/// The lines of all families together when each has used up its budget.
pub fn lines(catalog: &Catalog) -> usize {
    catalog
        .families
        .iter()
        .map(|family| lines_of(family))
        .fold(0, usize::saturating_add)
}

fn lines_of(family: &Family) -> usize {
    family
        .budget
        .unwrap_or_default()
        .saturating_mul(family.lines_per_series())
}

/// Checks the declarations against each other.
#[must_use]
pub fn check(catalog: &Catalog) -> Vec<Finding> {
    let mut findings = declared_twice(catalog);
    findings.extend(labels(catalog));
    for family in &catalog.families {
        findings.extend(sound(family));
        findings.extend(bounds(family));
    }
    findings.extend(budgets(catalog, MOST_LINES));
    findings
}

/// What the compiler sees to where a family is declared in Rust; a catalogue may come from elsewhere.
fn sound(family: &Family) -> Vec<Finding> {
    let named = conventions(&family.name, family.kind).into_iter();
    let mut found: Vec<_> = named
        .map(|(problem, repair)| Finding::of(family, Fault::Declaration, problem, repair))
        .collect();
    let mut add = |is_wrong: bool, fault, problem: String, repair| {
        if is_wrong {
            found.push(Finding::of(family, fault, problem, repair));
        }
    };
    let help = family.help.trim();
    add(
        help.is_empty(),
        Fault::Help,
        "has no help text".to_owned(),
        "say in a sentence what it measures",
    );
    if let (Some(unit), Some(named)) = (family.unit, unit_of_suffix(&family.name)) {
        // A Sharpe ratio is a quotient, and Prometheus' own name for a point in time is older than the convention.
        let is_old = (unit, named) == (Unit::Number, Unit::Ratio)
            || unit == Unit::Timestamp && family.name.ends_with("_start_time_seconds");
        let (says, means) = (named.as_str(), unit.as_str());
        add(
            unit != named && !is_old,
            Fault::Unit,
            format!("is declared in {means}, and its name says {says}"),
            "rename it, or state the unit that the name says",
        );
    }
    let mut keys: Vec<_> = family.labels.iter().map(|label| &label.key).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).find(|pair| pair[0] == pair[1]);
    add(
        twice.is_some(),
        Fault::Label,
        format!("has the label `{}` twice", twice.map_or("", |pair| pair[0])),
        "take one of them out",
    );
    let no_values = |label: &&Label| label.values.as_ref().is_some_and(Vec::is_empty);
    let empty = family.labels.iter().find(no_values);
    add(
        empty.is_some(),
        Fault::Label,
        format!(
            "has the label `{}` without values",
            empty.map_or("", |l| &l.key)
        ),
        "declare the values that there are",
    );
    let rises = |numbers: &[f64]| numbers.windows(2).all(|pair| pair[0] < pair[1]);
    let observes = family.kind == Kind::Histogram;
    add(
        (!observes && !family.buckets.is_empty()) || !rises(&family.buckets),
        Fault::Bounds,
        format!(
            "is a {} with buckets up to {:?}",
            family.kind.as_str(),
            family.buckets
        ),
        "a histogram has bounds that rise, and nothing else has any",
    );
    add(
        family.budget == Some(0),
        Fault::Budget,
        "has a budget of no series".to_owned(),
        "the least is 1",
    );
    found
}

/// What a name breaks of Prometheus' conventions, each with what to do.
pub(crate) fn conventions(name: &str, kind: Kind) -> Vec<(String, String)> {
    let mut told = Vec::new();
    let counts = kind == Kind::Counter;
    let base = name.strip_suffix("_total");
    match (counts, base) {
        (true, None) => told.push((
            "is a counter, and its name does not end in `_total`".to_owned(),
            format!("call it `{name}_total`"),
        )),
        (false, Some(base)) => told.push((
            format!("is a {}, and its name ends in `_total`", kind.as_str()),
            format!("call it `{base}`, or make it a counter"),
        )),
        _ => {}
    }
    let base = base.unwrap_or(name);
    let wrong = WRONG_UNITS.iter().find(|(wrong, _)| base.ends_with(wrong));
    if let Some((wrong, right)) = wrong {
        told.push((
            format!("is named after `{wrong}`, which is no base unit"),
            format!("name it after `{right}`, and record that"),
        ));
    }
    told
}

/// The unit that a name says, if it says one.
fn unit_of_suffix(name: &str) -> Option<Unit> {
    let base = name.strip_suffix("_total").unwrap_or(name);
    let mut suffixes = UNITS.iter();
    let found = suffixes.find(|(suffix, _)| base.ends_with(suffix));
    found.map(|(_, unit)| *unit)
}

fn declared_twice(catalog: &Catalog) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Family> = BTreeMap::new();
    let mut findings = Vec::new();
    for family in &catalog.families {
        let Some(other) = first.insert(&family.name, family) else {
            continue;
        };
        let problem = match &other.declared_at {
            Some((file, line)) => format!("is declared in {file}:{line} too"),
            None => format!("is declared by {} too", other.package),
        };
        let repair = "rename one of them, or use the other's handle";
        findings.push(Finding::of(family, Fault::DeclaredTwice, problem, repair));
    }
    findings
}

/// A key that is described alike in two places is one label, and has the same values in both. Within a package, among families
/// whose names begin with one word, an open key is one label whatever its descriptions say: else a join over it is nonsense. The
/// `method` of HTTP is not that of gRPC.
///
/// Apart from that, labels may share a key: the `outcome` of an order is not that of a function call.
fn labels(catalog: &Catalog) -> Vec<Finding> {
    let mut known: BTreeMap<&str, Vec<(&Label, &Family)>> = BTreeMap::new();
    let mut findings = Vec::new();
    for family in &catalog.families {
        for label in &family.labels {
            let earlier = known.entry(&label.key).or_default();
            if earlier.iter().any(|(known, _)| *known == label) {
                continue;
            }
            let clash = earlier
                .iter()
                .find_map(|(other, at)| Some((clash((label, family), (other, at))?, at)));
            if let Some((problem, other)) = clash {
                let problem = format!("label `{}` {problem} {}", label.key, other.name);
                let repair = "use one declaration of the label for both, or another key";
                findings.push(Finding::of(family, Fault::Label, problem, repair));
            }
            earlier.push((label, family));
        }
    }
    findings
}

/// The first word of a name.
fn subsystem(name: &str) -> &str {
    name.split('_').next().unwrap_or(name)
}

/// Why two declarations of one key do not go together.
fn clash((label, family): (&Label, &Family), (other, at): (&Label, &Family)) -> Option<String> {
    let alike = label.help == other.help;
    let near = family.package == at.package && subsystem(&family.name) == subsystem(&at.name);
    match ((&label.values, label.limit), (&other.values, other.limit)) {
        ((Some(values), _), (Some(others), _)) => (alike && values != others)
            .then(|| "is described alike and has other values in".to_owned()),
        _ if !alike && !near => None,
        ((None, limit), (None, others)) => (limit != others).then(|| {
            let [limit, others] = [limit, others].map(Option::unwrap_or_default);
            format!("takes up to {limit} values, and {others} in")
        }),
        ((Some(_), _), (None, _)) => Some("is closed, and open in".to_owned()),
        ((None, _), (Some(_), _)) => Some("is open, and closed in".to_owned()),
    }
}

/// A bound outside the range that a family takes separates nothing.
fn bounds(family: &Family) -> Option<Finding> {
    let (low, high) = family.bounds();
    let outside = |bound: &&f64| **bound < low || **bound > high;
    let bound = family.buckets.iter().find(outside)?;
    let problem = format!("has a bucket bound {bound}, and takes values from {low} to {high} only");
    let repair = "leave the bound out, or widen the range";
    Some(Finding::of(family, Fault::Bounds, problem, repair))
}

/// What all families may grow to, against what a scrape can carry.
fn budgets(catalog: &Catalog, most: usize) -> Option<Finding> {
    let all = lines(catalog);
    if all <= most {
        return None;
    }
    let largest = catalog
        .families
        .iter()
        .max_by_key(|family| lines_of(family))?;
    let problem = format!(
        "all budgets together allow {all} lines of exposition, and {most} are what a scrape can carry; this family's {} \
         series of {} lines are the most",
        largest.budget.unwrap_or_default(),
        largest.lines_per_series(),
    );
    let repair =
        "state a smaller `budget`, lower the limit of an open label, or give it fewer buckets";
    Some(Finding::of(largest, Fault::Budget, problem, repair))
}

#[cfg(test)]
mod tests {
    use obs_core::{By, Catalogue, Counter, Each, Gauge, Histogram};

    use super::*;

    obs_core::label! {
        /// Buy or sell.
        enum Side as "side" { Buy = "buy", Sell = "sell" }
    }
    obs_core::label! {
        /// Buy or sell.
        enum ThreeSides as "side" { Buy = "buy", Sell = "sell", Short = "short" }
    }
    obs_core::label! {
        /// Of a table.
        enum TableSide as "side" { Left = "left", Right = "right" }
    }
    obs_core::label! {
        /// Whatever side there is.
        open AnySide as "side" up to 10
    }
    obs_core::label! {
        /// Whatever side there is.
        open ManySides as "side" up to 20
    }
    obs_core::families! {
        struct Sound {
            /// Orders.
            orders: By<Side, Counter> = "desk_orders_total",
            /// Chairs.
            chairs: By<TableSide, Gauge> = "desk_chairs",
        }
    }
    obs_core::families! {
        struct Again {
            /// Orders.
            orders: By<Side, Counter> = "desk_orders_total",
        }
    }
    obs_core::families! {
        struct OtherValues {
            /// Fills.
            fills: By<ThreeSides, Counter> = "desk_fills_total",
        }
    }
    obs_core::families! {
        struct OpenSides {
            /// Trades.
            trades: Each<AnySide, Counter> = "desk_trades_total",
        }
    }
    obs_core::families! {
        struct MoreSides {
            /// Quotes.
            quotes: Each<ManySides, Counter> = "desk_quotes_total",
        }
    }
    obs_core::label! {
        /// How a game ends.
        open AnyOutcome as "outcome" up to 10
    }
    obs_core::families! {
        struct OpenOutcome {
            /// Games.
            games: Each<AnyOutcome, Counter> = "desk_games_total",
        }
    }
    obs_core::families! {
        struct OutOfRange {
            /// Confidence.
            confidence: Histogram = "desk_confidence_ratio" { buckets: &[0.5, 1.0, 2.0], range: 0.0..=1.0 },
        }
    }

    fn faults(lists: &[&'static [obs_core::Family]]) -> Vec<(Fault, String)> {
        let findings = check(&Catalog::from(&Catalogue::of(lists))).into_iter();
        findings
            .map(|finding| (finding.fault, finding.problem))
            .collect()
    }

    #[test]
    fn what_is_sound_has_no_findings() {
        assert_eq!(faults(&[Sound::FAMILIES, OpenSides::FAMILIES]).len(), 1);
        assert_eq!(faults(&[Sound::FAMILIES]), []);
        assert_eq!(faults(&[OpenSides::FAMILIES]), []);
    }

    #[test]
    fn a_name_belongs_to_one_declaration() {
        let found = faults(&[Sound::FAMILIES, Again::FAMILIES]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Fault::DeclaredTwice);
        assert!(found[0].1.contains("declared.rs:"), "{}", found[0].1);
    }

    #[test]
    fn a_label_means_the_same_everywhere() {
        let clashes = [
            (
                [OtherValues::FAMILIES, Sound::FAMILIES],
                "is described alike and has other values in desk_fills_total",
            ),
            (
                [OpenSides::FAMILIES, OtherValues::FAMILIES],
                "is closed, and open in desk_trades_total",
            ),
            (
                [OtherValues::FAMILIES, OpenSides::FAMILIES],
                "is open, and closed in desk_fills_total",
            ),
            (
                [OpenSides::FAMILIES, MoreSides::FAMILIES],
                "takes up to 20 values, and 10 in desk_trades_total",
            ),
        ];
        for (lists, problem) in clashes {
            let found = faults(&lists);
            assert_eq!(found[0], (Fault::Label, format!("label `side` {problem}")));
        }
    }

    #[test]
    fn labels_of_other_crates_may_share_a_key() {
        // Closed in the core, and described otherwise.
        let catalogue = Catalogue::join([
            obs_core::catalogue(),
            Catalogue::of(&[OpenOutcome::FAMILIES]),
        ])
        .unwrap();
        assert_eq!(labels(&Catalog::from(&catalogue)), []);
    }

    #[test]
    fn a_bound_lies_within_the_range() {
        let found = faults(&[OutOfRange::FAMILIES]);
        let problem = "has a bucket bound 2, and takes values from 0 to 1 only";
        assert_eq!(found, [(Fault::Bounds, problem.to_owned())]);
    }

    #[test]
    fn budgets_are_summed_in_lines() {
        // Two counters of two, one counter of eleven, and a histogram of three bounds.
        let lists = [Sound::FAMILIES, OpenSides::FAMILIES, OutOfRange::FAMILIES];
        let catalogue = Catalog::from(&Catalogue::of(&lists));
        assert_eq!(budgets(&catalogue, 2 + 2 + 11 + 6), None);
        let finding = budgets(&catalogue, 2 + 2 + 11 + 5).unwrap();
        assert_eq!(finding.metric.as_deref(), Some("desk_trades_total"));
        assert!(
            finding
                .problem
                .starts_with("all budgets together allow 21 lines"),
            "{finding:?}"
        );
    }
}
