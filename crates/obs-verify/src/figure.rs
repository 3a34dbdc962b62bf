//! Figures: what a service shows of a group first, as its catalogue says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One thing to show first of a group.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figure {
    /// Its heading.
    pub title: String,
    /// Its place among all figures: lower ones come first.
    #[serde(default)]
    pub rank: u16,
    /// What is shown.
    #[serde(flatten)]
    pub shows: Shows,
    /// Smaller figures below, each with its name.
    #[serde(default)]
    pub facts: Vec<Named>,
    /// What its chart follows, where that is not what is shown.
    #[serde(default)]
    pub trend: Option<Reading>,
    /// Which direction is worse: `up` or `down`.
    #[serde(default)]
    pub worse: Option<String>,
    /// When somebody should look: any of these is enough.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// Whether its chart may leave out 0.
    #[serde(default)]
    pub zoomed: bool,
}

/// What a figure shows.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "shows", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shows {
    /// One number.
    Value {
        /// What is read.
        value: Reading,
    },
    /// One number over another.
    Ratio {
        /// What is divided.
        value: Reading,
        /// By what.
        of: Reading,
    },
    /// Quantiles of a histogram.
    Quantiles {
        /// The histogram.
        family: String,
        /// Which ones, each in `0..=1`.
        levels: Vec<f64>,
    },
    /// How far a number is on its way to a limit.
    Bar {
        /// What is read.
        value: Reading,
        /// The limit.
        limit: Reading,
    },
    /// A row for each value of a label.
    Table {
        /// The label.
        by: String,
        /// A column for each.
        columns: Vec<Named>,
    },
    /// The latest increases of a counter.
    Log {
        /// The counter.
        family: String,
        /// The label that says what happened.
        label: String,
    },
    /// What a later edition shows.
    #[serde(other)]
    Unknown,
}

/// A reading with its name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Named {
    /// What it is called.
    pub name: String,
    /// What is read.
    pub value: Reading,
}

/// One number, or one word, read from families.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Reading {
    /// How: `sum`, `least`, `most`, `rate`, `series`, `quantile`, `where_least`, `where_most` or `constant`. A reader knows what
    /// it knows of them.
    pub read: String,
    /// What from.
    #[serde(default)]
    pub families: Vec<String>,
    /// Only the series that have these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Of a quantile.
    #[serde(default)]
    pub level: Option<f64>,
    /// Whose value is looked for.
    #[serde(default)]
    pub label: Option<String>,
    /// Of a constant.
    #[serde(default)]
    pub number: Option<f64>,
    /// Whether it says which way it went.
    #[serde(default)]
    pub signed: bool,
}

/// When somebody should look.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Alarm {
    /// What is read.
    pub value: Reading,
    /// `above`, `at_least`, `below` or `at_most`.
    pub is: String,
    /// The bound.
    pub than: Option<f64>,
}

impl Alarm {
    /// Whether a reading of this value raises it.
    #[must_use]
    pub fn is_raised(&self, value: f64) -> bool {
        let Some(than) = self.than else {
            return false;
        };
        match self.is.as_str() {
            "above" => value > than,
            "at_least" => value >= than,
            "below" => value < than,
            "at_most" => value <= than,
            _ => false,
        }
    }
}
