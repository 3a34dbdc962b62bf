//! How far our clock is off, and how sure that is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use obs_core::{Counter, Gauge, Group};

use crate::Moment;
use crate::feed::without_secrets;
use crate::moment::{nanoseconds, signed};

/// Samples that are remembered; the surest of them counts.
const SAMPLES: usize = 16;

/// Millionths by which the rates of two clocks differ: what a quartz that nobody steers may do.
const DRIFT: u32 = 50;

/// A change of the clock on the wall against the monotonic one that no steering makes: 5 ms, and a thousandth of the time between.
const JUMP: u64 = 5_000_000;

/// How far apart two looks at both clocks find them where nothing happened.
const NOISE: u64 = 10_000;

/// A look at both clocks that took no longer than this is close enough.
const CLOSE: u64 = 1_000;

/// Looks that are taken for one that is close enough, on a machine that keeps interrupting.
const LOOKS: usize = 8;

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
/// # async fn server_time() -> Result<i64, obs_providers::jiff::Error> { Ok(obs_providers::jiff::Timestamp::now().as_millisecond()) }
/// use std::time::Duration;
/// use obs_providers::{Clock, jiff::Timestamp};
///
/// # async fn watch() -> Result<(), obs_providers::jiff::Error> {
/// let clock = Clock::new("binance");
/// // From time to time: a venue's server time, in milliseconds.
/// let offset = clock.ask(Duration::from_millis(1), async { Timestamp::from_millisecond(server_time().await?) }).await?;
/// println!("{:+.4} s, ± {:?}", offset.seconds, offset.error);
/// // Before every scrape; the exporter has a hook for it.
/// clock.observe();
/// # Ok(())
/// # }
/// ```
///
/// The offset is (their time − the middle of our times of asking and of the answer), as in NTP (RFC 5905, section 8). It is sure to
/// ± (round trip / 2 + resolution + drift since the sample); of the last 16 samples the surest counts, which is mostly that of the
/// least round trip.
///
/// It is kept against the monotonic clock, so that it stays right when our clock on the wall is set; that is counted as a jump. A
/// machine that slept, with its monotonic clock standing still, looks the same from within. So the error grows by the jump, until the
/// next answer shows which it was: ask every minute or so.
///
/// The drift is taken to be 50 millionths of the time since the sample ([`with_drift`](Self::with_drift) takes another). A daemon that
/// slews our clock changes its rate by more: up to 500 millionths by ntpd, 8 in a hundred by chronyd as it is installed. While it
/// does, only a sample that was just taken is as sure as it says.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: ClockMetrics,
    own: OwnClockMetrics,
    /// Millionths.
    drift: u32,
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
    fn error_at(&self, monotonic: u64, drift: u32) -> u64 {
        let age = monotonic.saturating_sub(self.at);
        let drift = u128::from(age) * u128::from(drift) / 1_000_000;
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
    /// A clock, by whose it is: `source` is a label. Of a URL it is the host alone, since queries hold keys.
    #[must_use]
    #[track_caller]
    pub fn new(source: &str) -> Self {
        Self::with_drift(source, DRIFT)
    }

    /// A clock whose rate differs from ours by up to so many millionths.
    #[must_use]
    #[track_caller]
    pub fn with_drift(source: &str, millionths: u32) -> Self {
        let metrics = ClockMetrics::new(without_secrets(source));
        metrics.offset.set_undefined();
        metrics.error.set_undefined();
        Self(Arc::new(Shared {
            metrics,
            own: OwnClockMetrics::new(),
            drift: millionths,
            theirs: AtomicI64::new(UNKNOWN),
            state: Mutex::default(),
        }))
    }

    /// Asks them: `question` fetches what time it is with them, from a venue's endpoint for example, and `resolution` is the steps in
    /// which they count, a millisecond for most venues and a second for a `Date` of HTTP. It is polled at once, so it should do nothing
    /// but ask; a connection that is open already makes the answer surer.
    ///
    /// # Errors
    ///
    /// That of the question; nothing is learned from it.
    pub async fn ask<E>(
        &self,
        resolution: Duration,
        question: impl Future<Output = Result<Timestamp, E>>,
    ) -> Result<Offset, E> {
        let asked = self.asked();
        let theirs = question.await?;
        let resolution = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX);
        Ok(self.learn(asked, careful(), nanoseconds(theirs), 0, resolution))
    }

    /// When they are asked: to be taken right before the question is sent. [`ask`](Self::ask) does it where the question is a future.
    #[must_use]
    pub fn asked(&self) -> Moment {
        let now = careful();
        self.watch(&mut self.lock(), now);
        now
    }

    /// What they answered, to be said as soon as the answer is there, and the steps in which they count.
    pub fn answered(&self, asked: Moment, theirs: Timestamp, resolution: Duration) {
        self.answered_at(asked, theirs, resolution, careful());
    }

    /// The same for an answer that came at that moment.
    pub fn answered_at(&self, asked: Moment, theirs: Timestamp, resolution: Duration, at: Moment) {
        let resolution = u64::try_from(resolution.as_nanos()).unwrap_or(u64::MAX);
        self.learn(asked, at, nanoseconds(theirs), 0, resolution);
    }

    /// What they said of the middle between our two moments, after they had held the question for so long, and by how much that may
    /// be wrong apart from the way; all in nanoseconds.
    pub(crate) fn learn(
        &self,
        asked: Moment,
        at: Moment,
        theirs: i64,
        held: u64,
        doubt: u64,
    ) -> Offset {
        let between = at.monotonic.saturating_sub(asked.monotonic);
        let middle = asked.monotonic.saturating_add(between / 2);
        let way = between.saturating_sub(held) / 2;
        let sample = Sample {
            theirs: theirs.saturating_sub(signed(middle)),
            error: way.saturating_add(1).saturating_add(doubt),
            at: at.monotonic,
        };
        let drift = self.0.drift;
        let mut state = self.lock();
        self.watch(&mut state, at);
        // Where they contradict one another their clock was set, or ours stood still: what was known is no longer so.
        let contradicts = |old: &Sample| {
            let apart = old.theirs.abs_diff(sample.theirs);
            apart
                > old
                    .error_at(at.monotonic, drift)
                    .saturating_add(sample.error)
        };
        state.samples.retain(|old| !contradicts(old));
        if state.samples.len() == SAMPLES {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
        // There is one: that just taken.
        let surest = self.choose(&state, at).unwrap_or(sample);
        self.offset_of(surest, at)
    }

    /// How far they are ahead; nothing before the first answer.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.offset_at(careful())
    }

    /// The same at that moment.
    #[must_use]
    pub fn offset_at(&self, at: Moment) -> Option<Offset> {
        let mut state = self.lock();
        self.watch(&mut state, at);
        let sample = self.choose(&state, at)?;
        Some(self.offset_of(sample, at))
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
            let offset = self.offset_of(sample, at);
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
        let samples = state.samples.iter().copied();
        let sample = samples.min_by_key(|of| of.error_at(at.monotonic, self.0.drift))?;
        self.0.theirs.store(sample.theirs, Ordering::Relaxed);
        Some(sample)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an offset of more than a hundred days may lose a nanosecond"
    )]
    fn offset_of(&self, sample: Sample, at: Moment) -> Offset {
        let theirs = sample.theirs.saturating_add(signed(at.monotonic));
        Offset {
            seconds: theirs.saturating_sub(at.wall) as f64 / 1e9,
            error: Duration::from_nanos(sample.error_at(at.monotonic, self.0.drift)),
        }
    }

    /// Sees whether our two clocks went apart since the last look, and counts a jump.
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
        if apart > NOISE {
            // The clock on the wall was set, or the monotonic one stood still while the machine slept. What is known by it is as
            // wrong as that, in the second case.
            for sample in &mut state.samples {
                sample.error = sample.error.saturating_add(apart);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each sample is whole by itself.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both clocks as close together as they can be read: a thread that is held up between the two would see a jump.
pub(crate) fn careful() -> Moment {
    let mut best = Moment::read();
    for _ in 0..LOOKS {
        if best.1 <= CLOSE {
            break;
        }
        let look = Moment::read();
        if look.1 < best.1 {
            best = look;
        }
    }
    best.0
}
