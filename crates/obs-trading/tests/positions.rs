//! Positions, bridge, currencies, reconciliation and gauges, each by what comes out.

use std::collections::BTreeMap;
use std::path::Path;

use obs_core::{Closed, TestRecorder};
use obs_trading::jiff::{SignedDuration, Timestamp};
use obs_trading::{
    BreakKind, Calendar, Currency, Decimal, Error, ExecutionId, ExposureKind, Fee, FeeKind, Fill,
    Flow, Instrument, LotMethod, Money, OpenOrder, Period, PnlComponent, Positions, Prices,
    ReconciledPart, SavedPositions, Side, Statement, Tolerances, TradesOf,
};

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn usd(text: &str) -> Money {
    Money::new(decimal(text), USD)
}

fn positions() -> Positions {
    Positions::new("main", at(0), usd("10000"))
        .with_instrument("AAPL", Instrument::new(USD))
        .with_instrument("SAP", Instrument::new(EUR))
        .with_instrument("ES", Instrument::future(USD, 50).with_prices(Prices::Any))
}

fn fee(amount: &str, currency: Currency) -> Fee {
    Fee::new(FeeKind::Commission, Money::new(decimal(amount), currency))
}

fn made(positions: &Positions, component: PnlComponent) -> Decimal {
    positions.made(component).expect("known").decimal()
}

/// No float comes near money: one place writes gauges.
#[test]
fn positions_compute_without_floats() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/positions");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_gauges = path.ends_with("gauges.rs");
        assert_eq!(text.contains("f64"), is_gauges, "{}", path.display());
        files += 1;
    }
    assert!(files >= 9);
}

#[test]
fn a_trade_is_a_closing_fill_or_a_round_trip() {
    for (of, expected) in [
        (TradesOf::Closings, vec!["3.7", "5.7"]),
        (TradesOf::RoundTrips, vec!["9.4"]),
    ] {
        let mut book = positions().with_trades(of);
        let key = book.key("crossover", "AAPL").unwrap();
        let mut closed = Vec::new();
        for (side, quantity, price) in [
            (Side::Buy, 4, "100"),
            (Side::Sell, 2, "102"),
            (Side::Sell, 2, "103"),
        ] {
            let fill = Fill::new(quantity, decimal(price)).with_fee(fee("0.2", USD));
            let booked = book.fill(key, side, &fill.at(at(1))).unwrap();
            closed.extend(booked.closed.map(|trade| (trade.number, trade.pnl)));
        }
        // 4 · 0.05 was paid for opening each unit, and 0.2 for closing two.
        let expected: Vec<_> = expected
            .into_iter()
            .zip(1..)
            .map(|(pnl, number)| (number, usd(pnl)))
            .collect();
        assert_eq!(closed, expected, "{of:?}");
    }
}

#[test]
fn a_fill_may_close_a_position_and_open_the_other() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let buy = Fill::new(10, 100).at(at(1));
    assert!(book.fill(key, Side::Buy, &buy).unwrap().closed.is_none());
    let flip = Fill::new(15, decimal("101.5"))
        .with_fee(fee("1.5", USD))
        .at(at(2));
    let booked = book.fill(key, Side::Sell, &flip).unwrap();
    assert_eq!(booked.quantity, Decimal::from(-5));
    let closed = booked.closed.unwrap();
    assert_eq!(
        (closed.quantity, closed.pnl),
        (Decimal::from(10), usd("14"))
    );
    assert_eq!(book.cost(key).unwrap(), usd("-507.5"));
    book.mark(at(3), "AAPL", 100);
    assert_eq!(book.open_pnl(key).unwrap(), usd("7.5"));
    assert_eq!(book.value(), Some(usd("10021")));
    assert_eq!(book.exposure(ExposureKind::Net), Some(usd("-500")));
}

#[test]
fn multipliers_and_prices_below_zero() {
    let mut book = positions();
    let oil = book.key("carry", "ES").unwrap();
    let fill = |quantity: i64, price: &str| Fill::new(quantity, decimal(price)).at(at(1));
    let _ = book.fill(oil, Side::Buy, &fill(2, "-37.63")).unwrap();
    // A future is not paid for.
    assert_eq!(book.cash_in(USD), usd("10000"));
    book.mark(at(2), "ES", decimal("-30"));
    assert_eq!(book.open_pnl(oil).unwrap(), usd("763"));
    assert_eq!(book.value(), Some(usd("10763")));
    let booked = book.fill(oil, Side::Sell, &fill(2, "-40")).unwrap();
    assert_eq!(booked.closed.unwrap().pnl, usd("-237"));
    assert_eq!(book.cash_in(USD), usd("9763"));
    assert_eq!(book.marked_value(), book.value());
}

/// As after a reconnect, or a restart before the state was saved.
#[test]
fn a_repeated_fill_counts_once_also_after_a_restart() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let fill = Fill::new(10, 100).with_id("x-1").at(at(1));
    assert!(book.fill(key, Side::Buy, &fill).unwrap().is_new);
    assert!(!book.fill(key, Side::Buy, &fill).unwrap().is_new);
    let json = serde_json::to_string(&book.save()).unwrap();
    let saved: SavedPositions = serde_json::from_str(&json).unwrap();
    let mut book = Positions::restore(saved);
    let key = book.find("crossover", "AAPL").unwrap();
    assert!(!book.fill(key, Side::Buy, &fill).unwrap().is_new);
    assert_eq!(book.quantity(key).unwrap(), Decimal::from(10));
    // Venues use an identifier again for the other side.
    assert!(book.fill(key, Side::Sell, &fill).unwrap().is_new);
}

#[test]
fn a_corrected_and_a_busted_fill_leave_what_would_be_without() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let fill = |quantity: i64, price: &str, id: &str| {
        Fill::new(quantity, decimal(price))
            .with_id(id)
            .with_fee(fee("1", USD))
            .at(at(1))
    };
    let _ = book.fill(key, Side::Buy, &fill(10, "100", "x-1")).unwrap();
    let _ = book.fill(key, Side::Buy, &fill(10, "110", "x-2")).unwrap();
    let sold = book.fill(key, Side::Sell, &fill(10, "120", "x-3")).unwrap();
    assert_eq!(sold.closed.unwrap().pnl, usd("148"));
    // The second purchase did not happen: what was sold had cost 1,000.
    let busted = book.bust(key, Side::Buy, "x-2").unwrap();
    assert_eq!(busted.closed.unwrap().pnl, usd("50"));
    assert!(book.quantity(key).unwrap().is_zero());
    assert_eq!(book.value(), Some(usd("10198")));
    assert_eq!(book.marked_value(), book.value());
    // Its fill comes again, and does not count.
    assert!(
        !book
            .fill(key, Side::Buy, &fill(10, "110", "x-2"))
            .unwrap()
            .is_new
    );
    // A higher revision corrects.
    let id = ExecutionId::from("x-1").revised(1);
    let revised = fill(10, "99", "x-1").with_id(id);
    let corrected = book.fill(key, Side::Buy, &revised).unwrap();
    assert_eq!(corrected.closed.unwrap().pnl, usd("10"));
    assert_eq!(book.value(), Some(usd("10208")));
    // One that was never booked is not booked later.
    let unknown = book.bust(key, Side::Sell, "x-9").unwrap();
    assert!(!unknown.is_new);
    assert!(
        !book
            .fill(key, Side::Sell, &fill(1, "1", "x-9"))
            .unwrap()
            .is_new
    );
}

#[test]
fn what_is_no_event_is_refused_and_changes_nothing() {
    let mut book = positions();
    assert!(matches!(
        book.key("crossover", "MSFT"),
        Err(Error::UnknownInstrument { .. })
    ));
    let key = book.key("crossover", "AAPL").unwrap();
    for (quantity, price) in [
        ("0", "1"),
        ("-1", "1"),
        ("1", "0"),
        ("1", "-1"),
        ("NaN", "1"),
    ] {
        let fill = Fill::new(decimal(quantity), decimal(price)).at(at(1));
        let refused = book.fill(key, Side::Buy, &fill);
        assert!(matches!(refused, Err(Error::InvalidPositionEvent { .. })));
    }
    let most = Fill::new(Decimal::LARGEST, Decimal::LARGEST).at(at(1));
    assert!(book.fill(key, Side::Buy, &most).is_err());
    let half = Fill::new(Decimal::LARGEST, decimal("0.9")).at(at(1));
    let _ = book.fill(key, Side::Buy, &half).unwrap();
    assert!(book.fill(key, Side::Buy, &half).is_err());
    assert_eq!(book.quantity(key).unwrap(), Decimal::LARGEST);
    let none = Flow::new(PnlComponent::Interest, Money::new(f64::NAN, USD));
    assert!(book.flow(at(1), &none).is_err());
    for component in [PnlComponent::Trading, PnlComponent::Residual] {
        let flow = Flow::new(component, usd("1"));
        assert!(matches!(book.flow(at(1), &flow), Err(Error::NoFlow { .. })));
    }
}

#[test]
fn a_split_and_a_new_name_keep_cost_and_profit() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let _ = book
        .fill(key, Side::Buy, &Fill::new(10, 400).at(at(1)))
        .unwrap();
    book.mark(at(2), "AAPL", 500);
    book.split(at(3), "AAPL", 4, 1).unwrap();
    assert_eq!(book.quantity(key).unwrap(), Decimal::from(40));
    assert_eq!(book.open_pnl(key).unwrap(), usd("1000"));
    book.rename("AAPL", "APPL.N").unwrap();
    assert_eq!(book.find("crossover", "AAPL"), None);
    assert_eq!(book.find("crossover", "APPL.N"), Some(key));
    book.mark(at(4), "APPL.N", 126);
    assert_eq!(book.open_pnl(key).unwrap(), usd("1040"));
    assert!(book.split(at(5), "APPL.N", 0, 1).is_err());
}

#[test]
fn strategies_transfer_units_and_the_account_stays_what_it_is() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let _ = book
        .fill(key, Side::Buy, &Fill::new(10, 100).at(at(1)))
        .unwrap();
    book.mark(at(2), "AAPL", 110);
    let moved = book.transfer(at(3), key, "carry", 4, Some(decimal("110")));
    let [sold, bought] = moved.unwrap();
    assert_eq!(sold.closed.unwrap().pnl, usd("40"));
    assert_eq!(bought.quantity, Decimal::from(4));
    let _ = book.transfer(at(3), key, "basis", 6, None).unwrap();
    assert_eq!(book.open_pnl_of("basis"), Some(usd("60")));
    assert_eq!(
        book.made_by("crossover", PnlComponent::Trading),
        Some(usd("40"))
    );
    assert_eq!(book.made(PnlComponent::Trading), Some(usd("100")));
    assert_eq!(book.value(), Some(usd("10100")));
    assert_eq!(book.marked_value(), book.value());
    assert!(book.transfer(at(4), key, "carry", 1, None).is_err());
}

/// One event of each kind is lost on the way to the book, and the broker has it: its amount is in the residual, and in no other part.
#[test]
fn an_event_that_is_missed_is_the_residual_and_nothing_else() {
    let run = |missed: Option<usize>| {
        let mut book = positions();
        let key = book.key("crossover", "AAPL").unwrap();
        let flow = |component, amount: &str| Flow::new(component, usd(amount));
        let fills = [
            (Side::Buy, Fill::new(10, 100).with_fee(fee("1", USD))),
            (Side::Sell, Fill::new(4, 105)),
        ];
        let flows = [
            flow(PnlComponent::Funding, "-3.25"),
            flow(PnlComponent::Borrow, "-0.75"),
            flow(PnlComponent::Dividends, "2.4"),
            flow(PnlComponent::Interest, "0.31"),
            flow(PnlComponent::Fees, "-7"),
        ];
        for (place, (side, fill)) in fills.iter().enumerate() {
            if missed != Some(place) {
                let _ = book.fill(key, *side, &fill.at(at(1))).unwrap();
            }
        }
        for (place, flow) in flows.iter().enumerate() {
            if missed != Some(place + 2) {
                assert!(book.flow(at(2), flow).unwrap());
            }
        }
        book.mark(at(3), "AAPL", 110);
        book
    };
    let complete = run(None);
    let value = complete.value().unwrap();
    assert_eq!(value, usd("10070.71"));
    // What the missed event did to the value: at the mark of 110.
    let amounts = ["99", "-20", "-3.25", "-0.75", "2.4", "0.31", "-7"];
    for (missed, amount) in amounts.iter().enumerate() {
        let mut book = run(Some(missed));
        book.state_value(at(4), value).unwrap();
        assert_eq!(made(&book, PnlComponent::Residual), decimal(amount));
        for component in PnlComponent::ALL.iter().copied().skip(1) {
            if component == PnlComponent::Residual {
                continue;
            }
            let (ours, whole) = (made(&book, component), made(&complete, component));
            let is_its_own = missed >= 2 && {
                let own = [
                    PnlComponent::Funding,
                    PnlComponent::Borrow,
                    PnlComponent::Dividends,
                    PnlComponent::Interest,
                    PnlComponent::Fees,
                ];
                own[missed - 2] == component
            };
            let is_fee_of_fill = missed == 0 && component == PnlComponent::Fees;
            assert_eq!(
                ours != whole,
                is_its_own || is_fee_of_fill,
                "{component} {missed}"
            );
        }
    }
    let mut complete = complete;
    complete.state_value(at(4), value).unwrap();
    assert!(made(&complete, PnlComponent::Residual).is_zero());
}

/// Monday ends at 17:00 in New York, where the Tuesday of foreign exchange begins.
#[test]
fn a_day_begins_where_its_session_does() {
    let mut book = positions().with_calendar(Calendar::fx());
    let mut day_at = |at: &str| {
        book.advance_to(at.parse().unwrap());
        book.today().unwrap().to_string()
    };
    assert_eq!(day_at("2026-03-02T15:00:00Z"), "2026-03-02");
    assert_eq!(day_at("2026-03-02T21:59:59Z"), "2026-03-02");
    assert_eq!(day_at("2026-03-02T22:00:00Z"), "2026-03-03");
    assert_eq!(day_at("2026-03-03T15:00:00Z"), "2026-03-03");
}

#[test]
fn days_and_months_begin_anew() {
    let mut book = positions();
    let interest = |amount: &str| Flow::new(PnlComponent::Interest, usd(amount));
    assert!(book.flow(at(0), &interest("5")).unwrap());
    book.state_value(at(0), usd("10007")).unwrap();
    let tomorrow = at(86_400);
    book.advance_to(tomorrow);
    assert!(book.flow(tomorrow, &interest("2")).unwrap());
    book.state_value(tomorrow, usd("10010")).unwrap();
    let of = |component, period| book.made_in(component, USD, period).unwrap();
    assert_eq!(of(PnlComponent::Interest, Period::Day), usd("2"));
    assert_eq!(of(PnlComponent::Interest, Period::Month), usd("7"));
    assert_eq!(of(PnlComponent::Residual, Period::Day), usd("1"));
    assert_eq!(of(PnlComponent::Residual, Period::Total), usd("3"));
}

#[test]
fn a_loop_through_three_currencies_leaves_nothing() {
    let mut book = positions();
    let jpy = Currency::JPY;
    book.rate(at(0), EUR, decimal("1.25"));
    book.rate_of(at(0), jpy, 160, 1);
    let money = |amount: &str, currency| Money::new(decimal(amount), currency);
    book.convert(at(1), usd("1000"), money("800", EUR)).unwrap();
    book.convert(at(2), money("800", EUR), money("160000", jpy))
        .unwrap();
    book.convert(at(3), money("160000", jpy), usd("1000"))
        .unwrap();
    assert!(made(&book, PnlComponent::Fx).is_zero());
    assert_eq!(book.value(), Some(usd("10000")));
    for currency in [EUR, jpy] {
        assert!(book.cash_in(currency).decimal().is_zero());
    }
    // At worse rates than are known, the loop costs what it costs.
    book.convert(at(4), usd("1000"), money("799", EUR)).unwrap();
    assert_eq!(made(&book, PnlComponent::Fx), decimal("-1.25"));
}

#[test]
fn a_rate_that_is_missing_or_old_is_undefined_and_counted() {
    let mut book = positions();
    let key = book.key("crossover", "SAP").unwrap();
    let fill = Fill::new(10, 100).with_fee(fee("2", EUR)).at(at(1));
    let _ = book.fill(key, Side::Buy, &fill).unwrap();
    assert_eq!(book.value(), None);
    assert_eq!(book.made(PnlComponent::Fees), None);
    assert!(book.unconverted() > 0);
    book.rate(at(2), EUR, decimal("1.1"));
    assert_eq!(book.made(PnlComponent::Fees), Some(usd("-2.2")));
    assert_eq!(book.value(), Some(usd("9997.8")));
    book.advance_to(at(2 + 86_401));
    assert_eq!(book.value(), None, "the rate is a day old");
    let closed = book
        .fill(key, Side::Sell, &Fill::new(1, 110).at(at(86_500)))
        .unwrap()
        .closed
        .unwrap();
    assert_eq!(closed.pnl_in_base, None);
    assert_eq!(closed.pnl.currency(), EUR);
}

fn statement(book: &Positions, second: i64) -> Statement {
    let symbols = book.iter().map(|key| {
        let (_, symbol) = book.name(key).unwrap();
        (symbol, book.quantity(key).unwrap())
    });
    Statement::new(at(second))
        .with_positions(symbols)
        .with_cash(book.cash_in(USD))
        .with_cash(book.cash_in(EUR))
}

/// Eight injected differences, each reported with its kind, in one run.
#[test]
fn every_kind_of_difference_is_told() {
    const SYMBOLS: [&str; 5] = ["MISS", "TWICE", "SPLIT", "SIDE", "EVEN"];
    let test = TestRecorder::new();
    let mut book = test.run(|| Positions::new("main", at(0), usd("1000000")));
    for (symbol, price) in SYMBOLS.into_iter().zip([100, 50, 30, 20, 10]) {
        book.declare(symbol, Instrument::new(USD));
        let key = book.key("crossover", symbol).unwrap();
        let fill = Fill::new(7, price).at(at(1));
        let _ = book.fill(key, Side::Buy, &fill).unwrap();
        if symbol == "TWICE" {
            let _ = book.fill(key, Side::Buy, &fill).unwrap();
        }
        book.mark(at(2), symbol, price);
    }
    book.rate(at(2), EUR, decimal("1.1"));
    book.transfer_cash(at(2), Money::new(1_000, EUR)).unwrap();
    // The broker: 8 of MISS at 101 more, 7 less of TWICE, 14 for 7 of SPLIT, SIDE sold instead of bought, 12 euros fewer, the euro at
    // 1.25, an order that nobody sent.
    let positions = [
        ("MISS", Decimal::from(15)),
        ("TWICE", Decimal::from(7)),
        ("SPLIT", Decimal::from(14)),
        ("SIDE", Decimal::from(-7)),
        ("EVEN", Decimal::from(7)),
    ];
    let cash = book.cash_in(USD).decimal() - decimal("808") + decimal("350") + decimal("280");
    let broker = Statement::new(at(60))
        .with_positions(positions)
        .with_cash(Money::new(cash, USD))
        .with_cash(Money::new(988, EUR))
        .with_rate(EUR, decimal("1.25"))
        .with_orders(["o-1", "o-9"]);
    let open = OpenOrder {
        id: "o-1".into(),
        symbol: "EVEN".into(),
        remaining: Decimal::ONE,
        since: at(50),
    };
    let report = book.reconcile(at(61), &broker, &[open], &Tolerances::default());
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for found in &report.breaks {
        told.insert(found.subject.to_string(), format!("{:?}", found.kind));
    }
    let stale = book.reconcile(
        at(61) + SignedDuration::from_hours(25),
        &broker,
        &[],
        &Tolerances::default(),
    );
    told.extend(
        stale
            .breaks
            .iter()
            .map(|found| ("statement".to_owned(), format!("{:?}", found.kind))),
    );
    let expected = [
        ("MISS", "MissingFill"),
        ("TWICE", "DoubleFill"),
        ("SPLIT", "UnbookedSplit"),
        ("SIDE", "WrongSide"),
        ("EUR", "Fx"),
        ("o-9", "OrphanOrder"),
        ("statement", "StaleStatement"),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(subject, kind)| (subject.to_owned(), kind.to_owned()))
        .collect();
    assert_eq!(told, expected);
    let cash: Vec<_> = report.of(BreakKind::Cash).collect();
    assert_eq!(cash.len(), 1);
    assert_eq!(cash[0].money, usd("-13.2"));
    assert_eq!(report.breaks.len(), 7);

    let count = |what: ReconciledPart| {
        let labels = [("account", "main"), ("what", what.as_str())];
        test.gauge("portfolio_reconciliation_open_breaks", &labels)
    };
    // Those of the stale statement, which was the last.
    assert_eq!(count(ReconciledPart::Value), Some(1.0));
    assert_eq!(count(ReconciledPart::Position), Some(0.0));
    let euro = [("account", "main"), ("currency", "USD"), ("what", "cash")];
    let difference = test.gauge("portfolio_reconciliation_difference", &euro);
    assert_eq!(difference, Some(13.2));
}

#[test]
fn nothing_is_invented_while_fills_are_in_flight() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let fill = |quantity: i64, second| Fill::new(quantity, 100).at(at(second));
    let _ = book.fill(key, Side::Buy, &fill(10, 1)).unwrap();
    book.mark(at(2), "AAPL", 100);
    let before = statement(&book, 10);
    // Ours came later than the statement: set aside.
    let _ = book.fill(key, Side::Buy, &fill(5, 11)).unwrap();
    let report = book.reconcile(at(12), &before, &[], &Tolerances::default());
    assert!(report.is_clean() && report.in_flight.is_empty());
    // Theirs was executed, and is not reported yet: an open order explains it.
    let theirs = Statement::new(at(20))
        .with_positions([("AAPL", Decimal::from(18))])
        .with_cash(usd("8200"));
    let order = OpenOrder {
        id: "o-1".into(),
        symbol: "AAPL".into(),
        remaining: Decimal::from(5),
        since: at(15),
    };
    let orders = [order];
    let report = book.reconcile(at(21), &theirs, &orders, &Tolerances::default());
    assert!(report.is_clean(), "{:?}", report.breaks);
    assert_eq!(report.in_flight.len(), 1);
    // It never came: a minute later it is missing.
    let report = book.reconcile(at(90), &theirs, &orders, &Tolerances::default());
    assert_eq!(report.of(BreakKind::MissingFill).count(), 1);
    assert_eq!(report.breaks.len(), 1, "{:?}", report.breaks);
}

/// Two open orders in a symbol and one in another are executed at once, at prices away from the marks, and nothing of it is reported yet.
#[test]
fn several_orders_in_flight_explain_units_cash_and_orders_together() {
    let mut book = positions().with_instrument("MSFT", Instrument::new(USD));
    for (symbol, price) in [("AAPL", 100), ("MSFT", 300)] {
        let key = book.key("crossover", symbol).unwrap();
        let fill = Fill::new(10, price).at(at(1));
        let _ = book.fill(key, Side::Buy, &fill).unwrap();
        book.mark(at(2), symbol, price);
    }
    let order = |id: &str, symbol: &str, remaining: i64| OpenOrder {
        id: id.into(),
        symbol: symbol.into(),
        remaining: Decimal::from(remaining),
        since: at(3),
    };
    let orders = [
        order("o-1", "AAPL", 5),
        order("o-2", "AAPL", 4),
        order("o-3", "MSFT", -6),
        // Executed and reported between the statement and now.
        order("o-4", "AAPL", 0),
    ];
    // 9 at 102 and 6 at 297; of what was open, one order is left.
    let theirs = |cash: &str, second| {
        Statement::new(at(second))
            .with_positions([("AAPL", Decimal::from(19)), ("MSFT", Decimal::from(4))])
            .with_cash(usd(cash))
            .with_orders(["o-4"])
    };
    let at_once = Tolerances::default();
    let report = book.reconcile(at(100), &theirs("6864", 100), &orders, &at_once);
    assert!(report.is_clean(), "{:?}", report.breaks);
    assert_eq!(report.in_flight.len(), 2);
    // Cash that no price explains is a break all the same.
    let report = book.reconcile(at(101), &theirs("6364", 101), &orders, &at_once);
    let found: Vec<_> = report.breaks.iter().map(|found| found.kind).collect();
    assert_eq!(found, [BreakKind::Cash]);
    // More than the orders can have done is one, too.
    let most = [orders[0].clone(), orders[2].clone()];
    let report = book.reconcile(at(102), &theirs("6864", 102), &most, &at_once);
    assert_eq!(report.of(BreakKind::MissingFill).count(), 1);
}

/// A statement of this morning lists the orders of this morning: they are compared whatever its age.
#[test]
fn orders_of_an_older_statement_are_no_orphans() {
    let mut book = positions();
    let order = |id: &str, since| OpenOrder {
        id: id.into(),
        symbol: "AAPL".into(),
        remaining: Decimal::from(5),
        since: at(since),
    };
    let orders = [order("o-1", 0), order("o-2", 599), order("o-3", 700)];
    let theirs = Statement::new(at(600)).with_orders(["o-1"]);
    let report = book.reconcile(at(7_200), &theirs, &orders, &Tolerances::default());
    assert!(report.is_clean(), "{:?}", report.breaks);
    // One that should be there and is not; and one that only the broker has.
    let theirs = Statement::new(at(900)).with_orders(["o-2", "o-3", "o-9"]);
    let report = book.reconcile(at(901), &theirs, &orders, &Tolerances::default());
    let found: Vec<_> = report
        .breaks
        .iter()
        .map(|found| (&*found.subject, found.kind))
        .collect();
    let expected = [
        ("o-9", BreakKind::OrphanOrder),
        ("o-1", BreakKind::MissingOrder),
    ];
    assert_eq!(found, expected);
}

/// Of a future nothing is paid: twice as many contracts at the broker are a fill that is missing, and no split.
#[test]
fn a_missing_fill_of_a_future_is_no_split() {
    let mut book = positions();
    let key = book.key("crossover", "ES").unwrap();
    let fill = Fill::new(3, 5_000).at(at(1));
    let _ = book.fill(key, Side::Buy, &fill).unwrap();
    book.mark(at(2), "ES", 5_000);
    let theirs = Statement::new(at(100))
        .with_positions([("ES", Decimal::from(6))])
        .with_cash(usd("10000"));
    let report = book.reconcile(at(100), &theirs, &[], &Tolerances::default());
    let found: Vec<_> = report.breaks.iter().map(|found| found.kind).collect();
    assert_eq!(found, [BreakKind::MissingFill]);
}

#[test]
fn adopting_is_an_entry_that_can_be_reversed() {
    let mut book = positions();
    let key = book.key("crossover", "AAPL").unwrap();
    let _ = book
        .fill(key, Side::Buy, &Fill::new(10, 100).at(at(1)))
        .unwrap();
    book.mark(at(2), "AAPL", 105);
    let value = book.value();
    let theirs = Statement::new(at(3))
        .with_positions([("AAPL", Decimal::from(13))])
        .with_cash(usd("8685"));
    let report = book.reconcile(at(3), &theirs, &[], &Tolerances::default());
    assert_eq!(report.of(BreakKind::MissingFill).count(), 1);
    let entry = book.adopt(at(4), &report).unwrap();
    let again = book.reconcile(at(4), &theirs, &[], &Tolerances::default());
    assert!(
        !again.is_clean(),
        "what was adopted came after the statement"
    );
    let later = Statement::new(at(5))
        .with_positions([("AAPL", Decimal::from(13))])
        .with_cash(usd("8685"));
    assert!(
        book.reconcile(at(5), &later, &[], &Tolerances::default())
            .is_clean()
    );
    assert_eq!(book.value(), value, "three for 315 at a mark of 105");
    assert_eq!(book.marked_value(), book.value());
    book.reverse(at(6), entry).unwrap();
    assert_eq!(book.cash_in(USD), usd("9000"));
    assert_eq!(book.value(), value);
    assert!(matches!(
        book.reverse(at(7), entry),
        Err(Error::UnknownEntry { .. })
    ));
}

/// As in `nautilus_trader#4535`: an account in hedge mode reports its long and its short leg apart, in any order.
#[test]
fn the_legs_of_a_hedged_account_are_added_up() {
    for order in [[0, 1], [1, 0]] {
        let mut book = positions();
        for (strategy, side, quantity) in [("crossover", Side::Buy, 10), ("carry", Side::Sell, 4)] {
            let key = book.key(strategy, "ES").unwrap();
            let fill = Fill::new(quantity, 5_000).at(at(1));
            let _ = book.fill(key, side, &fill).unwrap();
        }
        let legs = [("ES", Decimal::from(10)), ("ES", Decimal::from(-4))];
        let theirs = Statement::new(at(2)).with_positions(order.map(|place| legs[place]));
        let report = book.reconcile(at(3), &theirs, &[], &Tolerances::default());
        assert!(report.is_clean(), "{:?}", report.breaks);
    }
}

/// The largest have names, and sums over symbols are exact.
#[test]
fn five_thousand_option_symbols_add_up() {
    let test = TestRecorder::new();
    let mut book = test.run(|| Positions::new("main", at(0), usd("100000000")));
    let option = Instrument::new(USD)
        .times(100)
        .with_prices(Prices::NotNegative);
    let mut keys = Vec::new();
    for number in 0..5_000_i64 {
        let symbol = format!("SPX 260918C{number:05}");
        book.declare(&symbol, option);
        let key = book.key("condors", &symbol).unwrap();
        let fill = Fill::new(1 + number % 7, Decimal::of_minor(101 + number, 2)).at(at(1));
        let side = if number % 3 == 0 {
            Side::Sell
        } else {
            Side::Buy
        };
        let _ = book.fill(key, side, &fill).unwrap();
        keys.push((symbol, key));
    }
    let marks = keys.iter().enumerate();
    let marks: Vec<_> = marks
        .map(|(number, (symbol, _))| {
            let cents = i64::try_from(number).unwrap() * 3 % 997;
            (symbol.as_str(), Decimal::of_minor(cents, 2))
        })
        .collect();
    book.mark_all(at(2), marks.iter().copied());
    let gauges = book.gauges();
    assert!(gauges.observe().is_empty());
    let of = |name: &str| -> Vec<(String, f64)> {
        let all = test.snapshot().into_iter().filter(|it| it.name == name);
        all.map(|it| {
            let symbol = it.labels.iter().find(|(key, _)| key == "symbol").unwrap();
            let obs_core::TestValue::Gauge(value) = it.value else {
                panic!("a gauge")
            };
            (symbol.1.clone(), value)
        })
        .collect()
    };
    for (name, amount) in [
        (
            "position_value",
            Positions::market_value as fn(&Positions, _) -> _,
        ),
        ("position_unrealized_pnl", Positions::open_pnl),
    ] {
        let shown = of(name);
        assert_eq!(shown.len(), 201, "200 and the others");
        let exact: Decimal = keys
            .iter()
            .map(|(_, key)| amount(&book, *key).unwrap().decimal())
            .sum();
        // All are whole cents: so is their sum.
        let cents: f64 = shown.iter().map(|(_, value)| (value * 100.0).round()).sum();
        assert_eq!(Decimal::from(cents), exact * Decimal::from(100), "{name}");
    }
    let quantities = of("position_quantity");
    let other = quantities
        .iter()
        .find(|(symbol, _)| symbol == "other")
        .unwrap();
    assert!(other.1.is_nan());

    // One is closed: it is 0 once, and then its series can go.
    let largest = of("position_value")
        .into_iter()
        .filter(|(symbol, _)| symbol != "other");
    let largest = largest
        .max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()))
        .unwrap()
        .0;
    let key = keys
        .iter()
        .find(|(symbol, _)| *symbol == largest)
        .unwrap()
        .1;
    let held = book.quantity(key).unwrap();
    let side = if held.is_negative() {
        Side::Buy
    } else {
        Side::Sell
    };
    let _ = book
        .fill(key, side, &Fill::new(held.abs(), 1).at(at(3)))
        .unwrap();
    assert!(gauges.observe().is_empty());
    let value = |symbol: &str| of("position_value").into_iter().find(|it| it.0 == symbol);
    assert_eq!(value(&largest), Some((largest.clone(), 0.0)));
    let ended = gauges.observe();
    assert_eq!(ended.len(), 1);
    let labels =
        format!("account=\"main\",currency=\"USD\",strategy=\"condors\",symbol=\"{largest}\"");
    assert!(ended[0].is(&labels));
    assert!(!ended[0].is(&labels.replace("C0", "C1")));
    assert!(gauges.observe().is_empty());
}

#[test]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
fn exposure_cash_and_bridge_are_shown() {
    let test = TestRecorder::new();
    let mut book = test.run(|| positions().with_method(LotMethod::Fifo));
    let apple = book.key("crossover", "AAPL").unwrap();
    let sap = book.key("carry", "SAP").unwrap();
    book.rate(at(0), EUR, decimal("1.1"));
    let fill = |quantity: i64, price: i64| Fill::new(quantity, price).at(at(1));
    let _ = book
        .fill(apple, Side::Buy, &fill(20, 100).with_fee(fee("1", USD)))
        .unwrap();
    let _ = book.fill(sap, Side::Sell, &fill(10, 100)).unwrap();
    book.mark(at(2), "AAPL", 110);
    book.set_liquidation_price(apple, decimal("88")).unwrap();
    book.set_unsettled(usd("250"));
    assert!(book.gauges().observe().is_empty());
    let gauge = |name: &str, labels: &[(&str, &str)]| {
        let mut all = vec![("account", "main")];
        all.extend_from_slice(labels);
        test.gauge(name, &all)
            .unwrap_or_else(|| panic!("{name} {labels:?}"))
    };
    let usd = ("currency", "USD");
    assert_eq!(
        gauge("portfolio_exposure", &[usd, ("kind", "gross")]),
        3_300.0
    );
    assert_eq!(
        gauge("portfolio_exposure", &[usd, ("kind", "net")]),
        1_100.0
    );
    assert_eq!(
        gauge("portfolio_exposure", &[usd, ("kind", "short")]),
        -1_100.0
    );
    assert_eq!(
        gauge("portfolio_leverage_ratio", &[usd]),
        3_300.0 / 10_199.0
    );
    assert_eq!(gauge("portfolio_concentration_ratio", &[usd]), 2.0 / 3.0);
    assert_eq!(
        gauge("portfolio_turnover_ratio", &[usd, ("period", "day")]),
        3_100.0 / 10_199.0
    );
    assert_eq!(
        gauge("portfolio_cash", &[usd, ("state", "settled")]),
        7_749.0
    );
    assert_eq!(
        gauge("portfolio_cash", &[usd, ("state", "unsettled")]),
        250.0
    );
    let component = |component, period| {
        gauge(
            "portfolio_pnl_component",
            &[usd, ("component", component), ("period", period)],
        )
    };
    assert_eq!(component("trading", "day"), 200.0);
    assert_eq!(component("fees", "total"), -1.0);
    assert!(component("residual", "total").is_nan());
    let of_strategy = |strategy, component| {
        let labels = [usd, ("strategy", strategy), ("component", component)];
        gauge("trading_pnl_component", &labels)
    };
    assert_eq!(of_strategy("crossover", "trading"), 200.0);
    assert_eq!(of_strategy("carry", "trading"), 0.0);
    assert!(of_strategy("unallocated", "residual").is_nan());
    let apple = [("strategy", "crossover"), ("symbol", "AAPL")];
    assert_eq!(gauge("position_liquidation_distance_ratio", &apple), 0.2);
    assert_eq!(gauge("position_quantity", &apple), 20.0);
}
