//! The layer around a plain tower service, served by hyper without a framework.

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use common::{ask, begin, settled};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use obs_core::TestRecorder;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::{BoxError, Layer, Service, service_fn};

/// Serves every connection with the service; says how each ended.
async fn serve<S, B>(service: S) -> (SocketAddr, mpsc::UnboundedReceiver<Ended>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Error: Into<BoxError>, Data: Send> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (ended, ends) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            let ended = ended.clone();
            tokio::spawn(async move {
                let ending = match tokio::spawn(connection).await {
                    Ok(Ok(())) => Ended::Well,
                    Ok(Err(error)) => Ended::Failed(error),
                    Err(error) => Ended::Panicked(error.is_panic()),
                };
                let _ = ended.send(ending);
            });
        }
    });
    (address, ends)
}

/// How a connection ended.
#[derive(Debug)]
enum Ended {
    Well,
    Failed(hyper::Error),
    Panicked(bool),
}

fn in_flight(test: &TestRecorder, method: &str) -> Option<f64> {
    test.gauge("http_requests_in_flight", &[("method", method)])
}

fn template(parts: &Parts) -> Option<&str> {
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/orders") => Some("/orders"),
        (_, path) if path.starts_with("/orders/") => Some("/orders/{id}"),
        _ => None,
    }
}

async fn echo<B: Body<Error: Into<BoxError>>>(
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let body = request.into_body().collect().await.map_err(Into::into)?;
    Ok(Response::new(Full::new(body.to_bytes())))
}

const CHUNKED: &str = "POST /orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
    transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

#[tokio::test]
async fn endpoints_are_what_the_user_says_and_else_unmatched() {
    let test = TestRecorder::new();
    let layer = test.run(obs_http::layer).endpoint_by(template);
    let (server, _ends) = serve(layer.layer(service_fn(echo::<Incoming>))).await;

    let head = "HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    ask(server, &format!("GET /orders/7 {head}\r\n")).await;
    ask(
        server,
        &format!("POST /orders {head}content-length: 2\r\n\r\nhi"),
    )
    .await;
    ask(server, &format!("GET /wp-login.php {head}\r\n")).await;
    settled(&test, 3).await;

    let count = |method, endpoint| {
        let labels = [
            ("method", method),
            ("endpoint", endpoint),
            ("status_code", "200"),
        ];
        test.counter("http_requests_total", &labels)
    };
    assert_eq!(count("GET", "/orders/{id}"), Some(1));
    assert_eq!(count("POST", "/orders"), Some(1));
    assert_eq!(count("GET", "unmatched"), Some(1));
    let labels = [("method", "POST"), ("endpoint", "/orders")];
    assert_eq!(
        test.samples("http_request_size_bytes", &labels),
        Some(vec![2.0])
    );
    assert_eq!(
        test.samples("http_response_size_bytes", &labels),
        Some(vec![2.0])
    );
}

#[tokio::test]
async fn a_chunked_request_is_counted_on_request_and_never_lost_in_silence() {
    let labels = [("method", "POST"), ("endpoint", "/orders")];

    let test = TestRecorder::new();
    let layer = test.run(obs_http::layer).endpoint_by(template);
    let (server, _ends) = serve(layer.layer(service_fn(echo::<Incoming>))).await;
    ask(server, CHUNKED).await;
    settled(&test, 1).await;
    assert_eq!(
        test.counter("http_request_size_unknown_total", &labels),
        Some(1)
    );
    assert_eq!(
        test.samples("http_request_size_bytes", &labels),
        Some(vec![])
    );

    let test = TestRecorder::new();
    let layer = test.run(obs_http::layer).endpoint_by(template);
    let service = layer.count_request_bodies().layer(service_fn(echo));
    let (server, _ends) = serve(service).await;
    let answer = ask(server, CHUNKED).await;
    assert!(answer.ends_with("hello"), "{answer}");
    settled(&test, 1).await;
    assert_eq!(
        test.counter("http_request_size_unknown_total", &labels),
        Some(0)
    );
    assert_eq!(
        test.samples("http_request_size_bytes", &labels),
        Some(vec![5.0])
    );
}

#[tokio::test]
async fn an_error_of_the_service_reaches_hyper_and_is_counted() {
    let test = TestRecorder::new();
    let fails = service_fn(async |_: Request<Incoming>| {
        Err::<Response<Full<Bytes>>, _>(std::io::Error::other("no ink left"))
    });
    let (server, mut ends) = serve(test.run(obs_http::layer).layer(fails)).await;

    assert_eq!(ask(server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await, "");
    settled(&test, 1).await;
    let labels = [
        ("method", "GET"),
        ("endpoint", "unmatched"),
        ("status_code", "server_error"),
    ];
    assert_eq!(test.counter("http_requests_total", &labels), Some(1));
    let labels = [("error_type", "server_error")];
    assert_eq!(test.counter_sum("http_errors_total", &labels), 1);
    let Some(Ended::Failed(error)) = ends.recv().await else {
        panic!("the connection ends with the error");
    };
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("no ink left"));
}

#[tokio::test]
async fn a_panic_passes_through() {
    let test = TestRecorder::new();
    let panics = service_fn(
        async |_: Request<Incoming>| -> Result<Response<Full<Bytes>>, Infallible> {
            panic!("as the test wants it")
        },
    );
    let (server, mut ends) = serve(test.run(obs_http::layer).layer(panics)).await;

    assert_eq!(ask(server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await, "");
    assert!(matches!(ends.recv().await, Some(Ended::Panicked(true))));
    settled(&test, 1).await;
    assert_eq!(
        test.counter_sum("http_requests_total", &[("status_code", "panic")]),
        1
    );
    assert_eq!(
        test.counter_sum("http_errors_total", &[("error_type", "panic")]),
        1
    );
}

#[tokio::test]
async fn a_client_that_goes_is_counted() {
    let test = TestRecorder::new();
    let (started, mut starts) = mpsc::unbounded_channel();
    let slow = service_fn(move |_: Request<Incoming>| {
        started.send(()).expect("the test waits");
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let (server, mut ends) = serve(test.run(obs_http::layer).layer(slow)).await;

    let client = begin(server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    starts.recv().await.expect("it has begun");
    assert_eq!(in_flight(&test, "GET"), Some(1.0));
    drop(client);
    settled(&test, 1).await;
    assert_eq!(
        test.counter_sum("http_requests_total", &[("status_code", "aborted")]),
        1
    );
    assert_eq!(
        test.counter_sum("http_errors_total", &[("error_type", "aborted")]),
        1
    );
    assert!(!matches!(
        ends.recv().await,
        Some(Ended::Panicked(_)) | None
    ));
}

#[tokio::test]
async fn a_connection_that_is_kept_ends_well() {
    let test = TestRecorder::new();
    let (server, mut ends) = serve(
        test.run(obs_http::layer)
            .layer(service_fn(echo::<Incoming>)),
    )
    .await;
    ask(
        server,
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(matches!(ends.recv().await, Some(Ended::Well)));
    settled(&test, 1).await;
}
