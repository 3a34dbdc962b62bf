//! Metrics that documents speak of: whether there are such.

use std::collections::BTreeSet;

use crate::promql::Vocabulary;
use crate::queries::{Query, Role};
use crate::{Catalog, Fault, Finding};

/// What the name of a metric ends in, and hardly anything else does.
const SUFFIXES: [&str; 10] = [
    "_total",
    "_seconds",
    "_bytes",
    "_ratio",
    "_bps",
    "_info",
    "_bucket",
    "_sum",
    "_count",
    "_timestamp",
];

/// The names in code spans and fences of a document that look like metrics of this catalogue, and are none.
///
/// A name looks like one if it begins with a word that some declared family begins with, and ends as metrics do. Queries in
/// fences of `promql` are checked whole, by [`queried::check`](crate::queried::check).
#[must_use]
pub fn check(catalog: &Catalog, queries: &[Query], file: &str, text: &str) -> Vec<Finding> {
    let vocabulary = Vocabulary::new(catalog);
    let recorded = |name: &str| {
        let is_it = |query: &Query| matches!(&query.role, Role::Record(of) if of == name);
        queries.iter().any(is_it)
    };
    let first = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    let begins: BTreeSet<String> = catalog.families.iter().map(|f| first(&f.name)).collect();
    let looks_like_one = |word: &str| {
        let is_name = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        is_name
            && SUFFIXES.iter().any(|suffix| word.ends_with(suffix))
            && begins.contains(&first(word))
    };
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // Between backticks is every second part.
        let spans = line.split('`').skip(1).step_by(2);
        for word in spans.flat_map(|span| span.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        {
            let is_there = catalog.family(word).is_some()
                || vocabulary.names().any(|name| name == word)
                || recorded(word);
            if looks_like_one(word) && !is_there {
                let near = vocabulary.nearest(word);
                let repair = near.map_or_else(
                    || "name a metric that there is".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let problem = format!("names `{word}`, which is not declared");
                let line = u32::try_from(at + 1).ok();
                findings.push(Finding::new(Fault::Mention, problem, repair).at(file, line));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_there_is_not_is_found_with_its_line() {
        let catalog = Catalog::from(&obs_core::catalogue());
        let text = "# Errors\n\n`errors_total`, `error_kinds` and `errors_seen_total{a=\"b\"}`, not errors_x_total.\n";
        let found = check(&catalog, &[], "GUIDE.md", text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].line, Some(3));
        assert_eq!(
            found[0].problem,
            "names `errors_seen_total`, which is not declared"
        );
    }

    #[test]
    fn parts_of_histograms_and_other_peoples_names_are_none_of_them() {
        let catalog = Catalog::from(&obs_core::catalogue());
        let text = "`function_duration_seconds_bucket`, `function_duration_seconds`, `node_memory_bytes`, `errors_by_rule_total`";
        let rule = Query {
            file: String::new(),
            line: None,
            place: String::new(),
            text: "up".to_owned(),
            role: Role::Record("errors_by_rule_total".to_owned()),
        };
        assert_eq!(check(&catalog, &[rule], "GUIDE.md", text), []);
    }
}
