//! The portfolio: cash, positions, profit and loss, in US dollars.
//!
//! A position carries what was paid for it, commissions included, at average cost. Selling realises the
//! difference, so that at any time
//!
//! > equity = starting cash + realised P/L + open P/L

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::bars::Bar;
use crate::error::Error;
use crate::order::{Fill, Order, OrderId, Side};
use crate::strategy::StrategyId;
use crate::symbol::Symbol;

/// Marks that make a year: the trading days of US equities.
const YEAR: usize = 252;

/// Cash, positions and the marks of past days.
#[derive(Debug)]
pub struct Portfolio {
    starting_cash: f64,
    cash: f64,
    positions: BTreeMap<(StrategyId, Symbol), Position>,
    closes: BTreeMap<Symbol, f64>,
    realized: BTreeMap<StrategyId, f64>,
    marks: Vec<Mark>,
}

/// What a strategy has of a symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Units, never 0.
    pub quantity: u32,
    /// What they cost, commissions included, in US dollars.
    pub cost: f64,
    /// The day of the first purchase.
    pub opened: Date,
}

/// A purchase and its sale, as far as the sale reached: the closing of a position in parts makes a trade of
/// each part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClosedTrade {
    /// The order that sold.
    pub order: OrderId,
    /// On whose behalf.
    pub strategy: StrategyId,
    /// What was traded.
    pub symbol: Symbol,
    /// Units sold.
    pub quantity: u32,
    /// The day of the first purchase.
    pub opened: Date,
    /// The day of the sale.
    pub closed: Date,
    /// Average cost of a unit, commission included, in US dollars.
    pub entry_price: f64,
    /// Proceeds of a unit, commission taken off, in US dollars.
    pub exit_price: f64,
    /// Profit or loss, in US dollars.
    pub pnl: f64,
}

/// The portfolio at a close.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The trading day.
    pub date: Date,
    /// Cash and positions, in US dollars.
    pub equity: f64,
}

impl Portfolio {
    /// A portfolio of nothing but cash.
    #[must_use]
    pub fn new(cash: f64) -> Self {
        Self {
            starting_cash: cash,
            cash,
            positions: BTreeMap::new(),
            closes: BTreeMap::new(),
            realized: BTreeMap::new(),
            marks: Vec::new(),
        }
    }

    /// Books a filled order; a sale comes back as a closed trade. Fails when more is sold than is held.
    pub fn apply(
        &mut self,
        order: &Order,
        fill: Fill,
        on: Date,
    ) -> Result<Option<ClosedTrade>, Error> {
        match order.side {
            Side::Buy => {
                self.buy(order, fill, on);
                Ok(None)
            }
            Side::Sell => self.sell(order, fill, on).map(Some),
        }
    }

    /// Values the positions at the closes of `bars` and remembers the equity of that day. A symbol
    /// without a bar keeps its last close.
    pub fn mark(&mut self, date: Date, bars: &[(Symbol, Bar)]) -> Mark {
        for (symbol, bar) in bars {
            self.closes.insert(symbol.clone(), bar.close);
        }
        let mark = Mark {
            date,
            equity: self.equity(),
        };
        self.marks.push(mark);
        mark
    }

    /// Cash, in US dollars. A gap between decision and fill can bring it below 0.
    #[must_use]
    pub fn cash(&self) -> f64 {
        self.cash
    }

    /// What it began with, in US dollars.
    #[must_use]
    pub fn starting_cash(&self) -> f64 {
        self.starting_cash
    }

    /// Cash and positions at the last closes, in US dollars.
    #[must_use]
    pub fn equity(&self) -> f64 {
        self.cash
            + self
                .positions()
                .map(|(_, symbol, position)| self.value(symbol, position))
                .sum::<f64>()
    }

    /// What a position is worth at the last close, in US dollars.
    #[must_use]
    pub fn value(&self, symbol: &Symbol, position: &Position) -> f64 {
        // A position bought before the first mark of its symbol is worth what it cost.
        match self.closes.get(symbol) {
            Some(close) => f64::from(position.quantity) * close,
            None => position.cost,
        }
    }

    /// All positions.
    pub fn positions(&self) -> impl Iterator<Item = (StrategyId, &Symbol, &Position)> {
        self.positions
            .iter()
            .map(|((strategy, symbol), position)| (*strategy, symbol, position))
    }

    /// What a strategy has of a symbol.
    #[must_use]
    pub fn position(&self, strategy: StrategyId, symbol: &Symbol) -> Option<&Position> {
        self.positions.get(&(strategy, symbol.clone()))
    }

    /// The last close of each symbol that has one, in US dollars.
    #[must_use]
    pub fn closes(&self) -> &BTreeMap<Symbol, f64> {
        &self.closes
    }

    /// Profit and loss of a strategy's closed trades, in US dollars.
    #[must_use]
    pub fn realized(&self, strategy: StrategyId) -> f64 {
        self.realized.get(&strategy).copied().unwrap_or_default()
    }

    /// Profit and loss of a strategy's positions at the last closes, in US dollars.
    #[must_use]
    pub fn unrealized(&self, strategy: StrategyId) -> f64 {
        self.positions()
            .filter(|(owner, ..)| *owner == strategy)
            .map(|(_, symbol, position)| self.value(symbol, position) - position.cost)
            // Not `sum`, which makes -0 of nothing.
            .fold(0.0, |sum, pnl| sum + pnl)
    }

    /// The equity of every day so far.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Change of equity since the close before the last, as a share of it.
    #[must_use]
    pub fn day_return(&self) -> f64 {
        match self.marks.as_slice() {
            [] => 0.0,
            [today] => change(self.starting_cash, today.equity),
            [.., yesterday, today] => change(yesterday.equity, today.equity),
        }
    }

    /// Distance of the last close to the highest of a year, as a share of it; 0 or below. The year rolls,
    /// so that an account that sold everything comes out of its drawdown in time.
    #[must_use]
    pub fn drawdown(&self) -> f64 {
        let Some(last) = self.marks.last() else {
            return 0.0;
        };
        let year = self.marks.iter().rev().take(YEAR).map(|mark| mark.equity);
        let start = if self.marks.len() < YEAR {
            self.starting_cash
        } else {
            last.equity
        };
        change(year.fold(start, f64::max), last.equity)
    }

    fn buy(&mut self, order: &Order, fill: Fill, on: Date) {
        let cost = f64::from(order.quantity) * fill.price + fill.commission;
        self.cash -= cost;
        let key = (order.strategy, order.symbol.clone());
        let empty = Position {
            quantity: 0,
            cost: 0.0,
            opened: on,
        };
        let position = self.positions.entry(key).or_insert(empty);
        position.quantity += order.quantity;
        position.cost += cost;
    }

    fn sell(&mut self, order: &Order, fill: Fill, on: Date) -> Result<ClosedTrade, Error> {
        let sold = self.take_out(order)?;
        let quantity = f64::from(order.quantity);
        let proceeds = quantity * fill.price - fill.commission;
        let pnl = proceeds - sold.cost;
        self.cash += proceeds;
        *self.realized.entry(order.strategy).or_default() += pnl;
        Ok(ClosedTrade {
            order: order.id,
            strategy: order.strategy,
            symbol: order.symbol.clone(),
            quantity: order.quantity,
            opened: sold.opened,
            closed: on,
            entry_price: sold.cost / quantity,
            exit_price: proceeds / quantity,
            pnl,
        })
    }

    /// Takes the units that `order` sells out of their position, with their part of its cost.
    fn take_out(&mut self, order: &Order) -> Result<Position, Error> {
        let key = (order.strategy, order.symbol.clone());
        let held = self
            .positions
            .get(&key)
            .map_or(0, |position| position.quantity);
        let oversold = || Error::Oversold {
            order: order.id,
            symbol: order.symbol.clone(),
            quantity: order.quantity,
            held,
        };
        let left = held.checked_sub(order.quantity).ok_or_else(oversold)?;
        let position = self.positions.get_mut(&key).ok_or_else(oversold)?;
        let cost = position.cost * f64::from(order.quantity) / f64::from(held);
        let sold = Position {
            quantity: order.quantity,
            cost,
            opened: position.opened,
        };
        position.quantity = left;
        position.cost -= cost;
        if left == 0 {
            self.positions.remove(&key);
        }
        Ok(sold)
    }
}

/// From `before` to `after`, as a share of `before`; 0 where there was nothing.
fn change(before: f64, after: f64) -> f64 {
    if before > 0.0 {
        after / before - 1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::order::{OrderKind, OrderStatus};

    const DAY: Date = date(2020, 1, 2);

    fn spx() -> Symbol {
        Symbol::new("SPX").unwrap()
    }

    fn order(side: Side, quantity: u32) -> Order {
        Order {
            id: 1,
            strategy: StrategyId::Manual,
            symbol: spx(),
            side,
            kind: OrderKind::Market,
            quantity,
            decision_price: Some(100.0),
            submitted: DAY,
            status: OrderStatus::Filled,
            closed: Some(DAY),
            fill: None,
            reject_reason: None,
        }
    }

    fn trade(
        portfolio: &mut Portfolio,
        side: Side,
        quantity: u32,
        price: f64,
    ) -> Option<ClosedTrade> {
        let fill = Fill {
            price,
            commission: 1.0,
            slippage_bps: 0.0,
        };
        portfolio.apply(&order(side, quantity), fill, DAY).unwrap()
    }

    fn close_at(portfolio: &mut Portfolio, close: f64) -> f64 {
        let bar = Bar {
            date: DAY,
            open: close,
            high: close,
            low: close,
            close,
            volume: 0.0,
        };
        portfolio.mark(DAY, &[(spx(), bar)]).equity
    }

    fn assert_near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn equity_is_starting_cash_and_profit_and_loss() {
        let mut portfolio = Portfolio::new(1000.0);
        trade(&mut portfolio, Side::Buy, 4, 100.0);
        assert_near(portfolio.cash(), 599.0);
        assert_near(close_at(&mut portfolio, 110.0), 1039.0);
        let closed = trade(&mut portfolio, Side::Sell, 1, 120.0).unwrap();
        // 119 received for a quarter of 401.
        assert_near(closed.pnl, 119.0 - 100.25);
        let equity = close_at(&mut portfolio, 90.0);
        let manual = StrategyId::Manual;
        assert_near(portfolio.unrealized(manual), 3.0 * 90.0 - 300.75);
        assert_near(
            equity,
            1000.0 + portfolio.realized(manual) + portfolio.unrealized(manual),
        );
    }

    #[test]
    fn a_sold_out_position_is_gone() {
        let mut portfolio = Portfolio::new(1000.0);
        trade(&mut portfolio, Side::Buy, 2, 100.0);
        trade(&mut portfolio, Side::Buy, 2, 200.0);
        let closed = trade(&mut portfolio, Side::Sell, 4, 160.0).unwrap();
        assert_near(closed.entry_price, 602.0 / 4.0);
        assert_near(closed.pnl, 639.0 - 602.0);
        assert_eq!(portfolio.positions().count(), 0);
        assert_near(portfolio.equity(), portfolio.cash());
    }

    #[test]
    fn selling_more_than_is_held_is_an_error() {
        let mut portfolio = Portfolio::new(1000.0);
        trade(&mut portfolio, Side::Buy, 2, 100.0);
        let fill = Fill {
            price: 1.0,
            commission: 0.0,
            slippage_bps: 0.0,
        };
        let error = portfolio
            .apply(&order(Side::Sell, 3), fill, DAY)
            .unwrap_err();
        assert!(
            error.to_string().contains("sold 3 SPX of 2 held"),
            "{error}"
        );
        assert_near(portfolio.cash(), 799.0);
    }

    #[test]
    fn the_day_is_measured_from_close_to_close() {
        let mut portfolio = Portfolio::new(1000.0);
        assert_near(portfolio.day_return(), 0.0);
        trade(&mut portfolio, Side::Buy, 5, 100.0);
        close_at(&mut portfolio, 100.0);
        assert_near(portfolio.day_return(), -0.001);
        close_at(&mut portfolio, 80.0);
        assert_near(portfolio.day_return(), 899.0 / 999.0 - 1.0);
    }

    #[test]
    fn a_drawdown_is_from_the_highest_close_of_a_year() {
        let mut portfolio = Portfolio::new(1000.0);
        trade(&mut portfolio, Side::Buy, 5, 100.0);
        assert_near(portfolio.drawdown(), 0.0);
        close_at(&mut portfolio, 100.0);
        assert_near(portfolio.drawdown(), -0.001);
        close_at(&mut portfolio, 200.0);
        assert_near(portfolio.drawdown(), 0.0);
        for _ in 0..YEAR - 1 {
            close_at(&mut portfolio, 150.0);
        }
        assert_near(portfolio.drawdown(), 1249.0 / 1499.0 - 1.0);
        close_at(&mut portfolio, 150.0);
        assert_near(portfolio.drawdown(), 0.0);
    }
}
