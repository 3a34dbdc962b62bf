//! The labels of a pool, and what decides their values.

use sqlx::Error;
use sqlx::error::ErrorKind;

obs_core::label! {
    /// The pool, as the program calls it.
    pub open PoolName as "pool" up to 32
}

obs_core::label! {
    /// How a query ended.
    pub enum QueryOutcome as "outcome" {
        /// The database has answered to the end.
        Ok = "ok",
        /// It ended with an error.
        Error = "error",
        /// It was dropped before its end: a future was cancelled, or a stream was not read to its end.
        Cancelled = "cancelled",
        /// It panicked.
        Panicked = "panicked",
        /// It went past the wrapper, and sqlx's event does not say.
        Unknown = "unknown",
    }
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
    /// How a transaction ended.
    pub enum TransactionOutcome as "outcome" {
        /// It was committed.
        Commit = "commit",
        /// It was rolled back by `rollback`.
        Rollback = "rollback",
        /// It was dropped without either, which rolls it back: by `?`, a panic, a cancelled task.
        RollbackByDrop = "rollback_by_drop",
        /// Its commit or rollback failed or was cancelled. Whether a commit took hold is not known then.
        Failed = "failed",
    }
}

obs_core::label! {
    /// What went wrong with a query.
    pub enum QueryError as "error_type" {
        /// A unique, foreign key, not-null, check or exclusion constraint was violated.
        Constraint = "constraint",
        /// The database ended a deadlock by this query (SQLSTATE 40P01).
        Deadlock = "deadlock",
        /// The transaction could not be serialized with others (SQLSTATE 40001, which `MySQL` also gives for a deadlock).
        Serialization = "serialization",
        /// A lock was not to be had: SQLSTATE 55P03, or `SQLite` was busy or locked.
        Lock = "lock",
        /// The server ended the query: by a statement timeout, or because somebody asked it to (SQLSTATE 57014).
        Timeout = "timeout",
        /// The connection failed, or the server shut down or went away (SQLSTATE 08, 57P01 to 57P03).
        Connection = "connection",
        /// The statement was wrong: syntax, names, types or rights (SQLSTATE 42, `SQLite`'s 1).
        Statement = "statement",
        /// Anything else.
        Other = "other",
    }
}

impl QueryError {
    /// What kind of error it is. Nothing of its message is looked at.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Database(error) => match error.kind() {
                ErrorKind::Other => error
                    .code()
                    .map_or(Self::Other, |code| Self::of_code(&code)),
                _ => Self::Constraint,
            },
            Error::Io(_) | Error::Tls(_) | Error::WorkerCrashed => Self::Connection,
            _ => Self::Other,
        }
    }

    /// By the SQLSTATE, or by `SQLite`'s own number.
    fn of_code(code: &str) -> Self {
        match code {
            "40P01" => Self::Deadlock,
            "40001" => Self::Serialization,
            // SQLite's extended codes carry the primary one in their lowest byte: 5 is busy, 6 is locked.
            "55P03" | "5" | "261" | "517" | "773" | "6" | "262" | "518" => Self::Lock,
            "57014" => Self::Timeout,
            "57P01" | "57P02" | "57P03" => Self::Connection,
            "1" => Self::Statement,
            _ if code.len() == 5 && code.starts_with("08") => Self::Connection,
            _ if code.len() == 5 && code.starts_with("23") => Self::Constraint,
            _ if code.len() == 5 && code.starts_with("42") => Self::Statement,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_kinds_are_told_apart() {
        assert_eq!(QueryError::of_code("40P01"), QueryError::Deadlock);
        assert_eq!(QueryError::of_code("42P01"), QueryError::Statement);
        assert_eq!(QueryError::of_code("08006"), QueryError::Connection);
        assert_eq!(QueryError::of_code("5"), QueryError::Lock);
        assert_eq!(QueryError::of_code("517"), QueryError::Lock);
        assert_eq!(QueryError::of_code("23001"), QueryError::Constraint);
        assert_eq!(QueryError::of_code("XX000"), QueryError::Other);
    }

    #[test]
    fn errors_without_a_code_are_told_by_their_kind() {
        let gone = Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert_eq!(QueryError::of(&gone), QueryError::Connection);
        assert_eq!(
            QueryError::of(&Error::WorkerCrashed),
            QueryError::Connection
        );
        assert_eq!(
            QueryError::of(&Error::Protocol("?".into())),
            QueryError::Other
        );
    }
}
