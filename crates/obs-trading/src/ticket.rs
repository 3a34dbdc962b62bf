//! A ticket: what an order asks for.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{Currency, Decimal, OrderType, Side};

/// What an order asks for.
///
/// ```
/// use obs_trading::{Currency, OrderType, Prices, Side, Ticket};
///
/// // A calendar spread of crude oil, sold at a credit.
/// let ticket = Ticket::new("CLZ6-CLF7", Side::Sell, OrderType::Limit, 2.0, -0.35)
///     .with_prices(Prices::Any)
///     .in_currency(Currency::USD)
///     .times(1_000.0);
/// assert_eq!(ticket.benchmark, -0.35);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ticket<'a> {
    /// What is traded.
    pub symbol: &'a str,
    /// Buy or sell.
    pub side: Side,
    /// How it may be executed.
    pub order_type: OrderType,
    /// How much, in units of the symbol; positive. `NaN` for an order whose quantity is not known, such as one for an amount of
    /// money ([`notional`](Self::notional)). Any other number that is not positive is treated as not known, and counted as
    /// `invalid_order` in `trading_order_events_ignored_total`.
    pub quantity: f64,
    /// The price slippage is measured against: the mid when the decision was made. One that the instrument cannot have, or `NaN`,
    /// makes the slippage undefined, and nothing is recorded.
    pub benchmark: f64,
    /// The mid at the submission, for the shortfall; `NaN` where it is not known, unless the venue has
    /// [`Mids`](crate::Mids), which know it.
    pub arrival: f64,
    /// What prices of the instrument may be.
    pub prices: Prices,
    /// What a price of one is worth for one unit: the multiplier of a future's contract. 1 for most.
    pub multiplier: f64,
    /// What its prices are in. With it, what executions cost is counted in money; without, only how many there were.
    pub currency: Option<Currency>,
    pub(crate) cause: Option<MarketEvent>,
}

/// What prices of an instrument may be: a fill at any other price is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prices {
    /// Above zero: shares, coins, most futures.
    #[default]
    Positive,
    /// Zero or above: options, which may expire worthless.
    NotNegative,
    /// Any number: spreads, combinations, power, and since 20 April 2020 crude oil. Basis points of such a price mean nothing:
    /// its slippage is reported in price and in money only.
    Any,
}

impl Prices {
    /// Whether a price may be this.
    #[must_use]
    pub fn allow(self, price: f64) -> bool {
        price.is_finite()
            && match self {
                Self::Positive => price > 0.0,
                Self::NotNegative => price >= 0.0,
                Self::Any => true,
            }
    }

    /// Whether the price of a fill may be this.
    pub(crate) const fn allow_exact(self, price: Decimal) -> bool {
        price.is_number()
            && match self {
                Self::Positive => price.is_positive(),
                Self::NotNegative => !price.is_negative(),
                Self::Any => true,
            }
    }

    /// Whether a difference can be told in basis points of this price.
    pub(crate) fn are_relative_to(self, price: f64) -> bool {
        self != Self::Any && price > 0.0 && price.is_finite()
    }
}

impl<'a> Ticket<'a> {
    /// An order for a quantity, measured against a benchmark price.
    #[must_use]
    pub const fn new(
        symbol: &'a str,
        side: Side,
        order_type: OrderType,
        quantity: f64,
        benchmark: f64,
    ) -> Self {
        Self {
            symbol,
            side,
            order_type,
            quantity,
            benchmark,
            arrival: f64::NAN,
            prices: Prices::Positive,
            multiplier: 1.0,
            currency: None,
            cause: None,
        }
    }

    /// An order for an amount of money, of which the quantity is known only when it is executed. It is complete when the venue
    /// says so.
    #[must_use]
    pub const fn notional(
        symbol: &'a str,
        side: Side,
        order_type: OrderType,
        benchmark: f64,
    ) -> Self {
        Self::new(symbol, side, order_type, f64::NAN, benchmark)
    }

    /// The same, with prices in this currency: what its executions cost is counted in money.
    #[must_use]
    pub const fn in_currency(mut self, currency: Currency) -> Self {
        self.currency = Some(currency);
        self
    }

    /// The same for an instrument whose prices may be these.
    #[must_use]
    pub const fn with_prices(mut self, prices: Prices) -> Self {
        self.prices = prices;
        self
    }

    /// The same for an instrument of which a price of one is worth this much; above zero.
    #[must_use]
    pub const fn times(mut self, multiplier: f64) -> Self {
        self.multiplier = multiplier;
        self
    }

    /// The same, with the mid at the submission.
    #[must_use]
    pub const fn with_arrival(mut self, mid: f64) -> Self {
        self.arrival = mid;
        self
    }

    /// The same, caused by this event of the market: `trading_tick_to_order_duration_seconds` counts from it.
    #[must_use]
    pub const fn caused_by(mut self, event: MarketEvent) -> Self {
        self.cause = Some(event);
        self
    }
}

/// When an event of the market reached us, by the machine's monotonic clock, in a replay too: what follows is the process' own time.
/// Made by [`Strategy::market_event`](crate::Strategy::market_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketEvent(pub(crate) Instant);
