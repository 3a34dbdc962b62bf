//! What the verbs cost, against the same metrics moved by the facade's macros under the stock recorder: in one process, in
//! turns.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-trading --example trading_overhead
//! ```
//!
//! The macros look their series up by name and labels each time, as code does that keeps no handles. The strategy's and the
//! venue's names are known only at run time, as they are in a service that reads them from its configuration.

use std::hint::black_box;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use metrics_exporter_prometheus::PrometheusBuilder;
use obs_recorder::Engine;
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Fill, Money, OrderType,
    PeriodsPerYear, Side, Signal, Strategy, StrategyLedger, Ticket, Valuation, Venue,
};

const ROUNDS: usize = 300;
const RUNS_A_ROUND: u32 = 500;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let engine = Engine::builder()
        .catalogue(obs_trading::catalogue())
        .build()?;
    let stock = PrometheusBuilder::new().build_recorder();
    let upkeep = stock.handle();
    let names = Names {
        strategy: "crossover".to_owned(),
        venue: "alpaca".to_owned(),
    };
    let mut desk = metrics::with_local_recorder(&engine, || Desk::new(&names))?;

    println!(
        "{:<44} {:>9} {:>9} {:>7} {:>12}",
        "", "ours", "macros", "ratio", "allocations"
    );
    metrics::with_local_recorder(&stock, || {
        let line = |name: &str, ours: &mut dyn FnMut(), macros: &mut dyn FnMut()| {
            compare(name, ours, macros, &|| upkeep.run_upkeep());
        };
        line("a signal", &mut || desk.signal(), &mut || names.signal());
        line(
            "a signal and its decision",
            &mut || desk.decision(),
            &mut || names.decision(),
        );
        line(
            "signal to filled order and closed trade",
            &mut || desk.whole_path(),
            &mut || names.whole_path(),
        );
        line(
            "a closed trade in account and strategy ledger",
            &mut || desk.trade(),
            &mut || names.trade(),
        );
    });
    Ok(())
}

/// Runs both in turns, and prints the least time of each: what the machine adds is left out.
fn compare(name: &str, ours: &mut dyn FnMut(), macros: &mut dyn FnMut(), upkeep: &dyn Fn()) {
    let (mut least_ours, mut least_macros) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        least_ours = least_ours.min(nanoseconds(ours));
        least_macros = least_macros.min(nanoseconds(macros));
        upkeep();
    }
    let allocations = allocation_counter::measure(ours).count_total;
    let of_macros = allocation_counter::measure(macros).count_total;
    let ratio = least_ours / least_macros;
    let allocations = format!("{allocations} / {of_macros}");
    println!(
        "{name:<44} {least_ours:>6.0} ns {least_macros:>6.0} ns {ratio:>7.3} {allocations:>12}"
    );
}

fn nanoseconds(run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..RUNS_A_ROUND {
        run();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS_A_ROUND)
}

/// The values of this crate.
struct Desk {
    strategy: Strategy,
    venue: Venue,
    account: Account,
    ledger: StrategyLedger,
    now: Timestamp,
}

impl Desk {
    fn new(names: &Names) -> Result<Self, Failure> {
        let usd = |amount| Money::new(amount, Currency::USD);
        let conventions = Conventions::new(
            Basis::PeriodReturns,
            Valuation::Marks,
            PeriodsPerYear::TRADING_DAYS,
            Calendar::weekdays(TimeZone::UTC),
        );
        Ok(Self {
            strategy: Strategy::new(&names.strategy),
            venue: Venue::new(&names.venue),
            account: Account::new("main", conventions.clone(), usd(1e6))?,
            ledger: StrategyLedger::new(&names.strategy, conventions, usd(1e6))?,
            now: Timestamp::from_second(1_700_000_000)?,
        })
    }

    /// The idea is kept from its destructor, which would count it as abandoned.
    fn signal(&mut self) {
        std::mem::forget(black_box(self.strategy.signal(Signal::Buy, black_box(0.8))));
    }

    fn decision(&mut self) {
        self.strategy
            .signal(Signal::Buy, black_box(0.8))
            .decide(Decision::Enter);
    }

    fn whole_path(&mut self) {
        let mut evaluation = self.strategy.evaluate();
        let idea = evaluation.signal(Signal::Buy, black_box(0.8));
        drop(evaluation);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
        let mut order = idea.decide(Decision::Enter).submit(&self.venue, &ticket);
        order.acknowledge();
        order.fill(Fill::new(100.0, black_box(187.25)));
        order.close_filled();
        self.trade();
    }

    fn trade(&mut self) {
        self.now += SignedDuration::from_secs(60);
        let trade = ClosedTrade::new(self.now, Money::new(black_box(12.5), Currency::USD));
        // Nothing here is refused; a refusal would show as a series that stands still.
        let _ = self.account.trade_closed(&trade);
        let _ = self.ledger.trade_closed(&trade);
    }
}

/// The same metrics by the facade's macros. What a ledger computes is not computed here: only its gauges are set.
struct Names {
    strategy: String,
    venue: String,
}

impl Names {
    fn signal(&self) {
        metrics::counter!("trading_signals_total", "strategy" => self.strategy.clone(), "signal" => "buy").increment(1);
        metrics::histogram!("trading_signal_confidence_ratio", "strategy" => self.strategy.clone())
            .record(black_box(0.8));
    }

    fn decision(&self) {
        let began = Instant::now();
        self.signal();
        metrics::histogram!("trading_decision_duration_seconds", "strategy" => self.strategy.clone())
            .record(began.elapsed());
        metrics::counter!("trading_decisions_total", "strategy" => self.strategy.clone(), "decision" => "enter")
            .increment(1);
    }

    fn whole_path(&self) {
        let began = Instant::now();
        self.time("trading_signal_generation_duration_seconds", began);
        self.time("trading_strategy_duration_seconds", began);
        metrics::counter!("trading_strategy_busy_seconds_total", "strategy" => self.strategy.clone()).increment(1);
        self.decision();
        let venue = || self.venue.clone();
        metrics::counter!("trading_orders_total", "venue" => venue(), "order_type" => "market", "side" => "buy")
            .increment(1);
        metrics::gauge!("trading_orders_open", "venue" => venue()).increment(1.0);
        metrics::counter!(
            "trading_trades_total",
            "strategy" => self.strategy.clone(), "symbol" => black_box("AAPL").to_owned(), "side" => "buy"
        )
        .increment(1);
        metrics::counter!("trading_orders_closed_total", "venue" => venue(), "outcome" => "filled")
            .increment(1);
        metrics::gauge!("trading_orders_open", "venue" => venue()).decrement(1.0);
        metrics::histogram!("trading_slippage_bps", "venue" => venue(), "side" => "buy")
            .record(black_box(2.7));
        metrics::histogram!(
            "trading_order_fill_duration_seconds", "venue" => venue(), "order_type" => "market"
        )
        .record(began.elapsed());
        self.time("trading_execution_duration_seconds", began);
        for stage in ["decision", "submission", "acknowledgement", "fill"] {
            metrics::histogram!(
                "trading_order_stage_duration_seconds", "strategy" => self.strategy.clone(), "stage" => stage
            )
            .record(began.elapsed());
        }
        self.trade();
    }

    fn time(&self, name: &'static str, began: Instant) {
        metrics::histogram!(name, "strategy" => self.strategy.clone()).record(began.elapsed());
    }

    fn trade(&self) {
        metrics::histogram!("trading_trade_pnl", "strategy" => self.strategy.clone(), "currency" => "USD")
            .record(black_box(12.5));
        for name in [
            "trading_win_ratio",
            "trading_profit_factor",
            "trading_sharpe_ratio",
            "trading_sortino_ratio",
            "trading_max_drawdown_ratio",
            "trading_drawdown_ratio",
            "trading_recovery_seconds",
            "trading_drawdown_age_seconds",
        ] {
            metrics::gauge!(name, "strategy" => self.strategy.clone()).set(black_box(0.5));
        }
        for name in [
            "trading_pnl_realized",
            "trading_average_win",
            "trading_average_loss",
        ] {
            metrics::gauge!(name, "strategy" => self.strategy.clone(), "currency" => "USD")
                .set(black_box(0.5));
        }
        for name in [
            "portfolio_win_ratio",
            "portfolio_profit_factor",
            "portfolio_sharpe_ratio",
            "portfolio_sortino_ratio",
            "portfolio_max_drawdown_ratio",
            "portfolio_drawdown_ratio",
            "portfolio_recovery_seconds",
            "portfolio_drawdown_age_seconds",
        ] {
            metrics::gauge!(name, "account" => "main").set(black_box(0.5));
        }
        for name in [
            "portfolio_value",
            "portfolio_best_trade_pnl",
            "portfolio_worst_trade_pnl",
        ] {
            metrics::gauge!(name, "account" => "main", "currency" => "USD").set(black_box(0.5));
        }
        for result in ["win", "loss"] {
            metrics::gauge!("portfolio_streak_trades", "account" => "main", "result" => result)
                .set(1.0);
            metrics::gauge!("portfolio_longest_streak_trades", "account" => "main", "result" => result).set(1.0);
        }
        for period in ["day", "week", "month", "total"] {
            metrics::gauge!("portfolio_trades", "account" => "main", "period" => period).set(1.0);
            for name in ["portfolio_pnl", "portfolio_value_change"] {
                metrics::gauge!(name, "account" => "main", "currency" => "USD", "period" => period)
                    .set(1.0);
            }
        }
    }
}
