//! `#[track_calls]` and `#[track_duration]` on functions of every shape.

use std::fmt::Display;
use std::panic::{catch_unwind, panic_any};

use obs_core::{TestRecorder, track_calls, track_duration};

#[track_calls]
#[track_duration]
fn plain(a: u32) -> u32 {
    a + 1
}

#[track_calls]
fn fails(fail: bool) -> Result<u32, String> {
    let word = if fail { None } else { Some(3) };
    let number = word.ok_or("no number")?;
    Ok(number)
}

#[track_calls]
fn fails_by_alias() -> std::io::Result<()> {
    Err(std::io::Error::other("no"))
}

#[track_calls]
fn generic<T: Display>(value: &T) -> impl Display + use<'_, T> {
    format!("<{value}>")
}

#[track_calls]
fn borrows<'a>(words: &'a [&'a str], n: usize) -> Option<&'a str> {
    if n >= words.len() {
        return None;
    }
    Some(words[n])
}

/// What a panic carries: not a text, and nothing that can be made anew.
#[derive(Debug, PartialEq)]
struct Payload(u32);

#[track_calls]
#[track_duration]
fn panics(number: u32) -> Result<u32, String> {
    if number == 0 {
        return Ok(number);
    }
    panic_any(Payload(number))
}

#[track_calls]
#[track_duration]
async fn panics_later(number: u32) -> u32 {
    tokio::task::yield_now().await;
    if number == 0 {
        return number;
    }
    panic_any(Payload(number))
}

#[track_calls]
async fn waits(fail: bool) -> Result<u32, String> {
    tokio::task::yield_now().await;
    if fail {
        return Err("no".into());
    }
    Ok(1)
}

#[track_calls]
async fn never() {
    std::future::pending::<()>().await;
}

struct Book {
    orders: Vec<u32>,
}

impl Book {
    #[track_calls(name = "Book::add")]
    fn add(&mut self, order: u32) -> &mut u32 {
        self.orders.push(order);
        let last = self.orders.len() - 1;
        &mut self.orders[last]
    }

    #[track_calls(name = "Book::take")]
    async fn take(&mut self) -> Option<u32> {
        self.orders.pop()
    }
}

fn calls(test: &TestRecorder, function: &str, outcome: &str) -> Option<u64> {
    test.counter(
        "function_calls_total",
        &[("function", function), ("outcome", outcome)],
    )
}

#[test]
fn functions_are_counted_under_their_path() {
    let test = TestRecorder::new();
    test.run(|| {
        assert_eq!(plain(1), 2);
        assert_eq!(fails(false), Ok(3));
        assert_eq!(fails(true), Err("no number".to_owned()));
        assert!(fails_by_alias().is_err());
        assert_eq!(generic(&5).to_string(), "<5>");
        assert_eq!(borrows(&["a"], 0), Some("a"));
        assert_eq!(borrows(&["a"], 1), None);
    });
    assert_eq!(calls(&test, "attributes::plain", "ok"), Some(1));
    assert_eq!(calls(&test, "attributes::plain", "error"), Some(0));
    assert_eq!(calls(&test, "attributes::fails", "ok"), Some(1));
    assert_eq!(calls(&test, "attributes::fails", "error"), Some(1));
    assert_eq!(calls(&test, "attributes::fails_by_alias", "error"), Some(1));
    assert_eq!(calls(&test, "attributes::generic", "ok"), Some(1));
    assert_eq!(calls(&test, "attributes::borrows", "ok"), Some(2));
    let labels = [("function", "attributes::plain"), ("outcome", "ok")];
    assert_eq!(
        test.samples("function_duration_seconds", &labels)
            .map(|s| s.len()),
        Some(1)
    );
    assert_eq!(
        test.series("function_duration_seconds"),
        1,
        "only `plain` is timed, and it only was ok"
    );
}

#[tokio::test]
async fn a_panic_of_a_function_passes_through_unchanged_and_the_next_call_is_counted() {
    let test = TestRecorder::new();
    test.run(|| {
        let caught = catch_unwind(|| panics(7)).expect_err("it panics");
        assert_eq!(caught.downcast_ref(), Some(&Payload(7)));
        assert_eq!(panics(0), Ok(0));
    });
    let inside = test.clone();
    let caught = tokio::spawn(async move { inside.scope(panics_later(8)).await }).await;
    let caught = caught.expect_err("it panics").into_panic();
    assert_eq!(caught.downcast_ref(), Some(&Payload(8)));
    assert_eq!(test.scope(panics_later(0)).await, 0);
    for function in ["attributes::panics", "attributes::panics_later"] {
        let in_flight = test.gauge("function_calls_in_flight", &[("function", function)]);
        assert_eq!(in_flight, Some(0.0), "{function}");
        for outcome in ["panicked", "ok"] {
            assert_eq!(calls(&test, function, outcome), Some(1), "{function}");
            let labels = [("function", function), ("outcome", outcome)];
            let times = test.samples("function_duration_seconds", &labels);
            assert_eq!(times.map(|times| times.len()), Some(1), "{function}");
        }
    }
}

#[test]
fn methods_take_the_name_they_are_given() {
    let test = TestRecorder::new();
    let mut book = Book { orders: vec![] };
    test.run(|| *book.add(1) += 1);
    assert_eq!(book.orders, [2]);
    assert_eq!(calls(&test, "Book::add", "ok"), Some(1));
    assert_eq!(
        test.gauge("function_calls_in_flight", &[("function", "Book::add")]),
        Some(0.0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_functions_are_seen_on_whatever_thread_polls_them() {
    let test = TestRecorder::new();
    let mut book = Book { orders: vec![7] };
    test.scope(async {
        assert_eq!(waits(false).await, Ok(1));
        assert!(waits(true).await.is_err());
        assert_eq!(book.take().await, Some(7));
        let cancelled = tokio::time::timeout(std::time::Duration::from_millis(1), never()).await;
        assert!(cancelled.is_err());
    })
    .await;
    assert_eq!(calls(&test, "attributes::waits", "ok"), Some(1));
    assert_eq!(calls(&test, "attributes::waits", "error"), Some(1));
    assert_eq!(calls(&test, "Book::take", "ok"), Some(1));
    assert_eq!(calls(&test, "attributes::never", "cancelled"), Some(1));
    let in_flight = test.gauge(
        "function_calls_in_flight",
        &[("function", "attributes::never")],
    );
    assert_eq!(in_flight, Some(0.0));
}
