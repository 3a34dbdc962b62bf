//! What users of other libraries reported about statistics, days and settlement, each in its situation and with its right value.

#![expect(clippy::float_cmp, reason = "what is compared comes out exactly")]

use std::collections::BTreeMap;

use jiff::civil::{Date, date, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_trading::{
    Basis, Calendar, CashAccount, CashRule, ClosedTrade, Conventions, Currency, Error, Ledger,
    Money, Period, PeriodsPerYear, Risk, SettlementDays, TradeResult, Valuation, Window,
};

/// ranaroussi/quantstats#116: a Sharpe ratio of monthly returns that is annualised as if they were daily is √21 times too high. The answer
/// was to pass the number of periods; here months bring their own.
#[test]
fn quantstats_116_monthly_returns_are_twelve_a_year() {
    let mut ledger = marked_daily(PeriodsPerYear::EVERY_DAY);
    let mut equity = 100_000.0;
    let first: Timestamp = "2024-01-01T12:00:00Z".parse().unwrap();
    let mut closes: BTreeMap<Date, f64> = BTreeMap::new();
    for number in 0..731_i64 {
        let at = first + SignedDuration::from_hours(24 * number);
        equity += f64::from(i32::try_from((number * 7_919) % 401).unwrap() - 190) * 5.0;
        ledger.mark_equity(at, usd(equity)).unwrap();
        let day = TimeZone::UTC.to_datetime(at).date();
        closes.insert(day.first_of_month(), equity);
    }
    ledger.advance_to("2026-01-01T00:00:00Z".parse().unwrap());
    let closes: Vec<_> = [100_000.0]
        .into_iter()
        .chain(closes.into_values())
        .collect();
    let months: Vec<_> = closes
        .windows(2)
        .map(|pair| pair[1] / pair[0] - 1.0)
        .collect();
    assert_eq!(months.len(), 24);
    let (mean, deviation) = mean_and_deviation(&months);

    let monthly = ledger.over(Window::ALL).by_month();
    assert_eq!(monthly.returns(), 24);
    near(
        monthly.sharpe_ratio().unwrap(),
        mean / deviation * 12.0_f64.sqrt(),
    );
    near(
        monthly.volatility_ratio().unwrap(),
        deviation * 12.0_f64.sqrt(),
    );
    let as_if_daily = mean / deviation * 252.0_f64.sqrt();
    near(
        as_if_daily / monthly.sharpe_ratio().unwrap(),
        21.0_f64.sqrt(),
    );
}

/// ranaroussi/quantstats#504, a change of the constant from 252 to 365: one constant is wrong for one of the two markets. Here a calendar
/// that contradicts the number is refused, and the number follows from it.
#[test]
fn quantstats_504_a_market_that_never_closes_has_365_periods() {
    let stated = |periods, calendar| {
        Conventions::new(Basis::PeriodReturns, Valuation::Marks, periods, calendar)
    };
    let always = Calendar::always_open();
    let refused = stated(PeriodsPerYear::TRADING_DAYS, always.clone()).unwrap_err();
    assert!(matches!(refused, Error::Contradiction { .. }), "{refused}");
    let refused = stated(PeriodsPerYear::EVERY_DAY, Calendar::nyse()).unwrap_err();
    assert!(matches!(refused, Error::Contradiction { .. }), "{refused}");
    stated(PeriodsPerYear::TRADING_DAYS, Calendar::nyse()).unwrap();
    let periods = PeriodsPerYear::of(&always);
    assert!(
        (365.0..365.25).contains(&periods.get()),
        "{}",
        periods.get()
    );
    stated(periods, always).unwrap();

    let mut ledger = marked_daily(PeriodsPerYear::EVERY_DAY);
    let first: Timestamp = "2024-06-07T12:00:00Z".parse().unwrap(); // a Friday
    let equity = [101_000.0, 100_500.0, 102_000.0, 101_900.0, 103_000.0];
    for (day, equity) in (0_i64..).zip(equity) {
        let at = first + SignedDuration::from_hours(24 * day);
        ledger.mark_equity(at, usd(equity)).unwrap();
    }
    ledger.advance_to("2024-06-12T00:00:00Z".parse().unwrap());
    let closes: Vec<_> = [100_000.0].into_iter().chain(equity).collect();
    let returns: Vec<_> = closes
        .windows(2)
        .map(|pair| pair[1] / pair[0] - 1.0)
        .collect();
    let (mean, deviation) = mean_and_deviation(&returns);
    // Saturday and Sunday are days as any other.
    near(
        ledger.sharpe_ratio().unwrap(),
        mean / deviation * 365.0_f64.sqrt(),
    );
}

/// ta4j/ta4j#1233: a trade counts as broken even where its profit is exactly zero, which after costs it never is; asked for was an offset.
#[test]
fn ta4j_1233_broken_even_is_within_an_offset() {
    let conventions = conventions(PeriodsPerYear::EVERY_DAY)
        .with_scratch(1.0)
        .unwrap();
    let mut ledger = Ledger::new(conventions, usd(10_000.0)).unwrap();
    let noon: Timestamp = "2024-12-08T12:00:00Z".parse().unwrap();
    // Bought at 100 and sold at 100, after costs; and floats that do not cancel.
    for pnl in [-0.35, 0.1 + 0.2 - 0.3, 0.999, -0.999, 250.0, -100.0] {
        ledger
            .trade_closed(&ClosedTrade::new(noon, usd(pnl)))
            .unwrap();
    }
    let counts = [TradeResult::Win, TradeResult::Loss].map(|result| ledger.trades_of(result));
    assert_eq!((ledger.trades(Period::Total), counts), (6, [1, 1]));
    assert_eq!(ledger.win_ratio(), Ok(1.0 / 6.0));
    assert_eq!(ledger.average_win(), Ok(250.0));
    assert_eq!(ledger.average_loss(), Ok(-100.0));
    // Their money is in the sums all the same.
    near(ledger.realized_pnl(Period::Total), 149.65);
}

/// vnpy/vnpy#3188: a trade of the night session, at 21:30 on 7 May 2019, was booked to that calendar day. It belongs to the trading day of
/// 8 May.
#[test]
fn vnpy_3188_the_night_session_belongs_to_the_next_trading_day() {
    let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
    let hours = (time(21, 0, 0, 0), time(15, 0, 0, 0));
    let futures = Calendar::closed("Chinese futures", shanghai.clone()).with_hours(
        Calendar::WEEKDAYS,
        hours.0,
        hours.1,
    );
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&futures),
        futures,
    );
    let mut ledger = Ledger::new(conventions.unwrap(), usd(10_000.0)).unwrap();
    let at = |day: Date, hour, minute| {
        let local = day.at(hour, minute, 0, 0);
        shanghai.to_timestamp(local).unwrap()
    };
    let trades_on = |ledger: &Ledger, day| ledger.over(Window::between(day, day)).trades();
    let [tuesday, wednesday] = [7, 8].map(|day| date(2019, 5, day));
    for (at, pnl) in [
        (at(tuesday, 14, 0), 10.0),
        (at(tuesday, 21, 30), 20.0),
        (at(wednesday, 10, 0), 30.0),
    ] {
        ledger
            .trade_closed(&ClosedTrade::new(at, usd(pnl)))
            .unwrap();
    }
    let counts = [tuesday, wednesday].map(|day| trades_on(&ledger, day));
    assert_eq!(counts, [1, 2]);
    assert_eq!(ledger.realized_pnl(Period::Day), 50.0);
}

/// QuantConnect/Lean#8657: cash of a sale was taken to settle after two days when the market had gone over to one (28 May 2024), and the
/// equity jumped. What is sold on Monday is there on Tuesday.
#[test]
fn lean_8657_trades_settle_after_one_day() {
    let days = SettlementDays::us_equities;
    let mut account = CashAccount::new(&Risk::new(), Currency::USD, CashRule::default(), days());
    let [monday, tuesday, wednesday] = [24, 25, 26].map(|day| date(2025, 3, day));
    account.hold("SPY", 10.0).unwrap();
    account.sell("SPY", 10.0, usd(5_700.0), monday).unwrap();
    let cash = |account: &CashAccount, day| (account.settled(day), account.unsettled(day));
    assert_eq!(cash(&account, monday), (usd(0.0), usd(5_700.0)));
    assert_eq!(cash(&account, tuesday), (usd(5_700.0), usd(0.0)));
    account.withdraw(usd(5_700.0), tuesday).unwrap();
    // Before that day the rule was another, and can be stated.
    let rule = CashRule {
        settlement_days: 2,
        ..CashRule::default()
    };
    let mut account = CashAccount::new(&Risk::new(), Currency::USD, rule, days());
    account.hold("SPY", 10.0).unwrap();
    account.sell("SPY", 10.0, usd(5_700.0), monday).unwrap();
    assert_eq!(cash(&account, tuesday), (usd(0.0), usd(5_700.0)));
    assert_eq!(cash(&account, wednesday), (usd(5_700.0), usd(0.0)));
}

fn conventions(periods: PeriodsPerYear) -> Conventions {
    let calendar = Calendar::every_day(TimeZone::UTC);
    Conventions::new(Basis::PeriodReturns, Valuation::Marks, periods, calendar).unwrap()
}

fn marked_daily(periods: PeriodsPerYear) -> Ledger {
    Ledger::new(conventions(periods), usd(100_000.0)).unwrap()
}

fn mean_and_deviation(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn near(ours: f64, theirs: f64) {
    assert!((ours / theirs - 1.0).abs() < 1e-9, "{ours} is not {theirs}");
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}
