//! What a query says, held against the catalogue: a type checker for `PromQL`.
//!
//! A query that names a metric or label that does not exist is not an error to Prometheus: it returns nothing, and the
//! panel stays empty and the alert silent for ever. Here it is an error, with its place and the nearest name.
//!
//! [`Vocabulary`] knows the series there are, [`check()`] what an expression over them yields: which labels, measured in
//! what, and whether it still counts up.

mod binary;
mod check;
#[cfg(test)]
mod properties;
mod quantity;
mod vocabulary;

pub use check::check;
pub(crate) use check::yields;
pub use quantity::Quantity;
pub use vocabulary::Vocabulary;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use promql_parser::parser::{self, Expr};

use crate::Family;

/// Reads an expression, or says why it is none.
///
/// The parser panics where a range or an offset is a number of seconds that no `Duration` holds; a fuzzer found that. So would it at
/// anything else that its authors did not think of: to it, that is a mistake of the text as well.
pub(crate) fn parse(query: &str) -> Result<Expr, String> {
    let panicked = |_| Err("the parser fails on it, as it does on numbers out of range".to_owned());
    catch_unwind(|| parser::parse(query)).unwrap_or_else(panicked)
}

/// What an expression yields.
#[derive(Clone, Debug)]
pub enum Yield {
    /// A number.
    Scalar(Quantity),
    /// Text, as an argument.
    Text,
    /// Series, one value each.
    Vector(Series),
    /// Series over a range of time.
    Range(Series),
}

/// What is known of series without looking at them.
#[derive(Clone, Debug)]
pub struct Series {
    /// The keys of the labels they may have.
    pub labels: BTreeSet<String>,
    /// How they behave.
    pub shape: Shape,
    /// What their values are measured in.
    pub quantity: Quantity,
    /// The family, as long as they are still its own series.
    pub family: Option<Arc<Family>>,
}

/// How series behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Goes up until the process restarts.
    Counter,
    /// The sum of a histogram whose observations have both signs: neither a counter nor a level.
    SignedSum,
    /// Goes up and down.
    Gauge,
    /// A histogram's buckets, which count up.
    Buckets,
    /// What was added to a histogram's buckets.
    BucketRates,
}

impl Series {
    /// The name of the family, or a word where they are no longer its own series.
    fn name<'a>(&'a self, or: &'a str) -> &'a str {
        self.family.as_ref().map_or(or, |family| &family.name)
    }
}

impl Shape {
    pub(crate) fn is_buckets(self) -> bool {
        matches!(self, Self::Buckets | Self::BucketRates)
    }
}

/// What is wrong in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the word it is about, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub repair: String,
}

/// The name nearest to a wrong one, if one is near.
fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_that_no_duration_holds_are_mistakes() {
        for query in ["rate(a[1e30])", "a offset 1e30", "a[5m] offset 1e30"] {
            assert!(parse(query).is_err(), "{query}");
        }
        assert!(parse("rate(a[300]) > 1e30").is_ok());
    }
}
