//! What comes out of a ledger.

use jiff::Timestamp;
use jiff::civil::Date;

use super::history::Single;
use super::period::Period;
use super::periods::Periods;
use super::returns::Scale;
use super::trades::TradeResult;
use super::window::{Source, Statistics, Window, calmar};
use super::{Basis, Conventions, Currency, Ledger, Undefined};

/// What comes out. Money is in the ledger's currency; a statistic that has no value says why.
impl Ledger {
    /// The conventions it was built with.
    #[must_use]
    pub const fn conventions(&self) -> &Conventions {
        &self.rules.conventions
    }

    /// The currency it holds.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The time of the latest event; nothing before the first.
    #[must_use]
    pub const fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// What the account or strategy is worth: the last mark and transfers since, or starting equity + transfers + realised
    /// P/L, as its [`Valuation`](super::Valuation) says. The starting equity at first.
    #[must_use]
    pub const fn equity(&self) -> f64 {
        self.standing.fund.equity()
    }

    /// Closed trades in the period under way. None at first.
    #[must_use]
    pub fn trades(&self, period: Period) -> u64 {
        self.trades_in(&self.standing.periods, period)
    }

    /// P/L of the trades that were closed in the period under way: `Σ pnl`. Zero when there were none. Trades that came when
    /// their period was over are in the total only.
    #[must_use]
    pub fn realized_pnl(&self, period: Period) -> f64 {
        self.realized_in(&self.standing.periods, period)
    }

    /// How much the equity changed in the period under way, open positions included and transfers not:
    /// `equity − equity when the period began − transfers since`.
    #[must_use]
    pub fn equity_change(&self, period: Period) -> f64 {
        self.standing.equity_change(&self.standing.periods, period)
    }

    /// What the open positions have made so far, by the last mark: `equity − starting equity − transfers − realised P/L`. Zero where the
    /// ledger is valued by its closed trades.
    #[must_use]
    pub fn open_pnl(&self) -> f64 {
        self.standing.fund.equity() - self.standing.closed_trades_equity()
    }

    /// The statistics of a window of days, exact from single returns and days of trades. It costs as much as the window is long: for
    /// a report or a page, not for each mark.
    #[must_use]
    pub fn over(&self, window: Window) -> Statistics {
        let today = self.standing.today.unwrap_or(Date::MIN);
        let returns = self.history.returns();
        let days = returns.iter().map(|single| single.day);
        let (first, last) = window.days(today, days);
        let is_in = |day: Date| first <= day && day <= last;
        let rate = |single: &Single| (*single, self.rules.risk_free.on(single.day));
        let within: Vec<_> = returns
            .iter()
            .filter(|single| is_in(single.day))
            .map(rate)
            .collect();
        let skipped = within.len().saturating_sub(window.most());
        let (path, trades_today) = self.standing.under_way();
        let mut days = self
            .history
            .days()
            .iter()
            .chain(trades_today)
            .filter(|trades| is_in(trades.day));
        Statistics::new(
            within.into_iter().skip(skipped),
            Source {
                scale: self.scale(),
                is_compounding: self.is_compounding(),
                is_kept: !self.history.lacks(first.max(self.began())),
                open: is_in(today).then(|| (self.standing.gain(), path)),
                days: &mut days,
            },
        )
    }

    /// Share of the closed trades that made a profit: `wins / trades`, from 0 to 1. A trade that broke even is no win, but is in
    /// the divisor: it was taken, and won nothing.
    ///
    /// Undefined without trades. quantstats' `win_rate` leaves those that broke even out of the divisor.
    pub fn win_ratio(&self) -> Result<f64, Undefined> {
        self.standing.trades.win_ratio()
    }

    /// Mean P/L of the trades that made a profit: `Σ pnl⁺ / wins`. As quantstats' `avg_win` of a list of P/L. Undefined without
    /// such trades.
    pub fn average_win(&self) -> Result<f64, Undefined> {
        self.standing.trades.average_win()
    }

    /// Mean P/L of the trades that made a loss: `Σ pnl⁻ / losses`, below zero. As quantstats' `avg_loss` of a list of P/L.
    /// Undefined without such trades.
    pub fn average_loss(&self) -> Result<f64, Undefined> {
        self.standing.trades.average_loss()
    }

    /// What was won for each unit of money lost: `Σ pnl⁺ / |Σ pnl⁻|`; 0 when nothing was won. As quantstats' `profit_factor`
    /// of a list of P/L, which says infinite, or 0 for an empty list, where this is undefined: without losses.
    pub fn profit_factor(&self) -> Result<f64, Undefined> {
        self.standing.trades.profit_factor()
    }

    /// Mean return above the risk-free one, for each unit of its standard deviation, annualised:
    /// `(mean(r) − rf) / std(r) · √A`, with `std` over `n − 1` (or `n`, if [stated](super::Deviation)), `rf` per period and
    /// `A` periods per year (W. Sharpe, 1994). As empyrical's and quantstats' `sharpe`.
    ///
    /// Undefined for fewer than two returns, for returns that do not differ (a standard deviation below 1e-13, which is what
    /// rounding makes of equal returns), and once a period began with no equity. The period under way is not part of it.
    pub fn sharpe_ratio(&self) -> Result<f64, Undefined> {
        self.standing.returns.sharpe(self.scale())
    }

    /// Mean return above the risk-free one, for each unit of downside deviation, annualised:
    /// `(mean(r) − rf) / √(Σ min(r − rf, 0)² / n) · √A`, where all `n` returns are in the divisor (F. Sortino, R. van der Meer,
    /// 1991). As empyrical's `sortino_ratio` with `rf` as the required return, and quantstats' `sortino`.
    ///
    /// Undefined for fewer than two returns, when no return lies below the risk-free one, and once a period began with no
    /// equity.
    pub fn sortino_ratio(&self) -> Result<f64, Undefined> {
        self.standing.returns.sortino(self.scale())
    }

    /// Standard deviation of the returns, annualised: `std(r) · √A`, with `std` over `n − 1` (or `n`, if
    /// [stated](super::Deviation)). As empyrical's `annual_volatility` and quantstats' `volatility`.
    ///
    /// Undefined for fewer than two returns, and once a period began with no equity.
    pub fn volatility_ratio(&self) -> Result<f64, Undefined> {
        self.standing.returns.volatility(self.scale())
    }

    /// What the returns compound to in a year: `Π (1 + r)^(A / n) − 1`; −1 once all was lost. As empyrical's `annual_return`; quantstats'
    /// `cagr` counts a year by dates.
    ///
    /// A ledger of an earlier edition has it from its first return in this one on. Undefined before the first return, once a period
    /// began with no equity or ended below it, and for returns on notional, which do not compound.
    pub fn growth_ratio(&self) -> Result<f64, Undefined> {
        if self.is_compounding() {
            self.standing.returns.growth(self.scale())
        } else {
            Err(Undefined::NotCompounding)
        }
    }

    /// Growth a year for each unit of the deepest drawdown: `growth / |max drawdown|` (T. Young, 1991, over all the time instead of 36
    /// months). As empyrical's and quantstats' `calmar`, whose drawdown is of one equity a day. The drawdown is that of the time of the growth.
    /// Undefined where [growth](Self::growth_ratio) is, and without a drawdown.
    pub fn calmar_ratio(&self) -> Result<f64, Undefined> {
        calmar(self.growth_ratio(), self.drawdown_of_growth())
    }

    /// The deepest drawdown in the time of which the growth is known.
    pub(super) fn drawdown_of_growth(&self) -> f64 {
        if self.standing.returns.is_growth_whole() {
            return self.max_drawdown_ratio();
        }
        let since = self.over(Window::since(self.began()));
        since.max_drawdown_ratio().unwrap_or(0.0)
    }

    /// Mean P/L of a trade: `Σ pnl / trades`, which is what is to be expected of the next. Undefined without trades.
    pub fn expectancy(&self) -> Result<f64, Undefined> {
        self.standing.trades.expectancy()
    }

    /// How many returns the ratios are computed from.
    #[must_use]
    pub const fn returns(&self) -> u64 {
        self.standing.returns.count()
    }

    /// How far equity lies below its highest, as a share of that: `equity / peak − 1`; 0 at the peak, −1 when all is lost,
    /// below −1 when more is. The peak is at first the starting equity; less than 1e-12 below it is rounding, and 0.
    #[must_use]
    pub fn drawdown_ratio(&self) -> f64 {
        self.standing.drawdown.current()
    }

    /// The deepest [drawdown](Self::drawdown_ratio) there was: `min(equity / peak − 1)` over every observed equity, within a
    /// day too; never above 0. As empyrical's and quantstats' `max_drawdown`, which see one equity a day.
    #[must_use]
    pub const fn max_drawdown_ratio(&self) -> f64 {
        self.standing.drawdown.worst()
    }

    /// How long the open drawdown lasts: seconds from when equity last stood at its peak to the latest event; 0 when there is
    /// none.
    #[must_use]
    pub fn drawdown_age_seconds(&self) -> f64 {
        self.standing.drawdown.age_seconds(self.now)
    }

    /// The longest time from a peak to when equity stood there again, in seconds. Undefined until a drawdown was recovered; an
    /// open one has its [age](Self::drawdown_age_seconds) instead. quantstats' `drawdown_details` counts days from the first
    /// below the peak to the last, both included.
    pub fn longest_recovery_seconds(&self) -> Result<f64, Undefined> {
        self.standing.drawdown.longest_recovery_seconds()
    }

    /// How many of the last trades ended like this one after another; 0 when the last one did not. A trade that broke even ends
    /// both streaks.
    #[must_use]
    pub const fn streak(&self, result: TradeResult) -> u64 {
        self.standing.trades.streak(result)
    }

    /// The longest [streak](Self::streak) there was. As quantstats' `consecutive_wins` and `consecutive_losses` of a list of P/L.
    #[must_use]
    pub const fn longest_streak(&self, result: TradeResult) -> u64 {
        self.standing.trades.longest_streak(result)
    }

    /// How many trades ended like this.
    #[must_use]
    pub const fn trades_of(&self, result: TradeResult) -> u64 {
        self.standing.trades.count_of(result)
    }

    /// The highest P/L of a trade: `max(pnl)`, a loss if all made one. Undefined without trades.
    pub fn best_trade(&self) -> Result<f64, Undefined> {
        self.standing.trades.best()
    }

    /// The lowest P/L of a trade: `min(pnl)`, a profit if all made one. Undefined without trades.
    pub fn worst_trade(&self) -> Result<f64, Undefined> {
        self.standing.trades.worst()
    }

    pub(super) fn trades_in(&self, periods: &Periods, period: Period) -> u64 {
        periods
            .trades(period)
            .unwrap_or(self.standing.trades.count())
    }

    pub(super) fn realized_in(&self, periods: &Periods, period: Period) -> f64 {
        periods
            .realized(period)
            .unwrap_or(self.standing.trades.realized())
    }

    fn is_compounding(&self) -> bool {
        self.rules.conventions.basis() != Basis::PerNotional
    }

    /// The first day of which anything is kept.
    fn began(&self) -> Date {
        let first = self.history.returns().front().map(|single| single.day);
        first.or(self.standing.today).unwrap_or(Date::MIN)
    }

    const fn scale(&self) -> Scale {
        Scale {
            periods_per_year: self.rules.conventions.periods_per_year(),
            deviation: self.rules.conventions.deviation(),
        }
    }
}
