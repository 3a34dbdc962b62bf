//! The one error: what could not be read, and why.

use std::io;
use std::path::PathBuf;

/// Why something could not be checked or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {verb} {path}: {source}")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A catalogue, a file of rules or a dashboard is not what it should be.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// The file, or where it was fetched from.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An objective of the settings promises what cannot be held, or is about what does not exist.
    #[error("the objective `{name}` {reason}")]
    Objective {
        /// Its name.
        name: String,
        /// What is wrong with it, and what to write.
        reason: String,
    },
    /// A document has lost the marks between which its generated part is.
    #[error("{path} has no `{mark}`; put it back where the generated part belongs")]
    NoMark {
        /// The document.
        path: PathBuf,
        /// The missing mark.
        mark: &'static str,
    },
    /// A generated file is not what its source says.
    #[error("{path} is stale: {line}; generate it anew and commit it")]
    Stale {
        /// The file.
        path: PathBuf,
        /// The first line that differs.
        line: String,
    },
}
