//! How far a clock is off: the truth lies within what is said of it, whatever the network, the drift and the clock on the wall do.

use std::time::Duration;

use crate::script::Random;
use obs_core::TestRecorder;
use obs_providers::jiff::{SignedDuration, Timestamp};
use obs_providers::{Clock, Moment};

const LABELS: [(&str, &str); 1] = [("source", "binance")];

/// Our machine, and a venue whose clock goes at its own rate.
struct World {
    /// Nanoseconds since the beginning, by the monotonic clock.
    monotonic: u64,
    /// Nanoseconds during which the machine slept and the monotonic clock stood still.
    slept: u64,
    /// Our clock on the wall less the monotonic one.
    wall: i64,
    /// Theirs less the monotonic one, at the beginning.
    theirs: i64,
    /// Parts in a million by which theirs is quicker.
    drift: i64,
}

impl World {
    fn pass(&mut self, nanoseconds: u64) -> Moment {
        self.monotonic += nanoseconds;
        self.now()
    }

    fn now(&self) -> Moment {
        let wall = self.wall + i64::try_from(self.monotonic).unwrap();
        let wall = Timestamp::from_nanosecond(wall.into()).unwrap();
        Moment::at(wall, Duration::from_nanos(self.monotonic))
    }

    /// The clock on the wall is set right by the machine's own when it wakes.
    fn sleep(&mut self, nanoseconds: u64) {
        self.slept += nanoseconds;
        self.wall += i64::try_from(nanoseconds).unwrap();
    }

    fn theirs(&self) -> i64 {
        let passed = i64::try_from(self.monotonic + self.slept).unwrap();
        self.theirs + passed + passed / 1_000_000 * self.drift
    }

    /// Their clock less ours, in nanoseconds.
    fn truth(&self) -> i64 {
        self.theirs() - self.wall - i64::try_from(self.monotonic).unwrap()
    }
}

/// Asks through a network that takes its time, more of it in one direction than in the other.
fn ask(clock: &Clock, world: &mut World, random: &mut Random) {
    let asked = world.now();
    world.pass(1_000_000 + random.below(80_000_000));
    // They count in milliseconds.
    let answer = world.theirs() / 1_000_000;
    let answered = world.pass(1_000_000 + random.below(80_000_000));
    let theirs = Timestamp::from_millisecond(answer).unwrap();
    clock.answered_at(asked, theirs, Duration::from_millis(1), answered);
}

#[test]
fn the_truth_is_always_within_the_error() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut world = World {
            monotonic: 3_600_000_000_000,
            slept: 0,
            wall: 1_795_618_800_000_000_000,
            theirs: 1_795_618_800_000_000_000 + i64::try_from(random.below(4_000_000_000)).unwrap()
                - 2_000_000_000,
            drift: i64::try_from(random.below(100)).unwrap() - 50,
        };
        let test = TestRecorder::new();
        let clock = test.run(|| Clock::new("binance"));
        assert!(clock.offset_at(world.now()).is_none());
        let mut jumps = 0;
        for _ in 0..300 {
            match random.below(11) {
                // Our clock is set, by up to two seconds either way.
                0 => {
                    clock.observe_at(world.now());
                    let by = 20_000_000 + i64::try_from(random.below(2_000_000_000)).unwrap();
                    world.wall += if random.below(2) == 0 { by } else { -by };
                    jumps += 1;
                    clock.observe_at(world.now());
                }
                // It sleeps, with its lid closed or as a machine that is moved to another host. From within that looks alike.
                1 => {
                    clock.observe_at(world.now());
                    world.sleep(20_000_000 + random.below(600_000_000_000));
                    jumps += 1;
                }
                2..=5 => ask(&clock, &mut world, &mut random),
                _ => drop(world.pass(random.below(30_000_000_000))),
            }
            let Some(offset) = clock.offset_at(world.now()) else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "seconds, to a nanosecond")]
            let truth = world.truth() as f64 / 1e9;
            let apart = (offset.seconds - truth).abs();
            assert!(
                apart <= offset.error.as_secs_f64() + 1e-9,
                "seed {seed}: {apart} apart, ± {:?}",
                offset.error
            );
            clock.observe_at(world.now());
            let gauge = test.gauge("clock_offset_seconds", &LABELS).unwrap();
            assert!((gauge - offset.seconds).abs() < 1e-6);
        }
        let counted = test.counter("clock_jumps_total", &LABELS);
        assert_eq!(counted, Some(jumps), "seed {seed}");
    }
}

#[test]
fn a_clock_nobody_has_asked_is_undefined() {
    let test = TestRecorder::new();
    let clock = test.run(|| Clock::new("binance"));
    clock.observe();
    for name in ["clock_offset_seconds", "clock_offset_error_seconds"] {
        assert!(test.gauge(name, &LABELS).is_some_and(f64::is_nan), "{name}");
    }
    assert!(test.gauge("app_clock_timestamp_seconds", &[]) > Some(1.7e9));
}

/// The quickest of several answers counts, and grows old.
#[test]
fn the_sample_of_the_least_round_trip_counts_until_it_is_too_old() {
    let test = TestRecorder::new();
    let clock = test.run(|| Clock::new("binance"));
    let start: Timestamp = "2026-11-25T15:00:00Z".parse().unwrap();
    let at = |ms: u64| {
        let later = SignedDuration::from_millis(i64::try_from(ms).unwrap());
        Moment::at(
            start + later,
            Duration::from_secs(10) + Duration::from_millis(ms),
        )
    };
    let asks = |from: u64, to: u64, ahead: i64| {
        let middle = at(u64::midpoint(from, to)).timestamp() + SignedDuration::from_millis(ahead);
        clock.answered_at(at(from), middle, Duration::ZERO, at(to));
    };
    asks(0, 10, 300);
    asks(20, 220, 320);
    let offset = clock.offset_at(at(220)).unwrap();
    assert!((offset.seconds - 0.3).abs() < 1e-9, "{offset:?}");
    assert!(offset.error < Duration::from_millis(6));
    // An hour of drift is 180 ms; the slow answer of now is surer.
    asks(3_600_000, 3_600_200, 330);
    let offset = clock.offset_at(at(3_600_200)).unwrap();
    assert!((offset.seconds - 0.33).abs() < 1e-9, "{offset:?}");
    // They set their clock: what contradicts it is no longer so.
    asks(3_600_300, 3_600_310, 5_000);
    asks(3_600_320, 3_600_520, 5_010);
    let offset = clock.offset_at(at(3_600_520)).unwrap();
    assert!((offset.seconds - 5.0).abs() < 1e-9, "{offset:?}");
}
