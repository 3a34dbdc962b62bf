//! The server, over real connections.

use std::io::Read;
use std::sync::mpsc;

use axum::Router;
use axum::routing::get;
use metrics::Recorder;
use obs_exporter::{Config, Exporter, ExporterError, RecorderKind, Server};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY,
};
use reqwest::{Client, Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn exporter() -> (impl Recorder, Exporter) {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        max_scrapes: 16,
        ..Config::default()
    };
    Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .build()
        .unwrap()
}

async fn ask(server: &Server, method: Method, path: &str, encoding: &str) -> Response {
    let url = format!("http://{}{path}", server.local_addr());
    let request = Client::new()
        .request(method, url)
        .header(ACCEPT_ENCODING, encoding);
    request.send().await.unwrap()
}

fn header(response: &Response, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

const TEXT: Option<&str> = Some("text/plain; version=0.0.4; charset=utf-8");

#[tokio::test]
async fn metrics_are_served_plain_and_compressed() {
    let (recorder, exporter) = exporter();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("served_total", "to" => "日本").increment(7);
    });
    let server = exporter.serve().await.unwrap();

    let plain = ask(&server, Method::GET, "/metrics", "identity").await;
    assert_eq!(plain.status(), StatusCode::OK);
    assert_eq!(header(&plain, CONTENT_TYPE), TEXT);
    assert_eq!(header(&plain, CONTENT_ENCODING), None);
    assert_eq!(header(&plain, VARY), Some("accept, accept-encoding"));
    let plain = plain.text().await.unwrap();
    let count = |text: &str| {
        obs_exposition::parse(text)
            .unwrap()
            .sum("served_total", &[("to", "日本")])
    };
    assert_eq!(count(&plain), Some(7.0));

    let compressed = ask(&server, Method::GET, "/metrics", "br, gzip").await;
    assert_eq!(header(&compressed, CONTENT_TYPE), TEXT);
    assert_eq!(header(&compressed, CONTENT_ENCODING), Some("gzip"));
    let bytes = compressed.bytes().await.unwrap();
    assert!(
        bytes.len() < plain.len() / 2,
        "{} of {}",
        bytes.len(),
        plain.len()
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(count(&text), Some(7.0));

    let refused = ask(&server, Method::GET, "/metrics", "gzip;q=0").await;
    assert_eq!(header(&refused, CONTENT_ENCODING), None);
    assert_eq!(count(&refused.text().await.unwrap()), Some(7.0));
}

/// Read by a library of protobuf in the recorder's own tests, and by Prometheus in those of the workspace.
#[tokio::test]
async fn protobuf_is_served_to_clients_that_prefer_it() {
    const MESSAGES: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let (recorder, exporter) = exporter();
    metrics::with_local_recorder(&recorder, || metrics::counter!("a_total").increment(7));
    let server = exporter.serve().await.unwrap();
    let ask = async |accept: &str| {
        let url = format!("http://{}/metrics", server.local_addr());
        let request = Client::new().get(url).header(ACCEPT, accept);
        request.send().await.unwrap()
    };
    // What Prometheus 2.42 and 3.16 send where they are to read native histograms.
    for (rest, media_type) in [
        (";q=0.6,text/plain;version=0.0.4;q=0.2", MESSAGES.to_owned()),
        (
            ";escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5",
            format!("{MESSAGES}; escaping=underscores"),
        ),
    ] {
        let messages = ask(&format!("{}{rest}", MESSAGES.replace(' ', ""))).await;
        assert_eq!(header(&messages, CONTENT_TYPE), Some(media_type.as_str()));
        assert_eq!(header(&messages, VARY), Some("accept, accept-encoding"));
        let body = messages.bytes().await.unwrap();
        // A family is its length and its name, which is field 1.
        assert!(body.windows(9).any(|bytes| bytes == b"\x0a\x07a_total"));
    }
    let text = ask(&format!("{MESSAGES};q=0.1, text/plain")).await;
    assert_eq!(header(&text, CONTENT_TYPE), TEXT);
}

#[tokio::test]
async fn open_metrics_is_served_to_who_asks_for_it() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve().await.unwrap();
    let ask = async |server: &Server| {
        let url = format!("http://{}/metrics", server.local_addr());
        let request = Client::new().get(url).header(
            ACCEPT,
            "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
        );
        request.send().await.unwrap()
    };
    let open = ask(&server).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(header(&open, CONTENT_TYPE), Some(media_type));
    assert!(open.text().await.unwrap().ends_with("\n# EOF\n"));

    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        recorder: RecorderKind::Stock,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    let classic = ask(&server).await;
    assert_eq!(
        header(&classic, CONTENT_TYPE),
        TEXT,
        "the stock recorder has no other"
    );
    assert!(obs_exposition::parse(&classic.text().await.unwrap()).is_ok());
}

#[tokio::test]
async fn the_other_routes_answer_as_they_should() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve().await.unwrap();

    let health = ask(&server, Method::GET, "/healthz", "identity").await;
    assert_eq!(
        (health.status(), health.text().await.unwrap().as_str()),
        (StatusCode::OK, "ok\n")
    );

    let index = ask(&server, Method::GET, "/", "identity").await;
    assert_eq!(
        header(&index, CONTENT_TYPE),
        Some("text/html; charset=utf-8")
    );
    let index = index.text().await.unwrap();
    assert!(
        index.contains("href=\"metrics\"") && index.contains("href=\"healthz\""),
        "{index}"
    );

    let head = ask(&server, Method::HEAD, "/metrics", "identity").await;
    assert_eq!(
        (head.status(), header(&head, CONTENT_TYPE)),
        (StatusCode::OK, TEXT)
    );
    let length: usize = header(&head, CONTENT_LENGTH).unwrap().parse().unwrap();
    assert!(length > 1000, "{length}");
    assert_eq!(head.bytes().await.unwrap().len(), 0);

    let missing = ask(&server, Method::GET, "/metrics/", "identity").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(missing.text().await.unwrap().contains("/metrics"));

    let post = ask(&server, Method::POST, "/metrics", "identity").await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&post, ALLOW), Some("GET,HEAD"));
}

#[tokio::test]
async fn routes_are_mounted_in_an_application_with_state() {
    let (_recorder, exporter) = exporter();
    let app = Router::new()
        .route(
            "/",
            get(async |axum::extract::State(word): axum::extract::State<&'static str>| word),
        )
        .merge(exporter.router())
        .nest("/internal", exporter.router())
        .with_state("mine");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let body = async |path: &str| {
        let response = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        response.text().await.unwrap()
    };
    assert_eq!(body("/").await, "mine");
    assert_eq!(body("/healthz").await, "ok\n");
    assert!(body("/internal/metrics").await.contains("\napp_info{"));
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let config = Config {
        listen,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let error = exporter.serve().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {listen}: address in use; set OBS_LISTEN to another address, e.g. 127.0.0.1:0"
        )
    );
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_an_error_that_names_it() {
    let config = Config {
        // Set aside for documents, and so no machine's.
        listen: "192.0.2.1:9464".parse().unwrap(),
        allow_public: true,
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let error = exporter.serve().await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot listen on 192.0.2.1:9464: address not available; set OBS_LISTEN"),
        "{error}"
    );
}

#[test]
fn a_port_that_is_not_for_us_is_an_error_that_says_so() {
    // The user who runs the tests may be allowed any port, so that this is the message alone.
    let error = ExporterError::Listen {
        address: "127.0.0.1:80".parse().unwrap(),
        source: std::io::ErrorKind::PermissionDenied.into(),
    };
    assert_eq!(
        error.to_string(),
        "cannot listen on 127.0.0.1:80: permission denied; set OBS_LISTEN to another address, e.g. 127.0.0.1:0"
    );
}

#[test]
fn serving_without_a_runtime_is_an_error() {
    let (_recorder, exporter) = exporter();
    let served = futures_poll(exporter.serve());
    assert!(
        matches!(served, Some(Err(ExporterError::NoRuntime))),
        "{served:?}"
    );
}

/// Polls once, with nothing behind it.
fn futures_poll<F: Future>(future: F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn shutdown_finishes_the_scrape_under_way() {
    let (_recorder, exporter) = exporter();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let hook = std::sync::Mutex::new(Some((started, may_go_on)));
    exporter.on_scrape(move || {
        if let Some((started, may_go_on)) = hook.lock().unwrap().take() {
            started.send(()).unwrap();
            may_go_on.recv().unwrap();
        }
    });
    let server = exporter.serve().await.unwrap();
    let address = server.local_addr();
    let scrape = tokio::spawn(reqwest::get(format!("http://{address}/metrics")));
    has_started.await.unwrap();

    let shutdown = tokio::spawn(server.shutdown());
    // The listener closes before the scrape ends: connections are refused from some moment on.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished());
    go_on.send(()).unwrap();
    let response = scrape.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    obs_exposition::parse(&response.text().await.unwrap()).unwrap();
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_stops_listening() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve().await.unwrap();
    let address = server.local_addr();
    TcpStream::connect(address).await.unwrap();
    drop(server);
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_shutdown_for_the_grace_only() {
    let (recorder, exporter) = exporter();
    // More than the buffers of a connection hold.
    metrics::with_local_recorder(&recorder, || {
        metrics::describe_gauge!("large", "x".repeat(32 << 20));
        metrics::gauge!("large").set(1.0);
    });
    let server = exporter.serve().await.unwrap();
    let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
    client
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    client.read_u8().await.unwrap();
    // From now on, time passes as soon as nothing else can happen.
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    server.shutdown().await;
    let waited = start.elapsed();
    assert!(
        waited >= Server::GRACE && waited < Server::GRACE * 2,
        "{waited:?}"
    );
}

#[tokio::test]
async fn scrapes_at_the_same_time_are_rendered_one_by_one() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let (_recorder, exporter) = exporter();
    exporter.on_scrape(|| {
        assert_eq!(INSIDE.fetch_add(1, Ordering::SeqCst), 0);
        std::thread::yield_now();
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    });
    let server = exporter.serve().await.unwrap();
    let url = format!("http://{}/metrics", server.local_addr());
    let scrapes: Vec<_> = (0..16)
        .map(|_| tokio::spawn(reqwest::get(url.clone())))
        .collect();
    for scrape in scrapes {
        assert_eq!(scrape.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(
        INSIDE.load(Ordering::SeqCst),
        0,
        "a second rendering was inside at the same time"
    );
}

#[tokio::test]
async fn a_media_type_is_known_in_any_case() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve().await.unwrap();
    let url = format!("http://{}/metrics", server.local_addr());
    let accept = "Application/OpenMetrics-Text; Version=1.0.0";
    let answer = Client::new().get(url).header(ACCEPT, accept).send().await;
    let answer = answer.unwrap();
    let media_type = header(&answer, CONTENT_TYPE).unwrap();
    assert!(media_type.starts_with("application/openmetrics-text"));
}

/// Nobody in between keeps what is answered, and a name that a web page may make lead here is not answered.
#[tokio::test]
async fn a_web_page_of_another_name_reads_nothing() {
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        hosts: vec!["desk.example.net".to_owned()],
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(config);
    let (_recorder, exporter) = builder.build().unwrap();
    let server = exporter.serve().await.unwrap();
    for (host, status) in [
        ("127.0.0.1:9464", StatusCode::OK),
        ("[::1]:9464", StatusCode::OK),
        ("localhost", StatusCode::OK),
        ("desk:9464", StatusCode::OK),
        ("Desk.Example.Net:80", StatusCode::OK),
        ("attacker.example", StatusCode::MISDIRECTED_REQUEST),
        (
            "127.0.0.1.attacker.example:9464",
            StatusCode::MISDIRECTED_REQUEST,
        ),
    ] {
        let url = format!("http://{}/metrics", server.local_addr());
        let asked = Client::new().get(url).header(reqwest::header::HOST, host);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        let read = answer.text().await.unwrap().contains("app_info");
        assert_eq!(read, status == StatusCode::OK, "{host}");
    }
}

/// A supervisor that asks whether the process lives does not end one with positions because its only worker computes.
#[tokio::test]
async fn a_busy_runtime_does_not_hold_up_a_thread_of_its_own() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve_blocking().unwrap();
    // Blocks the runtime's only thread until it was answered.
    let mut stream = std::net::TcpStream::connect(server.local_addr()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\nok\n"), "{text}");
    server.shutdown();
}

#[test]
fn a_program_without_a_runtime_serves() {
    let (_recorder, exporter) = exporter();
    let server = exporter.serve_blocking().unwrap();
    let mut stream = std::net::TcpStream::connect(server.local_addr()).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("\napp_info{"), "{text}");
    let taken = Config {
        listen: server.local_addr(),
        ..Config::default()
    };
    let builder = Exporter::builder(obs_exporter::app_info!()).config(taken);
    let error = builder.build().unwrap().1.serve_blocking().unwrap_err();
    assert!(matches!(error, ExporterError::Listen { .. }), "{error}");
    server.shutdown();
}
