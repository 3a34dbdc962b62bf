//! `cargo xtask gate`: what is recorded often takes no more instructions and allocations than it did.
//!
//! Times say little on a machine that does other work; instructions and allocations of the same code are the same on all of them,
//! but for what the C library chooses by the processor. They are counted under callgrind, of `benches/gate.rs`, and held to the
//! limits in `benches/limits.json`, which are those of `x86_64`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::shell::{cargo, not_run, run, shown};

/// Count the instructions and allocations of recording and scraping, and hold them to their limits
///
/// Needs valgrind, and fetches Debian's where there is none. Takes some ten seconds after a build.
#[derive(Default, clap::Args)]
pub(crate) struct Gate {
    /// Write what is counted now, and a little more, as the limits
    #[arg(long)]
    bless: bool,
}

/// The limits, from the workspace's directory.
const LIMITS: &str = "benches/limits.json";

/// How much more than what was counted a limit allows: another `memcpy`, another release of the compiler.
const HEADROOM: f64 = 1.05;

/// How often a line beyond its limit is counted before that is believed, and every line when limits are written: hash tables
/// lie otherwise in every process. The least counts.
const TRIES: usize = 5;

/// What the limits hold, and by which compiler they were found.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Limits {
    compiler: String,
    /// What an operation of each line may cost.
    lines: BTreeMap<String, Cost>,
}

/// What one operation costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

impl Gate {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let program = Program::build()?;
        let limits = if self.bless {
            Limits::default()
        } else {
            Limits::read()?
        };
        let mut counted = BTreeMap::new();
        println!(
            "{:<50}{:>26}{:>26}",
            "an operation", "instructions", "allocations"
        );
        for line in program.lines()? {
            let limit = limits.lines.get(&line);
            let cost = program.least(&line, limit)?;
            println!("{}", row(&line, cost, limit));
            counted.insert(line, cost);
        }
        let compiler = compiler()?;
        if self.bless {
            return Limits::of(&counted, compiler).write().map(|()| true);
        }
        let faults = faults(&counted, &limits);
        for fault in &faults {
            eprintln!("error: {fault}");
        }
        if !faults.is_empty() && compiler != limits.compiler {
            eprintln!(
                "the limits are from {}, and this is {compiler}",
                limits.compiler
            );
        }
        Ok(faults.is_empty())
    }
}

/// Everything that is not as the limits have it.
fn faults(counted: &BTreeMap<String, Cost>, limits: &Limits) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, cost) in counted {
        let Some(limit) = limits.lines.get(line) else {
            faults.push(format!(
                "`{line}` has no limit; `cargo xtask gate --bless` writes one"
            ));
            continue;
        };
        for (what, cost, limit) in [
            ("instructions", cost.instructions, limit.instructions),
            ("allocations", cost.allocations, limit.allocations),
        ] {
            if cost > limit {
                faults.push(format!(
                    "`{line}` takes {cost:.2} {what} an operation, and its limit is {limit:.2}; find what made it dearer, or, if \
                    that is worth it, move the limit by `cargo xtask gate --bless`, which rewrites {LIMITS}, and say in the \
                    commit why"
                ));
            }
        }
    }
    for line in limits.lines.keys() {
        if !counted.contains_key(line) {
            faults.push(format!(
                "{LIMITS} has a limit for `{line}`, which is not counted any more; `cargo xtask gate --bless` removes it"
            ));
        }
    }
    faults
}

fn row(line: &str, cost: Cost, limit: Option<&Cost>) -> String {
    let of = |cost: f64, limit: Option<f64>| {
        let limit = limit.map(|limit| format!(" of {limit:.2}"));
        format!("{cost:.2}{}", limit.unwrap_or_default())
    };
    let instructions = of(cost.instructions, limit.map(|limit| limit.instructions));
    let allocations = of(cost.allocations, limit.map(|limit| limit.allocations));
    format!("{line:<50}{instructions:>26}{allocations:>26}")
}

impl Limits {
    fn path() -> PathBuf {
        obs_tests::tools::workspace().join(LIMITS)
    }

    /// What was counted, with room for what differs between machines. Allocations do not differ.
    fn of(counted: &BTreeMap<String, Cost>, compiler: String) -> Self {
        let limit = |cost: &Cost| Cost {
            instructions: (cost.instructions * HEADROOM * 100.0).ceil() / 100.0,
            allocations: cost.allocations,
        };
        let lines = counted
            .iter()
            .map(|(line, cost)| (line.clone(), limit(cost)));
        Self {
            compiler,
            lines: lines.collect(),
        }
    }

    fn read() -> Result<Self, Error> {
        let text = fs::read_to_string(Self::path()).map_err(|source| Error::File {
            verb: "read",
            path: Self::path(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|error| Error::Unreadable {
            file: LIMITS.to_owned(),
            reason: error.to_string(),
        })
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Unreadable {
            file: LIMITS.to_owned(),
            reason: error.to_string(),
        })?;
        let path = Self::path();
        fs::write(&path, text + "\n").map_err(|source| Error::File {
            verb: "write",
            path: path.clone(),
            source,
        })?;
        eprintln!("{} is written", path.display());
        Ok(())
    }
}

/// The program that is counted, `obs-gate`.
struct Program(PathBuf);

impl Program {
    fn build() -> Result<Self, Error> {
        let mut build = cargo(["build", "--release", "--package", "obs-benches"]);
        build.args(["--features", "gate", "--bin", "obs-gate"]);
        eprintln!("{}", shown(&build));
        run(&mut build)?;
        // Beside this program's own profile, wherever the build puts its files.
        let here = std::env::current_exe().map_err(|source| Error::NotRun {
            command: "obs-gate".to_owned(),
            source,
        })?;
        let target = here.ancestors().nth(2).map(PathBuf::from);
        Ok(Self(target.unwrap_or_default().join("release/obs-gate")))
    }

    fn lines(&self) -> Result<Vec<String>, Error> {
        let names = output(&mut Command::new(&self.0))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// What an operation of a line costs: the least of some tries, or the first that is within the limit.
    fn least(&self, line: &str, limit: Option<&Cost>) -> Result<Cost, Error> {
        let mut least = self.count(line)?;
        for _ in 1..TRIES {
            if limit.is_some_and(|limit| least.is_within(limit)) {
                break;
            }
            least = least.min(self.count(line)?);
        }
        Ok(least)
    }

    fn count(&self, line: &str) -> Result<Cost, Error> {
        let counts = obs_tests::tools::workspace().join("target/callgrind.out");
        let mut counting = obs_tests::tools::valgrind()?;
        counting
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg("--toggle-collect=*obs_gate*measured*")
            .arg(&self.0)
            .arg(line);
        let printed = output(&mut counting)?;
        let counts = fs::read_to_string(&counts).map_err(|source| Error::File {
            verb: "read",
            path: counts,
            source,
        })?;
        cost(&printed, &counts).ok_or_else(|| Error::Unreadable {
            file: shown(&counting),
            reason: format!("it printed {printed:?} and counted nothing of `measured`"),
        })
    }
}

/// The cost of one operation: what the program printed are operations and allocations, and callgrind's file has a line such as
/// `totals: 26654`. Nothing where nothing was counted.
fn cost(printed: &str, counts: &str) -> Option<Cost> {
    let (operations, allocations) = printed.trim().split_once(' ')?;
    let operations: f64 = operations.parse().ok()?;
    let totals = counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))?;
    let instructions: f64 = totals.trim().parse().ok()?;
    (instructions > 0.0 && operations > 0.0).then_some(Cost {
        instructions: instructions / operations,
        allocations: allocations.parse::<f64>().ok()? / operations,
    })
}

impl Cost {
    fn is_within(self, limit: &Self) -> bool {
        self.instructions <= limit.instructions && self.allocations <= limit.allocations
    }

    fn min(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

/// The compiler, as it says of itself.
fn compiler() -> Result<String, Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = output(Command::new(rustc).arg("--version"))?;
    Ok(said.trim().to_owned())
}

/// What a command prints, if it succeeds. What it complains of goes where ours goes.
fn output(command: &mut Command) -> Result<String, Error> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(not_run(command))?;
    if !output.status.success() {
        return Err(Error::Failed {
            command: shown(command),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs<'a>(lines: impl IntoIterator<Item = (&'a str, f64, f64)>) -> BTreeMap<String, Cost> {
        let cost = |(line, instructions, allocations): (&str, f64, f64)| {
            let cost = Cost {
                instructions,
                allocations,
            };
            (line.to_owned(), cost)
        };
        lines.into_iter().map(cost).collect()
    }

    #[test]
    fn what_costs_more_than_it_may_is_told_with_both_figures_and_the_way_out() {
        let before = costs([("counter", 20.0, 0.0), ("scrape", 300.0, 0.05)]);
        let limits = Limits::of(&before, String::new());
        let limit = Cost {
            instructions: 21.0,
            allocations: 0.0,
        };
        assert_eq!(limits.lines["counter"], limit);
        assert_eq!(faults(&before, &limits), [""; 0]);
        let within = costs([("counter", 21.0, 0.0), ("scrape", 10.0, 0.0)]);
        assert_eq!(faults(&within, &limits), [""; 0]);

        let dearer = costs([("counter", 21.5, 0.0), ("scrape", 300.0, 1.05)]);
        let told = faults(&dearer, &limits);
        assert_eq!(told.len(), 2);
        for (told, expected) in told.iter().zip([
            "`counter` takes 21.50 instructions an operation, and its limit is 21.00; find",
            "`scrape` takes 1.05 allocations an operation, and its limit is 0.05; find",
        ]) {
            assert!(told.starts_with(expected), "{told}");
            assert!(told.contains("`cargo xtask gate --bless`"), "{told}");
        }
    }

    #[test]
    fn every_line_has_a_limit_and_every_limit_a_line() {
        let limits = Limits::of(&costs([("gone", 1.0, 0.0)]), String::new());
        let told = faults(&costs([("new", 1.0, 0.0)]), &limits);
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("`new` has no limit"), "{}", told[0]);
        assert!(
            told[1].contains("a limit for `gone`, which is not counted"),
            "{}",
            told[1]
        );
    }

    #[test]
    fn the_limits_of_the_repository_can_be_read() {
        let limits = Limits::read().unwrap();
        assert!(!limits.lines.is_empty());
        assert!(limits.compiler.starts_with("rustc "));
    }

    #[test]
    fn a_cost_is_read_from_what_is_printed_and_counted() {
        let counts = "version: 1\nevents: Ir\nsummary: 2048\n\ntotals: 2048\n";
        let expected = Cost {
            instructions: 2.0,
            allocations: 4.0,
        };
        assert_eq!(cost("1024 4096\n", counts), Some(expected));
        // Had the function another name, nothing would be counted, and nothing would ever be too much.
        assert_eq!(cost("1024 4096\n", "totals: 0\n"), None);
        assert_eq!(cost("", counts), None);
        assert_eq!(cost("1024 0", "events: Ir\n"), None);
    }
}
