//! Threads that come and go, scrapes in between, and totals that are known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use obs_exposition::Exposition;
use obs_recorder::{Engine, Format};

const ROUNDS: usize = 40;
const THREADS: usize = 6;
const EACH: u64 = 500;

fn scrape(engine: &Engine) -> Exposition {
    let text = engine.render(Format::Classic);
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What no scrape may ever see less of.
fn growing(exposition: &Exposition) -> Vec<f64> {
    let histograms = exposition
        .family("wait_seconds")
        .map_or_else(Vec::new, obs_exposition::Family::histograms);
    let buckets = histograms
        .iter()
        .flat_map(|histogram| &histogram.buckets)
        .map(|(_, count)| *count);
    let hits = exposition.value("hits_total", &[]);
    let mut growing: Vec<_> = hits.into_iter().chain(buckets).collect();
    growing.extend(exposition.value("words_count", &[]));
    growing
}

/// The parser refuses a count that is not what the buckets hold, so that reading a scrape checks that too.
fn totals_are_exact(slots: usize) {
    let engine = Engine::builder().slots(slots).build().unwrap();
    let (hits, level, wait, words) = metrics::with_local_recorder(&engine, || {
        (
            metrics::counter!("hits_total"),
            metrics::gauge!("level"),
            metrics::histogram!("wait_seconds"),
            metrics::histogram!("words"),
        )
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut before = growing(&scrape(&engine));
            while !done.load(Ordering::Acquire) {
                let now = growing(&scrape(&engine));
                assert!(
                    before.iter().zip(&now).all(|(before, now)| before <= now),
                    "{before:?} {now:?}"
                );
                before = now;
            }
        });
        for round in 0..ROUNDS {
            thread::scope(|scope| {
                for number in 0..THREADS {
                    let (hits, level, wait, words, engine) =
                        (&hits, &level, &wait, &words, &engine);
                    scope.spawn(move || {
                        for n in 0..EACH {
                            hits.increment(2);
                            level.increment(1.0);
                            wait.record(if n % 2 == 0 { 0.5 } else { 100.0 });
                            words.record(4.0);
                        }
                        level.decrement(EACH as f64);
                        metrics::with_local_recorder(engine, || {
                            metrics::counter!("ends_total", "of" => format!("{round}/{number}"))
                                .increment(1);
                        });
                    });
                }
            });
        }
        done.store(true, Ordering::Release);
    });

    let scrape = scrape(&engine);
    let records = (ROUNDS * THREADS) as f64 * EACH as f64;
    assert_eq!(scrape.value("hits_total", &[]), Some(2.0 * records));
    assert_eq!(scrape.value("level", &[]), Some(0.0));
    assert_eq!(scrape.value("wait_seconds_count", &[]), Some(records));
    assert_eq!(
        scrape.value("wait_seconds_bucket", &[("le", "0.5")]),
        Some(records / 2.0)
    );
    assert_eq!(scrape.value("wait_seconds_sum", &[]), Some(50.25 * records));
    assert_eq!(scrape.value("words_count", &[]), Some(records));
    assert_eq!(scrape.value("words_sum", &[]), Some(4.0 * records));
    assert_eq!(
        scrape.sum("ends_total", &[]),
        Some((ROUNDS * THREADS) as f64)
    );
    assert_eq!(scrape.samples("ends_total").count(), ROUNDS * THREADS);
}

#[test]
fn totals_are_exact_where_every_thread_has_a_slot() {
    totals_are_exact(64);
}

#[test]
fn totals_are_exact_where_some_threads_share_one() {
    totals_are_exact(2);
}

#[test]
fn totals_are_exact_where_all_threads_share_one() {
    totals_are_exact(0);
}

#[test]
fn what_a_thread_records_while_it_ends_is_kept() {
    struct AtTheEnd(metrics::Counter, metrics::Histogram);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.increment(1);
            self.1.record(1.0);
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) });

    let engine = Engine::builder().build().unwrap();
    let (ends, times) = metrics::with_local_recorder(&engine, || {
        (
            metrics::counter!("ends_total"),
            metrics::histogram!("ends_seconds"),
        )
    });
    for records_first in [true, false] {
        let (ends, times) = (ends.clone(), times.clone());
        let thread = thread::spawn(move || {
            if records_first {
                ends.increment(1);
            }
            LAST.set(Some(AtTheEnd(ends, times)));
        });
        thread.join().unwrap();
    }
    let scrape = scrape(&engine);
    assert_eq!(scrape.value("ends_total", &[]), Some(3.0));
    assert_eq!(scrape.value("ends_seconds_count", &[]), Some(2.0));
}
