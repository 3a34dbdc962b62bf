//! The days of the New York Stock Exchange, which NASDAQ keeps too, since 1999.

use jiff::civil::{Date, Time, Weekday, date, time};

use crate::exception::{Exception, ExceptionKind};
use crate::rules::{
    is_after_thanksgiving, is_good_friday, is_last, is_nth, is_observed, is_observed_later, is_on,
    is_weekend,
};

/// The first and the last final day: the rules and the table below begin in 1999, and the exchange has published 2028.
pub(crate) const FINAL: [Date; 2] = [date(1999, 1, 1), date(2028, 12, 31)];

pub(crate) const OPEN: Time = time(9, 30, 0, 0);
pub(crate) const CLOSE: Time = time(16, 0, 0, 0);
const HALF_DAY: Time = time(13, 0, 0, 0);

const ATTACKS: &str = "attacks of 11 September 2001";
const SANDY: &str = "Hurricane Sandy";

/// What no rule foresees, in the order of days.
const ONE_OFF: [(Date, Exception); 13] = [
    (
        date(1999, 12, 31),
        Exception::early_close(HALF_DAY, "turn of the millennium"),
    ),
    (date(2001, 9, 11), Exception::closed(ATTACKS)),
    (date(2001, 9, 12), Exception::closed(ATTACKS)),
    (date(2001, 9, 13), Exception::closed(ATTACKS)),
    (date(2001, 9, 14), Exception::closed(ATTACKS)),
    (
        date(2002, 9, 11),
        Exception {
            kind: ExceptionKind::LateOpen(time(12, 0, 0, 0)),
            reason: "first anniversary of the attacks of 11 September 2001",
        },
    ),
    (
        date(2003, 12, 26),
        Exception::early_close(HALF_DAY, "day after Christmas"),
    ),
    (
        date(2004, 6, 11),
        Exception::closed("mourning for Ronald Reagan"),
    ),
    (
        date(2007, 1, 2),
        Exception::closed("mourning for Gerald Ford"),
    ),
    (date(2012, 10, 29), Exception::closed(SANDY)),
    (date(2012, 10, 30), Exception::closed(SANDY)),
    (
        date(2018, 12, 5),
        Exception::closed("mourning for George H. W. Bush"),
    ),
    (
        date(2025, 1, 9),
        Exception::closed("mourning for Jimmy Carter"),
    ),
];

pub(crate) fn exception(day: Date) -> Option<Exception> {
    if is_weekend(day) {
        return None;
    }
    if let Ok(row) = ONE_OFF.binary_search_by_key(&day, |row| row.0) {
        return Some(ONE_OFF[row].1);
    }
    let half_day = |reason| Exception::early_close(HALF_DAY, reason);
    holiday(day)
        .map(Exception::closed)
        .or_else(|| half_day_of(day).map(half_day))
}

/// NYSE Rule 7.2: a holiday on a Saturday is observed on Friday, unless that ends a month or year (so New Year's is not); one on a
/// Sunday, on Monday.
pub(crate) fn holiday(day: Date) -> Option<&'static str> {
    use Weekday::{Monday, Thursday};
    let year = day.year();
    match day.month() {
        1 if is_observed_later(day, 1, 1) => Some("New Year's Day"),
        1 if is_nth(day, 3, Monday) && year >= 1998 => Some("Martin Luther King, Jr. Day"),
        2 if is_nth(day, 3, Monday) => Some("Washington's Birthday"),
        3 | 4 if is_good_friday(day) => Some("Good Friday"),
        5 if is_last(day, Monday) => Some("Memorial Day"),
        6 if is_observed(day, 6, 19) && year >= 2022 => Some("Juneteenth"),
        7 if is_observed(day, 7, 4) => Some("Independence Day"),
        9 if is_nth(day, 1, Monday) => Some("Labor Day"),
        11 if is_nth(day, 4, Thursday) => Some("Thanksgiving Day"),
        12 if is_observed(day, 12, 25) => Some("Christmas Day"),
        _ => None,
    }
}

fn half_day_of(day: Date) -> Option<&'static str> {
    // Until 2012 a Wednesday before Independence Day was a full day, and the Friday after it a half one.
    let is_after_thursday = is_on(day, 7, 5) && day.weekday() == Weekday::Friday;
    let is_wednesday = day.weekday() == Weekday::Wednesday;
    if is_on(day, 7, 3) && (!is_wednesday || day.year() >= 2013) {
        Some("day before Independence Day")
    } else if is_after_thursday && day.year() <= 2012 {
        Some("day after Independence Day")
    } else if is_after_thanksgiving(day) {
        Some("day after Thanksgiving")
    } else if is_on(day, 12, 24) {
        Some("Christmas Eve")
    } else {
        None
    }
}
