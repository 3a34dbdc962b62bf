//! What takes samples over the network, keeps them, and answers queries.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Error, Process, ask, scrape, stack, tools};

/// The programs that keep what others send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// `VictoriaMetrics`, one server.
    VictoriaMetrics,
    /// Prometheus as a receiver of remote write; strict about the order of samples, as Mimir and Thanos are.
    Prometheus,
}

/// A server on a free port of this machine, and what it keeps, which goes with this value. Dropped, it is killed.
#[derive(Debug)]
pub struct Storage {
    // Stopped before its folder goes.
    process: Option<Process>,
    keeper: Keeper,
    address: String,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Storage {
    /// Starts one that has nothing yet, and waits until it is ready.
    pub fn start(keeper: Keeper) -> Result<Self, Error> {
        Self::start_with(keeper, &[])
    }

    /// The same with further arguments.
    pub fn start_with(keeper: Keeper, arguments: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::system("make a folder for samples"))?;
        let mut storage = Self {
            process: None,
            keeper,
            address: format!("127.0.0.1:{}", stack::free_port()?),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            folder,
        };
        storage.start_again()?;
        Ok(storage)
    }

    /// Its URL, the same after it was started again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it answers to a query now, with all that it has taken.
    pub fn ask(&self, query: &str) -> Result<Vec<Value>, Error> {
        if self.keeper == Keeper::VictoriaMetrics {
            // Else it remembers for ten seconds that there were no such series.
            scrape(&format!("{}/internal/force_flush", self.url()))?;
        }
        ask(&self.url(), query)
    }

    /// Ends it as Ctrl-C does, and waits until it has; what it keeps stays.
    pub fn end(&mut self) -> Result<(), Error> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let status = process.interrupt()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            program: format!("{:?}, asked to stop,", self.keeper),
            status,
        })
    }

    /// Starts it with what it kept, and waits until it is ready.
    pub fn start_again(&mut self) -> Result<(), Error> {
        let (mut command, ready) = match self.keeper {
            Keeper::VictoriaMetrics => (self.victoria_metrics()?, "/health"),
            Keeper::Prometheus => (self.prometheus()?, "/-/ready"),
        };
        self.process = Some(Process::start(command.args(&self.arguments))?);
        let url = self.url() + ready;
        stack::wait_until(&url, stack::START, "it is ready", || scrape(&url).is_ok())
    }

    fn victoria_metrics(&self) -> Result<Command, Error> {
        let mut command = Command::new(tools::victoria_metrics()?);
        command.args([
            format!("-httpListenAddr={}", self.address),
            format!("-storageDataPath={}", self.folder.path().display()),
            // Nothing is held back from queries because more of the same moment may come.
            "-search.latencyOffset=0s".to_owned(),
            "-loggerLevel=ERROR".to_owned(),
        ]);
        Ok(command)
    }

    fn prometheus(&self) -> Result<Command, Error> {
        // It scrapes nothing itself.
        let config = self.folder.path().join("prometheus.yml");
        std::fs::write(&config, "{}").map_err(Error::system("write its configuration"))?;
        let mut command = Command::new(tools::prometheus()?);
        command.args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", self.folder.path().display()),
            format!("--web.listen-address={}", self.address),
            "--web.enable-remote-write-receiver".to_owned(),
            "--log.level=error".to_owned(),
        ]);
        Ok(command)
    }
}
