//! `obstool agent`: what it serves of a process that runs, is stopped, is dead and is started again.

#![cfg(target_os = "linux")]

mod agents;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agents::{agent, scrape};
use http::HeaderMap;
use obs_exposition::Exposition;
use obs_recorder::{Engine, MemoryOptions};

/// The variable that makes this program a desk.
const DESK: &str = "AGENT_TEST_DESK";

/// Records a little, once, and waits to be killed.
fn record(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder()
        .global_label("service", "desk")
        .buckets("fill", &[0.5]);
    let engine = builder.memory(path, options).build().unwrap();
    metrics::with_local_recorder(&engine, || {
        metrics::describe_counter!("orders_total", "Orders\nof the \\ desk.");
        metrics::counter!("orders_total", "side" => "say \"buy\"").increment(5);
        metrics::gauge!("depth").set(-7.5);
        metrics::histogram!("fill").record(0.25);
        metrics::histogram!("fill").record(2.0);
        metrics::histogram!("summary").record(3.0);
    });
    println!("\nrecorded");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

struct Desk(Child);

impl Desk {
    fn start(path: &Path) -> Self {
        Self::start_as("dead_processes_stay_in_the_totals", DESK, path)
    }

    /// Starts this program again, where a test records if the variable is set.
    fn start_as(test: &str, variable: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(variable, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "recorded"));
        Self(child)
    }

    fn stop(&self) {
        let pid = self.0.id().to_string();
        let kill = Command::new("kill").args(["-s", "STOP", &pid]).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Orders, depth and whether the desk is up.
fn seen(scrape: &Exposition) -> (Option<f64>, Option<f64>, Option<f64>) {
    let all = [("process", "desk"), ("service", "desk")];
    let orders = [all[0], all[1], ("side", "say \"buy\"")];
    (
        scrape.value("orders_total", &orders),
        scrape.value("depth", &all),
        scrape.value("obs_process_up", &all),
    )
}

#[test]
fn dead_processes_stay_in_the_totals() {
    if let Some(path) = std::env::var_os(DESK) {
        record(Path::new(&path));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("desk.obs");
    std::fs::write(folder.path().join("stranger.obs"), "nothing of ours").unwrap();
    let desk = Desk::start(&path);
    let (_agent, url) = agent(folder.path(), &["--keep", "2"]);

    let alive = scrape(&url);
    assert_eq!(seen(&alive), (Some(5.0), Some(-7.5), Some(1.0)));
    let all = [("process", "desk"), ("service", "desk")];
    assert_eq!(alive.value("fill_count", &all), Some(2.0));
    assert_eq!(alive.value("fill_sum", &all), Some(2.25));
    assert_eq!(alive.value("summary_count", &all), Some(1.0));
    let text = obs_tests::scrape(&url).unwrap();
    assert!(text.contains("stranger.obs holds no metrics"), "{text}");
    assert_eq!(alive.value("obs_agent_refused_files", &[]), Some(1.0));

    desk.stop();
    assert_eq!(seen(&scrape(&url)), (Some(5.0), Some(-7.5), Some(1.0)));
    drop(desk);
    assert_eq!(seen(&scrape(&url)), (Some(5.0), Some(-7.5), Some(0.0)));
    // Its gauges go in time, and its totals stay.
    let began = Instant::now();
    while seen(&scrape(&url)).1.is_some() {
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(seen(&scrape(&url)), (Some(5.0), None, Some(0.0)));
    let again = Desk::start(&path);
    assert_eq!(seen(&scrape(&url)), (Some(10.0), Some(-7.5), Some(1.0)));
    drop(again);
    assert_eq!(seen(&scrape(&url)), (Some(10.0), Some(-7.5), Some(0.0)));
}

/// A request with another header, and what is answered: the status, the headers and the body.
fn ask(request: ureq::RequestBuilder<ureq::typestate::WithoutBody>) -> (u16, HeaderMap, Vec<u8>) {
    let request = request.config().http_status_as_error(false).build();
    let mut answer = request.call().unwrap();
    let body = answer.body_mut().read_to_vec().unwrap();
    let (head, _) = answer.into_parts();
    (head.status.as_u16(), head.headers, body)
}

#[test]
fn the_page_is_served_with_the_guards_of_a_service() {
    if let Some(path) = std::env::var_os(DESK) {
        record(Path::new(&path));
    }
    let folder = tempfile::TempDir::new().unwrap();
    let desk = |name: &str| {
        let test = "the_page_is_served_with_the_guards_of_a_service";
        Desk::start_as(test, DESK, &folder.path().join(name))
    };
    let (_living, killed) = (desk("<b>quoter.obs"), desk("other.obs"));
    drop(killed);
    let (_agent, url) = agent(folder.path(), &["--keep", "300"]);
    let base = url.strip_suffix("/metrics").unwrap();
    let get = |path: &str| ureq::get(format!("{base}{path}"));

    for path in [
        "/",
        "/page/app.js",
        "/page/uPlot.css",
        "/metrics",
        "/live",
        "/history",
        "/catalog.json",
        "/healthz",
    ] {
        let (status, headers, body) = ask(get(path));
        assert_eq!(status, 200, "{path}");
        assert!(!body.is_empty(), "{path}");
        let kept = if path.starts_with("/page/") {
            "private, no-cache"
        } else {
            "no-store"
        };
        for (name, value) in [
            ("content-security-policy", obs_page::POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", kept),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
        // A page of somebody else whose name leads here.
        let (status, _, body) = ask(get(path).header("host", "evil.example:9466"));
        assert_eq!(status, 421, "{path}");
        assert_eq!(body, b"ask by the address of this machine\n", "{path}");
        let (status, headers, nothing) = ask(ureq::head(format!("{base}{path}")));
        assert_eq!((status, nothing.len()), (200, 0), "{path}");
        assert!(headers.contains_key("content-length"), "{path}");
    }
    let (status, headers, _) = ask(ureq::delete(format!("{base}/")));
    assert_eq!(
        (status, headers["allow"].as_bytes()),
        (405, &b"GET,HEAD"[..])
    );
    assert_eq!(ask(get("/page/../agent.rs")).0, 404);

    let (_, headers, script) = ask(get("/page/app.js").header("accept-encoding", "identity"));
    assert!(!headers.contains_key("content-encoding"));
    let (_, packed, _) = ask(get("/page/app.js").header("accept-encoding", "gzip"));
    assert_eq!(packed["content-encoding"], "gzip");
    assert!(packed["content-length"] != script.len().to_string());
    let known = get("/page/app.js").header("if-none-match", &headers["etag"]);
    let (status, _, nothing) = ask(known);
    assert_eq!((status, nothing.len()), (304, 0));

    let (_, _, document) = ask(get("/"));
    let document = String::from_utf8(document).unwrap();
    let (_, plain) = document.split_once("<noscript>").unwrap();
    for said in [
        "<h1 id=\"service\">Processes</h1>",
        "<li>&lt;b&gt;quoter: up</li>",
        "<li>other: dead; its last values are shown</li>",
        "<td><code>orders_total</code></td><td>counter</td>",
        "<td><code>obs_process_up</code></td><td>gauge</td>",
    ] {
        assert!(document.contains(said), "{said} in {document}");
    }
    assert!(plain.contains("orders_total"), "{plain}");

    let (_, headers, _) = ask(get("/live"));
    let seconds = |name: &str| headers[name].to_str().unwrap().parse::<f64>().unwrap();
    assert!(seconds("obs-rendered-at") > 1.7e9 && seconds("obs-age") >= 0.0);
}

/// The values of a figure's first line by the second, as `/history` has them.
fn remembered(base: &str, figure: &str) -> Vec<f32> {
    let (_, _, file) = ask(ureq::get(format!("{base}/history")));
    let end = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let header: serde_json::Value = serde_json::from_slice(&file[..end]).unwrap();
    let count = usize::try_from(header["spans"][0]["count"].as_u64().unwrap()).unwrap();
    let mut lines = header["lines"].as_array().unwrap().iter();
    let Some(line) = lines.position(|line| line["figure"] == figure) else {
        return Vec::new();
    };
    let values = file[end..].chunks_exact(4).skip(line * count).take(count);
    values
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// The same, once it has shown something.
fn awaited(base: &str, figure: &str) -> Vec<f32> {
    let began = Instant::now();
    loop {
        let mut values = remembered(base, figure);
        values.retain(|value| value.is_finite());
        if !values.is_empty() {
            return values;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{figure}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The variable that makes this program a desk with an exporter, or one of several workers.
const EXPORTER: &str = "AGENT_TEST_EXPORTER";
const WORKER: &str = "AGENT_TEST_WORKER";

obs_core::families! {
    group "Quoting" {
        obs_core::Figure::rate("Quotes", QuoterMetrics::quotes),
        obs_core::Figure::curve("Open", obs_core::Reading::sum(QuoterMetrics::open), obs_core::Reading::constant(0.0)),
    }

    /// What the quoter does.
    struct QuoterMetrics {
        /// Quotes sent.
        quotes: obs_core::Counter = "quoter_quotes_total",
        /// Time to a quote.
        time: obs_core::Histogram = "quoter_quote_seconds" { buckets: &[0.1, 1.0] },
        /// Quotes that are open.
        open: obs_core::Gauge = "quoter_quotes_open" { across: obs_core::Across::Sum },
    }
}

/// Installs an exporter, records a little and waits to be killed.
fn export(path: &Path) -> ! {
    let path = path.to_str().unwrap();
    let variables = [
        ("OBS_MEMORY", path),
        ("OBS_NATIVE_HISTOGRAMS", "on"),
        ("OBS_MODE", "paper"),
    ];
    let config = obs_exporter::Config::from_vars(variables).unwrap();
    let builder = obs_exporter::Exporter::builder(obs_exporter::app_info!()).config(config);
    let exporter = builder.families::<QuoterMetrics>().install().unwrap();
    let quoter = QuoterMetrics::new();
    quoter.quotes.increment(1);
    quoter.time.record(0.05);
    quoter.open.set(3);
    assert!(exporter.render().contains("quoter_quotes_total"));
    println!("\nrecorded");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// A folder on tmpfs.
fn tmpfs() -> tempfile::TempDir {
    tempfile::TempDir::new_in("/dev/shm").unwrap()
}

/// The program's output, with its exit code.
fn obstool(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obstool"));
    let output = command.args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Waits until an agent of this place says that on its standard error.
fn says(place: &Path, wanted: &str) {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 2>&1", "sh"])
        .args([env!("CARGO_BIN_EXE_obstool"), "agent"])
        .args(["--listen", "127.0.0.1:0"])
        .arg(place);
    let mut agent = obs_tests::Process::start(&mut command).unwrap();
    agent
        .wait_for(wanted, |line| line.contains(wanted).then_some(()))
        .unwrap();
}

#[test]
fn what_is_not_watched_is_said_at_once() {
    let folder = tmpfs();
    let missing = folder.path().join("missing.obs");
    says(&missing, "missing.obs is not there");
    let stranger = folder.path().join("stranger.obs");
    std::fs::write(&stranger, "nothing of ours").unwrap();
    says(folder.path(), "stranger.obs holds no metrics");
    says(&stranger, "stranger.obs holds no metrics");

    // Before a loop hangs, and not when it does.
    let place = folder.path().to_str().unwrap();
    let (code, text) = obstool(&["agent", place, "--on-hang-url", "desk:8080/flatten"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("http://127.0.0.1:8080/flatten"), "{text}");
}

#[test]
fn an_agent_has_the_catalogue_of_its_processes() {
    if let Some(path) = std::env::var_os(EXPORTER) {
        export(Path::new(&path));
    }
    let folder = tmpfs();
    let desk = |name: &str| {
        let test = "an_agent_has_the_catalogue_of_its_processes";
        Desk::start_as(test, EXPORTER, &folder.path().join(name))
    };
    let (living, killed) = (desk("quoter.obs"), desk("other.obs"));
    drop(killed);
    let (_agent, url) = agent(folder.path(), &["--keep", "300"]);
    let base = url.strip_suffix("/metrics").unwrap();
    let json = obs_tests::scrape(&format!("{base}/catalog.json")).unwrap();
    let catalog = obs_verify::Catalog::read("catalog.json", &json).unwrap();
    let declared = obs_verify::Catalog::from(&obs_core::Catalogue::of(&[QuoterMetrics::FAMILIES]));
    for family in &declared.families {
        let served = catalog.family(&family.name).unwrap();
        assert_eq!(
            (
                served.kind,
                served.unit,
                &served.help,
                &served.buckets,
                &served.group
            ),
            (
                family.kind,
                family.unit,
                &family.help,
                &family.buckets,
                &family.group
            )
        );
        assert_eq!(served.labels[0].key, "process");
        // Each of the two processes may have as many.
        assert_eq!(served.budget, family.budget.map(|budget| 2 * budget));
    }
    let quoting = catalog.groups.iter().find(|group| group.title == "Quoting");
    assert_eq!(quoting.unwrap().figures.len(), 2);
    let app = catalog.app.as_ref().unwrap();
    assert_eq!(
        (app.name.as_str(), catalog.mode.as_deref()),
        ("obstool", Some("paper"))
    );
    assert_eq!(catalog.warnings, Vec::<serde_json::Value>::new());

    // What figures showed, of the agent itself and of those of the processes that only the page knows.
    assert!(
        awaited(base, "Processes")
            .iter()
            .all(|value| value.to_bits() == 1_f32.to_bits())
    );
    assert!(
        awaited(base, "Open")
            .iter()
            .all(|value| value.to_bits() == 6_f32.to_bits())
    );
    let curve = serde_json::from_str::<serde_json::Value>(&json).unwrap();
    let mut groups = curve["groups"].as_array().unwrap().iter();
    let quoting = groups.find(|group| group["title"] == "Quoting").unwrap();
    assert_eq!(quoting["figures"][1]["shows"], "curve");

    let (code, text) = obstool(&["verify", base]);
    assert_eq!(code, Some(0), "{text}");
    let boards = folder.path().join("boards");
    let (code, text) = obstool(&["gen", "dashboards", "--out", boards.to_str().unwrap(), base]);
    assert_eq!(code, Some(0), "{text}");
    let drawn = std::fs::read_dir(&boards).unwrap();
    let drawn = drawn.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert!(
        drawn
            .into_iter()
            .any(|board| board.contains("quoter_quotes_total"))
    );
    let (code, text) = obstool(&["top", "--once", base]);
    assert!(code == Some(0) && text.contains("\nQuoting\n"), "{text}");
    let scraped = scrape(&url);
    let of = |process| {
        [
            ("process", process),
            ("service", "obstool"),
            ("mode", "paper"),
        ]
    };
    for process in ["quoter", "other"] {
        assert_eq!(
            scraped.value("quoter_quotes_total", &of(process)),
            Some(1.0)
        );
        assert_eq!(
            scraped.value("quoter_quote_seconds_count", &of(process)),
            Some(1.0)
        );
        // By which alerts are routed.
        let is_up = scraped.value("obs_process_up", &of(process));
        assert_eq!(is_up, Some(f64::from(u8::from(process == "quoter"))));
    }
    drop(living);
}

/// Quotes over and over, until it is killed: each is counted, timed and counted as open.
fn quote(path: &Path) -> ! {
    let options = MemoryOptions::default().any_file_system(true);
    let builder = Engine::builder().memory(path, options);
    let engine = builder.native_histograms(true).build().unwrap();
    let quoter = metrics::with_local_recorder(&engine, QuoterMetrics::new);
    quoter.open.set(1);
    for number in 0_u64.. {
        quoter.quotes.increment(1);
        quoter.time.record(0.001 * (number % 4096) as f64);
        if number == 0 {
            println!("\nrecorded");
            std::io::stdout().flush().unwrap();
        }
    }
    std::process::exit(0)
}

/// What a dead worker counted: quotes and times.
fn counted(path: &Path) -> [u64; 2] {
    let reading = obs_memory::Reader::open(path).unwrap().read().unwrap();
    assert!(!reading.is_alive && reading.is_complete);
    let value = |name: &str| {
        let family = reading.families.iter().find(|family| family.name == name);
        match &family.unwrap().series[0].value {
            obs_memory::Value::Counter { number, .. } => *number,
            obs_memory::Value::Histogram { buckets, .. } => buckets.iter().sum(),
            other => panic!("{other:?}"),
        }
    };
    [value("quoter_quotes_total"), value("quoter_quote_seconds")]
}

#[test]
fn short_lived_workers_make_one_series_exact_over_kills() {
    const WORKERS: u64 = 8;
    if let Some(path) = std::env::var_os(WORKER) {
        quote(Path::new(&path));
    }
    let rounds = std::env::var("OBS_KILL_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let folder = tmpfs();
    // They are added to the totals at once.
    let (_agent, url) = agent(folder.path(), &["--keep", "0"]);
    let all = [("process", "quoter")];
    let mut sums = [0, 0];
    for round in 0..rounds {
        let path = |worker: u64| folder.path().join(format!("quoter@{round}-{worker}.obs"));
        let start = |worker| {
            let test = "short_lived_workers_make_one_series_exact_over_kills";
            Desk::start_as(test, WORKER, &path(worker))
        };
        let workers: Vec<_> = (0..WORKERS).map(start).collect();
        let living = scrape(&url);
        assert_eq!(living.value("obs_process_up", &all), Some(WORKERS as f64));
        assert_eq!(
            living.value("quoter_quotes_open", &all),
            Some(WORKERS as f64)
        );
        let before = living.value("quoter_quotes_total", &all).unwrap();
        for (number, worker) in (0..).zip(workers) {
            drop(worker);
            let [quotes, times] = counted(&path(number));
            assert!(times <= quotes && quotes <= times + 1, "{quotes} {times}");
            sums = [sums[0] + quotes, sums[1] + times];
        }
        let dead = scrape(&url);
        assert_eq!(dead.value("obs_process_up", &all), Some(0.0));
        assert_eq!(
            dead.value("quoter_quotes_total", &all),
            Some(sums[0] as f64),
            "round {round}"
        );
        assert_eq!(
            dead.value("quoter_quote_seconds_count", &all),
            Some(sums[1] as f64)
        );
        assert_eq!(dead.value("quoter_quotes_open", &all), None);
        assert!(sums[0] as f64 >= before);
    }
}

#[test]
fn workers_that_no_agent_saw_are_counted_over_kills() {
    const SIDE_BY_SIDE: u64 = 8;
    if let Some(path) = std::env::var_os(WORKER) {
        quote(Path::new(&path));
    }
    let folder = tmpfs();
    let mut number = 0;
    // Starts workers and kills them all, and says what they counted.
    let mut killed = |rounds: u64| {
        let mut sums = [0, 0];
        for _ in 0..rounds {
            let paths: Vec<_> = (number..number + SIDE_BY_SIDE)
                .map(|number| folder.path().join(format!("quoter@{number}.obs")))
                .collect();
            number += SIDE_BY_SIDE;
            let test = "workers_that_no_agent_saw_are_counted_over_kills";
            let start = |path| Desk::start_as(test, WORKER, path);
            let workers: Vec<_> = paths.iter().map(|path| start(path)).collect();
            drop(workers);
            for path in &paths {
                let [quotes, times] = counted(path);
                sums = [sums[0] + quotes, sums[1] + times];
            }
        }
        sums
    };
    let seen = |url: &str| {
        let scraped = scrape(url);
        let all = [("process", "quoter")];
        assert_eq!(scraped.value("obs_process_up", &all), Some(0.0));
        assert_eq!(scraped.value("obs_agent_refused_files", &[]), Some(0.0));
        let of = |name: &str| scraped.value(name, &all);
        [of("quoter_quotes_total"), of("quoter_quote_seconds_count")]
    };
    let mut sums = killed(13);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files < 50, "{files}");
    let (first, url) = agent(folder.path(), &["--keep", "0"]);
    assert_eq!(seen(&url), sums.map(|sum| Some(sum as f64)));
    // It sees those that end now, is stopped meanwhile, and sees what is left.
    for has_stopped in [false, true] {
        if has_stopped {
            first.pause().unwrap();
        }
        let more = killed(6);
        sums = [sums[0] + more[0], sums[1] + more[1]];
        if has_stopped {
            first.resume().unwrap();
        }
        assert_eq!(seen(&url), sums.map(|sum| Some(sum as f64)));
    }
    drop(first);
    let (_second, url) = agent(folder.path(), &["--keep", "0"]);
    assert_eq!(seen(&url), sums.map(|sum| Some(sum as f64)));
}
