//! What the account and each strategy make of their trades.

use std::collections::BTreeMap;

use jiff::civil::Date;
use obs_core::Closed;
use obs_trading::{
    Account, Basis, ClosedTrade, Conventions, Currency, Error, Money, StrategyLedger, Valuation,
};

use crate::calendar::TradingDays;
use crate::portfolio::{self, Portfolio};
use crate::strategy::StrategyId;

/// The ledgers: one of the account, which follows its equity, and one of each strategy, which is allotted an equal
/// part of the cash and follows what it made of it.
#[derive(Debug)]
pub struct Performance {
    days: TradingDays,
    account: Account,
    strategies: BTreeMap<StrategyId, StrategyLedger>,
}

impl Performance {
    /// Ledgers that begin with this much cash.
    pub fn new(cash: f64, days: TradingDays) -> Result<Self, Error> {
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            days.periods_per_year(),
            days.calendar(),
        )
        // Less than half a cent is what is left of floats.
        .with_scratch(0.005)?;
        let part = usd(cash / StrategyId::ALL.len() as f64);
        let ledger = |id: StrategyId| {
            let ledger = StrategyLedger::new("main", id.as_str(), conventions.clone(), part)?;
            Ok((id, ledger))
        };
        Ok(Self {
            strategies: StrategyId::ALL
                .iter()
                .copied()
                .map(ledger)
                .collect::<Result<_, Error>>()?,
            account: Account::new("main", conventions, usd(cash))?,
            days,
        })
    }

    /// A position was closed, or a part of it; trades are filled at the open.
    pub fn trade_closed(&mut self, trade: &portfolio::ClosedTrade) -> Result<(), Error> {
        let order = trade.order.to_string();
        let at = self.days.open(trade.closed);
        let closed = ClosedTrade::new(at, usd(trade.pnl)).with_id(&order);
        self.account.trade_closed(&closed)?;
        match self.strategies.get_mut(&trade.strategy) {
            Some(ledger) => ledger.trade_closed(&closed),
            None => Ok(()),
        }
    }

    /// The day is over, and this is what everything is worth at its close.
    pub fn mark(&mut self, date: Date, portfolio: &Portfolio) -> Result<(), Error> {
        let close = self.days.close(date);
        for (id, ledger) in &mut self.strategies {
            ledger.mark_open_pnl(close, usd(portfolio.unrealized(*id)))?;
        }
        self.account.mark_equity(close, usd(portfolio.equity()))
    }
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}
