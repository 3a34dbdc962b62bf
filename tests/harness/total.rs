//! What `cargo test` reports: how many tests passed, and which targets take the time.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::AddAssign;

use crate::error::Error;
use crate::tools;

/// How all the tests of a run went.
#[derive(Debug, Default, PartialEq)]
pub struct Total {
    passed: u64,
    /// How many failed.
    pub failed: u64,
    skipped: u64,
    /// Whether the current generation of the servers could not be had.
    pub is_without_current: bool,
    /// Whether the tests with programs of other projects were left out.
    pub is_without_peers: bool,
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
    pub fn of(output: impl Read, screen: &mut impl Write) -> io::Result<Self> {
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

    /// Says that the current generation of the servers was asked.
    pub fn of_current(&mut self) {
        for target in &mut self.targets {
            target.is_current = true;
        }
    }

    /// The slowest targets, and those that took longer than they may.
    #[must_use]
    pub fn times(&self) -> String {
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
    pub fn keep(&self) -> Result<(), Error> {
        // Where the build puts its files may be configured; this place is the same everywhere.
        let folder = tools::workspace().join("target");
        let path = folder.join("test-total");
        let written =
            fs::create_dir_all(&folder).and_then(|()| fs::write(&path, format!("{self}\n")));
        written.map_err(Error::system(format!("write {}", path.display())))
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
}
