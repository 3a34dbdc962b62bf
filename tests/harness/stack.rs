//! Prometheus, Alertmanager and, where there is one, Grafana as they are deployed, on this machine.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Error, Process, Receiver, ask, scrape, tools};

/// How long a server may take to start.
pub(crate) const START: Duration = Duration::from_secs(30);
/// How long Grafana may take, which makes its database first.
const GRAFANA_START: Duration = Duration::from_mins(2);
/// Where the deployed list of targets has the agent.
const AGENT: &str = "agent:9466";
/// How often it is asked whether it has.
const POLL: Duration = Duration::from_millis(100);

/// A Prometheus and an Alertmanager with the files of `deploy/`, watching a desk, and a Grafana if asked for. Dropped, they are
/// killed.
#[derive(Debug)]
pub struct Stack {
    // Stopped in this order, before their folder goes.
    grafana: Option<Process>,
    _prometheus: Process,
    _alertmanager: Process,
    receiver: Receiver,
    prometheus_url: String,
    alertmanager_url: String,
    manner: Manner,
    folder: TempDir,
}

/// A desk to watch, and what its list of targets says of it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host and port of its metrics, such as `127.0.0.1:9464`.
    pub address: &'a str,
    /// Where it runs.
    pub environment: &'a str,
    /// `backtest`, `paper` or `live`.
    pub mode: &'a str,
}

/// Where the parts of a stack listen, and how patient they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// On the ports they are known for, as patient as deployed.
    AsDeployed,
    /// On free ports, as patient as deployed.
    OnFreePorts,
    /// On free ports, scraping and evaluating every second, and alerting and sending after a second where it would be minutes:
    /// for tests.
    Hurried,
}

impl Stack {
    /// Starts both, watching the desk that serves its metrics at `desk`, such as `127.0.0.1:9464`.
    pub fn start(desk: &str, manner: Manner) -> Result<Self, Error> {
        Self::watch(&[("desk:9464", desk.to_owned())], None, None, manner)
    }

    /// The same, and watching the agent that serves at `agent`, such as `127.0.0.1:9466`.
    pub fn start_beside(agent: &str, desk: &str, manner: Manner) -> Result<Self, Error> {
        let addresses = [("desk:9464", desk.to_owned()), (AGENT, agent.to_owned())];
        Self::watch(&addresses, None, None, manner)
    }

    /// Starts both, watching several desks of the service `trading-desk`.
    pub fn start_for(desks: &[Target<'_>], manner: Manner) -> Result<Self, Error> {
        let targets: String = desks.iter().map(Target::listed).collect();
        Self::watch(&[], Some(&targets), None, manner)
    }

    /// The same, and watching the agent of these desks.
    pub fn start_for_beside(
        agent: &Target<'_>,
        desks: &[Target<'_>],
        manner: Manner,
    ) -> Result<Self, Error> {
        let targets: String = desks.iter().map(Target::listed).collect();
        Self::watch(&[], Some(&targets), Some(&agent.listed()), manner)
    }

    /// Watches what is deployed, at these addresses, or the desks and the agent of these lists instead.
    fn watch(
        desk: &[(&'static str, String)],
        targets: Option<&str>,
        agent: Option<&str>,
        manner: Manner,
    ) -> Result<Self, Error> {
        let port = |usual: u16| match manner {
            Manner::AsDeployed => Ok(usual),
            Manner::OnFreePorts | Manner::Hurried => free_port(),
        };
        let prometheus = format!("127.0.0.1:{}", port(9090)?);
        let alertmanager = format!("127.0.0.1:{}", port(9093)?);
        let receiver = Receiver::listen(&match manner {
            Manner::AsDeployed => "127.0.0.1:9095".to_owned(),
            Manner::OnFreePorts | Manner::Hurried => "127.0.0.1:0".to_owned(),
        })?;
        let folder = tempfile::tempdir().map_err(Error::system("make a folder for the stack"))?;
        let mut changes = desk.to_vec();
        changes.extend([
            ("alertmanager:9093", alertmanager.clone()),
            ("localhost:9090", prometheus.clone()),
            ("receiver:9095", receiver.address().to_string()),
        ]);
        if manner == Manner::Hurried {
            changes.extend(
                [
                    ("interval: 15s", "interval: 1s"),
                    ("interval: 2m", "interval: 1s"),
                    ("interval: 5m", "interval: 1s"),
                    ("interval: 30s", "interval: 1s"),
                    ("timeout: 10s", "timeout: 1s"),
                    ("for: 1m", "for: 1s"),
                    ("for: 2m", "for: 1s"),
                    ("group_wait: 10s", "group_wait: 1s"),
                    ("group_wait: 1m", "group_wait: 1s"),
                    ("group_interval: 1m", "group_interval: 1s"),
                    ("group_interval: 5m", "group_interval: 1s"),
                    ("group_interval: 15m", "group_interval: 1s"),
                ]
                .map(|(from, to)| (from, to.to_owned())),
            );
        }
        copy(
            &tools::workspace().join("deploy/prometheus"),
            &folder.path().join("prometheus"),
            &changes,
        )?;
        if !desk.iter().any(|(deployed, _)| *deployed == AGENT) {
            let list = folder.path().join("prometheus/targets/agent.yml");
            // Where none is started, none is missed.
            let agents = agent.unwrap_or("[]\n");
            fs::write(&list, agents).map_err(Error::system("list the agents"))?;
        }
        if let Some(targets) = targets {
            let list = folder.path().join("prometheus/targets/desk.yml");
            fs::write(&list, targets).map_err(Error::system("list the desks"))?;
        }
        copy(
            &tools::workspace().join("deploy/alertmanager"),
            &folder.path().join("alertmanager"),
            &changes,
        )?;

        let file = |name: &str| folder.path().join(name).display().to_string();
        let alertmanager_process = Process::start(Command::new(tools::alertmanager()?).args([
            format!("--config.file={}", file("alertmanager/alertmanager.yml")),
            format!("--storage.path={}", file("alertmanager-data")),
            format!("--web.listen-address={alertmanager}"),
            // One of its kind: nobody to gossip with.
            "--cluster.listen-address=".to_owned(),
            "--log.level=error".to_owned(),
        ]))?;
        let prometheus_process = Process::start(Command::new(tools::prometheus()?).args([
            format!("--config.file={}", file("prometheus/prometheus.yml")),
            format!("--storage.tsdb.path={}", file("prometheus-data")),
            format!("--web.listen-address={prometheus}"),
            "--log.level=error".to_owned(),
        ]))?;
        let stack = Self {
            grafana: None,
            _prometheus: prometheus_process,
            _alertmanager: alertmanager_process,
            receiver,
            prometheus_url: format!("http://{prometheus}"),
            alertmanager_url: format!("http://{alertmanager}"),
            manner,
            folder,
        };
        wait_until(
            &stack.prometheus_url,
            START,
            "Prometheus and Alertmanager are ready",
            || {
                let ready = |url: &str| scrape(&format!("{url}/-/ready")).is_ok();
                ready(&stack.prometheus_url) && ready(&stack.alertmanager_url)
            },
        )?;
        Ok(stack)
    }

    /// Starts a Grafana on the `PATH`, as deployed at port 3000, with the data source and dashboards of `deploy/`, for everybody on
    /// this machine to read and nobody to change; its URL. Does nothing and returns none where there is no Grafana.
    pub fn start_grafana(&mut self) -> Result<Option<String>, Error> {
        let Some(program) = tools::grafana() else {
            return Ok(None);
        };
        let port = match self.manner {
            Manner::AsDeployed => 3000,
            Manner::OnFreePorts | Manner::Hurried => free_port()?,
        };
        let folder = self.folder.path().join("grafana");
        let dashboards = folder.join("dashboards").display().to_string();
        let changes = [
            ("http://prometheus:9090", self.prometheus_url.clone()),
            ("/var/lib/grafana/dashboards", dashboards.clone()),
        ];
        copy(
            &tools::workspace().join("deploy/grafana"),
            &folder,
            &changes,
        )?;

        let mut grafana = Command::new(&program);
        // The one program has commands; the other, which is older, is one.
        if program.ends_with("grafana") {
            grafana.arg("server");
        }
        grafana
            .arg(format!("--homepath={}", home_of(&program).display()))
            .env("GF_SERVER_HTTP_ADDR", "127.0.0.1")
            .env("GF_SERVER_HTTP_PORT", port.to_string())
            .env("GF_PATHS_PROVISIONING", folder.join("provisioning"))
            .env("GF_PATHS_DATA", folder.join("data"))
            .env("GF_PATHS_LOGS", folder.join("log"))
            // Nobody reads what it prints.
            .env("GF_LOG_MODE", "file")
            .env("GF_AUTH_ANONYMOUS_ENABLED", "true")
            .env("GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "true")
            .env("GF_ANALYTICS_REPORTING_ENABLED", "false")
            .env("GF_ANALYTICS_CHECK_FOR_UPDATES", "false")
            .env(
                "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
                format!("{dashboards}/main.json"),
            );
        self.grafana = Some(Process::start(&mut grafana)?);
        let url = format!("http://127.0.0.1:{port}");
        wait_until(&url, GRAFANA_START, "Grafana is ready", || {
            scrape(&format!("{url}/api/health")).is_ok()
        })?;
        Ok(Some(url))
    }

    /// The URL of Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> &str {
        &self.prometheus_url
    }

    /// The URL of Alertmanager.
    #[must_use]
    pub fn alertmanager(&self) -> &str {
        &self.alertmanager_url
    }

    /// Who is alerted.
    #[must_use]
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Waits until a query returns something.
    pub fn wait_for(&self, timeout: Duration, query: &str) -> Result<(), Error> {
        wait_until(&self.prometheus_url, timeout, query, || {
            ask(&self.prometheus_url, query).is_ok_and(|answer| !answer.is_empty())
        })
    }
}

impl Target<'_> {
    /// As a list of targets has it.
    fn listed(&self) -> String {
        let Self {
            address,
            environment,
            mode,
        } = self;
        format!(
            "- targets: [\"{address}\"]\n  labels: {{ service: trading-desk, environment: {environment}, mode: {mode} }}\n"
        )
    }
}

/// Waits until what is at a URL is as it should be.
pub(crate) fn wait_until(
    url: &str,
    timeout: Duration,
    what: &str,
    is_so: impl Fn() -> bool,
) -> Result<(), Error> {
    let end = Instant::now() + timeout;
    while !is_so() {
        if Instant::now() > end {
            return Err(Error::Scrape {
                url: url.to_owned(),
                reason: format!("waited {timeout:?} in vain for `{what}`"),
            });
        }
        // There is no event to wait for in another program.
        sleep(POLL);
    }
    Ok(())
}

/// Where a Grafana's own files are: above the program itself in its archive, elsewhere from a package.
fn home_of(program: &Path) -> PathBuf {
    let program = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let is_home = |folder: &&Path| folder.join("conf/defaults.ini").is_file();
    let found = program.ancestors().find(is_home);
    found.map_or_else(|| PathBuf::from("/usr/share/grafana"), Path::to_owned)
}

pub(crate) fn free_port() -> Result<u16, Error> {
    let find = || Error::system("find a free port");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(find())?;
    Ok(listener.local_addr().map_err(find())?.port())
}

/// Copies a folder of text files, with some words changed in all of them.
pub(crate) fn copy(from: &Path, to: &Path, changes: &[(&str, String)]) -> Result<(), Error> {
    let failed = |path: &Path| Error::system(format!("copy {}", path.display()));
    fs::create_dir_all(to).map_err(failed(to))?;
    for entry in from.read_dir().map_err(failed(from))? {
        let path = entry.map_err(failed(from))?.path();
        let copy_of = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &copy_of, changes)?;
            continue;
        }
        let mut text = fs::read_to_string(&path).map_err(failed(&path))?;
        for (word, other) in changes {
            text = text.replace(word, other);
        }
        fs::write(&copy_of, text).map_err(failed(&copy_of))?;
    }
    Ok(())
}
