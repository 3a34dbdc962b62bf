//! `cargo xtask demo`: builds and runs the trading desk.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::error::Error;
use crate::shell;

/// Build and run the sample trading desk on real prices; stop it with Ctrl-C
///
/// Its live page is at <http://127.0.0.1:9464/>, and it trades ten days a second, so that there is something to see on it, unless
/// `--pace` says otherwise. After twenty years it begins anew. With `OBS_MEMORY` an agent shows it from outside, also while it hangs and
/// when it is dead; a line says how. With `--once` it replays as fast as it can, prints a table of what the metrics say, and exits.
/// Everything else is handed to the desk: `cargo xtask demo --help` lists what it takes.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Demo {
    /// Arguments of the desk.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The variable that names the file of the desk's numbers.
const MEMORY: &str = "OBS_MEMORY";

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
        if self.is_watched() {
            eprintln!("{}", from_outside(std::env::var_os(MEMORY).as_deref()));
        }
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&desk)(desk.exec()))
    }
}

/// What shows the desk also while it hangs and when it is dead, by the file of its numbers, or how it gets one.
fn from_outside(file: Option<&OsStr>) -> String {
    const AGENT: &str = "cargo run --package obstool -- agent";
    let Some(file) = file.map(Path::new) else {
        return format!(
            "to see it from outside, too: {MEMORY}=/dev/shm/desk.obs cargo xtask demo, and beside it {AGENT} /dev/shm"
        );
    };
    // The folder, since the name may have the number of the process in it, and a restart leaves a file of another.
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).display();
    format!("to see it from outside, at http://127.0.0.1:9466/: {AGENT} {folder}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_reads_the_folder_of_the_file() {
        let folder = |file| {
            let said = from_outside(Some(OsStr::new(file)));
            said.split_once(" agent ").unwrap().1.to_owned()
        };
        assert_eq!(folder("/dev/shm/desk@{pid}.obs"), "/dev/shm");
        assert_eq!(folder("desk.obs"), ".");
        assert!(
            from_outside(None).starts_with("to see it from outside, too: OBS_MEMORY=/dev/shm/")
        );
    }
}
