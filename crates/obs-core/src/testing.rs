//! A recorder for unit tests, which can be read without being emptied.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::cells;

/// A recorder for tests of your own code: it keeps every value, and reading takes nothing away.
///
/// Values built inside [`run`](Self::run) record here from then on, from any thread and after `run` has returned. Clones
/// share what was recorded.
///
/// ```
/// # obs_core::families! { /// Mine.
/// # struct MyMetrics { /// Things seen.
/// # seen: obs_core::Counter = "my_things_total", } }
/// let test = obs_core::TestRecorder::new();
/// let mine = test.run(|| MyMetrics::new());
/// std::thread::scope(|scope| { scope.spawn(|| mine.seen.increment(2)); });
/// assert_eq!(test.counter("my_things_total", &[]), Some(2));
/// assert_eq!(test.counter("my_things_total", &[]), Some(2));
/// ```
#[derive(Clone, Default)]
pub struct TestRecorder(Arc<Store>);

#[derive(Default)]
struct Store {
    series: Mutex<BTreeMap<Series, Cell>>,
    help: Mutex<BTreeMap<String, String>>,
}

/// A name and its labels, sorted by key.
type Series = (String, Vec<(String, String)>);

#[derive(Clone)]
enum Cell {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<GaugeBits>),
    Histogram(Arc<Recordings>),
}

/// As the engine keeps it, which is why it is no plain number.
struct GaugeBits(AtomicU64);

impl Default for GaugeBits {
    fn default() -> Self {
        Self(AtomicU64::new(cells::UNSAID))
    }
}

impl GaugeBits {
    fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Acquire)) + 0.0
    }
}

impl GaugeFn for GaugeBits {
    fn increment(&self, by: f64) {
        GaugeFn::increment(&self.0, by);
    }

    fn decrement(&self, by: f64) {
        GaugeFn::decrement(&self.0, by);
    }

    fn set(&self, value: f64) {
        if value.to_bits() == cells::BEGIN_UNDEFINED {
            cells::begin_undefined(&self.0);
        } else {
            GaugeFn::set(&self.0, value);
        }
    }
}

#[derive(Default)]
struct Recordings(Mutex<Vec<f64>>);

impl HistogramFn for Recordings {
    fn record(&self, value: f64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(value);
    }
}

/// One series as a test recorder holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The metric's name.
    pub name: String,
    /// Its labels, sorted by key.
    pub labels: Vec<(String, String)>,
    /// What was recorded.
    pub value: TestValue,
}

/// What was recorded in one series.
#[derive(Clone, Debug, PartialEq)]
pub enum TestValue {
    /// The count. A [`TimeCounter`](crate::TimeCounter) counts nanoseconds, a [`MoneyCounter`](crate::MoneyCounter)
    /// millionths of the currency's unit.
    Counter(u64),
    /// The value.
    Gauge(f64),
    /// Every observation, in the order it came.
    Samples(Vec<f64>),
}

impl TestRecorder {
    /// A recorder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `f` with this recorder in place of the installed one, on this thread. Values built in it keep the recorder.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        let shared: Arc<dyn Recorder + Send + Sync> = Arc::new(self.clone());
        crate::with_recorder(&shared, f)
    }

    /// Runs a future with this recorder in place, on whatever thread polls it.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let mut future = Box::pin(future);
        std::future::poll_fn(|cx| self.run(|| future.as_mut().poll(cx))).await
    }

    /// The counter of exactly these labels, in any order.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        match self.value(name, labels)? {
            TestValue::Counter(count) => Some(count),
            _ => None,
        }
    }

    /// The sum of a counter over every series that carries at least these labels; 0 where there is none.
    #[must_use]
    pub fn counter_sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let carries = |recorded: &Recorded| {
            labels.iter().all(|(key, value)| {
                recorded
                    .labels
                    .iter()
                    .any(|label| label.0 == *key && label.1 == *value)
            })
        };
        let count = |recorded: Recorded| match recorded.value {
            TestValue::Counter(count) => count,
            _ => 0,
        };
        self.snapshot()
            .into_iter()
            .filter(|r| r.name == name)
            .filter(carries)
            .map(count)
            .sum()
    }

    /// The gauge of exactly these labels, in any order.
    #[must_use]
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        match self.value(name, labels)? {
            TestValue::Gauge(value) => Some(value),
            _ => None,
        }
    }

    /// The observations of a histogram or summary of exactly these labels, in any order.
    #[must_use]
    pub fn samples(&self, name: &str, labels: &[(&str, &str)]) -> Option<Vec<f64>> {
        match self.value(name, labels)? {
            TestValue::Samples(samples) => Some(samples),
            _ => None,
        }
    }

    /// How many series the metric has.
    #[must_use]
    pub fn series(&self, name: &str) -> usize {
        self.snapshot()
            .iter()
            .filter(|recorded| recorded.name == name)
            .count()
    }

    /// The help text that was described for the metric.
    #[must_use]
    pub fn help(&self, name: &str) -> Option<String> {
        lock(&self.0.help).get(name).cloned()
    }

    /// Every series, sorted by name and labels.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Recorded> {
        let series = lock(&self.0.series);
        let recorded = |((name, labels), cell): (&Series, &Cell)| Recorded {
            name: name.clone(),
            labels: labels.clone(),
            value: cell.read(),
        };
        series.iter().map(recorded).collect()
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<TestValue> {
        let mut labels: Vec<_> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        lock(&self.0.series)
            .get(&(name.to_owned(), labels))
            .map(Cell::read)
    }

    fn cell(&self, key: &Key, new: impl FnOnce() -> Cell) -> Cell {
        let mut labels: Vec<_> = key
            .labels()
            .map(|label| (label.key().to_owned(), label.value().to_owned()))
            .collect();
        labels.sort();
        let series = (key.name().to_owned(), labels);
        lock(&self.0.series)
            .entry(series)
            .or_insert_with(new)
            .clone()
    }

    fn describe(&self, key: &KeyName, help: &SharedString) {
        lock(&self.0.help).insert(key.as_str().to_owned(), help.to_string());
    }
}

impl std::fmt::Debug for TestRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.snapshot()).finish()
    }
}

/// A test that panics elsewhere must not hide what this recorder holds.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cell {
    fn read(&self) -> TestValue {
        match self {
            Self::Counter(count) => TestValue::Counter(count.load(Ordering::Acquire)),
            Self::Gauge(bits) => TestValue::Gauge(bits.value()),
            Self::Histogram(recordings) => TestValue::Samples(lock(&recordings.0).clone()),
        }
    }
}

impl Recorder for TestRecorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.cell(key, || Cell::Counter(Arc::default())) {
            Cell::Counter(count) => Counter::from_arc::<AtomicU64>(count),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.cell(key, || Cell::Gauge(Arc::default())) {
            Cell::Gauge(bits) => Gauge::from_arc(bits),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.cell(key, || Cell::Histogram(Arc::default())) {
            Cell::Histogram(recordings) => Histogram::from_arc(recordings),
            _ => Histogram::noop(),
        }
    }
}
