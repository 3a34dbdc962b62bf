//! A bounded table from text to values: reads take no lock, entries never move or go away.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, Once, OnceLock, PoisonError};

use rapidhash::fast::RandomState;

use crate::label::is_nameable;

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
}

type Slot<T> = OnceLock<Box<Entry<T>>>;

/// In this order: a lookup that goes on in the value's own table then mostly finds both in one cache line.
#[repr(C)]
struct Entry<T> {
    key: Text,
    value: T,
}

/// A text as it is compared: by its length and two words, and by itself only where it does not fit into them.
struct Text {
    sought: Sought,
    long: Option<Box<str>>,
}

/// The length of a text and two words made of it. Up to [`SHORT`] bytes, texts are equal where these are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sought {
    words: [u64; 2],
    length: usize,
}

/// The longest text that two words hold.
const SHORT: usize = 16;

/// Two words that nobody outside can know, there before the first table is. One pair for all tables: the hash of a label does
/// not wait for the table it is looked up in, which may itself be what another label is looked up for.
static SEEDS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// For texts that are longer.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl<T> Table<T> {
    /// An empty table that takes its memory with the first entry.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        sow();
        Self {
            slots: OnceLock::new(),
            limit,
            filled: AtomicUsize::new(0),
            inserting: Mutex::new(()),
        }
    }

    /// The entry of `key`, if it has one.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<&T> {
        match short(key.as_bytes()) {
            Some(words) => self.find(Sought::new(words, key), |_| true),
            None => self.get_long(key),
        }
    }

    /// Apart, so that short texts carry none of it.
    #[cold]
    #[inline(never)]
    fn get_long(&self, key: &str) -> Option<&T> {
        let is_it = |text: &Text| text.long.as_deref() == Some(key);
        self.find(Sought::new(long(key), key), is_it)
    }

    /// The entry of the text of which `is_it` says so too.
    #[inline]
    fn find(&self, sought: Sought, is_it: impl Fn(&Text) -> bool) -> Option<&T> {
        let slots = self.slots.get()?;
        let mut at = sought.hash();
        // A plain loop: what an iterator makes of it goes through memory.
        loop {
            let entry = slots.get(at & (slots.len() - 1))?.get()?;
            if entry.key.sought == sought && is_it(&entry.key) {
                return Some(&entry.value);
            }
            at = at.wrapping_add(1);
        }
    }

    /// The entry of `key`, made by `value` if there was none; nothing when the table is full.
    ///
    /// `value` runs outside any lock and may run in vain when two threads insert the same key at once.
    pub fn get_or_insert(&self, key: &str, value: impl FnOnce() -> T) -> Option<&T> {
        match self.get(key) {
            Some(known) => Some(known),
            None => self.insert(key, value),
        }
    }

    /// The same of a key that [`get`](Self::get) has not found.
    fn insert(&self, key: &str, value: impl FnOnce() -> T) -> Option<&T> {
        if self.len() >= self.limit {
            // The last place may have gone to this very key since the first look.
            return self.get(key);
        }
        let sought = Sought::new(short(key.as_bytes()).unwrap_or_else(|| long(key)), key);
        let entry = Box::new(Entry {
            key: Text {
                sought,
                long: (key.len() > SHORT).then(|| key.into()),
            },
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
        let probed = (0..slots.len()).map(|step| sought.hash().wrapping_add(step));
        let free = probed
            .map(|at| &slots[at & (slots.len() - 1)])
            .find(|slot| slot.get().is_none())?;
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
}

impl Sought {
    #[inline]
    fn new(words: [u64; 2], text: &str) -> Self {
        Self {
            words,
            length: text.len(),
        }
    }

    /// Where the text is to be found.
    #[inline]
    fn hash(self) -> usize {
        let [first, second] = self.words;
        let seeds = [0, 1].map(|at: usize| SEEDS[at].load(Ordering::Relaxed));
        // The product of two words that nobody outside can know, folded: no better than the library's hash, but without its
        // setting out and its end, which take longer than a short text does.
        let first = u128::from(first ^ seeds[0]);
        let second = u128::from(second ^ seeds[1] ^ self.length as u64);
        let product = first * second;
        (product ^ (product >> 64)) as usize
    }
}

/// Makes sure that there are seeds.
fn sow() {
    static SOWN: Once = Once::new();
    SOWN.call_once(|| {
        for (number, seed) in SEEDS.iter().enumerate() {
            seed.store(HASHER.hash_one(number), Ordering::Relaxed);
        }
    });
}

/// The words of a text that does not fit into them.
fn long(text: &str) -> [u64; 2] {
    [HASHER.hash_one(text), 0]
}

/// A short text as two words, of which each byte is part.
#[inline]
fn short(text: &[u8]) -> Option<[u64; 2]> {
    if text.len() > SHORT {
        None
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        Some([u64::from_le_bytes(*first), u64::from_le_bytes(*last)])
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        Some([half(first) | (half(last) << 32), 0])
    } else {
        let byte = |at: usize| u64::from(text.get(at).copied().unwrap_or_default());
        Some([byte(0) | (byte(1) << 8) | (byte(2) << 16), 0])
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

/// A table whose values beyond the limit share one: that of [`OTHER`](crate::OTHER).
#[repr(C)]
pub(crate) struct Bounded<T> {
    // First, beside the text that an outer axis found this under.
    known: Table<T>,
    other: OnceLock<T>,
}

impl<T> Bounded<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            known: Table::new(limit),
            other: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.known.get(key)
    }

    /// The entry of a key that [`get`](Self::get) has not found, made by `value` if it may have one of its own; else what all
    /// others share, made by `other`, and `fold` is called. Apart from `get`, so that a known key carries none of it.
    #[cold]
    #[inline(never)]
    pub(crate) fn get_unknown(
        &self,
        key: &str,
        value: impl FnOnce() -> T,
        other: impl FnOnce() -> T,
        fold: impl FnOnce(),
    ) -> &T {
        let is_other = key == crate::OTHER;
        if !is_other
            && is_nameable(key)
            && let Some(admitted) = self.known.insert(key, value)
        {
            return admitted;
        }
        if !is_other {
            fold();
        }
        self.other.get_or_init(other)
    }

    /// How many keys have entries of their own.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
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
    fn texts_of_every_length_are_told_apart() {
        // Each differs from another one of its length in one byte only, wherever that is.
        let mut texts = vec![String::new()];
        for length in 1..40 {
            for changed in 0..length {
                let byte = |at| if at == changed { 'b' } else { 'a' };
                texts.push((0..length).map(byte).collect());
            }
            texts.push("a".repeat(length));
        }
        let table = Table::new(texts.len());
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(table.get(text), None, "{text}");
            assert_eq!(table.get_or_insert(text, || number), Some(&number));
        }
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(table.get(text), Some(&number), "{text}");
        }
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
