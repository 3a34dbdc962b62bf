//! The conventions behind the statistics, as types: none of them is guessed.

use std::fmt;

use super::calendar::Calendar;
use crate::Error;

/// How the statistics of a ledger are computed. What has no right default is stated in [`new`](Self::new).
///
/// ```
/// use jiff::tz::TimeZone;
/// use obs_trading::{Basis, Calendar, Conventions, PeriodsPerYear, RiskFree, Valuation};
///
/// let equities = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::TRADING_DAYS,
///     Calendar::weekdays(TimeZone::get("America/New_York")?),
/// )
/// .with_risk_free(RiskFree::per_year(0.04)?);
/// assert_eq!(equities.to_string(), "period_returns, 252 periods per year, risk-free 0.04 per year, weekdays America/New_York");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// They are exported as the labels of `portfolio_statistics_info`, so that whoever reads a Sharpe ratio on a dashboard can
/// see beside it what it means.
#[derive(Clone, Debug)]
pub struct Conventions {
    basis: Basis,
    valuation: Valuation,
    periods_per_year: PeriodsPerYear,
    calendar: Calendar,
    risk_free: RiskFree,
    deviation: Deviation,
}

/// Of what the returns are that Sharpe and Sortino ratios are computed from. The two are never mixed: a ratio of returns
/// per trade, annualised as if they were days, is off by the square root of trades per day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// One return for each day of the calendar, traded or not: equity at its end / equity at the end of the day before − 1.
    PeriodReturns,
    /// One return for each closed trade: its P/L / (starting equity + transfers + P/L realised before it). State how many
    /// trades make a year.
    PerTrade,
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RiskFree(Rate);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rate {
    PerYear(f64),
    PerPeriod(f64),
}

impl RiskFree {
    /// None: returns are taken as they are.
    pub const NONE: Self = Self(Rate::PerYear(0.0));

    /// A yearly rate, 0.04 for 4 %, as quantstats takes it. A period gets its compounding part, `(1 + rate)^(1/periods) − 1`.
    /// Must be finite and above −1.
    pub fn per_year(rate: f64) -> Result<Self, Error> {
        Self::checked(Rate::PerYear, rate)
    }

    /// A rate per period, as empyrical takes it. Must be finite and above −1.
    pub fn per_period(rate: f64) -> Result<Self, Error> {
        Self::checked(Rate::PerPeriod, rate)
    }

    fn checked(kind: fn(f64) -> Rate, rate: f64) -> Result<Self, Error> {
        if rate > -1.0 && rate.is_finite() {
            Ok(Self(kind(rate)))
        } else {
            Err(Error::invalid_convention(
                "risk-free rate",
                rate,
                "a finite number above -1",
            ))
        }
    }

    fn of_one_period(self, periods: PeriodsPerYear) -> f64 {
        match self.0 {
            Rate::PerYear(rate) => (rate.ln_1p() / periods.0).exp_m1(),
            Rate::PerPeriod(rate) => rate,
        }
    }
}

/// As `portfolio_statistics_info` shows it.
impl fmt::Display for RiskFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Rate::PerYear(rate) => write!(f, "{rate} per year"),
            Rate::PerPeriod(rate) => write!(f, "{rate} per period"),
        }
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
    #[must_use]
    pub const fn new(
        basis: Basis,
        valuation: Valuation,
        periods_per_year: PeriodsPerYear,
        calendar: Calendar,
    ) -> Self {
        Self {
            basis,
            valuation,
            periods_per_year,
            calendar,
            risk_free: RiskFree::NONE,
            deviation: Deviation::Sample,
        }
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
    pub const fn risk_free(&self) -> RiskFree {
        self.risk_free
    }

    /// By what squared deviations are divided.
    #[must_use]
    pub const fn deviation(&self) -> Deviation {
        self.deviation
    }

    /// The risk-free return of one period.
    #[must_use]
    pub fn risk_free_per_period(&self) -> f64 {
        self.risk_free.of_one_period(self.periods_per_year)
    }

    /// The basis as a label: its word, and what differs from the usual.
    pub(crate) fn basis_label(&self) -> String {
        let mut label = String::from(match self.basis {
            Basis::PeriodReturns => "period_returns",
            Basis::PerTrade => "per_trade",
        });
        if self.valuation == Valuation::ClosedTrades {
            label.push_str(" of closed trades");
        }
        if self.deviation == Deviation::Population {
            label.push_str(", ddof 0");
        }
        label
    }
}

/// All of them in words. Two ledgers whose words are the same may be compared, and a saved one be restored; the list of
/// holidays is left out, so that it may grow.
impl fmt::Display for Conventions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} periods per year, risk-free {}, {}",
            self.basis_label(),
            self.periods_per_year.0,
            self.risk_free,
            self.calendar
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_yearly_rate_compounds_over_the_periods_of_a_year() {
        let day = RiskFree::per_year(0.05)
            .unwrap()
            .of_one_period(PeriodsPerYear::TRADING_DAYS);
        assert!(((1.0 + day).powi(252) - 1.05).abs() < 1e-12);
        assert_eq!(
            RiskFree::per_period(0.001)
                .unwrap()
                .of_one_period(PeriodsPerYear::EVERY_DAY)
                .to_bits(),
            0.001_f64.to_bits()
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

    #[test]
    fn what_differs_from_the_usual_is_said() {
        let conventions = Conventions::new(
            Basis::PerTrade,
            Valuation::ClosedTrades,
            PeriodsPerYear::new(40.0).unwrap(),
            Calendar::every_day(TimeZone::UTC),
        )
        .with_deviation(Deviation::Population)
        .with_risk_free(RiskFree::per_period(0.001).unwrap());
        assert_eq!(
            conventions.to_string(),
            "per_trade of closed trades, ddof 0, 40 periods per year, risk-free 0.001 per period, every day UTC"
        );
    }
}
