//! The dashboards that `obstool gen dashboards` makes of a service of another team, drawn as ours are: by kind and unit of whatever the
//! service declares. Its Prometheus is of the current generation and stores native histograms beside those of declared buckets, so
//! that every heat map is one of native buckets.

use std::process::Command;
use std::time::{Duration, Instant};

use obs_tests::{Quoter, ask, built, tools};

use super::drawn::{Drawing, Drawn, is_listed, of_drawn};
use super::{PATIENCE, prometheus};

/// Panels of which the service may have nothing, and why.
const RIGHTLY_EMPTY: &[(&str, &str)] = &[
    ("function_", "it has no function under an attribute"),
    ("_conflicts_total", "no name is claimed twice"),
    ("obs_memory_mapped", "its numbers are in no file"),
    ("obs_certificate_", "it has no certificate"),
];
/// How many minutes are drawn, of which the first have nothing.
const MINUTES: u32 = 2;
/// How the panels of heat maps end.
const HEAT: &str = ", heat";

/// What scrapes one service every second, with native histograms and classic ones.
fn configuration(address: &str) -> String {
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, scrape_native_histograms: true, always_scrape_classic_histograms: true }}\n\
        scrape_configs: [{{ job_name: vega, static_configs: [{{ targets: ['{address}'] }}] }}]\n"
    )
}

/// Waits until a query is answered.
fn wait_for(prometheus: &str, query: &str) {
    let end = Instant::now() + PATIENCE;
    while ask(prometheus, query).map_or(true, |answer| answer.is_empty()) {
        assert!(Instant::now() < end, "{query} has no answer");
        // There is no event to wait for in another program.
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_dashboards_are_drawn_with_native_heat_maps() {
    let folder = tempfile::tempdir().unwrap();
    let boards = folder.path().join("boards");
    let ready = || {
        let service = Quoter::with_native_histograms().unwrap();
        let address = service.url().trim_start_matches("http://");
        let program = tools::current_prometheus().unwrap();
        let (process, url) = prometheus(folder.path(), &configuration(address), &program);
        let mut obstool = Command::new(built("obstool").unwrap());
        obstool
            .args(["gen", "dashboards", service.url(), "--out"])
            .arg(&boards);
        assert!(obstool.status().unwrap().success());
        // A minute of rates, and a histogram that is native.
        wait_for(&url, "count_over_time(vega_quoting_active[5m]) > 75");
        wait_for(&url, "histogram_count(vega_quote_reaction_seconds)");
        (service, process, url)
    };
    let (_service, _process, url) = tokio::task::block_in_place(ready);
    let drawing = Drawing {
        boards: &boards,
        prometheus: &url,
        minutes: MINUTES,
        pictures: "vega",
    };
    let faults = |drawn: &Drawn| {
        let mut faults = of_drawn(drawn, RIGHTLY_EMPTY);
        let is_heat = drawn.title.ends_with(HEAT) && !is_listed(RIGHTLY_EMPTY, &drawn.title);
        if is_heat && drawn.native_cells == 0 {
            faults.push(format!("{} has no native buckets", drawn.title));
        }
        faults
    };
    assert_eq!(drawing.faults(faults).await, "");
}
