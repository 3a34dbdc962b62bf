//! The dead man's switch of `obstool agent`: a loop that is stopped, goes on, is killed, and an agent that is stopped itself.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use obs_memory::Heartbeats;
use obs_recorder::{Engine, HeartbeatOptions, MemoryOptions};
use obs_tests::Process;
use tempfile::TempDir;

/// The variable that makes this program a desk.
const DESK: &str = "SWITCH_TEST_DESK";
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long something may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Beats until it is killed.
fn run(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let engine = Engine::builder().memory(path, options).build().unwrap();
    let options = HeartbeatOptions::default().timeout(TIMEOUT);
    let quotes = engine.heartbeat("quotes", options).unwrap();
    let idle = engine.heartbeat("idle", options).unwrap();
    assert!(idle.is_watched());
    quotes.beat();
    println!("\nbeating");
    std::io::stdout().flush().unwrap();
    loop {
        quotes.beat();
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Desk(Child);

impl Desk {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_loop_that_hangs_is_acted_on_once",
                "--nocapture",
            ])
            .env(DESK, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "beating"));
        Self(child)
    }

    fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let kill = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(kill.unwrap().success());
}

fn agent(folder: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
    command
        .args(["agent", "--listen", "127.0.0.1:0", "--keep", "60"])
        .arg(folder.path())
        .args(more);
    command
}

/// Waits for something that comes by itself.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// For how many seconds a loop hangs, as the agent shows it.
fn hung(url: &str, name: &str) -> Option<f64> {
    let text = obs_tests::scrape(url).unwrap();
    let scrape = obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let labels = [("loop", name), ("process", "desk")];
    scrape.value("obs_process_hung_seconds", &labels)
}

/// The lines that the commands have written.
fn acted(log: &PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What is posted, as JSON; answers once.
fn posted(listener: &TcpListener) -> serde_json::Value {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_loop_that_hangs_is_acted_on_once() {
    if let Some(path) = std::env::var_os(DESK) {
        run(Path::new(&path));
    }
    let folder = TempDir::new().unwrap();
    let (path, log) = (folder.path().join("desk.obs"), folder.path().join("log"));
    let desk = Desk::start(&path);
    let webhook = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/flatten", webhook.local_addr().unwrap());
    let command = format!(
        "echo \"$HUNG_PROCESS $HUNG_LOOP $HUNG_PID $HUNG_ALIVE\" >> {}",
        log.display()
    );
    let more = ["--on-hang", &command, "--on-hang-url", &url];
    let mut agent = Process::start(&mut agent(&folder, &more)).unwrap();
    let url = agent
        .wait_for("where it serves", |line| {
            line.starts_with("http://").then(|| line.trim().to_owned())
        })
        .unwrap();
    let beats = |seconds: Option<f64>| seconds == Some(0.0);
    wait_for("the loop", || beats(hung(&url, "quotes")).then_some(()));
    assert!(hung(&url, "idle").unwrap().is_nan(), "it is not armed");

    // An agent that is stopped for longer than the time-out sees no hang when it goes on.
    signal(agent.id(), "STOP");
    let (reader, stopped) = (Heartbeats::open(&path).unwrap(), Heartbeats::now());
    let whole_while = u64::try_from(3 * TIMEOUT.as_nanos()).unwrap();
    let quotes = || reader.read().unwrap()[0].beat;
    wait_for("beats", || {
        quotes().filter(|beat| *beat > stopped + whole_while)
    });
    signal(agent.id(), "CONT");
    wait_for("beats", || beats(hung(&url, "quotes")).then_some(()));
    assert_eq!(acted(&log), [""; 0]);

    let pid = desk.0.id();
    desk.signal("STOP");
    let first = posted(&webhook);
    assert_eq!(first["process"], "desk");
    assert_eq!(
        (&first["loop"], &first["pid"]),
        (&"quotes".into(), &pid.into())
    );
    assert_eq!(first["is_alive"], true);
    assert!(
        first["silent_seconds"].as_f64() >= Some(TIMEOUT.as_secs_f64()),
        "{first}"
    );
    wait_for("the command", || (acted(&log).len() == 1).then_some(()));
    wait_for("what it shows", || {
        hung(&url, "quotes").filter(|seconds| *seconds >= 2.0 * TIMEOUT.as_secs_f64())
    });
    desk.signal("CONT");
    wait_for("beats", || beats(hung(&url, "quotes")).then_some(()));
    // A process that dies does not beat any more, either.
    drop(desk);
    let second = posted(&webhook);
    assert_eq!(
        (&second["pid"], &second["is_alive"]),
        (&pid.into(), &false.into())
    );
    let lines = [
        format!("desk quotes {pid} 1"),
        format!("desk quotes {pid} 0"),
    ];
    wait_for("the command", || (acted(&log) == lines).then_some(()));
    // Nor where its file cannot be read any more.
    let shown = hung(&url, "quotes").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(0).unwrap();
    wait_for("what it shows", || {
        hung(&url, "quotes").filter(|seconds| *seconds > shown + TIMEOUT.as_secs_f64())
    });
    // Until the next one takes over.
    let _again = Desk::start(&path);
    wait_for("beats", || beats(hung(&url, "quotes")).then_some(()));
    assert_eq!(acted(&log), lines);
}

#[test]
fn a_dry_run_says_what_it_would_have_done() {
    let folder = TempDir::new().unwrap();
    let desk = Desk::start(&folder.path().join("desk.obs"));
    let log = folder.path().join("log");
    let command = format!("touch {}", log.display());
    let more = ["--on-hang", &command, "--on-hang-dry-run"];
    let mut agent = agent(&folder, &more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stderr.take().unwrap()).lines();
    // The agent has seen it alive, or soon does: a process that is stopped lives.
    desk.signal("STOP");
    let mut wait = |what: &str| lines.any(|line| line.unwrap().contains(what));
    assert!(wait("hangs: no beat for"));
    assert!(wait("would have run"));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(!log.exists());
}
