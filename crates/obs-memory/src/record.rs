//! The records of the directory: what the pages hold.
//!
//! A record is its length and check sum, 4 bytes each, and so many bytes; a length of 0 is the end. The writer puts the bytes
//! there first and the first eight of them last, so that a process that is killed in between leaves an end behind and no half record.

/// Bytes before the payload of a record.
pub(crate) const FRAME: usize = 8;
/// The most bytes of a payload.
pub(crate) const MOST_BYTES: usize = 1 << 16;

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One word: the total.
    Counter,
    /// One word: the bits of a float.
    Gauge,
    /// The bits of the sum, and a word for each bucket, not cumulated; with native buckets, what [`Record::Chunk`] says.
    Histogram,
    /// The count, and the bits of the sum.
    Summary,
}

impl Kind {
    /// The word in the text format of Prometheus.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }

    /// Which of its words holds the bits of a float, if any.
    #[must_use]
    pub(crate) const fn float(self) -> Option<usize> {
        match self {
            Self::Counter => None,
            Self::Gauge | Self::Histogram => Some(0),
            Self::Summary => Some(1),
        }
    }

    /// How many words its series have, with so many bounds.
    pub(crate) const fn words(self, bounds: usize) -> usize {
        match self {
            Self::Counter | Self::Gauge => 1,
            Self::Histogram => bounds + 2,
            Self::Summary => 2,
        }
    }

    const ALL: [Self; 4] = [Self::Counter, Self::Gauge, Self::Histogram, Self::Summary];
}

/// What the gauges of several processes make together, where they are shown as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Across {
    /// The one of the process that began last.
    #[default]
    Last,
    /// Their sum.
    Sum,
    /// The greatest.
    Max,
    /// The least.
    Min,
}

impl Across {
    const ALL: [Self; 4] = [Self::Last, Self::Sum, Self::Max, Self::Min];
}

/// On which side of 0 the values of native buckets lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// So near to 0 that they have the zero bucket.
    Zero,
    /// Above that.
    Positive,
    /// Below it.
    Negative,
}

impl Side {
    const ALL: [Self; 3] = [Self::Zero, Self::Positive, Self::Negative];
}

/// What a cell of a native histogram counts for. It lies within one bucket of either sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The index of its native bucket; of no meaning in the zero bucket.
    pub index: i32,
    /// Which of the buckets between the bounds of its family it is in.
    pub bucket: u16,
}

/// Labels, by name.
pub type Labels = Vec<(String, String)>;

/// What an engine says of its pages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// A label of every series that has none of its name.
    Global {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A family. Its number is how many came before it.
    Family {
        /// Its name in the text formats.
        name: String,
        /// Its kind.
        kind: Kind,
        /// How many digits of a counter are decimal places.
        decimals: u8,
        /// The upper bounds of a histogram, without the infinite one.
        bounds: Vec<f64>,
    },
    /// The histograms of a family have native buckets as well. Their words come in chunks with what is recorded, and not with the series.
    Native {
        /// The number of the family, which has no series yet.
        family: u32,
        /// How fine the buckets are: the upper bound of index `i` is 2^(`i` / 2^`schema`).
        schema: i32,
        /// How far from 0 values may be that have the zero bucket.
        zero_threshold: f64,
    },
    /// Words of a native histogram: the bits of the sum of the values that these cells count, and one for each cell.
    Chunk {
        /// The number of the series.
        series: u32,
        /// The block in which the words are.
        block: u32,
        /// The first of them.
        first: u16,
        /// Of which side they are.
        side: Side,
        /// What each of them counts for.
        cells: Vec<Cell>,
    },
    /// What the words of a chunk hold of a series that is about to be hidden; the [`Hidden`](Self::Hidden) that follows has no words.
    Held {
        /// The number of the series.
        series: u32,
        /// The block of the chunk.
        block: u32,
        /// Its first word.
        first: u16,
        /// What its words held, all lanes together.
        words: Vec<u64>,
    },
    /// What the gauges of a family make together, where it is not [`Across::Last`].
    Across {
        /// The number of the family.
        family: u32,
        /// What they make.
        across: Across,
    },
    /// What a process says of itself, for readers that know the key. The later text of a key counts.
    Note {
        /// What it is about.
        key: String,
        /// The text.
        text: String,
    },
    /// The help text of a name.
    Help {
        /// The family's name.
        name: String,
        /// The text.
        text: String,
    },
    /// A series. Its number is how many came before it.
    Series {
        /// The number of its family.
        family: u32,
        /// The block in which its words are.
        block: u32,
        /// The first of them.
        first: u16,
        /// When it began, in milliseconds since 1970.
        began: u64,
        /// Its labels, without global ones.
        labels: Labels,
    },
    /// A page of a block: the words that one lane of threads records to.
    Page {
        /// The block.
        block: u32,
        /// The number of the page.
        page: u32,
    },
    /// A series is hidden until it is recorded to, and counts from these words on.
    Hidden {
        /// The number of the series.
        series: u32,
        /// What its words held, all lanes together.
        words: Vec<u64>,
    },
    /// A hidden series is shown again.
    Shown {
        /// The number of the series.
        series: u32,
        /// When it began anew, in milliseconds since 1970.
        began: u64,
    },
    /// A series has given back its words, which another may have from now on.
    Gone {
        /// The number of the series.
        series: u32,
    },
}

impl Record {
    /// The record with its frame, or nothing if it is too long.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = vec![0; FRAME];
        match self {
            Self::Global { name, value } => {
                out.push(1);
                text(&mut out, name);
                text(&mut out, value);
            }
            Self::Family {
                name,
                kind,
                decimals,
                bounds,
            } => {
                out.extend([2, *kind as u8, *decimals]);
                text(&mut out, name);
                words(&mut out, bounds.iter().map(|bound| bound.to_bits()));
            }
            Self::Help { name, text: help } => {
                out.push(3);
                text(&mut out, name);
                text(&mut out, help);
            }
            Self::Series {
                family,
                block,
                first,
                began,
                labels,
            } => {
                out.push(4);
                out.extend(family.to_le_bytes());
                out.extend(block.to_le_bytes());
                out.extend(first.to_le_bytes());
                out.extend(began.to_le_bytes());
                length(&mut out, labels.len());
                for (name, value) in labels {
                    text(&mut out, name);
                    text(&mut out, value);
                }
            }
            Self::Page { block, page } => {
                out.push(5);
                out.extend(block.to_le_bytes());
                out.extend(page.to_le_bytes());
            }
            Self::Hidden {
                series,
                words: held,
            } => {
                out.push(6);
                out.extend(series.to_le_bytes());
                words(&mut out, held.iter().copied());
            }
            Self::Shown { series, began } => {
                out.push(7);
                out.extend(series.to_le_bytes());
                out.extend(began.to_le_bytes());
            }
            Self::Gone { series } => {
                out.push(8);
                out.extend(series.to_le_bytes());
            }
            Self::Across { family, across } => {
                out.extend([12, *across as u8]);
                out.extend(family.to_le_bytes());
            }
            Self::Note { key, text: said } => {
                out.push(13);
                text(&mut out, key);
                text(&mut out, said);
            }
            native => native.encode_native(&mut out),
        }
        let payload = out.len() - FRAME;
        if payload > MOST_BYTES {
            return None;
        }
        let sum = crc32fast::hash(&out[FRAME..]);
        let payload = u32::try_from(payload).ok()?;
        out[..4].copy_from_slice(&payload.to_le_bytes());
        out[4..FRAME].copy_from_slice(&sum.to_le_bytes());
        Some(out)
    }

    /// The payload of a record of native buckets.
    fn encode_native(&self, out: &mut Vec<u8>) {
        match self {
            Self::Native {
                family,
                schema,
                zero_threshold,
            } => {
                out.push(9);
                out.extend(family.to_le_bytes());
                out.extend(schema.to_le_bytes());
                out.extend(zero_threshold.to_le_bytes());
            }
            Self::Chunk {
                series,
                block,
                first,
                side,
                cells,
            } => {
                out.extend([10, *side as u8]);
                out.extend(series.to_le_bytes());
                out.extend(block.to_le_bytes());
                out.extend(first.to_le_bytes());
                length(out, cells.len());
                for Cell { index, bucket } in cells {
                    out.extend(index.to_le_bytes());
                    out.extend(bucket.to_le_bytes());
                }
            }
            Self::Held {
                series,
                block,
                first,
                words: held,
            } => {
                out.push(11);
                out.extend(series.to_le_bytes());
                out.extend(block.to_le_bytes());
                out.extend(first.to_le_bytes());
                words(out, held.iter().copied());
            }
            _ => {}
        }
    }

    /// Reads a payload; nothing if it is no record.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut rest = Rest(payload);
        let record = match rest.byte()? {
            1 => Self::Global {
                name: rest.text()?,
                value: rest.text()?,
            },
            2 => Self::Family {
                kind: *Kind::ALL.get(usize::from(rest.byte()?))?,
                decimals: rest.byte()?,
                name: rest.text()?,
                bounds: rest.words()?.into_iter().map(f64::from_bits).collect(),
            },
            3 => Self::Help {
                name: rest.text()?,
                text: rest.text()?,
            },
            4 => Self::Series {
                family: rest.number()?,
                block: rest.number()?,
                first: rest.short()?,
                began: u64::from_le_bytes(rest.take()?),
                labels: rest.labels()?,
            },
            5 => Self::Page {
                block: rest.number()?,
                page: rest.number()?,
            },
            6 => Self::Hidden {
                series: rest.number()?,
                words: rest.words()?,
            },
            7 => Self::Shown {
                series: rest.number()?,
                began: u64::from_le_bytes(rest.take()?),
            },
            8 => Self::Gone {
                series: rest.number()?,
            },
            9 => Self::Native {
                family: rest.number()?,
                schema: i32::from_le_bytes(rest.take()?),
                zero_threshold: f64::from_le_bytes(rest.take()?),
            },
            10 => Self::Chunk {
                side: *Side::ALL.get(usize::from(rest.byte()?))?,
                series: rest.number()?,
                block: rest.number()?,
                first: rest.short()?,
                cells: rest.cells()?,
            },
            11 => Self::Held {
                series: rest.number()?,
                block: rest.number()?,
                first: rest.short()?,
                words: rest.words()?,
            },
            12 => Self::Across {
                across: *Across::ALL.get(usize::from(rest.byte()?))?,
                family: rest.number()?,
            },
            13 => Self::Note {
                key: rest.text()?,
                text: rest.text()?,
            },
            _ => return None,
        };
        rest.0.is_empty().then_some(record)
    }
}

/// A count of what follows. One that does not fit belongs to a record that is too long in any case.
fn length(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend(text.as_bytes());
}

fn words(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = u64>) {
    length(out, words.len());
    words.for_each(|word| out.extend(word.to_le_bytes()));
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// A count of what takes at least so many bytes each, so that no number makes anybody reserve more than was read.
    fn length(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len() / each).then_some(count)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length(1)?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn words(&mut self) -> Option<Vec<u64>> {
        let length = self.length(8)?;
        (0..length)
            .map(|_| self.take().map(u64::from_le_bytes))
            .collect()
    }

    fn cells(&mut self) -> Option<Vec<Cell>> {
        let length = self.length(6)?;
        let mut cell = || {
            Some(Cell {
                index: i32::from_le_bytes(self.take()?),
                bucket: self.short()?,
            })
        };
        (0..length).map(|_| cell()).collect()
    }

    fn labels(&mut self) -> Option<Labels> {
        let length = self.length(8)?;
        (0..length)
            .map(|_| Some((self.text()?, self.text()?)))
            .collect()
    }
}
