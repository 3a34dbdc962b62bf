//! Risk: what each verb moves, and state machines held against simple models under random events and restarts.

#![expect(clippy::float_cmp, reason = "these numbers come out exactly")]

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use obs_core::TestRecorder;
use obs_trading::{
    Basis, Calendar, CashAccount, CashRule, ComplianceAction, ComplianceRule, ConfidenceBands,
    Conventions, Currency, DayTradeRule, DayTrades, Decimal, Error, ExitPlan, Ledger, Limits,
    Money, PdtAction, PeriodsPerYear, RejectReason, Risk, SettlementDays, Side, Trigger, Valuation,
    limit,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn desk() -> (TestRecorder, Risk) {
    let test = TestRecorder::new();
    let risk = test.run(Risk::new);
    (test, risk)
}

/// As a restart leaves it.
fn kept<T: Serialize + DeserializeOwned>(state: &T) -> T {
    let text = serde_json::to_string(state).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_series_that_is_known_exists_from_the_start() {
    let (test, risk) = desk();
    assert_eq!(test.series("risk_compliance_events_total"), 12);
    assert_eq!(test.series("risk_pdt_events_total"), 3);
    risk.register("crossover");
    assert_eq!(test.series("risk_exits_total"), 3);
    assert_eq!(test.series("risk_position_size_ratio"), 3);
    let _limits = Limits::new(&risk, "main");
    for name in ["max_position", "daily_loss", "drawdown", "exposure"] {
        let label = [("account", "main"), ("limit", name)];
        assert_eq!(test.counter("risk_limit_hits_total", &label), Some(0));
        let headroom = test.gauge("risk_limit_headroom_ratio", &label).unwrap();
        assert!(headroom.is_nan());
    }
}

#[test]
fn each_verb_moves_its_metric() {
    let (test, risk) = desk();
    risk.exit("crossover", Trigger::StopLoss);
    let labels = [("strategy", "crossover"), ("trigger", "stop_loss")];
    assert_eq!(test.counter("risk_exits_total", &labels), Some(1));

    risk.limit_hit("main", "sector_tech");
    let labels = [("account", "main"), ("limit", "sector_tech")];
    assert_eq!(test.counter("risk_limit_hits_total", &labels), Some(1));

    risk.headroom("main", "sector_tech", 0.05, 0.20);
    assert_eq!(test.gauge("risk_limit_headroom_ratio", &labels), Some(0.75));
    assert_eq!(test.gauge("risk_limit_used", &labels), Some(0.05));
    assert_eq!(test.gauge("risk_limit_allowed", &labels), Some(0.20));
    risk.headroom("main", "sector_tech", 0.05, 0.0);
    assert!(
        test.gauge("risk_limit_headroom_ratio", &labels)
            .unwrap()
            .is_nan()
    );

    risk.compliance(ComplianceRule::GoodFaith, ComplianceAction::Blocked);
    let labels = [("rule", "good_faith"), ("action", "blocked")];
    assert_eq!(
        test.counter("risk_compliance_events_total", &labels),
        Some(1)
    );

    risk.pdt(PdtAction::Avoided);
    let labels = [("action", "avoided")];
    assert_eq!(test.counter("risk_pdt_events_total", &labels), Some(1));

    risk.day_trades_remaining("margin", Some(2));
    let labels = [("account", "margin")];
    assert_eq!(test.gauge("risk_day_trades_remaining", &labels), Some(2.0));
}

#[test]
fn positions_are_sized_by_confidence() {
    let test = TestRecorder::new();
    let risk = test.run(|| Risk::with_bands(ConfidenceBands::new(0.5, 0.8).unwrap()));
    for (share, confidence) in [
        (0.02, 0.49),
        (0.05, 0.5),
        (0.06, 0.79),
        (-0.10, 0.8),
        (0.2, 1.0),
        (1.5, 0.9), // with leverage
    ] {
        risk.position("crossover", share, confidence);
    }
    let sizes = |band| {
        let labels = [("strategy", "crossover"), ("confidence", band)];
        test.samples("risk_position_size_ratio", &labels).unwrap()
    };
    assert_eq!(sizes("low"), [0.02]);
    assert_eq!(sizes("medium"), [0.05, 0.06]);
    assert_eq!(sizes("high"), [0.10, 0.2, 1.5]);
}

#[test]
fn what_is_no_position_is_dropped_and_counted() {
    let (test, risk) = desk();
    for (share, confidence) in [(1e7, 0.9), (f64::NAN, 0.9), (0.1, f64::NAN), (0.1, 1.1)] {
        risk.position("crossover", share, confidence);
    }
    let labels = [("metric", "risk_position_size_ratio")];
    assert_eq!(test.counter("obs_samples_rejected_total", &labels), Some(4));
    for (medium, high) in [(0.8, 0.5), (-0.1, 0.5), (0.5, 1.1), (f64::NAN, 0.5)] {
        let refused = ConfidenceBands::new(medium, high).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("the confidence bands start at")
        );
    }
}

struct Guarded {
    test: TestRecorder,
    limits: Limits,
}

impl Guarded {
    fn new() -> Self {
        let (test, risk) = desk();
        let limits = limits(&risk);
        Self { test, limits }
    }

    fn hits(&self, name: &str) -> u64 {
        self.test
            .counter(
                "risk_limit_hits_total",
                &[("account", "main"), ("limit", name)],
            )
            .unwrap()
    }

    fn shown(&self, name: &str) -> f64 {
        self.test
            .gauge(
                "risk_limit_headroom_ratio",
                &[("account", "main"), ("limit", name)],
            )
            .unwrap()
    }
}

fn limits(risk: &Risk) -> Limits {
    set(Limits::new(risk, "main"))
}

fn set(limits: Limits) -> Limits {
    let set = |limits: Limits| {
        limits
            .max_position(0.10)?
            .daily_loss(0.25)?
            .drawdown(0.50)?
            .own("sector_tech", 0.25)
    };
    set(limits).unwrap()
}

const MONDAY: Date = date(2026, 3, 2);
const TUESDAY: Date = date(2026, 3, 3);

#[test]
fn a_check_refuses_what_goes_beyond_a_limit() {
    let desk = Guarded::new();
    assert_eq!(desk.limits.check(limit::MAX_POSITION, 0.10), Ok(()));
    // A position of a tenth that division made a little more.
    assert_eq!(desk.limits.check(limit::MAX_POSITION, 0.1 + 1e-16), Ok(()));
    let hit = desk.limits.check(limit::MAX_POSITION, -0.11).unwrap_err();
    assert_eq!(hit.reason, RejectReason::PositionLimit);
    assert_eq!((hit.used, hit.allowed), (-0.11, 0.10));
    assert!(
        hit.to_string()
            .starts_with("limit max_position allows 0.1, not -0.11")
    );
    assert_eq!(desk.hits("max_position"), 1);
    assert!(desk.shown("max_position").is_nan()); // nothing is used yet
    assert_eq!(Error::from(hit).reason(), RejectReason::PositionLimit);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let mut desk = Guarded::new();
    for used in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(desk.limits.check(limit::MAX_POSITION, used).is_err());
        assert!(desk.limits.observe(limit::MAX_POSITION, used).is_err());
        assert!(desk.shown("max_position").is_nan());
    }
    let unknown = desk.limits.check("sector_tehc", 0.01).unwrap_err();
    assert!(
        unknown
            .to_string()
            .starts_with("limit sector_tehc was never set")
    );
    let undefined = desk.limits.check("sector_tech", f64::NAN).unwrap_err();
    assert!(
        undefined
            .to_string()
            .contains("cannot be judged: NaN is used")
    );
    assert!(desk.limits.check_losses().is_err()); // not marked yet
    assert!(desk.limits.mark(MONDAY, f64::NAN).is_err());
    assert_eq!(desk.limits.mark(MONDAY, 100.0), Ok(()));
    assert!(desk.limits.mark(MONDAY, f64::NAN).is_err());
    assert_eq!(desk.limits.mark(MONDAY, 90.0), Ok(()));
    assert!(desk.limits.cash_flow(f64::NAN).is_err());
    for allowed in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let refused = Limits::new(&Risk::new(), "main")
            .drawdown(allowed)
            .unwrap_err();
        assert!(refused.to_string().contains("positive, finite number"));
    }
}

#[test]
fn losses_are_measured_from_the_days_start_and_the_peak() {
    let mut desk = Guarded::new();
    let mark = |desk: &mut Guarded, day, equity| {
        let verdict = desk.limits.mark(day, equity);
        (
            verdict.is_ok(),
            desk.shown("daily_loss"),
            desk.shown("drawdown"),
        )
    };
    assert_eq!(mark(&mut desk, MONDAY, 100.0), (true, 1.0, 1.0));
    assert_eq!(mark(&mut desk, MONDAY, 200.0), (true, 1.0, 1.0));
    assert_eq!(mark(&mut desk, MONDAY, 100.0), (true, 1.0, 0.0)); // half of the peak is gone, none of the day's start
    assert_eq!(mark(&mut desk, TUESDAY, 150.0), (true, 1.0, 0.5));
    assert_eq!(mark(&mut desk, TUESDAY, 75.0), (false, 0.0, -0.25)); // from Monday's last 100
    assert_eq!((desk.hits("daily_loss"), desk.hits("drawdown")), (0, 1));
    assert_eq!(mark(&mut desk, TUESDAY, 50.0), (false, -1.0, -0.5));
    assert_eq!((desk.hits("daily_loss"), desk.hits("drawdown")), (1, 1)); // still beyond: counted once
    assert!(desk.limits.check_losses().is_err());
    assert_eq!((desk.hits("daily_loss"), desk.hits("drawdown")), (2, 1)); // a trade was refused
    let wednesday = date(2026, 3, 4);
    assert_eq!(mark(&mut desk, wednesday, 50.0), (false, 1.0, -0.5)); // a new day, the same drawdown
}

/// What a clock that is wrong says of the day, and the share of it that is lost.
#[test]
fn no_loss_is_forgiven_when_the_clock_jumps_over_midnight_and_back() {
    let wednesday = date(2026, 3, 4);
    // A tenth may be lost, as of 1,000; the drawdown is not asked.
    let (test, risk) = desk();
    let mut limits = Limits::new(&risk, "main").daily_loss(0.1).unwrap();
    let mut mark = |day, equity| {
        let verdict = limits.mark(day, equity);
        assert_eq!(limits.check_losses(), verdict);
        verdict.map_err(|hit| (hit.used * 1000.0).round())
    };
    assert_eq!(mark(MONDAY, 1000.0), Ok(()));
    assert_eq!(mark(MONDAY, 950.0), Ok(()));
    assert_eq!(mark(TUESDAY, 940.0), Ok(())); // the clock jumps ahead,
    assert_eq!(mark(TUESDAY, 900.0), Ok(()));
    assert_eq!(mark(MONDAY, 890.0), Err(110.0)); // and back: it is all one day's loss
    assert_eq!(mark(MONDAY, 920.0), Ok(()));
    assert_eq!(mark(TUESDAY, 860.0), Ok(())); // midnight: from Tuesday's first start of 950, 9.5 %
    assert_eq!(mark(TUESDAY, 850.0), Err(105.0));
    // Two clocks, on both sides of midnight.
    assert_eq!(mark(MONDAY, 850.0), Err(150.0));
    assert_eq!(mark(TUESDAY, 850.0), Err(105.0));
    assert_eq!(mark(MONDAY, 850.0), Err(150.0));
    // The next day begins as any other.
    assert_eq!(mark(wednesday, 840.0), Ok(()));
    // A clock that was years ahead is followed back, and the day after it begins as any other.
    assert_eq!(mark(date(2036, 1, 1), 830.0), Ok(()));
    assert_eq!(mark(wednesday, 760.0), Err(106.0));
    assert_eq!(mark(date(2026, 3, 5), 755.0), Ok(()));
    assert_eq!(
        test.counter(
            "risk_limit_hits_total",
            &[("account", "main"), ("limit", "daily_loss")]
        ),
        Some(9), // six refused, three found beyond
    );
}

/// What was kept before the other day was.
#[test]
fn a_state_of_before_is_read() {
    let kept = r#"{"marks":{"day":"2026-03-02","start":1000.0,"peak":1000.0,"last":950.0},"used":{"daily_loss":0.05}}"#;
    let (_test, risk) = desk();
    let kept = serde_json::from_str(kept).unwrap();
    let mut limits = Limits::restore(&risk, "main", kept)
        .daily_loss(0.1)
        .unwrap();
    assert!(limits.mark(MONDAY, 899.0).is_err());
}

#[test]
fn paying_in_and_out_is_neither_gain_nor_loss() {
    let mut desk = Guarded::new();
    desk.limits.mark(MONDAY, 100.0).unwrap();
    desk.limits.cash_flow(-60.0).unwrap();
    assert_eq!(desk.limits.mark(MONDAY, 40.0), Ok(()));
    assert_eq!(
        (desk.shown("daily_loss"), desk.shown("drawdown")),
        (1.0, 1.0)
    );
    assert!(desk.limits.mark(MONDAY, 20.0).is_err());
    assert_eq!(desk.shown("daily_loss"), -1.0);
}

/// What was lost stays lost, and no more is: a withdrawal is no loss, a deposit no pardon.
#[test]
fn money_that_comes_and_goes_leaves_the_losses_what_they_are() {
    let (test, risk) = desk();
    let shown = |name| {
        let labels = [("account", "main"), ("limit", name)];
        (test.gauge("risk_limit_used", &labels).unwrap() * 1e4).round() / 1e4
    };
    let guarded = |daily_loss, drawdown| {
        let limits = Limits::new(&risk, "main");
        limits
            .daily_loss(daily_loss)
            .unwrap()
            .drawdown(drawdown)
            .unwrap()
    };
    // Peak 100k, equity 80k, and 70k are withdrawn: as money, two thirds of the peak are gone.
    let mut limits = guarded(0.3, 0.25);
    limits.mark(MONDAY, 100_000.0).unwrap();
    limits.mark(MONDAY, 80_000.0).unwrap();
    limits.cash_flow(-70_000.0).unwrap();
    assert_eq!((shown("daily_loss"), shown("drawdown")), (0.2, 0.2));
    assert_eq!(limits.mark(MONDAY, 10_000.0), Ok(()));
    assert!(limits.mark(MONDAY, 7_000.0).is_err());

    // 76k below a peak of 100k, and 300k are paid in.
    let mut limits = guarded(0.3, 0.2);
    limits.mark(MONDAY, 100_000.0).unwrap();
    limits.mark(MONDAY, 76_000.0).unwrap_err();
    limits.cash_flow(300_000.0).unwrap();
    assert_eq!(shown("drawdown"), 0.24);
    assert!(limits.mark(MONDAY, 376_000.0).is_err());

    // Everything is withdrawn and paid in again: the losses wait.
    limits.cash_flow(-376_000.0).unwrap();
    assert_eq!(shown("drawdown"), 0.24);
    limits.mark(TUESDAY, 0.0).unwrap_err();
    limits.cash_flow(50_000.0).unwrap();
    assert_eq!((shown("daily_loss"), shown("drawdown")), (0.0, 0.24));
    let error = limits.cash_flow(-50_001.0).unwrap_err();
    assert!(matches!(error, Error::NotThere { .. }), "{error}");

    // Everything is lost: new money begins a new peak, and trades tomorrow.
    limits.mark(TUESDAY, -10.0).unwrap_err();
    limits.cash_flow(1_010.0).unwrap();
    assert_eq!(shown("drawdown"), 0.0);
    assert!(limits.mark(TUESDAY, 1_000.0).is_err());
    assert_eq!(limits.mark(date(2026, 3, 4), 990.0), Ok(()));
    assert_eq!(shown("daily_loss"), 0.01);
}

#[test]
fn a_restart_keeps_the_day_and_the_peak() {
    let mut before = Guarded::new();
    before.limits.mark(MONDAY, 100.0).unwrap();
    before.limits.mark(MONDAY, 70.0).unwrap_err();
    before.limits.observe("sector_tech", 0.125).unwrap();
    let saved = kept(&before.limits.save());

    let (test, risk) = desk();
    let mut after = Guarded {
        test,
        limits: set(Limits::restore(&risk, "main", saved)),
    };
    assert_eq!(after.shown("sector_tech"), 0.5);
    assert!(after.limits.check_losses().is_err()); // the loss of the morning still counts
    assert!(after.limits.mark(MONDAY, 69.0).is_err());
    assert_eq!(after.hits("daily_loss"), 1); // the refused trade; not the loss a second time
    assert_eq!(after.limits.mark(TUESDAY, 70.0), Ok(()));
}

#[test]
fn exits_survive_a_restart() {
    let plan = |price| {
        let mut plan = ExitPlan::new(Side::Sell, 100.0).and_then(|plan| plan.trailing(0.25))?;
        plan.on_price(price);
        Ok::<_, Error>(plan)
    };
    let mut plan = kept(&plan(40.0).unwrap());
    assert_eq!(plan.on_price(49.9), None);
    assert_eq!(plan.on_price(50.0), Some(Trigger::TrailingStop));
}

#[test]
fn state_names_what_it_cannot_read() {
    let text = r#"{"side":"hold","entry":1.0,"best":1.0,"stop_loss":null,"take_profit":null,"trailing":null}"#;
    let error = serde_json::from_str::<ExitPlan>(text).unwrap_err();
    assert!(error.to_string().contains("use one of `buy`, `sell`"));
}

const SYMBOLS: [&str; 3] = ["ABC", "DEF", "XYZ"];

/// An execution, after some business days.
#[derive(Clone, Copy, Debug)]
struct Fill {
    days_later: u32,
    symbol: usize,
    side: Side,
    quantity: u8,
}

fn fills() -> impl Strategy<Value = Vec<Fill>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let days = prop_oneof![6 => Just(0), 3 => Just(1u32), 1 => 2..7u32];
    let fill = (days, 0..SYMBOLS.len(), side, 1..4u8);
    let fill = fill.prop_map(|(days_later, symbol, side, quantity)| Fill {
        days_later,
        symbol,
        side,
        quantity,
    });
    prop::collection::vec(fill, 0..60)
}

fn calendar() -> Calendar {
    Calendar::weekdays(TimeZone::UTC).with_holidays([
        date(2026, 3, 5),
        date(2026, 3, 9),
        date(2026, 4, 3),
    ])
}

fn dated(fills: &[Fill]) -> Vec<(Date, Fill)> {
    let calendar = calendar();
    let mut day = MONDAY;
    let dated = fills.iter().map(|fill| {
        day = calendar.after(day, fill.days_later);
        (day, *fill)
    });
    dated.collect()
}

/// Day trades and runs of one day, by going through all of a symbol's executions one share at a time.
fn day_of_model(history: &[(Date, Fill)], day: Date) -> (u32, u32) {
    let (mut day_trades, mut runs) = (0, 0);
    for symbol in 0..SYMBOLS.len() {
        let own = history.iter().filter(|(_, fill)| fill.symbol == symbol);
        let shares = own.flat_map(|(date, fill)| {
            std::iter::repeat_n((*date, fill.side), usize::from(fill.quantity))
        });
        let (mut position, mut armed, mut last) = (0i32, None, None);
        for (date, side) in shares {
            let step = if side == Side::Buy { 1 } else { -1 };
            if date == day && last != Some((date, side)) {
                runs += 1;
            }
            last = Some((date, side));
            if position * step >= 0 {
                armed = Some(date);
            } else {
                day_trades += u32::from(armed == Some(date) && date == day);
                armed = None;
            }
            position += step;
        }
    }
    (day_trades, runs)
}

fn window_of_model(history: &[(Date, Fill)], day: Date) -> (u32, u32) {
    let calendar = calendar();
    // The five days, counted out one by one.
    let mut days = vec![];
    let mut at = day;
    while days.len() < 5 {
        if calendar.is_trading_day(at) {
            days.push(at);
        }
        at = at.yesterday().unwrap();
    }
    let counts = days.iter().map(|day| day_of_model(history, *day));
    counts.fold((0, 0), |sum, day| (sum.0 + day.0, sum.1 + day.1))
}

fn day_trades(risk: &Risk) -> DayTrades {
    day_trades_under(DayTradeRule::default(), risk)
}

fn day_trades_under(rule: DayTradeRule, risk: &Risk) -> DayTrades {
    DayTrades::new(risk, "margin", rule, calendar())
}

/// An event in the life of a cash account.
#[derive(Clone, Copy, Debug)]
enum Event {
    Deposit(i64),
    Withdraw(i64),
    Buy(usize, u8, i64),
    Sell(usize, u8, i64),
}

fn events() -> impl Strategy<Value = Vec<(u32, Event)>> {
    let cents = 0..5_000i64;
    let event = prop_oneof![
        1 => cents.clone().prop_map(Event::Deposit),
        1 => cents.clone().prop_map(Event::Withdraw),
        4 => (0..SYMBOLS.len(), 1..4u8, cents.clone()).prop_map(|(s, q, c)| Event::Buy(s, q, c)),
        4 => (0..SYMBOLS.len(), 1..4u8, cents).prop_map(|(s, q, c)| Event::Sell(s, q, c)),
    ];
    let days = prop_oneof![4 => Just(0), 2 => Just(1u32), 1 => 2..4u32];
    prop::collection::vec((days, event), 0..80)
}

fn cash_account(risk: &Risk) -> CashAccount {
    CashAccount::new(
        risk,
        Currency::USD,
        CashRule::default(),
        SettlementDays::same(calendar()),
    )
}

fn usd(cents: i64) -> Money {
    Money::of_minor(cents, 2, Currency::USD)
}

/// Books the event where it can be booked. Returns what it brings the account.
fn book(account: &mut CashAccount, event: Event, day: Date) -> i64 {
    match event {
        Event::Deposit(cents) => account.deposit(usd(cents), day).map(|()| cents),
        Event::Withdraw(cents) => account.withdraw(usd(cents), day).map(|()| -cents),
        Event::Buy(symbol, quantity, cents) => account
            .buy(SYMBOLS[symbol], f64::from(quantity), usd(cents), day)
            .map(|_| -cents),
        Event::Sell(symbol, quantity, cents) => account
            .sell(SYMBOLS[symbol], f64::from(quantity), usd(cents), day)
            .map(|_| cents),
    }
    .unwrap_or(0)
}

fn counters(test: &TestRecorder) -> BTreeMap<String, u64> {
    let counted = test.snapshot().into_iter().filter_map(|recorded| {
        let labels = format!("{}{:?}", recorded.name, recorded.labels);
        match recorded.value {
            obs_core::TestValue::Counter(count) => Some((labels, count)),
            _ => None,
        }
    });
    counted.collect()
}

proptest! {
    #[test]
    fn day_trades_agree_with_a_model_that_keeps_everything(
        fills in fills(),
        // Shares about as large as random trading makes them, so that both sides occur.
        share in prop_oneof![Just(0.06), 0.1..0.5f64],
    ) {
        let (test, risk) = desk();
        let rule = DayTradeRule { share, ..DayTradeRule::default() };
        let mut account = day_trades_under(rule, &risk);
        let dated = dated(&fills);
        let (mut violated, mut warned) = (0, 0);
        for (i, (day, fill)) in dated.iter().enumerate() {
            let symbol = SYMBOLS[fill.symbol];
            let foretold = account.would_be_day_trade(symbol, fill.side, *day);
            let before = window_of_model(&dated[..i], *day).0;
            let is_day_trade = account
                .fill(symbol, fill.side, f64::from(fill.quantity), *day)
                .unwrap();
            let (count, runs) = window_of_model(&dated[..=i], *day);
            prop_assert_eq!(foretold, is_day_trade);
            prop_assert_eq!(before + u32::from(is_day_trade), count);
            prop_assert_eq!(account.day_trades(*day), count);
            prop_assert_eq!(account.remaining(*day), Some(3u32.saturating_sub(count)));
            let is_pattern = count >= 4 && f64::from(count) > share * f64::from(runs);
            prop_assert_eq!(account.is_pattern(*day), is_pattern);
            violated += u64::from(is_day_trade && is_pattern);
            warned += u64::from(is_day_trade && !is_pattern && count >= 3);
        }
        let events = |action| test.counter("risk_pdt_events_total", &[("action", action)]);
        prop_assert_eq!(events("violated"), Some(violated));
        prop_assert_eq!(events("warned"), Some(warned));
    }

    #[test]
    fn who_follows_the_checks_makes_no_pattern(fills in fills()) {
        let (test, risk) = desk();
        let mut account = day_trades(&risk);
        for (day, fill) in dated(&fills) {
            let symbol = SYMBOLS[fill.symbol];
            if account.check(symbol, fill.side, day).is_ok() {
                account.fill(symbol, fill.side, f64::from(fill.quantity), day).unwrap();
            }
        }
        let violated = test.counter("risk_pdt_events_total", &[("action", "violated")]);
        prop_assert_eq!(violated, Some(0));
    }

    #[test]
    fn day_trades_survive_a_restart_at_any_point(fills in fills(), at in any::<prop::sample::Index>()) {
        let dated = dated(&fills);
        let (whole_test, risk) = desk();
        let mut whole = day_trades(&risk);
        let (first_test, risk) = desk();
        let mut first = day_trades(&risk);
        let (rest_test, risk) = desk();
        let fill = |account: &mut DayTrades, (day, fill): &(Date, Fill)| {
            account.fill(SYMBOLS[fill.symbol], fill.side, f64::from(fill.quantity), *day).unwrap();
        };
        let cut = at.index(dated.len() + 1);
        for event in &dated {
            fill(&mut whole, event);
        }
        for event in &dated[..cut] {
            fill(&mut first, event);
        }
        let mut rest = DayTrades::restore(&risk, "margin", DayTradeRule::default(), calendar(), kept(&first.save()));
        for event in &dated[cut..] {
            fill(&mut rest, event);
        }
        prop_assert_eq!(rest.save(), whole.save());
        let gauge = |test: &TestRecorder| test.gauge("risk_day_trades_remaining", &[("account", "margin")]);
        prop_assert_eq!(gauge(&rest_test), gauge(&whole_test));
        let (mut sum, rest) = (counters(&first_test), counters(&rest_test));
        for (series, count) in rest {
            *sum.entry(series).or_default() += count;
        }
        prop_assert_eq!(sum, counters(&whole_test));
    }

    #[test]
    fn cash_is_neither_made_nor_lost(events in events()) {
        let (_, risk) = desk();
        let mut account = cash_account(&risk);
        let (mut day, mut booked) = (MONDAY, 0);
        for (days_later, event) in events {
            day = calendar().after(day, days_later);
            booked += book(&mut account, event, day);
            let money = [account.settled(day), account.unsettled(day), account.owed()];
            let [settled, unsettled, owed] = money.map(Money::decimal);
            let zero = Decimal::ZERO;
            prop_assert!(settled >= zero && unsettled >= zero && owed >= zero);
            prop_assert_eq!(settled + unsettled - owed, Decimal::of_minor(booked, 2));
            prop_assert!(owed == zero || settled + unsettled == zero, "money pays what is owed first");
            // A week on, everything has settled.
            let later = calendar().after(day, 5);
            prop_assert_eq!(account.settled(later).decimal(), settled + unsettled);
            prop_assert_eq!(account.unsettled(later), usd(0));
        }
    }

    #[test]
    fn who_follows_the_checks_breaks_no_rule(events in events()) {
        let (test, risk) = desk();
        let mut account = cash_account(&risk);
        let mut day = MONDAY;
        for (days_later, event) in events {
            day = calendar().after(day, days_later);
            let allowed = match event {
                Event::Buy(_, _, cost) => account.check_buy(usd(cost), day).is_ok(),
                Event::Sell(symbol, quantity, _) => {
                    account.check_sell(SYMBOLS[symbol], f64::from(quantity), day).is_ok()
                }
                _ => true,
            };
            if allowed {
                book(&mut account, event, day);
            }
        }
        prop_assert_eq!(account.owed(), usd(0));
        prop_assert_eq!(test.counter_sum("risk_compliance_events_total", &[("action", "violated")]), 0);
    }

    #[test]
    fn a_check_foretells_what_a_trade_breaks(events in events()) {
        let (_, risk) = desk();
        let mut account = cash_account(&risk);
        let mut day = MONDAY;
        for (days_later, event) in events {
            day = calendar().after(day, days_later);
            if let Event::Sell(symbol, quantity, cents) = event {
                let (symbol, quantity) = (SYMBOLS[symbol], f64::from(quantity));
                let check = account.check_sell(symbol, quantity, day);
                if let Ok(broken) = account.sell(symbol, quantity, usd(cents), day) {
                    let own = |rule: &&ComplianceRule| **rule != ComplianceRule::UnsettledFunds;
                    let foretold = match check {
                        Err(Error::Compliance { rule, .. }) => Some(rule),
                        _ => None,
                    };
                    prop_assert_eq!(broken.iter().find(own).copied(), foretold);
                }
            } else {
                book(&mut account, event, day);
            }
        }
    }

    #[test]
    fn cash_survives_a_restart_at_any_point(events in events(), at in any::<prop::sample::Index>()) {
        let (whole_test, risk) = desk();
        let mut whole = cash_account(&risk);
        let (parts_test, risk) = desk();
        let mut parts = cash_account(&risk);
        let cut = at.index(events.len() + 1);
        let mut day = MONDAY;
        for (i, (days_later, event)) in events.iter().enumerate() {
            day = calendar().after(day, *days_later);
            if i == cut {
                let days = SettlementDays::same(calendar());
                parts = CashAccount::restore(&risk, Currency::USD, CashRule::default(), days, kept(&parts.save())).unwrap();
            }
            book(&mut whole, *event, day);
            book(&mut parts, *event, day);
        }
        prop_assert_eq!(parts.save(), whole.save());
        prop_assert_eq!(counters(&parts_test), counters(&whole_test));
    }

    /// Whichever events come late, by up to five days: the account is what it would be in the order of days, and no violation is lost.
    #[test]
    fn late_events_leave_what_order_would_have(events in events(), late in prop::collection::vec(0..6u32, 80)) {
        let mut day = MONDAY;
        let mut dated: Vec<_> = events.into_iter().map(|(days_later, event)| {
            day = calendar().after(day, days_later);
            (day, event)
        }).filter(|(_, event)| !matches!(event, Event::Withdraw(_))).collect();
        let account = |risk| {
            let mut account = cash_account(risk);
            for symbol in SYMBOLS {
                account.hold(symbol, 1_000.0).unwrap();
            }
            account
        };
        let (ordered_test, risk) = desk();
        let mut ordered = account(&risk);
        for (day, event) in &dated {
            book(&mut ordered, *event, *day);
        }
        // By when they arrive; those of one day in their own order.
        let until = dated.last().map_or(MONDAY, |(day, _)| *day);
        let mut arrivals: BTreeMap<Date, u32> = BTreeMap::new();
        for ((day, _), late) in dated.iter().zip(late) {
            arrivals.entry(*day).or_insert(late);
        }
        let arrival = |day: Date| day.saturating_add(jiff::Span::new().days(arrivals[&day])).min(until.max(day));
        dated.sort_by_key(|(day, _)| arrival(*day));
        let (shuffled_test, risk) = desk();
        let mut shuffled = account(&risk);
        for (day, event) in &dated {
            prop_assert!(book(&mut shuffled, *event, *day) != 0 || matches!(event, Event::Deposit(0) | Event::Buy(_, _, 0) | Event::Sell(_, _, 0)));
        }
        prop_assert_eq!(shuffled.save(), ordered.save());
        for rule in ["good_faith", "free_riding", "unsettled_funds"] {
            let violated = |test: &TestRecorder| test.counter("risk_compliance_events_total", &[("rule", rule), ("action", "violated")]);
            prop_assert!(violated(&shuffled_test) >= violated(&ordered_test), "{rule}");
        }
    }

    /// What a limit calls lost is what the ledger calls drawdown, whatever money comes and goes.
    #[test]
    fn limits_and_ledger_agree_about_the_drawdown(
        start in 1_000.0..1e6f64,
        steps in proptest::collection::vec((-0.6..0.5f64, prop_oneof![3 => Just(0.0), 1 => -0.999..3.0f64]), 1..80),
    ) {
        let (_, risk) = desk();
        let mut limits = Limits::new(&risk, "main").drawdown(0.5).unwrap();
        let conventions = Conventions::new(
            Basis::PeriodReturns, Valuation::Marks, PeriodsPerYear::EVERY_DAY, Calendar::every_day(TimeZone::UTC),
        );
        let usd = |amount| Money::new(amount, Currency::USD);
        let mut ledger = Ledger::new(conventions.unwrap(), usd(start)).unwrap();
        let (mut equity, mut day) = (usd(start).amount(), MONDAY);
        limits.mark(day, equity).unwrap();
        for (change, flow) in steps {
            day = day.tomorrow().unwrap();
            let noon = day.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).unwrap().timestamp();
            equity = usd(equity * (1.0 + change)).amount();
            ledger.mark_equity(noon, usd(equity)).unwrap();
            let _ = limits.mark(day, equity);
            let amount = usd(equity * flow).amount();
            ledger.transfer(noon, usd(amount)).unwrap();
            limits.cash_flow(amount).unwrap();
            equity += amount;
            // Money has twelve decimals, which are too few for shares of less.
            if equity < 0.01 {
                break;
            }
            let lost = -ledger.drawdown_ratio();
            let left = limits.headroom(limit::DRAWDOWN).unwrap();
            prop_assert!((left - (1.0 - lost / 0.5)).abs() < 1e-9, "{left} of {lost}");
        }
    }

    #[test]
    fn the_verdict_is_the_sign_of_the_headroom(
        used in prop_oneof![-3.0..3.0f64, Just(f64::NAN), Just(0.25), Just(f64::INFINITY)],
        allowed in prop_oneof![0.01..2.0f64, Just(0.25)],
    ) {
        let (test, risk) = desk();
        let mut limits = Limits::new(&risk, "main").own("own", allowed).unwrap();
        let verdict = limits.check("own", used).is_ok();
        prop_assert_eq!(limits.observe("own", used).is_ok(), verdict);
        let shown = test.gauge("risk_limit_headroom_ratio", &[("account", "main"), ("limit", "own")]).unwrap();
        prop_assert_eq!(shown >= 0.0, verdict);
        prop_assert_eq!(limits.headroom("own").is_some(), !shown.is_nan());
        if used.is_finite() {
            prop_assert!(shown <= 1.0);
            let is_close = (used.abs() / allowed - 1.0).abs() < 1e-8;
            prop_assert!(is_close || (used.abs() <= allowed) == verdict);
        }
    }

    #[test]
    fn limits_survive_a_restart_at_any_point(
        marks in prop::collection::vec((-1..2i32, -20..200i32, 0..40u32), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        let mut whole = Guarded::new();
        let mut parts = Guarded::new();
        let cut = at.index(marks.len());
        let mut day = MONDAY;
        for (i, (days_later, equity, sector)) in marks.iter().enumerate() {
            // A clock that is set right goes back.
            let step = if *days_later < 0 { Calendar::before } else { Calendar::after };
            day = step(&calendar(), day, days_later.unsigned_abs());
            if i == cut {
                let saved = kept(&parts.limits.save());
                let risk = parts.test.run(Risk::new);
                parts.limits = set(Limits::restore(&risk, "main", saved));
            }
            let (equity, sector) = (f64::from(*equity), f64::from(*sector) / 100.0);
            let verdicts = [&mut whole, &mut parts].map(|desk| {
                let verdict = desk.limits.mark(day, equity).is_ok();
                (verdict, desk.limits.observe("sector_tech", sector).is_ok())
            });
            prop_assert_eq!(verdicts[0], verdicts[1]);
        }
        prop_assert_eq!(whole.limits.save(), parts.limits.save());
        prop_assert_eq!(counters(&whole.test), counters(&parts.test));
        for name in ["daily_loss", "drawdown", "sector_tech"] {
            let (a, b) = (whole.shown(name), parts.shown(name));
            prop_assert!(a == b || a.is_nan() && b.is_nan());
        }
    }

    #[test]
    fn a_plan_restored_at_any_point_goes_on_as_if_never_kept(
        prices in prop::collection::vec(1.0..200.0f64, 1..40),
        at in any::<prop::sample::Index>(),
        is_long in any::<bool>(),
    ) {
        let side = if is_long { Side::Buy } else { Side::Sell };
        let plan = |plan: ExitPlan| plan.stop_loss(0.3)?.take_profit(0.4)?.trailing(0.2);
        let mut whole = ExitPlan::new(side, 100.0).and_then(plan).unwrap();
        let mut parts = whole.clone();
        let cut = at.index(prices.len());
        for (i, price) in prices.iter().enumerate() {
            if i == cut {
                parts = kept(&parts);
            }
            prop_assert_eq!(whole.on_price(*price), parts.on_price(*price));
        }
        prop_assert_eq!(whole, parts);
    }
}
