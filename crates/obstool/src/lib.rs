//! `obstool`: checks, draws and watches what any service measures.

#[cfg(unix)]
mod agent;
mod client;
mod diff;
mod duration;
mod error;
mod generate;
mod place;
mod prometheus;
#[cfg(any(unix, feature = "top"))]
mod serve;
mod service;
#[cfg(feature = "top")]
pub mod top;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use obs_core::Catalogue;
use obs_verify::Catalog;

#[cfg(unix)]
pub use crate::agent::families::{
    AgentMetrics, ProcessMetrics, ProcessName, ReceiverName, catalogue as agent_catalogue,
};
pub use crate::client::{Access, Failure};
pub use crate::diff::Diff;
pub use crate::error::Error;
pub use crate::generate::Gen;
pub use crate::place::Place;
pub use crate::verify::Verify;

/// Check, draw and watch what a service measures.
#[derive(Parser)]
#[command(name = "obstool", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(alias = "verify-metrics")]
    Verify(Verify),
    Gen(Gen),
    Diff(Diff),
    #[cfg(unix)]
    Agent(agent::Agent),
    #[cfg(feature = "top")]
    Top(top::Top),
    #[cfg(feature = "top")]
    Page(top::Page),
}

/// Runs the program with the arguments it was called with. The catalogues are those of the program that calls this, which `verify`
/// and `gen` then know without being given one; the program `obstool` has none.
///
/// The exit status is 0 when nothing has to be repaired, 1 when something has, and 2 when it could not look.
#[must_use]
pub fn main(catalogues: &[Catalogue]) -> ExitCode {
    match run(Arguments::parse().command, catalogues) {
        Ok(true) => ExitCode::SUCCESS,
        // What was found has been said.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command, catalogues: &[Catalogue]) -> Result<bool, Error> {
    let own = own(catalogues)?;
    match command {
        Command::Verify(verify) => verify.run(own.as_ref()),
        Command::Gen(generate) => generate.run(own.as_ref()),
        Command::Diff(diff) => diff.run(),
        #[cfg(unix)]
        Command::Agent(agent) => agent.run(),
        #[cfg(feature = "top")]
        Command::Top(top) => top.run(),
        #[cfg(feature = "top")]
        Command::Page(page) => page.run(),
    }
}

/// The catalogue of the program itself, if it has one.
fn own(catalogues: &[Catalogue]) -> Result<Option<Catalog>, Error> {
    if catalogues.is_empty() {
        return Ok(None);
    }
    let joined = Catalogue::join(catalogues.iter().cloned())?;
    Ok(Some(Catalog::from(&joined)))
}
