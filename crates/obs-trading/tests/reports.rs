//! What users of other engines reported, reproduced: each test is named after the report whose situation it plays through.

use std::time::Duration;

use obs_core::TestRecorder;
use obs_trading::{
    Change, Currency, Fill, Instrument, Money, OrderBook, OrderEvent, OrderOutcome, OrderType,
    Positions, ReplayClock, SavedBook, Side, Strategy, Ticket, Venue,
};

/// When each life begins, since 1970.
const START: Duration = Duration::from_secs(1_700_000_000);

/// One life of a process with its orders.
struct Desk {
    test: TestRecorder,
    clock: ReplayClock,
    strategy: Strategy,
    venue: Venue,
    book: OrderBook<String>,
}

impl Desk {
    fn new() -> Self {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        clock.advance_to(START);
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

    fn replace(&mut self, id: &str, new: &str, change: Change) {
        self.book.replace(&id.to_owned(), new.to_owned(), change);
    }

    fn bust(&mut self, id: &str, execution: &str) {
        self.book.bust(&id.to_owned(), execution);
    }

    fn pass(&mut self, time: Duration) {
        self.clock.advance_to(START + time);
        self.book.observe();
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

/// `nautilus_trader#3986`: a venue modifies by cancelling and replacing. Of an order for 10 half is executed; modified for 10, or for the
/// 5 that are left, the replacement is executed whole. Either was taken for an overfill.
#[test]
fn nautilus_trader_3986_a_replacement_may_count_what_is_left_or_all() {
    for (change, rest) in [
        (Change::to_left(10.0), 10.0),
        (Change::to_left(5.0), 5.0),
        (Change::to_total(10.0), 5.0),
    ] {
        let mut desk = Desk::new();
        desk.submit("o-1", Side::Buy, 10.0);
        desk.fill("o-1", "t-1", 5.0);
        desk.replace("o-1", "o-2", change);
        desk.fill("o-2", "t-2", rest);
        assert_eq!(desk.state("o-1"), (5.0 + rest, Some(OrderOutcome::Filled)));
        assert_eq!(desk.events(), []);
    }
}

/// `nautilus_trader#4154`: while a modification is on its way, 0.165 of 1 is executed under the old identifier; the replacement is then
/// for the 0.835 that are left.
#[test]
fn nautilus_trader_4154_a_fill_while_the_modification_is_under_way_counts_for_what_is_left() {
    // The fill comes before the answer to the modification, or after it.
    for is_late in [false, true] {
        let mut desk = Desk::new();
        desk.submit("oid-1", Side::Buy, 1.0);
        if !is_late {
            desk.fill("oid-1", "t-1", 0.165);
        }
        desk.replace("oid-1", "oid-2", Change::to_total(1.0));
        if is_late {
            desk.fill("oid-1", "t-1", 0.165);
        }
        let left = desk.book.get(&"oid-2".to_owned()).unwrap().remaining();
        assert_eq!(left.to_bits(), 0.835_f64.to_bits());
        desk.fill("oid-2", "t-2", 0.835);
        assert_eq!(desk.state("oid-1"), (1.0, Some(OrderOutcome::Filled)));
        assert_eq!(desk.events(), []);
    }
}

/// `nautilus_trader#4491`: an execution is taken back before it is reported, and so is the one after it; the order stood at 0 and the
/// position at 40.
#[test]
fn nautilus_trader_4491_an_execution_taken_back_before_it_comes_counts_nowhere() {
    let mut desk = Desk::new();
    desk.submit("o-1", Side::Buy, 100.0);
    let at = "2026-07-17T15:00:00Z".parse().unwrap();
    let usd = Money::new(100_000, Currency::USD);
    let mut positions =
        Positions::new("main", at, usd).with_instrument("SPX", Instrument::new(Currency::USD));
    let key = positions.key("crossover", "SPX").unwrap();
    let fill = |id: &str, quantity: f64| Fill::new(quantity, 100.0).with_id(id).at(at);
    desk.bust("o-1", "t-1");
    let _ = positions.bust(key, Side::Buy, "t-1").unwrap();
    for (id, quantity) in [("t-1", 60.0), ("t-2", 40.0)] {
        desk.fill("o-1", id, quantity);
        let _ = positions.fill(key, Side::Buy, &fill(id, quantity)).unwrap();
    }
    assert_eq!(desk.state("o-1"), (40.0, None));
    assert_eq!(positions.quantity(key).unwrap(), 40.into());
    desk.bust("o-1", "t-2");
    let _ = positions.bust(key, Side::Buy, "t-2").unwrap();
    assert_eq!(desk.state("o-1"), (0.0, None));
    assert!(positions.quantity(key).unwrap().is_zero());
    assert_eq!(positions.value(), Some(usd));
}

/// `nautilus_trader#4787`: of an order for 10, 7 are executed and the rest is cancelled; the venue calls it filled, and it stayed
/// open for ever.
#[test]
fn nautilus_trader_4787_an_order_called_filled_with_a_rest_comes_to_an_end() {
    let mut desk = Desk::new();
    desk.submit("gtc", Side::Buy, 10.0);
    desk.fill("gtc", "t-1", 7.0);
    desk.book.on(&"gtc".to_owned(), OrderEvent::CancelAsked);
    desk.end("gtc", OrderOutcome::Filled);
    assert_eq!(desk.state("gtc"), (7.0, None), "its fills may follow");
    desk.pass(OrderBook::<String>::PATIENCE);
    assert_eq!(desk.state("gtc"), (7.0, Some(OrderOutcome::Filled)));
    assert_eq!(desk.events(), [event("missing_fill", 1)]);
}

/// `zipline-reloaded#332`: nine shares are to be sold short when a hundred become one. The order was rounded to no shares, counted
/// as filled, and could not be cancelled.
#[test]
fn zipline_reloaded_332_a_reverse_split_leaves_a_small_order_open_to_be_cancelled() {
    let mut desk = Desk::new();
    desk.submit("muln", Side::Sell, 9.0);
    desk.book.split("SPX", 1, 100);
    assert_eq!(desk.state("muln"), (0.0, None));
    let left = desk.book.get(&"muln".to_owned()).unwrap().remaining();
    assert_eq!(left.to_bits(), 0.09_f64.to_bits());
    desk.end("muln", OrderOutcome::Cancelled);
    assert_eq!(desk.state("muln"), (0.0, Some(OrderOutcome::Cancelled)));
    assert_eq!((desk.fills(), desk.events()), (0, Vec::new()));
}

/// `DarriEy/Auramaur#355`: the server stamps run a second ahead of the host's clock, and 29 of 35 quotes were refused as coming from the
/// future. A small skew is none; what lies implausibly far ahead is refused.
#[test]
fn auramaur_355_a_server_clock_one_second_ahead_is_no_fault() {
    let mut desk = Desk::new();
    desk.submit("o-1", Side::Buy, 10.0);
    let now = obs_trading::jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let ahead = |seconds: i64, id: &str| {
        let at = now + obs_trading::jiff::SignedDuration::from_secs(seconds);
        Fill::new(5.0, 100.0).with_id(id).at(at)
    };
    desk.book.fill(&"o-1".to_owned(), ahead(1, "t-1"));
    assert_eq!(desk.state("o-1"), (5.0, None));
    assert_eq!(desk.events(), []);
    desk.book.fill(&"o-1".to_owned(), ahead(3_600, "t-2"));
    assert_eq!(desk.state("o-1"), (5.0, None));
    assert_eq!(desk.events(), [event("from_future", 1)]);
}
