//! No secret of a request is shown: not by an exposition, not by a log line, not by an error or a debug print.

mod common;

use std::error::Error;
use std::fmt::{Debug, Display, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use common::{Hostile, PATIENCE, nobody, plain_client};
use futures_util::{SinkExt, StreamExt};
use obs_core::TestRecorder;
use obs_providers::{
    ChannelKind, Clock, Decode, DisconnectReason, Moment, Provider, ProviderKind, Sequencing,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, RequestBuilder};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tower::{ServiceBuilder, ServiceExt};

/// What must not be found anywhere.
const SECRET: &str = "s3cr3t";

/// What must not be found anywhere of a feed; another, because both are looked for in one log.
const KEY: &str = "l1st3nk3y";

/// One log for all tests.
static LOGGED: LazyLock<Logged> = LazyLock::new(Logged::install);

/// Everything that was logged at any level, by whatever crate.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    /// Takes what comes through `tracing` and, by its bridge, through `log`.
    fn install() -> Self {
        let logged = Self::default();
        let writer = logged.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .init();
        logged
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Everything that was printed of what a user gets into their hands.
#[derive(Default)]
struct Seen(String);

impl Seen {
    fn debug(&mut self, value: &dyn Debug) {
        let _ = writeln!(self.0, "{value:?}\n{value:#?}");
    }

    fn error(&mut self, error: &(dyn Error + 'static)) {
        self.debug(&error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            let _ = writeln!(self.0, "{error}");
            cause = error.source();
        }
    }

    fn shown(&mut self, value: &dyn Display) {
        let _ = writeln!(self.0, "{value}");
    }
}

/// A request that carries the secret wherever a request can.
fn secretive(client: &ClientWithMiddleware, address: &str, path: &str) -> RequestBuilder {
    let url = format!("http://user:{SECRET}@{address}{path}?apikey={SECRET}#{SECRET}");
    let request = client
        .get(url)
        .header("x-api-key", SECRET)
        .bearer_auth(SECRET);
    if path.starts_with("/s") {
        request.timeout(PATIENCE)
    } else {
        request
    }
}

/// Calls, reads, fails in every way, and looks at everything on the way.
async fn look(client: &ClientWithMiddleware, address: &str, path: &str, seen: &mut Seen) {
    let response = match secretive(client, address, path).send().await {
        Ok(response) => response,
        Err(error) => return seen.error(&error),
    };
    seen.debug(&response);
    seen.shown(response.url());
    if let Err(error) = response.error_for_status_ref() {
        seen.error(&error);
    }
    if let Err(error) = response.decode_json::<Vec<i64>>().await {
        seen.error(&error);
    }
}

#[tokio::test]
async fn a_secret_is_shown_nowhere() {
    let logged = &*LOGGED;
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("hostile", ProviderKind::MarketData);
        builder.route("/{path}").build().unwrap()
    });
    let policy = || {
        let builder = ExponentialBackoff::builder();
        let builder = builder.retry_bounds(Duration::from_millis(1), Duration::from_millis(2));
        builder.build_with_max_retries(1)
    };
    let alone = ClientBuilder::new(plain_client()).with(provider.middleware());
    let retrying = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .with(RetryTransientMiddleware::new_with_policy(policy()));
    let attempting = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .with(RetryTransientMiddleware::new_with_policy(policy()))
        .with(provider.attempts());
    let mut seen = Seen::default();
    let hostile_address = hostile.url("").replace("http://", "");
    let nobody = nobody().await.to_string();
    for client in [alone.build(), retrying.build(), attempting.build()] {
        for path in [
            "/ok",
            "/limited",
            "/failing",
            "/forbidden",
            "/reset",
            "/hang-up",
            "/garbage",
            "/bad-json",
            "/redirect",
            "/silent",
            "/slow-body",
            "/nothing-here",
        ] {
            look(&client, &hostile_address, path, &mut seen).await;
        }
        look(&client, &nobody, "/", &mut seen).await;
        seen.debug(&client);
    }
    tower_too(&provider, &hostile, &mut seen).await;
    seen.debug(&provider);
    seen.debug(provider.metrics());
    seen.debug(&provider.middleware());
    seen.debug(&provider.attempts());
    seen.debug(&provider.layer());

    // The requests did carry it.
    assert!(hostile.arrived().await.contains(SECRET));
    assert!(seen.0.contains("error"), "{}", seen.0);
    assert!(!seen.0.contains(SECRET), "{}", around(&seen.0));
    let exposition = format!("{:?}", test.snapshot());
    assert!(exposition.contains("provider_errors_total"));
    assert!(!exposition.contains(SECRET), "{}", around(&exposition));
    let log = logged.text();
    assert!(log.contains("connect"), "nothing was logged: {log}");
    assert!(!log.contains(SECRET), "{}", around(&log));
}

async fn tower_too(provider: &Provider, hostile: &Hostile, seen: &mut Seen) {
    let service = ServiceBuilder::new()
        .layer(provider.layer())
        .service(plain_client());
    seen.debug(&service);
    for path in ["/ok", "/hang-up", "/bad-json"] {
        let url = hostile.url(&format!("{path}?apikey={SECRET}"));
        let request = reqwest::Request::new(http::Method::GET, url.parse().unwrap());
        match service.clone().oneshot(request).await {
            Ok(response) => {
                seen.debug(&response);
                if let Err(error) = response.json::<Vec<i64>>().await {
                    seen.error(&error);
                }
            }
            Err(error) => seen.error(&error),
        }
    }
}

#[tokio::test]
async fn a_secret_in_the_path_is_not_shown_where_it_is_known_to_be_there() {
    let hostile = Hostile::start().await;
    let provider = Provider::builder("hostile", ProviderKind::Sentiment).secret_in_path();
    let provider = provider.route("/{token}/bars").build().unwrap();
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    let response = client
        .get(hostile.url(&format!("/{SECRET}/bars")))
        .send()
        .await
        .unwrap();
    let error = response.error_for_status_ref().unwrap_err();
    let seen = format!("{response:?} {error:?} {error}");
    assert!(seen.contains("127.0.0.1"), "{seen}");
    assert!(!seen.contains(SECRET), "{seen}");
}

#[tokio::test]
async fn urls_are_left_whole_on_demand() {
    let hostile = Hostile::start().await;
    let provider = Provider::builder("hostile", ProviderKind::Sentiment).show_urls();
    let provider = provider.build().unwrap();
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    let url = hostile.url("/ok?page=2");
    assert_eq!(client.get(&url).send().await.unwrap().url().as_str(), url);
}

/// A venue on a WebSocket that takes the key in its URL and in a frame, and says it again when it refuses.
async fn venue() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let auth = socket.next().await.unwrap().unwrap();
        assert!(auth.to_text().unwrap().contains(KEY));
        socket.send(auth.clone()).await.unwrap();
        let refused = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 1008.into(),
            reason: format!("unknown key {KEY}").into(),
        };
        socket.close(Some(refused)).await.unwrap();
    });
    format!("ws://user:{KEY}@{address}/ws/{KEY}?token={KEY}")
}

/// A program that knows no better names feed and clock by their URLs, and the venue sends back what it was sent.
#[tokio::test]
async fn a_secret_of_a_feed_is_shown_nowhere() {
    use tokio_tungstenite::tungstenite::Message;
    let logged = &*LOGGED;
    let url = venue().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("venue", ProviderKind::Broker));
    let clock = test.run(|| Clock::new(&url));
    let builder = provider.feed(&url).clock(&clock);
    let mut seen = Seen::default();
    seen.debug(&builder);
    let feed = builder.open();
    let mut orders = feed.channel(ChannelKind::Orders, Sequencing::next().per_symbol(10));
    let attempt = feed.connecting();
    seen.debug(&attempt);
    let (mut socket, _) = attempt
        .result(tokio_tungstenite::connect_async(&url).await)
        .unwrap();
    let auth = format!("{{\"action\":\"auth\",\"key\":\"{KEY}\"}}");
    socket.send(Message::text(auth)).await.unwrap();
    feed.subscribing(1);
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            // Symbols are kept to number them apart, and never shown.
            orders.message_of(text.as_str(), 1, None, Moment::now());
        }
    }
    feed.lost(DisconnectReason::Refused);
    provider.observe();
    clock.observe();
    seen.debug(&feed);
    seen.debug(&feed.book());
    seen.debug(&clock);
    seen.debug(&provider);
    #[cfg(feature = "ntp")]
    seen.error(&clock.ask_ntp(&url).await.unwrap_err());
    assert!(!seen.0.contains(KEY), "{}", seen.0);
    let exposition = format!("{:?}", test.snapshot());
    assert!(exposition.contains("feed_disconnects_total") && exposition.contains("127.0.0.1"));
    assert!(!exposition.contains(KEY), "{exposition}");
    // The library of the socket logs what goes through it; nothing of ours does.
    let log = logged.text();
    let ours = log.lines().filter(|line| line.contains(" obs_"));
    assert!(log.contains(KEY) && !ours.into_iter().any(|line| line.contains(KEY)));
}

/// The places where the secret was found, each with what stands around it.
fn around(text: &str) -> String {
    let lines = text.lines().filter(|line| line.contains(SECRET));
    lines.take(20).collect::<Vec<_>>().join("\n")
}
