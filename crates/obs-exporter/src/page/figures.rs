//! Figures as `/catalog.json` has them.

use std::collections::BTreeMap;

use obs_core::{Alarm, Beyond, Family, Figure, How, Reading, Shows, Worse};
use serde::Serialize;

/// A figure. Readers skip one that shows what they do not know.
#[derive(Serialize)]
pub(super) struct FigureEntry {
    title: &'static str,
    rank: u16,
    #[serde(flatten)]
    shows: ShowsEntry,
    facts: Vec<Named>,
    trend: Option<ReadingEntry>,
    worse: Option<&'static str>,
    alarms: Vec<AlarmEntry>,
    zoomed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    headline: bool,
}

#[derive(Serialize)]
#[serde(tag = "shows", rename_all = "snake_case")]
enum ShowsEntry {
    Value {
        value: ReadingEntry,
    },
    Ratio {
        value: ReadingEntry,
        of: ReadingEntry,
    },
    Quantiles {
        family: &'static str,
        levels: &'static [f64],
    },
    Bar {
        value: ReadingEntry,
        limit: ReadingEntry,
    },
    Table {
        by: &'static str,
        columns: Vec<Named>,
    },
    Log {
        family: &'static str,
        label: &'static str,
    },
    Curve {
        value: ReadingEntry,
        below: ReadingEntry,
        marks: Vec<Of>,
    },
    Bars {
        by: &'static str,
        value: ReadingEntry,
        limit: ReadingEntry,
    },
    Steps {
        steps: Vec<Of>,
    },
    Events {
        events: Vec<Of>,
    },
    Parts {
        value: ReadingEntry,
        by: &'static str,
    },
    /// What a later edition of `obs-core` shows: no reader of this one knows it.
    Unknown,
}

/// A mark, a step or a kind of event.
#[derive(Serialize)]
struct Of {
    name: &'static str,
    family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'static str>,
}

/// A fact or a column.
#[derive(Serialize)]
struct Named {
    name: &'static str,
    value: ReadingEntry,
}

#[derive(Serialize)]
struct AlarmEntry {
    value: ReadingEntry,
    is: &'static str,
    than: f64,
}

/// One number, or one word.
#[derive(Default, Serialize)]
struct ReadingEntry {
    read: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    families: Vec<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    signed: bool,
}

impl FigureEntry {
    /// A figure of a group of this rank.
    pub(super) fn new(figure: &Figure, rank: u16) -> Self {
        Self {
            title: figure.title,
            rank: figure.rank.unwrap_or(rank),
            shows: ShowsEntry::new(figure.shows),
            facts: named(figure.facts),
            trend: figure.trend.map(ReadingEntry::new),
            worse: figure.worse.map(Worse::as_str),
            alarms: figure.alarms.iter().map(AlarmEntry::new).collect(),
            zoomed: figure.is_zoomed,
            headline: figure.is_headline,
        }
    }
}

impl ShowsEntry {
    fn new(shows: Shows) -> Self {
        let reading = ReadingEntry::new;
        match shows {
            Shows::Value(value) => Self::Value {
                value: reading(value),
            },
            Shows::Ratio(value, of) => Self::Ratio {
                value: reading(value),
                of: reading(of),
            },
            Shows::Quantiles(family, levels) => Self::Quantiles {
                family: family.name(),
                levels,
            },
            Shows::Bar(value, limit) => Self::Bar {
                value: reading(value),
                limit: reading(limit),
            },
            Shows::Table { by, columns } => Self::Table {
                by,
                columns: named(columns),
            },
            Shows::Log { of, label } => Self::Log {
                family: of.name(),
                label,
            },
            Shows::Curve {
                value,
                below,
                marks,
            } => Self::Curve {
                value: reading(value),
                below: reading(below),
                marks: marks.iter().map(Of::family).collect(),
            },
            Shows::Bars { by, value, limit } => Self::Bars {
                by,
                value: reading(value),
                limit: reading(limit),
            },
            Shows::Steps(steps) => Self::Steps {
                steps: steps.iter().map(Of::family).collect(),
            },
            Shows::Events(events) => Self::Events {
                events: events.iter().map(Of::event).collect(),
            },
            Shows::Parts { value, by } => Self::Parts {
                value: reading(value),
                by,
            },
            _ => Self::Unknown,
        }
    }
}

impl Of {
    fn family(&(name, family): &(&'static str, &'static Family)) -> Self {
        Self {
            name,
            family: family.name(),
            label: None,
        }
    }

    fn event(&(name, family, label): &(&'static str, &'static Family, &'static str)) -> Self {
        Self {
            label: Some(label),
            ..Self::family(&(name, family))
        }
    }
}

fn named(readings: &[(&'static str, Reading)]) -> Vec<Named> {
    let named = |&(name, reading): &(&'static str, Reading)| Named {
        name,
        value: ReadingEntry::new(reading),
    };
    readings.iter().map(named).collect()
}

impl AlarmEntry {
    fn new(alarm: &Alarm) -> Self {
        let (is, than) = match alarm.is {
            Beyond::Above(bound) => ("above", bound),
            Beyond::AtLeast(bound) => ("at_least", bound),
            Beyond::Below(bound) => ("below", bound),
            Beyond::AtMost(bound) => ("at_most", bound),
            _ => ("unknown", f64::NAN),
        };
        Self {
            value: ReadingEntry::new(alarm.reading),
            is,
            than,
        }
    }
}

impl ReadingEntry {
    fn new(reading: Reading) -> Self {
        let entry = Self {
            families: reading.families().map(Family::name).collect(),
            labels: reading.with.iter().copied().collect(),
            signed: reading.is_signed,
            ..Self::default()
        };
        let read = |read| Self { read, ..entry };
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
                label: Some(label),
                ..read("where_least")
            },
            How::WhereMost(label) => Self {
                label: Some(label),
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
