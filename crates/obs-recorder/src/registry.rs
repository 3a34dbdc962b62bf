//! The series of one kind: found by key, kept by family, shown in order.
//!
//! Who records finds a known series under a shard's read lock. Who brings a new one takes its family's lock and then the
//! shard's, and puts it on the family's list of fresh ones. A scrape takes that list away as a whole and sorts it into its
//! own order outside of every lock, so that nobody who registers waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};
use std::time::Duration;

use hashbrown::HashTable;
use metrics::{Key, Label, SharedString};
use obs_core::{Family as Declared, Kind, MAX_VALUE_BYTES, OTHER, Values};

use crate::cell::Store;
use crate::engine::{Settings, Watch};
use crate::exemplar;
use crate::key::{Text, canonical, is_too_long};
use crate::metric::Metric;
use crate::order::Order;
use crate::text::{At, Heading, Lines};
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
    pub(crate) shape: M::Shape,
    declared: Option<&'static Declared>,
    /// How long its series are shown after something was last recorded to them; for good where there is no limit.
    idle_after: Option<Duration>,
    /// How many series there are, hidden ones included.
    count: AtomicUsize,
    /// How it is watched; nothing for the families that watch.
    watch: OnceLock<Watch>,
    /// Held by who adds a series: the values of each scope label, by its key.
    scopes: Mutex<HashMap<&'static str, HashSet<String>>>,
    fresh: Mutex<Vec<Arc<Series<M>>>>,
    /// Whether any series was ever hidden. Until then a scrape need not ask them.
    has_hidden: AtomicBool,
    /// Whether its sums may be below 0, by its bounds or by what a scrape has found.
    is_signed: AtomicBool,
    /// Only the holder of the scrape's lock touches it.
    ordered: Mutex<Order<M>>,
}

/// Families by name, and all of their series by key.
#[derive(Debug)]
pub(crate) struct Registry<M: Metric> {
    shards: Box<[Shard<M>]>,
    families: RwLock<HashMap<String, Arc<Family<M>>>>,
}

type Shard<M> = RwLock<HashTable<Arc<Series<M>>>>;

/// The most series of a family that no catalogue knows.
const UNDECLARED_BUDGET: usize = 10_000;

/// A power of two. The more there are, the less a growing table makes anybody wait.
const SHARDS: usize = 256;

/// Makes the handles by which a family of this name and kind is watched.
type Watching<'a> = dyn Fn(&str, Kind) -> Watch + 'a;

/// What registering needs to know of the engine.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    /// How many families there are that no catalogue knows, of all kinds.
    pub(crate) undeclared: &'a AtomicUsize,
    /// Makes the handles that watch a family; `None` for the series of these themselves, which know no budget.
    pub(crate) watch: Option<&'a Watching<'a>>,
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
        };
        let found = shard.find(spread(key.get_hash()), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| series.show())
    }

    /// The series of a key, made if it is new; folded where that is beyond a budget. Nothing where its family is one too many
    /// or has a name that is too long.
    #[cold]
    pub(crate) fn register(&self, key: &Key, context: &Context<'_>) -> Option<Arc<Series<M>>> {
        let key = canonical(key);
        let family = self.family(key.name(), context)?;
        let Some(watch) = context.watch else {
            let _adding = lock(&family.scopes);
            return Some(self.find_or_add(&family, &key, context));
        };
        let watch = family.watch.get_or_init(|| watch(&family.name, M::KIND));
        let mut scopes = lock(&family.scopes);
        if let Some(known) = self.find_text(&key, &Text::of(&key, &context.settings.globals)) {
            return Some(known);
        }
        let admitted = family.admit(&key, &mut scopes, |key| {
            self.find_text(key, &Text::of(key, &context.settings.globals))
                .is_some()
        });
        if let Some(folded) = admitted {
            watch.overflow.increment(1);
            return Some(self.find_or_add(&family, &folded, context));
        }
        Some(self.find_or_add(&family, &key, context))
    }

    pub(crate) fn families(&self) -> Vec<Arc<Family<M>>> {
        read(&self.families).values().map(Arc::clone).collect()
    }

    pub(crate) fn family_of(&self, name: &str) -> Option<Arc<Family<M>>> {
        read(&self.families).get(name).map(Arc::clone)
    }

    /// The family of a name, made if it is new and may be.
    fn family(&self, name: &str, context: &Context<'_>) -> Option<Arc<Family<M>>> {
        if let Some(family) = self.family_of(name) {
            return Some(family);
        }
        let settings = context.settings;
        // The families that watch others are no more than these.
        let is_bounded = context.watch.is_some() && !settings.declared.contains_key(name);
        let most = settings.undeclared_families;
        if is_bounded && (is_too_long(name) || context.undeclared.load(Relaxed) >= most) {
            return None;
        }
        let mut families = write(&self.families);
        if let Some(family) = families.get(name) {
            return Some(Arc::clone(family));
        }
        if is_bounded {
            let more = |count: usize| (count < most).then_some(count + 1);
            context
                .undeclared
                .fetch_update(Relaxed, Relaxed, more)
                .ok()?;
        }
        let family = Arc::new(Family::new(name, settings));
        families.insert(name.to_owned(), Arc::clone(&family));
        Some(family)
    }

    /// The one series that is shared by all that have no family. It knows no limit.
    pub(crate) fn shared(
        &self,
        name: &'static str,
        context: &Context<'_>,
    ) -> Option<Arc<Series<M>>> {
        let context = Context {
            watch: None,
            ..*context
        };
        self.register(&Key::from_static_name(name), &context)
    }

    /// The series of a canonical key.
    fn find_text(&self, key: &Key, text: &Text) -> Option<Arc<Series<M>>> {
        let shard = read(&self.shards[shard_of(key.get_hash())]);
        let is_it = |series: &Arc<Series<M>>| series.is(key, text);
        let found = shard.find(spread(key.get_hash()), is_it).map(Arc::clone);
        drop(shard);
        found.inspect(|series| series.show())
    }

    /// The series of a canonical key, made if it is new. The caller holds the family's lock.
    fn find_or_add(
        &self,
        family: &Arc<Family<M>>,
        key: &Key,
        context: &Context<'_>,
    ) -> Arc<Series<M>> {
        let text = Text::of(key, &context.settings.globals);
        if let Some(known) = self.find_text(key, &text) {
            return known;
        }
        let series = Arc::new(Series::new(family, key, text, context.store));
        series.metric.make_ready();
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
                .map(|series| series.metric.dismantle(store))
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
        Self {
            metric: M::new(&family.shape, store),
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

    fn is(&self, key: &Key, text: &Text) -> bool {
        self.hash == key.get_hash()
            && self.family.name == key.name()
            && self.text.labels == text.labels
    }

    pub(crate) fn family(&self) -> &Family<M> {
        &self.family
    }

    /// Its labels as text, but for global ones.
    pub(crate) fn labels(&self) -> &str {
        &self.text.labels
    }

    /// Whether global labels stand in its text.
    pub(crate) fn is_whole(&self) -> bool {
        self.text.is_whole
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
        }
    }

    fn hide(&self, highest: usize) {
        self.mark.store(self.metric.forget(highest), Relaxed);
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
    fn new(name: &str, settings: &Settings) -> Self {
        let declared = settings.declared.get(name).copied();
        let of_this_kind = declared.filter(|family| family.kind() == M::KIND);
        let has_negative_bounds = of_this_kind.is_some_and(|family| {
            family.kind() == Kind::Histogram
                && family.bucket_bounds().iter().any(|bound| *bound < 0.0)
        });
        Self {
            name: name.to_owned(),
            shape: M::shape(name, of_this_kind, settings),
            declared,
            idle_after: idle_after(name, declared, settings),
            count: AtomicUsize::new(0),
            watch: OnceLock::new(),
            scopes: Mutex::default(),
            fresh: Mutex::default(),
            has_hidden: AtomicBool::new(false),
            is_signed: AtomicBool::new(has_negative_bounds),
            ordered: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a catalogue declares it, as this kind.
    pub(crate) fn is_declared(&self) -> bool {
        self.declared.is_some_and(|family| family.kind() == M::KIND)
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
        ordered.add(fresh);
        ordered
    }

    /// Whether any series is shown. The caller holds the scrape's lock.
    pub(crate) fn is_shown(&self, highest: usize) -> bool {
        self.ordered().iter().any(|series| !series.is_gone(highest))
    }

    /// Writes the family with all its series. The caller holds the scrape's lock.
    pub(crate) fn render(&self, heading: &Heading<'_>, base_is_taken: bool, lines: &mut Lines<'_>) {
        let (start, is_signed) = (lines.len(), self.is_signed.load(Relaxed));
        self.write(heading, base_is_taken, is_signed, lines);
        // Nothing told that it takes values below 0 until the first of them was written.
        if lines.take_back_odd(start) {
            self.is_signed.store(true, Relaxed);
            self.write(heading, base_is_taken, true, lines);
        }
    }

    fn write(
        &self,
        heading: &Heading<'_>,
        base_is_taken: bool,
        is_signed: bool,
        lines: &mut Lines<'_>,
    ) {
        let mut ordered = self.ordered();
        let (highest, has_hidden) = (lines.highest(), self.has_hidden.load(Relaxed));
        let lists = lines.begin(heading, base_is_taken, is_signed);
        for parts in lists {
            if let [part] = *parts {
                lines.begin_part(heading, part);
            }
            ordered.read(highest, has_hidden, |row| {
                let series = row.series;
                if has_hidden && series.is_gone(highest) {
                    return;
                }
                let at = At {
                    labels: row.labels,
                    is_whole: row.is_whole,
                    cells: row.cells,
                    mark: if has_hidden {
                        series.mark.load(Relaxed)
                    } else {
                        0
                    },
                    created: &series.created,
                };
                for part in &parts {
                    series.metric.write(&self.shape, at, *part, lines);
                }
            });
        }
    }

    /// The key as it may be added: itself for `None`, or folded. `is_known` tells whether a folded one exists already.
    fn admit(
        &self,
        key: &Key,
        scopes: &mut HashMap<&'static str, HashSet<String>>,
        is_known: impl Fn(&Key) -> bool,
    ) -> Option<Key> {
        let folds = |label: &Label| {
            label.value().len() > MAX_VALUE_BYTES
                || is_too_long(label.key())
                || self
                    .declared
                    .is_some_and(|family| scope_is_full(scopes, family, label))
        };
        let within = folded(key, folds);
        let admitted = within.as_ref().unwrap_or(key);
        let budget = self
            .declared
            .map_or(UNDECLARED_BUDGET, Declared::series_budget);
        if self.count.load(Relaxed) < budget || (within.is_some() && is_known(admitted)) {
            return within;
        }
        folded(admitted, |label| is_open(self.declared, label)).or(within)
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
    let is_open = declared.is_none_or(|family| {
        let mut labels = family.labels();
        labels.any(|label| matches!(label.values, Values::Open(_)))
    });
    let stays = !is_open || name.ends_with("_info") || name.starts_with("obs_");
    of_its_own.or(settings.idle.filter(|_| !stays))
}

/// Whether the label is a scope's, open, and this a value beyond its limit. Values within it are remembered.
fn scope_is_full(
    scopes: &mut HashMap<&'static str, HashSet<String>>,
    family: &'static Declared,
    label: &Label,
) -> bool {
    let scope = family.scope().find(|scope| scope.key == label.key());
    let Some((scope, Values::Open(limit))) = scope.map(|scope| (scope, scope.values)) else {
        return false;
    };
    let values = scopes.entry(scope.key).or_default();
    if label.value() == OTHER || values.contains(label.value()) {
        return false;
    }
    values.len() >= limit || !values.insert(label.value().to_owned())
}

/// Whether a label's value may be folded. Closed labels keep theirs: there are few, and they carry the meaning.
fn is_open(family: Option<&'static Declared>, label: &Label) -> bool {
    let declared = family.and_then(|family| family.labels().find(|l| l.key == label.key()));
    declared.is_none_or(|label| matches!(label.values, Values::Open(_)))
}

/// The key with the labels of which it is said folded into `other`, if that changes anything. A label whose name is too long is
/// called `other`, too.
fn folded(key: &Key, mut folds: impl FnMut(&Label) -> bool) -> Option<Key> {
    let mut changes = false;
    let mut fold = |label: &Label| {
        if !folds(label) {
            return label.clone();
        }
        let name = if is_too_long(label.key()) {
            OTHER
        } else {
            label.key()
        };
        changes |= label.value() != OTHER || name != label.key();
        Label::new(name.to_owned(), SharedString::const_str(OTHER))
    };
    let labels: Vec<_> = key.labels().map(&mut fold).collect();
    let folded = || canonical(&Key::from_parts(key.name().to_owned(), labels)).into_owned();
    changes.then(folded)
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
