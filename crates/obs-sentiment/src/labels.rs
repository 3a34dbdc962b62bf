//! The labels of an aggregation.

obs_core::label! {
    /// Who gives a score, such as `twitter` or `news`.
    pub open ProviderName as "provider" up to 30
}

obs_core::label! {
    /// How an aggregation ended.
    pub enum AggregationOutcome as "outcome" {
        /// Every expected provider took part.
        Ok = "ok",
        /// There is a score, but an expected provider gave none, was refused, or had no weight.
        Partial = "partial",
        /// There is no score: no provider took part, their weights add up to nothing, or the score lies outside -1..=1.
        Undefined = "undefined",
        /// It was given up because of an error.
        Error = "error",
        /// It was dropped before its end.
        Cancelled = "cancelled",
        /// It panicked.
        Panicked = "panicked",
    }
}

obs_core::label! {
    /// What diverges.
    pub enum Divergence as "kind" {
        /// The highest and the lowest score of one aggregation are far apart.
        BetweenProviders = "between_providers",
        /// The aggregated score points one way and the price goes the other.
        Price = "price",
    }
}

obs_core::label! {
    /// Why a provider's reading was refused.
    pub enum Refusal as "reason" {
        /// The score is not a number.
        ScoreUndefined = "score_undefined",
        /// The score lies outside -1..=1, or is infinite.
        ScoreOutOfRange = "score_out_of_range",
        /// The weight is negative, infinite or not a number.
        Weight = "weight",
        /// The confidence lies outside 0..=1 or is not a number.
        Confidence = "confidence",
        /// The provider has given a score to this aggregation already.
        Duplicate = "duplicate",
    }
}
