//! Cells: the numbers that recording moves, one of each for every lane.
//!
//! A series has a few words. In every lane it has them at the same place, and what it shows is their sum. Lanes come in
//! blocks of [`WORDS`] words, and a lane takes the memory of a block (4 KiB) when its thread first records there: on the heap, or in the
//! store's mapped file.
//!
//! Each word of a lane only grows while its series lives, so a sum that is read later is never less.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

pub(crate) use obs_core::cells::WORDS;
use obs_core::cells::grid::{ChunkKey, Grid};
use obs_core::cells::{Buckets, Chunk, Chunks, CounterCell, GaugeCell, HistogramCell, Lane};
use obs_memory::{Memory, Page, Pair, Words as PageWords};

use crate::lock;
use crate::slot::{self, SHARED_LANE};

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
    block: Arc<Block>,
    first: u16,
}

/// What some hundreds of series have their words in. They share what is known of it, so that each keeps a pointer.
#[derive(Debug)]
struct Block {
    lanes: Arc<[Lane]>,
    /// Where its pages are taken from, if not from the heap.
    memory: Option<Memory>,
    number: u32,
}

/// Words that belong to somebody else.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    lanes: &'a [Lane],
    first: usize,
    memory: Option<Memory>,
    block: u32,
}

/// Where words are in a mapped file: the number of their block, and the first of them in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InFile {
    pub(crate) block: u32,
    pub(crate) first: u16,
}

impl InFile {
    pub(crate) fn of(chunk: &Chunk) -> Self {
        Self {
            block: chunk.block(),
            first: chunk.sum(),
        }
    }
}

/// A place to write: one lane's words of a series.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    page: &'a PageWords,
    first: usize,
}

impl<'a> Place<'a> {
    /// The word of that index. A series lies within one page, so the mask only tells the compiler so.
    #[inline]
    pub(crate) fn word(self, index: usize) -> &'a AtomicU64 {
        &self.page[(self.first + index) % WORDS]
    }
}

impl<'a> Found<'a> {
    /// Where this thread alone may write, if it has recorded in this block before.
    #[inline]
    pub(crate) fn own(self) -> Option<Place<'a>> {
        let page = self.lanes.get(slot::current())?.get()?;
        Some(self.place(page))
    }

    /// The same with the memory made, for the first time here; or where everybody writes, for threads without a lane.
    #[cold]
    pub(crate) fn own_or_shared(self) -> Result<Place<'a>, Place<'a>> {
        match self.lanes.get(slot::acquire()) {
            Some(lane) => Ok(self.place(lane.get_or_init(|| self.page()))),
            None => Err(self.shared()),
        }
    }

    /// Where everybody writes.
    fn shared(self) -> Place<'a> {
        self.place(self.lanes[SHARED_LANE].get_or_init(|| self.page()))
    }

    /// A page for one more lane. Where a file has no memory left, it is one of the heap.
    #[cold]
    fn page(self) -> Page {
        let mapped = self.memory.and_then(|memory| memory.page(self.block));
        mapped.unwrap_or_else(Page::on_heap)
    }

    /// Every lane in which anything was recorded. `highest` is [`slot::highest`].
    #[inline]
    pub(crate) fn lanes(self, highest: usize) -> impl Iterator<Item = Place<'a>> {
        let end = self.lanes.len().min(highest + 1);
        let pages = self.lanes[..end].iter().filter_map(OnceLock::get);
        pages.map(move |page| self.place(page))
    }

    #[inline]
    fn place(self, page: &'a PageWords) -> Place<'a> {
        Place {
            page,
            first: self.first,
        }
    }
}

impl Words {
    #[inline]
    fn found(&self) -> Found<'_> {
        Found {
            lanes: &self.block.lanes,
            first: usize::from(self.first),
            memory: self.block.memory,
            block: self.block.number,
        }
    }

    /// The words of a histogram's sum and of these buckets, as [`first`](Self::first).
    pub(crate) fn of_buckets(&self, buckets: &Arc<Buckets>) -> HistogramCell {
        HistogramCell::new(
            Arc::clone(&self.block.lanes),
            self.first,
            Arc::clone(buckets),
        )
    }

    /// The first of them, for a handle that adds to it by itself. The handle keeps the series, too.
    pub(crate) fn first(&self) -> CounterCell {
        CounterCell::new(Arc::clone(&self.block.lanes), self.first)
    }

    pub(crate) fn in_file(&self) -> InFile {
        InFile {
            block: self.block.number,
            first: self.first,
        }
    }

    /// Where this thread alone may write, if it has recorded in this block before.
    #[inline]
    pub(crate) fn own(&self) -> Option<Place<'_>> {
        self.found().own()
    }

    /// The same with the memory made, for the first time here; or where everybody writes, for threads without a lane.
    #[cold]
    pub(crate) fn own_or_shared(&self) -> Result<Place<'_>, Place<'_>> {
        self.found().own_or_shared()
    }

    /// Where everybody writes.
    pub(crate) fn shared(&self) -> Place<'_> {
        self.found().shared()
    }

    /// Every lane in which anything was recorded. `highest` is [`slot::highest`].
    #[inline]
    pub(crate) fn lanes(&self, highest: usize) -> impl Iterator<Item = Place<'_>> {
        self.found().lanes(highest)
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
        let shared = self.block.lanes[SHARED_LANE].get();
        let shared = shared.map_or(0, |page| self.found().place(page).word(index).load(Relaxed));
        self.sum(index, highest).wrapping_sub(shared)
    }
}

/// The blocks in which the words of some series lie, so that a scrape need not ask the series.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Vec<Arc<[Lane]>>);

/// Where a block is among [`Blocks`], by its address.
pub(crate) type Known = HashMap<usize, usize>;

/// The pages of some blocks in which anything can stand, one block's after another's.
pub(crate) struct Pages<'a> {
    /// Their words: a page itself is a pointer to them, which would be one more to follow for each series.
    all: Vec<&'a PageWords>,
    /// Where those of each block begin, and where the last one's end.
    starts: Vec<usize>,
    /// Whether every block has one.
    has_one_each: bool,
}

/// The words of one series in every lane, as a scrape reads them.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    pages: &'a [&'a PageWords],
    first: usize,
}

impl Blocks {
    /// The number by which [`Pages::at`] finds these words.
    pub(crate) fn place_of(&mut self, words: &Words, known: &mut Known) -> u32 {
        let block = *known
            .entry(words.block.lanes.as_ptr().addr())
            .or_insert_with(|| {
                self.0.push(Arc::clone(&words.block.lanes));
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
            has_one_each: false,
        };
        for lanes in &self.0 {
            let end = lanes.len().min(highest + 1);
            let recorded = lanes[..end].iter().filter_map(OnceLock::get);
            pages
                .all
                .extend(recorded.map(|page| -> &PageWords { page }));
            pages.starts.push(pages.all.len());
        }
        pages.has_one_each = pages.starts.iter().copied().eq(0..pages.starts.len());
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

impl Pages<'_> {
    /// The sum of the one word of a place. Where every block has one page, as where one thread records, it is that page's.
    #[inline]
    pub(crate) fn sum_at(&self, place: u32) -> u64 {
        let (block, first) = (place as usize / WORDS, place as usize % WORDS);
        if self.has_one_each
            && let Some(page) = self.all.get(block)
        {
            return page[first].load(Relaxed);
        }
        self.at(place).sum(0)
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
        // As where one thread records: no loop to be set up.
        if let [page] = self.pages {
            return page[(self.first + index) % WORDS].load(Relaxed);
        }
        self.lanes()
            .map(|lane| lane.word(index).load(Relaxed))
            .fold(0, u64::wrapping_add)
    }
}

/// Sums that were read, to be read again as if they were the cells.
#[derive(Debug)]
pub(crate) struct Tally(Page);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Page::on_heap())
    }

    /// Takes in up to [`WORDS`] sums.
    pub(crate) fn set(&mut self, sums: &[u64]) {
        for (word, sum) in self.0.iter().zip(sums) {
            word.store(*sum, Relaxed);
        }
    }

    pub(crate) fn page(&self) -> [&PageWords; 1] {
        [&self.0]
    }
}

impl<'a> Cells<'a> {
    /// Those of a [`Tally`] from that sum on.
    pub(crate) fn of(page: &'a [&'a PageWords; 1], first: usize) -> Self {
        Self { pages: page, first }
    }
}

/// Where series get their words, and where those of dropped ones wait to be used again.
#[derive(Debug)]
pub(crate) struct Store {
    /// Lanes of each block, the shared one included.
    lanes: usize,
    space: Mutex<Space>,
    /// The pairs of words of gauges, whose blocks have the shared lane only.
    gauges: Mutex<Space>,
    /// How many blocks there are.
    count: AtomicU32,
    memory: Option<Memory>,
}

/// The words of a gauge.
const PAIR: usize = 2;

#[derive(Debug, Default)]
struct Space {
    block: Option<Arc<Block>>,
    /// Words of the block that are taken.
    taken: usize,
    /// By their number.
    returned: HashMap<usize, Vec<Words>>,
    /// The process that began all of it; 0 where nothing has one.
    process: u32,
}

impl Store {
    /// A store whose threads have up to `slots` lanes of their own.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            lanes: slots + 1,
            space: Mutex::default(),
            gauges: Mutex::default(),
            count: AtomicU32::new(0),
            memory: None,
        }
    }

    /// The same with its pages in a mapped file, for as long as that has memory.
    pub(crate) fn with_memory(self, memory: Memory) -> Self {
        Self {
            memory: Some(memory),
            ..self
        }
    }

    /// The mapped file.
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.memory
    }

    /// Words that are 0 in every lane; no more than [`WORDS`].
    pub(crate) fn take(&self, count: usize) -> Words {
        self.take_from(&mut self.lock(&self.space), count, self.lanes)
    }

    /// What a gauge is kept in, as nothing was said of it, and where that is.
    pub(crate) fn take_gauge(&self) -> (GaugeCell, InFile) {
        let words = self.take_from(&mut self.lock(&self.gauges), PAIR, 1);
        let found = words.found();
        let lanes = Arc::clone(&words.block.lanes);
        let pair = Pair::new(lanes, SHARED_LANE, found.first / PAIR, || found.page());
        (GaugeCell::new(pair), words.in_file())
    }

    /// Whether the mapped file is that of the process that this one was forked from.
    fn is_inherited(&self) -> bool {
        self.memory.is_some_and(Memory::is_inherited)
    }

    /// What is left for new words. In a forked process that is none of what its parent has left, which the parent gives to other series.
    fn lock<'a>(&self, space: &'a Mutex<Space>) -> MutexGuard<'a, Space> {
        let mut space = lock(space);
        if self.memory.is_some() {
            let process = std::process::id();
            if space.process != process {
                *space = Space {
                    process,
                    ..Space::default()
                };
            }
        }
        space
    }

    fn take_from(&self, space: &mut Space, count: usize, lanes: usize) -> Words {
        if let Some(words) = space.returned.get_mut(&count).and_then(Vec::pop) {
            return words;
        }
        let fits = space.taken + count <= WORDS;
        let block = space.block.take().filter(|_| fits);
        let taken = if block.is_some() { space.taken } else { 0 };
        let block = block.unwrap_or_else(|| {
            Arc::new(Block {
                lanes: (0..lanes).map(|_| Lane::new()).collect(),
                memory: self.memory,
                number: self.count.fetch_add(1, Relaxed),
            })
        });
        space.block = Some(Arc::clone(&block));
        space.taken = taken + count;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the words of a block"
        )]
        let words = Words {
            block,
            first: taken as u16,
        };
        if self.memory.is_some() {
            // A forked process adds there, and can make none: it says nothing in the file of its parent.
            words.shared();
        }
        words
    }

    /// The words of a chunk that was taken and not given back.
    pub(crate) fn find<'a>(&self, chunk: &'a Chunk) -> Found<'a> {
        Found {
            lanes: chunk.lanes(),
            first: usize::from(chunk.sum()),
            memory: self.memory,
            block: chunk.block(),
        }
    }

    /// Takes so many words for a chunk of a series, if it has none by now. `announce` is called before anybody finds them.
    pub(crate) fn take_for(
        &self,
        chunks: &Chunks,
        grid: &Grid,
        key: ChunkKey,
        count: usize,
        announce: impl FnOnce(InFile),
    ) {
        let mut space = self.lock(&self.space);
        if chunks.find(key).is_none() {
            let words = self.take_from(&mut space, count, self.lanes);
            announce(words.in_file());
            let InFile { block, first } = words.in_file();
            let lanes = Arc::clone(&words.block.lanes);
            chunks.enter(Chunk::new(grid, key, lanes, block, first));
        }
    }

    /// Takes words back, of which nobody holds a handle any more: so nobody writes them while they are cleared.
    pub(crate) fn give_back(&self, words: Words, count: usize) {
        self.give_back_to(&self.space, words, count);
    }

    /// The same of what was taken for a gauge.
    pub(crate) fn give_back_gauge(&self, cell: &GaugeCell, at: InFile) {
        let words = self.words(cell.words().lanes(), at);
        self.give_back_to(&self.gauges, words, PAIR);
    }

    /// The same of words that were taken for a chunk.
    pub(crate) fn give_back_chunk(&self, chunk: &Chunk, count: usize) {
        let at = InFile {
            block: chunk.block(),
            first: chunk.sum(),
        };
        self.give_back(self.words(chunk.lanes(), at), count);
    }

    /// Words of which it is known where they are.
    fn words(&self, lanes: &Arc<[Lane]>, at: InFile) -> Words {
        let block = Arc::new(Block {
            lanes: Arc::clone(lanes),
            memory: self.memory,
            number: at.block,
        });
        Words {
            block,
            first: at.first,
        }
    }

    fn give_back_to(&self, space: &Mutex<Space>, words: Words, count: usize) {
        // The parent of a forked process still records to them.
        if self.is_inherited() {
            return;
        }
        for lane in words.lanes(usize::MAX - 1) {
            (0..count).for_each(|index| lane.word(index).store(0, Relaxed));
        }
        lock(space).returned.entry(count).or_default().push(words);
    }
}

#[cfg(test)]
mod tests {
    use obs_core::buckets;

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
    fn words_of_chunks_come_again_clean() {
        let (store, grid) = (Store::new(2), Grid::new(buckets::SIGNED_BPS));
        // More octaves than there are places at first, on both sides of 0 and within.
        let powers = || (-20..20).map(|exponent| 1.5 * 2_f64.powi(exponent));
        let values = || powers().chain(powers().map(|value| -value)).chain([0.0]);
        let chunks = Chunks::default();
        for (number, value) in (1..).zip(values()) {
            let (key, cell) = grid.locate(value);
            let words = 1 + grid.cells(key);
            assert!(!chunks.record(&grid, value, 1), "{value} has no chunk yet");
            let mut times = 0;
            for _ in 0..2 {
                store.take_for(&chunks, &grid, key, words, |_| times += 1);
            }
            assert_eq!(times, 1, "{value}");
            let found = store.find(chunks.find(key).unwrap());
            let _made = found.own_or_shared();
            assert!(chunks.record(&grid, value, number));
            let mut lanes = found.lanes(slot::highest());
            assert!(lanes.any(|lane| lane.word(1 + cell).load(Relaxed) == number));
        }
        assert_eq!(chunks.iter().count(), 81);
        for chunk in chunks.iter() {
            store.give_back_chunk(chunk, 1 + grid.cells(chunk.key()));
        }
        let again = Chunks::default();
        for (key, _) in values().map(|value| grid.locate(value)) {
            let words = 1 + grid.cells(key);
            store.take_for(&again, &grid, key, words, |_| ());
            let mut lanes = store.find(again.find(key).unwrap()).lanes(slot::highest());
            let is_clean = |lane: Place<'_>| (0..words).all(|at| lane.word(at).load(Relaxed) == 0);
            assert!(lanes.all(is_clean));
        }
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

    /// An entry of a series' chunks: 0 before it is entered. What was written to its words before is seen by everybody who reads it.
    fn entered(entry: &AtomicU64) -> bool {
        entry.load(loom::sync::atomic::Ordering::Acquire) != 0
    }

    fn enter(entry: &AtomicU64) {
        entry.store(1, loom::sync::atomic::Ordering::Release);
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

    /// Words that another series had are cleared, entered and added to, by whichever of two threads comes first.
    #[test]
    fn words_that_are_entered_are_clean_for_everybody_who_finds_them() {
        loom::model(|| {
            // The entry, and a word in lanes of their own and that of everybody.
            let (entry, lanes) = (Arc::new(AtomicU64::new(0)), words::<3>());
            lanes.iter().for_each(|word| Word::store(word, 7));
            let growing = Arc::new(Mutex::new(()));
            let record = |lane: usize| {
                let (entry, lanes) = (Arc::clone(&entry), Arc::clone(&lanes));
                let growing = Arc::clone(&growing);
                move || {
                    if !entered(&entry) {
                        let _one = growing.lock().unwrap();
                        if !entered(&entry) {
                            lanes.iter().for_each(|word| Word::store(word, 0));
                            enter(&entry);
                        }
                    }
                    add_owned(&lanes[lane], 1);
                }
            };
            let (one, other) = (thread::spawn(record(1)), thread::spawn(record(2)));
            // A scrape sees what there is, and nothing of the series before.
            if entered(&entry) {
                assert!(sum(&*lanes) <= 2);
            }
            one.join().unwrap();
            other.join().unwrap();
            assert_eq!(sum(&*lanes), 2);
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
