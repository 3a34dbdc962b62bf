//! A strategy's part: its ledger, exported.

use jiff::Timestamp;
use obs_core::{By, Counter, Gauge, Histogram, Unit, buckets};

use super::labels::{
    AccountName, BasisText, CalendarText, CurrencyCode, PeriodsPerYearText, Refusal, RiskFreeText,
};
use super::periods::Periods;
use super::ratios::Ratios;
use super::trades::{ClosedTrade, TradeResult};
use super::{
    Conventions, CorrectionWindow, Ledger, LedgerState, Money, Period, TradeId, Transfer, show,
};
use crate::{Clock, Error, StrategyName};

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// How a strategy does.
    pub struct PerformanceMetrics(account: AccountName, strategy: StrategyName, currency: CurrencyCode) {
        /// Share of the closed trades that made a profit.
        pub win_ratio: Gauge = "trading_win_ratio",
        /// What was won for each unit of money lost; NaN without losses.
        pub profit_factor: Gauge = "trading_profit_factor" { unit: Unit::Number },
        /// Annual Sharpe ratio, by the conventions in trading_statistics_info; NaN while it is undefined.
        pub sharpe: Gauge = "trading_sharpe_ratio" { unit: Unit::Number },
        /// Annual Sortino ratio, by the conventions in trading_statistics_info; NaN while it is undefined.
        pub sortino: Gauge = "trading_sortino_ratio" { unit: Unit::Number },
        /// The deepest fall of the strategy's equity below its highest, as a share of that; not above 0.
        pub max_drawdown: Gauge = "trading_max_drawdown_ratio",
        /// How far the strategy's equity lies below its highest, as a share of that; not above 0.
        pub drawdown: Gauge = "trading_drawdown_ratio",
        /// The longest time from a peak of equity to when it stood there again; NaN until a drawdown was recovered.
        pub recovery: Gauge = "trading_recovery_seconds",
        /// How long the open drawdown lasts; 0 when there is none.
        pub drawdown_age: Gauge = "trading_drawdown_age_seconds",
        /// Trades that ended the same way one after another, up to the last.
        pub streak: By<TradeResult, Gauge> = "trading_streak_trades",
        /// The most trades that ever ended the same way one after another.
        pub longest_streak: By<TradeResult, Gauge> = "trading_longest_streak_trades",
        /// Trades, marks and transfers that the ledger refused.
        pub refused: By<Refusal, Counter> = "trading_performance_events_refused_total",
    }
}

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// What a strategy makes, in its currency.
    pub struct PerformanceMoneyMetrics(account: AccountName, strategy: StrategyName, currency: CurrencyCode) {
        /// P/L of each closed trade.
        pub trade_pnl: Histogram = "trading_trade_pnl" {
            buckets: buckets::SIGNED_MONEY,
            unit: Unit::Currency,
            // A series has 36 lines.
            budget: 3_000,
        },
        /// P/L of all closed trades.
        pub realized: Gauge = "trading_pnl_realized" { unit: Unit::Currency },
        /// What the strategy is worth: its capital, what it realised, and its open positions.
        pub equity: Gauge = "trading_equity" { unit: Unit::Currency },
        /// What the open positions have made so far, by the last mark.
        pub open_pnl: Gauge = "trading_pnl_unrealized" { unit: Unit::Currency },
        /// Change of the strategy's equity in the day, week and month under way, and in all: open positions included, capital that was
        /// allotted or taken away not.
        pub equity_change: By<Period, Gauge> = "trading_equity_change" { unit: Unit::Currency },
        /// The highest P/L of a trade.
        pub best_trade: Gauge = "trading_best_trade_pnl" { unit: Unit::Currency },
        /// The lowest P/L of a trade.
        pub worst_trade: Gauge = "trading_worst_trade_pnl" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a profit.
        pub average_win: Gauge = "trading_average_win" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a loss; below 0.
        pub average_loss: Gauge = "trading_average_loss" { unit: Unit::Currency },
    }
}

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// By which conventions the statistics of a strategy are computed.
    pub struct PerformanceStatisticsInfo(
        account: AccountName,
        strategy: StrategyName,
        currency: CurrencyCode,
        basis: BasisText,
        periods_per_year: PeriodsPerYearText,
        risk_free_rate: RiskFreeText,
        calendar: CalendarText,
    ) {
        /// By which conventions the statistics of a strategy are computed.
        pub info: Gauge = "trading_statistics_info",
    }
}

/// A strategy's performance: each verb keeps its [`Ledger`] and every gauge of it.
///
/// A strategy has no account of its own. Its equity is the capital that is allotted to it + its realised P/L and, when it is
/// [marked](Self::mark_open_pnl), the P/L of its open positions; its returns and drawdown are those of that equity.
///
/// ```
/// use jiff::Timestamp;
/// use obs_trading::{
///     Basis, Calendar, ClosedTrade, Conventions, Currency, Money, PeriodsPerYear, StrategyLedger, Valuation,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PerTrade,
///     Valuation::ClosedTrades,
///     PeriodsPerYear::new(300.0)?, // trades in a year
///     Calendar::nyse(),
/// )?;
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let mut performance = StrategyLedger::new("main", "crossover", conventions, usd(20_000.0))?;
/// let at: Timestamp = "2024-06-03T20:00:00Z".parse()?;
/// performance.trade_closed(&ClosedTrade::new(at, usd(-120.0)))?;
/// assert_eq!(performance.ledger().equity(), 19_880.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StrategyLedger {
    ledger: Ledger,
    metrics: PerformanceMetrics,
    money: PerformanceMoneyMetrics,
    ratios: Ratios,
}

impl StrategyLedger {
    /// The performance of the strategy of this name in the account of this name, where it has this much to trade with. Fails as
    /// [`Ledger::new`] does.
    #[track_caller]
    pub fn new(
        account: &str,
        strategy: &str,
        conventions: Conventions,
        capital: Money,
    ) -> Result<Self, Error> {
        Ok(Self::of(
            account,
            strategy,
            Ledger::new(conventions, capital)?,
        ))
    }

    /// The performance of a strategy that goes on after a restart. Fails as [`Ledger::restore`] does.
    pub fn restore(
        account: &str,
        strategy: &str,
        conventions: Conventions,
        saved: LedgerState,
    ) -> Result<Self, Error> {
        Ok(Self::of(
            account,
            strategy,
            Ledger::restore(conventions, saved)?,
        ))
    }

    #[track_caller]
    fn of(account: &str, strategy: &str, ledger: Ledger) -> Self {
        let (currency, conventions) = (ledger.currency(), ledger.conventions());
        let info = PerformanceStatisticsInfo::new(
            account,
            strategy,
            currency.as_str(),
            conventions.basis_label(),
            conventions.periods_per_year().get().to_string(),
            conventions.risk_free().to_string(),
            conventions.calendar().to_string(),
        );
        info.info.set(1.0);
        let mut performance = Self {
            ratios: Ratios::default(),
            metrics: PerformanceMetrics::new(account, strategy, currency.as_str()),
            money: PerformanceMoneyMetrics::new(account, strategy, currency.as_str()),
            ledger,
        };
        performance.export_by_clock();
        performance
    }

    /// The same, held to another clock than the machine's; see [`Ledger::with_clock`].
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.ledger = self.ledger.with_clock(clock);
        self.export_by_clock();
        self
    }

    /// The same with another window for late events and corrections; see [`Ledger::with_corrections`].
    #[must_use]
    pub fn with_corrections(mut self, window: CorrectionWindow) -> Self {
        self.ledger = self.ledger.with_corrections(window);
        self
    }

    /// A trade was closed; see [`Ledger::trade_closed`].
    pub fn trade_closed(&mut self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        let done = self.ledger.trade_closed(trade);
        if done.is_ok() {
            self.money.trade_pnl.record(trade.pnl.amount());
        }
        self.exported(done)
    }

    /// The open positions have made this much so far; see [`Ledger::mark_open_pnl`].
    pub fn mark_open_pnl(&mut self, at: Timestamp, open_pnl: Money) -> Result<(), Error> {
        let done = self.ledger.mark_open_pnl(at, open_pnl);
        self.exported(done)
    }

    /// A trade was closed, and the positions that are left have made this much so far; see
    /// [`Ledger::close_and_mark_open_pnl`].
    pub fn close_and_mark_open_pnl(
        &mut self,
        trade: &ClosedTrade<'_>,
        open_pnl: Money,
    ) -> Result<(), Error> {
        let done = self.ledger.close_and_mark_open_pnl(trade, open_pnl);
        if done.is_ok() {
            self.money.trade_pnl.record(trade.pnl.amount());
        }
        self.exported(done)
    }

    /// Capital was allotted, or, negative, taken away; see [`Ledger::transfer`].
    pub fn transfer(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        let done = self.ledger.transfer(at, money);
        self.exported(done)
    }

    /// Capital was allotted, or, negative, taken away; see [`Ledger::take_transfer`].
    pub fn take_transfer(&mut self, flow: &Transfer<'_>) -> Result<(), Error> {
        let done = self.ledger.take_transfer(flow);
        self.exported(done)
    }

    /// A trade was a mistake, or the venue took it back; see [`Ledger::void_trade`]. The histogram `trading_trade_pnl` keeps what was
    /// recorded.
    pub fn void_trade<'a>(&mut self, id: impl Into<TradeId<'a>>) -> Result<(), Error> {
        let done = self.ledger.void_trade(id);
        self.exported(done)
    }

    /// A trade made this much instead; see [`Ledger::correct_trade`]. The histogram `trading_trade_pnl` keeps what was
    /// recorded.
    pub fn correct_trade(&mut self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        let done = self.ledger.correct_trade(trade);
        self.exported(done)
    }

    /// A trade of a book of positions made this much instead, or was none; see [`Ledger::rebook`].
    pub(crate) fn rebook(
        &mut self,
        number: u64,
        now: Option<&ClosedTrade<'_>>,
    ) -> Result<(), Error> {
        let done = self.ledger.rebook(number, now);
        self.exported(done)
    }

    /// A flow was a mistake; see [`Ledger::void_transfer`].
    pub fn void_transfer(&mut self, id: &str) -> Result<(), Error> {
        let done = self.ledger.void_transfer(id);
        self.exported(done)
    }

    /// A flow was this much instead; see [`Ledger::correct_transfer`].
    pub fn correct_transfer(&mut self, id: &str, money: Money) -> Result<(), Error> {
        let done = self.ledger.correct_transfer(id, money);
        self.exported(done)
    }

    /// The mark of this moment was a mistake; see [`Ledger::void_mark`].
    pub fn void_mark(&mut self, at: Timestamp) -> Result<(), Error> {
        let done = self.ledger.void_mark(at);
        self.exported(done)
    }

    /// The mark of this moment says this instead; see [`Ledger::correct_mark`].
    pub fn correct_mark(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        let done = self.ledger.correct_mark(at, money);
        self.exported(done)
    }

    /// It is this late: what is over is over; see [`Ledger::advance_to`].
    pub fn advance_to(&mut self, at: Timestamp) {
        self.ledger.advance_to(at);
        let _ = self.exported(Ok(()));
    }

    /// The statistics, and why one is undefined.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is to be kept over a restart.
    #[must_use]
    pub fn save(&self) -> LedgerState {
        self.ledger.save()
    }

    fn exported(&mut self, done: Result<(), Error>) -> Result<(), Error> {
        match &done {
            Ok(()) => {
                let periods = self.ledger.standing.periods;
                self.export(&periods);
            }
            Err(error) => self.metrics.refused[Refusal::of(error)].increment(1),
        }
        done
    }

    /// Friday's figures are not Monday's, be it that nothing happened yet.
    fn export_by_clock(&mut self) {
        let periods = self.ledger.periods_by_clock();
        self.export(&periods);
    }

    fn export(&mut self, periods: &Periods) {
        let (ledger, metrics, money) = (&self.ledger, &self.metrics, &self.money);
        if self.ratios.follow(ledger) {
            show(&metrics.sharpe, self.ratios.sharpe);
            show(&metrics.sortino, self.ratios.sortino);
        }
        show(&metrics.win_ratio, ledger.win_ratio());
        show(&metrics.profit_factor, ledger.profit_factor());
        metrics.max_drawdown.set(ledger.max_drawdown_ratio());
        metrics.drawdown.set(ledger.drawdown_ratio());
        show(&metrics.recovery, ledger.longest_recovery_seconds());
        metrics.drawdown_age.set(ledger.drawdown_age_seconds());
        for (result, streak) in metrics.streak.iter() {
            streak.set(ledger.streak(result) as f64);
        }
        for (result, streak) in metrics.longest_streak.iter() {
            streak.set(ledger.longest_streak(result) as f64);
        }
        money.equity.set(ledger.equity());
        money.open_pnl.set(ledger.open_pnl());
        for (period, change) in money.equity_change.iter() {
            change.set(ledger.standing.equity_change(periods, period));
        }
        money.realized.set(ledger.realized_pnl(Period::Total));
        show(&money.average_win, ledger.average_win());
        show(&money.average_loss, ledger.average_loss());
        show(&money.best_trade, ledger.best_trade());
        show(&money.worst_trade, ledger.worst_trade());
    }
}
