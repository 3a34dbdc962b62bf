//! The layer around axum, asked over real connections.

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use common::{ask, begin, settled};
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http_body_util::channel::{Channel, Sender};
use hyper_util::rt::TokioIo;
use obs_core::TestRecorder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// Measures an app and serves it on a free port.
async fn serve(app: Router) -> (TestRecorder, SocketAddr) {
    let test = TestRecorder::new();
    let app = app.layer(test.run(obs_http::layer));
    (test, listen(app).await)
}

async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

fn requests(test: &TestRecorder, method: &str, endpoint: &str, status: &str) -> Option<u64> {
    let labels = [
        ("method", method),
        ("endpoint", endpoint),
        ("status_code", status),
    ];
    test.counter("http_requests_total", &labels)
}

fn in_flight(test: &TestRecorder, method: &str) -> Option<f64> {
    test.gauge("http_requests_in_flight", &[("method", method)])
}

fn errors(test: &TestRecorder, error_type: &str) -> u64 {
    test.counter_sum("http_errors_total", &[("error_type", error_type)])
}

fn sizes(test: &TestRecorder, name: &str, method: &str, endpoint: &str) -> Vec<f64> {
    let labels = [("method", method), ("endpoint", endpoint)];
    test.samples(name, &labels).unwrap_or_default()
}

/// A handler that answers once with this body.
fn once(body: impl Into<Body>) -> axum::routing::MethodRouter {
    let body = Arc::new(Mutex::new(Some(body.into())));
    get(async move || body.lock().unwrap().take().expect("asked once"))
}

/// A body that is fed by the test.
fn channel() -> (Sender<Bytes>, Body) {
    let (sender, body) = Channel::<Bytes>::new(1);
    (sender, Body::new(body))
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).ends_with(end) {
        read.push(stream.read_u8().await.expect("more to come"));
    }
    String::from_utf8(read).expect("text")
}

#[tokio::test]
async fn every_request_counts_once_under_its_template() {
    let app = Router::new()
        .route("/orders/{id}", get(async || "an order"))
        .route(
            "/orders",
            post(async |order: Bytes| (StatusCode::CREATED, order)),
        );
    let (test, server) = serve(app).await;

    let mut stream = begin(server, "").await;
    for (request, end) in [
        ("GET /orders/1 HTTP/1.1\r\nhost: x\r\n\r\n", "an order"),
        ("GET /orders/2 HTTP/1.1\r\nhost: x\r\n\r\n", "an order"),
        (
            "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
            "hello",
        ),
        ("DELETE /orders/3 HTTP/1.1\r\nhost: x\r\n\r\n", "\r\n\r\n"),
        ("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n", "\r\n\r\n"),
        ("HEAD /orders/4 HTTP/1.1\r\nhost: x\r\n\r\n", "\r\n\r\n"),
        ("BREW /orders/5 HTTP/1.1\r\nhost: x\r\n\r\n", "\r\n\r\n"),
    ] {
        stream.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut stream, end).await;
    }
    settled(&test, 7).await;

    assert_eq!(requests(&test, "GET", "/orders/{id}", "200"), Some(2));
    assert_eq!(requests(&test, "POST", "/orders", "201"), Some(1));
    assert_eq!(requests(&test, "DELETE", "/orders/{id}", "405"), Some(1));
    assert_eq!(requests(&test, "GET", "unmatched", "404"), Some(1));
    assert_eq!(requests(&test, "HEAD", "/orders/{id}", "200"), Some(1));
    assert_eq!(requests(&test, "other", "/orders/{id}", "405"), Some(1));
    assert_eq!(errors(&test, "client_error"), 3);
    assert_eq!(errors(&test, "aborted"), 0);

    assert_eq!(
        sizes(&test, "http_request_size_bytes", "POST", "/orders"),
        [5.0]
    );
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "POST", "/orders"),
        [5.0]
    );
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "GET", "/orders/{id}"),
        [8.0, 8.0]
    );
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "HEAD", "/orders/{id}"),
        [0.0]
    );
    let labels = [
        ("method", "GET"),
        ("endpoint", "/orders/{id}"),
        ("status_class", "2xx"),
    ];
    let durations = test.samples("http_request_duration_seconds", &labels);
    assert_eq!(durations.map(|durations| durations.len()), Some(2));
}

#[tokio::test]
async fn nested_routers_give_the_whole_template() {
    let orders = Router::new().route("/{id}", get(async || "an order"));
    let quotes = Router::new().route("/{symbol}", get(async || "a quote"));
    let app = Router::new()
        .nest("/api/{version}/orders", orders)
        .nest_service("/quotes", quotes);
    let (test, server) = serve(app).await;

    for path in [
        "/api/v1/orders/7",
        "/api/v2/orders/8",
        "/api/v1/orders/7/fills",
        "/quotes/AAPL",
    ] {
        ask(
            server,
            &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
    }
    settled(&test, 4).await;
    assert_eq!(
        requests(&test, "GET", "/api/{version}/orders/{id}", "200"),
        Some(2)
    );
    assert_eq!(requests(&test, "GET", "unmatched", "404"), Some(1));
    // A service under a prefix has no template.
    assert_eq!(requests(&test, "GET", "unmatched", "200"), Some(1));
}

#[tokio::test]
async fn a_request_lasts_until_its_response_body_has_ended() {
    let (mut sender, body) = channel();
    let (test, server) = serve(Router::new().route("/stream", once(body))).await;

    let mut stream = begin(server, "GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut stream, "\r\n\r\n").await;
    sender.send_data(Bytes::from("hello ")).await.unwrap();
    read_until(&mut stream, "hello \r\n").await;
    // A snapshot shows nothing of it but that it is in flight.
    assert_eq!(in_flight(&test, "GET"), Some(1.0));
    assert_eq!(test.counter_sum("http_requests_total", &[]), 0);
    assert_eq!(test.series("http_request_duration_seconds"), 0);

    sender.send_data(Bytes::from("world")).await.unwrap();
    drop(sender);
    read_until(&mut stream, "0\r\n\r\n").await;
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/stream", "200"), Some(1));
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "GET", "/stream"),
        [11.0]
    );
    assert_eq!(test.series("http_request_duration_seconds"), 1);
    assert_eq!(errors(&test, "aborted"), 0);
}

#[tokio::test]
async fn a_stream_that_has_given_what_it_declared_is_not_aborted() {
    // The server asks for no more than the header says, and drops the body with its end unseen.
    let (mut sender, body) = channel();
    let response = Response::builder()
        .header(CONTENT_LENGTH, 5)
        .body(body)
        .unwrap();
    let response = Arc::new(Mutex::new(Some(response)));
    let handler = get(async move || response.lock().unwrap().take().expect("asked once"));
    let (test, server) = serve(Router::new().route("/file", handler)).await;

    let mut stream = begin(server, "GET /file HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sender.send_data(Bytes::from("hello")).await.unwrap();
    read_until(&mut stream, "hello").await;
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/file", "200"), Some(1));
    assert_eq!(errors(&test, "aborted"), 0);
    drop(sender);
}

#[tokio::test]
async fn a_client_that_goes_before_the_response_is_counted() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let handler = get(async move || {
        started.send(()).expect("the test waits");
        std::future::pending::<()>().await;
    });
    let (test, server) = serve(Router::new().route("/slow", handler)).await;

    let request = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    let clients = [begin(server, request).await, begin(server, request).await];
    starts.recv().await.expect("the first has begun");
    starts.recv().await.expect("the second has begun");
    assert_eq!(in_flight(&test, "GET"), Some(2.0));

    drop(clients);
    settled(&test, 2).await;
    assert_eq!(requests(&test, "GET", "/slow", "aborted"), Some(2));
    assert_eq!(errors(&test, "aborted"), 2);
    let labels = [
        ("method", "GET"),
        ("endpoint", "/slow"),
        ("status_class", "none"),
    ];
    let durations = test.samples("http_request_duration_seconds", &labels);
    assert_eq!(durations.map(|durations| durations.len()), Some(2));
    assert!(sizes(&test, "http_response_size_bytes", "GET", "/slow").is_empty());
}

#[tokio::test]
async fn a_client_that_goes_amid_the_body_is_counted() {
    let (mut sender, body) = channel();
    let (test, server) = serve(Router::new().route("/stream", once(body))).await;

    let mut stream = begin(server, "GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sender.send_data(Bytes::from("hello")).await.unwrap();
    read_until(&mut stream, "hello\r\n").await;
    drop(stream);
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/stream", "200"), Some(1));
    assert_eq!(errors(&test, "aborted"), 1);
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "GET", "/stream"),
        [5.0]
    );
    assert!(
        sender
            .send_data(Bytes::from("nobody listens"))
            .await
            .is_err()
    );
}

async fn panics() -> &'static str {
    panic!("as the test wants it")
}

#[tokio::test]
async fn a_panic_ends_the_connection_and_is_counted() {
    let (test, server) = serve(Router::new().route("/panic", get(panics))).await;
    let answer = ask(server, "GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(answer, "");
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/panic", "panic"), Some(1));
    assert_eq!((errors(&test, "panic"), errors(&test, "aborted")), (1, 0));
}

#[tokio::test]
async fn a_panic_that_is_caught_outside_is_a_panic_and_inside_a_response() {
    let request = "GET /panic HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let app = || Router::new().route("/panic", get(panics));

    let test = TestRecorder::new();
    let outside = app()
        .layer(test.run(obs_http::layer))
        .layer(CatchPanicLayer::new());
    let answer = ask(listen(outside).await, request).await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/panic", "panic"), Some(1));
    assert_eq!((errors(&test, "panic"), errors(&test, "aborted")), (1, 0));

    let (test, server) = serve(app().layer(CatchPanicLayer::new())).await;
    let answer = ask(server, request).await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/panic", "500"), Some(1));
    assert_eq!(
        (errors(&test, "panic"), errors(&test, "server_error")),
        (0, 1)
    );
}

#[tokio::test]
async fn a_timeout_inside_is_a_timeout_and_outside_an_abort() {
    let request = "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let app = || Router::new().route("/slow", get(std::future::pending::<()>));
    let timeout = |status| TimeoutLayer::with_status_code(status, Duration::from_millis(1));

    for status in [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT] {
        let (test, server) = serve(app().layer(timeout(status))).await;
        ask(server, request).await;
        settled(&test, 1).await;
        assert_eq!(requests(&test, "GET", "/slow", status.as_str()), Some(1));
        assert_eq!(errors(&test, "timeout"), 1);
        assert_eq!(test.counter_sum("http_errors_total", &[]), 1);
    }

    let test = TestRecorder::new();
    let outside = app()
        .layer(test.run(obs_http::layer))
        .layer(timeout(StatusCode::REQUEST_TIMEOUT));
    let answer = ask(listen(outside).await, request).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/slow", "aborted"), Some(1));
    assert_eq!(errors(&test, "aborted"), 1);
}

#[tokio::test]
async fn a_chunked_request_is_counted_as_it_is_read() {
    let app = Router::new()
        .route("/read", post(async |body: String| body))
        .route("/ignore", post(async || "no, thanks"));
    let (test, server) = serve(app).await;

    let chunks = "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n";
    for path in ["/read", "/ignore"] {
        let head = "host: x\r\nconnection: close\r\ntransfer-encoding: chunked";
        ask(
            server,
            &format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{chunks}"),
        )
        .await;
    }
    settled(&test, 2).await;
    assert_eq!(
        sizes(&test, "http_request_size_bytes", "POST", "/read"),
        [12.0]
    );
    assert_eq!(
        sizes(&test, "http_response_size_bytes", "POST", "/read"),
        [12.0]
    );
    // What nobody reads has no size.
    assert_eq!(
        sizes(&test, "http_request_size_bytes", "POST", "/ignore"),
        [0.0]
    );
    assert_eq!(test.counter_sum("http_request_size_unknown_total", &[]), 0);
}

#[tokio::test]
async fn an_upgrade_ends_when_the_connection_changes_hands() {
    async fn echo(mut request: Request) -> Response {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgrade.await.expect("upgraded"));
            let mut word = [0; 4];
            io.read_exact(&mut word).await.expect("a word");
            io.write_all(&word).await.expect("a listener");
        });
        let headers = [(CONNECTION, "upgrade"), (UPGRADE, "echo")];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
    let (test, server) = serve(Router::new().route("/socket", any(echo))).await;

    let head = "host: x\r\nconnection: upgrade\r\nupgrade: echo";
    let mut stream = begin(server, &format!("GET /socket HTTP/1.1\r\n{head}\r\n\r\n")).await;
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/socket", "101"), Some(1));
    assert_eq!(test.counter_sum("http_errors_total", &[]), 0);

    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read_until(&mut stream, "ping").await, "ping");
}

#[tokio::test]
async fn a_hundred_thousand_paths_make_one_series() {
    let test = TestRecorder::new();
    let app = Router::new()
        .route("/orders/{id}", get(async || "an order"))
        .layer(test.run(obs_http::layer));

    let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..100_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let request = Request::get(format!("/{random:x}"))
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404);
    }
    assert_eq!(requests(&test, "GET", "unmatched", "404"), Some(100_000));
    assert_eq!(test.series("http_requests_total"), 1);
    assert_eq!(errors(&test, "client_error"), 100_000);
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
}

#[tokio::test]
async fn a_scanner_that_invents_methods_makes_one_series() {
    let test = TestRecorder::new();
    let app = Router::new().layer(test.run(obs_http::layer));
    for n in 0..1_000 {
        let method = format!("SCAN{n}");
        let request = Request::builder()
            .method(method.as_str())
            .uri("/")
            .body(Body::empty());
        app.clone().oneshot(request.unwrap()).await.unwrap();
    }
    assert_eq!(requests(&test, "other", "unmatched", "404"), Some(1_000));
    assert_eq!(test.series("http_requests_total"), 1);
    assert_eq!(
        test.gauge("http_requests_in_flight", &[("method", "other")]),
        Some(0.0)
    );
}

#[tokio::test]
async fn routes_behind_the_layer_are_not_measured() {
    let test = TestRecorder::new();
    let app = Router::new()
        .route("/orders", get(async || "orders"))
        .layer(test.run(obs_http::layer))
        .route("/healthz", get(async || "well"));
    for path in ["/orders", "/healthz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(requests(&test, "GET", "/orders", "200"), Some(1));
    assert_eq!(test.series("http_requests_total"), 1);
}

/// A client declares more than there is in the world, and hangs up. No honest request is to be lost in that.
#[tokio::test]
async fn a_length_that_lies_does_not_spoil_the_sum() {
    let app = Router::new().route("/orders", post(async |body: Bytes| body.len().to_string()));
    let (test, server) = serve(app).await;
    let with = |length: u64, body: &str| {
        let head = format!("host: x\r\nconnection: close\r\ncontent-length: {length}");
        format!("POST /orders HTTP/1.1\r\n{head}\r\n\r\n{body}")
    };
    let lie = begin(server, &with(9_223_372_036_854_775_807, "hi")).await;
    drop(lie);
    for _ in 0..5 {
        ask(server, &with(10, "0123456789")).await;
    }
    let large = "x".repeat(100_000);
    ask(server, &with(100_000, &large)).await;
    settled(&test, 7).await;
    let mut sizes = sizes(&test, "http_request_size_bytes", "POST", "/orders");
    sizes.sort_by(f64::total_cmp);
    // Of the lie counts what came of it: a byte or two, or none where axum refused to read so much.
    assert!(sizes[0] <= 2.0, "{sizes:?}");
    assert_eq!(sizes[1..], [10.0, 10.0, 10.0, 10.0, 10.0, 100_000.0]);
}

#[tokio::test]
async fn a_layer_inside_of_another_counts_nothing() {
    let test = TestRecorder::new();
    let layer = || test.run(obs_http::layer);
    let orders = Router::new()
        .route("/{id}", get(async || "an order"))
        .layer(layer());
    let app = Router::new().nest("/orders", orders).layer(layer());
    let server = listen(app).await;
    for _ in 0..3 {
        let answer = ask(
            server,
            "GET /orders/7 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        );
        assert!(answer.await.ends_with("an order"));
    }
    settled(&test, 3).await;
    assert_eq!(requests(&test, "GET", "/orders/{id}", "200"), Some(3));
}

fn streams(test: &TestRecorder, protocol: &str) -> (Option<f64>, [Option<u64>; 2], usize) {
    let labels = [("endpoint", "/quotes"), ("protocol", protocol)];
    let closed = ["ended", "aborted"].map(|reason| {
        let labels = [labels[0], labels[1], ("reason", reason)];
        test.counter("http_streams_closed_total", &labels)
    });
    let times = test.samples("http_stream_duration_seconds", &labels);
    (
        test.gauge("http_streams_open", &labels),
        closed,
        times.unwrap_or_default().len(),
    )
}

/// It lasts as long as somebody listens, and no client ends it in any other way than by going: neither is an error.
#[tokio::test]
async fn an_event_stream_is_no_slow_request() {
    let (sender, body) = channel();
    let body = Arc::new(Mutex::new(Some(body)));
    let quotes = get(async move || {
        let body = body.lock().unwrap().take();
        let body = body.unwrap_or_else(|| Body::from("data: 1\n\n"));
        ([(http::header::CONTENT_TYPE, "text/event-stream")], body)
    });
    let (test, server) = serve(Router::new().route("/quotes", quotes)).await;
    let mut sender = sender;

    let head = "GET /quotes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = begin(server, head).await;
    sender.send_data(Bytes::from("data: 1\n\n")).await.unwrap();
    read_until(&mut stream, "data: 1\n\n").await;
    settled(&test, 1).await;
    assert_eq!(requests(&test, "GET", "/quotes", "200"), Some(1));
    assert_eq!(streams(&test, "sse"), (Some(1.0), [Some(0), Some(0)], 0));

    drop(stream);
    // The server finds out when it writes.
    while streams(&test, "sse").0 == Some(1.0) {
        let _ = sender.send_data(Bytes::from("data: 2\n\n")).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(streams(&test, "sse"), (Some(0.0), [Some(0), Some(1)], 1));
    assert!(ask(server, head).await.contains("data: 1"));
    settled(&test, 2).await;
    while streams(&test, "sse").1[0] == Some(0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(streams(&test, "sse"), (Some(0.0), [Some(1), Some(1)], 2));
    assert_eq!(test.counter_sum("http_errors_total", &[]), 0);
}

#[tokio::test]
async fn a_websocket_is_open_for_as_long_as_its_handler_runs() {
    async fn quotes(metrics: obs_http::WebSocketMetrics, mut request: Request) -> Response {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(metrics.run(async move {
            let mut io = TokioIo::new(upgrade.await.expect("upgraded"));
            // Until the client closes it.
            let _ = io.read_to_end(&mut Vec::new()).await;
        }));
        let headers = [(CONNECTION, "upgrade"), (UPGRADE, "websocket")];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
    let (test, server) = serve(Router::new().route("/quotes", any(quotes))).await;
    let head = "host: x\r\nconnection: upgrade\r\nupgrade: websocket";
    let mut stream = begin(server, &format!("GET /quotes HTTP/1.1\r\n{head}\r\n\r\n")).await;
    read_until(&mut stream, "\r\n\r\n").await;
    settled(&test, 1).await;
    while streams(&test, "websocket").0 != Some(1.0) {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while streams(&test, "websocket").0 == Some(1.0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        streams(&test, "websocket"),
        (Some(0.0), [Some(1), Some(0)], 1)
    );
}

/// Its matched path is another type, so the layer says that it cannot see the routes.
#[tokio::test]
async fn the_axum_before_is_told_from_a_route_that_is_missing() {
    let test = TestRecorder::new();
    let is_said = || {
        let warnings = obs_core::unseen_warnings();
        warnings
            .iter()
            .any(|warning| warning.text.contains("another version of axum"))
    };
    let measured = test.run(obs_http::layer);
    let ask = |uri: &str| {
        http::Request::get(uri)
            .body(axum_07::body::Body::empty())
            .unwrap()
    };
    let ours = Router::<()>::new().layer(measured.clone());
    let missing = http::Request::get("/none").body(Body::empty()).unwrap();
    ours.oneshot(missing).await.unwrap();
    assert!(!is_said());
    let other = axum_07::Router::<()>::new()
        .route("/orders", axum_07::routing::get(|| async { "order" }))
        .layer(measured);
    other.oneshot(ask("/orders")).await.unwrap();
    assert!(is_said());
}
