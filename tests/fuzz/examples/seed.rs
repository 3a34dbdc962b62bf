use jiff::{Timestamp, tz::TimeZone};
use obs_trading::*;
fn main() {
    let usd = |a| Money::new(a, Currency::USD);
    let c = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    );
    let mut l = Ledger::new(c, usd(10000.0)).unwrap();
    let dir = std::path::Path::new("tests/fuzz/corpus/state");
    std::fs::create_dir_all(dir).unwrap();
    StateFile::new(dir.join("fresh"), "ledger", 1)
        .save(&l.save())
        .unwrap();
    for d in 0..5 {
        let at: Timestamp = format!("2024-06-{:02}T12:00:00Z", 3 + d).parse().unwrap();
        l.trade_closed(&ClosedTrade {
            id: Some("t1").filter(|_| d == 0),
            ..ClosedTrade::new(at, usd(150.0 - 77.3 * f64::from(d)))
        })
        .unwrap();
        l.mark(at, usd(10000.0 + 50.0 * f64::from(d % 3))).unwrap();
    }
    StateFile::new(dir.join("ledger"), "ledger", 1)
        .save(&l.save())
        .unwrap();
    let risk = Risk::new();
    let mut a = CashAccount::new(&risk, CashRule::default(), BusinessDays::weekdays());
    let day: jiff::civil::Date = "2024-06-03".parse().unwrap();
    a.deposit(100_000, day).unwrap();
    a.buy("AAPL", 3.0, 50_000, day).unwrap();
    a.sell("AAPL", 1.0, 20_000, day).unwrap();
    StateFile::new(dir.join("cash-account"), "cash", 1)
        .save(&a.save())
        .unwrap();
    let mut t = DayTrades::new(
        &risk,
        "main",
        DayTradeRule::default(),
        BusinessDays::weekdays(),
    );
    t.fill("AAPL", Side::Buy, 1.0, day).unwrap();
    t.fill("AAPL", Side::Sell, 1.0, day).unwrap();
    StateFile::new(dir.join("day-trades"), "day-trades", 1)
        .save(&t.save())
        .unwrap();
    let mut k = Limits::new(&risk)
        .daily_loss(0.05)
        .unwrap()
        .drawdown(0.2)
        .unwrap();
    k.mark(day, 100.0).unwrap();
    let _ = k.mark(day, 97.0);
    StateFile::new(dir.join("limits"), "limits", 1)
        .save(&k.save())
        .unwrap();
}
