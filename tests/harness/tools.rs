//! Where the programs from outside are, and how they get there.
//!
//! `NEEDS` is the one table of what the tests need from a Debian system. What is one program is unpacked from its package under
//! `target/test-tools`, without being installed. The rest, which brings libraries and folders of its own, is installed where it is
//! missing and the user has the right to. Packages of Python and npm have folders of their own under `target/test-tools`, too;
//! `cargo clean` removes them all.
//!
//! Prometheus, Alertmanager and `VictoriaMetrics` come in two [generations](Generation): Debian's, and today's, which are built with
//! Go where that is installed. One run of a test asks servers of one generation.

mod debian;
mod go;
mod packages;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
pub use crate::tools::packages::{
    GRAFANA_VERSIONS, axe, boards_page, grafana_types, perses_types, python, typescript,
};

/// Something that the tests need and that Debian has a package of.
struct Need {
    /// The program.
    program: &'static str,
    /// Which of it will do, where not all will.
    version: &'static str,
    /// Debian's package.
    package: &'static str,
    /// How it gets here.
    way: Way,
    /// Whether it is here.
    check: fn(&Need) -> bool,
}

/// How something gets onto a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By installing its package, as root.
    Installed,
    /// By unpacking its package under `target/test-tools`, as anybody.
    Unpacked,
}

/// What the tests need. Another program takes a row.
const NEEDS: [Need; 23] = [
    PROMETHEUS,
    ALERTMANAGER,
    Need::unpacked("pushgateway", "prometheus-pushgateway", |_| {
        pushgateway().is_ok()
    }),
    VICTORIA_METRICS,
    Need::unpacked("libfaketime", "libfaketime", |_| faketime().is_ok()),
    Need::unpacked("chronyd", "chrony", |_| chronyd().is_ok()),
    Need::installed("redis-server", "redis-server"),
    Need::installed("pg_ctl", "postgresql"),
    Need::installed("mariadb-install-db", "mariadb-server-core"),
    // It starts this one, and its package does not say so.
    Need::installed("my_print_defaults", "mariadb-client-core"),
    Need::installed("chromium", "chromium"),
    Need::installed("chromedriver", "chromium-driver"),
    Need::installed("curl", "curl"),
    Need::installed("git", "git"),
    Need::installed("kill", "procps"),
    Need::installed("bash", "bash"),
    // Every Debian has these four, other systems may not.
    Need::installed("mount", "mount"),
    Need::installed("script", "bsdutils"),
    Need::installed("umount", "mount"),
    Need::installed("unshare", "util-linux"),
    PYTHON,
    NODE,
    NPM,
];

const PROMETHEUS: Need = Need::unpacked("prometheus", "prometheus", |_| {
    debian("prometheus", "promtool").is_ok() && debian("prometheus", "prometheus").is_ok()
});
const ALERTMANAGER: Need = Need::unpacked("alertmanager", "prometheus-alertmanager", |_| {
    debian_alertmanager().is_ok() && debian("prometheus-alertmanager", "amtool").is_ok()
});
const VICTORIA_METRICS: Need = Need::unpacked("victoria-metrics", "victoria-metrics", |_| {
    let programs = ["victoria-metrics", "vmagent", "vmalert"];
    programs
        .iter()
        .all(|program| debian("victoria-metrics", program).is_ok())
});
const PYTHON: Need = Need {
    version: " (3.11 or later, with its module venv)",
    check: |python| {
        let check = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";
        succeeds(Command::new(python.program).args(["-c", check]))
    },
    ..Need::installed("python3", "python3-venv")
};
const NODE: Need = Need {
    version: " (Node.js 18 or later)",
    check: |node| {
        let check = "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)";
        succeeds(Command::new(node.program).args(["--eval", check]))
    },
    ..Need::installed("node", "nodejs")
};
const NPM: Need = Need::installed("npm", "npm");

impl Need {
    const fn installed(program: &'static str, package: &'static str) -> Self {
        Self {
            program,
            version: "",
            package,
            way: Way::Installed,
            check: |need| is_installed(need.program),
        }
    }

    const fn unpacked(
        program: &'static str,
        package: &'static str,
        check: fn(&Need) -> bool,
    ) -> Self {
        Self {
            program,
            version: "",
            package,
            way: Way::Unpacked,
            check,
        }
    }

    fn is_there(&self) -> bool {
        (self.check)(self)
    }
}

/// Which releases of the servers the tests ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Debian's, of early 2023.
    Debian,
    /// Those that `tests/servers` pins.
    Current,
}

impl Generation {
    /// The variable that chooses one: `debian`, which is what its absence means, or `current`. Its name does not begin with `OBS_`,
    /// because services refuse variables of ours that they do not know.
    pub const VARIABLE: &str = "TEST_SERVERS";

    /// The one this process asks.
    ///
    /// # Panics
    ///
    /// If the variable says anything else: a test would pass without having asked what it was to ask.
    #[must_use]
    pub fn chosen() -> Self {
        match std::env::var(Self::VARIABLE).as_deref() {
            Err(_) | Ok("" | "debian") => Self::Debian,
            Ok("current") => Self::Current,
            Ok(other) => panic!("{} is {other}; set debian or current", Self::VARIABLE),
        }
    }

    /// What makes an agent of Prometheus.
    #[must_use]
    pub const fn agent_mode(self) -> &'static str {
        match self {
            Self::Debian => "--enable-feature=agent",
            Self::Current => "--agent",
        }
    }
}

/// Where the Alertmanager of Debian's package looks for its templates, even when it is only unpacked.
const ALERTMANAGER_TEMPLATES: &str = "/usr/share/prometheus/alertmanager";

/// The directory of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Prometheus' `promtool`.
pub fn promtool() -> Result<PathBuf, Error> {
    program("prometheus", "promtool")
}

/// Prometheus itself.
pub fn prometheus() -> Result<PathBuf, Error> {
    program("prometheus", "prometheus")
}

/// The current Prometheus, whichever generation is asked.
pub fn current_prometheus() -> Result<PathBuf, Error> {
    let program = "prometheus";
    let server = go::Server::of_package(program);
    let built = server.and_then(|server| server.program(program));
    built.ok_or(Error::Missing { program })
}

/// The Alertmanager.
pub fn alertmanager() -> Result<PathBuf, Error> {
    match Generation::chosen() {
        Generation::Debian => debian_alertmanager(),
        Generation::Current => program("prometheus-alertmanager", "alertmanager"),
    }
}

/// Debian's, which is called `prometheus-alertmanager`.
fn debian_alertmanager() -> Result<PathBuf, Error> {
    let installed = debian("prometheus-alertmanager", "prometheus-alertmanager");
    match installed {
        Ok(installed) if Path::new(ALERTMANAGER_TEMPLATES).is_dir() => Ok(installed),
        _ => debian("prometheus-alertmanager", "alertmanager"),
    }
}

/// The Alertmanager's `amtool`.
pub fn amtool() -> Result<PathBuf, Error> {
    program("prometheus-alertmanager", "amtool")
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
    let debian = program("prometheus-pushgateway", "prometheus-pushgateway");
    debian.or_else(|_| program("prometheus-pushgateway", "pushgateway"))
}

/// Valgrind, ready to be given arguments. No test needs it, so that it is fetched here, where it is missing.
pub fn valgrind() -> Result<Command, Error> {
    let installed = Path::new("valgrind");
    if answers(installed) {
        return Ok(Command::new(installed));
    }
    let unpacked = test_tools().join("valgrind/usr");
    let program = unpacked.join("bin/valgrind");
    if !program.is_file() {
        debian::unpack(&["valgrind"]).map_err(|reasons| Error::CannotInstall {
            reasons,
            repair: "install valgrind and run this again".to_owned(),
        })?;
    }
    let mut valgrind = Command::new(program);
    // Where it would look for its tools is where it would be installed.
    valgrind.env("VALGRIND_LIB", unpacked.join("libexec/valgrind"));
    Ok(valgrind)
}

/// `VictoriaMetrics`.
pub fn victoria_metrics() -> Result<PathBuf, Error> {
    program("victoria-metrics", "victoria-metrics")
}

/// `VictoriaMetrics`' agent.
pub fn vmagent() -> Result<PathBuf, Error> {
    program("victoria-metrics", "vmagent")
}

/// What evaluates rules for `VictoriaMetrics`.
pub fn vmalert() -> Result<PathBuf, Error> {
    program("victoria-metrics", "vmalert")
}

/// An OpenTelemetry Collector, of the parts in `tests/servers/collector/main.go`.
pub fn collector() -> Result<PathBuf, Error> {
    peer("collector", "collector")
}

/// Sloth, which writes rules for objectives.
pub fn sloth() -> Result<PathBuf, Error> {
    peer("sloth", "sloth")
}

/// Helm.
pub fn helm() -> Result<PathBuf, Error> {
    peer("helm", "helm")
}

/// What Helm makes of a chart with these arguments, such as `--set` and `--namespace`: the manifests as one text, or what Helm says is
/// wrong. A cluster is not asked.
pub fn helm_template(chart: &Path, arguments: &[&str]) -> Result<Result<String, String>, Error> {
    let mut helm = Command::new(helm()?);
    helm.args(["template", "release"])
        .arg(chart)
        .args(arguments);
    helm_says(&mut helm)
}

/// What Helm finds in a chart, or what it says is wrong; what it calls a warning is wrong, too.
pub fn helm_lint(chart: &Path, arguments: &[&str]) -> Result<Result<String, String>, Error> {
    let mut helm = Command::new(helm()?);
    helm.args(["lint", "--strict"]).arg(chart).args(arguments);
    helm_says(&mut helm)
}

/// What it prints on success; everything that it says on failure. It neither reads nor leaves anything in the user's own folders.
fn helm_says(helm: &mut Command) -> Result<Result<String, String>, Error> {
    let folder = tempfile::tempdir().map_err(Error::system("make a folder for Helm"))?;
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, folder.path());
    }
    let output = helm.output().map_err(Error::system("run Helm"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    })
}

/// A program around the language of Alloy's configuration. Alloy itself cannot be built from its module: it needs a later release of
/// that language than the one that is a module.
pub fn alloy_syntax() -> Result<PathBuf, Error> {
    peer("alloy-syntax", "alloy-syntax")
}

/// The program that holds resources to Perses' own model and schemas, beside the folder that it takes them from.
pub fn perses_check() -> Result<(PathBuf, PathBuf), Error> {
    let pins = workspace().join("tests/servers/perses");
    Ok((peer("perses", "perses")?, pins))
}

fn peer(folder: &str, program: &'static str) -> Result<PathBuf, Error> {
    let built = go::Server::peer(folder).and_then(|peer| peer.program(program));
    built.ok_or(Error::Missing { program })
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

/// A server's program, of the generation that is asked.
fn program(package: &str, program: &'static str) -> Result<PathBuf, Error> {
    match go::Server::of_package(package) {
        Some(server) if Generation::chosen() == Generation::Current => {
            server.program(program).ok_or(Error::Missing { program })
        }
        _ => debian(package, program),
    }
}

/// A program of a Debian package: the one that was unpacked, or else the one on the `PATH`.
fn debian(package: &str, program: &'static str) -> Result<PathBuf, Error> {
    let unpacked = test_tools().join(package).join("usr/bin").join(program);
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    let installed = PathBuf::from(program);
    answers(&installed)
        .then_some(installed)
        .ok_or(Error::Missing { program })
}

/// chrony's server.
pub fn chronyd() -> Result<PathBuf, Error> {
    let unpacked = test_tools().join("chrony/usr/sbin/chronyd");
    let found = [unpacked, "/usr/sbin/chronyd".into()];
    // It needs libraries that its package asks for, and that most systems have.
    found
        .into_iter()
        .find(|program| answers(program))
        .ok_or(Error::Missing { program: "chronyd" })
}

/// The library that shows a process another time than its machine's: preloaded, it reads the offset from a file.
pub fn faketime() -> Result<PathBuf, Error> {
    // Debian keeps libraries in a folder for each kind of machine.
    let folders = [test_tools().join("libfaketime/usr/lib"), "/usr/lib".into()];
    let of_machines = folders.iter().flat_map(|folder| folder.read_dir());
    of_machines
        .flatten()
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
        .ok_or(Error::Missing {
            program: "libfaketime",
        })
}

/// Gets what the tests need and this machine does not have; does nothing where all is there. Says what it does on standard error.
pub fn install() -> Result<(), Error> {
    let mut reasons = fetch(&NEEDS);
    // Where these programs are missing, that is said already.
    if PYTHON.is_there() && python().is_err() {
        reasons.extend(packages::install_python().err());
    }
    if NODE.is_there() && NPM.is_there() && typescript().is_err() {
        reasons.extend(packages::install_npm().err());
    }
    if NODE.is_there() && NPM.is_there() && perses_types().is_err() {
        reasons.extend(packages::install_perses().err());
    }
    if NODE.is_there() && NPM.is_there() && axe().is_err() {
        reasons.extend(packages::install_axe().err());
    }
    outcome(&NEEDS, &reasons)
}

/// Builds the current generation of the servers, as far as it is not there yet. Fails with why it cannot be had: Go is missing, or
/// does not get at their modules.
pub fn install_current() -> Result<(), String> {
    go::SERVERS.iter().try_for_each(go::Server::install)
}

/// Builds the programs of other projects that the target `peers` compares with, as far as they are not there yet. Fails with why
/// they cannot be had, as [`install_current`] does.
pub fn install_peers() -> Result<(), String> {
    go::PEERS.iter().try_for_each(go::Server::install)?;
    packages::install_drawing()
}

/// The same for what a [`Stack`](crate::Stack) needs.
pub fn install_stack() -> Result<(), Error> {
    let needs = [PROMETHEUS, ALERTMANAGER];
    outcome(&needs, &fetch(&needs))
}

/// The same for what a fleet of desks is watched by, in Debian's releases.
pub fn install_fleet() -> Result<(), Error> {
    let needs = [PROMETHEUS, VICTORIA_METRICS];
    outcome(&needs, &fetch(&needs))
}

/// Gets what is missing from Debian; why not all of it could be had, if so.
fn fetch(needs: &[Need]) -> Vec<String> {
    let missing = |way| {
        let missing = needs.iter().filter(|need| !need.is_there());
        let missing = missing.filter(|need| need.way == way);
        missing.map(|need| need.package).collect::<Vec<_>>()
    };
    let mut reasons = Vec::new();
    let to_install = missing(Way::Installed);
    if !to_install.is_empty() {
        reasons.extend(debian::install(&to_install).err());
    }
    let to_unpack = missing(Way::Unpacked);
    if !to_unpack.is_empty() {
        let unpacked = debian::unpack(&to_unpack);
        reasons.extend(unpacked.and_then(|()| install_templates()).err());
    }
    reasons.dedup();
    reasons
}

/// An error that names all that is still missing, and how to get it by hand.
fn outcome(needs: &[Need], reasons: &[String]) -> Result<(), Error> {
    let missing = needs.iter().filter(|need| !need.is_there());
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() && reasons.is_empty() {
        return Ok(());
    }
    let reasons = match reasons {
        [] => "the packages of this system are too old".to_owned(),
        reasons => reasons.join("\n"),
    };
    Err(Error::CannotInstall {
        reasons,
        repair: repair(&missing),
    })
}

/// What to do about what is missing.
fn repair(missing: &[&Need]) -> String {
    if missing.is_empty() {
        return "the programs are all there; run this again when the package index can be reached"
            .to_owned();
    }
    let names = missing
        .iter()
        .map(|need| need.program.to_owned() + need.version);
    let names: Vec<_> = names.collect();
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    format!(
        "missing: {}; install that and run this again. On Debian and Ubuntu, as root: \
         apt-get update && apt-get install --yes --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    )
}

/// Where everything that is not installed is.
fn test_tools() -> PathBuf {
    workspace().join("target/test-tools")
}

/// The same folder, made if it is not there.
fn directory() -> Result<PathBuf, String> {
    let directory = test_tools();
    std::fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    Ok(directory)
}

/// Whether a program is there and runs.
fn answers(program: &Path) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Puts the Alertmanager's templates where it looks for them. Without them it does not start.
fn install_templates() -> Result<(), String> {
    let target = Path::new(ALERTMANAGER_TEMPLATES);
    let unpacked = test_tools().join("prometheus-alertmanager/usr/share/prometheus/alertmanager");
    if target.is_dir() || !unpacked.is_dir() {
        return Ok(());
    }
    run(Command::new("mkdir").arg("-p").args(target.parent()))?;
    run(Command::new("cp").arg("-r").arg(unpacked).arg(target))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs of Debian's essential packages, which every Linux has.
    const EVERYWHERE: [&str; 12] = [
        "/bin/sh",
        "cp",
        "dd",
        "df",
        "mkdir",
        "nice",
        "sh",
        "sha256sum",
        "stat",
        "stty",
        "tar",
        "timeout",
    ];
    /// What set-up itself is done with, and what has built it.
    const BEFORE: [&str; 4] = ["apt-get", "cargo", "dpkg-deb", "rustc"];
    /// The program that starts it itself.
    const ITSELF: [&str; 1] = ["/proc/self/exe"];
    /// What less is tested without.
    const OPTIONAL: [&str; 1] = ["go"];

    #[test]
    fn whatever_the_tests_start_is_set_up_for_them() {
        let mut started = Vec::new();
        for folder in ["crates", "examples", "tests", "xtask"] {
            programs(&workspace().join(folder), &mut started);
        }
        let is_known = |name: &str| {
            let set_up = NEEDS.iter().any(|need| need.program == name);
            let others = [&EVERYWHERE[..], &BEFORE, &ITSELF, &OPTIONAL].concat();
            set_up || others.contains(&name)
        };
        let unknown: Vec<_> = started.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "add a row to NEEDS for {unknown:?}");
        assert!(
            started.iter().any(|name| name == "redis-server"),
            "{started:?}"
        );
    }

    /// The programs that sources start by name.
    fn programs(folder: &Path, found: &mut Vec<String>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    programs(&path, found);
                }
            } else if path.extension().is_some_and(|end| end == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let calls = source.split("Command::new(\"").skip(1);
                found.extend(calls.filter_map(|call| Some(call.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn the_error_names_all_that_is_missing_and_one_command_that_installs_it() {
        let missing = |need| Need {
            check: |_| false,
            ..need
        };
        let needs = [
            missing(Need::installed("pg_ctl", "postgresql")),
            Need {
                check: |_| true,
                ..Need::installed("curl", "curl")
            },
            missing(PYTHON),
            missing(PROMETHEUS),
        ];
        let error = outcome(&needs, &["cannot run `apt-get`".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot install what is needed: cannot run `apt-get`\n\
             missing: pg_ctl, python3 (3.11 or later, with its module venv), prometheus; install that and run this again. On \
             Debian and Ubuntu, as root: apt-get update && apt-get install --yes --no-install-recommends postgresql python3-venv \
             prometheus"
        );
    }
}
