//! The labels of queries and transactions.

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
    /// How a transaction ended.
    pub enum TransactionOutcome as "outcome" {
        /// It was committed.
        Commit = "commit",
        /// It was rolled back by `rollback`.
        Rollback = "rollback",
        /// It was dropped without either, which rolls it back: by `?`, a panic, a cancelled task.
        RollbackByDrop = "rollback_by_drop",
        /// Its commit or rollback failed or was cancelled, and whether a commit took hold is not known; or the commit was
        /// answered by a rollback, because a statement of the transaction had failed before.
        Failed = "failed",
        /// Its begin was cancelled. sqlx may give the connection back to the pool within a transaction that nobody ends, and
        /// what others write through it is lost (sqlx#4385).
        BeginCancelled = "begin_cancelled",
    }
}

obs_core::label! {
    /// What went wrong with a query.
    pub enum QueryError as "error_type" {
        /// A unique, foreign key, not-null, check or exclusion constraint was violated.
        Constraint = "constraint",
        /// The database ended a deadlock by this query (SQLSTATE 40P01, `MySQL`'s 1213).
        Deadlock = "deadlock",
        /// The transaction could not be serialized with others (SQLSTATE 40001, `MariaDB`'s 1020).
        Serialization = "serialization",
        /// A lock was not to be had: SQLSTATE 55P03, `MySQL`'s 1205, or `SQLite` was busy or locked.
        Lock = "lock",
        /// The server ended the query or its idle transaction: by a timeout, or because somebody asked it to (SQLSTATE 57014,
        /// 25P03, 25P04; `MySQL`'s 1317, 1969, 3024).
        Timeout = "timeout",
        /// The connection failed, or the server shut down or went away (SQLSTATE 08, 57P01 to 57P03, 57P05).
        Connection = "connection",
        /// The statement was wrong: syntax, names, types or rights (SQLSTATE 42, `SQLite`'s 1).
        Statement = "statement",
        /// A write to what may only be read: a replica, a read-only transaction or file (SQLSTATE 25006, `MySQL`'s 1290, 1792,
        /// 1836).
        ReadOnly = "read_only",
        /// An earlier statement of the transaction has failed, and the transaction takes no more (SQLSTATE 25P02).
        FailedTransaction = "failed_transaction",
        /// The server lacks memory, disk or connections (SQLSTATE 53).
        Resources = "resources",
        /// Anything else.
        Other = "other",
    }
}

obs_core::label! {
    /// The class of an error: the first two characters of its SQLSTATE.
    pub open SqlStateClass as "sqlstate_class" up to 48
}

obs_core::label! {
    /// What a listener for notifications saw.
    pub enum ListenerEvent as "event" {
        /// A notification.
        Notification = "notification",
        /// Its connection was lost, and it has a new one. What was notified in between is lost.
        Reconnected = "reconnected",
        /// An error, which was returned. The next call may connect anew.
        Failed = "failed",
    }
}
