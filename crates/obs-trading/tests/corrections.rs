//! Events that come late, twice, wrong and not at all: ledgers against a fund that keeps every event and counts anew each time.

#![expect(clippy::float_cmp, reason = "what is compared is exact")]

#[path = "../src/performance/random.rs"]
mod random;

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, CorrectionWindow, Currency, Error, Ledger,
    Money, Period, PeriodsPerYear, ReplayClock, RiskFree, TradeResult, Transfer, Undefined,
    Valuation, Window,
};
use random::Random;

/// A mark of 150k that holds a deposit of 50k, which is reported after it: a drawdown of a quarter for life, once.
#[test]
fn a_flow_that_the_mark_holds_already_is_no_loss() {
    let close = at("2024-06-03T20:00:00Z");
    let deposit = Transfer::new(close, usd(50_000.0)).with_id("wire-7");
    let mut told = ledger();
    told.mark_with_flows(close, usd(150_000.0), &[deposit])
        .unwrap();
    // By its time, which is before that of the mark.
    let mut sorted = ledger();
    sorted.mark_equity(close, usd(150_000.0)).unwrap();
    let morning = Transfer::new(at("2024-06-03T09:00:00Z"), usd(50_000.0)).with_id("wire-7");
    sorted.take_transfer(&morning).unwrap();
    for ledger in [&mut told, &mut sorted] {
        // Reported again, it has no effect.
        ledger.take_transfer(&deposit).unwrap();
        ledger.mark_equity(close + HOUR, usd(150_000.0)).unwrap();
        ledger.advance_to(at("2024-06-05T00:00:00Z"));
        assert_eq!(ledger.equity(), 150_000.0);
        assert_eq!(
            (ledger.drawdown_ratio(), ledger.max_drawdown_ratio()),
            (0.0, 0.0)
        );
        assert_eq!(ledger.equity_change(Period::Total), 0.0);
        assert_eq!(ledger.growth_ratio(), Ok(0.0));
    }
    // What cannot be done as a whole is not done in part.
    let before = told.save();
    let out = Transfer::new(close + HOUR, usd(-1e6)).with_id("wire-9");
    let more = Transfer::new(close + HOUR * 2, usd(1.0)).with_id("wire-8");
    told.mark_with_flows(close + HOUR * 2, usd(150_001.0), &[more, out])
        .unwrap_err();
    assert_eq!(told.save(), before);
}

#[test]
fn a_glitch_a_bust_and_a_correction_leave_no_trace() {
    let day = at("2024-06-03T14:00:00Z");
    let trade = |hour: i32, pnl| ClosedTrade::new(day + HOUR * hour, usd(pnl));
    let mut right = ledger();
    let mut ours = ledger();
    for ledger in [&mut right, &mut ours] {
        ledger.mark_equity(day, usd(101_000.0)).unwrap();
        ledger
            .trade_closed(&trade(1, 200.0).with_id("x-1"))
            .unwrap();
    }
    ours.mark_equity(day + HOUR, usd(12.5)).unwrap(); // a price feed's glitch
    ours.trade_closed(&trade(2, -900.0).with_id("x-2")).unwrap(); // will be busted
    ours.trade_closed(&trade(3, 70.0).with_id("x-3")).unwrap(); // was 7
    right.trade_closed(&trade(3, 7.0).with_id("x-3")).unwrap();
    for ledger in [&mut right, &mut ours] {
        ledger.mark_equity(day + HOUR * 26, usd(100_500.0)).unwrap();
    }
    assert!(ours.max_drawdown_ratio() < -0.99);

    for _ in 0..2 {
        ours.void_mark(day + HOUR).unwrap();
        ours.void_trade("x-2").unwrap();
        ours.correct_trade(&trade(3, 7.0).with_id("x-3")).unwrap();
    }
    assert_same(&ours, &right, "corrected");
    assert_eq!(ours.trades(Period::Total), 2);
    assert_eq!(ours.win_ratio(), Ok(1.0));
    // The venue's replay does not bring back what it took back.
    let again = ours.trade_closed(&trade(2, -900.0).with_id("x-2"));
    assert!(matches!(again, Err(Error::DuplicateTrade { .. })));
    let voided = ours.correct_trade(&trade(2, -9.0).with_id("x-2"));
    assert!(matches!(voided, Err(Error::NotCorrectable { .. })));
    assert!(matches!(
        ours.void_trade("y"),
        Err(Error::NotCorrectable { .. })
    ));
    ours.correct_mark(day, usd(100_000.0)).unwrap();
    ours.mark_equity(day, usd(101_000.0)).unwrap(); // reported again
    ours.void_mark(day + HOUR * 26).unwrap();
    assert_eq!(ours.equity(), 100_000.0);
}

/// The glitch of a feed is sent again, and then the right figure for the same moment.
#[test]
fn a_voided_mark_is_refused_and_another_of_its_moment_counts() {
    let (noon, refused) = (at("2024-06-03T12:00:00Z"), "portfolio_events_refused_total");
    let test = TestRecorder::new();
    let calendar = Calendar::every_day(TimeZone::UTC);
    let mut account =
        test.run(|| Account::new("main", conventions(calendar), usd(100_000.0)).unwrap());
    let labels = [
        ("account", "main"),
        ("currency", "USD"),
        ("reason", "voided_mark"),
    ];
    account.mark_equity(noon, usd(12.5)).unwrap();
    account.void_mark(noon).unwrap();
    for again in 1..3 {
        let error = account.mark_equity(noon, usd(12.5)).unwrap_err();
        assert!(matches!(error, Error::VoidedMark { .. }), "{error}");
        assert_eq!(test.counter(refused, &labels), Some(again));
    }
    // Both or neither.
    let trade = ClosedTrade::new(noon, usd(1.0)).with_id("x-1");
    account
        .close_and_mark_equity(&trade, usd(12.5))
        .unwrap_err();
    assert_eq!(account.ledger().trades(Period::Total), 0);
    account.mark_equity(noon, usd(100_500.0)).unwrap();
    assert_eq!(account.ledger().equity(), 100_500.0);
    assert_eq!(account.ledger().max_drawdown_ratio(), 0.0);

    // A corrected mark knows what it said before, also after a restart, and takes another figure.
    account.correct_mark(noon, usd(101_000.0)).unwrap();
    let saved = serde_json::to_string(&account.save()).unwrap();
    let kept = serde_json::from_str(&saved).unwrap();
    let calendar = Calendar::every_day(TimeZone::UTC);
    let mut ledger = Ledger::restore(conventions(calendar), kept).unwrap();
    for known in [100_500.0, 101_000.0] {
        ledger.mark_equity(noon, usd(known)).unwrap();
        assert_eq!(ledger.equity(), 101_000.0);
    }
    assert!(ledger.mark_equity(noon, usd(12.5)).is_err());
    ledger.mark_equity(noon, usd(102_000.0)).unwrap();
    assert_eq!(ledger.equity(), 102_000.0);
}

#[test]
fn a_flow_is_taken_back_and_put_right() {
    let noon = at("2024-06-03T12:00:00Z");
    let mut ledger = ledger();
    ledger
        .take_transfer(&Transfer::new(noon, usd(100_000.0)).with_id("in"))
        .unwrap();
    ledger
        .take_transfer(&Transfer::new(noon + HOUR, usd(-150_000.0)).with_id("out"))
        .unwrap();
    // The bank returns the deposit, without which nothing is there to be withdrawn.
    let before = ledger.save();
    let error = ledger.void_transfer("in").unwrap_err();
    assert!(matches!(error, Error::NonPositiveEquity { .. }), "{error}");
    assert_eq!(ledger.save(), before);
    ledger.correct_transfer("out", usd(-50_000.0)).unwrap();
    ledger.void_transfer("in").unwrap();
    assert_eq!(
        (ledger.equity(), ledger.equity_change(Period::Total)),
        (50_000.0, 0.0)
    );
}

/// A closing mark that comes 0.4 s after a stamp of the next day was dropped.
#[test]
fn a_stamp_past_midnight_does_not_close_the_day_to_what_comes_late() {
    let mut ledger = ledger();
    ledger
        .mark_equity(at("2024-06-03T15:00:00Z"), usd(100_000.0))
        .unwrap();
    let early = ClosedTrade::new(at("2024-06-04T00:00:00.4Z"), usd(1.0));
    ledger.trade_closed(&early).unwrap();
    ledger
        .mark_equity(at("2024-06-03T23:59:59.9Z"), usd(102_000.0))
        .unwrap();
    ledger
        .mark_equity(at("2024-06-04T20:00:00Z"), usd(102_000.0))
        .unwrap();
    ledger.advance_to(at("2024-06-05T00:00:01Z"));
    let returns: Vec<_> = ledger.over(Window::ALL).each_return().collect();
    assert_eq!(returns.len(), 2);
    assert!((returns[0].1.unwrap() - 0.02).abs() < 1e-12 && returns[1].1 == Some(0.0));
    // A late report of yesterday's trade is yesterday's.
    let late = ClosedTrade::new(at("2024-06-03T16:00:00Z"), usd(5.0));
    ledger.trade_closed(&late).unwrap();
    assert_eq!(
        ledger
            .over(Window::between(date(2024, 6, 3), date(2024, 6, 3)))
            .trades(),
        1
    );
    assert_eq!(
        (ledger.trades(Period::Day), ledger.trades(Period::Month)),
        (0, 2)
    );
}

#[test]
fn all_is_withdrawn_and_paid_in_again() {
    let mut ledger = ledger();
    let noon = |day: i32| at("2024-06-03T12:00:00Z") + HOUR * 24 * day;
    ledger.mark_equity(noon(0), usd(80_000.0)).unwrap();
    ledger.transfer(noon(0), usd(-80_000.0)).unwrap();
    assert_eq!(ledger.equity(), 0.0);
    ledger.transfer(noon(2), usd(30_000.0)).unwrap();
    assert!(
        (ledger.drawdown_ratio() + 0.2).abs() < 1e-12,
        "not the two thirds that were withdrawn"
    );
    ledger.mark_equity(noon(3), usd(37_500.0)).unwrap();
    assert_eq!(ledger.drawdown_ratio(), 0.0);
    assert!((ledger.equity_change(Period::Total) + 12_500.0).abs() < 1e-9);
    ledger.advance_to(noon(5));
    let returns = ledger.over(Window::ALL);
    assert!((returns.total_return().unwrap()).abs() < 1e-12);
    assert_eq!(returns.returns(), 5);
    assert!((returns.equity_change().unwrap() + 12_500.0).abs() < 1e-9);

    // And after everything was lost: what was lost stays, and new money begins anew.
    ledger.mark_equity(noon(6), usd(-500.0)).unwrap();
    assert!(matches!(
        ledger.transfer(noon(6), usd(-1.0)),
        Err(Error::NonPositiveEquity { .. })
    ));
    ledger.transfer(noon(6), usd(10_500.0)).unwrap();
    assert_eq!((ledger.equity(), ledger.drawdown_ratio()), (10_000.0, 0.0));
    assert!(ledger.max_drawdown_ratio() < -1.0);
    ledger.mark_equity(noon(7), usd(11_000.0)).unwrap();
    ledger.mark_equity(noon(8), usd(9_900.0)).unwrap();
    assert!((ledger.drawdown_ratio() + 0.1).abs() < 1e-12);
    assert_eq!(ledger.growth_ratio(), Err(Undefined::NonPositiveEquity));
    ledger.advance_to(noon(9));
    let since = ledger.over(Window::since(date(2024, 6, 10)));
    assert!((since.total_return().unwrap() + 0.01).abs() < 1e-12);
    assert!(
        ledger.sharpe_ratio().is_ok(),
        "every period began with something"
    );
}

#[test]
fn what_is_left_of_floats_is_neither_won_nor_lost() {
    let mut ledger = ledger();
    for k in 0..10_i32 {
        let residue = if k % 2 == 0 { 3e-10 } else { -3e-10 };
        let at = at("2024-06-03T12:00:00Z") + HOUR * k;
        ledger
            .trade_closed(&ClosedTrade::new(at, usd(residue)))
            .unwrap();
    }
    assert_eq!(ledger.trades_of(TradeResult::Win), 0);
    assert_eq!(ledger.trades_of(TradeResult::Loss), 0);
    assert_eq!(ledger.win_ratio(), Ok(0.0));
    // A satoshi is a profit, and half a cent is what the desk says it is.
    let satoshi = ClosedTrade::new(at("2024-06-04T12:00:00Z"), usd(1e-8));
    ledger.trade_closed(&satoshi).unwrap();
    assert_eq!(ledger.trades_of(TradeResult::Win), 1);
    let cents = conventions(Calendar::every_day(TimeZone::UTC))
        .with_scratch(0.005)
        .unwrap();
    let mut dollars = Ledger::new(cents, usd(1.0)).unwrap();
    dollars
        .trade_closed(&ClosedTrade::new(at("2024-06-04T12:00:00Z"), usd(-0.004)))
        .unwrap();
    assert_eq!(dollars.trades_of(TradeResult::Loss), 0);
    for none in [f64::NAN, -1.0, f64::INFINITY] {
        assert!(
            conventions(Calendar::every_day(TimeZone::UTC))
                .with_scratch(none)
                .is_err()
        );
    }
}

#[test]
fn fridays_profit_is_not_shown_on_monday() {
    let friday = at("2024-06-07T15:00:00Z");
    let mut account = Account::new(
        "main",
        conventions(Calendar::every_day(TimeZone::UTC)),
        usd(1_000.0),
    )
    .unwrap();
    account
        .trade_closed(&ClosedTrade::new(friday, usd(25.0)))
        .unwrap();
    account.mark_equity(friday, usd(1_025.0)).unwrap();
    let saved = account.save();
    let shown = |hours: i32, name: &str, period: &str| {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        let now = (friday + HOUR * hours).as_second().unsigned_abs();
        clock.advance_to(std::time::Duration::from_secs(now));
        let restored = test.run(|| {
            Account::restore(
                "main",
                conventions(Calendar::every_day(TimeZone::UTC)),
                saved.clone(),
            )
        });
        let restored = restored.unwrap().with_clock(&clock);
        assert_eq!(restored.save(), saved, "it is only shown so");
        let labels = [("account", "main"), ("currency", "USD"), ("period", period)];
        test.gauge(name, &labels).unwrap()
    };
    for name in ["portfolio_pnl", "portfolio_value_change"] {
        assert_eq!(shown(1, name, "day"), 25.0);
        assert_eq!(shown(72, name, "day"), 0.0);
        assert_eq!(shown(72, name, "week"), 0.0);
        assert_eq!(shown(72, name, "month"), 25.0);
    }
}

#[test]
fn another_rate_is_another_ratio_of_the_same_returns() {
    let every_day = || conventions(Calendar::every_day(TimeZone::UTC));
    let with = |rate: f64| every_day().with_risk_free(RiskFree::per_year(rate).unwrap());
    let series = |rates: &[(Date, f64)]| {
        every_day().with_risk_free(RiskFree::series(rates.iter().copied()).unwrap())
    };
    let walk = |conventions: Conventions| {
        let mut ledger = Ledger::new(conventions, usd(1_000.0)).unwrap();
        for (day, equity) in [1_010.0, 1_004.0, 1_020.0, 1_001.0, 1_030.0, 1_015.0]
            .into_iter()
            .enumerate()
        {
            let noon = at("2024-06-03T12:00:00Z") + HOUR * 24 * i32::try_from(day).unwrap();
            ledger.mark_equity(noon, usd(equity)).unwrap();
        }
        ledger
    };
    let stated = walk(with(0.05));
    let changed = Ledger::restore(with(0.05), walk(with(0.0)).save()).unwrap();
    assert_same(&changed, &stated, "restored under another rate");
    let (first, second) = (walk(with(0.01)), walk(series(&[(date(2024, 1, 1), 0.01)])));
    assert_eq!(first.sharpe_ratio(), second.sharpe_ratio());
    let both = walk(series(&[(date(2024, 1, 1), 0.0), (date(2024, 6, 5), 0.2)]));
    let returns: Vec<f64> = both
        .over(Window::ALL)
        .each_return()
        .filter_map(|(_, one)| one)
        .collect();
    let daily = 1.2_f64.powf(1.0 / 365.0) - 1.0;
    let excess: Vec<f64> = returns
        .iter()
        .enumerate()
        .map(|(day, one)| one - if day < 2 { 0.0 } else { daily })
        .collect();
    let n = excess.len() as f64;
    let mean = excess.iter().sum::<f64>() / n;
    let deviation = (excess.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    assert_close(
        both.sharpe_ratio().unwrap(),
        mean / deviation * 365.0_f64.sqrt(),
        "series",
    );
}

#[test]
fn returns_on_notional_and_of_hours() {
    let per_trade = Conventions::new(
        Basis::PerNotional,
        Valuation::ClosedTrades,
        PeriodsPerYear::new(100.0).unwrap(),
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap();
    let mut ledger = Ledger::new(per_trade, usd(1_000.0)).unwrap();
    let noon = at("2024-06-03T12:00:00Z");
    let none = ledger.trade_closed(&ClosedTrade::new(noon, usd(5.0)));
    assert!(matches!(none, Err(Error::NoNotional)));
    for (pnl, notional) in [(5.0, 100.0), (-2.0, 200.0), (9.0, 300.0)] {
        ledger
            .trade_closed(&ClosedTrade::new(noon, usd(pnl)).with_notional(usd(notional)))
            .unwrap();
    }
    let returns: Vec<_> = ledger
        .over(Window::ALL)
        .each_return()
        .filter_map(|(_, one)| one)
        .collect();
    assert_eq!(returns, [0.05, -0.01, 0.03]);
    assert_eq!(ledger.growth_ratio(), Err(Undefined::NotCompounding));
    assert_close(
        ledger.volatility_ratio().unwrap(),
        0.030_550_504_633_038_93 * 10.0,
        "volatility",
    );

    // Over the hour that New York repeats and the one it leaves out: hours are hours.
    let hourly = Conventions::new(
        Basis::HourlyReturns,
        Valuation::Marks,
        PeriodsPerYear::EVERY_HOUR,
        Calendar::every_day(TimeZone::get("America/New_York").unwrap()),
    )
    .unwrap();
    let mut ledger = Ledger::new(hourly, usd(1_000.0)).unwrap();
    let start = at("2024-11-03T03:30:00Z");
    for hour in 0..6_i32 {
        let equity = 1_000.0 * 1.01_f64.powi(hour + 1);
        ledger
            .mark_equity(start + HOUR * hour, usd(equity))
            .unwrap();
    }
    ledger.advance_to(start + HOUR * 9);
    let hours = ledger.over(Window::ALL);
    assert_eq!(hours.returns(), 9);
    let by_day = hours.by_day(PeriodsPerYear::EVERY_DAY);
    let days: Vec<_> = by_day
        .each_return()
        .map(|(day, one)| (day, (one.unwrap() * 1e9).round()))
        .collect();
    // One hour of Saturday in New York, and five of Sunday.
    assert_eq!(
        days,
        [
            (date(2024, 11, 2), 1e7),
            (date(2024, 11, 3), ((1.01_f64.powi(5) - 1.0) * 1e9).round())
        ]
    );
}

/// Months and windows, from a walk over two years, against sums over all of its returns.
#[test]
fn windows_are_what_their_returns_make() {
    let mut random = Random::new(99);
    let mut ledger = Ledger::new(
        conventions(Calendar::every_day(TimeZone::UTC)),
        usd(1_000.0),
    )
    .unwrap();
    let (mut equity, mut returns) = (1_000.0, Vec::new());
    let start = at("2023-01-01T12:00:00Z");
    for day in 0..700_i32 {
        let change = (random.below(2_001) as f64 - 990.0) / 50_000.0;
        equity = usd(equity * (1.0 + change)).amount();
        let noon = start + HOUR * 24 * day;
        ledger.mark_equity(noon, usd(equity)).unwrap();
        ledger
            .trade_closed(&ClosedTrade::new(noon, usd(change.round())))
            .unwrap();
        returns.push((ledger.over(Window::MONTH).each_return().count(), equity));
    }
    ledger.advance_to(start + HOUR * 24 * 700);
    let single: Vec<_> = std::iter::once(1_000.0)
        .chain(returns.iter().map(|(_, equity)| *equity))
        .collect();
    let single: Vec<_> = single
        .windows(2)
        .map(|pair| pair[1] / pair[0] - 1.0)
        .collect();
    let sharpe = |returns: &[f64], periods: f64| {
        let n = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / n;
        let variance = returns.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0);
        mean / variance.sqrt() * periods.sqrt()
    };
    let last = ledger.over(Window::last_returns(63));
    assert_eq!((last.returns(), last.trades()), (63, 63));
    assert_close(
        last.sharpe_ratio().unwrap(),
        sharpe(&single[637..], 365.0),
        "63",
    );
    let year = ledger.over(Window::YEAR);
    assert_eq!(year.returns(), 335);
    assert_close(
        year.sharpe_ratio().unwrap(),
        sharpe(&single[365..], 365.0),
        "year",
    );
    assert_close(
        year.equity_change().unwrap(),
        equity - returns[364].1,
        "money",
    );
    let mut months: BTreeMap<Date, f64> = BTreeMap::new();
    for (day, one) in single.iter().enumerate() {
        let date = TimeZone::UTC
            .to_datetime(start)
            .date()
            .saturating_add(SignedDuration::from_hours(24 * i64::try_from(day).unwrap()));
        *months.entry(date.first_of_month()).or_insert(1.0) *= 1.0 + one;
    }
    let months: Vec<_> = months.values().map(|factor| factor - 1.0).collect();
    let by_month = ledger.over(Window::ALL).by_month();
    assert_eq!(by_month.returns(), 23);
    assert_close(
        by_month.sharpe_ratio().unwrap(),
        sharpe(&months, 12.0),
        "months",
    );
    let total = ledger.over(Window::ALL);
    assert_close(
        by_month.max_drawdown_ratio().unwrap(),
        total.max_drawdown_ratio().unwrap(),
        "drawdown of months",
    );
    assert_close(
        total.max_drawdown_ratio().unwrap(),
        ledger.max_drawdown_ratio(),
        "drawdown",
    );
    assert_close(
        total.sharpe_ratio().unwrap(),
        ledger.sharpe_ratio().unwrap(),
        "all",
    );
    assert_close(
        total.calmar_ratio().unwrap(),
        ledger.calmar_ratio().unwrap(),
        "Calmar",
    );
}

/// 400 accounts in four zones, two of them with daylight saving, over four months: marks, trades and flows late, twice, corrected and
/// voided, with restarts, against a fund that keeps every event and counts its units anew from the start. `OBS_ORACLE_ACCOUNTS` and
/// `OBS_ORACLE_SEED` take more and others.
#[test]
fn four_hundred_accounts_against_a_fund_that_keeps_everything() {
    for seed in first_seed()..first_seed() + accounts() {
        let zones = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo"];
        let zone = TimeZone::get(zones[usize::try_from(seed % 4).unwrap()]).unwrap();
        let calendar = if seed % 3 == 0 {
            Calendar::every_day(zone.clone())
        } else {
            Calendar::weekdays(zone.clone())
        };
        simulate(seed, &conventions(calendar), &zone);
    }
}

/// More of them, and others, than there is time for in every run.
fn accounts() -> u64 {
    number("OBS_ORACLE_ACCOUNTS").unwrap_or(400)
}

fn first_seed() -> u64 {
    number("OBS_ORACLE_SEED").unwrap_or(0)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap())
}

fn simulate(seed: u64, conventions: &Conventions, zone: &TimeZone) {
    let mut random = Random::new(seed);
    let mut ledger = Ledger::new(conventions.clone(), usd(100_000.0)).unwrap();
    let mut fund = Fund::default();
    let mut equity = 100_000.0;
    // From before the clocks change in spring until after.
    let mut now = at("2024-02-20T08:00:00Z");
    // Events that are under way, by when they arrive.
    let mut late: Vec<(Timestamp, Event)> = Vec::new();
    for number in 0..300_u64 {
        now += SignedDuration::from_mins(i64::try_from(20 + random.below(1_000)).unwrap());
        let event = match random.below(10) {
            0..=4 => {
                let change = (random.below(2_001) as f64 - 1_000.0) / 25_000.0;
                equity = cents(equity * (1.0 + change));
                Event::Mark(now, equity)
            }
            5..=7 => {
                let pnl = (random.below(2_001) as f64 - 950.0) / 10.0;
                Event::Trade(now, number, pnl)
            }
            8 if equity > 1_000.0 => {
                let amount = cents(equity * (random.below(150) as f64 / 100.0 - 0.5));
                equity = cents(equity + amount);
                Event::Flow(now, number, amount)
            }
            _ => {
                ledger.advance_to(now);
                continue;
            }
        };
        // A fifth come up to two days late; the order in which they arrive is not theirs.
        if random.below(5) == 0 {
            let minutes = i64::try_from(random.below(2_880)).unwrap();
            late.push((now + SignedDuration::from_mins(minutes), event));
        } else {
            arrive(&mut ledger, &mut fund, event, &mut random);
        }
        let (due, waiting) = late.into_iter().partition(|(when, _)| *when <= now);
        late = waiting;
        for (_, event) in due as Vec<_> {
            arrive(&mut ledger, &mut fund, event, &mut random);
        }
        if random.below(20) == 0 {
            fund.amend(&mut ledger, now, &mut random);
        }
        if random.below(25) == 0 {
            let saved = serde_json::to_string(&ledger.save()).unwrap();
            let state = serde_json::from_str(&saved).unwrap();
            let restored = Ledger::restore(conventions.clone(), state).unwrap();
            assert_same(&restored, &ledger, &format!("account {seed} restarted"));
            ledger = restored;
        }
    }
    for (_, event) in late {
        arrive(&mut ledger, &mut fund, event, &mut random);
    }
    now += HOUR * 24;
    ledger.advance_to(now);
    fund.assert_agrees(&ledger, conventions.calendar(), zone, now, seed);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Mark(Timestamp, f64),
    Trade(Timestamp, u64, f64),
    Flow(Timestamp, u64, f64),
}

fn arrive(ledger: &mut Ledger, fund: &mut Fund, event: Event, random: &mut Random) {
    for again in 0..=(random.below(4) / 3) {
        let done = match event {
            Event::Mark(at, equity) => ledger.mark_equity(at, usd(equity)),
            Event::Trade(at, id, pnl) => {
                let id = format!("t-{id}");
                let done = ledger.trade_closed(&ClosedTrade::new(at, usd(pnl)).with_id(&id));
                assert_eq!(matches!(done, Err(Error::DuplicateTrade { .. })), again > 0);
                if again > 0 { Ok(()) } else { done }
            }
            Event::Flow(at, id, amount) => {
                ledger.take_transfer(&Transfer::new(at, usd(amount)).with_id(&format!("f-{id}")))
            }
        };
        if again == 0 && done.is_ok() {
            fund.events.push(event);
        }
        // A withdrawal may come before the deposit it was of.
        assert!(
            matches!(done, Ok(()) | Err(Error::NonPositiveEquity { .. })),
            "{done:?} of {event:?}"
        );
        if done.is_err() {
            break;
        }
    }
}

/// The oracle: every event, sorted and counted anew.
#[derive(Default)]
struct Fund {
    events: Vec<Event>,
}

impl Fund {
    /// Voids or corrects an event of the last two days, if the ledger agrees.
    fn amend(&mut self, ledger: &mut Ledger, now: Timestamp, random: &mut Random) {
        let since = now - HOUR * 48;
        let recent: Vec<_> = (0..self.events.len())
            .filter(|place| self.events[*place].at() > since)
            .collect();
        if recent.is_empty() {
            return;
        }
        let place = recent[usize::try_from(random.below(recent.len() as u64)).unwrap()];
        let is_void = random.below(2) == 0;
        let (done, corrected) = match self.events[place] {
            Event::Mark(at, _) if is_void => (ledger.void_mark(at), None),
            Event::Mark(at, equity) => {
                let right = cents(equity * 1.01);
                (
                    ledger.correct_mark(at, usd(right)),
                    Some(Event::Mark(at, right)),
                )
            }
            Event::Trade(_, id, _) if is_void => (ledger.void_trade(&*format!("t-{id}")), None),
            Event::Trade(at, id, pnl) => {
                let (text, right) = (format!("t-{id}"), -pnl);
                let trade = ClosedTrade::new(at, usd(right)).with_id(&text);
                (
                    ledger.correct_trade(&trade),
                    Some(Event::Trade(at, id, right)),
                )
            }
            Event::Flow(_, id, _) if is_void => (ledger.void_transfer(&format!("f-{id}")), None),
            Event::Flow(at, id, amount) => {
                let right = cents(amount / 2.0);
                (
                    ledger.correct_transfer(&format!("f-{id}"), usd(right)),
                    Some(Event::Flow(at, id, right)),
                )
            }
        };
        match (done, corrected) {
            (Ok(()), Some(event)) => self.events[place] = event,
            (Ok(()), None) => {
                self.events.remove(place);
            }
            (Err(error), _) => {
                assert!(matches!(error, Error::NonPositiveEquity { .. }), "{error}");
            }
        }
    }

    fn assert_agrees(
        &self,
        ledger: &Ledger,
        calendar: &Calendar,
        zone: &TimeZone,
        now: Timestamp,
        seed: u64,
    ) {
        let case = format!("account {seed}");
        let mut events = self.events.clone();
        events.sort_by_key(Event::at);
        let (mut units, mut equity, mut price) = (1.0, 100_000.0, 100_000.0);
        let (mut peak, mut worst): (f64, f64) = (100_000.0, 0.0);
        let mut closes: BTreeMap<Date, f64> = BTreeMap::new();
        let mut trades: BTreeMap<Date, Vec<f64>> = BTreeMap::new();
        for event in &events {
            let day = zone.to_datetime(event.at()).date();
            closes.insert(day, price);
            match *event {
                Event::Mark(_, marked) => {
                    (equity, price) = (marked, marked / units);
                    peak = f64::max(peak, price);
                    worst = f64::min(worst, price / peak - 1.0);
                    closes.insert(day, price);
                }
                Event::Flow(_, _, amount) => {
                    units += amount / price;
                    equity += amount;
                }
                Event::Trade(_, _, pnl) => trades.entry(day).or_default().push(pnl),
            }
        }
        // One price for every day that counts, from the first event to yesterday.
        let first = *closes.keys().next().unwrap();
        let today = zone.to_datetime(now).date();
        let (mut last, mut returns, mut known) = (100_000.0, Vec::new(), 100_000.0);
        let mut day = first;
        while day < today {
            known = closes.get(&day).copied().unwrap_or(known);
            if calendar.is_trading_day(day) {
                returns.push((day, known / last - 1.0));
                last = known;
            }
            day = day.tomorrow().unwrap();
        }
        assert_close(ledger.equity(), equity, &case);
        assert_close(1.0 + ledger.drawdown_ratio(), price / peak, &case);
        assert_close(1.0 + ledger.max_drawdown_ratio(), 1.0 + worst, &case);
        assert_eq!(ledger.returns(), returns.len() as u64, "{case}");
        let all = ledger.over(Window::ALL);
        for ((day, ours), (their_day, theirs)) in all.each_return().zip(&returns) {
            assert_eq!(day, *their_day, "{case}");
            assert_close(1.0 + ours.unwrap(), 1.0 + theirs, &case);
        }
        let only: Vec<_> = returns.iter().map(|(_, one)| *one).collect();
        let n = only.len() as f64;
        let mean = only.iter().sum::<f64>() / n;
        let variance = only.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0);
        assert_close(
            ledger.sharpe_ratio().unwrap(),
            mean / variance.sqrt() * 365.0_f64.sqrt(),
            &case,
        );
        assert_close(
            ledger.volatility_ratio().unwrap(),
            (variance * 365.0).sqrt(),
            &case,
        );
        let grown: f64 = only.iter().map(|one| 1.0 + one).product();
        assert_close(
            1.0 + ledger.growth_ratio().unwrap(),
            grown.powf(365.0 / n),
            &case,
        );
        let month = today.first_of_month();
        let of_month: Vec<_> = trades.range(month..).flat_map(|(_, pnl)| pnl).collect();
        let in_month = ledger.over(Window::MONTH);
        assert_eq!(in_month.trades(), of_month.len() as u64, "{case}");
        assert_eq!(
            ledger.trades(Period::Month),
            of_month.len() as u64,
            "{case}"
        );
        let all_trades: Vec<_> = trades.values().flatten().collect();
        let wins = all_trades.iter().filter(|pnl| ***pnl > 0.0).count();
        assert_eq!(
            ledger.trades(Period::Total),
            all_trades.len() as u64,
            "{case}"
        );
        assert_eq!(ledger.trades_of(TradeResult::Win), wins as u64, "{case}");
        let realized: f64 = all_trades.into_iter().sum();
        assert!(
            (ledger.realized_pnl(Period::Total) - realized).abs() < 1e-6,
            "{case}"
        );
    }
}

impl Event {
    const fn at(&self) -> Timestamp {
        match self {
            Self::Mark(at, _) | Self::Trade(at, _, _) | Self::Flow(at, _, _) => *at,
        }
    }
}

/// A window that is too short refuses marks and flows, and counts trades all the same.
#[test]
fn what_is_older_than_the_window() {
    let mut ledger = ledger().with_corrections(CorrectionWindow::days(30).up_to(32));
    let start = at("2024-06-03T08:00:00Z");
    for minute in 0..200_i32 {
        let equity = 100_000.0 + f64::from(minute);
        ledger
            .mark_equity(
                start + SignedDuration::from_mins(i64::from(minute)),
                usd(equity),
            )
            .unwrap();
    }
    let since = ledger.correctable_since().unwrap();
    assert!(since > start + SignedDuration::from_mins(160), "{since}");
    let before = ledger.save();
    let kept = serde_json::to_value(&before).unwrap()["entries"]
        .as_array()
        .unwrap()
        .len();
    assert!((30..=32).contains(&kept), "{kept}");
    let old = start + SignedDuration::from_mins(1);
    assert!(matches!(
        ledger.mark_equity(old, usd(1.0)),
        Err(Error::LateMark { .. })
    ));
    assert!(matches!(
        ledger.transfer(old, usd(1.0)),
        Err(Error::LateFlow { .. })
    ));
    assert!(matches!(
        ledger.void_mark(old),
        Err(Error::NotCorrectable { .. })
    ));
    assert_eq!(ledger.save(), before);
    ledger
        .trade_closed(&ClosedTrade::new(old, usd(5.0)).with_id("late"))
        .unwrap();
    assert_eq!(
        (
            ledger.trades(Period::Day),
            ledger.realized_pnl(Period::Total)
        ),
        (1, 5.0)
    );
}

fn assert_same(ours: &Ledger, right: &Ledger, case: &str) {
    for (ours, right) in [
        (ours.sharpe_ratio(), right.sharpe_ratio()),
        (ours.sortino_ratio(), right.sortino_ratio()),
        (ours.growth_ratio(), right.growth_ratio()),
        (ours.win_ratio(), right.win_ratio()),
        (
            ours.longest_recovery_seconds(),
            right.longest_recovery_seconds(),
        ),
        (Ok(ours.equity()), Ok(right.equity())),
        (
            Ok(ours.max_drawdown_ratio()),
            Ok(right.max_drawdown_ratio()),
        ),
        (
            Ok(ours.realized_pnl(Period::Day)),
            Ok(right.realized_pnl(Period::Day)),
        ),
        (
            Ok(ours.equity_change(Period::Month)),
            Ok(right.equity_change(Period::Month)),
        ),
    ] {
        assert_eq!(ours, right, "{case}");
    }
}

fn assert_close(ours: f64, theirs: f64, case: &str) {
    let error = (ours - theirs).abs();
    assert!(
        error <= 1e-9 * theirs.abs().max(1e-3),
        "{case}: {ours} is not {theirs}"
    );
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn conventions(calendar: Calendar) -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&calendar),
        calendar,
    )
    .unwrap()
    .annualized_by(PeriodsPerYear::EVERY_DAY)
}

fn ledger() -> Ledger {
    let every_day = Calendar::every_day(TimeZone::UTC);
    Ledger::new(conventions(every_day), usd(100_000.0)).unwrap()
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}
