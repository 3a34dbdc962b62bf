//! Expositions that nobody thought of: whatever is written is read back, and nothing makes the parser panic.

use std::collections::BTreeMap;
use std::fmt::Write;

use obs_exposition::{Exposition, Family, Kind, Sample, parse, parse_all};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        families in prop::collection::vec(family(), 0..6),
        loose in any::<bool>(),
    ) {
        let (text, written) = write(families, loose);
        let read = parse(&text).map_err(|error| TestCaseError::fail(format!("{error} in\n{text}")))?;
        // The debug form tells `-0` from `0` and lets `NaN` equal itself.
        prop_assert_eq!(format!("{read:#?}"), format!("{written:#?}"));

        for family in &read.families {
            let histograms = family.histograms();
            let counts = family.samples.iter().filter(|s| s.name == format!("{}_count", family.name));
            prop_assert_eq!(histograms.len(), if family.kind == Kind::Histogram { counts.count() } else { 0 });
            for sample in &family.samples {
                let labels: Vec<_> = sample.labels.iter().map(|(l, v)| (l.as_str(), v.as_str())).collect();
                let value = read.value(&sample.name, &labels);
                prop_assert_eq!(value.map(f64::to_bits), Some(sample.value.to_bits()));
            }
        }
    }

    #[test]
    fn quantiles_increase_within_the_finite_bounds(buckets in buckets(), sum in any::<f64>()) {
        let mut family = Family {
            name: "h".into(),
            help: None,
            kind: Kind::Histogram,
            samples: distribution("h", "le", &buckets, sum, &[]),
            line: 1,
        };
        family.samples.rotate_right(2); // The order of the series does not matter.
        let histogram = family.histograms().remove(0);
        let finite: Vec<f64> = histogram.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect();
        let quantiles: Vec<f64> = (1..=20).filter_map(|i| histogram.quantile(f64::from(i) / 20.0)).collect();

        let defined = !finite.is_empty() && histogram.count > 0.0;
        prop_assert_eq!(quantiles.len(), if defined { 20 } else { 0 });
        prop_assert!(quantiles.is_sorted(), "{:?}", quantiles);
        for quantile in quantiles {
            prop_assert!(quantile >= finite[0].min(0.0) && quantile <= finite[finite.len() - 1]);
        }
    }

    #[test]
    fn a_lost_character_is_no_disaster(
        families in prop::collection::vec(family(), 1..4),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut text, _) = write(families, false);
        if let Some(lost) = (!text.is_empty()).then(|| at.index(text.chars().count())) {
            text = text.chars().enumerate().filter(|(i, _)| *i != lost).map(|(_, c)| c).collect();
        }
        examine(&text)?;
    }

    #[test]
    fn nothing_makes_it_panic(text in any::<String>()) {
        examine(&text)?;
    }

    #[test]
    fn nothing_that_looks_right_makes_it_panic(tokens in prop::collection::vec(token(), 0..60)) {
        examine(&tokens.concat())?;
    }
}

/// Uses all that a text, right or wrong, can be made into.
fn examine(text: &str) -> Result<(), TestCaseError> {
    let (exposition, errors) = parse_all(text);
    let lines: Vec<&str> = text.split('\n').collect();
    for error in &errors {
        let line = lines[error.line - 1];
        prop_assert!(
            (1..=line.chars().count() + 1).contains(&error.column),
            "{error} in {line:?}"
        );
    }
    prop_assert!(errors.is_sorted_by_key(|error| (error.line, error.column)));
    for histogram in exposition.families.iter().flat_map(Family::histograms) {
        let _ = histogram.quantile(0.9);
    }
    match parse(text) {
        Ok(read) => {
            prop_assert!(errors.is_empty());
            prop_assert_eq!(format!("{read:?}"), format!("{exposition:?}"));
        }
        Err(first) => prop_assert_eq!(Some(&first), errors.first()),
    }
    Ok(())
}

/// Pieces of expositions, to be put together at random.
fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "\n",
        "\n",
        "\n",
        " ",
        "\t",
        "#",
        "# TYPE ",
        "# HELP ",
        "x",
        "x",
        "x_bucket",
        "x_sum",
        "x_count",
        " histogram\n",
        " summary\n",
        " counter\n",
        "{",
        "}",
        "le=\"1\"",
        "le=\"+Inf\"",
        "quantile=\"0.5\"",
        "a=",
        "\"",
        "\\",
        "\\n",
        ",",
        " 1\n",
        " 2\n",
        " -1\n",
        " NaN\n",
        "1e999",
        "ü",
        "\r",
        "\0",
        "x_bucket{le=\"+Inf\"} 1\n",
        "x_bucket{le=\"0.5\"} 1\n",
        "x{quantile=\"0.5\"} 1\n",
        "x_sum 1\n",
        "x_count 1\n",
    ])
}

/// A family whose name `write` still has to make unique, and whose lines it has to number.
fn family() -> impl Strategy<Value = Family> {
    let kind = prop::sample::select(vec![
        Kind::Counter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Summary,
        Kind::Untyped,
    ]);
    let name = "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}";
    // A help text is read from behind the blanks after the name.
    let help = prop::option::of("([^ \t]\\PC*)?|[^ \t][a-z\\\\\n\"]*");
    (name, help, kind).prop_flat_map(|(name, help, kind)| {
        let series = prop::collection::vec(series(name.clone(), kind), 0..5);
        series.prop_map(move |series| {
            // One more label makes each series of the family a different one.
            let number = |(i, mut samples): (usize, Vec<Sample>)| {
                for sample in &mut samples {
                    sample.labels.push(("series".into(), i.to_string()));
                }
                samples
            };
            let samples = series.into_iter().enumerate().flat_map(number).collect();
            Family {
                name: name.clone(),
                help: help.clone(),
                kind,
                samples,
                line: 0,
            }
        })
    })
}

/// One series of a family, or all those that make a histogram or summary.
fn series(name: String, kind: Kind) -> BoxedStrategy<Vec<Sample>> {
    // Three letters at most and no `l` are neither `le` nor `quantile` nor `series`.
    let labels = prop::collection::btree_map("[a-km-z][a-zA-Z0-9_]{0,2}", any::<String>(), 0..4);
    let labels = labels.prop_map(|labels: BTreeMap<_, _>| labels.into_iter().collect::<Vec<_>>());
    let value = prop::num::f64::ANY.prop_map(move |value| match kind {
        Kind::Counter if value.is_nan() => 0.0,
        Kind::Counter => value.abs(),
        _ => value,
    });
    match kind {
        Kind::Counter | Kind::Gauge | Kind::Untyped => (labels, value, any::<Option<i64>>())
            .prop_map(move |(labels, value, timestamp)| {
                vec![Sample {
                    name: name.clone(),
                    labels,
                    value,
                    timestamp,
                    line: 0,
                }]
            })
            .boxed(),
        Kind::Histogram => (labels, buckets(), value)
            .prop_map(move |(labels, buckets, sum)| {
                distribution(&name, "le", &buckets, sum, &labels)
            })
            .boxed(),
        Kind::Summary => (
            labels,
            prop::collection::btree_map(0_u32..=100, value.clone(), 0..5),
            value,
        )
            .prop_map(move |(labels, quantiles, sum)| {
                let quantiles: Vec<_> = quantiles
                    .into_iter()
                    .map(|(q, value)| (f64::from(q) / 100.0, value))
                    .collect();
                distribution(&name, "quantile", &quantiles, sum, &labels)
            })
            .boxed(),
    }
}

/// Bounds in order and cumulative counts, the infinite bucket included.
fn buckets() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let finite = prop::collection::btree_map(any::<i16>(), 0_u32..1000, 0..8);
    (finite, 0_u32..1000).prop_map(|(finite, beyond)| {
        let mut cumulative = 0.0;
        finite
            .into_iter()
            .map(|(bound, count)| (f64::from(bound) / 8.0, count))
            .chain([(f64::INFINITY, beyond)])
            .map(|(bound, count)| {
                cumulative += f64::from(count);
                (bound, cumulative)
            })
            .collect()
    })
}

/// The series of a histogram or summary: its buckets or quantiles, its sum, its count.
fn distribution(
    name: &str,
    bound_label: &str,
    bounds: &[(f64, f64)],
    sum: f64,
    labels: &[(String, String)],
) -> Vec<Sample> {
    let sample = |name: String, bound: Option<f64>, value: f64| {
        let mut labels = labels.to_vec();
        labels.extend(bound.map(|bound| (bound_label.to_owned(), number(bound))));
        Sample {
            name,
            labels,
            value,
            timestamp: None,
            line: 0,
        }
    };
    let (suffix, count) = match bounds.last() {
        Some(&(_, count)) if bound_label == "le" => ("_bucket", count),
        _ => ("", 7.0),
    };
    let mut samples: Vec<_> = bounds
        .iter()
        .map(|&(bound, value)| sample(format!("{name}{suffix}"), Some(bound), value))
        .collect();
    samples.push(sample(format!("{name}_sum"), None, sum));
    samples.push(sample(format!("{name}_count"), None, count));
    samples
}

/// Writes families, loosely spaced or not, and returns them with the names and lines they got.
fn write(mut families: Vec<Family>, loose: bool) -> (String, Exposition) {
    let mut text = String::new();
    let blank = if loose { " \t " } else { " " };
    let gap = if loose { "\t " } else { "" };
    for (i, family) in families.iter_mut().enumerate() {
        if loose {
            text.push_str("\n# A comment.\n \t\n");
        }
        // A name that ends with a number of its own is never another's with a suffix.
        let stem = std::mem::take(&mut family.name);
        family.name = format!("{stem}_{i}");
        family.line = next_line(&text);
        if let Some(help) = &family.help {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(text, "{gap}#{blank}HELP{blank}{}{blank}{help}", family.name).unwrap();
        }
        // The kind of an untyped family with samples may be left out.
        if family.kind != Kind::Untyped || family.samples.is_empty() || loose {
            writeln!(
                text,
                "{gap}#{blank}TYPE{blank}{}{blank}{}",
                family.name, family.kind
            )
            .unwrap();
        }
        for sample in &mut family.samples {
            sample.name = format!("{}{}", family.name, &sample.name[stem.len()..]);
            sample.line = next_line(&text);
            write!(text, "{gap}{}{gap}{{{gap}", sample.name).unwrap();
            for (label, value) in &sample.labels {
                let value = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                write!(text, "{label}{gap}={gap}\"{value}\"{gap},{gap}").unwrap();
            }
            write!(text, "}}{blank}{}", number(sample.value)).unwrap();
            if let Some(timestamp) = sample.timestamp {
                write!(text, "{blank}{timestamp}").unwrap();
            }
            text.push('\n');
        }
    }
    (text, Exposition { families })
}

fn next_line(text: &str) -> usize {
    text.matches('\n').count() + 1
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.to_string(),
    }
}
