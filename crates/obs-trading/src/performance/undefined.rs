//! Why a statistic has no value.

/// Why a statistic has no value. Its gauge is `NaN` then: never 0, which would look like a result, and never infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// No trade was closed yet.
    #[error("no trade was closed yet")]
    NoTrades,
    /// No closed trade made a profit.
    #[error("no closed trade made a profit")]
    NoWins,
    /// No closed trade made a loss, so there is nothing to divide by.
    #[error("no closed trade made a loss")]
    NoLosses,
    /// Fewer than two returns, or no more than the degrees of freedom that are taken off.
    #[error("fewer than two returns are known; a return is known when its period is over")]
    TooFewReturns,
    /// The returns do not differ by more than rounding does.
    #[error("the returns are all the same, so there is no dispersion to divide by")]
    NoDispersion,
    /// No return fell below the risk-free one by more than rounding does.
    #[error("no return fell below the risk-free return, so there is no downside to divide by")]
    NoDownside,
    /// A period or a trade began with an equity of zero or less: no return can be computed from there.
    #[error("equity was zero or below when a period or a trade began; no return follows from that")]
    NonPositiveEquity,
    /// Equity never fell below its peak, so there is nothing to divide by.
    #[error("equity never fell below its highest, so there is no drawdown to divide by")]
    NoDrawdown,
    /// Returns on the notional of trades do not compound to a growth of anything.
    #[error("returns on the notional of trades do not compound; take a basis of equity for growth")]
    NotCompounding,
    /// The window begins before what is kept of single returns.
    #[error("the window begins before the returns that are kept; begin it later")]
    NotKept,
    /// No drawdown was recovered yet.
    #[error("no drawdown was recovered yet")]
    NoRecovery,
}
