//! The orders on their way, from the submission to the end.

use obs_trading::{Decided, Fill, OrderBook, OrderOutcome, Ticket, Venue};

use super::Strategies;
use crate::order::{Order, OrderId, OrderStatus, RejectReason};
use crate::strategy::StrategyId;

/// The orders on their way, from the submission to the end.
#[derive(Debug)]
pub struct OrderFlow {
    strategies: Strategies,
    venue: Venue,
    open: OrderBook<OrderId>,
}

impl OrderFlow {
    /// The flow of these strategies' orders to the paper broker.
    #[must_use]
    pub fn new(strategies: Strategies) -> Self {
        let venue = Venue::new("paper");
        let open = OrderBook::new(&venue);
        Self {
            strategies,
            venue,
            open,
        }
    }

    /// The strategies whose orders these are.
    #[must_use]
    pub fn strategies(&self) -> &Strategies {
        &self.strategies
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
        );
        let mut sent = match decided {
            Some(decided) => decided.submit(&self.venue, &ticket),
            None => self
                .strategies
                .get(order.strategy)
                .submit(&self.venue, &ticket),
        };
        if let Some(reason) = order.reject_reason {
            sent.close_rejected(reason);
        } else {
            sent.acknowledge();
            self.open.insert(order.id, sent);
        }
    }

    /// An order that was open is so no longer.
    pub fn closed(&mut self, order: &Order) {
        let outcome = match order.status {
            OrderStatus::Filled => {
                if let Some(fill) = order.fill {
                    self.open.fill(
                        &order.id,
                        Fill::new(f64::from(order.quantity), fill.price)
                            .with_id(u64::from(order.id)),
                    );
                }
                return;
            }
            OrderStatus::Expired => OrderOutcome::Expired,
            // An open order is not closed and a rejected one never was open: neither comes here.
            OrderStatus::Cancelled | OrderStatus::Open | OrderStatus::Rejected => {
                OrderOutcome::Cancelled
            }
        };
        self.open.close(&order.id, outcome);
    }
}
