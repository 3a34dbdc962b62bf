//! A trader: one strategy at work on one symbol.

use obs_core::Closed;
use obs_trading::{Decided, Decision, ExitPlan};

use crate::account::Account;
use crate::bars::Bar;
use crate::order::{Order, OrderKind, OrderRequest, Side};
use crate::risk::Refusal;
use crate::strategy::decision::{Holding, decide};
use crate::strategy::{Signal, Strategy, StrategyId};
use crate::symbol::Symbol;

/// A position is closed when it has lost this share of what it cost,
const STOP_LOSS: f64 = 0.08;

/// gained this share of it,
const TAKE_PROFIT: f64 = 0.25;

/// or fallen by this share from its best price.
const TRAILING_STOP: f64 = 0.15;

/// Share of equity that an entry without any confidence would take.
const BASE_SIZE: f64 = 0.10;

/// Share of equity that full confidence adds.
const CONFIDENCE_SIZE: f64 = 0.20;

/// One strategy at work on one symbol.
#[derive(Debug)]
pub struct Trader {
    strategy: Box<dyn Strategy>,
    symbol: Symbol,
    /// When the position is closed whatever the strategy says; there is one while there is a position.
    exits: Option<ExitPlan>,
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
            exits: None,
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
        self.protect(id, bar, account);
        let mut evaluation = self.metrics.evaluate();
        let signal = self.strategy.on_bar(bar);
        let idea = evaluation.signal(signal.kind, signal.confidence);
        let decision = decide(signal, account.holding(id, &self.symbol));
        let decided = idea.decide(decision);
        drop(evaluation);
        match decision {
            Decision::Enter => self.enter(id, signal, bar, decided, account),
            Decision::Exit => self.exit(id, Some(decided), account),
            Decision::Withdraw => self.withdraw(id, account),
            _ => {}
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
        let placed = self.place((id, Side::Buy, kind, quantity), Some(decided), account);
        if placed.is_ok() {
            account
                .risk()
                .position(id.as_str(), size(signal), signal.confidence);
        }
    }

    fn exit(&self, id: StrategyId, decided: Option<Decided>, account: &mut Account) {
        let position = account.portfolio().position(id, &self.symbol);
        let quantity = position.map_or(0, |position| position.quantity);
        // A refusal is counted by the account; the next bar asks again.
        let _ = self.place(
            (id, Side::Sell, OrderKind::Market, quantity),
            decided,
            account,
        );
    }

    /// Closes the position if the bar reached one of its exits, and it is not being closed already.
    fn protect(&mut self, id: StrategyId, bar: &Bar, account: &mut Account) {
        let position = account.portfolio().position(id, &self.symbol);
        let Some(position) = position else {
            self.exits = None;
            return;
        };
        let entry = position.cost / f64::from(position.quantity);
        self.exits = self.exits.take().or_else(|| exits(entry));
        let reached = self
            .exits
            .as_mut()
            .and_then(|exits| exits.on_bar(bar.open, bar.high, bar.low, bar.close));
        if let Some(exit) = reached
            && account.holding(id, &self.symbol) == Holding::Long
        {
            account.risk().exit(id.as_str(), exit.trigger);
            self.exit(id, None, account);
        }
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
        decided: Option<Decided>,
        account: &mut Account,
    ) -> Result<Order, Refusal> {
        let symbol = self.symbol.clone();
        let request = OrderRequest {
            strategy,
            symbol,
            side,
            kind,
            quantity,
        };
        account.place(request, decided)
    }
}

/// The exits of a position bought at this price; none for a price that is none.
fn exits(entry: f64) -> Option<ExitPlan> {
    let plan = ExitPlan::new(obs_trading::Side::Buy, entry);
    let plan = plan.and_then(|plan| plan.stop_loss(STOP_LOSS));
    let plan = plan.and_then(|plan| plan.take_profit(TAKE_PROFIT));
    plan.and_then(|plan| plan.trailing(TRAILING_STOP)).ok()
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
    use crate::order::OrderStatus;
    use crate::risk::Limits;
    use crate::strategy::SignalKind;

    /// Says what it was given to say.
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
        let broker = PaperBroker::new([symbol.clone()], Terms::default());
        // A Sunday: of a market that never closes, so that any number of days may follow.
        let days = [date(2020, 1, 5)].into();
        let mut account = Account::open(Limits::default(), broker, 10_000.0, &days).unwrap();
        let metrics = account.strategies().get(StrategyId::MeanReversion).clone();
        let mut trader = Trader::new(Box::new(Script(script.to_vec())), symbol.clone(), metrics);
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
    fn a_fall_stops_the_loss_whatever_the_strategy_says() {
        use SignalKind::{Buy, Hold};
        let account = run(&[Buy, Hold, Hold, Hold], &[100.0, 100.0, 90.0, 90.0]);
        assert!(account.changes().trades[0].pnl < -190.0);
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
