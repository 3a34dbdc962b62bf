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
    /// A rule file or dashboard is not what it should be.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// The file, from the workspace's directory.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The guide has lost the marks between which the reference stands.
    #[error("{path} has no `{mark}`; put it back where the reference is to stand")]
    NoMark {
        /// The guide.
        path: PathBuf,
        /// The missing mark.
        mark: &'static str,
    },
    /// What is generated is not what it is generated from.
    #[error("{path} is stale: {line}; run `cargo xtask gen` and commit it")]
    Stale {
        /// The guide, or a dashboard.
        path: PathBuf,
        /// The first line that differs.
        line: String,
    },
    /// What `top` is to look at shows nothing.
    #[error(transparent)]
    Target(#[from] crate::top::Failure),
    /// The terminal refused something.
    #[error("cannot draw on this terminal: {source}; `--once` prints a table instead")]
    Terminal {
        /// Why not.
        source: io::Error,
    },
    /// Two declarations of one name.
    #[error(transparent)]
    Catalogue(#[from] obs_core::CatalogueError),
    /// A program from outside, or the desk, did not do what it was started for.
    #[error(transparent)]
    Harness(#[from] obs_tests::Error),
}
