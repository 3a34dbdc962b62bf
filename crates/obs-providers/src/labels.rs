//! The labels of providers, and what decides the values of the closed ones.

obs_core::label! {
    /// Who provides data, by the name the configuration gives; see [`names`](crate::names) for ready ones.
    pub open ProviderName as "provider" up to 30
}

obs_core::label! {
    /// What a provider provides.
    pub enum ProviderKind as "kind" {
        /// What people think of the market.
        Sentiment = "sentiment",
        /// Quotes, trades, bars, books.
        MarketData = "market_data",
        /// Trades in options.
        OptionsFlow = "options_flow",
        /// Orders and accounts: the broker's or the exchange's own interface.
        Broker = "broker",
        /// What changes seldom: instruments, calendars, corporate actions, filings, fundamentals.
        Reference = "reference",
    }
}

obs_core::label! {
    /// What is asked of a provider: a name or a route's template, never a path or a query.
    pub open EndpointName as "endpoint" up to 50
}

obs_core::label! {
    /// How a call, or an attempt of it, ended.
    pub enum CallOutcome as "outcome" {
        /// The provider answered, and the answer is no error. Its body, where it was read, came to its end.
        Ok = "ok" is good,
        /// Something went wrong; `provider_errors_total` says what.
        Error = "error",
        /// The provider refused because too much was asked of it.
        RateLimited = "rate_limited",
        /// The future was dropped before there was an answer, or the body before its end was read.
        Cancelled = "cancelled" is good,
        /// Something panicked on the way.
        Panicked = "panicked",
    }
}

obs_core::label! {
    /// What went wrong with a call.
    pub enum ErrorType as "error_type" {
        /// The client's timeout ran out while it waited for the head of the response.
        Timeout = "timeout",
        /// The client's timeout ran out while it connected.
        ConnectTimeout = "connect_timeout",
        /// The client's timeout ran out while the body was read.
        ReadTimeout = "read_timeout",
        /// The host has no address.
        Dns = "dns",
        /// No connection could be made.
        Connect = "connect",
        /// The host could not prove who it is, or the handshake was no TLS.
        Tls = "tls",
        /// The request was sent and no valid head of a response came back: the connection broke, or what came is no HTTP.
        Transport = "transport",
        /// Status 429, or another that the provider is known to mean by it.
        RateLimited = "rate_limited",
        /// Status 401 or 407: the key is missing, wrong, expired or revoked.
        Unauthorized = "unauthorized",
        /// Status 403: the key is known and may not do this, or a firewall refuses the caller.
        Forbidden = "forbidden",
        /// Status 404 or 410.
        NotFound = "not_found",
        /// Status 451: refused for legal reasons, usually because of the country the call comes from.
        Legal = "legal",
        /// Any other 4xx.
        ClientError = "client_error",
        /// A 5xx.
        ServerError = "server_error",
        /// Too many redirects, or one that could not be followed.
        Redirect = "redirect",
        /// The body broke off.
        Body = "body",
        /// The body is larger than the provider may send.
        TooLarge = "too_large",
        /// The body could not be decompressed, or was not what it should be.
        Decode = "decode",
        /// The caller gave the call up.
        Cancelled = "cancelled",
        /// Something panicked on the way.
        Panic = "panic",
        /// The request could not be made.
        Request = "request",
        /// Another middleware or service on the way failed.
        Middleware = "middleware",
        /// The client does not say what went wrong.
        Unknown = "unknown",
    }
}

obs_core::label! {
    /// One of the limits of a provider, by the name the program gives it; `default` for that of the usual headers.
    pub open LimitName as "limit" up to 40
}

obs_core::label! {
    /// What a cache had.
    pub enum CacheResult as "result" {
        /// An entry that is fresh.
        Hit = "hit",
        /// No entry, or none that could be read.
        Miss = "miss",
        /// An entry that is too old to be served without trying for a newer one.
        Stale = "stale",
    }
}

obs_core::label! {
    /// What a provider's data is about, such as `daily_bars`.
    pub open DatasetName as "dataset" up to 50
}

obs_core::label! {
    /// Where there is trading, such as `NYSE`.
    pub open MarketVenue as "venue" up to 20
}

/// The endpoint of calls that say none and match no route.
pub const UNMATCHED: &str = "unmatched";

impl ErrorType {
    /// What the status says went wrong, if anything.
    #[must_use]
    pub fn of_status(status: http::StatusCode) -> Option<Self> {
        Self::of_code(status.as_u16())
    }

    /// The same for the bare number, whatever version of `http` the client's status belongs to. 999 is no status of HTTP; providers
    /// that send it mean 429. Any other number from 600 on is a `server_error`.
    #[must_use]
    pub const fn of_code(status: u16) -> Option<Self> {
        match status {
            429 | 999 => Some(Self::RateLimited),
            401 | 407 => Some(Self::Unauthorized),
            403 => Some(Self::Forbidden),
            404 | 410 => Some(Self::NotFound),
            451 => Some(Self::Legal),
            400..=499 => Some(Self::ClientError),
            500.. => Some(Self::ServerError),
            _ => None,
        }
    }

    /// The same for a code of gRPC, such as `status.code() as i32` of tonic; nothing for 0, which is no error.
    ///
    /// `RESOURCE_EXHAUSTED` (8) is a limit, `DEADLINE_EXCEEDED` (4) a timeout, `UNAVAILABLE` (14) no connection. What the caller got
    /// wrong is a `client_error`; unknown codes are a `server_error`.
    #[must_use]
    pub const fn of_grpc(code: i32) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Cancelled),
            // INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED.
            3 | 6 | 9..=12 => Some(Self::ClientError),
            4 => Some(Self::Timeout),
            5 => Some(Self::NotFound),
            7 => Some(Self::Forbidden),
            8 => Some(Self::RateLimited),
            14 => Some(Self::Connect),
            16 => Some(Self::Unauthorized),
            _ => Some(Self::ServerError),
        }
    }

    /// What a call with this error, or with none, counts as.
    #[must_use]
    pub fn outcome(error: Option<Self>) -> CallOutcome {
        match error {
            None => CallOutcome::Ok,
            Some(Self::RateLimited) => CallOutcome::RateLimited,
            Some(Self::Cancelled) => CallOutcome::Cancelled,
            Some(Self::Panic) => CallOutcome::Panicked,
            Some(_) => CallOutcome::Error,
        }
    }

    /// What an ended call says of the provider's availability: whether it answered, or nothing either way.
    pub(crate) fn answered(error: Option<Self>) -> Option<bool> {
        match error {
            None | Some(Self::RateLimited | Self::ClientError | Self::NotFound) => Some(true),
            Some(
                // The host is there, and yet nothing can be had from it.
                Self::Unauthorized
                | Self::Forbidden
                | Self::Legal
                | Self::Timeout
                | Self::ConnectTimeout
                | Self::ReadTimeout
                | Self::Dns
                | Self::Connect
                | Self::Tls
                | Self::Transport
                | Self::ServerError
                | Self::Body,
            ) => Some(false),
            Some(
                Self::Redirect
                | Self::TooLarge
                | Self::Decode
                | Self::Cancelled
                | Self::Panic
                | Self::Request
                | Self::Middleware
                | Self::Unknown,
            ) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_perhaps_an_error_and_always_an_outcome() {
        let of = |code| {
            let error = ErrorType::of_status(http::StatusCode::from_u16(code).unwrap());
            (error, ErrorType::outcome(error))
        };
        assert_eq!(of(200), (None, CallOutcome::Ok));
        assert_eq!(of(304), (None, CallOutcome::Ok));
        assert_eq!(of(400), (Some(ErrorType::ClientError), CallOutcome::Error));
        assert_eq!(of(401), (Some(ErrorType::Unauthorized), CallOutcome::Error));
        assert_eq!(of(403), (Some(ErrorType::Forbidden), CallOutcome::Error));
        assert_eq!(of(404), (Some(ErrorType::NotFound), CallOutcome::Error));
        assert_eq!(of(451), (Some(ErrorType::Legal), CallOutcome::Error));
        assert_eq!(
            of(429),
            (Some(ErrorType::RateLimited), CallOutcome::RateLimited)
        );
        assert_eq!(of(503), (Some(ErrorType::ServerError), CallOutcome::Error));
        // A limit by a number that HTTP does not know.
        assert_eq!(
            of(999),
            (Some(ErrorType::RateLimited), CallOutcome::RateLimited)
        );
        assert_eq!(of(700), (Some(ErrorType::ServerError), CallOutcome::Error));
    }

    #[test]
    fn who_may_have_nothing_has_a_provider_that_is_down() {
        for (error, answered) in [
            (None, Some(true)),
            (Some(ErrorType::NotFound), Some(true)),
            (Some(ErrorType::RateLimited), Some(true)),
            (Some(ErrorType::Unauthorized), Some(false)),
            (Some(ErrorType::Forbidden), Some(false)),
            (Some(ErrorType::Legal), Some(false)),
            (Some(ErrorType::ConnectTimeout), Some(false)),
            (Some(ErrorType::ReadTimeout), Some(false)),
            (Some(ErrorType::Unknown), None),
        ] {
            assert_eq!(ErrorType::answered(error), answered, "{error:?}");
        }
    }
}
