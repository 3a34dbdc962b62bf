//! Where pages of bars are kept: in memory, or in Redis where there is one.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use obs_db::{Command, Redis, RedisMetrics};
use obs_providers::{Entry, ProviderError, RedisStore, Store};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::time::interval;

use crate::error::Error;
use crate::provider::Page;

/// Pages that are kept in memory.
const PAGES: u64 = 64;

/// How long connecting to Redis, or one answer of it, may take.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How often Redis is asked for its own counts.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The store behind the cache, by symbol and month. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pages {
    memory: moka::future::Cache<String, Entry<Page>>,
    redis: Option<Remote>,
}

#[derive(Debug, Clone)]
struct Remote {
    store: RedisStore<Redis<ConnectionManager>>,
    connection: Redis<ConnectionManager>,
}

/// Where Redis is, such as `redis://127.0.0.1`. It may hold a password, so it does not print itself.
#[derive(Clone)]
pub struct RedisUrl(redis::Client);

impl Pages {
    /// Keeps pages in Redis for so long, under keys that begin with `prefix`; in memory without one.
    pub async fn open(
        redis: Option<&RedisUrl>,
        prefix: &str,
        keep_for: Duration,
    ) -> Result<Self, Error> {
        // Before the first connection, and without Redis for good: its series stand at 0 then.
        let metrics = RedisMetrics::new("pages").prepare([Command::Get, Command::Set]);
        let remote = match redis {
            Some(url) => Some(Remote::connect(url, metrics, prefix, keep_for).await?),
            None => None,
        };
        Ok(Self {
            // The oldest leave first. By moka's usual policy a page that is new might not get in, since it was not asked
            // for often yet, and the pages of this month are the new ones.
            memory: moka::future::Cache::builder()
                .max_capacity(PAGES)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            redis: remote,
        })
    }

    /// Asks Redis every now and then how often it had what it was asked for, for ever; at once done without Redis.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + 'static {
        let connection = self.redis.as_ref().map(|remote| remote.connection.clone());
        async move {
            let Some(mut connection) = connection else {
                return;
            };
            let mut turns = interval(ASK_EVERY);
            loop {
                turns.tick().await;
                // While Redis is away its counts stand still; lookups that fail are counted by the cache.
                let _ = connection.observe_server().await;
            }
        }
    }
}

impl Remote {
    async fn connect(
        url: &RedisUrl,
        metrics: RedisMetrics,
        prefix: &str,
        keep_for: Duration,
    ) -> Result<Self, Error> {
        // A page is better fetched again than waited for.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let connection = ConnectionManager::new_with_config(url.0.clone(), config).await?;
        let connection = Redis::with_metrics(connection, metrics);
        Ok(Self {
            store: RedisStore::new(connection.clone(), prefix, keep_for),
            connection,
        })
    }
}

impl Store<str, Page> for Pages {
    type Error = ProviderError;

    async fn get(&self, key: &str) -> Result<Option<Entry<Page>>, ProviderError> {
        if let Some(remote) = &self.redis {
            return Store::<str, Page>::get(&remote.store, key).await;
        }
        let Ok(found) = Store::<str, Page>::get(&self.memory, key).await;
        Ok(found)
    }

    async fn put(&self, key: &str, entry: &Entry<Page>) -> Result<(), ProviderError> {
        if let Some(remote) = &self.redis {
            return Store::<str, Page>::put(&remote.store, key, entry).await;
        }
        let Ok(()) = Store::<str, Page>::put(&self.memory, key, entry).await;
        Ok(())
    }
}

impl FromStr for RedisUrl {
    type Err = redis::RedisError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        redis::Client::open(url).map(Self)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}
