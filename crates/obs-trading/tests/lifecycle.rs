//! Orders on their way: what each verb moves, and the invariant that holds whatever happens.

use std::time::Duration;

use obs_core::TestRecorder;
use obs_trading::{
    Decision, Fill, Order, OrderBook, OrderOutcome, OrderType, RejectReason, ReplayClock,
    SavedOrder, Side, Signal, Strategy, Ticket, Venue,
};
use proptest::prelude::*;

struct Desk {
    test: TestRecorder,
    clock: ReplayClock,
    strategy: Strategy,
    venue: Venue,
}

impl Desk {
    fn new() -> Self {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        let (strategy, venue) = test.run(|| {
            (
                Strategy::with_clock("crossover", &clock),
                Venue::new("paper"),
            )
        });
        Self {
            test,
            clock,
            strategy,
            venue,
        }
    }

    fn order(&self, side: Side, benchmark: f64) -> Order {
        let ticket = Ticket::new("SPX", side, OrderType::Market, 10.0, benchmark);
        self.strategy.submit(&self.venue, &ticket)
    }

    fn pass(&self, seconds: u64) {
        self.clock
            .advance_to(self.clock.now() + Duration::from_secs(seconds));
    }

    /// Submitted, resumed, closed, open.
    #[expect(clippy::cast_possible_truncation, reason = "a gauge of whole numbers")]
    fn counts(&self) -> (u64, u64, u64, i64) {
        let sum = |name| self.test.counter_sum(name, &[("venue", "paper")]);
        let open = self
            .test
            .gauge("trading_orders_open", &[("venue", "paper")]);
        (
            sum("trading_orders_total"),
            sum("trading_orders_resumed_total"),
            sum("trading_orders_closed_total"),
            open.expect("the gauge exists from the start") as i64,
        )
    }

    fn closed(&self, outcome: &str) -> u64 {
        self.test
            .counter_sum("trading_orders_closed_total", &[("outcome", outcome)])
    }

    fn samples(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        self.test.samples(name, labels).unwrap_or_default()
    }
}

const STRATEGY: (&str, &str) = ("strategy", "crossover");
const VENUE: (&str, &str) = ("venue", "paper");

#[test]
fn stage_times_add_up_to_the_execution_time() {
    let desk = Desk::new();
    let mut evaluation = desk.strategy.evaluate();
    let idea = evaluation.signal(Signal::Buy, 0.8);
    drop(evaluation);
    desk.pass(1);
    let decided = idea.decide(Decision::Enter);
    desk.pass(2);
    let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 10.0, 100.0);
    let mut order = decided.submit(&desk.venue, &ticket);
    desk.pass(4);
    order.acknowledge();
    desk.pass(8);
    order.acknowledge(); // said again: the first counts
    assert!(!order.fill(Fill::new(4.0, 100.0)));
    desk.pass(16);
    assert!(order.fill(Fill::new(6.0, 101.0)));
    let report = order.close_filled();

    let stages = report.stages.expect("filled whole");
    assert_eq!(
        stages.iter().map(|time| time.as_secs()).collect::<Vec<_>>(),
        [1, 2, 4, 24]
    );
    assert_eq!(stages.total(), Duration::from_secs(31));
    assert_eq!(
        desk.samples("trading_execution_duration_seconds", &[STRATEGY]),
        [31.0]
    );
    let by_stage = |stage| {
        desk.samples(
            "trading_order_stage_duration_seconds",
            &[STRATEGY, ("stage", stage)],
        )
    };
    let sum: f64 = ["decision", "submission", "acknowledgement", "fill"]
        .into_iter()
        .flat_map(by_stage)
        .sum();
    assert!((sum - 31.0).abs() < 1e-9);
    let fill = [VENUE, ("order_type", "limit")];
    assert_eq!(
        desk.samples("trading_order_fill_duration_seconds", &fill),
        [28.0]
    );
    for name in [
        "trading_signal_generation_duration_seconds",
        "trading_decision_duration_seconds",
        "trading_strategy_duration_seconds",
    ] {
        assert_eq!(desk.samples(name, &[STRATEGY]).len(), 1, "{name}");
    }
    let counter = |name, labels: &[(&str, &str)]| desk.test.counter(name, labels);
    assert_eq!(
        counter("trading_signals_total", &[STRATEGY, ("signal", "buy")]),
        Some(1)
    );
    assert_eq!(
        counter(
            "trading_decisions_total",
            &[STRATEGY, ("decision", "enter")]
        ),
        Some(1)
    );
    let trade = [STRATEGY, ("symbol", "SPX"), ("side", "buy")];
    assert_eq!(
        counter("trading_trades_total", &trade),
        Some(1),
        "two fills are one trade"
    );
    assert!(counter("trading_strategy_busy_seconds_total", &[STRATEGY]) > Some(0));
    assert_eq!(
        desk.samples("trading_signal_confidence_ratio", &[STRATEGY]),
        [0.8]
    );
}

#[test]
fn slippage_is_positive_where_it_hurts() {
    let slippage = |side, benchmark, price| {
        let desk = Desk::new();
        let mut order = desk.order(side, benchmark);
        order.fill(Fill::new(10.0, price));
        let report = order.close_filled();
        let recorded = desk.samples(
            "trading_slippage_bps",
            &[VENUE, ("side", side.to_string().as_str())],
        );
        assert_eq!(recorded, Vec::from_iter(report.slippage_bps));
        report.slippage_bps
    };
    let near = |bps: Option<f64>, expected: f64| (bps.expect("defined") - expected).abs() < 1e-9;
    assert!(near(slippage(Side::Buy, 100.0, 100.1), 10.0));
    assert!(near(slippage(Side::Sell, 100.0, 99.9), 10.0));
    assert!(near(slippage(Side::Buy, 100.0, 99.9), -10.0));
    assert!(near(slippage(Side::Sell, 100.0, 100.1), -10.0));
    for undefined in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(slippage(Side::Buy, undefined, 100.0), None);
    }
}

#[test]
fn slippage_is_of_the_average_price_also_of_what_was_cancelled_half_way() {
    let desk = Desk::new();
    let mut order = desk.order(Side::Buy, 100.0);
    order.fill(Fill::new(1.0, 100.0));
    order.fill(Fill::new(3.0, 101.0));
    assert!((order.remaining() - 6.0).abs() < 1e-12);
    let report = order.close(OrderOutcome::Cancelled);
    assert_eq!(report.average_price, Some(100.75));
    assert!((report.slippage_bps.expect("defined") - 75.0).abs() < 1e-9);
    assert_eq!(report.stages, None, "it was not filled whole");
    assert!(
        desk.samples("trading_execution_duration_seconds", &[STRATEGY])
            .is_empty()
    );
}

#[test]
fn what_is_dropped_on_the_way_is_counted_as_abandoned() {
    let desk = Desk::new();
    drop(desk.strategy.signal(Signal::Sell, 0.5));
    let abandoned = [STRATEGY, ("decision", "abandoned")];
    assert_eq!(
        desk.test.counter("trading_decisions_total", &abandoned),
        Some(1)
    );

    drop(desk.order(Side::Buy, 100.0));
    assert_eq!((desk.closed("abandoned"), desk.counts()), (1, (1, 0, 1, 0)));

    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _order = desk.order(Side::Buy, 100.0);
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert_eq!((desk.closed("abandoned"), desk.counts()), (2, (2, 0, 2, 0)));
}

/// Wherever a strategy panics between evaluating and closing, what it held is counted as given up, and the sums hold.
#[test]
fn a_strategy_that_panics_anywhere_gives_up_what_it_held_and_goes_on() {
    const STEPS: u64 = 5;
    let desk = Desk::new();
    let trade = |panics_at: u64| {
        let at = |step| {
            if step == panics_at {
                std::panic::panic_any(step);
            }
        };
        let mut evaluation = desk.strategy.evaluate();
        at(0_u64);
        let idea = evaluation.signal(Signal::Buy, 0.5);
        at(1);
        let decided = idea.decide(Decision::Enter);
        at(2);
        let ticket = Ticket::new("SPX", Side::Buy, OrderType::Market, 1.0, 100.0);
        let mut order = decided.submit(&desk.venue, &ticket);
        at(3);
        order.fill(Fill::new(1.0, 100.0));
        at(4);
        order.close_filled();
    };
    for step in 0..STEPS {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trade(step)));
        let caught = caught.expect_err("it panics");
        assert_eq!(caught.downcast_ref(), Some(&step), "the panic is unchanged");
    }
    trade(STEPS);
    let evaluations = desk.samples("trading_strategy_duration_seconds", &[STRATEGY]);
    assert_eq!(evaluations.len() as u64, STEPS + 1);
    let sum = |name, labels: &[_]| desk.test.counter_sum(name, labels);
    assert_eq!(sum("trading_signals_total", &[]), STEPS);
    let decisions = |decision| sum("trading_decisions_total", &[("decision", decision)]);
    assert_eq!((decisions("enter"), decisions("abandoned")), (4, 1));
    assert_eq!((desk.closed("abandoned"), desk.closed("filled")), (2, 1));
    assert_eq!(desk.counts(), (3, 0, 3, 0));
}

#[test]
fn refusals_are_counted_by_their_reason() {
    let desk = Desk::new();
    desk.strategy
        .signal(Signal::Buy, 0.9)
        .reject(RejectReason::DailyLossLimit);
    desk.strategy
        .signal(Signal::Buy, 0.9)
        .decide(Decision::Enter)
        .reject(RejectReason::InsufficientFunds);
    desk.order(Side::Buy, 1.0)
        .close_rejected(RejectReason::MarketClosed);
    let trades = |reason| {
        desk.test.counter(
            "trading_trades_rejected_total",
            &[STRATEGY, ("reason", reason)],
        )
    };
    assert_eq!(trades("daily_loss_limit"), Some(1));
    assert_eq!(trades("insufficient_funds"), Some(1));
    let decisions = |decision| {
        desk.test.counter(
            "trading_decisions_total",
            &[STRATEGY, ("decision", decision)],
        )
    };
    assert_eq!(
        (decisions("reject"), decisions("enter")),
        (Some(1), Some(1))
    );
    let orders = [VENUE, ("reason", "market_closed")];
    assert_eq!(
        desk.test.counter("trading_orders_rejected_total", &orders),
        Some(1)
    );
    assert_eq!(desk.closed("rejected"), 1);
}

#[test]
fn a_fill_that_is_no_fill_changes_nothing() {
    let desk = Desk::new();
    let mut order = desk.order(Side::Buy, 100.0);
    for (quantity, price) in [
        (0.0, 1.0),
        (-1.0, 1.0),
        (f64::NAN, 1.0),
        (1.0, 0.0),
        (1.0, f64::INFINITY),
    ] {
        assert!(!order.fill(Fill::new(quantity, price)));
    }
    assert_eq!(order.close(OrderOutcome::Expired).average_price, None);
    let ignored = [VENUE, ("event", "invalid_fill")];
    assert_eq!(
        desk.test
            .counter("trading_order_events_ignored_total", &ignored),
        Some(5)
    );
    assert_eq!(desk.test.counter_sum("trading_trades_total", &[]), 0);
}

#[test]
fn an_order_survives_a_restart_with_its_times() {
    let before = Desk::new();
    before.pass(100);
    let mut order = before.order(Side::Sell, 100.0);
    before.pass(5);
    order.fill(Fill::new(4.0, 99.0));
    let kept = serde_json::to_string(&order.save()).expect("it can be written");
    // The process is killed: nobody drops the order.
    std::mem::forget(order);

    let after = Desk::new();
    after.pass(110);
    let saved: SavedOrder = serde_json::from_str(&kept).expect("it can be read");
    let mut order = saved.resume(&after.strategy, &after.venue);
    assert_eq!(after.counts(), (0, 1, 0, 1));
    order.fill(Fill::new(6.0, 99.0));
    let stages = order.close_filled().stages.expect("filled whole");
    assert_eq!(
        (stages.acknowledgement.as_secs(), stages.fill.as_secs()),
        (5, 5)
    );
    assert_eq!(after.counts(), (0, 1, 1, 0));
}

#[test]
fn a_live_order_keeps_its_age_over_a_restart() {
    let (strategy, venue) = (Strategy::new("live"), Venue::new("paper"));
    let order = strategy.submit(
        &venue,
        &Ticket::new("SPX", Side::Buy, OrderType::Market, 1.0, 1.0),
    );
    let kept = serde_json::to_string(&order.save()).expect("it can be written");
    let saved: SavedOrder = serde_json::from_str(&kept).expect("it can be read");
    drop(order);
    // A later process has another monotonic clock, started now.
    let later = Strategy::new("live");
    let mut resumed = saved.resume(&later, &venue);
    resumed.fill(Fill::new(1.0, 1.0));
    let total = resumed.close_filled().stages.expect("filled whole").total();
    assert!(
        total < Duration::from_mins(1),
        "the age is right to the wall clock: {total:?}"
    );
}

#[test]
fn a_kept_order_with_an_unknown_word_says_so() {
    let desk = Desk::new();
    let kept =
        serde_json::to_string(&desk.order(Side::Buy, 1.0).save()).expect("it can be written");
    let error = serde_json::from_str::<SavedOrder>(&kept.replace("\"buy\"", "\"bye\""))
        .expect_err("unknown");
    assert!(
        error
            .to_string()
            .contains("\"bye\" is no value of `side`: use one of `buy`, `sell`"),
        "{error}"
    );
}

/// What a broker's stream may bring, in any order.
#[derive(Clone, Debug)]
enum Event {
    Submit(u8),
    Acknowledge(u8),
    Fill(u8, u8, f64),
    Close(u8, OrderOutcome),
    Reject(u8),
    /// The process is killed and comes back with what it had saved.
    Crash,
}

fn event() -> impl Strategy_<Value = Event> {
    let id = 0..12_u8;
    let ends = prop_oneof![
        Just(OrderOutcome::Cancelled),
        Just(OrderOutcome::Expired),
        Just(OrderOutcome::Filled)
    ];
    prop_oneof![
        4 => id.clone().prop_map(Event::Submit),
        2 => id.clone().prop_map(Event::Acknowledge),
        6 => (id.clone(), 0..6_u8, 0.5..8.0).prop_map(|(id, execution, quantity)| Event::Fill(id, execution, quantity)),
        2 => (id.clone(), ends).prop_map(|(id, outcome)| Event::Close(id, outcome)),
        1 => id.prop_map(Event::Reject),
        1 => Just(Event::Crash),
    ]
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #[test]
    fn submitted_is_closed_plus_open_whatever_happens(events in proptest::collection::vec(event(), 0..200)) {
        // Counters over all lives of the process, as Prometheus' `increase` adds them up.
        let (mut submitted, mut closed) = (0, 0);
        let mut desk = Desk::new();
        let mut book: OrderBook<u8> = OrderBook::new(&desk.venue);
        for event in events {
            match event {
                Event::Submit(id) => drop(book.insert(id, desk.order(Side::Buy, 100.0))),
                Event::Acknowledge(id) => book.acknowledge(&id),
                Event::Fill(id, execution, quantity) => drop(book.fill(&id, Fill::new(quantity, 100.0).with_id(u64::from(execution)))),
                Event::Close(id, outcome) => drop(book.close(&id, outcome)),
                Event::Reject(id) => drop(book.reject(&id, RejectReason::Other)),
                Event::Crash => {
                    let saved: Vec<_> = book.iter().map(|(id, order)| (*id, order.save())).collect();
                    let (was_submitted, _, was_closed, _) = desk.counts();
                    (submitted, closed) = (submitted + was_submitted, closed + was_closed);
                    std::mem::forget(book);
                    desk = Desk::new();
                    book = OrderBook::new(&desk.venue);
                    for (id, order) in saved {
                        book.resume(id, &order, &desk.strategy);
                    }
                }
            }
            let (now_submitted, resumed, now_closed, open) = desk.counts();
            prop_assert_eq!(open, i64::try_from(book.len())?);
            prop_assert_eq!(now_submitted + resumed, now_closed + book.len() as u64);
            prop_assert_eq!(submitted + now_submitted, closed + now_closed + book.len() as u64);
        }
        drop(book);
        let (_, _, _, open) = desk.counts();
        prop_assert_eq!(open, 0, "what is dropped with the book is abandoned");
    }
}
