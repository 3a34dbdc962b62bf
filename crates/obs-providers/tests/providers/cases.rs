//! Public reports of feeds and limits that went unnoticed, each brought about again: what this crate shows of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use obs_core::TestRecorder;
use obs_providers::{
    ChannelKind, Decode, DisconnectReason, Endpoint, Feed, FeedBuilder, Moment, Provider,
    ProviderKind, RateLimit, Sequencing, TradingCalendar, jiff,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::plain_client;

/// A feed of one provider, and the clock it lives by.
struct Desk {
    test: TestRecorder,
    provider: Provider,
    feed: Feed,
    wall: Timestamp,
    monotonic: Duration,
}

impl Desk {
    fn new(provider: &str, at: &str, settings: impl FnOnce(FeedBuilder) -> FeedBuilder) -> Self {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new(provider, ProviderKind::MarketData));
        let feed = settings(provider.feed("stream")).open();
        Self {
            test,
            provider,
            feed,
            wall: at.parse().unwrap(),
            monotonic: Duration::from_hours(1),
        }
    }

    fn now(&self) -> Moment {
        Moment::at(self.wall, self.monotonic)
    }

    fn pass(&mut self, seconds: u64) -> Moment {
        self.wall += SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        self.monotonic += Duration::from_secs(seconds);
        self.now()
    }

    fn count(&self, name: &str) -> u64 {
        self.test.counter_sum(name, &[])
    }

    fn stalled(&self) -> Duration {
        Duration::from_nanos(self.count("feed_stalled_seconds_total"))
    }

    fn is_up(&self) -> bool {
        let labels = [("provider", self.provider.name()), ("feed", "stream")];
        self.test.gauge("feed_up", &labels) > Some(0.5)
    }
}

/// `nautechsystems/nautilus_trader#4298`: the order book of one venue stopped for several seconds, or came seconds late, while its
/// client said that it was connected and running, and while the data of another venue went on.
#[test]
fn nautilus_trader_4298_a_book_that_goes_stale_while_connected() {
    let expects = |feed: FeedBuilder| feed.expects_within(Duration::from_secs(1));
    let mut stale = Desk::new("hyperliquid", "2026-06-22T14:00:00Z", expects);
    let mut other = Desk::new("binance", "2026-06-22T14:00:00Z", expects);
    let mut book = stale.feed.channel(ChannelKind::Book, Sequencing::none());
    let mut theirs = other.feed.channel(ChannelKind::Book, Sequencing::none());
    stale.feed.connected_at(stale.now());
    other.feed.connected_at(other.now());
    book.message((), stale.wall, stale.now());
    for _ in 0..6 {
        let now = other.pass(1);
        theirs.message((), other.wall, now);
        other.feed.observe_at(other.now());
        let now = stale.pass(1);
        stale.feed.heartbeat_at(now);
        stale.feed.observe_at(stale.now());
    }
    assert!(!stale.is_up() && !stale.provider.is_up());
    assert!(other.is_up() && other.provider.is_up());
    // What was held back comes at once, dated when it was made.
    for late in (0..6).rev() {
        let made = stale.wall - SignedDuration::from_secs(late);
        book.message((), made, stale.now());
    }
    assert_eq!(
        (stale.count("feed_stalls_total"), stale.stalled()),
        (1, Duration::from_secs(5))
    );
    assert_eq!(other.count("feed_stalls_total"), 0);
    let labels = [
        ("provider", "hyperliquid"),
        ("feed", "stream"),
        ("clock", "raw"),
    ];
    let lags = stale.test.samples("feed_lag_seconds", &labels).unwrap();
    assert_eq!(lags, [0.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
}

/// `alpacahq/alpaca-py#740`: from 9:25 to 9:44 in New York, over the open, nothing came by a socket whose pings were answered. And
/// where there was an account's one connection already, every attempt to connect anew was refused, a hundred a second.
#[test]
fn alpaca_py_740_mute_over_the_open_and_a_storm_of_reconnects() {
    let mut desk = Desk::new("alpaca", "2026-07-09T13:25:00Z", |feed| {
        let feed = feed.expects_within(Duration::from_mins(1));
        feed.sessions(TradingCalendar::nyse())
    });
    let mut bars = desk.feed.channel(ChannelKind::Bars, Sequencing::none());
    desk.feed.connected_at(desk.now());
    bars.message((), None, desk.now());
    let mut first_down = None;
    for second in 1..=19 * 60 {
        let now = desk.pass(1);
        if second % 10 == 0 {
            desk.feed.heartbeat_at(now);
            desk.feed.observe_at(now);
            if !desk.is_up() {
                first_down.get_or_insert(desk.wall);
            }
        }
    }
    // A minute and a scrape after the open, not before it.
    assert_eq!(first_down, Some("2026-07-09T13:31:10Z".parse().unwrap()));
    bars.message((), None, desk.now());
    assert_eq!(
        (desk.count("feed_stalls_total"), desk.stalled()),
        (1, Duration::from_mins(13))
    );

    for _ in 0..100 {
        desk.feed.connecting().failed();
    }
    let refused = desk
        .test
        .counter_sum("feed_connects_total", &[("outcome", "error")]);
    assert_eq!(refused, 100);
}

/// `QuantConnect/Lean.Brokerages.Tastytrade#31`: the timer of a market data socket sent keep-alives and never looked whether anything
/// came back. What was promised to the venue is to give up after 60 seconds; the look comes every 20.
#[test]
fn lean_tastytrade_31_a_keep_alive_that_only_sends() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut desk = Desk::new("tastytrade", "2026-08-19T15:00:00Z", move |feed| {
        let feed = feed.expects_within(Duration::from_mins(1));
        feed.on_stall(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
    });
    let mut quotes = desk.feed.channel(ChannelKind::Quotes, Sequencing::none());
    desk.feed.connected_at(desk.now());
    quotes.message((), None, desk.now());
    let mut silent = 0;
    while calls.load(Ordering::Relaxed) == 0 {
        silent += 20;
        let now = desk.pass(20);
        desk.feed.observe_at(now);
    }
    assert_eq!(silent, 80);
    desk.feed.lost_at(DisconnectReason::Stalled, desk.now());
    let now = desk.pass(2);
    desk.feed.connected_at(now);
    quotes.message((), None, desk.pass(1));
    assert!(desk.is_up());
    let labels = [("provider", "tastytrade"), ("feed", "stream")];
    let outages = desk.test.samples("feed_outage_duration_seconds", &labels);
    assert_eq!(outages, Some(vec![3.0]));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// `polygon-io/issues#217`: a program that reads the trades of 4,096 tickers too slowly gets them ten seconds late after twenty minutes,
/// out of the venue's buffer, and is disconnected when that is full. Nothing is missing and nothing is mute.
#[test]
fn polygon_217_a_consumer_that_is_too_slow() {
    let mut desk = Desk::new("polygon", "2022-07-07T14:00:00Z", |feed| {
        let feed = feed.expects_within(Duration::from_secs(5));
        feed.bears_lag(Duration::from_secs(1))
    });
    let mut trades = desk.feed.channel(ChannelKind::Trades, Sequencing::next());
    desk.feed.connected_at(desk.now());
    let start = desk.wall;
    for number in 1..=1_200_u32 {
        let received = desk.pass(1);
        // Each message waits a little longer than the one before.
        let behind = SignedDuration::from_millis(i64::from(number) * 10_000 / 1_200);
        trades.message(u64::from(number), desk.wall - behind, received);
    }
    assert_eq!(desk.wall, start + SignedDuration::from_mins(20));
    desk.feed.lost_at(DisconnectReason::TooSlow, desk.now());
    let labels = [
        ("provider", "polygon"),
        ("feed", "stream"),
        ("clock", "raw"),
    ];
    let lags = desk.test.samples("feed_lag_seconds", &labels).unwrap();
    let allowed = desk.test.gauge("feed_lag_allowed_seconds", &labels[..2]);
    assert!(
        (lags[1_199] - 10.0).abs() < 0.01 && allowed == Some(1.0),
        "{allowed:?}"
    );
    let beyond = lags.iter().filter(|lag| **lag > 1.0).count();
    assert!(beyond > 1_000, "{beyond}");
    let too_slow = desk
        .test
        .counter_sum("feed_disconnects_total", &[("reason", "too_slow")]);
    let nothing_else = ["feed_gaps_total", "feed_stalls_total"].map(|name| desk.count(name));
    assert_eq!((too_slow, nothing_else), (1, [0, 0]));
}

/// Answers every request with this.
async fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

fn client(provider: &Provider) -> ClientWithMiddleware {
    let client = ClientBuilder::new(plain_client());
    client.with(provider.middleware()).build()
}

/// `ccxt/ccxt#7999` and `sieblyio/binance#76`: the used weight came in a header of every response, and there was no way to see it before
/// the ban.
#[tokio::test]
async fn ccxt_7999_and_binance_76_the_used_weight_is_seen() {
    let base = answering(
        "HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT: 1180\r\nX-MBX-USED-WEIGHT-1M: 1180\r\nX-MBX-ORDER-COUNT-10S: 4\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await;
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let weight = RateLimit::new("weight_1m").used_header("x-mbx-used-weight-1m");
        let orders = RateLimit::new("orders_10s").used_header("x-mbx-order-count-10s");
        let builder = Provider::builder("binance", ProviderKind::MarketData);
        let builder = builder.rate_limit(weight.allows(1_200).window(Duration::from_mins(1)));
        builder.rate_limit(orders.allows(50)).build().unwrap()
    });
    let account = format!("{base}/api/v3/account");
    client(&provider).get(account).send().await.unwrap();
    let limit = |name, limit| {
        let labels = [("provider", "binance"), ("limit", limit)];
        test.gauge(name, &labels)
    };
    for (name, used, allowed) in [("weight_1m", 1_180.0, 1_200.0), ("orders_10s", 4.0, 50.0)] {
        assert_eq!(limit("provider_rate_limit_used", name), Some(used));
        assert_eq!(limit("provider_rate_limit_allowed", name), Some(allowed));
    }
    // The tightest.
    let left = test.gauge("provider_rate_limit_remaining", &[("provider", "binance")]);
    assert_eq!(left, Some(20.0));
}

/// `urllib3/urllib3#2861`: a `Retry-After` of 0.503 seconds was an invalid header.
#[tokio::test]
async fn urllib3_2861_a_wait_of_less_than_a_second() {
    let base = answering(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0.503\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let provider = Provider::new("spacetraders", ProviderKind::Reference);
    client(&provider).get(base).send().await.unwrap();
    let wait = provider.retry_after().unwrap();
    assert!(wait <= Duration::from_millis(503), "{wait:?}");
    tokio::time::sleep(wait).await;
    assert_eq!(provider.retry_after(), None);
}

/// `knowm/XChange#1671`: Kraken says within a 200 that the limit is exceeded, and it was an error like any other.
#[tokio::test]
async fn xchange_1671_a_limit_that_only_the_body_speaks_of() {
    let base = answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 41\r\n\r\n{\"error\":[\"EAPI:Rate limit exceeded\"]}   ",
    )
    .await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("kraken", ProviderKind::Broker));
    let (client, refusing) = (client(&provider), provider.clone());
    let balance = client.get(format!("{base}/0/private/Balance"));
    let answer = balance.with_extension(Endpoint("balance")).send().await;
    let parse = |body: bytes::Bytes| {
        let said = String::from_utf8_lossy(&body);
        if said.contains("Rate limit exceeded") {
            refusing.rate_limited(Some(Duration::from_secs(15)));
        }
        Ok::<_, reqwest::Error>(())
    };
    answer.unwrap().decode(parse).await.unwrap();
    let refused = [("endpoint", "balance"), ("outcome", "rate_limited")];
    assert_eq!(test.counter_sum("provider_requests_total", &refused), 1);
    let hits = test.counter("provider_rate_limit_hits_total", &[("provider", "kraken")]);
    assert_eq!(hits, Some(1));
    assert!(provider.retry_after() > Some(Duration::from_secs(10)));
}

/// `ranaroussi/yfinance#2441`: what should be a crumb was the text "Too Many Requests", and went into the URLs of all that followed.
#[tokio::test]
async fn yfinance_2441_a_refusal_that_is_taken_for_a_crumb() {
    let base =
        answering("HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\nToo Many Requests\r\n").await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("yahoo", ProviderKind::MarketData));
    let (client, refusing) = (client(&provider), provider.clone());
    let url = format!("{base}/v1/test/getcrumb");
    let answer = client
        .get(url)
        .with_extension(Endpoint("crumb"))
        .send()
        .await;
    let crumb = answer.unwrap().decode(|body| {
        let said = String::from_utf8_lossy(&body).trim().to_owned();
        if said.contains("Too Many Requests") {
            refusing.rate_limited(None);
            return Ok(None);
        }
        Ok::<_, reqwest::Error>(Some(said))
    });
    assert_eq!(crumb.await.unwrap(), None);
    let calls = |outcome| {
        let labels = [("endpoint", "crumb"), ("outcome", outcome)];
        test.counter_sum("provider_requests_total", &labels)
    };
    assert_eq!((calls("ok"), calls("rate_limited")), (0, 1));
    let left = test.gauge("provider_rate_limit_remaining", &[("provider", "yahoo")]);
    assert_eq!(left, Some(0.0), "until the wait is over");
}
