//! Says what recording to a mapped file costs beside recording to the heap, in one run:
//!
//! ```sh
//! cargo run --release --package obs-recorder --example mapped
//! ```
//!
//! Engines with and without a file record by turns, so that whatever else the machine does meets both. Of each round the time for one
//! record is taken, and of all rounds the least. The handles are those that a program keeps, which record without a call.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};
use obs_core::{Counter, Gauge, Histogram, cells};
use obs_recorder::{Engine, MemoryOptions};

const ROUNDS: usize = 101;
const RECORDS: u32 = 500_000;
const BOUNDS: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0];

obs_core::families! {
    /// What is recorded to.
    struct Kept {
        /// A counter.
        counter: Counter = "mapped_total",
        /// A gauge.
        gauge: Gauge = "mapped_level",
        /// A histogram.
        histogram: Histogram = "mapped_seconds" { buckets: &BOUNDS },
    }
}

/// Several engines as one recorder, because a process installs one. Handles come from the one that is chosen, and record to its cells.
struct Several([Engine; 4]);

/// Which of [`Several`] is chosen.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

impl Several {
    fn chosen<T>(&self, register: impl FnOnce(&Engine) -> T) -> T {
        let engine = &self.0[CHOSEN.load(Relaxed)];
        let handle = register(engine);
        cells::pass_on(self, engine);
        handle
    }
}

impl Recorder for Several {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        for engine in &self.0 {
            engine.describe_counter(name.clone(), unit, help.clone());
        }
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        for engine in &self.0 {
            engine.describe_gauge(name.clone(), unit, help.clone());
        }
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        for engine in &self.0 {
            engine.describe_histogram(name.clone(), unit, help.clone());
        }
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        self.chosen(|engine| engine.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        self.chosen(|engine| engine.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        self.chosen(|engine| engine.register_histogram(key, metadata))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let built = |native, path: Option<&Path>| {
        let builder = Engine::builder().native_histograms(native);
        match path {
            Some(path) => builder.memory(path, MemoryOptions::default()).build(),
            None => builder.build(),
        }
    };
    let file = |name: &str| folder.path().join(name);
    obs_core::install(Several([
        built(false, None)?,
        built(false, Some(&file("declared.obs")))?,
        built(true, None)?,
        built(true, Some(&file("native.obs")))?,
    ]))?;
    let kept = [0, 1, 2, 3].map(|number| {
        CHOSEN.store(number, Relaxed);
        let kept = Kept::new();
        let is_direct = [
            cells::is_direct(&kept.counter),
            cells::is_direct(&kept.gauge),
            cells::is_direct(&kept.histogram),
        ];
        assert_eq!(is_direct, [true; 3], "handles record without a call");
        kept
    });
    let [declared, native] = [[&kept[0], &kept[1]], [&kept[2], &kept[3]]];
    compare("counter", declared, |kept, _| {
        kept.counter.increment(black_box(1));
    });
    compare("gauge", declared, |kept, n| {
        kept.gauge.set(black_box(f64::from(n)));
    });
    let record = |kept: &Kept, n| kept.histogram.record(black_box(f64::from(n % 7) * 0.1));
    compare("histogram", declared, record);
    compare("histogram with native buckets", native, record);
    Ok(())
}

fn compare(what: &str, kept: [&Kept; 2], record: impl Fn(&Kept, u32)) {
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (kept, least) in kept.into_iter().zip(&mut least) {
            let start = Instant::now();
            (0..RECORDS).for_each(|n| record(kept, n));
            let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(RECORDS);
            *least = least.min(each);
        }
    }
    let [heap, mapped] = least;
    let ratio = mapped / heap;
    println!("{what}: {heap:.2} ns on the heap, {mapped:.2} ns in a file, {ratio:.2}x");
}
