//! The calendars of obs-calendar, day by day, against two libraries in Python. Every difference has a reason, and every reason a
//! difference; nothing is taken over from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::civil::{Date, Weekday, date, time};
use jiff::{Timestamp, ToSpan};
use obs_calendar::{Calendar, CmeGroup};
use obs_tests::python_says;

/// Opening and closing of the sessions by the day they close on.
type Sessions = BTreeMap<Date, (Timestamp, Timestamp)>;

/// What the script prints, by calendar.
static THEIRS: LazyLock<BTreeMap<String, Sessions>> = LazyLock::new(|| {
    let said = python_says(include_str!("harness/calendars.py"), "").unwrap();
    let mut calendars = BTreeMap::<String, Sessions>::new();
    for line in said.unwrap().lines() {
        let columns: Vec<_> = line.split(',').collect();
        let [name, day, start, end] = columns[..] else {
            panic!("{line}");
        };
        let session = (start.parse().unwrap(), end.parse().unwrap());
        let sessions = calendars.entry(name.to_owned()).or_default();
        sessions.insert(day.parse().unwrap(), session);
    }
    calendars
});

/// Days on which we differ from them, and why we do.
struct Reason(&'static str, fn(Date) -> bool);

fn theirs(name: &str) -> &'static Sessions {
    &THEIRS[name]
}

/// Compares all days from the first of theirs to the last.
fn assert_differs_only(ours: &Calendar, theirs: &Sessions, reasons: &[Reason]) {
    let (first, last) = (theirs.keys().next().unwrap(), theirs.keys().last().unwrap());
    // Ten years, or the comparison is none.
    assert!(theirs.len() > 2_500, "{ours}: {}", theirs.len());
    let mut used = BTreeSet::new();
    for day in first.series(1.day()).take_while(|day| day <= last) {
        let session = ours
            .session(day)
            .map(|session| (session.start, session.end));
        if session == theirs.get(&day).copied() {
            continue;
        }
        let reason = reasons.iter().position(|reason| reason.1(day));
        let reason = reason.unwrap_or_else(|| {
            let theirs = theirs.get(&day);
            panic!("{ours} on {day}: ours {session:?}, theirs {theirs:?}")
        });
        used.insert(reason);
    }
    for (index, reason) in reasons.iter().enumerate() {
        assert!(used.contains(&index), "{ours}: needless: {}", reason.0);
    }
}

fn is_one_of(day: Date, days: &[Date]) -> bool {
    days.contains(&day)
}

fn is_christmas_eve(day: Date) -> bool {
    day.month() == 12 && day.day() == 24
}

fn is_after_thanksgiving(day: Date) -> bool {
    day.month() == 11 && day.weekday() == Weekday::Friday && (23..=29).contains(&day.day())
}

fn is_good_friday(day: Date) -> bool {
    let spring = matches!(day.month(), 3 | 4);
    spring && day.weekday() == Weekday::Friday
}

fn is_juneteenth(day: Date) -> bool {
    day.month() == 6 && (18..=20).contains(&day.day())
}

fn is_labor_day(day: Date) -> bool {
    day.month() == 9 && day.weekday() == Weekday::Monday && day.day() <= 7
}

const MOURNING: Reason = Reason(
    "days of mourning for a president, on which CME announced shorter hours or none",
    |day| is_one_of(day, &[date(2018, 12, 5), date(2025, 1, 9)]),
);

const GOOD_FRIDAY_WITHOUT_REPORT: Reason = Reason(
    "they take CME to open on every Good Friday since 2023; it does when the employment report is due",
    |day| is_good_friday(day) && day.day() > 7,
);

#[test]
fn nyse_by_exchange_calendars() {
    let reasons = [Reason(
        "the exchange opened at noon on the first anniversary of the attacks",
        |day| day == date(2002, 9, 11),
    )];
    assert_differs_only(
        &Calendar::nyse(),
        theirs("exchange_calendars XNYS"),
        &reasons,
    );
}

#[test]
fn nyse_by_pandas_market_calendars() {
    let reasons = [
        Reason(
            "the exchange closed at 13:00 on the last day of 1999, as exchange_calendars has it",
            |day| day == date(1999, 12, 31),
        ),
        Reason(
            "minutes of silence at the opening, which move no session here",
            |day| {
                let minutes = [
                    date(2001, 9, 17),
                    date(2001, 10, 8),
                    date(2003, 3, 20),
                    date(2004, 6, 7),
                    date(2006, 12, 27),
                ];
                is_one_of(day, &minutes)
            },
        ),
        Reason("a failure ended the session four minutes early", |day| {
            day == date(2005, 6, 1)
        }),
    ];
    assert_differs_only(
        &Calendar::nyse(),
        theirs("pandas_market_calendars NYSE"),
        &reasons,
    );
}

#[test]
fn cme_equity_index_by_exchange_calendars() {
    let ours = Calendar::cme(CmeGroup::EquityIndex);
    // Their regular session runs on through the daily break, to 17:00.
    let close = |day: Date, end: Timestamp| {
        let moment = |hour| ours.zone().to_timestamp(day.at(hour, 0, 0, 0)).unwrap();
        if end == moment(17) { moment(16) } else { end }
    };
    let theirs = theirs("exchange_calendars CMES");
    let theirs = theirs
        .iter()
        .map(|(day, (start, end))| (*day, (*start, close(*day, *end))));
    let reasons = [
        Reason(
            "half days end at 12:15 for equity index futures, at noon in their calendar of all of CME",
            |day| is_after_thanksgiving(day) || is_christmas_eve(day),
        ),
        Reason("they lack the half day before Independence Day", |day| {
            day.month() == 7 && day.day() == 3
        }),
        Reason("they lack Juneteenth", is_juneteenth),
        Reason(
            "they lack the hours after the employment report on Good Friday",
            |day| is_good_friday(day) && day.day() <= 7,
        ),
        Reason("they close days of mourning whole", MOURNING.1),
    ];
    assert_differs_only(&ours, &theirs.collect(), &reasons);
}

#[test]
fn cme_equity_index_by_pandas_market_calendars() {
    assert_differs_only(
        &Calendar::cme(CmeGroup::EquityIndex),
        theirs("pandas_market_calendars CME Globex Equity"),
        &[MOURNING, GOOD_FRIDAY_WITHOUT_REPORT],
    );
}

#[test]
fn cme_interest_rate_by_pandas_market_calendars() {
    assert_differs_only(
        &Calendar::cme(CmeGroup::InterestRate),
        theirs("pandas_market_calendars CME Globex Interest Rate Products"),
        &[MOURNING, GOOD_FRIDAY_WITHOUT_REPORT],
    );
}

#[test]
fn cme_fx_by_pandas_market_calendars() {
    let reasons = [
        GOOD_FRIDAY_WITHOUT_REPORT,
        Reason("CME's hours give 12:45 since 2024", is_christmas_eve),
        Reason("CME's hours give 13:45 since 2025", is_after_thanksgiving),
        Reason(
            "CME's hours give noon for holidays that fall on a Friday since 2022",
            |day| day.weekday() == Weekday::Friday && matches!(day.month(), 6 | 7),
        ),
    ];
    assert_differs_only(
        &Calendar::cme(CmeGroup::Fx),
        theirs("pandas_market_calendars CMEGlobex_FX"),
        &reasons,
    );
}

#[test]
fn cme_energy_and_metals_by_pandas_market_calendars() {
    let reasons = [
        Reason("they lack the half day of Christmas Eve", is_christmas_eve),
        Reason("CME's hours give 13:30 since 2022", is_labor_day),
        Reason("CME's hours give 13:45 since 2024", is_after_thanksgiving),
        Reason(
            "CME's hours give noon for holidays that fall on a Friday since 2022",
            |day| day.weekday() == Weekday::Friday && matches!(day.month(), 6 | 7),
        ),
    ];
    assert_differs_only(
        &Calendar::cme(CmeGroup::EnergyAndMetals),
        theirs("pandas_market_calendars CMEGlobex_EnergyAndMetals"),
        &reasons,
    );
}

/// The days that have a closing of their own.
#[test]
fn trading_days_of_cme_by_pandas_market_calendars() {
    let theirs = theirs("pandas_market_calendars CME_TradeDate");
    let ours = Calendar::cme(CmeGroup::EquityIndex);
    let days = date(2016, 1, 1).series(1.day());
    let differ = days
        .take_while(|day| *day <= date(2027, 12, 31))
        .filter(|day| ours.is_trading_day(*day) != theirs.contains_key(day));
    let expected = [
        // Announced as sessions before the trade date of the day after, by which they are days of their own.
        date(2018, 12, 5),
        // The hours after an employment report, which CME lists under their own date.
        date(2021, 4, 2),
        date(2023, 4, 7),
        date(2025, 1, 9),
        date(2026, 4, 3),
    ];
    assert_eq!(differ.collect::<Vec<_>>(), expected);
}

/// Columbus and Veterans Day, and nothing else but one-off closures, tell the two apart.
#[test]
fn settlement_dates_are_trading_days_without_bank_holidays() {
    let (nyse, settlement) = (Calendar::nyse(), Calendar::us_settlement());
    let years = date(1999, 1, 1).series(1.day());
    for day in years.take_while(|day| *day <= date(2028, 12, 31)) {
        match (nyse.is_trading_day(day), settlement.is_trading_day(day)) {
            (true, false) => {
                let is_columbus = day.month() == 10 && day.weekday() == Weekday::Monday;
                let is_veterans = day.month() == 11 && matches!(day.day(), 11 | 12);
                assert!(is_columbus || is_veterans, "{day}");
            }
            (false, true) => {
                let reason = nyse.exception(day).unwrap().reason;
                let is_one_off = ["mourning", "attacks", "Hurricane"];
                assert!(
                    is_one_off.iter().any(|word| reason.starts_with(word)),
                    "{day} {reason}"
                );
            }
            _ => {}
        }
    }
    // What the exchange has published of 2028.
    let half_day = nyse.session(date(2028, 7, 3)).unwrap();
    let close = nyse.zone().to_datetime(half_day.end).time();
    assert_eq!(close, time(13, 0, 0, 0));
}
