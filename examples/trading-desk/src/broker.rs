//! The paper broker: takes orders after the close of one bar and fills them with the next.
//!
//! A market order is filled at the next open, moved against us by a model of what trading costs (see
//! [`Terms`]). A limit order is filled when a bar trades *through* its price, not merely at it, since at the
//! price itself others were first. No fill lies outside the range in which the bar really traded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use obs_core::Closed;
use obs_trading::{Currency, Decimal, Money, Statement};
use serde::{Deserialize, Serialize};

use crate::bars::Bar;
use crate::order::{
    Fill, Order, OrderId, OrderKind, OrderRequest, OrderStatus, RejectReason, Side, slippage_bps,
};
use crate::symbol::Symbol;

/// What the broker charges and how it simulates the market.
///
/// A market order is moved by half the spread plus the day's range times the square root of the order's
/// share in the day's volume: the square-root law of market impact, with the range standing in for
/// volatility. A bar whose volume was not reported costs half the spread alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Half the distance of bid and ask, in basis points of the price.
    pub half_spread_bps: f64,
    /// Commission in basis points of the value traded.
    pub commission_bps: f64,
    /// Bars for which a limit order stays open.
    pub limit_order_bars: u32,
}

/// The broker and its open orders.
#[derive(Debug)]
pub struct PaperBroker {
    terms: Terms,
    /// The symbols traded here, and the last close of each.
    quotes: BTreeMap<Symbol, Option<f64>>,
    open: BTreeMap<OrderId, OpenOrder>,
    last_id: OrderId,
    /// The account as the broker keeps it.
    cash: Decimal,
    held: BTreeMap<Symbol, Decimal>,
    closed: BTreeMap<OrderStatus, u32>,
}

/// How many orders there were, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Orders submitted, rejected ones among them.
    pub submitted: u32,
    /// Orders still open.
    pub open: u32,
    /// Orders by their final status, each there from the start.
    pub closed: BTreeMap<OrderStatus, u32>,
}

/// Why an order cannot be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// There never was such an order.
    #[error("there is no order {0}")]
    Unknown(OrderId),
    /// It was filled, cancelled, rejected or expired before.
    #[error("order {0} is closed already")]
    Closed(OrderId),
}

#[derive(Debug)]
struct OpenOrder {
    order: Order,
    bars_seen: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            half_spread_bps: 1.0,
            commission_bps: 0.5,
            limit_order_bars: 5,
        }
    }
}

impl PaperBroker {
    /// A broker that trades these symbols.
    #[must_use]
    pub fn new(symbols: impl IntoIterator<Item = Symbol>, terms: Terms) -> Self {
        let closed = OrderStatus::ALL
            .iter()
            .filter(|status| **status != OrderStatus::Open);
        Self {
            terms,
            quotes: symbols.into_iter().map(|symbol| (symbol, None)).collect(),
            open: BTreeMap::new(),
            last_id: 0,
            cash: Decimal::ZERO,
            held: BTreeMap::new(),
            closed: closed.map(|status| (*status, 0)).collect(),
        }
    }

    /// Takes an order, `on` the day whose bar was the last. The order that comes back is open or rejected.
    pub fn submit(&mut self, request: OrderRequest, on: Date) -> Order {
        self.last_id += 1;
        let rejected = self.validate(&request).err();
        let order = Order {
            id: self.last_id,
            decision_price: self.quote(&request.symbol),
            strategy: request.strategy,
            symbol: request.symbol,
            side: request.side,
            kind: request.kind,
            quantity: request.quantity,
            submitted: on,
            status: OrderStatus::Open,
            closed: None,
            fill: None,
            reject_reason: rejected,
        };
        if rejected.is_some() {
            return self.close(order, OrderStatus::Rejected, on);
        }
        self.open.insert(
            order.id,
            OpenOrder {
                order: order.clone(),
                bars_seen: 0,
            },
        );
        order
    }

    /// Takes back an order that is still open.
    pub fn cancel(&mut self, id: OrderId, on: Date) -> Result<Order, CancelError> {
        match self.open.remove(&id) {
            Some(open) => Ok(self.close(open.order, OrderStatus::Cancelled, on)),
            None if (1..=self.last_id).contains(&id) => Err(CancelError::Closed(id)),
            None => Err(CancelError::Unknown(id)),
        }
    }

    /// Trades one bar of `symbol`. The orders that it filled or that expired with it come back, in the
    /// order of their submission.
    pub fn on_bar(&mut self, symbol: &Symbol, bar: &Bar) -> Vec<Order> {
        if let Some(quote) = self.quotes.get_mut(symbol) {
            *quote = Some(bar.close);
        }
        let waiting = self
            .open
            .values()
            .filter(|open| open.order.symbol == *symbol);
        let waiting: Vec<OrderId> = waiting.map(|open| open.order.id).collect();
        waiting
            .into_iter()
            .filter_map(|id| self.trade(id, bar))
            .collect()
    }

    /// The last close of a symbol; `None` before its first bar, or if it is not traded here.
    #[must_use]
    pub fn quote(&self, symbol: &Symbol) -> Option<f64> {
        self.quotes.get(symbol).copied().flatten()
    }

    /// The symbols traded here.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.quotes.keys()
    }

    /// The orders still open, the oldest first.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.open.values().map(|open| &open.order)
    }

    /// What became of all orders so far: submitted = open + closed, at any time.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        Tally {
            submitted: self.last_id,
            open,
            closed: self.closed.clone(),
        }
    }

    fn validate(&self, request: &OrderRequest) -> Result<(), RejectReason> {
        let quote = self
            .quotes
            .get(&request.symbol)
            .ok_or(RejectReason::InvalidSymbol)?;
        if request.quantity == 0 {
            return Err(RejectReason::InvalidQuantity);
        }
        if request
            .kind
            .limit_price()
            .is_some_and(|price| !price.is_finite() || price <= 0.0)
        {
            return Err(RejectReason::InvalidPrice);
        }
        quote.map(|_| ()).ok_or(RejectReason::MarketClosed)
    }

    /// Shows a bar to an open order; the order comes back if that closed it.
    fn trade(&mut self, id: OrderId, bar: &Bar) -> Option<Order> {
        let open = self.open.get_mut(&id)?;
        open.bars_seen += 1;
        let limited = open.order.kind.limit_price().is_some();
        let price = match fill_price(&open.order, bar, &self.terms) {
            Some(price) => price,
            None if limited && open.bars_seen >= self.terms.limit_order_bars => {
                let open = self.open.remove(&id)?;
                return Some(self.close(open.order, OrderStatus::Expired, bar.date));
            }
            None => return None,
        };
        let mut order = self.open.remove(&id)?.order;
        order.fill = Some(Fill {
            price,
            commission: f64::from(order.quantity) * price * self.terms.commission_bps / 1e4,
            slippage_bps: slippage_bps(order.side, order.decision_price.unwrap_or(price), price),
        });
        self.settle(&order);
        Some(self.close(order, OrderStatus::Filled, bar.date))
    }

    /// Keeps the account as a broker does, from its own side of the trade.
    fn settle(&mut self, order: &Order) {
        let Some(fill) = order.fill else { return };
        let quantity = Decimal::from(order.quantity);
        let paid = quantity * Decimal::from(fill.price);
        let held = self.held.entry(order.symbol.clone()).or_default();
        self.cash -= Decimal::from(fill.commission);
        match order.side {
            Side::Buy => {
                *held += quantity;
                self.cash -= paid;
            }
            Side::Sell => {
                *held -= quantity;
                self.cash += paid;
            }
        }
    }

    /// Cash was paid in.
    pub fn deposit(&mut self, cash: f64) {
        self.cash += Decimal::from(cash);
    }

    /// What it has for the account at a close, and what that is worth.
    #[must_use]
    pub fn statement(
        &self,
        as_of: Timestamp,
        closes: &BTreeMap<Symbol, f64>,
    ) -> (Statement, Money) {
        let mut value = self.cash;
        for (symbol, held) in &self.held {
            let close = closes.get(symbol).copied().unwrap_or_default();
            value += *held * Decimal::from(close);
        }
        let held = self
            .held
            .iter()
            .map(|(symbol, held)| (symbol.as_str(), *held));
        let value = Money::new(value, Currency::USD);
        let statement = Statement::new(as_of)
            .with_positions(held)
            .with_cash(Money::new(self.cash, Currency::USD))
            .with_value(value);
        (statement, value)
    }

    fn close(&mut self, mut order: Order, status: OrderStatus, on: Date) -> Order {
        order.status = status;
        order.closed = Some(on);
        *self.closed.entry(status).or_default() += 1;
        order
    }
}

/// The price at which `bar` fills `order`, if it does.
fn fill_price(order: &Order, bar: &Bar, terms: &Terms) -> Option<f64> {
    match (order.kind, order.side) {
        (OrderKind::Market, side) => Some(market_price(side, order.quantity, bar, terms)),
        (OrderKind::Limit { limit_price }, Side::Buy) => {
            (bar.low < limit_price).then(|| bar.open.min(limit_price))
        }
        (OrderKind::Limit { limit_price }, Side::Sell) => {
            (bar.high > limit_price).then(|| bar.open.max(limit_price))
        }
    }
}

/// The open, moved against us by the cost of trading.
fn market_price(side: Side, quantity: u32, bar: &Bar, terms: &Terms) -> f64 {
    let share = if bar.volume > 0.0 {
        f64::from(quantity) / bar.volume
    } else {
        0.0
    };
    let cost = (terms.half_spread_bps + bar.range_bps() * share.sqrt()) / 1e4;
    match side {
        Side::Buy => (bar.open * (1.0 + cost)).min(bar.high),
        Side::Sell => (bar.open * (1.0 - cost)).max(bar.low),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::strategy::StrategyId;

    fn symbol() -> Symbol {
        Symbol::new("spx").unwrap()
    }

    fn bar(day: i8, [open, high, low, close]: [f64; 4]) -> Bar {
        Bar {
            date: date(2020, 1, day),
            open,
            high,
            low,
            close,
            volume: 1e6,
        }
    }

    fn request(side: Side, kind: OrderKind, quantity: u32) -> OrderRequest {
        OrderRequest {
            strategy: StrategyId::Manual,
            symbol: symbol(),
            side,
            kind,
            quantity,
        }
    }

    fn limit(limit_price: f64) -> OrderKind {
        OrderKind::Limit { limit_price }
    }

    /// A broker that has seen a close of 100.
    fn broker() -> PaperBroker {
        let mut broker = PaperBroker::new([symbol()], Terms::default());
        broker.on_bar(&symbol(), &bar(1, [100.0; 4]));
        broker
    }

    fn submit(broker: &mut PaperBroker, request: OrderRequest) -> Order {
        let order = broker.submit(request, date(2020, 1, 1));
        let tally = broker.tally();
        assert_eq!(
            tally.submitted,
            tally.open + tally.closed.values().sum::<u32>()
        );
        order
    }

    /// What the next bar, 102 within 98 to 104, makes of an order.
    fn next_bar(side: Side, kind: OrderKind) -> Option<Fill> {
        let mut broker = broker();
        submit(&mut broker, request(side, kind, 100));
        let closed = broker.on_bar(&symbol(), &bar(2, [102.0, 104.0, 98.0, 99.0]));
        closed.first().and_then(|order| order.fill)
    }

    #[test]
    fn a_market_order_pays_the_next_open_and_the_cost_of_trading() {
        // Half the spread, and a range of 588 bps times √(100 / 1,000,000) = 0.01.
        let cost = 1.0 + 6.0 / 102.0 * 1e4 * 0.01;
        let buy = next_bar(Side::Buy, OrderKind::Market).unwrap();
        assert!((buy.price - 102.0 * (1.0 + cost / 1e4)).abs() < 1e-9);
        assert!((buy.commission - 100.0 * buy.price * 0.5e-4).abs() < 1e-9);
        let sell = next_bar(Side::Sell, OrderKind::Market).unwrap();
        assert!((sell.price - 102.0 * (1.0 - cost / 1e4)).abs() < 1e-9);
    }

    #[test]
    fn slippage_is_measured_against_the_decision_price() {
        let buy = next_bar(Side::Buy, OrderKind::Market).unwrap();
        assert!(
            buy.slippage_bps > 200.0,
            "opened 2 % higher: {}",
            buy.slippage_bps
        );
        let sell = next_bar(Side::Sell, OrderKind::Market).unwrap();
        assert!(
            sell.slippage_bps < -190.0,
            "sold 2 % higher: {}",
            sell.slippage_bps
        );
    }

    #[test]
    fn no_fill_lies_outside_the_bar() {
        let mut broker = broker();
        submit(&mut broker, request(Side::Buy, OrderKind::Market, 100));
        let closed = broker.on_bar(&symbol(), &bar(2, [102.0, 102.0, 98.0, 99.0]));
        assert!((closed[0].fill.unwrap().price - 102.0).abs() < 1e-9);
    }

    #[test]
    fn unreported_volume_costs_half_the_spread() {
        let silent = Bar {
            volume: 0.0,
            ..bar(2, [100.0, 110.0, 90.0, 100.0])
        };
        let price = market_price(Side::Buy, 1000, &silent, &Terms::default());
        assert!((price - 100.01).abs() < 1e-9);
    }

    #[test]
    fn a_limit_order_needs_a_bar_that_trades_through_it() {
        assert_eq!(next_bar(Side::Buy, limit(97.0)), None);
        assert_eq!(
            next_bar(Side::Buy, limit(98.0)),
            None,
            "touched is not traded through"
        );
        assert!((next_bar(Side::Buy, limit(99.0)).unwrap().price - 99.0).abs() < 1e-9);
        assert_eq!(next_bar(Side::Sell, limit(104.0)), None);
        assert!((next_bar(Side::Sell, limit(103.0)).unwrap().price - 103.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_order_gets_an_open_that_is_better() {
        assert!((next_bar(Side::Buy, limit(103.0)).unwrap().price - 102.0).abs() < 1e-9);
        assert!((next_bar(Side::Sell, limit(99.0)).unwrap().price - 102.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_order_expires() {
        let mut broker = broker();
        let id = submit(&mut broker, request(Side::Buy, limit(50.0), 1)).id;
        for day in 2..6 {
            assert_eq!(broker.on_bar(&symbol(), &bar(day, [100.0; 4])), []);
        }
        let closed = broker.on_bar(&symbol(), &bar(6, [100.0; 4]));
        assert_eq!((closed[0].id, closed[0].status), (id, OrderStatus::Expired));
        assert_eq!(closed[0].closed, Some(date(2020, 1, 6)));
        assert_eq!(
            broker.cancel(id, date(2020, 1, 6)),
            Err(CancelError::Closed(id))
        );
    }

    #[test]
    fn bars_of_other_symbols_fill_nothing() {
        let other = Symbol::new("other").unwrap();
        let mut broker = broker();
        submit(&mut broker, request(Side::Buy, OrderKind::Market, 1));
        assert_eq!(broker.on_bar(&other, &bar(2, [100.0; 4])), []);
        assert_eq!(broker.quote(&other), None);
    }

    #[test]
    fn an_order_is_cancelled_once() {
        let mut broker = broker();
        let id = submit(&mut broker, request(Side::Buy, OrderKind::Market, 1)).id;
        let on = date(2020, 1, 1);
        assert_eq!(
            broker.cancel(id, on).unwrap().status,
            OrderStatus::Cancelled
        );
        assert_eq!(broker.cancel(id, on), Err(CancelError::Closed(id)));
        assert_eq!(broker.cancel(99, on), Err(CancelError::Unknown(99)));
        assert_eq!(broker.on_bar(&symbol(), &bar(2, [100.0; 4])), []);
    }

    #[test]
    fn each_fault_is_rejected_with_its_reason() {
        let other = Symbol::new("other").unwrap();
        let mut broker = PaperBroker::new([symbol(), other.clone()], Terms::default());
        broker.on_bar(&symbol(), &bar(1, [100.0; 4]));
        let good = request(Side::Buy, OrderKind::Market, 1);
        let unknown = Symbol::new("unknown").unwrap();
        for (bad, reason) in [
            (
                OrderRequest {
                    symbol: unknown,
                    ..good.clone()
                },
                RejectReason::InvalidSymbol,
            ),
            (
                OrderRequest {
                    symbol: other,
                    ..good.clone()
                },
                RejectReason::MarketClosed,
            ),
            (
                OrderRequest {
                    quantity: 0,
                    ..good.clone()
                },
                RejectReason::InvalidQuantity,
            ),
            (
                OrderRequest {
                    kind: limit(0.0),
                    ..good.clone()
                },
                RejectReason::InvalidPrice,
            ),
            (
                OrderRequest {
                    kind: limit(f64::NAN),
                    ..good.clone()
                },
                RejectReason::InvalidPrice,
            ),
        ] {
            let order = submit(&mut broker, bad);
            assert_eq!(
                (order.status, order.reject_reason),
                (OrderStatus::Rejected, Some(reason))
            );
        }
        assert_eq!(submit(&mut broker, good).status, OrderStatus::Open);
        assert_eq!(broker.tally().closed[&OrderStatus::Rejected], 5);
    }
}
