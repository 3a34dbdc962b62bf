//! Where the exposition comes from: a desk that is started for it, or a URL.

use std::time::Duration;

use obs_tests::Process;

use crate::error::Error;
use crate::shell;

/// What was served, and where.
pub(super) struct Scrape {
    pub(super) url: String,
    pub(super) text: String,
}

/// No scrape is worth more time or memory.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The line by which the desk says where its metrics are begins with this word.
const METRICS: &str = "metrics";
/// The line by which the desk says that it has nothing left to replay.
const REPLAYED: &str = "The replay is over";

/// Fetches an exposition. Only `http`: what is to be verified runs beside this program.
pub(super) fn scrape(url: &str) -> Result<Scrape, Error> {
    let failed = |error: ureq::Error| Error::Scrape {
        url: url.to_owned(),
        reason: error.to_string(),
    };
    let get = ureq::get(url)
        .config()
        .timeout_global(Some(TIMEOUT))
        .build();
    let mut response = get.call().map_err(failed)?;
    let body = response.body_mut().with_config().limit(MOST_BYTES);
    Ok(Scrape {
        url: url.to_owned(),
        text: body.read_to_string().map_err(failed)?,
    })
}

/// Runs the desk through its whole replay, scrapes it, and has it stop.
pub(super) fn scrape_desk() -> Result<Scrape, Error> {
    let mut build = shell::cargo(["build", "--package", "trading-desk"]);
    eprintln!("{}", shell::shown(&build));
    shell::run(&mut build)?;

    eprintln!("running the desk on free ports of 127.0.0.1 until its replay is over");
    let mut desk = Process::start(
        shell::built("trading-desk")?
            .args(["--listen", "127.0.0.1:0"])
            .env("OBS_LISTEN", "127.0.0.1:0"),
    )?;
    let url = desk.wait_for("where its metrics are", |line| {
        let url = line.strip_prefix(METRICS)?.trim();
        url.starts_with("http://").then(|| url.to_owned())
    })?;
    desk.wait_for("that its replay is over", |line| {
        line.starts_with(REPLAYED).then_some(())
    })?;
    let scraped = scrape(&url)?;
    let status = desk.interrupt()?;
    if status.success() {
        Ok(scraped)
    } else {
        Err(Error::DeskStop { status })
    }
}
