//! Calls that any client makes, and what the crate makes of refusals that are no status.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Hostile, plain_client};
use obs_core::{Closed, TestRecorder};
use obs_providers::{
    Cache, Call, CallLayer, CallOutcome, Decode, Endpoint, ErrorType, Provider, ProviderKind,
    RateLimit, Stream,
};
use reqwest_middleware::ClientBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const LABELS: [(&str, &str); 1] = [("provider", "alpaca")];

fn provider() -> (TestRecorder, Provider) {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("alpaca", ProviderKind::Broker));
    (test, provider)
}

fn calls(test: &TestRecorder, endpoint: &str, outcome: CallOutcome) -> u64 {
    let labels = [
        ("kind", "broker"),
        ("endpoint", endpoint),
        ("outcome", outcome.as_str()),
    ];
    test.counter_sum("provider_requests_total", &labels)
}

fn errors(test: &TestRecorder, kind: ErrorType) -> u64 {
    test.counter_sum("provider_errors_total", &[("error_type", kind.as_str())])
}

#[tokio::test]
async fn a_call_counts_once_as_what_it_came_to() {
    let (test, provider) = provider();
    let in_flight = || test.gauge("provider_requests_in_flight", &LABELS);

    let mut call = provider.call("bars");
    assert_eq!(in_flight(), Some(1.0));
    call.headers();
    call.headers();
    call.ok();
    provider.call("bars").error(ErrorType::Tls);
    provider
        .call("bars")
        .rate_limited(Some(Duration::from_secs(30)));
    assert!(provider.retry_after().is_some());
    drop(provider.call("bars"));
    let held = provider.call("bars");
    let panicked = std::thread::spawn(move || {
        let _held = held;
        panic!("as the test wants it");
    });
    assert!(panicked.join().is_err());
    let result: Result<(), _> = provider
        .call("bars")
        .of(async { Err(403_u16) }, |status| {
            ErrorType::of_code(*status).unwrap()
        })
        .await;
    assert_eq!(result, Err(403));
    // Dropped while it waits.
    {
        let waiting = provider
            .call("bars")
            .of(std::future::pending::<Result<(), ()>>(), |()| {
                ErrorType::Unknown
            });
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(in_flight(), Some(1.0));
    }

    assert_eq!(in_flight(), Some(0.0));
    for (outcome, expected) in [
        (CallOutcome::Ok, 1),
        (CallOutcome::Error, 2),
        (CallOutcome::RateLimited, 1),
        (CallOutcome::Cancelled, 2),
        (CallOutcome::Panicked, 1),
    ] {
        assert_eq!(calls(&test, "bars", outcome), expected, "{outcome:?}");
    }
    assert_eq!(errors(&test, ErrorType::Forbidden), 1);
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(1)
    );
    let labels = [("provider", "alpaca"), ("endpoint", "bars")];
    let headers = test.samples("provider_request_headers_duration_seconds", &labels);
    assert_eq!(headers.map(|headers| headers.len()), Some(1));
}

/// What the status of any version of `http` says goes before how the call ended.
#[test]
fn a_status_and_headers_come_as_text_and_number() {
    let (test, provider) = provider();
    for (status, outcome) in [
        (200, CallOutcome::Ok),
        (999, CallOutcome::RateLimited),
        (503, CallOutcome::Error),
        (429, CallOutcome::RateLimited),
    ] {
        let mut call = provider.call("bars");
        call.status(status);
        call.limits(|name| (name == "retry-after").then_some("1.5"));
        let before = calls(&test, "bars", outcome);
        call.ok();
        assert_eq!(calls(&test, "bars", outcome), before + 1, "{status}");
    }
    // What was hit were two limits; the 503 only asked to come again later.
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(2)
    );
    assert!(provider.retry_after() <= Some(Duration::from_millis(1_500)));
}

#[test]
fn a_ban_is_for_all_endpoints_whichever_was_called() {
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("alpaca", ProviderKind::Broker);
        let orders = RateLimit::new("orders").endpoints(["orders"]);
        let builder = builder.rate_limit(orders).ban_status(418);
        builder.build().unwrap()
    });
    let refused = |status| {
        let mut call = provider.call("orders");
        call.status(status);
        call.limits(|name| (name == "retry-after").then_some("60"));
        call.ok();
    };
    refused(429);
    assert_eq!(provider.retry_after(), None);
    assert!(provider.retry_after_for("orders").is_some());
    refused(418);
    assert!(provider.retry_after().is_some());
    assert_eq!(calls(&test, "orders", CallOutcome::RateLimited), 2);
}

/// A key that was revoked answers every call at once, and nothing can be had from it.
#[test]
fn a_provider_that_lets_nobody_in_is_down() {
    let (test, provider) = provider();
    for _ in 0..3 {
        provider.call("bars").error(ErrorType::Unauthorized);
    }
    assert!(!provider.is_up());
    assert_eq!(test.gauge("provider_up", &LABELS), Some(0.0));
    provider.observe();
    assert!(test.gauge("provider_last_heard_timestamp_seconds", &LABELS) > Some(1.7e9));
    // One unknown symbol after the other is no outage.
    provider.call("bars").ok();
    for _ in 0..9 {
        provider.call("bars").error(ErrorType::NotFound);
    }
    assert!(provider.is_up());
}

#[test]
fn series_come_with_what_is_used() {
    let (test, provider) = provider();
    let series = || {
        let recorded = test.snapshot().into_iter();
        recorded
            .filter(|of| of.name.starts_with("provider_"))
            .count()
    };
    assert_eq!(series(), 3, "up, unavailable, last heard");
    drop(provider.dataset("bars"));
    assert_eq!(test.series("provider_cache_requests_total"), 0);
    let calls = series();
    drop(provider.middleware());
    assert!(series() > calls);
    assert_eq!(test.series("provider_attempts_total"), 0);
    assert_eq!(test.series("provider_probes_total"), 0);
    drop(provider.attempts());
    assert_eq!(test.series("provider_attempts_total"), 5);
}

/// A provider that refuses in the body of a 200, and one that streams without end.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let path = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = path.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
                let answer: &[u8] = match path.as_str() {
                    "/limited" => b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{\"code\":-1003}",
                    "/unknown" => b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{\"code\":-1121}",
                    "/events" => {
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n"
                    }
                    _ => b"HTTP/1.1 200 OK\r\n\r\n{\"price\":1}\n",
                };
                let _ = stream.write_all(answer).await;
                if answer.ends_with(b"}") {
                    return;
                }
                let mut sink = [0; 64];
                while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_limit_inside_a_200_is_a_limit() {
    let base = server().await;
    let (test, provider) = provider();
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    let limits = provider.clone();
    let get = |path: &str| {
        client
            .get(format!("{base}{path}"))
            .with_extension(Endpoint("price"))
    };
    let parse = move |body: bytes::Bytes| -> Result<(), reqwest_middleware::Error> {
        if body.ends_with(b"-1003}") {
            limits.rate_limited(Some(Duration::from_mins(1)));
        }
        Err(reqwest_middleware::Error::middleware(
            std::io::Error::other("refused"),
        ))
    };
    let answer = get("/limited").send().await.unwrap();
    assert!(answer.decode(parse.clone()).await.is_err());
    assert_eq!(calls(&test, "price", CallOutcome::RateLimited), 1);
    assert_eq!(errors(&test, ErrorType::RateLimited), 1);
    assert_eq!(errors(&test, ErrorType::Decode), 0);
    assert_eq!(
        test.counter("provider_rate_limit_hits_total", &LABELS),
        Some(1)
    );
    assert!(provider.retry_after().is_some());
    // Another error of the body, by what the caller makes of it.
    let answer = get("/unknown").send().await.unwrap();
    let answer = answer.decode_or(parse, |_| ErrorType::NotFound).await;
    assert!(answer.is_err());
    assert_eq!(errors(&test, ErrorType::NotFound), 1);
}

#[tokio::test]
async fn a_stream_is_a_call_that_ends_when_it_opens() {
    let base = server().await;
    let (test, provider) = provider();
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    let get = |path: &str| client.get(format!("{base}{path}?key=SECRET"));
    let mut events = get("/events").send().await.unwrap();
    let mut prices = get("/prices").with_extension(Stream).send().await.unwrap();
    assert_eq!(calls(&test, "unmatched", CallOutcome::Ok), 2);
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(0.0)
    );
    assert!(events.chunk().await.unwrap().is_some());
    assert!(prices.chunk().await.unwrap().is_some());
    assert!(!events.url().as_str().contains("SECRET"));
    drop((events, prices));
    assert_eq!(test.counter_sum("provider_errors_total", &[]), 0);
}

/// Of fifty who ask for one key at once, one goes.
#[tokio::test]
async fn a_herd_is_one_load() {
    let (test, provider) = provider();
    let store = moka::future::Cache::<String, obs_providers::Entry<u64>>::new(100);
    let cache = Cache::new(provider.dataset("quotes"), store, Duration::from_mins(1));
    let loads = Arc::new(AtomicU32::new(0));
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let ask = |key: &'static str| {
        let (cache, loads, go) = (cache.clone(), Arc::clone(&loads), Arc::clone(&go));
        async move {
            let load = async {
                loads.fetch_add(1, Ordering::Relaxed);
                go.acquire().await.unwrap().forget();
                Ok::<u64, Infallible>(7)
            };
            cache.get(key, load).await.unwrap().value
        }
    };
    let herd = futures_util::future::join_all((0..50).map(|_| ask("AAPL")));
    // Another key waits for none of them.
    let other = ask("MSFT");
    let release = async {
        tokio::task::yield_now().await;
        go.add_permits(2);
    };
    let (values, other, ()) = tokio::join!(herd, other, release);
    assert!(values.iter().all(|value| *value == 7) && other == 7);
    assert_eq!(loads.load(Ordering::Relaxed), 2);
    let lookups = |result| test.counter_sum("provider_cache_requests_total", &[("result", result)]);
    assert_eq!((lookups("miss"), lookups("hit")), (2, 49));
}

#[tokio::test]
async fn a_layer_goes_over_any_service() {
    let (test, provider) = provider();
    let answers = service_fn(|status: u16| async move {
        if status == 0 {
            Err("no connection")
        } else {
            Ok(status)
        }
    });
    let layer = CallLayer::new(
        &provider,
        |_: &u16| "orders",
        |mut call: Call, result: &Result<u16, &str>| match result {
            Ok(status) => {
                call.status(*status);
                call.ok();
            }
            Err(_) => call.error(ErrorType::Connect),
        },
    );
    let mut service = ServiceBuilder::new().layer(layer).service(answers);
    for status in [200, 429, 0] {
        let _ = service.ready().await.unwrap().call(status).await;
    }
    drop(service.ready().await.unwrap().call(200));
    for outcome in [
        CallOutcome::Ok,
        CallOutcome::RateLimited,
        CallOutcome::Error,
        CallOutcome::Cancelled,
    ] {
        assert_eq!(calls(&test, "orders", outcome), 1, "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_busy_says_when_to_come_again() {
    let hostile = Hostile::start().await;
    let (_, provider) = provider();
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .build();
    client.get(hostile.url("/busy")).send().await.unwrap();
    assert!(provider.retry_after().is_some());
}
