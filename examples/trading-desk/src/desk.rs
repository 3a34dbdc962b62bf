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
        self.hear_strategies(bars);
        Ok(())
    }

    fn hear_strategies(&mut self, bars: &[(Symbol, Bar)]) {
        for (symbol, bar) in bars {
            for trader in self
                .traders
                .iter_mut()
                .filter(|trader| trader.symbol() == symbol)
            {
                trader.on_bar(bar, &mut self.account);
            }
        }
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

    use obs_core::{Closed, TestRecorder};

    use super::*;
    use crate::bars;
    use crate::broker::{PaperBroker, Terms};
    use crate::order::{Order, OrderStatus};
    use crate::risk::Limits;
    use crate::store::Store;
    use crate::venue::{self, Manner};

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

    /// The process is killed after the first symbol's orders were filled, on every fiftieth day; the next one reads what was saved,
    /// and the broker's stream begins the day anew. What all of them counted is held to the rows in the database.
    #[tokio::test]
    async fn restarts_in_the_middle_of_a_day_lose_and_double_nothing() {
        let series = bars::bundled().unwrap();
        let mut days: BTreeMap<Date, Vec<(Symbol, Bar)>> = BTreeMap::new();
        for series in &series {
            for bar in series.bars.iter().take(1_000) {
                days.entry(bar.date)
                    .or_default()
                    .push((series.symbol.clone(), *bar));
            }
        }
        let mut lives = vec![TestRecorder::new()];
        let dates = days.keys().copied().collect();
        let account = lives[0].run(|| {
            let symbols = series.iter().map(|series| series.symbol.clone());
            let broker = PaperBroker::new(symbols, Terms::default());
            Account::open(Limits::default(), broker, CASH, &dates).unwrap()
        });
        let mut desk = lives[0].run(|| Desk::new(account));
        let store = Store::open(None, CASH).await.unwrap();
        for (number, (date, bars)) in days.into_iter().enumerate() {
            if number % 50 == 49 {
                desk.account.open_day(date, &bars);
                desk.account.trade_bar(&bars[0].0, &bars[0].1).unwrap();
                let saved = serde_json::to_string(&desk.account.save_orders()).unwrap();
                let life = TestRecorder::new();
                life.run(|| {
                    desk.account
                        .resume_orders(serde_json::from_str(&saved).unwrap());
                });
                lives.push(life);
                desk.account.repeat_today();
                for (symbol, bar) in &bars[1..] {
                    desk.account.trade_bar(symbol, bar).unwrap();
                }
                desk.account.close_day(&bars).unwrap();
                desk.hear_strategies(&bars);
            } else {
                desk.trade_day(date, &bars).unwrap();
            }
            store.record(desk.account.changes()).await.unwrap();
            desk.account.recorded();
        }
        assert_counts_are_those_of(&store.orders(u32::MAX).await.unwrap(), &lives);
    }

    fn assert_counts_are_those_of(records: &[Order], lives: &[TestRecorder]) {
        // What each process abandons when it is killed, its end would have counted: nobody reads that.
        let sum = |name, labels: &[_]| {
            lives
                .iter()
                .map(|life| life.counter_sum(name, labels))
                .sum::<u64>()
        };
        let of = |status| records.iter().filter(move |order| order.status == status);
        let told = |manner| {
            let of = of(OrderStatus::Filled).filter(|order| venue::manner(order.id) == manner);
            of.count() as u64
        };
        assert!(lives.len() >= 20 && of(OrderStatus::Filled).count() > 50);
        assert_eq!(sum("trading_orders_total", &[]), records.len() as u64);
        for status in [OrderStatus::Filled, OrderStatus::Expired] {
            let labels = [("outcome", status.as_str())];
            let again = match status {
                OrderStatus::Filled => told(Manner::Reopened),
                _ => 0,
            };
            assert_eq!(
                sum("trading_orders_closed_total", &labels),
                of(status).count() as u64 + again,
                "{status}"
            );
        }
        let parts = of(OrderStatus::Filled)
            .filter(|order| venue::manner(order.id) == Manner::Corrected && order.quantity > 1);
        let busted = told(Manner::Reopened) + told(Manner::Late);
        assert_eq!(
            sum("trading_fills_total", &[]),
            (of(OrderStatus::Filled).count() + parts.count()) as u64 + busted
        );
        for (name, label, count) in [
            (
                "trading_orders_reopened_total",
                ("venue", "paper"),
                told(Manner::Reopened),
            ),
            ("trading_corrections_total", ("kind", "bust"), busted),
            (
                "trading_corrections_total",
                ("kind", "correction"),
                told(Manner::Corrected),
            ),
            (
                "trading_order_replaces_total",
                ("outcome", "accepted"),
                told(Manner::Replaced),
            ),
        ] {
            assert!(count > 0, "{name} {label:?} did not happen");
            assert_eq!(sum(name, &[label]), count, "{name} {label:?}");
        }
        let money = |name, labels: &[_]| sum(name, labels) as f64 / 1e6;
        let (mut notional, mut fees, mut slippage) = (0.0, 0.0, 0.0);
        for order in of(OrderStatus::Filled) {
            let (quantity, fill) = (f64::from(order.quantity), order.fill.unwrap());
            notional += quantity * fill.price;
            fees += fill.commission;
            slippage += order.side.sign() * (fill.price - order.decision_price.unwrap()) * quantity;
        }
        let near = |ours: f64, records: f64| {
            assert!((ours - records).abs() < 0.01, "{ours} is not {records}");
        };
        let net = |one, other| {
            let sum = |(name, labels): (_, &[_])| money(name, labels);
            sum(one) - sum(other)
        };
        near(
            net(
                ("trading_filled_notional_total", &[]),
                ("trading_corrected_notional_total", &[]),
            ),
            notional,
        );
        near(
            net(
                ("trading_fees_total", &[("kind", "commission")]),
                ("trading_fees_total", &[("kind", "rebate")]),
            ),
            fees,
        );
        let cost = |direction| money("trading_slippage_cost_total", &[("direction", direction)]);
        near(cost("adverse") - cost("favourable"), slippage);
        assert!(
            sum(
                "trading_order_events_ignored_total",
                &[("event", "replayed_fill")]
            ) > 0
        );
        assert_eq!(
            sum(
                "trading_order_events_ignored_total",
                &[("event", "unknown_order")]
            ),
            0
        );
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
