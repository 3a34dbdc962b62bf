//! The process, as the operating system accounts for it.

use std::time::Duration;

use metrics_process::collector;
use obs_core::{Figure, Gauge, Reading, TimeCounter, Unit, Worse};

use crate::own::SYSTEM;

/// What the program takes of its machine, at a glance.
pub(crate) const FIGURES: &[Figure] = &[
    Figure::rate("Processor", ProcessMetrics::cpu).facts(&[
        ("memory", Reading::sum(ProcessMetrics::resident_memory)),
        ("threads", Reading::sum(ProcessMetrics::threads)),
    ]),
    Figure::value("Memory", Reading::sum(ProcessMetrics::resident_memory))
        .facts(&[("virtual", Reading::sum(ProcessMetrics::virtual_memory))]),
    Figure::bar(
        "File descriptors",
        Reading::sum(ProcessMetrics::open_fds),
        Reading::sum(ProcessMetrics::max_fds),
    )
    .worse(Worse::Up),
];

obs_core::families! {
    group SYSTEM;

    /// The process, as the operating system accounts for it. A value that the system does not give is `NaN`.
    pub(crate) struct ProcessMetrics {
        /// When the process started.
        start_time: Gauge = "process_start_time_seconds" { unit: Unit::Timestamp },
        /// Memory of the process that is in RAM.
        resident_memory: Gauge = "process_resident_memory_bytes" { across: obs_core::Across::Sum },
        /// Address space of the process.
        virtual_memory: Gauge = "process_virtual_memory_bytes",
        /// CPU time of the process, its own and the system's on its behalf.
        cpu: TimeCounter = "process_cpu_seconds_total",
        /// Open file descriptors.
        open_fds: Gauge = "process_open_fds",
        /// The most file descriptors the process may open.
        max_fds: Gauge = "process_max_fds",
        /// Threads of the process.
        threads: Gauge = "process_threads" { across: obs_core::Across::Sum },
    }
}

impl ProcessMetrics {
    /// Reads what the system says now.
    pub(crate) fn refresh(&self) {
        let found = collector::collect();
        set(&self.start_time, found.start_time_seconds);
        set(&self.resident_memory, found.resident_memory_bytes);
        set(&self.virtual_memory, found.virtual_memory_bytes);
        set(&self.open_fds, found.open_fds);
        // 0 stands for "no limit". It is shown as the kernel's own number for that, so that the share in use is about 0.
        let limit = |limit| if limit == 0 { u64::MAX } else { limit };
        set(&self.max_fds, found.max_fds.map(limit));
        set(&self.threads, found.threads);
        let cpu = found.cpu_seconds_total.map(Duration::try_from_secs_f64);
        if let Some(Ok(cpu)) = cpu {
            self.cpu.absolute(cpu);
        }
    }
}

fn set(gauge: &Gauge, value: Option<u64>) {
    match value {
        Some(value) => gauge.set(value as f64),
        None => gauge.set_undefined(),
    }
}
