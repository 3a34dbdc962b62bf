//! The buckets of one native histogram: each bound is the one before times 2^(2^-schema), and a bucket is there once a value is.
//!
//! After <https://prometheus.io/docs/specs/native_histograms/>.

use std::collections::BTreeMap;

/// Values that are counted, not kept.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    /// How fine the buckets are.
    pub(super) schema: i32,
    /// Values within [`ZERO_THRESHOLD`](Self::ZERO_THRESHOLD) of 0.
    pub(super) zeroes: u64,
    /// By index: that of a value's bucket is the least whose bound is not below it.
    pub(super) positive: BTreeMap<i32, u64>,
    /// The same of values below 0, by their distance from it.
    pub(super) negative: BTreeMap<i32, u64>,
    pub(super) sum: f64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            schema: Self::FINEST_SCHEMA,
            zeroes: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
            sum: 0.0,
        }
    }
}

impl Buckets {
    /// As Prometheus' own client has it by default: 2^-128.
    pub(super) const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;
    /// A bound is less than a tenth above the one before.
    const FINEST_SCHEMA: i32 = 3;
    /// The coarsest that there is: a factor of 65,536.
    const COARSEST_SCHEMA: i32 = -4;
    /// With more than so many they become coarser.
    const MOST: usize = 160;

    /// Counts a value. What is infinite or not a number has no bucket and is dropped.
    pub(super) fn add(&mut self, value: f64, count: u64) {
        if !value.is_finite() || count == 0 {
            return;
        }
        self.sum += value * count as f64;
        if value.abs() <= Self::ZERO_THRESHOLD {
            self.zeroes += count;
            return;
        }
        let index = index(value.abs(), self.schema);
        let side = if value > 0.0 {
            &mut self.positive
        } else {
            &mut self.negative
        };
        *side.entry(index).or_default() += count;
        while self.positive.len() + self.negative.len() > Self::MOST
            && self.schema > Self::COARSEST_SCHEMA
        {
            self.schema -= 1;
            coarsen(&mut self.positive);
            coarsen(&mut self.negative);
        }
    }

    /// How many values were counted.
    pub(super) fn count(&self) -> u64 {
        let sides = self.positive.values().chain(self.negative.values());
        self.zeroes + sides.sum::<u64>()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a finite number's logarithm is within 1100, and is not multiplied by more than 8"
)]
fn index(value: f64, schema: i32) -> i32 {
    (value.log2() * f64::from(schema).exp2()).ceil() as i32
}

/// Puts two buckets into one: the bounds of the coarser schema are every second one of the finer.
fn coarsen(side: &mut BTreeMap<i32, u64>) {
    for (index, count) in std::mem::take(side) {
        *side.entry((index + 1).div_euclid(2)).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(index: i32, schema: i32) -> f64 {
        (f64::from(index) * f64::from(-schema).exp2()).exp2()
    }

    #[test]
    fn bounds_are_powers_of_two_and_what_divides_them() {
        for (value, schema, expected) in [
            (1.0, 3, 0),
            (2.0, 3, 8),
            (0.5, 3, -8),
            (1.05, 3, 1),
            (1.1, 3, 2),
            (0.95, 3, 0),
            (1024.0, 0, 10),
            (1025.0, 0, 11),
            (3.0, -1, 1),
            (5.0, -1, 2),
            (f64::MAX, 3, 8192),
        ] {
            assert_eq!(index(value, schema), expected, "{value} in {schema}");
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_between_the_bounds_of_its_bucket(value in 1e-30_f64..1e30, schema in -4..=3) {
            let index = index(value, schema);
            // Bounds are computed, and so may miss by a little.
            prop_assert!(value <= bound(index, schema) * (1.0 + 1e-9));
            prop_assert!(value >= bound(index - 1, schema) * (1.0 - 1e-9));
        }

        #[test]
        fn nothing_is_lost_when_they_become_coarser(values in prop::collection::vec(-1e30_f64..1e30, 0..600)) {
            let mut buckets = Buckets::default();
            for value in &values {
                buckets.add(*value, 1);
                buckets.add(value.recip(), 1);
            }
            let finite = values.iter().filter(|value| value.recip().is_finite()).count();
            prop_assert_eq!(buckets.count(), (values.len() + finite) as u64);
            prop_assert!(buckets.positive.len() + buckets.negative.len() <= Buckets::MOST);
            // Each is where it would be had they been that coarse from the start.
            let mut at_once = Buckets { schema: buckets.schema, ..Buckets::default() };
            for value in &values {
                at_once.add(*value, 1);
                at_once.add(value.recip(), 1);
            }
            prop_assert_eq!(at_once.positive, buckets.positive);
            prop_assert_eq!(at_once.negative, buckets.negative);
        }
    }

    #[test]
    fn what_is_near_0_is_there_and_what_is_no_number_nowhere() {
        let mut buckets = Buckets::default();
        for value in [0.0, -0.0, 1e-40, f64::NAN, f64::INFINITY] {
            buckets.add(value, 2);
        }
        assert_eq!((buckets.zeroes, buckets.count()), (6, 6));
        buckets.add(-4.0, 3);
        assert_eq!(buckets.negative, BTreeMap::from([(16, 3)]));
        assert!(buckets.sum <= -12.0);
    }
}
