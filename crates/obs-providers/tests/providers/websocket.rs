//! A feed over real sockets, against a server that drops, loses, repeats and goes mute by a script.

use std::time::Duration;

use crate::script::{Connection, Counts, End};
use futures_util::{SinkExt, StreamExt};
use obs_core::TestRecorder;
use obs_providers::{
    ChannelKind, DisconnectReason, Endpoint, Feed, Moment, Provider, ProviderKind, Sequencing,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

/// How long the feed may be mute. Long for a machine that is busy, and each stall takes that long.
const EXPECTED: Duration = Duration::from_secs(2);

/// Plays a connection of the script to each client that comes.
async fn server(script: Vec<Connection>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in script {
            let (stream, _) = listener.accept().await.unwrap();
            play(stream, connection).await;
        }
    });
    // A key in the URL, which must not be seen anywhere.
    format!("ws://{address}/stream?token=SECRET")
}

async fn play(stream: TcpStream, connection: Connection) {
    let mut socket = accept_async(stream).await.unwrap();
    for number in connection.numbers {
        socket
            .send(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    match connection.end {
        End::Close => socket.close(None).await.unwrap_or(()),
        // It answers pings all the while, until the client has had enough.
        End::Mute => while let Some(Ok(_)) = socket.next().await {},
        End::Reset => return,
    }
    while let Some(Ok(_)) = socket.next().await {}
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Reads until the connection ends or is given up, as a program does.
async fn read(feed: &Feed, trades: &mut obs_providers::Channel, mut socket: Socket) {
    let mut stalled = std::pin::pin!(feed.stalled());
    let mut pings = tokio::time::interval(EXPECTED / 4);
    let reason = loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(number))) => {
                    let number: u64 = number.as_str().parse().unwrap();
                    trades.message(number, None, Moment::now());
                }
                Some(Ok(Message::Pong(_))) => feed.heartbeat(),
                Some(Ok(Message::Close(_))) | None => break DisconnectReason::Closed,
                Some(Ok(_)) => {}
                Some(Err(_)) => break DisconnectReason::Transport,
            },
            _ = pings.tick() => {
                // Where the connection is gone, reading says so.
                let _ = socket.send(Message::Ping(Vec::new().into())).await;
            }
            _ = &mut stalled => break DisconnectReason::Stalled,
        }
    };
    feed.lost(reason);
}

/// The seeds of the scripts that are played: one in a second or ten, or as many as `TEST_FEED_SEEDS` says, for minutes.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let Ok(many) = std::env::var("TEST_FEED_SEEDS") else {
        return 5..=5;
    };
    1..=many.parse().unwrap()
}

/// The scripts that `feed.rs` plays on an injected clock.
#[tokio::test]
async fn a_script_of_faults_counts_alike_over_sockets() {
    for seed in seeds() {
        play_over_sockets(seed).await;
    }
}

async fn play_over_sockets(seed: u64) {
    let (script, expected) = crate::script::script(seed, 12, 200);
    let connections = script.len();
    let url = server(script).await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let feed = provider.feed("sip").expects_within(EXPECTED).open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    for _ in 0..connections {
        let attempt = feed.connecting();
        let (socket, _) = attempt.result(connect_async(&url).await).unwrap();
        read(&feed, &mut trades, socket).await;
        provider.observe();
    }
    drop(trades);
    let count = |name| test.counter_sum(name, &[]);
    let disconnects = |reason| test.counter_sum("feed_disconnects_total", &[("reason", reason)]);
    let counts = Counts {
        messages: count("feed_messages_total"),
        gaps: count("feed_gaps_total"),
        missed: count("feed_missed_messages_total"),
        out_of_order: count("feed_out_of_order_total"),
        duplicates: count("feed_duplicates_total"),
        stalls: count("feed_stalls_total"),
        closed: disconnects("closed"),
        broken: disconnects("transport"),
    };
    assert_eq!(counts, expected, "seed {seed}");
    assert_eq!(disconnects("stalled"), expected.stalls, "seed {seed}");
    assert_eq!(
        expected.stalls + expected.closed + expected.broken,
        connections as u64
    );
    println!("seed {seed}: {expected:?}");
    let connects = test.counter_sum("feed_connects_total", &[("outcome", "ok")]);
    assert_eq!(usize::try_from(connects), Ok(connections));
    // Neither a label nor anything that can be printed shows the key.
    let shown = format!("{:?} {feed:?} {provider:?}", test.snapshot());
    assert!(!shown.contains("SECRET"));
}

/// A WebSocket that reqwest opens, through a middleware that measures the call: that is over with the handshake, and what comes by the
/// socket is the feed's.
#[tokio::test]
async fn reqwests_upgrade_carries_a_feed() {
    let connection = Connection {
        numbers: vec![1, 2, 5, 3, 4, 6],
        end: End::Close,
    };
    let url = server(vec![connection]).await.replace("ws://", "http://");
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let feed = provider.feed("sip").open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = reqwest_middleware::ClientBuilder::new(client)
        .with(provider.middleware())
        .build();

    let (attempt, key) = (feed.connecting(), generate_key());
    let handshake = client
        .get(url)
        .with_extension(Endpoint("stream"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", &key);
    let response = handshake.send().await.unwrap();
    assert_eq!(response.status(), 101);
    let accepted = &response.headers()["sec-websocket-accept"];
    assert_eq!(
        accepted.as_bytes(),
        derive_accept_key(key.as_bytes()).as_bytes()
    );
    let upgraded = attempt.result(response.upgrade().await).unwrap();
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    while let Some(Ok(Message::Text(number))) = socket.next().await {
        let number: u64 = number.as_str().parse().unwrap();
        trades.message(number, None, Moment::now());
    }
    feed.lost(DisconnectReason::Closed);

    let handshakes = [("endpoint", "stream"), ("outcome", "ok")];
    assert_eq!(test.counter_sum("provider_requests_total", &handshakes), 1);
    let in_flight = test.gauge("provider_requests_in_flight", &[("provider", "alpaca")]);
    assert_eq!(in_flight, Some(0.0));
    assert_eq!(test.counter_sum("feed_messages_total", &[]), 6);
    assert_eq!(test.counter_sum("feed_out_of_order_total", &[]), 2);
}

/// What an SDK that owns its socket offers: callbacks, from threads of its own.
struct Sdk {
    opened: Box<dyn Fn() + Send>,
    message: Box<dyn FnMut(u64) + Send>,
    ended: Box<dyn Fn(u16) + Send>,
}

#[test]
fn an_sdk_that_owns_its_socket_is_measured_by_its_callbacks() {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let feed = provider.feed("sip").open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    let (connected, closed) = (feed.clone(), feed.clone());
    let mut sdk = Sdk {
        opened: Box::new(move || connected.connected()),
        message: Box::new(move |number| trades.message(number, None, Moment::now())),
        ended: Box::new(move |code| {
            closed.lost(match code {
                1000 => DisconnectReason::Closed,
                1008 => DisconnectReason::Refused,
                _ => DisconnectReason::Transport,
            });
        }),
    };
    let sdk = std::thread::spawn(move || {
        (sdk.opened)();
        (1..=100).for_each(&mut sdk.message);
        (sdk.ended)(1008);
    });
    sdk.join().unwrap();
    assert_eq!(
        test.counter_sum("feed_messages_total", &[("channel", "trades")]),
        100
    );
    let refused = test.counter_sum("feed_disconnects_total", &[("reason", "refused")]);
    assert_eq!(refused, 1);
}
