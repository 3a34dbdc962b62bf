//! Counters and histograms that add to cells of the installed recorder by themselves, seen by a recorder that counts its calls.
//!
//! A process installs one recorder, so each case is a process of its own: this program again, with the case in a variable.

use std::cell::RefCell;
use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use obs_core::cells::{self, Buckets, CounterCell, HistogramCell, Lane, Offered, Page, slot};
use obs_core::{LocalCounter, MoneyCounter, TimeCounter};

/// Which case this process is.
const CASE: &str = "DIRECT_CASE";

obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 2
}

obs_core::families! {
    /// What is counted.
    struct Counted {
        /// Things.
        things: obs_core::Counter = "direct_things_total",
        /// Time.
        time: TimeCounter = "direct_seconds_total",
        /// Money.
        money: MoneyCounter = "direct_usd_total",
        /// Durations.
        durations: obs_core::Histogram = "direct_duration_seconds" { buckets: &BOUNDS },
        /// Levels by symbol.
        levels: obs_core::Each<Symbol, obs_core::Gauge> = "direct_level",
    }
}

const BOUNDS: [f64; 2] = [1.0, 2.0];

/// Offers a cell for each counter, and counts what its handles are called with.
#[derive(Clone)]
struct Offering {
    lanes: Arc<[Lane]>,
    called: Arc<Called>,
}

/// Makes the memory of the thread that calls, and keeps by itself what it is called with.
#[derive(Debug)]
struct Called {
    lanes: Arc<[Lane]>,
    total: AtomicU64,
    recorded: Mutex<Vec<f64>>,
}

impl CounterFn for Called {
    fn increment(&self, n: u64) {
        if let Some(lane) = self.lanes.get(slot::acquire()) {
            lane.get_or_init(Page::on_heap);
        }
        self.total.fetch_add(n, Relaxed);
    }

    fn absolute(&self, total: u64) {
        self.total.store(total, Relaxed);
    }
}

impl HistogramFn for Called {
    fn record(&self, value: f64) {
        if let Some(lane) = self.lanes.get(slot::acquire()) {
            lane.get_or_init(Page::on_heap);
        }
        self.recorded.lock().unwrap().push(value);
    }
}

impl Offering {
    fn new() -> Self {
        let lanes: Arc<[Lane]> = (0..8).map(|_| OnceLock::new()).collect();
        let called = Called {
            lanes: Arc::clone(&lanes),
            total: AtomicU64::new(0),
            recorded: Mutex::default(),
        };
        Self {
            lanes,
            called: Arc::new(called),
        }
    }

    /// What is in the cells.
    fn added(&self) -> u64 {
        let pages = self.lanes.iter().filter_map(OnceLock::get);
        pages.map(|page| page[7].load(Relaxed)).sum()
    }

    /// What is in the words of the histogram: the sum, and each bucket.
    fn held(&self) -> (f64, [u64; 3]) {
        let word = |at: usize| {
            let pages = self.lanes.iter().filter_map(OnceLock::get);
            pages.map(move |page| page[at].load(Relaxed))
        };
        let sum = word(20).map(f64::from_bits).sum();
        (sum, [21, 22, 23].map(|at| word(at).sum()))
    }

    /// What the handle of the histogram was called with.
    fn recorded(&self) -> Vec<f64> {
        self.called.recorded.lock().unwrap().clone()
    }

    /// What the handles were called with.
    fn called(&self) -> u64 {
        self.called.total.load(Relaxed)
    }
}

impl Recorder for Offering {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        cells::offer(self, || {
            Some(Offered::Counter(CounterCell::new(
                Arc::clone(&self.lanes),
                7,
            )))
        });
        Counter::from_arc(Arc::clone(&self.called))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        cells::offer(self, || {
            let buckets = Arc::new(Buckets::new(&BOUNDS));
            let cell = HistogramCell::new(Arc::clone(&self.lanes), 20, buckets);
            Some(Offered::Histogram(cell))
        });
        Histogram::from_arc(Arc::clone(&self.called))
    }
}

/// A recorder that lies where the one in it does, and has as many bytes.
struct Wrapped(Offering);

impl Recorder for Wrapped {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

const CASES: [(&str, fn()); 7] = [
    (
        "what is resolved too early does not keep later series from counting what they refuse",
        too_early,
    ),
    (
        "the first value of a histogram is a call, all others are none",
        histogram,
    ),
    ("the first addition is a call, all others are none", direct),
    (
        "with handles switched off, every addition is a call",
        called,
    ),
    (
        "what a recorder inside of the installed one offers is not taken",
        wrapped,
    ),
    (
        "what a recorder offers that is not installed is not taken",
        local,
    ),
    (
        "in a destructor, a thread whose slot is another's calls",
        ending,
    ),
];

#[test]
fn each_case_in_a_process_of_its_own() {
    if let Ok(case) = env::var(CASE) {
        let case = CASES.iter().find(|(name, _)| *name == case);
        return case.expect("a case of this name").1();
    }
    for (name, _) in CASES {
        let mut process = Command::new(env::current_exe().unwrap());
        process
            .args(["--exact", "each_case_in_a_process_of_its_own"])
            .env(CASE, name)
            .env_remove("OBS_DIRECT_HANDLES");
        if name.contains("switched off") {
            process.env("OBS_DIRECT_HANDLES", "off");
        }
        let output = process.output().unwrap();
        assert!(
            output.status.success(),
            "{name}:\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

/// Adds 100 to a counter, and nine by its thread's.
fn count(counted: &Counted) {
    (0..100).for_each(|_| counted.things.increment(1));
    let local = counted.things.local();
    (0..9).for_each(|_| local.increment(1));
}

fn direct() {
    let offering = Offering::new();
    obs_core::install(offering.clone()).unwrap();
    let counted = Counted::new();
    count(&counted);
    // The recorder makes the memory when it is called for the first time on a thread.
    assert_eq!((offering.added(), offering.called()), (108, 1));
    count(&counted);
    assert_eq!((offering.added(), offering.called()), (217, 1));
    counted.time.add(std::time::Duration::from_micros(1));
    counted.money.add(0.002);
    assert_eq!((offering.added(), offering.called()), (3_217, 1));
    counted.things.absolute(5_000);
    assert_eq!(offering.called(), 5_000);
    // A thread of its own has memory of its own, and `local` has it made, too.
    std::thread::scope(|scope| {
        let thread = || {
            counted.things.local().increment(2);
            count(&counted);
        };
        scope.spawn(thread).join()
    })
    .unwrap();
    assert_eq!((offering.added(), offering.called()), (3_328, 5_000));
}

fn too_early() {
    let counted = Counted::new();
    counted.levels.of("A").set(f64::INFINITY);
    let offering = Offering::new();
    obs_core::install(offering.clone()).unwrap();
    counted.levels.of("A").set(f64::INFINITY);
    assert_eq!(offering.called(), 0);
    counted.levels.of("B").set(f64::INFINITY);
    assert_eq!(offering.called(), 1);
}

fn histogram() {
    let offering = Offering::new();
    obs_core::install(offering.clone()).unwrap();
    let durations = Counted::new().durations;
    assert!(cells::is_direct(&durations));
    let record = |values: [f64; 4]| values.map(|value| durations.record(value));
    record([1.5, 1.0, 1.25, 7.0]);
    assert_eq!(offering.recorded(), [1.5]);
    assert_eq!(offering.held(), (9.25, [1, 1, 1]));
    // What the family does not take is counted, not recorded.
    record([-1.0, f64::NAN, f64::INFINITY, 2.0]);
    assert_eq!(offering.held(), (11.25, [1, 2, 1]));
    let thread = || record([0.5, 0.5, 0.5, 0.5]);
    std::thread::scope(|scope| scope.spawn(thread).join()).unwrap();
    assert_eq!(offering.recorded(), [1.5, 0.5]);
    assert_eq!(offering.held(), (12.75, [4, 2, 1]));
}

fn called() {
    let offering = Offering::new();
    obs_core::install(offering.clone()).unwrap();
    count(&Counted::new());
    assert_eq!((offering.added(), offering.called()), (0, 109));
}

fn wrapped() {
    let offering = Offering::new();
    assert_eq!(size_of::<Wrapped>(), size_of::<Offering>());
    obs_core::install(Wrapped(offering.clone())).unwrap();
    let counted = Counted::new();
    count(&counted);
    assert_eq!((offering.added(), offering.called()), (0, 109));
    (0..2).for_each(|_| counted.durations.record(1.0));
    assert_eq!(offering.recorded(), [1.0, 1.0]);
    assert_eq!(offering.held(), (0.0, [0; 3]));
}

fn local() {
    let (installed, local) = (Offering::new(), Offering::new());
    obs_core::install(installed.clone()).unwrap();
    count(&metrics::with_local_recorder(&local, Counted::new));
    assert_eq!((local.added(), local.called()), (0, 109));
    let shared: Arc<dyn Recorder + Send + Sync> = Arc::new(local.clone());
    count(&obs_core::with_recorder(&shared, Counted::new));
    assert_eq!((local.added(), local.called()), (0, 218));
    assert_eq!((installed.added(), installed.called()), (0, 0));
}

/// Adds when it is dropped, by the counter of the thread that ends.
struct Late(RefCell<Option<LocalCounter<'static>>>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.borrow().iter().for_each(|local| local.increment(1));
    }
}

thread_local! {
    static EARLIER: Late = const { Late(RefCell::new(None)) };
    static LATER: Late = const { Late(RefCell::new(None)) };
}

/// Systems differ in the order in which a thread's values are dropped, so one is first used before the thread has a slot and one
/// afterwards: exactly one of them is dropped when the slot is given back.
fn ending() {
    let offering = Offering::new();
    obs_core::install(offering.clone()).unwrap();
    let counted: &'static Counted = Box::leak(Box::new(Counted::new()));
    let thread = std::thread::spawn(|| {
        EARLIER.with(|_| ());
        let local = counted.things.local();
        local.increment(1);
        for late in [&EARLIER, &LATER] {
            late.with(|late| late.0.replace(Some(local)));
        }
    });
    thread.join().unwrap();
    assert_eq!((offering.added(), offering.called()), (2, 1));
}
