//! Every query against the catalogue, and the catalogue against every query.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dashboard::{grafana_unit, is_unit_of};
use crate::promql::{Problem, Vocabulary, Yield, check as check_query};
use crate::queries::{Query, Role, families_in};
use crate::{Catalog, Family, Fault, Finding};

/// What is wrong in the queries.
#[must_use]
pub fn check(catalog: &Catalog, queries: &[Query]) -> Vec<Finding> {
    let vocabulary = vocabulary(catalog, queries);
    queries
        .iter()
        .flat_map(|query| of_query(query, &vocabulary))
        .collect()
}

/// All series, those that rules record among them.
#[must_use]
pub fn vocabulary(catalog: &Catalog, queries: &[Query]) -> Vocabulary {
    let mut vocabulary = Vocabulary::new(catalog);
    vocabulary.record(queries.iter().filter_map(|query| match &query.role {
        Role::Record(name) => Some((name.as_str(), query.text.as_str())),
        _ => None,
    }));
    vocabulary
}

/// What is wrong in one query.
#[must_use]
pub fn of_query(query: &Query, vocabulary: &Vocabulary) -> Vec<Finding> {
    let (yields, mut problems) = check_query(&query.text, vocabulary);
    if let Some(yields) = yields {
        problems.extend(of_role(&query.role, &query.text, &yields));
    }
    problems
        .into_iter()
        .map(|problem| finding(query, &problem))
        .collect()
}

fn finding(query: &Query, problem: &Problem) -> Finding {
    let Problem {
        line,
        column,
        what,
        repair,
    } = problem;
    let at = if query.text.contains('\n') {
        format!("line {line}, column {column}")
    } else {
        format!("column {column}")
    };
    let problem = format!("{}, {at}: {what}", query.place);
    Finding::new(Fault::Query, problem, repair.clone()).at(&query.file, query.line)
}

/// Whether a query yields what it is asked for.
fn of_role(role: &Role, text: &str, yields: &Yield) -> Vec<Problem> {
    let problem = |what: String, repair: &str| Problem {
        line: 1,
        column: 1,
        what,
        repair: repair.to_owned(),
    };
    match (role, yields) {
        (Role::Alert(alert), Yield::Vector(series)) => {
            let added = |label: &&String| !alert.labels.contains_key(*label);
            let missing = alert.templates.difference(&series.labels).filter(added);
            missing
                .map(|label| {
                    problem(
                        format!("its text names the label `{label}`, which the alert has not"),
                        "keep the label in the query, or leave it out of the text",
                    )
                })
                .collect()
        }
        (Role::Panel(unit), Yield::Vector(series)) => {
            let right = grafana_unit(series.quantity);
            let what = format!(
                "yields {}, and its axis has the unit `{unit}` instead of `{right}`",
                series.quantity.name()
            );
            (!is_unit_of(unit, series.quantity, text))
                .then(|| {
                    problem(
                        what,
                        "give the axis that unit, or generate the dashboard anew",
                    )
                })
                .into_iter()
                .collect()
        }
        (_, Yield::Range(_) | Yield::Text) => vec![problem(
            "yields a range or a text".to_owned(),
            "reduce it to one value a series",
        )],
        _ => Vec::new(),
    }
}

/// Families that no panel and no rule uses, and reasons that no longer hold.
///
/// `excused` are families that rightly are in none, each with the reason. Examples in documents do not count.
#[must_use]
pub fn unused(catalog: &Catalog, queries: &[Query], excused: &[(&str, &str)]) -> Vec<Finding> {
    let shown = queries.iter().filter(|query| query.role != Role::Example);
    let used: BTreeSet<&str> = shown
        .flat_map(|query| families_in(&query.text, catalog))
        .collect();
    let finding = |family: &Arc<Family>| {
        let name = family.name.as_str();
        let is_used = used.contains(name);
        let is_excused = excused.iter().any(|(excused, _)| *excused == name);
        let (problem, repair) = match (is_used, is_excused) {
            (false, false) => (
                "is in no panel and in no rule",
                "show it, or excuse it with a reason",
            ),
            (true, true) => (
                "is shown, and excused from being shown",
                "remove the excuse",
            ),
            _ => return None,
        };
        Some(Finding::of(family, Fault::Unused, problem, repair))
    };
    catalog.families.iter().filter_map(finding).collect()
}
