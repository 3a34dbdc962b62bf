//! Why a trade or an order was refused.

use std::collections::HashMap;

use obs_core::Closed;

obs_core::label! {
    /// Why a trade was refused by a check of ours, or an order by the venue.
    pub enum RejectReason as "reason" {
        /// Cash or buying power does not suffice.
        InsufficientFunds = "insufficient_funds",
        /// The position would grow beyond its limit.
        PositionLimit = "position_limit",
        /// The book's exposure would grow beyond its limit.
        ExposureLimit = "exposure_limit",
        /// The day's loss has reached its limit.
        DailyLossLimit = "daily_loss_limit",
        /// The drawdown has reached its limit.
        DrawdownLimit = "drawdown_limit",
        /// A cash-account or day-trading rule forbids it.
        Compliance = "compliance",
        /// The quantity is zero, too small, too large or no multiple of the lot.
        InvalidQuantity = "invalid_quantity",
        /// The price is missing, off the tick or outside the allowed band.
        InvalidPrice = "invalid_price",
        /// The symbol is unknown, halted or cannot be shorted.
        InvalidSymbol = "invalid_symbol",
        /// The market is closed.
        MarketClosed = "market_closed",
        /// The order is known already.
        Duplicate = "duplicate",
        /// Too many orders in too short a time.
        RateLimited = "rate_limited",
        /// The venue cannot be reached or does not answer.
        VenueUnavailable = "venue_unavailable",
        /// Any other reason.
        Other = "other",
    }
}

/// Maps a broker's own reject codes to reasons, so that the label stays a closed set whatever the broker sends.
///
/// ```
/// use obs_trading::{RejectCodes, RejectReason};
///
/// let codes = RejectCodes::new()
///     .map("40310000", RejectReason::InsufficientFunds)
///     .map("OR_HALTED", RejectReason::InvalidSymbol);
/// assert_eq!(codes.reason("40310000"), RejectReason::InsufficientFunds);
/// assert_eq!(codes.reason("market_closed"), RejectReason::MarketClosed); // our own words are known
/// assert_eq!(codes.reason("something new"), RejectReason::Other);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RejectCodes(HashMap<String, RejectReason>);

impl RejectCodes {
    /// A mapping that knows our own words only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a code; a later one of the same text replaces an earlier one.
    #[must_use]
    pub fn map(mut self, code: impl Into<String>, reason: RejectReason) -> Self {
        self.0.insert(code.into(), reason);
        self
    }

    /// The reason of a code: as mapped, else by our own words, else [`RejectReason::Other`].
    #[must_use]
    pub fn reason(&self, code: &str) -> RejectReason {
        let mapped = self.0.get(code).copied();
        mapped
            .or_else(|| RejectReason::parse(code))
            .unwrap_or(RejectReason::Other)
    }
}
