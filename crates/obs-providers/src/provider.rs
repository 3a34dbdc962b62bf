//! A provider: what calls are measured by, and what is known of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use obs_core::{By, Counter, Keyed, Value};

use crate::availability::Availability;
use crate::call::Call;
use crate::dataset::Dataset;
use crate::failure::Shown;
use crate::lazy::Lazy;
use crate::rate_limit::{RateLimits, Refusal, Under, header_name};
use crate::routes::Routes;
use crate::{
    AttemptMetrics, CacheMetrics, CallMetrics, CallOutcome, DatasetMetrics, DatasetName,
    EndpointMetrics, EndpointName, ErrorType, Feed, FeedMetrics, FeedName, ProbeMetrics,
    ProviderError, ProviderKind, ProviderMetrics, RateLimit, RequestMetrics, TradingCalendar,
    UNMATCHED, carried,
};

/// The most limits that one provider declares.
const LIMITS: usize = 20;

/// An outside provider of data under measurement. Built at start-up, cloned and handed to the code that calls it or keeps its
/// data; clones share what they know.
///
/// Series exist for what is used: those of calls from the first middleware, layer or call on, those of caches from the first lookup
/// on, and so forth.
///
/// Two providers of one name in a process share their series, but not their idea of whether the provider is up: build one
/// and clone it.
#[derive(Clone)]
pub struct Provider(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    name: String,
    kind: ProviderKind,
    metrics: ProviderMetrics,
    calls: Lazy<CallMetrics>,
    attempts: Lazy<AttemptMetrics>,
    probes: Lazy<ProbeMetrics>,
    pub(crate) caches: Arc<Lazy<CacheMetrics>>,
    endpoints: Keyed<EndpointName, Arc<Endpoint>>,
    /// Endpoints whose series exist before their first call, beside those of the routes.
    declared: Vec<&'static str>,
    routes: Routes,
    pub(crate) limits: RateLimits,
    pub(crate) availability: Availability,
    pub(crate) max_body: Option<u64>,
    pub(crate) shown: Shown,
    datasets: Keyed<DatasetName, Dataset>,
    pub(crate) feeds: Keyed<FeedName, Feed>,
    /// Those that [`Provider::observe`] has something to do for.
    observed: Mutex<Vec<Dataset>>,
    observed_feeds: Mutex<Vec<Feed>>,
}

/// What calls to one endpoint record to, and the limits they are under.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) requests: By<CallOutcome, Counter>,
    pub(crate) metrics: EndpointMetrics,
    pub(crate) under: Under,
}

impl Provider {
    /// A provider with everything as it usually is; [`builder`](Self::builder) is for the rest.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str, kind: ProviderKind) -> Self {
        Self::with(ProviderBuilder::new(name, kind), Routes::default())
    }

    /// A provider that has more to be said of it.
    pub fn builder(name: &str, kind: ProviderKind) -> ProviderBuilder {
        ProviderBuilder::new(name, kind)
    }

    #[track_caller]
    fn with(builder: ProviderBuilder, routes: Routes) -> Self {
        let metrics = ProviderMetrics::new(&builder.name);
        let (down_after, up_after) = (builder.down_after, builder.up_after);
        let availability = Availability::new(down_after, up_after, builder.sessions, &metrics);
        let provider = Self(Arc::new(Inner {
            name: builder.name,
            kind: builder.kind,
            metrics,
            calls: Lazy::new(),
            attempts: Lazy::new(),
            probes: Lazy::new(),
            caches: Arc::new(Lazy::new()),
            endpoints: Keyed::new(RequestMetrics::FAMILIES),
            declared: builder.endpoints,
            limits: RateLimits::new(
                builder.limits,
                builder.remaining_header,
                builder.limited_statuses,
                builder.ban_statuses,
            ),
            routes,
            availability,
            max_body: builder.max_body,
            shown: builder.shown,
            datasets: Keyed::new(DatasetMetrics::FAMILIES),
            observed: Mutex::default(),
            feeds: Keyed::new(FeedMetrics::FAMILIES),
            observed_feeds: Mutex::default(),
        }));
        provider.0.limits.prepare(&provider.0);
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

    /// Begins a call that any client makes: see [`Call`]. `endpoint` names what is called, never a path or a query.
    ///
    /// It takes the name of the endpoint as text of the program, so that nothing a caller says can become a label.
    pub fn call(&self, endpoint: &'static str) -> Call {
        self.0.calls();
        Call::start(Arc::clone(&self.0), self.0.endpoint(endpoint))
    }

    /// Says that the provider refused because too much was asked of it, where that stands in a body and not in the status,
    /// and how long it wants to be left alone. Said while a body is being [decoded](crate::Decode), it makes that call `rate_limited`.
    pub fn rate_limited(&self, retry_after: Option<Duration>) {
        self.0
            .limits
            .refused(&self.0, &[], retry_after, None, false);
        carried::found(ErrorType::RateLimited);
    }

    /// Says what of a declared [limit](ProviderBuilder::rate_limit) is used, and what it allows, where a body says so and no header.
    /// A name that was not declared changes nothing.
    pub fn limit_used(&self, limit: &str, used: f64, allowed: Option<f64>) {
        self.0.limits.used(&self.0, limit, (Some(used), allowed));
    }

    /// How long the provider still wants to be left alone, by the last refusals that said so: the longest of what they asked for. A
    /// refusal by a limit of [some endpoints](RateLimit::endpoints) is not among them.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.limits.waiting(&[])
    }

    /// How long one of its endpoints wants to be left alone: the provider as a whole, or a limit of that endpoint.
    #[must_use]
    pub fn retry_after_for(&self, endpoint: &str) -> Option<Duration> {
        self.0.limits.waiting(&self.0.limits.under(endpoint))
    }

    /// One of its datasets. All handles of one name are one dataset.
    #[must_use]
    #[track_caller]
    pub fn dataset(&self, name: &str) -> Dataset {
        let inner = &self.0;
        let build = |value: Value<DatasetName>| {
            // What is folded is many datasets, and none of them.
            let is_folded = value.as_str() != name;
            Dataset::new(inner, value, is_folded)
        };
        inner.datasets.of(name, build).clone()
    }

    /// One of its datasets that changes only while a market is open: its age is counted in open hours, so that nothing
    /// goes stale on a Sunday. It is expected to be updated every 15 minutes;
    /// [`expected_within`](Dataset::expected_within) says otherwise.
    ///
    /// All handles of one name are one dataset, and the calendar that it was first given is its own.
    #[must_use]
    #[track_caller]
    pub fn session_dataset(&self, name: &str, calendar: TradingCalendar) -> Dataset {
        self.dataset(name).in_sessions(calendar)
    }

    #[cfg(test)]
    pub(crate) fn observed(&self) -> usize {
        self.0.observed.lock().unwrap().len()
    }

    /// Brings up to date what changes by the mere passing of time: unavailable seconds, limits whose window has ended, the age
    /// of data, and silences of feeds. To be called before every scrape; the exporter has a hook for it.
    pub fn observe(&self) {
        self.observe_at(Instant::now(), Timestamp::now());
    }

    fn observe_at(&self, now: Instant, wall: Timestamp) {
        let feeds = self
            .0
            .observed_feeds
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        feeds.iter().for_each(Feed::observe);
        drop(feeds);
        self.0.availability.observe(now, wall);
        self.0.limits.observe(&self.0);
        let observed = self
            .0
            .observed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        observed.iter().for_each(|dataset| dataset.observe(wall));
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
    /// Has a dataset brought up to date before every scrape.
    pub(crate) fn observes(&self, dataset: &Dataset) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.push(dataset.clone());
    }

    /// Has a feed brought up to date before every scrape.
    pub(crate) fn observes_feed(&self, feed: &Feed) {
        let mut feeds = self
            .observed_feeds
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        feeds.push(feed.clone());
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Resolves something from the recorder that the provider was built under.
    pub(crate) fn resolve<T>(&self, build: impl FnOnce() -> T) -> T {
        self.endpoints.resolve(build)
    }

    /// What calls record to; with the first, the endpoints that are known.
    pub(crate) fn calls(&self) -> &CallMetrics {
        self.calls.get(|| {
            let metrics = CallMetrics::new(self.name.as_str());
            metrics.rate_limit_remaining.set_undefined();
            // A time that was said stays true.
            metrics.rate_limit_reset.begin_undefined();
            metrics
        })
    }

    /// Makes the series of calls, and of the endpoints that are known.
    pub(crate) fn prepare_calls(&self) {
        self.calls();
        // Takes its place in the budget before any other.
        self.endpoint(UNMATCHED);
        let known = self.routes.templates().chain(self.declared.iter().copied());
        known.for_each(|endpoint| drop(self.endpoint(endpoint)));
    }

    /// Whether anything measures attempts, so that calls have to ask what theirs came to.
    pub(crate) fn has_attempts(&self) -> bool {
        self.attempts.is_made()
    }

    pub(crate) fn attempts(&self) -> &AttemptMetrics {
        self.attempts
            .get(|| AttemptMetrics::new(self.name.as_str()))
    }

    pub(crate) fn probes(&self) -> &ProbeMetrics {
        self.probes.get(|| ProbeMetrics::new(self.name.as_str()))
    }

    /// What an endpoint records to. That of a known one is found without a lock.
    pub(crate) fn endpoint(&self, name: &str) -> Arc<Endpoint> {
        let build = |value: Value<EndpointName>| {
            let under = self.limits.under(name);
            let requests = RequestMetrics::new(self.name.as_str(), self.kind, value.clone());
            Arc::new(Endpoint {
                requests: requests.requests,
                metrics: EndpointMetrics::new(self.name.as_str(), value),
                under,
            })
        };
        Arc::clone(self.endpoints.of(name, build))
    }

    /// The endpoint of a path, by the route table.
    pub(crate) fn endpoint_of_path(&self, path: &str) -> Arc<Endpoint> {
        self.endpoint(self.routes.find(path).unwrap_or(UNMATCHED))
    }

    /// What a status says went wrong.
    pub(crate) fn error_of_code(&self, status: u16) -> Option<ErrorType> {
        let limits = &self.limits;
        if limits.statuses.contains(&status) || limits.bans.contains(&status) {
            return Some(ErrorType::RateLimited);
        }
        ErrorType::of_code(status)
    }

    /// Whether, and of what, a response with this error and status is a refusal.
    pub(crate) fn refusal(&self, error: Option<ErrorType>, status: Option<u16>) -> Refusal {
        match error {
            Some(ErrorType::RateLimited)
                if self.limits.bans.iter().any(|ban| Some(*ban) == status) =>
            {
                Refusal::Ban
            }
            Some(ErrorType::RateLimited) => Refusal::Limit,
            Some(ErrorType::ServerError) => Refusal::Busy,
            _ => Refusal::None,
        }
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
    limits: Vec<RateLimit>,
    remaining_header: Option<String>,
    limited_statuses: Vec<u16>,
    ban_statuses: Vec<u16>,
    sessions: Option<TradingCalendar>,
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
            limits: Vec::new(),
            remaining_header: None,
            limited_statuses: Vec::new(),
            ban_statuses: Vec::new(),
            sessions: None,
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

    /// Makes the series of an endpoint exist before its first call, as those of routes do.
    pub fn endpoint(mut self, name: &'static str) -> Self {
        self.endpoints.push(name);
        self
    }

    /// One of its limits, where the usual headers do not say it all: see [`RateLimit`].
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.limits.push(limit);
        self
    }

    /// A status by which this provider says what others say by 429.
    pub fn rate_limit_status(mut self, status: u16) -> Self {
        self.limited_statuses.push(status);
        self
    }

    /// A status by which this provider refuses everything, whatever endpoint was called, such as 418 of Binance: it counts as
    /// `rate_limited`, and its `Retry-After` is for all endpoints.
    pub fn ban_status(mut self, status: u16) -> Self {
        self.ban_statuses.push(status);
        self
    }

    /// When the provider is used. Outside of these sessions a failure that is older than 15 minutes says nothing any more:
    /// `provider_up` is undefined then, and no unavailable time runs.
    pub fn sessions(mut self, calendar: TradingCalendar) -> Self {
        self.sessions = Some(calendar);
        self
    }

    /// A header in which this provider says how many calls are left, if it is none of the usual.
    pub fn remaining_header(mut self, name: &str) -> Self {
        self.remaining_header = Some(name.to_owned());
        self
    }

    /// How many failures in a row take the provider down; by default 3.
    pub fn down_after(mut self, failures: u32) -> Self {
        self.down_after = failures;
        self
    }

    /// How many answers in a row bring it back; by default 1.
    pub fn up_after(mut self, answers: u32) -> Self {
        self.up_after = answers;
        self
    }

    /// The most bytes a body may have after it was decompressed. Reading beyond is an error. By default there is no limit.
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
    pub fn build(mut self) -> Result<Provider, ProviderError> {
        let mut routes = Routes::default();
        for template in &self.routes {
            routes.add(template)?;
        }
        for (what, value) in [("down_after", self.down_after), ("up_after", self.up_after)] {
            if value == 0 {
                return Err(ProviderError::Threshold(what));
            }
        }
        if let Some(name) = &mut self.remaining_header {
            header_name(name)?;
            name.make_ascii_lowercase();
        }
        if self.limits.len() > LIMITS {
            return Err(ProviderError::Limits(self.limits.len(), LIMITS));
        }
        self.limits.iter_mut().try_for_each(RateLimit::prepare)?;
        Ok(Provider::with(self, routes))
    }
}
