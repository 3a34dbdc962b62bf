//! Subcommands of cargo that are no part of it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::shell::{self, cargo, run};

/// A program that cargo calls as a subcommand.
pub(crate) struct Tool {
    /// Its crate and its program: `cargo-hack`.
    pub(crate) name: &'static str,
    /// The version that is installed where there is none.
    pub(crate) version: &'static str,
}

impl Tool {
    /// The program with its subcommand, in the workspace. Where it is not on the `PATH`, it is built once under
    /// `target/test-tools`.
    pub(crate) fn command<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Command, Error> {
        let mut command = Command::new(self.program()?);
        command
            .arg(self.name.trim_start_matches("cargo-"))
            .args(arguments)
            .current_dir(obs_tests::tools::workspace());
        obs_tests::without_package(&mut command);
        Ok(command)
    }

    fn program(&self) -> Result<PathBuf, Error> {
        if answers(self.name) {
            return Ok(self.name.into());
        }
        let folder = format!("target/test-tools/{}-{}", self.name, self.version);
        let program = obs_tests::tools::workspace()
            .join(&folder)
            .join("bin")
            .join(self.name);
        if !program.is_file() {
            // They run for seconds: a release would take several times longer to build than that saves.
            let version = ["install", "--debug", "--locked", "--version", self.version];
            let mut install = cargo(version);
            install
                .args(["--root", &folder, self.name])
                .env("CARGO_PROFILE_DEV_DEBUG", "none");
            eprintln!("{}", shell::shown(&install));
            run(&mut install)?;
        }
        Ok(program)
    }
}

/// Whether the program is on the `PATH`.
fn answers(name: &str) -> bool {
    let mut command = Command::new(name);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
