//! What the sample desk's own executions of twenty years cost, against pandas.

use std::collections::BTreeMap;

use jiff::civil::Date;
use obs_core::{Closed, TestRecorder};
use obs_tests::python_says;
use serde::Deserialize;
use serde_json::{Value, json};
use trading_desk::account::Account;
use trading_desk::bars::{self, Bar};
use trading_desk::broker::{PaperBroker, Terms};
use trading_desk::calendar::TradingDays;
use trading_desk::desk::Desk;
use trading_desk::order::{Order, OrderKind, OrderStatus, Side};
use trading_desk::risk::Limits;
use trading_desk::symbol::Symbol;
use trading_desk::venue::{self, Manner};

const HOUR: i64 = 3_600_000_000_000;

#[derive(Deserialize)]
struct Theirs {
    markouts: Vec<Markouts>,
    shortfall: Vec<Part>,
}

#[derive(Deserialize)]
struct Markouts {
    strategy: String,
    liquidity: String,
    horizon: String,
    bps: Vec<f64>,
    money: f64,
    unmeasured: u64,
}

#[derive(Deserialize)]
struct Part {
    strategy: String,
    component: String,
    money: f64,
}

#[test]
fn markouts_and_shortfall_of_the_desks_own_executions_are_those_of_pandas() {
    let test = TestRecorder::new();
    let given = test.run(replay);
    let said = python_says(include_str!("harness/desk_costs.py"), &given.to_string()).unwrap();
    let theirs: Theirs = serde_json::from_str(&said.unwrap()).unwrap();
    let mut measured = 0;
    for theirs in &theirs.markouts {
        let labels = [
            ("strategy", theirs.strategy.as_str()),
            ("liquidity", theirs.liquidity.as_str()),
            ("horizon", theirs.horizon.as_str()),
        ];
        let what = format!("{labels:?}");
        let mut bps = test
            .samples("trading_markout_bps", &labels)
            .unwrap_or_default();
        bps.sort_by(f64::total_cmp);
        assert_eq!(bps.len(), theirs.bps.len(), "{what}");
        for (ours, theirs) in bps.iter().zip(&theirs.bps) {
            assert!(
                (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
                "{what}: {ours}, {theirs}"
            );
        }
        measured += bps.len();
        assert_money(&test, "trading_markout_total", &labels, -theirs.money);
    }
    assert!(measured > 500, "{measured}");
    // The liquidity of a fill that is not measured is not told.
    for horizon in ["390m", "1d"] {
        let of = theirs
            .markouts
            .iter()
            .filter(|theirs| theirs.horizon == horizon);
        let unmeasured: u64 = of.map(|theirs| theirs.unmeasured).sum();
        let ours = ["stale", "no_mid"].map(|reason| {
            let labels = [("horizon", horizon), ("reason", reason)];
            test.counter_sum("trading_markouts_unmeasured_total", &labels)
        });
        assert_eq!(ours.iter().sum::<u64>(), unmeasured, "{horizon}");
    }
    assert_eq!(theirs.shortfall.len(), 2 * 4);
    for theirs in &theirs.shortfall {
        let labels = [
            ("strategy", theirs.strategy.as_str()),
            ("component", theirs.component.as_str()),
        ];
        assert_money(&test, "trading_shortfall_cost_total", &labels, theirs.money);
    }
    let opportunity = theirs
        .shortfall
        .iter()
        .filter(|part| part.component == "opportunity");
    assert!(opportunity.map(|part| part.money.abs()).sum::<f64>() > 0.0);
}

/// The net of both directions, to 1e-9 of their sum; the counters keep millionths, and round as often as they are added to.
fn assert_money(test: &TestRecorder, name: &str, labels: &[(&str, &str)], theirs: f64) {
    let of = |direction| {
        let labels: Vec<_> = labels
            .iter()
            .copied()
            .chain([("direction", direction)])
            .collect();
        test.counter_sum(name, &labels) as f64 / 1e6
    };
    let (adverse, favourable) = (of("adverse"), of("favourable"));
    let difference = (adverse - favourable - theirs).abs();
    assert!(
        difference <= 1e-9 * (adverse + favourable) + 1e-3,
        "{name} {labels:?}: {} is not {theirs}",
        adverse - favourable
    );
}

/// Trades all bars, and says what pandas needs to know of it: prices, and what the broker's records say.
fn replay() -> Value {
    let series = bars::bundled().unwrap();
    let mut days: BTreeMap<Date, Vec<(Symbol, Bar)>> = BTreeMap::new();
    for series in &series {
        for bar in &series.bars {
            let symbol = series.symbol.clone();
            days.entry(bar.date).or_default().push((symbol, *bar));
        }
    }
    let dates = days.keys().copied().collect();
    let sessions = TradingDays::of(&dates);
    let broker = PaperBroker::new(
        series.into_iter().map(|series| series.symbol),
        Terms::default(),
    );
    let account = Account::open(Limits::default(), broker, 1_000_000.0, &dates).unwrap();
    let mut desk = Desk::new(account);
    let nanoseconds = |at: jiff::Timestamp| i64::try_from(at.as_nanosecond()).unwrap();
    let (open, close) = (
        |day| nanoseconds(sessions.open(day)),
        |day| nanoseconds(sessions.close(day)),
    );
    let mut mids = Vec::new();
    for (date, bars) in &days {
        desk.trade_day(*date, bars).unwrap();
        for (symbol, bar) in bars {
            mids.push(json!([symbol.as_str(), open(*date), bar.open]));
            mids.push(json!([symbol.as_str(), close(*date), bar.close]));
        }
    }
    let records = &desk.account().changes().orders;
    let records: BTreeMap<_, &Order> = records.iter().map(|order| (order.id, order)).collect();
    let executions = records.values().flat_map(|order| executions(order, open));
    let orders = records
        .values()
        .filter_map(|order| Some(row(order, order.closed?, open, close)));
    json!({
        "mids": mids,
        "executions": executions.collect::<Vec<_>>(),
        "orders": orders.collect::<Vec<_>>(),
        "horizons": { "390m": 13 * HOUR / 2, "1d": 24 * HOUR },
        "oldest": 7 * HOUR,
        "end": days.keys().next_back().map(|day| close(*day)),
    })
}

fn sign(order: &Order) -> f64 {
    if order.side == Side::Buy { 1.0 } else { -1.0 }
}

/// The executions that count, of a filled order: as the stand-in for a venue tells them, one in two parts and one without its
/// liquidity.
fn executions(order: &Order, open: impl Fn(Date) -> i64) -> Vec<Value> {
    let (Some(fill), Some(closed)) = (order.fill, order.closed) else {
        return Vec::new();
    };
    let liquidity = match (venue::manner(order.id), order.kind) {
        (Manner::Polled, _) => "unknown",
        (_, OrderKind::Market) => "taker",
        (_, OrderKind::Limit { .. }) => "maker",
    };
    let second = match venue::manner(order.id) {
        Manner::Corrected => order.quantity / 2,
        _ => 0,
    };
    let parts = [order.quantity - second, second];
    let parts = parts.into_iter().filter(|quantity| *quantity > 0);
    let execution = |quantity| {
        json!([
            order.strategy.as_str(),
            order.symbol.as_str(),
            liquidity,
            sign(order),
            quantity,
            fill.price,
            open(closed),
        ])
    };
    parts.map(execution).collect()
}

/// An order is sent after a close and filled, or given up, at an open; it is cancelled after a close.
fn row(
    order: &Order,
    closed: Date,
    open: impl Fn(Date) -> i64,
    close: impl Fn(Date) -> i64,
) -> Value {
    let (filled, price, fees) = order.fill.map_or((0, 0.0, 0.0), |fill| {
        (order.quantity, fill.price, fill.commission)
    });
    let ended = match order.status {
        OrderStatus::Cancelled => close(closed),
        _ => open(closed),
    };
    json!([
        order.strategy.as_str(),
        order.symbol.as_str(),
        sign(order),
        order.quantity,
        filled,
        price,
        order.decision_price,
        close(order.submitted),
        ended,
        fees,
    ])
}
