//! `cargo xtask fleet`: many simulated desks, with agents and storages that fail.

use std::os::unix::process::CommandExt;

use obs_tests::tools::{self, Generation};

use crate::error::Error;
use crate::shell;

/// Watch many simulated desks with agents and storages, while desks come and go and storages fail
///
/// A sample desk is asked once, and one process says what it said, as so many desks that change. Two vmagents before two
/// `VictoriaMetrics` that both have everything, and two Prometheus agents before a Prometheus, divide the desks among each other. A
/// storage of each way is killed for a minute, an agent of each is restarted, and one desk goes and another comes every 20 s. It
/// exits 1 naming every promise that was not kept, and says what each server took. The servers are the current releases where Go is
/// installed, and else Debian's. Ctrl-C or SIGTERM ends it early, with all that it started.
#[derive(clap::Args)]
pub(crate) struct Fleet {
    /// How many desks there are at a time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(2..=5_000))]
    desks: u16,
    /// How long they are watched
    #[arg(long, default_value_t = 15.0)]
    minutes: f64,
    /// How many series a desk has at most; what the sample desk has more is left out evenly
    #[arg(long, default_value_t = 1_250)]
    series: usize,
    /// Print one JSON object, on one line
    #[arg(long)]
    json: bool,
}

impl Fleet {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let generation = match tools::install_current() {
            Ok(()) => "current",
            Err(reason) => {
                eprintln!("Debian's releases of the servers are asked: {reason}");
                tools::install_fleet()?;
                "debian"
            }
        };
        let mut fleet = shell::cargo(["run", "--package", "obs-tests", "--bin", "fleet", "--"]);
        fleet
            .env(Generation::VARIABLE, generation)
            .args(["--desks", &self.desks.to_string()])
            .args(["--minutes", &self.minutes.to_string()])
            .args(["--series", &self.series.to_string()]);
        if self.json {
            fleet.arg("--json");
        }
        eprintln!("building and running the fleet: {}", shell::shown(&fleet));
        // It takes this process' place, and with it the terminal, Ctrl-C and the exit code. Only a failure comes back.
        Err(shell::not_run(&fleet)(fleet.exec()))
    }
}
