//! The files that the page loads: compressed once, and kept by browsers until the program is another one.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY};

use crate::answer::{BY_ENCODING, CACHED, Client, Response, either, guarded_and_kept, gzip};

/// A file that the page loads.
pub struct File {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
    made: OnceLock<Made>,
}

/// What is made of a file when it is first asked for.
struct Made {
    /// Names these bytes: another version of the program has another name for others.
    tag: HeaderValue,
    /// None where it could not be compressed.
    gzipped: Option<Bytes>,
}

impl File {
    /// The file under a path, such as `/page/app.js`; none where there is no such file.
    #[must_use]
    pub fn at(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// The file, compressed for a client that takes that, or the status 304 for one that has it. Browsers keep it for themselves, and
    /// ask each time whether there is another one.
    #[must_use]
    pub fn answer(&'static self, client: Client<'_>) -> Response {
        let made = self.made.get_or_init(|| Made::of(self.text));
        let mut response = if has(client.headers, &made.tag) {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let gzipped = made.gzipped.clone().filter(|_| client.takes_gzip);
            either(
                self.media_type,
                Bytes::from_static(self.text.as_bytes()),
                gzipped,
            )
        };
        response.headers_mut().insert(ETAG, made.tag.clone());
        response.headers_mut().insert(VARY, BY_ENCODING);
        guarded_and_kept(response, CACHED)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Made {
    fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let tag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()));
        Self {
            // Quotes and digits are always a header's value.
            tag: tag.unwrap_or(HeaderValue::from_static("\"\"")),
            gzipped: gzip(text).ok().map(Bytes::from),
        }
    }
}

/// Whether the client has what bears this tag. One that was weakened on the way, as compressing proxies do, is the same file.
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|known| known.trim().trim_start_matches("W/").as_bytes() == tag.as_bytes())
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $media_type:expr, $from:literal) => {
        File {
            path: concat!("/page/", $name),
            media_type: $media_type,
            text: include_str!($from),
            made: OnceLock::new(),
        }
    };
}

static FILES: [File; 30] = [
    file!("app.css", STYLE, "assets/app.css"),
    file!("app.js", SCRIPT, "assets/app.js"),
    file!("axis.js", SCRIPT, "assets/axis.js"),
    file!("card.js", SCRIPT, "assets/card.js"),
    file!("chart.js", SCRIPT, "assets/chart.js"),
    file!("conditions.js", SCRIPT, "assets/conditions.js"),
    file!("dom.js", SCRIPT, "assets/dom.js"),
    file!("exemplars.js", SCRIPT, "assets/exemplars.js"),
    file!("exposition.js", SCRIPT, "assets/exposition.js"),
    file!("figures.js", SCRIPT, "assets/figures.js"),
    file!("format.js", SCRIPT, "assets/format.js"),
    file!("groups.js", SCRIPT, "assets/groups.js"),
    file!("history.js", SCRIPT, "assets/history.js"),
    file!("icon.svg", PICTURE, "assets/icon.svg"),
    file!("icon-down.svg", PICTURE, "assets/icon-down.svg"),
    file!("memory.js", SCRIPT, "assets/memory.js"),
    file!("money.js", SCRIPT, "assets/money.js"),
    file!("overview.js", SCRIPT, "assets/overview.js"),
    file!("parts.js", SCRIPT, "assets/parts.js"),
    file!("pinned.js", SCRIPT, "assets/pinned.js"),
    file!("processes.js", SCRIPT, "assets/processes.js"),
    file!("promql.js", SCRIPT, "assets/promql.js"),
    file!("sheet.js", SCRIPT, "assets/sheet.js"),
    file!("slices.js", SCRIPT, "assets/slices.js"),
    file!("statistics.js", SCRIPT, "assets/statistics.js"),
    file!("store.js", SCRIPT, "assets/store.js"),
    file!("warnings.js", SCRIPT, "assets/warnings.js"),
    file!("worker.js", SCRIPT, "assets/worker.js"),
    file!("uPlot.js", SCRIPT, "vendor/uPlot.iife.min.js"),
    file!("uPlot.css", STYLE, "vendor/uPlot.min.css"),
];
