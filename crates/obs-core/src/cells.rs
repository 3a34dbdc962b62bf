//! What the handles of a counter and a recorder share: cells that every thread has to itself.
//!
//! The call of a facade's handle costs more than an addition does. A recorder that keeps its counters in such cells therefore hands
//! a handle its own with [`offer`](crate::channel::offer), and the handle adds there by itself. `obs-recorder` does; nothing here is
//! meant for anything else, and it may change with any release.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

pub use obs_memory::{Page, WORDS, in_child};

use crate::Counter;
pub use crate::channel::{offer, pass_on};

pub mod slot;

/// A thread's words of a block, once it has recorded there.
pub type Lane = OnceLock<Page>;

/// Where a counter is kept: one word, in every lane of a block. The default has no lane, and so is no thread's.
#[derive(Clone, Debug, Default)]
pub struct CounterCell {
    lanes: Arc<[Lane]>,
    word: u16,
}

impl CounterCell {
    /// The word of that index in these lanes.
    #[must_use]
    pub fn new(lanes: Arc<[Lane]>, word: u16) -> Self {
        Self { lanes, word }
    }

    /// Whether any thread may have a word there.
    pub(crate) fn is_any(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// Where this thread alone may write, if it has recorded in this block before. The recorder makes the memory, on the heap or elsewhere.
    #[inline]
    pub(crate) fn own(&self) -> Option<&AtomicU64> {
        let page = self.lanes.get(slot::current())?.get()?;
        // The word lies within the page; the mask tells the compiler so.
        Some(&page[usize::from(self.word) % WORDS])
    }
}

/// Whether a counter adds by itself, on a thread that has added to it before.
#[must_use]
pub fn is_direct(counter: &Counter) -> bool {
    counter.cell().is_any()
}

/// Adds to a word that only this thread writes.
#[inline]
pub(crate) fn add_owned(word: &AtomicU64, n: u64) {
    word.store(word.load(Relaxed).wrapping_add(n), Relaxed);
}
