//! The families of the exporter: the application, the process, and the scrape itself.

use std::time::{Duration, Instant};

use obs_core::{
    By, Catalogue, CatalogueError, Counter, ErrorMetrics, Figure, Gauge, Group, OTHER, Reading,
    Severity,
};

#[cfg(feature = "process")]
use crate::process::FIGURES;
use crate::{AppInfo, Config};

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
pub(crate) const SYSTEM: Group = Group::new("System").rank(Group::SYSTEM).figures(FIGURES);

#[cfg(not(feature = "process"))]
const FIGURES: &[Figure] = &[];

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

    /// How long it has run.
    struct UptimeMetrics {
        /// Time since the exporter was set up.
        uptime: Gauge = "app_uptime_seconds",
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

    /// The file that outlives the process.
    struct MemoryMetrics {
        /// Whether all that is recorded is in the file of `OBS_MEMORY`: 0 where there was no memory for it. Only with that variable.
        mapped: Gauge = "obs_memory_mapped" { across: obs_core::Across::Min },
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

obs_core::families! {
    group METRICS;

    /// What the endpoint shows of itself.
    struct CertificateMetrics {
        /// When the first of the certificates that the endpoint serves with ends. Only where it serves with TLS.
        expiry: Gauge = "obs_certificate_expiry_timestamp_seconds",
    }
}

/// The families of `obs-core` and of this crate. Every exporter has them in its catalogue already.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    let own = Catalogue::of(&[
        AppMetrics::FAMILIES,
        UptimeMetrics::FAMILIES,
        #[cfg(feature = "process")]
        crate::process::ProcessMetrics::FAMILIES,
        ScrapeMetrics::FAMILIES,
        FindingMetrics::FAMILIES,
        MemoryMetrics::FAMILIES,
        EndpointMetrics::FAMILIES,
        CertificateMetrics::FAMILIES,
    ]);
    Catalogue::join([obs_core::catalogue(), own])
}

/// The exporter's own handles.
#[derive(Debug)]
pub(crate) struct Own {
    since: Instant,
    uptime: UptimeMetrics,
    #[cfg(feature = "process")]
    process: crate::process::ProcessMetrics,
    scrape: ScrapeMetrics,
    findings: FindingMetrics,
    /// Where there is to be a file.
    memory: Option<MemoryMetrics>,
    /// Where something is encrypted.
    certificate: Option<CertificateMetrics>,
    errors: ErrorMetrics,
}

/// What went wrong when something was not pushed.
#[cfg(any(feature = "push", feature = "otlp"))]
const PUSH_FAILED: &str = "push_failed";

/// What went wrong when a reading before a scrape panicked.
const READING_PANICKED: &str = "reading_panicked";

impl Own {
    /// Resolves the handles from the recorder that is current.
    pub(crate) fn new(app: &AppInfo, config: &Config) -> Self {
        let git_commit = app.git_commit.or(config.git_commit.as_deref());
        let git_commit = git_commit.unwrap_or("unknown");
        AppMetrics::new(app.name, app.version, AppInfo::RUST_VERSION, git_commit)
            .info
            .set(1);
        let scrape = ScrapeMetrics::new();
        scrape.duration.set_undefined();
        scrape.size.set_undefined();
        let errors = ErrorMetrics::new("exporter");
        // Counted from 0 on, so that the first one is a rise; as are lookups of families that are one too many.
        errors.errors.of(READING_PANICKED);
        #[cfg(any(feature = "push", feature = "otlp"))]
        if config.push_url.is_some() || config.otlp_url.is_some() {
            errors.errors.of(PUSH_FAILED);
        }
        let _ = metrics::counter!("obs_series_overflow_total", "metric" => OTHER);
        Self {
            since: Instant::now(),
            uptime: UptimeMetrics::new(),
            #[cfg(feature = "process")]
            process: crate::process::ProcessMetrics::new(),
            scrape,
            findings: FindingMetrics::new(),
            memory: config.memory.is_some().then(MemoryMetrics::new),
            certificate: config.tls_cert.is_some().then(CertificateMetrics::new),
            errors,
        }
    }

    /// Notes how many handles were built too early.
    pub(crate) fn found_dead(&self, handles: usize) {
        self.findings.dead.set(handles as f64);
    }

    /// Notes when the first of the endpoint's certificates ends, in seconds since 1970.
    pub(crate) fn certificate_ends(&self, at: f64) {
        if let Some(certificate) = &self.certificate {
            certificate.expiry.set(at);
        }
    }

    /// Notes whether everything is in the mapped file.
    pub(crate) fn memory_is_mapped(&self, is_mapped: bool) {
        if let Some(memory) = &self.memory {
            memory.mapped.set(f64::from(u8::from(is_mapped)));
        }
    }

    /// Notes that a reading before a scrape panicked.
    pub(crate) fn reading_panicked(&self) {
        self.errors.count_as(READING_PANICKED, Severity::Error);
    }

    /// Notes that a receiver took nothing: a warning where everything is sent again, an error where something is lost.
    #[cfg(any(feature = "push", feature = "otlp"))]
    pub(crate) fn push_failed(&self, severity: Severity) {
        self.errors.count_as(PUSH_FAILED, severity);
    }

    /// Reads what is shown as it is at the time of the scrape.
    pub(crate) fn refresh(&self, undeclared_families: usize) {
        self.findings.undeclared.set(undeclared_families as f64);
        self.uptime.uptime.set(self.since.elapsed());
        #[cfg(feature = "process")]
        self.process.refresh();
    }

    /// Notes what a scrape cost, for the next one to show.
    pub(crate) fn scraped(&self, took: Duration, bytes: usize) {
        self.scrape.duration.set(took);
        self.scrape.size.set(bytes as f64);
    }
}
