//! Clients that are slow, silent or too many, over real connections. With the clock paused, time passes as soon as nothing
//! else can happen, and every limit is reached at once. What the kernel is still moving does not count as happening, so a clock
//! is not paused while an answer is expected.

mod common;

use std::collections::VecDeque;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use common::{exporter, refused};
use obs_exporter::{Config, Exporter, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, pause, resume, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.unwrap()
}

/// Asks on a connection that stays open, and reads the answer: its headers and its body.
async fn ask(client: &mut TcpStream, path: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    client.read_exact(&mut body).await.unwrap();
    (head, body)
}

/// Asserts that somebody else is served, by a connection of their own, and sees what was recorded meanwhile.
async fn assert_untouched(recorder: &impl metrics::Recorder, server: &Server, count: u64) {
    metrics::with_local_recorder(recorder, || {
        metrics::counter!("recorded_total").increment(1);
    });
    let (head, body) = ask(&mut connect(server).await, "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let text = str::from_utf8(&body).unwrap();
    assert_eq!(common::count(text, "recorded_total", ""), count);
}

/// Has the first scrape wait; it says when it does, and goes on when it is allowed to.
fn block_first_scrape(exporter: &Exporter) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
    let (started, has_started) = oneshot::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let hook = Mutex::new(Some((started, may_go_on)));
    exporter.on_scrape(move || {
        let hook = hook.lock().unwrap().take();
        if let Some((started, may_go_on)) = hook {
            started.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    (has_started, go_on)
}

/// Lets the clock run while something is awaited that the server does at once.
async fn unpaused<T>(answer: impl Future<Output = T>) -> T {
    resume();
    let answer = answer.await;
    pause();
    answer
}

/// Sends a byte of a header each second, until the server has had enough.
async fn drip(client: &mut TcpStream) -> Duration {
    let start = Instant::now();
    client
        .write_all(b"GET /metrics HTTP/1.1\r\n")
        .await
        .unwrap();
    loop {
        if client.write_all(b"x").await.is_err() {
            return start.elapsed();
        }
        if let Ok(read) = timeout(SECOND, client.read_u8()).await {
            assert!(read.is_err(), "an answer to half a request");
            return start.elapsed();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_its_request_is_cut_off() {
    let (recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let about = Server::ASK..Server::ASK + 2 * SECOND;

    let mut client = connect(&server).await;
    let took = drip(&mut client).await;
    assert!(about.contains(&took), "{took:?}");

    // Who has asked before has no longer for the next request.
    let mut client = connect(&server).await;
    unpaused(ask(&mut client, "/healthz")).await;
    sleep(Server::IDLE / 2).await;
    let took = drip(&mut client).await;
    assert!(about.contains(&took), "{took:?}");
    assert_eq!(refused(&exporter, "slow"), 2);
    unpaused(assert_untouched(&recorder, &server, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();

    let mut never = connect(&server).await;
    let start = Instant::now();
    assert_eq!(never.read(&mut [0]).await.unwrap(), 0);
    let took = start.elapsed();
    assert!(
        (Server::ASK..Server::ASK + SECOND).contains(&took),
        "{took:?}"
    );
    assert_eq!(refused(&exporter, "slow"), 1);

    let mut between = connect(&server).await;
    unpaused(ask(&mut between, "/healthz")).await;
    let start = Instant::now();
    assert_eq!(between.read(&mut [0]).await.unwrap(), 0);
    let took = start.elapsed();
    assert!(
        (Server::IDLE..Server::IDLE + SECOND).contains(&took),
        "{took:?}"
    );
    assert_eq!(refused(&exporter, "slow"), 1, "to be silent is no fault");
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_an_age() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let start = Instant::now();
    let mut client = connect(&server).await;
    unpaused(ask(&mut client, "/metrics")).await;
    while timeout(49 * SECOND, client.read_u8()).await.is_err() {
        unpaused(ask(&mut client, "/metrics")).await;
    }
    let age = start.elapsed();
    let about = Server::LIFETIME..Server::LIFETIME + SECOND;
    assert!(about.contains(&age), "{age:?}");
}

/// More than the buffers of a connection hold.
fn record_much(recorder: &impl metrics::Recorder) {
    metrics::with_local_recorder(recorder, || {
        metrics::describe_gauge!("large", "x".repeat(32 << 20));
        metrics::gauge!("large").set(1.0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut_off() {
    let (recorder, exporter) = exporter(Config {
        max_scrapes: 2,
        ..Config::default()
    });
    record_much(&recorder);
    let server = exporter.serve().await.unwrap();
    let mut client = connect(&server).await;
    client.write_all(METRICS.as_bytes()).await.unwrap();
    unpaused(client.read_u8()).await.unwrap();
    unpaused(assert_untouched(&recorder, &server, 1)).await;
    assert_eq!(refused(&exporter, "slow"), 0);

    sleep(Server::STALL + SECOND).await;
    assert_eq!(refused(&exporter, "slow"), 1);
    let mut rest = Vec::new();
    // What the system had buffered, or nothing after a reset.
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.len() < 32 << 20, "{}", rest.len());
    unpaused(assert_untouched(&recorder, &server, 2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_drop_by_drop_is_cut_off() {
    let (recorder, exporter) = exporter(Config {
        max_scrapes: 1,
        ..Config::default()
    });
    record_much(&recorder);
    let server = exporter.serve().await.unwrap();
    let mut client = connect(&server).await;
    client.write_all(METRICS.as_bytes()).await.unwrap();
    let start = Instant::now();
    let mut received = 0;
    let mut drop = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = client.read(&mut drop).await {
        received += length;
        sleep(SECOND).await;
    }
    let took = start.elapsed();
    // It goes on reading what the system had buffered.
    assert!((Server::SEND..Server::SEND * 4).contains(&took), "{took:?}");
    assert!(received < 32 << 20, "{received}");
    unpaused(assert_untouched(&recorder, &server, 1)).await;
}

#[tokio::test]
async fn scrapes_beyond_the_bound_are_to_come_again() {
    let (_recorder, exporter) = exporter(Config {
        max_scrapes: 1,
        ..Config::default()
    });
    let (has_started, go_on) = block_first_scrape(&exporter);
    let server = exporter.serve().await.unwrap();
    let mut first = connect(&server).await;
    let first = tokio::spawn(async move { ask(&mut first, "/metrics").await });
    has_started.await.unwrap();

    let mut second = connect(&server).await;
    let (head, _) = ask(&mut second, "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.contains("\r\nretry-after: 1\r\n"), "{head}");
    let (head, _) = ask(&mut second, "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");

    go_on.send(()).unwrap();
    let (head, _) = first.await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (head, _) = ask(&mut second, "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(refused(&exporter, "busy"), 1);
}

#[tokio::test]
async fn a_thousand_idle_connections_push_out_each_other() {
    let (recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let mut kept = connect(&server).await;
    ask(&mut kept, "/metrics").await;

    // One is taken already.
    let most = exporter.config().max_connections - 1;
    let mut idle = VecDeque::new();
    for _ in 0..1000 {
        idle.push_back(connect(&server).await);
        if idle.len() > most {
            let mut oldest = idle.pop_front().unwrap();
            assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0);
        }
    }
    assert_eq!(refused(&exporter, "connections"), 1000 - most as u64);
    assert_untouched(&recorder, &server, 1).await;
    let (head, _) = ask(&mut kept, "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn a_connection_that_is_answered_gives_way_to_none() {
    let (_recorder, exporter) = exporter(Config {
        max_connections: 1,
        ..Config::default()
    });
    let (has_started, go_on) = block_first_scrape(&exporter);
    let server = exporter.serve().await.unwrap();
    let mut first = connect(&server).await;
    let first = tokio::spawn(async move { ask(&mut first, "/metrics").await });
    has_started.await.unwrap();
    let mut second = connect(&server).await;
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
    go_on.send(()).unwrap();
    let (head, _) = first.await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(refused(&exporter, "connections"), 1);
}

#[tokio::test]
async fn a_half_closed_connection_ends() {
    let (recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    for sent in ["", &METRICS[..20], METRICS] {
        let mut client = connect(&server).await;
        client.write_all(sent.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        // Answered or reset: it ends.
        let _ = client.read_to_end(&mut received).await;
        assert!(sent == METRICS || received.is_empty(), "{sent:?}");
    }
    assert_untouched(&recorder, &server, 1).await;
}

#[tokio::test]
async fn headers_are_bounded() {
    let (recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let many = "a: b\r\n".repeat(100);
    let long = format!("a: {}\r\n", "b".repeat(20 * 1024));
    for headers in [many, long] {
        let mut client = connect(&server).await;
        let request = format!("GET /metrics HTTP/1.1\r\n{headers}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 13];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431 ");
    }
    assert_untouched(&recorder, &server, 1).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_connections_that_asked_nothing() {
    let (_recorder, exporter) = exporter(Config::default());
    let server = exporter.serve().await.unwrap();
    let mut silent = connect(&server).await;
    let mut idle = connect(&server).await;
    unpaused(ask(&mut idle, "/healthz")).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}
