//! Sentiment, from its providers to one score.

use crate::dashboard::{Dashboard, Scope, heatmap, lines, row, stat, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "sentiment".to_owned(),
        title: "Sentiment".to_owned(),
        description: "How the scores of the providers become one, and how far they agree.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Aggregations", "Aggregations within the time shown.")
                    .ask("sum(increase(sentiment_aggregations_total{@}[$__range]))", ""),
                stat("Without a score", "The share of aggregations that came to no score.")
                    .ask(r#"sum(increase(sentiment_aggregations_total{@, outcome=~"undefined|error"}[$__range])) / sum(increase(sentiment_aggregations_total{@}[$__range]))"#, "")
                    .above(0.05, 0.2)
                    .act("SentimentUndefined, SentimentProviderMissing"),
                stat("Diverging", "The share of aggregations in which the providers diverged, over half an hour.")
                    .ask("max(service:sentiment_divergences:ratio_rate30m{@})", "")
                    .above(0.3, 0.5)
                    .act("SentimentDivergenceStorm"),
                stat("Time", "19 of 20 aggregations end within this time.")
                    .ask("histogram_quantile(0.95, sum by (le) (rate(sentiment_calculation_duration_seconds_bucket{@}[$__range])))", ""),
            ]),
            row("Scores", [
                heatmap("Aggregated", "How the aggregated scores spread, from -1 to 1.")
                    .spread("sentiment_score{@}"),
                lines("Median by provider", "Half of the scores are lower. Lines that part are providers that disagree.")
                    .ask("histogram_quantile(0.5, sum by (provider, le) (rate(sentiment_provider_score_bucket{@}[$__rate_interval])))", "{{provider}}"),
                lines("Confidence by provider", "The median of how sure each provider was.")
                    .ask("histogram_quantile(0.5, sum by (provider, le) (rate(sentiment_provider_confidence_ratio_bucket{@}[$__rate_interval])))", "{{provider}}"),
            ]),
            row("Providers", [
                lines("Weight", "Each provider's share of the last aggregation. One that nears 100 % decides alone.")
                    .ask("max by (#, provider) (sentiment_provider_weight_ratio{@})", "{{provider}} {{instance}}"),
                table("Part in aggregations", "Within the time shown: how often each provider took part, was missing, and was refused.")
                    .ask("sum by (provider) (increase(sentiment_provider_usage_total{@}[$__range]))", "took part")
                    .ask("sum by (provider) (increase(sentiment_provider_missing_total{@}[$__range]))", "missing")
                    .ask("sum by (provider) (increase(sentiment_provider_refused_total{@}[$__range]))", "refused")
                    .most("missing"),
            ]),
            row("Aggregation", [
                lines("Divergences", "Divergences a second, between providers and from the price.")
                    .ask("sum by (kind) (rate(sentiment_divergences_total{@}[$__rate_interval]))", "{{kind}}"),
                lines("How they end", "Aggregations a second, by how they ended.")
                    .ask("sum by (outcome) (rate(sentiment_aggregations_total{@}[$__rate_interval]))", "{{outcome}}"),
                lines("Readings of unlisted providers", "Readings a second that were refused because their provider is not listed: a name is spelled two ways.")
                    .ask("sum by (service) (rate(sentiment_readings_unlisted_total{@}[$__rate_interval]))", "{{service}}"),
            ]),
        ],
    }
}
