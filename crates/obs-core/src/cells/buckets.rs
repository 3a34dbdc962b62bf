//! Finding the bucket of a value.

/// The bounds of a histogram, by which the bucket of a value is found without a branch that depends on it: what a program measures comes
/// in no order, and a search that guesses takes three times as long.
///
/// The first bits of a float say in which eighth of an octave it lies, and a table how many bounds lie below that; what lies in it
/// is compared. Where a bound is 0 or less, or they lie too far apart for a table, all are compared.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Infinite ones are behind them until there are whole fours: so many are compared at once, and any that are left over would be one by
    /// one.
    bounds: Box<[f64]>,
    /// How many bounds lie below each step, from the first bound's to one behind the last's; nothing where all are compared.
    below: Box<[u16]>,
    /// The step of the first bound.
    first: i64,
    /// How many bounds a step has at most.
    in_step: u16,
}

/// What is left of a float's bits is its sign, its exponent and three bits of its fraction.
const STEP_BITS: u32 = f64::MANTISSA_DIGITS - 1 - 3;

/// The longest table: 64 octaves.
const MOST_STEPS: usize = 512;

/// The most bounds that are compared faster than a search takes to guess.
const FEW: usize = 28;

/// In which step a value lies. Of values above 0, greater ones are never in a step before; all others are before those.
#[inline]
fn step_of(value: f64) -> i64 {
    value.to_bits().cast_signed() >> STEP_BITS
}

impl Buckets {
    /// Of bounds that are finite and rise.
    #[must_use]
    pub fn new(bounds: &[f64]) -> Self {
        let mut fours = bounds.to_vec();
        fours.resize((bounds.len() + 1).next_multiple_of(4), f64::INFINITY);
        let buckets = Self {
            bounds: fours.into(),
            ..Self::default()
        };
        buckets.with_table(bounds).unwrap_or(buckets)
    }

    /// The same with a table, if there can be one.
    fn with_table(&self, bounds: &[f64]) -> Option<Self> {
        let (first, last) = (*bounds.first()?, *bounds.last()?);
        if first <= 0.0 {
            return None;
        }
        let steps = step_of(first)..=step_of(last) + 1;
        let length = usize::try_from(steps.end() - steps.start()).ok()?;
        if length > MOST_STEPS {
            return None;
        }
        let below = |step| {
            bounds
                .iter()
                .filter(|bound| step_of(**bound) < step)
                .count()
        };
        let below: Option<Box<[u16]>> = steps.map(|step| u16::try_from(below(step)).ok()).collect();
        let below = below?;
        Some(Self {
            bounds: self.bounds.clone(),
            in_step: below.windows(2).map(|two| two[1] - two[0]).max()?,
            below,
            first: step_of(first),
        })
    }

    /// How many buckets there are, the one behind all bounds included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bounds.partition_point(|bound| bound.is_finite()) + 1
    }

    /// The bucket of a value: the first whose bound is not below it, or the one behind all.
    #[must_use]
    #[inline]
    pub fn of(&self, value: f64) -> usize {
        self.by_table(value).unwrap_or_else(|| self.compared(value))
    }

    /// The same where there is a table.
    #[inline]
    pub(crate) fn by_table(&self, value: f64) -> Option<usize> {
        let last = self.below.len().checked_sub(1)?;
        // What lies before the first step is as if in it.
        let step = usize::try_from(step_of(value) - self.first).unwrap_or(0);
        let mut bucket = usize::from(self.below[step.min(last)]);
        bucket += usize::from(value > self.bounds[bucket]);
        for _ in 1..self.in_step {
            bucket += usize::from(value > self.bounds[bucket]);
        }
        Some(bucket)
    }

    /// The same where there is none. Apart, so that a search by the table carries none of it.
    #[inline(never)]
    pub(crate) fn compared(&self, value: f64) -> usize {
        let is_above = |bound: &f64| value > *bound;
        if self.bounds.len() <= FEW {
            self.bounds
                .iter()
                .map(|bound| usize::from(is_above(bound)))
                .sum()
        } else {
            self.bounds.partition_point(is_above)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets;

    /// Wherever bounds lie, values at and beside each of them, and far away, are in the first bucket whose bound is not below them.
    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_is_not_below_it() {
        let close: Vec<_> = (1..400).map(|n| 1.0 + f64::from(n) / 400.0).collect();
        let few: Vec<_> = (-3..8).map(f64::from).collect();
        let many: Vec<_> = (-3..80).map(f64::from).collect();
        let with_table: [&[f64]; 8] = [
            buckets::LATENCY,
            buckets::ORDER_TIME,
            buckets::BYTES,
            &[1.0],
            &[0.9, 0.95, 0.99, 0.999, 1.0],
            &[f64::MIN_POSITIVE, 2.0 * f64::MIN_POSITIVE],
            &[5e-324, 1e-320],
            &close,
        ];
        let without: [&[f64]; 5] = [&[], &few, &many, &[0.0, 1.0], &[1e-300, 1e300]];
        for bounds in with_table.into_iter().chain(without) {
            let found = Buckets::new(bounds);
            let has_table = with_table.contains(&bounds);
            assert_eq!(!found.below.is_empty(), has_table, "{bounds:?}");
            assert_eq!(found.count(), bounds.len() + 1);
            let beside = |bound: &f64| [bound.next_down(), *bound, bound.next_up(), bound * 1.06];
            let far = [0.0, -0.0, 5e-324, f64::MAX, f64::INFINITY, -1.5, f64::MIN];
            for value in bounds.iter().flat_map(beside).chain(far) {
                let expected = bounds.iter().filter(|bound| value > **bound).count();
                let expected = expected.min(bounds.len());
                let bucket = found.of(value).min(bounds.len());
                assert_eq!(bucket, expected, "{value:e} in {bounds:?}");
            }
        }
    }
}
