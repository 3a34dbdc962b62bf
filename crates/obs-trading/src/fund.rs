//! Equity as units and their value, so that money which comes and goes is neither profit nor loss.

use serde::{Deserialize, Serialize};

/// A withdrawal that leaves this little of the equity, as a share of it, leaves nothing.
const ROUNDING: f64 = 1e-12;

/// An equity as a fund counts it: so many units of one value. A mark changes the value; a flow buys or redeems units at the value of
/// the last mark. So the value follows what was earned, and only that (unitised net asset value).
///
/// The first unit is the starting equity: without flows the value is the equity, to the last bit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fund {
    /// Called `last` by the limits of earlier editions.
    #[serde(alias = "last")]
    equity: f64,
    #[serde(default = "one")]
    units: f64,
    /// Of one unit. Earlier editions had one unit.
    #[serde(default)]
    value: Option<f64>,
}

const fn one() -> f64 {
    1.0
}

/// What a flow was to the value of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flowed {
    /// Nothing.
    Kept,
    /// All was lost before, so that nothing could be bought at the old value: a new one begins.
    BeganAnew,
}

impl Fund {
    pub(crate) const fn new(equity: f64) -> Self {
        Self {
            equity,
            units: 1.0,
            value: Some(equity),
        }
    }

    pub(crate) const fn equity(&self) -> f64 {
        self.equity
    }

    /// What a unit is worth; zero or below where everything is lost.
    pub(crate) fn value(&self) -> f64 {
        self.value.unwrap_or(self.equity)
    }

    /// The equity is this. Where everything was withdrawn, what appears nevertheless is money that came in.
    pub(crate) fn mark(&mut self, equity: f64) {
        if self.units > 0.0 {
            self.value = Some(equity / self.units);
        } else if equity > 0.0 {
            self.units = equity / self.value();
        }
        self.equity = equity;
    }

    /// What the equity would be after a flow; the equity as it stands where that is refused: nothing can be taken from nothing, or
    /// beyond it.
    pub(crate) fn after(&self, amount: f64) -> Result<f64, f64> {
        let after = self.equity + amount;
        if after.abs() <= ROUNDING * self.equity.abs() {
            return Ok(0.0);
        }
        if amount < 0.0 && after < 0.0 {
            return Err(after);
        }
        Ok(after)
    }

    /// Money came or went, which leaves this equity.
    pub(crate) fn flow_to(&mut self, after: f64) -> Flowed {
        let before = std::mem::replace(&mut self.equity, after);
        let value = self.value();
        if self.units > 0.0 && value <= 0.0 {
            if after <= 0.0 {
                self.value = Some(after / self.units);
                return Flowed::Kept;
            }
            *self = Self::new(after);
            return Flowed::BeganAnew;
        }
        self.value = Some(value);
        self.units = if self.units > 0.0 {
            self.units * (after / before)
        } else {
            after.max(0.0) / value
        };
        Flowed::Kept
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these numbers come out exactly")]
mod tests {
    use super::*;

    fn flow(fund: &mut Fund, amount: f64) -> Flowed {
        fund.flow_to(fund.after(amount).unwrap())
    }

    #[test]
    fn a_flow_keeps_the_value_and_a_mark_changes_it() {
        let mut fund = Fund::new(100.0);
        fund.mark(80.0);
        assert_eq!(flow(&mut fund, 80.0), Flowed::Kept);
        assert_eq!((fund.equity(), fund.value()), (160.0, 80.0));
        fund.mark(200.0);
        assert_eq!(fund.value(), 100.0);
    }

    #[test]
    fn a_fund_that_was_emptied_goes_on_where_it_was() {
        let mut fund = Fund::new(100.0);
        fund.mark(75.0);
        flow(&mut fund, -75.0);
        assert_eq!((fund.equity(), fund.value()), (0.0, 75.0));
        fund.mark(0.0);
        flow(&mut fund, 1_000.0);
        assert_eq!(fund.value(), 75.0);
        fund.mark(2_000.0);
        assert_eq!(fund.value(), 150.0);
        assert!(fund.after(-2_001.0).is_err());
    }

    #[test]
    fn what_was_lost_is_not_bought_back() {
        let mut fund = Fund::new(100.0);
        fund.mark(-20.0);
        assert!(fund.after(-1.0).is_err());
        assert_eq!(flow(&mut fund, 10.0), Flowed::Kept);
        assert_eq!(fund.equity(), -10.0);
        assert_eq!(flow(&mut fund, 60.0), Flowed::BeganAnew);
        assert_eq!((fund.equity(), fund.value()), (50.0, 50.0));
    }
}
