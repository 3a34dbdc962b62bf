//! Pushing what the files show, to a receiver of OTLP and to a Pushgateway: the numbers of processes that must not open a socket, or
//! are dead, reach those that nothing scrapes for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use obs_memory::Labels;
use obs_push::{Fate, Otlp, OtlpOptions, Program, Report, Schedule, Source, Temporality};
use obs_recorder::FamilySnapshot;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::families::ReceiverName;
use super::switch::Shown;
use super::watch::{Watched, now};
use super::{lock, text, values};
use crate::Error;
use crate::client::secret;

/// Where it pushes, under the names that `obs-exporter` has for the same.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pushing")]
pub(super) struct Receivers {
    /// What pushes: the job at a Pushgateway, and `service.name` over OTLP.
    #[arg(
        long,
        value_name = "NAME",
        env = "OBS_SERVICE",
        default_value = "obstool-agent"
    )]
    service: String,
    /// A receiver of OTLP over HTTP, such as `http://127.0.0.1:4318`, to which everything is pushed.
    #[arg(long, value_name = "URL", env = "OBS_OTLP_URL", hide_env_values = true)]
    otlp_url: Option<String>,
    /// How many seconds after an interval was collected the next one is.
    #[arg(long, value_name = "SECONDS", env = "OBS_OTLP_INTERVAL_SECONDS", default_value = "15", value_parser = seconds)]
    otlp_interval: Duration,
    /// `cumulative`, or `delta` for what was added since it was last sent.
    #[arg(long, value_name = "KIND", env = "OBS_OTLP_TEMPORALITY", default_value = "cumulative", value_parser = temporality)]
    otlp_temporality: Temporality,
    /// The attribute `service.instance.id`; the name of the host and the port that is served at unless given.
    #[arg(
        long,
        value_name = "TEXT",
        env = "OBS_OTLP_INSTANCE",
        requires = "otlp_url"
    )]
    otlp_instance: Option<String>,
    /// The file with headers of every request, as `OBS_OTLP_HEADERS` may have them itself: `name=value` between commas.
    #[arg(
        long,
        value_name = "FILE",
        env = "OBS_OTLP_HEADERS_FILE",
        requires = "otlp_url"
    )]
    otlp_headers_file: Option<PathBuf>,
    /// The file with the authorities to trust with `https`, in PEM; those of the system unless given.
    #[arg(long, value_name = "FILE", env = "OBS_OTLP_CA", requires = "otlp_url")]
    otlp_ca: Option<PathBuf>,
    /// A Pushgateway, `http://host[:port][/prefix]`, to which everything is pushed.
    #[arg(long, value_name = "URL", env = "OBS_PUSH_URL", hide_env_values = true)]
    pushgateway: Option<String>,
    /// How many seconds after a push to the Pushgateway the next one is made.
    #[arg(long, value_name = "SECONDS", env = "OBS_PUSH_INTERVAL_SECONDS", default_value = "15", value_parser = seconds)]
    push_interval: Duration,
    /// The label `instance` at the Pushgateway. Agents of several machines that push to one need one each.
    #[arg(
        long,
        value_name = "TEXT",
        env = "OBS_PUSH_INSTANCE",
        requires = "pushgateway"
    )]
    push_instance: Option<String>,
    /// Another label by which the Pushgateway groups; may be given several times.
    #[arg(long = "push-label", value_name = "NAME=VALUE", value_parser = label, requires = "pushgateway")]
    push_labels: Vec<(String, String)>,
    /// The file with the user and password for the Pushgateway, as `user:password`; `OBS_PUSH_BASIC_AUTH` may have them itself.
    #[arg(
        long,
        value_name = "FILE",
        env = "OBS_PUSH_BASIC_AUTH_FILE",
        requires = "pushgateway"
    )]
    push_basic_auth_file: Option<PathBuf>,
}

/// What pushes.
pub(super) struct Pushing {
    service: String,
    instance: String,
    otlp: Option<Otlp>,
    gateway: Option<Gateway>,
}

/// A Pushgateway.
struct Gateway {
    push: obs_push::Push,
    interval: Duration,
    credentials: Option<PathBuf>,
}

/// The files, as what is pushed.
#[derive(Clone)]
pub(super) struct Files {
    watched: Arc<Mutex<Watched>>,
    shown: Shown,
    starts: Arc<Mutex<Starts>>,
}

impl Receivers {
    /// Holds what is configured to what can be pushed to; none where nothing is. `address` is where the agent serves.
    pub(super) fn open(&self, address: SocketAddr) -> Result<Option<Pushing>, Error> {
        let (otlp, gateway) = (self.otlp()?, self.gateway()?);
        if otlp.is_none() && gateway.is_none() {
            return Ok(None);
        }
        let instance = self.otlp_instance.clone();
        Ok(Some(Pushing {
            service: self.service.clone(),
            instance: instance.unwrap_or_else(|| obs_push::instance(address)),
            otlp,
            gateway,
        }))
    }

    fn otlp(&self) -> Result<Option<Otlp>, Error> {
        let Some(url) = given(self.otlp_url.as_ref()) else {
            return Ok(None);
        };
        let mut options = OtlpOptions::to(url);
        options.headers = held("OBS_OTLP_HEADERS", self.otlp_headers_file.as_ref())?;
        options.authorities.clone_from(&self.otlp_ca);
        options.interval = self.otlp_interval;
        options.temporality = self.otlp_temporality;
        options.program = Program {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        };
        Ok(Some(Otlp::new(options)?))
    }

    fn gateway(&self) -> Result<Option<Gateway>, Error> {
        let Some(url) = given(self.pushgateway.as_ref()) else {
            return Ok(None);
        };
        let mut push = obs_push::Push::to_pushgateway(url, &self.service).attempts(1);
        if let Some(instance) = &self.push_instance {
            push = push.label("instance", instance);
        }
        for (name, value) in &self.push_labels {
            push = push.label(name, value);
        }
        let credentials = self.push_basic_auth_file.clone();
        if let Some(text) = held("OBS_PUSH_BASIC_AUTH", credentials.as_ref())? {
            push = push.basic_auth(text);
        }
        push.check()?;
        Ok(Some(Gateway {
            push,
            interval: self.push_interval,
            credentials,
        }))
    }
}

/// A variable that is there and empty says nothing.
fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// A secret, in a variable or in a file.
fn held(variable: &str, file: Option<&PathBuf>) -> Result<Option<String>, Error> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    match (text, file) {
        (Some(_), Some(_)) => Err(Error::Usage(
            "credentials are given twice: by a variable and by a file; unset one of them",
        )),
        (Some(text), None) => Ok(Some(text)),
        (None, Some(file)) => Ok(Some(secret(file)?)),
        (None, None) => Ok(None),
    }
}

/// Takes a time as the exporter does.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("expected a number of seconds from 0.001 to 86400")
}

fn temporality(text: &str) -> Result<Temporality, &'static str> {
    [Temporality::Cumulative, Temporality::Delta]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or("expected `cumulative` or `delta`")
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Pushing {
    /// Pushes until the process is asked to end by SIGTERM or SIGINT, and then once more.
    pub(super) fn run(self, files: &Files) -> Result<bool, Error> {
        let cannot = |source| Error::Pushing { source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot)?;
        runtime.block_on(self.push(files)).map_err(cannot)?;
        Ok(true)
    }

    async fn push(self, files: &Files) -> std::io::Result<()> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let (running, stopped) = watch::channel(());
        let asked = async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            drop(running);
        };
        let resource = [
            ("service.name", self.service.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.instance),
            ("telemetry.sdk.name", "obs"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let (otlp, gateway) = (self.otlp, self.gateway);
        let over_otlp = async {
            if let Some(otlp) = otlp {
                files.not_taken(ReceiverName::Otlp, 0);
                otlp.run(&resource, files.clone(), stopped.clone()).await;
            }
        };
        let to_the_gateway = async {
            if let Some(gateway) = gateway {
                files.not_taken(ReceiverName::Pushgateway, 0);
                gateway.run(files, stopped.clone()).await;
            }
        };
        tokio::join!(asked, over_otlp, to_the_gateway);
        Ok(())
    }
}

impl Gateway {
    /// Pushes at once, after every interval, and when `stopped` has no sender any more.
    async fn run(self, files: &Files, stopped: watch::Receiver<()>) {
        let mut schedule = Schedule::new(self.interval, stopped);
        let mut is_away = false;
        while schedule.next().await {
            let Err(error) = self.push(files).await else {
                is_away = false;
                continue;
            };
            files.not_taken(ReceiverName::Pushgateway, 1);
            // Once is enough for each outage; the next push carries everything.
            if !std::mem::replace(&mut is_away, true) {
                anstream::eprintln!("{error}");
            }
        }
    }

    async fn push(&self, files: &Files) -> Result<(), Error> {
        let mut push = self.push.clone();
        if let Some(path) = &self.credentials {
            push = push.basic_auth(secret(path)?);
        }
        let own = files.clone();
        let text = tokio::task::spawn_blocking(move || own.text()).await;
        // There is none when the runtime ends.
        if let Ok(text) = text {
            push.send(text).await?;
        }
        Ok(())
    }
}

impl Files {
    pub(super) fn new(watched: &Arc<Mutex<Watched>>, shown: &Shown) -> Self {
        Self {
            watched: Arc::clone(watched),
            shown: shown.clone(),
            starts: Arc::default(),
        }
    }

    fn text(&self) -> String {
        let look = lock(&self.watched).look();
        text::write(&look, &self.shown.get())
    }

    fn values(&self) -> Vec<FamilySnapshot> {
        let time = now();
        let look = lock(&self.watched).look();
        let mut families = values::of(&look, &self.shown.get());
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.keep(&mut families, time);
        families
    }

    /// Counts so many pushes that were not taken.
    fn not_taken(&self, receiver: ReceiverName, times: u64) {
        lock(&self.watched).push_failed(receiver, times);
    }
}

impl Source for Files {
    async fn read<T: Send + 'static>(
        &self,
        encode: impl FnOnce(&[FamilySnapshot]) -> T + Send + 'static,
    ) -> Option<T> {
        let own = self.clone();
        let work = move || encode(&own.values());
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn failed(&self, report: &Report<'_>) {
        self.not_taken(ReceiverName::Otlp, 1);
        if report.fate == (Fate::Waits { again: true }) {
            return;
        }
        let Report {
            url,
            problem,
            repair,
            ..
        } = *report;
        let repair = if repair.is_empty() {
            String::new()
        } else {
            format!("; {repair}")
        };
        anstream::eprintln!("{report}: {url}: {problem}{repair}");
    }

    /// An agent before this one may have sent it.
    fn continues(&self) -> bool {
        true
    }
}

/// Since when each series has been counted, by what was pushed of it.
///
/// The start of a series is that of the first process that has it. An older process can come later, when its file is moved here, and the
/// oldest can remove its part of a series that others still have. Neither is a new start, which a receiver would take for a reset.
#[derive(Debug, Default)]
struct Starts {
    of: HashMap<(String, Labels), u64>,
    /// When this was last looked at, in milliseconds since 1970.
    looked: u64,
}

impl Starts {
    /// Gives each series the start it was first pushed with, unless all that it counts began after the last look.
    fn keep(&mut self, families: &mut [FamilySnapshot], time: u64) {
        let mut before = std::mem::take(&mut self.of);
        for family in families {
            for series in &mut family.series {
                let key = (family.name.clone(), series.labels.clone());
                let known = before.remove(&key);
                if let Some(start) = known.filter(|_| series.began <= self.looked) {
                    series.began = start;
                }
                self.of.insert(key, series.began);
            }
        }
        self.looked = time;
    }
}

#[cfg(test)]
mod tests {
    use obs_core::Kind;
    use obs_recorder::{SeriesSnapshot, SeriesValue};

    use super::*;

    /// What a series that began at a time is said to have begun at.
    fn kept(starts: &mut Starts, began: Option<u64>, time: u64) -> Option<u64> {
        let mut family = FamilySnapshot::new("orders_total", Kind::Counter);
        let value = SeriesValue::Counter {
            number: 1,
            decimals: 0,
        };
        let series = began.map(|began| SeriesSnapshot::new(Vec::new(), began, value));
        family.series.extend(series);
        let mut families = [family];
        starts.keep(&mut families, time);
        families[0].series.first().map(|series| series.began)
    }

    #[test]
    fn a_start_is_kept_unless_all_of_a_series_is_new() {
        let mut starts = Starts::default();
        assert_eq!(kept(&mut starts, Some(500), 1000), Some(500));
        // An older process has come, and has gone.
        assert_eq!(kept(&mut starts, Some(300), 2000), Some(500));
        assert_eq!(kept(&mut starts, Some(900), 3000), Some(500));
        // It was removed and recorded to again between two looks.
        assert_eq!(kept(&mut starts, Some(3500), 4000), Some(3500));
        assert_eq!(kept(&mut starts, Some(3500), 5000), Some(3500));
        // It was gone for a look.
        assert_eq!(kept(&mut starts, None, 6000), None);
        assert_eq!(kept(&mut starts, Some(3200), 7000), Some(3200));
    }

    #[test]
    fn settings_are_those_of_the_exporter() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "86401", "NaN", "15s", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(temporality("delta"), Ok(Temporality::Delta));
        assert_eq!(temporality("cumulative"), Ok(Temporality::Cumulative));
        assert!(temporality("Delta").is_err());
        let parted = label("site=a=b").unwrap();
        assert_eq!(parted, ("site".to_owned(), "a=b".to_owned()));
        assert!(label("site").is_err());
    }
}
