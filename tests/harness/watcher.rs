//! `obstool agent`, which serves what processes keep in mapped files.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{Desk, Error, Process, built};

/// Memory that processes share, which is all that a desk maps.
const TMPFS: &str = "/dev/shm";

/// A desk whose numbers outlive it, and the agent that watches it. Dropped, both are killed.
#[derive(Debug)]
pub struct Watched {
    /// The desk.
    pub desk: Desk,
    /// The agent, which calls it `desk`.
    pub agent: Watcher,
    // After both.
    _folder: TempDir,
}

impl Watched {
    /// Builds and starts both on free ports of this machine; the desk takes so long for each day, such as `5ms`.
    pub fn start(pace: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir_in(TMPFS).map_err(Error::system("make a folder there"))?;
        let desk = Desk::start_mapped(pace, &folder.path().join("desk.obs"))?;
        let agent = Watcher::start(folder.path())?;
        Ok(Self {
            desk,
            agent,
            _folder: folder,
        })
    }
}

/// An agent on a free port of this machine. Dropped, it is killed.
#[derive(Debug)]
pub struct Watcher {
    _process: Process,
    metrics: String,
}

impl Watcher {
    /// Builds and starts one that watches a file, or the files of a folder.
    pub fn start(place: &Path) -> Result<Self, Error> {
        let mut agent = Command::new(built("obstool")?);
        agent
            .args(["agent", "--listen", "127.0.0.1:0", "--on-hang-dry-run"])
            .arg(place);
        let mut process = Process::start(&mut agent)?;
        let metrics = process.wait_for("where it serves", |line| {
            line.starts_with("http://").then(|| line.trim().to_owned())
        })?;
        Ok(Self {
            _process: process,
            metrics,
        })
    }

    /// The URL of its metrics.
    #[must_use]
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// The host and port of its metrics.
    #[must_use]
    pub fn address(&self) -> &str {
        let address = self.metrics.trim_start_matches("http://");
        address.trim_end_matches("/metrics")
    }
}
