//! Figures: what a service shows of a group first, as its catalogue says.

use std::collections::BTreeMap;

use obs_core::{Beyond, How};
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

/// A figure of a group of this rank, as its service serves it.
pub(crate) fn declared(figure: &obs_core::Figure, rank: u16) -> Figure {
    Figure {
        title: figure.title.to_owned(),
        rank: figure.rank.unwrap_or(rank),
        shows: Shows::from(figure.shows),
        facts: named(figure.facts),
        trend: figure.trend.map(Reading::from),
        worse: figure.worse.map(|worse| worse.as_str().to_owned()),
        alarms: figure.alarms.iter().map(Alarm::from).collect(),
        zoomed: figure.is_zoomed,
    }
}

fn named(readings: &[(&'static str, obs_core::Reading)]) -> Vec<Named> {
    let named = |&(name, reading): &(&'static str, obs_core::Reading)| Named {
        name: name.to_owned(),
        value: Reading::from(reading),
    };
    readings.iter().map(named).collect()
}

impl From<obs_core::Shows> for Shows {
    fn from(shows: obs_core::Shows) -> Self {
        use obs_core::Shows as Declared;
        match shows {
            Declared::Value(value) => Self::Value {
                value: value.into(),
            },
            Declared::Ratio(value, of) => Self::Ratio {
                value: value.into(),
                of: of.into(),
            },
            Declared::Quantiles(family, levels) => Self::Quantiles {
                family: family.name().to_owned(),
                levels: levels.to_vec(),
            },
            Declared::Bar(value, limit) => Self::Bar {
                value: value.into(),
                limit: limit.into(),
            },
            Declared::Table { by, columns } => Self::Table {
                by: by.to_owned(),
                columns: named(columns),
            },
            Declared::Log { of, label } => Self::Log {
                family: of.name().to_owned(),
                label: label.to_owned(),
            },
            _ => Self::Unknown,
        }
    }
}

impl From<obs_core::Reading> for Reading {
    fn from(reading: obs_core::Reading) -> Self {
        let words = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let families = reading.families().map(|family| family.name().to_owned());
        let plain = Self {
            families: families.collect(),
            labels: reading.with.iter().map(words).collect(),
            signed: reading.is_signed,
            ..Self::default()
        };
        let read = |read: &str| Self {
            read: read.to_owned(),
            ..plain
        };
        match reading.how {
            How::Sum => read("sum"),
            How::Least => read("least"),
            How::Most => read("most"),
            How::Rate => read("rate"),
            How::Series => read("series"),
            How::Quantile(level) => Self {
                level: Some(level),
                ..read("quantile")
            },
            How::WhereLeast(label) => Self {
                label: Some(label.to_owned()),
                ..read("where_least")
            },
            How::WhereMost(label) => Self {
                label: Some(label.to_owned()),
                ..read("where_most")
            },
            How::Constant(number) => Self {
                number: Some(number),
                ..read("constant")
            },
            _ => read("unknown"),
        }
    }
}

impl From<&obs_core::Alarm> for Alarm {
    fn from(alarm: &obs_core::Alarm) -> Self {
        let (is, than) = match alarm.is {
            Beyond::Above(bound) => ("above", Some(bound)),
            Beyond::AtLeast(bound) => ("at_least", Some(bound)),
            Beyond::Below(bound) => ("below", Some(bound)),
            Beyond::AtMost(bound) => ("at_most", Some(bound)),
            _ => ("unknown", None),
        };
        Self {
            value: Reading::from(alarm.reading),
            is: is.to_owned(),
            than,
        }
    }
}
