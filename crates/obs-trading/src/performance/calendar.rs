//! The days that count, and where they begin.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

obs_core::label! {
    /// A stretch of time in the ledger's time zone.
    pub enum Period as "period" {
        /// From midnight to midnight.
        Day = "day",
        /// From Monday to Sunday (ISO 8601).
        Week = "week",
        /// A calendar month.
        Month = "month",
        /// Since the ledger began.
        Total = "total",
    }
}

impl Period {
    /// The first day of the period the day lies in. The total began before all days.
    pub(crate) fn start(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let since_monday = day.weekday().to_monday_zero_offset();
                day.saturating_sub(jiff::Span::new().days(since_monday))
            }
            Self::Month => day.first_of_month(),
            Self::Total => Date::MIN,
        }
    }
}

/// Which days have a return, and in which time zone a day begins. There is no default for either: a market that never
/// closes has 365 days a year, and the day of a desk in Tokyo is not that of its server.
///
/// A day that counts and saw no event has a return of zero. A day that does not count has none; what changed on it belongs
/// to the next that counts.
///
/// ```
/// use jiff::{civil::date, tz::TimeZone};
/// use obs_trading::Calendar;
///
/// let exchange = Calendar::weekdays(TimeZone::UTC).with_holidays([date(2024, 12, 25)]);
/// assert!(exchange.counts(date(2024, 12, 24)));
/// assert!(!exchange.counts(date(2024, 12, 25)));
/// assert!(!exchange.counts(date(2024, 12, 28))); // a Saturday
/// ```
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    days: Days,
    /// Days that would count otherwise, in order, each once.
    holidays: Vec<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Days {
    Every,
    Weekdays,
}

impl Calendar {
    /// Every day counts.
    #[must_use]
    pub const fn every_day(zone: TimeZone) -> Self {
        Self {
            zone,
            days: Days::Every,
            holidays: Vec::new(),
        }
    }

    /// Monday to Friday count.
    #[must_use]
    pub const fn weekdays(zone: TimeZone) -> Self {
        Self {
            zone,
            days: Days::Weekdays,
            holidays: Vec::new(),
        }
    }

    /// The same without these days. Said twice, the lists are joined.
    #[must_use]
    pub fn with_holidays(mut self, holidays: impl IntoIterator<Item = Date>) -> Self {
        self.holidays.extend(holidays);
        let days = self.days;
        self.holidays.retain(|day| days.contain(*day));
        self.holidays.sort_unstable();
        self.holidays.dedup();
        self
    }

    /// Whether the day has a return.
    #[must_use]
    pub fn counts(&self, day: Date) -> bool {
        self.days.contain(day) && self.holidays.binary_search(&day).is_err()
    }

    /// The day of a moment, in the calendar's time zone.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// The time zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn zone_name(&self) -> String {
        let named = self.zone.iana_name().map(str::to_owned);
        named
            .or_else(|| Some(self.zone.to_fixed_offset().ok()?.to_string()))
            .unwrap_or_else(|| "unnamed zone".to_owned())
    }
}

impl Days {
    fn contain(self, day: Date) -> bool {
        match self {
            Self::Every => true,
            Self::Weekdays => day.weekday().to_monday_zero_offset() < 5,
        }
    }
}

/// As `portfolio_statistics_info` shows it.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = match self.days {
            Days::Every => "every day",
            Days::Weekdays => "weekdays",
        };
        write!(f, "{days} {}", self.zone_name())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn periods_begin_where_the_calendar_says() {
        // ISO week 1 of 2025 begins in 2024.
        assert_eq!(Period::Week.start(date(2025, 1, 1)), date(2024, 12, 30));
        assert_eq!(Period::Week.start(date(2024, 12, 30)), date(2024, 12, 30));
        assert_eq!(Period::Week.start(date(2024, 12, 29)), date(2024, 12, 23));
        assert_eq!(Period::Month.start(date(2024, 2, 29)), date(2024, 2, 1));
        assert_eq!(Period::Day.start(date(2024, 2, 29)), date(2024, 2, 29));
    }

    #[test]
    fn a_day_follows_the_zone_through_daylight_saving() {
        let new_york = Calendar::weekdays(TimeZone::get("America/New_York").unwrap());
        let day = |at: &str| new_york.day(at.parse().unwrap());
        // Winter: midnight is 05:00 UTC; summer, from 2024-03-10 on: 04:00 UTC.
        assert_eq!(day("2024-03-09T04:59:59Z"), date(2024, 3, 8));
        assert_eq!(day("2024-03-09T05:00:00Z"), date(2024, 3, 9));
        assert_eq!(day("2024-03-11T03:59:59Z"), date(2024, 3, 10));
        assert_eq!(day("2024-03-11T04:00:00Z"), date(2024, 3, 11));
        assert_eq!(new_york.to_string(), "weekdays America/New_York");
        let fixed = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(Calendar::every_day(fixed).to_string(), "every day +09");
    }
}
