//! The families of an aggregation.

use obs_core::{By, Counter, Gauge, Group, Histogram, buckets};

use crate::{AggregationOutcome, Divergence, ProviderName, Refusal};

/// Scores from -1 to 1, in steps of a fifth, with the ends and the middle told apart.
pub(crate) const SCORE_BUCKETS: &[f64] = &[
    -0.95, -0.8, -0.6, -0.4, -0.2, -0.05, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0,
];

/// Seconds of an aggregation: a microsecond for pure computation, seconds where providers are asked inside of it.
const CALCULATION_BUCKETS: &[f64] = &[
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_5,
    0.001,
    0.01,
    0.1,
    1.0,
    10.0,
];

const SENTIMENT: Group = Group::new("Sentiment").rank(Group::LIBRARY + 60);

obs_core::families! {
    group SENTIMENT;

    /// Aggregations of sentiment.
    pub struct SentimentMetrics {
        /// Time from the start of an aggregation to its end, however it ended.
        pub calculation: Histogram = "sentiment_calculation_duration_seconds" { buckets: CALCULATION_BUCKETS },
        /// Aggregations, by how they ended.
        pub aggregations: By<AggregationOutcome, Counter> = "sentiment_aggregations_total",
        /// Aggregated scores, from -1 to 1.
        pub score: Histogram = "sentiment_score" { buckets: SCORE_BUCKETS, range: -1.0..=1.0 },
        /// Aggregations in which something diverged by more than its threshold.
        pub divergences: By<Divergence, Counter> = "sentiment_divergences_total",
        /// Readings that were refused because no provider of that name was listed.
        pub unlisted: Counter = "sentiment_readings_unlisted_total",
    }
}

obs_core::families! {
    group SENTIMENT;

    /// One provider's part in aggregations.
    pub struct SentimentProviderMetrics(provider: ProviderName) {
        /// Aggregations in which the provider's score took part with some weight.
        pub usage: Counter = "sentiment_provider_usage_total",
        /// The provider's scores, from -1 to 1, that were not refused.
        pub score: Histogram = "sentiment_provider_score" { buckets: SCORE_BUCKETS, range: -1.0..=1.0 },
        /// How sure the provider was of the scores that were not refused.
        pub confidence: Histogram = "sentiment_provider_confidence_ratio" {
            buckets: buckets::SHARE,
            range: 0.0..=1.0,
        },
        /// The provider's share of the weight in the last aggregation that came to its end.
        ///
        /// The shares of all providers add up to 1; undefined where there was no weight.
        pub weight: Gauge = "sentiment_provider_weight_ratio",
        /// Aggregations that ended without a score of this provider, though it is expected.
        pub missing: Counter = "sentiment_provider_missing_total",
        /// Readings of the provider that were refused.
        pub refused: By<Refusal, Counter> = "sentiment_provider_refused_total",
    }
}
