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
mod files;
mod groups;
mod html;
mod live;

use hyper::HeaderMap;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use self::files::File;
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
                let service = page.service(exporter.config());
                let text = html::index(service, &exporter.catalogue());
                files::packed("text/html; charset=utf-8", text.into(), headers)
            }
            Self::Catalogue => catalogue(exporter, headers),
            Self::Live => page.live.answer(exporter, peer, headers).await,
            Self::File(file) => return guarded(file.answer(headers), files::CACHED),
        };
        guarded(response, NEVER_KEPT)
    }
}

fn catalogue(exporter: &Exporter, headers: &HeaderMap) -> Response {
    let (families, warnings) = (exporter.catalogue(), exporter.warnings());
    let catalogue = catalog::Catalog::new(exporter.page(), exporter.config(), &families, &warnings);
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
