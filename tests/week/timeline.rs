//! What fires, and from when until when, as promtool says it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use obs_tests::tools;

use crate::script::{STEP, Week};

/// The labels of an alert.
pub(crate) type Labels = BTreeMap<String, String>;

/// An alert that fired, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub(crate) labels: Labels,
    pub(crate) from: Timestamp,
    /// The first evaluation at which it no longer fires; none if it does to the end.
    pub(crate) until: Option<Timestamp>,
}

impl Episode {
    pub(crate) fn is(&self, alert: &str, instance: &str) -> bool {
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        label("alertname") == Some(alert) && label("instance").is_none_or(|it| it == instance)
    }
}

/// Everything that fires in a week, in order, but for the watchdog.
///
/// promtool prints what a query returns only where that was not expected. So nothing is expected.
pub(crate) fn episodes(folder: &Path, name: &str, week: Week, series: &str) -> Vec<Episode> {
    let mut test = format!(
        "rule_files: [rules/*.yml]\nevaluation_interval: {0}s\ntests:\n  - interval: {0}s\n    input_series:\n{series}    promql_expr_test:\n",
        STEP.as_secs()
    );
    for (step, _) in week.steps() {
        let seconds = i64::try_from(step).unwrap() * STEP.as_secs();
        let _ = writeln!(
            test,
            "      - {{ expr: 'ALERTS{{alertstate=\"firing\", alertname!=\"Watchdog\"}}', eval_time: {seconds}s, exp_samples: [] }}"
        );
    }
    let file = folder.join(format!("{name}.yml"));
    fs::write(&file, test).unwrap();
    let output = Command::new(tools::promtool().unwrap())
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("SUCCESS") || said.contains("got: "),
        "promtool says {said}"
    );
    joined(week, &read(&said))
}

/// What fires at which second of the week.
fn read(said: &str) -> BTreeMap<i64, Vec<Labels>> {
    let mut firing = BTreeMap::new();
    let mut at = None;
    for line in said.lines().map(str::trim) {
        if line.starts_with("expr: ") {
            at = line
                .rsplit_once("time: ")
                .map(|(_, time)| seconds(time.trim_end_matches(',')));
        } else if let (Some(got), Some(at)) = (line.strip_prefix("got: "), at) {
            firing.insert(at, samples(got));
        }
    }
    firing
}

/// A duration such as `1d7h58m`.
fn seconds(text: &str) -> i64 {
    let (mut total, mut number) = (0, 0);
    for letter in text.chars() {
        let unit = match letter {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            digit => {
                number = number * 10 + i64::from(digit.to_digit(10).unwrap());
                continue;
            }
        };
        total += number * unit;
        number = 0;
    }
    total
}

/// The labels in `ALERTS{a="b", …} 1E+00, ALERTS{…} 1E+00`. No value has quotes or braces in it.
fn samples(got: &str) -> Vec<Labels> {
    let label = |pair: &str| {
        let (name, value) = pair.split_once("=\"").unwrap();
        (
            name.trim().to_owned(),
            value.trim_end_matches('"').to_owned(),
        )
    };
    got.split('{')
        .skip(1)
        .map(|sample| {
            let (labels, _) = sample.split_once('}').unwrap();
            labels
                .split("\", ")
                .map(label)
                .filter(|(name, _)| name != "__name__" && name != "alertstate")
                .collect()
        })
        .collect()
}

fn joined(week: Week, firing: &BTreeMap<i64, Vec<Labels>>) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for (_, at) in week.steps() {
        let second = at.duration_since(week.start).as_secs();
        let now = firing.get(&second).map_or(&[][..], Vec::as_slice);
        for open in episodes
            .iter_mut()
            .filter(|episode| episode.until.is_none())
        {
            if !now.contains(&open.labels) {
                open.until = Some(at);
            }
        }
        for labels in now {
            let is_open = |episode: &Episode| episode.until.is_none() && episode.labels == *labels;
            if !episodes.iter().any(is_open) {
                episodes.push(Episode {
                    labels: labels.clone(),
                    from: at,
                    until: None,
                });
            }
        }
    }
    episodes
}
