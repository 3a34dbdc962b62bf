//! Signs of life of a process' loops, in the header page of its file.
//!
//! A loop that is watched stores the time there whenever it goes round. A reader of the file sees the time stand still when the loop
//! hangs, waits for ever, or is dead together with its process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::time::Duration;

use crate::MemoryError;
use crate::fork::is_forked;
use crate::layout::{LOOP_NAME_BYTES, LOOP_WORDS, LOOPS_AT, MOST_LOOPS};
use crate::platform::monotonic_nanoseconds;
use crate::reader::{Source, read_up_to};

/// The time-outs and graces that a loop may have.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_secs(3600);

/// The words of one loop: when it beat last, its time-out and the end of its grace, in nanoseconds, and its name.
pub(crate) type LoopWords = [AtomicU64];
pub(crate) const BEAT: usize = 0;
pub(crate) const TIMEOUT: usize = 1;
pub(crate) const GRACE: usize = 2;
pub(crate) const NAME: usize = 3;
const _: () = assert!(NAME * 8 + LOOP_NAME_BYTES == LOOP_WORDS * 8);

/// What is declared of a watched loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it is taken by what makes a `Heartbeat`"]
pub struct HeartbeatOptions {
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
}

impl Default for HeartbeatOptions {
    /// A time-out of one second, and no grace.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            grace: Duration::ZERO,
        }
    }
}

impl HeartbeatOptions {
    /// How long the loop may go without a beat before it counts as hung: 50 ms to an hour, one second unless set.
    ///
    /// Take several times what the loop takes in the worst case, its waiting for events included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long after [`Heartbeat`] was made nothing counts as hung, for a start that takes its time: up to an hour, none unless set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Whether both are in range.
    pub(crate) fn is_usable(self) -> bool {
        TIMEOUTS.contains(&self.timeout) && self.grace <= *TIMEOUTS.end()
    }
}

/// The sign of life of one loop, which beats by itself: no thread does it in its place, which would go on beating when the loop hangs.
///
/// It is armed by its first beat. From then on the loop is watched, until it is [disarmed](Self::disarm) or dropped. A heartbeat that is
/// dropped by a panic stays armed, since its loop does not run any more; so does that of a process that is killed, or that exits without
/// dropping it.
///
/// Beating reads the clock and stores a word: some 20 ns, without a lock, a system call or an allocation.
#[derive(Debug)]
pub struct Heartbeat {
    words: Option<&'static LoopWords>,
    release: Option<GiveBack>,
}

/// Gives the words back.
type GiveBack = fn(&'static LoopWords, is_abandoned: bool);

impl Heartbeat {
    /// One that nobody sees: what a process without a file has.
    #[must_use]
    pub const fn unwatched() -> Self {
        Self {
            words: None,
            release: None,
        }
    }

    #[cfg_attr(
        not(all(target_os = "linux", feature = "map")),
        expect(dead_code, reason = "made by a writer")
    )]
    pub(crate) fn new(words: &'static LoopWords, release: GiveBack) -> Self {
        Self {
            words: Some(words),
            release: Some(release),
        }
    }

    /// Says that the loop goes round, and arms the watch if it is not.
    #[inline]
    pub fn beat(&self) {
        if let Some(words) = self.words() {
            words[BEAT].store(monotonic_nanoseconds(), Relaxed);
        }
    }

    /// Says that the loop is not to be watched until it beats again: before it waits for long on purpose, and before a planned end.
    #[inline]
    pub fn disarm(&self) {
        if let Some(words) = self.words() {
            words[BEAT].store(0, Relaxed);
        }
    }

    /// Whether there is a file in which a reader sees it. A forked process has none: the loop is its parent's.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.words().is_some()
    }

    #[inline]
    fn words(&self) -> Option<&'static LoopWords> {
        self.words.filter(|_| !is_forked())
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        if let (Some(words), Some(release)) = (self.words, self.release) {
            release(words, std::thread::panicking());
        }
    }
}

/// Writes what is declared of a loop. The time-out comes last: a loop without one is none.
pub(crate) fn declare(words: &LoopWords, name: &str, options: HeartbeatOptions) {
    let mut bytes = [0; LOOP_NAME_BYTES];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    for (word, bytes) in words[NAME..].iter().zip(bytes.chunks_exact(8)) {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(number), Relaxed);
    }
    let grace = monotonic_nanoseconds().saturating_add(nanoseconds(options.grace));
    words[GRACE].store(grace, Relaxed);
    words[BEAT].store(0, Relaxed);
    words[TIMEOUT].store(nanoseconds(options.timeout), Release);
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a file says of one loop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopReading {
    /// Its name.
    pub name: String,
    /// When it beat last, by [`Heartbeats::now`]; nothing while it is not armed.
    pub beat: Option<u64>,
    /// How long it may go without a beat.
    pub timeout: Duration,
    /// Before this moment nothing counts as hung, by [`Heartbeats::now`].
    pub grace_until: u64,
}

/// Reads the signs of life in a file, by `pread` of its header page and nothing else. So they can be read many times a second.
///
/// ```
/// use obs_memory::{Heartbeats, Memory, Options, HeartbeatOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("desk.obs");
/// # let options = Options::default().any_file_system(true);
/// let memory = Memory::create(&path, options)?;
/// let quotes = memory.heartbeat("quotes", HeartbeatOptions::default())?;
/// quotes.beat();
///
/// let loops = Heartbeats::open(&path)?.read()?;
/// assert_eq!(loops[0].name, "quotes");
/// assert!(loops[0].beat.is_some_and(|beat| beat <= Heartbeats::now()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Heartbeats {
    path: PathBuf,
    file: Source,
    began: u64,
    pid: u32,
}

impl Heartbeats {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::open`](crate::Reader::open), but for what is wrong with its directory.
    pub fn open(path: &Path) -> Result<Self, MemoryError> {
        let (file, header) = Source::open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            began: header.began,
            pid: header.pid,
        })
    }

    /// Nanoseconds of the clock that loops beat by. It is that of all processes of a machine, and stands still while the machine is
    /// suspended.
    #[must_use]
    pub fn now() -> u64 {
        monotonic_nanoseconds()
    }

    /// What each loop of the process has said last. Names that are no text are left out.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Truncated`] where the header page is not whole, and [`MemoryError::Io`].
    pub fn read(&self) -> Result<Vec<LoopReading>, MemoryError> {
        let mut bytes = [0; MOST_LOOPS * LOOP_WORDS * 8];
        if read_up_to(
            self.file.file(),
            &self.path,
            &mut bytes,
            LOOPS_AT as u64 * 8,
        )? < bytes.len()
        {
            return Err(MemoryError::Truncated {
                path: self.path.clone(),
            });
        }
        let loops = bytes.chunks_exact(LOOP_WORDS * 8);
        Ok(loops.filter_map(read_loop).collect())
    }

    /// Whether the process lives; see [`Reader::is_alive`](crate::Reader::is_alive).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.file.is_alive()
    }

    /// When the process began the file, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The number that the process has, or had.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

fn read_loop(bytes: &[u8]) -> Option<LoopReading> {
    let word = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
        u64::from_ne_bytes(number)
    };
    let timeout = word(TIMEOUT);
    if timeout == 0 {
        return None;
    }
    let name = &bytes[NAME * 8..];
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    let name = std::str::from_utf8(&name[..end]).ok()?;
    Some(LoopReading {
        name: name.to_owned(),
        beat: Some(word(BEAT)).filter(|beat| *beat != 0),
        timeout: Duration::from_nanos(timeout),
        grace_until: word(GRACE),
    })
}
