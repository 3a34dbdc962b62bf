//! Who may read metrics, over real connections.

mod common;

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use common::{exporter, refused};
use obs_exporter::{Config, Exporter, Secret};
use reqwest::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use tokio::net::TcpListener;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

async fn ask(address: SocketAddr, path: &str, authorization: Option<&str>) -> Response {
    let mut request = Client::new().get(format!("http://{address}{path}"));
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.send().await.unwrap()
}

async fn status(address: SocketAddr, path: &str, authorization: Option<&str>) -> StatusCode {
    ask(address, path, authorization).await.status()
}

fn challenges(response: &Response) -> Vec<&str> {
    let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

const BEARER: Option<&str> = Some("Bearer correct-horse");
const BASIC: Option<&str> = Some("Basic c2NyYXBlcjpwdw==");

#[tokio::test]
async fn metrics_and_the_index_need_a_credential_and_health_does_not() {
    let (_recorder, exporter) = exporter(Config {
        bearer_token: Some(Secret::new("correct-horse")),
        basic_auth: Some(Secret::new("scraper:pw")),
        ..Config::default()
    });
    let server = exporter.serve().await.unwrap();
    let address = server.local_addr();
    for path in ["/metrics", "/"] {
        assert_eq!(status(address, path, BEARER).await, StatusCode::OK);
        assert_eq!(status(address, path, BASIC).await, StatusCode::OK);
        let refused = ask(address, path, None).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(
            challenges(&refused),
            ["Bearer", "Basic realm=\"metrics\", charset=\"UTF-8\""]
        );
        let text = refused.text().await.unwrap();
        assert_eq!(text, "metrics are served to those who show who they are\n");
        let wrong = status(address, path, Some("Bearer wrong")).await;
        assert_eq!(wrong, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(status(address, "/healthz", None).await, StatusCode::OK);
    let missing = status(address, "/elsewhere", None).await;
    assert_eq!(missing, StatusCode::NOT_FOUND);
    assert_eq!(refused(&exporter, "no_credential"), 2);
    assert_eq!(refused(&exporter, "wrong_credential"), 2);
    assert_eq!(refused(&exporter, "address"), 0);
}

#[tokio::test]
async fn credentials_are_read_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "correct-horse\n").unwrap();
    let config = [
        ("OBS_LISTEN", "127.0.0.1:0"),
        ("OBS_BEARER_TOKEN_FILE", path.to_str().unwrap()),
    ];
    let (_recorder, exporter) = exporter(Config::from_vars(config).unwrap());
    let server = exporter.serve().await.unwrap();
    let address = server.local_addr();
    assert_eq!(status(address, "/metrics", BEARER).await, StatusCode::OK);
    let refused = ask(address, "/metrics", None).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(challenges(&refused), ["Bearer"]);
}

#[test]
fn a_credential_that_cannot_be_had_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let cases = [
        (
            Secret::file("/nowhere/token"),
            "cannot read /nowhere/token, which OBS_BEARER_TOKEN_FILE names: entity not found",
        ),
        (
            Secret::file(&empty),
            "empty, which OBS_BEARER_TOKEN_FILE names, is empty or not acceptable",
        ),
        (
            Secret::new(""),
            "Config::bearer_token is empty or not acceptable",
        ),
    ];
    for (secret, expected) in cases {
        let config = Config {
            bearer_token: Some(secret),
            ..Config::default()
        };
        let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
        let Err(error) = builder.build() else {
            panic!("started although {expected}");
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn only_allowed_networks_are_served() {
    let serve = async |allow: &str| {
        let (recorder, exporter) = exporter(Config {
            allow_from: vec![allow.parse().unwrap()],
            ..Config::default()
        });
        let server = exporter.serve().await.unwrap();
        (recorder, exporter, server)
    };
    let (_recorder, exporter, server) = serve("192.0.2.0/24").await;
    let address = server.local_addr();
    let metrics = status(address, "/metrics", None).await;
    assert_eq!(metrics, StatusCode::FORBIDDEN);
    assert_eq!(status(address, "/healthz", None).await, StatusCode::OK);
    assert_eq!(refused(&exporter, "address"), 1);

    let (_recorder, _exporter, server) = serve("127.0.0.0/8").await;
    let metrics = status(server.local_addr(), "/metrics", None).await;
    assert_eq!(metrics, StatusCode::OK);
}

#[tokio::test]
async fn mounted_routes_ask_the_same() {
    let (_recorder, exporter) = exporter(Config {
        bearer_token: Some(Secret::new("correct-horse")),
        allow_from: vec!["127.0.0.1/32".parse().unwrap()],
        ..Config::default()
    });
    let books = exporter.protect(Router::new().route("/books", get("mine")));
    let app = exporter
        .router()
        .merge(books)
        .route("/", get("everybody's"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let known = app
        .clone()
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, known).await });
    for path in ["/metrics", "/books"] {
        assert_eq!(status(address, path, BEARER).await, StatusCode::OK);
        let refused = status(address, path, None).await;
        assert_eq!(refused, StatusCode::UNAUTHORIZED);
    }
    for path in ["/", "/healthz"] {
        assert_eq!(status(address, path, None).await, StatusCode::OK);
    }
    assert_eq!(refused(&exporter, "no_credential"), 2);

    // Nobody says where requests come from: then from no allowed address.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let unknown = status(address, "/metrics", BEARER).await;
    assert_eq!(unknown, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_credential_or_a_word() {
    let serve = async |config: Config| {
        let config = Config {
            listen: "0.0.0.0:0".parse().unwrap(),
            ..config
        };
        let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
        let (_recorder, exporter) = builder.build().unwrap();
        exporter.serve().await
    };
    let error = serve(Config::default()).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "OBS_LISTEN is 0.0.0.0:0, where others can read what this program earns without saying who they are; \
        set OBS_BEARER_TOKEN_FILE, OBS_BASIC_AUTH_FILE or OBS_TLS_CLIENT_CA, or OBS_ALLOW_PUBLIC=true if that is meant"
    );
    // An address says where a packet came from, not who sent it.
    let listed = Config {
        allow_from: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    assert!(serve(listed).await.is_err());
    let meant = Config {
        allow_public: true,
        ..Config::default()
    };
    assert!(serve(meant).await.is_ok());
    let asked = Config {
        bearer_token: Some(Secret::new("correct-horse")),
        ..Config::default()
    };
    assert!(serve(asked).await.is_ok());
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0, "{}={value:?}", field.name()).unwrap();
    }
}

#[tokio::test]
async fn nothing_shows_a_credential() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    let _logging = tracing::subscriber::set_default(subscriber);

    let (_recorder, exporter) = exporter(Config {
        bearer_token: Some(Secret::new("correct-horse")),
        basic_auth: Some(Secret::new("scraper:battery-staple")),
        ..Config::default()
    });
    let server = exporter.serve().await.unwrap();
    let address = server.local_addr();
    let answer = ask(address, "/metrics", Some("Bearer correct-horsf")).await;
    let answer = format!(
        "{:?} {}",
        answer.headers().clone(),
        answer.text().await.unwrap()
    );
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("reason=wrong_credential\n"), "{log}");
    assert!(log.contains("peer=127.0.0.1:"), "{log}");
    let shown = format!(
        "{log} {answer} {exporter:?} {server:?} {}",
        exporter.render()
    );
    for secret in ["horse", "horsf", "battery", "c2NyYXBlcj"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_every_user_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "correct-horse").unwrap();
    let report = |mode: u32| {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let log = Log::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        tracing::subscriber::with_default(subscriber, || {
            exporter(Config {
                bearer_token: Some(Secret::file(&path)),
                ..Config::default()
            })
        });
        log.0.lock().unwrap().clone()
    };
    assert_eq!(report(0o640), "");
    let report = report(0o644);
    assert!(report.contains("every user of this machine"), "{report}");
    assert!(report.contains("OBS_BEARER_TOKEN_FILE"), "{report}");
    assert!(!report.contains("horse"), "{report}");
}
