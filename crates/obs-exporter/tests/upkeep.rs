//! Memory stays bounded when nobody scrapes. The counting allocator counts the whole process: this file holds one test.

use std::time::Duration;

use obs_exporter::{Config, Exporter, RecorderKind};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[test]
fn samples_are_taken_in_without_a_scrape_even_when_the_exporter_is_dropped() {
    for recorder in [RecorderKind::Obs, RecorderKind::Stock] {
        memory_is_bounded(recorder);
    }
}

fn memory_is_bounded(recorder: RecorderKind) {
    let config = Config {
        upkeep_interval: Duration::from_millis(1),
        recorder,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build().unwrap();
    drop(exporter);
    // With buckets it is a histogram, without a summary.
    for name in ["busy_seconds", "busy_workers"] {
        let samples = metrics::with_local_recorder(&recorder, || metrics::histogram!(name));
        assert!(
            is_given_back(&samples),
            "{} MB are kept",
            HEAP.current_usage() / 1_000_000
        );
    }
}

/// Records until most of what was recorded is no longer in memory, or gives up after 30,000,000 samples, of which each takes
/// 8 bytes or more.
fn is_given_back(samples: &metrics::Histogram) -> bool {
    const BATCH: usize = 1_000;
    let start = HEAP.current_usage();
    (1..=30_000).any(|batch| {
        for _ in 0..BATCH {
            samples.record(0.001);
        }
        let kept = HEAP.current_usage().saturating_sub(start);
        batch >= 1_000 && kept < batch * BATCH * 8 / 4
    })
}
