//! Errors as a program shows them whose `main` returns one.

use std::error::Error;
use std::fmt;

/// Writes an error as its sentence, and below it those of its [sources](Error::source) that it does not quote, a line each.
///
/// It is the `Debug` of this workspace's error types, because that is what a program prints whose `main` returns an error: what
/// happened and what to do, in place of the fields of an enum.
///
/// ```
/// use std::fmt;
///
/// #[derive(thiserror::Error)]
/// #[error("cannot open the book of {symbol}; subscribe to it first")]
/// struct BookError {
///     symbol: &'static str,
///     source: fmt::Error,
/// }
///
/// impl fmt::Debug for BookError {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         obs_core::fmt_error(self, f)
///     }
/// }
///
/// let error = BookError { symbol: "AAPL", source: fmt::Error };
/// assert_eq!(
///     format!("{error:?}"),
///     "cannot open the book of AAPL; subscribe to it first\n  \
///      caused by: an error occurred when formatting an argument"
/// );
/// ```
pub fn fmt_error(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let sentence = error.to_string();
        // Many an error ends with the sentence of what caused it.
        if !shown.contains(&sentence) {
            shown.push_str("\n  caused by: ");
            shown.push_str(&sentence);
        }
        cause = error.source();
    }
    f.write_str(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failure {
        sentence: &'static str,
        source: Option<Box<Failure>>,
    }

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.sentence)
        }
    }

    impl fmt::Debug for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt_error(self, f)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self.source.as_deref()?)
        }
    }

    fn failure(sentence: &'static str, source: Option<Failure>) -> Failure {
        Failure {
            sentence,
            source: source.map(Box::new),
        }
    }

    #[test]
    fn every_source_is_shown_once() {
        let root = failure("address in use", None);
        let listening = failure("cannot listen: address in use", Some(root));
        let serving = failure("cannot serve", Some(listening));
        assert_eq!(
            format!("{serving:?}"),
            "cannot serve\n  caused by: cannot listen: address in use"
        );
    }
}
