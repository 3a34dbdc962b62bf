//! A client that asks for gzip reads a scrape whole, with an inflater that nobody here wrote: at first, from pages that were packed before, and
//! where one of them is packed anew.

use std::process::Command;

use metrics::{Counter, Key, Label, Level, Metadata, Recorder};
use obs_exporter::{Config, Exporter};

obs_core::label! {
    /// What is traded.
    open Symbol as "symbol" up to 10_000
}

obs_core::families! {
    /// Counters enough for many pages.
    struct Packed {
        /// Orders by symbol.
        orders: obs_core::Each<Symbol, obs_core::Counter> = "packed_orders_total" { budget: 10_000 },
    }
}

const METADATA: Metadata<'static> = Metadata::new("packed", Level::INFO, None);
const SERIES: u64 = 10_000;

/// How many series a text has, and what they add up to.
fn read(text: &str) -> (u64, u64) {
    let values = text.lines().filter_map(|line| {
        let (_, series) = line.split_once("packed_orders_total{")?;
        series.rsplit(' ').next()?.parse::<u64>().ok()
    });
    values.fold((0, 0), |(series, sum), value| (series + 1, sum + value))
}

/// What a program prints, which has to succeed.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What each client makes of the page.
fn readings(url: &str) -> [(&'static str, String); 5] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scrape.gz").display().to_string();
    said(
        "curl",
        &["-sf", "-H", "Accept-Encoding: gzip", url, "-o", &file],
    );
    // The check sum and the length, and nothing behind them.
    said("gzip", &["-t", &file]);
    let node = format!("fetch('{url}').then(r => r.text()).then(t => process.stdout.write(t))");
    let python = "import sys, zlib\n\
        one = zlib.decompressobj(31)\n\
        text = one.decompress(open(sys.argv[1], 'rb').read())\n\
        assert one.eof and not one.unused_data\n\
        sys.stdout.buffer.write(text)";
    [
        ("gzip", said("gzip", &["-dc", &file])),
        ("curl", said("curl", &["-sf", "--compressed", url])),
        ("Node.js", said("node", &["-e", &node])),
        ("Python", said("python3", &["-c", python, &file])),
        (
            "Chromium",
            said(
                "chromium",
                &["--headless", "--no-sandbox", "--dump-dom", url],
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_gzip_reads_a_scrape_whole() {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (recorder, exporter) = builder.families::<Packed>().build().unwrap();
    let counter = |number: u64| -> Counter {
        let labels = vec![Label::new("symbol", format!("S{number} \"é\""))];
        let key = Key::from_parts("packed_orders_total", labels);
        let counter = recorder.register_counter(&key, &METADATA);
        counter.increment(number);
        counter
    };
    let counters: Vec<_> = (0..SERIES).map(counter).collect();
    let server = exporter.serve().await.unwrap();
    let url = format!("http://{}/metrics", server.local_addr());
    let asked = tokio::task::spawn_blocking(move || {
        let total = SERIES * (SERIES - 1) / 2;
        for more in [0, 0, 5] {
            counters[7_777].increment(more);
            for (client, text) in readings(&url) {
                assert_eq!(read(&text), (SERIES, total + more), "{client}");
            }
        }
    });
    asked.await.unwrap();
    server.shutdown().await;
}
