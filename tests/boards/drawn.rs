//! Every panel as Grafana's own components draw it, in Chromium. The page that draws them is `main.jsx`, built with packages of npm
//! that `cargo xtask test --peers` fetches.

#[expect(dead_code, reason = "tests of the page do more with it")]
#[path = "../browser/mod.rs"]
mod browser;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use browser::Browser;
use obs_tests::{Desk, Manner, Stack, Target, Watcher, ask, tools};
use serde::Deserialize;
use tempfile::TempDir;

use super::{DESKS, PATIENCE, Scene, boards_in, listed, panels};

/// How long a desk takes for a day.
const PACE: &str = "60ms";
/// How wide the dashboards are drawn, in pixels: a laptop's window.
const WIDTH: u32 = 1300;

/// Panels of which the sample desk may have nothing, and why.
const RIGHTLY_EMPTY: &[(&str, &str)] = &[
    ("gRPC", "the desk neither serves nor calls gRPC"),
    ("Streams", "no endpoint of the desk is a stream"),
    (
        "Listeners",
        "the desk keeps its records in SQLite, which has no notifications",
    ),
    ("Sessions", "the time of a replay is left out"),
    ("Firing alerts", "no alert fires"),
    ("Alerts by process", "no alert fires"),
    ("Most frequent", "no error was counted"),
    ("Rejected by", "nothing was rejected"),
    ("Against ", "there is no record of a day or a week ago"),
];

/// Shares that are beyond 100 % in one direction or the other for good reason, by the panel or the column that shows them.
const BEYOND_A_WHOLE: &[(&str, &str)] = &[
    (
        "CPU by process",
        "a process may keep several processors busy",
    ),
    ("Workers busy", "there are several workers"),
    ("Budget", "an error budget may be spent more than once"),
    ("Turnover", "capital may be turned over several times"),
    ("Orders for each trade", "a trade takes an order at least"),
];
/// Times that may be below 0.
const BEFORE_NOW: &[(&str, &str)] = &[("Offset", "a clock may be behind")];
/// The longest time that anything here takes or lies ahead: a calendar's end. A replay's own dates are further off.
const LONGEST: f64 = 10.0 * 365.25 * 86_400.0;

/// Where the pictures go, if they are wanted: `NAME.png` of each dashboard in dark, and `NAME-light.png`.
const PICTURES: &str = "BOARD_PICTURES";
/// How many minutes the desks trade before anything is drawn, and how many are drawn then.
const MINUTES: &str = "BOARD_MINUTES";
/// As many are drawn otherwise, of which the first have nothing.
const FEW: u32 = 5;

/// Desks that trade, and an agent that watches the first of them from outside, by a file of a folder.
struct Trading {
    scene: Scene,
    _agent: Watcher,
    _folder: TempDir,
}

/// They trade long enough that every panel has something.
fn trading(minutes: Option<u32>) -> Trading {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = folder.path().join("desk.obs");
    let (environment, mode, _) = DESKS[0];
    let start = |(place, of, cash)| {
        let arguments = ["--pace", PACE, "--cash", cash];
        let is_watched = of == mode;
        let started = if is_watched {
            Desk::start_mapped_as(place, of, &arguments, &file)
        } else {
            Desk::start_as(place, of, &arguments)
        };
        started.unwrap()
    };
    let desks: Vec<Desk> = DESKS.map(start).into();
    let agent = Watcher::start(folder.path()).unwrap();
    let target = Target {
        address: agent.address(),
        environment,
        mode,
    };
    let stack = Stack::start_for_beside(&target, &listed(&desks), Manner::Hurried).unwrap();
    let scene = Scene { desks, stack };
    let filled = "count(sum by (instance) (increase(trading_orders_closed_total{outcome=\"filled\"}[5m])) > 20) == 3";
    scene.stack.wait_for(PATIENCE, filled).unwrap();
    let evaluated =
        "objective:api_error_budget:failed_ratio1h and objective:api_error_budget:failed_ratio3d";
    scene.stack.wait_for(PATIENCE, evaluated).unwrap();
    if let Some(minutes) = minutes {
        let seconds = 60 * minutes;
        let traded =
            format!("min(time() - process_start_time_seconds{{job=\"trading-desk\"}}) > {seconds}");
        let patience = PATIENCE + Duration::from_secs(seconds.into());
        scene.stack.wait_for(patience, &traded).unwrap();
    }
    Trading {
        scene,
        _agent: agent,
        _folder: folder,
    }
}

/// What the page says of a panel it has drawn.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Drawn {
    pub(super) title: String,
    error: Option<String>,
    series: Vec<Series>,
    /// How many cells of native buckets a heat map has.
    pub(super) native_cells: usize,
    is_title_clipped: bool,
    clipped: Vec<String>,
    is_beyond_panel: bool,
    text: String,
}

/// What is drawn of one series: what it or its column is called, in which unit, and how far its numbers reach.
#[derive(Deserialize)]
struct Series {
    name: String,
    unit: String,
    least: Option<f64>,
    most: Option<f64>,
}

/// Every panel of every dashboard, in both schemes, with the mode that is chosen at first: live.
#[tokio::test(flavor = "multi_thread")]
async fn every_panel_is_drawn_by_grafana() {
    let minutes = std::env::var(MINUTES).ok();
    let minutes: Option<u32> = minutes.map(|minutes| minutes.parse().unwrap());
    let scene = tokio::task::spawn_blocking(move || trading(minutes));
    let Trading { scene, .. } = &scene.await.unwrap();
    let drawing = Drawing {
        boards: &tools::workspace().join("deploy/grafana/dashboards"),
        prometheus: scene.stack.prometheus(),
        minutes: minutes.unwrap_or(FEW),
        pictures: "",
    };
    let faults = |drawn: &Drawn| of_drawn(drawn, RIGHTLY_EMPTY);
    assert_eq!(drawing.faults(faults).await, "");
}

/// What is drawn, and of what.
pub(super) struct Drawing<'a> {
    /// The folder of the dashboards.
    pub(super) boards: &'a std::path::Path,
    /// What is asked.
    pub(super) prometheus: &'a str,
    /// How long a time is drawn.
    pub(super) minutes: u32,
    /// The folder for the pictures, within that for all.
    pub(super) pictures: &'a str,
}

impl Drawing<'_> {
    /// Draws every panel of every dashboard in both schemes, and keeps pictures where a folder is given for them; what is wrong, a line
    /// for each fault.
    pub(super) async fn faults(&self, of: impl Fn(&Drawn) -> Vec<String>) -> String {
        let page = tools::boards_page(&tools::workspace().join("tests/boards")).unwrap();
        let served = serve(page, self.boards.to_owned()).await;
        let browser = Browser::start().await;
        let pictures = std::env::var_os(PICTURES)
            .map(|folder| tools::workspace().join(folder).join(self.pictures));
        let mut faults = Vec::new();
        for (board, json) in boards_in(self.boards) {
            for theme in ["dark", "light"] {
                let (prometheus, minutes) = (self.prometheus, self.minutes);
                let end = tokio::task::block_in_place(|| steady(prometheus));
                browser.size(WIDTH, 3600, 1).await;
                browser
                    .open(&format!(
                        "{served}/?d={board}&theme={theme}&min={minutes}&w={WIDTH}&prom={prometheus}&end={end}"
                    ))
                    .await;
                let drawn: Vec<Drawn> = browser.until("window.report").await;
                assert_eq!(drawn.len(), panels(&json).len(), "{board}");
                let found = drawn.iter().flat_map(&of);
                faults.extend(found.map(|fault| format!("{board}, {theme}, {fault}")));
                if let Some(folder) = &pictures {
                    fs::create_dir_all(folder).unwrap();
                    let suffix = if theme == "light" { "-light" } else { "" };
                    take(&browser, &folder.join(format!("{board}{suffix}.png"))).await;
                }
            }
        }
        faults.join("\n")
    }
}

/// A time at which all that was ever scraped had answered for seconds: on a busy machine a scrape may come too late, and what a desk
/// says is then missing for a second.
fn steady(prometheus: &str) -> f64 {
    let steady = "min(min_over_time(up[3s]) and max_over_time(up[5m]) == 1) == 1";
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(series) = ask(prometheus, steady).unwrap().first() {
            return series["value"][0].as_f64().unwrap();
        }
        assert!(Instant::now() < end, "scrapes fail again and again");
        // There is no event to wait for in another program.
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Keeps a picture of the whole dashboard.
async fn take(browser: &Browser, file: &std::path::Path) {
    let height = "return document.getElementById('board').offsetHeight";
    browser.size(WIDTH, browser.run(height).await, 1).await;
    let picture = browser.client.screenshot().await.unwrap();
    fs::write(file, picture).unwrap();
}

/// What is wrong with a panel as it is drawn, unless it is one of those that may be empty.
pub(super) fn of_drawn(drawn: &Drawn, rightly_empty: &[(&str, &str)]) -> Vec<String> {
    let title = &drawn.title;
    let mut faults = Vec::new();
    if let Some(error) = &drawn.error {
        faults.push(format!("{title}: {error}"));
    }
    let may_be_empty = is_listed(rightly_empty, title);
    if drawn.series.is_empty() && !may_be_empty {
        faults.push(format!("{title} is empty"));
    }
    if drawn.is_title_clipped {
        faults.push(format!("{title}: its title has no room"));
    }
    if drawn.is_beyond_panel {
        faults.push(format!("{title} is drawn over what is below it"));
    }
    for text in &drawn.clipped {
        faults.push(format!("{title}: `{text}` has no room"));
    }
    // Nothing that is computed comes out as no number.
    for word in ["NaN", "Infinity", "[object"] {
        if drawn.text.contains(word) {
            faults.push(format!("{title} shows {word}"));
        }
    }
    if drawn.text.to_lowercase().contains("no data") && !may_be_empty {
        faults.push(format!("{title} shows that there is no data"));
    }
    let beyond = drawn.series.iter().filter_map(|series| {
        let beyond = beyond_unit(title, series)?;
        Some(format!("{title}, {}: {beyond}", series.name))
    });
    faults.extend(beyond);
    faults
}

/// Whether a title is one of a list, which has how titles begin or end.
pub(super) fn is_listed(list: &[(&str, &str)], title: &str) -> bool {
    list.iter()
        .any(|(part, _)| title.starts_with(part) || title.ends_with(part))
}

/// What is wrong with numbers of a unit: a share beyond the whole, a time in the past, fewer than no bytes.
fn beyond_unit(title: &str, series: &Series) -> Option<String> {
    let (least, most) = (series.least?, series.most?);
    let listed = |list| is_listed(list, title) || is_listed(list, &series.name);
    let (lowest, highest) = match series.unit.as_str() {
        "percentunit" if !listed(BEYOND_A_WHOLE) => (-1.0, 1.0),
        "s" if listed(BEFORE_NOW) => (-LONGEST, LONGEST),
        "s" => (0.0, LONGEST),
        "bytes" | "Bps" | "cps" => (0.0, f64::MAX),
        // A hundredth of a percent each.
        "suffix: bps" => (-10_000.0, 10_000.0),
        _ => (f64::MIN, f64::MAX),
    };
    // What is computed from rates may be off in the last digits.
    let slack = 1e-9;
    let within = lowest - slack <= least && most <= highest + slack;
    (!within).then(|| format!("{least} to {most} in `{}`", series.unit))
}

#[test]
fn numbers_beyond_their_unit_are_found() {
    let found = |title: &str, unit: &str, least: f64, most: f64| {
        let series = Series {
            name: "one".to_owned(),
            unit: unit.to_owned(),
            least: Some(least),
            most: Some(most),
        };
        beyond_unit(title, &series).is_some()
    };
    assert!(found("Win ratio", "percentunit", 0.0, 1.12));
    assert!(!found("Drawdown", "percentunit", -0.3, 0.0));
    assert!(!found("CPU by process", "percentunit", 0.0, 1.7));
    assert!(found("Opens in", "s", -45.0, 3.0));
    assert!(found("Age", "s", 0.0, 25.0 * 365.25 * 86_400.0));
    assert!(!found("Offset", "s", -0.2, 0.1));
    assert!(found("Memory", "bytes", -1.0, 0.0));
    assert!(found("Orders", "cps", -0.1, 0.0));
    assert!(found("Slippage", "suffix: bps", 0.0, 12_000.0));
    assert!(!found("Value", "locale", -5e9, 5e9));
}

/// Serves the page and the dashboards of a folder on a free port of this machine.
async fn serve(page: PathBuf, boards: PathBuf) -> String {
    let answer = move |Path(path): Path<String>| {
        let file = match path.strip_prefix("dashboards/") {
            Some(board) => boards.join(board),
            None => page.join(&path),
        };
        async move { file_of(&file) }
    };
    let root = answer.clone();
    let router = Router::new()
        .route(
            "/",
            axum::routing::get(move || root(Path("index.html".to_owned()))),
        )
        .route("/{*path}", axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn file_of(file: &std::path::Path) -> impl IntoResponse + use<> {
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        // A browser takes no style that is not called one.
        Some("css") => "text/css",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    match fs::read(file) {
        Ok(bytes) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], bytes),
        Err(_) => (
            StatusCode::NOT_FOUND,
            [(header::CONTENT_TYPE, kind)],
            Vec::new(),
        ),
    }
}
