//! Whatever a provider does, the call counts once, as what it was.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Hostile, PATIENCE, nobody, plain_client};
use hyper_util::client::legacy::connect::HttpConnector;
use obs_core::{Closed, TestRecorder};
use obs_providers::{CallOutcome, Decode, Endpoint, ErrorType, Provider, ProviderKind};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::decompression::Decompression;

const LABELS: [(&str, &str); 1] = [("provider", "hostile")];

/// The most a body may have in these tests.
const MAX_BODY: u64 = 1 << 20;

/// A provider under a recorder of its own, and a client that is measured by it.
fn measured() -> (TestRecorder, Provider, ClientWithMiddleware) {
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("hostile", ProviderKind::MarketData);
        builder
            .rate_limit_status(418)
            .max_body(MAX_BODY)
            .build()
            .unwrap()
    });
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .with(Gunzip)
        .build();
    (test, provider, client)
}

/// What reqwest does under its feature `gzip`, which would be turned on for the whole workspace.
struct Gunzip;

impl reqwest_middleware::Middleware for Gunzip {
    fn handle<'s, 'e, 'n, 'a>(
        &'s self,
        request: Request,
        extensions: &'e mut http::Extensions,
        next: Next<'n>,
    ) -> Handled<'a>
    where
        's: 'a,
        'e: 'a,
        'n: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let response = next.run(request, extensions).await?;
            if !response
                .headers()
                .contains_key(http::header::CONTENT_ENCODING)
            {
                return Ok(response);
            }
            let mut given = Some(response.into());
            let inner = tower::service_fn(move |_: http::Request<()>| {
                let given: Option<http::Response<reqwest::Body>> = given.take();
                std::future::ready(given.ok_or("asked twice"))
            });
            let unzipped = Decompression::new(inner).oneshot(http::Request::new(()));
            Ok(unzipped.await.unwrap().map(reqwest::Body::wrap).into())
        })
    }
}

/// What a middleware answers with.
pub(crate) type Handled<'a> =
    Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'a>>;

fn calls(test: &TestRecorder, outcome: CallOutcome) -> u64 {
    test.counter_sum("provider_requests_total", &[("outcome", outcome.as_str())])
}

fn all_calls(test: &TestRecorder) -> u64 {
    test.counter_sum("provider_requests_total", &[])
}

fn errors(test: &TestRecorder, kind: ErrorType) -> u64 {
    test.counter_sum("provider_errors_total", &[("error_type", kind.as_str())])
}

/// What must hold whenever nothing is under way.
fn assert_adds_up(test: &TestRecorder, made: u64) {
    assert_eq!(all_calls(test), made);
    let failed = made - calls(test, CallOutcome::Ok);
    assert_eq!(test.counter_sum("provider_errors_total", &[]), failed);
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(0.0)
    );
    let timed = test
        .snapshot()
        .into_iter()
        .filter(|r| r.name == "provider_request_duration_seconds");
    let timed: usize = timed
        .map(|recorded| match recorded.value {
            obs_core::TestValue::Samples(samples) => samples.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(timed as u64, made);
}

/// Calls, and reads the body to its end as JSON.
async fn fetch(client: &ClientWithMiddleware, url: &str) -> Result<Vec<i64>, Box<dyn Error>> {
    let mut request = client.get(url);
    if url.ends_with("/silent") || url.ends_with("/slow-body") {
        request = request.timeout(PATIENCE);
    }
    Ok(request.send().await?.decode_json().await?)
}

/// Calls, and leaves judging the body to others.
async fn read(client: &ClientWithMiddleware, url: &str) -> Result<usize, Box<dyn Error>> {
    Ok(client.get(url).send().await?.bytes().await?.len())
}

#[tokio::test]
async fn every_way_to_fail_shows_as_what_it_is() {
    let hostile = Hostile::start().await;
    let (test, _provider, client) = measured();
    let cases = [
        ("/ok", CallOutcome::Ok, None),
        // What lies beyond the declared length is no part of the response.
        ("/long", CallOutcome::Ok, None),
        (
            "/limited",
            CallOutcome::RateLimited,
            Some(ErrorType::RateLimited),
        ),
        (
            "/limited-wait",
            CallOutcome::RateLimited,
            Some(ErrorType::RateLimited),
        ),
        (
            "/teapot",
            CallOutcome::RateLimited,
            Some(ErrorType::RateLimited),
        ),
        ("/forbidden", CallOutcome::Error, Some(ErrorType::Forbidden)),
        (
            "/nothing-here",
            CallOutcome::Error,
            Some(ErrorType::NotFound),
        ),
        ("/failing", CallOutcome::Error, Some(ErrorType::ServerError)),
        ("/silent", CallOutcome::Error, Some(ErrorType::Timeout)),
        (
            "/slow-body",
            CallOutcome::Error,
            Some(ErrorType::ReadTimeout),
        ),
        ("/reset", CallOutcome::Error, Some(ErrorType::Body)),
        ("/short", CallOutcome::Error, Some(ErrorType::Body)),
        ("/huge", CallOutcome::Error, Some(ErrorType::Body)),
        ("/hang-up", CallOutcome::Error, Some(ErrorType::Transport)),
        ("/garbage", CallOutcome::Error, Some(ErrorType::Transport)),
        ("/bad-json", CallOutcome::Error, Some(ErrorType::Decode)),
        ("/no-json", CallOutcome::Error, Some(ErrorType::Decode)),
        ("/not-utf8", CallOutcome::Error, Some(ErrorType::Decode)),
        ("/redirect", CallOutcome::Error, Some(ErrorType::Redirect)),
        ("/bomb", CallOutcome::Error, Some(ErrorType::TooLarge)),
        ("/bad-gzip", CallOutcome::Error, Some(ErrorType::Decode)),
    ];
    let made = cases.len() as u64;
    for (path, outcome, error) in cases {
        let before = (
            calls(&test, outcome),
            error.map(|error| errors(&test, error)),
        );
        let result = fetch(&client, &hostile.url(path)).await;
        assert_eq!(
            result.is_ok(),
            outcome == CallOutcome::Ok,
            "{path}: {result:?}"
        );
        let after = (
            calls(&test, outcome),
            error.map(|error| errors(&test, error)),
        );
        let expected = (before.0 + 1, before.1.map(|count| count + 1));
        assert_eq!(after, expected, "{path}: {result:?}");
    }
    assert_adds_up(&test, made);
}

#[tokio::test]
async fn a_body_that_nobody_decodes_is_judged_by_its_end_alone() {
    let hostile = Hostile::start().await;
    let (test, _provider, client) = measured();
    assert_eq!(read(&client, &hostile.url("/bad-json")).await.unwrap(), 10);
    assert_eq!(read(&client, &hostile.url("/empty")).await.unwrap(), 0);
    let head = client.head(hostile.url("/ok")).send().await.unwrap();
    drop(head);
    // A response that served its purpose by its status alone.
    assert_eq!(
        client
            .get(hostile.url("/ok"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(calls(&test, CallOutcome::Ok), 4);
    assert_adds_up(&test, 4);
}

#[tokio::test]
async fn a_body_may_be_decoded_by_any_means() {
    let hostile = Hostile::start().await;
    let (test, _provider, client) = measured();
    let decode = async |path: &str| {
        let response = client.get(hostile.url(path)).send().await.unwrap();
        response
            .decode(|bytes| Ok::<_, Box<dyn Error>>(String::from_utf8(bytes.to_vec())?))
            .await
    };
    assert_eq!(decode("/ok").await.unwrap(), "[1, 2]");
    assert!(decode("/not-utf8").await.is_err());
    assert_eq!(errors(&test, ErrorType::Decode), 1);
    assert_adds_up(&test, 2);
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit() {
    let hostile = Hostile::start().await;
    let (test, _provider, client) = measured();
    let mut response = client.get(hostile.url("/bomb")).send().await.unwrap();
    let mut read = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len() as u64,
            Ok(None) => panic!("the bomb went off"),
            Err(error) => break error,
        }
    };
    assert!(read <= MAX_BODY);
    let too_large = format!("the body is larger than {MAX_BODY} bytes");
    assert!(format!("{error:?}").contains(&too_large), "{error:?}");
    drop(response);
    assert_eq!(errors(&test, ErrorType::TooLarge), 1);
    assert_adds_up(&test, 1);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_says_where_it_failed() {
    let (test, _provider, client) = measured();
    let refused = read(&client, &format!("http://{}/", nobody().await)).await;
    assert!(refused.is_err());
    assert_eq!(errors(&test, ErrorType::Connect), 1);

    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("hostile", ProviderKind::MarketData));
    let inner = reqwest::Client::builder()
        .no_proxy()
        .dns_resolver(Arc::new(Nowhere));
    let inner = inner.build().unwrap();
    let client = ClientBuilder::new(inner)
        .with(provider.middleware())
        .build();
    assert!(read(&client, "http://nowhere.invalid/").await.is_err());
    assert_eq!(errors(&test, ErrorType::Dns), 1);
    assert_adds_up(&test, 1);
}

/// A resolver that knows no host.
struct Nowhere;

impl reqwest::dns::Resolve for Nowhere {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("no such host".into()) })
    }
}

/// reqwest's own TLS would be turned on for the whole workspace, and every client in it would want a provider of
/// cryptography. So the connector is put where reqwest would put it.
#[tokio::test]
async fn a_certificate_that_has_expired_is_an_error_of_tls() {
    let (address, authority) = expired().await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .build();
    let uri = format!("https://localhost:{}/", address.port());
    let handshake = Handshake {
        connector,
        uri: uri.parse().unwrap(),
    };
    let inner = reqwest::Client::builder().no_proxy();
    let inner = inner
        .connector_layer(tower::layer::layer_fn(move |inner| Secured {
            inner,
            handshake: handshake.clone(),
        }))
        .build()
        .unwrap();
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("hostile", ProviderKind::MarketData));
    let client = ClientBuilder::new(inner)
        .with(provider.middleware())
        .build();
    let error = read(&client, &uri.replace("https", "http"))
        .await
        .unwrap_err();
    assert!(format!("{error:?}").contains("Expired"), "{error:?}");
    assert_eq!(errors(&test, ErrorType::Tls), 1);
    assert_adds_up(&test, 1);
}

#[derive(Clone)]
struct Handshake {
    connector: hyper_rustls::HttpsConnector<HttpConnector>,
    uri: http::Uri,
}

/// A connector that makes a handshake where there should have been a plain connection, and expects it to fail.
#[derive(Clone)]
struct Secured<S> {
    inner: S,
    handshake: Handshake,
}

impl<S, R> Service<R> for Secured<S>
where
    S: Service<R, Error = tower::BoxError>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, _: R) -> Self::Future {
        let mut handshake = self.handshake.clone();
        Box::pin(async move {
            let connected = handshake.connector.call(handshake.uri).await;
            Err(connected.expect_err("nobody trusts a certificate that has expired"))
        })
    }
}

/// A server whose certificate has expired, and the authority that signed it.
async fn expired() -> (SocketAddr, rustls::pki_types::CertificateDer<'static>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    server.not_before = rcgen::date_time_ymd(2001, 1, 1);
    server.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (address, authority_certificate.der().clone())
}

#[tokio::test]
async fn what_is_given_up_counts_as_cancelled() {
    let hostile = Hostile::start().await;
    let (test, _provider, client) = measured();
    // Before the head.
    let url = hostile.url("/silent");
    let waiting = client.clone();
    let call = tokio::spawn(async move { waiting.get(url).send().await.map(|r| r.status()) });
    hostile.arrived().await;
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(1.0)
    );
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Within the body.
    let mut response = client.get(hostile.url("/slow-body")).send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "x");
    drop(response);
    // Before it was ever polled.
    drop(client.get(hostile.url("/ok")).send());

    assert_eq!(calls(&test, CallOutcome::Cancelled), 2);
    assert_eq!(errors(&test, ErrorType::Cancelled), 2);
    assert_adds_up(&test, 2);
}

#[tokio::test]
async fn limits_are_read_from_what_the_provider_says() {
    let hostile = Hostile::start().await;
    let (test, provider, client) = measured();
    let remaining = || {
        test.gauge("provider_rate_limit_remaining", &LABELS)
            .unwrap()
    };
    assert!(remaining().is_nan());
    fetch(&client, &hostile.url("/ok")).await.unwrap();
    assert!((remaining() - 41.0).abs() < f64::EPSILON);
    assert!(fetch(&client, &hostile.url("/limited")).await.is_err());
    assert_eq!((remaining(), provider.retry_after()), (0.0, None));
    assert!(fetch(&client, &hostile.url("/limited-wait")).await.is_err());
    let wait = provider.retry_after().unwrap();
    assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30));
    provider.rate_limited(None);
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(3)
    );
    // A refusal is an answer.
    assert!(provider.is_up());
}

#[tokio::test]
async fn attempts_are_told_from_calls() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("hostile", ProviderKind::MarketData));
    let policy = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
        .build_with_max_retries(3);
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .with(RetryTransientMiddleware::new_with_policy(policy))
        .with(provider.attempts())
        .build();
    let attempts = |outcome: CallOutcome| {
        test.counter_sum("provider_attempts_total", &[("outcome", outcome.as_str())])
    };
    // Two refusals, then an answer.
    assert_eq!(read(&client, &hostile.url("/flaky")).await.unwrap(), 3);
    assert_eq!(
        (
            attempts(CallOutcome::RateLimited),
            attempts(CallOutcome::Ok)
        ),
        (2, 1)
    );
    assert_eq!(test.counter("provider_retries_total", &LABELS), Some(2));
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(2)
    );
    assert_eq!(calls(&test, CallOutcome::Ok), 1);
    // Four failures make one failed call, and speak four times of a provider that is down.
    assert!(
        read(&client, &format!("http://{}/", nobody().await))
            .await
            .is_err()
    );
    assert_eq!(attempts(CallOutcome::Error), 4);
    assert_eq!(test.counter("provider_retries_total", &LABELS), Some(5));
    assert_eq!(errors(&test, ErrorType::Connect), 1);
    assert!(!provider.is_up());
    assert_adds_up(&test, 2);
}

#[tokio::test]
async fn failures_take_the_provider_down_and_an_answer_brings_it_back() {
    let hostile = Hostile::start().await;
    let (test, provider, client) = measured();
    let up = || test.gauge("provider_up", &LABELS);
    let unavailable = || {
        test.counter("provider_unavailable_seconds_total", &LABELS)
            .unwrap()
    };
    assert_eq!((up(), unavailable()), (Some(1.0), 0));
    for path in ["/failing", "/reset"] {
        let _ = read(&client, &hostile.url(path)).await;
    }
    // Neither what the client does wrong nor what it gives up says that the provider is down.
    let _ = read(&client, &hostile.url("/redirect")).await;
    drop(client.get(hostile.url("/slow-body")).send().await.unwrap());
    assert_eq!(up(), Some(1.0));
    let _ = read(&client, &hostile.url("/failing")).await;
    let _ = read(&client, &hostile.url("/failing")).await;
    assert_eq!(up(), Some(1.0), "a response that nobody read is an answer");
    let _ = read(&client, &hostile.url("/failing")).await;
    assert_eq!(up(), Some(0.0));
    provider.observe();
    let first = unavailable();
    provider.observe();
    assert!(unavailable() > first);
    fetch(&client, &hostile.url("/ok")).await.unwrap();
    assert_eq!(up(), Some(1.0));
    let last = unavailable();
    provider.observe();
    assert_eq!(unavailable(), last);
}

#[tokio::test]
async fn a_probe_finds_that_a_provider_is_back() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("hostile", ProviderKind::MarketData);
        builder.down_after(1).build().unwrap()
    });
    let answers = Arc::new(tokio::sync::Notify::new());
    let probing = {
        let (provider, answers) = (provider.clone(), Arc::clone(&answers));
        let (client, bad, good) = (plain_client(), hostile.url("/failing"), hostile.url("/ok"));
        let mut urls = [bad].into_iter().chain(std::iter::repeat(good));
        tokio::spawn(async move {
            let probe = || {
                let (request, answers) = (client.get(urls.next().unwrap()), Arc::clone(&answers));
                async move {
                    let answer = request.send().await?.error_for_status();
                    answers.notify_one();
                    answer
                }
            };
            // As often as a slow machine can answer.
            provider.probe_every(PATIENCE, probe).await
        })
    };
    for _ in 0..3 {
        answers.notified().await;
    }
    probing.abort();
    let _ = probing.await;
    assert!(provider.is_up());
    assert_eq!(
        test.counter(
            "provider_probes_total",
            &[("provider", "hostile"), ("outcome", "error")]
        ),
        Some(1)
    );
    assert!(
        test.counter("provider_unavailable_seconds_total", &LABELS)
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn the_endpoint_is_a_name_or_a_template_and_never_a_path() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("hostile", ProviderKind::MarketData);
        builder.route("/{what}").endpoint("quotes").build().unwrap()
    });
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    let at =
        |endpoint: &str| test.counter_sum("provider_requests_total", &[("endpoint", endpoint)]);
    let series = test.series("provider_requests_total");
    for n in 0..50 {
        let _ = read(&client, &hostile.url(&format!("/a/{n}?apikey={n}"))).await;
    }
    read(&client, &hostile.url("/ok")).await.unwrap();
    let named = client
        .get(hostile.url("/ok"))
        .with_extension(Endpoint("quotes"));
    drop(named.send().await.unwrap());
    assert_eq!((at("unmatched"), at("/{what}"), at("quotes")), (50, 1, 1));
    // All of them were there from the start.
    assert_eq!(test.series("provider_requests_total"), series);
}

#[tokio::test]
async fn a_tower_service_is_measured_alike() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("hostile", ProviderKind::OptionsFlow));
    let mut service = ServiceBuilder::new()
        .layer(provider.layer().endpoint("flow"))
        .service(plain_client());
    let get = |url: String| Request::new(http::Method::GET, url.parse().unwrap());
    let response = service
        .ready()
        .await
        .unwrap()
        .call(get(hostile.url("/ok")))
        .await
        .unwrap();
    assert_eq!(response.bytes().await.unwrap(), "[1, 2]");
    let mut request = get(hostile.url("/silent"));
    *request.timeout_mut() = Some(PATIENCE);
    let silent = service.ready().await.unwrap().call(request).await;
    assert!(silent.unwrap_err().is_timeout());
    // Never polled, but asked for.
    drop(service.ready().await.unwrap().call(get(hostile.url("/ok"))));

    let labels = |outcome| {
        [
            ("provider", "hostile"),
            ("kind", "options_flow"),
            ("endpoint", "flow"),
            ("outcome", outcome),
        ]
    };
    for outcome in ["ok", "error", "cancelled"] {
        assert_eq!(
            test.counter("provider_requests_total", &labels(outcome)),
            Some(1),
            "{outcome}"
        );
    }
    assert_eq!(errors(&test, ErrorType::Timeout), 1);
    assert_adds_up(&test, 3);
}

#[tokio::test]
async fn towers_retries_are_told_from_calls_too() {
    #[derive(Clone)]
    struct Again;
    impl tower::retry::Policy<Request, Response, reqwest::Error> for Again {
        type Future = std::future::Ready<()>;
        fn retry(
            &mut self,
            _: &mut Request,
            result: &mut Result<Response, reqwest::Error>,
        ) -> Option<Self::Future> {
            let refused = matches!(result, Ok(response) if response.status() == 429);
            refused.then(|| std::future::ready(()))
        }
        fn clone_request(&mut self, request: &Request) -> Option<Request> {
            request.try_clone()
        }
    }
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("hostile", ProviderKind::MarketData));
    let service = ServiceBuilder::new()
        .layer(provider.layer())
        .retry(Again)
        .layer(provider.attempt_layer())
        .service(plain_client());
    let request = Request::new(http::Method::GET, hostile.url("/flaky").parse().unwrap());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "yes");
    assert_eq!(test.counter_sum("provider_attempts_total", &[]), 3);
    assert_eq!(test.counter("provider_retries_total", &LABELS), Some(2));
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(2)
    );
    assert_adds_up(&test, 1);
}

#[tokio::test]
async fn a_response_stays_what_it_was() {
    let hostile = Hostile::start().await;
    let (_test, _provider, client) = measured();
    let url = hostile.url("/ok");
    let plain = plain_client().get(&url).send().await.unwrap();
    let watched = client.get(&url).send().await.unwrap();
    assert_eq!(watched.url(), plain.url());
    assert_eq!(watched.status(), plain.status());
    assert_eq!(watched.version(), plain.version());
    assert_eq!(watched.headers(), plain.headers());
    assert_eq!(watched.content_length(), plain.content_length());
    assert_eq!(watched.remote_addr(), plain.remote_addr());
    assert_eq!(watched.bytes().await.unwrap(), plain.bytes().await.unwrap());
}

#[test]
fn the_catalogue_joins_that_of_the_core() {
    let joined =
        obs_core::Catalogue::join([obs_providers::catalogue(), obs_core::catalogue()]).unwrap();
    let labels = |name: &str| {
        let family = joined.family(name).unwrap();
        family.labels().map(|label| label.key).collect::<Vec<_>>()
    };
    assert_eq!(
        labels("provider_requests_total"),
        ["provider", "kind", "endpoint", "outcome"]
    );
    assert_eq!(
        labels("provider_request_duration_seconds"),
        ["provider", "endpoint"]
    );
    assert_eq!(labels("provider_errors_total"), ["provider", "error_type"]);
    assert_eq!(labels("provider_rate_limit_hits_total"), ["provider"]);
    assert_eq!(labels("provider_rate_limit_remaining"), ["provider"]);
    assert_eq!(
        labels("provider_cache_requests_total"),
        ["provider", "result"]
    );
    assert_eq!(labels("provider_data_age_seconds"), ["provider", "dataset"]);
    assert_eq!(
        labels("provider_data_updated_timestamp_seconds"),
        ["provider", "dataset"]
    );
    assert_eq!(labels("provider_up"), ["provider"]);
    assert_eq!(labels("provider_unavailable_seconds_total"), ["provider"]);
    assert_eq!(labels("market_session_open"), ["venue"]);
}
