//! When a position has to be closed: stop loss, take profit, trailing stop.

use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::{Error, Side, Trigger};

/// The exits of one position, long or short, followed price by price or bar by bar.
///
/// Distances are shares of a price: of the entry for the stop loss and the take profit, of the best price since the entry
/// for the trailing stop. A level counts as reached when the price touches it. Each step is O(1) and needs no history.
///
/// The plan only says when; the caller closes the position and counts the exit with [`Risk::exit`](crate::Risk::exit).
/// It does not latch: it says so again while the price stays beyond the level.
///
/// ```
/// use obs_trading::{ExitPlan, Side, Trigger};
///
/// let mut plan = ExitPlan::new(Side::Buy, 100.0)?.stop_loss(0.05)?.take_profit(0.10)?.trailing(0.04)?;
/// assert_eq!(plan.on_price(98.0), None);
/// assert_eq!(plan.on_price(108.0), None);                              // the trailing stop now stands at 103.68
/// assert_eq!(plan.on_price(103.5), Some(Trigger::TrailingStop));
/// # Ok::<(), obs_trading::Error>(())
/// ```
///
/// # Precedence
///
/// - Of the stop loss and the trailing stop, the nearer to the price is named: it is reached first. Where both stand at the
///   same price it is the stop loss.
/// - A single price cannot be beyond a stop and the target at once.
/// - A bar can, and does not tell which came first; see [`on_bar`](Self::on_bar).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitPlan {
    side: Side,
    entry: f64,
    best: f64,
    stop_loss: Option<f64>,
    take_profit: Option<f64>,
    trailing: Option<f64>,
}

/// An exit that a bar reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// What was reached.
    pub trigger: Trigger,
    /// The price at which it was reached: the level, or the open where the bar opened beyond it. What an order would have
    /// got can be worse.
    pub price: f64,
}

impl ExitPlan {
    /// A plan without exits for a position entered by a buy (long) or a sale (short) at this price.
    pub fn new(side: Side, entry: f64) -> Result<Self, Error> {
        let entry = positive("the entry price", entry)?;
        Ok(Self {
            side,
            entry,
            best: entry,
            stop_loss: None,
            take_profit: None,
            trailing: None,
        })
    }

    /// Closes when the price has moved this share of the entry against the position; `0.05` is 5 %.
    pub fn stop_loss(mut self, share: f64) -> Result<Self, Error> {
        self.stop_loss = Some(self.checked("the stop loss", share, -1.0)?);
        Ok(self)
    }

    /// Closes when the price has moved this share of the entry in favour of the position.
    pub fn take_profit(mut self, share: f64) -> Result<Self, Error> {
        self.take_profit = Some(self.checked("the take profit", share, 1.0)?);
        Ok(self)
    }

    /// Closes when the price has moved this share of the best price against the position. The entry is the first best.
    pub fn trailing(mut self, share: f64) -> Result<Self, Error> {
        self.trailing = Some(self.checked("the trailing stop", share, -1.0)?);
        Ok(self)
    }

    /// What a trade at this price reaches. A price that is not a positive, finite number reaches nothing and changes
    /// nothing.
    pub fn on_price(&mut self, price: f64) -> Option<Trigger> {
        if !is_price(price) {
            return None;
        }
        let reached = self.reached(price);
        self.improve(price);
        reached
    }

    /// What a bar reaches, and where.
    ///
    /// 1. A bar that opens beyond a level exits at the open: the gap leaves no better price.
    /// 2. Else a stop that the bar reaches comes before a target it reaches as well. The order within the bar is unknown and
    ///    this is the worse of the two. The trailing stop stands where the bars before and this open have put it.
    /// 3. Else the target.
    /// 4. Else the bar's best price moves the trailing stop, and a close beyond it exits at its new level, for the close is
    ///    sure to come after.
    ///
    /// A bar with a price that is not positive and finite, or whose high and low do not enclose its open and close,
    /// reaches nothing and changes nothing.
    pub fn on_bar(&mut self, open: f64, high: f64, low: f64, close: f64) -> Option<Exit> {
        if !is_bar(open, high, low, close) {
            return None;
        }
        if let Some(trigger) = self.on_price(open) {
            return Some(Exit {
                trigger,
                price: open,
            });
        }
        let (best, worst) = match self.side {
            Side::Buy => (high, low),
            Side::Sell => (low, high),
        };
        let within = self.stopped(worst).or_else(|| self.target_hit(best));
        if within.is_some() {
            return within;
        }
        self.improve(best);
        self.stopped(close)
    }

    /// The price at which a stop is reached next, and which; `None` without a stop.
    #[must_use]
    pub fn stop(&self) -> Option<Exit> {
        let at = |trigger, base, share: Option<f64>| {
            share.map(|share| Exit {
                trigger,
                price: self.level(base, share, -1.0),
            })
        };
        let fixed = at(Trigger::StopLoss, self.entry, self.stop_loss);
        let trailing = at(Trigger::TrailingStop, self.best, self.trailing);
        match (fixed, trailing) {
            (Some(fixed), Some(trailing)) if self.gain(fixed.price, trailing.price) > 0.0 => {
                Some(trailing)
            }
            (fixed, trailing) => fixed.or(trailing),
        }
    }

    /// The price at which the target is reached; `None` without one.
    #[must_use]
    pub fn target(&self) -> Option<f64> {
        self.take_profit
            .map(|share| self.level(self.entry, share, 1.0))
    }

    fn reached(&self, price: f64) -> Option<Trigger> {
        let exit = self.stopped(price).or_else(|| self.target_hit(price));
        exit.map(|exit| exit.trigger)
    }

    fn stopped(&self, price: f64) -> Option<Exit> {
        self.stop()
            .filter(|stop| self.gain(stop.price, price) <= 0.0)
    }

    fn target_hit(&self, price: f64) -> Option<Exit> {
        let target = self.target()?;
        (self.gain(target, price) >= 0.0).then_some(Exit {
            trigger: Trigger::TakeProfit,
            price: target,
        })
    }

    fn improve(&mut self, price: f64) {
        if self.gain(self.best, price) > 0.0 {
            self.best = price;
        }
    }

    /// What moving between two prices brings the position.
    fn gain(&self, from: f64, to: f64) -> f64 {
        self.side.sign() * (to - from)
    }

    /// The price a share away from the base: in favour for 1, against for −1.
    fn level(&self, base: f64, share: f64, direction: f64) -> f64 {
        base * (1.0 + self.side.sign() * direction * share)
    }

    fn checked(&self, what: &'static str, share: f64, direction: f64) -> Result<f64, Error> {
        let share = positive(what, share)?;
        if is_price(self.level(self.entry, share, direction)) {
            Ok(share)
        } else {
            Err(Error::NoPrice { what, value: share })
        }
    }
}

fn is_price(price: f64) -> bool {
    price > 0.0 && price.is_finite()
}

fn is_bar(open: f64, high: f64, low: f64, close: f64) -> bool {
    [open, high, low, close].into_iter().all(is_price)
        && low <= open.min(close)
        && high >= open.max(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> ExitPlan {
        ExitPlan::new(Side::Buy, 100.0).unwrap()
    }

    fn short() -> ExitPlan {
        ExitPlan::new(Side::Sell, 100.0).unwrap()
    }

    fn exit(trigger: Trigger, price: f64) -> Exit {
        Exit { trigger, price }
    }

    #[test]
    fn a_long_position_stops_below_and_profits_above() {
        let mut plan = long().stop_loss(0.25).unwrap().take_profit(0.5).unwrap();
        assert_eq!(plan.on_price(75.01), None);
        assert_eq!(plan.on_price(75.0), Some(Trigger::StopLoss));
        assert_eq!(plan.on_price(149.99), None);
        assert_eq!(plan.on_price(150.0), Some(Trigger::TakeProfit));
    }

    #[test]
    fn a_short_position_stops_above_and_profits_below() {
        let mut plan = short().stop_loss(0.25).unwrap().take_profit(0.5).unwrap();
        assert_eq!(plan.on_price(124.99), None);
        assert_eq!(plan.on_price(125.0), Some(Trigger::StopLoss));
        assert_eq!(plan.on_price(50.0), Some(Trigger::TakeProfit));
    }

    #[test]
    fn a_trailing_stop_follows_the_best_price_and_never_back() {
        let mut long = long().trailing(0.25).unwrap();
        assert_eq!(long.on_price(200.0), None);
        assert_eq!(long.on_price(160.0), None);
        assert_eq!(long.stop(), Some(exit(Trigger::TrailingStop, 150.0)));
        assert_eq!(long.on_price(150.0), Some(Trigger::TrailingStop));
        let mut short = short().trailing(0.25).unwrap();
        assert_eq!(short.on_price(80.0), None);
        assert_eq!(short.on_price(99.0), None);
        assert_eq!(short.on_price(100.0), Some(Trigger::TrailingStop));
    }

    #[test]
    fn the_nearer_stop_is_named() {
        let mut plan = long().stop_loss(0.25).unwrap().trailing(0.5).unwrap();
        assert_eq!(plan.on_price(10.0), Some(Trigger::StopLoss));
        assert_eq!(plan.on_price(150.0), None); // both at 75
        assert_eq!(plan.on_price(75.0), Some(Trigger::StopLoss));
        assert_eq!(plan.on_price(160.0), None);
        assert_eq!(plan.on_price(10.0), Some(Trigger::TrailingStop));
    }

    #[test]
    fn a_bar_that_reaches_both_is_stopped_first() {
        let plan = long().stop_loss(0.25).unwrap().take_profit(0.25).unwrap();
        let reached = plan.clone().on_bar(100.0, 130.0, 70.0, 120.0);
        assert_eq!(reached, Some(exit(Trigger::StopLoss, 75.0)));
        let reached = plan.clone().on_bar(100.0, 130.0, 80.0, 120.0);
        assert_eq!(reached, Some(exit(Trigger::TakeProfit, 125.0)));
        assert_eq!(plan.clone().on_bar(100.0, 110.0, 90.0, 100.0), None);
        let plan = short().stop_loss(0.25).unwrap().take_profit(0.25).unwrap();
        let reached = plan.clone().on_bar(100.0, 130.0, 70.0, 120.0);
        assert_eq!(reached, Some(exit(Trigger::StopLoss, 125.0)));
    }

    #[test]
    fn a_gap_exits_at_the_open() {
        let plan = long().stop_loss(0.25).unwrap().take_profit(0.25).unwrap();
        let reached = plan.clone().on_bar(60.0, 130.0, 55.0, 120.0);
        assert_eq!(reached, Some(exit(Trigger::StopLoss, 60.0)));
        let reached = plan.clone().on_bar(140.0, 150.0, 60.0, 70.0);
        assert_eq!(reached, Some(exit(Trigger::TakeProfit, 140.0)));
    }

    #[test]
    fn within_a_bar_the_trailing_stop_moves_last() {
        let plan = long().trailing(0.25).unwrap();
        // The low may have come before the high: not stopped by the level of this bar's own high.
        assert_eq!(plan.clone().on_bar(100.0, 200.0, 90.0, 180.0), None);
        // The close came after it.
        let reached = plan.clone().on_bar(100.0, 200.0, 90.0, 140.0);
        assert_eq!(reached, Some(exit(Trigger::TrailingStop, 150.0)));
    }

    #[test]
    fn what_is_no_price_changes_nothing() {
        let plan = long().stop_loss(0.25).unwrap().trailing(0.5).unwrap();
        let mut other = plan.clone();
        for price in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert_eq!(other.on_price(price), None);
            assert_eq!(other.on_bar(100.0, 110.0, price, 100.0), None);
        }
        assert_eq!(other.on_bar(100.0, 90.0, 70.0, 80.0), None); // a high below the open
        assert_eq!(other, plan);
    }

    #[test]
    fn refuses_distances_that_leave_no_price() {
        let text = |result: Result<ExitPlan, Error>| result.unwrap_err().to_string();
        assert!(text(ExitPlan::new(Side::Buy, f64::NAN)).starts_with("the entry price is NaN"));
        assert!(text(long().stop_loss(1.0)).starts_with("the stop loss is 1 of the price"));
        assert!(text(short().take_profit(1.5)).contains("must leave a price above 0"));
        assert!(text(long().trailing(-0.1)).contains("positive, finite"));
        assert!(long().take_profit(3.0).is_ok() && short().stop_loss(3.0).is_ok());
    }
}
