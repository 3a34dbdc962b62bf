//! Declare a metric once; its typed handles, help text, labels, buckets, series budget and place in
//! the catalogue all follow.
//!
//! ```
//! use obs_core::{By, Counter, Each, Histogram, buckets};
//!
//! obs_core::label! {
//!     /// Buy or sell.
//!     pub enum Side as "side" { Buy = "buy", Sell = "sell" }
//! }
//! obs_core::label! {
//!     /// What is traded; the first 500 keep series of their own.
//!     pub open Symbol as "symbol" up to 500
//! }
//! obs_core::label! {
//!     /// Where orders go.
//!     pub open Venue as "venue" up to 20
//! }
//!
//! obs_core::families! {
//!     /// Order entry on one venue.
//!     pub struct OrderMetrics(venue: Venue) {
//!         /// Orders handed to the venue.
//!         pub submitted: By<Side, Counter> = "desk_orders_total",
//!         /// Trades taken.
//!         pub trades: Each<Symbol, By<Side, Counter>> = "desk_trades_total",
//!         /// Time from submission to the last fill.
//!         pub fill: Histogram = "desk_fill_duration_seconds" { buckets: buckets::LATENCY },
//!     }
//! }
//!
//! let test = obs_core::TestRecorder::new();
//! let orders = test.run(|| OrderMetrics::new("alpaca"));  // start-up: every closed series exists, at 0
//! orders.submitted[Side::Buy].increment(1);               // hot path: an index and an add
//! let aapl = orders.trades.of("AAPL");                    // once a symbol, kept where it is traded
//! aapl[Side::Buy].increment(1);
//!
//! assert_eq!(test.counter("desk_orders_total", &[("venue", "alpaca"), ("side", "buy")]), Some(1));
//! assert_eq!(test.counter("desk_orders_total", &[("venue", "alpaca"), ("side", "sell")]), Some(0));
//! ```
//!
//! # How it fits together
//!
//! - A **family** ([`Family`]) is one metric name with its kind, help and labels. [`families!`] declares a struct of
//!   them, and checks names, suffixes, labels and buckets while compiling.
//! - A **label** ([`label!`]) is *closed* (an enum: every value is known) or *open* (any text, up to a limit).
//! - Labels are **axes** and axes compose: [`By`] is an array over a closed label, [`Late`] the same but filled on first
//!   use, [`Each`] a budgeted map over an open one. What they hold in the end is a **leaf**: [`Counter`],
//!   [`TimeCounter`], [`MoneyCounter`], [`Gauge`], [`Histogram`] or [`Summary`].
//! - Values are built at start-up, after a recorder was installed, and handed down. There are no statics, so a test
//!   builds its own under a [`TestRecorder`].
//! - A crate lists its families in a [`Catalogue`]; catalogues join, and from the joined one come the exporter's help and
//!   buckets, the generated reference and everything `cargo xtask verify-metrics` checks.
//! - A declaration also says what a family is shown with ([`Group`]) and what is shown first ([`Figure`]): the live page and the
//!   terminal view interpret that, and know no metric by name.
//! - **Timing** ([`Timed`]) comes as a guard, a closure and a future, each of which knows `ok`, `error`, `cancelled` and
//!   `panicked` apart; [`track_duration`] and [`track_calls`] do it for whole functions.
//!
//! # Features
//!
//! - `serde`: the enums of closed labels are `Serialize` and `Deserialize`, as the text they are exported as.
//!
//! The facade is part of this crate's interface and re-exported as [`metrics`]: an implementation of [`metrics::Recorder`]
//! for [`with_recorder`] has to be of this version.
//!
//! # Promises
//!
//! Recording on a handle never fails, blocks, panics or allocates. A value that is not a number, is infinite or lies
//! outside the range of the family is dropped and counted in `obs_samples_rejected_total{metric}`, so that it cannot
//! poison a sum. Values of an open label beyond its limit fold into `other` and are counted in
//! `obs_series_overflow_total{metric}`, so that totals stay exact.
//!
//! Handles resolved before a recorder was installed have no effect, for ever. `obs_dead_handles` counts them, and
//! `obs-exporter` logs a warning at `install` with the places that resolved them.

mod admission;
mod axis;
pub mod buckets;
mod budget;
mod catalogue;
#[doc(hidden)]
pub mod cells;
mod chain;
mod channel;
mod errors;
mod families;
mod family;
mod figure;
mod function;
mod group;
mod keyed;
mod label;
mod leaf;
mod message;
mod meta;
mod objective;
mod outcome;
mod parse;
mod quantile;
mod recorder;
mod rules;
mod site;
mod table;
mod testing;
mod timer;
mod warning;

pub use metrics;

pub use crate::admission::{Admission, Bounds, Claim, folded_gauge};
pub use crate::axis::{By, Each, Late};
pub use crate::budget::{Budgeted, OTHER_TOTAL, UNDECLARED_FAMILIES};
pub use crate::catalogue::{Catalogue, CatalogueError};
pub use crate::chain::fmt_error;
pub use crate::channel::{Resolving, resolving};
pub use crate::errors::{Component, CountError, ErrorKind, ErrorMetrics, ErrorType, Severity};
pub use crate::family::{Across, Families, Family, Kind, Unit};
pub use crate::figure::{Alarm, Beyond, Figure, How, Reading, Shows, Worse};
pub use crate::function::{FunctionCalls, FunctionDuration, FunctionName};
pub use crate::group::Group;
pub use crate::keyed::Keyed;
pub use crate::label::{Closed, Label, LabelDecl, LabelNode, Labels, Open, Value, Values};
pub use crate::leaf::{
    Counter, Gauge, Histogram, InFlight, LocalCounter, MoneyCounter, Summary, TimeCounter,
};
pub use crate::meta::{Metric, PipelineMetrics, catalogue};
pub use crate::objective::{Good, Objective};
pub use crate::outcome::{Outcome, PanicWatch};
pub use crate::parse::ParseLabelError;
pub use crate::quantile::nearest_rank;
pub use crate::recorder::{AlreadyInstalled, install, with_recorder};
pub use crate::site::{Series, Site};
pub use crate::table::Table;
pub use crate::testing::{Recorded, TestRecorder, TestValue};
pub use crate::timer::{Timed, TimedFuture, Timer};
pub use crate::warning::{
    Warning, WarningKind, dead_handles, dead_handles_warning, unseen_warnings, warn_unseen,
};

/// Measures how long a function takes, by outcome, in `function_duration_seconds`; see the [crate] page.
pub use obs_macros::track_duration;

/// Counts a function's calls, by outcome, in `function_calls_total`, and those under way in
/// `function_calls_in_flight`.
pub use obs_macros::track_calls;

/// Tells what kind of error each variant of an enum is; see the [trait](trait@ErrorKind).
pub use obs_macros::ErrorKind;

/// What an open label's value becomes when its budget is used up, it is empty, or it is longer than
/// [`MAX_VALUE_BYTES`].
pub const OTHER: &str = "other";

/// The longest label value, in bytes, that keeps a series of its own. Longer text is never a good name for a series
/// and a scrape would carry it for ever.
pub const MAX_VALUE_BYTES: usize = 256;

/// The longest duration a family in seconds takes, ten years: what lies above is a broken clock.
pub const MAX_SECONDS: f64 = 315_576_000.0;

/// What the macros of this crate expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::function::{CallSite, DurationSite, OutcomeOfAny, OutcomeOfResult, call};
    pub use crate::message::Message;
    #[cfg(feature = "serde")]
    pub use crate::parse::deserialize_label;
    pub use crate::parse::parse_label;
    pub use crate::site::Root;
    pub use metrics;
    #[cfg(feature = "serde")]
    pub use serde_core as serde;
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
