//! Aggregation of sentiment scores under measurement: how long it takes, who takes part and with what weight, how scores
//! are distributed, and where they diverge.
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
//! Who computes the score by other means ends with [`Aggregation::finish_with`]; the [`Aggregator`]s are for those who
//! have none.
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
//! Every aggregation counts once, and is timed, however it ended. Only one that came to its end says who took part, who
//! was missing, and what each weighed.
//!
//! **Weights** are weight × confidence. Their shares add up to 1 over the listed providers; a provider that did not take
//! part has a share of 0. Where nobody weighed anything every share is undefined (`NaN`), not 0.
//!
//! **Refused** is what is no score from -1 to 1, no weight, no confidence from 0 to 1, or the second reading of a
//! provider. It moves `sentiment_provider_refused_total` alone, and the aggregation goes on without it. So a `NaN` never
//! reaches a sum.
//!
//! **Divergences** have no thresholds but those you state, and count once for each aggregation.

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
