//! The health of host, runtime and program: disks, memory and CPU, Tokio's workers, panics, and errors that are logged.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use obs_health::{Host, Panics, Runtime};
//!
//! // Start-up, after the exporter was installed.
//! Panics::count("gateway");
//! let (host, runtime) = (Host::new(), Runtime::current());
//!
//! // Before each scrape; with obs-exporter: exporter.on_scrape(move || { host.observe(); runtime.observe(); });
//! host.observe();
//! runtime.observe();
//! # }
//! ```
//!
//! Everything is read when a scrape asks for it and no more often than it changes: see [`Host::observe`]. What the process
//! itself uses is shown by `obs-exporter`, which serves it for every program; errors a program counts itself are
//! `obs_core::ErrorMetrics`. This crate is for what needs a library to be read: it stands apart so that no domain crate
//! carries `sysinfo`, `tokio` or `tracing` because of it.
//!
//! Errors that a library only logs are counted by a `tracing` layer, [`LoggedErrors`] (feature `tracing`).

mod host;
#[cfg(feature = "tracing")]
mod logged;
mod panics;
mod runtime;

use obs_core::{Catalogue, Group};

pub use crate::host::{Host, HostMetrics, Mountpoint};
#[cfg(feature = "tracing")]
pub use crate::logged::LoggedErrors;
pub use crate::panics::{PanicMetrics, Panics};
pub use crate::runtime::{Runtime, RuntimeMetrics};

/// What the program runs on, together with its process, which the exporter measures.
const SYSTEM: Group = Group::new("System").rank(Group::SYSTEM);

/// Every family of this crate.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue::of(&[
        HostMetrics::FAMILIES,
        RuntimeMetrics::FAMILIES,
        PanicMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
