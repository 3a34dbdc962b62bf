//! When a watched loop counts as hung. Clocks are given, so that every case can be tried.

use std::time::Duration;

/// How much of the time since the look before counts as silence at most, in looks. What is beyond it is a look that was missed, by this
/// program or by the whole machine, and says nothing about the loop.
const MOST_LOOKS: u32 = 2;

/// What is said of a loop at one look. Times are nanoseconds of one clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign {
    /// When it beat last; nothing while it is not armed.
    pub(super) beat: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) grace_until: u64,
}

/// What has become of a loop since the look before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has been silent for its time-out.
    Hangs,
    /// It beats again.
    Beats,
    /// It is not watched any more.
    Disarmed,
}

/// How much time may be counted at each look.
#[derive(Debug)]
pub(super) struct Looks {
    every: Duration,
    last: Option<u64>,
}

impl Looks {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    /// The time since the look before, as far as it counts.
    pub(super) fn credit(&mut self, now: u64) -> Duration {
        let before = self.last.replace(now).unwrap_or(now);
        let passed = Duration::from_nanos(now.saturating_sub(before));
        passed.min(self.every * MOST_LOOKS)
    }
}

/// What is known of one loop.
#[derive(Debug, Default)]
pub(super) struct Loop {
    beat: Option<u64>,
    /// For how long no beat came, as far as it was watched.
    silent: Duration,
    hangs: bool,
}

impl Loop {
    /// Takes in what a look has shown.
    pub(super) fn look(&mut self, sign: Sign, now: u64, credit: Duration) -> Option<Change> {
        let before = std::mem::replace(&mut self.beat, sign.beat);
        let Some(beat) = sign.beat else {
            self.silent = Duration::ZERO;
            return std::mem::take(&mut self.hangs).then_some(Change::Disarmed);
        };
        if before != Some(beat) {
            // The first time that it is seen it may have been silent for long, but nobody has watched that.
            let since = Duration::from_nanos(now.saturating_sub(beat));
            self.silent = before.map_or(Duration::ZERO, |_| since.min(credit));
            return std::mem::take(&mut self.hangs).then_some(Change::Beats);
        }
        if now < sign.grace_until {
            self.silent = Duration::ZERO;
            return None;
        }
        self.silent += credit;
        let is_new = !self.hangs && self.silent >= sign.timeout;
        self.hangs |= is_new;
        is_new.then_some(Change::Hangs)
    }

    /// For how many seconds it hangs; 0 while it beats in time, and `NaN` while it is not armed.
    pub(super) fn seconds(&self, now: u64) -> f64 {
        match self.beat {
            None => f64::NAN,
            Some(_) if !self.hangs => 0.0,
            // An agent that was started later has not watched all of it.
            Some(beat) => {
                let since = Duration::from_nanos(now.saturating_sub(beat));
                since.max(self.silent).as_secs_f64()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(20);
    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A machine with a loop and one who looks at it.
    struct Machine {
        now: u64,
        beat: Option<u64>,
        grace_until: u64,
        looks: Looks,
        watched: Loop,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                now: 1_000_000_000_000,
                beat: None,
                grace_until: 0,
                looks: Looks::new(EVERY),
                watched: Loop::default(),
            }
        }

        fn beat(&mut self) {
            self.beat = Some(self.now);
        }

        /// One look after so many milliseconds.
        fn look(&mut self, after: u64) -> Option<Change> {
            self.now += after * 1_000_000;
            let sign = Sign {
                beat: self.beat,
                timeout: TIMEOUT,
                grace_until: self.grace_until,
            };
            let credit = self.looks.credit(self.now);
            self.watched.look(sign, self.now, credit)
        }

        /// Looks for so many milliseconds, and returns after how many something changed.
        fn wait(&mut self, milliseconds: u64) -> Option<(u64, Change)> {
            let looks = (1..=milliseconds / 20).map(|n| n * 20);
            let mut seen = looks.filter_map(|at| Some((at, self.look(20)?)));
            seen.next()
        }

        fn seconds(&self) -> f64 {
            self.watched.seconds(self.now)
        }
    }

    #[test]
    fn a_hang_is_seen_once_and_within_a_look_of_its_time_out() {
        let mut machine = Machine::new();
        assert_eq!(machine.wait(5000), None);
        assert!(machine.seconds().is_nan());
        for _ in 0..100 {
            machine.beat();
            assert_eq!(machine.wait(900), None);
        }
        assert_eq!(machine.seconds().to_bits(), 0.0_f64.to_bits());
        machine.beat();
        let (after, change) = machine.wait(2000).unwrap();
        assert_eq!(change, Change::Hangs);
        assert!((1000..=1020).contains(&after), "{after}");
        assert_eq!(machine.wait(60_000), None);
        assert!((61.0..61.1).contains(&machine.seconds()));
        machine.beat();
        assert_eq!(machine.wait(20), Some((20, Change::Beats)));
        assert_eq!(machine.seconds().to_bits(), 0.0_f64.to_bits());
        assert_eq!(machine.wait(2000).unwrap().1, Change::Hangs);
    }

    #[test]
    fn nothing_hangs_that_is_not_armed_or_has_grace() {
        let mut machine = Machine::new();
        machine.beat();
        machine.grace_until = machine.now + 10_000_000_000;
        assert_eq!(machine.wait(10_000), None);
        let (after, change) = machine.wait(2000).unwrap();
        assert_eq!(change, Change::Hangs);
        assert!(after <= 1020, "{after}");
        machine.beat = None;
        assert_eq!(machine.wait(20), Some((20, Change::Disarmed)));
        assert_eq!(machine.wait(60_000), None);
        assert!(machine.seconds().is_nan());
    }

    /// The agent is stopped, or the machine suspended, or neither gets a core.
    #[test]
    fn looks_that_were_missed_are_no_silence() {
        let mut machine = Machine::new();
        machine.beat();
        machine.look(20);
        // Nobody runs for an hour; then the loop beats late.
        assert_eq!(machine.look(3_600_000), None);
        assert_eq!(machine.wait(900), None);
        machine.beat();
        // Under full load each look is late.
        for _ in 0..1000 {
            assert_eq!(machine.look(600), None);
            machine.beat();
        }
        assert_eq!(machine.look(20), None);
        // And a loop that does hang is still seen.
        assert_eq!(machine.wait(2000).unwrap().1, Change::Hangs);
    }

    /// A hang that lasts while nobody looks is no second hang.
    #[test]
    fn a_hang_goes_on_while_nobody_looks() {
        let mut machine = Machine::new();
        machine.beat();
        machine.look(20);
        assert_eq!(machine.wait(2000).unwrap().1, Change::Hangs);
        assert_eq!(machine.look(3_600_000), None);
        assert!(machine.seconds() > 3600.0);
        assert_eq!(machine.wait(2000), None);
    }

    /// An agent that is started beside a loop that hangs watches for a whole time-out before it says so.
    #[test]
    fn what_was_before_the_first_look_does_not_count() {
        let mut machine = Machine::new();
        machine.beat();
        machine.now += 3_600_000_000_000;
        let (after, change) = machine.wait(2000).unwrap();
        assert_eq!(change, Change::Hangs);
        assert!((1000..=1040).contains(&after), "{after}");
        assert!(machine.seconds() > 3600.0);
    }

    /// What another program wrote there, or the clock of another machine.
    #[test]
    fn times_that_cannot_be_make_nothing_worse() {
        let mut machine = Machine::new();
        machine.beat = Some(u64::MAX);
        machine.grace_until = 0;
        assert_eq!(machine.look(20), None);
        assert_eq!(machine.wait(2000).unwrap().1, Change::Hangs);
        assert!(machine.seconds() < 2.0);
    }
}
