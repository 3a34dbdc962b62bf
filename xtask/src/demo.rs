//! `cargo xtask demo`: builds and runs the trading desk.

use std::os::unix::process::CommandExt;

use crate::error::Error;
use crate::shell;

/// Build and run the sample trading desk on real prices; stop it with Ctrl-C
///
/// With `--once` it exits after the replay and prints a table of what the metrics say. Everything else is handed to the
/// desk: `cargo xtask demo --help` lists what it takes.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Demo {
    /// Arguments of the desk.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Demo {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        // The development profile on purpose: this program was built with it from the same crates, so that only the desk
        // itself is left to build, and the first figure is on the screen soonest.
        let mut desk = shell::cargo(["run", "--package", "trading-desk", "--"]);
        desk.args(&self.arguments);
        eprintln!(
            "building and running the trading desk: {}",
            shell::shown(&desk)
        );
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&desk)(desk.exec()))
    }
}
