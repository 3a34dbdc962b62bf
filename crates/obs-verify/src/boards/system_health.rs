//! Processes, hosts and their runtimes.

use crate::dashboard::{Dashboard, Row, Scope, bars, lines, row, stat, switches, table};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "system-health".to_owned(),
        title: "System health".to_owned(),
        description: "Whether processes, hosts and the metrics themselves are well.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            glance(),
            processes(),
            watched(),
            hosts(),
            runtime(),
            metrics(),
            series(),
        ],
    }
}

fn glance() -> Row {
    row("Are we all right?", [
        stat("Up", "The share of the last day that processes answered scrapes, of the service that did so least.")
            .ask("min(service:up:avg_over_time1d{@})", "")
            .below(0.999, 0.99)
            .act("DeskDown, DeskCrashLooping, ProcessRestarting"),
        stat("Free memory", "What is available on the host that has the least.")
            .ask("min(system_memory_available_bytes{@} / system_memory_total_bytes{@})", "")
            .below(0.2, 0.1)
            .act("HostMemoryLow, ProcessMemoryHigh"),
        stat("Fullest disk", "What is free on it.")
            .ask("min(system_disk_available_bytes{@} / system_disk_total_bytes{@})", "")
            .below(0.2, 0.05)
            .act("DiskAlmostFull, DiskFillingUp"),
        stat("CPU", "How busy the busiest host is.")
            .ask("max(system_cpu_usage_ratio{@})", "")
            .above(0.8, 0.95)
            .act("HostCpuSaturated"),
        stat("Descriptors", "The share of file descriptors in use, where it is highest.")
            .ask("max(process_open_fds{@} / process_max_fds{@})", "")
            .above(0.5, 0.8)
            .act("FileDescriptorsNearLimit"),
        stat("Panics, last hour", "Panics of all threads and tasks.")
            .ask("sum(increase(panics_total{@}[1h]))", "")
            .above(1.0, 1.0)
            .act("ProcessPanicked"),
        stat("Folded, last hour", "Lookups that were folded into `other` because a budget of series was used up.")
            .ask("sum(increase(obs_series_overflow_total{@}[1h]))", "")
            .above(1.0, 1000.0)
            .act("SeriesOverflow"),
        stat("Lost, last hour", "Samples that were no numbers, or out of range.")
            .ask("sum(increase(obs_samples_rejected_total{@}[1h]))", "")
            .above(1.0, 1000.0)
            .act("SamplesRejected"),
    ])
}

fn processes() -> Row {
    row(
        "Processes",
        [
            lines("Memory", "Resident and virtual memory.")
                .ask(
                    "sum by (instance) (process_resident_memory_bytes{@})",
                    "{{instance}} resident",
                )
                .ask(
                    "sum by (instance) (process_virtual_memory_bytes{@})",
                    "{{instance}} virtual",
                ),
            lines("CPU by process", "Processors' worth of time.").ask(
                "sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))",
                "{{instance}}",
            ),
            lines("Threads and descriptors", "A rise without end is a leak.")
                .ask(
                    "sum by (instance) (process_threads{@})",
                    "{{instance}} threads",
                )
                .ask(
                    "sum by (instance) (process_open_fds{@})",
                    "{{instance}} descriptors",
                ),
            lines("Since the start", "A line that falls to 0 is a restart.").ask(
                "clamp_min(time() - max by (instance) (process_start_time_seconds{@}), 0)",
                "{{instance}}",
            ),
        ],
    )
}

/// What `obstool agent` sees of processes from outside. Most installations have none.
fn watched() -> Row {
    row("Watched by an agent", [
        switches("Alive", "When a process of each name lived, as the lock of its file says. One that is stopped lives.")
            .ask("clamp_max(max by (#, process) (obs_process_up{@}), 1)", "{{process}}"),
        lines("Hung loops", "For how long each watched loop has not beaten, beyond its time-out. It is 0 while it beats, and nothing while it is not armed.")
            .ask("max by (#, process, loop) (obs_process_hung_seconds{@})", "{{process}} {{loop}}")
            .above(0.05, 0.05)
            .act("ProcessHung, BacktestHung"),
        table("Mapped processes", "How many of each name live, how many dead ones are not yet part of the totals, and how many files lack something.")
            .ask("max by (#, process) (obs_process_up{@})", "alive")
            .ask("max by (#, process) (obs_process_dead{@})", "dead")
            .ask("max by (#, process) (obs_process_incomplete{@})", "incomplete")
            .least("alive"),
        stat("Refused files", "Files of processes that an agent cannot read. Their processes are not watched.")
            .ask("sum(obs_agent_refused_files{@})", "")
            .above(1.0, 1.0)
            .act("MappedFileRefused"),
    ])
    .folded()
}

fn hosts() -> Row {
    row("Hosts", [
        lines("CPU of hosts", "The share of all processors in use.")
            .ask("max by (instance) (system_cpu_usage_ratio{@})", "{{instance}}")
            .above(0.8, 0.95)
            .act("HostCpuSaturated"),
        lines("Memory available", "What programs can still take.")
            .ask("min by (instance) (system_memory_available_bytes{@})", "{{instance}}"),
        bars("Disks", "The share that is free.")
            .ask("min by (instance, mountpoint) (system_disk_available_bytes{@} / system_disk_total_bytes{@})", "{{instance}} {{mountpoint}}")
            .below(0.2, 0.05)
            .act("DiskAlmostFull, DiskFillingUp"),
    ])
}

fn runtime() -> Row {
    row("Async runtime", [
        lines("Workers busy", "The share of time that workers run tasks; the number of workers is the most it can be.")
            .ask("sum by (instance) (rate(tokio_busy_seconds_total{@}[$__rate_interval]))", "{{instance}} busy")
            .ask("sum by (instance) (tokio_workers{@})", "{{instance}} workers"),
        lines("Tasks", "Tasks alive. A rise without end is a leak.")
            .ask("sum by (instance) (tokio_alive_tasks{@})", "{{instance}}"),
        lines("Tasks waiting", "Tasks in the global queue. Anything above a moment's work means that workers are blocked.")
            .ask("sum by (instance) (tokio_global_queue_depth{@})", "{{instance}}")
            .above(100.0, 1000.0)
            .act("RuntimeBacklog"),
    ])
}

fn metrics() -> Row {
    row("The metrics themselves", [
        lines("Scrape", "How long a scrape takes: the whole, and what the process spends on it.")
            .ask("max by (instance) (scrape_duration_seconds{@})", "{{instance}} whole")
            .ask("max by (instance) (obs_scrape_duration_seconds{@})", "{{instance}} process")
            .above(1.0, 5.0)
            .act("ScrapeSlow"),
        lines("Size of a scrape", "Bytes of the last one.")
            .ask("max by (instance) (obs_scrape_size_bytes{@})", "{{instance}}"),
        lines("Refused scrapes", "Scrapes and connections a second that were not answered, by why. A wrong credential is a slip in a configuration, or somebody who tries.")
            .ask("sum by (service, reason) (rate(obs_scrape_refused_total{@}[$__rate_interval]))", "{{service}} {{reason}}"),
    ])
    .folded()
}

fn series() -> Row {
    row(
        "Series",
        [table(
            "Largest families",
            "The twenty metrics with the most series in one process.",
        )
        .ask("topk(20, max by (metric) (obs_series{@}))", "series")],
    )
    .folded()
}
