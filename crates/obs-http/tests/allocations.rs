//! What the layer adds to a request, in allocations.

use std::convert::Infallible;

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use obs_core::TestRecorder;
use tower::{Layer, Service, service_fn};

/// The allocations of one request on a path that is warm, to the end of its body.
fn allocations<S, B, R>(mut service: S, request: impl Fn() -> Request<B>) -> u64
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body,
{
    let mut call = || {
        let request = request();
        let mut service = std::panic::AssertUnwindSafe(&mut service);
        measure(|| {
            let response = service
                .call(request)
                .now_or_never()
                .expect("ready")
                .unwrap();
            let body = response
                .into_body()
                .collect()
                .now_or_never()
                .expect("ready");
            assert_eq!(body.ok().expect("no error").to_bytes(), "hello");
        })
        .count_total
    };
    // A test recorder keeps every sample; what it allocates for them comes less and less often, and never each time.
    let counts = [call(), call(), call(), call(), call(), call()];
    counts[1..].iter().copied().min().unwrap_or(counts[0])
}

fn app() -> Router {
    Router::new().route("/orders/{id}", post(async |_: Bytes| "hello"))
}

/// As axum serves it: `axum::serve` makes its routes once, a bare router anew for each request.
fn served(app: Router) -> Router {
    app.with_state(())
}

#[test]
fn no_more_than_five_are_added_to_a_request_in_axum() {
    let test = TestRecorder::new();
    let measured = || app().layer(test.run(obs_http::layer));
    let declared = || {
        let request = Request::post("/orders/7");
        request.body(Body::from("hi")).unwrap()
    };
    let chunked = || {
        let frames = futures_util::stream::iter([Ok::<_, Infallible>("hi")]);
        let request = Request::post("/orders/7");
        request.body(Body::from_stream(frames)).unwrap()
    };

    for (what, with, without) in [
        (
            "a request",
            allocations(served(measured()), declared),
            allocations(served(app()), declared),
        ),
        (
            "a chunked request",
            allocations(served(measured()), chunked),
            allocations(served(app()), chunked),
        ),
        (
            "a request to a bare router",
            allocations(measured(), declared),
            allocations(app(), declared),
        ),
    ] {
        let added = with - without;
        println!("{added} allocations are added to {what}");
        assert!(added <= 5, "{added} allocations are added to {what}");
    }
    let ok = [("status_code", "200")];
    assert_eq!(test.counter_sum("http_requests_total", &ok), 18);
}

#[test]
fn the_layer_itself_allocates_nothing() {
    let service = || {
        service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
        })
    };
    let test = TestRecorder::new();
    let measured = test.run(obs_http::layer).layer(service());
    let request = || Request::new(Full::new(Bytes::new()));
    assert_eq!(
        allocations(measured, request),
        allocations(service(), request)
    );
    assert_eq!(test.counter_sum("http_requests_total", &[]), 6);
}
