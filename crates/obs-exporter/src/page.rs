//! The live page at `/`, and what it reads: the catalogue at `/catalog.json` and the exposition at `/live`.
//!
//! The page's files, and the history of what declared figures showed in the last day, are those of `obs-page`. While nobody looks at
//! the page nothing is rendered.
//!
//! `/live` answers with the classic text format, as `/metrics` does, but what it answers is up to a second old: all who ask
//! within a second share one rendering. Two headers tell of it, both in seconds: `obs-rendered-at`, when it was rendered, since
//! 1970-01-01 UTC by a clock that does not jump while the process runs, and `obs-age`, how long ago that was. A request
//! `1 - obs-age` seconds later gets the next one.

/// Serializes structs as objects of these members, in this order. By hand, because compiling the macros that would derive it takes as
/// long as a sixth of this crate.
macro_rules! members {
    ($($Type:ident $(<$life:lifetime>)? { $($key:literal => $field:ident),+ $(,)? })+) => {$(
        impl serde_core::Serialize for $Type $(<$life>)? {
            fn serialize<S: serde_core::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use serde_core::ser::SerializeMap as _;
                let mut map = to.serialize_map(None)?;
                $(map.serialize_entry($key, &self.$field)?;)+
                map.end()
            }
        }
    )+};
}

mod catalog;
mod figures;
mod filed;
mod groups;
mod live;
mod remembered;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use obs_core::Catalogue;
use obs_page::{Client, Clock, File, History, Row, Section};

pub(crate) use self::filed::Filed;
use self::live::Live;
use self::remembered::Recorded;
use crate::server::accepts_gzip;
use crate::server::{self, Body, Peer, Response};
use crate::upkeep::Upkeep;
use crate::{AppInfo, Config, Exporter, ExporterError};

/// What the page is made from.
pub(crate) struct Page {
    app: AppInfo,
    clock: Clock,
    live: Live,
    history: Arc<History>,
    /// How many families there were when its lines were planned; they become no fewer.
    planned: AtomicUsize,
    /// Takes what is to be remembered, once it was begun.
    remembering: OnceLock<Upkeep>,
}

impl Page {
    pub(crate) fn new(app: AppInfo) -> Self {
        let clock = Clock::new();
        Self {
            app,
            clock,
            live: Live::new(clock),
            history: Arc::default(),
            planned: AtomicUsize::new(0),
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
        let (clock, history) = (self.clock, Arc::clone(&self.history));
        let mut seconds = 0_u64;
        let take = move || {
            if let Some(exporter) = exporter() {
                take(&exporter, &history, clock.now().as_secs(), seconds);
                seconds += 1;
            }
        };
        let upkeep = Upkeep::start("obs-history", Duration::from_secs(1), take)?;
        let _ = self.remembering.set(upkeep);
        Ok(())
    }

    /// Takes what figures show at a second, as is done once in each.
    pub(crate) fn take(&self, exporter: &Exporter, second: u64) {
        take(exporter, &self.history, second, second);
    }
}

/// What the service is called.
fn service<'a>(app: &'a AppInfo, config: &'a Config) -> &'a str {
    config.service.as_deref().unwrap_or(app.name)
}

/// How long nobody has to have scraped before gauges that are read when somebody does are read for the history.
const READ_AFTER: Duration = Duration::from_secs(30);

/// Takes what figures show at a second, which is so many after the first time.
fn take(exporter: &Exporter, history: &History, second: u64, seconds: u64) {
    let Some(engine) = exporter.engine() else {
        return;
    };
    if seconds % READ_AFTER.as_secs() == READ_AFTER.as_secs() - 1 {
        exporter.refresh_after(READ_AFTER);
    }
    // Handles may be resolved at any time, most of them at the start.
    if seconds < 5 || seconds.is_multiple_of(READ_AFTER.as_secs()) {
        let catalogue = exporter.catalogue();
        let count = catalogue.families().len();
        if exporter.page().planned.swap(count, Relaxed) != count {
            let figures = groups::figures(catalogue.families());
            history.plan(figures.into_iter().filter_map(remembered::figure));
        }
    }
    history.take(second, &Recorded(engine));
}

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
        let client = Client {
            headers,
            takes_gzip: accepts_gzip(headers),
        };
        match self {
            Self::Index => {
                let service = service(&page.app, exporter.config());
                let sections = sections(page.app.name, &exporter.catalogue());
                let warnings = exporter.warnings().into_iter();
                let notes: Vec<_> = warnings.map(|warning| warning.text).collect();
                obs_page::index(service, &notes, &sections, client).map(Body::from)
            }
            Self::Catalogue => catalogue(exporter, client),
            Self::History if page.remembering.get().is_none() => {
                let why = "this process remembers nothing\n";
                obs_page::guarded(server::text(StatusCode::NOT_FOUND, why))
            }
            Self::History => page.history.answer(client).map(Body::from),
            Self::Live => obs_page::guarded(page.live.answer(exporter, peer, headers).await),
            Self::File(file) => file.answer(client).map(Body::from),
        }
    }
}

fn catalogue(exporter: &Exporter, client: Client<'_>) -> Response {
    let (families, warnings) = (exporter.catalogue(), exporter.warnings());
    let catalogue = catalog::Catalog::new(
        &exporter.page().app,
        exporter.config(),
        &families,
        &warnings,
    );
    match serde_json::to_vec(&catalogue) {
        Ok(json) => obs_page::fresh("application/json", json, client).map(Body::from),
        Err(_) => obs_page::guarded(server::unavailable("the catalogue cannot be written\n")),
    }
}

/// The families of this program's catalogue, for browsers without scripts.
fn sections(program: &str, catalogue: &Catalogue) -> Vec<Section> {
    let groups = groups::of(catalogue.families(), program).into_iter();
    groups
        .map(|group| {
            let of_group = catalogue
                .families()
                .filter(|family| groups::id_of(family) == group.id);
            let row = |family: &obs_core::Family| Row {
                name: family.name().to_owned(),
                kind: family.kind().as_str(),
                help: family.help(),
            };
            Section {
                title: group.title.to_owned(),
                families: of_group.map(row).collect(),
            }
        })
        .collect()
}
