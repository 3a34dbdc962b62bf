//! Ready ways to make one score of many.

use crate::{Reading, SentimentError};

/// How readings become one score. Every way weighs a reading by weight × confidence, and leaves out what weighs nothing.
///
/// With scores sᵢ and effective weights wᵢ:
///
/// - **weighted mean**: Σ wᵢsᵢ / Σ wᵢ;
/// - **median**: the weighted one: scores in order, the first at which half of the weight is reached, and the middle
///   between it and the next where exactly half is reached;
/// - **trimmed mean**: the weighted mean of what is left after that share of the total weight was cut from each end of the
///   scores in order; the readings at the cuts count with the weight that remains of them.
///
/// The result lies in -1..=1. Nothing that weighs anything means no score, which is not the same as a score of 0.
///
/// ```
/// use obs_sentiment::{Aggregator, Reading};
///
/// let readings = [Reading::new(-0.2), Reading::new(0.1).weight(2.0), Reading::new(0.9)];
/// assert_eq!(Aggregator::Median.aggregate(&readings), Some(0.1));
/// assert!((Aggregator::WeightedMean.aggregate(&readings).unwrap() - 0.225).abs() < 1e-12);
/// assert!((Aggregator::trimmed_mean(0.25)?.aggregate(&readings).unwrap() - 0.1).abs() < 1e-12);
/// assert_eq!(Aggregator::WeightedMean.aggregate(&[]), None);
/// # Ok::<(), obs_sentiment::SentimentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregator {
    /// Σ wᵢsᵢ / Σ wᵢ.
    WeightedMean,
    /// Half of the weight lies below it.
    Median,
    /// The weighted mean without the ends.
    TrimmedMean(TrimShare),
}

/// The share of the weight a trimmed mean leaves out at each end; at least 0 and less than a half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrimShare(f64);

impl Aggregator {
    /// A mean that leaves out `share` of the weight at each end.
    pub fn trimmed_mean(share: f64) -> Result<Self, SentimentError> {
        if (0.0..0.5).contains(&share) {
            Ok(Self::TrimmedMean(TrimShare(share)))
        } else {
            Err(SentimentError::TrimShare(share))
        }
    }

    /// The score of the readings, if anything weighs anything. Readings with a [fault](Reading::fault) are left out.
    #[must_use]
    pub fn aggregate(self, readings: &[Reading]) -> Option<f64> {
        let mut points = points(readings);
        points.sort_by(|a, b| a.score.total_cmp(&b.score));
        let score = match self {
            Self::WeightedMean => mean(&points),
            Self::Median => median(&points),
            Self::TrimmedMean(TrimShare(share)) => mean(&trimmed(&points, share)),
        };
        // Rounding must not carry a mean of ones beyond one.
        score.map(|score| score.clamp(-1.0, 1.0))
    }
}

#[derive(Clone, Copy)]
struct Point {
    score: f64,
    weight: f64,
}

/// What takes part, with weights that add up to 1.
fn points(readings: &[Reading]) -> Vec<Point> {
    let usable = readings.iter().filter(|reading| reading.fault().is_none());
    let weigh = |reading: &&Reading| reading.effective_weight() > 0.0;
    let usable: Vec<_> = usable.filter(weigh).collect();
    let weights: Vec<_> = usable
        .iter()
        .map(|reading| reading.effective_weight())
        .collect();
    let points = usable.iter().zip(shares(&weights));
    points
        .map(|(reading, weight)| Point {
            score: reading.score,
            weight,
        })
        .collect()
}

/// Each weight's share of their sum; all 0 where there is none. By way of the greatest, because the sum itself might be
/// more than a float holds.
pub(crate) fn shares(weights: &[f64]) -> Vec<f64> {
    let greatest = weights.iter().copied().fold(0.0, f64::max);
    if greatest <= 0.0 {
        return vec![0.0; weights.len()];
    }
    let sum: f64 = weights.iter().map(|weight| weight / greatest).sum();
    let share = |weight: &f64| weight / greatest / sum;
    weights.iter().map(share).collect()
}

fn mean(points: &[Point]) -> Option<f64> {
    let weight: f64 = points.iter().map(|point| point.weight).sum();
    let sum: f64 = points.iter().map(|point| point.weight * point.score).sum();
    (weight > 0.0).then(|| sum / weight)
}

/// Rounding leaves sums of shares this far from what they should be.
const TOLERANCE: f64 = 1e-12;

fn median(sorted: &[Point]) -> Option<f64> {
    let mut below = 0.0;
    for (at, point) in sorted.iter().enumerate() {
        below += point.weight;
        if (below - 0.5).abs() <= TOLERANCE {
            let next = sorted.get(at + 1).unwrap_or(point);
            return Some(f64::midpoint(point.score, next.score));
        }
        if below > 0.5 {
            return Some(point.score);
        }
    }
    sorted.last().map(|point| point.score)
}

/// What is left of each point when `share` of the whole weight is cut from both ends.
fn trimmed(sorted: &[Point], share: f64) -> Vec<Point> {
    let (low, high) = (share, 1.0 - share);
    let mut below = 0.0;
    let remains = |point: &Point| {
        let start = below;
        below += point.weight;
        let weight = (below.min(high) - start.max(low)).max(0.0);
        Point { weight, ..*point }
    };
    sorted.iter().map(remains).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1e-12)
    }

    fn readings(pairs: &[(f64, f64)]) -> Vec<Reading> {
        pairs
            .iter()
            .map(|&(score, weight)| Reading::new(score).weight(weight))
            .collect()
    }

    #[test]
    fn means_and_medians_by_hand() {
        let given = readings(&[(0.5, 1.0), (-0.5, 3.0)]);
        assert!(close(Aggregator::WeightedMean.aggregate(&given), -0.25));
        assert!(close(Aggregator::Median.aggregate(&given), -0.5));
        // Exactly half of the weight lies on either side.
        let even = readings(&[(0.5, 1.0), (-0.5, 1.0), (0.7, 1.0), (-0.7, 1.0)]);
        assert!(close(Aggregator::Median.aggregate(&even), 0.0));
        // Ten equal weights less one at each end.
        let ten: Vec<_> = (0..10).map(|n| (f64::from(n) / 10.0, 1.0)).collect();
        let trimmed = Aggregator::trimmed_mean(0.1).unwrap();
        assert!(close(trimmed.aggregate(&readings(&ten)), 0.45));
        // Half of each end's reading is cut.
        let four = readings(&[(-1.0, 1.0), (0.0, 1.0), (0.2, 1.0), (1.0, 1.0)]);
        let trimmed = Aggregator::trimmed_mean(0.125).unwrap();
        assert!(close(
            trimmed.aggregate(&four),
            (-0.5 + 0.0 + 0.2 + 0.5) / 3.0
        ));
    }

    #[test]
    fn nothing_that_weighs_is_no_score() {
        let nothing = [
            Reading::new(0.5).weight(0.0),
            Reading::new(0.5).confidence(0.0),
        ];
        let faulty = [Reading::new(f64::NAN), Reading::new(2.0)];
        let trimmed = Aggregator::trimmed_mean(0.2).unwrap();
        for aggregator in [Aggregator::WeightedMean, Aggregator::Median, trimmed] {
            assert_eq!(aggregator.aggregate(&[]), None);
            assert_eq!(aggregator.aggregate(&nothing), None);
            assert_eq!(aggregator.aggregate(&faulty), None);
        }
    }

    #[test]
    fn enormous_weights_do_not_overflow() {
        let given = readings(&[(0.5, f64::MAX), (-0.5, f64::MAX)]);
        assert!(close(Aggregator::WeightedMean.aggregate(&given), 0.0));
    }

    #[test]
    fn a_share_to_trim_is_less_than_a_half() {
        for share in [-0.1, 0.5, 1.0, f64::NAN, f64::INFINITY] {
            let error = Aggregator::trimmed_mean(share).unwrap_err();
            assert!(error.to_string().contains("less than 0.5"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_way_stays_between_the_lowest_and_the_highest(
            pairs in proptest::collection::vec((-1.0..=1.0, 0.01..1e6), 1..20),
            share in 0.0..0.49,
        ) {
            let given = readings(&pairs);
            let low = pairs.iter().map(|p| p.0).fold(1.0, f64::min);
            let high = pairs.iter().map(|p| p.0).fold(-1.0, f64::max);
            let trimmed = Aggregator::trimmed_mean(share).unwrap();
            for aggregator in [Aggregator::WeightedMean, Aggregator::Median, trimmed] {
                let score = aggregator.aggregate(&given).unwrap();
                prop_assert!(low - 1e-9 <= score && score <= high + 1e-9, "{aggregator:?}: {score}");
            }
        }

        #[test]
        fn order_and_scale_of_the_weights_do_not_matter(
            pairs in proptest::collection::vec((-1.0..=1.0, 0.01..1e3), 1..20),
            scale in 0.001..1e6,
        ) {
            let mut scaled: Vec<_> = pairs.iter().map(|&(score, weight)| (score, weight * scale)).collect();
            scaled.reverse();
            let one = Aggregator::WeightedMean.aggregate(&readings(&pairs)).unwrap();
            let other = Aggregator::WeightedMean.aggregate(&readings(&scaled)).unwrap();
            prop_assert!((one - other).abs() < 1e-9);
        }

        #[test]
        fn trimming_nothing_is_the_mean(
            pairs in proptest::collection::vec((-1.0..=1.0, 0.01..1e3), 1..20),
        ) {
            let given = readings(&pairs);
            let mean = Aggregator::WeightedMean.aggregate(&given).unwrap();
            let trimmed = Aggregator::trimmed_mean(0.0).unwrap().aggregate(&given).unwrap();
            prop_assert!((mean - trimmed).abs() < 1e-9);
        }
    }
}
