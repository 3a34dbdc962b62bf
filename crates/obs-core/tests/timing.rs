//! Every way to time work tells `ok`, `error`, `cancelled` and `panicked` apart.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use obs_core::{By, Counter, Histogram, Outcome, TestRecorder, Timed, TimedFuture, buckets};

obs_core::families! {
    /// Work of some kind.
    struct Work {
        /// Pieces of work.
        done: By<Outcome, Counter> = "work_done_total",
        /// How long one takes.
        time: By<Outcome, Histogram> = "work_duration_seconds" { buckets: buckets::LATENCY },
    }
}

struct Fixture {
    test: TestRecorder,
    work: Work,
}

impl Fixture {
    fn new() -> Self {
        let test = TestRecorder::new();
        let work = test.run(Work::new);
        Self { test, work }
    }

    fn timed(&self) -> (&By<Outcome, Counter>, &By<Outcome, Histogram>) {
        (&self.work.done, &self.work.time)
    }

    /// The outcome of the only piece of work there was.
    fn outcome(&self) -> &'static str {
        assert_eq!(self.test.counter_sum("work_done_total", &[]), 1);
        let was = |outcome: &&&str| {
            let labels = [("outcome", **outcome)];
            let times = self
                .test
                .samples("work_duration_seconds", &labels)
                .unwrap_or_default();
            let counted = self.test.counter("work_done_total", &labels) == Some(1);
            assert_eq!(times.len(), usize::from(counted));
            counted
        };
        ["ok", "error", "cancelled", "panicked"]
            .iter()
            .find(was)
            .expect("one outcome")
    }
}

#[test]
fn a_guard_records_what_it_is_told() {
    let f = Fixture::new();
    let elapsed = f.timed().start().finish(Outcome::Error);
    assert_eq!(f.outcome(), "error");
    let times = f
        .test
        .samples("work_duration_seconds", &[("outcome", "error")]);
    assert_eq!(times, Some(vec![elapsed.as_secs_f64()]));
}

#[test]
fn a_guard_that_nobody_finished_was_cancelled() {
    let f = Fixture::new();
    let leave_early = || -> Option<()> {
        let timed = f.timed();
        let guard = timed.start();
        None?;
        guard.finish(Outcome::Ok);
        Some(())
    };
    assert_eq!(leave_early(), None);
    assert_eq!(f.outcome(), "cancelled");
}

#[test]
fn a_scope_is_ok_at_its_end() {
    let f = Fixture::new();
    {
        let timed = f.timed();
        let _guard = timed.scope();
    }
    assert_eq!(f.outcome(), "ok");
}

#[test]
fn a_panic_is_seen_by_every_guard() {
    type Way = fn(&Fixture);
    let ways: [Way; 6] = [
        |f| {
            let timed = f.timed();
            let _guard = timed.start();
            panic!("on purpose");
        },
        |f| {
            let timed = f.timed();
            let _guard = timed.scope();
            panic!("on purpose");
        },
        |f| f.timed().time(|| panic!("on purpose")),
        |f| {
            let result: Result<(), ()> = f.timed().time_result(|| panic!("on purpose"));
            result.expect("never comes here");
        },
        // Caught around the poll and dropped afterwards, when nothing unwinds any more.
        |f| {
            let mut future = Box::pin(f.timed().time_future(async { panic!("on purpose") }));
            let polled = catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut())));
            drop(future);
            resume_unwind(polled.expect_err("it panics"));
        },
        // The code that judges the output may panic, too.
        |f| {
            let judge = |(): &()| panic!("on purpose");
            poll_once(Box::pin(TimedFuture::new(async {}, f.timed(), judge)).as_mut());
        },
    ];
    for way in ways {
        let f = Fixture::new();
        let caught = catch_unwind(AssertUnwindSafe(|| way(&f))).expect_err("it panics");
        assert_eq!(
            caught.downcast_ref(),
            Some(&"on purpose"),
            "the panic passes through unchanged"
        );
        assert_eq!(f.outcome(), "panicked");
        f.timed().time(|| ());
        let later = f.test.counter("work_done_total", &[("outcome", "ok")]);
        assert_eq!(later, Some(1), "the next piece of work is timed as ever");
    }
}

fn poll_once(future: Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.poll(&mut context).is_ready());
}

#[test]
fn a_guard_made_while_a_panic_unwinds_has_not_seen_it() {
    struct CleansUp<'a>(&'a Fixture);
    impl Drop for CleansUp<'_> {
        fn drop(&mut self) {
            let timed = self.0.timed();
            let _guard = timed.scope();
        }
    }
    let f = Fixture::new();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _cleans_up = CleansUp(&f);
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert_eq!(f.outcome(), "ok");
}

#[test]
fn closures_hand_on_what_they_return() {
    let f = Fixture::new();
    assert_eq!(f.timed().time(|| 7), 7);
    assert_eq!(f.outcome(), "ok");
    let f = Fixture::new();
    assert_eq!(f.timed().time_result(|| Err::<(), _>("no")), Err("no"));
    assert_eq!(f.outcome(), "error");
}

#[tokio::test]
async fn futures_hand_on_what_they_return() {
    let f = Fixture::new();
    let work = async {
        tokio::task::yield_now().await;
        7
    };
    assert_eq!(f.timed().time_future(work).await, 7);
    assert_eq!(f.outcome(), "ok");
    let f = Fixture::new();
    assert_eq!(
        f.timed()
            .time_result_future(async { Err::<(), _>("no") })
            .await,
        Err("no")
    );
    assert_eq!(f.outcome(), "error");
}

#[tokio::test]
async fn a_future_that_is_dropped_was_cancelled() {
    let f = Fixture::new();
    let never = f.timed().time_future(std::future::pending::<()>());
    assert!(
        tokio::time::timeout(Duration::from_millis(1), never)
            .await
            .is_err()
    );
    assert_eq!(f.outcome(), "cancelled");
}

#[test]
fn a_future_that_was_never_polled_did_nothing() {
    let f = Fixture::new();
    drop(f.timed().time_future(std::future::pending::<()>()));
    assert_eq!(f.test.counter_sum("work_done_total", &[]), 0);
}

#[tokio::test]
async fn a_future_that_panics_in_a_task_has_panicked() {
    let f = Fixture::new();
    let work = std::sync::Arc::new(f.test.run(Work::new));
    let task = tokio::spawn({
        let work = std::sync::Arc::clone(&work);
        async move {
            let timed = (&work.done, &work.time);
            timed.time_future(async { panic!("on purpose") }).await
        }
    });
    assert!(task.await.expect_err("it panics").is_panic());
    assert_eq!(f.outcome(), "panicked");
}
