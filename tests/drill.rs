//! The steps of `docs/DRILL.md`, done as a reader does them: its commands are typed into a shell in its order, and print what it says. Only
//! the ports are free ones.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use obs_tests::tools;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// What the shell prints behind each step.
const DONE: &str = "the step is done";

/// A shell that commands are typed into. Dropped, it is killed with all that it has started.
struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    fn start() -> Self {
        let mut bash = Command::new("bash")
            .args(["-euo", "pipefail"])
            .current_dir(tools::workspace())
            .env("OBS_LISTEN", "127.0.0.1:0")
            .env_remove("CARGO_TARGET_DIR")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(bash.stdout.take().unwrap());
        thread::spawn(move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Self {
            input: bash.stdin.take().unwrap(),
            bash,
            lines,
        }
    }

    /// Types something, and returns the lines that are printed until it is done.
    fn step(&mut self, script: &str) -> Vec<String> {
        writeln!(self.input, "{script}\necho '{DONE}'").unwrap();
        let mut printed = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == DONE => return printed,
                Ok(line) => printed.push(line),
                Err(error) => panic!("{error} in\n{script}\nafter {printed:#?}"),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.bash), Signal::KILL);
        let _ = self.bash.wait();
    }
}

/// A step without the commands that build programs of ours, which are built here as for other tests: where the commands would put
/// them, but without compiling their dependencies in other features.
fn with_programs(script: &str) -> String {
    let mut kept = String::new();
    for line in script.lines() {
        if let Some(package) = line.strip_prefix("cargo build --package ") {
            obs_tests::built(package).unwrap();
        } else {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

/// A line without the numbers that differ each time: those of processes, and those with decimals.
fn same_each_time(line: &str) -> String {
    let words = line.split_inclusive([' ', ')', '}']);
    let of_word = |word: &str| {
        let number = word.trim_end_matches([' ', ')', '}']);
        let is_number =
            !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        if is_number && (number.contains('.') || number.len() > 2) {
            word.replace(number, "#")
        } else {
            word.to_owned()
        }
    };
    words.map(of_word).collect()
}

#[test]
fn every_step_of_the_drill_works() {
    let document = fs::read_to_string(tools::workspace().join("docs/DRILL.md")).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let document = document.replace("127.0.0.1:9466", &address);

    let mut shell = Shell::start();
    let (mut printed, mut checked, mut folder) = (Vec::new(), 0, String::new());
    // Every other part is between fences.
    for fence in document.split("```").skip(1).step_by(2) {
        if let Some(script) = fence.strip_prefix("sh\n") {
            printed = shell.step(&with_programs(script));
            if folder.is_empty() {
                folder = shell.step("echo $drill").concat();
                assert!(Path::new(&folder).join("desk.obs").exists(), "{folder}");
            }
        } else if let Some(expected) = fence.strip_prefix("text\n") {
            let expected: Vec<_> = expected.lines().map(same_each_time).collect();
            let said: Vec<_> = printed.iter().map(|line| same_each_time(line)).collect();
            assert_eq!(said, expected, "{printed:#?}");
            checked += 1;
        } else {
            panic!("nothing says what to do with this:\n{fence}");
        }
    }
    assert_eq!(checked, 4);
    assert!(!Path::new(&folder).exists(), "{folder} is left behind");
}

#[test]
fn a_number_that_is_always_the_same_is_compared() {
    for (line, same) in [
        ("up{a=\"b\"} 1", "up{a=\"b\"} 1"),
        ("hung{a=\"b\"} 5.6213", "hung{a=\"b\"} #"),
        (
            "(process 4711) is dead: no beat for 5.0 s, 5 s",
            "(process #) is dead: no beat for # s, 5 s",
        ),
    ] {
        assert_eq!(same_each_time(line), same);
    }
}
