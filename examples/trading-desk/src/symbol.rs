//! What is traded.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest symbol accepted, in characters.
const MAX_LENGTH: usize = 32;

/// The name of an instrument, in upper case. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Arc<str>);

/// Why a text is no symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a symbol has 1 to {MAX_LENGTH} printable characters, with a letter or digit among them")]
pub struct NotASymbol;

impl Symbol {
    /// Trims `text` and turns it to upper case.
    pub fn new(text: &str) -> Result<Self, NotASymbol> {
        let text = text.trim().to_uppercase();
        // A letter or digit keeps `.` and `..` out, which mean something else in a URL.
        let ok = text.chars().count() <= MAX_LENGTH
            && text.chars().any(char::is_alphanumeric)
            && !text.chars().any(char::is_control);
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(NotASymbol)
        }
    }

    /// The symbol as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Symbol {
    type Error = NotASymbol;

    fn try_from(text: String) -> Result<Self, NotASymbol> {
        Self::new(&text)
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_trimmed_and_upper_case() {
        assert_eq!(Symbol::new(" ^gspc ").unwrap().as_str(), "^GSPC");
    }

    #[test]
    fn refuses_what_could_not_be_asked_for_by_url() {
        for text in ["", "  ", ".", "..", "a\nb", &"x".repeat(33)] {
            assert_eq!(Symbol::new(text), Err(NotASymbol), "{text:?}");
        }
    }
}
