//! Series that rules record, which panels ask for: each is what its expression yields at the time it was recorded.

use std::collections::{BTreeMap, BTreeSet};

use obs_tests::{Stack, ask, ask_at, tools};
use obs_verify::queries::{self, Role};

use super::{Rows, boards, panels, rows_of};

/// How many of the last times are looked at. A scrape that was stored while a rule was evaluated may be in one and not in the other.
const TIMES: usize = 5;

/// The expression of each record that some panel asks for, by its name.
fn recorded() -> BTreeMap<String, Vec<String>> {
    let all = boards();
    let asked = all.iter().flat_map(|(_, json)| panels(json));
    let asked = asked.flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked: Vec<&str> = asked
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    let files = queries::files(&tools::workspace(), "deploy/prometheus/rules", "yml").unwrap();
    let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in files {
        for rule in queries::of_rules(&file, &text).unwrap() {
            let Role::Record(name) = rule.role else {
                continue;
            };
            let is_asked = asked
                .iter()
                .any(|query| query.contains(&format!("{name}{{")));
            if is_asked {
                records.entry(name).or_default().push(rule.text);
            }
        }
    }
    records
}

/// The last times at which a record has samples, and what it has then.
fn last(prometheus: &str, name: &str) -> BTreeMap<String, Rows> {
    let mut times: BTreeMap<String, Rows> = BTreeMap::new();
    for mut series in ask(prometheus, &format!("{name}[10s]")).unwrap() {
        for sample in series["values"].take().as_array().unwrap() {
            series["value"] = sample.clone();
            let rows = times.entry(sample[0].to_string()).or_default();
            rows.extend(rows_of(std::slice::from_ref(&series)));
        }
    }
    times
}

fn is_same(left: &Rows, right: &Rows) -> bool {
    let alike = |(l, r): (&f64, &f64)| {
        l.to_bits() == r.to_bits() || l.is_nan() && r.is_nan() || (l - r).abs() <= 1e-9 * l.abs()
    };
    left.keys().eq(right.keys()) && left.values().zip(right.values()).all(alike)
}

/// Every record that has samples is, at one of its last times, what the expressions of its rules yield then.
pub(crate) fn series_are_what_their_rules_say(stack: &Stack) {
    let url = stack.prometheus();
    let mut compared = BTreeSet::new();
    for (name, expressions) in recorded() {
        let times = last(url, &name);
        let mut latest = times.iter().rev().take(TIMES).peekable();
        if latest.peek().is_none() {
            continue;
        }
        let yields = |time: &str| {
            let time: f64 = time.parse().unwrap();
            let answers = expressions
                .iter()
                .map(|expression| ask_at(url, expression, time).unwrap());
            answers
                .flat_map(|answer| rows_of(&answer))
                .collect::<Rows>()
        };
        let is_right = latest.any(|(time, rows)| is_same(rows, &yields(time)));
        assert!(
            is_right,
            "{name} is not what {expressions:?} yields: {times:?}"
        );
        compared.insert(name);
    }
    assert!(compared.len() > 15, "{compared:?}");
}
