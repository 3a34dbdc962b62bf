//! Returns, and the ratios computed from them.

use serde::{Deserialize, Serialize};

use super::moments::Moments;
use super::sum::Sum;
use super::{Deviation, LARGEST, PeriodsPerYear, Undefined};

/// A deviation at or below this is rounding, not dispersion. Returns come from `equity / equity before − 1`, where each
/// equity is rounded to about 1e-16 of itself: so that much of every return is noise, whatever its size, and the scale to
/// compare with is the growth factor, 1.
const ROUNDING: f64 = 1e-13;

/// What is kept of a stream of returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Returns {
    moments: Moments,
    /// Those of `r − risk-free`. Earlier editions kept the others only, from which these follow.
    #[serde(default)]
    excess: Option<Moments>,
    /// Σ min(r − risk-free, 0)².
    shortfall: Sum,
    /// Of the returns that compound.
    #[serde(default)]
    growth: Growth,
    /// A return could not be computed: it would begin with nothing.
    is_broken: bool,
}

/// Σ ln(1 + r), for as many returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Growth {
    log: Sum,
    count: u64,
    /// A return was −1: whatever follows, nothing is left of the start.
    is_lost: bool,
    /// A return was below −1: what is owed does not compound.
    is_owing: bool,
}

/// How ratios are made of returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) periods_per_year: PeriodsPerYear,
    pub(crate) deviation: Deviation,
}

/// A return of a change of equity; nothing where it would begin with nothing. Taken as a difference, which the caller knows exactly,
/// for `to / from − 1` rounds to the last digit of 1.
pub(crate) fn change_of(from: f64, change: f64) -> Option<f64> {
    let one = change / from;
    // A return beyond all bounds comes from an equity that was as good as nothing.
    (from > 0.0 && one.abs() < LARGEST).then_some(one)
}

impl Returns {
    /// A return; nothing breaks the ratios.
    pub(crate) fn push(&mut self, one: Option<f64>, risk_free: f64) {
        let Some(one) = one else {
            self.is_broken = true;
            return;
        };
        let excess = self.excess.get_or_insert_default();
        excess.push(one - risk_free);
        self.moments.push(one);
        let below = (one - risk_free).min(0.0);
        self.shortfall.add(below * below);
        self.growth.push(one);
    }

    /// A state of an earlier edition, whose returns had one risk-free rate.
    pub(crate) fn complete(&mut self, risk_free: f64) {
        let excess = self.moments.shifted(-risk_free);
        self.excess.get_or_insert(excess);
    }

    pub(crate) const fn count(&self) -> u64 {
        self.moments.count()
    }

    pub(crate) fn sharpe(&self, scale: Scale) -> Result<f64, Undefined> {
        self.check()?;
        let deviation = self.excess().deviation(scale.deviation.ddof());
        self.annual_ratio(deviation, Undefined::NoDispersion, scale)
    }

    pub(crate) fn sortino(&self, scale: Scale) -> Result<f64, Undefined> {
        self.check()?;
        let downside = (self.shortfall.value() / self.count() as f64).sqrt();
        self.annual_ratio(downside, Undefined::NoDownside, scale)
    }

    pub(crate) fn volatility(&self, scale: Scale) -> Result<f64, Undefined> {
        self.check()?;
        let deviation = self.moments.deviation(scale.deviation.ddof());
        Ok(deviation * scale.periods_per_year.get().sqrt())
    }

    /// `Π (1 + r) − 1`.
    pub(crate) fn total(&self) -> Result<f64, Undefined> {
        self.growth.over(1.0)
    }

    /// `Π (1 + r)^(periods per year / n) − 1`.
    pub(crate) fn growth(&self, scale: Scale) -> Result<f64, Undefined> {
        if self.is_broken {
            return Err(Undefined::NonPositiveEquity);
        }
        let years = self.growth.count as f64 / scale.periods_per_year.get();
        self.growth.over(1.0 / years)
    }

    /// Whether the growth is that of all returns. Earlier editions did not keep it.
    pub(crate) const fn is_growth_whole(&self) -> bool {
        self.growth.count == self.moments.count()
    }

    fn excess(&self) -> Moments {
        self.excess.unwrap_or(self.moments)
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

    fn annual_ratio(&self, divisor: f64, none: Undefined, scale: Scale) -> Result<f64, Undefined> {
        if divisor <= ROUNDING * (1.0 + self.moments.mean().abs()) {
            return Err(none);
        }
        Ok(self.excess().mean() / divisor * scale.periods_per_year.get().sqrt())
    }
}

impl Growth {
    fn push(&mut self, one: f64) {
        self.count += 1;
        if one > -1.0 {
            self.log.add(one.ln_1p());
        } else {
            self.is_lost = true;
            self.is_owing |= one < -1.0;
        }
    }

    /// The product to this power, less 1.
    fn over(&self, power: f64) -> Result<f64, Undefined> {
        let growth = (self.log.value() * power).exp_m1();
        if self.count == 0 {
            Err(Undefined::TooFewReturns)
        } else if self.is_owing || !growth.is_finite() {
            Err(Undefined::NonPositiveEquity)
        } else if self.is_lost {
            Ok(-1.0)
        } else {
            Ok(growth)
        }
    }
}
