//! The same events, live and in a replay, give the same metrics but for the times that the process itself takes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_core::{TestRecorder, TestValue};
use obs_trading::{
    Change, Clock, Currency, Decision, Desk, Fee, FeeKind, Fill, Liquidity, Mids, Money,
    OrderEvent, OrderOutcome, OrderType, ReplayClock, Side, Signal, Strategy, Ticket, Venue,
};

/// Metrics that tell how long this process took, or what time it is.
fn is_of_the_clock(name: &str) -> bool {
    name.ends_with("_duration_seconds")
        || name.ends_with("_timestamp_seconds")
        || name == "trading_strategy_busy_seconds_total"
}

/// A day of a strategy: everything that may happen to an order, by the times of the market.
fn day(
    clock: impl Into<Clock>,
    pass: impl Fn(Timestamp),
    start: Timestamp,
) -> BTreeMap<String, TestValue> {
    let (test, clock) = (TestRecorder::new(), clock.into());
    let mids = Mids::new([1, 10].map(Duration::from_secs), Duration::from_secs(5));
    let (strategy, venue) = test.run(|| {
        let venue = Venue::with_clock("alpaca", clock.clone()).with_mids(&mids);
        (Strategy::with_clock("crossover", clock), venue)
    });
    let desk: Desk<u64> = Desk::new(&venue);
    let fee = Fee::new(FeeKind::Commission, Money::new(0.35, Currency::USD));
    for number in 0..50_u64 {
        let at =
            |seconds: u64| start + SignedDuration::from_secs((number * 20 + seconds).cast_signed());
        let price = 100.0 + (number * 37 % 11) as f64 / 8.0;
        pass(at(0));
        mids.record("SPX", at(0), price);
        let (signal, side) = if number % 2 == 0 {
            (Signal::Buy, Side::Buy)
        } else {
            (Signal::Sell, Side::Sell)
        };
        desk.signal(number, &strategy, signal, (number % 3 != 0).then_some(0.5));
        if number % 7 == 0 {
            desk.decide(&number, Decision::Skip);
            continue;
        }
        desk.decide(&number, Decision::Enter);
        let ticket =
            Ticket::new("SPX", side, OrderType::Limit, 8.0, price).in_currency(Currency::USD);
        let fill = |execution: u64, quantity, seconds| {
            Fill::new(quantity, price + 0.125)
                .with_id(execution)
                .with_fee(fee)
                .with_liquidity(Liquidity::Maker)
                .at(at(seconds))
        };
        if number % 5 == 0 {
            desk.fill(&number, fill(1, 4.0, 1));
        }
        desk.submit(number, &strategy, &ticket);
        desk.acknowledge(&number);
        pass(at(2));
        mids.record("SPX", at(2), price + 0.25);
        desk.fill(&number, fill(1, 4.0, 2));
        match number % 6 {
            0 => drop(desk.replace(&number, number + 1_000, Change::to_total(6.0))),
            1 => desk.bust(&number, 1),
            2 => drop(
                desk.on(&number, OrderEvent::CancelAsked)
                    .or(desk.close(&number, OrderOutcome::Cancelled)),
            ),
            _ => {}
        }
        pass(at(4));
        mids.record("SPX", at(4), price - 0.25);
        desk.fill(&number, fill(2, 4.0, 4));
        desk.fill(&number, fill(2, 4.0, 4));
        desk.close(&number, OrderOutcome::Expired);
    }
    pass(start + SignedDuration::from_secs(1_020));
    mids.advance_to(start + SignedDuration::from_secs(1_020));
    desk.observe();
    let series = test
        .snapshot()
        .into_iter()
        .filter(|series| !is_of_the_clock(&series.name));
    series
        .map(|series| (format!("{} {:?}", series.name, series.labels), series.value))
        .collect()
}

#[test]
fn live_and_replay_count_the_same() {
    let replay_clock = ReplayClock::new();
    let start = Timestamp::from_second(1_700_000_000).unwrap();
    let replay = day(
        &replay_clock,
        |now| replay_clock.advance_to(Duration::try_from(now.as_duration()).unwrap()),
        start,
    );
    // Live, the events lie in the past by the machine's clock, as they do when they come.
    let live = day(Clock::default(), |_| (), start);
    assert!(replay.len() > 100, "{}", replay.len());
    let shown = |value: &TestValue| format!("{value:?}");
    for (series, value) in &replay {
        assert_eq!(live.get(series).map(shown), Some(shown(value)), "{series}");
    }
    assert_eq!(live.len(), replay.len());
    let moved = replay.values().filter(|value| {
        !matches!(value, TestValue::Counter(0)) && **value != TestValue::Samples(Vec::new())
    });
    assert!(moved.count() > 40);
}
