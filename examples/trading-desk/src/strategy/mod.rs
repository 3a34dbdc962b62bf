//! Strategies: from a bar to a signal, from a signal to a decision.
//!
//! A strategy knows prices and nothing of money: it reads one bar after the other of one symbol and says
//! buy, sell or hold. What that means for the account is the [`decision`].

use std::fmt;

use crate::bars::Bar;
use crate::order::OrderKind;

pub use obs_trading::Signal as SignalKind;

pub mod crossover;
pub mod decision;
pub mod mean_reversion;
pub mod window;

obs_core::label! {
    /// On whose behalf an order is placed.
    pub enum StrategyId as "strategy" {
        /// [`crossover::Crossover`].
        MaCrossover = "ma_crossover",
        /// [`mean_reversion::MeanReversion`].
        MeanReversion = "mean_reversion",
        /// A user of the API.
        Manual = "manual",
    }
}

/// What a strategy says, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// Buy, sell or hold.
    pub kind: SignalKind,
    /// 0 to 1; each strategy says what it measures by it.
    pub confidence: f64,
}

/// Reads the bars of one symbol in order of date.
pub trait Strategy: Send {
    /// Which strategy this is.
    fn id(&self) -> StrategyId;

    /// Takes in the next bar and says what follows from it.
    fn on_bar(&mut self, bar: &Bar) -> Signal;

    /// The kind of order that enters a position decided upon at this close.
    fn entry(&self, close: f64) -> OrderKind;
}

impl StrategyId {
    /// The strategies that trade by themselves.
    pub const AUTOMATIC: [Self; 2] = [Self::MaCrossover, Self::MeanReversion];

    /// A fresh instance with the usual parameters, for one symbol; none for `Manual`, whose strategy
    /// is in somebody's head.
    #[must_use]
    pub fn build(self) -> Option<Box<dyn Strategy>> {
        match self {
            Self::MaCrossover => Some(Box::new(crossover::Crossover::new(20, 50))),
            Self::MeanReversion => Some(Box::new(mean_reversion::MeanReversion::new(20))),
            Self::Manual => None,
        }
    }

    /// What it does, in a sentence.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::MaCrossover => {
                "Owns a symbol while its 20-day mean is above its 50-day mean, from the third day on."
            }
            Self::MeanReversion => {
                "Buys two standard deviations below the 20-day mean, sells when the price is back at it."
            }
            Self::Manual => "Orders placed through the API.",
        }
    }
}

impl Signal {
    /// A signal; the confidence is brought into 0 to 1, and one that is not a number is none.
    #[must_use]
    pub fn new(kind: SignalKind, confidence: f64) -> Self {
        let confidence = if confidence.is_nan() {
            0.0
        } else {
            confidence.clamp(0.0, 1.0)
        };
        Self { kind, confidence }
    }

    /// Said while there are too few bars to say anything.
    #[must_use]
    pub fn warming_up() -> Self {
        Self::new(SignalKind::Hold, 0.0)
    }
}

impl fmt::Debug for dyn Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strategy({})", self.id())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A bar that closes at `close` and did nothing else.
    pub(crate) fn flat(close: f64) -> Bar {
        Bar {
            date: jiff::civil::date(2020, 1, 2),
            open: close,
            high: close,
            low: close,
            close,
            volume: 1e6,
        }
    }

    #[test]
    fn confidence_stays_in_range() {
        for (raw, kept) in [(-1.0, 0.0), (0.5, 0.5), (7.0, 1.0), (f64::NAN, 0.0)] {
            assert!((Signal::new(SignalKind::Buy, raw).confidence - kept).abs() < 1e-12);
        }
    }

    #[test]
    fn every_strategy_signals_on_real_bars_and_constant_prices() {
        let series = crate::bars::bundled().unwrap();
        for id in StrategyId::AUTOMATIC {
            let mut strategy = id.build().unwrap();
            assert_eq!(strategy.id(), id);
            let mut seen = BTreeSet::new();
            for bar in &series[0].bars {
                let signal = strategy.on_bar(bar);
                assert!((0.0..=1.0).contains(&signal.confidence));
                seen.insert(signal.kind);
            }
            let all = BTreeSet::from([SignalKind::Buy, SignalKind::Sell, SignalKind::Hold]);
            assert_eq!(seen, all, "{id}");

            let mut strategy = id.build().unwrap();
            assert!((0..200).all(|_| strategy.on_bar(&flat(5.0)).kind == SignalKind::Hold));
        }
    }
}
