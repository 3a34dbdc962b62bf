//! Money: an amount that knows its currency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// The longest currency code, in bytes.
const LONGEST: usize = 12;

/// A currency by its code: ISO 4217 for money of states, the exchange's code for others. Any printable ASCII text without
/// blanks, of 1 to 12 bytes.
///
/// ```
/// use obs_trading::Currency;
///
/// let tether: Currency = "USDT".parse()?;
/// assert_ne!(tether, Currency::USD);
/// # Ok::<(), obs_trading::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: [u8; LONGEST],
    length: u8,
}

impl Currency {
    /// United States dollar.
    pub const USD: Self = Self::known("USD");
    /// Euro.
    pub const EUR: Self = Self::known("EUR");
    /// Pound sterling.
    pub const GBP: Self = Self::known("GBP");
    /// Japanese yen.
    pub const JPY: Self = Self::known("JPY");
    /// Swiss franc.
    pub const CHF: Self = Self::known("CHF");

    /// Its code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = &self.code[..usize::from(self.length)];
        // Every constructor takes ASCII only.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    const fn known(code: &'static str) -> Self {
        match Self::from_code(code) {
            Some(currency) => currency,
            None => panic!("a currency's code is 1 to 12 printable ASCII characters"),
        }
    }

    const fn from_code(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > LONGEST {
            return None;
        }
        let mut code = [0; LONGEST];
        let mut i = 0;
        while i < bytes.len() {
            if !bytes[i].is_ascii_graphic() {
                return None;
            }
            code[i] = bytes[i];
            i += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 12")]
        let length = bytes.len() as u8;
        Some(Self { code, length })
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Self::from_code(code).ok_or_else(|| Error::InvalidCurrency { code: code.into() })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount of money. Amounts of different currencies are never added: a ledger holds one currency, and refuses others
/// until they are [converted](Self::convert) at a rate the caller states.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// How much, in units of the currency.
    pub amount: f64,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// An amount of a currency.
    #[must_use]
    pub const fn new(amount: f64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The same money in another currency, of which one unit of this one is worth `rate`.
    ///
    /// ```
    /// use obs_trading::{Currency, Money};
    ///
    /// let profit = Money::new(200.0, Currency::EUR).convert(1.25, Currency::USD)?;
    /// assert_eq!(profit, Money::new(250.0, Currency::USD));
    /// # Ok::<(), obs_trading::Error>(())
    /// ```
    ///
    /// Fails when the rate, or what comes out, is not a finite number, or the rate is not above zero.
    pub fn convert(self, rate: f64, to: Currency) -> Result<Self, Error> {
        let amount = self.amount * rate;
        if rate > 0.0 && amount.is_finite() {
            Ok(Self::new(amount, to))
        } else {
            Err(Error::InvalidRate {
                rate,
                money: self,
                to,
            })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_printable_ascii() {
        for code in ["USD", "1INCH", "USDT.E", "ABCDEFGHIJKL"] {
            assert_eq!(code.parse::<Currency>().unwrap().as_str(), code);
        }
        for code in ["", "US D", "ABCDEFGHIJKLM", "€", "\u{7f}"] {
            assert!(matches!(
                code.parse::<Currency>(),
                Err(Error::InvalidCurrency { .. })
            ));
        }
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        let money = Money::new(1.0, Currency::EUR);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                money.convert(rate, Currency::USD),
                Err(Error::InvalidRate { .. })
            ));
        }
    }
}
