//! What the whole-pipeline tests share: programs that nobody here wrote, and processes that end with their owner.
//!
//! The programs are Prometheus' own `promtool` and Python's `prometheus_client`. [`tools`] finds them, and
//! [`tools::install`] puts them under `target/`, which is what `cargo xtask test` does first.

mod error;
mod process;
mod promtool;
mod python;
pub mod tools;

pub use crate::error::Error;
pub use crate::process::Process;
pub use crate::promtool::{Verdict, check_metrics};
pub use crate::python::{PythonFamily, PythonParser, PythonSample};
