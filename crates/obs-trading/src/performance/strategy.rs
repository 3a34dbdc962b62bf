//! A strategy's part: its ledger, exported.

use jiff::Timestamp;
use obs_core::{By, Counter, Gauge, Histogram, Unit, buckets};

use super::labels::{AccountName, CurrencyCode, Refusal};
use super::trades::ClosedTrade;
use super::{Conventions, Ledger, LedgerState, Money, Period, show};
use crate::{Clock, Error, StrategyName};

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// How a strategy does.
    pub struct PerformanceMetrics(account: AccountName, strategy: StrategyName, currency: CurrencyCode) {
        /// Share of the closed trades that made a profit.
        pub win_ratio: Gauge = "trading_win_ratio",
        /// What was won for each unit of money lost; NaN without losses.
        pub profit_factor: Gauge = "trading_profit_factor" { unit: Unit::Number },
        /// Annual Sharpe ratio; NaN while it is undefined.
        pub sharpe: Gauge = "trading_sharpe_ratio" { unit: Unit::Number },
        /// Annual Sortino ratio; NaN while it is undefined.
        pub sortino: Gauge = "trading_sortino_ratio" { unit: Unit::Number },
        /// The deepest fall of the strategy's equity below its highest, as a share of that; not above 0.
        pub max_drawdown: Gauge = "trading_max_drawdown_ratio",
        /// How far the strategy's equity lies below its highest, as a share of that; not above 0.
        pub drawdown: Gauge = "trading_drawdown_ratio",
        /// The longest time from a peak of equity to when it stood there again; NaN until a drawdown was recovered.
        pub recovery: Gauge = "trading_recovery_seconds",
        /// How long the open drawdown lasts; 0 when there is none.
        pub drawdown_age: Gauge = "trading_drawdown_age_seconds",
        /// Trades, marks and transfers that the ledger refused.
        pub refused: By<Refusal, Counter> = "trading_performance_events_refused_total",
    }
}

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// What a strategy makes, in its currency.
    pub struct PerformanceMoneyMetrics(account: AccountName, strategy: StrategyName, currency: CurrencyCode) {
        /// P/L of each closed trade.
        pub trade_pnl: Histogram = "trading_trade_pnl" { buckets: buckets::SIGNED_MONEY, unit: Unit::Currency },
        /// P/L of all closed trades.
        pub realized: Gauge = "trading_pnl_realized" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a profit.
        pub average_win: Gauge = "trading_average_win" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a loss; below 0.
        pub average_loss: Gauge = "trading_average_loss" { unit: Unit::Currency },
    }
}

/// A strategy's performance: each verb keeps its [`Ledger`] and every gauge of it.
///
/// A strategy has no account of its own. Its equity is the capital that is allotted to it + its realised P/L and, when it is
/// [marked](Self::mark_open_pnl), the P/L of its open positions; its returns and drawdown are those of that equity.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
/// use obs_trading::{
///     Basis, Calendar, ClosedTrade, Conventions, Currency, Money, PeriodsPerYear, StrategyLedger, Valuation,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PerTrade,
///     Valuation::ClosedTrades,
///     PeriodsPerYear::new(300.0)?, // trades in a year
///     Calendar::weekdays(TimeZone::get("America/New_York")?),
/// );
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
        let currency = ledger.currency();
        let performance = Self {
            metrics: PerformanceMetrics::new(account, strategy, currency.as_str()),
            money: PerformanceMoneyMetrics::new(account, strategy, currency.as_str()),
            ledger,
        };
        performance.export();
        performance
    }

    /// The same, held to another clock than the machine's; see [`Ledger::with_clock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        let ledger = self.ledger.with_clock(clock);
        Self { ledger, ..self }
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

    /// It is this late: what is over is over; see [`Ledger::advance_to`].
    pub fn advance_to(&mut self, at: Timestamp) {
        self.ledger.advance_to(at);
        self.export();
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

    fn exported(&self, done: Result<(), Error>) -> Result<(), Error> {
        match &done {
            Ok(()) => self.export(),
            Err(error) => self.metrics.refused[Refusal::of(error)].increment(1),
        }
        done
    }

    fn export(&self) {
        let (ledger, metrics, money) = (&self.ledger, &self.metrics, &self.money);
        show(&metrics.win_ratio, ledger.win_ratio());
        show(&metrics.profit_factor, ledger.profit_factor());
        show(&metrics.sharpe, ledger.sharpe_ratio());
        show(&metrics.sortino, ledger.sortino_ratio());
        metrics.max_drawdown.set(ledger.max_drawdown_ratio());
        metrics.drawdown.set(ledger.drawdown_ratio());
        show(&metrics.recovery, ledger.longest_recovery_seconds());
        metrics.drawdown_age.set(ledger.drawdown_age_seconds());
        money.realized.set(ledger.realized_pnl(Period::Total));
        show(&money.average_win, ledger.average_win());
        show(&money.average_loss, ledger.average_loss());
    }
}
