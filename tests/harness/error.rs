//! The one error: what could not be run, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a program from outside gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error("{program} is missing; run `cargo xtask test`, which installs it")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// This machine lacks programs and does not let them be installed.
    #[error("cannot install what is needed: {reasons}\n{repair}")]
    CannotInstall {
        /// What went wrong, a line for each attempt.
        reasons: String,
        /// All that is missing, and how to install it by hand.
        repair: String,
    },
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was to be done.
        what: String,
        /// Why it could not be.
        source: io::Error,
    },
    /// A process ended or fell silent before it said what was waited for.
    #[error("{program} ended before it printed {awaited}; it printed:\n{printed}")]
    Ended {
        /// Its path.
        program: PathBuf,
        /// What was waited for.
        awaited: String,
        /// Everything it did print.
        printed: String,
    },
    /// A program ran and failed. It has said why itself.
    #[error("{program} failed ({status})")]
    Failed {
        /// What ran.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// An exposition could not be fetched.
    #[error("cannot scrape {url}: {reason}; is something serving metrics there?")]
    Scrape {
        /// Where from.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A program answered in a way nobody expects.
    #[error("{program} gave an answer that makes no sense: {answer}")]
    Nonsense {
        /// Its name.
        program: &'static str,
        /// What it said.
        answer: String,
    },
}

impl Error {
    /// A refusal of the operating system, for `map_err`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
