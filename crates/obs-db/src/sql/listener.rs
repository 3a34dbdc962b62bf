//! A listener for notifications, which tells when it has lost its connection.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_util::stream::{Stream, unfold};
use obs_core::Closed;
use sqlx::postgres::PgNotification;
use sqlx::{Error, Postgres};

use crate::sql::SqlMetrics;
use crate::sql::labels::ListenerEvent;
use crate::sql::pool::Pool;

/// sqlx's listener for `PostgreSQL`'s notifications, measured: what it receives, and when it loses its connection.
///
/// It connects again by itself, and what was notified in between is lost: `db_listener_events_total` tells how often.
/// Everything else is reached through the dereference to [`sqlx::postgres::PgListener`].
pub struct PgListener {
    raw: sqlx::postgres::PgListener,
    metrics: Arc<SqlMetrics>,
}

impl PgListener {
    /// A listener on a connection of the pool, which it holds for as long as it lives. It counts under the name of the pool.
    pub async fn connect_with(pool: &Pool<Postgres>) -> Result<Self, Error> {
        let raw = sqlx::postgres::PgListener::connect_with(pool.raw()).await?;
        let metrics = Arc::clone(&pool.metrics);
        for event in ListenerEvent::ALL {
            // From 0 on, so that the first loss is seen as an increase.
            metrics.wrapper.listener[*event].increment(0);
        }
        Ok(Self { raw, metrics })
    }

    /// The next notification. Where the connection is lost, it is made anew and the wait goes on.
    pub async fn recv(&mut self) -> Result<PgNotification, Error> {
        loop {
            if let Some(notification) = self.try_recv().await? {
                return Ok(notification);
            }
        }
    }

    /// The next notification, or `None` where the connection was lost, so that a program can look up what it has missed.
    pub async fn try_recv(&mut self) -> Result<Option<PgNotification>, Error> {
        let received = self.raw.try_recv().await;
        let event = match &received {
            Ok(Some(_)) => ListenerEvent::Notification,
            Ok(None) => ListenerEvent::Reconnected,
            // The program closed the pool, so no notification is missed.
            Err(Error::PoolClosed) => return received,
            Err(_) => ListenerEvent::Failed,
        };
        self.metrics.wrapper.listener[event].increment(1);
        received
    }

    /// The notifications as a stream, which ends with an error only where the pool is closed.
    pub fn into_stream(self) -> impl Stream<Item = Result<PgNotification, Error>> + Send {
        unfold(self, async |mut listener| {
            let received = listener.recv().await;
            (!matches!(received, Err(Error::PoolClosed))).then_some((received, listener))
        })
    }
}

impl Deref for PgListener {
    type Target = sqlx::postgres::PgListener;

    fn deref(&self) -> &Self::Target {
        &self.raw
    }
}

impl DerefMut for PgListener {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.raw
    }
}

impl fmt::Debug for PgListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgListener").finish_non_exhaustive()
    }
}
