//! Cells: the numbers that recording moves, one of each for every lane.
//!
//! A series has a few words. In every lane it has them at the same place, and what it shows is their sum. Lanes come in
//! blocks of [`WORDS`] words, and a lane takes the memory of a block (4 KiB) when its thread first records there.
//!
//! Each word of a lane only grows while its series lives, so a sum that is read later is never less.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use crate::lock;
use crate::slot::{self, SHARED_LANE};

/// Words in a block.
pub(crate) const WORDS: usize = 512;

/// One lane's words of a block, on cache lines of its own: another lane's writer must not take them away.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Page([AtomicU64; WORDS]);

type Lane = OnceLock<Box<Page>>;

/// What a word has to offer; `loom`'s own atomics have it too.
pub(crate) trait Word {
    fn load(&self) -> u64;
    fn store(&self, value: u64);
    fn fetch_add(&self, n: u64);
    /// Whether the word was `from` and is `to` now.
    fn replace(&self, from: u64, to: u64) -> bool;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        self.load(Relaxed)
    }

    #[inline]
    fn store(&self, value: u64) {
        self.store(value, Relaxed);
    }

    #[inline]
    fn fetch_add(&self, n: u64) {
        self.fetch_add(n, Relaxed);
    }

    #[inline]
    fn replace(&self, from: u64, to: u64) -> bool {
        self.compare_exchange_weak(from, to, Relaxed, Relaxed)
            .is_ok()
    }
}

/// Adds to a word that only this thread writes.
#[inline]
pub(crate) fn add_owned(word: &impl Word, n: u64) {
    word.store(word.load().wrapping_add(n));
}

/// Adds to a word that anybody writes.
pub(crate) fn add_shared(word: &impl Word, n: u64) {
    word.fetch_add(n);
}

/// Adds to a float that only this thread writes.
#[inline]
pub(crate) fn add_float_owned(word: &impl Word, by: f64) {
    word.store((f64::from_bits(word.load()) + by).to_bits());
}

/// Adds to a float that anybody writes.
pub(crate) fn add_float_shared(word: &impl Word, by: f64) {
    loop {
        let old = word.load();
        if word.replace(old, (f64::from_bits(old) + by).to_bits()) {
            return;
        }
    }
}

/// Raises a sum to `total` by its shared word, if it is below. `others` reads the sum of all other words.
pub(crate) fn raise_shared(word: &impl Word, others: impl Fn() -> u64, total: u64) {
    loop {
        let old = word.load();
        let sum = others().wrapping_add(old);
        if sum >= total || word.replace(old, old.wrapping_add(total - sum)) {
            return;
        }
    }
}

/// The words of one series.
#[derive(Debug)]
pub(crate) struct Words {
    lanes: Arc<[Lane]>,
    first: u16,
}

/// A place to write: one lane's words of a series.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    page: &'a Page,
    first: usize,
}

impl<'a> Place<'a> {
    /// The word of that index. A series lies within one page, so the mask only tells the compiler so.
    #[inline]
    pub(crate) fn word(self, index: usize) -> &'a AtomicU64 {
        &self.page.0[(self.first + index) % WORDS]
    }
}

impl Words {
    /// Where this thread alone may write, if it has recorded in this block before.
    #[inline]
    pub(crate) fn own(&self) -> Option<Place<'_>> {
        let page = self.lanes.get(slot::current())?.get()?;
        Some(self.place(page))
    }

    /// The same with the memory made, for the first time here; or where everybody writes, for threads without a lane.
    #[cold]
    pub(crate) fn own_or_shared(&self) -> Result<Place<'_>, Place<'_>> {
        match self.lanes.get(slot::acquire()) {
            Some(lane) => Ok(self.place(lane.get_or_init(page))),
            None => Err(self.shared()),
        }
    }

    /// Where everybody writes.
    pub(crate) fn shared(&self) -> Place<'_> {
        self.place(self.lanes[SHARED_LANE].get_or_init(page))
    }

    /// Every lane in which anything was recorded. `highest` is [`slot::highest`].
    #[inline]
    pub(crate) fn lanes(&self, highest: usize) -> impl Iterator<Item = Place<'_>> {
        let end = self.lanes.len().min(highest + 1);
        let pages = self.lanes[..end].iter().filter_map(OnceLock::get);
        pages.map(|page| self.place(page))
    }

    /// The sum of one word over all lanes.
    #[inline]
    pub(crate) fn sum(&self, index: usize, highest: usize) -> u64 {
        self.lanes(highest)
            .map(|lane| lane.word(index).load(Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// The sum over all lanes but the shared one.
    pub(crate) fn sum_owned(&self, index: usize, highest: usize) -> u64 {
        let shared = self.lanes[SHARED_LANE].get();
        let shared = shared.map_or(0, |page| self.place(page).word(index).load(Relaxed));
        self.sum(index, highest).wrapping_sub(shared)
    }

    #[inline]
    fn place<'a>(&self, page: &'a Page) -> Place<'a> {
        Place {
            page,
            first: usize::from(self.first),
        }
    }
}

/// The blocks in which the words of some series lie, so that a scrape need not ask the series.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<Arc<[Lane]>>);

/// Where a block is among [`Blocks`], by its address.
pub(crate) type Known = HashMap<usize, usize>;

/// The pages of some blocks in which anything can stand, one block's after another's.
pub(crate) struct Pages<'a> {
    all: Vec<&'a Page>,
    /// Where those of each block begin, and where the last one's end.
    starts: Vec<usize>,
}

/// The words of one series in every lane, as a scrape reads them.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    pages: &'a [&'a Page],
    first: usize,
}

impl Blocks {
    /// The number by which [`Pages::at`] finds these words.
    pub(crate) fn place_of(&mut self, words: &Words, known: &mut Known) -> u32 {
        let block = *known.entry(words.lanes.as_ptr().addr()).or_insert_with(|| {
            self.0.push(Arc::clone(&words.lanes));
            self.0.len() - 1
        });
        #[expect(
            clippy::cast_possible_truncation,
            reason = "more words would take 34 GB in each lane"
        )]
        let place = (block * WORDS + usize::from(words.first)) as u32;
        place
    }

    /// What there is to read of them now. `highest` is [`slot::highest`].
    pub(crate) fn pages(&self, highest: usize) -> Pages<'_> {
        let mut pages = Pages {
            all: Vec::new(),
            starts: vec![0],
        };
        for lanes in &self.0 {
            let end = lanes.len().min(highest + 1);
            let recorded = lanes[..end].iter().filter_map(OnceLock::get);
            pages.all.extend(recorded.map(|page| &**page));
            pages.starts.push(pages.all.len());
        }
        pages
    }
}

impl Pages<'_> {
    /// The words of a place. Series without words have none of any.
    #[inline]
    pub(crate) fn at(&self, place: u32) -> Cells<'_> {
        let (block, first) = (place as usize / WORDS, place as usize % WORDS);
        let pages = match self.starts.get(block..=block + 1) {
            Some([start, end]) => &self.all[*start..*end],
            _ => &[],
        };
        Cells { pages, first }
    }
}

impl<'a> Cells<'a> {
    /// Every lane in which anything was recorded.
    #[inline]
    pub(crate) fn lanes(self) -> impl Iterator<Item = Place<'a>> {
        let first = self.first;
        self.pages.iter().map(move |page| Place { page, first })
    }

    /// The sum of one word over all lanes.
    #[inline]
    pub(crate) fn sum(self, index: usize) -> u64 {
        self.lanes()
            .map(|lane| lane.word(index).load(Relaxed))
            .fold(0, u64::wrapping_add)
    }

    /// The same for a word that is a float, as its bits.
    pub(crate) fn sum_float(self, index: usize) -> u64 {
        let words = self.lanes().map(|lane| lane.word(index).load(Relaxed));
        words
            .fold(0.0, |sum, bits| sum + f64::from_bits(bits))
            .to_bits()
    }
}

/// Sums that were read, to be read again as if they were the cells.
#[derive(Debug)]
pub(crate) struct Tally(Box<Page>);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(page())
    }

    /// Takes in up to [`WORDS`] sums.
    pub(crate) fn set(&mut self, sums: &[u64]) {
        for (word, sum) in self.0.0.iter_mut().zip(sums) {
            *word.get_mut() = *sum;
        }
    }

    pub(crate) fn page(&self) -> [&Page; 1] {
        [&self.0]
    }
}

impl<'a> Cells<'a> {
    /// Those of a [`Tally`] from that sum on.
    pub(crate) fn of(page: &'a [&'a Page; 1], first: usize) -> Self {
        Self { pages: page, first }
    }
}

fn page() -> Box<Page> {
    Box::new(Page([const { AtomicU64::new(0) }; WORDS]))
}

/// Where series get their words, and where those of dropped ones wait to be used again.
#[derive(Debug)]
pub(crate) struct Store {
    /// Lanes of each block, the shared one included.
    lanes: usize,
    space: Mutex<Space>,
}

#[derive(Debug, Default)]
struct Space {
    block: Option<Arc<[Lane]>>,
    /// Words of the block that are taken.
    taken: usize,
    /// By their number.
    returned: HashMap<usize, Vec<Words>>,
}

impl Store {
    /// A store whose threads have up to `slots` lanes of their own.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            lanes: slots + 1,
            space: Mutex::default(),
        }
    }

    /// Words that are 0 in every lane; no more than [`WORDS`].
    pub(crate) fn take(&self, count: usize) -> Words {
        let mut space = lock(&self.space);
        if let Some(words) = space.returned.get_mut(&count).and_then(Vec::pop) {
            return words;
        }
        let fits = space.taken + count <= WORDS;
        let block = space.block.take().filter(|_| fits);
        let taken = if block.is_some() { space.taken } else { 0 };
        let block = block.unwrap_or_else(|| (0..self.lanes).map(|_| Lane::new()).collect());
        space.block = Some(Arc::clone(&block));
        space.taken = taken + count;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the words of a block"
        )]
        Words {
            lanes: block,
            first: taken as u16,
        }
    }

    /// Takes words back, of which nobody holds a handle any more: so nobody writes them while they are cleared.
    pub(crate) fn give_back(&self, words: Words, count: usize) {
        for lane in words.lanes(usize::MAX - 1) {
            (0..count).for_each(|index| lane.word(index).store(0, Relaxed));
        }
        lock(&self.space)
            .returned
            .entry(count)
            .or_default()
            .push(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(words: &Words, n: u64) {
        match words.own_or_shared() {
            Ok(own) => add_owned(own.word(0), n),
            Err(shared) => add_shared(shared.word(0), n),
        }
    }

    #[test]
    fn threads_write_lanes_of_their_own_and_the_sum_is_that_of_all() {
        for slots in [0, 1, 64] {
            let store = Store::new(slots);
            let words = store.take(1);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..1000).for_each(|_| add(&words, 1)));
                }
            });
            assert_eq!(words.sum(0, slot::highest()), 4000, "{slots} slots");
        }
    }

    #[test]
    fn words_do_not_overlap_and_are_clean_when_they_come_again() {
        let store = Store::new(2);
        let series: Vec<_> = (0..300).map(|_| store.take(13)).collect();
        for (number, words) in (1..).zip(&series) {
            for index in 0..13 {
                add_shared(words.shared().word(index), number);
            }
        }
        for (number, words) in (1..).zip(&series) {
            assert!((0..13).all(|index| words.sum(index, slot::highest()) == number));
        }
        for words in series {
            store.give_back(words, 13);
        }
        assert!((0..300).all(|_| {
            let words = store.take(13);
            (0..13).all(|index| words.sum(index, slot::highest()) == 0)
        }));
    }

    #[test]
    fn raising_reaches_the_total_and_never_falls() {
        let store = Store::new(4);
        let words = store.take(1);
        let raise = |total| {
            raise_shared(
                words.shared().word(0),
                || words.sum_owned(0, slot::highest()),
                total,
            );
            words.sum(0, slot::highest())
        };
        add(&words, 5);
        assert_eq!(
            (raise(3), raise(9), raise(9), raise(u64::MAX)),
            (5, 9, 9, u64::MAX)
        );
    }
}

/// Every interleaving of small models, in which `loom`'s atomics take the place of the real ones.
#[cfg(test)]
mod models {
    use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::*;
    use crate::slot::Pool;

    impl Word for AtomicU64 {
        fn load(&self) -> u64 {
            self.load(Relaxed)
        }

        fn store(&self, value: u64) {
            self.store(value, Relaxed);
        }

        fn fetch_add(&self, n: u64) {
            self.fetch_add(n, Relaxed);
        }

        fn replace(&self, from: u64, to: u64) -> bool {
            self.compare_exchange(from, to, Relaxed, Relaxed).is_ok()
        }
    }

    fn words<const N: usize>() -> Arc<[AtomicU64; N]> {
        Arc::new(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn sum(words: &[AtomicU64]) -> u64 {
        words.iter().map(Word::load).sum()
    }

    #[test]
    fn scrapes_never_go_back_and_the_last_has_everything() {
        loom::model(|| {
            // Lane 0 is shared, 1 has an owner.
            let lanes = words::<2>();
            let (one, other) = (Arc::clone(&lanes), Arc::clone(&lanes));
            let owner = thread::spawn(move || {
                add_owned(&one[1], 1);
                add_owned(&one[1], 1);
            });
            let sharer = thread::spawn(move || add_shared(&other[0], 10));
            let first = sum(&*lanes);
            add_shared(&lanes[0], 100);
            let second = sum(&*lanes);
            assert!(first + 100 <= second && second <= 112);
            owner.join().unwrap();
            sharer.join().unwrap();
            assert_eq!(sum(&*lanes), 112);
        });
    }

    #[test]
    fn a_slot_that_changes_hands_loses_nothing() {
        loom::model(|| {
            let lanes = words::<4>();
            let pool = Arc::new(Mutex::new(Pool::new()));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (lanes, pool) = (Arc::clone(&lanes), Arc::clone(&pool));
                    thread::spawn(move || {
                        let slot = pool.lock().unwrap().take().unwrap();
                        add_owned(&lanes[slot], 1);
                        add_owned(&lanes[slot], 1);
                        pool.lock().unwrap().give_back(slot);
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(sum(&*lanes), 4);
        });
    }

    #[test]
    fn floats_add_up_in_a_shared_lane() {
        loom::model(|| {
            let lane = words::<1>();
            let other = Arc::clone(&lane);
            let thread = thread::spawn(move || add_float_shared(&other[0], 0.5));
            add_float_shared(&lane[0], 0.25);
            thread.join().unwrap();
            assert_eq!(
                f64::from_bits(Word::load(&lane[0])).to_bits(),
                0.75_f64.to_bits()
            );
        });
    }

    #[test]
    fn two_that_raise_reach_the_greater_total_and_increments_are_kept() {
        loom::model(|| {
            let lanes = words::<2>();
            let raise = |lanes: &[AtomicU64; 2], total| {
                raise_shared(&lanes[0], || Word::load(&lanes[1]), total);
            };
            let other = Arc::clone(&lanes);
            let thread = thread::spawn(move || raise(&other, 5));
            add_owned(&lanes[1], 1);
            raise(&lanes, 7);
            thread.join().unwrap();
            let total = sum(&*lanes);
            // The increment comes before both or between them, and a raise that has not seen it is beside it.
            assert!((7..=8).contains(&total), "{total}");
        });
    }

    #[test]
    fn a_count_that_is_derived_never_is_less_than_an_earlier_one() {
        loom::model(|| {
            // Two buckets of one owner: a reader derives the count from what was read.
            let buckets = words::<2>();
            let writer = {
                let buckets = Arc::clone(&buckets);
                thread::spawn(move || {
                    add_owned(&buckets[1], 1);
                    add_owned(&buckets[0], 1);
                })
            };
            let read = || [Word::load(&buckets[0]), Word::load(&buckets[1])];
            let (first, second) = (read(), read());
            assert!(
                first
                    .iter()
                    .zip(&second)
                    .all(|(first, second)| first <= second)
            );
            writer.join().unwrap();
            assert_eq!(read(), [1, 1]);
        });
    }
}
