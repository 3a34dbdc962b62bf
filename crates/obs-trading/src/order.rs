//! An order on its way: submitted, acknowledged, filled, closed.

use std::time::Duration;

use obs_core::Counter;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::{IgnoredEvent, OrderOutcome, OrderType, RejectReason, Side, Stage, Strategy, Venue};

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticket<'a> {
    /// What is traded.
    pub symbol: &'a str,
    /// Buy or sell.
    pub side: Side,
    /// How it may be executed.
    pub order_type: OrderType,
    /// How much, in units of the symbol; positive.
    pub quantity: f64,
    /// The price slippage is measured against, such as the mid when the decision was made, or the arrival price. One
    /// that is not a positive number makes the slippage undefined, and nothing is recorded.
    pub benchmark: f64,
}

impl<'a> Ticket<'a> {
    /// An order for a quantity, measured against a benchmark price.
    #[must_use]
    pub const fn new(
        symbol: &'a str,
        side: Side,
        order_type: OrderType,
        quantity: f64,
        benchmark: f64,
    ) -> Self {
        Self {
            symbol,
            side,
            order_type,
            quantity,
            benchmark,
        }
    }
}

/// An order at a venue. It ends by [`close`](Self::close) and its kin; dropped without, it is counted as `abandoned`, for
/// then nobody will see its end.
#[derive(Debug)]
#[must_use = "an order that is dropped is counted as abandoned"]
pub struct Order {
    strategy: Strategy,
    venue: Venue,
    trade: Counter,
    state: SavedOrder,
    is_closed: bool,
}

/// An order as it can be kept across a restart. Made by [`Order::save`]; [`resume`](Self::resume) takes it up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedOrder {
    symbol: Box<str>,
    side: Side,
    order_type: OrderType,
    quantity: f64,
    benchmark: f64,
    filled: f64,
    /// Sum of quantity times price over the fills.
    notional: f64,
    stamps: Stamps,
}

/// When an order reached each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    signalled: Stamp,
    decided: Stamp,
    submitted: Stamp,
    acknowledged: Option<Stamp>,
    last_fill: Option<Stamp>,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderReport {
    /// How it ended.
    pub outcome: OrderOutcome,
    /// How much was executed.
    pub filled: f64,
    /// The average price of what was executed, weighted by quantity.
    pub average_price: Option<f64>,
    /// The average price against the benchmark, in basis points; adverse is positive.
    ///
    /// `side · (average / benchmark − 1) · 10 000`, with side 1 for a buy and −1 for a sell.
    pub slippage_bps: Option<f64>,
    /// How long each stage took, of an order that was filled whole.
    pub stages: Option<StageTimes>,
}

/// How long each stage of an order took. The stages add up to the total, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// From the signal to the decision.
    pub decision: Duration,
    /// From the decision to the submission.
    pub submission: Duration,
    /// From the submission to the venue's first word.
    pub acknowledgement: Duration,
    /// From there to the last fill.
    pub fill: Duration,
}

impl Order {
    pub(crate) fn submit(
        strategy: Strategy,
        venue: &Venue,
        ticket: &Ticket<'_>,
        stamps: Stamps,
    ) -> Self {
        venue.metrics().orders[ticket.order_type][ticket.side].increment(1);
        let state = SavedOrder {
            symbol: ticket.symbol.into(),
            side: ticket.side,
            order_type: ticket.order_type,
            quantity: ticket.quantity,
            benchmark: ticket.benchmark,
            filled: 0.0,
            notional: 0.0,
            stamps,
        };
        Self::open(strategy, venue, state)
    }

    fn open(strategy: Strategy, venue: &Venue, state: SavedOrder) -> Self {
        venue.metrics().open.increment(1);
        let trade = strategy.metrics().trades.of(&state.symbol)[state.side].clone();
        Self {
            strategy,
            venue: venue.clone(),
            trade,
            state,
            is_closed: false,
        }
    }

    /// The venue has the order. Said twice, the first counts; not said at all, the first fill or the end counts.
    pub fn acknowledge(&mut self) {
        let now = self.strategy.clock().stamp();
        self.state.stamps.acknowledged.get_or_insert(now);
    }

    /// Part of the order, or all of it, was executed. Returns whether the order is complete now; close it then.
    ///
    /// A quantity or price that is not a positive number is ignored and counted in `trading_order_events_ignored_total`.
    pub fn fill(&mut self, quantity: f64, price: f64) -> bool {
        if !(is_positive(quantity) && is_positive(price)) {
            self.venue.metrics().ignored[IgnoredEvent::InvalidFill].increment(1);
            return self.is_complete();
        }
        if self.state.filled == 0.0 {
            self.trade.increment(1);
        }
        self.acknowledge();
        self.state.filled += quantity;
        self.state.notional += quantity * price;
        self.state.stamps.last_fill = Some(self.strategy.clock().stamp());
        self.is_complete()
    }

    /// Whether the whole quantity was executed, but for what adding up fractions loses.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state.filled >= self.state.quantity * (1.0 - 1e-9)
    }

    /// What is not executed yet; never negative.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        (self.state.quantity - self.state.filled).max(0.0)
    }

    /// It was filled whole.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it recorded"
    )]
    pub fn close_filled(self) -> OrderReport {
        self.close(OrderOutcome::Filled)
    }

    /// The venue refused it.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it recorded"
    )]
    pub fn close_rejected(self, reason: RejectReason) -> OrderReport {
        self.venue.metrics().rejected[reason].increment(1);
        self.close(OrderOutcome::Rejected)
    }

    /// It ended like this. For a rejection there is [`close_rejected`](Self::close_rejected), which takes the reason;
    /// closed as rejected here, its reason is counted as `other`.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it recorded"
    )]
    pub fn close(mut self, outcome: OrderOutcome) -> OrderReport {
        self.end(outcome)
    }

    /// The order as it can be kept, for instance in a database, to be resumed by a later process.
    #[must_use]
    pub fn save(&self) -> SavedOrder {
        let clock = self.strategy.clock();
        let stamps = self.state.stamps.map(|moment| clock.to_kept(moment));
        SavedOrder {
            stamps,
            ..self.state.clone()
        }
    }

    fn end(&mut self, outcome: OrderOutcome) -> OrderReport {
        self.is_closed = true;
        let report = self.state.report(outcome);
        let venue = self.venue.metrics();
        venue.closed[outcome].increment(1);
        venue.open.decrement(1);
        if let Some(slippage) = report.slippage_bps {
            venue.slippage[self.state.side].record(slippage);
        }
        if let Some(stages) = report.stages {
            venue.fill[self.state.order_type].record(stages.acknowledgement + stages.fill);
            let strategy = self.strategy.metrics();
            strategy.execution.record(stages.total());
            for (stage, time) in stages.by_stage() {
                strategy.stages[stage].record(time);
            }
        }
        report
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if !self.is_closed {
            self.end(OrderOutcome::Abandoned);
        }
    }
}

impl SavedOrder {
    /// Takes the order up again after a restart: it is open, but was counted as submitted before.
    pub fn resume(&self, strategy: &Strategy, venue: &Venue) -> Order {
        venue.metrics().resumed.increment(1);
        let stamps = self.stamps.map(|kept| strategy.clock().to_own(kept));
        Order::open(
            strategy.clone(),
            venue,
            Self {
                stamps,
                ..self.clone()
            },
        )
    }

    fn report(&self, outcome: OrderOutcome) -> OrderReport {
        let average_price = (self.filled > 0.0).then(|| self.notional / self.filled);
        let slippage_bps = average_price
            .filter(|_| is_positive(self.benchmark))
            .map(|average| self.side.sign() * (average / self.benchmark - 1.0) * 10_000.0);
        let stages = if outcome == OrderOutcome::Filled {
            self.stamps.stages()
        } else {
            None
        };
        OrderReport {
            outcome,
            filled: self.filled,
            average_price,
            slippage_bps,
            stages,
        }
    }
}

impl Stamps {
    pub(crate) const fn submitted(signalled: Stamp, decided: Stamp, submitted: Stamp) -> Self {
        Self {
            signalled,
            decided,
            submitted,
            acknowledged: None,
            last_fill: None,
        }
    }

    fn map(self, to: impl Fn(Stamp) -> Stamp) -> Self {
        Self {
            signalled: to(self.signalled),
            decided: to(self.decided),
            submitted: to(self.submitted),
            acknowledged: self.acknowledged.map(&to),
            last_fill: self.last_fill.map(&to),
        }
    }

    fn stages(&self) -> Option<StageTimes> {
        let last_fill = self.last_fill?;
        let acknowledged = self.acknowledged.unwrap_or(last_fill);
        Some(StageTimes {
            decision: self.decided.since(self.signalled),
            submission: self.submitted.since(self.decided),
            acknowledgement: acknowledged.since(self.submitted),
            fill: last_fill.since(acknowledged),
        })
    }
}

impl StageTimes {
    /// From the signal to the last fill.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.iter().sum()
    }

    /// The stages in order.
    pub fn iter(&self) -> impl Iterator<Item = Duration> {
        [
            self.decision,
            self.submission,
            self.acknowledgement,
            self.fill,
        ]
        .into_iter()
    }

    fn by_stage(&self) -> impl Iterator<Item = (Stage, Duration)> {
        [
            Stage::Decision,
            Stage::Submission,
            Stage::Acknowledgement,
            Stage::Fill,
        ]
        .into_iter()
        .zip(self.iter())
    }
}

fn is_positive(number: f64) -> bool {
    number > 0.0 && number.is_finite()
}
