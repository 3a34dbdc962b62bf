//! What the rules of holidays are made of. Each asks about one day, so that no list of a year has to be built.

use jiff::civil::{Date, Weekday};

/// Whether the day is the `nth` such weekday of its month, from 1 on.
pub(crate) fn is_nth(day: Date, nth: i8, weekday: Weekday) -> bool {
    day.weekday() == weekday && (day.day() - 1) / 7 + 1 == nth
}

/// Whether the day is the last such weekday of its month.
pub(crate) fn is_last(day: Date, weekday: Weekday) -> bool {
    day.weekday() == weekday && day.day() + 7 > day.days_in_month()
}

pub(crate) fn is_on(day: Date, month: i8, date: i8) -> bool {
    day.month() == month && day.day() == date
}

/// Whether a holiday of this date is observed on the day: on the date itself, and on the Monday after a Sunday.
pub(crate) fn is_observed_later(day: Date, month: i8, date: i8) -> bool {
    is_on(day, month, date)
        || day.weekday() == Weekday::Monday
            && day.yesterday().is_ok_and(|day| is_on(day, month, date))
}

/// The same, and on the Friday before a Saturday.
pub(crate) fn is_observed(day: Date, month: i8, date: i8) -> bool {
    is_observed_later(day, month, date)
        || day.weekday() == Weekday::Friday
            && day.tomorrow().is_ok_and(|day| is_on(day, month, date))
}

/// Whether the day is the Friday before Easter Sunday.
pub(crate) fn is_good_friday(day: Date) -> bool {
    let is_possible = day.weekday() == Weekday::Friday && matches!(day.month(), 3 | 4);
    is_possible && easter(day.year()).duration_since(day).as_hours() == 48
}

/// Whether the day is the one after Thanksgiving, the fourth Thursday of November.
pub(crate) fn is_after_thanksgiving(day: Date) -> bool {
    day.month() == 11
        && day
            .yesterday()
            .is_ok_and(|day| is_nth(day, 4, Weekday::Thursday))
}

pub(crate) fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Easter Sunday of the Gregorian calendar: the Sunday after the first full moon on or after 21 March, as the Church reckons the
/// moon (Meeus, Astronomical Algorithms, 2nd edition, chapter 8).
pub(crate) fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let golden = y.rem_euclid(19);
    let (century, of_century) = (y.div_euclid(100), y.rem_euclid(100));
    let moon_correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_correction + 15).rem_euclid(30);
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let since_march = jiff::Span::new().days(epact + weekday - 7 * late + 21);
    let march = Date::new(year, 3, 1).unwrap_or(Date::MIN);
    march.saturating_add(since_march)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Dates as churches print them, the earliest and the latest possible among them.
    #[test]
    fn easter_is_where_churches_print_it() {
        for (year, month, day) in [
            (1818, 3, 22),
            (1943, 4, 25),
            (1999, 4, 4),
            (2000, 4, 23),
            (2008, 3, 23),
            (2011, 4, 24),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2038, 4, 25),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn a_holiday_on_a_weekend_is_observed_beside_it() {
        // 4 July 2026 is a Saturday, 4 July 2027 a Sunday.
        assert!(is_observed(date(2026, 7, 3), 7, 4));
        assert!(!is_observed(date(2026, 7, 6), 7, 4));
        assert!(is_observed(date(2027, 7, 5), 7, 4));
        assert!(!is_observed_later(date(2026, 7, 3), 7, 4));
    }

    #[test]
    fn weekdays_of_a_month_are_counted() {
        use jiff::civil::Weekday::Monday;
        assert!(is_nth(date(2026, 10, 12), 2, Monday));
        assert!(is_last(date(2026, 5, 25), Monday));
        assert!(!is_last(date(2026, 5, 18), Monday));
        assert!(is_after_thanksgiving(date(2026, 11, 27)));
        assert!(!is_after_thanksgiving(date(2026, 11, 20)));
    }
}
