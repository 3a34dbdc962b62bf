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

pub(crate) use check::check;
pub(crate) use quantity::Quantity;
pub(crate) use vocabulary::Vocabulary;

use std::collections::BTreeSet;

/// What an expression yields.
#[derive(Clone, Debug)]
pub(crate) enum Yield {
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
pub(crate) struct Series {
    /// The keys of the labels they may have.
    pub(crate) labels: BTreeSet<String>,
    pub(crate) shape: Shape,
    pub(crate) quantity: Quantity,
    /// The family, as long as they are still its own series.
    pub(crate) family: Option<&'static obs_core::Family>,
}

/// How series behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
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

impl Shape {
    fn is_buckets(self) -> bool {
        matches!(self, Self::Buckets | Self::BucketRates)
    }
}

/// What is wrong in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where: the line and column of the word it is about, each from 1.
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) what: String,
    pub(crate) repair: String,
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
