//! How far our clock is off, and how sure that is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use obs_core::{Counter, Gauge, Group};

use crate::Moment;
use crate::moment::nanoseconds;

/// Samples that are remembered; the surest of them counts.
const SAMPLES: usize = 16;

/// How far two clocks go apart in a second, in nanoseconds: 50 millionths, what a quartz that nobody steers may do.
const DRIFT: u64 = 50_000;

/// A change of the clock on the wall against the monotonic one that no steering makes: 5 ms, and a thousandth of the time between.
const JUMP: u64 = 5_000_000;

/// No sample yet.
const UNKNOWN: i64 = i64::MIN;

obs_core::label! {
    /// Whose clock ours is held against, such as a venue or a time server.
    pub open ClockSource as "source" up to 20
}

/// What time it is.
const CLOCKS: Group = Group::new("Clocks").rank(Group::LIBRARY + 55);

obs_core::families! {
    group CLOCKS;

    /// Our clock against one other.
    pub struct ClockMetrics(source: ClockSource) {
        /// Their clock less ours; undefined until it was asked.
        pub offset: Gauge = "clock_offset_seconds",
        /// The most by which the offset may be wrong: half of the round trip, the resolution of their answer, and the drift since.
        pub error: Gauge = "clock_offset_error_seconds",
        /// Times our clock was set while it was watched.
        pub jumps: Counter = "clock_jumps_total",
    }
}

obs_core::families! {
    group CLOCKS;

    /// Our clock.
    pub struct OwnClockMetrics {
        /// What time it is by our clock.
        pub now: Gauge = "app_clock_timestamp_seconds",
    }
}

/// Another clock, a venue's or a time server's, and what is known of it. Cheap to clone.
///
/// ```
/// # fn server_time() -> Result<i64, obs_providers::jiff::Error> { Ok(obs_providers::jiff::Timestamp::now().as_millisecond()) }
/// use std::time::Duration;
/// use obs_providers::{Clock, jiff::Timestamp};
///
/// let clock = Clock::new("binance");
/// // From time to time.
/// let asked = clock.asked();
/// let theirs = Timestamp::from_millisecond(server_time()?)?;
/// clock.answered(asked, theirs, Duration::from_millis(1));
/// // Before every scrape; the exporter has a hook for it.
/// clock.observe();
/// let offset = clock.offset();
/// # Ok::<(), obs_providers::jiff::Error>(())
/// ```
///
/// The offset is (their time − the middle of our times of asking and of the answer), as in NTP (RFC 5905). It is sure to
/// ± (round trip / 2 + resolution + drift since the sample); of the last 16 samples the surest counts. It is kept against the monotonic
/// clock, so that it stays right when our clock on the wall is set; that is counted as a jump.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: ClockMetrics,
    own: OwnClockMetrics,
    /// Their time less our monotonic time, of the surest sample.
    theirs: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    samples: VecDeque<Sample>,
    /// What the clocks showed when last looked at.
    last: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    theirs: i64,
    error: u64,
    at: u64,
}

impl Sample {
    fn error_at(&self, monotonic: u64) -> u64 {
        let age = monotonic.saturating_sub(self.at);
        let drift = u128::from(age) * u128::from(DRIFT) / 1_000_000_000;
        let drift = u64::try_from(drift).unwrap_or(u64::MAX);
        self.error.saturating_add(drift)
    }
}

/// How far their clock is ahead of ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offset {
    /// Their clock less ours, in seconds.
    pub seconds: f64,
    /// The most by which that may be wrong.
    pub error: Duration,
}

impl Clock {
    /// A clock, by whose it is.
    #[must_use]
    #[track_caller]
    pub fn new(source: &str) -> Self {
        let metrics = ClockMetrics::new(source);
        metrics.offset.set_undefined();
        metrics.error.set_undefined();
        Self(Arc::new(Shared {
            metrics,
            own: OwnClockMetrics::new(),
            theirs: AtomicI64::new(UNKNOWN),
            state: Mutex::default(),
        }))
    }

    /// When they are asked: to be taken right before the question is sent.
    #[must_use]
    pub fn asked(&self) -> Moment {
        let now = careful();
        self.watch(&mut self.lock(), now);
        now
    }

    /// What they answered, to be said as soon as the answer is there, and the steps in which they count: a millisecond for most venues, a
    /// second for a `Date` of HTTP.
    pub fn answered(&self, asked: Moment, theirs: Timestamp, resolution: Duration) {
        self.answered_at(asked, theirs, resolution, careful());
    }

    /// The same for an answer that came at that moment.
    pub fn answered_at(&self, asked: Moment, theirs: Timestamp, resolution: Duration, at: Moment) {
        let round_trip = at.monotonic.saturating_sub(asked.monotonic);
        let middle = asked.monotonic.saturating_add(round_trip / 2);
        let resolution = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX);
        let sample = Sample {
            theirs: nanoseconds(theirs).saturating_sub(signed(middle)),
            error: (round_trip / 2)
                .saturating_add(1)
                .saturating_add(resolution),
            at: at.monotonic,
        };
        let mut state = self.lock();
        self.watch(&mut state, at);
        // Where they contradict one another their clock was set, or ours stood still: what was known is no longer so.
        let contradicts = |old: &Sample| {
            let apart = old.theirs.abs_diff(sample.theirs);
            apart > old.error_at(at.monotonic).saturating_add(sample.error)
        };
        state.samples.retain(|old| !contradicts(old));
        if state.samples.len() == SAMPLES {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
        self.choose(&state, at);
    }

    /// How far they are ahead; nothing before the first answer.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.offset_at(Moment::now())
    }

    /// The same at that moment.
    #[must_use]
    pub fn offset_at(&self, at: Moment) -> Option<Offset> {
        let sample = surest(&self.lock(), at)?;
        Some(offset(sample, at))
    }

    /// Brings the gauges up to now, and looks whether our clock was set. To be called before every scrape.
    pub fn observe(&self) {
        self.observe_at(careful());
    }

    /// The same at that moment.
    pub fn observe_at(&self, at: Moment) {
        let mut state = self.lock();
        self.watch(&mut state, at);
        if let Some(sample) = self.choose(&state, at) {
            let offset = offset(sample, at);
            self.0.metrics.offset.set(offset.seconds);
            self.0.metrics.error.set(offset.error.as_secs_f64());
        }
        let now = at.timestamp().as_duration();
        self.0.own.now.set(now.as_secs_f64());
    }

    /// What time it was with them at one of our moments, in nanoseconds since 1970.
    #[inline]
    pub(crate) fn theirs_at(&self, at: Moment) -> Option<i64> {
        let theirs = self.0.theirs.load(Ordering::Relaxed);
        (theirs != UNKNOWN).then(|| theirs.saturating_add(signed(at.monotonic)))
    }

    fn choose(&self, state: &State, at: Moment) -> Option<Sample> {
        let sample = surest(state, at)?;
        self.0.theirs.store(sample.theirs, Ordering::Relaxed);
        Some(sample)
    }

    /// Counts a jump of our clock since the last look.
    fn watch(&self, state: &mut State, at: Moment) {
        let Some(last) = state.last.replace(at) else {
            return;
        };
        let wall = at.wall.saturating_sub(last.wall);
        let passed = at.monotonic.saturating_sub(last.monotonic);
        let apart = wall.abs_diff(signed(passed));
        if apart > JUMP.saturating_add(passed / 1_000) {
            self.0.metrics.jumps.increment(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each sample is whole by itself.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn surest(state: &State, at: Moment) -> Option<Sample> {
    let samples = state.samples.iter().copied();
    samples.min_by_key(|sample| sample.error_at(at.monotonic))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an offset of more than a hundred days may lose a nanosecond"
)]
fn offset(sample: Sample, at: Moment) -> Offset {
    let theirs = sample.theirs.saturating_add(signed(at.monotonic));
    Offset {
        seconds: theirs.saturating_sub(at.wall) as f64 / 1e9,
        error: Duration::from_nanos(sample.error_at(at.monotonic)),
    }
}

fn signed(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

/// Both clocks as close together as they can be read: a thread that is held up between the two would see a jump.
fn careful() -> Moment {
    let read = || {
        let (before, moment) = (Moment::now(), Moment::now());
        (moment.monotonic - before.monotonic, moment)
    };
    let best = [read(), read(), read()];
    let best = best.into_iter().min_by_key(|(took, _)| *took);
    best.map_or_else(Moment::now, |(_, moment)| moment)
}
