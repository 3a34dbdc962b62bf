//! The dead man's switch: looks at the signs of life of watched loops, and acts once where one hangs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use obs_memory::{Heartbeats, LoopReading};

use super::act::{Action, Hang};
use super::hang::{Change, Looks, Loop, Sign};
use super::watch::{Identity, files, name_of};

/// How often signs of life are looked at: a hang is seen within one look, and time to act on it remains of the 100 ms it may take.
const LOOK: Duration = Duration::from_millis(20);
/// How often new files are looked for.
const SEARCH: Duration = Duration::from_millis(500);

/// For how many seconds each loop hangs, by process and loop; `NaN` where it is not armed.
pub(super) type Hung = BTreeMap<(String, String), f64>;

/// When the youngest process began that took over a loop, by process and loop.
type Successors = HashMap<(String, String), u64>;

/// What `/metrics` shows of it. Held for a moment only.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(Arc<Mutex<Hung>>);

impl Shown {
    pub(super) fn get(&self) -> Hung {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, hung: Hung) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hung;
    }
}

/// All files whose loops are watched.
#[derive(Debug)]
pub(super) struct Switch {
    places: Vec<PathBuf>,
    keep: Duration,
    files: HashMap<Identity, Watched>,
    looks: Looks,
    action: Action,
    shown: Shown,
}

#[derive(Debug)]
struct Watched {
    process: String,
    beats: Heartbeats,
    loops: HashMap<String, Loop>,
    signs: Vec<LoopReading>,
    /// What died before it was first looked at is nobody's hang.
    was_alive: bool,
    dead_since: Option<Instant>,
}

impl Switch {
    pub(super) fn new(places: Vec<PathBuf>, keep: Duration, action: Action, shown: Shown) -> Self {
        Self {
            places,
            keep,
            files: HashMap::new(),
            looks: Looks::new(LOOK),
            action,
            shown,
        }
    }

    /// Looks for as long as the program runs.
    pub(super) fn run(mut self) -> ! {
        let mut next = Instant::now();
        let mut search = next;
        loop {
            if next >= search {
                self.search();
                search = next + SEARCH;
            }
            self.look();
            // What was missed is not made up for.
            next = (next + LOOK).max(Instant::now());
            std::thread::sleep(next - Instant::now().min(next));
        }
    }

    /// Opens files that are new, and lets go of those whose process is dead for long.
    fn search(&mut self) {
        let mut there = HashSet::new();
        for path in self.places.iter().flat_map(|place| files(place)) {
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let identity = (metadata.dev(), metadata.ino());
            there.insert(identity);
            if self.files.contains_key(&identity) {
                continue;
            }
            // What cannot be read is named by `/metrics`.
            if let Ok(beats) = Heartbeats::open(&path) {
                self.files
                    .insert(identity, Watched::new(name_of(&path), beats));
            }
        }
        let keep = self.keep;
        self.files.retain(|identity, file| {
            // One that is there would be opened again.
            there.contains(identity) || file.dead_since.is_none_or(|since| since.elapsed() < keep)
        });
    }

    fn look(&mut self) {
        let now = Heartbeats::now();
        let credit = self.looks.credit(now);
        for file in self.files.values_mut() {
            file.read();
        }
        let successors = self.successors();
        let mut all = Hung::new();
        for file in self.files.values_mut() {
            for sign in file.watched(&successors, self.keep) {
                let known = file.loops.entry(sign.name.clone()).or_default();
                let change = known.look(of(&sign), now, credit);
                let seconds = known.seconds(now);
                if let Some(change) = change {
                    let hang = file.hang(&sign, seconds);
                    match change {
                        Change::Hangs => self.action.take(hang),
                        Change::Beats => hang.log("beats again"),
                        Change::Disarmed => hang.log("is not watched any more"),
                    }
                }
                let shown = all.entry((file.process.clone(), sign.name));
                // Of several processes of a name, the one that hangs longest; `max` prefers a number to `NaN`.
                let shown = shown.or_insert(seconds);
                *shown = shown.max(seconds);
            }
        }
        self.shown.set(all);
    }

    /// When the youngest living process began that has a loop of that name armed: it has taken over from a dead one.
    fn successors(&self) -> Successors {
        let mut successors = Successors::new();
        let alive = self.files.values().filter(|file| file.dead_since.is_none());
        for file in alive {
            let armed = file.signs.iter().filter(|sign| sign.beat.is_some());
            for sign in armed {
                let key = (file.process.clone(), sign.name.clone());
                let began = successors.entry(key).or_insert(0);
                *began = file.beats.began().max(*began);
            }
        }
        successors
    }
}

impl Watched {
    fn new(process: String, beats: Heartbeats) -> Self {
        Self {
            process,
            beats,
            loops: HashMap::new(),
            signs: Vec::new(),
            was_alive: false,
            dead_since: None,
        }
    }

    /// Reads the signs of its loops. Those of a dead process stay as they were, also where its file can be read no more.
    fn read(&mut self) {
        // A file is asked first whether its process lives: what that has stored before it died is all there.
        if self.beats.is_alive() {
            self.was_alive = true;
            self.dead_since = None;
        } else {
            self.dead_since.get_or_insert_with(Instant::now);
        }
        if let Ok(signs) = self.beats.read() {
            self.signs = signs;
        }
    }

    /// The loops that are watched: those of a dead process, too, until another takes over from it or it is dead for long.
    fn watched(&mut self, successors: &Successors, keep: Duration) -> Vec<LoopReading> {
        let mut signs = self.signs.clone();
        if let Some(since) = self.dead_since {
            signs.retain(|sign| {
                let key = (self.process.clone(), sign.name.clone());
                let began = self.beats.began();
                let is_over = successors.get(&key).is_some_and(|next| *next > began);
                self.was_alive && !is_over && since.elapsed() < keep
            });
        }
        let is_known = |name: &str| signs.iter().any(|sign| sign.name == *name);
        self.loops.retain(|name, _| is_known(name));
        signs
    }

    fn hang(&self, sign: &LoopReading, seconds: f64) -> Hang {
        Hang {
            process: self.process.clone(),
            name: sign.name.clone(),
            pid: self.beats.pid(),
            is_alive: self.dead_since.is_none(),
            seconds,
            timeout: sign.timeout,
        }
    }
}

fn of(sign: &LoopReading) -> Sign {
    Sign {
        beat: sign.beat,
        timeout: sign.timeout,
        grace_until: sign.grace_until,
    }
}
