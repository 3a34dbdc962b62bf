//! A feed over two carriers: tokio-tungstenite, and a WebSocket that reqwest opens. A venue on loopback sends fifty numbered messages to
//! each, of which one is missing and one comes late.
//!
//! ```text
//! cargo run -p obs-providers --example feed
//! ```
//!
//! It prints what was counted, as Prometheus would read it.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use obs_providers::{
    Channel, ChannelKind, DisconnectReason, Feed, Moment, Provider, ProviderKind, Sequencing,
};
use obs_recorder::{Engine, Format};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, accept_async, connect_async};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder()
        .catalogue(obs_providers::catalogue())
        .build()?;
    obs_core::install(engine.clone())?;
    let provider = Provider::new("venue", ProviderKind::MarketData);
    let address = venue().await?;
    by_tungstenite(&provider, &format!("ws://{address}/stream")).await?;
    by_reqwest(&provider, &format!("http://{address}/stream")).await?;
    provider.observe();
    let text = engine.render(Format::Classic);
    let counted = text.lines().filter(|line| line.starts_with("feed_"));
    for line in counted.filter(|line| !line.contains("bucket") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    Ok(())
}

/// The usual way: the library connects.
async fn by_tungstenite(provider: &Provider, url: &str) -> Result<(), Box<dyn Error>> {
    let feed = provider.feed("tungstenite").open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    let attempt = feed.connecting();
    let (socket, _) = attempt.result(connect_async(url).await)?;
    read(&feed, &mut trades, socket).await;
    Ok(())
}

/// Where the program has a client of reqwest with its proxies, certificates and headers: that makes the handshake and hands the
/// connection over.
async fn by_reqwest(provider: &Provider, url: &str) -> Result<(), Box<dyn Error>> {
    let feed = provider.feed("reqwest").open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    let client = reqwest::Client::builder().http1_only().no_proxy().build()?;
    let attempt = feed.connecting();
    let upgraded = async {
        let handshake = client
            .get(url)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        handshake.send().await?.error_for_status()?.upgrade().await
    };
    let upgraded = attempt.result(upgraded.await)?;
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    read(&feed, &mut trades, socket).await;
    Ok(())
}

/// The loop that reads is the same for both.
async fn read<S>(feed: &Feed, trades: &mut Channel, mut socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stalled = std::pin::pin!(feed.stalled());
    let reason = loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(number))) => {
                    let received = Moment::now();
                    trades.message(number.as_str().parse().ok(), None, received);
                }
                Some(Ok(Message::Pong(_))) => feed.heartbeat(),
                Some(Ok(Message::Close(_))) | None => break DisconnectReason::Closed,
                Some(Ok(_)) => {}
                Some(Err(_)) => break DisconnectReason::Transport,
            },
            _ = &mut stalled => break DisconnectReason::Stalled,
        }
    };
    feed.lost(reason);
}

async fn venue() -> std::io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(play(stream));
        }
    });
    Ok(address)
}

async fn play(stream: TcpStream) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let mut socket = accept_async(stream).await?;
    let numbers = (1..=50_u64).filter(|number| ![10, 30].contains(number));
    for number in numbers.chain([30]) {
        socket.send(Message::text(number.to_string())).await?;
    }
    socket.close(None).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
