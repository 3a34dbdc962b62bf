//! A scrape as one gzip member (RFC 1952), of which most is there already.
//!
//! What families with many series look like is kept packed, by pages of some dozen series, with the numbers that they were written from.
//! A scrape compares those with the numbers of now, and writes the pages anew in which one differs. Everything else is written and
//! packed each time. One member and no more: clients that read several are rare, and some say nothing when they stop after the first.

use crc32fast::Hasher;

use crate::deflate::{Bits, Counts, Head, Kept, Line, Packer, Table, pack_lines};

/// What is kept from scrape to scrape, but for the pages, which their families keep.
#[derive(Debug, Default)]
pub(crate) struct Gzip {
    table: Table,
    /// Which table it is. Pages that were packed by another cannot be used any more.
    version: u64,
    packer: Packer,
    /// In how many scrapes it is to be seen again whether another table were better, and how many there were between the last two.
    due: u32,
    pause: u32,
    /// What is written before it is packed.
    text: String,
    /// How many bytes the last scrape took: the next takes about as many.
    bytes: usize,
}

/// A scrape that is being packed.
#[derive(Debug)]
pub(crate) struct Stream {
    gzip: Gzip,
    out: Bits,
    /// Where it begins in that.
    start: usize,
    /// Of the text so far, with its length.
    sum: Hasher,
    length: u64,
    /// Where it is to be seen whether another table were better.
    counts: Option<Counts>,
    counted: u64,
}

/// Some packed text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packed {
    /// How many bits it takes.
    pub(crate) bits: u32,
    /// How long the text is, and its check sum.
    pub(crate) length: u32,
    pub(crate) sum: u32,
}

/// Deflate, no name, no time, any system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

impl Gzip {
    /// The longest pause between two looks for a better table, in scrapes.
    const PAUSE: u32 = 256;
    /// A table has to save more than one part in so many, since every page is packed anew for it.
    const PARTS: u64 = 32;
    /// Text that stays in the processor's cache until it is packed.
    pub(crate) const FULL: usize = 64 * 1024;

    /// Begins a scrape behind what `out` has.
    pub(crate) fn begin(self, mut out: Vec<u8>) -> Stream {
        let start = out.len();
        out.reserve(self.bytes + self.bytes / 8);
        out.extend_from_slice(&HEADER);
        let mut out = Bits::behind(out);
        self.table.begin(&mut out);
        Stream {
            counts: (self.due == 0).then(Counts::default),
            gzip: self,
            out,
            start,
            sum: Hasher::new(),
            length: 0,
            counted: 0,
        }
    }

    /// The text that is written before it is packed, to be given back by [`Stream::end`].
    pub(crate) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Takes another table if that is better for what was written.
    fn look(&mut self, counts: Option<&Counts>, is_most: bool) {
        let Some(counts) = counts else {
            self.due -= 1;
            return;
        };
        self.due = self.pause.max(1);
        if !is_most {
            return;
        }
        if let Some(better) = self.table.better(counts, Self::PARTS) {
            self.table = better;
            self.version += 1;
        }
        self.pause = (self.pause * 2).clamp(1, Self::PAUSE);
        self.due = self.pause;
    }
}

impl Stream {
    /// Which table packs. Pages are of use to no other.
    pub(crate) fn version(&self) -> u64 {
        self.gzip.version
    }

    /// Packs whole lines, and forgets them.
    pub(crate) fn pack(&mut self, text: &mut String) {
        self.sum.update(text.as_bytes());
        self.length += text.len() as u64;
        if self.counts.is_some() {
            self.counted += text.len() as u64;
        }
        let Gzip { table, packer, .. } = &mut self.gzip;
        packer.pack(text.as_bytes(), table, &mut self.out, self.counts.as_mut());
        text.clear();
    }

    /// Packs a page into other bits, and forgets it. Where its lines are given, each ends in a number, and of each is known, from the last
    /// time, what stands before that.
    pub(crate) fn pack_page(
        &mut self,
        text: &mut String,
        lines: &[Line],
        heads: &mut [Head],
        into: &mut Bits,
    ) -> Packed {
        let (before, bytes) = (into.len(), text.as_bytes());
        if self.counts.is_some() {
            self.counted += text.len() as u64;
        }
        let Gzip { table, packer, .. } = &mut self.gzip;
        let counts = self.counts.as_mut();
        if lines.is_empty() {
            packer.pack(bytes, table, into, counts);
        } else {
            pack_lines(bytes, lines, heads, table, into, counts);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a page has some dozen series"
        )]
        let packed = Packed {
            bits: (into.len() - before) as u32,
            length: text.len() as u32,
            sum: crc32fast::hash(bytes),
        };
        text.clear();
        packed
    }

    /// Appends what was packed before.
    pub(crate) fn append(&mut self, kept: &Kept, sum: &Hasher, length: u64) {
        self.out.append(kept, 0, kept.len());
        self.sum.combine(sum);
        self.length += length;
    }

    /// Ends the scrape. What it wrote, how long the text is, and what is kept for the next.
    pub(crate) fn end(mut self, text: String) -> (Vec<u8>, u64, Gzip) {
        self.gzip.table.end(&mut self.out);
        let mut out = self.out.into_bytes();
        out.extend_from_slice(&self.sum.finalize().to_le_bytes());
        // Its length, of which the format has the lowest 32 bits.
        out.extend_from_slice(&self.length.to_le_bytes()[..4]);
        // A sample of little is none.
        let is_most = self.counted * 2 >= self.length;
        self.gzip.look(self.counts.as_ref(), is_most);
        self.gzip.text = text;
        self.gzip.bytes = out.len() - self.start;
        (out, self.length, self.gzip)
    }
}

/// The check sum of texts one behind the other.
pub(crate) fn joined<'a>(pages: impl Iterator<Item = &'a Packed>) -> (Hasher, u64) {
    let (mut sum, mut length) = (Hasher::new(), 0);
    for page in pages {
        let of_page = Hasher::new_with_initial_len(page.sum, u64::from(page.length));
        sum.combine(&of_page);
        length += u64::from(page.length);
    }
    (sum, length)
}
