//! A fill: an execution as a venue reports it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Decimal, FeeKind, Liquidity, Money};

/// An execution, or part of one, as a venue reports it: what is taken by [`Order`](crate::Order),
/// [`OrderBook`](crate::OrderBook) and [`Desk`](crate::Desk) alike.
///
/// ```
/// use obs_trading::{Currency, Decimal, Fee, FeeKind, Fill, Liquidity, Money};
///
/// let fee = Fee::new(FeeKind::Commission, Money::new(0.35, Currency::USD));
/// let fill = Fill::new(40.0, 187.25)
///     .with_id("x-1")
///     .with_fee(fee)
///     .with_liquidity(Liquidity::Maker);
/// assert_eq!(fill.quantity, Decimal::from(40));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fill {
    /// The venue's identifier. Without one, every time the fill is reported counts.
    pub id: Option<ExecutionId>,
    /// How much, in units of the symbol; positive.
    pub quantity: Decimal,
    /// At what price, in the currency of the order; what it may be is said by [`Prices`](crate::Prices).
    pub price: Decimal,
    /// What was paid for it. A second fee of the same fill goes to [`Order::charge`](crate::Order::charge).
    pub fee: Option<Fee>,
    /// Whose order waited; [`Liquidity::Unknown`] unless the venue says.
    pub liquidity: Liquidity,
    /// When it happened, by the venue's clock. More than [`Venue::with_tolerance`](crate::Venue::with_tolerance) after ours, the
    /// fill is refused.
    pub venue_time: Option<Timestamp>,
}

impl Fill {
    /// A quantity at a price, of up to twelve decimals: a [`Decimal`], a whole number, or a float, of which it is the
    /// [decimal it was written as](Decimal::of_float).
    #[must_use]
    pub fn new(quantity: impl Into<Decimal>, price: impl Into<Decimal>) -> Self {
        Self {
            id: None,
            quantity: quantity.into(),
            price: price.into(),
            fee: None,
            liquidity: Liquidity::Unknown,
            venue_time: None,
        }
    }

    /// The same under the venue's identifier, so that a repetition is known.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<ExecutionId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same with a fee.
    #[must_use]
    pub const fn with_fee(mut self, fee: Fee) -> Self {
        self.fee = Some(fee);
        self
    }

    /// The same, saying whose order waited.
    #[must_use]
    pub const fn with_liquidity(mut self, liquidity: Liquidity) -> Self {
        self.liquidity = liquidity;
        self
    }

    /// The same with the venue's time.
    #[must_use]
    pub const fn at(mut self, venue_time: Timestamp) -> Self {
        self.venue_time = Some(venue_time);
        self
    }
}

/// The identifier of an execution, as a hash: two of one order have the same once in 10^19.
///
/// Venues use the same identifier again for other accounts, orders, symbols and sides. All of these are fixed by the order, and
/// an execution is known by its order and this. Where one order has legs of several symbols, give
/// [each leg](crate::OrderBook::insert_leg) an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExecutionId {
    hash: u64,
    /// Which version of the execution this is; a higher one corrects a lower one.
    revision: u32,
}

impl ExecutionId {
    /// The same execution, reported again with corrections: the highest revision counts, in whatever order they come.
    #[must_use]
    pub const fn revised(self, revision: u32) -> Self {
        Self { revision, ..self }
    }

    /// An `execId` of Interactive Brokers, where the digits after the final period number the corrections: `0001.02` corrects
    /// `0001.01`.
    ///
    /// ```
    /// use obs_trading::ExecutionId;
    ///
    /// let first = ExecutionId::of_interactive_brokers("0000e0d5.5c1a3e4f.01.01");
    /// let corrected = ExecutionId::of_interactive_brokers("0000e0d5.5c1a3e4f.01.02");
    /// assert_eq!(first.revised(2), corrected);
    /// ```
    #[must_use]
    pub fn of_interactive_brokers(exec_id: &str) -> Self {
        match exec_id.rsplit_once('.') {
            Some((id, revision)) => {
                let revision = revision.parse().ok();
                revision.map_or_else(
                    || exec_id.into(),
                    |revision| Self::from(id).revised(revision),
                )
            }
            None => exec_id.into(),
        }
    }

    pub(crate) const fn hash(self) -> u64 {
        self.hash
    }

    pub(crate) const fn revision(self) -> u32 {
        self.revision
    }
}

impl From<&str> for ExecutionId {
    fn from(id: &str) -> Self {
        Self {
            hash: stable_hash(id.as_bytes()),
            revision: 0,
        }
    }
}

impl From<&String> for ExecutionId {
    fn from(id: &String) -> Self {
        id.as_str().into()
    }
}

impl From<u64> for ExecutionId {
    /// A number is the execution's as its decimal digits would be, so that an identifier that changes from text to a number
    /// stays itself.
    fn from(id: u64) -> Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = id;
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self {
            hash: stable_hash(&digits[at..]),
            revision: 0,
        }
    }
}

/// A fee of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// What for.
    pub kind: FeeKind,
    /// How much; negative is a rebate, whatever the kind says.
    pub amount: Money,
}

impl Fee {
    /// A fee. What brokers report as a negative fee is counted as a rebate, positive.
    #[must_use]
    pub const fn new(kind: FeeKind, amount: Money) -> Self {
        Self { kind, amount }
    }

    /// What it costs; negative for money that comes back.
    #[must_use]
    pub fn cost(self) -> Money {
        if self.kind == FeeKind::Rebate && self.amount.decimal().is_positive() {
            self.amount.negated()
        } else {
            self.amount
        }
    }
}

/// A hash that is the same in every build, for it is kept over restarts: eight bytes at a time, multiplied and folded as
/// wyhash does (W. Yi, public domain).
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    const SECRET: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
    let mut hash = fold(bytes.len() as u64 ^ SECRET[1], SECRET[0]);
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = word
            .iter()
            .rev()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        hash = fold(hash ^ word, SECRET[1]);
    }
    let rest = words.remainder();
    let word = rest
        .iter()
        .rev()
        .fold(0, |word, byte| (word << 8) | u64::from(*byte));
    fold(hash ^ word, SECRET[0])
}

/// The product of two words, its halves folded together.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Currency;

    /// Kept in state files: a change here is a change of their format.
    #[test]
    fn the_hash_stays_what_it_is() {
        let hashes = ["", "x-1", "0000e0d5.5c1a3e4f"].map(|id| stable_hash(id.as_bytes()));
        let kept = [
            3_806_384_473_051_541_158,
            17_170_609_604_948_592_736,
            4_064_067_171_081_501_258,
        ];
        assert_eq!(hashes, kept);
    }

    #[test]
    fn identifiers_that_differ_little_have_other_hashes() {
        let ids = (0..100_000).flat_map(|n| {
            [
                format!("x-{n}"),
                format!("{n}"),
                format!("2026112800000{n}"),
            ]
        });
        let hashes: HashSet<_> = ids.map(|id| stable_hash(id.as_bytes())).collect();
        assert_eq!(hashes.len(), 300_000);
    }

    #[test]
    fn a_number_and_its_digits_are_one_identifier() {
        for number in [0, 7, 10, 4_711, u64::MAX] {
            assert_eq!(
                ExecutionId::from(number),
                number.to_string().as_str().into()
            );
        }
    }

    #[test]
    fn a_rebate_costs_less_than_nothing_however_it_is_said() {
        let usd = |amount| Money::new(amount, Currency::USD);
        assert_eq!(Fee::new(FeeKind::Rebate, usd(0.2)).cost(), usd(-0.2));
        assert_eq!(Fee::new(FeeKind::Rebate, usd(-0.2)).cost(), usd(-0.2));
        assert_eq!(Fee::new(FeeKind::Exchange, usd(-0.2)).cost(), usd(-0.2));
    }
}
