//! `cargo xtask demo`: builds and runs the trading desk.

use std::os::unix::process::CommandExt;

use crate::error::Error;
use crate::shell;

/// Build and run the sample trading desk on real prices; stop it with Ctrl-C
///
/// Its live page is at <http://127.0.0.1:9464/>, and it trades ten days a second, so that there is something to see on it, unless
/// `--pace` says otherwise. After twenty years it begins anew. With `--once` it replays as fast as it can, prints a table of what the metrics say, and exits.
/// Everything else is handed to the desk: `cargo xtask demo --help` lists what it takes.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Demo {
    /// Arguments of the desk.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// How long a day takes while somebody watches: all twenty years take eight minutes.
const PACE: &str = "100ms";

impl Demo {
    /// Whether the desk is to trade so slowly that it can be watched.
    fn is_watched(&self) -> bool {
        let settled = ["--once", "--pace", "--help", "-h", "--version", "-V"];
        let settles = |argument: &String| {
            let option = argument.split('=').next().unwrap_or_default();
            settled.contains(&option)
        };
        !self.arguments.iter().any(settles)
    }

    pub(crate) fn run(&self) -> Result<bool, Error> {
        // The development profile on purpose: this program was built with it from the same crates, so that only the desk
        // itself is left to build, and the first figure is on the screen soonest.
        let mut desk = shell::cargo(["run", "--package", "trading-desk", "--"]);
        desk.args(&self.arguments);
        if self.is_watched() {
            desk.args(["--pace", PACE]);
        }
        eprintln!(
            "building and running the trading desk: {}",
            shell::shown(&desk)
        );
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&desk)(desk.exec()))
    }
}
