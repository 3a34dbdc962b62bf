//! The tests of the rules, both ways: an outage is noticed, and a single failure is not taken for one.

use std::collections::BTreeMap;
use std::fmt::Write;

use promql_parser::label::Matcher;

use super::burn::Burn;
use super::selector::{Failing, Selector, example};
use super::{INTERVAL, Promise, Stated, Style, pace, promises};
use crate::{Catalog, Error, Family};

/// The tests of [`rules`](super::rules) as `promtool test rules` runs them: each objective's alerts fire on an outage, and are
/// silent on one failure in sixty events an hour. `file` is where the rules are, from the tests' folder. It fails as those do.
///
/// An objective whose selector matches every event, or none, has no test.
pub fn tests(
    catalog: &Catalog,
    stated: &[Stated],
    style: &Style,
    file: &str,
    by: &str,
) -> Result<String, Error> {
    let promises = promises(catalog, stated, style)?;
    let cases: String = promises.iter().filter_map(Promise::cases).collect();
    let list = if cases.is_empty() { " []" } else { "" };
    Ok(format!(
        "# Written by `{by}` from the declarations and the settings.\nrule_files: [{file}]\nevaluation_interval: {INTERVAL}s\ntests:{list}\n{cases}"
    ))
}

/// What a test has happen.
#[derive(Clone, Copy)]
enum Load {
    /// Two hundred events every ten seconds, of which all but one fail, for so many minutes: more than any objective allows.
    Outage(u64),
    /// One event a minute, and one failure an hour.
    Trickle,
}

/// How long a trickle is watched, in minutes.
const TRICKLE: i32 = 120;

/// So few failures that a trickle may not be an outage.
const TRICKLE_FAILS: u32 = 2;

/// How long after its condition an alert is looked for, in seconds.
const LATER: u64 = 480;

type Labels = BTreeMap<String, String>;

/// How many times a series counts all events, and those that failed.
type Counts = [i32; 2];
const ALL: Counts = [1, 0];
const GOOD: Counts = [1, -1];
const FAILED: Counts = [0, 1];

impl Load {
    fn interval(self) -> &'static str {
        match self {
            Self::Outage(_) => "10s",
            Self::Trickle => "1m",
        }
    }

    /// The values of a counter.
    fn values(self, [all, failed]: Counts) -> String {
        match self {
            Self::Outage(minutes) => format!("0+{}x{}", 200 * all + 199 * failed, minutes * 6),
            Self::Trickle => {
                // An hour's failure is at its half.
                let value = |minute: i32| all * minute + failed * ((minute + 30) / 60);
                let values = (0..=TRICKLE).map(|minute| value(minute).to_string());
                values.collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// A gauge that is 1 all the time.
    fn switched_on(self) -> String {
        match self {
            Self::Outage(minutes) => format!("1x{}", minutes * 6),
            Self::Trickle => format!("1x{TRICKLE}"),
        }
    }
}

impl Promise<'_> {
    fn cases(&self) -> Option<String> {
        let inputs = self.inputs()?;
        let longest = self.burns.iter().map(Burn::pending_seconds).max()?;
        let load = Load::Outage((longest + LATER) / 60 + 5);
        let mut text = self.case("an outage is noticed", load, &inputs);
        for burn in &self.burns {
            let _ = writeln!(
                text,
                "      - eval_time: {}s\n        alertname: {}",
                burn.pending_seconds() + LATER,
                self.alert_name(burn)
            );
            self.expected(&mut text, burn);
        }
        if self.fewest_failed <= TRICKLE_FAILS {
            return Some(text);
        }
        text += &self.case(
            "one failure in sixty events an hour is no outage",
            Load::Trickle,
            &inputs,
        );
        // Just after a failure, and when the share has been too large for long.
        for at in ["33m", "110m"] {
            for burn in &self.burns {
                let _ = writeln!(
                    text,
                    "      - eval_time: {at}\n        alertname: {}\n        exp_alerts: []",
                    self.alert_name(burn)
                );
            }
        }
        Some(text)
    }

    /// A test under a load, as far as to its checks.
    fn case(&self, what: &str, load: Load, inputs: &[(String, Counts)]) -> String {
        let mut text = format!(
            "  - name: {} - {what}\n    interval: {}\n    input_series:\n",
            self.name,
            load.interval()
        );
        let mut series = |name: &str, values: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "      - series: '{name}'\n        values: '{values}'");
        };
        for (name, counts) in inputs {
            series(name, &load.values(*counts));
        }
        if let Some(switch) = &self.during {
            series(&shown(switch, &self.base_labels()), &load.switched_on());
        }
        text.push_str("    alert_rule_test:\n");
        text
    }

    fn expected(&self, text: &mut String, burn: &Burn) {
        let mut labels = vec![
            format!("severity: {}", burn.severity),
            format!("objective: {}", self.name),
        ];
        let scope = self.style.by.iter();
        labels.extend(scope.map(|key| format!("{key}: {}", value_of(key))));
        labels.extend(Some(self.style.labels.clone()).filter(|labels| !labels.is_empty()));
        let _ = write!(
            text,
            "        exp_alerts:\n          - exp_labels: {{ {} }}\n            exp_annotations:\n              summary: \"test spends the error budget of {} {}\"\n              description: \"{}: 99.5% failed within {}.\"\n",
            labels.join(", "),
            self.name,
            pace(self.times(burn)),
            self.words(),
            burn.long,
        );
        if !self.style.runbooks.is_empty() {
            let runbook = format!(
                "{}{}",
                self.style.runbooks,
                self.alert_name(burn).to_lowercase()
            );
            let _ = writeln!(text, "              runbook_url: {runbook}");
        }
    }

    /// The series that count events, and which; none where no series can be told to be good or bad.
    fn inputs(&self) -> Option<Vec<(String, Counts)>> {
        let name = &self.all.family;
        let all = || self.labels(self.family, &[&self.all], None);
        let (selector, found, others) = match &self.failing {
            Failing::Beyond(bound) => {
                let mut good = all()?;
                good.insert("le".to_owned(), bound.to_string());
                return Some(vec![
                    (shown(&format!("{name}_count"), &all()?), ALL),
                    (shown(&format!("{name}_bucket"), &good), GOOD),
                ]);
            }
            Failing::Bad(bad) => (bad, FAILED, GOOD),
            Failing::AllBut(good) => (good, GOOD, FAILED),
        };
        let counted = &selector.family;
        if counted != name {
            let labels = self.labels(self.counted, &[selector], None)?;
            return Some(vec![
                (shown(name, &all()?), ALL),
                (shown(counted, &labels), found),
            ]);
        }
        // Two series of one family make up all events.
        let is_found = self.labels(self.family, &[&self.all, selector], None)?;
        let is_not = self.labels(self.family, &[&self.all], Some(selector))?;
        Some(vec![
            (shown(name, &is_found), found),
            (shown(name, &is_not), others),
        ])
    }

    /// Labels of a series of a family: those that services are told apart by, and one value of each of its own, such that some
    /// selectors find it and another does not.
    fn labels(
        &self,
        family: Option<&Family>,
        finding: &[&Selector],
        missing: Option<&Selector>,
    ) -> Option<Labels> {
        let mut labels = self.base_labels();
        for label in family.into_iter().flat_map(|family| &family.labels) {
            let values = label.values.iter().flatten();
            let value = values.map(String::as_str).next().unwrap_or("a");
            labels.insert(label.key.clone(), value.to_owned());
        }
        let mut held = Vec::new();
        for selector in finding {
            held.extend(selector.parsed().ok()?.into_iter().map(|it| (it, true)));
        }
        if let Some(selector) = missing {
            held.extend(selector.parsed().ok()?.into_iter().map(|it| (it, false)));
        }
        for (matcher, is_accepted) in &held {
            let label = family.and_then(|family| family.label(&matcher.name));
            let known = label.and_then(|label| label.values.clone());
            let value = example(matcher, &known.unwrap_or_default(), *is_accepted)?;
            labels.insert(matcher.name.clone(), value);
        }
        // Two matchers may be about one label.
        let is_so = |(matcher, is_accepted): &(Matcher, bool)| {
            labels
                .get(&matcher.name)
                .is_some_and(|value| matcher.is_match(value) == *is_accepted)
        };
        held.iter().all(is_so).then_some(labels)
    }

    fn base_labels(&self) -> Labels {
        let labels = self.style.by.iter();
        let mut labels: Labels = labels
            .map(|key| (key.clone(), value_of(key).to_owned()))
            .collect();
        let matchers = Selector::read(&self.style.matchers, "x").and_then(|it| it.parsed());
        for matcher in matchers.into_iter().flatten() {
            if let Some(value) = example(&matcher, &[], true) {
                labels.insert(matcher.name, value);
            }
        }
        labels
    }
}

/// A series as promtool has it.
fn shown(name: &str, labels: &Labels) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

/// A value of a label that tells services apart.
fn value_of(key: &str) -> &'static str {
    match key {
        "mode" => "live",
        _ => "test",
    }
}
