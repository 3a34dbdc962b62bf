//! The protobuf format, read by another library from messages that are declared here as `prometheus/client_model` has them.

mod messages;

use std::collections::BTreeMap;

use messages::{Metric, MetricFamily, Timestamp, read};
use obs_exposition::parse;
use obs_recorder::{Engine, Format, Names, TraceId, set_trace_id_source};

obs_core::families! {
    /// One family of each kind.
    struct Sample {
        /// Orders "sent" \ all.
        orders: obs_core::Counter = "sample_orders_total",
        /// Time spent.
        busy: obs_core::TimeCounter = "sample_busy_seconds_total",
        /// Time to fill.
        fill: obs_core::Histogram = "sample_fill_seconds" { buckets: &[0.1, 1.0], exemplars: true },
        /// What slipped.
        slip: obs_core::Histogram = "sample_slippage_bps" { buckets: &[-1.0, 0.0, 1.0] },
        /// Time to decide.
        decision: obs_core::Summary = "sample_decision_seconds" { quantiles: &[0.5, 1.0] },
    }
}

fn sample() -> (Engine, Sample) {
    set_trace_id_source(|| Some(TraceId::from([0xab; 16])));
    let engine = Engine::builder()
        .global_label("service", "a \"desk\"")
        .utf8_names(true)
        .build()
        .unwrap();
    let sample = metrics::with_local_recorder(&engine, Sample::new);
    sample.orders.increment(3);
    sample
        .busy
        .add(std::time::Duration::from_nanos(1_500_000_001));
    for value in [0.05, 0.1, 5.0] {
        sample.fill.record(value);
    }
    for value in [-2.5, -1.0, 0.0, 7.0] {
        sample.slip.record(value);
    }
    sample.decision.record(0.25);
    metrics::with_local_recorder(&engine, || {
        metrics::gauge!("their.depth", "service" => "own").set(f64::NAN);
        metrics::gauge!("their_lag", "path" => "a\\b\n\"c\"", "b" => "x,y=\"").set(-0.5);
        for number in 0..200 {
            let name = format!("series number {number}");
            metrics::counter!("many_total", "name" => name).increment(number);
        }
    });
    (engine, sample)
}

fn families(engine: &Engine, names: Names) -> Vec<MetricFamily> {
    let mut bytes = Vec::new();
    engine.render_protobuf_into(&mut bytes, names).unwrap();
    read(&bytes)
}

/// Every sample as the classic text has it: name, labels and the bits of the value.
fn samples(families: &[MetricFamily]) -> BTreeMap<(String, BTreeMap<String, String>), u64> {
    let mut found = BTreeMap::new();
    for family in families {
        for metric in &family.metric {
            samples_of(&family.name, metric, &mut |name, labels, value| {
                let before = found.insert((name, labels), value.to_bits());
                assert_eq!(before, None);
            });
        }
    }
    found
}

fn samples_of(
    name: &str,
    metric: &Metric,
    show: &mut impl FnMut(String, BTreeMap<String, String>, f64),
) {
    let own: BTreeMap<_, _> = metric
        .label
        .iter()
        .map(|pair| (pair.name.clone(), pair.value.clone()))
        .collect();
    let with = |key: &str, value: f64| {
        let value = if value.is_infinite() {
            "+Inf".to_owned()
        } else {
            value.to_string()
        };
        let mut labels = own.clone();
        labels.insert(key.to_owned(), value);
        labels
    };
    if let Some(value) = metric.gauge.or(metric.untyped) {
        show(name.to_owned(), own.clone(), value.value);
    }
    if let Some(counter) = &metric.counter {
        show(name.to_owned(), own.clone(), counter.value);
    }
    if let Some(summary) = &metric.summary {
        for quantile in &summary.quantile {
            show(
                name.to_owned(),
                with("quantile", quantile.quantile),
                quantile.value,
            );
        }
        show(
            format!("{name}_count"),
            own.clone(),
            summary.sample_count as f64,
        );
        show(format!("{name}_sum"), own.clone(), summary.sample_sum);
    }
    if let Some(histogram) = &metric.histogram {
        for bucket in &histogram.bucket {
            let labels = with("le", bucket.upper_bound);
            show(
                format!("{name}_bucket"),
                labels,
                bucket.cumulative_count as f64,
            );
        }
        show(
            format!("{name}_count"),
            own.clone(),
            histogram.sample_count as f64,
        );
        show(format!("{name}_sum"), own.clone(), histogram.sample_sum);
    }
}

#[test]
fn samples_are_those_of_the_text() {
    let (engine, _sample) = sample();
    let messages = families(&engine, Names::Underscores);
    let text = parse(&engine.render(Format::Classic)).unwrap();
    let names: Vec<_> = messages.iter().map(|family| family.name.clone()).collect();
    let in_text: Vec<_> = text
        .families
        .iter()
        .map(|family| family.name.clone())
        .collect();
    assert_eq!(names, in_text);
    let mut expected = BTreeMap::new();
    for family in &text.families {
        for sample in &family.samples {
            let labels = sample.labels.iter().cloned().collect::<BTreeMap<_, _>>();
            expected.insert((sample.name.clone(), labels), sample.value.to_bits());
        }
    }
    assert_eq!(samples(&messages), expected);
    for (family, of_text) in messages.iter().zip(&text.families) {
        assert_eq!(family.help, of_text.help, "{}", family.name);
        assert_eq!(
            format!("{:?}", family.kind()),
            format!("{:?}", of_text.kind),
            "{}",
            family.name
        );
    }
}

fn created(metric: &Metric) -> Option<Timestamp> {
    let counter = metric.counter.as_ref().and_then(|of| of.created);
    let summary = metric.summary.as_ref().and_then(|of| of.created);
    let histogram = metric.histogram.as_ref().and_then(|of| of.created);
    counter.or(summary).or(histogram)
}

#[test]
fn series_say_when_they_began() {
    let (engine, _sample) = sample();
    let snapshot = engine.snapshot().unwrap();
    for (family, values) in families(&engine, Names::Utf8).iter().zip(&snapshot) {
        assert_eq!(family.name, values.name);
        assert_eq!(family.metric.len(), values.series.len());
        for (metric, series) in family.metric.iter().zip(&values.series) {
            let began = created(metric).map(|time| {
                u64::try_from(time.seconds * 1000 + i64::from(time.nanos) / 1_000_000).unwrap()
            });
            let expected = (values.kind != obs_core::Kind::Gauge).then_some(series.began);
            assert_eq!(began, expected, "{}", family.name);
        }
    }
}

#[test]
fn the_bucket_of_an_exemplar_names_its_trace() {
    let (engine, _sample) = sample();
    let families = families(&engine, Names::Utf8);
    let fill = families
        .iter()
        .find(|family| family.name == "sample_fill_seconds");
    let histogram = fill.unwrap().metric[0].histogram.as_ref().unwrap();
    let exemplars: Vec<_> = histogram
        .bucket
        .iter()
        .map(|bucket| {
            let exemplar = bucket.exemplar.as_ref()?;
            let [label] = &exemplar.label[..] else {
                panic!("one label");
            };
            assert_eq!(label.name, "trace_id");
            assert_eq!(label.value, "ab".repeat(16));
            assert!(exemplar.timestamp.as_ref().unwrap().seconds > 1_700_000_000);
            Some(exemplar.value)
        })
        .collect();
    assert_eq!(exemplars, [Some(0.1), None, Some(5.0)]);
}

#[test]
fn names_are_called_as_is_asked_for() {
    let (engine, _sample) = sample();
    for (names, expected) in [
        (Names::Utf8, "their.depth"),
        (Names::Underscores, "their_depth"),
        (Names::Dots, "their_dot_depth"),
        (Names::Values, "U__their_2e_depth"),
    ] {
        let families = families(&engine, names);
        assert!(
            families.iter().any(|family| family.name == expected),
            "{names:?}"
        );
    }
}
