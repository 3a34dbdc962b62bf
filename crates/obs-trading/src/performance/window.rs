//! Statistics over a window of days.

use jiff::ToSpan;
use jiff::civil::Date;

use super::history::{Falls, Path, Single};
use super::returns::{Returns, Scale};
use super::trades::{DayOfTrades, Trades};
use super::{PeriodsPerYear, TradeResult, Undefined};

/// Some of a ledger's days, for [`Ledger::over`](super::Ledger::over).
///
/// ```
/// use jiff::{Timestamp, civil::date, tz::TimeZone};
/// use obs_trading::{
///     Basis, Calendar, Conventions, Currency, Ledger, Money, PeriodsPerYear, Valuation, Window,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::EVERY_DAY,
///     Calendar::every_day(TimeZone::UTC),
/// )?;
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let mut ledger = Ledger::new(conventions, usd(100.0))?;
/// for (day, equity) in [("2024-01-30", 101.0), ("2024-01-31", 99.0), ("2024-02-01", 102.0), ("2024-02-02", 103.0)] {
///     ledger.mark_equity(format!("{day}T20:00:00Z").parse()?, usd(equity))?;
/// }
/// ledger.advance_to("2024-02-03T00:00:00Z".parse()?);
/// let february = ledger.over(Window::MONTH);
/// assert_eq!(february.returns(), 2);
/// assert!((february.total_return()? - 4.0 / 99.0).abs() < 1e-12);
/// assert_eq!(ledger.over(Window::since(date(2024, 1, 31))).returns(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Span);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Between(Date, Date),
    Last(u32),
    Month,
    Quarter,
    Year,
}

impl Window {
    /// All that is kept.
    pub const ALL: Self = Self(Span::Between(Date::MIN, Date::MAX));
    /// The calendar month under way.
    pub const MONTH: Self = Self(Span::Month);
    /// The calendar quarter under way.
    pub const QUARTER: Self = Self(Span::Quarter);
    /// The calendar year under way: year to date.
    pub const YEAR: Self = Self(Span::Year);

    /// From this day on: statistics begun anew.
    #[must_use]
    pub const fn since(first: Date) -> Self {
        Self(Span::Between(first, Date::MAX))
    }

    /// From this day to that, both included.
    #[must_use]
    pub const fn between(first: Date, last: Date) -> Self {
        Self(Span::Between(first, last))
    }

    /// The days of the last so many returns, such as 63 for a quarter of trading days. Of trades it has those from the first of these
    /// days on.
    #[must_use]
    pub const fn last_returns(count: u32) -> Self {
        Self(Span::Last(count))
    }

    /// First and last day, where today is this; `returns` are the days of all returns, the oldest first.
    pub(crate) fn days(
        self,
        today: Date,
        returns: impl DoubleEndedIterator<Item = Date>,
    ) -> (Date, Date) {
        let first = match self.0 {
            Span::Between(first, last) => return (first, last),
            Span::Last(0) => return (Date::MAX, Date::MIN),
            Span::Last(count) => returns
                .rev()
                .take(usize::try_from(count).unwrap_or(usize::MAX))
                .last()
                .unwrap_or(today),
            Span::Month => today.first_of_month(),
            Span::Quarter => {
                let month = (today.month() - 1) / 3 * 3 + 1;
                today
                    .first_of_month()
                    .saturating_sub((today.month() - month).months())
            }
            Span::Year => today.first_of_year(),
        };
        (first, Date::MAX)
    }

    /// How many returns it takes at most.
    pub(crate) fn most(self) -> usize {
        match self.0 {
            Span::Last(count) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => usize::MAX,
        }
    }
}

/// What a ledger made in a [`Window`]: of returns those whose periods are over, of trades and money also what is of today. All is as the
/// figures of [`Ledger`](super::Ledger) of the same name are, and as exact.
#[derive(Clone, Debug)]
pub struct Statistics {
    singles: Vec<Taken>,
    /// The way since the last of them.
    open: Path,
    gain: f64,
    trades: Trades,
    scale: Scale,
    is_compounding: bool,
    is_kept: bool,
    returns: Returns,
}

/// A return in a window, and what could be had without risk in the time.
#[derive(Clone, Copy, Debug)]
struct Taken {
    single: Single,
    risk_free: f64,
}

/// What a window takes from a ledger.
pub(crate) struct Source<'a> {
    pub(crate) scale: Scale,
    pub(crate) is_compounding: bool,
    pub(crate) is_kept: bool,
    /// What was made since the last of the returns, and the way.
    pub(crate) open: Option<(f64, Path)>,
    pub(crate) days: &'a mut dyn Iterator<Item = &'a DayOfTrades>,
}

impl Statistics {
    pub(crate) fn new(returns: impl Iterator<Item = (Single, f64)>, source: Source<'_>) -> Self {
        let taken = returns.map(|(single, risk_free)| Taken { single, risk_free });
        let mut trades = Trades::default();
        for day in source.days {
            trades.append(day);
        }
        let (gain, open) = source.open.unwrap_or((0.0, Path::STILL));
        Self {
            singles: Vec::new(),
            open,
            gain,
            trades,
            scale: source.scale,
            is_compounding: source.is_compounding,
            is_kept: source.is_kept,
            returns: Returns::default(),
        }
        .with_singles(taken.collect())
    }

    fn with_singles(mut self, singles: Vec<Taken>) -> Self {
        self.returns = Returns::default();
        for taken in &singles {
            self.returns.push(taken.single.change, taken.risk_free);
        }
        self.singles = singles;
        self
    }

    /// The same of the months' returns, twelve in a year: each is what the returns of its days compound to, and so is what could be had
    /// without risk. A month of which the window has a part is one as well, be it the one under way.
    #[must_use]
    pub fn by_month(self) -> Self {
        self.grouped(PeriodsPerYear::MONTHS, Date::first_of_month)
    }

    /// The same of the days' returns, so many in a year, where the ledger's are of hours.
    #[must_use]
    pub fn by_day(self, days_per_year: PeriodsPerYear) -> Self {
        self.grouped(days_per_year, |day| day)
    }

    fn grouped(mut self, periods_per_year: PeriodsPerYear, group: impl Fn(Date) -> Date) -> Self {
        self.scale.periods_per_year = periods_per_year;
        let mut groups: Vec<Taken> = Vec::new();
        for taken in &self.singles {
            match groups.last_mut() {
                Some(last) if group(last.single.day) == group(taken.single.day) => last.join(taken),
                _ => groups.push(*taken),
            }
        }
        self.with_singles(groups)
    }

    /// How many returns it has.
    #[must_use]
    pub const fn returns(&self) -> u64 {
        self.returns.count()
    }

    /// The returns themselves, each with its first day, the oldest first; nothing where equity was zero or below at its start.
    pub fn each_return(&self) -> impl Iterator<Item = (Date, Option<f64>)> {
        let single = |taken: &Taken| (taken.single.day, taken.single.change);
        self.singles.iter().map(single)
    }

    /// See [`Ledger::sharpe_ratio`](super::Ledger::sharpe_ratio).
    pub fn sharpe_ratio(&self) -> Result<f64, Undefined> {
        self.kept()?.returns.sharpe(self.scale)
    }

    /// See [`Ledger::sortino_ratio`](super::Ledger::sortino_ratio).
    pub fn sortino_ratio(&self) -> Result<f64, Undefined> {
        self.kept()?.returns.sortino(self.scale)
    }

    /// See [`Ledger::volatility_ratio`](super::Ledger::volatility_ratio).
    pub fn volatility_ratio(&self) -> Result<f64, Undefined> {
        self.kept()?.returns.volatility(self.scale)
    }

    /// What the returns compound to: `Π (1 + r) − 1`.
    pub fn total_return(&self) -> Result<f64, Undefined> {
        self.compounding()?.returns.total()
    }

    /// See [`Ledger::growth_ratio`](super::Ledger::growth_ratio). Over less than a year it says what a year would be of it.
    pub fn growth_ratio(&self) -> Result<f64, Undefined> {
        self.compounding()?.returns.growth(self.scale)
    }

    /// See [`Ledger::max_drawdown_ratio`](super::Ledger::max_drawdown_ratio): the deepest fall within the window, from a peak that lies in
    /// it; within a day too.
    pub fn max_drawdown_ratio(&self) -> Result<f64, Undefined> {
        self.kept()?;
        let mut falls = Falls::new();
        for taken in &self.singles {
            falls.follow(taken.single.path, taken.single.change);
        }
        falls.follow(self.open, None);
        Ok(falls.worst())
    }

    /// See [`Ledger::calmar_ratio`](super::Ledger::calmar_ratio).
    pub fn calmar_ratio(&self) -> Result<f64, Undefined> {
        calmar(self.growth_ratio(), self.max_drawdown_ratio()?)
    }

    /// How much the equity changed, open positions included and transfers not.
    pub fn equity_change(&self) -> Result<f64, Undefined> {
        self.kept()?;
        let gains = self.singles.iter().map(|taken| taken.single.gain);
        Ok(gains.sum::<f64>() + self.gain)
    }

    /// P/L of the trades.
    pub fn realized_pnl(&self) -> Result<f64, Undefined> {
        Ok(self.kept()?.trades.realized())
    }

    /// How many trades were closed.
    #[must_use]
    pub const fn trades(&self) -> u64 {
        self.trades.count()
    }

    /// How many of them ended like this.
    #[must_use]
    pub const fn trades_of(&self, result: TradeResult) -> u64 {
        self.trades.count_of(result)
    }

    /// See [`Ledger::win_ratio`](super::Ledger::win_ratio).
    pub fn win_ratio(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.win_ratio()
    }

    /// See [`Ledger::profit_factor`](super::Ledger::profit_factor).
    pub fn profit_factor(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.profit_factor()
    }

    /// See [`Ledger::expectancy`](super::Ledger::expectancy).
    pub fn expectancy(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.expectancy()
    }

    /// See [`Ledger::average_win`](super::Ledger::average_win).
    pub fn average_win(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.average_win()
    }

    /// See [`Ledger::average_loss`](super::Ledger::average_loss).
    pub fn average_loss(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.average_loss()
    }

    /// See [`Ledger::best_trade`](super::Ledger::best_trade).
    pub fn best_trade(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.best()
    }

    /// See [`Ledger::worst_trade`](super::Ledger::worst_trade).
    pub fn worst_trade(&self) -> Result<f64, Undefined> {
        self.kept()?.trades.worst()
    }

    fn kept(&self) -> Result<&Self, Undefined> {
        if self.is_kept {
            Ok(self)
        } else {
            Err(Undefined::NotKept)
        }
    }

    fn compounding(&self) -> Result<&Self, Undefined> {
        if self.is_compounding {
            self.kept()
        } else {
            Err(Undefined::NotCompounding)
        }
    }
}

impl Taken {
    /// Both, one after the other.
    fn join(&mut self, next: &Self) {
        let compound = |first: f64, second: f64| second.mul_add(1.0 + first, first);
        let first = self.single.change;
        self.single.path = self.single.path.then(next.single.path, first);
        self.single.change = first
            .zip(next.single.change)
            .map(|(first, second)| compound(first, second));
        self.single.gain += next.single.gain;
        self.risk_free = compound(self.risk_free, next.risk_free);
    }
}

/// Growth for each unit of the deepest drawdown.
pub(crate) fn calmar(growth: Result<f64, Undefined>, drawdown: f64) -> Result<f64, Undefined> {
    let growth = growth?;
    if drawdown < 0.0 {
        Ok(growth / -drawdown)
    } else {
        Err(Undefined::NoDrawdown)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn windows_begin_where_their_names_say() {
        let days = |window: Window| {
            let returns = [date(2024, 5, 13), date(2024, 5, 14), date(2024, 5, 15)];
            window.days(date(2024, 5, 16), returns.into_iter()).0
        };
        assert_eq!(days(Window::MONTH), date(2024, 5, 1));
        assert_eq!(days(Window::QUARTER), date(2024, 4, 1));
        assert_eq!(days(Window::YEAR), date(2024, 1, 1));
        assert_eq!(days(Window::last_returns(2)), date(2024, 5, 14));
        assert_eq!(days(Window::last_returns(9)), date(2024, 5, 13));
        assert_eq!(days(Window::since(date(2024, 5, 15))), date(2024, 5, 15));
    }
}
