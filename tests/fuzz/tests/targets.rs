//! Every target, over its corpus and what comes of it.

use obs_fuzz::run;

#[test]
fn exposition() {
    run("exposition", obs_fuzz::exposition);
}

#[test]
fn memory() {
    run("memory", obs_fuzz::memory);
}

#[test]
fn render() {
    run("render", obs_fuzz::render);
}

#[test]
fn openmetrics() {
    run("openmetrics", obs_fuzz::openmetrics);
}

#[test]
fn configuration() {
    run("configuration", obs_fuzz::configuration);
}

#[test]
fn csv() {
    run("csv", obs_fuzz::csv);
}

#[test]
fn state() {
    run("state", obs_fuzz::state);
}

#[test]
fn http() {
    run("http", obs_fuzz::http);
}
