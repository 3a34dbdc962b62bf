//! Rates, increases, quotients, quantiles and counts: every panel whose query is computed from known samples yields what follows from
//! direct scrapes. Three desks are scraped while they trade, a Prometheus is given the very samples with times of our own, and each
//! query is asked at a time between two of them.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use obs_exposition::Exposition;
use obs_tests::{Desk, ask, ask_at, scrape, tools};
use promql_parser::parser::token::{T_BOTTOMK, T_TOPK};
use promql_parser::parser::{Expr, parse};

use super::computed::Store;
use super::{DESKS, PATIENCE, Rows, boards, chosen, panels, prometheus, rows_of, target};

/// How often each desk is scraped.
const SCRAPES: u32 = 20;
/// How many seconds are between two scrapes, by the times that Prometheus gets.
const INTERVAL: u32 = 15;
/// How many seconds after the last scrape queries are asked: no range begins or ends at a sample.
const AFTER: u32 = 7;
/// A counter that rises while a desk trades.
const RISES: &str = "trading_orders_closed_total";

/// Queries that are not computed here, by what they contain, and why.
const NOT_COMPUTED: &[(&str, &str)] = &[
    (":", "recorded series are compared with their expressions"),
    ("ALERTS", "Prometheus makes them of its rules"),
    ("(up{", "Prometheus makes it of its scrapes"),
    ("label_replace(", "labels are renamed"),
];

/// A desk's scrapes, in order.
fn scrapes(desk: &Desk) -> Vec<Exposition> {
    let read = || obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
    let count = |said: &Exposition| said.samples(RISES).map(|sample| sample.value).sum::<f64>();
    let mut all = vec![read()];
    while all.len() < SCRAPES as usize {
        let end = Instant::now() + PATIENCE;
        let before = count(&all[all.len() - 1]);
        let next = loop {
            let next = read();
            if count(&next) > before {
                break next;
            }
            assert!(Instant::now() < end, "{RISES} does not rise");
            // There is no event to wait for in another program.
            sleep(Duration::from_millis(20));
        };
        all.push(next);
    }
    all
}

/// The samples of all desks, for us and as a text with times that Prometheus takes in.
fn samples(first: u32) -> (Store, String) {
    let (mut store, mut text) = (Store::default(), String::new());
    let start = |(environment, mode, cash)| {
        Desk::start_as(environment, mode, &["--pace", "20ms", "--cash", cash]).unwrap()
    };
    let desks: Vec<Desk> = DESKS.map(start).into();
    let all: Vec<_> = desks.iter().map(scrapes).collect();
    for i in 0..SCRAPES {
        let time = first + i * INTERVAL;
        for (desk, scrapes) in all.iter().enumerate() {
            let families = scrapes[i as usize].families.iter();
            for sample in families.flat_map(|family| &family.samples) {
                let labels: std::collections::BTreeMap<_, _> = sample
                    .labels
                    .iter()
                    .cloned()
                    .chain(target(desk, desks[desk].address()))
                    .collect();
                let of_text = labels
                    .iter()
                    .map(|(key, value)| format!("{key}={}", quoted(value)));
                let of_text: Vec<_> = of_text.collect();
                let value = sample.value.to_string().replace("inf", "Inf");
                let (name, labels_text) = (&sample.name, of_text.join(","));
                writeln!(text, "{name}{{{labels_text}}} {value} {time}").unwrap();
                store.add(name, labels, time.into(), sample.value);
            }
        }
    }
    (store, text + "# EOF\n")
}

fn quoted(value: &str) -> String {
    let escaped = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// Puts samples into the storage of a Prometheus.
fn fill(folder: &Path, text: &str) {
    let file = folder.join("samples.txt");
    fs::write(&file, text).unwrap();
    let mut promtool = Command::new(tools::promtool().unwrap());
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]);
    let output = promtool
        .arg(&file)
        .arg(folder.join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// With the ranges that Grafana fills in, by the interval of our scrapes.
fn filled_in(query: &str) -> String {
    query
        .replace("$__rate_interval", "1m")
        .replace("$__range", "3m")
}

/// How much a rank is moved down and up: more than sums are off by, and less than is seen.
const NUDGE: f64 = 1e-11;

/// Whether a value lies between two that differ where a quantile is undecided only.
fn is_between(lowest: f64, value: f64, highest: f64) -> bool {
    let (lowest, highest) = (lowest.min(highest), lowest.max(highest));
    alike(lowest, value) || alike(highest, value) || lowest < value && value < highest
}

fn alike(left: f64, right: f64) -> bool {
    // What is no number, and what is infinite.
    left.is_nan() && right.is_nan()
        || left.total_cmp(&right).is_eq()
        || (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1e-3)
}

/// Whether an answer is as it has to be. Of series that are as high as each other, one is as good as the other for the ten highest.
fn is_right(expr: &Expr, [lowest, highest]: &[Rows; 2], found: &Rows) -> bool {
    let is_of_highest =
        matches!(expr, Expr::Aggregate(a) if [T_TOPK, T_BOTTOMK].contains(&a.op.id()));
    let values = |rows: &Rows| {
        let mut values: Vec<f64> = rows.values().copied().collect();
        if is_of_highest {
            values.sort_by(f64::total_cmp);
        }
        values
    };
    let (lowest_values, highest_values) = (values(lowest), values(highest));
    let found_values = values(found);
    let bounds = lowest_values.iter().zip(&highest_values);
    let mut each = found_values.iter().zip(bounds);
    found_values.len() == lowest_values.len()
        && lowest_values.len() == highest_values.len()
        && (is_of_highest || lowest.keys().eq(found.keys()))
        && each.all(|(value, (lowest, highest))| is_between(*lowest, *value, *highest))
}

#[test]
fn figures_that_are_computed_follow_from_scrapes() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let first = u32::try_from(now.as_secs()).unwrap() / 60 * 60 - 3 * 3600;
    let (mut store, text) = samples(first);
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &text);
    let (_process, url) = prometheus(folder.path(), "", &tools::prometheus().unwrap());
    let end = Instant::now() + PATIENCE;
    while ask(&url, "vector(1)").is_err() {
        assert!(Instant::now() < end, "Prometheus does not answer");
        // There is no event to wait for in another program.
        sleep(Duration::from_millis(100));
    }
    let time = f64::from(first + (SCRAPES - 1) * INTERVAL + AFTER);

    let (mut rows, mut moving, mut faults) = (0, 0, Vec::new());
    for (board, json) in boards() {
        for panel in panels(&json) {
            for query in panel["targets"].as_array().unwrap() {
                let query = query["expr"].as_str().unwrap();
                for mode in ["live", "paper", ".*"] {
                    let text = filled_in(&chosen(query, mode));
                    let place = format!("{board}, {}, {mode}: {text}", panel["title"]);
                    let expr = parse(&text).unwrap();
                    let is_listed = NOT_COMPUTED.iter().any(|(part, _)| text.contains(part));
                    if is_listed {
                        continue;
                    }
                    let mut yields = |nudge| {
                        store.nudge = nudge;
                        store.yields(&expr, time)
                    };
                    let (Some(expected), Some(highest)) = (yields(-NUDGE), yields(NUDGE)) else {
                        faults.push(format!("{place} is not computed"));
                        continue;
                    };
                    let found = rows_of(&ask_at(&url, &text, time).unwrap());
                    let bounds = [expected, highest];
                    if !is_right(&expr, &bounds, &found) {
                        faults.push(format!("{place}: {found:?} and not {bounds:?}"));
                    }
                    let [expected, _] = bounds;
                    rows += expected.len();
                    let is_rate = text.contains("rate(") || text.contains("increase(");
                    let is_moving = expected.values().any(|value| *value > 0.0);
                    moving += usize::from(is_rate && is_moving);
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} of them:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(
        rows > 2_000 && moving > 100,
        "{rows} rows, {moving} rates above 0"
    );
}
