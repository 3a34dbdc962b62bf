//! A cache in memory.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::hash::Hash;

use moka::future::Cache;

use crate::{Entry, Store};

/// Keys may be looked up borrowed, such as a `String` by a `str`. Entries leave by moka's own rules.
impl<K, Q, V> Store<Q, V> for Cache<K, Entry<V>>
where
    K: Borrow<Q> + Hash + Eq + Send + Sync + 'static,
    Q: Hash + Eq + ToOwned<Owned = K> + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
{
    type Error = Infallible;

    async fn get(&self, key: &Q) -> Result<Option<Entry<V>>, Infallible> {
        Ok(Self::get(self, key).await)
    }

    async fn put(&self, key: &Q, entry: &Entry<V>) -> Result<(), Infallible> {
        self.insert(key.to_owned(), entry.clone()).await;
        Ok(())
    }
}
