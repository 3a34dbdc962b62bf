//! One call feeds positions, ledgers, limits and rules; and what is taken back is taken back from all of them.

use obs_core::TestRecorder;
use obs_trading::jiff::civil::{Date, date};
use obs_trading::jiff::{SignedDuration, Timestamp};
use obs_trading::{
    Account, AccountBook, Basis, Calendar, CashAccount, CashRule, Conventions, CorrectionWindow,
    Currency, DayTradeRule, DayTrades, Decimal, Error, ExecutionId, Fed, Fee, FeeKind, Fill,
    Instrument, IntradayMargin, IntradayMarginRule, Limits, Mids, Money, OrderBook, OrderOutcome,
    OrderType, Period, PeriodsPerYear, PositionKey, Positions, ReplayClock, Risk, SettlementDays,
    Side, Strategy, StrategyLedger, Ticket, TradeResult, TradesOf, Valuation, Venue, limit,
};
use proptest::prelude::{Strategy as Strategy_, *};

const USD: Currency = Currency::USD;
/// A Monday.
const MONDAY: Date = date(2026, 3, 2);

fn usd(amount: impl Into<Decimal>) -> Money {
    Money::new(amount, USD)
}

/// So many minutes after the open of a day.
fn at(day: Date, minutes: i64) -> Timestamp {
    let open = day.at(9, 30, 0, 0).in_tz("America/New_York").unwrap();
    open.timestamp() + SignedDuration::from_mins(minutes)
}

fn conventions() -> Conventions {
    let calendar = Calendar::nyse();
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::TRADING_DAYS,
        calendar,
    )
    .unwrap()
}

struct Desk {
    test: TestRecorder,
    book: AccountBook,
    key: PositionKey,
}

impl Desk {
    /// With ledgers, and nothing else.
    fn new() -> Self {
        Self::of(|_, book| book)
    }

    /// With what is given besides.
    fn of(with: impl FnOnce(&Risk, AccountBook) -> AccountBook) -> Self {
        let test = TestRecorder::new();
        let (book, key) = test.run(|| {
            let positions = Positions::new("main", at(MONDAY, 0), usd(10_000))
                .with_calendar(Calendar::nyse())
                .with_instrument("AAPL", Instrument::new(USD));
            let book = AccountBook::new(positions)
                .with_account(Account::new("main", conventions(), usd(10_000)).unwrap())
                .with_strategy(
                    "crossover",
                    StrategyLedger::new("main", "crossover", conventions(), usd(10_000)).unwrap(),
                );
            let mut book = with(&Risk::new(), book);
            let key = book.key("crossover", "AAPL").unwrap();
            (book, key)
        });
        Self { test, book, key }
    }

    fn fill(&mut self, side: Side, id: &str, units: i64, price: f64, at: Timestamp) -> Fed {
        let fill = Fill::new(units, price).with_id(id).at(at);
        self.book.fill(self.key, side, &fill).unwrap()
    }

    fn bust(&mut self, side: Side, id: &str) -> Fed {
        self.book.bust(self.key, side, id).unwrap()
    }

    fn mark(&mut self, at: Timestamp, price: f64) {
        let refused = self.book.mark(at, [("AAPL", Decimal::from(price))]);
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// How many trades the account's and the strategy's ledger count, and what they made.
    fn trades(&self) -> (u64, f64) {
        let account = self.book.account().unwrap().ledger();
        let strategy = self.book.strategy("crossover").unwrap().ledger();
        let of = |ledger: &obs_trading::Ledger| {
            (
                ledger.trades(Period::Total),
                ledger.realized_pnl(Period::Total),
            )
        };
        assert_eq!(of(account), of(strategy));
        of(account)
    }

    /// How much of a limit is used, as it is shown.
    fn used(&self, limit: &str) -> f64 {
        self.gauge("risk_limit_used", &[("account", "main"), ("limit", limit)])
    }

    fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.test.gauge(name, labels).unwrap()
    }
}

/// One fill, and everything that follows it has moved.
#[test]
fn one_call_feeds_book_ledgers_limits_and_rules() {
    let mut desk = Desk::of(|risk, book| {
        let settlement = SettlementDays::us_equities();
        let mut cash = CashAccount::new(risk, USD, CashRule::default(), settlement);
        cash.deposit(usd(10_000), MONDAY).unwrap();
        let limits = Limits::new(risk, "main")
            .max_position(0.5)
            .and_then(|limits| limits.exposure(0.8))
            .and_then(|limits| limits.daily_loss(0.02))
            .unwrap();
        let day_trades = DayTrades::new(risk, "main", DayTradeRule::default(), Calendar::nyse());
        let rule = IntradayMarginRule::default();
        let margin = IntradayMargin::new(risk, "main", USD, rule, Calendar::nyse());
        book.with_limits(limits)
            .with_cash_account(cash)
            .with_day_trades(day_trades)
            .with_intraday_margin(margin)
    });
    desk.mark(at(MONDAY, 0), 100.0);
    let fee = Fee::new(FeeKind::Commission, usd(1));
    let bought = Fill::new(40, 100)
        .with_id("x-1")
        .with_fee(fee)
        .at(at(MONDAY, 1));
    let fed = desk.book.fill(desk.key, Side::Buy, &bought).unwrap();
    assert!(fed.booked.is_new && fed.refused.is_empty());
    let book = &desk.book;
    // Positions and cash,
    assert_eq!(
        book.positions().quantity(desk.key).unwrap(),
        Decimal::from(40)
    );
    assert_eq!(book.positions().cash_in(USD), usd(5_999));
    // limits: 4,000 of 9,999,
    for name in [limit::MAX_POSITION, limit::EXPOSURE] {
        let used = desk.used(name);
        assert!((used - 4_000.0 / 9_999.0).abs() < 1e-12, "{name} {used}");
    }
    // settlement,
    let cash = book.cash_account().unwrap();
    assert_eq!(cash.settled(MONDAY), usd(5_999));
    assert_eq!(cash.held("AAPL").to_bits(), 40.0_f64.to_bits());
    // and margin: 10,000 of which a quarter of 4,000 and the fee are used.
    let margin = book.intraday_margin().unwrap();
    assert_eq!(margin.excess(), Some(usd(8_999)));

    let sold = Fill::new(40, 110)
        .with_id("x-2")
        .with_fee(fee)
        .at(at(MONDAY, 2));
    let fed = desk.book.fill(desk.key, Side::Sell, &sold).unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    assert_eq!(fed.booked.closed.unwrap().pnl, usd(398));
    assert_eq!(desk.trades(), (1, 398.0));
    // The sale settles tomorrow; it was a day trade, and nothing is exposed.
    let book = &desk.book;
    let cash = book.cash_account().unwrap();
    assert_eq!(
        (cash.settled(MONDAY), cash.unsettled(MONDAY)),
        (usd(5_999), usd(4_399))
    );
    assert_eq!(book.day_trades().unwrap().day_trades(MONDAY), 1);
    assert_eq!(desk.used(limit::EXPOSURE).to_bits(), 0.0_f64.to_bits());
    // The level that came with the purchase is given back, less the fee; what was made is stated with the next mark.
    assert_eq!(book.intraday_margin().unwrap().excess(), Some(usd(10_098)));
    desk.mark(at(MONDAY, 3), 110.0);
    assert_eq!(
        desk.book.intraday_margin().unwrap().excess(),
        Some(usd(10_398))
    );
    assert_eq!(
        desk.book.account().unwrap().ledger().equity().to_bits(),
        10_398.0_f64.to_bits()
    );
    let account = [("account", "main"), ("currency", "USD")];
    assert_eq!(
        desk.gauge("portfolio_value", &account).to_bits(),
        10_398.0_f64.to_bits()
    );

    // The same fills once more are known to the positions, and reach nothing.
    for (side, fill) in [(Side::Buy, bought), (Side::Sell, sold)] {
        let fed = desk.book.fill(desk.key, side, &fill).unwrap();
        assert!(!fed.booked.is_new && fed.refused.is_empty());
    }
    assert_eq!(desk.trades(), (1, 398.0));
    assert_eq!(desk.book.day_trades().unwrap().day_trades(MONDAY), 1);
    assert_eq!(
        desk.book.cash_account().unwrap().unsettled(MONDAY),
        usd(4_399)
    );
}

/// Rules never undo a fill: it happened. They say what they made of it.
#[test]
fn what_a_rule_refuses_is_booked_and_reported() {
    let mut desk = Desk::of(|risk, book| {
        let cash = CashAccount::new(
            risk,
            USD,
            CashRule::default(),
            SettlementDays::us_equities(),
        );
        let day_trades = DayTrades::new(risk, "main", DayTradeRule::default(), Calendar::nyse());
        book.with_cash_account(cash).with_day_trades(day_trades)
    });
    // On a Sunday; and what the cash account has never seen bought is sold.
    let sunday = MONDAY.yesterday().unwrap();
    let fed = desk.fill(Side::Buy, "x-1", 5, 100.0, at(sunday, 0));
    assert!(fed.booked.is_new);
    assert_eq!(fed.refused.len(), 2, "{:?}", fed.refused);
    let fed = desk.fill(Side::Sell, "x-2", 5, 101.0, at(MONDAY, 1));
    assert_eq!(fed.refused.len(), 1, "{:?}", fed.refused);
    assert_eq!(desk.trades(), (1, 5.0));
}

#[test]
fn a_fill_reaches_its_order_and_the_book_in_one_call() {
    let mut desk = Desk::new();
    let clock = ReplayClock::new();
    clock.advance_to(std::time::Duration::from_secs(1_800_000_000));
    let (strategy, venue) = desk.test.run(|| {
        let strategy = Strategy::with_clock("crossover", &clock);
        (strategy, Venue::with_clock("paper", &clock))
    });
    let mut orders = OrderBook::new(&venue);
    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 10.0, 100.0);
    orders.insert("o-1", strategy.submit(&venue, &ticket));
    let mut fill = |id: &str, units: i64| {
        let fill = Fill::new(units, 100).with_id(id).at(at(MONDAY, 1));
        desk.book
            .fill_order(&mut orders, &"o-1", desk.key, Side::Buy, &fill)
            .unwrap()
    };
    let (fed, report) = fill("x-1", 4);
    assert!(fed.booked.is_new && report.is_none());
    let (fed, report) = fill("x-1", 4);
    assert!(!fed.booked.is_new && report.is_none());
    let (fed, report) = fill("x-2", 6);
    assert_eq!(fed.booked.quantity, Decimal::from(10));
    assert_eq!(report.unwrap().outcome, OrderOutcome::Filled);
    // What positions refuse, the order has all the same.
    let wrong = Fill::new(1, -5).with_id("x-3").at(at(MONDAY, 2));
    let done = desk
        .book
        .fill_order(&mut orders, &"o-1", desk.key, Side::Buy, &wrong);
    assert!(matches!(done, Err(Error::InvalidPositionEvent { .. })));
    let labels = [("venue", "paper"), ("event", "invalid_fill")];
    let counted = desk
        .test
        .counter("trading_order_events_ignored_total", &labels);
    assert_eq!(counted, Some(1));
}

/// Bought at 100, sold at 150, marked for two days; then the venue takes the sale back.
#[test]
fn a_bust_takes_the_closed_trade_back_and_leaves_no_dip() {
    let mut desk = Desk::new();
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.mark(at(MONDAY, 2), 150.0);
    let sold = desk.fill(Side::Sell, "x-2", 10, 150.0, at(MONDAY, 3));
    let number = sold.booked.closed.unwrap().number;
    let mut day = MONDAY;
    for _ in 0..2 {
        desk.mark(at(day, 390), 150.0);
        day = day.tomorrow().unwrap();
    }
    assert_eq!(desk.trades(), (1, 500.0));
    let busted = desk.bust(Side::Sell, "x-2");
    assert!(busted.refused.is_empty(), "{:?}", busted.refused);
    let [change] = busted.booked.changed.as_slice() else {
        panic!("{:?}", busted.booked)
    };
    assert_eq!((change.number, change.now), (number, None));
    assert_eq!(change.was, Some(usd(500)));
    assert_eq!(change.difference_in_base, Some(usd(-500)));
    // No trade, no counter-trade, no win.
    assert_eq!(desk.trades(), (0, 0.0));
    let strategy = desk.book.strategy("crossover").unwrap().ledger();
    assert!(strategy.win_ratio().is_err());
    assert_eq!(strategy.equity().to_bits(), 10_500.0_f64.to_bits());
    assert_eq!(strategy.max_drawdown_ratio().to_bits(), 0.0_f64.to_bits());
    // The position is there again, and follows the market from here on.
    assert_eq!(
        desk.book.positions().quantity(desk.key).unwrap(),
        Decimal::from(10)
    );
    desk.mark(at(day, 1), 140.0);
    let strategy = desk.book.strategy("crossover").unwrap().ledger();
    assert_eq!(strategy.equity().to_bits(), 10_400.0_f64.to_bits());
    // Its replay does not count, and the bust repeated changes nothing.
    assert!(
        !desk
            .fill(Side::Sell, "x-2", 10, 150.0, at(MONDAY, 3))
            .booked
            .is_new
    );
    assert!(!desk.bust(Side::Sell, "x-2").booked.is_new);
    // It is sold again: one trade.
    desk.fill(Side::Sell, "x-3", 10, 140.0, at(day, 2));
    assert_eq!(desk.trades(), (1, 400.0));
    desk.mark(at(day, 3), 140.0);
    let account = desk.book.account().unwrap().ledger();
    assert_eq!(account.equity().to_bits(), 10_400.0_f64.to_bits());
}

/// One purchase at a wrong price, of which two trades were made before it was put right.
/// What settles, what may be sold, day trades and margin are what they would be without the busted fill.
#[test]
fn a_bust_takes_back_what_the_rules_made_of_the_fill() {
    let tuesday = date(2026, 3, 3);
    let ruled = |risk: &Risk, book: AccountBook| {
        let settlement = SettlementDays::us_equities();
        let mut cash = CashAccount::new(risk, USD, CashRule::default(), settlement);
        cash.deposit(usd(10_000), MONDAY).unwrap();
        let rule = DayTradeRule::default();
        let day_trades = DayTrades::new(risk, "main", rule, Calendar::nyse());
        let rule = IntradayMarginRule::default();
        let margin = IntradayMargin::new(risk, "main", USD, rule, Calendar::nyse());
        book.with_cash_account(cash)
            .with_day_trades(day_trades)
            .with_intraday_margin(margin)
    };
    let figures = |desk: &Desk, day: Date| {
        let cash = desk.book.cash_account().unwrap();
        let margin = desk.book.intraday_margin().unwrap();
        (
            [cash.settled(day), cash.unsettled(day), cash.owed()],
            cash.held("AAPL").to_bits(),
            desk.book.day_trades().unwrap().day_trades(day),
            margin.outstanding().to_vec(),
        )
    };
    let mut right = Desk::of(ruled);
    let mut ours = Desk::of(ruled);
    for desk in [&mut right, &mut ours] {
        desk.mark(at(MONDAY, 0), 100.0);
        desk.fill(Side::Buy, "x-1", 50, 100.0, at(MONDAY, 1));
    }
    // 40,000 more than the cash, and sold on the same day: a day trade, a free ride that freezes the account, and a margin deficit.
    let refused = ours
        .fill(Side::Buy, "x-2", 450, 100.0, at(MONDAY, 2))
        .refused;
    assert!(refused.is_empty(), "{refused:?}");
    ours.fill(Side::Sell, "x-3", 450, 100.0, at(MONDAY, 3));
    assert!(ours.book.cash_account().unwrap().is_frozen(tuesday));
    assert_eq!(ours.book.day_trades().unwrap().day_trades(MONDAY), 1);
    for desk in [&mut right, &mut ours] {
        desk.mark(at(tuesday, 0), 100.0);
    }
    assert_eq!(ours.book.intraday_margin().unwrap().outstanding().len(), 1);

    // On the next day the exchange takes both back.
    let busted = [ours.bust(Side::Sell, "x-3"), ours.bust(Side::Buy, "x-2")];
    for fed in &busted {
        assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    }
    assert!(!ours.book.cash_account().unwrap().is_frozen(tuesday));
    for day in [MONDAY, tuesday] {
        assert_eq!(figures(&ours, day), figures(&right, day), "{day}");
    }
    // Counted verdicts stay counted: a counter does not go back.
    let free_riding = [("rule", "free_riding"), ("action", "violated")];
    let counted = |desk: &Desk| {
        desk.test
            .counter("risk_compliance_events_total", &free_riding)
    };
    assert_eq!((counted(&ours), counted(&right)), (Some(1), Some(0)));

    // A correction is one in place: 50 were 30, at 99.
    let corrected = Fill::new(30, 99.0).with_id("x-1").at(at(tuesday, 5));
    let fed = ours.book.correct(ours.key, Side::Buy, &corrected).unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    let cash = ours.book.cash_account().unwrap();
    assert_eq!(
        (cash.settled(MONDAY), cash.held("AAPL").to_bits()),
        (usd(7_030), 30.0_f64.to_bits())
    );
}

/// A fill of yesterday that is reported today is yesterday's for every rule.
#[test]
fn a_fill_reported_on_the_next_day_belongs_to_its_own() {
    let tuesday = date(2026, 3, 3);
    let mut desk = Desk::of(|risk, book| {
        let settlement = SettlementDays::us_equities();
        let mut cash = CashAccount::new(risk, USD, CashRule::default(), settlement);
        cash.deposit(usd(10_000), MONDAY).unwrap();
        let rule = DayTradeRule::default();
        let day_trades = DayTrades::new(risk, "main", rule, Calendar::nyse());
        book.with_cash_account(cash).with_day_trades(day_trades)
    });
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.mark(at(tuesday, 0), 100.0);
    let fed = desk.fill(Side::Sell, "x-2", 10, 110.0, at(MONDAY, 5));
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    let cash = desk.book.cash_account().unwrap();
    assert_eq!(cash.settled(tuesday), usd(10_100));
    assert_eq!(desk.book.day_trades().unwrap().day_trades(MONDAY), 1);
}

/// The rate of the original: what the euro did since is fx, as it would be had the fill been right at once.
#[test]
fn a_correction_in_a_foreign_currency_counts_at_the_rate_of_the_original() {
    use obs_trading::PnlComponent::{Fees, Fx, Trading};

    let euro = |amount: i64| Money::new(amount, Currency::EUR);
    let booked = |sold: i64| {
        let mut positions = Positions::new("main", at(MONDAY, 0), usd(10_000))
            .with_calendar(Calendar::nyse())
            .with_instrument("SAP", Instrument::new(Currency::EUR));
        positions.rate(at(MONDAY, 0), Currency::EUR, 1.10);
        let key = positions.key("crossover", "SAP").unwrap();
        let fee = Fee::new(FeeKind::Commission, euro(2));
        let bought = Fill::new(10, 100).with_id("x-1").at(at(MONDAY, 1));
        let _ = positions.fill(key, Side::Buy, &bought).unwrap();
        let sold = Fill::new(10, sold).with_id("x-2").with_fee(fee);
        let _ = positions
            .fill(key, Side::Sell, &sold.at(at(MONDAY, 2)))
            .unwrap();
        positions.rate(at(MONDAY, 60), Currency::EUR, 1.20);
        (positions, key)
    };
    let (right, _) = booked(105);
    let (mut ours, key) = booked(110);
    let fee = Fee::new(FeeKind::Commission, euro(3));
    let corrected = Fill::new(10, 105).with_id("x-2").with_fee(fee);
    let booked_anew = ours
        .correct(key, Side::Sell, &corrected.at(at(MONDAY, 70)))
        .unwrap();
    // 50 less and a fee of 1 more, at 1.10.
    let difference = booked_anew.changed[0].difference_in_base;
    assert_eq!(difference, Some(usd(-51.0 * 1.1)));
    assert_eq!(ours.made(Trading), right.made(Trading));
    assert_eq!(ours.made(Trading), Some(usd(55.0)));
    // The fee was 3 from the beginning: at 1.10, and what the rate did to it is fx.
    assert_eq!(ours.made(Fees), Some(usd(-3.3)));
    let fx = right.made(Fx).unwrap().amount() - 0.1;
    assert_eq!(ours.made(Fx), Some(usd(fx)));
    assert_eq!(ours.value(), Some(usd(10_000.0 + 47.0 * 1.2)));
    // A bust takes the rest back at the same rate, also after a restart.
    let saved = serde_json::to_string(&ours.save()).unwrap();
    let mut ours = Positions::restore(serde_json::from_str(&saved).unwrap());
    for (side, id) in [(Side::Sell, "x-2"), (Side::Buy, "x-1")] {
        let key = ours.key("crossover", "SAP").unwrap();
        let _ = ours.bust(key, side, id).unwrap();
    }
    for component in [Trading, Fees, Fx] {
        assert_eq!(ours.made(component), Some(usd(0)), "{component:?}");
    }
}

#[test]
fn a_correction_of_a_purchase_corrects_the_trades_made_of_it() {
    for is_correct_by_revision in [false, true] {
        let mut desk = Desk::of(|risk, book| {
            let rule = DayTradeRule::default();
            book.with_day_trades(DayTrades::new(risk, "main", rule, Calendar::nyse()))
        });
        desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
        desk.fill(Side::Sell, "x-2", 5, 99.0, at(MONDAY, 2));
        desk.fill(Side::Sell, "x-3", 5, 98.0, at(MONDAY, 3));
        assert_eq!(desk.trades(), (2, -15.0));
        let right = Fill::new(10, 98.5).at(at(MONDAY, 1));
        let fed = if is_correct_by_revision {
            let id = ExecutionId::from("x-1").revised(1);
            desk.book.fill(desk.key, Side::Buy, &right.with_id(id))
        } else {
            desk.book
                .correct(desk.key, Side::Buy, &right.with_id("x-1"))
        };
        let fed = fed.unwrap();
        assert!(fed.booked.is_correction && fed.refused.is_empty());
        assert_eq!(fed.booked.changed.len(), 2);
        assert_eq!(desk.trades(), (2, 0.0));
        let ledger = desk.book.account().unwrap().ledger();
        assert_eq!(ledger.streak(TradeResult::Loss), 1);
        assert_eq!(ledger.win_ratio().unwrap().to_bits(), 0.5_f64.to_bits());
        // Rules keep what they were given first: it is one day trade.
        assert_eq!(desk.book.day_trades().unwrap().day_trades(MONDAY), 1);
    }
}

/// A purchase is taken back: what was sold against it opened a short position, and what was bought to cover it closes a trade that was
/// none before.
#[test]
fn a_bust_makes_and_unmakes_trades_as_the_fills_now_are() {
    let mut desk = Desk::new();
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.fill(Side::Sell, "x-2", 10, 110.0, at(MONDAY, 2));
    desk.fill(Side::Buy, "x-3", 10, 104.0, at(MONDAY, 3));
    assert_eq!(desk.trades(), (1, 100.0));
    let busted = desk.bust(Side::Buy, "x-1");
    assert!(busted.refused.is_empty(), "{:?}", busted.refused);
    assert_eq!(busted.booked.changed.len(), 2);
    // Sold at 110, covered at 104.
    assert_eq!(desk.trades(), (1, 60.0));
    // And once more the other way: the sale is busted, too, and nothing is closed.
    desk.bust(Side::Sell, "x-2");
    assert_eq!(desk.trades(), (0, 0.0));
    assert_eq!(
        desk.book.positions().quantity(desk.key).unwrap(),
        Decimal::from(10)
    );
}

#[test]
fn round_trips_are_taken_back_as_one_trade() {
    let test = TestRecorder::new();
    let mut book = test.run(|| {
        let positions = Positions::new("main", at(MONDAY, 0), usd(10_000))
            .with_trades(TradesOf::RoundTrips)
            .with_instrument("AAPL", Instrument::new(USD));
        let account = Account::new("main", conventions(), usd(10_000)).unwrap();
        AccountBook::new(positions).with_account(account)
    });
    let key = book.key("crossover", "AAPL").unwrap();
    for (side, id, units, price) in [
        (Side::Buy, "x-1", 10, 100),
        (Side::Sell, "x-2", 4, 105),
        (Side::Sell, "x-3", 6, 110),
    ] {
        let fill = Fill::new(units, price).with_id(id).at(at(MONDAY, 1));
        let _ = book.fill(key, side, &fill).unwrap();
    }
    let trades = |book: &AccountBook| {
        let ledger = book.account().unwrap().ledger();
        let made = ledger.realized_pnl(Period::Total);
        (ledger.trades(Period::Total), made)
    };
    assert_eq!(trades(&book), (1, 80.0));
    let fed = book.bust(key, Side::Sell, "x-2").unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    assert_eq!(trades(&book), (0, 0.0));
}

/// Everything is saved and read again, and the bust that comes then finds its trade.
#[test]
fn a_bust_after_a_restart_finds_its_trade() {
    let mut desk = Desk::new();
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.fill(Side::Sell, "x-2", 10, 150.0, at(MONDAY, 2));
    desk.mark(at(MONDAY, 3), 150.0);
    let saved = serde_json::to_string(&desk.book.save()).unwrap();
    let saved: obs_trading::SavedAccountBook = serde_json::from_str(&saved).unwrap();
    let test = TestRecorder::new();
    let mut strategies = saved.strategies;
    let book = test.run(|| {
        let ledger = strategies.remove("crossover").unwrap();
        AccountBook::new(Positions::restore(saved.positions).with_calendar(Calendar::nyse()))
            .with_account(Account::restore("main", conventions(), saved.account.unwrap()).unwrap())
            .with_strategy(
                "crossover",
                StrategyLedger::restore("main", "crossover", conventions(), ledger).unwrap(),
            )
    });
    let key = book.positions().find("crossover", "AAPL").unwrap();
    let mut later = Desk { test, book, key };
    assert_eq!(later.trades(), (1, 500.0));
    let busted = later.bust(Side::Sell, "x-2");
    assert!(busted.refused.is_empty(), "{:?}", busted.refused);
    assert_eq!(later.trades(), (0, 0.0));
    // Another trade after the restart has a number of its own.
    later.fill(Side::Sell, "x-3", 10, 120.0, at(MONDAY, 4));
    assert_eq!(later.trades(), (1, 200.0));
}

/// State files of before keep no numbers of trades: what a bust changes is then a trade of the difference.
#[test]
fn a_file_without_numbers_of_trades_is_read_and_corrected_by_the_difference() {
    fn forget_numbers(json: &mut serde_json::Value) {
        match json {
            serde_json::Value::Object(fields) => {
                if fields.contains_key("what") {
                    fields.remove("trade");
                }
                fields.values_mut().for_each(forget_numbers);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(forget_numbers),
            _ => {}
        }
    }
    let mut desk = Desk::new();
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.fill(Side::Sell, "x-2", 10, 150.0, at(MONDAY, 2));
    let mut positions = serde_json::to_value(desk.book.positions().save()).unwrap();
    let now = positions.clone();
    forget_numbers(&mut positions);
    assert_ne!(positions, now);
    let saved = serde_json::from_value(positions).unwrap();
    let ledger = desk.book.account().unwrap().save();
    let mut book = desk.test.run(|| {
        let account = Account::restore("main", conventions(), ledger).unwrap();
        AccountBook::new(Positions::restore(saved)).with_account(account)
    });
    let key = book.positions().find("crossover", "AAPL").unwrap();
    let fed = book.bust(key, Side::Sell, "x-2").unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    let ledger = book.account().unwrap().ledger();
    assert_eq!(ledger.trades(Period::Total), 2);
    assert!(ledger.realized_pnl(Period::Total).abs() < 1e-9);
}

/// What happens to the executions of one position, by their numbers.
#[derive(Clone, Copy, Debug)]
enum Event {
    Fill {
        units: i64,
        price: i64,
    },
    Correct {
        which: prop::sample::Index,
        units: i64,
        price: i64,
    },
    Bust {
        which: prop::sample::Index,
    },
    Mark {
        price: i64,
    },
}

fn event() -> impl Strategy_<Value = Event> {
    let units = prop_oneof![-9..0_i64, 1..10_i64];
    let which = any::<prop::sample::Index>;
    prop_oneof![
        5 => (units.clone(), 90..110_i64).prop_map(|(units, price)| Event::Fill { units, price }),
        2 => (which(), 1..10_i64, 90..110_i64)
            .prop_map(|(which, units, price)| Event::Correct { which, units, price }),
        1 => which().prop_map(|which| Event::Bust { which }),
        1 => (90..110_i64).prop_map(|price| Event::Mark { price }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is corrected and busted, the ledgers count the trades that they would count of the right fills alone.
    #[test]
    fn ledgers_end_as_if_the_right_fills_had_been_all(
        events in prop::collection::vec(event(), 1..60),
        are_round_trips in any::<bool>(),
    ) {
        let trades = if are_round_trips { TradesOf::RoundTrips } else { TradesOf::Closings };
        let book = || {
            let positions = Positions::new("main", at(MONDAY, 0), usd(10_000))
                .with_trades(trades)
                .with_instrument("AAPL", Instrument::new(USD));
            let ledger = StrategyLedger::new("main", "crossover", conventions(), usd(10_000)).unwrap();
            let account = Account::new("main", conventions(), usd(10_000)).unwrap();
            AccountBook::new(positions).with_account(account).with_strategy("crossover", ledger)
        };
        let mut ours = book();
        let key = ours.key("crossover", "AAPL").unwrap();
        // What counts of each execution: signed units and price, or nothing.
        let mut right: Vec<Option<(i64, i64)>> = Vec::new();
        let fill = |number: usize, units: i64, price: i64| {
            Fill::new(units.abs(), price)
                .with_id(number as u64)
                .with_fee(Fee::new(FeeKind::Commission, usd(Decimal::of_minor(7, 2))))
                .at(at(MONDAY, 1 + i64::try_from(number).unwrap()))
        };
        let side = |units: i64| if units < 0 { Side::Sell } else { Side::Buy };
        for event in events {
            let refused = match event {
                Event::Fill { units, price } => {
                    right.push(Some((units, price)));
                    let number = right.len() - 1;
                    ours.fill(key, side(units), &fill(number, units, price)).unwrap().refused
                }
                Event::Correct { which, units, price } if !right.is_empty() => {
                    let number = which.index(right.len());
                    let Some((was, _)) = right[number] else { continue };
                    let units = was.signum() * units;
                    right[number] = Some((units, price));
                    ours.correct(key, side(units), &fill(number, units, price)).unwrap().refused
                }
                Event::Bust { which } if !right.is_empty() => {
                    let number = which.index(right.len());
                    let Some((was, _)) = right[number].take() else { continue };
                    ours.bust(key, side(was), number as u64).unwrap().refused
                }
                Event::Mark { price } => ours.mark(at(MONDAY, 1 + i64::try_from(right.len()).unwrap()), [("AAPL", price.into())]),
                Event::Correct { .. } | Event::Bust { .. } => continue,
            };
            prop_assert!(refused.is_empty(), "{refused:?}");
        }
        let mut theirs = book();
        let their_key = theirs.key("crossover", "AAPL").unwrap();
        for (number, execution) in right.iter().enumerate() {
            if let Some((units, price)) = *execution {
                let fed = theirs.fill(their_key, side(units), &fill(number, units, price)).unwrap();
                prop_assert!(fed.refused.is_empty());
            }
        }
        let end = at(MONDAY, 100);
        for book in [&mut ours, &mut theirs] {
            let refused = book.mark(end, [("AAPL", Decimal::from(100))]);
            prop_assert!(refused.is_empty(), "{refused:?}");
        }
        prop_assert_eq!(ours.positions().value(), theirs.positions().value());
        let ledgers = |book: &AccountBook| {
            [book.account().unwrap().ledger().clone(), book.strategy("crossover").unwrap().ledger().clone()]
        };
        for (ours, theirs) in ledgers(&ours).into_iter().zip(ledgers(&theirs)) {
            prop_assert_eq!(ours.trades(Period::Total), theirs.trades(Period::Total));
            prop_assert_eq!(ours.streak(TradeResult::Win), theirs.streak(TradeResult::Win));
            prop_assert_eq!(ours.win_ratio().ok(), theirs.win_ratio().ok());
            let near = |one: f64, other: f64| (one - other).abs() < 1e-6;
            prop_assert!(near(ours.realized_pnl(Period::Total), theirs.realized_pnl(Period::Total)));
            prop_assert!(near(ours.equity(), theirs.equity()));
        }
    }
}

/// What a ledger keeps no longer, it cannot take back: the difference is a trade of today.
#[test]
fn beyond_the_correction_window_the_difference_is_a_trade_of_its_own() {
    let test = TestRecorder::new();
    let mut book = test.run(|| {
        let positions = Positions::new("main", at(MONDAY, 0), usd(10_000))
            .with_calendar(Calendar::nyse())
            .with_instrument("AAPL", Instrument::new(USD));
        let account = Account::new("main", conventions(), usd(10_000)).unwrap();
        AccountBook::new(positions)
            .with_account(account.with_corrections(CorrectionWindow::days(1)))
    });
    let key = book.key("crossover", "AAPL").unwrap();
    let mut fill = |side, id: &str, price: i64, at| {
        let fill = Fill::new(10, price).with_id(id).at(at);
        book.fill(key, side, &fill).unwrap()
    };
    let _ = fill(Side::Buy, "x-1", 100, at(MONDAY, 1));
    let _ = fill(Side::Sell, "x-2", 150, at(MONDAY, 2));
    let mut day = MONDAY;
    for _ in 0..4 {
        let refused = book.mark(at(day, 390), [("AAPL", Decimal::from(150))]);
        assert!(refused.is_empty(), "{refused:?}");
        day = day.tomorrow().unwrap();
    }
    let fed = book.bust(key, Side::Sell, "x-2").unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    let ledger = book.account().unwrap().ledger();
    assert_eq!(ledger.trades(Period::Total), 2);
    assert_eq!(
        ledger.realized_pnl(Period::Total).to_bits(),
        0.0_f64.to_bits()
    );
}

#[test]
fn money_paid_in_is_no_profit_anywhere() {
    let mut desk = Desk::of(|risk, book| {
        let limits = Limits::new(risk, "main").drawdown(0.2).unwrap();
        let rule = IntradayMarginRule::default();
        let margin = IntradayMargin::new(risk, "main", USD, rule, Calendar::nyse());
        book.with_limits(limits).with_intraday_margin(margin)
    });
    desk.mark(at(MONDAY, 0), 100.0);
    let transfer = |desk: &mut Desk, minutes, amount: i64| {
        let refused = desk.book.transfer_cash(at(MONDAY, minutes), usd(amount));
        let refused = refused.unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    };
    transfer(&mut desk, 1, 5_000);
    transfer(&mut desk, 2, -3_000);
    desk.mark(at(MONDAY, 3), 100.0);
    assert_eq!(desk.book.positions().cash_in(USD), usd(12_000));
    let ledger = desk.book.account().unwrap().ledger();
    assert_eq!(ledger.equity().to_bits(), 12_000.0_f64.to_bits());
    assert!(ledger.drawdown_ratio().abs() < 1e-12);
    assert_eq!(
        ledger.realized_pnl(Period::Total).to_bits(),
        0.0_f64.to_bits()
    );
    assert!(desk.used(limit::DRAWDOWN).abs() < 1e-12);
    assert_eq!(
        desk.book.intraday_margin().unwrap().excess(),
        Some(usd(12_000))
    );
    let no_amount = Money::new(f64::NAN, USD);
    assert!(desk.book.transfer_cash(at(MONDAY, 4), no_amount).is_err());
    assert_eq!(desk.book.positions().cash_in(USD), usd(12_000));
}

/// The limit on losses is marked with the book, and its verdict is asked for before a trade.
#[test]
fn marks_use_the_limits_on_losses_and_the_largest_position() {
    let mut desk = Desk::of(|risk, book| {
        let limits = Limits::new(risk, "main")
            .daily_loss(0.02)
            .and_then(|limits| limits.max_position(0.5))
            .unwrap();
        book.with_limits(limits)
    });
    desk.mark(at(MONDAY, 0), 100.0);
    desk.fill(Side::Buy, "x-1", 40, 100.0, at(MONDAY, 1));
    desk.mark(at(MONDAY, 2), 94.0);
    // 240 of 10,000 lost.
    let lost = desk.used(limit::DAILY_LOSS);
    assert!((lost - 0.024).abs() < 1e-12, "{lost}");
    assert!(desk.book.limits().unwrap().check_losses().is_err());
    let used = desk.used(limit::MAX_POSITION);
    assert!((used - 3_760.0 / 9_760.0).abs() < 1e-12, "{used}");
}

/// Two for one, in the night between an order's two executions: lots, cash account, day trades, open order and its markout.
#[test]
fn a_split_is_one_factor_of_everything_that_counts_shares() {
    let mut desk = Desk::of(|risk, book| {
        let settlement = SettlementDays::us_equities();
        let mut cash = CashAccount::new(risk, USD, CashRule::default(), settlement);
        cash.deposit(usd(10_000), MONDAY).unwrap();
        let day_trades = DayTrades::new(risk, "main", DayTradeRule::default(), Calendar::nyse());
        book.with_cash_account(cash).with_day_trades(day_trades)
    });
    let clock = ReplayClock::new();
    let since_epoch = |at: Timestamp| at.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs();
    clock.advance_to(since_epoch(at(MONDAY, 1)));
    let mids = Mids::new(
        [std::time::Duration::from_hours(24)],
        std::time::Duration::from_hours(7),
    );
    let (strategy, venue) = desk.test.run(|| {
        let strategy = Strategy::with_clock("crossover", &clock);
        (
            strategy,
            Venue::with_clock("paper", &clock).with_mids(&mids),
        )
    });
    let mut orders = OrderBook::new(&venue);
    mids.record("AAPL", at(MONDAY, 0), 100.0);
    let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Limit, 50.0, 100.0).in_currency(USD);
    orders.insert("o-1", strategy.submit(&venue, &ticket));
    let first = Fill::new(40, 100).with_id("x-1").at(at(MONDAY, 1));
    let _ = desk
        .book
        .fill_order(&mut orders, &"o-1", desk.key, Side::Buy, &first)
        .unwrap();

    let tuesday = MONDAY.tomorrow().unwrap();
    clock.advance_to(since_epoch(at(tuesday, 0)));
    desk.book
        .split_with_orders(&mut orders, at(tuesday, -60), "AAPL", 2, 1)
        .unwrap();
    mids.split("AAPL", 2, 1);
    let order = orders.get(&"o-1").unwrap();
    let units = [order.quantity(), order.filled(), order.remaining()];
    assert_eq!(
        units.map(f64::to_bits),
        [100.0, 80.0, 20.0].map(f64::to_bits)
    );
    let book = &desk.book;
    assert_eq!(
        book.positions().quantity(desk.key).unwrap(),
        Decimal::from(80)
    );
    assert_eq!(book.positions().cost(desk.key).unwrap(), usd(4_000));
    assert_eq!(
        book.cash_account().unwrap().held("AAPL").to_bits(),
        80.0_f64.to_bits()
    );

    // The rest at 51, that is 102 before: a third of a percent of slippage over all of it, and 1 % of markout, not −50.
    mids.record("AAPL", at(tuesday, 0), 50.5);
    let rest = Fill::new(20, 51).with_id("x-2").at(at(tuesday, 1));
    let (fed, report) = desk
        .book
        .fill_order(&mut orders, &"o-1", desk.key, Side::Buy, &rest)
        .unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    let report = report.unwrap();
    assert_eq!((report.filled, report.average_price), (100.0, Some(50.2)));
    assert!((report.slippage_bps.unwrap() - 40.0).abs() < 1e-9);
    mids.advance_to(at(tuesday, 2));
    let labels = [
        ("strategy", "crossover"),
        ("liquidity", "unknown"),
        ("horizon", "1d"),
    ];
    let markouts = desk.test.samples("trading_markout_bps", &labels);
    let [bps] = markouts.unwrap_or_default()[..] else {
        panic!("one markout")
    };
    assert!((bps - 100.0).abs() < 1e-9, "{bps}");

    // All of it is sold: the position is flat everywhere, and it made 100 shares · 52 − 5,020.
    let sold = Fill::new(100, 52).with_id("x-3").at(at(tuesday, 3));
    let fed = desk.book.fill(desk.key, Side::Sell, &sold).unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    assert!(fed.booked.quantity.is_zero());
    assert_eq!(desk.trades(), (1, 180.0));
    assert!(desk.book.cash_account().unwrap().held("AAPL").abs() < 1e-12);
    // An execution of before is corrected in the new units: 80 at 49.
    let corrected = Fill::new(80, 49).with_id("x-1").at(at(MONDAY, 1));
    orders.correct(&"o-1", corrected);
    let order = orders.get(&"o-1").unwrap();
    let average = order.report(OrderOutcome::Filled).average_price;
    assert_eq!(average, Some(49.4));
}

#[test]
fn a_new_name_goes_to_lots_rules_and_open_orders() {
    let mut desk = Desk::of(|risk, book| {
        let settlement = SettlementDays::us_equities();
        let mut cash = CashAccount::new(risk, USD, CashRule::default(), settlement);
        cash.deposit(usd(10_000), MONDAY).unwrap();
        let day_trades = DayTrades::new(risk, "main", DayTradeRule::default(), Calendar::nyse());
        book.with_cash_account(cash).with_day_trades(day_trades)
    });
    let (strategy, venue) = desk
        .test
        .run(|| (Strategy::new("crossover"), Venue::new("paper")));
    let mut orders = OrderBook::new(&venue);
    for (id, symbol) in [("o-1", "AAPL"), ("o-2", "MSFT")] {
        let ticket = Ticket::new(symbol, Side::Sell, OrderType::Limit, 10.0, 100.0);
        orders.insert(id, strategy.submit(&venue, &ticket));
    }
    desk.fill(Side::Buy, "x-1", 10, 100.0, at(MONDAY, 1));
    desk.book
        .rename_with_orders(&mut orders, "AAPL", "APPL.O")
        .unwrap();
    assert_eq!(orders.get(&"o-1").unwrap().symbol(), "APPL.O");
    assert_eq!(orders.get(&"o-2").unwrap().symbol(), "MSFT");
    let key = desk.book.key("crossover", "APPL.O").unwrap();
    let sold = Fill::new(10, 101).with_id("x-2").at(at(MONDAY, 2));
    let (fed, report) = desk
        .book
        .fill_order(&mut orders, &"o-1", key, Side::Sell, &sold)
        .unwrap();
    assert!(fed.refused.is_empty(), "{:?}", fed.refused);
    assert!(fed.booked.quantity.is_zero() && report.is_some());
    assert_eq!(desk.book.day_trades().unwrap().day_trades(MONDAY), 1);
    let labels = [
        ("strategy", "crossover"),
        ("symbol", "APPL.O"),
        ("side", "sell"),
    ];
    assert_eq!(desk.test.counter("trading_trades_total", &labels), Some(1));
    // Nothing that is unknown is renamed.
    assert!(desk.book.rename("NONE", "SOME").is_err());
    for factor in [0, -1] {
        assert!(desk.book.split(at(MONDAY, 3), "APPL.O", factor, 1).is_err());
    }
}
