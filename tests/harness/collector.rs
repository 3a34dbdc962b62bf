//! An OpenTelemetry Collector as `deploy/fleet` has it.

use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Error, Process, agent, scrape, stack, tools};

/// A Collector with its file of `deploy/fleet`, scraping every second, and taking OTLP over HTTP. Dropped, it is killed.
#[derive(Debug)]
pub struct Collector {
    // Stopped before its folder goes.
    _process: Process,
    otlp: String,
    _folder: TempDir,
}

impl Collector {
    /// How often it scrapes.
    pub const INTERVAL: Duration = Duration::from_secs(1);

    /// Starts one that scrapes the desks at these addresses and writes to the storage at this URL, and waits until it takes what
    /// is pushed.
    pub fn start(storage: &str, desks: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::system("make a folder for a collector"))?;
        let otlp = format!("127.0.0.1:{}", stack::free_port()?);
        let changes = [
            ("http://storage:8428", storage.to_owned()),
            ("127.0.0.1:4318", otlp.clone()),
            ("interval: 15s", "interval: 1s".to_owned()),
            ("timeout: 10s", "timeout: 1s".to_owned()),
            // The storage that comes back is found sooner.
            (
                "max_interval: 5s",
                "initial_interval: 500ms, max_interval: 1s".to_owned(),
            ),
        ];
        stack::copy(
            &tools::workspace().join("deploy/fleet"),
            folder.path(),
            &changes,
        )?;
        agent::list(&folder, desks)?;
        let mut command = Command::new(tools::collector()?);
        command
            .args(["--config", "collector.yml"])
            .current_dir(folder.path())
            // That the storage is away is no news here.
            .stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        let otlp = format!("http://{otlp}");
        stack::wait_until(&otlp, stack::START, "the Collector is ready", || {
            // Whatever it answers: it listens.
            !matches!(scrape(&otlp), Err(Error::Scrape { reason, .. }) if reason.contains("refused"))
        })?;
        Ok(Self {
            _process: process,
            otlp,
            _folder: folder,
        })
    }

    /// Where OTLP is pushed to: `/v1/metrics` is below it.
    #[must_use]
    pub fn otlp(&self) -> &str {
        &self.otlp
    }
}
