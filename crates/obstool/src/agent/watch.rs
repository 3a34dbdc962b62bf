//! The files that are watched, and what they show together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use obs_memory::{
    Across, FamilyReading, Kind, Labels, MemoryError, NativeBuckets, Reader, Reading,
    SeriesReading, Value,
};

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
    /// Files whose numbers are in the totals, for as long as they are there.
    folded: HashSet<Identity>,
    totals: Families,
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
    reader: Reader,
    /// What was read last.
    last: Option<Reading>,
    dead_since: Option<Instant>,
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

/// A family of all processes.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) bounds: Vec<f64>,
    across: Across,
    pub(super) series: BTreeMap<Labels, Series>,
}

/// What processes show together under the same labels.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// When the first of them began it, in milliseconds since 1970: what it counts, it has counted since.
    pub(super) began: u64,
    pub(super) value: Value,
    /// The observations of a histogram in native buckets as well, where all of them keep such, and of one sort.
    pub(super) native: Option<NativeBuckets>,
}

impl Watched {
    pub(super) fn new(places: Vec<PathBuf>, keep: Duration) -> Self {
        Self {
            places,
            keep,
            open: HashMap::new(),
            folded: HashSet::new(),
            totals: Families::new(),
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
        self.find(&mut refused);
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
        self.fold(now);
        // Gauges of younger processes overrule those of older ones.
        let mut processes: Vec<_> = self.open.values().collect();
        processes.sort_by_key(|process| process.rank());
        for process in &processes {
            let counts = self.processes.entry(process.name.clone()).or_default();
            let of = if process.dead_since.is_none() {
                &mut counts.alive
            } else {
                &mut counts.dead
            };
            *of += 1;
            let Some(reading) = &process.last else {
                continue;
            };
            let globals = reading.globals.clone();
            self.globals.insert(process.name.clone(), globals);
            if !reading.notes.is_empty() {
                let notes = Arc::clone(&reading.notes);
                self.notes.insert(process.name.clone(), notes);
            }
        }
        let mut families = self.totals.clone();
        let mut incomplete = Vec::new();
        for process in processes {
            // What a dead one believed is of interest until another one knows better.
            let is_alive = process.dead_since.is_none();
            let gauges = is_alive || self.processes[&process.name].alive == 0;
            process.add_to(&mut families, gauges);
            let is_complete = |last: &Reading| last.is_complete;
            if is_alive && !process.last.as_ref().is_none_or(is_complete) {
                incomplete.push(process.name.clone());
            }
        }
        Look {
            families,
            processes: self.processes.clone(),
            notes: self.notes.clone(),
            globals: self.globals.clone(),
            refused,
            incomplete,
            push_failures: self.push_failures.clone(),
            since: self.since,
        }
    }

    /// Opens files that are new.
    fn find(&mut self, refused: &mut Vec<String>) {
        let mut there = HashSet::new();
        let paths: Vec<_> = self.places.iter().flat_map(|place| files(place)).collect();
        for path in paths {
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let identity = (metadata.dev(), metadata.ino());
            there.insert(identity);
            if self.open.contains_key(&identity) || self.folded.contains(&identity) {
                continue;
            }
            match Reader::open(&path) {
                Ok(reader) => {
                    let process = Process {
                        name: self.admitted(name_of(&path)),
                        reader,
                        last: None,
                        dead_since: None,
                    };
                    self.open.insert(identity, process);
                }
                // It is being made.
                Err(MemoryError::Foreign { .. }) if metadata.len() == 0 => {}
                Err(error) => refused.push(error.to_string()),
            }
        }
        self.folded.retain(|identity| there.contains(identity));
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

    /// Adds what has been dead for long enough to the totals.
    fn fold(&mut self, now: Instant) {
        let keep = self.keep;
        let is_over = |_: &Identity, process: &mut Process| {
            process
                .dead_since
                .is_some_and(|since| now.duration_since(since) >= keep)
        };
        for (identity, process) in self.open.extract_if(is_over) {
            process.add_to(&mut self.totals, false);
            self.folded.insert(identity);
        }
    }
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
    fn add_to(&self, families: &mut Families, gauges: bool) {
        let Some(reading) = &self.last else { return };
        for family in &reading.families {
            if family.kind == Kind::Gauge && !gauges {
                continue;
            }
            let to = families.entry(family.name.clone());
            let to = to.or_insert_with(|| Family::like(family));
            // Two programs may call two things alike; the first stays, since a sum of both would be neither.
            if to.kind != family.kind || to.bounds != family.bounds {
                continue;
            }
            for series in &family.series {
                let labels = self.labels(reading, &series.labels);
                match to.series.get_mut(&labels) {
                    Some(shown) => shown.add(series, to.across),
                    None => {
                        to.series.insert(labels, Series::like(series));
                    }
                }
            }
        }
    }

    /// The labels of a series, sorted, with the global ones and the process.
    fn labels(&self, reading: &Reading, own: &Labels) -> Labels {
        let mut labels = reading.globals.clone();
        labels.extend(own.iter().cloned());
        labels.insert("process".to_owned(), self.name.clone());
        labels.into_iter().collect()
    }
}

impl Family {
    fn like(family: &FamilyReading) -> Self {
        Self {
            kind: family.kind,
            help: family.help.clone(),
            bounds: family.bounds.clone(),
            across: family.across,
            series: BTreeMap::new(),
        }
    }
}

impl Series {
    fn like(series: &SeriesReading) -> Self {
        Self {
            began: series.began,
            value: series.value.clone(),
            native: series.native.clone(),
        }
    }

    /// Adds what one more process shows.
    fn add(&mut self, series: &SeriesReading, across: Across) {
        self.began = self.began.min(series.began);
        add(&mut self.value, &series.value, across);
        let native = self.native.take();
        self.native = native
            .zip(series.native.as_ref())
            .and_then(|(native, more)| added(native, more));
    }
}

/// The native buckets of two processes together; none where they are not of one sort.
fn added(mut to: NativeBuckets, more: &NativeBuckets) -> Option<NativeBuckets> {
    let is_alike =
        to.schema == more.schema && to.zero_threshold.total_cmp(&more.zero_threshold).is_eq();
    if !is_alike {
        return None;
    }
    to.zero_count = to.zero_count.wrapping_add(more.zero_count);
    for (to, more) in [
        (&mut to.positive, &more.positive),
        (&mut to.negative, &more.negative),
    ] {
        for (index, count) in more {
            let held = to.entry(*index).or_default();
            *held = held.wrapping_add(*count);
        }
    }
    Some(to)
}

/// Adds one process' value to that of others; of gauges the family says what they make.
fn add(to: &mut Value, value: &Value, across: Across) {
    match (to, value) {
        (
            Value::Counter { number, decimals },
            Value::Counter {
                number: more,
                decimals: alike,
            },
        ) if decimals == alike => *number = number.wrapping_add(*more),
        (Value::Gauge(to), Value::Gauge(value)) => *to = together(*to, *value, across),
        (
            Value::Histogram { buckets, sum },
            Value::Histogram {
                buckets: more,
                sum: by,
            },
        ) => {
            for (bucket, more) in buckets.iter_mut().zip(more) {
                *bucket = bucket.wrapping_add(*more);
            }
            *sum += by;
        }
        (
            Value::Summary { count, sum },
            Value::Summary {
                count: more,
                sum: by,
            },
        ) => {
            *count = count.wrapping_add(*more);
            *sum += by;
        }
        _ => {}
    }
}

/// What two gauges make together, of which one may be undefined.
fn together(older: f64, younger: f64, across: Across) -> f64 {
    match across {
        Across::Last => younger,
        _ if older.is_nan() => younger,
        _ if younger.is_nan() => older,
        Across::Sum => older + younger,
        Across::Max => older.max(younger),
        Across::Min => older.min(younger),
    }
}

/// The time in milliseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The files of a place: a file with what its earlier processes left beside it, or all of a folder.
pub(super) fn files(place: &Path) -> Vec<PathBuf> {
    let (folder, wanted) = if place.is_dir() {
        (place, None)
    } else {
        let folder = place
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        (folder.unwrap_or(Path::new(".")), Some(name_of(place)))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours =
            file.ends_with(".obs") || (file.contains(".obs.") && file.ends_with(".ended"));
        is_ours
            && wanted
                .as_ref()
                .is_none_or(|wanted| *wanted == name_of(path))
            || path == place
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
    fn gauges_make_together_what_their_family_says() {
        for (across, of) in [
            (Across::Last, 2.0),
            (Across::Sum, 5.0),
            (Across::Max, 3.0),
            (Across::Min, 2.0),
        ] {
            assert!(
                together(3.0, 2.0, across).total_cmp(&of).is_eq(),
                "{across:?}"
            );
        }
        // What is undefined in one process is what the others say, unless the last one counts.
        for across in [Across::Sum, Across::Max, Across::Min] {
            for (older, younger) in [(f64::NAN, 2.0), (2.0, f64::NAN)] {
                assert!(together(older, younger, across).total_cmp(&2.0).is_eq());
            }
            assert!(together(f64::NAN, f64::NAN, across).is_nan());
        }
        assert!(together(2.0, f64::NAN, Across::Last).is_nan());
    }

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
