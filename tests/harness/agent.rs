//! What stands beside a group of desks, scrapes them, and sends what it finds to a storage elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{self, Generation};
use crate::{Error, Process, scrape, stack};

/// The list of desks, beside the agents' own files.
const LIST: &str = "targets/desks.yml";
/// What stands in it until it is filled in.
const DESKS: &str = r#"["desk-1:9464", "desk-2:9464"]"#;

/// The programs that can be an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scraper {
    /// `VictoriaMetrics`' agent.
    Vmagent,
    /// Prometheus in agent mode.
    Prometheus,
}

/// An agent with its file of `deploy/fleet`, scraping every second. Dropped, it is killed.
#[derive(Debug)]
pub struct Agent {
    // Stopped before its folder goes.
    _process: Process,
    url: String,
    folder: TempDir,
}

impl Agent {
    /// Starts one that scrapes the desks at these addresses and writes to the storage at this URL, and waits until it is ready.
    pub fn start(scraper: Scraper, storage: &str, desks: &[&str]) -> Result<Self, Error> {
        let file = match scraper {
            Scraper::Vmagent => "vmagent.yml",
            Scraper::Prometheus => "prometheus-agent.yml",
        };
        Self::with_file(scraper, file, &[], storage, desks)
    }

    /// Starts a vmagent that asks the Kubernetes at this URL for the desks, and waits until it is ready.
    pub fn in_kubernetes(kubernetes: &str, storage: &str) -> Result<Self, Error> {
        let role = "role: endpointslice";
        let changes = [(role, format!("{role}\n        api_server: {kubernetes}"))];
        Self::with_file(Scraper::Vmagent, "kubernetes.yml", &changes, storage, &[])
    }

    fn with_file(
        scraper: Scraper,
        file: &str,
        changes: &[(&str, String)],
        storage: &str,
        desks: &[&str],
    ) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::system("make a folder for an agent"))?;
        let mut changes = changes.to_vec();
        changes.extend([
            ("http://storage:8428", storage.to_owned()),
            ("interval: 15s", "interval: 1s".to_owned()),
            ("timeout: 10s", "timeout: 1s".to_owned()),
        ]);
        stack::copy(
            &tools::workspace().join("deploy/fleet"),
            folder.path(),
            &changes,
        )?;
        list(&folder, desks)?;

        let address = format!("127.0.0.1:{}", stack::free_port()?);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (mut command, ready) = match scraper {
            Scraper::Vmagent => (
                vmagent(&address, storage, &path(file), &path("unsent"))?,
                "/health",
            ),
            Scraper::Prometheus => (
                prometheus(&address, &path(file), &path("unsent"))?,
                "/-/ready",
            ),
        };
        let process = Process::start(&mut command)?;
        let url = format!("http://{address}");
        stack::wait_until(&url, stack::START, "the agent is ready", || {
            scrape(&format!("{url}{ready}")).is_ok()
        })?;
        Ok(Self {
            _process: process,
            url,
            folder,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Replaces the list of the desks it scrapes, and leaves it to find that out.
    pub fn list(&self, desks: &[&str]) -> Result<(), Error> {
        list(&self.folder, desks)
    }

    /// The targets that it scrapes and that answer: by `instance`, when each was scraped last.
    pub fn scraped(&self) -> Result<BTreeMap<String, String>, Error> {
        let answer = scrape(&format!("{}/api/v1/targets?state=active", self.url))?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| Error::Nonsense {
            program: "the agent",
            answer: error.to_string(),
        })?;
        let targets = answer["data"]["activeTargets"].as_array();
        let targets = targets.into_iter().flatten();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let up = targets.filter(|target| target["health"] == "up");
        let scraped = up.filter_map(|target| {
            Some((
                text(&target["labels"]["instance"])?,
                text(&target["lastScrape"])?,
            ))
        });
        Ok(scraped.collect())
    }
}

fn vmagent(address: &str, storage: &str, config: &str, unsent: &str) -> Result<Command, Error> {
    let mut command = Command::new(tools::vmagent()?);
    command.args([
        format!("-httpListenAddr={address}"),
        format!("-promscrape.config={config}"),
        format!("-remoteWrite.url={storage}/api/v1/write"),
        format!("-remoteWrite.tmpDataPath={unsent}"),
        // A list that changed is found sooner than by itself, which is after five minutes.
        "-promscrape.fileSDCheckInterval=1s".to_owned(),
        // That the storage is away is no news here.
        "-loggerLevel=FATAL".to_owned(),
    ]);
    Ok(command)
}

fn prometheus(address: &str, config: &str, unsent: &str) -> Result<Command, Error> {
    let mut command = Command::new(tools::prometheus()?);
    command.args([
        Generation::chosen().agent_mode().to_owned(),
        format!("--web.listen-address={address}"),
        format!("--config.file={config}"),
        format!("--storage.agent.path={unsent}"),
        "--log.level=error".to_owned(),
    ]);
    Ok(command)
}

/// Writes the list of `deploy/fleet` with these desks in it, and puts it in its place whole.
pub(crate) fn list(folder: &TempDir, desks: &[&str]) -> Result<(), Error> {
    let failed = || Error::system(format!("write {LIST}"));
    let deployed = tools::workspace().join("deploy/fleet").join(LIST);
    let text = fs::read_to_string(deployed).map_err(failed())?;
    let text = text.replace(DESKS, &Value::from(desks).to_string());
    let place = folder.path().join(LIST);
    let beside = place.with_extension("new");
    fs::write(&beside, text).map_err(failed())?;
    fs::rename(beside, place).map_err(failed())
}
