//! What the whole-pipeline tests and `xtask` share: programs that nobody here wrote, and processes that end with their owner.
//!
//! [`Desk`] is the sample desk as its users run it, [`Quoter`] a service of another team.
//!
//! [`Stack`] is Prometheus and Alertmanager as `deploy/` has them, and [`Receiver`] who is alerted. [`Agent`] and [`Storage`] are
//! what stands beside many desks, and what keeps what all of them send; a [`Collector`] stands beside desks of teams that have one.
//!
//! The programs are Prometheus, its `promtool`, its Alertmanager, its Pushgateway, Python with some packages,
//! and TypeScript with the types of Grafana and Perses. [`tools`] finds them, and
//! [`tools::install`] puts them under `target/`, which is what `cargo xtask test` does first.

mod agent;
mod ask;
mod built;
mod collector;
mod desk;
mod error;
mod grafana;
mod guard;
mod perses;
mod process;
mod promtool;
mod pushgateway;
mod python;
mod quoter;
mod receiver;
mod scrape;
mod stack;
mod storage;
mod terminal;
mod time_server;
pub mod tools;
mod total;
mod typescript;
mod watcher;

pub use crate::agent::{Agent, Scraper};
pub use crate::ask::{ask, ask_at};
pub use crate::built::{built, built_example, cargo, without_package};
pub use crate::collector::Collector;
pub use crate::desk::Desk;
pub use crate::error::Error;
pub use crate::grafana::grafana_says;
pub use crate::perses::perses_says;
pub use crate::process::Process;
pub use crate::promtool::{Verdict, check_metrics};
pub use crate::pushgateway::Pushgateway;
pub use crate::python::{PythonExemplar, PythonFamily, PythonParser, PythonSample, python_says};
pub use crate::quoter::{Quoter, foreign_xtask};
pub use crate::receiver::{Notification, Receiver};
pub use crate::scrape::scrape;
pub use crate::stack::{Manner, Stack, Target};
pub use crate::storage::{Keeper, Storage};
pub use crate::terminal::{Color, Screen, Terminal};
pub use crate::time_server::TimeServer;
pub use crate::total::Total;
pub use crate::watcher::{Watched, Watcher};

/// The examples of the guides are compiled and run as tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../../docs/API.md")]
    struct Api;
    #[doc = include_str!("../../docs/METRICS_GUIDE.md")]
    struct MetricsGuide;
    #[doc = include_str!("../../docs/DEPLOYMENT.md")]
    struct Deployment;
    #[doc = include_str!("../../docs/MIGRATING.md")]
    struct Migrating;
    #[doc = include_str!("../../docs/COMPATIBILITY.md")]
    struct Compatibility;
    #[doc = include_str!("../../docs/TRADING.md")]
    struct Trading;
    #[doc = include_str!("../../docs/OPERATIONS.md")]
    struct Operations;
    #[doc = include_str!("../../docs/OBSTOOL.md")]
    struct Obstool;
}
