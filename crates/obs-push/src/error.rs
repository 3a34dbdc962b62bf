//! What can go wrong with a push.

use std::path::PathBuf;

/// Why something cannot be pushed, or was not. Nothing in it shows a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The URL of a receiver of OTLP is none, or has a user or a query in it. It is not shown: it may have a password in it.
    #[error(
        "the URL of OTLP's receiver is not acceptable; give one without a user, such as http://127.0.0.1:4318 or \
        http://127.0.0.1:9090/api/v1/otlp/v1/metrics"
    )]
    Url,
    /// Headers for a receiver of OTLP are none.
    #[error(
        "the headers for OTLP's receiver are not acceptable; give them between commas, such as \
        Authorization=Bearer%20secret,X-Scope-OrgID=desk"
    )]
    Headers,
    /// The certificates of authorities cannot be used.
    #[error("cannot use {}: {problem}; it takes certificates of authorities, in PEM", .path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A receiver has `https`, and this system has no certificates of authorities.
    #[error(
        "OTLP's receiver has https, and this system trusts no authority; name a file with certificates of some, in PEM"
    )]
    NoAuthorities,
    /// A receiver has `https`, which is not compiled in.
    #[error("OTLP's receiver has https, which needs the feature `tls` of obs-push")]
    NoTls,
    /// The job or a label of a push cannot be used.
    #[error("{setting} is `{value}`; it takes {accepts}")]
    Invalid {
        /// Which of them.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it takes.
        accepts: &'static str,
    },
    /// What a job recorded could not be sent. The URL is shown without the credentials in it.
    #[error("cannot push the metrics of the job `{job}` to {url}: {problem}; {repair}")]
    Failed {
        /// Where to, as configured.
        url: String,
        /// Which job's.
        job: String,
        /// What went wrong, and how often it was tried.
        problem: String,
        /// What to do about it.
        repair: &'static str,
    },
}
