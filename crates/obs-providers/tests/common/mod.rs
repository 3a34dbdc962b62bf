//! A provider on loopback that does whatever a test asks it for by path, however bad.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// How long clients wait where the provider never answers.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// How long they wait where it does: for ever, as far as the slowest of machines is concerned.
const LONG: Duration = Duration::from_mins(1);

/// What the bomb weighs when it has gone off, and on the wire about a thousandth of it.
pub(crate) const BOMB_BYTES: usize = 64 << 20;

/// The hostile provider. It stops with the runtime of its test.
pub(crate) struct Hostile {
    address: SocketAddr,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Hostile {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        // The first two calls to `/flaky` are refused.
        let refusals = Arc::new(Semaphore::new(2));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, arrived.clone(), Arc::clone(&refusals)));
            }
        });
        let arrivals = tokio::sync::Mutex::new(arrivals);
        Self { address, arrivals }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until a request has arrived whole, and gives its head.
    pub(crate) async fn arrived(&self) -> String {
        self.arrivals.lock().await.recv().await.unwrap()
    }
}

/// A port on which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A client that waits as long as it takes.
pub(crate) fn plain_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().timeout(LONG).no_proxy();
    builder.build().unwrap()
}

async fn serve(
    mut stream: TcpStream,
    arrived: mpsc::UnboundedSender<String>,
    refusals: Arc<Semaphore>,
) {
    while let Some(head) = request(&mut stream).await {
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let _ = arrived.send(head);
        let path = target.split('?').next().unwrap_or_default();
        let answer = match path {
            "/flaky" => match refusals.try_acquire() {
                Ok(permit) => {
                    permit.forget();
                    response(
                        "429 Too Many Requests",
                        "x-ratelimit-remaining: 0\r\n",
                        b"no",
                    )
                }
                Err(_) => response("200 OK", "", b"yes"),
            },
            "/silent" => return until_gone(stream).await,
            "/slow-body" => {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx")
                    .await;
                return until_gone(stream).await;
            }
            "/reset" => {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nxxxx")
                    .await;
                // The client is to have the head before the connection breaks.
                let _ = stream.flush().await;
                let socket = socket_of(stream);
                let _ = socket.set_linger(Some(Duration::ZERO));
                return;
            }
            "/short" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nxxxx".to_vec(),
            "/huge" => b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\nxxxx".to_vec(),
            "/hang-up" => return,
            "/garbage" => b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
            known => known_response(known, &target),
        };
        if stream.write_all(&answer).await.is_err() || closes(path) {
            return;
        }
    }
}

fn closes(path: &str) -> bool {
    matches!(path, "/short" | "/huge" | "/garbage" | "/long")
}

fn known_response(path: &str, target: &str) -> Vec<u8> {
    match path {
        "/ok" => response("200 OK", "x-ratelimit-remaining: 41\r\n", b"[1, 2]"),
        "/empty" => response("204 No Content", "", b""),
        "/limited" => response("429 Too Many Requests", "", b"no"),
        "/limited-wait" => response("429 Too Many Requests", "retry-after: 30\r\n", b"no"),
        "/teapot" => response("418 I'm a teapot", "", b"no"),
        "/forbidden" => response("403 Forbidden", "", target.as_bytes()),
        "/busy" => response("503 Service Unavailable", "retry-after: 0.5e2\r\n", b"no"),
        "/failing" => response("503 Service Unavailable", "", b"no"),
        "/long" => b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n[1, 2], and much more".to_vec(),
        "/bad-json" => response("200 OK", "", b"{\"price\": "),
        "/no-json" => response("200 OK", "", b""),
        "/not-utf8" => response("200 OK", "", b"[\"\xff\xfe\"]"),
        "/redirect" => response("302 Found", &format!("location: {target}\r\n"), b""),
        "/bomb" => response("200 OK", "content-encoding: gzip\r\n", &BOMB),
        "/bad-gzip" => response(
            "200 OK",
            "content-encoding: gzip\r\n",
            b"this is no gzip at all",
        ),
        _ => response("404 Not Found", "", b""),
    }
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

static BOMB: LazyLock<Vec<u8>> = LazyLock::new(bomb);

fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..BOMB_BYTES >> 20 {
        gzip.write_all(&zeros).unwrap();
    }
    gzip.finish().unwrap()
}

/// The head of the next request, if one comes.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
    }
    String::from_utf8(head).ok()
}

/// Says nothing until the other side has gone.
async fn until_gone(mut stream: TcpStream) {
    let mut sink = [0; 64];
    while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
}

/// The socket itself, whose linger time decides between an orderly end and a reset.
fn socket_of(stream: TcpStream) -> socket2::Socket {
    socket2::Socket::from(stream.into_std().unwrap())
}
