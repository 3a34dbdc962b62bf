//! A server that can be killed and brought back.

use std::error::Error;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use obs_tests::{Process, scrape};
use serde::Serialize;

use crate::figures;
use crate::stop::pause;

/// How long one may take until it is ready.
const START: Duration = Duration::from_mins(2);

/// A program with a folder of its own.
pub(crate) struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    url: String,
    ready: &'static str,
    folder: PathBuf,
    process: Option<Process>,
    /// The processor time of those that ended, in seconds.
    cpu: f64,
}

/// What a server took.
#[derive(Debug, Serialize)]
pub(crate) struct Took {
    pub(crate) name: &'static str,
    /// Processor time, in seconds.
    pub(crate) cpu_seconds: f64,
    pub(crate) memory_bytes: f64,
    pub(crate) disk_bytes: f64,
}

impl Server {
    /// Starts one that keeps what it has in a folder, and waits until it is ready.
    pub(crate) fn start(
        name: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        (address, ready): (&str, &'static str),
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let mut server = Self {
            name,
            program,
            arguments,
            url: format!("http://{address}"),
            ready,
            folder: folder.to_owned(),
            process: None,
            cpu: 0.0,
        };
        server.start_again()?;
        Ok(server)
    }

    pub(crate) fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        let log = self.folder.with_extension("log");
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stderr(File::options().create(true).append(true).open(&log)?);
        self.process = Some(Process::start(&mut command)?);
        let (url, end) = (
            format!("{}{}", self.url, self.ready),
            Instant::now() + START,
        );
        while let Err(error) = scrape(&url) {
            if Instant::now() > end {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let said = said.lines().rev().take(5).collect::<Vec<_>>().join("\n");
                return Err(format!("{} is not ready: {error}\n{said}", self.name).into());
            }
            // There is no event to wait for in another program.
            pause(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(process) = self.process.take() {
            self.cpu += figures::cpu(process.id())?;
        }
        Ok(())
    }

    /// Ends it as its own service manager would, and starts it again.
    pub(crate) fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(process) = self.process.take() {
            self.cpu += figures::cpu(process.id())?;
            process.interrupt()?;
        }
        self.start_again()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it took so far.
    pub(crate) fn took(&self) -> Result<Took, Box<dyn Error>> {
        let process = self.process.as_ref().ok_or("it does not run")?.id();
        Ok(Took {
            name: self.name,
            cpu_seconds: self.cpu + figures::cpu(process)?,
            memory_bytes: figures::memory(process)?,
            disk_bytes: figures::disk(&self.folder),
        })
    }
}

/// An address on this machine that is free now.
pub(crate) fn free_address() -> Result<String, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
