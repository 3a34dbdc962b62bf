//! The connections of the server, none of which may cost the process more than a little memory for a little while.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until, timeout};

use crate::exporter::lock;
use crate::own::Refused;
use crate::refusals::Refusals;
use crate::runtime::Task;
use crate::server::{self, Response};
use crate::tls::Tls;
use crate::{Exporter, Server};

/// The most a request's line and headers may take, and what is buffered of an answer besides the part being sent.
const MAX_BUFFER_BYTES: usize = 16 * 1024;
/// The most headers a request may have.
const MAX_HEADERS: usize = 64;

/// Where connections come in.
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(crate::socket::Socket),
}

/// What came in.
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// A connection of any sort that can be asked on: plain, encrypted or of a Unix socket.
trait Transport: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Transport for T {}

/// Boxed, so that hyper's connection is compiled once and not for each sort. A read costs one indirect call more.
type Ready = Pin<Box<dyn Transport>>;

impl Listener {
    /// The next connection, and from where it is. A Unix socket is on this machine.
    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), peer))
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                Ok((Stream::Unix(stream), here))
            }
        }
    }
}

/// What every connection is served with.
#[derive(Clone)]
pub(crate) struct Connections {
    exporter: Exporter,
    refusals: Arc<Refusals>,
    tls: Option<Tls>,
    most: usize,
}

impl Connections {
    pub(crate) fn new(exporter: &Exporter, tls: Option<Tls>) -> Self {
        Self {
            exporter: exporter.clone(),
            refusals: Arc::clone(exporter.refusals()),
            tls,
            most: exporter.config().max_connections,
        }
    }

    /// Serves until `stopped` has no sender any more, and then until the requests under way are answered or
    /// [`Server::GRACE`] is over.
    pub(crate) async fn serve(self, listener: Listener, mut stopped: watch::Receiver<()>) {
        let mut open: Vec<Open> = Vec::new();
        let mut tasks = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                biased;
                _ = stopped.changed() => break,
                accepted = accept(&listener) => accepted,
            };
            while tasks.try_join_next().is_some() {}
            open.retain(|one| !one.task.is_finished());
            if open.len() >= self.most && !self.make_room(&mut open) {
                self.refusals.note(Refused::Connections, Some(peer));
                continue;
            }
            let client = Arc::new(Client::new(peer, Arc::clone(&self.refusals)));
            let serve = self
                .clone()
                .greet(stream, Arc::clone(&client), stopped.clone());
            let serve: Task = Box::pin(serve);
            let task = tasks.spawn(serve);
            open.push(Open { task, client });
        }
        drop(listener);
        // What is left after the grace is dropped with the set.
        let _ = timeout(Server::GRACE, async {
            while tasks.join_next().await.is_some() {}
        })
        .await;
    }

    /// Closes the connection that will be missed least. Without one, every client is being answered.
    fn make_room(&self, open: &mut Vec<Open>) -> bool {
        let ranks = open.iter().enumerate();
        let ranks = ranks.filter_map(|(index, one)| Some((one.client.rank()?, index)));
        let Some((_, index)) = ranks.min() else {
            return false;
        };
        let least = open.remove(index);
        least.task.abort();
        self.refusals
            .note(Refused::Connections, Some(least.client.peer));
        true
    }

    /// Makes a connection what it has to be before anything is asked on it, and serves it.
    async fn greet(self, stream: Stream, client: Arc<Client>, mut stopped: watch::Receiver<()>) {
        let stream = match stream {
            Stream::Tcp(stream) => stream,
            #[cfg(unix)]
            Stream::Unix(stream) => {
                return answer(self.exporter, Box::pin(stream), client, stopped).await;
            }
        };
        // The end of an answer would wait for the client to acknowledge what came before. Where it cannot be set, it waits.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls else {
            return answer(self.exporter, Box::pin(stream), client, stopped).await;
        };
        let greeted = tokio::select! {
            _ = stopped.changed() => return,
            greeted = timeout(Server::ASK, tls.accept(stream)) => greeted,
        };
        match greeted {
            Ok(Ok(stream)) => answer(self.exporter, Box::pin(stream), client, stopped).await,
            Ok(Err(_)) | Err(_) => client.refuse(Refused::Tls),
        }
    }
}

/// A connection, as who accepts sees it.
struct Open {
    task: AbortHandle,
    client: Arc<Client>,
}

/// The next connection. Where the system has no descriptor or memory for it, it is tried for again.
async fn accept(listener: &Listener) -> (Stream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client's doing, and over.
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again in a second");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Answers what is asked on a connection until either side has had enough.
async fn answer(
    exporter: Exporter,
    stream: Ready,
    client: Arc<Client>,
    mut stopped: watch::Receiver<()>,
) {
    let asked = Arc::clone(&client);
    let service = service_fn(move |request| ask(exporter.clone(), &asked, request));
    let stream = TokioIo::new(Timed::new(stream, Arc::clone(&client)));
    let connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES)
        // `Timed` tells silence between requests from silence within one. It is asked again after an answer only where hyper
        // has a limit of its own.
        .timer(TokioTimer::new())
        .header_read_timeout(Server::LIFETIME)
        .serve_connection(stream, service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ended is between hyper and the client.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => if !client.has_asked() { return },
        () = sleep(Server::LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(Server::SEND, connection).await;
}

/// Answers a request that came from this client.
fn ask(
    exporter: Exporter,
    client: &Arc<Client>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let peer = client.peer;
    let answering = Answering::new(Arc::clone(client));
    async move {
        let answer = server::answer(&exporter, Some(peer), &request).await;
        drop(answering);
        Ok(answer)
    }
}

/// Who is at the other end, and what they have done so far.
struct Client {
    peer: SocketAddr,
    refusals: Arc<Refusals>,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    /// When a byte last went either way.
    moved: Instant,
    /// Since when a request has been coming in; the first is waited for from the start.
    asking: Option<Instant>,
    /// Whether an answer is being made.
    answering: bool,
    /// Whether there has been a whole request.
    asked: bool,
}

impl Client {
    fn new(peer: SocketAddr, refusals: Arc<Refusals>) -> Self {
        let now = Instant::now();
        let state = Mutex::new(State {
            moved: now,
            asking: Some(now),
            answering: false,
            asked: false,
        });
        Self {
            peer,
            refusals,
            state,
        }
    }

    fn refuse(&self, reason: Refused) {
        self.refusals.note(reason, Some(self.peer));
    }

    fn has_asked(&self) -> bool {
        lock(&self.state).asked
    }

    /// Lower for those who can be done without; none while an answer is made.
    fn rank(&self) -> Option<(bool, Instant)> {
        let state = *lock(&self.state);
        (!state.answering).then_some((state.asked, state.moved))
    }

    fn sent(&self) {
        let mut state = lock(&self.state);
        state.moved = Instant::now();
        if !state.answering && state.asking.is_none() {
            state.asking = Some(state.moved);
        }
    }

    fn received(&self) {
        lock(&self.state).moved = Instant::now();
    }

    /// When it is enough of waiting for a request, and whether that is the client's fault.
    fn deadline(&self) -> Option<(Instant, bool)> {
        let state = *lock(&self.state);
        if state.answering {
            return None;
        }
        Some(match state.asking {
            Some(since) => (since + Server::ASK, true),
            None => (state.moved + Server::IDLE, false),
        })
    }
}

/// An answer that is being made.
struct Answering(Arc<Client>);

impl Answering {
    fn new(client: Arc<Client>) -> Self {
        let mut state = lock(&client.state);
        state.asking = None;
        state.answering = true;
        state.asked = true;
        drop(state);
        Self(client)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.answering = false;
        state.moved = Instant::now();
    }
}

/// A stream that fails once its client is too slow.
struct Timed {
    stream: Ready,
    client: Arc<Client>,
    read: Pin<Box<Sleep>>,
    /// Set while the client does not take what is sent.
    write: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(stream: Ready, client: Arc<Client>) -> Self {
        Self {
            stream,
            client,
            read: Box::pin(sleep_until(Instant::now())),
            write: None,
        }
    }

    /// Passes on what became of a write, or fails where nothing has for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write = None;
            self.client.received();
            return outcome;
        }
        let stalled = self
            .write
            .get_or_insert_with(|| Box::pin(sleep(Server::STALL)));
        ready!(stalled.as_mut().poll(cx));
        self.client.refuse(Refused::Slow);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = this.stream.as_mut().poll_read(cx, buffer);
        if outcome.is_ready() {
            if buffer.filled().len() > before {
                this.client.sent();
            }
            return outcome;
        }
        // While it is answered, a client has nothing to say. The stream is read again when the answer is out.
        let Some((deadline, is_slow)) = this.client.deadline() else {
            return Poll::Pending;
        };
        if this.read.deadline() != deadline {
            this.read.as_mut().reset(deadline);
        }
        ready!(this.read.as_mut().poll(cx));
        if is_slow {
            this.client.refuse(Refused::Slow);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = this.stream.as_mut().poll_write(cx, bytes);
        this.written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = this.stream.as_mut().poll_write_vectored(cx, parts);
        this.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Nothing to flush is no sign of life, and a part of what was written may still stand in the way.
        match this.stream.as_mut().poll_flush(cx) {
            Poll::Pending => this.written(cx, Poll::Pending),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = this.stream.as_mut().poll_shutdown(cx);
        this.written(cx, outcome)
    }
}
