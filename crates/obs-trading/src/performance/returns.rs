//! Returns, and the ratios computed from them.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::sum::Sum;
use super::{Conventions, LARGEST, Undefined};

/// A deviation at or below this is rounding, not dispersion. Returns come from `equity / equity before − 1`, where each
/// equity is rounded to about 1e-16 of itself: so that much of every return is noise, whatever its size, and the scale to
/// compare with is the growth factor, 1.
const ROUNDING: f64 = 1e-13;

/// What is kept of a stream of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Returns {
    moments: Moments,
    /// Σ min(r − risk-free, 0)².
    shortfall: Sum,
    /// A return could not be computed: it would begin with nothing.
    is_broken: bool,
}

impl Returns {
    /// The return of a change of equity. Taken as a difference, which the caller knows exactly, for `to / from − 1` rounds to
    /// the last digit of 1.
    pub(crate) fn push(&mut self, from: f64, change: f64, risk_free: f64) {
        let one = change / from;
        // A return beyond all bounds comes from an equity that was as good as nothing.
        if from > 0.0 && one.abs() < LARGEST {
            self.push_times(one, 1, risk_free);
        } else {
            self.is_broken = true;
        }
    }

    /// So many periods in which nothing changed.
    pub(crate) fn push_idle(&mut self, equity: f64, periods: u64, risk_free: f64) {
        if periods > 0 {
            self.is_broken |= equity <= 0.0;
            self.push_times(0.0, periods, risk_free);
        }
    }

    fn push_times(&mut self, one: f64, times: u64, risk_free: f64) {
        if times == 1 {
            self.moments.push(one);
        } else {
            self.moments.push_times(one, times);
        }
        let below = (one - risk_free).min(0.0);
        self.shortfall.add(below * below * times as f64);
    }

    pub(crate) const fn count(&self) -> u64 {
        self.moments.count()
    }

    pub(crate) fn sharpe(&self, conventions: &Conventions) -> Result<f64, Undefined> {
        self.check()?;
        let deviation = self.moments.deviation(conventions.deviation().ddof());
        self.annual_ratio(deviation, Undefined::NoDispersion, conventions)
    }

    pub(crate) fn sortino(&self, conventions: &Conventions) -> Result<f64, Undefined> {
        self.check()?;
        let downside = (self.shortfall.value() / self.count() as f64).sqrt();
        self.annual_ratio(downside, Undefined::NoDownside, conventions)
    }

    fn check(&self) -> Result<(), Undefined> {
        if self.is_broken {
            Err(Undefined::NonPositiveEquity)
        } else if self.count() < 2 {
            Err(Undefined::TooFewReturns)
        } else {
            Ok(())
        }
    }

    fn annual_ratio(
        &self,
        divisor: f64,
        none: Undefined,
        conventions: &Conventions,
    ) -> Result<f64, Undefined> {
        if divisor <= ROUNDING * (1.0 + self.moments.mean().abs()) {
            return Err(none);
        }
        let excess = self.moments.mean() - conventions.risk_free_per_period();
        Ok(excess / divisor * conventions.periods_per_year().get().sqrt())
    }
}
