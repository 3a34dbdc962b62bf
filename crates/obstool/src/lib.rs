//! `obstool`: checks, draws and watches what any service measures.

mod client;
mod duration;
mod error;
mod place;
mod service;
#[cfg(feature = "top")]
pub mod top;

pub use crate::client::{Access, Failure};
pub use crate::error::Error;
pub use crate::place::Place;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Check, draw and watch what a service measures.
#[derive(Parser)]
#[command(name = "obstool", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "top")]
    Top(top::Top),
}

/// Runs the program with the arguments it was called with.
#[must_use]
pub fn main(_catalogues: &[obs_core::Catalogue]) -> ExitCode {
    let done = match Arguments::parse().command {
        #[cfg(feature = "top")]
        Command::Top(top) => top.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
