//! Money: an amount that knows its currency.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct;
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
    /// In 10⁻¹² of the unit.
    parts: i128,
    currency: Currency,
}

/// What stands for a number that is no amount.
const NO_AMOUNT: i128 = i128::MIN;

impl Money {
    /// How many decimal places an amount has.
    pub const DECIMALS: u32 = 12;

    /// Parts of a unit.
    const UNIT: i128 = 10_i128.pow(Self::DECIMALS);

    /// The largest amount, in units of the currency, of either sign.
    pub const LARGEST: f64 = 1e26;

    /// An amount of a currency, rounded to the twelfth decimal.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to lie within 10^38"
    )]
    pub const fn new(amount: f64, currency: Currency) -> Self {
        let parts = if amount.abs() <= Self::LARGEST {
            // Whole units first: multiplied as floats, they would lose what lies behind the point.
            let whole = amount as i128;
            let rest = (amount - whole as f64) * Self::UNIT as f64;
            whole * Self::UNIT + round(rest)
        } else {
            NO_AMOUNT
        };
        Self { parts, currency }
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
        let parts = if decimals <= Self::DECIMALS {
            amount as i128 * 10_i128.pow(Self::DECIMALS - decimals)
        } else {
            NO_AMOUNT
        };
        Self { parts, currency }
    }

    /// Nothing of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { parts: 0, currency }
    }

    /// How much, in units of the currency; `NaN` for what is no amount.
    #[must_use]
    pub const fn amount(self) -> f64 {
        if self.is_amount() {
            // Apart, so that neither loses digits: what was made of a float is that float again.
            let (whole, rest) = (self.parts / Self::UNIT, self.parts % Self::UNIT);
            whole as f64 + rest as f64 / Self::UNIT as f64
        } else {
            f64::NAN
        }
    }

    /// Of what.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is an amount at all.
    #[must_use]
    pub const fn is_amount(self) -> bool {
        self.parts != NO_AMOUNT
    }

    /// The sum; nothing where the currencies differ.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then(|| {
            let sum = self.parts.checked_add(other.parts);
            let both = self.is_amount() && other.is_amount();
            Self {
                parts: sum.filter(|_| both).unwrap_or(NO_AMOUNT),
                ..self
            }
        })
    }

    /// The same with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        // The least number is no amount, and its own opposite.
        Self {
            parts: self.parts.wrapping_neg(),
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

/// Halves away from zero; `f64::round` is no constant function yet.
#[expect(
    clippy::cast_possible_truncation,
    reason = "below one unit, 10^12 parts"
)]
const fn round(parts: f64) -> i128 {
    (if parts < 0.0 {
        parts - 0.5
    } else {
        parts + 0.5
    }) as i128
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.digits(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Money {
    /// The amount in decimal digits, as many as it needs.
    fn digits(self) -> String {
        if !self.is_amount() {
            return "NaN".to_owned();
        }
        let sign = if self.parts < 0 { "-" } else { "" };
        let unit = Self::UNIT.unsigned_abs();
        let parts = self.parts.unsigned_abs();
        let fraction = format!("{:012}", parts % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{fraction}", parts / unit)
    }

    fn of_digits(digits: &str, currency: Currency) -> Option<Self> {
        if digits == "NaN" {
            return Some(Self {
                parts: NO_AMOUNT,
                currency,
            });
        }
        let (sign, digits) = digits
            .strip_prefix('-')
            .map_or((1, digits), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 12 {
            return None;
        }
        let parts = format!("{whole}{fraction:0<12}").parse::<i128>().ok()?;
        Some(Self {
            parts: sign * parts,
            currency,
        })
    }
}

impl FromStr for Money {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes: decimal digits, a blank, the currency's code.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidMoney { text: text.into() };
        let (digits, code) = text.split_once(' ').ok_or_else(invalid)?;
        Self::of_digits(digits, code.parse()?).ok_or_else(invalid)
    }
}

/// As `{"amount": "12.5", "currency": "USD"}`: decimal digits, for a float would not hold them all. A number is read too, as
/// the first edition wrote it.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Money", 2)?;
        fields.serialize_field("amount", &self.digits())?;
        fields.serialize_field("currency", &self.currency)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            amount: Amount,
            currency: Currency,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Amount {
            Digits(String),
            Number(f64),
        }
        let Fields { amount, currency } = Fields::deserialize(deserializer)?;
        match amount {
            Amount::Number(amount) => Ok(Self::new(amount, currency)),
            Amount::Digits(digits) => Self::of_digits(&digits, currency).ok_or_else(|| {
                serde::de::Error::custom(format!("`{digits}` is no amount of money"))
            }),
        }
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
