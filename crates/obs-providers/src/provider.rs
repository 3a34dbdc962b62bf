//! A provider: what calls are measured by, and what is known of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderName;
use obs_core::{By, Counter, Keyed, Value};
use reqwest::Response;

use crate::availability::Availability;
use crate::dataset::Dataset;
use crate::failure::Shown;
use crate::rate_limit::RateLimits;
use crate::routes::Routes;
use crate::{
    CallOutcome, EndpointMetrics, EndpointName, ErrorType, ProviderError, ProviderKind,
    ProviderMetrics, RequestMetrics, TradingCalendar, UNMATCHED,
};

/// An outside provider of data under measurement. Built at start-up, cloned and handed to whoever calls it or keeps its
/// data; clones share what they know.
///
/// Two providers of one name in a process share their series, but not their idea of whether the provider is up: build one
/// and clone it.
#[derive(Clone)]
pub struct Provider(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    name: String,
    kind: ProviderKind,
    pub(crate) metrics: Arc<ProviderMetrics>,
    endpoints: Keyed<EndpointName, Arc<Endpoint>>,
    routes: Routes,
    limits: RateLimits,
    pub(crate) availability: Availability,
    pub(crate) max_body: Option<u64>,
    pub(crate) shown: Shown,
    /// Those that [`Provider::observe`] has something to do for.
    datasets: Mutex<Vec<Dataset>>,
}

/// What calls to one endpoint record to.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) requests: By<CallOutcome, Counter>,
    pub(crate) metrics: EndpointMetrics,
}

impl Provider {
    /// A provider with everything as it usually is; [`builder`](Self::builder) is for the rest.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str, kind: ProviderKind) -> Self {
        Self::with(ProviderBuilder::new(name, kind), Routes::default(), None)
    }

    /// A provider that has more to be said of it.
    pub fn builder(name: &str, kind: ProviderKind) -> ProviderBuilder {
        ProviderBuilder::new(name, kind)
    }

    #[track_caller]
    fn with(builder: ProviderBuilder, routes: Routes, remaining: Option<HeaderName>) -> Self {
        let metrics = Arc::new(ProviderMetrics::new(&builder.name));
        metrics.rate_limit_remaining.set_undefined();
        metrics.rate_limit_reset.set_undefined();
        let availability = Availability::new(
            builder.down_after,
            builder.up_after,
            metrics.up.clone(),
            metrics.unavailable.clone(),
        );
        let provider = Self(Arc::new(Inner {
            name: builder.name,
            kind: builder.kind,
            metrics,
            endpoints: Keyed::new(RequestMetrics::FAMILIES),
            limits: RateLimits::new(remaining, builder.limited_statuses),
            routes,
            availability,
            max_body: builder.max_body,
            shown: builder.shown,
            datasets: Mutex::default(),
        }));
        let inner = &provider.0;
        // Takes its place in the budget before any other.
        inner.endpoint(UNMATCHED);
        let known = inner.routes.templates().chain(builder.endpoints);
        known.for_each(|endpoint| drop(inner.endpoint(endpoint)));
        provider
    }

    /// Its name, as it is exported.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it provides.
    #[must_use]
    pub fn kind(&self) -> ProviderKind {
        self.0.kind
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &ProviderMetrics {
        &self.0.metrics
    }

    /// Whether it is taken to be up; see the [crate] page for what decides.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.availability.is_up()
    }

    /// Says that the provider answered, where that is known from elsewhere, such as a websocket.
    pub fn answered(&self) {
        self.0.availability.heard(true, Instant::now());
    }

    /// Says that the provider did not answer, where that is known from elsewhere.
    pub fn failed(&self) {
        self.0.availability.heard(false, Instant::now());
    }

    /// Says that the provider refused because too much was asked of it, where that stands in a body and not in the status,
    /// and how long it wants to be left alone.
    pub fn rate_limited(&self, retry_after: Option<Duration>) {
        self.0.metrics.rate_limit_hits.increment(1);
        self.0.metrics.rate_limit_remaining.set(0.0);
        self.0.limits.wait(&self.0.metrics, retry_after);
    }

    /// How long the provider still wants to be left alone, by the last refusal that said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.limits.waiting()
    }

    /// One of its datasets.
    #[must_use]
    #[track_caller]
    pub fn dataset(&self, name: &str) -> Dataset {
        Dataset::new(self, name, None)
    }

    /// One of its datasets that changes only while a market is open: its age is counted in open hours, so that nothing
    /// goes stale on a Sunday.
    #[must_use]
    #[track_caller]
    pub fn session_dataset(&self, name: &str, calendar: TradingCalendar) -> Dataset {
        let dataset = Dataset::new(self, name, Some(calendar));
        let mut datasets = self
            .0
            .datasets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        datasets.push(dataset.clone());
        dataset
    }

    /// Brings up to date what changes by the mere passing of time: unavailable seconds, and the age of data in open hours.
    /// To be called before every scrape; the exporter has a hook for it.
    pub fn observe(&self) {
        self.0.availability.observe(Instant::now());
        let now = jiff::Timestamp::now();
        let datasets = self
            .0
            .datasets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        datasets.iter().for_each(|dataset| dataset.observe(now));
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("up", &self.availability.is_up())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// What an endpoint records to. That of a known one is found without a lock.
    pub(crate) fn endpoint(&self, name: &str) -> Arc<Endpoint> {
        let build = |name: Value<EndpointName>| {
            let requests = RequestMetrics::new(self.name.as_str(), self.kind, name.clone());
            Arc::new(Endpoint {
                requests: requests.requests,
                metrics: EndpointMetrics::new(self.name.as_str(), name),
            })
        };
        Arc::clone(self.endpoints.of(name, build))
    }

    /// The endpoint of a path, by the route table.
    pub(crate) fn endpoint_of_path(&self, path: &str) -> Arc<Endpoint> {
        self.endpoint(self.routes.find(path).unwrap_or(UNMATCHED))
    }

    /// What a response's status says went wrong.
    pub(crate) fn error_of(&self, response: &Response) -> Option<ErrorType> {
        let status = response.status();
        if self.limits.statuses.contains(&status.as_u16()) {
            return Some(ErrorType::RateLimited);
        }
        ErrorType::of_status(status)
    }

    /// Takes what a response says of limits.
    pub(crate) fn read_limits(&self, response: &Response, error: Option<ErrorType>) {
        let limited = error == Some(ErrorType::RateLimited);
        self.limits.read(&self.metrics, response.headers(), limited);
    }
}

/// Says more of a provider before it is made.
///
/// ```
/// use obs_providers::{Provider, ProviderKind};
///
/// let binance = Provider::builder("binance", ProviderKind::MarketData)
///     .route("/api/v3/klines")
///     .route("/api/v3/ticker/{symbol}")
///     .rate_limit_status(418)
///     .down_after(5)
///     .max_body(16 << 20)
///     .build()?;
/// assert!(binance.is_up());
/// # Ok::<(), obs_providers::ProviderError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is measured before `build`"]
pub struct ProviderBuilder {
    name: String,
    kind: ProviderKind,
    routes: Vec<String>,
    endpoints: Vec<&'static str>,
    remaining_header: Option<String>,
    limited_statuses: Vec<u16>,
    down_after: u32,
    up_after: u32,
    max_body: Option<u64>,
    shown: Shown,
}

impl ProviderBuilder {
    fn new(name: &str, kind: ProviderKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            routes: Vec::new(),
            endpoints: Vec::new(),
            remaining_header: None,
            limited_statuses: Vec::new(),
            down_after: 3,
            up_after: 1,
            max_body: None,
            shown: Shown::Path,
        }
    }

    /// Names the endpoint of every path that fits the template, by the template: `{symbol}` stands for one segment,
    /// `{*rest}` for all that are left. The first that fits counts.
    pub fn route(mut self, template: &str) -> Self {
        self.routes.push(template.to_owned());
        self
    }

    /// Makes the series of an endpoint exist before its first call. Routes' exist anyway.
    pub fn endpoint(mut self, name: &'static str) -> Self {
        self.endpoints.push(name);
        self
    }

    /// A status by which this provider says what others say by 429.
    pub fn rate_limit_status(mut self, status: u16) -> Self {
        self.limited_statuses.push(status);
        self
    }

    /// A header in which this provider says how many calls are left, if it is none of the usual.
    pub fn remaining_header(mut self, name: &str) -> Self {
        self.remaining_header = Some(name.to_owned());
        self
    }

    /// How many failures in a row take the provider down; 3 unless told.
    pub fn down_after(mut self, failures: u32) -> Self {
        self.down_after = failures;
        self
    }

    /// How many answers in a row bring it back; 1 unless told.
    pub fn up_after(mut self, answers: u32) -> Self {
        self.up_after = answers;
        self
    }

    /// The most bytes a body may have after it was decompressed. Reading beyond is an error. Without a limit unless told.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Keeps the path out of errors and of `Response::url` too, for providers that want a secret in it.
    pub fn secret_in_path(mut self) -> Self {
        self.shown = Shown::Host;
        self
    }

    /// Leaves URLs whole in errors and in `Response::url`. Whatever the query holds gets into logs then.
    pub fn show_urls(mut self) -> Self {
        self.shown = Shown::All;
        self
    }

    /// Makes the provider.
    #[track_caller]
    pub fn build(self) -> Result<Provider, ProviderError> {
        let mut routes = Routes::default();
        for template in &self.routes {
            routes.add(template)?;
        }
        for (what, value) in [("down_after", self.down_after), ("up_after", self.up_after)] {
            if value == 0 {
                return Err(ProviderError::Threshold(what));
            }
        }
        let header = self.remaining_header.as_ref().map(|name| {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            parsed.map_err(|_| ProviderError::Header(name.clone()))
        });
        Ok(Provider::with(self, routes, header.transpose()?))
    }
}
