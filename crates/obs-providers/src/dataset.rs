//! A provider's dataset: how fresh it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::cache::Lookup;
use crate::{DatasetMetrics, DatasetSessionMetrics, Provider, ProviderMetrics, TradingCalendar};

/// One of a provider's datasets, such as its daily bars. Made by [`Provider::dataset`] and
/// [`Provider::session_dataset`]; clones share what they know.
#[derive(Clone, Debug)]
pub struct Dataset(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Arc<ProviderMetrics>,
    metrics: DatasetMetrics,
    sessions: Option<Sessions>,
    updated: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
struct Sessions {
    calendar: TradingCalendar,
    metrics: DatasetSessionMetrics,
}

impl Dataset {
    #[track_caller]
    pub(crate) fn new(provider: &Provider, name: &str, calendar: Option<TradingCalendar>) -> Self {
        let metrics = DatasetMetrics::new(provider.name(), name);
        metrics.updated.set_undefined();
        let sessions = calendar.map(|calendar| {
            let metrics = DatasetSessionMetrics::new(provider.name(), name);
            metrics.session_age.set_undefined();
            Sessions { calendar, metrics }
        });
        Self(Arc::new(Inner {
            provider: Arc::clone(&provider.0.metrics),
            metrics,
            sessions,
            updated: Mutex::new(None),
        }))
    }

    /// Its handles, for what the verbs do not cover.
    #[must_use]
    pub fn metrics(&self) -> &DatasetMetrics {
        &self.0.metrics
    }

    /// The handles of its provider.
    pub(crate) fn provider(&self) -> &Arc<ProviderMetrics> {
        &self.0.provider
    }

    /// Says that the data was updated just now.
    pub fn updated(&self) {
        self.updated_at(Timestamp::now());
    }

    /// Says that the data is as of that moment, where it says so itself. An update that is older than the last one changes
    /// nothing, unless the last one lies in the future: then a clock has been set back, and what is said now counts.
    pub fn updated_at(&self, at: Timestamp) {
        self.update(at, Timestamp::now());
    }

    fn update(&self, at: Timestamp, now: Timestamp) {
        let mut updated = self
            .0
            .updated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let earlier = updated.filter(|last| *last <= now);
        let latest = earlier.map_or(at, |last| last.max(at));
        *updated = Some(latest);
        self.0.metrics.updated.set(seconds(latest));
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
        match &self.0.sessions {
            Some(sessions) => sessions.calendar.open_time(loaded, now),
            None => age(loaded, now),
        }
    }

    /// Brings the age in open hours up to that moment.
    pub(crate) fn observe(&self, now: Timestamp) {
        let updated = *self
            .0
            .updated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let (Some(sessions), Some(updated)) = (&self.0.sessions, updated) {
            let age = sessions.calendar.open_time(updated, now);
            sessions.metrics.session_age.set(age.as_secs_f64());
        }
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
    use crate::ProviderKind;

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
        bars.observe(at("2026-11-20T20:00Z"));
        assert!(age().is_some_and(f64::is_nan));
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
}
