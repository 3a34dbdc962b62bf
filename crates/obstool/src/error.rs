//! The one error: what could not be looked at, and why.

use std::io;

use crate::Failure;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something could not be read, or is not what it should be.
    #[error(transparent)]
    Verify(#[from] obs_verify::Error),
    /// Two declarations of one name.
    #[error(transparent)]
    Catalogue(#[from] obs_core::CatalogueError),
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// A service has no catalogue, and one is needed.
    #[error("{0} has no catalogue; give a file of one, or a service that serves /catalog.json")]
    NoCatalogue(String),
    /// Signals cannot be waited for.
    #[error("cannot take notice of Ctrl-C: {source}")]
    Signals {
        /// Why not.
        source: io::Error,
    },
    /// A service could not be looked at.
    #[error(transparent)]
    Look(#[from] Failure),
    /// The address of a page cannot be had.
    #[error("cannot listen on {address}: {source}; give another one by --listen")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// What is pushed cannot be.
    #[cfg(feature = "push")]
    #[error(transparent)]
    Push(#[from] obs_push::PushError),
    /// Nothing can be pushed from this process.
    #[cfg(feature = "push")]
    #[error("cannot begin to push: {source}; raise the limit of descriptors or threads")]
    Pushing {
        /// Why not.
        source: io::Error,
    },
    /// What was sent cannot be kept.
    #[cfg(feature = "push")]
    #[error("cannot keep what was sent in {path}: {source}; give a file of this agent alone by --state", path = .path.display())]
    State {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The terminal refused something.
    #[error("cannot draw on this terminal: {source}; `--once` prints a table instead")]
    Terminal {
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// What it is in a word, and why.
    #[cfg(feature = "top")]
    pub(crate) fn told(&self) -> (&'static str, String) {
        match self {
            Self::Look(failure) => failure.told(),
            other => ("unreadable", other.to_string()),
        }
    }
}
