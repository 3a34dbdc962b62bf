//! What a provider says about how much may be asked of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::HeaderName;
use jiff::Timestamp;

use crate::provider::Inner;
use crate::wait::{first_number, http_date, quantity, wait};
use crate::{LimitMetrics, ProviderError};

/// Headers that carry the remaining quota, by the names providers use.
const REMAINING: [&str; 4] = [
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
    "ratelimit-remaining",
    "x-ratelimit-requests-remaining",
];

/// Headers that carry what a window allows.
const ALLOWED: [&str; 4] = [
    "x-ratelimit-limit",
    "x-rate-limit-limit",
    "ratelimit-limit",
    "x-ratelimit-requests-limit",
];

/// Headers that carry what of a window is used.
const USED: [&str; 2] = ["x-ratelimit-used", "x-rate-limit-used"];

/// Headers that carry the end of the window.
const RESET: [&str; 4] = [
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "ratelimit-reset",
    "x-ratelimit-requests-reset",
];

/// The headers of the IETF draft (draft-ietf-httpapi-ratelimit-headers): what is left, and what is allowed.
const STRUCTURED: [&str; 2] = ["ratelimit", "ratelimit-policy"];

/// A refusal that says nothing else counts for so long: the shortest of the usual windows.
const PRESUMED: Duration = Duration::from_mins(1);

/// The limit of the usual headers.
const DEFAULT: &str = "default";

/// One of the limits of a provider: a window with a quota, by whatever headers the provider speaks of it, for all endpoints or
/// for some.
///
/// ```
/// use std::time::Duration;
/// use obs_providers::{Provider, ProviderKind, RateLimit};
///
/// let binance = Provider::builder("binance", ProviderKind::MarketData)
///     // What is used comes in a header; what is allowed only in the documentation.
///     .rate_limit(RateLimit::new("weight_1m").used_header("x-mbx-used-weight-1m").allows(6_000).window(Duration::from_secs(60)))
///     // A limit of orders alone: its refusals make nothing else wait.
///     .rate_limit(RateLimit::new("orders_10s").endpoints(["orders"]).used_header("x-mbx-order-count-10s").allows(100))
///     // A ban is for all.
///     .ban_status(418)
///     .build()?;
/// # Ok::<(), obs_providers::ProviderError>(())
/// ```
///
/// Without a header of its own it is that of the usual headers: `X-RateLimit-Limit`, `-Remaining`, `-Used` and `-Reset` with their
/// variants, and `RateLimit` with `RateLimit-Policy` of the IETF draft. A provider that declares none has one called `default`.
#[derive(Clone, Debug)]
#[must_use = "a limit is declared by `ProviderBuilder::rate_limit`"]
pub struct RateLimit {
    name: String,
    endpoints: Vec<String>,
    policy: Option<String>,
    used: Option<String>,
    remaining: Option<String>,
    allowed: Option<String>,
    reset: Option<String>,
    allows: Option<f64>,
    window: Option<Duration>,
}

impl RateLimit {
    /// A limit, by the name its series have.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            endpoints: Vec::new(),
            policy: None,
            used: None,
            remaining: None,
            allowed: None,
            reset: None,
            allows: None,
            window: None,
        }
    }

    /// The endpoints it is for, by name or by template. A refusal of one of them makes these wait and no others.
    pub fn endpoints<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.endpoints.extend(names.into_iter().map(Into::into));
        self
    }

    /// Its name within `RateLimit` of the IETF draft, where that speaks of several.
    pub fn policy(mut self, name: &str) -> Self {
        self.policy = Some(name.to_owned());
        self
    }

    /// The header that says what is used of it.
    pub fn used_header(mut self, name: &str) -> Self {
        self.used = Some(name.to_owned());
        self
    }

    /// The header that says what is left of it.
    pub fn remaining_header(mut self, name: &str) -> Self {
        self.remaining = Some(name.to_owned());
        self
    }

    /// The header that says what it allows.
    pub fn allowed_header(mut self, name: &str) -> Self {
        self.allowed = Some(name.to_owned());
        self
    }

    /// The header that says when its window ends: seconds from now, or seconds, milliseconds, microseconds or nanoseconds since
    /// 1970, or a date of HTTP or RFC 3339, or a duration such as `6m0s`.
    pub fn reset_header(mut self, name: &str) -> Self {
        self.reset = Some(name.to_owned());
        self
    }

    /// What it allows, where no header says so.
    pub fn allows(mut self, most: u32) -> Self {
        self.allows = Some(most.into());
        self
    }

    /// How long its window is: after that what was used is undefined again. Where no header says when it ends and no window was
    /// given, a minute.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Whether it speaks by headers of its own.
    fn has_headers(&self) -> bool {
        let own = [&self.used, &self.remaining, &self.allowed, &self.reset];
        own.iter().any(|header| header.is_some())
    }

    /// Checks the names of its headers, and brings them into the form in which headers are looked up.
    pub(crate) fn prepare(&mut self) -> Result<(), ProviderError> {
        let own = [
            &mut self.used,
            &mut self.remaining,
            &mut self.allowed,
            &mut self.reset,
        ];
        own.into_iter().flatten().try_for_each(|name| {
            name.make_ascii_lowercase();
            header_name(name)
        })
    }
}

/// Whether the text can be a header's name.
pub(crate) fn header_name(name: &str) -> Result<(), ProviderError> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(ProviderError::Header(name.to_owned())),
    }
}

/// Where the headers of a response are looked up, whatever version of `http` they belong to: names come in lower case.
pub(crate) type Headers<'f, 'a> = &'f (dyn Fn(&str) -> Option<&'a str> + 'f);

/// A response is a refusal, and of how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is none.
    None,
    /// The provider cannot answer now: `Retry-After` counts, and no limit was hit.
    Busy,
    /// Of the limits of the endpoint.
    Limit,
    /// Of all endpoints.
    Ban,
}

/// Which limits an endpoint is under, by their place.
pub(crate) type Under = Box<[usize]>;

/// Reads what responses say, and remembers how long to wait.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// The first is the provider's own, of the usual headers unless another declared limit is.
    limits: Vec<Limit>,
    /// A header for what is left of the provider's own limit, looked up before the usual ones.
    remaining_header: Option<String>,
    /// Statuses that mean 429 with this provider.
    pub(crate) statuses: Vec<u16>,
    /// Statuses by which it refuses everything.
    pub(crate) bans: Vec<u16>,
    /// Whether a limit has headers of its own, which are to be looked up in every response.
    own_headers: bool,
    /// Whether something shown has to be taken back once its time is over.
    fading: AtomicBool,
    remaining: Mutex<Fading>,
}

#[derive(Debug)]
struct Limit {
    declared: RateLimit,
    metrics: OnceLock<LimitMetrics>,
    state: Mutex<Fading>,
}

/// Until when something holds.
#[derive(Clone, Copy, Debug, Default)]
struct Fading {
    wait_until: Option<Instant>,
    shown_until: Option<Instant>,
    /// Not said by the provider, but concluded from a refusal.
    presumed: bool,
}

/// What a response says of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Said {
    used: Option<f64>,
    remaining: Option<f64>,
    allowed: Option<f64>,
    reset: Option<Duration>,
}

impl RateLimits {
    pub(crate) fn new(
        declared: Vec<RateLimit>,
        remaining_header: Option<String>,
        statuses: Vec<u16>,
        bans: Vec<u16>,
    ) -> Self {
        let own_headers = declared.iter().any(RateLimit::has_headers);
        let limits = std::iter::once(RateLimit::new(DEFAULT)).chain(declared);
        Self {
            limits: limits.map(Limit::new).collect(),
            own_headers: own_headers || remaining_header.is_some(),
            remaining_header,
            statuses,
            bans,
            fading: AtomicBool::new(false),
            remaining: Mutex::default(),
        }
    }

    /// Makes the series of the declared limits.
    pub(crate) fn prepare(&self, inner: &Inner) {
        for limit in &self.limits[1..] {
            let metrics = limit.metrics(inner);
            metrics.used.set_undefined();
            metrics
                .allowed
                .set(limit.declared.allows.unwrap_or(f64::NAN));
        }
    }

    /// The limits an endpoint is under.
    pub(crate) fn under(&self, endpoint: &str) -> Under {
        let is_under = |limit: &RateLimit| {
            limit.endpoints.is_empty() || limit.endpoints.iter().any(|name| name == endpoint)
        };
        let of_it = self.limits.iter().enumerate().skip(1);
        let mut under: Vec<_> = of_it
            .filter(|(_, limit)| is_under(&limit.declared))
            .map(|(at, _)| at)
            .collect();
        if !under
            .iter()
            .any(|at| !self.limits[*at].declared.has_headers())
        {
            under.insert(0, 0);
        }
        under.into()
    }

    /// Whether a response may say anything of limits.
    pub(crate) fn may_speak(&self, headers: &HeaderMap) -> bool {
        self.own_headers || speak_of_limits(headers)
    }

    /// Takes what a response's headers say.
    pub(crate) fn read(
        &self,
        inner: &Inner,
        under: &[usize],
        headers: Headers<'_, '_>,
        refusal: Refusal,
    ) {
        let now = Instant::now();
        let said = under
            .iter()
            .map(|at| (&self.limits[*at], self.said(*at, headers)));
        let said: Vec<_> = said.collect();
        for (limit, said) in &said {
            if limit.show(inner, *said, now) {
                self.fading.store(true, Ordering::Relaxed);
            }
        }
        let left = said.iter().filter_map(|(_, said)| said.left());
        let left = left.reduce(f64::min);
        let window = said.iter().filter_map(|(_, said)| said.reset).min();
        let retry_after = || headers("retry-after").and_then(retry_after);
        match refusal {
            Refusal::None => {
                self.show_remaining(inner, left, window, now);
                if let Some(window) = window {
                    show_reset(inner, window);
                }
            }
            Refusal::Busy => self.wait(inner, 0, retry_after(), now),
            Refusal::Limit | Refusal::Ban => {
                let wait = retry_after().or(window);
                self.refused(inner, under, wait, left, refusal == Refusal::Ban);
            }
        }
    }

    /// The provider refused, wherever that stood.
    pub(crate) fn refused(
        &self,
        inner: &Inner,
        under: &[usize],
        wait: Option<Duration>,
        left: Option<f64>,
        all: bool,
    ) {
        let now = Instant::now();
        let calls = inner.calls();
        calls.rate_limit_hits.increment(1);
        // That much a refusal says by itself.
        calls.rate_limit_remaining.set(left.unwrap_or(0.0));
        let mut remaining = lock(&self.remaining);
        remaining.presumed = true;
        remaining.shown_until = later(
            remaining.shown_until,
            now.checked_add(wait.unwrap_or(PRESUMED)),
        );
        drop(remaining);
        self.fading.store(true, Ordering::Relaxed);
        let groups = under
            .iter()
            .filter(|at| !self.limits[**at].declared.endpoints.is_empty());
        let groups: Vec<_> = groups.copied().collect();
        if all || groups.is_empty() {
            return self.wait(inner, 0, wait, now);
        }
        for group in groups {
            self.wait(inner, group, wait, now);
        }
    }

    /// A response that says nothing of limits, and is no refusal: where a refusal made us presume that nothing is left, and no wait
    /// is under way, that is over.
    pub(crate) fn answered(&self, inner: &Inner) {
        if self.fading.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.show_remaining(inner, None, None, now);
        }
    }

    /// Takes back what is no longer known.
    pub(crate) fn observe(&self, inner: &Inner) {
        if !self.fading.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let mut fading = false;
        let mut remaining = lock(&self.remaining);
        match remaining.shown_until {
            Some(until) if until <= now => {
                *remaining = Fading::default();
                inner.calls().rate_limit_remaining.set_undefined();
            }
            until => fading |= until.is_some(),
        }
        drop(remaining);
        for limit in &self.limits {
            let mut state = lock(&limit.state);
            match (state.shown_until, limit.metrics.get()) {
                (Some(until), Some(metrics)) if until <= now => {
                    state.shown_until = None;
                    metrics.used.set_undefined();
                }
                (until, _) => fading |= until.is_some(),
            }
        }
        if !fading {
            self.fading.store(false, Ordering::Relaxed);
        }
    }

    /// How long it is still to be waited before an endpoint under these limits is asked; without them, before any is.
    pub(crate) fn waiting(&self, under: &[usize]) -> Option<Duration> {
        let now = Instant::now();
        let waits = std::iter::once(&0).chain(under);
        let until = waits
            .filter_map(|at| lock(&self.limits[*at].state).wait_until)
            .max()?;
        let left = until.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// What of one of the limits is used, where a body says so and no header.
    pub(crate) fn used(&self, inner: &Inner, name: &str, said: (Option<f64>, Option<f64>)) {
        let limit = self.limits.iter().find(|limit| limit.declared.name == name);
        let Some(limit) = limit else { return };
        let (used, allowed) = said;
        let said = Said {
            used,
            allowed,
            ..Said::default()
        };
        if limit.show(inner, said, Instant::now()) {
            self.fading.store(true, Ordering::Relaxed);
        }
    }

    fn said(&self, at: usize, headers: Headers<'_, '_>) -> Said {
        let declared = &self.limits[at].declared;
        let mut said = if declared.has_headers() {
            let own = |name: &Option<String>| headers(name.as_ref()?);
            Said {
                used: own(&declared.used).and_then(first_number),
                remaining: own(&declared.remaining).and_then(first_number),
                allowed: own(&declared.allowed).and_then(first_number),
                reset: own(&declared.reset).and_then(|text| wait(text, Timestamp::now())),
            }
        } else {
            usual(headers, declared.policy.as_deref())
        };
        if at == 0 {
            let own = self.remaining_header.as_ref();
            said.remaining = own
                .and_then(|name| first_number(headers(name)?))
                .or(said.remaining);
        }
        said.allowed = said.allowed.or(declared.allows);
        said
    }

    fn show_remaining(
        &self,
        inner: &Inner,
        left: Option<f64>,
        window: Option<Duration>,
        now: Instant,
    ) {
        let mut remaining = lock(&self.remaining);
        if let Some(left) = left {
            inner.calls().rate_limit_remaining.set(left);
            *remaining = Fading {
                // Without an end of the window what was said holds until something else is.
                shown_until: window.and_then(|window| now.checked_add(window)),
                ..Fading::default()
            };
            if remaining.shown_until.is_some() {
                self.fading.store(true, Ordering::Relaxed);
            }
        } else if remaining.presumed && self.waiting(&[]).is_none() {
            *remaining = Fading::default();
            inner.calls().rate_limit_remaining.set_undefined();
        }
    }

    /// Remembers that nothing is to be asked for a while. A shorter wait does not end a longer one.
    fn wait(&self, inner: &Inner, at: usize, wait: Option<Duration>, now: Instant) {
        let Some(wait) = wait else { return };
        let mut state = lock(&self.limits[at].state);
        let until = later(state.wait_until, now.checked_add(wait));
        state.wait_until = until;
        drop(state);
        if let Some(until) = until {
            show_reset(inner, until.saturating_duration_since(now));
        }
    }
}

impl Limit {
    fn new(declared: RateLimit) -> Self {
        Self {
            declared,
            metrics: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Shows what was said of a limit; whether that has to be taken back later.
    fn show(&self, inner: &Inner, said: Said, now: Instant) -> bool {
        let Some(used) = said.spent() else {
            return false;
        };
        let metrics = self.metrics(inner);
        metrics.used.set(used);
        if let Some(allowed) = said.allowed {
            metrics.allowed.set(allowed);
        }
        let window = said.reset.or(self.declared.window).unwrap_or(PRESUMED);
        lock(&self.state).shown_until = now.checked_add(window);
        true
    }

    fn metrics(&self, inner: &Inner) -> &LimitMetrics {
        self.metrics.get_or_init(|| {
            let name = self.declared.name.as_str();
            let metrics = inner.resolve(|| LimitMetrics::new(inner.name(), name));
            metrics.used.set_undefined();
            metrics.allowed.set_undefined();
            metrics
        })
    }
}

impl Said {
    /// What is left, said or calculated.
    fn left(&self) -> Option<f64> {
        let calculated = || Some((self.allowed? - self.used?).max(0.0));
        self.remaining.or_else(calculated)
    }

    /// What is used, said or calculated.
    fn spent(&self) -> Option<f64> {
        let calculated = || Some((self.allowed? - self.remaining?).max(0.0));
        self.used.or_else(calculated)
    }
}

fn lock(state: &Mutex<Fading>) -> std::sync::MutexGuard<'_, Fading> {
    // Moments are stored whole: a thread that panicked left nothing half done.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn later(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.max(other)
}

/// Whether any of the usual headers may be there. Most responses have none, and looking for each takes longer.
fn speak_of_limits(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-rate") || name.starts_with("rate")
    })
}

fn show_reset(inner: &Inner, wait: Duration) {
    let now = Timestamp::now().as_duration().as_secs_f64();
    let reset = &inner.calls().rate_limit_reset;
    reset.set(now + wait.as_secs_f64());
}

/// What the usual headers say, of the named policy or of whatever has the least left.
fn usual(headers: Headers<'_, '_>, policy: Option<&str>) -> Said {
    let number = |names: &[&str]| names.iter().find_map(|name| first_number(headers(name)?));
    let now = Timestamp::now;
    let reset = RESET.iter().find_map(|name| wait(headers(name)?, now()));
    let plain = Said {
        used: number(&USED),
        remaining: number(&REMAINING),
        allowed: number(&ALLOWED),
        reset,
    };
    match headers(STRUCTURED[0]) {
        Some(text) if plain.remaining.is_none() => {
            let structured = structured(text, headers(STRUCTURED[1]), policy);
            Said {
                used: plain.used,
                remaining: structured.remaining,
                allowed: structured.allowed.or(plain.allowed),
                reset: structured.reset.or(plain.reset),
            }
        }
        _ => plain,
    }
}

/// One item of a structured header: its name and parameters.
struct Item<'a> {
    name: Option<&'a str>,
    text: &'a str,
}

impl Item<'_> {
    fn parameter(&self, names: &[&str]) -> Option<f64> {
        self.text.split([',', ';']).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            names.contains(&name.trim()).then(|| quantity(value))?
        })
    }
}

/// The items of `"burst";r=12;t=3, "daily";r=10;t=400`. An earlier draft has one, `limit=100, remaining=12, reset=5`.
fn items(text: &str) -> Vec<Item<'_>> {
    let unnamed = |text| Item { name: None, text };
    if !text.contains('"') {
        return vec![unnamed(text)];
    }
    let item = |text: &'_ str| -> Option<(usize, usize)> {
        let start = text.find('"')?;
        let end = start + 1 + text[start + 1..].find('"')?;
        Some((start + 1, end))
    };
    let items = text.split(',').map(|text| match item(text) {
        Some((start, end)) => Item {
            name: Some(&text[start..end]),
            text,
        },
        None => unnamed(text),
    });
    items.collect()
}

fn structured(left: &str, policies: Option<&str>, policy: Option<&str>) -> Said {
    let left = items(left);
    let named = |item: &&Item<'_>| policy.is_none() || item.name == policy;
    let remaining = |item: &Item<'_>| item.parameter(&["r", "remaining"]);
    let tightest = left
        .iter()
        .filter(named)
        .filter(|item| remaining(item).is_some());
    let tightest = tightest.min_by(|a, b| {
        let (a, b) = (remaining(a), remaining(b));
        a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
    });
    let Some(item) = tightest else {
        return Said::default();
    };
    let policies = policies.map(items).unwrap_or_default();
    let of_policy = policies.iter().find(|policy| policy.name == item.name);
    let reset = item.parameter(&["t", "reset"]);
    Said {
        used: None,
        remaining: remaining(item),
        allowed: of_policy
            .and_then(|policy| policy.parameter(&["q"]))
            .or_else(|| item.parameter(&["limit"])),
        reset: reset.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    }
}

/// `Retry-After` holds seconds or a date; a date that has passed is no wait.
fn retry_after(text: &str) -> Option<Duration> {
    let now = Timestamp::now();
    wait(text, now).or_else(|| http_date(text).map(|_| Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use obs_core::TestRecorder;

    use super::*;
    use crate::{Provider, ProviderKind};

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn said(pairs: Pairs<'_>) -> Said {
        let headers: BTreeMap<_, _> = pairs.iter().copied().collect();
        usual(&|name| headers.get(name).copied(), None)
    }

    /// A provider under a recorder, and a way to hand it a response.
    struct Limited {
        test: TestRecorder,
        provider: Provider,
    }

    impl Limited {
        fn new(limits: impl IntoIterator<Item = RateLimit>) -> Self {
            let test = TestRecorder::new();
            let provider = test.run(|| {
                let builder = Provider::builder("binance", ProviderKind::MarketData);
                let builder = limits
                    .into_iter()
                    .fold(builder, super::super::provider::ProviderBuilder::rate_limit);
                builder.build().unwrap()
            });
            Self { test, provider }
        }

        fn answers(&self, endpoint: &str, pairs: Pairs<'_>, refusal: Refusal) {
            let headers: BTreeMap<_, _> = pairs.iter().copied().collect();
            let inner = &self.provider.0;
            let under = inner.limits.under(endpoint);
            let headers = |name: &str| headers.get(name).copied();
            inner.limits.read(inner, &under, &headers, refusal);
        }

        fn gauge(&self, name: &str) -> f64 {
            self.test.gauge(name, &[("provider", "binance")]).unwrap()
        }

        fn limit(&self, name: &str, limit: &str) -> f64 {
            let labels = [("provider", "binance"), ("limit", limit)];
            self.test.gauge(name, &labels).unwrap()
        }
    }

    #[test]
    fn the_usual_headers_are_read() {
        for (name, value, expected) in [
            ("x-ratelimit-remaining", "42", Some(42.0)),
            ("x-ratelimit-remaining", "598.0", Some(598.0)),
            ("x-rate-limit-remaining", " 7 ", Some(7.0)),
            ("ratelimit-remaining", "0", Some(0.0)),
            ("ratelimit-remaining", "9, 99;w=60", Some(9.0)),
            ("ratelimit", "\"default\";r=50;t=30", Some(50.0)),
            (
                "ratelimit",
                "\"burst\";r=12;t=3, \"daily\";r=10;t=400",
                Some(10.0),
            ),
            ("ratelimit", "limit=100, remaining=12, reset=5", Some(12.0)),
            ("x-ratelimit-remaining", "-1", None),
            ("x-ratelimit-remaining", "NaN", None),
            ("x-ratelimit-remaining", "inf", None),
            ("x-ratelimit-remaining", "many", None),
            ("ratelimit", "r", None),
            ("ratelimit", "\"r", None),
            ("x-other", "5", None),
        ] {
            assert_eq!(
                said(&[(name, value)]).remaining,
                expected,
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn the_drafts_policies_say_what_is_allowed() {
        let headers = [
            ("ratelimit", "\"burst\";r=12;t=3, \"daily\";r=10;t=400"),
            (
                "ratelimit-policy",
                "\"burst\";q=100;w=10, \"daily\";q=1000;w=86400",
            ),
        ];
        let tightest = said(&headers);
        assert_eq!(
            (tightest.allowed, tightest.spent()),
            (Some(1_000.0), Some(990.0))
        );
        assert_eq!(tightest.reset, Some(Duration::from_secs(400)));
        let headers: BTreeMap<_, _> = headers.into_iter().collect();
        let burst = usual(&|name| headers.get(name).copied(), Some("burst"));
        assert_eq!((burst.allowed, burst.spent()), (Some(100.0), Some(88.0)));
    }

    #[test]
    fn a_providers_own_header_comes_first() {
        let test = TestRecorder::new();
        let provider = test.run(|| {
            let builder = Provider::builder("binance", ProviderKind::MarketData);
            builder.remaining_header("x-credits").build().unwrap()
        });
        let it = Limited { test, provider };
        let given = [("x-ratelimit-remaining", "1"), ("x-credits", "2")];
        it.answers("bars", &given, Refusal::None);
        assert_eq!(
            it.gauge("provider_rate_limit_remaining").to_bits(),
            2_f64.to_bits()
        );
    }

    #[test]
    fn what_is_used_stands_beside_what_is_allowed() {
        let it = Limited::new([
            RateLimit::new("weight_1m")
                .used_header("x-mbx-used-weight-1m")
                .allows(6_000),
            RateLimit::new("orders")
                .endpoints(["orders"])
                .remaining_header("x-bapi-limit-status")
                .allowed_header("x-bapi-limit")
                .reset_header("x-bapi-limit-reset-timestamp"),
        ]);
        assert!(it.limit("provider_rate_limit_used", "weight_1m").is_nan());
        assert_eq!(
            it.limit("provider_rate_limit_allowed", "weight_1m")
                .to_bits(),
            6_000_f64.to_bits()
        );
        let headers = [
            ("x-mbx-used-weight-1m", "1200"),
            ("x-bapi-limit-status", "2"),
            ("x-bapi-limit", "10"),
            ("x-ratelimit-limit", "300"),
            ("x-ratelimit-remaining", "299"),
        ];
        it.answers("bars", &headers, Refusal::None);
        let used = |limit| it.limit("provider_rate_limit_used", limit);
        assert_eq!(used("weight_1m").to_bits(), 1_200_f64.to_bits());
        assert_eq!(used("default").to_bits(), 1_f64.to_bits());
        assert!(used("orders").is_nan(), "it is of another endpoint");
        it.answers("orders", &headers, Refusal::None);
        assert_eq!(used("orders").to_bits(), 8_f64.to_bits());
        // The tightest of them.
        assert_eq!(
            it.gauge("provider_rate_limit_remaining").to_bits(),
            2_f64.to_bits()
        );
        it.provider.limit_used("weight_1m", 5_999.0, None);
        assert_eq!(used("weight_1m").to_bits(), 5_999_f64.to_bits());
        it.provider.limit_used("never declared", 1.0, None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("0.493"), Some(Duration::from_millis(493)));
        assert_eq!(retry_after("1.5"), Some(Duration::from_millis(1_500)));
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(retry_after(date), Some(Duration::ZERO), "{date}");
        }
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("99999999999999999999"), None);
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3_600);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&later);
        let wait = retry_after(&date.unwrap()).unwrap().as_secs_f64();
        assert!((3_590.0..=3_600.0).contains(&wait), "{wait}");
    }

    #[test]
    fn a_refusal_is_counted_and_says_how_long_to_wait() {
        let it = Limited::new([]);
        it.answers("bars", &[("x-ratelimit-remaining", "5")], Refusal::None);
        assert_eq!(
            it.gauge("provider_rate_limit_remaining").to_bits(),
            5_f64.to_bits()
        );
        assert_eq!(it.provider.retry_after(), None);
        it.answers("bars", &[("retry-after", "60")], Refusal::Limit);
        assert_eq!(it.gauge("provider_rate_limit_remaining").to_bits(), 0);
        let hits = it
            .test
            .counter("provider_rate_limit_hits_total", &[("provider", "binance")]);
        assert_eq!(hits, Some(1));
        let wait = it.provider.retry_after();
        assert!(wait.is_some_and(|wait| wait <= Duration::from_mins(1)));
        assert!(it.gauge("provider_rate_limit_reset_timestamp_seconds") > 1.7e9);
    }

    /// An hour's ban is not over because a second was mentioned meanwhile.
    #[test]
    fn a_shorter_limit_does_not_shorten_a_ban() {
        let it = Limited::new([]);
        it.answers("bars", &[("retry-after", "3600")], Refusal::Ban);
        it.answers("bars", &[("retry-after", "1")], Refusal::Limit);
        it.answers("bars", &[("retry-after", "2")], Refusal::Busy);
        it.provider.rate_limited(Some(Duration::from_secs(3)));
        assert!(it.provider.retry_after() > Some(Duration::from_secs(3_500)));
        let reset = it.gauge("provider_rate_limit_reset_timestamp_seconds");
        let now = Timestamp::now().as_duration().as_secs_f64();
        assert!(reset > now + 3_500.0);
    }

    #[test]
    fn what_a_refusal_made_us_presume_ends_with_the_wait() {
        let it = Limited::new([]);
        let remaining = || it.gauge("provider_rate_limit_remaining");
        it.answers("bars", &[("retry-after", "0")], Refusal::Limit);
        assert_eq!(remaining().to_bits(), 0);
        it.provider.observe();
        assert!(remaining().is_nan());
        // Without a wait the next answer ends it, or a minute without one.
        it.answers("bars", &[], Refusal::Limit);
        it.provider.observe();
        assert_eq!(remaining().to_bits(), 0);
        it.answers("bars", &[], Refusal::None);
        assert!(remaining().is_nan());
        // While a wait is under way another answer says nothing.
        it.answers("bars", &[("retry-after", "60")], Refusal::Limit);
        it.provider.0.limits.answered(&it.provider.0);
        assert_eq!(remaining().to_bits(), 0);
    }

    #[test]
    fn what_is_used_is_undefined_once_the_window_has_ended() {
        let used = RateLimit::new("weight_1m").used_header("x-mbx-used-weight-1m");
        let it = Limited::new([used.window(Duration::ZERO)]);
        it.answers("bars", &[("x-mbx-used-weight-1m", "5990")], Refusal::None);
        let used = || it.limit("provider_rate_limit_used", "weight_1m");
        assert_eq!(used().to_bits(), 5_990_f64.to_bits());
        it.provider.observe();
        assert!(used().is_nan());
    }

    #[test]
    fn a_limit_of_some_endpoints_makes_only_those_wait() {
        let it = Limited::new([RateLimit::new("orders").endpoints(["orders", "/v3/order/{id}"])]);
        it.answers("orders", &[("retry-after", "60")], Refusal::Limit);
        assert_eq!(it.provider.retry_after(), None);
        assert_eq!(it.provider.retry_after_for("bars"), None);
        assert!(it.provider.retry_after_for("orders").is_some());
        assert!(it.provider.retry_after_for("/v3/order/{id}").is_some());
        // A ban is for all, and so is a provider that is busy.
        it.answers("orders", &[("retry-after", "30")], Refusal::Ban);
        assert!(it.provider.retry_after_for("bars") <= Some(Duration::from_secs(30)));
        assert!(it.provider.retry_after_for("bars").is_some());
        assert!(it.provider.retry_after_for("orders") > Some(Duration::from_secs(50)));
    }

    #[test]
    fn a_provider_that_is_busy_says_when_to_come_again_and_no_limit_was_hit() {
        let it = Limited::new([]);
        it.answers("bars", &[("retry-after", "20")], Refusal::Busy);
        assert!(it.provider.retry_after().is_some());
        let hits = it
            .test
            .counter("provider_rate_limit_hits_total", &[("provider", "binance")]);
        assert_eq!(hits, Some(0));
    }
}
