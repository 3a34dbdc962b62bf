//! Sends metrics to receivers that are pushed to, for a program that records and for one that reads what others have recorded.
//!
//! - An [`Otlp`] receiver is sent everything at intervals: over HTTP, in protobuf, compressed. What it does not take at once waits,
//!   bounded in bytes, and is sent again; what it refuses is reported. What is sent comes from a [`Source`]: values in the form of
//!   `obs_recorder::FamilySnapshot`, of an engine or put together by others. Counters and histograms are sent [whole or as
//!   differences](Temporality).
//! - A Pushgateway or `VictoriaMetrics` is sent an exposition of a job by [`Push`].
//! - A [`Schedule`] says when it is time: at once, after every interval, and once more at the end.
//!
//! `obs-exporter` has all of it with its features `push` and `otlp`, and so has `obstool agent` for processes that push nothing
//! themselves.
//!
//! ```no_run
//! use obs_core::Severity;
//! use obs_push::{Otlp, OtlpOptions, Report, Source};
//! use obs_recorder::{Engine, FamilySnapshot};
//! use tokio::sync::watch;
//!
//! struct Everything(Engine);
//!
//! impl Source for Everything {
//!     async fn read<T: Send + 'static>(
//!         &self,
//!         encode: impl FnOnce(&[FamilySnapshot]) -> T + Send + 'static,
//!     ) -> Option<T> {
//!         let engine = self.0.clone();
//!         let work = move || Some(encode(&engine.snapshot().ok()?));
//!         tokio::task::spawn_blocking(work).await.ok().flatten()
//!     }
//!
//!     fn failed(&self, report: &Report<'_>) {
//!         if report.severity() == Severity::Error {
//!             eprintln!("{report}: {}", report.problem);
//!         }
//!     }
//! }
//!
//! # async fn push(engine: Engine) -> Result<(), obs_push::PushError> {
//! let otlp = Otlp::new(OtlpOptions::to("http://127.0.0.1:4318"))?;
//! let (running, stopped) = watch::channel(());
//! let resource = [("service.name", "desk")];
//! tokio::join!(otlp.run(&resource, Everything(engine), stopped), async {
//!     // … the program's work …
//!     drop(running);
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `gateway` | [`Push`] |
//! | `otlp` | [`Otlp`] |
//! | `tls` | receivers of OTLP with `https` |

mod error;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(any(feature = "gateway", feature = "otlp"))]
mod post;
mod schedule;
#[cfg(any(feature = "gateway", feature = "otlp"))]
mod tls;

pub use crate::error::PushError;
#[cfg(feature = "gateway")]
pub use crate::gateway::Push;
#[cfg(feature = "otlp")]
pub use crate::otlp::{
    Begin, Fate, Otlp, OtlpOptions, Program, Progress, Report, Source, Temporality, are_headers,
    instance,
};
pub use crate::schedule::Schedule;

/// The examples of the README are tests too.
#[cfg(all(doctest, feature = "gateway"))]
#[doc = include_str!("../README.md")]
struct Readme;
