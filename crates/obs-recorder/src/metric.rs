//! What a series of each kind keeps, how it records, and how it comes out.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use metrics::{CounterFn, GaugeFn, HistogramFn};
use obs_core::cells::{self, BEGIN_UNDEFINED, GaugeCell, Offered, UNSAID};
use obs_core::{Family, Kind, buckets};
use obs_memory::Across;

use crate::cell::{
    Cells, InFile, Place, Store, WORDS, Words, add_float_owned, add_float_shared, add_owned,
    add_shared, raise_shared,
};
use crate::engine::Settings;
use crate::exemplar::Exemplars;
use crate::filed::{Description, Number, across_of};
use crate::point::{Moment, Point, Scratch};
use crate::registry::Series;
use crate::{lock, slot};

/// One kind of metric, as the registry and the scrape need it.
pub(crate) trait Metric: Send + Sync + Sized + 'static {
    const KIND: Kind;
    /// Whether a scrape reads the metric itself, and not its words alone.
    const IS_READ: bool;
    /// Whether a series has one word, a whole number, and what its lines show is in that and nowhere else. While it does not change,
    /// no line does. A constant, so that nothing is compiled for kinds that are never kept packed.
    const IS_TALLIED: bool = false;
    /// What all series of a family share.
    type Shape: Send + Sync + std::fmt::Debug;

    /// The shape of a family. `declared` has this kind.
    fn shape(name: &str, declared: Option<&'static Family>, settings: &Settings) -> Self::Shape;

    fn new(shape: &Self::Shape, store: &Store) -> Self;

    /// Makes what recording on this thread needs, so that it does not have to.
    fn make_ready(_series: &Series<Self>) {}

    /// For a handle that records without a call, where all there is to do is in its words.
    fn cell(&self) -> Option<Offered> {
        None
    }

    /// Gives back what [`new`](Self::new) took. Nobody holds a handle any more.
    fn dismantle(self, _store: &Store) {}

    /// Where its words are in a mapped file; nothing if they are not.
    fn filed(&self) -> Option<InFile> {
        None
    }

    /// What is said of a family in a mapped file.
    fn described(_shape: &Self::Shape) -> Description<'_> {
        Description::default()
    }

    /// Says in a mapped file what its words held when it began anew. `mark` is what [`forget`](Self::forget) returned.
    fn hide_in_file(&self, number: Number, mark: u64) {
        number.hidden(vec![mark]);
    }

    /// Its words, if what it shows is in such.
    fn words(&self) -> Option<&Words> {
        None
    }

    /// A number that is another one whenever something was recorded since. Only the holder of the scrape's lock asks.
    fn pulse(&self, highest: usize) -> u64;

    /// Shows nothing of what was recorded until now from now on. Returns the pulse of that moment.
    fn forget(&self, highest: usize) -> u64 {
        self.pulse(highest)
    }

    /// The upper bounds of a family of histograms, without the infinite one.
    fn bounds(_shape: &Self::Shape) -> &'static [f64] {
        &[]
    }

    /// The levels of the quantiles of a family of summaries.
    fn levels(_shape: &Self::Shape) -> &'static [f64] {
        &[]
    }

    /// What it shows. `cells` are its [words](Self::words) if it has such, and `mark` is the pulse at which it began anew.
    fn point<'a>(
        &'a self,
        shape: &'a Self::Shape,
        cells: Cells<'_>,
        mark: u64,
        moment: Moment,
        scratch: &'a mut Scratch,
    ) -> Point<'a>;
}

/// A counter: one word, whose sum over all lanes is the total.
#[derive(Debug)]
pub(crate) struct Counter {
    words: Words,
}

impl Counter {
    /// For the first time on this thread, or on one that has no lane. Apart, so that all other times carry none of it.
    #[cold]
    #[inline(never)]
    fn add_first(&self, n: u64) {
        match self.words.own_or_shared() {
            Ok(own) => add_owned(own.word(0), n),
            Err(shared) => add_shared(shared.word(0), n),
        }
    }
}

impl Metric for Counter {
    const KIND: Kind = Kind::Counter;
    const IS_READ: bool = false;
    const IS_TALLIED: bool = true;
    /// How many of its digits are decimal places.
    type Shape = u8;

    fn shape(_: &str, declared: Option<&'static Family>, _: &Settings) -> u8 {
        declared.map_or(0, Family::decimals)
    }

    fn new(_: &u8, store: &Store) -> Self {
        Self {
            words: store.take(1),
        }
    }

    fn make_ready(series: &Series<Self>) {
        let _ = series.metric.words.own_or_shared();
    }

    fn cell(&self) -> Option<Offered> {
        Some(Offered::Counter(self.words.first()))
    }

    fn dismantle(self, store: &Store) {
        store.give_back(self.words, 1);
    }

    fn filed(&self) -> Option<InFile> {
        Some(self.words.in_file())
    }

    fn described(decimals: &u8) -> Description<'_> {
        Description {
            decimals: *decimals,
            ..Description::default()
        }
    }

    fn words(&self) -> Option<&Words> {
        Some(&self.words)
    }

    fn pulse(&self, highest: usize) -> u64 {
        self.words.sum(0, highest)
    }

    #[inline]
    fn point<'a>(
        &'a self,
        decimals: &'a u8,
        cells: Cells<'_>,
        mark: u64,
        _: Moment,
        _: &'a mut Scratch,
    ) -> Point<'a> {
        Point::Counter {
            number: cells.sum(0).wrapping_sub(mark),
            decimals: *decimals,
        }
    }
}

impl CounterFn for Series<Counter> {
    #[inline]
    fn increment(&self, n: u64) {
        match self.metric.words.own() {
            Some(own) => add_owned(own.word(0), n),
            None => self.metric.add_first(n),
        }
    }

    fn absolute(&self, total: u64) {
        let words = &self.metric.words;
        let others = || words.sum_owned(0, slot::highest());
        raise_shared(words.shared().word(0), others, total);
    }
}

/// A gauge: one word of everybody's, for who sets it overrules all others.
#[derive(Debug)]
pub(crate) struct Gauge {
    cell: GaugeCell,
    /// Where that lies.
    at: InFile,
    pulse: AtomicU32,
}

impl Metric for Gauge {
    const KIND: Kind = Kind::Gauge;
    const IS_READ: bool = true;
    /// What gauges of several processes make together.
    type Shape = Across;

    fn shape(_: &str, declared: Option<&'static Family>, _: &Settings) -> Across {
        let across = declared.map(Family::across_processes);
        across_of(across.unwrap_or_default())
    }

    fn new(_: &Across, store: &Store) -> Self {
        let (cell, at) = store.take_gauge();
        Self {
            cell,
            at,
            pulse: AtomicU32::new(0),
        }
    }

    fn filed(&self) -> Option<InFile> {
        Some(self.at)
    }

    fn described(across: &Across) -> Description<'_> {
        Description {
            across: *across,
            ..Description::default()
        }
    }

    fn hide_in_file(&self, number: Number, _: u64) {
        // As `forget` leaves it.
        number.hidden(vec![UNSAID]);
    }

    fn dismantle(self, store: &Store) {
        store.give_back_gauge(&self.cell, self.at);
    }

    fn cell(&self) -> Option<Offered> {
        Some(Offered::Gauge(self.cell.clone()))
    }

    fn pulse(&self, _: usize) -> u64 {
        // A value may be set again to what it is.
        if self.cell.take_touched() {
            self.pulse.fetch_add(1, Relaxed);
        }
        u64::from(self.pulse.load(Relaxed))
    }

    fn forget(&self, highest: usize) -> u64 {
        // A handle that adds from here on begins at 0.
        self.cell.bits().store(UNSAID, Relaxed);
        self.pulse(highest)
    }

    #[inline]
    fn point<'a>(
        &'a self,
        _: &'a Across,
        _: Cells<'_>,
        _: u64,
        _: Moment,
        _: &'a mut Scratch,
    ) -> Point<'a> {
        // 0 where nothing was said of it.
        Point::Gauge(f64::from_bits(self.cell.bits().load(Relaxed)) + 0.0)
    }
}

impl GaugeFn for Series<Gauge> {
    fn increment(&self, by: f64) {
        self.metric.cell.add(by);
    }

    fn decrement(&self, by: f64) {
        self.increment(-by);
    }

    #[inline]
    fn set(&self, value: f64) {
        if value.to_bits() == BEGIN_UNDEFINED {
            self.metric.cell.begin_undefined();
        } else {
            self.metric.cell.set(value);
        }
    }
}

/// A histogram: a word for the sum, and one for each bucket, not cumulated. The count is what the buckets hold.
#[derive(Debug)]
pub(crate) struct Histogram {
    words: Words,
    /// The family's bounds, to be searched.
    search: Arc<cells::Buckets>,
    /// What the words held when the series began anew.
    baseline: Mutex<Option<Box<Baseline>>>,
    exemplars: Option<Box<Exemplars>>,
}

/// What the words of a histogram held at a moment.
#[derive(Debug)]
struct Baseline {
    buckets: Vec<u64>,
    sum: f64,
}

/// What the histograms of a family share.
#[derive(Debug)]
pub(crate) struct Buckets {
    bounds: &'static [f64],
    /// The same, to be searched.
    search: Arc<cells::Buckets>,
    exemplars: bool,
}

/// The word of the sum. Those of the buckets follow, as a handle has them that adds by itself.
const SUM: usize = 0;

/// The most bounds a histogram may have: its words lie in one block.
pub(crate) const MAX_BOUNDS: usize = WORDS - 2;

/// Buckets for histograms that no catalogue knows, by the unit their name ends in. Without buckets they are summaries.
pub const BUCKETS_BY_SUFFIX: [(&str, &[f64]); 3] = [
    ("_seconds", buckets::LATENCY),
    ("_bytes", buckets::BYTES),
    ("_ratio", buckets::SHARE),
];

/// The buckets of a histogram that no catalogue knows, if its name tells any.
pub(crate) fn buckets_of(name: &str) -> Option<&'static [f64]> {
    let mut known = BUCKETS_BY_SUFFIX.iter();
    known
        .find(|(suffix, _)| name.ends_with(suffix))
        .map(|(_, bounds)| *bounds)
}

impl Histogram {
    /// How many words it has.
    fn len(&self) -> usize {
        self.search.count() + 1
    }

    /// Reads the buckets as they are since the series began anew, and returns the sum.
    fn read_since(
        &self,
        shape: &Buckets,
        cells: Cells<'_>,
        mark: u64,
        buckets: &mut Vec<u64>,
    ) -> f64 {
        let sum = read(cells.lanes(), shape.bounds.len() + 1, buckets);
        // Most series never began anew, and their lock is not worth taking.
        if mark != 0
            && let Some(baseline) = &*lock(&self.baseline)
        {
            for (bucket, before) in buckets.iter_mut().zip(&baseline.buckets) {
                *bucket = bucket.wrapping_sub(*before);
            }
            return sum - baseline.sum;
        }
        sum
    }

    /// Adds a finite number so many times.
    #[inline]
    fn add(&self, value: f64, count: u64) {
        match self.words.own() {
            Some(own) if self.exemplars.is_none() => {
                let bucket = self.search.of(value);
                add_owned(own.word(SUM + 1 + bucket), count);
                add_float_owned(own.word(SUM), value * count as f64);
            }
            _ => self.add_slowly(value, count),
        }
    }

    /// With an exemplar, for the first time on this thread, or on one that has no lane.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, value: f64, count: u64) {
        let bucket = self.search.of(value);
        let by = value * count as f64;
        match self.words.own_or_shared() {
            Ok(own) => {
                add_owned(own.word(SUM + 1 + bucket), count);
                add_float_owned(own.word(SUM), by);
            }
            Err(shared) => {
                add_shared(shared.word(SUM + 1 + bucket), count);
                add_float_shared(shared.word(SUM), by);
            }
        }
        if let Some(exemplars) = &self.exemplars {
            exemplars.note(bucket, value);
        }
    }
}

/// Reads so many buckets in all lanes, and returns the sum.
fn read<'a>(lanes: impl Iterator<Item = Place<'a>>, count: usize, buckets: &mut Vec<u64>) -> f64 {
    buckets.clear();
    buckets.resize(count, 0);
    let mut sum = 0.0;
    for lane in lanes {
        for (index, bucket) in buckets.iter_mut().enumerate() {
            *bucket = bucket.wrapping_add(lane.word(SUM + 1 + index).load(Relaxed));
        }
        sum += f64::from_bits(lane.word(SUM).load(Relaxed));
    }
    sum
}

impl Metric for Histogram {
    const KIND: Kind = Kind::Histogram;
    const IS_READ: bool = false;
    type Shape = Buckets;

    fn shape(name: &str, declared: Option<&'static Family>, settings: &Settings) -> Buckets {
        let bounds = declared
            .map(Family::bucket_bounds)
            .or_else(|| settings.buckets_of(name))
            .unwrap_or_default();
        Buckets {
            bounds,
            search: Arc::new(cells::Buckets::new(bounds)),
            exemplars: declared.is_some_and(Family::has_exemplars),
        }
    }

    fn new(shape: &Buckets, store: &Store) -> Self {
        let buckets = shape.bounds.len() + 1;
        Self {
            words: store.take(buckets + 1),
            search: Arc::clone(&shape.search),
            baseline: Mutex::default(),
            exemplars: shape.exemplars.then(|| Box::new(Exemplars::new(buckets))),
        }
    }

    fn make_ready(series: &Series<Self>) {
        let _ = series.metric.words.own_or_shared();
    }

    fn filed(&self) -> Option<InFile> {
        Some(self.words.in_file())
    }

    fn bounds(shape: &Buckets) -> &'static [f64] {
        shape.bounds
    }

    fn described(shape: &Buckets) -> Description<'_> {
        Description {
            bounds: shape.bounds,
            ..Description::default()
        }
    }

    fn hide_in_file(&self, number: Number, _: u64) {
        let mut words = Vec::new();
        if let Some(baseline) = &*lock(&self.baseline) {
            // As they are in the cells.
            words.push(baseline.sum.to_bits());
            words.extend(&baseline.buckets);
        }
        number.hidden(words);
    }

    fn dismantle(self, store: &Store) {
        let len = self.len();
        store.give_back(self.words, len);
    }

    fn words(&self) -> Option<&Words> {
        Some(&self.words)
    }

    fn cell(&self) -> Option<Offered> {
        let cell = || Offered::Histogram(self.words.of_buckets(&self.search));
        self.exemplars.is_none().then(cell)
    }

    fn pulse(&self, highest: usize) -> u64 {
        (0..self.search.count())
            .map(|bucket| self.words.sum(SUM + 1 + bucket, highest))
            .fold(0, u64::wrapping_add)
    }

    fn forget(&self, highest: usize) -> u64 {
        let mut buckets = Vec::new();
        let lanes = self.words.lanes(highest);
        let sum = read(lanes, self.search.count(), &mut buckets);
        let count = buckets.iter().copied().fold(0, u64::wrapping_add);
        *lock(&self.baseline) = Some(Box::new(Baseline { buckets, sum }));
        if let Some(exemplars) = &self.exemplars {
            exemplars.clear();
        }
        count
    }

    #[inline]
    fn point<'a>(
        &'a self,
        shape: &'a Buckets,
        cells: Cells<'_>,
        mark: u64,
        _: Moment,
        scratch: &'a mut Scratch,
    ) -> Point<'a> {
        let sum = self.read_since(shape, cells, mark, &mut scratch.buckets);
        // The series itself is not in the cache; the shape is.
        let exemplars = shape.exemplars.then_some(&self.exemplars);
        Point::Histogram {
            buckets: &scratch.buckets,
            sum,
            exemplars: exemplars.and_then(Option::as_deref),
            native: None,
        }
    }
}

impl HistogramFn for Series<Histogram> {
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
