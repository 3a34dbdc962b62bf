//! A Grafana dashboard, from a short definition.
//!
//! A definition says what is asked, what for, and from where on it is bad. Units, and what the metrics mean, come from the
//! catalogue: the unit of an axis is what the query yields, as the type checker of queries infers it.
//!
//! In a query `@` stands for the matchers of the variables that every dashboard has.

mod guide;
mod json;

pub use guide::guide;
pub use json::{grafana_unit, json};

/// What `@` stands for.
const SCOPE: &str = r#"service=~"$service", environment=~"$environment", mode=~"$mode""#;

/// A dashboard, read from top to bottom: its first row says whether all is right.
#[derive(Debug)]
pub struct Dashboard {
    /// Its file and its uid, which never change: links and bookmarks hold on to them.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it answers, in a sentence.
    pub description: String,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Whose series it asks for.
    pub scope: Scope,
}

/// Whose series a dashboard asks for: the variables at its top, and where their values come from.
#[derive(Clone, Debug)]
pub struct Scope {
    /// A series that every service has.
    pub from: String,
    /// Matchers that every query has, such as `job="desk"`; may be empty.
    pub matchers: String,
    /// The labels that can be chosen, each with its heading, from the widest to the narrowest.
    pub labels: Vec<(String, String)>,
    /// What dashboards are tagged with, and by which they link to each other.
    pub tag: String,
}

/// Services that install this workspace's exporter, whose `app_info` names them.
impl Default for Scope {
    fn default() -> Self {
        let labels = ["service", "environment", "mode"].map(|key| (key.to_owned(), capital(key)));
        Self {
            from: "app_info".to_owned(),
            matchers: String::new(),
            labels: labels.to_vec(),
            tag: "obs".to_owned(),
        }
    }
}

impl Scope {
    /// What `@` stands for.
    #[must_use]
    pub fn matchers(&self) -> String {
        self.up_to(self.labels.len())
    }

    /// The same, of the widest so many labels.
    fn up_to(&self, count: usize) -> String {
        let chosen = self.labels[..count].iter();
        let chosen = chosen.map(|(key, _)| format!("{key}=~\"${key}\""));
        let fixed = Some(self.matchers.clone()).filter(|matchers| !matchers.is_empty());
        fixed
            .into_iter()
            .chain(chosen)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// With a capital at its beginning.
pub(crate) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// Panels side by side, as wide as each other.
#[derive(Debug)]
pub struct Row {
    /// Its heading.
    pub title: String,
    /// From left to right; their number divides 24.
    pub panels: Vec<Panel>,
}

/// One question.
#[derive(Debug)]
pub struct Panel {
    /// How it is drawn.
    pub kind: Kind,
    /// Its heading, which no other panel of the dashboard has.
    pub title: String,
    /// What it shows and what to make of it.
    pub description: String,
    /// What is asked; the first says the unit of the axis.
    pub queries: Vec<Query>,
    /// From where on it is bad.
    pub thresholds: Thresholds,
    /// What to do when it is red: a sentence, or the alerts whose runbooks say it. Empty where nothing turns red.
    pub act: String,
}

/// A question to Prometheus.
#[derive(Debug)]
pub struct Query {
    /// As Grafana sends it, variables and all.
    pub text: String,
    /// What a series is called, such as `{{venue}}`.
    pub legend: String,
}

/// How the answer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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
pub enum Thresholds {
    /// Nothing it shows is bad by itself.
    None,
    /// Worth a look from the first, bad from the second on.
    Above(f64, f64),
    /// Worth a look below the first, bad below the second.
    Below(f64, f64),
}

/// A row of panels.
#[must_use]
pub fn row(title: &str, panels: impl Into<Vec<Panel>>) -> Row {
    Row {
        title: title.to_owned(),
        panels: panels.into(),
    }
}

/// One number, large.
#[must_use]
pub fn stat(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Stat, title, description)
}

/// Series over time.
#[must_use]
pub fn lines(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Lines, title, description)
}

/// How observations spread over buckets, over time.
#[must_use]
pub fn heatmap(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Heatmap, title, description)
}

/// A bar for each series, as it is now.
#[must_use]
pub fn bars(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Bars, title, description)
}

/// A row for each series, as it is now.
#[must_use]
pub fn table(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Table, title, description)
}

/// When a switch was on and when off.
#[must_use]
pub fn switches(title: &str, description: &str) -> Panel {
    Panel::new(Kind::Switches, title, description)
}

impl Panel {
    /// A panel that asks nothing yet.
    #[must_use]
    pub fn new(kind: Kind, title: &str, description: &str) -> Self {
        Self {
            kind,
            title: title.to_owned(),
            description: description.to_owned(),
            queries: Vec::new(),
            thresholds: Thresholds::None,
            act: String::new(),
        }
    }

    /// Asks this too, with `@` for the matchers of the dashboard's variables; `legend` is what a series is called.
    #[must_use]
    pub fn ask(mut self, text: &str, legend: &str) -> Self {
        let (text, legend) = (text.replace('@', SCOPE), legend.to_owned());
        self.queries.push(Query { text, legend });
        self
    }

    /// Worth a look from the first on, bad from the second on.
    #[must_use]
    pub fn above(mut self, look: f64, bad: f64) -> Self {
        self.thresholds = Thresholds::Above(look, bad);
        self
    }

    /// Worth a look below the first, bad below the second.
    #[must_use]
    pub fn below(mut self, look: f64, bad: f64) -> Self {
        self.thresholds = Thresholds::Below(look, bad);
        self
    }

    /// What to do when it is red: a sentence, or the alerts whose runbooks say it.
    #[must_use]
    pub fn act(mut self, act: &str) -> Self {
        act.clone_into(&mut self.act);
        self
    }
}
