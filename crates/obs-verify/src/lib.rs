//! Holds what a service exports, its rules, dashboards and documents to its catalogue of metrics.
//!
//! A [`Catalog`] is data: read from `/catalog.json` of a running service, or made from the declarations of a program.
//! Everything else is held to it, and whatever falls short is a [`Finding`] with its kind, its place and its repair:
//!
//! - [`declared::check`] looks at the catalogue by itself.
//! - [`live::check`] holds an exposition to it: kinds, help, labels and their values, budgets, buckets, ranges.
//! - [`alone::check`] judges one without a catalogue.
//! - [`queries`] reads every query of rules, dashboards and documents, [`queried::check`] types them, [`asked::check`] puts them
//!   to a running Prometheus, and [`mentioned::check`] looks up the metrics that documents speak of.
//! - [`lint::check`] says which alerts fire when they should not, or stay silent when they should not.
//! - [`compare`] says in what two catalogues or two services differ.
//! - [`reference()`](reference::reference), [`objectives`], [`drawn`], [`boards`], [`dashboard`], [`alerts`], [`kubernetes`] and
//!   [`generated`] write what follows from a catalogue.
//!
//! ```
//! use obs_verify::exposition::Scraped;
//! use obs_verify::live::{self, Expect};
//! use obs_verify::{Catalog, Fault};
//!
//! let catalog = Catalog::from(&obs_core::catalogue());
//! let scraped = Scraped::read("# TYPE errors_total gauge\nerrors_total 1\n");
//! let findings = live::check(&catalog, &scraped, Expect::SoFar);
//! assert_eq!(findings[0].fault, Fault::Kind);
//! assert_eq!(findings[0].problem, "is exported as a gauge, and declared as a counter");
//! ```
//!
//! It reads files and speaks to nobody: the program `obstool` fetches what is to be checked.

pub mod alerts;
pub mod alone;
pub mod asked;
pub mod boards;
pub mod catalog;
pub mod compare;
pub mod dashboard;
pub mod declared;
pub mod drawn;
mod error;
pub mod exposition;
pub mod figure;
mod finding;
pub mod generated;
mod grouped;
pub mod kubernetes;
pub mod lint;
pub mod live;
pub mod mentioned;
pub mod objectives;
pub mod promql;
pub mod queried;
pub mod queries;
pub mod reference;

pub use crate::catalog::{App, Catalog, Family, Group, Label, Objective};
pub use crate::error::Error;
pub use crate::finding::{Fault, Finding, Report, Severity};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
