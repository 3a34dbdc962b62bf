//! The calendar of a market: its week, its exceptions, and what is asked of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::certainty::NOTICE;
use crate::exception::{Exception, ExceptionKind};
use crate::{Certainty, CmeGroup, Ending, Session, cme, nyse, settlement};

/// When a market trades, to which day a moment belongs, and how to count by its days. Clones share it.
///
/// There are ready calendars ([`nyse`](Self::nyse), [`cme`](Self::cme), [`us_settlement`](Self::us_settlement),
/// [`fx`](Self::fx), [`always_open`](Self::always_open)); of any other market, state the week and the exceptions:
///
/// ```
/// use jiff::civil::{date, time};
/// use jiff::tz::TimeZone;
/// use obs_calendar::Calendar;
///
/// let xetra = Calendar::closed("Xetra", TimeZone::get("Europe/Berlin")?)
///     .with_hours(Calendar::WEEKDAYS, time(9, 0, 0, 0), time(17, 30, 0, 0))
///     .with_holidays([date(2026, 12, 24), date(2026, 12, 25), date(2026, 12, 31)])
///     .with_early_close(date(2026, 12, 30), time(14, 0, 0, 0));
/// assert!(!xetra.is_trading_day(date(2026, 12, 24)));
/// assert_eq!(xetra.after(date(2026, 12, 23), 1), date(2026, 12, 28));
/// assert_eq!(xetra.next_close("2026-12-30T12:00Z".parse()?), Some("2026-12-30T13:00Z".parse()?));
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone)]
pub struct Calendar(Arc<Market>);

#[derive(Clone)]
struct Market {
    name: Box<str>,
    zone: TimeZone,
    /// The regular hours of each trading day, from Monday on.
    week: [Option<Hours>; 7],
    rules: Rules,
    /// What the user states, which counts before the rules.
    stated: BTreeMap<Date, Exception>,
    final_until: Option<Date>,
}

/// Where the exceptions of a ready calendar come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    None,
    Nyse,
    Cme(CmeGroup),
    Settlement,
    Fx,
}

/// Local times of a trading day. Where the session opens no earlier than it closes, it opens on the day before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    open: Time,
    /// Midnight is the end of the day.
    close: Time,
}

/// The farthest that is searched for a session or trading day; no market stays closed longer, unless for good.
const SEARCH_DAYS: usize = 30;

/// The years whose trading days are counted for a mean.
const SAMPLE: [Date; 2] = [date(2016, 1, 1), date(2025, 12, 31)];

const DAYS_PER_YEAR: f64 = 365.2425;

/// Ready calendars, and how to make others.
impl Calendar {
    /// Monday to Friday.
    pub const WEEKDAYS: [Weekday; 5] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
    ];

    /// The New York Stock Exchange, and NASDAQ: 9:30 to 16:00 in New York. Final from 1999 to 2028.
    #[must_use]
    pub fn nyse() -> Self {
        Self::ready("NYSE", jiff::tz::get!("America/New_York"), Rules::Nyse).with_hours(
            Self::WEEKDAYS,
            nyse::OPEN,
            nyse::CLOSE,
        )
    }

    /// Futures of CME Group on Globex: 17:00 on the evening before to 16:00 in Chicago. Final from 2016 to 2027.
    #[must_use]
    pub fn cme(group: CmeGroup) -> Self {
        let chicago = jiff::tz::get!("America/Chicago");
        Self::ready(group.name(), chicago, Rules::Cme(group)).with_hours(
            Self::WEEKDAYS,
            cme::OPEN,
            cme::CLOSE,
        )
    }

    /// The dates on which trades in US securities settle, whole days in New York: the weekdays without the exchange's regular
    /// holidays, Columbus Day and Veterans Day. Final from 1999 to 2028.
    #[must_use]
    pub fn us_settlement() -> Self {
        let zone = jiff::tz::get!("America/New_York");
        let name = "US settlement";
        Self::ready(name, zone, Rules::Settlement).with_whole_days(Self::WEEKDAYS)
    }

    /// The foreign exchange market between banks: from Sunday to Friday, its day beginning at 17:00 in New York. Closed on Christmas
    /// and New Year's Day. No exchange publishes its days, so none is final.
    #[must_use]
    pub fn fx() -> Self {
        let end_of_day = time(17, 0, 0, 0);
        Self::ready("FX", jiff::tz::get!("America/New_York"), Rules::Fx).with_hours(
            Self::WEEKDAYS,
            end_of_day,
            end_of_day,
        )
    }

    /// A market that never closes, such as one for cryptocurrencies: every day counts, and begins at midnight UTC.
    #[must_use]
    pub fn always_open() -> Self {
        Self::every_day(TimeZone::UTC)
    }

    /// Every day, from midnight to midnight.
    #[must_use]
    pub fn every_day(zone: TimeZone) -> Self {
        Self::closed("every day", zone).with_whole_days(WEEK)
    }

    /// Monday to Friday, from midnight to midnight, without any holiday. That is no exchange's calendar, until the holidays are
    /// [stated](Self::with_holidays).
    #[must_use]
    pub fn weekdays(zone: TimeZone) -> Self {
        Self::closed("weekdays", zone).with_whole_days(Self::WEEKDAYS)
    }

    /// A market of this name that is never open, to which [hours](Self::with_hours) are added.
    #[must_use]
    pub fn closed(name: &str, zone: TimeZone) -> Self {
        Self(Arc::new(Market {
            name: name.into(),
            zone,
            week: [None; 7],
            rules: Rules::None,
            stated: BTreeMap::new(),
            final_until: None,
        }))
    }

    fn ready(name: &str, zone: TimeZone, rules: Rules) -> Self {
        let mut calendar = Self::closed(name, zone);
        Arc::make_mut(&mut calendar.0).rules = rules;
        calendar
    }

    /// Sets the regular hours of these trading days, in local time. A session that opens no earlier than it closes opens on the day
    /// before: from 17:00 to 16:00, Monday's opens on Sunday. A close at midnight is the end of the day.
    #[must_use]
    pub fn with_hours(
        mut self,
        days: impl IntoIterator<Item = Weekday>,
        open: Time,
        close: Time,
    ) -> Self {
        let market = Arc::make_mut(&mut self.0);
        for day in days {
            market.week[index(day)] = Some(Hours { open, close });
        }
        self
    }

    fn with_whole_days(self, days: impl IntoIterator<Item = Weekday>) -> Self {
        self.with_hours(days, Time::midnight(), Time::midnight())
    }

    /// The same, closed on these days as well. Lists of several calls are joined.
    #[must_use]
    pub fn with_holidays(self, days: impl IntoIterator<Item = Date>) -> Self {
        let holiday = Exception::closed("stated holiday");
        days.into_iter()
            .fold(self, |calendar, day| calendar.with_exception(day, holiday))
    }

    /// The same, with a half day: the session of this day ends at this local time.
    #[must_use]
    pub fn with_early_close(self, day: Date, close: Time) -> Self {
        self.with_exception(day, Exception::early_close(close, "stated early close"))
    }

    /// The same with an exception on this day, which counts before the calendar's own rules.
    #[must_use]
    pub fn with_exception(mut self, day: Date, exception: Exception) -> Self {
        Arc::make_mut(&mut self.0).stated.insert(day, exception);
        self
    }

    /// The same, known through this day. By default a ready calendar is known as long as its exchange has published it, and one with
    /// stated exceptions through the year of the last of them.
    #[must_use]
    pub fn with_final_until(mut self, day: Date) -> Self {
        Arc::make_mut(&mut self.0).final_until = Some(day);
        self
    }
}

/// What a calendar says of days.
impl Calendar {
    /// Its name, such as `NYSE`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The time zone its days and hours are in.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.0.zone
    }

    /// How the day differs from the regular week, and why; `None` for a regular day, and for one on which the week has no session.
    #[must_use]
    pub fn exception(&self, day: Date) -> Option<Exception> {
        self.regular_hours(day)?;
        let stated = self.0.stated.get(&day).copied();
        stated.or_else(|| self.0.rules.exception(day))
    }

    /// Whether the day is a trading day: one that has a session of its own, on which a ledger has a return.
    #[must_use]
    pub fn is_trading_day(&self, day: Date) -> bool {
        let is_regular = self.regular_hours(day).is_some();
        let kind = self.exception(day).map(|exception| exception.kind);
        let is_counted = !matches!(
            kind,
            Some(ExceptionKind::Closed | ExceptionKind::HolidaySession(_))
        );
        is_regular && is_counted
    }

    /// The trading day that lies `count` trading days after the day; the day itself for 0, be it none.
    #[must_use]
    pub fn after(&self, day: Date, count: u32) -> Date {
        self.step(day, count, |day| day.tomorrow().ok())
    }

    /// The trading day that lies `count` trading days before the day; the day itself for 0, be it none.
    #[must_use]
    pub fn before(&self, day: Date, count: u32) -> Date {
        self.step(day, count, |day| day.yesterday().ok())
    }

    /// At the ends of time, the years -9999 and 9999, counting stops; so it does where no trading day follows for a month.
    fn step(&self, day: Date, count: u32, next: impl Fn(Date) -> Option<Date>) -> Date {
        let (mut day, mut count, mut idle) = (day, count, 0);
        while count > 0 && idle < SEARCH_DAYS {
            let Some(neighbour) = next(day) else {
                return day;
            };
            day = neighbour;
            idle += 1;
            if self.is_trading_day(day) {
                count -= 1;
                idle = 0;
            }
        }
        day
    }

    /// How many trading days lie between two days, without those. Without rules it is arithmetic, not a walk: a day a century ahead
    /// costs as much as tomorrow.
    #[must_use]
    pub fn days_between(&self, first: Date, last: Date) -> u64 {
        let Some(after) = first.tomorrow().ok().filter(|after| *after < last) else {
            return 0;
        };
        let regular = self.weekdays_before(last) - self.weekdays_before(after);
        let missing = match self.0.rules {
            Rules::None => {
                let stated = self.0.stated.range(after..last);
                stated.filter(|(day, _)| self.is_missing(**day)).count()
            }
            _ => days_from(after)
                .take_while(|day| *day < last)
                .filter(|day| self.is_missing(*day))
                .count(),
        };
        u64::try_from(regular)
            .unwrap_or(0)
            .saturating_sub(missing as u64)
    }

    /// Whether the week has a session on a day that is no trading day.
    fn is_missing(&self, day: Date) -> bool {
        self.regular_hours(day).is_some() && !self.is_trading_day(day)
    }

    /// How many days on which the week has a session lie before the day, counted from a Monday; negative before that.
    fn weekdays_before(&self, day: Date) -> i64 {
        const MONDAY: Date = date(1970, 1, 5);
        let days = day.duration_since(MONDAY).as_hours() / 24;
        let count = |days: i64| {
            let week = self.0.week.iter().zip(0..days);
            week.map(|(hours, _)| i64::from(hours.is_some()))
                .sum::<i64>()
        };
        days.div_euclid(7) * count(7) + count(days.rem_euclid(7))
    }

    /// The same days of the week from midnight to midnight, without exceptions: how a calendar is stated that has no ready one. `None`
    /// where sessions open on the evening before, or the week is neither Monday to Friday nor every day.
    #[must_use]
    pub fn plain_week(&self) -> Option<Self> {
        let hours = || self.0.week.iter().flatten();
        if hours().any(|hours| hours.opens_day_before()) {
            return None;
        }
        let zone = self.zone().clone();
        let plain = match hours().count() {
            7 => Self::every_day(zone),
            _ => Self::weekdays(zone),
        };
        let is_open = |week: &[Option<Hours>; 7]| week.map(|hours| hours.is_some());
        (is_open(&plain.0.week) == is_open(&self.0.week)).then_some(plain)
    }

    /// How many trading days a year has in the mean: of 2016 to 2025 for a ready calendar, of the years from the first stated
    /// exception to the last, or of the regular week. About 252 on the NYSE, 261 for weekdays without holidays, 365 for every day.
    #[must_use]
    pub fn trading_days_per_year(&self) -> f64 {
        let stated = (
            self.0.stated.first_key_value(),
            self.0.stated.last_key_value(),
        );
        let [first, last] = match (self.0.rules, stated) {
            (Rules::None, (Some((first, _)), Some((last, _)))) => {
                [first.first_of_year(), last.last_of_year()]
            }
            (Rules::None, _) => {
                let days = self.0.week.iter().flatten().count();
                return days as f64 * DAYS_PER_YEAR / 7.0;
            }
            _ => SAMPLE,
        };
        let days = (last.duration_since(first).as_hours() / 24 + 1) as f64;
        let ends = [first, last].map(|day| u64::from(self.is_trading_day(day)));
        let counted = self.days_between(first, last) + ends[0] + ends[1];
        counted as f64 * DAYS_PER_YEAR / days
    }

    /// Whether the day is as the exchange published it, or by rule only.
    #[must_use]
    pub fn certainty(&self, day: Date) -> Certainty {
        let [first, last] = self.final_days();
        let is_final =
            first.is_none_or(|first| first <= day) && last.is_none_or(|last| day <= last);
        if is_final {
            Certainty::Final
        } else {
            Certainty::Provisional
        }
    }

    /// The last day that is final. `None` for a week without exceptions, such as one of every day, which has no end.
    #[must_use]
    pub fn final_until(&self) -> Option<Date> {
        self.final_days()[1]
    }

    fn final_days(&self) -> [Option<Date>; 2] {
        let [first, last] = match self.0.rules {
            Rules::Nyse | Rules::Settlement => nyse::FINAL.map(Some),
            Rules::Cme(_) => cme::FINAL.map(Some),
            Rules::Fx => [None, Some(Date::MIN)],
            Rules::None => {
                let last = self.0.stated.last_key_value();
                [None, last.map(|(day, _)| day.last_of_year())]
            }
        };
        [first, self.0.final_until.or(last)]
    }

    /// A warning where the calendar's last final day is less than sixty days ahead, or past.
    ///
    /// ```
    /// use jiff::civil::date;
    /// use obs_calendar::Calendar;
    ///
    /// let nyse = Calendar::nyse().with_final_until(date(2026, 12, 31));
    /// assert_eq!(nyse.ending(date(2026, 10, 1)), None);
    /// let ending = nyse.ending(date(2026, 11, 28)).unwrap();
    /// assert!(ending.to_string().starts_with("the calendar NYSE is final until 2026-12-31, which ends in 33 days"));
    /// ```
    #[must_use]
    pub fn ending(&self, today: Date) -> Option<Ending> {
        let last = self.final_until().filter(|last| *last != Date::MIN)?;
        let days = last.duration_since(today).as_hours() / 24;
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        (days < NOTICE).then(|| Ending {
            calendar: self.name().to_owned(),
            last,
            days,
        })
    }

    fn regular_hours(&self, day: Date) -> Option<Hours> {
        self.0.week[index(day.weekday())]
    }
}

/// What a calendar says of moments.
impl Calendar {
    /// The day of a moment: its date in the market's time zone, or the next one where that one's session has its regular opening
    /// before midnight and the moment is not earlier.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Date {
        let local = self.0.zone.to_datetime(at);
        let Ok(tomorrow) = local.date().tomorrow() else {
            return local.date();
        };
        match self.evening(tomorrow) {
            Some(evening) if local.time() >= evening => tomorrow,
            _ => local.date(),
        }
    }

    /// The [day](Self::day) of a moment, and a later moment before which it stays that day: its end, midnight, or a change of the
    /// market's clocks, whatever comes first. With it, the days of many moments in order take one look at the calendar for each day.
    ///
    /// ```
    /// use jiff::civil::date;
    /// use obs_calendar::{Calendar, CmeGroup};
    ///
    /// let futures = Calendar::cme(CmeGroup::EquityIndex);
    /// let (day, until) = futures.day_and_end("2026-11-30T15:00Z".parse()?);
    /// assert_eq!((day, until), (date(2026, 11, 30), "2026-11-30T23:00Z".parse()?)); // 17:00 in Chicago
    /// # Ok::<(), jiff::Error>(())
    /// ```
    #[must_use]
    pub fn day_and_end(&self, at: Timestamp) -> (Date, Timestamp) {
        let local = self.0.zone.to_datetime(at);
        let day = self.day(at);
        let Ok(tomorrow) = local.date().tomorrow() else {
            return (day, Timestamp::MAX);
        };
        let evening = self.evening(tomorrow).filter(|_| day < tomorrow);
        let end = evening.map_or(tomorrow.to_datetime(Time::midnight()), |evening| {
            local.date().to_datetime(evening)
        });
        // As long as the clocks are not changed, local time runs as any other does.
        let end = at.saturating_add(end.duration_since(local));
        let change = self.0.zone.following(at).next();
        let end = end.unwrap_or(Timestamp::MAX);
        (
            day,
            change.map_or(end, |change| end.min(change.timestamp())),
        )
    }

    /// When on the evening before it a day begins, if it does.
    fn evening(&self, day: Date) -> Option<Time> {
        let hours = self.regular_hours(day)?;
        hours.opens_day_before().then_some(hours.open)
    }

    /// The trading day a moment belongs to: its [day](Self::day), or the next trading day where that is none. `None` where no trading
    /// day follows within thirty days.
    #[must_use]
    pub fn trade_date(&self, at: Timestamp) -> Option<Date> {
        self.trading_day_from(self.day(at))
    }

    fn trading_day_from(&self, day: Date) -> Option<Date> {
        let mut days = days_from(day).take(SEARCH_DAYS);
        days.find(|day| self.is_trading_day(*day))
    }

    /// The session that closes on that day, by the market's own date.
    #[must_use]
    pub fn session(&self, day: Date) -> Option<Session> {
        let mut hours = self.regular_hours(day)?;
        let mut trade_date = Some(day);
        let opens_before = hours.opens_day_before();
        match self.exception(day).map(|exception| exception.kind) {
            None => {}
            Some(ExceptionKind::Closed) => return None,
            Some(ExceptionKind::EarlyClose(close)) => hours.close = close,
            Some(ExceptionKind::LateOpen(open)) => {
                let start = self.moment(day, open)?;
                return self.between(start, day, hours.close, day);
            }
            Some(ExceptionKind::HolidaySession(close)) => {
                hours.close = close;
                trade_date = self.trading_day_from(day);
            }
        }
        let first = if opens_before {
            day.yesterday().ok()?
        } else {
            day
        };
        self.between(
            self.moment(first, hours.open)?,
            day,
            hours.close,
            trade_date?,
        )
    }

    fn between(
        &self,
        start: Timestamp,
        day: Date,
        close: Time,
        trade_date: Date,
    ) -> Option<Session> {
        let end = if close == Time::midnight() {
            self.moment(day.tomorrow().ok()?, close)?
        } else {
            self.moment(day, close)?
        };
        (start < end).then_some(Session {
            start,
            end,
            trade_date,
        })
    }

    /// A local time that the change of the clocks leaves out is as much later; one it repeats is the first.
    fn moment(&self, day: Date, time: Time) -> Option<Timestamp> {
        self.0.zone.to_timestamp(day.to_datetime(time)).ok()
    }

    /// Whether the market is in a session at that moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.current(at).is_some()
    }

    /// The session that moment lies in.
    #[must_use]
    pub fn current(&self, at: Timestamp) -> Option<Session> {
        let mut sessions = self.sessions_from(at, 3);
        sessions.find(|session| session.contains(at))
    }

    /// The first session that opens after that moment; `None` if there is none within thirty days.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Option<Session> {
        let mut sessions = self.sessions_from(at, SEARCH_DAYS);
        sessions.find(|session| session.start > at)
    }

    /// When the market opens next: the first opening after that moment before which it is closed. `None` for one that never closes,
    /// and where there is none within thirty days.
    #[must_use]
    pub fn next_open(&self, at: Timestamp) -> Option<Timestamp> {
        let mut sessions = self.sessions_from(at, SEARCH_DAYS);
        let opening = sessions.find(|session| {
            let before = session.start.checked_sub(Span::new().nanoseconds(1));
            session.start > at && before.is_ok_and(|before| !self.is_open(before))
        });
        opening.map(|session| session.start)
    }

    /// When the market closes next: the end of the session under way, or of the next one. `None` for one that never closes, and where
    /// there is none within thirty days.
    #[must_use]
    pub fn next_close(&self, at: Timestamp) -> Option<Timestamp> {
        let mut sessions = self.sessions_from(at, SEARCH_DAYS);
        let last = sessions.find(|session| session.end > at && !self.is_open(session.end));
        last.map(|session| session.end)
    }

    /// For how long the market was open between two moments; nothing if the second is not the later.
    #[must_use]
    pub fn open_time(&self, from: Timestamp, until: Timestamp) -> Duration {
        let mut open = Duration::ZERO;
        let last = self.day(until);
        let days = days_from(self.day_before(from)).take_while(|day| *day <= last);
        for session in days.filter_map(|day| self.session(day)) {
            let (start, end) = (session.start.max(from), session.end.min(until));
            open += Duration::try_from(end.duration_since(start)).unwrap_or_default();
        }
        open
    }

    /// The sessions of so many days from the one before that moment on.
    fn sessions_from(&self, at: Timestamp, days: usize) -> impl Iterator<Item = Session> + '_ {
        let days = days_from(self.day_before(at)).take(days);
        days.filter_map(|day| self.session(day))
    }

    fn day_before(&self, at: Timestamp) -> Date {
        let today = self.0.zone.to_datetime(at).date();
        today.checked_sub(Span::new().days(1)).unwrap_or(today)
    }
}

impl Hours {
    fn opens_day_before(self) -> bool {
        self.close != Time::midnight() && self.open >= self.close
    }
}

impl Rules {
    fn exception(self, day: Date) -> Option<Exception> {
        match self {
            Self::None => None,
            Self::Nyse => nyse::exception(day),
            Self::Cme(group) => group.exception(day),
            Self::Settlement => settlement::exception(day),
            Self::Fx => match (day.month(), day.day()) {
                (1, 1) => Some(Exception::closed("New Year's Day")),
                (12, 25) => Some(Exception::closed("Christmas Day")),
                _ => None,
            },
        }
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

/// The weekday's place in the week, from Monday on.
fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

fn days_from(day: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(day), |day| day.tomorrow().ok())
}

/// Its name and time zone.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone();
        let named = zone.iana_name().map(str::to_owned);
        let fixed = || Some(zone.to_fixed_offset().ok()?.to_string());
        let zone = named.or_else(fixed);
        write!(
            f,
            "{} {}",
            self.name(),
            zone.as_deref().unwrap_or("unnamed zone")
        )
    }
}

/// Name and time zone; the rest is rules.
impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calendar({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_market_opens_on_the_moment_and_closes_on_it() {
        let nyse = Calendar::nyse();
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
            // A late opening, at noon.
            ("2002-09-11T15:59:59Z", false),
            ("2002-09-11T16:00:00Z", true),
        ] {
            assert_eq!(nyse.is_open(at(moment)), open, "{moment}");
        }
    }

    #[test]
    fn open_time_runs_in_sessions_only() {
        let nyse = Calendar::nyse();
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
    fn next_open_and_close_pass_over_nights_weekends_and_holidays() {
        let nyse = Calendar::nyse();
        let next = |moment: &str| (nyse.next_open(at(moment)), nyse.next_close(at(moment)));
        let both = |open: &str, close: &str| (Some(at(open)), Some(at(close)));
        assert_eq!(
            next("2026-11-25T14:29Z"),
            both("2026-11-25T14:30Z", "2026-11-25T21:00Z")
        );
        assert_eq!(
            next("2026-11-25T14:30Z"),
            both("2026-11-27T14:30Z", "2026-11-25T21:00Z")
        );
        assert_eq!(
            next("2026-11-27T18:00Z"),
            both("2026-11-30T14:30Z", "2026-11-30T21:00Z")
        );
        assert_eq!(
            nyse.next(at("2026-11-25T14:30Z")).unwrap().trade_date,
            date(2026, 11, 27)
        );
        for never in [
            Calendar::closed("none", TimeZone::UTC),
            Calendar::always_open(),
        ] {
            assert_eq!(never.next_open(at("2026-11-27T19:00Z")), None);
            assert_eq!(never.next_close(at("2026-11-27T19:00Z")), None);
        }
    }

    #[test]
    fn an_evening_belongs_to_the_day_that_follows() {
        let futures = Calendar::cme(CmeGroup::EquityIndex);
        let fx = Calendar::fx();
        let monday = date(2026, 11, 30);
        // 17:00 in Chicago, and an hour earlier in New York.
        for (calendar, opening, before) in [
            (&futures, "2026-11-29T23:00Z", "2026-11-29T22:59:59Z"),
            (&fx, "2026-11-29T22:00Z", "2026-11-29T21:59:59Z"),
        ] {
            assert!(calendar.is_open(at(opening)) && !calendar.is_open(at(before)));
            assert_eq!(calendar.day(at(opening)), monday, "{calendar}");
            assert_eq!(calendar.day(at(before)), date(2026, 11, 29), "{calendar}");
            assert_eq!(calendar.trade_date(at(before)), Some(monday), "{calendar}");
            assert_eq!(calendar.current(at(opening)).unwrap().trade_date, monday);
        }
        // After Friday's close it is Friday still, and over the weekend Monday comes next.
        assert_eq!(
            futures.trade_date(at("2026-11-27T23:30Z")),
            Some(date(2026, 11, 27))
        );
        assert_eq!(futures.trade_date(at("2026-11-28T12:00Z")), Some(monday));
        // An exchange without a night session keeps its own date into the night.
        assert_eq!(
            Calendar::nyse().day(at("2026-11-28T04:59Z")),
            date(2026, 11, 27)
        );
        assert_eq!(
            Calendar::nyse().trade_date(at("2026-11-28T05:00Z")),
            Some(monday)
        );
    }

    #[test]
    fn a_day_stays_itself_until_its_end() {
        // Clocks that are put back repeat an hour: in Havana until 2012 and in the Azores the one before midnight or after it.
        let zones = [
            "America/Havana",
            "Atlantic/Azores",
            "America/Sao_Paulo",
            "UTC",
        ];
        let every_day = zones.map(|zone| Calendar::every_day(TimeZone::get(zone).unwrap()));
        let ready = [
            Calendar::nyse(),
            Calendar::cme(CmeGroup::EquityIndex),
            Calendar::fx(),
        ];
        for calendar in ready.into_iter().chain(every_day) {
            let (mut now, last) = (at("2009-12-31T12:00Z"), at("2012-01-01T00:00Z"));
            let (mut days, mut looks) = (std::collections::BTreeSet::new(), 1);
            let (mut day, mut end) = calendar.day_and_end(now);
            while now < last {
                if now >= end {
                    (day, end) = calendar.day_and_end(now);
                    looks += 1;
                }
                assert!(now < end);
                assert_eq!(calendar.day(now), day, "{calendar} at {now}");
                days.insert(day);
                now += jiff::SignedDuration::from_mins(11);
            }
            // A day with a session begins in the evening before, and is looked at once more at midnight.
            assert!(
                (days.len()..=2 * days.len() + 8).contains(&looks),
                "{calendar}: {looks}"
            );
        }
    }

    #[test]
    fn futures_rest_for_an_hour_a_day() {
        let futures = Calendar::cme(CmeGroup::Fx);
        assert!(futures.is_open(at("2026-12-01T21:59:59Z")));
        assert!(!futures.is_open(at("2026-12-01T22:30Z")));
        assert!(futures.is_open(at("2026-12-01T23:00Z")));
        assert_eq!(
            futures.next_open(at("2026-12-01T22:30Z")),
            Some(at("2026-12-01T23:00Z"))
        );
        assert_eq!(
            futures.next_close(at("2026-12-01T22:30Z")),
            Some(at("2026-12-02T22:00Z"))
        );
        let open = futures.open_time(at("2026-11-30T03:00Z"), at("2026-11-30T23:30Z"));
        assert_eq!(open.as_secs(), 19 * 3_600 + 1_800);
        // A day without a break has none.
        let fx = Calendar::fx();
        assert_eq!(
            fx.next_close(at("2026-12-01T12:00Z")),
            Some(at("2026-12-04T22:00Z"))
        );
        assert_eq!(
            fx.next_open(at("2026-12-01T12:00Z")),
            Some(at("2026-12-06T22:00Z"))
        );
    }

    #[test]
    fn a_holiday_session_counts_toward_the_next_trading_day() {
        let futures = Calendar::cme(CmeGroup::EquityIndex);
        let holiday = date(2026, 11, 26);
        let session = futures.session(holiday).unwrap();
        assert_eq!(session.start, at("2026-11-25T23:00Z"));
        assert_eq!(session.end, at("2026-11-26T18:00Z"));
        assert_eq!(session.trade_date, date(2026, 11, 27));
        assert!(!futures.is_trading_day(holiday));
        assert_eq!(futures.trade_date(session.start), Some(date(2026, 11, 27)));
        // Currencies trade on through the afternoon.
        let fx = Calendar::cme(CmeGroup::Fx).session(holiday).unwrap();
        assert_eq!(fx.end, at("2026-11-26T22:00Z"));
    }

    #[test]
    fn settlement_rests_where_banks_do() {
        let settlement = Calendar::us_settlement();
        let nyse = Calendar::nyse();
        for bank_holiday in [date(2026, 10, 12), date(2026, 11, 11), date(2018, 11, 12)] {
            assert!(nyse.is_trading_day(bank_holiday));
            assert!(!settlement.is_trading_day(bank_holiday));
        }
        // A Saturday's holiday closes no bank, and mourning none either.
        assert!(settlement.is_trading_day(date(2023, 11, 10)));
        assert!(settlement.is_trading_day(date(2025, 1, 9)));
        assert!(!settlement.is_trading_day(date(2026, 4, 3)));
    }

    #[test]
    fn the_mean_year_is_that_of_the_days_that_count() {
        let near =
            |calendar: &Calendar, days: f64| (calendar.trading_days_per_year() - days).abs() < 0.8;
        assert!(near(&Calendar::nyse(), 251.6));
        assert!(near(&Calendar::cme(CmeGroup::EquityIndex), 251.6));
        assert!(near(&Calendar::weekdays(TimeZone::UTC), 260.9));
        assert!(near(&Calendar::always_open(), 365.25));
        let holidays = (1..=9).map(|month| {
            date(2024, month, 1)
                .nth_weekday_of_month(2, Weekday::Monday)
                .unwrap()
        });
        assert!(near(
            &Calendar::weekdays(TimeZone::UTC).with_holidays(holidays),
            252.5
        ));
    }

    #[test]
    fn counting_agrees_with_walking() {
        let stated = [date(1969, 12, 25), date(1970, 1, 1), date(1970, 1, 3)];
        let daily = |first: Date, days: usize| days_from(first).take(days);
        for calendar in [
            Calendar::every_day(TimeZone::UTC).with_holidays(stated),
            Calendar::weekdays(TimeZone::UTC).with_holidays(stated),
            Calendar::nyse(),
            Calendar::cme(CmeGroup::InterestRate),
        ] {
            for first in daily(date(1969, 12, 20), 25) {
                for last in daily(date(1969, 12, 20), 25) {
                    let between = days_from(first).skip(1).take_while(|day| *day < last);
                    let walked = between.filter(|day| calendar.is_trading_day(*day)).count();
                    assert_eq!(
                        calendar.days_between(first, last),
                        walked as u64,
                        "{first} {last}"
                    );
                }
            }
        }
    }

    #[test]
    fn counting_passes_weekends_and_ends_with_time() {
        let nyse = Calendar::nyse();
        assert_eq!(nyse.after(date(2026, 4, 2), 1), date(2026, 4, 6)); // Good Friday
        assert_eq!(nyse.before(date(2026, 4, 6), 2), date(2026, 4, 1));
        assert_eq!(nyse.before(date(2026, 4, 4), 0), date(2026, 4, 4));
        assert_eq!(nyse.after(Date::MAX, 3), Date::MAX);
        let never = Calendar::closed("none", TimeZone::UTC);
        assert_eq!(never.trade_date(at("2026-11-27T19:00Z")), None);
        assert!(never.after(date(2026, 1, 1), 1) < date(2026, 3, 1));
    }

    #[test]
    fn what_the_user_states_counts_first() {
        let day = date(2027, 6, 18);
        let reopened = Exception {
            kind: ExceptionKind::LateOpen(time(9, 30, 0, 0)),
            reason: "opened after all",
        };
        let nyse = Calendar::nyse().with_exception(day, reopened);
        assert!(!Calendar::nyse().is_trading_day(day) && nyse.is_trading_day(day));
        assert_eq!(nyse.exception(day), Some(reopened));
        assert_eq!(nyse.session(day).unwrap().end, at("2027-06-18T20:00Z"));
    }

    #[test]
    fn a_calendar_knows_how_far_it_is_known() {
        let nyse = Calendar::nyse();
        assert_eq!(nyse.certainty(date(2026, 12, 25)), Certainty::Final);
        assert_eq!(nyse.certainty(date(2029, 1, 2)), Certainty::Provisional);
        assert_eq!(nyse.certainty(date(1998, 12, 31)), Certainty::Provisional);
        assert_eq!(nyse.ending(date(2028, 11, 1)), None);
        assert_eq!(nyse.ending(date(2028, 11, 2)).unwrap().days, 59);
        let text = nyse.ending(date(2029, 1, 5)).unwrap().to_string();
        assert!(
            text.contains("2028-12-31, which ended 5 days ago"),
            "{text}"
        );
        // A list of holidays ends with the year of the last.
        let listed = Calendar::weekdays(TimeZone::UTC).with_holidays([date(2026, 5, 1)]);
        assert_eq!(listed.final_until(), Some(date(2026, 12, 31)));
        assert!(Calendar::always_open().ending(date(2026, 12, 31)).is_none());
        assert_eq!(
            Calendar::fx().certainty(date(2026, 12, 1)),
            Certainty::Provisional
        );
    }

    #[test]
    fn a_calendar_shows_its_name_and_zone() {
        let plain = |calendar: &Calendar| calendar.plain_week().map(|plain| plain.to_string());
        assert_eq!(
            plain(&Calendar::nyse()).as_deref(),
            Some("weekdays America/New_York")
        );
        assert_eq!(
            plain(&Calendar::always_open()).as_deref(),
            Some("every day UTC")
        );
        assert_eq!(plain(&Calendar::fx()), None);
        assert_eq!(Calendar::nyse().to_string(), "NYSE America/New_York");
        let fixed = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(Calendar::every_day(fixed).to_string(), "every day +09");
        let new_york = TimeZone::get("America/New_York").unwrap();
        assert_eq!(
            Calendar::weekdays(new_york).to_string(),
            "weekdays America/New_York"
        );
    }
}
