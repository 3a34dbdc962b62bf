//! The forms in which headers say how long to wait, or until when.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// The longest wait that is taken for one, in seconds: nobody asks to wait for thirty years. A larger number is a date.
const LONGEST: f64 = 1e9;

/// From here on a number since 1970 counts milliseconds, then microseconds, then nanoseconds: as seconds it would lie three
/// thousand years ahead.
const FINER: [(f64, f64); 3] = [(1e17, 1e9), (1e14, 1e6), (1e11, 1e3)];

/// How long until then: seconds, whole or not, or a number since 1970, or a date of HTTP or RFC 3339, or a duration such as
/// `6m0s`. Nothing where it has passed.
pub(crate) fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Some(number) = first_number(text) {
        return if number > LONGEST {
            until(seconds_since_1970(number), now)
        } else {
            Duration::try_from_secs_f64(number).ok()
        };
    }
    let date = text.parse::<Timestamp>().ok().or_else(|| http_date(text));
    match date {
        Some(date) => until(date.as_duration().as_secs_f64(), now),
        None => units(text),
    }
}

fn seconds_since_1970(number: f64) -> f64 {
    let finer = FINER.iter().find(|(from, _)| number >= *from);
    finer.map_or(number, |(_, parts)| number / parts)
}

fn until(timestamp: f64, now: Timestamp) -> Option<Duration> {
    let wait = timestamp - now.as_duration().as_secs_f64();
    (0.0..=LONGEST)
        .contains(&wait)
        .then(|| Duration::try_from_secs_f64(wait).ok())?
}

/// A date in one of the three forms of RFC 9110, 5.6.7: that of today, and the two obsolete ones, of RFC 850 and of C's `asctime`.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    if let Ok(date) = parser.parse_timestamp(text) {
        return Some(date);
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = obsolete
        .iter()
        .find_map(|form| civil::DateTime::strptime(form, text).ok())?;
    TimeZone::UTC.to_timestamp(date).ok()
}

/// A duration such as `1h2m`, `6m0s`, `1.5s` or `20ms`.
fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit_on) = rest.split_at(end);
        let end = unit_on.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = unit_on.split_at(end.unwrap_or(unit_on.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        seconds += quantity(number)? * unit;
        rest = after;
    }
    let some = !text.is_empty() && seconds <= LONGEST;
    some.then(|| Duration::try_from_secs_f64(seconds).ok())?
}

/// A number that is finite and not negative, in front of whatever else the header says.
pub(crate) fn first_number(text: &str) -> Option<f64> {
    quantity(text.split([',', ';']).next()?)
}

pub(crate) fn quantity(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T15:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_end_of_a_window_has_many_forms() {
        let minute = Some(Duration::from_mins(1));
        for text in [
            "60",
            "60.0",
            " 60 ",
            "60;w=1",
            "1795618860",
            "1795618860000",
            "1795618860000000",
            "1795618860000000000",
            "2026-11-25T15:01:00Z",
            "2026-11-25T10:01:00-05:00",
            "Wed, 25 Nov 2026 15:01:00 GMT",
            "Wednesday, 25-Nov-26 15:01:00 GMT",
            "Wed Nov 25 15:01:00 2026",
            "1m",
            "1m0s",
            "60s",
            "0.5m30s",
            "60000ms",
        ] {
            assert_eq!(wait(text, now()), minute, "{text}");
        }
        assert_eq!(wait("0.493", now()), Some(Duration::from_millis(493)));
        assert_eq!(wait("Sun Nov  6 08:49:37 2061", now()), None, "35 years");
        for text in [
            "",
            "soon",
            "-1",
            "1000000001",
            "1795618799",
            "1e300",
            "99999999999999999999",
            "5 parsecs",
            "m",
            "1x",
            "Wed, 25 Nov 2026 14:59:00 GMT",
        ] {
            assert_eq!(wait(text, now()), None, "{text}");
        }
    }
}
