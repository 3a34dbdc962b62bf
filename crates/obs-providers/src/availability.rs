//! Whether a provider is up, and for how long it was not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use obs_core::{Gauge, TimeCounter};

/// The state machine behind `provider_up`.
///
/// ```text
///              down_after failures in a row
///        ┌──────────────────────────────────────┐
///        │                                      ▼
///       up ◀──────────────────────────────── down
///              up_after answers in a row
/// ```
///
/// It starts up. While it is down, time runs into `provider_unavailable_seconds_total`.
#[derive(Debug)]
pub(crate) struct Availability {
    down_after: u32,
    up_after: u32,
    up: Gauge,
    unavailable: TimeCounter,
    /// Up, and the last thing heard was an answer: then another answer changes nothing, and no lock is taken.
    calm: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Up {
        failures: u32,
    },
    /// Down; the time until `counted_to` is in the counter.
    Down {
        answers: u32,
        counted_to: Instant,
    },
}

impl Availability {
    pub(crate) fn new(down_after: u32, up_after: u32, up: Gauge, unavailable: TimeCounter) -> Self {
        up.switch(true);
        Self {
            down_after,
            up_after,
            up,
            unavailable,
            calm: AtomicBool::new(true),
            state: Mutex::new(State::Up { failures: 0 }),
        }
    }

    /// The provider answered, or failed to.
    pub(crate) fn heard(&self, answered: bool, now: Instant) {
        if answered && self.calm.load(Ordering::Relaxed) {
            return;
        }
        self.change(|state| state.heard(answered, now, self));
    }

    /// Brings the counter up to now.
    pub(crate) fn observe(&self, now: Instant) {
        self.change(|state| state.counted(now, self));
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(*self.lock(), State::Up { .. })
    }

    fn change(&self, next: impl FnOnce(State) -> State) {
        let mut state = self.lock();
        let was_up = matches!(*state, State::Up { .. });
        *state = next(*state);
        let is_up = matches!(*state, State::Up { .. });
        if was_up != is_up {
            self.up.switch(is_up);
        }
        let calm = matches!(*state, State::Up { failures: 0 });
        self.calm.store(calm, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is replaced whole: a thread that panicked left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn heard(self, answered: bool, now: Instant, of: &Availability) -> Self {
        match (self, answered) {
            (Self::Up { .. }, true) => Self::Up { failures: 0 },
            (Self::Up { failures }, false) if failures + 1 < of.down_after => {
                let failures = failures + 1;
                Self::Up { failures }
            }
            (Self::Up { .. }, false) => Self::Down {
                answers: 0,
                counted_to: now,
            },
            (Self::Down { answers, .. }, true) => match self.counted(now, of) {
                Self::Down { counted_to, .. } if answers + 1 < of.up_after => Self::Down {
                    answers: answers + 1,
                    counted_to,
                },
                _ => Self::Up { failures: 0 },
            },
            (Self::Down { .. }, false) => match self.counted(now, of) {
                Self::Down { counted_to, .. } => Self::Down {
                    answers: 0,
                    counted_to,
                },
                up @ Self::Up { .. } => up,
            },
        }
    }

    /// The same, with its time in the counter.
    fn counted(self, now: Instant, of: &Availability) -> Self {
        match self {
            Self::Up { .. } => self,
            Self::Down {
                answers,
                counted_to,
            } => {
                // Threads may come here out of order; time is counted once, and never backwards.
                of.unavailable
                    .add(now.saturating_duration_since(counted_to));
                let counted_to = counted_to.max(now);
                Self::Down {
                    answers,
                    counted_to,
                }
            }
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
            let it = Availability::new(down_after, up_after, metrics.up, metrics.unavailable);
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
            machine.it.change(|_| panic!("as the test wants it"));
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
        machine.it.observe(machine.at(5));
        assert_eq!(machine.unavailable(), Duration::ZERO);
        assert!(!machine.heard(false, 10));
        machine.it.observe(machine.at(25));
        assert_eq!(machine.unavailable(), Duration::from_secs(15));
        machine.it.observe(machine.at(25));
        // One thread's clock reading may be older than what another has counted.
        machine.it.observe(machine.at(20));
        assert!(!machine.heard(false, 30));
        assert_eq!(machine.unavailable(), Duration::from_secs(20));
        assert!(machine.heard(true, 40));
        machine.it.observe(machine.at(1_000));
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
}
