//! A provider's dataset: how fresh it is.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use jiff::Timestamp;
use obs_core::Value;

use crate::cache::Lookup;
use crate::lazy::Lazy;
use crate::moment::{nanoseconds, timestamp};
use crate::provider::Inner as Owner;
use crate::{CacheMetrics, DatasetMetrics, DatasetName, DatasetSessionMetrics, TradingCalendar};

/// How often a dataset with sessions is updated, by default.
const EXPECTED: Duration = Duration::from_mins(15);

/// No update yet.
const NEVER: i64 = i64::MIN;

/// One of a provider's datasets, such as its daily bars. Made by
/// [`Provider::dataset`](crate::Provider::dataset) and [`Provider::session_dataset`](crate::Provider::session_dataset); all handles of one name are one dataset.
#[derive(Clone, Debug)]
pub struct Dataset(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: String,
    name: Value<DatasetName>,
    /// Whether it is what all share that are beyond the budget: then no gauge can say anything of it.
    is_folded: bool,
    metrics: DatasetMetrics,
    caches: Arc<Lazy<CacheMetrics>>,
    session: Lazy<DatasetSessionMetrics>,
    /// Without one it ages by the clock.
    calendar: OnceLock<TradingCalendar>,
    /// Whether its age is shown.
    ages: AtomicBool,
    owner: Weak<Owner>,
    /// Nanoseconds since 1970.
    updated: AtomicI64,
    made: Timestamp,
}

impl Dataset {
    #[track_caller]
    pub(crate) fn new(owner: &Arc<Owner>, name: Value<DatasetName>, is_folded: bool) -> Self {
        let metrics = DatasetMetrics::new(owner.name(), name.clone());
        metrics.updated.begin_undefined();
        Self(Arc::new(Inner {
            provider: owner.name().to_owned(),
            name,
            is_folded,
            metrics,
            caches: Arc::clone(&owner.caches),
            session: Lazy::new(),
            calendar: OnceLock::new(),
            ages: AtomicBool::new(false),
            owner: Arc::downgrade(owner),
            updated: AtomicI64::new(NEVER),
            made: Timestamp::now(),
        }))
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &DatasetMetrics {
        &self.0.metrics
    }

    /// What caches of its provider record to.
    pub(crate) fn caches(&self) -> &CacheMetrics {
        let provider = self.0.provider.as_str();
        self.0.caches.get(|| CacheMetrics::new(provider))
    }

    /// Says how old the data may become before it is stale, in open hours where it has a market and by the clock elsewhere. An alert
    /// holds the age against that. Where it was never updated its age is the time since the dataset was made.
    ///
    /// ```
    /// use std::time::Duration;
    /// use obs_providers::{Provider, ProviderKind, TradingCalendar};
    ///
    /// let provider = Provider::new("polygon", ProviderKind::MarketData);
    /// let quotes = provider.session_dataset("quotes", TradingCalendar::nyse())
    ///     .expected_within(Duration::from_secs(10));
    /// // By the clock: filings come at any time.
    /// let filings = provider.dataset("filings").expected_within(Duration::from_secs(3 * 86_400));
    /// ```
    #[must_use]
    pub fn expected_within(self, age: Duration) -> Self {
        self.ages(Some(age));
        self
    }

    pub(crate) fn in_sessions(self, calendar: TradingCalendar) -> Self {
        // The first counts.
        let _ = self.0.calendar.set(calendar);
        self.ages(None);
        self
    }

    fn ages(&self, expected: Option<Duration>) {
        let is_new = !self.0.ages.swap(true, Ordering::Relaxed);
        if let Some(expected) = expected.or_else(|| is_new.then_some(EXPECTED)) {
            self.show(|metrics| metrics.expected.set(expected.as_secs_f64()));
        }
        if is_new {
            self.show(|metrics| metrics.session_age.set(0.0));
            if let Some(owner) = self.0.owner.upgrade() {
                owner.observes(self);
            }
        }
    }

    fn show(&self, set: impl FnOnce(&DatasetSessionMetrics)) {
        let Inner { provider, name, .. } = &*self.0;
        let metrics = self
            .0
            .session
            .get(|| DatasetSessionMetrics::new(provider.as_str(), name.clone()));
        if self.0.is_folded {
            metrics.session_age.set_undefined();
            metrics.expected.set_undefined();
        } else {
            set(metrics);
        }
    }

    /// Says that the data was updated just now.
    pub fn updated(&self) {
        let now = Timestamp::now();
        self.update(now, now);
    }

    /// Says that the data is as of that moment, where it says so itself. An update that is older than the last one changes
    /// nothing, unless the last one lies in the future: then a clock has been set back, and what is said now counts.
    pub fn updated_at(&self, at: Timestamp) {
        self.update(at, Timestamp::now());
    }

    fn update(&self, at: Timestamp, now: Timestamp) {
        let (at, now) = (nanoseconds(at), nanoseconds(now));
        let later = |last: i64| {
            let counts = last == NEVER || last > now || at > last;
            counts.then_some(at)
        };
        let changed = self
            .0
            .updated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        if changed.is_ok() && !self.0.is_folded {
            self.0.metrics.updated.set(seconds(timestamp(at)));
        }
    }

    fn last_update(&self) -> Option<Timestamp> {
        let updated = self.0.updated.load(Ordering::Relaxed);
        (updated != NEVER).then(|| timestamp(updated))
    }

    /// Says how old data was when it was served from a cache. [`Cache`](crate::Cache) and [`Lookup`] say it by themselves.
    pub fn served(&self, age: Duration) {
        self.0.metrics.age.record(age);
    }

    /// Starts a lookup in a cache of this data; see [`Lookup`].
    pub fn lookup(&self) -> Lookup {
        Lookup::new(self.clone())
    }

    /// How long ago data was loaded, as far as it can go stale: in open hours where the dataset has a market, and by the
    /// clock elsewhere.
    #[must_use]
    pub fn ages_by(&self, loaded: Timestamp, now: Timestamp) -> Duration {
        match self.0.calendar.get() {
            Some(calendar) => calendar.open_time(loaded, now),
            None => age(loaded, now),
        }
    }

    /// Brings the age in open hours up to that moment.
    pub(crate) fn observe(&self, now: Timestamp) {
        let since = self.last_update().unwrap_or(self.0.made);
        let age = self.ages_by(since, now);
        self.show(|metrics| metrics.session_age.set(age.as_secs_f64()));
    }
}

/// The time between two moments; none where a clock was set back in between.
pub(crate) fn age(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;
    use crate::{Provider, ProviderKind};

    const LABELS: [(&str, &str); 2] = [("provider", "alpaca"), ("dataset", "daily_bars")];

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_update_is_undefined_until_there_is_one_and_never_goes_back() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let bars = test.run(|| provider.dataset("daily_bars"));
        let updated = || test.gauge("provider_data_updated_timestamp_seconds", &LABELS);
        assert!(updated().is_some_and(f64::is_nan));
        bars.update(at("2026-11-25T15:00:00.5Z"), at("2026-11-25T16:00Z"));
        bars.update(at("2026-11-24T15:00Z"), at("2026-11-25T16:00Z"));
        assert_eq!(updated(), Some(1_795_618_800.5));
    }

    /// Otherwise everything would look fresh for an hour, whatever stopped coming.
    #[test]
    fn after_a_clock_was_set_back_the_next_update_counts() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let bars = test.run(|| provider.session_dataset("daily_bars", TradingCalendar::nyse()));
        let gauge = |name| test.gauge(name, &LABELS).unwrap();
        let an_hour_ahead = at("2026-11-25T16:00Z");
        bars.update(an_hour_ahead, an_hour_ahead);
        // The clock is right again.
        bars.observe(at("2026-11-25T15:00Z"));
        assert_eq!(gauge("provider_data_session_age_seconds").to_bits(), 0);
        bars.update(at("2026-11-25T15:00:01Z"), at("2026-11-25T15:00:01Z"));
        bars.observe(at("2026-11-25T15:01Z"));
        assert_eq!(
            gauge("provider_data_updated_timestamp_seconds").to_bits(),
            1_795_618_801_f64.to_bits()
        );
        assert_eq!(
            gauge("provider_data_session_age_seconds").to_bits(),
            59_f64.to_bits()
        );
    }

    #[test]
    fn nothing_ages_over_a_weekend() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let bars = test.run(|| provider.session_dataset("daily_bars", TradingCalendar::nyse()));
        let age = || test.gauge("provider_data_session_age_seconds", &LABELS);
        // It has been there for no time at all.
        bars.observe(at("2026-11-20T20:00Z"));
        assert_eq!(age(), Some(0.0));
        // Friday, half an hour before the close.
        bars.updated_at(at("2026-11-20T20:30Z"));
        bars.observe(at("2026-11-20T20:40Z"));
        assert_eq!(age(), Some(600.0));
        for weekend in [
            "2026-11-20T21:00Z",
            "2026-11-21T12:00Z",
            "2026-11-22T23:00Z",
            "2026-11-23T14:30Z",
        ] {
            bars.observe(at(weekend));
            assert_eq!(age(), Some(1_800.0), "{weekend}");
        }
        bars.observe(at("2026-11-23T14:31Z"));
        assert_eq!(age(), Some(1_860.0));
        assert_eq!(
            bars.ages_by(at("2026-11-20T21:00Z"), at("2026-11-22T12:00Z")),
            Duration::ZERO
        );
    }

    #[test]
    fn all_handles_of_one_name_are_one_dataset() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let handle = || provider.session_dataset("daily_bars", TradingCalendar::always_open());
        handle().updated();
        for _ in 0..1_000 {
            // Were it another, it would never have been updated, and its age were that of the first.
            let _ = handle();
        }
        let far = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        provider.dataset("daily_bars").updated_at(far);
        provider.observe();
        assert_eq!(
            test.gauge("provider_data_session_age_seconds", &LABELS),
            Some(0.0)
        );
        assert_eq!(provider.observed(), 1);
        // Beyond the budget all are one, of which nothing can be said.
        for n in 0..100 {
            let name = format!("dataset {n}");
            let other = provider.session_dataset(&name, TradingCalendar::always_open());
            other.updated();
        }
        assert_eq!(provider.observed(), 51);
        provider.observe();
        let other = [("provider", "alpaca"), ("dataset", "other")];
        for name in [
            "provider_data_session_age_seconds",
            "provider_data_updated_timestamp_seconds",
        ] {
            assert!(test.gauge(name, &other).is_some_and(f64::is_nan), "{name}");
        }
    }

    #[test]
    fn what_was_dead_from_the_start_ages_from_there() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let filings = provider
            .dataset("daily_bars")
            .expected_within(Duration::from_hours(72));
        let gauge = |name| test.gauge(name, &LABELS);
        assert_eq!(
            gauge("provider_data_expected_seconds"),
            Some(3.0 * 86_400.0)
        );
        let week = jiff::SignedDuration::from_hours(7 * 24);
        filings.observe(Timestamp::now() + week);
        assert!(gauge("provider_data_session_age_seconds") > Some(7.0 * 86_400.0 - 60.0));
        assert!(gauge("provider_data_updated_timestamp_seconds").is_some_and(f64::is_nan));
    }

    #[test]
    fn a_dataset_with_a_market_expects_an_update_every_quarter_of_an_hour() {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
        let bars = provider.session_dataset("daily_bars", TradingCalendar::nyse());
        let expected = || test.gauge("provider_data_expected_seconds", &LABELS);
        assert_eq!(expected(), Some(900.0));
        let _ = bars.expected_within(Duration::from_secs(10));
        assert_eq!(expected(), Some(10.0));
    }
}
