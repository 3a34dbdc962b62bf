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
}

/// Tells a guard that is dropped before its end whether a panic dropped it.
///
/// [`std::thread::panicking`] alone does not: a destructor that runs while a panic unwinds may begin and end work of its own,
/// which that panic has not ended. The token is taken where the work begins and asked where its guard is dropped.
///
/// ```
/// use obs_core::{Outcome, PanicWatch};
///
/// struct Write {
///     panics: PanicWatch,
/// }
///
/// impl Drop for Write {
///     fn drop(&mut self) {
///         assert_eq!(self.panics.outcome(), Outcome::Cancelled);
///     }
/// }
///
/// drop(Write { panics: PanicWatch::start() });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it is asked when the work ends"]
pub struct PanicWatch {
    was_panicking: bool,
}

impl PanicWatch {
    /// Work begins.
    #[inline]
    pub fn start() -> Self {
        Self {
            was_panicking: std::thread::panicking(),
        }
    }

    /// Whether a panic that began after the work unwinds this thread.
    #[inline]
    #[must_use]
    pub fn has_panicked(self) -> bool {
        !self.was_panicking && std::thread::panicking()
    }

    /// The outcome of work whose guard is dropped before its end: `Panicked` or `Cancelled`.
    #[inline]
    #[must_use]
    pub fn outcome(self) -> Outcome {
        if self.has_panicked() {
            Outcome::Panicked
        } else {
            Outcome::Cancelled
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    struct Guard<'a>(PanicWatch, &'a mut Vec<Outcome>);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.1.push(self.0.outcome());
        }
    }

    /// Does a piece of work of its own when it is dropped.
    struct Destructor<'a>(&'a mut Vec<Outcome>);

    impl Drop for Destructor<'_> {
        fn drop(&mut self) {
            drop(Guard(PanicWatch::start(), self.0));
        }
    }

    #[test]
    fn only_work_that_a_panic_ended_has_panicked() {
        let mut seen = Vec::new();
        drop(Guard(PanicWatch::start(), &mut seen));
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _guard = Guard(PanicWatch::start(), &mut seen);
            panic!("in the work");
        }));
        assert!(panic.is_err());
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _destructor = Destructor(&mut seen);
            panic!("around the work");
        }));
        assert!(panic.is_err());
        assert_eq!(
            seen,
            [Outcome::Cancelled, Outcome::Panicked, Outcome::Cancelled]
        );
    }
}
