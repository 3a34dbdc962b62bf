//! Whether a provider is up, and for how long it was not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use obs_core::{Gauge, TimeCounter};

use crate::moment::{self, LastTime};
use crate::{ProviderMetrics, TradingCalendar};

/// Outside its sessions, what is known of a provider that is down holds for so long after the last thing heard of it.
const KNOWN_FOR: Duration = Duration::from_mins(15);

/// The state machine behind `provider_up`.
///
/// ```text
///              down_after failures in a row
///        ┌──────────────────────────────────────┐
///        │                                      ▼        session closed and nothing heard
///       up ◀──────────────────────────────── down ──────────────────────────────────────▶ unknown
///              up_after answers in a row        ▲                                            │
///                                               └──────────────── a failure ─────────────────┘
/// ```
///
/// It starts up, and an answer ends `unknown` as well. A feed that is down makes the provider down whatever calls say, until it
/// is up again. While the provider is down, time runs into `provider_unavailable_seconds_total`.
#[derive(Debug)]
pub(crate) struct Availability {
    down_after: u32,
    up_after: u32,
    sessions: Option<TradingCalendar>,
    up: Gauge,
    unavailable: TimeCounter,
    last_heard: Gauge,
    /// When something was last heard, on the process' monotonic clock; 0 is never.
    heard_at: AtomicU64,
    /// The same by the time of day.
    heard_time: LastTime,
    /// Up, and the last thing heard was an answer: then another answer changes nothing, and no lock is taken.
    calm: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    calls: Calls,
    /// Feeds that are down at present.
    feeds_down: usize,
    /// While the provider is not available: the time until here is in the counter.
    counted_to: Option<Instant>,
}

/// What calls and probes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    Up { failures: u32 },
    Down { answers: u32 },
    Unknown,
}

impl Availability {
    pub(crate) fn new(
        down_after: u32,
        up_after: u32,
        sessions: Option<TradingCalendar>,
        metrics: &ProviderMetrics,
    ) -> Self {
        metrics.up.switch(true);
        metrics.last_heard.begin_undefined();
        Self {
            down_after,
            up_after,
            sessions,
            up: metrics.up.clone(),
            unavailable: metrics.unavailable.clone(),
            last_heard: metrics.last_heard.clone(),
            heard_at: AtomicU64::new(0),
            heard_time: LastTime::default(),
            calm: AtomicBool::new(true),
            state: Mutex::new(State {
                calls: Calls::Up { failures: 0 },
                feeds_down: 0,
                counted_to: None,
            }),
        }
    }

    /// The provider answered, or failed to.
    pub(crate) fn heard(&self, answered: bool, now: Instant) {
        self.heard_at
            .fetch_max(moment::monotonic(now).max(1), Ordering::Relaxed);
        if answered && self.calm.load(Ordering::Relaxed) {
            return;
        }
        self.change(now, None, |state| {
            state.calls = state.calls.heard(answered, self);
        });
    }

    /// One of its feeds went down, or came up again.
    pub(crate) fn feed(&self, is_down: bool, now: Instant) {
        self.heard_at
            .fetch_max(moment::monotonic(now).max(1), Ordering::Relaxed);
        self.change(now, None, |state| {
            state.feeds_down = if is_down {
                state.feeds_down + 1
            } else {
                state.feeds_down.saturating_sub(1)
            };
        });
    }

    /// Brings the counter up to now, and forgets what is no longer known.
    pub(crate) fn observe(&self, now: Instant, wall: Timestamp) {
        let heard_at = self.heard_at.load(Ordering::Relaxed);
        let silent = (heard_at > 0)
            .then(|| Duration::from_nanos(moment::monotonic(now).saturating_sub(heard_at)));
        if let Some(silent) = silent {
            let ago = SignedDuration::try_from(silent).unwrap_or_default();
            let at = || wall.checked_sub(ago).unwrap_or(wall);
            self.last_heard.set(self.heard_time.seconds(heard_at, at));
        }
        let closed = self.sessions.as_ref().is_some_and(|s| !s.is_open(wall));
        let forget = closed && silent.is_none_or(|silent| silent > KNOWN_FOR);
        self.change(now, Some(wall), |state| {
            if forget && matches!(state.calls, Calls::Down { .. }) {
                state.calls = Calls::Unknown;
            }
        });
    }

    pub(crate) fn is_up(&self) -> bool {
        let state = self.lock();
        state.feeds_down == 0 && matches!(state.calls, Calls::Up { .. })
    }

    fn change(&self, now: Instant, wall: Option<Timestamp>, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        let mut next = *state;
        change(&mut next);
        // Threads may come here out of order; time is counted once, and never backwards.
        if let Some(counted_to) = state.counted_to {
            self.count(now.saturating_duration_since(counted_to), wall);
        }
        next.counted_to = next
            .is_unavailable()
            .then(|| state.counted_to.map_or(now, |at| at.max(now)));
        if state.shown().to_bits() != next.shown().to_bits() {
            self.up.set(next.shown());
        }
        *state = next;
        let calm = matches!(state.calls, Calls::Up { failures: 0 });
        self.calm.store(calm, Ordering::Relaxed);
    }

    /// Adds time that has just passed: all of it, or as much of it as was in a session.
    fn count(&self, passed: Duration, wall: Option<Timestamp>) {
        let Some(sessions) = &self.sessions else {
            return self.unavailable.add(passed);
        };
        let until = wall.unwrap_or_else(Timestamp::now);
        let passed = SignedDuration::try_from(passed).unwrap_or_default();
        let from = until.checked_sub(passed).unwrap_or(until);
        self.unavailable.add(sessions.open_time(from, until));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is replaced whole: a thread that panicked left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_unavailable(&self) -> bool {
        self.feeds_down > 0 || matches!(self.calls, Calls::Down { .. })
    }

    fn shown(&self) -> f64 {
        match self.calls {
            _ if self.is_unavailable() => 0.0,
            Calls::Unknown => f64::NAN,
            _ => 1.0,
        }
    }
}

impl Calls {
    fn heard(self, answered: bool, of: &Availability) -> Self {
        match (self, answered) {
            (Self::Up { failures }, false) if failures + 1 < of.down_after => {
                let failures = failures + 1;
                Self::Up { failures }
            }
            (_, false) => Self::Down { answers: 0 },
            (Self::Down { answers }, true) if answers + 1 < of.up_after => {
                let answers = answers + 1;
                Self::Down { answers }
            }
            (_, true) => Self::Up { failures: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use obs_core::TestRecorder;

    use super::*;
    use crate::ProviderMetrics;

    const LABELS: [(&str, &str); 1] = [("provider", "alpaca")];

    struct Machine {
        test: TestRecorder,
        it: Availability,
        start: Instant,
    }

    impl Machine {
        fn new(down_after: u32, up_after: u32) -> Self {
            let test = TestRecorder::new();
            let metrics = test.run(|| ProviderMetrics::new("alpaca"));
            let it = Availability::new(down_after, up_after, None, &metrics);
            let start = Instant::now();
            Self { test, it, start }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn heard(&self, answered: bool, second: u64) -> bool {
            self.it.heard(answered, self.at(second));
            let up = self.it.is_up();
            let gauge = self.test.gauge("provider_up", &LABELS);
            assert_eq!(gauge, Some(if up { 1.0 } else { 0.0 }));
            up
        }

        fn observe(&self, second: u64) {
            self.it.observe(self.at(second), Timestamp::now());
        }

        fn unavailable(&self) -> Duration {
            let nanoseconds = self
                .test
                .counter("provider_unavailable_seconds_total", &LABELS);
            Duration::from_nanos(nanoseconds.unwrap())
        }
    }

    #[test]
    fn a_panic_while_the_state_is_held_costs_nothing() {
        let machine = Machine::new(1, 1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            machine
                .it
                .change(machine.start, None, |_| panic!("as the test wants it"));
        }));
        assert!(caught.is_err() && machine.it.state.is_poisoned());
        assert!(!machine.heard(false, 0));
        assert!(machine.heard(true, 5));
        assert_eq!(machine.unavailable(), Duration::from_secs(5));
    }

    #[test]
    fn failures_in_a_row_take_it_down_and_an_answer_brings_it_back() {
        let machine = Machine::new(3, 1);
        assert!(machine.heard(false, 0) && machine.heard(false, 1));
        // An answer in between starts the count anew.
        assert!(machine.heard(true, 2));
        assert!(machine.heard(false, 3) && machine.heard(false, 4));
        assert!(!machine.heard(false, 5));
        assert!(machine.heard(true, 65));
        assert_eq!(machine.unavailable(), Duration::from_mins(1));
        // Up again means all over again.
        assert!(machine.heard(false, 66) && machine.heard(false, 67) && !machine.heard(false, 68));
    }

    #[test]
    fn a_scrape_in_between_counts_the_time_so_far_and_no_time_twice() {
        let machine = Machine::new(1, 1);
        machine.observe(5);
        assert_eq!(machine.unavailable(), Duration::ZERO);
        assert!(!machine.heard(false, 10));
        machine.observe(25);
        assert_eq!(machine.unavailable(), Duration::from_secs(15));
        machine.observe(25);
        // One thread's clock reading may be older than what another has counted.
        machine.observe(20);
        assert!(!machine.heard(false, 30));
        assert_eq!(machine.unavailable(), Duration::from_secs(20));
        assert!(machine.heard(true, 40));
        machine.observe(1_000);
        assert_eq!(machine.unavailable(), Duration::from_secs(30));
    }

    #[test]
    fn several_answers_may_be_asked_for_and_a_failure_starts_them_anew() {
        let machine = Machine::new(1, 2);
        assert!(!machine.heard(false, 0));
        assert!(!machine.heard(true, 1));
        assert!(!machine.heard(false, 2));
        assert!(!machine.heard(true, 3));
        assert!(machine.heard(true, 4));
        assert_eq!(machine.unavailable(), Duration::from_secs(4));
    }

    /// Friday's last failure says nothing of Saturday, and a weekend is no outage.
    #[test]
    fn what_was_known_in_the_session_is_unknown_after_it() {
        let test = TestRecorder::new();
        let metrics = test.run(|| ProviderMetrics::new("alpaca"));
        let it = Availability::new(1, 1, Some(TradingCalendar::nyse()), &metrics);
        let (start, friday): (_, Timestamp) =
            (Instant::now(), "2026-11-20T20:50Z".parse().unwrap());
        let up = || test.gauge("provider_up", &LABELS).unwrap();
        let observe = |minutes: u64| {
            let later = Duration::from_mins(minutes);
            it.observe(
                start + later,
                friday + SignedDuration::try_from(later).unwrap(),
            );
        };
        observe(0);
        it.heard(false, start);
        // Ten minutes before the close, and still down a little after it.
        for minutes in [5, 10, 14] {
            observe(minutes);
            assert_eq!(up().to_bits(), 0_f64.to_bits(), "{minutes}");
        }
        for minutes in [16, 60, 24 * 60, 3 * 24 * 60 - 6 * 60] {
            observe(minutes);
            assert!(up().is_nan(), "{minutes}");
        }
        assert!(!it.is_up());
        let unavailable = test.counter("provider_unavailable_seconds_total", &LABELS);
        assert_eq!(unavailable, Some(600_000_000_000));
        let heard = test.gauge("provider_last_heard_timestamp_seconds", &LABELS);
        assert_eq!(heard, Some(friday.as_second() as f64));
        // What is heard on Monday counts at once, either way.
        let monday = start + Duration::from_hours(3 * 24);
        it.heard(false, monday);
        assert_eq!(up().to_bits(), 0_f64.to_bits());
        it.heard(true, monday);
        assert_eq!(up().to_bits(), 1_f64.to_bits());
    }

    #[test]
    fn a_feed_that_is_down_makes_the_provider_down_whatever_calls_say() {
        let machine = Machine::new(1, 1);
        machine.it.feed(true, machine.at(0));
        assert!(!machine.heard(true, 5));
        machine.it.feed(true, machine.at(6));
        machine.it.feed(false, machine.at(7));
        assert!(!machine.heard(true, 8));
        machine.it.feed(false, machine.at(10));
        assert!(machine.heard(true, 11));
        assert_eq!(machine.unavailable(), Duration::from_secs(10));
    }
}
