//! What an engine knows of a family because a handle of it was resolved, and no catalogue.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::layers::{FanoutBuilder, FilterLayer, Layer, PrefixLayer};
use obs_core::{
    By, Counter, Each, Families, Family, Gauge, Histogram, Summary, TestRecorder, TimeCounter,
    Unit, WarningKind,
};
use obs_exposition::{Exposition, Kind};
use obs_recorder::{Engine, Format};

obs_core::label! {
    /// Buy or sell.
    enum Side as "side" { Buy = "buy", Sell = "sell" }
}
obs_core::label! {
    /// What is quoted; two keep series of their own.
    open Symbol as "symbol" up to 2
}
obs_core::label! {
    /// Where it is quoted.
    open Venue as "venue" up to 1
}

obs_core::families! {
    /// What a quoter does.
    struct Quoting(venue: Venue) {
        /// Quotes sent.
        quotes: By<Side, Counter> = "vega_quotes_total",
        /// Time the quoter was busy.
        busy: TimeCounter = "vega_busy_seconds_total",
        /// Time from the market's move to the quote.
        reaction: Histogram = "vega_reaction_seconds" { buckets: &[0.001, 0.01] },
        /// Width of the quotes.
        width: Summary = "vega_width" { quantiles: &[0.25] },
        /// Units held.
        held: Each<Symbol, Gauge> = "vega_held" { unit: Unit::Number },
        /// Quotes under way.
        under_way: Each<Symbol, Gauge> = "vega_under_way",
    }
}

fn engine() -> (Engine, Arc<dyn Recorder + Send + Sync>) {
    let engine = Engine::builder().build().unwrap();
    (engine.clone(), Arc::new(engine))
}

fn scrape(engine: &Engine) -> Exposition {
    let text = engine.render(Format::Classic);
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn value(engine: &Engine, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    scrape(engine).value(name, labels)
}

#[test]
fn a_resolved_handle_is_all_that_a_declaration_needs() {
    let (engine, recorder) = engine();
    let quoting = obs_core::with_recorder(&recorder, || Quoting::new("xcme"));
    quoting.quotes[Side::Buy].increment(2);
    quoting.busy.add(Duration::from_millis(3_250));
    quoting.reaction.record(0.005);
    quoting.width.record(1.5);

    let found = scrape(&engine);
    let venue = ("venue", "xcme");
    assert_eq!(
        found.value("vega_quotes_total", &[venue, ("side", "buy")]),
        Some(2.0)
    );
    assert_eq!(found.value("vega_busy_seconds_total", &[venue]), Some(3.25));
    assert_eq!(
        found.value("vega_reaction_seconds_bucket", &[venue, ("le", "0.01")]),
        Some(1.0)
    );
    assert_eq!(
        found.value("vega_reaction_seconds_bucket", &[venue, ("le", "0.005")]),
        None
    );
    let width = found.value("vega_width", &[venue, ("quantile", "0.25")]);
    assert!(
        width.is_some_and(|width| (width - 1.5).abs() < 0.005 * 1.5),
        "{width:?}"
    );
    let reaction = found
        .family("vega_reaction_seconds")
        .expect("it was recorded");
    assert_eq!(reaction.kind, Kind::Histogram);
    assert_eq!(
        reaction.help.as_deref(),
        Some("Time from the market's move to the quote.")
    );
    assert!(engine.undeclared().is_empty(), "{:?}", engine.undeclared());
    assert!(
        engine.admission().warnings().is_empty(),
        "{:?}",
        engine.admission().warnings()
    );
    let names: Vec<_> = engine
        .admission()
        .declared()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for family in Quoting::FAMILIES {
        assert!(
            names.iter().any(|name| name == family.name()),
            "{}",
            family.name()
        );
    }
}

#[test]
fn a_declaration_comes_through_what_stands_before_the_engine() {
    let (inner, other) = (Engine::builder().build().unwrap(), TestRecorder::new());
    let fanout = FanoutBuilder::default()
        .add_recorder(inner.clone())
        .add_recorder(other.clone());
    let renamed = PrefixLayer::new("desk").layer(fanout.build());
    let quoting = metrics::with_local_recorder(&renamed, || Quoting::new("xcme"));
    quoting.busy.add(Duration::from_secs(3));

    let venue = ("venue", "xcme");
    // The prefix puts a point behind itself, which no name may have.
    assert_eq!(
        value(&inner, "desk_vega_busy_seconds_total", &[venue]),
        Some(3.0)
    );
    assert_eq!(
        other.counter("desk.vega_busy_seconds_total", &[venue]),
        Some(3_000_000_000)
    );
    assert_eq!(
        other.help("desk.vega_quotes_total").as_deref(),
        Some("Quotes sent.")
    );
}

#[test]
fn a_filter_lets_through_what_it_lets_through() {
    let engine = Engine::builder().build().unwrap();
    let filtered = FilterLayer::from_patterns(["vega_width"]).layer(engine.clone());
    let quoting = metrics::with_local_recorder(&filtered, || Quoting::new("xcme"));
    quoting.busy.add(Duration::from_secs(3));
    quoting.width.record(1.0);
    let venue = ("venue", "xcme");
    assert_eq!(
        value(&engine, "vega_busy_seconds_total", &[venue]),
        Some(3.0)
    );
    assert!(scrape(&engine).family("vega_width").is_none());
}

#[test]
fn a_recorder_that_knows_nothing_of_declarations_is_described_to() {
    let stock = PrometheusBuilder::new().build_recorder();
    let quoting = metrics::with_local_recorder(&stock, || Quoting::new("xcme"));
    quoting.quotes[Side::Buy].increment(2);
    let text = stock.handle().render();
    let found = obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let quotes = found.family("vega_quotes_total").expect("it was recorded");
    assert_eq!(quotes.help.as_deref(), Some("Quotes sent."));
    let buys = [("venue", "xcme"), ("side", "buy")];
    assert_eq!(found.value("vega_quotes_total", &buys), Some(2.0));
}

#[test]
fn another_version_of_the_core_in_the_program_is_a_warning() {
    let engine = Engine::builder().build().unwrap();
    // With this metadata it registers; its declarations are of another type.
    let other = Metadata::new("obs_core", Level::INFO, Some("0.0.9"));
    let busy = engine.register_counter(&Key::from_static_name("old_busy_seconds_total"), &other);
    busy.increment(3_000_000_000);
    let warnings = engine.admission().warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].kind, WarningKind::OtherVersion);
    let begins =
        "`old_busy_seconds_total` is recorded by obs-core 0.0.9, but the exporter uses obs-core ";
    assert!(warnings[0].text.starts_with(begins), "{}", warnings[0]);
}

#[test]
fn a_gauge_that_several_labels_share_is_undefined_once_it_is_set() {
    let (engine, recorder) = engine();
    let quoting = obs_core::with_recorder(&recorder, || Quoting::new("xcme"));
    for (symbol, held) in [("ES", 5.0), ("NQ", -2.0), ("RTY", 7.0), ("YM", 9.0)] {
        quoting.held.of(symbol).set(held);
        quoting.under_way.of(symbol).increment(1.0);
    }
    let of = |name, symbol| value(&engine, name, &[("venue", "xcme"), ("symbol", symbol)]);
    assert_eq!(of("vega_held", "ES"), Some(5.0));
    assert!(
        of("vega_held", "other").is_some_and(f64::is_nan),
        "9 would be that of YM alone"
    );
    assert_eq!(of("vega_under_way", "other"), Some(2.0), "additions add up");

    // A scope beyond its limit is folded by the engine itself.
    let second = obs_core::with_recorder(&recorder, || Quoting::new("xeur"));
    second.held.of("ES").set(1.0);
    let shared = value(
        &engine,
        "vega_held",
        &[("venue", "other"), ("symbol", "ES")],
    );
    assert!(shared.is_some_and(f64::is_nan), "{shared:?}");
}

#[test]
fn a_name_keeps_its_first_kind_in_every_format() {
    let (engine, _) = engine();
    metrics::with_local_recorder(&engine, || {
        metrics::gauge!("queue_depth").set(42.0);
        metrics::counter!("queue_depth").increment(7);
        metrics::counter!("queue_depth").increment(7);
        metrics::histogram!("queue_depth").record(1.0);
    });
    for format in [Format::Classic, Format::OpenMetrics] {
        let text = engine.render(format);
        assert!(
            text.contains("# TYPE queue_depth gauge\nqueue_depth 42\n"),
            "{text}"
        );
        assert!(!text.contains("# TYPE queue_depth counter"), "{text}");
    }
    assert_eq!(
        value(
            &engine,
            "obs_kind_conflicts_total",
            &[("metric", "queue_depth")]
        ),
        Some(3.0)
    );
    let kinds: Vec<_> = engine
        .admission()
        .warnings()
        .iter()
        .map(|warning| warning.kind)
        .collect();
    assert_eq!(
        kinds,
        [WarningKind::KindConflict; 2],
        "a counter and a histogram"
    );
    assert!(
        engine.admission().warnings()[0]
            .text
            .contains("`queue_depth` is recorded as a counter, but was recorded as a gauge before")
    );
}

#[test]
fn a_declaration_that_differs_or_comes_late_is_a_warning() {
    mod theirs {
        obs_core::families! {
            /// The same name, measured otherwise.
            pub(super) struct Other {
                /// Time from the market's move to the quote.
                pub(super) reaction: obs_core::Histogram = "vega_reaction_seconds" { buckets: obs_core::buckets::LATENCY },
            }
        }
    }
    let (engine, recorder) = engine();
    let quoting = obs_core::with_recorder(&recorder, || Quoting::new("xcme"));
    let other = obs_core::with_recorder(&recorder, theirs::Other::new);
    quoting.reaction.record(0.005);
    other.reaction.record(0.005);
    let warnings = engine.admission().warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].kind, WarningKind::DeclaredTwice);
    assert!(warnings[0].text.contains("`vega_reaction_seconds` is declared in obs-recorder (crates/obs-recorder/tests/declared.rs:"));

    let engine = Engine::builder().build().unwrap();
    let recorder: Arc<dyn Recorder + Send + Sync> = Arc::new(engine.clone());
    metrics::with_local_recorder(&engine, || {
        metrics::histogram!("vega_reaction_seconds").record(1.0);
    });
    let quoting = obs_core::with_recorder(&recorder, || Quoting::new("xcme"));
    quoting.reaction.record(0.005);
    let kinds: Vec<_> = engine
        .admission()
        .warnings()
        .iter()
        .map(|warning| warning.kind)
        .collect();
    assert_eq!(kinds, [WarningKind::DeclaredLate]);
}

#[test]
fn a_bare_name_that_is_declared_later_gets_its_help() {
    let (engine, recorder) = engine();
    metrics::with_local_recorder(&engine, || {
        metrics::counter!("vega_quotes_total").increment(1);
    });
    assert_eq!(engine.undeclared().len(), 1);
    let _quoting = obs_core::with_recorder(&recorder, || Quoting::new("xcme"));
    assert!(engine.undeclared().is_empty() && engine.admission().warnings().is_empty());
    assert!(
        engine
            .render(Format::Classic)
            .contains("# HELP vega_quotes_total Quotes sent.\n")
    );
}

obs_core::families! {
    /// One counter and one gauge, without open labels.
    struct Small {
        /// Ticks.
        ticks: Counter = "small_ticks_total",
        /// Depth.
        depth: Gauge = "small_depth",
    }
}

#[test]
fn what_watches_a_closed_family_is_shown_once_there_is_something_to_see() {
    let (engine, recorder) = engine();
    let small = obs_core::with_recorder(&recorder, Small::new);
    // A second handle of the same family resolves the same.
    let again = obs_core::with_recorder(&recorder, Small::new);
    small.ticks.increment(1);
    assert_eq!(
        scrape(&engine).families.len(),
        2,
        "{}",
        engine.render(Format::Classic)
    );

    small.depth.set(f64::INFINITY);
    again.depth.set(f64::INFINITY);
    let rejected = value(
        &engine,
        "obs_samples_rejected_total",
        &[("metric", "small_depth")],
    );
    assert_eq!(rejected, Some(2.0));
    engine.upkeep();
    small.depth.set(f64::INFINITY);
    let rejected = value(
        &engine,
        "obs_samples_rejected_total",
        &[("metric", "small_depth")],
    );
    assert_eq!(rejected, Some(3.0));
}

#[test]
fn a_dropped_engine_gives_its_memory_back() {
    let count = || {
        let (engine, recorder) = engine();
        let small = obs_core::with_recorder(&recorder, Small::new);
        small.ticks.increment(1);
        metrics::with_local_recorder(&engine, || {
            metrics::histogram!("other", "of" => "a").record(1.0);
        });
        assert!(!engine.render(Format::OpenMetrics).is_empty());
    };
    // What the process keeps for good comes into being with the first.
    count();
    let kept = allocation_counter::measure(|| (0..100).for_each(|_| count()));
    assert!(
        kept.bytes_current <= 4096,
        "{} bytes are kept of 100 engines",
        kept.bytes_current
    );
}

/// Every family of a struct, by its type.
fn names<F: Families>() -> Vec<&'static str> {
    F::FAMILIES.iter().map(Family::name).collect()
}

#[test]
fn a_struct_lists_its_families() {
    assert_eq!(names::<Small>(), ["small_ticks_total", "small_depth"]);
}
