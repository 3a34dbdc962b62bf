//! Metrics in a mapped file: a process records into it, and another reads it when that one hangs or is dead.
//!
//! - [`Page`] is what threads record to: 512 words, on the heap or in a file. Recording reads the same pointer either way.
//! - [`Memory`] is the file as its writer has it: pages, and a directory that says what they hold. It is bounded, locked, and for its
//!   owner alone; its memory is reserved before it is touched, and where there is none, its writer goes on without.
//! - [`Reader`] reads a file by `pread`, of a process that runs, is stopped or is dead. It tells these by the lock, and refuses by
//!   name what no writer wrote.
//!
//! The engine of `obs-recorder` is what uses it; see [`Memory`] for an example of both sides.
//!
//! This is the only crate of the workspace with `unsafe` in it, all of it in `page.rs`.

mod error;
mod layout;
mod page;
#[cfg_attr(target_os = "linux", path = "writer.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod platform;
mod reader;
mod record;

pub use error::MemoryError;
pub use page::{Page, WORDS, Words};
pub use platform::Memory;
pub use reader::{FamilyReading, Reader, Reading, SeriesReading, Value};
pub use record::{Kind, Labels, Record};

/// Marks of a file: something is not in it; it says nothing any more.
const INCOMPLETE: u64 = 1;
const ABANDONED: u64 = 2;

/// How a file is made.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is made until `Memory::create` has them"]
pub struct Options {
    limit: u64,
    any_file_system: bool,
}

impl Default for Options {
    /// 64 MiB, on tmpfs only.
    fn default() -> Self {
        Self {
            limit: 64 << 20,
            any_file_system: false,
        }
    }
}

impl Options {
    /// The most bytes that the file may take, 1 MiB to 1 GiB. A quarter is for the directory. What is not used takes no memory.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether the file may be on a disk, too. While the system writes a page back, recording to it may wait.
    pub fn any_file_system(mut self, any: bool) -> Self {
        self.any_file_system = any;
        self
    }
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
