//! What is recorded comes out: leaves, axes, budgets, refusals.

use std::sync::Arc;
use std::time::Duration;

use obs_core::{
    Admission, Budgeted, By, Catalogue, Closed, Counter, Each, Gauge, Histogram, Kind, Late,
    MAX_VALUE_BYTES, Summary, TestRecorder, TimeCounter, Unit, buckets,
};

obs_core::label! {
    /// Buy or sell.
    pub enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::label! {
    /// What is traded.
    pub open Symbol as "symbol" up to 500
}
obs_core::label! {
    /// Where orders go.
    pub open Venue as "venue" up to 3
}
obs_core::families! {
    /// Orders of one venue.
    pub struct OrderMetrics(venue: Venue) {
        /// Orders handed to the venue,
        /// whatever became of them.
        ///
        /// Not part of the help.
        pub orders: By<Side, Counter> = "desk_orders_total",
        /// Trades taken.
        pub trades: Each<Symbol, By<Side, Counter>> = "desk_trades_total",
        /// Time to the last fill.
        pub fill: Late<Side, Histogram> = "desk_fill_seconds" { buckets: buckets::LATENCY },
        /// Confidence of a signal.
        pub confidence: Histogram = "desk_confidence_ratio" { buckets: buckets::SHARE, range: 0.0..=1.0 },
        /// Time at work.
        pub busy: TimeCounter = "desk_busy_seconds_total",
        /// Money held.
        pub balance: Gauge = "desk_balance" { unit: Unit::Currency },
        /// Round trips.
        pub trip: Summary = "desk_trip_seconds",
    }
}

fn built() -> (TestRecorder, OrderMetrics) {
    let test = TestRecorder::new();
    let metrics = test.run(|| OrderMetrics::new("alpaca"));
    (test, metrics)
}

const VENUE: (&str, &str) = ("venue", "alpaca");

#[test]
fn the_declaration_says_everything() {
    assert_eq!(
        OrderMetrics::orders.help(),
        "Orders handed to the venue, whatever became of them."
    );
    assert_eq!(
        (
            OrderMetrics::orders.kind(),
            OrderMetrics::orders.measured_in()
        ),
        (Kind::Counter, Unit::Count)
    );
    let keys: Vec<_> = OrderMetrics::trades
        .labels()
        .map(|label| label.key)
        .collect();
    assert_eq!(keys, ["venue", "symbol", "side"]);
    assert_eq!(
        OrderMetrics::trades
            .scope()
            .map(|label| label.key)
            .collect::<Vec<_>>(),
        ["venue"]
    );
    assert_eq!(OrderMetrics::trades.possible_series(), 4 * 501 * 2);
    assert_eq!(OrderMetrics::trades.series_budget(), 4 * 501 * 2);
    assert_eq!(OrderMetrics::busy.measured_in(), Unit::Seconds);
    assert!(OrderMetrics::busy.is_in_nanoseconds());
    assert_eq!(OrderMetrics::balance.measured_in(), Unit::Currency);
    assert_eq!(OrderMetrics::trip.quantile_levels(), [0.5, 0.9, 0.99]);
    assert_eq!(OrderMetrics::orders.package(), "obs-core");
    assert!(
        OrderMetrics::orders
            .declared_at()
            .0
            .ends_with("tests/recording.rs")
    );
}

#[test]
fn closed_series_exist_from_the_start_and_late_ones_when_used() {
    let (test, metrics) = built();
    assert_eq!(
        test.counter("desk_orders_total", &[VENUE, ("side", "sell")]),
        Some(0)
    );
    assert_eq!(test.series("desk_fill_seconds"), 0);
    metrics.fill[Side::Sell].record(Duration::from_millis(250));
    assert_eq!(
        test.samples("desk_fill_seconds", &[("side", "sell"), VENUE]),
        Some(vec![0.25])
    );
    assert_eq!(test.series("desk_fill_seconds"), 1);
}

#[test]
fn an_open_label_folds_beyond_its_budget_and_the_total_stays_exact() {
    let (test, metrics) = built();
    for n in 0..100_000 {
        metrics.trades.of(&format!("S{n}"))[Side::ALL[n % 2]].increment(1);
    }
    assert_eq!(metrics.trades.len(), 500);
    assert_eq!(test.series("desk_trades_total"), 501 * 2);
    assert_eq!(test.counter_sum("desk_trades_total", &[]), 100_000);
    assert_eq!(
        test.counter_sum("desk_trades_total", &[("symbol", "other")]),
        99_500
    );
    let overflow = test.counter(
        "obs_series_overflow_total",
        &[("metric", "desk_trades_total")],
    );
    assert_eq!(overflow, Some(99_500));
}

#[test]
fn values_that_name_nothing_fold_too() {
    let (test, metrics) = built();
    let long = "x".repeat(MAX_VALUE_BYTES + 1);
    for symbol in ["", &long, "other"] {
        metrics.trades.of(symbol)[Side::Buy].increment(1);
    }
    assert_eq!(
        test.counter_sum("desk_trades_total", &[("symbol", "other")]),
        3
    );
    // `other` by its own name is not an overflow.
    let overflow = test.counter(
        "obs_series_overflow_total",
        &[("metric", "desk_trades_total")],
    );
    assert_eq!(overflow, Some(2));
}

#[test]
fn what_would_poison_a_sum_is_dropped_and_counted() {
    let (test, metrics) = built();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.1, 0.5] {
        metrics.confidence.record(value);
    }
    metrics.fill[Side::Buy].record(Duration::from_secs(u64::MAX));
    metrics.trip.record(-1.0);
    metrics.busy.add(Duration::MAX);
    metrics.busy.add(Duration::from_nanos(1_500_000_001));
    metrics.balance.set(f64::INFINITY);
    metrics.balance.increment(f64::NAN);
    metrics.balance.set(3.0);
    let rejected = |metric| test.counter("obs_samples_rejected_total", &[("metric", metric)]);

    assert_eq!(
        test.samples("desk_confidence_ratio", &[VENUE]),
        Some(vec![0.5])
    );
    assert_eq!(rejected("desk_confidence_ratio"), Some(5));
    assert_eq!(
        test.samples("desk_fill_seconds", &[VENUE, ("side", "buy")]),
        Some(vec![])
    );
    assert_eq!(rejected("desk_fill_seconds"), Some(1));
    assert_eq!(rejected("desk_trip_seconds"), Some(1));
    assert_eq!(
        test.counter("desk_busy_seconds_total", &[VENUE]),
        Some(1_500_000_001)
    );
    assert_eq!(rejected("desk_busy_seconds_total"), Some(1));
    assert_eq!(test.gauge("desk_balance", &[VENUE]), Some(3.0));
    assert_eq!(rejected("desk_balance"), Some(2));
}

#[test]
fn undefined_is_not_a_number_and_what_is_in_flight_always_lands() {
    let (test, metrics) = built();
    metrics.balance.set_undefined();
    assert!(
        test.gauge("desk_balance", &[VENUE])
            .is_some_and(f64::is_nan)
    );
    metrics.balance.set(0.0);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _under_way = metrics.balance.in_flight();
        assert_eq!(test.gauge("desk_balance", &[VENUE]), Some(1.0));
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert_eq!(test.gauge("desk_balance", &[VENUE]), Some(0.0));
}

#[test]
fn scopes_beyond_their_limit_fold_and_the_budget_shows_the_series() {
    let test = TestRecorder::new();
    let catalogue = Catalogue::of(&[OrderMetrics::FAMILIES]);
    let budgeted = Budgeted::new(test.clone(), &catalogue);
    let total = metrics::with_local_recorder(&budgeted, || {
        for n in 0..10 {
            OrderMetrics::new(format!("venue {n}")).orders[Side::Buy].increment(1);
        }
        // A family of third-party code, and one over-long label of it.
        metrics::counter!("foreign_total", "path" => "x".repeat(MAX_VALUE_BYTES + 1)).increment(1);
        test.counter_sum("desk_orders_total", &[])
    });
    assert_eq!(total, 10);
    assert_eq!(test.series("desk_orders_total"), 4 * 2);
    assert_eq!(
        test.counter_sum("desk_orders_total", &[("venue", "other")]),
        7
    );
    assert_eq!(
        test.gauge("obs_series", &[("metric", "desk_orders_total")]),
        Some(8.0)
    );
    assert_eq!(test.counter("foreign_total", &[("path", "other")]), Some(1));
}

#[test]
fn a_scope_that_can_name_no_series_is_counted_as_folded() {
    let test = TestRecorder::new();
    test.run(|| {
        let long = "x".repeat(MAX_VALUE_BYTES);
        for venue in [&*long, "", &format!("{long}x"), "other", "alpaca"] {
            OrderMetrics::new(venue).orders[Side::Buy].increment(1);
        }
    });
    let venue_is_other = [("venue", "other"), ("side", "buy")];
    assert_eq!(test.counter("desk_orders_total", &venue_is_other), Some(3));
    for family in OrderMetrics::FAMILIES {
        let folded = [("metric", family.name())];
        let folded = test.counter("obs_series_overflow_total", &folded);
        assert_eq!(folded, Some(2), "{}", family.name());
    }
}

#[test]
fn names_of_other_peoples_metrics_are_bounded_in_number_and_length() {
    let test = TestRecorder::new();
    let ours = Catalogue::of(&[OrderMetrics::FAMILIES]);
    let catalogue = Catalogue::join([ours, obs_core::catalogue()]).unwrap();
    let budgeted = Budgeted::with(test.clone(), Arc::new(Admission::new(&catalogue, 2)));
    let long = "x".repeat(MAX_VALUE_BYTES + 1);
    metrics::with_local_recorder(&budgeted, || {
        metrics::counter!(long.clone()).increment(100);
        for n in 0..5 {
            metrics::counter!(format!("their_{n}_total")).increment(1);
            metrics::gauge!(format!("their_{n}")).set(1);
            metrics::histogram!(format!("their_{n}_seconds")).record(1.0);
        }
        metrics::counter!("their_0_total", long.clone() => "v").increment(1);
        // What is declared has its place.
        OrderMetrics::new("one").orders[Side::Buy].increment(1);
    });
    assert_eq!(test.counter("other_total", &[]), Some(104));
    assert_eq!(test.gauge("their_0", &[]), Some(1.0));
    assert_eq!(test.counter("their_1_total", &[]), None);
    assert_eq!(test.series("their_0_seconds"), 0);
    assert_eq!(
        test.counter("their_0_total", &[("other", "other")]),
        Some(1)
    );
    assert_eq!(test.counter_sum("desk_orders_total", &[]), 1);
    let overflow = |metric| test.counter("obs_series_overflow_total", &[("metric", metric)]);
    assert_eq!(overflow("other"), Some(1 + 4 + 4 + 5));
    assert_eq!(overflow("their_0_total"), Some(1));
}

#[test]
fn other_peoples_samples_that_are_no_finite_numbers_are_counted() {
    let test = TestRecorder::new();
    let budgeted = Budgeted::new(test.clone(), &Catalogue::default());
    metrics::with_local_recorder(&budgeted, || {
        let samples = metrics::histogram!("their_seconds", "kind" => "a");
        for value in [1.0, f64::NAN, f64::INFINITY] {
            samples.record(value);
        }
    });
    let rejected = test.counter("obs_samples_rejected_total", &[("metric", "their_seconds")]);
    assert_eq!(rejected, Some(2));
    assert_eq!(
        test.samples("their_seconds", &[("kind", "a")]),
        Some(vec![1.0])
    );
}

#[test]
fn a_family_beyond_its_own_budget_keeps_its_closed_labels() {
    obs_core::families! {
        /// A family with a tight budget.
        pub struct Tight {
            /// Trades taken.
            pub trades: Each<Symbol, By<Side, Counter>> = "tight_trades_total" { budget: 6 },
        }
    }
    let test = TestRecorder::new();
    let budgeted = Budgeted::new(test.clone(), &Catalogue::of(&[Tight::FAMILIES]));
    metrics::with_local_recorder(&budgeted, || {
        let tight = Tight::new();
        for n in 0..100 {
            tight.trades.of(&n.to_string())[Side::Buy].increment(1);
        }
    });
    assert_eq!(test.series("tight_trades_total"), 6 + 2);
    assert_eq!(
        test.counter_sum("tight_trades_total", &[("side", "buy")]),
        100
    );
}

#[test]
fn catalogues_join_and_refuse_two_declarations_of_one_name() {
    mod elsewhere {
        obs_core::families! {
            /// The same name again.
            pub struct Again {
                /// Orders, but other ones.
                pub orders: obs_core::Counter = "desk_orders_total",
            }
        }
    }
    let ours = || Catalogue::of(&[OrderMetrics::FAMILIES]);
    let joined =
        Catalogue::join([ours(), ours(), obs_core::catalogue()]).expect("one declaration each");
    assert_eq!(
        joined.families().len(),
        7 + obs_core::catalogue().families().len()
    );
    let theirs = Catalogue::of(&[elsewhere::Again::FAMILIES]);
    let error = Catalogue::join([ours(), theirs]).expect_err("two declarations");
    assert_eq!(error.name, "desk_orders_total");
    assert!(error.to_string().contains("recording.rs"), "{error}");
}

#[test]
fn the_catalogue_describes_itself_to_a_recorder() {
    let test = TestRecorder::new();
    Catalogue::of(&[OrderMetrics::FAMILIES]).describe(&test);
    assert_eq!(
        test.help("desk_trades_total").as_deref(),
        Some("Trades taken.")
    );
}

#[test]
fn one_value_is_recorded_from_many_threads() {
    let (test, metrics) = built();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1_000 {
                    metrics.trades.of(&(n % 700).to_string())[Side::Buy].increment(1);
                }
            });
        }
    });
    assert_eq!(test.counter_sum("desk_trades_total", &[]), 4_000);
    assert_eq!(test.series("desk_trades_total"), 501 * 2);
}

/// A recorder of somebody else's, which panics the first time it is asked for a gauge.
struct PanicsOnce(TestRecorder, std::sync::atomic::AtomicBool);

impl metrics::Recorder for PanicsOnce {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(
        &self,
        key: &metrics::Key,
        metadata: &metrics::Metadata<'_>,
    ) -> metrics::Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(
        &self,
        key: &metrics::Key,
        metadata: &metrics::Metadata<'_>,
    ) -> metrics::Gauge {
        let again = self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(again, "as the test wants it");
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(
        &self,
        key: &metrics::Key,
        metadata: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        self.0.register_histogram(key, metadata)
    }
}

/// The one place where code of others runs under a lock of this crate: it is poisoned, and works all the same.
#[test]
fn budgets_are_kept_over_a_recorder_that_panicked_under_their_lock() {
    let test = TestRecorder::new();
    let catalogue = Catalogue::of(&[OrderMetrics::FAMILIES]);
    let budgeted = Budgeted::new(PanicsOnce(test.clone(), false.into()), &catalogue);
    let count = || {
        metrics::with_local_recorder(&budgeted, || metrics::counter!("their_total").increment(1));
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(count));
    let caught = caught.expect_err("it panics");
    assert_eq!(caught.downcast_ref(), Some(&"as the test wants it"));
    count();
    count();
    assert_eq!(test.counter("their_total", &[]), Some(2));
    let series = test.gauge("obs_series", &[("metric", "their_total")]);
    assert_eq!(series, Some(1.0));
}

obs_core::families! {
    /// What a desk paid.
    pub struct Paid {
        /// Fees paid.
        pub fees: obs_core::MoneyCounter = "desk_fees_total",
    }
}

#[test]
fn money_adds_up_to_less_than_a_millionth() {
    let test = TestRecorder::new();
    let paid = test.run(Paid::new);
    assert_eq!(Paid::FAMILIES[0].measured_in(), Unit::Currency);
    assert_eq!(Paid::FAMILIES[0].decimals(), 6);
    let clone = paid.fees.clone();
    for _ in 0..1_000 {
        paid.fees.add(0.000_000_25);
        clone.add(1.000_000_5);
    }
    assert_eq!(test.counter("desk_fees_total", &[]), Some(1_000_000_750));
    for no_money in [-1.0, f64::NAN, f64::INFINITY, 1e13] {
        paid.fees.add(no_money);
    }
    assert_eq!(test.counter("desk_fees_total", &[]), Some(1_000_000_750));
    let rejected = [("metric", "desk_fees_total")];
    assert_eq!(
        test.counter("obs_samples_rejected_total", &rejected),
        Some(4)
    );
}
