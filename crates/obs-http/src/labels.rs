//! The labels of an HTTP exchange, and what decides their values.

use std::any::Any;
use std::error::Error;
use std::iter::successors;

use obs_core::Closed;
use tower::BoxError;
use tower::timeout::error::Elapsed;

obs_core::label! {
    /// The request's method.
    pub enum Method as "method" {
        /// `GET`.
        Get = "GET",
        /// `HEAD`.
        Head = "HEAD",
        /// `POST`.
        Post = "POST",
        /// `PUT`.
        Put = "PUT",
        /// `DELETE`.
        Delete = "DELETE",
        /// `CONNECT`.
        Connect = "CONNECT",
        /// `OPTIONS`.
        Options = "OPTIONS",
        /// `TRACE`.
        Trace = "TRACE",
        /// `PATCH`.
        Patch = "PATCH",
        /// Any other word: the client chooses it, so it must not make a series.
        Other = "other",
    }
}

obs_core::label! {
    /// The template of the route that matched, `unmatched` where none did.
    pub open Endpoint as "endpoint" up to 200
}

obs_core::label! {
    /// The status code that was sent, or the error type where no response was made.
    ///
    /// No endpoint of a program uses more than a few; what a proxy passes on beyond the limit is `other`.
    pub open StatusCode as "status_code" up to 32
}

obs_core::label! {
    /// The class of the status code that was sent.
    pub enum StatusClass as "status_class" {
        /// 100 to 199.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 to 599.
        ServerError = "5xx",
        /// 600 to 999, which HTTP does not define.
        Other = "other",
        /// No response was made.
        None = "none",
    }
}

obs_core::label! {
    /// What went wrong with a request.
    pub enum ErrorType as "error_type" {
        /// The status is a 4xx other than 408.
        ClientError = "client_error",
        /// The status is a 5xx other than 504, or the service or the response body failed.
        ServerError = "server_error",
        /// The status is 408 or 504, or the service failed by a timeout.
        Timeout = "timeout",
        /// The response was dropped before its end.
        Aborted = "aborted",
        /// The service or the response body panicked.
        Panic = "panic",
    }
}

/// The endpoint of requests that no route matched.
pub const UNMATCHED: &str = "unmatched";

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        Self::parse(method.as_str()).unwrap_or(Self::Other)
    }
}

impl From<http::StatusCode> for StatusClass {
    fn from(status: http::StatusCode) -> Self {
        match status.as_u16() {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

impl ErrorType {
    /// What the status says went wrong, if anything.
    #[must_use]
    pub fn of_status(status: http::StatusCode) -> Option<Self> {
        match status.as_u16() {
            408 | 504 => Some(Self::Timeout),
            400..=499 => Some(Self::ClientError),
            500..=599 => Some(Self::ServerError),
            _ => None,
        }
    }

    /// What a service's error says. It is looked into only where it is tower's own, bare or boxed, since nothing can be
    /// asked of an error in general.
    #[must_use]
    pub fn of_failure<E: 'static>(error: &E) -> Self {
        if is_timeout(error) {
            Self::Timeout
        } else {
            Self::ServerError
        }
    }
}

fn is_timeout(error: &dyn Any) -> bool {
    let Some(boxed) = error.downcast_ref::<BoxError>() else {
        return error.is::<Elapsed>();
    };
    let first: &(dyn Error + 'static) = &**boxed;
    successors(Some(first), |&error| error.source()).any(<dyn Error>::is::<Elapsed>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapped(Elapsed);

    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_nine_methods_and_patch_are_known_and_no_others() {
        let of = |method: &str| Method::from(&http::Method::from_bytes(method.as_bytes()).unwrap());
        for method in Method::ALL {
            assert_eq!(of(method.as_str()), *method);
        }
        for unknown in ["BREW", "get", "PROPFIND"] {
            assert_eq!(of(unknown), Method::Other);
        }
    }

    #[test]
    fn a_status_has_a_class_and_perhaps_an_error() {
        let of = |code| {
            let status = http::StatusCode::from_u16(code).unwrap();
            (StatusClass::from(status), ErrorType::of_status(status))
        };
        assert_eq!(of(101), (StatusClass::Informational, None));
        assert_eq!(of(204), (StatusClass::Success, None));
        assert_eq!(of(304), (StatusClass::Redirection, None));
        assert_eq!(
            of(404),
            (StatusClass::ClientError, Some(ErrorType::ClientError))
        );
        assert_eq!(
            of(408),
            (StatusClass::ClientError, Some(ErrorType::Timeout))
        );
        assert_eq!(
            of(503),
            (StatusClass::ServerError, Some(ErrorType::ServerError))
        );
        assert_eq!(
            of(504),
            (StatusClass::ServerError, Some(ErrorType::Timeout))
        );
        assert_eq!(of(999), (StatusClass::Other, None));
    }

    #[test]
    fn a_timeout_is_found_bare_boxed_and_behind_other_errors() {
        let boxed: BoxError = Box::new(Elapsed::new());
        let wrapped: BoxError = Box::new(Wrapped(Elapsed::new()));
        let other: BoxError = "no".into();
        assert_eq!(ErrorType::of_failure(&Elapsed::new()), ErrorType::Timeout);
        assert_eq!(ErrorType::of_failure(&boxed), ErrorType::Timeout);
        assert_eq!(ErrorType::of_failure(&wrapped), ErrorType::Timeout);
        assert_eq!(ErrorType::of_failure(&other), ErrorType::ServerError);
        assert_eq!(ErrorType::of_failure(&3), ErrorType::ServerError);
    }
}
