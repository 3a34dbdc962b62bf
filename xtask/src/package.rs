//! `cargo xtask package`: every crate compiles from its package, where nothing of this workspace is beside it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::features;
use crate::members::{self, Member};
use crate::shell::{cargo, run, shown};

/// Where packages are made, from the workspace's directory.
const PACKED: &str = "target/packages";
/// Where they are unpacked.
const UNPACKED: &str = "target/packages/unpacked";

/// Pack every crate, and compile each from the packages alone
///
/// `cargo package` itself would compile each with the others from crates.io, because crates that are not published are not taken
/// from the packages that it makes.
#[derive(clap::Args)]
pub(crate) struct Package {}

impl Package {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let crates = members::crates()?;
        pack(&crates)?;
        unpack(&crates)?;
        for member in &crates {
            let mut check = cargo(["check", "--quiet", "--target-dir", features::TARGET]);
            // What it depends on is checked there already, in the features that it asks for.
            check.env("RUSTFLAGS", features::FLAGS);
            check.args(["--manifest-path", &format!("{UNPACKED}/Cargo.toml")]);
            check.args(["--package", &member.name]);
            eprintln!("{}", shown(&check));
            run(&mut check)?;
        }
        Ok(true)
    }
}

fn pack(crates: &[Member]) -> Result<(), Error> {
    let mut package = cargo([
        "package",
        "--quiet",
        "--allow-dirty",
        "--target-dir",
        PACKED,
    ]);
    // A lock file would have to know where each of our crates comes from.
    package.args(["--no-verify", "--exclude-lockfile"]);
    package.args(crates.iter().flat_map(|member| ["--package", &member.name]));
    eprintln!("{}", shown(&package));
    run(&mut package)
}

/// Makes a workspace of what is in the packages, with the versions of dependencies that this one has.
fn unpack(crates: &[Member]) -> Result<(), Error> {
    let workspace = obs_tests::tools::workspace();
    let folder = workspace.join(UNPACKED);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    for member in crates {
        let package = format!("{PACKED}/package/{}-{}.crate", member.name, member.version);
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--file"])
            .arg(workspace.join(package))
            .arg("--directory")
            .arg(&folder);
        run(&mut tar)?;
    }
    let manifest = folder.join("Cargo.toml");
    fs::write(&manifest, manifest_of(crates)).map_err(failed("write", &manifest))?;
    let lock = workspace.join("Cargo.lock");
    fs::copy(&lock, folder.join("Cargo.lock")).map_err(failed("copy", &lock))?;
    Ok(())
}

/// The manifest of a workspace in which our crates depend on each other's packages.
fn manifest_of(crates: &[Member]) -> String {
    let (mut members, mut patches) = (String::new(), String::new());
    for Member { name, version, .. } in crates {
        // Writing to a string cannot fail.
        let _ = write!(members, "\"{name}-{version}\", ");
        let _ = writeln!(patches, "{name} = {{ path = \"{name}-{version}\" }}");
    }
    format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}")
}

/// For `map_err`: what could not be done with a path.
fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = PathBuf::from(path);
    move |source| Error::File { verb, path, source }
}
