//! The families of the exporter: the application, the process, and the scrape itself.

use std::time::{Duration, Instant};

use metrics_process::collector;
use obs_core::{
    By, Catalogue, CatalogueError, Counter, ErrorMetrics, Figure, Gauge, Group, OTHER, Reading,
    Severity, TimeCounter, Unit, Worse,
};

use crate::AppInfo;

obs_core::label! {
    /// The package that runs.
    open AppName as "name" up to 1
}
obs_core::label! {
    /// Its version.
    open AppVersion as "version" up to 1
}
obs_core::label! {
    /// The compiler it was built by.
    open RustVersion as "rust_version" up to 1
}
obs_core::label! {
    /// The commit it was built from; `unknown` where nobody said.
    open GitCommit as "git_commit" up to 1
}

obs_core::label! {
    /// Why somebody was not served metrics.
    pub(crate) enum Refused as "reason" {
        /// The request had no `Authorization`.
        NoCredential = "no_credential",
        /// Its credential is not the configured one.
        WrongCredential = "wrong_credential",
        /// It came from outside of the allowed networks.
        Address = "address",
        /// As many scrapes as may be were under way.
        Busy = "busy",
        /// As many connections as may be were open, and this one gave way.
        Connections = "connections",
        /// The TLS handshake failed, such as for want of a client's certificate.
        Tls = "tls",
        /// The client was too slow in asking or in reading the answer.
        Slow = "slow",
    }
}

/// What runs, and what it takes of its machine.
const SYSTEM: Group = Group::new("System").rank(Group::SYSTEM).figures(&[
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
]);

/// The metrics about the metrics.
const METRICS: Group = Group::new("Metrics")
    .rank(Group::PIPELINE)
    .figures(&[
        Figure::value("Scrape", Reading::sum(ScrapeMetrics::duration))
            .facts(&[("size", Reading::sum(ScrapeMetrics::size))]),
    ]);

obs_core::families! {
    group SYSTEM;

    /// What runs.
    struct AppMetrics(name: AppName, version: AppVersion, rust_version: RustVersion, git_commit: GitCommit) {
        /// The application and what it was built with; always 1.
        info: Gauge = "app_info",
    }
}

obs_core::families! {
    group SYSTEM;

    /// The process, as the operating system accounts for it. A value that the system does not give is `NaN`.
    struct ProcessMetrics {
        /// Time since the exporter was set up.
        uptime: Gauge = "app_uptime_seconds",
        /// When the process started.
        start_time: Gauge = "process_start_time_seconds" { unit: Unit::Timestamp },
        /// Memory of the process that is in RAM.
        resident_memory: Gauge = "process_resident_memory_bytes",
        /// Address space of the process.
        virtual_memory: Gauge = "process_virtual_memory_bytes",
        /// CPU time of the process, its own and the system's on its behalf.
        cpu: TimeCounter = "process_cpu_seconds_total",
        /// Open file descriptors.
        open_fds: Gauge = "process_open_fds",
        /// The most file descriptors the process may open.
        max_fds: Gauge = "process_max_fds",
        /// Threads of the process.
        threads: Gauge = "process_threads",
    }
}

obs_core::families! {
    group METRICS;

    /// The scrape before this one; `NaN` in the first.
    struct ScrapeMetrics {
        /// Time the previous scrape took to collect and render.
        duration: Gauge = "obs_scrape_duration_seconds",
        /// Size of the previous scrape, before compression.
        size: Gauge = "obs_scrape_size_bytes",
    }
}

obs_core::families! {
    group METRICS;

    /// What is not as it should be with the program's own metrics.
    struct FindingMetrics {
        /// Families that were recorded and that nobody declares: third parties' as a rule.
        undeclared: Gauge = "obs_undeclared_families",
        /// Handles that were built before the recorder was installed. They record nothing.
        dead: Gauge = "obs_dead_handles",
    }
}

obs_core::families! {
    group METRICS;

    /// Who was turned away.
    pub(crate) struct EndpointMetrics {
        /// Scrapes and connections that were refused or cut off.
        pub(crate) refused: By<Refused, Counter> = "obs_scrape_refused_total",
    }
}

/// The families of `obs-core` and of this crate. Every exporter has them in its catalogue already.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    let own = Catalogue::of(&[
        AppMetrics::FAMILIES,
        ProcessMetrics::FAMILIES,
        ScrapeMetrics::FAMILIES,
        FindingMetrics::FAMILIES,
        EndpointMetrics::FAMILIES,
    ]);
    Catalogue::join([obs_core::catalogue(), own])
}

/// The exporter's own handles.
#[derive(Debug)]
pub(crate) struct Own {
    since: Instant,
    process: ProcessMetrics,
    scrape: ScrapeMetrics,
    findings: FindingMetrics,
    errors: ErrorMetrics,
}

/// What went wrong when a reading before a scrape panicked.
const READING_PANICKED: &str = "reading_panicked";

impl Own {
    /// Resolves the handles from the recorder that is current.
    pub(crate) fn new(app: &AppInfo, git_commit: Option<&str>) -> Self {
        let git_commit = app.git_commit.or(git_commit).unwrap_or("unknown");
        AppMetrics::new(app.name, app.version, AppInfo::RUST_VERSION, git_commit)
            .info
            .set(1);
        let scrape = ScrapeMetrics::new();
        scrape.duration.set_undefined();
        scrape.size.set_undefined();
        let errors = ErrorMetrics::new("exporter");
        // Counted from 0 on, so that the first one is a rise; as are lookups of families that are one too many.
        errors.errors.of(READING_PANICKED);
        let _ = metrics::counter!("obs_series_overflow_total", "metric" => OTHER);
        Self {
            since: Instant::now(),
            process: ProcessMetrics::new(),
            scrape,
            findings: FindingMetrics::new(),
            errors,
        }
    }

    /// Notes how many handles were built too early.
    pub(crate) fn found_dead(&self, handles: usize) {
        self.findings.dead.set(handles as f64);
    }

    /// Notes that a reading before a scrape panicked.
    pub(crate) fn reading_panicked(&self) {
        self.errors.count_as(READING_PANICKED, Severity::Error);
    }

    /// Reads what is shown as it is at the time of the scrape.
    pub(crate) fn refresh(&self, undeclared_families: usize) {
        self.findings.undeclared.set(undeclared_families as f64);
        let (to, found) = (&self.process, collector::collect());
        to.uptime.set(self.since.elapsed());
        set(&to.start_time, found.start_time_seconds);
        set(&to.resident_memory, found.resident_memory_bytes);
        set(&to.virtual_memory, found.virtual_memory_bytes);
        set(&to.open_fds, found.open_fds);
        // 0 stands for "no limit". It is shown as the kernel's own number for that, so that the share in use is about 0.
        set(
            &to.max_fds,
            found
                .max_fds
                .map(|limit| if limit == 0 { u64::MAX } else { limit }),
        );
        set(&to.threads, found.threads);
        let cpu = found.cpu_seconds_total.map(Duration::try_from_secs_f64);
        if let Some(Ok(cpu)) = cpu {
            to.cpu.absolute(cpu);
        }
    }

    /// Notes what a scrape cost, for the next one to show.
    pub(crate) fn scraped(&self, took: Duration, bytes: usize) {
        self.scrape.duration.set(took);
        self.scrape.size.set(bytes as f64);
    }
}

fn set(gauge: &Gauge, value: Option<u64>) {
    match value {
        Some(value) => gauge.set(value as f64),
        None => gauge.set_undefined(),
    }
}
