//! The sample desk as its users run it: its own process, its own ports.

use std::path::Path;
use std::process::Command;

use crate::{Error, Process, built};

/// The line by which the desk says where its metrics are begins with this word.
const METRICS: &str = "metrics";
/// The line by which it says that it has nothing left to replay begins like this.
const REPLAYED: &str = "The replay is over";

/// A running desk. Dropped, it is killed.
#[derive(Debug)]
pub struct Desk {
    process: Process,
    metrics: String,
}

impl Desk {
    /// Builds and starts a desk on free ports of this machine, and waits until its replay is over and it only serves.
    pub fn replayed() -> Result<Self, Error> {
        Self::run(&mut command()?)?.over()
    }

    /// The same in an environment and a mode, such as `production` and `live`.
    pub fn replayed_as(environment: &str, mode: &str) -> Result<Self, Error> {
        let mut desk = command()?;
        desk.env("OBS_ENVIRONMENT", environment)
            .env("OBS_MODE", mode);
        Self::run(&mut desk)?.over()
    }

    /// The same, pushing over OTLP to this URL every second.
    pub fn replayed_to(otlp: &str) -> Result<Self, Error> {
        let mut desk = command()?;
        desk.env("OBS_OTLP_URL", otlp)
            .env("OBS_OTLP_INTERVAL_SECONDS", "1")
            .env("OBS_OTLP_INSTANCE", "desk-1");
        Self::run(&mut desk)?.over()
    }

    /// The same with a file of prices of one's own, which is sooner over.
    pub fn replayed_from(bars: &Path) -> Result<Self, Error> {
        Self::run(command()?.arg("--bars").arg(bars))?.over()
    }

    /// Builds and starts a desk on free ports of this machine that takes so long for each day, such as `5ms`.
    pub fn start(pace: &str) -> Result<Self, Error> {
        Self::run(command()?.args(["--pace", pace]))
    }

    /// The same with a file of its numbers that outlives it, on a tmpfs.
    pub fn start_mapped(pace: &str, file: &Path) -> Result<Self, Error> {
        Self::run(command()?.args(["--pace", pace]).env("OBS_MEMORY", file))
    }

    /// The same in an environment and a mode, with arguments of its own.
    pub fn start_as(environment: &str, mode: &str, arguments: &[&str]) -> Result<Self, Error> {
        Self::run(&mut command_as(environment, mode, arguments)?)
    }

    /// The same with a file of its numbers that outlives it, on a tmpfs.
    pub fn start_mapped_as(
        environment: &str,
        mode: &str,
        arguments: &[&str],
        file: &Path,
    ) -> Result<Self, Error> {
        let mut desk = command_as(environment, mode, arguments)?;
        Self::run(desk.env("OBS_MEMORY", file))
    }

    /// The same with a file of prices of one's own, which is sooner over and then begins anew.
    pub fn repeat(bars: &Path, pace: &str) -> Result<Self, Error> {
        Self::run(command()?.args(["--pace", pace, "--bars"]).arg(bars))
    }

    /// Waits until its replay has begun anew.
    pub fn begun_anew(&mut self) -> Result<(), Error> {
        let anew = |line: &str| line.ends_with("begins anew.").then_some(());
        self.process.wait_for("that its replay begins anew", anew)
    }

    fn run(desk: &mut Command) -> Result<Self, Error> {
        let mut process = Process::start(desk)?;
        let metrics = process.wait_for("where its metrics are", |line| {
            let url = line.strip_prefix(METRICS)?.trim();
            url.starts_with("http://").then(|| url.to_owned())
        })?;
        Ok(Self { process, metrics })
    }

    /// Waits until its replay is over and it only serves.
    pub fn over(mut self) -> Result<Self, Error> {
        let over = |line: &str| line.starts_with(REPLAYED).then_some(());
        self.process.wait_for("that its replay is over", over)?;
        Ok(self)
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

    /// The number by which the system knows its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Halts it where it is: it takes connections, and answers nothing.
    pub fn pause(&self) -> Result<(), Error> {
        self.process.pause()
    }

    /// Has it go on.
    pub fn resume(&self) -> Result<(), Error> {
        self.process.resume()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(self) {
        drop(self);
    }

    /// Ends it as Ctrl-C does; an error unless it exits 0.
    pub fn stop(self) -> Result<(), Error> {
        let status = self.process.interrupt()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed {
            program: "the trading desk, asked to stop,".to_owned(),
            status,
        })
    }
}

fn command_as(environment: &str, mode: &str, arguments: &[&str]) -> Result<Command, Error> {
    let mut desk = command()?;
    desk.args(arguments)
        .env("OBS_ENVIRONMENT", environment)
        .env("OBS_MODE", mode);
    Ok(desk)
}

/// What starts a desk on free ports, once it is built.
fn command() -> Result<Command, Error> {
    let mut desk = Command::new(built("trading-desk")?);
    desk.args(["--listen", "127.0.0.1:0"])
        .env("OBS_LISTEN", "127.0.0.1:0")
        .env("OBS_ENVIRONMENT", "test");
    Ok(desk)
}
