//! The days of CME Group's futures on Globex, by group of products, since 2016.

use jiff::civil::{Date, Time, Weekday, date, time};

use crate::exception::Exception;
use crate::rules::{
    is_after_thanksgiving, is_good_friday, is_last, is_nth, is_observed, is_observed_later, is_on,
    is_weekend,
};

/// A group of products of CME Group that keeps the same hours and holidays.
///
/// Left out are products with hours of their own: options, TAS and BTIC, agricultural products, cryptocurrencies, and single
/// contracts such as the Nikkei 225 in dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CmeGroup {
    /// US equity index futures: ES, NQ, RTY, YM and their micros.
    EquityIndex,
    /// Foreign exchange futures: 6E, 6J, 6B and others.
    Fx,
    /// Treasury, Fed funds and SOFR futures: ZN, ZB, ZQ, SR3 and others.
    InterestRate,
    /// NYMEX energy and COMEX metals: CL, NG, GC, SI, HG and others.
    EnergyAndMetals,
}

/// The first final day, before which hours were others, and the last.
pub(crate) const FINAL: [Date; 2] = [date(2016, 1, 1), date(2027, 12, 31)];

/// On the evening before, in Chicago.
pub(crate) const OPEN: Time = time(17, 0, 0, 0);
pub(crate) const CLOSE: Time = time(16, 0, 0, 0);

const NOON: Time = time(12, 0, 0, 0);
const QUARTER_PAST_NOON: Time = time(12, 15, 0, 0);
const QUARTER_TO_ONE: Time = time(12, 45, 0, 0);
const QUARTER_TO_TWO: Time = time(13, 45, 0, 0);

impl CmeGroup {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EquityIndex => "CME equity index",
            Self::Fx => "CME FX",
            Self::InterestRate => "CME interest rate",
            Self::EnergyAndMetals => "CME energy and metals",
        }
    }

    pub(crate) fn exception(self, day: Date) -> Option<Exception> {
        if is_weekend(day) {
            return None;
        }
        self.mourning(day)
            .or_else(|| closed(day).map(Exception::closed))
            .or_else(|| self.good_friday(day))
            .or_else(|| {
                us_holiday(day)
                    .map(|reason| Exception::holiday_session(self.holiday_close(day), reason))
            })
            .or_else(|| self.half_day(day))
    }

    /// Days of mourning for a president: equity index futures trade until half an hour before the exchanges would open (CME Group's
    /// announcements of 2 December 2018 and 30 December 2024).
    fn mourning(self, day: Date) -> Option<Exception> {
        const BUSH: &str = "mourning for George H. W. Bush";
        const CARTER: &str = "mourning for Jimmy Carter";
        let half_past_eight = time(8, 30, 0, 0);
        match ((day.year(), day.month(), day.day()), self) {
            ((2018, 12, 5), Self::EquityIndex) => {
                Some(Exception::early_close(half_past_eight, BUSH))
            }
            ((2018, 12, 5), Self::InterestRate) => Some(Exception::closed(BUSH)),
            ((2025, 1, 9), Self::EquityIndex) => {
                Some(Exception::early_close(half_past_eight, CARTER))
            }
            ((2025, 1, 9), Self::InterestRate) => {
                Some(Exception::early_close(QUARTER_PAST_NOON, CARTER))
            }
            _ => None,
        }
    }

    /// Closed, but for an hour or three after the employment report: the Bureau of Labor Statistics publishes it on the first
    /// Friday of the month, be that Good Friday.
    fn good_friday(self, day: Date) -> Option<Exception> {
        let reason = "Good Friday";
        let with_report = |hour| Exception::early_close(time(hour, 15, 0, 0), reason);
        is_good_friday(day).then(|| match self {
            Self::EquityIndex if is_nth(day, 1, Weekday::Friday) => with_report(8),
            Self::Fx | Self::InterestRate if is_nth(day, 1, Weekday::Friday) => with_report(10),
            _ => Exception::closed(reason),
        })
    }

    /// When a session on a holiday of the United States ends.
    fn holiday_close(self, day: Date) -> Time {
        if day.year() < 2022 || day.weekday() == Weekday::Friday {
            return NOON;
        }
        match self {
            Self::EquityIndex | Self::InterestRate => NOON,
            Self::Fx => CLOSE,
            Self::EnergyAndMetals => time(13, 30, 0, 0),
        }
    }

    fn half_day(self, day: Date) -> Option<Exception> {
        let year = day.year();
        if self == Self::EquityIndex && is_on(day, 7, 3) {
            let reason = "day before Independence Day";
            return Some(Exception::early_close(QUARTER_PAST_NOON, reason));
        }
        if is_after_thanksgiving(day) {
            let close = match self {
                Self::Fx if year >= 2025 => QUARTER_TO_TWO,
                Self::EnergyAndMetals if year >= 2024 => QUARTER_TO_TWO,
                Self::EnergyAndMetals => QUARTER_TO_ONE,
                _ => QUARTER_PAST_NOON,
            };
            return Some(Exception::early_close(close, "day after Thanksgiving"));
        }
        is_on(day, 12, 24).then(|| {
            let close = match self {
                Self::Fx if year >= 2024 => QUARTER_TO_ONE,
                Self::EnergyAndMetals => QUARTER_TO_ONE,
                _ => QUARTER_PAST_NOON,
            };
            Exception::early_close(close, "Christmas Eve")
        })
    }
}

fn closed(day: Date) -> Option<&'static str> {
    if is_observed_later(day, 1, 1) {
        Some("New Year's Day")
    } else {
        is_observed(day, 12, 25).then_some("Christmas Day")
    }
}

/// Holidays of the United States on which Globex trades for a part of the day.
fn us_holiday(day: Date) -> Option<&'static str> {
    use Weekday::{Monday, Thursday};
    match day.month() {
        1 if is_nth(day, 3, Monday) => Some("Martin Luther King, Jr. Day"),
        2 if is_nth(day, 3, Monday) => Some("Presidents' Day"),
        5 if is_last(day, Monday) => Some("Memorial Day"),
        6 if is_observed(day, 6, 19) && day.year() >= 2022 => Some("Juneteenth"),
        7 if is_observed(day, 7, 4) => Some("Independence Day"),
        9 if is_nth(day, 1, Monday) => Some("Labor Day"),
        11 if is_nth(day, 4, Thursday) => Some("Thanksgiving Day"),
        _ => None,
    }
}
