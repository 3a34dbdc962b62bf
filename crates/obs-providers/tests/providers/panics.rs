//! A panic in somebody else's code around a call is counted, passes through unchanged, and stops nothing.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, panic_any};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{Hostile, plain_client};
use crate::hostile::Handled;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame};
use obs_core::TestRecorder;
use obs_providers::{Cache, Decode, Entry, Provider, ProviderKind, Store};
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

const LABELS: [(&str, &str); 1] = [("provider", "theirs")];

/// What a panic carries: not a text, and nothing that can be made anew.
#[derive(Debug, PartialEq)]
struct Payload(&'static str);

/// Where a middleware inside of the chain panics, for requests to `/ok?panic`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Before it makes a future.
    Call,
    Future,
    /// In the body it puts around the response's.
    Body,
    /// In what decodes the body.
    Decoder,
}

struct Panics(Place);

impl Panics {
    fn at(&self, place: Place) {
        if self.0 == place {
            panic_any(Payload("the middleware"));
        }
    }
}

impl reqwest_middleware::Middleware for Panics {
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
        if request.url().query().is_none() {
            return next.run(request, extensions);
        }
        self.at(Place::Call);
        Box::pin(async move {
            self.at(Place::Future);
            let response = next.run(request, extensions).await?;
            if self.0 == Place::Body {
                return Ok(http::Response::new(reqwest::Body::wrap(Broken)).into());
            }
            Ok(response)
        })
    }
}

/// A body that panics when it is read.
struct Broken;

impl Body for Broken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic_any(Payload("the middleware"))
    }
}

/// Waits for what panics, and holds on to it, so that what the panic left is dropped when nothing unwinds any more.
async fn caught<F: Future>(future: F) -> Payload {
    let mut future = Box::pin(future);
    let caught = AssertUnwindSafe(future.as_mut()).catch_unwind().await;
    let Err(payload) = caught else {
        panic!("it did not panic");
    };
    drop(future);
    *payload.downcast().expect("the payload as it was")
}

fn calls(test: &TestRecorder, outcome: &str) -> u64 {
    test.counter_sum("provider_requests_total", &[("outcome", outcome)])
}

#[tokio::test]
async fn a_panic_anywhere_in_the_chain_is_one_of_the_call() {
    let hostile = Hostile::start().await;
    for place in [Place::Call, Place::Future, Place::Body, Place::Decoder] {
        let test = TestRecorder::new();
        let provider = test.run(|| Provider::new("theirs", ProviderKind::MarketData));
        let client = ClientBuilder::new(plain_client())
            .with(provider.middleware())
            .with(Panics(place))
            .with(provider.attempts())
            .build();
        let panicked = caught(fetch(&client, hostile.url("/ok?panic"), place)).await;
        assert_eq!(panicked, Payload("the middleware"));
        assert_eq!(calls(&test, "panicked"), 1, "{place:?}");
        assert_eq!(test.counter_sum("provider_requests_total", &[]), 1);
        assert_eq!(
            test.counter_sum("provider_errors_total", &[("error_type", "panic")]),
            1
        );
        assert_eq!(
            test.gauge("provider_requests_in_flight", &LABELS),
            Some(0.0)
        );
        // The client goes on.
        assert_eq!(
            fetch(&client, hostile.url("/ok"), Place::Call).await,
            "[1, 2]"
        );
        assert_eq!(calls(&test, "ok"), 1);
    }
}

async fn fetch(client: &ClientWithMiddleware, url: String, place: Place) -> String {
    let response = client.get(url).send().await.unwrap();
    let decoded = response.decode(|bytes| {
        if place == Place::Decoder {
            panic_any(Payload("the middleware"));
        }
        Ok::<_, Box<dyn std::error::Error>>(String::from_utf8(bytes.to_vec())?)
    });
    decoded.await.unwrap()
}

/// A body whose reading panics is kept by the reader, who drops it later.
#[tokio::test]
async fn a_body_that_panics_is_a_panic_though_it_is_dropped_later() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("theirs", ProviderKind::MarketData));
    let client = ClientBuilder::new(plain_client())
        .with(provider.middleware())
        .with(Panics(Place::Body))
        .build();
    let mut response = client.get(hostile.url("/ok?panic")).send().await.unwrap();
    assert_eq!(caught(response.chunk()).await, Payload("the middleware"));
    assert_eq!(
        (calls(&test, "panicked"), calls(&test, "cancelled")),
        (1, 0)
    );
    drop(response);
    assert_eq!(
        (calls(&test, "panicked"), calls(&test, "cancelled")),
        (1, 0)
    );
}

#[tokio::test]
async fn a_panic_under_the_tower_layers_is_counted_by_both() {
    let hostile = Hostile::start().await;
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("theirs", ProviderKind::MarketData));
    let client = plain_client();
    let mut service = ServiceBuilder::new()
        .layer(provider.layer().endpoint_by(|request| {
            if request.url().query() == Some("name") {
                panic_any(Payload("the name"));
            }
            Some("quotes")
        }))
        .layer(provider.attempt_layer())
        .service(service_fn(move |request: Request| {
            let query = request.url().query().map(str::to_owned);
            if query.as_deref() == Some("call") {
                panic_any(Payload("the call"));
            }
            let client = client.clone();
            async move {
                if query.as_deref() == Some("future") {
                    panic_any(Payload("the future"));
                }
                client.execute(request).await
            }
        }));
    let mut ask = async |query: &str| -> Result<Response, reqwest::Error> {
        let url = hostile.url(&format!("/ok{query}")).parse().unwrap();
        let request = Request::new(http::Method::GET, url);
        service.ready().await?.call(request).await
    };
    assert_eq!(caught(ask("?name")).await, Payload("the name"));
    assert_eq!(caught(ask("?call")).await, Payload("the call"));
    assert_eq!(caught(ask("?future")).await, Payload("the future"));
    assert_eq!(calls(&test, "panicked"), 3);
    let attempts =
        |outcome: &str| test.counter_sum("provider_attempts_total", &[("outcome", outcome)]);
    assert_eq!(attempts("panicked"), 2, "the first had not begun");
    let unnamed = [("endpoint", "unmatched"), ("outcome", "panicked")];
    assert_eq!(test.counter_sum("provider_requests_total", &unnamed), 1);
    assert_eq!(
        test.gauge("provider_requests_in_flight", &LABELS),
        Some(0.0)
    );
    assert_eq!(ask("").await.unwrap().bytes().await.unwrap(), "[1, 2]");
    assert_eq!((calls(&test, "ok"), attempts("ok")), (1, 1));
}

/// A store of somebody else's, with nothing in it.
#[derive(Clone, Copy, Debug)]
struct Theirs {
    panics_on_get: bool,
    panics_on_put: bool,
}

impl Store<str, u64> for Theirs {
    type Error = Infallible;

    async fn get(&self, _: &str) -> Result<Option<Entry<u64>>, Infallible> {
        if self.panics_on_get {
            panic_any(Payload("get"));
        }
        Ok(None)
    }

    async fn put(&self, _: &str, _: &Entry<u64>) -> Result<(), Infallible> {
        if self.panics_on_put {
            panic_any(Payload("put"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_in_a_load_or_a_store_leaves_the_cache_as_it_was() {
    let test = TestRecorder::new();
    let provider = test.run(|| Provider::new("theirs", ProviderKind::Sentiment));
    let scores = test.run(|| provider.dataset("scores"));
    let cache = |panics_on_get, panics_on_put| {
        let store = Theirs {
            panics_on_get,
            panics_on_put,
        };
        Cache::new(scores.clone(), store, Duration::from_mins(1))
    };
    let good = async || Ok::<_, Infallible>(1);
    let loads = |outcome| {
        let labels = [LABELS[0], ("outcome", outcome)];
        let samples = test.samples("provider_cache_load_duration_seconds", &labels);
        samples.unwrap().len()
    };
    let misses = || {
        let labels = [LABELS[0], ("result", "miss")];
        test.counter("provider_cache_requests_total", &labels)
    };

    let bad = async || -> Result<u64, Infallible> { panic_any(Payload("load")) };
    let sound = cache(false, false);
    assert_eq!(caught(sound.get("AAPL", bad())).await, Payload("load"));
    assert_eq!((loads("panicked"), misses()), (1, Some(1)));
    // Nothing was loaded, so nothing is newer than it was.
    let labels = [LABELS[0], ("dataset", "scores")];
    let updated = test.gauge("provider_data_updated_timestamp_seconds", &labels);
    assert!(updated.is_some_and(f64::is_nan));

    // It was not known what the store had, so that this was no lookup.
    assert_eq!(
        caught(cache(true, false).get("AAPL", good())).await,
        Payload("get")
    );
    assert_eq!((loads("ok"), misses()), (0, Some(1)));
    assert_eq!(
        caught(cache(false, true).get("AAPL", good())).await,
        Payload("put")
    );
    assert_eq!((loads("ok"), misses()), (1, Some(2)));
    assert_eq!(sound.get("AAPL", good()).await.unwrap().value, 1);
    assert_eq!((loads("ok"), misses()), (2, Some(3)));
}

#[tokio::test]
async fn a_probe_that_panics_has_panicked_and_another_may_begin() {
    let test = TestRecorder::new();
    let provider = test.run(|| {
        let builder = Provider::builder("theirs", ProviderKind::MarketData);
        builder.down_after(1).build().unwrap()
    });
    let every = Duration::from_millis(1);
    let probing = provider.probe_every(every, async || -> Result<(), Infallible> {
        panic_any(Payload("the probe"))
    });
    assert_eq!(caught(probing).await, Payload("the probe"));
    let probes = |outcome| {
        let labels = [LABELS[0], ("outcome", outcome)];
        test.counter("provider_probes_total", &labels)
    };
    assert_eq!((probes("panicked"), probes("error")), (Some(1), Some(0)));

    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let probing = provider.probe_every(every, async || answered.send(()));
    tokio::select! {
        _ = probing => unreachable!("it never ends"),
        () = async { for _ in 0..2 { answers.recv().await.unwrap() } } => {}
    }
    assert!(probes("ok").is_some_and(|probes| probes > 0));
}
