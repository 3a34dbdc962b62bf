//! The orders on their way, from the submission to the end.

use std::time::Duration;

use jiff::Timestamp;
use obs_trading::{
    Currency, Decided, MarketEvent, Mids, OrderBook, OrderEvent, OrderOutcome, SavedBook, Ticket,
    Venue,
};

use super::Strategies;
use crate::order::{Order, OrderId, OrderStatus, RejectReason};
use crate::strategy::StrategyId;
use crate::symbol::Symbol;
use crate::venue;

/// The price after a fill is looked at when its session closes, and at the next day's open.
const HORIZONS: [Duration; 2] = [Duration::from_mins(390), Duration::from_hours(24)];

/// Bars have two prices a day: one of this morning is still good at the close, one of Friday not on Saturday.
const OLDEST: Duration = Duration::from_hours(7);

/// The broker answers at once, and a limit order ends within a week of trading.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_hours(14 * 24)];

/// The orders on their way, from the submission to the end.
#[derive(Debug)]
pub struct OrderFlow {
    strategies: Strategies,
    venue: Venue,
    mids: Mids,
    orders: OrderBook<OrderId>,
    /// The bar that came last: strategies trade on it.
    bar: Option<MarketEvent>,
}

impl OrderFlow {
    /// The flow of these strategies' orders to the paper broker.
    #[must_use]
    pub fn new(strategies: Strategies) -> Self {
        let (venue, mids) = paper(&strategies);
        Self {
            orders: OrderBook::new(&venue),
            strategies,
            venue,
            mids,
            bar: None,
        }
    }

    /// The flow as another process takes it up, with what was saved by the one before.
    #[must_use]
    pub fn restore(strategies: Strategies, saved: SavedBook<OrderId>) -> Self {
        let (venue, mids) = paper(&strategies);
        let by_name = |name: &str| {
            let id = name.parse().unwrap_or(StrategyId::Manual);
            strategies.get(id).clone()
        };
        Self {
            orders: OrderBook::restore(&venue, saved, by_name),
            strategies,
            venue,
            mids,
            bar: None,
        }
    }

    /// What the next process needs to go on.
    #[must_use]
    pub fn save(&self) -> SavedBook<OrderId> {
        self.orders.save()
    }

    /// The strategies whose orders these are.
    #[must_use]
    pub fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// A price of the market, at that time: what orders are measured against.
    pub fn price(&mut self, symbol: &Symbol, at: Timestamp, price: f64) {
        self.mids.record(symbol.as_str(), at, price);
        self.bar = Some(self.strategies.market_event());
    }

    /// It is this late, and all prices up to now are known.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.mids.advance_to(now);
        self.orders.observe();
    }

    /// The risk check refused what was decided, or what a user of the API asked for.
    pub fn refused(&self, strategy: StrategyId, decided: Option<Decided>, reason: RejectReason) {
        match decided {
            Some(decided) => decided.reject(reason),
            None => self.strategies.get(strategy).reject(reason),
        }
    }

    /// The broker has an order, and took it or not.
    pub fn submitted(&mut self, order: &Order, decided: Option<Decided>) {
        // Slippage is measured against the price the decision was made at; where there is none, it is undefined.
        let benchmark = order.decision_price.unwrap_or(f64::NAN);
        let ticket = Ticket::new(
            order.symbol.as_str(),
            order.side,
            order.kind.order_type(),
            f64::from(order.quantity),
            benchmark,
        )
        .in_currency(Currency::USD);
        let ticket = match self.bar {
            Some(bar) if decided.is_some() => ticket.caused_by(bar),
            _ => ticket,
        };
        let sent = match decided {
            Some(decided) => decided.submit(&self.venue, &ticket),
            None => self
                .strategies
                .get(order.strategy)
                .submit(&self.venue, &ticket),
        };
        let parent = venue::parent(order.id);
        match parent {
            Some(parent) => drop(self.orders.insert_leg(&parent, order.id, sent)),
            None => drop(self.orders.insert(order.id, sent)),
        }
        match order.reject_reason {
            Some(reason) => drop(self.orders.reject(&order.id, reason)),
            None => self.orders.acknowledge(&parent.unwrap_or(order.id)),
        }
    }

    /// An order that was open is so no longer.
    pub fn closed(&mut self, order: &Order, at: Timestamp) {
        match order.status {
            OrderStatus::Filled => venue::report_fill(order, at, &mut self.orders),
            OrderStatus::Expired => drop(self.orders.close(&order.id, OrderOutcome::Expired)),
            // An open order is not closed and a rejected one never was open: neither comes here.
            OrderStatus::Cancelled | OrderStatus::Open | OrderStatus::Rejected => {
                self.orders.on(&order.id, OrderEvent::CancelAsked);
                self.orders.close(&order.id, OrderOutcome::Cancelled);
            }
        }
    }
}

/// The paper broker, on the time of the replay.
fn paper(strategies: &Strategies) -> (Venue, Mids) {
    let mids = Mids::new(HORIZONS, OLDEST);
    let [unacknowledged, open] = PATIENCE;
    let venue = Venue::with_clock("paper", strategies.clock())
        .with_mids(&mids)
        .with_patience(unacknowledged, open);
    // It lives in this process: there is no connection that could break.
    venue.set_cancel_on_disconnect(false);
    (venue, mids)
}
