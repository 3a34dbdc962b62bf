//! A strategy: it evaluates, signals and decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use obs_core::{By, Counter, Each, Gauge, Histogram, Open, Table, TimeCounter, Unit, buckets};

use crate::clock::Stamp;
use crate::costs::{Costs, CostsByVenue};
use crate::order::Stamps;
use crate::{
    Clock, Decision, MarketEvent, Order, RejectReason, Side, Signal, Stage, StrategyName, Symbol,
    Ticket, Venue,
};

obs_core::families! {
    group crate::groups::TRADING;

    /// What one strategy does.
    pub struct StrategyMetrics(strategy: StrategyName) {
        /// How long a signal took, from the start of the evaluation or from the signal before.
        pub signal_generation: Histogram = "trading_signal_generation_duration_seconds" { buckets: buckets::COMPUTATION },
        /// How long it took from a signal to the decision about it.
        pub decision_time: Histogram = "trading_decision_duration_seconds" { buckets: buckets::COMPUTATION },
        /// Signals, by what they say.
        pub signals: By<Signal, Counter> = "trading_signals_total",
        /// How sure the strategy is of its signals, from 0 to 1.
        pub confidence: Histogram = "trading_signal_confidence_ratio" { buckets: buckets::SHARE, range: 0.0..=1.0 },
        /// Decisions about signals.
        pub decisions: By<Decision, Counter> = "trading_decisions_total",
        /// Trades taken: orders of which something was executed.
        pub trades: Each<Symbol, By<Side, Counter>> = "trading_trades_total",
        /// Trades refused before an order was sent.
        pub trades_rejected: By<RejectReason, Counter> = "trading_trades_rejected_total",
        /// How long it took from a signal to the last fill of its order.
        ///
        /// Only of orders that came of a signal and were filled whole. It is the sum of `trading_order_stage_duration_seconds`.
        pub execution: Histogram = "trading_execution_duration_seconds" { buckets: buckets::ORDER_TIME },
        /// The stages of `trading_execution_duration_seconds`.
        pub stages: By<Stage, Histogram> = "trading_order_stage_duration_seconds" { buckets: buckets::ORDER_TIME },
        /// How long one evaluation of the strategy took.
        pub evaluation: Histogram = "trading_strategy_duration_seconds" { buckets: buckets::COMPUTATION },
        /// How long it took from the event of the market that caused an order until the order was handed to the venue.
        pub tick_to_order: Histogram = "trading_tick_to_order_duration_seconds" { buckets: buckets::ORDER_TIME },
        /// How often the strategy is to give a signal, be it to hold; undefined unless stated.
        pub expected_interval: Gauge = "trading_signal_expected_interval_seconds",
        /// Whether the strategy may trade: 1 or 0.
        pub active: Gauge = "trading_strategy_active" { unit: Unit::Switch },
        /// Time the strategy spent evaluating. Its rate is the share of one core it uses.
        pub busy: TimeCounter = "trading_strategy_busy_seconds_total",
    }
}

/// A strategy under measurement. Built at start-up, cloned and handed to the code that acts for the strategy; clones share their
/// handles.
#[derive(Clone, Debug)]
pub struct Strategy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: StrategyMetrics,
    name: Box<str>,
    clock: Clock,
    costs: CostsByVenue,
    /// What it trades, each once: an order finds all of it by one look-up, and holds it without copying it.
    symbols: Table<Arc<Traded>>,
}

/// A symbol that a strategy trades, shared by its orders: one count of references for an order, not one for each thing it needs.
#[derive(Debug)]
pub(crate) struct Traded {
    pub(crate) symbol: Box<str>,
    /// Bought and sold; nothing where no strategy trades it, as in an order that was read.
    trades: Option<[Counter; 2]>,
}

impl Traded {
    /// A symbol as it is read.
    pub(crate) const fn by_nobody(symbol: Box<str>) -> Self {
        Self {
            symbol,
            trades: None,
        }
    }

    /// Counts a trade.
    pub(crate) fn count(&self, side: Side) {
        if let Some(trades) = &self.trades {
            trades[side as usize].increment(1);
        }
    }
}

/// As many as keep series of their own; the others are made each time.
const KNOWN_SYMBOLS: usize = <Symbol as Open>::LIMIT;

impl Strategy {
    /// A strategy of this name, measured by the machine's clock.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str) -> Self {
        Self::with_clock(name, Clock::default())
    }

    /// A strategy whose orders are timed by this clock; a replay hands in its own.
    #[must_use]
    #[track_caller]
    pub fn with_clock(name: &str, clock: impl Into<Clock>) -> Self {
        let inner = Inner {
            metrics: StrategyMetrics::new(name),
            name: name.into(),
            clock: clock.into(),
            costs: CostsByVenue::new(name),
            symbols: Table::new(KNOWN_SYMBOLS),
        };
        inner.metrics.expected_interval.set_undefined();
        Self(Arc::new(inner))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &StrategyMetrics {
        &self.0.metrics
    }

    /// Says whether the strategy may trade.
    pub fn set_active(&self, active: bool) {
        self.metrics().active.switch(active);
    }

    /// Starts an evaluation: its time is recorded when the guard is dropped.
    pub fn evaluate(&self) -> Evaluation<'_> {
        let now = Instant::now();
        Evaluation {
            strategy: self,
            start: now,
            last_signal: now,
        }
    }

    /// A signal whose generation is timed elsewhere, or not at all. `confidence` lies in 0..=1, or is `None` for a strategy that
    /// has no notion of it; what lies outside is dropped from the distribution and counted.
    pub fn signal(&self, signal: Signal, confidence: impl Into<Option<f64>>) -> Idea {
        self.signal_at(Instant::now(), signal, confidence.into())
    }

    fn signal_at(&self, now: Instant, signal: Signal, confidence: Option<f64>) -> Idea {
        self.metrics().signals[signal].increment(1);
        if let Some(confidence) = confidence {
            self.metrics().confidence.record(confidence);
        }
        Idea {
            strategy: self.clone(),
            signalled: self.clock().stamp_at(now),
            began: now,
            is_decided: false,
        }
    }

    /// A trade that was decided on without a signal, such as one by hand: submitted at once. It has no stages before that.
    pub fn submit(&self, venue: &Venue, ticket: &Ticket<'_>) -> Order {
        let submitted = self.clock().stamp();
        let stamps = Stamps::submitted(None, submitted);
        Order::submit(self.clone(), venue, ticket, stamps)
    }

    /// An event of the market reached us just now: the start of `trading_tick_to_order_duration_seconds` for every order that
    /// [it causes](Ticket::caused_by).
    #[must_use]
    pub fn market_event(&self) -> MarketEvent {
        MarketEvent(Instant::now())
    }

    /// Says how often the strategy is to give a signal, be it to hold, while its market is open.
    pub fn expect_signals_every(&self, interval: Duration) {
        self.metrics().expected_interval.set(interval);
    }

    /// A trade that was refused before an order was sent.
    pub fn reject(&self, reason: RejectReason) {
        self.metrics().trades_rejected[reason].increment(1);
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What counts the costs of its executions there, in that currency.
    pub(crate) fn costs(&self, venue: &str, currency: &str) -> &Arc<Costs> {
        self.0.costs.of(venue, currency)
    }

    pub(crate) fn traded(&self, symbol: &str) -> Arc<Traded> {
        if let Some(known) = self.0.symbols.get(symbol) {
            return known.clone();
        }
        let trades = self.metrics().trades.of(symbol);
        let new = || {
            Arc::new(Traded {
                symbol: symbol.into(),
                trades: Some([Side::Buy, Side::Sell].map(|side| trades[side].clone())),
            })
        };
        // What has no series of its own is looked up each time: each of its trades is one that was folded.
        if self.metrics().trades.get(symbol).is_none() {
            return new();
        }
        let known = self.0.symbols.get_or_insert(symbol, new);
        known.cloned().unwrap_or_else(new)
    }
}

/// An evaluation under way.
#[derive(Debug)]
#[must_use = "the evaluation ends when the guard is dropped"]
pub struct Evaluation<'a> {
    strategy: &'a Strategy,
    start: Instant,
    last_signal: Instant,
}

impl Evaluation<'_> {
    /// A signal of this evaluation. Its generation took from the start, or from the signal before.
    pub fn signal(&mut self, signal: Signal, confidence: impl Into<Option<f64>>) -> Idea {
        let now = Instant::now();
        self.strategy
            .metrics()
            .signal_generation
            .record(now - self.last_signal);
        self.last_signal = now;
        self.strategy.signal_at(now, signal, confidence.into())
    }
}

impl Drop for Evaluation<'_> {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        self.strategy.metrics().evaluation.record(elapsed);
        self.strategy.metrics().busy.add(elapsed);
    }
}

/// A signal that awaits its decision. Dropped without one, it is counted as decision `abandoned`.
#[derive(Debug)]
#[must_use = "an idea that is dropped is counted as abandoned"]
pub struct Idea {
    strategy: Strategy,
    signalled: Stamp,
    began: Instant,
    is_decided: bool,
}

impl Idea {
    /// The decision about it.
    #[expect(
        clippy::must_use_candidate,
        reason = "a decision not to trade leads nowhere"
    )]
    pub fn decide(mut self, decision: Decision) -> Decided {
        self.is_decided = true;
        let now = Instant::now();
        let strategy = self.strategy.clone();
        let at = strategy.clock().stamp_at(now);
        let took = match strategy.clock() {
            // The same, without another subtraction of two times of the system's.
            Clock::Monotonic(_) => at.since(self.signalled),
            Clock::Replay(_) => now - self.began,
        };
        strategy.metrics().decision_time.record(took);
        strategy.metrics().decisions[decision].increment(1);
        Decided {
            strategy,
            signalled: self.signalled,
            at,
        }
    }

    /// The decision not to, because a check refuses: counted as decision `reject`, and by its reason.
    pub fn reject(self, reason: RejectReason) {
        self.decide(Decision::Reject).reject(reason);
    }
}

impl Drop for Idea {
    fn drop(&mut self) {
        if !self.is_decided {
            self.strategy.metrics().decisions[Decision::Abandoned].increment(1);
        }
    }
}

/// What was decided about a signal; for a trade, the way to its order.
#[derive(Debug)]
pub struct Decided {
    strategy: Strategy,
    signalled: Stamp,
    at: Stamp,
}

impl Decided {
    /// Hands the order to the venue.
    pub fn submit(self, venue: &Venue, ticket: &Ticket<'_>) -> Order {
        let submitted = self.strategy.clock().stamp();
        let stamps = Stamps::submitted(Some((self.signalled, self.at)), submitted);
        Order::submit(self.strategy, venue, ticket, stamps)
    }

    /// Gives the trade up after all, because a later check refuses it: counted by its reason.
    pub fn reject(self, reason: RejectReason) {
        self.strategy.reject(reason);
    }
}
