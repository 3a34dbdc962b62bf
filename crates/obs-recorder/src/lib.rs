//! A [`metrics::Recorder`] for programs that count what they cannot afford to slow down.
//!
//! ```
//! use obs_recorder::{Engine, Format};
//!
//! let engine = Engine::builder().build()?;
//! let fills = metrics::with_local_recorder(&engine, || metrics::histogram!("fill_seconds", "venue" => "alpaca"));
//! fills.record(0.25);
//! assert!(engine.render(Format::Classic).contains("fill_seconds_sum{venue=\"alpaca\"} 0.25\n"));
//! assert!(engine.render(Format::OpenMetrics).ends_with("# EOF\n"));
//! # Ok::<(), obs_recorder::EngineError>(())
//! ```
//!
//! # Recording
//!
//! A handle is the series itself. Each thread adds to cells of its own by a plain load and store, so threads do not fight over
//! cache lines, and nothing waits for a scrape; a scrape sums the cells. Recording on a handle takes no lock and allocates
//! nothing, but for one page of 4 KiB when a thread first records to one of about 500 counters or 40 histograms. Threads beyond
//! [`Builder::slots`] add to shared cells atomically. Totals are exact under any interleaving: models of the cells are run
//! under every interleaving of the memory model.
//!
//! Memory does not depend on how much is recorded, nor on whether anybody scrapes.
//!
//! # Series
//!
//! Names and labels may be anything: they come out valid, sorted and escaped, and what means the same series after that adds up
//! in one. A catalogue says what is known of families. Of others, histograms get buckets by the unit in their name
//! ([`BUCKETS_BY_SUFFIX`]), or else become summaries; [`Engine::undeclared`] lists them. Budgets are those of
//! [`obs_core::Budgeted`], and need no recorder in front of this one.
//!
//! Series go by [`Engine::remove`] or when they are idle for as long as their family allows, and come back when they are recorded
//! to again.
//!
//! # What it does not do
//!
//! Native histograms: neither text format has them, they are served in protobuf only; and their buckets come into being with what is
//! recorded and are merged when there are too many, while the cells here have their places from the start, so that recording takes
//! no lock and allocates nothing. `obs-exporter` has them with the stock recorder, and serves at sockets and pushes with either.

mod cell;
mod engine;
mod error;
mod exemplar;
mod key;
mod metric;
mod order;
mod registry;
mod slot;
mod summary;
mod text;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use crate::engine::{Builder, Engine};
pub use crate::error::EngineError;
pub use crate::exemplar::{TraceId, set_trace_id_source};
pub use crate::key::{canonical, metric_name};
pub use crate::metric::BUCKETS_BY_SUFFIX;
pub use crate::text::Format;
pub use metrics;

/// What is behind these locks is whole even where a panic let go of one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
