//! The series of one kind: found by key, kept by family, shown in order.
//!
//! Which families and series there may be is [`obs_core::Admission`]'s to say. Who records finds a known series under a shard's
//! read lock. Who brings a new one takes its family's lock and then the shard's, and puts it on the family's list of fresh ones. A scrape takes that list away as a whole and sorts it into its
//! own order outside of every lock, so that nobody who registers waits for it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::Duration;

use hashbrown::HashTable;
use metrics::Key;
use obs_core::{Bounds, Family as Declared, Kind};
use rapidhash::fast::RandomState;

use crate::cell::Store;
use crate::engine::{Settings, Watch};
use crate::exemplar;
use crate::filed;
use crate::gzip::{Gzip, Stream};
use crate::labels::{LabelNames, NewValues, Values};
use crate::metric::Metric;
use crate::names::Names;
use crate::order::Order;
use crate::point::{At, Each, Encoder, Escaped, Heading, Moment, Point, Scratch};
use crate::protobuf;
use crate::snapshot::{SeriesSnapshot, SeriesValue};
use crate::text::Lines;
use crate::{lock, read, slot, write};

/// One series. Its handles and the registry share it. There are as many as there are labels: what several have in common is elsewhere,
/// and so is what few have.
#[derive(Debug)]
pub(crate) struct Series<M: Metric> {
    pub(crate) metric: M,
    schema: Arc<Schema<M>>,
    /// The [values](Values) of its labels.
    values: Box<str>,
    /// When it began, in milliseconds since 1970.
    created: AtomicU64,
    hash: ShortHash,
    is_escaped: bool,
    /// One of the three below.
    state: AtomicU8,
    /// Its number in the mapped file.
    filed: Option<filed::Number>,
}

/// It was never hidden.
const SHOWN: u8 = 0;
/// Removed, and nothing was recorded since.
const HIDDEN: u8 = 1;
/// It was hidden before, and began anew.
const SHOWN_AGAIN: u8 = 2;

/// What the series of a family have in common whose labels have the same names.
#[derive(Debug)]
struct Schema<M: Metric> {
    family: Arc<Family<M>>,
    names: LabelNames,
}

/// What is held by who adds a series.
#[derive(Debug)]
struct Adding<M: Metric> {
    bounds: Bounds,
    /// Of the series that there were, up to [`MOST_SCHEMAS`]. Labels that most of a family's series have are among the first.
    schemas: Vec<Arc<Schema<M>>>,
}

/// A family mostly has one or two. Beyond these, each series has its own.
const MOST_SCHEMAS: usize = 16;

/// The series of one name.
#[derive(Debug)]
pub(crate) struct Family<M: Metric> {
    name: String,
    /// Whether the name that was first looked up has characters that are escaped in this one.
    pub(crate) is_respelled: bool,
    pub(crate) shape: M::Shape,
    /// How long its series are shown after something was last recorded to them; for good where there is no limit.
    idle_after: Option<Duration>,
    /// How many series there are, hidden ones included.
    count: AtomicUsize,
    /// How it is watched; nothing where that is not worth showing.
    watch: OnceLock<Watch>,
    adding: Mutex<Adding<M>>,
    fresh: Mutex<Vec<Arc<Series<M>>>>,
    /// Whether any series was ever hidden. Until then a scrape need not ask them.
    has_hidden: AtomicBool,
    /// Whether its sums may be below 0, by its bounds or by what a scrape has found.
    is_signed: AtomicBool,
    /// Only the holder of the scrape's lock touches it.
    ordered: Mutex<Order<M>>,
    /// Its number in the mapped file, if it has one there.
    filed: OnceLock<Option<u32>>,
}

/// Families by name, and all of their series by key.
#[derive(Debug)]
pub(crate) struct Registry<M: Metric> {
    shards: Box<[Shard<M>]>,
    families: RwLock<HashMap<String, Arc<Family<M>>, RandomState>>,
}

type Shard<M> = RwLock<HashTable<Arc<Series<M>>>>;

/// A power of two. The more there are, the less a growing table makes anybody wait.
const SHARDS: usize = 256;

/// What registering needs to know of the engine.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    /// Whether a new series is hidden until something is recorded to it.
    pub(crate) is_quiet: bool,
}

/// A series that was found or made.
pub(crate) struct Registered<M: Metric> {
    pub(crate) series: Arc<Series<M>>,
    /// Whether other keys were folded into it, too.
    pub(crate) is_folded: bool,
}

impl<M: Metric> Registry<M> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            families: RwLock::default(),
        }
    }

    /// The series of a key, if it is known and the key is canonical but for the order of its labels.
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Series<M>>> {
        let hash = short(key);
        let shard = read(&self.shards[shard_of(hash)]);
        let is_it = |series: &Arc<Series<M>>| {
            let schema = &*series.schema;
            series.hash == hash
                && schema.family.name == key.name()
                && schema.names.is_of(series.values(), key)
                // Then it has to be seen which family registers.
                && !schema.family.is_respelled
        };
        let found = shard.find(spread(hash), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| series.show())
    }

    /// The series of a key whose name is the family's, made if it is new; folded where that is beyond the family's bounds.
    #[cold]
    pub(crate) fn register(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        context: Context<'_>,
    ) -> Registered<M> {
        let settings = context.settings;
        let mut adding = lock(&family.adding);
        // Names that were met before are canonical.
        let (key, schema) = if let Some(known) = adding.known(key) {
            (Cow::Borrowed(key), Arc::clone(known))
        } else {
            let key = settings.canonical(key);
            let schema = adding.schema(family, &key, settings);
            (key, schema)
        };
        let own = schema.names.values(&key);
        let names = &schema.names;
        if let Some(series) = self.find_labels(&key, names, own.get(), context.is_quiet) {
            return Registered {
                series,
                is_folded: false,
            };
        }
        let is_known: &dyn Fn(&Key) -> bool = &|key| {
            let key = settings.canonical(key);
            let names = LabelNames::of(&key, &settings.globals);
            let values = names.values(&key);
            self.find_labels(&key, &names, values.get(), true).is_some()
        };
        let count = family.count.load(Relaxed);
        let Some(folded) = adding.bounds.fold(&key, count, is_known) else {
            return Registered {
                series: self.add(&mut adding, schema, &key, own, context),
                is_folded: false,
            };
        };
        if let Some(watch) = family.watch.get() {
            watch.overflow.increment(1);
        }
        let folded = settings.canonical(&folded);
        Registered {
            series: self.find_or_add(&mut adding, family, &folded, context),
            is_folded: true,
        }
    }

    /// The series of a canonical key, whatever the bounds of its family say.
    pub(crate) fn register_unbounded(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        context: Context<'_>,
    ) -> Arc<Series<M>> {
        let mut adding = lock(&family.adding);
        self.find_or_add(&mut adding, family, key, context)
    }

    pub(crate) fn families(&self) -> Vec<Arc<Family<M>>> {
        read(&self.families).values().map(Arc::clone).collect()
    }

    pub(crate) fn family_of(&self, name: &str) -> Option<Arc<Family<M>>> {
        read(&self.families).get(name).map(Arc::clone)
    }

    /// The family of a name, made if it is new. `is_respelled` says whether the name was another before it was escaped.
    pub(crate) fn family(
        &self,
        name: &str,
        declared: Option<&'static Declared>,
        settings: &Settings,
        is_respelled: bool,
    ) -> Arc<Family<M>> {
        self.family_of(name).unwrap_or_else(|| {
            let mut families = write(&self.families);
            let new = || Arc::new(Family::new(name, declared, settings, is_respelled));
            Arc::clone(families.entry(name.to_owned()).or_insert_with(new))
        })
    }

    /// Lets go of all series and families. They hold each other, so that none of them would be freed otherwise.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            write(shard).clear();
        }
        for (_, family) in write(&self.families).drain() {
            lock(&family.fresh).clear();
            lock(&family.adding).schemas.clear();
            *lock(&family.ordered) = Order::default();
        }
    }

    /// The series of a canonical key with these labels.
    fn find_labels(
        &self,
        key: &Key,
        names: &LabelNames,
        values: Values<'_>,
        is_quiet: bool,
    ) -> Option<Arc<Series<M>>> {
        let hash = short(key);
        let shard = read(&self.shards[shard_of(hash)]);
        let is_it = |series: &Arc<Series<M>>| {
            series.hash == hash
                && series.schema.family.name == key.name()
                && LabelNames::compare(series.parts(), (names, values)).is_eq()
        };
        let found = shard.find(spread(hash), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| {
            if !is_quiet {
                series.show();
            }
        })
    }

    /// The series of a canonical key, made if it is new.
    fn find_or_add(
        &self,
        adding: &mut Adding<M>,
        family: &Arc<Family<M>>,
        key: &Key,
        context: Context<'_>,
    ) -> Arc<Series<M>> {
        let schema = adding.schema(family, key, context.settings);
        let values = schema.names.values(key);
        self.find_labels(key, &schema.names, values.get(), context.is_quiet)
            .unwrap_or_else(|| self.add(adding, schema, key, values, context))
    }

    /// A new series, of whose labels the caller has found none.
    fn add(
        &self,
        adding: &mut Adding<M>,
        schema: Arc<Schema<M>>,
        key: &Key,
        values: NewValues,
        context: Context<'_>,
    ) -> Arc<Series<M>> {
        adding.keep(&schema);
        let series = Arc::new(Series::new(schema, key, values, context.store));
        M::make_ready(&series);
        if context.is_quiet {
            series.hide(slot::highest());
        }
        let mut shard = write(&self.shards[shard_of(series.hash)]);
        shard.insert_unique(spread(series.hash), Arc::clone(&series), |series| {
            spread(series.hash)
        });
        drop(shard);
        let family = series.family();
        lock(&family.fresh).push(Arc::clone(&series));
        let count = family.count.fetch_add(1, Relaxed) + 1;
        family.show_count(count);
        series
    }

    /// Hides the series whose labels are wanted, and drops those that nobody holds. The caller holds the scrape's lock.
    pub(crate) fn remove(
        &self,
        family: &Family<M>,
        store: &Store,
        wanted: impl FnMut(&str) -> bool,
    ) -> usize {
        let highest = slot::highest();
        let hidden = family.ordered().hide(highest, wanted);
        self.sweep(family, store);
        hidden
    }

    /// Lets go of what is idle, and drops hidden series that nobody holds. The caller holds the scrape's lock.
    pub(crate) fn upkeep(&self, family: &Family<M>, store: &Store, now: u64) {
        if let Some(limit) = family.idle_after {
            family.ordered().hide_idle(slot::highest(), limit, now);
        }
        self.sweep(family, store);
    }

    fn sweep(&self, family: &Family<M>, store: &Store) {
        let mut ordered = family.ordered();
        if !ordered.iter().any(|series| series.is_hidden()) {
            return;
        }
        let highest = slot::highest();
        let dropped = ordered.retain(|series, mark| {
            if !series.is_hidden() {
                return Some(series);
            }
            self.take_if_unheld(series, mark, highest)
                .map(|series| series.dismantle(store))
                .err()
        });
        if dropped > 0 {
            let count = family.count.fetch_sub(dropped, Relaxed) - dropped;
            family.show_count(count);
        }
    }

    /// Takes a hidden series out of the table if the table and the caller are all that hold it.
    fn take_if_unheld(
        &self,
        series: Arc<Series<M>>,
        mark: u64,
        highest: usize,
    ) -> Result<Series<M>, Arc<Series<M>>> {
        // Handles are cloned from the table under its lock or from other handles: while the lock is held and there are none,
        // there will be none.
        let mut shard = write(&self.shards[shard_of(series.hash)]);
        let is_unheld = Arc::strong_count(&series) == 2 && series.is_gone(mark, highest);
        let entry = is_unheld
            .then(|| {
                shard
                    .find_entry(spread(series.hash), |other| Arc::ptr_eq(other, &series))
                    .ok()
            })
            .flatten();
        match entry {
            None => Err(series),
            Some(entry) => {
                drop(entry.remove());
                Arc::try_unwrap(series)
            }
        }
    }
}

impl<M: Metric> Series<M> {
    fn new(schema: Arc<Schema<M>>, key: &Key, values: NewValues, store: &Store) -> Self {
        let now = exemplar::now();
        let family = &*schema.family;
        let metric = M::new(&family.shape, store);
        let labels = || schema.names.text(values.get());
        let filed = filed::series(&metric, family, &family.filed, labels, now, store);
        Self {
            metric,
            filed,
            schema,
            values: values.text,
            is_escaped: values.is_escaped,
            hash: short(key),
            created: AtomicU64::new(now),
            state: AtomicU8::new(SHOWN),
        }
    }

    /// Gives back its words. Nobody holds a handle any more.
    fn dismantle(self, store: &Store) {
        if let Some(filed) = self.filed {
            filed.gone();
        }
        self.metric.dismantle(store);
    }

    pub(crate) fn family(&self) -> &Family<M> {
        &self.schema.family
    }

    /// Its number in the mapped file, if it has one there.
    pub(crate) fn filed(&self) -> Option<filed::Number> {
        self.filed
    }

    #[inline]
    fn values(&self) -> Values<'_> {
        Values {
            text: &self.values,
            is_escaped: self.is_escaped,
        }
    }

    fn parts(&self) -> (&LabelNames, Values<'_>) {
        (&self.schema.names, self.values())
    }

    /// Its labels as text, but for global ones.
    pub(crate) fn labels(&self) -> String {
        self.schema.names.text(self.values())
    }

    /// Appends what they have beyond those of another series, and returns with how many bytes both begin.
    pub(crate) fn push_beyond(&self, before: Option<&Self>, text: &mut String) -> usize {
        if let Some(before) = before {
            LabelNames::push_beyond(self.parts(), before.parts(), text)
        } else {
            self.schema.names.push(self.values(), text);
            0
        }
    }

    /// Compares the texts of labels.
    pub(crate) fn compare_labels(&self, other: &Self) -> Ordering {
        LabelNames::compare(self.parts(), other.parts())
    }

    /// Whether global labels stand in its text.
    pub(crate) fn is_whole(&self) -> bool {
        self.schema.names.is_whole()
    }

    /// When it began, in milliseconds since 1970.
    pub(crate) fn created(&self) -> &AtomicU64 {
        &self.created
    }

    /// Fetches it from memory.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        self.created.load(Relaxed) ^ u64::from(self.state.load(Relaxed))
    }

    /// Whether it was removed and nobody has seen since that anything was recorded.
    #[inline]
    pub(crate) fn is_hidden(&self) -> bool {
        self.state.load(Relaxed) == HIDDEN
    }

    /// Whether it was ever hidden.
    #[inline]
    pub(crate) fn was_hidden(&self) -> bool {
        self.state.load(Relaxed) != SHOWN
    }

    /// Shows it from now on.
    #[inline]
    fn show(&self) {
        let again = || {
            let state = &self.state;
            state.compare_exchange(HIDDEN, SHOWN_AGAIN, Relaxed, Relaxed)
        };
        if self.is_hidden() && again().is_ok() {
            let now = exemplar::now();
            self.created.store(now, Relaxed);
            if let Some(filed) = self.filed {
                filed.shown(now);
            }
        }
    }

    /// Shows nothing of it until something is recorded, and returns the pulse from which on it is anew.
    pub(crate) fn hide(&self, highest: usize) -> u64 {
        let mark = self.metric.forget(highest);
        if let Some(filed) = self.filed {
            self.metric.hide_in_file(filed, mark);
        }
        self.state.store(HIDDEN, Relaxed);
        self.family().has_hidden.store(true, Relaxed);
        mark
    }

    /// Whether it is hidden, since that pulse, and stays so. What was recorded since brings it back.
    pub(crate) fn is_gone(&self, mark: u64, highest: usize) -> bool {
        if !self.is_hidden() {
            return false;
        }
        let is_gone = self.metric.pulse(highest) == mark;
        if !is_gone {
            self.show();
        }
        is_gone
    }
}

impl<M: Metric> Adding<M> {
    /// Those of a key's labels, if some were kept.
    fn known(&self, key: &Key) -> Option<&Arc<Schema<M>>> {
        let mut schemas = self.schemas.iter();
        schemas.find(|schema| schema.names.are_of(key))
    }

    /// Those of a canonical key's labels.
    fn schema(&self, family: &Arc<Family<M>>, key: &Key, settings: &Settings) -> Arc<Schema<M>> {
        let new = || {
            Arc::new(Schema {
                family: Arc::clone(family),
                names: LabelNames::of(key, &settings.globals),
            })
        };
        self.known(key).map_or_else(new, Arc::clone)
    }

    /// Keeps what a series has, unless there are many.
    fn keep(&mut self, schema: &Arc<Schema<M>>) {
        let mut known = self.schemas.iter();
        if !known.any(|known| Arc::ptr_eq(known, schema)) && self.schemas.len() < MOST_SCHEMAS {
            self.schemas.push(Arc::clone(schema));
        }
    }
}

impl<M: Metric> Family<M> {
    fn new(
        name: &str,
        declared: Option<&'static Declared>,
        settings: &Settings,
        is_respelled: bool,
    ) -> Self {
        let of_this_kind = declared.filter(|family| family.kind() == M::KIND);
        let has_negative_bounds = of_this_kind.is_some_and(|family| {
            family.kind() == Kind::Histogram
                && family.bucket_bounds().iter().any(|bound| *bound < 0.0)
        });
        Self {
            name: name.to_owned(),
            is_respelled,
            shape: M::shape(name, of_this_kind, settings),
            idle_after: idle_after(name, declared, settings),
            count: AtomicUsize::new(0),
            watch: OnceLock::new(),
            adding: Mutex::new(Adding {
                bounds: Bounds::new(declared),
                schemas: Vec::new(),
            }),
            fresh: Mutex::default(),
            has_hidden: AtomicBool::new(false),
            is_signed: AtomicBool::new(has_negative_bounds),
            ordered: Mutex::default(),
            filed: OnceLock::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its number in the mapped file, if it has one there.
    pub(crate) fn number(&self) -> Option<u32> {
        self.filed.get().copied().flatten()
    }

    /// Has it watched from now on, by what `watch` makes if it is not yet.
    pub(crate) fn watch(&self, watch: impl FnOnce() -> Watch) {
        self.watch.get_or_init(watch);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watch.get().is_some()
    }

    /// Counts samples that are no finite numbers, which nobody who declared the family has looked at.
    #[cold]
    #[inline(never)]
    pub(crate) fn reject(&self, samples: u64) {
        if let Some(watch) = self.watch.get() {
            watch.rejected.increment(samples);
        }
    }

    fn show_count(&self, count: usize) {
        if let Some(watch) = self.watch.get() {
            watch.series.set(count as f64);
        }
    }

    /// All series in order, fresh ones taken in. The caller holds the scrape's lock.
    pub(crate) fn ordered(&self) -> MutexGuard<'_, Order<M>> {
        let mut ordered = lock(&self.ordered);
        let fresh = std::mem::take(&mut *lock(&self.fresh));
        ordered.add(&fresh);
        ordered
    }

    /// Whether any series is shown. The caller holds the scrape's lock.
    pub(crate) fn is_shown(&self, highest: usize) -> bool {
        let ordered = self.ordered();
        let mut series = ordered.iter();
        series.any(|series| !series.is_gone(ordered.mark_of(series), highest))
    }

    /// Writes the family with all its series, into the stream if there is one as soon as that is right. The caller holds the scrape's
    /// lock.
    pub(crate) fn render(
        &self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        names: Names,
        moment: Moment,
        lines: &mut Lines<'_>,
        mut stream: Option<&mut Stream>,
    ) {
        if M::IS_TALLIED
            && let Some(stream) = stream.as_deref_mut()
            && names == Names::Utf8
            && self.is_worth_packing()
        {
            lines.begin(heading, base_is_taken, false);
            self.pack(moment, lines, stream);
            return;
        }
        let (start, is_signed) = (lines.len(), self.is_signed.load(Relaxed));
        let mut write = |is_signed, lines: &mut Lines<'_>| {
            for pass in lines.begin(heading, base_is_taken, is_signed) {
                lines.begin_pass(heading, *pass);
                match stream.as_deref_mut() {
                    Some(stream) => self.encode(names, moment, &mut Packing { lines, stream }),
                    // What most scrapes ask for is a loop without a call in between.
                    None if names == Names::Utf8 => self.each(moment, lines),
                    None => self.encode(names, moment, lines),
                }
            }
        };
        write(is_signed, lines);
        // Nothing told that it takes values below 0 until the first of them was written.
        if lines.take_back_odd(start) {
            self.is_signed.store(true, Relaxed);
            write(true, lines);
        }
    }

    /// Whether its lines are worth keeping packed.
    fn is_worth_packing(&self) -> bool {
        /// The fewest series for which pages are kept.
        const MANY: usize = 64;
        !self.has_hidden.load(Relaxed) && self.ordered().len() >= MANY
    }

    /// Packs the lines of all series, and before them what is written already.
    fn pack(&self, moment: Moment, lines: &mut Lines<'_>, stream: &mut Stream) {
        stream.pack(lines.text());
        let mut scratch = Scratch::default();
        self.ordered().pack(moment, lines, stream, |row, lines| {
            let metric = &row.series.metric;
            let point = metric.point(&self.shape, row.cells, 0, moment, &mut scratch);
            lines.series(row.at, point);
        });
    }

    /// Writes the family with all its series in protobuf. The caller holds the scrape's lock.
    pub(crate) fn protobuf(
        &self,
        heading: &Heading<'_>,
        globals: &str,
        names: Names,
        moment: Moment,
        out: &mut Vec<u8>,
    ) {
        protobuf::family(out, heading, globals, |family| {
            self.encode(names, moment, family);
        });
    }

    /// The series that are shown, as values. The caller holds the scrape's lock.
    pub(crate) fn snapshots(
        &self,
        globals: &[(String, String)],
        moment: Moment,
    ) -> Vec<SeriesSnapshot> {
        let mut found = Vec::new();
        let mut push =
            |at: At<'_>, point: Point<'_>| found.push(SeriesSnapshot::at(globals, at, point));
        let each: &mut dyn Encoder = &mut Each(&mut push);
        self.each(moment, each);
        found
    }

    /// The labels and the value of each series that is shown. The caller holds the scrape's lock.
    pub(crate) fn each_value(&self, moment: Moment, show: &mut dyn FnMut(&str, &SeriesValue)) {
        let mut show = |at: At<'_>, point: Point<'_>| show(at.labels(), &point.into());
        self.each(moment, &mut Each(&mut show));
    }

    /// Encodes each series that is not gone, with its labels called as these readers need them. By calls, so that it is compiled once
    /// for each kind and not for each format, too.
    fn encode(&self, names: Names, moment: Moment, encoder: &mut dyn Encoder) {
        if names == Names::Utf8 {
            self.each(moment, encoder);
        } else {
            let escaped: &mut dyn Encoder = &mut Escaped::new(names, encoder);
            self.each(moment, escaped);
        }
    }

    /// Encodes each series that is not gone.
    fn each<E: Encoder + ?Sized>(&self, moment: Moment, encoder: &mut E) {
        let (has_hidden, highest) = (self.has_hidden.load(Relaxed), moment.highest);
        let mut ordered = self.ordered();
        let mut scratch = std::mem::take(&mut ordered.scratch);
        ordered.read(highest, has_hidden, encoder.front(), |row| {
            if has_hidden && row.series.is_gone(row.mark, highest) {
                return;
            }
            let metric = &row.series.metric;
            let point = metric.point(&self.shape, row.cells, row.mark, moment, &mut scratch);
            encoder.series(row.at, point);
        });
        ordered.scratch = scratch;
    }
}

/// Packs lines when they are many, if none of them may have to be taken back.
struct Packing<'a, 'b> {
    lines: &'a mut Lines<'b>,
    stream: &'a mut Stream,
}

impl Encoder for Packing<'_, '_> {
    fn front(&self) -> String {
        self.lines.front()
    }

    fn series(&mut self, at: At<'_>, point: Point<'_>) {
        if self.lines.len() >= Gzip::FULL && !self.lines.may_be_odd() {
            self.stream.pack(self.lines.text());
        }
        self.lines.series(at, point);
    }
}

/// How long series are shown after something was last recorded to them: as declared, or else as the settings say where
/// neither the series are there from the start nor their values set once for good.
fn idle_after(
    name: &str,
    declared: Option<&'static Declared>,
    settings: &Settings,
) -> Option<Duration> {
    let of_its_own = declared.and_then(Declared::idle_after);
    let is_open = declared.is_none_or(Declared::has_open_labels);
    let stays = !is_open || name.ends_with("_info") || name.starts_with("obs_");
    of_its_own.or(settings.idle.filter(|_| !stays))
}

/// Half the bits of the facade's hash: what has them in common is compared anyway.
type ShortHash = u32;

#[inline]
fn short(key: &Key) -> ShortHash {
    let hash = key.get_hash();
    #[expect(clippy::cast_possible_truncation, reason = "the rest is folded in")]
    let short = (hash ^ (hash >> 32)) as ShortHash;
    short
}

/// With all of its bits in play, for tables that look at the topmost.
#[inline]
fn spread(hash: ShortHash) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn shard_of(hash: ShortHash) -> usize {
    // Not the bits that the table goes by.
    (spread(hash) >> 32) as usize % SHARDS
}
