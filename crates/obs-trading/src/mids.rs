//! Mids: the middle of the market, symbol by symbol, and where it went after each fill.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Stamp, nanoseconds};
use crate::costs::{Costs, add_cost};
use crate::fill::stable_hash;
use crate::saved_order::{Executed, SavedOrder, is_positive};
use crate::{Decimal, ExecutionId, Fill, Liquidity, Side, Unmeasured};

/// The mids of symbols, as the market data brings them: what orders are measured against at their submission and their end, and
/// at each horizon after each fill (markouts).
///
/// A markout takes the last mid at or before the time of the fill plus the horizon, by the times of the market data. It is settled
/// when a later mid arrives, or when [`advance_to`](Self::advance_to) says that none will: no timer waits for a fill, and a replay
/// gives what live gave. Where there is no such mid, where it is older than allowed, or where the market closed in between
/// ([`closed`](Self::closed)), the fill is counted in `trading_markouts_unmeasured_total`.
///
/// An execution that is taken back takes its markouts along: in money, what was measured adds to the other direction; what waits is
/// counted as unmeasured (`taken_back`), and so is what was measured too long ago, beyond 8,000 markouts a group, or before a restart.
/// A corrected one is followed anew, from the time of the execution. The histogram shows shape, and keeps its observations.
///
/// Only fills of orders that [state a currency](crate::Ticket::in_currency) are followed. Memory is bounded: 64 mids and 10,000
/// fills a horizon are kept for each symbol, and 10,000 symbols. Clones share everything; there is a lock for each of 16 groups of symbols.
///
/// ```
/// use std::time::Duration;
/// use jiff::{SignedDuration, Timestamp};
/// use obs_trading::{Currency, Fill, Mids, OrderType, ReplayClock, Side, Strategy, Ticket, Venue};
///
/// let clock = ReplayClock::new();
/// let mids = Mids::new([Duration::from_secs(1)], Duration::from_secs(5));
/// let venue = Venue::with_clock("paper", &clock).with_mids(&mids);
/// let strategy = Strategy::with_clock("crossover", &clock);
///
/// let start = Timestamp::UNIX_EPOCH;
/// mids.record("SPX", start, 4_000.0);
/// let ticket = Ticket::new("SPX", Side::Buy, OrderType::Market, 1.0, 4_000.0).in_currency(Currency::USD);
/// let mut order = strategy.submit(&venue, &ticket);
/// order.fill(Fill::new(1.0, 4_001.0));
/// mids.record("SPX", start + SignedDuration::from_millis(900), 4_003.0);
/// mids.record("SPX", start + SignedDuration::from_millis(1_100), 4_005.0); // the second is over: 2.00 gained against 4,003
/// order.close_filled();
/// ```
#[derive(Clone, Debug)]
pub struct Mids(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    horizons: Vec<Ahead>,
    /// In nanoseconds.
    oldest: i64,
    groups: [Mutex<Group>; GROUPS],
}

#[derive(Debug, Default)]
struct Group {
    lines: HashMap<Arc<str>, Line>,
    /// What became of the last markouts, for executions that are taken back; the oldest first.
    settled: VecDeque<Settled>,
}

/// A horizon, and the word it is exported as.
#[derive(Debug)]
struct Ahead {
    nanoseconds: i64,
    word: String,
}

const GROUPS: usize = 16;

/// As many mids are remembered of a symbol: for fills that are told late.
const REMEMBERED: usize = 64;

/// As many fills wait at a horizon, for each symbol.
const WAITING: usize = 10_000;

/// Of as many markouts it is remembered in each group what became of them.
const SETTLED: usize = 8_000;

/// As many symbols are known in each group.
const SYMBOLS: usize = 10_000 / GROUPS;

/// What is known of one symbol.
#[derive(Debug)]
struct Line {
    /// Times in nanoseconds since 1970, rising, and mids.
    recent: VecDeque<(i64, f64)>,
    /// When its market closed, rising.
    closes: VecDeque<i64>,
    /// Fills that wait, for each horizon in the order in which they are due.
    waiting: Vec<VecDeque<Waiting>>,
}

/// An execution with an identifier: that, and when its order was sent, which tells orders apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Followed {
    pub(crate) execution: ExecutionId,
    pub(crate) submitted: Stamp,
}

impl Followed {
    /// Also under another revision.
    fn is(self, other: Option<Self>) -> bool {
        other.is_some_and(|other| {
            self.execution.hash() == other.execution.hash() && self.submitted == other.submitted
        })
    }
}

/// A markout that is over.
#[derive(Debug)]
struct Settled {
    followed: Followed,
    filled: i64,
    horizon: usize,
    liquidity: Liquidity,
    /// What was lost; undefined where it could not be measured.
    loss: f64,
    costs: Arc<Costs>,
}

#[derive(Debug)]
struct Waiting {
    /// Nothing for a fill without an identifier, which cannot be taken back.
    followed: Option<Followed>,
    filled: i64,
    due: i64,
    side: Side,
    price: f64,
    /// Quantity times multiplier.
    worth: f64,
    /// Whether basis points of the price mean something.
    is_relative: bool,
    liquidity: Liquidity,
    costs: Arc<Costs>,
}

impl Mids {
    /// Mids that are looked at so long after each fill; at most twelve horizons. A mid that is older than `oldest` at that time
    /// is not taken.
    #[must_use]
    pub fn new(horizons: impl IntoIterator<Item = Duration>, oldest: Duration) -> Self {
        let horizons = horizons.into_iter().take(12).map(|horizon| Ahead {
            nanoseconds: nanoseconds(horizon),
            word: word(horizon),
        });
        Self(Arc::new(Inner {
            horizons: horizons.collect(),
            oldest: nanoseconds(oldest),
            groups: Default::default(),
        }))
    }

    /// The mid of a symbol, at a time of the market data. One that is older than the last is left out; of two at the same time the
    /// later counts. A mid that is not a finite number says that there is none.
    pub fn record(&self, symbol: &str, at: Timestamp, mid: f64) {
        let at = since_epoch(at);
        self.with(symbol, |line, settled| {
            if line.now().is_some_and(|now| at < now) {
                return;
            }
            self.settle(line, settled, at, false);
            match line.recent.back_mut() {
                Some(last) if last.0 == at => last.1 = mid,
                _ => {
                    if line.recent.len() == REMEMBERED {
                        line.recent.pop_front();
                    }
                    line.recent.push_back((at, mid));
                }
            }
        });
    }

    /// The market of a symbol closed: no mid from before says anything of the time after, and fills are not followed beyond.
    pub fn closed(&self, symbol: &str, at: Timestamp) {
        self.with(symbol, |line, _| {
            if line.closes.len() == REMEMBERED {
                line.closes.pop_front();
            }
            let at = since_epoch(at);
            let place = line.closes.partition_point(|close| *close <= at);
            line.closes.insert(place, at);
        });
    }

    /// The shares of a symbol were split: for each `from` of them there are `to`. Mids from before, and fills that are followed, are
    /// taken in the new units, so that a markout over the split measures the market and not the split. Changes nothing when one of the
    /// numbers is not above zero.
    pub fn split(&self, symbol: &str, to: impl Into<Decimal>, from: impl Into<Decimal>) {
        let [more, less] = [to.into(), from.into()].map(Decimal::to_f64);
        if !(is_positive(more) && is_positive(less)) {
            return;
        }
        self.with(symbol, |line, _| {
            for (_, mid) in &mut line.recent {
                *mid = *mid * less / more;
            }
            for waiting in line.waiting.iter_mut().flatten() {
                waiting.price = waiting.price * less / more;
                waiting.worth = waiting.worth * more / less;
            }
        });
    }

    /// A symbol has another name from now on: its mids and the fills that are followed go with it. What the new name had before stays
    /// where the old one has nothing.
    pub fn rename(&self, symbol: &str, new: &str) {
        let line = lock(self.group(symbol)).lines.remove(symbol);
        if let Some(line) = line {
            self.with(new, |taken, _| {
                if line.now() >= taken.now() {
                    *taken = line;
                }
            });
        }
    }

    /// It is this late, and every mid up to now was recorded: what is due is settled. For symbols that have grown quiet, once a
    /// second or so, and for the end of a replay.
    pub fn advance_to(&self, now: Timestamp) {
        let now = since_epoch(now);
        for group in &self.0.groups {
            let Group { lines, settled } = &mut *lock(group);
            for line in lines.values_mut() {
                self.settle(line, settled, now, true);
            }
        }
    }

    /// The last mid of a symbol; `NaN` where none is known.
    #[must_use]
    pub fn last(&self, symbol: &str) -> f64 {
        let group = lock(self.group(symbol));
        let last = group.lines.get(symbol).and_then(|line| line.recent.back());
        last.map_or(f64::NAN, |(_, mid)| *mid)
    }

    /// How many fills wait for a horizon.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let lines = |group: &Mutex<Group>| -> usize {
            lock(group)
                .lines
                .values()
                .flat_map(|line| &line.waiting)
                .map(VecDeque::len)
                .sum()
        };
        self.0.groups.iter().map(lines).sum()
    }

    /// Follows a fill to every horizon, from the time at which it happened.
    pub(crate) fn follow(
        &self,
        fill: &Fill,
        executed: Executed,
        at: i64,
        order: &SavedOrder,
        costs: &Arc<Costs>,
    ) {
        let followed = fill.id.map(|id| order.followed(id));
        self.with(order.symbol(), |line, settled| {
            for (number, horizon) in self.0.horizons.iter().enumerate() {
                let waiting = Waiting {
                    followed,
                    filled: at,
                    due: at.saturating_add(horizon.nanoseconds),
                    side: order.side,
                    price: executed.price,
                    worth: executed.quantity * order.multiplier,
                    is_relative: order.prices.are_relative_to(executed.price),
                    liquidity: fill.liquidity,
                    costs: costs.clone(),
                };
                // A mid of that very time may still come.
                if line.now().is_some_and(|now| waiting.due < now) {
                    self.measure(line, settled, number, waiting);
                    continue;
                }
                let queue = &mut line.waiting[number];
                if queue.len() == WAITING
                    && let Some(dropped) = queue.pop_front()
                {
                    dropped.is_unmeasured(Unmeasured::Dropped, &horizon.word);
                }
                let place = queue.partition_point(|other| other.due <= waiting.due);
                queue.insert(place, waiting);
            }
        });
    }

    /// Takes the markouts of an execution back, at every horizon. Returns when it happened, where that is still known.
    pub(crate) fn take_back(
        &self,
        id: ExecutionId,
        order: &SavedOrder,
        costs: &Arc<Costs>,
    ) -> Option<i64> {
        let followed = order.followed(id);
        let mut filled = None;
        self.with(order.symbol(), |line, settled| {
            for (number, horizon) in self.0.horizons.iter().enumerate() {
                let queue = &mut line.waiting[number];
                let waits = queue.iter().position(|other| followed.is(other.followed));
                if let Some(waiting) = waits.and_then(|place| queue.remove(place)) {
                    waiting.is_unmeasured(Unmeasured::TakenBack, &horizon.word);
                    filled = Some(waiting.filled);
                    continue;
                }
                let is_it =
                    |other: &Settled| other.horizon == number && followed.is(Some(other.followed));
                let place = settled.iter().rposition(is_it);
                if let Some(was) = place.and_then(|place| settled.remove(place)) {
                    filled = Some(was.take_back(&horizon.word));
                } else {
                    let unmeasured = costs.shortfall.unmeasured.of(&horizon.word);
                    unmeasured[Unmeasured::TakenBack].increment(1);
                }
            }
        });
        filled
    }

    /// Settles what is due before this time; and at it, where no other mid will come.
    fn settle(&self, line: &mut Line, settled: &mut VecDeque<Settled>, now: i64, is_final: bool) {
        for number in 0..self.0.horizons.len() {
            let is_due = |due: i64| due < now || is_final && due == now;
            let is_due = |first: Option<&Waiting>| first.is_some_and(|first| is_due(first.due));
            while is_due(line.waiting[number].front())
                && let Some(waiting) = line.waiting[number].pop_front()
            {
                self.measure(line, settled, number, waiting);
            }
        }
    }

    fn measure(
        &self,
        line: &Line,
        settled: &mut VecDeque<Settled>,
        horizon: usize,
        waiting: Waiting,
    ) {
        let word = &self.0.horizons[horizon].word;
        let loss = match line.mid_for(&waiting, self.0.oldest) {
            Ok(mid) => waiting.is_measured(mid, word),
            Err(reason) => {
                waiting.is_unmeasured(reason, word);
                f64::NAN
            }
        };
        let Some(followed) = waiting.followed else {
            return;
        };
        if settled.len() == SETTLED {
            settled.pop_front();
        }
        settled.push_back(Settled {
            followed,
            filled: waiting.filled,
            horizon,
            liquidity: waiting.liquidity,
            loss,
            costs: waiting.costs,
        });
    }

    fn with(&self, symbol: &str, act: impl FnOnce(&mut Line, &mut VecDeque<Settled>)) {
        let Group { lines, settled } = &mut *lock(self.group(symbol));
        if let Some(line) = lines.get_mut(symbol) {
            return act(line, settled);
        }
        if lines.len() < SYMBOLS {
            let line = lines.entry(symbol.into()).or_insert_with(|| Line {
                recent: VecDeque::new(),
                closes: VecDeque::new(),
                waiting: self.0.horizons.iter().map(|_| VecDeque::new()).collect(),
            });
            act(line, settled);
        }
    }

    fn group(&self, symbol: &str) -> &Mutex<Group> {
        let hash = stable_hash(symbol.as_bytes()) % GROUPS as u64;
        &self.0.groups[usize::try_from(hash).unwrap_or_default()]
    }
}

impl Line {
    fn now(&self) -> Option<i64> {
        self.recent.back().map(|(at, _)| *at)
    }

    fn mid_for(&self, waiting: &Waiting, oldest: i64) -> Result<f64, Unmeasured> {
        let is_between = |close: &i64| waiting.filled < *close && *close <= waiting.due;
        if self.closes.iter().any(is_between) {
            return Err(Unmeasured::Closed);
        }
        let before = self.recent.iter().rev().find(|(at, _)| *at <= waiting.due);
        let (at, mid) = *before.ok_or(Unmeasured::NoMid)?;
        if waiting.due - at > oldest {
            Err(Unmeasured::Stale)
        } else if mid.is_finite() {
            Ok(mid)
        } else {
            Err(Unmeasured::NoMid)
        }
    }
}

impl Waiting {
    /// Favourable is positive in basis points; in money, what was lost is adverse.
    /// Returns what was lost.
    fn is_measured(&self, mid: f64, horizon: &str) -> f64 {
        let gained = self.side.sign() * (mid - self.price);
        if self.is_relative {
            let bps = gained / self.price * 10_000.0;
            self.costs.shortfall.markout[self.liquidity]
                .of(horizon)
                .record(bps);
        }
        let money = self.costs.money.markout[self.liquidity].of(horizon);
        let loss = -gained * self.worth;
        add_cost(money, loss);
        loss
    }

    fn is_unmeasured(&self, reason: Unmeasured, horizon: &str) {
        self.costs.shortfall.unmeasured.of(horizon)[reason].increment(1);
    }
}

impl Settled {
    /// Returns when the fill happened.
    fn take_back(self, horizon: &str) -> i64 {
        if !self.loss.is_nan() {
            let money = self.costs.money.markout[self.liquidity].of(horizon);
            add_cost(money, -self.loss);
        }
        self.filled
    }
}

/// Nothing behind these locks is left half done by a panic: nothing of a user runs under them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn since_epoch(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// A horizon in words: the largest unit that divides it, such as `90s`, `5m`, `250ms`.
fn word(horizon: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let time = horizon.as_nanos();
    let unit = UNITS
        .iter()
        .find(|(unit, _)| time > 0 && time.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{time}ns"),
        |(unit, word)| format!("{}{word}", time / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_is_named_by_its_largest_unit() {
        let of = |seconds| word(Duration::from_secs_f64(seconds));
        assert_eq!(
            ["1s", "90s", "5m", "2h", "1d"],
            [of(1.0), of(90.0), of(300.0), of(7_200.0), of(86_400.0)]
                .each_ref()
                .map(String::as_str)
        );
        assert_eq!(
            [
                of(0.25),
                word(Duration::from_nanos(1_500)),
                word(Duration::ZERO)
            ],
            ["250ms", "1500ns", "0ns"]
        );
    }
}
