//! The routes, and a server of their own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    HOST, HeaderName, HeaderValue, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method, Request, StatusCode};
use obs_recorder::request::{WantedMessages, WantedText, is_for};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::connections::{Connections, Listener};
use crate::exporter::Scrape;
#[cfg(feature = "otlp")]
use crate::otlp::Otlp;
use crate::own::Refused;
#[cfg(feature = "push")]
use crate::pushing::Pushing;
use crate::runtime::Task;
use crate::tls::Tls;
use crate::{Config, Exporter, ExporterError, runtime};

/// Where a request comes from, where that is known.
pub(crate) type Peer = Option<SocketAddr>;

/// What is answered.
pub(crate) type Response = hyper::Response<Body>;

/// A server that is being started.
pub(crate) type Started<'a> =
    Pin<Box<dyn Future<Output = Result<Server, ExporterError>> + Send + 'a>>;

/// A running server of [`Exporter::serve`]. Dropped, it stops listening; requests under way are still answered.
#[derive(Debug)]
#[must_use = "the server stops when it is dropped"]
pub struct Server {
    address: SocketAddr,
    /// Dropped, it tells the task and its connections to stop.
    running: Option<watch::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// How long [`shutdown`](Self::shutdown) waits for requests under way. Connections on which nothing was asked yet are
    /// closed at once.
    pub const GRACE: Duration = Duration::from_secs(10);
    /// How long a client may take over a request: from connecting to the end of the first one's headers, a TLS handshake
    /// included, and from the first byte of a later one.
    pub const ASK: Duration = Duration::from_secs(10);
    /// How long a connection is kept between requests.
    pub const IDLE: Duration = Duration::from_secs(75);
    /// How long a client may take nothing of what is sent.
    pub const STALL: Duration = Duration::from_secs(15);
    /// How long a client may take over a whole answer.
    pub const SEND: Duration = Duration::from_secs(30);
    /// How old a connection becomes. An answer under way is still sent.
    pub const LIFETIME: Duration = Duration::from_mins(10);

    /// Boxed here, so that it is compiled with this crate. The body of an `async fn` is compiled where it is awaited, which would be in
    /// every program that serves, and with it all that it calls of Tokio and hyper.
    #[inline(never)]
    pub(crate) fn start(exporter: &Exporter) -> Started<'_> {
        Box::pin(Self::listen(exporter))
    }

    async fn listen(exporter: &Exporter) -> Result<Self, ExporterError> {
        runtime::check()?;
        let config = exporter.config();
        let tls = Tls::new(config)?;
        if let Some(tls) = &tls {
            exporter.certificate_ends(tls.ends());
        }
        let address = config.listen;
        let is_private = address.ip().to_canonical().is_loopback();
        if !is_private && !config.authenticates() && !config.allow_public {
            return Err(ExporterError::Public { address });
        }
        #[cfg(feature = "push")]
        let pushing = Pushing::new(exporter)?;
        #[cfg(feature = "otlp")]
        let otlp = Otlp::new(config)?;
        let socket = socket(config)?;
        let refused = |source| ExporterError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        #[cfg(feature = "page")]
        exporter.remember()?;
        let (running, stopped) = watch::channel(());
        let connections = Connections::new(exporter, tls);
        #[cfg(any(feature = "push", feature = "otlp"))]
        let exporter = exporter.clone();
        let work = async move {
            let at_the_socket = async {
                if let Some(socket) = socket {
                    connections.clone().serve(socket, stopped.clone()).await;
                }
            };
            let pushing = async {
                #[cfg(feature = "push")]
                if let Some(pushing) = pushing {
                    pushing.run(exporter.clone(), stopped.clone()).await;
                }
            };
            let over_otlp = async {
                #[cfg(feature = "otlp")]
                if let Some(otlp) = otlp {
                    otlp.run(exporter.clone(), address, stopped.clone()).await;
                }
            };
            let serving = connections
                .clone()
                .serve(Listener::Tcp(listener), stopped.clone());
            tokio::join!(serving, at_the_socket, pushing, over_otlp);
        };
        let work: Task = Box::pin(work);
        Ok(Self {
            address,
            running: Some(running),
            task: tokio::spawn(work),
        })
    }

    /// The address it listens on, with the port that was found where the configuration asks for any.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and waits until the requests under way are answered, but no longer than [`GRACE`](Self::GRACE). What
    /// is not answered by then is cut off.
    pub async fn shutdown(mut self) {
        self.running = None;
        // The task does not panic, and is cancelled with the runtime at most: nobody listens any more.
        let _ = (&mut self.task).await;
    }
}

/// The Unix socket that the configuration names.
fn socket(config: &Config) -> Result<Option<Listener>, ExporterError> {
    let Some(path) = &config.unix_socket else {
        return Ok(None);
    };
    #[cfg(unix)]
    return crate::socket::Socket::bind(path).map(|socket| Some(Listener::Unix(socket)));
    #[cfg(not(unix))]
    Err(ExporterError::InvalidSetting {
        setting: "OBS_UNIX_SOCKET",
        value: path.display().to_string(),
        accepts: "nothing on this system, which has no such sockets",
    })
}

/// Answers what is asked of the server of our own.
pub(crate) async fn answer<B>(exporter: &Exporter, peer: Peer, request: &Request<B>) -> Response {
    if !is_our_name(exporter.config(), request) {
        let wrong = "this server does not go by that name; add it to OBS_HOSTS\n";
        return guarded(text(StatusCode::MISDIRECTED_REQUEST, wrong));
    }
    guarded(answer_by_path(exporter, peer, request).await)
}

/// Whether a request is meant for this server.
fn is_our_name<B>(config: &Config, request: &Request<B>) -> bool {
    let header = || request.headers().get(HOST)?.to_str().ok();
    let named = request.uri().authority().map(Authority::as_str);
    is_for(named.or_else(header).unwrap_or_default(), &config.hosts)
}

/// The texts of all headers of a name.
fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok())
}

/// Whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    obs_recorder::request::accepts_gzip(texts(headers, ACCEPT_ENCODING))
}

/// What is answered is neither kept by anybody between, nor taken for another type than it is.
pub(crate) fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn answer_by_path<B>(exporter: &Exporter, peer: Peer, request: &Request<B>) -> Response {
    let Some(route) = Route::at(exporter, request.uri().path()) else {
        let not_found = "not found; there are /metrics and /healthz\n";
        return text(StatusCode::NOT_FOUND, not_found);
    };
    let method = request.method();
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
        let allowed = HeaderValue::from_static("GET,HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    let response = route.answer(exporter, peer, request.headers()).await;
    if *method == Method::HEAD {
        without_body(response)
    } else {
        response
    }
}

/// What there is to be asked for.
#[derive(Clone, Copy)]
enum Route {
    Metrics,
    Health,
    /// Links to the others, where there is no page.
    Links,
    #[cfg(feature = "page")]
    Page(crate::page::Route),
}

impl Route {
    fn at(exporter: &Exporter, path: &str) -> Option<Self> {
        #[cfg(feature = "page")]
        if exporter.config().page
            && let Some(route) = crate::page::Route::at(path)
        {
            return Some(Self::Page(route));
        }
        #[cfg(not(feature = "page"))]
        let _ = exporter;
        match path {
            "/metrics" => Some(Self::Metrics),
            "/healthz" => Some(Self::Health),
            "/" => Some(Self::Links),
            _ => None,
        }
    }

    async fn answer(self, exporter: &Exporter, peer: Peer, headers: &HeaderMap) -> Response {
        // This one asks nobody who they are: it tells nothing but that the process answers.
        if let Self::Health = self {
            return health();
        }
        if let Some(refused) = refusal(exporter, peer, headers) {
            return refused;
        }
        match self {
            Self::Metrics => metrics(exporter, peer, headers).await,
            Self::Health => health(),
            Self::Links => html(INDEX),
            #[cfg(feature = "page")]
            Self::Page(route) => route.answer(exporter, peer, headers).await,
        }
    }
}

/// The answer to a client who may not read, which is noted; none for one who may.
pub(crate) fn refusal(exporter: &Exporter, peer: Peer, headers: &HeaderMap) -> Option<Response> {
    let checked = exporter.access().check(peer.map(|peer| peer.ip()), headers);
    let reason = checked.err()?;
    exporter.refusals().note(reason, peer);
    Some(exporter.access().answer(reason))
}

pub(crate) fn health() -> Response {
    text(StatusCode::OK, "ok\n")
}

/// The headers of an answer, as `HEAD` asks for.
fn without_body(response: Response) -> Response {
    let length = hyper::body::Body::size_hint(response.body()).exact();
    let mut response = response.map(|_| Body::default());
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

const INDEX: &str = "<!doctype html>\n<title>Metrics</title>\n\
    <p><a href=\"metrics\">/metrics</a>: what Prometheus scrapes</p>\n\
    <p><a href=\"healthz\">/healthz</a>: whether the process answers</p>\n";

/// What is answered when the runtime stops.
pub(crate) const ENDING: &str = "the process is shutting down\n";

pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BY_ACCEPTED: HeaderValue = HeaderValue::from_static("accept, accept-encoding");

pub(crate) async fn metrics(exporter: &Exporter, peer: Peer, headers: &HeaderMap) -> Response {
    let Some(place) = exporter.place() else {
        return busy(exporter, peer);
    };
    let gzipped = accepts_gzip(headers);
    let config = exporter.config();
    let messages = WantedMessages::of(texts(headers, ACCEPT), config.utf8_names);
    let (scrape, media_type) =
        if let Some(wanted) = messages.filter(|_| exporter.engine().is_some()) {
            let names = wanted.names;
            (Scrape::Messages { names, gzipped }, wanted.media_type())
        } else {
            let wanted = WantedText::of(texts(headers, ACCEPT), config.utf8_names);
            let (format, names) = (exporter.offered(wanted.format), wanted.names);
            let scrape = if gzipped {
                Scrape::Gzip(format, names)
            } else {
                Scrape::Text(format, names)
            };
            (scrape, wanted.media_type(format))
        };
    let Some(rendered) = exporter.scrape(scrape).await else {
        return unavailable(ENDING);
    };
    let mut response = Response::new(Body::of_scrape(rendered.body, place));
    if let Ok(media_type) = HeaderValue::from_str(&media_type) {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
    }
    let headers = response.headers_mut();
    headers.insert(VARY, BY_ACCEPTED);
    if gzipped {
        headers.insert(CONTENT_ENCODING, GZIP);
    }
    response
}

/// There is no place; that is noted.
pub(crate) fn busy(exporter: &Exporter, peer: Peer) -> Response {
    exporter.refusals().note(Refused::Busy, peer);
    unavailable("as many scrapes as may be are under way\n")
}

/// Asks to be tried again in a second.
pub(crate) fn unavailable(why: &'static str) -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, why);
    let again = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, again);
    response
}

pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = typed("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

pub(crate) fn html(text: impl Into<Bytes>) -> Response {
    typed("text/html; charset=utf-8", text.into())
}

/// An answer of this media type.
pub(crate) fn typed(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

pub(crate) fn gzip(text: impl AsRef<[u8]>) -> std::io::Result<Vec<u8>> {
    let text = text.as_ref();
    // The fastest level already makes a tenth of an exposition, and a scrape is sent once.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

/// The body of an answer, handed over piece by piece.
#[derive(Default)]
pub(crate) struct Body {
    rest: Bytes,
    /// What a scrape holds until it is sent.
    scrape: Option<Held>,
}

/// A place among the scrapes under way, and until when it may be held.
struct Held {
    until: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Body {
    const PIECE_BYTES: usize = 64 * 1024;

    /// The body of a scrape that has this place. It is not handed over for ever.
    pub(crate) fn of_scrape(body: Bytes, place: OwnedSemaphorePermit) -> Self {
        Self {
            rest: body,
            scrape: Some(Held {
                until: Box::pin(tokio::time::sleep(Server::SEND)),
                _place: place,
            }),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(whole: T) -> Self {
        Self {
            rest: whole.into(),
            scrape: None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(held) = &mut self.scrape
            && held.until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.rest.len().min(Self::PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
