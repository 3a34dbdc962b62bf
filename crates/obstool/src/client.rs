//! What is asked, and how: URLs and Unix sockets, credentials, limits.

mod unix;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use ureq::http::HeaderMap;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Timeout};

use crate::place::{Origin, Place};

/// Where systems keep the certificates they trust.
const TRUSTED: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// What is read of an exposition: the classic format first, then `OpenMetrics`, then whatever there is.
pub(crate) const EXPOSITION: &str =
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
pub(crate) const JSON: &str = "application/json";

/// How to ask: credentials, all of them in files, and limits.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Asking")]
pub struct Access {
    /// The file with the token that the service asks for.
    #[arg(long, value_name = "FILE", conflicts_with = "basic_auth_file")]
    pub bearer_token_file: Option<PathBuf>,
    /// The file with the user and password that the service asks for, as `user:password`.
    #[arg(long, value_name = "FILE")]
    pub basic_auth_file: Option<PathBuf>,
    /// The file with the certificates to trust, in PEM; those of the system unless given.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The file with the client certificate that the service asks for, in PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The file with the key of the client certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// How long an answer may take.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::duration::parse)]
    pub timeout: Option<Duration>,
    /// How large an answer may be, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "268435456")]
    pub max_bytes: Option<u64>,
}

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answers.
    #[error("{url} is unreachable: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why it did not come.
        reason: String,
    },
    /// Somebody answers, and refuses.
    #[error("{url} answers {status}{hint}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The status line.
        status: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// What is there is no exposition.
    #[error("{url} is no exposition of metrics: {reason}")]
    Unreadable {
        /// What was asked for.
        url: String,
        /// The first mistake.
        reason: String,
    },
    /// A file with credentials or certificates cannot be used.
    #[error("cannot use {path}: {reason}")]
    Credentials {
        /// The file. What is in it is not shown.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) status: ureq::http::StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Asks one service.
#[derive(Clone)]
pub(crate) struct Client {
    origin: Origin,
    agent: Agent,
    authorization: Option<String>,
    timeout: Duration,
    max_bytes: u64,
}

impl Client {
    /// Fails when a file of credentials or certificates cannot be used.
    pub(crate) fn new(place: &Place, access: &Access) -> Result<Self, Failure> {
        let timeout = access.timeout.unwrap_or(Duration::from_secs(10));
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // What is looked at is beside this program.
            .proxy(None)
            .user_agent("obstool");
        let origin = place.origin.clone();
        let agent = match &origin {
            Origin::Https(_) => {
                let config = config.tls_config(access.tls()?).build();
                Agent::with_parts(config, DefaultConnector::new(), DefaultResolver::default())
            }
            Origin::Http(_) => config.build().into(),
            Origin::Unix(socket) => Agent::with_parts(
                config.build(),
                unix::Connector(socket.clone()),
                unix::Resolver,
            ),
        };
        Ok(Self {
            origin,
            agent,
            authorization: access.authorization()?,
            timeout,
            max_bytes: access.max_bytes.unwrap_or(256 << 20),
        })
    }

    /// The same with this header instead of the credentials in files.
    #[cfg(feature = "top")]
    pub(crate) fn authorized(self, authorization: Option<String>) -> Self {
        Self {
            authorization: authorization.or(self.authorization),
            ..self
        }
    }

    /// The URL of a path, as people read it.
    pub(crate) fn url(&self, path: &str) -> String {
        self.origin.url(path)
    }

    /// Asks for a path; whatever is answered.
    pub(crate) fn ask(&self, path: &str, accept: &str) -> Result<Answer, Failure> {
        let url = self.url(path);
        let failed = |error| self.unreachable(&url, &error);
        let mut request = self
            .agent
            .get(self.origin.request(path))
            .header("accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut response = request.call().map_err(failed)?;
        let body = response.body_mut().with_config().limit(self.max_bytes);
        let text = body.lossy_utf8(true).read_to_string().map_err(failed)?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            url,
            text,
        })
    }

    /// Asks for a path; what is there, unless that is a refusal.
    pub(crate) fn get(&self, path: &str, accept: &str) -> Result<Answer, Failure> {
        let answer = self.ask(path, accept)?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.refused(&answer))
    }

    pub(crate) fn refused(&self, answer: &Answer) -> Failure {
        let hint = match (answer.status.as_u16(), &self.authorization) {
            (401, None) if cfg!(feature = "top") => {
                "; give credentials by --bearer-token-file or --basic-auth-file"
            }
            (401, None) => "; give credentials by --bearer-token-file or --basic-auth-file",
            (401 | 403, _) => "; are the credentials right?",
            (404, _) => "; give the URL with the path of its metrics",
            _ => "",
        };
        Failure::Refused {
            url: answer.url.clone(),
            status: answer.status.to_string(),
            hint,
        }
    }

    /// Nobody answers, in the words of the system.
    fn unreachable(&self, url: &str, error: &ureq::Error) -> Failure {
        let reason = match error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::Timeout(Timeout::Global | _) => {
                format!("no answer within {} s", self.timeout.as_secs_f64())
            }
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::BodyExceedsLimit(limit) => {
                format!("the answer is larger than {limit} bytes; --max-bytes allows more")
            }
            other => other.to_string(),
        };
        // The number of the system's error says nothing beside its words.
        let reason = reason.split(" (os error").next().unwrap_or_default();
        Failure::Unreachable {
            url: url.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl Failure {
    /// What it is in a word, and why.
    #[cfg(feature = "top")]
    pub(crate) fn told(&self) -> (&'static str, String) {
        match self {
            Self::Unreachable { reason, .. } => ("unreachable", reason.clone()),
            Self::Refused { status, hint, .. } => ("refused", format!("{status}{hint}")),
            Self::Unreadable { reason, .. } => ("unreadable", reason.clone()),
            Self::Credentials { .. } => ("refused", self.to_string()),
        }
    }
}

impl Access {
    fn authorization(&self) -> Result<Option<String>, Failure> {
        if let Some(path) = &self.bearer_token_file {
            return Ok(Some(format!("Bearer {}", secret(path)?)));
        }
        let Some(path) = &self.basic_auth_file else {
            return Ok(None);
        };
        let user = secret(path)?;
        if !user.contains(':') {
            return Err(unusable(path, "expected user:password"));
        }
        Ok(Some(format!("Basic {}", BASE64_STANDARD.encode(user))))
    }

    fn tls(&self) -> Result<TlsConfig, Failure> {
        let provider = rustls::crypto::ring::default_provider();
        let roots = certificates(&self.trusted()?)?;
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let key = PrivateKey::from_pem(read(key)?.as_bytes())
                    .map_err(|_| unusable(key, "there is no private key in it"))?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            _ => None,
        };
        Ok(TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(identity)
            .build())
    }

    /// The file with the certificates to trust.
    fn trusted(&self) -> Result<PathBuf, Failure> {
        if let Some(ca) = &self.ca {
            return Ok(ca.clone());
        }
        // What OpenSSL looks at, and many others since.
        let set = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let known = TRUSTED.into_iter().map(PathBuf::from);
        let found = set.into_iter().chain(known).find(|path| path.is_file());
        found.ok_or_else(|| {
            let reason = "this system has no list of certificates to trust; give one by --ca";
            unusable(Path::new(TRUSTED[0]), reason)
        })
    }
}

/// The first line of a file, which is not shown to anybody.
pub(crate) fn secret(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(unusable(path, "it is empty"));
    }
    Ok(line.to_owned())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let text = read(path)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let all: Vec<_> = parse_pem(text.as_bytes()).filter_map(certificate).collect();
    if all.is_empty() {
        return Err(unusable(path, "there is no certificate in it"));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, reason: &str) -> Failure {
    Failure::Credentials {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
