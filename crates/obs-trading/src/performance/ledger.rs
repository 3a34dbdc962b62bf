//! The ledger: closed trades and marks in, statistics out.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::Period;
use super::drawdown::Drawdown;
use super::periods::Periods;
use super::returns::Returns;
use super::trades::{ClosedTrade, TradeResult, Trades};
use super::{Basis, Conventions, Currency, Money, SMALLEST, Undefined, Valuation};
use crate::seen::{Identity, Met, Seen};
use crate::{Clock, Error};

/// The performance of an account or a strategy, without metrics: [`Account`](super::Account) and
/// [`StrategyLedger`](super::StrategyLedger) hold one and export it.
///
/// Each trade, mark and transfer costs the same however many came before, and no history is kept. All times are those of
/// the events, so that a replay gives what live would have given; the [module page](crate::performance) says how late and
/// repeated ones are taken.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
/// use obs_trading::{
///     Basis, Calendar, ClosedTrade, Conventions, Currency, Ledger, Money, PeriodsPerYear, Undefined, Valuation,
/// };
///
/// let conventions = Conventions::new(
///     Basis::PeriodReturns,
///     Valuation::Marks,
///     PeriodsPerYear::EVERY_DAY,
///     Calendar::every_day(TimeZone::UTC),
/// );
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let mut ledger = Ledger::new(conventions, usd(10_000.0))?;
/// let noon: Timestamp = "2024-06-03T12:00:00Z".parse()?;
/// ledger.trade_closed(&ClosedTrade::new(noon, usd(150.0)))?;
/// ledger.mark_equity(noon, usd(10_150.0))?;
/// assert_eq!(ledger.win_ratio(), Ok(1.0));
/// assert_eq!(ledger.profit_factor(), Err(Undefined::NoLosses));
/// assert_eq!(ledger.sharpe_ratio(), Err(Undefined::TooFewReturns)); // the first day is not over
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    conventions: Conventions,
    risk_free: f64,
    state: LedgerState,
    clock: Clock,
    /// What the clock said when it was last asked, in nanoseconds since 1970.
    clock_was: i64,
}

/// How far an event's clock may be ahead of ours.
const FUTURE: Duration = Duration::from_secs(300);

/// The ring of 256 hashes that the first edition kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FirstEdition {
    hashes: Vec<u64>,
}

/// A ledger as it can be kept over a restart, for instance in a [`StateFile`](crate::StateFile). Made by [`Ledger::save`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerState {
    /// The conventions in words: a ledger is not continued under others.
    conventions: String,
    currency: Currency,
    /// Starting equity and all transfers since.
    contributed: f64,
    equity: f64,
    /// The time of the latest event.
    now: Option<Timestamp>,
    /// Its day.
    today: Option<Date>,
    last_mark: Option<Timestamp>,
    trades: Trades,
    periods: Periods,
    drawdown: Drawdown,
    returns: Returns,
    /// Equity when the last day that counts was over.
    last_close: f64,
    /// Not called `recent`, which the first edition needs and cannot read as it is now: it refuses the file.
    #[serde(default)]
    remembered: Seen,
    /// What a state of the first edition remembers, until a ledger goes on from it.
    #[serde(default, rename = "recent", skip_serializing_if = "Option::is_none")]
    of_first_edition: Option<FirstEdition>,
}

impl Ledger {
    /// A ledger that begins with this much, and holds this currency. Its first day is that of its first event.
    ///
    /// Fails unless the starting equity is above zero: no return can be computed from nothing.
    pub fn new(conventions: Conventions, starting_equity: Money) -> Result<Self, Error> {
        let (amount, currency) = (starting_equity.amount(), starting_equity.currency());
        check_amount(starting_equity)?;
        if amount < SMALLEST {
            return Err(Error::NonPositiveEquity {
                equity: starting_equity,
            });
        }
        let state = LedgerState {
            conventions: conventions.to_string(),
            currency,
            contributed: amount,
            equity: amount,
            now: None,
            today: None,
            last_mark: None,
            trades: Trades::default(),
            periods: Periods::new(amount),
            drawdown: Drawdown::new(amount),
            returns: Returns::default(),
            last_close: amount,
            remembered: Seen::default(),
            of_first_edition: None,
        };
        Ok(Self::of(conventions, state))
    }

    /// Goes on from what [`save`](Self::save) gave: whatever follows, the ledger is to the last bit what it would be had it
    /// not been interrupted.
    ///
    /// Fails when it was saved under other conventions; a longer list of holidays is no other convention.
    pub fn restore(conventions: Conventions, saved: LedgerState) -> Result<Self, Error> {
        let stated = conventions.to_string();
        if saved.conventions == stated {
            let mut saved = saved;
            if let (Some(first), Some(now)) = (saved.of_first_edition.take(), saved.now) {
                saved.remembered = Seen::of_earlier_ledger(&first.hashes, now);
            }
            Ok(Self::of(conventions, saved))
        } else {
            Err(Error::OtherConventions {
                saved: saved.conventions,
                stated,
            })
        }
    }

    fn of(conventions: Conventions, state: LedgerState) -> Self {
        Self {
            risk_free: conventions.risk_free_per_period(),
            conventions,
            state,
            clock: Clock::default(),
            clock_was: i64::MIN,
        }
    }

    /// The same, held to another clock than the machine's: an event that is more than five minutes ahead of it is refused. A replay
    /// of times that are yet to come hands in its own.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self.clock_was = i64::MIN;
        self
    }

    /// What is to be kept over a restart.
    #[must_use]
    pub fn save(&self) -> LedgerState {
        self.state.clone()
    }
}

/// What happens. An event that is refused changes nothing.
impl Ledger {
    /// A trade was closed.
    ///
    /// One that comes late counts in the total, and in those of day, week and month that are not over. Fails when its P/L is
    /// no number or in another currency, or its identifier is among those remembered.
    pub fn trade_closed(&mut self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        self.check(trade.pnl)?;
        self.check_time(trade.at)?;
        self.check_new(trade)?;
        let day = self.conventions.calendar().day(trade.at);
        self.advance(trade.at, day);
        if let Some(identity) = trade.identity() {
            self.state.remembered.insert(identity, trade.at, ());
        }
        let pnl = trade.pnl.amount();
        let before = self.closed_trades_equity();
        self.state.trades.push(pnl);
        self.state.periods.trade(day, pnl);
        if self.conventions.basis() == Basis::PerTrade {
            self.state.returns.push(before, pnl, self.risk_free);
        }
        if self.conventions.valuation() == Valuation::ClosedTrades {
            self.observe(
                self.state.now.unwrap_or(trade.at),
                self.closed_trades_equity(),
            );
        }
        Ok(())
    }

    /// The equity is this much: cash and positions at their prices.
    ///
    /// Said twice, it counts once. Fails when it is no number or in another currency, when it is older than the last mark or
    /// its day is over, and when the ledger is valued by its closed trades.
    pub fn mark_equity(&mut self, at: Timestamp, equity: Money) -> Result<(), Error> {
        self.check_mark(at, equity)?;
        self.advance(at, self.conventions.calendar().day(at));
        self.state.last_mark = Some(at);
        self.observe(at, equity.amount());
        Ok(())
    }

    /// A trade was closed, and the equity is this much after it: both, or, when either is refused, neither.
    pub fn close_and_mark_equity(
        &mut self,
        trade: &ClosedTrade<'_>,
        equity: Money,
    ) -> Result<(), Error> {
        self.check_mark(trade.at, equity)?;
        self.trade_closed(trade)?;
        self.mark_equity(trade.at, equity)
    }

    /// A trade was closed, and the positions that are left have made this much so far: both, or, when either is refused,
    /// neither. Booked in two steps, a profit counts twice between them, as realised and as open.
    pub fn close_and_mark_open_pnl(
        &mut self,
        trade: &ClosedTrade<'_>,
        open_pnl: Money,
    ) -> Result<(), Error> {
        self.check_mark(trade.at, open_pnl)?;
        self.trade_closed(trade)?;
        self.mark_open_pnl(trade.at, open_pnl)
    }

    /// Whether a mark can be taken now.
    fn check_mark(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        self.check(money)?;
        if self.conventions.valuation() != Valuation::Marks {
            return Err(Error::NotMarked);
        }
        self.check_time(at)?;
        let is_before_last = self.state.last_mark.is_some_and(|last| at < last);
        let day = self.conventions.calendar().day(at);
        if is_before_last || self.state.today.is_some_and(|today| day < today) {
            return Err(Error::LateMark {
                at,
                now: self.state.now.unwrap_or(at),
            });
        }
        Ok(())
    }

    /// Open positions are worth this much more than they cost, or less: the equity is starting equity + transfers + realised
    /// P/L + this. For a strategy, which has no cash of its own. Fails as [`mark_equity`](Self::mark_equity) does.
    pub fn mark_open_pnl(&mut self, at: Timestamp, open_pnl: Money) -> Result<(), Error> {
        self.check(open_pnl)?;
        let equity = self.closed_trades_equity() + open_pnl.amount();
        self.mark_equity(at, Money::new(equity, open_pnl.currency()))
    }

    /// Money was paid in, or, negative, taken out. It is neither profit nor loss: equity moves, and returns and drawdown are
    /// what they would be without it. Where the ledger is marked, mark it before, for the money is taken to come at the last
    /// mark.
    ///
    /// Fails when it is no number or in another currency, and when there is nothing above zero before or after it.
    pub fn transfer(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        self.check(money)?;
        let contributed = self.state.contributed + money.amount();
        let before = self.state.equity;
        let after = match self.conventions.valuation() {
            Valuation::Marks => before + money.amount(),
            Valuation::ClosedTrades => contributed + self.state.trades.realized(),
        };
        if before.min(after) < SMALLEST {
            let amount = before.min(after);
            let equity = Money::new(amount, money.currency());
            return Err(Error::NonPositiveEquity { equity });
        }
        self.check_time(at)?;
        self.advance_to(at);
        self.state.contributed = contributed;
        self.state.equity = after;
        self.state.last_close *= after / before;
        self.state.drawdown.transfer(after);
        self.state.periods.transfer(money.amount());
        Ok(())
    }

    /// It is this late: what is over is over. Trades and marks say so themselves; this is for a desk at rest, once a minute or
    /// so. An earlier time changes nothing, nor does one from the future.
    pub fn advance_to(&mut self, at: Timestamp) {
        if self.check_time(at).is_ok() {
            self.advance(at, self.conventions.calendar().day(at));
        }
    }

    fn advance(&mut self, at: Timestamp, day: Date) {
        if self.state.now.is_some_and(|now| at <= now) {
            return;
        }
        self.state.now = Some(at);
        match self.state.today {
            // A zone may repeat a day: the clock of the ledger does not.
            Some(today) if day <= today => return,
            Some(today) => self.close_days(today, day),
            None => self.state.drawdown.begin(at),
        }
        self.state.periods.advance(day, self.state.equity);
        self.state.today = Some(day);
    }

    /// Takes the returns of the day that ends and of those that passed without an event.
    fn close_days(&mut self, today: Date, next: Date) {
        if self.conventions.basis() != Basis::PeriodReturns {
            return;
        }
        let calendar = self.conventions.calendar();
        let (equity, idle) = (self.state.equity, calendar.days_between(today, next));
        // What changed on a day that does not count belongs to the next that does, be it idle.
        let (moved, idle) = if calendar.counts(today) {
            (true, idle)
        } else {
            (idle > 0, idle.saturating_sub(1))
        };
        if moved {
            let before = self.state.last_close;
            self.state
                .returns
                .push(before, equity - before, self.risk_free);
            self.state.last_close = equity;
        }
        self.state.returns.push_idle(equity, idle, self.risk_free);
    }

    /// Refuses what is later than the clock and its tolerance: with it, the days until then would be over, and whatever comes next
    /// too late. The clock is asked only where it could matter.
    fn check_time(&mut self, at: Timestamp) -> Result<(), Error> {
        let nanoseconds = i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
        if nanoseconds <= self.clock_was {
            return Ok(());
        }
        self.clock_was = self.clock.since_epoch();
        if self.clock.is_future(nanoseconds, FUTURE) {
            return Err(Error::FromFuture { at });
        }
        Ok(())
    }

    /// Refuses a trade that was counted, or may have been.
    fn check_new(&self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        let (Some(id), Some(identity)) = (trade.id, trade.identity()) else {
            return Ok(());
        };
        let remembered = &self.state.remembered;
        let met = match remembered.meet(identity, trade.at) {
            Met::New if remembered.has_earlier() => {
                remembered.meet(Identity::of_earlier_ledger(id), trade.at)
            }
            met => met,
        };
        let id = || id.to_owned();
        match met {
            Met::New => Ok(()),
            Met::Known => Err(Error::DuplicateTrade { id: id() }),
            Met::TooOld => Err(Error::ForgottenTrade {
                id: id(),
                at: trade.at,
            }),
        }
    }

    fn observe(&mut self, at: Timestamp, equity: f64) {
        self.state.equity = equity;
        self.state.drawdown.observe(at, equity);
    }

    fn check(&self, money: Money) -> Result<(), Error> {
        check_amount(money)?;
        if money.currency() == self.state.currency {
            Ok(())
        } else {
            Err(Error::OtherCurrency {
                money,
                ledger: self.state.currency,
            })
        }
    }

    /// Starting equity, transfers and realised P/L.
    fn closed_trades_equity(&self) -> f64 {
        self.state.contributed + self.state.trades.realized()
    }
}

fn check_amount(money: Money) -> Result<(), Error> {
    if money.is_amount() {
        Ok(())
    } else {
        Err(Error::InvalidAmount {
            amount: money.amount(),
            currency: money.currency(),
        })
    }
}

/// What comes out. Money is in the ledger's currency; a statistic that has no value says why.
impl Ledger {
    /// The conventions it was built with.
    #[must_use]
    pub const fn conventions(&self) -> &Conventions {
        &self.conventions
    }

    /// The currency it holds.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.state.currency
    }

    /// The time of the latest event; nothing before the first.
    #[must_use]
    pub const fn now(&self) -> Option<Timestamp> {
        self.state.now
    }

    /// What the account or strategy is worth: the last mark and transfers since, or starting equity + transfers + realised
    /// P/L, as its [`Valuation`] says. The starting equity at first.
    #[must_use]
    pub const fn equity(&self) -> f64 {
        self.state.equity
    }

    /// Closed trades in the period under way. None at first.
    #[must_use]
    pub fn trades(&self, period: Period) -> u64 {
        self.state
            .periods
            .trades(period)
            .unwrap_or(self.state.trades.count())
    }

    /// P/L of the trades that were closed in the period under way: `Σ pnl`. Zero when there were none. Trades that came when
    /// their period was over are in the total only.
    #[must_use]
    pub fn realized_pnl(&self, period: Period) -> f64 {
        self.state
            .periods
            .realized(period)
            .unwrap_or(self.state.trades.realized())
    }

    /// How much the equity changed in the period under way, open positions included and transfers not:
    /// `equity − equity when the period began − transfers since`.
    #[must_use]
    pub fn equity_change(&self, period: Period) -> f64 {
        self.state.equity
            - self
                .state
                .periods
                .opening(period)
                .unwrap_or(self.state.contributed)
    }

    /// Share of the closed trades that made a profit: `wins / trades`, from 0 to 1. A trade that broke even is no win, but is in
    /// the divisor: it was taken, and won nothing.
    ///
    /// Undefined without trades. quantstats' `win_rate` leaves those that broke even out of the divisor.
    pub fn win_ratio(&self) -> Result<f64, Undefined> {
        self.state.trades.win_ratio()
    }

    /// Mean P/L of the trades that made a profit: `Σ pnl⁺ / wins`. As quantstats' `avg_win` of a list of P/L. Undefined without
    /// such trades.
    pub fn average_win(&self) -> Result<f64, Undefined> {
        self.state.trades.average_win()
    }

    /// Mean P/L of the trades that made a loss: `Σ pnl⁻ / losses`, below zero. As quantstats' `avg_loss` of a list of P/L.
    /// Undefined without such trades.
    pub fn average_loss(&self) -> Result<f64, Undefined> {
        self.state.trades.average_loss()
    }

    /// What was won for each unit of money lost: `Σ pnl⁺ / |Σ pnl⁻|`; 0 when nothing was won. As quantstats' `profit_factor`
    /// of a list of P/L, which says infinite, or 0 for an empty list, where this is undefined: without losses.
    pub fn profit_factor(&self) -> Result<f64, Undefined> {
        self.state.trades.profit_factor()
    }

    /// Mean return above the risk-free one, for each unit of its standard deviation, annualised:
    /// `(mean(r) − rf) / std(r) · √A`, with `std` over `n − 1` (or `n`, if [stated](super::Deviation)), `rf` per period and
    /// `A` periods per year (W. Sharpe, 1994). As empyrical's and quantstats' `sharpe`.
    ///
    /// Undefined for fewer than two returns, for returns that do not differ (a standard deviation below 1e-13, which is what
    /// rounding makes of equal returns), and once a period began with no equity. The period under way is not part of it.
    pub fn sharpe_ratio(&self) -> Result<f64, Undefined> {
        self.state.returns.sharpe(&self.conventions)
    }

    /// Mean return above the risk-free one, for each unit of downside deviation, annualised:
    /// `(mean(r) − rf) / √(Σ min(r − rf, 0)² / n) · √A`, where all `n` returns are in the divisor (F. Sortino, R. van der Meer,
    /// 1991). As empyrical's `sortino_ratio` with `rf` as the required return, and quantstats' `sortino`.
    ///
    /// Undefined for fewer than two returns, when no return lies below the risk-free one, and once a period began with no
    /// equity.
    pub fn sortino_ratio(&self) -> Result<f64, Undefined> {
        self.state.returns.sortino(&self.conventions)
    }

    /// How many returns the ratios are computed from.
    #[must_use]
    pub const fn returns(&self) -> u64 {
        self.state.returns.count()
    }

    /// How far equity lies below its highest, as a share of that: `equity / peak − 1`; 0 at the peak, −1 when all is lost,
    /// below −1 when more is. The peak is at first the starting equity; less than 1e-12 below it is rounding, and 0.
    #[must_use]
    pub fn drawdown_ratio(&self) -> f64 {
        self.state.drawdown.current()
    }

    /// The deepest [drawdown](Self::drawdown_ratio) there was: `min(equity / peak − 1)` over every observed equity, within a
    /// day too; never above 0. As empyrical's and quantstats' `max_drawdown`, which see one equity a day.
    #[must_use]
    pub const fn max_drawdown_ratio(&self) -> f64 {
        self.state.drawdown.worst()
    }

    /// How long the open drawdown lasts: seconds from when equity last stood at its peak to the latest event; 0 when there is
    /// none.
    #[must_use]
    pub fn drawdown_age_seconds(&self) -> f64 {
        self.state.drawdown.age_seconds(self.state.now)
    }

    /// The longest time from a peak to when equity stood there again, in seconds. Undefined until a drawdown was recovered; an
    /// open one is told by its [age](Self::drawdown_age_seconds). quantstats' `drawdown_details` counts days from the first
    /// below the peak to the last, both included.
    pub fn longest_recovery_seconds(&self) -> Result<f64, Undefined> {
        self.state.drawdown.longest_recovery_seconds()
    }

    /// How many of the last trades ended like this one after another; 0 when the last one did not. A trade that broke even ends
    /// both streaks.
    #[must_use]
    pub const fn streak(&self, result: TradeResult) -> u64 {
        self.state.trades.streak(result)
    }

    /// The longest [streak](Self::streak) there was. As quantstats' `consecutive_wins` and `consecutive_losses` of a list of P/L.
    #[must_use]
    pub const fn longest_streak(&self, result: TradeResult) -> u64 {
        self.state.trades.longest_streak(result)
    }

    /// How many trades ended like this.
    #[must_use]
    pub const fn trades_of(&self, result: TradeResult) -> u64 {
        self.state.trades.count_of(result)
    }

    /// The highest P/L of a trade: `max(pnl)`, a loss if all made one. Undefined without trades.
    pub fn best_trade(&self) -> Result<f64, Undefined> {
        self.state.trades.best()
    }

    /// The lowest P/L of a trade: `min(pnl)`, a profit if all made one. Undefined without trades.
    pub fn worst_trade(&self) -> Result<f64, Undefined> {
        self.state.trades.worst()
    }
}
