//! The lines of `obs-trading`: what a desk goes through thousands of times a day.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_exporter::Exporter;
use obs_recorder::Engine;
use obs_trading::{
    Account, AccountBook, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Desk, Fee,
    FeeKind, Fill, Instrument, Liquidity, Mids, Money, OrderBook, OrderType, PeriodsPerYear,
    PositionKey, Positions, Side, Signal, Strategy, StrategyLedger, Ticket, Valuation, Venue,
};

use crate::{Line, Work};

pub(crate) const LINES: [Line; 9] = [
    Line {
        name: "order, signal to fill, section 10 off",
        operations: TIMES,
        set_up: round,
    },
    Line {
        name: "order with costs, a fee and 3 markouts",
        operations: TIMES,
        set_up: round_with_costs,
    },
    Line {
        name: "look-up of an identifier",
        operations: TIMES,
        set_up: look_up,
    },
    Line {
        name: "fill by identifier in a book",
        operations: TIMES,
        set_up: fill_in_book,
    },
    Line {
        name: "fill by identifier at a desk",
        operations: TIMES,
        set_up: fill_at_desk,
    },
    Line {
        name: "closed trade, account and strategy ledger",
        operations: TIMES,
        set_up: closed_trade,
    },
    Line {
        name: "mark of an account's equity",
        operations: TIMES,
        set_up: mark,
    },
    Line {
        name: "fill that closes a trade, with its ledgers",
        operations: TIMES,
        set_up: closing_fill,
    },
    Line {
        name: "history of the live page, a second",
        operations: SECONDS,
        set_up: history,
    },
];

const TIMES: u32 = 1_024;

/// How many seconds of a history are taken: after two minutes everything that it looks back at is there.
const SECONDS: u32 = 120;

/// Orders of which each is filled often: sixteen times in each run.
const ORDERS: u64 = 64;

/// Where an event that is repeated takes place: after the last one, in one day.
struct Moments(Timestamp);

impl Moments {
    fn new() -> Self {
        Self(Timestamp::from_second(1_700_000_000).expect("within range"))
    }

    fn next(&mut self) -> Timestamp {
        self.0 += SignedDuration::from_millis(1);
        self.0
    }
}

/// As a program has it: an engine of its own is what is installed.
fn with_engine<T>(make: impl FnOnce() -> T) -> T {
    let engine = Engine::builder().catalogue(obs_trading::catalogue());
    let engine = engine.slots(8).build().expect("the catalogue is sound");
    obs_core::install(engine).expect("the first of this process");
    make()
}

fn repeat(mut work: impl FnMut() + 'static) -> Work {
    Box::new(move || (0..TIMES).for_each(|_| work()))
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

/// What all figures of a desk show, kept once a second. 50 microseconds of it are some 150,000 instructions.
fn history() -> Work {
    let builder = Exporter::builder(obs_exporter::app_info!()).catalogue(obs_trading::catalogue());
    let (recorder, exporter) = builder.build().expect("the catalogue is sound");
    obs_core::install(recorder).expect("the first of this process");
    let strategies = ["crossover", "reversion", "manual"].map(Strategy::new);
    let ledgers = strategies.each_ref().map(|_| ledger());
    let desk = (strategies, ledgers, account(), Venue::new("alpaca"));
    let mut second = 1_700_000_000;
    Box::new(move || {
        for _ in 0..SECONDS {
            second += 1;
            let (strategies, _, _, venue) = &desk;
            let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
            let mut order = strategies[0].submit(venue, &ticket);
            order.fill(Fill::new(100.0, black_box(187.25)));
            order.close_filled();
            exporter.take_history(second);
        }
    })
}

fn round() -> Work {
    let (strategy, venue) = with_engine(|| (Strategy::new("crossover"), Venue::new("alpaca")));
    repeat(move || {
        let mut evaluation = strategy.evaluate();
        let idea = evaluation.signal(Signal::Buy, black_box(0.8));
        drop(evaluation);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
        let mut order = idea.decide(Decision::Enter).submit(&venue, &ticket);
        order.acknowledge();
        order.fill(Fill::new(100.0, black_box(187.25)));
        order.close_filled();
    })
}

fn round_with_costs() -> Work {
    let mids = Mids::new([1, 10, 60].map(Duration::from_secs), Duration::from_secs(5));
    let (strategy, venue) = with_engine(|| {
        let venue = Venue::new("alpaca").with_mids(&mids);
        (Strategy::new("crossover"), venue)
    });
    let (mut moments, mut number) = (Moments::new(), 0);
    repeat(move || {
        number += 1;
        let at = moments.next();
        mids.record("AAPL", at, 187.2);
        let mut evaluation = strategy.evaluate();
        let idea = evaluation.signal(Signal::Buy, black_box(0.8));
        drop(evaluation);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 100.0, 187.20);
        let ticket = ticket.in_currency(Currency::USD);
        let mut order = idea.decide(Decision::Enter).submit(&venue, &ticket);
        order.acknowledge();
        let fee = Fee::new(FeeKind::Commission, usd(0.35));
        let fill = Fill::new(100.0, black_box(187.25))
            .with_id(number)
            .with_fee(fee);
        order.fill(fill.with_liquidity(Liquidity::Taker).at(at));
        order.close_filled();
    })
}

fn look_up() -> Work {
    let mut ids: HashMap<u64, u64> = (0..ORDERS).map(|id| (id, id)).collect();
    let mut id = 0;
    repeat(move || {
        id = (id + 7) % ORDERS;
        *ids.get_mut(&black_box(id)).expect("it is there") += 1;
    })
}

fn fill_in_book() -> Work {
    let (strategy, venue) = with_engine(|| (Strategy::new("crossover"), Venue::new("alpaca")));
    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 1e12, 187.2);
    let mut book = OrderBook::new(&venue);
    for id in 0..ORDERS {
        book.insert(id, strategy.submit(&venue, &ticket));
    }
    each_fill(move |id, fill| assert!(book.fill(&id, fill).is_none()))
}

fn fill_at_desk() -> Work {
    let (strategy, venue) = with_engine(|| (Strategy::new("crossover"), Venue::new("alpaca")));
    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 1e12, 187.2);
    let desk = Desk::new(&venue);
    for id in 0..ORDERS {
        desk.submit(id, &strategy, &ticket);
    }
    each_fill(move |id, fill| assert!(desk.fill(&id, fill).is_none()))
}

/// Fills of known orders, which have some already: the lists of their executions have grown.
fn each_fill(mut take: impl FnMut(u64, Fill) + 'static) -> Work {
    let (mut id, mut execution) = (0, 0);
    let mut work = repeat(move || {
        id = (id + 7) % ORDERS;
        execution += 1;
        take(id, Fill::new(1.0, black_box(187.25)).with_id(execution));
    });
    (0..2).for_each(|_| work());
    work
}

fn conventions() -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::TRADING_DAYS,
        Calendar::nyse(),
    )
    .expect("252 trading days a year")
}

fn account() -> Account {
    Account::new("main", conventions(), usd(1e6)).expect("above zero")
}

fn ledger() -> StrategyLedger {
    StrategyLedger::new("main", "crossover", conventions(), usd(1e6)).expect("above zero")
}

fn closed_trade() -> Work {
    let (mut account, mut ledger) = with_engine(|| (account(), ledger()));
    let mut moments = Moments::new();
    repeat(move || {
        let trade = ClosedTrade::new(moments.next(), usd(black_box(12.5)));
        assert!(account.trade_closed(&trade).is_ok());
        assert!(ledger.trade_closed(&trade).is_ok());
    })
}

fn mark() -> Work {
    let mut account = with_engine(account);
    let mut moments = Moments::new();
    repeat(move || {
        let marked = account.mark_equity(moments.next(), usd(black_box(1_000_012.5)));
        assert!(marked.is_ok());
    })
}

fn closing_fill() -> Work {
    let (mut book, key) = with_engine(account_book);
    let mut moments = Moments::new();
    // A purchase that stays open, so that each sale after it closes a part of a position.
    let stock = Fill::new(1_000_000_000, 187.25).at(moments.next());
    assert!(book.fill(key, Side::Buy, &stock).is_ok());
    repeat(move || {
        let fill = Fill::new(1, black_box(187.31)).at(moments.next());
        let fed = book.fill(key, Side::Sell, &fill);
        assert!(fed.is_ok_and(|fed| fed.booked.closed.is_some() && fed.refused.is_empty()));
    })
}

fn account_book() -> (AccountBook, PositionKey) {
    let start = Moments::new().0;
    let positions = Positions::new("main", start, usd(1e6))
        .with_instrument("AAPL", Instrument::new(Currency::USD));
    let mut book = AccountBook::new(positions)
        .with_account(account())
        .with_strategy("crossover", ledger());
    let key = book.key("crossover", "AAPL").expect("it is declared");
    (book, key)
}
