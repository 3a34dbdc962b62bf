//! What would make a number wrong, said in words.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Something in the program that makes a number wrong, or loses it.
///
/// A recorder of this workspace collects them ([`Admission::warnings`](crate::Admission::warnings)); the exporter logs each
/// once and shows them on its page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// What kind of fault it is.
    pub kind: WarningKind,
    /// A sentence that says what happened, to what, and what to do.
    pub text: String,
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningKind {
    /// Handles were resolved before a recorder was installed, and record nothing.
    DeadHandles,
    /// One name is recorded as two kinds; the first stays.
    KindConflict,
    /// Two names are the same where their characters are escaped.
    NameConflict,
    /// One name is declared in two ways; the first stays.
    DeclaredTwice,
    /// A metric was recorded by its bare name before its declaration was known.
    DeclaredLate,
    /// Another version of this crate records in the same program.
    OtherVersion,
    /// A crate finds that it cannot see what it is to measure.
    Unseen,
    /// Something that is recorded is not in the mapped file from which other processes read it.
    MemoryLost,
}

impl WarningKind {
    /// A word for it, as `/catalog.json` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadHandles => "dead_handles",
            Self::KindConflict => "kind_conflict",
            Self::NameConflict => "name_conflict",
            Self::DeclaredTwice => "declared_twice",
            Self::DeclaredLate => "declared_late",
            Self::OtherVersion => "other_version",
            Self::Unseen => "unseen",
            Self::MemoryLost => "memory_lost",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// How many places are kept; one is enough to find the fault, and a program may have thousands.
const MOST_PLACES: usize = 20;

static DEAD: AtomicUsize = AtomicUsize::new(0);
static PLACES: Mutex<BTreeSet<Place>> = Mutex::new(BTreeSet::new());

/// A line of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: &'static str,
    line: u32,
}

/// How many handles this process resolved before a recorder was there. They record nothing for as long as they live.
///
/// Functions under `#[track_calls]` and `#[track_duration]` are not among them: they resolve theirs again.
#[must_use]
pub fn dead_handles() -> usize {
    DEAD.load(Relaxed)
}

/// The warning about [`dead_handles`], with the places that built them; `None` where there are none.
#[must_use]
pub fn dead_handles_warning() -> Option<Warning> {
    let count = dead_handles();
    let places: Vec<_> = {
        let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .iter()
            .map(|at| format!("{}:{}", at.file, at.line))
            .collect()
    };
    (count > 0).then(|| Warning {
        kind: WarningKind::DeadHandles,
        text: format!(
            "metric handles that were built before the recorder was installed record nothing ({count} of them): \
             install the exporter first, then build what is at {}",
            places.join(", ")
        ),
    })
}

static UNSEEN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Notes, for crates that measure, that they cannot see what they are to measure: a sentence that says what happened, to what, and
/// what to do. The exporter logs it and shows it on its page. Idempotent.
pub fn warn_unseen(text: &'static str) {
    let mut unseen = UNSEEN.lock().unwrap_or_else(PoisonError::into_inner);
    unseen.insert(text);
}

/// What [`warn_unseen`] was told in this process.
#[must_use]
pub fn unseen_warnings() -> Vec<Warning> {
    let unseen = UNSEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let warning = |text: &&'static str| Warning {
        kind: WarningKind::Unseen,
        text: (*text).to_owned(),
    };
    unseen.iter().map(warning).collect()
}

/// Notes that so many handles have just been resolved without a recorder.
pub(crate) fn found_dead(handles: usize) {
    DEAD.fetch_add(handles, Relaxed);
}

/// Notes a place that resolves handles without a recorder.
pub(crate) fn found_dead_at(place: &'static Location<'static>) {
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    if places.len() < MOST_PLACES {
        places.insert(Place {
            file: place.file(),
            line: place.line(),
        });
    }
}
