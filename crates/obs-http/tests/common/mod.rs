//! A client that says exactly what it wants to say, and a way to await what a server records.

use std::net::SocketAddr;
use std::time::Duration;

use obs_core::{TestRecorder, TestValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request that closes its connection, and gives the whole answer.
pub(crate) async fn ask(server: SocketAddr, request: &str) -> String {
    let mut stream = begin(server, request).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer
}

/// Sends a request and leaves its connection open.
pub(crate) async fn begin(server: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.expect("it listens");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    stream
}

/// Waits until so many requests have ended and none is in flight, and holds the server to it.
pub(crate) async fn settled(test: &TestRecorder, requests: u64) {
    let ended = || test.counter_sum("http_requests_total", &[]);
    let settled = async {
        while ended() < requests || !is_idle(test) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), settled).await;
    assert!(
        waited.is_ok(),
        "{requests} requests have not ended: {test:?}"
    );
    assert_eq!(ended(), requests);
}

/// Whether no request is in flight, by any method.
fn is_idle(test: &TestRecorder) -> bool {
    let gauges = test.snapshot().into_iter();
    gauges
        .filter(|series| series.name == "http_requests_in_flight")
        .all(|series| series.value == TestValue::Gauge(0.0))
}
