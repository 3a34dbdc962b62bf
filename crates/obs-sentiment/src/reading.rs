//! What a provider says.

use crate::Refusal;

/// A provider's score, what it weighs, and how sure the provider is of it.
///
/// ```
/// use obs_sentiment::Reading;
///
/// let plain = Reading::new(0.4);
/// assert_eq!((plain.weight, plain.confidence), (1.0, 1.0));
/// let reading = Reading::new(0.4).weight(2.0).confidence(0.5);
/// assert_eq!(reading.effective_weight(), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// From -1, as bad as can be, to 1, as good as can be.
    pub score: f64,
    /// What the score weighs against the others'; finite and not negative.
    pub weight: f64,
    /// How sure the provider is, from 0 to 1.
    pub confidence: f64,
}

impl Reading {
    /// A score of weight 1 that is certain.
    #[must_use]
    pub const fn new(score: f64) -> Self {
        Self {
            score,
            weight: 1.0,
            confidence: 1.0,
        }
    }

    /// The same with another weight.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The same with another confidence.
    #[must_use]
    pub const fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// What the score counts in the aggregate: weight × confidence.
    #[must_use]
    pub fn effective_weight(&self) -> f64 {
        self.weight * self.confidence
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<Refusal> {
        if self.score.is_nan() {
            Some(Refusal::ScoreUndefined)
        } else if !(-1.0..=1.0).contains(&self.score) {
            Some(Refusal::ScoreOutOfRange)
        } else if !(self.weight.is_finite() && self.weight >= 0.0) {
            Some(Refusal::Weight)
        } else if !(0.0..=1.0).contains(&self.confidence) {
            Some(Refusal::Confidence)
        } else {
            None
        }
    }
}

impl From<f64> for Reading {
    fn from(score: f64) -> Self {
        Self::new(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_inside_it() {
        for score in [-1.0, 0.0, 1.0] {
            assert_eq!(Reading::new(score).fault(), None);
            assert_eq!(
                Reading::new(score).weight(0.0).confidence(0.0).fault(),
                None
            );
        }
    }

    #[test]
    fn what_lies_outside_is_named() {
        let above = f64::from_bits(1.0_f64.to_bits() + 1);
        for score in [above, -above, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Reading::new(score).fault(), Some(Refusal::ScoreOutOfRange));
        }
        assert_eq!(
            Reading::new(f64::NAN).fault(),
            Some(Refusal::ScoreUndefined)
        );
        for weight in [-0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                Reading::new(0.0).weight(weight).fault(),
                Some(Refusal::Weight)
            );
        }
        for confidence in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let reading = Reading::new(0.0).confidence(confidence);
            assert_eq!(reading.fault(), Some(Refusal::Confidence));
        }
    }
}
