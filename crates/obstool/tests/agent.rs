//! `obstool agent`: what it serves of a process that runs, is stopped, is dead and is started again.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use obs_exposition::Exposition;
use obs_recorder::{Engine, MemoryOptions};
use obs_tests::Process;

/// The variable that makes this program a desk.
const DESK: &str = "AGENT_TEST_DESK";

/// Records a little, once, and waits to be killed.
fn record(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder()
        .global_label("service", "desk")
        .buckets("fill", &[0.5]);
    let engine = builder.memory(path, options).build().unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::describe_counter!("orders_total", "Orders\nof the \\ desk.");
        metrics::counter!("orders_total", "side" => "say \"buy\"").increment(5);
        metrics::gauge!("depth").set(-7.5);
        metrics::histogram!("fill").record(0.25);
        metrics::histogram!("fill").record(2.0);
        metrics::histogram!("summary").record(3.0);
    });
    println!("\nrecorded");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

struct Desk(Child);

impl Desk {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "dead_processes_stay_in_the_totals",
                "--nocapture",
            ])
            .env(DESK, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "recorded"));
        Self(child)
    }

    fn stop(&self) {
        let pid = self.0.id().to_string();
        let kill = Command::new("kill").args(["-s", "STOP", &pid]).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the agent serves, read strictly.
fn scrape(url: &str) -> Exposition {
    let text = obs_tests::scrape(url).unwrap();
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Orders, depth and whether the desk is up.
fn seen(scrape: &Exposition) -> (Option<f64>, Option<f64>, Option<f64>) {
    let all = [("process", "desk"), ("service", "desk")];
    let orders = [all[0], all[1], ("side", "say \"buy\"")];
    (
        scrape.value("orders_total", &orders),
        scrape.value("depth", &all),
        scrape.value("obs_process_up", &all[..1]),
    )
}

#[test]
fn dead_processes_stay_in_the_totals() {
    if let Some(path) = std::env::var_os(DESK) {
        record(Path::new(&path));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("desk.obs");
    std::fs::write(folder.path().join("stranger.obs"), "nothing of ours").unwrap();
    let desk = Desk::start(&path);
    let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
    command
        .args(["agent", "--listen", "127.0.0.1:0", "--keep", "2"])
        .arg(folder.path());
    let mut agent = Process::start(&mut command).unwrap();
    let url = agent
        .wait_for("where it serves", |line| {
            line.starts_with("http://").then(|| line.trim().to_owned())
        })
        .unwrap();

    let alive = scrape(&url);
    assert_eq!(seen(&alive), (Some(5.0), Some(-7.5), Some(1.0)));
    let all = [("process", "desk"), ("service", "desk")];
    assert_eq!(alive.value("fill_count", &all), Some(2.0));
    assert_eq!(alive.value("fill_sum", &all), Some(2.25));
    assert_eq!(alive.value("summary_count", &all), Some(1.0));
    let text = obs_tests::scrape(&url).unwrap();
    assert!(text.contains("stranger.obs holds no metrics"), "{text}");

    desk.stop();
    assert_eq!(seen(&scrape(&url)), (Some(5.0), Some(-7.5), Some(1.0)));
    drop(desk);
    assert_eq!(seen(&scrape(&url)), (Some(5.0), Some(-7.5), Some(0.0)));
    // Its gauges go in time, and its totals stay.
    let began = Instant::now();
    while seen(&scrape(&url)).1.is_some() {
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(seen(&scrape(&url)), (Some(5.0), None, Some(0.0)));
    let again = Desk::start(&path);
    assert_eq!(seen(&scrape(&url)), (Some(10.0), Some(-7.5), Some(1.0)));
    drop(again);
    assert_eq!(seen(&scrape(&url)), (Some(10.0), Some(-7.5), Some(0.0)));
}
