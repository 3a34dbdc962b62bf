//! Whether a market is in session, and when it opens and closes next, as gauges.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Time;
use obs_core::Gauge;

use crate::{MarketMetrics, TradingCalendar};

/// A market and its calendar, behind `market_session_open`, `market_next_open_timestamp_seconds` and
/// `market_next_close_timestamp_seconds`. Clones share the gauges.
///
/// ```
/// use obs_providers::{Market, TradingCalendar};
///
/// let nyse = Market::new("NYSE", TradingCalendar::nyse());
/// // Before every scrape; the exporter has a hook for it.
/// nyse.observe();
/// ```
#[derive(Clone, Debug)]
pub struct Market {
    calendar: TradingCalendar,
    metrics: Arc<MarketMetrics>,
}

impl Market {
    /// A market by its name, whose gauges are right from now on.
    #[must_use]
    #[track_caller]
    pub fn new(venue: &str, calendar: TradingCalendar) -> Self {
        let metrics = Arc::new(MarketMetrics::new(venue));
        let market = Self { calendar, metrics };
        market.observe();
        market
    }

    /// Sets the gauges to whether the market is in session now, and when it opens and closes next. To be called before every scrape.
    pub fn observe(&self) {
        self.observe_at(Timestamp::now());
    }

    /// Sets the gauges to what they were at that moment, for replays of the past.
    pub fn observe_at(&self, at: Timestamp) {
        let (metrics, calendar) = (&self.metrics, &self.calendar);
        metrics.open.switch(calendar.is_open(at));
        show(&metrics.next_open, calendar.next_open(at));
        show(&metrics.next_close, calendar.next_close(at));
        let end = calendar.final_until().and_then(|day| day.tomorrow().ok());
        let end = end.and_then(|day| {
            calendar
                .zone()
                .to_timestamp(day.to_datetime(Time::midnight()))
                .ok()
        });
        show(&metrics.calendar_end, end);
    }

    /// Its calendar.
    #[must_use]
    pub fn calendar(&self) -> &TradingCalendar {
        &self.calendar
    }
}

fn show(gauge: &Gauge, moment: Option<Timestamp>) {
    match moment {
        Some(moment) => gauge.set(moment.as_duration().as_secs_f64()),
        None => gauge.set_undefined(),
    }
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

    #[test]
    fn a_desk_sees_when_it_opens_and_how_long_its_days_are_known() {
        let test = TestRecorder::new();
        let gauge = |name, venue| test.gauge(name, &[("venue", venue)]).unwrap();
        let seconds = |at: &str| at.parse::<Timestamp>().unwrap().as_second() as f64;
        let nyse = test.run(|| Market::new("NYSE", TradingCalendar::nyse()));
        // The evening before Thanksgiving; Friday is a half day.
        nyse.observe_at("2026-11-25T22:00Z".parse().unwrap());
        let next = [
            ("market_next_open_timestamp_seconds", "2026-11-27T14:30:00Z"),
            (
                "market_next_close_timestamp_seconds",
                "2026-11-27T18:00:00Z",
            ),
            (
                "market_calendar_end_timestamp_seconds",
                "2029-01-01T05:00:00Z",
            ),
        ];
        for (name, moment) in next {
            let difference = gauge(name, "NYSE") - seconds(moment);
            assert!(difference.abs() < 0.5, "{name}");
        }
        let crypto = test.run(|| Market::new("24/7", TradingCalendar::always_open()));
        crypto.observe_at("2026-11-25T22:00Z".parse().unwrap());
        for (name, _) in next {
            assert!(gauge(name, "24/7").is_nan(), "{name}");
        }
    }

    #[test]
    fn the_gauge_follows_the_calendar() {
        let test = TestRecorder::new();
        let market = test.run(|| Market::new("NYSE", TradingCalendar::nyse()));
        let open = || test.gauge("market_session_open", &[("venue", "NYSE")]);
        assert!(open().is_some());
        market.observe_at("2026-11-25T15:00Z".parse().unwrap());
        assert_eq!(open(), Some(1.0));
        market.observe_at("2026-11-29T15:00Z".parse().unwrap());
        assert_eq!(open(), Some(0.0));
    }
}
