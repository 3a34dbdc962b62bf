//! What an error says went wrong, and what it must not say.
//!
//! A `reqwest::Error` prints the URL it belongs to, query and all, and queries carry API keys. So errors pass through here
//! on their way out.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
use std::iter::successors;

use reqwest::Url;
use tower::BoxError;

use crate::{ErrorType, ProviderError};

/// What of a URL may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All but user, password, query and fragment.
    Path,
    /// Scheme, host and port.
    Host,
    /// All of it.
    All,
}

impl Shown {
    /// Takes away what must not be seen.
    pub(crate) fn redact(self, url: &mut Url) {
        if self == Self::All {
            return;
        }
        if url.query().is_some() {
            url.set_query(None);
        }
        if url.fragment().is_some() {
            url.set_fragment(None);
        }
        if url.has_authority() && (!url.username().is_empty() || url.password().is_some()) {
            // They fail for URLs that can have neither user nor password, and so have none.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        if self == Self::Host {
            url.set_path("");
        }
    }

    /// Whether a text contains a URL that says more than it may.
    fn is_overstepped_by(self, text: &str) -> bool {
        let oversteps = |(at, _): (usize, &str)| {
            let scheme = text[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
            let url = &text[scheme.len()..];
            let end = url.find(|c: char| c.is_whitespace() || "\"'`<>(){}[]".contains(c));
            let url = url
                .get(..end.unwrap_or(url.len()))
                .and_then(|url| Url::parse(url).ok());
            // What cannot be read as a URL is one with something cut off or in between.
            url.is_none_or(|url| {
                let mut redacted = url.clone();
                self.redact(&mut redacted);
                redacted != url
            })
        };
        self != Self::All && text.match_indices("://").any(oversteps)
    }

    fn redact_error(self, error: &mut reqwest::Error) {
        if let Some(url) = error.url_mut() {
            self.redact(url);
        }
    }
}

/// Says what went wrong with a call that failed, and redacts the error.
pub(crate) fn examine<E: 'static>(error: &mut E, shown: Shown) -> ErrorType {
    let any: &mut dyn Any = error;
    if let Some(error) = any.downcast_mut::<reqwest::Error>() {
        shown.redact_error(error);
        return of_reqwest(error);
    }
    if let Some(error) = any.downcast_mut::<reqwest_middleware::Error>() {
        return examine_middleware(error, shown);
    }
    if let Some(error) = any.downcast_mut::<BoxError>() {
        if let Some(error) = error.downcast_mut::<reqwest::Error>() {
            shown.redact_error(error);
            return of_reqwest(error);
        }
        let kind = of_chain(&**error);
        if shown.is_overstepped_by(&format!("{error:?} {error}")) {
            *error = Withheld(kind).into();
        }
        return kind;
    }
    ErrorType::Middleware
}

fn examine_middleware(error: &mut reqwest_middleware::Error, shown: Shown) -> ErrorType {
    match error {
        reqwest_middleware::Error::Reqwest(error) => {
            shown.redact_error(error);
            of_reqwest(error)
        }
        reqwest_middleware::Error::Middleware(wrapped) => {
            let kind = of_chain(wrapped.as_ref());
            // What another middleware has wrapped cannot be changed any more, nor always be found: so its words are read.
            if shown.is_overstepped_by(&format!("{wrapped:?} {wrapped:#}")) {
                *error = reqwest_middleware::Error::middleware(Withheld(kind));
            }
            kind
        }
    }
}

/// An error of another middleware whose words contain a URL that must not be seen.
#[derive(Debug, thiserror::Error)]
#[error("the call failed ({0}); the error is withheld because its URL may hold a secret")]
struct Withheld(ErrorType);

fn of_chain(error: &(dyn StdError + 'static)) -> ErrorType {
    let reqwest = causes(error).find_map(inner_reqwest);
    if let Some(error) = reqwest {
        return of_reqwest(error);
    }
    if causes(error).any(<dyn StdError>::is::<tower::timeout::error::Elapsed>) {
        return ErrorType::Timeout;
    }
    ErrorType::Middleware
}

fn inner_reqwest<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a reqwest::Error> {
    if let Some(reqwest_middleware::Error::Reqwest(error)) = error.downcast_ref() {
        return Some(error);
    }
    error.downcast_ref()
}

fn of_reqwest(error: &reqwest::Error) -> ErrorType {
    if let Some(of_status) = error.status().and_then(ErrorType::of_status) {
        // Another middleware has made an error of it.
        of_status
    } else if error.is_timeout() {
        if error.is_connect() {
            ErrorType::ConnectTimeout
        } else if error.is_body() || error.is_decode() {
            ErrorType::ReadTimeout
        } else {
            ErrorType::Timeout
        }
    } else if error.is_dns() {
        ErrorType::Dns
    } else if error.is_connect() {
        if is_tls(error) {
            ErrorType::Tls
        } else {
            ErrorType::Connect
        }
    } else if error.is_redirect() {
        ErrorType::Redirect
    } else if error.is_body() || error.is_decode() {
        of_body(error)
    } else if error.is_builder() {
        ErrorType::Request
    } else {
        ErrorType::Transport
    }
}

/// What went wrong with a body.
pub(crate) fn of_body(error: &(dyn StdError + 'static)) -> ErrorType {
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
            if error.is_timeout() {
                return ErrorType::ReadTimeout;
            }
        } else if let Some(ProviderError::BodyTooLarge { .. }) = cause.downcast_ref() {
            return ErrorType::TooLarge;
        } else {
            // A decompressor speaks of input and output; what comes from the connection comes as an error of HTTP's.
            return if cause.is::<io::Error>() {
                ErrorType::Decode
            } else {
                ErrorType::Body
            };
        }
    }
    ErrorType::Body
}

/// Whether a connection failed in the handshake. TLS libraries report invalid data, which is what a certificate nobody
/// trusts amounts to.
fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let error = cause.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
    })
}

/// The error and what caused it. An `io::Error` passes over the very error it holds, so that is looked for first.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |&error: &&'a (dyn StdError + 'static)| {
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match held {
            Some(held) => Some(held as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use reqwest::ResponseBuilderExt;

    use super::*;

    const SECRET: &str = "https://user:pass@host.example:8443/v2/bars?apikey=KEY#KEY";

    #[test]
    fn a_url_loses_what_may_be_a_secret() {
        let redacted = |shown: Shown| {
            let mut url = Url::parse(SECRET).unwrap();
            shown.redact(&mut url);
            url.to_string()
        };
        assert_eq!(redacted(Shown::Path), "https://host.example:8443/v2/bars");
        assert_eq!(redacted(Shown::Host), "https://host.example:8443/");
        assert_eq!(redacted(Shown::All), SECRET);
    }

    #[test]
    fn an_error_another_middleware_has_wrapped_is_withheld_where_it_would_tell() {
        let wrapped = |url: &str| {
            let answer = http::Response::builder()
                .status(500)
                .url(Url::parse(url).unwrap());
            let answer = reqwest::Response::from(answer.body("").unwrap());
            let inner = answer.error_for_status().unwrap_err();
            reqwest_middleware::Error::middleware(Wrapped(inner))
        };
        let transparent = |url: &str| {
            reqwest_middleware::Error::middleware(Words(format!("no answer from ({url})")))
        };
        let mut telling = wrapped(SECRET);
        assert!(format!("{telling:?}").contains("KEY"));
        assert_eq!(examine(&mut telling, Shown::Path), ErrorType::ServerError);
        assert!(
            !format!("{telling:?} {telling}").contains("KEY"),
            "{telling:?}"
        );
        let mut telling = transparent(SECRET);
        assert_eq!(examine(&mut telling, Shown::Path), ErrorType::Middleware);
        assert!(
            !format!("{telling:?} {telling}").contains("KEY"),
            "{telling:?}"
        );
        let mut harmless = wrapped("http://host.example/v2");
        examine(&mut harmless, Shown::Path);
        assert!(format!("{harmless}").contains("wrapped"), "{harmless}");
        let mut harmless = transparent("http://host.example/v2");
        examine(&mut harmless, Shown::Path);
        assert!(format!("{harmless}").contains("/v2"), "{harmless}");
        examine(&mut harmless, Shown::Host);
        assert!(!format!("{harmless}").contains("/v2"), "{harmless}");
        let mut boxed: BoxError = Box::new(Words(format!("at {SECRET}")));
        examine(&mut boxed, Shown::Path);
        assert!(!format!("{boxed:?} {boxed}").contains("KEY"), "{boxed:?}");
    }

    #[test]
    fn a_timeout_of_towers_is_known_and_other_errors_are_somebody_elses() {
        let mut elapsed: BoxError = Box::new(tower::timeout::error::Elapsed::new());
        assert_eq!(examine(&mut elapsed, Shown::Path), ErrorType::Timeout);
        let mut other: BoxError = "no".into();
        assert_eq!(examine(&mut other, Shown::Path), ErrorType::Middleware);
        assert_eq!(examine(&mut 3, Shown::Path), ErrorType::Middleware);
    }

    /// An error that has taken over another's words and nothing else.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Words(String);

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] reqwest::Error);
}
