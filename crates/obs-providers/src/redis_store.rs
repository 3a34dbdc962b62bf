//! A cache in Redis.

use std::fmt;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{AsyncCommands, SetExpiry, SetOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Entry, ProviderError, Store};

/// Entries in Redis, as JSON, under a prefix.
///
/// It takes any asynchronous connection that can be cloned: a `MultiplexedConnection`, or a `ConnectionManager`, which
/// finds its way back when Redis was away. Either answers within its response timeout, half a second by default, or
/// fails.
///
/// ```no_run
/// # async fn show<C: redis::aio::ConnectionLike + Clone + Send + Sync>(connection: C) {
/// use std::time::Duration;
/// use obs_providers::{Cache, Provider, ProviderKind, RedisStore};
///
/// let provider = Provider::new("news", ProviderKind::Sentiment);
/// let store = RedisStore::new(connection, "news:scores:", Duration::from_secs(3_600));
/// let scores = Cache::new(provider.dataset("scores"), store, Duration::from_secs(60));
/// let score = scores.get("AAPL", async { Ok::<f64, std::io::Error>(0.3) }).await;
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: String,
    keep_for: Duration,
}

impl<C> RedisStore<C> {
    /// Keeps entries under keys that begin with `prefix`, for `keep_for` from when they were loaded; at least a
    /// millisecond, since Redis knows no less. It should be no shorter than entries are fresh and may be served stale.
    #[must_use]
    pub fn new(connection: C, prefix: &str, keep_for: Duration) -> Self {
        Self {
            connection,
            prefix: prefix.to_owned(),
            keep_for,
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A connection may print the address it was made from, password and all.
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("keep_for", &self.keep_for)
            .finish_non_exhaustive()
    }
}

impl<C, K, V> Store<K, V> for RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync,
    K: AsRef<str> + Sync + ?Sized,
    V: Serialize + DeserializeOwned + Sync,
{
    type Error = ProviderError;

    async fn get(&self, key: &K) -> Result<Option<Entry<V>>, ProviderError> {
        let key = self.key(key.as_ref());
        let found: Option<Vec<u8>> = self
            .connection
            .clone()
            .get(key)
            .await
            .map_err(ProviderError::Redis)?;
        let Some(json) = found else { return Ok(None) };
        // The parser's own words may quote the value.
        let entry = serde_json::from_slice(&json);
        entry
            .map(Some)
            .map_err(|error| ProviderError::Json(error.classify()))
    }

    async fn put(&self, key: &K, entry: &Entry<V>) -> Result<(), ProviderError> {
        let key = self.key(key.as_ref());
        let json = serde_json::to_vec(entry);
        let json = json.map_err(|error| ProviderError::Json(error.classify()))?;
        let keep_for = u64::try_from(self.keep_for.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let options = SetOptions::default().with_expiration(SetExpiry::PX(keep_for));
        let kept = self
            .connection
            .clone()
            .set_options(key, json, options)
            .await;
        kept.map_err(ProviderError::Redis)
    }
}
