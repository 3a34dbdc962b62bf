//! `cargo xtask ci`: what has to hold besides the tests.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};

use crate::api::Api;
use crate::deny::Deny;
use crate::error::Error;
use crate::gate::Gate;
use crate::minimal::Minimal;
use crate::package::Package;
use crate::shell::{cargo, not_run, run, shown};
use crate::steps::Steps;
use crate::verify_metrics::VerifyMetrics;

/// Check formatting, lints, documentation, the generated reference, the metrics of a running desk, what recording costs,
/// features, public items, dependencies and packages
///
/// Features are checked beside all the rest, and reported at the end, with how long each step took.
#[derive(clap::Args)]
pub(crate) struct Ci {}

/// What a step does; whether it passed.
type Check = fn() -> Result<bool, Error>;

impl Ci {
    /// Whether all passed. It goes through all steps whatever fails: one run is to tell all there is to repair.
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> bool {
        let mut docs = cargo(["doc", "--workspace", "--no-deps"]);
        docs.env("RUSTDOCFLAGS", "-D warnings");
        let commands = [
            cargo(["fmt", "--all", "--check"]),
            cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                // What is compiled for `cargo xtask bench` and `cargo xtask test --peers` only.
                "--features",
                "obs-benches/peers,obs-tests/peers",
                "--",
                "-D",
                "warnings",
            ]),
            docs,
        ];
        // It checks one crate at a time, which keeps one processor busy.
        let features = Beside::start("features");
        let mut steps = Steps::default();
        let mut passed = true;
        for mut command in commands {
            passed &= step(&mut steps, &shown(&command), || {
                run(&mut command).map(|()| true)
            });
        }
        let rest: [(&str, Check); 5] = [
            // It checks the generated reference too.
            ("verify-metrics", || VerifyMetrics::default().run()),
            ("gate", || Gate::default().run()),
            ("minimal", || (Minimal {}).run()),
            ("api", || Api::default().run()),
            ("deny", || Deny::default().run()),
        ];
        for (name, command) in rest {
            passed &= step(&mut steps, &format!("cargo xtask {name}"), command);
        }
        passed &= step(
            &mut steps,
            "cargo xtask features, what was left of it",
            || features?.end(),
        );
        // It takes what the former has compiled.
        passed &= step(&mut steps, "cargo xtask package", || (Package {}).run());
        println!("{steps}");
        passed
    }
}

/// Whether a step passed; says why not, if that was not said yet.
fn step(steps: &mut Steps, name: &str, step: impl FnOnce() -> Result<bool, Error>) -> bool {
    eprintln!("\n{name}");
    steps.timed(name, step).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        false
    })
}

/// A command of this program that runs beside the others. What it prints is kept until its end.
struct Beside {
    command: Command,
    process: Child,
    printed: File,
}

impl Beside {
    fn start(name: &str) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "xtask".into()));
        command.arg(name).stdin(Stdio::null());
        let not_run = not_run(&command);
        let started = tempfile::tempfile().and_then(|printed| {
            command
                .stdout(printed.try_clone()?)
                .stderr(printed.try_clone()?);
            Ok((command.spawn()?, printed))
        });
        let (process, printed) = started.map_err(not_run)?;
        Ok(Self {
            command,
            process,
            printed,
        })
    }

    /// Waits for its end, and shows what it printed. Whether it passed.
    fn end(mut self) -> Result<bool, Error> {
        let not_run = not_run(&self.command);
        let mut said = Vec::new();
        let status = self.process.wait().and_then(|status| {
            self.printed.rewind()?;
            self.printed.read_to_end(&mut said)?;
            Ok(status)
        });
        let status = status.map_err(not_run)?;
        eprint!("{}", String::from_utf8_lossy(&said));
        Ok(status.success())
    }
}
