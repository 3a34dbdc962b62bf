//! Every dashboard against a real Prometheus that watches three desks of three modes: its figures are those of single desks, as a
//! scrape of them says, and Grafana's own components draw every panel of it.
//! The page that draws them is `main.jsx`, built with packages of npm that `cargo xtask test --peers` fetches.

#[cfg(feature = "peers")]
mod drawn;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use obs_tests::{Desk, Manner, Stack, Target, ask, scrape, tools};
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

impl Scene {
    fn set(desks: Vec<Desk>) -> Self {
        let targets = desks.iter().zip(DESKS);
        let targets: Vec<_> = targets
            .map(|(desk, (environment, mode, _))| Target {
                address: desk.address(),
                environment,
                mode,
            })
            .collect();
        let stack = Stack::start_for(&targets, Manner::Hurried).unwrap();
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
    let folder = tools::workspace().join("deploy/grafana/dashboards");
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
                // These do not change while a desk is at rest.
                let rests = ["portfolio_", "position_", "risk_", "trading_"];
                let name =
                    taken_from(query).filter(|name| rests.iter().any(|at| name.starts_with(at)));
                let Some(name) = name else {
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
    // They do differ, so that a wrong one would be noticed.
    assert!(
        compared > 100 && seen_apart > 10,
        "{compared}, {seen_apart}"
    );
}
