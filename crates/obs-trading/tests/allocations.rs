//! A signal and its decision allocate nothing, nor does an order or a trade in a ledger.

use jiff::{SignedDuration, Timestamp};
use obs_trading::{
    Account, AccountBook, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Fill,
    Instrument, Money, OrderType, PeriodsPerYear, Positions, Side, Signal, Strategy,
    StrategyLedger, Ticket, Valuation, Venue,
};

#[test]
fn the_hot_path_does_not_allocate() {
    let engine = obs_recorder::Engine::builder()
        .catalogue(obs_trading::catalogue())
        .build()
        .expect("a recorder");
    let (strategy, venue, mut account) = metrics::with_local_recorder(&engine, || {
        let usd = Money::new(1e6, Currency::USD);
        let calendar = Calendar::nyse();
        let (basis, valuation) = (Basis::PeriodReturns, Valuation::Marks);
        let conventions =
            Conventions::new(basis, valuation, PeriodsPerYear::TRADING_DAYS, calendar).unwrap();
        let account = Account::new("main", conventions, usd).expect("an account");
        (Strategy::new("crossover"), Venue::new("alpaca"), account)
    });
    let mut now = Timestamp::UNIX_EPOCH;
    let signal = || {
        let mut evaluation = strategy.evaluate();
        evaluation.signal(Signal::Buy, 0.8).decide(Decision::Skip);
    };
    let order = || {
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 1.0, 187.0);
        let mut order = strategy.submit(&venue, &ticket);
        order.fill(Fill::new(1.0, 187.1));
        order.close_filled();
    };
    let mut trade = || {
        now += SignedDuration::from_secs(1);
        account
            .trade_closed(&ClosedTrade::new(now, Money::new(1.0, Currency::USD)))
            .expect("a trade");
    };
    // The first of each makes what is kept from then on.
    signal();
    order();
    trade();
    assert_eq!(allocation_counter::measure(signal).count_total, 0);
    assert_eq!(allocation_counter::measure(order).count_total, 0);
    assert_eq!(allocation_counter::measure(trade).count_total, 0);
}

/// Ledgers keep the last 10,000 events: once there are as many, each further one takes the place of one that is forgotten.
#[test]
fn a_fill_that_closes_a_trade_does_not_allocate() {
    let engine = obs_recorder::Engine::builder()
        .catalogue(obs_trading::catalogue())
        .build()
        .expect("a recorder");
    let mut now = Timestamp::from_second(1_700_000_000).unwrap();
    let (mut book, key) = metrics::with_local_recorder(&engine, || {
        let usd = Money::new(1e6, Currency::USD);
        let calendar = Calendar::nyse();
        let (basis, valuation) = (Basis::PeriodReturns, Valuation::Marks);
        let conventions =
            Conventions::new(basis, valuation, PeriodsPerYear::TRADING_DAYS, calendar).unwrap();
        let positions = Positions::new("main", now, usd)
            .with_instrument("AAPL", Instrument::new(Currency::USD));
        let ledger = StrategyLedger::new("main", "crossover", conventions.clone(), usd).unwrap();
        let mut book = AccountBook::new(positions)
            .with_account(Account::new("main", conventions, usd).unwrap())
            .with_strategy("crossover", ledger);
        let key = book.key("crossover", "AAPL").unwrap();
        (book, key)
    });
    let mut fill = |side, quantity: u32| {
        now += SignedDuration::from_millis(1);
        let fill = Fill::new(quantity, 187.31).at(now);
        book.fill(key, side, &fill).unwrap().booked.closed.is_some()
    };
    assert!(!fill(Side::Buy, 1_000_000));
    assert!((0..12_000).all(|_| fill(Side::Sell, 1)));
    let closing = || assert!((0..2_000).all(|_| fill(Side::Sell, 1)));
    assert_eq!(allocation_counter::measure(closing).count_total, 0);
}
