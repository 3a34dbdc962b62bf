//! Rates between currencies, with their age.

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
