//! The cases of orders, rules and ledgers that failed in the first edition, a line each: what is fed, and what is right.

#![expect(clippy::float_cmp, reason = "what is compared comes out exactly")]

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_trading::{
    Basis, Calendar, CashAccount, CashRule, Change, ClosedTrade, ComplianceRule, Conventions,
    Currency, DayTradeRule, DayTrades, Error, ExecutionId, Fill, Ledger, Money, OrderBook,
    OrderEvent, OrderOutcome, OrderReport, OrderType, Period, PeriodsPerYear, Prices, RejectReason,
    ReplayClock, Risk, SavedBook, SettlementDays, Side, StateFile, Strategy, Ticket, Transfer,
    Undefined, Valuation, Venue,
};

// ---- Orders.

/// Name, events, and what is right: how an order ended, how much of it was filled and at which average price; then counts.
type OrderCase = (&'static str, &'static str, &'static str);

const ORDERS: &[OrderCase] = &[
    (
        "restart after a partial fill, the broker replays today's executions",
        "submit o1 buy 10 100; fill o1 x1 4 100; restart; fill o1 x1 4 100; fill o1 x2 3 101; fill o1 x3 3 101",
        "o1 filled 10 100.6; duplicate_fill 1; unknown_order 0; resumed 1",
    ),
    (
        "invalid first, and the same execution again with its price",
        "submit o1 buy 10 100; fill o1 x1 10 0; fill o1 x1 10 100.5",
        "o1 filled 10 100.5; invalid_fill 1; duplicate_fill 0",
    ),
    (
        "a fill after the cancel",
        "submit o1 buy 10 100; fill o1 x1 4 100; close o1 cancelled; fill o1 x2 6 100.2",
        "o1 cancelled 10 100.12; late_fill 1; unknown_order 0",
    ),
    (
        "cancelled after a partial fill",
        "submit o1 sell 10 100; fill o1 x1 4 99; close o1 cancelled",
        "o1 cancelled 4 99; bps 100",
    ),
    (
        "more than was ordered",
        "submit o1 buy 10 100; fill o1 x1 6 100; fill o1 x2 9 100",
        "o1 filled 15 100; overfill 1",
    ),
    (
        "a calendar spread at -17",
        "spread o1 buy 1 -17; fill o1 x1 1 -17",
        "o1 filled 1 -17; invalid_fill 0; slippage 0",
    ),
    (
        "WTI on 20 April 2020: decided at 2.00, sold at -37.63",
        "spread o1 sell 1 2; fill o1 x1 1 -37.63",
        "o1 filled 1 -37.63; invalid_fill 0; slippage 39.63",
    ),
    (
        "an order for no quantity",
        "submit o1 buy 0 187; fill o1 x1 0 187",
        "o1 open 0 NaN; invalid_order 1; invalid_fill 1",
    ),
    (
        "an order whose quantity is not known",
        "submit o1 buy NaN 187; fill o1 x1 0.53 187; close o1 filled",
        "o1 filled 0.53 187; missing_fill 0; invalid_order 0",
    ),
    (
        "rejected after an acknowledgement and a partial fill",
        "submit o1 buy 10 100; ack o1; fill o1 x1 4 100; reject o1",
        "o1 rejected 4 100",
    ),
    (
        "amended from 10 to the 4 that are filled",
        "submit o1 buy 10 100; fill o1 x1 4 100; amend o1 4",
        "o1 filled 4 100",
    ),
    (
        "replaced under a new identifier after a partial fill: one order",
        "submit o1 sell 10 100; fill o1 x1 4 100; replace o1 o2 6; fill o2 x2 6 99",
        "o1 filled 10 99.4; orders 1; bps 60",
    ),
    (
        "a correction of Interactive Brokers: 0001.02 after 0001.01",
        "submit o1 buy 10 100; ib o1 0001.01 4 100; ib o1 0001.02 4 100.5; ib o1 0002.01 6 100",
        "o1 filled 10 100.2; duplicate_fill 0; overfill 0",
    ),
    (
        "fills out of order, and before the acknowledgement",
        "submit o1 buy 10 100; fill o1 x2 6 100.1; ack o1; fill o1 x1 4 100",
        "o1 filled 10 100.06",
    ),
    (
        "a fill faster than the answer to the order",
        "fill o1 x1 10 100; submit o1 buy 10 100",
        "o1 filled 10 100; unknown_order 0",
    ),
    (
        "filled, with nothing filled",
        "submit o1 buy 10 100; close o1 filled; wait",
        "o1 filled 0 NaN; missing_fill 1",
    ),
    (
        "sold for less",
        "submit o1 sell 3 200; fill o1 x1 1 199; fill o1 x2 2 199.5",
        "o1 filled 3 199.33333333333334; bps 33.33333333333",
    ),
    (
        "bought for less",
        "submit o1 buy 3 200; fill o1 x1 3 199",
        "o1 filled 3 199; bps -50",
    ),
    (
        "a tenth ten times",
        "submit o1 buy 1 1; fill o1 x0 .1 1; fill o1 x1 .1 1; fill o1 x2 .1 1; fill o1 x3 .1 1; fill o1 x4 .1 1; \
         fill o1 x5 .1 1; fill o1 x6 .1 1; fill o1 x7 .1 1; fill o1 x8 .1 1; fill o1 x9 .1 1",
        "o1 filled 1 1; overfill 0",
    ),
    (
        "closed as rejected",
        "submit o1 buy 1 1; close o1 rejected",
        "o1 rejected 0 NaN; rejected 1",
    ),
    (
        "totals handed over as executions are an overfill",
        "submit o1 buy 10 100; fill o1 x1 4 100; fill o1 x2 10 100.4",
        "o1 filled 14 100.28571428571429; overfill 1",
    ),
    (
        "totals handed over as totals",
        "submit o1 buy 10 100; total o1 4 100; total o1 10 100.4",
        "o1 filled 10 100.4; overfill 0; bps 40",
    ),
    (
        "one execution identifier on two orders",
        "submit o1 buy 1 100; submit o2 buy 1 100; fill o1 x1 1 100; fill o2 x1 1 100",
        "o1 filled 1 100; o2 filled 1 100; duplicate_fill 0",
    ),
    (
        "the stream repeats the last execution of a complete order",
        "submit o1 buy 10 100; fill o1 x1 10 100; fill o1 x1 10 100",
        "o1 filled 10 100; replayed_fill 1; unknown_order 0",
    ),
    (
        "a fill under the identifier that an amendment gave, before its answer",
        "submit o1 buy 10 100; fill o1 x1 4 100; fill o1-new x2 6 100; replace o1 o1-new 6",
        "o1 filled 10 100; unknown_order 0; orders 1",
    ),
    (
        "a replay in full of a partly filled order whose rest comes later",
        "submit o1 buy 10 100; fill o1 x1 6 100; restart; fill o1 x1 6 100; fill o1 x2 4 100",
        "o1 filled 10 100; duplicate_fill 1",
    ),
];

#[test]
fn orders_end_as_they_did_at_the_venue() {
    for (name, events, right) in ORDERS {
        let mut desk = Desk::new();
        for event in events.split("; ") {
            desk = desk.take(event);
        }
        for expected in right.split("; ") {
            desk.check(expected, name);
        }
    }
}

struct Desk {
    test: TestRecorder,
    clock: ReplayClock,
    strategy: Strategy,
    venue: Venue,
    book: OrderBook<String>,
    reports: HashMap<String, OrderReport>,
    /// Of an earlier process.
    resumed: bool,
}

impl Desk {
    fn new() -> Self {
        let (test, clock) = (TestRecorder::new(), ReplayClock::new());
        clock.advance_to(std::time::Duration::from_secs(1_700_000_000));
        let (strategy, venue) = test.run(|| {
            let strategy = Strategy::with_clock("s", &clock);
            (strategy, Venue::with_clock("v", &clock))
        });
        let book = OrderBook::new(&venue);
        Self {
            test,
            clock,
            strategy,
            venue,
            book,
            reports: HashMap::new(),
            resumed: false,
        }
    }

    fn take(mut self, event: &str) -> Self {
        let words: Vec<_> = event.split_whitespace().collect();
        let id = words.get(1).copied().unwrap_or_default().to_owned();
        let number = |place: usize| -> f64 { words[place].parse().expect("a number") };
        let fill = |id: ExecutionId| Fill::new(number(3), number(4)).with_id(id);
        let report = match words[0] {
            "submit" | "spread" => {
                let side = if words[2] == "buy" {
                    Side::Buy
                } else {
                    Side::Sell
                };
                let ticket = Ticket::new("X", side, OrderType::Limit, number(3), number(4));
                let prices = if words[0] == "spread" {
                    Prices::Any
                } else {
                    Prices::default()
                };
                let ticket = ticket.with_prices(prices);
                let order = self.strategy.submit(&self.venue, &ticket);
                self.book.insert(id.clone(), order)
            }
            "ack" => self.book.on(&id, OrderEvent::Acknowledged),
            "fill" => self.book.fill(&id, fill(words[2].into())),
            "ib" => {
                let execution = ExecutionId::of_interactive_brokers(words[2]);
                self.book.fill(&id, fill(execution))
            }
            "total" => {
                let (cumulative, average) = (number(2), number(3));
                let total = OrderEvent::FilledTo {
                    cumulative,
                    average,
                };
                self.book.on(&id, total)
            }
            "amend" => {
                let change = Change::to_total(number(2));
                self.book.on(&id, OrderEvent::Amended(change))
            }
            "replace" => self
                .book
                .replace(&id, words[2].into(), Change::to_left(number(3))),
            "reject" => {
                let rejected = OrderEvent::Rejected(RejectReason::Other);
                self.book.on(&id, rejected)
            }
            "close" => {
                let outcome = words[2].parse().expect("an outcome");
                self.book.on(&id, OrderEvent::Ended(outcome))
            }
            "wait" => {
                let later = self.clock.now() + OrderBook::<String>::PATIENCE;
                self.clock.advance_to(later);
                self.book.observe();
                None
            }
            "restart" => return self.restart(),
            other => panic!("{other}"),
        };
        if let Some(report) = report {
            self.reports.insert(id, report);
        }
        self
    }

    fn restart(self) -> Self {
        let json = serde_json::to_string(&self.book.save()).expect("it can be written");
        std::mem::forget(self.book);
        let mut later = Self::new();
        let saved: SavedBook<String> = serde_json::from_str(&json).expect("it can be read");
        let strategy = later.strategy.clone();
        later.book = OrderBook::restore(&later.venue, saved, |_| strategy.clone());
        later.resumed = true;
        later
    }

    fn check(&self, expected: &str, case: &str) {
        let words: Vec<_> = expected.split_whitespace().collect();
        let number = |place: usize| -> f64 { words[place].parse().expect("a number") };
        let near = |ours: f64, right: f64| {
            let is_same = ours.is_nan() && right.is_nan();
            assert!(
                is_same || (ours - right).abs() <= 1e-9 * right.abs().max(1.0),
                "{case}: {expected}, and not {ours}"
            );
        };
        let count = |name: &str, labels: &[(&str, &str)]| {
            near(self.test.counter_sum(name, labels) as f64, number(1));
        };
        match words[0] {
            "orders" => count("trading_orders_total", &[]),
            "resumed" => count("trading_orders_resumed_total", &[]),
            "rejected" => count("trading_orders_rejected_total", &[]),
            "bps" => near(self.only().slippage_bps.expect("defined"), number(1)),
            "slippage" => near(self.only().slippage.expect("defined"), number(1)),
            id if words.len() == 4 => self.check_order(id, words[1], number(2), number(3), near),
            kind => count("trading_order_events_ignored_total", &[("event", kind)]),
        }
    }

    fn check_order(
        &self,
        id: &str,
        outcome: &str,
        filled: f64,
        average: f64,
        near: impl Fn(f64, f64),
    ) {
        let known = self.book.get(&id.to_owned());
        let report = match known {
            // Also what came after its end.
            Some(order) => order.report(order.ended().unwrap_or(OrderOutcome::Filled)),
            None => self.only(),
        };
        let (open, count) = (f64::from(u8::from(outcome == "open")), self.book.len());
        if outcome == "open" {
            assert_eq!(count as f64, open, "{id} is open");
        } else {
            let labels = [("outcome", outcome)];
            let closed = self
                .test
                .counter_sum("trading_orders_closed_total", &labels);
            assert!(closed >= 1, "{id} closed as {outcome}");
            assert_eq!(count, 0, "{id} is closed");
        }
        near(report.filled, filled);
        near(report.average_price.unwrap_or(f64::NAN), average);
    }

    fn only(&self) -> OrderReport {
        *self.reports.values().next().expect("a report")
    }
}

/// One share at 50 bp and 100,000 at 1 bp: by order their mean is 25.5 bp, by money 1.0005.
#[test]
fn slippage_weighs_what_it_cost() {
    let test = TestRecorder::new();
    let (strategy, venue) = test.run(|| (Strategy::new("s"), Venue::new("v")));
    for (quantity, price) in [(1.0, 100.5), (1e5, 100.01)] {
        let ticket = Ticket::new("A", Side::Buy, OrderType::Market, quantity, 100.0);
        let ticket = ticket.in_currency(Currency::USD);
        let mut order = strategy.submit(&venue, &ticket);
        order.fill(Fill::new(quantity, price));
        order.close_filled();
    }
    // Counters of money count millionths.
    let money = |name: &str| test.counter_sum(name, &[]) as f64 / 1e6;
    let cost = money("trading_slippage_cost_total");
    assert!((cost - 1_000.5).abs() < 1e-6, "{cost}");
    let benchmark = money("trading_filled_notional_total") - cost;
    assert!((benchmark - 10_000_100.0).abs() < 1e-6, "{benchmark}");
}

/// An order without a benchmark, among others: all of them are written and read.
#[test]
fn an_order_without_a_benchmark_is_kept_with_the_others() {
    let test = TestRecorder::new();
    let folder = tempfile::tempdir().unwrap();
    test.run(|| {
        let (strategy, venue) = (Strategy::new("s"), Venue::new("v"));
        let ticket = |benchmark| Ticket::new("A", Side::Buy, OrderType::Market, 10.0, benchmark);
        let good = strategy.submit(&venue, &ticket(100.0));
        let mut bad = strategy.submit(&venue, &ticket(f64::NAN));
        bad.fill(Fill::new(4.0, 99.0));
        let file = StateFile::new(folder.path().join("orders.state"), "orders", 1);
        file.save(&vec![good.save(), bad.save()]).unwrap();
        let read: Vec<obs_trading::SavedOrder> = file.load().unwrap().unwrap();
        assert_eq!(read[1].resume(&strategy, &venue).filled(), 4.0);
        assert_eq!(read.len(), 2);
    });
}

// ---- Day trades.

/// Name, fills by symbol, side, quantity and day, and what is right: day trades and those remaining on a day.
const DAY_TRADES: &[OrderCase] = &[
    (
        "bought in 3 parts, sold in 4: one day trade",
        "A buy 30 2; A buy 30 2; A buy 40 2; A sell 10 2; A sell 20 2; A sell 30 2; A sell 40 2",
        "2 1 2",
    ),
    (
        "B100 S50 B50 S100: two",
        "A buy 100 2; A sell 50 2; A buy 50 2; A sell 100 2",
        "2 2 1",
    ),
    (
        "100 held overnight, sold and bought: none",
        "hold A 100; A sell 100 2; A buy 100 2",
        "2 0 3",
    ),
    (
        "and sold again: one",
        "hold A 100; A sell 100 2; A buy 100 2; A sell 100 2",
        "2 1 2",
    ),
    (
        "100 held overnight, 200 sold, 100 bought: one",
        "hold A 100; A sell 200 2; A buy 100 2",
        "2 1 2",
    ),
    (
        "B100 S200 B100: two",
        "A buy 100 2; A sell 200 2; A buy 100 2",
        "2 2 1",
    ),
    ("short and cover: one", "A sell 100 2; A buy 100 2", "2 1 2"),
    (
        "yesterday's purchase reported today makes yesterday's position: its sale is none",
        "B buy 1 2; B buy 1 3; A buy 100 2; A sell 100 3",
        "3 0 3",
    ),
    (
        "and a purchase after it opens: none yet",
        "B buy 1 2; B buy 1 3; A buy 100 2; A sell 100 3; A buy 100 3",
        "3 0 3",
    ),
    (
        "a restart between purchase and sale",
        "A buy 100 2; restart; A sell 100 2",
        "2 1 2",
    ),
    (
        "a restart keeps three day trades",
        "A buy 1 2; A sell 1 2; B buy 1 2; B sell 1 2; C buy 1 2; C sell 1 2; restart; E buy 1 3",
        "3 3 0",
    ),
    (
        "a split 2:1 overnight: what was held is sold",
        "A buy 100 2; split A 3; A sell 200 3",
        "3 0 3",
    ),
    (
        "a split stated on the day of the purchase: still a day trade",
        "A buy 100 2; split A 2; A sell 200 2",
        "2 1 2",
    ),
];

#[test]
fn day_trades_are_counted_as_the_rule_has_them() {
    for (name, events, right) in DAY_TRADES {
        let risk = TestRecorder::new().run(Risk::new);
        let rule = DayTradeRule::default();
        let new = || DayTrades::new(&risk, "m", rule, Calendar::nyse());
        let mut account = new();
        for event in events.split("; ") {
            let words: Vec<_> = event.split_whitespace().collect();
            let number = |place: usize| -> f64 { words[place].parse().expect("a number") };
            match words[0] {
                "hold" => account.hold(words[1], number(2)).unwrap(),
                "split" => account.split(words[1], 2.0, 1.0).unwrap(),
                "restart" => {
                    let saved = serde_json::to_string(&account.save()).unwrap();
                    let saved = serde_json::from_str(&saved).unwrap();
                    account = DayTrades::restore(&risk, "m", rule, Calendar::nyse(), saved);
                }
                symbol => {
                    let side = if words[1] == "buy" {
                        Side::Buy
                    } else {
                        Side::Sell
                    };
                    let filled = account.fill(symbol, side, number(2), march(words[3]));
                    filled.unwrap();
                }
            }
        }
        let right: Vec<u32> = right
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        let day = march(&right[0].to_string());
        let ours = (account.day_trades(day), account.remaining(day));
        assert_eq!(ours, (right[1], Some(right[2])), "{name}");
    }
}

/// A day of March 2026, which begins on a Sunday.
fn march(day: &str) -> Date {
    Date::new(2026, 3, day.parse().expect("a day")).unwrap()
}

/// Independence Day is observed on Friday, 3 July 2026: five business days from Monday the 29th end on Monday the 6th.
#[test]
fn the_window_of_day_trades_leaves_out_holidays() {
    let risk = TestRecorder::new().run(Risk::new);
    let mut account = DayTrades::new(&risk, "m", DayTradeRule::default(), Calendar::nyse());
    let day = |month, day| Date::new(2026, month, day).unwrap();
    for symbol in ["A", "B", "C"] {
        account.fill(symbol, Side::Buy, 1.0, day(6, 29)).unwrap();
        account.fill(symbol, Side::Sell, 1.0, day(6, 29)).unwrap();
    }
    let remaining = [day(7, 2), day(7, 6), day(7, 7)].map(|day| account.remaining(day).unwrap());
    assert_eq!(remaining, [0, 0, 3]);
    let closed = account.fill("A", Side::Buy, 1.0, day(7, 3));
    assert!(matches!(closed, Err(Error::NotABusinessDay { .. })));
    // Neither does a calendar of stocks take a Saturday; that of an account of crypto does.
    let saturday = account.fill("BTC", Side::Buy, 1.0, day(3, 7));
    assert!(matches!(saturday, Err(Error::NotABusinessDay { .. })));
    let every_day = Calendar::every_day(TimeZone::UTC);
    let mut crypto = DayTrades::new(&risk, "c", DayTradeRule::default(), every_day);
    crypto.fill("BTC", Side::Buy, 1.0, day(3, 7)).unwrap();
}

// ---- Cash.

fn cash() -> CashAccount {
    let risk = TestRecorder::new().run(Risk::new);
    let days = SettlementDays::us_equities();
    CashAccount::new(&risk, Currency::USD, CashRule::default(), days)
}

fn cents(cents: i64) -> Money {
    Money::of_minor(cents, 2, Currency::USD)
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Exchanges are open on Columbus Day 2026 and banks are not: what was sold on Friday settles on Tuesday.
#[test]
fn columbus_day_is_a_trading_day_and_no_settlement_date() {
    let (friday, monday, tuesday) = (day("2026-10-09"), day("2026-10-12"), day("2026-10-13"));
    let mut account = cash();
    account.hold("X", 1.0).unwrap();
    account.sell("X", 1.0, cents(100_000), friday).unwrap();
    account.buy("A", 1.0, cents(100_000), friday).unwrap();
    assert_eq!(account.settled(monday), cents(0));
    let sale = account.check_sell("A", 1.0, monday);
    let good_faith = ComplianceRule::GoodFaith;
    assert!(
        matches!(sale, Err(Error::Compliance { rule, until: Some(until) })
        if rule == good_faith && until == tuesday)
    );
    account.check_sell("A", 1.0, tuesday).unwrap();
    let broken = account.sell("A", 1.0, cents(100_000), monday).unwrap();
    assert_eq!(broken, [good_faith]);
}

#[test]
fn what_was_sold_pays_and_may_be_sold_when_it_has_settled() {
    let [d1, d2] = [day("2026-03-02"), day("2026-03-03")];
    // Settled in, sold, bought again with the proceeds, sold.
    let mut account = cash();
    account.deposit(cents(100_000), d1).unwrap();
    account.buy("A", 1.0, cents(100_000), d1).unwrap();
    assert_eq!(account.sell("A", 1.0, cents(110_000), d1).unwrap(), []);
    account.buy("B", 1.0, cents(110_000), d1).unwrap();
    assert!(account.check_sell("B", 1.0, d1).is_err());
    let broken = account.sell("B", 1.0, cents(111_000), d1).unwrap();
    assert_eq!(broken, [ComplianceRule::GoodFaith]);
    let (settled, unsettled) = (account.settled(d1), account.unsettled(d1));
    assert_eq!((settled, unsettled), (cents(0), cents(111_000)));
    assert_eq!(account.settled(d2), cents(111_000));
    // Half paid with settled cash: none of it may be sold before the rest has settled.
    let mut account = cash();
    account.deposit(cents(500_000), d1).unwrap();
    account.hold("X", 1.0).unwrap();
    account.sell("X", 1.0, cents(500_000), d1).unwrap();
    account.buy("A", 10.0, cents(1_000_000), d1).unwrap();
    assert!(account.check_sell("A", 5.0, d1).is_err());
    account.check_sell("A", 5.0, d2).unwrap();
    // Shares of before are sold first.
    let mut account = cash();
    account.hold("A", 10.0).unwrap();
    account.hold("X", 1.0).unwrap();
    account.sell("X", 1.0, cents(500_000), d1).unwrap();
    account.buy("A", 10.0, cents(500_000), d1).unwrap();
    account.check_sell("A", 10.0, d1).unwrap();
    assert!(account.check_sell("A", 11.0, d1).is_err());
}

#[test]
fn cash_comes_and_goes_apart_from_trades() {
    let [d1, d2] = [day("2026-03-02"), day("2026-03-03")];
    // Crypto settles at once, on a Saturday too.
    let risk = TestRecorder::new().run(Risk::new);
    let rule = CashRule {
        settlement_days: 0,
        ..CashRule::default()
    };
    let days = SettlementDays::same(Calendar::every_day(TimeZone::UTC));
    let mut account = CashAccount::new(&risk, Currency::USD, rule, days);
    let saturday = day("2026-03-07");
    account.deposit(cents(100), saturday).unwrap();
    account.buy("BTC", 0.1, cents(100), saturday).unwrap();
    account.sell("BTC", 0.1, cents(101), saturday).unwrap();
    assert_eq!(account.settled(saturday), cents(101));
    // A deposit that the bank takes back after it was spent.
    let mut account = cash();
    account.deposit(cents(100_000), d1).unwrap();
    account.buy("A", 1.0, cents(100_000), d1).unwrap();
    let taken = account.withdraw(cents(100_000), d2);
    assert!(matches!(taken, Err(Error::NotSettled { .. })));
    assert_eq!(account.settled(d2), cents(0));
    // Fractions of shares, sold at once.
    let mut account = cash();
    account.deposit(cents(100_000), d1).unwrap();
    for _ in 0..10 {
        account.buy("A", 0.1, cents(100), d1).unwrap();
    }
    assert_eq!(account.sell("A", 1.0, cents(1_100), d1).unwrap(), []);
    assert_eq!(account.held("A"), 0.0);
    assert_eq!(account.settled(d1), cents(99_000));
    // A dividend and a fee.
    let mut account = cash();
    account.deposit(cents(100_000), d1).unwrap();
    account.deposit(cents(125), d2).unwrap();
    account.withdraw(cents(99), d2).unwrap();
    assert_eq!(account.settled(d2), cents(100_026));
}

// ---- Ledgers.

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Noon of a day after the first of 2024.
fn noon(day: usize) -> Timestamp {
    let hours = i64::try_from(day).unwrap() * 24 + 12;
    at("2024-01-01T00:00:00Z") + SignedDuration::from_hours(hours)
}

fn conventions(periods: u32, zone: &str) -> Conventions {
    let zone = TimeZone::get(zone).unwrap();
    let periods = PeriodsPerYear::new(f64::from(periods)).unwrap();
    let calendar = Calendar::every_day(zone);
    Conventions::new(Basis::PeriodReturns, Valuation::Marks, periods, calendar).unwrap()
}

fn ledger_from(equity: f64, periods: u32, zone: &str) -> Ledger {
    Ledger::new(conventions(periods, zone), usd(equity)).unwrap()
}

/// Marked daily at noon, every day of the year.
fn marked(equity: &[f64]) -> Ledger {
    let mut ledger = ledger_from(equity[0], 365, "UTC");
    for (number, equity) in equity.iter().enumerate().skip(1) {
        ledger.mark_equity(noon(number), usd(*equity)).unwrap();
    }
    ledger.advance_to(noon(equity.len()));
    ledger
}

#[test]
fn drawdowns_begin_at_the_start_and_end_at_the_first_regain() {
    let near = |ours: f64, right: f64| assert!((ours - right).abs() < 1e-12, "{ours} {right}");
    // A loss on day one counts from the starting equity.
    near(
        marked(&[1_000.0, 900.0, 860.0, 750.0, 800.0]).max_drawdown_ratio(),
        -0.25,
    );
    // Prices of an index are no money: only their ratios count.
    let index = marked(&[5_000.0, 5_100.0, 4_900.0, 5_200.0, 4_800.0, 5_050.0]);
    near(index.max_drawdown_ratio(), 4_800.0 / 5_200.0 - 1.0);
    // One drawdown is over after four days, and another is open since one.
    let open = marked(&[100.0, 101.0, 99.0, 98.0, 97.0, 101.0, 99.0]);
    near(open.longest_recovery_seconds().unwrap(), 4.0 * 86_400.0);
    near(open.drawdown_ratio(), 99.0 / 101.0 - 1.0);
    // Below zero and on: more was lost than there was, and no ratio follows.
    let bust = marked(&[1_000.0, 400.0, -200.0, 300.0, 900.0]);
    near(bust.max_drawdown_ratio(), -1.2);
    assert_eq!(bust.sharpe_ratio(), Err(Undefined::NonPositiveEquity));
    assert_eq!(bust.sortino_ratio(), Err(Undefined::NonPositiveEquity));
    // Nothing happened: no dispersion, and nothing to divide by.
    let flat = marked(&[100.0; 30]);
    assert_eq!(flat.sharpe_ratio(), Err(Undefined::NoDispersion));
    assert_eq!(flat.max_drawdown_ratio(), 0.0);
}

/// 365 days with 252 periods contradict each other, and so do weekdays with 365 or 52.
#[test]
fn periods_that_contradict_the_calendar_are_refused() {
    let every = || Calendar::every_day(TimeZone::UTC);
    let weekdays = || Calendar::weekdays(TimeZone::UTC);
    for (calendar, periods) in [(every(), 252.0), (weekdays(), 365.0), (weekdays(), 52.0)] {
        let periods = PeriodsPerYear::new(periods).unwrap();
        let made = Conventions::new(Basis::PeriodReturns, Valuation::Marks, periods, calendar);
        assert!(matches!(made, Err(Error::Contradiction { .. })));
    }
}

/// The night session of 7 May 2019 in Shanghai, from 21:00, is the trading day of the 8th.
#[test]
fn a_night_session_belongs_to_the_next_trading_day() {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let [evening, afternoon] = [21, 15].map(|hour| jiff::civil::time(hour, 0, 0, 0));
    let calendar = Calendar::closed("Chinese futures", zone).with_hours(
        Calendar::WEEKDAYS,
        evening,
        afternoon,
    );
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::ClosedTrades,
        PeriodsPerYear::of(&calendar),
        calendar,
    );
    let mut ledger = Ledger::new(conventions.unwrap(), usd(1_000.0)).unwrap();
    for (time, pnl, id) in [
        ("2019-05-07T13:30:00Z", 5.0, "a"),
        ("2019-05-08T02:00:00Z", 3.0, "b"),
    ] {
        let trade = ClosedTrade::new(at(time), usd(pnl)).with_id(id);
        ledger.trade_closed(&trade).unwrap();
    }
    assert_eq!(ledger.realized_pnl(Period::Day), 8.0);
}

/// A trade that is stamped 0.4 s ahead, over midnight, and the mark of half a second before it.
#[test]
fn a_stamp_ahead_over_midnight_drops_no_mark() {
    let mut ledger = ledger_from(1_000.0, 365, "UTC");
    let mark = |ledger: &mut Ledger, time, equity| ledger.mark_equity(at(time), usd(equity));
    mark(&mut ledger, "2026-01-05T23:59:58Z", 1_000.0).unwrap();
    let trade = ClosedTrade::new(at("2026-01-06T00:00:00.4Z"), usd(5.0)).with_id("a");
    ledger.trade_closed(&trade).unwrap();
    mark(&mut ledger, "2026-01-05T23:59:59.5Z", 1_005.0).unwrap();
    mark(&mut ledger, "2026-01-06T00:00:01Z", 1_005.0).unwrap();
    ledger.advance_to(at("2026-01-07T00:00:01Z"));
    let returns = ledger.over(obs_trading::Window::ALL);
    let returns: Vec<_> = returns.each_return().map(|(_, value)| value).collect();
    assert!((returns[0].unwrap() - 0.005).abs() < 1e-12);
    assert_eq!(returns.len(), 2);
}

/// Six days around the change of the clocks in New York, one of 23 hours and, in autumn, one of 25, marked every hour.
#[test]
fn days_of_23_and_25_hours_are_days() {
    for first in ["2026-03-06T05:30:00Z", "2026-10-30T04:30:00Z"] {
        let mut ledger = ledger_from(1_000.0, 365, "America/New_York");
        for hour in 0..6 * 24 - 2_u32 {
            let time = at(first) + SignedDuration::from_hours(i64::from(hour));
            let equity = 1_000.0 + f64::from(hour);
            ledger.mark_equity(time, usd(equity)).unwrap();
        }
        ledger.advance_to(at(first) + SignedDuration::from_hours(6 * 24 + 1));
        assert_eq!(ledger.returns(), 6, "{first}");
    }
}

/// Two and a half times the equity is a position, and is recorded as one.
#[test]
fn leverage_is_a_share_above_one() {
    let test = TestRecorder::new();
    test.run(|| Risk::new().position("s", 2.5, 0.8));
    let labels = [("strategy", "s"), ("confidence", "high")];
    let samples = test.samples("risk_position_size_ratio", &labels);
    assert_eq!(samples, Some(vec![2.5]));
}

/// A deposit that the mark holds already is no loss, and said twice is one.
#[test]
fn a_deposit_said_twice_is_one() {
    let mut ledger = ledger_from(100_000.0, 365, "UTC");
    for _ in 0..2 {
        let flow = Transfer::new(noon(0), usd(50_000.0)).with_id("in");
        ledger.take_transfer(&flow).unwrap();
    }
    assert_eq!(ledger.equity(), 150_000.0);
}
