//! Every hour of many years, and every edge of a session, against `exchange-hours`, whose days are from the exchanges' own documents.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use exchange_hours::{
    Exchange, ExchangeCalendar, MarketHoursKey, calendar_for_exchange,
    calendar_for_market_hours_key,
};
use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan};
use obs_calendar::{Calendar, CmeGroup};

/// The days, by the market's own date, on which we and they differ: at some full hour, or at an edge of our sessions.
fn differences(
    ours: &Calendar,
    theirs: impl Fn(DateTime<Utc>) -> bool,
    [first, last]: [Date; 2],
) -> BTreeSet<Date> {
    let start = ours.zone().to_timestamp(first.at(0, 0, 0, 0)).unwrap();
    let end = ours.zone().to_timestamp(last.at(23, 59, 0, 0)).unwrap();
    let hours = start.series(1.hour()).take_while(|at| *at < end);
    let days = first.series(1.day()).take_while(|day| *day <= last);
    let edges = days
        .filter_map(|day| ours.session(day))
        .flat_map(|session| {
            let [start, end] = [session.start, session.end];
            [start - 1.second(), start, end - 1.second(), end]
        });
    let differ = hours
        .chain(edges)
        .filter(|at| ours.is_open(*at) != theirs(instant(*at)));
    differ
        .map(|at| ours.zone().to_datetime(at).date())
        .collect()
}

fn instant(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.as_second(), 0).unwrap()
}

/// CME's systems were down from the evening before until 07:30; a calendar does not hold failures.
const OUTAGE: Date = date(2025, 11, 28);
/// Sessions on the Saturdays of long weekends, which CME's service of trading hours lists; we found no notice that announces them.
const SATURDAYS: [Date; 3] = [date(2026, 6, 20), date(2026, 7, 4), date(2027, 6, 19)];

/// Beside the differences that all groups have.
fn assert_cme(group: CmeGroup, key: MarketHoursKey, others: &[Date]) {
    let theirs: ExchangeCalendar = calendar_for_market_hours_key(key);
    let is_open = |at| theirs.is_open(at).unwrap();
    let years = [date(2016, 1, 1), date(2027, 12, 31)];
    let expected = [&[OUTAGE], &SATURDAYS[..], others].concat();
    assert_eq!(
        differences(&Calendar::cme(group), is_open, years),
        BTreeSet::from_iter(expected)
    );
}

#[test]
fn nyse() {
    let theirs = calendar_for_exchange(Exchange::Nyse);
    let is_open = |at| theirs.is_open_regular(at).unwrap();
    let years = [date(2010, 1, 1), date(2028, 12, 31)];
    // They lack the day of mourning for George H. W. Bush.
    let differ = [date(2018, 12, 5)];
    assert_eq!(
        differences(&Calendar::nyse(), is_open, years),
        BTreeSet::from(differ)
    );
}

#[test]
fn cme_equity_index() {
    let others = [
        // The days of mourning, which they lack.
        date(2018, 12, 5),
        date(2025, 1, 9),
        // They open after Christmas at 15:30 on Wednesday: the end of that afternoon's pause. The other groups, and ours, opened on
        // Tuesday evening.
        date(2018, 12, 25),
        date(2018, 12, 26),
    ];
    assert_cme(
        CmeGroup::EquityIndex,
        MarketHoursKey::GlobexEquityIndex,
        &others,
    );
}

#[test]
fn cme_fx() {
    assert_cme(CmeGroup::Fx, MarketHoursKey::GlobexFx, &[]);
}

#[test]
fn cme_interest_rate() {
    let others = [
        // The days of mourning, which they lack; the first from the evening before on.
        date(2018, 12, 4),
        date(2018, 12, 5),
        date(2025, 1, 9),
        // They close Independence Day's session an hour and a half later than that of any other holiday.
        date(2027, 7, 5),
    ];
    assert_cme(
        CmeGroup::InterestRate,
        MarketHoursKey::GlobexInterestRates,
        &others,
    );
}

#[test]
fn cme_energy_and_metals() {
    assert_cme(CmeGroup::EnergyAndMetals, MarketHoursKey::GlobexEnergy, &[]);
}
