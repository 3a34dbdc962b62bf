//! Debian's packages, by `apt-get`: some are installed, some only unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{directory, run};

/// How long another `apt-get` is waited for. A fresh machine in a cloud first installs its own updates, which takes minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// Installs packages with what they depend on. Needs root.
pub(super) fn install(packages: &[&str]) -> Result<(), String> {
    eprintln!("installing Debian's packages {}", packages.join(", "));
    let mut install = apt_get(["install", "--yes", "--no-install-recommends"]);
    install
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    with_current_lists(&mut install)
}

/// Unpacks packages, each into the folder of its name under `target/test-tools`. Their services are neither installed nor started.
pub(super) fn unpack(packages: &[&str]) -> Result<(), String> {
    eprintln!(
        "fetching Debian's packages {}, unpacked under target/test-tools",
        packages.join(", ")
    );
    // A folder of its own, so that no archive of an earlier version is taken for the one that was just fetched.
    let fetched = tempfile::tempdir_in(directory()?).map_err(|error| error.to_string())?;
    let mut download = apt_get(["download"]);
    download.args(packages).current_dir(fetched.path());
    with_current_lists(&mut download)?;
    for package in packages {
        let mut unpack = Command::new("dpkg-deb");
        unpack
            .arg("--extract")
            .arg(archive(fetched.path(), package)?);
        run(unpack.arg(directory()?.join(package)))?;
    }
    Ok(())
}

/// The archive of a package, whose name continues with an underscore and the version.
fn archive(folder: &Path, package: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let start = format!("{package}_");
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&start)
    };
    let mut archives = entries.flatten().map(|entry| entry.path());
    archives
        .find(is_it)
        .ok_or_else(|| format!("`apt-get download` fetched no archive of {package}"))
}

fn apt_get<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new("apt-get");
    // In English, because its messages are read.
    command.arg("-q").args(arguments).env("LC_ALL", "C");
    command
}

/// Runs `apt-get`; where it fails, once more with fresh package lists: a new machine has none, an old one has outdated ones.
fn with_current_lists(command: &mut Command) -> Result<(), String> {
    if when_unlocked(command).is_ok() {
        return Ok(());
    }
    when_unlocked(&mut apt_get(["update"]))?;
    when_unlocked(command)
}

/// Runs `apt-get`, after waiting for another one that holds its locks. Its own option `DPkg::Lock::Timeout` covers only dpkg's
/// lock, not those of the package lists and of the archives.
fn when_unlocked(command: &mut Command) -> Result<(), String> {
    let start = Instant::now();
    let mut is_announced = false;
    loop {
        match run(command) {
            Err(said) if is_locked(&said) && start.elapsed() < PATIENCE => {
                if !is_announced {
                    eprintln!("waiting for another process that is installing packages");
                    is_announced = true;
                }
                thread::sleep(Duration::from_secs(1));
            }
            done => return done,
        }
    }
}

/// Whether `apt-get` failed because another process holds one of its locks. Whom the system forbids to lock gets another message.
fn is_locked(said: &str) -> bool {
    said.contains("Could not get lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lock_that_another_process_holds_is_waited_for() {
        for held in [
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (apt-get)",
            "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 71 (python3)",
            "E: Could not get lock /var/cache/apt/archives/lock - open (11: Resource temporarily unavailable)",
        ] {
            assert!(is_locked(held), "{held}");
        }
        for other in [
            "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)",
            "E: Unable to locate package redis-server",
        ] {
            assert!(!is_locked(other), "{other}");
        }
    }

    #[test]
    fn the_archive_of_a_package_is_not_that_of_one_whose_name_begins_alike() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "prometheus-alertmanager_0.25_amd64.deb",
            "prometheus_2.42_amd64.deb",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = archive(folder.path(), "prometheus").unwrap();
        assert!(found.ends_with("prometheus_2.42_amd64.deb"), "{found:?}");
        assert!(archive(folder.path(), "victoria-metrics").is_err());
    }
}
