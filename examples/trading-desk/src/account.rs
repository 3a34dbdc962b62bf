//! The account: the one way from a wish to a booked trade.
//!
//! An order passes the risk check, goes to the broker, and what the broker makes of it is booked in the
//! portfolio. What changed is collected on the way, for the code that keeps the records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use obs_providers::Market;
use obs_trading::{Decided, PositionGauges, Risk, SavedBook};

use crate::bars::Bar;
use crate::broker::{CancelError, PaperBroker, Tally};
use crate::calendar::TradingDays;
use crate::carry::Carry;
use crate::error::Error;
use crate::metrics::{OrderFlow, Strategies};
use crate::order::{Order, OrderId, OrderRequest, OrderStatus, RejectReason, Side};
use crate::portfolio::{ClosedTrade, Portfolio};
use crate::risk::{Exposure, Limits, Proposal, Refusal, RiskCheck, UseOfLimits};
use crate::strategy::StrategyId;
use crate::strategy::decision::Holding;
use crate::symbol::Symbol;

/// Risk check, broker and portfolio of one account.
#[derive(Debug)]
pub struct Account {
    risk: RiskCheck,
    broker: PaperBroker,
    portfolio: Portfolio,
    /// What would be earned and paid while positions are held.
    carry: Option<Carry>,
    days: TradingDays,
    market: Market,
    flow: OrderFlow,
    refused: BTreeMap<(StrategyId, RejectReason), u32>,
    today: Date,
    changes: Changes,
}

/// What happened since the records were last written.
#[derive(Debug, Default)]
pub struct Changes {
    /// Orders as they are now; one that changed twice is there twice, the later state last.
    pub orders: Vec<Order>,
    /// Trades that were closed.
    pub trades: Vec<ClosedTrade>,
}

impl Account {
    /// An account that begins with this much cash, on the first of the days that will be traded. Fails where the limits or
    /// the cash are none.
    pub fn open(
        limits: Limits,
        mut broker: PaperBroker,
        cash: f64,
        days: &BTreeSet<Date>,
    ) -> Result<Self, Error> {
        let trading_days = TradingDays::of(days);
        broker.deposit(cash);
        let first = days.first().copied().unwrap_or(Date::MIN);
        Ok(Self {
            carry: Carry::new(&trading_days, first, broker.symbols()),
            risk: RiskCheck::new(limits, cash, &trading_days)?,
            broker,
            portfolio: Portfolio::new(cash, &trading_days, first)?,
            flow: OrderFlow::new(Strategies::default()),
            refused: BTreeMap::new(),
            today: first,
            market: trading_days.market(),
            days: trading_days,
            changes: Changes::default(),
        })
    }

    /// Trades the day's bars: the broker fills what was ordered before, and the day is marked at its close.
    pub fn trade_day(&mut self, date: Date, bars: &[(Symbol, Bar)]) -> Result<(), Error> {
        // Orders are filled at the open, and everything after this day's fills happens at its close.
        self.open_day(date, bars);
        for (symbol, bar) in bars {
            self.trade_bar(symbol, bar)?;
        }
        self.close_day(bars)
    }

    pub(crate) fn open_day(&mut self, date: Date, bars: &[(Symbol, Bar)]) {
        self.today = date;
        let open = self.days.open(self.today);
        self.advance_to(open);
        for (symbol, bar) in bars {
            self.flow.price(symbol, open, bar.open);
        }
    }

    pub(crate) fn trade_bar(&mut self, symbol: &Symbol, bar: &Bar) -> Result<(), Error> {
        for order in self.broker.on_bar(symbol, bar) {
            self.book(order)?;
        }
        Ok(())
    }

    pub(crate) fn close_day(&mut self, bars: &[(Symbol, Bar)]) -> Result<(), Error> {
        let (date, close) = (self.today, self.days.close(self.today));
        self.advance_to(close);
        for (symbol, bar) in bars {
            self.flow.price(symbol, close, bar.close);
        }
        self.flow.advance_to(close);
        self.portfolio.mark(close, date, bars)?;
        let closes = self.portfolio.closes();
        let (statement, value) = self.broker.statement(close, closes);
        self.portfolio.reconcile(close, &statement, value)?;
        if let Some(carry) = &mut self.carry {
            carry.close_day(close, date, bars)?;
        }
        self.observe_limits();
        Ok(())
    }

    /// Places an order, if the risk check agrees. The order that comes back is open, or rejected by the
    /// broker.
    pub fn place(
        &mut self,
        request: OrderRequest,
        decided: Option<Decided>,
    ) -> Result<Order, Refusal> {
        if let Err(refusal) = self.check(&request) {
            *self
                .refused
                .entry((request.strategy, refusal.reason))
                .or_default() += 1;
            self.flow.refused(request.strategy, decided, refusal.reason);
            return Err(refusal);
        }
        let order = self.broker.submit(request, self.today);
        self.flow.submitted(&order, decided);
        self.changes.orders.push(order.clone());
        Ok(order)
    }

    /// Nothing goes out that is for nothing: a broker may take that for an order of unknown quantity. Without a price there is nothing
    /// else to check, and the broker will not take the order.
    fn check(&self, request: &OrderRequest) -> Result<(), Refusal> {
        if request.quantity == 0 {
            return Err(Refusal::NO_QUANTITY);
        }
        let Some(price) = self.broker.quote(&request.symbol) else {
            return Ok(());
        };
        let proposal = Proposal {
            side: request.side,
            quantity: request.quantity,
            price: request.kind.limit_price().unwrap_or(price),
        };
        let exposure = self.exposure(request.strategy, &request.symbol);
        self.risk.check(proposal, &exposure, self.today)
    }

    /// Takes back an open order.
    pub fn cancel(&mut self, id: OrderId) -> Result<Order, CancelError> {
        let order = self.broker.cancel(id, self.today)?;
        self.flow.closed(&order, self.last_close());
        self.changes.orders.push(order.clone());
        Ok(order)
    }

    /// What a strategy has of a symbol, its open orders counted in.
    #[must_use]
    pub fn holding(&self, strategy: StrategyId, symbol: &Symbol) -> Holding {
        let ordered = self.open_order(strategy, symbol).map(|order| order.side);
        match (self.portfolio.position(strategy, symbol), ordered) {
            (Some(_), Some(Side::Sell)) => Holding::Exiting,
            (Some(_), _) => Holding::Long,
            (None, Some(Side::Buy)) => Holding::Entering,
            (None, _) => Holding::Flat,
        }
    }

    /// The oldest open order of a strategy in a symbol.
    #[must_use]
    pub fn open_order(&self, strategy: StrategyId, symbol: &Symbol) -> Option<&Order> {
        self.broker
            .open_orders()
            .find(|order| order.strategy == strategy && order.symbol == *symbol)
    }

    /// The account as the risk check sees it, for an order of `strategy` in `symbol`.
    #[must_use]
    pub fn exposure(&self, strategy: StrategyId, symbol: &Symbol) -> Exposure {
        let held = self
            .portfolio
            .position(strategy, symbol)
            .map_or(0, |position| position.quantity);
        let mut exposure = Exposure {
            equity: self.portfolio.equity(),
            free_cash: self.portfolio.cash(),
            symbol_value: 0.0,
            gross_value: 0.0,
            day_return: self.portfolio.day_return(),
            drawdown: self.portfolio.drawdown(),
            sellable: held,
        };
        for (_, owned, position) in self.portfolio.positions() {
            exposure.add(owned == symbol, position.value);
        }
        for order in self.broker.open_orders() {
            match order.side {
                Side::Buy => {
                    exposure.free_cash -= order.value();
                    exposure.add(order.symbol == *symbol, order.value());
                }
                Side::Sell if order.strategy == strategy && order.symbol == *symbol => {
                    exposure.sellable = exposure.sellable.saturating_sub(order.quantity);
                }
                Side::Sell => {}
            }
        }
        exposure
    }

    /// The verbs of risk that are no limits: position sizes, exits.
    #[must_use]
    pub fn risk(&self) -> &Risk {
        self.risk.risk()
    }

    /// The measured strategies, for those who act for them.
    #[must_use]
    pub fn strategies(&self) -> &Strategies {
        self.flow.strategies()
    }

    /// Cash, positions, profit and loss.
    #[must_use]
    pub fn portfolio(&self) -> &Portfolio {
        &self.portfolio
    }

    /// The gauges of the positions of all accounts.
    #[must_use]
    pub fn gauges(&self) -> Vec<PositionGauges> {
        let carry = self.carry.iter().map(Carry::gauges);
        carry.chain([self.portfolio.gauges()]).collect()
    }

    /// What became of all orders.
    #[must_use]
    pub fn orders(&self) -> Tally {
        self.broker.tally()
    }

    /// The symbols that can be traded.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.broker.symbols()
    }

    /// How often the risk check refused whom, and why.
    #[must_use]
    pub fn refused(&self) -> &BTreeMap<(StrategyId, RejectReason), u32> {
        &self.refused
    }

    /// When the last trading day closed.
    #[must_use]
    pub fn last_close(&self) -> Timestamp {
        self.days.close(self.today)
    }

    /// The trading day: the last whose bars were traded.
    #[must_use]
    pub fn today(&self) -> Date {
        self.today
    }

    /// What changed and is not recorded yet.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What another process needs of the orders on their way to go on.
    #[must_use]
    pub fn save_orders(&self) -> SavedBook<OrderId> {
        self.flow.save()
    }

    /// Goes on with orders that another process had on their way.
    pub fn resume_orders(&mut self, saved: SavedBook<OrderId>) {
        let strategies = self.flow.strategies().clone();
        self.flow = OrderFlow::restore(strategies, saved);
    }

    /// Says again what the broker said today, as its stream does after a reconnect.
    #[cfg(test)]
    pub(crate) fn repeat_today(&mut self) {
        let open = self.days.open(self.today);
        for order in &self.changes.orders {
            if order.closed == Some(self.today) && order.status == OrderStatus::Filled {
                self.flow.closed(order, open);
            }
        }
    }

    /// Forgets the changes, since they are recorded now.
    pub fn recorded(&mut self) {
        self.changes = Changes::default();
    }

    /// It is that late in the replay.
    fn advance_to(&self, now: Timestamp) {
        self.strategies().advance_to(now);
        self.market.observe_at(now);
    }

    /// Shows how much of each limit the positions use.
    fn observe_limits(&mut self) {
        let mut by_symbol: BTreeMap<&Symbol, f64> = BTreeMap::new();
        for (_, symbol, position) in self.portfolio.positions() {
            *by_symbol.entry(symbol).or_default() += position.value;
        }
        let use_of_limits = UseOfLimits {
            equity: self.portfolio.equity(),
            largest_position: by_symbol.values().copied().fold(0.0, f64::max),
            gross_value: by_symbol.values().sum(),
            day_return: self.portfolio.day_return(),
            drawdown: self.portfolio.drawdown(),
        };
        self.risk.observe(&use_of_limits);
        // A figure that is not a number leaves the stand-in as it is.
        let _ = self.risk.close(self.today, &use_of_limits);
    }

    /// Books an order that the broker closed.
    fn book(&mut self, order: Order) -> Result<(), Error> {
        self.flow.closed(&order, self.days.open(self.today));
        if let (OrderStatus::Filled, Some(fill)) = (order.status, order.fill) {
            let open = self.days.open(self.today);
            let trade = self.portfolio.apply(&order, fill, open, self.today)?;
            self.risk.filled(&order, fill, self.today)?;
            self.changes.trades.extend(trade);
        }
        self.changes.orders.push(order);
        Ok(())
    }
}

impl Exposure {
    fn add(&mut self, same_symbol: bool, value: f64) {
        self.gross_value += value;
        if same_symbol {
            self.symbol_value += value;
        }
    }
}

impl Changes {
    /// Whether there is nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.trades.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::broker::Terms;
    use crate::order::OrderKind;

    fn spx() -> Symbol {
        Symbol::new("SPX").unwrap()
    }

    fn account() -> Account {
        let broker = PaperBroker::new([spx()], Terms::default());
        // A Sunday: of a market that never closes, so that any number of days may follow.
        let days = [date(2020, 1, 5)].into();
        let mut account = Account::open(Limits::default(), broker, 10_000.0, &days).unwrap();
        next_day(&mut account);
        account
    }

    fn next_day(account: &mut Account) {
        let date = account.today().tomorrow().unwrap();
        let bar = Bar {
            date,
            open: 100.0,
            high: 101.0,
            low: 99.0,
            close: 100.0,
            volume: 1e6,
        };
        account.trade_day(date, &[(spx(), bar)]).unwrap();
    }

    fn request(side: Side, quantity: u32) -> OrderRequest {
        let strategy = StrategyId::Manual;
        OrderRequest {
            strategy,
            symbol: spx(),
            side,
            kind: OrderKind::Market,
            quantity,
        }
    }

    fn refusal(account: &mut Account, side: Side, quantity: u32) -> RejectReason {
        account
            .place(request(side, quantity), None)
            .unwrap_err()
            .reason
    }

    #[test]
    fn a_position_comes_and_goes() {
        let mut account = account();
        let holding = |account: &Account| account.holding(StrategyId::Manual, &spx());
        assert_eq!(holding(&account), Holding::Flat);
        account.place(request(Side::Buy, 10), None).unwrap();
        assert_eq!(holding(&account), Holding::Entering);
        next_day(&mut account);
        assert_eq!(holding(&account), Holding::Long);
        account.place(request(Side::Sell, 10), None).unwrap();
        assert_eq!(holding(&account), Holding::Exiting);
        next_day(&mut account);
        assert_eq!(holding(&account), Holding::Flat);

        let changes = account.changes();
        assert_eq!((changes.orders.len(), changes.trades.len()), (4, 1));
        account.recorded();
        assert!(account.changes().is_empty());
    }

    #[test]
    fn open_orders_count_against_the_limits() {
        let mut account = account();
        account.place(request(Side::Buy, 35), None).unwrap();
        assert_eq!(
            refusal(&mut account, Side::Buy, 6),
            RejectReason::PositionLimit
        );
        next_day(&mut account);
        assert_eq!(
            refusal(&mut account, Side::Buy, 6),
            RejectReason::PositionLimit
        );
        account.place(request(Side::Sell, 20), None).unwrap();
        assert_eq!(
            refusal(&mut account, Side::Sell, 16),
            RejectReason::InvalidQuantity
        );
        assert_eq!(account.refused().values().sum::<u32>(), 3);
        assert_eq!(account.orders().submitted, 2);
    }

    #[test]
    fn what_the_risk_check_cannot_price_the_broker_rejects() {
        let mut account = account();
        let unknown = Symbol::new("unknown").unwrap();
        let request = OrderRequest {
            symbol: unknown,
            ..request(Side::Buy, 1)
        };
        let order = account.place(request, None);
        assert_eq!(order.unwrap().status, OrderStatus::Rejected);
    }

    #[test]
    fn an_order_for_nothing_does_not_go_out() {
        let mut account = account();
        for side in [Side::Buy, Side::Sell] {
            let reason = refusal(&mut account, side, 0);
            assert_eq!(reason, RejectReason::InvalidQuantity);
        }
        assert_eq!(account.orders().submitted, 0);
    }
}
