//! Providers that swallow what they are sent: connections that nobody answers, and packets that nobody takes.

use std::io;
use std::net::{SocketAddr, TcpStream};

use crate::common::{Hostile, PATIENCE, plain_client};
use obs_core::TestRecorder;
use obs_providers::{Provider, ProviderKind};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How many calls are made at once.
const CALLS: usize = 50;

/// A port where the kernel takes connections, as many as wait in its queue, and no program does.
struct Blackhole {
    listener: Socket,
    address: SocketAddr,
    /// What fills the queue.
    waiting: Vec<TcpStream>,
}

impl Blackhole {
    /// Connections are made, and requests sent; nobody reads them.
    fn silent() -> Self {
        Self::listen(1024)
    }

    /// The queue is full, so that the kernel drops what else comes: no connection is made.
    fn dropping() -> Self {
        let mut hole = Self::listen(0);
        loop {
            match TcpStream::connect_timeout(&hole.address, PATIENCE) {
                Ok(waiting) => hole.waiting.push(waiting),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return hole;
                }
            }
        }
    }

    fn listen(queue: i32) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(queue).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        Self {
            listener,
            address,
            waiting: Vec::new(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on somebody answers.
    fn answer(self) {
        drop(self.waiting);
        self.listener.listen(1024).unwrap();
        self.listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(self.listener.into()).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                        line.clear();
                    }
                    let answer =
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
                    // Who asked may have gone long ago.
                    let _ = stream.get_mut().write_all(answer).await;
                });
            }
        });
    }
}

/// A provider under a recorder, and a client of it that gives up connecting and waiting after that time.
struct Measured {
    name: &'static str,
    provider: Provider,
    client: ClientWithMiddleware,
}

impl Measured {
    fn new(test: &TestRecorder, name: &'static str, client: reqwest::Client) -> Self {
        let provider = test.run(|| Provider::new(name, ProviderKind::MarketData));
        let client = ClientBuilder::new(client)
            .with(provider.middleware())
            .build();
        Self {
            name,
            provider,
            client,
        }
    }

    /// Makes all calls at once; each tells whether it was answered.
    fn call(&self, url: &str) -> JoinSet<bool> {
        let call = |_| {
            let request = self.client.get(url);
            async move {
                match request.send().await {
                    Ok(response) => response.bytes().await.is_ok(),
                    Err(_) => false,
                }
            }
        };
        (0..CALLS).map(call).collect()
    }

    fn up(&self, test: &TestRecorder) -> Option<f64> {
        test.gauge("provider_up", &[("provider", self.name)])
    }

    fn in_flight(&self, test: &TestRecorder) -> Option<f64> {
        test.gauge("provider_requests_in_flight", &[("provider", self.name)])
    }

    fn outcomes(&self, test: &TestRecorder, outcome: &str) -> u64 {
        let labels = [("provider", self.name), ("outcome", outcome)];
        test.counter_sum("provider_requests_total", &labels)
    }

    fn timeouts(&self, test: &TestRecorder) -> Option<u64> {
        let labels = [("provider", self.name), ("error_type", "timeout")];
        test.counter("provider_errors_total", &labels)
    }

    fn unavailable(&self, test: &TestRecorder) -> u64 {
        self.provider.observe();
        let labels = [("provider", self.name)];
        test.counter("provider_unavailable_seconds_total", &labels)
            .unwrap()
    }
}

#[tokio::test]
async fn providers_that_swallow_everything_hold_up_no_other() {
    let (silent, dropping) = (Blackhole::silent(), Blackhole::dropping());
    let good = Hostile::start().await;
    let test = TestRecorder::new();
    // One client, as in most programs, and more patience than this test needs.
    let client = plain_client();
    let [swallows, drops, answers] =
        ["silent", "dropping", "good"].map(|name| Measured::new(&test, name, client.clone()));
    let mut stuck = [swallows.call(&silent.url()), drops.call(&dropping.url())];
    let all = Some(CALLS as f64);
    while (swallows.in_flight(&test), drops.in_flight(&test)) != (all, all) {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let answered = answers.call(&good.url("/ok")).join_all().await;
        assert_eq!(answered, [true; CALLS]);
    }
    assert_eq!(answers.outcomes(&test, "ok"), 3 * CALLS as u64);
    assert_eq!(answers.in_flight(&test), Some(0.0));
    for measured in [&swallows, &drops] {
        assert_eq!(measured.in_flight(&test), all);
        assert!(measured.provider.is_up(), "nothing was heard of it yet");
    }

    for calls in &mut stuck {
        calls.shutdown().await;
    }
    for measured in [&swallows, &drops] {
        assert_eq!(measured.in_flight(&test), Some(0.0));
        assert_eq!(measured.outcomes(&test, "cancelled"), CALLS as u64);
    }
}

#[tokio::test]
async fn a_provider_that_swallows_everything_is_down_until_it_answers() {
    for (name, hole) in [
        ("silent", Blackhole::silent()),
        ("dropping", Blackhole::dropping()),
    ] {
        let test = TestRecorder::new();
        let impatient = reqwest::Client::builder().no_proxy();
        let impatient = impatient.connect_timeout(PATIENCE).read_timeout(PATIENCE);
        let measured = Measured::new(&test, name, impatient.build().unwrap());
        let url = hole.url();

        let answered = measured.call(&url).join_all().await;
        assert_eq!(answered, [false; CALLS], "{name}");
        assert_eq!(measured.timeouts(&test), Some(CALLS as u64), "{name}");
        assert_eq!(measured.outcomes(&test, "error"), CALLS as u64, "{name}");
        assert_eq!(measured.in_flight(&test), Some(0.0), "{name}");
        assert_eq!(measured.up(&test), Some(0.0), "{name}");
        let first = measured.unavailable(&test);
        assert!(measured.unavailable(&test) > first, "{name}");

        hole.answer();
        // Until the kernel takes connections again, calls may fail as before.
        while !measured.provider.is_up() {
            measured.call(&url).join_all().await;
        }
        assert_eq!(measured.up(&test), Some(1.0), "{name}");
        let last = measured.unavailable(&test);
        assert_eq!(measured.unavailable(&test), last, "{name}");
        assert_eq!(measured.in_flight(&test), Some(0.0), "{name}");
        let failed = test.counter_sum("provider_errors_total", &[]);
        assert_eq!(measured.timeouts(&test), Some(failed), "{name}");
    }
}
