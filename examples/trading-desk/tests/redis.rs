//! The desk with its pages in a real Redis, which then goes away.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use obs_exporter::Exporter;
use obs_exposition::Exposition;
use trading_desk::app::{App, Config};
use trading_desk::broker::Terms;
use trading_desk::progress::Progress;
use trading_desk::risk::Limits;
use trading_desk::{bars, metrics};

/// A server of its own on a free port. Dropped, it is killed.
struct Redis {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`redis-server` is not on the path; `cargo xtask test` installs it");
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = said
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server ended before it was ready");
        Self {
            child,
            url: format!("redis://127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

// The recorder of a process is installed once, so there is one test here.
#[tokio::test]
async fn pages_are_kept_in_redis_and_the_desk_does_without_when_it_goes_away() {
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .catalogue(metrics::catalogue().unwrap())
        .install()
        .unwrap();
    let scrape = || obs_exposition::parse(&exporter.render()).unwrap();
    let redis = Redis::start();
    let mut series = bars::bundled().unwrap();
    for series in &mut series {
        series.bars.truncate(120);
    }
    let app = App::start(Config {
        series,
        listen: "127.0.0.1:0".to_owned(),
        db: None,
        redis: Some(redis.url.parse().unwrap()),
        cash: 1_000_000.0,
        pace: Duration::ZERO,
        limits: Limits::default(),
        terms: Terms::default(),
    })
    .await
    .unwrap();
    let mut replay = app.replay().await.unwrap();
    replay.run(&mut Progress::silent()).await.unwrap();

    let with = scrape();
    let commands = |command| sum(&with, "redis_client_commands_total", ("command", command));
    let cache = |result| sum(&with, "provider_cache_requests_total", ("result", result));
    assert!(cache("hit") > 0.0 && cache("miss") > 0.0);
    same(commands("get"), cache("hit") + cache("miss"));
    same(commands("set"), cache("miss"));
    for result in ["hit", "miss"] {
        let lookups = sum(&with, "redis_client_lookups_total", ("result", result));
        same(lookups, cache(result));
    }
    let errors = |scrape| sum(scrape, "provider_cache_errors_total", ("provider", "bars"));
    same(errors(&with), 0.0);

    drop(redis);
    let bars = format!("{}/bars?symbol=SP500", app.api_url());
    let answer = reqwest::get(bars).await.unwrap();
    assert_eq!(answer.status(), 200);
    let without = scrape();
    // It could neither be read nor written, and the page was fetched all the same.
    same(errors(&without), 2.0);
    let misses = sum(
        &without,
        "provider_cache_requests_total",
        ("result", "miss"),
    );
    same(misses, cache("miss") + 1.0);
    app.stop().await.unwrap();
}

fn sum(scrape: &Exposition, name: &str, label: (&str, &str)) -> f64 {
    let sum = scrape.sum(name, &[label]);
    sum.unwrap_or_else(|| panic!("no {name} {label:?}"))
}

#[track_caller]
fn same(left: f64, right: f64) {
    assert_eq!(Some(left), Some(right));
}
