//! Processes that are forked from one that records to a file: what each of them records is in it, to the last event.

#![cfg(target_os = "linux")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use fork::Fork;
use obs_core::{Counter, Gauge, Histogram};
use obs_memory::{Heartbeats, Reader, Reading, Value};
use obs_recorder::{Engine, Heartbeat, HeartbeatOptions, MemoryOptions};
use tempfile::TempDir;

/// The variable that makes this program the parent.
const PARENT: &str = "FORK_TEST_PARENT";
const WORKERS: u64 = 8;
/// How often each thread of each process records.
const TIMES: u64 = 50_000;

obs_core::families! {
    /// What a worker does.
    struct Work {
        /// Jobs done.
        jobs: Counter = "work_jobs_total",
        /// Jobs that a worker has begun.
        begun: Counter = "work_begun_total",
        /// How long a job takes.
        took: Histogram = "work_duration_seconds" { buckets: &[0.5, 1.0] },
        /// The last worker.
        last: Gauge = "work_last",
    }
}

/// Each thread of a process records so often by handles that it was given, and by those it makes on its own.
fn work(work: &Work, times: u64) {
    let local = work.begun.local();
    for _ in 0..times {
        work.jobs.increment(1);
        local.increment(2);
        work.took.record(0.25);
        work.took.record(2.0);
    }
}

/// A child's work. What fails there must not unwind into the frames of its parent, which wait for threads that a child has not.
fn child(
    handles: &Work,
    local: obs_core::LocalCounter<'_>,
    heartbeat: &Heartbeat,
    number: u64,
) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| {
        // The loop is the parent's.
        heartbeat.beat();
        assert!(!heartbeat.is_watched());
        by_two_threads(handles, local, number);
    }));
    std::process::exit(i32::from(done.is_err()))
}

/// The thread that is all a child has, and one more. They make a series that their parent does not know.
fn by_two_threads(handles: &Work, local: obs_core::LocalCounter<'_>, number: u64) {
    // Made by the parent on this thread, where it had words of its own.
    local.increment(1000);
    thread::scope(|scope| {
        scope.spawn(|| work(handles, TIMES));
        work(handles, TIMES);
    });
    #[expect(clippy::cast_precision_loss, reason = "one of eight")]
    handles.last.set(number as f64);
    metrics::counter!("work_of_a_child_total").increment(7);
    let worker = number.to_string();
    metrics::counter!("work_of_one_child_total", "worker" => worker).increment(number + 1);
    if number == 0 {
        grandchild();
    }
}

/// One that is forked from a worker adds to the worker's series, and has a file of its own for what only it has.
fn grandchild() {
    match fork::fork().unwrap() {
        Fork::Child => {
            metrics::counter!("work_of_a_child_total").increment(100);
            metrics::counter!("work_of_a_grandchild_total").increment(3);
            std::process::exit(0)
        }
        Fork::Parent(pid) => assert!(matches!(fork::waitpid(pid), Ok(0))),
    }
}

fn parent(path: &Path) {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder().global_label("service", "work");
    let engine = builder.memory(path, options).build().unwrap();
    let handles_of = engine.clone();
    obs_core::install(engine).unwrap();
    let handles = Work::new();
    handles.last.set(-1.0);
    let heartbeat = handles_of
        .heartbeat("parent", HeartbeatOptions::default())
        .unwrap();
    heartbeat.beat();
    let beat = Heartbeats::open(path).unwrap().read().unwrap()[0].beat;
    // Each thread of the parent has words of its own by now, also this one.
    work(&handles, TIMES);
    let local = handles.begun.local();
    let is_over = AtomicBool::new(false);
    let mut recorded = TIMES;
    thread::scope(|scope| {
        let recording = scope.spawn(|| {
            let mut times = 0;
            while !is_over.load(Relaxed) {
                work(&handles, 1000);
                times += 1000;
                // Series that come while children are there take words that none of these has.
                let number = (times / 1000 % 200).to_string();
                metrics::counter!("work_of_the_parent_total", "number" => number).increment(1);
            }
            times
        });
        let pids: Vec<_> = (0..WORKERS)
            .map(|number| match fork::fork().unwrap() {
                Fork::Child => child(&handles, local, &heartbeat, number),
                Fork::Parent(pid) => pid,
            })
            .collect();
        let ended: Vec<_> = pids.into_iter().map(fork::waitpid).collect();
        is_over.store(true, Relaxed);
        recorded += recording.join().unwrap();
        let succeeded = |status: &Result<i32, _>| matches!(status, Ok(0));
        assert!(ended.iter().all(succeeded), "a worker fails: {ended:?}");
    });
    let loops = Heartbeats::open(path).unwrap().read().unwrap();
    assert_eq!(loops[0].beat, beat, "no child beats in its parent's place");
    // By the threads that its children had, it records as before.
    work(&handles, TIMES);
    println!("\nrecorded {}", recorded + TIMES);
    std::process::exit(0)
}

fn values(reading: &Reading, name: &str) -> Vec<Value> {
    let family = reading.families.iter().find(|family| family.name == name);
    let series = family.into_iter().flat_map(|family| &family.series);
    series.map(|series| series.value.clone()).collect()
}

fn counter(number: u64) -> Vec<Value> {
    vec![Value::Counter {
        number,
        decimals: 0,
    }]
}

#[test]
fn what_forked_workers_record_is_in_the_file_of_their_parent() {
    if let Some(path) = std::env::var_os(PARENT) {
        parent(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.obs");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "what_forked_workers_record_is_in_the_file_of_their_parent",
            "--nocapture",
        ])
        .env(PARENT, &path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let recorded = printed
        .lines()
        .find_map(|line| line.strip_prefix("recorded "));
    let recorded: u64 = recorded
        .unwrap_or_else(|| panic!("{printed}\n{}", String::from_utf8_lossy(&output.stderr)))
        .parse()
        .unwrap();
    let reading = Reader::open(&path).unwrap().read().unwrap();
    let times = recorded + WORKERS * 2 * TIMES;
    assert_eq!(values(&reading, "work_jobs_total"), counter(times));
    let begun = counter(2 * times + 1000 * WORKERS);
    assert_eq!(values(&reading, "work_begun_total"), begun);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let took = Value::Histogram {
        buckets: vec![times, 0, times],
        sum: 2.25 * times as f64,
    };
    assert_eq!(values(&reading, "work_duration_seconds"), [took]);
    let last = values(&reading, "work_last");
    let of_a_worker = |value: &Value| matches!(value, Value::Gauge(n) if (0.0..8.0).contains(n));
    assert!(last.iter().all(of_a_worker), "{last:?}");
    // The parent's own series are exact, and what only a child knows is in a file of its own.
    let own = values(&reading, "work_of_the_parent_total");
    let of = |value: &Value| match value {
        Value::Counter { number, .. } => *number,
        other => panic!("{other:?}"),
    };
    let before_and_after = 2 * TIMES;
    let sum: u64 = own.iter().map(of).sum();
    assert_eq!(sum, (recorded - before_and_after) / 1000);
    assert_eq!(values(&reading, "work_of_a_child_total"), []);
    assert!(reading.is_complete);
    let beside = beside(folder.path());
    assert_eq!(beside.len() as u64, WORKERS + 1);
    let (mut workers, mut of_children, mut of_a_grandchild) = (Vec::new(), 0, Vec::new());
    for reading in &beside {
        assert!(reading.is_complete && !reading.is_alive, "{reading:?}");
        let globals = [("service".to_owned(), "work".to_owned())];
        assert_eq!(reading.globals, globals.into());
        // What it shares with its parent is in the parent's file alone.
        assert_eq!(values(reading, "work_jobs_total"), []);
        of_children += values(reading, "work_of_a_child_total")
            .iter()
            .map(of)
            .sum::<u64>();
        of_a_grandchild.extend(values(reading, "work_of_a_grandchild_total"));
        let family = reading.families.iter();
        let family = family.filter(|family| family.name == "work_of_one_child_total");
        for series in family.flat_map(|family| &family.series) {
            workers.push((series.labels[0].1.clone(), of(&series.value)));
        }
    }
    assert_eq!(of_children, 7 * WORKERS + 100);
    assert_eq!(of_a_grandchild, counter(3));
    workers.sort_by(|one, other| one.0.cmp(&other.0));
    let all = (0..WORKERS).map(|number| (number.to_string(), number + 1));
    assert_eq!(workers, all.collect::<Vec<_>>());
}

/// What is in the files of workers.
fn beside(folder: &Path) -> Vec<Reading> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let of_workers = entries.filter(|path| path.to_string_lossy().contains("work@"));
    of_workers
        .map(|path| Reader::open(&path).unwrap().read().unwrap())
        .collect()
}

/// The variable that makes this program the parent of workers that are killed.
const KILLED: &str = "FORK_TEST_KILLED";
/// How many series a worker makes at most, and how many it has when it is killed.
const SERIES: u64 = 9_000;
const LEAST: usize = 20;

/// Forks workers that make series for as long as they live, and kills each in the middle of that.
fn kill_workers(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let engine = Engine::builder().memory(path, options).build().unwrap();
    obs_core::install(engine).unwrap();
    metrics::counter!("work_begun_total").increment(1);
    for number in 0..WORKERS {
        match fork::fork().unwrap() {
            Fork::Child => {
                for number in 0..SERIES {
                    let number = number.to_string();
                    metrics::counter!("work_of_one_child_total", "number" => number).increment(1);
                }
                loop {
                    thread::park();
                }
            }
            Fork::Parent(pid) => {
                let file = path.with_file_name(format!("work@{pid}.obs"));
                let made = || {
                    let reading = Reader::open(&file).ok()?.read().ok()?;
                    Some(values(&reading, "work_of_one_child_total").len())
                };
                while made()
                    .is_none_or(|made| made < LEAST * (1 + usize::try_from(number).unwrap()))
                {
                    thread::yield_now();
                }
                let kill = Command::new("kill")
                    .args(["-s", "KILL", &pid.to_string()])
                    .status();
                assert!(kill.unwrap().success());
                // It is reaped, so that its lock is gone.
                let _ = fork::waitpid(pid);
            }
        }
    }
    println!("\nkilled");
    std::process::exit(0)
}

#[test]
fn a_worker_that_is_killed_while_it_makes_series_leaves_a_file_that_reads() {
    if let Some(path) = std::env::var_os(KILLED) {
        kill_workers(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.obs");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_worker_that_is_killed_while_it_makes_series_leaves_a_file_that_reads",
            "--nocapture",
        ])
        .env(KILLED, &path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("killed"),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let parent = Reader::open(&path).unwrap().read().unwrap();
    assert!(parent.is_complete);
    assert_eq!(values(&parent, "work_begun_total"), counter(1));
    let beside = beside(folder.path());
    assert_eq!(beside.len() as u64, WORKERS);
    for reading in beside {
        assert!(reading.is_complete && !reading.is_alive);
        let made = values(&reading, "work_of_one_child_total");
        assert!(made.len() >= LEAST, "{}", made.len());
        // It was killed between making the last one and adding to it, if anywhere.
        let (last, others) = made.split_last().unwrap();
        assert!(
            others.iter().all(|value| *value == counter(1)[0]),
            "{others:?}"
        );
        assert!([counter(0), counter(1)].concat().contains(last), "{last:?}");
    }
}

/// The variable that makes this program the parent of workers that observe what it does not.
const OBSERVED: &str = "FORK_TEST_OBSERVED";

obs_core::families! {
    /// What is observed.
    struct Observed {
        /// How long a task takes.
        took: Histogram = "task_duration_seconds" { buckets: obs_core::buckets::NATIVE },
    }
}

/// Each worker observes in an octave of its parent and in two of its own, and has a child that observes in all of them and in one more.
fn observe(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder().native_histograms(true);
    let engine = builder.memory(path, options).build().unwrap();
    obs_core::install(engine).unwrap();
    let observed = Observed::new();
    observed.took.record(1.5);
    let fork = |work: &dyn Fn()| match fork::fork().unwrap() {
        Fork::Child => {
            let done = catch_unwind(AssertUnwindSafe(work));
            std::process::exit(i32::from(done.is_err()))
        }
        Fork::Parent(pid) => assert!(matches!(fork::waitpid(pid), Ok(0))),
    };
    for _ in 0..WORKERS {
        fork(&|| {
            for value in [1.5, 3.0, 3.0, 100.0] {
                observed.took.record(value);
            }
            fork(&|| {
                for value in [1.5, 3.0, 100.0, 7000.0] {
                    observed.took.record(value);
                }
            });
            observed.took.record(100.0);
        });
    }
    // It has one of these octaves later, and on its own.
    observed.took.record(3.0);
    std::process::exit(0)
}

#[test]
fn octaves_that_only_a_worker_has_are_in_its_file() {
    if let Some(path) = std::env::var_os(OBSERVED) {
        observe(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("work.obs");
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "octaves_that_only_a_worker_has_are_in_its_file",
            "--nocapture",
        ])
        .env(OBSERVED, &path)
        .status()
        .unwrap();
    assert!(status.success());
    let parent = Reader::open(&path).unwrap().read().unwrap();
    let beside = beside(folder.path());
    assert_eq!(beside.len() as u64, 2 * WORKERS);
    let mut all = obs_memory::Totals::default();
    for reading in beside.iter().chain([&parent]) {
        assert!(reading.is_complete, "{reading:?}");
        assert_eq!(values(reading, "task_duration_seconds").len(), 1);
        all.add(reading, &[], false);
    }
    let family = &all.families["task_duration_seconds"];
    let (_, series) = family.series.first_key_value().unwrap();
    let native = series.native.as_ref().unwrap();
    let counts: Vec<_> = native.positive.values().copied().collect();
    let expected = [1 + 2 * WORKERS, 1 + 3 * WORKERS, 3 * WORKERS, WORKERS];
    assert_eq!(counts, expected);
    let sum = 4.5 + 7312.0 * f64::from(u8::try_from(WORKERS).unwrap());
    assert!(
        matches!(series.value, Value::Histogram { sum: held, .. } if held.total_cmp(&sum).is_eq()),
        "{series:?}"
    );
}
