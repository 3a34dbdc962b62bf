//! Current releases of the servers, built from their Go modules.
//!
//! Debian has the releases of early 2023. What a server is built from is pinned by the `go.mod` and `go.sum` in its folder under
//! `tests/servers`: one each, because their dependencies contradict each other. `go get -tool MODULE/cmd/NAME@VERSION` there takes
//! another release. Programs are kept outside of the repository and built again when their pins change.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use super::{run, succeeds, workspace};

/// A server and the programs that come with it.
pub(super) struct Server {
    /// The folder under `tests/servers`.
    folder: &'static str,
    /// Debian's package of it; empty where Debian has none.
    package: &'static str,
    /// Build tags.
    tags: &'static str,
    /// What is built.
    programs: &'static [&'static str],
}

/// What is built.
pub(super) const SERVERS: [Server; 3] = [
    Server {
        folder: "prometheus",
        package: "prometheus",
        // Discovery by files and of fixed targets is left. With that of every cloud, the build takes twice the time.
        tags: "remove_all_sd",
        programs: &["prometheus", "promtool"],
    },
    Server {
        folder: "alertmanager",
        package: "prometheus-alertmanager",
        tags: "",
        programs: &["alertmanager", "amtool"],
    },
    Server {
        folder: "victoria-metrics",
        package: "victoria-metrics",
        tags: "",
        programs: &["victoria-metrics", "vmagent", "vmalert"],
    },
];

/// What other projects have beside ours, of one generation only: asked by `cargo xtask test --peers`.
pub(super) const PEERS: [Server; 5] = [
    Server {
        folder: "collector",
        package: "",
        // As for Prometheus, whose discovery its receiver brings along.
        tags: "remove_all_sd",
        programs: &["collector"],
    },
    Server {
        folder: "sloth",
        package: "",
        tags: "",
        programs: &["sloth"],
    },
    Server {
        folder: "helm",
        package: "",
        tags: "",
        programs: &["helm"],
    },
    Server {
        folder: "alloy-syntax",
        package: "",
        tags: "",
        programs: &["alloy-syntax"],
    },
    Server {
        folder: "perses",
        package: "",
        tags: "",
        programs: &["perses"],
    },
];

impl Server {
    /// The one that stands beside a package of Debian.
    pub(super) fn of_package(package: &str) -> Option<&'static Self> {
        SERVERS.iter().find(|server| server.package == package)
    }

    /// The peer in this folder.
    pub(super) fn peer(folder: &str) -> Option<&'static Self> {
        PEERS.iter().find(|peer| peer.folder == folder)
    }

    /// Where one of its programs is, if it was built.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let program = self.built()?.join(name);
        program.is_file().then_some(program)
    }

    /// Builds what is not there yet.
    pub(super) fn install(&self) -> Result<(), String> {
        if !succeeds(Command::new("go").arg("version")) {
            return Err("Go is missing".to_owned());
        }
        if self
            .programs
            .iter()
            .all(|name| self.program(name).is_some())
        {
            return Ok(());
        }
        let built = self.built().ok_or("there is no folder for caches")?;
        let kept = built.parent().ok_or("there is no folder for caches")?;
        let cannot = |error| format!("cannot write to {}: {error}", kept.display());
        fs::create_dir_all(kept).map_err(cannot)?;
        eprintln!(
            "building {} with Go, kept in {}",
            self.folder,
            kept.display()
        );
        // Beside its place, and then moved there whole: another process may be looking.
        let beside = tempfile::tempdir_in(kept).map_err(cannot)?;
        // At the lowest priority: tests may run meanwhile.
        let mut go = Command::new("nice");
        go.args(["-n", "19", "go", "build"]);
        go.args(["-trimpath", "-mod=readonly", "-ldflags=-s -w"])
            .args(["-tags", self.tags])
            .arg("-o")
            .arg(beside.path())
            .arg("tool")
            .current_dir(self.pins())
            .env("CGO_ENABLED", "0")
            // The compiler that is installed, and nothing that other modules bring along.
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env_remove("GOFLAGS");
        run(&mut go)?;
        let renamed = match fs::rename(beside.path(), &built) {
            // Another process was faster, or some were there and others were not.
            Err(_) if built.is_dir() => self
                .programs
                .iter()
                .try_for_each(|name| fs::rename(beside.path().join(name), built.join(name))),
            renamed => renamed,
        };
        renamed.map_err(cannot)
    }

    fn pins(&self) -> PathBuf {
        workspace().join("tests/servers").join(self.folder)
    }

    /// The folder of its programs, by what they are built from.
    fn built(&self) -> Option<PathBuf> {
        let mut hasher = DefaultHasher::new();
        self.tags.hash(&mut hasher);
        for name in ["go.mod", "go.sum"] {
            fs::read(self.pins().join(name)).ok()?.hash(&mut hasher);
        }
        // Where a program is put together here.
        if let Ok(main) = fs::read(self.pins().join("main.go")) {
            main.hash(&mut hasher);
        }
        let name = format!("{}-{:016x}", self.folder, hasher.finish());
        Some(cache()?.join("obs-test-servers").join(name))
    }
}

/// Where the user keeps what can be made anew.
fn cache() -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    set.filter(|folder| folder.is_absolute()).or_else(home)
}
