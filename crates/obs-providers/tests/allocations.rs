//! What measuring a call costs in allocations, beside the same call unmeasured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use obs_core::TestRecorder;
use obs_providers::{Provider, ProviderKind};
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
