//! A bounded table from text to values: reads take no lock, entries never move or go away.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rapidhash::fast::RandomState;

/// A table of at most `limit` entries, found by text.
///
/// Slots are filled once and never emptied, so a reader follows the hash from slot to slot without a lock, and may keep
/// the reference it finds as long as the table lives. The hash is seeded: who chooses the texts cannot make them collide.
///
/// ```
/// let table = obs_core::Table::new(2);
/// assert_eq!(table.get_or_insert("a", || 1), Some(&1));
/// assert_eq!(table.get_or_insert("a", || 9), Some(&1));
/// assert_eq!(table.get_or_insert("b", || 2), Some(&2));
/// assert_eq!(table.get_or_insert("c", || 3), None); // full
/// assert_eq!(table.get("b"), Some(&2));
/// ```
pub struct Table<T> {
    /// Twice as many as the limit and a power of two: probes stay short and always meet an empty slot.
    slots: OnceLock<Box<[Slot<T>]>>,
    limit: usize,
    /// How many slots are filled; only grows.
    filled: AtomicUsize,
    /// Who inserts holds it; readers never touch it, and neither does who finds the table full.
    inserting: Mutex<()>,
    hasher: RandomState,
}

type Slot<T> = OnceLock<Box<Entry<T>>>;

struct Entry<T> {
    key: Box<str>,
    value: T,
}

impl<T> Table<T> {
    /// An empty table that takes its memory with the first entry.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            slots: OnceLock::new(),
            limit,
            filled: AtomicUsize::new(0),
            inserting: Mutex::new(()),
            hasher: RandomState::new(),
        }
    }

    /// The entry of `key`, if it has one.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<&T> {
        let slots = self.slots.get()?;
        self.probe(slots, key)
            .map_while(OnceLock::get)
            .find(|entry| *entry.key == *key)
            .map(|entry| &entry.value)
    }

    /// The entry of `key`, made by `value` if there was none; nothing when the table is full.
    ///
    /// `value` runs outside any lock and may run in vain when two threads insert the same key at once.
    pub fn get_or_insert(&self, key: &str, value: impl FnOnce() -> T) -> Option<&T> {
        if let Some(known) = self.get(key) {
            return Some(known);
        }
        if self.len() >= self.limit {
            // The last place may have gone to this very key since the first look.
            return self.get(key);
        }
        let entry = Box::new(Entry {
            key: key.into(),
            value: value(),
        });
        let slots = self.slots.get_or_init(|| {
            let count = self.limit.max(1).saturating_mul(2).next_power_of_two();
            (0..count).map(|_| OnceLock::new()).collect()
        });
        // Nothing is behind this lock that a panic could leave half done.
        let _inserting = self
            .inserting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.get(key) {
            return Some(known);
        }
        if self.len() >= self.limit {
            return None;
        }
        let free = self.probe(slots, key).find(|slot| slot.get().is_none())?;
        let stored = free.get_or_init(|| entry);
        self.filled.fetch_add(1, Ordering::Release);
        Some(&stored.value)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled.load(Ordering::Acquire)
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slots in which `key` may be, in order.
    #[inline]
    fn probe<'a, S>(
        &self,
        slots: &'a [S],
        key: &str,
    ) -> impl Iterator<Item = &'a S> + use<'a, S, T> {
        let mask = slots.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the mask keeps the low bits anyway"
        )]
        let start = self.hasher.hash_one(key) as usize;
        (0..slots.len()).map(move |step| &slots[start.wrapping_add(step) & mask])
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_each_entry_apart_and_no_more_than_the_limit() {
        let table = Table::new(100);
        for n in 0..1_000 {
            let inserted = table.get_or_insert(&n.to_string(), || n);
            assert_eq!(inserted.copied(), (n < 100).then_some(n));
        }
        assert_eq!(table.len(), 100);
        assert!((0..100).all(|n| table.get(&n.to_string()) == Some(&n)));
        assert_eq!(table.get("100"), None);
    }

    #[test]
    fn threads_agree_on_what_they_find() {
        let table = Table::new(64);
        let first = std::thread::scope(|scope| {
            let fill = || -> Vec<_> {
                (0..128)
                    .map(|n: u32| table.get_or_insert(&n.to_string(), || n).copied())
                    .collect()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(fill)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect::<Vec<_>>()
        });
        assert_eq!(table.len(), 64);
        for found in first {
            for (n, value) in found.into_iter().enumerate() {
                assert_eq!(value, table.get(&n.to_string()).copied());
            }
        }
    }

    #[test]
    fn a_limit_of_none_is_full_from_the_start() {
        assert_eq!(Table::new(0).get_or_insert("a", || 1), None);
    }
}
