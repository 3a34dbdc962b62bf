//! Which days are business days, and counting by them.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

/// Monday to Friday, without the holidays the user states.
///
/// Holidays are data of a market and a year, so none are built in: state those of your market for as long as you trade.
///
/// ```
/// use jiff::civil::date;
/// use obs_trading::BusinessDays;
///
/// let days = BusinessDays::weekdays().holidays([date(2026, 7, 3)]); // Independence Day, observed on a Friday
/// assert!(!days.contains(date(2026, 7, 3)) && !days.contains(date(2026, 7, 4)));
/// assert_eq!(days.after(date(2026, 7, 2), 1), date(2026, 7, 6));
/// assert_eq!(days.before(date(2026, 7, 6), 1), date(2026, 7, 2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusinessDays {
    holidays: BTreeSet<Date>,
}

impl BusinessDays {
    /// Monday to Friday.
    #[must_use]
    pub fn weekdays() -> Self {
        Self::default()
    }

    /// The same without these days as well.
    #[must_use]
    pub fn holidays(mut self, days: impl IntoIterator<Item = Date>) -> Self {
        self.holidays.extend(days);
        self
    }

    /// Whether the day is a business day.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        !weekend && !self.holidays.contains(&day)
    }

    /// The business day that lies `count` business days after the day; the day itself for 0.
    #[must_use]
    pub fn after(&self, day: Date, count: u32) -> Date {
        self.step(day, count, |day| day.tomorrow().ok())
    }

    /// The business day that lies `count` business days before the day; the day itself for 0.
    #[must_use]
    pub fn before(&self, day: Date, count: u32) -> Date {
        self.step(day, count, |day| day.yesterday().ok())
    }

    /// At the ends of the calendar, the years -9999 and 9999, counting stops.
    fn step(&self, mut day: Date, mut count: u32, next: impl Fn(Date) -> Option<Date>) -> Date {
        while count > 0 {
            let Some(neighbour) = next(day) else {
                return day;
            };
            day = neighbour;
            count -= u32::from(self.contains(day));
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn counts_over_weekends_and_holidays() {
        // Good Friday and the Monday of a bank holiday on both sides of one weekend.
        let days = BusinessDays::weekdays().holidays([date(2026, 4, 3), date(2026, 4, 6)]);
        assert_eq!(days.after(date(2026, 4, 2), 1), date(2026, 4, 7));
        assert_eq!(days.after(date(2026, 4, 4), 1), date(2026, 4, 7));
        assert_eq!(days.before(date(2026, 4, 7), 2), date(2026, 4, 1));
        assert_eq!(days.before(date(2026, 4, 4), 0), date(2026, 4, 4));
    }

    #[test]
    fn stops_at_the_end_of_the_calendar() {
        assert_eq!(BusinessDays::weekdays().after(Date::MAX, 3), Date::MAX);
    }
}
