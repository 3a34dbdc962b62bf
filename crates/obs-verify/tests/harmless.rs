//! What changes nothing that anybody relies on is no finding: thirty things that happen to an exposition on its way, or to a service
//! from one day to the next.

#![expect(
    clippy::format_collect,
    reason = "a line after another, and speed does not matter"
)]

mod common;

use common::{Artefacts, catalog, written};
use obs_verify::{Catalog, Finding};

type Change = fn(&mut Artefacts);

const HARMLESS: [(&str, Change); 35] = [
    ("families in another order", |a| {
        let mut families = parts(&a.exposition);
        families.reverse();
        a.exposition = families.concat();
    }),
    ("series in another order", |a| {
        let families = parts(&a.exposition);
        a.exposition = families.iter().map(|family| reversed(family)).collect();
    }),
    ("labels in another order", |a| {
        a.exposition = a.exposition.replace(
            "service=\"desk\",mode=\"paper\"",
            "mode=\"paper\",service=\"desk\"",
        );
    }),
    ("the labels of a target", |a| {
        label(a, "job=\"desk\",instance=\"10.0.0.1:9464\"");
    }),
    ("a label that relabelling adds", |a| {
        label(a, "cluster=\"eu-1\",region=\"eu\"");
    }),
    ("labels kept by honor_labels", |a| {
        label(a, "exported_job=\"x\",exported_instance=\"y\"");
    }),
    ("an environment", |a| label(a, "environment=\"production\"")),
    ("no labels of the exporter", |a| {
        a.exposition = a
            .exposition
            .replace("service=\"desk\",mode=\"paper\",", "")
            .replace("{service=\"desk\",mode=\"paper\"}", "");
    }),
    ("several processes behind a federation", |a| {
        let once = a
            .exposition
            .replace("service=\"desk\"", "service=\"desk\",instance=\"one\"");
        let twice = a
            .exposition
            .replace("service=\"desk\"", "service=\"desk\",instance=\"two\"");
        let merged = parts(&once)
            .into_iter()
            .zip(parts(&twice))
            .map(|(one, two)| {
                let series: String = two
                    .lines()
                    .skip(2)
                    .map(|line| format!("{line}\n"))
                    .collect();
                one + &series
            });
        a.exposition = merged.collect();
    }),
    ("a federation, which says no kinds and no help", federated),
    ("a federation with the times of samples", |a| {
        federated(a);
        a.exposition = a
            .exposition
            .lines()
            .map(|line| format!("{line} 1700000000000\n"))
            .collect();
    }),
    ("a federation that hands on other services too", |a| {
        federated(a);
        let more = "up{job=\"other\",instance=\"x\"} 1\nother_requests_total{job=\"other\",instance=\"x\"} 5\n";
        a.exposition.push_str(more);
    }),
    (
        "a federation of what Prometheus scraped as OpenMetrics",
        |a| {
            a.exposition.push_str(
                "desk_calls_created{service=\"desk\",mode=\"paper\",outcome=\"ok\"} 1700000000.5\n",
            );
            federated(a);
        },
    ),
    ("OpenMetrics", |a| {
        a.exposition = open_metrics(&a.exposition);
    }),
    ("OpenMetrics with exemplars", |a| {
        let text = open_metrics(&a.exposition);
        let with = text.lines().map(|line| {
            let is_bucket = line.contains("_bucket{");
            format!(
                "{line}{}\n",
                if is_bucket {
                    " # {trace_id=\"a b\"} 0.2 1700000000.1"
                } else {
                    ""
                }
            )
        });
        a.exposition = with.collect();
    }),
    ("OpenMetrics with the times at which series began", |a| {
        let created =
            "desk_calls_created{service=\"desk\",mode=\"paper\",outcome=\"ok\"} 1700000000.5\n";
        let text = open_metrics(&a.exposition);
        a.exposition = text.replace("# EOF", &format!("{created}# EOF"));
    }),
    ("OpenMetrics with units", |a| {
        let text = open_metrics(&a.exposition);
        a.exposition = text.replace(
            "# TYPE desk_fill_seconds ",
            "# UNIT desk_fill_seconds seconds\n# TYPE desk_fill_seconds ",
        );
    }),
    ("what rules record, in the same exposition", |a| {
        a.exposition.push_str("# TYPE venue:orders:rate5m gauge\nvenue:orders:rate5m{service=\"desk\",mode=\"paper\",venue=\"a\"} 1\n");
    }),
    ("a family that was not seen yet", |a| {
        without(a, &["desk_fill_seconds"]);
    }),
    ("nothing that was seen yet", |a| {
        a.exposition = String::new();
    }),
    ("half of the families", |a| {
        let names: Vec<_> = catalog().families.iter().map(|f| f.name.clone()).collect();
        let names: Vec<_> = names.iter().step_by(2).map(String::as_str).collect();
        without(a, &names);
    }),
    ("a family with its lines and no series", |a| {
        without(a, &["desk_money"]);
        a.exposition
            .push_str("# HELP desk_money Money held.\n# TYPE desk_money gauge\n");
    }),
    ("the edition before, which has no schema", |a| {
        a.catalog = a.catalog.replace("\"schema\": 2,", "");
        assert!(!a.catalog.contains("schema"));
    }),
    ("a catalogue that says more than is known here", |a| {
        a.catalog = a.catalog.replacen(
            '{',
            "{ \"colour\": \"red\", \"figures\": [{ \"a\": 1 }],",
            1,
        );
        a.catalog = a.catalog.replace("\"kind\":", "\"weight\": 3, \"kind\":");
    }),
    ("a catalogue in one line", |a| {
        let value: serde_json::Value = serde_json::from_str(&a.catalog).unwrap();
        a.catalog = value.to_string();
    }),
    (
        "a catalogue that does not know where it was declared",
        |a| {
            let mut value: serde_json::Value = serde_json::from_str(&a.catalog).unwrap();
            for family in value["families"].as_array_mut().unwrap() {
                let family = family.as_object_mut().unwrap();
                for member in ["declared_at", "doc", "scope"] {
                    family.remove(member);
                }
            }
            a.catalog = value.to_string();
        },
    ),
    ("a family of the runtime", |a| {
        a.exposition
            .push_str("# TYPE process_threads gauge\nprocess_threads{service=\"desk\"} 9\n");
    }),
    ("a family of another library", |a| {
        a.exposition.push_str("# HELP kafka_lag Lag.\n# TYPE kafka_lag gauge\nkafka_lag{service=\"desk\",topic=\"x\"} 9\n");
    }),
    ("comments and blank lines", |a| {
        a.exposition = parts(&a.exposition).join("\n# Written by hand.\n\n");
    }),
    (
        "gauges that are undefined, but for one that an alert compares",
        |a| a.exposition = gauges(&a.exposition, "NaN"),
    ),
    ("gauges below 0", |a| {
        let money = "desk_money{service=\"desk\",mode=\"paper\"}";
        a.exposition = a
            .exposition
            .replace(&format!("{money} 1"), &format!("{money} -7.5"));
    }),
    ("values that have more digits", |a| {
        a.exposition = a.exposition.replace("} 3\n", "} 3.0e0\n");
    }),
    (
        "what was folded into `other`, which has room beside the limit",
        |a| {
            let of = "desk_venue_up{service=\"desk\",mode=\"paper\",venue=\"b\"} 1\n";
            let more: String = ["c", "other"]
                .map(|venue| of.replace("\"b\"", &format!("\"{venue}\"")))
                .concat();
            a.exposition = a.exposition.replace(of, &format!("{of}{more}"));
        },
    ),
    ("a restart, after which counters begin at 0", |a| {
        a.exposition = a.exposition.replace("} 3\n", "} 0\n");
    }),
    ("rules that ask for what Prometheus makes itself", |a| {
        a.rules.push_str("      - alert: Down\n        expr: up{job=\"desk\"} == 0 and on (job) scrape_duration_seconds > 5\n        for: 1m\n");
    }),
];

#[test]
fn what_is_harmless_has_no_findings() {
    for (what, change) in HARMLESS {
        let mut artefacts = Artefacts::sound();
        let before = (
            artefacts.exposition.clone(),
            artefacts.catalog.clone(),
            artefacts.rules.clone(),
        );
        change(&mut artefacts);
        let after = (
            artefacts.exposition.clone(),
            artefacts.catalog.clone(),
            artefacts.rules.clone(),
        );
        assert_ne!(before, after, "{what} changes nothing");
        let faults: Vec<Finding> = artefacts.faults();
        assert!(faults.is_empty(), "{what}: {faults:#?}");
    }
}

/// The families of an exposition, each with its lines.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("# HELP") {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// The series of a family the other way round, but for parts that the format orders.
fn reversed(family: &str) -> String {
    let lines: Vec<&str> = family.lines().collect();
    let (head, series) = lines.split_at(2);
    let mut series = series.to_vec();
    if !family.contains("le=\"") && !family.contains("quantile=\"") {
        series.reverse();
    }
    head.iter()
        .chain(&series)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn label(artefacts: &mut Artefacts, labels: &str) {
    artefacts.exposition = artefacts
        .exposition
        .replace("mode=\"paper\"", &format!("mode=\"paper\",{labels}"));
}

fn federated(artefacts: &mut Artefacts) {
    label(artefacts, "job=\"desk\",instance=\"one\"");
    let lines = artefacts
        .exposition
        .lines()
        .filter(|line| !line.starts_with('#'));
    let mut lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    // By name, as Prometheus has them.
    lines.sort_by_key(|line| line.split('{').next().unwrap_or_default().to_owned());
    artefacts.exposition = lines.concat();
}

fn open_metrics(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_meta = line.starts_with("# HELP") || line.starts_with("# TYPE");
        let mut words: Vec<&str> = line.splitn(4, ' ').collect();
        if is_meta {
            words[2] = words[2].trim_end_matches("_total");
        }
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n# EOF\n"
}

fn without(artefacts: &mut Artefacts, names: &[&str]) {
    let of: Catalog = catalog()
        .families
        .iter()
        .filter(|f| !names.contains(&f.name.as_str()))
        .cloned()
        .collect();
    artefacts.exposition = of
        .families
        .iter()
        .map(|f| written(f).replace("} 3\n", "} 0\n"))
        .collect();
}

fn gauges(text: &str, value: &str) -> String {
    let families = parts(text).into_iter();
    let of = |family: String| {
        if family.contains(" gauge\n") && !family.contains("_info") && !family.contains("_up") {
            family.replace("} 1\n", &format!("}} {value}\n"))
        } else {
            family
        }
    };
    families.map(of).collect()
}

/// The edition before this one, as a desk served it: it agrees with itself, and is read without a schema.
#[test]
fn what_the_first_edition_served_has_no_findings() {
    let fixtures =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/edition-1");
    let read = |name: &str| std::fs::read_to_string(fixtures.join(name)).unwrap();
    let catalog = Catalog::read("catalog.json", &read("catalog.json")).unwrap();
    assert_eq!(
        (catalog.schema, catalog.service.as_deref()),
        (1, Some("trading-desk"))
    );
    let scraped = obs_verify::exposition::Scraped::read(&read("scrape.prom"));
    let findings = obs_verify::live::check(&catalog, &scraped, obs_verify::live::Expect::SoFar);
    let matter = |finding: &&Finding| finding.severity == obs_verify::Severity::Error;
    let errors: Vec<_> = findings.iter().filter(matter).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
