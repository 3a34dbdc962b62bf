//! What a figure is held to while it compiles: families of the right kind, labels that they have, units that go together.

use crate::message::Message;
use crate::{Family, Figure, How, Kind, LabelDecl, LabelNode, Reading, Shows, Unit, Values};

/// What is wrong with a figure, as a sentence that says what to write; empty when nothing is.
pub(crate) const fn fault(figure: &Figure) -> Message {
    let found = found_in(figure);
    if found.is_empty() {
        return found;
    }
    about(figure).and(found.as_str())
}

pub(crate) const fn about(figure: &Figure) -> Message {
    Message::new("figure `").and(figure.title).and("`: ")
}

const fn found_in(figure: &Figure) -> Message {
    if figure.title.trim_ascii().is_empty() {
        return Message::new("a title is missing");
    }
    let found = shows_fault(figure);
    if !found.is_empty() {
        return found;
    }
    let found = columns_fault(figure.facts);
    if !found.is_empty() {
        return found;
    }
    if figure.is_headline && !matches!(figure.shows, Shows::Value(_)) {
        return Message::new("only one number fits into a title: write `Figure::value`");
    }
    if let Some(trend) = &figure.trend {
        let found = number_fault(trend);
        if !found.is_empty() {
            return found;
        }
    }
    let mut i = 0;
    while i < figure.alarms.len() {
        let found = number_fault(&figure.alarms[i].reading);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

const fn shows_fault(figure: &Figure) -> Message {
    match &figure.shows {
        Shows::Value(reading) => number_fault(reading),
        Shows::Ratio(part, whole) => both_fault(part, whole),
        Shows::Bar(value, limit) => {
            let found = both_fault(value, limit);
            if !found.is_empty() {
                return found;
            }
            bar_fault(value, limit)
        }
        Shows::Quantiles(family, levels) => quantiles_fault(family, levels),
        Shows::Table { by, columns } => {
            if columns.is_empty() {
                return Message::new("a table without columns shows nothing");
            }
            let found = columns_fault(columns);
            if !found.is_empty() {
                return found;
            }
            table_fault(by, columns)
        }
        Shows::Log { of, label } => log_fault(of, label),
        Shows::Curve {
            value,
            below,
            marks,
        } => {
            let found = both_fault(value, below);
            if !found.is_empty() {
                return found;
            }
            marks_fault(marks)
        }
        Shows::Bars { by, value, limit } => {
            let found = both_fault(value, limit);
            if !found.is_empty() {
                return found;
            }
            if limit.family.is_none() {
                return Message::new(
                    "bars by a label have a limit that has the label; write a family, or `Figure::bar`",
                );
            }
            let found = bar_fault(value, limit);
            if !found.is_empty() {
                return found;
            }
            table_fault(by, &[("value", *value), ("limit", *limit)])
        }
        Shows::Steps(steps) => steps_fault(steps),
        Shows::Events(events) => events_fault(events),
        Shows::Parts { value, by } => {
            let found = number_fault(value);
            if !found.is_empty() {
                return found;
            }
            if !matches!(value.how, How::Sum) {
                return Message::new("only a sum has parts");
            }
            table_fault(by, &[("value", *value)])
        }
    }
}

const fn marks_fault(marks: &[(&'static str, &'static Family)]) -> Message {
    let mut i = 0;
    while i < marks.len() {
        let (name, family) = marks[i];
        if name.trim_ascii().is_empty() {
            return Message::new("a mark has no name");
        }
        let found = counter_fault("a mark", family);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

const fn steps_fault(steps: &[(&'static str, &'static Family)]) -> Message {
    if steps.is_empty() {
        return Message::new("there is no step");
    }
    let mut i = 0;
    while i < steps.len() {
        let (name, family) = steps[i];
        if name.trim_ascii().is_empty() {
            return Message::new("a step has no name");
        }
        let found = quantiles_fault(family, &[0.5]);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

const fn events_fault(events: &[(&'static str, &'static Family, &'static str)]) -> Message {
    if events.is_empty() {
        return Message::new("there is no counter of events");
    }
    let mut i = 0;
    while i < events.len() {
        let (name, family, label) = events[i];
        if name.trim_ascii().is_empty() {
            return Message::new("an event has no name");
        }
        let found = log_fault(family, label);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

const fn counter_fault(what: &str, family: &Family) -> Message {
    let found = family_fault(family);
    if !found.is_empty() {
        return found;
    }
    if matches!(family.kind(), Kind::Counter) {
        return Message::NONE;
    }
    Message::new(what)
        .and(" is of a counter, and `")
        .and(family.name())
        .and("` is a ")
        .and(family.kind().as_str())
}

const fn both_fault(first: &Reading, second: &Reading) -> Message {
    let found = number_fault(first);
    if !found.is_empty() {
        return found;
    }
    number_fault(second)
}

const fn bar_fault(value: &Reading, limit: &Reading) -> Message {
    if matches!(value.how, How::Constant(_)) {
        return Message::new("a bar shows a family on its way to a limit, and this is a constant");
    }
    match limit.how {
        How::Constant(number) if !(number > 0.0 && super::is_finite(number)) => {
            Message::new("a bar needs a limit that is finite and above 0")
        }
        How::Constant(_) => Message::NONE,
        _ if !same_unit(value, limit) => {
            Message::new("a value and its limit are of one unit, and these are ")
                .and(unit_of(value).as_str())
                .and(" and ")
                .and(unit_of(limit).as_str())
        }
        _ => Message::NONE,
    }
}

const fn quantiles_fault(family: &Family, levels: &[f64]) -> Message {
    let found = family_fault(family);
    if !found.is_empty() {
        return found;
    }
    if !matches!(family.kind(), Kind::Histogram) {
        return Message::new("only a histogram has quantiles over all series, and `")
            .and(family.name())
            .and("` is a ")
            .and(family.kind().as_str());
    }
    if levels.is_empty()
        || !super::rises(levels)
        || levels[0] < 0.0
        || levels[levels.len() - 1] > 1.0
    {
        return Message::new(
            "quantiles lie between 0 and 1 and each is greater than the one before",
        );
    }
    Message::NONE
}

const fn table_fault(by: &str, columns: &[(&'static str, Reading)]) -> Message {
    let mut i = 0;
    while i < columns.len() {
        if let Some(family) = columns[i].1.family {
            let found = label_fault(family, by);
            if !found.is_empty() {
                return found;
            }
        }
        let plus = columns[i].1.plus;
        let mut j = 0;
        while j < plus.len() {
            let found = label_fault(plus[j], by);
            if !found.is_empty() {
                return found;
            }
            j += 1;
        }
        i += 1;
    }
    Message::NONE
}

const fn log_fault(family: &Family, label: &str) -> Message {
    let found = family_fault(family);
    if !found.is_empty() {
        return found;
    }
    let found = counter_fault("a log", family);
    if !found.is_empty() {
        return found;
    }
    let found = label_fault(family, label);
    if !found.is_empty() {
        return found;
    }
    if let Some(decl) = label_of(family.label_list(), label)
        && matches!(decl.values, Values::Open(_))
    {
        return Message::new("a log is by a label of a closed set, and `")
            .and(label)
            .and("` is open");
    }
    Message::NONE
}

const fn columns_fault(columns: &[(&'static str, Reading)]) -> Message {
    let mut i = 0;
    while i < columns.len() {
        let (name, reading) = &columns[i];
        if name.trim_ascii().is_empty() {
            return Message::new("a smaller figure or column has no name");
        }
        let found = reading_fault(reading);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

/// The same where a word will not do.
const fn number_fault(reading: &Reading) -> Message {
    if matches!(reading.how, How::WhereLeast(_) | How::WhereMost(_)) {
        return Message::new(
            "the value of a label is a word; it can be a smaller figure or a column",
        );
    }
    reading_fault(reading)
}

const fn reading_fault(reading: &Reading) -> Message {
    let Some(family) = reading.family else {
        return Message::NONE;
    };
    let found = family_reading_fault(reading, family);
    if !found.is_empty() {
        return found;
    }
    let mut i = 0;
    while i < reading.plus.len() {
        let other = reading.plus[i];
        if other.kind() as u8 != family.kind() as u8
            || other.measured_in() as u8 != family.measured_in() as u8
        {
            return Message::new("families that are added up are of one kind and unit, and `")
                .and(other.name())
                .and("` is not like `")
                .and(family.name())
                .and("`");
        }
        let found = family_reading_fault(reading, other);
        if !found.is_empty() {
            return found;
        }
        i += 1;
    }
    Message::NONE
}

const fn family_reading_fault(reading: &Reading, family: &Family) -> Message {
    let found = family_fault(family);
    if !found.is_empty() {
        return found;
    }
    let found = kind_fault(reading, family);
    if !found.is_empty() {
        return found;
    }
    if let How::WhereLeast(label) | How::WhereMost(label) = reading.how {
        let found = label_fault(family, label);
        if !found.is_empty() {
            return found;
        }
    }
    let mut i = 0;
    while i < reading.with.len() {
        let (key, value) = reading.with[i];
        let found = label_fault(family, key);
        if !found.is_empty() {
            return found;
        }
        if let Some(decl) = label_of(family.label_list(), key)
            && let Values::Closed(values) = decl.values
            && !contains(values, value)
        {
            return Message::new("the label `")
                .and(key)
                .and("` of `")
                .and(family.name())
                .and("` is never `")
                .and(value)
                .and("`");
        }
        i += 1;
    }
    Message::NONE
}

const fn kind_fault(reading: &Reading, family: &Family) -> Message {
    let kind = family.kind();
    match reading.how {
        How::Rate if !matches!(kind, Kind::Counter) => {
            Message::new("only a counter has a rate, and `")
                .and(family.name())
                .and("` is a ")
                .and(kind.as_str())
        }
        How::Quantile(level) => {
            if !matches!(kind, Kind::Histogram) {
                return Message::new("only a histogram has quantiles over all series, and `")
                    .and(family.name())
                    .and("` is a ")
                    .and(kind.as_str());
            }
            if level >= 0.0 && level <= 1.0 {
                return Message::NONE;
            }
            Message::new("a quantile lies between 0 and 1")
        }
        How::Rate | How::Series | How::Constant(_) => Message::NONE,
        How::Sum | How::Least | How::Most | How::WhereLeast(_) | How::WhereMost(_) => {
            if matches!(kind, Kind::Histogram | Kind::Summary) {
                return Message::new("a ")
                    .and(kind.as_str())
                    .and(" is no single number; read a quantile of `")
                    .and(family.name())
                    .and("`");
            }
            Message::NONE
        }
    }
}

const fn family_fault(family: &Family) -> Message {
    if super::is_snake_case(family.name()) {
        return Message::NONE;
    }
    Message::new("`")
        .and(family.name())
        .and("` is no metric's name; write it whole")
}

const fn label_fault(family: &Family, key: &str) -> Message {
    // Nothing is known of the labels of a family that is declared elsewhere.
    if family.is_elsewhere() || label_of(family.label_list(), key).is_some() {
        return Message::NONE;
    }
    Message::new("`")
        .and(family.name())
        .and("` has no label `")
        .and(key)
        .and("`")
}

const fn label_of(mut node: Option<&LabelNode>, key: &str) -> Option<LabelDecl> {
    while let Some(at) = node {
        if super::same(at.label.key, key) {
            return Some(at.label);
        }
        node = at.next;
    }
    None
}

const fn contains(values: &[&str], wanted: &str) -> bool {
    let mut i = 0;
    while i < values.len() {
        if super::same(values[i], wanted) {
            return true;
        }
        i += 1;
    }
    false
}

const fn same_unit(a: &Reading, b: &Reading) -> bool {
    unit_of(a) as u8 == unit_of(b) as u8
}

/// What a reading is measured in. Things that are up or down are counted.
const fn unit_of(reading: &Reading) -> Unit {
    match (reading.how, reading.family) {
        (How::Series, _) | (_, None) => Unit::Count,
        (_, Some(family)) => match family.measured_in() {
            Unit::Switch => Unit::Count,
            unit => unit,
        },
    }
}
