//! Quotes options on two venues.

mod quoting;

use obs_core::Catalogue;

pub use crate::quoting::{HedgeMetrics, QuoteMetrics, Quoter};

/// Every metric of the quoter. The service itself does without: only `xtask` asks for it.
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[QuoteMetrics::FAMILIES, HedgeMetrics::FAMILIES])
}
