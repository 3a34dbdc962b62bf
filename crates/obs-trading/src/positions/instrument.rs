//! What is traded, as far as money needs it.

use serde::{Deserialize, Serialize};

use crate::{Currency, Decimal, Prices};

/// What is traded, as far as profit and loss need it: the currency of its prices, what a price of one is worth, and whether a
/// purchase is paid for.
///
/// ```
/// use obs_trading::{Currency, Instrument, Prices};
///
/// let share = Instrument::new(Currency::USD);
/// let option = Instrument::new(Currency::USD).times(100).with_prices(Prices::NotNegative);
/// let future = Instrument::future(Currency::USD, 50);
/// assert!(future.is_margined && !option.is_margined);
/// # let _ = share;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instrument {
    /// What its prices are in.
    pub currency: Currency,
    /// What a price of one is worth for one unit: 100 for most options on shares.
    pub multiplier: Decimal,
    /// What its prices may be.
    pub prices: Prices,
    /// Whether a purchase pays no price but only gains and losses, as with futures and perpetuals: then the position's part of the
    /// account's value is its open P/L, and not its market value.
    pub is_margined: bool,
}

impl Instrument {
    /// A share, a coin or a bond: bought for its price.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        Self {
            currency,
            multiplier: Decimal::ONE,
            prices: Prices::Positive,
            is_margined: false,
        }
    }

    /// A future or a perpetual: only gains and losses are paid.
    #[must_use]
    pub fn future(currency: Currency, multiplier: impl Into<Decimal>) -> Self {
        Self {
            is_margined: true,
            ..Self::new(currency).times(multiplier)
        }
    }

    /// The same, of which a price of one is worth this much; above zero.
    #[must_use]
    pub fn times(mut self, multiplier: impl Into<Decimal>) -> Self {
        self.multiplier = multiplier.into();
        self
    }

    /// The same with prices that may be these.
    #[must_use]
    pub const fn with_prices(mut self, prices: Prices) -> Self {
        self.prices = prices;
        self
    }

    /// What a quantity is worth at a price: quantity times multiplier, times price, each product rounded to the twelfth place.
    pub(crate) fn amount(&self, quantity: Decimal, price: Decimal) -> Decimal {
        if self.multiplier == Decimal::ONE {
            quantity * price
        } else {
            quantity * self.multiplier * price
        }
    }
}
