//! When a market is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday, time};
use jiff::tz::TimeZone;

/// The regular sessions of a market: hours for each day of the week, in the market's own time zone, holidays, and days
/// that close early.
///
/// Holidays are for the user to give, since exchanges announce them a few years ahead and change them on occasion; without
/// them a calendar is right on all other days. Clones share the calendar.
///
/// ```
/// use jiff::civil::{date, time};
/// use obs_providers::TradingCalendar;
///
/// let nyse = TradingCalendar::nyse()
///     .holidays([date(2026, 11, 26), date(2026, 12, 25)])
///     .early_close(date(2026, 11, 27), time(13, 0, 0, 0));
/// assert!(nyse.is_open("2026-11-25T15:00Z".parse()?));
/// assert!(!nyse.is_open("2026-11-26T15:00Z".parse()?));  // Thanksgiving
/// assert!(!nyse.is_open("2026-11-27T18:00Z".parse()?));  // 13:00 in New York
/// assert!(!nyse.is_open("2026-11-29T15:00Z".parse()?));  // a Sunday
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TradingCalendar(Arc<Rules>);

#[derive(Clone, Debug)]
struct Rules {
    zone: TimeZone,
    /// From Monday on.
    week: [Option<Hours>; 7],
    holidays: BTreeSet<Date>,
    early_closes: BTreeMap<Date, Time>,
}

/// Local times. A close at or before the open is one on the following day.
#[derive(Clone, Copy, Debug)]
struct Hours {
    open: Time,
    close: Time,
}

/// A session: open from `start` on, closed again at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// The farthest a calendar is searched for a next session; no market stays closed longer, unless for good.
const SEARCH_DAYS: usize = 30;

impl TradingCalendar {
    /// A market that is never open, to which sessions are added.
    #[must_use]
    pub fn closed(zone: TimeZone) -> Self {
        Self(Arc::new(Rules {
            zone,
            week: [None; 7],
            holidays: BTreeSet::new(),
            early_closes: BTreeMap::new(),
        }))
    }

    /// The regular hours of the New York Stock Exchange and NASDAQ: 9:30 to 16:00 in New York, Monday to Friday. Without
    /// holidays and early closes.
    #[must_use]
    pub fn nyse() -> Self {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        let days = [Monday, Tuesday, Wednesday, Thursday, Friday];
        let zone = jiff::tz::get!("America/New_York");
        Self::closed(zone).hours(days, time(9, 30, 0, 0), time(16, 0, 0, 0))
    }

    /// A market that never closes, such as one for cryptocurrencies.
    #[must_use]
    pub fn always_open() -> Self {
        let midnight = Time::midnight();
        Self::closed(TimeZone::UTC).hours(WEEK, midnight, midnight)
    }

    /// Sets the regular hours of some days of the week, in local time. A close at or before the open is one on the
    /// following day: a session belongs to the day on which it opens.
    #[must_use]
    pub fn hours(
        mut self,
        days: impl IntoIterator<Item = Weekday>,
        open: Time,
        close: Time,
    ) -> Self {
        let rules = Arc::make_mut(&mut self.0);
        for day in days {
            rules.week[index(day)] = Some(Hours { open, close });
        }
        self
    }

    /// Adds days on which the market does not open.
    #[must_use]
    pub fn holidays(mut self, days: impl IntoIterator<Item = Date>) -> Self {
        Arc::make_mut(&mut self.0).holidays.extend(days);
        self
    }

    /// Adds a day that closes at another time. It needs regular hours to close early from.
    #[must_use]
    pub fn early_close(mut self, day: Date, close: Time) -> Self {
        Arc::make_mut(&mut self.0).early_closes.insert(day, close);
        self
    }

    /// The session that opens on that day, by the market's own date.
    #[must_use]
    pub fn session(&self, day: Date) -> Option<Session> {
        let rules = &*self.0;
        if rules.holidays.contains(&day) {
            return None;
        }
        let hours = rules.week[index(day.weekday())]?;
        let close = rules.early_closes.get(&day).copied().unwrap_or(hours.close);
        let last = if close <= hours.open {
            day.tomorrow().ok()?
        } else {
            day
        };
        let moment = |day: Date, time| rules.zone.to_timestamp(day.to_datetime(time)).ok();
        Some(Session {
            start: moment(day, hours.open)?,
            end: moment(last, close)?,
        })
    }

    /// Whether the market is in a session at that moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.current(at).is_some()
    }

    /// The session that moment lies in.
    #[must_use]
    pub fn current(&self, at: Timestamp) -> Option<Session> {
        let sessions = self.sessions_from(at).take(3);
        sessions
            .flatten()
            .find(|session| session.start <= at && at < session.end)
    }

    /// The first session that opens after that moment; none within thirty days is none at all.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Option<Session> {
        let sessions = self.sessions_from(at).take(SEARCH_DAYS);
        sessions.flatten().find(|session| session.start > at)
    }

    /// For how long the market was open between two moments; nothing if the second is not the later.
    #[must_use]
    pub fn open_time(&self, from: Timestamp, until: Timestamp) -> Duration {
        let mut open = Duration::ZERO;
        let last = self.0.zone.to_datetime(until).date();
        for session in self
            .days_from(from)
            .take_while(|day| *day <= last)
            .filter_map(|day| self.session(day))
        {
            let (start, end) = (session.start.max(from), session.end.min(until));
            open += Duration::try_from(end.duration_since(start)).unwrap_or_default();
        }
        open
    }

    /// The sessions of the days from the one before that moment on: it may lie in a session that began the day before.
    fn sessions_from(&self, at: Timestamp) -> impl Iterator<Item = Option<Session>> {
        self.days_from(at).map(|day| self.session(day))
    }

    fn days_from(&self, at: Timestamp) -> impl Iterator<Item = Date> + use<> {
        let today = self.0.zone.to_datetime(at).date();
        let first = today.yesterday().unwrap_or(today);
        std::iter::successors(Some(first), |day| day.tomorrow().ok())
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// The day's place in the week, from Monday on.
fn index(day: Weekday) -> usize {
    WEEK.iter()
        .position(|known| *known == day)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nyse() -> TradingCalendar {
        TradingCalendar::nyse()
            .holidays([date(2026, 11, 26)])
            .early_close(date(2026, 11, 27), time(13, 0, 0, 0))
    }

    #[test]
    fn the_market_opens_on_the_moment_and_closes_on_it() {
        let nyse = nyse();
        // Winter: New York is five hours behind.
        for (moment, open) in [
            ("2026-11-25T14:29:59.999Z", false),
            ("2026-11-25T14:30:00Z", true),
            ("2026-11-25T20:59:59.999Z", true),
            ("2026-11-25T21:00:00Z", false),
            ("2026-11-26T15:00:00Z", false),
            ("2026-11-27T17:59:59Z", true),
            ("2026-11-27T18:00:00Z", false),
            ("2026-11-28T15:00:00Z", false),
            ("2026-11-29T15:00:00Z", false),
            // Summer: four hours.
            ("2026-07-01T13:29:59Z", false),
            ("2026-07-01T13:30:00Z", true),
        ] {
            assert_eq!(nyse.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn open_time_runs_in_sessions_only() {
        let nyse = nyse();
        let open = |from: &str, until: &str| nyse.open_time(at(from), at(until)).as_secs();
        let day = 6 * 3_600 + 1_800;
        // A weekend: from Friday's early close to Monday's open, nothing.
        assert_eq!(open("2026-11-27T18:00Z", "2026-11-30T14:30Z"), 0);
        assert_eq!(open("2026-11-27T17:00Z", "2026-11-30T14:31Z"), 3_660);
        // Wednesday's last hour, no Thursday, three and a half hours of Friday.
        assert_eq!(
            open("2026-11-25T20:00Z", "2026-11-28T00:00Z"),
            3_600 + 12_600
        );
        assert_eq!(open("2026-11-23T00:00Z", "2026-11-25T00:00Z"), 2 * day);
        assert_eq!(open("2026-11-25T00:00Z", "2026-11-23T00:00Z"), 0);
    }

    #[test]
    fn the_next_session_is_the_first_that_opens_later() {
        let next = |moment: &str| nyse().next(at(moment)).map(|session| session.start);
        assert_eq!(next("2026-11-25T14:29Z"), Some(at("2026-11-25T14:30Z")));
        assert_eq!(next("2026-11-25T14:30Z"), Some(at("2026-11-27T14:30Z")));
        assert_eq!(next("2026-11-27T19:00Z"), Some(at("2026-11-30T14:30Z")));
        assert_eq!(
            TradingCalendar::closed(TimeZone::UTC).next(at("2026-11-27T19:00Z")),
            None
        );
    }

    #[test]
    fn a_session_may_run_over_midnight() {
        let zone = jiff::tz::get!("America/Chicago");
        let days = [Weekday::Sunday, Weekday::Monday];
        // Futures: from 17:00 to 16:00 the next day.
        let futures =
            TradingCalendar::closed(zone).hours(days, time(17, 0, 0, 0), time(16, 0, 0, 0));
        // Sunday evening, Monday morning, the break, Monday evening, Tuesday evening.
        assert!(futures.is_open(at("2026-11-30T03:00Z")));
        assert!(futures.is_open(at("2026-11-30T15:00Z")));
        assert!(!futures.is_open(at("2026-11-30T22:30Z")));
        assert!(futures.is_open(at("2026-11-30T23:30Z")));
        assert!(!futures.is_open(at("2026-12-02T03:00Z")));
        let open = futures.open_time(at("2026-11-30T03:00Z"), at("2026-11-30T23:30Z"));
        assert_eq!(open.as_secs(), 19 * 3_600 + 1_800);
    }

    #[test]
    fn some_markets_never_close() {
        let crypto = TradingCalendar::always_open();
        for moment in [
            "2026-11-29T00:00Z",
            "2026-11-29T23:59:59.999Z",
            "2026-12-25T12:00Z",
        ] {
            assert!(crypto.is_open(at(moment)), "{moment}");
        }
        let open = crypto.open_time(at("2026-11-01T12:00Z"), at("2026-11-11T12:00Z"));
        assert_eq!(open.as_secs(), 864_000);
    }
}
