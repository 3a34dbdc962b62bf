//! Text put together while compiling, so that a wrong declaration says what to write instead.

/// The longest message; what goes beyond is cut.
const CAPACITY: usize = 400;

/// A short text built in `const` code.
#[derive(Clone, Copy)]
pub struct Message {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Message {
    /// The empty message: nothing is wrong.
    pub const NONE: Self = Self {
        bytes: [0; CAPACITY],
        len: 0,
    };

    /// Starts a message.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self::NONE.and(text)
    }

    /// Appends to it. Text is cut at the capacity, between characters.
    #[must_use]
    pub const fn and(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut taken = 0;
        while taken < text.len() && self.len < CAPACITY {
            self.bytes[self.len] = text[taken];
            self.len += 1;
            taken += 1;
        }
        if taken < text.len() {
            // A continuation byte starts with the bits 10: the cut goes in front of its character.
            while self.len > 0 && text[taken] & 0xC0 == 0x80 {
                self.len -= 1;
                taken -= 1;
                if text[taken] & 0xC0 != 0x80 {
                    break;
                }
            }
        }
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "wrong declaration",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_built_in_pieces() {
        const TEXT: Message = Message::new("a counter ends in ").and("_total");
        assert_eq!(TEXT.as_str(), "a counter ends in _total");
        assert!(Message::NONE.is_empty() && !TEXT.is_empty());
    }

    #[test]
    fn is_cut_between_characters() {
        let text = Message::new(&"x".repeat(CAPACITY - 1)).and("é").and("");
        assert_eq!(text.as_str(), "x".repeat(CAPACITY - 1));
    }
}
