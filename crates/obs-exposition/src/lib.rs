//! A strict parser for the Prometheus text exposition format that reports the line and column of every mistake.
//!
//! Prometheus tolerates many mistakes of a scrape target, and their data is lost silently: a histogram without
//! its `+Inf` bucket has no quantiles, a series sent twice keeps one of its values. This parser of the classic
//! text format (version 0.0.4) is for the side that writes the exposition. It rejects what the specification of
//! the format or `promtool` rejects, reports the position and what was expected there, and returns the rest as
//! data.
//!
//! ```
//! let scrape = "\
//! ## HELP trading_orders_total Orders handed to the venue.
//! ## TYPE trading_orders_total counter
//! trading_orders_total{venue=\"alpaca\",side=\"buy\"} 12
//! trading_orders_total{venue=\"alpaca\",side=\"sell\"} 9
//! ## TYPE trading_order_fill_duration_seconds histogram
//! trading_order_fill_duration_seconds_bucket{le=\"1\"} 10
//! trading_order_fill_duration_seconds_bucket{le=\"2\"} 20
//! trading_order_fill_duration_seconds_bucket{le=\"+Inf\"} 20
//! trading_order_fill_duration_seconds_sum 24.5
//! trading_order_fill_duration_seconds_count 20
//! ";
//! let exposition = obs_exposition::parse(scrape)?;
//!
//! // One series by its exact labels, or the sum of all that carry some of them.
//! let bought = [("side", "buy"), ("venue", "alpaca")];
//! assert_eq!(exposition.value("trading_orders_total", &bought), Some(12.0));
//! assert_eq!(exposition.sum("trading_orders_total", &[("venue", "alpaca")]), Some(21.0));
//!
//! // A family as it was declared, and its histograms put together again.
//! let fills = exposition.family("trading_order_fill_duration_seconds").ok_or("no such family")?;
//! assert_eq!(fills.kind, obs_exposition::Kind::Histogram);
//! assert_eq!(fills.histograms()[0].quantile(0.75), Some(1.5));
//!
//! // A mistake is an error with its place.
//! let mistake = obs_exposition::parse("up{job=\"desk} 1\n").unwrap_err();
//! assert_eq!(
//!     mistake.to_string(),
//!     "line 1, column 16: label value is not closed by a quote; expected `\"`"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`parse`] stops at the first mistake; [`parse_all`] reports all of them together with everything that could be read.
//!
//! # What is refused
//!
//! - **Lines**: a last line without a line feed; a bad metric or label name; a label named twice in a
//!   sample, or with the reserved prefix `__`; an unknown escape; a value that Go's `ParseFloat` or a
//!   timestamp that its `ParseInt` would not take (nor hexadecimal); anything after them, even a blank.
//! - **Families**: a second `HELP` or `TYPE`, or one after the first sample; an unknown type; lines that
//!   are not in one group; a name that a histogram or summary already uses for its own series.
//! - **Series**: the same name and labels twice. A label with an empty value counts as absent, as it does
//!   in Prometheus.
//! - **Counters** that are negative or `NaN`.
//! - **Histograms**: a sample under the base name; buckets without a valid `le`, not in increasing order,
//!   with counts that go down; no `+Inf` bucket; no `_sum`, no `_count`, or one that differs from `+Inf`.
//! - **Summaries**: quantiles that are not within 0 to 1 or not in increasing order; no `_sum`, no `_count`.
//! - **Reserved labels**: `le` anywhere but on buckets, `quantile` anywhere but on a summary's quantiles.
//!
//! Comments and blank lines are allowed anywhere, and so are blanks and tabs between the tokens of a line.
//! Naming conventions (`_total`, base units, a help text at all) are advice and not part of the format:
//! they are for a linter to judge.

mod error;
mod exposition;
mod histogram;
mod line;
mod parse;
mod rules;

pub use error::ParseError;
pub use exposition::{Exposition, Family, Kind, Sample};
pub use histogram::Histogram;
pub use parse::{parse, parse_all};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
