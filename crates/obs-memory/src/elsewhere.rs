//! What there is where files cannot be mapped as they have to be: nothing.

use std::convert::Infallible;
use std::path::Path;

use crate::{Heartbeat, HeartbeatOptions, MemoryError, Options, Page, Record};

/// A file that this process records to; on Linux only, and with the feature `map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(Infallible);

impl Memory {
    /// Fails.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Unsupported`].
    pub fn create(path: &Path, _: Options) -> Result<Self, MemoryError> {
        Err(MemoryError::Unsupported {
            path: path.to_path_buf(),
        })
    }

    /// Another page of a block.
    #[must_use]
    pub fn page(self, _: u32) -> Option<Page> {
        match self.0 {}
    }

    /// Appends a record.
    #[expect(
        clippy::must_use_candidate,
        reason = "as where there is a file, in which what is lost is kept"
    )]
    pub fn append(self, _: &Record) -> Option<u32> {
        match self.0 {}
    }

    /// Why something is not in the file.
    #[must_use]
    pub fn incomplete(self) -> Option<String> {
        match self.0 {}
    }

    /// Whether this process was forked from the one that made the file.
    #[must_use]
    pub fn is_inherited(self) -> bool {
        match self.0 {}
    }

    /// The sign of life of a loop.
    ///
    /// # Errors
    ///
    /// None: there is no file.
    pub fn heartbeat(self, _: &str, _: HeartbeatOptions) -> Result<Heartbeat, MemoryError> {
        match self.0 {}
    }

    /// Where the file is.
    #[must_use]
    pub fn path(self) -> &'static Path {
        match self.0 {}
    }
}

pub(crate) fn own(_: &Path) -> Option<&'static std::fs::File> {
    None
}

pub(crate) fn holder(_: &std::fs::File) -> Option<u32> {
    None
}

pub(crate) fn monotonic_nanoseconds() -> u64 {
    0
}
