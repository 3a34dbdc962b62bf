//! The chunks of cells that a histogram with native buckets has by now, each with the first value of its octave.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::grid::{ChunkKey, Grid, cell_of};
use super::{Lane, add_to_sum_and, own};

/// Where a chunk has its words: in every lane of a block one for the sum of its values, a float, and behind it one for each cell.
#[derive(Clone, Debug)]
pub struct Chunk {
    lanes: Arc<[Lane]>,
    /// The fraction, in the first bits, from which on values lie beyond the declared bound in it.
    split: u64,
    block: u32,
    sum: u16,
    key: ChunkKey,
}

impl Chunk {
    /// The chunk of a grid whose words are in these lanes from an index on; `block` is the recorder's number of them.
    #[must_use]
    pub fn new(grid: &Grid, key: ChunkKey, lanes: Arc<[Lane]>, block: u32, sum: u16) -> Self {
        Self {
            lanes,
            split: grid.split(key),
            block,
            sum,
            key,
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn key(&self) -> ChunkKey {
        self.key
    }

    /// Its lanes.
    #[must_use]
    pub fn lanes(&self) -> &Arc<[Lane]> {
        &self.lanes
    }

    /// The number of its block.
    #[must_use]
    pub fn block(&self) -> u32 {
        self.block
    }

    /// The word of the sum in it.
    #[must_use]
    pub fn sum(&self) -> u16 {
        self.sum
    }
}

/// A place that is filled once, as `loom` has it, too. What was written before it was filled is seen by all who find it so.
pub trait Once<T>: Default {
    /// What it was filled with.
    fn get(&self) -> Option<&T>;
    /// Fills it, if nothing is in it.
    fn fill(&self, value: T);
}

/// Which sort of [`Once`] a directory is made of.
pub trait Onces {
    /// That sort.
    type Of<T>: Once<T>;
}

/// Those of the standard library.
#[derive(Debug)]
pub struct Real;

impl Onces for Real {
    type Of<T> = OnceLock<T>;
}

impl<T> Once<T> for OnceLock<T> {
    #[inline]
    fn get(&self) -> Option<&T> {
        Self::get(self)
    }

    fn fill(&self, value: T) {
        // Each place is filled by the one who holds the recorder's lock.
        let _ = self.set(value);
    }
}

/// The chunks of a series. They are found without a lock, and none is ever taken out.
///
/// A value's octave says where the number of its chunk stands. When all places are taken, there come twice as many, in which the chunks
/// stand once more: so what is recorded often is found without a search, and without a branch that depends on the value.
pub struct Chunks<O: Onces = Real> {
    /// Which chunk an octave may have, by its last bits. Which it is, the chunk says itself.
    numbers: [AtomicU8; OCTAVES],
    first: [Place<O>; FIRST],
    more: More<O>,
}

/// Octaves from so many to the next do not get in each other's way.
const OCTAVES: usize = 32;

/// Where a chunk stands, or will.
type Place<O> = <O as Onces>::Of<Chunk>;

/// The places that come when all are taken.
type More<O> = <O as Onces>::Of<Box<Level<O>>>;

/// How many places there are at first.
const FIRST: usize = 4;

/// Twice as many places as before.
struct Level<O: Onces> {
    places: Box<[Place<O>]>,
    more: More<O>,
}

impl<O: Onces> Default for Chunks<O> {
    fn default() -> Self {
        Self {
            numbers: Default::default(),
            first: Default::default(),
            more: O::Of::default(),
        }
    }
}

impl<O: Onces> fmt::Debug for Chunks<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<O: Onces> Chunks<O> {
    /// The places in which all chunks stand, and what comes when there are more.
    #[inline]
    fn last(&self) -> (&[Place<O>], &More<O>) {
        let (mut places, mut more): (&[_], _) = (&self.first, &self.more);
        while let Some(level) = more.get() {
            (places, more) = (&level.places, &level.more);
        }
        (places, more)
    }

    /// The chunk of a key, if the series has it.
    #[must_use]
    pub fn find(&self, key: ChunkKey) -> Option<&Chunk> {
        self.iter().find(|chunk| chunk.key == key)
    }

    /// The same where its number is known.
    #[inline]
    fn find_by_number(&self, key: ChunkKey) -> Option<&Chunk> {
        let number = self.numbers[key.place::<OCTAVES>()].load(Relaxed);
        let (places, _) = self.last();
        let chunk = places.get(usize::from(number))?.get()?;
        (chunk.key == key).then_some(chunk)
    }

    /// Enters a chunk that is not here yet. The caller holds a lock, so that nobody else does.
    pub fn enter(&self, chunk: Chunk) {
        let (key, number) = (chunk.key, self.iter().count());
        let (places, more) = self.last();
        if let Some(place) = places.get(number) {
            place.fill(chunk);
        } else {
            let level = Level::<O> {
                places: (0..2 * number).map(|_| O::Of::default()).collect(),
                more: O::Of::default(),
            };
            for (place, chunk) in level.places.iter().zip(self.iter().chain([&chunk])) {
                place.fill(chunk.clone());
            }
            more.fill(Box::new(level));
        }
        let place = key.place::<OCTAVES>();
        let mut before = self.iter().take(number);
        // Whose number stands there is found at once, and others by a search.
        if !before.any(|chunk| chunk.key.place::<OCTAVES>() == place)
            && let Ok(number) = u8::try_from(number)
        {
            self.numbers[place].store(number, Relaxed);
        }
    }

    /// Makes room for so many chunks, before the first is entered. The caller holds a lock, so that nobody else does.
    pub fn make_room(&self, count: usize) {
        let (places, more) = self.last();
        if count > places.len() && self.iter().next().is_none() {
            more.fill(Box::new(Level {
                places: (0..count).map(|_| O::Of::default()).collect(),
                more: O::Of::default(),
            }));
        }
    }

    /// All there are, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.last().0.iter().map_while(Once::get)
    }
}

impl Chunks {
    /// Adds a finite value so many times, where this thread has recorded to its block before and the series has its chunk; else nothing,
    /// and returns `false`.
    #[inline]
    pub fn record(&self, grid: &Grid, value: f64, count: u64) -> bool {
        let (key, fraction) = ChunkKey::of(value);
        let Some(chunk) = self.find_by_number(key) else {
            return self.record_rare(grid, value, count);
        };
        let Some(page) = own(&chunk.lanes) else {
            return false;
        };
        let cell = cell_of(fraction, chunk.split);
        add_to_sum_and(page, chunk.sum, cell, value, count);
        true
    }

    /// The same of 0, of an octave in which several declared bounds lie, and of one whose chunk's number is not known.
    #[inline(never)]
    fn record_rare(&self, grid: &Grid, value: f64, count: u64) -> bool {
        let (key, cell) = grid.locate(value);
        let chunk = self.find(key);
        let found = chunk.and_then(|chunk| Some((chunk, own(&chunk.lanes)?)));
        if let Some((chunk, page)) = found {
            add_to_sum_and(page, chunk.sum, cell, value, count);
        }
        found.is_some()
    }
}

/// Where a histogram with native buckets is kept.
#[derive(Clone, Debug)]
pub struct NativeCell {
    chunks: Arc<Chunks>,
    grid: Arc<Grid>,
}

impl NativeCell {
    /// The chunks of a series in its family's grid.
    #[must_use]
    pub fn new(chunks: Arc<Chunks>, grid: Arc<Grid>) -> Self {
        Self { chunks, grid }
    }

    /// Adds a finite value, as [`Chunks::record`] does.
    #[inline]
    pub(crate) fn record(&self, value: f64) -> bool {
        self.chunks.record(&self.grid, value, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets;

    /// Bounds of several sorts: one or none to an octave, many, and on both sides of 0.
    const FAMILIES: [&[f64]; 5] = [
        &[],
        buckets::LATENCY,
        buckets::SHARE,
        buckets::SIGNED_BPS,
        &[
            -1.000_000_000_000_000_2,
            1.001,
            1.002,
            1.090_507_732_665_257_7,
        ],
    ];

    fn values(bounds: &[f64]) -> impl Iterator<Item = f64> {
        let powers = (-130..70).map(|exponent| 2_f64.powi(exponent));
        let native =
            powers.flat_map(|power| (0..8).map(move |k| power * (f64::from(k) / 8.0).exp2()));
        let all = native
            .chain(bounds.iter().copied())
            .chain([0.0, 5e-324, f64::MAX]);
        let near = |value: f64| [value.next_down(), value, value.next_up()];
        all.flat_map(near).flat_map(|value| [value, -value])
    }

    /// What is found by the value's octave alone is what the whole grid says.
    #[test]
    fn a_value_is_in_the_cell_that_its_chunk_says() {
        for bounds in FAMILIES {
            let grid = Grid::new(bounds);
            let mut rare = 0;
            for value in values(bounds).filter(|value| value.is_finite()) {
                let (octave, fraction) = ChunkKey::of(value);
                let (key, cell) = grid.locate(value);
                assert!(cell < grid.cells(key), "{value:e} in {bounds:?}");
                if key == octave {
                    assert_eq!(
                        cell_of(fraction, grid.split(key)),
                        cell,
                        "{value:e} in {bounds:?}"
                    );
                } else {
                    let bounds_in_it = grid.splits(key).count();
                    assert!(
                        key == ChunkKey::ZERO || bounds_in_it > 1,
                        "{value:e} in {bounds:?}"
                    );
                    rare += 1;
                }
            }
            assert!(rare > 0, "0 is in none that is found by its octave");
        }
    }

    #[test]
    fn all_that_were_entered_are_found_and_no_others() {
        let grid = Grid::new(buckets::SHARE);
        let chunks = Chunks::<Real>::default();
        let mut entered = Vec::new();
        // Neighbours, others with the same last bits, both sides of 0, and 0 itself.
        for exponent in [0, 1, 2, 3, 64, -1, 128, 4, -60, 5, -128, 1000] {
            for value in [1.5, -1.5, 0.0].map(|value| value * 2_f64.powi(exponent)) {
                let (key, _) = grid.locate(value);
                assert_eq!(chunks.find(key).is_some(), entered.contains(&key));
                if !entered.contains(&key) {
                    chunks.enter(chunk_of(&grid, key, entered.len()));
                    entered.push(key);
                }
                for (sum, key) in (0..).zip(&entered) {
                    assert_eq!(chunks.find(*key).map(Chunk::sum), Some(sum));
                    let by_number = chunks.find_by_number(*key).map(Chunk::sum);
                    assert!(by_number.is_none_or(|found| found == sum));
                    let place = key.place::<OCTAVES>();
                    let first = entered
                        .iter()
                        .position(|key| key.place::<OCTAVES>() == place);
                    assert_eq!(by_number.is_some(), first == Some(usize::from(sum)));
                }
                assert_eq!(chunks.iter().count(), entered.len());
            }
        }
        assert_eq!(entered.len(), 25);
    }

    /// Whatever a series measures lies in octaves beside one another, of which each is found at once.
    #[test]
    fn neighbours_are_found_by_their_numbers() {
        let grid = Grid::new(&[]);
        for room in [0, 5, 32] {
            for sides in [&[1.0][..], &[1.0, -1.0]] {
                let chunks = Chunks::<Real>::default();
                chunks.make_room(room);
                for exponent in -7..9 {
                    for side in sides {
                        let (key, _) = grid.locate(side * 1.5 * 2_f64.powi(exponent));
                        chunks.enter(chunk_of(&grid, key, chunks.iter().count()));
                    }
                }
                assert_eq!(chunks.iter().count(), 16 * sides.len());
                let mut all = chunks.iter();
                assert!(all.all(|chunk| {
                    let found = chunks.find_by_number(chunk.key());
                    found.is_some_and(|found| found.sum() == chunk.sum())
                }));
            }
        }
    }

    /// One whose sum has this index.
    pub(super) fn chunk_of(grid: &Grid, key: ChunkKey, sum: usize) -> Chunk {
        let lanes: Arc<[Lane]> = Arc::new([]);
        Chunk::new(grid, key, lanes, 0, u16::try_from(sum).unwrap())
    }
}

/// Every interleaving of a small model, in which `loom`'s atomics take the place of the real ones.
#[cfg(test)]
mod models {
    use loom::sync::atomic::AtomicBool;
    use loom::sync::atomic::Ordering::{Acquire, Release};
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::tests::chunk_of;
    use super::*;

    struct Modelled;

    impl Onces for Modelled {
        type Of<T> = Filled<T>;
    }

    /// The standard library's, whose value is there for those who see it filled.
    struct Filled<T> {
        is_full: AtomicBool,
        value: OnceLock<T>,
    }

    impl<T> Default for Filled<T> {
        fn default() -> Self {
            Self {
                is_full: AtomicBool::new(false),
                value: OnceLock::new(),
            }
        }
    }

    impl<T> Once<T> for Filled<T> {
        fn get(&self) -> Option<&T> {
            self.is_full.load(Acquire).then(|| self.value.get())?
        }

        fn fill(&self, value: T) {
            assert!(self.value.set(value).is_ok(), "it is filled once");
            self.is_full.store(true, Release);
        }
    }

    #[test]
    fn chunks_that_get_more_places_stay_found_and_one_is_entered_once() {
        loom::model(|| {
            let grid = Grid::new(&[]);
            let keys = [1.5, 3.0, 6.0, 12.0, 24.0].map(|value| grid.locate(value).0);
            let (known, new) = (&keys[..FIRST], keys[FIRST]);
            let chunks = Arc::new(Chunks::<Modelled>::default());
            for (sum, key) in known.iter().enumerate() {
                chunks.enter(chunk_of(&grid, *key, sum));
            }
            let growing = Arc::new(Mutex::new(()));
            let record = |sum: usize| {
                let (chunks, growing, grid) =
                    (Arc::clone(&chunks), Arc::clone(&growing), grid.clone());
                move || {
                    if chunks.find(new).is_none() {
                        let _one = growing.lock().unwrap();
                        if chunks.find(new).is_none() {
                            chunks.enter(chunk_of(&grid, new, sum));
                        }
                    }
                    chunks.find(new).map(Chunk::sum)
                }
            };
            let (one, other) = (thread::spawn(record(11)), thread::spawn(record(12)));
            for (sum, key) in (0..).zip(known) {
                assert_eq!(chunks.find(*key).map(Chunk::sum), Some(sum));
                assert_eq!(chunks.find_by_number(*key).map(Chunk::sum), Some(sum));
            }
            let seen = chunks.iter().count();
            assert!((FIRST..=FIRST + 1).contains(&seen), "{seen}");
            let (one, other) = (one.join().unwrap(), other.join().unwrap());
            assert!(one == other && one.is_some(), "{one:?} {other:?}");
            assert_eq!(chunks.iter().count(), FIRST + 1);
        });
    }
}
