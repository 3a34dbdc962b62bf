//! `cargo xtask soak`: records at full speed while being scraped, and says which promises were kept.

use std::os::unix::process::CommandExt;

use crate::error::Error;
use crate::shell;

/// Record at full speed to 10,000 series while being scraped ten times a second
///
/// Builds for release, and exits 1 naming every promise of docs/RELIABILITY.md under "Recording under load" that was not kept.
/// Ctrl-C ends it early, with the figures so far.
#[derive(clap::Args)]
pub(crate) struct Soak {
    /// How long to record
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,
    /// Have native histograms beside the declared buckets
    #[arg(long)]
    native_histograms: bool,
    /// Record to a mapped file (`OBS_MEMORY`), which is read once the process is killed; on Linux
    #[arg(long)]
    mapped: bool,
}

impl Soak {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let package = ["run", "--release", "--package", "obs-tests"];
        let mut soak = shell::cargo(package);
        soak.args(["--bin", "soak", "--", "--seconds"])
            .arg(self.seconds.to_string());
        if self.json {
            soak.arg("--json");
        }
        if self.native_histograms {
            soak.arg("--native-histograms");
        }
        if self.mapped {
            soak.arg("--mapped");
        }
        eprintln!("building and running the soak: {}", shell::shown(&soak));
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&soak)(soak.exec()))
    }
}
