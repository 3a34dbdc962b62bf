//! Jobs that end push to a real Pushgateway, a real `VictoriaMetrics` and its agent.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use obs_core::{By, Catalogue, Counter, Gauge, Histogram};
use obs_exporter::{Config, Exporter, Mode, Push};
use obs_exposition::Exposition;
use obs_tests::{Agent, Keeper, Pushgateway, Scraper, Storage, scrape};

/// How long what was pushed may take until queries see it.
const PATIENCE: Duration = Duration::from_mins(1);

obs_core::label! {
    /// How a trade ended.
    enum Result as "result" { Win = "win", Loss = "loss" }
}

obs_core::families! {
    /// What a backtest has found.
    struct Backtest {
        /// Trades of the backtest.
        trades: By<Result, Counter> = "backtest_trades_total",
        /// What all of it came to.
        pnl: Gauge = "backtest_pnl",
        /// The ratio that has no value before the first loss.
        profit_factor: Gauge = "backtest_profit_factor",
        /// How long a trade was held.
        held: Histogram = "backtest_held_seconds" { buckets: &[60.0, 3600.0] },
    }
}

/// An exporter with a backtest of this many wins in it.
fn backtest(wins: u64) -> Exporter {
    let config = Config {
        mode: Some(Mode::Backtest),
        ..Config::default()
    };
    let (recorder, exporter) = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(Catalogue::of(&[Backtest::FAMILIES]))
        .build()
        .unwrap();
    let backtest = metrics::with_local_recorder(&recorder, Backtest::new);
    backtest.trades[Result::Win].increment(wins);
    backtest.trades[Result::Loss].increment(2);
    backtest.pnl.set(-1234.5);
    backtest.profit_factor.set(f64::NAN);
    for seconds in [30.0, 600.0, 7200.5] {
        backtest.held.record(seconds);
    }
    exporter
}

/// The series of the backtest by name and labels, with the text of their values, so that `NaN` is equal to itself.
fn series(exposition: &Exposition, run: Option<&str>) -> BTreeMap<String, String> {
    let families = exposition.families.iter();
    let samples = families
        .filter(|family| family.name.starts_with("backtest_"))
        .flat_map(|family| &family.samples)
        .filter(|sample| run.is_none() || sample.label("run") == run);
    let described = samples.map(|sample| {
        // What the push adds; `instance` the gateway itself adds, empty.
        let is_added = |key: &str| ["job", "run", "instance"].contains(&key);
        let mut labels: Vec<_> = sample
            .labels
            .iter()
            .filter(|(key, _)| !is_added(key))
            .collect();
        labels.sort();
        let name = format!("{} {labels:?}", sample.name);
        (name, sample.value.to_string())
    });
    described.collect()
}

fn parse(text: &str) -> Exposition {
    obs_exposition::parse(text).unwrap()
}

#[tokio::test]
async fn what_was_pushed_is_read_back() {
    let gateway = Pushgateway::start().unwrap();
    // A slash, text that is no ASCII, and nothing at all.
    let runs = [("2018/ma-crossover", 7), ("Zürich 50 %", 8), ("", 9)];
    let to = |run: &str| Push::to_pushgateway(gateway.url(), "backtest/daily").label("run", run);
    for (run, wins) in runs {
        backtest(wins).push(&to(run)).await.unwrap();
    }
    let read = || parse(&scrape(&format!("{}/metrics", gateway.url())).unwrap());
    let exposition = read();
    for (run, wins) in runs {
        let pushed = series(&parse(&backtest(wins).render()), None);
        assert_eq!(pushed.len(), 9, "{pushed:?}");
        assert_eq!(series(&exposition, Some(run)), pushed, "{run}");
    }
    let trades = exposition.family("backtest_trades_total").unwrap();
    for sample in &trades.samples {
        assert_eq!(sample.label("job"), Some("backtest/daily"));
        assert_eq!(sample.label("mode"), Some("backtest"));
    }

    // The next push of the same run replaces it, and leaves the others alone.
    let (run, _) = runs[0];
    backtest(70).push(&to(run)).await.unwrap();
    let exposition = read();
    let pushed = series(&parse(&backtest(70).render()), None);
    assert_eq!(series(&exposition, Some(run)), pushed);
    assert_eq!(
        series(&exposition, Some(runs[1].0)),
        series(&parse(&backtest(8).render()), None)
    );
}

/// The same series of a run as `VictoriaMetrics` answers with them now.
fn kept(storage: &Storage, run: &str) -> BTreeMap<String, String> {
    let query = format!("{{job=\"backtest/daily\", run=\"{run}\"}}");
    let described = storage.ask(&query).unwrap().into_iter();
    let described = described.filter_map(|answer| {
        let labels = answer["metric"].as_object()?;
        let name = labels["__name__"].as_str()?;
        let is_added = |key: &str| ["__name__", "job", "run"].contains(&key);
        let labels: Vec<(String, String)> = labels
            .iter()
            .filter(|(key, _)| !is_added(key))
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let value: f64 = answer["value"][1].as_str()?.parse().ok()?;
        let is_ours = name.starts_with("backtest_");
        is_ours.then(|| (format!("{name} {labels:?}"), value.to_string()))
    });
    described.collect()
}

/// By itself or through its agent, with the last value of each series; what is not a number it does not keep.
#[tokio::test]
async fn what_was_pushed_is_kept_by_victoria_metrics() {
    let storage = Storage::start(Keeper::VictoriaMetrics).unwrap();
    let agent = Agent::start(Scraper::Vmagent, &storage.url(), &[]).unwrap();
    for (url, run) in [
        (storage.url(), "2018/ma-crossover"),
        (agent.url().to_owned(), "Zürich 50 %"),
    ] {
        let push = Push::to_victoria_metrics(url, "backtest/daily").label("run", run);
        for wins in [7, 70] {
            backtest(wins).push(&push).await.unwrap();
            let mut pushed = series(&parse(&backtest(wins).render()), None);
            let number = |_: &String, value: &mut String| value != "NaN";
            pushed.retain(number);
            assert_eq!(pushed.len(), 8, "{pushed:?}");

            let end = Instant::now() + PATIENCE;
            while kept(&storage, run) != pushed && Instant::now() < end {
                // There is no event to wait for in another program.
                sleep(Duration::from_millis(100));
            }
            assert_eq!(kept(&storage, run), pushed, "{run}");
        }
    }
}

#[tokio::test]
async fn a_port_on_which_nothing_listens_is_told() {
    // Held for a moment to find a port that is free, and let go of.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap();
    let push = Push::to_pushgateway(format!("http://desk:secret@{address}"), "backtest");
    let error = backtest(1).push(&push.attempts(2)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot push the metrics of the job `backtest` to http://{address}: Connection refused (os error 111) \
            (tried 2 times); start what is to receive there, or correct the URL"
        )
    );
}

#[tokio::test]
async fn what_the_gateway_refuses_is_told_as_it_says() {
    let gateway = Pushgateway::start().unwrap();
    let push = Push::to_pushgateway(format!("{}/elsewhere", gateway.url()), "backtest");
    let error = backtest(1).push(&push).await.unwrap_err().to_string();
    assert!(error.contains("it answered 404 Not Found"), "{error}");
    assert!(error.contains("(tried once)"), "{error}");
}
