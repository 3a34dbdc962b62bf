//! Falls from the highest equity, and how long they last.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Undefined;

/// The running peak of an equity curve, and the falls from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drawdown {
    peak: f64,
    /// When equity last stood at its peak; nothing before the first event.
    peak_at: Option<Timestamp>,
    equity: f64,
    worst: f64,
    longest_recovery_seconds: Option<f64>,
}

impl Drawdown {
    pub(crate) const fn new(starting_equity: f64) -> Self {
        Self {
            peak: starting_equity,
            peak_at: None,
            equity: starting_equity,
            worst: 0.0,
            longest_recovery_seconds: None,
        }
    }

    /// The time of the first event: the starting equity stood until then.
    pub(crate) fn begin(&mut self, at: Timestamp) {
        self.peak_at.get_or_insert(at);
    }

    pub(crate) fn observe(&mut self, at: Timestamp, equity: f64) {
        if equity >= self.peak {
            if let Some(peak_at) = self.peak_at.filter(|_| self.is_open()) {
                let recovery = at.duration_since(peak_at).as_secs_f64();
                self.longest_recovery_seconds = Some(
                    self.longest_recovery_seconds
                        .map_or(recovery, |longest| longest.max(recovery)),
                );
            }
            self.peak = equity;
            self.peak_at = Some(at);
        }
        self.equity = equity;
        self.worst = self.worst.min(self.current());
    }

    /// Money came or went: the fall from the peak stays the same share of it.
    pub(crate) fn transfer(&mut self, equity: f64) {
        self.peak = if self.is_open() {
            self.peak * (equity / self.equity)
        } else {
            equity
        };
        self.equity = equity;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.equity < self.peak
    }

    pub(crate) fn current(&self) -> f64 {
        self.equity / self.peak - 1.0
    }

    pub(crate) const fn worst(&self) -> f64 {
        self.worst
    }

    pub(crate) fn age_seconds(&self, now: Option<Timestamp>) -> f64 {
        match (self.is_open(), now, self.peak_at) {
            (true, Some(now), Some(peak_at)) => now.duration_since(peak_at).as_secs_f64(),
            _ => 0.0,
        }
    }

    pub(crate) fn longest_recovery_seconds(&self) -> Result<f64, Undefined> {
        self.longest_recovery_seconds.ok_or(Undefined::NoRecovery)
    }
}
