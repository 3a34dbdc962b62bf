//! A dashboard, from a short definition: [`json()`] writes it for Grafana, [`perses`] for Perses.
//!
//! A definition says what is asked, what for, and from where on it is bad. Units, and what the metrics mean, come from the
//! catalogue: the unit of an axis is what the query yields, as the type checker of queries infers it.
//!
//! In a query `@` stands for the matchers of the variables that every dashboard has, `@?` for the same with series that lack such a
//! label (alerts on the pipeline itself belong to no service), and `#` for the labels by which processes are told apart. A series
//! that a rule recorded belongs to a service, whichever of its instances recorded what: there `@` leaves the instance out.

mod guide;
mod json;
pub mod perses;
mod structure;

pub use guide::guide;
pub(crate) use json::is_unit_of;
pub use json::{grafana_unit, json};
pub use structure::faults;
pub(crate) use structure::is_statistic;

/// The labels by which processes are told apart, and `#` stands for.
const PROCESS: &str = "service, environment, mode, instance";
/// What `@` stands for, before the instance.
const CHOSEN: [&str; 3] = ["service", "environment", "mode"];
/// The last of them, which recorded series do not have.
const INSTANCE: &str = "instance";

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
    /// What is chosen at first, as label and value; of the other labels, everything.
    pub chosen: Vec<(String, String)>,
    /// What the URL of a runbook begins with, before the alert's name in small letters; empty where runbooks have no URL.
    pub runbooks: String,
    /// What dashboards are tagged with, and by which they link to each other.
    pub tag: String,
}

/// Services that install this workspace's exporter, whose `app_info` names them.
impl Default for Scope {
    fn default() -> Self {
        let labels = CHOSEN.into_iter().chain([INSTANCE]);
        Self {
            from: "app_info".to_owned(),
            matchers: String::new(),
            labels: labels.map(|key| (key.to_owned(), capital(key))).collect(),
            // What a backtest says never stands beside real money until somebody asks for it.
            chosen: vec![("mode".to_owned(), "live".to_owned())],
            runbooks: String::new(),
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
    /// Whether it is shown as its heading alone until somebody opens it.
    pub is_folded: bool,
}

impl Row {
    /// Shown as its heading alone until somebody opens it.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.is_folded = true;
        self
    }
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
    /// How a switch is called when it is off and when it is on.
    pub words: Words,
    /// The column of a table by which its rows are in order, and whether the highest comes first; without one, the first that is asked.
    pub order: Option<(String, bool)>,
    /// Columns of a table that are asked for their rows only.
    pub hidden: Vec<String>,
    /// Whether it shows shares of a whole, where a number among what is asked hides that.
    pub is_share: bool,
}

/// How the positions of a switch are called.
#[derive(Clone, Debug)]
pub struct Words {
    /// When it is off.
    pub off: String,
    /// When it is on.
    pub on: String,
    /// Whether something is wrong while it is off: red, and otherwise grey.
    pub is_off_bad: bool,
}

/// `off`, which is bad, and `on`.
impl Default for Words {
    fn default() -> Self {
        Self {
            off: "off".to_owned(),
            on: "on".to_owned(),
            is_off_bad: true,
        }
    }
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
        is_folded: false,
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
            words: Words::default(),
            order: None,
            hidden: Vec::new(),
            is_share: false,
        }
    }

    /// Asks this too, with `@`, `@?` and `#` as the module says; `legend` is what a series is called.
    #[must_use]
    pub fn ask(mut self, text: &str, legend: &str) -> Self {
        let (text, legend) = (written_out(text), legend.to_owned());
        self.queries.push(Query { text, legend });
        self
    }

    /// Asks how the observations of a histogram spread, such as `order_seconds{@}`: over its native buckets where the server has stored
    /// them, which are finer and reach as far as values do, and over those of its declaration elsewhere.
    #[must_use]
    pub fn spread(self, histogram: &str) -> Self {
        let (name, matchers) = histogram.split_once('{').unwrap_or((histogram, "}"));
        let added = |name: &str| format!("increase({name}{{{matchers}[$__rate_interval])");
        let (native, classic) = (added(name), added(&format!("{name}_bucket")));
        self.ask(
            &format!("sum({native}) or on () sum by (le) ({classic})"),
            "{{le}}",
        )
    }

    /// Nothing is wrong with a switch that is off, and this is what its positions are called.
    #[must_use]
    pub fn quiet(mut self, off: &str, on: &str) -> Self {
        self.words = Words {
            off: off.to_owned(),
            on: on.to_owned(),
            is_off_bad: false,
        };
        self
    }

    /// The rows of a table with the most in this column come first.
    #[must_use]
    pub fn most(mut self, column: &str) -> Self {
        self.order = Some((column.to_owned(), true));
        self
    }

    /// The rows of a table with the least in this column come first.
    #[must_use]
    pub fn least(mut self, column: &str) -> Self {
        self.order = Some((column.to_owned(), false));
        self
    }

    /// A column of a table is asked for its rows only, such as that of an information, which is always 1.
    #[must_use]
    pub fn hide(mut self, column: &str) -> Self {
        self.hidden.push(column.to_owned());
        self
    }

    /// It shows shares of a whole, such as a count over the number that limits it, whose unit follows from no metric.
    #[must_use]
    pub fn share(mut self) -> Self {
        self.is_share = true;
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

/// The alerts that a text names: words with a capital inside.
pub(crate) fn alerts_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text
        .split(' ')
        .map(|word| word.trim_end_matches([',', '.']));
    words.filter(|word| word.chars().skip(1).any(char::is_uppercase))
}

/// A query with its signs written out.
fn written_out(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        written.push_str(before);
        let is_lenient = after.starts_with('?');
        // What is before the brace is the series' name.
        let selector = written.rsplit('{').nth(1).unwrap_or_default();
        let name = selector.rsplit(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
        let is_recorded = name.clone().next().is_some_and(|name| name.contains(':'));
        let instance = (!is_recorded).then_some(INSTANCE);
        let or_none = if is_lenient { "|" } else { "" };
        let matchers = CHOSEN.into_iter().chain(instance);
        let matchers: Vec<_> = matchers
            .map(|key| format!("{key}=~\"${key}{or_none}\""))
            .collect();
        written.push_str(&matchers.join(", "));
        rest = after.strip_prefix('?').unwrap_or(after);
    }
    written.push_str(rest);
    written.replace('#', PROCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_written_out_by_whose_series_it_is() {
        let all = r#"service=~"$service", environment=~"$environment", mode=~"$mode", instance=~"$instance""#;
        assert_eq!(
            written_out(r#"max by (#, venue) (a_total{@, x="y"}) / sum(b{@})"#),
            format!(
                r#"max by (service, environment, mode, instance, venue) (a_total{{{all}, x="y"}}) / sum(b{{{all}}})"#
            )
        );
        assert_eq!(
            written_out("max(venue:a:rate5m{@})"),
            r#"max(venue:a:rate5m{service=~"$service", environment=~"$environment", mode=~"$mode"})"#
        );
        assert_eq!(
            written_out("count(ALERTS{@?})"),
            r#"count(ALERTS{service=~"$service|", environment=~"$environment|", mode=~"$mode|", instance=~"$instance|"})"#
        );
    }
}
