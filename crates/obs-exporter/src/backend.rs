//! The two recorders an exporter can have.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use obs_core::{Admission, Catalogue, cells};
use obs_recorder::{Builder, Engine, Format, Heartbeat, HeartbeatOptions, MemoryOptions, Names};

use crate::config::RecorderKind;
#[cfg(feature = "page")]
use crate::page::Filed;
#[cfg(feature = "stock")]
use crate::stock::Stock;
use crate::upkeep::Upkeep;
use crate::warnings::Warnings;
use crate::{AppInfo, Config, ExporterError};

/// What a scrape reads.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Obs(Engine),
    #[cfg(feature = "stock")]
    Stock(Stock),
}

/// What records.
pub(crate) struct Recording {
    inner: Inner,
    /// Upkeep goes on for as long as something can be registered here, even when nobody holds the exporter any more.
    _upkeep: Arc<Upkeep>,
}

enum Inner {
    Obs(Engine),
    #[cfg(feature = "stock")]
    Stock(Box<dyn Recorder + Send + Sync>),
}

impl Inner {
    fn recorder(&self) -> &dyn Recorder {
        match self {
            Self::Obs(engine) => engine,
            #[cfg(feature = "stock")]
            Self::Stock(recorder) => recorder,
        }
    }
}

impl Backend {
    /// Makes the recorder that the configuration asks for, what reads it, and its upkeep.
    pub(crate) fn build(
        #[cfg_attr(
            not(feature = "page"),
            expect(unused_variables, reason = "it is said with the catalogue")
        )]
        app: &AppInfo,
        config: &Config,
        catalogue: &Catalogue,
        global_labels: &[(&str, &str)],
        foreign: &BTreeMap<&'static str, &'static [f64]>,
        warnings: &Arc<Warnings>,
    ) -> Result<(Recording, Self, Arc<Upkeep>), ExporterError> {
        let (inner, backend) = match config.recorder {
            RecorderKind::Obs => {
                let mut builder = engine(config, catalogue, global_labels, foreign)
                    .created(config.created)
                    .native_histograms(config.native_histograms)
                    .reserve_native_cells(config.reserve_native_cells)
                    .utf8_names(config.utf8_names);
                if let Some(idle) = config.idle_timeout {
                    builder = builder.idle(idle);
                }
                if let Some(slots) = config.recorder_slots {
                    builder = builder.slots(slots);
                }
                if let Some(path) = &config.memory {
                    builder = builder.memory(own_path(path), MemoryOptions::default());
                }
                let engine = builder.build()?;
                (Inner::Obs(engine.clone()), Self::Obs(engine))
            }
            #[cfg(not(feature = "stock"))]
            RecorderKind::Stock => {
                return Err(crate::config::features::missing("OBS_RECORDER", "stock"));
            }
            #[cfg(feature = "stock")]
            RecorderKind::Stock => {
                refuse_what_stock_has_not(config)?;
                let (recorder, stock) = Stock::build(config, catalogue, global_labels, foreign)?;
                (Inner::Stock(Box::new(recorder)), Self::Stock(stock))
            }
        };
        let (kept, warnings) = (backend.clone(), Arc::clone(warnings));
        #[cfg(feature = "page")]
        let mut filed = Filed::new(app, config, catalogue);
        #[cfg(feature = "page")]
        let mut say = move |backend: &Self| {
            if let (Some(filed), Self::Obs(engine)) = (&mut filed, backend) {
                filed.say(engine);
            }
        };
        // A reader of the file has it from the start.
        #[cfg(feature = "page")]
        say(&backend);
        let upkeep = Arc::new(Upkeep::start(
            "obs-upkeep",
            config.upkeep_interval,
            move || {
                kept.upkeep();
                #[cfg(feature = "page")]
                say(&kept);
                if let Some(why) = kept.memory_lost() {
                    warnings.memory_is_lost(&why);
                }
                warnings.say(kept.admission());
            },
        )?);
        let recording = Recording {
            inner,
            _upkeep: Arc::clone(&upkeep),
        };
        Ok((recording, backend, upkeep))
    }

    /// Appends everything recorded, and says in which format: the stock recorder has the classic one only.
    pub(crate) fn render_into(&self, out: &mut String, format: Format, names: Names) {
        match self {
            Self::Obs(engine) => engine.render_named_into(out, format, names),
            #[cfg(feature = "stock")]
            Self::Stock(stock) => stock.render_into(out),
        }
    }

    /// The format in which it answers a request for this one.
    pub(crate) fn offered(&self, wanted: Format) -> Format {
        match self {
            Self::Obs(_) => wanted,
            #[cfg(feature = "stock")]
            Self::Stock(_) => Format::Classic,
        }
    }

    /// Why something is not in the mapped file; nothing while all is, or where there is none.
    pub(crate) fn memory_lost(&self) -> Option<String> {
        match self {
            Self::Obs(engine) => engine.memory_lost(),
            #[cfg(feature = "stock")]
            Self::Stock(_) => None,
        }
    }

    /// The sign of life of a loop.
    pub(crate) fn heartbeat(
        &self,
        name: &str,
        options: HeartbeatOptions,
    ) -> Result<Heartbeat, ExporterError> {
        match self {
            Self::Obs(engine) => Ok(engine.heartbeat(name, options)?),
            #[cfg(feature = "stock")]
            Self::Stock(_) => Ok(Heartbeat::unwatched()),
        }
    }

    /// What is known of the families.
    pub(crate) fn admission(&self) -> &Admission {
        match self {
            Self::Obs(engine) => engine.admission(),
            #[cfg(feature = "stock")]
            Self::Stock(stock) => stock.admission(),
        }
    }

    fn upkeep(&self) {
        match self {
            Self::Obs(engine) => engine.upkeep(),
            #[cfg(feature = "stock")]
            Self::Stock(stock) => stock.upkeep(),
        }
    }
}

/// The path of this process' file.
fn own_path(path: &Path) -> PathBuf {
    const PID: &str = "{pid}";
    match path.to_str() {
        Some(text) if text.contains(PID) => {
            text.replace(PID, &std::process::id().to_string()).into()
        }
        _ => path.to_path_buf(),
    }
}

/// An engine with what both recorders have settings for.
pub(crate) fn engine(
    config: &Config,
    catalogue: &Catalogue,
    global_labels: &[(&str, &str)],
    foreign: &BTreeMap<&'static str, &'static [f64]>,
) -> Builder {
    let mut builder = Engine::builder()
        .catalogue(catalogue.clone())
        .quantile_window(config.quantile_window)
        .undeclared_families(config.undeclared_families);
    for (key, value) in global_labels {
        builder = builder.global_label(key, value);
    }
    for (name, bounds) in foreign {
        builder = builder.buckets(name, bounds);
    }
    builder
}

#[cfg(feature = "stock")]
fn refuse_what_stock_has_not(config: &Config) -> Result<(), ExporterError> {
    let refused = [
        (
            config.idle_timeout.is_some(),
            "OBS_IDLE_TIMEOUT_SECONDS",
            "the stock one would lose what is recorded on a handle that is kept",
        ),
        (
            config.created,
            "OBS_CREATED",
            "the stock one does not keep when a series began",
        ),
        (
            config.native_histograms,
            "OBS_NATIVE_HISTOGRAMS",
            "the stock one has declared buckets only",
        ),
        (
            config.memory.is_some(),
            "OBS_MEMORY",
            "the stock one has no cells that could lie in a file",
        ),
        (
            config.utf8_names,
            "OBS_UTF8_NAMES",
            "the stock one has names that everybody reads",
        ),
    ];
    let first = refused
        .into_iter()
        .find(|(is_asked_for, _, _)| *is_asked_for);
    first.map_or(Ok(()), |(_, setting, reason)| {
        Err(ExporterError::OtherRecorder {
            setting,
            recorder: RecorderKind::Obs,
            reason,
        })
    })
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

impl Recorder for Recording {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.recorder().describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.recorder().describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner.recorder().describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let counter = self.inner.recorder().register_counter(key, metadata);
        self.pass_on();
        counter
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let gauge = self.inner.recorder().register_gauge(key, metadata);
        self.pass_on();
        gauge
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let histogram = self.inner.recorder().register_histogram(key, metadata);
        self.pass_on();
        histogram
    }
}

impl Recording {
    /// Offers the cell that our own engine has offered: the handles are its own.
    fn pass_on(&self) {
        match &self.inner {
            Inner::Obs(engine) => cells::pass_on(self, engine),
            #[cfg(feature = "stock")]
            Inner::Stock(_) => {}
        }
    }
}
