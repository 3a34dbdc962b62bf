//! The two ways: agents that divide the desks among each other, and the storages behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use obs_tests::scrape;
use obs_tests::tools::{self, Generation};
use serde_json::Value;

use crate::figures;
use crate::report::Disk;
use crate::server::{Server, Took, free_address};

/// How many agents divide the desks among each other.
const AGENTS: usize = 2;

/// How many seconds beyond two intervals the newest sample of a desk may be old where an agent has sent everything.
const LATE: u64 = 5;
/// How long a storage may take for a question of ours, which concerns every counter of every desk.
const PATIENCE: Duration = Duration::from_mins(2);
/// How much it may answer.
const MOST_BYTES: u64 = 1 << 30;

/// Totals by the desk's address and the family.
pub(crate) type Totals = BTreeMap<(String, String), f64>;

/// Agents with their storages, and what evaluates the rules.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) agents: Vec<Server>,
    pub(crate) storages: Vec<Server>,
    rules: Option<Server>,
    is_victoria_metrics: bool,
}

/// What both ways are set up with.
pub(crate) struct Ground<'a> {
    pub(crate) folder: &'a Path,
    /// The list of desks.
    pub(crate) list: &'a Path,
    /// Seconds between two scrapes.
    pub(crate) interval: u64,
}

impl Ground<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file of `deploy/fleet` with this list and interval, under a name of its own.
    fn deployed(
        &self,
        file: &str,
        name: &str,
        changes: &[(&str, String)],
    ) -> Result<String, Box<dyn Error>> {
        let mut text = fs::read_to_string(tools::workspace().join("deploy/fleet").join(file))?;
        let seconds = |key: &str, seconds: u64| format!("{key}: {seconds}s");
        let own = [
            ("targets/desks.yml", self.list.display().to_string()),
            (
                "scrape_interval: 15s",
                seconds("scrape_interval", self.interval),
            ),
            (
                "scrape_timeout: 10s",
                seconds("scrape_timeout", self.interval.min(10)),
            ),
        ];
        for (from, to) in own.iter().chain(changes) {
            if !text.contains(from) {
                return Err(format!("deploy/fleet/{file} has no `{from}`").into());
            }
            text = text.replace(from, to);
        }
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

impl Way {
    /// Two vmagents, each with half of the desks, that both write to two `VictoriaMetrics`; vmalert asks the first.
    pub(crate) fn victoria_metrics(ground: &Ground<'_>) -> Result<Self, Box<dyn Error>> {
        let storage = |name: &'static str| {
            let (address, folder) = (free_address()?, ground.path(name));
            let arguments = vec![
                format!("-httpListenAddr={address}"),
                format!("-storageDataPath={}", folder.display()),
                // Nothing is held back from queries because more of the same moment may come.
                "-search.latencyOffset=0s".to_owned(),
                "-loggerLevel=WARN".to_owned(),
            ];
            Server::start(
                name,
                tools::victoria_metrics()?,
                arguments,
                (&address, "/health"),
                &folder,
            )
        };
        let storages = vec![storage("VictoriaMetrics 1")?, storage("VictoriaMetrics 2")?];
        let config = ground.deployed("vmagent.yml", "vmagent.yml", &[])?;
        let agent = |number: usize, name: &'static str| {
            let (address, folder) = (free_address()?, ground.path(name));
            let mut arguments = vec![
                format!("-httpListenAddr={address}"),
                format!("-promscrape.config={config}"),
                "-promscrape.fileSDCheckInterval=1s".to_owned(),
                format!("-promscrape.cluster.membersCount={AGENTS}"),
                format!("-promscrape.cluster.memberNum={number}"),
                format!("-remoteWrite.tmpDataPath={}", folder.display()),
                "-loggerLevel=FATAL".to_owned(),
            ];
            let urls = storages.iter().map(Server::url);
            arguments.extend(urls.map(|url| format!("-remoteWrite.url={url}/api/v1/write")));
            Server::start(
                name,
                tools::vmagent()?,
                arguments,
                (&address, "/health"),
                &folder,
            )
        };
        let agents = vec![agent(0, "vmagent 1")?, agent(1, "vmagent 2")?];
        let (address, folder) = (free_address()?, ground.path("vmalert"));
        fs::create_dir_all(&folder)?;
        let first = storages.first().map(Server::url).unwrap_or_default();
        let arguments = vec![
            format!("-httpListenAddr={address}"),
            format!("-rule={}", rules()),
            "-evaluationInterval=15s".to_owned(),
            format!("-datasource.url={first}"),
            format!("-remoteWrite.url={first}"),
            format!("-remoteRead.url={first}"),
            // Nobody listens there; a switch for that is of later releases.
            "-notifier.url=http://127.0.0.1:9".to_owned(),
            "-loggerLevel=ERROR".to_owned(),
        ];
        let rules = Server::start(
            "vmalert",
            tools::vmalert()?,
            arguments,
            (&address, "/health"),
            &folder,
        )?;
        Ok(Self {
            name: "VictoriaMetrics",
            agents,
            storages,
            rules: Some(rules),
            is_victoria_metrics: true,
        })
    }

    /// Two Prometheus agents, each with half of the desks, that write to a Prometheus, which evaluates the rules.
    pub(crate) fn prometheus(ground: &Ground<'_>) -> Result<Self, Box<dyn Error>> {
        let config = ground.path("prometheus.yml");
        let text = format!(
            "global: {{ evaluation_interval: 15s }}\nrule_files: [\"{}\"]\n",
            rules()
        );
        fs::write(&config, text)?;
        let (address, folder) = (free_address()?, ground.path("Prometheus"));
        let arguments = vec![
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.display()),
            format!("--web.listen-address={address}"),
            "--web.enable-remote-write-receiver".to_owned(),
            // For what its samples take on disk.
            "--web.enable-admin-api".to_owned(),
            "--log.level=error".to_owned(),
        ];
        let storage = Server::start(
            "Prometheus",
            tools::prometheus()?,
            arguments,
            (&address, "/-/ready"),
            &folder,
        )?;
        let agent = |number: usize, name: &'static str| {
            let (address, folder) = (free_address()?, ground.path(name));
            let share = format!(
                "honor_labels: true\n    relabel_configs:\n      \
                 - {{ source_labels: [__address__], modulus: {AGENTS}, target_label: __tmp_share, action: hashmod }}\n      \
                 - {{ source_labels: [__tmp_share], regex: \"{number}\", action: keep }}"
            );
            let changes = [
                ("http://storage:8428", storage.url().to_owned()),
                ("honor_labels: true", share),
            ];
            let config = ground.deployed(
                "prometheus-agent.yml",
                &format!("agent-{number}.yml"),
                &changes,
            )?;
            let arguments = vec![
                Generation::chosen().agent_mode().to_owned(),
                format!("--config.file={config}"),
                format!("--web.listen-address={address}"),
                format!("--storage.agent.path={}", folder.display()),
                "--log.level=error".to_owned(),
            ];
            Server::start(
                name,
                tools::prometheus()?,
                arguments,
                (&address, "/-/ready"),
                &folder,
            )
        };
        let agents = vec![
            agent(0, "Prometheus agent 1")?,
            agent(1, "Prometheus agent 2")?,
        ];
        Ok(Self {
            name: "Prometheus",
            agents,
            storages: vec![storage],
            rules: None,
            is_victoria_metrics: false,
        })
    }

    /// The storage that fails: the last, so that where there are two, the one that is asked stays.
    pub(crate) fn failing(&mut self) -> Option<&mut Server> {
        self.storages.last_mut()
    }

    /// What everything of it took.
    pub(crate) fn took(&self) -> Result<Vec<Took>, Box<dyn Error>> {
        let servers = self.agents.iter().chain(&self.storages).chain(&self.rules);
        servers.map(Server::took).collect()
    }

    /// Asks the first storage.
    pub(crate) fn ask(&self, query: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        let first = self.storages.first().ok_or("there is no storage")?;
        self.ask_of(first, query)
    }

    fn ask_of(&self, storage: &Server, query: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        if self.is_victoria_metrics {
            // Else it remembers for ten seconds that there were no such series. One that is busy answers with what it has.
            let _ = scrape(&format!("{}/internal/force_flush", storage.url()));
        }
        let request = ureq::get(format!("{}/api/v1/query", storage.url()));
        let request = request
            .query("query", query)
            .config()
            .timeout_global(Some(PATIENCE));
        let mut response = request.build().call()?;
        let body = response.body_mut().with_config().limit(MOST_BYTES);
        let answer: Value = serde_json::from_str(&body.read_to_string()?)?;
        Ok(answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default())
    }

    /// The desks that have a series now.
    pub(crate) fn present(&self) -> Result<BTreeSet<String>, Box<dyn Error>> {
        Ok(self.ask("app_info")?.iter().filter_map(instance).collect())
    }

    /// Whether every storage has what was scraped of these desks up to some intervals ago. An agent of Prometheus that is restarted
    /// does not send what is in its log from before.
    pub(crate) fn has_caught_up<T>(
        &self,
        desks: &BTreeMap<String, T>,
        interval: u64,
    ) -> Result<bool, Box<dyn Error>> {
        let query = format!("time() - timestamp(app_info) > {}", 2 * interval + LATE);
        for storage in &self.storages {
            let late = self.ask_of(storage, &query)?;
            if late
                .iter()
                .filter_map(instance)
                .any(|late| desks.contains_key(&late))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What each storage has last of every counter, added up by desk and family.
    pub(crate) fn totals(
        &self,
        since: Duration,
    ) -> Result<Vec<(&'static str, Totals)>, Box<dyn Error>> {
        let query = format!(
            "sum by (instance, __name__) (last_over_time({{__name__=~\".+_total\"}}[{}s]))",
            since.as_secs() + 60
        );
        let of = |storage: &Server| -> Result<Totals, Box<dyn Error>> {
            let series = self.ask_of(storage, &query)?;
            Ok(series
                .iter()
                .filter_map(|series| {
                    Some((
                        (instance(series)?, text(&series["metric"]["__name__"])?),
                        number(series)?,
                    ))
                })
                .collect())
        };
        let storages = self.storages.iter();
        storages
            .map(|storage| Ok((storage.name(), of(storage)?)))
            .collect()
    }

    /// The longest time between two samples that a storage has of one desk, in seconds, of all storages.
    pub(crate) fn longest_gap(&self, since: Duration) -> Result<f64, Box<dyn Error>> {
        let query = format!("up{{job=\"trading-desk\"}}[{}s]", since.as_secs() + 60);
        let mut longest = 0.0_f64;
        for storage in &self.storages {
            for series in self.ask_of(storage, &query)? {
                let times = series["values"].as_array().into_iter().flatten();
                let times = times
                    .filter_map(|sample| sample[0].as_f64())
                    .collect::<Vec<_>>();
                let gaps = times
                    .windows(2)
                    .filter_map(|pair| Some(pair.get(1)? - pair.first()?));
                longest = gaps.fold(longest, f64::max);
            }
        }
        Ok(longest)
    }

    /// How long a storage takes for a query over this time, as a dashboard asks it.
    pub(crate) fn range(&self, query: &str, over: Duration) -> Result<Duration, Box<dyn Error>> {
        let first = self.storages.first().ok_or("there is no storage")?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let start = now.saturating_sub(over);
        let mut url = format!(
            "{}/api/v1/query_range?start={}&end={}&step=15&query=",
            first.url(),
            start.as_secs(),
            now.as_secs()
        );
        if self.is_victoria_metrics {
            // It remembers what it was asked a moment ago.
            url = url.replace("&query=", "&nocache=1&query=");
        }
        for byte in query.bytes() {
            // Writing to a string does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
        let asked = Instant::now();
        let request = ureq::get(url).config().timeout_global(Some(PATIENCE));
        let mut response = request.build().call()?;
        response
            .body_mut()
            .with_config()
            .limit(MOST_BYTES)
            .read_to_string()?;
        Ok(asked.elapsed())
    }

    /// What samples take on disk where they are kept for good.
    pub(crate) fn disk(&self) -> Result<Disk, Box<dyn Error>> {
        let first = self.storages.first().ok_or("there is no storage")?;
        if self.is_victoria_metrics {
            scrape(&format!("{}/internal/force_flush", first.url()))?;
            let metrics = scrape(&format!("{}/metrics", first.url()))?;
            let sum = |name: &str, kind: &str| -> f64 {
                let lines = metrics.lines();
                let lines = lines.filter(|line| line.starts_with(name) && line.contains(kind));
                lines
                    .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
                    .sum()
            };
            let (samples, index) = ("type=\"storage/", "type=\"indexdb/");
            return Ok(Disk {
                bytes_a_sample: sum("vm_data_size_bytes{", samples) / sum("vm_rows{", samples),
                bytes_a_series: sum("vm_data_size_bytes{", index)
                    / sum("vm_new_timeseries_created_total", ""),
            });
        }
        // A snapshot writes blocks of what is in memory.
        ureq::post(&format!("{}/api/v1/admin/tsdb/snapshot", first.url())).send_empty()?;
        let (mut chunks, mut samples, mut index, mut series) = (0.0, 0.0, 0.0, 0.0);
        for snapshot in fs::read_dir(first.folder().join("snapshots"))? {
            for block in fs::read_dir(snapshot?.path())? {
                let block = block?.path();
                let meta: Value =
                    serde_json::from_str(&fs::read_to_string(block.join("meta.json"))?)?;
                let stat = |name: &str| meta["stats"][name].as_f64().unwrap_or_default();
                samples += stat("numSamples");
                series += stat("numSeries");
                let of_chunks = figures::disk(&block.join("chunks"));
                chunks += of_chunks;
                index += figures::disk(&block) - of_chunks;
            }
        }
        Ok(Disk {
            bytes_a_sample: chunks / samples,
            bytes_a_series: index / series,
        })
    }

    /// The desks that the agents scrape and that answer, by address, and when each was scraped last.
    pub(crate) fn scraped(&self) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
        let mut scraped = BTreeMap::new();
        for agent in &self.agents {
            let answer = scrape(&format!("{}/api/v1/targets?state=active", agent.url()))?;
            let answer: Value = serde_json::from_str(&answer)?;
            let targets = answer["data"]["activeTargets"]
                .as_array()
                .into_iter()
                .flatten();
            let up = targets.filter(|target| target["health"] == "up");
            scraped.extend(up.filter_map(|target| {
                Some((
                    text(&target["labels"]["instance"])?,
                    text(&target["lastScrape"])?,
                ))
            }));
        }
        Ok(scraped)
    }
}

fn rules() -> String {
    tools::workspace()
        .join("deploy/prometheus/rules/*.yml")
        .display()
        .to_string()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn instance(series: &Value) -> Option<String> {
    text(&series["metric"]["instance"])
}

fn number(series: &Value) -> Option<f64> {
    series["value"][1].as_str()?.parse().ok()
}
