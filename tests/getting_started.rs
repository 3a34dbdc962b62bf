//! The steps of `docs/GETTING_STARTED.md`, done as a reader does them: its files are written, its commands run, in its order.
//!
//! What differs from a reader's machine: the crates come from this workspace instead of a Git URL, the versions of its `Cargo.lock`
//! are used, and ports are free ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use obs_tests::{Process, ask, scrape, tools};
use tempfile::TempDir;

/// How long Prometheus may take to start and to scrape twice.
const PATIENCE: Duration = Duration::from_mins(1);

/// What has a place of its own in this test.
const INSTALLS_OBSTOOL: &str = "cargo install --git https://git.example.com/your-org/obs obstool";

/// A fenced block, and the paragraph in front of it.
#[derive(Debug, Default)]
struct Fence {
    language: String,
    introduction: String,
    text: String,
}

/// The fences of a document, in order.
fn fences(document: &str) -> Vec<Fence> {
    let (mut fences, mut paragraph) = (Vec::new(), Vec::new());
    let mut open: Option<Fence> = None;
    let mut blank = true;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Fence {
                    language: language.to_owned(),
                    introduction: paragraph.join("\n"),
                    text: String::new(),
                });
                paragraph.clear();
            }
            (Some(_), Some(_)) => fences.extend(open.take()),
            (None, Some(fence)) => fence.text.extend([line, "\n"]),
            (None, None) => {
                // A paragraph begins behind a blank line.
                if blank && !line.is_empty() {
                    paragraph.clear();
                }
                paragraph.push(line);
            }
        }
        blank = line.is_empty();
    }
    fences
}

impl Fence {
    /// The file that its introduction says to write, the last word in backquotes, and whether it is to be appended to.
    fn file(&self) -> Option<(&str, bool)> {
        let verbs = [
            ("Create `", false),
            ("Replace `", false),
            ("Append to `", true),
            ("import `", false),
        ];
        verbs.iter().find_map(|(verb, appends)| {
            let (_, rest) = self.introduction.split_once(verb)?;
            Some((rest.split_once('`')?.0, *appends))
        })
    }
}

/// A reader at work: where they are, what runs for them.
struct Reader {
    folder: TempDir,
    programs: TempDir,
    /// Where the shell is.
    here: PathBuf,
    service: Option<(Process, String)>,
    prometheus: Option<(Process, String)>,
}

impl Reader {
    fn new() -> Self {
        let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(tools::promtool().unwrap(), programs.path().join("promtool")).unwrap();
        Self {
            here: folder.path().to_owned(),
            folder,
            programs,
            service: None,
            prometheus: None,
        }
    }

    /// What the document writes, as it is on this machine.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (written, there) in [
            ("127.0.0.1:9464", &self.service),
            ("127.0.0.1:9090", &self.prometheus),
        ] {
            if let Some((_, address)) = there {
                text = text.replace(written, address);
            }
        }
        text
    }

    fn write(&self, name: &str, text: &str, appends: bool) {
        let path = self.here.join(name);
        let before = if appends {
            fs::read_to_string(&path).unwrap() + "\n"
        } else {
            String::new()
        };
        fs::write(path, before + &self.here(text)).unwrap();
    }

    /// A command in the reader's shell.
    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(&self.here)
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            // Kept from one run to the next.
            .env(
                "CARGO_TARGET_DIR",
                tools::workspace().join("target/getting-started"),
            )
            .env("OBS_LISTEN", "127.0.0.1:0")
            .env_remove("CARGO_MANIFEST_DIR");
        command
    }

    /// Runs the commands of a fence; what they print.
    fn run(&mut self, script: &str) -> String {
        let script = self.here(script);
        match script.trim_end() {
            "cargo run" => return self.start_service(),
            "prometheus --config.file=prometheus.yml" => return self.start_prometheus(),
            _ => {}
        }
        let crates = tools::workspace().join("crates");
        let script: String = script
            .lines()
            .map(|line| {
                if line == INSTALLS_OBSTOOL {
                    self.install_obstool();
                    return String::new();
                }
                match line.strip_prefix("cargo add --git https://git.example.com/your-org/obs ") {
                    Some(name) => format!("cargo add --path {}/{name}\n", crates.display()),
                    None => format!("{line}\n"),
                }
            })
            .collect();
        let place = self.folder.path().join("place");
        let script = format!("{script}pwd > '{}'", place.display());
        let output = self
            .command("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{script}\n{said}");
        self.here = fs::read_to_string(place).unwrap().trim_end().into();
        let lock = self.here.join("Cargo.lock");
        if self.here.join("Cargo.toml").exists() && !lock.exists() {
            fs::copy(tools::workspace().join("Cargo.lock"), lock).unwrap();
        }
        String::from_utf8(output.stdout).unwrap()
    }

    /// Takes the one that is built here for other tests, instead of building it once more and optimized.
    fn install_obstool(&self) {
        let program = self.programs.path().join("obstool");
        symlink(obs_tests::built("obstool").unwrap(), program).unwrap();
    }

    fn start_service(&mut self) -> String {
        self.service = None;
        let mut service = Process::start(self.command("cargo").arg("run")).unwrap();
        let address = |line: &str| {
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split_once('/')?.0.to_owned())
        };
        let address = service.wait_for("where its metrics are", address).unwrap();
        self.service = Some((service, address));
        String::new()
    }

    /// Starts it where the document has it, but for the port, and waits until it is ready.
    fn start_prometheus(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut prometheus = self.command(tools::prometheus().unwrap().to_str().unwrap());
        prometheus
            .arg("--config.file=prometheus.yml")
            .arg(format!("--web.listen-address={address}"));
        self.prometheus = Some((Process::start(&mut prometheus).unwrap(), address));
        String::new()
    }

    /// What Prometheus answers, once it answers with a series of a number.
    fn answer(&self, query: &str) -> Vec<serde_json::Value> {
        let (_, address) = self
            .prometheus
            .as_ref()
            .expect("a Prometheus that was started");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = ask(&format!("http://{address}"), query);
            let is_number = |series: &serde_json::Value| series["value"][1] != "NaN";
            match answer {
                Ok(series) if !series.is_empty() && series.iter().all(is_number) => return series,
                last => assert!(Instant::now() < deadline, "{query}: {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the service serves.
    fn metrics(&self) -> String {
        let (_, address) = self.service.as_ref().expect("a service that was started");
        scrape(&format!("http://{address}/metrics")).unwrap()
    }
}

/// Whether a line of an exposition is there, whatever its value.
fn shows(exposition: &str, line: &str) -> bool {
    let sample = line.rsplit_once(' ').filter(|_| !line.starts_with('#'));
    let wanted = sample.map_or(line, |(series, _)| series);
    exposition.lines().any(|shown| match sample {
        Some(_) => shown
            .rsplit_once(' ')
            .is_some_and(|(series, _)| series == wanted),
        None => shown == wanted,
    })
}

#[test]
fn every_step_of_the_guide_works() {
    let guide = fs::read_to_string(tools::workspace().join("docs/GETTING_STARTED.md")).unwrap();
    let mut reader = Reader::new();
    let (mut printed, mut queries) = (String::new(), 0);
    for fence in fences(&guide) {
        match (fence.language.as_str(), fence.file()) {
            ("sh", None) => printed = reader.run(&fence.text),
            ("text", None) => {
                for line in fence.text.lines() {
                    assert!(shows(&printed, line), "`{line}` is not in\n{printed}");
                }
            }
            ("promql", None) => {
                queries += 1;
                reader.answer(fence.text.trim());
            }
            (_, Some((name, appends))) => reader.write(name, &fence.text, appends),
            (language, None) => panic!(
                "nothing says what to do with this {language}:\n{}",
                fence.text
            ),
        }
    }
    assert_eq!(queries, 2, "both queries of the panels were asked");

    // The dashboard has the queries that were asked, and the alert is one that Prometheus evaluates.
    let dashboard = fs::read_to_string(reader.here.join("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        reader.answer(panel["targets"][0]["expr"].as_str().unwrap());
    }
    let metrics = reader.metrics();
    assert!(
        shows(&metrics, "# TYPE quoter_quote_duration_seconds histogram"),
        "{metrics}"
    );
}

/// The value of a series.
fn value(exposition: &str, series: &str) -> f64 {
    let mut lines = exposition.lines().filter_map(|line| line.rsplit_once(' '));
    let (_, value) = lines
        .find(|(shown, _)| *shown == series)
        .unwrap_or_else(|| panic!("`{series}` is not in\n{exposition}"));
    value.parse().unwrap()
}

#[test]
fn the_program_of_the_readme_exports_what_the_readme_says() {
    let readme = fs::read_to_string(tools::workspace().join("README.md")).unwrap();
    let program = fences(&readme)
        .into_iter()
        .find(|fence| fence.text.contains("FeedMetrics"))
        .unwrap();
    let mut reader = Reader::new();
    reader.run(
        "cargo new feed\ncd feed\n\
         cargo add --git https://git.example.com/your-org/obs obs-core\n\
         cargo add --git https://git.example.com/your-org/obs obs-exporter\n\
         cargo add tokio --features macros,rt-multi-thread,signal",
    );
    reader.write("src/main.rs", &program.text, false);
    reader.run("cargo run");

    // The quote is read behind the line that says where the metrics are.
    let (service, _) = reader.service.as_mut().unwrap();
    service
        .wait_for("the price", |line| {
            line.starts_with("Ok(187.2)").then_some(())
        })
        .unwrap();
    let metrics = reader.metrics();
    for line in [
        "# HELP feed_quotes_total Quotes received, by whether they could be read.",
        "# TYPE feed_quotes_total counter",
        "# HELP feed_reading_seconds_total Time spent reading quotes.",
    ] {
        assert!(shows(&metrics, line), "`{line}` is not in\n{metrics}");
    }
    for (outcome, count) in [
        ("ok", 1.0),
        ("error", 0.0),
        ("cancelled", 0.0),
        ("panicked", 0.0),
    ] {
        let series = format!("feed_quotes_total{{service=\"feed\",outcome=\"{outcome}\"}}");
        assert!(
            (value(&metrics, &series) - count).abs() < f64::EPSILON,
            "{metrics}"
        );
    }
    let seconds = value(&metrics, "feed_reading_seconds_total{service=\"feed\"}");
    assert!(seconds > 0.0 && seconds < 1.0, "{seconds} s for one number");
    assert!(value(&metrics, "obs_dead_handles{service=\"feed\"}").abs() < f64::EPSILON);
}

#[test]
fn a_fence_is_found_with_its_file() {
    let document = "One `a`.\n\nText on\ntwo lines: create it. Create `b/c.rs`:\n\n```rust\nx\n\ny\n```\n\n```sh\nz\n```\n";
    let found = fences(document);
    let found: Vec<_> = found
        .iter()
        .map(|f| (f.language.as_str(), f.file(), f.text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("rust", Some(("b/c.rs", false)), "x\n\ny\n"),
            ("sh", None, "z\n")
        ]
    );
}
