//! A quoter to look at, whatever a test wants served, and the program that looks.

#![allow(dead_code, reason = "each of these tests uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread;

use obs_exporter::{Config, Exporter};

#[path = "../../examples/own_xtask/metrics.rs"]
pub(crate) mod metrics;

use metrics::{MoneyMetrics, QuoterMetrics};

/// What the program said, and how it ended.
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn obstool(arguments: &[&str]) -> Said {
    said(Command::new(env!("CARGO_BIN_EXE_obstool")).args(arguments))
}

pub(crate) fn said(command: &mut Command) -> Said {
    Said::from(command.output().unwrap())
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A quoter that has quoted on one venue: its host and port, and its socket.
pub(crate) fn quoter() -> &'static (String, String) {
    static QUOTER: OnceLock<(String, String)> = OnceLock::new();
    QUOTER.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let socket = folder.path().join("quoter.sock");
                let config = Config {
                    listen: "127.0.0.1:0".parse().unwrap(),
                    unix_socket: Some(socket.clone()),
                    ..Config::default()
                };
                let exporter = Exporter::builder(obs_exporter::app_info!())
                    .config(config)
                    .catalogue(metrics::catalogue())
                    .install()
                    .unwrap();
                let (quoter, money) = (QuoterMetrics::new("xnys"), MoneyMetrics::new());
                for i in 0..40 {
                    quoter.quotes[obs_core::Outcome::Ok].increment(1);
                    quoter.reaction.record(f64::from(i % 20) / 20.0);
                    money.spread.record(f64::from(i));
                }
                quoter.connected.set(1.0);
                money.held.of("USD").set(100.0);
                money.used.set(0.5);
                let server = exporter.serve().await.unwrap();
                let at = (
                    server.local_addr().to_string(),
                    socket.display().to_string(),
                );
                tell.send(at).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    })
}

/// Serves what is at paths, to clients with the token where there is one, until the tests end. Its address.
pub(crate) fn served(pages: Vec<(&'static str, String)>, token: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map_while(Result::ok);
            let request: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let Some(path) = request.first().and_then(|line| line.split(' ').nth(1)) else {
                continue;
            };
            let is_let_in = token.is_none_or(|token| {
                let credentials = format!("Bearer {token}");
                request.iter().any(|line| line.ends_with(&credentials))
            });
            let (status, body) = match pages.iter().find(|(at, _)| *at == path) {
                _ if !is_let_in => ("401 Unauthorized", ""),
                Some((_, body)) => ("200 OK", body.as_str()),
                None => ("404 Not Found", ""),
            };
            let kind = if body.starts_with('<') {
                "text/html"
            } else {
                "text/plain"
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
            );
            // Who has asked may have gone.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    address
}

/// What is at a path of the quoter.
pub(crate) fn of_quoter(path: &str) -> String {
    obs_tests::scrape(&format!("http://{}{path}", quoter().0)).unwrap()
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
