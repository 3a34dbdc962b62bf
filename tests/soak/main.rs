//! The soak: two threads record at full speed to 10,000 series while a scraper reads ten times a second. Run by
//! `cargo xtask soak`, which builds it for release, and in short by the test beside it.
//!
//! It is two processes, as in life. The one under load records to its series ([`series`]) behind the exporter and keeps an account
//! of its own ([`load`]). The one that is started scrapes it ([`scraper`]), looks at what comes ([`check`]), watches its memory
//! ([`memory`]), and says which promises were kept ([`report`]). With `--mapped` it then kills the process, and reads its file ([`mod@file`]).

mod check;
mod file;
mod load;
mod memory;
mod report;
mod scraper;
mod series;

use std::error::Error;
use std::io::IsTerminal;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use obs_tests::Process;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::check::Form;
use crate::memory::Memory;
use crate::report::Report;
use crate::scraper::Scraper;

/// How often the scraper reads.
const INTERVAL: Duration = Duration::from_millis(100);
/// Every so many scrapes one is asked for as `OpenMetrics`.
const OPEN_EVERY: usize = 7;

/// Memory that processes share, which is all that is mapped.
const TMPFS: &str = "/dev/shm";

/// Makes glibc's allocator give large blocks back at once. Otherwise it learns to keep them, so that what is in RAM is not what the
/// process holds, and steps of a scrape's size come and go.
const GIVE_BACK: [(&str, &str); 2] = [
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

#[derive(Parser)]
#[command(name = "soak", about = "Record at full speed while being scraped")]
#[expect(clippy::struct_excessive_bools, reason = "one for each option")]
struct Arguments {
    /// How long to record; Ctrl-C ends it early, with the figures so far
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,
    /// Have native histograms beside the declared buckets, which are then sums of the same cells
    #[arg(long)]
    native_histograms: bool,
    /// Have everything in a mapped file, which is read once the process is killed
    #[arg(long)]
    mapped: bool,
    /// Be the process that is put under load
    #[arg(long, hide = true)]
    load: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.load {
        load::run(arguments.native_histograms).await.map(|()| true)
    } else {
        soak(&arguments).await
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // What was not kept has been told.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Soaks, and prints what was seen; whether every promise was kept.
async fn soak(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut load = Command::new(std::env::current_exe()?);
    load.arg("--load").envs(GIVE_BACK);
    if arguments.native_histograms {
        load.arg("--native-histograms");
    }
    let folder = arguments.mapped.then(|| tempfile::tempdir_in(TMPFS));
    let folder = folder.transpose()?;
    let file = folder.as_ref().map(|folder| folder.path().join("soak.obs"));
    load.envs(file.as_ref().map(|path| (load::FILE, path)));
    let mut loaded = Process::start(&mut load)?;
    let url = loaded.wait_for("where its metrics are", |line| {
        line.strip_prefix(load::METRICS).map(str::to_owned)
    })?;
    if !arguments.json {
        println!(
            "recording for {} s to what {url} serves; Ctrl-C ends it early",
            arguments.seconds
        );
    }

    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut scraper, mut memory) = (Scraper::start(&url)?, Memory::of(loaded.id()));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(arguments.seconds) {
        tokio::select! {
            biased;
            _ = interrupts.recv() => break,
            _ = ticks.tick() => {}
        }
        // Between two scrapes the process holds nothing for one.
        memory.sample(start.elapsed())?;
        let is_open = scraper.scrapes().is_multiple_of(OPEN_EVERY);
        scraper.scrape(if is_open {
            Form::OpenMetrics
        } else {
            Form::Classic
        })?;
    }
    let took = start.elapsed();

    loaded.ask_to_stop()?;
    let recorded = loaded.wait_for("what it recorded", |line| {
        line.strip_prefix(load::RECORDED).map(serde_json::from_str)
    })??;
    let seen = scraper.end(&recorded)?;

    // It is killed: what it has recorded is in the file as it left it.
    drop(loaded);
    let lost = file.map(|path| file::lost(&path, &recorded)).transpose()?;

    let report = Report::new(took, &recorded, &seen, &memory, lost.as_ref());
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else if std::io::stdout().is_terminal() {
        println!("{}", report.table());
    } else {
        println!("{}", report.lines());
    }
    for promise in report.broken() {
        eprintln!("not kept: {promise}");
    }
    Ok(report.broken().next().is_none())
}
