//! What accounts and strategies export, how events are taken, and that a restart changes nothing.

#![expect(clippy::float_cmp, reason = "what is compared is exact")]

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_core::{Closed, TestRecorder};
use obs_trading::performance::{REMEMBERED_TRADES, Refusal};
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Error, Ledger, LedgerState,
    Money, Period, PeriodsPerYear, RiskFree, StateFile, StrategyLedger, TradeResult, Undefined,
    Valuation,
};
use proptest::prelude::*;

/// The gauges of the account `main`.
struct Shown(TestRecorder);

impl Shown {
    fn account() -> (Self, Account) {
        let test = TestRecorder::new();
        let account = test.run(|| Account::new("main", equities(), usd(1_000.0)));
        (Self(test), account.unwrap())
    }

    fn gauge(&self, name: &str) -> f64 {
        self.money(name)
    }

    fn money(&self, name: &str) -> f64 {
        let labels = [("account", "main"), ("currency", "USD")];
        self.0.gauge(name, &labels).unwrap()
    }

    fn money_of(&self, name: &str, period: &str) -> f64 {
        let labels = [("account", "main"), ("currency", "USD"), ("period", period)];
        self.0.gauge(name, &labels).unwrap()
    }

    fn count_of(&self, name: &str, key: &str, value: &str) -> f64 {
        self.0
            .gauge(
                name,
                &[("account", "main"), ("currency", "USD"), (key, value)],
            )
            .unwrap()
    }
}

/// What is undefined is NaN, what is nothing is 0.
#[test]
fn an_account_that_saw_nothing() {
    let (shown, _account) = Shown::account();
    for name in [
        "win_ratio",
        "profit_factor",
        "sharpe_ratio",
        "sortino_ratio",
        "recovery_seconds",
    ] {
        assert!(shown.gauge(&format!("portfolio_{name}")).is_nan(), "{name}");
    }
    for name in [
        "drawdown_ratio",
        "max_drawdown_ratio",
        "drawdown_age_seconds",
    ] {
        assert_eq!(shown.gauge(&format!("portfolio_{name}")), 0.0, "{name}");
    }
    assert!(shown.money("portfolio_best_trade_pnl").is_nan());
    assert!(shown.money("portfolio_worst_trade_pnl").is_nan());
    assert_eq!(shown.money("portfolio_value"), 1_000.0);
    for period in ["day", "week", "month", "total"] {
        assert_eq!(shown.money_of("portfolio_pnl", period), 0.0);
        assert_eq!(shown.money_of("portfolio_value_change", period), 0.0);
        assert_eq!(shown.count_of("portfolio_trades", "period", period), 0.0);
    }
    let conventions = [
        ("account", "main"),
        ("currency", "USD"),
        ("basis", "period_returns"),
        ("periods_per_year", "252"),
        ("risk_free_rate", "0.04 per year"),
        ("calendar", "weekdays America/New_York"),
    ];
    assert_eq!(
        shown.0.gauge("portfolio_statistics_info", &conventions),
        Some(1.0)
    );
}

#[test]
fn an_account_exports_all_of_the_contract() {
    let (shown, mut account) = Shown::account();
    // Tuesday to Friday of one week, in New York.
    account
        .mark_equity(at("2024-06-04T20:00:00Z"), usd(1_010.0))
        .unwrap();
    account
        .trade_closed(&trade("2024-06-05T15:00:00Z", 30.0))
        .unwrap();
    account
        .trade_closed(&trade("2024-06-05T16:00:00Z", -10.0))
        .unwrap();
    account
        .trade_closed(&trade("2024-06-05T17:00:00Z", 5.0))
        .unwrap();
    account
        .mark_equity(at("2024-06-05T20:00:00Z"), usd(999.9))
        .unwrap();
    account
        .trade_closed(&trade("2024-06-06T15:00:00Z", 40.0))
        .unwrap();
    account
        .mark_equity(at("2024-06-06T20:00:00Z"), usd(1_020.0))
        .unwrap();
    account
        .mark_equity(at("2024-06-07T20:00:00Z"), usd(969.0))
        .unwrap();

    assert_eq!(shown.gauge("portfolio_win_ratio"), 0.75);
    assert_eq!(shown.gauge("portfolio_profit_factor"), 7.5);
    assert_eq!(
        shown.gauge("portfolio_sharpe_ratio"),
        account.ledger().sharpe_ratio().unwrap()
    );
    assert_eq!(
        shown.gauge("portfolio_sortino_ratio"),
        account.ledger().sortino_ratio().unwrap()
    );
    assert!((shown.gauge("portfolio_drawdown_ratio") + 0.05).abs() < 1e-12);
    assert!((shown.gauge("portfolio_max_drawdown_ratio") + 0.05).abs() < 1e-12);
    assert_eq!(shown.gauge("portfolio_recovery_seconds"), 2.0 * 86_400.0);
    assert_eq!(shown.gauge("portfolio_drawdown_age_seconds"), 86_400.0);
    assert_eq!(
        shown.count_of("portfolio_streak_trades", "result", "win"),
        2.0
    );
    assert_eq!(
        shown.count_of("portfolio_streak_trades", "result", "loss"),
        0.0
    );
    assert_eq!(
        shown.count_of("portfolio_longest_streak_trades", "result", "loss"),
        1.0
    );
    assert_eq!(shown.money("portfolio_best_trade_pnl"), 40.0);
    assert_eq!(shown.money("portfolio_worst_trade_pnl"), -10.0);
    assert_eq!(shown.money("portfolio_value"), 969.0);
    for (period, trades, pnl, change) in [
        ("day", 0.0, 0.0, -51.0),
        ("week", 4.0, 65.0, -31.0),
        ("month", 4.0, 65.0, -31.0),
        ("total", 4.0, 65.0, -31.0),
    ] {
        assert_eq!(
            shown.count_of("portfolio_trades", "period", period),
            trades,
            "{period}"
        );
        assert_eq!(shown.money_of("portfolio_pnl", period), pnl, "{period}");
        assert_eq!(
            shown.money_of("portfolio_value_change", period),
            change,
            "{period}"
        );
    }
}

#[test]
fn a_strategy_exports_all_of_the_contract() {
    let test = TestRecorder::new();
    let conventions = Conventions::new(
        Basis::PerTrade,
        Valuation::ClosedTrades,
        PeriodsPerYear::new(100.0).unwrap(),
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap();
    let mut performance = test
        .run(|| StrategyLedger::new("main", "crossover", conventions, usd(1_000.0)))
        .unwrap();
    let labels = [
        ("account", "main"),
        ("strategy", "crossover"),
        ("currency", "USD"),
    ];
    let gauge = |name: &str| test.gauge(name, &labels).unwrap();
    let money = gauge;
    assert!(money("trading_average_win").is_nan() && money("trading_average_loss").is_nan());
    assert_eq!(money("trading_pnl_realized"), 0.0);

    for (hour, pnl) in [(1, 100.0), (2, -110.0), (5, 20.0), (6, 100.0), (9, -55.0)] {
        let at = at("2024-06-03T00:00:00Z") + SignedDuration::from_hours(hour);
        performance
            .trade_closed(&ClosedTrade::new(at, usd(pnl)))
            .unwrap();
    }
    assert_eq!(
        test.samples("trading_trade_pnl", &labels),
        Some(vec![100.0, -110.0, 20.0, 100.0, -55.0])
    );
    assert_eq!(money("trading_pnl_realized"), 55.0);
    assert!((money("trading_average_win") - 220.0 / 3.0).abs() < 1e-12);
    assert_eq!(money("trading_average_loss"), -82.5);
    assert_eq!(gauge("trading_win_ratio"), 0.6);
    assert!((gauge("trading_profit_factor") - 220.0 / 165.0).abs() < 1e-12);
    assert_eq!(
        gauge("trading_sharpe_ratio"),
        performance.ledger().sharpe_ratio().unwrap()
    );
    assert_eq!(
        gauge("trading_sortino_ratio"),
        performance.ledger().sortino_ratio().unwrap()
    );
    assert!((gauge("trading_max_drawdown_ratio") + 0.1).abs() < 1e-12);
    assert!((gauge("trading_drawdown_ratio") + 55.0 / 1_110.0).abs() < 1e-12);
    assert_eq!(gauge("trading_recovery_seconds"), 5.0 * 3_600.0);
    assert_eq!(gauge("trading_drawdown_age_seconds"), 3.0 * 3_600.0);
    assert!(matches!(
        performance.mark_open_pnl(at("2024-06-04T00:00:00Z"), usd(0.0)),
        Err(Error::NotMarked)
    ));
}

/// In two steps, the profit of the trade is realised while it is still part of the last open P/L.
#[test]
fn a_trade_and_the_mark_after_it_are_one_step() {
    let mut performance =
        StrategyLedger::new("main", "crossover", equities(), usd(1_000.0)).unwrap();
    let close = at("2024-06-03T20:00:00Z");
    performance.mark_open_pnl(close, usd(500.0)).unwrap();
    let trade = trade("2024-06-03T20:00:00Z", 500.0).with_id("t-1");
    let refused = performance.close_and_mark_open_pnl(&trade, usd(f64::NAN));
    assert!(matches!(refused, Err(Error::InvalidAmount { .. })));
    assert_eq!(performance.ledger().trades(Period::Total), 0);
    performance
        .close_and_mark_open_pnl(&trade, usd(0.0))
        .unwrap();
    assert_eq!(performance.ledger().equity(), 1_500.0);
    let again = performance.close_and_mark_open_pnl(&trade, usd(500.0));
    assert!(matches!(again, Err(Error::DuplicateTrade { .. })));
    assert_eq!(performance.ledger().equity(), 1_500.0);
}

/// Each of these wrote over the other's gauges while neither label was there.
#[test]
fn ledgers_of_one_account_or_one_strategy_keep_their_own_series() {
    let test = TestRecorder::new();
    let euros = |amount| Money::new(amount, Currency::EUR);
    let (mut dollar, mut euro) = test.run(|| {
        (
            Account::new("main", equities(), usd(1_000.0)).unwrap(),
            Account::new("main", equities(), euros(1_000.0)).unwrap(),
        )
    });
    let close = at("2024-06-04T20:00:00Z");
    dollar.mark_equity(close, usd(900.0)).unwrap();
    euro.mark_equity(close, euros(500.0)).unwrap();
    for (currency, drawdown) in [("USD", -0.1), ("EUR", -0.5)] {
        let labels = [("account", "main"), ("currency", currency)];
        let shown = test.gauge("portfolio_drawdown_ratio", &labels).unwrap();
        assert!((shown - drawdown).abs() < 1e-12, "{currency}: {shown}");
    }

    let ledgers = test.run(|| {
        ["main", "second"].map(|account| {
            StrategyLedger::new(account, "crossover", equities(), usd(1_000.0)).unwrap()
        })
    });
    for (mut ledger, pnl) in ledgers.into_iter().zip([10.0, -10.0]) {
        ledger
            .trade_closed(&ClosedTrade::new(close, usd(pnl)))
            .unwrap();
    }
    for (account, win_ratio) in [("main", 1.0), ("second", 0.0)] {
        let labels = [
            ("account", account),
            ("strategy", "crossover"),
            ("currency", "USD"),
        ];
        let shown = test.gauge("trading_win_ratio", &labels);
        assert_eq!(shown, Some(win_ratio), "{account}");
    }
}

#[test]
fn the_open_pnl_of_a_strategy_is_part_of_its_equity() {
    let mut ledger = Ledger::new(equities(), usd(1_000.0)).unwrap();
    ledger
        .mark_open_pnl(at("2024-06-03T19:00:00Z"), usd(50.0))
        .unwrap();
    assert_eq!(ledger.equity(), 1_050.0);
    // Closing realises what the mark held already: nothing is counted twice.
    ledger
        .trade_closed(&trade("2024-06-03T19:30:00Z", 50.0))
        .unwrap();
    assert_eq!(ledger.equity(), 1_050.0);
    ledger
        .mark_open_pnl(at("2024-06-03T20:00:00Z"), usd(0.0))
        .unwrap();
    assert_eq!(ledger.equity(), 1_050.0);
    assert_eq!(ledger.drawdown_ratio(), 0.0);
}

/// Days end at midnight in New York, weeks on Sunday, whatever UTC says and through daylight saving.
#[test]
fn periods_follow_the_stated_time_zone() {
    let mut ledger = Ledger::new(equities(), usd(1_000.0)).unwrap();
    let mut after = |moment: &str, pnl: f64| {
        ledger.trade_closed(&trade(moment, pnl)).unwrap();
        [Period::Day, Period::Week, Period::Month]
            .map(|period| (ledger.trades(period), ledger.realized_pnl(period)))
    };
    // Saturday, 9 March 2024, the night before the clocks go forward; it is the 10th in UTC.
    assert_eq!(
        after("2024-03-10T04:59:59Z", 1.0),
        [(1, 1.0), (1, 1.0), (1, 1.0)]
    );
    // Sunday, 23 hours long: until 04:00 UTC on Monday.
    assert_eq!(
        after("2024-03-10T05:00:00Z", 2.0),
        [(1, 2.0), (2, 3.0), (2, 3.0)]
    );
    assert_eq!(
        after("2024-03-11T03:59:59Z", 4.0),
        [(2, 6.0), (3, 7.0), (3, 7.0)]
    );
    // Monday: a new week.
    assert_eq!(
        after("2024-03-11T04:00:00Z", 8.0),
        [(1, 8.0), (1, 8.0), (4, 15.0)]
    );
    // The week of the new year lies in both months.
    assert_eq!(
        after("2024-12-31T12:00:00Z", 16.0),
        [(1, 16.0), (1, 16.0), (1, 16.0)]
    );
    assert_eq!(
        after("2025-01-01T12:00:00Z", 32.0),
        [(1, 32.0), (2, 48.0), (1, 32.0)]
    );
    // Late: yesterday is over, the week is not, December is.
    assert_eq!(
        after("2024-12-31T13:00:00Z", 64.0),
        [(1, 32.0), (3, 112.0), (1, 32.0)]
    );
    assert_eq!(ledger.trades(Period::Total), 7);
    assert_eq!(ledger.realized_pnl(Period::Total), 127.0);
    // An event of no money rolls over too.
    ledger.advance_to(at("2025-02-03T12:00:00Z"));
    assert_eq!(
        [Period::Day, Period::Week, Period::Month].map(|period| ledger.trades(period)),
        [0, 0, 0]
    );
}

/// A desk that reads the time of its trades on the wall, whose clock is set an hour ahead before midnight and right again.
#[test]
fn a_clock_that_jumps_over_midnight_and_back_closes_one_day_once() {
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::ClosedTrades,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap();
    let test = TestRecorder::new();
    let account = test.run(|| Account::new("main", conventions, usd(1_000.0)));
    let (shown, mut account) = (Shown(test), account.unwrap());
    for (moment, day, month, returns, age) in [
        ("2024-06-03T23:20:00Z", 1.0, 1.0, 0, 0.0),
        // An hour ahead: a new day, and the one before has its return.
        ("2024-06-04T00:30:00Z", 1.0, 2.0, 1, 4_200.0),
        // Right again: what is traded counts, but opens no day that is over.
        ("2024-06-03T23:40:00Z", 1.0, 3.0, 1, 4_200.0),
        ("2024-06-03T23:59:59Z", 1.0, 4.0, 1, 4_200.0),
        // Midnight has come, and is no news.
        ("2024-06-04T00:10:00Z", 2.0, 5.0, 1, 4_200.0),
        ("2024-06-04T00:40:00Z", 3.0, 6.0, 1, 4_800.0),
        ("2024-06-05T00:00:00Z", 1.0, 7.0, 2, 88_800.0),
    ] {
        account.trade_closed(&trade(moment, -1.0)).unwrap();
        assert_eq!(shown.money_of("portfolio_pnl", "day"), -day, "{moment}");
        assert_eq!(shown.money_of("portfolio_pnl", "total"), -month, "{moment}");
        let trades = |period| shown.count_of("portfolio_trades", "period", period);
        assert_eq!((trades("day"), trades("month")), (day, month), "{moment}");
        assert_eq!(account.ledger().returns(), returns, "{moment}");
        assert_eq!(
            shown.gauge("portfolio_drawdown_age_seconds"),
            age,
            "{moment}"
        );
    }
    // The next profit ends the drawdown, and its age with it.
    account
        .trade_closed(&trade("2024-06-05T00:01:00Z", 7.0))
        .unwrap();
    assert_eq!(shown.gauge("portfolio_drawdown_age_seconds"), 0.0);
}

#[test]
fn what_changes_on_a_day_that_does_not_count_belongs_to_the_next_that_does() {
    let sharpe_of = |marks: &[(&str, f64)], end: &str| {
        let mut ledger = Ledger::new(equities(), usd(100.0)).unwrap();
        for (moment, equity) in marks {
            ledger.mark_equity(at(moment), usd(*equity)).unwrap();
        }
        ledger.advance_to(at(end));
        (ledger.returns(), ledger.sharpe_ratio().unwrap().to_bits())
    };
    // Friday, Saturday, Monday.
    let (friday, saturday, monday) = (
        ("2024-06-07T20:00:00Z", 101.0),
        ("2024-06-08T20:00:00Z", 103.0),
        ("2024-06-10T20:00:00Z", 104.0),
    );
    let through_monday = sharpe_of(&[friday, saturday, monday], "2024-06-11T20:00:00Z");
    assert_eq!(
        through_monday,
        sharpe_of(&[friday, monday], "2024-06-11T20:00:00Z")
    );
    assert_eq!(through_monday.0, 2);
    // Saturday's change with an idle Monday and Tuesday is Monday's return, and Tuesday's is zero.
    let idle = sharpe_of(&[friday, saturday], "2024-06-12T20:00:00Z");
    let marked_monday = ("2024-06-10T20:00:00Z", 103.0);
    assert_eq!(
        idle,
        sharpe_of(&[friday, marked_monday], "2024-06-12T20:00:00Z")
    );
    assert_eq!(idle.0, 3);
}

#[test]
fn what_is_refused_changes_nothing_and_is_counted() {
    let test = TestRecorder::new();
    let mut account = test
        .run(|| Account::new("main", equities(), usd(1_000.0)))
        .unwrap();
    let first = trade("2024-06-04T15:00:00Z", 10.0).with_id("x-1");
    account.trade_closed(&first).unwrap();
    account
        .mark_equity(at("2024-06-04T20:00:00Z"), usd(1_010.0))
        .unwrap();
    let before = account.save();

    let close = at("2024-06-05T20:00:00Z");
    for amount in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        assert!(matches!(
            account.mark_equity(close, usd(amount)),
            Err(Error::InvalidAmount { .. })
        ));
        let trade = ClosedTrade::new(close, usd(amount));
        assert!(matches!(
            account.trade_closed(&trade),
            Err(Error::InvalidAmount { .. })
        ));
        assert!(matches!(
            account.transfer(close, usd(amount)),
            Err(Error::InvalidAmount { .. })
        ));
    }
    let euros = ClosedTrade::new(close, Money::new(10.0, Currency::EUR));
    let error = account.trade_closed(&euros).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10 EUR does not belong in a ledger of USD; convert it at a rate with `Money::convert`"
    );
    assert!(matches!(
        account.mark_equity(close, euros.pnl),
        Err(Error::OtherCurrency { .. })
    ));
    assert!(matches!(
        account.trade_closed(&first),
        Err(Error::DuplicateTrade { .. })
    ));
    for money in [-1_010.01, -5_000.0] {
        assert!(matches!(
            account.transfer(close, usd(money)),
            Err(Error::NonPositiveEquity { .. })
        ));
    }
    assert_eq!(account.save(), before);
    for (reason, count) in [
        (Refusal::InvalidAmount, 12),
        (Refusal::OtherCurrency, 2),
        (Refusal::DuplicateTrade, 1),
        (Refusal::LateMark, 0),
        (Refusal::NonPositiveEquity, 2),
        (Refusal::Other, 0),
    ] {
        let labels = [
            ("account", "main"),
            ("currency", "USD"),
            ("reason", reason.as_str()),
        ];
        assert_eq!(
            test.counter("portfolio_events_refused_total", &labels),
            Some(count),
            "{reason}"
        );
    }

    // Converted, the money belongs.
    let dollars = euros.pnl.convert(1.1, Currency::USD).unwrap();
    account
        .trade_closed(&ClosedTrade::new(close, dollars))
        .unwrap();
    assert_eq!(account.ledger().realized_pnl(Period::Total), 21.0);
    // A week of events later, the mark is older than what is kept.
    account
        .trade_closed(&trade("2024-06-12T15:00:00Z", 1.0))
        .unwrap();
    assert!(matches!(
        account.mark_equity(at("2024-06-04T19:00:00Z"), usd(1.0)),
        Err(Error::LateMark { .. })
    ));
    let flow = obs_trading::Transfer::new(at("2024-06-04T19:00:00Z"), usd(1.0));
    assert!(matches!(
        account.take_transfer(&flow),
        Err(Error::LateFlow { .. })
    ));
    for voided in [account.void_trade("x-1"), account.void_transfer("x-1")] {
        assert!(matches!(voided, Err(Error::NotCorrectable { .. })));
    }
}

/// More trades than are remembered, one a second, and all of them again.
#[test]
fn a_replay_of_more_trades_than_are_remembered_doubles_none() {
    let mut ledger = Ledger::new(equities(), usd(1_000.0)).unwrap();
    let count = REMEMBERED_TRADES + 5_000;
    let start: Timestamp = "2024-06-04T13:30:00Z".parse().unwrap();
    let replay = |ledger: &mut Ledger| {
        let booked = |k: &usize| {
            let at = start + SignedDuration::from_secs(i64::try_from(*k).unwrap());
            let id = format!("x-{k}");
            ledger
                .trade_closed(&ClosedTrade::new(at, usd(1.0)).with_id(&id))
                .is_ok()
        };
        (0..count).filter(booked).count()
    };
    assert_eq!(replay(&mut ledger), count);
    assert_eq!(replay(&mut ledger), 0);
    let saved = serde_json::to_string(&ledger.save()).unwrap();
    let mut later = Ledger::restore(equities(), serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(replay(&mut later), 0);
    assert_eq!(
        later.realized_pnl(Period::Total).to_bits(),
        (count as f64).to_bits()
    );
}

#[test]
fn an_event_from_the_future_is_refused_and_the_next_is_not() {
    let clock = obs_trading::ReplayClock::new();
    let now: Timestamp = "2024-06-04T15:00:00Z".parse().unwrap();
    clock.advance_to(std::time::Duration::from_secs(
        now.as_second().unsigned_abs(),
    ));
    let mut ledger = Ledger::new(equities(), usd(1_000.0))
        .unwrap()
        .with_clock(&clock);
    let later = now + SignedDuration::from_secs(301);
    assert!(matches!(
        ledger.mark_equity(later, usd(1.0)),
        Err(Error::FromFuture { .. })
    ));
    assert!(matches!(
        ledger.trade_closed(&ClosedTrade::new(later, usd(1.0)).with_id("x")),
        Err(Error::FromFuture { .. })
    ));
    ledger.advance_to("2099-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(ledger.now(), None);
    ledger
        .mark_equity(now + SignedDuration::from_secs(300), usd(1_010.0))
        .unwrap();
    ledger
        .trade_closed(&ClosedTrade::new(now, usd(1.0)).with_id("x"))
        .unwrap();
}

#[test]
fn a_ledger_begins_with_something_and_keeps_its_conventions() {
    for nothing in [0.0, -1.0] {
        assert!(matches!(
            Ledger::new(equities(), usd(nothing)),
            Err(Error::NonPositiveEquity { .. })
        ));
    }
    assert!(matches!(
        Ledger::new(equities(), usd(f64::NAN)),
        Err(Error::InvalidAmount { .. })
    ));

    let saved = Ledger::new(equities(), usd(1.0)).unwrap().save();
    let error = Ledger::restore(daily(), saved.clone())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("weekdays America/New_York") && error.contains("every day UTC"),
        "{error}"
    );
    let calendar = Calendar::weekdays(new_york()).with_holidays([jiff::civil::date(2027, 1, 1)]);
    let next_year = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&calendar),
        calendar,
    )
    .unwrap()
    .annualized_by(PeriodsPerYear::TRADING_DAYS)
    .with_risk_free(RiskFree::per_year(0.04).unwrap());
    assert!(Ledger::restore(next_year, saved.clone()).is_ok());
    // The exchange's own calendar is a list of holidays, and holds the next time.
    let exchange = |calendar| {
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            PeriodsPerYear::TRADING_DAYS,
            calendar,
        );
        let rate = RiskFree::per_year(0.04).unwrap();
        conventions.unwrap().with_risk_free(rate)
    };
    let ledger = Ledger::restore(exchange(Calendar::nyse()), saved.clone()).unwrap();
    assert!(Ledger::restore(exchange(Calendar::nyse()), ledger.save()).is_ok());
    assert!(Ledger::restore(equities(), ledger.save()).is_err());
    // A market whose days begin in the evening has other days.
    let futures = Calendar::cme(obs_trading::obs_calendar::CmeGroup::EquityIndex);
    assert!(Ledger::restore(exchange(futures), saved).is_err());
}

#[test]
fn an_account_comes_back_from_its_file_with_its_gauges() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::<LedgerState>::new(folder.path().join("main.state"), "account", 1);
    let mut account = Account::new("main", equities(), usd(1_000.0)).unwrap();
    account
        .trade_closed(&trade("2024-06-04T15:00:00Z", 0.1))
        .unwrap();
    account
        .trade_closed(&trade("2024-06-04T15:00:00Z", 0.2))
        .unwrap();
    file.save(&account.save()).unwrap();

    let test = TestRecorder::new();
    let saved = file.load().unwrap().unwrap();
    let back = test
        .run(|| Account::restore("main", equities(), saved))
        .unwrap();
    assert_eq!(back.save(), account.save());
    let day = [("account", "main"), ("currency", "USD"), ("period", "day")];
    // The day is over: what it made is not shown as today's.
    assert_eq!(test.gauge("portfolio_pnl", &day), Some(0.0));
    let clock = obs_trading::ReplayClock::new();
    let evening = at("2024-06-04T21:00:00Z").as_second().unsigned_abs();
    clock.advance_to(std::time::Duration::from_secs(evening));
    let _back = back.with_clock(&clock);
    assert_eq!(test.gauge("portfolio_pnl", &day), Some(0.1 + 0.2));
}

/// What can happen to a ledger, in any order: late, again, in other money, and with numbers that are none.
#[derive(Clone, Debug)]
enum Event {
    Trade {
        at: i64,
        pnl: f64,
        id: Option<u8>,
        currency: Currency,
    },
    Mark {
        at: i64,
        equity: f64,
    },
    Transfer {
        at: i64,
        amount: f64,
    },
    Advance {
        at: i64,
    },
}

impl Event {
    fn happen(&self, ledger: &mut Ledger) {
        let time = |minutes: i64| at("2024-02-27T00:00:00Z") + SignedDuration::from_mins(minutes);
        // What is refused is part of the stream.
        let _ = match self {
            Self::Trade {
                at,
                pnl,
                id,
                currency,
            } => {
                let id = id.map(|id| id.to_string());
                let trade = ClosedTrade::new(time(*at), Money::new(*pnl, *currency));
                ledger.trade_closed(&id.as_deref().map_or(trade, |id| trade.with_id(id)))
            }
            Self::Mark { at, equity } => ledger.mark_equity(time(*at), usd(*equity)),
            Self::Transfer { at, amount } => ledger.transfer(time(*at), usd(*amount)),
            Self::Advance { at } => {
                ledger.advance_to(time(*at));
                Ok(())
            }
        };
    }
}

fn happen(events: &[Event], ledger: &mut Ledger) {
    for event in events {
        event.happen(ledger);
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    // Mostly in order, over some weeks with both clock changes of a long winter; sometimes late.
    let event = (0_i64..4_000, -500_i64..500).prop_flat_map(|(step, jitter)| {
        let at = step + jitter;
        prop_oneof![
            4 => (-500.0..600.0, proptest::option::weighted(0.5, any::<u8>()), 0..8).prop_map(move |(pnl, id, which)| {
                let currency = if which == 0 { Currency::EUR } else { Currency::USD };
                Event::Trade { at, pnl: if which == 1 { f64::NAN } else { pnl }, id, currency }
            }),
            4 => (-2_000.0..20_000.0).prop_map(move |equity| Event::Mark { at, equity }),
            1 => (-5_000.0..5_000.0).prop_map(move |amount| Event::Transfer { at, amount }),
            1 => Just(Event::Advance { at }),
        ]
    });
    proptest::collection::vec(event, 0..80).prop_map(|mut events| {
        for (place, event) in events.iter_mut().enumerate() {
            let (Event::Trade { at, .. }
            | Event::Mark { at, .. }
            | Event::Transfer { at, .. }
            | Event::Advance { at }) = event;
            *at += i64::try_from(place).unwrap() * 1_000;
        }
        events
    })
}

fn any_conventions() -> impl Strategy<Value = Conventions> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(per_trade, marks, weekdays)| {
        let calendar = if weekdays {
            Calendar::weekdays(new_york())
        } else {
            Calendar::every_day(TimeZone::UTC)
        };
        Conventions::new(
            if per_trade {
                Basis::PerTrade
            } else {
                Basis::PeriodReturns
            },
            if marks {
                Valuation::Marks
            } else {
                Valuation::ClosedTrades
            },
            PeriodsPerYear::of(&calendar),
            calendar,
        )
        .unwrap()
        .annualized_by(PeriodsPerYear::TRADING_DAYS)
        .with_risk_free(RiskFree::per_year(0.03).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Saved as text at any point and restored, a ledger is to the last bit what it would have been.
    #[test]
    fn a_restart_at_any_point_changes_nothing(
        events in events(), conventions in any_conventions(), cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(events.len() + 1);
        let mut whole = Ledger::new(conventions.clone(), usd(10_000.0)).unwrap();
        let mut first = whole.clone();
        happen(&events, &mut whole);

        happen(&events[..cut], &mut first);
        let text = serde_json::to_string(&first.save()).unwrap();
        let mut second = Ledger::restore(conventions, serde_json::from_str(&text).unwrap()).unwrap();
        happen(&events[cut..], &mut second);

        // The text has every bit of every number.
        prop_assert_eq!(serde_json::to_string(&second.save()).unwrap(), serde_json::to_string(&whole.save()).unwrap());
    }

    /// Whatever happens, a statistic is a finite number or says why it is none, and what adds up adds up.
    #[test]
    fn statistics_are_finite_and_add_up(events in events(), conventions in any_conventions()) {
        let mut ledger = Ledger::new(conventions, usd(10_000.0)).unwrap();
        for event in &events {
            event.happen(&mut ledger);
            for statistic in [
                ledger.win_ratio(), ledger.average_win(), ledger.average_loss(), ledger.profit_factor(), ledger.sharpe_ratio(),
                ledger.sortino_ratio(), ledger.longest_recovery_seconds(), ledger.best_trade(), ledger.worst_trade(),
                Ok(ledger.drawdown_ratio()), Ok(ledger.drawdown_age_seconds()), Ok(ledger.equity()),
            ] {
                prop_assert!(statistic.is_ok_and(f64::is_finite) || statistic.is_err());
            }
            prop_assert!(ledger.max_drawdown_ratio() <= ledger.drawdown_ratio() && ledger.drawdown_ratio() <= 0.0);
            let trades = [Period::Day, Period::Week, Period::Month, Period::Total].map(|period| ledger.trades(period));
            prop_assert!(trades[0] <= trades[1] && trades[1] <= trades[3] && trades[2] <= trades[3]);
            prop_assert!(ledger.streak(TradeResult::Win).min(ledger.streak(TradeResult::Loss)) == 0);
        }
    }

    /// Money that comes and goes between the days changes neither returns nor drawdown.
    #[test]
    fn transfers_are_neither_profit_nor_loss(
        days in proptest::collection::vec((-0.05..0.05, -0.5..2.0), 3..60),
    ) {
        let (mut still, mut moved) = (Ledger::new(daily(), usd(1_000.0)).unwrap(), Ledger::new(daily(), usd(1_000.0)).unwrap());
        for (day, (change, transfer)) in days.iter().enumerate() {
            let day = i64::try_from(day).unwrap();
            let noon = at("2024-01-01T12:00:00Z") + SignedDuration::from_hours(24 * day);
            for ledger in [&mut still, &mut moved] {
                let equity = ledger.equity() * (1.0 + change);
                ledger.mark_equity(noon, usd(equity)).unwrap();
            }
            let amount = moved.equity() * transfer;
            moved.transfer(noon + SignedDuration::from_hours(1), usd(amount)).unwrap();
        }
        still.advance_to(at("2025-01-01T12:00:00Z"));
        moved.advance_to(at("2025-01-01T12:00:00Z"));
        prop_assert_eq!(still.returns(), moved.returns());
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
        prop_assert!(close(still.sharpe_ratio().unwrap(), moved.sharpe_ratio().unwrap()));
        prop_assert!(close(still.drawdown_ratio(), moved.drawdown_ratio()));
        prop_assert!(close(still.max_drawdown_ratio(), moved.max_drawdown_ratio()));
        let made = moved.equity_change(Period::Total);
        prop_assert_eq!(still.sortino_ratio().is_ok(), moved.sortino_ratio().is_ok());
        prop_assert!(made.is_finite());
    }
}

#[test]
fn ratios_say_why_they_are_undefined() {
    let ledger = Ledger::new(daily(), usd(1.0)).unwrap();
    let why = ledger.sharpe_ratio().unwrap_err();
    assert_eq!(why, Undefined::TooFewReturns);
    assert_eq!(
        why.to_string(),
        "fewer than two returns are known; a return is known when its period is over"
    );
    assert_eq!(
        ledger.longest_recovery_seconds(),
        Err(Undefined::NoRecovery)
    );
}

fn equities() -> Conventions {
    let weekdays = Calendar::weekdays(new_york());
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&weekdays),
        weekdays,
    )
    .unwrap()
    .annualized_by(PeriodsPerYear::TRADING_DAYS)
    .with_risk_free(RiskFree::per_year(0.04).unwrap())
}

fn daily() -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap()
}

fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

fn trade(moment: &str, pnl: f64) -> ClosedTrade<'static> {
    ClosedTrade::new(at(moment), usd(pnl))
}
