//! What makes numbers wrong, said once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

use obs_core::{Admission, Warning, WarningKind, dead_handles_warning, unseen_warnings};

use crate::exporter::lock;

/// The warnings of one exporter.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    /// Whether this exporter's recorder is the process' own: handles that were built before are dead for it.
    is_installed: AtomicBool,
    said: Mutex<BTreeSet<Warning>>,
    /// That the mapped file is incomplete.
    lost: OnceLock<Warning>,
}

impl Warnings {
    /// Notes that the recorder was installed, and says what was found before.
    pub(crate) fn install(&self) {
        self.is_installed.store(true, Relaxed);
        self.say(&Admission::default());
    }

    /// Everything that was found so far.
    pub(crate) fn all(&self, admission: &Admission) -> Vec<Warning> {
        let is_installed = self.is_installed.load(Relaxed);
        let dead = is_installed.then(dead_handles_warning).flatten();
        dead.into_iter()
            .chain(is_installed.then(unseen_warnings).into_iter().flatten())
            .chain(self.lost.get().cloned())
            .chain(admission.warnings())
            .collect()
    }

    /// Notes that something is not in the mapped file, and why.
    pub(crate) fn memory_is_lost(&self, why: &str) {
        self.lost.get_or_init(|| Warning {
            kind: WarningKind::MemoryLost,
            text: format!(
                "the file of OBS_MEMORY does not hold everything that is recorded ({why}): give the file system more memory and start \
                 again; scrapes are not affected"
            ),
        });
    }

    /// Logs what was not logged yet.
    pub(crate) fn say(&self, admission: &Admission) {
        let mut said = lock(&self.said);
        for warning in self.all(admission) {
            if !said.contains(&warning) {
                log(&warning);
                said.insert(warning);
            }
        }
    }
}

/// Through `tracing`, or to standard error in a program that has not set it up: nobody would see the warning otherwise.
fn log(warning: &Warning) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(kind = warning.kind.as_str(), "{warning}");
    } else {
        eprintln!("warning: {warning}");
    }
}
