//! Counting and reporting who was not served.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use obs_core::Closed;

use crate::own::{EndpointMetrics, Refused};

/// Who was turned away: every time in a counter, and at most once a second for each reason in the program's log, which
/// somebody who tries passwords would fill otherwise.
#[derive(Debug)]
pub(crate) struct Refusals {
    metrics: EndpointMetrics,
    since: Instant,
    /// The second in which each reason was last reported, counted from 1.
    reported: [AtomicU64; Refused::ALL.len()],
}

impl Refusals {
    /// Resolves the counters from the recorder that is current.
    pub(crate) fn new() -> Self {
        Self {
            metrics: EndpointMetrics::new(),
            since: Instant::now(),
            reported: [const { AtomicU64::new(0) }; Refused::ALL.len()],
        }
    }

    /// Notes one; `peer` is where it came from, where that is known.
    pub(crate) fn note(&self, reason: Refused, peer: Option<SocketAddr>) {
        self.metrics.refused[reason].increment(1);
        let second = self.since.elapsed().as_secs() + 1;
        if self.reported[reason.index()].swap(second, Ordering::Relaxed) != second {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(%reason, peer, "a client was not served metrics");
        }
    }
}
