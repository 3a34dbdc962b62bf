//! Families of which the series come into being with their first use.

use std::sync::OnceLock;

use obs_core::Keyed;

use crate::ProviderName;

/// What is resolved on first use, from the recorder under which this was made.
#[derive(Debug)]
pub(crate) struct Lazy<T> {
    made: OnceLock<T>,
    /// Keeps the recorder; there is nothing in it.
    recorder: Keyed<ProviderName, ()>,
}

impl<T> Lazy<T> {
    pub(crate) fn new() -> Self {
        Self {
            made: OnceLock::new(),
            recorder: Keyed::new(&[]),
        }
    }

    pub(crate) fn is_made(&self) -> bool {
        self.made.get().is_some()
    }

    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &T {
        self.made.get_or_init(|| self.recorder.resolve(make))
    }
}
