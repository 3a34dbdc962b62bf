//! The Grafana dashboards: short definitions here, JSON under `deploy/` by `cargo xtask gen`.
//!
//! A definition says what is asked, what for, and from where on it is bad. Units, and what the metrics mean, come from the
//! catalogue: the unit of an axis is what the query yields, as the type checker of queries infers it.
//!
//! In a query `@` stands for the matchers of the variables that every dashboard has.

mod data_providers;
mod error;
mod guide;
mod json;
mod main;
mod risk;
mod sentiment;
mod strategy;
mod system_health;
mod trading;

pub(crate) use guide::guide;
pub(crate) use json::{grafana_unit, json};

/// What `@` stands for.
const SCOPE: &str = r#"service=~"$service", environment=~"$environment", mode=~"$mode""#;

/// A dashboard, read from top to bottom: its first row says whether all is right.
#[derive(Debug)]
pub(crate) struct Dashboard {
    /// Its file and its uid, which never change: links and bookmarks hold on to them.
    pub(crate) name: &'static str,
    title: &'static str,
    description: &'static str,
    rows: Vec<Row>,
}

/// Panels side by side, as wide as each other.
#[derive(Debug)]
struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// One question.
#[derive(Debug)]
struct Panel {
    kind: Kind,
    title: &'static str,
    /// What it shows and what to make of it.
    description: &'static str,
    queries: Vec<Query>,
    thresholds: Thresholds,
    /// What to do when it is red: a sentence, or the alerts whose runbooks say it. Empty where nothing turns red.
    act: &'static str,
}

#[derive(Debug)]
struct Query {
    text: String,
    /// What a series is called, such as `{{venue}}`.
    legend: &'static str,
}

/// How the answer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One number, large.
    Stat,
    /// Series over time.
    Lines,
    /// How observations spread over buckets, over time.
    Heatmap,
    /// A bar for each series, as it is now.
    Bars,
    /// A row for each series, as it is now.
    Table,
    /// When a switch was on and when off.
    Switches,
}

/// From where on it is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thresholds {
    None,
    /// Worth a look from the first, bad from the second on.
    Above(f64, f64),
    /// Worth a look below the first, bad below the second.
    Below(f64, f64),
}

/// All of them, the main one first.
pub(crate) fn all() -> Vec<Dashboard> {
    vec![
        main::dashboard(),
        trading::dashboard(),
        strategy::dashboard(),
        data_providers::dashboard(),
        system_health::dashboard(),
        sentiment::dashboard(),
        risk::dashboard(),
        error::dashboard(),
    ]
}

fn row(title: &'static str, panels: impl Into<Vec<Panel>>) -> Row {
    Row {
        title,
        panels: panels.into(),
    }
}

fn stat(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Stat, title, description)
}

fn lines(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Lines, title, description)
}

fn heatmap(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Heatmap, title, description)
}

fn bars(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Bars, title, description)
}

fn table(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Table, title, description)
}

fn switches(title: &'static str, description: &'static str) -> Panel {
    Panel::new(Kind::Switches, title, description)
}

impl Panel {
    fn new(kind: Kind, title: &'static str, description: &'static str) -> Self {
        Self {
            kind,
            title,
            description,
            queries: Vec::new(),
            thresholds: Thresholds::None,
            act: "",
        }
    }

    fn ask(mut self, text: &str, legend: &'static str) -> Self {
        let text = text.replace('@', SCOPE);
        self.queries.push(Query { text, legend });
        self
    }

    fn above(mut self, look: f64, bad: f64) -> Self {
        self.thresholds = Thresholds::Above(look, bad);
        self
    }

    fn below(mut self, look: f64, bad: f64) -> Self {
        self.thresholds = Thresholds::Below(look, bad);
        self
    }

    fn act(mut self, act: &'static str) -> Self {
        self.act = act;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_dashboard_answers_first_whether_all_is_right() {
        for dashboard in all() {
            let first = &dashboard.rows[0];
            assert_eq!(first.title, "Are we all right?", "{}", dashboard.name);
            for panel in &first.panels {
                assert_eq!(panel.kind, Kind::Stat, "{}", panel.title);
            }
        }
    }

    #[test]
    fn panels_fit_their_row_and_say_what_they_are() {
        for dashboard in all() {
            let mut titles = BTreeSet::new();
            for row in &dashboard.rows {
                assert!(
                    24 % row.panels.len() == 0,
                    "{}: {}",
                    dashboard.name,
                    row.title
                );
                for panel in &row.panels {
                    assert!(
                        titles.insert(panel.title),
                        "{}: {} twice",
                        dashboard.name,
                        panel.title
                    );
                    assert!(
                        !panel.description.is_empty() && !panel.queries.is_empty(),
                        "{}",
                        panel.title
                    );
                    assert_eq!(
                        panel.act.is_empty(),
                        panel.thresholds == Thresholds::None,
                        "{}: what turns red has to say what to do",
                        panel.title
                    );
                }
            }
        }
    }
}
