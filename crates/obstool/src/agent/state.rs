//! What an agent that pushes differences keeps for the one after it: what was sent, of which files, and what still waits.
//!
//! The file is a head, `obs-push` with a version, a length and a check sum, and a message of protobuf. It is written beside itself and
//! renamed, so that it is whole whenever the agent is killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use obs_memory::{Across, FamilyTotals, FileId, Kind, NativeBuckets, SeriesTotals, Totals, Value};
use prost::Message;

use super::watch::{Counted, Kept, Remembered};
use crate::Error;

const MAGIC: &[u8; 8] = b"obs-push";
/// Raised with every change of what follows.
const VERSION: u32 = 1;
/// Magic, version, check sum and length.
const HEAD: usize = 8 + 4 + 4 + 8;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct State {
    /// When everything was collected last, in nanoseconds since 1970.
    pub(super) collected: u64,
    /// What the files held then.
    pub(super) remembered: Remembered,
    /// Requests that no receiver has taken yet.
    pub(super) waiting: Vec<Bytes>,
}

/// The file of one agent, for as long as this is there.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    _lock: File,
}

/// What an agent before this one has left.
#[derive(Debug)]
pub(super) enum Left {
    /// Nothing: there was none.
    Nothing,
    State(Box<State>),
    /// What cannot be read, and why.
    Unreadable(&'static str),
}

impl Store {
    /// Takes a file, and reads what is in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Left), Error> {
        let failed = |source| Error::State {
            path: path.to_path_buf(),
            source,
        };
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(path, ".lock"))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| {
            failed(match error {
                std::fs::TryLockError::Error(error) => error,
                std::fs::TryLockError::WouldBlock => io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another agent keeps its own there",
                ),
            })
        })?;
        let left = match std::fs::read(path) {
            Ok(bytes) => {
                decode(&bytes).map_or_else(Left::Unreadable, |state| Left::State(Box::new(state)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Left::Nothing,
            Err(error) => return Err(failed(error)),
        };
        let store = Self {
            path: path.to_path_buf(),
            _lock: lock,
        };
        // Whether it can be written is known now, and not when something was sent.
        match &left {
            Left::State(state) => store.write(state),
            _ => store.try_to_write(),
        }
        .map_err(failed)?;
        Ok((store, left))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn try_to_write(&self) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        Self::create(&new)?;
        std::fs::remove_file(new)
    }

    fn create(new: &Path) -> io::Result<File> {
        let removed = std::fs::remove_file(new);
        removed.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(new)
    }

    /// Puts a state in the place of the one that is there.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let mut file = Self::create(&new)?;
        let written = file.write_all(&encode(state)).and_then(|()| {
            // On a disk it is there before its name is.
            file.sync_all()?;
            std::fs::rename(&new, &self.path)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn encode(state: &State) -> Vec<u8> {
    let message = StateMessage::from(state).encode_to_vec();
    let mut bytes = Vec::with_capacity(HEAD + message.len());
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32fast::hash(&message).to_le_bytes());
    bytes.extend((message.len() as u64).to_le_bytes());
    bytes.extend(message);
    bytes
}

fn decode(bytes: &[u8]) -> Result<State, &'static str> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it is none that an agent wrote")?;
    let (version, rest) = rest.split_first_chunk().ok_or("it is cut off")?;
    if u32::from_le_bytes(*version) != VERSION {
        return Err("an agent of another edition wrote it");
    }
    let (sum, rest) = rest.split_first_chunk().ok_or("it is cut off")?;
    let (length, message) = rest.split_first_chunk().ok_or("it is cut off")?;
    if u64::from_le_bytes(*length) != message.len() as u64 {
        return Err("it is cut off");
    }
    if u32::from_le_bytes(*sum) != crc32fast::hash(message) {
        return Err("it does not match its check sum");
    }
    StateMessage::decode(message)
        .ok()
        .and_then(StateMessage::into_state)
        .ok_or("it is not as agents write it")
}

#[derive(Clone, PartialEq, Message)]
struct StateMessage {
    #[prost(uint64, tag = "1")]
    collected: u64,
    #[prost(message, repeated, tag = "2")]
    gone: Vec<FamilyMessage>,
    #[prost(message, repeated, tag = "3")]
    files: Vec<FileMessage>,
    #[prost(message, repeated, tag = "4")]
    kept: Vec<KeptMessage>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    waiting: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct FileMessage {
    #[prost(uint64, tag = "1")]
    inode: u64,
    #[prost(uint64, tag = "2")]
    began: u64,
    #[prost(uint32, tag = "3")]
    pid: u32,
    #[prost(bytes = "vec", tag = "4")]
    totals: Vec<u8>,
    #[prost(message, repeated, tag = "5")]
    sum: Vec<FamilyMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct KeptMessage {
    #[prost(bytes = "vec", tag = "1")]
    path: Vec<u8>,
    #[prost(uint64, tag = "2")]
    count: u64,
    #[prost(message, repeated, tag = "3")]
    sum: Vec<FamilyMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct FamilyMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    kind: u32,
    #[prost(string, tag = "3")]
    help: String,
    #[prost(double, repeated, tag = "4")]
    bounds: Vec<f64>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<SeriesMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesMessage {
    /// Names and values in turn.
    #[prost(string, repeated, tag = "1")]
    labels: Vec<String>,
    #[prost(uint64, tag = "2")]
    began: u64,
    /// The digits of a counter, or how many observations a summary has.
    #[prost(uint64, tag = "3")]
    number: u64,
    #[prost(uint32, tag = "4")]
    decimals: u32,
    #[prost(uint64, repeated, tag = "5")]
    buckets: Vec<u64>,
    #[prost(double, tag = "6")]
    sum: f64,
    #[prost(message, optional, tag = "7")]
    native: Option<NativeMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct NativeMessage {
    #[prost(sint32, tag = "1")]
    schema: i32,
    #[prost(double, tag = "2")]
    zero_threshold: f64,
    #[prost(uint64, tag = "3")]
    zero_count: u64,
    #[prost(btree_map = "sint32, uint64", tag = "4")]
    negative: BTreeMap<i32, u64>,
    #[prost(btree_map = "sint32, uint64", tag = "5")]
    positive: BTreeMap<i32, u64>,
}

/// The kinds that are kept. A gauge is what it is at a moment.
const KINDS: [Kind; 3] = [Kind::Counter, Kind::Histogram, Kind::Summary];

impl From<&State> for StateMessage {
    fn from(state: &State) -> Self {
        let Remembered { gone, files, kept } = &state.remembered;
        Self {
            collected: state.collected,
            gone: families(gone),
            files: files
                .iter()
                .map(|file| FileMessage {
                    inode: file.id.inode,
                    began: file.id.began,
                    pid: file.id.pid,
                    totals: file.totals.as_os_str().as_bytes().to_vec(),
                    sum: families(&file.sum),
                })
                .collect(),
            kept: kept
                .iter()
                .map(|(path, kept)| KeptMessage {
                    path: path.as_os_str().as_bytes().to_vec(),
                    count: kept.count,
                    sum: families(&kept.sum),
                })
                .collect(),
            waiting: state.waiting.clone(),
        }
    }
}

fn families(totals: &Totals) -> Vec<FamilyMessage> {
    let kept = totals.families.iter().filter_map(|(name, family)| {
        let kind = KINDS.iter().position(|kind| *kind == family.kind)?;
        Some(FamilyMessage {
            name: name.clone(),
            kind: u32::try_from(kind).ok()?,
            help: family.help.clone(),
            bounds: family.bounds.clone(),
            series: family.series.iter().filter_map(series).collect(),
        })
    });
    kept.collect()
}

fn series((labels, series): (&obs_memory::Labels, &SeriesTotals)) -> Option<SeriesMessage> {
    let labels = labels.iter().cloned();
    let mut message = SeriesMessage {
        labels: labels.flat_map(|(name, value)| [name, value]).collect(),
        began: series.began,
        native: series.native.as_ref().map(|native| NativeMessage {
            schema: native.schema,
            zero_threshold: native.zero_threshold,
            zero_count: native.zero_count,
            negative: native.negative.clone(),
            positive: native.positive.clone(),
        }),
        ..SeriesMessage::default()
    };
    match &series.value {
        Value::Counter { number, decimals } => {
            (message.number, message.decimals) = (*number, (*decimals).into());
        }
        Value::Histogram { buckets, sum } => {
            message.buckets.clone_from(buckets);
            message.sum = *sum;
        }
        Value::Summary { count, sum } => (message.number, message.sum) = (*count, *sum),
        _ => return None,
    }
    Some(message)
}

impl StateMessage {
    fn into_state(self) -> Option<State> {
        let path = |bytes| PathBuf::from(OsString::from_vec(bytes));
        let files = self.files.into_iter().map(|file| {
            Some(Counted {
                id: FileId {
                    inode: file.inode,
                    began: file.began,
                    pid: file.pid,
                },
                totals: path(file.totals),
                sum: totals(file.sum)?,
            })
        });
        let kept = self.kept.into_iter().map(|kept| {
            let sum = totals(kept.sum)?;
            Some((path(kept.path), Kept::remembered(sum, kept.count)))
        });
        Some(State {
            collected: self.collected,
            remembered: Remembered {
                gone: totals(self.gone)?,
                files: files.collect::<Option<_>>()?,
                kept: kept.collect::<Option<_>>()?,
            },
            waiting: self.waiting,
        })
    }
}

fn totals(families: Vec<FamilyMessage>) -> Option<Totals> {
    let mut totals = Totals::default();
    for family in families {
        let kind = *KINDS.get(usize::try_from(family.kind).ok()?)?;
        let series = family
            .series
            .into_iter()
            .map(|series| series.into_totals(kind));
        let of = FamilyTotals {
            kind,
            help: family.help,
            bounds: family.bounds,
            across: Across::default(),
            series: series.collect::<Option<_>>()?,
        };
        totals.families.insert(family.name, of);
    }
    Some(totals)
}

impl SeriesMessage {
    fn into_totals(self, kind: Kind) -> Option<(obs_memory::Labels, SeriesTotals)> {
        let mut labels = obs_memory::Labels::new();
        let mut texts = self.labels.into_iter();
        while let Some(name) = texts.next() {
            labels.push((name, texts.next()?));
        }
        let value = match kind {
            Kind::Counter => Value::Counter {
                number: self.number,
                decimals: u8::try_from(self.decimals).ok()?,
            },
            Kind::Histogram => Value::Histogram {
                buckets: self.buckets,
                sum: self.sum,
            },
            Kind::Summary => Value::Summary {
                count: self.number,
                sum: self.sum,
            },
            Kind::Gauge => return None,
        };
        let native = self.native.map(|message| {
            let mut native = NativeBuckets::new(message.schema, message.zero_threshold);
            native.zero_count = message.zero_count;
            native.negative = message.negative;
            native.positive = message.positive;
            native
        });
        let began = self.began;
        Some((
            labels,
            SeriesTotals {
                began,
                value,
                native,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let mut native = NativeBuckets::new(3, 1e-9);
        native.zero_count = 1;
        native.positive = [(-3, 2)].into();
        let one = |kind, value, native| FamilyTotals {
            kind,
            help: "Help.".to_owned(),
            bounds: vec![0.5],
            across: Across::default(),
            series: [(
                vec![("process".to_owned(), "desk".to_owned())],
                SeriesTotals {
                    began: 7,
                    value,
                    native,
                },
            )]
            .into(),
        };
        let counter = Value::Counter {
            number: u64::MAX,
            decimals: 9,
        };
        let histogram = Value::Histogram {
            buckets: vec![1, 2],
            sum: 0.1 + 0.2,
        };
        let summary = Value::Summary {
            count: 3,
            sum: -1.5,
        };
        let mut gone = Totals::default();
        gone.families = [
            ("a".to_owned(), one(Kind::Counter, counter, None)),
            (
                "b".to_owned(),
                one(Kind::Histogram, histogram, Some(native)),
            ),
            ("c".to_owned(), one(Kind::Summary, summary, None)),
        ]
        .into();
        let path = PathBuf::from("/dev/shm/desk@totals.obs");
        let id = FileId {
            inode: 1,
            began: 2,
            pid: 3,
        };
        State {
            collected: 5,
            remembered: Remembered {
                files: vec![Counted {
                    id,
                    totals: path.clone(),
                    sum: gone.clone(),
                }],
                kept: [(path, Kept::remembered(gone.clone(), 4))].into(),
                gone,
            },
            waiting: vec![Bytes::from_static(b"a request")],
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let bytes = encode(&state());
        let read = decode(&bytes).unwrap();
        assert_eq!(encode(&read), bytes);
        assert_eq!(read.remembered.gone, state().remembered.gone);
        assert_eq!(read.remembered.files[0].sum, state().remembered.gone);
        assert_eq!((read.collected, read.waiting), (5, state().waiting));
    }

    #[test]
    fn what_is_torn_or_foreign_is_refused() {
        let bytes = encode(&state());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "{at}");
        }
        let mut later = bytes.clone();
        later[8] += 1;
        assert_eq!(
            decode(&later).err(),
            Some("an agent of another edition wrote it")
        );
        assert_eq!(
            decode(b"something else").err(),
            Some("it is none that an agent wrote")
        );
    }

    #[test]
    fn two_agents_have_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (store, left) = Store::open(&path).unwrap();
        assert!(matches!(left, Left::Nothing));
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(error.contains("another agent"), "{error}");
        store.write(&state()).unwrap();
        drop(store);
        let (store, left) = Store::open(&path).unwrap();
        assert!(matches!(left, Left::State(state) if state.collected == 5));
        drop(store);
        std::fs::write(&path, "").unwrap();
        let (_, left) = Store::open(&path).unwrap();
        assert!(matches!(left, Left::Unreadable(_)));
        assert!(Store::open(&folder.path().join("nowhere/state")).is_err());
    }
}
