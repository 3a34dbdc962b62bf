//! A cache in front of a provider: what it had, how old that was, and how long loading took.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use obs_core::{Outcome, Timed, Timer};

use crate::CacheResult;
use crate::dataset::{Dataset, age};
use crate::flights::{Flight, Flights};

/// A value and when it was loaded, as a store keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "redis", derive(serde::Serialize, serde::Deserialize))]
pub struct Entry<V> {
    /// The value.
    pub value: V,
    /// When it was loaded.
    pub loaded_at: Timestamp,
}

/// Where entries are kept. Implemented for [`moka`](https://docs.rs/moka)'s asynchronous cache under the feature `moka`,
/// and by [`RedisStore`](crate::RedisStore) under the feature `redis`.
pub trait Store<K: ?Sized, V> {
    /// What may go wrong. It counts in `provider_cache_errors_total`, and is not handed on.
    type Error;

    /// The entry of a key, if it has one.
    fn get(&self, key: &K) -> impl Future<Output = Result<Option<Entry<V>>, Self::Error>> + Send;

    /// Keeps an entry.
    fn put(
        &self,
        key: &K,
        entry: &Entry<V>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A value as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<V> {
    /// The value.
    pub value: V,
    /// How long ago it was loaded.
    pub age: Duration,
    /// What the cache had.
    pub result: CacheResult,
}

impl<V> Served<V> {
    fn of(entry: Entry<V>, now: Timestamp, result: CacheResult) -> Self {
        Self {
            age: age(entry.loaded_at, now),
            value: entry.value,
            result,
        }
    }
}

/// What a store has of a key.
enum Found<V> {
    Fresh(Served<V>),
    /// With its age as the dataset counts it.
    Stale(Entry<V>, Duration),
    Nothing,
}

/// A cache of a dataset, over a store of the user's choice.
///
/// ```
/// # async fn show<S: obs_providers::Store<str, f64>>(store: S) -> Result<(), std::io::Error> {
/// use std::time::Duration;
/// use obs_providers::{Cache, Provider, ProviderKind};
///
/// let provider = Provider::new("alpaca", ProviderKind::MarketData);
/// let quotes = Cache::new(provider.dataset("quotes"), store, Duration::from_secs(5))
///     .serve_stale_for(Duration::from_secs(60));
///
/// let quote = quotes.get("AAPL", async { Ok::<_, std::io::Error>(187.2) }).await?;
/// println!("{} as of {:?} ago", quote.value, quote.age);
/// # Ok(())
/// # }
/// ```
///
/// - An entry that is fresh is a `hit`, and is served.
/// - One that is too old is `stale`: a newer one is loaded. If that fails, the old one is served all the same while it
///   may be; else the error is returned.
/// - None, or one that could not be read, is a `miss`: it is loaded. A store that cannot be reached costs a count in
///   `provider_cache_errors_total` and the time of its timeout, but no call.
///
/// Entries carry the time of the clock on the wall, for other processes read them too. One that lies further ahead than an
/// entry is fresh for was kept by a clock that is wrong or has been set back since: nobody knows how old it is, and it counts
/// as none.
///
/// A dataset with a market ages in open hours.
///
/// Of calls that ask for one key at the same time one loads, and the others wait for that: they are served what it brought, as a
/// `hit`. If it fails they serve what is stale where they may, or load by themselves; if it is dropped, the next one loads. That holds
/// within this cache and its clones, not across processes that share a store.
#[derive(Clone, Debug)]
pub struct Cache<S> {
    dataset: Dataset,
    store: S,
    fresh_for: Duration,
    serve_stale_for: Duration,
    flights: Arc<Flights>,
}

impl<S> Cache<S> {
    /// A cache whose entries are fresh for so long.
    #[must_use]
    pub fn new(dataset: Dataset, store: S, fresh_for: Duration) -> Self {
        // Its series are there before the first lookup, so that none is lost to a rate.
        dataset.caches();
        Self {
            dataset,
            store,
            fresh_for,
            serve_stale_for: Duration::ZERO,
            flights: Arc::default(),
        }
    }

    /// For how long an entry that is no longer fresh may be served where no newer one can be loaded; by default not at all.
    #[must_use]
    pub fn serve_stale_for(mut self, time: Duration) -> Self {
        self.serve_stale_for = time;
        self
    }

    /// Its dataset.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The value of a key, from the store or by `load`, which is polled only where it is needed.
    pub async fn get<K: Hash + ?Sized, V, E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<Served<V>, E>
    where
        S: Store<K, V>,
    {
        let mut found = self.find(key).await;
        if let Found::Fresh(served) = found {
            return Ok(self.hit(served));
        }
        let flight = self.flights.board(key).await;
        if flight.has_waited() {
            // Somebody else has loaded meanwhile.
            found = self.find(key).await;
            if let Found::Fresh(served) = found {
                return Ok(self.hit(served));
            }
        }
        self.load(key, load, found, flight).await
    }

    fn hit<V>(&self, served: Served<V>) -> Served<V> {
        self.dataset.lookup().hit(served.age);
        served
    }

    /// What the store has of a key.
    async fn find<K: ?Sized, V>(&self, key: &K) -> Found<V>
    where
        S: Store<K, V>,
    {
        let kept = self.kept(key).await;
        let now = Timestamp::now();
        let known = |entry: &Entry<V>| age(now, entry.loaded_at) <= self.fresh_for;
        let Some(entry) = kept.filter(known) else {
            return Found::Nothing;
        };
        let aged = self.dataset.ages_by(entry.loaded_at, now);
        if aged > self.fresh_for {
            return Found::Stale(entry, aged);
        }
        Found::Fresh(Served::of(entry, now, CacheResult::Hit))
    }

    async fn load<K: ?Sized, V, E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<V, E>>,
        found: Found<V>,
        flight: Flight,
    ) -> Result<Served<V>, E>
    where
        S: Store<K, V>,
    {
        let lookup = self.dataset.lookup();
        let (entry, result) = match found {
            Found::Stale(entry, aged) => {
                let may_serve = aged <= self.fresh_for.saturating_add(self.serve_stale_for);
                (Some(entry).filter(|_| may_serve), CacheResult::Stale)
            }
            _ => (None, CacheResult::Miss),
        };
        if let Some(entry) = entry {
            if flight.has_failed() {
                // What failed for another a moment ago is not tried by all who waited for it.
                lookup.count(CacheResult::Stale);
                return Ok(self.serve_stale(entry));
            }
            if let Ok(loaded) = lookup.stale().of(load).await {
                return Ok(self.keep(key, loaded, result).await);
            }
            flight.fail();
            return Ok(self.serve_stale(entry));
        }
        let loading = match result {
            CacheResult::Stale => lookup.stale(),
            _ => lookup.miss(),
        };
        match loading.of(load).await {
            Ok(loaded) => Ok(self.keep(key, loaded, result).await),
            Err(error) => {
                flight.fail();
                Err(error)
            }
        }
    }

    fn serve_stale<V>(&self, entry: Entry<V>) -> Served<V> {
        let served = Served::of(entry, Timestamp::now(), CacheResult::Stale);
        self.dataset.served(served.age);
        served
    }

    async fn kept<K: ?Sized, V>(&self, key: &K) -> Option<Entry<V>>
    where
        S: Store<K, V>,
    {
        let found = self.store.get(key).await;
        found.unwrap_or_else(|_| {
            self.failed();
            None
        })
    }

    async fn keep<K: ?Sized, V>(&self, key: &K, value: V, result: CacheResult) -> Served<V>
    where
        S: Store<K, V>,
    {
        let loaded_at = Timestamp::now();
        let entry = Entry { value, loaded_at };
        if self.store.put(key, &entry).await.is_err() {
            self.failed();
        }
        Served {
            value: entry.value,
            age: Duration::ZERO,
            result,
        }
    }

    fn failed(&self) {
        self.dataset.caches().cache_errors.increment(1);
    }
}

/// A lookup in a cache of one's own, which records what came of it. Dropped without, as by a cancellation, it was
/// no lookup.
///
/// ```
/// # async fn show(quotes: obs_providers::Dataset, mine: std::collections::HashMap<String, (f64, std::time::Instant)>)
/// # -> Result<f64, std::io::Error> {
/// let lookup = quotes.lookup();
/// if let Some((price, loaded)) = mine.get("AAPL") {
///     lookup.hit(loaded.elapsed());
///     return Ok(*price);
/// }
/// let price = lookup.miss().of(async { Ok::<_, std::io::Error>(187.2) }).await?;
/// # Ok(price)
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a lookup that ends without a result is not counted"]
pub struct Lookup(Dataset);

impl Lookup {
    pub(crate) fn new(dataset: Dataset) -> Self {
        Self(dataset)
    }

    /// The cache had a fresh entry, loaded so long ago, which is served.
    pub fn hit(self, age: Duration) {
        self.count(CacheResult::Hit);
        self.0.served(age);
    }

    /// The cache had nothing.
    pub fn miss(self) -> Load {
        self.count(CacheResult::Miss);
        Load::start(self.0)
    }

    /// The cache had an entry that is too old. Where it is served in the end, [`Dataset::served`] takes its age.
    pub fn stale(self) -> Load {
        self.count(CacheResult::Stale);
        Load::start(self.0)
    }

    fn count(&self, result: CacheResult) {
        self.0.caches().cache[result].increment(1);
    }
}

/// Data being loaded because a cache did not have it. Loading is timed from here; its success is an update of the dataset.
/// Dropped, it was `cancelled`, or `panicked`.
#[derive(Debug)]
#[must_use = "a load that ends without a result counts as cancelled"]
pub struct Load {
    dataset: Dataset,
    timer: Timer<LoadTime>,
}

/// Where the time of a load goes, kept by the load itself so that it can be handed about.
#[derive(Debug)]
struct LoadTime(Dataset);

impl Timed for LoadTime {
    fn ended(&self, outcome: Outcome, elapsed: Duration) {
        self.0.caches().cache_load.ended(outcome, elapsed);
    }
}

impl Load {
    fn start(dataset: Dataset) -> Self {
        let timer = Timer::new(LoadTime(dataset.clone()), Outcome::Cancelled);
        Self { dataset, timer }
    }

    /// Waits for what is loaded.
    pub async fn of<T, E>(self, load: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let result = load.await;
        self.result(result)
    }

    /// Ends with `ok` or `error`, as the result is, and hands it on.
    pub fn result<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        if result.is_ok() {
            self.dataset.updated();
        }
        self.timer.result(result)
    }
}
