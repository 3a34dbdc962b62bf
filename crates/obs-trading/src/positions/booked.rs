//! What is booked, and what becomes of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PnlComponent;
use crate::{Decimal, ExecutionId, Money};

/// What a closed trade is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradesOf {
    /// Each fill that closes a position or a part of it: less the fees of what it closes, paid at the opening and the closing.
    #[default]
    Closings,
    /// From flat to flat, or to the other side: all that it made, with its flows.
    RoundTrips,
}

/// A position of [`Positions`](crate::Positions), found once and then used without a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PositionKey {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// What became of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a closed trade belongs into the ledgers; `AccountBook` feeds them by itself"]
pub struct Booked {
    /// Whether it counts; not when it was booked before.
    pub is_new: bool,
    /// The position after it; short is negative.
    pub quantity: Decimal,
    /// The trade that it closed. Of a correction or a bust, one trade of the difference that it made in all: for books in which what is
    /// written cannot be changed.
    pub closed: Option<ClosedPart>,
    /// Whether it put something in the place of what was booked before, or nothing.
    pub is_correction: bool,
    /// The same difference by the trades in which it arose: for ledgers, which can change them. Each is under the number that it was closed
    /// under.
    pub changed: Vec<ChangedTrade>,
    /// When what was corrected or taken back happened; nothing for what is new, or unchanged.
    pub corrected: Option<Timestamp>,
}

/// A trade that is another than it was, since a correction or a bust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedTrade {
    /// Its number.
    pub number: u64,
    /// When it was closed.
    pub at: Timestamp,
    /// What it had made; nothing for a trade that was not closed before.
    pub was: Option<Money>,
    /// What it is now; nothing where it closes nothing any more.
    pub now: Option<ClosedPart>,
    /// What it made more than before, in the account's base currency; nothing without a rate that is young enough.
    pub difference_in_base: Option<Money>,
}

/// A trade that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedPart {
    /// Counts the trades of the book: no two have the same, also over restarts.
    pub number: u64,
    /// When it was closed.
    pub at: Timestamp,
    /// Units, negative where a short position was closed. Zero for the correction of a trade.
    pub quantity: Decimal,
    /// What they cost, before fees.
    pub cost: Money,
    /// What they were closed for, before fees.
    pub proceeds: Money,
    /// What it made, after fees.
    pub pnl: Money,
    /// The same in the account's base currency, at the rate of the closing; nothing without one that is young enough.
    pub pnl_in_base: Option<Money>,
    /// What they cost in the account's base currency, at the same rate.
    pub cost_in_base: Option<Money>,
}

/// Money that comes or goes apart from a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow<'a> {
    pub(super) component: PnlComponent,
    pub(super) amount: Money,
    pub(super) owner: Belongs<'a>,
    pub(super) id: Option<ExecutionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs<'a> {
    Nobody,
    Strategy(&'a str),
    Position(PositionKey),
}

impl<'a> Flow<'a> {
    /// So much was received, or, negative, paid: funding, borrow, dividends, interest or fees.
    #[must_use]
    pub const fn new(component: PnlComponent, amount: Money) -> Self {
        Self {
            component,
            amount,
            owner: Belongs::Nobody,
            id: None,
        }
    }

    /// The same for a strategy; without, it is `unallocated`.
    #[must_use]
    pub const fn of_strategy(mut self, strategy: &'a str) -> Self {
        self.owner = Belongs::Strategy(strategy);
        self
    }

    /// The same for a position: it is part of its round trip.
    #[must_use]
    pub const fn of_position(mut self, key: PositionKey) -> Self {
        self.owner = Belongs::Position(key);
        self
    }

    /// The same with an identifier, so that a repetition is known.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<ExecutionId>) -> Self {
        self.id = Some(id.into());
        self
    }
}
