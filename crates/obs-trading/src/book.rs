//! The orders of a venue by their identifiers, for brokers that report by events.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rapidhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::clock::Stamp;
use crate::{
    Change, Decimal, ExecutionId, Fill, IgnoredEvent, Order, OrderEvent, OrderOutcome, OrderReport,
    RejectReason, SavedOrder, Strategy, Venue, WaitingFor,
};

/// The orders of a venue, found by any of their identifiers: ours, the broker's, those of replacements.
///
/// A broker's stream repeats itself after a reconnect, is ahead of the answer that tells the identifier, and goes on about orders
/// that ended. So the book remembers orders after their end, with every execution, and keeps events about orders that are not
/// known yet. Whatever comes in, in any order and however often, and across restarts
/// ([`save`](Self::save), [`restore`](Self::restore)):
///
/// > submitted + resumed + reopened = closed + open
///
/// What each event does is in the table of [`OrderEvent`].
///
/// ```
/// use obs_trading::{Fill, OrderBook, OrderType, Side, Strategy, Ticket, Venue};
///
/// let (strategy, venue) = (Strategy::new("crossover"), Venue::new("alpaca"));
/// let mut book = OrderBook::new(&venue);
/// let order = strategy.submit(&venue, &Ticket::new("AAPL", Side::Buy, OrderType::Limit, 10.0, 187.0));
/// book.insert("o-1", order);
/// book.fill(&"v-7", Fill::new(4.0, 187.0).with_id("x-1"));      // whose is that? kept
/// book.alias(&"o-1", "v-7");                                    // the broker's identifier: applied
/// book.fill(&"v-7", Fill::new(4.0, 187.0).with_id("x-1"));      // repeated after a reconnect: counts once
/// let report = book.fill(&"o-1", Fill::new(6.0, 187.1).with_id("x-2"));
/// assert_eq!(report.unwrap().filled, 10.0);                     // complete: closed as filled
/// assert!(book.is_empty());
/// ```
///
/// Memory is bounded. An order remembers its last [`REMEMBERED`](Self::REMEMBERED) executions; an earlier one that comes again, by
/// the venue's time of it, is refused. An order whose venue gives no times remembers all. Orders that ended are forgotten, the oldest first, beyond [`REMEMBERED`](Self::REMEMBERED) executions of
/// theirs; a replay of what was forgotten meets an unknown order, and doubles nothing. Events of unknown orders are kept for
/// [a minute](Self::PATIENCE), 10,000 of them at most.
#[derive(Debug)]
pub struct OrderBook<Id> {
    venue: Venue,
    known: HashMap<Id, Known<Id>, RandomState>,
    open: usize,
    /// Orders that ended, with the number of their end; the oldest first.
    ended: VecDeque<(u64, Id)>,
    /// How many executions those remember, at least one each.
    remembered: usize,
    remembers: usize,
    /// What waits for something to come, with its number; the oldest first.
    waiting: VecDeque<(Stamp, u64, Id)>,
    numbers: Arc<AtomicU64>,
    /// Identifiers that a desk keeps elsewhere for an order that is forgotten now, with the order's own.
    freed: Vec<(Id, Id)>,
}

/// What an identifier stands for.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are orders, and a box would be an allocation for each"
)]
enum Known<Id> {
    Order(Kept<Id>),
    /// Another identifier of that order.
    Alias(Id),
    /// The parent of several.
    Legs(Legs<Id>),
    /// Nothing yet, but it was spoken of.
    Early(Vec<(u64, Early<Id>)>),
}

#[derive(Debug)]
struct Kept<Id> {
    order: Order,
    aliases: SmallVec<[Id; 1]>,
    /// Other identifiers that a desk keeps elsewhere.
    away: SmallVec<[Id; 1]>,
    parent: Option<Id>,
    /// The number of its end, while it is closed.
    ended: Option<u64>,
    /// The venue says that it is filled, and what is missing may follow: the number of the wait for it.
    awaits_fills: Option<u64>,
}

/// The legs of a parent that is no order itself.
#[derive(Debug)]
struct Legs<Id> {
    ids: Vec<Id>,
    aliases: SmallVec<[Id; 1]>,
    /// Other identifiers that a desk keeps elsewhere.
    away: SmallVec<[Id; 1]>,
    /// What was said of the parent lately, for legs that join it later: the venue may be faster than we are.
    heard: Vec<(Stamp, u64, OrderEvent)>,
}

impl<Id> Default for Legs<Id> {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            aliases: SmallVec::new(),
            away: SmallVec::new(),
            heard: Vec::new(),
        }
    }
}

/// What was said of an order before it was known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Early<Id> {
    Event(OrderEvent),
    /// It has this identifier too.
    Alias(Id),
    /// A desk keeps this identifier for it elsewhere.
    Away(Id),
}

/// A book as it can be kept over a restart, for instance in a [`StateFile`](crate::StateFile): what is open, and what is remembered
/// of what ended. Made by [`OrderBook::save`] and [`Desk::save`](crate::Desk::save).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedBook<Id> {
    pub(crate) orders: Vec<SavedEntry<Id>>,
    /// With the number of each, by which they came in order.
    pub(crate) early: Vec<(u64, Id, Early<Id>)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedEntry<Id> {
    pub(crate) id: Id,
    pub(crate) order: SavedOrder,
    pub(crate) aliases: Vec<Id>,
    /// Those that a desk keeps elsewhere.
    pub(crate) away: Vec<Id>,
    pub(crate) parent: Option<Id>,
    awaits_fills: bool,
}

/// At most as many events of unknown orders are kept.
const EARLY: usize = 10_000;

/// At most as many events of a parent are kept for legs that join it later.
const HEARD: usize = 16;

impl<Id> OrderBook<Id> {
    /// As many executions of closed orders are remembered, unless [more](Self::remembering) are asked for: some 30 MB when all
    /// are in use.
    pub const REMEMBERED: usize = crate::seen::REMEMBERED;

    /// So long the book keeps an event of an unknown order, and waits for the fills of an order that is said to be filled.
    pub const PATIENCE: Duration = Duration::from_secs(60);
}

impl<Id: Clone + Eq + Hash> OrderBook<Id> {
    /// An empty book of the venue.
    #[must_use]
    pub fn new(venue: &Venue) -> Self {
        Self {
            venue: venue.clone(),
            known: HashMap::default(),
            open: 0,
            ended: VecDeque::new(),
            remembered: 0,
            remembers: Self::REMEMBERED,
            waiting: VecDeque::new(),
            numbers: Arc::default(),
            freed: Vec::new(),
        }
    }

    /// The same, remembering more executions of closed orders, for venues that replay more; fewer than
    /// [`REMEMBERED`](Self::REMEMBERED) are not accepted.
    #[must_use]
    pub fn remembering(mut self, executions: usize) -> Self {
        self.remembers = executions.max(Self::REMEMBERED);
        self
    }

    /// A part of a desk's book, which remembers a part of what the desk does.
    pub(crate) fn part(venue: &Venue, executions: usize, numbers: &Arc<AtomicU64>) -> Self {
        Self {
            remembers: executions,
            numbers: numbers.clone(),
            ..Self::new(venue)
        }
    }

    /// Keeps an order under its identifier, and applies what was said of it before; the report is there if that closed it.
    ///
    /// An identifier that an open order has keeps that; the new one is counted as abandoned, and the event as ignored. That of an
    /// order that ended becomes the new one's.
    pub fn insert(&mut self, id: Id, order: Order) -> Option<OrderReport> {
        self.put(id, order, None, Vec::new())
    }

    /// The same for one leg of several under a parent's identifier: what the venue says of the parent, but executions and fees, it
    /// says of each leg, also of one that joins up to [a minute](Self::PATIENCE) later.
    pub fn insert_leg(&mut self, parent: &Id, id: Id, order: Order) -> Option<OrderReport> {
        self.put_leg(parent, id, order, Vec::new())
    }

    /// The order has another identifier too, such as the one the venue gave it. Either may be given first. What was said under the
    /// other one is applied; the report is there if that closed it.
    pub fn alias(&mut self, id: &Id, other: Id) -> Option<OrderReport> {
        let (one, two) = (self.own_of(id), self.own_of(&other));
        if one == two {
            return None;
        }
        // What is unknown takes the name of what is known.
        let (own, other, was) = if !self.is_order(&one) && self.is_order(&two) {
            (two, id.clone(), one)
        } else {
            (one, other, two)
        };
        if !self.make_free(&was) {
            return None;
        }
        let early = self.take_early(&was);
        for name in [was, other] {
            self.name(&own, name);
        }
        self.take_all(&own, early)
    }

    /// The venue replaced the order by one of another identifier: the same order, under both.
    pub fn replace(&mut self, id: &Id, new_id: Id, change: Change) -> Option<OrderReport> {
        // What was said under the new identifier speaks of the new quantity.
        let amended = self.on(id, OrderEvent::Amended(change));
        amended.or(self.alias(id, new_id))
    }

    /// Takes an order up again after a restart; see [`restore`](Self::restore) for a whole book.
    pub fn resume(&mut self, id: Id, saved: &SavedOrder, strategy: &Strategy) {
        let order = saved.resume(strategy, &self.venue);
        self.insert(id, order);
    }

    /// Takes an event, of an order that is open, ended, or not known yet. The report is there if it closed the order.
    pub fn on(&mut self, id: &Id, event: OrderEvent) -> Option<OrderReport> {
        self.expire();
        self.take(id, &event)
    }

    /// The venue has the order.
    pub fn acknowledge(&mut self, id: &Id) {
        self.on(id, OrderEvent::Acknowledged);
    }

    /// Part of the order was executed. A complete order is closed and its report returned.
    pub fn fill(&mut self, id: &Id, fill: Fill) -> Option<OrderReport> {
        self.on(id, OrderEvent::Filled(fill))
    }

    /// So much of the order is executed in all, at this average price; see [`Order::fill_to`].
    pub fn fill_to(&mut self, id: &Id, cumulative: f64, average: f64) -> Option<OrderReport> {
        self.on(
            id,
            OrderEvent::FilledTo {
                cumulative,
                average,
            },
        )
    }

    /// An execution was another than was said before; see [`Order::correct`].
    pub fn correct(&mut self, id: &Id, fill: Fill) -> Option<OrderReport> {
        self.on(id, OrderEvent::Corrected(fill))
    }

    /// An execution did not happen. Where the venue works the order again, [`reopen`](Self::reopen) it.
    pub fn bust(&mut self, id: &Id, execution: impl Into<ExecutionId>) {
        self.on(id, OrderEvent::Busted(execution.into()));
    }

    /// The venue works an order again that was closed.
    pub fn reopen(&mut self, id: &Id) {
        self.on(id, OrderEvent::Reopened);
    }

    /// The order ended. Said to be filled before all its fills came, it stays open until they do, or for
    /// [a minute](Self::PATIENCE).
    pub fn close(&mut self, id: &Id, outcome: OrderOutcome) -> Option<OrderReport> {
        self.on(id, OrderEvent::Ended(outcome))
    }

    /// The venue refused the order.
    pub fn reject(&mut self, id: &Id, reason: RejectReason) -> Option<OrderReport> {
        self.on(id, OrderEvent::Rejected(reason))
    }

    /// The shares of a symbol were split: each open order in it becomes one for the new shares; see [`Order::split`].
    ///
    /// ```
    /// # use obs_trading::{Fill, OrderBook, OrderType, Side, Strategy, Ticket, Venue};
    /// # let (strategy, venue) = (Strategy::new("crossover"), Venue::new("alpaca"));
    /// # let mut book = OrderBook::new(&venue);
    /// let ticket = Ticket::new("NVDA", Side::Buy, OrderType::Limit, 10.0, 1_200.0);
    /// book.insert("o-1", strategy.submit(&venue, &ticket));
    /// book.fill(&"o-1", Fill::new(4.0, 1_200.0).with_id("x-1"));
    /// book.split("NVDA", 10, 1);                                 // overnight: ten for one
    /// assert_eq!(book.get(&"o-1").unwrap().remaining(), 60.0);
    /// let report = book.fill(&"o-1", Fill::new(60.0, 121.0).with_id("x-2")).unwrap();
    /// assert_eq!((report.filled, report.average_price), (100.0, Some(120.6)));
    /// ```
    pub fn split(&mut self, symbol: &str, to: impl Into<Decimal>, from: impl Into<Decimal>) {
        let (to, from) = (to.into(), from.into());
        self.each_open_of(symbol, |order| order.split(to, from));
    }

    /// A symbol has another name from now on: so do the open orders in it.
    pub fn rename(&mut self, symbol: &str, new: &str) {
        self.each_open_of(symbol, |order| order.rename(new));
    }

    fn each_open_of(&mut self, symbol: &str, act: impl Fn(&mut Order)) {
        for known in self.known.values_mut() {
            if let Known::Order(kept) = known
                && !kept.order.is_closed()
                && kept.order.symbol() == symbol
            {
                act(&mut kept.order);
            }
        }
    }

    /// Says what waits: once a second or so. What waited too long is given up, and `trading_order_oldest_timestamp_seconds` is
    /// set. Every event gives up as well.
    pub fn observe(&mut self) {
        self.expire();
        let oldest = self.oldest();
        let metrics = self.venue.metrics();
        metrics.oldest[WaitingFor::Unacknowledged].set(oldest.unacknowledged);
        metrics.oldest[WaitingFor::Open].set(oldest.open);
    }

    /// An order, open or remembered; [`Order::ended`] tells which.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Order> {
        match self.known.get(id)? {
            Known::Order(kept) => Some(&kept.order),
            Known::Alias(order) => self.get(order),
            Known::Legs(_) | Known::Early(_) => None,
        }
    }

    /// The open orders and their identifiers, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &Order)> {
        self.orders()
            .filter(|(_, kept)| !kept.order.is_closed())
            .map(|(id, kept)| (id, &kept.order))
    }

    /// How many orders are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether no order is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// How many identifiers are known, of open orders and of what is remembered.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// What is to be kept over a restart.
    #[must_use]
    pub fn save(&self) -> SavedBook<Id> {
        let mut orders: Vec<_> = self.orders().collect();
        // Those that ended first are forgotten first, after the restart too.
        orders.sort_by_key(|(_, kept)| kept.ended);
        let entry = |(id, kept): (&Id, &Kept<Id>)| SavedEntry {
            id: id.clone(),
            order: kept.order.save(),
            aliases: kept.aliases.to_vec(),
            away: kept.away.to_vec(),
            parent: kept.parent.clone(),
            awaits_fills: kept.awaits_fills.is_some(),
        };
        let early = self.known.iter().flat_map(|(id, known)| {
            let events = match known {
                Known::Early(events) => events.clone(),
                Known::Legs(legs) => legs.to_keep(),
                _ => Vec::new(),
            };
            let with_id = |(number, event)| (number, id.clone(), event);
            events.into_iter().map(with_id)
        });
        let mut early: Vec<_> = early.collect();
        early.sort_by_key(|(number, ..)| *number);
        SavedBook {
            orders: orders.into_iter().map(entry).collect(),
            early,
        }
    }

    /// Goes on from what [`save`](Self::save) gave, with the strategy of each name. Open orders count as resumed; all executions are
    /// known, so that what the broker replays counts once.
    #[must_use]
    pub fn restore(
        venue: &Venue,
        saved: SavedBook<Id>,
        mut strategies: impl FnMut(&str) -> Strategy,
    ) -> Self {
        let mut book = Self::new(venue);
        for entry in saved.orders {
            let strategy = strategies(entry.order.strategy().unwrap_or_default());
            book.put_saved(entry, &strategy);
        }
        for (_, id, event) in saved.early {
            match event {
                Early::Alias(other) => book.name(&id, other),
                _ => book.keep(&id, event),
            }
        }
        book
    }
}

/// The parts of which [`Desk`](crate::Desk) makes the same over several books.
impl<Id: Clone + Eq + Hash> OrderBook<Id> {
    /// Takes an event by the order's own identifier or any other of this book.
    pub(crate) fn take(&mut self, id: &Id, event: &OrderEvent) -> Option<OrderReport> {
        match self.known.get_mut(id) {
            Some(Known::Order(kept)) => {
                let was_closed = kept.order.is_closed();
                let before = kept.weight();
                let awaits = kept.apply(event);
                match awaits {
                    Applied::Closed(report) => {
                        self.has_ended(id.clone());
                        Some(report)
                    }
                    Applied::AwaitsFills => {
                        let number = self.next();
                        self.wait(id, number);
                        if let Some(Known::Order(kept)) = self.known.get_mut(id) {
                            kept.awaits_fills = Some(number);
                        }
                        None
                    }
                    Applied::Done => {
                        if was_closed {
                            let after = kept.order.is_closed().then(|| kept.weight());
                            self.recount(id, before, after);
                        }
                        None
                    }
                }
            }
            Some(Known::Alias(order)) => {
                let order = order.clone();
                self.take(&order, event)
            }
            Some(Known::Legs(_)) if event.is_of_one_leg() => {
                self.venue.ignore(IgnoredEvent::UnknownOrder);
                None
            }
            Some(Known::Legs(legs)) => {
                let ids = legs.ids.clone();
                self.hear(id, *event);
                ids.iter()
                    .fold(None, |last, leg| self.take(leg, event).or(last))
            }
            Some(Known::Early(_)) | None => {
                self.keep(id, Early::Event(*event));
                None
            }
        }
    }

    /// The order's own identifier, of any of its identifiers; of an unknown one itself.
    fn own_of(&self, id: &Id) -> Id {
        match self.known.get(id) {
            Some(Known::Alias(own)) => own.clone(),
            _ => id.clone(),
        }
    }

    fn is_order(&self, own: &Id) -> bool {
        matches!(self.known.get(own), Some(Known::Order(_) | Known::Legs(_)))
    }

    fn orders(&self) -> impl Iterator<Item = (&Id, &Kept<Id>)> {
        self.known.iter().filter_map(|(id, known)| match known {
            Known::Order(kept) => Some((id, kept)),
            _ => None,
        })
    }

    /// Keeps a leg, and applies what was said of it and its parent before, in the order in which that was said.
    pub(crate) fn put_leg(
        &mut self,
        parent: &Id,
        id: Id,
        order: Order,
        mut before: Vec<(u64, Early<Id>)>,
    ) -> Option<OrderReport> {
        self.expire();
        let parent = self.own_of(parent);
        self.make_parent(&parent);
        if let Some(Known::Legs(legs)) = self.known.get(&parent) {
            let now = self.venue.clock().stamp();
            let heard = legs.heard.iter();
            let heard = heard.filter(|(since, ..)| now.since(*since) < Self::PATIENCE);
            before.extend(heard.map(|(_, number, event)| (*number, Early::Event(*event))));
        }
        let report = self.put(id.clone(), order, Some(parent.clone()), before);
        self.join(&parent, id);
        report
    }

    /// Keeps an order, and applies what was said of it before, to which more is added.
    pub(crate) fn put(
        &mut self,
        id: Id,
        order: Order,
        parent: Option<Id>,
        before: Vec<(u64, Early<Id>)>,
    ) -> Option<OrderReport> {
        self.expire();
        let id = match self.known.get(&id) {
            Some(Known::Alias(own)) => own.clone(),
            _ => id,
        };
        if !self.make_free(&id) {
            return None;
        }
        let kept = Kept {
            order,
            aliases: SmallVec::new(),
            away: SmallVec::new(),
            parent,
            ended: None,
            awaits_fills: None,
        };
        if kept.order.is_closed() {
            self.known.insert(id.clone(), Known::Order(kept));
            self.remember(id);
            return None;
        }
        self.open += 1;
        let mut early = before;
        if let Some(Known::Early(own)) = self.known.insert(id.clone(), Known::Order(kept)) {
            early.extend(own);
        }
        early.sort_by_key(|(number, _)| *number);
        self.apply_early(&id, early)
    }

    /// Makes its own identifier free for an order, where no open one has it: venues use them again.
    fn make_free(&mut self, id: &Id) -> bool {
        match self.known.get(id) {
            Some(Known::Order(kept)) if kept.order.is_closed() => self.forget(id),
            Some(Known::Order(_) | Known::Legs(_)) => {
                self.venue.ignore(IgnoredEvent::DuplicateOrder);
                return false;
            }
            _ => {}
        }
        true
    }

    pub(crate) fn put_saved(&mut self, entry: SavedEntry<Id>, strategy: &Strategy) {
        let order = entry.order.resume(strategy, &self.venue);
        self.put(entry.id.clone(), order, entry.parent.clone(), Vec::new());
        if let Some(parent) = entry.parent {
            self.make_parent(&parent);
            self.join(&parent, entry.id.clone());
        }
        for alias in entry.aliases {
            self.name(&entry.id, alias);
        }
        for other in entry.away {
            self.note_away(&entry.id, other);
        }
        if entry.awaits_fills {
            self.take(&entry.id, &OrderEvent::Ended(OrderOutcome::Filled));
        }
    }

    /// Gives an order another identifier, or what will be one.
    fn name(&mut self, own: &Id, other: Id) {
        if other == *own {
            return;
        }
        match self.known.get_mut(own) {
            Some(Known::Order(kept)) if kept.aliases.contains(&other) => {}
            Some(Known::Order(kept)) => kept.aliases.push(other.clone()),
            Some(Known::Legs(legs)) if legs.aliases.contains(&other) => {}
            Some(Known::Legs(legs)) => legs.aliases.push(other.clone()),
            _ => self.keep(own, Early::Alias(other.clone())),
        }
        self.known.insert(other, Known::Alias(own.clone()));
    }

    /// Makes an identifier that of a parent, with what was said of it before. One that is an order itself, as the parent of a bracket
    /// is, stays what it is.
    fn make_parent(&mut self, id: &Id) {
        if !matches!(self.known.get(id), Some(Known::Early(_)) | None) {
            return;
        }
        let legs = Known::Legs(Legs::default());
        let Some(Known::Early(events)) = self.known.insert(id.clone(), legs) else {
            return;
        };
        for (number, event) in events {
            self.keep_of_parent(id, number, event);
        }
    }

    /// Keeps what was said of a parent for the legs that join it.
    fn keep_of_parent(&mut self, id: &Id, number: u64, event: Early<Id>) {
        match event {
            Early::Event(event) if event.is_of_one_leg() => {
                self.venue.ignore(IgnoredEvent::UnknownOrder);
            }
            Early::Event(event) => {
                let now = self.venue.clock().stamp();
                if let Some(Known::Legs(legs)) = self.known.get_mut(id) {
                    legs.hear(now, number, event, Self::PATIENCE);
                }
            }
            Early::Alias(other) => self.name(id, other),
            Early::Away(other) => self.note_away(id, other),
        }
    }

    fn hear(&mut self, parent: &Id, event: OrderEvent) {
        let number = self.next();
        self.keep_of_parent(parent, number, Early::Event(event));
    }

    /// Makes an order a leg of a parent.
    fn join(&mut self, parent: &Id, leg: Id) {
        let is_leg = match self.known.get(&leg) {
            Some(Known::Order(kept)) => kept.parent.as_ref() == Some(parent),
            _ => false,
        };
        if let Some(Known::Legs(legs)) = self.known.get_mut(parent)
            && is_leg
            && !legs.ids.contains(&leg)
        {
            legs.ids.push(leg);
        }
        self.forget_parent(parent);
    }

    /// Forgets a parent without legs, under all its identifiers.
    fn forget_parent(&mut self, parent: &Id) {
        if !matches!(self.known.get(parent), Some(Known::Legs(legs)) if legs.ids.is_empty()) {
            return;
        }
        if let Some(Known::Legs(legs)) = self.known.remove(parent) {
            self.free(parent, &legs.aliases, legs.away);
        }
    }

    /// Frees the other identifiers of an order, or parent, that is forgotten.
    fn free(&mut self, id: &Id, aliases: &[Id], away: SmallVec<[Id; 1]>) {
        for alias in aliases {
            self.forget_alias(alias, id);
        }
        let freed = away.into_iter().map(|other| (other, id.clone()));
        self.freed.extend(freed);
    }

    /// Applies to an order what was said of it before it was known.
    fn apply_early(&mut self, id: &Id, events: Vec<(u64, Early<Id>)>) -> Option<OrderReport> {
        if !self.is_order(id) {
            self.keep_all(id, events);
            return None;
        }
        let mut report = None;
        for (_, event) in events {
            let applied = match event {
                Early::Event(event) => self.take(id, &event),
                Early::Alias(other) => {
                    self.name(id, other);
                    None
                }
                Early::Away(other) => {
                    self.note_away(id, other);
                    None
                }
            };
            report = applied.or(report);
        }
        report
    }

    /// Keeps what is said of an unknown order.
    pub(crate) fn keep(&mut self, id: &Id, event: Early<Id>) {
        let number = self.next();
        if let Some(Known::Legs(_)) = self.known.get(id) {
            return self.keep_of_parent(id, number, event);
        }
        self.keep_all(id, vec![(number, event)]);
    }

    /// Keeps what was said of an unknown order, with all else that was, in the order in which it came.
    fn keep_all(&mut self, id: &Id, early: Vec<(u64, Early<Id>)>) {
        if early.is_empty() {
            return;
        }
        for (number, _) in &early {
            self.wait(id, *number);
        }
        let known = self.known.entry(id.clone());
        if let Known::Early(events) = known.or_insert_with(|| Known::Early(Vec::new())) {
            events.extend(early);
            events.sort_by_key(|(number, _)| *number);
        }
    }

    /// Begins to wait for something about this identifier; what waits longest is given up for it where too much does.
    fn wait(&mut self, id: &Id, number: u64) {
        if self.waiting.len() == EARLY {
            self.give_up();
        }
        let now = self.venue.clock().stamp();
        self.waiting.push_back((now, number, id.clone()));
    }

    /// The next number. The parts of a desk count together, so that what comes to one can be put in order with what came to
    /// another.
    fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives up what waits longest, unless it came in the meantime.
    fn give_up(&mut self) {
        let Some((_, number, id)) = self.waiting.pop_front() else {
            return;
        };
        match self.known.get_mut(&id) {
            Some(Known::Early(events)) => {
                let place = events.iter().position(|(other, _)| *other == number);
                let event = place.map(|place| events.remove(place).1);
                if events.is_empty() {
                    self.known.remove(&id);
                }
                match event {
                    Some(Early::Event(_)) => self.venue.ignore(IgnoredEvent::UnknownOrder),
                    Some(Early::Away(other)) => self.freed.push((other, id)),
                    Some(Early::Alias(other)) => self.forget_alias(&other, &id),
                    None => {}
                }
            }
            Some(Known::Order(kept)) if kept.awaits_fills == Some(number) => {
                kept.awaits_fills = None;
                if !kept.order.is_closed() {
                    kept.order.end(OrderOutcome::Filled);
                    self.has_ended(id);
                }
            }
            _ => {}
        }
    }

    fn has_ended(&mut self, id: Id) {
        self.open -= 1;
        self.remember(id);
    }

    /// Remembers an order that ended, and forgets the oldest beyond the bound.
    fn remember(&mut self, id: Id) {
        let number = self.next();
        if let Some(Known::Order(kept)) = self.known.get_mut(&id) {
            kept.ended = Some(number);
            kept.awaits_fills = None;
            self.remembered += kept.weight();
            self.ended.push_back((number, id));
        }
        while self.remembered > self.remembers {
            let Some((number, id)) = self.ended.pop_front() else {
                return;
            };
            // It may have been reopened, or replaced by another of its name.
            if matches!(self.known.get(&id), Some(Known::Order(kept)) if kept.ended == Some(number))
            {
                self.forget(&id);
            }
        }
    }

    /// Forgets a closed order, under all its identifiers.
    fn forget(&mut self, id: &Id) {
        let Some(Known::Order(kept)) = self.known.remove(id) else {
            return;
        };
        self.remembered -= kept.weight();
        self.free(id, &kept.aliases, kept.away);
        if let Some(parent) = &kept.parent {
            if let Some(Known::Legs(legs)) = self.known.get_mut(parent) {
                legs.ids.retain(|leg| leg != id);
            }
            self.forget_parent(parent);
        }
    }

    fn forget_alias(&mut self, alias: &Id, own: &Id) {
        if matches!(self.known.get(alias), Some(Known::Alias(of)) if of == own) {
            self.known.remove(alias);
        }
    }

    /// Keeps the counts right of a closed order that an event may have reopened, or added an execution to that is remembered: how many
    /// were before, and are after, if it still is closed.
    fn recount(&mut self, id: &Id, before: usize, after: Option<usize>) {
        self.remembered -= before;
        if let Some(after) = after {
            self.remembered += after;
        } else {
            self.open += 1;
            if let Some(Known::Order(kept)) = self.known.get_mut(id) {
                kept.ended = None;
            }
        }
    }

    /// Whether an order, or the parent of some, is known under this identifier of its own.
    pub(crate) fn has(&self, id: &Id) -> bool {
        self.is_order(id)
    }

    /// Whether events of an unknown order are kept under this identifier.
    pub(crate) fn has_early(&self, id: &Id) -> bool {
        !self.waiting.is_empty() && matches!(self.known.get(id), Some(Known::Early(_)))
    }

    /// Takes out what was said under an identifier of an unknown order.
    pub(crate) fn take_early(&mut self, id: &Id) -> Vec<(u64, Early<Id>)> {
        if !self.has_early(id) {
            return Vec::new();
        }
        // What is left of them in the queue finds nothing when its time comes.
        match self.known.remove(id) {
            Some(Known::Early(events)) => events,
            _ => Vec::new(),
        }
    }

    /// Applies what was said under another identifier of an order.
    pub(crate) fn take_all(
        &mut self,
        id: &Id,
        events: Vec<(u64, Early<Id>)>,
    ) -> Option<OrderReport> {
        self.apply_early(id, events)
    }

    /// Notes that a desk keeps another identifier of an order elsewhere, to be freed with it.
    pub(crate) fn note_away(&mut self, id: &Id, other: Id) {
        match self.known.get_mut(id) {
            Some(Known::Order(kept)) if kept.away.contains(&other) => {}
            Some(Known::Order(kept)) => kept.away.push(other),
            Some(Known::Legs(legs)) if legs.away.contains(&other) => {}
            Some(Known::Legs(legs)) => legs.away.push(other),
            _ => self.keep(id, Early::Away(other)),
        }
    }

    /// The identifiers that may be freed.
    pub(crate) fn freed(&mut self) -> Vec<(Id, Id)> {
        std::mem::take(&mut self.freed)
    }

    /// Gives up what waited too long.
    pub(crate) fn expire(&mut self) {
        while let Some((since, ..)) = self.waiting.front() {
            if self.venue.clock().stamp().since(*since) < Self::PATIENCE {
                return;
            }
            self.give_up();
        }
    }

    /// When the oldest orders were sent that wait.
    pub(crate) fn oldest(&self) -> Oldest {
        self.iter()
            .fold(Oldest::NONE, |oldest, (_, order)| oldest.or(order))
    }
}

/// When the oldest order without an answer was sent, and the oldest open one, in seconds since 1970; `NaN` when there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    pub(crate) unacknowledged: f64,
    pub(crate) open: f64,
}

impl Oldest {
    pub(crate) const NONE: Self = Self {
        unacknowledged: f64::NAN,
        open: f64::NAN,
    };

    fn or(self, order: &Order) -> Self {
        let submitted = order.submitted_at();
        Self {
            unacknowledged: if order.is_acknowledged() {
                self.unacknowledged
            } else {
                self.unacknowledged.min(submitted)
            },
            // The lesser of a number and none is the number.
            open: self.open.min(submitted),
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            unacknowledged: self.unacknowledged.min(other.unacknowledged),
            open: self.open.min(other.open),
        }
    }
}

impl<Id: Clone> Legs<Id> {
    fn hear(&mut self, now: Stamp, number: u64, event: OrderEvent, patience: Duration) {
        self.heard
            .retain(|(since, ..)| now.since(*since) < patience);
        if self.heard.len() == HEARD {
            self.heard.remove(0);
        }
        self.heard.push((now, number, event));
    }

    /// What is kept over a restart, but for the legs, which know their parent.
    fn to_keep(&self) -> Vec<(u64, Early<Id>)> {
        let names = self.aliases.iter().cloned().map(Early::Alias);
        let away = self.away.iter().cloned().map(Early::Away);
        let heard = self.heard.iter();
        let heard = heard.map(|(_, number, event)| (*number, Early::Event(*event)));
        names
            .chain(away)
            .map(|name| (0, name))
            .chain(heard)
            .collect()
    }
}

/// What an event made of an order.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment")]
enum Applied {
    Closed(OrderReport),
    AwaitsFills,
    Done,
}

impl<Id> Kept<Id> {
    fn weight(&self) -> usize {
        self.order.executions().max(1)
    }

    fn apply(&mut self, event: &OrderEvent) -> Applied {
        let is_filled = matches!(event, OrderEvent::Ended(OrderOutcome::Filled));
        if is_filled && !self.order.is_closed() && self.order.misses_fills() {
            return match self.awaits_fills {
                Some(_) => Applied::Done,
                None => Applied::AwaitsFills,
            };
        }
        if let Some(report) = self.order.apply(event) {
            return Applied::Closed(report);
        }
        // Of unknown quantity, it is whole when something came of what was said to be.
        if self.awaits_fills.is_some() && !self.order.is_closed() && !self.order.misses_fills() {
            return Applied::Closed(self.order.end(OrderOutcome::Filled));
        }
        Applied::Done
    }
}

impl OrderEvent {
    /// Whether it says something of one order only, even under a parent's name.
    fn is_of_one_leg(self) -> bool {
        matches!(
            self,
            Self::Filled(_)
                | Self::FilledTo { .. }
                | Self::Corrected(_)
                | Self::Busted(_)
                | Self::Charged(_)
        )
    }
}
