//! Shortfall and markouts against pandas; `golden/costs.py` makes `golden/costs.json`.

use std::time::Duration;

use jiff::Timestamp;
use obs_core::{Recorded, TestRecorder, TestValue};
use obs_trading::{
    Currency, Fee, FeeKind, Fill, Mids, Money, Order, OrderOutcome, OrderType, Prices, ReplayClock,
    Side, Strategy, Ticket, Venue,
};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
const ORDERS: u64 = 400;
const SPAN: u64 = 100 * SECOND;

/// `SplitMix64`, as the script has it.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn price(&mut self) -> f64 {
        100.0 + self.below(2_001) as f64 / 100.0
    }
}

/// Something that happens at a time, in nanoseconds; of the same time, in this order.
enum Event {
    Close,
    Mid(f64),
    Submit { number: u64, side: Side },
    Fill { number: u64, fill: Fill },
    End { number: u64 },
}

fn events() -> Vec<(u64, Event)> {
    let mut events = Vec::new();
    let (mut random, mut at) = (Random(1), 0);
    while at < (ORDERS + 2) * SPAN {
        at += random.below(2 * SECOND);
        at += if random.below(10) == 0 { 8 * SECOND } else { 0 };
        events.push((at, Event::Mid(random.price())));
    }
    let mut random = Random(2);
    for number in 0..ORDERS {
        let start = number * SPAN + SPAN;
        let side = if random.below(2) == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        events.push((start, Event::Submit { number, side }));
        let mut fills = Vec::new();
        for k in 0..random.below(4) {
            let quantity = (random.below(3) + 1) as f64;
            let price = random.price();
            fills.push((
                start + (5 + 7 * k) * SECOND + random.below(SECOND),
                Fill::new(quantity, price).with_id(k),
            ));
        }
        let fee = Fee::new(
            FeeKind::Commission,
            Money::new(random.below(100) as f64 / 64.0, Currency::USD),
        );
        if let Some((_, first)) = fills.first_mut() {
            *first = first.with_fee(fee);
        }
        events.extend(
            fills
                .into_iter()
                .map(|(at, fill)| (at, Event::Fill { number, fill })),
        );
        events.push((start + 40 * SECOND, Event::End { number }));
    }
    let closes = (1..ORDERS / 10).map(|number| (number * 10 * SPAN + 50 * SECOND, Event::Close));
    events.extend(closes);
    events.sort_by_key(|(at, _)| *at);
    events
}

fn recorded(test: &TestRecorder, name: &str) -> Vec<Recorded> {
    let all = test.snapshot().into_iter();
    all.filter(|series| series.name == name).collect()
}

/// Hands all events over in order; gives what was recorded, and how many fills there were.
fn replay() -> (TestRecorder, u64) {
    let (test, clock) = (TestRecorder::new(), ReplayClock::new());
    let mids = Mids::new([1, 10, 60].map(Duration::from_secs), Duration::from_secs(5));
    let (strategy, venue) = test.run(|| {
        let venue = Venue::with_clock("paper", &clock).with_mids(&mids);
        (Strategy::with_clock("crossover", &clock), venue)
    });
    let time = |at: u64| Timestamp::from_nanosecond(i128::from(at)).unwrap();
    let mut open: std::collections::BTreeMap<u64, Order> = std::collections::BTreeMap::new();
    let mut fills = 0;
    // An order is decided on at its start and submitted two seconds later.
    let mut submissions: Vec<(u64, u64, Side, f64)> = Vec::new();
    for (at, event) in events() {
        submissions.retain(|(due, number, side, benchmark)| {
            let is_due = *due < at || *due == at && !matches!(event, Event::Mid(_));
            if is_due {
                clock.advance_to(Duration::from_nanos(*due));
                let ticket = Ticket::new("ES", *side, OrderType::Limit, 10.0, *benchmark)
                    .times(50.0)
                    .in_currency(Currency::USD);
                open.insert(*number, strategy.submit(&venue, &ticket));
            }
            !is_due
        });
        clock.advance_to(Duration::from_nanos(at));
        match event {
            Event::Mid(mid) => mids.record("ES", time(at), mid),
            Event::Close => mids.closed("ES", time(at)),
            Event::Submit { number, side } => {
                submissions.push((at + 2 * SECOND, number, side, mids.last("ES")));
            }
            Event::Fill { number, fill } => {
                fills += 1;
                open.get_mut(&number).unwrap().fill(fill.at(time(at)));
            }
            Event::End { number } => {
                open.remove(&number).unwrap().close(OrderOutcome::Cancelled);
            }
        }
    }
    mids.advance_to(time((ORDERS + 3) * SPAN));
    assert_eq!(mids.waiting(), 0);
    (test, fills)
}

#[test]
fn shortfall_and_markouts_are_those_of_pandas() {
    let reference: Value = serde_json::from_str(include_str!("golden/costs.json")).unwrap();
    let (test, fills) = replay();
    assert_eq!(reference["fills"], fills);
    let money = |name, key, value, direction| {
        let labels = [(key, value), ("direction", direction)];
        test.counter_sum(name, &labels) as f64 / 1e6
    };
    let samples = |name, key: &str, value: &str| {
        let of = |series: &Recorded| series.labels.iter().any(|(k, v)| k == key && v == value);
        let mut all: Vec<f64> = recorded(&test, name)
            .into_iter()
            .filter(of)
            .flat_map(|series| match series.value {
                TestValue::Samples(samples) => samples,
                _ => Vec::new(),
            })
            .collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let same = |ours: f64, theirs: &Value, what: &str| {
        let theirs = theirs.as_f64().unwrap();
        assert!(
            (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
            "{what}: {ours} is not {theirs}"
        );
    };
    for (horizon, expected) in reference["markouts"].as_object().unwrap() {
        for direction in ["adverse", "favourable"] {
            let ours = money("trading_markout_total", "horizon", horizon, direction);
            same(ours, &expected[direction], horizon);
        }
        let ours = samples("trading_markout_bps", "horizon", horizon);
        assert_eq!(
            ours.len(),
            expected["bps"].as_array().unwrap().len(),
            "{horizon}"
        );
        for (ours, theirs) in ours.iter().zip(expected["bps"].as_array().unwrap()) {
            same(*ours, theirs, horizon);
        }
        for reason in ["closed", "stale"] {
            let labels = [("horizon", horizon.as_str()), ("reason", reason)];
            let ours = test.counter_sum("trading_markouts_unmeasured_total", &labels);
            assert_eq!(expected[reason], ours, "{horizon} {reason}");
        }
    }
    for (component, expected) in reference["shortfall"].as_object().unwrap() {
        for direction in ["adverse", "favourable"] {
            let ours = money(
                "trading_shortfall_cost_total",
                "component",
                component,
                direction,
            );
            same(ours, &expected[direction], component);
        }
        let ours = samples("trading_shortfall_bps", "component", component);
        for (ours, theirs) in ours.iter().zip(expected["bps"].as_array().unwrap()) {
            same(*ours, theirs, component);
        }
        assert_eq!(ours.len() as u64, ORDERS, "{component}");
    }
}

fn desk() -> (TestRecorder, Strategy, Venue, Mids) {
    let (test, clock) = (TestRecorder::new(), ReplayClock::new());
    clock.advance_to(Duration::from_secs(1_000));
    let mids = Mids::new([Duration::from_secs(1)], Duration::from_secs(5));
    let (strategy, venue) = test.run(|| {
        let venue = Venue::with_clock("paper", &clock).with_mids(&mids);
        (Strategy::with_clock("crossover", &clock), venue)
    });
    (test, strategy, venue, mids)
}

#[test]
fn a_missing_mid_makes_its_parts_undefined_and_never_nothing() {
    let (test, strategy, venue, _) = desk();
    let ticket =
        Ticket::new("ES", Side::Buy, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    order.fill(Fill::new(4.0, 101.0));
    let shortfall = order.close(OrderOutcome::Cancelled).shortfall;
    assert!(
        shortfall.delay.is_nan() && shortfall.execution.is_nan() && shortfall.opportunity.is_nan()
    );
    assert_eq!(shortfall.fees.to_bits(), 0.0_f64.to_bits());
    assert!(shortfall.total().is_nan());
    for component in ["delay", "execution", "opportunity"] {
        let labels = [("strategy", "crossover"), ("component", component)];
        assert_eq!(
            test.samples("trading_shortfall_bps", &labels)
                .unwrap_or_default(),
            [0.0_f64; 0]
        );
    }
}

#[test]
fn the_parts_add_up_to_paper_less_real() {
    let (_, strategy, venue, mids) = desk();
    let now = Timestamp::from_second(1_000).unwrap();
    mids.record("ES", now, 101.0);
    let ticket =
        Ticket::new("ES", Side::Sell, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    let fee = Fee::new(FeeKind::Exchange, Money::new(1.5, Currency::USD));
    order.fill(Fill::new(4.0, 102.0).with_fee(fee));
    mids.record("ES", now, 97.0);
    let shortfall = order.close(OrderOutcome::Cancelled).shortfall;
    // Paper sold 10 at 100 and buys back at 97; real sold 4 at 102, and paid.
    let (paper, real) = (10.0 * 3.0, 4.0 * 5.0 - 1.5);
    assert!(
        (shortfall.total() - (paper - real)).abs() < 1e-9,
        "{shortfall:?}"
    );
}

#[test]
fn a_late_fill_and_a_bust_change_the_shortfall_that_was_counted() {
    let (test, strategy, venue, mids) = desk();
    mids.record("ES", Timestamp::from_second(1_000).unwrap(), 100.0);
    let mut book = obs_trading::OrderBook::new(&venue);
    let ticket =
        Ticket::new("ES", Side::Buy, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    book.insert("o1", strategy.submit(&venue, &ticket));
    book.fill(&"o1", Fill::new(4.0, 101.0).with_id("x1"));
    book.close(&"o1", OrderOutcome::Cancelled);
    book.fill(&"o1", Fill::new(2.0, 103.0).with_id("x2"));
    book.bust(&"o1", "x1");
    let cost = |direction| {
        let labels = [("component", "execution"), ("direction", direction)];
        test.counter_sum("trading_shortfall_cost_total", &labels) as f64 / 1e6
    };
    assert!((cost("adverse") - cost("favourable") - 6.0).abs() < 1e-9);
    assert!(
        (cost("adverse") - 10.0).abs() < 1e-9,
        "4 and 6, and nothing was lowered"
    );
}

#[test]
fn basis_points_of_a_spread_mean_nothing_and_its_money_does() {
    let (test, strategy, venue, mids) = desk();
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    mids.record("CL", at(1_000), -0.5);
    let ticket = Ticket::new("CL", Side::Buy, OrderType::Limit, 1.0, -0.5)
        .with_prices(Prices::Any)
        .times(1_000.0)
        .in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    order.fill(Fill::new(1.0, -0.25));
    order.close_filled();
    mids.record("CL", at(1_001), -0.75);
    mids.record("CL", at(1_002), 5.0);
    let sum = |name, labels: &[_]| test.counter_sum(name, labels) as f64 / 1e6;
    assert!((sum("trading_markout_total", &[("direction", "adverse")]) - 500.0).abs() < 1e-9);
    assert!(
        (sum(
            "trading_shortfall_cost_total",
            &[("component", "execution")]
        ) - 250.0)
            .abs()
            < 1e-9
    );
    assert!(recorded(&test, "trading_markout_bps").is_empty());
    let bps = recorded(&test, "trading_shortfall_bps");
    assert!(
        bps.iter()
            .all(|series| series.value == TestValue::Samples(Vec::new()))
    );
}

#[test]
fn markouts_that_wait_are_bounded_and_mids_out_of_order_are_left_out() {
    let (test, strategy, venue, mids) = desk();
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    mids.record("ES", at(1_000), 100.0);
    mids.record("ES", at(999), 50.0);
    assert_eq!(mids.last("ES").to_bits(), 100.0_f64.to_bits());
    assert!(mids.last("unknown").is_nan());
    let ticket =
        Ticket::new("ES", Side::Buy, OrderType::Limit, 1e6, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    for _ in 0..10_005 {
        order.fill(Fill::new(1.0, 100.0));
    }
    assert_eq!(mids.waiting(), 10_000);
    let dropped = [("horizon", "1s"), ("reason", "dropped")];
    assert_eq!(
        test.counter_sum("trading_markouts_unmeasured_total", &dropped),
        5
    );
    order.close(OrderOutcome::Cancelled);
}

/// A buy of 1 at 100 that waits, or was measured, and is taken back.
#[test]
fn a_bust_takes_its_markout_back() {
    let (test, strategy, venue, mids) = desk();
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let ticket =
        Ticket::new("ES", Side::Buy, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    mids.record("ES", at(1_000), 100.0);
    for id in ["measured", "stays", "waits"] {
        let time = if id == "waits" { 1_002 } else { 1_000 };
        let fill = Fill::new(1.0, 100.0).with_id(id).at(at(time));
        order.fill(fill);
    }
    // At 1,001 it is 103: both fills of 1,000 gained 3.
    mids.record("ES", at(1_001), 103.0);
    mids.record("ES", at(1_002), 90.0);
    let money = |direction| {
        test.counter_sum("trading_markout_total", &[("direction", direction)]) as f64 / 1e6
    };
    let taken_back = || {
        test.counter_sum(
            "trading_markouts_unmeasured_total",
            &[("reason", "taken_back")],
        )
    };
    assert_eq!(
        (money("favourable").to_bits(), money("adverse").to_bits()),
        (6.0_f64.to_bits(), 0.0_f64.to_bits())
    );
    order.bust("measured".into());
    order.bust("waits".into());
    assert_eq!(money("adverse").to_bits(), 3.0_f64.to_bits());
    assert_eq!((mids.waiting(), taken_back()), (0, 1));
    // Once.
    order.bust("measured".into());
    mids.advance_to(at(1_010));
    assert_eq!(
        (money("favourable").to_bits(), money("adverse").to_bits()),
        (6.0_f64.to_bits(), 3.0_f64.to_bits()),
        "nothing was lowered, and the net is that of the execution that stays"
    );
    order.close(OrderOutcome::Cancelled);
}

#[test]
fn a_corrected_execution_is_measured_anew_from_its_own_time() {
    let (test, strategy, venue, mids) = desk();
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let ticket =
        Ticket::new("ES", Side::Sell, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    mids.record("ES", at(1_000), 100.0);
    order.fill(Fill::new(2.0, 100.0).with_id("x1").at(at(1_000)));
    mids.record("ES", at(1_001), 97.0);
    mids.record("ES", at(1_060), 50.0);
    // It was at 99, and 3 of them: against 97, 6 were gained, not 6 of 100 for 2.
    order.correct(Fill::new(3.0, 99.0).with_id("x1"));
    let net = |direction| {
        test.counter_sum("trading_markout_total", &[("direction", direction)]) as f64 / 1e6
    };
    assert_eq!(
        (net("favourable").to_bits(), net("adverse").to_bits()),
        (12.0_f64.to_bits(), 6.0_f64.to_bits())
    );
    assert_eq!(
        test.counter_sum("trading_markouts_unmeasured_total", &[]),
        0
    );
    order.close(OrderOutcome::Cancelled);
}

/// A total and the execution that it told are one fill.
#[test]
fn an_execution_that_a_total_told_is_followed_once() {
    let (test, strategy, venue, mids) = desk();
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let ticket =
        Ticket::new("ES", Side::Buy, OrderType::Limit, 10.0, 100.0).in_currency(Currency::USD);
    let mut order = strategy.submit(&venue, &ticket);
    mids.record("ES", at(1_000), 100.0);
    order.fill_to(4.0, 100.0);
    order.fill(Fill::new(6.0, 100.0).with_id("x1"));
    assert_eq!(mids.waiting(), 2);
    mids.record("ES", at(1_001), 101.0);
    mids.advance_to(at(1_001));
    let favourable = [("direction", "favourable")];
    let gained = test.counter_sum("trading_markout_total", &favourable) as f64 / 1e6;
    assert_eq!(
        gained.to_bits(),
        6.0_f64.to_bits(),
        "4 that were told, and 2"
    );
    order.close(OrderOutcome::Cancelled);
}
