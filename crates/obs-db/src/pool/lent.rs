//! What a pool has lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use crate::pool::{Held, PoolMetrics};

/// A connection that a [`Deadpool`](crate::Deadpool) or a [`Bb8`](crate::Bb8) has lent. It goes back when it is dropped, and the
/// time for which it was held is recorded.
///
/// It dereferences to what the pool's own guard dereferences to, the connection.
pub struct Lent<C> {
    // Goes back before the time ends.
    guard: C,
    held: Held<PoolMetrics>,
}

impl<C> Lent<C> {
    pub(crate) fn new(guard: C, since: Instant, metrics: &Arc<PoolMetrics>) -> Self {
        Self {
            guard,
            held: Held::since(since, Arc::clone(metrics)),
        }
    }

    /// The pool's own guard, for what needs one. The time for which the connection is held ends here.
    #[must_use]
    pub fn into_raw(self) -> C {
        drop(self.held);
        self.guard
    }
}

impl<C: Deref> Deref for Lent<C> {
    type Target = C::Target;

    fn deref(&self) -> &Self::Target {
        &self.guard
    }
}

impl<C: DerefMut> DerefMut for Lent<C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.guard
    }
}

impl<C> fmt::Debug for Lent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

/// For guards that are connections themselves, such as that of `deadpool-redis`.
#[cfg(feature = "redis")]
impl<C: redis::aio::ConnectionLike> redis::aio::ConnectionLike for Lent<C> {
    fn req_packed_command<'a>(
        &'a mut self,
        cmd: &'a redis::Cmd,
    ) -> redis::RedisFuture<'a, redis::Value> {
        self.guard.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> redis::RedisFuture<'a, Vec<redis::Value>> {
        self.guard.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.guard.get_db()
    }
}
