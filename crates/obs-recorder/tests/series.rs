//! Series that come, fold, go, and come back.

use std::sync::Arc;
use std::time::Duration;

use metrics::Recorder;
use obs_core::{
    By, Catalogue, Counter, Each, Gauge, Histogram, Kind, Outcome, Summary, TimeCounter, buckets,
};
use obs_exposition::Exposition;
use obs_recorder::{Engine, Format};

obs_core::label! {
    /// Where orders go.
    pub open Venue as "venue" up to 3
}
obs_core::label! {
    /// Who asks.
    pub open Client as "client" up to 100
}

obs_core::families! {
    /// One family of each kind.
    pub struct Sample(venue: Venue) {
        /// Orders sent.
        pub orders: Counter = "sample_orders_total",
        /// Time spent.
        pub busy: TimeCounter = "sample_busy_seconds_total",
        /// Money held.
        pub balance: Gauge = "sample_balance",
        /// Slippage.
        pub slippage: Histogram = "sample_slippage_bps" { buckets: buckets::SIGNED_BPS },
        /// Time to decide.
        pub decision: Summary = "sample_decision_seconds" { quantiles: &[0.5] },
        /// Requests; those of clients that are gone are forgotten.
        pub requests: Each<Client, Counter> = "sample_requests_total" { idle: Duration::from_millis(1), budget: 5 },
    }
}

obs_core::families! {
    /// What has closed labels only.
    pub struct Fixed {
        /// How it went.
        pub outcomes: By<Outcome, Counter> = "fixed_outcomes_total",
    }
}

fn engine() -> Engine {
    Engine::builder()
        .catalogue(Catalogue::of(&[Sample::FAMILIES]))
        .build()
        .unwrap()
}

fn sample(engine: &Engine, venue: &str) -> Sample {
    // Kept by what is built, for the series that come later.
    let shared: Arc<dyn Recorder + Send + Sync> = Arc::new(engine.clone());
    obs_core::with_recorder(&shared, || Sample::new(venue))
}

fn scrape(engine: &Engine) -> Exposition {
    let text = engine.render(Format::Classic);
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const VENUE: (&str, &str) = ("venue", "alpaca");

#[test]
fn the_order_that_scrapes_keep_is_the_one_a_first_scrape_makes() {
    // Neighbours that begin alike, up to the middle of a character, and one that is the beginning of another.
    let values = [
        "b", "a", "ab", "", "aä", "aö", "ö", "ä", "zz\\n", "zz\"", "z", "äö",
    ];
    let kept = Engine::builder().global_label("zone", "1").build().unwrap();
    let record = |engine: &Engine, value: &'static str, n: u64| {
        metrics::with_local_recorder(engine, || {
            metrics::counter!("order_total", "of" => value).increment(n);
            metrics::gauge!("order", "of" => value, "zone" => "own").set(n as f64);
            metrics::histogram!("order_seconds", "a" => "same", "of" => value).record(n as f64);
            metrics::histogram!("order_size", "b" => value).record(n as f64);
        });
    };
    for (n, value) in (1..).zip(values) {
        record(&kept, value, n);
        scrape(&kept);
    }
    for family in ["order_total", "order", "order_seconds", "order_size"] {
        kept.remove(family, |labels| labels.contains("ä"));
    }
    scrape(&kept);
    for value in ["aä", "c"] {
        record(&kept, value, 20);
    }
    let fresh = Engine::builder().global_label("zone", "1").build().unwrap();
    for (n, value) in (1..).zip(values).filter(|(_, value)| !value.contains('ä')) {
        record(&fresh, value, n);
    }
    for value in ["aä", "c"] {
        record(&fresh, value, 20);
    }
    assert_eq!(kept.render(Format::Classic), fresh.render(Format::Classic));
    assert_eq!(kept.render(Format::Classic), fresh.render(Format::Classic));
}

#[test]
fn what_is_no_finite_number_is_left_out_of_histograms() {
    let engine = engine();
    metrics::with_local_recorder(&engine, || {
        let waits = metrics::histogram!("wait_seconds");
        for value in [0.25, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9] {
            waits.record(value);
        }
    });
    let scrape = scrape(&engine);
    assert_eq!(scrape.value("wait_seconds_count", &[]), Some(2.0));
    assert_eq!(
        scrape.value("wait_seconds_sum", &[]),
        Some(1_000_000_000.25)
    );
}

#[test]
fn what_is_removed_is_hidden_until_it_is_recorded_to_again() {
    let engine = engine();
    let sample = sample(&engine, "alpaca");
    sample.orders.increment(5);
    sample.busy.add(Duration::from_millis(1500));
    sample.balance.set(7.0);
    sample.slippage.record(3.0);
    sample.decision.record(2.0);
    let names = [
        "sample_orders_total",
        "sample_busy_seconds_total",
        "sample_balance",
        "sample_slippage_bps",
        "sample_decision_seconds",
    ];
    for name in names {
        assert_eq!(
            engine.remove(name, |labels| labels == "venue=\"ibkr\""),
            0,
            "{name}"
        );
        assert_eq!(
            engine.remove(name, |labels| labels == "venue=\"alpaca\""),
            1,
            "{name}"
        );
        assert_eq!(engine.remove(name, |_| true), 0, "{name} is gone");
        assert!(scrape(&engine).family(name).is_none(), "{name}");
    }

    sample.orders.increment(2);
    sample.busy.add(Duration::from_millis(250));
    sample.balance.increment(1.0);
    sample.slippage.record(-1.0);
    sample.decision.record(4.0);
    let found = scrape(&engine);
    let value = |name: &str| found.value(name, &[VENUE]);
    assert_eq!(value("sample_orders_total"), Some(2.0));
    assert_eq!(value("sample_busy_seconds_total"), Some(0.25));
    assert_eq!(value("sample_balance"), Some(1.0));
    assert_eq!(
        (
            value("sample_slippage_bps_count"),
            value("sample_slippage_bps_sum")
        ),
        (Some(1.0), Some(-1.0))
    );
    assert_eq!(
        (
            value("sample_decision_seconds_count"),
            value("sample_decision_seconds_sum")
        ),
        (Some(1.0), Some(4.0))
    );
    let median = found
        .value("sample_decision_seconds", &[VENUE, ("quantile", "0.5")])
        .unwrap();
    assert!((3.98..4.02).contains(&median), "{median}");
}

#[test]
fn a_gauge_comes_back_when_it_is_set_to_what_it_was() {
    let engine = engine();
    let sample = sample(&engine, "alpaca");
    sample.balance.set(7.0);
    engine.remove("sample_balance", |_| true);
    assert!(scrape(&engine).family("sample_balance").is_none());
    sample.balance.set(7.0);
    assert_eq!(scrape(&engine).value("sample_balance", &[VENUE]), Some(7.0));
}

#[test]
fn a_gauge_begins_undefined_unless_another_handle_has_said_something() {
    let engine = engine();
    let shown = || scrape(&engine).value("sample_balance", &[VENUE]).unwrap();
    let first = sample(&engine, "alpaca");
    // A facade's handle goes another way than one that records by itself.
    let by_facade = metrics::with_local_recorder(
        &engine,
        || metrics::gauge!("sample_balance", "venue" => "alpaca"),
    );
    let begin_by_facade = || by_facade.set(f64::from_bits(obs_core::cells::BEGIN_UNDEFINED));
    assert_eq!(shown().to_bits(), 0_f64.to_bits());
    first.balance.begin_undefined();
    assert!(shown().is_nan());
    for said in [7.0_f64, 0.0, -3.0] {
        first.balance.set(said);
        sample(&engine, "alpaca").balance.begin_undefined();
        begin_by_facade();
        assert_eq!(shown().to_bits(), said.to_bits());
    }
    // Added up from nothing, it is said.
    let second = sample(&engine, "other");
    second.balance.increment(0.0);
    second.balance.begin_undefined();
    let of_second = scrape(&engine).value("sample_balance", &[("venue", "other")]);
    assert_eq!(of_second, Some(0.0));
    // What was removed begins anew.
    engine.remove("sample_balance", |_| true);
    begin_by_facade();
    assert!(shown().is_nan());
}

#[test]
fn what_is_registered_again_is_shown_again_at_0() {
    let engine = engine();
    let first = sample(&engine, "alpaca");
    first.orders.increment(5);
    engine.remove("sample_orders_total", |_| true);
    let second = sample(&engine, "alpaca");
    assert_eq!(
        scrape(&engine).value("sample_orders_total", &[VENUE]),
        Some(0.0)
    );
    first.orders.increment(1);
    second.orders.increment(1);
    assert_eq!(
        scrape(&engine).value("sample_orders_total", &[VENUE]),
        Some(2.0),
        "both are of one series"
    );
}

#[test]
fn what_nobody_holds_gives_back_its_memory_and_its_place() {
    let engine = engine();
    let count = |number: u32| {
        metrics::with_local_recorder(&engine, || {
            metrics::counter!("visits_total", "number" => number.to_string())
                .increment(u64::from(number) + 1);
            metrics::histogram!("visit_seconds", "number" => number.to_string())
                .record(f64::from(number));
        });
    };
    // More than the budget of a family that nobody declared, a few at a time.
    for number in 0..12_000 {
        count(number);
        if number % 100 == 99 {
            engine.remove("visits_total", |_| true);
            engine.remove("visit_seconds", |_| true);
        }
    }
    assert!(scrape(&engine).family("visits_total").is_none());
    count(12_000);
    let found = scrape(&engine);
    let number = [("number", "12000")];
    assert_eq!(
        found.value("visits_total", &number),
        Some(12_001.0),
        "words come back clean"
    );
    assert_eq!(found.value("visit_seconds_sum", &number), Some(12_000.0));
    assert_eq!(found.value("visit_seconds_count", &number), Some(1.0));
    assert_eq!(
        found.value("obs_series", &[("metric", "visits_total")]),
        Some(1.0)
    );
    assert_eq!(
        found.value("obs_series_overflow_total", &[("metric", "visits_total")]),
        Some(0.0)
    );
}

#[test]
fn idle_series_go_and_come_back() {
    let engine = engine();
    let sample = sample(&engine, "alpaca");
    sample.requests.of("a").increment(3);
    sample.orders.increment(1);
    let labels = [VENUE, ("client", "a")];
    assert_eq!(
        scrape(&engine).value("sample_requests_total", &labels),
        Some(3.0)
    );
    let is_gone = || {
        engine.upkeep();
        scrape(&engine)
            .value("sample_requests_total", &labels)
            .is_none()
    };
    while !is_gone() {
        std::thread::yield_now();
    }
    sample.requests.of("a").increment(1);
    assert_eq!(
        scrape(&engine).value("sample_requests_total", &labels),
        Some(1.0)
    );
    assert_eq!(
        scrape(&engine).value("sample_orders_total", &[VENUE]),
        Some(1.0),
        "others stay"
    );
}

#[test]
fn idle_series_go_by_default_too_but_for_those_that_are_there_from_the_start() {
    let engine = Engine::builder()
        .catalogue(Catalogue::of(&[Sample::FAMILIES, Fixed::FAMILIES]))
        .idle(Duration::from_millis(1))
        .build()
        .unwrap();
    let sample = sample(&engine, "alpaca");
    sample.orders.increment(3);
    sample.slippage.record(1.0);
    metrics::with_local_recorder(&engine, || {
        Fixed::new().outcomes[Outcome::Ok].increment(1);
        metrics::gauge!("their_build_info", "version" => "1").set(1.0);
        metrics::counter!("their_events_total").increment(1);
    });
    let gone = [
        "sample_orders_total",
        "sample_slippage_bps",
        "their_events_total",
    ];
    let are_gone = || {
        engine.upkeep();
        let found = scrape(&engine);
        gone.iter().all(|name| found.family(name).is_none())
    };
    while !are_gone() {
        std::thread::yield_now();
    }
    let found = scrape(&engine);
    assert_eq!(found.sum("fixed_outcomes_total", &[]), Some(1.0));
    assert_eq!(found.sum("their_build_info", &[]), Some(1.0));
    assert!(found.family("obs_series").is_some());
    sample.orders.increment(2);
    assert_eq!(
        scrape(&engine).value("sample_orders_total", &[VENUE]),
        Some(2.0),
        "it begins anew"
    );
}

#[test]
fn budgets_hold_and_totals_stay_exact() {
    let engine = engine();
    for number in 0..10 {
        sample(&engine, &format!("venue {number}"))
            .orders
            .increment(1);
    }
    let found = scrape(&engine);
    assert_eq!(found.sum("sample_orders_total", &[]), Some(10.0));
    assert_eq!(
        found.value("sample_orders_total", &[("venue", "other")]),
        Some(7.0)
    );
    let of = [("metric", "sample_orders_total")];
    assert_eq!(found.value("obs_series_overflow_total", &of), Some(7.0));
    assert_eq!(
        found.value("obs_series", &of),
        Some(4.0),
        "three and `other`"
    );

    let sample = sample(&engine, "venue 0");
    for number in 0..20 {
        sample.requests.of(&format!("client {number}")).increment(1);
    }
    let found = scrape(&engine);
    assert_eq!(found.sum("sample_requests_total", &[]), Some(20.0));
    assert_eq!(
        found.samples("sample_requests_total").count(),
        6,
        "the family's budget, and `other`"
    );

    let long = "x".repeat(257);
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("long_total", "of" => long).increment(1);
    });
    assert_eq!(
        scrape(&engine).value("long_total", &[("of", "other")]),
        Some(1.0)
    );
}

#[test]
fn families_that_no_catalogue_declares_are_listed() {
    let engine = engine();
    let _sample = sample(&engine, "alpaca");
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("their.requests").increment(1);
        metrics::histogram!("their_wait_seconds").record(1.0);
        metrics::histogram!("their_words").record(1.0);
    });
    let undeclared = engine.undeclared();
    let theirs: Vec<_> = undeclared
        .iter()
        .filter(|(name, _)| !name.starts_with("obs_"))
        .collect();
    let expected = [
        ("their_requests".to_owned(), Kind::Counter),
        ("their_wait_seconds".to_owned(), Kind::Histogram),
        ("their_words".to_owned(), Kind::Summary),
    ];
    assert!(theirs.into_iter().eq(&expected));
}

#[test]
fn what_is_no_number_poisons_no_sum() {
    let engine = Engine::builder().build().unwrap();
    metrics::with_local_recorder(&engine, || {
        for value in [f64::NAN, 0.5, f64::INFINITY, f64::NEG_INFINITY, 0.25] {
            metrics::histogram!("wait_seconds").record(value);
            metrics::histogram!("words").record(value);
        }
    });
    let scrape = obs_exposition::parse(&engine.render(Format::Classic)).unwrap();
    for name in ["wait_seconds", "words"] {
        let value = |suffix: &str| scrape.value(&format!("{name}{suffix}"), &[]);
        assert_eq!((value("_count"), value("_sum")), (Some(2.0), Some(0.75)));
    }
}
