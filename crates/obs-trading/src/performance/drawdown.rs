//! Falls from the highest equity, and how long they last.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Undefined;

/// An equity this little below its peak, as a share of it, stands at it. The same money added up in another order differs by
/// that much, and no drawdown should grow old on it.
const ROUNDING: f64 = 1e-12;

/// The running peak of an equity curve, and the falls from it. Equity here is the value of a [unit](crate::fund::Fund), so that
/// transfers are not seen.
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
        let was_open = self.is_open();
        self.peak = self.peak.max(equity);
        self.equity = equity;
        self.worst = self.worst.min(self.current());
        if self.is_open() {
            return;
        }
        if let Some(peak_at) = self.peak_at.filter(|_| was_open) {
            let recovery = at.duration_since(peak_at).as_secs_f64();
            let longest = self.longest_recovery_seconds.unwrap_or(0.0);
            self.longest_recovery_seconds = Some(longest.max(recovery));
        }
        self.peak_at = Some(at);
    }

    /// All was lost, and new money begins a new curve at this value. The deepest fall stays.
    pub(crate) fn begin_anew(&mut self, at: Timestamp, value: f64) {
        self.peak = value;
        self.peak_at = Some(at);
        self.equity = value;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.equity < self.peak * (1.0 - ROUNDING)
    }

    pub(crate) fn current(&self) -> f64 {
        if self.is_open() {
            self.equity / self.peak - 1.0
        } else {
            0.0
        }
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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what is compared is exact")]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_longest_recovery_is_from_peak_to_regain() {
        let mut drawdown = Drawdown::new(100.0);
        drawdown.begin(at(0));
        assert_eq!(
            drawdown.longest_recovery_seconds(),
            Err(Undefined::NoRecovery)
        );
        for (second, equity) in [
            (10, 90.0),
            (30, 100.0),
            (40, 110.0),
            (50, 110.0),
            (60, 99.0),
            (65, 110.0),
            (70, 88.0),
        ] {
            drawdown.observe(at(second), equity);
        }
        // From 0 to 30 and from 50, when it last stood at 110, to 65.
        assert_eq!(drawdown.longest_recovery_seconds(), Ok(30.0));
        assert_eq!(drawdown.age_seconds(Some(at(75))), 10.0);
        assert!((drawdown.current() + 0.2).abs() < 1e-15);
        drawdown.begin_anew(at(80), 50.0);
        drawdown.observe(at(90), 45.0);
        assert!((drawdown.current() + 0.1).abs() < 1e-15 && drawdown.worst() < -0.19);
        assert_eq!(drawdown.age_seconds(Some(at(95))), 15.0);
    }

    #[test]
    fn rounding_is_no_drawdown() {
        let mut drawdown = Drawdown::new(0.1 + 0.2);
        drawdown.observe(at(0), 0.3);
        assert_eq!(
            (drawdown.current(), drawdown.age_seconds(Some(at(9)))),
            (0.0, 0.0)
        );
        assert_eq!(
            drawdown.longest_recovery_seconds(),
            Err(Undefined::NoRecovery)
        );
    }
}
