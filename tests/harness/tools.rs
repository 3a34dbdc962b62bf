//! Where the programs from outside are, and how they get there.
//!
//! What is one program is unpacked from its Debian package, not installed, Python packages live in an environment of
//! their own, and npm's in a folder of theirs: all of that lies in `target/test-tools`, and `cargo clean` takes it away. Only the database servers, which
//! bring libraries of their own, and the Alertmanager's templates, which have one place, are installed where they are missing
//! and the user may.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// What Python reads with: our expositions, our dashboards by Grafana's schema, our compose file by its specification, and our
/// manifests by the schemas of Kubernetes and of the Prometheus operator.
const PYTHON_PACKAGES: [&str; 5] = [
    "prometheus_client==0.26.0",
    // The epoch is the SDK's own date, and what follows it the Grafana whose schema this is.
    "grafana-foundation-sdk==1769699379!11.6.0",
    "compose-spec==0.2.1",
    "kubernetes-validate==1.37.0",
    // The last that Python 3.11 can have.
    "cloudcoil-models-prometheus-operator==0.80.1.0",
];

/// The versions of Grafana whose types, which Grafana itself publishes, the dashboards are held against.
pub const GRAFANA_VERSIONS: [&str; 2] = ["12.4.11", "13.2.3"];
/// What holds them against it.
const TYPESCRIPT: &str = "typescript@6.0.3";

const UNPACK_REPAIR: &str = "install Prometheus, its Alertmanager and its Pushgateway, and VictoriaMetrics (Debian and Ubuntu: \
    `apt-get install prometheus prometheus-alertmanager prometheus-pushgateway victoria-metrics`), so that they are on the PATH";
const SERVERS_REPAIR: &str = "install Redis, PostgreSQL, curl, and Chromium with its driver \
    (Debian and Ubuntu: `apt-get install redis-server postgresql curl chromium chromium-driver`, as root)";
const PYTHON_REPAIR: &str = "install Python 3.11 or later with its venv module \
    (Debian and Ubuntu: `apt-get install python3-venv`)";

const NPM_REPAIR: &str =
    "install Node.js 18 or later with npm (Debian and Ubuntu: `apt-get install nodejs npm`)";

/// Where Debian's Alertmanager looks for its templates, wherever it stands itself.
const ALERTMANAGER_TEMPLATES: &str = "/usr/share/prometheus/alertmanager";

/// The servers that tests start, and the client that the guides ask with: a program of each, and Debian's package of it.
const SERVERS: [(&str, &str); 5] = [
    ("redis-server", "redis-server"),
    ("pg_ctl", "postgresql"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("curl", "curl"),
];

/// The directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Prometheus' `promtool`.
pub fn promtool() -> Result<PathBuf, Error> {
    unpacked("prometheus", "promtool")
}

/// Prometheus itself.
pub fn prometheus() -> Result<PathBuf, Error> {
    unpacked("prometheus", "prometheus")
}

/// The Alertmanager, which Debian calls `prometheus-alertmanager`.
pub fn alertmanager() -> Result<PathBuf, Error> {
    let debian = unpacked("prometheus-alertmanager", "prometheus-alertmanager");
    match debian {
        Ok(debian) if Path::new(ALERTMANAGER_TEMPLATES).is_dir() => Ok(debian),
        _ => unpacked("prometheus-alertmanager", "alertmanager"),
    }
}

/// The Alertmanager's `amtool`.
pub fn amtool() -> Result<PathBuf, Error> {
    unpacked("prometheus-alertmanager", "amtool")
}

/// The driver of Chromium, the browser that pages are tested in.
pub fn chromedriver() -> Result<PathBuf, Error> {
    let driver = PathBuf::from("chromedriver");
    let is_there = answers(&driver) && is_installed("chromium");
    is_there.then_some(driver).ok_or(Error::Missing {
        program: "chromedriver, or Chromium",
    })
}

/// The Pushgateway, which Debian calls `prometheus-pushgateway`.
pub fn pushgateway() -> Result<PathBuf, Error> {
    let debian = unpacked("prometheus-pushgateway", "prometheus-pushgateway");
    debian.or_else(|_| unpacked("prometheus-pushgateway", "pushgateway"))
}

/// Valgrind, ready to be given arguments. No test needs it, so that it is fetched here, where it is missing.
pub fn valgrind() -> Result<Command, Error> {
    let installed = Path::new("valgrind");
    if answers(installed) {
        return Ok(Command::new(installed));
    }
    let unpacked = directory().join("valgrind/usr");
    let program = unpacked.join("bin/valgrind");
    if !program.is_file() {
        unpack("valgrind")?;
    }
    let mut valgrind = Command::new(program);
    // Where it would look for its tools is where it would be installed.
    valgrind.env("VALGRIND_LIB", unpacked.join("libexec/valgrind"));
    Ok(valgrind)
}

/// `VictoriaMetrics`.
pub fn victoria_metrics() -> Result<PathBuf, Error> {
    unpacked("victoria-metrics", "victoria-metrics")
}

/// `VictoriaMetrics`' agent.
pub fn vmagent() -> Result<PathBuf, Error> {
    unpacked("victoria-metrics", "vmagent")
}

/// What evaluates rules for `VictoriaMetrics`.
pub fn vmalert() -> Result<PathBuf, Error> {
    unpacked("victoria-metrics", "vmalert")
}

/// A Grafana on the `PATH`; none where there is none. Debian has no package of it, and nothing here needs one.
#[must_use]
pub fn grafana() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["grafana", "grafana-server"];
    let mut candidates =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    candidates.find(|program| program.is_file())
}

/// A program of a Debian package: the one that was unpacked, or else the one on the `PATH`.
fn unpacked(package: &str, program: &'static str) -> Result<PathBuf, Error> {
    let unpacked = directory().join(package).join("usr/bin").join(program);
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let installed = PathBuf::from(program);
    answers(&installed)
        .then_some(installed)
        .ok_or(Error::Missing { program })
}

/// A Python that has the packages the tests read with.
pub fn python() -> Result<PathBuf, Error> {
    let python = environment().join("bin/python");
    let has = |package: &&str| environment().join(package).exists();
    if answers(&python) && PYTHON_PACKAGES.iter().all(has) {
        Ok(python)
    } else {
        Err(Error::Missing {
            program: "Python with the packages of the tests",
        })
    }
}

/// The script of TypeScript's compiler, which `node` runs.
pub fn typescript() -> Result<PathBuf, Error> {
    let compiler = npm_packages().join("typescript/bin/tsc");
    compiler
        .is_file()
        .then_some(compiler)
        .ok_or(Error::Missing {
            program: "TypeScript",
        })
}

/// The types of one of [`GRAFANA_VERSIONS`]: the folder that has `index.d.ts`.
pub fn grafana_types(version: &str) -> Result<PathBuf, Error> {
    let types = npm_packages().join(npm_alias(version)).join("dist/types");
    types.is_dir().then_some(types).ok_or(Error::Missing {
        program: "Grafana's types",
    })
}

/// The library that shows a process another time than its machine's: preloaded, it reads the offset from a file.
pub fn faketime() -> Result<PathBuf, Error> {
    // Debian keeps libraries in a folder for each kind of machine.
    let of_machines = directory().join("libfaketime/usr/lib");
    let of_machines = of_machines.read_dir().into_iter().flatten().flatten();
    of_machines
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
        .ok_or(Error::Missing {
            program: "libfaketime",
        })
}

/// Fetches what is missing; does nothing where all is there. Says what it does on standard error.
pub fn install() -> Result<(), Error> {
    if promtool().is_err() || prometheus().is_err() {
        unpack("prometheus")?;
    }
    if alertmanager().is_err() || amtool().is_err() {
        unpack("prometheus-alertmanager")?;
        install_templates()?;
    }
    if pushgateway().is_err() {
        unpack("prometheus-pushgateway")?;
    }
    if faketime().is_err() {
        unpack("libfaketime")?;
    }
    if victoria_metrics().is_err() || vmagent().is_err() || vmalert().is_err() {
        unpack("victoria-metrics")?;
    }
    if python().is_err() {
        install_python()?;
    }
    if typescript().is_err() {
        install_npm_packages()?;
    }
    install_servers()
}

fn directory() -> PathBuf {
    workspace().join("target/test-tools")
}

fn environment() -> PathBuf {
    directory().join("python")
}

/// Called after what is in it, so that other versions are another folder.
fn npm() -> PathBuf {
    let versions = GRAFANA_VERSIONS.join("-");
    directory().join(format!("npm-{TYPESCRIPT}-grafana-{versions}"))
}

fn npm_packages() -> PathBuf {
    npm().join("node_modules")
}

/// Several versions of one package live beside each other under names of their own.
fn npm_alias(version: &str) -> String {
    format!("grafana-schema-{version}")
}

fn answers(program: &Path) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Unpacks a package of Debian's. Its service is neither installed nor started.
fn unpack(package: &'static str) -> Result<(), Error> {
    eprintln!("fetching Debian's package `{package}`, unpacked under target/test-tools");
    let target = directory();
    create(&target)?;
    let failed = |reason| Error::CannotInstall {
        program: package,
        reason,
        repair: UNPACK_REPAIR,
    };
    let mut download = Command::new("apt-get");
    download
        .args(["-q", "download", package])
        .current_dir(&target);
    if run(&mut download).is_err() {
        // A machine that has never fetched the package lists knows of no package.
        run(Command::new("apt-get").args(["-q", "update"])).map_err(failed)?;
        run(&mut download).map_err(failed)?;
    }
    let archive = newest_package(&target, package)?;
    let unpacked = target.join(package);
    run(Command::new("dpkg-deb").arg("-x").args([archive, unpacked])).map_err(failed)
}

/// Puts the Alertmanager's templates where it looks for them. Without them it does not start.
fn install_templates() -> Result<(), Error> {
    let target = Path::new(ALERTMANAGER_TEMPLATES);
    if target.is_dir() {
        return Ok(());
    }
    let failed = |reason| Error::CannotInstall {
        program: "the templates of prometheus-alertmanager",
        reason,
        repair: UNPACK_REPAIR,
    };
    let unpacked = directory().join("prometheus-alertmanager/usr/share/prometheus/alertmanager");
    run(Command::new("mkdir").arg("-p").args(target.parent())).map_err(failed)?;
    run(Command::new("cp").arg("-r").arg(unpacked).arg(target)).map_err(failed)
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
        program: "the servers that tests start, or curl",
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

/// Whether a program is on the `PATH`, or where Debian keeps those of `PostgreSQL`.
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

/// The archive of a package, whose name goes on with an underscore and the version.
fn newest_package(directory: &Path, package: &str) -> Result<PathBuf, Error> {
    let list = || Error::system(format!("list {}", directory.display()));
    let mut packages = Vec::new();
    for entry in directory.read_dir().map_err(list())? {
        let path = entry.map_err(list())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&format!("{package}_")) && name.ends_with(".deb") {
            packages.push(path);
        }
    }
    packages.sort();
    packages.pop().ok_or(Error::Missing {
        program: "the package that was downloaded",
    })
}

fn install_python() -> Result<(), Error> {
    eprintln!(
        "making a Python environment with {} under target/test-tools",
        PYTHON_PACKAGES.join(", ")
    );
    let environment = environment();
    create(&directory())?;
    let failed = |reason| Error::CannotInstall {
        program: "the Python packages of the tests",
        reason,
        repair: PYTHON_REPAIR,
    };
    let mut venv = Command::new("python3");
    run(venv.args(["-m", "venv"]).arg(&environment)).map_err(failed)?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"])
        .args(PYTHON_PACKAGES);
    run(&mut pip).map_err(failed)?;
    // Written last: an environment that was left half made does not count, nor one of other versions.
    for package in PYTHON_PACKAGES {
        let mark = environment.join(package);
        std::fs::write(&mark, "").map_err(Error::system(format!("write {}", mark.display())))?;
    }
    Ok(())
}

fn install_npm_packages() -> Result<(), Error> {
    let mut packages = vec![TYPESCRIPT.to_owned()];
    packages.extend(
        GRAFANA_VERSIONS
            .map(|version| format!("{}@npm:@grafana/schema@{version}", npm_alias(version))),
    );
    eprintln!(
        "fetching {} from npm, kept under target/test-tools",
        packages.join(", ")
    );
    create(&directory())?;
    // Filled elsewhere and put in its place whole: what is there is complete, and whoever comes second leaves it.
    let place = npm();
    let filled = tempfile::tempdir_in(directory()).map_err(Error::system("make a folder"))?;
    let failed = |reason| Error::CannotInstall {
        program: "the npm packages of the tests",
        reason,
        repair: NPM_REPAIR,
    };
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save"])
        .args(["--ignore-scripts", "--prefix"])
        .arg(filled.path())
        .args(packages)
        .current_dir(filled.path());
    run(&mut npm).map_err(failed)?;
    match std::fs::rename(filled.path(), &place) {
        Err(_) if place.is_dir() => Ok(()),
        renamed => renamed.map_err(Error::system(format!("fill {}", place.display()))),
    }
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
