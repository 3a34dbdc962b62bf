//! Health of the host, the runtime and the program: disks, memory, CPU, a container's own bounds, Tokio's workers, panics, and logged
//! errors.
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
//! Values are read when a scrape asks for them, and no more often than they change: see [`Host::observe`]. `obs-exporter` exports what
//! the process itself uses, for every program, and errors that a program counts itself are `obs_core::ErrorMetrics`. This crate is
//! separate so that no domain crate depends on `sysinfo`, `tokio` or `tracing` because of it.
//!
//! Errors that a library only logs are counted by a `tracing` layer, [`LoggedErrors`] (feature `tracing`, on by default). The types of
//! `tokio::runtime` and `tracing_subscriber` in its interface are those of tokio 1 and tracing-subscriber 0.3.

mod container;
mod host;
#[cfg(feature = "tracing")]
mod logged;
mod panics;
mod runtime;

use obs_core::{Catalogue, Group};

pub use crate::container::ContainerMetrics;
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
        ContainerMetrics::FAMILIES,
        RuntimeMetrics::FAMILIES,
        PanicMetrics::FAMILIES,
    ])
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
