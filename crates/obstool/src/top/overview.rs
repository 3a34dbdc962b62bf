//! The first figures: whether all is well, as the service's catalogue says, or else from what any process has.

use std::collections::{BTreeMap, BTreeSet};

use obs_exposition::Kind;
use obs_verify::Catalog;
use obs_verify::figure::{Figure, Named, Reading, Shows};

use super::format;
use super::history::{History, Together};

/// A figure with a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) title: String,
    pub(super) figure: String,
    /// A lesser figure beside it.
    pub(super) note: String,
    pub(super) tone: Tone,
    pub(super) trend: Vec<f64>,
    /// Where in it another process began.
    pub(super) restarts: Vec<bool>,
}

/// Whether a figure is one to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
}

/// What Prometheus' client libraries say of every process: shown where a service has no figures of its own.
const PROCESS: [(&str, &str, &str); 3] = [
    ("Processor", "rate", "process_cpu_seconds_total"),
    ("Memory", "sum", "process_resident_memory_bytes"),
    ("File descriptors", "sum", "process_open_fds"),
];

/// The label by which an agent tells its processes apart.
const PROCESS_LABEL: &str = "process";

/// The first tiles for which there are metrics, with trends of so many points.
pub(super) fn tiles(history: &History, catalog: &Catalog, most: usize, points: usize) -> Vec<Tile> {
    let look = Look { history, catalog };
    let mut figures: Vec<Figure> = catalog
        .groups
        .iter()
        .flat_map(|group| group.figures.iter().cloned())
        .collect();
    // In the order in which somebody responsible for the service asks.
    figures.sort_by_key(|figure| figure.rank);
    if figures.is_empty() {
        figures.extend(PROCESS.map(|(title, read, family)| of_process(title, read, family)));
    }
    let (moments, restarts) = (history.moments(points), history.restarts(points));
    let tiles = figures.iter().filter_map(|figure| {
        let tile = look.tile(figure, &moments)?;
        Some(Tile {
            restarts: restarts.clone(),
            ..tile
        })
    });
    tiles.take(most).collect()
}

fn of_process(title: &str, read: &str, family: &str) -> Figure {
    Figure {
        title: title.to_owned(),
        rank: 0,
        shows: Shows::Value {
            value: Reading {
                read: read.to_owned(),
                families: vec![family.to_owned()],
                ..Reading::default()
            },
        },
        facts: Vec::new(),
        trend: None,
        worse: None,
        alarms: Vec::new(),
        zoomed: false,
    }
}

/// Asks by name for what may not be there: what is not is `NaN`.
struct Look<'a> {
    history: &'a History,
    catalog: &'a Catalog,
}

impl Look<'_> {
    /// A figure as a tile; none while its first family has no series, or where nothing here knows how to draw it.
    fn tile(&self, figure: &Figure, moments: &[Option<usize>]) -> Option<Tile> {
        let latest = self.history.len().saturating_sub(1);
        let (title, shown, follows, note) = self.shown(figure, latest)?;
        let follows = figure.trend.as_ref().unwrap_or(&follows);
        let is_raised =
            |alarm: &obs_verify::figure::Alarm| alarm.is_raised(self.value(&alarm.value, latest));
        let tone = if figure.alarms.iter().any(is_raised) {
            Tone::Bad
        } else if shown == format::UNDEFINED {
            Tone::Plain
        } else if let Some(gain) = gain(figure) {
            tone_of_gain(self.value(gain, latest))
        } else if figure.alarms.is_empty() {
            Tone::Plain
        } else {
            Tone::Good
        };
        Some(Tile {
            title,
            figure: shown,
            // A lesser figure that is undefined is none.
            note: if note.contains(format::UNDEFINED) {
                String::new()
            } else {
                note
            },
            tone,
            trend: moments
                .iter()
                .map(|index| index.map_or(f64::NAN, |index| self.value(follows, index)))
                .collect(),
            restarts: Vec::new(),
        })
    }

    /// Its title, its figure, what a trend follows, and a lesser figure.
    fn shown(&self, figure: &Figure, latest: usize) -> Option<(String, String, Reading, String)> {
        let title = figure.title.clone();
        let text = |reading: &Reading| self.text(reading, latest);
        match &figure.shows {
            Shows::Value { value } => {
                self.first(value)?;
                let note = figure
                    .facts
                    .first()
                    .map_or_else(String::new, |fact| self.fact(fact, latest));
                Some((title, text(value), value.clone(), note))
            }
            Shows::Ratio { value, of } => {
                self.first(value)?;
                let share = self.value(value, latest) / self.value(of, latest);
                let note = format!("{} of {}", text(value), text(of));
                Some((title, format::number(share, "ratio"), value.clone(), note))
            }
            Shows::Bar { value, limit } => {
                self.first(value)?;
                let note = format!("of {}", text(limit));
                Some((title, text(value), value.clone(), note))
            }
            Shows::Quantiles { family, levels } => {
                let reading = |level: f64| Reading {
                    read: "quantile".to_owned(),
                    families: vec![family.clone()],
                    level: Some(level),
                    ..Reading::default()
                };
                let highest = levels.iter().copied().reduce(f64::max)?;
                self.first(&reading(highest))?;
                let name = |level: f64| format!("p{}", (level * 1e6).round() / 1e4);
                let note = levels.first().map_or_else(String::new, |level| {
                    format!("{} {}", name(*level), text(&reading(*level)))
                });
                let title = format!("{title} {}", name(highest));
                Some((title, text(&reading(highest)), reading(highest), note))
            }
            Shows::Table { by, columns } => {
                let (name, reading) = columns.first().map(|named| (&named.name, &named.value))?;
                let (row, of, rows) = self.first_row(by, reading, latest)?;
                let note = format!("{name} · {rows} in all");
                Some((title, format!("{row} {}", text(&of)), of, note))
            }
            Shows::Log { family, label } => {
                let counter = Reading {
                    read: "rate".to_owned(),
                    families: vec![family.clone()],
                    ..Reading::default()
                };
                self.first(&counter)?;
                let (what, when) = match self.last_event(family, label, latest) {
                    Some((what, age)) => (what, format!("{} ago", format::span(age))),
                    None => ("none".to_owned(), "of late".to_owned()),
                };
                Some((title, what, counter, when))
            }
            _ => None,
        }
    }

    /// The row of a table whose first column is greatest, which is all that a tile has room for: its name, what is read of it, and
    /// how many rows there are.
    fn first_row(
        &self,
        by: &str,
        column: &Reading,
        latest: usize,
    ) -> Option<(String, Reading, usize)> {
        let (family, series) = self.series(column.families.first()?, &column.labels)?;
        let layout = self.history.layout()?;
        let of = |series: &usize| {
            let labels = &layout.families[family].series[*series].labels;
            labels.iter().find(|(key, _)| key == by)
        };
        let rows: BTreeSet<&String> = series.iter().filter_map(of).map(|(_, row)| row).collect();
        let read = |row: &str| {
            let mut reading = column.clone();
            reading.labels.insert(by.to_owned(), row.to_owned());
            reading
        };
        let value = |row: &&&String| self.value(&read(row), latest);
        let greatest = rows.iter().max_by(|a, b| value(a).total_cmp(&value(b)))?;
        Some(((*greatest).clone(), read(greatest), rows.len()))
    }

    /// What a log last had: the value of its label, and how many seconds ago. None within what is remembered.
    fn last_event(&self, family: &str, label: &str, latest: usize) -> Option<(String, f64)> {
        let (family, series) = self.series(family, &BTreeMap::new())?;
        let layout = self.history.layout()?;
        let rose = |index: usize, series: usize| {
            let value = |index| self.history.value(index, family, series);
            let before = value(index - 1);
            value(index) > if before.is_nan() { 0.0 } else { before }
        };
        (1..=latest).rev().find_map(|index| {
            let series = series.iter().copied().find(|one| rose(index, *one))?;
            let labels = &layout.families[family].series[series].labels;
            let (_, what) = labels.iter().find(|(key, _)| key == label)?;
            Some((what.clone(), self.history.age(index)))
        })
    }

    fn fact(&self, fact: &Named, latest: usize) -> String {
        format!("{} {}", fact.name, self.text(&fact.value, latest))
    }

    /// A reading as people read it: a number in its unit, or the value of a label.
    fn text(&self, reading: &Reading, latest: usize) -> String {
        if let "where_least" | "where_most" = reading.read.as_str() {
            return self.place(reading, latest);
        }
        let value = self.value(reading, latest);
        let unit = reading
            .families
            .first()
            .map_or("count", |name| self.unit(name));
        match (reading.read.as_str(), reading.signed, unit) {
            ("rate", _, unit) => format::rate(value, unit),
            ("series" | "constant", ..) => format::number(value, "count"),
            (_, true, "currency") => format::signed(value),
            (_, true, unit) if value > 0.0 => format!("+{}", format::number(value, unit)),
            (_, _, unit) => format::number(value, unit),
        }
    }

    fn unit(&self, name: &str) -> &'static str {
        let declared = self.catalog.family(name).and_then(|family| family.unit);
        let kind = || {
            let layout = self.history.layout();
            let measured = layout.and_then(|layout| Some(&layout.families[layout.place(name)?]));
            measured.map_or(Kind::Gauge, |family| family.kind)
        };
        declared.map_or_else(
            || format::unit_of_name(name, kind()),
            obs_core::Unit::as_str,
        )
    }

    /// The first family of a reading that has series.
    fn first(&self, reading: &Reading) -> Option<()> {
        if reading.read == "constant" {
            return Some(());
        }
        self.series(reading.families.first()?, &reading.labels)
            .map(|_| ())
    }

    /// A family, and those of its series that have these labels, if any.
    fn series(&self, name: &str, labels: &BTreeMap<String, String>) -> Option<(usize, Vec<usize>)> {
        let layout = self.history.layout()?;
        let family = layout.place(name)?;
        let is_wanted = |of: &[(String, String)]| {
            let has =
                |(key, value): (&String, &String)| of.iter().any(|(k, v)| k == key && v == value);
            labels.iter().all(has)
        };
        let series = layout.families[family].series.iter().enumerate();
        let series: Vec<_> = series
            .filter(|(_, series)| is_wanted(&series.labels))
            .map(|(at, _)| at)
            .collect();
        (!series.is_empty()).then_some((family, series))
    }

    /// What a reading says at a snapshot, over all of its families that there are.
    fn value(&self, reading: &Reading, index: usize) -> f64 {
        if reading.read == "constant" {
            return reading.number.unwrap_or(f64::NAN);
        }
        let found: Vec<_> = reading
            .families
            .iter()
            .filter_map(|name| self.series(name, &reading.labels))
            .collect();
        let values = || {
            found.iter().flat_map(|(family, series)| {
                series
                    .iter()
                    .map(move |series| self.at(index, *family, *series))
            })
        };
        let rate = |(family, series): &(usize, Vec<usize>)| {
            let of = Together {
                family: *family,
                series,
            };
            self.history.rate(index, of)
        };
        if self.is_mixed(reading, &found, index) || self.is_apart(reading, &found) {
            return f64::NAN;
        }
        match reading.read.as_str() {
            "sum" => sum(values()),
            "least" => values().fold(f64::NAN, f64::min),
            "most" => values().fold(f64::NAN, f64::max),
            "rate" => sum(found.iter().map(rate)),
            "series" => found.iter().map(|(_, series)| series.len()).sum::<usize>() as f64,
            "quantile" => {
                let level = reading.level.unwrap_or(f64::NAN);
                found.first().map_or(f64::NAN, |(family, series)| {
                    let of = Together {
                        family: *family,
                        series,
                    };
                    let [quantile] = self.history.quantiles(index, of, [level]);
                    quantile
                })
            }
            _ => f64::NAN,
        }
    }

    /// Whether these are amounts of several currencies, of which there is neither a sum nor an extreme or a quantile: by their
    /// declaration, or for want of one. Nothing of another currency adds nothing.
    fn is_mixed(&self, reading: &Reading, found: &[(usize, Vec<usize>)], index: usize) -> bool {
        let declared = reading
            .families
            .first()
            .and_then(|name| self.catalog.family(name)?.unit);
        let may_be_money = matches!(
            declared,
            None | Some(obs_core::Unit::Currency | obs_core::Unit::Number)
        );
        if !may_be_money || reading.read == "series" {
            return false;
        }
        let Some(layout) = self.history.layout() else {
            return false;
        };
        let series = found
            .iter()
            .flat_map(|(family, series)| series.iter().map(move |at| (*family, *at)));
        let has_some = |(family, at): &(usize, usize)| self.at(index, *family, *at) != 0.0;
        let labels = series
            .filter(has_some)
            .flat_map(|(family, at)| layout.families[family].series[at].labels.iter());
        let currencies = labels.filter(|(key, _)| key == "currency");
        let currencies: BTreeSet<_> = currencies.map(|(_, currency)| currency).collect();
        currencies.len() > 1
    }

    /// Whether these are moments or shares of several processes of an agent, which have no sum.
    fn is_apart(&self, reading: &Reading, found: &[(usize, Vec<usize>)]) -> bool {
        let unit = reading.families.first().map(|name| self.unit(name));
        let has_no_sum = matches!(unit, Some("timestamp" | "ratio" | "basis points"));
        let (true, true, Some(layout)) = (reading.read == "sum", has_no_sum, self.history.layout())
        else {
            return false;
        };
        let series = found
            .iter()
            .flat_map(|(family, series)| series.iter().map(move |at| (*family, *at)));
        let labels =
            series.flat_map(|(family, at)| layout.families[family].series[at].labels.iter());
        let processes = labels.filter(|(key, _)| key == PROCESS_LABEL);
        let processes: BTreeSet<_> = processes.map(|(_, process)| process).collect();
        processes.len() > 1
    }

    /// A gauge as it was then; a counter as it is now, for the history keeps its increases.
    fn at(&self, index: usize, family: usize, series: usize) -> f64 {
        let layout = self.history.layout();
        let kind = layout.map_or(Kind::Gauge, |layout| layout.families[family].kind);
        if kind == Kind::Counter {
            self.history.now(family, series)
        } else {
            self.history.value(index, family, series)
        }
    }

    /// The value that a label has in the series that is least or greatest.
    fn place(&self, reading: &Reading, latest: usize) -> String {
        let undefined = || format::UNDEFINED.to_owned();
        let found = reading
            .families
            .first()
            .and_then(|name| self.series(name, &reading.labels));
        let (Some((family, series)), Some(label)) = (found, &reading.label) else {
            return undefined();
        };
        let sign = if reading.read == "where_least" {
            1.0
        } else {
            -1.0
        };
        let weigh = |series: &usize| sign * self.at(latest, family, *series);
        let least = series
            .into_iter()
            .filter(|series| !weigh(series).is_nan())
            .min_by(|a, b| weigh(a).total_cmp(&weigh(b)));
        let labels = least
            .zip(self.history.layout())
            .map(|(series, layout)| &layout.families[family].series[series].labels);
        let value = labels.and_then(|labels| labels.iter().find(|(key, _)| key == label));
        value.map_or_else(undefined, |(_, value)| value.clone())
    }
}

/// What a figure shows, if it is a gain or a loss: a signed number of which less is worse.
fn gain(figure: &Figure) -> Option<&Reading> {
    match &figure.shows {
        Shows::Value { value } if value.signed && figure.worse.as_deref() == Some("down") => {
            Some(value)
        }
        _ => None,
    }
}

fn tone_of_gain(gain: f64) -> Tone {
    if gain > 0.0 {
        Tone::Good
    } else if gain < 0.0 {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

/// A sum of nothing is unknown.
fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    values
        .into_iter()
        .reduce(|sum, value| sum + value)
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::top::layout::Layout;

    #[test]
    fn amounts_of_several_currencies_have_no_sum() {
        let text = "desk_exposure{currency=\"USD\",kind=\"gross\"} 5\n\
                    desk_exposure{currency=\"USD\",kind=\"net\"} 3\n\
                    desk_exposure{currency=\"EUR\",kind=\"net\"} 4\n";
        let (layout, values) = Layout::of(&obs_exposition::parse(text).unwrap());
        let mut history = History::default();
        history.add(0.0, layout, values);
        let catalog = Catalog::default();
        let look = Look {
            history: &history,
            catalog: &catalog,
        };
        let of = |key: &str, value: &str| Reading {
            read: "sum".to_owned(),
            families: vec!["desk_exposure".to_owned()],
            labels: [(key.to_owned(), value.to_owned())].into(),
            ..Reading::default()
        };
        assert!(look.value(&of("kind", "net"), 0).is_nan());
        for (key, value, sum) in [("currency", "USD", 8.0), ("kind", "gross", 5.0)] {
            let found = look.value(&of(key, value), 0);
            assert!((found - sum).abs() < 1e-9, "{key} {value}: {found}");
        }
    }

    #[test]
    fn moments_and_shares_of_several_processes_have_no_sum() {
        let text = "desk_leverage_ratio{process=\"a\",side=\"long\"} 0.25\n\
                    desk_leverage_ratio{process=\"a\",side=\"short\"} 0.5\n\
                    desk_leverage_ratio{process=\"b\",side=\"long\"} 0.75\n\
                    desk_orders_open{process=\"a\"} 3\n\
                    desk_orders_open{process=\"b\"} 4\n";
        let (layout, values) = Layout::of(&obs_exposition::parse(text).unwrap());
        let mut history = History::default();
        history.add(0.0, layout, values);
        let catalog = Catalog::default();
        let look = Look {
            history: &history,
            catalog: &catalog,
        };
        let sum = |name: &str, labels: &[(&str, &str)]| {
            let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let reading = Reading {
                read: "sum".to_owned(),
                families: vec![name.to_owned()],
                labels: labels.iter().map(own).collect(),
                ..Reading::default()
            };
            look.value(&reading, 0)
        };
        assert!(sum("desk_leverage_ratio", &[]).is_nan());
        let of_one = sum("desk_leverage_ratio", &[("process", "a")]);
        assert!((of_one - 0.75).abs() < 1e-9, "{of_one}");
        let counted = sum("desk_orders_open", &[]);
        assert!((counted - 7.0).abs() < 1e-9, "{counted}");
    }

    #[test]
    fn a_gain_is_a_signed_number_of_which_less_is_worse() {
        let mut figure = of_process("Profit", "sum", "desk_profit");
        figure.worse = Some("down".to_owned());
        assert!(gain(&figure).is_none(), "it is not signed");
        if let Shows::Value { value } = &mut figure.shows {
            value.signed = true;
        }
        assert!(gain(&figure).is_some());
        figure.worse = Some("up".to_owned());
        assert!(gain(&figure).is_none(), "more of it is worse");

        assert_eq!(
            [250.0, -0.01, 0.0].map(tone_of_gain),
            [Tone::Good, Tone::Bad, Tone::Plain]
        );
    }
}
