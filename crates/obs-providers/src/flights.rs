//! Loads under way, so that of many who want the same only one goes for it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The loads of one cache. It holds as many entries as there are loads under way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    hasher: RandomState,
    /// By the hash of the key: two keys of one hash wait for each other, and are none the worse for it.
    under_way: Mutex<HashMap<u64, Arc<Semaphore>>>,
}

/// The right to load something. Dropped, it passes to the next who waits for the same.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Arc<Flights>,
    key: u64,
    turn: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
    has_waited: bool,
}

impl Flights {
    /// Waits until nobody else is loading this, or until that load has failed.
    pub(crate) async fn board<K: Hash + ?Sized>(self: &Arc<Self>, key: &K) -> Flight {
        let key = self.hasher.hash_one(key);
        let turn = {
            let mut under_way = self.held();
            let turn = under_way.entry(key);
            Arc::clone(turn.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // Made before anything is waited for: dropped while it waits, it leaves nothing behind.
        let mut flight = Flight {
            flights: Arc::clone(self),
            key,
            turn: Some(Arc::clone(&turn)),
            permit: Arc::clone(&turn).try_acquire_owned().ok(),
            has_waited: false,
        };
        if flight.permit.is_none() {
            flight.has_waited = true;
            flight.permit = turn.acquire_owned().await.ok();
        }
        flight
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Semaphore>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Whether another was loading when this one came.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Whether the one this waited for has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.permit.is_none()
    }

    /// The load has failed: those who wait for it do so no longer. A later caller starts anew.
    pub(crate) fn fail(&self) {
        if let (Some(turn), Some(_)) = (&self.turn, &self.permit) {
            let mut under_way = self.flights.held();
            if under_way
                .get(&self.key)
                .is_some_and(|of| Arc::ptr_eq(of, turn))
            {
                under_way.remove(&self.key);
            }
            turn.close();
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under_way = self.flights.held();
        // First, so that the next has its turn.
        self.permit = None;
        let Some(turn) = self.turn.take() else { return };
        let is_of_map = under_way
            .get(&self.key)
            .is_some_and(|of| Arc::ptr_eq(of, &turn));
        // The map's and this one: nobody else wants it. New ones come by the lock that is held.
        if is_of_map && Arc::strong_count(&turn) == 2 {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_goes_and_the_others_wait() {
        let flights = Arc::new(Flights::default());
        let first = flights.board("AAPL").await;
        assert!(!first.has_waited() && !first.has_failed());
        let other = flights.board("MSFT").await;
        assert!(!other.has_waited());
        drop(other);
        let waiting = Arc::clone(&flights);
        let second = tokio::spawn(async move { waiting.board("AAPL").await });
        tokio::task::yield_now().await;
        drop(first);
        let second = second.await.unwrap();
        assert!(second.has_waited() && !second.has_failed());
        drop(second);
        assert!(flights.held().is_empty());
    }

    #[tokio::test]
    async fn a_failure_releases_all_and_what_comes_later_starts_anew() {
        let flights = Arc::new(Flights::default());
        let first = flights.board("AAPL").await;
        let waiting = Arc::clone(&flights);
        let second = tokio::spawn(async move { waiting.board("AAPL").await });
        tokio::task::yield_now().await;
        first.fail();
        assert!(second.await.unwrap().has_failed());
        let third = flights.board("AAPL").await;
        assert!(!third.has_waited());
        drop((first, third));
        assert!(flights.held().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let flights = Arc::new(Flights::default());
        let first = flights.board("AAPL").await;
        {
            let mut second = std::pin::pin!(flights.board("AAPL"));
            let polled = futures_util::poll!(second.as_mut());
            assert!(polled.is_pending());
        }
        drop(first);
        assert!(flights.held().is_empty());
    }
}
