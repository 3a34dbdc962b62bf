//! The statistics against empyrical-reloaded, quantstats and ffn; `golden/regenerate.py` makes `golden/reference.json`, and
//! `golden/regenerate_new_seeds.py` makes `golden/new_seeds.json`.

#![expect(clippy::float_cmp, reason = "what is compared is exact")]

#[path = "../src/performance/random.rs"]
mod random;

use std::path::Path;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use obs_trading::{
    Basis, Calendar, ClosedTrade, Conventions, Currency, Deviation, Error, Ledger, Money, Period,
    PeriodsPerYear, RiskFree, TradeResult, Undefined, Valuation, Window,
};
use random::Random;
use serde_json::Value;

const FIRST_DAY: Date = date(2024, 1, 1);
const PERIODS: [f64; 2] = [252.0, 365.0];
const YEARLY: [f64; 3] = [0.0, 0.02, 0.05];
const DAY: f64 = 86_400.0;
#[test]
fn a_thousand_random_curves() {
    let reference = reference();
    let curves = reference["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 1_000);
    for (case, expected) in curves.iter().enumerate() {
        let conventions = daily(PERIODS[case % 2], YEARLY[case % 3]);
        let ledger = marked(conventions, &curve(case as u64));
        assert_ratios(&ledger, expected, &format!("curve {case}"));
        assert_times(&ledger, expected, &format!("curve {case}"));
    }
}

#[test]
fn a_thousand_random_lists_of_trades() {
    let reference = reference();
    let lists = reference["trades"].as_array().unwrap();
    assert_eq!(lists.len(), 1_000);
    for (case, expected) in lists.iter().enumerate() {
        let pnl = profits(case as u64);
        let ledger = traded(&pnl);
        let case = format!("trades {case}");
        assert_trades(&ledger, expected, &case);
        // quantstats leaves trades that broke even out of the divisor.
        let decided = pnl.iter().filter(|pnl| **pnl != 0.0).count();
        if decided > 0 {
            let theirs = ledger.win_ratio().unwrap() * pnl.len() as f64 / decided as f64;
            assert_close(theirs, number(&expected[0]), &case);
        }
    }
}

/// Curves by seeds of their own, with rates below zero among the risk-free ones, against empyrical, quantstats and ffn.
#[test]
fn five_hundred_curves_by_new_seeds() {
    const YEARLY: [f64; 4] = [0.0, 0.035, -0.0075, 0.1];
    const PERIODS: [f64; 3] = [252.0, 365.0, 260.0];
    let reference = read("new_seeds.json");
    let first = reference["first_seed"].as_u64().unwrap();
    let curves = reference["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 500);
    for (case, expected) in curves.iter().enumerate() {
        let equity = curve(first + case as u64);
        let (periods, yearly) = (PERIODS[case % 3], YEARLY[case % 4]);
        let ledger = marked(daily(periods, yearly), &equity);
        let without = marked(daily(periods, 0.0), &equity);
        let case = format!("new curve {case}");
        for library in [0, 4, 8] {
            let expected = |place: usize| number(&expected[library + place]);
            // quantstats takes no rate below zero off the returns.
            let excess = if library == 4 && yearly < 0.0 {
                &without
            } else {
                &ledger
            };
            assert_close(excess.sharpe_ratio().unwrap(), expected(0), &case);
            if let Ok(sortino) = excess.sortino_ratio() {
                assert_close(sortino, expected(1), &case);
            }
            assert_close(ledger.max_drawdown_ratio(), expected(2), &case);
            assert_close(ledger.volatility_ratio().unwrap(), expected(3), &case);
        }
        assert_close(ledger.growth_ratio().unwrap(), number(&expected[12]), &case);
        match ledger.calmar_ratio() {
            Ok(calmar) => assert_close(calmar, number(&expected[13]), &case),
            Err(why) => assert_eq!(why, Undefined::NoDrawdown, "{case}"),
        }
    }
}

#[test]
fn three_hundred_lists_of_trades_by_new_seeds() {
    let reference = read("new_seeds.json");
    let first = reference["first_seed"].as_u64().unwrap();
    let lists = reference["trades"].as_array().unwrap();
    assert_eq!(lists.len(), 300);
    for (case, expected) in lists.iter().enumerate() {
        let pnl = profits(first + case as u64);
        let ledger = traded(&pnl);
        let case = format!("new trades {case}");
        assert_trades(&ledger, expected, &case);
        let mean = pnl.iter().sum::<f64>() / pnl.len() as f64;
        assert!(
            (ledger.expectancy().unwrap() - mean).abs() < 1e-9 * 1e4,
            "{case}"
        );
    }
}

/// ranaroussi/quantstats#438, quantopian/pyfolio#179: a fall on the first day was left out of the drawdown, for the first value was taken as
/// the first peak.
#[test]
fn quantstats_438_a_fall_on_the_first_day_is_part_of_the_drawdown() {
    let ledger = marked(daily(252.0, 0.0), &[100.0, 90.0, 75.0, 80.0]);
    assert!((ledger.max_drawdown_ratio() + 0.25).abs() < 1e-12);
    assert!((ledger.over(Window::ALL).max_drawdown_ratio().unwrap() + 0.25).abs() < 1e-12);
}

/// ranaroussi/quantstats#458: 26 weekly returns of 0.6 % grow by some 37 % a year; days divided by the periods of a year make 4.7 % of them.
#[test]
fn quantstats_458_growth_counts_the_periods_that_were_there() {
    let per_trade = Conventions::new(
        Basis::PerTrade,
        Valuation::ClosedTrades,
        PeriodsPerYear::new(52.0).unwrap(),
        Calendar::every_day(TimeZone::UTC),
    );
    let mut ledger = Ledger::new(per_trade.unwrap(), usd(1_000.0)).unwrap();
    for week in 0..26 {
        let pnl = ledger.equity() * 0.006;
        ledger
            .trade_closed(&ClosedTrade::new(noon(7 * week), usd(pnl)))
            .unwrap();
    }
    assert!((ledger.growth_ratio().unwrap() - (1.006_f64.powi(52) - 1.0)).abs() < 1e-9);
}

/// ranaroussi/quantstats#71: every risk-free rate gave the same ratio.
#[test]
fn quantstats_71_another_rate_is_another_ratio() {
    let of = |rate| {
        let ledger = marked(daily(252.0, rate), &[100.0, 101.0, 100.5, 102.0]);
        ledger.sharpe_ratio().unwrap()
    };
    assert!(of(0.0) > of(0.05) && of(0.05) > of(0.5) && of(-0.01) > of(0.0));
}

#[test]
fn the_markets_on_their_open_days() {
    let reference = reference();
    for market in ["sp500", "nasdaq"] {
        let bars = closes(market);
        let open: Vec<_> = bars.iter().map(|(day, _)| *day).collect();
        let holidays = open[0]
            .series(1.day())
            .take_while(|day| day <= open.last().unwrap())
            .filter(|day| open.binary_search(day).is_err());
        let exchange = Calendar::weekdays(new_york()).with_holidays(holidays);
        let ledger = market_ledger(exchange, &bars);
        assert_eq!(ledger.returns(), bars.len() as u64 - 1);
        assert_ratios(&ledger, &reference["markets"][market]["open_days"], market);
        assert_times(&ledger, &reference["markets"][market]["open_days"], market);
    }
}

/// Without a list of holidays, each is a day without change: the same as filling prices forward over all weekdays.
#[test]
fn the_markets_on_all_weekdays() {
    let reference = reference();
    for market in ["sp500", "nasdaq"] {
        let ledger = market_ledger(Calendar::weekdays(new_york()), &closes(market));
        assert_ratios(&ledger, &reference["markets"][market]["weekdays"], market);
        assert_times(&ledger, &reference["markets"][market]["weekdays"], market);
    }
}

#[test]
fn curves_at_the_edge() {
    let reference = reference();
    let edge = |name: &str, equity: &[f64]| {
        let expected = &reference["edges"][name];
        assert!(expected.is_array(), "{name}");
        (marked(daily(252.0, 0.0), equity), expected.clone())
    };

    let (ledger, _) = edge("one_day", &[100.0, 101.0]);
    assert_eq!(ledger.sharpe_ratio(), Err(Undefined::TooFewReturns));
    assert_eq!(ledger.sortino_ratio(), Err(Undefined::TooFewReturns));
    assert_eq!(ledger.max_drawdown_ratio(), 0.0);

    let (ledger, _) = edge("flat", &[100.0; 10]);
    assert_eq!(ledger.sharpe_ratio(), Err(Undefined::NoDispersion));
    assert_eq!(ledger.sortino_ratio(), Err(Undefined::NoDownside));
    assert_eq!(ledger.drawdown_ratio(), 0.0);

    // The references divide by what rounding leaves.
    let rising: Vec<_> = (0..50).map(|day| 100.0 * 1.01_f64.powi(day)).collect();
    let (ledger, theirs) = edge("constant_returns", &rising);
    assert!(number(&theirs[0]) > 1e14 && number(&theirs[3]) > 1e14);
    assert_eq!(ledger.sharpe_ratio(), Err(Undefined::NoDispersion));

    let (ledger, theirs) = edge("no_losing_day", &[100.0, 101.0, 101.5, 103.0, 103.1]);
    assert_close(
        ledger.sharpe_ratio().unwrap(),
        number(&theirs[0]),
        "no_losing_day",
    );
    assert_eq!(
        (&theirs[1], &theirs[4]),
        (&Value::from("inf"), &Value::from("nan"))
    );
    assert_eq!(ledger.sortino_ratio(), Err(Undefined::NoDownside));

    for (name, equity) in [
        ("no_winning_day", &[100.0, 99.0, 98.5, 96.0][..]),
        ("total_loss", &[100.0, 80.0, 0.0]),
        ("negative_equity", &[100.0, 50.0, -20.0]),
    ] {
        let (ledger, expected) = edge(name, equity);
        assert_ratios(&ledger, &expected, name);
        assert_times(&ledger, &expected, name);
    }
    // The references go on with returns on nothing, and on debts.
    for (name, equity) in [
        ("after_total_loss", &[100.0, 80.0, 0.0, 0.0, 10.0]),
        ("after_negative_equity", &[100.0, 50.0, -20.0, -10.0, 30.0]),
    ] {
        let (ledger, expected) = edge(name, equity);
        assert_eq!(ledger.sharpe_ratio(), Err(Undefined::NonPositiveEquity));
        assert_eq!(ledger.sortino_ratio(), Err(Undefined::NonPositiveEquity));
        assert_close(ledger.max_drawdown_ratio(), number(&expected[2]), name);
    }
}

/// A mark that is no number is refused: what changed over the gap is in the next one, while the references lose it.
#[test]
fn a_mark_that_is_no_number() {
    let reference = reference();
    let conventions = daily(252.0, 0.0);
    let mut ledger = Ledger::new(conventions, usd(100.0)).unwrap();
    for (day, equity) in [(1, 110.0), (2, f64::NAN), (3, 99.0), (4, 104.0)] {
        let marked = ledger.mark_equity(noon(day), usd(equity));
        assert_eq!(
            matches!(marked, Err(Error::InvalidAmount { .. })),
            equity.is_nan()
        );
    }
    ledger.advance_to(noon(5));
    assert_ratios(&ledger, &reference["edges"]["gap_filled"], "gap");
    assert_eq!(
        number(&reference["edges"]["gap"][2]),
        0.0,
        "the fall from 110 to 99"
    );
}

#[test]
fn trades_at_the_edge() {
    let reference = reference();
    let edge = |name: &str, pnl: &[f64]| {
        let expected = &reference["trade_edges"][name];
        let ledger = traded(pnl);
        assert_trades(&ledger, expected, name);
        (ledger, expected.clone())
    };
    let (ledger, theirs) = edge("no_losses", &[10.0, 5.0]);
    assert_eq!(theirs[3], Value::from("inf"));
    assert_eq!(ledger.profit_factor(), Err(Undefined::NoLosses));
    assert_eq!(ledger.average_loss(), Err(Undefined::NoLosses));
    let (ledger, _) = edge("no_wins", &[-10.0, -5.0]);
    assert_eq!(ledger.profit_factor(), Ok(0.0));
    assert_eq!(ledger.average_win(), Err(Undefined::NoWins));
    let (ledger, _) = edge("one_trade", &[10.0]);
    assert_eq!(ledger.best_trade(), ledger.worst_trade());
    let (ledger, theirs) = edge("break_even", &[0.0]);
    assert_eq!(ledger.win_ratio(), Ok(0.0));
    assert_eq!(number(&theirs[3]), 0.0);
    assert_eq!(ledger.profit_factor(), Err(Undefined::NoLosses));
    let (ledger, theirs) = edge("break_even_between", &[10.0, 0.0, 10.0, -5.0, 0.0, -5.0]);
    assert_eq!(
        (ledger.win_ratio(), number(&theirs[0])),
        (Ok(2.0 / 6.0), 0.5)
    );

    let none = traded(&[]);
    for statistic in [
        none.win_ratio(),
        none.average_win(),
        none.average_loss(),
        none.profit_factor(),
        none.best_trade(),
        none.worst_trade(),
    ] {
        assert_eq!(statistic, Err(Undefined::NoTrades));
    }
}

/// Returns per trade, against the textbook's two passes over all of them.
#[test]
fn ratios_per_trade() {
    for case in 0..100 {
        let start = 1e7;
        let pnl = profits(case);
        let (mut equity, mut returns) = (start, Vec::new());
        for pnl in &pnl {
            returns.push(pnl / equity);
            equity += pnl;
        }
        let conventions = Conventions::new(
            Basis::PerTrade,
            Valuation::ClosedTrades,
            PeriodsPerYear::new(80.0).unwrap(),
            Calendar::every_day(TimeZone::UTC),
        )
        .unwrap()
        .with_risk_free(RiskFree::per_period(1e-5).unwrap())
        .with_deviation(Deviation::Population);
        let mut ledger = Ledger::new(conventions, usd(start)).unwrap();
        for pnl in &pnl {
            ledger
                .trade_closed(&ClosedTrade::new(noon(0), usd(*pnl)))
                .unwrap();
        }
        if returns.len() < 2 {
            assert_eq!(ledger.sharpe_ratio(), Err(Undefined::TooFewReturns));
            continue;
        }
        let n = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / n;
        let variance = returns.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / n;
        let downside = returns
            .iter()
            .map(|one| (one - 1e-5).min(0.0).powi(2))
            .sum::<f64>()
            / n;
        let ratio = |divisor: f64| (mean - 1e-5) / divisor * 80.0_f64.sqrt();
        let case = format!("trades {case}");
        assert_close(
            ledger.sharpe_ratio().unwrap(),
            ratio(variance.sqrt()),
            &case,
        );
        assert_close(
            ledger.sortino_ratio().unwrap(),
            ratio(downside.sqrt()),
            &case,
        );
        assert_close(ledger.equity(), equity, &case);
    }
}

/// Sharpe, Sortino and maximum drawdown, by both libraries.
fn assert_ratios(ledger: &Ledger, expected: &Value, case: &str) {
    for library in [0, 3] {
        let expected = |place: usize| number(&expected[library + place]);
        assert_close(ledger.sharpe_ratio().unwrap(), expected(0), case);
        match ledger.sortino_ratio() {
            Ok(sortino) => assert_close(sortino, expected(1), case),
            // Theirs is infinite or NaN on a curve that never fell.
            Err(why) => {
                assert_eq!(why, Undefined::NoDownside, "{case}");
                assert!(!expected(1).is_finite(), "{case}");
            }
        }
        assert_close(ledger.max_drawdown_ratio(), expected(2), case);
    }
}

/// Longest recovery and age of the open drawdown, in days.
fn assert_times(ledger: &Ledger, expected: &Value, case: &str) {
    // A market's close is at another UTC hour in summer.
    let days = |seconds: f64| (seconds / DAY).round();
    let recovery = ledger.longest_recovery_seconds().unwrap_or(0.0);
    assert_eq!(days(recovery), number(&expected[6]), "{case}");
    let (age, expected_age) = (ledger.drawdown_age_seconds(), number(&expected[7]));
    // The ledger's clock stands a day after the last mark.
    let after_last_mark = if expected_age == 0.0 { 0.0 } else { DAY };
    assert_eq!(days(age - after_last_mark), expected_age, "{case}");
}

fn assert_trades(ledger: &Ledger, expected: &Value, case: &str) {
    for (ours, theirs) in [
        (ledger.average_win(), &expected[1]),
        (ledger.average_loss(), &expected[2]),
        (ledger.profit_factor(), &expected[3]),
        (ledger.best_trade(), &expected[4]),
        (ledger.worst_trade(), &expected[5]),
    ] {
        // Theirs are 0, infinite or NaN where ours say why there is no value.
        if let Ok(ours) = ours {
            assert_close(ours, number(theirs), case);
        } else {
            assert!(!number(theirs).is_normal(), "{case}: {theirs}");
        }
    }
    for (result, theirs) in [
        (TradeResult::Win, &expected[6]),
        (TradeResult::Loss, &expected[7]),
    ] {
        assert_eq!(
            ledger.longest_streak(result) as f64,
            number(theirs),
            "{case}"
        );
    }
}

fn assert_close(ours: f64, theirs: f64, case: &str) {
    let error = (ours - theirs).abs();
    assert!(
        error <= 1e-9 * theirs.abs(),
        "{case}: {ours} is not {theirs}"
    );
}

fn marked(conventions: Conventions, equity: &[f64]) -> Ledger {
    let mut ledger = Ledger::new(conventions, usd(equity[0])).unwrap();
    for (day, equity) in equity.iter().enumerate().skip(1) {
        ledger.mark_equity(noon(day), usd(*equity)).unwrap();
    }
    ledger.advance_to(noon(equity.len()));
    ledger
}

fn traded(pnl: &[f64]) -> Ledger {
    let mut ledger = Ledger::new(daily(252.0, 0.0), usd(1e6)).unwrap();
    for (day, pnl) in pnl.iter().enumerate() {
        ledger
            .trade_closed(&ClosedTrade::new(noon(day), usd(*pnl)))
            .unwrap();
    }
    assert_eq!(ledger.trades(Period::Total), pnl.len() as u64);
    ledger
}

fn market_ledger(calendar: Calendar, bars: &[(Date, f64)]) -> Ledger {
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::of(&calendar),
        calendar,
    )
    .unwrap()
    // What the other programs take for every series.
    .annualized_by(PeriodsPerYear::TRADING_DAYS)
    .with_risk_free(RiskFree::per_year(0.03).unwrap());
    let mut ledger = Ledger::new(conventions, usd(bars[0].1)).unwrap();
    let at_close = |day: Date| {
        day.at(16, 0, 0, 0)
            .to_zoned_datetime(new_york())
            .unwrap()
            .timestamp()
    };
    for (day, close) in &bars[1..] {
        ledger.mark_equity(at_close(*day), usd(*close)).unwrap();
    }
    let last = bars.last().unwrap().0;
    ledger.advance_to(at_close(last.tomorrow().unwrap()));
    ledger
}

fn daily(periods: f64, yearly: f64) -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::Marks,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap()
    .annualized_by(PeriodsPerYear::new(periods).unwrap())
    .with_risk_free(RiskFree::per_year(yearly).unwrap())
}

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

fn noon(day: usize) -> Timestamp {
    let day = FIRST_DAY + i64::try_from(day).unwrap().days();
    day.at(12, 0, 0, 0)
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap()
        .timestamp()
}

fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

/// The same curve as `curve` of the script.
fn curve(seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let days = 3 + random.below(400);
    let drift = (unit(&mut random) - 0.4) * 0.002;
    let spread = 0.001 + unit(&mut random) * 0.03;
    let mut equity = 10_000.0 + unit(&mut random) * 1e6;
    let mut curve = vec![equity];
    for _ in 0..days {
        equity *= 1.0 + (drift + spread * normal(&mut random));
        curve.push(equity);
    }
    curve
}

/// The same trades as `profits` of the script.
fn profits(seed: u64) -> Vec<f64> {
    let mut random = Random::new(1_000_000 + seed);
    let trades = 1 + random.below(300);
    let lean = unit(&mut random) - 0.5;
    let size = 1.0 + unit(&mut random) * 10_000.0;
    let one = |_| {
        if unit(&mut random) < 0.0625 {
            0.0
        } else {
            size * (lean + normal(&mut random))
        }
    };
    (0..trades).map(one).collect()
}

/// From 0 up to 1.
fn unit(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

fn normal(random: &mut Random) -> f64 {
    (0..12)
        .map(|_| unit(random))
        .fold(0.0, |total, one| total + one)
        - 6.0
}

fn reference() -> Value {
    read("reference.json")
}

fn read(file: &str) -> Value {
    let path = manifest().join("tests/golden").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn closes(market: &str) -> Vec<(Date, f64)> {
    let path = manifest().join(format!("../../examples/trading-desk/data/{market}.csv"));
    let text = std::fs::read_to_string(path).unwrap();
    let bar = |line: &str| {
        let mut fields = line.split(',');
        let day = fields.next().unwrap().parse().unwrap();
        (day, fields.nth(3).unwrap().parse().unwrap())
    };
    text.lines().skip(1).map(bar).collect()
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// NaN and infinite numbers are texts in the file.
fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .or_else(|| value.as_str()?.parse().ok())
        .unwrap_or_else(|| panic!("{value} is no number"))
}
