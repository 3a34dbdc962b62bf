//! What recording costs in memory, counted thread by thread.

use allocation_counter::measure;
use obs_recorder::{Engine, Format};

#[test]
fn recording_allocates_nothing_and_memory_stays_as_it_is() {
    let engine = Engine::builder().build().unwrap();
    let (hits, level, wait, words) = metrics::with_local_recorder(&engine, || {
        (
            metrics::counter!("hits_total", "side" => "buy"),
            metrics::gauge!("level"),
            metrics::histogram!("wait_seconds"),
            metrics::histogram!("words"),
        )
    });
    let first = measure(|| {
        hits.increment(1);
        level.set(1.0);
        level.increment(1.0);
        wait.record(0.1);
    });
    assert_eq!(first.count_total, 0, "a handle is ready where it was made");

    // A summary makes an octave's bins with its first sample, and nothing after that.
    for sample in 1_u32..=1024 {
        words.record(f64::from(sample));
    }
    let many = measure(|| {
        for n in 0..20_000_000_u32 {
            wait.record(f64::from(n % 64) * 0.01);
            if n % 16 == 0 {
                hits.increment(1);
                words.record(f64::from(n % 1000 + 1));
            }
        }
    });
    assert_eq!(
        many.count_total, 0,
        "20 million observations without a scrape take no memory"
    );

    let again = measure(|| {
        metrics::with_local_recorder(&engine, || {
            metrics::counter!("hits_total", "side" => "buy").increment(1);
        });
    });
    assert_eq!(
        again.count_total, 0,
        "a known series is found without taking memory"
    );

    let mut text = String::new();
    engine.render_into(&mut text, Format::Classic);
    let scrape = obs_exposition::parse(&text).unwrap();
    assert_eq!(scrape.value("wait_seconds_count", &[]), Some(20_000_001.0));
}

#[test]
fn another_thread_takes_one_page_and_then_nothing() {
    let engine = Engine::builder().build().unwrap();
    let counters: Vec<_> = metrics::with_local_recorder(&engine, || {
        (0..100)
            .map(|n| metrics::counter!("hits_total", "n" => n.to_string()))
            .collect()
    });
    let allocated = std::thread::scope(|scope| {
        let record = || {
            let first = measure(|| counters[0].increment(1));
            let others = measure(|| counters.iter().for_each(|counter| counter.increment(1)));
            (first.bytes_total, others.count_total)
        };
        scope.spawn(record).join().unwrap()
    });
    assert!(allocated.0 < 8192, "{} bytes", allocated.0);
    assert_eq!(allocated.1, 0);
}

#[test]
fn a_native_histogram_takes_memory_by_the_octave_and_then_nothing() {
    let engine = Engine::builder().native_histograms(true).build().unwrap();
    let wait = metrics::with_local_recorder(&engine, || metrics::histogram!("wait_seconds"));
    // Every octave from a nanosecond to a day.
    let octaves = || (-30..17).map(|exponent| 1.5 * 2_f64.powi(exponent));
    let first = measure(|| octaves().for_each(|value| wait.record(value)));
    // 47 chunks of 9 to 11 words lie in one page or two; the directory goes on six times.
    assert!(first.count_total < 16, "{} times", first.count_total);
    let many = measure(|| {
        for n in 0..1_000_000_u32 {
            wait.record(f64::from(n % 4096) * 0.01 + 1e-9);
        }
        octaves().for_each(|value| wait.record(value));
    });
    // 0.01 and what is twice as much, and so on, lie in octaves that are there.
    assert_eq!(many.count_total, 0);
}

/// The heap of a series whose values lie in three octaves, of a family of a thousand.
fn heap_of_a_histogram(native_histograms: bool) -> f64 {
    const SERIES: i32 = 1000;
    let engine = Engine::builder()
        .native_histograms(native_histograms)
        .build()
        .unwrap();
    let mut kept = Vec::with_capacity(1000);
    let taken = measure(|| {
        metrics::with_local_recorder(&engine, || {
            for n in 0..SERIES {
                let wait = metrics::histogram!("wait_seconds", "n" => n.to_string());
                for value in [0.26, 0.3, 0.49, 0.6, 0.9, 1.1, 1.9] {
                    wait.record(value);
                }
                kept.push(wait);
            }
        });
    });
    taken.bytes_current as f64 / f64::from(SERIES)
}

#[test]
fn a_native_histogram_takes_little_more_than_eight_bytes_for_a_cell() {
    let (with, without) = (heap_of_a_histogram(true), heap_of_a_histogram(false));
    let more = with - without;
    eprintln!("{with} bytes with native buckets, {without} without");
    // Three octaves have 24 cells.
    assert!(
        more <= 8.0 * 24.0,
        "{more} bytes more: {with} for {without}"
    );
}
