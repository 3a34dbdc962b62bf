//! What can be wrong with an engine's settings.

use std::fmt;

use crate::cell::WORDS;

/// Why an engine could not be built. Each says what to do about it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// More buckets than a histogram of this engine can have.
    #[error(
        "histogram `{family}` has {bounds} bounds; this recorder takes up to {}: declare fewer, or choose the stock recorder",
        WORDS - 2
    )]
    TooManyBounds {
        /// The family.
        family: &'static str,
        /// How many it declares.
        bounds: usize,
    },
    /// More lanes than threads can have slots.
    #[error("{slots} slots are more than {}; take fewer", crate::slot::MAX_SLOTS)]
    TooManySlots {
        /// How many were asked for.
        slots: usize,
    },
}

impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}
