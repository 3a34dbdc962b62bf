//! The open orders of a venue by their identifiers, for brokers that report by events.

use std::collections::{HashMap, HashSet, hash_map};
use std::hash::Hash;

use crate::{
    IgnoredEvent, Order, OrderOutcome, OrderReport, RejectReason, SavedOrder, Strategy, Venue,
};

/// The open orders of a venue, found by the broker's identifiers.
///
/// A broker's stream repeats itself after a reconnect, and speaks of orders that ended long ago. Events that change nothing
/// (an execution seen before, an order that is not open) are counted in `trading_order_events_ignored_total` and
/// otherwise ignored, so that whatever comes in, submitted = closed + open.
///
/// ```
/// use obs_trading::{OrderBook, OrderType, Side, Strategy, Ticket, Venue};
///
/// let (strategy, venue) = (Strategy::new("crossover"), Venue::new("alpaca"));
/// let mut book = OrderBook::new(&venue);
/// let order = strategy.submit(&venue, &Ticket::new("AAPL", Side::Buy, OrderType::Limit, 10.0, 187.0));
/// book.insert("o-1", order);
/// book.fill(&"o-1", "x-1", 4.0, 187.0);
/// book.fill(&"o-1", "x-1", 4.0, 187.0);                   // said again after a reconnect: ignored
/// let report = book.fill(&"o-1", "x-2", 6.0, 187.1);      // complete: closed as filled
/// assert_eq!(report.unwrap().filled, 10.0);
/// assert!(book.is_empty());
/// ```
#[derive(Debug)]
pub struct OrderBook<Id, Execution = Id> {
    venue: Venue,
    open: HashMap<Id, Entry<Execution>>,
}

#[derive(Debug)]
struct Entry<Execution> {
    order: Order,
    seen: HashSet<Execution>,
}

impl<Id: Eq + Hash, Execution: Eq + Hash> OrderBook<Id, Execution> {
    /// An empty book of the venue.
    #[must_use]
    pub fn new(venue: &Venue) -> Self {
        Self {
            venue: venue.clone(),
            open: HashMap::new(),
        }
    }

    /// Keeps an order under its identifier. An identifier that is in use keeps its order; the new one is counted as
    /// abandoned, and the event as ignored.
    pub fn insert(&mut self, id: Id, order: Order) {
        match self.open.entry(id) {
            hash_map::Entry::Vacant(free) => {
                free.insert(Entry {
                    order,
                    seen: HashSet::new(),
                });
            }
            hash_map::Entry::Occupied(_) => self.ignore(IgnoredEvent::DuplicateOrder),
        }
    }

    /// Takes an order up again after a restart.
    pub fn resume(&mut self, id: Id, saved: &SavedOrder, strategy: &Strategy) {
        let order = saved.resume(strategy, &self.venue);
        self.insert(id, order);
    }

    /// The venue has the order.
    pub fn acknowledge(&mut self, id: &Id) {
        match self.open.get_mut(id) {
            Some(entry) => entry.order.acknowledge(),
            None => self.ignore(IgnoredEvent::UnknownOrder),
        }
    }

    /// Part of the order was executed; the execution's identifier tells a repeated event. A complete order is closed and
    /// its report returned.
    pub fn fill(
        &mut self,
        id: &Id,
        execution: Execution,
        quantity: f64,
        price: f64,
    ) -> Option<OrderReport> {
        let Some(entry) = self.open.get_mut(id) else {
            self.ignore(IgnoredEvent::UnknownOrder);
            return None;
        };
        if !entry.seen.insert(execution) {
            self.ignore(IgnoredEvent::DuplicateFill);
            return None;
        }
        let complete = entry.order.fill(quantity, price);
        if complete {
            self.close(id, OrderOutcome::Filled)
        } else {
            None
        }
    }

    /// The order ended.
    pub fn close(&mut self, id: &Id, outcome: OrderOutcome) -> Option<OrderReport> {
        self.take(id).map(|order| order.close(outcome))
    }

    /// The venue refused the order.
    pub fn reject(&mut self, id: &Id, reason: RejectReason) -> Option<OrderReport> {
        self.take(id).map(|order| order.close_rejected(reason))
    }

    /// An open order.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Order> {
        self.open.get(id).map(|entry| &entry.order)
    }

    /// The open orders and their identifiers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &Order)> {
        self.open.iter().map(|(id, entry)| (id, &entry.order))
    }

    /// How many orders are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no order is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn take(&mut self, id: &Id) -> Option<Order> {
        let entry = self.open.remove(id);
        if entry.is_none() {
            self.ignore(IgnoredEvent::UnknownOrder);
        }
        entry.map(|entry| entry.order)
    }

    fn ignore(&self, event: IgnoredEvent) {
        self.venue.metrics().ignored[event].increment(1);
    }
}
