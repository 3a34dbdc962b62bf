//! The desk: every strategy on every symbol, trading one account day by day.

use jiff::civil::Date;

use crate::account::Account;
use crate::bars::Bar;
use crate::error::Error;
use crate::strategy::StrategyId;
use crate::symbol::Symbol;
use crate::trader::Trader;

/// The traders and their account. It keeps no clock: the bars' dates are its time.
#[derive(Debug)]
pub struct Desk {
    traders: Vec<Trader>,
    account: Account,
}

impl Desk {
    /// A desk with a trader for each strategy and each symbol of the account.
    #[must_use]
    pub fn new(account: Account) -> Self {
        let symbols = account.symbols().cloned();
        let traders = symbols.flat_map(|symbol| {
            let strategies = StrategyId::AUTOMATIC
                .into_iter()
                .filter_map(StrategyId::build);
            let measured = account.strategies();
            strategies.map(move |strategy| {
                let metrics = measured.get(strategy.id()).clone();
                Trader::new(strategy, symbol.clone(), metrics)
            })
        });
        let traders = traders.collect();
        Self { traders, account }
    }

    /// Trades one day: yesterday's orders first, then the close, then what the strategies make of it.
    #[obs_core::track_duration(name = "Desk::trade_day")]
    #[obs_core::track_calls(name = "Desk::trade_day")]
    pub fn trade_day(&mut self, date: Date, bars: &[(Symbol, Bar)]) -> Result<(), Error> {
        self.account.trade_day(date, bars)?;
        for (symbol, bar) in bars {
            for trader in self
                .traders
                .iter_mut()
                .filter(|trader| trader.symbol() == symbol)
            {
                trader.on_bar(bar, &mut self.account);
            }
        }
        Ok(())
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The account, to place and cancel orders in.
    pub fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::bars;
    use crate::broker::{PaperBroker, Terms};
    use crate::order::OrderStatus;
    use crate::risk::Limits;

    const CASH: f64 = 1_000_000.0;

    /// Twenty years without server, database or client; `each_day` looks at every close.
    fn replay(mut each_day: impl FnMut(&Desk)) -> Desk {
        let series = bars::bundled().unwrap();
        let mut days: BTreeMap<Date, Vec<(Symbol, Bar)>> = BTreeMap::new();
        for series in &series {
            for bar in &series.bars {
                days.entry(bar.date)
                    .or_default()
                    .push((series.symbol.clone(), *bar));
            }
        }
        let symbols = series.iter().map(|series| series.symbol.clone());
        let broker = PaperBroker::new(symbols, Terms::default());
        let dates = days.keys().copied().collect();
        let account = Account::open(Limits::default(), broker, CASH, &dates).unwrap();
        let mut desk = Desk::new(account);
        for (date, bars) in days {
            desk.trade_day(date, &bars).unwrap();
            each_day(&desk);
        }
        desk
    }

    #[test]
    fn the_books_balance_on_every_day() {
        replay(|desk| {
            let portfolio = desk.account().portfolio();
            let ids = StrategyId::AUTOMATIC;
            let pnl: f64 = ids
                .iter()
                .map(|id| portfolio.realized(*id) + portfolio.unrealized(*id))
                .sum();
            let equity = portfolio.marks().last().unwrap().equity;
            assert!(
                (equity - CASH - pnl).abs() < 1e-4,
                "{equity} is not {CASH} + {pnl}"
            );
            assert!((equity - portfolio.equity()).abs() < 1e-9);
            assert!(portfolio.cash() >= 0.0);

            let orders = desk.account().orders();
            assert_eq!(
                orders.submitted,
                orders.open + orders.closed.values().sum::<u32>()
            );
        });
    }

    #[test]
    fn on_real_bars_orders_are_refused_filled_cancelled_and_expire() {
        let desk = replay(|_| ());
        let account = desk.account();
        let reasons: BTreeSet<_> = account
            .refused()
            .keys()
            .map(|(_, reason)| *reason)
            .collect();
        assert!(reasons.len() >= 3, "{:?}", account.refused());
        let closed = account.orders().closed;
        for status in [
            OrderStatus::Filled,
            OrderStatus::Cancelled,
            OrderStatus::Expired,
        ] {
            assert!(closed[&status] > 0, "{closed:?}");
        }
    }
}
