//! `cargo xtask verify-metrics | gen | diff | top`: the quoter's metrics, as its code declares them.

use std::process::ExitCode;

use obs_core::CatalogueError;

fn main() -> Result<ExitCode, CatalogueError> {
    // What every exporter measures of itself is in a service's catalogue, and so in this one.
    Ok(obstool::main(&[
        vega_quoter::catalogue(),
        obs_exporter::catalogue()?,
    ]))
}
