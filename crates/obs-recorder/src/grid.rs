//! Where a histogram with native buckets counts a value.
//!
//! The bounds of native buckets are 2^(k/8), schema 3 of <https://prometheus.io/docs/specs/native_histograms/>. Those that a family
//! declares lie anywhere between. A *cell* ends at each bound of either sort, so that a native bucket and a declared one are both
//! sums of whole cells, and one addition serves both. The cells of an octave, from a power of two to the next, are a *chunk*.

/// How fine native buckets are: eight to an octave, each 9.06 % wider than the one below.
pub(crate) const SCHEMA: i32 = 3;
const BUCKETS_OF_OCTAVE: i32 = 8;

/// Values not farther from 0 than 2^-128 are in the zero bucket, as in Prometheus' own client. They are a chunk.
pub(crate) const ZERO_THRESHOLD: f64 = f64::from_bits(FIRST << FRACTION_BITS);

const SIGN_BIT: u32 = 63;
const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;
/// What a float adds to its exponent.
const BIAS: i32 = 1023;
/// The exponent, as a float has it, of the first octave above the zero bucket.
const FIRST: u64 = 1023 - 128;
/// The octaves up to the greatest float.
const OCTAVES: u64 = 2047 - FIRST;

/// Which chunk: an octave by the exponent that a float has it with, and the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChunkKey(u16);

impl ChunkKey {
    /// The chunk of the zero bucket.
    pub(crate) const ZERO: Self = Self(0);
    const NEGATIVE: u16 = 1 << 11;

    #[inline]
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) fn is_negative(self) -> bool {
        self.0 & Self::NEGATIVE != 0
    }

    fn octave(self) -> u16 {
        self.0 & (Self::NEGATIVE - 1)
    }

    /// Chunks in the order of their values.
    pub(crate) fn order(self) -> i32 {
        let octave = i32::from(self.octave());
        if self.is_negative() { -octave } else { octave }
    }

    /// The index of the first native bucket in it.
    fn first_index(self) -> i32 {
        (i32::from(self.octave()) - BIAS) * BUCKETS_OF_OCTAVE + 1
    }
}

/// The fractions of the native bounds within an octave, as Prometheus and its clients have them: they compare with these floats.
const NATIVE: [u64; 7] = {
    // Of 2^(k/8) / 2, which has the same fraction.
    let halves = [
        0.545_253_866_332_628_8_f64,
        0.594_603_557_501_360_5,
        0.648_419_777_325_504_8,
        0.707_106_781_186_547_5,
        0.771_105_412_703_970_4,
        0.840_896_415_253_714_4,
        0.917_004_043_204_671_1,
    ];
    let mut fractions = [0; 7];
    let mut at = 0;
    while at < fractions.len() {
        fractions[at] = halves[at].to_bits() & FRACTION;
        at += 1;
    }
    fractions
};

/// A sixteenth of an octave, which holds one native bound at most.
#[derive(Clone, Copy)]
struct Step {
    /// How many bounds lie below it.
    below: u8,
    /// The one in it; none is above every fraction.
    bound: u64,
}

const STEP_BITS: u32 = 4;

const STEPS: [Step; 1 << STEP_BITS] = {
    let mut steps = [Step {
        below: 0,
        bound: u64::MAX,
    }; 1 << STEP_BITS];
    let mut step = 0;
    while step < steps.len() {
        let mut at = 0;
        while at < NATIVE.len() {
            let of_bound = (NATIVE[at] >> (FRACTION_BITS - STEP_BITS)) as usize;
            if of_bound < step {
                steps[step].below += 1;
            } else if of_bound == step {
                steps[step].bound = NATIVE[at];
            }
            at += 1;
        }
        step += 1;
    }
    steps
};

/// The bounds of a family, in the chunks that they split.
#[derive(Debug)]
pub(crate) struct Grid {
    bounds: &'static [f64],
    /// Of what is above 0, and of what is below.
    sides: [Side; 2],
    /// The declared bounds within the zero bucket, but for its upper end.
    zero: Box<[f64]>,
}

/// Declared bounds that split cells of native buckets, by the least fractions of what lies beyond them.
#[derive(Debug)]
struct Side {
    /// The first octave that has any.
    first: u64,
    /// The least of each octave from there on, or [`NO_SPLIT`]: so mostly one comparison will do, whatever the value.
    splits: Box<[u64]>,
    /// The others with their octaves, in this order.
    more: Box<[(u64, u64)]>,
}

/// A fraction that no value has.
const NO_SPLIT: u64 = u64::MAX;

impl Side {
    /// Of octaves and fractions.
    fn of(mut all: Vec<(u64, u64)>) -> Self {
        all.sort_unstable();
        let first = all.first().map_or(0, |(octave, _)| *octave);
        let mut side = Self {
            first,
            splits: Box::default(),
            more: Box::default(),
        };
        let (mut splits, mut more) = (Vec::new(), Vec::new());
        for (octave, fraction) in all {
            let at = usize::try_from(octave - first).unwrap_or_default();
            if at < splits.len() {
                more.push((octave, fraction));
            } else {
                splits.resize(at, NO_SPLIT);
                splits.push(fraction);
            }
        }
        (side.splits, side.more) = (splits.into(), more.into());
        side
    }

    /// The least split of an octave.
    #[inline]
    fn least(&self, octave: u64) -> u64 {
        let at = usize::try_from(octave.wrapping_sub(self.first));
        let least = at.ok().and_then(|at| self.splits.get(at));
        least.copied().unwrap_or(NO_SPLIT)
    }

    /// How many of the others lie below a fraction. Apart, so that families without any carry none of it.
    #[inline(never)]
    fn more_passed(&self, octave: u64, fraction: u64) -> usize {
        let passed = |split: &u64| fraction >= *split;
        self.more(octave).filter(passed).count()
    }

    /// The others.
    fn more(&self, octave: u64) -> impl Iterator<Item = u64> {
        let of_octave = self.more.iter().filter(move |(of, _)| *of == octave);
        of_octave.map(|(_, fraction)| *fraction)
    }
}

/// What a cell counts for.
pub(crate) struct CellOf {
    /// The native bucket; none for the zero bucket.
    pub(crate) index: Option<i32>,
    /// The declared bucket.
    pub(crate) bucket: usize,
    /// How many values it holds.
    pub(crate) held: u64,
}

impl Grid {
    /// The grid of a family with these bounds, which are finite and rise.
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for bound in bounds {
            if *bound > ZERO_THRESHOLD {
                // A value that is the bound is within it.
                above.extend(split(bound.to_bits()));
            } else if *bound < -ZERO_THRESHOLD {
                // One that is the bound, and what is farther from 0, is within it.
                below.extend(split(bound.abs().to_bits() - 1));
            }
        }
        let within_zero = |bound: &f64| (-ZERO_THRESHOLD..ZERO_THRESHOLD).contains(bound);
        Self {
            bounds,
            sides: [above, below].map(Side::of),
            zero: bounds.iter().copied().filter(within_zero).collect(),
        }
    }

    /// The declared bounds.
    pub(crate) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// The chunk of a finite value, and its cell there.
    ///
    /// Bounds are upper ones, and the values up to one that is a power of two belong to the octave below it: so all is told from
    /// the float's bits less one. The first bits of the fraction say which bound may lie ahead, and one comparison decides.
    #[inline]
    pub(crate) fn locate(&self, value: f64) -> (ChunkKey, usize) {
        let bits = value.to_bits();
        // Of 0 it is greater than any.
        let magnitude = (bits & !(1 << SIGN_BIT)).wrapping_sub(1);
        let octave = magnitude >> FRACTION_BITS;
        if octave.wrapping_sub(FIRST) >= OCTAVES {
            return (ChunkKey::ZERO, self.cell_of_zero(value));
        }
        let fraction = magnitude & FRACTION;
        let step = STEPS[(fraction >> (FRACTION_BITS - STEP_BITS)) as usize];
        let mut cell = usize::from(step.below) + usize::from(fraction >= step.bound);
        let sign = (bits >> SIGN_BIT) as usize;
        let side = &self.sides[sign];
        cell += usize::from(fraction >= side.least(octave));
        if !side.more.is_empty() {
            cell += side.more_passed(octave, fraction);
        }
        #[expect(clippy::cast_possible_truncation, reason = "12 bits")]
        let key = (octave as u16) | (sign as u16) << 11;
        (ChunkKey(key), cell)
    }

    #[cold]
    fn cell_of_zero(&self, value: f64) -> usize {
        self.zero.iter().filter(|bound| value > **bound).count()
    }

    /// How many cells a chunk has.
    pub(crate) fn cells(&self, key: ChunkKey) -> usize {
        if key == ChunkKey::ZERO {
            self.zero.len() + 1
        } else {
            NATIVE.len() + 1 + self.splits(key).count()
        }
    }

    fn splits(&self, key: ChunkKey) -> impl Iterator<Item = u64> {
        let (side, octave) = (
            &self.sides[usize::from(key.is_negative())],
            key.octave().into(),
        );
        let least = Some(side.least(octave)).filter(|split| *split != NO_SPLIT);
        least.into_iter().chain(side.more(octave))
    }

    /// The declared bucket of a value.
    pub(crate) fn bucket_of(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| value > *bound)
    }

    /// What the cells of a chunk count for that hold anything, in the order of their distance from 0.
    #[inline]
    pub(crate) fn each_held(&self, key: ChunkKey, cells: &[u64], mut show: impl FnMut(CellOf)) {
        let held = || cells.iter().enumerate().filter(|(_, held)| **held != 0);
        if key == ChunkKey::ZERO {
            for (cell, held) in held() {
                let end = self.zero.get(cell).copied().unwrap_or(ZERO_THRESHOLD);
                show(CellOf {
                    index: None,
                    bucket: self.bucket_of(end),
                    held: *held,
                });
            }
            return;
        }
        let octave = u64::from(key.octave()) << FRACTION_BITS;
        let sign = u64::from(key.is_negative()) << SIGN_BIT;
        let value = |end: u64| f64::from_bits(sign | (octave + end));
        let native = |at: usize| NATIVE.get(at).copied().unwrap_or(1 << FRACTION_BITS);
        let first = key.first_index();
        let mut splits = self.splits(key).peekable();
        if splits.peek().is_none() {
            // It lies within one declared bucket, as most octaves do.
            let bucket = self.bucket_of(value(1 << (FRACTION_BITS - 1)));
            for (index, held) in (first..).zip(cells) {
                if *held != 0 {
                    show(CellOf {
                        index: Some(index),
                        bucket,
                        held: *held,
                    });
                }
            }
            return;
        }
        let mut passed = 0;
        let mut index = first;
        for held in cells {
            let of = index;
            // The farthest value of a cell, whose bits less one are below its end.
            let end = splits.next_if(|split| *split < native(passed));
            let end = end.unwrap_or_else(|| {
                passed += 1;
                index += 1;
                native(passed - 1)
            });
            if *held != 0 {
                show(CellOf {
                    index: Some(of),
                    bucket: self.bucket_of(value(end)),
                    held: *held,
                });
            }
        }
    }
}

/// The octave and the fraction from which on values lie beyond a bound, whose bits are given. None where an octave begins there.
fn split(bits: u64) -> Option<(u64, u64)> {
    let fraction = bits & FRACTION;
    (fraction != 0).then_some((bits >> FRACTION_BITS, fraction))
}

#[cfg(test)]
mod tests {
    use obs_core::buckets;
    use proptest::prelude::*;

    use super::*;

    /// The native index of a value by what the specification says, and by the comparisons of Prometheus' client.
    fn expected(value: f64) -> Option<i32> {
        let magnitude = value.abs();
        if magnitude <= 2_f64.powi(-128) {
            return None;
        }
        let (mut half, mut exponent) = (magnitude, 0);
        while half < 0.5 {
            half *= 2.0;
            exponent -= 1;
        }
        while half >= 1.0 {
            half /= 2.0;
            exponent += 1;
        }
        let bounds = NATIVE.map(|fraction| f64::from_bits((1022 << FRACTION_BITS) | fraction));
        let of_half = [0.5]
            .into_iter()
            .chain(bounds)
            .filter(|bound| half > *bound);
        let of_half = i32::try_from(of_half.count()).unwrap();
        Some(of_half + (exponent - 1) * BUCKETS_OF_OCTAVE)
    }

    /// What a value counts for.
    fn found(grid: &Grid, value: f64) -> (bool, Option<i32>, usize) {
        let (key, at) = grid.locate(value);
        let (mut of, mut cells) = (Vec::new(), vec![0; grid.cells(key)]);
        cells[at] = 1;
        grid.each_held(key, &cells, |cell| {
            of.push((key.is_negative(), cell.index, cell.bucket));
        });
        assert_eq!(of.len(), 1);
        of[0]
    }

    fn assert_right(grid: &Grid, value: f64) {
        let index = expected(value);
        let bucket = grid.bounds().iter().filter(|bound| value > **bound).count();
        let is_negative = value < 0.0 && index.is_some();
        assert_eq!(
            found(grid, value),
            (is_negative, index, bucket),
            "{value:e}"
        );
    }

    const EXOTIC: &[f64] = &[
        -f64::MAX,
        -1e300,
        -4.0,
        -1.000_000_000_000_000_2,
        -1.0,
        -0.707_106_781_186_547_5,
        -2.938_735_877_055_719e-39,
        -1e-40,
        0.0,
        5e-324,
        2.938_735_877_055_719e-39,
        2.938_735_877_055_72e-39,
        0.545_253_866_332_628_8,
        1.0,
        1.001,
        1.002,
        1.003,
        1.189_207_115_002_721,
        1024.0,
        f64::MAX,
    ];

    const FAMILIES: [&[f64]; 6] = [
        &[],
        buckets::LATENCY,
        buckets::ORDER_TIME,
        buckets::SHARE,
        buckets::SIGNED_BPS,
        EXOTIC,
    ];

    #[test]
    fn bounds_and_their_neighbours_are_where_they_belong() {
        for bounds in FAMILIES {
            let grid = Grid::new(bounds);
            // Those beyond are alike.
            let powers = || {
                (-130..70)
                    .chain(1020..1024)
                    .map(|exponent| 2_f64.powi(exponent))
            };
            let native = powers().flat_map(|power| {
                NATIVE.map(|fraction| power * f64::from_bits((1023 << FRACTION_BITS) | fraction))
            });
            let extremes = [
                0.0,
                f64::MIN_POSITIVE,
                5e-324,
                1.0,
                f64::MAX,
                ZERO_THRESHOLD,
            ];
            let all = native.chain(powers()).chain(extremes);
            for value in all.chain(bounds.iter().copied()) {
                for near in [value.next_down(), value, value.next_up()] {
                    for value in [near, -near].into_iter().filter(|value| value.is_finite()) {
                        assert_right(&grid, value);
                    }
                }
            }
        }
    }

    /// What `tests/servers/native-histogram` has printed: every bound from 2^-30 to 2^22, both floats beside it, and their negatives.
    #[test]
    fn bounds_and_their_neighbours_are_where_the_client_of_prometheus_has_them() {
        let printed = include_str!("../tests/native_bounds.txt");
        assert_eq!(printed.lines().count(), (52 * 8 + 1) * 6);
        for grid in FAMILIES.map(Grid::new) {
            for line in printed.lines() {
                let (bits, index) = line.split_once(' ').unwrap();
                let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
                let (is_negative, found, _) = found(&grid, value);
                assert_eq!(found, Some(index.parse().unwrap()), "{value:e}");
                assert_eq!(is_negative, value < 0.0);
            }
        }
    }

    #[test]
    fn no_native_bucket_is_wider_than_a_tenth() {
        let mut bounds = vec![1.0];
        bounds.extend(NATIVE.map(|fraction| f64::from_bits((1023 << FRACTION_BITS) | fraction)));
        bounds.push(2.0);
        assert!(bounds.windows(2).all(|pair| pair[1] / pair[0] < 1.090_6));
        assert_eq!(ZERO_THRESHOLD.to_bits(), 2_f64.powi(-128).to_bits());
    }

    proptest! {
        #[test]
        fn any_number_is_where_it_belongs(bits in any::<u64>(), near in -1e4_f64..1e4) {
            for bounds in FAMILIES {
                let grid = Grid::new(bounds);
                for value in [f64::from_bits(bits), near, near.recip()] {
                    if value.is_finite() {
                        assert_right(&grid, value);
                    }
                }
            }
        }
    }
}
