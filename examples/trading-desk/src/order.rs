//! An order: what was asked for, and what became of it.

use jiff::civil::Date;
use obs_trading::OrderType;
use serde::{Deserialize, Serialize};

use crate::strategy::StrategyId;
use crate::symbol::Symbol;

pub use obs_trading::{RejectReason, Side};

/// The number of an order, counted from 1 in each run.
pub type OrderId = u32;

/// At which price an order may be filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderKind {
    /// At whatever the next bar opens with.
    Market,
    /// At this price or a better one.
    Limit {
        /// The worst price accepted, in US dollars.
        limit_price: f64,
    },
}

obs_core::label! {
    /// What became of an order. All but `Open` are final.
    pub enum OrderStatus as "status" {
        /// Accepted and waiting for its price.
        Open = "open",
        /// Bought or sold in full.
        Filled = "filled",
        /// Cancelled by the client that placed it.
        Cancelled = "cancelled",
        /// Not accepted by the broker.
        Rejected = "rejected",
        /// Not filled in the time it had.
        Expired = "expired",
    }
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRequest {
    /// On whose behalf.
    pub strategy: StrategyId,
    /// What to trade.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// At which price.
    pub kind: OrderKind,
    /// How many units.
    pub quantity: u32,
}

/// How an order was filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// Price of a unit, in US dollars.
    pub price: f64,
    /// Paid to the broker, in US dollars.
    pub commission: f64,
    /// The price against the decision price, in basis points; positive is worse for us.
    pub slippage_bps: f64,
}

/// An order and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// On whose behalf.
    pub strategy: StrategyId,
    /// What to trade.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// At which price.
    #[serde(flatten)]
    pub kind: OrderKind,
    /// How many units.
    pub quantity: u32,
    /// The last close when it was submitted: what the decision was based on. `None` where the broker
    /// knew no price.
    pub decision_price: Option<f64>,
    /// The trading day after whose close it was submitted.
    pub submitted: Date,
    /// What became of it.
    pub status: OrderStatus,
    /// The trading day on which the status became final.
    pub closed: Option<Date>,
    /// Present when filled.
    pub fill: Option<Fill>,
    /// Present when rejected.
    pub reject_reason: Option<RejectReason>,
}

impl OrderKind {
    /// The kind without its price.
    #[must_use]
    pub fn order_type(self) -> OrderType {
        match self {
            Self::Market => OrderType::Market,
            Self::Limit { .. } => OrderType::Limit,
        }
    }

    /// The limit, if there is one.
    #[must_use]
    pub fn limit_price(self) -> Option<f64> {
        match self {
            Self::Market => None,
            Self::Limit { limit_price } => Some(limit_price),
        }
    }
}

impl Order {
    /// What an open order would cost at its limit, or at the decision price, in US dollars.
    #[must_use]
    pub fn value(&self) -> f64 {
        let price = self
            .kind
            .limit_price()
            .or(self.decision_price)
            .unwrap_or_default();
        f64::from(self.quantity) * price
    }
}

/// What `fill` cost more than `decision`, in basis points of it; negative is a better price.
#[must_use]
pub fn slippage_bps(side: Side, decision: f64, fill: f64) -> f64 {
    let above = (fill / decision - 1.0) * 1e4;
    match side {
        Side::Buy => above,
        Side::Sell => -above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slippage_is_positive_when_adverse() {
        assert!((slippage_bps(Side::Buy, 100.0, 101.0) - 100.0).abs() < 1e-9);
        assert!((slippage_bps(Side::Sell, 100.0, 101.0) + 100.0).abs() < 1e-9);
        assert!((slippage_bps(Side::Sell, 100.0, 99.0) - 100.0).abs() < 1e-9);
    }
}
