//! How far a clock is off, by a time server that nobody here wrote and by a venue's endpoint, while the clock is set: the truth is
//! always within what is said.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use obs_core::Catalogue;
use obs_exporter::{Config, Exporter};
use obs_exposition::Exposition;
use obs_providers::{ChannelKind, Clock, Moment, Provider, ProviderKind, Sequencing};
use obs_tests::{Process, TimeServer, scrape, tools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Tells this program that it is the process whose clock is set, with the address of the time server and the URL of the venue.
const ASKED: &str = "TEST_CLOCK_ASKED";

/// Seconds by which the clock is set, one after the other.
const SHIFTS: [f64; 8] = [0.0, 3_600.0, 0.25, -0.75, -86_400.0, 12.5, -0.03, 0.0];

/// Two clocks of one machine, of which libfaketime shifts one for one process: the offset is known to a nanosecond. The monotonic
/// clock goes on, as it does when an administrator or a daemon sets a machine's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offset_of_a_clock_that_is_set_is_always_within_its_error() {
    const NAME: &str = "the_offset_of_a_clock_that_is_set_is_always_within_its_error";
    if let Ok(asked) = std::env::var(ASKED) {
        let (server, venue) = asked.split_once(' ').unwrap();
        match live(server.to_owned(), venue.to_owned()).await {}
    }
    let server = TimeServer::start().unwrap();
    let venue = venue().await;
    let folder = tempfile::tempdir().unwrap();
    let shift_file = folder.path().join("shift");
    shift(&shift_file, 0.0);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", NAME, "--nocapture"])
        .env(ASKED, format!("{} {venue}", server.address()))
        .env("LD_PRELOAD", tools::faketime().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", &shift_file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let checked = tokio::task::spawn_blocking(move || {
        let mut process = Process::start(&mut child).unwrap();
        let url = |line: &str| line.strip_prefix("metrics ").map(str::to_owned);
        let url = process.wait_for("where its metrics are", url).unwrap();
        let mut widest: f64 = 0.0;
        for (count, by) in SHIFTS.into_iter().enumerate() {
            shift(&shift_file, by);
            // At once, when nobody was asked since, and until both have been asked and are known as well as before.
            let mut seen = fetch(&url);
            check(&seen, -by);
            let before = rounds(&seen);
            until("both are known again", || {
                seen = fetch(&url);
                check(&seen, -by);
                rounds(&seen) > before + 3.0 && is_sure(&seen)
            });
            widest = widest.max(value(&seen, "clock_offset_error_seconds", "ntp"));
            let jumps = value(&seen, "clock_jumps_total", "ntp");
            assert!(
                (jumps - f64::from(u32::try_from(count).unwrap())).abs() < 0.5,
                "{jumps} jumps of {count}"
            );
        }
        widest
    });
    let widest = checked.await.unwrap();
    println!(
        "{} shifts of up to a day: never more than ± {widest:.6} s by NTP, and always true",
        SHIFTS.len()
    );
}

const SOURCES: [&str; 2] = ["ntp", "venue"];

/// What is said of both sources holds.
fn check(seen: &Exposition, truth: f64) {
    for source in SOURCES {
        let offset = value(seen, "clock_offset_seconds", source);
        let error = value(seen, "clock_offset_error_seconds", source);
        // A gauge is a float: of a day, it holds hundredths of a nanosecond.
        assert!(
            (offset - truth).abs() <= error + 1e-9,
            "{source}: {offset} ± {error}, but it is {truth}"
        );
    }
    // A message that the venue sends and dates at once is as old as its way, by the corrected clock.
    let labels = [("clock", "corrected")];
    let sum = |name| seen.sum(name, &labels).unwrap_or_default();
    let lag = sum("feed_lag_seconds_sum") / sum("feed_lag_seconds_count").max(1.0);
    assert!(lag.abs() < 10.0, "{lag}");
}

/// Whether both are known to much less than the clock is set by.
fn is_sure(seen: &Exposition) -> bool {
    SOURCES
        .iter()
        .all(|source| value(seen, "clock_offset_error_seconds", source) < 0.02)
}

fn value(seen: &Exposition, name: &str, source: &str) -> f64 {
    seen.sum(name, &[("source", source)]).unwrap()
}

fn rounds(seen: &Exposition) -> f64 {
    seen.sum("rounds_total", &[]).unwrap_or_default()
}

fn fetch(url: &str) -> Exposition {
    obs_exposition::parse(&scrape(url).unwrap()).unwrap()
}

/// Waits until something is so in another program, where there is no event to wait for.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Shows the process a clock that is so much ahead.
fn shift(file: &Path, by: f64) {
    let beside = file.with_extension("new");
    fs::write(&beside, format!("{by:+}")).unwrap();
    fs::rename(beside, file).unwrap();
}

/// A venue that says what time it is, in milliseconds.
async fn venue() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/time", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let time = Timestamp::now().as_millisecond().to_string();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{time}",
                        time.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// Asks both what time it is, again and again, and shows what it knows.
async fn live(server: String, venue: String) -> Infallible {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(Catalogue::join([obs_providers::catalogue()]).unwrap())
        .install()
        .unwrap();
    let (ntp, theirs) = (Clock::new("ntp"), Clock::new("venue"));
    let provider = Provider::new("venue", ProviderKind::MarketData);
    let feed = provider.feed("times").clock(&theirs).open();
    let mut times = feed.channel(ChannelKind::Miscellaneous, Sequencing::none());
    let rounds = metrics::counter!("rounds_total");
    let observed = [ntp.clone(), theirs.clone()];
    exporter.on_scrape(move || observed.iter().for_each(Clock::observe));
    // Both have been asked before anybody looks.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let question = || async {
        let milliseconds = client.get(&venue).send().await?.json().await?;
        Ok::<_, reqwest::Error>(Timestamp::from_millisecond(milliseconds).unwrap())
    };
    let millisecond = Duration::from_millis(1);
    ntp.ask_ntp(&server).await.unwrap();
    theirs.ask(millisecond, question()).await.unwrap();
    let serving = exporter.serve().await.unwrap();
    println!("metrics http://{}/metrics", serving.local_addr());
    feed.connected();
    loop {
        ntp.ask_ntp(&server).await.unwrap();
        theirs.ask(millisecond, question()).await.unwrap();
        let sent = question().await.unwrap();
        times.message((), sent, Moment::now());
        rounds.increment(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
