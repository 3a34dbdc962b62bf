//! How a timed piece of work ended.

crate::label! {
    /// How a piece of work ended.
    pub enum Outcome as "outcome" {
        /// It came to its end, and its result, if it has one, is `Ok`.
        Ok = "ok" is good,
        /// It came to its end with an `Err`.
        Error = "error",
        /// It was dropped before its end: a future that was cancelled, a guard that nobody finished.
        Cancelled = "cancelled",
        /// It panicked.
        Panicked = "panicked",
    }
}

impl Outcome {
    /// `Ok` or `Error`, as the result is.
    #[must_use]
    pub const fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(_) => Self::Error,
        }
    }

    /// What a guard that is dropped without having been told an outcome has seen: a panic that unwinds this thread, or
    /// else a cancellation.
    #[must_use]
    pub fn of_drop() -> Self {
        if std::thread::panicking() {
            Self::Panicked
        } else {
            Self::Cancelled
        }
    }
}
