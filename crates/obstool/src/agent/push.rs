//! Pushing what the files show, to a receiver of OTLP and to a Pushgateway: the numbers of processes that must not open a socket, or
//! are dead, reach those that nothing scrapes for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use obs_memory::Labels;
use obs_push::{
    Begin, Fate, Otlp, OtlpOptions, Program, Progress, Report, Schedule, Source, Temporality,
};
use obs_recorder::FamilySnapshot;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::families::ReceiverName;
use super::state::{Left, State, Store};
use super::switch::Shown;
use super::watch::{Remembered, Watched, now};
use super::{lock, text, values};
use crate::Error;
use crate::client::secret;

/// What was sent, beside the files.
const STATE: &str = "obstool-agent.state";

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
    /// Where it is kept what was sent with `delta`, so that an agent after this one neither loses nor repeats anything;
    /// `obstool-agent.state` beside the files unless given.
    #[arg(long, value_name = "FILE", requires = "otlp_url")]
    state: Option<PathBuf>,
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
    keeping: Option<Keeping>,
    begin: Begin,
    remembered: Remembered,
}

/// What is kept of what was sent.
struct Keeping {
    store: Store,
    /// What is in the file.
    state: State,
    is_failing: bool,
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
    keeping: Option<Arc<Mutex<Keeping>>>,
    /// What the files held when they were read last, until that is kept.
    read: Arc<Mutex<Remembered>>,
    begin: Arc<Mutex<Begin>>,
}

impl Receivers {
    /// Holds what is configured to what can be pushed to; none where nothing is. `address` is where the agent serves.
    pub(super) fn open(
        &self,
        address: SocketAddr,
        places: &[PathBuf],
    ) -> Result<Option<Pushing>, Error> {
        let (otlp, gateway) = (self.otlp()?, self.gateway()?);
        if otlp.is_none() && gateway.is_none() {
            return Ok(None);
        }
        let instance = self.otlp_instance.clone();
        let (mut begin, mut remembered) = (Begin::Unknown, Remembered::default());
        let mut keeping = None;
        if let Some((store, left)) = self.store(otlp.is_some(), places)? {
            let mut state = State::default();
            match left {
                Left::Nothing => begin = Begin::Anew,
                Left::Unreadable(why) => anstream::eprintln!(
                    "{} does not say what was sent: {why}; what was counted before is left out, and it is written anew",
                    store.path().display()
                ),
                Left::State(left) => {
                    state = *left;
                    remembered = state.remembered.clone();
                    begin = Begin::Resumed {
                        families: values::of_processes(&remembered.sum().families).collect(),
                        collected: state.collected,
                        waiting: state.waiting.clone(),
                    };
                }
            }
            keeping = Some(Keeping {
                store,
                state,
                is_failing: false,
            });
        }
        Ok(Some(Pushing {
            keeping,
            begin,
            remembered,
            service: self.service.clone(),
            instance: instance.unwrap_or_else(|| obs_push::instance(address)),
            otlp,
            gateway,
        }))
    }

    /// Where it is kept what was sent; none where whole values are.
    fn store(&self, has_otlp: bool, places: &[PathBuf]) -> Result<Option<(Store, Left)>, Error> {
        if !has_otlp || self.otlp_temporality != Temporality::Delta {
            if self.state.is_some() {
                return Err(Error::Usage(
                    "--state is for differences alone; give --otlp-temporality delta, or leave it out",
                ));
            }
            return Ok(None);
        }
        if let Some(path) = &self.state {
            return Store::open(path).map(Some);
        }
        let Some(place) = places.first() else {
            return Ok(None);
        };
        let path = if place.is_dir() {
            place.join(STATE)
        } else {
            place.with_file_name(STATE)
        };
        // An agent that may not write beside the files goes on as well as it can.
        Ok(Store::open(&path)
            .inspect_err(|error| {
                anstream::eprintln!(
                    "{error}; without one, what processes count while no agent runs is not pushed"
                );
            })
            .ok())
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
    /// What an agent before this one has read.
    pub(super) fn take_remembered(&mut self) -> Remembered {
        std::mem::take(&mut self.remembered)
    }

    /// Pushes until the process is asked to end by SIGTERM or SIGINT, and then once more.
    pub(super) fn run(mut self, mut files: Files) -> Result<bool, Error> {
        files.go_on(self.keeping.take(), std::mem::take(&mut self.begin));
        let cannot = |source| Error::Pushing { source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot)?;
        runtime.block_on(self.push(&files)).map_err(cannot)?;
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
            keeping: None,
            read: Arc::default(),
            begin: Arc::new(Mutex::new(Begin::Unknown)),
        }
    }

    /// Goes on where an agent before this one ended, and keeps what is sent.
    fn go_on(&mut self, keeping: Option<Keeping>, begin: Begin) {
        if let Begin::Resumed {
            families,
            collected,
            ..
        } = &begin
        {
            *lock(&self.starts) = Starts::after(families, collected / 1_000_000);
        }
        self.begin = Arc::new(Mutex::new(begin));
        self.keeping = keeping.map(|keeping| Arc::new(Mutex::new(keeping)));
    }

    fn text(&self) -> String {
        let look = lock(&self.watched).look();
        text::write(&look, &self.shown.get())
    }

    fn values(&self) -> Vec<FamilySnapshot> {
        let time = now();
        let look = {
            let mut watched = lock(&self.watched);
            let look = watched.look();
            if self.keeping.is_some() {
                *lock(&self.read) = watched.remembered();
            }
            look
        };
        let mut families = values::of(&look, &self.shown.get());
        lock(&self.starts).keep(&mut families, time);
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
        if report.fate == Fate::Ended && self.keeping.is_some() {
            anstream::eprintln!(
                "OTLP's receiver has not taken everything: {url}: {problem}; the next agent sends what waits"
            );
            return;
        }
        anstream::eprintln!("{report}: {url}: {problem}{repair}");
    }

    fn begins(&self) -> Begin {
        std::mem::take(&mut *lock(&self.begin))
    }

    async fn keep(&self, progress: Progress) {
        let Some(keeping) = self.keeping.clone() else {
            return;
        };
        let is_new = progress.collected.is_some();
        let read = is_new.then(|| std::mem::take(&mut *lock(&self.read)));
        let work = move || lock(&keeping).keep(progress, read);
        // It is left out when the runtime ends, and only then.
        let _ = tokio::task::spawn_blocking(work).await;
    }
}

impl Keeping {
    fn keep(&mut self, progress: Progress, read: Option<Remembered>) {
        if let Some((collected, read)) = progress.collected.zip(read) {
            self.state.collected = collected;
            self.state.remembered = read;
        }
        self.state.waiting = progress.waiting;
        match self.store.write(&self.state) {
            Ok(()) => self.is_failing = false,
            // Once is enough for each time that there is no room.
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    anstream::eprintln!(
                        "cannot keep what was sent in {}: {error}; if this agent is ended now, the next one sends some of it again",
                        self.store.path().display()
                    );
                }
            }
        }
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
    /// Those of what was pushed last, at a time in milliseconds since 1970.
    fn after(families: &[FamilySnapshot], looked: u64) -> Self {
        let series = families.iter().flat_map(|family| {
            let series = family.series.iter();
            series.map(|series| ((family.name.clone(), series.labels.clone()), series.began))
        });
        Self {
            of: series.collect(),
            looked,
        }
    }

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
