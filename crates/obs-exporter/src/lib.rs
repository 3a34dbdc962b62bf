//! Installs the recorder and serves `/metrics`.
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
//! The recorder is the one of [`obs_recorder`], or with `OBS_RECORDER=stock` (feature `stock`) the one of
//! `metrics-exporter-prometheus`, with the series budgets of [`obs_core::Budgeted`] and our own summaries; both export the same. It records everything that comes
//! through the `metrics` facade, and declarations add what the facade does not know:
//!
//! - **Declared families** have their help, their kind, their buckets or quantiles, and counters of seconds exact to the
//!   nanosecond. Resolving a handle hands its declaration to the recorder, so nothing has to be listed. What is given to the
//!   [`Builder`] besides ([`families`](Builder::families), [`catalogue`](Builder::catalogue)) is known before its first handle is
//!   resolved.
//! - **Families of other people's code** come out as they are recorded. Their histograms get buckets by the unit in their
//!   name: [`LATENCY`](obs_core::buckets::LATENCY) for `_seconds`, [`BYTES`](obs_core::buckets::BYTES) for `_bytes`,
//!   [`SHARE`](obs_core::buckets::SHARE) for `_ratio`. Any other becomes a summary with the quantiles 0.5, 0.9 and 0.99.
//! - **Global labels** `service`, `environment` and `mode` are on every series, if they are configured.
//! - **Own families** ([`catalogue`]): the application and its uptime, the process, and the last scrape.
//!
//! The same values give the same text: families are sorted by name, series by their labels, labels by their keys, buckets by
//! their bounds. A label value may be any text; backslashes, quotes and line feeds are preserved. One name has
//! one kind, the declared or the first one: what is recorded to it as another is lost, counted in `obs_kind_conflicts_total` and
//! [warned](Exporter::warnings) of.
//!
//! # `OpenMetrics`
//!
//! A client that asks for it in `Accept`, as Prometheus does, is served `OpenMetrics` text: the same series under the same names, with
//! units, exemplars, and, with `OBS_CREATED=on`, the time each series began (`_created`). What that format cannot express has the type
//! `unknown` there: a counter whose name does not end in `_total`, and the series of a histogram with bounds below 0, which may not
//! have a sum. The stock recorder answers in the classic format.
//!
//! ## Names of any characters
//!
//! Prometheus 3 reads names such as `http.requests`, and asks for them (`escaping=allow-utf-8` in `Accept`). What a series is called
//! must not depend on the scraper, so that such names are `http_requests` for all, unless `OBS_UTF8_NAMES=on` is set: then a scraper
//! that asks for them gets them as they are, and another in the way that it asks for (`underscores`, `dots`, `values`; `underscores`
//! without a word). The answer says which. Names that are the same once they are escaped are warned of and counted in
//! `obs_name_conflicts_total`; without the setting the first of them is kept, and nothing is recorded to the other. Declared families have no such names; over OTLP they are as they are.
//!
//! ## Exemplars
//!
//! A histogram whose family declares `exemplars: true` keeps for each bucket its latest observation that was made within a trace, which
//! leads from a slow bucket to the slow request. The source of the trace is one line: `exemplars_from_opentelemetry()` of the [`Builder`] (feature `opentelemetry`, for `opentelemetry` 0.33 and
//! `tracing-opentelemetry` 0.34), or [`set_trace_id_source`] for anything else. Prometheus keeps them with
//! `--enable-feature=exemplar-storage`.
//!
//! # Summaries
//!
//! A summary exports the quantiles that its family declares, within half a percent of the true value, over a sliding window
//! ([`Config::quantile_window`]). While the window is empty they are `NaN`.
//!
//! # Who may read it
//!
//! The server listens on loopback by default, and on other addresses only with authentication: by a bearer token, by a user and
//! password, or by a client certificate; [`Config`] has the settings. `/healthz` needs no credential. Refusals are counted in
//! `obs_scrape_refused_total` and logged through `tracing`, without the credential and at most once a second for each reason.
//! `Exporter::router` enforces the same rules; `Exporter::protect` applies them to routes of your own (feature `router`).
//!
//! # Native histograms
//!
//! Both text formats have declared buckets only. With `OBS_NATIVE_HISTOGRAMS=on`, a client that prefers protobuf gets every
//! histogram with native buckets next to the declared ones: bounds 2^(k/8), 9.06 % apart, over the whole range of a float. Prometheus
//! asks for protobuf from 3.9 on with `scrape_native_histograms: true` in the scrape config, before that with
//! `--enable-feature=native-histograms`. It stores only the native ones, unless `always_scrape_classic_histograms` is set there
//! (`scrape_classic_histograms` before 3.0).
//!
//! # Where a scrape does not reach
//!
//! With `OBS_UNIX_SOCKET` the server also listens on a Unix socket. With `OBS_PUSH_URL` (feature `push`) it pushes to a Pushgateway at
//! intervals, and once more at shutdown; `OBS_PUSH_INSTANCE` distinguishes processes of one service. A Pushgateway keeps the last values for ever, even of
//! a process that died: prefer scraping where it is possible. `https` is not supported for pushing.
//!
//! A program that ends before it is scraped, such as a backtest, sends what it recorded with `Exporter::push` to a Pushgateway or
//! to `VictoriaMetrics`.
//!
//! # OTLP
//!
//! With `OBS_OTLP_URL` (feature `otlp`) what serves also pushes over OTLP, HTTP with protobuf and gzip: at once, at intervals, and at
//! shutdown. Names, labels and numbers are those of a scrape; histograms have their declared bounds, or are exponential where only
//! native buckets are declared, and series have the time they began. `service.name`, `service.version`, `service.instance.id` and `deployment.environment.name` are attributes of the resource.
//!
//! One task collects and another sends. What a receiver does not take is sent again and waits until then, up to 16 MiB; beyond that
//! the next interval is longer, so that nothing that was counted is lost while the process lives. Failures are counted in
//! `errors_total` as `push_failed` of the component `exporter`, as those of a Pushgateway are. Collecting takes no lock that
//! recording waits for. It needs the recorder of this workspace.
//!
//! ```no_run
//! # use obs_exporter::{Config, Exporter, ExporterError, app_info};
//! # async fn run() -> Result<(), ExporterError> {
//! let config = Config {
//!     otlp_url: Some("http://127.0.0.1:4318".to_owned()), // `OBS_OTLP_URL`
//!     ..Config::from_env()?
//! };
//! let exporter = Exporter::builder(app_info!()).config(config).install()?;
//! let server = exporter.serve().await?; // and pushes
//! # server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The live page
//!
//! `/` shows everything that is recorded as charts in a browser: rates of counters, quantiles of histograms, and gauges, over the last 15
//! minutes, which the browser keeps. It loads nothing from other origins, runs only its own files, and requires the same credentials as
//! `/metrics`; a browser can send a user and password or a certificate, but no bearer token. It reads two resources that other clients
//! may read too:
//!
//! - `/live`: the classic text, rendered at most once a second for any number of viewers, and not at all without one. The headers
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
//!   those of libraries begin at 100, of the system at 200, of the metrics about the metrics at 300. Groups that only the program's
//!   own package declares come before all others.
//! - `families` lists each declared family by `name`, `crate`, `group` (the `id` of one), `kind` (`counter`, `gauge`, `histogram`,
//!   `summary`), `unit` (a word of [`obs_core::Unit::as_str`]), `help`, `labels`, `buckets` (upper bounds without `+Inf`),
//!   `quantiles`, `range` (`[lowest, highest]`, either null without a bound; null for counters and gauges), `budget` (the most
//!   series) and `exemplars`. A label is `{key, help, values, limit}`: a list of values where the set is closed, else how many keep
//!   series of their own. A declaration arrives with its first handle, so that the list may grow; ask again when the exposition
//!   has a family that it lacks. Other people's families are in the exposition alone.
//!
//! A figure has a `title`, a `rank` among all figures, smaller figures `facts` (`{name, value}`), the `trend` its chart follows
//! where that is not what is shown (or null), `worse` (`up`, `down` or null), `alarms` (`{value, is, than}`: somebody should look
//! while the value is `above`, `at_least`, `below` or `at_most` that number), and `zoomed`, whether a chart may leave out 0. One with `headline` stands in
//! the window's title. What it `shows` says what else it has:
//!
//! | `shows` | members | what is shown |
//! |---|---|---|
//! | `value` | `value` | one number |
//! | `ratio` | `value`, `of` | the first as a share of the second |
//! | `bar` | `value`, `limit` | the first on its way to the second |
//! | `quantiles` | `family`, `levels` | quantiles of a histogram, all series together |
//! | `table` | `by`, `columns` | a row for each value of the label `by`, a column for each `{name, value}` |
//! | `log` | `family`, `label` | the latest increases of a counter, each with the label's value |
//! | `curve` | `value`, `below`, `marks` | one wide chart with another below it, and marks where counters rose (`{name, family}`) |
//! | `bars` | `by`, `value`, `limit` | a bar for each value of the label `by` |
//! | `steps` | `steps` | quantiles of histograms that follow one another (`{name, family}`) |
//! | `events` | `events` | the latest increases of several counters (`{name, family, label}`) |
//! | `parts` | `value`, `by` | what a sum is made of, by the label |
//!
//! Each `value`, `of`, `limit` and `trend` is a reading: `read` says how, `families` which (added up; what does not exist adds
//! nothing), `labels` which labels the series must have, `signed` whether gains get a plus sign. `read` is `sum`, `least`, `most`,
//! `series` (how many there are), `rate` (a second), `quantile` (at `level`), `constant` (`number`), or a word: `where_least` and
//! `where_most`, the value of `label` in that series.
//!
//! `OBS_PAGE=off` disables all of it.
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
//! | `otlp` | pushing over OTLP while serving (`OBS_OTLP_…`) | |
//! | `opentelemetry` | exemplars that name the trace of the current span | |
//! | `stock` | the recorder of `metrics-exporter-prometheus` (`OBS_RECORDER=stock`) | |
//!
//! A variable, or a setting of [`Config`], whose feature is off is an error that names the feature.

mod access;
mod app;
mod backend;
mod blocking;
#[cfg(feature = "tls")]
mod certificate;
mod config;
mod connections;
mod error;
mod exporter;
#[cfg(feature = "otlp")]
mod otlp;
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
pub use crate::blocking::BlockingServer;
pub use crate::config::{Config, Mode, RecorderKind, Temporality};
pub use crate::error::ExporterError;
pub use crate::exporter::{Builder, Exporter};
pub use crate::own::catalogue;
#[cfg(feature = "push")]
pub use crate::push::Push;
pub use crate::server::Server;
pub use ipnet::IpNet;
pub use metrics;
pub use obs_recorder::{
    Engine, EngineError, Format, Heartbeat, HeartbeatOptions, Names, TraceId, set_trace_id_source,
};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
