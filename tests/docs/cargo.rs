//! What cargo and our own commands say of a command in a document, without doing what it asks for.

use std::path::{Path, PathBuf};
use std::process::Command;

use obs_exporter::{Config, ExporterError};
use obs_tests::{built, tools};
use serde_json::Value;

/// What `cargo xtask` is.
pub(crate) fn xtask() -> PathBuf {
    built("xtask").unwrap()
}

/// The commands of ours that are done within seconds and leave nothing behind. The rest is only asked what it would take.
const FINISHING: [&str; 2] = ["gen", "verify-metrics"];
/// Asks for rates, of which a Prometheus that has just started has none. Another test has one that has.
const NEEDS_HISTORY: &str = "--prometheus";

/// The packages of the workspace and what they build.
pub(crate) struct Workspace {
    packages: Vec<Value>,
}

impl Workspace {
    pub(crate) fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .unwrap();
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self {
            packages: metadata["packages"].as_array().unwrap().clone(),
        }
    }

    /// What is wrong with `cargo` and these arguments.
    pub(crate) fn faults(&self, arguments: &[&str]) -> Result<(), String> {
        match arguments {
            // An option of its own; what else follows is cargo's.
            ["xtask", "test", "--peers"] => {
                says(Command::new(xtask()).args(["test", "--peers", "--help"]))
            }
            ["xtask", "test", rest @ ..] => self.of_cargo(&[&["test"], rest].concat()),
            ["xtask", verb, rest @ ..]
                if FINISHING.contains(verb) && !rest.contains(&NEEDS_HISTORY) =>
            {
                finishes(verb, rest)
            }
            ["xtask", rest @ ..] => says(Command::new(xtask()).args(rest).arg("--help")),
            rest => self.of_cargo(rest),
        }
    }

    /// Cargo reads its arguments in their order, so that a flag it does not know comes before the help is asked for. What
    /// names stand for, it would find out only by building.
    fn of_cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let end = arguments.iter().position(|argument| *argument == "--");
        let (ours, theirs) = arguments.split_at(end.unwrap_or(arguments.len()));
        says(toolchain_cargo().args(ours).arg("-h"))?;
        for (flag, name) in named(ours) {
            if !self.has(flag, name) {
                return Err(format!("there is no {name} for {flag}"));
            }
        }
        match (ours, theirs) {
            (["run", ..], [_, theirs @ ..]) => {
                let package = named(ours).find(|(flag, _)| is_package(flag));
                let (_, program) = package.ok_or("say which --package to run")?;
                says(
                    Command::new(self.program(program)?)
                        .args(theirs)
                        .arg("--help"),
                )
            }
            _ => Ok(()),
        }
    }

    /// Whether something in the workspace goes by this name.
    fn has(&self, flag: &str, name: &str) -> bool {
        let kind = match flag {
            "-p" | "--package" => {
                return self.packages.iter().any(|package| package["name"] == name);
            }
            "--features" | "-F" => {
                return name.split(',').all(|name| {
                    let (package, feature) = name.split_once('/').unwrap_or(("", name));
                    self.packages
                        .iter()
                        .filter(|candidate| package.is_empty() || candidate["name"] == package)
                        .any(|package| !package["features"][feature].is_null())
                });
            }
            other => other.trim_start_matches("--"),
        };
        let mut targets = self.packages.iter().flat_map(targets);
        targets.any(|target| {
            let is_of_kind = target["kind"].as_array().unwrap().iter().any(|k| k == kind);
            is_of_kind && target["name"] == name
        })
    }

    /// The program of a package, which is beside ours.
    fn program(&self, package: &str) -> Result<PathBuf, String> {
        let path = xtask().with_file_name(package);
        let there = self.has("--bin", package) && path.is_file();
        there
            .then_some(path)
            .ok_or_else(|| format!("{package} is no program"))
    }
}

/// Cargo with the subcommands of the Rust toolchain only. A reader's machine need not have another, so what documents need of
/// those is a command of `cargo xtask`, which fetches them.
fn toolchain_cargo() -> Command {
    let cargo = Path::new(env!("CARGO"));
    let mut command = Command::new(cargo);
    command
        .env("PATH", cargo.parent().unwrap())
        // In whose `bin` installed subcommands are.
        .env(
            "CARGO_HOME",
            tools::workspace().join("target/no-cargo-home"),
        );
    command
}

fn targets(package: &Value) -> &[Value] {
    package["targets"].as_array().map_or(&[], Vec::as_slice)
}

fn is_package(flag: &str) -> bool {
    matches!(flag, "-p" | "--package")
}

/// The names that stand for parts of the workspace, with their flags.
fn named<'a>(arguments: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    const FLAGS: [&str; 8] = [
        "-F",
        "-p",
        "--bench",
        "--bin",
        "--example",
        "--features",
        "--package",
        "--test",
    ];
    let apart = arguments.windows(2).map(|pair| (pair[0], pair[1]));
    let joined = arguments.iter().filter_map(|flag| flag.split_once('='));
    apart.chain(joined).filter(|(flag, _)| FLAGS.contains(flag))
}

/// Runs one of our commands to its end. What would write only checks.
fn finishes(verb: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(xtask());
    command.arg(verb).args(arguments);
    if verb == "gen" && !arguments.contains(&"--check") {
        command.arg("--check");
    }
    says(&mut command)
}

/// Whether a command succeeds; what it says if not.
fn says(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).trim().to_owned())
}

/// What the exporter says of a variable that it does not know.
pub(crate) fn unknown_setting(name: &str) -> Option<String> {
    let error = Config::from_vars([(name, "")]).err()?;
    matches!(error, ExporterError::UnknownVariable { .. }).then(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(command: &str) -> Result<(), String> {
        let arguments: Vec<_> = command.split(' ').collect();
        Workspace::read().faults(&arguments)
    }

    #[test]
    fn what_is_right_passes() {
        for command in [
            "xtask demo --once --pace 5ms",
            "xtask stack",
            "xtask bench --json",
            "xtask deny advisories",
            "xtask test --package obs-core",
            "test -p obs-tests --test deploy",
            "build --package=obs-db --features redis,obs-db/sqlite",
            "run --package trading-desk -- --once",
        ] {
            assert_eq!(faults(command), Ok(()), "{command}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (command, told) in [
            ("xtask verfy-metrics", "unrecognized subcommand"),
            ("xtask demo --onec", "--onec"),
            ("xtask stack --pace", "a value is required"),
            ("xtask verify-metrics --scrap http://127.0.0.1:1", "--scrap"),
            ("xtask gen --chek", "--chek"),
            ("xtask test --pakcage obs-core", "--pakcage"),
            ("xtask test --package obs-cor", "no obs-cor for --package"),
            ("tset", "tset"),
            ("deny check bans", "no such command"),
            ("test -p obs-tests --test deplyo", "no deplyo for --test"),
            ("run --example desk", "no desk for --example"),
            (
                "build -p obs-db --features=rediss",
                "no rediss for --features",
            ),
            ("run -p trading-desk -- --onec", "--onec"),
            ("run -- --once", "say which"),
        ] {
            let said = faults(command).unwrap_err();
            assert!(said.contains(told), "{command}: {said}");
        }
    }

    #[test]
    fn a_setting_that_the_exporter_does_not_have_is_told() {
        assert_eq!(unknown_setting("OBS_MODE"), None);
        let said = unknown_setting("OBS_LISTEN_ON").unwrap();
        assert!(said.contains("OBS_LISTEN_ON"), "{said}");
    }
}
