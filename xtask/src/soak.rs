//! `cargo xtask soak`: records at full speed while being scraped, and says which promises were kept.

use std::os::unix::process::CommandExt;

use crate::error::Error;
use crate::shell;

/// Record at full speed to 10,000 series while being scraped ten times a second
///
/// Builds for release, and exits 1 naming every promise of docs/RELIABILITY.md under "Recording under load" that was not kept.
/// Takes `--seconds N` (60 unless told) and `--json`; Ctrl-C ends it early, with the figures so far.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Soak {
    /// Arguments of the soak.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Soak {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let package = ["run", "--release", "--package", "obs-tests"];
        let mut soak = shell::cargo(package);
        soak.args(["--bin", "soak", "--"]).args(&self.arguments);
        eprintln!("building and running the soak: {}", shell::shown(&soak));
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&soak)(soak.exec()))
    }
}
