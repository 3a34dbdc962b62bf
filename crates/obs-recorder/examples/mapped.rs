//! Says what recording to a mapped file costs beside recording to the heap, in one run:
//!
//! ```sh
//! cargo run --release --package obs-recorder --example mapped
//! ```
//!
//! Two engines record by turns, so that whatever else the machine does meets both. Of each round the time for one record is taken, and
//! of all rounds the least.

use std::error::Error;
use std::time::Instant;

use metrics::{Counter, Gauge, Histogram};
use obs_recorder::{Engine, MemoryOptions};

const ROUNDS: usize = 41;
const RECORDS: u32 = 2_000_000;
const BOUNDS: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0];

struct Kept {
    counter: Counter,
    histogram: Histogram,
    gauge: Gauge,
}

impl Kept {
    fn of(engine: &Engine) -> Self {
        metrics::with_local_recorder(engine, || Self {
            counter: metrics::counter!("orders_total"),
            histogram: metrics::histogram!("fill_seconds"),
            gauge: metrics::gauge!("position"),
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in("/dev/shm")?;
    let builder = || Engine::builder().buckets("fill_seconds", &BOUNDS);
    let options = MemoryOptions::default();
    let mapped = builder().memory(folder.path().join("mapped.obs"), options);
    let engines = [builder().build()?, mapped.build()?];
    let kept = [Kept::of(&engines[0]), Kept::of(&engines[1])];
    compare("counter", &kept, |kept, n| kept.counter.increment(n.into()));
    compare("histogram", &kept, |kept, n| {
        kept.histogram.record(f64::from(n % 7) * 0.1);
    });
    compare("gauge", &kept, |kept, n| kept.gauge.set(f64::from(n)));
    Ok(())
}

fn compare(what: &str, kept: &[Kept; 2], record: impl Fn(&Kept, u32)) {
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (kept, least) in kept.iter().zip(&mut least) {
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
