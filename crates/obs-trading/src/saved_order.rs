//! An order as it is kept, in memory and over a restart.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Stamp;
use crate::executions::{Execution, Executions};
use crate::mids::Followed;
use crate::order::Stamps;
use crate::strategy::Traded;
use crate::{
    Currency, Decimal, ExecutionId, Fill, Money, OrderOutcome, OrderReport, OrderType, Prices,
    Shortfall, Side, Ticket,
};

/// An order as it can be kept across a restart, with every execution that was seen, so that what the broker replays counts
/// once. Made by [`Order::save`](crate::Order::save); [`resume`](Self::resume) takes it up again.
///
/// Files of the first edition are read: they keep no executions, so that what the broker replays of such an order counts again.
/// Files of this edition are refused by the first, and stay as they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedOrder {
    /// The format. It goes up when an older reader would misread what is written.
    #[serde(default = "first_edition", deserialize_with = "known_edition")]
    pub(crate) edition: u32,
    #[serde(default)]
    pub(crate) strategy: Option<Box<str>>,
    #[serde(with = "symbol")]
    pub(crate) symbol: Arc<Traded>,
    pub(crate) side: Side,
    pub(crate) order_type: OrderType,
    /// `NaN` where it is not known.
    #[serde(with = "crate::undefined")]
    pub(crate) quantity: f64,
    /// The mid at the decision.
    #[serde(with = "crate::undefined")]
    pub(crate) benchmark: f64,
    /// The mid at the submission.
    #[serde(with = "crate::undefined", default = "crate::undefined::undefined")]
    pub(crate) arrival: f64,
    /// The mid at the end.
    #[serde(with = "crate::undefined", default = "crate::undefined::undefined")]
    pub(crate) end: f64,
    #[serde(default)]
    pub(crate) prices: Prices,
    #[serde(default = "one")]
    pub(crate) multiplier: f64,
    #[serde(default)]
    pub(crate) currency: Option<Currency>,
    /// What was executed. The first edition wrote it as `filled`, and refuses a file without that.
    #[serde(rename = "executed", alias = "filled")]
    pub(crate) filled: f64,
    /// Sum of quantity times price over the fills.
    pub(crate) notional: f64,
    /// That part of `filled` and `notional` which came without an identifier, or as a total.
    #[serde(default)]
    pub(crate) unnamed: Amounts,
    /// That part of `unnamed` which a total told, and of which the executions may follow.
    #[serde(default)]
    pub(crate) told: Amounts,
    #[serde(default)]
    pub(crate) executions: Executions,
    /// Fees so far, in the order's currency.
    #[serde(default)]
    pub(crate) fees: Option<Money>,
    /// Whether there was a fee in another currency.
    #[serde(default)]
    pub(crate) has_foreign_fees: bool,
    pub(crate) stamps: Stamps,
    #[serde(default)]
    pub(crate) ended: Option<OrderOutcome>,
    #[serde(default)]
    pub(crate) is_cancel_asked: bool,
    /// Whether it was counted as a trade.
    #[serde(default)]
    pub(crate) is_trade: bool,
    /// What of its shortfall was counted since it closed.
    #[serde(default = "undefined_shortfall")]
    pub(crate) counted: Shortfall,
}

/// An execution as statistics are computed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed {
    pub(crate) quantity: f64,
    pub(crate) price: f64,
}

impl From<&Fill> for Executed {
    fn from(fill: &Fill) -> Self {
        Self {
            quantity: fill.quantity.to_f64(),
            price: fill.price.to_f64(),
        }
    }
}

/// A quantity, and the sum of quantity times price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amounts {
    pub(crate) quantity: f64,
    pub(crate) notional: f64,
}

impl Amounts {
    pub(crate) fn add(&mut self, fill: &Executed) {
        self.quantity += fill.quantity;
        self.notional += fill.quantity * fill.price;
    }

    pub(crate) fn take(&mut self, quantity: f64, notional: f64) {
        self.quantity -= quantity;
        self.notional -= notional;
    }
}

/// Since 2, executions are kept; since 3, with the times up to which they were forgotten.
const EDITION: u32 = 3;

fn first_edition() -> u32 {
    1
}

fn one() -> f64 {
    1.0
}

fn undefined_shortfall() -> Shortfall {
    Shortfall::UNDEFINED
}

fn known_edition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let edition = u32::deserialize(deserializer)?;
    if edition <= EDITION {
        Ok(edition)
    } else {
        Err(serde::de::Error::custom(format!(
            "an order of edition {edition} was written by a later version of this program; this one reads up to {EDITION}"
        )))
    }
}

impl SavedOrder {
    #[inline]
    pub(crate) fn new(
        ticket: &Ticket<'_>,
        symbol: Arc<Traded>,
        arrival: f64,
        stamps: Stamps,
    ) -> Self {
        let defined = |price: f64| {
            if ticket.prices.allow(price) {
                price
            } else {
                f64::NAN
            }
        };
        Self {
            edition: EDITION,
            strategy: None,
            symbol,
            side: ticket.side,
            order_type: ticket.order_type,
            quantity: if is_positive(ticket.quantity) {
                ticket.quantity
            } else {
                f64::NAN
            },
            benchmark: defined(ticket.benchmark),
            arrival,
            end: f64::NAN,
            prices: ticket.prices,
            multiplier: if is_positive(ticket.multiplier) {
                ticket.multiplier
            } else {
                1.0
            },
            currency: ticket.currency,
            filled: 0.0,
            notional: 0.0,
            unnamed: Amounts::default(),
            told: Amounts::default(),
            executions: Executions::default(),
            fees: None,
            has_foreign_fees: false,
            stamps,
            ended: None,
            is_cancel_asked: false,
            is_trade: false,
            counted: Shortfall::UNDEFINED,
        }
    }

    pub(crate) fn symbol(&self) -> &str {
        &self.symbol.symbol
    }

    /// The strategy it was sent for, by name; unknown in a file of the first edition.
    #[must_use]
    pub fn strategy(&self) -> Option<&str> {
        self.strategy.as_deref()
    }

    /// How it ended; nothing while it is open.
    #[must_use]
    pub const fn ended(&self) -> Option<OrderOutcome> {
        self.ended
    }

    /// What one that is read, or made, is from here on: an order of this edition.
    pub(crate) fn current(mut self) -> Self {
        if self.edition < 2 {
            // What was executed came without identifiers that were kept.
            self.unnamed = Amounts {
                quantity: self.filled,
                notional: self.notional,
            };
            self.is_trade = self.filled > 0.0;
        }
        self.edition = EDITION;
        self
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.filled >= self.quantity * (1.0 - 1e-9)
    }

    /// Whether more was executed than ordered, but for what adding up fractions loses.
    pub(crate) fn is_overfilled(&self) -> bool {
        self.filled > self.quantity * (1.0 + 1e-9)
    }

    /// Remembers an execution. What is forgotten for it stays counted, without its identifier.
    pub(crate) fn remember(
        &mut self,
        id: ExecutionId,
        at: Option<Timestamp>,
        execution: Execution,
    ) {
        for forgotten in self.executions.push(id, at, execution) {
            if let Some(fill) = forgotten.fill() {
                self.unnamed.add(&Executed::from(&fill));
            }
        }
    }

    /// Makes the sums anew after an execution was changed. Taking the old one away instead would leave what rounding lost.
    pub(crate) fn add_up(&mut self) {
        let mut sum = self.unnamed;
        for fill in self.executions.fills() {
            sum.add(&Executed::from(&fill));
        }
        (self.filled, self.notional) = (sum.quantity, sum.notional);
    }

    /// For each `from` units there are `to`, at the same money.
    pub(crate) fn split(&mut self, to: Decimal, from: Decimal) {
        let [more, less] = [to.to_f64(), from.to_f64()];
        for price in [&mut self.benchmark, &mut self.arrival, &mut self.end] {
            *price = *price * less / more;
        }
        for quantity in [
            &mut self.quantity,
            &mut self.filled,
            &mut self.unnamed.quantity,
            &mut self.told.quantity,
        ] {
            *quantity = *quantity * more / less;
        }
        self.executions.split(to, from);
    }

    /// What an execution cost against the benchmark, in money; undefined without one.
    pub(crate) fn slippage_of(&self, fill: &Executed) -> f64 {
        self.side.sign() * (fill.price - self.benchmark) * fill.quantity * self.multiplier
    }

    /// The money of an execution, without sign.
    pub(crate) fn notional_of(&self, fill: &Executed) -> f64 {
        (fill.quantity * fill.price).abs() * self.multiplier
    }

    pub(crate) fn report(&self, outcome: OrderOutcome) -> OrderReport {
        let average_price = (self.filled > 0.0).then(|| self.notional / self.filled);
        let sign = self.side.sign();
        let slippage = average_price
            .map(|average| sign * (average - self.benchmark))
            .filter(|slippage| slippage.is_finite());
        let slippage_bps = average_price
            .filter(|_| self.prices.are_relative_to(self.benchmark))
            .map(|average| sign * (average / self.benchmark - 1.0) * 10_000.0);
        let stages = if outcome == OrderOutcome::Filled {
            self.stamps.stages()
        } else {
            None
        };
        OrderReport {
            outcome,
            filled: self.filled,
            average_price,
            slippage,
            slippage_bps,
            fees: self.fees,
            shortfall: self.parts(),
            stages,
        }
    }

    /// The shortfall as it is now.
    pub(crate) fn parts(&self) -> Shortfall {
        let (sign, worth) = (self.side.sign(), self.multiplier);
        let left = (self.quantity - self.filled).max(0.0);
        let is_whole = self.is_complete();
        Shortfall {
            delay: sign * (self.arrival - self.benchmark) * self.filled * worth,
            execution: sign * (self.notional - self.arrival * self.filled) * worth,
            opportunity: if is_whole {
                0.0
            } else if self.quantity.is_nan() {
                f64::NAN
            } else {
                sign * (self.end - self.benchmark) * left * worth
            },
            fees: if self.has_foreign_fees {
                f64::NAN
            } else {
                self.fees.map_or(0.0, Money::amount)
            },
        }
    }

    /// What the paper portfolio would have paid; undefined where basis points mean nothing.
    pub(crate) fn paper(&self) -> f64 {
        if self.prices.are_relative_to(self.benchmark) {
            self.benchmark * self.quantity * self.multiplier
        } else {
            f64::NAN
        }
    }

    /// One of its executions, as its markouts are followed.
    pub(crate) fn followed(&self, execution: ExecutionId) -> Followed {
        Followed {
            execution,
            submitted: self.submitted(),
        }
    }

    /// When it was sent.
    pub(crate) fn submitted(&self) -> Stamp {
        self.stamps.submitted
    }
}

pub(crate) fn is_positive(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}

/// The text of a symbol.
mod symbol {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::strategy::Traded;

    pub(super) fn serialize<S: Serializer>(
        traded: &Arc<Traded>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&traded.symbol)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Traded>, D::Error> {
        let symbol = String::deserialize(deserializer)?;
        Ok(Arc::new(Traded::by_nobody(symbol.into())))
    }
}
