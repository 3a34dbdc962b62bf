//! Moving-average crossover: buy when the short mean has risen above the long one, sell when it has fallen
//! below.
//!
//! A cross counts when it has lasted [`CONFIRMATION`] bars, which spares most of the crossings back and forth.

use std::cmp::Ordering;

use super::window::Window;
use super::{Signal, SignalKind, Strategy, StrategyId};
use crate::bars::Bar;
use crate::order::OrderKind;

/// Bars for which the means must have kept their order before a cross is believed.
pub const CONFIRMATION: u32 = 3;

/// The strategy's state for one symbol.
///
/// Its confidence is the distance between the two means in standard deviations of the closes of the long
/// window, 1 at one deviation or more.
#[derive(Debug)]
pub struct Crossover {
    fast: Window,
    slow: Window,
    /// Where the fast mean stood against the slow one at the last bar, and for how many bars so far.
    side: Ordering,
    bars: u32,
}

impl Crossover {
    /// Compares the mean of `fast` closes with the mean of `slow` closes.
    #[must_use]
    pub fn new(fast: usize, slow: usize) -> Self {
        Self {
            fast: Window::new(fast),
            slow: Window::new(slow),
            side: Ordering::Equal,
            bars: 0,
        }
    }

    /// Distance of the means in deviations, once there are enough bars; 0 while the price stands still.
    fn gap(&self) -> Option<f64> {
        let gap = self.fast.mean()? - self.slow.mean()?;
        let deviation = self.slow.deviation()?;
        Some(if deviation > 0.0 {
            gap / deviation
        } else {
            0.0
        })
    }
}

impl Strategy for Crossover {
    fn id(&self) -> StrategyId {
        StrategyId::MaCrossover
    }

    fn on_bar(&mut self, bar: &Bar) -> Signal {
        self.fast.push(bar.close);
        self.slow.push(bar.close);
        let Some(gap) = self.gap() else {
            return Signal::warming_up();
        };

        let side = gap.partial_cmp(&0.0).unwrap_or(Ordering::Equal);
        self.bars = if side == self.side {
            self.bars.saturating_add(1)
        } else {
            1
        };
        self.side = side;

        let confirmed = self.bars == CONFIRMATION;
        let kind = match side {
            Ordering::Greater if confirmed => SignalKind::Buy,
            Ordering::Less if confirmed => SignalKind::Sell,
            _ => SignalKind::Hold,
        };
        Signal::new(kind, gap.abs())
    }

    fn entry(&self, _close: f64) -> OrderKind {
        // A trend does not wait.
        OrderKind::Market
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::flat;
    use super::*;

    fn signals(closes: &[f64]) -> Vec<Signal> {
        let mut strategy = Crossover::new(2, 4);
        closes
            .iter()
            .map(|close| strategy.on_bar(&flat(*close)))
            .collect()
    }

    #[test]
    fn signals_once_a_cross_has_lasted() {
        // The short mean is above the long one from the fifth bar on, and below it from the ninth.
        let closes = [5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0, 9.0, 2.0, 1.0, 1.0];
        let kinds: Vec<_> = signals(&closes).iter().map(|signal| signal.kind).collect();
        let at = |kind| kinds.iter().position(|k| *k == kind);
        assert_eq!(at(SignalKind::Buy), Some(6));
        assert_eq!(at(SignalKind::Sell), Some(10));
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| **kind != SignalKind::Hold)
                .count(),
            2
        );
    }

    #[test]
    fn confidence_is_the_distance_in_deviations() {
        // Means 7.5 and 6.5; the closes 5, 6, 7, 8 deviate by √(5/3).
        let signal = signals(&[5.0, 6.0, 7.0, 8.0])[3];
        assert!((signal.confidence - 1.0 / (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
