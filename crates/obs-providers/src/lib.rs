//! Calls to outside providers of data under measurement: every call seen, none of its secrets shown.
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use obs_providers::{Endpoint, Provider, ProviderKind};
//! use reqwest_middleware::ClientBuilder;
//!
//! // Start-up, after the exporter was installed.
//! let provider = Provider::builder("alpaca", ProviderKind::MarketData)
//!     .route("/v2/stocks/{symbol}/bars")
//!     .build()?;
//! let client = ClientBuilder::new(reqwest::Client::new())
//!     .with(provider.middleware())
//!     .build();
//!
//! // From then on as with reqwest. The route table names the endpoint, or the request does.
//! let bars = client.get("https://data.example/v2/stocks/AAPL/bars").send().await?.text().await?;
//! let clock = client.get("https://data.example/v2/clock").with_extension(Endpoint("clock")).send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What counts as what
//!
//! **A call** lasts from `send` to the end of the response's body, and counts once, then: in `provider_requests_total` by
//! its outcome, in `provider_request_duration_seconds`, and if it did not succeed in `provider_errors_total` by what went
//! wrong. Until then it is in `provider_requests_in_flight`. So, at any moment:
//!
//! > calls begun = calls ended, by any outcome + calls in flight
//!
//! | happens | outcome | error type |
//! |---|---|---|
//! | the body came to its end, or nobody began to read it, and the status is no error | `ok` | |
//! | status 429, or one that the provider is known to mean by it | `rate_limited` | `rate_limited` |
//! | any other 4xx or 5xx | `error` | `client_error`, `server_error` |
//! | no head came | `error` | `timeout`, `dns`, `connect`, `tls`, `redirect`, `transport`, `request` |
//! | the body did not come to its end | `error` | `timeout`, `body`, `too_large`, `decode` (while decompressing) |
//! | the body was not what it should be, seen by [`Decode`] | `error` | `decode` |
//! | another middleware failed | `error` | `middleware`, or what it wraps |
//! | the future was dropped before the head came, or the response while its body was being read | `cancelled` | `cancelled` |
//! | something panicked on the way | `panicked` | `panic` |
//!
//! The first that fits counts: a 500 whose body breaks off is a `server_error`. A timeout *around* a call drops it and
//! looks like a cancellation; set the client's own, which is seen for what it is.
//!
//! **Time** to the headers is in `provider_request_headers_duration_seconds`. The time to the end of the body holds what
//! the reader of the body took, too. A body that nobody reads adds nothing.
//!
//! **`endpoint`** is the name a request carries ([`Endpoint`]), or else the template of the first route that fits its path,
//! or else `unmatched`. Never a path, never a query.
//!
//! **Retries.** Redirects, and the retries of reqwest's own policy, happen inside of the client: the call is one. Where a
//! middleware retries, put [`Provider::attempts`] behind it; `provider_attempts_total` and `provider_retries_total` then
//! tell attempts from calls, and limits and failures are seen that a later attempt makes good. Without it, a call whose
//! retries all failed may count as `middleware`, since what retries wraps errors in its own.
//!
//! # Limits
//!
//! `provider_rate_limit_hits_total` counts refusals, [`Provider::retry_after`] says how long to wait, by `Retry-After` or
//! the header that tells the end of the window. `provider_rate_limit_remaining` is what the provider last said in one of
//! the usual headers (`X-RateLimit-Remaining` and its relatives, `RateLimit` of the IETF draft) or in
//! [one of its own](ProviderBuilder::remaining_header). It is undefined until then, and 0 at a refusal that says nothing
//! else.
//!
//! # Availability
//!
//! A provider is taken to be up until `down_after` failures come in a row (3 unless told), and is back after `up_after`
//! answers (1 unless told). A **failure** is a call or attempt that ended with `timeout`, `dns`, `connect`, `tls`,
//! `transport`, `body` or `server_error`, or a failed [probe](Provider::probe_every). An **answer** is one that ended well,
//! or with a 4xx: a provider that refuses is there. All else says nothing either way.
//!
//! `provider_up` shows it, and `provider_unavailable_seconds_total` runs while it is 0, from the failure that took the
//! provider down to the answer that brought it back. Call [`Provider::observe`] before every scrape, so that time runs
//! while nothing is heard.
//!
//! # Caches and freshness
//!
//! [`Cache`] puts a store in front of a load; [`Lookup`] is for caches of one's own. A [`Dataset`] knows when its data was
//! last updated, and a [session dataset](Provider::session_dataset) for how much of the time since its [`Market`] was open.
//!
//! # Secrets
//!
//! No label, log line or debug print of this crate holds any part of a request or a response. Errors and responses of
//! reqwest do print their URL, and error messages end up in logs: so both leave here with user, password, query and
//! fragment of the URL taken out, and the path too [where that holds a secret](ProviderBuilder::secret_in_path). An error
//! that another middleware has wrapped is replaced where its words contain such a URL; put [`Provider::attempts`] last in
//! the chain to have it redacted before it is wrapped. What a request that could not even be built prints never passes through here.

//!
//! # What it costs
//!
//! Nine allocations a call and about 1.3 µs, of which reqwest-middleware itself takes one and 0.3 to 0.4 µs. `taskset -c 0 cargo
//! run --release -p obs-providers --example providers_overhead`, a GET over loopback on two shared cores of a virtual machine,
//! 23 November 2026; the range of three runs:
//!
//! | | added, least | added, median | allocations |
//! |---|---|---|---|
//! | reqwest-middleware alone | 0.32 to 0.44 µs | 0.30 to 0.43 µs | 1 |
//! | this crate, into `obs-recorder` | 1.26 to 1.32 µs | 1.23 to 1.30 µs | 9 |
//! | this crate, into `metrics-exporter-prometheus` | 1.26 to 1.38 µs | 1.23 to 1.41 µs | 9 |
//! | `reqwest-metrics`, into `metrics-exporter-prometheus` | 4.24 to 4.28 µs | 4.49 to 4.66 µs | 86 |
//!
//! Most of it is the price of seeing a body to its end and of showing no secret: reqwest lets nobody look into a response, so
//! it is taken apart and built anew, with three boxes for the body, three allocations for the URL, and a longer way for each
//! frame. Recording itself is a tenth of the instructions.

mod availability;
mod body;
mod cache;
mod calendar;
mod call;
mod dataset;
mod decode;
mod error;
mod failure;
mod labels;
mod layer;
mod market;
mod metrics;
mod middleware;
#[cfg(feature = "moka")]
mod moka_store;
pub mod names;
mod probe;
mod provider;
mod rate_limit;
#[cfg(feature = "redis")]
mod redis_store;
mod routes;

use obs_core::Catalogue;

pub use http;
pub use jiff;
#[cfg(feature = "moka")]
pub use moka;
#[cfg(feature = "redis")]
pub use redis;
pub use reqwest;
pub use reqwest_middleware;

pub use crate::cache::{Cache, Entry, Load, Lookup, Served, Store};
pub use crate::calendar::{Session, TradingCalendar};
pub use crate::dataset::Dataset;
pub use crate::decode::Decode;
pub use crate::error::ProviderError;
pub use crate::labels::{
    CacheResult, CallOutcome, DatasetName, EndpointName, ErrorType, MarketVenue, ProviderKind,
    ProviderName, UNMATCHED,
};
pub use crate::layer::{AttemptLayer, AttemptService, ProviderLayer, ProviderService};
pub use crate::market::Market;
pub use crate::metrics::{
    DatasetMetrics, DatasetSessionMetrics, EndpointMetrics, MarketMetrics, ProviderMetrics,
    RequestMetrics,
};
pub use crate::middleware::{AttemptMiddleware, Endpoint, ProviderMiddleware};
pub use crate::provider::{Provider, ProviderBuilder};
#[cfg(feature = "redis")]
pub use crate::redis_store::RedisStore;

/// Every family of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        ProviderMetrics::FAMILIES,
        RequestMetrics::FAMILIES,
        EndpointMetrics::FAMILIES,
        DatasetMetrics::FAMILIES,
        DatasetSessionMetrics::FAMILIES,
        MarketMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
