//! What users of other engines reported, reproduced: each test is named after the report whose situation it plays through.

use std::time::Duration;

use obs_core::TestRecorder;
use obs_trading::{
    Fill, OrderBook, OrderEvent, OrderOutcome, OrderType, ReplayClock, SavedBook, Side, Strategy,
    Ticket, Venue,
};

/// One life of a process with its orders.
struct Desk {
    test: TestRecorder,
    strategy: Strategy,
    venue: Venue,
    book: OrderBook<String>,
}

impl Desk {
    fn new() -> Self {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        clock.advance_to(Duration::from_secs(1_700_000_000));
        let (strategy, venue) = test.run(|| {
            let strategy = Strategy::with_clock("crossover", &clock);
            (strategy, Venue::with_clock("paper", &clock))
        });
        let book = OrderBook::new(&venue);
        Self {
            test,
            strategy,
            venue,
            book,
        }
    }

    fn submit(&mut self, id: &str, side: Side, quantity: f64) {
        let ticket = Ticket::new("SPX", side, OrderType::Limit, quantity, 100.0);
        let order = self.strategy.submit(&self.venue, &ticket);
        self.book.insert(id.to_owned(), order);
    }

    fn fill(&mut self, id: &str, execution: &str, quantity: f64) {
        let fill = Fill::new(quantity, 100.0).with_id(execution);
        self.book.fill(&id.to_owned(), fill);
    }

    fn total(&mut self, id: &str, cumulative: f64) {
        self.book.fill_to(&id.to_owned(), cumulative, 100.0);
    }

    fn end(&mut self, id: &str, outcome: OrderOutcome) {
        self.book.on(&id.to_owned(), OrderEvent::Ended(outcome));
    }

    fn state(&self, id: &str) -> (f64, Option<OrderOutcome>) {
        let order = self.book.get(&id.to_owned()).expect("it is known");
        (order.filled(), order.ended())
    }

    fn fills(&self) -> u64 {
        self.test.counter_sum("trading_fills_total", &[])
    }

    /// The kinds of events that were counted, and how often.
    fn events(&self) -> Vec<(String, u64)> {
        let events = self.test.snapshot().into_iter().filter_map(|recorded| {
            let event = recorded.labels.iter().find(|(key, _)| *key == "event");
            let (_, event) = event.filter(|_| recorded.name.contains("events_ignored"))?;
            match recorded.value {
                obs_core::TestValue::Counter(count) if count > 0 => Some((event.clone(), count)),
                _ => None,
            }
        });
        events.collect()
    }

    /// What is saved now, as a later process finds it.
    fn save(&self) -> String {
        serde_json::to_string(&self.book.save()).expect("it can be written")
    }

    fn restart(self, saved: &str) -> Self {
        std::mem::forget(self.book);
        let mut later = Self::new();
        let saved: SavedBook<String> = serde_json::from_str(saved).expect("it can be read");
        let strategy = later.strategy.clone();
        later.book = OrderBook::restore(&later.venue, saved, |_| strategy.clone());
        later
    }
}

fn event(name: &str, count: u64) -> (String, u64) {
    (name.to_owned(), count)
}

/// `nautilus_trader#3476`: at a restart, SELL 5 is completed and BUY 5 is open with 4 executed, so the account is short 1. The open
/// order's report says 4 once more, and the book made long 3 of that.
#[test]
fn nautilus_trader_3476_the_partial_fill_of_an_open_order_counts_once_over_a_restart() {
    let mut desk = Desk::new();
    desk.submit("109", Side::Sell, 5.0);
    desk.fill("109", "e-1", 5.0);
    desk.submit("110", Side::Buy, 5.0);
    desk.fill("110", "e-2", 1.0);
    desk.fill("110", "e-3", 3.0);
    let saved = desk.save();
    let mut desk = desk.restart(&saved);
    // The status report of the open order, and then its executions.
    desk.total("110", 4.0);
    desk.fill("110", "e-2", 1.0);
    desk.fill("110", "e-3", 3.0);
    let net = desk.state("110").0 - desk.state("109").0;
    assert_eq!(net.to_bits(), (-1.0_f64).to_bits());
    assert_eq!(desk.fills(), 0);
    assert_eq!(desk.events(), [event("duplicate_fill", 2)]);
}

/// hummingbot#2945: an order is filled in the moment in which the strategy is stopped; started again, it pulls the same fill.
#[test]
fn hummingbot_2945_a_fill_in_the_moment_of_the_stop_counts_once() {
    // Either the fill was saved, or the stop was faster.
    for is_saved in [true, false] {
        let mut desk = Desk::new();
        desk.submit("buy-1", Side::Buy, 55.0);
        let before = desk.save();
        desk.fill("buy-1", "t-1", 55.0);
        let after = desk.save();
        let mut desk = desk.restart(if is_saved { &after } else { &before });
        for _ in 0..2 {
            desk.fill("buy-1", "t-1", 55.0);
        }
        assert_eq!(desk.state("buy-1"), (55.0, Some(OrderOutcome::Filled)));
        assert_eq!(desk.fills(), u64::from(!is_saved));
        let replayed = if is_saved { 2 } else { 1 };
        assert_eq!(desk.events(), [event("replayed_fill", replayed)]);
    }
}

/// hummingbot#4990: two trades at the venue; the strategy is stopped right after a fill, and the completion that the status says
/// after the restart was recorded as a third.
#[test]
fn hummingbot_4990_a_completion_told_by_the_status_after_a_restart_is_no_further_trade() {
    let mut desk = Desk::new();
    desk.submit("buy-1", Side::Buy, 10.0);
    desk.submit("sell-1", Side::Sell, 10.0);
    desk.fill("buy-1", "t-1", 10.0);
    desk.fill("sell-1", "t-2", 10.0);
    assert_eq!(desk.fills(), 2);
    let saved = desk.save();
    let mut desk = desk.restart(&saved);
    desk.total("sell-1", 10.0);
    desk.end("sell-1", OrderOutcome::Filled);
    assert_eq!(desk.state("sell-1"), (10.0, Some(OrderOutcome::Filled)));
    assert_eq!(desk.fills(), 0);
    assert_eq!(desk.events(), [event("replayed_end", 1)]);
}

/// alpacahq/Alpaca-API#170: partial fills of one millisecond are listed in another order than they happened in.
#[test]
fn alpaca_api_170_partial_fills_of_one_millisecond_add_up_in_any_order() {
    // Quantity and the total after it, as listed; the last one is what is missing between them.
    let listed = [
        (100.0, 869.0),
        (51.0, 970.0),
        (30.0, 1_000.0),
        (50.0, 919.0),
    ];
    let mut desk = Desk::new();
    desk.submit("ee80", Side::Buy, 1_000.0);
    desk.fill("ee80", "before", 769.0);
    for (n, (quantity, _)) in listed.iter().enumerate() {
        assert_eq!(desk.state("ee80").1, None, "not complete before {n}");
        desk.fill("ee80", &format!("20210127144930176::{n}"), *quantity);
    }
    assert_eq!(desk.state("ee80"), (1_000.0, Some(OrderOutcome::Filled)));
    // And by its totals: what is behind is no fill.
    desk.submit("ff91", Side::Buy, 1_000.0);
    for (_, cumulative) in listed {
        desk.total("ff91", cumulative);
    }
    assert_eq!(desk.state("ff91"), (1_000.0, Some(OrderOutcome::Filled)));
    assert_eq!(desk.events(), [event("stale_total", 1)]);
}

/// QuantConnect/Lean#4014: the quantity of a partial fill is the total so far, and was added up.
#[test]
fn lean_4014_cumulative_quantities_are_told_as_totals() {
    let mut desk = Desk::new();
    desk.submit("rbz", Side::Buy, 10.0);
    for cumulative in [4.0, 7.0, 10.0] {
        desk.total("rbz", cumulative);
    }
    assert_eq!(desk.state("rbz"), (10.0, Some(OrderOutcome::Filled)));
    // Given as increments all the same, they are seen.
    desk.submit("other", Side::Buy, 10.0);
    for (n, cumulative) in [4.0, 7.0, 10.0].into_iter().enumerate() {
        desk.fill("other", &n.to_string(), cumulative);
    }
    assert_eq!(desk.events(), [event("overfill", 2)]);
}

/// ccxt#18078: of two orders one is filled; the cancellation of the other brings the fill of the first once more.
#[test]
fn ccxt_18078_a_fill_repeated_on_a_cancellation_changes_nothing() {
    let mut desk = Desk::new();
    desk.submit("10002", Side::Sell, 20.0);
    desk.submit("10003", Side::Sell, 20.0);
    desk.fill("10002", "19334107", 20.0);
    desk.book.on(&"10003".to_owned(), OrderEvent::CancelAsked);
    desk.fill("10002", "19334107", 20.0);
    desk.end("10003", OrderOutcome::Cancelled);
    assert_eq!(desk.state("10002"), (20.0, Some(OrderOutcome::Filled)));
    assert_eq!(desk.state("10003"), (0.0, Some(OrderOutcome::Cancelled)));
    assert_eq!(desk.fills(), 1);
    assert_eq!(desk.events(), [event("replayed_fill", 1)]);
}
