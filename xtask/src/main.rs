//! The workspace's commands, one file each: `cargo xtask bench | gate | weight | demo | top | stack | soak | fleet | test | verify-metrics | gen | features | minimal | deny | package | api | ci`.

mod api;
mod bench;
mod catalogue;
mod ci;
#[cfg(test)]
mod dashboards;
mod demo;
mod deny;
mod deployed;
mod error;
mod features;
mod fleet;
mod gate;
mod generate;
mod members;
mod minimal;
mod package;
mod shell;
mod soak;
mod stack;
mod steps;
mod test;
mod tool;
mod verify_metrics;
mod weight;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Run, test and check the workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Api(api::Api),
    Bench(bench::Bench),
    Gate(gate::Gate),
    Demo(demo::Demo),
    Stack(stack::Stack),
    Soak(soak::Soak),
    Fleet(fleet::Fleet),
    Test(test::Test),
    Top(Box<obstool::top::Top>),
    VerifyMetrics(verify_metrics::VerifyMetrics),
    Weight(weight::Weight),
    Gen(generate::Gen),
    Features(features::Features),
    Deny(deny::Deny),
    Package(package::Package),
    Minimal(minimal::Minimal),
    Ci(ci::Ci),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Task::Api(api) => api.run(),
        Task::Bench(bench) => bench.run(),
        Task::Gate(gate) => gate.run(),
        Task::Demo(demo) => demo.run(),
        Task::Stack(stack) => stack.run(),
        Task::Soak(soak) => soak.run(),
        Task::Fleet(fleet) => fleet.run(),
        Task::Test(test) => test.run(),
        Task::Top(top) => top.run().map_err(Error::from),
        Task::VerifyMetrics(verify) => verify.run(),
        Task::Weight(weight) => weight.run(),
        Task::Gen(generate) => generate.run(),
        Task::Features(features) => features.run(),
        Task::Deny(deny) => deny.run(),
        Task::Package(package) => package.run(),
        Task::Minimal(minimal) => minimal.run(),
        Task::Ci(ci) => Ok(ci.run()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // What fell short has been told.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
