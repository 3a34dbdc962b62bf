//! Where the programs from outside are, and how they get there.
//!
//! What is one program is unpacked from its Debian package, not installed, and Python packages live in an environment of
//! their own: all of that lies in `target/test-tools`, and `cargo clean` takes it away. Only the database servers, which
//! bring libraries of their own, are installed, where they are missing and the user may.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// The version of `prometheus_client` whose parser reads what we write.
const PROMETHEUS_CLIENT: &str = "prometheus_client==0.26.0";

const PROMTOOL_REPAIR: &str = "install promtool, which is part of Prometheus \
    (Debian and Ubuntu: `apt-get install prometheus`), so that it is on the PATH";
const SERVERS_REPAIR: &str = "install Redis and PostgreSQL \
    (Debian and Ubuntu: `apt-get install redis-server postgresql`, as root)";
const PYTHON_REPAIR: &str = "install Python 3.9 or later with its venv module \
    (Debian and Ubuntu: `apt-get install python3-venv`)";

/// The servers that tests start: a program of each, and Debian's package of it.
const SERVERS: [(&str, &str); 2] = [("redis-server", "redis-server"), ("pg_ctl", "postgresql")];

/// The directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Prometheus' `promtool`: the one that was unpacked, or else the one on the `PATH`.
pub fn promtool() -> Result<PathBuf, Error> {
    let unpacked = directory().join("prometheus/usr/bin/promtool");
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let installed = PathBuf::from("promtool");
    answers(&installed)
        .then_some(installed)
        .ok_or(Error::Missing {
            program: "promtool",
        })
}

/// A Python that has `prometheus_client`.
pub fn python() -> Result<PathBuf, Error> {
    let python = environment().join("bin/python");
    if answers(&python) && environment().join(PROMETHEUS_CLIENT).exists() {
        Ok(python)
    } else {
        Err(Error::Missing {
            program: "Python with prometheus_client",
        })
    }
}

/// Fetches what is missing; does nothing where all is there. Says what it does on standard error.
pub fn install() -> Result<(), Error> {
    if promtool().is_err() {
        install_promtool()?;
    }
    if python().is_err() {
        install_python()?;
    }
    install_servers()
}

fn directory() -> PathBuf {
    workspace().join("target/test-tools")
}

fn environment() -> PathBuf {
    directory().join("python")
}

fn answers(program: &Path) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Unpacks Debian's package. Its service is neither installed nor started.
fn install_promtool() -> Result<(), Error> {
    eprintln!("fetching promtool: Debian's package `prometheus`, unpacked under target/test-tools");
    let target = directory();
    create(&target)?;
    let failed = |reason| Error::CannotInstall {
        program: "promtool",
        reason,
        repair: PROMTOOL_REPAIR,
    };
    let mut download = Command::new("apt-get");
    download
        .args(["-q", "download", "prometheus"])
        .current_dir(&target);
    if run(&mut download).is_err() {
        // A machine that has never fetched the package lists knows of no package.
        run(Command::new("apt-get").args(["-q", "update"])).map_err(failed)?;
        run(&mut download).map_err(failed)?;
    }
    let package = newest_package(&target)?;
    let unpacked = target.join("prometheus");
    run(Command::new("dpkg-deb").arg("-x").args([package, unpacked])).map_err(failed)?;
    promtool().map(drop)
}

/// Installs the servers that are missing, all at once.
fn install_servers() -> Result<(), Error> {
    let missing = SERVERS.iter().filter(|(program, _)| !is_installed(program));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing Debian's packages {}", missing.join(" and "));
    let failed = |reason| Error::CannotInstall {
        program: "the servers that tests start",
        reason,
        repair: SERVERS_REPAIR,
    };
    let mut install = Command::new("apt-get");
    install
        .args(["-q", "install", "--yes", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive");
    if run(&mut install).is_err() {
        run(Command::new("apt-get").args(["-q", "update"])).map_err(failed)?;
        run(&mut install).map_err(failed)?;
    }
    Ok(())
}

/// Whether a program is on the `PATH`, or where Debian keeps those of PostgreSQL.
fn is_installed(program: &str) -> bool {
    let of_postgresql = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten();
    let of_postgresql = of_postgresql
        .flatten()
        .map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(of_postgresql)
        .any(|folder| folder.join(program).is_file())
}

fn newest_package(directory: &Path) -> Result<PathBuf, Error> {
    let list = || Error::system(format!("list {}", directory.display()));
    let mut packages = Vec::new();
    for entry in directory.read_dir().map_err(list())? {
        let path = entry.map_err(list())?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    packages.sort();
    packages.pop().ok_or(Error::Missing {
        program: "the package that was downloaded",
    })
}

fn install_python() -> Result<(), Error> {
    eprintln!("making a Python environment with {PROMETHEUS_CLIENT} under target/test-tools");
    let environment = environment();
    create(&directory())?;
    let failed = |reason| Error::CannotInstall {
        program: "prometheus_client",
        reason,
        repair: PYTHON_REPAIR,
    };
    let mut venv = Command::new("python3");
    run(venv.args(["-m", "venv", "--clear"]).arg(&environment)).map_err(failed)?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", PROMETHEUS_CLIENT]);
    run(&mut pip).map_err(failed)?;
    // Written last: an environment that was left half made does not count, nor one of another version.
    let mark = environment.join(PROMETHEUS_CLIENT);
    std::fs::write(&mark, "").map_err(Error::system(format!("write {}", mark.display())))
}

fn create(directory: &Path) -> Result<(), Error> {
    let what = format!("create {}", directory.display());
    std::fs::create_dir_all(directory).map_err(Error::system(what))
}

/// Runs a command to its end; what it said, if it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Err(format!("`{name}` failed ({}): {said}", output.status))
}
