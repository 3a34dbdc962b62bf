//! What a measured call costs beside an unmeasured one and beside `reqwest-metrics`, on a GET over loopback.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-providers --example overhead
//! ```
//!
//! Rounds of the three clients are interleaved, so that whatever else the machine does falls on all of them alike.

use std::error::Error;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use obs_providers::{Provider, ProviderKind};
use reqwest_metrics::MetricsMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const ROUNDS: usize = 60;
const CALLS: u32 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exposition = recorder.handle();
    obs_core::install(recorder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let url = runtime.block_on(serve())?;
    let provider = Provider::builder("alpaca", ProviderKind::MarketData)
        .route("/v2/clock")
        .build()?;
    let plain = || reqwest::Client::builder().no_proxy().build();
    let clients = [
        (
            "unmeasured, through reqwest-middleware",
            ClientBuilder::new(plain()?).build(),
        ),
        (
            "obs-providers",
            ClientBuilder::new(plain()?)
                .with(provider.middleware())
                .build(),
        ),
        (
            "reqwest-metrics",
            ClientBuilder::new(plain()?)
                .with(MetricsMiddleware::new())
                .build(),
        ),
    ];
    let unmeasured = plain()?;
    let mut rounds = vec![Vec::new(); clients.len() + 1];
    for _ in 0..ROUNDS {
        rounds[0].push(time(|| {
            runtime.block_on(async { Ok(unmeasured.get(&url).send().await?.bytes().await?) })
        })?);
        for (at, (_, client)) in clients.iter().enumerate() {
            rounds[at + 1].push(time(|| call(&runtime, client, &url))?);
        }
        // Nobody scrapes, and samples would pile up.
        exposition.run_upkeep();
    }
    let base = report("unmeasured, plain reqwest", &mut rounds[0], None);
    for ((name, _), round) in clients.iter().zip(&mut rounds[1..]) {
        report(name, round, Some(base));
    }
    allocations("unmeasured, plain reqwest", || {
        runtime.block_on(async { Ok(unmeasured.get(&url).send().await?.bytes().await?) })
    })?;
    for (name, client) in &clients {
        allocations(name, || call(&runtime, client, &url))?;
    }
    Ok(())
}

type Called = Result<bytes::Bytes, Box<dyn Error>>;

fn call(runtime: &Runtime, client: &ClientWithMiddleware, url: &str) -> Called {
    runtime.block_on(async { Ok(client.get(url).send().await?.bytes().await?) })
}

/// The time of one call, over a round of them.
fn time(call: impl Fn() -> Called) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..CALLS {
        call()?;
    }
    Ok(start.elapsed() / CALLS)
}

fn report(name: &str, rounds: &mut [Duration], base: Option<Duration>) -> Duration {
    rounds.sort();
    let (least, median) = (rounds[0], rounds[rounds.len() / 2]);
    let added = base.map(|base| format!(", adds {:?}", least.saturating_sub(base)));
    println!(
        "{name}: least {least:?}, median {median:?}{}",
        added.unwrap_or_default()
    );
    least
}

fn allocations(name: &str, call: impl Fn() -> Called) -> Result<(), Box<dyn Error>> {
    call()?;
    let counts = (0..50).map(|_| allocation_counter::measure(|| drop(call())).count_total);
    println!(
        "{name}: {} allocations, the server's included",
        counts.min().unwrap_or_default()
    );
    Ok(())
}

async fn serve() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v2/clock", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    Ok(url)
}

async fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
