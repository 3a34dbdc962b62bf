//! Queries nobody thought of, over catalogues nobody declared.

use std::sync::Arc;

use obs_core::Kind;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Problem, Vocabulary, check};
use crate::{Catalog, Family, Label};

const KEYS: [&str; 4] = ["venue", "side", "symbol", "route"];
const WORDS: [&str; 3] = ["buy", "sell", "hold"];

proptest! {
    #[test]
    fn what_names_what_there_is_passes((families, query) in asked()) {
        let (series, problems) = check(&query.text(), &vocabulary(&families));
        prop_assert!(problems.is_empty(), "{}: {problems:?}", query.text());
        prop_assert!(series.is_some());
    }

    #[test]
    fn a_metric_of_another_name_is_told((families, query) in asked()) {
        let renamed = Query { metric: format!("{}x", query.metric), ..query };
        told(&renamed, &families, &renamed.metric)?;
    }

    #[test]
    fn a_label_of_another_name_is_told((families, query) in asked()) {
        if query.by.is_empty() {
            return Ok(());
        }
        let mut renamed = query;
        renamed.by[0].push_str("_x");
        told(&renamed, &families, &renamed.by[0])?;
    }

    #[test]
    fn a_matcher_of_another_key_or_value_is_told((families, query) in asked()) {
        let Some((key, value)) = query.matcher.clone() else {
            return Ok(());
        };
        let renamed = Query { matcher: Some((format!("{key}_x"), value)), ..query.clone() };
        told(&renamed, &families, &format!("{key}_x"))?;
        // Only a closed label has values that are known.
        if key == "side" {
            let renamed = Query { matcher: Some((key, "byu".to_owned())), ..query };
            told(&renamed, &families, "byu")?;
        }
    }

    #[test]
    fn a_counter_as_it_stands_is_told((families, query) in asked()) {
        if query.function != "rate" {
            return Ok(());
        }
        let renamed = Query { function: "", ..query };
        let (_, problems) = check(&renamed.text(), &vocabulary(&families));
        prop_assert!(!problems.is_empty(), "{}", renamed.text());
    }

    #[test]
    fn nothing_makes_it_panic(text in any::<String>()) {
        examine(&text, &vocabulary(&[]));
    }

    #[test]
    fn nothing_that_looks_right_makes_it_panic(words in prop::collection::vec(word(), 0..30)) {
        examine(&words.concat(), &vocabulary(&some_families()));
    }
}

/// A problem has a place within the query.
fn examine(query: &str, vocabulary: &Vocabulary) {
    let (_, problems) = check(query, vocabulary);
    let lines: Vec<_> = query.split('\n').collect();
    for Problem { line, column, .. } in problems {
        let length = lines[line - 1].chars().count();
        assert!(
            (1..=length + 1).contains(&column),
            "{line}:{column} in {query:?}"
        );
    }
}

/// One of the problems names what is wrong.
fn told(query: &Query, families: &[Spec], wrong: &str) -> Result<(), TestCaseError> {
    let (_, problems) = check(&query.text(), &vocabulary(families));
    let is_told = problems.iter().any(|problem| problem.what.contains(wrong));
    prop_assert!(is_told, "{}: {problems:?}", query.text());
    Ok(())
}

/// A family, before it is a declaration.
#[derive(Clone, Debug)]
struct Spec {
    name: String,
    kind: Kind,
    keys: Vec<&'static str>,
}

impl Spec {
    /// The series to take a rate of, or to take as it stands.
    fn series(&self) -> (String, &'static str) {
        match self.kind {
            Kind::Counter => (self.name.clone(), "rate"),
            Kind::Gauge => (self.name.clone(), ""),
            Kind::Histogram | Kind::Summary => (format!("{}_count", self.name), "rate"),
        }
    }

    fn declare(&self) -> Family {
        let label = |key: &&str| Label {
            key: (*key).to_owned(),
            help: String::new(),
            values: (*key == "side").then(|| WORDS.map(str::to_owned).to_vec()),
            limit: (*key != "side").then_some(10),
        };
        Family {
            name: self.name.clone(),
            package: String::new(),
            group: String::new(),
            kind: self.kind,
            unit: None,
            help: String::new(),
            // From the inside out.
            labels: self.keys.iter().rev().map(label).collect(),
            buckets: Vec::new(),
            quantiles: Vec::new(),
            range: None,
            budget: None,
            exemplars: false,
            objective: None,
            doc: None,
            scope: None,
            declared_at: None,
        }
    }
}

fn vocabulary(families: &[Spec]) -> Vocabulary {
    let families: Catalog = families.iter().map(Spec::declare).map(Arc::new).collect();
    Vocabulary::new(&families)
}

/// `sum by (by) (function(metric{matcher}[5m]))`, and what is made of it.
#[derive(Clone, Debug)]
struct Query {
    metric: String,
    function: &'static str,
    by: Vec<String>,
    matcher: Option<(String, String)>,
    around: &'static str,
}

impl Query {
    fn text(&self) -> String {
        let matcher = self
            .matcher
            .as_ref()
            .map_or_else(String::new, |(key, value)| {
                let value = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                format!("{{{key}=\"{value}\"}}")
            });
        let selector = format!("{}{matcher}", self.metric);
        let inner = match self.function {
            "" => selector,
            function => format!("{function}({selector}[5m])"),
        };
        self.around
            .replace('%', &format!("sum by ({}) ({inner})", self.by.join(", ")))
    }
}

fn asked() -> impl Strategy<Value = (Vec<Spec>, Query)> {
    const AROUND: [&str; 6] = [
        "%",
        "% > 0",
        "% / %",
        "topk(3, %)",
        "max_over_time((%)[1h:1m])",
        "(\n  %\n) * 100",
    ];
    let families = prop::collection::vec(spec(), 1..6);
    let value = prop_oneof![select(&WORDS[..]).prop_map(str::to_owned), any::<String>()];
    let parts = (
        families,
        any::<Index>(),
        prop::collection::vec(any::<bool>(), 4),
        value,
        select(&AROUND[..]),
    );
    parts.prop_map(|(mut families, chosen, flags, value, around)| {
        for (i, family) in families.iter_mut().enumerate() {
            family.name = format!("{}_{i}_{}", family.name, suffix(family.kind));
        }
        let family = chosen.get(&families).clone();
        let (metric, function) = family.series();
        let by = family
            .keys
            .iter()
            .zip(&flags)
            .filter(|(_, wanted)| **wanted);
        let by = by.map(|(key, _)| (*key).to_owned()).collect();
        let matcher = family.keys.first().map(|key| {
            let value = if *key == "side" {
                WORDS[0].to_owned()
            } else {
                value
            };
            ((*key).to_owned(), value)
        });
        let query = Query {
            metric,
            function,
            by,
            matcher,
            around,
        };
        (families, query)
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let kind = select(vec![
        Kind::Counter,
        Kind::Gauge,
        Kind::Histogram,
        Kind::Summary,
    ]);
    let keys = prop::sample::subsequence(&KEYS[..], 0..=4).prop_shuffle();
    ("[a-z]{1,8}", kind, keys).prop_map(|(name, kind, keys)| Spec { name, kind, keys })
}

fn suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "total",
        Kind::Gauge => "open",
        Kind::Histogram | Kind::Summary => "seconds",
    }
}

fn some_families() -> Vec<Spec> {
    let spec = |name: &str, kind| Spec {
        name: name.to_owned(),
        kind,
        keys: vec!["venue", "side"],
    };
    vec![
        spec("a_total", Kind::Counter),
        spec("b", Kind::Gauge),
        spec("c_seconds", Kind::Histogram),
        spec("d_seconds", Kind::Summary),
    ]
}

/// Pieces of queries, to be put together at random.
fn word() -> impl Strategy<Value = &'static str> {
    select(vec![
        "a_total",
        "b",
        "c_seconds_bucket",
        "c_seconds_sum",
        "d_seconds",
        "up",
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "[1h:1m]",
        "side=\"buy\"",
        "venue=~\"x|y\"",
        "le=\"0.5\"",
        ",",
        " by (side) ",
        " without (le) ",
        "sum",
        "rate",
        "histogram_quantile",
        "0.9",
        "topk",
        " + ",
        " / ",
        " == bool ",
        " and on (side) ",
        " group_left (venue) ",
        " offset 5m",
        "-",
        "1e999",
        "\"",
        "\\",
        "\n",
        "ü",
        "\0",
        "absent",
        "label_replace",
        "vector",
        "time()",
        "NaN",
        " @ 0",
        "__name__=\"a_total\"",
    ])
}
