//! A small but real trading service: two strategies trade twenty years of daily prices on paper.
//!
//! ```text
//! providers ──HTTP──▶ market data ──▶ replay ──▶ desk ──▶ traders ──▶ account
//!     │                (cache)          │                (strategy)   (risk check ▸ broker ▸ portfolio)
//!     │                                 │ a visit a week                 │ orders, trades
//!     │                                 ▼                                ▼
//!     │                              client ────HTTP───▶ API ───────▶ store (SQLite)
//!     └───────HTTP────▶ sentiment ──────────────────────▲
//! ```
//!
//! Every part is a value that [`app`] builds at start-up and hands to the part that uses it; there are no
//! statics. The bars' dates are the only time there is: a day's orders are placed after its close and
//! filled with the next bar, however fast the replay runs. The [providers](provider) fail now and then, by count, and the
//! desk goes on; their sentiment is [computed from prices](stand_in) and nothing is traded on it. A [second account](carry) holds a few
//! positions that earn dividends and cost borrow, funding and interest, which the paper broker's do not.

pub mod account;
pub mod api;
pub mod app;
pub mod bars;
pub mod broker;
pub mod calendar;
pub mod carry;
pub mod cli;
pub mod client;
pub mod desk;
pub mod error;
pub mod market_data;
pub mod metrics;
pub mod order;
pub mod outside;
pub mod pages;
pub mod portfolio;
pub mod progress;
pub mod provider;
pub mod replay;
pub mod report;
pub mod risk;
pub mod sentiment;
pub mod server;
pub mod service;
pub mod stand_in;
pub mod statements;
pub mod store;
pub mod strategy;
pub mod stream;
pub mod symbol;
pub mod trader;
pub mod venue;

pub use error::Error;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app::App;
use cli::Args;
use metrics::ReplayMetrics;
use obs_exporter::{Config, Exporter, Heartbeat, HeartbeatOptions, Mode};
use obs_health::{Host, Panics, Runtime};
use obs_trading::Ended;
use progress::Progress;
use service::Service;

/// Runs the desk as the command line says, until its end or Ctrl-C. A replay with a pace begins anew when it is over, so that there
/// is something to watch at any time.
pub async fn run(args: Args) -> Result<(), Error> {
    let mut config = args.config()?;
    // Before anything that records is built: a handle made without a recorder stays without effect.
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(exporter_config()?)
        .catalogue(metrics::catalogue()?)
        .install()?;
    watch_health(&exporter);
    // On a thread of its own: it answers, also for whether the process lives, however busy the desk's runtime is.
    let metrics = exporter.serve_blocking()?;
    let bars = config.series.iter().map(|series| series.bars.len()).sum();
    let mut app = App::start(config.clone()).await?;
    // A free port is kept from one replay to the next.
    config.listen = app.api_address().to_string();
    let running = Running::observed_by(&exporter);
    if exporter.config().page {
        println!("open         http://{}/", metrics.local_addr());
    }
    println!("metrics      http://{}/metrics", metrics.local_addr());
    println!("API          {}/portfolio", app.api_url());
    println!("market data  {}/v1/symbols", app.provider_url());

    let is_repeated = !args.once && !args.pace.is_zero();
    let replays = Arc::new(ReplayMetrics::begin());
    // An agent sees it in the file of `OBS_MEMORY`; without one nobody does, and it costs nothing.
    let timeout = HeartbeatOptions::default().timeout(replay::TIMEOUT);
    let heartbeat = Arc::new(exporter.heartbeat("replay", timeout)?);
    loop {
        running.set(app.service().clone());
        let is_over = replay(&app, &replays, &heartbeat, bars).await?;
        println!("{}", report::report(&exporter.render())?);
        println!("\n{}", windows(&app).await);
        if !is_over || !is_repeated {
            if is_over && !args.once {
                println!("The replay is over; serving until Ctrl-C.");
                interrupt().await;
            }
            break;
        }
        println!("The replay is over, and begins anew.");
        // The old desk lets go of what it holds, and of what it shows, before there is another one.
        running.end(&exporter);
        app.stop().await?;
        app = App::start(config.clone()).await?;
    }
    let stopped = app.stop().await;
    tokio::task::block_in_place(|| metrics.shutdown());
    stopped
}

/// Replays everything once; false if that was interrupted.
async fn replay(
    app: &App,
    replays: &Arc<ReplayMetrics>,
    heartbeat: &Arc<Heartbeat>,
    bars: usize,
) -> Result<bool, Error> {
    let mut progress = Progress::to_stderr(bars).measured(Arc::clone(replays));
    let mut replay = app.replay().await?.watched(Arc::clone(heartbeat));
    let is_over = tokio::select! {
        done = replay.run(&mut progress) => { done?; true }
        () = interrupt() => false,
    };
    // What comes now takes as long as it takes.
    heartbeat.disarm();
    progress.finish();
    if is_over {
        replays.over(&app.service().store().results().await?);
    }
    Ok(is_over)
}

/// What the account made in windows of days.
async fn windows(app: &App) -> String {
    app.service()
        .look(|account| report::windows(&account.portfolio().statements().windows()))
        .await
}

/// The service of the replay that is under way, which every scrape reads.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<Option<Arc<Service>>>>);

impl Running {
    fn observed_by(exporter: &Exporter) -> Self {
        let running = Self::default();
        let (observed, recorder) = (running.clone(), exporter.clone());
        exporter.on_scrape(move || {
            let Some(service) = observed.current().clone() else {
                return;
            };
            let ended = service.observe();
            remove_positions(&recorder, |labels| ended.iter().any(|it| it.is(labels)));
        });
        running
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Service>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, service: Arc<Service>) {
        *self.current() = Some(service);
    }

    /// Lets go of the service. The next replay holds other positions.
    fn end(&self, exporter: &Exporter) {
        *self.current() = None;
        remove_positions(exporter, |_| true);
    }
}

/// Removes the series of positions with such labels.
fn remove_positions(exporter: &Exporter, wanted: impl Fn(&str) -> bool) {
    if let Some(engine) = exporter.engine() {
        for family in Ended::FAMILIES {
            engine.remove(family, &wanted);
        }
    }
}

/// Counts panics, and reads host and runtime before each scrape.
fn watch_health(exporter: &Exporter) {
    Panics::count("desk");
    let (host, runtime) = (Host::new(), Runtime::current());
    exporter.on_scrape(move || {
        host.observe();
        runtime.observe();
    });
}

/// The exporter's settings: those of the environment, and that all of this is a backtest unless they say otherwise.
fn exporter_config() -> Result<Config, Error> {
    let mut config = Config::from_env()?;
    config.mode.get_or_insert(Mode::Backtest);
    Ok(config)
}

/// Waits for Ctrl-C, or for the signal with which a supervisor stops a service.
async fn interrupt() {
    #[cfg(unix)]
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    // Where no signal can be waited for, there is nothing to wait for.
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
