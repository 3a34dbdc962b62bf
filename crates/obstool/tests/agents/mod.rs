//! What the tests of `obstool agent` share.

use std::path::Path;
use std::process::Command;

use obs_exposition::Exposition;
use obs_tests::Process;

/// An agent of a file or a folder with these arguments, and where it serves metrics.
pub(crate) fn agent(place: &Path, arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
    command
        .args(["agent", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .arg(place);
    let mut agent = Process::start(&mut command).unwrap();
    let url = agent
        .wait_for("where it serves", |line| {
            line.starts_with("http://").then(|| line.trim().to_owned())
        })
        .unwrap();
    (agent, url)
}

/// What the agent serves, read strictly.
pub(crate) fn scrape(url: &str) -> Exposition {
    let text = obs_tests::scrape(url).unwrap();
    obs_exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
