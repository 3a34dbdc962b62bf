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
    once(package, "--bin", package)?;
    Ok(folder()?.join(package))
}

/// An example of a package, which is built the first time.
pub fn built_example(package: &str, name: &str) -> Result<PathBuf, Error> {
    once(package, "--example", name)?;
    Ok(folder()?.join("examples").join(name))
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

/// Builds a target of a package, unless this program has done so.
fn once(package: &str, kind: &str, name: &str) -> Result<(), Error> {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(name) {
        build(package, kind, name)?;
        built.insert(name.to_owned());
    }
    Ok(())
}

/// Builds it from what is compiled already, with dependencies in the features that they have there.
///
/// Which features a dependency has depends on the packages that are selected: `--package trading-desk` alone would have a hundred
/// crates compiled once more. In tests of the whole workspace, and in programs that these have built, they are those of
/// `cargo test --workspace`; otherwise those of `cargo xtask`. Programs lie in one place whatever the features, so a test and an
/// xtask that it runs have to select alike, or they would replace each other's.
fn build(package: &str, kind: &str, name: &str) -> Result<(), Error> {
    let mut cargo = cargo();
    cargo.args(["build", kind, name]);
    if cfg!(feature = "whole-workspace") {
        cargo.args(["--workspace", "--example", WITH_THE_FEATURES_OF_TESTS]);
    } else {
        cargo.args(["--package", package]);
        // The tests of a package have its examples built with features of its own.
        if kind == "--bin" {
            cargo.args(["--package", "xtask"]);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(Error::system("run cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        program: format!("cargo build {kind} {name}"),
        status,
    })
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
