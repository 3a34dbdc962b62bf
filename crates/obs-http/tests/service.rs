//! The layer around services that are called by hand: ends that a server brings about only now and then.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Empty, Full};
use obs_core::TestRecorder;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};

type Req = Request<Empty<Bytes>>;

fn request(method: Method) -> Req {
    let request = Request::builder().method(method).uri("/");
    request.body(Empty::new()).unwrap()
}

/// Calls a measured service that answers so.
async fn answer<B: Body>(
    test: &TestRecorder,
    method: Method,
    response: Response<B>,
) -> Response<obs_http::ResponseBody<B>> {
    let mut response = Some(response);
    let service = service_fn(move |_: Req| {
        let response = response.take().expect("called once");
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let service = test.run(obs_http::layer).layer(service);
    service.oneshot(request(method)).await.unwrap()
}

fn in_flight(test: &TestRecorder, method: &str) -> Option<f64> {
    test.gauge("http_requests_in_flight", &[("method", method)])
}

fn requests(test: &TestRecorder, status: &str) -> u64 {
    test.counter_sum("http_requests_total", &[("status_code", status)])
}

fn errors(test: &TestRecorder, error_type: &str) -> u64 {
    test.counter_sum("http_errors_total", &[("error_type", error_type)])
}

fn sent(test: &TestRecorder, method: &str) -> Option<Vec<f64>> {
    let labels = [("method", method), ("endpoint", "unmatched")];
    test.samples("http_response_size_bytes", &labels)
}

/// A body that panics when it is asked.
struct Broken;

impl Body for Broken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("as the test wants it")
    }
}

#[tokio::test]
async fn hints_and_ends_are_forwarded() {
    let test = TestRecorder::new();
    let full = Response::new(Full::new(Bytes::from("hello")));
    let mut response = answer(&test, Method::GET, full).await;
    let hint = |body: &obs_http::ResponseBody<_>| Body::size_hint(body).exact();
    assert_eq!(hint(response.body()), Some(5));
    assert!(!response.body().is_end_stream());
    assert_eq!(in_flight(&test, "GET"), Some(1.0));

    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "hello");
    // It has ended with its last frame, asked for more or not.
    assert!(response.body().is_end_stream());
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
    assert_eq!(sent(&test, "GET"), Some(vec![5.0]));
    assert!(response.body_mut().frame().await.is_none());
    drop(response);
    assert_eq!((requests(&test, "200"), errors(&test, "aborted")), (1, 0));
}

#[tokio::test]
async fn trailers_pass_and_end_the_request() {
    let test = TestRecorder::new();
    let (mut sender, body) = Channel::<Bytes>::new(2);
    let mut response = answer(&test, Method::GET, Response::new(body)).await;
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "9".parse().unwrap())]);
    sender.send_data(Bytes::from("hello")).await.unwrap();
    sender.send_trailers(trailers.clone()).await.unwrap();

    let data = response.body_mut().frame().await.unwrap().unwrap();
    assert!(data.is_data());
    assert_eq!(in_flight(&test, "GET"), Some(1.0));
    let last = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(last.into_trailers().unwrap(), trailers);
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
    assert_eq!(sent(&test, "GET"), Some(vec![5.0]));
    drop((response, sender));
    assert_eq!((requests(&test, "200"), errors(&test, "aborted")), (1, 0));
}

#[tokio::test]
async fn responses_whose_body_is_never_sent_end_at_once() {
    let with = |status| {
        let body = Full::new(Bytes::from("never sent"));
        Response::builder().status(status).body(body).unwrap()
    };
    for (method, status) in [
        (Method::HEAD, StatusCode::OK),
        (Method::CONNECT, StatusCode::OK),
        (Method::GET, StatusCode::SWITCHING_PROTOCOLS),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
    ] {
        let test = TestRecorder::new();
        let response = answer(&test, method.clone(), with(status)).await;
        assert_eq!(
            in_flight(&test, method.as_str()),
            Some(0.0),
            "{method} {status}"
        );
        drop(response);
        assert_eq!(requests(&test, status.as_str()), 1);
        assert_eq!(test.counter_sum("http_errors_total", &[]), 0);
        assert_eq!(sent(&test, method.as_str()), Some(vec![0.0]));
    }

    let test = TestRecorder::new();
    let empty = Response::new(Empty::<Bytes>::new());
    let _response = answer(&test, Method::GET, empty).await;
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
}

#[tokio::test]
async fn a_body_that_is_dropped_is_aborted_and_an_error_status_stays_one() {
    let test = TestRecorder::new();
    drop(
        answer(
            &test,
            Method::GET,
            Response::new(Full::new(Bytes::from("x"))),
        )
        .await,
    );
    assert_eq!((requests(&test, "200"), errors(&test, "aborted")), (1, 1));

    let test = TestRecorder::new();
    let mut failed = Response::new(Full::new(Bytes::from("x")));
    *failed.status_mut() = StatusCode::BAD_GATEWAY;
    drop(answer(&test, Method::GET, failed).await);
    assert_eq!(requests(&test, "502"), 1);
    assert_eq!(
        (errors(&test, "server_error"), errors(&test, "aborted")),
        (1, 0)
    );
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_of_the_server() {
    let test = TestRecorder::new();
    let (sender, body) = Channel::<Bytes, &str>::new(1);
    let mut response = answer(&test, Method::GET, Response::new(body)).await;
    sender.abort("out of paper");
    let error = response.body_mut().frame().await.unwrap().unwrap_err();
    assert_eq!(error, "out of paper");
    drop(response);
    assert_eq!(
        (requests(&test, "200"), errors(&test, "server_error")),
        (1, 1)
    );
    assert_eq!(
        (errors(&test, "aborted"), in_flight(&test, "GET")),
        (0, Some(0.0))
    );
}

#[tokio::test]
async fn a_body_that_panics_is_a_panic_though_it_is_dropped_later() {
    let test = TestRecorder::new();
    let mut response = answer(&test, Method::GET, Response::new(Broken)).await;
    let read = AssertUnwindSafe(response.body_mut().frame())
        .catch_unwind()
        .await;
    let payload = read.expect_err("the panic passes through");
    assert_eq!(payload.downcast_ref(), Some(&"as the test wants it"));
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
    drop(response);
    assert_eq!((requests(&test, "200"), errors(&test, "panic")), (1, 1));
    assert_eq!(errors(&test, "aborted"), 0);
}

/// Where a service of somebody else's may panic.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Place {
    Call,
    Future,
    Endpoint,
    RequestBody,
    ResponseSize,
    ResponseEnd,
    ResponseFrame,
    EndAfterFrame,
}

const PLACES: [Place; 8] = [
    Place::Call,
    Place::Future,
    Place::Endpoint,
    Place::RequestBody,
    Place::ResponseSize,
    Place::ResponseEnd,
    Place::ResponseFrame,
    Place::EndAfterFrame,
];

/// What a panic carries: not a text, and nothing that can be made anew.
#[derive(Debug, PartialEq)]
struct Payload(Place);

/// A request's or a response's body, which panics in one place if told to.
struct Fragile {
    panics: Option<Place>,
    given: bool,
}

impl Fragile {
    fn at(&self, place: Place) {
        if self.panics == Some(place) {
            std::panic::panic_any(Payload(place));
        }
    }
}

impl Body for Fragile {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.at(Place::ResponseFrame);
        self.at(Place::RequestBody);
        let first = !std::mem::replace(&mut self.given, true);
        Poll::Ready(first.then(|| Ok(Frame::data(Bytes::from_static(b"x")))))
    }

    fn is_end_stream(&self) -> bool {
        self.at(if self.given {
            Place::EndAfterFrame
        } else {
            Place::ResponseEnd
        });
        self.given
    }

    fn size_hint(&self) -> SizeHint {
        self.at(Place::ResponseSize);
        SizeHint::default()
    }
}

#[tokio::test]
async fn a_panic_anywhere_passes_through_unchanged_and_is_counted_once() {
    for place in PLACES {
        let test = TestRecorder::new();
        let panics = move |here: Place| {
            if here == place {
                std::panic::panic_any(Payload(place));
            }
        };
        let layer = test.run(obs_http::layer).endpoint_by(move |parts| {
            // Only the first request is one that anything panics for.
            if parts.method == Method::GET {
                panics(Place::Endpoint);
            }
            Some("/")
        });
        let service = layer.layer(service_fn(move |request: Request<Fragile>| {
            let bad = request.method() == Method::GET;
            if bad {
                panics(Place::Call);
            }
            async move {
                if bad {
                    panics(Place::Future);
                }
                request.into_body().collect().await?;
                let panics = bad.then_some(place);
                Ok::<_, Infallible>(Response::new(Fragile {
                    panics,
                    given: false,
                }))
            }
        }));
        let ask = async |method: Method| {
            let panics = (method == Method::GET && place == Place::RequestBody).then_some(place);
            let body = Fragile {
                panics,
                given: false,
            };
            let request = Request::builder().method(method).body(body).unwrap();
            let response = service.clone().oneshot(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        };
        let caught = AssertUnwindSafe(ask(Method::GET)).catch_unwind().await;
        let payload = caught.expect_err("the panic passes through");
        assert_eq!(payload.downcast_ref(), Some(&Payload(place)));
        assert_eq!(errors(&test, "panic"), 1, "{place:?}");
        assert_eq!(test.counter_sum("http_errors_total", &[]), 1, "{place:?}");
        assert_eq!(test.counter_sum("http_requests_total", &[]), 1, "{place:?}");
        assert_eq!(in_flight(&test, "GET"), Some(0.0), "{place:?}");
        // The service goes on.
        assert_eq!(ask(Method::POST).await, "x");
        assert_eq!(
            requests(&test, "200"),
            1 + u64::from(place >= Place::ResponseFrame)
        );
        assert_eq!(in_flight(&test, "POST"), Some(0.0));
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_is_aborted_even_while_something_else_panics() {
    let test = TestRecorder::new();
    let service = service_fn(async |_: Req| {
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(Response::new(Broken))
    });
    let service = test.run(obs_http::layer).layer(service);
    let mut future = Box::pin(service.oneshot(request(Method::GET)));
    assert!(future.as_mut().now_or_never().is_none());
    let elsewhere = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _dropped = future;
        panic!("as the test wants it")
    }));
    assert!(elsewhere.is_err());
    assert_eq!((requests(&test, "aborted"), errors(&test, "panic")), (1, 0));
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
}

#[tokio::test]
async fn an_error_passes_unchanged_and_a_timeout_is_told_apart() {
    let slow = service_fn(async |_: Req| {
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(Response::new(Broken))
    });
    let test = TestRecorder::new();
    let service = ServiceBuilder::new()
        .layer(test.run(obs_http::layer))
        .timeout(Duration::from_millis(1))
        .service(slow);
    let error = service.oneshot(request(Method::GET)).await.err().unwrap();
    assert!(error.is::<Elapsed>());
    assert_eq!(
        (requests(&test, "timeout"), errors(&test, "timeout")),
        (1, 1)
    );
    assert_eq!(in_flight(&test, "GET"), Some(0.0));

    let fails = service_fn(async |_: Req| Err::<Response<Broken>, _>("no ink left"));
    let test = TestRecorder::new();
    let service = test.run(obs_http::layer).layer(fails);
    let error = service.oneshot(request(Method::GET)).await.err();
    assert_eq!(error, Some("no ink left"));
    assert_eq!(
        (
            requests(&test, "server_error"),
            errors(&test, "server_error")
        ),
        (1, 1)
    );
    assert_eq!(in_flight(&test, "GET"), Some(0.0));
}

#[tokio::test]
async fn a_declared_size_is_believed_and_an_unknown_one_is_said_to_be() {
    /// A body that does not know its size.
    struct Unsized;
    impl Body for Unsized {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(None)
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::new()
        }
    }
    let test = TestRecorder::new();
    let service = service_fn(async |_: Request<Unsized>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let service = test.run(obs_http::layer).layer(service);
    let with = |length: &str| {
        let request = Request::get("/").header("content-length", length);
        request.body(Unsized).unwrap()
    };
    for request in [with("7"), with("seven"), Request::new(Unsized)] {
        service.clone().oneshot(request).await.unwrap();
    }
    let labels = [("method", "GET"), ("endpoint", "unmatched")];
    assert_eq!(
        test.samples("http_request_size_bytes", &labels),
        Some(vec![7.0])
    );
    assert_eq!(
        test.counter("http_request_size_unknown_total", &labels),
        Some(2)
    );
}
