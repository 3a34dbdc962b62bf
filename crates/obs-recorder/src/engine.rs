//! The recorder as its users see it: built from a catalogue, recorded into through the facade, rendered.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use metrics::{HistogramFn, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use obs_core::{
    Admission, Catalogue, Claim, Family as Declared, Kind, OTHER, OTHER_TOTAL, PipelineMetrics,
    UNDECLARED_FAMILIES, cells, folded_gauge, resolving,
};
use obs_memory::{Heartbeat, HeartbeatOptions, Memory, MemoryError, Options, Record};

use crate::cell::Store;
use crate::exemplar;
use crate::gzip::{Gzip, Stream};
use crate::key::{
    canonical_in_any_order, canonical_utf8, is_label, is_too_long, metric_name, utf8_name,
};
use crate::metric::{Counter, Gauge, Histogram, MAX_BOUNDS, Metric, buckets_of};
use crate::names::Names;
use crate::native::NativeHistogram;
use crate::point::{Heading, Moment};
use crate::registry::{Context, Family, Registered, Registry, Series};
use crate::slot::{self, MAX_SLOTS};
use crate::snapshot::{FamilySnapshot, SeriesSnapshot, SeriesValue};
use crate::summary::Summary;
use crate::text::{Format, Lines, globals};
use crate::{EngineError, lock};

/// A [`Recorder`] that is also what a scrape reads. Clones are the same engine: install one, keep one.
///
/// ```
/// use obs_recorder::{Engine, Format};
///
/// let engine = Engine::builder().global_label("service", "desk").build()?;
/// metrics::with_local_recorder(&engine, || {
///     metrics::counter!("orders_total", "side" => "buy").increment(2);
/// });
/// let text = engine.render(Format::Classic);
/// assert!(text.contains("\norders_total{service=\"desk\",side=\"buy\"} 2\n"));
/// # Ok::<(), obs_recorder::EngineError>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    settings: Settings,
    admission: Admission,
    globals: String,
    counters: Registry<Counter>,
    gauges: Registry<Gauge>,
    /// Of those with and without native buckets, an engine has one sort.
    histograms: Registry<Histogram>,
    natives: Registry<NativeHistogram>,
    summaries: Registry<Summary>,
    help: Mutex<HashMap<String, String>>,
    /// Counts the lookups of families that are not taken.
    beyond: OnceLock<metrics::Counter>,
    /// The scrape's lock: held while rendering, removing and during upkeep. Nobody who records or registers takes it.
    scraping: Mutex<()>,
    /// What is kept of scrapes that are packed; none before the first. Only the holder of the scrape's lock touches it.
    gzip: Mutex<Option<Gzip>>,
    /// The process that made it. In a fork of it the locks may be held by threads that are not there.
    process: u32,
    /// Why its file could not be made.
    lost: Option<String>,
}

/// What an engine was told when it was built.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and none excludes another"
)]
pub(crate) struct Settings {
    pub(crate) globals: BTreeMap<String, String>,
    pub(crate) quantile_window: Duration,
    /// After how long without recording series go whose families do not say.
    pub(crate) idle: Option<Duration>,
    /// Whether `OpenMetrics` says when series began.
    pub(crate) created: bool,
    /// Whether names may have any characters.
    pub(crate) utf8_names: bool,
    /// Whether histograms have native buckets, too.
    pub(crate) native_histograms: bool,
    /// Whether those have the cells of their declared range from the start.
    pub(crate) reserve_native_cells: bool,
    /// Of histograms of other people's code, by the names they are kept under.
    pub(crate) buckets: HashMap<String, &'static [f64]>,
    /// Where series get their words.
    pub(crate) store: Arc<Store>,
}

impl Settings {
    /// A key in the one form, but for the order of its labels.
    pub(crate) fn canonical<'a>(&self, key: &'a Key) -> Cow<'a, Key> {
        if self.utf8_names {
            canonical_utf8(key)
        } else {
            canonical_in_any_order(key)
        }
    }

    /// The name that a metric is kept under.
    pub(crate) fn name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.utf8_names {
            utf8_name(name)
        } else {
            metric_name(name)
        }
    }

    /// The buckets of a histogram that nobody declares: those it was given, or those that its name tells.
    pub(crate) fn buckets_of(&self, name: &str) -> Option<&'static [f64]> {
        let given = self.buckets.get(name).copied();
        given.or_else(|| buckets_of(name))
    }
}

/// How a family is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) series: metrics::Gauge,
    pub(crate) overflow: metrics::Counter,
    /// Of histograms and summaries: samples that are no finite numbers.
    pub(crate) rejected: metrics::Counter,
}

/// Puts an [`Engine`] together; made by [`Engine::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing records until the engine is built"]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and none excludes another"
)]
pub struct Builder {
    catalogue: Catalogue,
    globals: BTreeMap<String, String>,
    quantile_window: Duration,
    undeclared_families: usize,
    idle: Option<Duration>,
    created: bool,
    utf8_names: bool,
    native_histograms: bool,
    reserve_native_cells: bool,
    slots: Option<usize>,
    buckets: HashMap<String, &'static [f64]>,
    memory: Option<(PathBuf, Options)>,
}

impl Builder {
    /// Takes what is known of families: help, buckets, quantiles, budgets, idle times, exemplars.
    pub fn catalogue(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = catalogue;
        self
    }

    /// Puts a label on every series. A series' own label of the same key overrules it. [`build`](Self::build) refuses a key that
    /// is no name of a label, such as `""` and `"bad name"`, and one that means something else: `le`, `quantile`, `__name__`.
    pub fn global_label(mut self, key: &str, value: &str) -> Self {
        self.globals.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How far back the quantiles of summaries look; a minute by default.
    pub fn quantile_window(mut self, window: Duration) -> Self {
        self.quantile_window = window;
        self
    }

    /// How many families there may be that the catalogue does not know, of all kinds together;
    /// [`UNDECLARED_FAMILIES`](obs_core::UNDECLARED_FAMILIES) by default.
    ///
    /// Names of metrics that are made at run time, by code of other people, are bounded by it. What is counted under names
    /// beyond it, and under ones of more than 256 bytes, is added up in the counter `other_total`; gauges and samples of theirs
    /// mean nothing together and are not kept. `obs_series_overflow_total{metric="other"}` counts the lookups of them all.
    /// A family keeps its place when its series go.
    pub fn undeclared_families(mut self, most: usize) -> Self {
        self.undeclared_families = most;
        self
    }

    /// How long a series is shown after something was last recorded to it, where its family does not say; for good by default.
    ///
    /// It is for labels that come and go. What is there from the start stays, so that no first event is missed: series of
    /// declared families without an open label. So does what is set once and then holds: families whose names end in `_info`,
    /// and those by which the pipeline watches itself, which begin with `obs_`.
    pub fn idle(mut self, after: Duration) -> Self {
        self.idle = Some(after);
        self
    }

    /// Gives buckets to a histogram of other people's code, under whatever name that records it. Without them it is a summary,
    /// unless its name ends in a unit (see [`BUCKETS_BY_SUFFIX`](crate::BUCKETS_BY_SUFFIX)). A declaration overrules them.
    ///
    /// ```
    /// use obs_recorder::{Engine, Format};
    ///
    /// let engine = Engine::builder()
    ///     .buckets("hyper.request.duration", &[0.001, 0.01, 0.1])
    ///     .build()?;
    /// metrics::with_local_recorder(&engine, || {
    ///     metrics::histogram!("hyper.request.duration").record(0.002);
    /// });
    /// let text = engine.render(Format::Classic);
    /// assert!(text.contains("\nhyper_request_duration_bucket{le=\"0.01\"} 1\n"));
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn buckets(mut self, name: &str, bounds: &'static [f64]) -> Self {
        self.buckets.insert(name.to_owned(), bounds);
        self
    }

    /// Whether `OpenMetrics` has a `…_created` line for each counter, histogram and summary: when it began. Not unless set.
    ///
    /// A Prometheus that reads start timestamps from them (`--enable-feature=created-timestamp-zero-ingestion`) sees the first
    /// increase of a series that begins above 0. Any other stores them as series, about a fifth more.
    pub fn created(mut self, created: bool) -> Self {
        self.created = created;
        self
    }

    /// Whether names of metrics and labels keep characters that Prometheus reads from 3.0 on only: `http.requests` is then no longer
    /// `http_requests`. Not unless set.
    ///
    /// A scraper that asks for them ([`Names::Utf8`]) gets them as they are, others [escaped](Names), so that a series is called by what
    /// the scraper reads. Declared families have no such names. Two names that are the same once they are escaped, such as `a.b` and
    /// `a_b`, are a [warning](obs_core::WarningKind::NameConflict) and are counted in `obs_name_conflicts_total`. Where names are
    /// kept, both are, and a scraper that needs them escaped is shown one of the two. Where they are not, the first stays, and what is
    /// recorded to the other is lost: a sum of two metrics would be neither.
    ///
    /// ```
    /// use obs_recorder::{Engine, Format, Names};
    ///
    /// let engine = Engine::builder().utf8_names(true).build()?;
    /// metrics::with_local_recorder(&engine, || metrics::counter!("http.requests", "http.method" => "GET").increment(2));
    /// let text = |names| engine.render_named(Format::Classic, names);
    /// assert!(text(Names::Utf8).contains("\n{\"http.requests\",\"http.method\"=\"GET\"} 2\n"));
    /// assert!(text(Names::Underscores).contains("\nhttp_requests{http_method=\"GET\"} 2\n"));
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn utf8_names(mut self, utf8_names: bool) -> Self {
        self.utf8_names = utf8_names;
        self
    }

    /// Whether every histogram has native buckets beside its declared ones, for scrapes in
    /// [protobuf](Engine::render_protobuf_into). Not unless set.
    ///
    /// They are those of Prometheus with schema 3: their bounds are 2^(k/8), so that each is 9.06 % above the one before, and a
    /// quantile is off by no more than that, whatever the declared bounds are. Values not farther from 0 than 2^-128, subnormal
    /// ones among them, are in the zero bucket; those below 0 have buckets of their own. What is infinite or not a number is in no
    /// bucket, as in declared ones.
    ///
    /// One addition serves both sorts: a cell ends at every bound of either, so that they hold the same observations at any moment.
    /// Cells come by the octave: the first value of a series between two powers of two takes 72 bytes and a lock for a moment; all
    /// others take neither, nor do those of the declared range where its cells are [reserved](Self::reserve_native_cells). Latencies lie in a
    /// few octaves; a series with values in every one of both signs has 170 KB.
    ///
    /// ```
    /// use obs_recorder::{Engine, SeriesValue};
    ///
    /// let engine = Engine::builder().native_histograms(true).build()?;
    /// metrics::with_local_recorder(&engine, || metrics::histogram!("fill_seconds").record(0.25));
    /// let families = engine.snapshot()?;
    /// let fill = families.iter().find(|family| family.name == "fill_seconds").unwrap();
    /// let SeriesValue::Histogram { native: Some(native), .. } = &fill.series[0].value else { unreachable!() };
    /// // A quarter is 2^(-16/8).
    /// assert_eq!(native.positive, [(-16, 1)]);
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn native_histograms(mut self, native_histograms: bool) -> Self {
        self.native_histograms = native_histograms;
        self
    }

    /// Whether a histogram with [native buckets](Self::native_histograms) has the cells of its declared range when it is registered, from the
    /// octave of the bound that is nearest to 0 to that of the farthest, on either side. Not unless set.
    ///
    /// Recording a value in that range then takes no lock and no memory, as without native buckets; on threads that have not recorded to
    /// a cell's page before, that page. It costs 72 bytes an octave for each recording thread, and 8 for each bound, whether values lie in
    /// it or not: 1.7 KB for [`LATENCY`](obs_core::buckets::LATENCY), 3.5 KB for [`ORDER_TIME`](obs_core::buckets::ORDER_TIME). What a
    /// series knows of them takes 40 bytes an octave besides, or up to twice that, and in a [file](Self::memory) each is a record of some 80 bytes.
    ///
    /// ```
    /// use obs_recorder::Engine;
    ///
    /// let builder = Engine::builder().native_histograms(true);
    /// let engine = builder.reserve_native_cells(true).build()?;
    /// let fill = metrics::with_local_recorder(&engine, || metrics::histogram!("fill_seconds"));
    /// // From 10 µs to 10 s, the bounds of what nobody declares and is in seconds.
    /// fill.record(0.25);
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn reserve_native_cells(mut self, reserve: bool) -> Self {
        self.reserve_native_cells = reserve;
        self
    }

    /// How many threads may have cells of their own, so that recording on one never waits for another; up to 1024. Threads
    /// beyond them share cells by atomic additions.
    ///
    /// A thread's cells cost 8 bytes for each counter it records to and 8 for each bucket of each histogram, in pages of 4 KiB;
    /// when it ends, another takes them over. The default is twice the number of cores, but at least 8 and at most 64.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Keeps what is recorded in a file, from which [`obs_memory::Reader`] shows it while this process runs, hangs or is dead. Best is a
    /// path below `/dev/shm`.
    ///
    /// Recording does the same as without; only the first value of a series in an octave of its [native
    /// buckets](Self::native_histograms) takes a record in the file besides. In a file are counters, gauges, histograms with both sorts of buckets, and
    /// the counts and sums of summaries; no series with a name that only [UTF-8](Self::utf8_names) has. The file stays mapped and locked until the process ends.
    ///
    /// Processes that are forked from this one add to the same cells, as far as a series was there before. Series that only they have are in
    /// files of their own; see [`Memory::is_inherited`].
    ///
    /// Where the file has no memory left, the engine goes on without: [`Engine::memory_lost`] says so. Without the feature `memory`, and
    /// elsewhere than on Linux, an engine with a file is not built.
    ///
    /// ```
    /// use obs_memory::{Options, Reader};
    /// use obs_recorder::Engine;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("desk.obs");
    /// // Without the option, and with a path such as /dev/shm/desk.obs.
    /// let options = Options::default().any_file_system(true);
    /// let engine = Engine::builder().memory(&path, options).build()?;
    /// metrics::with_local_recorder(&engine, || metrics::counter!("orders_total").increment(2));
    ///
    /// let reading = Reader::open(&path)?.read()?;
    /// assert!(reading.is_alive && reading.families.iter().any(|family| family.name == "orders_total"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(mut self, path: impl Into<PathBuf>, options: Options) -> Self {
        self.memory = Some((path.into(), options));
        self
    }

    /// Makes the engine.
    ///
    /// # Errors
    ///
    /// When a global label has a key that cannot be one, when a histogram of the catalogue has more than 510 bounds, or more slots are
    /// asked for than threads can have; when another process records to the file for its [memory](Self::memory), or that cannot be made
    /// for another reason than a lack of memory.
    pub fn build(self) -> Result<Engine, EngineError> {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let slots = self.slots.unwrap_or((2 * cores).clamp(8, 64));
        if slots > MAX_SLOTS {
            return Err(EngineError::TooManySlots { slots });
        }
        if let Some(key) = self.globals.keys().find(|key| !is_label(key)) {
            return Err(EngineError::GlobalLabel { key: key.clone() });
        }
        let buckets = self.buckets.into_iter();
        let buckets: HashMap<_, _> = if self.utf8_names {
            buckets.collect()
        } else {
            let kept = |(name, bounds): (String, _)| (metric_name(&name).into_owned(), bounds);
            buckets.map(kept).collect()
        };
        for (name, bounds) in &buckets {
            let ascends = bounds.is_sorted_by(|a, b| a < b);
            let finite = bounds.iter().all(|bound| bound.is_finite());
            if !ascends || !finite || bounds.len() > MAX_BOUNDS {
                return Err(EngineError::Bounds { name: name.clone() });
            }
        }
        for family in self.catalogue.families() {
            let bounds = family.bucket_bounds().len();
            if bounds > MAX_BOUNDS {
                return Err(EngineError::TooManyBounds {
                    family: family.name(),
                    bounds,
                });
            }
        }
        let (memory, lost) = match &self.memory {
            None => (None, None),
            Some((path, options)) => mapped(path, *options)?,
        };
        let store = Store::new(slots);
        let store = match memory {
            Some(memory) => store.with_memory(memory),
            None => store,
        };
        for (name, value) in &self.globals {
            let (name, value) = (name.clone(), value.clone());
            memory.map(|memory| memory.append(&Record::Global { name, value }));
        }
        let admission = Admission::new(
            &Catalogue::of(&[PipelineMetrics::FAMILIES]),
            self.undeclared_families,
        );
        let engine = Engine(Arc::new(Inner {
            globals: globals(&self.globals),
            admission,
            settings: Settings {
                globals: self.globals,
                quantile_window: self.quantile_window,
                idle: self.idle,
                created: self.created,
                utf8_names: self.utf8_names,
                native_histograms: self.native_histograms,
                reserve_native_cells: self.reserve_native_cells,
                buckets,
                store: Arc::new(store),
            },
            process: std::process::id(),
            lost,
            counters: Registry::new(),
            gauges: Registry::new(),
            histograms: Registry::new(),
            natives: Registry::new(),
            summaries: Registry::new(),
            help: Mutex::default(),
            beyond: OnceLock::new(),
            scraping: Mutex::default(),
            gzip: Mutex::default(),
        }));
        self.catalogue.describe(&engine);
        Ok(engine)
    }
}

impl Engine {
    /// Starts with no catalogue, no global labels and the default memory.
    pub fn builder() -> Builder {
        Builder {
            catalogue: Catalogue::default(),
            globals: BTreeMap::new(),
            quantile_window: Duration::from_mins(1),
            undeclared_families: UNDECLARED_FAMILIES,
            idle: None,
            created: false,
            utf8_names: false,
            native_histograms: false,
            reserve_native_cells: false,
            slots: None,
            buckets: HashMap::new(),
            memory: None,
        }
    }

    /// Everything recorded, as text.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        let mut out = String::new();
        self.render_into(&mut out, format);
        out
    }

    /// The same, with names called as these readers need them. Without [`utf8_names`](Builder::utf8_names) all of them are alike for
    /// everybody but [`Names::Dots`], which changes every name with a `_`.
    #[must_use]
    pub fn render_named(&self, format: Format, names: Names) -> String {
        let mut out = String::new();
        self.render_named_into(&mut out, format, names);
        out
    }

    /// The same as [`render_into`](Self::render_into), with names called as these readers need them.
    pub fn render_named_into(&self, out: &mut String, format: Format, names: Names) {
        if self.is_forked() {
            self.render_into(out, format);
        } else {
            let _alone = lock(&self.0.scraping);
            self.write_into(out, format, names, None);
        }
    }

    /// Appends what [`render_named_into`](Self::render_named_into) does as one member of gzip, and returns how long the text is.
    ///
    /// Nothing is searched for: what each line shares with the one before is known. Of counter families with 64 series and more, lines
    /// stay packed until their numbers change, which takes some 30 bytes of memory for each series and format, for two formats at
    /// most, and none before this is called for the first time. In a fork it packs the comment of [`render_into`](Self::render_into).
    ///
    /// ```
    /// use obs_recorder::{Engine, Format, Names};
    ///
    /// let engine = Engine::builder().build()?;
    /// metrics::with_local_recorder(&engine, || metrics::counter!("orders_total").increment(2));
    /// let mut packed = Vec::new();
    /// let length = engine.render_gzip_into(&mut packed, Format::Classic, Names::default());
    /// assert_eq!(packed[..2], [0x1f, 0x8b]);
    /// assert_eq!(length, engine.render(Format::Classic).len() as u64);
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn render_gzip_into(&self, out: &mut Vec<u8>, format: Format, names: Names) -> u64 {
        if self.is_forked() {
            let mut text = String::new();
            self.render_into(&mut text, format);
            let mut stream = Gzip::default().begin(std::mem::take(out));
            stream.pack(&mut text);
            let (packed, length, _) = stream.end(text);
            *out = packed;
            return length;
        }
        let _alone = lock(&self.0.scraping);
        let mut kept = lock(&self.0.gzip);
        let mut gzip = kept.take().unwrap_or_default();
        let mut text = gzip.take_text();
        let mut stream = gzip.begin(std::mem::take(out));
        self.write_into(&mut text, format, names, Some(&mut stream));
        stream.pack(&mut text);
        let (packed, length, gzip) = stream.end(text);
        *kept = Some(gzip);
        *out = packed;
        length
    }

    /// Appends everything recorded to a text, which is best kept from scrape to scrape: its memory is then there already.
    ///
    /// The text is the same for the same values: families by name, series by their labels, labels by their keys behind the
    /// global ones. No counter is less than in an earlier scrape, and the count of a histogram is what its buckets hold. Nobody
    /// who records or registers waits for it.
    ///
    /// In a fork of the process that made the engine the text is a comment that says so; see [`try_render_into`](Self::try_render_into).
    pub fn render_into(&self, out: &mut String, format: Format) {
        if let Err(error) = self.try_render_into(out, format) {
            out.push_str("# ");
            out.push_str(&error.to_string());
            out.push('\n');
            if format == Format::OpenMetrics {
                out.push_str("# EOF\n");
            }
        }
    }

    /// As [`render_into`](Self::render_into), with an error instead of a text where there is nothing to be read.
    ///
    /// # Errors
    ///
    /// [`EngineError::Forked`] in a fork of the process that made the engine: a thread of the parent may have held a lock that
    /// nobody in the child lets go of.
    pub fn try_render_into(&self, out: &mut String, format: Format) -> Result<(), EngineError> {
        if self.is_forked() {
            return Err(EngineError::Forked);
        }
        let _alone = lock(&self.0.scraping);
        self.write_into(out, format, Names::default(), None);
        Ok(())
    }

    fn is_forked(&self) -> bool {
        self.0.process != std::process::id()
    }

    /// Writes everything, into the stream if there is one as soon as that is right. The caller holds the scrape's lock.
    fn write_into(
        &self,
        out: &mut String,
        format: Format,
        names: Names,
        mut stream: Option<&mut Stream>,
    ) {
        let moment = Moment::now(false);
        let families = self.shown(moment.highest);
        let called = called(&families, names);
        let kinds = called.iter().map(|(name, family)| (&**name, family.kind()));
        let kinds: HashMap<&str, Kind> = kinds.collect();
        let help = lock(&self.0.help).clone();
        let globals = names.labels(&self.0.globals);
        let label_names = self.label_names(names);
        let mut lines = Lines::new(out, format, &globals, self.0.settings.created);
        let mut before = "";
        for (name, family) in &called {
            if std::mem::replace(&mut before, name) == name {
                lines.left_out_name(family.name(), name);
                continue;
            }
            if is_part(name, &kinds, format) {
                lines.left_out(name, family.kind());
                continue;
            }
            let base_is_taken = name.strip_suffix("_total").is_some_and(|base| {
                let is_taken = |name: &str| kinds.contains_key(name);
                is_taken(base)
                    || is_part(base, &kinds, format)
                    || is_taken(&format!("{base}_created"))
            });
            let heading = Heading {
                help: help.get(family.name()).map_or("", String::as_str),
                unit: self.unit(family.name()),
                ..family.heading(name)
            };
            let stream = stream.as_deref_mut();
            family.render(
                &heading,
                base_is_taken,
                label_names,
                moment,
                &mut lines,
                stream,
            );
        }
        lines.end();
    }

    /// Appends everything recorded in the protobuf format of Prometheus, whose media type is [`PROTOBUF_MEDIA_TYPE`]: one message
    /// `io.prometheus.client.MetricFamily` for each family, behind its length.
    ///
    /// It has the families and series of the classic text, in its order and called as these readers need them, and says besides
    /// when each counter, histogram and summary began, and exemplars. Nobody who records or registers waits for it.
    ///
    /// ```
    /// use obs_recorder::{Engine, Names};
    ///
    /// let engine = Engine::builder().build()?;
    /// metrics::with_local_recorder(&engine, || metrics::gauge!("queue_depth").set(7.0));
    /// let mut messages = Vec::new();
    /// engine.render_protobuf_into(&mut messages, Names::default())?;
    /// assert!(messages.windows(11).any(|bytes| bytes == b"queue_depth"));
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EngineError::Forked`], as [`try_render_into`](Self::try_render_into).
    ///
    /// [`PROTOBUF_MEDIA_TYPE`]: crate::PROTOBUF_MEDIA_TYPE
    pub fn render_protobuf_into(&self, out: &mut Vec<u8>, names: Names) -> Result<(), EngineError> {
        if self.is_forked() {
            return Err(EngineError::Forked);
        }
        let _alone = lock(&self.0.scraping);
        let moment = Moment::now(true);
        let families = self.shown(moment.highest);
        let called = called(&families, names);
        let kinds = called.iter().map(|(name, family)| (&**name, family.kind()));
        let kinds: HashMap<&str, Kind> = kinds.collect();
        let help = lock(&self.0.help).clone();
        let globals = names.labels(&self.0.globals);
        let label_names = self.label_names(names);
        let mut before = "";
        for (name, family) in &called {
            let is_again = std::mem::replace(&mut before, name) == name;
            if is_again || is_part(name, &kinds, Format::Classic) {
                continue;
            }
            let heading = Heading {
                help: help.get(family.name()).map_or("", String::as_str),
                ..family.heading(name)
            };
            family.protobuf(&heading, &globals, label_names, moment, out);
        }
        Ok(())
    }

    /// How the names of labels are written. Where all are plain already, nobody has to look for others.
    fn label_names(&self, names: Names) -> Names {
        match names {
            Names::Underscores | Names::Values if !self.0.settings.utf8_names => Names::Utf8,
            names => names,
        }
    }

    /// Everything recorded as values: the families and series that the classic text has, in its order, with when each series began.
    ///
    /// It is for formats that are no text, such as OTLP. Nobody who records or registers waits for it.
    ///
    /// ```
    /// use obs_recorder::{Engine, SeriesValue};
    ///
    /// let engine = Engine::builder().build()?;
    /// metrics::with_local_recorder(&engine, || metrics::gauge!("queue_depth", "shard" => "2").set(7.0));
    /// let families = engine.snapshot()?;
    /// let depth = families.iter().find(|family| family.name == "queue_depth").unwrap();
    /// assert_eq!(depth.series[0].labels, [("shard".to_owned(), "2".to_owned())]);
    /// assert_eq!(depth.series[0].value, SeriesValue::Gauge(7.0));
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EngineError::Forked`], as [`try_render_into`](Self::try_render_into).
    pub fn snapshot(&self) -> Result<Vec<FamilySnapshot>, EngineError> {
        if self.is_forked() {
            return Err(EngineError::Forked);
        }
        let _alone = lock(&self.0.scraping);
        let moment = Moment::now(true);
        let families = self.shown(moment.highest);
        let kinds = families.iter().map(|family| (family.name(), family.kind()));
        let kinds: HashMap<&str, Kind> = kinds.collect();
        let help = lock(&self.0.help).clone();
        let globals: Vec<_> = self.0.settings.globals.clone().into_iter().collect();
        let shown = families
            .iter()
            .filter(|family| !is_part(family.name(), &kinds, Format::Classic));
        let snapshots = shown.map(|family| {
            let Heading {
                name,
                kind,
                bounds,
                levels,
                ..
            } = family.heading(family.name());
            FamilySnapshot {
                name: name.to_owned(),
                kind,
                help: help.get(name).cloned().unwrap_or_default(),
                bounds: bounds.to_vec().into(),
                levels,
                series: family.snapshots(&globals, moment),
            }
        });
        Ok(snapshots.collect())
    }

    /// Shows each series of one family that a scrape would show: its labels as there, without braces and global ones,
    /// `side="buy",venue="alpaca"`, and its value. A family that is not there shows none.
    ///
    /// It is for what looks at a few families often: other families are not touched, and no text is written.
    ///
    /// ```
    /// use obs_recorder::{Engine, SeriesValue};
    ///
    /// let engine = Engine::builder().build()?;
    /// metrics::with_local_recorder(&engine, || metrics::gauge!("queue_depth", "shard" => "2").set(7.0));
    /// let mut depth = Vec::new();
    /// engine.each_of("queue_depth", |labels, value| depth.push((labels.to_owned(), value.clone())));
    /// assert_eq!(depth, [(r#"shard="2""#.to_owned(), SeriesValue::Gauge(7.0))]);
    /// # Ok::<(), obs_recorder::EngineError>(())
    /// ```
    pub fn each_of(&self, family: &str, mut show: impl FnMut(&str, &SeriesValue)) {
        self.each_value_of(family, &mut show);
    }

    /// Apart, so that it is compiled here for every kind, and not with each caller.
    fn each_value_of(&self, family: &str, show: &mut dyn FnMut(&str, &SeriesValue)) {
        fn each<M: Metric>(
            of: &Registry<M>,
            name: &str,
            moment: Moment,
            show: &mut dyn FnMut(&str, &SeriesValue),
        ) {
            if let Some(family) = of.family_of(name) {
                family.each_value(moment, show);
            }
        }
        if self.is_forked() {
            return;
        }
        let _alone = lock(&self.0.scraping);
        let (inner, name) = (&*self.0, &*self.0.settings.name(family));
        let moment = Moment::now(true);
        each(&inner.counters, name, moment, show);
        each(&inner.gauges, name, moment, show);
        // An engine has one sort of histograms.
        if inner.settings.native_histograms {
            each(&inner.natives, name, moment, show);
        } else {
            each(&inner.histograms, name, moment, show);
        }
        each(&inner.summaries, name, moment, show);
    }

    /// Hides series of a family until they are recorded to again, and returns how many were shown before.
    ///
    /// `wanted` is given the labels as a scrape shows them, without braces and global ones: `side="buy",venue="alpaca"`. A
    /// handle that is still used afterwards brings its series back, at 0. One that nobody holds any more gives back its memory
    /// and its place in the family's budget.
    pub fn remove(&self, family: &str, wanted: impl Fn(&str) -> bool) -> usize {
        self.remove_wanted(family, &wanted)
    }

    /// Apart for the same reason as [`each_value_of`](Self::each_value_of).
    fn remove_wanted(&self, family: &str, wanted: &dyn Fn(&str) -> bool) -> usize {
        fn remove<M: Metric>(
            of: &Registry<M>,
            name: &str,
            store: &Store,
            wanted: &dyn Fn(&str) -> bool,
        ) -> usize {
            of.family_of(name)
                .map_or(0, |family| of.remove(&family, store, wanted))
        }
        if self.is_forked() {
            return 0;
        }
        let _alone = lock(&self.0.scraping);
        let (inner, name) = (&*self.0, &*self.0.settings.name(family));
        let store = &inner.settings.store;
        remove(&inner.counters, name, store, wanted)
            + remove(&inner.gauges, name, store, wanted)
            + remove(&inner.histograms, name, store, wanted)
            + remove(&inner.natives, name, store, wanted)
            + remove(&inner.summaries, name, store, wanted)
    }

    /// Moves the windows of summaries on and lets idle series go. To be called about once a second; memory is bounded without.
    pub fn upkeep(&self) {
        fn upkeep<M: Metric>(of: &Registry<M>, store: &Store, now: u64) {
            for family in of.families() {
                of.upkeep(&family, store, now);
            }
        }
        if self.is_forked() {
            return;
        }
        let _alone = lock(&self.0.scraping);
        let (inner, now) = (&*self.0, exemplar::now());
        let store = &inner.settings.store;
        upkeep(&inner.counters, store, now);
        upkeep(&inner.gauges, store, now);
        upkeep(&inner.histograms, store, now);
        upkeep(&inner.natives, store, now);
        upkeep(&inner.summaries, store, now);
        let now = Instant::now();
        for family in inner.summaries.families() {
            for series in family.ordered().iter() {
                series.metric.take_in(now);
            }
        }
    }

    /// The sign of life of a loop, in the file of its [memory](Builder::memory), where `obstool agent` sees that the loop hangs. Without a
    /// file it is one that nobody sees.
    ///
    /// # Errors
    ///
    /// [`EngineError::Memory`] where a loop of that name is watched already or 32 are, where the name is not one of 1 to 40 bytes, and
    /// where the time-out or the grace is out of its range.
    pub fn heartbeat(
        &self,
        name: &str,
        options: HeartbeatOptions,
    ) -> Result<Heartbeat, EngineError> {
        let Some(memory) = self.memory() else {
            return Ok(Heartbeat::unwatched());
        };
        let refused = |error: MemoryError| EngineError::Memory {
            reason: error.to_string(),
        };
        memory.heartbeat(name, options).map_err(refused)
    }

    /// Why something that was recorded is not in the file of its [memory](Builder::memory); nothing while all is, or where none was asked for.
    #[must_use]
    pub fn memory_lost(&self) -> Option<String> {
        let lost = || self.memory().and_then(Memory::incomplete);
        self.0.lost.clone().or_else(lost)
    }

    /// Says something of this process in the file of its [memory](Builder::memory), which a reader finds under the key. The later text of a
    /// key counts. A text beyond 64 KiB is left out, as is any where there is no file or no room in it.
    pub fn note(&self, key: &str, text: &str) {
        if let Some(memory) = self.memory() {
            let (key, text) = (key.to_owned(), text.to_owned());
            memory.append(&Record::Note { key, text });
        }
    }

    fn memory(&self) -> Option<Memory> {
        self.0.settings.store.memory()
    }

    /// What is known of the families: which are declared, in a catalogue or by handles that were resolved, which names have which
    /// kind, and what makes numbers wrong.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// The families that were recorded and that nobody declares, with the kind they are shown as, by name.
    #[must_use]
    pub fn undeclared(&self) -> Vec<(String, Kind)> {
        if self.is_forked() {
            return Vec::new();
        }
        let _alone = lock(&self.0.scraping);
        let families = self.shown(slot::highest());
        let is_declared = |name: &str| self.0.admission.family(name).is_some();
        let undeclared = families.iter().filter(|family| !is_declared(family.name()));
        undeclared
            .map(|family| (family.name().to_owned(), family.kind()))
            .collect()
    }

    /// The families that have anything to show, by name and then by kind. The caller holds the scrape's lock.
    fn shown(&self, highest: usize) -> Vec<Box<dyn Shown>> {
        fn add<M: Metric>(to: &mut Vec<Box<dyn Shown>>, of: &Registry<M>, highest: usize) {
            let shown = of
                .families()
                .into_iter()
                .filter(|family| family.is_shown(highest));
            to.extend(shown.map(|family| Box::new(family) as Box<dyn Shown>));
        }
        let mut families = Vec::new();
        add(&mut families, &self.0.counters, highest);
        add(&mut families, &self.0.gauges, highest);
        add(&mut families, &self.0.histograms, highest);
        add(&mut families, &self.0.natives, highest);
        add(&mut families, &self.0.summaries, highest);
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }

    /// The word that `OpenMetrics` has for what a declared family is measured in.
    fn unit(&self, name: &str) -> Option<&'static str> {
        match self.0.admission.family(name)?.measured_in() {
            obs_core::Unit::Seconds | obs_core::Unit::Timestamp => Some("seconds"),
            obs_core::Unit::Bytes => Some("bytes"),
            obs_core::Unit::Ratio => Some("ratio"),
            _ => None,
        }
    }

    /// Takes a help text, and the declaration where there is one behind it.
    fn describe(&self, name: &KeyName, help: &SharedString) {
        let spelling = name.as_str();
        let name = self.0.settings.name(spelling).into_owned();
        let admission = &self.0.admission;
        let counts = resolving().is_some_and(|of| admission.declare(&name, of.family()));
        if counts {
            // It comes before other spellings from now on, also where nothing is recorded yet.
            let is_lost = !self.0.settings.utf8_names;
            admission.is_respelled(&metric_name(&name), spelling, is_lost);
        }
        let mut known = lock(&self.0.help);
        let before = known.get(&name);
        // As many as there may be families.
        let has_place = || known.len() < admission.most() || admission.family(&name).is_some();
        let is_first = || before.is_none() && !is_too_long(&name) && has_place();
        if before.is_some_and(|before| **before == **help) || !(counts || is_first()) {
            return;
        }
        if let Some(memory) = self.memory() {
            let (name, text) = (name.clone(), help.to_string());
            memory.append(&Record::Help { name, text });
        }
        known.insert(name, help.to_string());
    }

    /// The series of a key in the one form, made if it is new and may be.
    fn register<M: Metric>(
        &self,
        registry: &Registry<M>,
        key: &Key,
        metadata: &Metadata<'_>,
    ) -> Result<Registered<M>, Refused> {
        let admission = &self.0.admission;
        admission.look_at(key, metadata);
        let spelling = key.name();
        let known = registry.family_of(spelling);
        // What is watched was admitted with the kind and the spelling that it has.
        if let Some(family) = &known
            && family.is_watched()
            && !family.is_respelled
        {
            return Ok(registry.register(family, key, self.context()));
        }
        let key = self.0.settings.canonical(key);
        let is_escaped = *spelling != *key.name();
        let known = if is_escaped {
            registry.family_of(key.name())
        } else {
            known
        };
        let declared = match admission.claim(key.name(), M::KIND) {
            Claim::Granted(declared) => declared,
            Claim::OtherKind => {
                self.counter_of(PipelineMetrics::kind_conflicts, key.name(), false)
                    .increment(1);
                return Err(Refused::OtherKind);
            }
            Claim::OneTooMany => {
                let counter = || self.counter_of(PipelineMetrics::overflow, OTHER, false);
                self.0.beyond.get_or_init(counter).increment(1);
                return Err(Refused::OneTooMany);
            }
        };
        if PipelineMetrics::has(key.name()) {
            let family = registry.family(key.name(), declared, &self.0.settings, false);
            return Ok(registry.register(&family, &key, self.context()));
        }
        if known
            .as_ref()
            .is_none_or(|family| is_escaped || family.is_respelled)
        {
            let is_respelled = self.look_at_spelling(key.name(), spelling);
            if is_respelled && !self.0.settings.utf8_names {
                return Err(Refused::OtherSpelling);
            }
        }
        let new = || registry.family(key.name(), declared, &self.0.settings, is_escaped);
        let family = known.unwrap_or_else(new);
        let has_labels = key.labels().len() > 0;
        self.watch(&family, declared, has_labels);
        Ok(registry.register(&family, &key, self.context()))
    }

    /// Whether a name that came first is this one, too, once both are escaped; counts it.
    fn look_at_spelling(&self, name: &str, spelling: &str) -> bool {
        let escaped = metric_name(name);
        let is_lost = !self.0.settings.utf8_names;
        let admission = &self.0.admission;
        let is_respelled = admission.is_respelled(&escaped, spelling, is_lost);
        if is_respelled {
            self.counter_of(PipelineMetrics::name_conflicts, name, false)
                .increment(1);
        }
        is_respelled
    }

    /// Has a family watched. Where its labels are closed, or there are none, its series are what the declaration says and nothing is
    /// ever folded: that is not worth a series, and samples that are refused are shown once there are some.
    fn watch<M: Metric>(&self, family: &Family<M>, declared: Option<&Declared>, has_labels: bool) {
        let is_open = declared.map_or(has_labels, Declared::has_open_labels);
        let takes_anything =
            declared.is_none() && matches!(M::KIND, Kind::Histogram | Kind::Summary);
        if !is_open && !takes_anything {
            return;
        }
        let name = family.name();
        family.watch(|| Watch {
            series: if is_open {
                self.gauge_of(PipelineMetrics::series, name)
            } else {
                metrics::Gauge::noop()
            },
            overflow: if is_open {
                self.counter_of(PipelineMetrics::overflow, name, false)
            } else {
                metrics::Counter::noop()
            },
            rejected: if takes_anything {
                self.counter_of(PipelineMetrics::rejected, name, !is_open)
            } else {
                metrics::Counter::noop()
            },
        });
    }

    /// A counter of the pipeline for a metric. There are as many as families, so they know no bound.
    fn counter_of(
        &self,
        family: &'static Declared,
        metric: &str,
        is_quiet: bool,
    ) -> metrics::Counter {
        metrics::Counter::from_arc(self.unbounded(
            &self.0.counters,
            family,
            &watched(family, metric),
            is_quiet,
        ))
    }

    /// The same for a gauge.
    fn gauge_of(&self, family: &'static Declared, metric: &str) -> metrics::Gauge {
        let key = watched(family, metric);
        metrics::Gauge::from_arc(self.unbounded(&self.0.gauges, family, &key, false))
    }

    /// A series that is there whatever the bounds say.
    fn unbounded<M: Metric>(
        &self,
        registry: &Registry<M>,
        declared: impl Into<Option<&'static Declared>>,
        key: &Key,
        is_quiet: bool,
    ) -> Arc<Series<M>> {
        let family = registry.family(key.name(), declared.into(), &self.0.settings, false);
        let context = Context {
            is_quiet,
            ..self.context()
        };
        registry.register_unbounded(&family, key, context)
    }

    fn context(&self) -> Context<'_> {
        Context {
            settings: &self.0.settings,
            store: &self.0.settings.store,
            is_quiet: is_quiet(),
        }
    }

    /// Whether a name of the facade's histograms is a summary: it is declared so, or nothing says what its buckets are.
    fn is_summary(&self, name: &str) -> bool {
        let name = self.0.settings.name(name);
        match self.0.admission.kind(&name) {
            Some(Kind::Summary) => true,
            Some(Kind::Histogram) => false,
            _ => self.0.settings.buckets_of(&name).is_none(),
        }
    }
}

/// Why nothing is registered.
enum Refused {
    /// The name has another kind.
    OtherKind,
    /// Another name is the same once it is escaped, and came first.
    OtherSpelling,
    /// There are as many families as may be that nobody declares.
    OneTooMany,
}

/// Whether what is resolved on this thread is to be shown only once something was recorded to it.
fn is_quiet() -> bool {
    resolving().is_some_and(obs_core::Resolving::is_quiet)
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.0.settings)
            .field("families", &self.0.admission.declared().len())
            .finish_non_exhaustive()
    }
}

impl Recorder for Engine {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        let counters = &self.0.counters;
        let counter = match known(counters, key) {
            Some(known) => known,
            None => match self.register(counters, key, metadata) {
                Ok(registered) => registered.series,
                Err(Refused::OneTooMany) => {
                    let shared = Key::from_static_name(OTHER_TOTAL);
                    self.unbounded(counters, None, &shared, false)
                }
                Err(Refused::OtherKind | Refused::OtherSpelling) => {
                    return metrics::Counter::noop();
                }
            },
        };
        cells::offer(self, || counter.metric.cell());
        metrics::Counter::from_arc(counter)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        let gauges = &self.0.gauges;
        let direct = |series: Arc<Series<Gauge>>| {
            cells::offer(self, || series.metric.cell());
            metrics::Gauge::from_arc(series)
        };
        if let Some(known) = known(gauges, key) {
            return direct(known);
        }
        match self.register(gauges, key, metadata) {
            // It does more than the series it is made of.
            Ok(new) if new.is_folded => folded_gauge(metrics::Gauge::from_arc(new.series)),
            Ok(new) => direct(new.series),
            Err(_) => metrics::Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        if self.0.settings.native_histograms {
            self.register_buckets(&self.0.natives, key, metadata)
        } else {
            self.register_buckets(&self.0.histograms, key, metadata)
        }
    }
}

impl Engine {
    /// A histogram with buckets of one sort, or a summary.
    fn register_buckets<M: Metric>(
        &self,
        histograms: &Registry<M>,
        key: &Key,
        metadata: &Metadata<'_>,
    ) -> metrics::Histogram
    where
        Series<M>: HistogramFn,
    {
        let direct = |series: Arc<Series<M>>| {
            cells::offer(self, || series.metric.cell());
            metrics::Histogram::from_arc(series)
        };
        if let Some(known) = known(histograms, key) {
            direct(known)
        } else if self.is_summary(key.name()) {
            let summaries = &self.0.summaries;
            let known = known(summaries, key);
            let registered = || {
                self.register(summaries, key, metadata)
                    .map(|new| new.series)
            };
            known
                .map_or_else(registered, Ok)
                .map_or_else(|_| metrics::Histogram::noop(), metrics::Histogram::from_arc)
        } else {
            let registered = self.register(histograms, key, metadata);
            registered.map_or_else(|_| metrics::Histogram::noop(), |new| direct(new.series))
        }
    }
}

/// The file of an engine, or why it goes on without: that there is no memory stops no start.
fn mapped(path: &Path, options: Options) -> Result<(Option<Memory>, Option<String>), EngineError> {
    use std::io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
    match Memory::create(path, options) {
        Ok(memory) => Ok((Some(memory), None)),
        Err(MemoryError::Io { source, .. })
            if matches!(source.kind(), StorageFull | QuotaExceeded | OutOfMemory) =>
        {
            Ok((None, Some(format!("{}: {source}", path.display()))))
        }
        Err(error) => Err(EngineError::Memory {
            reason: error.to_string(),
        }),
    }
}

/// A series that is there, and shown from now on.
fn known<M: Metric>(registry: &Registry<M>, key: &Key) -> Option<Arc<Series<M>>> {
    (!is_quiet()).then(|| registry.find(key)).flatten()
}

impl Drop for Inner {
    /// Families and their series hold each other. What is recorded on handles that outlive the engine goes nowhere.
    fn drop(&mut self) {
        self.counters.clear();
        self.gauges.clear();
        self.histograms.clear();
        self.natives.clear();
        self.summaries.clear();
    }
}

/// The families by what they are called, sorted by that. Of some that are called alike, the first is called so without being escaped,
/// if any is.
fn called(families: &[Box<dyn Shown>], names: Names) -> Vec<(Cow<'_, str>, &dyn Shown)> {
    let mut called = Vec::with_capacity(families.len());
    for family in families {
        called.push((names.metric(family.name()), &**family));
    }
    let is_escaped = |(name, family): &(Cow<'_, str>, &dyn Shown)| **name != *family.name();
    called.sort_unstable_by(|a, b| {
        let by_spelling = || is_escaped(a).cmp(&is_escaped(b));
        let by_name = || a.1.name().cmp(b.1.name());
        a.0.cmp(&b.0).then_with(by_spelling).then_with(by_name)
    });
    called
}

/// The key by which something is said of a metric.
fn watched(family: &Declared, metric: &str) -> Key {
    Key::from_parts(family.name(), vec![Label::new("metric", metric.to_owned())])
}

/// Whether a histogram or summary of another name has series of this name.
fn is_part(name: &str, kinds: &HashMap<&str, Kind>, format: Format) -> bool {
    let ends = |suffix: &str, of: &[Kind]| {
        let kind = name.strip_suffix(suffix).and_then(|base| kinds.get(base));
        kind.is_some_and(|kind| of.contains(kind))
    };
    let both = &[Kind::Histogram, Kind::Summary];
    ends("_bucket", &[Kind::Histogram])
        || ends("_sum", both)
        || ends("_count", both)
        || (format == Format::OpenMetrics && ends("_created", both))
}

/// A family of any kind, as a scrape needs it.
trait Shown {
    fn name(&self) -> &str;
    fn kind(&self) -> Kind;
    /// What is known of it under this name, without help and unit.
    fn heading<'a>(&self, name: &'a str) -> Heading<'a>;
    fn render(
        &self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        names: Names,
        moment: Moment,
        lines: &mut Lines<'_>,
        stream: Option<&mut Stream>,
    );
    fn protobuf(
        &self,
        heading: &Heading<'_>,
        globals: &str,
        names: Names,
        moment: Moment,
        out: &mut Vec<u8>,
    );
    fn snapshots(&self, globals: &[(String, String)], moment: Moment) -> Vec<SeriesSnapshot>;
}

impl<M: Metric> Shown for Arc<Family<M>> {
    fn name(&self) -> &str {
        Family::name(self)
    }

    fn kind(&self) -> Kind {
        M::KIND
    }

    fn heading<'a>(&self, name: &'a str) -> Heading<'a> {
        Heading {
            name,
            kind: M::KIND,
            help: "",
            unit: None,
            bounds: M::bounds(&self.shape),
            levels: M::levels(&self.shape),
        }
    }

    fn render(
        &self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        names: Names,
        moment: Moment,
        lines: &mut Lines<'_>,
        stream: Option<&mut Stream>,
    ) {
        Family::render(self, heading, base_is_taken, names, moment, lines, stream);
    }

    fn protobuf(
        &self,
        heading: &Heading<'_>,
        globals: &str,
        names: Names,
        moment: Moment,
        out: &mut Vec<u8>,
    ) {
        Family::protobuf(self, heading, globals, names, moment, out);
    }

    fn snapshots(&self, globals: &[(String, String)], moment: Moment) -> Vec<SeriesSnapshot> {
        Family::snapshots(self, globals, moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child of `fork` finds itself, which may come into being while another thread holds the lock.
    #[test]
    fn a_fork_reads_nothing_and_waits_for_nobody() {
        let mut engine = Engine::builder().build().unwrap();
        metrics::with_local_recorder(&engine, || metrics::counter!("orders_total").increment(1));
        let inner = Arc::get_mut(&mut engine.0).unwrap();
        inner.process = inner.process.wrapping_add(1);
        let _held = engine.0.scraping.lock().unwrap();

        let mut text = String::new();
        let tried = engine.try_render_into(&mut text, Format::Classic);
        assert_eq!(tried, Err(EngineError::Forked));
        assert_eq!(text, "");
        let text = engine.render(Format::OpenMetrics);
        assert!(text.starts_with("# this process is a fork of"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        engine.upkeep();
        assert_eq!(engine.remove("orders_total", |_| true), 0);
        assert_eq!(engine.undeclared(), []);
        assert_eq!(engine.snapshot(), Err(EngineError::Forked));
    }
}
