//! What trades and accounts make: profit and loss, ratios, drawdown, streaks.
//!
//! A [`Ledger`] takes closed trades and marks of equity, and gives the statistics; [`Account`] and [`StrategyLedger`] hold one
//! each and export it. An event in order costs the same however many came before. Kept are the events of the last days and the
//! returns of the last years, both bounded.
//!
//! # Conventions
//!
//! A Sharpe ratio means nothing without its [`Conventions`]: of what the returns are ([`Basis`]), what the equity follows
//! ([`Valuation`]), how many periods make a year ([`PeriodsPerYear`]), which days count and where they begin ([`Calendar`](obs_calendar::Calendar)) have
//! no default. Without risk-free return ([`RiskFree`]), and a deviation over `n − 1` ([`Deviation`]), are what is taken unless
//! stated. `portfolio_statistics_info` and `trading_statistics_info` export them.
//!
//! A statistic that has no value says why ([`Undefined`]) and is exported as `NaN`: never as 0 and never infinite.
//!
//! # Time
//!
//! The events' own times drive everything; the wall clock is only asked whether one lies in the future. A day, week or month is over when an event of a
//! later one arrives, be it only [`Ledger::advance_to`]. The day under way has no return yet.
//!
//! - Each day that counts has a return. One without events has a return of zero; what changed on a day that does not count
//!   belongs to the next that does.
//! - A ledger keeps the events of a [`CorrectionWindow`], the last five days unless stated. What comes late is put where its time
//!   belongs, and what followed is counted again. Within the window, [`Ledger::void_trade`], [`Ledger::correct_trade`] and their
//!   kin take back what was counted: the ledger is then what it would have been.
//! - What is older than the window: a mark or transfer is refused; a trade counts in the total, in those of day, week and month that are
//!   not over, and for streaks and returns per trade as if it were closed now.
//! - A trade that comes again is refused while its identifier is among the last [`REMEMBERED_TRADES`] of the ledger; one of the
//!   times before that is refused as forgotten, so that a replay of more doubles nothing. Without an identifier, each report
//!   counts. A [`Transfer`] or a mark that comes again has no effect.
//! - What is more than five minutes ahead of the machine's clock, or of one that is [handed in](Ledger::with_clock), is refused.
//! - What is refused changes nothing, and is counted in `portfolio_events_refused_total` and
//!   `trading_performance_events_refused_total`. So are amounts that are no numbers, and other currencies than the ledger's.
//!
//! # Money that comes and goes
//!
//! Equity is counted as a fund counts its units: a transfer buys or redeems units at the value of the last mark, so that returns and
//! drawdown are those of one unit, whatever comes and goes (unitised net asset value; between marks a time-weighted return). An equity that
//! holds a transfer already is for [`Ledger::mark_with_flows`]. [`Limits`](crate::Limits) count in the same way.
//!
//! # Windows
//!
//! The last [`KEPT_RETURNS`] returns and days of trades are kept, so that [`Ledger::over`] gives the statistics of any [`Window`] of days:
//! the month, the year to date, the last 63 days, since a day. [`Statistics::by_month`] and [`Statistics::by_day`] compound them to those
//! of months and days, each with the periods a year that belong to it. A window that begins before what is kept is undefined.
//!
//! # Where this differs from empyrical and quantstats
//!
//! On a curve of one equity a day, Sharpe, Sortino, volatility and maximum drawdown agree with empyrical-reloaded 0.7.1 and quantstats
//! 0.0.86 to a relative 1e-9, growth and Calmar with empyrical; on a list of P/L so do quantstats' average win and loss, profit factor, best, worst and
//! consecutive wins and losses. Tests hold them to it. Else:
//!
//! | Where | They | This crate | Why |
//! |---|---|---|---|
//! | no dispersion: flat equity, constant returns | NaN, infinite or about 1e15, as rounding falls out | undefined | a ratio to rounding is no result |
//! | Sortino without a return below the target | infinite (empyrical), or to rounding | undefined | the same |
//! | profit factor without losses | infinite; 0 for no trades | undefined | 0 reads as "all lost", infinite cannot be plotted |
//! | win ratio | quantstats: wins / (wins + losses) | wins / trades | a trade that broke even was taken, and won nothing |
//! | win ratio and averages without trades | 0 or NaN | undefined | 0 reads as "never won" |
//! | negative risk-free rate | quantstats takes only a rate above 0 off the returns: with one below, its ratios are those of none | taken off, as empyrical does | francs and euros had one for years |
//! | growth a year | quantstats: by the dates of first and last return | `Π (1 + r)^(A/n) − 1`, as empyrical | the periods a year are stated |
//! | risk-free rate | a number: per period (empyrical), per year (quantstats) | [`RiskFree`] says which | the two differ by a factor of 252 |
//! | missing value (NaN) | left out, and with it the return over the gap | refused; the day's return is 0 and the next mark holds the change | money that changed is not lost |
//! | days without data | no return | zero, if they count by the calendar | one day's return is not that of a week |
//! | equity at or below zero | goes on with infinite or sign-flipped returns | ratios undefined from the next period on; drawdown goes on, below −1 | a return on nothing does not exist |
//! | drawdown | one equity a day; from the first return on | every mark, also within a day; the starting equity is the first peak | the fall was there |
//! | recovery | quantstats: days from the first below the peak to the last, both counted | time from the peak to when equity stood there again | what the desk waited for |
//! | returns, prices | guessed by size | stated | equity below 1 is no return |

mod account;
mod conventions;
mod drawdown;
mod figures;
mod history;
mod journal;
mod labels;
mod ledger;
mod moments;
mod period;
mod periods;
#[cfg(test)]
mod random;
mod ratios;
mod returns;
mod standing;
mod strategy;
mod sum;
mod trades;
mod undefined;
mod window;

use obs_core::Gauge;

pub(crate) use self::sum::Sum;
pub(crate) use crate::money::{Currency, Money};

pub use self::account::{
    Account, PortfolioMetrics, PortfolioMoneyMetrics, PortfolioStatisticsInfo,
};
pub use self::conventions::{Basis, Conventions, Deviation, PeriodsPerYear, RiskFree, Valuation};
pub use self::history::KEPT_RETURNS;
pub use self::journal::CorrectionWindow;
pub use self::labels::{
    AccountName, BasisText, CalendarText, CurrencyCode, PeriodsPerYearText, Refusal, RiskFreeText,
};
pub use self::ledger::{Ledger, LedgerState, Transfer};
/// How many trades with identifiers a ledger would know again, at least: more than a broker's stream replays of a day.
pub const REMEMBERED_TRADES: usize = crate::seen::REMEMBERED;
pub use self::period::Period;
pub use self::strategy::{
    PerformanceMetrics, PerformanceMoneyMetrics, PerformanceStatisticsInfo, StrategyLedger,
};
pub use self::trades::{ClosedTrade, TradeId, TradeResult};
pub use self::undefined::Undefined;
pub use self::window::{Statistics, Window};

/// The largest amount of money and the smallest equity to begin with. Between them no quotient or square overflows, so that no
/// statistic becomes infinite.
const LARGEST: f64 = 1e100;
const SMALLEST: f64 = 1e-100;

fn show(gauge: &Gauge, statistic: Result<f64, Undefined>) {
    match statistic {
        Ok(value) => gauge.set(value),
        Err(_) => gauge.set_undefined(),
    }
}
