//! What can go wrong on the way to a served metric.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use obs_core::{AlreadyInstalled, CatalogueError};
use obs_recorder::EngineError;

use crate::RecorderKind;
use crate::config::variables;
#[cfg(any(feature = "push", feature = "otlp"))]
use crate::config::{OTLP_HEADERS, OTLP_URLS, features};

/// Why the exporter could not be configured, installed or served. Each says what to do about it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ExporterError {
    /// The environment holds an `OBS_…` variable that nothing reads: most likely a typo.
    ///
    /// What it holds is not kept: it may be a credential under a name that was misspelt.
    #[error(
        "unknown variable {name}; {}if another program reads it, list it in OBS_IGNORE; known are {}",
        suggestion(*.nearest),
        variables()
    )]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The known variable whose name is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// A setting holds what it does not take.
    #[error("{setting} is `{value}`; it takes {accepts}")]
    InvalidSetting {
        /// The environment variable, or the field of [`Config`](crate::Config).
        setting: &'static str,
        /// What it holds.
        value: String,
        /// What it takes.
        accepts: &'static str,
    },
    /// A label that was to stand on every series is one that a family has itself.
    #[error(
        "OBS_LABELS has `{key}`, which is a label of `{family}` itself; choose another key, such as `{key}_name`"
    )]
    OwnedLabel {
        /// Its key.
        key: String,
        /// The family.
        family: &'static str,
    },
    /// Two families of the catalogue have one name.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The process has a recorder already.
    #[error(transparent)]
    AlreadyInstalled(#[from] AlreadyInstalled),
    /// The recorder of this workspace does not take a setting or a family.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The stock recorder does not take the buckets or quantiles of a family.
    #[error("the recorder refuses `{family}`: {reason}; correct its declaration")]
    Refused {
        /// The family.
        family: &'static str,
        /// What the recorder says.
        reason: String,
    },
    /// The thread that keeps the recorder's memory bounded could not be started.
    #[error("cannot start the recorder's upkeep thread: {0}; raise the limit of threads or memory")]
    Upkeep(#[source] io::Error),
    /// The thread of `serve_blocking` could not be started.
    #[error("cannot start the server's thread: {0}; raise the limit of threads or memory")]
    ServerThread(#[source] io::Error),
    /// `serve` or `push` was called outside a Tokio runtime, or in one that is shutting down.
    #[error(
        "serving and pushing need a Tokio runtime; call `serve` or `push` from within one, such as a `#[tokio::main]` function"
    )]
    NoRuntime,
    /// The Tokio runtime that `serve` or `push` was called in has no timer, or on Unix no network.
    #[error(
        "serving and pushing need the timer and the network of the Tokio runtime, and this one lacks one of them; \
        build it with `enable_all()`, as `#[tokio::main]` does"
    )]
    RuntimeLacks,
    /// The address to listen on cannot be had.
    #[error("cannot listen on {address}: {}; set OBS_LISTEN to another address, e.g. 127.0.0.1:0", .source.kind())]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The Unix socket to listen on cannot be had.
    #[error("cannot listen on the Unix socket {}: {}; set OBS_UNIX_SOCKET to a path where nothing is, in a folder that this \
        program may write to", .path.display(), .source.kind())]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Other machines would reach the server, and nobody would be asked who they are.
    #[error(
        "OBS_LISTEN is {address}, where others can read what this program earns without saying who they are; \
        set OBS_BEARER_TOKEN_FILE, OBS_BASIC_AUTH_FILE or OBS_TLS_CLIENT_CA, or OBS_ALLOW_PUBLIC=true if that is meant"
    )]
    Public {
        /// The address.
        address: SocketAddr,
    },
    /// What a job recorded could not be sent. The URL is shown without the credentials in it.
    #[error("cannot push the metrics of the job `{job}` to {url}: {problem}; {repair}")]
    Push {
        /// Where to, as configured.
        url: String,
        /// Which job's.
        job: String,
        /// What went wrong, and how often it was tried.
        problem: String,
        /// What to do about it.
        repair: &'static str,
    },
    /// A credential is not one. What it holds is not shown.
    #[error("{origin} is empty or not acceptable; it takes {accepts}")]
    Secret {
        /// The setting, or the file and the setting that names it.
        origin: String,
        /// What it takes.
        accepts: &'static str,
    },
    /// The file of a credential cannot be read.
    #[error("cannot read {}, which {setting} names: {}; correct the path or the rights", .path.display(), .source.kind())]
    SecretFile {
        /// The environment variable.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of certificates or a private key cannot be used.
    #[error("cannot use {}, which {setting} names: {problem}; it takes {accepts}", .path.display())]
    Tls {
        /// The environment variable.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What it takes.
        accepts: &'static str,
    },
    /// A setting has no effect alone.
    #[error("{setting} is set without {needs}; set both or neither")]
    Incomplete {
        /// The environment variable that is set.
        setting: &'static str,
        /// The one that is not.
        needs: &'static str,
    },
    /// A setting is for the other recorder.
    #[error("{setting} needs OBS_RECORDER={}: {reason}; set that, or leave the first unset", .recorder.as_str())]
    OtherRecorder {
        /// The environment variable that is set.
        setting: &'static str,
        /// The recorder that knows it.
        recorder: RecorderKind,
        /// Why the one that is chosen does not.
        reason: &'static str,
    },
    /// A setting needs a feature that was not compiled in.
    #[error(
        "{setting} needs the feature `{feature}`; enable it where the program declares obs-exporter"
    )]
    FeatureMissing {
        /// The environment variable.
        setting: &'static str,
        /// The feature.
        feature: &'static str,
    },
}

#[cfg(any(feature = "push", feature = "otlp"))]
impl ExporterError {
    /// What refuses a push, with the setting that it comes from.
    pub(crate) fn of_push(error: obs_push::PushError) -> Self {
        use obs_push::PushError;

        const CA: &str = "OBS_OTLP_CA";
        let secret = |setting: &str, accepts| Self::Secret {
            origin: setting.to_owned(),
            accepts,
        };
        match error {
            PushError::Invalid {
                setting,
                value,
                accepts,
            } => Self::InvalidSetting {
                setting,
                value,
                accepts,
            },
            PushError::Failed {
                url,
                job,
                problem,
                repair,
            } => Self::Push {
                url,
                job,
                problem,
                repair,
            },
            PushError::Authorities { path, problem } => Self::Tls {
                setting: CA,
                path,
                problem,
                accepts: "certificates of authorities, in PEM",
            },
            PushError::NoAuthorities => Self::Incomplete {
                setting: "OBS_OTLP_URL with https, on a system without certificates of authorities,",
                needs: CA,
            },
            PushError::NoTls => features::missing("OBS_OTLP_URL with https", "tls"),
            PushError::Headers => secret("Config::otlp_headers", OTLP_HEADERS),
            _ => secret("Config::otlp_url", OTLP_URLS),
        }
    }
}

impl fmt::Debug for ExporterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        obs_core::fmt_error(self, f)
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("did you mean {name}? "))
}
