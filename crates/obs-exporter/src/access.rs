//! Who may read metrics.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use ipnet::IpNet;
use subtle::{Choice, ConstantTimeEq};

use crate::own::Refused;
use crate::server::{Response, text};
use crate::{Config, ExporterError};

/// A credential, or the file that holds it. Nothing shows it once it is in here.
///
/// A file is read once, when the exporter is built. A line feed at its end is not part of the credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Text(String),
    File(PathBuf),
}

impl Secret {
    /// The credential itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Kept::Text(text.into()))
    }

    /// The file that holds it.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kept::File(path.into()))
    }

    /// The credential, if it is one of this kind.
    pub(crate) fn read(&self, scheme: &Scheme) -> Result<String, ExporterError> {
        let (text, origin) = match &self.0 {
            Kept::Text(text) => (text.clone(), scheme.field.to_owned()),
            Kept::File(path) => {
                warn_if_others_read(path, scheme.file_setting);
                let text = read_line(path).map_err(|source| ExporterError::SecretFile {
                    setting: scheme.file_setting,
                    path: path.clone(),
                    source,
                })?;
                let origin = format!("{}, which {} names,", path.display(), scheme.file_setting);
                (text, origin)
            }
        };
        if scheme.is_acceptable(&text) {
            Ok(text)
        } else {
            Err(ExporterError::Secret {
                origin,
                accepts: scheme.accepts,
            })
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Text(_) => f.write_str("Secret(not shown)"),
            Kept::File(path) => write!(f, "Secret(in {})", path.display()),
        }
    }
}

/// A way of showing who one is.
pub(crate) struct Scheme {
    name: &'static str,
    challenge: &'static str,
    field: &'static str,
    file_setting: &'static str,
    /// What a credential of this kind is, for messages.
    accepts: &'static str,
    is_acceptable: fn(&str) -> bool,
    encode: fn(String) -> String,
}

impl Scheme {
    /// Whether the text can be such a credential.
    pub(crate) fn is_acceptable(&self, text: &str) -> bool {
        text.len() <= MAX_BYTES && (self.is_acceptable)(text)
    }
}

/// A header is refused beyond 16 KiB, so that a credential has to be well below.
const MAX_BYTES: usize = 4096;

pub(crate) const BEARER_ACCEPTS: &str =
    "1 to 4096 visible ASCII characters, and only where the variable with `_FILE` is unset";
pub(crate) const BASIC_ACCEPTS: &str = "`user:password`, of 3 to 4096 bytes in one line, neither half empty, and only where \
    the variable with `_FILE` is unset";

pub(crate) static BEARER: Scheme = Scheme {
    name: "Bearer",
    challenge: "Bearer",
    field: "Config::bearer_token",
    file_setting: "OBS_BEARER_TOKEN_FILE",
    accepts: BEARER_ACCEPTS,
    is_acceptable: |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()),
    encode: |text| text,
};

/// What is sent to a Pushgateway.
pub(crate) static PUSH_BASIC: Scheme = Scheme {
    field: "Config::push_basic_auth",
    file_setting: "OBS_PUSH_BASIC_AUTH_FILE",
    ..BASIC
};

/// What is sent with everything that is pushed over OTLP.
#[cfg(feature = "otlp")]
pub(crate) static OTLP_HEADERS: Scheme = Scheme {
    field: "Config::otlp_headers",
    file_setting: "OBS_OTLP_HEADERS_FILE",
    accepts: crate::config::OTLP_HEADERS,
    is_acceptable: |text| obs_push::are_headers(text),
    ..BASIC
};

pub(crate) const BASIC: Scheme = Scheme {
    name: "Basic",
    challenge: "Basic realm=\"metrics\", charset=\"UTF-8\"",
    field: "Config::basic_auth",
    file_setting: "OBS_BASIC_AUTH_FILE",
    accepts: BASIC_ACCEPTS,
    is_acceptable: |text| {
        let halves = text.split_once(':');
        halves.is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
            && !text.contains(char::is_control)
    },
    // Compared as it is sent, so that nothing of a stranger's is decoded.
    encode: |text| BASE64_STANDARD.encode(text),
};

/// The questions that a request has to answer before it is served.
pub(crate) struct Access {
    /// Any of them will do. What is expected stands as the header has it, after the scheme.
    credentials: Vec<(&'static Scheme, String)>,
    allow_from: Vec<IpNet>,
}

impl Access {
    /// Reads the credentials.
    pub(crate) fn new(config: &Config) -> Result<Self, ExporterError> {
        let mut credentials = Vec::new();
        for (scheme, secret) in [
            (&BEARER, &config.bearer_token),
            (&BASIC, &config.basic_auth),
        ] {
            if let Some(secret) = secret {
                let expected = (scheme.encode)(secret.read(scheme)?);
                credentials.push((scheme, expected));
            }
        }
        Ok(Self {
            credentials,
            allow_from: config.allow_from.clone(),
        })
    }

    /// Whether who comes from this address with these headers may read. A stranger's address is no allowed one.
    pub(crate) fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.allow_from.is_empty() && !peer.is_some_and(|peer| self.is_allowed(peer)) {
            return Err(Refused::Address);
        }
        if self.credentials.is_empty() {
            return Ok(());
        }
        let sent = headers.get(AUTHORIZATION).ok_or(Refused::NoCredential)?;
        if self.is_known(sent.as_bytes()) {
            Ok(())
        } else {
            Err(Refused::WrongCredential)
        }
    }

    /// The answer to a client that is refused. It says what is missing, and nothing of what was sent.
    pub(crate) fn answer(&self, reason: Refused) -> Response {
        if reason == Refused::Address {
            return text(
                StatusCode::FORBIDDEN,
                "metrics are not served to this address\n",
            );
        }
        let mut answer = text(
            StatusCode::UNAUTHORIZED,
            "metrics are served to those who show who they are\n",
        );
        for (scheme, _) in &self.credentials {
            let headers = answer.headers_mut();
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme.challenge));
        }
        answer
    }

    fn is_allowed(&self, peer: IpAddr) -> bool {
        // A socket for both families shows IPv4 addresses inside of IPv6 ones.
        let peer = peer.to_canonical();
        self.allow_from
            .iter()
            .any(|network| network.contains(&peer))
    }

    fn is_known(&self, sent: &[u8]) -> bool {
        let space = sent.iter().position(|byte| *byte == b' ');
        let (scheme, sent) = sent.split_at(space.unwrap_or(sent.len()));
        let sent = sent.trim_ascii();
        let mut known = Choice::from(0);
        for (wanted, expected) in &self.credentials {
            if scheme.eq_ignore_ascii_case(wanted.name.as_bytes()) {
                // Takes as long wherever the difference is. That the lengths differ can be seen.
                known |= expected.as_bytes().ct_eq(sent);
            }
        }
        known.into()
    }
}

/// The text of a file that holds one line.
fn read_line(path: &Path) -> io::Result<String> {
    // No more than tells that it is too long: the path may name anything.
    let limit = MAX_BYTES as u64 + 3;
    let mut text = String::new();
    File::open(path)?.take(limit).read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// Says so where every user of the machine can read a secret. It is no error: that is how orchestrators hand secrets to a
/// container, which has one user.
pub(crate) fn warn_if_others_read(path: &Path, setting: &'static str) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path
            .metadata()
            .map_or(0, |found| found.permissions().mode());
        if mode & 0o004 != 0 {
            let path = path.display();
            tracing::warn!(setting, %path, "every user of this machine can read the file of a secret; `chmod o-r` it");
        }
    }
    #[cfg(not(unix))]
    let _ = (path, setting);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(config: &Config) -> Access {
        Access::new(config).unwrap()
    }

    fn sending(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn either_credential_will_do_and_nothing_else() {
        let access = access(&Config {
            bearer_token: Some(Secret::new("correct-horse")),
            basic_auth: Some(Secret::new("scraper:p:ä")),
            ..Config::default()
        });
        let cases = [
            ("Bearer correct-horse", Ok(())),
            ("bearer  correct-horse ", Ok(())),
            ("Basic c2NyYXBlcjpwOsOk", Ok(())),
            ("Bearer correct-hors", Err(Refused::WrongCredential)),
            ("Bearer correct-horsf", Err(Refused::WrongCredential)),
            ("Bearer correct-horse2", Err(Refused::WrongCredential)),
            ("Bearer", Err(Refused::WrongCredential)),
            ("Bearer ", Err(Refused::WrongCredential)),
            ("", Err(Refused::WrongCredential)),
            ("correct-horse", Err(Refused::WrongCredential)),
            ("Basic correct-horse", Err(Refused::WrongCredential)),
            ("Bearer c2NyYXBlcjpwOsOk", Err(Refused::WrongCredential)),
            ("Digest correct-horse", Err(Refused::WrongCredential)),
        ];
        for (sent, expected) in cases {
            assert_eq!(access.check(None, &sending(sent)), expected, "{sent}");
        }
        let none = access.check(None, &HeaderMap::new());
        assert_eq!(none, Err(Refused::NoCredential));
    }

    #[test]
    fn only_allowed_addresses_may_read() {
        let access = access(&Config {
            allow_from: ["10.1.0.0/16", "::1/128"]
                .map(|network| network.parse().unwrap())
                .to_vec(),
            ..Config::default()
        });
        let check = |peer: &str| access.check(peer.parse().ok(), &HeaderMap::new());
        for allowed in ["10.1.255.1", "::1", "::ffff:10.1.0.1"] {
            assert_eq!(check(allowed), Ok(()), "{allowed}");
        }
        for refused in ["10.2.0.1", "127.0.0.1", "::2", "::ffff:10.2.0.1", "unknown"] {
            assert_eq!(check(refused), Err(Refused::Address), "{refused}");
        }
    }

    #[test]
    fn a_file_holds_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        for (content, expected) in [
            ("hush", Some("hush")),
            ("hush\n", Some("hush")),
            ("hush\r\n", Some("hush")),
            ("hush\n\n", None),
            ("hush hush", None),
            ("\n", None),
            ("", None),
            (&"x".repeat(MAX_BYTES), Some(&*"x".repeat(MAX_BYTES))),
            (&"x".repeat(MAX_BYTES + 9), None),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = Secret::file(&path).read(&BEARER);
            if let Err(error) = &read {
                let expected = format!(
                    "{}, which OBS_BEARER_TOKEN_FILE names, is empty or not acceptable; it takes 1 to 4096",
                    path.display()
                );
                assert!(error.to_string().starts_with(&expected), "{error}");
                assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            }
            assert_eq!(read.ok().as_deref(), expected, "{content:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_that_names_it() {
        let error = Secret::file("/nowhere/token").read(&BASIC).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read /nowhere/token, which OBS_BASIC_AUTH_FILE names: entity not found; correct the path or the rights"
        );
        let directory = tempfile::tempdir().unwrap();
        let error = Secret::file(directory.path()).read(&BEARER).unwrap_err();
        assert!(
            error.to_string().contains("OBS_BEARER_TOKEN_FILE"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?} {:?}", Secret::new("hush"), Secret::file("/token"));
        assert_eq!(shown, "Secret(not shown) Secret(in /token)");
    }
}
