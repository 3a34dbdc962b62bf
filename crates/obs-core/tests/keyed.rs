//! A budgeted map of structs of families.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use obs_core::{Counter, Keyed, TestRecorder};

obs_core::label! {
    /// A shelf.
    open Shelf as "shelf" up to 2
}
obs_core::families! {
    /// What happens to one shelf.
    struct ShelfMetrics(shelf: Shelf) {
        /// Things put there.
        put: Counter = "things_put_total",
        /// Things taken away.
        taken: Counter = "things_taken_total",
    }
}

fn shelves(test: &TestRecorder) -> Keyed<Shelf, ShelfMetrics> {
    test.run(|| Keyed::new(ShelfMetrics::FAMILIES))
}

#[test]
fn builds_once_and_resolves_where_it_was_made() {
    let test = TestRecorder::new();
    let shelves = shelves(&test);
    for _ in 0..3 {
        let of = || shelves.of("a", ShelfMetrics::new).put.increment(1);
        std::thread::scope(|scope| scope.spawn(of).join()).expect("no panic");
    }
    let built = shelves.of("a", |_| panic!("it is known"));
    built.taken.increment(1);
    assert_eq!(test.counter("things_put_total", &[("shelf", "a")]), Some(3));
    assert_eq!(shelves.len(), 1);
}

#[test]
fn folds_what_is_beyond_the_budget_and_counts_it_for_every_family() {
    let test = TestRecorder::new();
    let shelves = shelves(&test);
    assert!(shelves.is_empty());
    let unnameable = "x".repeat(obs_core::MAX_VALUE_BYTES + 1);
    for shelf in ["a", "b", "c", "d", "", &unnameable, "other"] {
        shelves.of(shelf, ShelfMetrics::new).put.increment(1);
    }
    let put = |shelf| test.counter("things_put_total", &[("shelf", shelf)]);
    assert_eq!(
        (put("a"), put("b"), put("other")),
        (Some(1), Some(1), Some(5))
    );
    for metric in ["things_put_total", "things_taken_total"] {
        // `other` itself is no overflow.
        let folded = test.counter("obs_series_overflow_total", &[("metric", metric)]);
        assert_eq!(folded, Some(4));
    }
}

#[test]
fn a_panic_while_an_entry_is_built_leaves_none_and_the_next_builds_it() {
    let test = TestRecorder::new();
    let shelves = shelves(&test);
    for shelf in ["a", "other"] {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            shelves.of(shelf, |_| panic_any(shelf));
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&shelf));
        assert_eq!(shelves.len(), 0);
    }
    for shelf in ["a", "b", "c"] {
        shelves.of(shelf, ShelfMetrics::new).put.increment(1);
    }
    let put = |shelf| test.counter("things_put_total", &[("shelf", shelf)]);
    assert_eq!(
        (put("a"), put("b"), put("other")),
        (Some(1), Some(1), Some(1))
    );
}
