//! What is saved survives a process that is killed while it saves, and a disk that takes no more.
//!
//! The tests that need a process to kill, or a disk of their own, run themselves again as a child.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Error, Ledger, LedgerState,
    Money, PeriodsPerYear, StateFile, Valuation,
};

const KILLS: u64 = 500;

/// Where a child finds what it works on.
const FOLDER: &str = "TEST_FOLDER";
/// The seed of a run that is to be repeated.
const SEED: &str = "TEST_SEED";
/// The word before the number of a save that a child has made.
const SAVED: &str = "saved ";
/// The words before the error of a save that failed.
const FAILS: &str = "saving fails: ";

fn usd(amount: f64) -> Money {
    Money::new(amount, Currency::USD)
}

fn conventions() -> Conventions {
    Conventions::new(
        Basis::PeriodReturns,
        Valuation::ClosedTrades,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap()
}

fn file(folder: &Path) -> StateFile<LedgerState> {
    StateFile::new(folder.join("book.state"), "ledger", 1)
}

/// The trade of a number, so that any process can book the same ones: a few hours after the one before, sometimes lost.
fn book(ledger: &mut Ledger, number: u64) {
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(7 * number.cast_signed());
    let pnl = (number * 37 % 101) as f64 / 3.0 - 12.0;
    let id = number.to_string();
    ledger
        .trade_closed(&ClosedTrade::new(at, usd(pnl)).with_id(&id))
        .unwrap();
}

/// `SplitMix64`, for delays nobody thought of and anybody can repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

fn seed() -> u64 {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(now.unwrap().as_nanos() % 1_000_000_007).unwrap()
    })
}

/// This program again, for one of its tests alone.
fn again(test: &str) -> [std::ffi::OsString; 4] {
    let this = std::env::current_exe().unwrap().into_os_string();
    [
        this,
        "--exact".into(),
        test.into(),
        // What it prints is not to be kept until it ends.
        "--nocapture".into(),
    ]
}

/// Killed with its owner.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The moment of the kill is drawn: after so many saves were reported, and so long after that, up to the time of one and a half.
#[test]
fn a_process_killed_while_it_saves_loses_at_most_the_last_save() {
    const NAME: &str = "a_process_killed_while_it_saves_loses_at_most_the_last_save";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return book_and_save(Path::new(&folder));
    }
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let seed = seed();
    let mut random = Random(seed);
    // What the file has to hold after so many saves.
    let mut expected = Ledger::new(conventions(), usd(10_000.0)).unwrap();
    let (mut known, mut within, mut unreported) = (0, 0, 0);
    let mut saving = 2_000_000;
    for round in 0..KILLS {
        let (acknowledged, each) = kill(
            folder.path(),
            NAME,
            1 + random.below(2),
            random.below(saving + saving / 2),
        );
        saving = each.unwrap_or(saving);
        within += u64::from(folder.path().join("book.state.new").exists());

        let found = file(folder.path()).load();
        let found = found.unwrap_or_else(|error| panic!("round {round}, {SEED}={seed}: {error}"));
        let found = found.unwrap_or_else(|| panic!("round {round}, {SEED}={seed}: no file"));
        while known < acknowledged {
            known += 1;
            book(&mut expected, known);
        }
        if found != expected.save() {
            // One more save came to its end than was reported.
            known += 1;
            unreported += 1;
            book(&mut expected, known);
            assert!(
                found == expected.save(),
                "round {round}, {SEED}={seed}: the file holds neither {acknowledged} nor {known} saves"
            );
        }
        Ledger::restore(conventions(), found).unwrap();
    }
    println!(
        "{KILLS} kills in {:.1?}, {SEED}={seed}: {known} saves, {within} kills while a file was being written, \
         {unreported} after a save that was not reported yet; every restore valid, none lost more than the last save",
        started.elapsed()
    );
    assert!(within > 0, "no kill met a save");
}

/// Books one trade after another, and says which was saved.
fn book_and_save(folder: &Path) {
    let file = file(folder);
    let mut ledger = match file.load().unwrap() {
        Some(saved) => Ledger::restore(conventions(), saved).unwrap(),
        None => Ledger::new(conventions(), usd(10_000.0)).unwrap(),
    };
    let mut out = std::io::stdout();
    for number in 1 + ledger.trades(obs_trading::Period::Total).. {
        book(&mut ledger, number);
        file.save(&ledger.save()).unwrap();
        writeln!(out, "{SAVED}{number}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts a child that saves, and kills it some nanoseconds after it has reported this many saves. The last save it has
/// reported, and how long one took.
fn kill(folder: &Path, test: &str, saves: u64, after: u64) -> (u64, Option<u64>) {
    let [program, arguments @ ..] = again(test);
    let child = Command::new(program)
        .args(arguments)
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let output = child.0.stdout.take().unwrap();
    let reported = BufReader::new(output).lines().map_while(Result::ok);
    let mut reported = reported.filter_map(|line| line.strip_prefix(SAVED)?.parse::<u64>().ok());
    let mut last = reported.next().expect("a first save");
    let first = Instant::now();
    for _ in 1..saves {
        last = reported.next().expect("another save");
    }
    let reading = first.elapsed();
    let end = Instant::now();
    while end.elapsed().as_nanos() < after.into() {
        std::hint::spin_loop();
    }
    child.0.kill().unwrap();
    assert_eq!(child.0.wait().unwrap().signal(), Some(9));
    // What was in the pipe was reported before the kill.
    last = reported.last().unwrap_or(last);
    let each = u64::try_from(reading.as_nanos())
        .unwrap()
        .checked_div(saves - 1);
    (last, each)
}

/// How often saving or loading failed with this.
fn errors(test: &TestRecorder, error_type: &str) -> Option<u64> {
    let labels = [
        ("component", "state_file"),
        ("error_type", error_type),
        ("severity", "critical"),
    ];
    test.counter("errors_total", &labels)
}

/// A desk that saves its account after every trade.
struct Desk {
    test: TestRecorder,
    account: Account,
    file: StateFile<LedgerState>,
    trades: i64,
}

impl Desk {
    fn new(folder: &Path) -> Self {
        let test = TestRecorder::new();
        let account = test.run(|| Account::new("main", conventions(), usd(10_000.0)).unwrap());
        Self {
            account,
            file: test.run(|| file(folder)),
            test,
            trades: 0,
        }
    }

    /// Books a trade, which always works, and saves, which may not.
    fn trade(&mut self) -> Result<(), Error> {
        self.trades += 1;
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.trades);
        let trade = ClosedTrade::new(at, usd(1.0));
        self.account.trade_closed(&trade).unwrap();
        let value = [("account", "main"), ("currency", "USD")];
        let value = self.test.gauge("portfolio_value", &value).unwrap();
        assert!(
            (value - 10_000.0 - self.trades as f64).abs() < 1e-9,
            "{value}"
        );
        self.file.save(&self.account.save())
    }

    /// Trades on while saving fails with this, and the file holds what it held.
    fn fails(&mut self, kind: ErrorKind, error_type: &str) {
        let held = self.file.load().unwrap();
        let before = errors(&self.test, error_type).expect("counted from 0 on");
        for _ in 0..3 {
            let error = self.trade().unwrap_err();
            let Error::StateIo { source, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(source.kind(), kind, "{error}");
            assert!(error.to_string().contains("book.state"), "{error}");
            println!("{FAILS}{error}");
        }
        assert_eq!(errors(&self.test, error_type), Some(before + 3));
        assert_eq!(self.file.load().unwrap(), held);
    }

    /// Saving works, and leaves nothing else behind.
    fn saves(&mut self) {
        self.trade().unwrap();
        assert_eq!(self.file.load().unwrap(), Some(self.account.save()));
        assert!(!self.file.path().with_extension("state.new").exists());
    }
}

/// A disk of 64 KiB, in a mount namespace of its own, so that nobody else sees it and it goes away with the process.
#[test]
fn a_disk_that_takes_no_more_is_told_and_counted_and_trading_goes_on() {
    const NAME: &str = "a_disk_that_takes_no_more_is_told_and_counted_and_trading_goes_on";
    if let Some(disk) = std::env::var_os(FOLDER) {
        return trade_on_a_bad_disk(&disk);
    }
    let disk = tempfile::tempdir().unwrap();
    let mut arguments = vec!["--mount"];
    // Root needs no other rights; other users are root in there.
    if !is_root() {
        arguments.extend(["--user", "--map-root-user"]);
    }
    let child = Command::new("unshare")
        .args(arguments)
        .args(again(NAME))
        .env(FOLDER, disk.path())
        .output()
        .expect("`unshare` is part of the Debian package util-linux");
    let printed = String::from_utf8_lossy(&child.stdout);
    let complained = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{printed}{complained}");
    // Without the lines of the child's own test run.
    let said = printed.lines().filter(|line| line.starts_with(FAILS));
    said.for_each(|line| println!("{line}"));
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn trade_on_a_bad_disk(folder: &OsStr) {
    let mount = |options: &str| {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder);
        let output = mount.output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complained}");
    };
    mount("size=64k");
    let mut desk = Desk::new(Path::new(folder));
    desk.saves();

    let filler = PathBuf::from(folder).join("filler");
    let mut other = fs::File::create(&filler).unwrap();
    while other.write_all(&[0; 512]).is_ok() {}
    desk.fails(ErrorKind::StorageFull, "storage_full");
    fs::remove_file(filler).unwrap();
    drop(other);
    desk.saves();

    mount("remount,ro");
    desk.fails(ErrorKind::ReadOnlyFilesystem, "read_only_filesystem");
    mount("remount,rw,size=64k");
    desk.saves();
}

/// The same where nothing may be mounted: the device that is always full stands where the new file is written.
#[test]
fn a_device_that_is_full_is_told_and_the_next_save_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(folder.path());
    desk.saves();
    let beside = folder.path().join("book.state.new");
    for _ in 0..3 {
        std::os::unix::fs::symlink("/dev/full", &beside).unwrap();
        let error = desk.trade().unwrap_err();
        assert!(
            matches!(&error, Error::StateIo { source, .. } if source.kind() == ErrorKind::StorageFull)
        );
    }
    assert_eq!(errors(&desk.test, "storage_full"), Some(3));
    desk.saves();
}

/// A folder that has gone, as when a volume is not mounted.
#[test]
fn a_folder_that_goes_and_comes_back_costs_the_saves_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let volume = folder.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let mut desk = Desk::new(&volume);
    desk.saves();
    fs::rename(&volume, folder.path().join("elsewhere")).unwrap();
    desk.fails(ErrorKind::NotFound, "not_found");
    fs::rename(folder.path().join("elsewhere"), &volume).unwrap();
    desk.saves();
}

#[test]
fn a_file_that_cannot_be_read_is_counted_too() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(folder.path());
    fs::write(desk.file.path(), "date,close\n").unwrap();
    desk.file.load().unwrap_err();
    assert_eq!(errors(&desk.test, "foreign_state"), Some(1));
    fs::write(desk.file.path(), "obs-state ledger 1 00000000 2\n{}").unwrap();
    desk.file.load().unwrap_err();
    assert_eq!(errors(&desk.test, "damaged_state"), Some(1));
}
