//! Measures what comes from outside: calls to providers of data by any client, [feeds](Feed) over any carrier, and how far
//! [clocks](Clock) are off. Every call and every message is counted, and none of their secrets is shown.
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
//! Through another client, or an SDK that cannot be changed, the same is measured by a guard around each call: [`Provider::call`];
//! [`CallLayer`] puts it over any tower service, such as a channel of tonic. What comes by itself, over a WebSocket, a stream, a session of
//! FIX or a queue, is a [`Feed`].
//!
//! # The forms of client code
//!
//! | you write | write instead | |
//! |---|---|---|
//! | `struct Api { http: reqwest::Client }` of your own | `struct Api { http: reqwest_middleware::ClientWithMiddleware }` | measured |
//! | `http.get(url).send()`, `http.execute(request)` | | measured |
//! | `.query(…)`, `.json(…)`, `.form(…)`, `.multipart(…)` | the same, with the features of reqwest-middleware by these names | measured |
//! | `response.json()`, `.text()`, `.chunk()`, `.bytes_stream()` | | measured to the end of the body |
//! | a library that takes an `impl Into<ClientWithMiddleware>` | your client | measured |
//! | a tower stack over `reqwest::Client` | [`Provider::layer`] in it | measured |
//! | a library that takes a `reqwest::Client`, or makes its own | [`Provider::call`] around its calls | measured, but for what it hides: limits, attempts |
//! | `reqwest::get(url)`, `reqwest::blocking`, reqwest 0.12, ureq | [`Provider::call`] around it | measured |
//! | a channel of tonic, any other tower service | [`CallLayer`] around it | measured |
//! | a WebSocket, an event stream, FIX, a queue | a [`Feed`] beside it | messages, not calls |
//!
//! With `Client` as a name for `ClientWithMiddleware` the bodies of functions stay as they are, but for their error, which is
//! `reqwest_middleware::Error`. reqwest's own client takes no middleware, so there is no way into a library that insists on it but
//! around its methods. `tests/providers` compiles and runs each row.
//!
//! # What counts as what
//!
//! **A call** lasts from `send` to the end of the response body, and is counted once, at its end: in `provider_requests_total` by
//! outcome, in `provider_request_duration_seconds`, and if it failed in `provider_errors_total` by cause. Until then it is in
//! `provider_requests_in_flight`. So, at any moment:
//!
//! > calls begun = calls ended, by any outcome + calls in flight
//!
//! | happens | outcome | error type |
//! |---|---|---|
//! | the body was read to its end or not at all, and the status is no error | `ok` | |
//! | status 429 or 999, or one that the provider is known to mean by it | `rate_limited` | `rate_limited` |
//! | any other 4xx or 5xx | `error` | `unauthorized` (401, 407), `forbidden` (403), `not_found` (404, 410), `legal` (451), `client_error`, `server_error` |
//! | no head came | `error` | `connect_timeout`, `timeout`, `dns`, `connect`, `tls`, `redirect`, `transport`, `request` |
//! | the body broke off | `error` | `read_timeout`, `body`, `too_large`, `decode` (while decompressing) |
//! | the body said that the provider refuses: [`Provider::rate_limited`] within [`Decode`] | `rate_limited` | `rate_limited` |
//! | the body was not what it should be, seen by [`Decode`] | `error` | `decode`, or what [`Decode::decode_or`] says |
//! | another middleware failed | `error` | `middleware`, or what it wraps |
//! | the future was dropped before the head came, or the response while its body was being read | `cancelled` | `cancelled` |
//! | something panicked on the way | `panicked` | `panic` |
//!
//! The first matching row applies: a 500 whose body breaks off is a `server_error`. A timeout *around* a call drops it, which is
//! indistinguishable from a cancellation; set the timeout of the client, which is recognised.
//!
//! A response without an end, of `text/event-stream`, after an upgrade or to a request that says [`Stream`], is a call that ends with its
//! headers; what comes afterwards is a [`Feed`]'s.
//!
//! **Time** to the headers is in `provider_request_headers_duration_seconds`. The time to the end of the body includes the time its
//! consumer took. A body that is not read adds nothing.
//!
//! **`endpoint`** is the name attached to the request ([`Endpoint`]), else the template of the first route that matches its path, else
//! `unmatched`. It is never a path or a query.
//!
//! **Retries.** Redirects, and the retries of reqwest's own policy, happen inside the client and are one call. If a middleware retries,
//! put [`Provider::attempts`] after it: `provider_attempts_total` and `provider_retries_total` then tell attempts from calls, and limits
//! and failures are seen even if a later attempt succeeds. Without it, a call whose retries all failed may count as `middleware`,
//! because the retrying middleware wraps the errors.
//!
//! # Limits
//!
//! `provider_rate_limit_hits_total` counts refusals; [`Provider::retry_after`] returns how long to wait, from `Retry-After`, also of a 5xx,
//! or from the header with the end of the window; a shorter wait does not end a longer one. `provider_rate_limit_remaining` is the latest
//! value of one of the usual headers (`X-RateLimit-Remaining` and its variants, `RateLimit` of the IETF draft) or of [a header of the
//! provider's own](ProviderBuilder::remaining_header); of several limits, of the tightest. It is undefined (`NaN`) before the first value
//! and once the window has ended, and 0 after a refusal that carries none, until the wait is over, the next answer comes, or a minute has
//! passed. `provider_rate_limit_used` stands beside `provider_rate_limit_allowed`, where both are known: by the usual headers, or by a
//! declared [`RateLimit`]. A limit of some endpoints makes only those [wait](Provider::retry_after_for).
//!
//! # Availability
//!
//! A provider counts as up until `down_after` consecutive failures (3 by default), and as back after `up_after` answers (1 by default).
//! A **failure** is a call or attempt that ended with `timeout`, `connect_timeout`, `read_timeout`, `dns`, `connect`, `tls`, `transport`,
//! `body`, `server_error`, `unauthorized`, `forbidden` or `legal`, or a failed [probe](Provider::probe_every). An **answer** is one that
//! succeeded or ended with another 4xx: a provider that refuses what was asked is there, one that lets nobody in is not. Everything else
//! changes nothing. A [`Feed`] that is stalled, or lost for longer than it may be mute, takes the provider down whatever calls say.
//!
//! `provider_up` shows it, and `provider_unavailable_seconds_total` increases while it is 0, from the failure that took the provider
//! down to the answer that brought it back. Where the provider has [sessions](ProviderBuilder::sessions), that is session time, and outside
//! of them a failure of more than a quarter of an hour ago makes `provider_up` undefined. `provider_last_heard_timestamp_seconds` says when
//! something was last known. Call [`Provider::observe`] before every scrape, so that the time advances while there are no calls.
//!
//! # Caches and freshness
//!
//! [`Cache`] puts a store in front of a load; [`Lookup`] is for caches of your own. A [`Dataset`] knows when its data was last updated,
//! and a [session dataset](Provider::session_dataset) how much of the time since then its [`Market`] was open. `provider_data_expected_seconds`
//! says [how old it may become](Dataset::expected_within).
//!
//! # Secrets
//!
//! No label, log line or `Debug` output of this crate contains any part of a request or a response. Errors and responses of reqwest do
//! print their URL, and error messages end up in logs; this crate removes user, password, query and fragment from the URLs of both, and
//! the path too [if it holds a secret](ProviderBuilder::secret_in_path). An error that another middleware has wrapped is replaced if its
//! text contains such a URL; put [`Provider::attempts`] last in the chain to have it redacted before it is wrapped. The error of a request
//! that could not be built does not pass through this crate.
//!
//! # What it costs
//!
//! Nine allocations and 0.6 to 1.1 µs per call through reqwest-middleware, which takes one allocation and 0.1 to 0.3 µs of that by
//! itself. `taskset -c 0 cargo run --release -p obs-providers --example providers_overhead`, a GET over loopback on two shared and busy
//! cores of a virtual machine, 28 November 2026; two runs:
//!
//! | | added, least | added, median | allocations |
//! |---|---|---|---|
//! | this crate, into `obs-recorder` | 0.59 and 0.75 µs | 0.65 and 1.10 µs | 9 |
//! | this crate, into `metrics-exporter-prometheus` | 0.70 and 0.76 µs | 0.80 and 0.89 µs | 9 |
//! | `reqwest-metrics`, into `metrics-exporter-prometheus` | 2.68 and 3.01 µs | 3.36 and 3.39 µs | 86 |
//!
//! That is 0.22 to 0.25 of `reqwest-metrics` by the least. Under callgrind, which counts the same on a busy machine, this crate adds 5,100
//! instructions to a call and `reqwest-metrics` 46,300. Of the 5,100, some 1,900 are allocation and release, 900 of which the example's
//! own counting, and 400 copies of memory; 700 follow the body frame by frame; 600 take the response apart and rebuild it with a redacted
//! URL, which reqwest's types leave no other way for; 500 record. Three looks at the clock take 20 ns each, on this machine.
//!
//! A guard by itself takes 100 to 111 ns and no allocation, two looks at the clock among them; with the time of the headers 137 to
//! 142 ns at least. A message of a feed in its place, with its number, the venue's time and the time of receipt, takes 10 ns, with
//! [`Moment::now`] 34 to 37 ns: one look at the clock more. Neither allocates.
//!
//! # Versions
//!
//! Types of reqwest 0.13, reqwest-middleware 0.5, http 1, jiff 1, and with their features moka 0.12 and redis 1.8 are part of this crate's
//! interface; all of them are re-exported.
//!
//! # Features
//!
//! - `moka`: caches in memory.
//! - `ntp`: asks time servers (`Clock::ask_ntp`).
//! - `redis`: caches in Redis.
//! - `serde`: labels through serde.

mod availability;
mod body;
mod cache;
mod call;
mod call_layer;
mod carried;
mod clock;
mod dataset;
mod decode;
mod error;
mod failure;
mod feed;
mod flights;
mod labels;
mod layer;
mod lazy;
mod market;
mod metrics;
mod middleware;
#[cfg(feature = "moka")]
mod moka_store;
mod moment;
pub mod names;
#[cfg(feature = "ntp")]
mod ntp;
mod probe;
mod provider;
mod rate_limit;
#[cfg(feature = "redis")]
mod redis_store;
mod routes;
mod wait;

use obs_core::Catalogue;

pub use http;
pub use jiff;
#[cfg(feature = "moka")]
pub use moka;
pub use obs_calendar;
/// The calendar of `obs-calendar`, which `obs-trading` has too.
pub use obs_calendar::Calendar as TradingCalendar;
pub use obs_calendar::Session;
#[cfg(feature = "redis")]
pub use redis;
pub use reqwest;
pub use reqwest_middleware;

pub use crate::cache::{Cache, Entry, Load, Lookup, Served, Store};
pub use crate::call::Call;
pub use crate::call_layer::{CallLayer, CallService};
pub use crate::clock::{Clock, ClockMetrics, ClockSource, Offset, OwnClockMetrics};
pub use crate::dataset::Dataset;
pub use crate::decode::Decode;
pub use crate::error::ProviderError;
pub use crate::feed::{
    Book, BookMetrics, Channel, ChannelKind, Connecting, DisconnectReason, Feed, FeedBuilder,
    FeedMetrics, FeedName, LagClock, Numbers, Sequencing, Stall, SubscriptionState,
};
pub use crate::labels::{
    CacheResult, CallOutcome, DatasetName, EndpointName, ErrorType, LimitName, MarketVenue,
    ProviderKind, ProviderName, UNMATCHED,
};
pub use crate::layer::{AttemptLayer, AttemptService, ProviderLayer, ProviderService};
pub use crate::market::Market;
pub use crate::metrics::{
    AttemptMetrics, CacheMetrics, CallMetrics, DatasetMetrics, DatasetSessionMetrics,
    EndpointMetrics, LimitMetrics, MarketMetrics, ProbeMetrics, ProviderMetrics, RequestMetrics,
};
pub use crate::middleware::{AttemptMiddleware, Endpoint, ProviderMiddleware, Stream};
pub use crate::moment::Moment;
pub use crate::provider::{Provider, ProviderBuilder};
pub use crate::rate_limit::RateLimit;
#[cfg(feature = "redis")]
pub use crate::redis_store::RedisStore;

/// Every family of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        ProviderMetrics::FAMILIES,
        CallMetrics::FAMILIES,
        AttemptMetrics::FAMILIES,
        ProbeMetrics::FAMILIES,
        CacheMetrics::FAMILIES,
        LimitMetrics::FAMILIES,
        RequestMetrics::FAMILIES,
        EndpointMetrics::FAMILIES,
        DatasetMetrics::FAMILIES,
        DatasetSessionMetrics::FAMILIES,
        MarketMetrics::FAMILIES,
        FeedMetrics::FAMILIES,
        BookMetrics::FAMILIES,
        ClockMetrics::FAMILIES,
        OwnClockMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
