//! Money: an amount that knows its currency.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Decimal, Error};

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

/// An amount of money: a whole number of 10⁻¹² of the currency's unit, so that sums and differences are exact.
///
/// Twelve decimals hold a satoshi of a cent, and 10²⁶ units of any currency. An amount that is no number, or beyond that, is
/// kept as what it is: no amount ([`is_amount`](Self::is_amount)). Adding to it gives no amount again, and ledgers and counters
/// refuse it, so that one wrong number neither stops a program nor becomes a wrong sum.
///
/// Amounts of different currencies are never added: a ledger holds one currency, and refuses others until they are
/// [converted](Self::convert) at a rate the caller states.
///
/// ```
/// use obs_trading::{Currency, Money};
///
/// let usd = |amount| Money::new(amount, Currency::USD);
/// assert_eq!(usd(0.1).plus(usd(0.2)), Some(usd(0.3)));
/// assert_eq!("-12.5 USD".parse::<Money>()?, usd(-12.5));
/// assert_eq!(usd(1.0).plus(Money::new(1.0, Currency::EUR)), None);
/// assert!(!usd(f64::NAN).is_amount());
/// # Ok::<(), obs_trading::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// How many decimal places an amount has.
    pub const DECIMALS: u32 = Decimal::PLACES;

    /// The largest amount, in units of the currency, of either sign.
    pub const LARGEST: f64 = 1e26;

    /// An amount of a currency: a [`Decimal`], a whole number, or a float, of which it is the
    /// [decimal it was written as](Decimal::of_float).
    #[must_use]
    pub fn new(amount: impl Into<Decimal>, currency: Currency) -> Self {
        Self {
            amount: amount.into(),
            currency,
        }
    }

    /// Whole numbers of the currency's smaller unit, such as cents: `decimals` says how many digits lie behind the point.
    ///
    /// ```
    /// use obs_trading::{Currency, Money};
    ///
    /// assert_eq!(Money::of_minor(1_250, 2, Currency::USD), Money::new(12.5, Currency::USD));
    /// ```
    ///
    /// More than twelve decimals are no amount.
    #[must_use]
    pub const fn of_minor(amount: i64, decimals: u32, currency: Currency) -> Self {
        Self {
            amount: Decimal::of_minor(amount, decimals),
            currency,
        }
    }

    /// Nothing of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self {
            amount: Decimal::ZERO,
            currency,
        }
    }

    /// How much, in units of the currency, as a float; `NaN` for what is no amount.
    #[must_use]
    pub const fn amount(self) -> f64 {
        self.amount.to_f64()
    }

    /// How much, in units of the currency, exactly.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.amount
    }

    /// Of what.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is an amount at all.
    #[must_use]
    pub const fn is_amount(self) -> bool {
        self.amount.is_number()
    }

    /// The sum; nothing where the currencies differ.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            amount: self.amount + other.amount,
            ..self
        })
    }

    /// The same with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self {
            amount: self.amount.negated(),
            currency: self.currency,
        }
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
    /// Fails when the rate, or what comes out, is no finite number, or the rate is not above zero.
    pub fn convert(self, rate: f64, to: Currency) -> Result<Self, Error> {
        let converted = Self::new(self.amount() * rate, to);
        if rate > 0.0 && converted.is_amount() {
            Ok(converted)
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

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Money {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes: decimal digits, a blank, the currency's code.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidMoney { text: text.into() };
        let (digits, code) = text.split_once(' ').ok_or_else(invalid)?;
        let currency = code.parse()?;
        let amount = digits.parse::<Decimal>().map_err(|_| invalid())?;
        Ok(Self::new(amount, currency))
    }
}

/// As `{"amount": "12.5", "currency": "USD"}`: decimal digits, for a float would not hold them all. A number is read too, as
/// the first edition wrote it.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Money", 2)?;
        fields.serialize_field("amount", &self.amount)?;
        fields.serialize_field("currency", &self.currency)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            amount: Decimal,
            currency: Currency,
        }
        let Fields { amount, currency } = Fields::deserialize(deserializer)?;
        Ok(Self { amount, currency })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn a_tenth_ten_times_is_one() {
        let tenth = Money::new(0.1, Currency::USD);
        let sum = (0..10).try_fold(Money::zero(Currency::USD), |sum, _| sum.plus(tenth));
        assert_eq!(sum, Some(Money::new(1.0, Currency::USD)));
        assert_eq!(tenth.negated().to_string(), "-0.1 USD");
    }

    #[test]
    fn what_is_no_amount_stays_none() {
        for wrong in [f64::NAN, f64::INFINITY, -1e27] {
            let money = Money::new(wrong, Currency::USD);
            assert!(!money.is_amount() && money.amount().is_nan());
            let sum = money.plus(Money::new(1.0, Currency::USD)).unwrap();
            assert!(!sum.is_amount() && !sum.negated().is_amount());
        }
        assert!(Money::new(1e26, Currency::USD).is_amount());
        assert!(!Money::of_minor(1, 13, Currency::USD).is_amount());
    }

    #[test]
    fn text_that_is_no_money_says_so() {
        for text in [
            "",
            "12",
            "12 ",
            "1e3 USD",
            "1.2.3 USD",
            ". USD",
            "0.1234567890123 USD",
            "+1 USD",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_of_the_first_edition_is_read() {
        let money: Money = serde_json::from_str(r#"{"amount":12.5,"currency":"USD"}"#).unwrap();
        assert_eq!(money, Money::new(12.5, Currency::USD));
    }

    proptest! {
        #[test]
        fn text_and_json_give_back_every_amount(whole in -1_000_000_000_i64..1_000_000_000, decimals in 0..13_u32) {
            let money = Money::of_minor(whole, decimals, Currency::JPY);
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }

        #[test]
        fn an_amount_of_up_to_three_decimals_is_the_float_again(cents in -1_000_000_000_000_i64..1_000_000_000_000) {
            let amount = cents as f64 / 1e3;
            prop_assert_eq!(Money::new(amount, Currency::USD).amount().to_bits(), (amount + 0.0).to_bits());
        }
    }
}
