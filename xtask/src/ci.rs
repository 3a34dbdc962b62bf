//! `cargo xtask ci`: what has to hold besides the tests.

use crate::error::Error;
use crate::shell::{cargo, run, shown};
use crate::verify_metrics::VerifyMetrics;

/// Check formatting, lints, documentation, the generated reference and the metrics of a running desk
#[derive(clap::Args)]
pub(crate) struct Ci {}

impl Ci {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let mut format = cargo(["fmt", "--all", "--check"]);
        let mut lints = cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]);
        let mut docs = cargo(["doc", "--workspace", "--no-deps"]);
        docs.env("RUSTDOCFLAGS", "-D warnings");
        for step in [&mut format, &mut lints, &mut docs] {
            eprintln!("\n{}", shown(step));
            run(step)?;
        }
        eprintln!("\ncargo xtask verify-metrics");
        // It checks the generated reference too.
        VerifyMetrics::default().run()
    }
}
