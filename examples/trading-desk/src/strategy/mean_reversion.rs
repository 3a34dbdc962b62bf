//! Mean reversion: buy what fell far below its mean, sell when it is back.

use super::window::Window;
use super::{Signal, SignalKind, Strategy, StrategyId};
use crate::bars::Bar;
use crate::order::OrderKind;

/// Deviations below the mean at which to buy.
pub const ENTRY: f64 = 2.0;

/// Deviations at which confidence is full.
pub const CERTAIN: f64 = 4.0;

/// The strategy's state for one symbol.
///
/// It looks at the z-score, the distance of the close from the window's mean in standard deviations: at or
/// below −[`ENTRY`] it buys, on every such bar; on the bar where the z-score comes up to 0 it sells. Its
/// confidence is the distance from the mean as a share of [`CERTAIN`] deviations; for a sale that is how far
/// the price overshot.
#[derive(Debug)]
pub struct MeanReversion {
    closes: Window,
    below: bool,
}

impl MeanReversion {
    /// Looks back over `length` closes.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self {
            closes: Window::new(length),
            below: false,
        }
    }

    /// The z-score of `close`, once there are enough bars; 0 while the price stands still.
    fn z_score(&self, close: f64) -> Option<f64> {
        let distance = close - self.closes.mean()?;
        let deviation = self.closes.deviation()?;
        Some(if deviation > 0.0 {
            distance / deviation
        } else {
            0.0
        })
    }
}

impl Strategy for MeanReversion {
    fn id(&self) -> StrategyId {
        StrategyId::MeanReversion
    }

    fn on_bar(&mut self, bar: &Bar) -> Signal {
        self.closes.push(bar.close);
        let Some(z) = self.z_score(bar.close) else {
            return Signal::warming_up();
        };

        let was_below = std::mem::replace(&mut self.below, z < 0.0);
        let kind = if z <= -ENTRY {
            SignalKind::Buy
        } else if was_below && !self.below {
            SignalKind::Sell
        } else {
            SignalKind::Hold
        };
        Signal::new(kind, z.abs() / CERTAIN)
    }

    fn entry(&self, close: f64) -> OrderKind {
        // Not above the price that made it cheap.
        OrderKind::Limit { limit_price: close }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::flat;
    use super::*;

    #[test]
    fn buys_the_fall_and_sells_at_the_mean() {
        let mut strategy = MeanReversion::new(10);
        let mut say = |close: f64| strategy.on_bar(&flat(close));
        for close in [10.0, 10.1, 10.0, 10.1, 10.0, 10.1, 10.0, 10.1, 10.0] {
            assert_eq!(say(close), Signal::warming_up());
        }
        assert_eq!(say(10.1).kind, SignalKind::Hold);
        let fall = say(8.0);
        assert_eq!(fall.kind, SignalKind::Buy);
        // Ten values of which one is far off: the z-score is near (n − 1)/√n = 2.85.
        assert!(
            (fall.confidence - 2.84 / CERTAIN).abs() < 0.01,
            "{}",
            fall.confidence
        );
        assert_eq!(say(9.0).kind, SignalKind::Hold);
        assert_eq!(say(10.0).kind, SignalKind::Sell);
        assert_eq!(say(10.1).kind, SignalKind::Hold);
    }
}
