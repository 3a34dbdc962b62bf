//! A [`metrics::Recorder`] with wait-free recording, for code that must not be slowed down by being measured.
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
//! A handle is the series itself. Each thread adds to its own cells by a plain load and store, so threads do not contend for cache
//! lines and nothing waits for a scrape; a scrape sums the cells. Recording on a handle takes no lock and allocates nothing, except one
//! page of 4 KiB when a thread first records to one of about 500 counters or 40 histograms. Threads beyond [`Builder::slots`] add to
//! shared cells atomically. Totals are exact under any interleaving: models of the cells are checked under every interleaving that the
//! memory model allows. Where the engine is what [`obs_core::install`] installed, an [`obs_core::Counter`], a
//! [`Gauge`](obs_core::Gauge) and a [`Histogram`](obs_core::Histogram) without native buckets or exemplars record to their cells by
//! themselves, without a call of the facade's handle.
//!
//! Memory does not depend on how much is recorded. A scrape keeps some 30 bytes a series of what its lines are made of; one that is packed
//! with gzip ([`Engine::render_gzip_into`]) keeps as much again of counters in large families, for two formats at most.
//!
//! # Series
//!
//! Names and labels may be any text: they are exported valid, sorted and escaped. Labels that become the same are one series.
//! Names that become the same are a warning, and the first of them is kept; [`Builder::utf8_names`] keeps both apart, for scrapers that
//! read names of any characters.
//! Resolving a handle of a declared family hands its declaration to the recorder. Histograms of other families get buckets by the unit in
//! their name ([`BUCKETS_BY_SUFFIX`]), or become summaries; [`Engine::undeclared`] lists them. Budgets are those of
//! [`obs_core::Budgeted`], and need no recorder in front of this one.
//!
//! Series are removed by [`Engine::remove`], or when they were idle for as long as their family allows, and reappear when they are
//! recorded to again.
//!
//! # Native histograms
//!
//! With [`Builder::native_histograms`], histograms have the native buckets of Prometheus beside their declared ones, by the same
//! addition. They are served in [protobuf](Engine::render_protobuf_into) only: no text format has them. A series takes the cells of an
//! octave when its first value lies there, which takes a lock for a moment and 72 bytes, or now and then one more page;
//! with [`Builder::reserve_native_cells`] it has those of its declared range from the start.

mod cell;
mod deflate;
mod engine;
mod error;
mod exemplar;
mod filed;
mod grid;
mod gzip;
mod key;
mod labels;
mod metric;
mod names;
mod native;
mod order;
mod point;
mod protobuf;
mod registry;
pub mod request;
mod snapshot;
mod summary;
mod text;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use obs_core::cells::slot;

pub use crate::engine::{Builder, Engine};
pub use crate::error::EngineError;
pub use crate::exemplar::{TraceId, set_trace_id_source};
pub use crate::key::{canonical, metric_name};
pub use crate::metric::BUCKETS_BY_SUFFIX;
pub use crate::names::Names;
pub use crate::protobuf::PROTOBUF_MEDIA_TYPE;
pub use crate::snapshot::{
    ExemplarSnapshot, FamilySnapshot, NativeBuckets, SeriesSnapshot, SeriesValue,
};
pub use crate::text::Format;
pub use metrics;
pub use obs_memory::{Heartbeat, HeartbeatOptions, Options as MemoryOptions};

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
