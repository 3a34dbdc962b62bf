//! Pushing over OTLP to a receiver that is away, unwell, or of another opinion.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use metrics::Recorder;
use obs_exporter::{Config, Exporter, RecorderKind, Secret};
use obs_exposition::parse;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// Longer than any test, so that there is one interval at the start and one at the end.
const NEVER: Duration = Duration::from_hours(1);

/// What a request was: its path, its headers, its body.
type Request = (String, HeaderMap, Vec<u8>);

/// A receiver that gives these answers one after the other and then takes everything.
struct Receiver {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    received: Arc<Notify>,
}

impl Receiver {
    async fn start<const N: usize>(answers: [(u16, HeaderMap, Vec<u8>); N]) -> Self {
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let received = Arc::new(Notify::new());
        let (seen, notify) = (Arc::clone(&requests), Arc::clone(&received));
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let request = (uri.to_string(), headers, body.to_vec());
            seen.lock().unwrap().push(request);
            notify.notify_one();
            let next = answers.lock().unwrap().pop_front();
            let (status, headers, body) = next.unwrap_or((200, HeaderMap::new(), Vec::new()));
            std::future::ready((StatusCode::from_u16(status).unwrap(), headers, body))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(post(answer));
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self {
            url: format!("http://{address}"),
            requests,
            received,
        }
    }

    async fn until(&self, requests: usize) {
        while self.requests.lock().unwrap().len() < requests {
            self.received.notified().await;
        }
    }
}

fn answer(status: u16) -> (u16, HeaderMap, Vec<u8>) {
    (status, HeaderMap::new(), Vec::new())
}

fn exporter(config: Config) -> (impl Recorder, Exporter) {
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        otlp_interval: NEVER,
        ..config
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    builder.build().unwrap()
}

fn to(url: &str) -> Config {
    Config {
        otlp_url: Some(url.to_owned()),
        ..Config::default()
    }
}

/// How often a push failed, by severity.
fn failures(exporter: &Exporter, severity: &str) -> Option<f64> {
    let labels = [
        ("component", "exporter"),
        ("error_type", "push_failed"),
        ("severity", severity),
    ];
    parse(&exporter.render())
        .unwrap()
        .sum("errors_total", &labels)
}

#[tokio::test]
async fn a_receiver_that_is_unwell_is_sent_the_same_again() {
    let mut wait = HeaderMap::new();
    wait.insert("retry-after", "0".parse().unwrap());
    let answers = [
        (503, wait, Vec::new()),
        answer(429),
        answer(502),
        answer(504),
    ];
    let receiver = Receiver::start(answers).await;
    let headers = "Authorization=Bearer%20a=b, X-Scope-OrgID=desk";
    let config = Config {
        otlp_headers: Some(Secret::new(headers)),
        ..to(&receiver.url)
    };
    let (_recorder, exporter) = exporter(config);
    assert_eq!(failures(&exporter, "warning"), Some(0.0));
    let server = exporter.serve().await.unwrap();
    receiver.until(5).await;
    assert_eq!(failures(&exporter, "warning"), Some(4.0));
    assert_eq!(failures(&exporter, "error"), Some(0.0));
    server.shutdown().await;

    let requests = receiver.requests.lock().unwrap();
    // The interval until the end is another.
    assert_eq!(requests.len(), 6);
    for (path, headers, body) in requests.iter() {
        assert_eq!(path, "/v1/metrics");
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/x-protobuf");
        assert_eq!(header("content-encoding"), "gzip");
        assert_eq!(header("authorization"), "Bearer a=b");
        assert_eq!(header("x-scope-orgid"), "desk");
        assert!(body.starts_with(&[0x1f, 0x8b]), "gzip");
    }
    assert!(requests[..5].windows(2).all(|two| two[0].2 == two[1].2));
    assert_ne!(requests[4].2, requests[5].2);
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    // A partial success: 3 data points are rejected, because they are too old.
    let partial = b"\x0a\x0b\x08\x03\x12\x07too old".to_vec();
    let answers = [answer(400), (200, HeaderMap::new(), partial)];
    let receiver = Receiver::start(answers).await;
    let (_recorder, exporter) = exporter(to(&format!("{}/otlp/v1/metrics", receiver.url)));
    let server = exporter.serve().await.unwrap();
    receiver.until(1).await;
    server.shutdown().await;
    let requests = receiver.requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].0, "/otlp/v1/metrics");
    assert_eq!(failures(&exporter, "error"), Some(2.0));
    assert_eq!(failures(&exporter, "warning"), Some(0.0));
}

#[tokio::test]
async fn what_cannot_be_pushed_is_refused_at_the_start() {
    let refused = |config: Config| async {
        let (_recorder, exporter) = exporter(config);
        exporter.serve().await.unwrap_err().to_string()
    };
    let error = refused(to("http://desk:hush@collector")).await;
    assert!(
        error.starts_with("Config::otlp_url is empty or not acceptable"),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
    for url in [
        "collector:4318",
        "ftp://collector",
        "http://a b",
        "http://a/?b=c",
    ] {
        let error = refused(to(url)).await;
        assert!(
            error.contains("it takes the URL of a receiver"),
            "{url}: {error}"
        );
    }
    let without_url = Config {
        otlp_instance: Some("desk-1".into()),
        ..Config::default()
    };
    assert_eq!(
        refused(without_url).await,
        "OBS_OTLP_INSTANCE is set without OBS_OTLP_URL; set both or neither"
    );
    let of_stock = Config {
        recorder: RecorderKind::Stock,
        ..to("http://collector:4318")
    };
    let error = refused(of_stock).await;
    assert!(
        error.starts_with("OBS_OTLP_URL needs OBS_RECORDER=obs: "),
        "{error}"
    );
    let headers = Config {
        otlp_headers: Some(Secret::new("no header")),
        ..to("http://collector:4318")
    };
    let error = refused(headers).await;
    assert!(
        error.starts_with("Config::otlp_headers is empty or not"),
        "{error}"
    );
    let authorities = Config {
        otlp_ca: Some("/nowhere/ca.pem".into()),
        ..to("https://collector:4318")
    };
    let error = refused(authorities).await;
    assert!(
        error.contains("/nowhere/ca.pem, which OBS_OTLP_CA names"),
        "{error}"
    );
}

/// Answers one request over TLS, with a certificate of this authority for `localhost`.
async fn receive_encrypted(folder: &std::path::Path) -> (u16, tokio::task::JoinHandle<String>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(params, key).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust the authority comes no further.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut read = vec![0; 64 * 1024];
            let length = stream.read(&mut read).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            return String::from_utf8_lossy(&read[..length]).into_owned();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_receiver_is_spoken_to_encrypted_if_its_authority_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (port, asked) = receive_encrypted(folder.path()).await;
    let url = format!("https://localhost:{port}");
    // The system does not know this authority: nothing is sent, and it is tried again.
    let (_recorder, stranger) = exporter(to(&url));
    if let Ok(server) = stranger.serve().await {
        while failures(&stranger, "warning") == Some(0.0) {
            tokio::task::yield_now().await;
        }
        assert!(!asked.is_finished());
        drop(server);
    }
    let config = Config {
        otlp_ca: Some(folder.path().join("ca.pem")),
        ..to(&url)
    };
    let (_recorder, exporter) = exporter(config);
    let server = exporter.serve().await.unwrap();
    let request = asked.await.unwrap();
    assert!(
        request.starts_with("POST /v1/metrics HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: localhost:{port}\r\n")),
        "{request}"
    );
    assert_eq!(failures(&exporter, "warning"), Some(0.0));
    drop(server);
}
