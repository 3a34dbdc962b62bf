//! The ledger: closed trades and marks in, statistics out.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::history::History;
use super::journal::{CorrectionWindow, Entry, Journal, What};
use super::periods::Periods;
use super::standing::{Overdrawn, Rules, Standing};
use super::trades::{ClosedTrade, TradeId};
use super::{Basis, Conventions, Currency, Money, SMALLEST, Valuation};
use crate::seen::{Identity, Met, Scope, Seen};
use crate::{Clock, Error};

/// The performance of an account or a strategy, without metrics: [`Account`](super::Account) and
/// [`StrategyLedger`](super::StrategyLedger) hold one and export it.
///
/// Each trade, mark and transfer costs the same however many came before. All times are those of
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
/// )?;
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
    pub(super) rules: Rules,
    pub(super) currency: Currency,
    pub(super) standing: Standing,
    journal: Journal,
    pub(super) history: History,
    /// The time of the latest event, or how late it was said to be.
    pub(super) now: Option<Timestamp>,
    remembered: Seen,
    clock: Clock,
    /// What the clock said when it was last asked, in nanoseconds since 1970.
    clock_was: i64,
    /// The day of the event before, with moments from and until which it is the day: most events follow on the same day.
    last_day: Option<(Timestamp, Timestamp, Date)>,
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
    /// What stood before the first of the events that are kept.
    #[serde(flatten)]
    base: Standing,
    /// How late it is.
    now: Option<Timestamp>,
    #[serde(default)]
    history: History,
    /// The events of the correction window, in order. Earlier editions kept none.
    #[serde(default)]
    entries: Option<Vec<Entry>>,
    /// Not called `recent`, which the first edition needs and cannot read as it is now: it refuses the file.
    #[serde(default)]
    remembered: Seen,
    /// What a state of the first edition remembers, until a ledger goes on from it.
    #[serde(default, rename = "recent", skip_serializing_if = "Option::is_none")]
    of_first_edition: Option<FirstEdition>,
}

/// Money that was paid in, or, negative, taken out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer<'a> {
    /// When it came or went.
    pub at: Timestamp,
    /// How much.
    pub money: Money,
    /// What tells it from other flows. With it, the flow counts once however often it is reported.
    pub id: Option<&'a str>,
}

impl<'a> Transfer<'a> {
    /// A transfer without an identifier: it counts each time it is reported.
    #[must_use]
    pub const fn new(at: Timestamp, money: Money) -> Self {
        Self {
            at,
            money,
            id: None,
        }
    }

    /// The same with an identifier, such as that of the bank transfer.
    #[must_use]
    pub const fn with_id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }
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
        Ok(Self {
            rules: Rules::new(conventions),
            currency,
            standing: Standing::new(amount),
            journal: Journal::new(&Standing::new(amount), CorrectionWindow::DEFAULT),
            history: History::default(),
            now: None,
            remembered: Seen::default(),
            clock: Clock::default(),
            clock_was: i64::MIN,
            last_day: None,
        })
    }

    /// Goes on from what [`save`](Self::save) gave: whatever follows, the ledger is to the last bit what it would be had it
    /// not been interrupted.
    ///
    /// Under another risk-free rate, number of periods or deviation, the ratios are those of the new ones, of all returns that are
    /// [kept](super::KEPT_RETURNS); those before keep the rate at which they were counted. Fails when it was saved under another
    /// basis, valuation or calendar; a longer list of holidays is no other calendar, nor is the exchange's own in the place of its
    /// weekdays.
    pub fn restore(conventions: Conventions, saved: LedgerState) -> Result<Self, Error> {
        if !conventions.continue_from(&saved.conventions) {
            return Err(Error::OtherConventions {
                saved: saved.conventions,
                stated: conventions.to_string(),
            });
        }
        let is_same = saved.conventions == conventions.to_string();
        let rules = Rules::new(conventions);
        let mut saved = saved.completed(&rules);
        if !is_same {
            let place = saved.base.marker();
            let returns = saved.history.returns_to(place, &rules.risk_free);
            saved.base.set_returns(returns);
        }
        let mut ledger = Self {
            rules,
            currency: saved.currency,
            standing: saved.base,
            journal: Journal::new(&saved.base, CorrectionWindow::DEFAULT),
            history: saved.history,
            now: saved.now,
            remembered: saved.remembered,
            clock: Clock::default(),
            clock_was: i64::MIN,
            last_day: None,
        };
        // What does not fit came from a damaged file, and is passed over.
        let _ = ledger.replay(&saved.base, saved.entries.unwrap_or_default());
        Ok(ledger)
    }

    /// The same with another window for late events and corrections. A restored ledger is given it again.
    #[must_use]
    pub const fn with_corrections(mut self, window: CorrectionWindow) -> Self {
        self.journal.set_window(window);
        self
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
        let base = self.journal.base();
        let mut history = self.history.clone();
        history.rewind(base.marker());
        LedgerState {
            conventions: self.rules.conventions.to_string(),
            currency: self.currency,
            base,
            now: self.now,
            history,
            entries: Some(self.journal.entries().copied().collect()),
            remembered: self.remembered.clone(),
            of_first_edition: None,
        }
    }
}

impl LedgerState {
    /// With all that earlier editions did not keep.
    fn completed(mut self, rules: &Rules) -> Self {
        if let (Some(first), Some(now)) = (self.of_first_edition.take(), self.now) {
            self.remembered = Seen::of_earlier_ledger(&first.hashes, now);
        }
        if self.entries.is_none() {
            // They had one risk-free rate.
            self.base.complete(self.now, rules.risk_free.on(Date::MAX));
            self.history = History::after(self.base.returns);
        }
        self
    }
}

/// What happens. An event that is refused changes nothing.
impl Ledger {
    /// A trade was closed.
    ///
    /// One that comes late is put where its time belongs, within the [correction window](CorrectionWindow). One that is older counts in
    /// the total and in those of day, week and month that are not over, and for streaks and returns per trade as if it were closed
    /// now.
    ///
    /// Fails when its P/L is no number or in another currency, when its identifier is among those remembered, and without a notional
    /// where returns are taken on it.
    pub fn trade_closed(&mut self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        self.check(trade.pnl)?;
        self.check_time(trade.at)?;
        self.check_new(trade)?;
        let notional = self.notional(trade)?;
        let (at, pnl) = (trade.at, trade.pnl.amount());
        let mut entry = self.entry(at, What::Trade { pnl, notional });
        let identity = trade.identity();
        entry.id = identity;
        match self.enter(entry) {
            Err(Refused::TooLate) => {
                let now = self.now.map_or(at, |now| now.max(at));
                let of = entry.day;
                let late = What::LateTrade { pnl, notional, of };
                // It is appended, which nothing refuses.
                let late = self.entry(now, late);
                let _ = self.enter(late);
            }
            Err(Refused::Overdrawn(overdrawn)) => return Err(self.overdrawn(overdrawn)),
            Ok(()) => {}
        }
        // A book that numbers its trades makes none twice.
        if let (Some(_), Some(identity)) = (trade.id, identity) {
            self.remembered.insert(identity, at, ());
        }
        Ok(())
    }

    /// The equity is this much: cash and positions at their prices.
    ///
    /// Idempotent: the figure that a moment has, or had before it was [corrected](Self::correct_mark), changes nothing. Another figure for
    /// the same moment counts, be the first [voided](Self::void_mark) or not. One that comes late is put where its time belongs.
    ///
    /// Fails when it is no number or in another currency, when it is older than the [correction window](CorrectionWindow), when it is a
    /// figure that was voided, and when the ledger is valued by its closed trades.
    pub fn mark_equity(&mut self, at: Timestamp, equity: Money) -> Result<(), Error> {
        self.mark(at, equity, What::Equity(equity.amount()))
    }

    /// The equity is this much, and holds these flows already, as the figure of a broker does that is asked once a day.
    ///
    /// A flow with an earlier time than the mark's is put there; any other comes at the mark, of which it is taken off first. A flow
    /// whose identifier is known is in the ledger, and is left out. Fails as [`mark_equity`](Self::mark_equity) and
    /// [`flow`](Self::take_transfer) do.
    ///
    /// ```
    /// use jiff::{Timestamp, tz::TimeZone};
    /// use obs_trading::{
    ///     Basis, Calendar, Conventions, Currency, Ledger, Money, PeriodsPerYear, Transfer, Valuation,
    /// };
    ///
    /// let conventions = Conventions::new(
    ///     Basis::PeriodReturns,
    ///     Valuation::Marks,
    ///     PeriodsPerYear::EVERY_DAY,
    ///     Calendar::every_day(TimeZone::UTC),
    /// )?;
    /// let usd = |amount| Money::new(amount, Currency::USD);
    /// let mut ledger = Ledger::new(conventions, usd(100_000.0))?;
    /// let close: Timestamp = "2024-06-03T20:00:00Z".parse()?;
    /// let deposit = Transfer::new(close, usd(50_000.0)).with_id("wire-7");
    /// ledger.mark_with_flows(close, usd(150_000.0), &[deposit])?;
    /// ledger.take_transfer(&deposit)?; // reported again: no effect
    /// assert_eq!((ledger.equity(), ledger.drawdown_ratio()), (150_000.0, 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_with_flows(
        &mut self,
        at: Timestamp,
        equity: Money,
        flows: &[Transfer<'_>],
    ) -> Result<(), Error> {
        if flows.is_empty() {
            return self.mark_equity(at, equity);
        }
        let before = self.clone();
        let done = self.mark_and_flow(at, equity, flows);
        if done.is_err() {
            *self = before;
        }
        done
    }

    fn mark_and_flow(
        &mut self,
        at: Timestamp,
        equity: Money,
        flows: &[Transfer<'_>],
    ) -> Result<(), Error> {
        let mut held = Money::zero(self.currency);
        let mut with_the_mark = Vec::new();
        for flow in flows {
            if flow.at < at {
                self.take_transfer(flow)?;
            } else if !self.knows(flow)? {
                self.check(flow.money)?;
                held = held.plus(flow.money).unwrap_or(held);
                with_the_mark.push(Transfer { at, ..*flow });
            }
        }
        let out = Money::new(-held.amount(), self.currency);
        let without = equity.plus(out).unwrap_or(equity);
        self.mark_equity(at, without)?;
        with_the_mark
            .iter()
            .try_for_each(|flow| self.take_transfer(flow))
    }

    /// A trade was closed, and the equity is this much after it: both, or, when either is refused, neither.
    pub fn close_and_mark_equity(
        &mut self,
        trade: &ClosedTrade<'_>,
        equity: Money,
    ) -> Result<(), Error> {
        self.check_mark(trade.at, equity, &What::Equity(equity.amount()))?;
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
        self.check_mark(trade.at, open_pnl, &What::OpenPnl(open_pnl.amount()))?;
        self.trade_closed(trade)?;
        self.mark_open_pnl(trade.at, open_pnl)
    }

    /// Open positions are worth this much more than they cost, or less: the equity is starting equity + transfers + realised
    /// P/L + this. For a strategy, which has no cash of its own. Fails as [`mark_equity`](Self::mark_equity) does.
    pub fn mark_open_pnl(&mut self, at: Timestamp, open_pnl: Money) -> Result<(), Error> {
        self.mark(at, open_pnl, What::OpenPnl(open_pnl.amount()))
    }

    fn mark(&mut self, at: Timestamp, money: Money, what: What) -> Result<(), Error> {
        self.check_markable(at, money)?;
        let entry = self.entry(at, what);
        if self.has_said(at, money, &what)? {
            return Ok(());
        }
        self.enter(entry)
            .map_err(|refused| self.refusal(refused, |now| Error::LateMark { at, now }))
    }

    /// Money was paid in, or, negative, taken out, without an identifier; see [`flow`](Self::take_transfer).
    pub fn transfer(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        self.take_transfer(&Transfer::new(at, money))
    }

    /// Money was paid in, or, negative, taken out. It is neither profit nor loss: equity moves, and returns and drawdown are
    /// what they would be without it. The equity before it is that of the mark before: where one is at hand for the moment when the
    /// money comes, say that first. What a mark holds already is for [`mark_with_flows`](Self::mark_with_flows).
    ///
    /// When everything is taken out, returns and drawdown wait for the next deposit. After everything was lost, one begins a new peak:
    /// the deepest drawdown stays, and what is made of the money on that day is part of the next return.
    ///
    /// Idempotent, where it has an identifier. One that comes late is put where its time belongs. Fails when it is no number or in
    /// another currency, when more is taken out than there was, and when it is older than the [correction
    /// window](CorrectionWindow).
    pub fn take_transfer(&mut self, flow: &Transfer<'_>) -> Result<(), Error> {
        self.check(flow.money)?;
        self.check_time(flow.at)?;
        if self.knows(flow)? {
            return Ok(());
        }
        let mut entry = self.entry(flow.at, What::Flow(flow.money.amount()));
        entry.id = flow_identity(flow.id);
        self.enter(entry)
            .map_err(|refused| self.refusal(refused, |now| Error::LateFlow { at: flow.at, now }))?;
        if let Some(identity) = entry.id {
            self.remembered.insert(identity, flow.at, ());
        }
        Ok(())
    }

    /// It is this late: what is over is over. Trades and marks say so themselves; this is for a desk at rest, once a minute or
    /// so. An earlier time changes nothing, nor does one from the future; the first day is that of the first event.
    pub fn advance_to(&mut self, at: Timestamp) {
        if self.check_time(at).is_ok() && self.now.is_none_or(|now| now < at) {
            self.now = Some(at);
            self.catch_up();
        }
    }
}

/// What is taken back or put right, within the [correction window](CorrectionWindow). The ledger is then what it would be had the event
/// been so from the start; a correction that is refused changes nothing.
impl Ledger {
    /// A trade was a mistake, or the venue took it back (a bust). It stays known, so that a replay does not bring it again. Idempotent.
    ///
    /// Fails when no such trade is kept.
    pub fn void_trade<'a>(&mut self, id: impl Into<TradeId<'a>>) -> Result<(), Error> {
        let id = id.into();
        self.amend(
            "trade",
            id.text,
            |kept| {
                id.identity.is_some()
                    && kept.id == id.identity
                    && matches!(kept.what, What::Trade { .. })
            },
            None,
        )
    }

    /// The trade with this identifier made this much instead, of this notional. Its time stays. Idempotent.
    ///
    /// Fails when no such trade is kept, when it was voided, and as [`trade_closed`](Self::trade_closed) does.
    pub fn correct_trade(&mut self, trade: &ClosedTrade<'_>) -> Result<(), Error> {
        self.check(trade.pnl)?;
        let (pnl, notional) = (trade.pnl.amount(), self.notional(trade)?);
        let id = TradeId::from(trade);
        self.amend(
            "trade",
            id.text,
            |kept| {
                id.identity.is_some()
                    && kept.id == id.identity
                    && matches!(kept.what, What::Trade { .. })
            },
            Some(What::Trade { pnl, notional }),
        )
    }

    /// The trade of this number, of a book of positions, made this much instead, or was none.
    ///
    /// Marks of open positions since then counted what it made as closed; they take the difference, so that the equity stays what it was
    /// said to be, until the next mark says what it is now. A bust of yesterday's execution is no drawdown of yesterday's.
    pub(crate) fn rebook(
        &mut self,
        number: u64,
        now: Option<&ClosedTrade<'_>>,
    ) -> Result<(), Error> {
        let identity = Some(Identity::of_trade(number));
        let (pnl, notional) = match now {
            Some(trade) => {
                self.check(trade.pnl)?;
                (trade.pnl.amount(), self.notional(trade)?)
            }
            None => (0.0, None),
        };
        let is_it = |kept: &Entry| kept.id == identity && matches!(kept.what, What::Trade { .. });
        let place = self
            .journal
            .find(is_it)
            .ok_or_else(|| Error::NotCorrectable {
                kind: "trade",
                id: number.to_string(),
            })?;
        let before = self.clone();
        let kept = self.journal.get_mut(place);
        let was = match kept.what {
            What::Trade { pnl, .. } if !kept.is_void => pnl,
            _ => 0.0,
        };
        kept.is_void = now.is_none();
        if now.is_some() {
            (kept.what, kept.is_corrected) = (What::Trade { pnl, notional }, true);
        }
        for later in self.journal.after_mut(place) {
            if let What::OpenPnl(open) = &mut later.what {
                *open += was - pnl;
            }
        }
        self.replay_from(place.segment).map_err(|overdrawn| {
            let refused = self.overdrawn(overdrawn);
            *self = before;
            refused
        })
    }

    /// A flow was a mistake, or was returned as if it had not been made. It stays known. Idempotent.
    ///
    /// Fails when no such flow is kept, and when without it another takes out more than there was.
    pub fn void_transfer(&mut self, id: &str) -> Result<(), Error> {
        let identity = flow_identity(Some(id));
        self.amend("transfer", id, |kept| kept.id == identity, None)
    }

    /// The flow with this identifier was this much instead. Its time stays. Fails as [`void_transfer`](Self::void_transfer) does, and when it was
    /// voided.
    pub fn correct_transfer(&mut self, id: &str, money: Money) -> Result<(), Error> {
        self.check(money)?;
        let identity = flow_identity(Some(id));
        let what = What::Flow(money.amount());
        self.amend("transfer", id, |kept| kept.id == identity, Some(what))
    }

    /// The mark of this moment was a mistake, such as a price feed's glitch. The same figure is refused when it is reported again for this
    /// moment; another one counts. Idempotent. Of two at the same moment, the later is meant.
    ///
    /// Fails when no mark of that time is kept.
    pub fn void_mark(&mut self, at: Timestamp) -> Result<(), Error> {
        self.amend(
            "mark",
            &at.to_string(),
            |kept| kept.at == at && kept.what.is_mark(),
            None,
        )
    }

    /// The mark of this moment, of equity or open P/L, says this instead. Fails as [`void_mark`](Self::void_mark) does, when it was
    /// voided, and when it is no number or in another currency.
    pub fn correct_mark(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        self.check(money)?;
        let is_it = |kept: &Entry| kept.at == at && kept.what.is_mark();
        let found = self.journal.entries().rfind(|kept| is_it(kept));
        let what = found.map(|kept| kept.what.corrected(money.amount()));
        self.amend("mark", &at.to_string(), is_it, what)
    }

    /// The events that can be corrected begin here; nothing where all can.
    #[must_use]
    pub fn correctable_since(&self) -> Option<Timestamp> {
        self.journal.base().at()
    }

    /// Changes or voids the last event of which this is true.
    fn amend(
        &mut self,
        kind: &'static str,
        id: &str,
        is_it: impl Fn(&Entry) -> bool,
        what: Option<What>,
    ) -> Result<(), Error> {
        let missing = || Error::NotCorrectable {
            kind,
            id: id.to_owned(),
        };
        let place = self.journal.find(is_it).ok_or_else(missing)?;
        let kept = self.journal.get_mut(place);
        let before = *kept;
        match what {
            Some(_) if before.is_void => return Err(missing()),
            Some(what) => (kept.what, kept.is_corrected) = (what, true),
            None => kept.is_void = true,
        }
        let after = *kept;
        if after == before {
            return Ok(());
        }
        let undo = |kept: &mut Entry| *kept = before;
        self.replay_from(place.segment).map_err(|overdrawn| {
            self.undo(&after, undo);
            self.overdrawn(overdrawn)
        })
    }
}

/// How events are taken.
impl Ledger {
    /// The day of an event.
    fn day(&mut self, at: Timestamp) -> Date {
        if let Some((from, until, day)) = self.last_day
            && from <= at
            && at < until
        {
            return day;
        }
        let (day, until) = self.rules.day_and_end(at);
        self.last_day = Some((at, until, day));
        day
    }

    fn entry(&mut self, at: Timestamp, what: What) -> Entry {
        Entry {
            at,
            day: self.day(at),
            what,
            id: None,
            is_corrected: false,
            is_void: false,
        }
    }

    /// Takes an event: at the end, or, if it comes late, where its time belongs, from where all that follows is taken again.
    fn enter(&mut self, entry: Entry) -> Result<(), Refused> {
        let (at, day) = (entry.at, entry.day);
        if !self.standing.can_take(at, day) {
            let place = self.journal.insert(entry).ok_or(Refused::TooLate)?;
            return self.replay_from(place.segment).map_err(|overdrawn| {
                if let Some(place) = self.journal.find(|kept| *kept == entry) {
                    self.journal.remove(place);
                    // As it was before: the event may have begun a segment.
                    let _ = self.replay_from(place.segment.saturating_sub(1));
                }
                Refused::Overdrawn(overdrawn)
            });
        }
        if let What::Flow(amount) = entry.what
            && let Err(equity) = self.standing.fund.after(amount)
        {
            return Err(Refused::Overdrawn(Overdrawn { equity }));
        }
        self.now = self.now.max(Some(at));
        self.standing
            .advance(at, day, &self.rules, &mut self.history);
        let began = self.journal.push(entry, &self.standing);
        // A flow was asked before.
        let _ = self.standing.apply(&entry, &self.rules, &mut self.history);
        if began {
            self.forget();
        }
        Ok(())
    }

    /// Forgets what the window does not hold.
    fn forget(&mut self) {
        if let Some(now) = self.now
            && self.journal.forget(now)
        {
            let base = self.journal.base().marker();
            self.history.forget_before(base, &self.rules.risk_free);
        }
    }

    fn replay_from(&mut self, segment: usize) -> Result<(), Overdrawn> {
        let (start, entries) = self.journal.take_from(segment);
        self.replay(&start, entries)
    }

    /// Takes events after what stood before them. Says which flow took more than there was, and takes all others.
    fn replay(&mut self, start: &Standing, entries: Vec<Entry>) -> Result<(), Overdrawn> {
        let mut done = Ok(());
        self.standing = *start;
        self.history.rewind(start.marker());
        for entry in entries {
            if !entry.is_void {
                self.standing
                    .advance(entry.at, entry.day, &self.rules, &mut self.history);
            }
            self.journal.push(entry, &self.standing);
            let applied = self.standing.apply(&entry, &self.rules, &mut self.history);
            done = done.and(applied);
        }
        self.catch_up();
        done
    }

    /// What is over by now is over. A ledger begins with its first event, and no day is over before.
    fn catch_up(&mut self) {
        if let Some(now) = self.now.filter(|_| self.standing.at().is_some()) {
            let day = self.rules.day(now);
            self.standing
                .advance(now, day, &self.rules, &mut self.history);
        }
    }

    /// Puts an event back to what it was.
    fn undo(&mut self, changed: &Entry, undo: impl Fn(&mut Entry)) {
        if let Some(place) = self.journal.find(|kept| kept == changed) {
            undo(self.journal.get_mut(place));
            let _ = self.replay_from(place.segment);
        }
    }

    fn refusal(&self, refused: Refused, too_late: impl Fn(Timestamp) -> Error) -> Error {
        match refused {
            Refused::TooLate => too_late(self.now.unwrap_or(Timestamp::MIN)),
            Refused::Overdrawn(overdrawn) => self.overdrawn(overdrawn),
        }
    }

    fn overdrawn(&self, overdrawn: Overdrawn) -> Error {
        Error::NonPositiveEquity {
            equity: Money::new(overdrawn.equity, self.currency),
        }
    }

    /// Whether a mark can be taken, but for its age.
    fn check_markable(&mut self, at: Timestamp, money: Money) -> Result<(), Error> {
        self.check(money)?;
        if self.rules.conventions.valuation() != Valuation::Marks {
            return Err(Error::NotMarked);
        }
        self.check_time(at)
    }

    /// Whether a mark of this moment says this already, or did before it was corrected; fails where it was voided.
    fn has_said(&self, at: Timestamp, money: Money, what: &What) -> Result<bool, Error> {
        let kept = self.journal.entries_at(at).find(|kept| kept.has_said(what));
        match kept {
            Some(kept) if kept.is_void => Err(Error::VoidedMark { at, money }),
            kept => Ok(kept.is_some()),
        }
    }

    /// Whether a mark can be taken now.
    fn check_mark(&mut self, at: Timestamp, money: Money, what: &What) -> Result<(), Error> {
        self.check_markable(at, money)?;
        self.has_said(at, money, what)?;
        if self.journal.base().can_take(at, self.rules.day(at)) {
            return Ok(());
        }
        Err(Error::LateMark {
            at,
            now: self.now.unwrap_or(at),
        })
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
        let remembered = &self.remembered;
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

    /// Whether a flow was counted; fails where it may have been.
    fn knows(&self, flow: &Transfer<'_>) -> Result<bool, Error> {
        let Some(identity) = flow_identity(flow.id) else {
            return Ok(false);
        };
        match self.remembered.meet(identity, flow.at) {
            Met::New => Ok(false),
            Met::Known => Ok(true),
            Met::TooOld => Err(Error::LateFlow {
                at: flow.at,
                now: self.now.unwrap_or(flow.at),
            }),
        }
    }

    /// What a trade moved, where the returns are taken on it.
    fn notional(&self, trade: &ClosedTrade<'_>) -> Result<Option<f64>, Error> {
        if self.rules.conventions.basis() != Basis::PerNotional {
            return Ok(None);
        }
        let Some(notional) = trade.notional else {
            return Err(Error::NoNotional);
        };
        self.check(notional)?;
        let amount = notional.amount();
        if amount > 0.0 {
            Ok(Some(amount))
        } else {
            Err(Error::NoNotional)
        }
    }

    fn check(&self, money: Money) -> Result<(), Error> {
        check_amount(money)?;
        if money.currency() == self.currency {
            Ok(())
        } else {
            Err(Error::OtherCurrency {
                money,
                ledger: self.currency,
            })
        }
    }

    /// The periods under way on the day that the clock says, for what is shown until the next event says it.
    pub(super) fn periods_by_clock(&self) -> Periods {
        let nanoseconds = i128::from(self.clock.since_epoch());
        match Timestamp::from_nanosecond(nanoseconds) {
            Ok(now) if self.now.is_some() => self.standing.periods_on(self.rules.day(now)),
            _ => self.standing.periods,
        }
    }
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refused {
    /// It is older than what is kept.
    TooLate,
    Overdrawn(Overdrawn),
}

fn flow_identity(id: Option<&str>) -> Option<Identity> {
    id.map(|id| Scope::NONE.flow().identity(id))
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
