//! A running Pushgateway.

use std::process::Command;

use crate::{Error, Process, scrape, stack, tools};

/// A Pushgateway on a free port of this machine, which forgets everything with its end. Dropped, it is killed.
#[derive(Debug)]
pub struct Pushgateway {
    _process: Process,
    url: String,
}

impl Pushgateway {
    /// Starts one, and waits until it is ready.
    pub fn start() -> Result<Self, Error> {
        let address = format!("127.0.0.1:{}", stack::free_port()?);
        let process = Process::start(Command::new(tools::pushgateway()?).args([
            format!("--web.listen-address={address}"),
            "--log.level=error".to_owned(),
        ]))?;
        let url = format!("http://{address}");
        stack::wait_until(&url, stack::START, "the Pushgateway is ready", || {
            scrape(&format!("{url}/-/ready")).is_ok()
        })?;
        Ok(Self {
            _process: process,
            url,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
