//! `cargo xtask ci`: what has to hold besides the tests.

use crate::api::Api;
use crate::deny::Deny;
use crate::error::Error;
use crate::features::Features;
use crate::gate::Gate;
use crate::minimal::Minimal;
use crate::package::Package;
use crate::shell::{cargo, run, shown};
use crate::verify_metrics::VerifyMetrics;

/// Check formatting, lints, documentation, the generated reference, the metrics of a running desk, what recording costs,
/// features, public items, dependencies and packages
#[derive(clap::Args)]
pub(crate) struct Ci {}

impl Ci {
    /// Whether all passed. It goes through all steps whatever fails: one run is to tell all there is to repair.
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> bool {
        let mut docs = cargo(["doc", "--workspace", "--no-deps"]);
        docs.env("RUSTDOCFLAGS", "-D warnings");
        let steps = [
            cargo(["fmt", "--all", "--check"]),
            cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                // What is compiled for `cargo xtask bench` and `cargo xtask test --peers` only.
                "--features",
                "obs-benches/peers,obs-tests/peers",
                "--",
                "-D",
                "warnings",
            ]),
            docs,
        ];
        let mut passed = true;
        for mut step in steps {
            eprintln!("\n{}", shown(&step));
            passed &= told(run(&mut step).map(|()| true));
        }
        // It checks the generated reference too.
        eprintln!("\ncargo xtask verify-metrics");
        passed &= told(VerifyMetrics::default().run());
        eprintln!("\ncargo xtask gate");
        passed &= told(Gate::default().run());
        eprintln!("\ncargo xtask features");
        passed &= told((Features {}).run());
        eprintln!("\ncargo xtask minimal");
        passed &= told((Minimal {}).run());
        eprintln!("\ncargo xtask api");
        passed &= told(Api::default().run());
        eprintln!("\ncargo xtask deny");
        passed &= told(Deny::default().run());
        eprintln!("\ncargo xtask package");
        passed &= told((Package {}).run());
        passed
    }
}

/// Whether a step passed; says why not, if that was not said yet.
fn told(step: Result<bool, Error>) -> bool {
    step.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        false
    })
}
