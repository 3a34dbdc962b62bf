//! The labels of a pool.

obs_core::label! {
    /// The pool, as the program calls it.
    pub open PoolName as "pool" up to 32
}

obs_core::label! {
    /// What a connection of a pool is doing.
    pub enum ConnectionState as "state" {
        /// It waits to be used.
        Idle = "idle",
        /// Somebody holds it, or it is being opened or tested for somebody.
        InUse = "in_use",
    }
}

obs_core::label! {
    /// What a request for a connection was doing when it failed.
    pub enum AcquireStage as "stage" {
        /// It waited for a connection of the pool.
        Wait = "wait",
        /// It opened a connection, or tested an idle one.
        Connect = "connect",
    }
}

obs_core::label! {
    /// Why a request for a connection failed.
    pub enum AcquireError as "error_type" {
        /// The pool's timeout ended it. While connecting this hides that the server refuses connections or has too many: sqlx
        /// tries again for as long as the timeout lasts.
        Timeout = "timeout",
        /// The pool was closed.
        PoolClosed = "pool_closed",
        /// The server does not know the user, or refuses the password or the host (SQLSTATE 28).
        Rejected = "rejected",
        /// The server has no such database (SQLSTATE 3D000); `SQLite` cannot open the file.
        Database = "database",
        /// The server takes no more connections (SQLSTATE 53300).
        TooMany = "too_many",
        /// The server is starting or stopping (SQLSTATE 57P).
        Unavailable = "unavailable",
        /// The connection could not be made, or broke.
        Io = "io",
        /// TLS could not be agreed on.
        Tls = "tls",
        /// Anything else.
        Other = "other",
    }
}

#[cfg(feature = "pools")]
impl AcquireError {
    /// Why a pool could not open a connection, by the error of whatever it manages.
    pub(crate) fn of_any(error: &dyn std::any::Any) -> Self {
        #[cfg(feature = "redis")]
        if let Some(error) = error.downcast_ref::<redis::RedisError>() {
            return Self::of_redis(error);
        }
        #[cfg(feature = "sqlx")]
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return Self::of(error);
        }
        match error.downcast_ref::<std::io::Error>() {
            Some(error) if error.kind() == std::io::ErrorKind::TimedOut => Self::Timeout,
            Some(_) => Self::Io,
            None => Self::Other,
        }
    }

    #[cfg(feature = "redis")]
    fn of_redis(error: &redis::RedisError) -> Self {
        use crate::client::CommandError;
        match CommandError::of(error) {
            CommandError::Timeout => Self::Timeout,
            CommandError::Connection => Self::Io,
            CommandError::Denied => Self::Rejected,
            CommandError::Loading => Self::Unavailable,
            _ => Self::Other,
        }
    }
}
