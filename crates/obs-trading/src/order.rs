//! An order on its way: submitted, acknowledged, filled, closed, and what comes after.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::costs::{Costs, add_cost};
use crate::executions::Execution;
use crate::saved_order::{Executed, is_positive};
use crate::{
    Answer, Change, CorrectionKind, Currency, Decimal, ExecutionId, Fee, FeeKind, Fill,
    IgnoredEvent, Money, OrderEvent, OrderOutcome, RejectReason, SavedOrder, Shortfall, Stage,
    Strategy, Ticket, Venue,
};

/// An order at a venue. It ends by [`close`](Self::close) and its kin; dropped without, it is counted as `abandoned`, for
/// then nobody will see its end.
///
/// [`OrderBook`](crate::OrderBook) holds orders by identifier, and goes on where this ends: what comes before the order is known
/// or after it closed, and what a restart makes of it.
#[derive(Debug)]
#[must_use = "an order that is dropped is counted as abandoned"]
pub struct Order {
    strategy: Strategy,
    venue: Venue,
    costs: Option<Arc<Costs>>,
    state: SavedOrder,
}

/// When an order reached each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    /// Nothing for an order without a signal.
    signalled: Option<Stamp>,
    decided: Option<Stamp>,
    pub(crate) submitted: Stamp,
    acknowledged: Option<Stamp>,
    last_fill: Option<Stamp>,
}

/// The largest quantity, and the largest price: sums of their products stay numbers.
const LARGEST: f64 = 1e100;

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OrderReport {
    /// How it ended.
    pub outcome: OrderOutcome,
    /// How much was executed.
    pub filled: f64,
    /// The average price of what was executed, weighted by quantity.
    pub average_price: Option<f64>,
    /// The average price against the benchmark, in the price's own unit; adverse is positive.
    pub slippage: Option<f64>,
    /// The same in basis points of the benchmark; nothing where that is not above zero, or means nothing
    /// ([`Prices::Any`](crate::Prices::Any)).
    ///
    /// `side · (average / benchmark − 1) · 10 000`, with side 1 for a buy and −1 for a sell.
    pub slippage_bps: Option<f64>,
    /// Fees less rebates, in the currency of the order; nothing where there was none.
    pub fees: Option<Money>,
    /// What it cost against the decision, by part.
    pub shortfall: Shortfall,
    /// How long each stage took, of an order that was filled whole.
    pub stages: Option<StageTimes>,
}

/// How long each stage of an order took. The stages add up to the total, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// From the signal to the decision; nothing for an order without a signal.
    pub decision: Option<Duration>,
    /// From the decision to the submission; nothing for an order without a signal.
    pub submission: Option<Duration>,
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
        if let Some(cause) = ticket.cause {
            let metrics = strategy.metrics();
            metrics.tick_to_order.record(cause.0.elapsed());
        }
        if !(is_positive(ticket.quantity) || ticket.quantity.is_nan()) {
            venue.ignore(IgnoredEvent::InvalidOrder);
        }
        let arrival = if ticket.prices.allow(ticket.arrival) {
            ticket.arrival
        } else {
            let last = |mids: &crate::Mids| mids.last(ticket.symbol);
            venue.mids().map_or(f64::NAN, last)
        };
        venue.metrics().open.increment(1);
        // Put together where it is returned, and not changed from there on: an order is too large to be moved for nothing.
        Self {
            costs: costs(&strategy, venue, ticket.currency),
            venue: venue.clone(),
            state: SavedOrder::new(ticket, strategy.traded(ticket.symbol), arrival, stamps),
            strategy,
        }
    }

    /// Takes an order up that was kept. One that is open counts as resumed; a closed one is only remembered.
    pub(crate) fn resume(strategy: Strategy, venue: &Venue, mut state: SavedOrder) -> Self {
        state.symbol = strategy.traded(state.symbol());
        if state.ended.is_none() {
            venue.metrics().resumed.increment(1);
            venue.metrics().open.increment(1);
        }
        Self {
            costs: costs(&strategy, venue, state.currency),
            venue: venue.clone(),
            strategy,
            state,
        }
    }
}

/// What counts the costs of an order that states its currency.
fn costs(strategy: &Strategy, venue: &Venue, currency: Option<Currency>) -> Option<Arc<Costs>> {
    let currency = currency?;
    Some(strategy.costs(venue.name(), currency.as_str()).clone())
}

/// What happens to it.
impl Order {
    /// The venue has the order. Only the first call has an effect; without one, the first fill or the end counts.
    pub fn acknowledge(&mut self) {
        let now = self.strategy.clock().stamp();
        self.state.stamps.acknowledged.get_or_insert(now);
    }

    /// Part of the order, or all of it, was executed. Returns whether the order is complete now; close it then.
    ///
    /// A fill whose quantity is not a positive number, whose price the instrument cannot have or whose time lies in the future
    /// is refused and counted in `trading_order_events_ignored_total`; its identifier is not used up. A fill under an identifier
    /// that was seen before changes nothing, unless its revision is higher: then it counts instead.
    pub fn fill(&mut self, fill: Fill) -> bool {
        self.take_fill(&fill);
        self.is_complete()
    }

    fn take_fill(&mut self, fill: &Fill) {
        if let Some(fault) = self.fault(fill) {
            return self.venue.ignore(fault);
        }
        let executed = Executed::from(fill);
        let Some(id) = fill.id else {
            self.state.unnamed.add(&executed);
            return self.execute(fill, executed, 0.0);
        };
        match self.state.executions.get(id) {
            None if self.state.executions.is_forgotten(fill.venue_time) => {
                self.venue.ignore(IgnoredEvent::ForgottenFill);
            }
            None => {
                let execution = Execution::of(id, fill);
                self.state.remember(id, fill.venue_time, execution);
                let known = self.take_told(executed.quantity);
                self.execute(fill, executed, known);
            }
            Some(known) if id.revision() > known.revision && !known.is_busted => {
                self.replace_execution(id, Some(*fill), CorrectionKind::Correction);
            }
            Some(_) => self.venue.ignore(if self.is_closed() {
                IgnoredEvent::ReplayedFill
            } else {
                IgnoredEvent::DuplicateFill
            }),
        }
    }

    /// So much is executed in all, at this average price: for brokers that are polled, and say no more. What is new since the last
    /// time counts as one execution; the same total again changes nothing. Returns whether the order is complete now.
    ///
    /// Executions that follow under identifiers of their own are taken to be what the total told already.
    pub fn fill_to(&mut self, cumulative: f64, average: f64) -> bool {
        let filled = self.state.filled;
        let new = cumulative - filled;
        if new.is_nan()
            || cumulative > LARGEST
            || average.abs() > LARGEST
            || !self.state.prices.allow(average) && new > 0.0
        {
            self.venue.ignore(IgnoredEvent::InvalidFill);
        } else if new < -filled * 1e-9 {
            self.venue.ignore(IgnoredEvent::StaleTotal);
        } else if new > filled * 1e-9 {
            // The average is rounded: what follows for the rest may be a price that cannot be.
            let price = (cumulative * average - self.state.notional) / new;
            let price = if self.state.prices.allow(price) {
                price
            } else {
                average
            };
            let executed = Executed {
                quantity: new,
                price,
            };
            self.state.told.add(&executed);
            self.state.unnamed.add(&executed);
            self.execute(&Fill::new(new, price), executed, 0.0);
        }
        self.is_complete()
    }

    /// The execution under the fill's identifier was this, and not what was said before. It counts as it is now, whatever of it
    /// comes first; what it was before comes too late then.
    pub fn correct(&mut self, fill: Fill) {
        self.take_correction(&fill);
    }

    fn take_correction(&mut self, fill: &Fill) {
        let Some(id) = fill.id else {
            return self.venue.ignore(IgnoredEvent::InvalidFill);
        };
        if let Some(fault) = self.fault(fill) {
            return self.venue.ignore(fault);
        }
        match self.state.executions.get(id) {
            Some(known) if known.is_busted || known.is(fill) => {
                self.venue.ignore(IgnoredEvent::DuplicateCorrection);
            }
            Some(known) => {
                let revision = id.revision().max(known.revision);
                self.replace_execution(
                    id.revised(revision),
                    Some(*fill),
                    CorrectionKind::Correction,
                );
            }
            None => self.take_fill(fill),
        }
    }

    /// An execution did not happen: what it added is taken back, whether the order is open or closed. Its fill is not counted if
    /// it only comes later.
    pub fn bust(&mut self, id: ExecutionId) {
        match self.state.executions.get(id) {
            Some(known) if known.is_busted => self.venue.ignore(IgnoredEvent::DuplicateCorrection),
            Some(_) => self.replace_execution(id, None, CorrectionKind::Bust),
            None => self.bust_unknown(id),
        }
    }

    /// Its fill may follow, or is forgotten: then it stays counted.
    fn bust_unknown(&mut self, id: ExecutionId) {
        if self.state.executions.has_forgotten() {
            self.venue.ignore(IgnoredEvent::ForgottenFill);
        }
        let now = self.strategy.clock().since_epoch();
        let now = Timestamp::from_nanosecond(now.into()).ok();
        self.state.remember(id, now, Execution::busted(id));
    }

    /// A fee that comes apart from its fill, or a second one of it.
    pub fn charge(&mut self, fee: Fee) {
        self.count_fee(fee, false);
        self.count_shortfall();
    }

    /// We asked for its cancellation: when it closes as cancelled, the venue did what was asked.
    pub fn ask_to_cancel(&mut self) {
        self.state.is_cancel_asked = true;
    }

    /// The venue refused to cancel it, most often because it comes too late. The order is what it was.
    pub fn refuse_cancel(&mut self) {
        self.state.is_cancel_asked = false;
        self.venue.metrics().cancels[Answer::Rejected].increment(1);
    }

    /// The venue took an amendment, or a replacement, that we asked for. It stays this order, with its benchmark and times.
    /// Returns whether it is complete now, because no more is ordered than was executed.
    pub fn amend(&mut self, change: Change) -> bool {
        self.venue.metrics().replaces[Answer::Accepted].increment(1);
        self.restate(change)
    }

    /// The venue refused an amendment or a replacement. The order is what it was.
    pub fn refuse_amend(&mut self) {
        self.venue.metrics().replaces[Answer::Rejected].increment(1);
    }

    /// The venue changed the order on its own. Returns whether it is complete now.
    pub fn restate(&mut self, change: Change) -> bool {
        match change.total(self.state.filled) {
            Some(total) if is_positive(total) => self.state.quantity = total,
            Some(_) => self.venue.ignore(IgnoredEvent::InvalidOrder),
            None => {}
        }
        self.is_complete()
    }

    /// The shares were split while the order is open: for each `from` of them there are `to`, such as 4 for 1 or 1 for 10. What is
    /// ordered and what was executed become as many more as their prices become less: no money changes, and none is counted. What comes
    /// afterwards, corrections of earlier executions too, is in the new units. A venue that rounds fractions away
    /// [restates](Self::restate) the order besides.
    ///
    /// Changes nothing when one of the numbers is not above zero.
    pub fn split(&mut self, to: impl Into<Decimal>, from: impl Into<Decimal>) {
        let (to, from) = (to.into(), from.into());
        if to.is_positive() && from.is_positive() {
            self.state.split(to, from);
        }
    }

    /// Its symbol has another name from now on. What is counted by symbol goes on under the new one.
    pub fn rename(&mut self, symbol: &str) {
        self.state.symbol = self.strategy.traded(symbol);
    }

    /// It was filled whole. Where not all of it was seen to be filled, that is counted as `missing_fill`.
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
    pub fn close_rejected(mut self, reason: RejectReason) -> OrderReport {
        self.reject(reason)
    }

    /// It ended like this. For a rejection there is [`close_rejected`](Self::close_rejected), which takes the reason;
    /// closed as rejected here, its reason is counted as `other`.
    #[expect(
        clippy::must_use_candidate,
        reason = "most callers only want it recorded"
    )]
    pub fn close(mut self, outcome: OrderOutcome) -> OrderReport {
        match outcome {
            OrderOutcome::Rejected => self.reject(RejectReason::Other),
            _ => self.end(outcome),
        }
    }
}

/// What is known of it.
impl Order {
    /// Whether the whole quantity was executed, but for what adding up fractions loses. Never of an order whose quantity is not
    /// known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state.is_complete()
    }

    /// How much was executed.
    #[must_use]
    pub const fn filled(&self) -> f64 {
        self.state.filled
    }

    /// What is not executed yet; never negative, and `NaN` where the quantity is not known.
    #[must_use]
    pub fn remaining(&self) -> f64 {
        let left = self.state.quantity - self.state.filled;
        if left < 0.0 { 0.0 } else { left }
    }

    /// What it is for.
    #[must_use]
    pub fn symbol(&self) -> &str {
        self.state.symbol()
    }

    /// How much is ordered; `NaN` where that is not known.
    #[must_use]
    pub const fn quantity(&self) -> f64 {
        self.state.quantity
    }

    /// How it ended; nothing while it is open.
    #[must_use]
    pub const fn ended(&self) -> Option<OrderOutcome> {
        self.state.ended
    }

    /// What would be, or was, reported of it if it ended like this.
    #[must_use]
    pub fn report(&self, outcome: OrderOutcome) -> OrderReport {
        self.state.report(outcome)
    }

    /// The order as it can be kept, for instance in a database, to be resumed by a later process.
    #[must_use]
    pub fn save(&self) -> SavedOrder {
        let clock = self.strategy.clock();
        let stamps = self.state.stamps.map(|moment| clock.to_kept(moment));
        SavedOrder {
            stamps,
            strategy: Some(self.strategy.name().into()),
            ..self.state.clone()
        }
    }

    /// How many executions it remembers.
    pub(crate) fn executions(&self) -> usize {
        self.state.executions.len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.ended.is_some()
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        self.state.stamps.acknowledged.is_some()
    }

    /// When it was sent, in seconds since 1970.
    pub(crate) fn submitted_at(&self) -> f64 {
        self.strategy
            .clock()
            .to_kept(self.state.submitted())
            .as_seconds()
    }

    /// Whether the venue may say that it is filled, though not all was seen to be: what is missing may follow.
    pub(crate) fn misses_fills(&self) -> bool {
        !(self.is_complete() || self.state.quantity.is_nan() && self.state.filled > 0.0)
    }
}

/// How it counts.
impl Order {
    /// Takes an event, of an order that is open or closed. What ends it returns how.
    pub(crate) fn apply(&mut self, event: &OrderEvent) -> Option<OrderReport> {
        let was_closed = self.is_closed();
        match *event {
            OrderEvent::Acknowledged => self.acknowledge(),
            OrderEvent::Filled(ref fill) => self.take_fill(fill),
            OrderEvent::FilledTo {
                cumulative,
                average,
            } => drop(self.fill_to(cumulative, average)),
            OrderEvent::Corrected(ref fill) => self.take_correction(fill),
            OrderEvent::Busted(id) => self.bust(id),
            OrderEvent::Charged(fee) => self.charge(fee),
            OrderEvent::Reopened => self.reopen(),
            OrderEvent::AmendRefused => self.refuse_amend(),
            OrderEvent::CancelRefused => self.refuse_cancel(),
            OrderEvent::Working => {}
            _ if was_closed => self.venue.ignore(IgnoredEvent::ReplayedEnd),
            OrderEvent::Amended(change) => drop(self.amend(change)),
            OrderEvent::Restated(change) => drop(self.restate(change)),
            OrderEvent::CancelAsked => self.ask_to_cancel(),
            OrderEvent::Rejected(reason) => return Some(self.reject(reason)),
            OrderEvent::Ended(OrderOutcome::Rejected) => {
                return Some(self.reject(RejectReason::Other));
            }
            OrderEvent::Ended(outcome) => return Some(self.end(outcome)),
        }
        let completes = matches!(
            event,
            OrderEvent::Filled(_)
                | OrderEvent::FilledTo { .. }
                | OrderEvent::Corrected(_)
                | OrderEvent::Amended(_)
                | OrderEvent::Restated(_)
        );
        (!was_closed && completes && self.is_complete()).then(|| self.end(OrderOutcome::Filled))
    }

    fn fault(&self, fill: &Fill) -> Option<IgnoredEvent> {
        if !(fill.quantity.is_positive() && self.state.prices.allow_exact(fill.price)) {
            return Some(IgnoredEvent::InvalidFill);
        }
        let time = fill.venue_time?.as_nanosecond();
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        let is_future = self
            .strategy
            .clock()
            .is_future(time, self.venue.tolerance());
        is_future.then_some(IgnoredEvent::FromFuture)
    }

    /// Counts a fill, of which a total told this much already.
    fn execute(&mut self, fill: &Fill, executed: Executed, told: f64) {
        let now = self.strategy.clock().stamp();
        self.state.stamps.acknowledged.get_or_insert(now);
        self.state.filled += executed.quantity - told;
        if told > 0.0 {
            self.state.add_up();
        } else {
            self.state.notional += executed.quantity * executed.price;
        }
        if !std::mem::replace(&mut self.state.is_trade, true) {
            self.state.symbol.count(self.state.side);
        }
        if told < executed.quantity {
            let side = &self.venue.metrics().fills[self.state.side];
            side[fill.liquidity].increment(1);
        }
        let share = 1.0 - told / executed.quantity;
        if share > 0.0 {
            // What a total told is followed already.
            let quantity = executed.quantity - told;
            let new = Executed {
                quantity,
                ..executed
            };
            self.follow(fill, new, None);
        }
        if let Some(costs) = &self.costs {
            let executions = &costs.executions;
            executions.notional[self.state.side].add(self.state.notional_of(&executed) * share);
            add_cost(
                &executions.slippage[self.state.side],
                self.state.slippage_of(&executed) * share,
            );
        }
        if let Some(fee) = fill.fee {
            self.count_fee(fee, false);
        }
        if told < executed.quantity {
            if self.state.is_overfilled() {
                self.venue.ignore(IgnoredEvent::Overfill);
            } else if self.is_closed() {
                self.venue.ignore(IgnoredEvent::LateFill);
            }
        }
        if self.is_closed() {
            self.count_shortfall();
        } else {
            self.state.stamps.last_fill = Some(now);
        }
    }

    /// Gives a total's share of the executions to the one that now has a name; returns how much.
    fn take_told(&mut self, quantity: f64) -> f64 {
        let told = self.state.told;
        if told.quantity <= 0.0 {
            return 0.0;
        }
        let taken = told.quantity.min(quantity);
        let notional = told.notional * (taken / told.quantity);
        self.state.told.take(taken, notional);
        self.state.unnamed.take(taken, notional);
        taken
    }

    /// Puts a fill in the place of one that was counted, or nothing.
    fn replace_execution(&mut self, id: ExecutionId, fill: Option<Fill>, kind: CorrectionKind) {
        let Some(known) = self.state.executions.get_mut(id) else {
            return;
        };
        let before = known.fill();
        *known = fill
            .as_ref()
            .map_or(Execution::busted(id), |fill| Execution::of(id, fill));
        self.venue.metrics().corrections[kind].increment(1);
        let mut at = None;
        if let Some(before) = before {
            self.count_money(&before, true);
            at = self.take_markouts_back(id);
        }
        if let Some(fill) = &fill {
            self.count_money(fill, false);
            if fill.venue_time.is_some() || at.is_some() {
                self.follow(fill, Executed::from(fill), at);
            }
        }
        self.state.add_up();
        if self.state.is_overfilled() {
            self.venue.ignore(IgnoredEvent::Overfill);
        }
        self.count_shortfall();
    }

    /// Follows a fill, where there are mids, from the venue's time of it; where that is not said, from the time given, or from now.
    fn follow(&self, fill: &Fill, executed: Executed, at: Option<i64>) {
        if let (Some(mids), Some(costs)) = (self.venue.mids(), &self.costs) {
            let at = at.filter(|_| fill.venue_time.is_none());
            let at = at.unwrap_or_else(|| self.time_of(fill));
            mids.follow(fill, executed, at, &self.state, costs);
        }
    }

    /// Returns when the execution happened, where that is still known.
    fn take_markouts_back(&self, id: ExecutionId) -> Option<i64> {
        let (mids, costs) = (self.venue.mids()?, self.costs.as_ref()?);
        mids.take_back(id, &self.state, costs)
    }

    /// The money of a fill; taken back, it goes the other way.
    fn count_money(&mut self, fill: &Fill, is_taken_back: bool) {
        if let Some(costs) = &self.costs {
            let (side, executions) = (self.state.side, &costs.executions);
            let executed = Executed::from(fill);
            let money = self.state.notional_of(&executed);
            let cost = self.state.slippage_of(&executed);
            if is_taken_back {
                executions.corrected[side].add(money);
                add_cost(&executions.slippage[side], -cost);
            } else {
                executions.notional[side].add(money);
                add_cost(&executions.slippage[side], cost);
            }
        }
        if let Some(fee) = fill.fee {
            self.count_fee(fee, is_taken_back);
        }
    }

    /// A fee, or one that was taken back: what was paid comes back as a rebate, and a rebate that is taken back is a fee.
    fn count_fee(&mut self, fee: Fee, is_taken_back: bool) {
        let cost = fee.cost();
        let cost = if is_taken_back { cost.negated() } else { cost };
        match (self.state.currency, self.state.fees) {
            (Some(currency), None) if currency == cost.currency() => self.state.fees = Some(cost),
            (_, Some(fees)) if fees.currency() == cost.currency() => {
                self.state.fees = fees.plus(cost);
            }
            _ => self.state.has_foreign_fees = true,
        }
        if self.costs.is_some() {
            let costs = self
                .strategy
                .costs(self.venue.name(), cost.currency().as_str());
            let fees = &costs.executions.fees;
            let kind = match fee.kind {
                _ if cost.amount() < 0.0 => FeeKind::Rebate,
                FeeKind::Rebate => FeeKind::Other,
                kind => kind,
            };
            fees[kind].add(cost.amount().abs());
        }
    }

    fn reject(&mut self, reason: RejectReason) -> OrderReport {
        self.venue.metrics().rejected[reason].increment(1);
        self.end(OrderOutcome::Rejected)
    }

    pub(crate) fn end(&mut self, outcome: OrderOutcome) -> OrderReport {
        if let Some(mids) = self.venue.mids() {
            self.state.end = mids.last(self.state.symbol());
        }
        self.state.ended = Some(outcome);
        let report = self.state.report(outcome);
        let venue = self.venue.metrics();
        venue.closed[outcome].increment(1);
        venue.open.decrement(1);
        if outcome == OrderOutcome::Cancelled && self.state.is_cancel_asked {
            venue.cancels[Answer::Accepted].increment(1);
        }
        self.state.is_cancel_asked = false;
        if outcome == OrderOutcome::Filled && self.misses_fills() {
            self.venue.ignore(IgnoredEvent::MissingFill);
        }
        if let Some(slippage) = report.slippage_bps {
            venue.slippage[self.state.side].record(slippage);
        }
        let ratio = self.state.filled / self.state.quantity;
        if ratio.is_finite() {
            venue.fill_ratio[self.state.order_type].record(ratio.min(1.0));
        }
        if let Some(stages) = report.stages {
            self.count_stages(&stages);
        }
        if let Some(costs) = &self.costs {
            let paper = self.state.paper();
            for (component, part) in report.shortfall.parts() {
                let bps = part / paper * 10_000.0;
                if bps.is_finite() {
                    costs.shortfall.shortfall[component].record(bps);
                }
            }
        }
        self.count_shortfall();
        report
    }

    fn count_stages(&self, stages: &StageTimes) {
        let venue = self.venue.metrics();
        venue.fill[self.state.order_type].record(stages.acknowledgement + stages.fill);
        // They are the parts of the time from the signal, and an order without one has none.
        if stages.decision.is_none() {
            return;
        }
        let strategy = self.strategy.metrics();
        strategy.execution.record(stages.total());
        for (stage, time) in stages.by_stage() {
            strategy.stages[stage].record(time);
        }
    }

    /// Counts what the shortfall of a closed order is now beyond what was counted of it: all of it when it closes, and later what
    /// a late fill or a correction changes.
    fn count_shortfall(&mut self) {
        if let Some(costs) = self.costs.as_ref().filter(|_| self.state.ended.is_some()) {
            let now = self.state.parts();
            let before = std::mem::replace(&mut self.state.counted, now);
            for ((component, now), (_, before)) in now.parts().into_iter().zip(before.parts()) {
                let before = if before.is_nan() { 0.0 } else { before };
                add_cost(&costs.money.shortfall[component], now - before);
            }
        }
    }

    /// One that is complete has nothing to be worked: the venue says again that it was reopened once.
    fn reopen(&mut self) {
        if self.is_closed() && self.is_complete() {
            return self.venue.ignore(IgnoredEvent::ReplayedEnd);
        }
        if self.state.ended.take().is_some() {
            self.venue.metrics().reopened.increment(1);
            self.venue.metrics().open.increment(1);
        }
    }

    /// When a fill happened, in nanoseconds since 1970: by the venue's clock where it says so.
    fn time_of(&self, fill: &Fill) -> i64 {
        match fill.venue_time {
            Some(time) => i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX),
            None => self.strategy.clock().since_epoch(),
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if !self.is_closed() {
            self.end(OrderOutcome::Abandoned);
        }
    }
}

impl SavedOrder {
    /// Takes the order up again after a restart: it is open, but was counted as submitted before. One that was closed is only
    /// remembered, and counts nothing.
    pub fn resume(&self, strategy: &Strategy, venue: &Venue) -> Order {
        let stamps = self.stamps.map(|kept| strategy.clock().to_own(kept));
        let state = Self {
            stamps,
            ..self.clone().current()
        };
        Order::resume(strategy.clone(), venue, state)
    }
}

impl Execution {
    fn is(&self, fill: &Fill) -> bool {
        (self.quantity, self.price, self.fee) == (fill.quantity, fill.price, fill.fee)
    }
}

impl Stamps {
    /// Of an order with the times of its signal and decision, or without.
    pub(crate) fn submitted(idea: Option<(Stamp, Stamp)>, submitted: Stamp) -> Self {
        Self {
            signalled: idea.map(|(signalled, _)| signalled),
            decided: idea.map(|(_, decided)| decided),
            submitted,
            acknowledged: None,
            last_fill: None,
        }
    }

    fn map(self, to: impl Fn(Stamp) -> Stamp) -> Self {
        Self {
            signalled: self.signalled.map(&to),
            decided: self.decided.map(&to),
            submitted: to(self.submitted),
            acknowledged: self.acknowledged.map(&to),
            last_fill: self.last_fill.map(&to),
        }
    }

    pub(crate) fn stages(&self) -> Option<StageTimes> {
        let last_fill = self.last_fill?;
        let acknowledged = self.acknowledged.unwrap_or(last_fill);
        let idea = self.signalled.zip(self.decided);
        Some(StageTimes {
            decision: idea.map(|(signalled, decided)| decided.since(signalled)),
            submission: idea.map(|(_, decided)| self.submitted.since(decided)),
            acknowledgement: acknowledged.since(self.submitted),
            fill: last_fill.since(acknowledged),
        })
    }
}

impl StageTimes {
    /// From the signal, or without one from the submission, to the last fill.
    #[must_use]
    pub fn total(&self) -> Duration {
        let idea = self.decision.unwrap_or_default() + self.submission.unwrap_or_default();
        idea + self.acknowledgement + self.fill
    }

    /// The stages that there are, in order.
    pub fn iter(&self) -> impl Iterator<Item = Duration> {
        self.by_stage().map(|(_, time)| time)
    }

    fn by_stage(&self) -> impl Iterator<Item = (Stage, Duration)> {
        [
            (Stage::Decision, self.decision),
            (Stage::Submission, self.submission),
            (Stage::Acknowledgement, Some(self.acknowledgement)),
            (Stage::Fill, Some(self.fill)),
        ]
        .into_iter()
        .filter_map(|(stage, time)| Some((stage, time?)))
    }
}
