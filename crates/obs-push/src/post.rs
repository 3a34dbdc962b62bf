//! Sending a request over HTTP/1.1, which pushes of every kind share.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, RETRY_AFTER};
use hyper::http::uri::{Authority, Scheme};
use hyper::{HeaderMap, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::tls::TlsClient;

/// What is sent.
pub(crate) type Body = Full<Bytes>;

/// How long an attempt may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after the first attempt; each further one is twice as long as the one before.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause is longer, unless the receiver asks for that.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest that one grants a receiver that asks for it.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

const UNREACHABLE: &str = "start what is to receive there, or correct the URL";
const UNWELL: &str = "look into the log of what receives there";
const REFUSED: &str =
    "correct the URL, its user and password, or what was pushed, as the answer says";

/// How an attempt failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: String,
    pub(crate) repair: &'static str,
    /// Whether the same may succeed a moment later.
    pub(crate) passes: bool,
    /// How long the receiver asks to be left alone.
    pause: Option<Duration>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    /// The beginning of it.
    pub(crate) body: Vec<u8>,
}

/// The pauses between attempts.
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pauses {
    /// The next one, which is longer where the receiver has asked for that.
    pub(crate) fn after(&mut self, failure: &Failure) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause.max(failure.pause.unwrap_or_default())
    }
}

/// A URL in its parts.
pub(crate) struct Target {
    pub(crate) is_https: bool,
    /// With the user in it, where there is one.
    pub(crate) authority: Authority,
    pub(crate) path: String,
}

impl Target {
    /// Takes a URL apart, or says what is wrong with it.
    pub(crate) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "that is not a URL")?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err("that is not a whole URL");
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err("only http and https are spoken");
        }
        if uri.query().is_some() {
            return Err("it has a query");
        }
        Ok(Self {
            is_https: *scheme == Scheme::HTTPS,
            authority: authority.clone(),
            path: uri.path().to_owned(),
        })
    }
}

impl Answer {
    /// What it says that is no success. Which statuses pass is up to the caller.
    pub(crate) fn refusal(&self, passes: bool) -> Failure {
        let problem = format!("it answered {}{}", self.status, self.said());
        Failure {
            problem,
            repair: if passes { UNWELL } else { REFUSED },
            passes,
            pause: self.pause(),
        }
    }

    /// How long it asks to be left alone, up to a minute.
    fn pause(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_ASKED))
    }

    /// The beginning of its text in one line, behind a colon; nothing where it says nothing.
    fn said(&self) -> String {
        const SHOWN: usize = 300;
        let text = String::from_utf8_lossy(&self.body);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line: String = words.join(" ").chars().take(SHOWN).collect();
        if line.is_empty() {
            line
        } else {
            format!(": {line}")
        }
    }
}

#[cfg(feature = "gateway")]
impl Failure {
    /// Nothing was sent, and nothing would be another time.
    pub(crate) fn unsendable(problem: String, repair: &'static str) -> Self {
        Self {
            problem,
            repair,
            passes: false,
            pause: None,
        }
    }
}

/// Sends a request once, on a connection of its own; its `Host` is added.
pub(crate) async fn exchange(
    authority: &Authority,
    tls: Option<&TlsClient>,
    request: Request<Body>,
) -> Result<Answer, Failure> {
    let unreachable = |problem: String| Failure {
        problem,
        repair: UNREACHABLE,
        passes: true,
        pause: None,
    };
    match timeout(TIMEOUT, exchange_in_time(authority, tls, request)).await {
        Ok(answer) => answer.map_err(|error| unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer in {} s", TIMEOUT.as_secs()))),
    }
}

async fn exchange_in_time(
    authority: &Authority,
    tls: Option<&TlsClient>,
    mut request: Request<Body>,
) -> io::Result<Answer> {
    let host = authority.as_str().parse().map_err(io::Error::other)?;
    request.headers_mut().insert(HOST, host);
    let port = authority.port_u16();
    let port = port.unwrap_or(if tls.is_some() { 443 } else { 80 });
    // As it is in the URL: an IPv6 address keeps its brackets.
    let stream = TcpStream::connect(format!("{}:{port}", authority.host())).await?;
    match tls {
        Some(tls) => ask(tls.connect(authority.host(), stream).await?, request).await,
        None => ask(stream, request).await,
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Body>,
) -> io::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    let (head, body) = answer.map_err(io::Error::other)?.into_parts();
    let body = beginning(body).await;
    connection.abort();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
    })
}

/// The beginning of a body.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    const READ: usize = 64 * 1024;
    let mut read = Vec::new();
    while read.len() < READ
        && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        read.extend(frame.into_data().unwrap_or_default());
    }
    read
}
