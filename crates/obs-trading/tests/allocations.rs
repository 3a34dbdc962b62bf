//! A signal and its decision allocate nothing, nor does an order or a trade in a ledger.

use jiff::{SignedDuration, Timestamp};
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Fill, Money, OrderType,
    PeriodsPerYear, Side, Signal, Strategy, Ticket, Valuation, Venue,
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
