//! Programs of this workspace, built with the profile of the one that asks for them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::{Error, tools};

/// An example that takes development dependencies, and next to no time to build.
const WITH_THE_FEATURES_OF_TESTS: &str = "health_overhead";

/// The program of a package, which is built the first time.
pub fn built(package: &str) -> Result<PathBuf, Error> {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(package) {
        build(package)?;
        built.insert(package.to_owned());
    }
    Ok(folder()?.join(package))
}

/// The cargo that runs this program, in the workspace.
///
/// A program that cargo runs has variables that describe its package. They are removed, because build scripts read some of them:
/// what these have built would be built anew for every package whose tests run cargo.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tools::workspace());
    without_package(&mut cargo);
    cargo
}

/// Removes the variables by which cargo describes the package of a program that it runs.
pub fn without_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "OUT_DIR"
        {
            command.env_remove(&name);
        }
    }
}

/// Builds it from what is compiled already, with dependencies in the features that they have there.
///
/// Which features a dependency has depends on the packages that are selected: `--package trading-desk` alone would have a hundred
/// crates compiled once more. Beside a test, they are those of `cargo test --workspace`; otherwise those of `cargo xtask`.
fn build(package: &str) -> Result<(), Error> {
    let mut cargo = cargo();
    cargo.args(["build", "--bin", package]);
    if is_test()? {
        cargo.args(["--workspace", "--example", WITH_THE_FEATURES_OF_TESTS]);
    } else {
        cargo.args(["--package", "xtask", "--package", package]);
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(Error::system("run cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        program: format!("cargo build --bin {package}"),
        status,
    })
}

/// Whether this is a test, which cargo puts among the dependencies.
fn is_test() -> Result<bool, Error> {
    let this = std::env::current_exe().map_err(Error::system("find this program"))?;
    Ok(this.with_file_name("").ends_with("deps"))
}

/// Where cargo puts them: beside this program, or one folder up where this is a test or an example.
fn folder() -> Result<PathBuf, Error> {
    let this = std::env::current_exe().map_err(Error::system("find this program"))?;
    let mut folder = this.with_file_name("");
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    Ok(folder)
}
