//! Messages of a gRPC body, counted by the lengths in front of them.

use std::io::IoSlice;

use bytes::Buf;

/// What stands in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// A frame of more pieces than this is not looked through to its end.
const PIECES: usize = 16;

/// Counts the messages that have begun in a body, wherever its frames cut them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Messages {
    count: u64,
    /// The prefix, as far as it has come.
    prefix: [u8; PREFIX],
    come: usize,
    /// How many bytes of the message are yet to come.
    rest: usize,
    /// A frame was not looked through; what follows cannot be counted.
    lost: bool,
}

impl Messages {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next frame of the body.
    pub(crate) fn take(&mut self, frame: &impl Buf) {
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let filled = frame.chunks_vectored(&mut pieces);
        let seen: usize = pieces[..filled].iter().map(|piece| piece.len()).sum();
        if self.lost || seen < frame.remaining() {
            self.lost = true;
            return;
        }
        for piece in &pieces[..filled] {
            self.read(piece);
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(PREFIX - self.come);
            let (prefix, behind) = bytes.split_at(taken);
            self.prefix[self.come..self.come + taken].copy_from_slice(prefix);
            self.come += taken;
            bytes = behind;
            if self.come == PREFIX {
                let [_, length @ ..] = self.prefix;
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.come = 0;
                self.count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_wherever_frames_cut_them() {
        let mut body = Vec::new();
        for length in [0_u32, 3, 70_000, 0, 1] {
            body.push(0);
            body.extend(length.to_be_bytes());
            // Bytes that would be taken for prefixes by who loses count.
            body.extend((0..length).map(|n| u8::try_from(n % 3).unwrap()));
        }
        for size in [1, 2, 4, 5, 6, 7, 1_000, 100_000] {
            let mut messages = Messages::default();
            for frame in body.chunks(size) {
                messages.take(&frame);
            }
            assert_eq!(messages.count(), 5, "in frames of {size}");
        }
        let (front, behind) = body.split_at(9);
        let mut messages = Messages::default();
        messages.take(&front.chain(behind));
        assert_eq!(messages.count(), 5);
    }
}
