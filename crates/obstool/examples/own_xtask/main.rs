//! The `xtask` of a team's own repository, whole: `cargo xtask verify`, `cargo xtask gen` and `cargo xtask top` know the service's
//! metrics from its code.

use std::process::ExitCode;

mod metrics;

fn main() -> ExitCode {
    obstool::main(&[metrics::catalogue()])
}
