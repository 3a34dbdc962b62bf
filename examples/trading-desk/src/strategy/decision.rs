//! From a signal to a decision: what the strategy does, given what it already has.

use strum::{Display, IntoStaticStr, VariantArray};

use super::{Signal, SignalKind};

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

/// What a strategy does about a signal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Display, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Decision {
    /// Buy, as long as the risk check agrees.
    Enter,
    /// Sell the position.
    Exit,
    /// Cancel the order to buy before it is filled.
    Withdraw,
    /// Nothing: there was no signal to act on.
    Hold,
    /// Nothing: what the signal asks for is owned or ordered already.
    SkipDuplicate,
    /// Nothing: a signal to sell, and nothing to sell.
    SkipNoPosition,
    /// Nothing: the signal is not sure enough.
    SkipLowConfidence,
}

/// What to do about `signal`. A signal to sell is acted on however sure it is.
#[must_use]
pub fn decide(signal: Signal, holding: Holding) -> Decision {
    match (signal.kind, holding) {
        (SignalKind::Hold, _) => Decision::Hold,
        (SignalKind::Buy, Holding::Flat) if signal.confidence < MIN_CONFIDENCE => {
            Decision::SkipLowConfidence
        }
        (SignalKind::Buy, Holding::Flat) => Decision::Enter,
        (SignalKind::Buy, _) | (SignalKind::Sell, Holding::Exiting) => Decision::SkipDuplicate,
        (SignalKind::Sell, Holding::Flat) => Decision::SkipNoPosition,
        (SignalKind::Sell, Holding::Entering) => Decision::Withdraw,
        (SignalKind::Sell, Holding::Long) => Decision::Exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_meets_every_holding() {
        use Decision::{Enter, Exit, Hold, SkipDuplicate, SkipNoPosition, Withdraw};
        let holdings = [
            Holding::Flat,
            Holding::Entering,
            Holding::Long,
            Holding::Exiting,
        ];
        for (kind, decisions) in [
            (
                SignalKind::Buy,
                [Enter, SkipDuplicate, SkipDuplicate, SkipDuplicate],
            ),
            (
                SignalKind::Sell,
                [SkipNoPosition, Withdraw, Exit, SkipDuplicate],
            ),
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
            Decision::SkipLowConfidence
        );
        assert_eq!(
            decide(unsure(SignalKind::Sell), Holding::Long),
            Decision::Exit
        );
    }
}
