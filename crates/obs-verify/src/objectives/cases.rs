//! The tests of the rules, both ways: an outage is noticed, and a single failure is not taken for one.

use std::fmt::Write;

use super::{BURNS, Burn, INTERVAL, Kept, Style, kept, pace};
use crate::{Catalog, Label};

/// The tests of [`rules`](super::rules) as `promtool test rules` runs them: each objective's alerts fire on an outage, and are
/// silent on one failure in sixty events an hour. `file` is where the rules are, from the tests' folder.
#[must_use]
pub fn tests(catalog: &Catalog, style: &Style, file: &str, by: &str) -> String {
    let cases: String = kept(catalog, style).map(|kept| kept.cases()).collect();
    let list = if cases.is_empty() { " []" } else { "" };
    format!(
        "# Written by `{by}` from the declarations.\nrule_files: [{file}]\nevaluation_interval: {INTERVAL}s\ntests:{list}\n{cases}"
    )
}

/// What a test has happen.
#[derive(Clone, Copy)]
enum Load {
    /// Two hundred events every ten seconds, of which all but one fail: more than any objective allows.
    Outage,
    /// One event a minute, and one failure an hour.
    Trickle,
}

/// How many times a series counts all events, and those that failed.
type Counts = [i32; 2];
const ALL: Counts = [1, 0];
const GOOD: Counts = [1, -1];
const FAILED: Counts = [0, 1];

impl Load {
    fn interval(self) -> &'static str {
        match self {
            Self::Outage => "10s",
            Self::Trickle => "1m",
        }
    }

    /// The values of a counter.
    fn values(self, [all, failed]: Counts) -> String {
        match self {
            Self::Outage => format!("0+{}x500", 200 * all + 199 * failed),
            Self::Trickle => {
                // An hour's failure is at its half.
                let value = |minute: i32| all * minute + failed * ((minute + 30) / 60);
                let values = (0..=6 * 60).map(|minute| value(minute).to_string());
                values.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl Kept<'_> {
    fn cases(&self) -> String {
        let alert = |burn: &Burn| format!("{}Burn{}", self.title(), burn.name);
        let mut outage = self.case("an outage is noticed", Load::Outage);
        for (at, burn) in [("10m", &BURNS[0]), ("45m", &BURNS[1]), ("80m", &BURNS[2])] {
            let _ = writeln!(
                outage,
                "      - eval_time: {at}\n        alertname: {}",
                alert(burn)
            );
            self.expected(&mut outage, &alert(burn), burn);
        }
        let mut trickle = self.case(
            "one failure in sixty events an hour is no outage",
            Load::Trickle,
        );
        for at in ["30m", "2h", "5h"] {
            for burn in &BURNS {
                let alert = alert(burn);
                let _ = writeln!(
                    trickle,
                    "      - eval_time: {at}\n        alertname: {alert}\n        exp_alerts: []"
                );
            }
        }
        outage + &trickle
    }

    /// A test under a load, as far as to its checks.
    fn case(&self, what: &str, load: Load) -> String {
        let mut text = format!(
            "  - name: {} - {what}\n    interval: {}\n    input_series:\n",
            self.name(),
            load.interval()
        );
        let mut series = |name: &str, values: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "      - series: '{name}'\n        values: '{values}'");
        };
        for (name, counts) in self.inputs() {
            series(&name, &load.values(counts));
        }
        if let Some(switch) = &self.objective.during {
            series(&format!("{switch}{{{}}}", self.base_labels()), "1x500");
        }
        text.push_str("    alert_rule_test:\n");
        text
    }

    fn expected(&self, text: &mut String, alert: &str, burn: &Burn) {
        let mut labels = vec![
            format!("severity: {}", burn.severity),
            format!("objective: {}", self.name()),
        ];
        let scope = self.style.by.iter();
        labels.extend(scope.map(|key| format!("{key}: {}", value_of(key))));
        labels.extend(Some(self.style.labels.clone()).filter(|labels| !labels.is_empty()));
        let _ = write!(
            text,
            "        exp_alerts:\n          - exp_labels: {{ {} }}\n            exp_annotations:\n              summary: \"test spends the error budget of {} {}\"\n              description: \"{}: 99.5% failed within {}.\"\n",
            labels.join(", "),
            self.name(),
            pace(self.times(burn)),
            self.promise(),
            burn.long,
        );
        if !self.style.runbooks.is_empty() {
            let runbook = format!("{}{}", self.style.runbooks, alert.to_lowercase());
            let _ = writeln!(text, "              runbook_url: {runbook}");
        }
    }

    /// The series that count events, and which.
    fn inputs(&self) -> Vec<(String, Counts)> {
        let (base, others) = (self.base_labels(), self.other_labels());
        let with =
            |suffix: &str, more: &str| format!("{}{suffix}{{{base}{others}{more}}}", self.name());
        if let Some(bound) = self.objective.under {
            let good = with("_bucket", &format!(", le=\"{bound}\""));
            return vec![(with("_count", ""), ALL), (good, GOOD)];
        }
        let label = self.objective.label.as_deref().unwrap_or_default();
        let values = self
            .family
            .label(label)
            .and_then(|label| label.values.as_ref());
        let is_bad = |value: &&String| !self.objective.good.contains(value);
        let bad = values.into_iter().flatten().find(is_bad);
        let one = |value: Option<&String>| {
            with(
                "",
                &format!(", {label}=\"{}\"", value.map_or("", String::as_str)),
            )
        };
        vec![(one(self.objective.good.first()), GOOD), (one(bad), FAILED)]
    }

    fn base_labels(&self) -> String {
        let labels = self.style.by.iter();
        let labels = labels.map(|key| format!("{key}=\"{}\"", value_of(key)));
        let matchers = Some(self.style.matchers.clone()).filter(|matchers| !matchers.is_empty());
        labels.chain(matchers).collect::<Vec<_>>().join(", ")
    }

    /// The labels of the family that the objective does not look at.
    fn other_labels(&self) -> String {
        let label = self.objective.label.as_deref();
        let others = self
            .family
            .labels
            .iter()
            .filter(|other| Some(other.key.as_str()) != label);
        let one = |label: &Label| {
            let values = label.values.iter().flatten();
            let value = values.map(String::as_str).next().unwrap_or("a");
            format!(", {}=\"{value}\"", label.key)
        };
        others.map(one).collect()
    }
}

/// A value of a label that tells services apart.
fn value_of(key: &str) -> &'static str {
    match key {
        "mode" => "live",
        _ => "test",
    }
}
