//! A trader: one strategy at work on one symbol.

use obs_trading::Decided;

use crate::account::Account;
use crate::bars::Bar;
use crate::order::{OrderKind, OrderRequest, Side};
use crate::strategy::decision::{Decision, decide};
use crate::strategy::{Signal, Strategy, StrategyId};
use crate::symbol::Symbol;

/// Share of equity that an entry without any confidence would take.
const BASE_SIZE: f64 = 0.10;

/// Share of equity that full confidence adds.
const CONFIDENCE_SIZE: f64 = 0.20;

/// One strategy at work on one symbol.
#[derive(Debug)]
pub struct Trader {
    strategy: Box<dyn Strategy>,
    symbol: Symbol,
    metrics: obs_trading::Strategy,
}

impl Trader {
    /// Puts `strategy`, fresh, to work on `symbol`.
    #[must_use]
    pub fn new(
        strategy: Box<dyn Strategy>,
        symbol: Symbol,
        metrics: obs_trading::Strategy,
    ) -> Self {
        Self {
            strategy,
            symbol,
            metrics,
        }
    }

    /// The symbol it trades.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// After the close: hears the strategy, decides, and acts on the account.
    pub fn on_bar(&mut self, bar: &Bar, account: &mut Account) {
        let id = self.strategy.id();
        let mut evaluation = self.metrics.evaluate();
        let signal = self.strategy.on_bar(bar);
        let idea = evaluation.signal(signal.kind.into(), signal.confidence);
        let decision = decide(signal, account.holding(id, &self.symbol));
        let decided = idea.decide(decision.into());
        drop(evaluation);
        match decision {
            Decision::Enter => self.enter(id, signal, bar, decided, account),
            Decision::Exit => self.exit(id, decided, account),
            Decision::Withdraw => self.withdraw(id, account),
            Decision::Hold
            | Decision::SkipDuplicate
            | Decision::SkipNoPosition
            | Decision::SkipLowConfidence => {}
        }
    }

    fn enter(
        &self,
        id: StrategyId,
        signal: Signal,
        bar: &Bar,
        decided: Decided,
        account: &mut Account,
    ) {
        let quantity = units(account.portfolio().equity() * size(signal), bar.close);
        let kind = self.strategy.entry(bar.close);
        self.place((id, Side::Buy, kind, quantity), decided, account);
    }

    fn exit(&self, id: StrategyId, decided: Decided, account: &mut Account) {
        let position = account.portfolio().position(id, &self.symbol);
        let quantity = position.map_or(0, |position| position.quantity);
        self.place(
            (id, Side::Sell, OrderKind::Market, quantity),
            decided,
            account,
        );
    }

    fn withdraw(&self, id: StrategyId, account: &mut Account) {
        if let Some(order) = account.open_order(id, &self.symbol).map(|order| order.id) {
            // It was open a moment ago, and the account is ours alone: nothing can have closed it.
            let _ = account.cancel(order);
        }
    }

    fn place(
        &self,
        (strategy, side, kind, quantity): (StrategyId, Side, OrderKind, u32),
        decided: Decided,
        account: &mut Account,
    ) {
        let symbol = self.symbol.clone();
        let request = OrderRequest {
            strategy,
            symbol,
            side,
            kind,
            quantity,
        };
        // A refusal is counted by the account; the strategy waits for its next signal.
        let _ = account.place(request, Some(decided));
    }
}

/// The share of equity that a signal is worth.
fn size(signal: Signal) -> f64 {
    BASE_SIZE + CONFIDENCE_SIZE * signal.confidence
}

/// The whole units that `money` buys.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates: no money buys 0 units, and no account buys more than u32 counts"
)]
fn units(money: f64, price: f64) -> u32 {
    (money / price).floor() as u32
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::broker::{PaperBroker, Terms};
    use crate::metrics::{OrderFlow, Strategies};
    use crate::order::OrderStatus;
    use crate::portfolio::Portfolio;
    use crate::risk::{Limits, RiskCheck};
    use crate::strategy::SignalKind;

    /// Says what it is told to.
    #[derive(Debug)]
    struct Script(Vec<SignalKind>);

    impl Strategy for Script {
        fn id(&self) -> StrategyId {
            StrategyId::MeanReversion
        }

        fn on_bar(&mut self, _bar: &Bar) -> Signal {
            Signal::new(self.0.remove(0), 0.5)
        }

        fn entry(&self, close: f64) -> OrderKind {
            OrderKind::Limit { limit_price: close }
        }
    }

    /// Runs the script over bars of which each trades within 1 of its close.
    fn run(script: &[SignalKind], closes: &[f64]) -> Account {
        let symbol = Symbol::new("SPX").unwrap();
        let strategies = Strategies::default();
        let measured = strategies.get(StrategyId::MeanReversion);
        let mut trader = Trader::new(Box::new(Script(script.to_vec())), symbol.clone(), measured);
        let mut account = Account::new(
            RiskCheck::new(Limits::default()),
            PaperBroker::new([symbol.clone()], Terms::default()),
            Portfolio::new(10_000.0),
            OrderFlow::new(strategies),
            date(2020, 1, 1),
        );
        for close in closes {
            let date = account.today().tomorrow().unwrap();
            let [high, low] = [close + 1.0, close - 1.0];
            let bar = Bar {
                date,
                open: *close,
                high,
                low,
                close: *close,
                volume: 1e6,
            };
            account.trade_day(date, &[(symbol.clone(), bar)]).unwrap();
            trader.on_bar(&bar, &mut account);
        }
        account
    }

    #[test]
    fn enters_by_confidence_and_exits_all() {
        use SignalKind::{Buy, Hold, Sell};
        let account = run(&[Buy, Hold, Sell, Hold], &[100.0, 100.0, 110.0, 110.0]);
        let changes = account.changes();
        // A fifth of 10,000 at half confidence.
        assert_eq!(changes.trades[0].quantity, 20);
        assert!(changes.trades[0].pnl > 190.0);
        assert_eq!(account.portfolio().positions().count(), 0);
    }

    #[test]
    fn withdraws_an_entry_that_was_not_filled() {
        let account = run(&[SignalKind::Buy, SignalKind::Sell], &[100.0, 110.0]);
        assert_eq!(account.orders().closed[&OrderStatus::Cancelled], 1);
        assert_eq!(account.orders().open, 0);
    }

    #[test]
    fn units_are_whole_and_bounded() {
        assert_eq!(units(1000.0, 300.0), 3);
        assert_eq!(units(-1.0, 300.0), 0);
        assert_eq!(units(f64::MAX, 1.0), u32::MAX);
    }
}
