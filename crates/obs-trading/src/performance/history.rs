//! The returns and trades of single days, of which windows are made.

use std::collections::VecDeque;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::conventions::RiskFreeReturns;
use super::returns::Returns;
use super::trades::DayOfTrades;

/// How many single returns, and days of trades, a ledger keeps at least: twenty years of trading days, seven months of hours.
pub const KEPT_RETURNS: usize = 5_000;

/// One return, and the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) day: Date,
    /// Nothing where equity was zero or below at its start.
    pub(crate) change: Option<f64>,
    /// The same in money.
    pub(crate) gain: f64,
    pub(crate) path: Path,
}

/// Where the value of a unit went within one return, as multiples of its start. Of two in a row follow those of both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Path {
    high: f64,
    /// The deepest fall from the highest before it, as a share of that; not above 0.
    fall: f64,
    low: f64,
}

impl Path {
    pub(crate) const STILL: Self = Self {
        high: 1.0,
        fall: 0.0,
        low: 1.0,
    };

    pub(crate) fn observe(&mut self, multiple: f64) {
        if multiple.is_finite() {
            self.high = self.high.max(multiple);
            self.low = self.low.min(multiple);
            self.fall = self.fall.min(multiple / self.high - 1.0);
        }
    }

    /// This one and the next, which begins where this one's return ends.
    pub(crate) fn then(self, next: Self, change: Option<f64>) -> Self {
        let start = 1.0 + change.unwrap_or(0.0);
        let deepest = next.low * start / self.high - 1.0;
        Self {
            high: self.high.max(next.high * start),
            fall: self.fall.min(next.fall).min(deepest),
            low: self.low.min(next.low * start),
        }
    }

    /// A way from its start to this multiple of it.
    pub(crate) fn to(multiple: f64) -> Self {
        let mut path = Self::STILL;
        path.observe(multiple);
        path
    }
}

/// The deepest fall along ways that follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Falls {
    value: f64,
    peak: f64,
    worst: f64,
}

impl Falls {
    pub(crate) const fn new() -> Self {
        Self {
            value: 1.0,
            peak: 1.0,
            worst: 0.0,
        }
    }

    pub(crate) fn follow(&mut self, path: Path, change: Option<f64>) {
        let deepest = (self.value * path.low / self.peak - 1.0).min(path.fall);
        self.worst = self.worst.min(deepest);
        self.peak = self.peak.max(self.value * path.high);
        self.value *= 1.0 + change.unwrap_or(0.0);
        if self.value <= 0.0 {
            // What follows is of new money.
            (self.value, self.peak) = (1.0, 1.0);
        }
    }

    /// Less than the rounding of a product of as many returns is no fall.
    pub(crate) fn worst(&self) -> f64 {
        if self.worst < -1e-12 { self.worst } else { 0.0 }
    }
}

/// Single returns and days of trades, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    returns: VecDeque<Single>,
    days: VecDeque<DayOfTrades>,
    /// How many were forgotten before those, and what the returns among them were in all.
    forgotten: Marker,
    before: Returns,
}

/// A place in the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    returns: u64,
    days: u64,
}

impl History {
    /// One whose returns so far are known in all only, as an earlier edition kept them.
    pub(crate) fn after(before: Returns) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, single: Single) {
        self.returns.push_back(single);
    }

    pub(crate) fn push_day(&mut self, day: DayOfTrades) {
        self.days.push_back(day);
    }

    /// The place after the last.
    pub(crate) fn end(&self) -> Marker {
        Marker {
            returns: self
                .forgotten
                .returns
                .saturating_add(self.returns.len() as u64),
            days: self.forgotten.days.saturating_add(self.days.len() as u64),
        }
    }

    /// Goes back to an earlier place.
    pub(crate) fn rewind(&mut self, place: Marker) {
        self.returns
            .truncate(distance(self.forgotten.returns, place.returns));
        self.days
            .truncate(distance(self.forgotten.days, place.days));
    }

    /// Forgets what is more than is kept, but nothing from this place on: it may be gone back to.
    pub(crate) fn forget_before(&mut self, place: Marker, risk_free: &RiskFreeReturns) {
        while self.returns.len() > KEPT_RETURNS && self.forgotten.returns < place.returns {
            if let Some(single) = self.returns.pop_front() {
                self.before.push(single.change, risk_free.on(single.day));
                self.forgotten.returns += 1;
            }
        }
        while self.days.len() > KEPT_RETURNS && self.forgotten.days < place.days {
            self.days.pop_front();
            self.forgotten.days += 1;
        }
    }

    /// All returns up to a place, at these rates; those forgotten at the rates that they were counted with.
    pub(crate) fn returns_to(&self, place: Marker, risk_free: &RiskFreeReturns) -> Returns {
        let mut all = self.before;
        let kept = distance(self.forgotten.returns, place.returns);
        for single in self.returns.iter().take(kept) {
            all.push(single.change, risk_free.on(single.day));
        }
        all
    }

    pub(crate) fn returns(&self) -> &VecDeque<Single> {
        &self.returns
    }

    pub(crate) fn days(&self) -> &VecDeque<DayOfTrades> {
        &self.days
    }

    /// Whether a return of the day or an earlier one was forgotten.
    pub(crate) fn lacks(&self, day: Date) -> bool {
        let is_incomplete = self.before.count() > 0 || self.forgotten.days > 0;
        let first = [
            self.returns.front().map(|single| single.day),
            self.days.front().map(|trades| trades.day),
        ];
        is_incomplete
            && first
                .into_iter()
                .flatten()
                .min()
                .is_none_or(|first| day < first)
    }
}

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}
