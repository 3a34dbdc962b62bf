//! Rates between currencies, with their age.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Decimal;

/// What one unit of a currency is worth in the account's base currency: a fraction, so that a rate that was quoted the other way
/// round is not rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rate {
    at: Timestamp,
    base: Decimal,
    units: Decimal,
}

/// The rates that events were booked at: what is taken back is taken back at the same, and what the rate changed since is no trade.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BookedRates {
    rates: VecDeque<Rate>,
    /// How many were forgotten.
    gone: u32,
}

/// As many rates of a currency are kept, each once.
const BOOKED: usize = 1_024;

/// The number of no rate: that of the base currency, and of events that had none.
pub(crate) const NO_RATE: u32 = 0;

impl BookedRates {
    /// The number by which a rate is found again.
    pub(crate) fn number(&mut self, rate: Rate) -> u32 {
        if self.rates.back() != Some(&rate) {
            if self.rates.len() == BOOKED {
                self.rates.pop_front();
                self.gone = self.gone.saturating_add(1);
            }
            self.rates.push_back(rate);
        }
        let kept = u32::try_from(self.rates.len()).unwrap_or(u32::MAX);
        self.gone.saturating_add(kept)
    }

    /// Nothing for one that is forgotten.
    pub(crate) fn get(&self, number: u32) -> Option<Rate> {
        let place = number.checked_sub(self.gone)?.checked_sub(1)?;
        self.rates.get(place as usize).copied()
    }
}

impl Rate {
    /// So many units of the base currency for so many of the other; nothing where one is not above zero.
    pub(crate) fn new(at: Timestamp, base: Decimal, units: Decimal) -> Option<Self> {
        let is_rate = base.is_positive() && units.is_positive();
        is_rate.then_some(Self { at, base, units })
    }

    pub(crate) fn convert(&self, amount: Decimal) -> Decimal {
        amount.mul_div(self.base, self.units)
    }

    pub(crate) fn is_older_than(&self, age: SignedDuration, now: Timestamp) -> bool {
        now.duration_since(self.at) > age
    }

    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }
}
