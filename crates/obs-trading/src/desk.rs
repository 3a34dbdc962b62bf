//! Orders by identifier, from any thread: for engines whose hooks pass their own types.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapidhash::fast::RandomState;

use crate::book::{Early, Oldest, SavedEntry};
use crate::{
    Change, Decided, Decimal, Decision, ExecutionId, Fill, Idea, IgnoredEvent, Order, OrderBook,
    OrderEvent, OrderOutcome, OrderReport, RejectReason, SavedBook, Signal, Strategy, Ticket,
    Venue, WaitingFor,
};

/// All that happens at a venue, by identifier alone: signals, decisions, orders and what the venue says of them. For engines that one
/// does not own, whose hooks pass their own types and in which a value such as an [`Order`] has no place to be kept.
///
/// It is an [`OrderBook`] that is cloned and shared by threads, and everything said there holds here. Any identifier of an order
/// leads to it. Each of 16 groups of identifiers has a lock; none is held while code of the caller runs, but for the `Hash`, `Eq`
/// and `Clone` of its identifiers, and never two at once.
///
/// ```
/// use obs_trading::{Decision, Desk, Fill, OrderType, Side, Signal, Strategy, Ticket, Venue};
///
/// let (strategy, venue) = (Strategy::new("crossover"), Venue::new("alpaca"));
/// let desk: Desk<u64> = Desk::new(&venue);
///
/// // In the engine's hooks, each of which knows a number and no more.
/// desk.signal(7, &strategy, Signal::Buy, None);
/// desk.decide(&7, Decision::Enter);
/// desk.submit(7, &strategy, &Ticket::new("AAPL", Side::Buy, OrderType::Limit, 10.0, 187.0));
/// desk.alias(&7, 90_210);                       // the broker's number
/// desk.acknowledge(&90_210);
/// desk.fill_to(&90_210, 4.0, 187.0);            // a broker that tells totals
/// desk.fill_to(&90_210, 10.0, 187.05);
/// assert!(desk.is_empty());
/// ```
///
/// Memory is bounded as that of the book, at twice its size; ideas that nothing comes of are counted as abandoned beyond 10,000.
pub struct Desk<Id>(Arc<Inner<Id>>);

struct Inner<Id> {
    venue: Venue,
    hash: RandomState,
    groups: [Group<Id>; GROUPS],
}

struct Group<Id> {
    orders: Mutex<Orders<Id>>,
    ideas: Mutex<Ideas<Id>>,
}

/// Under one lock, since most orders lie under their own identifier.
struct Orders<Id> {
    book: OrderBook<Id>,
    /// Where the orders are whose identifiers are not their own, or that lie in another group than their identifier.
    homes: HashMap<Id, Home<Id>, RandomState>,
}

/// Where an order is.
#[derive(Clone)]
struct Home<Id> {
    /// Its own identifier.
    id: Id,
    group: usize,
}

/// What has not become an order yet.
struct Ideas<Id> {
    by_id: HashMap<Id, Pending, RandomState>,
    oldest: VecDeque<Id>,
}

enum Pending {
    Idea(Idea),
    Decided(Decided),
}

/// What is known of an order at this moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OrderState {
    /// How much was executed.
    pub filled: f64,
    /// What is not executed yet; `NaN` where the quantity is not known.
    pub remaining: f64,
    /// How it ended; nothing while it is open.
    pub ended: Option<OrderOutcome>,
}

const GROUPS: usize = 16;

/// As many ideas are kept in each group.
const IDEAS: usize = 10_000 / GROUPS;

impl<Id: Clone + Eq + Hash> Desk<Id> {
    /// A desk at the venue, without orders.
    #[must_use]
    pub fn new(venue: &Venue) -> Self {
        Self::remembering(venue, OrderBook::<Id>::REMEMBERED)
    }

    /// The same, remembering more executions of closed orders; see [`OrderBook::remembering`].
    #[must_use]
    pub fn remembering(venue: &Venue, executions: usize) -> Self {
        // Identifiers fall a little unevenly: twice its share, so that all together remember as many.
        let share = executions.max(OrderBook::<Id>::REMEMBERED) / GROUPS * 2;
        let numbers = Arc::default();
        let group = |_| Group {
            orders: Mutex::new(Orders {
                book: OrderBook::part(venue, share, &numbers),
                homes: HashMap::default(),
            }),
            ideas: Mutex::new(Ideas {
                by_id: HashMap::default(),
                oldest: VecDeque::new(),
            }),
        };
        Self(Arc::new(Inner {
            venue: venue.clone(),
            hash: RandomState::new(),
            groups: std::array::from_fn(group),
        }))
    }
}

/// From the signal to the order.
impl<Id: Clone + Eq + Hash> Desk<Id> {
    /// A strategy gave a signal, which may become the order of this identifier. `confidence` lies in 0..=1, if there is one.
    pub fn signal(
        &self,
        id: Id,
        strategy: &Strategy,
        signal: Signal,
        confidence: impl Into<Option<f64>>,
    ) {
        let idea = strategy.signal(signal, confidence);
        self.put_idea(id, Pending::Idea(idea));
    }

    /// What was made of the signal. An unknown identifier is ignored: its signal was decided on, or given up.
    pub fn decide(&self, id: &Id, decision: Decision) {
        if let Some(Pending::Idea(idea)) = self.take_idea(id) {
            let decided = idea.decide(decision);
            if matches!(
                decision,
                Decision::Enter | Decision::Exit | Decision::Withdraw
            ) {
                self.put_idea(id.clone(), Pending::Decided(decided));
            }
        }
    }

    /// The trade is refused, because of a check.
    pub fn refuse(&self, id: &Id, reason: RejectReason) {
        match self.take_idea(id) {
            Some(Pending::Idea(idea)) => idea.reject(reason),
            Some(Pending::Decided(decided)) => decided.reject(reason),
            None => {}
        }
    }

    /// Hands the order of this identifier to the venue: that of its signal, where there was one, decided on now if it was not
    /// before. The report is there where the venue was faster, and has filled it.
    #[expect(clippy::needless_pass_by_value, reason = "as a map takes its keys")]
    pub fn submit(&self, id: Id, strategy: &Strategy, ticket: &Ticket<'_>) -> Option<OrderReport> {
        let order = self.order_of(&id, strategy, ticket);
        self.with_order(&id, |book, id| book.insert(id.clone(), order))
    }

    /// The same for one leg of several under a parent; see [`OrderBook::insert_leg`].
    #[expect(clippy::needless_pass_by_value, reason = "as a map takes its keys")]
    pub fn submit_leg(
        &self,
        parent: &Id,
        id: Id,
        strategy: &Strategy,
        ticket: &Ticket<'_>,
    ) -> Option<OrderReport> {
        let order = self.order_of(&id, strategy, ticket);
        let home = self.home_of(parent);
        let own = Home {
            id: id.clone(),
            group: home.group,
        };
        lock(&self.group(&id).orders)
            .homes
            .insert(id.clone(), own.clone());
        let early = lock(&self.group(&id).orders).book.take_early(&id);
        for (_, event) in &early {
            // It moves with what it is another identifier of.
            if let Early::Away(other) = event {
                lock(&self.group(other).orders)
                    .homes
                    .insert(other.clone(), own.clone());
            }
        }
        let report = self.at(home.group, |book| {
            let report = book.put_leg(&home.id, id.clone(), order, early);
            book.note_away(&id, id.clone());
            report
        });
        report.or(self.move_early(&id, &own))
    }

    fn order_of(&self, id: &Id, strategy: &Strategy, ticket: &Ticket<'_>) -> Order {
        let venue = &self.0.venue;
        match self.take_idea(id) {
            Some(Pending::Idea(idea)) => idea.decide(Decision::Enter).submit(venue, ticket),
            Some(Pending::Decided(decided)) => decided.submit(venue, ticket),
            None => strategy.submit(venue, ticket),
        }
    }

    fn put_idea(&self, id: Id, idea: Pending) {
        let mut ideas = lock(&self.group(&id).ideas);
        ideas.oldest.push_back(id.clone());
        let before = ideas.by_id.insert(id, idea);
        let mut dropped = vec![before];
        while ideas.oldest.len() > IDEAS
            && let Some(oldest) = ideas.oldest.pop_front()
        {
            // Of what was decided on since, only the place is left.
            if !ideas.oldest.contains(&oldest) {
                dropped.push(ideas.by_id.remove(&oldest));
            }
        }
        drop(ideas);
        drop(dropped);
    }

    fn take_idea(&self, id: &Id) -> Option<Pending> {
        let mut ideas = lock(&self.group(id).ideas);
        let idea = ideas.by_id.remove(id);
        if idea.is_some()
            && let Some(place) = ideas.oldest.iter().rposition(|other| other == id)
        {
            ideas.oldest.remove(place);
        }
        idea
    }
}

/// What the venue says.
impl<Id: Clone + Eq + Hash> Desk<Id> {
    /// Takes an event, of an order that is open, ended, or not known yet. The report is there if it closed the order.
    pub fn on(&self, id: &Id, event: OrderEvent) -> Option<OrderReport> {
        self.with_order(id, |book, id| book.on(id, event))
    }

    /// The venue has the order.
    pub fn acknowledge(&self, id: &Id) {
        self.on(id, OrderEvent::Acknowledged);
    }

    /// Part of the order was executed. A complete order is closed and its report returned.
    pub fn fill(&self, id: &Id, fill: Fill) -> Option<OrderReport> {
        self.on(id, OrderEvent::Filled(fill))
    }

    /// So much of the order is executed in all, at this average price; see [`Order::fill_to`].
    pub fn fill_to(&self, id: &Id, cumulative: f64, average: f64) -> Option<OrderReport> {
        self.on(
            id,
            OrderEvent::FilledTo {
                cumulative,
                average,
            },
        )
    }

    /// An execution was another than was said before; see [`Order::correct`].
    pub fn correct(&self, id: &Id, fill: Fill) -> Option<OrderReport> {
        self.on(id, OrderEvent::Corrected(fill))
    }

    /// An execution did not happen. Where the venue works the order again, [`reopen`](Self::reopen) it.
    pub fn bust(&self, id: &Id, execution: impl Into<ExecutionId>) {
        self.on(id, OrderEvent::Busted(execution.into()));
    }

    /// The venue works an order again that was closed.
    pub fn reopen(&self, id: &Id) {
        self.on(id, OrderEvent::Reopened);
    }

    /// The order ended; see [`OrderBook::close`].
    pub fn close(&self, id: &Id, outcome: OrderOutcome) -> Option<OrderReport> {
        self.on(id, OrderEvent::Ended(outcome))
    }

    /// The venue refused the order.
    pub fn reject(&self, id: &Id, reason: RejectReason) -> Option<OrderReport> {
        self.on(id, OrderEvent::Rejected(reason))
    }

    /// The venue replaced the order by one of another identifier: the same order, under both.
    pub fn replace(&self, id: &Id, new_id: Id, change: Change) -> Option<OrderReport> {
        let amended = self.on(id, OrderEvent::Amended(change));
        amended.or(self.alias(id, new_id))
    }

    /// The shares of a symbol were split; see [`OrderBook::split`].
    pub fn split(&self, symbol: &str, to: impl Into<Decimal>, from: impl Into<Decimal>) {
        let (to, from) = (to.into(), from.into());
        for group in 0..GROUPS {
            self.at(group, |book| book.split(symbol, to, from));
        }
    }

    /// A symbol has another name from now on; see [`OrderBook::rename`].
    pub fn rename(&self, symbol: &str, new: &str) {
        for group in 0..GROUPS {
            self.at(group, |book| book.rename(symbol, new));
        }
    }

    /// The order has another identifier too, such as the one the venue gave it. Either may be given first. What was said under the
    /// other one is applied; the report is there if that closed it.
    pub fn alias(&self, id: &Id, other: Id) -> Option<OrderReport> {
        let (home, far) = (self.home_of(id), self.home_of(&other));
        let is_known = |home: &Home<Id>| lock(&self.0.groups[home.group].orders).book.has(&home.id);
        let (home, other) = match (is_known(&home), is_known(&far)) {
            _ if home.id == far.id => return None,
            (false, true) => (far, id.clone()),
            (true, true)
                if self
                    .state_at(&far)
                    .is_none_or(|state| state.ended.is_none()) =>
            {
                self.0.venue.ignore(IgnoredEvent::DuplicateOrder);
                return None;
            }
            _ => (home, other),
        };
        lock(&self.group(&other).orders)
            .homes
            .insert(other.clone(), home.clone());
        self.at(home.group, |book| book.note_away(&home.id, other.clone()));
        let now = self.home_of(&home.id);
        if now.group != home.group {
            // Another thread made it a leg in between.
            lock(&self.group(&other).orders)
                .homes
                .insert(other.clone(), now.clone());
            self.move_early(&home.id, &now);
        }
        self.move_early(&other, &now)
    }
}

/// What is known.
impl<Id: Clone + Eq + Hash> Desk<Id> {
    /// An order, open or remembered, under any of its identifiers.
    #[must_use]
    pub fn state(&self, id: &Id) -> Option<OrderState> {
        self.state_at(&self.home_of(id))
    }

    /// How many orders are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0
            .groups
            .iter()
            .map(|group| lock(&group.orders).book.len())
            .sum()
    }

    /// Whether no order is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many identifiers are known, of open orders and of what is remembered.
    #[must_use]
    pub fn known(&self) -> usize {
        let known = |group: &Group<Id>| {
            let orders = lock(&group.orders);
            orders.homes.len() + orders.book.known()
        };
        self.0.groups.iter().map(known).sum()
    }

    /// Says what waits: once a second or so. What waited too long is given up, and `trading_order_oldest_timestamp_seconds` is
    /// set.
    pub fn observe(&self) {
        let mut oldest = Oldest::NONE;
        for group in 0..GROUPS {
            oldest = oldest.and(self.at(group, |book| {
                book.expire();
                book.oldest()
            }));
        }
        let metrics = self.0.venue.metrics();
        metrics.oldest[WaitingFor::Unacknowledged].set(oldest.unacknowledged);
        metrics.oldest[WaitingFor::Open].set(oldest.open);
    }

    /// What is to be kept over a restart. Save it where nothing is said meanwhile: what one thread says while another saves may be in
    /// it or not.
    #[must_use]
    pub fn save(&self) -> SavedBook<Id> {
        let mut all = SavedBook {
            orders: Vec::new(),
            early: Vec::new(),
        };
        for group in &self.0.groups {
            let saved = lock(&group.orders).book.save();
            all.orders.extend(saved.orders);
            all.early.extend(saved.early);
        }
        all.early.sort_by_key(|(number, ..)| *number);
        all
    }

    /// Goes on from what [`save`](Self::save), or [`OrderBook::save`], gave; see [`OrderBook::restore`].
    #[must_use]
    pub fn restore(
        venue: &Venue,
        saved: SavedBook<Id>,
        mut strategies: impl FnMut(&str) -> Strategy,
    ) -> Self {
        let desk = Self::new(venue);
        for entry in saved.orders {
            let strategy = strategies(entry.order.strategy().unwrap_or_default());
            desk.put_saved(entry, &strategy);
        }
        for (_, id, event) in saved.early {
            let home = desk.home_of(&id);
            if let Early::Alias(other) | Early::Away(other) = &event {
                lock(&desk.group(other).orders)
                    .homes
                    .insert(other.clone(), home.clone());
            }
            let event = match event {
                Early::Alias(other) => Early::Away(other),
                event => event,
            };
            desk.at(home.group, |book| book.keep(&home.id, event));
        }
        desk
    }

    fn put_saved(&self, mut entry: SavedEntry<Id>, strategy: &Strategy) {
        // Legs lie with their parent.
        let near = entry.parent.as_ref().unwrap_or(&entry.id);
        let home = Home {
            id: entry.id.clone(),
            group: self.number(near),
        };
        entry.away.append(&mut entry.aliases);
        for other in &entry.away {
            lock(&self.group(other).orders)
                .homes
                .insert(other.clone(), home.clone());
        }
        self.at(home.group, |book| book.put_saved(entry, strategy));
    }
}

impl<Id: Clone + Eq + Hash> Desk<Id> {
    /// Acts on the book in which the order of an identifier is, under its own identifier.
    fn with_order(
        &self,
        id: &Id,
        act: impl FnOnce(&mut OrderBook<Id>, &Id) -> Option<OrderReport>,
    ) -> Option<OrderReport> {
        let mut orders = lock(&self.group(id).orders);
        let Some(home) = orders.homes.get(id).cloned() else {
            let report = act(&mut orders.book, id);
            let freed = orders.book.freed();
            drop(orders);
            self.free(freed);
            return report;
        };
        drop(orders);
        let (report, is_early) = self.at(home.group, |book| {
            let report = act(book, &home.id);
            (report, book.has_early(&home.id))
        });
        if is_early {
            // Another thread may have told in between whose identifier this is: then it did not see this event.
            let now = self.home_of(id);
            if (&now.id, now.group) != (&home.id, home.group) {
                return self.move_early(&home.id, &now);
            }
        }
        report
    }

    /// Takes what was said under an identifier, while nobody knew whose it is, to its order.
    fn move_early(&self, other: &Id, home: &Home<Id>) -> Option<OrderReport> {
        let early = lock(&self.group(other).orders).book.take_early(other);
        if early.is_empty() {
            return None;
        }
        self.at(home.group, |book| book.take_all(&home.id, early))
    }

    /// Acts on a book, and frees the identifiers of what it forgot by it.
    fn at<R>(&self, group: usize, act: impl FnOnce(&mut OrderBook<Id>) -> R) -> R {
        let (result, freed) = {
            let book = &mut lock(&self.0.groups[group].orders).book;
            (act(book), book.freed())
        };
        self.free(freed);
        result
    }

    /// Frees other identifiers of what a book forgot.
    fn free(&self, freed: Vec<(Id, Id)>) {
        for (other, id) in freed {
            let homes = &mut lock(&self.group(&other).orders).homes;
            if homes.get(&other).is_some_and(|home| home.id == id) {
                homes.remove(&other);
            }
        }
    }

    fn state_at(&self, home: &Home<Id>) -> Option<OrderState> {
        let orders = lock(&self.0.groups[home.group].orders);
        orders.book.get(&home.id).map(|order| OrderState {
            filled: order.filled(),
            remaining: order.remaining(),
            ended: order.ended(),
        })
    }

    fn home_of(&self, id: &Id) -> Home<Id> {
        let group = self.number(id);
        let orders = lock(&self.0.groups[group].orders);
        orders.homes.get(id).cloned().unwrap_or_else(|| Home {
            id: id.clone(),
            group,
        })
    }

    fn group(&self, id: &Id) -> &Group<Id> {
        &self.0.groups[self.number(id)]
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash")]
    fn number(&self, id: &Id) -> usize {
        self.0.hash.hash_one(id) as usize % GROUPS
    }
}

// Not derived: a desk is cloned whatever its identifiers are.
impl<Id> Clone for Desk<Id> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Id> fmt::Debug for Desk<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("venue", &self.0.venue.name())
            .finish_non_exhaustive()
    }
}

/// A panic under these locks is one of an identifier's own `Hash`, `Eq` or `Clone`; what it leaves is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
