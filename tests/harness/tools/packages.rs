//! What the tests use from the package indexes of Python and npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{answers, directory, run, test_tools};
use crate::Error;

/// What Python reads our expositions with, our dashboards by Grafana's schema, our compose file by its specification and our
/// manifests by the schemas of Kubernetes and of the Prometheus operator; calendars that ours are compared with; and OTLP.
const PYTHON_PACKAGES: [&str; 8] = [
    "prometheus_client==0.26.0",
    // The epoch is the SDK's own date, and what follows it the Grafana whose schema this is.
    "grafana-foundation-sdk==1769699379!11.6.0",
    "compose-spec==0.2.1",
    "kubernetes-validate==1.37.0",
    // The last that Python 3.11 can have.
    "cloudcoil-models-prometheus-operator==0.80.1.0",
    "exchange_calendars==4.13.2",
    "pandas_market_calendars==5.5.0",
    "opentelemetry-proto==1.45.2",
];

/// The versions of Grafana whose types, which Grafana itself publishes, the dashboards are held against.
pub const GRAFANA_VERSIONS: [&str; 2] = ["12.4.11", "13.2.3"];
/// What holds them against it.
const TYPESCRIPT: &str = "typescript@6.0.3";

/// The types of Perses' dashboards and of the options of its panels, all of the time of Perses 0.52.
const PERSES: [&str; 8] = [
    "@perses-dev/core@0.52.0",
    "@perses-dev/bar-chart-plugin@0.10.0",
    "@perses-dev/heatmap-chart-plugin@0.3.0",
    "@perses-dev/prometheus-plugin@0.53.4",
    "@perses-dev/stat-chart-plugin@0.10.0",
    "@perses-dev/status-history-chart-plugin@0.9.1",
    "@perses-dev/table-plugin@0.8.1",
    "@perses-dev/timeseries-chart-plugin@0.10.2",
];

/// What looks for what keeps people from using the live page (MPL-2.0), never shipped.
const AXE: &str = "axe-core@4.14.1";

/// What dashboards are drawn with in tests, never shipped: Grafana's own components (Apache-2.0), and what builds a page of them.
const DRAWING: [&str; 7] = [
    "@grafana/data@11.6.16",
    "@grafana/schema@11.6.16",
    "@grafana/ui@11.6.16",
    "@vitejs/plugin-react@6.3.0",
    "react@18.3.1",
    "react-dom@18.3.1",
    "vite@8.4.0",
];

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

/// The script that a page is checked with for accessibility.
pub fn axe() -> Result<PathBuf, Error> {
    let script = axe_packages().join("node_modules/axe-core/axe.min.js");
    script.is_file().then_some(script).ok_or(Error::Missing {
        program: "axe-core",
    })
}

fn axe_packages() -> PathBuf {
    test_tools().join(format!("npm-{AXE}"))
}

/// The types of one of [`GRAFANA_VERSIONS`]: the folder that has `index.d.ts`.
pub fn grafana_types(version: &str) -> Result<PathBuf, Error> {
    let types = npm_packages().join(npm_alias(version)).join("dist/types");
    types.is_dir().then_some(types).ok_or(Error::Missing {
        program: "Grafana's types",
    })
}

/// The folder of the packages that have Perses' types.
pub fn perses_types() -> Result<PathBuf, Error> {
    let packages = perses().join("node_modules");
    packages.is_dir().then_some(packages).ok_or(Error::Missing {
        program: "Perses' types",
    })
}

/// Called after the version of what has the types of a dashboard.
fn perses() -> PathBuf {
    test_tools().join(format!("npm-{}", PERSES[0].replace(['@', '/'], "-")))
}

fn environment() -> PathBuf {
    test_tools().join("python")
}

/// Called after what is in it, so that other versions are another folder.
fn npm() -> PathBuf {
    let versions = GRAFANA_VERSIONS.join("-");
    test_tools().join(format!("npm-{TYPESCRIPT}-grafana-{versions}"))
}

fn npm_packages() -> PathBuf {
    npm().join("node_modules")
}

/// Several versions of one package live beside each other under names of their own.
fn npm_alias(version: &str) -> String {
    format!("grafana-schema-{version}")
}

/// Makes the environment of Python. Needs a Python with its module venv.
pub(super) fn install_python() -> Result<(), String> {
    let packages = PYTHON_PACKAGES.join(", ");
    eprintln!("making a Python environment with {packages} under target/test-tools");
    directory()?;
    let environment = environment();
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"])
        .args(PYTHON_PACKAGES);
    run(&mut pip)?;
    // Written last: an environment that was left half made does not count, nor one of other versions.
    for package in PYTHON_PACKAGES {
        let mark = environment.join(package);
        std::fs::write(&mark, "").map_err(cannot("write", &mark))?;
    }
    Ok(())
}

/// Called after the version of what draws.
fn drawing() -> PathBuf {
    test_tools().join(format!("npm-{}", DRAWING[2].replace(['@', '/'], "-")))
}

/// Builds the page that draws dashboards from its sources; the folder that a browser is served.
pub fn boards_page(sources: &Path) -> Result<PathBuf, Error> {
    let vite = drawing().join("node_modules/vite/bin/vite.js");
    if !vite.is_file() {
        return Err(Error::Missing {
            program: "Grafana's components",
        });
    }
    for name in ["index.html", "vite.config.js", "main.jsx", "scroll.js"] {
        let source = sources.join(name);
        std::fs::copy(source, drawing().join(name)).map_err(Error::system("copy the page"))?;
    }
    let mut build = Command::new("node");
    build
        .arg(vite)
        .args(["build", "--logLevel", "error"])
        .current_dir(drawing());
    run(&mut build).map_err(|reason| Error::Nonsense {
        program: "vite",
        answer: reason,
    })?;
    Ok(drawing().join("dist"))
}

/// Fetches Grafana's components, some 600 MB. Needs npm.
pub(super) fn install_drawing() -> Result<(), String> {
    if drawing().is_dir() {
        return Ok(());
    }
    install_from_npm(&DRAWING.map(str::to_owned), &[], &drawing())
}

/// Fetches TypeScript and Grafana's types. Needs npm.
pub(super) fn install_npm() -> Result<(), String> {
    let mut packages = vec![TYPESCRIPT.to_owned()];
    packages.extend(
        GRAFANA_VERSIONS
            .map(|version| format!("{}@npm:@grafana/schema@{version}", npm_alias(version))),
    );
    install_from_npm(&packages, &[], &npm())
}

/// Fetches Perses' types without what would draw by them. Needs npm.
pub(super) fn install_perses() -> Result<(), String> {
    let without_peers = ["--legacy-peer-deps"];
    install_from_npm(&PERSES.map(str::to_owned), &without_peers, &perses())
}

/// Fetches axe-core. Needs npm.
pub(super) fn install_axe() -> Result<(), String> {
    install_from_npm(&[AXE.to_owned()], &[], &axe_packages())
}

fn install_from_npm(packages: &[String], options: &[&str], place: &Path) -> Result<(), String> {
    eprintln!(
        "fetching {} from npm, kept under target/test-tools",
        packages.join(", ")
    );
    // Filled elsewhere and put in its place whole: what is there is complete, and who comes second leaves it.
    let folder = directory()?;
    let filled = tempfile::tempdir_in(&folder).map_err(cannot("make a folder in", &folder))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save"])
        .args(options)
        .args(["--ignore-scripts", "--prefix"])
        .arg(filled.path())
        .args(packages)
        .current_dir(filled.path());
    run(&mut npm)?;
    match std::fs::rename(filled.path(), place) {
        Err(_) if place.is_dir() => Ok(()),
        renamed => renamed.map_err(cannot("fill", place)),
    }
}

/// For `map_err`: what could not be done with a path.
fn cannot(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("cannot {verb} {path}: {error}")
}
