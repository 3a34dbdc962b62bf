//! What a measured call costs beside an unmeasured one and beside `reqwest-metrics`, on a GET over loopback.
//!
//! ```text
//! taskset -c 0 cargo run --release -p obs-providers --example providers_overhead
//! ```
//!
//! Then what a guard adds to a call by any client, and a message of a feed, into the recorder that `obs-exporter` installs.
//!
//! Rounds of all clients are interleaved, so that whatever else the machine does falls on all of them alike.
//!
//! `reqwest-metrics` records through the facade's macros into the recorder of the process, which is the stock one, as it is
//! with those who use it. One of our providers records there too, another into the recorder that `obs-exporter` installs.
//!
//! With a part of a client's name it makes 2,000 calls by that one and prints nothing, for a profiler:
//!
//! ```text
//! valgrind --tool=callgrind target/release/examples/providers_overhead "obs-providers, our recorder"
//! ```

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use obs_providers::{ChannelKind, Moment, Provider, ProviderError, ProviderKind, Sequencing};
use obs_recorder::{Engine, Format};
use reqwest_metrics::MetricsMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const ROUNDS: usize = 600;
const CALLS: u32 = 50;
const PROFILED: u32 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exposition = recorder.handle();
    obs_core::install(recorder)?;
    let engine = Engine::builder()
        .catalogue(obs_providers::catalogue())
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let url = runtime.block_on(serve())?;
    let plain = reqwest::Client::builder().no_proxy().build()?;
    let client = || ClientBuilder::new(plain.clone());
    // Series come with the middleware, so it is made where they are to be.
    let on_engine =
        metrics::with_local_recorder(&engine, || provider().map(|provider| provider.middleware()))?;
    let clients = [
        ("unmeasured, through reqwest-middleware", client().build()),
        (
            "obs-providers, our recorder",
            client().with(on_engine).build(),
        ),
        (
            "obs-providers, stock recorder",
            client().with(provider()?.middleware()).build(),
        ),
        (
            "reqwest-metrics, stock recorder",
            client().with(MetricsMiddleware::new()).build(),
        ),
    ];
    if let Some(name) = std::env::args().nth(1) {
        let chosen = clients.iter().filter(|(of, _)| of.contains(&name));
        for (_, client) in chosen {
            (0..PROFILED).try_for_each(|_| call(&runtime, client, &url).map(drop))?;
        }
        return Ok(());
    }
    let unmeasured =
        || runtime.block_on(async { Ok(plain.get(&url).send().await?.bytes().await?) });
    let mut bare = Vec::new();
    let mut rounds = vec![Vec::new(); clients.len()];
    for _ in 0..ROUNDS {
        bare.push(time(unmeasured)?);
        for ((_, client), rounds) in clients.iter().zip(&mut rounds) {
            rounds.push(time(|| call(&runtime, client, &url))?);
        }
        // Nobody scrapes, and samples would pile up.
        exposition.run_upkeep();
    }
    bare.sort();
    println!("added to a call by plain reqwest, {ROUNDS} rounds of {CALLS}");
    println!(
        "plain reqwest: least {:?}, median {:?}",
        least(&bare),
        median(&bare)
    );
    let mut added = Vec::new();
    for ((name, _), rounds) in clients.iter().zip(&mut rounds) {
        rounds.sort();
        let (least, median) = (
            least(rounds).saturating_sub(least(&bare)),
            median(rounds).saturating_sub(median(&bare)),
        );
        println!("{name}: least {least:?}, median {median:?}");
        added.push((least, median));
    }
    for at in [1, 2] {
        let share = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
        let (ours, theirs) = (added[at], added[3]);
        let (least, median) = (share(ours.0, theirs.0), share(ours.1, theirs.1));
        println!(
            "{} / reqwest-metrics: least {least:.2}, median {median:.2}",
            clients[at].0
        );
    }
    let without = allocations(unmeasured)?;
    for (name, client) in &clients {
        let with = allocations(|| call(&runtime, client, &url))?;
        println!("{name}: adds {} allocations", with - without);
    }
    let counted = "provider_requests_total{endpoint=\"/v2/clock\",kind=\"market_data\",outcome=\"ok\",provider=\"alpaca\"}";
    let text = engine.render(Format::Classic);
    let line = text.lines().find(|line| line.starts_with(counted));
    println!("{}", line.unwrap_or("our recorder has seen nothing"));
    metrics::with_local_recorder(&engine, || {
        let provider = provider()?;
        guards(&provider);
        messages(&provider);
        Ok(())
    })
}

/// Nanoseconds of one of many, in the quickest and the middle round.
fn nanoseconds(mut one: impl FnMut()) -> (f64, f64) {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..EACH).for_each(|_| one());
            start.elapsed()
        })
        .collect();
    rounds.sort();
    let one = |round: Duration| round.as_secs_f64() * 1e9 / f64::from(EACH);
    (one(least(&rounds)), one(median(&rounds)))
}

/// How many make a round.
const EACH: u32 = 10_000;

fn guards(provider: &Provider) {
    let show = |name: &str, (least, median): (f64, f64)| {
        println!("{name}: least {least:.1} ns, median {median:.1} ns");
    };
    show(
        "a guard around nothing",
        nanoseconds(|| provider.call("bars").ok()),
    );
    let with_headers = || {
        let mut call = provider.call("bars");
        call.status(200);
        call.ok();
    };
    show("the same with headers", nanoseconds(with_headers));
    show(
        "a look at one clock",
        nanoseconds(|| {
            black_box(Instant::now());
        }),
    );
    let allocated = allocation_counter::measure(|| provider.call("bars").ok());
    println!("a guard allocates {} times", allocated.count_total);
}

fn messages(provider: &Provider) {
    let feed = provider
        .feed("sip")
        .expects_within(Duration::from_hours(1))
        .open();
    let mut trades = feed.channel(ChannelKind::Trades, Sequencing::next());
    feed.connected();
    let received = Moment::now();
    let sent = received.timestamp();
    let mut number = 0;
    let mut message = |received: Moment| {
        number += 1;
        trades.message(number, sent, received);
    };
    let (least, median) = nanoseconds(|| message(black_box(received)));
    println!("a message of a feed: least {least:.1} ns, median {median:.1} ns");
    let allocated = allocation_counter::measure(|| message(received));
    let (least, median) = nanoseconds(|| message(Moment::now()));
    println!(
        "the same with its own look at the clocks: least {least:.1} ns, median {median:.1} ns"
    );
    println!("a message allocates {} times", allocated.count_total);
}

fn provider() -> Result<Provider, ProviderError> {
    Provider::builder("alpaca", ProviderKind::MarketData)
        .route("/v2/clock")
        .build()
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

fn least(sorted: &[Duration]) -> Duration {
    sorted.first().copied().unwrap_or_default()
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The fewest allocations a call makes, the server's included.
fn allocations(call: impl Fn() -> Called) -> Result<u64, Box<dyn Error>> {
    call()?;
    let counts = (0..50).map(|_| allocation_counter::measure(|| drop(call())).count_total);
    Ok(counts.min().unwrap_or_default())
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
