//! Every query against a running Prometheus: which of them return nothing.

use obs_core::Catalogue;
use obs_tests::ask;

use super::finding::{Fault, Finding};
use crate::error::Error;
use crate::queries::{Query, Role, families_in, recorded_in};

/// What returns nothing while all is well, by where it stands, and why.
const RIGHTLY_EMPTY: &[(&str, &str)] = &[
    ("panel `Firing alerts`", "no alert fires"),
    ("annotation `Alerts`", "no alert fires"),
    ("panel `Most frequent`", "no error was counted"),
    ("panel `Rejected by venues`", "no order was rejected"),
    (
        "record `component:errors:trend",
        "there is no record of a day or a week ago",
    ),
    (
        "panel `Against ",
        "there is no record of a day or a week ago",
    ),
    ("panel `Trend`", "there is no record of a day or a week ago"),
];

/// The queries that returned nothing, each with what is known of the reason.
///
/// `recorded` is the catalogue of what the service under Prometheus records; what it has no part of is rightly empty. Alerts
/// are not asked: they return nothing while all is well.
pub(super) fn check(
    prometheus: &str,
    everything: &Catalogue,
    recorded: &Catalogue,
    queries: &[Query],
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for query in queries {
        if matches!(query.role, Role::Alert(_)) || !ask(prometheus, &query.text)?.is_empty() {
            continue;
        }
        let reason = reason(query, everything, recorded, queries);
        findings.push(Finding {
            fault: if reason.is_some() {
                Fault::RightlyEmpty
            } else {
                Fault::Empty
            },
            metric: None,
            file: Some(query.file.clone()),
            line: query.line,
            problem: format!(
                "{} returns nothing{}",
                query.place,
                reason.map_or(String::new(), |reason| format!(": {reason}"))
            ),
            repair: format!(
                "ask {prometheus} for `{}`",
                query.text.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        });
    }
    Ok(findings)
}

/// Why it is right that a query returns nothing, if it is.
fn reason(
    query: &Query,
    everything: &Catalogue,
    recorded: &Catalogue,
    queries: &[Query],
) -> Option<String> {
    let excused = RIGHTLY_EMPTY
        .iter()
        .find(|(place, _)| query.place.starts_with(place));
    if let Some((_, reason)) = excused {
        return Some((*reason).to_owned());
    }
    let foreign = names_in(query, everything, queries)
        .into_iter()
        .find(|name| recorded.family(name).is_none())?;
    Some(format!("the service does not record `{foreign}`"))
}

/// The families of a query, those behind recorded series among them.
fn names_in(query: &Query, catalogue: &Catalogue, queries: &[Query]) -> Vec<String> {
    let mut names: Vec<_> = families_in(&query.text, catalogue)
        .into_iter()
        .map(str::to_owned)
        .collect();
    for behind in recorded_in(&query.text, queries) {
        names.extend(names_in(behind, catalogue, queries));
    }
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use obs_tests::{Desk, Manner, Stack};

    use super::*;
    use crate::catalogue::{catalogue, everything};
    use crate::queries;

    /// With the desk trading and a real Prometheus watching it, every panel and every variable shows something, or is
    /// rightly empty.
    #[test]
    fn every_panel_shows_something_of_a_running_desk() {
        let desk = Desk::start("20ms").unwrap();
        let stack = Stack::start(desk.address(), Manner::Hurried).unwrap();
        let patience = Duration::from_mins(2);
        // A rate takes two scrapes, a quantile that an order was filled, a rule that builds on a rule two evaluations.
        stack
            .wait_for(
                patience,
                "count_over_time(up{service=\"trading-desk\"}[5m]) > 8",
            )
            .unwrap();
        stack
            .wait_for(
                patience,
                "increase(trading_orders_closed_total{outcome=\"filled\"}[5m]) > 1",
            )
            .unwrap();
        stack
            .wait_for(
                patience,
                "service:http_error_budget:burn_rate1h and service:http_error_budget:burn_rate3d",
            )
            .unwrap();

        let (everything, recorded) = (everything().unwrap(), catalogue().unwrap());
        let queries = queries::all(&obs_tests::tools::workspace()).unwrap();
        let found = check(stack.prometheus(), &everything, &recorded, &queries).unwrap();
        let empty: Vec<_> = found
            .iter()
            .filter(|finding| finding.fault == Fault::Empty)
            .map(|finding| {
                format!(
                    "{:?}: {}; {}",
                    finding.file, finding.problem, finding.repair
                )
            })
            .collect();
        assert!(empty.is_empty(), "{}", empty.join("\n"));
        // The excuse is not one for everything.
        assert!(
            found.len() < queries.len() / 2,
            "{} of {} are empty",
            found.len(),
            queries.len()
        );
    }
}
