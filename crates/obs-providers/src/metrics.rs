//! The families of a provider.

use obs_core::{
    Alarm, By, Counter, Figure, Gauge, Group, Histogram, Outcome, Reading, TimeCounter, Unit,
    Worse, objective,
};

use crate::{
    CacheResult, CallOutcome, DatasetName, EndpointName, ErrorType, LimitName, MarketVenue,
    ProviderKind, ProviderName,
};

/// Seconds of a call over a network: 100 µs for the machine next door, a minute for the slowest of reports.
const CALL_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Seconds since data was loaded: a tenth for a quote, a week for what changes seldom.
const AGE_BUCKETS: &[f64] = &[
    0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 259_200.0,
    604_800.0,
];

/// Where data comes from.
const PROVIDERS: Group = Group::new("Data providers")
    .rank(Group::LIBRARY + 50)
    .figures(&[Figure::bar(
        "Data providers up",
        Reading::sum(ProviderMetrics::up),
        Reading::series(ProviderMetrics::up),
    )
    .trend(Reading::rate(RequestMetrics::requests))
    .facts(&[
        ("requests", Reading::rate(RequestMetrics::requests)),
        ("errors", Reading::sum(CallMetrics::errors)),
    ])
    .worse(Worse::Down)
    .alarms(&[Alarm::below(Reading::least(ProviderMetrics::up), 1.0)])]);

obs_core::families! {
    group PROVIDERS;

    /// One provider.
    pub struct ProviderMetrics(provider: ProviderName) {
        /// Whether the provider is taken to be available; undefined where that was last known before its session ended.
        pub up: Gauge = "provider_up" { across: obs_core::Across::Min, unit: Unit::Switch },
        /// Time for which the provider was not available; where its sessions are known, session time.
        pub unavailable: TimeCounter = "provider_unavailable_seconds_total",
        /// When a call, a probe or a feed last said whether the provider is available; undefined until one did.
        pub last_heard: Gauge = "provider_last_heard_timestamp_seconds",
    }
}

obs_core::families! {
    group PROVIDERS;

    /// The calls to one provider.
    pub struct CallMetrics(provider: ProviderName) {
        /// Calls that did not succeed, by what went wrong. Each counts once.
        pub errors: By<ErrorType, Counter> = "provider_errors_total",
        /// Calls that have begun and not ended.
        pub in_flight: Gauge = "provider_requests_in_flight" { across: obs_core::Across::Sum },
        /// Responses by which the provider refused because too much was asked of it.
        pub rate_limit_hits: Counter = "provider_rate_limit_hits_total",
        /// Calls the provider still allows in its present window, as it last said; undefined until it says so, and once that window
        /// has ended.
        pub rate_limit_remaining: Gauge = "provider_rate_limit_remaining",
        /// When the provider allows calls again, as it last said; undefined until it says so.
        pub rate_limit_reset: Gauge = "provider_rate_limit_reset_timestamp_seconds",
    }
}

obs_core::families! {
    group PROVIDERS;

    /// The attempts of calls to one provider, where they are measured apart from calls.
    pub struct AttemptMetrics(provider: ProviderName) {
        /// Attempts of calls, by how they ended; there only where attempts are measured apart from calls.
        ///
        /// An attempt ends with the head of its response.
        pub attempts: By<CallOutcome, Counter> = "provider_attempts_total",
        /// Attempts of a call after its first; there only where attempts are measured apart from calls.
        pub retries: Counter = "provider_retries_total",
    }
}

obs_core::families! {
    group PROVIDERS;

    /// The probes of one provider.
    pub struct ProbeMetrics(provider: ProviderName) {
        /// Active probes, by how they ended.
        pub probes: By<Outcome, Counter> = "provider_probes_total",
    }
}

obs_core::families! {
    group PROVIDERS;

    /// The caches of one provider's data.
    pub struct CacheMetrics(provider: ProviderName) {
        /// Lookups in a cache of the provider's data, by what it had.
        pub cache: By<CacheResult, Counter> = "provider_cache_requests_total",
        /// Times a cache could not be read or written. The lookup is a miss, and the data is loaded.
        pub cache_errors: Counter = "provider_cache_errors_total",
        /// Time it took to load what a cache did not have, or not fresh.
        pub cache_load: By<Outcome, Histogram> = "provider_cache_load_duration_seconds" { buckets: CALL_BUCKETS },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One of a provider's limits.
    pub struct LimitMetrics(provider: ProviderName, limit: LimitName) {
        /// What of the limit is used in its present window, in the provider's own unit; undefined once that window has ended.
        pub used: Gauge = "provider_rate_limit_used" { budget: 120 },
        /// What the limit allows in a window, in the provider's own unit.
        pub allowed: Gauge = "provider_rate_limit_allowed" { budget: 120 },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One endpoint of a provider, by what the provider provides.
    pub struct RequestMetrics(provider: ProviderName, kind: ProviderKind, endpoint: EndpointName) {
        /// Calls that have ended, by how.
        pub requests: By<CallOutcome, Counter> = "provider_requests_total" {
            budget: 2_500,
            objective: objective!(99 % good over 30 d),
        },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One endpoint of a provider.
    pub struct EndpointMetrics(provider: ProviderName, endpoint: EndpointName) {
        /// Time from the start of a call to the end of its body, or to its headers where the body was not read.
        pub duration: Histogram = "provider_request_duration_seconds" { buckets: CALL_BUCKETS, budget: 500 },
        /// Time from the start of a call to the headers of its response, where one came.
        pub headers: Histogram = "provider_request_headers_duration_seconds" { buckets: CALL_BUCKETS, budget: 500 },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One dataset of a provider.
    pub struct DatasetMetrics(provider: ProviderName, dataset: DatasetName) {
        /// How old data was when a cache served it.
        pub age: Histogram = "provider_data_age_seconds" { buckets: AGE_BUCKETS, budget: 300 },
        /// When the data was last updated; undefined until then.
        pub updated: Gauge = "provider_data_updated_timestamp_seconds" { budget: 300 },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One dataset of a provider that is to be updated within a time.
    pub struct DatasetSessionMetrics(provider: ProviderName, dataset: DatasetName) {
        /// Time for which the market was open since the data was last updated, or since the dataset was made where it never was.
        ///
        /// It stands still at night, at weekends and on holidays, so that an alert on it does too.
        pub session_age: Gauge = "provider_data_session_age_seconds" { budget: 300 },
        /// Age in open hours beyond which the program itself calls the data stale.
        pub expected: Gauge = "provider_data_expected_seconds" { budget: 300 },
    }
}

obs_core::families! {
    group PROVIDERS;

    /// One market.
    pub struct MarketMetrics(venue: MarketVenue) {
        /// Whether the market is in a regular session.
        pub open: Gauge = "market_session_open" { unit: Unit::Switch },
        /// When the market opens next, after the present session if there is one; undefined if it never closes.
        pub next_open: Gauge = "market_next_open_timestamp_seconds",
        /// When the market closes next: the end of the session under way, or of the next one; undefined if it never closes.
        pub next_close: Gauge = "market_next_close_timestamp_seconds",
        /// The end of the last day that its exchange has published; undefined for a calendar without an end.
        ///
        /// Later days are by rule only. An alert two months before says that the calendar is to be updated.
        pub calendar_end: Gauge = "market_calendar_end_timestamp_seconds",
    }
}
