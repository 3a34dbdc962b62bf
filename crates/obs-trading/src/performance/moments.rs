//! Mean and variance of a stream, without keeping it.

use serde::{Deserialize, Serialize};

use super::sum::Sum;

/// Count, mean and squared deviations of the numbers seen.
///
/// `mean += (x − mean) / n` and `m2 += (x − mean before) · (x − mean after)` (B. P. Welford, 1962), with both held as
/// compensated sums: a plain mean of 1e9 stops moving once a step is smaller than its last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    count: u64,
    mean: Sum,
    m2: Sum,
}

impl Moments {
    pub(crate) fn push(&mut self, number: f64) {
        self.count += 1;
        let before = self.mean.distance_to(number);
        self.mean.add(before / self.count as f64);
        self.m2.add(before * self.mean.distance_to(number));
    }

    /// Those of the same numbers, each with this added.
    pub(crate) fn shifted(mut self, by: f64) -> Self {
        if self.count > 0 {
            self.mean.add(by);
        }
        self
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean.value()
    }

    /// `√(Σ (x − mean)² / (n − ddof))`; not a number unless `n > ddof`.
    pub(crate) fn deviation(&self, ddof: u64) -> f64 {
        let degrees = self.count.saturating_sub(ddof);
        // Rounding may leave a sum of squares a hair below zero.
        (self.m2.value().max(0.0) / degrees as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance::random::Random;

    /// Ten million numbers around 1e9, against sums in whole numbers, which are exact.
    #[test]
    fn ten_million_numbers_around_a_billion() {
        const N: i64 = 10_000_000;
        let (mut random, mut moments) = (Random::new(1), Moments::default());
        let (mut sum, mut squares) = (0_i128, 0_i128);
        for _ in 0..N {
            let step = i64::try_from(random.below(2_001)).unwrap() - 1_000;
            moments.push((1_000_000_000 + step) as f64);
            sum += i128::from(step);
            squares += i128::from(step * step);
        }
        let n = N as f64;
        let mean = 1e9 + sum as f64 / n;
        let deviation = ((squares as f64 - sum as f64 * sum as f64 / n) / (n - 1.0)).sqrt();
        assert!((moments.mean() / mean - 1.0).abs() < 1e-15);
        assert!((moments.deviation(1) / deviation - 1.0).abs() < 1e-12);
    }

    /// The hardest order: a first number far from all others.
    #[test]
    fn a_stray_first_number_costs_no_accuracy() {
        let mut moments = Moments::default();
        moments.push(0.0);
        for k in 0..100_000_u32 {
            moments.push(1e9 + f64::from(k % 2));
        }
        let n = 100_001.0_f64;
        let deviation = (1e9_f64 + 0.5) / n.sqrt();
        assert!((moments.deviation(1) / deviation - 1.0).abs() < 1e-9);
        assert_eq!(moments.count(), 100_001);
    }

    #[test]
    fn a_shift_moves_the_mean_only() {
        let (mut plain, mut moved) = (Moments::default(), Moments::default());
        for number in [0.01, -0.02, 0.005] {
            plain.push(number);
            moved.push(number - 0.001);
        }
        let shifted = plain.shifted(-0.001);
        assert!((shifted.mean() / moved.mean() - 1.0).abs() < 1e-14);
        assert!((shifted.deviation(1) / moved.deviation(1) - 1.0).abs() < 1e-14);
        assert_eq!(Moments::default().shifted(1.0), Moments::default());
    }
}
