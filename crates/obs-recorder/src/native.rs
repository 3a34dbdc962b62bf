//! Histograms whose cells serve native buckets and declared ones at once.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use metrics::HistogramFn;
use obs_core::{Family, Kind};

use crate::cell::{
    Directory, Found, Place, Store, add_float_owned, add_float_shared, add_owned, add_shared,
};
use crate::engine::Settings;
use crate::exemplar::Exemplars;
use crate::grid::{ChunkKey, Grid, SCHEMA, ZERO_THRESHOLD};
use crate::lock;
use crate::metric::{Metric, Moment, write_histogram};
use crate::registry::Series;
use crate::snapshot::{NativeBuckets, SeriesValue};
use crate::text::{At, Lines, Part};

/// A histogram with native buckets. Its cells come in chunks of an octave, each with the first value there; a chunk has a word for
/// the sum of its values and one for each cell. The count is what the cells hold.
#[derive(Debug)]
pub(crate) struct NativeHistogram {
    chunks: Directory,
    shape: Arc<Shape>,
    /// What the chunks held when the series began anew.
    baseline: Mutex<Option<Box<Reading>>>,
    exemplars: Option<Box<Exemplars>>,
}

/// What the histograms of a family share.
#[derive(Debug)]
pub(crate) struct Shape {
    grid: Grid,
    store: Arc<Store>,
    exemplars: bool,
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
struct Reading(Vec<Chunk>);

#[derive(Debug)]
struct Chunk {
    key: ChunkKey,
    sum: f64,
    cells: Box<[u64]>,
}

impl Chunk {
    fn of(key: ChunkKey, cells: usize, found: Found<'_>, highest: usize) -> Self {
        let mut chunk = Self {
            key,
            sum: 0.0,
            cells: vec![0; cells].into(),
        };
        for lane in found.lanes(highest) {
            chunk.sum += f64::from_bits(lane.word(SUM).load(Relaxed));
            for (cell, held) in chunk.cells.iter_mut().enumerate() {
                *held = held.wrapping_add(lane.word(SUM + 1 + cell).load(Relaxed));
            }
        }
        chunk
    }

    fn count(&self) -> u64 {
        self.cells.iter().copied().fold(0, u64::wrapping_add)
    }

    /// Takes away what was there before.
    fn since(&mut self, before: &Self) {
        self.sum -= before.sum;
        for (held, before) in self.cells.iter_mut().zip(&before.cells) {
            *held = held.wrapping_sub(*before);
        }
    }
}

impl Reading {
    /// Reads the declared buckets into `buckets`, and returns the sum.
    fn classic(&self, grid: &Grid, buckets: &mut Vec<u64>) -> f64 {
        buckets.clear();
        buckets.resize(grid.bounds().len() + 1, 0);
        for chunk in &self.0 {
            grid.each_cell(chunk.key, |cell, of| {
                let bucket = &mut buckets[of.bucket];
                *bucket = bucket.wrapping_add(chunk.cells[cell]);
            });
        }
        self.sum()
    }

    fn sum(&self) -> f64 {
        self.0.iter().map(|chunk| chunk.sum).sum()
    }

    fn count(&self) -> u64 {
        self.0.iter().map(Chunk::count).fold(0, u64::wrapping_add)
    }

    fn native(&self, grid: &Grid) -> NativeBuckets {
        let mut native = NativeBuckets {
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: 0,
            negative: Vec::new(),
            positive: Vec::new(),
        };
        for chunk in &self.0 {
            if chunk.key == ChunkKey::ZERO {
                native.zero_count = chunk.count();
                continue;
            }
            let side = if chunk.key.is_negative() {
                &mut native.negative
            } else {
                &mut native.positive
            };
            grid.each_cell(chunk.key, |cell, of| {
                let (Some(index), held) = (of.index, chunk.cells[cell]) else {
                    return;
                };
                match side.last_mut() {
                    // A declared bound lies between.
                    Some((last, count)) if *last == index => *count = count.wrapping_add(held),
                    _ if held == 0 => {}
                    _ => side.push((index, held)),
                }
            });
        }
        // Chunks are in the order of their values, and those below 0 are counted by their distance from it.
        native.negative.sort_unstable();
        native
    }
}

impl NativeHistogram {
    /// Everything that was ever added.
    fn read(&self, highest: usize) -> Reading {
        let mut chunks = Vec::new();
        self.chunks.each(|bits, spot| {
            let key = ChunkKey::of_bits(bits);
            if let Some(found) = self.shape.store.find(spot) {
                let cells = self.shape.grid.cells(key);
                chunks.push(Chunk::of(key, cells, found, highest));
            }
        });
        chunks.sort_unstable_by_key(|chunk| chunk.key.order());
        Reading(chunks)
    }

    /// What was added since the series began anew.
    fn read_since(&self, mark: u64, highest: usize) -> Reading {
        let mut reading = self.read(highest);
        // Most series never began anew, and their lock is not worth taking.
        if mark != 0
            && let Some(baseline) = &*lock(&self.baseline)
        {
            for before in &baseline.0 {
                let mut chunks = reading.0.iter_mut();
                if let Some(chunk) = chunks.find(|chunk| chunk.key == before.key) {
                    chunk.since(before);
                }
            }
        }
        reading
    }

    /// Adds a finite number so many times.
    #[inline]
    fn add(&self, value: f64, count: u64) {
        let (key, cell) = self.shape.grid.locate(value);
        match self.own(key) {
            Some(own) if self.exemplars.is_none() => {
                add_owned(own.word(SUM + 1 + cell), count);
                add_float_owned(own.word(SUM), value * count as f64);
            }
            _ => self.add_slowly(value, count),
        }
    }

    /// Where this thread alone may write of a chunk, if the series has it and this thread has recorded there before.
    #[inline]
    fn own(&self, key: ChunkKey) -> Option<Place<'_>> {
        let spot = self.chunks.find(key.bits())?;
        self.shape.store.find(spot)?.own()
    }

    /// With an exemplar, for the first time in this octave or on this thread, or on one that has no lane.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, value: f64, count: u64) {
        let Shape { grid, store, .. } = &*self.shape;
        let (key, cell) = grid.locate(value);
        let spot = self.chunks.find(key.bits());
        let new = || store.take_for(&self.chunks, key.bits(), words_of(grid, key));
        let by = value * count as f64;
        match store
            .find(spot.unwrap_or_else(new))
            .map(Found::own_or_shared)
        {
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
        if let Some(exemplars) = &self.exemplars {
            exemplars.note(grid.bucket_of(value), value);
        }
    }
}

/// How many words a chunk takes.
fn words_of(grid: &Grid, key: ChunkKey) -> usize {
    SUM + 1 + grid.cells(key)
}

impl Metric for NativeHistogram {
    const KIND: Kind = Kind::Histogram;
    const PARTS: &'static [Part] = &[Part::Bucket, Part::Sum, Part::Count, Part::Created];
    const IS_READ: bool = true;
    type Shape = Arc<Shape>;

    fn shape(name: &str, declared: Option<&'static Family>, settings: &Settings) -> Arc<Shape> {
        let bounds = declared
            .map(Family::bucket_bounds)
            .or_else(|| settings.buckets_of(name));
        Arc::new(Shape {
            grid: Grid::new(bounds.unwrap_or_default()),
            store: Arc::clone(&settings.store),
            exemplars: declared.is_some_and(Family::has_exemplars),
        })
    }

    fn new(shape: &Arc<Shape>, _: &Store) -> Self {
        let exemplars = || Box::new(Exemplars::new(shape.bounds().len() + 1));
        Self {
            chunks: Directory::default(),
            shape: Arc::clone(shape),
            baseline: Mutex::default(),
            exemplars: shape.exemplars.then(exemplars),
        }
    }

    fn dismantle(self, store: &Store) {
        self.chunks.each(|bits, spot| {
            let words = words_of(&self.shape.grid, ChunkKey::of_bits(bits));
            store.give_back_at(spot, words);
        });
    }

    fn pulse(&self, highest: usize) -> u64 {
        let mut count = 0_u64;
        self.chunks.each(|bits, spot| {
            let cells = self.shape.grid.cells(ChunkKey::of_bits(bits));
            for lane in self
                .shape
                .store
                .find(spot)
                .into_iter()
                .flat_map(|found| found.lanes(highest))
            {
                let cells = (0..cells).map(|cell| lane.word(SUM + 1 + cell).load(Relaxed));
                count = cells.fold(count, u64::wrapping_add);
            }
        });
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

    fn write(&self, shape: &Arc<Shape>, at: At<'_>, part: usize, lines: &mut Lines<'_>) {
        let highest = lines.highest();
        write_histogram(at, part, lines, self.exemplars.as_deref(), |buckets| {
            self.read_since(at.mark, highest)
                .classic(&shape.grid, buckets)
        });
    }

    fn value(&self, shape: &Arc<Shape>, at: At<'_>, moment: Moment) -> SeriesValue {
        let (mut buckets, reading) = (Vec::new(), self.read_since(at.mark, moment.highest));
        let sum = reading.classic(&shape.grid, &mut buckets);
        let exemplars = self.exemplars.iter().flat_map(|exemplars| exemplars.all());
        SeriesValue::Histogram {
            buckets,
            sum,
            exemplars: exemplars.collect(),
            native: Some(reading.native(&shape.grid)),
        }
    }
}

impl HistogramFn for Series<NativeHistogram> {
    #[inline]
    fn record(&self, value: f64) {
        // As in a summary: other people's code would leave a sum that is no number for ever.
        if value.is_finite() {
            self.metric.add(value, 1);
        } else {
            self.family().reject(1);
        }
    }

    fn record_many(&self, value: f64, count: usize) {
        if !value.is_finite() {
            self.family().reject(count as u64);
        } else if count > 0 {
            self.metric.add(value, count as u64);
        }
    }
}
