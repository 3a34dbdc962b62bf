//! Encryption and clients' certificates, over real connections.

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{exporter, refused};
use obs_exporter::{Config, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An authority, with the certificates of a server and of a client that it signed.
struct Paper {
    directory: TempDir,
}

impl Paper {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        put("ca.pem", authority.pem());
        for name in ["localhost", "client"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.not_after = date_time_ymd(2100, 1, 1);
            let certificate = params.signed_by(&key, &authority).unwrap();
            put(&format!("{name}.pem"), certificate.pem());
            put(&format!("{name}.key"), key.serialize_pem());
        }
        put("garbage", "no certificate".to_owned());
        put(
            "broken",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
        );
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> Config {
        Config {
            tls_cert: Some(self.path("localhost.pem")),
            tls_key: Some(self.path("localhost.key")),
            ..Config::default()
        }
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_file(self.path(name)).unwrap()]
    }

    /// A client that knows the authority, and perhaps shows a certificate.
    fn client(&self, shows_certificate: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain("ca.pem").remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let client = if shows_certificate {
            let key = PrivateKeyDer::from_pem_file(self.path("client.key")).unwrap();
            client
                .with_client_auth_cert(self.chain("client.pem"), key)
                .unwrap()
        } else {
            client.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(client))
    }
}

/// What the server answers to a scrape over TLS.
async fn scrape(server: &Server, client: TlsConnector) -> std::io::Result<String> {
    let stream = TcpStream::connect(server.local_addr()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = client.connect(name, stream).await?;
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn metrics_are_served_encrypted_and_not_in_clear() {
    let paper = Paper::new();
    let (recorder, exporter) = exporter(paper.config());
    metrics::with_local_recorder(&recorder, || {
        // Many records of TLS.
        metrics::describe_gauge!("large", "x".repeat(1 << 20));
        metrics::gauge!("large").set(1.0);
    });
    let server = exporter.serve().await.unwrap();
    let answer = scrape(&server, paper.client(false)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(obs_exposition::parse(body).is_ok());
    assert_eq!(refused(&exporter, "tls"), 0);

    let mut clear = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    clear.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // An alert, or nothing after a reset.
    let _ = clear.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(refused(&exporter, "tls"), 1);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_where_one_is_asked_for() {
    let paper = Paper::new();
    let config = Config {
        tls_client_ca: Some(paper.path("ca.pem")),
        ..paper.config()
    };
    let (_recorder, exporter) = exporter(config);
    let server = exporter.serve().await.unwrap();
    assert!(scrape(&server, paper.client(false)).await.is_err());
    // Signed, but by somebody else.
    let stranger = Paper::new();
    assert!(scrape(&server, stranger.client(true)).await.is_err());
    let answer = scrape(&server, paper.client(true)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(refused(&exporter, "tls"), 2);
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused() {
    let (paper, stranger) = (Paper::new(), Paper::new());
    let config = Config {
        tls_client_ca: Some(stranger.path("ca.pem")),
        ..paper.config()
    };
    let (_recorder, exporter) = exporter(config);
    let server = exporter.serve().await.unwrap();
    assert!(scrape(&server, paper.client(true)).await.is_err());
    assert_eq!(refused(&exporter, "tls"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_greet_is_cut_off() {
    let paper = Paper::new();
    let (_recorder, exporter) = exporter(paper.config());
    let server = exporter.serve().await.unwrap();
    let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    assert!(start.elapsed() >= Server::ASK);
    assert_eq!(refused(&exporter, "tls"), 1);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_an_error_that_names_it() {
    let paper = Paper::new();
    let cases = [
        (
            Config {
                tls_cert: Some(paper.path("missing")),
                ..paper.config()
            },
            "missing, which OBS_TLS_CERT names: ",
        ),
        (
            Config {
                tls_cert: Some(paper.path("garbage")),
                ..paper.config()
            },
            "garbage, which OBS_TLS_CERT names: it holds no certificate; it takes the server's certificate",
        ),
        (
            Config {
                tls_key: Some(paper.path("garbage")),
                ..paper.config()
            },
            "garbage, which OBS_TLS_KEY names: ",
        ),
        (
            Config {
                tls_key: Some(paper.path("client.key")),
                ..paper.config()
            },
            "client.key, which OBS_TLS_KEY names: ",
        ),
        (
            Config {
                tls_client_ca: Some(paper.path("broken")),
                ..paper.config()
            },
            "broken, which OBS_TLS_CLIENT_CA names: ",
        ),
        (
            Config {
                tls_key: None,
                ..paper.config()
            },
            "OBS_TLS_CERT is set without OBS_TLS_KEY; set both or neither",
        ),
        (
            Config {
                tls_cert: None,
                ..paper.config()
            },
            "OBS_TLS_KEY is set without OBS_TLS_CERT",
        ),
        (
            Config {
                tls_client_ca: Some(paper.path("ca.pem")),
                ..Config::default()
            },
            "OBS_TLS_CLIENT_CA is set without OBS_TLS_CERT",
        ),
    ];
    for (config, expected) in cases {
        let (_recorder, exporter) = exporter(config);
        let error = exporter.serve().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_is_a_metric() {
    let paper = Paper::new();
    let (_recorder, exporter) = exporter(paper.config());
    let server = exporter.serve().await.unwrap();
    let answer = scrape(&server, paper.client(false)).await.unwrap();
    let is_it = |line: &&str| line.starts_with("obs_certificate_expiry_timestamp_seconds");
    let shown = answer.lines().find(is_it);
    assert!(
        shown.is_some_and(|line| line.ends_with(" 4102444800")),
        "{shown:?}"
    );
    server.shutdown().await;
}
