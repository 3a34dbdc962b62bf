//! The days on which trades in US securities settle.

use jiff::civil::{Date, Weekday};

use crate::exception::Exception;
use crate::nyse;
use crate::rules::{is_nth, is_observed_later, is_weekend};

/// Nothing settles on the exchange's regular holidays, nor on Columbus and Veterans Day, when exchanges trade and banks are closed
/// (FINRA Notices to Members 95-77, 99-83). A closure of the exchange that no rule foresees closes no bank, and trades made before
/// it settle: so it was on 9 January 2025 (SIFMA's matrix of unscheduled closes); for the earlier ones we found no notice.
pub(crate) fn exception(day: Date) -> Option<Exception> {
    if is_weekend(day) {
        return None;
    }
    let banks = bank_holiday(day);
    nyse::holiday(day).or(banks).map(Exception::closed)
}

/// Holidays of the Federal Reserve Banks that exchanges do not keep. One on a Saturday is not observed.
fn bank_holiday(day: Date) -> Option<&'static str> {
    match day.month() {
        10 if is_nth(day, 2, Weekday::Monday) => Some("Columbus Day"),
        11 if is_observed_later(day, 11, 11) => Some("Veterans Day"),
        _ => None,
    }
}
