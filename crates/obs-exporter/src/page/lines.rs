//! The lines of figures, read from the recorder's values as the page reads them from text.

use std::collections::{BTreeSet, VecDeque};

use obs_core::{Figure, How, Reading, Shows, Unit};
use obs_recorder::SeriesValue;

/// Over how many seconds a rate is taken, and a quantile: the page's own windows.
const RATE_SECONDS: u64 = 15;
const QUANTILE_SECONDS: u64 = 60;

/// How far apart what is kept of a histogram is, in seconds.
const QUANTILE_STEP: u64 = 5;

/// A family of more series than this is read every half minute only: reading it costs what it has.
const MANY: usize = 500;
const SELDOM: u64 = 30;

/// Where the values of series are.
pub(crate) trait Source {
    /// Each series of a family: its labels as a scrape shows them, without braces and global ones, and its value.
    fn each(&self, family: &str, read: &mut dyn FnMut(&str, &SeriesValue));
}

/// One line of a figure.
pub(crate) struct Line {
    pub(super) figure: &'static str,
    /// The family without which the figure is not shown.
    pub(super) needs: &'static str,
    /// Which of the figure's lines it is.
    pub(super) number: usize,
    drawn: Drawn,
    has_many: bool,
}

/// What a line draws.
enum Drawn {
    Value(Read),
    Ratio(Read, Read),
}

/// A reading, with what has to be known of the past for it.
struct Read {
    reading: Reading,
    labels: Vec<String>,
    /// Of what the line is that is drawn, once there was an amount.
    currency: Option<String>,
    totals: VecDeque<(u64, f64)>,
    buckets: VecDeque<(u64, Vec<u64>)>,
}

/// The lines of these figures, in their order.
pub(crate) fn of<'a>(figures: impl IntoIterator<Item = &'a Figure>) -> Vec<Line> {
    figures.into_iter().flat_map(lines_of).collect()
}

fn lines_of(figure: &Figure) -> Vec<Line> {
    let drawn = match figure.shows {
        Shows::Value(value) | Shows::Bar(value, _) => {
            vec![Drawn::Value(Read::new(figure.trend.unwrap_or(value)))]
        }
        Shows::Ratio(part, whole) => vec![match figure.trend {
            Some(trend) => Drawn::Value(Read::new(trend)),
            None => Drawn::Ratio(Read::new(part), Read::new(whole)),
        }],
        Shows::Curve { value, below, .. } => [value, below]
            .map(|value| Drawn::Value(Read::new(value)))
            .into(),
        Shows::Quantiles(family, levels) => levels
            .iter()
            .map(|level| Drawn::Value(Read::new(Reading::quantile(family, *level))))
            .collect(),
        // Tables and logs have no line.
        _ => Vec::new(),
    };
    let Some(needs) = needed_by(figure) else {
        return Vec::new();
    };
    let lines = drawn.into_iter().enumerate();
    lines
        .map(|(number, drawn)| Line {
            figure: figure.title,
            needs,
            number,
            drawn,
            has_many: false,
        })
        .collect()
}

fn needed_by(figure: &Figure) -> Option<&'static str> {
    match figure.shows {
        Shows::Value(value)
        | Shows::Bar(value, _)
        | Shows::Ratio(value, _)
        | Shows::Curve { value, .. } => value.family.map(obs_core::Family::name),
        Shows::Quantiles(family, _) => Some(family.name()),
        _ => None,
    }
}

impl Line {
    /// Whether this is the same line of the same figure.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.figure, self.needs, self.number) == (other.figure, other.needs, other.number)
    }

    /// What it shows at this second; NaN where that is not known.
    pub(super) fn read(&mut self, second: u64, source: &dyn Source) -> f64 {
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
    bounds: &'static [f64],
    /// The currencies in which there is something.
    currencies: BTreeSet<String>,
}

impl Read {
    fn new(reading: Reading) -> Self {
        let labels = reading.with.iter();
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
        if found.series == 0 || self.is_mixed(&found) {
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
        let unit = self.reading.family.map(obs_core::Family::measured_in);
        let is_money = matches!(unit, Some(Unit::Currency | Unit::Number));
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
        for family in self.reading.families() {
            source.each(family.name(), &mut |labels, value| {
                if self.labels.iter().all(|label| has(labels, label)) {
                    found.add(labels, value);
                }
            });
            if found.bounds.is_empty() {
                found.bounds = family.bucket_bounds();
            }
        }
        found
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
        let value = kept.front().map_or(f64::NAN, |(_, before)| {
            let counts = found.buckets.iter().enumerate();
            let counts = counts.map(|(index, count)| {
                count.saturating_sub(before.get(index).copied().unwrap_or_default())
            });
            quantile(level, found.bounds, &counts.collect::<Vec<_>>())
        });
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
    fn add(&mut self, labels: &str, value: &SeriesValue) {
        self.series += 1;
        if says(value)
            && let Some(currency) = value_of(labels, "currency")
            && !self.currencies.contains(currency)
        {
            self.currencies.insert(currency.to_owned());
        }
        let number = match value {
            #[expect(
                clippy::cast_precision_loss,
                reason = "the text of a scrape is read as the same float"
            )]
            SeriesValue::Counter { number, decimals } => {
                *number as f64 / 10_f64.powi(i32::from(*decimals))
            }
            SeriesValue::Gauge(value) => *value,
            SeriesValue::Histogram { buckets, .. } => {
                self.buckets
                    .resize(buckets.len().max(self.buckets.len()), 0);
                for (sum, count) in self.buckets.iter_mut().zip(buckets) {
                    *sum += count;
                }
                return;
            }
            _ => return,
        };
        self.sum += number;
        self.least = self.least.min(number);
        self.most = self.most.max(number);
    }
}

/// Whether there is something. Nothing of another currency adds nothing.
fn says(value: &SeriesValue) -> bool {
    match value {
        SeriesValue::Counter { number, .. } => *number != 0,
        // What is undefined may be anything.
        SeriesValue::Gauge(value) => *value != 0.0,
        SeriesValue::Histogram { buckets, .. } => buckets.iter().any(|count| *count != 0),
        _ => false,
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
    pub(super) fn size(&self) -> usize {
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

    obs_core::families! {
        /// What a book holds.
        struct Book {
            /// Its worth.
            worth: obs_core::Gauge = "book_worth" { unit: Unit::Currency },
            /// What it paid.
            paid: obs_core::Counter = "book_paid_total" { unit: Unit::Currency },
        }
    }

    /// Series with their labels, in one family or another.
    struct Amounts(Vec<(&'static str, &'static str, SeriesValue)>);

    impl Source for Amounts {
        fn each(&self, family: &str, read: &mut dyn FnMut(&str, &SeriesValue)) {
            for (name, labels, value) in &self.0 {
                if *name == family {
                    read(labels, value);
                }
            }
        }
    }

    fn worth(dollars: f64, euros: f64) -> Amounts {
        Amounts(vec![
            ("book_worth", r#"currency="EUR""#, SeriesValue::Gauge(euros)),
            (
                "book_worth",
                r#"currency="USD""#,
                SeriesValue::Gauge(dollars),
            ),
        ])
    }

    #[test]
    fn amounts_of_several_currencies_are_no_line() {
        let mut read = Read::new(Reading::sum(Book::worth));
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
            let counter = |number| SeriesValue::Counter {
                number,
                decimals: 0,
            };
            Amounts(vec![
                ("book_paid_total", r#"currency="USD""#, counter(dollars)),
                ("book_paid_total", r#"currency="JPY""#, counter(yen)),
            ])
        };
        let mut rate = Read::new(Reading::rate(Book::paid));
        assert!(rate.at(1, &paid(1, 0)).0.is_nan());
        assert!((rate.at(2, &paid(3, 0)).0 - 2.0).abs() < 1e-9);
        assert!(rate.at(3, &paid(3, 200)).0.is_nan());
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
