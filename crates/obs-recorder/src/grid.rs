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

/// Declared bounds that split cells of native buckets.
#[derive(Debug, Default)]
struct Side {
    /// The first octave that has any.
    first: u64,
    /// Where those of each octave from there on begin, and where the last ones end.
    starts: Box<[u16]>,
    /// The least fractions of what lies beyond them.
    splits: Box<[u64]>,
}

impl Side {
    /// Of octaves and fractions, in this order and each once.
    fn of(mut splits: Vec<(u64, u64)>) -> Self {
        splits.sort_unstable();
        splits.dedup();
        let (Some((first, _)), Some((last, _))) = (splits.first(), splits.last()) else {
            return Self::default();
        };
        let starts = (*first..=last + 1).map(|octave| {
            let before = splits.partition_point(|(of, _)| *of < octave);
            u16::try_from(before).unwrap_or(u16::MAX)
        });
        Self {
            first: *first,
            starts: starts.collect(),
            splits: splits.iter().map(|(_, fraction)| *fraction).collect(),
        }
    }

    #[inline]
    fn splits(&self, octave: u64) -> &[u64] {
        let at = usize::try_from(octave.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        match self.starts.get(at..) {
            Some([start, end, ..]) => &self.splits[usize::from(*start)..usize::from(*end)],
            _ => &[],
        }
    }
}

/// What a chunk's cells count for.
pub(crate) struct CellOf {
    /// The native bucket; none for the zero bucket.
    pub(crate) index: Option<i32>,
    /// The declared bucket.
    pub(crate) bucket: usize,
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
            sides: [Side::of(above), Side::of(below)],
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
        for split in self.sides[sign].splits(octave) {
            cell += usize::from(fraction >= *split);
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
            NATIVE.len() + 1 + self.splits(key).len()
        }
    }

    fn splits(&self, key: ChunkKey) -> &[u64] {
        self.sides[usize::from(key.is_negative())].splits(key.octave().into())
    }

    /// The declared bucket of a value.
    pub(crate) fn bucket_of(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| value > *bound)
    }

    /// What the cells of a chunk count for, in the order of their distance from 0.
    pub(crate) fn each_cell(&self, key: ChunkKey, mut show: impl FnMut(usize, CellOf)) {
        if key == ChunkKey::ZERO {
            let bounds = self.zero.iter().copied().chain([ZERO_THRESHOLD]);
            for (cell, end) in bounds.enumerate() {
                let bucket = self.bucket_of(end);
                show(
                    cell,
                    CellOf {
                        index: None,
                        bucket,
                    },
                );
            }
            return;
        }
        let (mut native, mut splits) = (0, self.splits(key).iter().copied().peekable());
        let octave = u64::from(key.octave()) << FRACTION_BITS;
        let sign = u64::from(key.is_negative()) << SIGN_BIT;
        let first = key.first_index();
        // Most octaves lie within one declared bucket.
        let alone = splits
            .peek()
            .is_none()
            .then(|| self.bucket_of(f64::from_bits(sign | (octave + (1 << (FRACTION_BITS - 1))))));
        for cell in 0.. {
            let index = first + native;
            let of_native = usize::try_from(native).ok().and_then(|at| NATIVE.get(at));
            let of_native = of_native.copied().unwrap_or(1 << FRACTION_BITS);
            let end = match splits.peek() {
                Some(split) if *split < of_native => {
                    let split = *split;
                    splits.next();
                    split
                }
                _ => {
                    native += 1;
                    of_native
                }
            };
            // The farthest value of a cell, whose bits less one are below its end.
            let farthest = f64::from_bits(sign | (octave + end));
            let bucket = alone.unwrap_or_else(|| self.bucket_of(farthest));
            let index = Some(index);
            show(cell, CellOf { index, bucket });
            if end == 1 << FRACTION_BITS {
                return;
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
        let (mut of, mut cells) = (None, 0);
        grid.each_cell(key, |cell, counts| {
            assert_eq!(cell, cells);
            cells += 1;
            if cell == at {
                of = Some((key.is_negative(), counts.index, counts.bucket));
            }
        });
        assert_eq!(cells, grid.cells(key));
        of.unwrap()
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
