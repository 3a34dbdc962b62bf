//! What a provider says about how much may be asked of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use crate::ProviderMetrics;

/// Headers that carry the remaining quota as a bare number, by the names providers use.
static REMAINING: [HeaderName; 4] = [
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-rate-limit-remaining"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-requests-remaining"),
];

/// The header of the IETF draft, which carries quota and window as parameters.
static STRUCTURED: HeaderName = HeaderName::from_static("ratelimit");

/// Headers that carry the end of the window, in seconds from now or since 1970.
static RESET: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-rate-limit-reset"),
    HeaderName::from_static("ratelimit-reset"),
];

/// A number of seconds above this is a date: nobody asks to wait for thirty years.
const LONGEST_WAIT_SECONDS: f64 = 1e9;

/// Reads what responses say, and remembers how long to wait.
#[derive(Debug)]
pub(crate) struct RateLimits {
    /// A header of the provider's own, asked before the usual ones.
    pub(crate) remaining_header: Option<HeaderName>,
    /// Statuses that mean 429 with this provider.
    pub(crate) statuses: Vec<u16>,
    wait_until: Mutex<Option<Instant>>,
}

impl RateLimits {
    pub(crate) fn new(remaining_header: Option<HeaderName>, statuses: Vec<u16>) -> Self {
        Self {
            remaining_header,
            statuses,
            wait_until: Mutex::new(None),
        }
    }

    /// Takes what a response's headers say.
    pub(crate) fn read(&self, metrics: &ProviderMetrics, headers: &HeaderMap, limited: bool) {
        let speaks = speak_of_limits(headers);
        if let Some(remaining) = self.remaining(headers, speaks) {
            metrics.rate_limit_remaining.set(remaining);
        } else if limited {
            // That much a refusal says by itself.
            metrics.rate_limit_remaining.set(0.0);
        }
        let window = || speaks.then(|| reset(headers))?;
        if limited {
            metrics.rate_limit_hits.increment(1);
            let wait = headers.get(RETRY_AFTER).and_then(retry_after);
            self.wait(metrics, wait.or_else(window));
        } else if let Some(wait) = window() {
            show_reset(metrics, wait);
        }
    }

    /// Remembers that nothing is to be asked for a while.
    pub(crate) fn wait(&self, metrics: &ProviderMetrics, wait: Option<Duration>) {
        let Some(wait) = wait else { return };
        show_reset(metrics, wait);
        let until = Instant::now().checked_add(wait);
        *self
            .wait_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// How long it is still to be waited.
    pub(crate) fn waiting(&self) -> Option<Duration> {
        let until = *self
            .wait_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = until?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left)
    }

    fn remaining(&self, headers: &HeaderMap, speaks: bool) -> Option<f64> {
        let own = self.remaining_header.as_ref();
        let own = own.and_then(|name| number(headers.get(name)?));
        own.or_else(|| speaks.then(|| usual_remaining(headers))?)
    }
}

/// Whether any of the usual headers may be there. Most responses have none, and looking for each takes longer.
fn speak_of_limits(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with("x-rate") || name.starts_with("rate")
    })
}

fn usual_remaining(headers: &HeaderMap) -> Option<f64> {
    let plain = REMAINING
        .iter()
        .filter_map(|name| headers.get(name))
        .find_map(number);
    plain.or_else(|| parameter(headers.get(&STRUCTURED)?, &["r", "remaining"]))
}

fn show_reset(metrics: &ProviderMetrics, wait: Duration) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    metrics.rate_limit_reset.set((now + wait).as_secs_f64());
}

/// How long until the window ends, by the headers that say so.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let plain = RESET
        .iter()
        .filter_map(|name| headers.get(name))
        .find_map(number);
    let seconds = plain.or_else(|| parameter(headers.get(&STRUCTURED)?, &["t", "reset"]))?;
    if seconds > LONGEST_WAIT_SECONDS {
        until(seconds)
    } else {
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// How long until a time in seconds since 1970; nothing when it has passed.
fn until(timestamp: f64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let then = Duration::try_from_secs_f64(timestamp).ok()?;
    // A timestamp in milliseconds lies some ten thousand years ahead.
    then.checked_sub(now)
        .filter(|wait| wait.as_secs_f64() <= LONGEST_WAIT_SECONDS)
}

/// `Retry-After` holds seconds or a date.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = parser.parse_timestamp(text).ok()?;
    Some(until(date.as_second() as f64).unwrap_or_default())
}

/// A number that is finite and not negative, in front of whatever else the header says.
fn number(value: &HeaderValue) -> Option<f64> {
    let text = value.to_str().ok()?;
    quantity(text.split([',', ';']).next()?)
}

/// A parameter such as `r=50`, by any of its names.
fn parameter(value: &HeaderValue, names: &[&str]) -> Option<f64> {
    let text = value.to_str().ok()?;
    text.split([',', ';']).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        names.contains(&name.trim()).then(|| quantity(value))?
    })
}

fn quantity(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn remaining(pairs: &[(&'static str, &str)]) -> Option<f64> {
        let headers = headers(pairs);
        RateLimits::new(None, Vec::new()).remaining(&headers, speak_of_limits(&headers))
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
            ("ratelimit", "limit=100, remaining=12, reset=5", Some(12.0)),
            ("x-ratelimit-remaining", "-1", None),
            ("x-ratelimit-remaining", "NaN", None),
            ("x-ratelimit-remaining", "inf", None),
            ("x-ratelimit-remaining", "many", None),
            ("ratelimit", "r", None),
            ("x-other", "5", None),
        ] {
            assert_eq!(remaining(&[(name, value)]), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_providers_own_header_comes_first() {
        let own = RateLimits::new(Some(HeaderName::from_static("x-credits")), Vec::new());
        let given = headers(&[("x-ratelimit-remaining", "1"), ("x-credits", "2")]);
        assert_eq!(own.remaining(&given, true), Some(2.0));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |text: &str| retry_after(&text.parse().unwrap());
        assert_eq!(of("120"), Some(Duration::from_mins(2)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(of("-1"), None);
        assert_eq!(of("soon"), None);
        assert_eq!(of("99999999999999999999"), None);
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3_600);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&later);
        let wait = of(&date.unwrap()).unwrap().as_secs_f64();
        assert!((3_590.0..=3_600.0).contains(&wait), "{wait}");
    }

    #[test]
    fn the_end_of_the_window_is_a_wait_or_a_date() {
        let of = |value: &str| reset(&headers(&[("x-ratelimit-reset", value)]));
        assert_eq!(of("30"), Some(Duration::from_secs(30)));
        assert_eq!(of("1000000001"), None);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let wait = of(&(now + 60).to_string()).unwrap().as_secs_f64();
        assert!((50.0..=60.0).contains(&wait), "{wait}");
        assert_eq!(of(&((now + 60) * 1_000).to_string()), None);
        let structured = headers(&[("ratelimit", "\"default\";r=50;t=30")]);
        assert_eq!(reset(&structured), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_refusal_is_counted_and_says_how_long_to_wait() {
        let test = TestRecorder::new();
        let metrics = test.run(|| ProviderMetrics::new("alpaca"));
        let limits = RateLimits::new(None, Vec::new());
        let labels = [("provider", "alpaca")];
        limits.read(&metrics, &headers(&[("x-ratelimit-remaining", "5")]), false);
        assert_eq!(
            test.gauge("provider_rate_limit_remaining", &labels),
            Some(5.0)
        );
        assert_eq!(limits.waiting(), None);
        limits.read(&metrics, &headers(&[("retry-after", "60")]), true);
        assert_eq!(
            test.gauge("provider_rate_limit_remaining", &labels),
            Some(0.0)
        );
        assert_eq!(
            test.counter("provider_rate_limit_hits_total", &labels),
            Some(1)
        );
        assert!(
            limits
                .waiting()
                .is_some_and(|wait| wait <= Duration::from_mins(1))
        );
        let reset = test.gauge("provider_rate_limit_reset_timestamp_seconds", &labels);
        assert!(reset.is_some_and(|reset| reset > 1.7e9));
    }
}
