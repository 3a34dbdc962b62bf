//! Every panel as Grafana's own components draw it, in Chromium. The page that draws them is `main.jsx`, built with packages of npm
//! that `cargo xtask test --peers` fetches.

#[expect(dead_code, reason = "tests of the page do more with it")]
#[path = "../browser/mod.rs"]
mod browser;

use std::fs;
use std::path::PathBuf;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use browser::Browser;
use obs_tests::{Desk, tools};
use serde::Deserialize;

use super::{DESKS, PATIENCE, Scene, boards, panels};

/// How long a desk takes for a day.
const PACE: &str = "60ms";

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

/// Desks that trade, long enough that every panel has something.
fn trading() -> Scene {
    let start = |(environment, mode, cash)| {
        Desk::start_as(environment, mode, &["--pace", PACE, "--cash", cash]).unwrap()
    };
    let scene = Scene::set(DESKS.map(start).into());
    let filled = "count(sum by (instance) (increase(trading_orders_closed_total{outcome=\"filled\"}[5m])) > 20) == 3";
    scene.stack.wait_for(PATIENCE, filled).unwrap();
    let evaluated =
        "service:http_error_budget:burn_rate1h and service:http_error_budget:burn_rate3d";
    scene.stack.wait_for(PATIENCE, evaluated).unwrap();
    scene
}

/// What the page says of a panel it has drawn.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Drawn {
    title: String,
    error: Option<String>,
    series: usize,
    is_title_clipped: bool,
    text: String,
}

/// Every panel of every dashboard, in both schemes, with the mode that is chosen at first: live.
#[tokio::test(flavor = "multi_thread")]
async fn every_panel_is_drawn_by_grafana() {
    let page = tools::boards_page(&tools::workspace().join("tests/boards")).unwrap();
    let served = serve(page).await;
    let scene = tokio::task::spawn_blocking(trading).await.unwrap();
    let browser = Browser::start().await;
    browser.size(1600, 3600, 1).await;
    let mut faults = Vec::new();
    for (board, json) in boards() {
        let count = panels(&json).len();
        for theme in ["dark", "light"] {
            let prometheus = scene.stack.prometheus();
            browser
                .open(&format!(
                    "{served}/?d={board}&theme={theme}&min=5&prom={prometheus}"
                ))
                .await;
            let drawn: Vec<Drawn> = browser
                .until("window.report && document.body && window.report")
                .await;
            assert_eq!(drawn.len(), count, "{board}");
            faults.extend(
                drawn
                    .iter()
                    .flat_map(of_drawn)
                    .map(|fault| format!("{board}, {theme}, {fault}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with a panel as it is drawn.
fn of_drawn(drawn: &Drawn) -> Vec<String> {
    let title = &drawn.title;
    let mut faults = Vec::new();
    if let Some(error) = &drawn.error {
        faults.push(format!("{title}: {error}"));
    }
    let may_be_empty = RIGHTLY_EMPTY
        .iter()
        .any(|(begins, _)| title.starts_with(begins) || title.ends_with(begins));
    if drawn.series == 0 && !may_be_empty {
        faults.push(format!("{title} is empty"));
    }
    if drawn.is_title_clipped {
        faults.push(format!("{title}: its title has no room"));
    }
    // Nothing that is computed comes out as no number, and no age as that of a clock that differs or of another century.
    for word in ["NaN", "Infinity", "[object"] {
        if drawn.text.contains(word) {
            faults.push(format!("{title} shows {word}"));
        }
    }
    faults
}

/// Serves the page and the dashboards on a free port of this machine.
async fn serve(page: PathBuf) -> String {
    let answer = move |Path(path): Path<String>| {
        let boards = tools::workspace().join("deploy/grafana");
        let file = if path.starts_with("dashboards/") {
            boards.join(&path)
        } else {
            page.join(&path)
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
