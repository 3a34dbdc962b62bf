//! The exposition that all viewers share.

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flate2::read::GzDecoder;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, HeaderValue, VARY};
use obs_page::{AGE, Clock, RENDERED_AT};
use obs_recorder::Format;
use tokio::sync::Mutex;

use crate::Exporter;
use crate::exporter::Scrape;
use crate::runtime::{Rendered, Task, off_workers};
use crate::server::{self, Body, Peer, Response, accepts_gzip, unavailable};

/// The last rendering, kept for those who ask within a second of it.
pub(super) struct Live {
    clock: Clock,
    /// Kept compressed, which is a tenth of it: browsers take it as it is.
    last: Arc<Mutex<Option<Rendered>>>,
}

/// Why there is nothing to answer with.
#[derive(Clone, Copy)]
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
            Some(rendered.body)
        } else {
            plain(rendered.body).await
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
        let outcome = Arc::new(OnceLock::new());
        let told = Arc::clone(&outcome);
        let work: Task = Box::pin(async move {
            let rendered = render(&exporter).await;
            if let Ok(rendered) = &rendered {
                *last = Some(rendered.clone());
            }
            let _ = told.set(rendered);
        });
        let _ = tokio::spawn(work).await;
        // Nothing is said where the runtime stops.
        outcome.get().cloned().unwrap_or(Err(Fault::Ending))
    }
}

async fn render(exporter: &Exporter) -> Result<Rendered, Fault> {
    let _place = exporter.place().ok_or(Fault::Busy)?;
    exporter.scrape(Scrape::Live).await.ok_or(Fault::Ending)
}

/// The text itself, for the few who do not take it compressed.
async fn plain(gzipped: Bytes) -> Option<Bytes> {
    let work = move || {
        let mut text = Vec::new();
        GzDecoder::new(&gzipped[..]).read_to_end(&mut text).ok()?;
        Some(Rendered::now(text))
    };
    let plain = off_workers(Box::new(work)).await?;
    Some(plain.body)
}

fn in_seconds(time: Duration) -> HeaderValue {
    let text = format!("{}.{:03}", time.as_secs(), time.subsec_millis());
    // Digits and a point are always a header's value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}
