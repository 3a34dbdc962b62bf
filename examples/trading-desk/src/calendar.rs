//! The days on which the bars trade, and when a trading day opens and closes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday, time};
use obs_providers::Market;
use obs_trading::{Calendar, PeriodsPerYear, SettlementDays};

/// When a day opens and closes that the calendar has no session of.
const SESSION: [Time; 2] = [time(9, 30, 0, 0), time(16, 0, 0, 0)];

/// The days on which the bars trade.
///
/// Bars of days on which the New York Stock Exchange trades are of that exchange. Others of weekdays are of one whose holidays are the
/// weekdays without a bar. A bar on a weekend is of a market that never closes: every day counts.
#[derive(Debug, Clone)]
pub struct TradingDays {
    calendar: Calendar,
    market: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nyse,
    OtherExchange,
    AlwaysOpen,
}

impl TradingDays {
    /// The calendar that bars of these days follow.
    #[must_use]
    pub fn of(days: &BTreeSet<Date>) -> Self {
        let nyse = Calendar::nyse();
        let zone = nyse.zone().clone();
        let (calendar, market) = if days.iter().all(|day| nyse.is_trading_day(*day)) {
            (nyse, Kind::Nyse)
        } else if days.iter().all(|day| is_weekday(*day)) {
            let [open, close] = SESSION;
            let calendar = Calendar::closed("exchange", zone)
                .with_hours(Calendar::WEEKDAYS, open, close)
                .with_holidays(holidays(days));
            (calendar, Kind::OtherExchange)
        } else {
            (Calendar::every_day(zone), Kind::AlwaysOpen)
        };
        Self { calendar, market }
    }

    /// The moment at which that day's session opens.
    #[must_use]
    pub fn open(&self, day: Date) -> Timestamp {
        let session = self.session(day).map(|session| session.start);
        session.unwrap_or_else(|| self.at(day, SESSION[0]))
    }

    /// The moment at which that day's session closes.
    #[must_use]
    pub fn close(&self, day: Date) -> Timestamp {
        let session = self.session(day).map(|session| session.end);
        session.unwrap_or_else(|| self.at(day, SESSION[1]))
    }

    /// The bars of a market that never closes are those of an exchange's hours all the same.
    fn session(&self, day: Date) -> Option<obs_trading::obs_calendar::Session> {
        let has_hours = self.market != Kind::AlwaysOpen;
        has_hours.then(|| self.calendar.session(day)).flatten()
    }

    /// The days that have a return, by which data ages too.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        self.calendar.clone()
    }

    /// The market under measurement, whose gauges follow the time in the replay.
    #[must_use]
    pub fn market(&self) -> Market {
        let venue = match self.market {
            Kind::AlwaysOpen => "24/7",
            Kind::Nyse | Kind::OtherExchange => "NYSE",
        };
        Market::new(venue, self.calendar())
    }

    /// How many of them make a year.
    #[must_use]
    pub fn periods_per_year(&self) -> PeriodsPerYear {
        match self.market {
            Kind::Nyse => PeriodsPerYear::TRADING_DAYS,
            Kind::OtherExchange => PeriodsPerYear::of(&self.calendar),
            Kind::AlwaysOpen => PeriodsPerYear::EVERY_DAY,
        }
    }

    /// The days on which trades are made and settle; none in a market that never closes.
    #[must_use]
    pub fn settlement(&self) -> Option<SettlementDays> {
        match self.market {
            Kind::Nyse => Some(SettlementDays::us_equities()),
            Kind::OtherExchange => Some(SettlementDays::same(self.calendar())),
            Kind::AlwaysOpen => None,
        }
    }

    /// A time that lies beyond the end of time is the last there is.
    fn at(&self, day: Date, time: Time) -> Timestamp {
        let zone = self.calendar.zone();
        zone.to_timestamp(day.to_datetime(time))
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
        // New Year's Day, on which no exchange in New York trades.
        let days = TradingDays::of(&[date(2020, 1, 1), date(2020, 1, 3), date(2020, 1, 7)].into());
        assert!(!days.calendar().is_trading_day(date(2020, 1, 6)));
        let settlement = days.settlement().unwrap().settlement;
        assert_eq!(settlement.after(date(2020, 1, 3), 1), date(2020, 1, 7));
    }

    #[test]
    fn a_bar_on_a_sunday_is_of_a_market_that_never_closes() {
        let days = TradingDays::of(&[date(2020, 1, 3), date(2020, 1, 5)].into());
        assert_eq!(days.periods_per_year(), PeriodsPerYear::EVERY_DAY);
        assert!(days.settlement().is_none());
        assert!(days.calendar().is_trading_day(date(2020, 1, 4)));
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
        // A half day.
        assert_eq!(
            days.close(date(2020, 11, 27)).to_string(),
            "2020-11-27T18:00:00Z"
        );
    }

    /// Twenty years of real bars are of the exchange's days, and of all of them.
    #[test]
    fn the_bundled_bars_are_those_of_the_exchange() {
        let days = crate::bars::days(&crate::bars::bundled().unwrap());
        let trading_days = TradingDays::of(&days);
        assert_eq!(
            trading_days.periods_per_year(),
            PeriodsPerYear::TRADING_DAYS
        );
        assert!(trading_days.calendar().is_trading_day(date(2001, 9, 10)));
        let (first, last) = (*days.first().unwrap(), *days.last().unwrap());
        let between = trading_days.calendar().days_between(first, last);
        assert_eq!(between + 2, days.len() as u64);
    }
}
