//! `cargo xtask weight`: what depending on the exporter adds to a build, compared with other libraries.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use obs_verify::generated::Generated;
use serde_json::Value;

use crate::error::Error;
use crate::shell::{cargo, output, run};

/// The page that has the table, from the workspace's directory.
const PAGE: &str = "docs/PERFORMANCE.md";

/// What is divided by: it serves `/metrics` and does nothing else. Its default features would add a push gateway over TLS.
const PEER: &str = "metrics-exporter-prometheus, `http-listener`";

/// Build programs with one counter at `/metrics`, each from nothing; print crates, CPU seconds and sizes
///
/// Takes some four minutes of a core, and the registry where a crate is not yet here.
#[derive(clap::Args)]
pub(crate) struct Weight {
    /// Write the table into docs/PERFORMANCE.md too
    #[arg(long)]
    write: bool,
}

/// A program that counts one order and serves it.
struct Program {
    name: &'static str,
    /// The most it may cost beside [`PEER`], in CPU time.
    limit: Option<f64>,
    /// `{crates}` is where the crates of this workspace are.
    dependencies: &'static str,
    main: &'static str,
}

const OURS: &str = r#"
use obs_core::{Catalogue, Counter};

obs_core::families! {
    /// Orders.
    struct Orders {
        /// Orders sent.
        sent: Counter = "orders_total",
    }
}

#[tokio::main]
async fn main() -> Result<(), obs_exporter::ExporterError> {
    let exporter = obs_exporter::Exporter::builder(obs_exporter::app_info!())
        .catalogue(Catalogue::of(&[Orders::FAMILIES]))
        .install()?;
    Orders::new().sent.increment(1);
    let _server = exporter.serve().await?;
    std::future::pending().await
}
"#;

const PROGRAMS: [Program; 4] = [
    Program {
        name: PEER,
        limit: None,
        dependencies: r#"
metrics = "0.24"
metrics-exporter-prometheus = { version = "0.18", default-features = false, features = ["http-listener"] }
"#,
        main: r#"
fn main() {
    let builder = metrics_exporter_prometheus::PrometheusBuilder::new();
    builder.install().expect("the port is free");
    metrics::counter!("orders_total").increment(1);
    std::thread::park();
}
"#,
    },
    Program {
        name: "prometheus-client and axum",
        limit: None,
        dependencies: r#"
axum = { version = "0.8", default-features = false, features = ["http1", "tokio"] }
prometheus-client = "0.25"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
"#,
        main: r#"
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

#[tokio::main]
async fn main() {
    let mut registry = Registry::default();
    let orders = Counter::<u64>::default();
    registry.register("orders", "Orders sent", orders.clone());
    orders.inc();
    let registry = Arc::new(registry);
    let metrics = async move || {
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes all");
        text
    };
    let app = Router::new().route("/metrics", get(metrics));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9464").await.expect("the port is free");
    axum::serve(listener, app).await.expect("it serves");
}
"#,
    },
    Program {
        name: "obs-exporter, default features",
        limit: Some(1.6),
        dependencies: r#"
obs-core = { path = "{crates}/obs-core" }
obs-exporter = { path = "{crates}/obs-exporter" }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
"#,
        main: OURS,
    },
    Program {
        name: "obs-exporter, `page` only",
        limit: Some(1.3),
        dependencies: r#"
obs-core = { path = "{crates}/obs-core" }
obs-exporter = { path = "{crates}/obs-exporter", default-features = false, features = ["page"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
"#,
        main: OURS,
    },
];

/// What a program cost.
struct Cost {
    crates: usize,
    cpu_seconds: f64,
    bytes: u64,
}

impl Weight {
    pub(crate) fn run(&self) -> Result<bool, Error> {
        let mut costs = Vec::new();
        for program in &PROGRAMS {
            eprintln!("{}", program.name);
            costs.push(program.build()?);
        }
        let table = table(&costs);
        print!("{table}");
        if self.write {
            let page = Generated {
                folder: obs_tests::tools::workspace(),
                check: false,
            };
            page.put_between_marks(PAGE, &table)?;
        }
        let peer = costs[0].cpu_seconds;
        Ok(PROGRAMS.iter().zip(&costs).all(|(program, cost)| {
            program
                .limit
                .is_none_or(|limit| cost.cpu_seconds <= limit * peer)
        }))
    }
}

impl Program {
    /// Builds it for release in a folder of its own. Fetching is not counted.
    fn build(&self) -> Result<Cost, Error> {
        let workspace = obs_tests::tools::workspace();
        let folder = tempfile::tempdir().map_err(file("make", Path::new("a temporary folder")))?;
        let folder = folder.path();
        let crates = workspace.join("crates").display().to_string();
        let dependencies = self.dependencies.replace("{crates}", &crates);
        let manifest = folder.join("Cargo.toml");
        write(
            &manifest,
            &format!(
                "[package]\nname = \"one-counter\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
                [profile.release]\nstrip = true\n\n[dependencies]{dependencies}"
            ),
        )?;
        let source = folder.join("src");
        fs::create_dir(&source).map_err(file("make", &source))?;
        write(&source.join("main.rs"), self.main)?;
        // The same versions as here, as far as it has them.
        let lock = read(&workspace.join("Cargo.lock"))?;
        write(&folder.join("Cargo.lock"), &lock)?;
        run(cargo(["fetch", "--quiet"]).current_dir(folder))?;

        let mut build = cargo(["build", "--release", "--offline", "--quiet"]);
        build
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--target-dir")
            .arg(folder.join("target"))
            .current_dir(folder)
            .env_remove("RUSTC_WRAPPER");
        let before = cpu_seconds_of_children()?;
        let messages = output(&mut build)?;
        let cpu_seconds = cpu_seconds_of_children()? - before;
        let program = folder.join("target/release/one-counter");
        let size = fs::metadata(&program)
            .map_err(file("read", &program))?
            .len();
        Ok(Cost {
            crates: compiled(&messages),
            cpu_seconds,
            bytes: size,
        })
    }
}

/// How many packages cargo says it compiled, the program among them.
fn compiled(messages: &str) -> usize {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts = messages.filter(|message| message["reason"] == "compiler-artifact");
    let packages: BTreeSet<String> = artifacts
        .map(|artifact| artifact["package_id"].to_string())
        .collect();
    packages.len()
}

/// The CPU time of all processes that this one has started and seen end, and of theirs.
fn cpu_seconds_of_children() -> Result<f64, Error> {
    /// Linux counts in these everywhere but on the Alpha.
    const TICKS_PER_SECOND: f64 = 100.0;
    let path = Path::new("/proc/self/stat");
    let stat = read(path)?;
    // The name of the program, in parentheses, may hold spaces. It is the second field; `cutime` is the 16th, `cstime` the 17th.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let ticks: f64 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn table(costs: &[Cost]) -> String {
    let peer = costs[0].cpu_seconds;
    let mut table = String::from(
        "| a program with one counter | crates | CPU seconds | of the first | limit | MB |\n\
        |---|---:|---:|---:|---:|---:|\n",
    );
    for (program, cost) in PROGRAMS.iter().zip(costs) {
        let limit = program
            .limit
            .map_or("–".to_owned(), |limit| format!("{limit:.1}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.0} | {:.2} | {limit} | {:.2} |",
            program.name,
            cost.crates,
            cost.cpu_seconds,
            cost.cpu_seconds / peer,
            cost.bytes as f64 / 1e6,
        );
    }
    table
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(file("read", path))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(file("write", path))
}

/// For `map_err`: what could not be done with a file.
fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = PathBuf::from(path);
    move |source| Error::File { verb, path, source }
}
