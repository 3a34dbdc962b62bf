//! When a market is closed, as Alertmanager's time intervals say it.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::civil::{Date, Weekday, date};
use jiff::{Timestamp, ToSpan};
use obs_calendar::Calendar;

use super::LEAD_MINUTES;

/// Minutes of a day.
const DAY: i16 = 24 * 60;

/// The first day whose holidays are listed.
const FIRST: Date = date(2026, 1, 1);

/// How many years are listed of a calendar that is final for none.
const YEARS: i16 = 2;

/// Stretches of a local day, in minutes.
type Minutes = Vec<(i16, i16)>;

/// The time interval of this name in which a market is closed: an entry of Alertmanager's `time_intervals`.
///
/// Each session counts from five minutes before its open, when a desk has to be there. Weekdays are followed by the days that
/// differ, from 2026 as far as the calendar is final, or for two years. A market that is never closed has no entry. An exception that
/// opens a market on a day of the week on which it is closed is not known to it: alerts wait on such a day.
#[must_use]
pub fn interval(name: &str, calendar: &Calendar) -> Option<String> {
    let end = calendar
        .final_until()
        .filter(|last| *last >= FIRST)
        .unwrap_or_else(|| FIRST.saturating_add(YEARS.years()));
    interval_of_days(name, calendar, FIRST, end)
}

/// The same, with the days that differ from one day up to another.
#[must_use]
pub fn interval_of_days(
    name: &str,
    calendar: &Calendar,
    first: Date,
    last: Date,
) -> Option<String> {
    let week = week(calendar, first);
    let zone = calendar.zone().iana_name().unwrap_or("UTC");
    let mut text = String::new();
    // Days that are alike in one entry.
    let mut alike: BTreeMap<&Minutes, Vec<&str>> = BTreeMap::new();
    for (weekday, closed) in &week {
        alike.entry(closed).or_default().push(name_of(*weekday));
    }
    for (closed, weekdays) in alike.into_iter().filter(|(closed, _)| !closed.is_empty()) {
        let weekdays = weekdays.join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "      - {{ location: {zone}, weekdays: [{weekdays}]{} }}",
            times(closed)
        );
    }
    for day in first.series(1.day()).take_while(|day| *day <= last) {
        let closed = closed(calendar, day);
        let usual = week.iter().find(|(weekday, _)| *weekday == day.weekday());
        if usual.is_some_and(|(_, usual)| *usual == closed) || closed.is_empty() {
            continue;
        }
        let reason = calendar
            .exception(day)
            .map_or("", |exception| exception.reason);
        let _ = writeln!(
            text,
            "      # {day}: {reason}\n      - {{ location: {zone}, years: ['{}'], months: ['{}'], days_of_month: ['{}']{} }}",
            day.year(),
            day.month(),
            day.day(),
            times(&closed)
        );
    }
    (!text.is_empty()).then(|| format!("  - name: {name}\n    time_intervals:\n{text}"))
}

/// What is closed on each day of a week without exceptions.
fn week(calendar: &Calendar, first: Date) -> Vec<(Weekday, Minutes)> {
    let is_plain = |day: &Date| {
        let neighbours = [day.yesterday(), Ok(*day), day.tomorrow()];
        let mut neighbours = neighbours.into_iter().flatten();
        neighbours.all(|day| calendar.exception(day).is_none())
    };
    let plain = |weekday: &Weekday| {
        let mut days = first.series(1.day()).take(400);
        days.find(|day| day.weekday() == *weekday && is_plain(day))
    };
    let weekdays = Weekday::Monday.cycle_forward().take(7);
    weekdays
        .filter_map(|weekday| Some((weekday, closed(calendar, plain(&weekday)?))))
        .collect()
}

/// What is closed of a local day.
fn closed(calendar: &Calendar, day: Date) -> Minutes {
    let nearby = [day.yesterday(), Ok(day), day.tomorrow()];
    let sessions = nearby
        .into_iter()
        .flatten()
        .filter_map(|day| calendar.session(day));
    let minute = |at: Timestamp| {
        let local = calendar.zone().to_datetime(at);
        match local.date().cmp(&day) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => i16::from(local.hour()) * 60 + i16::from(local.minute()),
            std::cmp::Ordering::Greater => DAY,
        }
    };
    let open = sessions.map(|session| {
        let start = minute(session.start);
        let lead = if start == DAY { 0 } else { LEAD_MINUTES };
        ((start - lead).max(0), minute(session.end))
    });
    let mut closed = Vec::new();
    let mut from = 0;
    for (start, end) in open.filter(|(start, end)| start < end) {
        if from < start {
            closed.push((from, start));
        }
        from = from.max(end);
    }
    if from < DAY {
        closed.push((from, DAY));
    }
    closed
}

/// Times of a day, unless they are all of it.
fn times(closed: &Minutes) -> String {
    if closed[..] == [(0, DAY)] {
        return String::new();
    }
    let clock = |minute: i16| format!("'{:02}:{:02}'", minute / 60, minute % 60);
    let times: Vec<_> = closed
        .iter()
        .map(|(from, to)| {
            format!(
                "{{ start_time: {}, end_time: {} }}",
                clock(*from),
                clock(*to)
            )
        })
        .collect();
    format!(", times: [{}]", times.join(", "))
}

fn name_of(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;
    use obs_calendar::CmeGroup;

    #[test]
    fn a_stock_exchange_is_closed_at_night_at_weekends_and_on_holidays() {
        let calendar = Calendar::nyse();
        let text = interval_of_days("c", &calendar, FIRST, date(2026, 12, 31)).unwrap();
        for line in [
            "weekdays: [saturday, sunday] }",
            "weekdays: [monday, tuesday, wednesday, thursday, friday], times: [{ start_time: '00:00', end_time: '09:25' }, { start_time: '16:00', end_time: '24:00' }] }",
            // Martin Luther King Day, a Monday; the day after Thanksgiving, until 13:00.
            "years: ['2026'], months: ['1'], days_of_month: ['19'] }",
            "years: ['2026'], months: ['11'], days_of_month: ['27'], times: [{ start_time: '00:00', end_time: '09:25' }, { start_time: '13:00', end_time: '24:00' }] }",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert_eq!(
            text.matches("location: America/New_York").count(),
            2 + 12,
            "{text}"
        );
    }

    #[test]
    fn a_market_that_opens_in_the_evening_is_closed_for_an_hour() {
        let calendar = Calendar::cme(CmeGroup::EquityIndex);
        let text = interval_of_days("c", &calendar, FIRST, FIRST).unwrap();
        assert!(
            text.contains("weekdays: [monday, tuesday, wednesday, thursday], times: [{ start_time: '16:00', end_time: '16:55' }] }"),
            "{text}"
        );
        assert!(
            text.contains(
                "weekdays: [sunday], times: [{ start_time: '00:00', end_time: '16:55' }] }"
            ),
            "{text}"
        );
        assert!(text.contains("weekdays: [saturday] }"), "{text}");
    }

    #[test]
    fn a_market_that_never_closes_has_no_closed_time() {
        assert_eq!(interval("c", &Calendar::always_open()), None);
        let zone = Calendar::always_open().zone().clone();
        let half = Calendar::closed("half", zone).with_hours(
            Calendar::WEEKDAYS,
            time(0, 0, 0, 0),
            time(0, 0, 0, 0),
        );
        assert!(interval("c", &half).is_some());
    }
}
