//! Memory stays bounded when nobody scrapes. The counting allocator counts the whole process: this file holds one test.

use std::time::Duration;

use obs_exporter::{Config, Exporter};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[test]
fn samples_are_taken_in_without_a_scrape_even_when_the_exporter_is_dropped() {
    let config = Config {
        upkeep_interval: Duration::from_millis(1),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    drop(exporter);
    // With buckets the recorder keeps it, without it is a summary of our own.
    for name in ["busy_seconds", "busy_workers"] {
        let samples = metrics::with_local_recorder(&recorder, || metrics::histogram!(name));
        assert!(
            is_given_back(&samples),
            "{} MB are kept",
            HEAP.current_usage() / 1_000_000
        );
    }
}

/// Records until memory is given back, which is what upkeep shows itself by; or 30,000,000 samples, which would take 240 MB
/// or more.
fn is_given_back(samples: &metrics::Histogram) -> bool {
    let mut before = HEAP.current_usage();
    (0..30_000).any(|_| {
        for _ in 0..1_000 {
            samples.record(0.001);
        }
        let now = HEAP.current_usage();
        std::mem::replace(&mut before, now) > now
    })
}
