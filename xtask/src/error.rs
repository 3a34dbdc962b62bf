//! The one error: what went wrong, with what, and what to do.

use std::io;
use std::path::PathBuf;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program could not be started.
    #[error("cannot run `{command}`: {source}")]
    NotRun {
        /// What was to run.
        command: String,
        /// Why it did not.
        source: io::Error,
    },
    /// A program ran and failed. It has said why itself.
    #[error("`{command}` failed")]
    Failed {
        /// What ran.
        command: String,
    },
    /// Signals cannot be waited for.
    #[error("cannot take notice of Ctrl-C: {source}")]
    Signals {
        /// Why not.
        source: io::Error,
    },
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
    /// What a program printed is not what it should be.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// What printed it, or the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A query, a guide or a dashboard is not what it should be.
    #[error(transparent)]
    Verify(#[from] obs_verify::Error),
    /// What is to be watched shows nothing.
    #[error(transparent)]
    Obstool(#[from] obstool::Error),
    /// Two declarations of one name.
    #[error(transparent)]
    Catalogue(#[from] obs_core::CatalogueError),
    /// The current servers cannot be built.
    #[error(
        "cannot build the current releases of the servers: {0}; install Go, or unset TEST_SERVERS"
    )]
    Servers(String),
    /// A program from outside, or the desk, did not do what it was started for.
    #[error(transparent)]
    Harness(#[from] obs_tests::Error),
}
