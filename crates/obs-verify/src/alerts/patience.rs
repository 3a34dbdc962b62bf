//! How long the condition of an alert has to hold before it fires: its `for`, which the settings may change by the alert's name.

use std::collections::BTreeMap;

use super::{TEMPLATES, in_words};

/// Where a text on an alert says its `for` in words.
const WORDS: &str = "${for words}";

/// The alerts of the templates, with what they have as `for`.
pub(super) fn of_templates() -> BTreeMap<&'static str, Option<&'static str>> {
    let mut all = BTreeMap::new();
    for (_, template) in TEMPLATES {
        let mut last = None;
        for line in template.lines() {
            if let Some(alert) = alert(line) {
                last = Some(alert);
                all.insert(alert, None);
            } else if let (Some(alert), Some(held)) = (last, held(line)) {
                all.insert(alert, Some(held));
            }
        }
    }
    all
}

/// Rules, or tests of rules, in which each alert has the `for` that is `stated` of it, and says so.
pub(super) fn stated(text: &str, stated: &BTreeMap<String, String>) -> String {
    let known = of_templates();
    let mut written = String::with_capacity(text.len());
    let mut at: Option<&str> = None;
    // What is stated of the alert, until it is written.
    let mut due = None;
    for line in text.lines() {
        if let Some(alert) = alert(line) {
            at = Some(alert);
            due = stated.get(alert);
        } else if let Some(alert) = tested(line) {
            at = Some(alert);
        }
        let mut line = line.to_owned();
        let is_held = held(&line).is_some();
        if let Some(value) = due.filter(|_| is_held || line.trim_start() == "labels:") {
            let indent = " ".repeat(line.len() - line.trim_start().len());
            let said = format!("{indent}for: {value}");
            line = if is_held {
                said
            } else {
                format!("{said}\n{line}")
            };
            due = None;
        }
        if let Some(alert) = at.filter(|_| line.contains(WORDS)) {
            let value = stated.get(alert).map(String::as_str);
            let value = value.or_else(|| known.get(alert).copied().flatten());
            line = line.replace(WORDS, &in_words(value.unwrap_or_default()));
        }
        written.push_str(&line);
        written.push('\n');
    }
    written
}

fn alert(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("- alert: ")
}

/// The alert that a case of the tests expects.
fn tested(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("alertname: ")?;
    rest.split([',', ' ']).next()
}

fn held(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("for: ")
}
