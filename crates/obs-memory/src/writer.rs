//! The file as its writer has it.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU16;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, fcntl_lock, fstatfs};
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::fork::{is_forked, left};
use crate::heartbeat::{BEAT, LoopWords, TIMEOUT, declare};
use crate::layout::{ABANDONED, INCOMPLETE, LOOP_NAME_BYTES, LOOP_WORDS, LOOPS_AT, MOST_LOOPS};
use crate::layout::{CHUNK_BYTES, HEADER_BYTES, Header, INCOMPLETE_AT, LIMITS, PAGE_BYTES, u32_at};
pub(crate) use crate::page::monotonic_nanoseconds;
use crate::page::{Chunk, Page, at_fork};
use crate::record::{FRAME, MOST_BYTES, Record};
use crate::retire::retire;
use crate::totals::service;
use crate::{Folded, Heartbeat, HeartbeatOptions, MemoryError, Options};

/// How many files a process can record to. They stay mapped for as long as it lives.
const MOST_FILES: usize = 64;
/// How many files of earlier processes are kept beside the one of a path; older ones become part of the totals of their service.
const MOST_ASIDE: usize = 8;
/// The same of processes of one service whose files differ behind an `@` in their names.
const MOST_BESIDE: usize = 32;

static OPEN: [OnceLock<Open>; MOST_FILES] = [const { OnceLock::new() }; MOST_FILES];
/// Held while a file is opened.
static OPENING: Mutex<()> = Mutex::new(());

/// A file that this process records to. Copies are the same file, which stays mapped and locked until the process ends.
///
/// ```
/// use obs_memory::{Kind, Memory, Options, Reader, Record, Value};
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("desk.obs");
/// # let options = Options::default().any_file_system(true);
/// // `Options::default()` and a path such as /dev/shm/desk.obs.
/// let memory = Memory::create(&path, options)?;
/// memory.append(&Record::Family {
///     name: "orders_total".to_owned(),
///     kind: Kind::Counter,
///     decimals: 0,
///     bounds: Vec::new(),
/// });
/// let labels = vec![("side".to_owned(), "buy".to_owned())];
/// memory.append(&Record::Series { family: 0, block: 0, first: 7, began: 0, labels });
/// let page = memory.page(0).ok_or("no memory")?;
/// page[7].fetch_add(2, Relaxed);
///
/// let reading = Reader::open(&path)?.read()?;
/// assert!(reading.is_alive && reading.is_complete);
/// let orders = &reading.families[0];
/// assert_eq!(orders.series[0].value, Value::Counter { number: 2, decimals: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(NonZeroU16);

/// An open file.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// The device and the number of the file.
    identity: (u64, u64),
    header: Header,
    /// The header page, for what is stored there while it is mapped.
    head: Page,
    space: Mutex<Space>,
    /// How many families are in the directory, for a forked process, which cannot ask for the lock.
    families: AtomicU32,
    loops: Mutex<[Loop; MOST_LOOPS]>,
    /// The file of a process that is forked from the one that this file is of, once it has something to say; nothing where none can be made.
    child: OnceLock<Option<Box<Open>>>,
}

/// What is known of the loops that are watched, beside what the file says.
#[derive(Clone, Debug, Default)]
enum Loop {
    #[default]
    Free,
    /// It has a heartbeat.
    Watched(String),
    /// Its heartbeat was dropped by a panic, and stays armed until the loop is begun again.
    Abandoned(String),
}

/// How far the regions are used.
#[derive(Debug)]
struct Space {
    /// The next record's offset, and up to where the directory has memory.
    record: u64,
    reserved: u64,
    /// How many families and series there are.
    families: u32,
    series: u32,
    chunk: Option<Chunk>,
    /// How many pages are mapped and given out.
    mapped: u64,
    given: u32,
    /// Why something is not in the file.
    incomplete: Option<String>,
}

impl Memory {
    /// Makes the file of a path and maps it, for this process alone.
    ///
    /// A file that an ended process has left there is set aside under a name that begins with the path and ends in `.ended`; 8 of
    /// these are kept. Of processes whose files differ behind an `@` in their names, as `desk@17.obs` and `desk@18.obs`, the files of the
    /// last 32 that ended are kept. What older ones counted and observed is added up in `desk@totals.obs` ([`Folded`]), a name that no process
    /// may have for its own. What is no file of this crate, or of another edition, is set aside too, and stops nothing. The file can be read and
    /// written by its owner alone.
    ///
    /// No other code of the process may open the file and close it again: that would let go of the lock, as POSIX has it.
    ///
    /// # Errors
    ///
    /// [`MemoryError::InUse`] where a process that lives records to it, [`MemoryError::NotInMemory`] where the path is on a disk,
    /// [`MemoryError::Limit`] and [`MemoryError::TooMany`] beyond what can be had, and [`MemoryError::Io`] where the system refuses,
    /// as it does where there is no memory left: then it is best to go on without a file.
    pub fn create(path: &Path, options: Options) -> Result<Self, MemoryError> {
        if !LIMITS.contains(&options.limit) {
            return Err(MemoryError::Limit {
                limit: options.limit,
            });
        }
        let _one = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, slot) = OPEN
            .iter()
            .enumerate()
            .find(|(_, slot)| slot.get().is_none())
            .ok_or_else(|| MemoryError::TooMany {
                path: path.to_path_buf(),
                most: MOST_FILES,
            })?;
        follow_forks().map_err(failure("be told of forks for", path))?;
        let open = Open::create(path, options)?;
        let _ = slot.set(open);
        // By now it is known as one of our own.
        tidy(path);
        #[expect(clippy::cast_possible_truncation, reason = "one of 64")]
        let number = at as u16;
        Ok(Self(NonZeroU16::MIN.saturating_add(number)))
    }

    /// Another page of a block; nothing where there is no memory for it. Then [`incomplete`](Self::incomplete) says why.
    #[must_use]
    pub fn page(self, block: u32) -> Option<Page> {
        let open = self.open()?.of_this_process()?;
        let mut space = open.space();
        match open.page(&mut space, block) {
            Ok(page) => Some(page),
            Err(error) => {
                open.lose(&mut space, INCOMPLETE, error.to_string());
                None
            }
        }
    }

    /// Appends a record to the directory, and returns its number among those of its kind; nothing where there is no room. Without one, the
    /// file is incomplete, but for a [`Record::Note`]: that is said of the process, and nothing that was recorded.
    ///
    /// A [`Record::Gone`] has to be appended before the words of its series are used again. There is room kept for these; when
    /// that is used up too, the whole file is marked as one that says nothing.
    #[expect(
        clippy::must_use_candidate,
        reason = "that something is lost is kept for `incomplete`"
    )]
    pub fn append(self, record: &Record) -> Option<u32> {
        let open = self.open()?.of_this_process()?;
        let mut space = open.space();
        match open.append(&mut space, record) {
            Ok(number) => Some(number),
            Err(error) => {
                let mark = match record {
                    Record::Note { .. } => return None,
                    Record::Gone { .. } => ABANDONED,
                    _ => INCOMPLETE,
                };
                open.lose(&mut space, mark, error.to_string());
                None
            }
        }
    }

    /// The sign of life of a loop, by which a reader sees that it hangs; see [`Heartbeat`] for when it is watched.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Heartbeat`] where a loop of that name is watched already or 32 are, where the name is empty, longer than 40
    /// bytes or has a NUL, and where the time-out or the grace is out of its range.
    pub fn heartbeat(
        self,
        name: &str,
        options: HeartbeatOptions,
    ) -> Result<Heartbeat, MemoryError> {
        let Some(open) = self.open() else {
            return Ok(Heartbeat::unwatched());
        };
        let refused = |why| MemoryError::Heartbeat {
            path: open.path.clone(),
            name: name.to_owned(),
            why,
        };
        if open.is_inherited() {
            return Err(refused(
                "the file is that of the process that this one was forked from; give this one its own",
            ));
        }
        if name.is_empty() || name.len() > LOOP_NAME_BYTES || name.contains('\0') {
            return Err(refused("take a name of 1 to 40 bytes, none of them NUL"));
        }
        if !options.is_usable() {
            return Err(refused(
                "take a time-out of 50 ms to an hour, and a grace of an hour at most",
            ));
        }
        let mut loops = open.loops();
        let is_of_it = |one: &Loop| matches!(one, Loop::Watched(of) if of == name);
        if loops.iter().any(is_of_it) {
            return Err(refused(
                "there is a loop of that name already; give each its own name",
            ));
        }
        let was_left = |one: &Loop| matches!(one, Loop::Abandoned(of) if of == name);
        let is_free = |one: &Loop| matches!(one, Loop::Free);
        let at = loops
            .iter()
            .position(was_left)
            .or_else(|| loops.iter().position(is_free))
            .ok_or_else(|| refused("32 loops are watched already; watch those that matter"))?;
        loops[at] = Loop::Watched(name.to_owned());
        let words = open.loop_words(at);
        declare(words, name, options);
        Ok(Heartbeat::new(words, give_back))
    }

    /// Why something that was recorded is not in the file; nothing while all is.
    #[must_use]
    pub fn incomplete(self) -> Option<String> {
        let mut open = self.open()?;
        while open.is_inherited() {
            open = match open.child.get()? {
                Some(child) => child,
                None => {
                    return Some(
                        "no file can be made for this process, which was forked".to_owned(),
                    );
                }
            };
        }
        open.space().incomplete.clone()
    }

    /// Whether this process was forked from the one that made the file. What that had mapped can be recorded to, by whole additions to
    /// words that everybody adds to. New pages and records go to a file of this process, which is made with the first of them: beside the
    /// parent's, as `desk@4711.obs` beside `desk.obs`, with the same globals, notes and families, whose numbers stay the same.
    #[must_use]
    pub fn is_inherited(self) -> bool {
        self.open().is_some_and(Open::is_inherited)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(self) -> &'static Path {
        self.open().map_or(Path::new(""), |open| &open.path)
    }

    fn open(self) -> Option<&'static Open> {
        OPEN.get(usize::from(self.0.get()) - 1)?.get()
    }
}

impl Open {
    fn create(path: &Path, options: Options) -> Result<Self, MemoryError> {
        let failed = |action| failure(action, path);
        let file = take_over(path)?;
        if !options.any_file_system {
            /// `TMPFS_MAGIC` of `linux/magic.h`.
            const TMPFS: i128 = 0x0102_1994;
            let system = fstatfs(&file).map_err(|error| failed("look at")(error.into()))?;
            // Its type differs by processor.
            let kind = i128::from(system.f_type);
            if kind != TMPFS {
                let _ = std::fs::remove_file(path);
                return Err(MemoryError::NotInMemory {
                    path: path.to_path_buf(),
                });
            }
        }
        let header = Header::new(options.limit, now(), std::process::id());
        let begin = || -> io::Result<()> {
            file.set_len(options.limit)?;
            fallocate(&file, FallocateFlags::empty(), 0, HEADER_BYTES)?;
            file.write_all_at(&header.encode(), 0)
        };
        if let Err(error) = begin() {
            let _ = std::fs::remove_file(path);
            return Err(failed("reserve memory for")(error));
        }
        let metadata = file.metadata().map_err(failed("look at"))?;
        let head = Chunk::map(&file, 0, 1).and_then(|mut chunk| {
            let page = chunk.next();
            page.ok_or_else(|| io::Error::other("a chunk has no page"))
        });
        let head = head.map_err(|error| {
            let _ = std::fs::remove_file(path);
            failed("map")(error)
        })?;
        Ok(Self {
            head,
            loops: Mutex::default(),
            path: path.to_path_buf(),
            identity: (metadata.dev(), metadata.ino()),
            file,
            header,
            families: AtomicU32::new(0),
            child: OnceLock::new(),
            space: Mutex::new(Space {
                record: HEADER_BYTES,
                reserved: HEADER_BYTES,
                families: 0,
                series: 0,
                chunk: None,
                mapped: 0,
                given: 0,
                incomplete: None,
            }),
        })
    }

    /// Whether it was opened before this process was forked. Its locks are not touched then: a thread of the parent may hold them for ever.
    fn is_inherited(&self) -> bool {
        self.header.pid != std::process::id()
    }

    /// The file that this process appends to. A forked one makes its own when it has something to say; where it cannot, the file of its
    /// parent says that something is missing.
    fn of_this_process(&'static self) -> Option<&'static Self> {
        let mut open = self;
        while open.is_inherited() {
            let mut is_new = false;
            let child = open.child.get_or_init(|| {
                is_new = true;
                open.beside().ok().map(Box::new)
            });
            let Some(child) = child else {
                open.mark(INCOMPLETE);
                return None;
            };
            if is_new {
                // By now it is known as one of our own.
                tidy(&child.path);
            }
            open = child;
        }
        Some(open)
    }

    /// The same where it is made already.
    fn made(&'static self) -> Option<&'static Self> {
        let mut open = self;
        while open.is_inherited() {
            open = open.child.get()?.as_deref()?;
        }
        Some(open)
    }

    /// Makes the file of a process that was forked, with what was said to all of this one. Families keep their numbers: those that came after the
    /// fork are left out.
    fn beside(&self) -> Result<Self, MemoryError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}@{}.obs", service(&name), std::process::id());
        let options = Options::default()
            .limit(self.header.limit)
            .any_file_system(true);
        let open = Self::create(&self.path.with_file_name(name), options)?;
        let known = self.families.load(Relaxed);
        let mut families = 0;
        let mut space = open.space();
        for record in self.records() {
            let is_for_all = match &record {
                Record::Family { .. } => {
                    families += 1;
                    families <= known
                }
                Record::Across { family, .. } | Record::Native { family, .. } => *family < known,
                Record::Global { .. } | Record::Help { .. } | Record::Note { .. } => true,
                _ => false,
            };
            if is_for_all {
                open.append(&mut space, &record)
                    .map_err(failure("write", &open.path))?;
            }
        }
        drop(space);
        Ok(open)
    }

    /// The records of the directory, read from the file: what is known of it in memory may be locked.
    fn records(&self) -> impl Iterator<Item = Record> {
        let mut at = HEADER_BYTES;
        std::iter::from_fn(move || {
            let mut frame = [0; FRAME];
            self.file.read_exact_at(&mut frame, at).ok()?;
            let length = u32_at(&frame, 0) as usize;
            if length == 0 || length > MOST_BYTES {
                return None;
            }
            let mut payload = vec![0; length];
            self.file
                .read_exact_at(&mut payload, at + FRAME as u64)
                .ok()?;
            at += (FRAME + length) as u64;
            Record::decode(&payload)
        })
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loops(&self) -> MutexGuard<'_, [Loop; MOST_LOOPS]> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The words of a loop in the header page.
    fn loop_words(&self, at: usize) -> &LoopWords {
        let first = LOOPS_AT + at * LOOP_WORDS;
        &self.head[first..first + LOOP_WORDS]
    }

    fn page(&self, space: &mut Space, block: u32) -> io::Result<Page> {
        let page = match space.chunk.as_mut().and_then(Chunk::next) {
            Some(page) => page,
            None => self.grow(space)?,
        };
        // It is named in the directory before anybody has it, so that nothing is recorded that a reader would not look for.
        let number = space.given;
        space.given += 1;
        let record = Record::Page {
            block,
            page: number,
        };
        self.append(space, &record)?;
        Ok(page)
    }

    /// Maps another chunk and takes its first page.
    fn grow(&self, space: &mut Space) -> io::Result<Page> {
        let pages = CHUNK_BYTES / PAGE_BYTES;
        if space.mapped + pages > self.header.pages() {
            return Err(io::Error::other("its limit is reached"));
        }
        let offset = self.header.pages_at() + space.mapped * PAGE_BYTES;
        fallocate(&self.file, FallocateFlags::empty(), offset, CHUNK_BYTES)?;
        let mut chunk = Chunk::map(&self.file, offset, usize::try_from(pages).unwrap_or(0))?;
        let page = chunk.next();
        space.mapped += pages;
        space.chunk = Some(chunk);
        page.ok_or_else(|| io::Error::other("a chunk has no page"))
    }

    fn append(&self, space: &mut Space, record: &Record) -> io::Result<u32> {
        let bytes = record
            .encode()
            .ok_or_else(|| io::Error::other("a record is longer than 64 KiB"))?;
        let end = space.record + bytes.len() as u64;
        // The last chunk is for what has to be said.
        let kept = if matches!(record, Record::Gone { .. }) {
            0
        } else {
            CHUNK_BYTES
        };
        // A length of 0 behind the last record is its end.
        if end + FRAME as u64 > self.header.pages_at() - kept {
            return Err(io::Error::other("its directory is full"));
        }
        if end + FRAME as u64 > space.reserved {
            fallocate(
                &self.file,
                FallocateFlags::empty(),
                space.reserved,
                CHUNK_BYTES,
            )?;
            space.reserved += CHUNK_BYTES;
        }
        let (frame, payload) = bytes.split_at(FRAME);
        self.file
            .write_all_at(payload, space.record + FRAME as u64)?;
        self.file.write_all_at(frame, space.record)?;
        space.record = end;
        let count = match record {
            Record::Family { .. } => &mut space.families,
            Record::Series { .. } => &mut space.series,
            _ => return Ok(0),
        };
        let number = *count;
        *count += 1;
        self.families.store(space.families, Relaxed);
        Ok(number)
    }

    /// Notes that something is not in the file.
    fn lose(&self, space: &mut Space, mark: u64, why: String) {
        self.mark(mark);
        space.incomplete.get_or_insert(why);
    }

    /// Says in the file that something is not in it.
    fn mark(&self, mark: u64) {
        // The header has memory already.
        let _ = self.file.write_all_at(&mark.to_le_bytes(), INCOMPLETE_AT);
    }
}

/// Ends the watch of a loop, or leaves it as it is where the loop was ended by a panic.
fn give_back(words: &'static LoopWords, is_abandoned: bool) {
    // The loop is the parent's.
    if is_forked() {
        return;
    }
    let mut open = OPEN.iter().filter_map(OnceLock::get);
    let found = open.find_map(|open| {
        let is_it = |at: &usize| std::ptr::eq(open.loop_words(*at), words);
        Some((open, (0..MOST_LOOPS).find(is_it)?))
    });
    let Some((open, at)) = found else { return };
    let mut loops = open.loops();
    match std::mem::take(&mut loops[at]) {
        Loop::Watched(name) if is_abandoned => loops[at] = Loop::Abandoned(name),
        _ => {
            words[BEAT].store(0, Relaxed);
            words[TIMEOUT].store(0, Relaxed);
        }
    }
}

/// The file of a path, empty and locked. What was there is set aside.
fn take_over(path: &Path) -> Result<File, MemoryError> {
    let open = |new: bool| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(new)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
    };
    loop {
        if own(path).is_some() {
            return Err(MemoryError::InUse {
                path: path.to_path_buf(),
                pid: std::process::id(),
            });
        }
        let (file, is_new) = match open(true) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match open(false) {
                Ok(file) => (file, false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failure("open", path)(error)),
            },
            Err(error) => return Err(failure("create", path)(error)),
        };
        if fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(MemoryError::InUse {
                path: path.to_path_buf(),
                pid: holder(&file).unwrap_or(0),
            });
        }
        // Somebody else may have set it aside between opening and locking.
        let is_there = |metadata: &std::fs::Metadata| {
            std::fs::symlink_metadata(path)
                .is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()))
        };
        let metadata = file.metadata().map_err(failure("look at", path))?;
        if !is_there(&metadata) {
            continue;
        }
        if is_new || metadata.len() == 0 {
            return Ok(file);
        }
        set_aside(path, true).map_err(failure("set aside", path))?;
    }
}

/// Registers what is called in forked processes, once.
fn follow_forks() -> io::Result<()> {
    static FOLLOWED: AtomicBool = AtomicBool::new(false);
    // The caller holds `OPENING`.
    if !FOLLOWED.load(Relaxed) {
        at_fork(left)?;
        FOLLOWED.store(true, Relaxed);
    }
    Ok(())
}

/// Gives what an ended process has left another name, and removes the oldest of those. With `fold`, what they counted goes to the totals of
/// their service.
pub(crate) fn set_aside(path: &Path, fold: bool) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // As many digits as are enough for all times, so that names are in the order of time.
    let aside = path.with_file_name(format!("{name}.{:016}.ended", now()));
    std::fs::rename(path, aside)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let prefix = format!("{name}.");
    let is_aside = |entry: &PathBuf| {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let middle = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(".ended"));
        middle.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let entries = std::fs::read_dir(folder)?;
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_aside)
        .collect();
    found.sort_unstable();
    if fold {
        retire(&found, MOST_ASIDE);
        return Ok(());
    }
    let too_many = found.len().saturating_sub(MOST_ASIDE);
    found[..too_many].iter().try_for_each(std::fs::remove_file)
}

/// Removes the oldest files of ended processes of the same service, and adds what they counted to its totals.
fn tidy(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(folder) = path.parent() else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let prefix = format!("{}@", service(&name));
    let totals = Folded::path(path);
    let totals = totals.file_name().unwrap_or_default().to_string_lossy();
    let is_ended = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_file = name.ends_with(".obs") || name.ends_with(".ended");
        let is_one = name.starts_with(&prefix) && name.contains(".obs") && is_file;
        let is_one = is_one && !name.starts_with(&*totals);
        // Opening one of our own and closing it again would let go of its lock.
        is_one && own(path).is_none() && File::open(path).is_ok_and(|file| holder(&file).is_none())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let ended = entries.map(|entry| entry.path()).filter(is_ended);
    let mut ended: Vec<_> = ended
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    ended.sort_unstable();
    let ended: Vec<_> = ended.into_iter().map(|(_, path)| path).collect();
    retire(&ended, MOST_BESIDE);
}

fn failure<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> MemoryError + 'a {
    move |source| MemoryError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The file of a path if this process records to it. Opening it anew and closing that again would let go of the lock.
pub(crate) fn own(path: &Path) -> Option<&'static File> {
    let metadata = std::fs::metadata(path).ok()?;
    let identity = (metadata.dev(), metadata.ino());
    let open = OPEN.iter().filter_map(OnceLock::get);
    // A lock is not inherited by a fork, so that there is none to let go of.
    let mut own = open.filter_map(Open::made);
    own.find(|open| open.identity == identity)
        .map(|open| &open.file)
}

/// The process that holds the lock of a file, if there is one; 0 if it cannot be seen from here.
pub(crate) fn holder(file: &File) -> Option<u32> {
    let lock = fcntl_getlk(file, &Flock::from(FlockType::WriteLock)).ok()??;
    let pid = lock.pid.map_or(0, rustix::process::Pid::as_raw_pid);
    Some(u32::try_from(pid).unwrap_or(0))
}
