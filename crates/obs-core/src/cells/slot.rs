//! Slot numbers: every recording thread has one of its own, and gives it back when it ends.
//!
//! A slot's cells have one writer, so they are written with a plain load and store. Who takes a number that another thread
//! has given back goes on where that one stopped: the pool's lock orders the two.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lane of threads that have no slot, or one that a recorder does not give a lane to.
pub const SHARED_LANE: usize = 0;

/// The most slots of a process. Threads beyond them share one lane.
pub const MAX_SLOTS: usize = 1024;

/// This thread has not recorded yet. Beyond every lane, so that looking up the lane tells.
const UNASSIGNED: usize = usize::MAX;
/// This thread has no slot and gets none any more.
const NONE: usize = usize::MAX - 1;
/// No thread's, ever.
pub(crate) const NEVER: usize = usize::MAX - 2;

thread_local! {
    /// Needs no destructor, and so can be read for as long as the thread runs.
    static SLOT: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static LEASE: Lease = Lease::take();
}

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Whether this process was forked from one whose cells lie in a mapped file. Its lanes are shared with the parent, and no thread has one
/// to itself.
static FORKED: AtomicBool = AtomicBool::new(false);

/// The highest slot that was ever taken; only rises.
static HIGHEST: AtomicUsize = AtomicUsize::new(SHARED_LANE);

/// The slot of this thread, or a number beyond every lane.
#[must_use]
#[inline]
pub fn current() -> usize {
    SLOT.get()
}

/// Makes sure that this thread has a slot if it can have one, and returns what [`current`] does from now on.
#[must_use]
#[cold]
pub fn acquire() -> usize {
    if SLOT.get() == UNASSIGNED {
        // A thread whose destructors run has no lease any more, and what they record goes to the shared lane.
        SLOT.set(LEASE.try_with(|lease| lease.0).unwrap_or(NONE));
    }
    SLOT.get()
}

/// The highest lane in which anything can stand.
pub fn highest() -> usize {
    HIGHEST.load(Ordering::Acquire)
}

/// A thread's hold on its slot.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        super::in_child(leave);
        if FORKED.load(Ordering::Relaxed) {
            return Self(NONE);
        }
        let Some(slot) = pool().take() else {
            return Self(NONE);
        };
        HIGHEST.fetch_max(slot, Ordering::AcqRel);
        Self(slot)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // First this thread stops to write there, then another may.
        SLOT.set(NONE);
        if self.0 != NONE && !FORKED.load(Ordering::Relaxed) {
            pool().give_back(self.0);
        }
    }
}

/// Has a forked process record where everybody does, also by handles that were made before. It is called in its only thread, by which the
/// parent was forked.
fn leave() {
    FORKED.store(true, Ordering::Relaxed);
    SLOT.set(NONE);
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The numbers that are free, of which the lowest is taken first: lanes stay few.
#[derive(Debug)]
pub struct Pool {
    returned: BinaryHeap<Reverse<usize>>,
    next: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl Pool {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            returned: BinaryHeap::new(),
            next: SHARED_LANE + 1,
        }
    }

    pub fn take(&mut self) -> Option<usize> {
        if let Some(Reverse(slot)) = self.returned.pop() {
            return Some(slot);
        }
        (self.next <= MAX_SLOTS).then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    pub fn give_back(&mut self, slot: usize) {
        self.returned.push(Reverse(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_taken_and_no_more_than_there_are() {
        let mut pool = Pool::new();
        assert_eq!(
            (pool.take(), pool.take(), pool.take()),
            (Some(1), Some(2), Some(3))
        );
        pool.give_back(3);
        pool.give_back(1);
        assert_eq!(
            (pool.take(), pool.take(), pool.take()),
            (Some(1), Some(3), Some(4))
        );
        while pool.take().is_some() {}
        assert_eq!(pool.next, MAX_SLOTS + 1);
        pool.give_back(7);
        assert_eq!((pool.take(), pool.take()), (Some(7), None));
    }

    #[test]
    fn a_thread_keeps_its_slot_until_it_ends() {
        let of_a_thread = || {
            std::thread::spawn(|| (acquire(), acquire(), current()))
                .join()
                .unwrap()
        };
        let (first, again, now) = of_a_thread();
        assert!(first == again && again == now && first != SHARED_LANE);
        assert!(highest() >= first);
    }

    #[test]
    fn a_destructor_that_runs_after_the_lease_is_gone_finds_no_slot() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                FOUND.store(acquire(), Ordering::Relaxed);
            }
        }
        static FOUND: AtomicUsize = AtomicUsize::new(UNASSIGNED);
        thread_local!(static LATE: Late = const { Late });
        // Destructors run in the reverse order of first use on some systems and in the order on others: either is right.
        let thread = std::thread::spawn(|| {
            LATE.with(|_| ());
            acquire()
        });
        let slot = thread.join().unwrap();
        let found = FOUND.load(Ordering::Relaxed);
        assert!(found == NONE || found == slot, "{found}");
    }
}
