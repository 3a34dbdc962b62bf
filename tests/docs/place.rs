//! A place where the commands of documents can be run: a shell in a copy of the workspace, with what they speak to.
//!
//! The shell itself reads the commands, with their quotes, pipes and variables. It finds only the programs listed here; those
//! that cannot run here are replaced by one that writes down how it was called.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use obs_tests::{Desk, Manner, Process, Pushgateway, Stack, built, tools};
use tempfile::TempDir;

/// Programs of every system that do no harm in a copy.
const RUN: [&str; 15] = [
    "base64", "cat", "cp", "cut", "diff", "grep", "head", "ls", "mkdir", "mktemp", "sed", "sort",
    "tail", "tr", "wc",
];

/// Programs that do not run here, and why. How they are called is checked.
const NOT_RUN: [(&str, &str); 4] = [
    (
        "cargo",
        "builds beside the build that runs this; our own commands are run or asked by `cargo.rs`",
    ),
    (
        "docker",
        "there is no engine; the files and services it names are checked",
    ),
    (
        "helm",
        "there is no cluster; the chart and the files it names are checked",
    ),
    (
        "kubectl",
        "there is no cluster; the files it names are checked",
    ),
];

/// Writes down the folder, the name and the arguments of a call, each ended by a NUL.
const RECORDER: &str = r#"#!/bin/bash
printf '%s\0' "$PWD" "${0##*/}" "$@" > "$(PATH=/usr/bin:/bin mktemp "$CALLS/XXXXXX")"
"#;

/// The client as users have it, but that an error of the server's is one.
const CURL: &str = r#"#!/bin/bash
PATH=/usr/bin:/bin exec curl --fail --max-time 30 "$@"
"#;

/// A call that was written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// Where, from the workspace's directory.
    pub(crate) folder: PathBuf,
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

/// The shell and what is around it. Dropped, all of it is gone.
pub(crate) struct Place {
    workspace: TempDir,
    programs: TempDir,
    /// What documents write, and what is there instead.
    addresses: Vec<(&'static str, String)>,
    servers: Option<(Desk, Process, Stack, Pushgateway)>,
}

impl Place {
    /// With nobody to speak to.
    pub(crate) fn quiet() -> Self {
        let (workspace, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(&tools::workspace(), workspace.path());
        let add = |name: &str, text: &str| {
            let path = programs.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for (name, _) in NOT_RUN {
            add(name, RECORDER);
        }
        add("curl", CURL);
        let found = RUN.map(|name| (name, on_path(name)));
        let fetched = [
            ("amtool", tools::amtool().unwrap()),
            ("promtool", tools::promtool().unwrap()),
            ("obstool", built("obstool").unwrap()),
        ];
        for (name, program) in found.into_iter().chain(fetched) {
            symlink(program, programs.path().join(name)).unwrap();
        }
        Self {
            workspace,
            programs,
            addresses: Vec::new(),
            servers: None,
        }
    }

    /// With a desk, a Prometheus that watches it and a Pushgateway where documents have them.
    pub(crate) fn served() -> Self {
        let mut place = Self::quiet();
        let desk = Desk::replayed().unwrap();
        let stack = Stack::start(desk.address(), Manner::Hurried).unwrap();
        let gateway = Pushgateway::start().unwrap();
        let socket = place.workspace.path().join("trading-desk.sock");
        let at_socket = desk_at(&socket);
        // A token that a desk without a lock does not ask for; how it is sent is what is tried.
        let token = place.workspace.path().join("metrics-token");
        fs::write(&token, "a-token-of-at-least-16-bytes").unwrap();
        place.addresses = vec![
            (
                "https://desk.internal:9464",
                format!("http://{}", desk.address()),
            ),
            ("/run/secrets/metrics-token", token.display().to_string()),
            ("/run/trading-desk.sock", socket.display().to_string()),
            // Where a text says what to put in.
            ("--scrape URL", format!("--scrape {}", desk.metrics())),
            ("http://HOST:9464", format!("http://{}", desk.address())),
            (
                "http://127.0.0.1:9464",
                format!("http://{}", desk.address()),
            ),
            ("http://127.0.0.1:9090", stack.prometheus().to_owned()),
            ("http://127.0.0.1:9091", gateway.url().to_owned()),
        ];
        place.servers = Some((desk, at_socket, stack, gateway));
        place
    }

    /// The folder that stands for the workspace.
    pub(crate) fn folder(&self) -> &Path {
        self.workspace.path()
    }

    /// Runs a script until something in it fails; the calls that were written down, or what was said.
    pub(crate) fn run(&self, script: &str) -> Result<Vec<Call>, String> {
        let mut script = script.to_owned();
        for (written, there) in &self.addresses {
            script = script.replace(written, there);
        }
        let calls = tempfile::tempdir().unwrap();
        let output = Command::new(on_path("bash"))
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(self.workspace.path())
            .env_clear()
            .env("PATH", self.programs.path())
            .env("CALLS", calls.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}", output.status, said.trim()));
        }
        let mut calls: Vec<_> = fs::read_dir(calls.path())
            .unwrap()
            .map(|entry| self.call(&fs::read_to_string(entry.unwrap().path()).unwrap()))
            .collect();
        calls.sort();
        Ok(calls)
    }

    fn call(&self, text: &str) -> Call {
        let mut parts = text.split_terminator('\0').map(str::to_owned);
        let folder = PathBuf::from(parts.next().unwrap());
        Call {
            folder: folder
                .strip_prefix(self.workspace.path())
                .unwrap_or(&folder)
                .to_owned(),
            program: parts.next().unwrap(),
            arguments: parts.collect(),
        }
    }
}

/// A desk that is built already, at a socket too. It stays in the first of its days: all it has to do is to answer.
fn desk_at(socket: &Path) -> Process {
    let mut desk = Command::new(built("trading-desk").unwrap());
    desk.args(["--listen", "127.0.0.1:0", "--pace", "1h"])
        .env("OBS_LISTEN", "127.0.0.1:0")
        .env("OBS_UNIX_SOCKET", socket);
    let mut desk = Process::start(&mut desk).unwrap();
    let serves = |line: &str| line.starts_with("metrics").then_some(());
    desk.wait_for("where its metrics are", serves).unwrap();
    desk
}

fn on_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{program} is not on the PATH"))
}

/// Copies what people wrote; what programs made of it stays.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(path).unwrap(), target).unwrap();
        } else if !kind.is_dir() {
            fs::copy(path, target).unwrap();
        } else if entry.file_name() != "target" && entry.file_name() != ".git" {
            fs::create_dir(&target).unwrap();
            copy(&path, &target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_reads_a_script_and_what_does_not_run_is_written_down() {
        let place = Place::quiet();
        let script =
            "cd deploy\nWHAT='a b'\ndocker compose \\\n  up \"$WHAT\" | cat  # why\ncargo fmt";
        let call = |folder: &str, program: &str, arguments: &[&str]| Call {
            folder: folder.into(),
            program: program.to_owned(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        };
        assert_eq!(
            place.run(script).unwrap(),
            [
                call("deploy", "cargo", &["fmt"]),
                call("deploy", "docker", &["compose", "up", "a b"]),
            ]
        );
    }

    #[test]
    fn what_fails_is_told() {
        let place = Place::quiet();
        for (script, told) in [
            ("cp deploy/env.tmpl deploy/.env", "env.tmpl"),
            (
                "promtool check rules deploy/prometheus/gone.yml | cat",
                "gone.yml",
            ),
            (
                "curl --silent http://127.0.0.1:1/metrics | wc -c",
                "exit status: 7",
            ),
            ("curl --slient http://127.0.0.1:1", "--slient"),
            ("echo $UNSET", "UNSET"),
            ("systemctl restart desk", "systemctl: command not found"),
        ] {
            let said = place.run(script).unwrap_err();
            assert!(said.contains(told), "{script}: {said}");
        }
    }
}
