//! `cargo xtask bench`: what recording, scraping and the HTTP layer cost, beside the other libraries.

use crate::error::Error;
use crate::shell::{cargo, run, shown};

/// Measure against the other libraries, and write docs/PERFORMANCE.md
///
/// Takes about ten minutes after a build; nothing else should run meanwhile.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Print an array of JSON objects, and write nothing
    #[arg(long)]
    json: bool,
    /// Measure coarsely, in less than three minutes, and write nothing
    #[arg(long)]
    quick: bool,
    /// Measure only what has this in its name (counter, histogram, gauge, labels, raw, scrape, new series, memory, unscraped, http,
    /// growth, parts), and write nothing
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let package = ["run", "--release", "--package", "obs-benches"];
        let mut bench = cargo(package);
        bench.args(["--features", "peers", "--"]);
        if self.json {
            bench.arg("--json");
        }
        if self.quick {
            bench.arg("--quick");
        }
        if let Some(only) = &self.only {
            bench.args(["--only", only]);
        }
        if !self.json && !self.quick && self.only.is_none() {
            let page = obs_tests::tools::workspace().join("docs/PERFORMANCE.md");
            bench.arg("--write").arg(page);
        }
        eprintln!("{}", shown(&bench));
        run(&mut bench)?;
        Ok(true)
    }
}
