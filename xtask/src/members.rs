//! The members of the workspace.

use serde::Deserialize;

use crate::error::Error;
use crate::shell::{cargo, output, shown};

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) version: String,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[cfg(test)]
    name: String,
    kind: Vec<String>,
}

impl Member {
    /// Whether others can use its items.
    pub(crate) fn is_library(&self) -> bool {
        let mut kinds = self.targets.iter().flat_map(|target| &target.kind);
        kinds.any(|kind| kind == "lib" || kind == "proc-macro")
    }

    /// The names of its targets of tests, which `--test` takes.
    #[cfg(test)]
    pub(crate) fn tests(&self) -> impl Iterator<Item = &str> {
        let tests = self.targets.iter();
        let tests = tests.filter(|target| target.kind == ["test"]);
        tests.map(|target| target.name.as_str())
    }
}

/// What is in `crates`, on which other programs depend.
pub(crate) fn crates() -> Result<Vec<Member>, Error> {
    let folder = obs_tests::tools::workspace().join("crates");
    let mut crates = all()?;
    crates.retain(|member| std::path::Path::new(&member.manifest_path).starts_with(&folder));
    Ok(crates)
}

/// All of them.
pub(crate) fn all() -> Result<Vec<Member>, Error> {
    #[derive(Deserialize)]
    struct Workspace {
        packages: Vec<Member>,
    }
    let mut metadata = cargo(["metadata", "--no-deps", "--format-version", "1"]);
    let text = output(&mut metadata)?;
    let workspace: Workspace = serde_json::from_str(&text).map_err(|error| Error::Unreadable {
        file: shown(&metadata),
        reason: error.to_string(),
    })?;
    Ok(workspace.packages)
}
