//! Every dashboard against a real Prometheus that watches three desks of three modes: its figures are those of single desks, as a
//! scrape of them says, and Grafana's own components draw every panel of it.
//! The page that draws them is `main.jsx`, built with packages of npm that `cargo xtask test --peers` fetches.

mod computed;
#[cfg(feature = "peers")]
mod drawn;
mod rates;
mod recorded;
#[cfg(feature = "peers")]
mod stranger;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use obs_exposition::{Exposition, Sample};
use obs_tests::{Desk, Manner, Process, Stack, Target, ask, scrape, tools};
use serde_json::Value;

/// Where each desk runs, in what mode, and with how much money, by which they can be told apart.
const DESKS: [(&str, &str, &str); 3] = [
    ("production", "live", "1000000"),
    ("staging", "paper", "500000"),
    ("research", "backtest", "250000"),
];
/// How many days are replayed where the desks are to come to rest.
const DAYS: usize = 300;
/// How long the figures may take to be there.
const PATIENCE: Duration = Duration::from_mins(3);

/// Desks with these arguments, and a Prometheus that watches them.
struct Scene {
    desks: Vec<Desk>,
    stack: Stack,
}

/// The desks as they are listed for a Prometheus.
fn listed(desks: &[Desk]) -> Vec<Target<'_>> {
    let targets = desks.iter().zip(DESKS);
    targets
        .map(|(desk, (environment, mode, _))| Target {
            address: desk.address(),
            environment,
            mode,
        })
        .collect()
}

impl Scene {
    fn set(desks: Vec<Desk>) -> Self {
        let stack = Stack::start_for(&listed(&desks), Manner::Hurried).unwrap();
        Self { desks, stack }
    }

    /// Desks that have come to the end of their days, and say the same from then on.
    fn at_rest() -> Self {
        let whole = tools::workspace().join("examples/trading-desk/data/sp500.csv");
        let whole = fs::read_to_string(whole).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bars = folder.path().join("sp500.csv");
        let first: Vec<_> = whole.lines().take(DAYS).collect();
        fs::write(&bars, first.join("\n") + "\n").unwrap();
        let bars = bars.display().to_string();
        let start = |(environment, mode, cash)| {
            let desk = Desk::start_as(environment, mode, &["--bars", &bars, "--cash", cash]);
            desk.unwrap().over().unwrap()
        };
        let scene = Self::set(DESKS.map(start).into());
        let scraped = "count(count_over_time(portfolio_value[5m]) > 3) == 3";
        scene.stack.wait_for(PATIENCE, scraped).unwrap();
        scene
    }
}

fn boards() -> Vec<(String, Value)> {
    boards_in(&tools::workspace().join("deploy/grafana/dashboards"))
}

/// The dashboards of a folder, by name.
fn boards_in(folder: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (
            name,
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap(),
        )
    };
    files.into_iter().map(read).collect()
}

/// All panels, those in folded rows among them.
fn panels(board: &Value) -> Vec<&Value> {
    let outer = board["panels"].as_array().unwrap().iter();
    let with_inner = outer.flat_map(|panel| {
        let inner = panel["panels"]
            .as_array()
            .map_or(&[] as &[_], Vec::as_slice);
        std::iter::once(panel).chain(inner)
    });
    with_inner.filter(|panel| panel["type"] != "row").collect()
}

/// A query with one mode chosen, or every one.
fn chosen(query: &str, mode: &str) -> String {
    ["service", "environment", "instance", "strategy"]
        .into_iter()
        .fold(query.replace("$mode", mode), |query, key| {
            query.replace(&format!("${key}"), ".*")
        })
}

/// The series that a query names, where it takes the highest or lowest of levels and nothing else: what it yields is then what one
/// process says.
fn taken_from(query: &str) -> Option<&str> {
    let inner = query
        .split_once(") (")
        .or_else(|| query.split_once('('))
        .map(|(_, inner)| inner)?;
    let is_pick = query.starts_with("max") || query.starts_with("min");
    let is_plain = query.matches('{').count() == 1 && inner.ends_with("})") && !query.contains('[');
    let name = inner.split('{').next()?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_pick && is_plain && is_name && name != "up").then_some(name)
}

/// What Prometheus answers, as numbers; what is undefined is left out.
fn values(stack: &Stack, query: &str) -> Vec<f64> {
    let answer = ask(stack.prometheus(), query).unwrap();
    let value = |series: &Value| series["value"][1].as_str().unwrap().parse::<f64>().unwrap();
    answer
        .iter()
        .map(value)
        .filter(|value| !value.is_nan())
        .collect()
}

/// The values of each series' name in a scrape.
fn scraped(desk: &Desk) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in scrape(desk.metrics()).unwrap().lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
        if let Some(value) = value {
            all.entry(name.to_owned()).or_default().push(value);
        }
    }
    all
}

/// A query that aggregates levels of one family and nothing else: what it yields follows from the scrapes.
struct Aggregate<'a> {
    op: &'a str,
    by: Vec<&'a str>,
    name: &'a str,
    /// The labels whose values are fixed.
    with: Vec<(&'a str, &'a str)>,
}

impl<'a> Aggregate<'a> {
    fn of(query: &'a str) -> Option<Self> {
        let (head, rest) = query.split_once('{')?;
        let matchers = rest.strip_suffix("})")?;
        let (head, name) = head.rsplit_once('(')?;
        let (op, by) = head.split_once(" by (").unwrap_or((head, ""));
        let by = by.trim_end().trim_end_matches(')');
        let is_plain = ["max", "min", "sum"].contains(&op) && !matchers.contains(['{', '[']);
        let with = matchers.split(", ").filter_map(|matcher| {
            let (key, value) = matcher.split_once("=\"")?;
            Some((key, value.trim_end_matches('"')))
        });
        is_plain.then(|| Self {
            op,
            by: by.split(", ").filter(|key| !key.is_empty()).collect(),
            name,
            with: with.collect(),
        })
    }

    /// What it yields of these samples: the value of each group, by the labels of the group.
    fn over(&self, samples: &[Labelled]) -> Rows {
        let mut rows = Rows::new();
        for (labels, value) in samples {
            let has = |(key, value): &(&str, &str)| labels.get(*key).is_some_and(|v| v == value);
            if !self.with.iter().all(has) {
                continue;
            }
            let kept = labels
                .iter()
                .filter(|(key, _)| self.by.contains(&key.as_str()));
            let group = kept
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let so_far = rows.entry(group).or_insert(match self.op {
                "sum" => 0.0,
                _ => f64::NAN,
            });
            *so_far = match self.op {
                "sum" => *so_far + value,
                "max" => so_far.max(*value),
                _ => so_far.min(*value),
            };
        }
        rows
    }
}

/// A sample's labels and its value.
type Labelled = (BTreeMap<String, String>, f64);
/// The value of each row, by its labels.
type Rows = BTreeMap<BTreeMap<String, String>, f64>;

/// The labels that the scraper adds to what a desk says.
fn target(desk: usize, address: &str) -> [(String, String); 4] {
    let (environment, mode, _) = DESKS[desk];
    let target = [
        ("service", "trading-desk"),
        ("environment", environment),
        ("mode", mode),
        ("instance", address),
    ];
    target.map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// What a desk says of a family, with the labels that the scraper adds.
fn samples(desk: usize, scene: &Scene, exposition: &Exposition, name: &str) -> Vec<Labelled> {
    let target = target(desk, scene.desks[desk].address());
    let labelled = |sample: &Sample| {
        let mut labels: BTreeMap<_, _> = sample.labels.iter().cloned().collect();
        labels.extend(target.clone());
        (labels, sample.value)
    };
    exposition.samples(name).map(labelled).collect()
}

/// The same as Prometheus answers.
fn answered(stack: &Stack, query: &str) -> Rows {
    rows_of(&ask(stack.prometheus(), query).unwrap())
}

/// An answer, without the names of its series.
fn rows_of(answer: &[Value]) -> Rows {
    let row = |series: &Value| {
        let Some(labels) = series["metric"].as_object() else {
            // A number that belongs to no series: its time, and what it is.
            return (
                BTreeMap::new(),
                series[1].as_str().unwrap().parse().unwrap(),
            );
        };
        let labels = labels.iter().filter(|(key, _)| *key != "__name__");
        let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        let value = series["value"][1].as_str().unwrap();
        (
            labels.collect(),
            value.replace("Inf", "inf").parse().unwrap(),
        )
    };
    answer.iter().map(row).collect()
}

/// A Prometheus with a storage of its own in this folder, and this configuration.
fn prometheus(folder: &Path, configuration: &str, program: &Path) -> (Process, String) {
    let config = folder.join("prometheus.yml");
    fs::write(&config, configuration).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let mut command = Command::new(program);
    command.args([
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={listen}"),
        "--log.level=error".to_owned(),
    ]);
    let process = Process::start(&mut command).unwrap();
    (process, format!("http://{listen}"))
}

/// Every row of every table, and every line, bar and number that is an aggregate of levels, is what follows from the scrapes of the desks
/// that are chosen: none is missing, and none is there besides.
fn rows_are_those_of_scrapes(scene: &Scene) {
    let read = |desk: &Desk| obs_exposition::parse(&scrape(desk.metrics()).unwrap()).unwrap();
    let said: Vec<_> = scene.desks.iter().map(read).collect();
    let mut compared = 0;
    for (board, json) in boards() {
        for panel in panels(&json) {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let Some(aggregate) = Aggregate::of(query).filter(|a| rests(a.name)) else {
                    continue;
                };
                let of_desk = |desk: usize| samples(desk, scene, &said[desk], aggregate.name);
                let each = DESKS.iter().enumerate();
                let each = each.map(|(desk, (_, mode, _))| (*mode, of_desk(desk)));
                let all = (".*", (0..DESKS.len()).flat_map(of_desk).collect());
                for (mode, samples) in each.chain([all]) {
                    let (expected, found) = (
                        aggregate.over(&samples),
                        answered(&scene.stack, &chosen(query, mode)),
                    );
                    // What is undefined is no number on both sides, and a sum may differ in its last digit.
                    let alike = |(left, right): (&f64, &f64)| {
                        left.is_nan() && right.is_nan() || (left - right).abs() <= 1e-9 * left.abs()
                    };
                    let same = expected.keys().eq(found.keys())
                        && expected.values().zip(found.values()).all(alike);
                    let place = format!("{board}, {}, {mode}: {query}", panel["title"]);
                    assert!(same, "{place}: {found:#?} and not {expected:#?}");
                    compared += expected.len();
                }
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

/// Whether a family does not change while a desk is at rest.
fn rests(name: &str) -> bool {
    let rest = ["portfolio_", "position_", "risk_", "trading_"];
    rest.iter().any(|at| name.starts_with(at)) && !name.contains(':')
}

/// With every mode chosen each figure of a process is what one desk says, and with one chosen it is what that one says: nothing is
/// added up over desks, and nothing comes from another environment.
#[test]
fn figures_are_those_of_single_desks() {
    let scene = Scene::at_rest();
    let said: Vec<_> = scene.desks.iter().map(scraped).collect();
    let mut compared = 0;
    let mut seen_apart = 0;
    for (board, json) in boards() {
        for panel in panels(&json) {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let Some(name) = taken_from(query).filter(|name| rests(name)) else {
                    continue;
                };
                let place = format!("{board}, {}: {query}", panel["title"]);
                let of_desk =
                    |desk: usize| said[desk].get(name).map_or(&[] as &[f64], Vec::as_slice);
                for (desk, (_, mode, _)) in DESKS.into_iter().enumerate() {
                    for value in values(&scene.stack, &chosen(query, mode)) {
                        let own = of_desk(desk);
                        assert!(
                            own.contains(&value),
                            "{place}: {value} is not what {mode} says: {own:?}"
                        );
                        compared += 1;
                    }
                }
                let all: Vec<f64> = (0..DESKS.len())
                    .flat_map(|desk| of_desk(desk).to_vec())
                    .collect();
                for value in values(&scene.stack, &chosen(query, ".*")) {
                    assert!(
                        all.contains(&value),
                        "{place}: {value} is what no desk says: {all:?}"
                    );
                }
                seen_apart += usize::from(of_desk(0) != of_desk(1));
            }
        }
    }
    rows_are_those_of_scrapes(&scene);
    recorded::series_are_what_their_rules_say(&scene.stack);
    // They do differ, so that a wrong one would be noticed.
    assert!(
        compared > 100 && seen_apart > 10,
        "{compared}, {seen_apart}"
    );
}
