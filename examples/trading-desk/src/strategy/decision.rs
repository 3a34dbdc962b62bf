//! From a signal to a decision: what the strategy does, given what it already has.

use obs_trading::{Decision, Signal as SignalKind};

use super::Signal;

/// An entry signal less sure than this is not acted on.
pub const MIN_CONFIDENCE: f64 = 0.1;

/// What a strategy has in one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Nothing.
    Flat,
    /// An order to buy that is still open.
    Entering,
    /// A position.
    Long,
    /// A position, and an order to sell it that is still open.
    Exiting,
}

/// What to do about `signal`. A signal to sell is acted on however sure it is.
#[must_use]
pub fn decide(signal: Signal, holding: Holding) -> Decision {
    match (signal.kind, holding) {
        (SignalKind::Hold, _) => Decision::Hold,
        (SignalKind::Buy, Holding::Flat) if signal.confidence >= MIN_CONFIDENCE => Decision::Enter,
        (SignalKind::Sell | SignalKind::Exit, Holding::Entering) => Decision::Withdraw,
        (SignalKind::Sell | SignalKind::Exit, Holding::Long) => Decision::Exit,
        // Too unsure, owned or ordered already, or nothing to sell.
        (SignalKind::Buy | SignalKind::Sell | SignalKind::Exit, _) => Decision::Skip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_meets_every_holding() {
        use Decision::{Enter, Exit, Hold, Skip, Withdraw};
        let holdings = [
            Holding::Flat,
            Holding::Entering,
            Holding::Long,
            Holding::Exiting,
        ];
        for (kind, decisions) in [
            (SignalKind::Buy, [Enter, Skip, Skip, Skip]),
            (SignalKind::Sell, [Skip, Withdraw, Exit, Skip]),
            (SignalKind::Hold, [Hold; 4]),
        ] {
            assert_eq!(
                holdings.map(|holding| decide(Signal::new(kind, 0.5), holding)),
                decisions
            );
        }
    }

    #[test]
    fn only_entries_need_confidence() {
        let unsure = |kind| Signal::new(kind, MIN_CONFIDENCE / 2.0);
        assert_eq!(
            decide(unsure(SignalKind::Buy), Holding::Flat),
            Decision::Skip
        );
        assert_eq!(
            decide(unsure(SignalKind::Sell), Holding::Long),
            Decision::Exit
        );
    }
}
