//! Where a service is: a URL, a host with a port, or a Unix socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ureq::http::Uri;

/// Where everything of a service is looked for anyway.
pub(crate) const CATALOG: &str = "/catalog.json";
pub(crate) const LIVE: &str = "/live";
pub(crate) const METRICS: &str = "/metrics";

const EXPECTED: &str =
    "expected a URL such as http://127.0.0.1:9464, a host with a port, or unix:/run/desk.sock";

/// A service, and the path of its metrics where it has one of its own.
///
/// ```
/// let place: obstool::Place = "desk:9464".parse()?;
/// assert_eq!(place.to_string(), "http://desk:9464");
/// let place: obstool::Place = "unix:/run/desk.sock:/own/metrics".parse()?;
/// assert_eq!(place.to_string(), "unix:/run/desk.sock:/own/metrics");
/// # Ok::<(), &'static str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) origin: Origin,
    /// None where the service is asked where its metrics are.
    pub(crate) path: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Host and port.
    Http(String),
    /// The same with TLS.
    Https(String),
    /// A socket on this machine.
    Unix(PathBuf),
}

impl Origin {
    /// The URL of a path, as people read it.
    pub(crate) fn url(&self, path: &str) -> String {
        match self {
            Self::Http(authority) => format!("http://{authority}{path}"),
            Self::Https(authority) => format!("https://{authority}{path}"),
            Self::Unix(socket) if path.is_empty() => format!("unix:{}", socket.display()),
            Self::Unix(socket) => format!("unix:{}:{path}", socket.display()),
        }
    }

    /// The URL of a path, as a client asks for it.
    pub(crate) fn request(&self, path: &str) -> String {
        match self {
            Self::Unix(_) => format!("http://localhost{path}"),
            _ => self.url(path),
        }
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(socket) = text.strip_prefix("unix:") {
            return of_socket(socket);
        }
        // `:9464` is how programs say that they listen on every address.
        let host = if text.starts_with(':') {
            "127.0.0.1"
        } else {
            ""
        };
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{host}{text}")
        };
        let uri: Uri = url.parse().map_err(|_| EXPECTED)?;
        let authority = uri.authority().ok_or(EXPECTED)?;
        if authority.as_str().contains('@') {
            return Err(
                "credentials do not belong into a URL; give --basic-auth-file or --bearer-token-file",
            );
        }
        // The rest is a port, which has to be one: a client would take 99999 for another.
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err("expected a port of at most 65535, as in http://127.0.0.1:9464");
        }
        let authority = authority.to_string();
        let origin = match uri.scheme_str() {
            Some("http") => Origin::Http(authority),
            Some("https") => Origin::Https(authority),
            _ => return Err(EXPECTED),
        };
        let path = uri.path_and_query().map(ToString::to_string);
        Ok(Self {
            origin,
            path: path.filter(|path| is_own(path)),
        })
    }
}

fn of_socket(text: &str) -> Result<Place, &'static str> {
    let (socket, path) = match text.split_once(":/") {
        Some((socket, path)) => (socket, Some(format!("/{path}"))),
        None => (text, None),
    };
    let socket = socket.strip_prefix("//").unwrap_or(socket);
    if !socket.starts_with('/') {
        return Err("expected the whole path of a socket, such as unix:/run/desk.sock");
    }
    Ok(Place {
        origin: Origin::Unix(PathBuf::from(socket)),
        path: path.filter(|path| is_own(path)),
    })
}

fn is_own(path: &str) -> bool {
    !["/", LIVE, METRICS, CATALOG].contains(&path)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin.url(self.path.as_deref().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Option<String>), &'static str> {
        let place = text.parse::<Place>()?;
        Ok((place.origin.url(""), place.path))
    }

    #[test]
    fn places_are_urls_hosts_with_ports_or_sockets() {
        let at =
            |origin: &str, path: Option<&str>| Ok((origin.to_owned(), path.map(str::to_owned)));
        for (text, place) in [
            ("desk:9464", at("http://desk:9464", None)),
            (":9464", at("http://127.0.0.1:9464", None)),
            ("http://desk:9464/", at("http://desk:9464", None)),
            ("http://desk:9464/metrics", at("http://desk:9464", None)),
            ("https://desk.internal", at("https://desk.internal", None)),
            (
                "desk:9464/own?x=1",
                at("http://desk:9464", Some("/own?x=1")),
            ),
            ("[::1]:9464", at("http://[::1]:9464", None)),
            ("unix:/run/desk.sock", at("unix:/run/desk.sock", None)),
            (
                "unix:///run/desk.sock:/own",
                at("unix:/run/desk.sock", Some("/own")),
            ),
        ] {
            assert_eq!(read(text), place, "{text}");
        }
    }

    #[test]
    fn what_is_no_place_says_what_to_give() {
        for wrong in ["", "ftp://desk", "a b", "http://", "unix:desk.sock"] {
            assert!(read(wrong).unwrap_err().starts_with("expected"), "{wrong}");
        }
        for wrong in ["desk:99999", "http://desk:", "[::1]:70000/metrics"] {
            assert!(
                read(wrong).unwrap_err().starts_with("expected a port"),
                "{wrong}"
            );
        }
        let told = read("user:word@desk:9464").unwrap_err();
        assert!(
            told.contains("--basic-auth-file") && !told.contains("word"),
            "{told}"
        );
    }
}
