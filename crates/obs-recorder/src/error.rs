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
    /// Buckets for a histogram of other people's code that are none.
    #[error(
        "the buckets of `{name}` are not usable; take up to {} finite bounds, each greater than the one before",
        WORDS - 2
    )]
    Bounds {
        /// Its name.
        name: String,
    },
    /// A global label that would spoil the text or take the place of a label of the format.
    #[error(
        "`{key}` cannot be a global label: take a name of letters, digits and `_` that does not begin with a digit or `__` and is neither `le` nor `quantile`"
    )]
    GlobalLabel {
        /// Its key.
        key: String,
    },
    /// The process was forked after the engine was made. What other threads of its parent held locked stays locked in the child.
    #[error(
        "this process is a fork of the one that made the recorder, and cannot read it; make another recorder here, or fork before making one"
    )]
    Forked,
    /// The file for what is recorded cannot be made.
    #[error("{reason}")]
    Memory {
        /// Why, with its path and what to do.
        reason: String,
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
