//! Four lines of `trading.rs` as the edition before orders had costs, positions and corrections could do them, in its own words.
//!
//! Not compiled here: `before.sh` takes that edition out of the repository, puts this file into its examples, and counts both
//! editions in turns. Without an argument it prints the names of its lines.

use std::hint::black_box;
use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_recorder::Engine;
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Money, OrderBook,
    OrderType, PeriodsPerYear, Side, Signal, Strategy, StrategyLedger, Ticket, Valuation, Venue,
};

type Work = Box<dyn FnMut()>;

const TIMES: u32 = 1_024;
const ORDERS: u64 = 64;

const LINES: [(&str, fn() -> Work); 4] = [
    ("order, signal to fill, section 10 off", round),
    ("fill by identifier in a book", fill_in_book),
    ("closed trade, account and strategy ledger", closed_trade),
    ("mark of an account's equity", mark),
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        return LINES.iter().for_each(|(name, _)| println!("{name}"));
    };
    let line = LINES.iter().find(|(name, _)| *name == wanted);
    let (_, set_up) = line.expect("a line of that name");
    let mut work = set_up();
    work();
    if let Some(rounds) = std::env::args().nth(2).and_then(|rounds| rounds.parse().ok()) {
        println!("{}", nanoseconds(&mut work, rounds) / f64::from(TIMES));
        return;
    }
    let allocated = allocation_counter::measure(|| measured(&mut work));
    println!("{TIMES} {}", allocated.count_total);
}

#[inline(never)]
fn measured(work: &mut Work) {
    work();
    black_box(work);
}

fn nanoseconds(work: &mut Work, rounds: u32) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9
    });
    times.fold(f64::INFINITY, f64::min)
}

fn with_engine<T>(make: impl FnOnce() -> T) -> T {
    let engine = Engine::builder().catalogue(obs_trading::catalogue());
    let engine = engine.slots(8).build().expect("the catalogue is sound");
    metrics::with_local_recorder(&engine, make)
}

fn repeat(mut work: impl FnMut() + 'static) -> Work {
    Box::new(move || (0..TIMES).for_each(|_| work()))
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
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
        order.fill(100.0, black_box(187.25));
        order.close_filled();
    })
}

fn fill_in_book() -> Work {
    let (strategy, venue) = with_engine(|| (Strategy::new("crossover"), Venue::new("alpaca")));
    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 1e12, 187.2);
    let mut book = OrderBook::new(&venue);
    for id in 0..ORDERS {
        let decided = strategy.signal(Signal::Buy, 0.8).decide(Decision::Enter);
        book.insert(id, decided.submit(&venue, &ticket));
    }
    let (mut id, mut execution) = (0, 0_u64);
    let mut work = repeat(move || {
        id = (id + 7) % ORDERS;
        execution += 1;
        assert!(book.fill(&id, execution, 1.0, black_box(187.25)).is_none());
    });
    (0..2).for_each(|_| work());
    work
}

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

fn conventions() -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::TRADING_DAYS,
        Calendar::weekdays(TimeZone::get("America/New_York").expect("a known zone")),
    )
}

fn account() -> Account {
    Account::new("main", conventions(), usd(1e6)).expect("above zero")
}

fn closed_trade() -> Work {
    let (mut account, mut ledger) = with_engine(|| {
        let ledger = StrategyLedger::new("crossover", conventions(), usd(1e6));
        (account(), ledger.expect("above zero"))
    });
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
        let marked = account.mark(moments.next(), usd(black_box(1_000_012.5)));
        assert!(marked.is_ok());
    })
}
