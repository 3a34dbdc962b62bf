//! The bytes of a file that keeps totals.

use std::fmt::Write;

use crate::layout::{HEADER_BYTES, Header, LIMITS, PAGE_BYTES};
use crate::page::WORDS;
use crate::record::{Cell, FRAME, Kind, Record, Side};
use crate::totals::NOTE;
use crate::{FamilyTotals, FileId, Folded, NativeBuckets, SeriesTotals, Totals, Value};

/// The most cells of a chunk.
const CELLS: usize = 400;

/// A file with totals: its beginning with the directory, then its pages, which are at an offset of their own.
pub(crate) struct Image {
    pub(crate) head: Vec<u8>,
    pub(crate) pages_at: u64,
    pub(crate) pages: Vec<u8>,
}

/// Puts a file together.
#[derive(Default)]
struct Builder {
    records: Vec<u8>,
    pages: Vec<u64>,
    families: u32,
    series: u32,
}

impl Image {
    /// The file of these totals, but for gauges; none where they are more than a file holds.
    pub(crate) fn new(totals: &Totals, folded: &Folded, began: u64) -> Option<Self> {
        let mut builder = Builder::default();
        builder.say(&folded.note())?;
        for (name, family) in &totals.families {
            if family.kind != Kind::Gauge && !family.series.is_empty() {
                builder.family(name, family)?;
            }
        }
        let whole = builder.pages.len().next_multiple_of(WORDS);
        builder.pages.resize(whole, 0);
        let pages = whole as u64 * 8;
        // A length of 0 behind the last record is its end.
        let records = (builder.records.len() + FRAME) as u64;
        let limits = std::iter::successors(Some(*LIMITS.start()), |limit| Some(limit * 2));
        let mut headers = limits
            .take_while(|limit| LIMITS.contains(limit))
            .map(|limit| Header::new(limit, began, 0));
        let holds =
            |header: &Header| records <= header.directory && pages <= header.pages() * PAGE_BYTES;
        let header = headers.find(holds)?;
        let mut head = header.encode().to_vec();
        head.resize(usize::try_from(HEADER_BYTES).ok()?, 0);
        head.extend(builder.records);
        Some(Self {
            head,
            pages_at: header.pages_at(),
            pages: builder
                .pages
                .iter()
                .flat_map(|word| word.to_ne_bytes())
                .collect(),
        })
    }
}

impl Builder {
    fn say(&mut self, record: &Record) -> Option<()> {
        self.records.extend(record.encode()?);
        Some(())
    }

    /// Finds words a place that is all in one page, each of which is a block.
    fn place(&mut self, words: &[u64]) -> Option<(u32, u16)> {
        let room = (WORDS - self.pages.len() % WORDS) % WORDS;
        if room < words.len() {
            self.pages.resize(self.pages.len() + room, 0);
        }
        let at = self.pages.len();
        let page = u32::try_from(at / WORDS).ok()?;
        if at.is_multiple_of(WORDS) && !words.is_empty() {
            self.say(&Record::Page { block: page, page })?;
        }
        self.pages.extend(words);
        Some((page, u16::try_from(at % WORDS).ok()?))
    }

    fn family(&mut self, name: &str, family: &FamilyTotals) -> Option<()> {
        let number = self.families;
        self.families += 1;
        let decimals = family.series.values().filter_map(SeriesTotals::decimals);
        let decimals = decimals.max().unwrap_or(0);
        self.say(&Record::Family {
            name: name.to_owned(),
            kind: family.kind,
            decimals,
            bounds: family.bounds.clone(),
        })?;
        if !family.help.is_empty() {
            self.say(&Record::Help {
                name: name.to_owned(),
                text: family.help.clone(),
            })?;
        }
        let native = family.native();
        if let Some((of, _)) = &native {
            self.say(&Record::Native {
                family: number,
                schema: of.schema,
                zero_threshold: of.zero_threshold,
            })?;
        }
        let cells = native.map(|(_, cells)| cells);
        for (at, (labels, series)) in family.series.iter().enumerate() {
            let words = match &cells {
                Some(_) => Vec::new(),
                None => series.words(decimals)?,
            };
            let (block, first) = self.place(&words)?;
            let number_of_it = self.series;
            self.series += 1;
            // Where its words come in chunks, their place is of no meaning.
            let (block, first) = if words.is_empty() {
                (0, 0)
            } else {
                (block, first)
            };
            self.say(&Record::Series {
                family: number,
                block,
                first,
                began: series.began,
                labels: labels.clone(),
            })?;
            if let Some(cells) = &cells {
                self.chunks(number_of_it, &cells[at], series.sum())?;
            }
        }
        Some(())
    }

    /// The cells of a native histogram, of which the first chunk has the sum.
    fn chunks(&mut self, series: u32, cells: &[Held], mut sum: f64) -> Option<()> {
        for side in [Side::Negative, Side::Zero, Side::Positive] {
            let cells: Vec<_> = cells.iter().filter(|cell| cell.side == side).collect();
            for cells in cells.chunks(CELLS) {
                let sum = std::mem::take(&mut sum).to_bits();
                let counts = cells.iter().map(|cell| cell.count);
                let words: Vec<u64> = std::iter::once(sum).chain(counts).collect();
                let (block, first) = self.place(&words)?;
                self.say(&Record::Chunk {
                    series,
                    block,
                    first,
                    side,
                    cells: cells.iter().map(|cell| cell.of).collect(),
                })?;
            }
        }
        Some(())
    }
}

/// A cell of a native histogram, and what it holds.
struct Held {
    side: Side,
    of: Cell,
    count: u64,
}

impl FamilyTotals {
    /// The cells of each series, where all of them have native buckets of one sort.
    fn native(&self) -> Option<(&NativeBuckets, Vec<Vec<Held>>)> {
        let first = self.series.values().next()?.native.as_ref()?;
        let cells = self.series.values().map(|series| {
            let native = series
                .native
                .as_ref()
                .filter(|native| native.is_like(first))?;
            let Value::Histogram { buckets, .. } = &series.value else {
                return None;
            };
            cells(native, buckets)
        });
        Some((first, cells.collect::<Option<_>>()?))
    }
}

/// Cells that make both sorts of buckets. Both divide the same values in their order, so that going through them side by side puts
/// each value into one cell; none where they do not hold as many.
fn cells(native: &NativeBuckets, buckets: &[u64]) -> Option<Vec<Held>> {
    // The farther from 0, the less a negative value is.
    let negative = native.negative.iter().rev();
    let side = |side: Side| move |(index, count): (&i32, &u64)| (side, *index, *count);
    let mut rest: Vec<(Side, i32, u64)> = negative.map(side(Side::Negative)).collect();
    rest.push((Side::Zero, 0, native.zero_count));
    rest.extend(native.positive.iter().map(side(Side::Positive)));
    let mut rest = rest
        .into_iter()
        .filter(|(_, _, count)| *count > 0)
        .peekable();
    let mut cells = Vec::new();
    for (bucket, count) in (0..).zip(buckets) {
        let mut wanted = *count;
        while wanted > 0 {
            let (side, index, left) = rest.peek_mut()?;
            let count = wanted.min(*left);
            cells.push(Held {
                side: *side,
                of: Cell {
                    index: *index,
                    bucket,
                },
                count,
            });
            wanted -= count;
            *left -= count;
            if *left == 0 {
                rest.next();
            }
        }
    }
    rest.next().is_none().then_some(cells)
}

impl SeriesTotals {
    const fn decimals(&self) -> Option<u8> {
        match self.value {
            Value::Counter { decimals, .. } => Some(decimals),
            _ => None,
        }
    }

    const fn sum(&self) -> f64 {
        match self.value {
            Value::Histogram { sum, .. } | Value::Summary { sum, .. } => sum,
            _ => 0.0,
        }
    }

    /// Its words, with so many decimal places; none where a number has no room for them.
    fn words(&self, decimals: u8) -> Option<Vec<u64>> {
        Some(match &self.value {
            Value::Counter {
                number,
                decimals: own,
            } => {
                let more = 10_u64.checked_pow(u32::from(decimals - own))?;
                vec![number.checked_mul(more)?]
            }
            Value::Gauge(value) => vec![value.to_bits()],
            Value::Histogram { buckets, sum } => {
                let sum = std::iter::once(sum.to_bits());
                sum.chain(buckets.iter().copied()).collect()
            }
            Value::Summary { count, sum } => vec![*count, sum.to_bits()],
        })
    }
}

impl Folded {
    fn note(&self) -> Record {
        let mut text = format!("{:x}", self.count);
        for FileId { inode, began, pid } in &self.files {
            let _ = write!(text, " {inode:x}-{began:x}-{pid:x}");
        }
        let key = NOTE.to_owned();
        Record::Note { key, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_files_is_read_as_it_was_written() {
        let folded = Folded {
            count: 70_000,
            files: (0..1000)
                .map(|n| FileId {
                    inode: u64::MAX - n,
                    began: 1_796_000_000_000 + n,
                    pid: u32::MAX,
                })
                .collect(),
        };
        let note = folded.note();
        assert!(note.encode().is_some(), "it is too long for a record");
        let Record::Note { key, text } = note else {
            panic!("{note:?}")
        };
        assert_eq!(Folded::of_note(&key, &text), Some(Ok(folded)));
        assert_eq!(Folded::of_note("service", &text), None);
        for wrong in ["", "x", "1 2", "1 2-3-4-5", "1 2-3-fffffffff", "1  2-3-4"] {
            assert!(Folded::of_note(NOTE, wrong).unwrap().is_err(), "{wrong}");
        }
    }

    #[test]
    fn cells_make_buckets_of_both_sorts() {
        let mut native = NativeBuckets::new(3, 1e-9);
        native.negative = [(2, 3), (5, 1)].into();
        native.positive = [(-1, 2), (7, 4)].into();
        native.zero_count = 1;
        let buckets = [2, 3, 0, 6];
        let cells = cells(&native, &buckets).unwrap();
        let mut classic = [0; 4];
        let mut again = NativeBuckets::new(3, 1e-9);
        for Held { side, of, count } in cells {
            classic[usize::from(of.bucket)] += count;
            match side {
                Side::Zero => again.zero_count += count,
                Side::Positive => *again.positive.entry(of.index).or_default() += count,
                Side::Negative => *again.negative.entry(of.index).or_default() += count,
            }
        }
        assert_eq!(classic, buckets);
        assert_eq!(again, native);
        assert!(super::cells(&native, &[2, 3, 0, 5]).is_none());
        assert!(super::cells(&native, &[2, 3, 0, 7]).is_none());
    }
}
