//! A server of a few small answers, for as long as the program runs: the page of several services, and what the agent reads.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How many clients are answered at once, how long each may take, and how much of a request is read.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST_BYTES: u64 = 16 << 10;

/// Nothing but a page's own files is loaded or run, and it is part of no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// Headers that tell more of it.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn ok(media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: "200 OK",
            media_type,
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn not_found(body: &str) -> Self {
        Self {
            status: "404 Not Found",
            media_type: "text/plain",
            body: body.into(),
            headers: Vec::new(),
        }
    }
}

/// A request.
pub(crate) struct Asked {
    /// What it asks for, without the query; nothing where it is no GET.
    pub(crate) path: String,
    host: String,
    /// Which media types it accepts.
    pub(crate) accept: String,
}

/// Answers clients for ever: `content` says what is answered to a request, and `is_ours` by which hosts it may be asked for. A page of somebody
/// else whose name leads here does not get to read it.
pub(crate) fn serve(
    listener: &TcpListener,
    is_ours: impl Fn(&str) -> bool + Send + Sync + 'static,
    content: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
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
    content: &impl Fn(&Asked) -> Answer,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let asked = request(&stream)?;
    let answer = if is_ours(&asked.host) {
        content(&asked)
    } else {
        Answer {
            status: "403 Forbidden",
            media_type: "text/plain",
            body: "ask by the address of this machine\n".into(),
            headers: Vec::new(),
        }
    };
    let Answer {
        status,
        media_type,
        body,
        headers,
    } = answer;
    // Messages have no text's encoding.
    let is_text = !media_type.starts_with("application/vnd.");
    let charset = if is_text { "; charset=utf-8" } else { "" };
    let mut more = String::new();
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut more, format_args!("{name}: {value}\r\n"));
    }
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}{charset}\r\ncontent-length: {}\r\ncontent-security-policy: {POLICY}\r\n\
         x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\ncache-control: no-store\r\n{more}connection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// Reads a request.
fn request(stream: &TcpStream) -> io::Result<Asked> {
    let mut lines = BufReader::new(stream.take(REQUEST_BYTES)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let target = first.strip_prefix("GET ").unwrap_or_default();
    let target = target.split(' ').next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let (mut host, mut accept) = (String::new(), String::new());
    // All of it is read, so that closing the connection does not reset it.
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("host") {
            value.trim().clone_into(&mut host);
        } else if name.eq_ignore_ascii_case("accept") {
            // Several are one with a comma between.
            accept.push_str(value);
            accept.push(',');
        }
    }
    Ok(Asked { path, host, accept })
}
