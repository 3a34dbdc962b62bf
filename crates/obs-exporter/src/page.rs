//! The live page at `/`, and what it reads: the catalogue at `/catalog.json` and the exposition at `/live`.
//!
//! The page is a few static files that the browser runs. It keeps the last minutes of everything itself, and while nobody looks at
//! it nothing is rendered. What declared figures showed in the last day is remembered here, for a page that is opened late:
//! `memory.rs` says how, and what `/history` answers.
//!
//! `/live` answers with the classic text format, as `/metrics` does, but what it answers is up to a second old: all who ask
//! within a second share one rendering. Two headers tell of it, both in seconds: `obs-rendered-at`, when it was rendered, since
//! 1970-01-01 UTC by a clock that does not jump while the process runs, and `obs-age`, how long ago that was. A request
//! `1 - obs-age` seconds later gets the next one.

mod catalog;
mod figures;
mod filed;
mod files;
mod groups;
mod html;
mod lines;
mod live;
mod memory;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use obs_recorder::{Engine, SeriesValue};

pub(crate) use self::filed::Filed;
use self::files::File;
use self::lines::Source;
use self::live::Live;
use self::memory::Memory;
use crate::server::{self, Peer, Response};
use crate::upkeep::Upkeep;
use crate::{AppInfo, Config, Exporter, ExporterError};

/// What the page is made from.
pub(crate) struct Page {
    app: AppInfo,
    clock: Clock,
    live: Live,
    memory: Arc<Memory>,
    /// Takes what is to be remembered, once it was begun.
    remembering: OnceLock<Upkeep>,
}

/// Seconds since 1970-01-01 UTC, by a clock that does not jump while the process runs.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    since: Instant,
    /// The time at `since`.
    began: Duration,
}

impl Page {
    pub(crate) fn new(app: AppInfo) -> Self {
        let clock = Clock::new();
        Self {
            app,
            clock,
            live: Live::new(clock),
            memory: Arc::default(),
            remembering: OnceLock::new(),
        }
    }

    /// Takes what figures show once a second, for as long as there is an exporter; idempotent.
    pub(crate) fn remember(
        &self,
        exporter: impl Fn() -> Option<Exporter> + Send + 'static,
    ) -> Result<(), ExporterError> {
        if self.remembering.get().is_some() {
            return Ok(());
        }
        let (clock, memory) = (self.clock, Arc::clone(&self.memory));
        let mut seconds = 0_u64;
        let take = move || {
            if let Some(exporter) = exporter() {
                take(&exporter, &memory, clock.now().as_secs(), seconds);
                seconds += 1;
            }
        };
        let upkeep = Upkeep::start("obs-history", Duration::from_secs(1), take)?;
        let _ = self.remembering.set(upkeep);
        Ok(())
    }

    /// Takes what figures show at a second, as is done once in each.
    pub(crate) fn take(&self, exporter: &Exporter, second: u64) {
        take(exporter, &self.memory, second, second);
    }
}

/// What the service is called.
fn service<'a>(app: &'a AppInfo, config: &'a Config) -> &'a str {
    config.service.as_deref().unwrap_or(app.name)
}

/// How long nobody has to have scraped before gauges that are read when somebody does are read for the history.
const READ_AFTER: Duration = Duration::from_secs(30);

/// Takes what figures show at a second, which is so many after the first time.
fn take(exporter: &Exporter, memory: &Memory, second: u64, seconds: u64) {
    let Some(engine) = exporter.engine() else {
        return;
    };
    if seconds % READ_AFTER.as_secs() == READ_AFTER.as_secs() - 1 {
        exporter.refresh_after(READ_AFTER);
    }
    // Handles may be resolved at any time, most of them at the start.
    if seconds < 5 || seconds.is_multiple_of(READ_AFTER.as_secs()) {
        let catalogue = exporter.catalogue();
        memory.plan(lines::of(groups::figures(catalogue.families())));
    }
    memory.take(second, engine);
}

impl Source for Engine {
    fn each(&self, family: &str, read: &mut dyn FnMut(&str, &SeriesValue)) {
        self.each_of(family, read);
    }
}

impl Clock {
    fn new() -> Self {
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            since: Instant::now(),
            // A machine that believes to be in the years before 1970 shows those after it.
            began: began.unwrap_or_default(),
        }
    }

    fn now(self) -> Duration {
        self.at(Instant::now())
    }

    fn at(self, moment: Instant) -> Duration {
        self.began + moment.duration_since(self.since)
    }
}

/// Nothing but the page's own files is loaded or run, nothing inside of a document is, and no other origin learns of it. A text that
/// became HTML by mistake would be refused by the browser itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types obs";

/// The page and what it reads. Who may read metrics is to be asked before them.
#[derive(Clone, Copy)]
pub(crate) enum Route {
    Index,
    Catalogue,
    Live,
    History,
    File(&'static File),
}

impl Route {
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Index),
            "/catalog.json" => Some(Self::Catalogue),
            "/live" => Some(Self::Live),
            "/history" => Some(Self::History),
            _ => File::at(path).map(Self::File),
        }
    }

    pub(crate) async fn answer(
        self,
        exporter: &Exporter,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Response {
        let page = exporter.page();
        let response = match self {
            Self::Index => {
                let service = service(&page.app, exporter.config());
                let text = html::index(service, page.app.name, &exporter.catalogue());
                files::packed("text/html; charset=utf-8", text.into(), headers)
            }
            Self::Catalogue => catalogue(exporter, headers),
            Self::History if page.remembering.get().is_none() => {
                server::text(StatusCode::NOT_FOUND, "this process remembers nothing\n")
            }
            Self::History => page.memory.answer(headers),
            Self::Live => page.live.answer(exporter, peer, headers).await,
            Self::File(file) => return guarded(file.answer(headers), files::CACHED),
        };
        guarded(response, NEVER_KEPT)
    }
}

fn catalogue(exporter: &Exporter, headers: &HeaderMap) -> Response {
    let (families, warnings) = (exporter.catalogue(), exporter.warnings());
    let catalogue = catalog::Catalog::new(
        &exporter.page().app,
        exporter.config(),
        &families,
        &warnings,
    );
    match serde_json::to_vec(&catalogue) {
        Ok(json) => files::packed("application/json", json.into(), headers),
        Err(_) => server::unavailable("the catalogue cannot be written\n"),
    }
}

/// What shows values, or comes with every new version of the program under the same name, and of which only some may see it.
const NEVER_KEPT: &str = "no-store";

/// Adds the headers that keep the page to itself.
fn guarded(mut response: Response, kept: &'static str) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(CACHE_CONTROL, kept);
    response
}
