//! A stretch of time in which a market trades.

use jiff::Timestamp;
use jiff::civil::Date;

/// A session: open from `start` on, closed again at `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
    /// The trading day its trades belong to.
    pub trade_date: Date,
}

impl Session {
    /// Whether the moment lies in the session.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}
