//! Three parsers on the same expositions: ours, Python's `prometheus_client` and the one of `promtool`.
//!
//! Ours is to read the same as the others in what is right, and to refuse whatever any of them refuses.

use std::collections::BTreeMap;
use std::fmt::Write;

use obs_exposition::{Exposition, Kind, Sample};
use obs_tests::{PythonFamily, PythonParser, PythonSample, Verdict, check_metrics};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Starting `promtool` takes far longer than parsing, so that a few hundred expositions are what a test can afford.
/// The seed is fixed: a failure here is one for everybody.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(9_464),
        ..Config::default()
    })
}

#[test]
fn what_is_right_reads_alike_everywhere() {
    let python = std::cell::RefCell::new(PythonParser::start().unwrap());
    let reads_alike = |text: String| {
        let ours =
            obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        let theirs = python.borrow_mut().parse(&text).unwrap();
        let theirs = theirs.unwrap_or_else(|reason| panic!("Python: {reason}\n{text}"));
        assert_eq!(as_ours(&ours), as_theirs(&theirs), "{text}");

        let verdict = check_metrics(&text).unwrap();
        assert!(
            !matches!(verdict, Verdict::Refused(_)),
            "{verdict:?}\n{text}"
        );
        Ok(())
    };
    runner(100).run(&exposition(), reads_alike).unwrap();
}

#[test]
fn what_any_other_parser_refuses_is_refused() {
    let python = std::cell::RefCell::new(PythonParser::start().unwrap());
    let refused = std::cell::Cell::new((0_u32, 0_u32, 0_u32));
    let holds = |(text, mistakes): (String, Vec<Mistake>)| {
        let broken = mistakes
            .iter()
            .fold(text, |text, mistake| mistake.make(text));
        let ours = obs_exposition::parse(&broken);
        let pythons = python.borrow_mut().parse(&broken).unwrap();
        let promtools = check_metrics(&broken).unwrap();
        let by_promtool = matches!(promtools, Verdict::Refused(_));

        let (all, by_others, more) = refused.get();
        let by_others = by_others + u32::from(by_promtool || pythons.is_err());
        let more = more + u32::from(ours.is_err() && !by_promtool && pythons.is_ok());
        refused.set((all + u32::from(ours.is_err()), by_others, more));
        if ours.is_ok() {
            assert!(
                !by_promtool,
                "we read what promtool refuses: {promtools:?}\n{broken}"
            );
            assert!(
                pythons.is_ok(),
                "we read what Python refuses: {pythons:?}\n{broken}"
            );
        }
        Ok(())
    };
    let mistakes = prop::collection::vec(mistake(), 1..3);
    runner(250).run(&(exposition(), mistakes), holds).unwrap();
    let (ours, others, more) = refused.get();
    assert!(
        ours > 80 && others > 60 && more > 0,
        "{ours} {others} {more}: hardly anything was broken"
    );
}

/// Mistakes that exporters have made, and who of the others sees them.
#[test]
fn known_mistakes_are_refused() {
    let histogram =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    assert!(obs_exposition::parse(histogram).is_ok());
    let mistakes = [
        ("a label without quotes", "x{a=b} 1\n".to_owned(), true),
        (
            "a label that is not closed",
            "x{a=\"b} 1\n".to_owned(),
            true,
        ),
        ("a name with a dash", "x-y 1\n".to_owned(), true),
        ("a value that is none", "x one\n".to_owned(), true),
        (
            "a second TYPE",
            "# TYPE x gauge\n# TYPE x gauge\nx 1\n".to_owned(),
            true,
        ),
        (
            "a TYPE after the sample",
            "x 1\n# TYPE x gauge\n".to_owned(),
            true,
        ),
        ("an unknown type", "# TYPE x meter\nx 1\n".to_owned(), true),
        ("a label twice", "x{a=\"1\",a=\"2\"} 1\n".to_owned(), true),
        ("no last line feed", "x 1".to_owned(), true),
        (
            "a series twice",
            "x{a=\"1\"} 1\nx{a=\"1\"} 2\n".to_owned(),
            false,
        ),
        (
            "a negative counter",
            "# TYPE x counter\nx -1\n".to_owned(),
            false,
        ),
        (
            "no infinite bucket",
            histogram.replace("h_bucket{le=\"+Inf\"} 2\n", ""),
            false,
        ),
        (
            "buckets that go down",
            histogram.replace("le=\"1\"} 1", "le=\"1\"} 3"),
            false,
        ),
        (
            "a count that differs",
            histogram.replace("h_count 2", "h_count 3"),
            false,
        ),
        ("no sum", histogram.replace("h_sum 3\n", ""), false),
    ];
    let mut python = PythonParser::start().unwrap();
    for (mistake, text, seen_by_others) in mistakes {
        assert!(obs_exposition::parse(&text).is_err(), "{mistake}");
        let promtool = matches!(check_metrics(&text).unwrap(), Verdict::Refused(_));
        let seen = promtool || python.parse(&text).unwrap().is_err();
        assert_eq!(seen, seen_by_others, "{mistake}");
    }
}

/// Samples in a form that can be compared: the name, the sorted labels, the value, milliseconds.
type Line = (String, BTreeMap<String, String>, String, Option<i64>);

fn as_ours(exposition: &Exposition) -> Vec<Line> {
    let line = |sample: &Sample| {
        let labels = sample.labels.iter().cloned().collect();
        (
            sample.name.clone(),
            labels,
            number(sample.value),
            sample.timestamp,
        )
    };
    let samples = exposition
        .families
        .iter()
        .flat_map(|family| &family.samples);
    samples.map(line).collect()
}

fn as_theirs(families: &[PythonFamily]) -> Vec<Line> {
    let line = |sample: &PythonSample| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the generator keeps far below 2^53"
        )]
        let milliseconds = |seconds: f64| (seconds * 1000.0).round() as i64;
        let timestamp = sample.timestamp.map(milliseconds);
        (
            sample.name.clone(),
            sample.labels.clone(),
            number(sample.value),
            timestamp,
        )
    };
    let samples = families.iter().flat_map(|family| &family.samples);
    samples.map(line).collect()
}

/// `NaN` equals itself as text; Python reads `-0` as the whole number 0, which has no sign.
fn number(value: f64) -> String {
    format!("{:?}", value + 0.0)
}

/// A right exposition.
fn exposition() -> impl Strategy<Value = String> {
    let family = (
        kind(),
        prop::option::of("[^ \t]\\PC{0,20}"),
        prop::collection::vec(series(), 0..4),
    );
    prop::collection::vec(family, 0..5).prop_map(|families| {
        let mut text = String::new();
        for (i, (kind, help, series)) in families.into_iter().enumerate() {
            let name = format!(
                "family_{i}{}",
                if kind == Kind::Counter { "_total" } else { "" }
            );
            if let Some(help) = help {
                let help = help.replace('\\', "\\\\").replace('\n', "\\n");
                writeln!(text, "# HELP {name} {help}").unwrap();
            }
            writeln!(text, "# TYPE {name} {kind}").unwrap();
            for (j, series) in series.iter().enumerate() {
                series.write(&name, kind, j, &mut text);
            }
        }
        text
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Counter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Summary,
        Kind::Untyped,
    ])
}

/// What is needed to write a series of any kind.
#[derive(Clone, Debug)]
struct Series {
    labels: BTreeMap<String, String>,
    value: f64,
    timestamp: Option<i64>,
    /// Observations in each bucket.
    counts: Vec<u32>,
}

fn series() -> impl Strategy<Value = Series> {
    // No such name is `le`, `quantile` or `series`.
    let labels = prop::collection::btree_map("[a-km-pr-z][a-zA-Z0-9_]{0,2}", any::<String>(), 0..3);
    let timestamp = prop::option::of(-1_000_000_000_000_i64..2_000_000_000_000);
    let counts = prop::collection::vec(0_u32..100, 1..5);
    (labels, prop::num::f64::ANY, timestamp, counts).prop_map(
        |(labels, value, timestamp, counts)| Series {
            labels,
            value,
            timestamp,
            counts,
        },
    )
}

impl Series {
    /// Writes the lines of the family's series number `number`.
    fn write(&self, name: &str, kind: Kind, number: usize, text: &mut String) {
        let mut line = |suffix: &str, bound: Option<(&str, String)>, value: f64| {
            write!(text, "{name}{suffix}{{series=\"{number}\"").unwrap();
            for (label, value) in &self.labels {
                let value = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                write!(text, ",{label}=\"{value}\"").unwrap();
            }
            if let Some((label, bound)) = bound {
                write!(text, ",{label}=\"{bound}\"").unwrap();
            }
            write!(text, "}} {}", written(value)).unwrap();
            if let Some(timestamp) = self.timestamp {
                write!(text, " {timestamp}").unwrap();
            }
            text.push('\n');
        };
        let observations = f64::from(self.counts.iter().sum::<u32>());
        match kind {
            Kind::Counter if self.value.is_nan() => line("", None, 0.0),
            Kind::Counter => line("", None, self.value.abs()),
            Kind::Gauge | Kind::Untyped => line("", None, self.value),
            Kind::Histogram => {
                let mut cumulative = 0;
                for (i, count) in self.counts.iter().enumerate() {
                    cumulative += count;
                    let last = i + 1 == self.counts.len();
                    let bound = if last {
                        "+Inf".into()
                    } else {
                        format!("{}", i as f64 / 4.0)
                    };
                    line("_bucket", Some(("le", bound)), f64::from(cumulative));
                }
                line("_sum", None, self.value);
                line("_count", None, observations);
            }
            Kind::Summary => {
                for (i, count) in self.counts.iter().enumerate() {
                    line(
                        "",
                        Some(("quantile", format!("0.{}", i + 1))),
                        f64::from(*count),
                    );
                }
                line("_sum", None, self.value);
                line("_count", None, observations);
            }
        }
    }
}

/// A value in one of the ways it can be written.
fn written(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value if value.abs() < 1e-5 => format!("{value:e}"),
        value => value.to_string(),
    }
}

/// One way to break an exposition. Places are taken modulo what is there.
#[derive(Clone, Debug)]
enum Mistake {
    LoseCharacter(usize),
    PutCharacter(usize, char),
    LoseLine(usize),
    RepeatLine(usize),
    SwapLines(usize, usize),
    CutOff(usize),
}

fn mistake() -> impl Strategy<Value = Mistake> {
    let place = || 0_usize..100_000;
    let character = prop::sample::select(
        " \t#{}\",=\\+-.019eINxé\r\u{a0}_"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        4 => place().prop_map(Mistake::LoseCharacter),
        6 => (place(), character).prop_map(|(at, character)| Mistake::PutCharacter(at, character)),
        1 => place().prop_map(Mistake::LoseLine),
        1 => place().prop_map(Mistake::RepeatLine),
        2 => (place(), place()).prop_map(|(a, b)| Mistake::SwapLines(a, b)),
        1 => place().prop_map(Mistake::CutOff),
    ]
}

impl Mistake {
    fn make(&self, text: String) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        if lines.is_empty() {
            return text;
        }
        let (length, count) = (characters.len(), lines.len());
        match *self {
            Self::LoseCharacter(at) => {
                characters.remove(at % length);
            }
            Self::PutCharacter(at, character) => characters.insert(at % length, character),
            Self::CutOff(at) => characters.truncate(at % length),
            Self::LoseLine(at) => {
                lines.remove(at % count);
                return lines.concat();
            }
            Self::RepeatLine(at) => {
                lines.insert(at % count, lines[at % count]);
                return lines.concat();
            }
            Self::SwapLines(a, b) => {
                lines.swap(a % count, b % count);
                return lines.concat();
            }
        }
        characters.into_iter().collect()
    }
}
