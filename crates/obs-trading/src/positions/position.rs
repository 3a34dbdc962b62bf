//! One position, and what is remembered of how it came about, so that a fill can be taken back.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gauges::Row;
use super::holding::{Closing, Holding, Lot, SMALL};
use super::rates::NO_RATE;
use crate::seen::Scope;
use crate::{Decimal, ExecutionId, Fill, Instrument, LotMethod, Money, Side};

/// How many events of a position can be taken back, at least; twice as many are remembered at most.
pub(crate) const JOURNAL: usize = 64;

/// One strategy's position in one symbol.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Goes up when its place is used for another.
    pub(crate) generation: u32,
    pub(crate) owner: usize,
    pub(crate) pocket: usize,
    pub(crate) symbol: Box<str>,
    pub(crate) instrument: Instrument,
    pub(crate) holding: Holding,
    /// What was held before the first entry of the journal, and after the first half of it.
    before: Holding,
    halfway: Holding,
    journal: VecDeque<Entry>,
    /// The price it is valued at; nothing before the first.
    pub(crate) mark: Option<Decimal>,
    pub(crate) marked: Option<Timestamp>,
    pub(crate) liquidation: Option<Decimal>,
    /// What of its trading P/L was counted.
    pub(crate) counted: Decimal,
    /// What of its market value was counted.
    pub(crate) valued: Decimal,
    #[serde(skip)]
    pub(crate) row: Arc<Row>,
    /// What its executions are unique within, bought and sold.
    #[serde(skip, default = "no_scopes")]
    pub(crate) scopes: [Scope; 2],
}

fn no_scopes() -> [Scope; 2] {
    [Scope::NONE; 2]
}

/// What happened to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) what: What,
    /// The number of the trade that it closed; 0 for none.
    #[serde(default)]
    pub(crate) trade: u64,
    /// The numbers of the rates it was booked at: of the instrument's currency, and of the fee's where that is another.
    #[serde(default)]
    pub(crate) rates: [u32; 2],
}

/// An event that closes something else since an execution before it, or its own, was replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reclosed {
    /// Where it is in the journal; nothing where it was taken back itself.
    pub(crate) place: Option<usize>,
    pub(crate) entry: Entry,
    pub(crate) was: Closing,
    pub(crate) now: Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Traded(Traded),
    /// Units that came or went at their cost.
    Moved(Lot),
    Split {
        to: Decimal,
        from: Decimal,
    },
    Flow(Decimal),
}

/// A fill, in the position's own terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traded {
    pub(crate) id: Option<ExecutionId>,
    /// Negative for a sale.
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
    /// Quantity at its price.
    pub(crate) amount: Decimal,
    /// What was paid for it, in the currency of its price; elsewhere it is no part of the trade.
    pub(crate) fee: Decimal,
    pub(crate) foreign_fee: Option<Money>,
}

impl Entry {
    pub(crate) const fn new(at: Timestamp, what: What) -> Self {
        Self {
            at,
            what,
            trade: 0,
            rates: [NO_RATE; 2],
        }
    }
}

impl Entry {
    pub(crate) const fn at_rates(self, rates: [u32; 2]) -> Self {
        Self { rates, ..self }
    }
}

impl Traded {
    pub(crate) fn of(instrument: &Instrument, side: Side, fill: &Fill) -> Self {
        let quantity = match side {
            Side::Buy => fill.quantity,
            Side::Sell => -fill.quantity,
        };
        let cost = fill.fee.map(crate::Fee::cost);
        let is_own = |cost: &Money| cost.currency() == instrument.currency;
        Self {
            id: fill.id,
            quantity,
            price: fill.price,
            amount: instrument.amount(quantity, fill.price),
            fee: cost.filter(is_own).map_or(Decimal::ZERO, Money::decimal),
            foreign_fee: cost.filter(|cost| !is_own(cost)),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        self.amount.is_number()
            && self.fee.is_number()
            && self.foreign_fee.is_none_or(Money::is_amount)
    }
}

impl Position {
    pub(crate) fn new(
        owner: usize,
        pocket: usize,
        symbol: &str,
        instrument: Instrument,
        method: LotMethod,
    ) -> Self {
        Self {
            generation: 0,
            owner,
            pocket,
            symbol: symbol.into(),
            instrument,
            holding: Holding::new(method),
            before: Holding::new(method),
            halfway: Holding::new(method),
            journal: VecDeque::new(),
            mark: None,
            marked: None,
            liquidation: None,
            counted: Decimal::ZERO,
            valued: Decimal::ZERO,
            row: Arc::default(),
            scopes: no_scopes(),
        }
    }

    pub(crate) const fn quantity(&self) -> Decimal {
        self.holding.quantity()
    }

    /// Market value, short below zero. What was never marked is worth what it cost.
    pub(crate) fn value(&self) -> Decimal {
        match self.mark {
            _ if self.quantity().is_zero() => Decimal::ZERO,
            Some(mark) => self.instrument.amount(self.quantity(), mark),
            None => self.holding.cost(),
        }
    }

    /// Its value less what it cost.
    pub(crate) fn open_pnl(&self) -> Decimal {
        self.value() - self.holding.cost()
    }

    /// What it is of the account's value.
    pub(crate) fn worth(&self) -> Decimal {
        if self.instrument.is_margined {
            self.open_pnl()
        } else {
            self.value()
        }
    }

    /// How much cash what was realised and an amount that was traded are: all of a price, or its gain only.
    pub(crate) fn cash_of(&self, amount: Decimal, realized: Decimal) -> Decimal {
        if self.instrument.is_margined {
            realized
        } else {
            -amount
        }
    }

    /// Takes an event. Nothing changes where it makes what is no number.
    pub(crate) fn apply(&mut self, entry: Entry) -> Option<Closing> {
        let is_safe = entry.what.is_small() && self.holding.has_room();
        let was = (!is_safe).then(|| self.holding.clone());
        let closing = replay(&mut self.holding, &entry.what);
        if !self.holding.is_number() {
            if let Some(was) = was {
                self.holding = was;
            }
            return None;
        }
        self.remember(entry);
        Some(closing)
    }

    fn remember(&mut self, entry: Entry) {
        self.journal.push_back(entry);
        if self.journal.len() == JOURNAL {
            self.halfway.copy(&self.holding);
        } else if self.journal.len() == 2 * JOURNAL {
            self.journal.drain(..JOURNAL);
            std::mem::swap(&mut self.before, &mut self.halfway);
            self.halfway.copy(&self.holding);
        }
    }

    /// What is remembered, the oldest first.
    pub(crate) fn journal(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.journal.iter()
    }

    /// The execution under an identifier, if it is still remembered, with its entry.
    pub(crate) fn find(&self, id: ExecutionId, side: Side) -> Option<(Traded, Entry)> {
        self.journal
            .iter()
            .rev()
            .find_map(|entry| match entry.what {
                What::Traded(traded) if traded.is(id, side) => Some((traded, *entry)),
                _ => None,
            })
    }

    /// Puts an execution in the place of another, or nothing, and makes what is held anew. Returns the events from there on that close
    /// something else now.
    pub(crate) fn replace(
        &mut self,
        id: ExecutionId,
        side: Side,
        by: Option<Traded>,
    ) -> Vec<Reclosed> {
        let place = self
            .journal
            .iter()
            .rposition(|entry| matches!(entry.what, What::Traded(traded) if traded.is(id, side)));
        let Some(place) = place else {
            return Vec::new();
        };
        let before: Vec<_> = self.make_anew();
        let own = self.journal[place];
        let mut changed = Vec::new();
        if let Some(traded) = by {
            self.journal[place].what = What::Traded(traded);
        } else {
            self.journal.remove(place);
            changed.push(Reclosed {
                place: None,
                entry: own,
                was: before[place],
                now: Closing::default(),
            });
        }
        let skipped = before.len() - self.journal.len();
        let after = self.make_anew();
        for (place, now) in after.into_iter().enumerate().skip(place) {
            let was = before[place + skipped];
            if was != now {
                let entry = self.journal[place];
                let place = Some(place);
                changed.push(Reclosed {
                    place,
                    entry,
                    was,
                    now,
                });
            }
        }
        changed
    }

    /// Makes what is held anew from the journal; returns what each event of it closes.
    fn make_anew(&mut self) -> Vec<Closing> {
        self.holding.copy(&self.before);
        let mut closings = Vec::with_capacity(self.journal.len());
        for (number, entry) in self.journal.iter().enumerate() {
            closings.push(replay(&mut self.holding, &entry.what));
            if number + 1 == JOURNAL {
                self.halfway.copy(&self.holding);
            }
        }
        closings
    }

    /// Notes which trade the last event closed.
    pub(crate) fn closed_trade(&mut self, number: u64) {
        if let Some(last) = self.journal.back_mut() {
            last.trade = number;
        }
    }

    /// Notes which trade an event closes now; 0 for none.
    pub(crate) fn renumber(&mut self, place: usize, number: u64) {
        if let Some(entry) = self.journal.get_mut(place) {
            entry.trade = number;
        }
    }

    /// How much was held at a time: what happened since is set aside. Nothing where not all of that is remembered.
    pub(crate) fn quantity_at(&self, at: Timestamp) -> Option<Decimal> {
        let is_known =
            self.before.is_untouched() || self.journal.front().is_some_and(|first| first.at <= at);
        if !is_known {
            return None;
        }
        let since = self.journal.iter().rev().take_while(|entry| entry.at > at);
        Some(since.fold(self.quantity(), |held, entry| match entry.what {
            What::Traded(traded) => held - traded.quantity,
            What::Moved(lot) => held - lot.quantity,
            What::Split { to, from } => held.mul_div(from, to),
            What::Flow(_) => held,
        }))
    }
}

impl Traded {
    fn is(&self, id: ExecutionId, side: Side) -> bool {
        let is_sold = self.quantity.is_negative();
        self.id.is_some_and(|known| known.hash() == id.hash()) && is_sold == (side == Side::Sell)
    }
}

impl What {
    /// Whether no sum can leave the range of numbers by it, so that nothing has to be kept to undo it.
    fn is_small(&self) -> bool {
        match self {
            Self::Traded(traded) => [traded.amount, traded.quantity, traded.fee]
                .into_iter()
                .all(|number| number.abs() < SMALL),
            _ => false,
        }
    }
}

fn replay(holding: &mut Holding, what: &What) -> Closing {
    match *what {
        What::Traded(traded) => {
            return holding.trade(traded.quantity, traded.amount, traded.fee);
        }
        // At their cost, so that nothing is made; after an earlier fill was taken back, what their cost differs by.
        What::Moved(lot) => return holding.trade(lot.quantity, lot.cost, lot.fees),
        What::Split { to, from } => holding.split(to, from),
        What::Flow(amount) => holding.flow(amount),
    }
    Closing::default()
}
