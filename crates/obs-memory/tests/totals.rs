//! Many short-lived processes of one service: what they counted stays, though few of their files do, and is in one place alone.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use obs_memory::{
    Cell, FileId, Folded, Kind, Memory, Options, Reader, Record, Side, Totals, Value,
};
use tempfile::TempDir;

/// The variable that makes this program a worker.
const WORKER: &str = "TOTALS_TEST_WORKER";
const AS_WORKER: &str = "totals_of_removed_files_are_exact_over_kills";
/// How many files of ended workers stay.
const KEPT: usize = 32;
/// How often a worker counts.
const JOBS: u64 = 1_000;

/// Counts, observes and ends.
fn work(path: &Path) -> ! {
    let memory = Memory::create(path, Options::default().any_file_system(true)).unwrap();
    let family = |name: &str, kind, decimals, bounds: &[f64]| {
        memory.append(&Record::Family {
            name: name.to_owned(),
            kind,
            decimals,
            bounds: bounds.to_vec(),
        });
    };
    memory.append(&Record::Global {
        name: "service".to_owned(),
        value: "worker".to_owned(),
    });
    family("jobs_total", Kind::Counter, 0, &[]);
    family("busy_seconds_total", Kind::Counter, 9, &[]);
    family("job_seconds", Kind::Histogram, 0, &[0.5, 1.0]);
    family("job_native_seconds", Kind::Histogram, 0, &[1.0]);
    family("job_bytes", Kind::Summary, 0, &[]);
    family("open", Kind::Gauge, 0, &[]);
    memory.append(&Record::Help {
        name: "jobs_total".to_owned(),
        text: "Jobs done.".to_owned(),
    });
    memory.append(&Record::Native {
        family: 3,
        schema: 0,
        zero_threshold: 0.0,
    });
    let page = memory.page(0).unwrap();
    let series = [(0, 0), (1, 1), (2, 2), (3, 0), (4, 7), (5, 9)];
    for (family, first) in series {
        memory.append(&Record::Series {
            family,
            block: 0,
            first,
            began: 1_000,
            labels: Vec::new(),
        });
    }
    let cell = |index, bucket| Cell { index, bucket };
    memory.append(&Record::Chunk {
        series: 3,
        block: 0,
        first: 20,
        side: Side::Positive,
        cells: vec![cell(0, 0), cell(1, 1)],
    });
    let float = |word: usize, by: f64| {
        let sum = f64::from_bits(page[word].load(Relaxed)) + by;
        page[word].store(sum.to_bits(), Relaxed);
    };
    for _ in 0..JOBS {
        page[0].fetch_add(1, Relaxed);
        page[1].fetch_add(500_000_000, Relaxed);
        page[4].fetch_add(1, Relaxed);
        float(2, 0.75);
        page[22].fetch_add(1, Relaxed);
        float(20, 1.5);
        page[7].fetch_add(1, Relaxed);
        float(8, 10.0);
        float(9, 1.0);
    }
    std::process::exit(0)
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", AS_WORKER, "--nocapture"])
        .env(WORKER, path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// The files that a reader finds, of which totals come last.
fn files(folder: &Path) -> (Vec<PathBuf>, Option<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_file = |path: &PathBuf| path.extension().is_some_and(|end| end == "obs");
    let (mut totals, files): (Vec<_>, Vec<_>) = paths
        .filter(is_file)
        .partition(|path| Folded::is_path(path));
    assert!(totals.len() < 2, "{totals:?}");
    (files, totals.pop())
}

/// What all files make together, as an agent adds them up.
fn together(folder: &Path) -> Totals {
    let mut sum = Totals::default();
    let (files, totals) = files(folder);
    let mut counted = HashSet::new();
    if let Some(path) = totals {
        let reading = Reader::open(&path).unwrap().read().unwrap();
        assert!(!reading.is_alive && reading.is_complete);
        sum.add(&reading, &[], true);
        counted.extend(reading.folded.unwrap().files);
    }
    for path in files {
        // One that was killed before it began a file has left an empty one.
        let id = FileId::at(&path);
        if id.is_ok_and(|id| !counted.contains(&id)) {
            sum.add(&Reader::open(&path).unwrap().read().unwrap(), &[], false);
        }
    }
    sum
}

#[track_caller]
fn assert_alike(found: &Totals, expected: &Totals) {
    assert_eq!(
        found.families.keys().collect::<Vec<_>>(),
        expected.families.keys().collect::<Vec<_>>()
    );
    for (name, family) in &expected.families {
        assert_eq!(found.families[name], *family, "{name}");
    }
}

#[test]
fn totals_of_removed_files_are_exact_over_kills() {
    if let Some(path) = std::env::var_os(WORKER) {
        work(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let workers = std::env::var("OBS_KILL_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap());
    let mut expected = Totals::default();
    for number in 0..workers {
        let path = folder.path().join(format!("worker@{number}.obs"));
        let mut worker = start(&path);
        // Every third is killed, at another moment of its start or work each.
        if number % 3 == 2 {
            std::thread::sleep(Duration::from_micros(number * 7_919 % 8_000));
            worker.kill().unwrap();
            worker.wait().unwrap();
        } else {
            assert!(worker.wait().unwrap().success());
        }
        // One that was killed at its start may have left no file, or an empty one.
        if let Ok(mut reader) = Reader::open(&path) {
            let reading = reader.read().unwrap();
            assert!(!reading.is_alive);
            expected.add(&reading, &[], false);
        }
        assert_alike(&together(folder.path()), &expected);
    }
    let (files, totals) = files(folder.path());
    assert!((KEPT..KEPT + 8).contains(&files.len()), "{files:?}");
    let jobs = &expected.families["jobs_total"];
    assert_eq!(jobs.help, "Jobs done.");
    let (labels, jobs) = jobs.series.first_key_value().unwrap();
    assert_eq!(*labels, [("service".to_owned(), "worker".to_owned())]);
    let Value::Counter { number, .. } = jobs.value else {
        panic!("{jobs:?}")
    };
    assert!(number > workers * JOBS / 2, "{number}");
    let totals = Reader::open(&totals.unwrap()).unwrap().read().unwrap();
    let kept = totals.folded.unwrap();
    assert_eq!(kept.count, kept.files.len() as u64);
    assert!(kept.count > workers / 2, "{kept:?}");
}

#[test]
fn what_a_killed_process_has_added_and_not_removed_is_counted_once() {
    let folder = TempDir::new().unwrap();
    let beside = TempDir::new_in(folder.path()).unwrap();
    let worker = |number: u64| {
        let path = folder.path().join(format!("worker@{number}.obs"));
        assert!(start(&path).wait().unwrap().success());
        path
    };
    let mut first = Vec::new();
    for number in 0..=KEPT as u64 {
        first.push(worker(number));
        let name = first.last().unwrap().file_name().unwrap();
        std::fs::hard_link(first.last().unwrap(), beside.path().join(name)).unwrap();
    }
    let jobs = |folder: &Path| {
        let all = together(folder);
        match all.families["jobs_total"]
            .series
            .values()
            .next()
            .unwrap()
            .value
        {
            Value::Counter { number, .. } => number,
            ref other => panic!("{other:?}"),
        }
    };
    // The next start adds the first to the totals, and removes it.
    worker(100);
    assert!(!first[0].exists());
    let all = (KEPT as u64 + 2) * JOBS;
    assert_eq!(jobs(folder.path()), all);
    // As if it had been killed in between.
    let name = first[0].file_name().unwrap();
    std::fs::hard_link(beside.path().join(name), &first[0]).unwrap();
    assert_eq!(jobs(folder.path()), all);
    worker(101);
    assert!(!first[0].exists());
    assert_eq!(jobs(folder.path()), all + JOBS);
    // Totals that cannot be read are set aside, and begin anew.
    let totals = folder.path().join("worker@totals.obs");
    std::fs::write(&totals, "something else").unwrap();
    worker(102);
    worker(103);
    let reading = Reader::open(&totals).unwrap().read().unwrap();
    assert!(reading.folded.unwrap().count > 0);
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_aside = |path: &PathBuf| path.extension().is_some_and(|end| end == "ended");
    assert_eq!(paths.filter(is_aside).count(), 1);
}

#[test]
fn what_earlier_processes_of_a_path_left_is_kept_too() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("worker.obs");
    for _ in 0..12 {
        assert!(start(&path).wait().unwrap().success());
    }
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let aside: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "ended"))
        .collect();
    assert_eq!(aside.len(), 8);
    let mut all = together(folder.path());
    for path in aside {
        all.add(&Reader::open(&path).unwrap().read().unwrap(), &[], false);
    }
    let value = |name: &str| {
        let series = all.families[name].series.values().next().unwrap();
        assert_eq!(series.began, 1_000);
        series.clone()
    };
    let all = 12 * JOBS;
    assert_eq!(
        value("jobs_total").value,
        Value::Counter {
            number: all,
            decimals: 0
        }
    );
    assert_eq!(
        value("busy_seconds_total").value,
        Value::Counter {
            number: all * 500_000_000,
            decimals: 9
        }
    );
    let observed = |below: u64, above: u64, sum: f64| Value::Histogram {
        buckets: vec![below, above],
        sum,
    };
    let mut buckets = observed(0, all, 0.75 * all as f64);
    if let Value::Histogram { buckets, .. } = &mut buckets {
        buckets.push(0);
    }
    assert_eq!(value("job_seconds").value, buckets);
    let native = value("job_native_seconds");
    assert_eq!(native.value, observed(0, all, 1.5 * all as f64));
    assert_eq!(native.native.unwrap().positive, [(1, all)].into());
    assert_eq!(
        value("job_bytes").value,
        Value::Summary {
            count: all,
            sum: 10.0 * all as f64
        }
    );
}
