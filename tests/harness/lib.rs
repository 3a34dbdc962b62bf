//! What the whole-pipeline tests and `xtask` share: programs that nobody here wrote, and processes that end with their owner.
//!
//! [`Desk`] is the sample desk as its users run it.
//!
//! The programs are Prometheus' own `promtool` and Python's `prometheus_client`. [`tools`] finds them, and
//! [`tools::install`] puts them under `target/`, which is what `cargo xtask test` does first.

mod desk;
mod error;
mod process;
mod promtool;
mod python;
mod scrape;
pub mod tools;

pub use crate::desk::Desk;
pub use crate::error::Error;
pub use crate::process::Process;
pub use crate::promtool::{Verdict, check_metrics};
pub use crate::python::{PythonExemplar, PythonFamily, PythonParser, PythonSample};
pub use crate::scrape::scrape;

/// The examples of the guides are compiled and run as tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../../docs/METRICS_GUIDE.md")]
    struct MetricsGuide;
    #[doc = include_str!("../../docs/TRADING.md")]
    struct Trading;
}
