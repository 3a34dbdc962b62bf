//! What is shown agrees with what the system says.

use std::fs;
use std::process::Command;

use obs_core::TestRecorder;
use obs_health::{Host, Panics, Runtime};

fn near(shown: f64, told: f64) -> bool {
    (shown / told - 1.0).abs() < 0.05
}

#[test]
fn memory_agrees_with_the_kernel() {
    let test = TestRecorder::new();
    test.run(Host::new).observe();
    let meminfo = fs::read_to_string("/proc/meminfo").expect("Linux");
    let kibibytes = |key: &str| -> f64 {
        let line = meminfo
            .lines()
            .find(|line| line.starts_with(key))
            .expect("a line of that name");
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse().ok())
            .expect("a number")
    };
    let shown = |name| test.gauge(name, &[]).expect("it is shown");
    assert!(near(
        shown("system_memory_total_bytes"),
        kibibytes("MemTotal:") * 1024.0
    ));
    assert!(near(
        shown("system_memory_available_bytes"),
        kibibytes("MemAvailable:") * 1024.0
    ));
}

#[test]
fn disks_agree_with_df() {
    let test = TestRecorder::new();
    test.run(Host::new).observe();
    let df = Command::new("df")
        .args(["--block-size=1", "--output=size,avail", "/"])
        .output()
        .expect("coreutils");
    let df = String::from_utf8(df.stdout).expect("text");
    let told: Vec<f64> = df
        .lines()
        .nth(1)
        .expect("a line")
        .split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect();
    let root = [("mountpoint", "/")];
    let shown = |name| test.gauge(name, &root).expect("it is shown");
    assert!(near(shown("system_disk_total_bytes"), told[0]));
    assert!(near(shown("system_disk_available_bytes"), told[1]));
}

#[test]
fn cpu_usage_is_undefined_until_there_are_two_readings() {
    let test = TestRecorder::new();
    test.run(Host::new).observe();
    assert!(
        test.gauge("system_cpu_usage_ratio", &[])
            .is_some_and(f64::is_nan)
    );
}

#[test]
fn the_runtime_shows_its_workers_and_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads");
    let test = TestRecorder::new();
    let shown = test.run(|| Runtime::of(runtime.handle().clone()));
    let tasks: Vec<_> = (0..3)
        .map(|_| runtime.spawn(std::future::pending::<()>()))
        .collect();
    shown.observe();
    assert_eq!(test.gauge("tokio_workers", &[]), Some(2.0));
    assert_eq!(test.gauge("tokio_alive_tasks", &[]), Some(3.0));
    let before = test.counter("tokio_busy_seconds_total", &[]);
    runtime
        .block_on(
            runtime.spawn(async { (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>() }),
        )
        .expect("it ends");
    // A worker writes its time down when it parks; another task it takes up proves nothing, so the runtime is ended.
    let handle = runtime.handle().clone();
    drop((tasks, runtime));
    let later = test.run(|| Runtime::of(handle));
    later.observe();
    assert!(test.counter("tokio_busy_seconds_total", &[]) > before);
}

#[test]
fn panics_are_counted_and_handed_on() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    let handed_on = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&handed_on);
    std::panic::set_hook(Box::new(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
    }));
    let test = TestRecorder::new();
    test.run(|| Panics::count("gateway"));
    let caught = std::thread::spawn(|| panic!("key SECRET"))
        .join()
        .expect_err("it panics");
    assert_eq!(
        caught.downcast_ref(),
        Some(&"key SECRET"),
        "the panic is unchanged"
    );
    assert_eq!(
        test.counter("panics_total", &[("component", "gateway")]),
        Some(1)
    );
    assert_eq!(handed_on.load(Ordering::SeqCst), 1);
    assert!(!format!("{test:?}").contains("SECRET"));
}
