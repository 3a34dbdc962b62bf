//! The series of one kind: found by key, kept by family, shown in order.
//!
//! Which families and series there may be is [`obs_core::Admission`]'s to say. Who records finds a known series under a shard's
//! read lock. Who brings a new one takes its family's lock and then the shard's, and puts it on the family's list of fresh ones. A scrape takes that list away as a whole and sorts it into its
//! own order outside of every lock, so that nobody who registers waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::Duration;

use hashbrown::HashTable;
use metrics::Key;
use obs_core::{Bounds, Family as Declared, Kind};

use crate::cell::Store;
use crate::engine::{Settings, Watch};
use crate::exemplar;
use crate::filed;
use crate::gzip::{Gzip, Stream};
use crate::key::Text;
use crate::metric::Metric;
use crate::names::Names;
use crate::order::Order;
use crate::point::{At, Each, Encoder, Escaped, Heading, Moment, Point, Scratch};
use crate::protobuf;
use crate::snapshot::{SeriesSnapshot, SeriesValue};
use crate::text::Lines;
use crate::{lock, read, slot, write};

/// One series. Its handles and the registry share it.
#[derive(Debug)]
pub(crate) struct Series<M: Metric> {
    pub(crate) metric: M,
    text: Text,
    hash: u64,
    family: Arc<Family<M>>,
    /// The pulse when it began anew; 0 while it never did.
    mark: AtomicU64,
    /// When it began, in milliseconds since 1970.
    created: AtomicU64,
    /// In families that let idle series go.
    idle: Option<Box<Idle>>,
    /// Removed, and nothing was recorded since.
    is_hidden: AtomicBool,
    /// Its number in the mapped file.
    filed: Option<filed::Number>,
}

/// Since when nothing was recorded. Only the holder of the scrape's lock looks.
#[derive(Debug)]
struct Idle {
    pulse: AtomicU64,
    /// In milliseconds since 1970.
    since: AtomicU64,
}

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
    /// Held by who adds a series.
    bounds: Mutex<Bounds>,
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
    families: RwLock<HashMap<String, Arc<Family<M>>>>,
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
        let shard = read(&self.shards[shard_of(key.get_hash())]);
        let is_it = |series: &Arc<Series<M>>| {
            series.hash == key.get_hash()
                && series.family.name == key.name()
                && series.text.is_of(key)
                // Then it has to be seen which family registers.
                && !series.family.is_respelled
        };
        let found = shard.find(spread(key.get_hash()), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| series.show())
    }

    /// The series of a canonical key, made if it is new; folded where that is beyond the family's bounds.
    #[cold]
    pub(crate) fn register(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        context: Context<'_>,
    ) -> Registered<M> {
        let text = |key: &Key| Text::of(key, &context.settings.globals);
        let own = text(key);
        let mut bounds = lock(&family.bounds);
        if let Some(series) = self.find_text(key, &own, context.is_quiet) {
            return Registered {
                series,
                is_folded: false,
            };
        }
        let is_known: &dyn Fn(&Key) -> bool = &|key| {
            let key = context.settings.canonical(key);
            self.find_text(&key, &text(&key), true).is_some()
        };
        let Some(folded) = bounds.fold(key, family.count.load(Relaxed), is_known) else {
            return Registered {
                series: self.add(family, key, own, context),
                is_folded: false,
            };
        };
        if let Some(watch) = family.watch.get() {
            watch.overflow.increment(1);
        }
        let folded = context.settings.canonical(&folded);
        Registered {
            series: self.find_or_add(family, &folded, context),
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
        let _adding = lock(&family.bounds);
        self.find_or_add(family, key, context)
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
            *lock(&family.ordered) = Order::default();
        }
    }

    /// The series of a canonical key.
    fn find_text(&self, key: &Key, text: &Text, is_quiet: bool) -> Option<Arc<Series<M>>> {
        let shard = read(&self.shards[shard_of(key.get_hash())]);
        let is_it = |series: &Arc<Series<M>>| series.is(key, text);
        let found = shard.find(spread(key.get_hash()), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| {
            if !is_quiet {
                series.show();
            }
        })
    }

    /// The series of a canonical key, made if it is new. The caller holds the family's lock.
    fn find_or_add(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        context: Context<'_>,
    ) -> Arc<Series<M>> {
        let text = Text::of(key, &context.settings.globals);
        self.find_text(key, &text, context.is_quiet)
            .unwrap_or_else(|| self.add(family, key, text, context))
    }

    /// A new series. The caller holds the family's lock, and has found none of this text.
    fn add(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        text: Text,
        context: Context<'_>,
    ) -> Arc<Series<M>> {
        let series = Arc::new(Series::new(family, key, text, context.store));
        series.metric.make_ready();
        if context.is_quiet {
            series.hide(slot::highest());
        }
        let mut shard = write(&self.shards[shard_of(series.hash)]);
        shard.insert_unique(spread(series.hash), Arc::clone(&series), |series| {
            spread(series.hash)
        });
        drop(shard);
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
        mut wanted: impl FnMut(&str) -> bool,
    ) -> usize {
        let highest = slot::highest();
        let ordered = family.ordered();
        let hidden = ordered
            .iter()
            .filter(|series| !series.is_gone(highest) && wanted(&series.text.labels));
        let hidden = hidden.map(|series| series.hide(highest)).count();
        drop(ordered);
        self.sweep(family, store);
        hidden
    }

    /// Lets go of what is idle, and drops hidden series that nobody holds. The caller holds the scrape's lock.
    pub(crate) fn upkeep(&self, family: &Family<M>, store: &Store, now: u64) {
        if let Some(limit) = family.idle_after {
            let highest = slot::highest();
            for series in family.ordered().iter() {
                if series.is_idle(limit, now, highest) && !series.is_gone(highest) {
                    series.hide(highest);
                }
            }
        }
        self.sweep(family, store);
    }

    fn sweep(&self, family: &Family<M>, store: &Store) {
        let mut ordered = family.ordered();
        if !ordered.iter().any(|series| series.is_hidden.load(Relaxed)) {
            return;
        }
        let highest = slot::highest();
        let dropped = ordered.retain(|series| {
            if !series.is_hidden.load(Relaxed) {
                return Some(series);
            }
            self.take_if_unheld(series, highest)
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
        highest: usize,
    ) -> Result<Series<M>, Arc<Series<M>>> {
        // Handles are cloned from the table under its lock or from other handles: while the lock is held and there are none,
        // there will be none.
        let mut shard = write(&self.shards[shard_of(series.hash)]);
        let is_unheld = Arc::strong_count(&series) == 2 && series.is_gone(highest);
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
    fn new(family: &Arc<Family<M>>, key: &Key, text: Text, store: &Store) -> Self {
        let now = exemplar::now();
        let metric = M::new(&family.shape, store);
        let filed = filed::series(&metric, family, &family.filed, &text.labels, now, store);
        Self {
            metric,
            filed,
            text,
            hash: key.get_hash(),
            family: Arc::clone(family),
            mark: AtomicU64::new(0),
            created: AtomicU64::new(now),
            idle: family.idle_after.map(|_| {
                Box::new(Idle {
                    pulse: AtomicU64::new(0),
                    since: AtomicU64::new(now),
                })
            }),
            is_hidden: AtomicBool::new(false),
        }
    }

    /// Gives back its words. Nobody holds a handle any more.
    fn dismantle(self, store: &Store) {
        if let Some(filed) = self.filed {
            filed.gone();
        }
        self.metric.dismantle(store);
    }

    fn is(&self, key: &Key, text: &Text) -> bool {
        self.hash == key.get_hash()
            && self.family.name == key.name()
            && self.text.labels == text.labels
    }

    pub(crate) fn family(&self) -> &Family<M> {
        &self.family
    }

    /// Its number in the mapped file, if it has one there.
    pub(crate) fn filed(&self) -> Option<filed::Number> {
        self.filed
    }

    /// Its labels as text, but for global ones.
    pub(crate) fn labels(&self) -> &str {
        &self.text.labels
    }

    /// Whether global labels stand in its text.
    pub(crate) fn is_whole(&self) -> bool {
        self.text.is_whole
    }

    /// When it began, in milliseconds since 1970.
    pub(crate) fn created(&self) -> &AtomicU64 {
        &self.created
    }

    /// Fetches it from memory.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        self.created.load(Relaxed) ^ self.mark.load(Relaxed)
    }

    /// Shows it from now on.
    #[inline]
    fn show(&self) {
        if self.is_hidden.load(Relaxed) && self.is_hidden.swap(false, Relaxed) {
            let now = exemplar::now();
            self.created.store(now, Relaxed);
            if let Some(idle) = &self.idle {
                idle.since.store(now, Relaxed);
            }
            if let Some(filed) = self.filed {
                filed.shown(now);
            }
        }
    }

    fn hide(&self, highest: usize) {
        let mark = self.metric.forget(highest);
        self.mark.store(mark, Relaxed);
        if let Some(filed) = self.filed {
            self.metric.hide_in_file(filed, mark);
        }
        self.is_hidden.store(true, Relaxed);
        self.family.has_hidden.store(true, Relaxed);
    }

    /// Whether it is hidden and stays so. What was recorded since brings it back.
    fn is_gone(&self, highest: usize) -> bool {
        if !self.is_hidden.load(Relaxed) {
            return false;
        }
        let is_gone = self.metric.pulse(highest) == self.mark.load(Relaxed);
        if !is_gone {
            self.show();
        }
        is_gone
    }

    fn is_idle(&self, limit: Duration, now: u64, highest: usize) -> bool {
        let Some(idle) = &self.idle else { return false };
        let pulse = self.metric.pulse(highest);
        if idle.pulse.swap(pulse, Relaxed) != pulse {
            idle.since.store(now, Relaxed);
        }
        u128::from(now.saturating_sub(idle.since.load(Relaxed))) >= limit.as_millis()
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
            bounds: Mutex::new(Bounds::new(declared)),
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
        self.ordered().iter().any(|series| !series.is_gone(highest))
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
        self.ordered().pack(1, moment, lines, stream, |row, lines| {
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
        let each: &mut dyn Encoder = &mut Each(&mut show);
        self.each(moment, each);
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
            let (series, mut mark) = (row.series, 0);
            if has_hidden {
                if series.is_gone(highest) {
                    return;
                }
                mark = series.mark.load(Relaxed);
            }
            let metric = &series.metric;
            let point = metric.point(&self.shape, row.cells, mark, moment, &mut scratch);
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

/// The facade's hash with all of its bits in play, for tables that look at the topmost.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn shard_of(hash: u64) -> usize {
    // Not the bits that the table goes by.
    (spread(hash) >> 32) as usize % SHARDS
}
