//! A server of a few small answers, for as long as the program runs: the page of several services, and what the agent reads.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use obs_page::{Client, Response};
#[cfg(unix)]
use obs_recorder::request::accepts_gzip;

/// How many clients are answered at once, how long each may take, and how much of a request is read. A browser asks for six things at a
/// time.
const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST_BYTES: u64 = 16 << 10;

/// The policy of an answer that brings none: nothing but a page's own files is loaded or run, and it is part of no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A request.
pub(crate) struct Request {
    method: Method,
    /// Its path, without the query.
    pub(crate) path: String,
    headers: HeaderMap,
}

impl Request {
    /// What the client takes.
    #[cfg(unix)]
    pub(crate) fn client(&self) -> Client<'_> {
        Client {
            headers: &self.headers,
            takes_gzip: accepts_gzip(self.texts(ACCEPT_ENCODING)),
        }
    }

    /// Which media types it accepts.
    #[cfg(unix)]
    pub(crate) fn accept(&self) -> impl Iterator<Item = &str> {
        self.texts(ACCEPT)
    }

    #[cfg(unix)]
    fn texts(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }

    /// The host that it is asked for; empty where it says none, and nobody's where it says several.
    fn host(&self) -> &str {
        let mut hosts = self.headers.get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or(",").trim(),
            (None, _) => "",
            (Some(_), Some(_)) => ",",
        }
    }
}

/// An answer of this media type.
pub(crate) fn ok(media_type: &'static str, body: impl Into<bytes::Bytes>) -> Response {
    let mut response = Response::new(body.into());
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// An answer with another status, which says why.
pub(crate) fn refused(status: StatusCode, why: &'static str) -> Response {
    let mut response = ok(TEXT, why);
    *response.status_mut() = status;
    response
}

/// Text for people.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Answers clients for ever: `content` says what is under a path, and `is_ours` by which hosts it may be asked for. A page of somebody
/// else whose name leads here does not get to read it.
pub(crate) fn serve(
    listener: &TcpListener,
    is_ours: impl Fn(&str) -> bool + Send + Sync + 'static,
    content: impl Fn(&Request) -> Response + Send + Sync + 'static,
) {
    let (busy, shared) = (Arc::new(AtomicUsize::new(0)), Arc::new((is_ours, content)));
    for stream in listener.incoming().flatten() {
        if busy.load(Ordering::Relaxed) >= CONNECTIONS {
            // It asks again.
            continue;
        }
        busy.fetch_add(1, Ordering::Relaxed);
        let (busy, shared) = (Arc::clone(&busy), Arc::clone(&shared));
        thread::spawn(move || {
            // A client that went away needs no answer.
            let _ = answer(stream, &shared.0, &shared.1);
            busy.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Reads one request and answers it.
fn answer(
    mut stream: TcpStream,
    is_ours: &impl Fn(&str) -> bool,
    content: &impl Fn(&Request) -> Response,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = read(&stream)?;
    let mut response = if !is_ours(request.host()) {
        refused(
            StatusCode::MISDIRECTED_REQUEST,
            "ask by the address of this machine\n",
        )
    } else if matches!(request.method, Method::GET | Method::HEAD) {
        content(&request)
    } else {
        let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "");
        let allowed = HeaderValue::from_static("GET,HEAD");
        response.headers_mut().insert(ALLOW, allowed);
        response
    };
    let (status, length) = (response.status(), response.body().len());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (CONNECTION, "close"),
    ] {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    }
    headers.insert(CONTENT_LENGTH, length.into());
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers.iter() {
        let name: &[u8] = name.as_ref();
        head.extend([name, b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    stream.write_all(&head)?;
    if request.method == Method::HEAD {
        return Ok(());
    }
    stream.write_all(response.body())
}

/// The first request of a connection, without a body.
fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream.take(REQUEST_BYTES)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    // All of it is read, so that closing the connection does not reset it.
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && let Ok(name) = HeaderName::try_from(name)
            && let Ok(value) = HeaderValue::try_from(value.trim())
        {
            headers.append(name, value);
        }
    }
    Ok(Request {
        // What is no method is none that is answered.
        method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::OPTIONS),
        path,
        headers,
    })
}
