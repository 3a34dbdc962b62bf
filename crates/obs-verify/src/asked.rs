//! Every query against a running Prometheus: which of them return nothing.

use crate::queries::{Query, Role, families_in, recorded_in};
use crate::{Catalog, Fault, Finding};

/// What is known of the service under Prometheus.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Everything that rules and dashboards may ask for.
    pub everything: &'a Catalog,
    /// What the service records; what it has no part of is rightly empty.
    pub recorded: &'a Catalog,
    /// Places that return nothing while all is well, by what they begin with, and why.
    pub excused: &'a [(&'a str, &'a str)],
}

/// What Prometheus makes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returned so many series.
    Series(usize),
    /// It does not take the query, for this reason.
    Refused(String),
}

/// The queries that were refused or returned nothing, each with what is known of the reason. An alert that returns nothing is
/// none of them: it does so while all is well.
///
/// `ask` puts a query to Prometheus; `prometheus` is where that is.
pub fn check<E>(
    prometheus: &str,
    known: Known<'_>,
    queries: &[Query],
    mut ask: impl FnMut(&str) -> Result<Answer, E>,
) -> Result<Vec<Finding>, E> {
    let mut findings = Vec::new();
    for query in queries {
        match ask(&query.text)? {
            Answer::Series(0) if !matches!(query.role, Role::Alert(_)) => {}
            Answer::Series(_) => continue,
            Answer::Refused(reason) => {
                let problem = format!("{} is refused: {reason}", query.place);
                let finding =
                    Finding::new(Fault::Query, problem, "write it as Prometheus reads it");
                findings.push(finding.at(&query.file, query.line));
                continue;
            }
        }
        let reason = known.reason(query, queries);
        let fault = if reason.is_some() {
            Fault::RightlyEmpty
        } else {
            Fault::Empty
        };
        let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
        let text: Vec<_> = query.text.split_whitespace().collect();
        let finding = Finding::new(
            fault,
            format!("{} returns nothing{reason}", query.place),
            format!("ask {prometheus} for `{}`", text.join(" ")),
        );
        findings.push(finding.at(&query.file, query.line));
    }
    Ok(findings)
}

impl Known<'_> {
    /// Why it is right that a query returns nothing, if it is.
    fn reason(&self, query: &Query, queries: &[Query]) -> Option<String> {
        let mut excused = self.excused.iter();
        if let Some((_, reason)) = excused.find(|(place, _)| query.place.starts_with(place)) {
            return Some((*reason).to_owned());
        }
        let foreign = names_in(query, self.everything, queries)
            .into_iter()
            .find(|name| self.recorded.family(name).is_none())?;
        Some(format!("the service does not record `{foreign}`"))
    }
}

/// The families of a query, those behind recorded series among them.
fn names_in(query: &Query, catalog: &Catalog, queries: &[Query]) -> Vec<String> {
    let mut names: Vec<_> = families_in(&query.text, catalog)
        .into_iter()
        .map(str::to_owned)
        .collect();
    for behind in recorded_in(&query.text, queries) {
        names.extend(names_in(behind, catalog, queries));
    }
    names
}
