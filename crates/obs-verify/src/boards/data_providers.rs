//! Data from outside, asked for.

use crate::dashboard::{Dashboard, Row, Scope, lines, row, stat, switches, table};

use super::{since, until};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "data-providers".to_owned(),
        title: "Data providers".to_owned(),
        description: "Whether market data, sentiment and options flow arrive: fast, fresh, and within their rate limits.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            availability(),
            calls(),
            freshness(),
            limits(),
            caches().folded(),
            retries().folded(),
        ],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Providers up", "The share of providers that are taken to be available, each as the desk that is worst off has it.")
            .ask("avg(min by (provider) (provider_up{@}))", "")
            .below(1.0, 0.8)
            .act("ProviderDown"),
        stat("Failed calls", "The share of calls that failed within the time shown.")
            .ask("sum(increase(provider_errors_total{@}[$__range])) / sum(increase(provider_requests_total{@}[$__range]))", "")
            .above(0.02, 0.1)
            .act("ProviderErrorsHigh"),
        stat("Slowest", "19 of 20 calls to the slowest provider end within this time.")
            .ask("max(provider:provider_request_duration_seconds:p95_5m{@})", "")
            .above(1.0, 2.0)
            .act("ProviderSlow"),
        stat("Stalest", "Open market time since the dataset that is furthest behind was updated.")
            .ask("max(provider_data_session_age_seconds{@})", "")
            .above(300.0, 900.0)
            .act("ProviderDataStale"),
        stat("Fewest calls left", "What the tightest rate limit still allows.")
            .ask("min(provider_rate_limit_remaining{@})", "")
            .below(50.0, 10.0)
            .act("ProviderRateLimitNear, ProviderRateLimited"),
        stat("Served from cache", "The share of lookups that a cache answered with fresh data within the time shown.")
            .ask(r#"sum(increase(provider_cache_requests_total{@, result="hit"}[$__range])) / sum(increase(provider_cache_requests_total{@}[$__range]))"#, ""),
    ])
}

fn availability() -> Row {
    row("Availability", [
        switches("Available", "When each provider was taken to be available.")
            .ask("min by (provider) (provider_up{@})", "{{provider}}"),
        table("Uptime", "The share of the last day, the time lost within the time shown, and what the probes say.")
            .ask("min by (provider) (provider:provider_up:avg_over_time1d{@})", "last day")
            .ask("sum by (provider) (increase(provider_unavailable_seconds_total{@}[$__range]))", "time lost")
            .ask(r#"sum by (provider) (increase(provider_probes_total{@, outcome="error"}[$__range]))"#, "probes failed")
            .ask(&since("max by (provider) (provider_last_heard_timestamp_seconds{@})"), "last heard")
            .least("last day"),
    ])
}

fn calls() -> Row {
    row("Calls", [
        lines("Calls by provider", "Calls a second.")
            .ask("sum by (provider) (rate(provider_requests_total{@}[$__rate_interval]))", "{{provider}}"),
        lines("Failures", "Failed calls a second, by what went wrong.")
            .ask("topk(10, sum by (provider, error_type) (rate(provider_errors_total{@}[$__rate_interval])))", "{{provider}} {{error_type}}"),
        lines("Whole calls", "19 of 20 calls end within this time, with their body; the ten slowest endpoints.")
            .ask("topk(10, histogram_quantile(0.95, sum by (provider, endpoint, le) (rate(provider_request_duration_seconds_bucket{@}[$__rate_interval]))))", "{{provider}} {{endpoint}}")
            .above(1.0, 2.0)
            .act("ProviderSlow"),
        lines("First word", "19 of 20 responses begin within this time; what is between it and the whole call is the download.")
            .ask("topk(10, histogram_quantile(0.95, sum by (provider, endpoint, le) (rate(provider_request_headers_duration_seconds_bucket{@}[$__rate_interval]))))", "{{provider}} {{endpoint}}"),
    ])
}

fn freshness() -> Row {
    row("Freshness", [
        table("Datasets", "The time that markets were open since the last update of each dataset, the oldest first, within what time one is expected, and how long ago the last one was. The last is left out of a replay, whose time is not that of the clock.")
            .ask("max by (provider, dataset) (provider_data_session_age_seconds{@})", "market time")
            .ask("max by (provider, dataset) (provider_data_expected_seconds{@})", "expected within")
            .ask(&since("max by (provider, dataset) (provider_data_updated_timestamp_seconds{@})"), "updated"),
        lines("Age in market time", "Open market time since each dataset was updated.")
            .ask("max by (provider, dataset) (provider_data_session_age_seconds{@})", "{{provider}} {{dataset}}"),
    ])
}

fn limits() -> Row {
    row("Rate limits", [
        lines("Calls left", "What each provider still allows in its present window, as it last said.")
            .ask("min by (provider) (provider_rate_limit_remaining{@})", "{{provider}}")
            .below(50.0, 10.0)
            .act("ProviderRateLimitNear"),
        lines("Used of what is allowed", "The share of each limit that is used in its present window.")
            .ask("max by (provider, limit) (provider_rate_limit_used{@} / provider_rate_limit_allowed{@})", "{{provider}} {{limit}}")
            .above(0.8, 0.9)
            .act("ProviderRateLimitNear"),
        lines("Refused", "Calls a second that were refused because they were too many.")
            .ask("sum by (provider) (rate(provider_rate_limit_hits_total{@}[$__rate_interval]))", "{{provider}}"),
        table("Until the limit is renewed", "Time until each provider allows calls again, as it last said; 0 when that is past.")
            .ask(&until("max by (provider) (provider_rate_limit_reset_timestamp_seconds{@})"), "renewed in"),
    ])
}

fn caches() -> Row {
    row("Caches", [
        lines("Hits", "The share of lookups that caches answered with fresh data.")
            .ask("min by (provider) (provider:provider_cache_hits:ratio_rate5m{@})", "{{provider}}"),
        lines("Age as served", "Half of what caches served was younger than this.")
            .ask("histogram_quantile(0.5, sum by (provider, dataset, le) (rate(provider_data_age_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{dataset}}"),
        lines("Loading", "19 of 20 loads of what a cache did not have end within this time.")
            .ask("histogram_quantile(0.95, sum by (provider, le) (rate(provider_cache_load_duration_seconds_bucket{@}[$__rate_interval])))", "{{provider}}"),
    ])
}

fn retries() -> Row {
    row("Retries and errors", [
        lines("Attempts and retries", "Attempts and repeated attempts a second, where they are measured apart from calls.")
            .ask("sum by (provider) (rate(provider_attempts_total{@}[$__rate_interval]))", "{{provider}} attempts")
            .ask("sum by (provider) (rate(provider_retries_total{@}[$__rate_interval]))", "{{provider}} retries"),
        lines("Under way", "Calls that have begun and not ended. A rise without end is a provider that hangs.")
            .ask("sum by (provider) (provider_requests_in_flight{@})", "{{provider}}"),
        lines("Cache errors", "Operations of caches a second that failed.")
            .ask("sum by (provider) (rate(provider_cache_errors_total{@}[$__rate_interval]))", "{{provider}}"),
    ])
}
