//! The days on which the bars trade, and when a trading day opens and closes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;
use obs_providers::{Market, TradingCalendar};
use obs_trading::{BusinessDays, Calendar, PeriodsPerYear};

/// When the New York Stock Exchange opens and closes.
const SESSION: [Time; 2] = [time(9, 30, 0, 0), time(16, 0, 0, 0)];

/// The days on which the bars trade.
///
/// Bars of weekdays only are those of an exchange: the weekdays without a bar are its holidays, and a year has 252 days. A bar
/// on a weekend is of a market that never closes: every day counts.
#[derive(Debug, Clone)]
pub struct TradingDays {
    zone: TimeZone,
    /// The exchange's holidays; `None` for a market that never closes.
    holidays: Option<Vec<Date>>,
}

impl TradingDays {
    /// The calendar that bars of these days follow.
    #[must_use]
    pub fn of(days: &BTreeSet<Date>) -> Self {
        // The database of time zones is built in, and New York is in it.
        let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
        let holidays = days
            .iter()
            .all(|day| is_weekday(*day))
            .then(|| holidays(days));
        Self { zone, holidays }
    }

    /// The moment at which that day's session opens.
    #[must_use]
    pub fn open(&self, day: Date) -> Timestamp {
        self.at(day, SESSION[0])
    }

    /// The moment at which that day's session closes.
    #[must_use]
    pub fn close(&self, day: Date) -> Timestamp {
        self.at(day, SESSION[1])
    }

    /// The days that have a return, for the performance statistics.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        match &self.holidays {
            Some(holidays) => Calendar::weekdays(self.zone.clone()).with_holidays(holidays.clone()),
            None => Calendar::every_day(self.zone.clone()),
        }
    }

    /// The sessions of the market, by which its data ages.
    #[must_use]
    pub fn sessions(&self) -> TradingCalendar {
        match &self.holidays {
            Some(holidays) => TradingCalendar::nyse().holidays(holidays.iter().copied()),
            None => TradingCalendar::always_open(),
        }
    }

    /// The market under measurement, which is to be told what time it is in the replay.
    #[must_use]
    pub fn market(&self) -> Market {
        let venue = match self.holidays {
            Some(_) => "NYSE",
            None => "24/7",
        };
        Market::new(venue, self.sessions())
    }

    /// How many of them make a year.
    #[must_use]
    pub fn periods_per_year(&self) -> PeriodsPerYear {
        match self.holidays {
            Some(_) => PeriodsPerYear::TRADING_DAYS,
            None => PeriodsPerYear::EVERY_DAY,
        }
    }

    /// The days on which trades settle; none in a market that never closes.
    #[must_use]
    pub fn business_days(&self) -> Option<BusinessDays> {
        let holidays = self.holidays.clone()?;
        Some(BusinessDays::weekdays().holidays(holidays))
    }

    /// A time that the change of the clocks leaves out, or that lies beyond the end of time, is the nearest there is.
    fn at(&self, day: Date, time: Time) -> Timestamp {
        self.zone
            .to_timestamp(day.to_datetime(time))
            .unwrap_or(Timestamp::MAX)
    }
}

fn holidays(days: &BTreeSet<Date>) -> Vec<Date> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Vec::new();
    };
    let between = std::iter::successors(Some(*first), |day| day.tomorrow().ok());
    between
        .take_while(|day| day <= last)
        .filter(|day| is_weekday(*day) && !days.contains(day))
        .collect()
}

fn is_weekday(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn weekdays_without_a_bar_are_holidays() {
        let days = TradingDays::of(&[date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 7)].into());
        assert_eq!(days.holidays, Some(vec![date(2020, 1, 6)]));
        assert_eq!(days.periods_per_year(), PeriodsPerYear::TRADING_DAYS);
        let settles = days
            .business_days()
            .map(|days| days.after(date(2020, 1, 3), 1));
        assert_eq!(settles, Some(date(2020, 1, 7)));
    }

    #[test]
    fn a_bar_on_a_sunday_is_of_a_market_that_never_closes() {
        let days = TradingDays::of(&[date(2020, 1, 3), date(2020, 1, 5)].into());
        assert_eq!(days.periods_per_year(), PeriodsPerYear::EVERY_DAY);
        assert!(days.business_days().is_none());
        assert!(days.calendar().counts(date(2020, 1, 4)));
    }

    #[test]
    fn the_session_is_new_yorks_in_winter_and_summer() {
        let days = TradingDays::of(&[date(2020, 1, 3)].into());
        assert_eq!(
            days.open(date(2020, 1, 3)).to_string(),
            "2020-01-03T14:30:00Z"
        );
        assert_eq!(
            days.close(date(2020, 7, 3)).to_string(),
            "2020-07-03T20:00:00Z"
        );
    }

    #[test]
    fn the_bundled_bars_are_an_exchanges() {
        let days = crate::bars::days(&crate::bars::bundled().unwrap());
        let holidays = TradingDays::of(&days).holidays.unwrap();
        assert!(holidays.contains(&date(2001, 9, 11)));
        // About nine a year.
        assert!((160..220).contains(&holidays.len()), "{}", holidays.len());
    }
}
