//! Install the Prometheus recorder with a catalogue of metrics, and serve `/metrics`.
//!
//! ```no_run
//! use obs_exporter::{Config, Exporter, ExporterError};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), ExporterError> {
//! let exporter = Exporter::builder(obs_exporter::app_info!())
//!     .config(Config::from_env()?)      // OBS_LISTEN, OBS_SERVICE, OBS_ENVIRONMENT, OBS_MODE, …
//!     .install()?;                      // from here on, handles record
//! let server = exporter.serve().await?;
//! println!("http://{}/metrics", server.local_addr());
//! // … the program's work …
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What comes out
//!
//! The recorder is that of [`obs_recorder`], or with `OBS_RECORDER=stock` (feature `stock`) that of `metrics-exporter-prometheus`, behind the
//! series budgets of [`obs_core::Budgeted`] and with summaries of our own; both show the same. It records whatever comes
//! through the `metrics` facade, and the catalogue adds what the facade does not know:
//!
//! - **Declared families** have their help, their kind, their buckets or quantiles, and counters of seconds exact to the
//!   nanosecond. Resolving a handle hands its declaration to the recorder, so nothing has to be listed. What is given to the
//!   [`Builder`] besides ([`families`](Builder::families), [`catalogue`](Builder::catalogue)) is known before its first handle is
//!   resolved.
//! - **Families of other people's code** come out as they are recorded. Their histograms get buckets by the unit in their
//!   name: [`LATENCY`](obs_core::buckets::LATENCY) for `_seconds`, [`BYTES`](obs_core::buckets::BYTES) for `_bytes`,
//!   [`SHARE`](obs_core::buckets::SHARE) for `_ratio`. Any other becomes a summary with the quantiles 0.5, 0.9 and 0.99.
//! - **Global labels** `service`, `environment` and `mode` stand on every series, those of them that are configured.
//! - **Own families** ([`catalogue`]): the application and its uptime, the process, and the last scrape.
//!
//! The text is the same for the same values: families by name, series by their labels, labels by their keys, buckets by
//! their bounds. A label value may be any text; backslashes, quotes and line feeds arrive as they were sent. One name has
//! one kind, the declared or the first one: what is recorded to it as another is lost, counted in `obs_kind_conflicts_total` and
//! [warned](Exporter::warnings) of.
//!
//! # `OpenMetrics`
//!
//! Who names it in `Accept`, as Prometheus does, is served `OpenMetrics` text: the same series under the same names, with units,
//! the time each series began (`_created`) and exemplars. What that format cannot say is of type `unknown` there: a counter whose
//! name does not end in `_total`, and the series of a histogram with bounds below 0, which may not have a sum. The stock recorder
//! answers in the classic format.
//!
//! ## Exemplars
//!
//! A histogram whose family declares `exemplars: true` keeps for each bucket its latest observation that was made within a trace,
//! which leads from a slow bucket to what was slow. Where the trace comes from is one line:
//! `exemplars_from_opentelemetry()` of the [`Builder`] (feature `opentelemetry`, for `opentelemetry` 0.33 and
//! `tracing-opentelemetry` 0.34), or [`set_trace_id_source`] for anything else. Prometheus keeps them with
//! `--enable-feature=exemplar-storage`.
//!
//! # Summaries
//!
//! Each shows the quantiles that its family declares, within half a percent of the true value, over a window that slides
//! ([`Config::quantile_window`]). While the window is empty they are `NaN`.
//!
//! # Who may read it
//!
//! The server listens on loopback unless told otherwise, and elsewhere only where it asks who is there: for a bearer token, for
//! a user and password, or for a client's certificate; [`Config`] has the settings. `/healthz` is for everybody. Who is turned
//! away is counted in `obs_scrape_refused_total` and reported through `tracing`, without the credential and at most once a
//! second for each reason. `Exporter::router` asks the same; `Exporter::protect` asks it before routes of your own.
//!
//! # Native histograms
//!
//! Both text formats have classic buckets only. With `OBS_RECORDER=stock`, `OBS_NATIVE_HISTOGRAMS=true` and the feature
//! `native-histograms`, who asks for protobuf is served declared histograms with native buckets beside the classic ones, as fine as
//! a tenth, and up to 160 of them: Prometheus asks so with `--enable-feature=native-histograms` (from 2.40), and stores the native
//! ones only, unless it is told `scrape_classic_histograms`. Recording to a histogram then takes a lock, a scrape in protobuf is made
//! of the text, and exemplars and creation times are not in it. The recorder of this workspace has none: native buckets come and go
//! with what is recorded, and its cells have places that are fixed when a series begins, which is why recording there takes no lock
//! and allocates nothing.
//!
//! # Where a scrape does not reach
//!
//! With `OBS_UNIX_SOCKET` a program that serves does so at a Unix socket too. With `OBS_PUSH_URL` (feature `push`) it pushes to a Pushgateway in
//! intervals, and once more when it is shut down; `OBS_PUSH_INSTANCE` tells apart processes of one service. A Pushgateway keeps the
//! last values for good, also of a process that died: where a scrape can reach, be scraped. `https` is not spoken.
//!
//! A program that ends before it is scraped, such as a backtest, sends what it recorded with `Exporter::push` to a Pushgateway or
//! to `VictoriaMetrics`.
//!
//! # The live page
//!
//! `/` shows everything that is recorded as charts, for whoever opens it in a browser: rates of counters, quantiles of histograms,
//! gauges as they are, the last 15 minutes of them, which the browser keeps. It loads nothing from elsewhere, runs nothing but its
//! own files, and asks for the same credentials as `/metrics`; a browser can show a user and password or a certificate, but no
//! bearer token. It reads two things that others may read too:
//!
//! - `/live`: the classic text, rendered at most once a second however many look, and not at all while nobody does. The headers
//!   `obs-rendered-at` and `obs-age` say, in seconds, when it was rendered since 1970-01-01 UTC, and how long ago that was.
//! - `/catalog.json`: what is declared, as an object described [below](#catalogjson).
//!
//! The page shows families in the groups that their declarations name, and first of all the figures of these groups; see
//! [`obs_core::Group`] and [`obs_core::Figure`]. A program's own groups come before those about its system and its metrics. Where
//! it declares no figures, some are made from kinds and units. Families that nobody declared are shown last.
//!
//! ## `/catalog.json`
//!
//! `schema` is 2. Members, figures and readings are added without a new number: a reader skips what it does not know. The first
//! edition had no `schema`, and of `groups` only `id` and `title`.
//!
//! - `service`, `environment` (or null), `mode` (or null) and `app` say what runs.
//! - `warnings` lists what makes numbers wrong ([`Exporter::warnings`]): `{kind, text}`.
//! - `groups` lists, in the order they are shown, `{id, title, rank, figures}`. Lower ranks come first; a program's own are 0,
//!   those of libraries begin at 100, of the system at 200, of the metrics about the metrics at 300.
//! - `families` lists each declared family by `name`, `crate`, `group` (the `id` of one), `kind` (`counter`, `gauge`, `histogram`,
//!   `summary`), `unit` (a word of [`obs_core::Unit::as_str`]), `help`, `labels`, `buckets` (upper bounds without `+Inf`),
//!   `quantiles`, `range` (`[lowest, highest]`, either null without a bound; null for counters and gauges), `budget` (the most
//!   series) and `exemplars`. A label is `{key, help, values, limit}`: a list of values where the set is closed, else how many keep
//!   series of their own. A declaration arrives with its first handle, so that the list may grow; ask again when the exposition
//!   has a family that it lacks. Other people's families are in the exposition alone.
//!
//! A figure has a `title`, a `rank` among all figures, smaller figures `facts` (`{name, value}`), the `trend` its chart follows
//! where that is not what is shown (or null), `worse` (`up`, `down` or null), `alarms` (`{value, is, than}`: somebody should look
//! while the value is `above`, `at_least`, `below` or `at_most` that number), and `zoomed`, whether a chart may leave out 0. What it
//! `shows` says what else it has:
//!
//! | `shows` | members | what is shown |
//! |---|---|---|
//! | `value` | `value` | one number |
//! | `ratio` | `value`, `of` | the first as a share of the second |
//! | `bar` | `value`, `limit` | the first on its way to the second |
//! | `quantiles` | `family`, `levels` | quantiles of a histogram, all series together |
//! | `table` | `by`, `columns` | a row for each value of the label `by`, a column for each `{name, value}` |
//! | `log` | `family`, `label` | the latest increases of a counter, each with the label's value |
//!
//! Each `value`, `of`, `limit` and `trend` is a reading: `read` says how, `families` which (added up; what does not exist adds
//! nothing), `labels` which labels the series must have, `signed` whether gains get a plus sign. `read` is `sum`, `least`, `most`,
//! `series` (how many there are), `rate` (a second), `quantile` (at `level`), `constant` (`number`), or a word: `where_least` and
//! `where_most`, the value of `label` in that series.
//!
//! `OBS_PAGE=off` turns all of it off.
//!
//! # Features
//!
//! | feature | adds | by default |
//! |---|---|---|
//! | `page` | the live page at `/`, `/live` and `/catalog.json` | yes |
//! | `process` | the families `process_…`: memory, CPU time, descriptors, threads | yes |
//! | `router` | `Exporter::router` and `Exporter::protect`, for applications with axum 0.8 | |
//! | `tls` | HTTPS and clients' certificates (`OBS_TLS_…`) | |
//! | `push` | `Exporter::push`, and pushing while serving (`OBS_PUSH_…`) | |
//! | `opentelemetry` | exemplars that name the trace of the current span | |
//! | `stock` | the recorder of `metrics-exporter-prometheus` (`OBS_RECORDER=stock`) | |
//! | `native-histograms` | native histograms in protobuf, with that recorder; implies `stock` | |
//!
//! A variable, or a setting of [`Config`], whose feature is off is an error that names the feature.

mod access;
mod app;
mod backend;
mod config;
mod connections;
mod error;
mod exporter;
mod own;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "push")]
mod push;
#[cfg(feature = "push")]
mod pushing;
mod refusals;
#[cfg(feature = "router")]
mod router;
mod runtime;
mod server;
#[cfg(unix)]
mod socket;
#[cfg(feature = "stock")]
mod stock;
mod tls;
#[cfg(feature = "opentelemetry")]
mod trace;
mod upkeep;
mod warnings;

pub use crate::access::Secret;
pub use crate::app::AppInfo;
pub use crate::config::{Config, Mode, RecorderKind};
pub use crate::error::ExporterError;
pub use crate::exporter::{Builder, Exporter};
pub use crate::own::catalogue;
#[cfg(feature = "push")]
pub use crate::push::Push;
pub use crate::server::Server;
pub use ipnet::IpNet;
pub use metrics;
pub use obs_recorder::{Engine, EngineError, Format, TraceId, set_trace_id_source};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
