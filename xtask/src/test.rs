//! `cargo xtask test`: all tests, and before them whatever they need.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use obs_tests::Total;
use obs_tests::tools::{self, Generation};

use crate::error::Error;
use crate::shell;
use crate::steps::Steps;

/// Install what the tests need, and run them all
///
/// Tests that ask Prometheus, Alertmanager or `VictoriaMetrics` run twice: with Debian's releases, and with the current ones, which are
/// built with Go where it is installed, at the lowest priority, while the others are asked. How long each run took comes at the end; the
/// last line is the total, and says if only the former were asked, and that peers were not run. Arguments go to `cargo test`: `cargo xtask test --package obs-core` runs the tests of one crate, with Debian's releases, or
/// with the current ones if `TEST_SERVERS` is set to `current`.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Run the tests with programs of other projects, and nothing else: an OpenTelemetry Collector, Sloth, Helm, Grafana's components. The
    /// former are built with Go, which takes some eight minutes of processor time once.
    #[arg(long)]
    peers: bool,
    /// Arguments of `cargo test`; all of the workspace unless given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        obs_tests::tools::install()?;
        if self.peers {
            return self.with_peers();
        }
        if !self.arguments.is_empty() {
            if Generation::chosen() == Generation::Current {
                tools::install_current().map_err(Error::Servers)?;
            }
            let (passed, total) =
                run(shell::cargo(["test", "--no-fail-fast"]).args(&self.arguments))?;
            total.keep()?;
            println!("{}{total}", total.times());
            return Ok(passed);
        }
        // Tests wait for servers half of the time.
        let built = thread::spawn(tools::install_current);
        let mut steps = Steps::default();
        let mut workspace = shell::cargo(["test", "--no-fail-fast", "--workspace"]);
        workspace.env(Generation::VARIABLE, "debian");
        let (mut passed, mut total) = steps.timed("all tests", || run(&mut workspace))?;
        let (called_passed, called) =
            steps.timed("with handles that call", || run(&mut with_calls()))?;
        passed &= called_passed;
        total += called;
        let built = steps.timed("waiting for the current servers to be built", || {
            let failed = |_| Err("the build panicked".to_owned());
            built.join().unwrap_or_else(failed)
        });
        match built {
            Ok(()) => {
                let (current_passed, current) =
                    steps.timed("with current servers", || run(&mut with_current_servers()))?;
                passed &= current_passed;
                total += current;
            }
            Err(reason) => {
                eprintln!("only Debian's releases of the servers were asked: {reason}");
                total.is_without_current = true;
            }
        }
        total.is_without_peers = true;
        total.keep()?;
        println!("{steps}{}{total}", total.times());
        Ok(passed)
    }

    /// The tests that are compiled for this alone. Where their programs cannot be had, that is a failure.
    fn with_peers(&self) -> Result<bool, Error> {
        tools::install_current().map_err(Error::Servers)?;
        tools::install_peers().map_err(Error::Servers)?;
        let mut tests = shell::cargo(["test", "--no-fail-fast", "--package", "obs-tests"]);
        tests.args(["--features", "peers"]);
        tests.args(
            ["peers", "helm", "boards"]
                .iter()
                .flat_map(|name| ["--test", name]),
        );
        tests
            .env(Generation::VARIABLE, "current")
            .args(&self.arguments);
        let (passed, total) = run(&mut tests)?;
        println!("{}{total}", total.times());
        Ok(passed)
    }
}

/// Where tests are that ask a server of which there are two generations: targets of `obs-tests` and `obstool`, besides those of
/// `xtask` itself. A test holds the list to the sources.
const ASK_SERVERS: [&str; 20] = [
    "alerts",
    "attacks",
    "backends",
    "boards",
    "deploy",
    "desk",
    "exposition",
    "faults",
    "fleet",
    "foreign",
    "getting_started",
    "kubernetes",
    "objectives",
    "otlp",
    "pipeline",
    "push",
    "docs",
    "services",
    "stack",
    "week",
];

/// Another package with targets of such names. Without it, the features of dependencies are still those of the whole workspace.
const WITHOUT: &str = "obs-exporter";

/// What drives every domain crate under an installed recorder: the target of the sample desk, and that of `obs-tests`.
const CALL: [&str; 2] = ["metrics", "pipeline"];

// Targets are selected by name from the whole workspace. Selected by package, dependencies would have fewer features than in the
// first run, and a hundred crates would be compiled once more.

/// Those of [`CALL`] once more, with handles that call the facade instead of adding to the recorder's cells. The crates' own tests do
/// so anyway: their recorders are not installed.
fn with_calls() -> Command {
    let mut tests = shell::cargo(["test", "--no-fail-fast", "--workspace"]);
    tests.args(CALL.iter().flat_map(|name| ["--test", name]));
    tests
        .env("OBS_DIRECT_HANDLES", "off")
        .env(Generation::VARIABLE, "debian");
    tests
}

/// Those of [`ASK_SERVERS`], with the current generation.
fn with_current_servers() -> Command {
    let mut tests = shell::cargo(["test", "--no-fail-fast", "--workspace"]);
    tests.args(["--exclude", WITHOUT, "--bin", "xtask"]);
    tests.args(ASK_SERVERS.iter().flat_map(|name| ["--test", name]));
    tests.env(Generation::VARIABLE, "current");
    tests
}

/// Runs tests, and counts them.
fn run(tests: &mut Command) -> Result<(bool, Total), Error> {
    let generation = tests
        .get_envs()
        .find(|(name, _)| *name == Generation::VARIABLE);
    let generation = generation
        .and_then(|(_, value)| value?.to_str())
        .unwrap_or_default()
        .to_owned();
    eprintln!("{} with servers of {generation}", shell::shown(tests));
    let not_run = shell::not_run(tests);
    let (status, mut total) = watched(tests).map_err(not_run)?;
    if generation == "current" {
        total.of_current();
    }
    if !status.success() && total.failed == 0 {
        // What does not compile, or dies of a signal, has no line of its own in the total.
        eprintln!("error: `{}` failed ({status})", shell::shown(tests));
    }
    Ok((status.success(), total))
}

/// Runs tests and counts what they report. Cargo names a target on one stream and its tests report on the other: both come by one
/// pipe, which keeps them in order.
fn watched(tests: &mut Command) -> io::Result<(ExitStatus, Total)> {
    let (output, writer) = io::pipe()?;
    tests.stdout(writer.try_clone()?).stderr(writer);
    let mut running = tests.spawn()?;
    // Only the child is to hold the end that is written to, so that it ends with it.
    tests.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let total = Total::of(output, &mut io::stdout().lock())?;
    Ok((running.wait()?, total))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What the harness has of servers, and programs that come with them.
    const SERVERS: [&str; 12] = [
        "check_metrics",
        "Agent::",
        "Stack::",
        "Storage::",
        "tools::alertmanager()",
        "tools::amtool()",
        "tools::prometheus()",
        "tools::promtool()",
        "tools::victoria_metrics()",
        "tools::vmagent()",
        "tools::vmalert()",
        "promtool\"",
    ];

    /// The packages, without the one that is left out, that have a target of tests with such a name.
    fn packages_with(names: &[&str], without: &str) -> Vec<String> {
        let members = crate::members::all().unwrap();
        let mut packages: Vec<_> = members
            .iter()
            .filter(|member| member.name != without)
            .filter(|member| member.tests().any(|test| names.contains(&test)))
            .map(|member| member.name.clone())
            .collect();
        packages.sort();
        packages
    }

    #[test]
    fn names_select_targets_of_the_packages_they_are_meant_for() {
        assert_eq!(
            packages_with(&ASK_SERVERS, WITHOUT),
            ["obs-tests", "obstool"]
        );
        assert_eq!(packages_with(&CALL, ""), ["obs-tests", "trading-desk"]);
        for name in CALL {
            assert_eq!(packages_with(&[name], "").len(), 1, "{name}");
        }
        // Else it need not be left out.
        assert!(packages_with(&ASK_SERVERS, "").contains(&WITHOUT.to_owned()));
    }

    #[test]
    fn what_asks_a_server_runs_with_both_generations() {
        let mut asking = Vec::new();
        for folder in ["tests", "crates/obstool/tests"] {
            let folder = tools::workspace().join(folder);
            for entry in folder.read_dir().unwrap().flatten() {
                let path = entry.path();
                let sources = if path.is_dir() {
                    path.join("main.rs")
                } else {
                    path.clone()
                };
                // Peers are asked with the current generation only.
                let others = ["harness", "soak", "fuzz", "foreign", "peers.rs", "helm.rs"];
                let is_target = !others.iter().any(|not| path.ends_with(not));
                let Ok(source) = fs::read_to_string(&sources) else {
                    continue;
                };
                if is_target
                    && sources.extension().is_some_and(|end| end == "rs")
                    && SERVERS.iter().any(|server| source.contains(server))
                {
                    asking.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        asking.sort();
        let missing: Vec<_> = asking
            .iter()
            .filter(|name| !ASK_SERVERS.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "add {missing:?} to ASK_SERVERS");
        assert!(asking.len() > 8, "{asking:?}");
    }
}
