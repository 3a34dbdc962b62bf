//! Every kind of finding in every artefact: what is sound is changed in all places in which it can be changed, and each change is
//! found.

#![expect(
    clippy::too_many_lines,
    reason = "a list of changes is as long as there are kinds of them"
)]

mod common;

use common::{Artefacts, catalog, written};
use obs_core::{Kind, Unit};
use obs_verify::live::Expect;
use obs_verify::{Catalog, Family, Fault};

#[test]
fn what_is_sound_has_no_findings() {
    let sound = Artefacts::sound();
    assert_eq!(sound.findings(Expect::Everything).unwrap(), []);
}

/// A change, and what has to be found: the kind of finding, and what it is about.
struct Mutation {
    what: String,
    artefacts: Artefacts,
    fault: Fault,
}

/// All mutations of one kind in one artefact; there has to be at least one.
fn all_found(kind: &str, mutations: Vec<Mutation>) {
    assert!(!mutations.is_empty(), "{kind}");
    for mutation in mutations {
        let found = mutation.artefacts.findings(Expect::SoFar).unwrap();
        let is_found = found.iter().any(|finding| finding.fault == mutation.fault);
        assert!(
            is_found,
            "{kind}: {} has {:?} and not {found:#?}",
            mutation.what, mutation.fault
        );
    }
}

fn exposed(what: &str, from: &str, to: &str, fault: Fault) -> Mutation {
    let mut artefacts = Artefacts::sound();
    assert!(artefacts.exposition.contains(from), "{from:?}");
    artefacts.exposition = artefacts.exposition.replacen(from, to, 1);
    Mutation {
        what: what.to_owned(),
        artefacts,
        fault,
    }
}

/// The exposition of one family rewritten.
fn rewritten(family: &Family, fault: Fault, rewrite: impl Fn(&str) -> String) -> Mutation {
    let mut artefacts = Artefacts::sound();
    let begins = format!("# HELP {} ", family.name);
    let start = artefacts.exposition.find(&begins).unwrap();
    let rest = &artefacts.exposition[start + 1..];
    let end = rest
        .find("# HELP ")
        .map_or(artefacts.exposition.len(), |end| start + 1 + end);
    let fresh = rewrite(&artefacts.exposition[start..end]);
    assert_ne!(fresh, artefacts.exposition[start..end], "{}", family.name);
    artefacts.exposition.replace_range(start..end, &fresh);
    Mutation {
        what: family.name.clone(),
        artefacts,
        fault,
    }
}

/// The catalogue with one family changed.
fn declared(family: &Family, fault: Fault, change: impl Fn(&mut Family)) -> Mutation {
    let of = catalog();
    let mut changed = family.clone();
    change(&mut changed);
    assert_ne!(&changed, family, "{}", family.name);
    let families = of.families.iter().map(|known| {
        if known.name == family.name {
            changed.clone().into()
        } else {
            known.clone()
        }
    });
    let catalog: Catalog = families.collect();
    let mut artefacts = Artefacts::sound();
    artefacts.catalog = serde_json::to_string(&catalog).unwrap();
    Mutation {
        what: family.name.clone(),
        artefacts,
        fault,
    }
}

fn families(is: impl Fn(&Family) -> bool) -> Vec<Family> {
    let all = catalog().families;
    all.iter()
        .filter(|f| is(f))
        .map(|f| (**f).clone())
        .collect()
}

fn of(is: impl Fn(&Family) -> bool, mutate: impl Fn(&Family) -> Mutation) -> Vec<Mutation> {
    families(is).iter().map(mutate).collect()
}

#[test]
fn every_change_of_an_exposition_is_found() {
    let simple = |f: &Family| matches!(f.kind, Kind::Counter | Kind::Gauge);
    let labelled = |f: &Family| !f.labels.is_empty();
    let closed = |f: &Family| f.labels.iter().any(|label| !label.is_open());
    let open = |f: &Family| f.labels.iter().any(obs_verify::Label::is_open);
    let other = |kind| {
        if kind == Kind::Counter {
            "gauge"
        } else {
            "counter"
        }
    };

    all_found(
        "kind",
        of(simple, |f| {
            let line = |kind: &str| format!("# TYPE {} {kind}", f.name);
            exposed(
                &f.name,
                &line(f.kind.as_str()),
                &line(other(f.kind)),
                Fault::Kind,
            )
        }),
    );
    all_found(
        "help",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::Help, |text| {
                    text.replacen(&f.help, "Something else.", 1)
                })
            },
        ),
    );
    all_found(
        "no help",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::Help, |text| {
                    text.split_once('\n').unwrap().1.to_owned()
                })
            },
        ),
    );
    all_found(
        "label added",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::LabelSet, |text| {
                    text.replace("mode=\"paper\"", "mode=\"paper\",shard=\"1\"")
                })
            },
        ),
    );
    all_found(
        "label lost",
        of(labelled, |f| {
            let key = &f.labels[0].key;
            rewritten(f, Fault::LabelSet, |text| {
                text.replace(&format!(",{key}="), ",lost=")
            })
        }),
    );
    all_found(
        "label value",
        of(closed, |f| {
            let label = f.labels.iter().find(|label| !label.is_open()).unwrap();
            let value = &label.values.as_ref().unwrap()[0];
            let pair = |value: &str| format!("{}=\"{value}\"", label.key);
            rewritten(f, Fault::LabelValue, |text| {
                text.replace(&pair(value), &pair("zzz"))
            })
        }),
    );
    all_found(
        "limit",
        of(
            |f| open(f) && f.kind != Kind::Summary && f.name.starts_with("desk"),
            |f| {
                let label = f.labels.iter().find(|label| label.is_open()).unwrap();
                let pair = |value: &str| format!("{}=\"{value}\"", label.key);
                rewritten(f, Fault::Budget, |text| {
                    let more = (0..8).map(|i| {
                        let body = text.lines().filter(|line| line.contains(&pair("a")));
                        body.map(|line| line.replace(&pair("a"), &pair(&format!("x{i}"))) + "\n")
                            .collect::<String>()
                    });
                    format!("{text}{}", more.collect::<String>())
                })
            },
        ),
    );
    all_found(
        "buckets",
        of(
            |f| f.kind == Kind::Histogram,
            |f| {
                let bound = |bound: f64| format!("le=\"{bound}\"");
                let last = f.buckets[f.buckets.len() - 1];
                rewritten(f, Fault::Bounds, |text| {
                    text.replace(&bound(last), &bound(last * 1.5))
                })
            },
        ),
    );
    all_found(
        "quantiles",
        of(
            |f| f.kind == Kind::Summary,
            |f| {
                rewritten(f, Fault::Bounds, |text| {
                    text.replace("quantile=\"0.5\"", "quantile=\"0.4\"")
                })
            },
        ),
    );
    all_found(
        "undeclared",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::Undeclared, |text| {
                    text.replace(&f.name, &format!("{}_x", f.name))
                })
            },
        ),
    );
    all_found(
        "infinite",
        of(simple, |f| {
            let (value, wrong) = if f.kind == Kind::Counter {
                ("} 3\n", "} +Inf\n")
            } else {
                ("} 1\n", "} -Inf\n")
            };
            rewritten(f, Fault::Undefined, |text| {
                text.replace("} 0\n", value).replacen(value, wrong, 1)
            })
        }),
    );
    all_found(
        "poisoned",
        of(
            |f| !simple(f),
            |f| {
                rewritten(f, Fault::Undefined, |text| {
                    let sum = text
                        .lines()
                        .find(|line| line.starts_with(&format!("{}_sum", f.name)))
                        .unwrap();
                    let (series, _) = sum.rsplit_once(' ').unwrap();
                    text.replacen(sum, &format!("{series} NaN"), 1)
                })
            },
        ),
    );
    all_found(
        "no switch",
        of(
            |f| matches!(f.unit, Some(Unit::Switch | Unit::Info)),
            |f| rewritten(f, Fault::Range, |text| text.replacen("} 1\n", "} 7\n", 1)),
        ),
    );
    all_found(
        "out of range",
        of(
            |f| f.range.is_some_and(|range| range[1].is_some()),
            |f| {
                rewritten(f, Fault::Range, |text| {
                    let sum = text
                        .lines()
                        .find(|line| line.starts_with(&format!("{}_sum", f.name)))
                        .unwrap();
                    let (series, _) = sum.rsplit_once(' ').unwrap();
                    text.replacen(sum, &format!("{series} 1e12"), 1)
                })
            },
        ),
    );
    all_found(
        "broken",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::Malformed, |text| {
                    text.replacen("mode=\"paper\"", "mode=\"paper", 1)
                })
            },
        ),
    );
    all_found(
        "twice",
        of(
            |_| true,
            |f| {
                rewritten(f, Fault::Malformed, |text| {
                    let last = text.lines().last().unwrap();
                    format!("{text}{last}\n")
                })
            },
        ),
    );
    all_found(
        "folded and refused",
        of(
            |f| f.name.starts_with("desk"),
            |f| {
                let counter = if f.kind == Kind::Counter {
                    ("obs_series_overflow_total", Fault::Folded)
                } else {
                    ("obs_samples_rejected_total", Fault::Rejected)
                };
                let mut mutation = exposed(
                    &f.name,
                    &format!(
                        "{}{{service=\"desk\",mode=\"paper\",metric=\"a\"}} 0\n",
                        counter.0
                    ),
                    &format!(
                        "{}{{service=\"desk\",mode=\"paper\",metric=\"{}\"}} 9\n",
                        counter.0, f.name
                    ),
                    counter.1,
                );
                mutation.fault = counter.1;
                mutation
            },
        ),
    );
    let mut windows = Artefacts::sound();
    windows.exposition = windows.exposition.replace('\n', "\r\n");
    all_found(
        "carriage returns",
        vec![Mutation {
            what: "all".into(),
            artefacts: windows,
            fault: Fault::Malformed,
        }],
    );
}

#[test]
fn what_is_not_seen_is_a_note_unless_everything_is_expected() {
    for family in families(|_| true) {
        let mut artefacts = Artefacts::sound();
        let mut without = String::new();
        for known in catalog()
            .families
            .iter()
            .filter(|known| known.name != family.name)
        {
            without.push_str(&written(known).replace("} 3\n", "} 0\n"));
        }
        artefacts.exposition = without;
        assert_eq!(artefacts.faults(), [], "{}", family.name);
        let strict = artefacts.findings(Expect::Everything).unwrap();
        assert!(
            strict.iter().any(|f| f.fault == Fault::Missing),
            "{}",
            family.name
        );
    }
}

#[test]
fn every_change_of_a_catalogue_is_found() {
    let is_desks = |f: &Family| f.name.starts_with("desk");
    let observes = |f: &Family| matches!(f.kind, Kind::Histogram | Kind::Summary);
    all_found(
        "name",
        of(is_desks, |f| {
            declared(f, Fault::Undeclared, |f| f.name.insert(5, 'x'))
        }),
    );
    all_found(
        "kind",
        of(
            |f| !observes(f) && f.unit != Some(Unit::Info),
            |f| {
                declared(f, Fault::Kind, |f| {
                    f.kind = if f.kind == Kind::Counter {
                        Kind::Gauge
                    } else {
                        Kind::Counter
                    };
                })
            },
        ),
    );
    all_found(
        "help",
        of(|_| true, |f| declared(f, Fault::Help, |f| f.help.push('!'))),
    );
    all_found(
        "no help",
        of(|_| true, |f| declared(f, Fault::Help, |f| f.help.clear())),
    );
    let suffixed = |f: &Family| {
        [
            "_seconds",
            "_ratio",
            "_bytes",
            "_seconds_total",
            "_bytes_total",
            "_info",
        ]
        .iter()
        .any(|s| f.name.ends_with(s))
    };
    all_found(
        "unit",
        of(suffixed, |f| {
            declared(f, Fault::Unit, |f| f.unit = Some(Unit::BasisPoints))
        }),
    );
    all_found(
        "label",
        of(
            |f| !f.labels.is_empty(),
            |f| declared(f, Fault::LabelSet, |f| f.labels[0].key.push('x')),
        ),
    );
    all_found(
        "label twice",
        of(
            |f| !f.labels.is_empty(),
            |f| {
                declared(f, Fault::Label, |f| {
                    let label = f.labels[0].clone();
                    f.labels.push(label);
                })
            },
        ),
    );
    let closed = |f: &Family| f.labels.iter().position(|label| !label.is_open());
    all_found(
        "value",
        of(
            |f| closed(f).is_some(),
            |f| {
                declared(f, Fault::LabelValue, |f| {
                    let place = closed(f).unwrap();
                    f.labels[place].values.as_mut().unwrap().remove(0);
                })
            },
        ),
    );
    all_found(
        "no values",
        of(
            |f| closed(f).is_some(),
            |f| {
                declared(f, Fault::Label, |f| {
                    let place = closed(f).unwrap();
                    f.labels[place].values.as_mut().unwrap().clear();
                })
            },
        ),
    );
    all_found(
        "budget",
        of(
            |f| !f.labels.is_empty(),
            |f| declared(f, Fault::Budget, |f| f.budget = Some(1)),
        ),
    );
    all_found(
        "no budget",
        of(
            |_| true,
            |f| declared(f, Fault::Budget, |f| f.budget = Some(0)),
        ),
    );
    let open = |f: &Family| f.labels.iter().position(obs_verify::Label::is_open);
    all_found(
        "limit",
        of(
            |f| open(f).is_some(),
            |f| {
                declared(f, Fault::Budget, |f| {
                    let place = open(f).unwrap();
                    f.labels[place].limit = Some(1);
                })
            },
        ),
    );
    all_found(
        "bounds",
        of(
            |f| f.kind == Kind::Histogram,
            |f| declared(f, Fault::Bounds, |f| f.buckets.push(1e9)),
        ),
    );
    all_found(
        "no rising bounds",
        of(
            |f| f.buckets.len() > 1,
            |f| declared(f, Fault::Bounds, |f| f.buckets.reverse()),
        ),
    );
    all_found(
        "quantiles",
        of(
            |f| f.kind == Kind::Summary,
            |f| declared(f, Fault::Bounds, |f| f.quantiles.push(0.999)),
        ),
    );
    all_found(
        "range",
        of(observes, |f| {
            declared(f, Fault::Range, |f| {
                f.range = Some([Some(-2.0), Some(-1.0)]);
            })
        }),
    );
    all_found(
        "too many lines",
        of(
            |f| f.kind == Kind::Histogram,
            |f| declared(f, Fault::Budget, |f| f.budget = Some(1_000_000)),
        ),
    );
    let twice = of(
        |_| true,
        |f| {
            let mut mutation = declared(f, Fault::DeclaredTwice, |f| f.help.push('!'));
            let catalog = catalog();
            let all = catalog.families.iter().cloned();
            let again: Catalog = all.chain([f.clone().into()]).collect();
            mutation.artefacts.catalog = serde_json::to_string(&again).unwrap();
            mutation
        },
    );
    all_found("twice", twice);
}

/// One of a team's texts.
type Part = fn(&mut Artefacts) -> &mut String;

/// What anybody might do to a query, for each place in it: a pattern, and what becomes of it.
const QUERY_CHANGES: [(&str, &str, &str, Fault); 13] = [
    (
        "metric renamed",
        "desk_orders_total",
        "desk_order_total",
        Fault::Query,
    ),
    (
        "metric renamed",
        "desk_fill_seconds_bucket",
        "desk_fills_seconds_bucket",
        Fault::Query,
    ),
    ("metric renamed", "desk_money", "desk_moneys", Fault::Query),
    (
        "metric renamed",
        "desk_venue_up",
        "desk_venues_up",
        Fault::Query,
    ),
    (
        "metric renamed",
        "desk_calls_total",
        "desk_call_total",
        Fault::Query,
    ),
    (
        "rate left out",
        "rate(desk_orders_total",
        "abs(desk_orders_total",
        Fault::Query,
    ),
    (
        "rate of a gauge",
        "sum(desk_money)",
        "sum(rate(desk_money[5m]))",
        Fault::Query,
    ),
    (
        "buckets added up",
        "sum by (le",
        "sum by (service",
        Fault::Query,
    ),
    ("no such label", "by (venue)", "by (venues)", Fault::Query),
    ("no such label", "side=", "sides=", Fault::Query),
    ("no such value", "\"buy\"", "\"bye\"", Fault::Query),
    (
        "no such value",
        "outcome=\"error\"",
        "outcome=\"failed\"",
        Fault::Query,
    ),
    ("no query", "sum by", "sum bye", Fault::Query),
];

#[test]
fn every_change_of_a_query_is_found_wherever_it_is() {
    let artefacts: [(&str, Part, bool); 3] = [
        ("rules", |a| &mut a.rules, false),
        ("dashboard", |a| &mut a.dashboard, true),
        ("document", |a| &mut a.document, false),
    ];
    let mut by_artefact = [0; 3];
    for (what, from, to, fault) in QUERY_CHANGES {
        for (i, (artefact, text, is_json)) in artefacts.iter().enumerate() {
            let quoted = |text: &str| {
                if *is_json {
                    text.replace('"', "\\\"")
                } else {
                    text.to_owned()
                }
            };
            let (from, to) = (quoted(from), quoted(to));
            let places = text(&mut Artefacts::sound()).matches(&from).count();
            for place in 0..places {
                let mut mutated = Artefacts::sound();
                let changed = text(&mut mutated);
                let at = changed.match_indices(&from).nth(place).unwrap().0;
                changed.replace_range(at..at + from.len(), &to);
                let found = mutated.findings(Expect::SoFar).unwrap();
                let is_found = found
                    .iter()
                    .any(|f| f.fault == fault || f.fault == Fault::Mention);
                assert!(is_found, "{what} in {artefact}, place {place}: {found:#?}");
                by_artefact[i] += 1;
            }
        }
    }
    assert!(
        by_artefact.iter().all(|count| *count >= 4),
        "{by_artefact:?}"
    );
}

#[test]
fn what_belongs_to_one_artefact_alone_is_found_there() {
    let changed = |text: Part, from: &str, to: &str, fault: Fault| {
        let mut artefacts = Artefacts::sound();
        let text = text(&mut artefacts);
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        Mutation {
            what: format!("{from} -> {to}"),
            artefacts,
            fault,
        }
    };
    all_found(
        "rules",
        vec![
            changed(
                |a| &mut a.rules,
                "$labels.venue",
                "$labels.broker",
                Fault::Query,
            ),
            changed(
                |a| &mut a.rules,
                "mode!=\"backtest\"",
                "mode!=\"test\"",
                Fault::Query,
            ),
            changed(|a| &mut a.rules, "{mode!=\"backtest\"}", "", Fault::Alert),
            changed(
                |a| &mut a.rules,
                "and sum by (service, environment, mode) (increase(desk_calls_total[5m])) > 20",
                "",
                Fault::Alert,
            ),
            changed(
                |a| &mut a.rules,
                "venue:orders:rate5m) == 0",
                "venue:order:rate5m) == 0",
                Fault::Query,
            ),
        ],
    );
    all_found(
        "dashboard",
        vec![
            changed(|a| &mut a.dashboard, "\"cps\"", "\"s\"", Fault::Query),
            changed(
                |a| &mut a.dashboard,
                "desk_venue_up, venue",
                "desk_venue_up, broker",
                Fault::Query,
            ),
        ],
    );
    all_found(
        "document",
        vec![
            changed(
                |a| &mut a.document,
                "`desk_orders_total`",
                "`desk_order_total`",
                Fault::Mention,
            ),
            changed(
                |a| &mut a.document,
                "`desk_fill_seconds`",
                "`desk_fills_seconds`",
                Fault::Mention,
            ),
        ],
    );
}
