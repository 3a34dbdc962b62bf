//! The labels of a gRPC call, and what decides their values.

use http::StatusCode;

obs_core::label! {
    /// The service of a call, with its package, such as `grpc.health.v1.Health`.
    pub open RpcService as "rpc_service" up to 32
}

obs_core::label! {
    /// The method of a call, without its service.
    pub open RpcMethod as "method" up to 64
}

obs_core::label! {
    /// The status code with which a call ended.
    pub enum RpcCode as "code" {
        /// 0.
        Ok = "OK" is good,
        /// 1: the caller gave up.
        Cancelled = "CANCELLED",
        /// 2: also where a call ended without a status.
        Unknown = "UNKNOWN",
        /// 3.
        InvalidArgument = "INVALID_ARGUMENT",
        /// 4.
        DeadlineExceeded = "DEADLINE_EXCEEDED",
        /// 5.
        NotFound = "NOT_FOUND",
        /// 6.
        AlreadyExists = "ALREADY_EXISTS",
        /// 7.
        PermissionDenied = "PERMISSION_DENIED",
        /// 8.
        ResourceExhausted = "RESOURCE_EXHAUSTED",
        /// 9.
        FailedPrecondition = "FAILED_PRECONDITION",
        /// 10.
        Aborted = "ABORTED",
        /// 11.
        OutOfRange = "OUT_OF_RANGE",
        /// 12.
        Unimplemented = "UNIMPLEMENTED",
        /// 13: also a panic of the service.
        Internal = "INTERNAL",
        /// 14.
        Unavailable = "UNAVAILABLE",
        /// 15.
        DataLoss = "DATA_LOSS",
        /// 16.
        Unauthenticated = "UNAUTHENTICATED",
    }
}

obs_core::label! {
    /// Whose fault it is that a call failed.
    pub enum CodeClass as "code_class" {
        /// It succeeded.
        Ok = "ok" is good,
        /// The caller's, or nobody's: every code but those of the server.
        ClientError = "client_error",
        /// The server's: `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`.
        ServerError = "server_error",
    }
}

obs_core::label! {
    /// Which way a message went, seen from where it is counted.
    pub enum Direction as "direction" {
        /// It was sent.
        Sent = "sent",
        /// It was received.
        Received = "received",
    }
}

impl RpcCode {
    /// The code of a number; one that gRPC does not define is [`Unknown`](Self::Unknown).
    ///
    /// ```
    /// assert_eq!(obs_http::RpcCode::of_number(5), obs_http::RpcCode::NotFound);
    /// assert_eq!(obs_http::RpcCode::of_number(99), obs_http::RpcCode::Unknown);
    /// ```
    #[must_use]
    pub fn of_number(number: u32) -> Self {
        use obs_core::Closed;
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        // They are declared in the order of their numbers.
        Self::ALL.get(index).copied().unwrap_or(Self::Unknown)
    }

    /// The code that a client makes of an answer that is none of gRPC, by gRPC's *HTTP to gRPC Status Code Mapping*.
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(self) -> CodeClass {
        match self {
            Self::Ok => CodeClass::Ok,
            Self::Unknown
            | Self::DeadlineExceeded
            | Self::Internal
            | Self::Unavailable
            | Self::DataLoss => CodeClass::ServerError,
            _ => CodeClass::ClientError,
        }
    }

    /// Whether the code can only come from the method itself, so that the method is known to exist. What answers before it, such
    /// as a router, a check of credentials and a limit, answers for any name.
    pub(crate) fn is_of_a_method(self) -> bool {
        !matches!(
            self,
            Self::Cancelled
                | Self::DeadlineExceeded
                | Self::PermissionDenied
                | Self::ResourceExhausted
                | Self::Unimplemented
                | Self::Unavailable
                | Self::Unauthenticated
        )
    }
}
