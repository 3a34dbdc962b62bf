//! A service of another team, from a workspace of its own: `tests/foreign`.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::{Error, Process, scrape, tools};

/// The running `vega-quoter`. Dropped, it is killed.
#[derive(Debug)]
pub struct Quoter {
    process: Process,
    url: String,
    folder: TempDir,
}

impl Quoter {
    /// Builds it as its team would, starts it on a free port, and waits until it serves. With the argument `wrong` it makes mistakes
    /// that should be reported.
    pub fn start(arguments: &[&str]) -> Result<Self, Error> {
        Self::started(arguments, &[])
    }

    /// The same with native histograms for who asks for them.
    pub fn with_native_histograms() -> Result<Self, Error> {
        Self::started(&[], &[("OBS_NATIVE_HISTOGRAMS", "on")])
    }

    fn started(arguments: &[&str], settings: &[(&str, &str)]) -> Result<Self, Error> {
        build()?;
        let folder = tempfile::tempdir().map_err(Error::system("make a folder"))?;
        let said =
            File::create(folder.path().join("stderr")).map_err(Error::system("make a file"))?;
        let mut service = Command::new(target().join("debug/vega-quoter"));
        service
            .args(arguments)
            .env("OBS_LISTEN", "127.0.0.1:0")
            .env("OBS_ENVIRONMENT", "test")
            .envs(settings.iter().copied())
            .stderr(said);
        let mut process = Process::start(&mut service)?;
        let url = process.wait_for("where its metrics are", |line| {
            line.starts_with("http://").then(|| line.to_owned())
        })?;
        Ok(Self {
            process,
            url,
            folder,
        })
    }

    /// Where its page is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it exports now.
    pub fn exposition(&self) -> Result<String, Error> {
        scrape(&format!("{}/metrics", self.url))
    }

    /// What it has written to standard error.
    pub fn said(&self) -> Result<String, Error> {
        std::fs::read_to_string(self.folder.path().join("stderr"))
            .map_err(Error::system("read what vega-quoter said"))
    }

    /// Ends it as Ctrl-C does; an error unless it exits 0.
    pub fn stop(self) -> Result<(), Error> {
        let status = self.process.interrupt()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            program: "vega-quoter, asked to stop,".to_owned(),
            status,
        })
    }
}

/// A task of the foreign team's own `xtask`, as its alias runs it: `foreign_xtask(&["verify-metrics"])`.
pub fn foreign_xtask(arguments: &[&str]) -> Result<Output, Error> {
    let mut cargo = cargo();
    cargo
        .args(["xtask"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", target());
    cargo.output().map_err(Error::system("run cargo"))
}

/// Builds the service, the first time, by the versions that its workspace has locked.
fn build() -> Result<(), Error> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if *built {
        return Ok(());
    }
    let mut cargo = cargo();
    let status = cargo
        .args(["build", "--quiet", "--locked", "--package", "vega-quoter"])
        .arg("--target-dir")
        .arg(target())
        .status()
        .map_err(Error::system("run cargo"))?;
    if status.success() {
        *built = true;
        return Ok(());
    }
    Err(Error::Failed {
        program: "cargo build in tests/foreign".to_owned(),
        status,
    })
}

/// In the foreign workspace.
fn cargo() -> Command {
    let mut cargo = crate::cargo();
    cargo.current_dir(tools::workspace().join("tests/foreign"));
    cargo
}

fn target() -> PathBuf {
    tools::workspace().join("target/foreign")
}
