//! Quotes as they are made: a WebSocket on loopback that sends them, with holes, silences and hang-ups, and the client that reads it
//! and connects anew.
//!
//! The venue stands in for a real one. Its quotes are made from the bars' closes, in real time and not in that of the replay, and nothing
//! is traded on them. What goes wrong goes wrong by count:
//!
//! | messages of a connection | fault |
//! |---|---|
//! | every 97th | is followed by a hole of three |
//! | every 151st | comes twice |
//! | every 211th | comes after the next one |
//! | every 61st | has a bid above its offer |
//! | 3,000 | it goes mute, on every second connection; on the others it hangs up |

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use obs_providers::{
    Book, Channel, ChannelKind, Clock, DisconnectReason, Feed, Moment, Provider, ProviderKind,
    Sequencing,
};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

use crate::bars::Series;
use crate::error::Error;
use crate::symbol::Symbol;

/// Time between two quotes.
const PACE: Duration = Duration::from_millis(20);

/// Messages after which a connection goes mute or ends.
const LENGTH: u64 = 3_000;

/// How long the stream may be mute.
const EXPECTED: Duration = Duration::from_secs(2);

/// The lag that is borne.
const LAG: Duration = Duration::from_millis(250);

/// How long to wait before connecting anew.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the venue is asked what time it is.
const ASK_TIME_EVERY: Duration = Duration::from_secs(5);

/// Half of the narrowest spread, as a share of the price.
const HALF_SPREAD: f64 = 0.000_02;

/// Spreads go from the narrowest to so many times that, and begin anew.
const SPREADS: u32 = 40;

/// A quote, as it is sent.
#[derive(Debug, Serialize, Deserialize)]
struct Quote {
    number: u64,
    /// Milliseconds since 1970.
    at: i64,
    symbol: Symbol,
    bid: f64,
    ask: f64,
}

/// What the client sends once it is connected, and what it gets for that.
#[derive(Debug, Serialize, Deserialize)]
struct Subscription {
    subscribed: u32,
}

/// The venue. It serves one client after the other, for as long as it is polled.
#[derive(Debug)]
pub struct Venue {
    listener: TcpListener,
    address: SocketAddr,
    prices: Vec<(Symbol, Vec<f64>)>,
}

impl Venue {
    /// A venue on a free port on loopback, that quotes these symbols.
    pub async fn open(series: &[Series]) -> Result<Self, Error> {
        let listen = |source| Error::Listen {
            address: "127.0.0.1:0".to_owned(),
            option: "a free port on loopback",
            source,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(listen)?;
        let prices = series.iter().map(|series| {
            let closes = series.bars.iter().map(|bar| bar.close);
            (series.symbol.clone(), closes.collect())
        });
        Ok(Self {
            address: listener.local_addr().map_err(listen)?,
            listener,
            prices: prices.collect(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}/v1/stream", self.address)
    }

    /// Serves, for ever.
    pub async fn serve(self) {
        let mut connections = 0_u64;
        while let Ok((stream, _)) = self.listener.accept().await {
            connections += 1;
            // A client that goes away ends its connection, and the next one is served.
            let _ = self.play(stream, connections.is_multiple_of(2)).await;
        }
    }

    async fn play(&self, stream: TcpStream, goes_mute: bool) -> Result<(), Failed> {
        let mut socket = accept_async(stream).await.map_err(Box::new)?;
        if let Some(Ok(Message::Text(subscription))) = socket.next().await {
            // Confirmed as it was asked for.
            send(&mut socket, subscription.as_str().to_owned()).await?;
        }
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        for count in 1..=LENGTH {
            ticks.tick().await;
            number += if count.is_multiple_of(97) { 4 } else { 1 };
            let quote = |number| self.quote(number, count);
            if count.is_multiple_of(211) {
                number += 1;
                send(&mut socket, quote(number)).await?;
                send(&mut socket, quote(number - 1)).await?;
                continue;
            }
            send(&mut socket, quote(number)).await?;
            if count.is_multiple_of(151) {
                send(&mut socket, quote(number)).await?;
            }
        }
        if goes_mute {
            // It still answers pings, until the client has had enough.
            while let Some(Ok(_)) = socket.next().await {}
        }
        socket.close(None).await.map_err(Box::new)
    }

    fn quote(&self, number: u64, count: u64) -> String {
        let turn = usize::try_from(count).unwrap_or_default();
        let (symbol, closes) = &self.prices[turn % self.prices.len().max(1)];
        let price = closes.get(turn % closes.len().max(1)).copied();
        let price = price.unwrap_or(1.0);
        let wide = u32::try_from(count % u64::from(SPREADS)).unwrap_or_default() + 1;
        let half = HALF_SPREAD * f64::from(wide);
        let half = if count.is_multiple_of(61) {
            -half
        } else {
            half
        };
        let quote = Quote {
            number,
            at: Timestamp::now().as_millisecond(),
            symbol: symbol.clone(),
            bid: price * (1.0 - half),
            ask: price * (1.0 + half),
        };
        // Numbers and a name can always be written.
        serde_json::to_string(&quote).unwrap_or_default()
    }
}

/// A connection that broke, or a peer that speaks something else. The error is large, and seldom.
type Failed = Box<tokio_tungstenite::tungstenite::Error>;

async fn send<S>(socket: &mut WebSocketStream<S>, text: String) -> Result<(), Failed>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::text(text)).await.map_err(Box::new)
}

/// The client: reads the venue's quotes, under measurement. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QuoteStream {
    provider: Provider,
    feed: Feed,
    clock: Clock,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl QuoteStream {
    /// A stream that is not connected yet.
    #[must_use]
    pub fn new() -> Self {
        let provider = Provider::new("stream", ProviderKind::MarketData);
        let clock = Clock::new("stream");
        let feed = provider
            .feed("quotes")
            .expects_within(EXPECTED)
            .bears_lag(LAG)
            .clock(&clock)
            .open();
        Self {
            provider,
            feed,
            clock,
        }
    }

    /// The provider under measurement.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Brings up to date what changes by itself.
    pub fn observe(&self) {
        self.provider.observe();
        self.clock.observe();
    }

    /// Reads the venue at `url`, and connects anew whenever that ends, for ever.
    pub async fn run(self, url: String) {
        let mut quotes = self.feed.channel(ChannelKind::Quotes, Sequencing::next());
        let mut book = self.feed.book();
        loop {
            let attempt = self.feed.connecting();
            if let Ok((socket, _)) = attempt.result(connect_async(&url).await) {
                let reason = self.read(socket, &mut quotes, &mut book).await;
                self.feed.lost(reason);
            }
            sleep(PAUSE).await;
        }
    }

    async fn read(
        &self,
        mut socket: Socket,
        quotes: &mut Channel,
        book: &mut Book,
    ) -> DisconnectReason {
        let subscription = Subscription { subscribed: 1 };
        self.feed.subscribing(subscription.subscribed);
        let text = serde_json::to_string(&subscription).unwrap_or_default();
        if send(&mut socket, text).await.is_err() {
            return DisconnectReason::Transport;
        }
        // What was kept of the last connection is made anew.
        quotes.resync();
        let mut stalled = std::pin::pin!(self.feed.stalled());
        let mut pings = interval(EXPECTED / 2);
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.take(text.as_str(), quotes, book),
                    Some(Ok(Message::Pong(_))) => self.feed.heartbeat(),
                    Some(Ok(Message::Close(_))) | None => return DisconnectReason::Closed,
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return DisconnectReason::Transport,
                },
                _ = pings.tick() => {
                    // Where the connection is gone, reading says so.
                    let _ = socket.send(Message::Ping(Vec::new().into())).await;
                }
                _ = &mut stalled => return DisconnectReason::Stalled,
            }
        }
    }

    fn take(&self, text: &str, quotes: &mut Channel, book: &mut Book) {
        let received = Moment::now();
        if let Ok(quote) = serde_json::from_str::<Quote>(text) {
            let at = Timestamp::from_millisecond(quote.at).ok();
            quotes.message(quote.number, at, received);
            book.top(Some(quote.bid), Some(quote.ask), received);
        } else if let Ok(confirmed) = serde_json::from_str::<Subscription>(text) {
            self.feed.subscribed(confirmed.subscribed);
        }
    }

    /// Asks the provider at `base` what time it is, for ever.
    pub async fn watch_clock(self, base: String) {
        let (client, url) = (reqwest::Client::new(), format!("{base}/v1/time"));
        let mut turns = interval(ASK_TIME_EVERY);
        loop {
            turns.tick().await;
            let call = self.provider.call("time");
            let asked = self.clock.asked();
            // Without the URL, whatever it holds.
            let answer = async { client.get(&url).send().await?.json::<i64>().await };
            let answer = call
                .of(answer, |error| match error.status() {
                    Some(status) => obs_providers::ErrorType::of_code(status.as_u16())
                        .unwrap_or(obs_providers::ErrorType::Unknown),
                    None if error.is_timeout() => obs_providers::ErrorType::Timeout,
                    None => obs_providers::ErrorType::Transport,
                })
                .await;
            if let Some(theirs) = answer
                .ok()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            {
                self.clock.answered(asked, theirs, Duration::from_millis(1));
            }
        }
    }
}

impl Default for QuoteStream {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use obs_core::TestRecorder;

    use super::*;

    #[tokio::test]
    async fn quotes_are_read_with_their_holes() {
        let series = crate::bars::bundled().unwrap();
        let venue = Venue::open(&series).await.unwrap();
        let url = venue.url();
        let test = TestRecorder::new();
        let stream = test.run(QuoteStream::new);
        let count = |name| test.counter_sum(name, &[]);
        let read = async {
            while count("feed_duplicates_total") == 0 {
                sleep(PACE).await;
            }
        };
        tokio::select! {
            () = venue.serve() => {}
            () = stream.clone().run(url) => {}
            () = read => {}
        }
        stream.provider().observe();
        // The hole is either open still or lost, and the late one is yet to come.
        assert!(count("feed_messages_total") > 151);
        assert_eq!(count("feed_out_of_order_total"), 0);
        assert_eq!(count("feed_resyncs_total"), 1);
        assert_eq!(count("feed_stalls_total"), 0);
        assert!(stream.provider().is_up());
    }
}
