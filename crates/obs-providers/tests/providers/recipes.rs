//! Calls by clients that this crate knows nothing of: another version of reqwest, a blocking client, tonic, and an SDK that hides its
//! own. To be copied.

use std::time::Duration;

use obs_core::TestRecorder;
use obs_providers::{Call, CallLayer, ErrorType, Provider, ProviderKind};
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use crate::common::{Hostile, nobody};

const LABELS: [(&str, &str); 1] = [("provider", "alpaca")];

/// reqwest 0.12: its types are not those of 0.13.
async fn by_reqwest_0_12(
    client: &reqwest_0_12::Client,
    provider: &Provider,
    url: String,
) -> Result<String, reqwest_0_12::Error> {
    let mut call = provider.call("bars");
    let answer = async {
        let response = client.get(url).send().await?;
        call.status(response.status().as_u16());
        call.limits(|name| response.headers().get(name)?.to_str().ok());
        response.text().await
    };
    // The URL of an error may hold a key.
    let result = answer.await.map_err(reqwest_0_12::Error::without_url);
    call.result(result, |error| {
        if error.is_timeout() && error.is_connect() {
            ErrorType::ConnectTimeout
        } else if error.is_timeout() {
            ErrorType::Timeout
        } else if error.is_connect() {
            ErrorType::Connect
        } else if error.is_body() || error.is_decode() {
            ErrorType::Body
        } else {
            ErrorType::Transport
        }
    })
}

/// ureq blocks, so that nothing is ever cancelled; a panic is still one.
fn by_ureq(agent: &ureq::Agent, provider: &Provider, url: &str) -> Result<String, ureq::Error> {
    let mut call = provider.call("bars");
    let answer = |call: &mut Call| {
        let mut response = agent.get(url).call()?;
        call.status(response.status().as_u16());
        call.limits(|name| response.headers().get(name)?.to_str().ok());
        response.body_mut().read_to_string()
    };
    let result = answer(&mut call);
    call.result(result, |error| match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            ErrorType::ConnectTimeout
        }
        ureq::Error::Timeout(ureq::Timeout::RecvBody) => ErrorType::ReadTimeout,
        ureq::Error::Timeout(_) => ErrorType::Timeout,
        ureq::Error::HostNotFound => ErrorType::Dns,
        ureq::Error::ConnectionFailed => ErrorType::Connect,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            ErrorType::Connect
        }
        ureq::Error::Protocol(_) | ureq::Error::Io(_) => ErrorType::Transport,
        _ => ErrorType::Unknown,
    })
}

/// What both must come to, by the path and how often.
fn assert_counted(test: &TestRecorder, provider: &Provider) {
    let outcome = |name| test.counter_sum("provider_requests_total", &[("outcome", name)]);
    let error = |name| test.counter_sum("provider_errors_total", &[("error_type", name)]);
    assert_eq!(
        (outcome("ok"), outcome("rate_limited"), outcome("error")),
        (1, 1, 3)
    );
    assert_eq!(
        (error("server_error"), error("forbidden"), error("connect")),
        (1, 1, 1)
    );
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(0.0)
    );
    assert!(provider.retry_after().is_some());
    let hits = test.counter("provider_rate_limit_hits_total", &LABELS);
    assert_eq!(hits, Some(1));
}

const PATHS: [&str; 4] = ["/ok", "/limited-wait", "/failing", "/forbidden"];

#[tokio::test]
async fn reqwest_0_12_is_measured_by_a_guard() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    let client = reqwest_0_12::Client::builder().no_proxy().build().unwrap();
    for path in PATHS {
        let url = hostile.url(path);
        by_reqwest_0_12(&client, &provider, url).await.unwrap();
    }
    let nowhere = format!("http://{}/?key=SECRET", nobody().await);
    let error = by_reqwest_0_12(&client, &provider, nowhere)
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("SECRET"));
    assert_counted(&test, &provider);
}

#[tokio::test]
async fn ureq_is_measured_by_a_guard() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    let mut urls: Vec<_> = PATHS.iter().map(|path| hostile.url(path)).collect();
    urls.push(format!("http://{}/", nobody().await));
    let measured = provider.clone();
    let calls = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let agent = ureq::Agent::new_with_config(config);
        let calls = urls.iter().map(|url| by_ureq(&agent, &measured, url));
        calls.flatten().count()
    });
    assert_eq!(calls.await.unwrap(), 4);
    assert_counted(&test, &provider);
}

/// Somebody else's crate: its client is its own, and of its answers it hands on what it likes.
mod sdk {
    #[derive(Debug)]
    pub(super) enum Error {
        Http(u16),
        Network,
    }

    pub(super) struct Client {
        http: reqwest_0_12::Client,
        base: String,
    }

    impl Client {
        pub(super) fn new(base: String) -> Self {
            let http = reqwest_0_12::Client::builder().no_proxy().build().unwrap();
            Self { http, base }
        }

        pub(super) async fn get(&self, path: &str) -> Result<String, Error> {
            let url = format!("{}{path}", self.base);
            let response = self
                .http
                .get(url)
                .send()
                .await
                .map_err(|_| Error::Network)?;
            match response.status().as_u16() {
                status @ 400.. => Err(Error::Http(status)),
                _ => response.text().await.map_err(|_| Error::Network),
            }
        }
    }
}

/// An SDK that cannot be changed: the guard goes around its method, and learns what its error says. The headers stay within, so that
/// how long to wait is what the documentation says.
async fn by_sdk(
    client: &sdk::Client,
    provider: &Provider,
    path: &str,
) -> Result<String, sdk::Error> {
    let call = provider.call("bars");
    match client.get(path).await {
        Err(error @ sdk::Error::Http(429)) => {
            call.rate_limited(Some(Duration::from_mins(1)));
            Err(error)
        }
        result => call.result(result, |error| match error {
            sdk::Error::Http(status) => ErrorType::of_code(*status).unwrap_or(ErrorType::Unknown),
            sdk::Error::Network => ErrorType::Connect,
        }),
    }
}

#[tokio::test]
async fn an_sdk_that_cannot_be_changed_is_measured_around_its_methods() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    let client = sdk::Client::new(hostile.url(""));
    for path in PATHS {
        let _ = by_sdk(&client, &provider, path).await;
    }
    let nowhere = sdk::Client::new(format!("http://{}", nobody().await));
    by_sdk(&nowhere, &provider, "/").await.unwrap_err();
    assert_counted(&test, &provider);
}

/// A channel of tonic whose calls are measured: what goes wrong stands in a header, for calls that are not streams.
fn measured(channel: Channel, provider: &Provider) -> impl Clone + GrpcService {
    let layer = CallLayer::new(
        provider,
        |request: &http::Request<tonic::body::Body>| match request.uri().path() {
            "/grpc.health.v1.Health/Check" => "check",
            "/grpc.health.v1.Health/Watch" => "watch",
            _ => "other",
        },
        |mut call: Call, result: &Result<http::Response<_>, tonic::transport::Error>| match result {
            Ok(response) => {
                call.headers();
                let code = response.headers().get("grpc-status");
                let code = code.map_or(0, |code| Code::from_bytes(code.as_bytes()).into());
                match ErrorType::of_grpc(code) {
                    None => call.ok(),
                    Some(ErrorType::RateLimited) => call.rate_limited(None),
                    Some(error) => call.error(error),
                }
            }
            Err(_) => call.error(ErrorType::Connect),
        },
    );
    ServiceBuilder::new().layer(layer).service(channel)
}

/// What clients of tonic take, for the body that channels have.
trait GrpcService:
    tonic::client::GrpcService<
        tonic::body::Body,
        ResponseBody = tonic::body::Body,
        Error = tonic::transport::Error,
        Future: Send,
    >
{
}

impl<S> GrpcService for S where
    S: tonic::client::GrpcService<
            tonic::body::Body,
            ResponseBody = tonic::body::Body,
            Error = tonic::transport::Error,
            Future: Send,
        >
{
}

#[tokio::test]
async fn tonic_is_measured_by_a_layer() {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("dydx", ProviderKind::Broker));
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("desk", ServingStatus::Serving)
        .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = futures_util::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    // One of its calls asks too much.
    let refuses =
        tonic::service::interceptor::InterceptorLayer::new(|request: tonic::Request<()>| {
            match request.metadata().get("busy") {
                Some(_) => Err(tonic::Status::resource_exhausted("not so often")),
                None => Ok(request),
            }
        });
    let server = Server::builder().layer(refuses).add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming));

    let channel = |url: String| Endpoint::from_shared(url).unwrap().connect_lazy();
    let channel_of = channel(format!("http://{address}"));
    let mut client = HealthClient::new(measured(channel_of, &provider));
    let of = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    client.check(of("desk")).await.unwrap();
    client.check(of("nothing")).await.unwrap_err();
    let mut busy = tonic::Request::new(of("desk"));
    busy.metadata_mut().insert("busy", "yes".parse().unwrap());
    client.check(busy).await.unwrap_err();
    // A stream is a call until it opens; what comes by it is a feed's.
    client.watch(of("desk")).await.unwrap();
    let nowhere = channel(format!("http://{}", nobody().await));
    let mut nowhere = HealthClient::new(measured(nowhere, &provider));
    nowhere.check(of("desk")).await.unwrap_err();

    let calls = |endpoint, outcome| {
        let labels = [("endpoint", endpoint), ("outcome", outcome)];
        test.counter_sum("provider_requests_total", &labels)
    };
    let of_checks = ["ok", "rate_limited", "error"].map(|outcome| calls("check", outcome));
    assert_eq!(of_checks, [1, 1, 2]);
    assert_eq!(calls("watch", "ok"), 1);
    let errors = |kind| test.counter_sum("provider_errors_total", &[("error_type", kind)]);
    assert_eq!((errors("not_found"), errors("connect")), (1, 1));
    let hits = test.counter("provider_rate_limit_hits_total", &[("provider", "dydx")]);
    assert_eq!(hits, Some(1));
}
