//! Figures as `/catalog.json` has them.

use std::collections::BTreeMap;

use obs_core::{Alarm, Beyond, Family, Figure, How, Reading, Shows, Worse};
use serde_core::ser::{Serialize, SerializeMap, Serializer};

/// A figure. Readers skip one that shows what they do not know.
pub(super) struct FigureEntry {
    title: &'static str,
    rank: u16,
    shows: ShowsEntry,
    facts: Vec<Named>,
    trend: Option<ReadingEntry>,
    worse: Option<&'static str>,
    alarms: Vec<AlarmEntry>,
    zoomed: bool,
    headline: bool,
}

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
struct Of {
    name: &'static str,
    family: &'static str,
    label: Option<&'static str>,
}

/// A fact or a column.
struct Named {
    name: &'static str,
    value: ReadingEntry,
}

struct AlarmEntry {
    value: ReadingEntry,
    is: &'static str,
    than: f64,
}

/// One number, or one word.
#[derive(Default)]
struct ReadingEntry {
    read: &'static str,
    families: Vec<&'static str>,
    labels: BTreeMap<&'static str, &'static str>,
    level: Option<f64>,
    label: Option<&'static str>,
    number: Option<f64>,
    signed: bool,
}

members! {
    Named { "name" => name, "value" => value }
    AlarmEntry { "value" => value, "is" => is, "than" => than }
}

impl Serialize for FigureEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("rank", &self.rank)?;
        self.shows.add_to(&mut map)?;
        map.serialize_entry("facts", &self.facts)?;
        map.serialize_entry("trend", &self.trend)?;
        map.serialize_entry("worse", &self.worse)?;
        map.serialize_entry("alarms", &self.alarms)?;
        map.serialize_entry("zoomed", &self.zoomed)?;
        if self.headline {
            map.serialize_entry("headline", &true)?;
        }
        map.end()
    }
}

impl Serialize for Of {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("family", self.family)?;
        if let Some(label) = self.label {
            map.serialize_entry("label", label)?;
        }
        map.end()
    }
}

impl Serialize for ReadingEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("read", self.read)?;
        if !self.families.is_empty() {
            map.serialize_entry("families", &self.families)?;
        }
        if !self.labels.is_empty() {
            map.serialize_entry("labels", &self.labels)?;
        }
        if let Some(level) = &self.level {
            map.serialize_entry("level", level)?;
        }
        if let Some(label) = self.label {
            map.serialize_entry("label", label)?;
        }
        if let Some(number) = &self.number {
            map.serialize_entry("number", number)?;
        }
        if self.signed {
            map.serialize_entry("signed", &true)?;
        }
        map.end()
    }
}

impl ShowsEntry {
    /// Says what is shown, and of what.
    fn add_to<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let mut shows = |what: &str| map.serialize_entry("shows", what);
        match self {
            Self::Value { value } => {
                shows("value")?;
                map.serialize_entry("value", value)
            }
            Self::Ratio { value, of } => {
                shows("ratio")?;
                map.serialize_entry("value", value)?;
                map.serialize_entry("of", of)
            }
            Self::Quantiles { family, levels } => {
                shows("quantiles")?;
                map.serialize_entry("family", family)?;
                map.serialize_entry("levels", levels)
            }
            Self::Bar { value, limit } => {
                shows("bar")?;
                map.serialize_entry("value", value)?;
                map.serialize_entry("limit", limit)
            }
            Self::Table { by, columns } => {
                shows("table")?;
                map.serialize_entry("by", by)?;
                map.serialize_entry("columns", columns)
            }
            Self::Log { family, label } => {
                shows("log")?;
                map.serialize_entry("family", family)?;
                map.serialize_entry("label", label)
            }
            Self::Curve {
                value,
                below,
                marks,
            } => {
                shows("curve")?;
                map.serialize_entry("value", value)?;
                map.serialize_entry("below", below)?;
                map.serialize_entry("marks", marks)
            }
            Self::Bars { by, value, limit } => {
                shows("bars")?;
                map.serialize_entry("by", by)?;
                map.serialize_entry("value", value)?;
                map.serialize_entry("limit", limit)
            }
            Self::Steps { steps } => {
                shows("steps")?;
                map.serialize_entry("steps", steps)
            }
            Self::Events { events } => {
                shows("events")?;
                map.serialize_entry("events", events)
            }
            Self::Parts { value, by } => {
                shows("parts")?;
                map.serialize_entry("value", value)?;
                map.serialize_entry("by", by)
            }
            Self::Unknown => shows("unknown"),
        }
    }
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
