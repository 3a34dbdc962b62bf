//! How positions are booked.

use jiff::Timestamp;

use super::booked::{Booked, ChangedTrade, ClosedPart, PositionKey, TradesOf};
use super::holding::Closing;
use super::position::{Entry, JOURNAL, Position, Reclosed, Traded, What};
use super::rates::NO_RATE;
use super::{CASH_MOVES, MOST_POSITIONS, PnlComponent, Positions, invalid};
use crate::{Decimal, Error, ExecutionId, Fill, Money, Side};

/// How it is booked.
impl Positions {
    pub(super) fn position(&self, key: PositionKey) -> Result<&Position, Error> {
        let known = self.state.positions.get(key.index as usize);
        known
            .filter(|position| position.generation == key.generation)
            .ok_or(Error::UnknownPosition)
    }

    pub(super) fn position_mut(&mut self, key: PositionKey) -> Result<&mut Position, Error> {
        let known = self.state.positions.get_mut(key.index as usize);
        known
            .filter(|position| position.generation == key.generation)
            .ok_or(Error::UnknownPosition)
    }

    pub(super) fn key_of(&self, index: usize) -> PositionKey {
        PositionKey {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            generation: self.state.positions[index].generation,
        }
    }

    pub(super) fn time_of(&self, fill: &Fill) -> Timestamp {
        fill.venue_time.unwrap_or_else(|| {
            let now = i128::from(self.clock.since_epoch());
            Timestamp::from_nanosecond(now).unwrap_or(self.state.now)
        })
    }

    pub(super) fn is_newer(&self, key: PositionKey, side: Side, id: ExecutionId) -> bool {
        let Ok(position) = self.position(key) else {
            return false;
        };
        let identity = position.scopes[side as usize].identity(id);
        self.state
            .seen
            .get(identity)
            .is_some_and(|known| id.revision() > *known)
    }

    pub(super) fn unchanged(&self, key: PositionKey) -> Booked {
        Booked {
            is_new: false,
            quantity: self.position(key).map_or(Decimal::ZERO, Position::quantity),
            closed: None,
            is_correction: false,
            changed: Vec::new(),
            corrected: None,
        }
    }

    pub(super) fn book(
        &mut self,
        key: PositionKey,
        at: Timestamp,
        traded: Traded,
    ) -> Result<Booked, Error> {
        let rates = self.rates_of(key, at, traded.foreign_fee);
        let position = &mut self.state.positions[key.index as usize];
        let what = What::Traded(traded);
        let entry = Entry::new(at, what).at_rates(rates);
        let Some(closing) = position.apply(entry) else {
            return Err(invalid("what is held", &position.symbol, Decimal::NAN));
        };
        if position.mark.is_none() {
            // Until the first mark, it is worth what was last paid for it.
            (position.mark, position.marked) = (Some(traded.price), None);
        } else if position.marked.is_none() {
            position.mark = Some(traded.price);
        }
        let (pocket, owner, quantity) = (position.pocket, position.owner, position.quantity());
        let cash = position.cash_of(traded.amount, closing.realized());
        self.cash(at, pocket, cash);
        self.state.money.traded(at, pocket, traded.amount.abs());
        let fees = (traded.fee, traded.foreign_fee);
        self.pay_fees(at, pocket, owner, fees, [NO_RATE; 2]);
        self.settle(key.index as usize, at);
        self.export_fill(pocket, owner, traded.foreign_fee.is_some());
        let closed = self.closed(key, at, closing);
        if let Some(closed) = &closed {
            self.state.positions[key.index as usize].closed_trade(closed.number);
        }
        Ok(Booked {
            is_new: true,
            quantity,
            closed,
            is_correction: false,
            changed: Vec::new(),
            corrected: None,
        })
    }

    /// The numbers of the rates that a fill is booked at, for its currency and that of a foreign fee. None is needed for the base currency.
    fn rates_of(&mut self, key: PositionKey, at: Timestamp, foreign: Option<Money>) -> [u32; 2] {
        let pocket = self.state.positions[key.index as usize].pocket;
        let foreign = foreign.map(|fee| self.pocket(fee.currency()));
        let money = &mut self.state.money;
        let fee = foreign.map_or(NO_RATE, |pocket| money.rate_number(at, pocket));
        [money.rate_number(at, pocket), fee]
    }

    /// Fees in the position's own currency, or in another; at the rates of then, where they are put right.
    pub(super) fn pay_fees(
        &mut self,
        at: Timestamp,
        pocket: usize,
        owner: usize,
        (fee, foreign): (Decimal, Option<Money>),
        [rate, foreign_rate]: [u32; 2],
    ) {
        const FEES: PnlComponent = PnlComponent::Fees;
        self.cash(at, pocket, -fee);
        let money = &mut self.state.money;
        money.made_then(at, pocket, owner, FEES, -fee, rate);
        if let Some(foreign) = foreign {
            let pocket = self.pocket(foreign.currency());
            let amount = -foreign.decimal();
            self.cash(at, pocket, amount);
            let money = &mut self.state.money;
            money.made_then(at, pocket, owner, FEES, amount, foreign_rate);
        }
    }

    /// Counts what the position's trading P/L changed by.
    pub(super) fn settle(&mut self, index: usize, at: Timestamp) {
        self.settle_then(index, at, NO_RATE);
    }

    /// The same at the rate of an event that was put right.
    fn settle_then(&mut self, index: usize, at: Timestamp, rate: u32) {
        let position = &mut self.state.positions[index];
        let value = position.value();
        let open = value - position.holding.cost();
        let now = position.holding.realized() + open;
        let before = std::mem::replace(&mut position.counted, now);
        let was = std::mem::replace(&mut position.valued, value);
        let (pocket, owner) = (position.pocket, position.owner);
        let in_base = self.state.money.convert(at, pocket, value);
        position.row.show(position, value, open, in_base);
        let [long, short] = &mut self.state.exposure[pocket];
        *(if was.is_negative() {
            &mut *short
        } else {
            &mut *long
        }) -= was;
        *(if value.is_negative() { short } else { long }) += value;
        let money = &mut self.state.money;
        money.made_then(at, pocket, owner, PnlComponent::Trading, now - before, rate);
    }

    pub(super) fn show_position(&self, index: usize) {
        let position = &self.state.positions[index];
        let (value, money) = (position.value(), &self.state.money);
        let in_base = money.convert(self.state.now, position.pocket, value);
        position
            .row
            .show(position, value, position.open_pnl(), in_base);
    }

    pub(super) fn closed(
        &mut self,
        key: PositionKey,
        at: Timestamp,
        closing: Closing,
    ) -> Option<ClosedPart> {
        let pnl = self.pnl_of(&closing)?;
        Some(self.trade(key, at, pnl, closing, NO_RATE))
    }

    /// What the trade made that this closed; nothing where it closed none.
    fn pnl_of(&self, closing: &Closing) -> Option<Decimal> {
        match self.trades {
            TradesOf::Closings => (!closing.quantity.is_zero()).then_some(closing.net),
            TradesOf::RoundTrips => closing.trip,
        }
    }

    pub(super) fn trade(
        &mut self,
        key: PositionKey,
        at: Timestamp,
        pnl: Decimal,
        closing: Closing,
        rate: u32,
    ) -> ClosedPart {
        self.state.trades += 1;
        self.part(key, self.state.trades, at, pnl, closing, rate)
    }

    fn part(
        &self,
        key: PositionKey,
        number: u64,
        at: Timestamp,
        pnl: Decimal,
        closing: Closing,
        rate: u32,
    ) -> ClosedPart {
        let (money, position) = (&self.state.money, &self.state.positions[key.index as usize]);
        let in_base = |amount| {
            let in_base = money.convert_then(at, position.pocket, amount, rate);
            in_base.map(|amount| Money::new(amount, money.base))
        };
        let own = |amount| Money::new(amount, position.instrument.currency);
        ClosedPart {
            number,
            at,
            quantity: closing.quantity,
            cost: own(closing.cost),
            proceeds: own(closing.proceeds),
            pnl: own(pnl),
            pnl_in_base: in_base(pnl),
            cost_in_base: in_base(closing.cost),
        }
    }

    /// What became of a trade, where that is something else.
    fn changed(&mut self, key: PositionKey, event: &Reclosed) -> Option<ChangedTrade> {
        let [was, now] = [event.was, event.now].map(|closing| self.pnl_of(&closing));
        if was == now {
            return None;
        }
        let is_known = event.entry.trade > 0;
        let number = if is_known {
            event.entry.trade
        } else {
            self.state.trades += 1;
            self.state.trades
        };
        if let Some(place) = event.place {
            let number = now.map_or(0, |_| number);
            self.state.positions[key.index as usize].renumber(place, number);
        }
        let (at, [rate, _]) = (event.entry.at, event.entry.rates);
        let part = |pnl| self.part(key, number, at, pnl, event.now, rate);
        let now_part = now.map(part);
        let (money, position) = (&self.state.money, &self.state.positions[key.index as usize]);
        let difference = now.unwrap_or_default() - was.unwrap_or_default();
        let in_base = money.convert_then(self.state.now, position.pocket, difference, rate);
        let own = |amount| Money::new(amount, position.instrument.currency);
        Some(ChangedTrade {
            number,
            at,
            was: was.filter(|_| is_known).map(own),
            now: now_part,
            difference_in_base: in_base.map(|amount| Money::new(amount, money.base)),
        })
    }

    /// Undoes an execution, or puts another in its place.
    pub(super) fn replace(
        &mut self,
        key: PositionKey,
        side: Side,
        id: ExecutionId,
        by: Option<Traded>,
    ) -> Result<Booked, Error> {
        let position = &self.state.positions[key.index as usize];
        let Some((was, entry)) = position.find(id, side) else {
            if self.is_busted(key, side, id) {
                return Ok(self.unchanged(key));
            }
            return Err(Error::ForgottenExecution {
                symbol: position.symbol.as_ref().into(),
                remembered: JOURNAL,
            });
        };
        let identity = position.scopes[side as usize].identity(id);
        let at = self.state.now;
        let revision = by.map_or(u32::MAX, |_| id.revision());
        drop(self.state.seen.insert(identity, at, revision));
        let before = position.holding.clone();
        let position = &mut self.state.positions[key.index as usize];
        let reclosed = position.replace(id, side, by);
        if !position.holding.is_number() {
            position.replace(id, side, Some(was));
            return Err(invalid("what is held", &position.symbol, Decimal::NAN));
        }
        let amounts =
            |traded: Option<Traded>| traded.map_or_else(Default::default, |it| (it.amount, it.fee));
        let ((old, old_fee), (new, new_fee)) = (amounts(Some(was)), amounts(by));
        let realized = position.holding.realized() - before.realized();
        let made = match self.trades {
            TradesOf::Closings => position.holding.closed() - before.closed(),
            TradesOf::RoundTrips => position.holding.trips() - before.trips(),
        };
        let cash = position.cash_of(new - old, realized);
        let (pocket, owner) = (position.pocket, position.owner);
        self.cash(at, pocket, cash);
        let (rate, foreign) = (entry.rates[0], by.and_then(|it| it.foreign_fee));
        let is_same = |fee: Money| was.foreign_fee.map(Money::currency) == Some(fee.currency());
        let rates = match foreign {
            Some(fee) if !is_same(fee) => [rate, NO_RATE],
            _ => entry.rates,
        };
        self.pay_fees(at, pocket, owner, (new_fee - old_fee, foreign), rates);
        if let Some(foreign) = was.foreign_fee {
            let fees = (Decimal::ZERO, Some(foreign.negated()));
            self.pay_fees(at, pocket, owner, fees, entry.rates);
        }
        self.settle_then(key.index as usize, at, rate);
        self.export();
        let closed = (!made.is_zero()).then(|| self.trade(key, at, made, Closing::default(), rate));
        let changed = reclosed
            .iter()
            .filter_map(|event| self.changed(key, event))
            .collect();
        Ok(Booked {
            is_new: true,
            closed,
            is_correction: true,
            changed,
            corrected: Some(entry.at),
            ..self.unchanged(key)
        })
    }

    pub(super) fn is_busted(&self, key: PositionKey, side: Side, id: ExecutionId) -> bool {
        let position = &self.state.positions[key.index as usize];
        let identity = position.scopes[side as usize].identity(id);
        self.state.seen.get(identity) == Some(&u32::MAX)
    }

    pub(super) fn mark_one(&mut self, at: Timestamp, symbol: &str, price: Decimal) {
        let Some(of_symbol) = self.by_symbol.get(symbol) else {
            return;
        };
        for place in 0..of_symbol.len() {
            let index = self.by_symbol[symbol][place];
            let position = &mut self.state.positions[index];
            let is_late = position.marked.is_some_and(|marked| at < marked);
            let value = position.instrument.amount(position.quantity(), price);
            // A value beyond the range of numbers would leave the whole account without one.
            if !is_late && position.instrument.prices.allow_exact(price) && value.is_number() {
                (position.mark, position.marked) = (Some(price), Some(at));
                self.settle(index, at);
            }
        }
    }

    pub(super) fn cash(&mut self, at: Timestamp, pocket: usize, amount: Decimal) {
        if amount.is_zero() {
            return;
        }
        self.state.money.pockets[pocket].cash += amount;
        self.remember_cash(at, pocket, amount);
    }

    pub(super) fn remember_cash(&mut self, at: Timestamp, pocket: usize, amount: Decimal) {
        let moves = &mut self.state.cash_moves;
        if moves.len() == CASH_MOVES {
            moves.pop_front();
        }
        moves.push_back((at, pocket, amount));
    }

    /// Moves on to a time: with a new day, the periods that are over begin anew.
    pub(super) fn advance(&mut self, at: Timestamp) {
        self.state.now = self.state.now.max(at);
        if self.until.is_some_and(|until| at < until) {
            return;
        }
        let (day, until) = self.calendar.day_and_end(at);
        self.today = self.today.max(Some(day));
        self.until = Some(until);
        self.state.money.advance(day);
        self.export();
    }

    /// The place of a position that is flat, once there are very many: what it made is counted. Keys of it are of no use then.
    pub(super) fn free_place(&mut self) -> Option<usize> {
        if self.state.positions.len() < MOST_POSITIONS {
            return None;
        }
        if self.free.is_empty() {
            let positions = self.state.positions.iter().enumerate();
            let flat = positions.filter(|(_, position)| position.quantity().is_zero());
            self.free = flat.map(|(index, _)| index).collect();
        }
        let index = loop {
            let index = self.free.pop()?;
            if self.state.positions[index].quantity().is_zero() {
                break index;
            }
        };
        let position = &self.state.positions[index];
        let owner = &*self.state.money.owners[position.owner].name;
        if let Some(of_strategy) = self.keys.get_mut(owner)
            && of_strategy.get(&position.symbol) == Some(&index)
        {
            of_strategy.remove(&position.symbol);
        }
        if let Some(of_symbol) = self.by_symbol.get_mut(&position.symbol) {
            of_symbol.retain(|known| *known != index);
        }
        self.shown.positions.forget(&position.row);
        Some(index)
    }

    /// Sets all gauges of the account.
    pub(super) fn export(&mut self) {
        self.shown.all(&self.state);
    }

    /// Sets those that a fill moves.
    pub(super) fn export_fill(&mut self, pocket: usize, owner: usize, is_foreign_fee: bool) {
        if is_foreign_fee {
            self.shown.all(&self.state);
        } else {
            self.shown.fill(&self.state, pocket, owner);
        }
    }
}
