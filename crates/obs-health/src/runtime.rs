//! Tokio's runtime: workers, tasks, queue, time at work.

use std::time::Duration;

use obs_core::{Gauge, TimeCounter};
use tokio::runtime::Handle;

use crate::SYSTEM;

obs_core::families! {
    group SYSTEM;

    /// The async runtime.
    pub struct RuntimeMetrics {
        /// Worker threads.
        pub workers: Gauge = "tokio_workers",
        /// Tasks that were spawned and have not ended.
        pub alive_tasks: Gauge = "tokio_alive_tasks",
        /// Tasks that wait for any worker.
        pub global_queue_depth: Gauge = "tokio_global_queue_depth",
        /// Time the workers spent at work, all together. Its rate over `tokio_workers` is their utilisation.
        pub busy: TimeCounter = "tokio_busy_seconds_total",
    }
}

/// Reads one runtime.
#[derive(Debug)]
pub struct Runtime {
    metrics: RuntimeMetrics,
    handle: Handle,
}

impl Runtime {
    /// The runtime this is called in.
    ///
    /// # Panics
    ///
    /// Outside a runtime, as [`Handle::current`] does; [`of`](Self::of) takes any handle.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::of(Handle::current())
    }

    /// The runtime of that handle.
    #[must_use]
    #[track_caller]
    pub fn of(handle: Handle) -> Self {
        Self {
            metrics: RuntimeMetrics::new(),
            handle,
        }
    }

    /// Reads the runtime's own counters: a few atomic loads for each worker.
    pub fn observe(&self) {
        let found = self.handle.metrics();
        self.metrics.workers.set(found.num_workers() as f64);
        self.metrics.alive_tasks.set(found.num_alive_tasks() as f64);
        self.metrics
            .global_queue_depth
            .set(found.global_queue_depth() as f64);
        let busy: Duration = (0..found.num_workers())
            .map(|w| found.worker_total_busy_duration(w))
            .sum();
        self.metrics.busy.absolute(busy);
    }
}
