//! The same operations into an exporter with each recorder give the same samples, whatever names and labels are.

use std::collections::BTreeMap;

use metrics::{Key, Label, Level, Metadata, Recorder};
use obs_exporter::{AppInfo, Config, Exporter, RecorderKind};
use obs_exposition::{Exposition, Kind};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed, TestRunner};

const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

#[derive(Clone, Debug)]
struct Operation {
    name: String,
    labels: Vec<(String, String)>,
    verb: Verb,
}

#[derive(Clone, Debug)]
enum Verb {
    Count(u64),
    Set(f64),
    Record(f64),
}

impl Operation {
    fn apply(&self, recorder: &dyn Recorder) {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| Label::new(key.clone(), value.clone()))
            .collect();
        // One name is of one kind: what becomes of others is another test.
        let key = |kind: &str| Key::from_parts(format!("{kind}_{}", self.name), labels.clone());
        match self.verb {
            Verb::Count(n) => recorder
                .register_counter(&key("count"), &METADATA)
                .increment(n),
            Verb::Set(value) => recorder.register_gauge(&key("level"), &METADATA).set(value),
            Verb::Record(value) => recorder
                .register_histogram(&key("record"), &METADATA)
                .record(value),
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let name = prop::sample::select(vec![
        "a",
        "a.b",
        "a_b",
        "a-b_seconds",
        "a_b_seconds",
        "é_bytes",
        "",
        "x_ratio",
    ]);
    let key = prop::sample::select(vec![
        "a", "b", "a.b", "le", "quantile", "__name__", "service", "9", "", "é",
    ]);
    let value = prop_oneof![
        Just(String::new()),
        Just("buy".to_owned()),
        "[a\\\\\"\n]{1,4}",
        any::<String>(),
        Just("long ".repeat(60)),
    ];
    let labels = prop::collection::btree_map(key, value, 0..4)
        .prop_map(|labels| {
            let owned = |(key, value): (&str, String)| (key.to_owned(), value);
            labels.into_iter().map(owned).collect::<Vec<_>>()
        })
        .prop_shuffle();
    let verb = prop_oneof![
        any::<u64>().prop_map(|n| Verb::Count(n >> 20)),
        prop::num::f64::ANY.prop_map(Verb::Set),
        (0.001..1000.0_f64).prop_map(Verb::Record),
    ];
    (name, labels, verb).prop_map(|(name, labels, verb)| Operation {
        name: name.to_owned(),
        labels,
        verb,
    })
}

type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

/// The samples of what was recorded, by name and sorted labels, and the kinds of their families.
fn samples(exposition: &Exposition) -> (Samples, BTreeMap<&str, Kind>) {
    let recorded = ["count", "level", "record"];
    let mut samples = Samples::new();
    let mut kinds = BTreeMap::new();
    for family in &exposition.families {
        if !recorded
            .iter()
            .any(|prefix| family.name.starts_with(prefix))
        {
            continue;
        }
        kinds.insert(&*family.name, family.kind);
        for sample in &family.samples {
            let mut labels = sample.labels.clone();
            labels.sort();
            samples.insert((sample.name.clone(), labels), sample.value);
        }
    }
    (samples, kinds)
}

/// Sums are added up in another order, and quantiles are each within half a percent of the true ones.
fn alike(name: &str, labels: &[(String, String)], ours: f64, theirs: f64) -> bool {
    let is_quantile = labels.iter().any(|(key, _)| key == "quantile");
    let tolerance = match name {
        _ if is_quantile => 0.011,
        name if name.ends_with("_sum") => 1e-12,
        _ => 0.0,
    };
    ours.to_bits() == theirs.to_bits()
        || (ours.is_nan() && theirs.is_nan())
        || (ours - theirs).abs() <= tolerance * theirs.abs()
}

fn exporter(recorder: RecorderKind) -> (impl Recorder, Exporter) {
    let app = AppInfo {
        name: "differential",
        version: "1",
        git_commit: None,
    };
    let config = Config {
        recorder,
        environment: Some("te\\st \"one\"".to_owned()),
        ..Config::default()
    };
    Exporter::builder(app).config(config).build().unwrap()
}

#[test]
fn both_recorders_show_the_same() {
    let mut runner = TestRunner::new(Cases {
        cases: 100,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(9_464),
        ..Cases::default()
    });
    let holds = |operations: Vec<Operation>| {
        let render = |kind| {
            let (recorder, exporter) = exporter(kind);
            for operation in &operations {
                operation.apply(&recorder);
            }
            exporter.render()
        };
        let (ours, theirs) = (render(RecorderKind::Obs), render(RecorderKind::Stock));
        let (my, their) = (
            obs_exposition::parse(&ours).unwrap(),
            obs_exposition::parse(&theirs).unwrap(),
        );
        let ((mine, my_kinds), (other, other_kinds)) = (samples(&my), samples(&their));
        assert_eq!(my_kinds, other_kinds);
        assert!(mine.keys().eq(other.keys()), "{ours}\n\n{theirs}");
        for (series, value) in &mine {
            let other = other[series];
            assert!(
                alike(&series.0, &series.1, *value, other),
                "{series:?}: {value} and {other}\n{operations:?}"
            );
        }
        Ok(())
    };
    let operations = prop::collection::vec(operation(), 0..50);
    runner.run(&operations, holds).unwrap();
}

#[test]
fn quantiles_of_both_are_near_to_the_exact_ones() {
    const NAME: &str = "record_words";
    let mut runner = TestRunner::new(Cases {
        cases: 50,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(9_465),
        ..Cases::default()
    });
    let holds = |mut values: Vec<f64>| {
        let mut texts = Vec::new();
        for kind in [RecorderKind::Obs, RecorderKind::Stock] {
            let (recorder, exporter) = exporter(kind);
            let words = recorder.register_histogram(&Key::from_name(NAME), &METADATA);
            for value in &values {
                words.record(*value);
            }
            texts.push(exporter.render());
        }
        values.sort_by(f64::total_cmp);
        for text in texts {
            let shown = obs_exposition::parse(&text).unwrap();
            let count = shown.sum(&format!("{NAME}_count"), &[]).unwrap();
            assert_eq!(count.to_bits(), (values.len() as f64).to_bits());
            let sum = shown.sum(&format!("{NAME}_sum"), &[]).unwrap();
            let exact: f64 = values.iter().sum();
            assert!((sum - exact).abs() <= 1e-9 * exact.abs() + 1e-9, "{text}");
            for level in [0.5, 0.9, 0.99] {
                let found = shown.sum(NAME, &[("quantile", &level.to_string())]);
                let found = found.unwrap();
                let rank = obs_core::nearest_rank(level, values.len() as u64);
                let exact = values[usize::try_from(rank.unwrap()).unwrap()];
                assert!(
                    (found - exact).abs() <= 0.005 * exact.abs(),
                    "{level} of {values:?}: {found}"
                );
            }
        }
        Ok(())
    };
    let sizes = prop_oneof![-1e6..1e6_f64, 1e-6..1e-3_f64, Just(0.0)];
    runner
        .run(&prop::collection::vec(sizes, 1..200), holds)
        .unwrap();
}
