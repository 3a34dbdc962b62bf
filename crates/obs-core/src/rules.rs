//! The conventions a declaration is held to while it compiles: names, units, labels, buckets.

pub(crate) mod figures;

use crate::message::Message;
use crate::{Across, Family, Good, Kind, LabelDecl, LabelNode, Objective, Unit, Values};

/// Suffixes that name a unit, longest first where one ends in another.
const UNIT_SUFFIXES: &[(&str, Unit)] = &[
    ("_timestamp_seconds", Unit::Timestamp),
    ("_seconds", Unit::Seconds),
    ("_bytes", Unit::Bytes),
    ("_ratio", Unit::Ratio),
    ("_bps", Unit::BasisPoints),
    ("_info", Unit::Info),
];

/// Suffixes the exposition itself appends.
const EXPOSITION_SUFFIXES: &[&str] = &["_bucket", "_sum", "_count", "_created"];

/// Suffixes that are no base unit, and what to write instead.
const WRONG_UNITS: &[(&str, &str)] = &[
    ("_ns", "_seconds"),
    ("_nanos", "_seconds"),
    ("_nanoseconds", "_seconds"),
    ("_us", "_seconds"),
    ("_micros", "_seconds"),
    ("_microseconds", "_seconds"),
    ("_ms", "_seconds"),
    ("_millis", "_seconds"),
    ("_milliseconds", "_seconds"),
    ("_secs", "_seconds"),
    ("_minutes", "_seconds"),
    ("_hours", "_seconds"),
    ("_days", "_seconds"),
    ("_duration", "_duration_seconds"),
    ("_latency", "_latency_seconds"),
    ("_kb", "_bytes"),
    ("_kilobytes", "_bytes"),
    ("_mb", "_bytes"),
    ("_megabytes", "_bytes"),
    ("_percent", "_ratio"),
    ("_pct", "_ratio"),
    ("_timestamp", "_timestamp_seconds"),
];

/// Labels that the format, the scraper or the exporter sets.
const RESERVED_LABELS: &[&str] = &[
    "le",
    "quantile",
    "job",
    "instance",
    "service",
    "environment",
    "mode",
];

/// What is wrong with a family, as a sentence that says what to write; empty when nothing is.
pub(crate) const fn family_fault(family: &Family) -> Message {
    let found = name_fault(family);
    if !found.is_empty() {
        return found;
    }
    let found = unit_fault(family);
    if !found.is_empty() {
        return found;
    }
    let found = labels_fault(family);
    if !found.is_empty() {
        return found;
    }
    let found = shape_fault(family);
    if !found.is_empty() {
        return found;
    }
    match family.objective {
        Some(objective) => objective_fault(family, objective),
        None => Message::NONE,
    }
}

/// An objective of which no count can be kept.
const fn objective_fault(family: &Family, objective: Objective) -> Message {
    let name = family.name;
    if !(objective.percent > 0.0 && objective.percent < 100.0) {
        return about(name)
            .and("an objective lies above 0 % and below 100 %, which leaves some events to fail");
    }
    if objective.days == 0 || objective.days > 90 {
        return about(name).and("an objective holds over 1 to 90 days");
    }
    match objective.good {
        Good::Under(bound) => match (family.kind, family.buckets) {
            (Kind::Histogram, Some(bounds)) if has_number(bounds, bound) => Message::NONE,
            (Kind::Histogram, _) => about(name).and(
                "the objective's bound is none of the buckets', so that nothing counts what lies under it; add it to `buckets`",
            ),
            (kind, _) => about(name)
                .and("an objective with a bound is for a Histogram, and this is a ")
                .and(kind.as_str())
                .and("; write `objective!(99.5 % good)`"),
        },
        Good::Marked => {
            if !matches!(family.kind, Kind::Counter) {
                return about(name)
                    .and("an objective of good events is for a Counter, and this is a ")
                    .and(family.kind.as_str())
                    .and("; for a Histogram write `objective!(99.9 % under 0.25)`");
            }
            match marked_labels(family) {
                1 => Message::NONE,
                0 => about(name).and(
                    "none of its labels says which events are good; mark values of a closed one: `Filled = \"filled\" is good`",
                ),
                _ => about(name).and("several of its labels say which events are good; mark the values of one"),
            }
        }
    }
}

/// The labels some of whose values are good, and not all.
const fn marked_labels(family: &Family) -> usize {
    let mut marked = 0;
    let mut node = family.labels;
    while let Some(at) = node {
        let good = at.label.good.len();
        if good > 0 && good < at.label.values.count() {
            marked += 1;
        }
        node = at.next;
    }
    marked
}

const fn has_number(numbers: &[f64], number: f64) -> bool {
    let mut i = 0;
    while i < numbers.len() {
        // Both are written in the same file, to the same digits.
        if numbers[i].to_bits() == number.to_bits() {
            return true;
        }
        i += 1;
    }
    false
}

const fn name_fault(family: &Family) -> Message {
    let name = family.name;
    if !is_snake_case(name) {
        return about(name)
            .and("a metric's name is lower-case letters, digits and underscores, and starts with a letter");
    }
    if family.doc.trim_ascii().is_empty() {
        return about(name).and("a doc comment is missing; it becomes the metric's help text");
    }
    let counts = matches!(family.kind, Kind::Counter);
    let total = ends_with(name, "_total");
    if counts && !total {
        return about(name)
            .and("a counter's name ends in `_total`; write `")
            .and(name)
            .and("_total`");
    }
    if !counts && total {
        return about(name)
            .and("only a counter's name ends in `_total`, and this is a ")
            .and(family.kind.as_str())
            .and("; leave the suffix out or make it a Counter");
    }
    let mut i = 0;
    while i < EXPOSITION_SUFFIXES.len() {
        if ends_with(name, EXPOSITION_SUFFIXES[i]) {
            return about(name)
                .and("the suffix `")
                .and(EXPOSITION_SUFFIXES[i])
                .and("` belongs to the exposition format; choose another name");
        }
        i += 1;
    }
    Message::NONE
}

const fn unit_fault(family: &Family) -> Message {
    let name = family.name;
    let base = without_total(name);
    let mut i = 0;
    while i < WRONG_UNITS.len() {
        let (wrong, right) = WRONG_UNITS[i];
        if ends_with(base, wrong) {
            return about(name)
                .and("names carry base units; write `")
                .and(base.split_at(base.len() - wrong.len()).0)
                .and(right)
                .and(if matches!(family.kind, Kind::Counter) {
                    "_total`"
                } else {
                    "`"
                });
        }
        i += 1;
    }
    let suffix = unit_of_suffix(name);
    if let (Some(stated), Some(named)) = (family.unit, suffix)
        && stated as u8 != named as u8
        // A Sharpe ratio is a quotient, not a share of one: its unit may be stated as a plain number.
        && !matches!((stated, named), (Unit::Number, Unit::Ratio))
        // Prometheus' own name for a point in time, `process_start_time_seconds`, is older than the convention.
        && !(matches!(stated, Unit::Timestamp) && ends_with(name, "_start_time_seconds"))
    {
        return about(name)
            .and("the unit is stated as ")
            .and(stated.as_str())
            .and(", but the name says ")
            .and(named.as_str());
    }
    if let (Some(stated), None) = (family.unit, suffix)
        && let Some(missing) = suffix_of_unit(stated)
    {
        return about(name)
            .and("a family in ")
            .and(stated.as_str())
            .and(" carries the suffix `")
            .and(missing)
            .and("`");
    }
    if family.is_in_nanoseconds() && !ends_with(name, "_seconds_total") {
        return about(name).and("a TimeCounter counts seconds; its name ends in `_seconds_total`");
    }
    if matches!(family.kind, Kind::Counter)
        && !family.is_in_nanoseconds()
        && matches!(suffix, Some(Unit::Seconds))
    {
        return about(name).and(
            "a Counter holds whole numbers and would lose parts of a second; make it a TimeCounter",
        );
    }
    if matches!(suffix, Some(Unit::Timestamp | Unit::Info)) && !matches!(family.kind, Kind::Gauge) {
        return about(name).and("a family of this suffix is a Gauge");
    }
    Message::NONE
}

const fn labels_fault(family: &Family) -> Message {
    let mut node = family.labels;
    while let Some(at) = node {
        if has_key(at.next, at.label.key) {
            return about(family.name)
                .and("the label `")
                .and(at.label.key)
                .and("` occurs twice; take it out of the scope or out of the axes");
        }
        node = at.next;
    }
    Message::NONE
}

/// The most bounds that a recorder of this workspace keeps: the cells of a histogram lie in one page of 4 KiB.
const MAX_BOUNDS: usize = 510;

const fn shape_fault(family: &Family) -> Message {
    let name = family.name;
    if !matches!(family.across, Across::Last) && !matches!(family.kind, Kind::Gauge) {
        return about(name)
            .and("only a Gauge says what it makes across processes; others add up, and this is a ")
            .and(family.kind.as_str());
    }
    match (family.kind, family.buckets) {
        (Kind::Histogram, None) => {
            return about(name)
                .and("a histogram needs buckets; write { buckets: obs_core::buckets::LATENCY } behind the name");
        }
        (Kind::Histogram, Some(bounds)) => {
            if bounds.len() > MAX_BOUNDS {
                return about(name).and("a histogram has at most 510 bucket bounds");
            }
            if !rises(bounds) {
                return about(name)
                    .and("bucket bounds are finite and each is greater than the one before; `+Inf` is added by itself");
            }
        }
        (_, Some(_)) => {
            return about(name)
                .and("only a Histogram has buckets, and this is a ")
                .and(family.kind.as_str());
        }
        (_, None) => {}
    }
    if let Some(levels) = family.quantiles {
        if !matches!(family.kind, Kind::Summary) {
            return about(name)
                .and("only a Summary has quantiles, and this is a ")
                .and(family.kind.as_str());
        }
        if levels.is_empty() || !rises(levels) || levels[0] < 0.0 || levels[levels.len() - 1] > 1.0
        {
            return about(name)
                .and("quantiles lie between 0 and 1 and each is greater than the one before");
        }
    }
    if let Some((low, high)) = family.range {
        if !matches!(family.kind, Kind::Histogram | Kind::Summary) {
            return about(name)
                .and("only a Histogram or Summary has a range, and this is a ")
                .and(family.kind.as_str());
        }
        if !(low < high && is_finite(low) && is_finite(high)) {
            return about(name).and("a range is finite and its start lies below its end");
        }
    }
    if matches!(family.budget, Some(0)) {
        return about(name).and("a budget of no series leaves nothing to record; the least is 1");
    }
    Message::NONE
}

/// What is wrong with a label, as a sentence that says what to write; empty when nothing is.
pub(crate) const fn label_fault(label: &LabelDecl) -> Message {
    let key = label.key;
    if starts_with(key, "__") {
        return about_label(key)
            .and("labels that start with `__` are Prometheus' own; choose another key");
    }
    if !is_snake_case(key) {
        return about_label(key)
            .and("a key is lower-case letters, digits and underscores, and starts with a letter");
    }
    let mut i = 0;
    while i < RESERVED_LABELS.len() {
        if same(key, RESERVED_LABELS[i]) {
            return about_label(key)
                .and("the key is reserved: the format, the scraper or the exporter sets it; choose another");
        }
        i += 1;
    }
    match label.values {
        Values::Closed(values) => values_fault(key, values),
        Values::Open(0) => {
            about_label(key).and("a budget of no values leaves only `other`; the least is 1")
        }
        Values::Open(_) => Message::NONE,
    }
}

const fn values_fault(key: &str, values: &[&str]) -> Message {
    let mut i = 0;
    while i < values.len() {
        if values[i].is_empty() {
            return about_label(key)
                .and("an empty value means \"no such label\" to Prometheus; give it a word, such as `none`");
        }
        let mut j = i + 1;
        while j < values.len() {
            if same(values[i], values[j]) {
                return about_label(key)
                    .and("the value `")
                    .and(values[i])
                    .and("` occurs twice");
            }
            j += 1;
        }
        i += 1;
    }
    Message::NONE
}

/// The unit the name's suffix says, if it says one.
pub(crate) const fn unit_of_suffix(name: &str) -> Option<Unit> {
    let base = without_total(name);
    let mut i = 0;
    while i < UNIT_SUFFIXES.len() {
        if ends_with(base, UNIT_SUFFIXES[i].0) {
            return Some(UNIT_SUFFIXES[i].1);
        }
        i += 1;
    }
    None
}

const fn suffix_of_unit(unit: Unit) -> Option<&'static str> {
    let mut i = 0;
    while i < UNIT_SUFFIXES.len() {
        if UNIT_SUFFIXES[i].1 as u8 == unit as u8 {
            return Some(UNIT_SUFFIXES[i].0);
        }
        i += 1;
    }
    None
}

/// The first paragraph of a doc comment on one line: what a reader sees first, and all a help text has room for.
pub(crate) fn first_paragraph(doc: &str) -> String {
    let lines = doc
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty());
    lines
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

const fn about(name: &str) -> Message {
    Message::new("metric `").and(name).and("`: ")
}

const fn about_label(key: &str) -> Message {
    Message::new("label `").and(key).and("`: ")
}

const fn is_snake_case(text: &str) -> bool {
    let text = text.as_bytes();
    if text.is_empty() || !text[0].is_ascii_lowercase() {
        return false;
    }
    let mut i = 1;
    while i < text.len() {
        if !(text[i].is_ascii_lowercase() || text[i].is_ascii_digit() || text[i] == b'_') {
            return false;
        }
        i += 1;
    }
    true
}

const fn rises(values: &[f64]) -> bool {
    let mut i = 0;
    while i < values.len() {
        if !is_finite(values[i]) || (i > 0 && values[i] <= values[i - 1]) {
            return false;
        }
        i += 1;
    }
    true
}

const fn is_finite(value: f64) -> bool {
    value >= f64::MIN && value <= f64::MAX
}

const fn without_total(name: &str) -> &str {
    if ends_with(name, "_total") {
        name.split_at(name.len() - "_total".len()).0
    } else {
        name
    }
}

const fn has_key(mut node: Option<&LabelNode>, key: &str) -> bool {
    while let Some(at) = node {
        if same(at.label.key, key) {
            return true;
        }
        node = at.next;
    }
    false
}

pub(crate) const fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && ends_with(a, b)
}

const fn starts_with(text: &str, start: &str) -> bool {
    text.len() >= start.len() && equal_bytes(text.as_bytes(), 0, start.as_bytes())
}

const fn ends_with(text: &str, end: &str) -> bool {
    text.len() >= end.len() && equal_bytes(text.as_bytes(), text.len() - end.len(), end.as_bytes())
}

const fn equal_bytes(text: &[u8], from: usize, part: &[u8]) -> bool {
    let mut i = 0;
    while i < part.len() {
        if text[from + i] != part[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gauges_say_what_they_make_across_processes() {
        let fault = |name, kind| {
            let family = Family::new(name, "Orders.", kind, 0, None, 0);
            family_fault(&family.across(Across::Sum))
        };
        assert!(fault("desk_orders_open", Kind::Gauge).is_empty());
        let counter = fault("desk_orders_total", Kind::Counter);
        assert!(
            counter
                .as_str()
                .ends_with("others add up, and this is a counter")
        );
    }
}
