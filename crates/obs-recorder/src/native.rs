//! Histograms whose cells serve native buckets and declared ones at once.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use metrics::HistogramFn;
use obs_core::cells::grid::{ChunkKey, Grid, ZERO_THRESHOLD};
use obs_core::cells::{Chunks, NativeCell, Offered};
use obs_core::{Family, Kind};
use obs_memory::{Cell, Side};

use crate::cell::{
    Cells, Found, InFile, Store, add_float_owned, add_float_shared, add_owned, add_shared,
};
use crate::engine::Settings;
use crate::exemplar::Exemplars;
use crate::filed::{Beside, Description, Number};
use crate::grid::{CellOf, SCHEMA, bucket_of, each_held, order};
use crate::lock;
use crate::metric::Metric;
use crate::point::{Moment, Point, Scratch};
use crate::registry::Series;
use crate::snapshot::NativeBuckets;

/// A histogram with native buckets. Its cells come in chunks of an octave, each with the first value there; a chunk has a word for
/// the sum of its values and one for each cell. The count is what the cells hold.
#[derive(Debug)]
pub(crate) struct NativeHistogram {
    chunks: Arc<Chunks>,
    shape: Arc<Shape>,
    /// What the chunks held when the series began anew.
    baseline: Mutex<Option<Box<Reading>>>,
    exemplars: Option<Box<Exemplars>>,
    /// In a forked process, where the file of that has the octaves that its parent's lacks.
    beside: Beside,
}

/// What the histograms of a family share.
#[derive(Debug)]
pub(crate) struct Shape {
    grid: Arc<Grid>,
    store: Arc<Store>,
    exemplars: bool,
    /// Whether a series has the chunks of the declared range from the start.
    is_reserved: bool,
}

impl Shape {
    /// The declared upper bounds, without the infinite one.
    pub(crate) fn bounds(&self) -> &'static [f64] {
        self.grid.bounds()
    }
}

/// The word of the sum in a chunk. Those of its cells follow.
const SUM: usize = 0;

/// What the chunks of a series hold, in the order of their values.
#[derive(Debug, Default)]
struct Reading {
    chunks: Vec<Chunk>,
    /// The cells of all of them.
    cells: Vec<u64>,
}

#[derive(Debug)]
struct Chunk {
    key: ChunkKey,
    sum: f64,
    /// Where its cells are.
    cells: Range<usize>,
}

impl Reading {
    /// Appends what a chunk holds.
    fn push(&mut self, key: ChunkKey, cells: usize, found: Found<'_>, highest: usize) {
        let (start, mut sum) = (self.cells.len(), 0.0);
        let cells = start..start + cells;
        self.cells.resize(cells.end, 0);
        for lane in found.lanes(highest) {
            sum += f64::from_bits(lane.word(SUM).load(Relaxed));
            for (cell, held) in self.cells[cells.clone()].iter_mut().enumerate() {
                *held = held.wrapping_add(lane.word(SUM + 1 + cell).load(Relaxed));
            }
        }
        self.chunks.push(Chunk { key, sum, cells });
    }

    /// Takes away what was there before.
    fn since(&mut self, before: &Self) {
        for then in &before.chunks {
            let mut chunks = self.chunks.iter_mut();
            let Some(now) = chunks.find(|chunk| chunk.key == then.key) else {
                continue;
            };
            now.sum -= then.sum;
            let held = &mut self.cells[now.cells.clone()];
            for (held, then) in held.iter_mut().zip(&before.cells[then.cells.clone()]) {
                *held = held.wrapping_sub(*then);
            }
        }
    }

    fn sum(&self) -> f64 {
        self.chunks.iter().map(|chunk| chunk.sum).sum()
    }

    fn count(&self) -> u64 {
        self.cells.iter().copied().fold(0, u64::wrapping_add)
    }

    /// What each cell counts for that holds anything, with the chunk that it is in.
    fn each(&self, grid: &Grid, mut show: impl FnMut(ChunkKey, CellOf)) {
        for Chunk { key, cells, .. } in &self.chunks {
            let cells = &self.cells[cells.clone()];
            each_held(grid, *key, cells, |of| show(*key, of));
        }
    }

    /// Reads the declared buckets into `buckets`.
    fn classic(&self, grid: &Grid, buckets: &mut Vec<u64>) {
        clear(grid, buckets);
        self.each(grid, |_, of| add_to(buckets, &of));
    }

    /// The buckets of both sorts.
    fn both(&self, grid: &Grid) -> (Vec<u64>, NativeBuckets) {
        let mut native = NativeBuckets {
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: 0,
            negative: Vec::new(),
            positive: Vec::new(),
        };
        let mut buckets = Vec::new();
        clear(grid, &mut buckets);
        self.each(grid, |key, of| {
            add_to(&mut buckets, &of);
            let side = if key.is_negative() {
                &mut native.negative
            } else {
                &mut native.positive
            };
            match (of.index, side.last_mut()) {
                (None, _) => native.zero_count = native.zero_count.wrapping_add(of.held),
                // A declared bound lies between.
                (Some(index), Some((last, count))) if *last == index => {
                    *count = count.wrapping_add(of.held);
                }
                (Some(index), _) => side.push((index, of.held)),
            }
        });
        // Chunks are in the order of their values, and those below 0 are counted by their distance from it.
        native.negative.sort_unstable();
        (buckets, native)
    }
}

/// As many declared buckets as there are, which hold nothing.
fn clear(grid: &Grid, buckets: &mut Vec<u64>) {
    buckets.clear();
    buckets.resize(grid.bounds().len() + 1, 0);
}

fn add_to(buckets: &mut [u64], of: &CellOf) {
    let bucket = &mut buckets[of.bucket];
    *bucket = bucket.wrapping_add(of.held);
}

impl NativeHistogram {
    /// Everything that was ever added.
    fn read(&self, highest: usize) -> Reading {
        let Shape { grid, store, .. } = &*self.shape;
        let mut chunks: Vec<_> = self.chunks.iter().collect();
        chunks.sort_unstable_by_key(|chunk| order(chunk.key()));
        let mut reading = Reading {
            chunks: Vec::with_capacity(chunks.len()),
            cells: Vec::with_capacity(chunks.len() * 10),
        };
        for chunk in chunks {
            let key = chunk.key();
            reading.push(key, grid.cells(key), store.find(chunk), highest);
        }
        reading
    }

    /// What was added since the series began anew.
    fn read_since(&self, mark: u64, highest: usize) -> Reading {
        let mut reading = self.read(highest);
        // Most series never began anew, and their lock is not worth taking.
        if mark != 0
            && let Some(baseline) = &*lock(&self.baseline)
        {
            reading.since(baseline);
        }
        reading
    }
}

impl Series<NativeHistogram> {
    /// The words of a chunk, taken if the series has not got it yet.
    fn chunk(&self, key: ChunkKey) -> Option<Found<'_>> {
        let NativeHistogram { chunks, shape, .. } = &self.metric;
        let Shape { grid, store, .. } = &**shape;
        let announce = |at| {
            if let Some(filed) = self.filed() {
                let (began, family) = (self.created().load(Relaxed), self.family().number());
                let again = || filed.enter_again(family?, &self.labels(), began);
                let beside = || self.metric.beside.number(again);
                filed.chunk(at, side_of(key), cells_of(grid, key), beside);
            }
        };
        let chunk = chunks.find(key).or_else(|| {
            store.take_for(chunks, grid, key, words_of(grid, key), announce);
            chunks.find(key)
        });
        chunk.map(|chunk| store.find(chunk))
    }

    /// Adds a finite number so many times.
    #[inline]
    fn add(&self, value: f64, count: u64) {
        let NativeHistogram {
            chunks,
            shape,
            exemplars,
            ..
        } = &self.metric;
        if exemplars.is_some() || !chunks.record(&shape.grid, value, count) {
            self.add_slowly(value, count);
        }
    }

    /// With an exemplar, for the first time in this octave or on this thread, or on one that has no lane.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, value: f64, count: u64) {
        let grid = &self.metric.shape.grid;
        let (key, cell) = grid.locate(value);
        let by = value * count as f64;
        match self.chunk(key).map(Found::own_or_shared) {
            Some(Ok(own)) => {
                add_owned(own.word(SUM + 1 + cell), count);
                add_float_owned(own.word(SUM), by);
            }
            Some(Err(shared)) => {
                add_shared(shared.word(SUM + 1 + cell), count);
                add_float_shared(shared.word(SUM), by);
            }
            None => {}
        }
        if let Some(exemplars) = &self.metric.exemplars {
            exemplars.note(bucket_of(grid, value), value);
        }
    }
}

/// On which side of 0 a chunk is, as a mapped file has it.
fn side_of(key: ChunkKey) -> Side {
    if key == ChunkKey::ZERO {
        Side::Zero
    } else if key.is_negative() {
        Side::Negative
    } else {
        Side::Positive
    }
}

/// What the cells of a chunk count for, as a mapped file has it.
fn cells_of(grid: &Grid, key: ChunkKey) -> Vec<Cell> {
    let mut cells = Vec::new();
    each_held(grid, key, &vec![1; grid.cells(key)], |of| {
        cells.push(Cell {
            index: of.index.unwrap_or_default(),
            // There are no more bounds than words of a page.
            bucket: u16::try_from(of.bucket).unwrap_or(u16::MAX),
        });
    });
    cells
}

/// How many words a chunk takes.
fn words_of(grid: &Grid, key: ChunkKey) -> usize {
    SUM + 1 + grid.cells(key)
}

impl Metric for NativeHistogram {
    const KIND: Kind = Kind::Histogram;
    const IS_READ: bool = true;
    type Shape = Arc<Shape>;

    fn shape(name: &str, declared: Option<&'static Family>, settings: &Settings) -> Arc<Shape> {
        let bounds = declared
            .map(Family::bucket_bounds)
            .or_else(|| settings.buckets_of(name));
        Arc::new(Shape {
            grid: Arc::new(Grid::new(bounds.unwrap_or_default())),
            store: Arc::clone(&settings.store),
            exemplars: declared.is_some_and(Family::has_exemplars),
            is_reserved: settings.reserve_native_cells,
        })
    }

    fn new(shape: &Arc<Shape>, _: &Store) -> Self {
        let exemplars = || Box::new(Exemplars::new(shape.bounds().len() + 1));
        Self {
            chunks: Arc::default(),
            shape: Arc::clone(shape),
            baseline: Mutex::default(),
            exemplars: shape.exemplars.then(exemplars),
            beside: Beside::default(),
        }
    }

    fn make_ready(series: &Series<Self>) {
        let NativeHistogram { chunks, shape, .. } = &series.metric;
        if !shape.is_reserved {
            return;
        }
        let declared = shape.grid.declared();
        // Nobody else has the series yet.
        chunks.make_room(declared.len());
        for key in declared {
            let _ = series.chunk(key).map(Found::own_or_shared);
        }
    }

    fn filed(&self) -> Option<InFile> {
        // Its words come with its values, and are announced then.
        Some(InFile::default())
    }

    fn bounds(shape: &Arc<Shape>) -> &'static [f64] {
        shape.bounds()
    }

    fn described(shape: &Arc<Shape>) -> Description<'_> {
        Description {
            bounds: shape.bounds(),
            native: Some((SCHEMA, ZERO_THRESHOLD)),
            ..Description::default()
        }
    }

    fn hide_in_file(&self, number: Number, _: u64) {
        if let Some(reading) = &*lock(&self.baseline) {
            for Chunk { key, sum, cells } in &reading.chunks {
                let Some(chunk) = self.chunks.find(*key) else {
                    continue;
                };
                let mut words = vec![sum.to_bits()];
                words.extend(&reading.cells[cells.clone()]);
                number.held(InFile::of(chunk), words);
            }
        }
        number.hidden(Vec::new());
    }

    fn dismantle(self, store: &Store) {
        for chunk in self.chunks.iter() {
            store.give_back_chunk(chunk, words_of(&self.shape.grid, chunk.key()));
        }
    }

    fn cell(&self) -> Option<Offered> {
        let (chunks, grid) = (&self.chunks, &self.shape.grid);
        let cell = || Offered::Native(NativeCell::new(Arc::clone(chunks), Arc::clone(grid)));
        self.exemplars.is_none().then(cell)
    }

    fn pulse(&self, highest: usize) -> u64 {
        let mut count = 0_u64;
        for chunk in self.chunks.iter() {
            let cells = self.shape.grid.cells(chunk.key());
            for lane in self.shape.store.find(chunk).lanes(highest) {
                let cells = (0..cells).map(|cell| lane.word(SUM + 1 + cell).load(Relaxed));
                count = cells.fold(count, u64::wrapping_add);
            }
        }
        count
    }

    fn forget(&self, highest: usize) -> u64 {
        let reading = self.read(highest);
        let count = reading.count();
        *lock(&self.baseline) = Some(Box::new(reading));
        if let Some(exemplars) = &self.exemplars {
            exemplars.clear();
        }
        count
    }

    fn point<'a>(
        &'a self,
        shape: &'a Arc<Shape>,
        _: Cells<'_>,
        mark: u64,
        moment: Moment,
        scratch: &'a mut Scratch,
    ) -> Point<'a> {
        let reading = self.read_since(mark, moment.highest);
        if moment.native {
            let (buckets, native) = reading.both(&shape.grid);
            (scratch.buckets, scratch.native) = (buckets, Some(native));
        } else {
            reading.classic(&shape.grid, &mut scratch.buckets);
        }
        Point::Histogram {
            buckets: &scratch.buckets,
            sum: reading.sum(),
            exemplars: self.exemplars.as_deref(),
            native: scratch.native.as_ref().filter(|_| moment.native),
        }
    }
}

impl HistogramFn for Series<NativeHistogram> {
    #[inline]
    fn record(&self, value: f64) {
        // As in a summary: other people's code would leave a sum that is no number for ever.
        if value.is_finite() {
            self.add(value, 1);
        } else {
            self.family().reject(1);
        }
    }

    fn record_many(&self, value: f64, count: usize) {
        if !value.is_finite() {
            self.family().reject(count as u64);
        } else if count > 0 {
            self.add(value, count as u64);
        }
    }
}
