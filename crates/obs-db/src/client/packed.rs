//! The names of commands that are already encoded, as a blocking connection gets them.

use crate::client::command::Asked;
#[cfg(test)]
use crate::client::command::Command;

/// Goes through encoded commands, each an array of byte strings. Stops where the bytes are not that.
#[derive(Clone, Debug)]
pub(crate) struct Packed<'a>(pub(crate) &'a [u8]);

impl Iterator for Packed<'_> {
    type Item = Asked;

    fn next(&mut self) -> Option<Asked> {
        let count = self.length(b'*')?;
        let mut words = self.clone();
        for _ in 0..count {
            self.argument()?;
        }
        let words = (0..count).map_while(|_| words.argument());
        (count > 0).then(|| Asked::of(words))
    }
}

impl<'a> Packed<'a> {
    /// The first command; what cannot be read is `other`.
    pub(crate) fn first(mut self) -> Asked {
        self.next().unwrap_or_else(|| Asked::of(std::iter::empty()))
    }

    fn argument(&mut self) -> Option<&'a [u8]> {
        let length = self.length(b'$')?;
        let (argument, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        Some(argument)
    }

    /// Reads `<sign><number>\r\n`.
    fn length(&mut self, sign: u8) -> Option<usize> {
        let behind = self.0.strip_prefix(&[sign])?;
        let end = behind.iter().position(|byte| *byte == b'\r')?;
        let length = std::str::from_utf8(&behind[..end]).ok()?.parse().ok()?;
        self.0 = behind[end..].strip_prefix(b"\r\n")?;
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_arguments_passed_over() {
        let mut pipeline = redis::pipe();
        pipeline
            .set("get", "a\r\n*1\r\n$4\r\nPING\r\n")
            .get("k")
            .cmd("MY.OWN");
        let packed = pipeline.get_packed_pipeline();
        let names: Vec<_> = Packed(&packed).map(|asked| asked.command).collect();
        assert_eq!(names, [Command::Set, Command::Get, Command::Other]);
    }

    #[test]
    fn bytes_that_are_no_command_end_it() {
        for bytes in [
            &b""[..],
            b"*",
            b"*1\r\n",
            b"*1\r\n$9\r\nGET\r\n",
            b"*-1\r\n",
            b"PING\r\n",
        ] {
            assert_eq!(Packed(bytes).next(), None);
            assert_eq!(Packed(bytes).first().command, Command::Other);
        }
    }
}
