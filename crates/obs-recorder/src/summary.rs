//! Summaries: quantiles over a window that slides, in bounded memory however much is recorded and however seldom it is read.
//!
//! Samples are counted in bins on a logarithmic scale, by a bin's atomic add and nothing else: a float's leading bits are its
//! bin. Upkeep and scrapes move the counts into the window's chunks. This is the sketch of `DDSketch` (relative error, fixed
//! bins), as atomics: the kept libraries of it need a lock or a queue that grows until somebody reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use metrics::HistogramFn;
use obs_core::{Family, Kind, nearest_rank};

use crate::cell::{
    Cells, InFile, Store, Words, add_float_owned, add_float_shared, add_owned, add_shared,
};
use crate::engine::Settings;
use crate::filed::Number;
use crate::lock;
use crate::metric::Metric;
use crate::point::{Moment, Point, Scratch};
use crate::registry::Series;

/// The quantiles of a summary that no catalogue knows.
const DEFAULT_QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// A summary: exact count and sum, and the samples of the window in bins.
#[derive(Debug)]
pub(crate) struct Summary {
    /// The count and the sum.
    words: Words,
    bins: Bins,
    window: Mutex<Window>,
}

/// What the summaries of a family share.
#[derive(Debug)]
pub(crate) struct Quantiles {
    levels: &'static [f64],
    window: Duration,
}

impl Summary {
    /// Moves what was recorded into the window.
    pub(crate) fn take_in(&self, now: Instant) {
        lock(&self.window).take_in(&self.bins, now);
    }

    /// Adds a finite number so many times.
    fn add(&self, value: f64, count: u64) {
        let by = value * count as f64;
        match self
            .words
            .own()
            .map_or_else(|| self.words.own_or_shared(), Ok)
        {
            Ok(own) => {
                add_owned(own.word(0), count);
                add_float_owned(own.word(1), by);
            }
            Err(shared) => {
                add_shared(shared.word(0), count);
                add_float_shared(shared.word(1), by);
            }
        }
        self.bins.add(value, count);
    }

    fn sum(&self, highest: usize) -> f64 {
        let lanes = self.words.lanes(highest);
        lanes
            .map(|lane| f64::from_bits(lane.word(1).load(Relaxed)))
            .sum()
    }
}

impl Metric for Summary {
    const KIND: Kind = Kind::Summary;
    const IS_READ: bool = true;
    type Shape = Quantiles;

    fn shape(_: &str, declared: Option<&'static Family>, settings: &Settings) -> Quantiles {
        Quantiles {
            levels: declared.map_or(DEFAULT_QUANTILES, Family::quantile_levels),
            window: settings.quantile_window,
        }
    }

    fn new(shape: &Quantiles, store: &Store) -> Self {
        Self {
            words: store.take(2),
            bins: Bins::default(),
            window: Mutex::new(Window::new(shape.window)),
        }
    }

    fn levels(shape: &Quantiles) -> &'static [f64] {
        shape.levels
    }

    fn filed(&self) -> Option<InFile> {
        Some(self.words.in_file())
    }

    fn hide_in_file(&self, number: Number, mark: u64) {
        number.hidden(vec![mark, lock(&self.window).forgotten.to_bits()]);
    }

    fn make_ready(series: &Series<Self>) {
        let _ = series.metric.words.own_or_shared();
    }

    fn dismantle(self, store: &Store) {
        store.give_back(self.words, 2);
    }

    fn pulse(&self, highest: usize) -> u64 {
        self.words.sum(0, highest)
    }

    fn forget(&self, highest: usize) -> u64 {
        let mut window = lock(&self.window);
        window.take_in(&self.bins, Instant::now());
        window.chunks.clear();
        window.forgotten = self.sum(highest);
        self.pulse(highest)
    }

    fn point<'a>(
        &'a self,
        shape: &'a Quantiles,
        _: Cells<'_>,
        mark: u64,
        moment: Moment,
        scratch: &'a mut Scratch,
    ) -> Point<'a> {
        let mut window = lock(&self.window);
        window.take_in(&self.bins, moment.now);
        scratch.quantiles = window.quantiles(shape.levels);
        Point::Summary {
            quantiles: &scratch.quantiles,
            count: self.words.sum(0, moment.highest).wrapping_sub(mark),
            sum: self.sum(moment.highest) - window.forgotten,
        }
    }
}

impl HistogramFn for Series<Summary> {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        // Families of our own check this; those of other code would leave a sum that is no number for ever.
        if !value.is_finite() {
            self.family().reject(count as u64);
        } else if count > 0 {
            self.metric.add(value, count as u64);
        }
    }
}

/// Bits of the fraction that tell bins apart: 128 bins for each power of two, none wider than 1/128 of its lower end. Its
/// middle is within 0.4 % of all that is in it.
const FRACTION: u32 = 7;
const BINS_OF_OCTAVE: usize = 1 << FRACTION;
/// The least power of two that has bins, about 6e-14; smaller samples count as 0.
const LEAST: i32 = -44;
/// Powers of two that have bins, up to about 5e15; greater samples count as that.
const OCTAVES: usize = 96;

/// Where a sample is counted: 0, or one more than the bin, with the sign of the sample.
fn bin_of(value: f64) -> i32 {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = value.abs().to_bits() >> (MANTISSA - FRACTION);
    // The exponent is biased by 1023, and bins are counted from `LEAST`.
    let first = i64::from(1023 + LEAST) << FRACTION;
    let last = i64::try_from(OCTAVES * BINS_OF_OCTAVE).unwrap_or(i64::MAX);
    let bin = i64::try_from(bits).unwrap_or(i64::MAX) - first;
    let bin = i32::try_from((bin + 1).clamp(0, last)).unwrap_or(i32::MAX);
    if value < 0.0 { -bin } else { bin }
}

/// The middle of a bin.
fn middle_of(bin: i32) -> f64 {
    let per_octave = 1 << FRACTION;
    let at = bin.abs() - 1;
    if at < 0 {
        return 0.0;
    }
    let fraction = 1.0 + (f64::from(at % per_octave) + 0.5) / f64::from(per_octave);
    (fraction * 2_f64.powi(LEAST + at / per_octave)).copysign(f64::from(bin))
}

type Octave = OnceLock<Box<[AtomicU32; BINS_OF_OCTAVE]>>;

/// Counts by bin since they were last moved away: for positive samples, negative ones, and those that are 0. An octave takes
/// its memory, 512 bytes, with its first sample.
#[derive(Debug, Default)]
struct Bins {
    positive: OnceLock<Box<[Octave]>>,
    negative: OnceLock<Box<[Octave]>>,
    zero: AtomicU32,
}

impl Bins {
    fn add(&self, value: f64, count: u64) {
        let bin = bin_of(value);
        // Between two upkeeps nothing comes near to this many.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let Some(at) = usize::try_from(bin.unsigned_abs())
            .ok()
            .and_then(|bin| bin.checked_sub(1))
        else {
            self.zero.fetch_add(count, Relaxed);
            return;
        };
        let side = if bin > 0 {
            &self.positive
        } else {
            &self.negative
        };
        let octaves = side.get_or_init(|| (0..OCTAVES).map(|_| Octave::new()).collect());
        let octave = octaves[at / BINS_OF_OCTAVE]
            .get_or_init(|| Box::new([const { AtomicU32::new(0) }; BINS_OF_OCTAVE]));
        octave[at % BINS_OF_OCTAVE].fetch_add(count, Relaxed);
    }

    /// Moves the counts away. What is recorded meanwhile is taken now or the next time.
    fn drain(&self, mut take: impl FnMut(i32, u32)) {
        let mut take_from = |bin: i32, count: &AtomicU32| {
            if count.load(Relaxed) > 0 {
                take(bin, count.swap(0, Relaxed));
            }
        };
        take_from(0, &self.zero);
        for (side, sign) in [(&self.positive, 1), (&self.negative, -1)] {
            let octaves = side.get().into_iter().flat_map(|octaves| octaves.iter());
            for (number, octave) in (0_i32..).zip(octaves) {
                let bins = octave.get().into_iter().flat_map(|bins| bins.iter());
                for (bin, count) in (1_i32..).zip(bins) {
                    take_from(sign * ((number << FRACTION) + bin), count);
                }
            }
        }
    }
}

/// Samples of the recent past, in chunks of which the oldest is dropped as a whole.
#[derive(Debug)]
struct Window {
    length: Duration,
    /// Since when each runs, from the oldest to the newest.
    chunks: VecDeque<(Instant, BTreeMap<i32, u64>)>,
    /// The part of the sum from before the series began anew.
    forgotten: f64,
}

/// Into how many chunks a window is cut: a sample is seen for at least five sixths of its length.
const CHUNKS: u32 = 6;

impl Window {
    fn new(length: Duration) -> Self {
        Self {
            length,
            chunks: VecDeque::new(),
            forgotten: 0.0,
        }
    }

    fn take_in(&mut self, bins: &Bins, now: Instant) {
        let length = self.length;
        self.chunks
            .retain(|(since, _)| now.duration_since(*since) < length);
        bins.drain(|bin, count| {
            let runs = |since: Instant| now.duration_since(since) < length / CHUNKS;
            if !self.chunks.back().is_some_and(|(since, _)| runs(*since)) {
                self.chunks.push_back((now, BTreeMap::new()));
            }
            if let Some((_, chunk)) = self.chunks.back_mut() {
                *chunk.entry(bin).or_default() += u64::from(count);
            }
        });
    }

    /// The quantiles of what is in the window, each of them the middle of the bin of a sample: within 0.4 % of it, or of 0 and
    /// of 5e15 where the sample is smaller or greater than what has bins. Of no samples, they are undefined.
    fn quantiles(&self, levels: &[f64]) -> Vec<f64> {
        let mut all: BTreeMap<i32, u64> = BTreeMap::new();
        for (bin, count) in self.chunks.iter().flat_map(|(_, chunk)| chunk) {
            *all.entry(*bin).or_default() += count;
        }
        let count: u64 = all.values().sum();
        let quantile = |level: &f64| {
            let Some(rank) = nearest_rank(*level, count) else {
                return f64::NAN;
            };
            let mut below = 0;
            let reached = all.iter().find(|(_, count)| {
                below += **count;
                below > rank
            });
            reached.map_or(f64::NAN, |(bin, _)| middle_of(*bin))
        };
        levels.iter().map(quantile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bin_is_near_to_all_that_is_in_it() {
        let mut value = 1e-13;
        while value < 1e15 {
            for value in [value, -value] {
                let middle = middle_of(bin_of(value));
                assert!(
                    (middle - value).abs() <= 0.004 * value.abs(),
                    "{value}: {middle}"
                );
            }
            value *= 1.000_7;
        }
        assert_eq!(
            (bin_of(0.0), bin_of(-0.0), bin_of(5e-324), bin_of(-1e-20)),
            (0, 0, 0, 0)
        );
        assert_eq!(bin_of(f64::MAX), bin_of(1e17));
        assert!(middle_of(bin_of(f64::MIN)) < -4e15);
        assert!(bin_of(1.0) < bin_of(1.01) && bin_of(-1.0) > bin_of(-1.01));
    }

    fn near(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() <= 0.005 * expected.abs())
    }

    #[test]
    fn quantiles_are_those_of_all_samples() {
        let (bins, mut window) = (Bins::default(), Window::new(Duration::from_mins(1)));
        let levels = [0.0, 0.25, 0.5, 0.99, 1.0];
        assert!(
            window
                .quantiles(&levels)
                .iter()
                .all(|quantile| quantile.is_nan())
        );
        (-500_i32..=500).for_each(|sample| bins.add(f64::from(sample), 1));
        window.take_in(&bins, Instant::now());
        let found = window.quantiles(&levels);
        assert!(
            near(&found, &[-500.0, -250.0, 0.0, 490.0, 500.0]),
            "{found:?}"
        );
    }

    #[test]
    fn quantiles_are_near_to_the_exact_ones_however_few_samples_there_are() {
        const LEVELS: [f64; 10] = [0.0, 0.01, 0.05, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];
        // Numbers in no order, of which many are the same; a few of them are negative, or 0.
        let sample = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 22) - 100.0;
        for count in 1..=1_000_u32 {
            let (bins, mut window) = (Bins::default(), Window::new(Duration::from_mins(1)));
            let mut sorted: Vec<f64> = (0..count).map(sample).collect();
            for sample in &sorted {
                bins.add(*sample, 1);
            }
            sorted.sort_by(f64::total_cmp);
            window.take_in(&bins, Instant::now());
            for (level, found) in LEVELS.iter().zip(window.quantiles(&LEVELS)) {
                let share = |rank: &usize| (rank + 1) as f64 / f64::from(count);
                let rank = (0..sorted.len()).find(|rank| share(rank) >= *level);
                let exact = sorted[rank.unwrap()];
                assert!(
                    (found - exact).abs() <= 0.004 * exact.abs(),
                    "{level} of {count}: {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn one_great_sample_does_not_blur_the_small_ones() {
        let (bins, mut window) = (Bins::default(), Window::new(Duration::from_mins(1)));
        bins.add(1e-6, 99);
        bins.add(1e6, 1);
        window.take_in(&bins, Instant::now());
        let found = window.quantiles(&[0.5, 0.9, 1.0]);
        assert!(near(&found, &[1e-6, 1e-6, 1e6]), "{found:?}");
    }

    #[test]
    fn samples_leave_the_window() {
        let (bins, mut window, start) = (
            Bins::default(),
            Window::new(Duration::from_mins(1)),
            Instant::now(),
        );
        let mut median = |record: Option<f64>, second| {
            if let Some(sample) = record {
                bins.add(sample, 1);
            }
            window.take_in(&bins, start + Duration::from_secs(second));
            window.quantiles(&[0.5])[0]
        };
        assert!(near(&[median(Some(1.0), 0)], &[1.0]));
        assert!(near(&[median(Some(0.0), 30)], &[0.0]));
        assert!(near(&[median(None, 59)], &[0.0]));
        assert!(median(None, 90).is_nan());
        assert!(near(&[median(Some(4.0), 1000)], &[4.0]));
    }
}
