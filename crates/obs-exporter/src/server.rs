//! The routes, and a server of their own.

use std::future::IntoFuture;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Exporter, ExporterError};

/// A running server of [`Exporter::serve`]. Dropped, it stops listening; requests under way are still answered.
#[derive(Debug)]
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    /// Dropped, it tells the task to stop.
    running: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// How long [`shutdown`](Self::shutdown) waits for requests under way, or for clients that connected and say nothing.
    pub const GRACE: Duration = Duration::from_secs(10);

    pub(crate) async fn start(exporter: &Exporter) -> Result<Self, ExporterError> {
        if Handle::try_current().is_err() {
            return Err(ExporterError::NoRuntime);
        }
        let address = exporter.config().listen;
        let refused = |source| ExporterError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (running, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, site(exporter)).with_graceful_shutdown(async {
            // The sender never sends; it is dropped.
            let _ = stopped.await;
        });
        Ok(Self {
            address,
            running: Some(running),
            task: tokio::spawn(serve.into_future()),
        })
    }

    /// The address it listens on, with the port that was found where the configuration asks for any.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and waits until the requests under way are answered, but no longer than [`GRACE`](Self::GRACE).
    pub async fn shutdown(mut self) {
        self.running = None;
        // Whether the task ended well or the wait was long enough: nobody listens any more.
        let _ = tokio::time::timeout(Self::GRACE, &mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The routes that an application mounts.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(exporter: &Exporter) -> Router<S> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get("ok\n"))
        .with_state(exporter.clone())
}

/// The routes of the server of our own.
fn site(exporter: &Exporter) -> Router {
    let not_found = (
        StatusCode::NOT_FOUND,
        "not found; there are /metrics and /healthz\n",
    );
    routes(exporter)
        .route("/", get(Html(INDEX)))
        .fallback(async move || not_found)
}

const INDEX: &str = "<!doctype html>\n<title>Metrics</title>\n\
    <p><a href=\"/metrics\">/metrics</a>: what Prometheus scrapes</p>\n\
    <p><a href=\"/healthz\">/healthz</a>: whether the process answers</p>\n";

/// The text format's media type and version.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

async fn metrics(State(exporter): State<Exporter>, headers: HeaderMap) -> Response {
    let compressed = accepts_gzip(&headers);
    let body = exporter.scrape(move |text| {
        if compressed {
            gzip(&text)
        } else {
            Ok(text.into_bytes())
        }
    });
    let Some(Ok(body)) = body.await else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the process is shutting down\n",
        )
            .into_response();
    };
    let mut response = ([(CONTENT_TYPE, TEXT_FORMAT), (VARY, BY_ENCODING)], body).into_response();
    if compressed {
        response.headers_mut().insert(CONTENT_ENCODING, GZIP);
    }
    response
}

fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    // The fastest level already makes a tenth of an exposition, and a scrape is sent once.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// Whether the client takes gzip: named, or by `*`, and not with a weight of 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    for coding in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return is_wanted(parameters);
        }
        if name == "*" {
            any = is_wanted(parameters);
        }
    }
    any
}

/// Whether the weight is above 0; it is 1 where none is given.
fn is_wanted(parameters: &str) -> bool {
    let weight = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='));
    let weight = weight
        .into_iter()
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_none_or(|(_, weight)| weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let cases: [(&[&str], bool); 14] = [
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["deflate", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip;q=0, *"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=nonsense"], false),
            (&["br, identity"], false),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(accepts_gzip(&headers), expected, "{values:?}");
        }
    }
}
