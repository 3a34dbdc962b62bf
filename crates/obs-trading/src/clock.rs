//! The time that orders take: measured live, told in a replay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Where the times of an order come from. What the process computes itself (evaluations, signals, decisions) is always
/// measured by the machine's monotonic clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's monotonic clock, from an arbitrary start.
    Monotonic(Instant),
    /// The time of the events that are replayed.
    Replay(ReplayClock),
}

impl Clock {
    /// The time now, from the clock's start.
    #[must_use]
    pub fn now(&self) -> Duration {
        match self {
            Self::Monotonic(start) => start.elapsed(),
            Self::Replay(clock) => clock.now(),
        }
    }
}

impl Clock {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(nanoseconds(self.now()))
    }

    /// The moment of this clock at a reading of the machine's: reading that again would cost more than all the rest of a
    /// signal.
    pub(crate) fn stamp_at(&self, now: Instant) -> Stamp {
        match self {
            Self::Monotonic(start) => Stamp(nanoseconds(now.saturating_duration_since(*start))),
            Self::Replay(clock) => Stamp(nanoseconds(clock.now())),
        }
    }

    /// A moment of this clock as it can be kept across a restart: in the time of the replay, or since 1970.
    pub(crate) fn to_kept(&self, moment: Stamp) -> Stamp {
        match self {
            Self::Monotonic(_) => Stamp(moment.0 + self.since_1970()),
            Self::Replay(_) => moment,
        }
    }

    /// The reverse of [`to_kept`](Self::to_kept), in a later process.
    pub(crate) fn to_own(&self, kept: Stamp) -> Stamp {
        match self {
            Self::Monotonic(_) => Stamp(kept.0 - self.since_1970()),
            Self::Replay(_) => kept,
        }
    }

    /// The time now, in nanoseconds since 1970: by the wall clock, or by that of the replay.
    pub(crate) fn since_epoch(&self) -> i64 {
        match self {
            Self::Monotonic(_) => nanoseconds(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            Self::Replay(clock) => nanoseconds(clock.now()),
        }
    }

    /// Whether a moment that another clock tells, in nanoseconds since 1970, is later than this clock and a tolerance.
    pub(crate) fn is_future(&self, moment: i64, tolerance: Duration) -> bool {
        moment > self.since_epoch().saturating_add(nanoseconds(tolerance))
    }

    /// What lies between 1970 and the clock's start.
    fn since_1970(&self) -> i64 {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        nanoseconds(wall) - nanoseconds(self.now())
    }
}

/// A moment on a clock, in nanoseconds; before the clock's start for what a restart brought over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stamp(i64);

impl Stamp {
    /// The moment as seconds since 1970, where it is kept so.
    pub(crate) fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time since an earlier moment; nothing where a clock that was set back would make it negative.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

pub(crate) fn nanoseconds(time: Duration) -> i64 {
    // 292 years: more than any clock here tells.
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 2)
}

impl Default for Clock {
    fn default() -> Self {
        Self::Monotonic(Instant::now())
    }
}

impl From<&ReplayClock> for Clock {
    fn from(clock: &ReplayClock) -> Self {
        Self::Replay(clock.clone())
    }
}

/// The clock of a replay: it stands where the last event was. Clones tell the same time.
///
/// ```
/// use std::time::Duration;
/// use obs_trading::ReplayClock;
///
/// let clock = ReplayClock::new();
/// clock.advance_to(Duration::from_secs(86_400));
/// clock.advance_to(Duration::from_secs(3_600)); // an event that comes late does not turn it back
/// assert_eq!(clock.now(), Duration::from_secs(86_400));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReplayClock(Arc<AtomicU64>);

impl ReplayClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves on to an event's time, counted from any moment that is the same for all events, such as 1970. Earlier times
    /// leave the clock where it is; the last time it can tell is 584 years from its start.
    pub fn advance_to(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanoseconds, Ordering::AcqRel);
    }

    /// The time of the last event.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}
