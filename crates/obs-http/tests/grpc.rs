//! gRPC by tonic, through the layer of a server and that of a client.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use obs_core::TestRecorder;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::ServiceBuilder;

const HEALTH: &str = "grpc.health.v1.Health";

/// A server of the health service, measured, and a channel to it.
struct Health {
    test: TestRecorder,
    channel: Channel,
}

impl Health {
    async fn start(layer: impl FnOnce() -> obs_http::HttpLayer) -> Self {
        let test = TestRecorder::new();
        let layer = test.run(layer);
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter
            .set_service_status("desk", ServingStatus::Serving)
            .await;
        let (address, incoming) = listen().await;
        let mut server = Server::builder().layer(layer.count_request_bodies());
        tokio::spawn(server.add_service(service).serve_with_incoming(incoming));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Self { test, channel }
    }

    fn count(&self, method: &str, code: &str) -> u64 {
        count(&self.test, "rpc_server_requests_total", method, code)
    }

    /// Waits until so many calls have ended, and holds the server to it.
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    async fn settled(&self, calls: u64) {
        let ended = || self.test.counter_sum("rpc_server_requests_total", &[]);
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while ended() < calls {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "{calls} calls have not ended");
        assert_eq!(ended(), calls);
        assert_eq!(in_flight(&self.test, "rpc_server_requests_in_flight"), 0.0);
    }
}

fn count(test: &TestRecorder, family: &str, method: &str, code: &str) -> u64 {
    test.counter_sum(family, &[("method", method), ("code", code)])
}

fn in_flight(test: &TestRecorder, family: &str) -> f64 {
    let services = [HEALTH, "other"];
    let of = |service| test.gauge(family, &[("rpc_service", service)]);
    services.into_iter().filter_map(of).sum()
}

async fn listen() -> (
    SocketAddr,
    impl futures_util::Stream<Item = std::io::Result<TcpStream>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = futures_util::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    (address, incoming)
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// A call of whatever method there may or may not be.
async fn call(channel: Channel, path: &'static str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(Request::new(of("desk")), path, codec).await;
    answer.map(drop)
}

/// grpc-rust#855 and #1824: the `grpc-status` of an error is a header, that of a success is a trailer, and a layer sees `200` for both.
#[tokio::test]
async fn calls_are_counted_by_service_method_and_code() {
    let health = Health::start(obs_http::layer).await;
    let mut client = HealthClient::new(health.channel.clone());
    client.check(of("desk")).await.unwrap();
    for _ in 0..5 {
        let missing = client.check(of("nothing")).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
    }
    // Clients choose these words: the first is no method, the second no name.
    for path in [
        "/no.Such/Method",
        "/grpc.health.v1.Health/Nothing",
        "/a%20b/c",
    ] {
        let unknown = call(health.channel.clone(), path).await.unwrap_err();
        assert_eq!(unknown.code(), Code::Unimplemented, "{path}");
    }
    health.settled(9).await;
    assert_eq!(health.count("Check", "OK"), 1);
    assert_eq!(health.count("Check", "NOT_FOUND"), 5);
    assert_eq!(health.count("other", "UNIMPLEMENTED"), 3);

    let class = |class| {
        let labels = [
            ("rpc_service", HEALTH),
            ("method", "Check"),
            ("code_class", class),
        ];
        let times = health
            .test
            .samples("rpc_server_request_duration_seconds", &labels);
        times.map(|times| times.len())
    };
    assert_eq!(class("ok"), Some(1));
    assert_eq!(class("client_error"), Some(5));
    let messages = |direction| {
        let labels = [("method", "Check"), ("direction", direction)];
        health
            .test
            .counter_sum("rpc_server_messages_total", &labels)
    };
    assert_eq!(messages("received"), 6);
    assert_eq!(messages("sent"), 1);
    // They are no requests of HTTP besides, which all have succeeded.
    assert_eq!(health.test.counter_sum("http_requests_total", &[]), 0);
}

#[tokio::test]
async fn methods_that_are_named_count_from_their_first_call() {
    let health = Health::start(|| obs_http::layer().rpc_methods(HEALTH, ["Check"])).await;
    assert_eq!(health.count("Check", "UNAVAILABLE"), 0);
    let labels = [
        ("rpc_service", HEALTH),
        ("method", "Check"),
        ("code", "INTERNAL"),
    ];
    assert_eq!(
        health.test.counter("rpc_server_requests_total", &labels),
        Some(0)
    );
    let mut client = HealthClient::new(health.channel.clone());
    client.check(of("nothing")).await.unwrap_err();
    health.settled(1).await;
    assert_eq!(health.count("Check", "NOT_FOUND"), 1);
}

/// A stream is in flight for as long as it is open, and the client ends it.
#[tokio::test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn a_stream_that_is_dropped_is_cancelled() {
    let health = Health::start(|| obs_http::layer().rpc_methods(HEALTH, ["Watch"])).await;
    let mut client = HealthClient::new(health.channel.clone());
    let mut watch = client.watch(of("desk")).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    assert_eq!(
        in_flight(&health.test, "rpc_server_requests_in_flight"),
        1.0
    );
    drop(watch);
    health.settled(1).await;
    assert_eq!(health.count("Watch", "CANCELLED"), 1);
}

/// A deadline that passes does not count as a caller that gave up.
#[tokio::test]
async fn a_deadline_that_passes_is_no_cancellation() {
    let health = Health::start(|| obs_http::layer().rpc_methods(HEALTH, ["Watch"])).await;
    let mut client = HealthClient::new(health.channel.clone());
    let mut request = Request::new(of("desk"));
    request.set_timeout(Duration::from_millis(50));
    let mut watch = client.watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_millis(100), watch.message())
        .await
        .map(|message| message.unwrap_err())
        .map_or_else(drop, drop);
    drop(watch);
    health.settled(1).await;
    assert_eq!(health.count("Watch", "DEADLINE_EXCEEDED"), 1);
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "whole numbers")]
async fn a_client_counts_what_it_is_answered() {
    let health = Health::start(obs_http::layer).await;
    let test = TestRecorder::new();
    let layer = test.run(obs_http::rpc_client_layer);
    let measured = ServiceBuilder::new()
        .layer(layer.clone())
        .service(health.channel.clone());
    let mut client = HealthClient::new(measured);
    client.check(of("desk")).await.unwrap();
    client.check(of("nothing")).await.unwrap_err();
    let mut watch = client.watch(of("desk")).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    assert_eq!(in_flight(&test, "rpc_client_requests_in_flight"), 1.0);
    drop(watch);

    // Nobody listens there.
    let (address, incoming) = listen().await;
    drop(incoming);
    let nowhere = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let measured = ServiceBuilder::new()
        .layer(layer)
        .service(nowhere.connect_lazy());
    let refused = HealthClient::new(measured)
        .check(of("desk"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    let of = |method, code| count(&test, "rpc_client_requests_total", method, code);
    assert_eq!(of("Check", "OK"), 1);
    assert_eq!(of("Check", "NOT_FOUND"), 1);
    assert_eq!(of("Watch", "CANCELLED"), 1);
    assert_eq!(of("Check", "UNAVAILABLE"), 1);
    assert_eq!(in_flight(&test, "rpc_client_requests_in_flight"), 0.0);
}

#[tokio::test]
async fn a_client_that_panics_is_an_internal_error() {
    let test = TestRecorder::new();
    let service = tower::service_fn(
        async |_: http::Request<String>| -> std::io::Result<http::Response<String>> {
            panic!("a client's own fault")
        },
    );
    let measured = tower::Layer::layer(&test.run(obs_http::rpc_client_layer), service);
    let request = http::Request::post(format!("/{HEALTH}/Check")).body(String::new());
    let call = tower::ServiceExt::oneshot(measured, request.unwrap());
    assert!(tokio::spawn(call).await.unwrap_err().is_panic());
    let failed = count(&test, "rpc_client_requests_total", "Check", "INTERNAL");
    assert_eq!(failed, 1);
}

/// What is in front of a service answers by HTTP: a proxy, a check of credentials.
#[tokio::test]
async fn answers_of_plain_http_have_the_code_that_clients_make_of_them() {
    for (status, code) in [
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (500, "UNKNOWN"),
        (200, "UNKNOWN"),
    ] {
        let test = TestRecorder::new();
        let service = tower::service_fn(move |_: http::Request<String>| {
            let answer = http::Response::builder().status(status);
            let answer = answer.body(String::new()).unwrap();
            std::future::ready(Ok::<_, std::io::Error>(answer))
        });
        let layer = test.run(|| obs_http::layer().rpc_methods(HEALTH, ["Check"]));
        let request = http::Request::post(format!("/{HEALTH}/Check"))
            .header("content-type", "application/grpc+proto")
            .body(String::new())
            .unwrap();
        let measured = tower::Layer::layer(&layer, service);
        tower::ServiceExt::oneshot(measured, request).await.unwrap();
        assert_eq!(
            count(&test, "rpc_server_requests_total", "Check", code),
            1,
            "{status}"
        );
    }
}
