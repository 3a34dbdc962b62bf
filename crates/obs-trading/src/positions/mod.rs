//! From fills to profit and loss: positions, the bridge of an account's value, and reconciliation with its broker.

mod booked;
mod booking;
mod bridge;
mod figures;
mod gauges;
mod holding;
mod instrument;
mod position;
mod rates;
mod reconcile;

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use obs_core::Closed;
use serde::{Deserialize, Serialize};

use self::booked::Belongs;
use self::bridge::UNALLOCATED;
use self::gauges::Shown;
use self::position::{Entry, Position, Traded, What};
use self::rates::Rate;
use crate::seen::{Met, Scope, Seen};
use crate::{Calendar, Clock, Currency, Decimal, Error, ExecutionId, Fill, Money, Side};

pub use self::booked::{Booked, ChangedTrade, ClosedPart, Flow, PositionKey, TradesOf};
pub use self::bridge::PnlComponent;
pub use self::gauges::{
    Ended, ExposureKind, PortfolioBookMetrics, PositionGauges, PositionMetrics,
    PositionMoneyMetrics, SettledState, StrategyBookMetrics,
};
pub use self::holding::LotMethod;
pub use self::instrument::Instrument;
pub use self::reconcile::{
    Break, BreakKind, OpenOrder, Reconciled, ReconciledMoney, ReconciledPart,
    ReconciliationMetrics, ReconciliationMoneyMetrics, Statement, Tolerances,
};

/// The positions of one account, by strategy and symbol, with what they made and what made it.
///
/// Fills, flows and marks come in; closed trades, open P/L and the bridge from one value of the account to the next come out.
/// All amounts are exact. All methods take the time of the event, so that a replay gives what live would have given.
/// [`AccountBook`](crate::AccountBook) feeds ledgers, limits and rules besides.
///
/// ```
/// use obs_trading::{Currency, Fill, Instrument, Money, PnlComponent, Positions, Side, jiff::Timestamp};
///
/// let at: Timestamp = "2026-03-02T15:00:00Z".parse()?;
/// let usd = |amount| Money::new(amount, Currency::USD);
/// let mut positions = Positions::new("main", at, usd(10_000))
///     .with_instrument("AAPL", Instrument::new(Currency::USD));
/// let apple = positions.key("crossover", "AAPL")?;
///
/// positions.fill(apple, Side::Buy, &Fill::new(10, 187.25).at(at))?;
/// let booked = positions.fill(apple, Side::Sell, &Fill::new(4, 190.25).at(at))?;
/// assert_eq!(booked.closed.unwrap().pnl, usd(12));
/// positions.mark(at, "AAPL", 189.25);
/// assert_eq!(positions.open_pnl(apple)?, usd(12));
/// assert_eq!(positions.made(PnlComponent::Trading), Some(usd(24)));
/// assert_eq!(positions.value(), Some(usd(10_024)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The bridge
///
/// > change of value = trading + fees + funding + borrow + dividends + interest + fx + residual
///
/// Each part comes from its own events: trading from fills and marks, the others from fees of fills and [flows](Self::flow), fx
/// from [rates](Self::rate) and conversions. The residual is what the value that [somebody states](Self::state_value), the broker
/// or the desk's own valuation, changed by beyond them. It is not computed to make them add up; an event that was missed appears in
/// it, and nowhere else.
///
/// # Rules
///
/// - A quantity at a price is `quantity · multiplier · price`, each product rounded to the twelfth place, halves away from zero.
/// - A fill that closes a position and opens another way is closed and opened in proportion to its quantity, with price and fee.
/// - P/L of a trade is after fees in the currency of its price; fees in other currencies are in the bridge only.
/// - A foreign currency's events count in the base currency at the rate known when they happen; what rates change later is `fx`.
///   So do corrections: what an execution made otherwise counts at the execution's own rate, and the change of the rate since is `fx`. The
///   last 1,024 rates of a currency that executions were booked at are kept for it; where that rate is forgotten, the present one counts.
#[derive(Debug)]
pub struct Positions {
    state: State,
    keys: HashMap<Box<str>, HashMap<Box<str>, usize, Hash>, Hash>,
    by_symbol: HashMap<Box<str>, Vec<usize>, Hash>,
    calendar: Calendar,
    clock: Clock,
    trades: TradesOf,
    method: LotMethod,
    shown: Shown,
    /// The day under way, and when it ends.
    today: Option<Date>,
    until: Option<Timestamp>,
    /// Places of flat positions that may be used again.
    free: Vec<usize>,
}

type Hash = rapidhash::fast::RandomState;

/// What is kept of [`Positions`] over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedPositions(State);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    account: Box<str>,
    instruments: HashMap<Box<str>, Instrument>,
    money: bridge::Money,
    positions: Vec<Position>,
    seen: Seen<u32>,
    now: Timestamp,
    /// Long and short value of each currency.
    exposure: Vec<[Decimal; 2]>,
    trades: u64,
    adopted: Vec<reconcile::Adopted>,
    entries: u64,
    cash_moves: std::collections::VecDeque<(Timestamp, usize, Decimal)>,
    reconciled: Option<Timestamp>,
}

/// How many movements of cash are remembered, to set aside what came after a statement.
const CASH_MOVES: usize = 1_024;

/// Beyond so many, positions that are flat are forgotten.
const MOST_POSITIONS: usize = 50_000;

/// Rates older than a day are too old, unless another age is stated.
const OLDEST_RATE: SignedDuration = SignedDuration::from_hours(24);

/// How it begins.
impl Positions {
    /// No positions of the account of this name, which has this much cash. Its currency is the base currency of the account.
    #[must_use]
    #[track_caller]
    pub fn new(account: &str, at: Timestamp, cash: Money) -> Self {
        let money = bridge::Money::new(cash.currency(), cash.decimal(), OLDEST_RATE);
        Self::of(State {
            account: account.into(),
            instruments: HashMap::new(),
            money,
            positions: Vec::new(),
            seen: Seen::default(),
            now: at,
            exposure: vec![Default::default()],
            trades: 0,
            adopted: Vec::new(),
            entries: 0,
            cash_moves: std::collections::VecDeque::with_capacity(CASH_MOVES),
            reconciled: None,
        })
    }

    /// Positions as they were saved.
    #[must_use]
    #[track_caller]
    pub fn restore(saved: SavedPositions) -> Self {
        Self::of(saved.0)
    }

    #[track_caller]
    fn of(state: State) -> Self {
        let mut positions = Self {
            shown: Shown::new(&state.account, state.money.base),
            keys: HashMap::default(),
            by_symbol: HashMap::default(),
            calendar: Calendar::every_day(jiff::tz::TimeZone::UTC),
            clock: Clock::default(),
            trades: TradesOf::default(),
            method: LotMethod::default(),
            today: None,
            until: None,
            free: Vec::new(),
            state,
        };
        for index in 0..positions.state.positions.len() {
            positions.index(index);
            positions.show_position(index);
        }
        let reconciled = positions.state.reconciled;
        positions.shown.reconciliation.show(reconciled);
        positions.export();
        positions
    }

    /// The same, which sells units by this method. Positions that are held keep theirs.
    #[must_use]
    pub const fn with_method(mut self, method: LotMethod) -> Self {
        self.method = method;
        self
    }

    /// The same, with these as closed trades.
    #[must_use]
    pub const fn with_trades(mut self, trades: TradesOf) -> Self {
        self.trades = trades;
        self
    }

    /// The same with days that begin where this calendar's do; UTC days without.
    #[must_use]
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        self.calendar = calendar;
        self.until = None;
        self
    }

    /// The same, held to another clock than the machine's: fills without a time happen now.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The same with rates that are too old after this long; a day without.
    #[must_use]
    pub fn with_rate_age(mut self, age: SignedDuration) -> Self {
        self.state.money.set_oldest(age);
        self
    }

    /// The same, with so many positions that have series of their own; 200 without. The others are added up.
    #[must_use]
    pub fn with_named_positions(mut self, most: usize) -> Self {
        let (account, base) = (self.state.account.clone(), self.state.money.base);
        self.shown = self.shown.with_named(&account, base, most);
        for index in 0..self.state.positions.len() {
            let position = &self.state.positions[index];
            let owner = &self.state.money.owners[position.owner].name;
            self.shown
                .positions
                .follow(owner, &position.symbol, position);
        }
        self.export();
        self
    }

    /// The same with another instrument. One of the same symbol that positions are held in stays theirs.
    #[must_use]
    pub fn with_instrument(mut self, symbol: &str, instrument: Instrument) -> Self {
        self.declare(symbol, instrument);
        self
    }

    /// Another instrument.
    pub fn declare(&mut self, symbol: &str, instrument: Instrument) {
        self.state.instruments.insert(symbol.into(), instrument);
    }

    /// What is to be kept over a restart.
    #[must_use]
    pub fn save(&self) -> SavedPositions {
        SavedPositions(self.state.clone())
    }

    /// The gauges of each position: to be observed before each scrape.
    #[must_use]
    pub fn gauges(&self) -> PositionGauges {
        self.shown.positions.clone()
    }

    /// The position of a strategy in a symbol, flat at first. Fails when no instrument was declared for the symbol.
    pub fn key(&mut self, strategy: &str, symbol: &str) -> Result<PositionKey, Error> {
        if let Some(known) = self.find(strategy, symbol) {
            return Ok(known);
        }
        let unknown = || Error::UnknownInstrument {
            symbol: symbol.to_owned(),
        };
        let instrument = *self.state.instruments.get(symbol).ok_or_else(unknown)?;
        let pocket = self.pocket(instrument.currency);
        let owner = self.state.money.owner(strategy);
        let mut position = Position::new(owner, pocket, symbol, instrument, self.method);
        let index = if let Some(index) = self.free_place() {
            position.generation = self.state.positions[index].generation + 1;
            self.state.positions[index] = position;
            index
        } else {
            self.state.positions.push(position);
            self.state.positions.len() - 1
        };
        self.index(index);
        Ok(self.key_of(index))
    }

    /// The same, if there was one before.
    #[must_use]
    pub fn find(&self, strategy: &str, symbol: &str) -> Option<PositionKey> {
        let known = self.keys.get(strategy)?.get(symbol)?;
        Some(self.key_of(*known))
    }

    fn index(&mut self, index: usize) {
        let position = &mut self.state.positions[index];
        let owner = &*self.state.money.owners[position.owner].name;
        let scope = Scope::NONE
            .account(&self.state.account)
            .order(owner)
            .symbol(&position.symbol);
        position.scopes = [scope.side(Side::Buy), scope.side(Side::Sell)];
        let symbol = position.symbol.clone();
        let of_strategy = self.keys.entry(owner.into()).or_default();
        of_strategy.insert(symbol.clone(), index);
        self.by_symbol.entry(symbol).or_default().push(index);
        self.shown
            .positions
            .follow(owner, &position.symbol, position);
    }

    fn pocket(&mut self, currency: Currency) -> usize {
        let pocket = self.state.money.pocket(currency);
        let pockets = self.state.money.pockets.len();
        self.state.exposure.resize(pockets, Default::default());
        pocket
    }
}

/// What happens.
impl Positions {
    /// A fill of a strategy's order. One that was booked before changes nothing, unless its revision is higher: then it
    /// [corrects](Self::correct) the execution.
    ///
    /// Fails when quantity or price are none of the instrument, or a fee is no amount.
    pub fn fill(&mut self, key: PositionKey, side: Side, fill: &Fill) -> Result<Booked, Error> {
        let position = self.position(key)?;
        let traded = checked(position, side, fill)?;
        let at = self.time_of(fill);
        if let Some(id) = fill.id {
            let identity = position.scopes[side as usize].identity(id);
            match self.state.seen.meet(identity, at) {
                Met::New => drop(self.state.seen.insert(identity, at, id.revision())),
                Met::Known if self.is_newer(key, side, id) => return self.correct(key, side, fill),
                Met::Known | Met::TooOld => return Ok(self.unchanged(key)),
            }
        }
        self.advance(at);
        self.book(key, at, traded)
    }

    /// The execution under the fill's identifier was this, and not what was said before. [`Booked::changed`] lists the trades that are
    /// others by it: what it closed, and what was closed since.
    ///
    /// Fails as [`fill`](Self::fill) does, and when the execution is not among the last 64 events of the position.
    pub fn correct(&mut self, key: PositionKey, side: Side, fill: &Fill) -> Result<Booked, Error> {
        let position = self.position(key)?;
        let traded = checked(position, side, fill)?;
        let Some(id) = fill.id else {
            return self.fill(key, side, fill);
        };
        let identity = position.scopes[side as usize].identity(id);
        let at = self.time_of(fill);
        if self.state.seen.meet(identity, at) == Met::New {
            return self.fill(key, side, fill);
        }
        self.replace(key, side, id, Some(traded))
    }

    /// An execution did not happen: what it did is undone. One that was never booked will not be.
    ///
    /// Fails when it is not among the last 64 events of the position.
    pub fn bust(
        &mut self,
        key: PositionKey,
        side: Side,
        id: impl Into<ExecutionId>,
    ) -> Result<Booked, Error> {
        let id = id.into();
        let identity = self.position(key)?.scopes[side as usize].identity(id);
        if self.state.seen.meet(identity, self.state.now) == Met::New {
            drop(self.state.seen.insert(identity, self.state.now, u32::MAX));
            return Ok(self.unchanged(key));
        }
        self.replace(key, side, id, None)
    }

    /// Money came or went apart from a fill. One with an identifier that was booked before changes nothing.
    ///
    /// Fails when the amount is none, and for trading P/L and the residual, which come from no flow.
    pub fn flow(&mut self, at: Timestamp, flow: &Flow<'_>) -> Result<bool, Error> {
        let component = flow.component;
        if matches!(component, PnlComponent::Trading | PnlComponent::Residual) {
            return Err(Error::NoFlow { component });
        }
        checked_amount(flow.amount)?;
        if let Some(id) = flow.id {
            let identity = Scope::NONE.order(component.as_str()).identity(id);
            if self.state.seen.meet(identity, at) != Met::New {
                return Ok(false);
            }
            drop(self.state.seen.insert(identity, at, 0));
        }
        self.advance(at);
        let amount = flow.amount.decimal();
        let owner = match flow.owner {
            Belongs::Nobody => UNALLOCATED,
            Belongs::Strategy(name) => self.state.money.owner(name),
            Belongs::Position(key) => {
                let position = self.position_mut(key)?;
                if position.instrument.currency == flow.amount.currency() {
                    let what = What::Flow(amount);
                    position.apply(Entry::new(at, what));
                }
                position.owner
            }
        };
        let pocket = self.pocket(flow.amount.currency());
        self.cash(at, pocket, amount);
        self.state.money.made(at, pocket, owner, component, amount);
        self.export();
        Ok(true)
    }

    /// Money was paid in, or, negative, taken out: neither profit nor loss.
    pub fn transfer_cash(&mut self, at: Timestamp, amount: Money) -> Result<(), Error> {
        checked_amount(amount)?;
        self.advance(at);
        let pocket = self.pocket(amount.currency());
        self.remember_cash(at, pocket, amount.decimal());
        self.state.money.contribute(at, pocket, amount.decimal());
        self.export();
        Ok(())
    }

    /// Money was exchanged: this was paid, and that was received. What it lost or made against the known rates is `fx`.
    pub fn convert(&mut self, at: Timestamp, paid: Money, received: Money) -> Result<(), Error> {
        checked_amount(paid)?;
        checked_amount(received)?;
        self.advance(at);
        for amount in [paid.negated(), received] {
            let pocket = self.pocket(amount.currency());
            let amount = amount.decimal();
            self.cash(at, pocket, amount);
            let money = &mut self.state.money;
            money.made(at, pocket, UNALLOCATED, PnlComponent::Fx, amount);
        }
        self.export();
        Ok(())
    }

    /// One unit of a currency is worth so many of the base currency. Rates that come late, and such that are not above zero, change
    /// nothing.
    pub fn rate(&mut self, at: Timestamp, currency: Currency, rate: impl Into<Decimal>) {
        self.rate_of(at, currency, Decimal::ONE, rate);
    }

    /// So many units of a currency are worth so many of the base currency: for rates that are quoted the other way round.
    pub fn rate_of(
        &mut self,
        at: Timestamp,
        currency: Currency,
        units: impl Into<Decimal>,
        base: impl Into<Decimal>,
    ) {
        if currency == self.state.money.base {
            return;
        }
        self.advance(at);
        if let Some(rate) = Rate::new(at, base.into(), units.into()) {
            let pocket = self.pocket(currency);
            self.state.money.rate(pocket, rate);
            self.export();
        }
    }

    /// A symbol's price: all strategies' positions in it are valued at it. A price that the instrument cannot have, and one of an
    /// earlier time than the last, changes nothing.
    pub fn mark(&mut self, at: Timestamp, symbol: &str, price: impl Into<Decimal>) {
        self.advance(at);
        self.mark_one(at, symbol, price.into());
        self.export();
    }

    /// Several prices of one time, as one step.
    pub fn mark_all<'a>(
        &mut self,
        at: Timestamp,
        prices: impl IntoIterator<Item = (&'a str, Decimal)>,
    ) {
        self.advance(at);
        for (symbol, price) in prices {
            self.mark_one(at, symbol, price);
        }
        self.export();
    }

    /// The account is worth this much, as the broker or another valuation says: cash and positions. What that is beyond the parts of
    /// the bridge is its residual. In a foreign currency, it is the value of what is held in that.
    pub fn state_value(&mut self, at: Timestamp, value: Money) -> Result<(), Error> {
        checked_amount(value)?;
        self.advance(at);
        let pocket = self.pocket(value.currency());
        if value.currency() == self.state.money.base {
            self.state.money.whole.state(value.decimal());
        } else {
            self.state.money.pockets[pocket].own.state(value.decimal());
        }
        self.export();
        Ok(())
    }

    /// How much of the cash is not settled yet.
    pub fn set_unsettled(&mut self, amount: Money) {
        let pocket = self.pocket(amount.currency());
        self.state.money.pockets[pocket].unsettled = amount.decimal();
        self.export();
    }

    /// The price at which the position is liquidated; no number for none.
    pub fn set_liquidation_price(
        &mut self,
        key: PositionKey,
        price: impl Into<Decimal>,
    ) -> Result<(), Error> {
        let position = self.position_mut(key)?;
        position.liquidation = Some(price.into()).filter(|price| price.is_number());
        self.show_position(key.index as usize);
        Ok(())
    }

    /// For each `from` units of a symbol there are `to`, at the same cost: 4 for 1, or 1 for 10. A fraction of a share that is paid out
    /// is sold, by a [fill](Self::fill). The mark follows, until the next one comes. Open orders are split by
    /// [their book](crate::OrderBook::split), and everything together by [`AccountBook`](crate::AccountBook::split_with_orders).
    pub fn split(
        &mut self,
        at: Timestamp,
        symbol: &str,
        to: impl Into<Decimal>,
        from: impl Into<Decimal>,
    ) -> Result<(), Error> {
        let (to, from) = (to.into(), from.into());
        for number in [to, from] {
            if !number.is_positive() {
                return Err(invalid("a split", symbol, number));
            }
        }
        let indexes = self.by_symbol.get(symbol).cloned().unwrap_or_default();
        for index in &indexes {
            let held = self.state.positions[*index].quantity();
            if !held.mul_div(to, from).is_number() {
                return Err(invalid("a position after a split", symbol, held));
            }
        }
        self.advance(at);
        let what = What::Split { to, from };
        for index in indexes {
            let position = &mut self.state.positions[index];
            position.mark = position.mark.map(|mark| mark.mul_div(from, to));
            position.liquidation = position.liquidation.map(|price| price.mul_div(from, to));
            position.apply(Entry::new(at, what));
            self.settle(index, at);
        }
        self.export();
        Ok(())
    }

    /// A symbol has another name from now on. Positions, marks and what is remembered go with it.
    ///
    /// Fails when positions are held under the new name already: transfer them.
    pub fn rename(&mut self, symbol: &str, new: &str) -> Result<(), Error> {
        let Some(instrument) = self.state.instruments.get(symbol).copied() else {
            let symbol = symbol.to_owned();
            return Err(Error::UnknownInstrument { symbol });
        };
        let taken = self.by_symbol.get(new).into_iter().flatten();
        for index in taken {
            let held = self.state.positions[*index].quantity();
            if !held.is_zero() {
                return Err(invalid("a new name", new, held));
            }
        }
        self.declare(new, instrument);
        for index in self.by_symbol.remove(symbol).unwrap_or_default() {
            let position = &mut self.state.positions[index];
            position.symbol = new.into();
            let owner = &*self.state.money.owners[position.owner].name;
            if let Some(of_strategy) = self.keys.get_mut(owner) {
                of_strategy.remove(symbol);
            }
            self.index(index);
        }
        Ok(())
    }

    /// Gives units of a strategy's position to another strategy: at a price, as if one had sold them to the other, or without one at
    /// their cost, with the open P/L that belongs to them. The account's P/L stays what it is.
    ///
    /// Fails when there are fewer, or when the other strategy holds the opposite and no price is stated.
    pub fn transfer(
        &mut self,
        at: Timestamp,
        from: PositionKey,
        to: &str,
        quantity: impl Into<Decimal>,
        price: Option<Decimal>,
    ) -> Result<[Booked; 2], Error> {
        let quantity = quantity.into();
        let giver = self.position(from)?;
        let (symbol, held, instrument) = (giver.symbol.clone(), giver.quantity(), giver.instrument);
        if !quantity.is_positive() || quantity > held.abs() {
            return Err(invalid("a transfer", &symbol, quantity));
        }
        let moved = if held.is_negative() {
            -quantity
        } else {
            quantity
        };
        let taker = self.key(to, &symbol)?;
        let has = self.position(taker)?.quantity();
        self.advance(at);
        if let Some(price) = price {
            if !instrument.prices.allow_exact(price) {
                return Err(invalid("a price", &symbol, price));
            }
            let traded = |quantity: Decimal| Traded {
                id: None,
                quantity,
                price,
                amount: instrument.amount(quantity, price),
                fee: Decimal::ZERO,
                foreign_fee: None,
            };
            let sold = self.book(from, at, traded(-moved))?;
            return Ok([sold, self.book(taker, at, traded(moved))?]);
        }
        if !has.is_zero() && has.is_negative() != moved.is_negative() {
            return Err(invalid("a transfer at cost", &symbol, moved));
        }
        let mut trial = self.position(from)?.holding.clone();
        let lot = trial.take(moved);
        for (key, lot) in [(from, lot.negated()), (taker, lot)] {
            let what = What::Moved(lot);
            self.state.positions[key.index as usize].apply(Entry::new(at, what));
        }
        let (mark, marked) = {
            let giver = self.position(from)?;
            (giver.mark, giver.marked)
        };
        let position = &mut self.state.positions[taker.index as usize];
        if position.mark.is_none() {
            (position.mark, position.marked) = (mark, marked);
        }
        for key in [from, taker] {
            self.settle(key.index as usize, at);
        }
        self.export();
        Ok([self.unchanged(from), self.unchanged(taker)])
    }

    /// It is this late: what is over is over. Events say so themselves; this is for a desk at rest.
    pub fn advance_to(&mut self, at: Timestamp) {
        self.advance(at);
        self.export();
    }
}

fn checked(position: &Position, side: Side, fill: &Fill) -> Result<Traded, Error> {
    let symbol = &position.symbol;
    if !fill.quantity.is_positive() {
        return Err(invalid("the quantity of a fill", symbol, fill.quantity));
    }
    if !position.instrument.prices.allow_exact(fill.price) {
        return Err(invalid("the price of a fill", symbol, fill.price));
    }
    let traded = Traded::of(&position.instrument, side, fill);
    if traded.is_number() {
        Ok(traded)
    } else {
        Err(invalid("the money of a fill", symbol, traded.amount))
    }
}

fn money(position: &Position, amount: Decimal) -> Money {
    Money::new(amount, position.instrument.currency)
}

fn invalid(what: &'static str, symbol: &str, number: Decimal) -> Error {
    let symbol = symbol.to_owned();
    Error::InvalidPositionEvent {
        what,
        symbol,
        number,
    }
}

fn checked_amount(amount: Money) -> Result<(), Error> {
    if amount.is_amount() {
        Ok(())
    } else {
        Err(Error::InvalidAmount {
            amount: amount.amount(),
            currency: amount.currency(),
        })
    }
}
