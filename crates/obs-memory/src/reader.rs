//! The file as a reader has it, who believes nothing of it.
//!
//! It is read by `pread` and never mapped: a file that shrinks while it is read ends a read, and not the process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::layout::ABANDONED;
use crate::layout::{HEADER_BYTES, Header, INCOMPLETE_AT, PAGE_BYTES, u32_at};
use crate::page::WORDS;
use crate::platform::{holder, own};
use crate::record::{Across, Cell, FRAME, Kind, Labels, MOST_BYTES, Record, Side};
use crate::{FileId, Folded, MemoryError};

/// The most pages of a block: a lane for each thread that can have one, and that of all others.
const MOST_LANES: usize = 1025;

/// The schemas that native buckets can have, as Prometheus has them: 2^-4 to 2^8 buckets to an octave.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// How often a read is made anew because series were given up meanwhile. After that it leaves those out.
const ATTEMPTS: usize = 4;

/// Reads a file, again and again: what it knows of the directory it keeps.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    source: Source,
    header: Header,
    /// The offset of the next record.
    next: u64,
    globals: BTreeMap<String, String>,
    help: BTreeMap<String, String>,
    notes: Arc<BTreeMap<String, String>>,
    folded: Option<Folded>,
    families: Vec<Family>,
    names: HashSet<String>,
    series: Vec<Series>,
    /// What is in each block.
    blocks: BTreeMap<u32, Block>,
    pages: HashSet<u32>,
}

#[derive(Debug, Default)]
struct Block {
    /// The numbers of its pages.
    pages: Vec<u32>,
    /// The numbers of its series that have not given up their words.
    series: Vec<usize>,
    /// The same of chunks of native histograms: the number of the series, and which of its chunks.
    chunks: Vec<(usize, usize)>,
}

/// A file that is read.
#[derive(Debug)]
pub(crate) enum Source {
    /// What this process records to itself.
    Own(&'static File),
    Other(File),
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: Kind,
    decimals: u8,
    bounds: Vec<f64>,
    native: Option<Native>,
    across: Across,
    has_series: bool,
}

/// What native buckets of a family are like.
#[derive(Clone, Copy, Debug)]
struct Native {
    schema: i32,
    zero_threshold: f64,
}

#[derive(Debug)]
struct Series {
    family: usize,
    block: u32,
    first: usize,
    began: u64,
    labels: Labels,
    baseline: Option<Vec<u64>>,
    /// The words of a native histogram.
    chunks: Vec<Chunk>,
    is_hidden: bool,
    is_gone: bool,
}

/// Words of a native histogram.
#[derive(Debug)]
struct Chunk {
    block: u32,
    first: usize,
    side: Side,
    cells: Vec<Cell>,
    /// What they held when the series was hidden, and what was said of that since and is not yet in force.
    baseline: Option<Vec<u64>>,
    held: Option<Vec<u64>>,
}

/// What a file holds at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Whether its process lives: it holds the lock of the file. One that is stopped lives, too.
    pub is_alive: bool,
    /// Whether all that was recorded is in the file. Where there was no memory, its process went on without.
    pub is_complete: bool,
    /// When its process began the file, in milliseconds since 1970-01-01 UTC.
    pub began: u64,
    /// The number that its process has, or had. Numbers come again: it is for people.
    pub pid: u32,
    /// The labels of every series that has none of the same name.
    pub globals: BTreeMap<String, String>,
    /// What the process says of itself, by what it is about.
    pub notes: Arc<BTreeMap<String, String>>,
    /// Whose numbers it holds, where it is no process' file and keeps the totals of a service; see [`Folded`].
    pub folded: Option<Folded>,
    /// The families that have a series to show, by name.
    pub families: Vec<FamilyReading>,
}

/// A family of a [`Reading`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyReading {
    /// Its name in the text formats.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its help text; empty where there is none.
    pub help: String,
    /// The upper bounds of a histogram, ascending and without the infinite one.
    pub bounds: Vec<f64>,
    /// What its gauges make together with those of other processes.
    pub across: Across,
    /// Its series, in the order in which they came.
    pub series: Vec<SeriesReading>,
}

/// A series of a [`Reading`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeriesReading {
    /// Its labels, without the global ones.
    pub labels: Labels,
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub began: u64,
    /// What it shows.
    pub value: Value,
    /// The observations of a histogram in native buckets as well, where its process keeps such.
    pub native: Option<NativeBuckets>,
}

/// Observations in the native buckets of [Prometheus](https://prometheus.io/docs/specs/native_histograms/). Together they hold as many as
/// the declared buckets of the same reading.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NativeBuckets {
    /// How fine they are, -4 to 8: the upper bound of the bucket of index `i` is 2^(`i` / 2^`schema`), and belongs to it.
    pub schema: i32,
    /// How far from 0 values may be that have the zero bucket, the farthest included.
    pub zero_threshold: f64,
    /// How many are in the zero bucket.
    pub zero_count: u64,
    /// Those of values below the zero bucket that hold anything: index and count. The index is that of the value without its sign.
    pub negative: BTreeMap<i32, u64>,
    /// The same of values above the zero bucket.
    pub positive: BTreeMap<i32, u64>,
}

/// What a series shows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The total of a counter: `number` divided by 10 to the power of `decimals`.
    Counter {
        /// The digits.
        number: u64,
        /// How many of them are decimal places.
        decimals: u8,
    },
    /// The value of a gauge, which may be `NaN` or infinite.
    Gauge(f64),
    /// The observations of a histogram. A process that was killed within one may have counted it and not added it to the sum.
    Histogram {
        /// How many are in each bucket, not cumulated; one more than there are bounds.
        buckets: Vec<u64>,
        /// Their sum.
        sum: f64,
    },
    /// The observations of a summary, without its quantiles: these are computed by its process.
    Summary {
        /// How many there are.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl Reader {
    /// Opens a file and reads its directory.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Foreign`] and [`MemoryError::Version`] for what this edition does not read, [`MemoryError::Truncated`] and
    /// [`MemoryError::Corrupt`] for what no writer leaves behind, and [`MemoryError::Io`] where the system refuses.
    pub fn open(path: &Path) -> Result<Self, MemoryError> {
        let (source, header) = Source::open(path)?;
        let mut reader = Self {
            path: path.to_path_buf(),
            source,
            header,
            next: HEADER_BYTES,
            globals: BTreeMap::new(),
            help: BTreeMap::new(),
            notes: Arc::default(),
            folded: None,
            families: Vec::new(),
            names: HashSet::new(),
            series: Vec::new(),
            blocks: BTreeMap::new(),
            pages: HashSet::new(),
        };
        reader.follow()?;
        Ok(reader)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file it is, also where it is renamed or removed.
    #[must_use]
    pub fn id(&self) -> FileId {
        FileId::of(&self.source, &self.header)
    }

    /// Whether its process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.source.is_alive()
    }

    /// Reads what the file holds now.
    ///
    /// While its process records, each word is one that was there at some moment of the read; the total of a counter is never less
    /// than in an earlier read.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read(&mut self) -> Result<Reading, MemoryError> {
        // Whether it lives is asked first: what a process has recorded that is dead by then is all in the file.
        let is_alive = self.is_alive();
        self.follow()?;
        let mut values = self.values()?;
        for _ in 0..ATTEMPTS {
            // Words that were given up may have been another's when they were read.
            if !self.follow()? {
                break;
            }
            values = self.values()?;
        }
        let mark = self.mark()?;
        let mut families: BTreeMap<&str, FamilyReading> = BTreeMap::new();
        let is_said = |(series, _): &(&Series, _)| mark != ABANDONED && !series.is_gone;
        for (series, value) in self.series.iter().zip(values).filter(is_said) {
            let family = &self.families[series.family];
            let Some((value, native)) = value else {
                continue;
            };
            let shown = families.entry(&family.name);
            let shown = shown.or_insert_with(|| family.empty(self.help.get(&family.name)));
            shown.series.push(SeriesReading {
                labels: series.labels.clone(),
                began: series.began,
                value,
                native,
            });
        }
        Ok(Reading {
            is_alive,
            is_complete: mark == 0,
            began: self.header.began,
            pid: self.header.pid,
            globals: self.globals.clone(),
            notes: Arc::clone(&self.notes),
            folded: self.folded.clone(),
            families: families.into_values().collect(),
        })
    }

    /// Takes in the records that have been appended. Returns whether a series gave up its words.
    fn follow(&mut self) -> Result<bool, MemoryError> {
        let end = self.header.pages_at();
        let mut has_gone = false;
        let mut payload = Vec::new();
        while self.next + FRAME as u64 <= end {
            let mut frame = [0; FRAME];
            self.read_at(&mut frame, self.next)?;
            let (length, sum) = (u32_at(&frame, 0), u32_at(&frame, 4));
            let length = length as usize;
            if length == 0 {
                break;
            }
            let after = self.next + (FRAME + length) as u64;
            if length > MOST_BYTES || after > end {
                return Err(self.corrupt("a record is longer than records are"));
            }
            payload.resize(length, 0);
            self.read_at(&mut payload, self.next + FRAME as u64)?;
            if crc32fast::hash(&payload) != sum {
                return Err(self.corrupt("a record does not match its check sum"));
            }
            let record = Record::decode(&payload)
                .ok_or_else(|| self.corrupt("a record is not of this layout"))?;
            has_gone |= matches!(record, Record::Gone { .. });
            self.take(record).map_err(|what| self.corrupt(what))?;
            self.next = after;
        }
        Ok(has_gone)
    }

    /// Takes in a record, or says what is wrong with it.
    fn take(&mut self, record: Record) -> Result<(), &'static str> {
        match record {
            Record::Global { name, value } => {
                if !is_label(&name) {
                    return Err("a label has a name that is none");
                }
                self.globals.insert(name, value);
            }
            Record::Help { name, text } => {
                self.help.insert(name, text);
            }
            Record::Note { key, text } => {
                if let Some(folded) = Folded::of_note(&key, &text) {
                    self.folded = Some(folded?);
                    return Ok(());
                }
                Arc::make_mut(&mut self.notes).insert(key, text);
            }
            Record::Across { family, across } => {
                let family = self.families.get_mut(family as usize);
                family.ok_or("a rule has no family")?.across = across;
            }
            Record::Family {
                name,
                kind,
                decimals,
                bounds,
            } => {
                let ascend = bounds.is_sorted_by(|a, b| a < b);
                if !ascend || bounds.iter().any(|bound| !bound.is_finite()) {
                    return Err("the bounds of a family do not ascend");
                }
                if kind.words(bounds.len()) > WORDS || decimals > 19 || !is_name(&name) {
                    return Err("a family is none that can be recorded to");
                }
                if !self.names.insert(name.clone()) {
                    return Err("a family comes twice");
                }
                self.families.push(Family {
                    name,
                    kind,
                    decimals,
                    bounds,
                    native: None,
                    across: Across::Last,
                    has_series: false,
                });
            }
            Record::Native {
                family,
                schema,
                zero_threshold,
            } => {
                let family = self.families.get_mut(family as usize);
                let family = family.ok_or("native buckets have no family")?;
                if family.kind != Kind::Histogram || family.has_series {
                    return Err("a family has native buckets that it cannot have");
                }
                let is_finite = zero_threshold.is_finite() && zero_threshold >= 0.0;
                if !SCHEMAS.contains(&schema) || !is_finite {
                    return Err("native buckets are of no schema");
                }
                family.native = Some(Native {
                    schema,
                    zero_threshold,
                });
            }
            Record::Page { block, page } => {
                if u64::from(page) >= self.header.pages() {
                    return Err("a page lies behind the end of the file");
                }
                if !self.pages.insert(page) {
                    return Err("a page comes twice");
                }
                let pages = &mut self.blocks.entry(block).or_default().pages;
                if pages.len() == MOST_LANES {
                    return Err("a block has more pages than there can be threads");
                }
                pages.push(page);
            }
            of_series => return self.take_of_series(of_series),
        }
        Ok(())
    }

    /// Takes in a record of a series.
    fn take_of_series(&mut self, record: Record) -> Result<(), &'static str> {
        match record {
            Record::Series {
                family,
                block,
                first,
                began,
                labels,
            } => {
                let (family, first) = (family as usize, usize::from(first));
                let of = self.families.get_mut(family);
                let of = of.ok_or("a series has no family")?;
                if first + of.words() > WORDS {
                    return Err("the words of a series are in no page");
                }
                if labels.iter().any(|(name, _)| !is_label(name)) {
                    return Err("a label has a name that is none");
                }
                of.has_series = true;
                if of.native.is_none() {
                    let in_block = &mut self.blocks.entry(block).or_default().series;
                    in_block.push(self.series.len());
                }
                self.series.push(Series {
                    family,
                    block,
                    first,
                    began,
                    labels,
                    baseline: None,
                    chunks: Vec::new(),
                    is_hidden: false,
                    is_gone: false,
                });
            }
            Record::Chunk {
                series,
                block,
                first,
                side,
                cells,
            } => {
                let chunk = Chunk {
                    block,
                    first: first.into(),
                    side,
                    cells,
                    baseline: None,
                    held: None,
                };
                return self.take_chunk(series, chunk);
            }
            Record::Held {
                series,
                block,
                first,
                words,
            } => {
                let mut chunks = self.series(series)?.chunks.iter_mut();
                let place = (block, usize::from(first));
                let chunk = chunks.find(|chunk| (chunk.block, chunk.first) == place);
                let chunk = chunk.ok_or("what is held is in no chunk")?;
                if words.len() != chunk.words() {
                    return Err("a chunk is hidden with words of another");
                }
                chunk.held = Some(words);
            }
            Record::Hidden { series, words } => {
                let count = self.series(series).map(|series| series.family)?;
                if words.len() != self.families[count].words() {
                    return Err("a series is hidden with words of another");
                }
                let series = self.series(series)?;
                series.is_hidden = true;
                series.baseline = Some(words);
                for chunk in &mut series.chunks {
                    chunk.baseline = chunk.held.take();
                }
            }
            Record::Shown { series, began } => {
                let series = self.series(series)?;
                series.is_hidden = false;
                series.began = began;
            }
            Record::Gone { series: number } => {
                let series = self.series(number)?;
                series.is_gone = true;
                let mut blocks = vec![series.block];
                blocks.extend(series.chunks.iter().map(|chunk| chunk.block));
                for block in blocks {
                    if let Some(block) = self.blocks.get_mut(&block) {
                        block.series.retain(|series| *series != number as usize);
                        block
                            .chunks
                            .retain(|(series, _)| *series != number as usize);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn take_chunk(&mut self, number: u32, chunk: Chunk) -> Result<(), &'static str> {
        let of = self.series(number)?.family;
        let of = &self.families[of];
        let is_bucket = |cell: &Cell| usize::from(cell.bucket) <= of.bounds.len();
        if of.native.is_none() || !chunk.cells.iter().all(is_bucket) {
            return Err("cells are of no buckets that their family has");
        }
        if chunk.first + chunk.words() > WORDS {
            return Err("the words of a chunk are in no page");
        }
        let block = self.blocks.entry(chunk.block).or_default();
        let chunks = &mut self.series[number as usize].chunks;
        block.chunks.push((number as usize, chunks.len()));
        chunks.push(chunk);
        Ok(())
    }

    fn series(&mut self, number: u32) -> Result<&mut Series, &'static str> {
        self.series
            .get_mut(number as usize)
            .ok_or("a record is of a series that there is not")
    }

    /// What each series shows, by its number; nothing of those that are hidden or gone. One block is in memory at a time.
    fn values(&self) -> Result<Vec<Option<Shown>>, MemoryError> {
        let mut values = vec![None; self.series.len()];
        let mut chunks = HashMap::new();
        let mut bytes = vec![0; WORDS * 8];
        for block in self.blocks.values().filter(|block| !block.is_empty()) {
            let mut lanes = Vec::with_capacity(block.pages.len());
            for page in &block.pages {
                let at = self.header.pages_at() + u64::from(*page) * PAGE_BYTES;
                self.read_at(&mut bytes, at)?;
                let words = bytes.chunks_exact(8).map(|word| {
                    let mut number = [0; 8];
                    number.copy_from_slice(word);
                    u64::from_ne_bytes(number)
                });
                lanes.push(words.collect());
            }
            let sums = Sums(lanes);
            for number in &block.series {
                let series = &self.series[*number];
                let value = series.value(&self.families[series.family], &sums);
                values[*number] = value.map(|value| (value, None));
            }
            for (number, at) in &block.chunks {
                let held = self.series[*number].chunks[*at].read(&sums);
                chunks.insert((*number, *at), held);
            }
        }
        for (number, series) in self.series.iter().enumerate() {
            let family = &self.families[series.family];
            if let Some(native) = family.native
                && !series.is_gone
            {
                let held = |at: usize| chunks.get(&(number, at)).map_or(&[][..], Vec::as_slice);
                let value = series.both(family, native, held);
                values[number] = value.map(|(value, native)| (value, Some(native)));
            }
        }
        Ok(values)
    }

    /// Whether something is not in the file.
    fn mark(&self) -> Result<u64, MemoryError> {
        let mut mark = [0; 8];
        self.read_at(&mut mark, INCOMPLETE_AT)?;
        Ok(u64::from_le_bytes(mark))
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), MemoryError> {
        if read_up_to(self.source.file(), &self.path, bytes, at)? < bytes.len() {
            return Err(MemoryError::Truncated {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn corrupt(&self, what: &'static str) -> MemoryError {
        MemoryError::Corrupt {
            path: self.path.clone(),
            at: self.next,
            what,
        }
    }
}

/// What a series shows.
type Shown = (Value, Option<NativeBuckets>);

/// The words of a block, lane by lane; no lane where no thread has recorded yet.
struct Sums(Vec<Vec<u64>>);

impl Sums {
    fn whole(&self, word: usize) -> u64 {
        let lanes = self.0.iter().map(|lane| lane[word]);
        lanes.fold(0, u64::wrapping_add)
    }

    fn float(&self, word: usize) -> f64 {
        self.0.iter().map(|lane| f64::from_bits(lane[word])).sum()
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        self.series.is_empty() && self.chunks.is_empty()
    }
}

impl Chunk {
    /// The sum, and a word for each cell.
    fn words(&self) -> usize {
        self.cells.len() + 1
    }

    /// What its words hold.
    fn read(&self, sums: &Sums) -> Vec<u64> {
        let sum = sums.float(self.first).to_bits();
        let cells = self.first + 1..self.first + self.words();
        iter::once(sum)
            .chain(cells.map(|word| sums.whole(word)))
            .collect()
    }

    /// What a word held when its series was hidden.
    fn before(&self, word: usize) -> u64 {
        self.baseline.as_ref().map_or(0, |baseline| baseline[word])
    }
}

impl Family {
    /// How many words come with a series.
    fn words(&self) -> usize {
        if self.native.is_some() {
            return 0;
        }
        self.kind.words(self.bounds.len())
    }

    fn empty(&self, help: Option<&String>) -> FamilyReading {
        FamilyReading {
            name: self.name.clone(),
            kind: self.kind,
            help: help.cloned().unwrap_or_default(),
            bounds: self.bounds.clone(),
            across: self.across,
            series: Vec::new(),
        }
    }
}

impl Series {
    /// What it shows; nothing if it is hidden.
    fn value(&self, family: &Family, sums: &Sums) -> Option<Value> {
        let words = self.first..self.first + family.words();
        let is_float = |word: usize| family.kind.float() == Some(word - self.first);
        let held: Vec<u64> = words
            .map(|word| {
                if is_float(word) {
                    sums.float(word).to_bits()
                } else {
                    sums.whole(word)
                }
            })
            .collect();
        if self.is_hidden && self.is_as_it_was(&held, family.kind) {
            return None;
        }
        let before = |word: usize| self.baseline.as_ref().map_or(0, |baseline| baseline[word]);
        let whole = |word: usize| held[word].wrapping_sub(before(word));
        let float = |word: usize| f64::from_bits(held[word]) - f64::from_bits(before(word));
        Some(match family.kind {
            Kind::Counter => Value::Counter {
                number: whole(0),
                decimals: family.decimals,
            },
            // What it was before it was hidden is no part of it.
            // A negative zero is what nothing was said of.
            Kind::Gauge => Value::Gauge(f64::from_bits(held[0]) + 0.0),
            Kind::Histogram => Value::Histogram {
                buckets: (1..held.len()).map(whole).collect(),
                sum: float(0),
            },
            Kind::Summary => Value::Summary {
                count: whole(0),
                sum: float(1),
            },
        })
    }
}

impl Series {
    /// What a native histogram shows in buckets of both sorts; nothing if it is hidden. `held` is what the words of each chunk hold.
    fn both<'a>(
        &self,
        family: &Family,
        native: Native,
        held: impl Fn(usize) -> &'a [u64],
    ) -> Option<(Value, NativeBuckets)> {
        let (mut buckets, mut sum) = (vec![0_u64; family.bounds.len() + 1], 0.0);
        let mut shown = NativeBuckets::new(native.schema, native.zero_threshold);
        let mut is_as_it_was = true;
        for (at, chunk) in self.chunks.iter().enumerate() {
            let Some((now, words)) = held(at).split_first() else {
                continue;
            };
            sum += f64::from_bits(*now) - f64::from_bits(chunk.before(0));
            for (word, (cell, held)) in (1..).zip(chunk.cells.iter().zip(words)) {
                let held = held.wrapping_sub(chunk.before(word));
                if held == 0 {
                    continue;
                }
                is_as_it_was = false;
                let bucket = &mut buckets[usize::from(cell.bucket)];
                *bucket = bucket.wrapping_add(held);
                let count = match chunk.side {
                    Side::Zero => &mut shown.zero_count,
                    Side::Positive => shown.positive.entry(cell.index).or_default(),
                    Side::Negative => shown.negative.entry(cell.index).or_default(),
                };
                *count = count.wrapping_add(held);
            }
        }
        let value = Value::Histogram { buckets, sum };
        (!self.is_hidden || !is_as_it_was).then_some((value, shown))
    }

    /// Whether nothing was recorded since it was hidden. Sums of floats depend on the order of lanes and do not count, unless they are all
    /// there is.
    fn is_as_it_was(&self, held: &[u64], kind: Kind) -> bool {
        let Some(baseline) = &self.baseline else {
            return false;
        };
        let counts = |word: &usize| kind == Kind::Gauge || kind.float() != Some(*word);
        (0..held.len())
            .filter(counts)
            .all(|word| held[word] == baseline[word])
    }
}

impl Source {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<(Self, Header), MemoryError> {
        let source = match own(path) {
            Some(file) => Self::Own(file),
            None => Self::Other(File::open(path).map_err(|source| MemoryError::Io {
                action: "open",
                path: path.to_path_buf(),
                source,
            })?),
        };
        let mut head = [0; 64];
        let length = read_up_to(source.file(), path, &mut head, 0)?;
        let header = Header::decode(&head[..length], path)?;
        Ok((source, header))
    }

    /// Whether its process lives.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Own(_) => true,
            Self::Other(file) => holder(file).is_some(),
        }
    }

    pub(crate) fn file(&self) -> &File {
        match self {
            Self::Own(file) => file,
            Self::Other(file) => file,
        }
    }
}

/// A name that can be written into an exposition as it is.
fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_of_name)
}

/// A name that a label can be written with.
fn is_label(name: &str) -> bool {
    is_name(name) && !name.contains(':')
}

/// Reads until the bytes are full or the file ends, and returns how many there were.
pub(crate) fn read_up_to(
    file: &File,
    path: &Path,
    bytes: &mut [u8],
    at: u64,
) -> Result<usize, MemoryError> {
    let mut have = 0;
    while have < bytes.len() {
        match read_once(file, &mut bytes[have..], at + have as u64) {
            Ok(0) => break,
            Ok(more) => have += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(MemoryError::Io {
                    action: "read",
                    path: path.to_path_buf(),
                    source,
                });
            }
        }
    }
    Ok(have)
}

#[cfg(unix)]
fn read_once(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, at)
}

#[cfg(windows)]
fn read_once(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, at)
}
