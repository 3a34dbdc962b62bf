//! Metrics in a mapped file: a process records into it, and another reads it when that one hangs or is dead.
//!
//! - [`Page`] is what threads record to: 512 words, on the heap or in a file. Recording reads the same pointer either way. A [`Pair`] is
//!   two words of a page, for what every thread writes to the same place.
//! - [`Memory`] is the file as its writer has it: pages, and a directory that says what they hold. It is bounded, locked, and for its
//!   owner alone; its memory is reserved before it is touched, and where there is none, its writer goes on without.
//! - [`Reader`] reads a file by `pread`, of a process that runs, is stopped or is dead. It tells these by the lock, and refuses by
//!   name what no writer wrote.
//! - [`Heartbeat`] is the sign of life of a loop of the writer, and [`Heartbeats`] reads it.
//!
//! The engine of `obs-recorder` is what uses it; see [`Memory`] for an example of both sides.
//!
//! This is the only crate of the workspace with `unsafe` in it, all of it in `page.rs`.

#[cfg(feature = "file")]
mod error;
#[cfg_attr(
    not(feature = "file"),
    expect(dead_code, reason = "only what has a file asks")
)]
mod fork;
#[cfg(feature = "file")]
#[cfg_attr(
    not(all(target_os = "linux", feature = "map")),
    expect(dead_code, reason = "a writer's side, where there is no writer")
)]
mod heartbeat;
#[cfg(feature = "file")]
mod identity;
#[cfg(all(feature = "map", target_os = "linux"))]
mod image;
#[cfg(feature = "file")]
#[cfg_attr(
    not(all(target_os = "linux", feature = "map")),
    expect(dead_code, reason = "a writer's side, where there is no writer")
)]
mod layout;
#[cfg(feature = "file")]
mod options;
mod page;
#[cfg(feature = "file")]
#[cfg_attr(all(target_os = "linux", feature = "map"), path = "writer.rs")]
#[cfg_attr(not(all(target_os = "linux", feature = "map")), path = "elsewhere.rs")]
mod platform;
#[cfg(feature = "file")]
mod reader;
#[cfg(feature = "file")]
#[cfg_attr(
    not(all(target_os = "linux", feature = "map")),
    expect(dead_code, reason = "a writer's side, where there is no writer")
)]
mod record;
#[cfg(all(feature = "map", target_os = "linux"))]
mod retire;
#[cfg(feature = "file")]
mod totals;

pub use fork::{fork_depth, in_child};
pub use page::{Page, Pair, WORDS, Words};
#[cfg(feature = "file")]
pub use {
    error::MemoryError,
    heartbeat::{Heartbeat, HeartbeatOptions, Heartbeats, LoopReading},
    identity::FileId,
    options::Options,
    platform::Memory,
    reader::{FamilyReading, NativeBuckets, Reader, Reading, SeriesReading, Value},
    record::{Across, Cell, Kind, Labels, Record, Side},
    totals::{FamilyTotals, Folded, SeriesTotals, Totals},
};

/// The examples of the README are tests too.
#[cfg(all(doctest, feature = "map"))]
#[doc = include_str!("../README.md")]
struct Readme;
