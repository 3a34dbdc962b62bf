//! A Prometheus that dies and comes back, a desk that does, and a clock that jumps: counters never fall, gauges recover, and no
//! time is negative or absurd.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use obs_core::Catalogue;
use obs_exporter::{Config, Exporter};
use obs_exposition::{Exposition, Kind};
use obs_providers::{Cache, Entry, Market, Provider, ProviderKind, Store, TradingCalendar};
use obs_tests::{Desk, Process, ask, scrape, tools};
use obs_trading::{
    Account, Basis, Calendar, ClosedTrade, Conventions, Currency, Decision, Fill, Money, OrderType,
    PeriodsPerYear, Side, Signal, Strategy, Ticket, Valuation, Venue,
};
use serde_json::{Value, json};
use sqlx::Executor as _;
use tempfile::TempDir;
use tower::{Layer, ServiceExt, service_fn};

/// Longer than anything here takes, and shorter than the jump of a clock.
const HOUR: f64 = 3_600.0;

/// Waits until something is so in another program, where there is no event to wait for.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A Prometheus that scrapes whatever the file of its targets names as the instance `desk`.
struct Prometheus {
    folder: TempDir,
    address: String,
    /// Killed when it is dropped.
    process: Option<Process>,
}

impl Prometheus {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = "global: { scrape_interval: 500ms, scrape_timeout: 500ms }\n\
            scrape_configs:\n  - job_name: desk\n    file_sd_configs: [{ files: [targets.json] }]\n";
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: free.local_addr().unwrap().to_string(),
            folder,
            process: None,
        }
    }

    fn watch(&self, desk: &Desk) {
        let targets = json!([{ "targets": [desk.address()], "labels": { "instance": "desk" } }]);
        replace(
            &self.folder.path().join("targets.json"),
            &targets.to_string(),
        );
    }

    fn start(&mut self) {
        let folder = self.folder.path().display();
        let process = Process::start(Command::new(tools::prometheus().unwrap()).args([
            format!("--config.file={folder}/prometheus.yml"),
            format!("--storage.tsdb.path={folder}/data"),
            format!("--web.listen-address={}", self.address),
            "--log.level=error".to_owned(),
        ]));
        self.process = Some(process.unwrap());
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn ask(&self, query: &str) -> Vec<Value> {
        ask(&format!("http://{}", self.address), query).unwrap_or_default()
    }

    /// The number that a query comes to; none where it comes to nothing.
    fn number(&self, query: &str) -> Option<f64> {
        self.ask(query).first()?["value"][1].as_str()?.parse().ok()
    }

    /// Waits for so many more scrapes of the desk than there were.
    fn scrapes(&self, more: f64) {
        let scrapes =
            || self.number("sum(count_over_time(process_start_time_seconds[1h])) or vector(0)");
        let mut before = None;
        until("Prometheus is ready", || {
            before = scrapes();
            before.is_some()
        });
        until("Prometheus scrapes", || {
            scrapes() >= before.map(|before| before + more)
        });
    }

    /// Every series that may only grow, and what was stored of it.
    fn growing(&self) -> BTreeMap<String, Vec<(f64, f64)>> {
        let query = r#"{job="desk", __name__=~".+_(total|count|bucket)"}[1h]"#;
        let number = |value: &Value| match value {
            Value::String(text) => text.parse::<f64>().unwrap(),
            number => number.as_f64().unwrap(),
        };
        let series = self.ask(query).into_iter().map(|series| {
            let stored = series["values"].as_array().unwrap().iter();
            let stored = stored.map(|sample| (number(&sample[0]), number(&sample[1])));
            (series["metric"].to_string(), stored.collect())
        });
        series.collect()
    }
}

/// Puts text in a file's place at once: who reads it meanwhile reads the old or the new.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// The times at which a series fell.
fn falls(stored: &[(f64, f64)]) -> impl Iterator<Item = f64> {
    let pairs = stored.windows(2);
    pairs.filter_map(|pair| (pair[1].1 < pair[0].1).then_some(pair[1].0))
}

#[test]
fn what_prometheus_stores_of_counters_falls_by_a_restart_of_the_desk_alone() {
    let mut prometheus = Prometheus::new();
    // Days enough to be at it for as long as this takes.
    let desk = Desk::start("50ms").unwrap();
    prometheus.watch(&desk);
    prometheus.start();
    prometheus.scrapes(4.0);

    prometheus.kill();
    let killed = now();
    let filled = || filled_orders(&desk);
    let before = filled();
    until("the desk trades on", || filled() > before);
    prometheus.start();
    prometheus.scrapes(4.0);
    let stored = prometheus.growing();
    assert!(stored.len() > 500, "{} series", stored.len());
    let mut grown = 0;
    for (series, stored) in &stored {
        assert_eq!(falls(stored).count(), 0, "{series}: {stored:?}");
        // What the dead one stored was kept, and the desk went on meanwhile.
        let (before, after) = stored.split_at(stored.partition_point(|(at, _)| *at <= killed));
        if let (Some((_, before)), Some((_, after))) = (before.last(), after.last()) {
            grown += usize::from(after > before);
        }
    }
    assert!(grown > 0, "nothing that was stored before grew afterwards");

    desk.stop().unwrap();
    let again = Desk::start("50ms").unwrap();
    prometheus.watch(&again);
    until("Prometheus sees the new desk", || {
        prometheus.number("changes(process_start_time_seconds[1h])") == Some(1.0)
    });
    prometheus.scrapes(4.0);
    let restarted = fetch(again.metrics())
        .sum("process_start_time_seconds", &[])
        .unwrap();
    let stored = prometheus.growing();
    let mut fell = 0;
    for (series, stored) in &stored {
        let falls: Vec<_> = falls(stored).collect();
        // The kernel tells the start to a hundredth of a second, and its own start to a second.
        assert!(
            falls.len() <= 1 && falls.iter().all(|at| *at > restarted - 1.0),
            "{series}"
        );
        fell += falls.len();
    }
    assert!(fell > 0, "no counter began anew");
    for counter in [
        "trading_orders_total",
        "http_requests_total",
        "process_cpu_seconds_total",
    ] {
        let query = format!("min(min_over_time(rate({counter}[3s])[1h:500ms]))");
        let lowest = prometheus.number(&query);
        assert!(
            lowest.is_some_and(|rate| rate >= 0.0),
            "{counter}: {lowest:?}"
        );
    }
    println!(
        "{} growing series; none fell when Prometheus was killed and restarted, and {grown} went on growing; {fell} began anew with the \
         desk; no rate below 0",
        stored.len()
    );
}

fn filled_orders(desk: &Desk) -> f64 {
    let filled = [("outcome", "filled")];
    fetch(desk.metrics())
        .sum("trading_orders_closed_total", &filled)
        .unwrap()
}

fn fetch(url: &str) -> Exposition {
    obs_exposition::parse(&scrape(url).unwrap()).unwrap()
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

/// A thread that panics while it holds a lock leaves it poisoned. The next thread takes it all the same: that is what every
/// lock of the crates is taken by, so that one panic never stops the metrics of the others.
#[test]
fn no_lock_is_given_up_because_somebody_panicked() {
    let mut taken = 0;
    for path in sources(&tools::workspace().join("crates")) {
        let source = fs::read_to_string(&path).unwrap();
        // Tests stand last, and may give up.
        let source = source.split("#[cfg(test)]").next().unwrap();
        let source: String = source.split_whitespace().collect();
        let locks = source.match_indices(".lock()").filter(|(at, _)| {
            // A method of our own by that name.
            !source[..*at].ends_with("self")
        });
        for (at, lock) in locks {
            let then = &source[at + lock.len()..];
            // Tokio's cannot be poisoned.
            if then.starts_with(".await") {
                continue;
            }
            assert!(
                then.starts_with(".unwrap_or_else(PoisonError::into_inner)"),
                "{}: …{}",
                path.display(),
                &then[..then.len().min(60)]
            );
            taken += 1;
        }
        for refuses in [
            "read().unwrap()",
            "write().unwrap()",
            "read().expect(",
            "write().expect(",
        ] {
            assert!(!source.contains(refuses), "{}: {refuses}", path.display());
        }
    }
    assert!(taken > 10, "{taken} locks");
    println!("{taken} places take a lock, none of them gives up on one that is poisoned");
}

/// The sources of every crate in a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") && !path.ends_with("examples") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Tells this program that it is the process whose clock jumps.
const JUMPS: &str = "TEST_CLOCK_JUMPS";

/// The clock on the wall jumps an hour forth and back and the other way round, for one process alone: nobody else's is touched.
/// The monotonic clock goes on, as it does when an administrator or NTP sets a machine's clock.
#[test]
fn a_clock_that_jumps_an_hour_makes_no_counter_fall_and_no_time_absurd() {
    const NAME: &str = "a_clock_that_jumps_an_hour_makes_no_counter_fall_and_no_time_absurd";
    if std::env::var_os(JUMPS).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(live());
    }
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    replace(&offset, "+0");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", NAME, "--nocapture"])
        .env(JUMPS, "yes")
        .env("LD_PRELOAD", tools::faketime().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", &offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut process = Process::start(&mut child).unwrap();
    let url = |line: &str| line.strip_prefix("metrics ").map(str::to_owned);
    let url = process.wait_for("where its metrics are", url).unwrap();

    let mut last = after_rounds(&url, None);
    let started = last.sum("process_start_time_seconds", &[]);
    for jump in [0, 3_600, 0, -3_600, 0, 3_600, -3_600, 0] {
        replace(&offset, &format!("{jump:+}"));
        let scrape = after_rounds(&url, Some(&last));
        let shift = scrape.sum("wall_timestamp_seconds", &[]).unwrap() - now();
        assert!(
            (shift - f64::from(jump)).abs() < 60.0,
            "the clock did not jump: {shift}"
        );
        check(&last, &scrape, jump);
        assert_eq!(scrape.sum("process_start_time_seconds", &[]), started);
        last = scrape;
    }
    let rounds = last.sum("rounds_total", &[]).unwrap();
    let longest = last.families.iter().flat_map(|family| &family.samples);
    let longest = longest.filter(|sample| sample.name.ends_with("_duration_seconds_sum"));
    let longest = longest.map(|sample| sample.value).fold(0.0, f64::max);
    println!(
        "8 settings of the clock within an hour of the right time, {rounds} rounds of work: no counter fell, no time was negative, \
         the largest sum of durations is {longest:.1} s"
    );
}

/// The scrape after twenty more rounds of work than in the one before.
fn after_rounds(url: &str, before: Option<&Exposition>) -> Exposition {
    let rounds = |scrape: &Exposition| scrape.sum("rounds_total", &[]).unwrap();
    let goal = before.map_or(0.0, rounds) + 20.0;
    let mut latest = fetch(url);
    until("twenty rounds", || {
        latest = fetch(url);
        rounds(&latest) >= goal
    });
    latest
}

/// What has to hold of two scrapes, one after the other, whatever the clock did in between.
fn check(before: &Exposition, now: &Exposition, jump: i32) {
    for family in &now.families {
        for sample in &family.samples {
            let labels: Vec<_> = sample
                .labels
                .iter()
                .map(|l| (l.0.as_str(), l.1.as_str()))
                .collect();
            let earlier = before.value(&sample.name, &labels).unwrap_or(0.0);
            let (name, value) = (&sample.name, sample.value);
            let grows = family.kind == Kind::Counter
                || name.ends_with("_bucket")
                || name.ends_with("_count");
            assert!(
                !grows || value >= earlier,
                "{jump:+}: {name} {labels:?} fell from {earlier} to {value}"
            );
            let is_time = family.name.ends_with("_seconds") || name.ends_with("_seconds_total");
            if !is_time
                || name.ends_with("_timestamp_seconds")
                || name == "process_start_time_seconds"
            {
                continue;
            }
            let is_text = name.ends_with("_bucket") || name.ends_with("_count");
            assert!(
                value.is_nan() || value >= 0.0,
                "{jump:+}: {name} {labels:?} is {value}"
            );
            // The ledger lives by the time of its events, which is what this desk reads on the wall.
            let of_events = name.starts_with("portfolio_");
            assert!(
                is_text || of_events || value.is_nan() || value < HOUR,
                "{jump:+}: {name} {labels:?} is {value}"
            );
        }
    }
    // After twenty rounds by the new time, what tells a time tells that time.
    let wall = now.sum("wall_timestamp_seconds", &[]).unwrap();
    for name in [
        "provider_data_updated_timestamp_seconds",
        "provider_rate_limit_reset_timestamp_seconds",
    ] {
        for sample in now.samples(name) {
            assert!(
                (sample.value - wall).abs() < 120.0,
                "{jump:+}: {name} is {} at {wall}",
                sample.value
            );
        }
    }
    let period = |period| now.sum("portfolio_trades", &[("period", period)]).unwrap();
    let (day, week, month) = (period("day"), period("week"), period("month"));
    // A week may have begun in the month before.
    assert!(
        0.0 <= day && day <= week && day <= month,
        "{jump:+}: {day}, {week}, {month}"
    );
}

/// Entries in memory.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<HashMap<String, Entry<f64>>>>);

impl Kept {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry<f64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store<str, f64> for Kept {
    type Error = Infallible;

    async fn get(&self, key: &str) -> Result<Option<Entry<f64>>, Infallible> {
        Ok(self.entries().get(key).cloned())
    }

    async fn put(&self, key: &str, entry: &Entry<f64>) -> Result<(), Infallible> {
        self.entries().insert(key.to_owned(), entry.clone());
        Ok(())
    }
}

#[obs_core::track_calls]
#[obs_core::track_duration]
async fn work() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A desk in small that trades by the clock on the wall, with something of every crate in it. It never ends.
async fn live() {
    let catalogues = [
        obs_trading::catalogue(),
        obs_providers::catalogue(),
        obs_sentiment::catalogue(),
        obs_db::catalogue(),
        obs_http::catalogue(),
        obs_health::catalogue(),
    ];
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Config::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(Catalogue::join(catalogues).unwrap())
        .install()
        .unwrap();

    let (strategy, venue) = (Strategy::new("crossover"), Venue::new("paper"));
    let conventions = Conventions::new(
        Basis::PeriodReturns,
        Valuation::ClosedTrades,
        PeriodsPerYear::EVERY_DAY,
        Calendar::every_day(TimeZone::UTC),
    )
    .unwrap();
    let usd = |amount| Money::new(amount, Currency::USD);
    let mut account = Account::new("main", conventions, usd(10_000.0)).unwrap();
    let provider = Provider::new("alpaca", ProviderKind::MarketData);
    let quotes = Cache::new(
        provider.dataset("quotes"),
        Kept::default(),
        Duration::from_secs(1),
    );
    let bars = provider.session_dataset("bars", TradingCalendar::always_open());
    let market = Market::new("NYSE", TradingCalendar::nyse());
    let sentiment = obs_sentiment::Sentiment::new(["news", "reddit"]);
    let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
    let pool = obs_db::Pool::<sqlx::Sqlite>::new(pool, "orders");
    let server = obs_http::layer().layer(service_fn(async |_: axum::http::Request<String>| {
        Ok::<_, Infallible>(axum::http::Response::new(String::new()))
    }));
    let (host, runtime) = (obs_health::Host::new(), obs_health::Runtime::current());
    let (observed, pool_observed) = (provider.clone(), pool.clone());
    exporter.on_scrape(move || {
        observed.observe();
        market.observe();
        pool_observed.observe();
        host.observe();
        runtime.observe();
    });
    let (rounds, wall) = (
        metrics::counter!("rounds_total"),
        metrics::gauge!("wall_timestamp_seconds"),
    );
    let serving = exporter.serve().await.unwrap();
    println!("metrics http://{}/metrics", serving.local_addr());

    loop {
        let mut evaluation = strategy.evaluate();
        let decided = evaluation.signal(Signal::Buy, 0.7).decide(Decision::Enter);
        let ticket = Ticket::new("AAPL", Side::Buy, OrderType::Market, 1.0, 187.0);
        let mut order = decided.submit(&venue, &ticket);
        order.acknowledge();
        work().await;
        order.fill(Fill::new(1.0, 187.1));
        order.close_filled();
        drop(evaluation);
        for pnl in [-1.0, 2.0] {
            account
                .trade_closed(&ClosedTrade::new(Timestamp::now(), usd(pnl)))
                .unwrap();
        }
        account.advance_to(Timestamp::now());

        quotes
            .get("AAPL", async { Ok::<_, Infallible>(187.0) })
            .await
            .unwrap();
        quotes.dataset().updated();
        bars.updated();
        provider.rate_limited(Some(Duration::from_secs(30)));
        assert!(provider.retry_after() <= Some(Duration::from_secs(30)));
        for _ in 0..3 {
            provider.failed();
        }
        provider.answered();
        let mut aggregation = sentiment.aggregate();
        let _ = aggregation.score("news", 0.5);
        let _ = aggregation.finish(obs_sentiment::Aggregator::Median);
        pool.execute("SELECT 1").await.unwrap();
        let request = axum::http::Request::new(String::new());
        server.clone().oneshot(request).await.unwrap();
        wall.set(now());
        rounds.increment(1);
    }
}
