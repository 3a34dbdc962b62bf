//! Everything as values: the same series as the text, with when each began.

use obs_core::Kind;
use obs_exposition::parse;
use obs_recorder::{Engine, FamilySnapshot, Format, SeriesValue};

obs_core::label! {
    /// Where orders go.
    open Venue as "venue" up to 5
}

obs_core::families! {
    /// One family of each kind.
    struct Sample(venue: Venue) {
        /// Orders sent.
        orders: obs_core::Counter = "sample_orders_total",
        /// Time spent.
        busy: obs_core::TimeCounter = "sample_busy_seconds_total",
        /// Time to fill.
        fill: obs_core::Histogram = "sample_fill_seconds" { buckets: &[0.1, 1.0] },
        /// Time to decide.
        decision: obs_core::Summary = "sample_decision_seconds" { quantiles: &[0.5, 1.0] },
    }
}

fn sample() -> (Engine, Sample) {
    let engine = Engine::builder()
        .global_label("service", "a \"desk\"")
        .build()
        .unwrap();
    let sample = metrics::with_local_recorder(&engine, || Sample::new("al\\pa\nca"));
    sample.orders.increment(3);
    sample
        .busy
        .add(std::time::Duration::from_nanos(1_500_000_001));
    for value in [0.05, 0.1, 5.0] {
        sample.fill.record(value);
    }
    sample.decision.record(0.25);
    metrics::with_local_recorder(&engine, || {
        metrics::gauge!("their.depth", "service" => "own").set(f64::NAN);
    });
    (engine, sample)
}

fn family<'a>(families: &'a [FamilySnapshot], name: &str) -> &'a FamilySnapshot {
    families.iter().find(|family| family.name == name).unwrap()
}

#[test]
fn values_are_those_of_the_text() {
    let (engine, _sample) = sample();
    let families = engine.snapshot().unwrap();
    let text = parse(&engine.render(Format::Classic)).unwrap();
    let names = |of: &[FamilySnapshot]| of.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    let in_text: Vec<_> = text.families.iter().map(|f| f.name.clone()).collect();
    assert_eq!(names(&families), in_text);

    let of = |name: &str| {
        let family = family(&families, name);
        assert_eq!(family.series.len(), 1, "{name}");
        (family, family.series[0].clone())
    };
    let (orders, series) = of("sample_orders_total");
    assert_eq!(
        (orders.kind, orders.help.as_str()),
        (Kind::Counter, "Orders sent.")
    );
    let labels = [("service", "a \"desk\""), ("venue", "al\\pa\nca")];
    assert_eq!(
        series.labels,
        labels.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    let counted = |number, decimals| SeriesValue::Counter { number, decimals };
    assert_eq!(series.value, counted(3, 0));
    let (_, series) = of("sample_busy_seconds_total");
    assert_eq!(series.value, counted(1_500_000_001, 9));
    let (fill, series) = of("sample_fill_seconds");
    assert_eq!(*fill.bounds, [0.1, 1.0]);
    let SeriesValue::Histogram { buckets, sum, .. } = series.value else {
        panic!("{series:?}");
    };
    assert_eq!((buckets, sum), (vec![2, 0, 1], 5.15));
    let (decision, series) = of("sample_decision_seconds");
    assert_eq!(decision.levels, [0.5, 1.0]);
    assert!(matches!(
        series.value,
        SeriesValue::Summary {
            count: 1,
            sum: 0.25,
            ..
        }
    ));
    // A label of its own overrules the global one.
    let (depth, series) = of("their_depth");
    assert_eq!(depth.kind, Kind::Gauge);
    assert_eq!(series.labels, [("service".to_owned(), "own".to_owned())]);
    assert!(matches!(series.value, SeriesValue::Gauge(value) if value.is_nan()));
}

#[test]
fn a_series_that_begins_anew_counts_from_then_on() {
    let (engine, sample) = sample();
    let fill = |engine: &Engine| {
        family(&engine.snapshot().unwrap(), "sample_fill_seconds")
            .series
            .clone()
    };
    let before = fill(&engine);
    engine.remove("sample_fill_seconds", |_| true);
    let families = engine.snapshot().unwrap();
    assert!(
        families
            .iter()
            .all(|family| family.name != "sample_fill_seconds")
    );
    sample.fill.record(0.5);
    let after = fill(&engine);
    assert!(after[0].began >= before[0].began);
    let SeriesValue::Histogram { buckets, sum, .. } = &after[0].value else {
        panic!("{after:?}");
    };
    assert_eq!((&buckets[..], *sum), (&[0, 1, 0][..], 0.5));
}
