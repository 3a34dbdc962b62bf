//! Exact decimal numbers: prices, quantities and amounts of money.
//!
//! `rust_decimal` was judged first: its products are rounded silently to 28 digits of a floating scale, so that sums depend on
//! their order, and it has no state for a number that went wrong, so that recording one would have to fail or panic.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A decimal number with twelve decimal places: a whole number of 10⁻¹², up to 10²⁶ of either sign. Sums and differences are
/// exact. Products and quotients are rounded to the twelfth place once, halves away from zero, so that what is bought and what is
/// sold round alike.
///
/// A result beyond that range, or made of a float that is `NaN` or infinite, is *no number* ([`is_number`](Self::is_number)).
/// Whatever is computed from it is no number again, as with `NaN`; unlike `NaN`, it equals itself and sorts below all numbers.
///
/// Of a float it is the decimal that the float was written as:
///
/// ```
/// use obs_trading::Decimal;
///
/// let price = Decimal::from(187.1);
/// assert_eq!(price, "187.1".parse()?);
/// assert_eq!(Decimal::from(0.1) + Decimal::from(0.2), Decimal::from(0.3));
/// assert_eq!((price * Decimal::from(3)).to_string(), "561.3");
/// assert!(!Decimal::from(f64::NAN).is_number());
/// # Ok::<(), obs_trading::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal {
    /// In 10⁻¹².
    parts: i128,
}

impl Decimal {
    /// How many decimal places a number has.
    pub const PLACES: u32 = 12;

    /// The largest number, of either sign: the float 10²⁶.
    pub const LARGEST: Self = Self {
        parts: Self::UNIT * 100_000_000_000_000_004_764_729_344,
    };

    /// Nothing.
    pub const ZERO: Self = Self { parts: 0 };

    /// One.
    pub const ONE: Self = Self { parts: Self::UNIT };

    /// What is no number.
    pub const NAN: Self = Self { parts: i128::MIN };

    /// Parts of one.
    const UNIT: i128 = 10_i128.pow(Self::PLACES);

    /// A whole number of 10^-`places`: `of_minor(1_250, 2)` is 12.5. More than twelve places are no number.
    #[must_use]
    pub const fn of_minor(number: i64, places: u32) -> Self {
        if places <= Self::PLACES {
            Self::of_parts(number as i128 * 10_i128.pow(Self::PLACES - places))
        } else {
            Self::NAN
        }
    }

    /// The decimal a float was written as: the one of up to twelve places and 15 significant digits that this float is nearest
    /// to, and where there is none, the float rounded to the twelfth place. `NaN`, infinities and numbers beyond
    /// [`LARGEST`](Self::LARGEST) are no number.
    #[must_use]
    #[expect(
        clippy::float_cmp,
        reason = "whether it is the very float is the question"
    )]
    pub const fn of_float(number: f64) -> Self {
        /// Below it, no two whole numbers have the same quotient by a power of ten, and rounding finds the right one.
        const EXACT: f64 = (1_u64 << 51) as f64;
        /// Two places first, for most prices have no more.
        const POWERS: [(f64, i128); 13] = [
            (1e2, 10_i128.pow(10)),
            (1e0, 10_i128.pow(12)),
            (1e1, 10_i128.pow(11)),
            (1e3, 10_i128.pow(9)),
            (1e4, 10_i128.pow(8)),
            (1e5, 10_i128.pow(7)),
            (1e6, 10_i128.pow(6)),
            (1e7, 10_i128.pow(5)),
            (1e8, 10_i128.pow(4)),
            (1e9, 10_i128.pow(3)),
            (1e10, 10_i128.pow(2)),
            (1e11, 10),
            (1e12, 1),
        ];
        let mut n = 0;
        while n < POWERS.len() {
            let (power, parts) = POWERS[n];
            let digits = number * power;
            if digits.abs() < EXACT {
                let whole = round(digits);
                if whole as f64 / power == number {
                    // Below 2^51 · 10^12, which is well within the range.
                    let parts = whole as i128 * parts;
                    return Self { parts };
                }
            }
            n += 1;
        }
        Self::rounded(number)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to lie within 10^38"
    )]
    const fn rounded(number: f64) -> Self {
        if number.abs() <= 1e26 {
            // Whole units first: multiplied as floats, they would lose what lies behind the point.
            let whole = number as i128;
            let rest = (number - whole as f64) * Self::UNIT as f64;
            Self::of_parts(whole * Self::UNIT + round(rest) as i128)
        } else {
            Self::NAN
        }
    }

    const fn of_parts(parts: i128) -> Self {
        if parts.unsigned_abs() <= Self::LARGEST.parts.unsigned_abs() {
            Self { parts }
        } else {
            Self::NAN
        }
    }

    /// The nearest float, or one beside it; `NaN` for no number. What was made of a float of up to 15 significant digits is that
    /// float again, unless it has more than six places and is above 9,007.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        const MILLION: i128 = 1_000_000;
        if let Some(parts) = self.small()
            && is_small_float(parts)
        {
            return parts as f64 / Self::UNIT as f64;
        }
        if !self.is_number() || is_float(self.parts) {
            // A quotient of two exact floats is the nearest float.
            return self.near_f64();
        }
        let millionths = self.parts / MILLION;
        if millionths * MILLION == self.parts && is_float(millionths) {
            return millionths as f64 / MILLION as f64;
        }
        let (whole, rest) = (self.parts / Self::UNIT, self.parts % Self::UNIT);
        whole as f64 + rest as f64 / Self::UNIT as f64
    }

    /// The nearest float, or one beside it, in a few nanoseconds; `NaN` for no number.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits")]
    pub(crate) const fn near_f64(self) -> f64 {
        const HALF: f64 = 18_446_744_073_709_551_616.0;
        if let Some(parts) = self.small() {
            return parts as f64 / Self::UNIT as f64;
        }
        if !self.is_number() {
            return f64::NAN;
        }
        let parts = self.parts.unsigned_abs();
        let whole = (parts >> 64) as u64 as f64 * HALF + parts as u64 as f64;
        let number = whole / Self::UNIT as f64;
        if self.parts < 0 { -number } else { number }
    }

    /// In parts, of a number below nine millions: processors convert 64 bits, and do with more what takes ten times as long.
    #[expect(clippy::cast_possible_truncation, reason = "which is what is asked")]
    const fn small(self) -> Option<i64> {
        let parts = self.parts as i64;
        if parts as i128 == self.parts {
            Some(parts)
        } else {
            None
        }
    }

    /// Whether it is a number below 2^125 parts, some 4 · 10^25: the sum of two such is a number.
    #[expect(
        clippy::cast_sign_loss,
        reason = "the upper half of the bits, moved up to be compared once"
    )]
    const fn is_moderate(self) -> bool {
        let upper = (self.parts >> 64) as i64;
        (upper.wrapping_add(1 << 61) as u64) < 1 << 62
    }

    /// Whether it is a number at all.
    #[must_use]
    pub const fn is_number(self) -> bool {
        self.parts != i128::MIN
    }

    /// Whether it is a number above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.parts > 0
    }

    /// Whether it is a number below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.parts < 0 && self.is_number()
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.parts == 0
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        // The least number is no number, and its own opposite.
        Self {
            parts: self.parts.wrapping_abs(),
        }
    }

    /// With the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self {
            parts: self.parts.wrapping_neg(),
        }
    }

    /// The sum; nothing if it, or one of both, is no number.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(self + other).filter(|sum| sum.is_number())
    }

    /// The difference; nothing if it, or one of both, is no number.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Some(self - other).filter(|difference| difference.is_number())
    }

    /// `self · by / over`, rounded once; no number where `over` is zero.
    ///
    /// ```
    /// use obs_trading::Decimal;
    ///
    /// // What a third of a lot cost.
    /// let part = Decimal::from(100).mul_div(Decimal::from(1), Decimal::from(3));
    /// assert_eq!(part.to_string(), "33.333333333333");
    /// ```
    #[must_use]
    pub fn mul_div(self, by: Self, over: Self) -> Self {
        if !self.is_number() || !by.is_number() || !over.is_number() || over.is_zero() {
            return Self::NAN;
        }
        if self.is_zero() || by.is_zero() {
            return Self::ZERO;
        }
        let is_negative = (self.parts < 0) ^ (by.parts < 0) ^ (over.parts < 0);
        let [one, other, over] = [self, by, over].map(|number| number.parts.unsigned_abs());
        let quotient = one.checked_mul(other).map_or_else(
            || wide_quotient(wide_product(one, other), over),
            |product| Some(rounded_quotient(product, over)),
        );
        let parts = quotient.and_then(|quotient| i128::try_from(quotient).ok());
        parts.map_or(Self::NAN, |parts| {
            Self::of_parts(if is_negative { -parts } else { parts })
        })
    }

    /// The number of decimal places it needs.
    #[must_use]
    pub const fn places(self) -> u32 {
        let (mut parts, mut places) = (self.parts.unsigned_abs() % Self::UNIT.unsigned_abs(), 0);
        while parts != 0 {
            parts = parts * 10 % Self::UNIT.unsigned_abs();
            places += 1;
        }
        places
    }

    /// The number with this many places, halves rounded away from zero.
    #[must_use]
    pub const fn round_to(self, places: u32) -> Self {
        if places >= Self::PLACES || !self.is_number() {
            return self;
        }
        let step = 10_u128.pow(Self::PLACES - places);
        #[expect(clippy::cast_possible_wrap, reason = "within 10^38")]
        let parts = (rounded_quotient(self.parts.unsigned_abs(), step) * step) as i128;
        Self::of_parts(if self.parts < 0 { -parts } else { parts })
    }
}

/// Halves away from zero; `f64::round` is no constant function yet.
#[expect(clippy::cast_possible_truncation, reason = "below 2^51, or 10^12")]
const fn round(number: f64) -> i64 {
    (if number < 0.0 {
        number - 0.5
    } else {
        number + 0.5
    }) as i64
}

/// Whether a float holds all digits of a number.
const fn is_float(number: i128) -> bool {
    number == 0 || 128 - number.unsigned_abs().leading_zeros() - number.trailing_zeros() <= 53
}

/// The same of a small number.
const fn is_small_float(number: i64) -> bool {
    number == 0 || 64 - number.unsigned_abs().leading_zeros() - number.trailing_zeros() <= 53
}

/// Halves up, of numbers without sign.
const fn rounded_quotient(number: u128, over: u128) -> u128 {
    // One division, and not two.
    let quotient = number / over;
    let rest = number - quotient * over;
    if rest >= over - rest {
        quotient + 1
    } else {
        quotient
    }
}

/// A product of 256 bits, as its upper and lower half.
const fn wide_product(one: u128, other: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a, b) = (one >> 64, one & LOW);
    let (c, d) = (other >> 64, other & LOW);
    let low = b * d;
    let middle = a * d + (low >> 64);
    let carried = b * c + (middle & LOW);
    let high = a * c + (middle >> 64) + (carried >> 64);
    (high, (carried << 64) | (low & LOW))
}

/// Its quotient, halves up, bit by bit: products that large are rare. Nothing if it does not fit.
const fn wide_quotient((high, low): (u128, u128), over: u128) -> Option<u128> {
    if high >= over {
        return None;
    }
    let (mut rest, mut quotient, mut bit) = (high, 0_u128, 128);
    while bit > 0 {
        bit -= 1;
        // The divisor is below 2^127, and so is the rest: doubled, it fits.
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if rest >= over {
            rest -= over;
            quotient |= 1;
        }
    }
    if rest >= over - rest {
        quotient.checked_add(1)
    } else {
        Some(quotient)
    }
}

impl Add for Decimal {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.is_moderate() && other.is_moderate() {
            let parts = self.parts + other.parts;
            Self { parts }
        } else if self.is_number() && other.is_number() {
            let sum = self.parts.checked_add(other.parts);
            sum.map_or(Self::NAN, Self::of_parts)
        } else {
            Self::NAN
        }
    }
}

impl Sub for Decimal {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Decimal {
    type Output = Self;

    fn neg(self) -> Self {
        self.negated()
    }
}

impl Mul for Decimal {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        const UNIT: i64 = 1_000_000_000_000;
        // So many shares at a price: nothing is to be rounded, and nothing to be divided by 128 bits.
        if let (Some(one), Some(two)) = (self.small(), other.small()) {
            for (whole, parts) in [(one, two), (two, one)] {
                let units = whole / UNIT;
                if units * UNIT == whole {
                    let parts = i128::from(units) * i128::from(parts);
                    return Self { parts };
                }
            }
        }
        self.mul_div(other, Self::ONE)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::ZERO, Add::add)
    }
}

/// For gauges and histograms.
impl obs_core::metrics::IntoF64 for Decimal {
    fn into_f64(self) -> f64 {
        self.to_f64()
    }
}

impl From<f64> for Decimal {
    /// As [`of_float`](Self::of_float).
    fn from(number: f64) -> Self {
        Self::of_float(number)
    }
}

impl From<i128> for Decimal {
    fn from(number: i128) -> Self {
        number
            .checked_mul(Self::UNIT)
            .map_or(Self::NAN, Self::of_parts)
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(impl From<$integer> for Decimal {
            fn from(number: $integer) -> Self {
                Self::of_parts(i128::from(number) * Self::UNIT)
            }
        })*
    };
}

from_integers!(i8 i16 i32 i64 u8 u16 u32 u64);

impl fmt::Display for Decimal {
    /// As many places as it needs; with a precision (`{:.2}`), that many, halves rounded away from zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_number() {
            return f.pad_integral(true, "", "NaN");
        }
        let precision = f
            .precision()
            .map(|places| places.min(Self::PLACES as usize));
        #[expect(clippy::cast_possible_truncation, reason = "at most 12")]
        let rounded = precision.map_or(*self, |places| self.round_to(places as u32));
        let (unit, parts) = (Self::UNIT.unsigned_abs(), rounded.parts.unsigned_abs());
        let fraction = format!("{:012}", parts % unit);
        let fraction = match precision {
            Some(places) => &fraction[..places],
            None => fraction.trim_end_matches('0'),
        };
        let point = if fraction.is_empty() { "" } else { "." };
        let digits = format!("{}{point}{fraction}", parts / unit);
        f.pad_integral(rounded.parts >= 0, "", &digits)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = Error;

    /// Reads decimal digits with or without a fraction, such as `-12.5`, and `NaN`. Digits beyond the twelfth place must be 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        of_digits(text).ok_or_else(|| Error::InvalidDecimal { text: text.into() })
    }
}

fn of_digits(text: &str) -> Option<Decimal> {
    if text == "NaN" {
        return Some(Decimal::NAN);
    }
    let (is_negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let places = Decimal::PLACES as usize;
    let (fraction, beyond) = fraction.split_at(fraction.len().min(places));
    if beyond.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let mut parts = 0_i128;
    let missing = std::iter::repeat_n(b'0', places - fraction.len());
    for digit in whole.bytes().chain(fraction.bytes()).chain(missing) {
        parts = parts
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    Some(Decimal::of_parts(if is_negative { -parts } else { parts })).filter(|it| it.is_number())
}

/// As decimal digits, `"12.5"`, for a float would not hold them all. A number is read too, as earlier editions wrote it.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl serde::de::Visitor<'_> for Digits {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("decimal digits such as \"12.5\", or a number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_f64<E>(self, number: f64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            fn visit_i64<E>(self, number: i64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            fn visit_u64<E>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            /// How earlier editions wrote a float that is no number.
            fn visit_unit<E>(self) -> Result<Decimal, E> {
                Ok(Decimal::NAN)
            }

            fn visit_none<E>(self) -> Result<Decimal, E> {
                Ok(Decimal::NAN)
            }
        }

        deserializer.deserialize_any(Digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_float_is_the_decimal_it_was_written_as() {
        for text in [
            "0.1",
            "187.25",
            "187.205",
            "1000000000.1",
            "-37.63",
            "0.00000001",
            "0.000000000001",
            "123456789.123456",
            "9007199254740993",
            "0",
        ] {
            let float: f64 = text.parse().unwrap();
            let expected = if text == "9007199254740993" {
                "9007199254740992"
            } else {
                text
            };
            assert_eq!(Decimal::from(float).to_string(), expected);
        }
        let third = Decimal::from(1.0 / 3.0);
        assert_eq!(third.to_string(), "0.333333333333");
        assert_eq!(Decimal::from(1e-13), Decimal::ZERO);
        assert_eq!(Decimal::from(-0.0), Decimal::ZERO);
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for wrong in [f64::NAN, f64::INFINITY, -1e27, f64::MAX] {
            let none = Decimal::from(wrong);
            for result in [
                none + Decimal::ONE,
                Decimal::ONE - none,
                none * Decimal::ZERO,
                -none,
                none.abs(),
                Decimal::ONE.mul_div(Decimal::ONE, none),
                none.round_to(2),
            ] {
                assert!(!result.is_number() && result.to_f64().is_nan());
            }
            assert!(!none.is_positive() && !none.is_negative());
        }
        let most = Decimal::LARGEST;
        for beyond in [
            most + Decimal::ONE,
            -most - Decimal::ONE,
            most * most,
            Decimal::ONE.mul_div(Decimal::ONE, Decimal::ZERO),
        ] {
            assert!(!beyond.is_number());
        }
        assert_eq!(most.checked_add(Decimal::ONE), None);
        assert_eq!(most.checked_sub(most), Some(Decimal::ZERO));
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let half = Decimal::of_minor(5, 1);
        let least = Decimal::of_minor(1, 12);
        assert_eq!(least * half, least);
        assert_eq!(-least * half, -least);
        assert_eq!(decimal("2.345").round_to(2), decimal("2.35"));
        assert_eq!(decimal("-2.345").round_to(2), decimal("-2.35"));
        assert_eq!(format!("{:.2}", decimal("-0.004")), "0.00");
        assert_eq!(format!("{:>8.2}", decimal("12.5")), "   12.50");
    }

    #[test]
    fn text_that_is_no_number_says_so() {
        for text in ["", ".", ".5", "1e3", "1.2.3", "+1", "0.1234567890123", "x"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
        assert!(format!("1{:027}", 1).parse::<Decimal>().is_err());
        assert_eq!(decimal("0.1000000000000000"), Decimal::from(0.1));
    }

    #[test]
    fn numbers_of_earlier_editions_are_read() {
        for (json, number) in [("4.25", 4.25), ("4", 4.0), ("-4", -4.0), ("\"4.25\"", 4.25)] {
            let read: Decimal = serde_json::from_str(json).unwrap();
            assert_eq!(read, Decimal::from(number));
        }
        let none: Decimal = serde_json::from_str("null").unwrap();
        assert!(!none.is_number());
    }

    fn numbers() -> impl Strategy<Value = Decimal> {
        prop_oneof![
            (any::<i64>(), 0..13_u32)
                .prop_map(|(number, places)| Decimal::of_minor(number, places)),
            any::<i128>().prop_map(|number| Decimal::of_parts(number % Decimal::LARGEST.parts)),
        ]
    }

    proptest! {
        #[test]
        fn fifteen_digits_come_back(number in -999_999_999_999_999_i64..=999_999_999_999_999, places in 0..13_u32) {
            let written = Decimal::of_minor(number, places);
            let float: f64 = written.to_string().parse().unwrap();
            prop_assert_eq!(Decimal::from(float), written);
            // One unit in the last place at most, where it has both many digits and many places.
            let back = written.to_f64();
            prop_assert!((back - float).abs() <= float.abs() * f64::EPSILON);
        }

        #[test]
        fn text_and_json_give_back_every_number(number in numbers()) {
            prop_assert_eq!(number.to_string().parse::<Decimal>().unwrap(), number);
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), number);
        }

        /// A quotient is right when it times the divisor is off by half a divisor at most, in whole numbers of 256 bits.
        #[test]
        fn a_quotient_of_a_product_is_rounded_once(one in numbers(), other in numbers(), over in numbers()) {
            let quotient = one.mul_div(other, over);
            let exact = wide_product(one.parts.unsigned_abs(), other.parts.unsigned_abs());
            let divisor = over.parts.unsigned_abs();
            if quotient.is_number() {
                prop_assert!(quotient.is_zero() || quotient.is_negative() == (one.is_negative() ^ other.is_negative() ^ over.is_negative()));
                // exact + floor(divisor / 2) = quotient * divisor + rest, rest < divisor.
                let (low, carry) = exact.1.overflowing_add(divisor / 2);
                let high = exact.0 + u128::from(carry);
                let (back, back_low) = wide_product(quotient.parts.unsigned_abs(), divisor);
                let (rest, borrow) = low.overflowing_sub(back_low);
                prop_assert_eq!(high - back - u128::from(borrow), 0);
                prop_assert!(rest < divisor);
            } else {
                let (largest_high, _) = wide_product(Decimal::LARGEST.parts.unsigned_abs(), divisor.max(1));
                prop_assert!(divisor == 0 || exact.0 >= largest_high);
            }
        }

        #[test]
        fn a_sum_less_one_part_is_the_other(one in numbers(), other in numbers()) {
            if let Some(sum) = one.checked_add(other) {
                prop_assert_eq!(sum - other, one);
            }
        }
    }
}
