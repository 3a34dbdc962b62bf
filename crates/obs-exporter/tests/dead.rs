//! Handles that were built before the recorder was installed: a process of its own, since it can have one recorder only.

use std::sync::{Arc, Mutex};

use obs_core::{By, Closed, Counter, Gauge, Outcome, TimeCounter, WarningKind};
use obs_exporter::Exporter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

obs_core::families! {
    /// What a worker does.
    struct WorkerMetrics {
        /// Jobs done.
        jobs: By<Outcome, Counter> = "worker_jobs_total",
        /// Time at work.
        busy: TimeCounter = "worker_busy_seconds_total",
        /// Jobs that wait.
        waiting: Gauge = "worker_waiting",
    }
}

#[obs_core::track_calls]
fn tracked() {}

/// Keeps the messages that are logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Layer<Registry> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, Registry>) {
        let mut text = String::new();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                if field.name() == "message" {
                    text = format!("{value:?}");
                }
            },
        );
        self.0.lock().unwrap().push(text);
    }
}

#[test]
fn handles_built_too_early_are_counted_and_their_place_is_named() {
    let log = Log::default();
    tracing_subscriber::registry().with(log.clone()).init();

    let dead = WorkerMetrics::new();
    let line = line!() - 1;
    dead.jobs[Outcome::Ok].increment(1);
    // Resolves its handles again at every call until there is a recorder.
    tracked();
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .install()
        .unwrap();
    tracked();
    let alive = WorkerMetrics::new();
    alive.busy.add(std::time::Duration::from_millis(1_500));

    let handles = Outcome::ALL.len() + 2;
    let scrape = obs_exposition::parse(&exporter.render()).unwrap();
    let service = ("service", env!("CARGO_PKG_NAME"));
    assert_eq!(
        scrape.value("obs_dead_handles", &[service]),
        Some(handles as f64)
    );
    assert_eq!(
        scrape.value("worker_jobs_total", &[service, ("outcome", "ok")]),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("worker_busy_seconds_total", &[service]),
        Some(1.5)
    );

    let warnings = exporter.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].kind, WarningKind::DeadHandles);
    let expected = format!(
        "metric handles that were built before the recorder was installed record nothing ({handles} of them): \
         install the exporter first, then build what is at crates/obs-exporter/tests/dead.rs:{line}"
    );
    assert_eq!(warnings[0].text, expected);
    assert!(
        log.0.lock().unwrap().contains(&expected),
        "{log:?}",
        log = log.0.lock().unwrap()
    );
}
