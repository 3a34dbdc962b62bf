//! The routes, and a server of their own.

use std::future::IntoFuture;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use obs_recorder::Format;
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

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BY_ACCEPTED: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

async fn metrics(State(exporter): State<Exporter>, headers: HeaderMap) -> Response {
    let compressed = accepts_gzip(&headers);
    let body = exporter.scrape(wanted_format(&headers), move |format, text| {
        let body = if compressed {
            gzip(text)
        } else {
            Ok(text.as_bytes().to_vec())
        };
        body.map(|body| (format, body))
    });
    let Some(Ok((format, body))) = body.await else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the process is shutting down\n",
        )
            .into_response();
    };
    let media_type = HeaderValue::from_static(format.media_type());
    let mut response = ([(CONTENT_TYPE, media_type), (VARY, BY_ACCEPTED)], body).into_response();
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

/// `OpenMetrics` for who names it and does not like the plain text better.
fn wanted_format(headers: &HeaderMap) -> Format {
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(ACCEPT).iter();
    for range in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
        match media_type.trim() {
            "application/openmetrics-text" if is_version_1(parameters) => {
                open = open.max(weight(parameters));
            }
            "text/plain" => plain = plain.max(weight(parameters)),
            _ => {}
        }
    }
    if open > 0.0 && open >= plain {
        Format::OpenMetrics
    } else {
        Format::Classic
    }
}

/// Whether the version that is asked for is the one that is written; who names none takes any.
fn is_version_1(parameters: &str) -> bool {
    parameter(parameters, "version").is_none_or(|version| version.trim_matches('"') == "1.0.0")
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

/// Whether the weight is above 0.
fn is_wanted(parameters: &str) -> bool {
    weight(parameters) > 0.0
}

/// The weight: 1 where none is given, 0 where it is no number.
fn weight(parameters: &str) -> f32 {
    let weight = parameter(parameters, "q");
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    let mut parameters = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='));
    let found = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim())
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

    #[test]
    fn open_metrics_is_sent_to_those_who_like_it_no_less() {
        // What Prometheus 2 and 3 send, of which the latter asks for protobuf first.
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1";
        let cases = [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/html, application/xhtml+xml, */*;q=0.8", false),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text; version=1.0.0", true),
            ("application/openmetrics-text; version=2.0.0", false),
            ("application/openmetrics-text; version=0.0.1", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=0.3, text/plain", false),
            ("text/plain;q=0.5, application/openmetrics-text;q=0.5", true),
            (prometheus_2, true),
            (prometheus_3, true),
        ];
        for (value, is_open) in cases {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT, HeaderValue::from_static(value));
            let found = wanted_format(&headers) == Format::OpenMetrics;
            assert_eq!(found, is_open, "{value:?}");
        }
        assert_eq!(wanted_format(&HeaderMap::new()), Format::Classic);
    }
}
