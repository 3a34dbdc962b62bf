//! Where a histogram with native buckets counts a value.
//!
//! The bounds of native buckets are 2^(k/8), schema 3 of <https://prometheus.io/docs/specs/native_histograms/>. Those that a family
//! declares lie anywhere between. A *cell* ends at each bound of either sort, so that a native bucket and a declared one are both
//! sums of whole cells, and one addition serves both. The cells of an octave, from a power of two to the next, are a *chunk*.

/// Values not farther from 0 than 2^-128 are in the zero bucket, as in Prometheus' own client. They are a chunk.
pub const ZERO_THRESHOLD: f64 = f64::from_bits((FIRST as u64) << FRACTION_BITS);

/// The bits of a float that are no sign and no exponent.
pub const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;
/// The others.
const ABOVE_FRACTION: u32 = u64::BITS - FRACTION_BITS;
/// The exponent, as a float has it, of the first octave above the zero bucket.
const FIRST: u16 = 1023 - 128;
/// The octaves up to the greatest float.
const OCTAVES: u16 = 2047 - FIRST;

/// Which chunk: an octave by the exponent that a float has it with, the sign, and whether it is one that is not found by its values alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey(u16);

impl ChunkKey {
    /// The chunk of the zero bucket.
    pub const ZERO: Self = Self(Self::RARE);
    const NEGATIVE: u16 = 1 << 11;
    /// Several declared bounds lie in it, or it is that of the zero bucket.
    const RARE: u16 = 1 << 15;

    /// The octave of a finite value, and its fraction there, in the first bits.
    ///
    /// Bounds are upper ones, and the values up to one that is a power of two belong to the octave below it: octave
    /// and fraction are therefore read from the float's bits less one. Of 0 the exponent is then one that no finite value has.
    #[inline]
    pub(super) fn of(value: f64) -> (Self, u64) {
        let bits = value.to_bits().wrapping_sub(1);
        let key = (bits >> FRACTION_BITS) as u16;
        (Self(key), bits << ABOVE_FRACTION)
    }

    /// Whether its values lie below 0.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 & Self::NEGATIVE != 0
    }

    /// The exponent that a float has it with; 0 for that of the zero bucket.
    #[must_use]
    pub fn octave(self) -> u16 {
        self.0 & (Self::NEGATIVE - 1)
    }

    fn is_above_zero_bucket(self) -> bool {
        self.octave().wrapping_sub(FIRST) < OCTAVES
    }

    /// One of so many places, a power of two, so that neighbours have different ones and the two sides of 0 do, too.
    #[inline]
    pub(super) fn place<const PLACES: usize>(self) -> usize {
        let sign = usize::from(self.0 >> 11);
        (usize::from(self.0) ^ (sign * PLACES / 2)) % PLACES
    }
}

/// The fractions of the native bounds within an octave, as Prometheus and its clients have them: they compare with these floats.
pub const NATIVE: [u64; 7] = {
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
    below: usize,
    /// The one in it, in the first bits; none is above every fraction.
    bound: u64,
}

const STEP_BITS: u32 = 4;

static STEPS: [Step; 1 << STEP_BITS] = {
    let mut steps = [Step {
        below: 0,
        bound: NO_SPLIT,
    }; 1 << STEP_BITS];
    let mut step = 0;
    while step < steps.len() {
        let mut at = 0;
        while at < NATIVE.len() {
            let bound = NATIVE[at] << ABOVE_FRACTION;
            let of_bound = (bound >> (u64::BITS - STEP_BITS)) as usize;
            if of_bound < step {
                steps[step].below += 1;
            } else if of_bound == step {
                steps[step].bound = bound;
            }
            at += 1;
        }
        step += 1;
    }
    steps
};

/// How many native bounds of an octave lie below a fraction. The first bits say which may lie ahead, and one comparison decides.
#[inline]
fn native_passed(fraction: u64) -> usize {
    let step = &STEPS[(fraction >> (u64::BITS - STEP_BITS)) as usize];
    step.below + usize::from(fraction >= step.bound)
}

/// A fraction that no value has.
const NO_SPLIT: u64 = u64::MAX;

/// The cell of a fraction in an octave that one declared bound splits at most.
#[inline]
pub(super) fn cell_of(fraction: u64, split: u64) -> usize {
    native_passed(fraction) + usize::from(fraction >= split)
}

/// The bounds of a family, in the chunks that they split.
#[derive(Clone, Debug)]
pub struct Grid {
    bounds: &'static [f64],
    /// Declared bounds that split cells of native buckets: the octave, and the least fraction of what lies beyond, in its first bits, in
    /// this order.
    splits: Box<[(ChunkKey, u64)]>,
    /// The declared bounds within the zero bucket, but for its upper end.
    zero: Box<[f64]>,
}

impl Grid {
    /// The grid of a family with these bounds, which are finite and rise.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let beyond = |bound: &f64| {
            let least = if *bound > ZERO_THRESHOLD {
                // A value that is the bound is within it.
                bound.next_up()
            } else if *bound < -ZERO_THRESHOLD {
                // So is one below 0, and what is farther from 0.
                *bound
            } else {
                return None;
            };
            let (key, fraction) = ChunkKey::of(least);
            // Where an octave begins, none is split.
            (fraction != 0).then_some((key, fraction))
        };
        let mut splits: Vec<_> = bounds.iter().filter_map(beyond).collect();
        splits.sort_unstable();
        let within_zero = |bound: &f64| (-ZERO_THRESHOLD..ZERO_THRESHOLD).contains(bound);
        Self {
            bounds,
            splits: splits.into(),
            zero: bounds.iter().copied().filter(within_zero).collect(),
        }
    }

    /// The declared bounds.
    #[must_use]
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Those within the zero bucket, but for its upper end.
    #[must_use]
    pub fn within_zero(&self) -> &[f64] {
        &self.zero
    }

    /// The chunk of a finite value, and its cell there.
    #[must_use]
    pub fn locate(&self, value: f64) -> (ChunkKey, usize) {
        let (key, fraction) = ChunkKey::of(value);
        if !key.is_above_zero_bucket() {
            let passed = self.zero.iter().filter(|bound| value > **bound);
            return (ChunkKey::ZERO, passed.count());
        }
        let passed = self.splits_in(key).filter(|split| fraction >= *split);
        let cell = native_passed(fraction) + passed.count();
        (self.marked(key), cell)
    }

    /// The key of an octave, with whether it is found by its values alone.
    fn marked(&self, octave: ChunkKey) -> ChunkKey {
        let is_rare = self.splits_in(octave).nth(1).is_some();
        let rare = if is_rare { ChunkKey::RARE } else { 0 };
        ChunkKey(octave.0 | rare)
    }

    /// The chunks of the declared range: on either side of 0 those from the bound that is nearest to the one that is farthest, and that of
    /// the zero bucket where bounds lie in it or on both sides.
    #[must_use]
    pub fn declared(&self) -> Vec<ChunkKey> {
        let far = self
            .bounds
            .iter()
            .filter(|bound| bound.abs() > ZERO_THRESHOLD);
        let octaves = far.map(|bound| ChunkKey::of(*bound).0);
        let (below, above): (Vec<_>, Vec<_>) = octaves.partition(|octave| octave.is_negative());
        let range = |side: &[ChunkKey]| {
            let (first, last) = (side.iter().min()?, side.iter().max()?);
            Some(first.0..=last.0)
        };
        let ranges = range(&below).into_iter().chain(range(&above));
        let octaves = ranges.flatten().map(ChunkKey);
        let mut chunks: Vec<_> = octaves.map(|octave| self.marked(octave)).collect();
        let has_near = self
            .bounds
            .iter()
            .any(|bound| bound.abs() <= ZERO_THRESHOLD);
        if has_near || !(below.is_empty() || above.is_empty()) {
            chunks.push(ChunkKey::ZERO);
        }
        chunks
    }

    /// How many cells a chunk has.
    #[must_use]
    pub fn cells(&self, key: ChunkKey) -> usize {
        if key == ChunkKey::ZERO {
            self.zero.len() + 1
        } else {
            NATIVE.len() + 1 + self.splits_in(key).count()
        }
    }

    /// The fractions from which on values lie beyond a declared bound of a chunk.
    pub fn splits(&self, key: ChunkKey) -> impl Iterator<Item = u64> {
        self.splits_in(key).map(|split| split >> ABOVE_FRACTION)
    }

    /// The same in the first bits.
    fn splits_in(&self, key: ChunkKey) -> impl Iterator<Item = u64> {
        let key = ChunkKey(key.0 & !ChunkKey::RARE);
        let from = self.splits.partition_point(|(of, _)| *of < key);
        let of_key = self.splits[from..]
            .iter()
            .take_while(move |(of, _)| *of == key);
        of_key.map(|(_, fraction)| *fraction)
    }

    /// That of a chunk which has one at most.
    pub(super) fn split(&self, key: ChunkKey) -> u64 {
        self.splits_in(key).next().unwrap_or(NO_SPLIT)
    }
}
