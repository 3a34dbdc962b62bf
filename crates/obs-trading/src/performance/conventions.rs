//! The conventions behind the statistics, as types: none of them is guessed.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;

use obs_calendar::Calendar;

use crate::Error;

/// How the statistics of a ledger are computed. What has no right default is stated in [`new`](Self::new).
///
/// ```
/// use obs_trading::{Basis, Calendar, Conventions, PeriodsPerYear, RiskFree, Valuation};
///
/// let equities = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::TRADING_DAYS,
///     Calendar::nyse(),
/// )?
/// .with_risk_free(RiskFree::per_year(0.04)?);
/// assert_eq!(equities.to_string(), "period_returns, 252 periods per year, risk-free 0.04 per year, NYSE America/New_York");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// They are exported as the labels of `portfolio_statistics_info`, so that a reader of a Sharpe ratio on a dashboard can
/// see beside it what it means.
#[derive(Clone, Debug)]
pub struct Conventions {
    basis: Basis,
    valuation: Valuation,
    periods_per_year: PeriodsPerYear,
    calendar: Calendar,
    risk_free: RiskFree,
    deviation: Deviation,
    scratch: f64,
}

/// Of what the returns are that Sharpe and Sortino ratios are computed from. The two are never mixed: a ratio of returns
/// per trade, annualised as if they were days, is off by the square root of trades per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// One return for each day of the calendar, traded or not: equity at its end / equity at the end of the day before − 1.
    PeriodReturns,
    /// One return for each hour of the days that the calendar counts, traded or not: equity at its end / equity at the end of the
    /// hour before − 1. Hours are those of UTC; one belongs to the day in which it begins.
    HourlyReturns,
    /// One return for each closed trade: its P/L / (starting equity + transfers + P/L realised before it). State how many
    /// trades make a year.
    PerTrade,
    /// One return for each closed trade: its P/L / the money it moved ([`ClosedTrade::with_notional`](super::ClosedTrade::with_notional)),
    /// which says how good the trades are, whatever the account is worth. Such returns do not compound: there is no growth. State how
    /// many trades make a year.
    PerNotional,
}

/// What the equity between the transfers follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valuation {
    /// The marks: equity is what the last mark said. Closed trades do not move it, for a mark before them held their open
    /// P/L already. Mark at least once each day, after the close.
    Marks,
    /// The closed trades: equity is starting equity + transfers + realised P/L. Open positions count for nothing.
    ClosedTrades,
}

/// How many periods make a year, and so what a ratio is multiplied by to be annual: its square root.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodsPerYear(f64);

impl PeriodsPerYear {
    /// 252: the days on which US exchanges trade.
    pub const TRADING_DAYS: Self = Self(252.0);
    /// 365: every day, for markets that never close.
    pub const EVERY_DAY: Self = Self(365.0);
    /// 8,760: every hour, for markets that never close.
    pub const EVERY_HOUR: Self = Self(8_760.0);
    /// 12: months.
    pub const MONTHS: Self = Self(12.0);

    /// As many as the calendar's years have trading days in the mean.
    #[must_use]
    pub fn of(calendar: &Calendar) -> Self {
        Self(calendar.trading_days_per_year())
    }

    /// A number of your own: of the days another exchange trades, or of the trades in a year. Must be finite and above 0.
    pub fn new(periods: f64) -> Result<Self, Error> {
        if periods > 0.0 && periods.is_finite() {
            Ok(Self(periods))
        } else {
            Err(Error::invalid_convention(
                "periods per year",
                periods,
                "a finite number above 0",
            ))
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// The return that can be had without risk, which Sharpe takes off each return and Sortino takes as the least acceptable
/// one.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskFree(Rate);

#[derive(Clone, Debug, PartialEq)]
enum Rate {
    PerYear(f64),
    PerPeriod(f64),
    /// Yearly rates and the day from which each holds, in order.
    Series(Arc<[(Date, f64)]>),
}

impl RiskFree {
    /// None: returns are taken as they are.
    pub const NONE: Self = Self(Rate::PerYear(0.0));

    /// A yearly rate, 0.04 for 4 %, as quantstats takes it. A period gets its compounding part, `(1 + rate)^(1/periods) − 1`.
    /// Must be finite and above −1.
    pub fn per_year(rate: f64) -> Result<Self, Error> {
        Ok(Self(Rate::PerYear(checked(rate)?)))
    }

    /// A rate per period, as empyrical takes it. Must be finite and above −1.
    pub fn per_period(rate: f64) -> Result<Self, Error> {
        Ok(Self(Rate::PerPeriod(checked(rate)?)))
    }

    /// Yearly rates by date, such as those of treasury bills: each holds from its day on, until the next. Before the first, the first
    /// holds. In any order; of two for one day, the later counts. Must be finite and above −1; none at all is [`NONE`](Self::NONE).
    ///
    /// ```
    /// use jiff::civil::date;
    /// use obs_trading::RiskFree;
    ///
    /// let bills = RiskFree::series([(date(2024, 1, 1), 0.0525), (date(2024, 9, 19), 0.0475)])?;
    /// assert_eq!(bills.to_string(), "series to 0.0475 per year");
    /// # Ok::<(), obs_trading::Error>(())
    /// ```
    pub fn series(rates: impl IntoIterator<Item = (Date, f64)>) -> Result<Self, Error> {
        let mut by_day = std::collections::BTreeMap::new();
        for (from, rate) in rates {
            by_day.insert(from, checked(rate)?);
        }
        if by_day.is_empty() {
            return Ok(Self::NONE);
        }
        Ok(Self(Rate::Series(by_day.into_iter().collect())))
    }

    /// The rate of one period and the day from which it holds.
    fn by_period(&self, periods: PeriodsPerYear) -> Vec<(Date, f64)> {
        let one = |rate: f64| (rate.ln_1p() / periods.0).exp_m1();
        match &self.0 {
            Rate::PerYear(rate) => vec![(Date::MIN, one(*rate))],
            Rate::PerPeriod(rate) => vec![(Date::MIN, *rate)],
            Rate::Series(rates) => rates
                .iter()
                .map(|(from, rate)| (*from, one(*rate)))
                .collect(),
        }
    }
}

fn checked(rate: f64) -> Result<f64, Error> {
    if rate > -1.0 && rate.is_finite() {
        Ok(rate)
    } else {
        Err(Error::invalid_convention(
            "risk-free rate",
            rate,
            "a finite number above -1",
        ))
    }
}

/// As `portfolio_statistics_info` shows it.
impl fmt::Display for RiskFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rate::PerYear(rate) => write!(f, "{rate} per year"),
            Rate::PerPeriod(rate) => write!(f, "{rate} per period"),
            Rate::Series(rates) => {
                let last = rates.last().map_or(0.0, |(_, rate)| *rate);
                write!(f, "series to {last} per year")
            }
        }
    }
}

/// The risk-free return of each period, ready to be looked up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RiskFreeReturns(Vec<(Date, f64)>);

impl RiskFreeReturns {
    pub(crate) fn on(&self, day: Date) -> f64 {
        let later = match self.0.as_slice() {
            [(_, only)] => return *only,
            rates => rates.partition_point(|(from, _)| *from <= day),
        };
        self.0
            .get(later.saturating_sub(1))
            .map_or(0.0, |(_, rate)| *rate)
    }
}

/// By what the squared deviations are divided in a Sharpe ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deviation {
    /// `n − 1` (ddof 1): the returns are a sample. What empyrical and quantstats use, and the default.
    #[default]
    Sample,
    /// `n` (ddof 0): the returns are all there are.
    Population,
}

/// How far periods per year may be from the calendar's: years differ by a day or two.
const CONTRADICTION: f64 = 0.02;

impl Deviation {
    pub(crate) const fn ddof(self) -> u64 {
        match self {
            Self::Sample => 1,
            Self::Population => 0,
        }
    }
}

impl Conventions {
    /// Conventions without a risk-free return, and the deviation of a sample.
    ///
    /// Fails where returns are of periods and the calendar's year has [another number](Calendar::trading_days_per_year) of them, by
    /// more than 2 %: 252 periods contradict a calendar of all 261 weekdays, and every ratio would be wrong by the square root of the
    /// two. [`PeriodsPerYear::of`] takes the calendar's own number.
    pub fn new(
        basis: Basis,
        valuation: Valuation,
        periods_per_year: PeriodsPerYear,
        calendar: Calendar,
    ) -> Result<Self, Error> {
        let days = calendar.trading_days_per_year();
        let differ = (periods_per_year.0 - days).abs() > CONTRADICTION * days;
        if basis == Basis::PeriodReturns && differ {
            return Err(Error::Contradiction {
                periods: periods_per_year.0,
                calendar: calendar.to_string(),
                days: days.round(),
            });
        }
        Ok(Self {
            basis,
            valuation,
            periods_per_year,
            calendar,
            risk_free: RiskFree::NONE,
            deviation: Deviation::Sample,
            scratch: SCRATCH,
        })
    }

    /// The same, but annualised by a number of periods that the calendar's year does not have: what another program gives that takes 252
    /// for every series. For comparison with it, and for nothing else.
    #[must_use]
    pub fn annualized_by(mut self, periods: PeriodsPerYear) -> Self {
        self.periods_per_year = periods;
        self
    }

    /// The same with this risk-free return.
    #[must_use]
    pub fn with_risk_free(mut self, risk_free: RiskFree) -> Self {
        self.risk_free = risk_free;
        self
    }

    /// The same with this deviation.
    #[must_use]
    pub fn with_deviation(mut self, deviation: Deviation) -> Self {
        self.deviation = deviation;
        self
    }

    /// The same, where a trade that made or lost less than this many units of the currency broke even: it is neither win nor loss. What
    /// is left when floats are subtracted is no profit. The default is 10⁻⁸, a satoshi; half a cent suits an account in dollars.
    ///
    /// Must be finite and not negative; 0 takes every trade by its sign. It holds for the trades from then on.
    pub fn with_scratch(mut self, amount: f64) -> Result<Self, Error> {
        if !(amount >= 0.0 && amount.is_finite()) {
            return Err(Error::invalid_convention(
                "the P/L of a trade that broke even",
                amount,
                "a finite number that is not negative",
            ));
        }
        self.scratch = amount;
        Ok(self)
    }

    /// Of what the returns are.
    #[must_use]
    pub const fn basis(&self) -> Basis {
        self.basis
    }

    /// What the equity follows.
    #[must_use]
    pub const fn valuation(&self) -> Valuation {
        self.valuation
    }

    /// How many periods make a year.
    #[must_use]
    pub const fn periods_per_year(&self) -> PeriodsPerYear {
        self.periods_per_year
    }

    /// Which days count, and where they begin.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The return without risk.
    #[must_use]
    pub const fn risk_free(&self) -> &RiskFree {
        &self.risk_free
    }

    /// Below how much a trade broke even, in units of the currency.
    #[must_use]
    pub const fn scratch(&self) -> f64 {
        self.scratch
    }

    /// By what squared deviations are divided.
    #[must_use]
    pub const fn deviation(&self) -> Deviation {
        self.deviation
    }

    pub(crate) fn risk_free_returns(&self) -> RiskFreeReturns {
        RiskFreeReturns(self.risk_free.by_period(self.periods_per_year))
    }

    /// Whether a ledger that was saved under these words may go on under these conventions. Holidays may be added: what was saved as
    /// weekdays goes on as the exchange of the same time zone.
    pub(crate) fn continue_from(&self, saved: &str) -> bool {
        let saved = fixed_part(saved);
        let mut calendars = self
            .calendar
            .plain_week()
            .into_iter()
            .chain([self.calendar.clone()]);
        saved.is_some() && calendars.any(|calendar| saved == fixed_part(&self.words(&calendar)))
    }

    fn words(&self, calendar: &Calendar) -> String {
        format!(
            "{}, {} periods per year, risk-free {}, {calendar}",
            self.basis_label(),
            self.periods_per_year.0,
            self.risk_free,
        )
    }

    /// The basis as a label: its word, and what differs from the usual.
    pub(crate) fn basis_label(&self) -> String {
        let mut label = String::from(match self.basis {
            Basis::PeriodReturns => "period_returns",
            Basis::HourlyReturns => "hourly_returns",
            Basis::PerTrade => "per_trade",
            Basis::PerNotional => "per_notional",
        });
        if self.valuation == Valuation::ClosedTrades {
            label.push_str(" of closed trades");
        }
        if self.deviation == Deviation::Population {
            label.push_str(DDOF_0);
        }
        label
    }
}

/// What a kept ledger was computed by and cannot change, of conventions in words: basis, valuation and calendar. The others only say
/// how statistics are made of what is kept. Nothing where the words are none.
fn fixed_part(words: &str) -> Option<String> {
    let (head, rest) = words.split_once(" periods per year, risk-free ")?;
    let basis = head.rsplit_once(", ")?.0;
    let basis = basis.strip_suffix(DDOF_0).unwrap_or(basis);
    let calendar = rest
        .split_once(" per year, ")
        .or_else(|| rest.split_once(" per period, "))?
        .1;
    Some(format!("{basis}, {calendar}"))
}

const DDOF_0: &str = ", ddof 0";

/// A satoshi: less than this, in units of the currency, is what is left of floats.
const SCRATCH: f64 = 1e-8;

/// All of them in words, for those who compare two ledgers. The list of holidays is left out, so that it may grow, and so is what counts
/// as break-even.
impl fmt::Display for Conventions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(&self.calendar))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_yearly_rate_compounds_over_the_periods_of_a_year() {
        let one = |rate: RiskFree, periods| rate.by_period(periods)[0].1;
        let day = one(
            RiskFree::per_year(0.05).unwrap(),
            PeriodsPerYear::TRADING_DAYS,
        );
        assert!(((1.0 + day).powi(252) - 1.05).abs() < 1e-12);
        assert_eq!(
            one(
                RiskFree::per_period(0.001).unwrap(),
                PeriodsPerYear::EVERY_DAY
            )
            .to_bits(),
            0.001_f64.to_bits()
        );
    }

    #[test]
    fn a_rate_of_a_series_holds_until_the_next() {
        use jiff::civil::date;
        let series = RiskFree::series([
            (date(2024, 9, 19), 0.04),
            (date(2024, 1, 1), 0.02),
            (date(2024, 9, 19), 0.05),
        ]);
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            PeriodsPerYear::EVERY_DAY,
            Calendar::every_day(TimeZone::UTC),
        )
        .unwrap()
        .annualized_by(PeriodsPerYear::new(1.0).unwrap())
        .with_risk_free(series.unwrap());
        let returns = conventions.risk_free_returns();
        for (day, rate) in [
            (date(1999, 1, 1), 0.02),
            (date(2024, 9, 18), 0.02),
            (date(2024, 9, 19), 0.05),
            (date(2030, 1, 1), 0.05),
        ] {
            assert!((returns.on(day) - rate).abs() < 1e-15, "{day}");
        }
        assert_eq!(RiskFree::series([]).unwrap(), RiskFree::NONE);
        assert_eq!(
            fixed_part(&conventions.to_string()).unwrap(),
            "period_returns, every day UTC"
        );
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for periods in [0.0, -252.0, f64::NAN, f64::INFINITY] {
            assert!(PeriodsPerYear::new(periods).is_err());
        }
        for rate in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(RiskFree::per_year(rate).is_err());
            assert!(RiskFree::per_period(rate).is_err());
        }
        assert_eq!(
            PeriodsPerYear::new(0.0).unwrap_err().to_string(),
            "periods per year cannot be 0; state a finite number above 0"
        );
    }

    /// The right annual factor of 500 daily returns of a year of 261 days is 1.8 % above that of 252.
    #[test]
    fn periods_that_contradict_the_calendar_are_refused() {
        let conventions = |basis, periods, calendar| {
            let periods = PeriodsPerYear::new(periods).unwrap();
            Conventions::new(basis, Valuation::Marks, periods, calendar)
        };
        let weekdays = || Calendar::weekdays(TimeZone::UTC);
        let refused = conventions(Basis::PeriodReturns, 252.0, weekdays()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "252 periods per year contradict the calendar weekdays UTC, whose year has 261 trading days; state the calendar of your \
             exchange, such as Calendar::nyse(), or PeriodsPerYear::of(&calendar)"
        );
        for (periods, calendar) in [
            (252.0, Calendar::always_open()),
            (365.0, Calendar::nyse()),
            (12.0, Calendar::nyse()),
        ] {
            assert!(conventions(Basis::PeriodReturns, periods, calendar).is_err());
        }
        for (periods, calendar) in [
            (252.0, Calendar::nyse()),
            (252.0, Calendar::cme(obs_calendar::CmeGroup::EquityIndex)),
            (261.0, weekdays()),
            (365.0, Calendar::always_open()),
        ] {
            assert!(conventions(Basis::PeriodReturns, periods, calendar).is_ok());
        }
        // Trades are not counted by the calendar.
        assert!(conventions(Basis::PerTrade, 40.0, Calendar::nyse()).is_ok());
        let exact = PeriodsPerYear::of(&weekdays());
        assert!((exact.get() - 260.9).abs() < 0.1);
    }

    #[test]
    fn what_differs_from_the_usual_is_said() {
        let conventions = Conventions::new(
            Basis::PerTrade,
            Valuation::ClosedTrades,
            PeriodsPerYear::new(40.0).unwrap(),
            Calendar::every_day(TimeZone::UTC),
        )
        .unwrap()
        .with_deviation(Deviation::Population)
        .with_risk_free(RiskFree::per_period(0.001).unwrap());
        assert_eq!(
            fixed_part(&conventions.to_string()).unwrap(),
            "per_trade of closed trades, every day UTC"
        );
        assert_eq!(
            conventions.to_string(),
            "per_trade of closed trades, ddof 0, 40 periods per year, risk-free 0.001 per period, every day UTC"
        );
    }
}
