//! `cargo xtask test`: all tests, and before them whatever they need.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::error::Error;
use crate::shell;

/// Install what the tests need under target/, and run them all
///
/// The last line is the total. Arguments go to `cargo test`: `cargo xtask test --package obs-core` runs the tests of one
/// crate.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Arguments of `cargo test`; all of the workspace unless given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        obs_tests::tools::install()?;
        let mut tests = shell::cargo(["test", "--no-fail-fast"]);
        if self.arguments.is_empty() {
            tests.arg("--workspace");
        }
        tests.args(&self.arguments).stdout(Stdio::piped());
        eprintln!("{}", shell::shown(&tests));

        let mut running = tests.spawn().map_err(shell::not_run(&tests))?;
        let not_run = || shell::not_run(&tests);
        let total = match running.stdout.take() {
            Some(output) => Total::of(output, &mut io::stdout().lock()).map_err(not_run())?,
            None => Total::default(),
        };
        let status = running.wait().map_err(not_run())?;
        if !status.success() && total.failed == 0 {
            // What does not compile, or dies of a signal, has no line of its own in the total.
            eprintln!("error: `{}` failed ({status})", shell::shown(&tests));
        }
        total.keep()?;
        println!("{total}");
        Ok(status.success())
    }
}

/// How all the tests of a run went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    skipped: u64,
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

    /// Adds up a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`; other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
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
    fn nothing_skipped_is_not_worth_a_word() {
        let total = Total::of(
            &b"test result: ok. 1 passed; 0 failed; 0 ignored\n"[..],
            &mut io::sink(),
        );
        assert_eq!(total.unwrap().to_string(), "1 passed, 0 failed");
    }
}
