//! Sums that lose nothing over millions of terms.

use serde::{Deserialize, Serialize};

/// A running sum in two numbers, the sum and what rounding took from it, so that its relative error stays near that of one
/// addition however many terms it has (T. Dekker, 1971; D. Knuth, The Art of Computer Programming 2, 4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        let (high, lost) = two_sum(self.high, term);
        let (high, low) = two_sum(high, self.low + lost);
        *self = Self { high, low };
    }

    pub(crate) fn value(self) -> f64 {
        self.high
    }

    /// What a number is above this sum.
    pub(crate) fn distance_to(self, number: f64) -> f64 {
        (number - self.high) - self.low
    }
}

/// The sum as it is rounded, and what rounding took, exactly.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_rounded = sum - a;
    let a_rounded = sum - b_rounded;
    (sum, (a - a_rounded) + (b - b_rounded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_beside_large_ones() {
        let mut sum = Sum::default();
        sum.add(1e16);
        for _ in 0..1_000 {
            sum.add(0.1);
        }
        sum.add(-1e16);
        assert!((sum.value() - 100.0).abs() < 1e-9, "{}", sum.value());
    }
}
