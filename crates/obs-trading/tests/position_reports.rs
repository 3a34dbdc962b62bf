//! What users of other engines reported of positions and profit and loss, reproduced with its figures: each test is named after the
//! report whose situation it plays through.

use obs_trading::jiff::{SignedDuration, Timestamp};
use obs_trading::{
    BreakKind, Currency, Decimal, Fee, FeeKind, Fill, Flow, Instrument, Money, PnlComponent,
    PositionKey, Positions, Side, Statement, Tolerances,
};

const USD: Currency = Currency::USD;

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-06-06T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn usd(text: &str) -> Money {
    Money::new(decimal(text), USD)
}

fn book(symbols: &[&str]) -> Positions {
    let mut positions = Positions::new("main", at(0), usd("100000"));
    for symbol in symbols {
        positions.declare(symbol, Instrument::new(USD));
    }
    positions
}

/// Trades without a venue's identifier, at a second.
fn trade(
    book: &mut Positions,
    key: PositionKey,
    units: i64,
    price: &str,
    second: i64,
) -> Option<Money> {
    let side = if units < 0 { Side::Sell } else { Side::Buy };
    let fill = Fill::new(units.abs(), decimal(price)).at(at(second));
    let booked = book.fill(key, side, &fill).unwrap();
    booked.closed.map(|closed| closed.pnl)
}

fn made(book: &Positions, component: PnlComponent) -> Option<Money> {
    book.made(component)
}

/// QuantConnect/Lean#5325: 6,907 shares of CMCSA are sold short at 75.32, the shares are split two for one, and the position is bought
/// back at 37.92: a profit of 258,319.13 was reported.
#[test]
fn lean_5325_a_short_position_over_a_split_makes_what_the_market_made() {
    let mut book = book(&["CMCSA"]);
    let key = book.key("short", "CMCSA").unwrap();
    assert_eq!(trade(&mut book, key, -6_907, "75.319977556181", 1), None);
    book.split(at(2), "CMCSA", 2, 1).unwrap();
    assert_eq!(book.quantity(key).unwrap(), Decimal::from(-13_814));
    let pnl = trade(&mut book, key, 13_814, "37.920364340962", 3);
    // 6,907 · 75.319977556181 − 13,814 · 37.920364340962.
    assert_eq!(pnl, Some(usd("-3596.828025506901")));
    assert!(book.quantity(key).unwrap().is_zero());
}

/// QuantConnect/Lean#5765: a hundred shares are split one for seven, stated as a factor of 0.1428572, and became 699.
#[test]
fn lean_5765_a_split_of_seven_for_one_makes_seven_hundred_of_a_hundred() {
    let mut book = book(&["XYZ"]);
    let key = book.key("hold", "XYZ").unwrap();
    trade(&mut book, key, 100, "700", 1);
    book.split(at(2), "XYZ", 7, 1).unwrap();
    assert_eq!(book.quantity(key).unwrap(), Decimal::from(700));
    assert_eq!(book.cost(key).unwrap(), usd("70000"));
    // Two numbers, and no factor: what does not come out even loses nothing on the way back.
    book.split(at(3), "XYZ", 1, 7).unwrap();
    assert_eq!(book.quantity(key).unwrap(), Decimal::from(100));
}

/// Bruce188/FundingRateArb#403: of a hedged pair the long leg lost 0.6057 and the short leg made 0.5658. Where the venue's answer about
/// one leg was empty, it counted as 0, and the pair showed a loss sixteen times too large.
#[test]
fn funding_rate_arb_403_both_legs_count_and_a_missing_one_is_a_break() {
    let mut ours = book(&["STABLE.LIGHTER", "STABLE.HL"]);
    let long = ours.key("pair", "STABLE.LIGHTER").unwrap();
    let short = ours.key("pair", "STABLE.HL").unwrap();
    trade(&mut ours, long, 1_286, "0.032177", 1);
    trade(&mut ours, short, -1_286, "0.032193", 1);
    let lost = trade(&mut ours, long, -1_286, "0.031706", 2).unwrap();
    let won = trade(&mut ours, short, 1_286, "0.031753", 2).unwrap();
    assert_eq!((lost, won), (usd("-0.605706"), usd("0.56584")));
    assert_eq!(made(&ours, PnlComponent::Trading), Some(usd("-0.039866")));

    // The end of one leg is not reported to us: nothing is taken to be 0, and the statement says which leg it is.
    let mut ours = book(&["STABLE.LIGHTER", "STABLE.HL"]);
    let long = ours.key("pair", "STABLE.LIGHTER").unwrap();
    let short = ours.key("pair", "STABLE.HL").unwrap();
    trade(&mut ours, long, 1_286, "0.032177", 1);
    trade(&mut ours, short, -1_286, "0.032193", 1);
    trade(&mut ours, long, -1_286, "0.031706", 2);
    ours.mark(at(2), "STABLE.HL", decimal("0.031753"));
    let statement = Statement::new(at(300))
        .with_positions(Vec::<(&str, Decimal)>::new())
        .with_cash(usd("99999.960134"));
    let report = ours.reconcile(at(300), &statement, &[], &Tolerances::default());
    let found: Vec<_> = report
        .breaks
        .iter()
        .map(|found| (&*found.subject, found.kind))
        .collect();
    assert_eq!(found, [("STABLE.HL", BreakKind::MissingFill)]);
}

/// Bruce188/FundingRateArb#422: a position earned 0.0343 of funding, the venue's answer was incomplete, and 0.0000 was shown as
/// the venue's truth.
#[test]
fn funding_rate_arb_422_funding_that_was_not_booked_is_unexplained_and_not_zero() {
    let mut ours = book(&["MRVL"]);
    let key = ours.key("pair", "MRVL").unwrap();
    trade(&mut ours, key, 3, "274.25", 1);
    assert_eq!(
        made(&ours, PnlComponent::Residual),
        None,
        "no value is known yet"
    );
    let theirs = usd("100000.0343");
    ours.state_value(at(5_400), theirs).unwrap();
    assert_eq!(made(&ours, PnlComponent::Residual), Some(usd("0.0343")));
    let flow = Flow::new(PnlComponent::Funding, usd("0.0343"))
        .of_position(key)
        .with_id("funding-284");
    // The answer comes in full, and once more.
    assert!(ours.flow(at(5_401), &flow).unwrap());
    assert!(!ours.flow(at(5_402), &flow).unwrap());
    ours.state_value(at(5_403), theirs).unwrap();
    assert_eq!(made(&ours, PnlComponent::Funding), Some(usd("0.0343")));
    assert_eq!(made(&ours, PnlComponent::Residual), Some(usd("0")));
}

/// `nautilus_trader#725`: 10 BTC of a perpetual are bought at 29,037.85 for a commission of 116.1514. Of 1,000 USDT 767.697 were left:
/// it was paid twice.
#[test]
fn nautilus_trader_725_a_commission_is_paid_once() {
    let usdt: Currency = "USDT".parse().unwrap();
    let of = |text| Money::new(decimal(text), usdt);
    let mut book = Positions::new("main", at(0), of("1000"))
        .with_instrument("BTCUSDT.PERP", Instrument::future(usdt, 1));
    let key = book.key("crossover", "BTCUSDT.PERP").unwrap();
    let fill = Fill::new(10, decimal("29037.85"))
        .with_id("t-1")
        .with_fee(Fee::new(FeeKind::Commission, of("116.1514")))
        .at(at(1));
    for _ in 0..2 {
        let _ = book.fill(key, Side::Buy, &fill).unwrap();
    }
    assert_eq!(book.cash_in(usdt), of("883.8486"));
    assert_eq!(book.value(), Some(of("883.8486")));
    assert_eq!(made(&book, PnlComponent::Fees), Some(of("-116.1514")));
}

/// freqtrade#3984, and #4057 that mended it: an order is executed in two trades that pay their fees in two currencies. Their sum was
/// taken for an amount of one, and a trade with a profit was shown as a loss.
#[test]
fn freqtrade_4057_fees_in_two_currencies_are_never_added_up_as_one() {
    let (btc, bnb): (Currency, Currency) = ("BTC".parse().unwrap(), "BNB".parse().unwrap());
    let of = |text: &str, currency| Money::new(decimal(text), currency);
    let mut book = Positions::new("main", at(0), of("1", btc))
        .with_instrument("VIDT/BTC", Instrument::new(btc));
    let key = book.key("qqe", "VIDT/BTC").unwrap();
    let fill = |units: i64, price: &str, fee: Money, second| {
        Fill::new(units, decimal(price))
            .with_fee(Fee::new(FeeKind::Commission, fee))
            .at(at(second))
    };
    let bought = fill(13, "0.00002702", of("0.00012428", bnb), 1);
    let _ = book.fill(key, Side::Buy, &bought).unwrap();
    // Sold in two: the second trade found no more BNB.
    let first = fill(6, "0.00002791", of("0.00004931", bnb), 2);
    let second = fill(7, "0.00002791", of("0.00000019537", btc), 2);
    let first = book.fill(key, Side::Sell, &first).unwrap().closed.unwrap();
    let second = book.fill(key, Side::Sell, &second).unwrap().closed.unwrap();
    assert_eq!(first.pnl, of("0.00000534", btc));
    assert_eq!(second.pnl, of("0.00000603463", btc));
    // What BNB is worth was never said: the account is undefined, and not wrong.
    assert_eq!(
        (book.value(), made(&book, PnlComponent::Fees)),
        (None, None)
    );
    assert_eq!(book.cash_in(bnb), of("-0.00017359", bnb));
    book.rate(at(3), bnb, decimal("0.0018"));
    let fees = decimal("0.00017359") * decimal("0.0018") + decimal("0.00000019537");
    assert_eq!(
        made(&book, PnlComponent::Fees),
        Some(Money::new(-fees, btc))
    );
    assert_eq!(
        made(&book, PnlComponent::Trading),
        Some(of("0.00001157", btc))
    );
}

/// QuantConnect/Lean#9782: an account in euros holds three shares in dollars when two become one, and the half share is paid out. The ten
/// dollars were taken for ten euros, and the account was worth 1,028 instead of 1,027.
#[test]
fn lean_9782_a_fraction_paid_out_in_another_currency_leaves_the_value_as_it_was() {
    let eur = |amount: i64| Money::new(amount, Currency::EUR);
    let mut book =
        Positions::new("main", at(0), eur(1_027)).with_instrument("XYZ", Instrument::new(USD));
    book.rate(at(0), USD, decimal("0.9"));
    book.convert(at(0), eur(27), usd("30")).unwrap();
    let key = book.key("hold", "XYZ").unwrap();
    trade(&mut book, key, 3, "10", 1);
    book.mark(at(2), "XYZ", 10);
    assert_eq!(book.value(), Some(eur(1_027)));
    book.split(at(3), "XYZ", 1, 2).unwrap();
    assert_eq!(book.value(), Some(eur(1_027)));
    let fraction = Fill::new(decimal("0.5"), 20).at(at(4));
    let booked = book.fill(key, Side::Sell, &fraction).unwrap();
    assert_eq!(booked.quantity, Decimal::ONE);
    assert_eq!(
        (book.cash_in(USD), book.cash_in(Currency::EUR)),
        (usd("10"), eur(1_000))
    );
    assert_eq!(
        (book.value(), book.marked_value()),
        (Some(eur(1_027)), Some(eur(1_027)))
    );
    assert_eq!(booked.closed.unwrap().pnl, usd("0"));
}

/// freqtrade#13102: a short position of 749.6 at 1.3914 paid 10.53 of funding and was bought back in three parts. The second part made 6.84,
/// and −3.92 was notified: from the first exit on, the funding was taken off each time.
#[test]
fn freqtrade_13102_funding_is_counted_once_however_many_exits_there_are() {
    let mut book = book(&["XYZ"]);
    let key = book.key("dca", "XYZ").unwrap();
    trade(&mut book, key, -7_496, "0.13914", 1);
    let funding = Flow::new(PnlComponent::Funding, usd("-10.53")).of_position(key);
    book.flow(at(2), &funding).unwrap();
    // In tenths of a unit, at tenths of the price.
    let exits = [
        (3_748, "0.136155", "11.18778"),
        (1_874, "0.135491", "6.838226"),
        (1_874, "0.136790", "4.4039"),
    ];
    let mut closed = Decimal::ZERO;
    for (second, (units, price, right)) in (3..).zip(exits) {
        let pnl = trade(&mut book, key, units, price, second).unwrap();
        assert_eq!(pnl, usd(right), "at {price}");
        closed += pnl.decimal();
        assert_eq!(made(&book, PnlComponent::Funding), Some(usd("-10.53")));
        let so_far = book.value().unwrap().decimal() - decimal("100000");
        let open = book.open_pnl(key).unwrap().decimal();
        assert_eq!(so_far, closed + open - decimal("10.53"));
    }
    // Before the fees, of which the report has no figures: 10.97 with them.
    assert_eq!(book.value(), Some(usd("100011.899906")));
}
