//! Orders as brokers really have them: early and late, twice, changed, taken back, and after a restart.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_trading::{
    Change, Currency, ExecutionId, Fee, FeeKind, Fill, Liquidity, Money, OrderBook, OrderEvent,
    OrderOutcome, OrderReport, OrderType, Prices, RejectReason, ReplayClock, SavedBook, Side,
    StateFile, Strategy, Ticket, Venue,
};

/// A strategy, a venue and its book, on a clock that stands still unless it is moved.
struct Desk {
    test: TestRecorder,
    clock: ReplayClock,
    strategy: Strategy,
    venue: Venue,
    book: OrderBook<String>,
}

impl Desk {
    fn new() -> Self {
        Self::at(Duration::from_secs(1_700_000_000))
    }

    fn at(now: Duration) -> Self {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        clock.advance_to(now);
        let (strategy, venue) = test.run(|| {
            let strategy = Strategy::with_clock("crossover", &clock);
            (strategy, Venue::with_clock("paper", &clock))
        });
        let book = OrderBook::new(&venue);
        Self {
            test,
            clock,
            strategy,
            venue,
            book,
        }
    }

    fn ticket(side: Side, quantity: f64, benchmark: f64) -> Ticket<'static> {
        Ticket::new("SPX", side, OrderType::Limit, quantity, benchmark).in_currency(Currency::USD)
    }

    /// A buy of 10 at a benchmark of 100.
    fn submit(&mut self, id: &str) {
        self.submit_as(id, &Self::ticket(Side::Buy, 10.0, 100.0));
    }

    fn submit_as(&mut self, id: &str, ticket: &Ticket<'_>) {
        let order = self.strategy.submit(&self.venue, ticket);
        self.book.insert(id.to_owned(), order);
    }

    fn fill(
        &mut self,
        id: &str,
        execution: &str,
        quantity: f64,
        price: f64,
    ) -> Option<OrderReport> {
        let fill = Fill::new(quantity, price).with_id(execution);
        self.book.fill(&id.to_owned(), fill)
    }

    fn on(&mut self, id: &str, event: OrderEvent) -> Option<OrderReport> {
        self.book.on(&id.to_owned(), event)
    }

    fn close(&mut self, id: &str, outcome: OrderOutcome) -> Option<OrderReport> {
        self.on(id, OrderEvent::Ended(outcome))
    }

    fn filled(&self, id: &str) -> f64 {
        self.book.get(&id.to_owned()).expect("it is known").filled()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance_to(self.clock.now() + time);
    }

    /// The process is killed and a later one takes the book up, through JSON.
    fn restart(self) -> Self {
        let json = serde_json::to_string(&self.book.save()).expect("it can be written");
        let now = self.clock.now();
        std::mem::forget(self.book);
        let mut later = Self::at(now);
        let saved: SavedBook<String> = serde_json::from_str(&json).expect("it can be read");
        let strategy = later.strategy.clone();
        later.book = OrderBook::restore(&later.venue, saved, |name| {
            assert_eq!(name, "crossover");
            strategy.clone()
        });
        later
    }

    fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.test.counter_sum(name, labels)
    }

    fn events(&self, kind: &str) -> u64 {
        self.counter("trading_order_events_ignored_total", &[("event", kind)])
    }

    fn closed(&self, outcome: &str) -> u64 {
        self.counter("trading_orders_closed_total", &[("outcome", outcome)])
    }

    /// A counter of money, in units of the currency.
    fn money(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.counter(name, labels) as f64 / 1e6
    }

    #[track_caller]
    fn balances(&self) {
        let open = self
            .test
            .gauge("trading_orders_open", &[("venue", "paper")]);
        let came: u64 = [
            "trading_orders_total",
            "trading_orders_resumed_total",
            "trading_orders_reopened_total",
        ]
        .map(|name| self.counter(name, &[]))
        .iter()
        .sum();
        let closed = self.counter("trading_orders_closed_total", &[]);
        assert_eq!(open, Some(self.book.len() as f64));
        assert_eq!(came, closed + self.book.len() as u64);
    }
}

#[track_caller]
fn near(one: f64, other: f64) {
    assert!(
        (one - other).abs() <= 1e-9 * other.abs().max(1.0),
        "{one} is not {other}"
    );
}

// ---- What comes twice.

/// Buy 10: x1 of 4 at 100; restart; the broker replays the day, and goes on.
#[test]
fn after_a_restart_the_executions_that_the_broker_replays_count_once() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.fill("o1", "x1", 4.0, 100.0);
    let mut desk = desk.restart();
    assert_eq!(desk.fill("o1", "x1", 4.0, 100.0), None);
    assert_eq!(desk.fill("o1", "x2", 3.0, 101.0), None);
    let report = desk.fill("o1", "x3", 3.0, 101.0).expect("complete");
    near(report.filled, 10.0);
    near(report.average_price.unwrap(), 100.6);
    near(report.slippage_bps.unwrap(), 60.0);
    assert_eq!(
        (desk.events("duplicate_fill"), desk.events("unknown_order")),
        (1, 0)
    );
    assert_eq!(
        desk.counter("trading_trades_total", &[]),
        0,
        "it was counted before the restart"
    );
    desk.balances();
}

/// `nautilus_trader#3046`: a node that restarts is sent the fills that its cache has already, of orders open and closed.
#[test]
fn nautilus_trader_3046_fills_replayed_on_restart_are_known_on_open_and_closed_orders() {
    let mut desk = Desk::new();
    desk.submit("closed");
    desk.submit("open");
    desk.fill("closed", "t-1", 4.0, 100.0);
    desk.fill("closed", "t-2", 6.0, 100.0);
    desk.fill("open", "t-3", 5.0, 100.0);
    let mut desk = desk.restart();
    for (id, execution, quantity) in [
        ("closed", "t-1", 4.0),
        ("closed", "t-2", 6.0),
        ("open", "t-3", 5.0),
    ] {
        assert_eq!(desk.fill(id, execution, quantity, 100.0), None);
    }
    assert_eq!(
        (desk.events("replayed_fill"), desk.events("duplicate_fill")),
        (2, 1)
    );
    assert_eq!(desk.counter("trading_fills_total", &[]), 0);
    near(desk.filled("closed"), 10.0);
    near(desk.filled("open"), 5.0);
    desk.balances();
}

#[test]
fn a_completed_order_whose_last_fill_is_repeated_is_no_unknown_order() {
    let mut desk = Desk::new();
    desk.submit("o1");
    assert!(desk.fill("o1", "x1", 10.0, 100.0).is_some());
    assert_eq!(desk.fill("o1", "x1", 10.0, 100.0), None);
    desk.close("o1", OrderOutcome::Filled);
    desk.pass(Duration::from_hours(1));
    desk.book.observe();
    assert_eq!(
        (desk.events("replayed_fill"), desk.events("replayed_end")),
        (1, 1)
    );
    assert_eq!(desk.events("unknown_order"), 0);
    desk.balances();
}

/// Of 100,001 orders the first is forgotten; the replay of all of them doubles none.
#[test]
fn a_replay_of_more_than_is_remembered_doubles_nothing() {
    let mut desk = Desk::new();
    let count = OrderBook::<String>::REMEMBERED + 1;
    let id = |n: usize| format!("o{n}");
    for n in 0..count {
        desk.submit(&id(n));
        desk.fill(&id(n), "x", 10.0, 100.0).expect("complete");
    }
    let before = desk.counter("trading_fills_total", &[]);
    for n in 0..count {
        assert_eq!(desk.fill(&id(n), "x", 10.0, 100.0), None);
    }
    assert_eq!(desk.counter("trading_fills_total", &[]), before);
    assert_eq!(desk.events("replayed_fill"), count as u64 - 1);
    assert_eq!(
        desk.book.known(),
        count,
        "the remembered, and the early fill of the forgotten"
    );
}

/// An order of 200,000 executions remembers half of them. What the venue replays of the others is refused by its time, and what it
/// takes back of them is reported.
#[test]
fn a_replay_of_more_than_one_order_remembers_doubles_nothing() {
    let mut desk = Desk::new();
    let start = Timestamp::from_second(1_600_000_000).unwrap();
    let count = 2 * OrderBook::<String>::REMEMBERED;
    let fill = |n: usize| {
        let at = start + SignedDuration::from_secs(i64::try_from(n).unwrap());
        Fill::new(1.0, 100.0).with_id(n as u64).at(at)
    };
    let id = "o1".to_owned();
    desk.submit_as("o1", &Desk::ticket(Side::Buy, 1e6, 100.0));
    for n in 0..count {
        desk.book.fill(&id, fill(n));
    }
    assert_eq!(desk.counter("trading_fills_total", &[]), count as u64);
    let mut desk = desk.restart();
    for n in 0..count {
        desk.book.fill(&id, fill(n));
    }
    assert_eq!(desk.counter("trading_fills_total", &[]), 0);
    let (known, forgotten) = (desk.events("duplicate_fill"), desk.events("forgotten_fill"));
    assert_eq!(known + forgotten, count as u64);
    assert!((99_000..=100_000).contains(&forgotten), "{forgotten}");
    desk.book.bust(&id, 7);
    assert_eq!(desk.events("forgotten_fill"), forgotten + 1);
    desk.book.bust(&id, count as u64 - 1);
    let order = desk.book.get(&id).expect("open");
    assert_eq!(order.filled().to_bits(), (count as f64 - 1.0).to_bits());
}

#[test]
fn one_execution_identifier_on_two_orders_is_two_executions() {
    let mut desk = Desk::new();
    for (id, side) in [("o1", Side::Buy), ("o2", Side::Sell)] {
        desk.submit_as(id, &Desk::ticket(side, 1.0, 100.0));
        assert!(desk.fill(id, "x1", 1.0, 100.0).is_some());
    }
    assert_eq!(desk.counter("trading_fills_total", &[]), 2);
    assert_eq!(desk.events("duplicate_fill"), 0);
}

// ---- What is wrong.

#[test]
fn an_invalid_fill_does_not_use_up_its_identifier() {
    let mut desk = Desk::new();
    desk.submit("o1");
    assert_eq!(desk.fill("o1", "x1", 10.0, 0.0), None);
    let report = desk.fill("o1", "x1", 10.0, 100.5).expect("complete");
    near(report.average_price.unwrap(), 100.5);
    assert_eq!(
        (desk.events("invalid_fill"), desk.events("duplicate_fill")),
        (1, 0)
    );
    assert!(desk.book.is_empty());
}

/// `nautilus_trader#1587`: an order is filled while its cancellation is pending, and the fill says a quantity of 0.
#[test]
fn nautilus_trader_1587_a_fill_of_nothing_during_a_pending_cancel_leaves_the_order_open() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.on("o1", OrderEvent::CancelAsked);
    assert_eq!(desk.fill("o1", "t-1064", 0.0, 131.44), None);
    assert_eq!((desk.book.len(), desk.events("invalid_fill")), (1, 1));
    let report = desk.fill("o1", "t-1064", 10.0, 131.44).expect("complete");
    assert_eq!(report.outcome, OrderOutcome::Filled);
    desk.on("o1", OrderEvent::CancelRefused);
    let cancels = |outcome| desk.counter("trading_order_cancels_total", &[("outcome", outcome)]);
    assert_eq!((cancels("rejected"), cancels("accepted")), (1, 0));
    desk.balances();
}

#[test]
fn more_than_was_ordered_counts_and_is_told() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.fill("o1", "x1", 6.0, 100.0);
    let report = desk.fill("o1", "x2", 9.0, 100.0).expect("complete");
    near(report.filled, 15.0);
    assert_eq!(desk.events("overfill"), 1);
    desk.fill("o1", "x3", 1.0, 100.0);
    near(desk.filled("o1"), 16.0);
    assert_eq!((desk.events("overfill"), desk.events("late_fill")), (2, 0));
    near(desk.money("trading_filled_notional_total", &[]), 1_600.0);
}

#[test]
fn a_tenth_ten_times_is_no_overfill() {
    let mut desk = Desk::new();
    desk.submit_as("o1", &Desk::ticket(Side::Buy, 1.0, 1.0));
    for n in 0..9 {
        assert_eq!(desk.fill("o1", &n.to_string(), 0.1, 1.0), None);
    }
    assert!(desk.fill("o1", "9", 0.1, 1.0).is_some());
    assert_eq!(desk.events("overfill"), 0);
}

#[test]
fn totals_given_as_executions_are_told_as_an_overfill() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.fill("o1", "x1", 4.0, 100.0);
    desk.fill("o1", "x2", 10.0, 100.4);
    assert_eq!(desk.events("overfill"), 1);
}

#[test]
fn an_order_for_an_amount_of_money_is_complete_when_the_venue_says_so() {
    let mut desk = Desk::new();
    let ticket =
        Ticket::notional("BTC", Side::Buy, OrderType::Market, 187.0).in_currency(Currency::USD);
    desk.submit_as("o1", &ticket);
    assert_eq!(desk.fill("o1", "x1", 0.0, 187.0), None);
    assert_eq!(desk.fill("o1", "x2", 0.53, 187.0), None);
    let report = desk.close("o1", OrderOutcome::Filled).expect("closed");
    near(report.filled, 0.53);
    assert!(report.shortfall.opportunity.is_nan());
    assert_eq!(
        (desk.events("invalid_order"), desk.events("missing_fill")),
        (0, 0)
    );
}

#[test]
fn an_order_for_no_quantity_is_told_and_not_closed_by_an_invalid_fill() {
    for quantity in [0.0, -1.0, f64::INFINITY] {
        let mut desk = Desk::new();
        desk.submit_as("o1", &Desk::ticket(Side::Buy, quantity, 187.0));
        assert_eq!(desk.events("invalid_order"), 1);
        assert_eq!(desk.fill("o1", "x1", 0.0, 187.0), None);
        assert_eq!(desk.book.len(), 1);
    }
}

#[test]
fn filled_with_nothing_filled_waits_for_the_fills_and_then_says_that_they_miss() {
    let mut desk = Desk::new();
    desk.submit("late");
    desk.submit("never");
    assert_eq!(desk.close("late", OrderOutcome::Filled), None);
    assert_eq!(desk.close("never", OrderOutcome::Filled), None);
    // The status was ahead of the executions.
    assert!(desk.fill("late", "x1", 10.0, 100.0).is_some());
    assert_eq!(desk.book.len(), 1);
    let mut desk = desk.restart();
    desk.pass(OrderBook::<String>::PATIENCE);
    desk.book.observe();
    assert!(desk.book.is_empty());
    assert_eq!((desk.events("missing_fill"), desk.closed("filled")), (1, 1));
    desk.balances();
}

#[test]
fn a_fill_from_the_future_is_refused_and_what_follows_is_not() {
    let mut desk = Desk::new();
    desk.submit("o1");
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let at = |ahead: i64| {
        Fill::new(5.0, 100.0)
            .with_id("x1")
            .at(now + SignedDuration::from_secs(ahead))
    };
    assert_eq!(desk.on("o1", OrderEvent::Filled(at(301))), None);
    near(desk.filled("o1"), 0.0);
    assert_eq!(desk.events("from_future"), 1);
    desk.on("o1", OrderEvent::Filled(at(300)));
    near(desk.filled("o1"), 5.0);
    assert_eq!(
        (desk.events("from_future"), desk.events("duplicate_fill")),
        (1, 0)
    );
}

// ---- What comes early, and late.

#[test]
fn what_is_said_before_the_answer_told_the_identifier_is_applied_with_it() {
    let mut desk = Desk::new();
    desk.on("v7", OrderEvent::Acknowledged);
    desk.fill("v7", "x1", 4.0, 100.0);
    desk.submit("o1");
    near(desk.filled("o1"), 0.0);
    assert_eq!(desk.book.alias(&"o1".into(), "v7".into()), None);
    near(desk.filled("o1"), 4.0);
    let report = desk
        .fill("v7", "x2", 6.0, 100.0)
        .expect("either identifier reaches it");
    near(report.filled, 10.0);
    assert_eq!(desk.events("unknown_order"), 0);
    desk.balances();
}

#[test]
fn an_order_that_was_filled_before_it_was_inserted_closes_at_once() {
    let mut desk = Desk::new();
    desk.fill("o1", "x1", 10.0, 100.0);
    let order = desk
        .strategy
        .submit(&desk.venue, &Desk::ticket(Side::Buy, 10.0, 100.0));
    let report = desk.book.insert("o1".into(), order).expect("complete");
    near(report.filled, 10.0);
    desk.balances();
}

#[test]
fn the_alias_may_come_before_the_order_under_either_identifier() {
    for first in ["o1", "v7"] {
        let mut desk = Desk::new();
        desk.fill("v7", "x1", 4.0, 100.0);
        desk.fill("o1", "x2", 5.0, 100.0);
        desk.book.alias(&"o1".into(), "v7".into());
        desk.submit(first);
        near(desk.filled("o1"), 9.0);
        near(desk.filled("v7"), 9.0);
        desk.pass(OrderBook::<String>::PATIENCE);
        desk.book.observe();
        assert_eq!(desk.events("unknown_order"), 0);
    }
}

#[test]
fn what_stays_unknown_is_given_up_counted_and_bounded() {
    let mut desk = Desk::new();
    desk.fill("o9", "x1", 4.0, 100.0);
    assert_eq!(desk.events("unknown_order"), 0);
    desk.pass(OrderBook::<String>::PATIENCE);
    desk.submit("o1");
    assert_eq!((desk.events("unknown_order"), desk.book.known()), (1, 1));
    for n in 0..10_005 {
        desk.fill(&format!("o9-{n}"), "x", 1.0, 1.0);
    }
    assert_eq!(
        (desk.events("unknown_order"), desk.book.known()),
        (6, 10_001)
    );
}

#[test]
fn early_events_survive_a_restart() {
    let mut desk = Desk::new();
    desk.fill("o1", "x1", 4.0, 100.0);
    let mut desk = desk.restart();
    desk.submit("o1");
    near(desk.filled("o1"), 4.0);
}

#[test]
fn a_fill_that_crossed_the_cancel_is_counted_and_the_outcome_stays() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.fill("o1", "x1", 4.0, 100.0);
    let report = desk.close("o1", OrderOutcome::Cancelled).expect("closed");
    near(report.filled, 4.0);
    assert_eq!(desk.fill("o1", "x2", 6.0, 100.2), None);
    let order = desk.book.get(&"o1".into()).expect("remembered");
    near(order.filled(), 10.0);
    near(
        order.report(OrderOutcome::Cancelled).average_price.unwrap(),
        100.12,
    );
    assert_eq!(
        (
            desk.events("late_fill"),
            desk.closed("cancelled"),
            desk.closed("filled")
        ),
        (1, 1, 0)
    );
    near(
        desk.money("trading_slippage_cost_total", &[("direction", "adverse")]),
        1.2,
    );
    assert_eq!(desk.fill("o1", "x2", 6.0, 100.2), None);
    assert_eq!(desk.events("replayed_fill"), 1);
    desk.balances();
}

// ---- What changes.

#[test]
fn a_replacement_is_the_same_order() {
    let mut desk = Desk::new();
    let idea = desk.strategy.signal(obs_trading::Signal::Sell, None);
    desk.pass(Duration::from_secs(1));
    let decided = idea.decide(obs_trading::Decision::Enter);
    let order = decided.submit(&desk.venue, &Desk::ticket(Side::Sell, 10.0, 100.0));
    desk.book.insert("o1".into(), order);
    desk.fill("o1", "x1", 4.0, 100.0);
    desk.fill("o2", "x2", 5.0, 99.0); // ahead of the answer to the replacement
    desk.book
        .replace(&"o1".into(), "o2".into(), Change::to_left(8.0));
    let report = desk.fill("o2", "x3", 3.0, 99.0).expect("complete");
    near(report.filled, 12.0);
    near(
        report.slippage_bps.unwrap(),
        (100.0 - (400.0 + 8.0 * 99.0) / 12.0) * 100.0,
    );
    assert_eq!(
        report.stages.unwrap().decision,
        Some(Duration::from_secs(1)),
        "it keeps its past"
    );
    assert_eq!(desk.counter("trading_orders_total", &[]), 1);
    assert_eq!(
        desk.counter("trading_order_replaces_total", &[("outcome", "accepted")]),
        1
    );
    desk.balances();
}

/// alpacahq/Alpaca-API#165: of a partly filled order, the replacement is for the original quantity, not for what was left.
#[test]
fn alpaca_api_165_a_replacement_for_the_original_quantity_after_a_partial_fill_is_stated_as_what_is_left()
 {
    let mut desk = Desk::new();
    desk.submit_as("o1", &Desk::ticket(Side::Sell, 10.0, 100.0));
    desk.fill("o1", "x1", 4.0, 100.0);
    desk.book
        .replace(&"o1".into(), "o2".into(), Change::to_left(10.0));
    assert_eq!(
        desk.fill("o2", "x2", 6.0, 99.0),
        None,
        "14 in all, of which 10 are filled"
    );
    let report = desk.fill("o2", "x3", 4.0, 99.0).expect("complete");
    near(report.filled, 14.0);
    assert_eq!(desk.events("overfill"), 0);
}

#[test]
fn an_amendment_down_to_what_is_filled_completes_the_order() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.fill("o1", "x1", 4.0, 100.0);
    let report = desk
        .on("o1", OrderEvent::Amended(Change::to_total(4.0)))
        .expect("complete");
    assert_eq!(report.outcome, OrderOutcome::Filled);
    near(report.shortfall.opportunity, 0.0);
}

#[test]
fn requests_that_are_refused_and_states_that_pass_change_nothing() {
    let mut desk = Desk::new();
    desk.submit("o1");
    for event in [
        OrderEvent::AmendRefused,
        OrderEvent::CancelAsked,
        OrderEvent::CancelRefused,
        OrderEvent::Working,
        OrderEvent::Acknowledged,
    ] {
        assert_eq!(desk.on("o1", event), None);
    }
    desk.on("o1", OrderEvent::Restated(Change::to_total(5.0)));
    assert_eq!(desk.book.len(), 1);
    assert_eq!(
        desk.counter("trading_order_replaces_total", &[("outcome", "rejected")]),
        1
    );
    assert_eq!(
        desk.counter("trading_order_replaces_total", &[("outcome", "accepted")]),
        0
    );
    assert!(
        desk.fill("o1", "x1", 5.0, 100.0).is_some(),
        "the venue made it 5"
    );
}

#[test]
fn a_cancel_counts_as_accepted_only_where_it_was_asked_for() {
    let mut desk = Desk::new();
    for id in ["asked", "unasked"] {
        desk.submit(id);
    }
    desk.on("asked", OrderEvent::CancelAsked);
    desk.close("asked", OrderOutcome::Cancelled);
    desk.close("unasked", OrderOutcome::Cancelled);
    assert_eq!(
        desk.counter("trading_order_cancels_total", &[("outcome", "accepted")]),
        1
    );
    assert_eq!(desk.closed("cancelled"), 2);
}

#[test]
fn a_rejection_after_acknowledgement_and_fill_keeps_what_was_filled() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.on("o1", OrderEvent::Acknowledged);
    desk.fill("o1", "x1", 4.0, 100.0);
    let report = desk
        .on("o1", OrderEvent::Rejected(RejectReason::InvalidPrice))
        .expect("closed");
    assert_eq!(
        (report.outcome, report.filled),
        (OrderOutcome::Rejected, 4.0)
    );
    assert_eq!(
        desk.counter(
            "trading_orders_rejected_total",
            &[("reason", "invalid_price")]
        ),
        1
    );
}

#[test]
fn a_rejection_without_a_reason_has_the_reason_other() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.close("o1", OrderOutcome::Rejected);
    assert_eq!(
        desk.counter("trading_orders_rejected_total", &[("reason", "other")]),
        1
    );
}

// ---- What is taken back.

#[test]
fn a_bust_takes_back_quantity_and_money_and_reopens_where_the_venue_works_it_again() {
    let mut desk = Desk::new();
    desk.submit("o1");
    let fee = Fee::new(FeeKind::Commission, Money::new(0.5, Currency::USD));
    let fill = |id: &str, quantity| Fill::new(quantity, 101.0).with_id(id).with_fee(fee);
    desk.on("o1", OrderEvent::Filled(fill("x1", 4.0)));
    assert!(desk.on("o1", OrderEvent::Filled(fill("x2", 6.0))).is_some());
    let mut desk = desk.restart();
    desk.book.bust(&"o1".into(), "x2");
    near(desk.filled("o1"), 4.0);
    near(desk.money("trading_corrected_notional_total", &[]), 606.0);
    near(
        desk.money(
            "trading_slippage_cost_total",
            &[("direction", "favourable")],
        ),
        6.0,
    );
    near(desk.money("trading_fees_total", &[("kind", "rebate")]), 0.5);
    // The bust repeated, and the execution that does not exist.
    desk.book.bust(&"o1".into(), "x2");
    desk.on("o1", OrderEvent::Filled(fill("x2", 6.0)));
    near(desk.filled("o1"), 4.0);
    assert_eq!(
        (
            desk.events("duplicate_correction"),
            desk.events("replayed_fill")
        ),
        (1, 1)
    );
    desk.balances();

    desk.book.reopen(&"o1".into());
    assert_eq!(
        (
            desk.book.len(),
            desk.counter("trading_orders_reopened_total", &[])
        ),
        (1, 1)
    );
    desk.balances();
    let report = desk
        .on("o1", OrderEvent::Filled(fill("x4", 6.0)))
        .expect("complete");
    near(report.filled, 10.0);
    assert_eq!(report.fees, Some(Money::new(1.0, Currency::USD)));
    assert_eq!(
        desk.counter("trading_corrections_total", &[("kind", "bust")]),
        1
    );
    desk.balances();
}

#[test]
fn a_bust_that_is_ahead_of_its_fill_counts_as_if_it_came_after() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.book.bust(&"o1".into(), "x1");
    desk.fill("o1", "x1", 4.0, 100.0);
    near(desk.filled("o1"), 0.0);
    assert_eq!(desk.counter("trading_fills_total", &[]), 0);
}

/// `ib_insync#364`: an execId that differs only after its final period corrects the execution before; quantities are not added up.
#[test]
fn ib_insync_364_an_exec_id_with_a_higher_ending_replaces_the_execution() {
    let ib = |exec_id: &str, quantity, price| {
        OrderEvent::Filled(
            Fill::new(quantity, price).with_id(ExecutionId::of_interactive_brokers(exec_id)),
        )
    };
    let first = ib("0000e0d5.01.01", 4.0, 100.0);
    let second = ib("0000e0d5.01.02", 4.0, 100.5);
    let rest = ib("0000e0d5.02.01", 6.0, 100.0);
    for order in [
        [first, second, rest],
        [second, first, rest],
        [first, rest, second],
    ] {
        let mut desk = Desk::new();
        desk.submit("o1");
        for event in order {
            desk.on("o1", event);
        }
        let report = desk
            .book
            .get(&"o1".into())
            .unwrap()
            .report(OrderOutcome::Filled);
        near(report.filled, 10.0);
        near(report.average_price.unwrap(), 100.2);
        near(
            desk.money("trading_filled_notional_total", &[])
                - desk.money("trading_corrected_notional_total", &[]),
            1_002.0,
        );
        assert!(desk.book.is_empty());
    }
}

// ---- Other prices.

#[test]
fn spreads_have_negative_prices_and_slippage_in_price_and_money() {
    let mut desk = Desk::new();
    let spread = Desk::ticket(Side::Buy, 1.0, -17.0)
        .with_prices(Prices::Any)
        .times(100.0);
    desk.submit_as("o1", &spread);
    let report = desk.fill("o1", "x1", 1.0, -16.5).expect("complete");
    assert_eq!((report.slippage, report.slippage_bps), (Some(0.5), None));
    near(
        desk.money("trading_slippage_cost_total", &[("direction", "adverse")]),
        50.0,
    );
    near(desk.money("trading_filled_notional_total", &[]), 1_650.0);
    assert_eq!(desk.events("invalid_fill"), 0);
}

/// 20 April 2020: sold at −37.63 what was decided at 2.00.
#[test]
fn crude_oil_below_zero_is_a_price() {
    let mut desk = Desk::new();
    let oil = Desk::ticket(Side::Sell, 1.0, 2.0)
        .with_prices(Prices::Any)
        .times(1_000.0);
    desk.submit_as("o1", &oil);
    let report = desk.fill("o1", "x1", 1.0, -37.63).expect("complete");
    near(report.slippage.unwrap(), 39.63);
    near(
        desk.money("trading_slippage_cost_total", &[("direction", "adverse")]),
        39_630.0,
    );
}

#[test]
fn an_option_may_be_worth_nothing_and_a_share_may_not() {
    for (prices, price, is_price) in [
        (Prices::NotNegative, 0.0, true),
        (Prices::NotNegative, -0.01, false),
        (Prices::Positive, 0.0, false),
        (Prices::Any, f64::NAN, false),
    ] {
        let mut desk = Desk::new();
        desk.submit_as("o1", &Desk::ticket(Side::Buy, 1.0, 1.0).with_prices(prices));
        assert_eq!(
            desk.fill("o1", "x1", 1.0, price).is_some(),
            is_price,
            "{prices:?} {price}"
        );
    }
}

// ---- How brokers speak.

#[test]
fn a_polled_broker_tells_totals_and_what_is_new_counts_once() {
    let mut desk = Desk::new();
    desk.submit("o1");
    let id = "o1".to_owned();
    assert_eq!(desk.book.fill_to(&id, 0.0, 0.0), None);
    desk.book.fill_to(&id, 4.0, 100.0);
    desk.book.fill_to(&id, 4.0, 100.0);
    let mut desk = desk.restart();
    desk.book.fill_to(&id, 4.0, 100.0);
    desk.book.fill_to(&id, 3.0, 100.0);
    assert_eq!(desk.events("stale_total"), 1);
    let report = desk.book.fill_to(&id, 10.0, 100.6).expect("complete");
    near(report.average_price.unwrap(), 100.6);
    near(desk.money("trading_filled_notional_total", &[]), 606.0);
    assert_eq!(
        (
            desk.counter("trading_fills_total", &[]),
            desk.events("invalid_fill")
        ),
        (1, 0)
    );
}

#[test]
fn an_execution_that_a_total_told_already_does_not_count_again() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.book.fill_to(&"o1".to_owned(), 4.0, 100.0);
    desk.fill("o1", "x1", 4.0, 100.0);
    near(desk.filled("o1"), 4.0);
    desk.fill("o1", "x2", 5.0, 100.0);
    near(desk.filled("o1"), 9.0);
    assert_eq!(desk.counter("trading_fills_total", &[]), 2);
    near(desk.money("trading_filled_notional_total", &[]), 900.0);
}

#[test]
fn what_is_said_of_a_parent_is_said_of_each_leg_but_no_execution() {
    let mut desk = Desk::new();
    let parent = "p".to_owned();
    for (leg, symbol) in [("l1", "SPX-C"), ("l2", "SPX-P")] {
        let ticket = Ticket::new(symbol, Side::Buy, OrderType::Limit, 1.0, 10.0);
        let order = desk.strategy.submit(&desk.venue, &ticket);
        desk.book.insert_leg(&parent, leg.into(), order);
    }
    desk.fill("l1", "x1", 1.0, 10.0)
        .expect("one leg is complete");
    desk.fill("p", "x2", 1.0, 10.0);
    assert_eq!(desk.events("unknown_order"), 1);
    desk.on("p", OrderEvent::Ended(OrderOutcome::Cancelled));
    assert_eq!(
        (
            desk.closed("filled"),
            desk.closed("cancelled"),
            desk.book.len()
        ),
        (1, 1, 0)
    );
    desk.balances();
}

#[test]
fn fees_are_counted_by_kind_and_currency_and_a_rebate_is_positive() {
    let mut desk = Desk::new();
    desk.submit("o1");
    let fee = |kind, amount, currency: &str| {
        Fee::new(kind, Money::new(amount, currency.parse().unwrap()))
    };
    let fill = Fill::new(4.0, 100.0)
        .with_id("x1")
        .with_liquidity(Liquidity::Maker)
        .with_fee(fee(FeeKind::Exchange, -0.08, "USD"));
    desk.on("o1", OrderEvent::Filled(fill));
    desk.on(
        "o1",
        OrderEvent::Charged(fee(FeeKind::Commission, 0.000_12, "BNB")),
    );
    desk.on("o1", OrderEvent::Charged(fee(FeeKind::Tax, 0.5, "USD")));
    let fees = |kind, currency| {
        desk.money(
            "trading_fees_total",
            &[("kind", kind), ("currency", currency)],
        )
    };
    near(fees("rebate", "USD"), 0.08);
    near(fees("tax", "USD"), 0.5);
    near(fees("commission", "BNB"), 0.000_12);
    let report = desk
        .book
        .get(&"o1".into())
        .unwrap()
        .report(OrderOutcome::Cancelled);
    assert_eq!(report.fees, Some(Money::new(0.42, Currency::USD)));
    assert!(
        report.shortfall.fees.is_nan(),
        "one fee is in another currency"
    );
    assert_eq!(
        desk.counter("trading_fills_total", &[("liquidity", "maker")]),
        1
    );
}

#[test]
fn one_share_at_50_bps_and_100_000_at_1_weigh_what_they_cost() {
    let mut desk = Desk::new();
    for (id, quantity, price) in [("small", 1.0, 100.5), ("large", 100_000.0, 100.01)] {
        desk.submit_as(id, &Desk::ticket(Side::Buy, quantity, 100.0));
        desk.fill(id, "x", quantity, price).expect("complete");
    }
    let cost = desk.money("trading_slippage_cost_total", &[("direction", "adverse")]);
    near(cost, 1_000.5);
    let bps = cost / desk.money("trading_filled_notional_total", &[]) * 1e4;
    assert!((bps - 1.0).abs() < 0.001, "{bps}");
}

#[test]
fn an_order_by_hand_has_no_stages_before_its_submission() {
    let mut desk = Desk::new();
    desk.submit("o1");
    desk.pass(Duration::from_secs(2));
    let stages = desk.fill("o1", "x1", 10.0, 100.0).unwrap().stages.unwrap();
    assert_eq!((stages.decision, stages.submission), (None, None));
    assert_eq!(stages.total(), Duration::from_secs(2));
    let samples = |name, labels: &[_]| desk.test.samples(name, labels).unwrap_or_default();
    let strategy = ("strategy", "crossover");
    assert_eq!(
        samples("trading_execution_duration_seconds", &[strategy]),
        [0.0_f64; 0]
    );
    for stage in ["decision", "submission", "acknowledgement", "fill"] {
        let labels = [strategy, ("stage", stage)];
        assert_eq!(
            samples("trading_order_stage_duration_seconds", &labels),
            [0.0_f64; 0]
        );
    }
    let venue = [("venue", "paper"), ("order_type", "limit")];
    assert_eq!(
        samples("trading_order_fill_duration_seconds", &venue),
        [2.0]
    );
}

#[test]
fn the_oldest_order_that_waits_is_shown_and_none_is_undefined() {
    let mut desk = Desk::new();
    let oldest = |desk: &Desk, state| {
        let labels = [("venue", "paper"), ("state", state)];
        desk.test
            .gauge("trading_order_oldest_timestamp_seconds", &labels)
            .expect("it exists from the start")
    };
    assert!(oldest(&desk, "open").is_nan());
    desk.submit("o1");
    desk.pass(Duration::from_secs(5));
    desk.submit("o2");
    desk.on("o1", OrderEvent::Acknowledged);
    desk.book.observe();
    assert_eq!(
        (oldest(&desk, "unacknowledged"), oldest(&desk, "open")),
        (1_700_000_005.0, 1_700_000_000.0)
    );
    desk.close("o1", OrderOutcome::Expired);
    desk.close("o2", OrderOutcome::Expired);
    desk.book.observe();
    assert!(oldest(&desk, "open").is_nan() && oldest(&desk, "unacknowledged").is_nan());
}

#[test]
fn an_order_is_timed_from_the_event_of_the_market_that_caused_it_if_one_did() {
    let desk = Desk::new();
    let ticket = Desk::ticket(Side::Buy, 1.0, 100.0);
    let caused = ticket.caused_by(desk.strategy.market_event());
    for ticket in [ticket, caused] {
        drop(desk.strategy.submit(&desk.venue, &ticket));
    }
    let name = "trading_tick_to_order_duration_seconds";
    let samples = desk.test.samples(name, &[("strategy", "crossover")]);
    assert_eq!(samples.map(|samples| samples.len()), Some(1));
}

// ---- What is kept.

#[test]
fn an_order_without_a_benchmark_is_kept_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = StateFile::<SavedBook<String>>::new(folder.path().join("orders.state"), "orders", 2);
    let mut desk = Desk::new();
    for (id, benchmark) in [
        ("nan", f64::NAN),
        ("infinite", f64::INFINITY),
        ("good", 100.0),
    ] {
        desk.submit_as(id, &Desk::ticket(Side::Buy, 10.0, benchmark));
    }
    desk.submit_as("unknown", &Desk::ticket(Side::Buy, f64::NAN, 100.0));
    file.save(&desk.book.save()).expect("it can be kept");
    let saved = file.load().unwrap().expect("it was kept");
    let later = Desk::new();
    let book = OrderBook::restore(&later.venue, saved, |_| later.strategy.clone());
    assert_eq!(book.len(), 4);
    assert!(
        book.get(&"unknown".to_owned())
            .unwrap()
            .remaining()
            .is_nan()
    );
}

/// Neither what is wrong about unknown orders nor numbers beyond all sums keeps a book from being kept.
#[test]
fn a_book_with_wrong_numbers_in_it_is_kept_like_any_other() {
    let mut desk = Desk::new();
    desk.fill("early", "x1", f64::NAN, f64::INFINITY);
    let total = OrderEvent::FilledTo {
        cumulative: f64::NEG_INFINITY,
        average: f64::NAN,
    };
    desk.on("early", total);
    desk.on("early", OrderEvent::Restated(Change::to_total(f64::NAN)));
    let fee = Fee::new(FeeKind::Other, Money::new(f64::NAN, Currency::USD));
    desk.on("early", OrderEvent::Charged(fee));
    desk.submit("huge");
    desk.fill("huge", "x1", f64::MAX, f64::MAX);
    desk.on(
        "huge",
        OrderEvent::FilledTo {
            cumulative: f64::MAX,
            average: f64::MAX,
        },
    );
    let mut desk = desk.restart();
    near(desk.filled("huge"), 0.0);
    desk.submit("early");
    near(desk.filled("early"), 0.0);
    assert_eq!(
        (desk.events("invalid_fill"), desk.events("invalid_order")),
        (2, 1)
    );
}
