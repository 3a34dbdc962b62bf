//! What handles and a recorder share: cells that every thread has to itself.
//!
//! The call of a facade's handle costs more than an addition does. A recorder that keeps what it counts in such cells therefore hands
//! a handle its own with [`offer`](crate::channel::offer), and the handle adds there by itself. `obs-recorder` does; nothing here is
//! meant for anything else, and it may change with any release.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

pub use obs_memory::{Page, Pair, WORDS, in_child};

pub use crate::channel::{offer, pass_on};
use crate::{Counter, Gauge, Histogram};

mod buckets;
mod chunks;
pub mod grid;
pub mod slot;

pub use buckets::Buckets;
pub use chunks::{Chunk, Chunks, NativeCell};

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
        let page = own(&self.lanes)?;
        // The word lies within the page; the mask tells the compiler so.
        Some(&page[usize::from(self.word) % WORDS])
    }
}

/// Where a histogram is kept: in every lane of a block a word for the sum of its values, a float, and behind it one for each bucket, not
/// cumulated.
#[derive(Clone, Debug)]
pub struct HistogramCell {
    lanes: Arc<[Lane]>,
    buckets: Arc<Buckets>,
    sum: u16,
}

impl HistogramCell {
    /// The words of these buckets, of which that of the sum has this index in these lanes.
    #[must_use]
    pub fn new(lanes: Arc<[Lane]>, sum: u16, buckets: Arc<Buckets>) -> Self {
        Self {
            lanes,
            buckets,
            sum,
        }
    }

    /// Adds a finite value, where this thread has recorded in this block before; else nothing, and returns `false`.
    #[inline]
    pub(crate) fn record(&self, value: f64) -> bool {
        match self.buckets.by_table(value) {
            Some(bucket) => self.add(bucket, value),
            None => self.record_compared(value),
        }
    }

    /// Apart, so that what has a table carries none of it.
    #[inline(never)]
    fn record_compared(&self, value: f64) -> bool {
        self.add(self.buckets.compared(value), value)
    }

    #[inline]
    fn add(&self, bucket: usize, value: f64) -> bool {
        let page = own(&self.lanes);
        if let Some(page) = page {
            add_to_sum_and(page, self.sum, bucket, value, 1);
        }
        page.is_some()
    }
}

/// The bits of a gauge that nothing was said of: a negative zero. Whatever is added to it is the sum, and what reads it adds zero, so
/// that it shows 0.
pub const UNSAID: u64 = (-0.0_f64).to_bits();

/// What a handle sets through a facade for [`Gauge::begin_undefined`]: a `NaN` that no calculation makes. A recorder that does not
/// know it has a `NaN` like any other.
pub const BEGIN_UNDEFINED: u64 = 0x7ff8_6f62_735f_6265;

/// Makes a gauge undefined, unless something was said of it; whether it did.
pub fn begin_undefined(bits: &AtomicU64) -> bool {
    bits.compare_exchange(UNSAID, f64::NAN.to_bits(), Relaxed, Relaxed)
        .is_ok()
}

/// This thread's page of a block, if it has recorded there before.
#[inline]
fn own(lanes: &[Lane]) -> Option<&Page> {
    lanes.get(slot::current())?.get()
}

/// Adds a value so many times to the word of a sum, and to one of those behind it.
#[inline]
fn add_to_sum_and(page: &Page, sum: u16, behind: usize, value: f64, count: u64) {
    let sum = usize::from(sum);
    // They lie within the page; the mask tells the compiler so.
    add_owned(&page[(sum + 1 + behind) % WORDS], count);
    add_float_owned(&page[sum % WORDS], value * count as f64);
}

/// Where a gauge is kept: a word that everybody writes, and behind it a mark that it was written.
#[derive(Clone, Debug)]
pub struct GaugeCell(Pair);

impl GaugeCell {
    /// In these words, of which the first is [`UNSAID`] from now on and the second 0.
    #[must_use]
    pub fn new(words: Pair) -> Self {
        words[0].store(UNSAID, Relaxed);
        words[1].store(0, Relaxed);
        Self(words)
    }

    /// Its words.
    #[must_use]
    pub fn words(&self) -> &Pair {
        &self.0
    }

    /// The bits of its value, a float; [`UNSAID`] at first.
    #[must_use]
    #[inline]
    pub fn bits(&self) -> &AtomicU64 {
        &self.0[0]
    }

    /// Whether it was set or moved since this was asked for the last time: it may have been set to what it was.
    #[must_use]
    pub fn take_touched(&self) -> bool {
        self.0[1].swap(0, Relaxed) != 0
    }

    #[inline]
    fn touch(&self) {
        self.0[1].store(1, Relaxed);
    }

    /// Sets it.
    #[inline]
    pub fn set(&self, value: f64) {
        self.bits().store(value.to_bits(), Relaxed);
        self.touch();
    }

    /// Makes it undefined, unless something was said of it.
    pub fn begin_undefined(&self) {
        if begin_undefined(self.bits()) {
            self.touch();
        }
    }

    /// Moves it.
    #[inline]
    pub fn add(&self, by: f64) {
        let moved = |bits| Some((f64::from_bits(bits) + by).to_bits());
        let _ = self.bits().fetch_update(Relaxed, Relaxed, moved);
        self.touch();
    }
}

/// What a recorder offers to a handle.
#[derive(Clone, Debug)]
pub enum Offered {
    /// To that of a counter.
    Counter(CounterCell),
    /// To that of a gauge.
    Gauge(GaugeCell),
    /// To that of a histogram.
    Histogram(HistogramCell),
    /// To that of a histogram with native buckets.
    Native(NativeCell),
}

/// Whether a handle records by itself, on a thread that has recorded with it before.
pub trait MayBeDirect {
    /// Whether it does.
    fn is_direct(&self) -> bool;
}

impl MayBeDirect for Counter {
    fn is_direct(&self) -> bool {
        self.cell().is_any()
    }
}

impl MayBeDirect for Gauge {
    fn is_direct(&self) -> bool {
        self.is_direct()
    }
}

impl MayBeDirect for Histogram {
    fn is_direct(&self) -> bool {
        self.is_direct()
    }
}

/// Whether a handle records by itself, on a thread that has recorded with it before.
#[must_use]
pub fn is_direct(handle: &impl MayBeDirect) -> bool {
    handle.is_direct()
}

/// Adds to a word that only this thread writes.
#[inline]
pub(crate) fn add_owned(word: &AtomicU64, n: u64) {
    word.store(word.load(Relaxed).wrapping_add(n), Relaxed);
}

/// The same for a float.
#[inline]
fn add_float_owned(word: &AtomicU64, by: f64) {
    let sum = f64::from_bits(word.load(Relaxed)) + by;
    word.store(sum.to_bits(), Relaxed);
}
