//! The one error: what is wrong, where, and what should have been there.

use std::fmt;

/// A mistake in an exposition.
///
/// Displayed as one sentence, for example
/// ``line 12, column 5: label value is not closed by a quote; expected `"` ``.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}; expected {expected}")]
pub struct ParseError {
    /// The line of the mistake, counted from 1. What is missing from a whole histogram or summary is
    /// reported at the first line of that series.
    pub line: usize,
    /// The column of the mistake in characters, counted from 1, which also stands for the whole line.
    pub column: usize,
    /// What is wrong, and with what.
    pub problem: String,
    /// What would have been right in its place.
    pub expected: String,
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ParseError {
    /// A mistake `offset` bytes into line number `line`, whose text is `text`.
    pub(crate) fn new(
        (line, text): (usize, &str),
        offset: usize,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self {
            line,
            column: before.chars().count() + 1,
            problem: problem.into(),
            expected: expected.into(),
        }
    }

    /// A mistake that concerns the whole of line number `line`.
    pub(crate) fn whole_line(
        line: usize,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::new((line, ""), 0, problem, expected)
    }
}

/// A piece of the exposition as it may appear in a message: between backticks, without characters that
/// would upset a terminal, and cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut quoted = String::from("`");
    for c in text.chars().take(LONGEST) {
        if c.is_control() {
            quoted.extend(c.escape_default());
        } else {
            quoted.push(c);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}
