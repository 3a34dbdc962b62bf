//! Which of some samples a quantile is.

/// The place of a quantile among `count` samples in ascending order, counted from 0: the nearest rank, that is the least sample at
/// or below which lies at least a share `level` of all. `None` of no samples.
///
/// The quantile is one of the samples, also of few: of two, p90 is the greater one. Formula: ⌈level · count⌉ − 1, as `inverted_cdf`
/// of `NumPy` and type 1 of Hyndman and Fan (*Sample Quantiles in Statistical Packages*, 1996). A level below 0 counts as 0, one
/// above 1 as 1, and 0 is the least sample.
///
/// ```
/// use obs_core::nearest_rank;
///
/// let sorted = [1.0, 10.0];
/// let quantile = |level| nearest_rank(level, 2).map(|rank| sorted[rank as usize]);
/// assert_eq!(quantile(0.5), Some(1.0));
/// assert_eq!(quantile(0.9), Some(10.0));
/// assert_eq!(nearest_rank(0.5, 0), None);
/// ```
#[must_use]
pub fn nearest_rank(level: f64, count: u64) -> Option<u64> {
    let last = count.checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates, and the result is at most the count"
    )]
    let reached = (level * count as f64).ceil() as u64;
    // 0.07 of 100 is a little more than 7 in binary; 7 of 100 is 0.07 nevertheless.
    let is_one_too_many = reached > 0 && (reached - 1) as f64 / count as f64 >= level;
    let reached = reached - u64::from(is_one_too_many);
    Some(reached.saturating_sub(1).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_least_rank_that_reaches_the_level() {
        for count in 1..=1_000_u64 {
            for percent in 0..=100_u64 {
                let rank = nearest_rank(percent as f64 / 100.0, count);
                // In whole numbers: the least number of samples whose share is at least that many hundredths.
                let reached = (percent * count).div_ceil(100).max(1);
                assert_eq!(rank, Some(reached - 1), "{percent} % of {count}");
            }
        }
    }

    #[test]
    fn what_is_no_level_is_the_nearest_one() {
        assert_eq!(nearest_rank(-1.0, 5), Some(0));
        assert_eq!(nearest_rank(f64::NAN, 5), Some(0));
        assert_eq!(nearest_rank(2.0, 5), Some(4));
    }
}
