//! The exposition that all viewers share.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, HeaderValue, VARY};
use obs_page::{AGE, Clock, RENDERED_AT};
use obs_recorder::{Format, Names};
use tokio::sync::Mutex;

use crate::Exporter;
use crate::accept::accepts_gzip;
use crate::server::{self, Body, Peer, Response, gzip, unavailable};

/// The last rendering, kept for those who ask within a second of it.
pub(super) struct Live {
    clock: Clock,
    last: Arc<Mutex<Option<Rendered>>>,
}

#[derive(Clone)]
struct Rendered {
    at: Instant,
    /// Kept compressed, which is a tenth of it: browsers take it as it is.
    gzipped: Bytes,
}

/// Why there is nothing to answer with.
enum Fault {
    /// As many scrapes as may be are under way.
    Busy,
    /// The runtime stops.
    Ending,
}

impl Live {
    /// How long a rendering serves everybody.
    const SHARED: Duration = Duration::from_secs(1);

    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: Arc::default(),
        }
    }

    pub(super) async fn answer(
        &self,
        exporter: &Exporter,
        peer: Peer,
        headers: &HeaderMap,
    ) -> Response {
        let rendered = match self.rendered(exporter).await {
            Ok(rendered) => rendered,
            Err(Fault::Busy) => return server::busy(exporter, peer),
            Err(Fault::Ending) => return unavailable(server::ENDING),
        };
        // A request that waited for the rendering of another held no place meanwhile, but needs one to be answered.
        let Some(place) = exporter.place() else {
            return server::busy(exporter, peer);
        };
        let is_gzip = accepts_gzip(headers);
        let body = if is_gzip {
            Some(rendered.gzipped.clone())
        } else {
            plain(rendered.gzipped.clone()).await
        };
        let Some(body) = body else {
            return unavailable(server::ENDING);
        };
        let body = Body::of_scrape(body, place);
        let mut response = server::typed(Format::Classic.media_type(), body);
        let headers = response.headers_mut();
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_gzip {
            headers.insert(CONTENT_ENCODING, server::GZIP);
        }
        let at = self.clock.at(rendered.at);
        headers.insert(RENDERED_AT, in_seconds(at));
        headers.insert(AGE, in_seconds(rendered.at.elapsed()));
        response
    }

    /// The last rendering where it is not too old, else a new one, for which all others wait.
    async fn rendered(&self, exporter: &Exporter) -> Result<Rendered, Fault> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(rendered) = &*last
            && rendered.at.elapsed() < Self::SHARED
        {
            return Ok(rendered.clone());
        }
        let exporter = exporter.clone();
        // In a task of its own: the viewer who asked for it may go away, and those who wait must not begin once more.
        let work = tokio::spawn(async move {
            let _place = exporter.place().ok_or(Fault::Busy)?;
            let text = exporter.scrape(Format::Classic, Names::default(), |_, text| {
                (Instant::now(), gzip(text))
            });
            let (at, gzipped) = text.await.ok_or(Fault::Ending)?;
            let gzipped = gzipped.map_err(|_| Fault::Ending)?.into();
            let rendered = Rendered { at, gzipped };
            *last = Some(rendered.clone());
            Ok(rendered)
        });
        work.await.unwrap_or(Err(Fault::Ending))
    }
}

/// The text itself, for the few who do not take it compressed.
async fn plain(gzipped: Bytes) -> Option<Bytes> {
    let work = move || {
        let mut text = Vec::new();
        let read = GzDecoder::new(&gzipped[..]).read_to_end(&mut text);
        read.map(|_| Bytes::from(text)).ok()
    };
    tokio::task::spawn_blocking(work).await.ok()?
}

fn in_seconds(time: Duration) -> HeaderValue {
    let text = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    // Digits and a point are always a header's value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}
