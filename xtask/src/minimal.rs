//! `cargo xtask minimal`: every crate builds with the lowest versions that its dependencies are declared with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::shell::{cargo, output, run, shown};

/// Where the copy is. It stays, so that the next run builds less.
const COPY: &str = "target/minimal";

/// Build every crate alone with the lowest versions of its dependencies
///
/// Works on a copy of the crates without what only their tests need, whose own requirements would raise the versions. Where the
/// versions cannot be had together, cargo names the requirement that has to be raised.
#[derive(clap::Args)]
pub(crate) struct Minimal {}

impl Minimal {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let copy = obs_tests::tools::workspace().join(COPY);
        let crates = copy_crates(&copy)?;
        let mut update = cargo(["-Z", "direct-minimal-versions", "update", "--quiet"]);
        // The option is not stable; what it chooses is built as ever.
        update.env("RUSTC_BOOTSTRAP", "1").current_dir(&copy);
        eprintln!("{}", shown(&update));
        run(&mut update)?;
        let mut passed = true;
        for name in crates {
            for features in [&[][..], &["--all-features"]] {
                let mut check = cargo(["check", "--quiet", "--package", &name]);
                check.args(features).current_dir(&copy);
                eprintln!("{}", shown(&check));
                // All are tried: one run is to tell all there is to raise.
                passed &= run(&mut check).is_ok();
            }
        }
        Ok(passed)
    }
}

/// Copies the crates, as they are in the working tree, into a workspace of their own. Their names.
fn copy_crates(copy: &Path) -> Result<Vec<String>, Error> {
    let workspace = obs_tests::tools::workspace();
    let old = copy.join("crates");
    if old.exists() {
        fs::remove_dir_all(&old).map_err(file("remove", &old))?;
    }
    let mut list = std::process::Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args(["--", "Cargo.toml", "rust-toolchain.toml", "crates"])
        .current_dir(&workspace);
    let mut names = Vec::new();
    for name in output(&mut list)?.lines() {
        let (from, to) = (workspace.join(name), copy.join(name));
        if !from.exists() {
            continue;
        }
        let folder = to.parent().unwrap_or(copy);
        fs::create_dir_all(folder).map_err(file("make", folder))?;
        if !name.ends_with("Cargo.toml") {
            fs::copy(&from, &to).map_err(file("copy", &from))?;
            continue;
        }
        let manifest = fs::read_to_string(&from).map_err(file("read", &from))?;
        fs::write(&to, without_tests(&manifest)).map_err(file("write", &to))?;
        if let Some(name) = name.strip_prefix("crates/") {
            names.extend(name.strip_suffix("/Cargo.toml").map(str::to_owned));
        }
    }
    Ok(names)
}

/// A manifest without the dependencies of tests, and a workspace without members other than crates.
fn without_tests(manifest: &str) -> String {
    let mut is_for_tests = false;
    let mut kept = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_for_tests = line == "[dev-dependencies]";
        }
        if is_for_tests {
            continue;
        }
        let line = if line.starts_with("members = ") {
            "members = [\"crates/*\"]"
        } else {
            line
        };
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// For `map_err`: what could not be done with a file.
fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = PathBuf::from(path);
    move |source| Error::File { verb, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_need_is_left_out() {
        let manifest =
            "[dependencies]\na = \"1\"\n\n[dev-dependencies]\nb = \"2\"\n[features]\nc = []\n";
        assert_eq!(
            without_tests(manifest),
            "[dependencies]\na = \"1\"\n\n[features]\nc = []\n"
        );
        assert_eq!(
            without_tests("[workspace]\nmembers = [\"crates/*\", \"xtask\"]\n"),
            "[workspace]\nmembers = [\"crates/*\"]\n"
        );
    }
}
