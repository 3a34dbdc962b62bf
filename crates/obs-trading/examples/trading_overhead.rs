//! What the verbs cost, against the same metrics moved by the facade's macros under the stock recorder: in one process, in
//! turns.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-trading --example trading_overhead
//! ```
//!
//! The macros look their series up by name and labels each time, as code does that keeps no handles. The strategy's and the
//! venue's names are known only at run time, as they are in a service that reads them from its configuration.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::PrometheusBuilder;
use obs_recorder::Engine;
use obs_trading::{
    Account, AccountBook, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Fee,
    FeeKind, Fill, Instrument, Liquidity, Mids, Money, OrderBook, OrderType, PeriodsPerYear,
    PositionKey, Positions, Side, Signal, Strategy, StrategyLedger, Ticket, Valuation, Venue,
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
    metrics::with_local_recorder(&engine, by_identifier);
    metrics::with_local_recorder(&engine, by_position)
}

/// What a closed trade costs from its fill on, beyond the ledgers it ends in.
fn by_position() -> Result<(), Failure> {
    let names = Names {
        strategy: "positions".to_owned(),
        venue: "positions".to_owned(),
    };
    let mut ledgers = Desk::new(&names)?;
    let usd = |amount| Money::new(amount, Currency::USD);
    let start = Timestamp::from_second(1_700_000_000)?;
    let book = |account: &str| -> Result<(AccountBook, PositionKey), Failure> {
        let positions = Positions::new(account, start, usd(1e6))
            .with_instrument("AAPL", Instrument::new(Currency::USD));
        let conventions = conventions();
        let ledger = StrategyLedger::new(account, "positions", conventions.clone(), usd(1e6))?;
        let mut book = AccountBook::new(positions)
            .with_account(Account::new(account, conventions, usd(1e6))?)
            .with_strategy("positions", ledger);
        let key = book.key("positions", "AAPL")?;
        Ok((book, key))
    };
    let (mut closing, closed) = book("closing")?;
    let (mut with_ids, known) = book("named")?;
    let mut second = 0_i64;
    let mut number = 0_u64;
    let mut next = || {
        second += 1;
        start + SignedDuration::from_millis(second)
    };

    // A purchase that stays open, so that each sale after it closes a part of a position.
    let stock = Fill::new(1_000_000_000, 187.25).at(start);
    let _ = closing.fill(closed, Side::Buy, &stock)?;
    let _ = with_ids.fill(known, Side::Buy, &stock)?;

    println!();
    let ledger = line("a closed trade in account and strategy ledger", &mut || {
        ledgers.trade();
    });
    line("a mark of the account's equity", &mut || ledgers.mark());
    let fill = line("a fill that closes a trade, through all of it", &mut || {
        let fill = Fill::new(1, black_box(187.31)).at(next());
        let fed = closing.fill(closed, Side::Sell, &fill);
        debug_assert!(fed.is_ok_and(|fed| fed.booked.closed.is_some()));
    });
    println!("{:<58} {:>6.0} ns", "  beyond the ledgers", fill - ledger);
    line("the same with an identifier", &mut || {
        number += 1;
        let fill = Fill::new(1, black_box(187.31)).with_id(number).at(next());
        let fed = with_ids.fill(known, Side::Sell, &fill);
        debug_assert!(fed.is_ok_and(|fed| fed.booked.closed.is_some()));
    });
    Ok(())
}

/// What the crate does beyond the first edition, which macros do not: costs in money, and orders by identifier.
fn by_identifier() {
    println!("\n{:<58} {:>9} {:>12}", "", "ours", "allocations");
    let mids = Mids::new([1, 10, 60].map(Duration::from_secs), Duration::from_secs(5));
    let strategy = Strategy::new("costs");
    let venue = Venue::new("costs").with_mids(&mids);
    let plain = Venue::new("plain");
    let start = Timestamp::now();
    let mut number = 0_u64;

    let mut with_costs = || {
        number += 1;
        let at = start + SignedDuration::from_micros(number.cast_signed());
        mids.record("AAPL", at, 187.2);
        let mut evaluation = strategy.evaluate();
        let idea = evaluation.signal(Signal::Buy, black_box(0.8));
        drop(evaluation);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
        let ticket = ticket.in_currency(Currency::USD);
        let mut order = idea.decide(Decision::Enter).submit(&venue, &ticket);
        order.acknowledge();
        let fee = Fee::new(FeeKind::Commission, Money::new(0.35, Currency::USD));
        let fill = Fill::new(100.0, black_box(187.25))
            .with_id(number)
            .with_fee(fee);
        order.fill(fill.with_liquidity(Liquidity::Taker).at(at));
        order.close_filled();
    };
    // The fills before wait a minute for their mids: what is settled meanwhile is settled in these rounds too.
    line(
        "signal to filled order with costs, fees, 3 markouts",
        &mut with_costs,
    );

    let mut without = || {
        let mut evaluation = strategy.evaluate();
        let idea = evaluation.signal(Signal::Buy, black_box(0.8));
        drop(evaluation);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
        let mut order = idea.decide(Decision::Enter).submit(&plain, &ticket);
        order.acknowledge();
        order.fill(Fill::new(100.0, black_box(187.25)));
        order.close_filled();
    };
    line("the same without a currency", &mut without);

    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 1e12, 187.2);
    let mut ids: HashMap<u64, u64> = (0..1_000).map(|id| (id, id)).collect();
    let mut id = 0;
    let look_up = line("a look-up of an identifier in a hash map", &mut || {
        id = (id + 7) % 1_000;
        *ids.get_mut(&black_box(id)).expect("it is there") += 1;
    });
    let mut book = OrderBook::new(&plain);
    for id in 0..1_000_u64 {
        book.insert(id, strategy.submit(&plain, &ticket));
    }
    let (mut id, mut execution) = (0, 0);
    let fill = line("a fill in a book of 1,000 orders", &mut || {
        id = (id + 7) % 1_000;
        execution += 1;
        book.fill(&id, Fill::new(1.0, black_box(187.25)).with_id(execution));
    });
    println!("{:<58} {:>6.0} ns", "  beyond the look-up", fill - look_up);

    let desk = HashedDesk::new(&plain);
    for id in 0..1_000_u64 {
        desk.submit(id, &strategy, &ticket);
    }
    let (mut id, mut execution) = (0, 0);
    let fill = line(
        "a fill by either identifier at a desk, one thread",
        &mut || {
            id = (id + 7) % 1_000;
            execution += 1;
            desk.fill(&id, Fill::new(1.0, black_box(187.25)).with_id(execution));
        },
    );
    println!("{:<58} {:>6.0} ns", "  beyond the look-up", fill - look_up);
    let two = two_threads(&desk);
    println!(
        "{:<58} {two:>6.0} ns",
        "the same by two threads at once, for each"
    );
    let small = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 1.0, 187.2);
    let mut id = 1_000_000;
    line(
        "an order at a desk: submitted, acknowledged, filled",
        &mut || {
            id += 1;
            desk.submit(id, &strategy, &small);
            desk.acknowledge(&id);
            desk.fill(&id, Fill::new(1.0, black_box(187.25)).with_id(id));
        },
    );
    std::mem::forget((book, desk));
}

type HashedDesk = obs_trading::Desk<u64>;

fn conventions() -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::TRADING_DAYS,
        Calendar::nyse(),
    )
    .expect("252 trading days a year")
}

/// Prints the least time of what runs and its allocations in the mean, and gives the time.
fn line(name: &str, run: &mut dyn FnMut()) -> f64 {
    // What grows at first has grown: maps, and the lists of the executions.
    (0..20_000).for_each(|_| run());
    let least = (0..ROUNDS)
        .map(|_| nanoseconds(run))
        .fold(f64::MAX, f64::min);
    // Of one run alone, it would be chance whether something grew in it.
    let runs = || (0..RUNS_A_ROUND).for_each(|_| run());
    let allocations = allocation_counter::measure(runs).count_total as f64;
    let mean = allocations / f64::from(RUNS_A_ROUND);
    println!("{name:<58} {least:>6.0} ns {mean:>12.3}");
    least
}

/// The least time of a fill while another thread fills other orders of the desk.
fn two_threads(desk: &HashedDesk) -> f64 {
    let fills = |from: u64| {
        let desk = desk.clone();
        move || {
            let (mut id, mut execution) = (from, from * 1_000_000_000);
            let mut run = || {
                id = (id + 14) % 1_000;
                execution += 1;
                desk.fill(&id, Fill::new(1.0, black_box(187.25)).with_id(execution));
            };
            (0..ROUNDS)
                .map(|_| nanoseconds(&mut run))
                .fold(f64::MAX, f64::min)
        }
    };
    let other = std::thread::spawn(fills(1));
    let least = fills(2)();
    other.join().map_or(least, |other| least.max(other))
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
        let conventions = conventions();
        Ok(Self {
            strategy: Strategy::new(&names.strategy),
            venue: Venue::new(&names.venue),
            account: Account::new("main", conventions.clone(), usd(1e6))?,
            ledger: StrategyLedger::new("main", &names.strategy, conventions, usd(1e6))?,
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

    fn mark(&mut self) {
        self.now += SignedDuration::from_secs(1);
        let equity = Money::new(black_box(1_000_012.5), Currency::USD);
        let _ = self.account.mark_equity(self.now, equity);
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
