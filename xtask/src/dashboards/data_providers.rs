//! Data from outside.

use obs_verify::dashboard::{Dashboard, Row, Scope, lines, row, stat, switches, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "data-providers".to_owned(),
        title: "Data providers".to_owned(),
        description: "Whether market data, sentiment and options flow arrive: fast, fresh, and within their rate limits.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Providers up", "The share of providers that are taken to be available.")
                    .ask("avg(provider_up{@})", "")
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
            ]),
            row("Availability", [
                switches("Available", "When each provider was taken to be available.")
                    .ask("min by (provider) (provider_up{@})", "{{provider}}"),
                table("Uptime", "The share of the last day, the time lost within the time shown, and what the probes say.")
                    .ask("avg by (provider) (provider:provider_up:avg_over_time1d{@})", "last day")
                    .ask("sum by (provider) (increase(provider_unavailable_seconds_total{@}[$__range]))", "time lost")
                    .ask(r#"sum by (provider) (increase(provider_probes_total{@, outcome="error"}[$__range]))"#, "probes failed")
                    .ask("time() - max by (provider) (provider_last_heard_timestamp_seconds{@})", "last heard"),
            ]),
            row("Calls", [
                lines("Calls by provider", "Calls a second.")
                    .ask("sum by (provider) (provider:provider_requests:rate5m{@})", "{{provider}}"),
                lines("Failures", "Failed calls a second, by what went wrong.")
                    .ask("topk(10, sum by (provider, error_type) (rate(provider_errors_total{@}[$__rate_interval])))", "{{provider}} {{error_type}}"),
                lines("Under way", "Calls that have begun and not ended. A rise without end is a provider that hangs.")
                    .ask("sum by (provider) (provider_requests_in_flight{@})", "{{provider}}"),
                lines("Attempts and retries", "Attempts and repeated attempts a second, where they are measured apart from calls.")
                    .ask("sum by (provider) (rate(provider_attempts_total{@}[$__rate_interval]))", "{{provider}} attempts")
                    .ask("sum by (provider) (rate(provider_retries_total{@}[$__rate_interval]))", "{{provider}} retries"),
            ]),
            row("Response time", [
                lines("Whole calls", "19 of 20 calls end within this time, with their body; the ten slowest endpoints.")
                    .ask("topk(10, histogram_quantile(0.95, sum by (provider, endpoint, le) (rate(provider_request_duration_seconds_bucket{@}[$__rate_interval]))))", "{{provider}} {{endpoint}}")
                    .above(1.0, 2.0)
                    .act("ProviderSlow"),
                lines("First word", "19 of 20 responses begin within this time; what is between it and the whole call is the download.")
                    .ask("topk(10, histogram_quantile(0.95, sum by (provider, endpoint, le) (rate(provider_request_headers_duration_seconds_bucket{@}[$__rate_interval]))))", "{{provider}} {{endpoint}}"),
            ]),
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
                lines("Until the limit is renewed", "Time until each provider allows calls again, as it last said.")
                    .ask("max by (provider) (provider_rate_limit_reset_timestamp_seconds{@}) - time()", "{{provider}}"),
            ]),
            row("Cache and freshness", [
                lines("Hits", "The share of lookups that caches answered with fresh data.")
                    .ask("provider:provider_cache_hits:ratio_rate5m{@}", "{{provider}}"),
                lines("Age as served", "Half of what caches served was younger than this.")
                    .ask("histogram_quantile(0.5, sum by (provider, dataset, le) (rate(provider_data_age_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{dataset}}"),
                lines("Since the last update", "By the clock, and by the time markets were open.")
                    .ask("time() - max by (provider, dataset) (provider_data_updated_timestamp_seconds{@})", "{{provider}} {{dataset}}")
                    .ask("max by (provider, dataset) (provider_data_session_age_seconds{@})", "{{provider}} {{dataset}}, market open")
                    .ask("max by (provider, dataset) (provider_data_expected_seconds{@})", "{{provider}} {{dataset}}, expected within"),
                lines("Loading and cache errors", "19 of 20 loads of what a cache did not have end within this time.")
                    .ask("histogram_quantile(0.95, sum by (provider, le) (rate(provider_cache_load_duration_seconds_bucket{@}[$__rate_interval])))", "{{provider}}"),
            ]),
            feeds(),
            connections(),
            clocks(),
        ],
    }
}

/// What comes by itself.
fn feeds() -> Row {
    row("Feeds", [
                switches("Connected and speaking", "When each feed was connected and spoke as often as is expected of it.")
                    .ask("min by (provider, feed) (feed_up{@})", "{{provider}} {{feed}}"),
                lines("Messages", "Messages a second, by what they carry.")
                    .ask("sum by (provider, feed, channel) (rate(feed_messages_total{@}[$__rate_interval]))", "{{provider}} {{feed}} {{channel}}"),
                lines("Lag", "19 of 20 messages come within this time of the venue's own, by our clock as it is and corrected; and what the desk bears.")
                    .ask("histogram_quantile(0.95, sum by (provider, feed, clock, le) (rate(feed_lag_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}} {{clock}}")
                    .ask("max by (provider, feed) (feed_lag_allowed_seconds{@})", "{{provider}} {{feed}}, borne"),
                lines("Since the last word", "Time since the last message and the last heartbeat, and what is expected at most between two messages.")
                    .ask("time() - max by (provider, feed) (feed_last_message_timestamp_seconds{@})", "{{provider}} {{feed}}")
                    .ask("time() - max by (provider, feed) (feed_last_heartbeat_timestamp_seconds{@})", "{{provider}} {{feed}}, heartbeat")
                    .ask("max by (provider, feed) (feed_expected_seconds{@})", "{{provider}} {{feed}}, expected"),
            ])
}

/// What went wrong with feeds, and what the books made of them say.
fn connections() -> Row {
    row("Connections and books", [
                table("What went wrong", "Within the time shown: silences and their time, holes, what was lost in them, what came late or twice, and symbols forgotten.")
                    .ask("sum by (provider, feed) (increase(feed_stalls_total{@}[$__range]))", "stalls")
                    .ask("sum by (provider, feed) (increase(feed_stalled_seconds_total{@}[$__range]))", "seconds mute")
                    .ask("sum by (provider, feed) (increase(feed_gaps_total{@}[$__range]))", "gaps")
                    .ask("sum by (provider, feed) (increase(feed_missed_messages_total{@}[$__range]))", "missed")
                    .ask("sum by (provider, feed) (increase(feed_out_of_order_total{@}[$__range]))", "out of order")
                    .ask("sum by (provider, feed) (increase(feed_duplicates_total{@}[$__range]))", "duplicates")
                    .ask("sum by (provider, feed) (increase(feed_sequence_evictions_total{@}[$__range]))", "forgotten"),
                lines("Connections", "Attempts to connect and lost connections a second, and books made anew.")
                    .ask("sum by (provider, feed, outcome) (rate(feed_connects_total{@}[$__rate_interval]))", "{{provider}} {{feed}} connect {{outcome}}")
                    .ask("sum by (provider, feed, reason) (rate(feed_disconnects_total{@}[$__rate_interval]))", "{{provider}} {{feed}} lost, {{reason}}")
                    .ask("sum by (provider, feed) (rate(feed_resyncs_total{@}[$__rate_interval]))", "{{provider}} {{feed}} resync"),
                lines("Back again", "19 of 20 outages ended within this time, from the loss to the next message.")
                    .ask("histogram_quantile(0.95, sum by (provider, feed, le) (rate(feed_outage_duration_seconds_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}}"),
                lines("Subscriptions", "Asked for and confirmed.")
                    .ask("sum by (provider, feed, state) (feed_subscriptions{@})", "{{provider}} {{feed}} {{state}}"),
                lines("Spread", "Half of the books' changes left a spread below this.")
                    .ask("histogram_quantile(0.5, sum by (provider, feed, le) (rate(feed_book_spread_bps_bucket{@}[$__rate_interval])))", "{{provider}} {{feed}}"),
                lines("Books that make no sense", "Books, on average, that were crossed or one-sided.")
                    .ask("sum by (provider, feed) (rate(feed_book_invalid_seconds_total{@}[$__rate_interval]))", "{{provider}} {{feed}}"),
            ])
}

/// What time it is.
fn clocks() -> Row {
    row("Clocks", [
                lines("Offset", "Their clock less ours, and the most by which that may be wrong.")
                    .ask("max by (source) (clock_offset_seconds{@})", "{{source}}")
                    .ask("max by (source) (clock_offset_error_seconds{@})", "{{source}}, error"),
                table("Our clock", "How far Prometheus' clock is ahead of the desk's, up to a scrape interval; and how often the desk's was set.")
                    .ask("time() - max by (instance) (app_clock_timestamp_seconds{@})", "behind Prometheus")
                    .ask("sum by (instance) (increase(clock_jumps_total{@}[$__range]))", "set"),
            ])
}
