//! The process under load: two threads that record at full speed behind the exporter, as a program does, and an account of what they
//! recorded that owes nothing to it.

use std::error::Error;
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;
use obs_core::Catalogue;
use obs_exporter::{Config, Exporter};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use crate::series::{self, Expected, SERVICE, Series, Times, VALUES, VenueLoad};

/// The line that says where the metrics are begins with this.
pub(crate) const METRICS: &str = "metrics ";
/// The line that says what was recorded begins with this.
pub(crate) const RECORDED: &str = "recorded ";
/// The variable that says where the file is that it records to, if it has one.
pub(crate) const FILE: &str = "SOAK_FILE";
/// How many threads record.
pub(crate) const THREADS: usize = 2;
/// Every so many records one is timed: reading the clock takes longer than recording.
const TIMED_EVERY: u64 = 64;

/// What was recorded, and how long it took.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Recorded {
    pub(crate) events: u64,
    pub(crate) series: usize,
    /// Every line that the last scrape has to show.
    pub(crate) expected: Vec<Expected>,
    /// Records on a kept handle.
    pub(crate) kept: Delays,
    /// Records to a series that is looked up by its labels.
    pub(crate) looked_up: Delays,
    /// Two readings of the clock with nothing in between, right after each timed record: what the clock and the scheduler take.
    pub(crate) clock: Delays,
}

/// How long something took, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Delays {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    pub(crate) measured: u64,
}

/// Records until interrupted, says what, and serves for as long as its parent runs.
pub(crate) async fn run(native_histograms: bool) -> Result<(), Box<dyn Error>> {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        service: Some(SERVICE.to_owned()),
        native_histograms,
        memory: std::env::var_os(FILE).map(Into::into),
        ..Config::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(Catalogue::of(&[VenueLoad::FAMILIES]))
        .install()?;
    let server = exporter.serve().await?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let ready = format!("{METRICS}http://{}/metrics", server.local_addr());

    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_over);
    let recording = tokio::task::spawn_blocking(move || recorded(&asked, &ready));
    tokio::select! {
        _ = interrupts.recv() => is_over.store(true, Relaxed),
        () = orphaned() => is_over.store(true, Relaxed),
    }
    let recorded = recording.await?;
    println!("{RECORDED}{}", serde_json::to_string(&recorded)?);
    orphaned().await;
    Ok(())
}

/// Waits until the process that started this one has ended. One that is killed can tell nobody.
async fn orphaned() {
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Has the threads record until it is over, and adds up what they did. The line is printed once both are at work.
fn recorded(is_over: &AtomicBool, ready: &str) -> Recorded {
    let venues = series::venues();
    let all = series::all(&venues);
    let warm = Barrier::new(THREADS);
    let tally = thread::scope(|scope| {
        let (all, warm) = (&all, &warm);
        let work = move |seed| {
            let mut tally = Tally::new(all.len());
            tally.warm_up(all);
            if warm.wait().is_leader() {
                println!("{ready}");
            }
            tally.record(all, is_over, Rng::with_seed(seed));
            tally
        };
        let record = |seed| scope.spawn(move || work(seed));
        let threads: Vec<_> = (0..THREADS as u64).map(record).collect();
        let tallies = threads.into_iter().filter_map(|thread| thread.join().ok());
        tallies.reduce(Tally::and)
    });
    let tally = tally.unwrap_or_else(|| Tally::new(all.len()));
    let expected = all.iter().zip(&tally.times);
    Recorded {
        events: tally.times.iter().flatten().sum(),
        series: all.len(),
        expected: expected
            .flat_map(|(series, times)| series.expected(times))
            .collect(),
        kept: Delays::of(&tally.kept),
        looked_up: Delays::of(&tally.looked_up),
        clock: Delays::of(&tally.clock),
    }
}

/// What one thread did. Its memory is taken before the first record, and stays as it is.
struct Tally {
    times: Vec<Times>,
    kept: Histogram<u64>,
    looked_up: Histogram<u64>,
    clock: Histogram<u64>,
}

impl Tally {
    fn new(series: usize) -> Self {
        Self {
            times: vec![[0; VALUES]; series],
            kept: delays(),
            looked_up: delays(),
            clock: delays(),
        }
    }

    /// Records every value once to every series, so that all of them exist and have the memory they take.
    fn warm_up(&mut self, all: &[Series<'_>]) {
        for (series, times) in all.iter().zip(&mut self.times) {
            for (number, times) in times.iter_mut().enumerate() {
                series.record(number);
                *times += 1;
            }
        }
    }

    /// Records at full speed, to one series after another, until it is over.
    fn record(&mut self, all: &[Series<'_>], is_over: &AtomicBool, mut random: Rng) {
        let mut turn = 0_u64;
        while !is_over.load(Relaxed) {
            let (at, number) = (random.usize(..all.len()), random.usize(..VALUES));
            let series = &all[at];
            if turn.is_multiple_of(TIMED_EVERY) {
                let start = Instant::now();
                series.record(number);
                let recorded = Instant::now();
                let nothing = Instant::now();
                self.note(series.is_kept(), recorded - start, nothing - recorded);
            } else {
                series.record(number);
            }
            self.times[at][number] += 1;
            turn += 1;
        }
    }

    fn note(&mut self, is_kept: bool, recording: Duration, nothing: Duration) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let of = if is_kept {
            &mut self.kept
        } else {
            &mut self.looked_up
        };
        of.saturating_record(nanoseconds(recording));
        self.clock.saturating_record(nanoseconds(nothing));
    }

    fn and(mut self, other: Self) -> Self {
        for (times, others) in self
            .times
            .iter_mut()
            .flatten()
            .zip(other.times.iter().flatten())
        {
            *times += others;
        }
        self.kept += other.kept;
        self.looked_up += other.looked_up;
        self.clock += other.clock;
        self
    }
}

/// Delays up to ten seconds, to two digits: more would be memory that is touched bit by bit, and taken for growth.
fn delays() -> Histogram<u64> {
    Histogram::new_with_max(10_000_000_000, 2).expect("two digits of numbers that fit")
}

impl Delays {
    fn of(delays: &Histogram<u64>) -> Self {
        Self {
            p50: delays.value_at_quantile(0.5),
            p99: delays.value_at_quantile(0.99),
            p999: delays.value_at_quantile(0.999),
            max: delays.max(),
            measured: delays.len(),
        }
    }
}
