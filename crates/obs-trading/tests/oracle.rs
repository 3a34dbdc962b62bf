//! Random streams of events against an oracle that keeps them all and makes everything anew from them after each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use obs_core::TestRecorder;
use obs_trading::{
    Change, Currency, Desk, ExecutionId, Fee, FeeKind, Fill, Money, OrderBook, OrderEvent,
    OrderOutcome, OrderType, RejectReason, ReplayClock, SavedBook, Side, Strategy, Ticket, Venue,
};
use proptest::prelude::*;
use proptest::strategy::Strategy as Drawn;

/// Quantities and prices are whole, so that every sum is exact.
const QUANTITY: u32 = 16;
const BENCHMARK: f64 = 100.0;
/// A quarter.
const FEE: f64 = 0.25;

/// An order has three identifiers: its number; that plus this, once it is told; and that plus [`NEW`], once it is replaced.
const OTHER: u64 = 100;
const NEW: u64 = 200;

/// As many orders, of which the last two are legs of a parent.
const ORDERS: u64 = 6;
const PARENT: u64 = 50;
const LEGS: [u64; 2] = [4, 5];

/// As many words about a parent are kept for the leg that joins it later.
const HEARD: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(u64),
    Alias(u64),
    /// By an order for this quantity in all, under the next identifier.
    Replace(u64, u32),
    Said(u64, Said),
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Said {
    Acknowledged,
    Filled {
        execution: u64,
        revision: u32,
        quantity: u32,
        price: u32,
    },
    Corrected {
        execution: u64,
        quantity: u32,
        price: u32,
    },
    Busted(u64),
    Total {
        cumulative: u32,
        average: u32,
    },
    Amended(u32),
    CancelAsked,
    CancelRefused,
    Reopened,
    Ended(OrderOutcome),
    Rejected,
}

fn said(has_totals: bool) -> impl Drawn<Value = Said> {
    let outcome = prop_oneof![
        Just(OrderOutcome::Filled),
        Just(OrderOutcome::Cancelled),
        Just(OrderOutcome::Expired)
    ];
    let execution = 0..6_u64;
    let amounts = (1..9_u32, 95..106_u32);
    prop_oneof![
        1 => Just(Said::Acknowledged),
        8 => (execution.clone(), 0..3_u32, amounts.clone()).prop_map(|(execution, revision, (quantity, price))| Said::Filled { execution, revision, quantity, price }),
        2 => (execution.clone(), amounts).prop_map(|(execution, (quantity, price))| Said::Corrected { execution, quantity, price }),
        2 => execution.prop_map(Said::Busted),
        6 => (1..24_u32, 95..106_u32).prop_map(move |(cumulative, average)| if has_totals { Said::Total { cumulative, average } } else { Said::Acknowledged }),
        1 => (1..30_u32).prop_map(Said::Amended),
        1 => Just(Said::CancelAsked),
        1 => Just(Said::CancelRefused),
        2 => Just(Said::Reopened),
        2 => outcome.prop_map(Said::Ended),
        1 => Just(Said::Rejected),
    ]
}

/// A stream of events, with totals among them or without.
fn steps(has_totals: bool) -> impl Drawn<Value = Vec<Step>> {
    let number = 0..ORDERS;
    let named = prop_oneof![8 => 0..ORDERS, 1 => Just(PARENT)];
    let id = (
        named.clone(),
        prop_oneof![2 => Just(0), 1 => Just(OTHER), 1 => Just(NEW)],
    );
    let id = id.prop_map(|(number, other)| number + other);
    let step = prop_oneof![
        3 => number.clone().prop_map(Step::Submit),
        2 => named.prop_map(Step::Alias),
        1 => (number, 1..30_u32).prop_map(|(number, quantity)| Step::Replace(number, quantity)),
        25 => (id, said(has_totals)).prop_map(|(id, said)| Step::Said(id, said)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..100)
}

impl Said {
    fn event(self) -> OrderEvent {
        match self {
            Self::Acknowledged => OrderEvent::Acknowledged,
            Self::Filled {
                execution,
                revision,
                quantity,
                price,
            } => OrderEvent::Filled(fill(execution, revision, quantity, price)),
            Self::Corrected {
                execution,
                quantity,
                price,
            } => OrderEvent::Corrected(fill(execution, 0, quantity, price)),
            Self::Busted(execution) => OrderEvent::Busted(execution.into()),
            Self::Total {
                cumulative,
                average,
            } => OrderEvent::FilledTo {
                cumulative: f64::from(cumulative),
                average: f64::from(average),
            },
            Self::Amended(quantity) => OrderEvent::Amended(Change::to_total(f64::from(quantity))),
            Self::CancelAsked => OrderEvent::CancelAsked,
            Self::CancelRefused => OrderEvent::CancelRefused,
            Self::Reopened => OrderEvent::Reopened,
            Self::Ended(outcome) => OrderEvent::Ended(outcome),
            Self::Rejected => OrderEvent::Rejected(RejectReason::Other),
        }
    }
}

fn fill(execution: u64, revision: u32, quantity: u32, price: u32) -> Fill {
    Fill::new(f64::from(quantity), f64::from(price))
        .with_id(ExecutionId::from(execution).revised(revision))
        .with_fee(Fee::new(
            FeeKind::Commission,
            Money::new(FEE, Currency::USD),
        ))
}

fn side(number: u64) -> Side {
    if number.is_multiple_of(2) {
        Side::Buy
    } else {
        Side::Sell
    }
}

/// Everything that was said, in the order in which it reaches its order.
#[derive(Default)]
struct Oracle {
    orders: BTreeMap<u64, Vec<Said>>,
    /// Identifiers that are known to be an order's, or the parent's.
    aliased: BTreeSet<u64>,
    /// Said under an identifier nobody could place yet.
    early: BTreeMap<u64, Vec<(usize, Said)>>,
    /// Said of the parent, for legs that join it.
    heard: Vec<(usize, Said)>,
    count: usize,
}

/// What an order is after all that was said of it.
#[derive(Default)]
struct Truth {
    /// By execution: the revision, and the quantity and price if it counts.
    executions: BTreeMap<u64, (u32, Option<(u32, u32)>)>,
    /// What totals told and no execution has a name for: quantity, and money.
    told: (u32, f64),
    quantity: u32,
    ended: Option<OrderOutcome>,
    is_said_filled: bool,
    closed: u64,
    reopened: u64,
}

fn is_of_one_leg(said: Said) -> bool {
    matches!(
        said,
        Said::Filled { .. } | Said::Corrected { .. } | Said::Busted(_) | Said::Total { .. }
    )
}

impl Oracle {
    fn step(&mut self, step: Step) {
        self.count += 1;
        match step {
            Step::Submit(number) => self.submit(number),
            Step::Alias(number) => self.alias(number, number + OTHER),
            Step::Replace(number, quantity) => {
                self.say(number, Said::Amended(quantity));
                self.alias(number, number + NEW);
            }
            Step::Said(id, said) => self.say(id, said),
            Step::Restart => {}
        }
    }

    /// What was said before comes in the order in which it was said, under whichever identifier, of the leg or its parent.
    fn submit(&mut self, number: u64) {
        let mut early = self.take_early(number);
        if LEGS.contains(&number) {
            if !self.has_legs() {
                for (count, said) in self.take_early(PARENT) {
                    self.hear(count, said);
                }
            }
            early.extend(self.heard.clone());
        }
        early.sort_by_key(|(count, _)| *count);
        let said = early.into_iter().map(|(_, said)| said).collect();
        self.orders.insert(number, said);
    }

    fn alias(&mut self, number: u64, other: u64) {
        if !self.aliased.insert(other) {
            return;
        }
        for (count, said) in self.early.remove(&other).unwrap_or_default() {
            if self.orders.contains_key(&number) || number == PARENT && self.has_legs() {
                self.say(number, said);
            } else {
                self.early.entry(number).or_default().push((count, said));
            }
        }
    }

    fn say(&mut self, id: u64, said: Said) {
        let number = id % OTHER;
        let is_placed = id == number || self.aliased.contains(&id);
        if is_placed && number == PARENT && self.has_legs() {
            self.hear(self.count, said);
            let legs = self.orders.iter_mut();
            let legs = legs.filter(|(number, _)| LEGS.contains(number));
            if !is_of_one_leg(said) {
                legs.for_each(|(_, leg)| leg.push(said));
            }
        } else if is_placed && let Some(order) = self.orders.get_mut(&number) {
            order.push(said);
        } else {
            self.early.entry(id).or_default().push((self.count, said));
        }
    }

    fn hear(&mut self, count: usize, said: Said) {
        if is_of_one_leg(said) {
            return;
        }
        if self.heard.len() == HEARD {
            self.heard.remove(0);
        }
        self.heard.push((count, said));
    }

    fn has_legs(&self) -> bool {
        LEGS.iter().any(|leg| self.orders.contains_key(leg))
    }

    /// In the order in which it was said.
    fn take_early(&mut self, number: u64) -> Vec<(usize, Said)> {
        let ids = [number, number + OTHER, number + NEW];
        let ids = ids
            .into_iter()
            .filter(|id| *id == number || self.aliased.contains(id));
        let ids: Vec<_> = ids.collect();
        let early = ids
            .iter()
            .flat_map(|id| self.early.remove(id).unwrap_or_default());
        let mut early: Vec<_> = early.collect();
        early.sort_by_key(|(count, _)| *count);
        early
    }

    fn truth(&self, number: u64) -> Option<Truth> {
        let mut truth = Truth {
            quantity: QUANTITY,
            ..Truth::default()
        };
        self.orders
            .get(&number)?
            .iter()
            .for_each(|said| truth.hears(*said));
        Some(truth)
    }
}

impl Truth {
    fn filled(&self) -> u32 {
        let named: u32 = self.counting().map(|(quantity, _)| quantity).sum();
        named + self.told.0
    }

    fn notional(&self) -> f64 {
        let named: u32 = self
            .counting()
            .map(|(quantity, price)| quantity * price)
            .sum();
        f64::from(named) + self.told.1
    }

    /// Counts what is new of a total, at the price that makes the average right.
    fn total(&mut self, cumulative: u32, average: u32) {
        let Some(new) = cumulative.checked_sub(self.filled()).filter(|new| *new > 0) else {
            return;
        };
        let rest = f64::from(cumulative * average) - self.notional();
        // An average that would make the rest's price impossible is taken as that price.
        let rest = if rest > 0.0 {
            rest
        } else {
            f64::from(new * average)
        };
        self.told = (self.told.0 + new, self.told.1 + rest);
    }

    /// A new execution is part of the total that was reported before, where there was one.
    fn name(&mut self, execution: u64, revision: u32, amounts: (u32, u32)) {
        let (quantity, money) = self.told;
        let taken = quantity.min(amounts.0);
        if taken > 0 {
            let share = f64::from(taken) / f64::from(quantity);
            self.told = (quantity - taken, money - money * share);
        }
        self.executions.insert(execution, (revision, Some(amounts)));
    }

    fn counting(&self) -> impl Iterator<Item = (u32, u32)> {
        self.executions.values().filter_map(|(_, counts)| *counts)
    }

    fn is_complete(&self) -> bool {
        self.filled() >= self.quantity
    }

    fn end(&mut self, outcome: OrderOutcome) {
        self.ended = Some(outcome);
        self.is_said_filled = false;
        self.closed += 1;
    }

    fn hears(&mut self, said: Said) {
        let was_open = self.ended.is_none();
        match said {
            Said::Filled {
                execution,
                revision,
                quantity,
                price,
            } => match self.executions.get_mut(&execution) {
                None => self.name(execution, revision, (quantity, price)),
                Some(known) if known.1.is_some() && revision > known.0 => {
                    *known = (revision, Some((quantity, price)));
                }
                Some(_) => {}
            },
            Said::Corrected {
                execution,
                quantity,
                price,
            } => match self.executions.get_mut(&execution) {
                None => self.name(execution, 0, (quantity, price)),
                Some(known) if known.1.is_some() => known.1 = Some((quantity, price)),
                Some(_) => {}
            },
            Said::Total {
                cumulative,
                average,
            } => self.total(cumulative, average),
            Said::Busted(execution) => {
                self.executions.entry(execution).or_insert((0, None)).1 = None;
            }
            Said::Amended(quantity) if was_open => self.quantity = quantity,
            Said::Reopened if !was_open && !self.is_complete() => {
                self.ended = None;
                self.reopened += 1;
            }
            Said::Ended(OrderOutcome::Filled) if was_open && !self.is_complete() => {
                self.is_said_filled = true;
            }
            Said::Ended(outcome) if was_open => self.end(outcome),
            Said::Rejected if was_open => self.end(OrderOutcome::Rejected),
            _ => {}
        }
        let may_complete = matches!(
            said,
            Said::Filled { .. } | Said::Corrected { .. } | Said::Total { .. } | Said::Amended(_)
        );
        if was_open
            && self.ended.is_none()
            && self.is_complete()
            && (may_complete || self.is_said_filled)
        {
            self.end(OrderOutcome::Filled);
        }
    }
}

/// What is tested: a book of one thread, or a desk.
trait Orders: Sized {
    fn new(venue: &Venue) -> Self;
    fn submit(&mut self, id: u64, strategy: &Strategy, venue: &Venue, ticket: &Ticket<'_>);
    fn alias(&mut self, id: u64, other: u64);
    fn replace(&mut self, id: u64, new: u64, change: Change);
    fn on(&mut self, id: u64, event: OrderEvent);
    fn open(&self) -> usize;
    fn state(&self, id: u64) -> Option<(f64, Option<OrderOutcome>)>;
    /// Where it can be asked for.
    fn average(&self, id: u64) -> Option<f64>;
    fn known(&self) -> usize;
    fn save(&self) -> SavedBook<u64>;
    fn restore(venue: &Venue, saved: SavedBook<u64>, strategy: &Strategy) -> Self;
}

impl Orders for OrderBook<u64> {
    fn new(venue: &Venue) -> Self {
        Self::new(venue)
    }

    fn submit(&mut self, id: u64, strategy: &Strategy, venue: &Venue, ticket: &Ticket<'_>) {
        let order = strategy.submit(venue, ticket);
        if LEGS.contains(&id) {
            self.insert_leg(&PARENT, id, order);
        } else {
            self.insert(id, order);
        }
    }

    fn replace(&mut self, id: u64, new: u64, change: Change) {
        self.replace(&id, new, change);
    }

    fn average(&self, id: u64) -> Option<f64> {
        let order = self.get(&id)?;
        order.report(OrderOutcome::Cancelled).average_price
    }

    fn known(&self) -> usize {
        self.known()
    }

    fn alias(&mut self, id: u64, other: u64) {
        self.alias(&id, other);
    }

    fn on(&mut self, id: u64, event: OrderEvent) {
        self.on(&id, event);
    }

    fn open(&self) -> usize {
        self.len()
    }

    fn state(&self, id: u64) -> Option<(f64, Option<OrderOutcome>)> {
        self.get(&id).map(|order| (order.filled(), order.ended()))
    }

    fn save(&self) -> SavedBook<u64> {
        self.save()
    }

    fn restore(venue: &Venue, saved: SavedBook<u64>, strategy: &Strategy) -> Self {
        Self::restore(venue, saved, |_| strategy.clone())
    }
}

impl Orders for Desk<u64> {
    fn new(venue: &Venue) -> Self {
        Self::new(venue)
    }

    fn submit(&mut self, id: u64, strategy: &Strategy, _: &Venue, ticket: &Ticket<'_>) {
        if LEGS.contains(&id) {
            self.submit_leg(&PARENT, id, strategy, ticket);
        } else {
            Desk::submit(self, id, strategy, ticket);
        }
    }

    fn replace(&mut self, id: u64, new: u64, change: Change) {
        Desk::replace(self, &id, new, change);
    }

    fn average(&self, _: u64) -> Option<f64> {
        None
    }

    fn known(&self) -> usize {
        Desk::known(self)
    }

    fn alias(&mut self, id: u64, other: u64) {
        Desk::alias(self, &id, other);
    }

    fn on(&mut self, id: u64, event: OrderEvent) {
        Desk::on(self, &id, event);
    }

    fn open(&self) -> usize {
        self.len()
    }

    fn state(&self, id: u64) -> Option<(f64, Option<OrderOutcome>)> {
        Desk::state(self, &id).map(|state| (state.filled, state.ended))
    }

    fn save(&self) -> SavedBook<u64> {
        Desk::save(self)
    }

    fn restore(venue: &Venue, saved: SavedBook<u64>, strategy: &Strategy) -> Self {
        Self::restore(venue, saved, |_| strategy.clone())
    }
}

/// One life of the process.
struct Life<O> {
    test: TestRecorder,
    strategy: Strategy,
    venue: Venue,
    orders: O,
}

impl<O: Orders> Life<O> {
    fn new() -> Self {
        let test = TestRecorder::new();
        let clock = ReplayClock::new();
        let (strategy, venue) = test.run(|| {
            (
                Strategy::with_clock("crossover", &clock),
                Venue::with_clock("paper", &clock),
            )
        });
        Self {
            orders: O::new(&venue),
            test,
            strategy,
            venue,
        }
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.test.counter_sum(name, labels)
    }

    /// Adds up what was counted, over all lives.
    fn add_to(&self, total: &mut BTreeMap<&'static str, u64>) {
        for (word, name, labels) in [
            ("submitted", "trading_orders_total", None),
            ("closed", "trading_orders_closed_total", None),
            ("reopened", "trading_orders_reopened_total", None),
            ("trades", "trading_trades_total", None),
            ("notional", "trading_filled_notional_total", None),
            ("corrected", "trading_corrected_notional_total", None),
            (
                "adverse",
                "trading_slippage_cost_total",
                Some(("direction", "adverse")),
            ),
            (
                "favourable",
                "trading_slippage_cost_total",
                Some(("direction", "favourable")),
            ),
            ("paid", "trading_fees_total", Some(("kind", "commission"))),
            ("returned", "trading_fees_total", Some(("kind", "rebate"))),
        ] {
            *total.entry(word).or_default() += self.sum(name, labels.as_slice());
        }
    }
}

fn run<O: Orders>(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut life = Life::<O>::new();
    let mut oracle = Oracle::default();
    let mut before = BTreeMap::new();
    for step in steps {
        match *step {
            // A number is submitted once: what happens to a second order of its name has tests of its own.
            Step::Submit(number) if oracle.orders.contains_key(&number) => continue,
            Step::Submit(number) => {
                let ticket = Ticket::new(
                    "SPX",
                    side(number),
                    OrderType::Limit,
                    f64::from(QUANTITY),
                    BENCHMARK,
                )
                .in_currency(Currency::USD);
                life.orders
                    .submit(number, &life.strategy, &life.venue, &ticket);
            }
            Step::Alias(number) => life.orders.alias(number, number + OTHER),
            Step::Replace(number, quantity) => {
                let change = Change::to_total(f64::from(quantity));
                life.orders.replace(number, number + NEW, change);
            }
            Step::Said(id, said) => life.orders.on(id, said.event()),
            Step::Restart => {
                life.add_to(&mut before);
                let json = serde_json::to_string(&life.orders.save()).unwrap();
                std::mem::forget(life.orders);
                let later = Life::<O>::new();
                let saved = serde_json::from_str(&json).unwrap();
                let orders = O::restore(&later.venue, saved, &later.strategy);
                life = Life { orders, ..later };
            }
        }
        oracle.step(*step);
        let (mut open, mut closed, mut reopened) = (0, 0, 0);
        for number in oracle.orders.keys() {
            let truth = oracle.truth(*number).unwrap();
            open += usize::from(truth.ended.is_none());
            closed += truth.closed;
            reopened += truth.reopened;
            let state = life.orders.state(*number);
            prop_assert_eq!(
                state,
                Some((f64::from(truth.filled()), truth.ended)),
                "order {} after {:?}",
                number,
                step
            );
            for other in [number + OTHER, number + NEW] {
                if oracle.aliased.contains(&other) {
                    prop_assert_eq!(life.orders.state(other), state);
                }
            }
            if let Some(average) = life.orders.average(*number) {
                let notional = average * f64::from(truth.filled());
                let difference = (notional - truth.notional()).abs();
                prop_assert!(
                    difference < 1e-9 * notional,
                    "{} of order {}",
                    average,
                    number
                );
            }
        }
        // Each order and the parent under three identifiers, twice where a desk keeps them elsewhere.
        prop_assert!(life.orders.known() <= 2 * 3 * (usize::try_from(ORDERS).unwrap() + 1));
        prop_assert_eq!(life.orders.open(), open);
        prop_assert_eq!(
            life.test
                .gauge("trading_orders_open", &[("venue", "paper")]),
            Some(open as f64)
        );
        let mut total = before.clone();
        life.add_to(&mut total);
        prop_assert_eq!((total["closed"], total["reopened"]), (closed, reopened));
        let in_life = life.sum("trading_orders_total", &[])
            + life.sum("trading_orders_resumed_total", &[])
            + life.sum("trading_orders_reopened_total", &[]);
        prop_assert_eq!(
            in_life,
            life.sum("trading_orders_closed_total", &[]) + open as u64
        );
    }
    // What a total told is counted at the total's price, and not again at its execution's.
    let has_totals = |step: &Step| matches!(step, Step::Said(_, Said::Total { .. }));
    if steps.iter().any(has_totals) {
        return Ok(());
    }
    money_is_exact(&life, &oracle, before)
}

fn money_is_exact<O: Orders>(
    life: &Life<O>,
    oracle: &Oracle,
    mut total: BTreeMap<&'static str, u64>,
) -> Result<(), TestCaseError> {
    life.add_to(&mut total);
    let (mut notional, mut cost, mut fees, mut trades) = (0_i64, 0_i64, 0, 0);
    for number in oracle.orders.keys() {
        let truth = oracle.truth(*number).unwrap();
        for (quantity, price) in truth.counting() {
            let (quantity, price) = (i64::from(quantity), i64::from(price));
            let sign = if side(*number) == Side::Buy { 1 } else { -1 };
            notional += quantity * price;
            cost += sign * quantity * (price - 100);
            fees += 1;
        }
        trades += u64::from(truth.counting().next().is_some());
    }
    let net = |one, other| total[one].cast_signed() - total[other].cast_signed();
    prop_assert_eq!(net("notional", "corrected"), notional * 1_000_000);
    prop_assert_eq!(net("adverse", "favourable"), cost * 1_000_000);
    prop_assert_eq!(net("paid", "returned"), fees * 1_000_000 / 4);
    prop_assert!(
        total["trades"] >= trades,
        "a bust does not take a trade back"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_book_is_what_the_oracle_makes_of_all_events(steps in steps(false)) {
        run::<OrderBook<u64>>(&steps)?;
    }

    #[test]
    fn a_desk_is_what_the_oracle_makes_of_all_events(steps in steps(false)) {
        run::<Desk<u64>>(&steps)?;
    }

    #[test]
    fn a_book_is_what_the_oracle_makes_of_totals_among_executions(steps in steps(true)) {
        run::<OrderBook<u64>>(&steps)?;
    }

    #[test]
    fn a_desk_is_what_the_oracle_makes_of_totals_among_executions(steps in steps(true)) {
        run::<Desk<u64>>(&steps)?;
    }

    /// Totals in any order, repeated, overtaken and after restarts: what is filled is the highest, at its own average.
    #[test]
    fn a_polled_order_is_what_the_highest_total_says(totals in proptest::collection::vec((1..40_u32, 90..110_u32, any::<bool>()), 1..40)) {
        let mut life = Life::<OrderBook<u64>>::new();
        let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 1e6, BENCHMARK).in_currency(Currency::USD);
        life.orders.submit(0, &life.strategy, &life.venue, &ticket);
        let (mut highest, mut rises, mut counted, mut notional) = (0, 0_u64, 0, 0.0);
        for (total, average, restarts) in totals {
            life.orders.fill_to(&0, f64::from(total), f64::from(average));
            if total > highest {
                let rise = f64::from(total * average) - notional;
                // An average that would make the rest's price impossible is taken as that price.
                notional += if rise > 0.0 { rise } else { f64::from((total - highest) * average) };
                (highest, rises) = (total, rises + 1);
            }
            if restarts {
                counted += life.sum("trading_fills_total", &[]);
                let saved = serde_json::from_str(&serde_json::to_string(&life.orders.save()).unwrap()).unwrap();
                std::mem::forget(life.orders);
                let later = Life::<OrderBook<u64>>::new();
                life = Life { orders: OrderBook::restore(&later.venue, saved, |_| later.strategy.clone()), ..later };
            }
            let order = life.orders.get(&0).unwrap();
            prop_assert_eq!(order.filled().to_bits(), f64::from(highest).to_bits());
            let average = order.report(OrderOutcome::Cancelled).average_price.unwrap();
            prop_assert!((average * f64::from(highest) - notional).abs() < 1e-9 * notional, "{} of {}", average, highest);
        }
        counted += life.sum("trading_fills_total", &[]);
        prop_assert_eq!(counted, rises);
    }

    /// One thread brings the fills under one identifier, another under the other and tells whose it is, a third submits.
    #[test]
    fn events_under_either_identifier_from_any_thread_reach_one_order(fills in proptest::collection::vec((0..8_u64, 0..20_u64, any::<bool>()), 0..120)) {
        let Life { test, strategy, venue, orders: desk } = Life::<Desk<u64>>::new();
        std::thread::scope(|scope| {
            let bring = |under_other: bool| {
                let mine: Vec<_> = fills.iter().filter(|(.., other)| *other == under_other).collect();
                let desk = desk.clone();
                scope.spawn(move || {
                    for (number, execution, other) in mine {
                        let id = if *other { number + OTHER } else { *number };
                        desk.fill(&id, Fill::new(1.0, 100.0).with_id(*execution));
                    }
                });
            };
            bring(false);
            bring(true);
            let (desk, strategy) = (desk.clone(), &strategy);
            scope.spawn(move || {
                for number in 0..8 {
                    if number % 2 == 0 {
                        desk.alias(&number, number + OTHER);
                    }
                    let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 20.0, BENCHMARK);
                    desk.submit(number, strategy, &ticket);
                    if number % 2 == 1 {
                        desk.alias(&number, number + OTHER);
                    }
                }
            });
        });
        let mut distinct = fills.iter().map(|(number, execution, _)| (*number, *execution)).collect::<Vec<_>>();
        distinct.sort_unstable();
        distinct.dedup();
        for number in 0..8 {
            let filled = distinct.iter().filter(|(other, _)| *other == number).count() as f64;
            for id in [number, number + OTHER] {
                prop_assert_eq!(desk.state(&id).map(|state| state.filled), Some(filled), "{}", id);
            }
        }
        prop_assert_eq!(test.counter_sum("trading_fills_total", &[]), distinct.len() as u64);
        drop(venue);
    }
}

#[test]
fn a_desk_forgets_the_identifiers_of_what_it_forgets() {
    let Life {
        strategy,
        orders: desk,
        ..
    } = Life::<Desk<u64>>::new();
    let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 1.0, BENCHMARK);
    for number in 0..220_000_u64 {
        desk.submit(number, &strategy, &ticket);
        desk.alias(&number, number + 1_000_000);
        desk.fill(&(number + 1_000_000), Fill::new(1.0, 100.0).with_id(number));
    }
    assert!(desk.is_empty());
    // Twice what is remembered, each under two identifiers.
    assert!(
        desk.known() <= 2 * 2 * OrderBook::<u64>::REMEMBERED,
        "{}",
        desk.known()
    );
    assert!(
        desk.known() >= 2 * OrderBook::<u64>::REMEMBERED,
        "{}",
        desk.known()
    );
}

/// A venue that names parents by identifiers of its own, over and over.
#[test]
fn the_other_identifiers_of_a_parent_are_forgotten_with_its_legs() {
    fn run<O: Orders>(forgets: usize) {
        let mut life = Life::<O>::new();
        let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 1.0, BENCHMARK);
        let mut most = 0;
        for _ in 0..forgets {
            life.orders.alias(PARENT, PARENT + OTHER);
            for leg in LEGS {
                life.orders
                    .submit(leg, &life.strategy, &life.venue, &ticket);
            }
            life.orders
                .on(PARENT + OTHER, OrderEvent::Ended(OrderOutcome::Cancelled));
            assert_eq!(life.orders.open(), 0);
            most = life.orders.known().max(most);
        }
        assert!(most <= 10, "{most}");
    }
    run::<OrderBook<u64>>(50);
    run::<Desk<u64>>(50);
}

/// Twelve times what is kept, in all of their forms.
#[test]
fn what_is_said_of_unknown_orders_is_bounded() {
    let Life {
        test, mut orders, ..
    } = Life::<OrderBook<u64>>::new();
    for number in 0..120_000_u64 {
        match number % 3 {
            0 => drop(orders.fill(&number, Fill::new(1.0, 100.0).with_id(number))),
            1 => drop(orders.alias(&number, number + 1_000_000)),
            _ => orders.bust(&number, number),
        }
    }
    assert!(orders.known() <= 15_000, "{}", orders.known());
    let unknown = test.counter_sum(
        "trading_order_events_ignored_total",
        &[("event", "unknown_order")],
    );
    assert!((70_000..=80_000).contains(&unknown), "{unknown}");
}

#[test]
fn ideas_that_nothing_comes_of_are_bounded_and_counted() {
    let Life {
        test,
        strategy,
        orders: desk,
        ..
    } = Life::<Desk<u64>>::new();
    for number in 0..20_000 {
        desk.signal(number, &strategy, obs_trading::Signal::Buy, None);
    }
    let abandoned = || test.counter_sum("trading_decisions_total", &[("decision", "abandoned")]);
    assert!((10_000..11_000).contains(&abandoned()), "{}", abandoned());
    drop(desk);
    assert_eq!(abandoned(), 20_000);
}

#[test]
fn what_is_decided_by_identifier_has_its_stages() {
    let test = TestRecorder::new();
    let clock = ReplayClock::new();
    let (strategy, venue) = test.run(|| {
        (
            Strategy::with_clock("crossover", &clock),
            Venue::with_clock("paper", &clock),
        )
    });
    let desk = Desk::new(&venue);
    let pass = |seconds| clock.advance_to(clock.now() + Duration::from_secs(seconds));
    desk.signal("o1", &strategy, obs_trading::Signal::Buy, 0.5);
    pass(1);
    desk.decide(&"o1", obs_trading::Decision::Enter);
    pass(2);
    desk.submit(
        "o1",
        &strategy,
        &Ticket::new("SPX", Side::Buy, OrderType::Limit, 1.0, BENCHMARK),
    );
    pass(4);
    let report = desk.fill(&"o1", Fill::new(1.0, 100.0)).expect("complete");
    assert_eq!(
        report
            .stages
            .unwrap()
            .iter()
            .map(|stage| stage.as_secs())
            .collect::<Vec<_>>(),
        [1, 2, 4, 0]
    );
    desk.signal("o2", &strategy, obs_trading::Signal::Buy, 0.5);
    desk.refuse(&"o2", RejectReason::Compliance);
    assert_eq!(
        test.counter_sum("trading_trades_rejected_total", &[("reason", "compliance")]),
        1
    );
    assert!(desk.is_empty());
}

/// The legs lie with their parent, wherever their own identifiers would; a restart and early events change nothing of it.
#[test]
fn legs_at_a_desk_hear_what_is_said_of_their_parent() {
    let (test, clock) = (TestRecorder::new(), ReplayClock::new());
    let (strategy, venue) = test.run(|| {
        let venue = Venue::with_clock("paper", &clock);
        (Strategy::with_clock("crossover", &clock), venue)
    });
    let desk: Desk<u64> = Desk::new(&venue);
    let ticket = Ticket::new("SPX", Side::Buy, OrderType::Limit, 2.0, BENCHMARK);
    let fill = |execution: u64| Fill::new(1.0, 100.0).with_id(execution);
    for parent in (0..100).map(|number| number * 10) {
        let [first, second] = [parent + 1, parent + 2];
        desk.fill(&first, fill(1));
        desk.submit_leg(&parent, first, &strategy, &ticket);
        desk.submit_leg(&parent, second, &strategy, &ticket);
        desk.fill(&second, fill(1));
    }
    assert_eq!(desk.len(), 200);
    let json = serde_json::to_string(&desk.save()).unwrap();
    let later = Desk::restore(&venue, serde_json::from_str(&json).unwrap(), |_| {
        strategy.clone()
    });
    std::mem::forget(desk);
    for parent in (0..100).map(|number| number * 10) {
        later.fill(&(parent + 1), fill(1));
        later.fill(&(parent + 1), fill(2)).expect("complete");
        later.close(&parent, OrderOutcome::Cancelled);
        let state = |id| later.state(&id).map(|state| (state.filled, state.ended));
        assert_eq!(state(parent + 1), Some((2.0, Some(OrderOutcome::Filled))));
        assert_eq!(
            state(parent + 2),
            Some((1.0, Some(OrderOutcome::Cancelled)))
        );
    }
    assert!(later.is_empty());
    let unknown = [("event", "unknown_order")];
    assert_eq!(
        test.counter_sum("trading_order_events_ignored_total", &unknown),
        0
    );
}
