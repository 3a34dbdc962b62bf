//! Says what the live page costs a browser that looks at a service of many series:
//!
//! ```sh
//! cargo run --package obs-tests --example page_cost -- 10000 30
//! ```
//!
//! The first argument is how many series there are, of which half move every second; the second how many seconds are measured, after
//! as many as the page takes to come to rest. Processor time is that of the process that runs the page, with the thread that reads the
//! exposition, the one that draws, and those that paint; tasks are those of the one that draws, which is the one a user waits for, by
//! Chromium's own tracing. On a machine that does something else besides, a task takes longer than the processor time that it has.
//! Without a graphics card Chromium paints on the processor too: elsewhere the share is smaller.

#[expect(dead_code, reason = "tests do more with it than measure")]
mod browser;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use browser::Browser;
use metrics::{Counter, Gauge, Histogram};
use obs_exporter::{Config, Exporter};
use serde_json::{Value, json};

/// How many series a family has.
const OF_A_FAMILY: usize = 100;

/// Ticks of a processor's account in a second, by every kernel that Chromium runs on.
const TICKS: f64 = 100.0;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let series = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(30), |text| text.parse())?;

    let config = Config {
        listen: "127.0.0.1:0".parse()?,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.build()?;
    let moving = metrics::with_local_recorder(&recorder, || Moving::new(series));
    tokio::spawn(moving.forever());
    let server = exporter.serve().await?;

    let traced = json!({ "enableNetwork": false, "enablePage": false, "traceCategories": "toplevel,blink.user_timing" });
    let browser = Browser::start_as(json!({ "perfLoggingPrefs": traced })).await;
    browser
        .open(&format!("http://{}/", server.local_addr()))
        .await;
    let samples = "Number(document.documentElement.dataset.samples)";
    browser.until::<bool>(&format!("{samples} > 3")).await;
    // Cards in sight, each with its charts.
    browser
        .run::<Value>(&format!(
            "performance.mark('{OPENS}'); document.querySelector('#group-others .heading').click(); \
             document.getElementById('group-others').scrollIntoView({{ behavior: 'instant' }})"
        ))
        .await;
    let rested: u64 = browser.until(&format!("{samples} > 20 && {samples}")).await;
    browser
        .run::<Value>(&format!("performance.mark('{LOOKED_AT}')"))
        .await;
    let pages = renderers();
    let before = ticks(&pages);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = ticks(&pages) - before;
    let [opening, watching] = longest_tasks(&trace(&browser).await);
    let (shown, heap): (u64, f64) = browser
        .run(&format!(
            "return [{samples}, performance.memory.usedJSHeapSize / 1e6]"
        ))
        .await;
    let cards: usize = browser
        .run("return document.querySelectorAll('.card .uplot').length")
        .await;
    #[expect(clippy::cast_precision_loss, reason = "these are few seconds")]
    let wall = seconds as f64;
    println!(
        "{series} series, {} samples in {seconds} s, {cards} charts beside the overview",
        shown - rested
    );
    println!("processor: {:.1} % of a core", 100.0 * used / TICKS / wall);
    println!("longest task while the page opens: {opening}");
    println!("longest task while it is looked at: {watching}");
    println!("heap of the page: {heap:.0} MB");
    server.shutdown().await;
    Ok(())
}

/// Marks that the page leaves in the trace: that it is it, and from when on it is only looked at.
const OPENS: &str = "page_cost opens";
const LOOKED_AT: &str = "page_cost is looked at";

/// What the browser's threads did: events as its tracing has them.
async fn trace(browser: &Browser) -> Vec<Value> {
    let entries = browser.log_of("performance").await.into_iter();
    let messages = entries.filter_map(|entry| {
        let mut entry: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
        Some(entry["message"].take())
    });
    messages
        .filter(|message| message["method"] == "Tracing.dataCollected")
        .map(|mut message| message["params"].take())
        .collect()
}

/// How long the longest tasks of a thread took, in milliseconds.
#[derive(Default)]
struct Longest {
    /// By the clock.
    clock: f64,
    /// Of processor time, which others may have had in between.
    processor: f64,
}

impl std::fmt::Display for Longest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { clock, processor } = self;
        write!(
            formatter,
            "{clock:.0} ms by the clock, {processor:.0} ms of processor time"
        )
    }
}

/// The tasks of the thread that draws the page, while it opens and while it is looked at.
fn longest_tasks(trace: &[Value]) -> [Longest; 2] {
    let thread = |event: &Value| (event["pid"].as_u64(), event["tid"].as_u64());
    let mark = |name: &str| trace.iter().find(|event| event["name"] == name);
    let (opens, looked_at) = (mark(OPENS).unwrap(), mark(LOOKED_AT).unwrap());
    let mut longest = [Longest::default(), Longest::default()];
    for event in trace.iter().filter(|event| thread(event) == thread(opens)) {
        let is_task = event["name"]
            .as_str()
            .is_some_and(|name| name.ends_with("RunTask"));
        // Times are in microseconds.
        let took = |key: &str| event[key].as_f64().filter(|_| is_task).unwrap_or(0.0) / 1e3;
        let phase = &mut longest[usize::from(event["ts"].as_f64() > looked_at["ts"].as_f64())];
        phase.clock = phase.clock.max(took("dur"));
        phase.processor = phase.processor.max(took("tdur"));
    }
    longest
}

/// Series of which every other one moves.
struct Moving {
    counters: Vec<Counter>,
    gauges: Vec<Gauge>,
    histograms: Vec<Histogram>,
}

impl Moving {
    /// Of ten families eight are of counters and one is of gauges; a histogram counts for the twelve samples it has.
    fn new(series: usize) -> Self {
        let mut moving = Self {
            counters: Vec::new(),
            gauges: Vec::new(),
            histograms: Vec::new(),
        };
        for number in 0..series {
            let (family, member) = (number / OF_A_FAMILY, number % OF_A_FAMILY);
            let label = [
                ("member", format!("member-{member}")),
                ("kind", format!("kind-{}", member % 4)),
            ];
            match family % 10 {
                0 => moving
                    .gauges
                    .push(metrics::gauge!(format!("cost_{family}_level"), &label)),
                1 if member % 12 == 0 => moving.histograms.push(metrics::histogram!(
                    format!("cost_{family}_seconds"),
                    &label
                )),
                1 => {}
                _ => moving
                    .counters
                    .push(metrics::counter!(format!("cost_{family}_total"), &label)),
            }
        }
        moving
    }

    async fn forever(self) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for round in 0_u32.. {
            second.tick().await;
            for (number, counter) in self.counters.iter().enumerate().step_by(2) {
                counter.increment(1 + number as u64 % 17);
            }
            for (number, gauge) in (0_u32..).zip(&self.gauges).step_by(2) {
                gauge.set(f64::from(number) + f64::from(round).sin());
            }
            for (number, histogram) in (1_u32..).zip(&self.histograms).step_by(2) {
                histogram.record(0.001 * f64::from(number) * (1.5 + f64::from(round).sin()));
            }
        }
    }
}

/// The processes that show pages, of browsers that this program started.
fn renderers() -> Vec<u32> {
    let is_renderer = |id: &u32| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        command.contains("--type=renderer") && is_below(*id, std::process::id())
    };
    let folders = Path::new("/proc")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten();
    let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    ids.filter(is_renderer).collect()
}

fn is_below(id: u32, ancestor: u32) -> bool {
    let mut at = id;
    while at > 1 && at != ancestor {
        at = field(at, 1).unwrap_or(0);
    }
    at == ancestor
}

/// The processor time of these, their threads together.
fn ticks(processes: &[u32]) -> f64 {
    let of = |id: &u32| Some(field::<f64>(*id, 11)? + field::<f64>(*id, 12)?);
    processes.iter().filter_map(of).sum()
}

/// A field of a process' account, counted from the state, which is 0. None of a process that is gone.
fn field<T: FromStr>(id: u32, place: usize) -> Option<T> {
    let account = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before the state may have blanks, and ends with the last parenthesis.
    let (_, fields) = account.rsplit_once(") ")?;
    fields.split(' ').nth(place)?.parse().ok()
}
