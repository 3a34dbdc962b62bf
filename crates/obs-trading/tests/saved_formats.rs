//! State files of earlier editions are read, and those of this one are refused by the first, which leaves them as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{civil::date, tz::TimeZone};
use obs_core::TestRecorder;
use obs_trading::{
    Account, Basis, Calendar, CashAccount, CashRule, ClosedTrade, Conventions, Currency,
    DayTradeRule, DayTrades, Error, ExecutionId, Fill, IntradayMargin, IntradayMarginRule, Ledger,
    LedgerState, Limits, Money, OrderBook, OrderType, PeriodsPerYear, ReplayClock, Risk, SavedBook,
    SavedCashAccount, SavedDayTrades, SavedLimits, SavedOrder, SettlementDays, Side, StateFile,
    Strategy, StrategyLedger, Ticket, TradeResult, Undefined, Valuation, Venue, limit,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

fn fixture(edition: &str, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(edition)
        .join(format!("{kind}.state"))
}

fn load_of<T: Serialize + DeserializeOwned>(edition: &str, kind: &'static str) -> T {
    let file = StateFile::new(fixture(edition, kind), kind, 1);
    file.load().expect("it is read").expect("it is there")
}

fn load<T: Serialize + DeserializeOwned>(kind: &'static str) -> T {
    load_of("first-edition", kind)
}

fn saved<T: Serialize + DeserializeOwned>(state: &T) -> T {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

fn conventions() -> Conventions {
    let calendar = Calendar::weekdays(TimeZone::UTC);
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&calendar),
        calendar,
    )
    .unwrap()
    .annualized_by(PeriodsPerYear::TRADING_DAYS)
}

#[test]
fn orders_of_the_first_edition_go_on() {
    let orders: BTreeMap<String, SavedOrder> = load("orders");
    let test = TestRecorder::new();
    let clock = ReplayClock::new();
    clock.advance_to(Duration::from_secs(1_700_000_031));
    let (strategy, venue) = test.run(|| {
        (
            Strategy::with_clock("crossover", &clock),
            Venue::new("paper"),
        )
    });
    let mut order = orders["o-1"].resume(&strategy, &venue);
    assert!(!order.fill(Fill::new(3.0, 101.0).with_id("x2")));
    assert!(order.fill(Fill::new(3.0, 101.0).with_id("x3")));
    let report = order.close_filled();
    assert_eq!(report.average_price, Some(100.6));
    assert_eq!(report.stages.unwrap().total().as_secs(), 31);
    assert_eq!(
        test.counter_sum("trading_trades_total", &[]),
        0,
        "it was one before"
    );
    let other = orders["o-2"].resume(&strategy, &venue);
    assert_eq!(other.remaining().to_bits(), (0.1_f64 + 0.2).to_bits());
    assert_eq!(test.counter_sum("trading_orders_resumed_total", &[]), 2);
}

#[test]
fn ledgers_of_the_first_edition_go_on() {
    let account = Account::restore("main", conventions(), load::<LedgerState>("account")).unwrap();
    assert_eq!(account.ledger().equity().to_bits(), 100_012.0_f64.to_bits());
    let strategy: LedgerState = load("strategy");
    let strategy = StrategyLedger::restore("main", "crossover", conventions(), strategy).unwrap();
    assert_eq!(strategy.ledger().trades(obs_trading::Period::Total), 300);
}

/// What a file of before says of returns and trades is known at once; growth, of which it says nothing, is that of the returns since,
/// and so is the drawdown that Calmar divides it by.
#[test]
fn ledgers_of_the_first_edition_show_what_is_known() {
    let state: LedgerState = load("account");
    let mut ledger = Ledger::restore(conventions(), state).unwrap();
    let near = |ours: Result<f64, Undefined>, theirs: f64| {
        let ours = ours.unwrap();
        assert!((ours / theirs - 1.0).abs() < 1e-9, "{ours} is not {theirs}");
    };
    // Nine returns with these squared deviations; 190 wins and 107 losses.
    near(
        ledger.volatility_ratio(),
        (8.431_275_581_773_014e-7_f64 / 8.0 * 252.0).sqrt(),
    );
    near(ledger.expectancy(), 1_389.333_333_333_333_3 / 300.0);
    near(ledger.average_win(), 2_052.333_333_333_333_5 / 190.0);
    near(ledger.average_loss(), -663.0 / 107.0);
    near(ledger.best_trade(), 21.333_333_333_333_336);
    near(ledger.worst_trade(), -12.0);
    let streaks = [TradeResult::Win, TradeResult::Loss]
        .map(|result| (ledger.streak(result), ledger.longest_streak(result)));
    assert_eq!(streaks, [(1, 2), (0, 1)]);
    assert!(ledger.sharpe_ratio().is_ok() && ledger.sortino_ratio().is_ok());
    assert_eq!(ledger.growth_ratio(), Err(Undefined::TooFewReturns));
    assert_eq!(ledger.calmar_ratio(), Err(Undefined::TooFewReturns));

    for (at, equity) in [
        ("2023-11-27T20:00:00Z", 100_000.0),
        ("2023-11-28T20:00:00Z", 99_000.0),
        ("2023-11-29T20:00:00Z", 101_000.0),
    ] {
        let money = Money::new(equity, Currency::USD);
        ledger.mark_equity(at.parse().unwrap(), money).unwrap();
    }
    ledger.advance_to("2023-11-30T00:00:00Z".parse().unwrap());
    let growth = (101_000.0_f64 / 99_995.333_333_333_33).powf(252.0 / 3.0) - 1.0;
    near(ledger.growth_ratio(), growth);
    near(ledger.calmar_ratio(), growth / 0.01);
    near(
        Ok(ledger.max_drawdown_ratio()),
        99_000.0 / 100_042.666_666_666_67 - 1.0,
    );
    // An account shows the same.
    let test = TestRecorder::new();
    let account = test.run(|| Account::restore("main", conventions(), ledger.save()).unwrap());
    let labels = [("account", "main"), ("currency", "USD")];
    let shown = test.gauge("portfolio_calmar_ratio", &labels).unwrap();
    near(account.ledger().calmar_ratio(), shown);
}

#[test]
fn the_risk_managers_state_of_the_first_edition_goes_on() {
    let risk = Risk::new();
    let limits = Limits::restore(&risk, "main", load::<SavedLimits>("limits"))
        .daily_loss(0.05)
        .unwrap()
        .drawdown(0.2)
        .unwrap()
        .max_position(0.1)
        .unwrap();
    assert_eq!(limits.headroom(limit::DRAWDOWN), Some(0.95));
    let days = || Calendar::weekdays(TimeZone::UTC);
    let kept = load::<SavedDayTrades>("day_trades");
    let trades = DayTrades::restore(&risk, "main", DayTradeRule::default(), days(), kept);
    assert_eq!(trades.day_trades(date(2023, 11, 15)), 1);
    let cash = CashAccount::restore(
        &risk,
        Currency::USD,
        CashRule::default(),
        SettlementDays::same(days()),
        load::<SavedCashAccount>("cash"),
    )
    .unwrap();
    assert_eq!(cash.held("AAPL").to_bits(), 6.0_f64.to_bits());
}

#[test]
fn a_book_of_the_second_edition_goes_on_with_every_execution() {
    let book: SavedBook<String> = load_of("second-edition", "book");
    let test = TestRecorder::new();
    let clock = ReplayClock::new();
    clock.advance_to(Duration::from_secs(1_700_000_000));
    let (strategy, venue) = test.run(|| {
        (
            Strategy::with_clock("crossover", &clock),
            Venue::with_clock("paper", &clock),
        )
    });
    let mut book = OrderBook::restore(&venue, saved(&book), |_| strategy.clone());
    // And once more, in the format of this edition.
    let kept = saved(&book.save());
    drop(std::mem::replace(&mut book, OrderBook::new(&venue)));
    let mut book = OrderBook::restore(&venue, kept, |_| strategy.clone());
    let id = |id: &str| id.to_owned();
    let filled = |book: &OrderBook<String>, id: &str| book.get(&id.to_owned()).unwrap().filled();

    // The broker replays all of it: nothing counts twice.
    let first = ExecutionId::from("x1");
    for revision in [1, 2] {
        book.fill(
            &id("v-1"),
            Fill::new(4.0, 100.0).with_id(first.revised(revision)),
        );
    }
    book.fill(&id("o-1"), Fill::new(1.0, 100.0).with_id("x9")); // it was busted before it came
    book.fill(&id("o-2"), Fill::new(2.0, 100.5).with_id("y1"));
    book.fill_to(&id("l-1"), 1.0, 99.0);
    assert_eq!(
        ["o-1", "o-2", "l-1"].map(|id| filled(&book, id).to_bits()),
        [4.0_f64, 2.0, 1.0].map(f64::to_bits)
    );
    let events =
        |event| test.counter_sum("trading_order_events_ignored_total", &[("event", event)]);
    assert_eq!((events("duplicate_fill"), events("replayed_fill")), (3, 1));

    // And goes on.
    let report = book
        .fill(&id("o-1"), Fill::new(6.0, 101.0).with_id("x2"))
        .unwrap();
    assert_eq!(report.average_price, Some(101.0));
    assert_eq!(report.fees, Some(Money::new(0.4, Currency::USD)));
    book.insert(
        id("u-1"),
        strategy.submit(
            &venue,
            &Ticket::new("SPX", Side::Buy, OrderType::Limit, 3.0, 100.0),
        ),
    );
    assert_eq!(filled(&book, "u-1").to_bits(), 1.0_f64.to_bits());
    book.close(&id("p-1"), obs_trading::OrderOutcome::Expired);
    assert_eq!(book.len(), 1, "both legs ended, u-1 did not");
}

/// It kept the events of the correction window, a corrected mark without what it had said, and no events of cash accounts.
#[test]
fn a_ledger_of_the_third_edition_goes_on_with_its_events() {
    let usd = |amount| Money::new(amount, Currency::USD);
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::TRADING_DAYS,
        Calendar::nyse(),
    );
    let state: LedgerState = load_of("third-edition", "account");
    let mut ledger = Ledger::restore(conventions.unwrap(), state).unwrap();
    assert_eq!(ledger.equity().to_bits(), 100_200.0_f64.to_bits());
    assert_eq!(ledger.trades(obs_trading::Period::Total), 299);
    let start: jiff::Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
    let at = |number: i64| start + jiff::SignedDuration::from_hours(number);
    // What the mark said before it was corrected, whatever that was, changes nothing; the voided one is refused; a bust is known.
    ledger.mark_equity(at(299), usd(100_100.0)).unwrap();
    assert_eq!(ledger.equity().to_bits(), 100_200.0_f64.to_bits());
    let voided = ledger.mark_equity(at(298), usd(100_090.0)).unwrap_err();
    assert!(matches!(voided, Error::VoidedMark { .. }), "{voided}");
    let bust = ClosedTrade::new(at(298), usd(2.0)).with_id("t-298");
    let again = ledger.trade_closed(&bust).unwrap_err();
    assert!(matches!(again, Error::DuplicateTrade { .. }), "{again}");
    // And events of the window can be taken back still.
    ledger.void_trade("t-297").unwrap();
    assert_eq!(ledger.trades(obs_trading::Period::Total), 298);
}

#[test]
fn the_risk_managers_state_of_the_third_edition_goes_on() {
    let (risk, usd) = (Risk::new(), |amount| Money::new(amount, Currency::USD));
    let days = || Calendar::weekdays(TimeZone::UTC);
    let [monday, tuesday] = [2, 3].map(|day| date(2026, 3, day));
    let limits = Limits::restore(&risk, "main", load_of("third-edition", "limits"))
        .drawdown(0.2)
        .unwrap();
    let left = limits.headroom(limit::DRAWDOWN).unwrap();
    assert!((left - (1.0 - 0.0396 / 0.2)).abs() < 1e-12, "{left}");
    let kept: SavedDayTrades = load_of("third-edition", "day_trades");
    let mut trades = DayTrades::restore(&risk, "main", DayTradeRule::default(), days(), kept);
    assert!(trades.fill("XYZ", Side::Sell, 10.0, monday).unwrap());
    assert_eq!(trades.day_trades(tuesday), 2);
    let mut cash = CashAccount::restore(
        &risk,
        Currency::USD,
        CashRule::default(),
        SettlementDays::same(days()),
        load_of("third-edition", "cash"),
    )
    .unwrap();
    assert_eq!((cash.owed(), cash.held("XYZ")), (usd(200.125), 3.0));
    // From here on events are kept: what is of Monday is refused, and what is of Tuesday comes in time.
    let late = cash.deposit(usd(1.0), monday).unwrap_err();
    assert!(matches!(late, Error::OutOfOrder { .. }), "{late}");
    cash.deposit(usd(10.0), date(2026, 3, 4)).unwrap();
    cash.deposit(usd(200.125), tuesday).unwrap();
    assert_eq!(
        (cash.owed(), cash.settled(date(2026, 3, 4))),
        (usd(0.0), usd(10.0))
    );
    let mut margin = IntradayMargin::restore(
        &risk,
        "margin",
        Currency::USD,
        IntradayMarginRule::default(),
        Calendar::nyse(),
        load_of("third-edition", "margin"),
    )
    .unwrap();
    assert_eq!(margin.excess(), Some(usd(29_000.0)));
    assert_eq!(margin.outstanding().len(), 1);
    margin
        .advance_to("2026-03-10T15:00:00Z".parse().unwrap())
        .unwrap();
    assert!(margin.is_frozen(date(2026, 3, 10)));
}

/// It was kept in whole cents, without its currency.
#[test]
fn a_cash_account_in_cents_goes_on_in_money() {
    let usd = |cents| Money::of_minor(cents, 2, Currency::USD);
    let restored = |currency, kept| {
        let days = SettlementDays::same(Calendar::weekdays(TimeZone::UTC));
        CashAccount::restore(&Risk::new(), currency, CashRule::default(), days, kept)
    };
    let kept: SavedCashAccount = load_of("second-edition", "cash");
    let mut cash = restored(Currency::USD, kept).unwrap();
    assert_eq!((cash.owed(), cash.held("MSFT")), (usd(87_735), 20.0));
    let tuesday = date(2023, 11, 14);
    cash.deposit(usd(87_736), tuesday).unwrap();
    assert_eq!((cash.owed(), cash.settled(tuesday)), (usd(0), usd(1)));

    let kept = saved(&cash.save());
    let error = restored(Currency::EUR, kept.clone()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("0.01 USD"), "{text}");
    let cash = restored(Currency::USD, kept).unwrap();
    assert_eq!(cash.settled(tuesday), usd(1));
}

/// What it wrote are cents, and it reads no decimals as such.
#[test]
fn earlier_editions_refuse_a_cash_account_of_this_one() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, and that is all")]
    struct InCents {
        settled: i64,
    }
    let account = CashAccount::new(
        &Risk::new(),
        Currency::USD,
        CashRule::default(),
        SettlementDays::us_equities(),
    );
    let json = serde_json::to_string(&account.save()).unwrap();
    assert!(serde_json::from_str::<InCents>(&json).is_err(), "{json}");
    let own = fs::read_to_string(fixture("second-edition", "cash")).unwrap();
    let own = own.split_once('\n').unwrap().1;
    assert!(serde_json::from_str::<InCents>(own).is_ok());
}

/// What was counted before an update is known after it, and after the next.
#[test]
fn a_trade_that_the_second_edition_counted_is_known_again() {
    let usd = |amount| Money::new(amount, Currency::USD);
    let mut state: LedgerState = load_of("second-edition", "account");
    for _ in 0..2 {
        let mut account = Account::restore("main", conventions(), saved(&state)).unwrap();
        let at = account.ledger().now().unwrap();
        for n in 0..300 {
            let id = format!("x-{n}");
            let again = ClosedTrade::new(at, usd(6.0)).with_id(&id);
            let refused = account.trade_closed(&again);
            assert!(matches!(refused, Err(Error::DuplicateTrade { .. })), "{id}");
        }
        let new = ClosedTrade::new(at, usd(6.0)).with_id("x-300");
        if account.trade_closed(&new).is_ok() {
            state = account.save();
        }
    }
    let account = Account::restore("main", conventions(), state).unwrap();
    assert_eq!(account.ledger().trades(obs_trading::Period::Total), 301);
}

/// What a ledger of the second edition remembers: it cannot do without `hashes`, which are made otherwise now.
#[test]
fn the_second_edition_refuses_what_this_one_remembers() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, and that is all")]
    struct SecondEdition {
        remembered: Remembered,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, and that is all")]
    struct Remembered {
        blocks: Vec<Block>,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, and that is all")]
    struct Block {
        hashes: Vec<u64>,
    }
    let read = |state: &LedgerState| {
        let json = serde_json::to_string(state).unwrap();
        serde_json::from_str::<SecondEdition>(&json)
    };
    let text = fs::read_to_string(fixture("second-edition", "account")).unwrap();
    let own = text.split_once('\n').unwrap().1;
    assert!(serde_json::from_str::<SecondEdition>(own).is_ok());
    let state: LedgerState = load_of("second-edition", "account");
    let account = Account::restore("main", conventions(), state).unwrap();
    let error = read(&account.save()).unwrap_err().to_string();
    assert!(error.contains("missing field `hashes`"), "{error}");
}

/// An order as the first edition declared it.
#[derive(Debug, Serialize, Deserialize)]
struct FirstEdition {
    symbol: Box<str>,
    side: String,
    order_type: String,
    quantity: f64,
    benchmark: f64,
    filled: f64,
    notional: f64,
    stamps: serde_json::Value,
}

#[test]
fn the_first_edition_refuses_an_order_of_this_one_and_keeps_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.state");
    let (strategy, venue) = (Strategy::new("crossover"), Venue::new("paper"));
    let order = strategy.submit(
        &venue,
        &Ticket::new("SPX", Side::Buy, OrderType::Market, 1.0, 1.0),
    );
    let orders = BTreeMap::from([("o-1".to_owned(), order.save())]);
    StateFile::new(&path, "orders", 1).save(&orders).unwrap();
    let written = fs::read(&path).unwrap();
    let before = StateFile::<BTreeMap<String, FirstEdition>>::new(&path, "orders", 1);
    let error = before.load().unwrap_err();
    assert!(matches!(error, Error::DamagedState { .. }), "{error}");
    assert!(
        error.to_string().contains("missing field `filled`"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), written);
    // It is not blind: it reads its own.
    let own = StateFile::<BTreeMap<String, FirstEdition>>::new(
        fixture("first-edition", "orders"),
        "orders",
        1,
    );
    assert_eq!(own.load().unwrap().map(|orders| orders.len()), Some(2));
}

/// The first edition's ledger cannot do without `recent`.
#[test]
fn the_first_edition_refuses_a_ledger_of_this_one() {
    let usd = Money::new(1_000.0, Currency::USD);
    let state = Account::new("main", conventions(), usd).unwrap().save();
    let json = serde_json::to_value(&state).unwrap();
    assert!(
        json.get("recent").is_none() && json.get("remembered").is_some(),
        "{json}"
    );
}

/// What was counted before an update is known after it.
#[test]
fn a_trade_that_the_first_edition_counted_is_known_again() {
    let mut account = Account::restore("main", conventions(), load("account")).unwrap();
    let at = account.ledger().now().unwrap();
    let again = ClosedTrade::new(at, Money::new(6.0, Currency::USD)).with_id("x-299");
    assert!(matches!(
        account.trade_closed(&again),
        Err(Error::DuplicateTrade { .. })
    ));
}

#[test]
fn an_order_of_a_later_edition_is_refused_by_its_name() {
    let (strategy, venue) = (Strategy::new("crossover"), Venue::new("paper"));
    let order = strategy.submit(
        &venue,
        &Ticket::new("SPX", Side::Buy, OrderType::Market, 1.0, 1.0),
    );
    let json = serde_json::to_string(&order.save()).unwrap();
    let later = json.replace("\"edition\":3", "\"edition\":4");
    let error = serde_json::from_str::<SavedOrder>(&later)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("edition 4 was written by a later version"),
        "{error}"
    );
}

#[test]
fn money_is_what_it_was() {
    let money: Money = serde_json::from_str(r#"{"amount":12.5,"currency":"USD"}"#).unwrap();
    assert_eq!(money, Money::new(12.5, Currency::USD));
}
