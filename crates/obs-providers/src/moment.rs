//! A moment by both clocks: the one on the wall, which may be set, and the monotonic one, by which time passes.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Where the process' monotonic time begins. A second before the first look, so that no moment is 0.
static ORIGIN: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
});

/// The clock on the wall less the monotonic one, and the monotonic time at which that was looked up.
static AHEAD: AtomicI64 = AtomicI64::new(0);
static LOOKED_UP: AtomicU64 = AtomicU64::new(0);

/// For how long that holds, in nanoseconds. Steering moves the two alike, so that only a clock that is set is seen late by as much.
const HOLDS: u64 = 1_000_000;

/// A look at both clocks that took longer, because the thread was held up in between, is not kept.
const KEPT: u64 = 10_000;

/// A moment as both clocks of the machine show it. Taken once a socket is read and handed to every message that came with it.
///
/// Lags are measured by the clock on the wall, which may be set at any time; silences by the monotonic one, which may not.
///
/// ```
/// use std::time::Duration;
/// use obs_providers::Moment;
///
/// let received = Moment::now();
/// // A replay brings its own clocks.
/// let replayed = Moment::at("2026-11-25T15:00:00.25Z".parse()?, Duration::from_secs(12));
/// assert!(received.timestamp() > replayed.timestamp());
/// # Ok::<(), obs_providers::jiff::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970.
    pub(crate) wall: i64,
    /// Nanoseconds since some moment before the first.
    pub(crate) monotonic: u64,
}

impl Moment {
    /// Now. It costs one look at the monotonic clock, and once a millisecond one at the clock on the wall: when that is set, moments
    /// follow within a millisecond.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        let now = monotonic(Instant::now());
        // The difference is stored before the time of the look.
        if now.saturating_sub(LOOKED_UP.load(Ordering::Acquire)) < HOLDS {
            let ahead = AHEAD.load(Ordering::Relaxed);
            return Self {
                wall: ahead.saturating_add(signed(now)),
                monotonic: now,
            };
        }
        Self::look_up()
    }

    #[cold]
    fn look_up() -> Self {
        let (moment, took) = Self::read();
        if took <= KEPT {
            AHEAD.store(
                moment.wall.saturating_sub(signed(moment.monotonic)),
                Ordering::Relaxed,
            );
            LOOKED_UP.store(moment.monotonic, Ordering::Release);
        }
        moment
    }

    /// Reads both clocks, the monotonic one last; with the nanoseconds that it took.
    pub(crate) fn read() -> (Self, u64) {
        let before = monotonic(Instant::now());
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        };
        let monotonic = monotonic(Instant::now());
        (Self { wall, monotonic }, monotonic.saturating_sub(before))
    }

    /// A moment by other clocks, such as those of a replay: the time of day, and a monotonic time since any moment that stays
    /// the same. Years before 1678 and after 2261 are those.
    #[must_use]
    pub fn at(wall: Timestamp, monotonic: Duration) -> Self {
        Self {
            wall: nanoseconds(wall),
            // 0 is no moment.
            monotonic: u64::try_from(monotonic.as_nanos())
                .unwrap_or(u64::MAX)
                .max(1),
        }
    }

    /// The time of day.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        timestamp(self.wall)
    }
}

/// The time of day at which something happened last, worked out when it is first asked for. The two clocks drift, and a time that is
/// worked out each time moves with them as if it had happened again.
#[derive(Debug, Default)]
pub(crate) struct LastTime {
    /// When it was, on the monotonic clock; 0 before it has happened.
    monotonic: AtomicU64,
    /// The bits of its seconds since 1970.
    seconds: AtomicU64,
}

impl LastTime {
    /// Seconds since 1970 of what happened at a monotonic time, which is `at` by the time of day.
    pub(crate) fn seconds(&self, monotonic: u64, at: impl FnOnce() -> Timestamp) -> f64 {
        if self.monotonic.load(Ordering::Acquire) == monotonic {
            return f64::from_bits(self.seconds.load(Ordering::Relaxed));
        }
        let seconds = at().as_duration().as_secs_f64();
        self.seconds.store(seconds.to_bits(), Ordering::Relaxed);
        self.monotonic.store(monotonic, Ordering::Release);
        seconds
    }
}

/// The monotonic time of the process, in nanoseconds.
pub(crate) fn monotonic(at: Instant) -> u64 {
    let since = at.saturating_duration_since(*ORIGIN);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn signed(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

/// Nanoseconds since 1970; the ends of what 64 bits hold for what lies beyond.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let seconds = at.as_second().saturating_mul(1_000_000_000);
    seconds.saturating_add(at.subsec_nanosecond().into())
}

/// The reverse, exact: every number of 64 bits lies within the years of a `Timestamp`.
pub(crate) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_on() {
        let (first, second) = (Moment::now(), Moment::now());
        assert!(first.monotonic > 0 && second.monotonic >= first.monotonic);
        assert!(first.wall > 1_700_000_000_000_000_000);
    }

    #[test]
    fn what_did_not_happen_again_stays_where_it_was() {
        let last = LastTime::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(last.seconds(7, || at(100)).to_bits(), 100_f64.to_bits());
        // The clocks drift, or one of them is set.
        assert_eq!(last.seconds(7, || at(101)).to_bits(), 100_f64.to_bits());
        assert_eq!(last.seconds(8, || at(101)).to_bits(), 101_f64.to_bits());
    }

    #[test]
    fn every_number_is_a_time() {
        for at in [i64::MIN, -1, 0, 1_795_618_800_500_000_000, i64::MAX] {
            assert_eq!(nanoseconds(timestamp(at)), at);
        }
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
        assert_eq!(nanoseconds(Timestamp::MIN), i64::MIN);
    }
}
