//! Setting the recorder up, and rendering what it holds.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "page")]
use std::time::Duration;
use std::time::Instant;

use metrics::Recorder;
#[cfg(any(feature = "push", feature = "otlp"))]
use obs_core::Severity;
use obs_core::{Catalogue, Families, Family, Warning};
#[cfg(feature = "otlp")]
use obs_recorder::FamilySnapshot;
use obs_recorder::{Engine, Format, Heartbeat, HeartbeatOptions, Names};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Access;
use crate::backend::Backend;
use crate::blocking::BlockingServer;
use crate::own::{self, Own};
use crate::refusals::Refusals;
use crate::runtime::{Rendered, off_workers};
use crate::server::gzip;
use crate::upkeep::Upkeep;
use crate::warnings::Warnings;
use crate::{AppInfo, Config, ExporterError, Mode, Server};
#[cfg(feature = "push")]
use crate::{Push, push};

/// What is rendered for a request.
#[derive(Clone, Copy)]
pub(crate) enum Scrape {
    Text(Format, Names),
    /// The same as one gzip member.
    Gzip(Format, Names),
    /// What all viewers of the page share.
    #[cfg(feature = "page")]
    Live,
    /// Protobuf, which our own recorder alone has.
    Messages {
        names: Names,
        gzipped: bool,
    },
}

/// What a scrape reads: everything recorded since [`install`](Builder::install), rendered and served.
///
/// Clones are handles to the same exporter. Dropping the last one ends nothing that records: an installed recorder stays,
/// and its upkeep with it, for as long as the process runs.
#[derive(Clone)]
pub struct Exporter(Arc<Inner>);

struct Inner {
    #[cfg(any(feature = "push", feature = "otlp"))]
    app: AppInfo,
    config: Config,
    backend: Backend,
    own: Own,
    hooks: Mutex<Vec<Hook>>,
    /// When the hooks were last called, by the clock that does not jump.
    read: Mutex<Option<Instant>>,
    /// Held while rendering, so that there is one at a time. Its memory serves every scrape anew.
    text: Mutex<String>,
    /// Where requests wait for their turn without holding a thread.
    turn: Arc<Semaphore>,
    /// As many places as there may be scrapes under way, those that are being sent among them.
    places: Arc<Semaphore>,
    access: Access,
    refusals: Arc<Refusals>,
    #[cfg(feature = "page")]
    page: crate::page::Page,
    catalogue: Catalogue,
    warnings: Arc<Warnings>,
    _upkeep: Arc<Upkeep>,
}

type Hook = Arc<dyn Fn() + Send + Sync>;

thread_local! {
    /// Which exporter's readings this thread runs, by where it lies.
    static READING: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Puts an [`Exporter`] together; made by [`Exporter::builder`].
#[derive(Debug)]
#[must_use = "nothing records until the exporter is installed"]
pub struct Builder {
    app: AppInfo,
    config: Config,
    catalogues: Vec<Catalogue>,
    /// Of histograms of other people's code.
    buckets: BTreeMap<&'static str, &'static [f64]>,
    #[cfg(feature = "opentelemetry")]
    traces: bool,
}

impl Builder {
    /// Takes settings; the defaults of [`Config`] unless called.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Adds the families of a struct that [`families!`](obs_core::families!) declares: what may be exported, whether or not its
    /// handles are resolved.
    pub fn families<F: Families>(self) -> Self {
        self.catalogue(Catalogue::of(&[F::FAMILIES]))
    }

    /// Adds families. May be called for each crate of a program; the exporter's own families, and those of `obs-core`, are
    /// in already.
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogues.push(catalogue);
        self
    }

    /// Gives buckets to a histogram of other people's code, under whatever name that records it; our own are declared. Without
    /// them it is a summary, unless its name ends in a unit.
    ///
    /// ```
    /// let builder = obs_exporter::Exporter::builder(obs_exporter::app_info!())
    ///     .buckets("hyper.request.duration", &[0.001, 0.01, 0.1]);
    /// # drop(builder);
    /// ```
    pub fn buckets(mut self, name: &'static str, bounds: &'static [f64]) -> Self {
        self.buckets.insert(name, bounds);
        self
    }

    /// Has the families that declare `exemplars` name the trace of the current OpenTelemetry span beside an observation, if the
    /// trace is sampled. The spans of `tracing` are among them where `tracing-opentelemetry` is installed, which puts their
    /// context in force by default (`with_context_activation` changes that).
    ///
    /// They are shown to a scraper that asks for `OpenMetrics`. Recording to other families costs nothing more. Where a
    /// [source](crate::set_trace_id_source) was set before, that stays.
    #[cfg(feature = "opentelemetry")]
    pub fn exemplars_from_opentelemetry(mut self) -> Self {
        self.traces = true;
        self
    }

    /// Installs the recorder for the whole process. Handles made before stay without effect for ever: install first. If there are
    /// such, a warning names the places that built them, and `obs_dead_handles` counts them.
    ///
    /// # Errors
    ///
    /// When the process has a recorder already, when a setting is out of range or the file of a credential cannot be used,
    /// when two families share a name, or when no thread can be started.
    pub fn install(self) -> Result<Exporter, ExporterError> {
        let (recorder, exporter) = self.build()?;
        obs_core::install(recorder)?;
        exporter.0.own.found_dead(obs_core::dead_handles());
        exporter.0.warnings.install();
        Ok(exporter)
    }

    /// Makes the recorder and its exporter without installing them, for tests and for several exporters in one process.
    ///
    /// What is built under [`obs_core::with_recorder`] with that recorder is shown by the exporter.
    ///
    /// # Errors
    ///
    /// Those of [`install`](Self::install), but for a recorder that is installed already.
    pub fn build(self) -> Result<(impl Recorder + Send + Sync + 'static, Exporter), ExporterError> {
        self.config.check()?;
        let access = Access::new(&self.config)?;
        #[cfg(feature = "opentelemetry")]
        if self.traces {
            // The first source of a process stays, and is as good.
            let _ = obs_recorder::set_trace_id_source(crate::trace::current);
        }
        let own = own::catalogue()?;
        let catalogue = Catalogue::join(std::iter::once(own).chain(self.catalogues))?;

        refuse_owned_labels(&self.config, &catalogue)?;
        let global_labels = global_labels(&self.app, &self.config);
        let warnings = Arc::new(Warnings::default());
        let (recorder, backend, upkeep) = Backend::build(
            &self.app,
            &self.config,
            &catalogue,
            &global_labels,
            &self.buckets,
            &warnings,
        )?;

        let handles = || {
            let own = Own::new(&self.app, &self.config);
            (own, Refusals::new())
        };
        let (own, refusals) = metrics::with_local_recorder(&recorder, handles);
        // A reader of the file sees it before the first scrape.
        own.memory_is_mapped(backend.memory_lost().is_none());
        let places = Semaphore::new(self.config.max_scrapes);
        let exporter = Exporter(Arc::new(Inner {
            #[cfg(any(feature = "push", feature = "otlp"))]
            app: self.app,
            config: self.config,
            backend,
            own,
            hooks: Mutex::default(),
            read: Mutex::default(),
            text: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            places: Arc::new(places),
            access,
            refusals: Arc::new(refusals),
            #[cfg(feature = "page")]
            page: crate::page::Page::new(self.app),
            catalogue,
            warnings,
            _upkeep: upkeep,
        }));
        Ok((recorder, exporter))
    }
}

impl Exporter {
    /// Starts with what program this is; see [`app_info!`](crate::app_info!).
    pub fn builder(app: AppInfo) -> Builder {
        Builder {
            app,
            config: Config::default(),
            catalogues: Vec::new(),
            buckets: BTreeMap::new(),
            #[cfg(feature = "opentelemetry")]
            traces: false,
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Has `read` called right before each rendering, to set gauges whose values are kept elsewhere: the size of a pool, the
    /// depth of a queue.
    ///
    /// Calls are made one at a time, outside of async workers, and may block for as long as a scrape may take. One that
    /// panics leaves its values as they are and does not harm the scrape; it is counted in `errors_total` as `reading_panicked` of
    /// the component `exporter`. It must not render: that panics, where it
    /// would wait for itself.
    pub fn on_scrape(&self, read: impl Fn() + Send + Sync + 'static) {
        lock(&self.0.hooks).push(Arc::new(read));
    }

    /// The sign of life of a loop: `obstool agent` sees in the file of `OBS_MEMORY` that it hangs, shows for how long, and has a command
    /// run once. Where there is no file, nobody sees it and it costs nothing.
    ///
    /// The loop beats by itself, whenever it goes round; the first beat arms the watch. A loop that waits for events waits with a limit
    /// below its time-out, and beats then too.
    ///
    /// ```
    /// use obs_exporter::{Exporter, HeartbeatOptions};
    /// use std::time::Duration;
    ///
    /// let (_recorder, exporter) = Exporter::builder(obs_exporter::app_info!()).build()?;
    /// let options = HeartbeatOptions::default().timeout(Duration::from_millis(500));
    /// let quotes = exporter.heartbeat("quotes", options)?;
    /// for _quote in [101.25, 101.5] {
    ///     quotes.beat();
    ///     // …
    /// }
    /// // Dropped by a planned end, it is not watched any more; by a panic, it is.
    /// drop(quotes);
    /// # Ok::<(), obs_exporter::ExporterError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ExporterError::Engine`] where a loop of that name is watched already or 32 are, where the name is not one of 1 to 40 bytes, and
    /// where the time-out is not one of 50 ms to an hour, or the grace more than an hour.
    pub fn heartbeat(
        &self,
        name: &str,
        options: HeartbeatOptions,
    ) -> Result<Heartbeat, ExporterError> {
        self.0.backend.heartbeat(name, options)
    }

    /// Everything recorded, in the Prometheus text format, version 0.0.4.
    ///
    /// A large scrape takes milliseconds; an async caller does it in `spawn_blocking`.
    ///
    /// # Panics
    ///
    /// Within a function given to [`on_scrape`](Self::on_scrape), where it would wait for itself.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_as(Format::Classic)
    }

    /// Everything recorded, in this format. The stock recorder has the classic one only, and answers in that.
    ///
    /// # Panics
    ///
    /// As [`render`](Self::render).
    #[must_use]
    pub fn render_as(&self, format: Format) -> String {
        let (_, text) = self.text(format, Names::default());
        text.clone()
    }

    /// The recorder of this workspace, to remove series from or to ask which families nobody declared; none where the
    /// configuration asks for the stock one.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        match &self.0.backend {
            Backend::Obs(engine) => Some(engine),
            #[cfg(feature = "stock")]
            Backend::Stock(_) => None,
        }
    }

    /// The families that are known: those that the builder was given, and those of which handles were resolved since.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        let resolved = self.0.backend.admission().declared();
        let own_name =
            |(name, family): (String, &'static Family)| (name == family.name()).then_some(family);
        self.0
            .catalogue
            .clone()
            .with(resolved.into_iter().filter_map(own_name))
    }

    /// What makes numbers wrong in this process, as far as it is known by now. Each is logged once besides: by `tracing` where that
    /// has a subscriber, to standard error otherwise.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.0.warnings.all(self.0.backend.admission())
    }

    /// Renders, and returns the format it is in with the text, which nobody else renders to while it is held.
    fn text(&self, wanted: Format, names: Names) -> (Format, MutexGuard<'_, String>) {
        self.refuse_within_a_reading();
        let mut text = lock(&self.0.text);
        let start = Instant::now();
        self.refresh();
        let format = self.offered(wanted);
        text.clear();
        self.0.backend.render_into(&mut text, format, names);
        self.0.own.scraped(start.elapsed(), text.len());
        (format, text)
    }

    /// The format that is answered in where this one is wanted.
    pub(crate) fn offered(&self, wanted: Format) -> Format {
        self.0.backend.offered(wanted)
    }

    /// Renders into a text that is packed as a whole. Nothing of it is kept.
    fn compressed(&self, wanted: Format, names: Names) -> Option<Rendered> {
        let (_, text) = self.text(wanted, names);
        let at = Instant::now();
        let body = gzip(text.as_bytes()).ok()?.into();
        Some(Rendered { at, body })
    }

    /// Renders into one gzip member. Our own recorder packs better than what is given a text: it knows what the lines have in common,
    /// and what has changed.
    fn packed(&self, wanted: Format, names: Names) -> Option<Rendered> {
        let Some(engine) = self.engine() else {
            return self.compressed(wanted, names);
        };
        self.refuse_within_a_reading();
        let _alone = lock(&self.0.text);
        let start = Instant::now();
        self.refresh();
        let mut packed = Vec::new();
        let length = engine.render_gzip_into(&mut packed, wanted, names);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.0.own.scraped(start.elapsed(), length);
        Some(Rendered::now(packed))
    }

    /// Renders in protobuf. `None` where the recorder is not our own, and in a fork.
    fn messages(&self, names: Names) -> Option<Vec<u8>> {
        self.refuse_within_a_reading();
        let engine = self.engine()?;
        let _alone = lock(&self.0.text);
        let start = Instant::now();
        self.refresh();
        let mut messages = Vec::new();
        engine.render_protobuf_into(&mut messages, names).ok()?;
        self.0.own.scraped(start.elapsed(), messages.len());
        Some(messages)
    }

    fn refuse_within_a_reading(&self) {
        assert!(
            READING.get() != Some(self.place_in_memory()),
            "a function given to `Exporter::on_scrape` renders, and would wait for the scrape that runs it: set gauges in it, and \
             render elsewhere"
        );
    }

    fn place_in_memory(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Sets what is read when it is asked for. The caller holds the text's lock, so that there is one reading at a time.
    fn refresh(&self) {
        *lock(&self.0.read) = Some(Instant::now());
        self.0.own.refresh(self.0.backend.admission().undeclared());
        let is_mapped = self.0.backend.memory_lost().is_none();
        self.0.own.memory_is_mapped(is_mapped);
        let hooks = lock(&self.0.hooks).clone();
        let before = READING.replace(Some(self.place_in_memory()));
        for hook in hooks {
            // The panic hook has reported it. One faulty reading must not hide all the others.
            if catch_unwind(AssertUnwindSafe(|| hook())).is_err() {
                self.0.own.reading_panicked();
            }
        }
        READING.set(before);
    }

    /// Serves `/metrics`, `/healthz`, and the live page at `/`, at the address of the configuration, until the server is shut
    /// down or dropped. [`Server`] says how long a client may take, [`Config`] how many there may be. Where the configuration names
    /// a Unix socket, a Pushgateway or a receiver of OTLP, it serves and pushes there too.
    ///
    /// # Errors
    ///
    /// When the address cannot be had, such as one in use; when others reach it and nobody is asked who they are; when a
    /// certificate cannot be used; and when there is no Tokio runtime. That has to have its timer enabled, as
    /// `#[tokio::main]` does.
    pub async fn serve(&self) -> Result<Server, ExporterError> {
        Server::start(self).await
    }

    /// The same on a thread of its own, for a program without a Tokio runtime.
    ///
    /// ```
    /// # use obs_exporter::{Config, Exporter, app_info};
    /// # let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
    /// # let (_, exporter) = Exporter::builder(app_info!()).config(config).build()?;
    /// let server = exporter.serve_blocking()?;
    /// println!("metrics at http://{}/metrics", server.local_addr());
    /// // … the program's work …
    /// server.shutdown();
    /// # Ok::<(), obs_exporter::ExporterError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`serve`](Self::serve) but for the lack of a runtime, and when no thread can be started.
    pub fn serve_blocking(&self) -> Result<BlockingServer, ExporterError> {
        BlockingServer::start(self)
    }

    /// Sends everything recorded to a Pushgateway or to `VictoriaMetrics`: the last thing a job does that ends before a scrape
    /// would find it, such as a backtest. What serves until somebody stops it is scraped instead.
    ///
    /// It is rendered once. Where nothing listens, where no answer comes, and where the answer is a status of 500 and above or
    /// 429, it is tried again after a pause, [`Push::ATTEMPTS`] times unless the push says otherwise; any other refusal is final.
    ///
    /// # Errors
    ///
    /// When the push has a URL, job or label that cannot be used, when the last attempt failed, and outside a Tokio runtime. That
    /// has to have its timer and its network enabled, as `#[tokio::main]` does.
    #[cfg(feature = "push")]
    pub async fn push(&self, push: &Push) -> Result<(), ExporterError> {
        push::push(self, push).await
    }

    /// Reads everything as values off the async workers, and passes it to `then` there. `None` when the runtime shuts down meanwhile,
    /// where the recorder is the stock one, and in a fork.
    #[cfg(feature = "otlp")]
    pub(crate) async fn snapshot<T: Send + 'static>(
        &self,
        then: impl FnOnce(&[FamilySnapshot]) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.0.turn).acquire_owned().await.ok()?;
        let exporter = self.clone();
        let work = move || {
            let _turn = turn;
            let families = {
                let _alone = lock(&exporter.0.text);
                exporter.refresh();
                exporter.engine()?.snapshot().ok()?
            };
            Some(then(&families))
        };
        tokio::task::spawn_blocking(work).await.ok().flatten()
    }

    /// What program this is.
    #[cfg(feature = "otlp")]
    pub(crate) fn app(&self) -> &AppInfo {
        &self.0.app
    }

    /// Counts a push that failed.
    #[cfg(any(feature = "push", feature = "otlp"))]
    pub(crate) fn push_failed(&self, severity: Severity) {
        self.0.own.push_failed(severity);
    }

    /// The `service` of every series.
    #[cfg(feature = "push")]
    pub(crate) fn service(&self) -> &str {
        self.0.config.service.as_deref().unwrap_or(self.0.app.name)
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    #[cfg(feature = "page")]
    pub(crate) fn page(&self) -> &crate::page::Page {
        &self.0.page
    }

    /// Keeps a history of figures from now on, where the configuration has a page and a history.
    #[cfg(feature = "page")]
    pub(crate) fn remember(&self) -> Result<(), ExporterError> {
        let config = &self.0.config;
        if !config.page || !config.history || self.engine().is_none() {
            return Ok(());
        }
        let weak = Arc::downgrade(&self.0);
        self.0.page.remember(move || weak.upgrade().map(Exporter))
    }

    /// Takes what declared figures show at a second, as the history of the live page does by itself once in each. Public so that
    /// `cargo xtask gate` can count what it takes; of no use to anybody else.
    #[cfg(feature = "page")]
    #[doc(hidden)]
    pub fn take_history(&self, second: u64) {
        self.0.page.take(self, second);
    }

    /// Sets what is read when it is asked for, where nobody asked for so long.
    #[cfg(feature = "page")]
    pub(crate) fn refresh_after(&self, silence: Duration) {
        let is_due = lock(&self.0.read).is_none_or(|read| read.elapsed() >= silence);
        if is_due {
            let _alone = lock(&self.0.text);
            self.refresh();
        }
    }

    pub(crate) fn refusals(&self) -> &Arc<Refusals> {
        &self.0.refusals
    }

    /// Notes when the first of the endpoint's certificates ends, in seconds since 1970.
    pub(crate) fn certificate_ends(&self, at: f64) {
        self.0.own.certificate_ends(at);
    }

    /// A place among the scrapes under way; none when all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    /// Renders off the async workers, one request at a time. `None` where it cannot be rendered, and when the runtime shuts down
    /// meanwhile.
    pub(crate) async fn scrape(&self, scrape: Scrape) -> Option<Rendered> {
        let turn = Arc::clone(&self.0.turn).acquire_owned().await.ok()?;
        let exporter = self.clone();
        let work = move || {
            // The turn ends with the rendering, not with the request, whose client may go away before.
            let _turn = turn;
            match scrape {
                Scrape::Text(format, names) => {
                    let (_, text) = exporter.text(format, names);
                    Some(Rendered::now(text.clone()))
                }
                Scrape::Gzip(format, names) => exporter.packed(format, names),
                #[cfg(feature = "page")]
                Scrape::Live => exporter.compressed(Format::Classic, Names::default()),
                Scrape::Messages { names, gzipped } => {
                    let messages = exporter.messages(names)?;
                    let at = Instant::now();
                    let body = if gzipped {
                        gzip(&messages).ok()?
                    } else {
                        messages
                    };
                    let body = body.into();
                    Some(Rendered { at, body })
                }
            }
        };
        off_workers(Box::new(work)).await
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Refuses a label of every series that a family has too: the family's would overrule it on some of them.
fn refuse_owned_labels(config: &Config, catalogue: &Catalogue) -> Result<(), ExporterError> {
    for family in catalogue.families() {
        let owned = |key: &&String| family.labels().any(|label| label.key == **key);
        if let Some(key) = config.labels.keys().find(owned) {
            return Err(ExporterError::OwnedLabel {
                key: key.clone(),
                family: family.name(),
            });
        }
    }
    Ok(())
}

/// The labels that stand on every series.
fn global_labels<'a>(app: &AppInfo, config: &'a Config) -> Vec<(&'a str, &'a str)> {
    let labels = [
        ("environment", config.environment.as_deref()),
        ("mode", config.mode.map(Mode::as_str)),
        (
            "service",
            Some(config.service.as_deref().unwrap_or(app.name)),
        ),
    ];
    let configured = labels
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    let further = config.labels.iter();
    configured
        .chain(further.map(|(key, value)| (key.as_str(), value.as_str())))
        .collect()
}

/// What is behind these locks is whole even where a panic let go of one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
