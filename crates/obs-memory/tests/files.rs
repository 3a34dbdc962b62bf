//! Files of writers that live, are stopped and are killed, and files that no writer wrote.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use obs_memory::{
    Cell, Heartbeat, HeartbeatOptions, Heartbeats, Kind, Memory, MemoryError, Options, Page,
    Reader, Reading, Record, Side, Value,
};
use proptest::prelude::*;
use tempfile::TempDir;

/// The variable that makes this program a writer.
const WRITER: &str = "MEMORY_TEST_WRITER";
/// How many threads it has.
const THREADS: u64 = 3;

/// Beside the file systems of tests, which may be on a disk.
fn options() -> Options {
    Options::default().any_file_system(true)
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("desk.obs")
}

fn family(name: &str, kind: Kind, bounds: &[f64]) -> Record {
    Record::Family {
        name: name.to_owned(),
        kind,
        decimals: 0,
        bounds: bounds.to_vec(),
    }
}

fn series(family: u32, first: u16, side: &str) -> Record {
    Record::Series {
        family,
        block: 0,
        first,
        began: 1000,
        labels: vec![("side".to_owned(), side.to_owned())],
    }
}

fn read(path: &Path) -> Result<Reading, MemoryError> {
    Reader::open(path)?.read()
}

/// The values of a family.
fn values(reading: &Reading, name: &str) -> Vec<Value> {
    let family = reading.families.iter().find(|family| family.name == name);
    let series = family.into_iter().flat_map(|family| &family.series);
    series.map(|series| series.value.clone()).collect()
}

fn counter(number: u64) -> Value {
    Value::Counter {
        number,
        decimals: 0,
    }
}

/// Two counters of two words, and a histogram with two bounds.
fn describe(memory: Memory) {
    memory.append(&Record::Global {
        name: "service".to_owned(),
        value: "desk".to_owned(),
    });
    memory.append(&Record::Help {
        name: "orders_total".to_owned(),
        text: "Orders.".to_owned(),
    });
    memory.append(&family("orders_total", Kind::Counter, &[]));
    memory.append(&family("fill_seconds", Kind::Histogram, &[0.5, 1.0]));
    memory.append(&series(0, 0, "buy"));
    memory.append(&series(0, 1, "sell"));
    memory.append(&series(1, 2, "buy"));
}

/// Adds to a word that only this thread writes.
fn add(page: &Page, word: usize, n: u64) {
    page[word].store(page[word].load(Relaxed) + n, Relaxed);
}

/// The writer of the tests that follow, when it is started by them; otherwise it writes a little and reads it again.
#[test]
fn a_writer_is_read_by_its_own_process() {
    if let Some(path) = std::env::var_os(WRITER) {
        write_until_killed(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    describe(memory);
    let pages: Vec<_> = (0..3).map(|_| memory.page(0).unwrap()).collect();
    for page in &pages {
        assert!(page.is_mapped());
        add(page, 0, 2);
        add(page, 3, 1);
        add(page, 5, 1);
        page[2].store(1.25_f64.to_bits(), Relaxed);
    }
    let reading = read(&path(&folder)).unwrap();
    assert!(reading.is_alive && reading.is_complete);
    assert_eq!(reading.pid, std::process::id());
    assert_eq!(reading.globals["service"], "desk");
    assert_eq!(values(&reading, "orders_total"), [counter(6), counter(0)]);
    let fill = Value::Histogram {
        buckets: vec![3, 0, 3],
        sum: 3.75,
    };
    assert_eq!(values(&reading, "fill_seconds"), [fill]);
    let orders = &reading.families[1];
    assert_eq!((&*orders.name, &*orders.help), ("orders_total", "Orders."));
    let mode = std::fs::metadata(path(&folder))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // Reading has not let go of the lock.
    let again = Memory::create(&path(&folder), options()).unwrap_err();
    assert!(matches!(again, MemoryError::InUse { .. }), "{again}");
}

#[test]
fn pages_on_the_heap_are_freed_and_mapped_ones_stay() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    describe(memory);
    let (heap, mapped) = (Page::on_heap(), memory.page(0).unwrap());
    assert!(!heap.is_mapped() && mapped.is_mapped());
    add(&heap, 0, 1);
    add(&mapped, 0, 5);
    drop((heap, mapped));
    let reading = read(&path(&folder)).unwrap();
    assert_eq!(values(&reading, "orders_total")[0], counter(5));
}

#[test]
fn a_series_that_was_hidden_counts_from_there_and_one_that_is_gone_is_not_shown() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    describe(memory);
    let page = memory.page(0).unwrap();
    let mut reader = Reader::open(&path(&folder)).unwrap();
    let mut orders = || values(&reader.read().unwrap(), "orders_total");
    add(&page, 0, 7);
    add(&page, 1, 1);
    let hidden = Record::Hidden {
        series: 0,
        words: vec![7],
    };
    memory.append(&hidden);
    assert_eq!(orders(), [counter(1)]);
    add(&page, 0, 2);
    assert_eq!(orders(), [counter(2), counter(1)]);
    memory.append(&Record::Hidden {
        series: 0,
        words: vec![9],
    });
    memory.append(&Record::Shown {
        series: 0,
        began: 2000,
    });
    assert_eq!(orders(), [counter(0), counter(1)]);
    memory.append(&Record::Gone { series: 0 });
    page[0].store(0, Relaxed);
    memory.append(&series(0, 0, "short"));
    add(&page, 0, 3);
    assert_eq!(orders(), [counter(1), counter(3)]);
}

#[test]
fn a_loop_is_armed_by_its_first_beat_and_until_it_is_disarmed_or_dropped() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    let reader = Heartbeats::open(&path(&folder)).unwrap();
    assert_eq!(reader.read().unwrap(), []);
    let watch = HeartbeatOptions::default().grace(Duration::from_secs(5));
    let before = Heartbeats::now();
    let quotes = memory.heartbeat("quotes", watch).unwrap();
    let beats = || {
        let loops = reader.read().unwrap();
        assert_eq!((loops.len(), &*loops[0].name), (1, "quotes"));
        assert_eq!(loops[0].timeout, Duration::from_secs(1));
        assert!(loops[0].grace_until >= before + 5_000_000_000);
        loops[0].beat
    };
    assert!(quotes.is_watched() && reader.is_alive());
    assert_eq!(beats(), None);
    quotes.beat();
    let first = beats().unwrap();
    assert!((before..=Heartbeats::now()).contains(&first));
    quotes.beat();
    assert!(beats().unwrap() >= first);
    quotes.disarm();
    assert_eq!(beats(), None);
    quotes.beat();
    assert!(beats().is_some());
    drop(quotes);
    assert_eq!(reader.read().unwrap(), []);
}

#[test]
fn a_loop_that_ends_by_a_panic_stays_armed_until_it_is_begun_again() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    let reader = Heartbeats::open(&path(&folder)).unwrap();
    let ended = std::thread::spawn(move || {
        let quotes = memory
            .heartbeat("quotes", HeartbeatOptions::default())
            .unwrap();
        quotes.beat();
        panic!("the loop ends");
    });
    assert!(ended.join().is_err());
    assert!(reader.read().unwrap()[0].beat.is_some());
    let again = memory
        .heartbeat("quotes", HeartbeatOptions::default())
        .unwrap();
    let loops = reader.read().unwrap();
    assert_eq!((loops.len(), loops[0].beat), (1, None));
    drop(again);
    assert_eq!(reader.read().unwrap(), []);
}

#[test]
fn loops_have_names_of_their_own_and_there_are_so_many() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options()).unwrap();
    let make = |name: &str| memory.heartbeat(name, HeartbeatOptions::default());
    let mut all: Vec<_> = (0..32)
        .map(|n| make(&format!("loop {n}")).unwrap())
        .collect();
    assert!(make("one more").unwrap_err().to_string().contains("32"));
    all.pop();
    let longest = "é".repeat(20);
    all.push(make(&longest).unwrap());
    let loops = Heartbeats::open(&path(&folder)).unwrap().read().unwrap();
    assert_eq!((loops.len(), &*loops[31].name), (32, &*longest));
    for name in ["loop 0", "", "a\0b", &"a".repeat(41)] {
        let refused = make(name).unwrap_err();
        assert!(
            matches!(refused, MemoryError::Heartbeat { .. }),
            "{refused}"
        );
    }
    let short = HeartbeatOptions::default().timeout(Duration::from_millis(1));
    assert!(memory.heartbeat("quotes", short).is_err());
    assert!(!Heartbeat::unwatched().is_watched());
    Heartbeat::unwatched().beat();
}

#[test]
fn beyond_its_limit_a_file_says_that_it_is_incomplete() {
    let folder = TempDir::new().unwrap();
    let memory = Memory::create(&path(&folder), options().limit(1 << 20)).unwrap();
    describe(memory);
    let mut pages = Vec::new();
    while let Some(page) = memory.page(0) {
        add(&page, 0, 1);
        pages.push(page);
    }
    assert!(pages.len() >= 64, "{}", pages.len());
    let why = memory.incomplete().unwrap();
    assert!(why.contains("limit"), "{why}");
    let reading = read(&path(&folder)).unwrap();
    assert!(!reading.is_complete);
    assert_eq!(
        values(&reading, "orders_total")[0],
        counter(pages.len() as u64)
    );
}

#[test]
fn a_full_directory_is_incomplete_and_later_says_nothing() {
    let folder = TempDir::new().unwrap();
    let options = options().limit(4 << 20);
    let memory = Memory::create(&path(&folder), options).unwrap();
    describe(memory);
    while memory.append(&series(0, 0, "buy")).is_some() {}
    assert!(memory.incomplete().unwrap().contains("directory"));
    let mut reader = Reader::open(&path(&folder)).unwrap();
    assert!(!values(&reader.read().unwrap(), "orders_total").is_empty());
    // Words that are given up are still said, for as long as there is room.
    assert!(memory.append(&Record::Gone { series: 0 }).is_some());
    while memory.append(&Record::Gone { series: 1 }).is_some() {}
    assert_eq!(reader.read().unwrap().families, []);
}

#[test]
fn only_tmpfs_is_taken_unless_asked_for_and_limits_have_a_range() {
    let disk = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kind = Command::new("stat")
        .args(["-fc", "%T"])
        .arg(disk.path())
        .output()
        .unwrap();
    let is_tmpfs = kind.stdout.starts_with(b"tmpfs");
    let made = Memory::create(&path(&disk), Options::default());
    assert_eq!(made.is_ok(), is_tmpfs, "{made:?}");
    if let Err(error) = made {
        assert!(error.to_string().contains("/dev/shm"), "{error}");
        assert!(!path(&disk).exists());
    }
    let refused = Memory::create(&path(&disk), options().limit(1)).unwrap_err();
    assert!(refused.to_string().contains("1 MiB"), "{refused}");
}

#[test]
fn what_is_there_is_set_aside_and_never_stops_a_start() {
    let folder = TempDir::new().unwrap();
    let later_layout = [&b"obs-mem\n"[..], &9_u32.to_le_bytes(), &[0; 500]].concat();
    std::fs::write(path(&folder), &later_layout).unwrap();
    let refused = read(&path(&folder)).unwrap_err();
    assert!(
        matches!(refused, MemoryError::Version { version: 9, .. }),
        "{refused}"
    );
    Memory::create(&path(&folder), options()).unwrap();
    let aside: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|entry| {
            entry
                .extension()
                .is_some_and(|extension| extension == "ended")
        })
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(std::fs::read(&aside[0]).unwrap(), later_layout);
}

#[test]
fn files_of_ended_processes_of_one_service_are_bounded() {
    let folder = TempDir::new().unwrap();
    let whole = [&b"obs-mem\n"[..], &[0; 500]].concat();
    let name = |number: u32| folder.path().join(format!("desk@{number}.obs"));
    for number in 0..40 {
        std::fs::write(name(number), &whole).unwrap();
        let file = std::fs::File::options().write(true).open(name(number));
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(number.into());
        file.unwrap().set_modified(at).unwrap();
    }
    let other = folder.path().join("desks@1.obs");
    std::fs::write(&other, &whole).unwrap();
    let living = folder.path().join("desk@999.obs");
    Memory::create(&living, options()).unwrap();
    let kept: Vec<_> = (0..40).filter(|number| name(*number).exists()).collect();
    assert_eq!(kept, (8..40).collect::<Vec<_>>());
    assert!(living.exists() && other.exists());
    // Looking at the others has not let go of the lock.
    let again = Memory::create(&living, options()).unwrap_err();
    assert!(matches!(again, MemoryError::InUse { .. }), "{again}");
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let pid = format!(" {} ", std::process::id());
    let inode = std::os::unix::fs::MetadataExt::ino(&living.metadata().unwrap());
    let is_held = |line: &str| line.contains(&pid) && line.contains(&format!(":{inode} "));
    assert!(locks.lines().any(is_held), "{locks}");
}

/// A process that records until it is killed.
struct Writer(Child);

impl Writer {
    /// Returns when it has recorded something on every thread.
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_writer_is_read_by_its_own_process",
                "--nocapture",
            ])
            .env(WRITER, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "recording"));
        Self(child)
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let kill = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(kill.success());
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each thread counts a buy, then a sell, then a buy.
fn write_until_killed(path: &Path) -> ! {
    let memory = Memory::create(path, options()).unwrap();
    describe(memory);
    std::thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        for _ in 0..THREADS {
            let ready = ready.clone();
            scope.spawn(move || {
                let page = memory.page(0).unwrap();
                loop {
                    add(&page, 0, 1);
                    add(&page, 1, 1);
                    let _ = ready.send(());
                    if page[0].load(Relaxed) > 1 << 20 {
                        std::thread::park();
                    }
                }
            });
        }
        (0..THREADS).for_each(|_| is_ready.recv().unwrap());
        println!("\nrecording");
        std::io::stdout().flush().unwrap();
    });
    std::process::exit(0)
}

/// Buys and sells.
fn totals(reading: &Reading) -> (u64, u64) {
    let of = |value: &Value| match value {
        Value::Counter { number, .. } => *number,
        other => panic!("{other:?}"),
    };
    let orders = values(reading, "orders_total");
    (of(&orders[0]), of(&orders[1]))
}

#[test]
fn a_killed_process_leaves_exact_totals() {
    let rounds = std::env::var("OBS_KILL_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let folder = TempDir::new().unwrap();
    for round in 0..rounds {
        let writer = Writer::start(&path(&folder));
        let mut reader = Reader::open(&path(&folder)).unwrap();
        let while_alive = reader.read().unwrap();
        assert!(while_alive.is_alive);
        let before = totals(&while_alive);
        writer.kill();
        let dead = reader.read().unwrap();
        assert!(!dead.is_alive && dead.is_complete);
        let (buys, sells) = totals(&dead);
        assert!(buys >= before.0 && sells >= before.1, "round {round}");
        // No thread is more than one sell behind its buys: nothing that was counted before the kill is missing.
        assert!(
            (sells..=sells + THREADS).contains(&buys),
            "{buys} {sells}, round {round}"
        );
        assert_eq!(totals(&reader.read().unwrap()), (buys, sells));
    }
}

#[test]
fn a_stopped_process_lives_and_is_read_and_a_second_writer_is_refused() {
    let folder = TempDir::new().unwrap();
    let writer = Writer::start(&path(&folder));
    writer.signal("STOP");
    let reading = read(&path(&folder)).unwrap();
    assert!(reading.is_alive);
    assert!(totals(&reading).0 >= THREADS);
    let refused = Memory::create(&path(&folder), options()).unwrap_err();
    let pid = writer.0.id();
    assert!(
        refused.to_string().contains(&format!("process {pid}:")),
        "{refused}"
    );
    writer.kill();
    let dead = totals(&read(&path(&folder)).unwrap());
    // The next one begins at 0, and what this one left can still be read.
    Memory::create(&path(&folder), options()).unwrap();
    let mut files = std::fs::read_dir(folder.path()).unwrap();
    let aside = files.find_map(|file| {
        let path = file.unwrap().path();
        path.extension()
            .is_some_and(|extension| extension == "ended")
            .then_some(path)
    });
    assert_eq!(totals(&read(&aside.unwrap()).unwrap()), dead);
}

/// The file of a process that has ended.
fn dead(folder: &TempDir) -> PathBuf {
    Writer::start(&path(folder)).kill();
    path(folder)
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let path = dead(&folder);
    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.read().is_ok());
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for length in [(16 << 20) + 4096, 4097, 4096, 100] {
        file.set_len(length).unwrap();
        let refused = reader.read().unwrap_err();
        assert!(
            matches!(refused, MemoryError::Truncated { .. }),
            "{length}: {refused}"
        );
    }
    for length in [20, 8, 0] {
        file.set_len(length).unwrap();
        assert!(Reader::open(&path).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes stand in a file, it is read or refused.
    #[test]
    fn no_bytes_make_a_reader_panic(
        changes in prop::collection::vec((0_u64..1200, any::<u8>()), 1..8),
        heals in any::<bool>(),
    ) {
        static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let whole = FILE.get_or_init(|| {
            let folder = TempDir::new().unwrap();
            std::fs::read(dead(&folder)).unwrap()[..1 << 13].to_vec()
        });
        let folder = TempDir::new().unwrap();
        let mut bytes = whole.clone();
        for (at, byte) in changes {
            // The header's first bytes, or the directory's.
            let at = if at < 64 { at } else { 4096 + at - 64 };
            bytes[usize::try_from(at).unwrap()] = byte;
        }
        if heals {
            heal(&mut bytes);
        }
        std::fs::write(path(&folder), &bytes).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(path(&folder)).unwrap();
        // Sparse, as long as it was.
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[0], 64 << 19).unwrap();
        if let Ok(reading) = read(&path(&folder)) {
            prop_assert!(!reading.is_alive);
            prop_assert!(reading.families.iter().all(|family| !family.series.is_empty()));
        }
    }
}

/// A small file with a record of every sort, that nobody records to, with the bytes of its header and directory.
struct Small {
    folder: TempDir,
    file: std::fs::File,
    head: Vec<u8>,
    /// Where each record begins, and where the last one ends.
    records: Vec<usize>,
    /// What is read where the directory ends at each of these.
    readings: Vec<Reading>,
}

impl Small {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let origin = folder.path().join("origin.obs");
        let memory = Memory::create(&origin, options().limit(1 << 20)).unwrap();
        describe(memory);
        describe_native(memory);
        let pages: Vec<_> = (0..2).map(|_| memory.page(0).unwrap()).collect();
        for page in &pages {
            for word in [0, 1, 3, 21, 22] {
                add(page, word, 3);
            }
        }
        hide_and_show(memory);
        // The original is this process' own for as long as it runs.
        let file = std::fs::File::create_new(path(&folder)).unwrap();
        let bytes = std::fs::read(&origin).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let mut records = vec![4096];
        loop {
            let at = *records.last().unwrap();
            match u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) {
                0 => break,
                length => records.push(at + 8 + length as usize),
            }
        }
        let head = bytes[..records.last().unwrap() + 16].to_vec();
        let mut small = Self {
            folder,
            file,
            head,
            records,
            readings: Vec::new(),
        };
        let ends = small.records.clone();
        let readings = ends.iter().map(|end| small.with(*end, &[0; 4]).unwrap());
        small.readings = readings.collect();
        small
    }

    /// What is read with other bytes at a place, where there are the old ones again afterwards.
    fn with(&self, at: usize, bytes: &[u8]) -> Result<Reading, MemoryError> {
        self.file.write_all_at(bytes, at as u64).unwrap();
        let reading = read(&path(&self.folder));
        let old = &self.head[at..at + bytes.len()];
        self.file.write_all_at(old, at as u64).unwrap();
        reading
    }
}

/// A family with native buckets and a series with two chunks.
fn describe_native(memory: Memory) {
    memory.append(&family("wait_seconds", Kind::Histogram, &[1.0]));
    memory.append(&Record::Native {
        family: 2,
        schema: 3,
        zero_threshold: 0.0,
    });
    memory.append(&series(2, 0, "buy"));
    for (first, side, index) in [(20, Side::Positive, 1), (23, Side::Negative, 5)] {
        let cell = |more, bucket| Cell {
            index: index + more,
            bucket,
        };
        let cells = vec![cell(0, 0), cell(1, 1)];
        memory.append(&Record::Chunk {
            series: 3,
            block: 0,
            first,
            side,
            cells,
        });
    }
}

/// A counter and the native histogram are hidden, and one of them is shown again; another counter is gone.
fn hide_and_show(memory: Memory) {
    memory.append(&Record::Hidden {
        series: 0,
        words: vec![6],
    });
    memory.append(&Record::Held {
        series: 3,
        block: 0,
        first: 20,
        words: vec![0, 6, 4],
    });
    for series in [3, 0] {
        let words = vec![4; usize::from(series == 0)];
        memory.append(&Record::Hidden { series, words });
    }
    memory.append(&Record::Shown {
        series: 0,
        began: 2000,
    });
    memory.append(&Record::Gone { series: 1 });
}

#[test]
fn native_buckets_are_hidden_all_at_once() {
    let small = Small::new();
    let positive = |records: usize| {
        let reading = &small.readings[records];
        let mut families = reading.families.iter();
        let wait = families.find(|family| family.name == "wait_seconds")?;
        let native = wait.series[0].native.clone().unwrap();
        let Value::Histogram { buckets, .. } = &wait.series[0].value else {
            panic!("{wait:?}");
        };
        assert_eq!(native.positive.values().sum::<u64>(), buckets.iter().sum());
        assert_eq!((native.schema, native.zero_count), (3, 0));
        assert!(native.negative.is_empty());
        Some(native.positive.into_iter().collect::<Vec<_>>())
    };
    let all = small.records.len() - 1;
    let mut changes: Vec<_> = (0..=all).map(positive).collect();
    changes.dedup();
    // Nothing, then cells that hold 3 in each of two pages, and what is above the 6 and the 4 that they were hidden with.
    let held = |cells: &[(i32, u64)]| Some(cells.to_vec());
    assert_eq!(
        changes,
        [
            None,
            held(&[]),
            held(&[(1, 3), (2, 3)]),
            held(&[(1, 6), (2, 6)]),
            held(&[(2, 2)]),
        ]
    );
}

/// A kill leaves a prefix of what a writer writes, with the first eight bytes of a record last; a disk or another program leaves anything.
#[test]
fn every_torn_or_flipped_byte_is_refused_or_ends_what_is_read() {
    let small = Small::new();
    let directory = small.records[0]..*small.records.last().unwrap() + 8;
    for at in (0..64).chain(directory) {
        let old = small.head[at];
        for byte in [old ^ 0xff, old ^ 1, old ^ 0x80, 0, 0xff] {
            match small.with(at, &[byte]) {
                // A length of 0 is an end, and where it was none before, what lies before it is whole.
                Ok(reading) => assert!(
                    small.readings.contains(&reading),
                    "byte {at} is {byte}, and was {old}"
                ),
                Err(
                    MemoryError::Corrupt { .. }
                    | MemoryError::Foreign { .. }
                    | MemoryError::Version { .. },
                ) => {}
                Err(error) => panic!("byte {at} is {byte}, and was {old}: {error}"),
            }
        }
    }
    let starts = small.records.windows(2);
    for (whole, record) in starts.enumerate() {
        let (start, end) = (record[0], record[1]);
        // The payload comes first, then the frame.
        for written in start + 8..=end {
            let unwritten = vec![0; end - written];
            let torn = [&[0; 8], &small.head[start + 8..written], &unwritten].concat();
            let reading = small.with(start, &torn).unwrap();
            assert_eq!(
                reading, small.readings[whole],
                "{written} of {start}..{end}"
            );
        }
        for written in 1..8 {
            let torn = [&small.head[start..start + written], &[0; 8][written..]].concat();
            let refused = small.with(start, &torn).unwrap_err();
            assert!(matches!(refused, MemoryError::Corrupt { .. }), "{refused}");
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_is_refused_until_it_has_what_its_directory_names() {
    let small = Small::new();
    // The header, a directory of 512 KiB, and two pages.
    let pages = 4096 + (512 << 10);
    let ends = (0..=48).map(|step| pages + step * 256);
    for end in (0..small.head.len() as u64).chain(ends).rev() {
        small.file.set_len(end).unwrap();
        match read(&path(&small.folder)) {
            Ok(reading) => {
                assert!(end >= pages + 2 * 4096, "{end}");
                assert_eq!(&reading, small.readings.last().unwrap());
            }
            Err(MemoryError::Truncated { .. }) => assert!((16..pages + 2 * 4096).contains(&end)),
            Err(MemoryError::Foreign { .. }) => assert!(end < 16, "{end}"),
            Err(error) => panic!("{end}: {error}"),
        }
    }
}

/// Makes the check sums right, so that what is behind them is read.
fn heal(bytes: &mut [u8]) {
    let sum = crc32fast::hash(&bytes[..48]);
    bytes[48..52].copy_from_slice(&sum.to_le_bytes());
    let mut at = 4096;
    while at + 8 < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let Some(payload) = bytes
            .get(at + 8..at + 8 + length)
            .filter(|payload| !payload.is_empty())
        else {
            return;
        };
        let sum = crc32fast::hash(payload);
        bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        at += 8 + length;
    }
}

/// A file system of 1 MiB in memory, which only root can mount.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Files of this process stay mapped, so it goes with the last of them.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Where nobody may mount, the test of a file's own limit is all there is.
#[test]
fn a_tmpfs_that_another_process_fills_ends_growth_and_not_the_process() {
    let Some(tmpfs) = Tmpfs::mount() else {
        eprintln!("left out: this needs the right to mount a tmpfs");
        return;
    };
    let memory = Memory::create(&path(&tmpfs.0), Options::default()).unwrap();
    describe(memory);
    let mut pages: Vec<_> = memory.page(0).into_iter().collect();
    assert_eq!(pages.len(), 1);
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k"])
        .arg(format!("of={}", tmpfs.0.path().join("other").display()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!filled.success(), "dd stops where there is no memory left");
    while let Some(page) = memory.page(0) {
        pages.push(page);
    }
    for page in &pages {
        add(page, 0, 1);
    }
    let why = memory.incomplete().unwrap();
    assert!(why.contains("No space left"), "{why}");
    let reading = read(&path(&tmpfs.0)).unwrap();
    assert!(!reading.is_complete);
    let recorded = counter(pages.len() as u64);
    assert_eq!(values(&reading, "orders_total")[0], recorded);
    // Where there is nothing left to begin with, the error says so, and nothing stays behind.
    let other = tmpfs.0.path().join("second.obs");
    let refused = Memory::create(&other, Options::default()).unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert!(!other.exists());
}
