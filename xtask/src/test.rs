//! `cargo xtask test`: all tests, and before them whatever they need.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, ExitStatus, Stdio};

use obs_tests::tools::{self, Generation};

use crate::error::Error;
use crate::shell;

/// Install what the tests need, and run them all
///
/// Tests that ask Prometheus, Alertmanager or `VictoriaMetrics` run twice: with Debian's releases, and with the current ones, which are
/// built with Go where it is installed. The last line is the total, and says if only the former were asked, and that peers were not
/// run. Arguments go to `cargo test`: `cargo xtask test --package obs-core` runs the tests of one crate, with Debian's releases, or
/// with the current ones if `TEST_SERVERS` is set to `current`.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Run the tests with programs of other projects, and nothing else: an OpenTelemetry Collector, Sloth, Helm. They are built with
    /// Go, which takes some eight minutes of processor time once.
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
        let mut workspace = shell::cargo(["test", "--no-fail-fast", "--workspace"]);
        let (mut passed, mut total) = run(workspace.env(Generation::VARIABLE, "debian"))?;
        match tools::install_current() {
            Ok(()) => {
                let (current_passed, current) = run(&mut with_current_servers())?;
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
        println!("{}{total}", total.times());
        Ok(passed)
    }

    /// The tests that are compiled for this alone. Where their programs cannot be had, that is a failure.
    fn with_peers(&self) -> Result<bool, Error> {
        tools::install_current().map_err(Error::Servers)?;
        tools::install_peers().map_err(Error::Servers)?;
        let mut tests = shell::cargo(["test", "--no-fail-fast", "--package", "obs-tests"]);
        tests.args(["--features", "peers", "--test", "peers"]);
        tests
            .env(Generation::VARIABLE, "current")
            .args(&self.arguments);
        let (passed, total) = run(&mut tests)?;
        println!("{}{total}", total.times());
        Ok(passed)
    }
}

/// Where tests are that ask a server of which there are two generations.
const PACKAGES: [&str; 3] = ["obs-tests", "obstool", "xtask"];

/// Which targets they are. A test holds the list to the sources.
const ASK_SERVERS: [&str; 18] = [
    "alerts",
    "attacks",
    "backends",
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
    "stack",
    "week",
];

/// Those tests, with the current generation.
fn with_current_servers() -> Command {
    let mut tests = shell::cargo(["test", "--no-fail-fast", "--bin", "xtask"]);
    tests.args(PACKAGES.iter().flat_map(|name| ["--package", name]));
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
    for target in &mut total.targets {
        target.is_current = generation == "current";
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

/// How all the tests of a run went.
#[derive(Debug, Default, PartialEq)]
struct Total {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Whether the current generation of the servers could not be had.
    is_without_current: bool,
    /// Whether the tests with programs of other projects were left out.
    is_without_peers: bool,
    /// How long each target took, in seconds.
    targets: Vec<Target>,
}

/// The tests of one target, with one generation of the servers.
#[derive(Debug, PartialEq)]
struct Target {
    name: String,
    seconds: f64,
    /// Whether it asked the current generation.
    is_current: bool,
}

/// How long a target may take before it is said, in seconds on two cores. All targets together and what else CI checks are to stay
/// below an hour.
const BUDGET: f64 = 60.0;
/// Those that may take longer: they build programs, start many processes, or wait as long as what they test does.
const BUDGETS: [(&str, f64); 9] = [
    ("browser", 120.0),
    ("deploy", 180.0),
    ("docs", 240.0),
    ("fleet", 180.0),
    ("foreign", 300.0),
    ("getting_started", 300.0),
    ("page", 180.0),
    ("peers", 180.0),
    ("stack", 120.0),
];
/// How many of the slowest are shown.
const SLOWEST: usize = 12;

impl Target {
    fn budget(&self) -> f64 {
        let own = BUDGETS.iter().find(|(name, _)| *name == self.name);
        own.map_or(BUDGET, |(_, budget)| *budget)
    }
}

/// The name of a target in the line by which cargo announces it.
fn announced(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{package}, documentation"));
    }
    // Such as `Running tests/deploy.rs (target/debug/deps/deploy-0123456789abcdef)`.
    let (_, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let name = program.trim_end_matches(')').rsplit('/').next()?;
    let (name, _) = name.rsplit_once('-')?;
    Some(name.to_owned())
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.is_without_current |= other.is_without_current;
        self.is_without_peers |= other.is_without_peers;
        self.targets.extend(other.targets);
    }
}

impl Total {
    /// Counts what the output of `cargo test` reports, and shows it while it comes.
    fn of(output: impl Read, screen: &mut impl Write) -> io::Result<Self> {
        let mut total = Self::default();
        let mut output = BufReader::new(output);
        // Tests print what they like, in whatever encoding: lines are bytes here.
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            screen.write_all(&line)?;
            total.add(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(total)
    }

    /// Adds up a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …; finished in 1.00s`, and notes the target that
    /// cargo announces; other lines count nothing.
    fn add(&mut self, line: &str) {
        if let Some(name) = announced(line) {
            let (seconds, is_current) = (0.0, false);
            self.targets.push(Target {
                name,
                seconds,
                is_current,
            });
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let took = result
            .rsplit_once("finished in ")
            .map(|(_, took)| took.trim().trim_end_matches('s'));
        let took = took.and_then(|took| took.parse::<f64>().ok());
        if let (Some(target), Some(took)) = (self.targets.last_mut(), took) {
            // A crate's documentation reports several times.
            target.seconds += took;
        }
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|number| number.parse::<u64>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                (Some(number), Some("ignored")) => self.skipped += number,
                _ => {}
            }
        }
    }

    /// The slowest targets, and those that took longer than they may.
    fn times(&self) -> String {
        let mut targets: Vec<&Target> = self.targets.iter().collect();
        targets.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        let all = targets.iter().map(|target| target.seconds).sum::<f64>();
        let mut text = format!(
            "{all:.0} s in the tests of {} targets; the slowest:\n",
            targets.len()
        );
        for (place, target) in targets.iter().enumerate() {
            let is_over = target.seconds > target.budget();
            if place >= SLOWEST && !is_over {
                continue;
            }
            let servers = if target.is_current {
                ", current servers"
            } else {
                ""
            };
            let over = if is_over { "  over its budget" } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{:7.1} s of {:3.0}  {}{servers}{over}",
                target.seconds,
                target.budget(),
                target.name
            );
        }
        text
    }

    /// Leaves the total in `target/test-total`, for who runs more after the tests and wants to close with it.
    fn keep(&self) -> Result<(), Error> {
        // Where the build puts its files may be configured; this place is the same everywhere.
        let folder = obs_tests::tools::workspace().join("target");
        let path = folder.join("test-total");
        let written =
            fs::create_dir_all(&folder).and_then(|()| fs::write(&path, format!("{self}\n")));
        written.map_err(|source| Error::File {
            verb: "write",
            path,
            source,
        })
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        if self.is_without_current {
            write!(f, "; with Debian's releases of the servers only")?;
        }
        if self.is_without_peers {
            write!(f, "; without peers (cargo xtask test --peers)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_and_the_rest_is_shown_as_it_came() {
        let output = b"\
running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s
\xff 9 passed; 9 failed
test result: FAILED. 40 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
no line feed";
        let mut screen = Vec::new();
        let total = Total::of(output.as_slice(), &mut screen).unwrap();
        assert_eq!(screen, output);
        assert_eq!(total.to_string(), "42 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn it_says_where_the_time_goes_and_what_takes_too_long() {
        let output =
            "     Running unittests src/lib.rs (target/debug/deps/obs_core-0123456789abcdef)
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 61.50s
     Running tests/deploy.rs (target/debug/deps/deploy-0123456789abcdef)
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 70.00s
   Doc-tests obs_core
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.25s
";
        let total = Total::of(output.as_bytes(), &mut io::sink()).unwrap();
        let times = "133 s in the tests of 3 targets; the slowest:
   70.0 s of 180  deploy
   61.5 s of  60  obs_core  over its budget
    1.2 s of  60  obs_core, documentation
";
        assert_eq!(total.times(), times);
    }

    #[test]
    fn nothing_skipped_is_not_worth_a_word() {
        let total = Total::of(
            &b"test result: ok. 1 passed; 0 failed; 0 ignored\n"[..],
            &mut io::sink(),
        );
        assert_eq!(total.unwrap().to_string(), "1 passed, 0 failed");
    }

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
                let is_target = !["harness", "soak", "fuzz", "foreign", "peers.rs"]
                    .iter()
                    .any(|not| path.ends_with(not));
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
