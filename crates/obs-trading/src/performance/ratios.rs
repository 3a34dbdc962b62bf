//! The ratios of a ledger that follow from its returns, and so change once a period: roots and exponentials are not for each mark.

use super::returns::Returns;
use super::window::calmar;
use super::{Ledger, Undefined};

/// The ratios as they were shown last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratios {
    of: Option<(Returns, f64)>,
    pub(crate) sharpe: Result<f64, Undefined>,
    pub(crate) sortino: Result<f64, Undefined>,
    pub(crate) volatility: Result<f64, Undefined>,
    pub(crate) growth: Result<f64, Undefined>,
    pub(crate) calmar: Result<f64, Undefined>,
}

impl Default for Ratios {
    fn default() -> Self {
        let none = Err(Undefined::TooFewReturns);
        Self {
            of: None,
            sharpe: none,
            sortino: none,
            volatility: none,
            growth: none,
            calmar: none,
        }
    }
}

impl Ratios {
    /// Computes them again where returns or deepest drawdown changed, and says whether they did.
    pub(crate) fn follow(&mut self, ledger: &Ledger) -> bool {
        let (returns, drawdown) = (&ledger.standing.returns, ledger.max_drawdown_ratio());
        let before = self.of.as_ref();
        let is_same = before.is_some_and(|(before, _)| before == returns);
        if is_same && before.is_some_and(|(_, before)| before.to_bits() == drawdown.to_bits()) {
            return false;
        }
        if !is_same {
            self.sharpe = ledger.sharpe_ratio();
            self.sortino = ledger.sortino_ratio();
            self.volatility = ledger.volatility_ratio();
            self.growth = ledger.growth_ratio();
        }
        self.calmar = calmar(self.growth, ledger.drawdown_of_growth());
        self.of = Some((*returns, drawdown));
        true
    }
}
