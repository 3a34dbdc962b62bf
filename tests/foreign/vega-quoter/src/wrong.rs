//! Mistakes that should be reported, each in words and as a series.

use obs_core::{Counter, Gauge};

obs_core::families! {
    /// Built before the exporter was installed.
    pub struct EarlyMetrics {
        /// Sessions begun.
        pub sessions: Counter = "vega_sessions_total",
    }
}
obs_core::families! {
    /// A queue.
    pub struct QueueMetrics {
        /// Orders that wait.
        pub depth: Gauge = "vega_queue_depth",
    }
}

/// Handles without a recorder: they record nothing.
pub fn early() -> EarlyMetrics {
    EarlyMetrics::new()
}

/// Records to those, and to names that are of another kind or that nobody declares.
pub fn late(early: &EarlyMetrics) {
    early.sessions.increment(1);
    let queue = QueueMetrics::new();
    queue.depth.set(42);
    metrics::counter!("vega_queue_depth").increment(1);
    metrics::counter!("third_party_calls_total").increment(1);
}
