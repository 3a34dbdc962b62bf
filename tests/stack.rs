//! `cargo xtask stack` as its users run and end it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use obs_tests::{built, scrape};

/// A stack that is killed where a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whatever ends it, what it started ends too, and nothing stays where it kept its data.
#[test]
fn a_signal_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let mut stack = Command::new(built("xtask").unwrap());
        stack
            .args(["stack", "--free-ports"])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped());
        let mut stack = Running(stack.spawn().unwrap());
        let mut lines = BufReader::new(stack.0.stdout.take().unwrap()).lines();
        let started: Vec<String> = lines
            .by_ref()
            .map(Result::unwrap)
            .take_while(|line| !line.starts_with("alerts sent to"))
            .collect();
        let url = |of: &str| {
            let line = started.iter().find_map(|line| line.strip_prefix(of));
            line.unwrap_or_else(|| panic!("{of} is not in {started:?}"))
                .trim()
                .to_owned()
        };
        let urls = [
            url("metrics"),
            url("agent"),
            url("Prometheus") + "/-/ready",
            url("Alertmanager") + "/-/ready",
        ];
        for url in &urls {
            scrape(url).unwrap();
        }
        assert_ne!(folder.path().read_dir().unwrap().count(), 0);

        let id = stack.0.id().to_string();
        let kill = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(kill.unwrap().success());
        // It says nothing more than what alerts were sent.
        lines.for_each(drop);
        assert!(stack.0.wait().unwrap().success(), "SIG{signal}");
        for url in &urls {
            assert!(scrape(url).is_err(), "{url} answers after SIG{signal}");
        }
        let left: Vec<_> = folder.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "SIG{signal}: {left:?}");
    }
}
