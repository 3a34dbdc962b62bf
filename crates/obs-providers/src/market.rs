//! Whether a market is in session, as a gauge.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{MarketMetrics, TradingCalendar};

/// A market and its calendar, behind `market_session_open`. Clones share the gauge.
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
    /// A market by its name, whose gauge is right from now on.
    #[must_use]
    #[track_caller]
    pub fn new(venue: &str, calendar: TradingCalendar) -> Self {
        let metrics = Arc::new(MarketMetrics::new(venue));
        let market = Self { calendar, metrics };
        market.observe();
        market
    }

    /// Sets the gauge to whether the market is in session now. To be called before every scrape.
    pub fn observe(&self) {
        self.observe_at(Timestamp::now());
    }

    /// Sets the gauge to whether the market was in session at that moment, for replays of the past.
    pub fn observe_at(&self, at: Timestamp) {
        self.metrics.open.switch(self.calendar.is_open(at));
    }

    /// Its calendar.
    #[must_use]
    pub fn calendar(&self) -> &TradingCalendar {
        &self.calendar
    }
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

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
