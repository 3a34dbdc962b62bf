//! Aggregates sentiment scores and measures it: how long it takes, which providers take part with what weight, how scores are
//! distributed, and where they diverge.
//!
//! ```
//! use obs_sentiment::{AggregationOutcome, Aggregator, Divergence, Reading, Sentiment};
//!
//! // Start-up, after the exporter was installed: every series of every provider exists.
//! let sentiment = Sentiment::new(["twitter", "reddit", "news"])
//!     .diverges_between_providers(0.8)?
//!     .diverges_from_price(0.3, 0.01)?;
//!
//! // Whenever a symbol's sentiment is wanted.
//! let mut aggregation = sentiment.aggregate();
//! aggregation.score("twitter", Reading::new(0.9).weight(2.0).confidence(0.5))?;
//! aggregation.score("reddit", 0.0)?;
//! // Nothing came from the news today.
//! aggregation.price_change(-0.02);
//! let aggregate = aggregation.finish(Aggregator::WeightedMean);
//!
//! assert_eq!(aggregate.score, Some(0.45));
//! assert_eq!(aggregate.outcome, AggregationOutcome::Partial);
//! assert_eq!(aggregate.divergences, [Divergence::BetweenProviders, Divergence::Price]);
//! # Ok::<(), obs_sentiment::SentimentError>(())
//! ```
//!
//! To compute the score by other means, end with [`Aggregation::finish_with`] instead of an [`Aggregator`].
//!
//! # What counts as what
//!
//! | happens | counts as |
//! |---|---|
//! | every listed provider gave a score that weighs something | `ok` |
//! | there is a score, but some provider was missing, refused, or weighed nothing | `partial` |
//! | no provider weighed anything, or `finish_with` was given what is no score | `undefined`, and no sample in `sentiment_score` |
//! | [`fail`](Aggregation::fail) | `error` |
//! | the aggregation was dropped | `cancelled`, or `panicked` |
//!
//! Every aggregation is counted and timed once, however it ends. Only a finished one records which providers took part, which were
//! missing, and the weight of each.
//!
//! **Weights** are weight × confidence. Their shares add up to 1 over the listed providers; a provider that did not take part has a
//! share of 0. If all weights are 0, every share is undefined (`NaN`), not 0.
//!
//! **Refused** is a score outside -1 to 1, an invalid weight, a confidence outside 0 to 1, or a second reading of one provider. It is
//! counted in `sentiment_provider_refused_total` only, and the aggregation continues without it, so a `NaN` never reaches a sum.
//!
//! **Divergences** have only the thresholds you set, and are counted once per aggregation.
//!
//! # Features
//!
//! - `serde`: labels through serde.

mod aggregation;
mod aggregator;
mod error;
mod labels;
mod metrics;
mod reading;
mod sentiment;

use obs_core::Catalogue;

pub use crate::aggregation::{Aggregate, Aggregation};
pub use crate::aggregator::{Aggregator, TrimShare};
pub use crate::error::SentimentError;
pub use crate::labels::{AggregationOutcome, Divergence, ProviderName, Refusal};
pub use crate::metrics::{SentimentMetrics, SentimentProviderMetrics};
pub use crate::reading::Reading;
pub use crate::sentiment::Sentiment;

/// Every family of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        SentimentMetrics::FAMILIES,
        SentimentProviderMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
