//! What a process does differently that is forked from one that records to a file.
//!
//! It has the same pages, by mappings that it shares with its parent. So each of its threads leaves the words that are one thread's
//! alone in the parent, and everything it records is added atomically where everybody adds. The file itself stays the parent's; what a
//! forked process has to say of its own series is in a file of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// How many forks lie between this process and the one that began to record to a file.
static DEPTH: AtomicU16 = AtomicU16::new(0);
static LEAVE: OnceLock<fn()> = OnceLock::new();

/// Has a function called in every process that is forked from this one while it records to a file, before that does anything else. The
/// first function counts.
///
/// It runs between `fork` and its return, where other threads may have held any lock: it sets what is atomic or its thread's own, and nothing
/// else.
pub fn in_child(leave: fn()) {
    let _ = LEAVE.set(leave);
}

/// Whether this process was forked from one that records to a file.
pub(crate) fn is_forked() -> bool {
    fork_depth() != 0
}

/// How many forks lie between this process and the one that began to record to a file: 0 in that one, 1 in those that are forked from it.
/// What was noted at another depth is of another process.
#[must_use]
pub fn fork_depth() -> u16 {
    DEPTH.load(Relaxed)
}

/// Called in the child by the system.
#[cfg(all(feature = "map", target_os = "linux"))]
pub(crate) extern "C" fn left() {
    DEPTH.fetch_add(1, Relaxed);
    if let Some(leave) = LEAVE.get() {
        leave();
    }
}
