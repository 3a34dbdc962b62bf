//! A scrape over a Unix socket.
#![cfg(unix)]

use std::os::unix::net::UnixListener;
use std::path::Path;

use obs_exporter::{Config, RecorderKind, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

mod common;

fn config(path: &Path) -> Config {
    Config {
        unix_socket: Some(path.to_owned()),
        ..Config::default()
    }
}

/// The head and the body of an answer.
async fn ask(path: &Path, headers: &str) -> (String, String) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: desk\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn both_recorders_are_scraped_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    for recorder in [RecorderKind::Obs, RecorderKind::Stock] {
        let path = folder.path().join(recorder.as_str());
        let config = Config {
            recorder,
            basic_auth: Some(Secret::new("desk:hush")),
            allow_from: vec!["127.0.0.0/8".parse().unwrap()],
            ..config(&path)
        };
        let (_recorder, exporter) = common::exporter(config);
        let server = exporter.serve().await.unwrap();
        let (head, _) = ask(&path, "").await;
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        let (head, body) = ask(&path, "Authorization: Basic ZGVzazpodXNo\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let found = obs_exposition::parse(&body).unwrap();
        assert_eq!(found.sum("app_info", &[]), Some(1.0));
        assert_eq!(common::refused(&exporter, "no_credential"), 1);
        server.shutdown().await;
        assert!(!path.exists(), "the file goes with the server");
    }
}

#[tokio::test]
async fn an_abandoned_socket_gives_way_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("desk.sock");
    let (_recorder, exporter) = common::exporter(config(&path));
    let refusal = async || exporter.serve().await.unwrap_err().to_string();

    let listened_on = UnixListener::bind(&path).unwrap();
    let told = refusal().await;
    let expected = format!(
        "cannot listen on the Unix socket {}: address in use; set OBS_UNIX_SOCKET to a path where nothing is, in a folder that \
        this program may write to",
        path.display()
    );
    assert_eq!(told, expected);
    drop(listened_on);
    assert!(path.exists(), "nobody took it away");
    exporter.serve().await.unwrap().shutdown().await;

    std::fs::write(&path, "a ledger").unwrap();
    assert_eq!(refusal().await, expected);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a ledger");
    std::fs::remove_file(&path).unwrap();

    let elsewhere = folder.path().join("nowhere/desk.sock");
    let (_recorder, exporter) = common::exporter(config(&elsewhere));
    let told = exporter.serve().await.unwrap_err().to_string();
    assert!(told.contains("entity not found"), "{told}");
}
