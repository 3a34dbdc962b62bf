//! A whole account: its ledger, exported.

use jiff::Timestamp;
use obs_core::{By, Counter, Gauge, Unit};

use super::labels::{
    AccountName, BasisText, CalendarText, CurrencyCode, PeriodsPerYearText, Refusal, RiskFreeText,
};
use super::periods::Periods;
use super::ratios::Ratios;
use super::trades::{ClosedTrade, TradeResult};
use super::{
    Conventions, CorrectionWindow, Ledger, LedgerState, Money, Period, TradeId, Transfer, show,
};
use crate::{Clock, Error};

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// How the ledger of an account in one currency does.
    pub struct PortfolioMetrics(account: AccountName, currency: CurrencyCode) {
        /// Share of the closed trades that made a profit.
        pub win_ratio: Gauge = "portfolio_win_ratio",
        /// What was won for each unit of money lost; NaN without losses.
        pub profit_factor: Gauge = "portfolio_profit_factor" { unit: Unit::Number },
        /// Annual Sharpe ratio, by the conventions in portfolio_statistics_info; NaN while it is undefined.
        pub sharpe: Gauge = "portfolio_sharpe_ratio" { unit: Unit::Number },
        /// Annual Sortino ratio, by the conventions in portfolio_statistics_info; NaN while it is undefined.
        pub sortino: Gauge = "portfolio_sortino_ratio" { unit: Unit::Number },
        /// The deepest fall of equity below its highest, as a share of that; not above 0.
        pub max_drawdown: Gauge = "portfolio_max_drawdown_ratio",
        /// How far equity lies below its highest, as a share of that; not above 0.
        pub drawdown: Gauge = "portfolio_drawdown_ratio",
        /// The longest time from a peak of equity to when it stood there again; NaN until a drawdown was recovered.
        pub recovery: Gauge = "portfolio_recovery_seconds",
        /// How long the open drawdown lasts; 0 when there is none.
        pub drawdown_age: Gauge = "portfolio_drawdown_age_seconds",
        /// Standard deviation of the returns, annualised; NaN while it is undefined.
        pub volatility: Gauge = "portfolio_volatility_ratio",
        /// What the returns compound to in a year; NaN while it is undefined.
        pub growth: Gauge = "portfolio_growth_ratio",
        /// Growth a year for each unit of the deepest drawdown; NaN without one.
        pub calmar: Gauge = "portfolio_calmar_ratio" { unit: Unit::Number },
        /// Trades that ended the same way one after another, up to the last.
        pub streak: By<TradeResult, Gauge> = "portfolio_streak_trades",
        /// The most trades that ever ended the same way one after another.
        pub longest_streak: By<TradeResult, Gauge> = "portfolio_longest_streak_trades",
        /// Trades closed in the day, week and month under way, and in all.
        pub trades: By<Period, Gauge> = "portfolio_trades",
        /// Trades, marks and transfers that the ledger refused.
        pub refused: By<Refusal, Counter> = "portfolio_events_refused_total",
    }
}

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// What an account has and makes, in its currency.
    pub struct PortfolioMoneyMetrics(account: AccountName, currency: CurrencyCode) {
        /// What the account is worth: cash and positions.
        pub value: Gauge = "portfolio_value" { unit: Unit::Currency },
        /// P/L of the trades closed in the day, week and month under way, and in all.
        pub pnl: By<Period, Gauge> = "portfolio_pnl" { unit: Unit::Currency },
        /// Change of the account's value in the day, week and month under way, and in all: open positions included,
        /// transfers not.
        pub value_change: By<Period, Gauge> = "portfolio_value_change" { unit: Unit::Currency },
        /// Mean P/L of a trade: what is to be expected of the next.
        pub expectancy: Gauge = "portfolio_expectancy" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a profit.
        pub average_win: Gauge = "portfolio_average_win" { unit: Unit::Currency },
        /// Mean P/L of the trades that made a loss; below 0.
        pub average_loss: Gauge = "portfolio_average_loss" { unit: Unit::Currency },
        /// The highest P/L of a trade.
        pub best_trade: Gauge = "portfolio_best_trade_pnl" { unit: Unit::Currency },
        /// The lowest P/L of a trade.
        pub worst_trade: Gauge = "portfolio_worst_trade_pnl" { unit: Unit::Currency },
    }
}

obs_core::families! {
    group crate::groups::PERFORMANCE;

    /// By which conventions the statistics of an account are computed.
    pub struct PortfolioStatisticsInfo(
        account: AccountName,
        currency: CurrencyCode,
        basis: BasisText,
        periods_per_year: PeriodsPerYearText,
        risk_free_rate: RiskFreeText,
        calendar: CalendarText,
    ) {
        /// By which conventions the statistics of an account are computed.
        pub info: Gauge = "portfolio_statistics_info",
    }
}

/// An account in one currency: each verb keeps its [`Ledger`] and every gauge of it. An account that holds several currencies has
/// one of these for each, under the same name.
///
/// ```
/// use jiff::Timestamp;
/// use obs_trading::{
///     Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Money, PeriodsPerYear, Valuation,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::TRADING_DAYS,
///     Calendar::nyse(),
/// )?;
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let mut account = Account::new("main", conventions, usd(100_000.0))?;
///
/// let close: Timestamp = "2024-06-03T20:00:00Z".parse()?;
/// account.trade_closed(&ClosedTrade::new(close, usd(250.0)).with_id("x-17"))?;
/// account.mark_equity(close, usd(100_310.0))?;
/// assert_eq!(account.ledger().equity(), 100_310.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Account {
    ledger: Ledger,
    metrics: PortfolioMetrics,
    money: PortfolioMoneyMetrics,
    ratios: Ratios,
}

impl Account {
    /// An account of this name that begins with this much. Fails as [`Ledger::new`] does.
    #[track_caller]
    pub fn new(
        name: &str,
        conventions: Conventions,
        starting_equity: Money,
    ) -> Result<Self, Error> {
        Ok(Self::of(name, Ledger::new(conventions, starting_equity)?))
    }

    /// An account that goes on after a restart. Fails as [`Ledger::restore`] does.
    pub fn restore(
        name: &str,
        conventions: Conventions,
        saved: LedgerState,
    ) -> Result<Self, Error> {
        Ok(Self::of(name, Ledger::restore(conventions, saved)?))
    }

    #[track_caller]
    fn of(name: &str, ledger: Ledger) -> Self {
        let conventions = ledger.conventions();
        let info = PortfolioStatisticsInfo::new(
            name,
            ledger.currency().as_str(),
            conventions.basis_label(),
            conventions.periods_per_year().get().to_string(),
            conventions.risk_free().to_string(),
            conventions.calendar().to_string(),
        );
        info.info.set(1.0);
        let mut account = Self {
            metrics: PortfolioMetrics::new(name, ledger.currency().as_str()),
            money: PortfolioMoneyMetrics::new(name, ledger.currency().as_str()),
            ratios: Ratios::default(),
            ledger,
        };
        account.export_by_clock();
        account
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
        self.exported(done)
    }

    /// The account is worth this much; see [`Ledger::mark_equity`].
    pub fn mark_equity(&mut self, at: Timestamp, equity: Money) -> Result<(), Error> {
        let day = self.ledger.standing.today;
        let done = self.ledger.mark_equity(at, equity);
        if done.is_ok() && day == self.ledger.standing.today {
            let periods = self.ledger.standing.periods;
            self.export_value(&periods);
            return Ok(());
        }
        self.exported(done)
    }

    /// A trade was closed, and the account is worth this much after it; see [`Ledger::close_and_mark_equity`].
    pub fn close_and_mark_equity(
        &mut self,
        trade: &ClosedTrade<'_>,
        equity: Money,
    ) -> Result<(), Error> {
        let done = self.ledger.close_and_mark_equity(trade, equity);
        self.exported(done)
    }

    /// Money was paid in, or, negative, taken out; see [`Ledger::transfer`].
    pub fn transfer(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        let done = self.ledger.transfer(at, money);
        self.exported(done)
    }

    /// Money was paid in, or, negative, taken out; see [`Ledger::take_transfer`].
    pub fn take_transfer(&mut self, flow: &Transfer<'_>) -> Result<(), Error> {
        let done = self.ledger.take_transfer(flow);
        self.exported(done)
    }

    /// The account is worth this much, and holds these flows already; see [`Ledger::mark_with_flows`].
    pub fn mark_with_flows(
        &mut self,
        at: Timestamp,
        equity: Money,
        flows: &[Transfer<'_>],
    ) -> Result<(), Error> {
        let done = self.ledger.mark_with_flows(at, equity, flows);
        self.exported(done)
    }

    /// A trade was a mistake, or the venue took it back; see [`Ledger::void_trade`].
    pub fn void_trade<'a>(&mut self, id: impl Into<TradeId<'a>>) -> Result<(), Error> {
        let done = self.ledger.void_trade(id);
        self.exported(done)
    }

    /// A trade made this much instead; see [`Ledger::correct_trade`].
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
        self.export_value(periods);
        let (ledger, metrics, money) = (&self.ledger, &self.metrics, &self.money);
        show(&metrics.win_ratio, ledger.win_ratio());
        show(&metrics.profit_factor, ledger.profit_factor());
        for (result, streak) in metrics.streak.iter() {
            streak.set(ledger.streak(result) as f64);
        }
        for (result, streak) in metrics.longest_streak.iter() {
            streak.set(ledger.longest_streak(result) as f64);
        }
        for (period, trades) in metrics.trades.iter() {
            trades.set(ledger.trades_in(periods, period) as f64);
        }
        for (period, pnl) in money.pnl.iter() {
            pnl.set(ledger.realized_in(periods, period));
        }
        show(&money.expectancy, ledger.expectancy());
        show(&money.average_win, ledger.average_win());
        show(&money.average_loss, ledger.average_loss());
        show(&money.best_trade, ledger.best_trade());
        show(&money.worst_trade, ledger.worst_trade());
    }

    /// What a mark within the day changes.
    fn export_value(&mut self, periods: &Periods) {
        let (ledger, metrics, money) = (&self.ledger, &self.metrics, &self.money);
        if self.ratios.follow(ledger) {
            show(&metrics.sharpe, self.ratios.sharpe);
            show(&metrics.sortino, self.ratios.sortino);
            show(&metrics.volatility, self.ratios.volatility);
            show(&metrics.growth, self.ratios.growth);
            show(&metrics.calmar, self.ratios.calmar);
        }
        metrics.max_drawdown.set(ledger.max_drawdown_ratio());
        metrics.drawdown.set(ledger.drawdown_ratio());
        show(&metrics.recovery, ledger.longest_recovery_seconds());
        metrics.drawdown_age.set(ledger.drawdown_age_seconds());
        money.value.set(ledger.equity());
        for (period, change) in money.value_change.iter() {
            change.set(ledger.standing.equity_change(periods, period));
        }
    }
}
