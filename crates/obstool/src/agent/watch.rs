//! The files that are watched, and what they show together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use obs_memory::{FamilyTotals, FileId, Folded, MemoryError, Reader, Reading, Totals};

#[cfg(feature = "push")]
use super::families::ReceiverName;

/// The device and the number of a file: it keeps them when it is set aside under another name.
pub(super) type Identity = (u64, u64);

/// How many names of processes there may be. Those of others are added up as `other`: totals stay for as long as this program runs.
const MOST_NAMES: usize = 500;

/// All files, and what those counted that are gone.
#[derive(Debug)]
pub(super) struct Watched {
    places: Vec<PathBuf>,
    keep: Duration,
    open: HashMap<Identity, Process>,
    /// What processes counted that have been dead for long enough, for as long as their files are there.
    counted: HashMap<Identity, Counted>,
    /// What an agent before this one read of files, until this one has read them.
    restored: Vec<Counted>,
    /// The files of totals by their paths, in which processes that start keep what those counted whose files they remove.
    kept: BTreeMap<PathBuf, Kept>,
    /// What those counted whose files are gone, and that is kept nowhere else.
    gone: Totals,
    processes: BTreeMap<String, Counts>,
    /// What the latest process of each name says of itself.
    notes: BTreeMap<String, Notes>,
    /// What is added to everything of the latest process of each name.
    globals: BTreeMap<String, BTreeMap<String, String>>,
    /// How many pushes each receiver did not take.
    push_failures: BTreeMap<&'static str, u64>,
    /// When this began, in milliseconds since 1970.
    since: u64,
}

/// What a process says of itself, by what it is about.
pub(super) type Notes = Arc<BTreeMap<String, String>>;

/// One file.
#[derive(Debug)]
struct Process {
    name: String,
    /// Where the totals of its service are kept.
    totals: PathBuf,
    reader: Reader,
    /// What was read last.
    last: Option<Reading>,
    dead_since: Option<Instant>,
}

/// What the process of a file counted and observed.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) id: FileId,
    /// Where the totals of its service are kept.
    pub(super) totals: PathBuf,
    pub(super) sum: Totals,
}

/// What a file of totals holds.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) sum: Totals,
    /// How many files it counts.
    pub(super) count: u64,
    /// Those of them that may still be there.
    named: HashSet<FileId>,
    /// Whether more were added since the last look than are named.
    is_ahead: bool,
}

/// What has to be known of files to go on after them.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) gone: Totals,
    pub(super) files: Vec<Counted>,
    pub(super) kept: BTreeMap<PathBuf, Kept>,
}

/// How many processes of a name there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) alive: usize,
    pub(super) dead: usize,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) families: Families,
    pub(super) processes: BTreeMap<String, Counts>,
    /// What the latest process of each name says of itself.
    pub(super) notes: BTreeMap<String, Notes>,
    /// The labels of everything that the latest process of each name shows, such as its service, environment and mode.
    pub(super) globals: BTreeMap<String, BTreeMap<String, String>>,
    /// Files that were refused, with the reason.
    pub(super) refused: Vec<String>,
    /// Processes that live and have recorded something that is not in their files.
    pub(super) incomplete: Vec<String>,
    /// How many pushes each receiver did not take, of those that are pushed to.
    pub(super) push_failures: BTreeMap<&'static str, u64>,
    /// When the agent began, in milliseconds since 1970.
    pub(super) since: u64,
}

/// Families by name.
pub(super) type Families = BTreeMap<String, Family>;
pub(super) type Family = FamilyTotals;

impl Watched {
    /// Watches these places, and goes on where another agent ended.
    pub(super) fn new(places: Vec<PathBuf>, keep: Duration, remembered: Remembered) -> Self {
        Self {
            places,
            keep,
            open: HashMap::new(),
            counted: HashMap::new(),
            restored: remembered.files,
            kept: remembered.kept,
            gone: remembered.gone,
            processes: BTreeMap::new(),
            notes: BTreeMap::new(),
            globals: BTreeMap::new(),
            push_failures: BTreeMap::new(),
            since: now(),
        }
    }

    /// Counts so many pushes that a receiver did not take; 0 makes the receiver known.
    #[cfg(feature = "push")]
    pub(super) fn push_failed(&mut self, receiver: ReceiverName, times: u64) {
        let name = obs_core::Closed::as_str(receiver);
        *self.push_failures.entry(name).or_default() += times;
    }

    /// Reads all files.
    pub(super) fn look(&mut self) -> Look {
        let mut refused = Vec::new();
        let found = self.find(&mut refused);
        let now = Instant::now();
        self.processes
            .values_mut()
            .for_each(|counts| *counts = Counts::default());
        for process in self.open.values_mut() {
            // What was there before a file was spoilt stays, so that totals do not fall.
            match process.reader.read() {
                Ok(reading) => process.take(reading, now),
                Err(error) => {
                    process.dead_since.get_or_insert(now);
                    refused.push(error.to_string());
                }
            }
        }
        // After the files that they count: what is removed meanwhile is named in them.
        self.read_totals(found.totals, &mut refused);
        self.settle(&found.there, found.replaced, now);
        // Gauges of younger processes overrule those of older ones.
        let mut counts = std::mem::take(&mut self.processes);
        let mut processes: Vec<_> = self.own().collect();
        processes.sort_by_key(|process| process.rank());
        let (mut globals, mut notes) = (BTreeMap::new(), BTreeMap::new());
        for process in &processes {
            let counts = counts.entry(process.name.clone()).or_default();
            let of = if process.dead_since.is_none() {
                &mut counts.alive
            } else {
                &mut counts.dead
            };
            *of += 1;
            let Some(reading) = &process.last else {
                continue;
            };
            globals.insert(process.name.clone(), reading.globals.clone());
            if !reading.notes.is_empty() {
                notes.insert(process.name.clone(), Arc::clone(&reading.notes));
            }
        }
        let mut families = self.without_open();
        let mut incomplete = Vec::new();
        for process in processes {
            // What a dead one believed is of interest until another one knows better.
            let is_alive = process.dead_since.is_none();
            let gauges = is_alive || counts[&process.name].alive == 0;
            process.add_to(&mut families, gauges);
            let is_complete = |last: &Reading| last.is_complete;
            if is_alive && !process.last.as_ref().is_none_or(is_complete) {
                incomplete.push(process.name.clone());
            }
        }
        self.processes = counts;
        self.globals.extend(globals);
        self.notes.extend(notes);
        Look {
            families: families.families,
            processes: self.processes.clone(),
            notes: self.notes.clone(),
            globals: self.globals.clone(),
            refused,
            incomplete,
            push_failures: self.push_failures.clone(),
            since: self.since,
        }
    }

    /// What an agent has to know that goes on after the last look.
    #[cfg(feature = "push")]
    pub(super) fn remembered(&self) -> Remembered {
        let of_open = self.own().map(|process| {
            let mut sum = Totals::default();
            process.add_to(&mut sum, false);
            Counted {
                id: process.reader.id(),
                totals: process.totals.clone(),
                sum,
            }
        });
        let others = self.counted.values().chain(&self.restored);
        let others = others.filter(|file| !self.is_in_totals(&file.totals, file.id));
        Remembered {
            gone: self.gone.clone(),
            files: of_open.chain(others.cloned()).collect(),
            kept: self.kept.clone(),
        }
    }

    /// The processes whose numbers are in their files alone.
    fn own(&self) -> impl Iterator<Item = &Process> {
        let is_own = |process: &&Process| !self.is_in_totals(&process.totals, process.reader.id());
        self.open.values().filter(is_own)
    }

    /// What was counted by all but those whose files are open.
    fn without_open(&self) -> Totals {
        let mut sum = self.gone.clone();
        self.kept.values().for_each(|kept| sum.merge(&kept.sum));
        for file in self.counted.values().chain(&self.restored) {
            if !self.is_in_totals(&file.totals, file.id) {
                sum.merge(&file.sum);
            }
        }
        sum
    }

    /// Whether the totals of its service have what a file counted. Both are there where the process was killed that would remove it.
    fn is_in_totals(&self, totals: &Path, id: FileId) -> bool {
        let kept = self.kept.get(totals);
        kept.is_some_and(|kept| kept.named.contains(&id))
    }

    /// Opens files that are new.
    fn find(&mut self, refused: &mut Vec<String>) -> Found {
        let mut found = Found::default();
        let paths: Vec<_> = self.places.iter().flat_map(|place| files(place)).collect();
        for path in paths {
            if Folded::is_path(&path) {
                found.totals.insert(path);
                continue;
            }
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let identity = (metadata.dev(), metadata.ino());
            found.there.insert(identity);
            if self.open.contains_key(&identity) {
                continue;
            }
            if let Some(file) = self.counted.get(&identity) {
                if FileId::at(&path).is_ok_and(|id| id != file.id) {
                    // Numbers of files come again, but of those that are open.
                    found.replaced.extend(self.counted.remove(&identity));
                } else {
                    continue;
                }
            }
            match Reader::open(&path) {
                Ok(reader) => {
                    // Another may have taken its place since.
                    let identity = (metadata.dev(), reader.id().inode);
                    found.there.insert(identity);
                    if self.open.contains_key(&identity) || self.counted.contains_key(&identity) {
                        continue;
                    }
                    let process = Process {
                        name: self.admitted(name_of(&path)),
                        totals: Folded::path(&path),
                        reader,
                        last: None,
                        dead_since: None,
                    };
                    self.open.insert(identity, process);
                }
                // It is being made.
                Err(MemoryError::Foreign { .. }) if metadata.len() == 0 => {}
                // It was removed meanwhile.
                Err(MemoryError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => refused.push(error.to_string()),
            }
        }
        found
    }

    /// The name, or `other` where there are as many as may be.
    fn admitted(&mut self, name: String) -> String {
        let is_new = !self.processes.contains_key(&name);
        let name = if is_new && self.processes.len() >= MOST_NAMES {
            "other".to_owned()
        } else {
            name
        };
        self.processes.entry(name.clone()).or_default();
        name
    }

    /// Reads the files of totals: those that were found, and those of all services that are known, since a folder that is read while
    /// files are removed shows neither for sure.
    fn read_totals(&mut self, mut paths: BTreeSet<PathBuf>, refused: &mut Vec<String>) {
        let open = self.open.values().map(|process| &process.totals);
        let others = self.counted.values().chain(&self.restored);
        let others = others.map(|file| &file.totals);
        paths.extend(open.chain(others).chain(self.kept.keys()).cloned());
        for path in paths {
            let read = Reader::open(&path).and_then(|mut reader| reader.read());
            let read = read.and_then(|reading| match reading.folded.clone() {
                Some(folded) => Ok((reading, folded)),
                None => Err(MemoryError::Foreign { path: path.clone() }),
            });
            match read {
                Ok((reading, folded)) => self.keep(path, &reading, folded),
                Err(MemoryError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    // Somebody has removed it; totals do not fall.
                    if let Some(kept) = self.kept.remove(&path) {
                        self.gone.merge(&kept.sum);
                    }
                }
                Err(error) => refused.push(error.to_string()),
            }
        }
    }

    fn keep(&mut self, path: PathBuf, reading: &Reading, folded: Folded) {
        let name = self.admitted(name_of(&path));
        let mut sum = Totals::default();
        sum.add(reading, &[("process", &name)], false);
        let before = self.kept.remove(&path);
        // It was removed, and begun anew.
        let before = before.filter(|before| {
            let is_before = before.count <= folded.count;
            if !is_before {
                self.gone.merge(&before.sum);
            }
            is_before
        });
        let added = folded.count - before.map_or(0, |before| before.count);
        let kept = Kept {
            sum,
            count: folded.count,
            is_ahead: added > folded.files.len() as u64,
            named: folded.files.into_iter().collect(),
        };
        self.kept.insert(path, kept);
    }

    /// Decides about files that are gone, and about processes that have been dead for long enough.
    fn settle(&mut self, there: &HashSet<Identity>, mut gone: Vec<Counted>, now: Instant) {
        let keep = self.keep;
        let is_over = |_: &Identity, process: &mut Process| {
            process
                .dead_since
                .is_some_and(|since| now.duration_since(since) >= keep)
        };
        let over: Vec<_> = self.open.extract_if(is_over).collect();
        for (identity, process) in over {
            let mut sum = Totals::default();
            process.add_to(&mut sum, false);
            let counted = Counted {
                id: process.reader.id(),
                totals: process.totals,
                sum,
            };
            self.counted.insert(identity, counted);
        }
        // A file that was removed by hand is in no other; one that another process has removed is in the totals.
        let kept = &self.kept;
        let is_kept = |totals: &Path, id: FileId| {
            let kept = kept.get(totals);
            kept.is_some_and(|kept| kept.is_ahead || kept.named.contains(&id))
        };
        let is_gone = |identity: &Identity| !there.contains(identity);
        self.open.retain(|identity, process| {
            !(is_gone(identity) && is_kept(&process.totals, process.reader.id()))
        });
        let counted = self.counted.extract_if(|identity, _| is_gone(identity));
        gone.extend(counted.map(|(_, file)| file));
        if !self.restored.is_empty() {
            let is_read = |process: &&Process| process.last.is_some();
            let open = self.open.values().filter(is_read);
            let mut read: HashSet<_> = open.map(|process| process.reader.id()).collect();
            read.extend(self.counted.values().map(|file| file.id));
            // What was read again need not be remembered. A file that cannot be read is there all the same.
            self.restored.retain(|file| !read.contains(&file.id));
            let inodes: HashSet<_> = there.iter().map(|(_, inode)| *inode).collect();
            let is_gone = |file: &mut Counted| !inodes.contains(&file.id.inode);
            gone.extend(self.restored.extract_if(.., is_gone));
        }
        for file in gone {
            if !is_kept(&file.totals, file.id) {
                self.gone.merge(&file.sum);
            }
        }
    }
}

#[cfg(feature = "push")]
impl Kept {
    /// What an agent before this one read there, of so many files.
    pub(super) fn remembered(sum: Totals, count: u64) -> Self {
        Self {
            sum,
            count,
            named: HashSet::new(),
            is_ahead: false,
        }
    }
}

#[cfg(feature = "push")]
impl Remembered {
    /// What all of them counted.
    pub(super) fn sum(&self) -> Totals {
        let mut sum = self.gone.clone();
        self.kept.values().for_each(|kept| sum.merge(&kept.sum));
        self.files.iter().for_each(|file| sum.merge(&file.sum));
        sum
    }
}

/// What was found in the places that are watched.
#[derive(Debug, Default)]
struct Found {
    there: HashSet<Identity>,
    /// What those counted that are gone, and whose numbers other files have.
    replaced: Vec<Counted>,
    /// The paths of files of totals.
    totals: BTreeSet<PathBuf>,
}

impl Process {
    fn take(&mut self, reading: Reading, now: Instant) {
        if reading.is_alive {
            self.dead_since = None;
        } else {
            self.dead_since.get_or_insert(now);
        }
        self.last = Some(reading);
    }

    fn rank(&self) -> (bool, u64) {
        let began = self.last.as_ref().map_or(0, |reading| reading.began);
        (self.dead_since.is_none(), began)
    }

    /// Adds what it counted, and with `gauges` what it shows of the moment.
    fn add_to(&self, families: &mut Totals, gauges: bool) {
        if let Some(reading) = &self.last {
            families.add(reading, &[("process", &self.name)], gauges);
        }
    }
}

/// The time in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The files of a place: a file with what its earlier processes left beside it, or all of a folder. Their paths do not depend on how the
/// place is named.
pub(super) fn files(place: &Path) -> Vec<PathBuf> {
    let (folder, wanted) = if place.is_dir() {
        (place, None)
    } else {
        let folder = place
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file = place.file_name().map(OsStr::to_owned);
        (
            folder.unwrap_or(Path::new(".")),
            Some((name_of(place), file)),
        )
    };
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours =
            file.ends_with(".obs") || (file.contains(".obs.") && file.ends_with(".ended"));
        match &wanted {
            None => is_ours,
            Some((name, whole)) => {
                is_ours && *name == name_of(path) || path.file_name() == whole.as_deref()
            }
        }
    };
    entries.map(|entry| entry.path()).filter(is_one).collect()
}

/// What a process is called: its file, without what ends the name. What follows an `@` tells apart the processes of one service that run
/// at once, which are shown as one.
pub(super) fn name_of(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file.split_once(".obs").map_or(&*file, |(name, _)| name);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_called_by_its_file() {
        for (path, name) in [
            ("/dev/shm/desk.obs", "desk"),
            ("/dev/shm/desk.obs.0001796000000000.ended", "desk"),
            ("/dev/shm/desk@17.obs", "desk"),
            ("/dev/shm/desk@17.obs.0001796000000000.ended", "desk"),
            ("file", "file"),
        ] {
            assert_eq!(name_of(Path::new(path)), name, "{path}");
        }
    }
}
