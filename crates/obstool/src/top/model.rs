//! What is shown: the families of a target in their groups, in an order, as far as they are open and match.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use obs_exposition::Kind;
use obs_verify::{Catalog, Group};

use super::format;
use super::history::{History, Together};
use super::layout::{self, Labels, Layout, Measured};
use super::overview::{self, Tile};
use super::target::Scraped;
use crate::Error;

/// How many series a family shows when it is opened, and how many more each time.
const FIRST: usize = 12;
const MORE: usize = 50;
/// With more series than this, groups begin closed.
const MANY: usize = 5_000;
/// Where families go that the catalogue does not know.
const OTHERS: &str = "others";
/// How far back a change looks, in seconds.
const CHANGE_WINDOW: f64 = 60.0;
/// The quantiles shown of a histogram, the second of which stands for it.
pub(super) const LEVELS: [f64; 3] = [0.5, 0.95, 0.99];

/// In which order families stand in their groups, and series in their families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// As declared, which is how they belong together.
    #[default]
    Declared,
    Name,
    /// The highest gauge, rate or quantile first.
    Value,
    /// What changed most in the last minute first, relative to what it was.
    Change,
    /// All groups in one: the highest rates first, then what is not counted, each unit by itself.
    AllByRate,
    /// All groups in one: what changed most first.
    AllByChange,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Declared => Self::Name,
            Self::Name => Self::Value,
            Self::Value => Self::Change,
            Self::Change => Self::AllByRate,
            Self::AllByRate => Self::AllByChange,
            Self::AllByChange => Self::Declared,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Declared => "as declared",
            Self::Name => "name",
            Self::Value => "value",
            Self::Change => "change",
            Self::AllByRate => "rate, over all groups",
            Self::AllByChange => "change, over all groups",
        }
    }

    /// Whether it puts families of different groups beside each other.
    fn is_of_all(self) -> bool {
        matches!(self, Self::AllByRate | Self::AllByChange)
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Row {
    Group {
        group: Group,
        families: usize,
        series: usize,
        is_open: bool,
    },
    /// A family, or as many of its series as match.
    Family {
        family: usize,
        series: Vec<usize>,
        is_open: bool,
    },
    Series {
        family: usize,
        series: usize,
    },
    /// Stands for the series that are not shown.
    Rest {
        family: usize,
        shown: usize,
        of: usize,
    },
}

/// What a line is about, also after the next scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Group(String),
    Family(String),
    Series(String, Labels),
    Rest(String),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Of a counter, or of how often a summary observed: so many in all, and so many a second.
    Rate {
        total: f64,
        rate: f64,
    },
    Value(f64),
    /// The lowest and the highest of several gauges, which have no sum that means something.
    Range(f64, f64),
    /// By level.
    Quantiles(Vec<(f64, f64)>),
}

/// What is measured, in its unit, and how it was in the last minutes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) unit: String,
    pub(super) shown: Shown,
    /// Undefined where there is nothing to draw.
    pub(super) trend: Vec<f64>,
    /// Where in it another process began.
    pub(super) restarts: Vec<bool>,
}

impl Cell {
    /// The least and the greatest of its trend; undefined where it has nothing.
    pub(super) fn ends(&self) -> (f64, f64) {
        let finite = || self.trend.iter().copied().filter(|value| value.is_finite());
        (
            finite().fold(f64::NAN, f64::min),
            finite().fold(f64::NAN, f64::max),
        )
    }

    /// One value of its trend as people read it.
    pub(super) fn told(&self, value: f64) -> String {
        match self.shown {
            Shown::Rate { .. } => format::rate(value, &self.unit),
            _ => format::number(value, &self.unit),
        }
    }
}

/// Since when there has been nothing to show, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) since: f64,
    /// One word.
    pub(super) what: &'static str,
    pub(super) why: String,
}

/// A family, and those of its series that match.
pub(super) type Member = (usize, Vec<usize>);

/// Everything that is shown. Its clock counts seconds and does not jump.
#[derive(Default)]
pub(super) struct Model {
    /// Host and port.
    pub(super) authority: String,
    pub(super) history: History,
    pub(super) catalog: Catalog,
    pub(super) url: String,
    /// How long the last scrape took, in seconds.
    pub(super) took: f64,
    pub(super) mistakes: usize,
    pub(super) fault: Option<Fault>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// Whether keys are read as the filter.
    pub(super) is_typing: bool,
    pub(super) shows_help: bool,
    /// Whether the screen stands still.
    pub(super) is_paused: bool,
    /// What is drawn over the whole screen.
    chart: Option<About>,
    pub(super) rows: Vec<Row>,
    pub(super) selected: usize,
    /// The first line in sight.
    pub(super) top: usize,
    /// How many lines are in sight.
    pub(super) page: usize,
    closed_groups: HashSet<String>,
    open_families: HashMap<String, usize>,
    /// Calculated once for each scrape.
    cells: HashMap<(usize, Option<usize>, usize), Cell>,
    tiles: Option<((usize, usize), Vec<Tile>)>,
}

impl Model {
    pub(super) fn new(authority: String) -> Self {
        Self {
            authority,
            ..Self::default()
        }
    }

    /// Takes what was scraped.
    pub(super) fn scraped(&mut self, at: f64, scraped: Scraped) {
        if self.is_paused {
            self.history.missed(at);
            return;
        }
        let is_first = self.history.len() == 0;
        let selected = self.about_selected();
        self.fault = None;
        self.url = scraped.url;
        self.took = scraped.took.as_secs_f64();
        self.mistakes = scraped.mistakes;
        if let Some(catalog) = scraped.catalog {
            self.catalog = catalog;
        }
        // What a clock makes older than what is there already is of the same moment.
        let at = self.history.latest_at().map_or(at, |latest| at.max(latest));
        self.history.add(at, scraped.layout, scraped.values);
        if is_first
            && self
                .layout()
                .is_some_and(|layout| layout.series_count() > MANY)
        {
            let closed = self.members().into_iter().map(|(group, _)| group.id);
            self.closed_groups = closed.collect();
        }
        self.arrange(selected);
    }

    /// Takes that there was nothing.
    pub(super) fn failed(&mut self, at: f64, failure: &Error) {
        let since = self.fault.as_ref().map_or(at, |fault| fault.since);
        let (what, why) = failure.told();
        self.history.missed(at);
        self.fault = Some(Fault { since, what, why });
    }

    pub(super) fn layout(&self) -> Option<&Arc<Layout>> {
        self.history.layout()
    }

    pub(super) fn family(&self, family: usize) -> Option<&Measured> {
        self.layout().map(|layout| &*layout.families[family])
    }

    /// The labels that tell a series from others.
    pub(super) fn labels(&self, family: usize, series: usize) -> Labels {
        let Some(layout) = self.layout() else {
            return Labels::new();
        };
        let labels = layout.families[family].series[series].labels.iter();
        labels
            .filter(|label| !layout.constant.contains(label))
            .cloned()
            .collect()
    }

    /// The labels that the series of a family share, and that others do not.
    pub(super) fn common(&self, family: usize) -> Labels {
        let Some(layout) = self.layout() else {
            return Labels::new();
        };
        let mut common = layout::shared(layout.families[family].series.iter());
        common.retain(|label| !layout.constant.contains(label));
        common
    }

    /// The value of a label that all series share.
    pub(super) fn constant(&self, key: &str) -> Option<&str> {
        let constant = &self.layout()?.constant;
        constant
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// The latest value of a metric without labels of its own.
    pub(super) fn single(&self, name: &str) -> Option<f64> {
        let family = self.layout()?.place(name)?;
        Some(self.history.now(family, 0)).filter(|value| !value.is_nan())
    }

    /// What a line of a family or a series shows, with a trend of so many points.
    pub(super) fn cell(&mut self, row: &Row, points: usize) -> Option<Cell> {
        let (family, series, one) = match row {
            Row::Family { family, series, .. } => (*family, series.clone(), None),
            Row::Series { family, series } => (*family, vec![*series], Some(*series)),
            Row::Group { .. } | Row::Rest { .. } => return None,
        };
        let key = (family, one, points);
        if let Some(known) = self.cells.get(&key) {
            return Some(known.clone());
        }
        let cell = self.calculated(
            Together {
                family,
                series: &series,
            },
            points,
        )?;
        self.cells.insert(key, cell.clone());
        Some(cell)
    }

    /// The first so many figures, each with a trend of so many points.
    pub(super) fn tiles(&mut self, most: usize, points: usize) -> &[Tile] {
        let asked = (most, points);
        let known = self.tiles.take().filter(|(known, _)| *known == asked);
        let tiles = known.map_or_else(
            || overview::tiles(&self.history, &self.catalog, most, points),
            |(_, tiles)| tiles,
        );
        &self.tiles.insert((asked, tiles)).1
    }

    pub(super) fn up(&mut self, lines: usize) {
        self.selected = self.selected.saturating_sub(lines);
    }

    pub(super) fn down(&mut self, lines: usize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add(lines).min(last);
    }

    /// Draws what is selected over the whole screen, if that is one series; whether it is.
    pub(super) fn open_chart(&mut self) -> bool {
        let row = match self.rows.get(self.selected) {
            Some(Row::Family { family, series, .. }) if series.len() == 1 => Row::Series {
                family: *family,
                series: series[0],
            },
            Some(row @ Row::Series { .. }) => row.clone(),
            _ => return false,
        };
        self.chart = self.about(&row);
        self.chart.is_some()
    }

    pub(super) fn close_chart(&mut self) {
        self.chart = None;
    }

    /// The series that is drawn over the whole screen, wherever it is by now.
    pub(super) fn charted(&self) -> Option<Row> {
        let Some(About::Series(name, labels)) = &self.chart else {
            return None;
        };
        let layout = self.layout()?;
        let family = layout.place(name)?;
        let mut series = layout.families[family].series.iter();
        let series = series.position(|series| *series.labels == *labels)?;
        Some(Row::Series { family, series })
    }

    pub(super) fn next_sort(&mut self) {
        self.sort = self.sort.next();
        self.arrange(self.about_selected());
    }

    /// Shows only what has these words in its name, help or labels.
    pub(super) fn search(&mut self, text: String) {
        self.filter = text;
        self.arrange(self.about_selected());
    }

    /// Opens or closes what is selected; a line of a series closes its family.
    pub(super) fn toggle(&mut self) {
        let Some(row) = self.rows.get(self.selected).cloned() else {
            return;
        };
        match &row {
            Row::Group { group, .. } => {
                if !self.closed_groups.remove(&group.id) {
                    self.closed_groups.insert(group.id.clone());
                }
            }
            Row::Rest { family, shown, .. } => {
                let name = self.name(*family);
                self.open_families.insert(name, shown + MORE);
            }
            Row::Family {
                family,
                series,
                is_open,
            } => {
                let name = self.name(*family);
                if *is_open {
                    self.open_families.remove(&name);
                } else if series.len() > 1 {
                    self.open_families.insert(name, FIRST);
                }
            }
            Row::Series { family, .. } => {
                let name = self.name(*family);
                self.open_families.remove(&name);
                let is_it =
                    |row: &Row| matches!(row, Row::Family { family: other, .. } if other == family);
                self.selected = self.rows.iter().position(is_it).unwrap_or(self.selected);
            }
        }
        self.arrange(self.about_selected());
    }

    /// How many families match the filter, and how many there are.
    pub(super) fn found(&self) -> (usize, usize) {
        let shown = self
            .members()
            .iter()
            .map(|(_, members)| members.len())
            .sum();
        (
            shown,
            self.layout().map_or(0, |layout| layout.families.len()),
        )
    }

    /// Every group with its families, in their order, and those of their series that match.
    pub(super) fn members(&self) -> Vec<(Group, Vec<Member>)> {
        let Some(layout) = self.layout() else {
            return Vec::new();
        };
        let words: Vec<String> = self
            .filter
            .to_lowercase()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let mut members: BTreeMap<(usize, String), (Group, Vec<Member>)> = BTreeMap::new();
        for (at, family) in layout.families.iter().enumerate() {
            let Some(series) = matching(family, &words) else {
                continue;
            };
            let (place, group) = if self.sort.is_of_all() {
                (0, everything())
            } else {
                self.group_of(&family.name)
            };
            let group = members
                .entry((place, group.id.clone()))
                .or_insert((group, Vec::new()));
            group.1.push((at, series));
        }
        let mut members: Vec<_> = members.into_values().collect();
        for (_, families) in &mut members {
            self.sort_families(families);
        }
        members
    }

    /// Makes the lines anew; what was selected stays so.
    fn arrange(&mut self, selected: Option<About>) {
        self.cells.clear();
        self.tiles = None;
        let mut rows = Vec::new();
        for (group, families) in self.members() {
            let is_open = !self.filter.is_empty() || !self.closed_groups.contains(&group.id);
            let series = families.iter().map(|(_, series)| series.len()).sum();
            rows.push(Row::Group {
                group,
                families: families.len(),
                series,
                is_open,
            });
            if is_open {
                for (family, series) in families {
                    self.add_family(&mut rows, family, series);
                }
            }
        }
        self.rows = rows;
        let place = selected.and_then(|selected| {
            let is_it = |row: &Row| self.about(row).as_ref() == Some(&selected);
            self.rows.iter().position(is_it)
        });
        self.selected = place
            .unwrap_or(self.selected)
            .min(self.rows.len().saturating_sub(1));
    }

    fn add_family(&self, rows: &mut Vec<Row>, family: usize, mut series: Vec<usize>) {
        let open = self.open_families.get(&self.name(family)).copied();
        let open = open.filter(|_| series.len() > 1);
        rows.push(Row::Family {
            family,
            series: series.clone(),
            is_open: open.is_some(),
        });
        let Some(most) = open else {
            return;
        };
        let of = series.len();
        self.sort_series(family, &mut series, most);
        series.truncate(most);
        let shown = series.len();
        rows.extend(
            series
                .into_iter()
                .map(|series| Row::Series { family, series }),
        );
        if shown < of {
            rows.push(Row::Rest { family, shown, of });
        }
    }

    fn name(&self, family: usize) -> String {
        self.family(family)
            .map(|family| family.name.clone())
            .unwrap_or_default()
    }

    fn about_selected(&self) -> Option<About> {
        self.about(self.rows.get(self.selected)?)
    }

    fn about(&self, row: &Row) -> Option<About> {
        let layout = self.layout()?;
        let name = |family: &usize| {
            layout
                .families
                .get(*family)
                .map(|family| family.name.clone())
        };
        Some(match row {
            Row::Group { group, .. } => About::Group(group.id.clone()),
            Row::Family { family, .. } => About::Family(name(family)?),
            Row::Rest { family, .. } => About::Rest(name(family)?),
            Row::Series { family, series } => {
                let labels = &layout.families.get(*family)?.series.get(*series)?.labels;
                About::Series(name(family)?, Labels::clone(labels))
            }
        })
    }

    /// Where a family is shown, and how far down that is.
    fn group_of(&self, name: &str) -> (usize, Group) {
        let groups = &self.catalog.groups;
        let declared = self.catalog.family(name);
        let place =
            declared.and_then(|family| groups.iter().position(|group| group.id == family.group));
        match place {
            Some(place) => (place, groups[place].clone()),
            None if groups.is_empty() => {
                // Nobody says what belongs together but the names.
                let prefix = name.split(['_', ':']).next().unwrap_or(name);
                (
                    0,
                    Group {
                        id: prefix.to_owned(),
                        title: prefix.to_owned(),
                        ..Group::default()
                    },
                )
            }
            None => (
                groups.len(),
                Group {
                    id: OTHERS.to_owned(),
                    title: "Third-party".to_owned(),
                    ..Group::default()
                },
            ),
        }
    }

    fn sort_families(&self, families: &mut [Member]) {
        let name = |family: usize| {
            self.family(family)
                .map_or("", |family| family.name.as_str())
        };
        let declared = |family: usize| self.catalog.place(name(family)).unwrap_or(usize::MAX);
        match self.sort {
            Sort::Declared => families.sort_by_key(|(family, _)| declared(*family)),
            Sort::Name => families.sort_by(|(a, _), (b, _)| name(*a).cmp(name(*b))),
            Sort::Value | Sort::Change | Sort::AllByRate | Sort::AllByChange => {
                families.sort_by_cached_key(|(family, series)| {
                    let of = Together {
                        family: *family,
                        series,
                    };
                    (self.kind_of_number(*family), self.weight(self.sort, of))
                });
            }
        }
    }

    /// Those that are shown first: of more than fit, as declared says nothing, and the highest do.
    fn sort_series(&self, family: usize, series: &mut [usize], most: usize) {
        let sort = match self.sort {
            Sort::Declared if series.len() > most => Sort::Value,
            sort => sort,
        };
        match sort {
            Sort::Declared => {}
            Sort::Name => series.sort_by_cached_key(|series| self.labels(family, *series)),
            Sort::Value | Sort::Change | Sort::AllByRate | Sort::AllByChange => {
                series.sort_by_cached_key(|one| {
                    self.weight(
                        sort,
                        Together {
                            family,
                            series: &[*one],
                        },
                    )
                });
            }
        }
    }

    /// What can be compared: over all groups, counts a second are not with bytes. Within a group it is left to the viewer.
    fn kind_of_number(&self, family: usize) -> (bool, String) {
        match (self.sort, self.family(family)) {
            (Sort::AllByRate, Some(measured)) => {
                let unit = self.unit(measured);
                let is_counted = measured.kind == Kind::Counter && unit == "count";
                (!is_counted, format!("{} {unit}", measured.kind))
            }
            _ => (false, String::new()),
        }
    }

    /// The unit that the catalogue has for a family, or else the one that its name tells.
    fn unit(&self, family: &Measured) -> &'static str {
        let declared = self.catalog.family(&family.name);
        let unit = declared.and_then(|family| family.unit);
        unit.map_or_else(
            || format::unit_of_name(&family.name, family.kind),
            obs_core::Unit::as_str,
        )
    }

    fn weight(&self, sort: Sort, of: Together<'_>) -> Descending {
        let latest = self.history.len().saturating_sub(1);
        let now = self.main(of, latest);
        if !matches!(sort, Sort::Change | Sort::AllByChange) {
            return Descending(now);
        }
        // The very first scrape has neither rates nor quantiles.
        let before = self
            .history
            .before(latest, CHANGE_WINDOW)
            .max(1)
            .min(latest);
        let before = self.main(of, before);
        let moved = (now - before).abs();
        Descending(if moved > 0.0 {
            moved / now.abs().max(before.abs())
        } else {
            moved
        })
    }

    /// The one number that stands for series at a snapshot.
    fn main(&self, of: Together<'_>, index: usize) -> f64 {
        let Some(family) = self.family(of.family) else {
            return f64::NAN;
        };
        match (family.kind, of.series) {
            (Kind::Counter, _) => self.history.rate(index, of),
            (Kind::Histogram, _) => {
                let [main] = self.history.quantiles(index, of, [LEVELS[1]]);
                main
            }
            // Of summaries that is the first quantile.
            (_, series) => {
                let values = series
                    .iter()
                    .map(|series| self.history.value(index, of.family, *series));
                values.fold(f64::NAN, f64::max)
            }
        }
    }

    fn calculated(&self, of: Together<'_>, points: usize) -> Option<Cell> {
        let family = self.family(of.family)?;
        let latest = self.history.len().checked_sub(1)?;
        let unit = self.unit(family).to_owned();
        let restarts = self.history.restarts(points);
        let trend = |value: &dyn Fn(usize) -> f64| {
            let moments = self.history.moments(points).into_iter();
            moments.map(|index| index.map_or(f64::NAN, value)).collect()
        };
        let now = |series: &usize| self.history.now(of.family, *series);
        let total = || of.series.iter().map(now).sum();
        let (shown, trend) = match (family.kind, of.series) {
            (Kind::Counter, _) => {
                let rate = self.history.rate(latest, of);
                (
                    Shown::Rate {
                        total: total(),
                        rate,
                    },
                    trend(&|index| self.history.rate(index, of)),
                )
            }
            (Kind::Histogram, _) => {
                let quantiles = self.history.quantiles(latest, of, LEVELS);
                (
                    Shown::Quantiles(LEVELS.into_iter().zip(quantiles).collect()),
                    trend(&|index| self.main(of, index)),
                )
            }
            (Kind::Summary, [one]) => {
                let told = self.history.told(of.family, *one);
                (Shown::Quantiles(told), trend(&|index| self.main(of, index)))
            }
            (Kind::Summary, series) => {
                // Quantiles of several summaries cannot be put together; how often they observed can.
                let shown = Shown::Rate {
                    total: series.iter().map(now).sum(),
                    rate: self.history.rate(latest, of),
                };
                let unit = "count".to_owned();
                return Some(Cell {
                    unit,
                    shown,
                    trend: trend(&|index| self.history.rate(index, of)),
                    restarts,
                });
            }
            (_, [one]) => (
                Shown::Value(now(one)),
                trend(&|index| self.history.value(index, of.family, *one)),
            ),
            (_, series) => {
                let values = series.iter().map(now);
                let (low, high) = values.fold((f64::NAN, f64::NAN), |(low, high), value| {
                    (low.min(value), high.max(value))
                });
                (Shown::Range(low, high), vec![f64::NAN; points])
            }
        };
        Some(Cell {
            unit,
            shown,
            trend,
            restarts,
        })
    }
}

/// The one group of everything.
fn everything() -> Group {
    Group {
        id: "all".to_owned(),
        title: "All".to_owned(),
        ..Group::default()
    }
}

/// The highest first, and what is undefined last.
struct Descending(f64);

impl Ord for Descending {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |value: f64| {
            if value.is_nan() {
                f64::NEG_INFINITY
            } else {
                value
            }
        };
        place(other.0).total_cmp(&place(self.0))
    }
}

impl PartialOrd for Descending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Descending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Descending {}

/// The series of a family that have all words: those that its name and help do not have stand in their labels.
fn matching(family: &Measured, words: &[String]) -> Option<Vec<usize>> {
    let all = 0..family.series.len();
    if words.is_empty() {
        return Some(all.collect());
    }
    let text = format!("{} {}", family.name, family.help).to_lowercase();
    let rest: Vec<_> = words
        .iter()
        .filter(|word| !text.contains(word.as_str()))
        .collect();
    let has_rest = |series: &usize| {
        let labels = family.series[*series].labels.iter();
        let texts: Vec<_> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let text = texts.join(" ").to_lowercase();
        rest.iter().all(|word| text.contains(word.as_str()))
    };
    let series: Vec<_> = all.filter(has_rest).collect();
    (!series.is_empty()).then_some(series)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    pub(crate) const CATALOGUE: &str = r#"{
        "service": "trading-desk", "environment": "test", "mode": "paper",
        "app": { "version": "0.1.0" },
        "groups": [{ "id": "trading", "title": "Trading" }, { "id": "system", "title": "System" }],
        "families": [
            { "name": "trading_orders_total", "kind": "counter", "group": "trading", "unit": "count" },
            { "name": "trading_fill_seconds", "kind": "histogram", "group": "trading", "unit": "seconds" },
            { "name": "trading_win_ratio", "kind": "gauge", "group": "trading", "unit": "ratio" },
            { "name": "app_uptime_seconds", "kind": "gauge", "group": "system", "unit": "seconds" }
        ]
    }"#;

    /// A desk that sends so many orders by each venue.
    pub(crate) fn desk(uptime: f64, orders: &[(&str, f64)]) -> String {
        let orders = orders.iter().map(|(venue, count)| {
            format!("trading_orders_total{{service=\"desk\",venue=\"{venue}\"}} {count}\n")
        });
        format!(
            "# HELP app_uptime_seconds Time since the start.\n# TYPE app_uptime_seconds gauge\napp_uptime_seconds{{service=\"desk\"}} {uptime}\n\
             # TYPE trading_win_ratio gauge\ntrading_win_ratio{{service=\"desk\"}} NaN\n\
             # TYPE third_party gauge\nthird_party{{service=\"desk\",zone=\"a\"}} 1\nthird_party{{service=\"desk\",zone=\"b\"}} 7\n\
             # TYPE trading_fill_seconds histogram\ntrading_fill_seconds_bucket{{service=\"desk\",le=\"0.1\"}} {uptime}\n\
             trading_fill_seconds_bucket{{service=\"desk\",le=\"+Inf\"}} {uptime}\ntrading_fill_seconds_sum{{service=\"desk\"}} 1\n\
             trading_fill_seconds_count{{service=\"desk\"}} {uptime}\n\
             # HELP trading_orders_total Sent to the venue.\n# TYPE trading_orders_total counter\n{}",
            orders.collect::<String>()
        )
    }

    pub(crate) fn scraped(text: &str) -> Scraped {
        let (layout, values) = Layout::of(&obs_exposition::parse(text).unwrap());
        Scraped {
            at: Instant::now(),
            url: "http://127.0.0.1:9464/live".to_owned(),
            took: Duration::from_millis(12),
            layout,
            values,
            mistakes: 0,
            catalog: None,
        }
    }

    pub(crate) fn refused(reason: &str) -> Error {
        crate::Failure::Unreachable {
            url: "http://127.0.0.1:9464/live".to_owned(),
            reason: reason.to_owned(),
        }
        .into()
    }

    /// What was scraped a second after the other.
    pub(crate) fn model(texts: &[String]) -> Model {
        let mut model = Model::new("127.0.0.1:9464".to_owned());
        for (second, text) in texts.iter().enumerate() {
            let catalog = (second == 0).then(|| Catalog::read("here", CATALOGUE).unwrap());
            model.scraped(
                second as f64,
                Scraped {
                    catalog,
                    ..scraped(text)
                },
            );
        }
        model
    }

    /// The rows as short texts.
    fn told(model: &Model) -> Vec<String> {
        let name = |family: usize| model.name(family);
        let rows = model.rows.iter().map(|row| match row {
            Row::Group {
                group,
                families,
                series,
                ..
            } => format!("{} {families} {series}", group.title),
            Row::Family { family, series, .. } => format!("{} {}", name(*family), series.len()),
            Row::Series { family, series } => {
                format!("  {:?}", model.labels(*family, *series)[0].1)
            }
            Row::Rest { shown, of, .. } => format!("  {shown} of {of}"),
        });
        rows.collect()
    }

    fn select(model: &mut Model, name: &str) {
        let place = told(model).iter().position(|row| row.starts_with(name));
        model.selected = place.unwrap_or_else(|| panic!("{name} is not in {:?}", told(model)));
    }

    fn three_venues() -> Model {
        model(&[
            desk(0.0, &[("a", 0.0), ("b", 0.0), ("c", 0.0)]),
            desk(1.0, &[("a", 2.0), ("b", 9.0), ("c", 4.0)]),
        ])
    }

    #[test]
    fn families_stand_in_the_groups_and_the_order_of_the_catalogue() {
        let expected = [
            "Trading 3 5",
            "trading_orders_total 3",
            "trading_fill_seconds 1",
            "trading_win_ratio 1",
            "System 1 1",
            "app_uptime_seconds 1",
            "Third-party 1 2",
            "third_party 2",
        ];
        assert_eq!(told(&three_venues()), expected);
    }

    #[test]
    fn without_a_catalogue_names_say_what_belongs_together() {
        let mut model = Model::new(String::new());
        model.scraped(0.0, scraped(&desk(1.0, &[("a", 1.0)])));
        let groups = told(&model)
            .into_iter()
            .filter(|row| row.split(' ').count() == 3);
        assert_eq!(
            groups.collect::<Vec<_>>(),
            ["app 1 1", "third 1 2", "trading 3 3"]
        );
        select(&mut model, "trading_fill_seconds");
        let row = model.rows[model.selected].clone();
        assert_eq!(model.cell(&row, 0).unwrap().unit, "seconds");
    }

    #[test]
    fn cells_are_rates_quantiles_values_and_ranges() {
        let mut model = three_venues();
        let mut shown = |name| {
            select(&mut model, name);
            let row = model.rows[model.selected].clone();
            model.cell(&row, 3).unwrap()
        };
        let orders = shown("trading_orders_total");
        assert_eq!(
            orders.shown,
            Shown::Rate {
                total: 15.0,
                rate: 15.0
            }
        );
        assert_eq!(orders.trend[2], 15.0);
        assert!(orders.trend[1].is_nan(), "the first scrape has no rate");
        let Shown::Quantiles(fill) = shown("trading_fill_seconds").shown else {
            panic!("a histogram shows quantiles");
        };
        assert_eq!(fill, [(0.5, 0.05), (0.95, 0.095), (0.99, 0.099)]);
        assert_eq!(shown("third_party").shown, Shown::Range(1.0, 7.0));
        assert_eq!(shown("app_uptime").shown, Shown::Value(1.0));
        assert!(matches!(shown("trading_win_ratio").shown, Shown::Value(value) if value.is_nan()));
    }

    #[test]
    fn families_open_by_label_in_the_order_asked_for() {
        let mut model = three_venues();
        select(&mut model, "trading_orders_total");
        model.toggle();
        assert_eq!(told(&model)[2..5], [r#"  "a""#, r#"  "b""#, r#"  "c""#]);
        for (sort, first) in [
            (Sort::Name, "trading_fill_seconds 1"),
            (Sort::Value, "trading_orders_total 3"),
        ] {
            model.next_sort();
            assert_eq!((model.sort, told(&model)[1].as_str()), (sort, first));
        }
        assert_eq!(told(&model)[2..5], [r#"  "b""#, r#"  "c""#, r#"  "a""#]);
        // What was opened is selected still; a line below it closes it again.
        assert!(matches!(
            model.rows[model.selected],
            Row::Family { is_open: true, .. }
        ));
        model.down(2);
        model.toggle();
        assert!(matches!(
            model.rows[model.selected],
            Row::Family { is_open: false, .. }
        ));
        assert_eq!(model.rows.len(), 8);
    }

    #[test]
    fn what_changed_most_comes_first_and_the_undefined_last() {
        let mut model = three_venues();
        model.sort = Sort::Value;
        model.next_sort();
        model.scraped(
            2.0,
            scraped(&desk(2.0, &[("a", 20.0), ("b", 18.0), ("c", 8.0)])),
        );
        let rows = told(&model);
        assert_eq!(rows[1], "trading_orders_total 3", "{rows:?}");
        assert_eq!(rows[3], "trading_win_ratio 1", "{rows:?}");
        select(&mut model, "trading_orders_total");
        model.toggle();
        assert_eq!(
            told(&model)[model.selected + 1],
            r#"  "a""#,
            "the others go on as before"
        );
    }

    #[test]
    fn all_groups_are_put_in_one_order_by_rate_and_by_change() {
        let mut model = three_venues();
        model.sort = Sort::Change;
        model.next_sort();
        assert_eq!(told(&model)[..2], ["All 5 8", "trading_orders_total 3"]);
        let more = "# TYPE more_total counter\nmore_total{service=\"desk\"} ";
        let at = |second: f64, more_count: f64| {
            let orders = [("a", 2.0 * second), ("b", 9.0), ("c", 4.0)];
            desk(second, &orders) + more + &format!("{more_count}\n")
        };
        model.scraped(2.0, scraped(&at(2.0, 0.0)));
        model.scraped(3.0, scraped(&at(3.0, 900.0)));
        let rows = told(&model);
        assert_eq!(
            rows[..3],
            ["All 6 9", "more_total 1", "trading_orders_total 3"],
            "{rows:?}"
        );
        model.next_sort();
        assert_eq!(model.sort, Sort::AllByChange);
        // It has tripled, and stands in another group otherwise.
        assert_eq!(
            told(&model)[1],
            "app_uptime_seconds 1",
            "{:?}",
            told(&model)
        );
        model.next_sort();
        assert_eq!(told(&model)[0], "Trading 3 5");
    }

    #[test]
    fn of_many_series_the_highest_are_shown() {
        let names: Vec<_> = (0..500).map(|venue| format!("v{venue:03}")).collect();
        let at = |second: f64| {
            let orders: Vec<_> = names
                .iter()
                .enumerate()
                .map(|(venue, name)| (name.as_str(), venue as f64 * second))
                .collect();
            desk(second, &orders)
        };
        let mut model = model(&[at(0.0), at(1.0)]);
        select(&mut model, "trading_orders_total");
        model.toggle();
        let rows = told(&model);
        assert_eq!(
            (rows[2].as_str(), rows[13].as_str()),
            (r#"  "v499""#, r#"  "v488""#)
        );
        assert_eq!(rows[14], "  12 of 500");
        model.selected = 14;
        model.toggle();
        assert!(told(&model).contains(&"  62 of 500".to_owned()));
    }

    #[test]
    fn a_filter_looks_at_names_helps_and_labels() {
        let mut model = three_venues();
        for (filter, rows) in [
            ("FILL", vec!["Trading 1 1", "trading_fill_seconds 1"]),
            ("since start", vec!["System 1 1", "app_uptime_seconds 1"]),
            (
                "orders venue=b",
                vec!["Trading 1 1", "trading_orders_total 1"],
            ),
            ("venue=z", vec![]),
        ] {
            model.search(filter.to_owned());
            assert_eq!(told(&model), rows, "{filter}");
        }
        assert_eq!(model.found(), (0, 5));
    }

    #[test]
    fn groups_close_and_what_is_selected_stays_so_when_lines_come_above_it() {
        let mut model = three_venues();
        model.toggle();
        assert_eq!(told(&model)[1], "System 1 1");
        select(&mut model, "third_party");
        model.catalog.groups.clear();
        let more = desk(2.0, &[]) + "# TYPE another gauge\nanother{service=\"desk\"} 1\n";
        model.scraped(2.0, scraped(&more));
        assert_eq!(told(&model)[model.selected], "third_party 2");
    }

    #[test]
    fn a_fault_has_lasted_since_it_began_and_ends_with_the_next_scrape() {
        let mut model = three_venues();
        model.failed(5.0, &refused("gone"));
        model.failed(9.0, &refused("still gone"));
        assert_eq!(
            model.fault,
            Some(Fault {
                since: 5.0,
                what: "unreachable",
                why: "still gone".to_owned()
            })
        );
        assert_eq!(model.rows.len(), 8, "the last values stay");
        model.scraped(10.0, scraped(&desk(0.0, &[])));
        assert_eq!(model.fault, None);
    }

    #[test]
    fn with_very_many_series_groups_begin_closed() {
        let names: Vec<_> = (0..10_000).map(|venue| format!("v{venue}")).collect();
        let orders: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        let model = model(&[desk(0.0, &orders)]);
        assert_eq!(
            told(&model),
            ["Trading 3 10002", "System 1 1", "Third-party 1 2"]
        );
    }
}
