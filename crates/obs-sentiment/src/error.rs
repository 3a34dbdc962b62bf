//! What can go wrong.

use std::fmt;

use crate::Refusal;

/// A reading that was refused, or a configuration that cannot be used.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum SentimentError {
    /// A provider's reading was refused and counted; the aggregation goes on without it.
    #[error(
        "the reading of `{provider}` was refused ({reason}): score {score} must be in -1..=1, weight {weight} finite and \
         not negative, confidence {confidence} in 0..=1, one reading for each provider"
    )]
    Refused {
        /// Whose reading it is.
        provider: String,
        /// What is wrong with it.
        reason: Refusal,
        /// The score it gave.
        score: f64,
        /// The weight it was given.
        weight: f64,
        /// How sure it is.
        confidence: f64,
    },
    /// A reading came from a provider that was not listed; it was refused and counted.
    #[error("no provider `{0}` was listed; name it where the `Sentiment` is made")]
    Unlisted(String),
    /// The share to trim leaves nothing, or is not a number.
    #[error(
        "cannot trim {0} of the weight at each end: give a share of at least 0 and less than 0.5"
    )]
    TrimShare(f64),
    /// A threshold can never, or always, be crossed.
    #[error("{name} cannot be {value}: give a number {accepts}")]
    Threshold {
        /// Which threshold.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it accepts.
        accepts: &'static str,
    },
}

impl fmt::Debug for SentimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}
