//! Figures: what is shown of a group first, as data that a page or a terminal interprets.

use crate::Family;

/// One thing to show first of a [`Group`](crate::Group): whether all is well, at a glance.
///
/// A figure is data. It says which families to read and how; the live page and the terminal view draw it, each in its own way.
/// A figure is shown as soon as its first family has series.
///
/// ```
/// use obs_core::{Alarm, By, Counter, Figure, Gauge, Histogram, Outcome, Reading, Worse, buckets};
///
/// obs_core::families! {
///     group "Quoting" {
///         // Quotes a second, with two smaller figures below.
///         Figure::rate("Quotes", QuoterMetrics::quotes).facts(&[
///             ("open", Reading::sum(QuoterMetrics::open)),
///             ("failed", Reading::sum(QuoterMetrics::quotes).with(&[("outcome", "error")])),
///         ]),
///         // How far the book is filled; from 90 % on it needs somebody to look.
///         Figure::bar("Book", Reading::sum(QuoterMetrics::open), Reading::constant(500.0))
///             .worse(Worse::Up)
///             .alarms(&[Alarm::at_least(Reading::sum(QuoterMetrics::open), 450.0)]),
///         // Median, 95 % and 99 %.
///         Figure::quantiles("Tick to quote", QuoterMetrics::reaction),
///     }
///
///     /// What a quoter does.
///     pub struct QuoterMetrics {
///         /// Quotes sent, by how that ended.
///         pub quotes: By<Outcome, Counter> = "quoter_quotes_total",
///         /// Quotes in the book.
///         pub open: Gauge = "quoter_quotes_open",
///         /// Time from a tick to the quote that answers it.
///         pub reaction: Histogram = "quoter_reaction_duration_seconds" { buckets: buckets::LATENCY },
///     }
/// }
///
/// let group = QuoterMetrics::quotes.group().unwrap();
/// let titles: Vec<_> = group.figures.iter().map(|figure| figure.title).collect();
/// assert_eq!(titles, ["Quotes", "Book", "Tick to quote"]);
/// ```
///
/// A figure that cannot be read does not compile: the rate of a gauge, a label that the family does not have, a ratio over a
/// histogram, a bar whose limit is of another unit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Figure {
    /// Its heading.
    pub title: &'static str,
    /// What is shown.
    pub shows: Shows,
    /// Smaller figures below, each with its name.
    pub facts: &'static [(&'static str, Reading)],
    /// What its chart follows, where that is not what is shown.
    pub trend: Option<Reading>,
    /// Which direction is worse, where one is.
    pub worse: Option<Worse>,
    /// When somebody should look: any of these is enough.
    pub alarms: &'static [Alarm],
    /// Its place among all figures, where that is not its group's.
    pub rank: Option<u16>,
    /// Whether its chart may leave out 0, for what is large and moves little.
    pub is_zoomed: bool,
    /// Whether it stands in the title of the window, to be seen while another one is looked at.
    pub is_headline: bool,
}

/// What a figure shows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shows {
    /// One number.
    Value(Reading),
    /// The first as a share of the second.
    Ratio(Reading, Reading),
    /// The quantiles of a histogram over the last minute, at these levels, all its series together.
    Quantiles(&'static Family, &'static [f64]),
    /// The first on its way to the second.
    Bar(Reading, Reading),
    /// A row for each value of a label.
    Table {
        /// The label that joins the families.
        by: &'static str,
        /// A heading and what is read, restricted to the row's value.
        columns: &'static [(&'static str, Reading)],
    },
    /// The latest increases of a counter, by a label of a closed set.
    Log {
        /// What is counted.
        of: &'static Family,
        /// The label whose value is shown with each.
        label: &'static str,
    },
    /// The first on one wide chart with another below it, and marks where counters rose.
    Curve {
        /// What the wide chart draws.
        value: Reading,
        /// What is drawn below it, over the same time.
        below: Reading,
        /// Counters whose increases are marked, each with its name.
        marks: &'static [(&'static str, &'static Family)],
    },
    /// A bar for each value of a label, on its way to a limit of its own.
    Bars {
        /// The label that joins value and limit.
        by: &'static str,
        /// How much it is.
        value: Reading,
        /// How much it may be.
        limit: Reading,
    },
    /// Steps that follow one another, each with its quantiles over the last minute.
    Steps(&'static [(&'static str, &'static Family)]),
    /// The latest increases of several counters, as events with their times.
    Events(&'static [(&'static str, &'static Family, &'static str)]),
    /// What a number is made of: the parts by a label, and what they add up to.
    Parts {
        /// The number.
        value: Reading,
        /// The label that tells its parts apart.
        by: &'static str,
    },
}

/// One number, read from families.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reading {
    /// What is done with the series.
    pub how: How,
    /// The family that is read; none for a constant.
    pub family: Option<&'static Family>,
    /// Families that are added to it.
    pub plus: &'static [&'static Family],
    /// The labels that a series must have, with their values.
    pub with: &'static [(&'static str, &'static str)],
    /// Whether a plus sign is written before what is above 0: for gains and changes.
    pub is_signed: bool,
}

/// How a number is read from series.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum How {
    /// Their sum: of gauges as they are, of counters since the process started.
    Sum,
    /// The least of them.
    Least,
    /// The greatest of them.
    Most,
    /// The increase a second of counters, over the last seconds.
    Rate,
    /// How many series there are.
    Series,
    /// A quantile of histograms, over the last minute.
    Quantile(f64),
    /// Not a number but a word: the value of this label in the series that is least.
    WhereLeast(&'static str),
    /// The same in the series that is greatest.
    WhereMost(&'static str),
    /// This number.
    Constant(f64),
}

/// Which direction of a figure is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// More is worse: errors, time, what fills up.
    Up,
    /// Less is worse: profit, headroom, what is available.
    Down,
}

/// A condition under which somebody should look.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Alarm {
    /// What is compared.
    pub reading: Reading,
    /// With what.
    pub is: Beyond,
}

/// The side of a bound on which an alarm is raised.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Beyond {
    /// Greater than.
    Above(f64),
    /// Greater than or equal to.
    AtLeast(f64),
    /// Less than.
    Below(f64),
    /// Less than or equal to.
    AtMost(f64),
}

/// The quantiles of a figure that names none.
const QUANTILES: &[f64] = &[0.5, 0.95, 0.99];

impl Figure {
    const fn new(title: &'static str, shows: Shows) -> Self {
        Self {
            title,
            shows,
            facts: &[],
            trend: None,
            worse: None,
            alarms: &[],
            rank: None,
            is_zoomed: false,
            is_headline: false,
        }
    }

    /// One number.
    #[must_use]
    pub const fn value(title: &'static str, reading: Reading) -> Self {
        Self::new(title, Shows::Value(reading))
    }

    /// The rate of a counter, all its series together.
    #[must_use]
    pub const fn rate(title: &'static str, counter: &'static Family) -> Self {
        Self::value(title, Reading::rate(counter))
    }

    /// The first as a share of the second, in percent; undefined while the second is 0.
    #[must_use]
    pub const fn ratio(title: &'static str, part: Reading, whole: Reading) -> Self {
        Self::new(title, Shows::Ratio(part, whole))
    }

    /// The median, 95 % and 99 % of a histogram, all its series together; see [`levels`](Self::levels).
    #[must_use]
    pub const fn quantiles(title: &'static str, histogram: &'static Family) -> Self {
        Self::new(title, Shows::Quantiles(histogram, QUANTILES))
    }

    /// How far a number is on its way to a limit of the same unit, such as open files to the most there may be, or providers
    /// that are up to all there are.
    #[must_use]
    pub const fn bar(title: &'static str, value: Reading, limit: Reading) -> Self {
        Self::new(title, Shows::Bar(value, limit))
    }

    /// A row for each value of the label `by`, a column for each reading; every family that is read has that label.
    #[must_use]
    pub const fn table(
        title: &'static str,
        by: &'static str,
        columns: &'static [(&'static str, Reading)],
    ) -> Self {
        Self::new(title, Shows::Table { by, columns })
    }

    /// The latest increases of a counter, each with the value of a label of a closed set: a log of what is too rare to have a
    /// rate.
    #[must_use]
    pub const fn log(title: &'static str, counter: &'static Family, label: &'static str) -> Self {
        Self::new(title, Shows::Log { of: counter, label })
    }

    /// One wide chart with another below it, over the same time: equity and its drawdown. Increases of counters are marked on it.
    ///
    /// ```
    /// use obs_core::{Counter, Figure, Gauge, Reading, Unit};
    ///
    /// obs_core::families! {
    ///     group "Account" {
    ///         Figure::curve("Equity", Reading::sum(Account::equity), Reading::least(Account::drawdown))
    ///             .marks(&[("filled", Account::fills)]),
    ///     }
    ///     /// One account.
    ///     pub struct Account {
    ///         /// What it is worth.
    ///         pub equity: Gauge = "account_equity" { unit: Unit::Currency },
    ///         /// How far that is below its highest.
    ///         pub drawdown: Gauge = "account_drawdown_ratio",
    ///         /// Executions.
    ///         pub fills: Counter = "account_fills_total",
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn curve(title: &'static str, value: Reading, below: Reading) -> Self {
        let marks = &[];
        Self::new(
            title,
            Shows::Curve {
                value,
                below,
                marks,
            },
        )
    }

    /// Counters whose increases are marked on a [`curve`](Self::curve), each with its name; of no effect on other figures.
    #[must_use]
    pub const fn marks(mut self, of: &'static [(&'static str, &'static Family)]) -> Self {
        if let Shows::Curve { value, below, .. } = self.shows {
            self.shows = Shows::Curve {
                value,
                below,
                marks: of,
            };
        }
        self
    }

    /// A bar for each value of the label `by`: how far it is on its way to a limit that has the same label, such as each risk limit.
    /// What belongs to no limit has no bar.
    #[must_use]
    pub const fn bars(
        title: &'static str,
        by: &'static str,
        value: Reading,
        limit: Reading,
    ) -> Self {
        Self::new(title, Shows::Bars { by, value, limit })
    }

    /// Steps that follow one another, such as tick to order and order to fill: the median and 99 % of each histogram.
    #[must_use]
    pub const fn steps(
        title: &'static str,
        histograms: &'static [(&'static str, &'static Family)],
    ) -> Self {
        Self::new(title, Shows::Steps(histograms))
    }

    /// The latest increases of several counters, as events: a name, the counter, and a label of a closed set whose value says what
    /// happened. Increases of one kind within a few seconds are one event with a number. That a process began anew is no event.
    #[must_use]
    pub const fn events(
        title: &'static str,
        counters: &'static [(&'static str, &'static Family, &'static str)],
    ) -> Self {
        Self::new(title, Shows::Events(counters))
    }

    /// What a sum is made of, a part for each value of the label `by`: what made a profit and loss.
    #[must_use]
    pub const fn parts(title: &'static str, value: Reading, by: &'static str) -> Self {
        Self::new(title, Shows::Parts { value, by })
    }

    /// Puts it into the title of the window, to be seen while another window is looked at; only the first figure of a program that
    /// asks for it, and only a [`value`](Self::value).
    #[must_use]
    pub const fn headline(mut self) -> Self {
        self.is_headline = true;
        self
    }

    /// Other quantiles than the usual three, rising.
    #[must_use]
    pub const fn levels(mut self, levels: &'static [f64]) -> Self {
        if let Shows::Quantiles(family, _) = self.shows {
            self.shows = Shows::Quantiles(family, levels);
        }
        self
    }

    /// Smaller figures below, each with its name.
    #[must_use]
    pub const fn facts(mut self, facts: &'static [(&'static str, Reading)]) -> Self {
        self.facts = facts;
        self
    }

    /// Has the chart follow something else than what is shown.
    #[must_use]
    pub const fn trend(mut self, reading: Reading) -> Self {
        self.trend = Some(reading);
        self
    }

    /// Says which direction is worse.
    #[must_use]
    pub const fn worse(mut self, direction: Worse) -> Self {
        self.worse = Some(direction);
        self
    }

    /// Says when somebody should look: any of these is enough.
    #[must_use]
    pub const fn alarms(mut self, alarms: &'static [Alarm]) -> Self {
        self.alarms = alarms;
        self
    }

    /// Gives it a place apart from its group's: figures are shown by rank, and only the first 24 of a program. What has the
    /// same rank keeps the order of declaration.
    #[must_use]
    pub const fn rank(mut self, rank: u16) -> Self {
        self.rank = Some(rank);
        self
    }

    /// Lets the chart leave out 0, for what is large and moves little, such as the value of a portfolio.
    #[must_use]
    pub const fn zoomed(mut self) -> Self {
        self.is_zoomed = true;
        self
    }
}

impl Reading {
    const fn new(how: How, family: Option<&'static Family>) -> Self {
        Self {
            how,
            family,
            plus: &[],
            with: &[],
            is_signed: false,
        }
    }

    /// The sum over the series of a gauge or counter; a counter's since the process started.
    #[must_use]
    pub const fn sum(family: &'static Family) -> Self {
        Self::new(How::Sum, Some(family))
    }

    /// The least of the series of a gauge or counter.
    #[must_use]
    pub const fn least(family: &'static Family) -> Self {
        Self::new(How::Least, Some(family))
    }

    /// The greatest of the series of a gauge or counter.
    #[must_use]
    pub const fn most(family: &'static Family) -> Self {
        Self::new(How::Most, Some(family))
    }

    /// The rate a second of a counter; one of seconds has a share for a rate.
    #[must_use]
    pub const fn rate(counter: &'static Family) -> Self {
        Self::new(How::Rate, Some(counter))
    }

    /// How many series a family has.
    #[must_use]
    pub const fn series(family: &'static Family) -> Self {
        Self::new(How::Series, Some(family))
    }

    /// A quantile of a histogram, `0..=1`.
    #[must_use]
    pub const fn quantile(histogram: &'static Family, level: f64) -> Self {
        Self::new(How::Quantile(level), Some(histogram))
    }

    /// The value that a label has in the series that is least: which limit is tightest, which disk is fullest. As a fact only.
    #[must_use]
    pub const fn where_least(family: &'static Family, label: &'static str) -> Self {
        Self::new(How::WhereLeast(label), Some(family))
    }

    /// The value that a label has in the series that is greatest. As a fact only.
    #[must_use]
    pub const fn where_most(family: &'static Family, label: &'static str) -> Self {
        Self::new(How::WhereMost(label), Some(family))
    }

    /// A number that does not change, as the limit of a bar: finite and above 0.
    #[must_use]
    pub const fn constant(number: f64) -> Self {
        Self::new(How::Constant(number), None)
    }

    /// Only the series that have these labels: `&[("period", "day")]`.
    #[must_use]
    pub const fn with(mut self, labels: &'static [(&'static str, &'static str)]) -> Self {
        self.with = labels;
        self
    }

    /// Adds up more families of the same kind and unit; those that do not exist are left out.
    #[must_use]
    pub const fn plus(mut self, families: &'static [&'static Family]) -> Self {
        self.plus = families;
        self
    }

    /// Writes a plus sign before what is above 0: for gains and changes.
    #[must_use]
    pub const fn signed(mut self) -> Self {
        self.is_signed = true;
        self
    }

    /// Every family it reads.
    pub fn families(&self) -> impl Iterator<Item = &'static Family> {
        self.family.into_iter().chain(self.plus.iter().copied())
    }
}

impl Worse {
    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl Alarm {
    /// Raised while the reading is greater than this.
    #[must_use]
    pub const fn above(reading: Reading, bound: f64) -> Self {
        Self {
            reading,
            is: Beyond::Above(bound),
        }
    }

    /// Raised while the reading is greater than or equal to this.
    #[must_use]
    pub const fn at_least(reading: Reading, bound: f64) -> Self {
        Self {
            reading,
            is: Beyond::AtLeast(bound),
        }
    }

    /// Raised while the reading is less than this.
    #[must_use]
    pub const fn below(reading: Reading, bound: f64) -> Self {
        Self {
            reading,
            is: Beyond::Below(bound),
        }
    }

    /// Raised while the reading is less than or equal to this.
    #[must_use]
    pub const fn at_most(reading: Reading, bound: f64) -> Self {
        Self {
            reading,
            is: Beyond::AtMost(bound),
        }
    }
}
