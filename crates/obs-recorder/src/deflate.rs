//! Deflate (RFC 1951) for an exposition, which needs no search for matches.
//!
//! A line of an exposition says most of what the line before says, in the same order. So each line is laid beside an earlier one: what
//! both begin with is one match, and behind a value in which they differ they are alike again from the next quotation mark on. That
//! finds what a search over all that was written would find, at the price of comparing two lines.
//!
//! Everything that is sent is one block with one table of codes, which every symbol has a place in. So lines that were packed are kept
//! as bits, and put together with others at whatever bit they come to lie.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Symbols of literals and lengths: 256 bytes, the end, 29 lengths.
const LITERALS: usize = 286;
const END: usize = 256;
/// Symbols of distances.
const DISTANCES: usize = 30;
/// The longest code of either.
const LONGEST: u8 = 15;
/// The symbols in which the lengths of codes are told: the lengths, and three that repeat, of which one is used here.
const LENGTHS: usize = 19;
const REPEAT: usize = 16;
const LONGEST_OF_LENGTHS: u8 = 7;
/// The order in which the lengths of those are told.
const ORDER: [usize; LENGTHS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Matches are no longer and reach no farther back.
const MOST: usize = 258;
const WINDOW: usize = 32 * 1024;
/// Shorter ones take as many bits as their bytes.
const LEAST: usize = 4;

/// Bits one behind the other, the first in the lowest bit of the first byte.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    /// The last ones, fewer than 32.
    rest: u64,
    count: u32,
}

impl Bits {
    /// Goes on behind whole bytes.
    pub(crate) fn behind(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            rest: 0,
            count: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() * 8 + self.count as usize
    }

    /// Appends up to 32 bits.
    #[inline]
    fn push(&mut self, code: Code) {
        self.rest |= u64::from(code.bits) << self.count;
        self.count += u32::from(code.count);
        if self.count >= 32 {
            self.bytes.extend_from_slice(&self.rest.to_le_bytes()[..4]);
            self.rest >>= 32;
            self.count -= 32;
        }
    }

    /// Up to 32 bits from that one on.
    fn at(&self, at: usize, count: u8) -> u32 {
        let pending = self.rest.to_le_bytes();
        let byte = |index: usize| match index.checked_sub(self.bytes.len()) {
            None => self.bytes[index],
            Some(index) => pending.get(index).copied().unwrap_or_default(),
        };
        let bytes = std::array::from_fn(|index| if index < 5 { byte(at / 8 + index) } else { 0 });
        let bits = u64::from_le_bytes(bytes) >> (at % 8);
        #[expect(clippy::cast_possible_truncation, reason = "no more than 32 are left")]
        let bits = (bits & ((1 << count) - 1)) as u32;
        bits
    }

    /// Fills the last byte.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        let whole = self.count.div_ceil(8) as usize;
        self.bytes
            .extend_from_slice(&self.rest.to_le_bytes()[..whole]);
        self.bytes
    }

    /// As whole bytes with nothing pending, for [`append`](Self::append) to read.
    pub(crate) fn keep(self) -> Kept {
        let len = self.len();
        let mut bytes = self.into_bytes();
        bytes.shrink_to_fit();
        Kept { bytes, len }
    }

    /// Appends a part of what is kept.
    pub(crate) fn append(&mut self, from: &Kept, start: usize, end: usize) {
        let mut at = start;
        // Until whole bytes are written, with nothing pending.
        while at < end && !self.count.is_multiple_of(8) {
            self.push(from.at(at, 1));
            at += 1;
        }
        while self.count > 0 && self.count.is_multiple_of(8) {
            self.bytes.push(self.rest.to_le_bytes()[0]);
            self.rest >>= 8;
            self.count -= 8;
        }
        let words = (end.saturating_sub(at) / 64).min(from.words_from(at));
        self.append_words(&from.bytes[at / 8..], at % 8, words);
        at += words * 64;
        while at < end {
            let count = (end - at).min(16);
            self.push(from.at(at, count));
            at += count;
        }
    }

    /// Appends words of 64 bits that begin within the first byte. There is a byte behind them.
    fn append_words(&mut self, from: &[u8], shift: usize, words: usize) {
        if words == 0 {
            return;
        }
        if shift == 0 {
            self.bytes.extend_from_slice(&from[..words * 8]);
            return;
        }
        let start = self.bytes.len();
        self.bytes.resize(start + words * 8, 0);
        let low = from[..words * 8].chunks_exact(8);
        let high = from[1..=words * 8].chunks_exact(8);
        let out = self.bytes[start..].chunks_exact_mut(8);
        for ((out, low), high) in out.zip(low).zip(high) {
            let word = word(low) >> shift | word(high) << (8 - shift);
            out.copy_from_slice(&word.to_le_bytes());
        }
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Bits that are only read.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    len: usize,
}

impl Kept {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Up to 16 bits.
    fn at(&self, at: usize, count: usize) -> Code {
        let byte = |index: usize| self.bytes.get(at / 8 + index).copied().map_or(0, u32::from);
        let bits = byte(0) | byte(1) << 8 | byte(2) << 16;
        #[expect(clippy::cast_possible_truncation, reason = "no more than 16")]
        Code {
            bits: bits >> (at % 8) & ((1 << count) - 1),
            count: count as u8,
        }
    }

    /// How many words of 64 bits, with a byte behind the last, there are from here on.
    fn words_from(&self, at: usize) -> usize {
        (self.bytes.len().saturating_sub(at / 8 + 1)) / 8
    }
}

/// Some bits that are written together.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    bits: u32,
    count: u8,
}

impl Code {
    /// With further bits behind it.
    fn then(self, bits: u32, count: u8) -> Self {
        Self {
            bits: self.bits | bits << self.count,
            count: self.count + count,
        }
    }
}

/// How often each symbol was written.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }
}

impl Counts {
    /// How many bits these symbols take with the codes of a table, but for what goes with lengths and distances.
    fn cost(&self, table: &Table) -> u64 {
        let of = |counts: &[u32], lengths: &[u8]| -> u64 {
            let each = counts.iter().zip(lengths);
            each.map(|(count, length)| u64::from(*count) * u64::from(*length))
                .sum()
        };
        of(&self.literals, &table.literal_lengths) + of(&self.distances, &table.distance_lengths)
    }
}

/// The codes of everything that may be written. Every symbol has one, so that any text can be.
#[derive(Debug)]
pub(crate) struct Table {
    literals: Box<[Code; 256]>,
    end: Code,
    /// Of each length less 3, with what goes with it.
    lengths: Box<[Code; MOST - 2]>,
    distances: [Code; DISTANCES],
    literal_lengths: [u8; LITERALS],
    distance_lengths: [u8; DISTANCES],
}

impl Default for Table {
    /// One that expects some lines of an exposition.
    fn default() -> Self {
        const USUAL: &str = "# HELP trading_orders_total Orders handed to the venue, by side and type.\n\
            # HELP obs_scrape_duration_seconds How long the last rendering took, without what the network adds. Samples that are \
            quickly refused, jobs of a zone, extra windows and maxima; beyond its budget the value folds into `other`.\n\
            # TYPE trading_orders_total counter\n\
            trading_orders_total{service=\"desk\",side=\"buy\",symbol=\"AAPL\",venue=\"alpaca\"} 1027\n\
            trading_orders_total{service=\"desk\",side=\"buy\",symbol=\"MSFT\",venue=\"alpaca\"} 389\n\
            trading_orders_total{service=\"desk\",side=\"sell\",symbol=\"GOOG\",venue=\"ibkr\"} 64\n\
            http_request_duration_seconds_bucket{method=\"GET\",status=\"2xx\",le=\"0.005\"} 24054\n\
            http_request_duration_seconds_bucket{method=\"GET\",status=\"2xx\",le=\"0.01\"} 33444\n\
            http_request_duration_seconds_sum{method=\"GET\",status=\"2xx\"} 53423.1987\n\
            http_request_duration_seconds_count{method=\"GET\",status=\"2xx\"} 144320\n";
        let even = Self::of(&Counts::default());
        let mut packer = Packer::default();
        let mut counts = Counts::default();
        packer.pack(
            USUAL.as_bytes(),
            &even,
            &mut Bits::default(),
            Some(&mut counts),
        );
        Self::of(&counts)
    }
}

impl Table {
    /// The table that is best where symbols are as frequent as that.
    pub(crate) fn of(counts: &Counts) -> Self {
        let literal_lengths: [u8; LITERALS] = code_lengths(&counts.literals, LONGEST);
        let distance_lengths: [u8; DISTANCES] = code_lengths(&counts.distances, LONGEST);
        let codes = codes(&literal_lengths);
        let mut lengths = [Code::default(); MOST - 2];
        for (less, code) in lengths.iter_mut().enumerate() {
            let (symbol, extra, count) = length_symbol(less + 3);
            *code = codes[symbol].then(extra, count);
        }
        let mut literals = [Code::default(); 256];
        literals.copy_from_slice(&codes[..256]);
        Self {
            literals: Box::new(literals),
            end: codes[END],
            lengths: Box::new(lengths),
            distances: self::codes(&distance_lengths),
            literal_lengths,
            distance_lengths,
        }
    }

    /// The table for these counts, if that saves more than one part in so many.
    pub(crate) fn better(&self, counts: &Counts, parts: u64) -> Option<Self> {
        let other = Self::of(counts);
        let (now, then) = (counts.cost(self), counts.cost(&other));
        (then + now / parts < now).then_some(other)
    }

    /// Begins the last block, which is also the first.
    pub(crate) fn begin(&self, out: &mut Bits) {
        let lengths = self.literal_lengths.iter().chain(&self.distance_lengths);
        let told = in_runs(&lengths.copied().collect::<Vec<_>>());
        // Each of them may come, whatever the table.
        let mut counts = [1_u32; LENGTHS];
        for (symbol, _) in &told {
            counts[*symbol] += 1;
        }
        let of_lengths: [u8; LENGTHS] = code_lengths(&counts, LONGEST_OF_LENGTHS);
        let codes = codes(&of_lengths);
        let number = |bits: usize, count| {
            #[expect(clippy::cast_possible_truncation, reason = "a few bits")]
            Code {
                bits: bits as u32,
                count,
            }
        };
        // Final, with codes of its own.
        out.push(number(0b101, 3));
        out.push(number(LITERALS - 257, 5));
        out.push(number(DISTANCES - 1, 5));
        out.push(number(LENGTHS - 4, 4));
        for symbol in ORDER {
            out.push(number(usize::from(of_lengths[symbol]), 3));
        }
        for (symbol, repeated) in told {
            let code = codes[symbol];
            out.push(if symbol == REPEAT {
                code.then(repeated - 3, 2)
            } else {
                code
            });
        }
    }

    pub(crate) fn end(&self, out: &mut Bits) {
        out.push(self.end);
    }
}

/// The lengths of codes as symbols: each by itself, or a repetition of the one before, three to six times.
fn in_runs(lengths: &[u8]) -> Vec<(usize, u32)> {
    let mut told = Vec::new();
    for run in lengths.chunk_by(|a, b| a == b) {
        told.push((usize::from(run[0]), 0));
        let mut more = run.len() - 1;
        while more >= 3 {
            let repeated = more.min(6);
            told.push((REPEAT, u32::try_from(repeated).unwrap_or(3)));
            more -= repeated;
        }
        told.extend((0..more).map(|_| (usize::from(run[0]), 0)));
    }
    told
}

/// How long the code of each symbol is in a code of Huffman's that has all of them, none longer than that.
///
/// Where the best code has longer ones, the counts are drawn together until it has not.
fn code_lengths<const N: usize>(counts: &[u32; N], longest: u8) -> [u8; N] {
    let mut counts = counts.map(|count| u64::from(count).max(1));
    loop {
        let lengths = best_lengths(&counts);
        if lengths.iter().all(|length| *length <= longest) {
            return lengths;
        }
        counts = counts.map(|count| count / 2 + 1);
    }
}

fn best_lengths<const N: usize>(counts: &[u64; N]) -> [u8; N] {
    // The two that are rarest come under a node that takes their place; nodes are numbered behind the symbols.
    let mut parents = vec![0_usize; 2 * N];
    let leaves = counts.iter().enumerate();
    let mut heap: BinaryHeap<_> = leaves
        .map(|(leaf, count)| Reverse((*count, leaf)))
        .collect();
    let mut next = N;
    while let (Some(Reverse((one, a))), Some(Reverse((other, b)))) = (heap.pop(), heap.pop()) {
        (parents[a], parents[b]) = (next, next);
        if heap.is_empty() {
            break;
        }
        heap.push(Reverse((one + other, next)));
        next += 1;
    }
    let mut depths = vec![0_u8; 2 * N];
    for node in (0..next).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut lengths = [0; N];
    lengths.copy_from_slice(&depths[..N]);
    lengths
}

/// The codes of these lengths, as RFC 1951 numbers them, the first bit lowest.
fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut codes = [Code::default(); N];
    let mut next = 0_u32;
    for length in 1..=LONGEST {
        next <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|(_, of)| **of == length) {
            codes[symbol] = Code {
                bits: next.reverse_bits() >> (32 - u32::from(length)),
                count: length,
            };
            next += 1;
        }
    }
    codes
}

/// The symbol of a length from 3 to 258, and the bits that go with it.
fn length_symbol(length: usize) -> (usize, u32, u8) {
    if length == MOST {
        return (LITERALS - 1, 0, 0);
    }
    let (group, rest, count) = in_group(length - 3, 4);
    (END + 1 + group, rest, count)
}

/// The symbol of a distance from 1 to 32,768, and the bits that go with it.
fn distance_symbol(distance: usize) -> (usize, u32, u8) {
    in_group(distance - 1, 2)
}

/// Numbers in groups that double in size: as many of each size as `each`, a power of two. The group, the place in it, and the bits
/// that the place takes.
#[expect(clippy::cast_possible_truncation, reason = "numbers below 32,768")]
fn in_group(number: usize, each: usize) -> (usize, u32, u8) {
    let bits = (number / each).checked_ilog2().unwrap_or(0) as usize;
    // In the first two sizes a group is one number.
    let base = number >> bits;
    let group = base + bits * each;
    (group, (number & ((1 << bits) - 1)) as u32, bits as u8)
}

/// Writes texts of whole lines as symbols.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    /// Where lines lie that began with another name than the one before, the latest last.
    turns: [usize; TURNS],
    seen: usize,
}

/// How many of them: a family has two lines at its top, each of which is two, and may have buckets, a sum, a count and a beginning.
const TURNS: usize = 8;

/// `# HELP ` and `# TYPE `.
const HEADING: usize = 7;

/// The line before, and how long its name is.
#[derive(Default)]
struct Known {
    before: Option<usize>,
    name: usize,
}

/// Appends lines that begin with the same name and end in a number, with what is known of the heads of all but the first.
pub(crate) fn pack_lines(
    text: &[u8],
    lines: &[Line],
    heads: &mut [Head],
    table: &Table,
    out: &mut Bits,
    mut counts: Option<&mut Counts>,
) {
    let ends = lines.iter().skip(1).map(|line| line.start);
    let mut before: Option<Line> = None;
    for ((line, head), end) in lines.iter().zip(heads).zip(ends.chain([text.len()])) {
        // That the line before ends is written with this one, as a part of what they share.
        let length = before.map_or(0, |before| line.start - before.number);
        if counts.is_none() && head.is_behind(length) {
            head.write(out);
        } else {
            let start = out.len();
            Writer::new(out, table, counts.as_deref_mut()).head(text, *line, before);
            *head = Head::from(out, start, length);
        }
        for byte in &text[line.number..end - 1] {
            out.push(table.literals[usize::from(*byte)]);
        }
        if let Some(counts) = &mut counts {
            for byte in &text[line.number..end - 1] {
                counts.literals[usize::from(*byte)] += 1;
            }
        }
        before = Some(*line);
    }
    if before.is_some() {
        out.push(table.literals[usize::from(b'\n')]);
    }
}

/// Where a line of a page begins, and where its number does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) start: usize,
    pub(crate) number: usize,
}

/// The bits of a line up to its number, beside the line before; none where they are too many.
///
/// They depend on how long the number before is, and on nothing else that changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head {
    bits: [u32; 2],
    more: u16,
    count: u8,
    /// How long the number before is.
    before: u8,
}

impl Head {
    const MOST: usize = 80;

    /// The bits that were written from there on.
    fn from(out: &Bits, start: usize, before: usize) -> Self {
        let count = out.len() - start;
        let (Ok(before), true) = (u8::try_from(before), count <= Self::MOST) else {
            return Self::default();
        };
        #[expect(clippy::cast_possible_truncation, reason = "no more than 80, and 16")]
        Self {
            bits: [out.at(start, 32), out.at(start + 32, 32)],
            more: out.at(start + 64, 16) as u16,
            count: count as u8,
            before,
        }
    }

    /// Whether it can be written behind a number of that length.
    #[inline]
    fn is_behind(&self, before: usize) -> bool {
        self.count > 0 && usize::from(self.before) == before
    }

    #[inline]
    fn write(&self, out: &mut Bits) {
        let codes = [self.bits[0], self.bits[1], u32::from(self.more)];
        let mut left = self.count;
        for bits in codes {
            let count = left.min(32);
            out.push(Code { bits, count });
            left -= count;
        }
    }
}

/// What is written next, once it is known how far it goes.
struct Writer<'a> {
    out: &'a mut Bits,
    table: &'a Table,
    counts: Option<&'a mut Counts>,
    /// A match, to be longer if the next goes on at the same distance.
    length: usize,
    distance: usize,
    /// The code of that distance.
    code: Code,
}

impl Packer {
    /// Appends a text, whose matches lie within itself.
    pub(crate) fn pack(
        &mut self,
        text: &[u8],
        table: &Table,
        out: &mut Bits,
        counts: Option<&mut Counts>,
    ) {
        self.seen = 0;
        let mut writer = Writer::new(out, table, counts);
        let mut known = Known::default();
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', text) {
            let end = newline + 1;
            if text[start] == b'#' && end - start > HEADING {
                // The name begins another line, as it were: it stands in the one before, and begins those that follow.
                self.line(text, start..start + HEADING, &mut known, &mut writer);
                start += HEADING;
            }
            self.line(text, start..end, &mut known, &mut writer);
            start = end;
        }
        writer.literals(&text[start..]);
        writer.flush();
    }

    /// Writes a line beside the one that it is most like.
    #[inline]
    fn line(
        &mut self,
        text: &[u8],
        line: std::ops::Range<usize>,
        known: &mut Known,
        writer: &mut Writer<'_>,
    ) {
        let source = known.before.map(|before| {
            let alike = alike(&text[line.clone()], &text[before..]);
            (before, alike)
        });
        let source = match source {
            Some((_, alike)) if alike > known.name => source,
            _ => {
                let other = self.turn(text, line.clone(), source);
                let name = memchr::memchr2(b'{', b' ', &text[line.clone()]);
                known.name = name.unwrap_or(line.len());
                other
            }
        };
        known.before = Some(line.start);
        writer.line(text, line, source);
    }

    /// A line that begins otherwise than the one before: which of the latest such lines it is most like.
    fn turn(
        &mut self,
        text: &[u8],
        line: std::ops::Range<usize>,
        source: Option<(usize, usize)>,
    ) -> Option<(usize, usize)> {
        let known = &self.turns[..self.seen.min(TURNS)];
        let turns = known.iter().map(|turn| {
            let alike = alike(&text[line.clone()], &text[*turn..]);
            (*turn, alike)
        });
        let best = turns.chain(source).max_by_key(|(_, alike)| *alike);
        self.turns[self.seen % TURNS] = line.start;
        self.seen += 1;
        best
    }
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Bits, table: &'a Table, counts: Option<&'a mut Counts>) -> Self {
        Self {
            out,
            table,
            counts,
            length: 0,
            distance: 0,
            code: Code::default(),
        }
    }

    /// Writes a line beside an earlier one, of which is known how far they begin alike.
    #[inline]
    fn line(&mut self, text: &[u8], line: std::ops::Range<usize>, source: Option<(usize, usize)>) {
        let end = line.end;
        let mut at = line.start;
        let Some((mut other, mut alike)) = source.filter(|(from, _)| at - from <= WINDOW) else {
            return self.literals(&text[line]);
        };
        loop {
            if alike < LEAST {
                self.literals(&text[at..at + alike]);
            } else {
                self.matched(alike, at - other);
            }
            at += alike;
            other += alike;
            if at >= end {
                return;
            }
            // They differ within a value, or in the number at the end, and are alike again where that is over.
            let rest = &text[at..end];
            let differs = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\n'))
                .unwrap_or(rest.len() - 1);
            self.literals(&rest[..differs]);
            at += differs;
            let over = text[other..at].iter().position(|byte| *byte == text[at]);
            let Some(over) = over else {
                return self.literals(&text[at..end]);
            };
            other += over;
            alike = self::alike(&text[at..end], &text[other..]);
        }
    }

    /// Writes a line up to its number, with the end of the line before.
    fn head(&mut self, text: &[u8], line: Line, before: Option<Line>) {
        let Some(before) = before else {
            return self.literals(&text[line.start..line.number]);
        };
        let (mut start, mut from) = (line.start, before.start);
        if from > 0 {
            (start, from) = (start - 1, from - 1);
        } else {
            // What ends before the first line lies elsewhere.
            self.literal(b'\n');
        }
        let alike = alike(&text[start..line.number], &text[from..]);
        self.line(text, start..line.number, Some((from, alike)));
        self.flush();
    }

    #[inline]
    fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.literal(*byte);
        }
    }

    #[inline]
    fn literal(&mut self, byte: u8) {
        self.flush();
        self.out.push(self.table.literals[usize::from(byte)]);
        if let Some(counts) = &mut self.counts {
            counts.literals[usize::from(byte)] += 1;
        }
    }

    #[inline]
    fn matched(&mut self, length: usize, distance: usize) {
        if distance != self.distance {
            self.flush();
            let (symbol, extra, count) = distance_symbol(distance);
            self.code = self.table.distances[symbol].then(extra, count);
            self.distance = distance;
        }
        self.length += length;
    }

    /// Writes the match that is open.
    #[inline]
    fn flush(&mut self) {
        while self.length > 0 {
            let length = match self.length {
                // What is left is no match by itself.
                length if length > MOST && length < MOST + 3 => MOST - 3,
                length => length.min(MOST),
            };
            self.length -= length;
            self.out.push(self.table.lengths[length - 3]);
            self.out.push(self.code);
            if let Some(counts) = &mut self.counts {
                counts.literals[length_symbol(length).0] += 1;
                counts.distances[distance_symbol(self.distance).0] += 1;
            }
        }
    }
}

/// How many bytes two texts begin with alike.
#[inline]
fn alike(a: &[u8], b: &[u8]) -> usize {
    let most = a.len().min(b.len());
    let (a, b) = (&a[..most], &b[..most]);
    for (index, (a, b)) in a.chunks_exact(8).zip(b.chunks_exact(8)).enumerate() {
        let differs = word(a) ^ word(b);
        if differs != 0 {
            return index * 8 + differs.trailing_zeros() as usize / 8;
        }
    }
    let whole = most / 8 * 8;
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Read as _;

    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;

    use super::*;

    fn inflated(packed: &[u8]) -> String {
        let mut text = String::new();
        let mut decoder = DeflateDecoder::new(packed);
        decoder.read_to_string(&mut text).unwrap();
        assert_eq!(decoder.total_in(), packed.len() as u64);
        text
    }

    /// Texts one behind the other, each packed by itself, and put together at whatever bit comes.
    fn packed(texts: &[&str], table: &Table) -> Vec<u8> {
        let mut out = Bits::default();
        table.begin(&mut out);
        let mut packer = Packer::default();
        for text in texts {
            let mut bits = Bits::default();
            packer.pack(text.as_bytes(), table, &mut bits, None);
            let kept = bits.keep();
            let middle = kept.len() / 3;
            out.append(&kept, 0, middle);
            out.append(&kept, middle, kept.len());
        }
        table.end(&mut out);
        out.into_bytes()
    }

    #[test]
    fn every_length_and_distance_has_its_symbol() {
        // RFC 1951, 3.2.5: the first of some symbols, and how many bits go with it.
        for (length, symbol, bits) in [
            (3, 257, 0),
            (10, 264, 0),
            (11, 265, 1),
            (18, 268, 1),
            (19, 269, 2),
            (114, 279, 4),
            (115, 280, 4),
            (131, 281, 5),
            (257, 284, 5),
            (258, 285, 0),
        ] {
            let (found, _, count) = length_symbol(length);
            assert_eq!((found, count), (symbol, bits), "{length}");
        }
        for (distance, symbol, bits) in [
            (1, 0, 0),
            (4, 3, 0),
            (5, 4, 1),
            (9, 6, 2),
            (193, 15, 6),
            (1025, 20, 9),
            (24_577, 29, 13),
            (32_768, 29, 13),
        ] {
            let (found, _, count) = distance_symbol(distance);
            assert_eq!((found, count), (symbol, bits), "{distance}");
        }
    }

    #[test]
    fn codes_are_complete_and_no_longer_than_may_be() {
        let mut counts = Counts::default();
        // Like the numbers of Fibonacci, whose best code is as long as there are symbols.
        let (mut a, mut b) = (1_u32, 1);
        for count in counts.literals.iter_mut().take(40) {
            *count = a;
            (a, b) = (b, a + b);
        }
        let table = Table::of(&counts);
        for lengths in [&table.literal_lengths[..], &table.distance_lengths[..]] {
            assert!(lengths.iter().all(|length| (1..=LONGEST).contains(length)));
            let share: u32 = lengths.iter().map(|length| 1 << (LONGEST - length)).sum();
            assert_eq!(share, 1 << LONGEST);
        }
    }

    #[test]
    fn long_runs_and_far_lines_come_back() {
        let table = Table::default();
        for bytes in [2, 257, 258, 259, 260, 261, 262, 516, 517, 40_000] {
            let line = "x".repeat(bytes);
            let text = format!("{line}\n{line}\n{line}\nother {line}\n");
            assert_eq!(inflated(&packed(&[&text], &table)), text, "{bytes}");
        }
    }

    #[test]
    fn a_table_for_what_was_written_is_better_than_another() {
        let word = |line: u32| -> String {
            let letters = ['ä', 'ö', 'ü', 'ß'];
            let letter =
                |place: u32| letters[(line.wrapping_mul(2_654_435_761) >> place) as usize % 4];
            (0..9).map(|place| letter(3 * place)).collect()
        };
        let text: String = (0..200).map(|line| word(line) + "\n").collect();
        let mut counts = Counts::default();
        let table = Table::default();
        let mut packer = Packer::default();
        packer.pack(
            text.as_bytes(),
            &table,
            &mut Bits::default(),
            Some(&mut counts),
        );
        let better = table.better(&counts, 32).unwrap();
        assert!(better.better(&counts, 32).is_none());
        let lengths = [&table, &better].map(|table| packed(&[&text], table).len());
        assert!(lengths[1] < lengths[0], "{lengths:?}");
        assert_eq!(inflated(&packed(&[&text], &better)), text);
    }

    proptest! {
        #[test]
        fn lines_with_known_heads_come_back(
            names in prop::collection::vec("[a-d\"]{0,6}\\{[a-d]=\"[0-9]{0,30}\"\\} ", 1..30),
            numbers in prop::collection::vec(prop::collection::vec(0_u64..2_000_000, 30), 1..5),
        ) {
            let table = Table::default();
            let mut heads = vec![Head::default(); names.len()];
            for numbers in numbers {
                let (mut text, mut lines) = (String::new(), Vec::new());
                for (name, number) in names.iter().zip(numbers) {
                    let start = text.len();
                    text.push_str(name);
                    lines.push(Line { start, number: text.len() });
                    let _ = writeln!(text, "{}", number * number);
                }
                let mut out = Bits::default();
                table.begin(&mut out);
                // Whatever was written before.
                Packer::default().pack(b"# TYPE a counter\n", &table, &mut out, None);
                pack_lines(text.as_bytes(), &lines, &mut heads, &table, &mut out, None);
                table.end(&mut out);
                prop_assert_eq!(inflated(&out.into_bytes()), format!("# TYPE a counter\n{text}"));
            }
        }

        #[test]
        fn whatever_is_packed_comes_back(
            texts in prop::collection::vec(
                prop_oneof![
                    ".{0,300}",
                    "([a-c_]{1,3}\\{k=\"[01]{0,4}\",l=\"[a-z\\\\\"]{0,9}\"\\} [0-9]{1,9}\n){0,60}",
                    "([a-z \"\n]{0,40}){0,20}",
                ],
                0..6,
            ),
            counts in prop::collection::vec(0_u32..1_000_000, LITERALS),
        ) {
            let mut of = Counts::default();
            of.literals.copy_from_slice(&counts);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            for table in [Table::default(), Table::of(&of)] {
                prop_assert_eq!(inflated(&packed(&texts, &table)), texts.concat());
            }
        }
    }
}
