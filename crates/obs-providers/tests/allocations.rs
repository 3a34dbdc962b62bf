//! What measuring a call costs in allocations, beside the same call unmeasured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use obs_core::TestRecorder;
use obs_providers::{ChannelKind, Moment, Provider, ProviderKind, Sequencing};
use reqwest_middleware::ClientBuilder;

/// The most allocations measuring may add to a call, reqwest-middleware's own included.
const MOST: u64 = 10;

/// Answers every request of every connection alike, on threads whose allocations are not counted.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
                }
            });
        }
    });
    address
}

#[test]
fn measuring_adds_few_allocations() {
    let url = format!("http://{}/v2/clock", server());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("alpaca", ProviderKind::MarketData);
        builder.route("/v2/clock").build().unwrap()
    });
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let measured = ClientBuilder::new(plain.clone())
        .with(provider.middleware())
        .build();
    let bare =
        || runtime.block_on(async { plain.get(&url).send().await.unwrap().bytes().await.unwrap() });
    let seen = || {
        runtime.block_on(async {
            measured
                .get(&url)
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap()
        })
    };
    let least = |call: &dyn Fn() -> bytes::Bytes| {
        // How the bytes arrive makes a difference of one or two at times.
        let count = || allocation_counter::measure(|| drop(call())).count_total;
        (0..50).map(|_| count()).min().unwrap()
    };
    let (without, with) = (least(&bare), least(&seen));
    let added = with - without;
    assert!(added <= MOST, "{added} allocations added to {without}");
}

#[test]
fn a_message_of_a_feed_allocates_nothing() {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::MarketData));
    let feed = provider.feed("sip").open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next().per_symbol(10));
    feed.connected();
    let received = Moment::now();
    let mut number = 0;
    // The recorder of tests keeps every observation of a histogram: the messages here have no time of the venue.
    let mut message = || {
        number += 1;
        trades.message(number, None, received);
        trades.message_of("AAPL", number, None, received);
    };
    message();
    assert_eq!(allocation_counter::measure(&mut message).count_total, 0);
}
