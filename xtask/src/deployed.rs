//! The queries of what is deployed and documented here.

use obs_verify::queries::{self as read, Query};

use crate::error::Error;

/// Where rules, dashboards and documents are, from the workspace's directory.
pub(crate) const RULES: &str = "deploy/prometheus/rules";
pub(crate) const DASHBOARDS: &str = "deploy/grafana/dashboards";
pub(crate) const ROUTING: &str = "deploy/alertmanager";
const DOCS: &str = "docs";
/// Its queries are of metrics that its reader declares; `tests/getting_started.rs` asks a Prometheus for them.
const OF_THE_READER: &str = "GETTING_STARTED.md";

/// All queries of the workspace.
pub(crate) fn queries() -> Result<Vec<Query>, Error> {
    let mut queries = rules()?;
    for (folder, extension) in [(DASHBOARDS, "json"), (DOCS, "md")] {
        queries.extend(of(folder, extension)?);
    }
    Ok(queries)
}

/// The queries of all rules.
pub(crate) fn rules() -> Result<Vec<Query>, Error> {
    of(RULES, "yml")
}

/// The files of a folder of the workspace with an extension, by name, and what is in them.
pub(crate) fn files(folder: &str, extension: &str) -> Result<Vec<(String, String)>, Error> {
    let workspace = obs_tests::tools::workspace();
    Ok(read::files(&workspace, folder, extension)?)
}

fn of(folder: &str, extension: &str) -> Result<Vec<Query>, Error> {
    let mut queries = Vec::new();
    for (file, text) in files(folder, extension)? {
        if file.ends_with(OF_THE_READER) {
            continue;
        }
        queries.extend(read::of_file(&file, &text)?);
    }
    Ok(queries)
}
