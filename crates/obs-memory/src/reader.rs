//! The file as a reader has it, who believes nothing of it.
//!
//! It is read by `pread` and never mapped: a file that shrinks while it is read ends a read, and not the process.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::MemoryError;
use crate::layout::ABANDONED;
use crate::layout::{HEADER_BYTES, Header, INCOMPLETE_AT, PAGE_BYTES, u32_at};
use crate::page::WORDS;
use crate::platform::{holder, own};
use crate::record::{FRAME, Kind, Labels, MOST_BYTES, Record};

/// The most pages of a block: a lane for each thread that can have one, and that of all others.
const MOST_LANES: usize = 1025;

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
}

#[derive(Debug)]
enum Source {
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
}

#[derive(Debug)]
struct Series {
    family: usize,
    block: u32,
    first: usize,
    began: u64,
    labels: Labels,
    baseline: Option<Vec<u64>>,
    is_hidden: bool,
    is_gone: bool,
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
        let source = match own(path) {
            Some(file) => Source::Own(file),
            None => Source::Other(File::open(path).map_err(|source| MemoryError::Io {
                action: "open",
                path: path.to_path_buf(),
                source,
            })?),
        };
        let mut head = [0; 64];
        let length = read_up_to(source.file(), path, &mut head, 0)?;
        let header = Header::decode(&head[..length], path)?;
        let mut reader = Self {
            path: path.to_path_buf(),
            source,
            header,
            next: HEADER_BYTES,
            globals: BTreeMap::new(),
            help: BTreeMap::new(),
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

    /// Whether its process lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match &self.source {
            Source::Own(_) => true,
            Source::Other(file) => holder(file).is_some(),
        }
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
            let Some(value) = value else { continue };
            let shown = families.entry(&family.name);
            let shown = shown.or_insert_with(|| family.empty(self.help.get(&family.name)));
            shown.series.push(SeriesReading {
                labels: series.labels.clone(),
                began: series.began,
                value,
            });
        }
        Ok(Reading {
            is_alive,
            is_complete: mark == 0,
            began: self.header.began,
            pid: self.header.pid,
            globals: self.globals.clone(),
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
                });
            }
            Record::Series {
                family,
                block,
                first,
                began,
                labels,
            } => {
                let (family, first) = (family as usize, usize::from(first));
                let of = self.families.get(family).ok_or("a series has no family")?;
                if first + of.words() > WORDS {
                    return Err("the words of a series are in no page");
                }
                if labels.iter().any(|(name, _)| !is_label(name)) {
                    return Err("a label has a name that is none");
                }
                let in_block = &mut self.blocks.entry(block).or_default().series;
                in_block.push(self.series.len());
                self.series.push(Series {
                    family,
                    block,
                    first,
                    began,
                    labels,
                    baseline: None,
                    is_hidden: false,
                    is_gone: false,
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
            Record::Hidden { series, words } => {
                let count = self.series(series).map(|series| series.family)?;
                if words.len() != self.families[count].words() {
                    return Err("a series is hidden with words of another");
                }
                let series = self.series(series)?;
                series.is_hidden = true;
                series.baseline = Some(words);
            }
            Record::Shown { series, began } => {
                let series = self.series(series)?;
                series.is_hidden = false;
                series.began = began;
            }
            Record::Gone { series: number } => {
                let series = self.series(number)?;
                series.is_gone = true;
                let block = series.block;
                if let Some(block) = self.blocks.get_mut(&block) {
                    block.series.retain(|series| *series != number as usize);
                }
            }
        }
        Ok(())
    }

    fn series(&mut self, number: u32) -> Result<&mut Series, &'static str> {
        self.series
            .get_mut(number as usize)
            .ok_or("a record is of a series that there is not")
    }

    /// What each series shows, by its number; nothing of those that are hidden or gone. One block is in memory at a time.
    fn values(&self) -> Result<Vec<Option<Value>>, MemoryError> {
        let mut values = vec![None; self.series.len()];
        let mut bytes = vec![0; WORDS * 8];
        for block in self
            .blocks
            .values()
            .filter(|block| !block.series.is_empty())
        {
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
                values[*number] = series.value(&self.families[series.family], &sums);
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

impl Family {
    fn words(&self) -> usize {
        self.kind.words(self.bounds.len())
    }

    fn empty(&self, help: Option<&String>) -> FamilyReading {
        FamilyReading {
            name: self.name.clone(),
            kind: self.kind,
            help: help.cloned().unwrap_or_default(),
            bounds: self.bounds.clone(),
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
            Kind::Gauge => Value::Gauge(f64::from_bits(held[0])),
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
    fn file(&self) -> &File {
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
fn read_up_to(file: &File, path: &Path, bytes: &mut [u8], at: u64) -> Result<usize, MemoryError> {
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
