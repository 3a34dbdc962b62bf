//! What a layer adds to a call that tonic answers.

use allocation_counter::measure;
use axum::http::{Request, header::CONTENT_TYPE};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use metrics::Recorder;
use std::sync::{Arc, Mutex, PoisonError};
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tower::{Layer, Service};
use tower_http::trace::TraceLayer;
use tracing::Dispatch;

use crate::contest::{Contender, Effort, FLOOR, Figure, OURS, Row, nanoseconds};
use crate::http::added;
use crate::library;

/// `HealthCheckRequest { service: "ok" }`, behind its prefix.
const ASKED: &[u8] = b"\0\0\0\0\x04\x0a\x02ok";

/// The health service of a server.
fn routes() -> Routes {
    let (reporter, service) = tonic_health::server::health_reporter();
    let set = reporter.set_service_status("ok", ServingStatus::Serving);
    assert!(set.now_or_never().is_some(), "nobody else writes");
    Routes::new(service).prepare()
}

/// One call, to the end of its trailers.
fn call<S, B>(service: &mut S)
where
    S: Service<Request<Body>, Response = axum::http::Response<B>>,
    B: BodyExt,
{
    let request = Request::post("/grpc.health.v1.Health/Check")
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::new(Full::new(Bytes::from_static(ASKED))))
        .expect("a sound request");
    let response = service.call(request).now_or_never();
    let Some(Ok(response)) = response else {
        panic!("there was no answer at once");
    };
    let body = response.into_body().collect().now_or_never();
    let Some(Ok(body)) = body else {
        panic!("there was no body at once");
    };
    std::hint::black_box(body.trailers().is_some());
}

fn run<S, B>(service: &Mutex<S>, n: u64)
where
    S: Service<Request<Body>, Response = axum::http::Response<B>>,
    B: BodyExt,
{
    let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
    (0..n).for_each(|_| call(&mut *service));
}

pub(crate) fn lines(effort: Effort) -> Vec<Row> {
    let engine: Arc<dyn Recorder + Send + Sync> = Arc::new(library::engine());
    let layer = obs_core::with_recorder(&engine, obs_http::layer).count_request_bodies();
    let bare = Mutex::new(routes());
    let ours = Mutex::new(layer.layer(routes()));
    let theirs = Mutex::new(TraceLayer::new_for_grpc().layer(routes()));
    // As programs write their events, but to nowhere.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::sink);
    let subscriber = Dispatch::new(subscriber.finish());
    let contenders = [
        Contender::new(FLOOR, |n| run(&bare, n)),
        Contender::new(OURS, |n| run(&ours, n)),
        Contender::new("tower-http's trace layer", |n| {
            tracing::dispatcher::with_default(&subscriber, || run(&theirs, n));
        }),
    ];
    let allocations = |contender: &Contender<'_>| {
        (contender.work)(10);
        let n = 100;
        let counted = measure(|| (contender.work)(n)).count_total as f64;
        Figure::exact(contender.name, (counted / n as f64).floor())
    };
    let allocations: Vec<_> = contenders.iter().map(allocations).collect();
    // What is added is the difference of two figures, both of which have to come from an undisturbed round.
    let short = Effort {
        rounds: effort.rounds * 8,
        batch: effort.batch / 8,
        ..effort
    };
    let times = nanoseconds(&contenders, 1, short);
    vec![
        Row::new(
            "a gRPC call on top of tonic's own time",
            "ns",
            0.3,
            added(times),
        ),
        Row::new(
            "a gRPC call on top of tonic's own allocations",
            "allocations",
            0.3,
            added(allocations),
        ),
    ]
}
