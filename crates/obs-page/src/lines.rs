//! The lines of figures, read from values as the page reads them from text.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

/// Over how many seconds a rate is taken, and a quantile: the page's own windows.
const RATE_SECONDS: u64 = 15;
const QUANTILE_SECONDS: u64 = 60;

/// How far apart what is kept of a histogram is, in seconds.
const QUANTILE_STEP: u64 = 5;

/// A family of more series than this is read every half minute only: reading it costs what it has.
const MANY: usize = 500;
const SELDOM: u64 = 30;

/// Names of moments and shares end so. Gauges of them have no sum over several processes, which an agent tells apart by this label.
const APART: [&str; 3] = ["_timestamp_seconds", "_ratio", "_bps"];
const PROCESS: &str = "process";

/// Where the values of series are.
pub trait Source {
    /// Shows each series of a family: its labels as a scrape shows them, such as `side="buy",venue="xnas"`, without braces and in any
    /// order, and its value.
    fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>));
}

/// The value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A gauge, or the total of a counter, in the family's unit.
    Number(f64),
    /// How many observations of a histogram are in each bucket, not cumulated; one more than there are bounds.
    Buckets(&'a [u64]),
    /// What no figure has a line of, such as a summary.
    Other,
}

/// One thing that is shown first of a group.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its heading.
    pub title: Cow<'static, str>,
    /// What it shows.
    pub shows: Shows,
    /// What its chart follows, where that is not what it shows.
    pub trend: Option<Reading>,
}

/// What a figure shows, as far as that has lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Shows {
    /// One number, with or without a limit.
    Value(Reading),
    /// The first number divided by the second.
    Ratio(Reading, Reading),
    /// A number, and how far it is below its highest.
    Curve(Reading, Reading),
    /// Quantiles of a histogram, each in `0..=1`.
    Quantiles(Family, Cow<'static, [f64]>),
}

/// What is read from families.
#[derive(Clone, Debug)]
pub struct Reading {
    /// How their series make one number.
    pub how: How,
    /// The families; the first one decides on the unit and on whether there is a line.
    pub families: Vec<Family>,
    /// Only the series that have these labels.
    pub labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// How series make one number.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum How {
    /// Their sum.
    Sum,
    /// The least.
    Least,
    /// The greatest.
    Most,
    /// By how much their sum rises in a second, over the last 15 s.
    Rate,
    /// How many there are.
    Series,
    /// A quantile of the observations of the last minute, in `0..=1`.
    Quantile(f64),
    /// This number.
    Constant(f64),
    /// A word, or what a later edition reads: there is no number.
    Unknown,
}

/// What has to be known of a family to read it.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Whether its series may be amounts of several currencies, which have no sum.
    pub is_money: bool,
    /// The upper bounds of a histogram's buckets, without `+Inf`.
    pub bounds: Cow<'static, [f64]>,
}

/// One line of a figure.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) figure: Cow<'static, str>,
    /// The family without which the figure is not shown.
    pub(crate) needs: Cow<'static, str>,
    /// Which of the figure's lines it is.
    pub(crate) number: usize,
    drawn: Drawn,
    has_many: bool,
}

/// What a line draws.
#[derive(Debug)]
enum Drawn {
    Value(Read),
    Ratio(Read, Read),
}

/// A reading, with what has to be known of the past for it.
#[derive(Debug)]
struct Read {
    reading: Reading,
    labels: Vec<String>,
    /// Of what the line is that is drawn, once there was an amount.
    currency: Option<String>,
    totals: VecDeque<(u64, f64)>,
    buckets: VecDeque<(u64, Vec<u64>)>,
}

/// The lines of these figures, in their order.
pub(crate) fn of(figures: impl IntoIterator<Item = Figure>) -> Vec<Line> {
    figures.into_iter().flat_map(lines_of).collect()
}

fn lines_of(figure: Figure) -> Vec<Line> {
    let Figure {
        title,
        shows,
        trend,
    } = figure;
    let first = |reading: &Reading| reading.families.first().map(|family| family.name.clone());
    let value = |reading| Drawn::Value(Read::new(reading));
    let (needs, drawn) = match shows {
        Shows::Value(shown) => (first(&shown), vec![value(trend.unwrap_or(shown))]),
        Shows::Ratio(part, whole) => {
            let needs = first(&part);
            let drawn = match trend {
                Some(trend) => value(trend),
                None => Drawn::Ratio(Read::new(part), Read::new(whole)),
            };
            (needs, vec![drawn])
        }
        Shows::Curve(shown, below) => (first(&shown), vec![value(shown), value(below)]),
        Shows::Quantiles(family, levels) => {
            let needs = Some(family.name.clone());
            let of = |level: &f64| value(Reading::quantile(family.clone(), *level));
            (needs, levels.iter().map(of).collect())
        }
    };
    let Some(needs) = needs else {
        return Vec::new();
    };
    let lines = drawn.into_iter().enumerate();
    lines
        .map(|(number, drawn)| Line {
            figure: title.clone(),
            needs: needs.clone(),
            number,
            drawn,
            has_many: false,
        })
        .collect()
}

impl Reading {
    /// A quantile of a histogram.
    fn quantile(family: Family, level: f64) -> Self {
        Self {
            how: How::Quantile(level),
            families: vec![family],
            labels: Vec::new(),
        }
    }
}

impl Line {
    /// Whether this is the same line of the same figure.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.number == other.number && self.figure == other.figure && self.needs == other.needs
    }

    /// What it shows at this second; NaN where that is not known.
    pub(crate) fn read(&mut self, second: u64, source: &dyn Source) -> f64 {
        if self.has_many && !second.is_multiple_of(SELDOM) {
            return f64::NAN;
        }
        let (value, series) = match &mut self.drawn {
            Drawn::Value(read) => read.at(second, source),
            Drawn::Ratio(part, whole) => {
                let ((part, some), (whole, more)) =
                    (part.at(second, source), whole.at(second, source));
                let share = if whole == 0.0 { f64::NAN } else { part / whole };
                (share, some + more)
            }
        };
        self.has_many = series > MANY;
        value
    }
}

/// What the series of a reading add up to.
#[derive(Default)]
struct Found {
    series: usize,
    sum: f64,
    least: f64,
    most: f64,
    buckets: Vec<u64>,
    /// The currencies in which there is something.
    currencies: BTreeSet<String>,
    /// The process of the first series, and whether one is of another.
    process: Option<String>,
    is_of_several: bool,
}

impl Read {
    fn new(reading: Reading) -> Self {
        let labels = reading.labels.iter();
        Self {
            labels: labels
                .map(|(key, value)| format!("{key}=\"{value}\""))
                .collect(),
            reading,
            currency: None,
            totals: VecDeque::new(),
            buckets: VecDeque::new(),
        }
    }

    /// The number, and of how many series it is.
    fn at(&mut self, second: u64, source: &dyn Source) -> (f64, usize) {
        let found = self.found(source);
        let series = found.series;
        (self.number(second, found), series)
    }

    fn number(&mut self, second: u64, found: Found) -> f64 {
        if let How::Constant(number) = self.reading.how {
            return number;
        }
        if found.series == 0 || found.is_of_several || self.is_mixed(&found) {
            return f64::NAN;
        }
        match self.reading.how {
            How::Sum => found.sum,
            How::Least => found.least,
            How::Most => found.most,
            #[expect(
                clippy::cast_precision_loss,
                reason = "there are fewer series than 2^52"
            )]
            How::Series => found.series as f64,
            How::Rate => self.rate(second, found.sum),
            How::Quantile(level) => self.quantile(second, level, found),
            _ => f64::NAN,
        }
    }

    /// Whether these are amounts of several currencies, of which there is neither a sum nor an extreme or a quantile. One line has one
    /// currency: amounts of another than the first do not continue it.
    fn is_mixed(&mut self, found: &Found) -> bool {
        let family = self.reading.families.first();
        let is_money = family.is_some_and(|family| family.is_money);
        if !is_money || matches!(self.reading.how, How::Series) {
            return false;
        }
        let mut currencies = found.currencies.iter();
        match (currencies.next(), currencies.next()) {
            (Some(one), None) => self.currency.get_or_insert_with(|| one.clone()) != one,
            (_, several) => several.is_some(),
        }
    }

    fn found(&self, source: &dyn Source) -> Found {
        let mut found = Found {
            least: f64::NAN,
            most: f64::NAN,
            ..Found::default()
        };
        let is_apart = self.is_apart();
        for family in &self.reading.families {
            source.each(&family.name, &mut |labels, value| {
                if self.labels.iter().all(|label| has(labels, label)) {
                    found.add(labels, value);
                    if is_apart {
                        found.tell_process(labels);
                    }
                }
            });
        }
        found
    }

    /// Whether what several processes have of it has no sum.
    fn is_apart(&self) -> bool {
        let is_sum = self.reading.how == How::Sum;
        let mut families = self.reading.families.iter();
        is_sum && families.any(|family| APART.iter().any(|end| family.name.ends_with(end)))
    }

    /// The bounds of the first family that has some.
    fn bounds(&self) -> &[f64] {
        let mut all = self.reading.families.iter().map(|family| &*family.bounds);
        all.find(|bounds| !bounds.is_empty()).unwrap_or_default()
    }

    fn rate(&mut self, second: u64, sum: f64) -> f64 {
        self.totals.push_back((second, sum));
        while self.totals.len() > 1 && self.totals[0].0 + RATE_SECONDS < second {
            self.totals.pop_front();
        }
        let (from, before) = self.totals[0];
        if from == second {
            return f64::NAN;
        }
        #[expect(clippy::cast_precision_loss, reason = "these are few seconds")]
        let seconds = (second - from) as f64;
        // Series that were removed take what they counted with them.
        (sum - before).max(0.0) / seconds
    }

    fn quantile(&mut self, second: u64, level: f64, found: Found) -> f64 {
        let kept = &mut self.buckets;
        while kept.len() > 1 && kept[0].0 + QUANTILE_SECONDS < second {
            kept.pop_front();
        }
        let value = self.buckets.front().map_or(f64::NAN, |(_, before)| {
            let counts = found.buckets.iter().enumerate();
            let counts = counts.map(|(index, count)| {
                count.saturating_sub(before.get(index).copied().unwrap_or_default())
            });
            quantile(level, self.bounds(), &counts.collect::<Vec<_>>())
        });
        let kept = &mut self.buckets;
        if kept
            .back()
            .is_none_or(|(last, _)| last + QUANTILE_STEP <= second)
        {
            kept.push_back((second, found.buckets));
        }
        value
    }
}

impl Found {
    fn add(&mut self, labels: &str, value: Value<'_>) {
        self.series += 1;
        if says(value)
            && let Some(currency) = value_of(labels, "currency")
            && !self.currencies.contains(currency)
        {
            self.currencies.insert(currency.to_owned());
        }
        match value {
            Value::Number(number) => {
                self.sum += number;
                self.least = self.least.min(number);
                self.most = self.most.max(number);
            }
            Value::Buckets(buckets) => {
                self.buckets
                    .resize(buckets.len().max(self.buckets.len()), 0);
                for (sum, count) in self.buckets.iter_mut().zip(buckets) {
                    *sum += count;
                }
            }
            Value::Other => {}
        }
    }

    fn tell_process(&mut self, labels: &str) {
        let process = value_of(labels, PROCESS).unwrap_or_default();
        match &self.process {
            Some(first) => self.is_of_several |= first != process,
            None => self.process = Some(process.to_owned()),
        }
    }
}

/// Whether there is something. Nothing of another currency adds nothing.
fn says(value: Value<'_>) -> bool {
    match value {
        // What is undefined may be anything.
        Value::Number(number) => number != 0.0,
        Value::Buckets(buckets) => buckets.iter().any(|count| *count != 0),
        Value::Other => false,
    }
}

/// Whether labels as text have this one, `key="value"`. A quote within a value is escaped, so that no value looks like a label.
fn has(labels: &str, label: &str) -> bool {
    labels.match_indices(label).any(|(at, _)| {
        let (before, after) = (&labels[..at], &labels[at + label.len()..]);
        (before.is_empty() || before.ends_with(',')) && (after.is_empty() || after.starts_with(','))
    })
}

fn value_of<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let at = rest.find(key)?;
        let is_start = at == 0 || rest[..at].ends_with(',');
        let after = &rest[at + key.len()..];
        if is_start && let Some(value) = after.strip_prefix("=\"") {
            return value.split('"').next();
        }
        rest = after;
    }
}

/// A quantile of observations in buckets, as Prometheus' `histogram_quantile` estimates it; see the page's `statistics.js`. `counts` are
/// those of each bucket, one more than there are bounds.
#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate of counts in floats"
)]
fn quantile(level: f64, bounds: &[f64], counts: &[u64]) -> f64 {
    let total: u64 = counts.iter().sum();
    if total == 0 || counts.len() != bounds.len() + 1 || bounds.is_empty() {
        return f64::NAN;
    }
    let rank = level * total as f64;
    let mut below = 0;
    for (index, bound) in bounds.iter().enumerate() {
        let count = counts[index];
        if (below + count) as f64 >= rank {
            if index == 0 && *bound <= 0.0 {
                return *bound;
            }
            let start = if index == 0 { 0.0 } else { bounds[index - 1] };
            return start + (bound - start) * (rank - below as f64) / count as f64;
        }
        below += count;
    }
    bounds[bounds.len() - 1]
}

#[cfg(test)]
impl Line {
    /// The bytes that it keeps of the past, in the capacity that was asked for.
    pub(crate) fn size(&self) -> usize {
        let of = |read: &Read| {
            let buckets: usize = read
                .buckets
                .iter()
                .map(|(_, counts)| counts.capacity())
                .sum();
            16 * read.totals.capacity() + 32 * read.buckets.capacity() + 8 * buckets
        };
        match &self.drawn {
            Drawn::Value(read) => of(read),
            Drawn::Ratio(part, whole) => of(part) + of(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_from_the_texts_of_others() {
        let labels = r#"note="a,side=\"buy\"",outside="buy",side="sell""#;
        assert!(has(labels, r#"side="sell""#));
        assert!(!has(labels, r#"side="buy""#));
        assert_eq!(value_of(labels, "side"), Some("sell"));
        assert_eq!(value_of(labels, "venue"), None);
    }

    /// Series with their labels, in one family or another.
    struct Amounts(Vec<(&'static str, &'static str, f64)>);

    impl Source for Amounts {
        fn each(&self, family: &str, read: &mut dyn FnMut(&str, Value<'_>)) {
            for (name, labels, value) in &self.0 {
                if *name == family {
                    read(labels, Value::Number(*value));
                }
            }
        }
    }

    fn worth(dollars: f64, euros: f64) -> Amounts {
        Amounts(vec![
            ("book_worth", r#"currency="EUR""#, euros),
            ("book_worth", r#"currency="USD""#, dollars),
        ])
    }

    fn amounts(how: How, family: &'static str) -> Read {
        Read::new(Reading {
            how,
            families: vec![Family {
                name: family.into(),
                is_money: true,
                bounds: Cow::default(),
            }],
            labels: Vec::new(),
        })
    }

    #[test]
    fn amounts_of_several_currencies_are_no_line() {
        let mut read = amounts(How::Sum, "book_worth");
        for (second, dollars, euros, expected) in [
            (0, f64::NAN, f64::NAN, None),
            (1, 0.0, 0.0, Some(0.0)),
            (2, 5.0, 0.0, Some(5.0)),
            (3, 5.0, 1.0, None),
            (4, 6.0, 0.0, Some(6.0)),
            // Euros do not go on where dollars were.
            (5, 0.0, 7.0, None),
            (6, f64::NAN, 0.0, None),
        ] {
            let (value, series) = read.at(second, &worth(dollars, euros));
            assert_eq!(
                Some(value).filter(|value| !value.is_nan()),
                expected,
                "{dollars} {euros}"
            );
            assert_eq!(series, 2);
        }
        let paid = |dollars, yen| {
            Amounts(vec![
                ("book_paid_total", r#"currency="USD""#, dollars),
                ("book_paid_total", r#"currency="JPY""#, yen),
            ])
        };
        let mut rate = amounts(How::Rate, "book_paid_total");
        assert!(rate.at(1, &paid(1.0, 0.0)).0.is_nan());
        assert!((rate.at(2, &paid(3.0, 0.0)).0 - 2.0).abs() < 1e-9);
        assert!(rate.at(3, &paid(3.0, 200.0)).0.is_nan());
    }

    #[test]
    fn moments_and_shares_of_several_processes_are_no_line() {
        let desks = Amounts(vec![
            ("desk_leverage_ratio", r#"process="a",side="long""#, 0.25),
            ("desk_leverage_ratio", r#"process="a",side="short""#, 0.5),
            ("desk_leverage_ratio", r#"process="b",side="long""#, 0.75),
            ("desk_orders_open", r#"process="a""#, 3.0),
            ("desk_orders_open", r#"process="b""#, 4.0),
        ]);
        let read = |how, family: &'static str, labels: &[(&'static str, &'static str)]| {
            let own =
                |(key, value): &(&'static str, &'static str)| ((*key).into(), (*value).into());
            let mut read = amounts(how, family);
            read.reading.labels = labels.iter().map(own).collect();
            Read::new(read.reading).at(0, &desks).0
        };
        assert!(read(How::Sum, "desk_leverage_ratio", &[]).is_nan());
        let is = |value: f64, expected: f64| (value - expected).abs() < 1e-12;
        let of_one = [("process", "a")];
        assert!(is(read(How::Sum, "desk_leverage_ratio", &of_one), 0.75));
        assert!(is(read(How::Most, "desk_leverage_ratio", &[]), 0.75));
        assert!(is(read(How::Sum, "desk_orders_open", &[]), 7.0));
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        // histogram_quantile(0.5, …) over le 1: 2, le 2: 6, le +Inf: 8 is 1.5.
        for (level, bounds, counts, expected) in [
            (0.5, [1.0, 2.0], [2, 4, 2], 1.5),
            (0.99, [1.0, 2.0], [2, 4, 2], 2.0),
            (0.5, [-1.0, 2.0], [2, 0, 0], -1.0),
        ] {
            let found = quantile(level, &bounds, &counts);
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        }
        assert!(quantile(0.5, &[1.0, 2.0], &[0, 0, 0]).is_nan());
    }
}
