//! Holds the dead man's switch of `obstool agent` to what it promises, under full load of every core:
//!
//! ```sh
//! cargo run --package obstool --example switch_soak -- 600
//! ```
//!
//! The argument is for how many seconds. A process beats every 50 ms with a time-out of a second, as many processes as there are cores do
//! nothing but compute, and every ten seconds either the process is stopped for two seconds, which the agent has to tell once, or the
//! agent itself for three, which it must not take for a hang of the process. At the end it says how many hangs were made and told, how
//! much later than the time-out, and how many were told that were none.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use obs_recorder::{Engine, HeartbeatOptions, MemoryOptions};

/// How often something is stopped.
const TURN: Duration = Duration::from_secs(10);
const LOOP_STOPS: Duration = Duration::from_secs(2);
const AGENT_STOPS: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("agent") => {
            ends_with_its_parent();
            return obstool::main(&[]);
        }
        Some("loop") => beat(Path::new(&arguments[1])),
        Some("compute") => {
            thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
            orphaned();
            Ok(true)
        }
        seconds => soak(seconds.unwrap_or("600")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until the process that started this one is gone: it holds the other end.
fn orphaned() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn ends_with_its_parent() {
    thread::spawn(|| {
        orphaned();
        std::process::exit(0)
    });
}

/// A loop that is watched.
fn beat(path: &Path) -> Result<bool, Box<dyn Error>> {
    ends_with_its_parent();
    let options = MemoryOptions::default().any_file_system(true);
    let engine = Engine::builder().memory(path, options).build()?;
    let options = HeartbeatOptions::default().timeout(TIMEOUT);
    let heartbeat = engine.heartbeat("soak", options)?;
    loop {
        heartbeat.beat();
        thread::sleep(Duration::from_millis(50));
    }
}

fn soak(seconds: &str) -> Result<bool, Box<dyn Error>> {
    let seconds = Duration::from_secs(seconds.parse()?);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("soak.obs");
    let cores = thread::available_parallelism()?.get();
    let watched = start(&["loop", &path.display().to_string()])?;
    let computing: Result<Vec<_>, _> = (0..cores).map(|_| start(&["compute"])).collect();
    let _computing = computing?;
    let place = folder.path().display().to_string();
    let mut agent = start(&["agent", &place, "--listen", "127.0.0.1:0"])?;
    let told = told(&mut agent);
    println!("{cores} cores are busy for {} s", seconds.as_secs());

    let (start, mut made, mut late, mut stops) = (Instant::now(), 0, Vec::new(), 0);
    let (mut invented, mut missed) = (0, 0);
    // Until the agent has found the file.
    thread::sleep(Duration::from_secs(2));
    while start.elapsed() + TURN <= seconds {
        let turn = Instant::now();
        if made > stops {
            stops += 1;
            agent.stop(AGENT_STOPS)?;
        } else {
            made += 1;
            // What came before was none.
            invented += told.try_iter().count();
            watched.stop(LOOP_STOPS)?;
            // One word of it comes in time, or never.
            let seen: Vec<f64> = told.try_iter().collect();
            missed += usize::from(seen.is_empty());
            invented += seen.len().saturating_sub(1);
            late.extend(seen.first().map(|seen| seen - TIMEOUT.as_secs_f64()));
        }
        thread::sleep(TURN.saturating_sub(turn.elapsed()));
    }
    thread::sleep(TIMEOUT);
    invented += told.try_iter().count();
    late.sort_by(f64::total_cmp);
    println!("hangs made: {made}; told: {}; missed: {missed}", late.len());
    println!("told that were none: {invented}, while the agent was stopped {stops} times");
    if let (Some(half), Some(last)) = (late.get(late.len() / 2), late.last()) {
        println!("later than the time-out: half of them {half:.3} s, at most {last:.3} s");
    }
    Ok(missed == 0 && invented == 0)
}

/// For how many seconds there was no beat, with each hang that the agent tells.
fn told(agent: &mut Started) -> Receiver<f64> {
    let (send, told) = channel();
    let output = agent.0.stderr.take();
    thread::spawn(move || {
        for line in output
            .into_iter()
            .flat_map(|output| BufReader::new(output).lines())
        {
            let Ok(line) = line else { return };
            let seconds = line
                .split_once("no beat for ")
                .and_then(|(_, rest)| rest.split_once(" s"))
                .and_then(|(seconds, _)| seconds.parse().ok());
            if let Some(seconds) = seconds
                && send.send(seconds).is_err()
            {
                return;
            }
        }
    });
    told
}

/// A copy of this program with another task, which ends with this one.
struct Started(Child);

fn start(arguments: &[&str]) -> Result<Started, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    if arguments[0] == "agent" {
        command.stderr(Stdio::piped());
    }
    Ok(Started(command.spawn()?))
}

impl Started {
    /// Halts it for some time.
    fn stop(&self, time: Duration) -> Result<(), Box<dyn Error>> {
        self.signal("STOP")?;
        thread::sleep(time);
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let pid = self.0.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &pid]).status()?;
        kill.success()
            .then_some(())
            .ok_or_else(|| "kill fails".into())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
