//! The portfolio: what is held and what it made, in US dollars. [`AccountBook`] keeps it; here it is put into the desk's words.
//!
//! A position carries what was paid for it, commissions included, so that at any time
//!
//! > equity = starting cash + realised P/L + open P/L

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use obs_core::Closed;
use obs_trading::{
    Account, AccountBook, Basis, Conventions, Currency, Decimal, Instrument, Money, PnlComponent,
    PositionGauges, PositionKey, Positions, Reconciled, Statement, StrategyLedger, Tolerances,
    Valuation,
};
use serde::{Deserialize, Serialize};

use crate::bars::Bar;
use crate::calendar::TradingDays;
use crate::error::Error;
use crate::order::{Fill, Order, OrderId, Side};
use crate::statements::Statements;
use crate::strategy::StrategyId;
use crate::symbol::Symbol;
use crate::venue::execution;

/// Marks that make a year: the trading days of US equities.
const YEAR: usize = 252;

/// Cash, positions and the marks of past days.
#[derive(Debug)]
pub struct Portfolio {
    starting_cash: f64,
    book: AccountBook,
    opened: BTreeMap<(StrategyId, Symbol), Date>,
    closes: BTreeMap<Symbol, f64>,
    marks: Vec<Mark>,
    statements: Statements,
}

/// What a strategy has of a symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Units, never 0.
    pub quantity: u32,
    /// What they cost, commissions included, in US dollars.
    pub cost: f64,
    /// What they are worth at the last close, or at their price until the first one, in US dollars.
    pub value: f64,
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
    /// A portfolio of nothing but cash, on this day. Each strategy is allotted an equal part of it. Fails where the cash is none.
    pub fn new(cash: f64, days: &TradingDays, first: Date) -> Result<Self, Error> {
        let start = days.open(first);
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            days.periods_per_year(),
            days.calendar(),
        )?
        // Less than half a cent is what is left of floats.
        .with_scratch(0.005)?;
        let positions = Positions::new("main", start, usd(cash)).with_calendar(days.calendar());
        let account = Account::new("main", conventions.clone(), usd(cash))?;
        let mut book = AccountBook::new(positions).with_account(account);
        for id in StrategyId::ALL {
            let part = usd(cash / StrategyId::ALL.len() as f64);
            let ledger = StrategyLedger::new("main", id.as_str(), conventions.clone(), part)?;
            book = book.with_strategy(id.as_str(), ledger);
        }
        Ok(Self {
            starting_cash: cash,
            book,
            opened: BTreeMap::new(),
            closes: BTreeMap::new(),
            marks: Vec::new(),
            statements: Statements::new(conventions, usd(cash))?,
        })
    }

    /// Books a filled order; a sale comes back as a closed trade. Fails when more is sold than is held.
    pub fn apply(
        &mut self,
        order: &Order,
        fill: Fill,
        at: Timestamp,
        on: Date,
    ) -> Result<Option<ClosedTrade>, Error> {
        let held = self.position(order.strategy, &order.symbol);
        if order.side == Side::Sell {
            let held = held.map_or(0, |position| position.quantity);
            if held < order.quantity {
                return Err(Error::Oversold {
                    order: order.id,
                    symbol: order.symbol.clone(),
                    quantity: order.quantity,
                    held,
                });
            }
        }
        let key = self.key(order.strategy, &order.symbol)?;
        let place = (order.strategy, order.symbol.clone());
        let opened = *self.opened.entry(place.clone()).or_insert(on);
        let fed = self
            .book
            .fill(key, order.side, &execution(order, fill, at))?;
        if let Some(refused) = fed.refused.into_iter().next() {
            return Err(refused.into());
        }
        if fed.booked.quantity.is_zero() {
            self.opened.remove(&place);
        }
        let trade = |closed: obs_trading::ClosedPart| {
            let (quantity, pnl) = (f64::from(order.quantity), closed.pnl.amount());
            let proceeds = closed.proceeds.amount() - fill.commission;
            ClosedTrade {
                order: order.id,
                strategy: order.strategy,
                symbol: order.symbol.clone(),
                quantity: order.quantity,
                opened,
                closed: on,
                entry_price: (proceeds - pnl) / quantity,
                exit_price: proceeds / quantity,
                pnl,
            }
        };
        let trade = fed.booked.closed.map(trade);
        if let Some(trade) = &trade {
            self.statements
                .trade(trade.order, at, trade.pnl, fill.commission)?;
        }
        Ok(trade)
    }

    /// Values the positions at the closes of `bars` and remembers the equity of that day. A symbol
    /// without a bar keeps its last close.
    pub fn mark(
        &mut self,
        at: Timestamp,
        date: Date,
        bars: &[(Symbol, Bar)],
    ) -> Result<Mark, Error> {
        for (symbol, bar) in bars {
            self.closes.insert(symbol.clone(), bar.close);
        }
        let prices = bars
            .iter()
            .map(|(symbol, bar)| (symbol.as_str(), Decimal::from(bar.close)));
        if let Some(refused) = self.book.mark(at, prices).into_iter().next() {
            return Err(refused.into());
        }
        let mark = Mark {
            date,
            equity: self.equity(),
        };
        self.marks.push(mark);
        Ok(mark)
    }

    /// Holds the books to what the broker says, and takes its value as the account's.
    pub fn reconcile(
        &mut self,
        at: Timestamp,
        statement: &Statement,
        value: Money,
    ) -> Result<Reconciled, Error> {
        let positions = self.book.positions_mut();
        positions.state_value(at, value)?;
        let reconciled = positions.reconcile(at, statement, &[], &Tolerances::default());
        self.statements.day(at, value)?;
        Ok(reconciled)
    }

    /// The account as the broker states it.
    #[must_use]
    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// The gauges of the positions.
    #[must_use]
    pub fn gauges(&self) -> PositionGauges {
        self.book.positions().gauges()
    }

    /// Cash, in US dollars. A gap between decision and fill can bring it below 0.
    #[must_use]
    pub fn cash(&self) -> f64 {
        self.book.positions().cash_in(Currency::USD).amount()
    }

    /// What it began with, in US dollars.
    #[must_use]
    pub fn starting_cash(&self) -> f64 {
        self.starting_cash
    }

    /// Cash and positions at the last closes, in US dollars.
    #[must_use]
    pub fn equity(&self) -> f64 {
        let value = self.book.positions().value();
        value.map_or(f64::NAN, Money::amount)
    }

    /// All positions.
    pub fn positions(&self) -> impl Iterator<Item = (StrategyId, &Symbol, Position)> {
        self.opened.iter().filter_map(|((strategy, symbol), _)| {
            let position = self.position(*strategy, symbol)?;
            Some((*strategy, symbol, position))
        })
    }

    /// What a strategy has of a symbol.
    #[must_use]
    pub fn position(&self, strategy: StrategyId, symbol: &Symbol) -> Option<Position> {
        let opened = *self.opened.get(&(strategy, symbol.clone()))?;
        let positions = self.book.positions();
        let key = positions.find(strategy.as_str(), symbol.as_str())?;
        let cost = positions.cost(key).ok()?.amount() + positions.open_fees(key).ok()?.amount();
        Some(Position {
            quantity: units(positions.quantity(key).ok()?),
            cost,
            value: positions.market_value(key).ok()?.amount(),
            opened,
        })
    }

    /// The last close of each symbol that has one, in US dollars.
    #[must_use]
    pub fn closes(&self) -> &BTreeMap<Symbol, f64> {
        &self.closes
    }

    /// Profit and loss of a strategy's closed trades, in US dollars.
    #[must_use]
    pub fn realized(&self, strategy: StrategyId) -> f64 {
        let ledger = self.book.strategy(strategy.as_str());
        ledger.map_or(0.0, |ledger| {
            ledger.ledger().realized_pnl(obs_trading::Period::Total)
        })
    }

    /// Profit and loss of a strategy's positions at the last closes, in US dollars.
    #[must_use]
    pub fn unrealized(&self, strategy: StrategyId) -> f64 {
        let open = self.book.positions().outstanding_of(strategy.as_str());
        open.map_or(f64::NAN, Money::amount)
    }

    /// What a component of the bridge made since the beginning, in US dollars.
    #[must_use]
    pub fn made(&self, component: PnlComponent) -> Option<Money> {
        self.book.positions().made(component)
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

    fn key(&mut self, strategy: StrategyId, symbol: &Symbol) -> Result<PositionKey, Error> {
        let positions = self.book.positions_mut();
        if let Some(known) = positions.find(strategy.as_str(), symbol.as_str()) {
            return Ok(known);
        }
        positions.declare(symbol.as_str(), Instrument::new(Currency::USD));
        Ok(positions.key(strategy.as_str(), symbol.as_str())?)
    }
}

/// Whole units, which is all that the desk trades.
fn units(quantity: Decimal) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of orders of u32 units that are never below zero; as a cast saturates"
    )]
    let units = quantity.to_f64() as u32;
    units
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
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

    fn days() -> TradingDays {
        TradingDays::of(&[DAY].into())
    }

    fn open() -> Timestamp {
        days().open(DAY)
    }

    fn portfolio() -> Portfolio {
        Portfolio::new(1000.0, &days(), DAY).unwrap()
    }

    /// Another order each time.
    fn portfolio_id() -> OrderId {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    fn order(id: OrderId, side: Side, quantity: u32) -> Order {
        Order {
            id,
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
        portfolio
            .apply(&order(portfolio_id(), side, quantity), fill, open(), DAY)
            .unwrap()
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
        let (date, close) = (DAY, days().close(DAY));
        portfolio.mark(close, date, &[(spx(), bar)]).unwrap().equity
    }

    fn assert_near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn equity_is_starting_cash_and_profit_and_loss() {
        let mut portfolio = portfolio();
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
        let mut portfolio = portfolio();
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
        let mut portfolio = portfolio();
        trade(&mut portfolio, Side::Buy, 2, 100.0);
        let fill = Fill {
            price: 1.0,
            commission: 0.0,
            slippage_bps: 0.0,
        };
        let error = portfolio
            .apply(&order(portfolio_id(), Side::Sell, 3), fill, open(), DAY)
            .unwrap_err();
        assert!(
            error.to_string().contains("sold 3 SPX of 2 held"),
            "{error}"
        );
        assert_near(portfolio.cash(), 799.0);
    }

    #[test]
    fn the_day_is_measured_from_close_to_close() {
        let mut portfolio = portfolio();
        assert_near(portfolio.day_return(), 0.0);
        trade(&mut portfolio, Side::Buy, 5, 100.0);
        close_at(&mut portfolio, 100.0);
        assert_near(portfolio.day_return(), -0.001);
        close_at(&mut portfolio, 80.0);
        assert_near(portfolio.day_return(), 899.0 / 999.0 - 1.0);
    }

    #[test]
    fn a_drawdown_is_from_the_highest_close_of_a_year() {
        let mut portfolio = portfolio();
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
