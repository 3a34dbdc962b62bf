//! The live page at `/`, and what it reads: the catalogue at `/catalog.json` and the exposition at `/live`.
//!
//! The page is a few static files that the browser runs. It keeps the last minutes itself; nothing here has a clock of its own,
//! so that a page nobody looks at costs nothing.
//!
//! `/live` answers with the classic text format, as `/metrics` does, but what it answers is up to a second old: all who ask
//! within a second share one rendering. Two headers tell of it, both in seconds: `obs-rendered-at`, when it was rendered, since
//! 1970-01-01 UTC by a clock that does not jump while the process runs, and `obs-age`, how long ago that was. Who asks again
//! after `1 - obs-age` seconds gets the next one.

mod catalog;
mod figures;
mod groups;
mod html;
mod live;

use hyper::HeaderMap;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use self::live::Live;
use crate::server::{self, Peer, Response};
use crate::{AppInfo, Config, Exporter};

/// What the page is made from.
pub(crate) struct Page {
    app: AppInfo,
    live: Live,
}

impl Page {
    pub(crate) fn new(app: AppInfo) -> Self {
        Self {
            app,
            live: Live::new(),
        }
    }

    fn service<'a>(&'a self, config: &'a Config) -> &'a str {
        config.service.as_deref().unwrap_or(self.app.name)
    }
}

/// A file that the page loads.
pub(crate) struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $media_type:expr, $from:literal) => {
        File {
            path: concat!("/page/", $name),
            media_type: $media_type,
            text: include_str!(concat!("page/", $from)),
        }
    };
}

static FILES: [File; 17] = [
    file!("app.css", STYLE, "assets/app.css"),
    file!("app.js", SCRIPT, "assets/app.js"),
    file!("card.js", SCRIPT, "assets/card.js"),
    file!("chart.js", SCRIPT, "assets/chart.js"),
    file!("dom.js", SCRIPT, "assets/dom.js"),
    file!("exposition.js", SCRIPT, "assets/exposition.js"),
    file!("figures.js", SCRIPT, "assets/figures.js"),
    file!("format.js", SCRIPT, "assets/format.js"),
    file!("groups.js", SCRIPT, "assets/groups.js"),
    file!("history.js", SCRIPT, "assets/history.js"),
    file!("icon.svg", PICTURE, "assets/icon.svg"),
    file!("overview.js", SCRIPT, "assets/overview.js"),
    file!("statistics.js", SCRIPT, "assets/statistics.js"),
    file!("warnings.js", SCRIPT, "assets/warnings.js"),
    file!("worker.js", SCRIPT, "assets/worker.js"),
    file!("uPlot.js", SCRIPT, "vendor/uPlot.iife.min.js"),
    file!("uPlot.css", STYLE, "vendor/uPlot.min.css"),
];

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
    File(&'static File),
}

impl Route {
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Index),
            "/catalog.json" => Some(Self::Catalogue),
            "/live" => Some(Self::Live),
            _ => FILES.iter().find(|file| file.path == path).map(Self::File),
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
                let service = page.service(exporter.config());
                server::html(html::index(service, &exporter.catalogue()))
            }
            Self::Catalogue => catalogue(exporter),
            Self::Live => page.live.answer(exporter, peer, headers).await,
            Self::File(file) => server::typed(file.media_type, file.text),
        };
        guarded(response)
    }
}

fn catalogue(exporter: &Exporter) -> Response {
    let (families, warnings) = (exporter.catalogue(), exporter.warnings());
    let catalogue = catalog::Catalog::new(exporter.page(), exporter.config(), &families, &warnings);
    match serde_json::to_vec(&catalogue) {
        Ok(json) => server::typed("application/json", json),
        Err(_) => server::unavailable("the catalogue cannot be written\n"),
    }
}

/// Adds the headers that keep the page to itself.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    // It shows what only some may see, and a new version of the program is a new page.
    set(CACHE_CONTROL, "no-store");
    response
}
