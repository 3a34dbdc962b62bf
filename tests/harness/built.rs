//! Programs of this workspace, built with the profile of the one that asks for them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::{Error, tools};

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

fn build(package: &str) -> Result<(), Error> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--package", package])
        .current_dir(tools::workspace());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(Error::system("run cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        program: format!("cargo build --package {package}"),
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
